/* An ecosystem file as PM2's normaliser of ours gets it. The first byte chooses: with --env or
 * without, root or not; the rest is JSON. */
#include "managers/pm2/ecosystem/cron_pattern.h"
#include "managers/pm2/ecosystem/harmless.h"
#include "managers/pm2/ecosystem/js_value.h"
#include "managers/pm2/ecosystem/normalise.h"
#include "managers/pm2/ecosystem/places.h"
#include "managers/pm2/ecosystem/propose.h"
#include "node/base/invariant.h"
#include "node/base/limits.h"

#include <stdlib.h>
#include <string.h>

#define TEXT_MAX 4096

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A host on which whatever has an even number of letters is there. */
static bool even(void *context, const char *path)
{
    (void)context;
    return strlen(path) % 2 == 0;
}

static bool find_user(void *context, const char *name, struct world_user *ret)
{
    *ret = (struct world_user){.uid = 7, .gid = 8, .home = "/home/x"};
    return even(context, name);
}

static bool find_group(void *context, const char *name, int64_t *ret_gid)
{
    *ret_gid = 9;
    return even(context, name);
}

static void check_app(const json_t *app, size_t errors)
{
    bool starts = json_is_true(json_object_get(app, "starts"));
    invariant(json_is_boolean(json_object_get(app, "starts")));
    invariant(starts || errors > 0);
    if (starts) {
        const char *path = json_string_value(json_object_get(app, "pm_exec_path"));
        invariant(json_object_get(app, "pm_exec_path") != NULL);
        invariant(path == NULL || json_object_get(app, "env") != NULL);
        invariant(json_object_get(app, "script") == NULL ||
                  json_object_get(json_object_get(app, "env"), "script") != NULL);
    }
}

/* Each name once, and only what can stand in a configuration. */
static void check_proposals(const json_t *apps)
{
    const struct propose_context context = {.zone = "Europe/Berlin", .listed = true};
    json_t *rows = propose(apps, &context);
    size_t index;
    json_t *row;
    json_array_foreach(rows, index, row)
    {
        const json_t *backups = json_object_get(row, "backups");
        bool proposed = strcmp(json_string_value(json_object_get(row, "state")), "proposed") == 0;
        invariant(json_array_size(backups) <= 2);
        invariant(proposed == (json_array_size(backups) > 0 ||
                               json_is_object(json_object_get(row, "primary"))));
        for (size_t i = 0; i < json_array_size(backups); i++) {
            const json_t *backup = json_array_get(backups, i);
            invariant(strlen(json_string_value(json_object_get(backup, "name"))) < NAME_SIZE);
            invariant(json_string_length(json_object_get(backup, "script")) > 0);
        }
    }
    json_decref(rows);
}

static void check_apps(json_t *apps, const struct report *report)
{
    size_t index;
    json_t *app;
    invariant(json_array_size(apps) <= NORMALISE_APPS_MAX);
    invariant(json_array_size(report->findings) <= REPORT_FINDINGS_MAX);
    json_array_foreach(apps, index, app)
    {
        check_app(app, report->errors);
        harmless_hide(app);
    }
    /* What comes out can be written again. */
    char *text = json_dumps(apps, JSON_COMPACT);
    invariant(text != NULL);
    free(text);
    check_proposals(apps);
}

static void treat(const char *text, size_t length, const json_t *exported, unsigned choice)
{
    struct report report;
    struct err err = {0};
    json_t *apps = NULL;
    const struct world world = {.exists = even,
                                .is_program = even,
                                .is_binary = even,
                                .find_user = find_user,
                                .find_group = find_group,
                                .path = "/bin:/usr/bin",
                                .home = "/home/x",
                                .user = "x",
                                .pm2_home = "/home/x/.pm2",
                                .node = "/bin/node",
                                .root = (choice & 2) != 0,
                                .processors = 2};
    struct places *places = places_of(text, length);
    const struct normalise_input input = {.exported = exported,
                                          .folder = "/srv",
                                          .env_name = (choice & 1) != 0 ? "x" : NULL,
                                          .world = &world};
    report_init(&report, "f.json");
    report.places = places;
    if (normalise(&input, &report, &apps, &err) == 0) {
        check_apps(apps, &report);
    }
    json_t *findings = report_take(&report);
    json_decref(findings);
    json_decref(apps);
    report_deinit(&report);
    places_destroy(&places);
}

/* What works on text alone. */
static void treat_text(const char *text)
{
    bool once;
    struct err err = {0};
    if (cron_pattern_check(text, &once, &err) != 0) {
        invariant(err.msg[0] != '\0');
    }
    (void)js_float_text(text);
    (void)js_int_text(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char text[TEXT_MAX];
    if (size == 0) {
        return 0;
    }
    const char *json = (const char *)data + 1;
    struct places *places = places_of(json, size - 1); /* of what is no JSON too */
    places_destroy(&places);
    (void)snprintf(text, sizeof text, "%.*s", (int)(size - 1), json);
    treat_text(text);
    json_t *exported = json_loadb(json, size - 1, JSON_DECODE_ANY, NULL);
    if (exported != NULL) {
        treat(json, size - 1, exported, data[0]);
        json_decref(exported);
    }
    return 0;
}
