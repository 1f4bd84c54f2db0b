/* `pm2 adopt`: a configuration for what PM2 runs. The rows come from the nodes' PM2 managers, or,
 * of an ecosystem file, from understudy-ecosystem; the YAML is made here. */
#include "node/cli/cli.h"
#include "node/cli/helper.h"

#include "consensus/calendar.h"
#include "node/base/doc.h"
#include "node/base/limits.h"
#include "node/config/config.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#define PROGRAM "understudy-ecosystem"
#define FILE_TIME_MS 10000 /* unless --limit says otherwise */
#define MARGIN_MS 5000
#define ENTRIES_MAX 64 /* primaries, and backups, that managers.pm2 takes */

/* ---- YAML ---- */

/* A word that YAML takes for no text, or that a person would not know for one. */
static bool needs_quotes(const char *text)
{
    static const char *const words[] = {"true", "false", "yes", "no", "on",
                                        "off",  "null",  "y",   "n"};
    static const char letters[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./-";
    size_t length = strlen(text);
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (strcasecmp(words[i], text) == 0) {
            return true;
        }
    }
    bool figure = isdigit((unsigned char)text[0]) && length > 2 &&
                  (strcmp(text + length - 2, "MB") == 0 || strcmp(text + length - 2, "ms") == 0);
    return strspn(text, letters) != length ||
           !(figure || isalpha((unsigned char)text[0]) || (text[0] == '/' && length > 1));
}

static void put_text(FILE *out, const char *text)
{
    if (!needs_quotes(text)) {
        (void)fputs(text, out);
        return;
    }
    (void)fputc('"', out);
    for (; *text != '\0'; text++) {
        unsigned char byte = (unsigned char)*text;
        if (byte == '"' || byte == '\\') {
            (void)fprintf(out, "\\%c", byte);
        } else if (byte < 0x20 || byte == 0x7f) {
            (void)fprintf(out, "\\x%02x", byte);
        } else if (byte == 0xc2 && (unsigned char)text[1] < 0xa0) {
            (void)fprintf(out, "\\x%02x", (unsigned char)*++text); /* could steer a terminal */
        } else {
            (void)fputc(byte, out);
        }
    }
    (void)fputc('"', out);
}

/* Of the schema, or a variable's name: "on" is written as people write it. */
static void put_key(FILE *out, const char *key)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_";
    if (strspn(key, letters) == strlen(key)) {
        (void)fputs(key, out);
    } else {
        put_text(out, key);
    }
    (void)fputs(": ", out);
}

/* A text, number, list or map on one line. */
static void put_value(FILE *out, const json_t *value)
{
    const char *blank = "";
    size_t index;
    const char *key;
    json_t *item;
    if (json_is_string(value)) {
        put_text(out, json_string_value(value));
    } else if (json_is_integer(value)) {
        (void)fprintf(out, "%lld", (long long)json_integer_value(value));
    } else if (json_is_array(value)) {
        (void)fputc('[', out);
        json_array_foreach(doc_writable(value), index, item)
        {
            (void)fputs(blank, out);
            put_value(out, item);
            blank = ", ";
        }
        (void)fputc(']', out);
    } else if (json_is_object(value)) {
        (void)fputc('{', out);
        json_object_foreach(doc_writable(value), key, item)
        {
            (void)fputs(blank, out);
            put_key(out, key);
            put_value(out, item);
            blank = ", ";
        }
        (void)fputc('}', out);
    }
}

static void put_backup(FILE *out, const json_t *backup)
{
    const char *before = "      - ";
    const char *key;
    json_t *value;
    json_object_foreach(doc_writable(backup), key, value)
    {
        (void)fputs(before, out);
        put_key(out, key);
        put_value(out, value);
        (void)fputc('\n', out);
        before = "        ";
    }
}

/* ---- from rows to lists ---- */

struct proposal {
    json_t *primaries; /* with `on` */
    json_t *backups;
    size_t left_out; /* beyond what the configuration takes */
};

static json_t *find_named(const json_t *list, const char *name)
{
    size_t index;
    json_t *item;
    json_array_foreach(doc_writable(list), index, item)
    {
        if (strcmp(doc_get_text(item, "name", ""), name) == 0) {
            return item;
        }
    }
    return NULL;
}

/* The same name on several nodes is one primary. */
static void take_primary(struct proposal *self, const json_t *row)
{
    const json_t *primary = json_object_get(row, "primary");
    const char *node = doc_get_text(row, "node", NULL);
    if (!json_is_object(primary)) {
        return;
    }
    json_t *own = find_named(self->primaries, doc_get_text(primary, "name", ""));
    if (own == NULL && json_array_size(self->primaries) >= ENTRIES_MAX) {
        self->left_out++;
        return;
    }
    if (own == NULL) {
        own = json_pack("{s:O}", "name", json_object_get(primary, "name"));
        (void)json_object_set_new(own, "on", json_array());
        (void)json_object_update_missing(own, doc_writable(primary));
        (void)json_array_append_new(self->primaries, own);
    }
    if (node != NULL) {
        (void)json_array_append_new(json_object_get(own, "on"), json_string(node));
    } else if (json_array_size(json_object_get(own, "on")) == 0) {
        (void)json_object_del(own, "on");
    }
}

/* With a pattern that the cluster's schedules know. */
static bool good_times(const json_t *backup)
{
    struct calendar calendar;
    const char *cron = doc_get_text(backup, "cron", NULL);
    return cron == NULL || calendar_parse(cron, &calendar, NULL) == 0;
}

static void take_backups(struct proposal *self, const json_t *row, bool enhanced)
{
    size_t index;
    json_t *backup;
    json_array_foreach(json_object_get(row, "backups"), index, backup)
    {
        bool second = strcmp(doc_get_text(backup, "tier", ""), "enhanced") == 0;
        if (second != enhanced || !good_times(backup) ||
            find_named(self->backups, doc_get_text(backup, "name", "")) != NULL) {
            continue;
        }
        if (json_array_size(self->backups) >= ENTRIES_MAX) {
            self->left_out++;
        } else {
            (void)json_array_append(self->backups, backup);
        }
    }
}

/* Each enhanced backup behind the standard one of its primary. */
static json_t *in_order(const json_t *backups)
{
    json_t *ret = json_array();
    size_t index;
    size_t other;
    json_t *backup;
    json_t *next;
    json_array_foreach(doc_writable(backups), index, backup)
    {
        if (strcmp(doc_get_text(backup, "tier", ""), "enhanced") == 0) {
            continue;
        }
        (void)json_array_append(ret, backup);
        const char *primary = doc_get_text(backup, "stands_in_for", NULL);
        json_array_foreach(doc_writable(backups), other, next)
        {
            if (primary != NULL && strcmp(doc_get_text(next, "tier", ""), "enhanced") == 0 &&
                strcmp(doc_get_text(next, "stands_in_for", ""), primary) == 0) {
                (void)json_array_append(ret, next);
            }
        }
    }
    return ret;
}

/* The standard backups are taken first when there is no room for all. */
static void gather(struct proposal *self, const json_t *rows)
{
    size_t index;
    json_t *row;
    *self = (struct proposal){.primaries = json_array(), .backups = json_array()};
    for (int tier = 0; tier < 2; tier++) {
        json_array_foreach(doc_writable(rows), index, row)
        {
            if (tier == 0) {
                take_primary(self, row);
            }
            take_backups(self, row, tier == 1);
        }
    }
    json_t *ordered = in_order(self->backups);
    json_decref(self->backups);
    self->backups = ordered;
}

/* ---- the page ---- */

static void put_comment(FILE *out, const json_t *row, const char *before, const json_t *text)
{
    (void)fputs("# ", out);
    (void)table_print_value(out, json_object_get(row, "name"), false);
    if (json_is_string(json_object_get(row, "node"))) {
        (void)fputs(" on ", out);
        (void)table_print_value(out, json_object_get(row, "node"), false);
    }
    (void)fputs(before, out);
    if (text != NULL) {
        (void)table_print_value(out, text, false);
    }
    (void)fputc('\n', out);
}

static void put_hidden(FILE *out, const json_t *row, const json_t *names)
{
    const char *before = " ";
    size_t index;
    json_t *name;
    (void)fputs("# ", out);
    (void)table_print_value(out, json_object_get(row, "name"), false);
    (void)fputs(": may be secrets, set them where the backup runs:", out);
    json_array_foreach(doc_writable(names), index, name)
    {
        (void)fputs(before, out);
        (void)table_print_value(out, name, false);
        before = ", ";
    }
    (void)fputc('\n', out);
}

static void put_comments(FILE *out, const json_t *row)
{
    const char *state = doc_get_text(row, "state", "");
    const json_t *hidden = json_object_get(row, "env_left_out");
    size_t index;
    json_t *item;
    if (strcmp(state, "configured") == 0) {
        put_comment(out, row, ": configured already", NULL);
    } else if (strcmp(state, "left_out") == 0 || strcmp(state, "ours") == 0) {
        put_comment(out, row, ": left out: ", json_object_get(row, "why"));
    }
    json_array_foreach(json_object_get(row, "notes"), index, item)
    {
        put_comment(out, row, ": ", item);
    }
    json_array_foreach(json_object_get(row, "backups"), index, item)
    {
        if (!good_times(item)) {
            put_comment(out, row, ": left out, schedules know no such pattern: ",
                        json_object_get(item, "cron"));
        }
    }
    if (json_array_size(hidden) > 0) {
        put_hidden(out, row, hidden);
    }
}

/* What is no process: a node or a daemon that gave nothing, a file with errors. */
static void put_other(FILE *out, const json_t *row)
{
    const char *kind = doc_get_text(row, "kind", "");
    if (strcmp(kind, "file") == 0) {
        (void)fputs("# ", out);
        (void)table_print_value(out, json_object_get(row, "file"), false);
        (void)fprintf(out, ": %lld errors, %lld warnings; see `understudy validate ecosystem`\n",
                      (long long)doc_get_integer(row, "errors", 0),
                      (long long)doc_get_integer(row, "warnings", 0));
    } else {
        (void)fputs("# ", out);
        (void)table_print_value(out, json_object_get(row, "node"), false);
        (void)fprintf(out, ": nothing is known of its %s: ",
                      strcmp(kind, "daemon") == 0 ? "PM2" : "processes");
        (void)table_print_value(out, json_object_get(row, "text"), false);
        (void)fputc('\n', out);
    }
}

void page_print_adopt(FILE *out, const json_t *rows)
{
    struct proposal proposal;
    size_t index;
    json_t *row;
    gather(&proposal, rows);
    (void)fputs("# Made by `understudy pm2 adopt`: merge it into understudy.yml, then\n"
                "# `understudyd --config understudy.yml --check`.\n",
                out);
    json_array_foreach(doc_writable(rows), index, row)
    {
        if (strcmp(doc_get_text(row, "kind", ""), "process") == 0) {
            put_comments(out, row);
        } else {
            put_other(out, row);
        }
    }
    if (proposal.left_out > 0) {
        (void)fprintf(out, "# %zu more: managers.pm2 takes at most %d primaries and %d backups\n",
                      proposal.left_out, ENTRIES_MAX, ENTRIES_MAX);
    }
    if (json_array_size(proposal.primaries) + json_array_size(proposal.backups) > 0) {
        (void)fputs("managers:\n  pm2:\n", out);
    }
    (void)fputs(json_array_size(proposal.primaries) > 0 ? "    primaries:\n" : "", out);
    json_array_foreach(proposal.primaries, index, row)
    {
        (void)fputs("      - ", out);
        put_value(out, row);
        (void)fputc('\n', out);
    }
    (void)fputs(json_array_size(proposal.backups) > 0 ? "    backups:\n" : "", out);
    json_array_foreach(proposal.backups, index, row)
    {
        put_backup(out, row);
    }
    json_decref(proposal.primaries);
    json_decref(proposal.backups);
}

/* ---- of a file ---- */

/* The member `key` of each element. */
static json_t *column(const json_t *list, const char *key)
{
    json_t *ret = json_array();
    size_t index;
    json_t *item;
    json_array_foreach(doc_writable(list), index, item)
    {
        (void)json_array_append_new(ret, json_string(doc_get_text(item, key, "")));
    }
    return ret;
}

static json_t *known_backups(const json_t *list)
{
    json_t *ret = json_array();
    size_t index;
    json_t *item;
    json_array_foreach(doc_writable(list), index, item)
    {
        (void)json_array_append_new(ret, json_pack("{s:s, s:s}", "name",
                                                   doc_get_text(item, "name", ""), "stands_in_for",
                                                   doc_get_text(item, "stands_in_for", "")));
    }
    return ret;
}

/* What this host's node has configured, and the node's name; nothing when there is no node here.
 * The caller frees. */
static char *known_here(const struct cli_options *options, char ret_node[NAME_SIZE])
{
    char file[CLI_PATH_SIZE];
    struct config *config = NULL;
    struct config_errors errors = {0};
    options_node_file(options, "understudy.yml", "/etc/understudy", file);
    const struct config_sources sources = {.file = file, .environment = environ};
    ret_node[0] = '\0';
    if (access(file, R_OK) != 0) {
        return strdup("{}");
    }
    if (config_load(&sources, &config, &errors) != 0) {
        (void)fprintf(stderr, "understudy: what %s has already is not known: it has errors\n",
                      file);
        return strdup("{}");
    }
    (void)snprintf(ret_node, NAME_SIZE, "%s", config->cluster.node);
    json_t *section = config_manager_document(config, "pm2");
    json_t *known =
        json_pack("{s:o, s:o}", "primaries", column(json_object_get(section, "primaries"), "name"),
                  "backups", known_backups(json_object_get(section, "backups")));
    char *text = json_dumps(known, JSON_COMPACT);
    json_decref(known);
    json_decref(section);
    config_destroy(&config);
    return text;
}

static int fail(struct understudy_error *error, int exit, const char *code, const char *name,
                const char *what)
{
    *error = (struct understudy_error){.exit = exit};
    (void)snprintf(error->code, sizeof error->code, "%s", code);
    (void)snprintf(error->message, sizeof error->message, "%s %s", name, what);
    return exit;
}

/* The document of understudy-ecosystem; an exit code. */
static int ask(const json_t *args, const char *known, json_t **ret, struct understudy_error *error)
{
    char limit[24];
    const char *env = doc_get_text(args, "env", NULL);
    const char *given = doc_get_text(args, "limit", NULL);
    int64_t time_ms = given == NULL ? FILE_TIME_MS : verb_duration_ms(given);
    (void)snprintf(limit, sizeof limit, "%lld", (long long)time_ms);
    struct helper_call call = {.program = PROGRAM,
                               .words = {"adopt", "--time-ms", limit},
                               .input = known,
                               .time_ms = time_ms + MARGIN_MS};
    size_t count = 3;
    if (env != NULL) {
        call.words[count++] = "--env";
        call.words[count++] = env;
    }
    call.words[count++] = "--";
    call.words[count] = doc_get_text(args, "file", "");
    return helper_run(&call, ret, error);
}

/* Rows as the nodes give them, after one of the file itself. */
static json_t *rows_of(json_t *file, const char *node)
{
    json_t *rows = json_array();
    size_t index;
    json_t *row;
    json_array_foreach(json_object_get(file, "processes"), index, row)
    {
        (void)json_object_set_new(row, "node", doc_text(node));
        (void)json_array_append(rows, row);
    }
    (void)json_object_del(file, "processes");
    (void)json_object_set_new(file, "kind", json_string("file"));
    (void)json_object_set_new(file, "node", doc_text(node));
    (void)json_array_insert(rows, 0, file);
    return rows;
}

int adopt_file(const struct cli_options *options, const struct verb *verb, const json_t *args,
               struct understudy_error *error)
{
    char node[NAME_SIZE];
    json_t *document = NULL;
    int exit = ecosystem_check_args(args, error);
    char *known = exit == UNDERSTUDY_DONE ? known_here(options, node) : NULL;
    exit =
        exit == UNDERSTUDY_DONE ? ask(args, known == NULL ? "{}" : known, &document, error) : exit;
    free(known);
    if (exit != UNDERSTUDY_DONE) {
        return exit;
    }
    json_t *file = json_array_get(json_object_get(document, "files"), 0);
    const char *name = doc_get_text(args, "file", "");
    if (!doc_get_bool(file, "exists", false)) {
        exit = fail(error, UNDERSTUDY_NOT_FOUND, "not_found", name, "is not there");
    } else if (json_array_size(json_object_get(file, "processes")) == 0) {
        exit = fail(error, UNDERSTUDY_FAILED, "no_apps", name,
                    "has no apps; see `understudy validate ecosystem`");
    } else {
        json_t *envelope = local_envelope(verb, rows_of(file, node));
        cli_print(options, verb, envelope);
        json_decref(envelope);
    }
    json_decref(document);
    return exit;
}
