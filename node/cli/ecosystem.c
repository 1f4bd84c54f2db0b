/* `validate ecosystem`: what PM2 would make of its ecosystem files. The files are read by a program
 * of their own, understudy-ecosystem: they may hold foreign code. */
#include "node/cli/cli.h"
#include "node/cli/helper.h"

#include "node/base/clock.h"
#include "node/base/doc.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PROGRAM "understudy-ecosystem"
#define FILE_TIME_MS 10000 /* unless --limit says otherwise */
#define LIMIT_MS_MAX 600000
#define ENV_LENGTH_MAX 63
#define MARGIN_MS 5000 /* for a file, beyond what its evaluation may take */

static const struct table_column app_columns[] = {{"name", "APP"},
                                                  {"starts", "STARTS"},
                                                  {"exec_mode", "MODE"},
                                                  {"instances", "INSTANCES"},
                                                  {"exec_interpreter", "INTERPRETER"},
                                                  {"pm_exec_path", "SCRIPT"},
                                                  {"cron_restart", "CRON"}};

static void put(FILE *out, const char *before, const json_t *object, const char *key, bool colour)
{
    if (!json_is_null(json_object_get(object, key))) {
        (void)fputs(before, out);
        (void)table_print_value(out, json_object_get(object, key), colour);
    }
}

/* FILE:3:7: error: worker: max_memory_restart: what PM2 makes of it; expected ... */
static void print_finding(FILE *out, const json_t *finding, bool colour)
{
    put(out, "", finding, "file", false);
    put(out, ":", finding, "line", false);
    put(out, ":", finding, "column", false);
    put(out, ": ", finding, "severity", colour);
    put(out, ": ", finding, "app", false);
    put(out, ": ", finding, "key", false);
    put(out, ": ", finding, "pm2", false);
    put(out, "; expected: ", finding, "expected", false);
    (void)fputc('\n', out);
}

void page_print_ecosystem(FILE *out, const json_t *files, bool colour)
{
    size_t index;
    json_t *file;
    json_array_foreach(files, index, file)
    {
        const json_t *findings = json_object_get(file, "findings");
        size_t i;
        json_t *finding;
        (void)fputs(index == 0 ? "" : "\n", out);
        put(out, "", file, "file", false);
        if (!doc_get_bool(file, "exists", false)) {
            (void)fputs(": there is no such file\n", out);
            continue;
        }
        (void)fprintf(out, ": %zu apps, ", json_array_size(json_object_get(file, "apps")));
        put(out, "", file, "errors", false);
        put(out, " errors, ", file, "warnings", false);
        (void)fputs(" warnings\n", out);
        if (json_array_size(json_object_get(file, "apps")) > 0) {
            table_print(out, json_object_get(file, "apps"), app_columns,
                        sizeof app_columns / sizeof app_columns[0], colour);
        }
        json_array_foreach(findings, i, finding)
        {
            print_finding(out, finding, colour);
        }
    }
}

/* Adds a word to the call; false when there is no room. */
static bool add(struct helper_call *call, size_t *count, const char *word)
{
    if (*count + 1 >= HELPER_WORDS_MAX) {
        return false;
    }
    call->words[(*count)++] = word;
    return true;
}

static int fail(struct understudy_error *error, int exit, const char *code, const char *message)
{
    *error = (struct understudy_error){.exit = exit};
    (void)snprintf(error->code, sizeof error->code, "%s", code);
    (void)snprintf(error->message, sizeof error->message, "%s", message);
    return exit;
}

int ecosystem_check_args(const json_t *args, struct understudy_error *error)
{
    const char *env = doc_get_text(args, "env", NULL);
    const char *limit = doc_get_text(args, "limit", NULL);
    int64_t limit_ms = limit == NULL ? 1 : verb_duration_ms(limit);
    if (env != NULL &&
        (env[0] == '\0' || strlen(env) > ENV_LENGTH_MAX || strpbrk(env, " \t\r\n\v\f") != NULL)) {
        return fail(error, UNDERSTUDY_USAGE, "usage",
                    "--env: a name of at most 63 bytes, without blanks");
    }
    if (limit_ms < 1 || limit_ms > LIMIT_MS_MAX) {
        return fail(error, UNDERSTUDY_USAGE, "usage", "--limit: at most 10m");
    }
    return UNDERSTUDY_DONE;
}

/* Asks the program about all files. An exit code. */
static int ask(const json_t *args, json_t **ret, struct understudy_error *error)
{
    char limit[24];
    const json_t *paths = json_object_get(args, "path");
    const char *env = doc_get_text(args, "env", NULL);
    const char *given = doc_get_text(args, "limit", NULL);
    int64_t time_ms = given == NULL ? FILE_TIME_MS : verb_duration_ms(given);
    struct helper_call call = {.program = PROGRAM, .words = {"validate"}};
    size_t count = 1;
    (void)snprintf(limit, sizeof limit, "%lld", (long long)time_ms);
    bool good = add(&call, &count, "--time-ms") && add(&call, &count, limit);
    good = good && (env == NULL || (add(&call, &count, "--env") && add(&call, &count, env)));
    if (doc_get_bool(args, "values", false)) {
        good = good && add(&call, &count, "--values");
    }
    good = good && add(&call, &count, "--");
    for (size_t i = 0; i < json_array_size(paths); i++) {
        good = good && add(&call, &count, json_string_value(json_array_get(paths, i)));
    }
    call.time_ms = (int64_t)json_array_size(paths) * (time_ms + MARGIN_MS);
    return good ? helper_run(&call, ret, error)
                : fail(error, UNDERSTUDY_USAGE, "usage", "too many files at once");
}

int ecosystem_validate(const struct cli_options *options, const struct verb *verb,
                       const json_t *args, struct understudy_error *error)
{
    json_t *document = NULL;
    int exit = ecosystem_check_args(args, error);
    exit = exit == UNDERSTUDY_DONE ? ask(args, &document, error) : exit;
    if (exit != UNDERSTUDY_DONE) {
        return exit;
    }
    json_t *files = json_object_get(document, "files");
    size_t index;
    json_t *file;
    json_array_foreach(files, index, file)
    {
        if (!doc_get_bool(file, "exists", false)) {
            exit = UNDERSTUDY_NOT_FOUND;
            (void)fail(error, exit, "not_found", "");
            (void)snprintf(error->message, sizeof error->message, "there is no file %s",
                           doc_get_text(file, "file", "?"));
        } else if (exit == UNDERSTUDY_DONE && doc_get_integer(file, "errors", 0) > 0) {
            exit = UNDERSTUDY_FAILED;
        }
    }
    json_t *envelope = local_envelope(verb, json_incref(files));
    cli_print(options, verb, envelope);
    json_decref(envelope);
    json_decref(document);
    return exit;
}
