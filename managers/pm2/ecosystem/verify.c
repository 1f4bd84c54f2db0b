/* What PM2 does with an app before it looks at its schema. A TypeError of its own there ends the
 * command line, and nothing of the file starts. */
#include "managers/pm2/ecosystem/js_value.h"
#include "managers/pm2/ecosystem/parts.h"

#include "managers/pm2/ecosystem/cron_pattern.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define NOTHING_STARTS "PM2 refuses it and starts nothing of the whole file"
#define DAEMON_DIES                                                                         \
    "PM2 checks it only in its daemon, which dies of it and at best comes back with every " \
    "app restarted; the start never returns"
#define PM2_ENDS "PM2 ends with a TypeError and starts nothing of the whole file"

const char *app_text(const json_t *object, const char *key)
{
    return json_string_value(json_object_get(object, key));
}

void app_reject(struct app *self, const char *key, const char *expected, const char *what)
{
    self->rejected = true;
    report_add(self->report, REPORT_ERROR, key, expected, "%s", what);
}

void app_fail(struct app *self, const char *key, const char *expected, const char *what)
{
    self->fails = true;
    report_add(self->report, REPORT_ERROR, key, expected, "%s", what);
}

static void set(struct app *self, const char *key, json_t *value_take)
{
    (void)json_object_set_new(self->given, key, value_take);
}

static void take_mode(struct app *self)
{
    json_t *mode = json_object_get(self->given, "exec_mode");
    if (!js_truthy(mode)) {
        return;
    }
    if (!json_is_string(mode)) {
        app_reject(self, "exec_mode", "fork or cluster", PM2_ENDS);
    } else if (strcmp(json_string_value(mode), "fork") == 0) {
        set(self, "exec_mode", json_string("fork_mode"));
    } else if (strcmp(json_string_value(mode), "cluster") == 0) {
        set(self, "exec_mode", json_string("cluster_mode"));
    }
}

/* Two other names of the script, which count only without it. */
static void take_command(struct app *self)
{
    static const char *const names[] = {"cmd", "command"};
    for (size_t i = 0; i < 2; i++) {
        json_t *command = json_object_get(self->given, names[i]);
        if (js_truthy(command) && !js_truthy(json_object_get(self->given, "script"))) {
            (void)json_object_set(self->given, "script", command);
            (void)json_object_del(self->given, names[i]);
        } else if (command != NULL) {
            report_add(self->report, REPORT_WARNING, names[i], NULL,
                       "PM2 ignores it: there is a script already");
        }
    }
}

/* The script's file name without its ending. */
static void take_name(struct app *self)
{
    const json_t *script = json_object_get(self->given, "script");
    if (js_truthy(json_object_get(self->given, "name")) || !js_truthy(script)) {
        return;
    }
    if (!json_is_string(script)) {
        app_reject(self, "script", "a text", PM2_ENDS);
        return;
    }
    const char *base;
    size_t length = world_basename(json_string_value(script), &base);
    size_t dot = length;
    while (dot > 0 && base[dot - 1] != '.') {
        dot--;
    }
    set(self, "name", json_stringn(base, dot > 1 ? dot - 1 : length));
}

static void take_words(struct app *self)
{
    char path[WORLD_PATH_SIZE];
    const json_t *script = json_object_get(self->given, "script");
    if (!js_truthy(script) || (!json_is_string(script) && !json_is_array(script))) {
        if (js_truthy(script) && !self->rejected) {
            app_reject(self, "script", "a text", PM2_ENDS);
        }
        return;
    }
    if (!json_is_string(script) || strchr(json_string_value(script), ' ') == NULL) {
        return;
    }
    const struct normalise_input *input = self->input;
    const char *shell = world_which(input->world, input->folder, "bash", path) ? "bash" : "sh";
    if (json_object_get(self->given, "args") != NULL) {
        report_add(self->report, REPORT_WARNING, "args", NULL,
                   "PM2 drops them: a script with a space in it becomes %s -c \"...\"", shell);
    }
    set(self, "args", json_pack("[s, O]", "-c", script));
    set(self, "script", json_string(shell));
    const char *interpreter = app_text(self->given, "exec_interpreter");
    interpreter = interpreter == NULL ? app_text(self->given, "interpreter") : interpreter;
    if (interpreter != NULL && strcmp(interpreter, "none") != 0) {
        report_add(self->report, REPORT_WARNING, "interpreter", "none",
                   "PM2 lets it run the program %s itself, which fails for most", shell);
    }
    report_add(self->report, REPORT_INFO, "script", NULL,
               "PM2 runs it as a command line: %s -c \"...\"", shell);
}

static void take_time(struct app *self)
{
    const char *format = app_text(self->given, "log_date_format");
    if (!js_truthy(json_object_get(self->given, "time"))) {
        return;
    }
    if (format != NULL && strcmp(format, "YYYY-MM-DDTHH:mm:ss") != 0) {
        report_add(self->report, REPORT_WARNING, "log_date_format", NULL,
                   "PM2 replaces it with YYYY-MM-DDTHH:mm:ss because of `time`");
    }
    set(self, "log_date_format", json_string("YYYY-MM-DDTHH:mm:ss"));
}

static void take_group(struct app *self, const struct world_user *user)
{
    char text[64];
    int64_t gid = user->gid;
    const json_t *group = json_object_get(self->given, "gid");
    const struct world *world = self->input->world;
    if (js_truthy(group) &&
        (!js_text(group, text, sizeof text) || !world->find_group(world->context, text, &gid))) {
        app_reject(self, "gid", "a group of this host", NOTHING_STARTS);
        return;
    }
    set(self, "gid", json_integer(gid));
}

static void take_user(struct app *self)
{
    char text[64];
    struct world_user user;
    const json_t *uid = json_object_get(self->given, "uid");
    const struct world *world = self->input->world;
    uid = js_truthy(uid) ? uid : json_object_get(self->given, "user");
    const char *key = json_object_get(self->given, "uid") == uid && uid != NULL ? "uid" : "user";
    if (!js_truthy(uid) && !js_truthy(json_object_get(self->given, "gid"))) {
        return;
    }
    if (!js_truthy(uid)) {
        app_reject(self, "gid", "uid beside it", NOTHING_STARTS);
    } else if (!world->root) {
        app_reject(self, key, NULL, "PM2 takes it from root alone, and starts nothing of the file");
    } else if (!js_text(uid, text, sizeof text) || !world->find_user(world->context, text, &user)) {
        app_reject(self, key, "a user of this host", NOTHING_STARTS);
    } else {
        if (json_is_object(json_object_get(self->given, "env"))) {
            (void)json_object_set_new(json_object_get(self->given, "env"), "HOME",
                                      json_string(user.home));
        }
        set(self, "uid", json_integer(user.uid));
        take_group(self, &user);
    }
}

/* value == false of JavaScript, for what can stand here. */
static bool loosely_false(const json_t *value)
{
    const char *text = json_string_value(value);
    return json_is_false(value) || (json_is_number(value) && json_number_value(value) == 0) ||
           (text != NULL && !js_is_nan(value) && !(js_float_text(text) != 0));
}

static bool loosely_true(const json_t *value)
{
    return json_is_true(value) || (json_is_number(value) && json_number_value(value) == 1) ||
           (json_is_string(value) && !js_is_nan(value) &&
            js_float_text(json_string_value(value)) == 1);
}

static void take_switches(struct app *self)
{
    if (loosely_true(json_object_get(self->given, "execute_command"))) {
        set(self, "exec_mode", json_string("fork"));
        (void)json_object_del(self->given, "execute_command");
        report_add(self->report, REPORT_INFO, "execute_command", NULL,
                   "PM2 makes exec_mode fork of it");
    }
    if (loosely_false(json_object_get(self->given, "automation"))) {
        set(self, "pmx", json_false());
    }
    if (js_truthy(json_object_get(self->given, "disable_trace"))) {
        set(self, "trace", json_false());
        (void)json_object_del(self->given, "disable_trace");
    }
    if (json_is_true(json_object_get(self->given, "trace")) ||
        json_is_true(json_object_get(self->given, "deep_monitoring"))) {
        report_add(self->report, REPORT_WARNING, "trace", NULL,
                   "PM2 installs OpenTelemetry packages from the network, or goes on without");
    }
}

static void take_instances(struct app *self)
{
    const char *text = app_text(self->given, "instances");
    if (text != NULL) {
        double count = strcmp(text, "max") == 0 ? 0 : js_int_text(text);
        if (strcmp(text, "max") != 0 && strspn(text, "-0123456789") != strlen(text)) {
            report_add(self->report, REPORT_WARNING, "instances", "a number, or max",
                       "PM2 takes \"%.40s\" as %.0f%s", text, isnan(count) ? 0 : count,
                       isnan(count) || count == 0 ? ": one for each processor" : "");
        }
        set(self, "instances", js_number(isnan(count) ? 0 : count));
    }
    const char *mode = app_text(self->given, "exec_mode");
    if ((mode == NULL || strcmp(mode, "cluster_mode") != 0) &&
        !js_truthy(json_object_get(self->given, "instances")) &&
        json_object_get(self->given, "merge_logs") == NULL) {
        const char *other =
            json_object_get(self->given, "combine_logs") != NULL ? "combine_logs" : "mergeLogs";
        if (json_is_false(json_object_get(self->given, other))) {
            report_add(self->report, REPORT_INFO, other, NULL,
                       "PM2 takes true: there is one process only");
        }
        set(self, "merge_logs", json_true());
    }
}

static void check_pattern(struct app *self, const char *key, const char *pattern, bool in_daemon)
{
    bool once = false;
    struct err err = {0};
    if (cron_pattern_check(pattern, &once, &err) != 0) {
        char text[REPORT_TEXT_MAX];
        (void)snprintf(text, sizeof text, "%s: %.90s", in_daemon ? DAEMON_DIES : NOTHING_STARTS,
                       err.msg);
        app_reject(self, key, "a cron pattern of five or six parts", text);
    } else if (once) {
        report_add(self->report, REPORT_WARNING, key, "a cron pattern",
                   "PM2 takes it as a point in time: one restart, then none");
    }
}

static void take_cron(struct app *self)
{
    static const char *const others[] = {"cron", "cronRestart"};
    const json_t *cron = json_object_get(self->given, "cron_restart");
    if (js_truthy(cron)) {
        if (json_is_string(cron) && strcmp(json_string_value(cron), "0") == 0) {
            return;
        }
        if (json_is_string(cron)) {
            check_pattern(self, "cron_restart", json_string_value(cron), false);
        } else {
            app_reject(self, "cron_restart", "a cron pattern, or 0 for none", NOTHING_STARTS);
        }
        return;
    }
    for (size_t i = 0; i < 2; i++) {
        const json_t *other = json_object_get(self->given, others[i]);
        if (!js_truthy(other)) {
            continue;
        }
        if (json_is_string(other)) {
            check_pattern(self, others[i], json_string_value(other), true);
        } else if (json_is_number(other)) {
            app_reject(self, others[i], "a cron pattern", DAEMON_DIES);
        }
        return;
    }
}

void app_verify(struct app *self)
{
    take_mode(self);
    take_command(self);
    if (!js_truthy(json_object_get(self->given, "env"))) {
        set(self, "env", json_object());
    }
    take_name(self);
    take_switches(self);
    take_words(self);
    take_time(self);
    take_user(self);
    take_instances(self);
    take_cron(self);
}
