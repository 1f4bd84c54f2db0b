/* The pages of `pm2 ...`: processes, daemons, and the nodes that did not answer. */
#include "node/cli/cli.h"

#include "node/base/doc.h"

#include <string.h>

#define COUNT_OF(array) (sizeof(array) / sizeof(array)[0])

static const struct table_column process_columns[] = {
    {"node", "NODE"},         {"id", "ID"},
    {"name", "NAME"},         {"namespace", "NAMESPACE"},
    {"status", "STATUS"},     {"pid", "PID"},
    {"lives", "LIVES"},       {"restarts", "RESTARTS"},
    {"uptime", "UPTIME"},     {"memory", "MEMORY"},
    {"cpu_percent", "CPU %"}, {"role", "IS"},
    {"home", "PM2 HOME"}};
static const struct table_column daemon_columns[] = {
    {"node", "NODE"},     {"status", "PM2"},    {"version", "VERSION"}, {"pid", "PID"},
    {"memory", "MEMORY"}, {"home", "PM2 HOME"}, {"text", "TEXT"}};
static const struct table_column change_columns[] = {{"node", "NODE"},
                                                     {"id", "ID"},
                                                     {"name", "NAME"},
                                                     {"status", "STATUS"},
                                                     {"pid_before", "PID BEFORE"},
                                                     {"pid", "PID"},
                                                     {"ok", "AS WANTED"},
                                                     {"text", "TEXT"}};

static json_t *uptime_of(int64_t ms)
{
    static const struct {
        int64_t ms;
        const char *unit;
    } units[] = {{86400000, "d"}, {3600000, "h"}, {60000, "m"}, {1000, "s"}};
    char text[64] = "";
    for (size_t i = 0; i < COUNT_OF(units) && ms >= 0 && text[0] == '\0'; i++) {
        if (ms >= units[i].ms || i + 1 == COUNT_OF(units)) {
            (void)snprintf(text, sizeof text, "%lld%s", (long long)(ms / units[i].ms),
                           units[i].unit);
        }
    }
    return doc_text(text);
}

static json_t *memory_of(int64_t bytes)
{
    char text[64] = "";
    if (bytes >= 0) {
        (void)snprintf(text, sizeof text, "%.1f MB", (double)bytes / 1e6);
    }
    return doc_text(text);
}

/* A list of texts becomes one, with commas. */
static void join_texts(json_t *row, const char *key)
{
    const json_t *texts = json_object_get(row, key);
    char joined[512] = "";
    size_t length = 0;
    size_t index;
    json_t *text;
    json_array_foreach(doc_writable(texts), index, text)
    {
        const char *part = json_string_value(text);
        int written = snprintf(joined + length, sizeof joined - length, "%s%s",
                               index == 0 ? "" : ", ", part == NULL ? "?" : part);
        length += (size_t)written < sizeof joined - length ? (size_t)written : 0;
    }
    if (json_is_array(texts)) {
        (void)json_object_set_new(row, key, doc_text(joined));
    }
}

/* Rows of one kind, with figures as people read them. */
static json_t *rows_of(const json_t *data, const char *kind)
{
    json_t *ret = json_array();
    size_t index;
    json_t *row;
    json_array_foreach(doc_writable(data), index, row)
    {
        if (strcmp(doc_get_text(row, "kind", ""), kind) == 0) {
            json_t *copy = json_copy(row);
            (void)json_object_set_new(copy, "uptime",
                                      uptime_of(doc_get_integer(row, "uptime_ms", -1)));
            (void)json_object_set_new(copy, "memory",
                                      memory_of(doc_get_integer(row, "memory_bytes", -1)));
            join_texts(copy, "changed");
            (void)json_array_append_new(ret, copy);
        }
    }
    return ret;
}

/* Returns what stands between this table and the next. */
static const char *print_table(FILE *out, const char *before, json_t *rows_take,
                               const struct table_column *columns, size_t count, bool colour)
{
    if (json_array_size(rows_take) > 0) {
        (void)fputs(before, out);
        table_print(out, rows_take, columns, count, colour);
        before = "\n";
    }
    json_decref(rows_take);
    return before;
}

static void print_missing(FILE *out, const char *before, const json_t *data, bool colour)
{
    size_t index;
    json_t *row;
    json_array_foreach(doc_writable(data), index, row)
    {
        if (strcmp(doc_get_text(row, "kind", ""), "node") == 0) {
            (void)fputs(before, out);
            (void)table_print_value(out, json_object_get(row, "node"), colour);
            (void)fputs(": ", out);
            (void)table_print_value(out, json_object_get(row, "status"), colour);
            (void)fputs(", ", out);
            (void)table_print_value(out, json_object_get(row, "text"), colour);
            (void)fputs("\n", out);
            before = "";
        }
    }
}

static const struct table_column version_columns[] = {
    {"node", "NODE"},       {"number", "VERSION"},  {"time", "TIME"},    {"processes", "PROCESSES"},
    {"current", "CURRENT"}, {"changed", "CHANGED"}, {"home", "PM2 HOME"}};
static const struct table_column restored_columns[] = {
    {"node", "NODE"}, {"name", "NAME"}, {"ok", "AS WANTED"}, {"text", "TEXT"}};

static const struct {
    const char *verb;
    const char *kind;
    const struct table_column *columns;
    size_t count;
} tables[] = {
    {"pm2 list", "process", process_columns, COUNT_OF(process_columns)},
    {"pm2 list", "daemon", daemon_columns, COUNT_OF(daemon_columns)},
    {"pm2 start", "process", change_columns, COUNT_OF(change_columns)},
    {"pm2 stop", "process", change_columns, COUNT_OF(change_columns)},
    {"pm2 restart", "process", change_columns, COUNT_OF(change_columns)},
    {"pm2 backups", "version", version_columns, COUNT_OF(version_columns)},
    {"pm2 restore", "process", restored_columns, COUNT_OF(restored_columns)},
    {"pm2 restore", "home", restored_columns, COUNT_OF(restored_columns)},
};

/* A line as it was written, behind where it is from. */
static void print_log_row(FILE *out, const json_t *row, bool colour)
{
    static const char *const from[] = {"node", "name", "id", "stream"};
    const char *text = doc_get_text(row, "text", NULL);
    bool line = strcmp(doc_get_text(row, "kind", ""), "line") == 0;
    if (text == NULL) {
        return; /* a file that was read */
    }
    for (size_t i = 0; i < COUNT_OF(from); i++) {
        if (json_object_get(row, from[i]) != NULL) {
            (void)table_print_value(out, json_object_get(row, from[i]), colour);
            (void)fputc(' ', out);
        }
    }
    (void)fputs(line ? "| " : "", out);
    if (!line && json_object_get(row, "path") != NULL) {
        (void)table_print_value(out, json_object_get(row, "path"), colour);
        (void)fputc(' ', out);
    }
    if (text[0] != '\0') {
        (void)table_print_value(out, json_object_get(row, "text"), false);
    }
    (void)fputc('\n', out);
}

static void print_logs(FILE *out, const json_t *data, bool colour)
{
    size_t index;
    json_t *row;
    json_array_foreach(doc_writable(data), index, row)
    {
        if (strcmp(doc_get_text(row, "kind", ""), "node") != 0) {
            print_log_row(out, row, colour);
        }
    }
    print_missing(out, "", data, colour);
}

bool page_print_pm2(FILE *out, const char *verb, const json_t *data, bool colour)
{
    const char *before = "";
    bool found = false;
    if (json_is_array(data) && strcmp(verb, "pm2 logs") == 0) {
        print_logs(out, data, colour);
        return true;
    }
    for (size_t i = 0; i < COUNT_OF(tables) && json_is_array(data); i++) {
        if (strcmp(tables[i].verb, verb) == 0) {
            before = print_table(out, before, rows_of(data, tables[i].kind), tables[i].columns,
                                 tables[i].count, colour);
            found = true;
        }
    }
    if (found) {
        print_missing(out, before, data, colour);
    }
    return found;
}
