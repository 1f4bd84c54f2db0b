#include "managers/pm2/ecosystem/normalise.h"

#include "managers/pm2/ecosystem/js_value.h"
#include "managers/pm2/ecosystem/parts.h"
#include "node/base/doc.h"

#include <stdio.h>
#include <string.h>

#define BASE_SIZE 64

/* ---- the top of the file ---- */

/* The list of apps as PM2 finds it, borrowed, with its place; a single one has no list. */
static json_t *find_apps(const json_t *exported, char base[BASE_SIZE])
{
    static const char *const keys[] = {"apps", "pm2"};
    for (size_t i = 0; i < 2; i++) {
        json_t *apps = json_object_get(exported, keys[i]);
        if (js_truthy(apps)) {
            (void)snprintf(base, BASE_SIZE, "/%s", keys[i]);
            return apps;
        }
    }
    base[0] = '\0';
    return doc_writable(exported);
}

static void tell_top(struct report *report, const json_t *exported, const char *base)
{
    static const char *const known[] = {"apps", "pm2", "deploy", "static"};
    void *at = json_object_iter(doc_writable(exported));
    for (; at != NULL && base[0] != '\0'; at = json_object_iter_next(doc_writable(exported), at)) {
        const char *key = json_object_iter_key(at);
        bool read = strcmp(key, base + 1) == 0;
        for (size_t i = 2; i < 4; i++) {
            read = read || strcmp(key, known[i]) == 0;
        }
        if (!read) {
            report_add(report, REPORT_WARNING, key, NULL,
                       strcmp(key, known[1]) == 0 ? "PM2 ignores it because of `apps`"
                                                  : "PM2 knows no such section and ignores it");
        }
    }
    if (json_object_get(exported, "deploy") != NULL) {
        report_add(report, REPORT_INFO, "deploy", NULL,
                   "it is for `pm2 deploy`; a start reads of it only the env of --env NAME");
    }
}

/* ---- one app ---- */

/* What is no object has nothing that PM2 could start. */
static void tell_no_object(struct app *self, const json_t *written)
{
    char text[REPORT_TEXT_MAX];
    if (json_is_null(written) || strcmp(js_type(written), "Undefined") == 0) {
        app_reject(self, NULL, "an object",
                   "PM2 ends with a TypeError and starts nothing of the whole file");
        return;
    }
    (void)snprintf(text, sizeof text, "PM2 does not start a value of type %.40s: no script path",
                   js_type(written));
    app_fail(self, NULL, "an object", text);
}

/* The app as a row of the result; a new reference. */
static json_t *row_of(struct app *self)
{
    json_t *row = json_object();
    const char *name = app_text(self->made, "name");
    (void)json_object_set_new(row, "name", name == NULL ? json_null() : json_string(name));
    (void)json_object_set_new(row, "starts", json_boolean(!self->rejected && !self->fails));
    (void)json_object_update_missing(row, self->made);
    return row;
}

static bool is_frozen(const struct app *self)
{
    size_t index;
    json_t *path;
    json_array_foreach(self->input->frozen, index, path)
    {
        if (strcmp(json_is_string(path) ? json_string_value(path) : "", self->report->base) == 0) {
            return true;
        }
    }
    return false;
}

/* PM2 looks at all apps of the file by their schema before it completes the first. */
static bool first_steps(struct app *self)
{
    if (!json_is_object(self->written) || js_mark(self->written) != NULL) {
        tell_no_object(self, self->written);
        return false;
    }
    app_verify(self);
    if (is_frozen(self)) {
        report_add(self->report, REPORT_WARNING, NULL, "an object that can be changed",
                   "PM2 cannot add what it derives (name, merge_logs) to a frozen object");
        json_decref(self->given);
        self->given = json_deep_copy(self->written);
    }
    app_convert(self);
    return true;
}

/* How an app is called in findings: by its name or its script, else by its place in the file. */
static void show_name(const json_t *written, const char *base, char ret[REPORT_TEXT_MAX])
{
    static const char *const scripts[] = {"script", "cmd", "command", "exec"};
    const char *name = app_text(written, "name");
    int length = (int)(name == NULL ? 0 : strlen(name));
    for (size_t i = 0; i < sizeof scripts / sizeof scripts[0] && length == 0; i++) {
        const char *script = app_text(written, scripts[i]);
        if (script != NULL) {
            length = (int)world_basename(script, &name);
            const char *dot = memrchr(name, '.', (size_t)length);
            length = dot == NULL || dot == name ? length : (int)(dot - name);
        }
    }
    if (length > 0) {
        (void)snprintf(ret, REPORT_TEXT_MAX, "%.*s", length, name);
    } else {
        (void)snprintf(ret, REPORT_TEXT_MAX, "%s", base[0] == '/' ? base + 1 : base);
    }
}

static json_t *treat(const struct normalise_input *input, struct report *report,
                     const json_t *written, const json_t *deploy, bool *ret_rejected)
{
    struct app app = {.input = input,
                      .report = report,
                      .deploy = deploy,
                      .written = written,
                      .given = json_is_object(written) ? json_deep_copy(written) : json_object(),
                      .made = json_object()};
    char shown[REPORT_TEXT_MAX];
    show_name(written, report->base, shown);
    report->app = shown[0] == '\0' ? NULL : shown;
    if (first_steps(&app)) {
        const char *name = app_text(app.made, "name");
        /* Of an app that is refused, what depends on what it was refused for is not told. */
        if (!app.rejected || (name != NULL && app_text(app.made, "script") != NULL)) {
            app_complete(&app);
        }
    }
    report->app = NULL;
    *ret_rejected = *ret_rejected || app.rejected;
    json_t *row = row_of(&app);
    json_decref(app.given);
    json_decref(app.made);
    return row;
}

/* ---- static sites ---- */

/* PM2 writes null as a text; what is not there vanishes with the rest that JSON does not hold. */
static json_t *secret_of(const json_t *access, const char *key)
{
    json_t *value = json_object_get(access, key);
    return js_truthy(access) && json_is_string(value) ? json_incref(value) : json_string("null");
}

static json_t *server_of(const struct normalise_input *input, struct report *report,
                         const json_t *site)
{
    static const char *const keys[] = {"port", "host",      "path",   "spa",
                                       "ftp",  "directory", "monitor"};
    static const char *const variables[] = {
        "PM2_SERVE_PORT", "PM2_SERVE_HOST",      "PM2_SERVE_PATH",   "PM2_SERVE_SPA",
        "PM2_SERVE_FTP",  "PM2_SERVE_DIRECTORY", "PM2_SERVE_MONITOR"};
    char name[REPORT_TEXT_MAX];
    char port[32];
    json_t *env = json_object();
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        json_t *value = json_object_get(site, keys[i]);
        if (value != NULL && js_mark(value) == NULL) {
            (void)json_object_set(env, variables[i], value);
        }
    }
    const json_t *access = json_object_get(site, "basic_auth");
    (void)json_object_set_new(env, "PM2_SERVE_BASIC_AUTH", json_boolean(access != NULL));
    (void)json_object_set_new(env, "PM2_SERVE_BASIC_AUTH_USERNAME", secret_of(access, "username"));
    (void)json_object_set_new(env, "PM2_SERVE_BASIC_AUTH_PASSWORD", secret_of(access, "password"));
    const char *given = doc_get_text(site, "name", "");
    if (!js_text(json_object_get(site, "port"), port, sizeof port)) {
        (void)snprintf(port, sizeof port, "undefined");
    }
    (void)snprintf(name, sizeof name, given[0] == '\0' ? "static-page-server-%s" : "%s",
                   given[0] == '\0' ? port : given);
    report->app = name;
    report_add(report, REPORT_INFO, NULL, NULL,
               "PM2 runs its own server of files, which is part of PM2");
    report->app = NULL;
    return json_pack("{s:o, s:b, s:s, s:n, s:s, s:s, s:i, s:s, s:o}", "name", doc_text(name),
                     "starts", 1, "namespace", "default", "pm_exec_path", "exec_interpreter",
                     "node", "exec_mode", "fork_mode", "instances", 1, "pm_cwd", input->folder,
                     "env", env);
}

static void treat_sites(const struct normalise_input *input, struct report *report, json_t *apps,
                        bool *ret_rejected)
{
    char base[BASE_SIZE];
    size_t index;
    json_t *site;
    json_t *sites = json_object_get(input->exported, "static");
    if (js_truthy(sites) && !json_is_array(sites)) {
        report_add(report, REPORT_ERROR, "static", "a list",
                   "PM2 ends with a TypeError and starts nothing of the whole file");
        *ret_rejected = true;
    }
    json_array_foreach(sites, index, site)
    {
        (void)snprintf(base, sizeof base, "/static/%zu", index);
        report->base = base;
        if (json_is_null(site)) {
            report_add(report, REPORT_ERROR, NULL, "an object",
                       "PM2 ends with a TypeError and starts nothing of the whole file");
            *ret_rejected = true;
        } else if (json_array_size(apps) < NORMALISE_APPS_MAX) {
            (void)json_array_append_new(apps, server_of(input, report, site));
        }
        report->base = "";
    }
}

/* ---- all of them ---- */

static void tell_same_names(struct report *report, const json_t *apps)
{
    json_t *seen = json_object();
    size_t index;
    json_t *app;
    json_array_foreach(apps, index, app)
    {
        const char *name = app_text(app, "name");
        if (name == NULL) {
            continue;
        }
        if (json_is_false(json_object_get(seen, name))) {
            report->app = name;
            report_add(report, REPORT_WARNING, NULL, "a name of its own",
                       "PM2 runs both; each command that names one means both");
            report->app = NULL;
        }
        (void)json_object_set_new(seen, name, json_boolean(json_object_get(seen, name) != NULL));
    }
    json_decref(seen);
}

static void tell_relative(struct report *report, const json_t *list, const char *folder)
{
    size_t index;
    json_t *app;
    json_array_foreach(list, index, app)
    {
        const char *cwd = app_text(app, "cwd");
        const char *script = app_text(app, "script");
        if ((cwd == NULL || cwd[0] != '/') && script != NULL && script[0] != '/') {
            report_add(report, REPORT_INFO, NULL, "an absolute cwd",
                       "PM2 counts relative paths from the folder in which `pm2 start` is called; "
                       "here they count from %.100s",
                       folder);
            return;
        }
    }
}

static void none_starts(json_t *apps)
{
    size_t index;
    json_t *app;
    json_array_foreach(apps, index, app)
    {
        (void)json_object_set_new(app, "starts", json_false());
    }
}

static json_t *treat_list(const struct normalise_input *input, struct report *report,
                          const json_t *list, const char *base, bool *ret_rejected)
{
    char place[BASE_SIZE * 2];
    json_t *ret = json_array();
    bool listed = json_is_array(list);
    const json_t *deploy = json_object_get(input->exported, "deploy");
    size_t count = listed ? json_array_size(list) : 1;
    for (size_t i = 0; i < count && i < NORMALISE_APPS_MAX; i++) {
        const json_t *written = listed ? json_array_get(list, i) : list;
        if (listed) {
            (void)snprintf(place, sizeof place, "%s/%zu", base, i);
        } else {
            (void)snprintf(place, sizeof place, "%s", base);
        }
        report->base = place;
        (void)json_array_append_new(ret, treat(input, report, written, deploy, ret_rejected));
        report->base = "";
    }
    if (count > NORMALISE_APPS_MAX) {
        report_add(report, REPORT_ERROR, NULL, NULL, "%zu apps; only %d of them were looked at",
                   count, NORMALISE_APPS_MAX);
    }
    return ret;
}

static void tell_doubled(struct report *report)
{
    const char *path;
    for (size_t i = 0; (path = places_doubled(report->places, i)) != NULL; i++) {
        report_add(report, REPORT_WARNING, path + 1, "one value",
                   "the key stands there twice; PM2 takes the last value");
    }
}

int normalise(const struct normalise_input *input, struct report *report, json_t **ret_apps,
              struct err *err)
{
    char base[BASE_SIZE];
    bool rejected = false;
    if (json_is_null(input->exported)) {
        report_add(report, REPORT_ERROR, NULL, "an object with apps",
                   "PM2 ends with a TypeError and starts nothing");
        *ret_apps = json_array();
        return *ret_apps == NULL ? err_set(err, ERR_NOMEM, "no memory for the apps") : 0;
    }
    const json_t *list = find_apps(input->exported, base);
    tell_doubled(report);
    tell_top(report, input->exported, base);
    if (json_is_array(list)) {
        tell_relative(report, list, input->folder);
    }
    json_t *apps = treat_list(input, report, list, base, &rejected);
    treat_sites(input, report, apps, &rejected);
    if (json_array_size(apps) == 0) {
        report_add(report, REPORT_ERROR, base[0] == '\0' ? NULL : base + 1, "at least one app",
                   "PM2 starts nothing, and says nothing");
    }
    if (rejected) {
        none_starts(apps);
    }
    tell_same_names(report, apps);
    if (apps == NULL || report->failed) {
        json_decref(apps);
        return err_set(err, ERR_NOMEM, "no memory for the apps");
    }
    *ret_apps = apps;
    return 0;
}
