/* understudy-ecosystem: reads PM2 ecosystem files for the command line, which may not evaluate
 * foreign code in its own process, nor know a manager's code.
 *
 *     understudy-ecosystem validate [--env NAME] [--time-ms N] [--values] FILE...
 *     understudy-ecosystem adopt [--env NAME] [--time-ms N] FILE <KNOWN
 *
 * One JSON document on standard output: {"files": [{"file", "exists", "read", "findings",
 * "errors", "warnings", "apps"}]}; of adopt with "processes" in place of "apps", the rows of
 * propose.h. KNOWN is what is configured already, as propose.h has it. Exit 0 when it was written,
 * whatever it says, 1 failed, 2 wrong usage. */
#include "managers/pm2/ecosystem/evaluate.h"
#include "managers/pm2/ecosystem/harmless.h"
#include "managers/pm2/ecosystem/normalise.h"
#include "managers/pm2/ecosystem/propose.h"
#include "managers/pm2/ecosystem/source.h"
#include "node/base/doc.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FILES_MAX 64
#define TIME_MS_MAX 600000

enum { EXIT_WRITTEN, EXIT_FAILED, EXIT_WRONG_USAGE };

struct options {
    bool adopt;
    json_t *known; /* of adopt */
    const char *env_name;
    int64_t time_ms;
    bool values;
    const char *files[FILES_MAX];
    size_t count;
};

static int usage(const char *problem)
{
    (void)fprintf(
        stderr,
        "understudy-ecosystem: %s\nusage: understudy-ecosystem validate|adopt [--env NAME] "
        "[--time-ms N] [--values] FILE...\n",
        problem);
    return EXIT_WRONG_USAGE;
}

/* NULL, or what is wrong. */
static const char *read_options(int count, char *words[], struct options *ret)
{
    *ret = (struct options){.time_ms = EVALUATE_TIME_MS};
    bool files_only = false;
    for (int i = 0; i < count; i++) {
        const char *word = words[i];
        bool value = i + 1 < count;
        if (!files_only && strcmp(word, "--") == 0) {
            files_only = true;
        } else if (!files_only && strcmp(word, "--values") == 0) {
            ret->values = true;
        } else if (!files_only && value && strcmp(word, "--env") == 0) {
            ret->env_name = words[++i];
        } else if (!files_only && value && strcmp(word, "--time-ms") == 0) {
            ret->time_ms = strtoll(words[++i], NULL, 10);
        } else if (!files_only && strncmp(word, "--", 2) == 0) {
            return "unknown option, or an option without its value";
        } else if (ret->count == FILES_MAX) {
            return "too many files";
        } else {
            ret->files[ret->count++] = word;
        }
    }
    if (ret->env_name != NULL && (strlen(ret->env_name) >= NORMALISE_ENV_NAME_SIZE ||
                                  strpbrk(ret->env_name, " \t\r\n\v\f") != NULL)) {
        return "--env takes a name of at most 63 bytes, without blanks";
    }
    if (ret->time_ms < 1 || ret->time_ms > TIME_MS_MAX) {
        return "--time-ms is out of range";
    }
    return ret->count == 0 ? "which file?" : NULL;
}

/* The file's absolute path and the folder that it is in. */
static bool place_of(const char *name, char path[WORLD_PATH_SIZE], char folder[WORLD_PATH_SIZE])
{
    char here[WORLD_PATH_SIZE];
    return getcwd(here, sizeof here) != NULL && world_resolve(here, name, path) &&
           world_resolve(path, "..", folder);
}

/* The members that both commands have; the apps, or what is proposed of them, come beside. */
static json_t *row_of(const char *name, bool exists, const struct source *source,
                      struct report *report)
{
    json_t *errors = json_integer((json_int_t)report->errors);
    json_t *warnings = json_integer((json_int_t)report->warnings);
    return json_pack("{s:o, s:b, s:o, s:o, s:o, s:o}", "file", doc_text(name), "exists",
                     (int)exists, "read",
                     source->way == NULL ? json_null() : json_string(source->way), "findings",
                     report_take(report), "errors", errors, "warnings", warnings);
}

/* PM2 itself would not get to see them. */
static void none_starts(json_t *apps)
{
    size_t index;
    json_t *app;
    json_array_foreach(apps, index, app)
    {
        (void)json_object_set_new(app, "starts", json_false());
    }
}

static void hide_values(json_t *apps)
{
    size_t index;
    json_t *app;
    json_array_foreach(apps, index, app)
    {
        harmless_hide(app);
    }
}

static void put_apps(const struct options *options, json_t *row, json_t *apps_take)
{
    char zone[64];
    json_t *apps = apps_take == NULL ? json_array() : apps_take;
    if (options->adopt) {
        const struct propose_context context = {
            .known = options->known, .zone = world_zone(zone, sizeof zone) ? zone : NULL};
        (void)json_object_set_new(row, "processes", propose(apps, &context));
        json_decref(apps);
        return;
    }
    if (!options->values) {
        hide_values(apps);
    }
    (void)json_object_set_new(row, "apps", apps);
}

/* One file's row; NULL with *err. */
static json_t *treat(const struct options *options, const struct world *world, const char *name,
                     struct err *err)
{
    char path[WORLD_PATH_SIZE];
    char folder[WORLD_PATH_SIZE];
    struct report report;
    struct source source = {0};
    json_t *apps = NULL;
    if (!place_of(name, path, folder)) {
        (void)err_set(err, ERR_INVALID, "%s: the path is too long", name);
        return NULL;
    }
    report_init(&report, name);
    const struct source_request request = {.file = path,
                                           .name = name,
                                           .env_name = options->env_name,
                                           .time_ms = options->time_ms,
                                           .world = world};
    int rc = source_load(&request, &report, &source, err);
    report.places = source.places;
    if (rc == 0 && source.exported != NULL) {
        const struct normalise_input input = {.exported = source.exported,
                                              .frozen = source.frozen,
                                              .folder = folder,
                                              .env_name = options->env_name,
                                              .world = world};
        rc = normalise(&input, &report, &apps, err);
        if (source.unseen) {
            none_starts(apps);
        }
    }
    json_t *row = NULL;
    if (rc == 0 || rc == ERR_NOTFOUND) {
        row = row_of(name, rc == 0, &source, &report);
        put_apps(options, row, apps);
    }
    report_deinit(&report);
    source_deinit(&source);
    return row;
}

static json_t *treat_all(const struct options *options, const struct world *world)
{
    struct err err = {0};
    json_t *files = json_array();
    for (size_t i = 0; i < options->count; i++) {
        json_t *row = treat(options, world, options->files[i], &err);
        if (row == NULL) {
            (void)fprintf(stderr, "understudy-ecosystem: %s\n", err.msg);
            json_decref(files);
            return NULL;
        }
        (void)json_array_append_new(files, row);
    }
    return json_pack("{s:o}", "files", files);
}

int main(int argc, char *argv[])
{
    struct options options;
    struct world world;
    bool adopt = argc > 1 && strcmp(argv[1], "adopt") == 0;
    if (argc < 2 || (!adopt && strcmp(argv[1], "validate") != 0)) {
        return usage("the first word is validate or adopt");
    }
    const char *problem = read_options(argc - 2, argv + 2, &options);
    if (problem != NULL) {
        return usage(problem);
    }
    options.adopt = adopt;
    options.known = adopt ? json_loadf(stdin, 0, NULL) : NULL;
    world_of_host(&world, NULL);
    json_t *document = treat_all(&options, &world);
    char *text = document == NULL ? NULL : doc_dump(document);
    bool written = text != NULL && puts(text) >= 0 && fflush(stdout) == 0;
    free(text);
    json_decref(document);
    json_decref(options.known);
    return written ? EXIT_WRITTEN : EXIT_FAILED;
}
