/* The variables that an app gets from its file: env, the sections of --env, and what PM2 adds. */
#include "managers/pm2/ecosystem/js_value.h"
#include "managers/pm2/ecosystem/parts.h"
#include "node/base/doc.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KEY_SIZE 256
#define DEPTH_MAX 32

/* Fields of PM2's own that a variable of the same name replaces in its list. */
static bool is_field(const char *name)
{
    static const char *const others[] = {
        "pm_exec_path",     "pm_cwd",      "pm_out_log_path", "pm_err_log_path", "pm_log_path",
        "pm_pid_path",      "pm_id",       "status",          "pm_uptime",       "created_at",
        "restart_time",     "km_link",     "unique_id",       "axm_actions",     "axm_monitor",
        "axm_options",      "axm_dynamic", "vizion_running",  "versioning",      "exit_code",
        "unstable_restarts"};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        if (strcmp(others[i], name) == 0) {
            return true;
        }
    }
    return schema_find(name) != NULL;
}

/* Takes out what JSON cannot hold, as JSON.stringify does. */
static void drop_marks(json_t *value, int depth)
{
    const char *key;
    json_t *item;
    void *next;
    size_t index;
    json_array_foreach(value, index, item)
    {
        if (js_mark(item) != NULL || depth > DEPTH_MAX) {
            (void)json_array_set_new(value, index, json_null());
        } else {
            drop_marks(item, depth + 1);
        }
    }
    json_object_foreach_safe(value, next, key, item)
    {
        if (js_mark(item) != NULL || depth > DEPTH_MAX) {
            (void)json_object_del(value, key);
        } else {
            drop_marks(item, depth + 1);
        }
    }
}

/* A value that JSON does not hold. NULL: PM2's daemon never gets it, or what it gets is not known
 * here. A new reference. */
static json_t *as_odd_variable(struct app *self, const char *key, const char *mark)
{
    static const char *const lost[] = {"Function", "AsyncFunction", "GeneratorFunction", "Symbol",
                                       "NaN",      "Infinity",      "Circular",          "Deep"};
    enum { NUMBERS_FROM = 4, NUMBERS_TO = 6 };
    if (strcmp(mark, "BigInt") == 0) {
        app_reject(self, key, "a text",
                   "PM2 ends with a TypeError and starts nothing of the whole file");
        return NULL;
    }
    for (size_t i = 0; i < sizeof lost / sizeof lost[0]; i++) {
        if (strcmp(lost[i], mark) == 0) {
            report_add(self->report, REPORT_WARNING, key, "a text",
                       "PM2 does not hand on a value of type %s", lost[i]);
            return i >= NUMBERS_FROM && i < NUMBERS_TO ? json_null() : NULL; /* in PM2's list */
        }
    }
    bool date = strcmp(mark, "Date") == 0;
    report_add(self->report, REPORT_WARNING, key, "a text",
               "PM2 sets the variable to the JSON text of a value of type %.40s%s", mark,
               date ? ", with its quotes" : ": {}");
    return date ? NULL : json_string("{}");
}

/* Objects, lists and null as text. NULL: PM2's daemon never gets it. A new reference. */
static json_t *as_variable(struct app *self, const char *section, const char *name,
                           const json_t *value)
{
    char key[KEY_SIZE];
    (void)snprintf(key, sizeof key, "%s/%s", section, name);
    const char *mark = js_mark(value);
    if (mark != NULL) {
        return as_odd_variable(self, key, mark);
    }
    if (!json_is_object(value) && !json_is_array(value) && !json_is_null(value)) {
        return json_deep_copy(value);
    }
    json_t *copy = json_deep_copy(value);
    drop_marks(copy, 0);
    char *text = js_stringify(copy);
    json_decref(copy);
    report_add(self->report, REPORT_WARNING, key, "a text",
               "PM2 sets the variable to the JSON text of the value");
    json_t *ret = text == NULL ? NULL : json_string(text);
    free(text);
    return ret;
}

/* A section lies over `env` as it is: what is no text reaches no process. */
static void lay_object(struct app *self, const char *section, const json_t *values, json_t *env)
{
    char key[KEY_SIZE];
    void *at = json_object_iter(doc_writable(values));
    for (; at != NULL; at = json_object_iter_next(doc_writable(values), at)) {
        const char *name = json_object_iter_key(at);
        json_t *value = json_object_iter_value(at);
        (void)snprintf(key, sizeof key, "%s/%s", section, name);
        if (js_mark(value) != NULL) {
            report_add(self->report, REPORT_WARNING, key, "a text",
                       "PM2 does not hand on a value of type %.40s", js_mark(value));
            (void)json_object_del(env, name);
            continue;
        }
        if (json_is_object(value) || json_is_array(value) || json_is_null(value)) {
            report_add(self->report, REPORT_WARNING, key, "a text",
                       "PM2 gives the process no such variable: in a section it makes no text of "
                       "a value of type %s",
                       js_type(value));
        }
        json_t *copy = json_deep_copy(value);
        drop_marks(copy, 0);
        (void)json_object_set_new(env, name, copy);
    }
}

/* Object.assign of a text: one variable for each character. */
static void lay_text(struct app *self, const char *section, const char *text, json_t *env)
{
    char name[24];
    report_add(self->report, REPORT_WARNING, section, "an object",
               "PM2 makes a variable of each character: 0, 1, 2, ...");
    for (size_t i = 0; text[i] != '\0' && i < KEY_SIZE && (unsigned char)text[i] < 0x80; i++) {
        (void)snprintf(name, sizeof name, "%zu", i);
        (void)json_object_set_new(env, name, json_stringn(&text[i], 1));
    }
}

static void lay_section(struct app *self, json_t *env)
{
    char key[KEY_SIZE];
    const char *name = self->input->env_name;
    const json_t *deployed = json_object_get(json_object_get(self->deploy, name), "env");
    if (json_is_object(deployed) && json_object_size(deployed) > 0) {
        report_add(self->report, REPORT_INFO, NULL, NULL,
                   "PM2 lays deploy.%.40s.env over `env` of the app", name);
        lay_object(self, "env", deployed, env);
    }
    (void)snprintf(key, sizeof key, "env_%s", name);
    const json_t *section = json_object_get(self->made, key);
    if (section == NULL) {
        report_add(self->report, REPORT_WARNING, NULL, key,
                   "PM2 warns that the app has no such section, and starts it without");
    } else if (json_is_string(section)) {
        lay_text(self, key, json_string_value(section), env);
    } else {
        lay_object(self, key, section, env);
    }
}

static void tell_replaced_fields(struct app *self, const json_t *env)
{
    char key[KEY_SIZE];
    void *at = json_object_iter(doc_writable(env));
    for (; at != NULL; at = json_object_iter_next(doc_writable(env), at)) {
        const char *name = json_object_iter_key(at);
        json_t *value = json_object_iter_value(at);
        (void)snprintf(key, sizeof key, "env/%s", name);
        if (is_field(name) && !json_is_object(value)) {
            if (strcmp(name, "io") != 0) { /* which the key of that name put there */
                report_add(self->report, REPORT_WARNING, key, "another name of the variable",
                           "PM2 also takes it for its own field `%.40s` of the process", name);
            }
            if (strcmp(name, "env") != 0 && strcmp(name, "instances") != 0) {
                (void)json_object_set(self->made, name, value);
            }
        }
    }
}

void app_environment(struct app *self)
{
    json_t *given = json_object_get(self->made, "env");
    json_t *env = json_object();
    const char *name = app_text(self->made, "name");
    const char *key;
    json_t *value;
    json_object_foreach(given, key, value)
    {
        json_t *variable = as_variable(self, "env", key, value);
        if (variable != NULL) {
            (void)json_object_set_new(env, key, variable);
        }
    }
    if (name != NULL && json_object_get(env, name) != NULL) {
        char path[KEY_SIZE];
        (void)snprintf(path, sizeof path, "env/%s", name);
        report_add(self->report, REPORT_WARNING, path, "another name of the variable",
                   "PM2 replaces a variable named as its app with {}");
        (void)json_object_set_new(env, name, json_string("{}"));
    }
    if (self->input->env_name != NULL) {
        lay_section(self, env);
    }
    (void)json_object_set_new(self->made, "env", env);
    tell_replaced_fields(self, env);
}
