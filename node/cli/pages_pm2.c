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

static bool is_change(const char *verb)
{
    return strcmp(verb, "pm2 start") == 0 || strcmp(verb, "pm2 stop") == 0 ||
           strcmp(verb, "pm2 restart") == 0;
}

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
    bool change = is_change(verb);
    if (json_is_array(data) && strcmp(verb, "pm2 logs") == 0) {
        print_logs(out, data, colour);
        return true;
    }
    if (!json_is_array(data) || (!change && strcmp(verb, "pm2 list") != 0)) {
        return false;
    }
    const char *before =
        print_table(out, "", rows_of(data, "process"), change ? change_columns : process_columns,
                    change ? COUNT_OF(change_columns) : COUNT_OF(process_columns), colour);
    before = print_table(out, before, rows_of(data, "daemon"), daemon_columns,
                         COUNT_OF(daemon_columns), colour);
    print_missing(out, before, data, colour);
    return true;
}
