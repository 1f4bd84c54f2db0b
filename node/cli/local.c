/* Verbs that need no running node. */
#include "node/cli/cli.h"

#include "node/base/clock.h"
#include "node/base/doc.h"
#include "node/config/config.h"
#include "node/config/keys.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TEXT_BYTES_MAX (1u << 20)

static int fail_err(struct understudy_error *error, int exit, const char *code,
                    const struct err *err)
{
    *error = (struct understudy_error){.exit = exit};
    (void)snprintf(error->code, sizeof error->code, "%s", code);
    (void)snprintf(error->message, sizeof error->message, "%s", err->msg);
    return exit;
}

json_t *local_envelope(const struct verb *verb, json_t *data_take)
{
    char words[VERB_WORDS_SIZE];
    char schema[VERB_WORDS_SIZE + 16];
    verb_schema(verb, words);
    (void)snprintf(schema, sizeof schema, "understudy.%s/1", words);
    return json_pack("{s:s,s:o,s:n,s:n,s:n,s:b,s:o}", "schema", schema, "time",
                     doc_time(clock_wall_ms()), "node", "cluster", "term", "stale", 0, "data",
                     data_take);
}

void cli_print(const struct cli_options *options, const struct verb *verb, const json_t *envelope)
{
    if (options->quiet || envelope == NULL) {
        return;
    }
    if (options->json) {
        char *line = doc_dump(envelope);
        (void)puts(line == NULL ? "" : line);
        free(line);
    } else {
        page_print(stdout, verb->words, envelope, options->colour);
    }
}

/* As a JSON line, or as `text` when there is one, else as a page. */
static void print(const struct cli_options *options, const struct verb *verb, json_t *data_take,
                  const char *text)
{
    json_t *envelope = local_envelope(verb, data_take);
    if (text != NULL && !options->quiet && !options->json) {
        (void)fputs(text, stdout);
    } else {
        cli_print(options, verb, envelope);
    }
    json_decref(envelope);
}

static int run_version(const struct cli_options *options, const struct verb *verb)
{
    char text[64];
    (void)snprintf(text, sizeof text, "understudy %s\n", understudy_version());
    print(options, verb, json_pack("{s:s}", "version", understudy_version()), text);
    return UNDERSTUDY_DONE;
}

static int run_completion(const struct cli_options *options, const struct verb *verb,
                          const json_t *args, struct understudy_error *error)
{
    struct buffer out;
    struct err err = {0};
    buffer_init(&out, TEXT_BYTES_MAX);
    int rc = verb_completion(doc_get_text(args, "shell", ""), &out, &err);
    rc = rc != 0 ? rc : buffer_append(&out, "", 1);
    if (rc == 0) {
        print(options, verb, json_string((const char *)out.data), (const char *)out.data);
    }
    buffer_deinit(&out);
    return rc == 0 ? UNDERSTUDY_DONE : fail_err(error, UNDERSTUDY_USAGE, "usage", &err);
}

static int print_keys(const struct cli_options *options, const struct verb *verb,
                      const char *folder, struct understudy_error *error)
{
    struct key_listing *keys = NULL;
    size_t count = 0;
    struct err err = {0};
    int rc = keys_list(folder, &keys, &count, &err);
    if (rc != 0) {
        return fail_err(error, rc == ERR_NOTFOUND ? UNDERSTUDY_NOT_FOUND : UNDERSTUDY_FAILED,
                        "keys", &err);
    }
    json_t *rows = json_array();
    for (size_t i = 0; i < count; i++) {
        (void)json_array_append_new(rows, json_pack("{s:s,s:s,s:s,s:b}", "name", keys[i].key.name,
                                                    "role", key_role_name(keys[i].key.role),
                                                    "public_key", keys[i].key.public_key,
                                                    "has_secret", (int)keys[i].has_secret));
    }
    free(keys);
    print(options, verb, rows, NULL);
    return UNDERSTUDY_DONE;
}

static int run_keys_init(const struct cli_options *options, const struct verb *verb,
                         const json_t *args, struct understudy_error *error)
{
    char folder[CLI_PATH_SIZE];
    const char *names[VERB_MANY_MAX];
    const json_t *nodes = json_object_get(args, "node");
    struct err err = {0};
    options_keys_folder(options, folder);
    struct keys_plan plan = {.dir = folder, .names = names, .name_count = json_array_size(nodes)};
    for (size_t i = 0; i < plan.name_count; i++) {
        names[i] = json_string_value(json_array_get(nodes, i));
    }
    int rc = keys_init(&plan, &err);
    if (rc != 0) {
        int exit = rc == ERR_INVALID  ? UNDERSTUDY_USAGE
                   : rc == ERR_EXISTS ? UNDERSTUDY_PRECONDITION
                                      : UNDERSTUDY_FAILED;
        return fail_err(error, exit, "keys", &err);
    }
    return print_keys(options, verb, folder, error);
}

static json_t *error_rows(const struct config_errors *errors)
{
    json_t *rows = json_array();
    for (size_t i = 0; i < errors->count; i++) {
        const struct config_error *item = &errors->items[i];
        json_t *row = json_object();
        (void)json_object_set_new(
            row, "severity", json_string(item->severity == CONFIG_ERROR ? "error" : "warning"));
        (void)json_object_set_new(row, "where", doc_text(item->where));
        (void)json_object_set_new(row, "line",
                                  item->line == 0 ? json_null() : json_integer(item->line));
        (void)json_object_set_new(row, "column",
                                  item->line == 0 ? json_null() : json_integer(item->column));
        (void)json_object_set_new(row, "key", doc_text(item->key));
        (void)json_object_set_new(row, "message", doc_text(item->message));
        (void)json_array_append_new(rows, row);
    }
    return rows;
}

/* One file's row; its findings go to standard error for people. */
static json_t *check_file(const struct cli_options *options, const char *file, bool environment,
                          bool *ret_good)
{
    struct config_errors errors = {0};
    struct config_sources sources = {.file = file, .environment = environment ? environ : NULL};
    bool good = config_check(&sources, &errors) == 0;
    *ret_good = *ret_good && good;
    if (!options->json) {
        char *text = config_errors_text(&errors);
        (void)fputs(text == NULL ? "" : text, stderr);
        free(text);
    }
    json_t *row = json_object();
    (void)json_object_set_new(row, "file", doc_text(file));
    (void)json_object_set_new(row, "valid", json_boolean(good));
    (void)json_object_set_new(row, "errors", json_integer((json_int_t)errors.errors));
    (void)json_object_set_new(row, "warnings", json_integer((json_int_t)errors.warnings));
    (void)json_object_set_new(row, "findings", error_rows(&errors));
    return row;
}

static void config_file(const struct cli_options *options, const json_t *args,
                        char ret[CLI_PATH_SIZE])
{
    const char *given = doc_get_text(args, "file", NULL);
    if (given != NULL) {
        (void)snprintf(ret, CLI_PATH_SIZE, "%s", given);
    } else {
        options_node_file(options, "understudy.yml", "/etc/understudy", ret);
    }
}

static int run_validate(const struct cli_options *options, const struct verb *verb,
                        const json_t *args)
{
    char file[CLI_PATH_SIZE];
    bool good = true;
    const json_t *paths = json_object_get(args, "path");
    json_t *rows = json_array();
    if (paths == NULL) { /* config check: as the node would read it */
        config_file(options, args, file);
        (void)json_array_append_new(rows, check_file(options, file, true, &good));
    }
    for (size_t i = 0; i < json_array_size(paths); i++) {
        (void)json_array_append_new(
            rows, check_file(options, json_string_value(json_array_get(paths, i)), false, &good));
    }
    print(options, verb, rows, NULL);
    return good ? UNDERSTUDY_DONE : UNDERSTUDY_FAILED;
}

static int run_config_show(const struct cli_options *options, const struct verb *verb,
                           const json_t *args, struct understudy_error *error)
{
    char file[CLI_PATH_SIZE];
    struct config *config = NULL;
    struct config_errors errors = {0};
    config_file(options, args, file);
    struct config_sources sources = {.file = file, .environment = environ};
    if (config_load(&sources, &config, &errors) != 0) {
        struct err err = {0};
        char *text = config_errors_text(&errors);
        (void)err_set(&err, ERR_INVALID, "%s", text == NULL ? file : text);
        free(text);
        char *end = strrchr(err.msg, '\n');
        if (end != NULL && end[1] == '\0') {
            *end = '\0';
        }
        return fail_err(error, UNDERSTUDY_FAILED, "configuration", &err);
    }
    bool origin = doc_get_bool(args, "origin", false);
    char *text = options->json ? NULL : config_show_text(config, origin);
    print(options, verb, config_show_json(config), text);
    free(text);
    config_destroy(&config);
    return UNDERSTUDY_DONE;
}

static int run_config_merge(const json_t *args, struct understudy_error *error)
{
    struct err err = {0};
    char *text = NULL;
    if (config_merge_files(doc_get_text(args, "base", ""), doc_get_text(args, "overlay", ""), NULL,
                           &text, &err) != 0) {
        return fail_err(error, UNDERSTUDY_FAILED, "configuration", &err);
    }
    (void)fputs(text, stdout);
    free(text);
    return UNDERSTUDY_DONE;
}

int local_run(const struct cli_options *options, const struct verb *verb, const json_t *args,
              struct understudy_error *error)
{
    char folder[CLI_PATH_SIZE];
    if (strcmp(verb->words, "version") == 0) {
        return run_version(options, verb);
    }
    if (strcmp(verb->words, "completion") == 0) {
        return run_completion(options, verb, args, error);
    }
    if (strcmp(verb->words, "ticks verify") == 0) {
        return ticks_verify(options, verb, args, error);
    }
    if (strcmp(verb->words, "snapshot save") == 0) {
        return snapshot_save(options, verb, args, error);
    }
    if (strcmp(verb->words, "snapshot inspect") == 0) {
        return snapshot_inspect(options, verb, args, error);
    }
    if (strcmp(verb->words, "validate ecosystem") == 0) {
        return ecosystem_validate(options, verb, args, error);
    }
    if (strcmp(verb->words, "pm2 adopt") == 0) {
        return adopt_file(options, verb, args, error);
    }
    if (verb->place != VERB_LOCAL) {
        return snapshot_answer(options, verb, args, error);
    }
    if (strcmp(verb->words, "keys init") == 0) {
        return run_keys_init(options, verb, args, error);
    }
    if (strcmp(verb->words, "keys list") == 0) {
        options_keys_folder(options, folder);
        return print_keys(options, verb, folder, error);
    }
    if (strcmp(verb->words, "config show") == 0) {
        return run_config_show(options, verb, args, error);
    }
    if (strcmp(verb->words, "config merge") == 0) {
        return run_config_merge(args, error);
    }
    return run_validate(options, verb, args); /* config check, validate config */
}
