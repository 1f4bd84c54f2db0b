#include "managers/pm2/ecosystem/propose.h"

#include "managers/pm2/ecosystem/harmless.h"
#include "managers/pm2/ecosystem/js_value.h"
#include "node/base/doc.h"
#include "node/base/limits.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#define COUNT_OF(array) (sizeof(array) / sizeof(array)[0])
#define TEXT_SIZE 4096 /* of a path or an argument in the configuration */
#define NOTE_SIZE 256
#define LEFT_OUT_MAX 64
#define MB (1024.0 * 1024)
#define HOUR_MS 3600000.0
#define LONGEST_SUFFIX "-cron-backup-enhanced"

struct making {
    const json_t *app;
    const struct propose_context *context;
    const char *name;
    json_t *notes;
    json_t *env_left_out;
};

static void note(struct making *self, const char *text)
{
    (void)json_array_append_new(self->notes, json_string(text));
}

/* ---- what is known already ---- */

static bool primary_known(const struct propose_context *context, const char *name)
{
    size_t index;
    json_t *item;
    json_array_foreach(json_object_get(context->known, "primaries"), index, item)
    {
        if (json_is_string(item) && strcmp(json_string_value(item), name) == 0) {
            return true;
        }
    }
    return false;
}

/* It has a backup, whatever that is called; or one of that name is there. */
static bool backup_known(const struct propose_context *context, const char *primary,
                         const char *name)
{
    size_t index;
    json_t *item;
    json_array_foreach(json_object_get(context->known, "backups"), index, item)
    {
        if (strcmp(doc_get_text(item, "stands_in_for", ""), primary) == 0 ||
            strcmp(doc_get_text(item, "name", ""), name) == 0) {
            return true;
        }
    }
    return false;
}

/* ---- values as they are written ---- */

/* A size for the configuration, whole megabytes; NULL: there is no limit. */
static json_t *memory_of(struct making *self)
{
    char text[32];
    double bytes = json_number_value(json_object_get(self->app, "max_memory_restart"));
    if (!(bytes > 0)) {
        return NULL;
    }
    if (bytes < MB || bytes > MB * MB) {
        note(self, "max_memory_restart is left out: it is no limit from 1 MB to 1 TB");
        return NULL;
    }
    (void)snprintf(text, sizeof text, "%.0fMB", ceil(bytes / MB));
    return json_string(text);
}

/* Milliseconds within bounds; NULL: not given. */
static json_t *duration_of(struct making *self, const char *key, double least, double most)
{
    char text[NOTE_SIZE];
    const json_t *value = json_object_get(self->app, key);
    double ms = json_number_value(value);
    if (!json_is_number(value) || ms <= 0) {
        return NULL;
    }
    if (ms < least || ms > most) {
        (void)snprintf(text, sizeof text, "%.40s is left out: it is out of range", key);
        note(self, text);
        return NULL;
    }
    (void)snprintf(text, sizeof text, "%.0fms", ms);
    return json_string(text);
}

static void set(json_t *object, const char *key, json_t *value_take)
{
    if (value_take != NULL) {
        (void)json_object_set_new(object, key, value_take);
    }
}

/* ---- the program ---- */

static bool ends_with(const char *text, const char *ending)
{
    size_t length = strlen(text);
    size_t tail = strlen(ending);
    return length > tail && strcmp(text + length - tail, ending) == 0;
}

/* What runs a script of that name when the configuration names nothing; NULL: itself. */
static const char *own_interpreter(const char *script)
{
    static const char *const known[][2] = {{".js", "node"}, {".mjs", "node"},   {".cjs", "node"},
                                           {".sh", "bash"}, {".py", "python3"}, {".rb", "ruby"},
                                           {".pl", "perl"}, {".php", "php"}};
    for (size_t i = 0; i < COUNT_OF(known); i++) {
        if (ends_with(script, known[i][0])) {
            return known[i][1];
        }
    }
    return NULL;
}

/* Two words for the same program: "node" and "/usr/bin/node", "python" and "python3". */
static bool same_program(const char *a, const char *b)
{
    const char *slash = strrchr(a, '/');
    const char *base = slash == NULL ? a : slash + 1;
    return strcmp(base, b) == 0 || (strcmp(base, "python") == 0 && strcmp(b, "python3") == 0);
}

/* All words, or NULL with a note: one of them may be a secret. A new list. */
static json_t *words_of(struct making *self, const char *key)
{
    const json_t *words = json_object_get(self->app, key);
    json_t *ret = json_array();
    char text[TEXT_SIZE];
    size_t count = json_is_array(words) ? json_array_size(words) : (words == NULL ? 0 : 1);
    for (size_t i = 0; i < count; i++) {
        const json_t *word = json_is_array(words) ? json_array_get(words, i) : words;
        if (json_is_null(word)) {
            continue;
        }
        if (!js_text(word, text, sizeof text) || !harmless_argument(text)) {
            char what[NOTE_SIZE];
            (void)snprintf(what, sizeof what,
                           "%s are left out: they may hold a secret, or are too long", key);
            note(self, what);
            json_decref(ret);
            return NULL;
        }
        (void)json_array_append_new(ret, json_string(text));
    }
    return ret;
}

/* Relative to the folder when it is below it. */
static const char *script_below(const char *script, const char *cwd)
{
    size_t length = cwd == NULL ? 0 : strlen(cwd);
    bool below = length > 1 && strncmp(script, cwd, length) == 0 && script[length] == '/' &&
                 script[length + 1] != '\0';
    return below ? script + length + 1 : script;
}

/* node with arguments of its own: the program is node, the script an argument. */
static void put_with_interpreter(json_t *backup, const char *interpreter, json_t *own_words_take,
                                 const char *script, json_t *words_take)
{
    set(backup, "script", json_string(interpreter));
    (void)json_array_append_new(own_words_take, json_string(script));
    (void)json_array_extend(own_words_take, words_take);
    json_decref(words_take);
    set(backup, "args", own_words_take);
}

static void put_program(struct making *self, json_t *backup)
{
    const char *script = doc_get_text(self->app, "pm_exec_path", "");
    const char *cwd = doc_get_text(self->app, "pm_cwd", NULL);
    const char *interpreter = doc_get_text(self->app, "exec_interpreter", "none");
    const char *own = own_interpreter(script);
    json_t *words = words_of(self, "args");
    json_t *own_words = strcmp(interpreter, "none") == 0 ? NULL : words_of(self, "node_args");
    words = words == NULL ? json_array() : words;
    if (json_array_size(own_words) > 0) {
        put_with_interpreter(backup, interpreter, own_words, script, words);
    } else {
        json_decref(own_words);
        set(backup, "script", json_string(script_below(script, cwd)));
        if (json_array_size(words) > 0) {
            (void)json_object_set(backup, "args", words);
        }
        json_decref(words);
        bool none = strcmp(interpreter, "none") == 0;
        if (none ? own != NULL : own == NULL || !same_program(interpreter, own)) {
            set(backup, "interpreter", json_string(interpreter));
        }
    }
    set(backup, "cwd", cwd == NULL ? NULL : json_string(cwd));
}

/* ---- its environment ---- */

/* What every shell has, and what PM2 adds: none of the app's own. */
static bool of_the_caller(const char *name, const char *app)
{
    static const char *const names[] = {"PATH",
                                        "HOME",
                                        "USER",
                                        "SHELL",
                                        "PWD",
                                        "OLDPWD",
                                        "LANG",
                                        "LANGUAGE",
                                        "TERM",
                                        "SHLVL",
                                        "LOGNAME",
                                        "MAIL",
                                        "_",
                                        "HOSTNAME",
                                        "EDITOR",
                                        "PAGER",
                                        "LS_COLORS",
                                        "LESSOPEN",
                                        "LESSCLOSE",
                                        "COLORTERM",
                                        "DISPLAY",
                                        "INVOCATION_ID",
                                        "JOURNAL_STREAM",
                                        "unique_id",
                                        "NODE_APP_INSTANCE",
                                        "DEBIAN_FRONTEND",
                                        "PM2_HOME"};
    static const char *const prefixes[] = {"PM2_",     "LC_",         "SSH_",   "XDG_",
                                           "DBUS_",    "SUDO_",       "npm_",   "NVM_",
                                           "SYSTEMD_", "UNDERSTUDY_", "VSCODE_"};
    bool found = strcmp(name, app) == 0;
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        found = found || strcmp(name, names[i]) == 0;
    }
    for (size_t i = 0; i < COUNT_OF(prefixes); i++) {
        found = found || strncmp(name, prefixes[i], strlen(prefixes[i])) == 0;
    }
    return found;
}

/* A name that the configuration takes for a variable. */
static bool good_variable(const char *name)
{
    size_t length = strlen(name);
    for (size_t i = 0; i < length; i++) {
        if (!isalnum((unsigned char)name[i]) && name[i] != '_') {
            return false;
        }
    }
    return length > 0 && length < NAME_SIZE && !isdigit((unsigned char)name[0]);
}

static void put_environment(struct making *self, json_t *backup)
{
    char text[TEXT_SIZE];
    json_t *env = json_object();
    const char *name;
    json_t *value;
    json_object_foreach(json_object_get(self->app, "env"), name, value)
    {
        if (self->context->listed && of_the_caller(name, self->name)) {
            continue;
        }
        if (good_variable(name) && harmless(name, value) && js_text(value, text, sizeof text)) {
            set(env, name, json_string(text));
        } else if (json_array_size(self->env_left_out) < LEFT_OUT_MAX) {
            (void)json_array_append_new(self->env_left_out, doc_text(name));
        }
    }
    if (json_object_size(env) > 0) {
        (void)json_object_set(backup, "env", env);
    }
    json_decref(env);
}

/* ---- backups ---- */

static json_t *begin_backup(const struct making *self, const char *suffix)
{
    char name[NAME_SIZE];
    (void)snprintf(name, sizeof name, "%s%s", self->name, suffix);
    return json_pack("{s:s}", "name", name);
}

/* What both tiers say of restarts. */
static json_t *restarts_of(struct making *self)
{
    json_t *ret = json_object();
    json_t *delay = duration_of(self, "restart_delay", 1, 24 * HOUR_MS);
    json_t *backoff = duration_of(self, "exp_backoff_restart_delay", 1, HOUR_MS);
    if (delay != NULL && backoff == NULL) {
        set(ret, "restart_delay", delay);
    } else {
        json_decref(delay);
        set(ret, "exp_backoff", backoff == NULL ? json_string("100ms") : backoff);
    }
    return ret;
}

static json_t *standing_backup(const struct making *self, bool enhanced, const json_t *common,
                               const json_t *restarts)
{
    const json_t *most = json_object_get(self->app, "max_restarts");
    double count = json_number_value(most);
    bool given = json_is_number(most) && count >= 0 && count <= 10000;
    json_t *backup = begin_backup(self, enhanced ? "-backup-enhanced" : "-backup");
    set(backup, "stands_in_for", json_string(self->name));
    set(backup, "tier", json_string(enhanced ? "enhanced" : "standard"));
    (void)json_object_update(backup, doc_writable(common));
    set(backup, "max_restarts", json_integer(given ? (json_int_t)count : (enhanced ? 20 : 15)));
    (void)json_object_update(backup, doc_writable(restarts));
    return backup;
}

/* Five fields of what both PM2 and the cluster's schedules know. */
static bool simple_cron(const char *pattern)
{
    size_t fields = 0;
    for (const char *at = pattern + strspn(pattern, " "); *at != '\0'; at += strspn(at, " ")) {
        fields++;
        at += strcspn(at, " ");
    }
    return fields == 5 && strlen(pattern) < 120 &&
           strspn(pattern, " *,-/0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ") ==
               strlen(pattern) &&
           strpbrk(pattern, "L") == NULL;
}

static json_t *cron_backup(struct making *self, const json_t *common, const char *pattern)
{
    const char *zone = self->context->zone;
    json_t *backup = begin_backup(self, "-cron-backup");
    set(backup, "mode", json_string("cron"));
    set(backup, "cron", json_string(pattern));
    if (zone != NULL && strcmp(zone, "UTC") != 0 && strcmp(zone, "Etc/UTC") != 0) {
        set(backup, "zone", json_string(zone));
    }
    (void)json_object_update(backup, doc_writable(common));
    note(self, "it runs at these times itself: take cron_restart out of PM2 first, or it runs "
               "twice");
    return backup;
}

/* The daemon refuses one that a grant could not wait for. */
static json_t *kill_timeout_of(struct making *self)
{
    char text[NOTE_SIZE];
    double ms = json_number_value(json_object_get(self->app, "kill_timeout"));
    if (ms <= PROPOSE_KILL_TIMEOUT_MS_MAX) {
        return duration_of(self, "kill_timeout", 100, PROPOSE_KILL_TIMEOUT_MS_MAX);
    }
    (void)snprintf(text, sizeof text,
                   "kill_timeout is left out: %.0f ms is more than grants.ttl (default 5s) minus "
                   "2.5s; raise that first",
                   ms);
    note(self, text);
    return NULL;
}

static json_t *common_of(struct making *self)
{
    json_t *common = json_object();
    put_program(self, common);
    put_environment(self, common);
    set(common, "memory", memory_of(self));
    set(common, "kill_timeout", kill_timeout_of(self));
    return common;
}

/* ---- one row ---- */

static bool good_name(const char *name)
{
    size_t length = strlen(name);
    for (size_t i = 0; i < length; i++) {
        if (!isalnum((unsigned char)name[i]) && strchr("._-", name[i]) == NULL) {
            return false;
        }
    }
    return length > 0 && length + strlen(LONGEST_SUFFIX) < NAME_SIZE &&
           isalnum((unsigned char)name[0]);
}

/* Why nothing is proposed; NULL: it can be. */
static const char *reason_against(const json_t *app, const char *name)
{
    const char *script = doc_get_text(app, "pm_exec_path", NULL);
    if (js_truthy(json_object_get(app, "pmx_module"))) {
        return "a module of PM2";
    }
    if (!good_name(name)) {
        return "the name cannot stand in the configuration: at most 42 letters, digits, \".\", "
               "\"_\" or \"-\"; name it otherwise in PM2";
    }
    if (script == NULL || script[0] != '/') {
        return json_object_get(app, "starts") == NULL || doc_get_bool(app, "starts", false)
                   ? "it has no program of its own"
                   : "PM2 does not start it; see `validate ecosystem`";
    }
    return strlen(script) >= TEXT_SIZE ? "its path is too long" : NULL;
}

static bool is_ours(const json_t *app)
{
    return strcmp(doc_get_text(app, "namespace", ""), "understudy") == 0 ||
           json_object_get(json_object_get(app, "env"), "UNDERSTUDY_DUTY") != NULL;
}

static void tell_instances(struct making *self)
{
    if (doc_get_integer(self->app, "instances", 1) > 1) {
        note(self, "it has several instances; a backup is one process");
    }
    if (json_is_false(json_object_get(self->app, "starts"))) {
        note(self, "PM2 does not start it as the file is; see `validate ecosystem`");
    }
}

static void make_standing(struct making *self, json_t *row)
{
    char name[NAME_SIZE + 32];
    json_t *backups = json_object_get(row, "backups");
    bool primary = !primary_known(self->context, self->name);
    (void)snprintf(name, sizeof name, "%s-backup", self->name);
    bool backup = !backup_known(self->context, self->name, name);
    json_t *common = primary || backup ? common_of(self) : json_object();
    if (primary) {
        json_t *made = json_pack("{s:s, s:O*}", "name", self->name, "memory",
                                 json_object_get(common, "memory"));
        set(row, "primary", made);
    }
    if (backup) {
        json_t *restarts = restarts_of(self);
        (void)json_array_append_new(backups, standing_backup(self, false, common, restarts));
        (void)json_array_append_new(backups, standing_backup(self, true, common, restarts));
        json_decref(restarts);
    }
    json_decref(common);
}

static void make_cron(struct making *self, json_t *row, const char *pattern)
{
    char name[NAME_SIZE + 32];
    (void)snprintf(name, sizeof name, "%s-cron-backup", self->name);
    if (!backup_known(self->context, self->name, name)) {
        json_t *common = common_of(self);
        (void)json_array_append_new(json_object_get(row, "backups"),
                                    cron_backup(self, common, pattern));
        json_decref(common);
    }
}

/* A job that ends by itself and comes again at its times; one that PM2 starts again when it ends is
 * a service, whatever its cron_restart. */
static void make(struct making *self, json_t *row)
{
    const char *pattern = doc_get_text(self->app, "cron_restart", "");
    bool job = pattern[0] != '\0' && json_is_false(json_object_get(self->app, "autorestart"));
    tell_instances(self);
    if (job && simple_cron(pattern)) {
        make_cron(self, row, pattern);
    } else if (job) {
        set(row, "state", json_string("left_out"));
        set(row, "why",
            json_string("its cron pattern is not of five plain fields; write a backup "
                        "in mode cron by hand"));
        return;
    } else {
        if (pattern[0] != '\0') {
            note(self, "PM2 restarts it by cron_restart; a backup is not restarted at times");
        }
        make_standing(self, row);
    }
    bool nothing = json_is_null(json_object_get(row, "primary")) &&
                   json_array_size(json_object_get(row, "backups")) == 0;
    set(row, "state", json_string(nothing ? "configured" : "proposed"));
}

static json_t *row_of(const json_t *app, const char *name, const struct propose_context *context)
{
    const char *against = reason_against(app, name);
    const json_t *instances = json_object_get(app, "instances");
    json_t *row = json_pack(
        "{s:s, s:o, s:o, s:s, s:o, s:o, s:n, s:[], s:[], s:[]}", "kind", "process", "name",
        doc_text(name), "script", doc_text(doc_get_text(app, "pm_exec_path", NULL)), "state",
        "left_out", "why", against == NULL ? json_null() : json_string(against), "instances",
        json_is_number(instances) ? json_deep_copy(instances) : json_integer(1), "primary",
        "backups", "env_left_out", "notes");
    struct making making = {.app = app,
                            .context = context,
                            .name = name,
                            .notes = json_object_get(row, "notes"),
                            .env_left_out = json_object_get(row, "env_left_out")};
    if (is_ours(app)) {
        set(row, "state", json_string("ours"));
        set(row, "why", json_string("a backup that the cluster runs"));
    } else if (against == NULL) {
        make(&making, row);
    }
    return row;
}

json_t *propose(const json_t *apps, const struct propose_context *context)
{
    json_t *ret = json_array();
    json_t *seen = json_object();
    size_t index;
    json_t *app;
    json_array_foreach(doc_writable(apps), index, app)
    {
        const char *name = doc_get_text(app, "name", "");
        if (json_object_get(seen, name) == NULL && json_array_size(ret) < PROPOSE_ROWS_MAX) {
            (void)json_array_append_new(ret, row_of(app, name, context));
            (void)json_object_set_new(seen, name, json_true());
        }
    }
    json_decref(seen);
    return ret;
}
