#include "managers/pm2/settings.h"

#include "managers/pm2/watch/loop.h"
#include "node/base/doc.h"
#include "node/base/pattern.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static_assert(4 + NAME_SIZE <= DUTY_ID_SIZE, "a duty's id holds pm2/ and any name");

static int copy_name(const json_t *object, const char *key, bool needed, char ret[NAME_SIZE],
                     struct err *err)
{
    const char *text = doc_get_text(object, key, "");
    if (strlen(text) >= NAME_SIZE || (needed && text[0] == '\0')) {
        return err_set(err, ERR_INVALID, "%s \"%.70s\" is missing or too long", key, text);
    }
    memcpy(ret, text, strlen(text) + 1);
    return 0;
}

static int read_places(const json_t *object, struct settings_places *ret, struct err *err)
{
    const json_t *list = json_object_get(object, "on");
    if (json_array_size(list) > MANAGER_PLACES_MAX) {
        return err_set(err, ERR_INVALID, "on names more than %d nodes", MANAGER_PLACES_MAX);
    }
    size_t index;
    json_t *item;
    json_array_foreach(list, index, item)
    {
        const char *text = json_string_value(item);
        if (text == NULL || strlen(text) >= NAME_SIZE) {
            return err_set(err, ERR_INVALID, "on: element %zu is no node's name", index);
        }
        memcpy(ret->nodes[ret->count++], text, strlen(text) + 1);
    }
    return 0;
}

static int read_labels(const json_t *object, struct settings_backup *ret, struct err *err)
{
    const char *key;
    json_t *value;
    json_object_foreach(json_object_get(object, "labels"), key, value)
    {
        const char *text = json_string_value(value);
        if (text == NULL || ret->label_count == MANAGER_LABELS_MAX ||
            snprintf(ret->labels[ret->label_count++], NAME_SIZE, "%s=%s", key, text) >= NAME_SIZE) {
            return err_set(err, ERR_INVALID, "labels: at most %d, each of at most %d bytes",
                           MANAGER_LABELS_MAX, NAME_SIZE - 1);
        }
    }
    return 0;
}

static int64_t bounded(const json_t *object, const char *key, int64_t fallback, int64_t most)
{
    int64_t value = doc_get_integer(object, key, fallback);
    return value < 0 ? 0 : value > most ? most : value;
}

static const int64_t hour_ms = 3600 * INT64_C(1000);
static const int64_t day_ms = INT64_C(24) * 3600 * 1000;

static int read_patterns(const json_t *object, struct settings_primary *ret, struct err *err)
{
    const json_t *list = json_object_get(object, "log_errors");
    size_t index;
    json_t *item;
    json_array_foreach(list, index, item)
    {
        const char *text = json_string_value(item);
        regex_t regex;
        if (text == NULL || ret->pattern_count == SETTINGS_PATTERNS_MAX) {
            return err_set(err, ERR_INVALID, "log_errors: at most %d texts", SETTINGS_PATTERNS_MAX);
        }
        if (pattern_compile(text, &regex, err) != 0) {
            return err_wrap(err, "log_errors");
        }
        regfree(&regex);
        ret->patterns[ret->pattern_count++] = text;
    }
    return 0;
}

static void read_figures(const json_t *object, struct settings_backup *ret)
{
    const json_t *unreachable = json_object_get(object, "when_unreachable");
    ret->settle_ms = bounded(object, "settle_ms", 10000, day_ms);
    ret->start_after_ms = bounded(unreachable, "start_after_ms", 30000, day_ms);
    if (doc_get_bool(unreachable, "wait", false)) {
        ret->start_after_ms = -1;
    }
    ret->memory_bytes = bounded(object, "memory_bytes", 0, INT64_MAX);
    ret->kill_timeout_ms = bounded(object, "kill_timeout_ms", 1600, hour_ms);
    ret->max_restarts = bounded(object, "max_restarts", 15, 10000);
    ret->exp_backoff_ms = bounded(object, "exp_backoff_ms", 100, hour_ms);
    ret->restart_delay_ms = bounded(object, "restart_delay_ms", 0, day_ms);
    ret->start_within_ms = bounded(object, "start_within_ms", 30000, day_ms);
    ret->retry_after_ms = bounded(object, "retry_after_ms", 300000, day_ms);
    ret->priority = doc_get_integer(object, "priority", 0);
}

/* What is run, and how. */
static int read_process(const json_t *object, const char *what, struct settings_backup *ret,
                        struct err *err)
{
    memcpy(ret->duty, "pm2/", 4);
    memcpy(ret->duty + 4, ret->name, sizeof ret->name);
    read_figures(object, ret);
    ret->script = doc_get_text(object, "script", NULL);
    ret->cwd = doc_get_text(object, "cwd", NULL);
    ret->interpreter = doc_get_text(object, "interpreter", NULL);
    ret->args = json_object_get(object, "args");
    ret->env = json_object_get(object, "env");
    if (ret->script == NULL || ret->script[0] == '\0') {
        return err_set(err, ERR_INVALID, "%s %s has no script", what, ret->name);
    }
    return 0;
}

static int read_primary(const json_t *object, struct settings_primary *ret, struct err *err)
{
    ret->critical = doc_get_bool(object, "critical", false);
    ret->memory_bytes = bounded(object, "memory_bytes", 0, INT64_MAX);
    ret->cpu_percent = bounded(object, "cpu", 0, 1000000);
    ret->over_ms = bounded(object, "over_ms", 60000, day_ms);
    ret->guarded = doc_get_bool(object, "guarded", false);
    ret->mend = doc_get_bool(object, "mend", true) && !ret->guarded; /* that is started anew */
    int rc = copy_name(object, "name", true, ret->name, err);
    if (rc == 0) {
        rc = read_patterns(object, ret, err);
    }
    if (rc == 0) {
        rc = read_places(object, &ret->on, err);
    }
    if (rc != 0 || !ret->guarded) {
        return rc;
    }
    memcpy(ret->own.name, ret->name, sizeof ret->own.name);
    ret->own.on = ret->on;
    return read_process(object, "guarded primary", &ret->own, err);
}

static int read_mode(const json_t *object, enum settings_mode *ret, struct err *err)
{
    static const char *const names[] = {"standby", "always", "cron"};
    const char *mode = doc_get_text(object, "mode", "standby");
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(mode, names[i]) == 0) {
            *ret = (enum settings_mode)i;
            return 0;
        }
    }
    return err_set(err, ERR_INVALID, "mode \"%.32s\" is none of standby, always, cron", mode);
}

/* Its copy `number`, from 1: the second is NAME-2. */
static int read_backup(const json_t *object, int64_t number, struct settings_backup *ret,
                       struct err *err)
{
    int rc = copy_name(object, "name", true, ret->name, err);
    if (rc == 0 && number > 1) {
        size_t length = strlen(ret->name);
        int added = snprintf(ret->name + length, NAME_SIZE - length, "-%lld", (long long)number);
        rc = (size_t)added >= NAME_SIZE - length
                 ? err_set(err, ERR_INVALID, "the name of a copy of %s is too long", ret->name)
                 : 0;
    }
    if (rc == 0) {
        rc = copy_name(object, "stands_in_for", false, ret->stands_in_for, err);
    }
    if (rc == 0) {
        rc = read_places(object, &ret->on, err);
    }
    if (rc == 0) {
        rc = read_labels(object, ret, err);
    }
    if (rc == 0) {
        rc = read_mode(object, &ret->mode, err);
    }
    if (rc != 0) {
        return rc;
    }
    ret->enhanced = strcmp(doc_get_text(object, "tier", "standard"), "enhanced") == 0;
    if (ret->mode == SETTINGS_STANDBY && ret->stands_in_for[0] == '\0') {
        return err_set(err, ERR_INVALID, "backup %s stands in for nothing", ret->name);
    }
    return read_process(object, "backup", ret, err);
}

static int read_homes(struct settings *self, const char *default_home, struct err *err)
{
    const json_t *homes = json_object_get(self->section, "homes");
    size_t index;
    json_t *item;
    json_array_foreach(homes, index, item)
    {
        const char *text = json_string_value(item);
        if (text == NULL || text[0] != '/' || strlen(text) >= MANAGER_PATH_SIZE ||
            self->home_count == SETTINGS_HOMES_MAX) {
            return err_set(err, ERR_INVALID, "homes: at most %d absolute paths",
                           SETTINGS_HOMES_MAX);
        }
        memcpy(self->homes[self->home_count++], text, strlen(text) + 1);
    }
    if (self->home_count == 0) {
        (void)snprintf(self->homes[0], MANAGER_PATH_SIZE, "%s", default_home);
        self->home_count = 1;
    }
    return 0;
}

static size_t position_of(const struct settings *self, const char *primary)
{
    for (size_t i = 0; i < self->primary_count; i++) {
        if (strcmp(self->primaries[i].name, primary) == 0) {
            return i;
        }
    }
    return SETTINGS_NO_PRIMARY;
}

/* Which backup belongs to which primary, and which primaries have tiers. */
static void relate(struct settings *self)
{
    bool standard[SETTINGS_PRIMARIES_MAX] = {false};
    bool enhanced[SETTINGS_PRIMARIES_MAX] = {false};
    for (size_t i = 0; i < self->backup_count; i++) {
        struct settings_backup *backup = &self->backups[i];
        backup->primary = position_of(self, backup->stands_in_for);
        if (backup->primary != SETTINGS_NO_PRIMARY && backup->mode == SETTINGS_STANDBY) {
            *(backup->enhanced ? &enhanced[backup->primary] : &standard[backup->primary]) = true;
        }
    }
    for (size_t i = 0; i < self->primary_count; i++) {
        struct settings_primary *primary = &self->primaries[i];
        primary->tiered = primary->guarded || (standard[i] && enhanced[i]);
        primary->own.primary = i;
    }
}

/* It and its copies, which are backups like others and rather apart from each other. */
static int read_copies(const json_t *object, struct settings *self, struct err *err)
{
    int64_t copies = bounded(object, "copies", 1, SETTINGS_BACKUPS_MAX);
    for (int64_t i = 1; i <= (copies < 1 ? 1 : copies); i++) {
        if (self->backup_count == SETTINGS_BACKUPS_MAX) {
            return err_set(err, ERR_INVALID, "more than %d backups with their copies",
                           SETTINGS_BACKUPS_MAX);
        }
        struct settings_backup *backup = &self->backups[self->backup_count++];
        int rc = read_backup(object, i, backup, err);
        if (rc != 0) {
            return rc;
        }
        if (copies > 1) {
            (void)snprintf(backup->copy_of, sizeof backup->copy_of, "%s",
                           doc_get_text(object, "name", ""));
        }
    }
    return 0;
}

static int read_processes(struct settings *self, struct err *err)
{
    const json_t *primaries = json_object_get(self->section, "primaries");
    const json_t *backups = json_object_get(self->section, "backups");
    if (json_array_size(primaries) > SETTINGS_PRIMARIES_MAX) {
        return err_set(err, ERR_INVALID, "more than %d primaries", SETTINGS_PRIMARIES_MAX);
    }
    size_t index;
    json_t *item;
    json_array_foreach(primaries, index, item)
    {
        int rc = read_primary(item, &self->primaries[self->primary_count++], err);
        if (rc != 0) {
            return rc;
        }
    }
    json_array_foreach(backups, index, item)
    {
        int rc = read_copies(item, self, err);
        if (rc != 0) {
            return rc;
        }
    }
    return 0;
}

static int64_t at_least(int64_t value, int64_t least)
{
    return value < least ? least : value;
}

static void read_rotation(struct settings *self)
{
    static const int64_t mb = INT64_C(1) << 20;
    const json_t *logs = json_object_get(self->section, "logs");
    self->rotation = (struct rotation_policy){
        .rotate = doc_get_bool(logs, "rotate", true),
        .daily = doc_get_bool(logs, "daily", true),
        .compress = doc_get_bool(logs, "compress", true),
        .max_bytes = at_least(bounded(logs, "max_size_bytes", 10 * mb, INT64_MAX / 8), 4096),
        .keep_ms = at_least(bounded(logs, "keep_ms", 30 * day_ms, 10000 * day_ms), 60000),
        .budget_bytes = at_least(bounded(logs, "budget_bytes", 1024 * mb, INT64_MAX), 4096),
    };
}

static void read_watching(struct settings *self)
{
    const json_t *loop = json_object_get(self->section, "loop");
    self->poll_ms = at_least(bounded(self->section, "poll_ms", 5000, hour_ms), 250);
    self->mend = doc_get_bool(self->section, "mend", true);
    self->verify_ms = at_least(bounded(self->section, "verify_ms", 180000, day_ms), 1000);
    self->loop_restarts = at_least(bounded(loop, "restarts", 10, LOOP_ENDS_MAX), 1);
    self->loop_window_ms = at_least(bounded(loop, "window_ms", hour_ms, day_ms), 1000);
    self->daemon_memory_bytes =
        bounded(self->section, "daemon_memory_bytes", INT64_C(500) << 20, INT64_MAX);
}

int settings_read(const struct manager_document *section, const char *default_home,
                  struct settings **ret, struct err *err)
{
    static const struct mp_limits limits = {
        .bytes = MANAGER_DOCUMENT_BYTES_MAX, .elements = 65536, .depth = MP_DEPTH_MAX};
    struct settings *self = calloc(1, sizeof *self);
    if (self == NULL) {
        return err_set(err, ERR_NOMEM, "no memory for the settings");
    }
    int rc = 0;
    if (section->data == NULL) {
        self->section = json_object();
    } else {
        rc = doc_from_msgpack(section->data, section->length, &limits, &self->section, err);
    }
    if (rc == 0) {
        read_watching(self);
        read_rotation(self);
        self->revive = doc_get_bool(self->section, "revive", true);
        self->install = doc_get_bool(self->section, "install", false);
        rc = read_homes(self, default_home, err);
    }
    if (rc == 0) {
        rc = read_processes(self, err);
        relate(self);
    }
    if (rc != 0) {
        (void)err_wrap(err, "managers.pm2");
        settings_destroy(&self);
        return rc;
    }
    *ret = self;
    return 0;
}

void settings_destroy(struct settings **self_p)
{
    if (self_p == NULL || *self_p == NULL) {
        return;
    }
    json_decref((*self_p)->section);
    free(*self_p);
    *self_p = NULL;
}

const struct settings_primary *settings_primary(const struct settings *self, const char *name)
{
    for (size_t i = 0; i < self->primary_count; i++) {
        if (strcmp(self->primaries[i].name, name) == 0) {
            return &self->primaries[i];
        }
    }
    return NULL;
}

const struct settings_backup *settings_backup(const struct settings *self, const char *duty)
{
    for (size_t i = 0; i < self->backup_count; i++) {
        if (strcmp(self->backups[i].duty, duty) == 0) {
            return &self->backups[i];
        }
    }
    for (size_t i = 0; i < self->primary_count; i++) {
        const struct settings_primary *primary = &self->primaries[i];
        if (primary->guarded && strcmp(primary->own.duty, duty) == 0) {
            return &primary->own;
        }
    }
    return NULL;
}

bool settings_on(const struct settings_places *places, const char *node)
{
    for (size_t i = 0; i < places->count; i++) {
        if (strcmp(places->nodes[i], node) == 0) {
            return true;
        }
    }
    return places->count == 0;
}
