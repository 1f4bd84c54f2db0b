#include "managers/run/schedules.h"

#include "managers/run/digest.h"
#include "managers/run/slot.h"
#include "node/base/clock.h"
#include "node/base/doc.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static_assert(SCHEDULES_MAX <= MANAGER_SCHEDULES_MAX, "a node can take the whole list");
static_assert(2 * NAME_SIZE <= DUTY_ID_SIZE, "a duty's id holds any prefix and name");

/* ---- single values ---- */

static int64_t bounded(const json_t *object, const char *key, int64_t fallback, int64_t least,
                       int64_t most)
{
    int64_t value = doc_get_integer(object, key, fallback);
    return value < least ? least : value > most ? most : value;
}

/* Whole seconds; what is begun counts. */
static int64_t seconds(const json_t *object, const char *key, int64_t fallback_s)
{
    int64_t ms = bounded(object, key, fallback_s * 1000, 0, MANAGER_SECONDS_MAX * 1000);
    return (ms + 999) / 1000;
}

static int choice(const json_t *object, const char *key, const char *const *names, size_t count,
                  size_t *ret, struct err *err)
{
    const char *text = doc_get_text(object, key, names[0]);
    for (size_t i = 0; i < count; i++) {
        if (strcmp(text, names[i]) == 0) {
            *ret = i;
            return 0;
        }
    }
    return err_set(err, ERR_INVALID, "%s \"%.32s\" is not known", key, text);
}

static int copy(const char *text, const char *key, size_t size, char *ret, struct err *err)
{
    if (text[0] == '\0' || strlen(text) >= size) {
        return err_set(err, ERR_INVALID, "%s \"%.70s\" is empty or too long", key, text);
    }
    memcpy(ret, text, strlen(text) + 1);
    return 0;
}

/* ---- when ---- */

static void spell_every(int64_t every_s, char *ret, size_t size)
{
    static const struct {
        char letter;
        int64_t seconds;
    } units[] = {{'d', 86400}, {'h', 3600}, {'m', 60}, {'s', 1}};
    size_t unit = 0;
    while (every_s % units[unit].seconds != 0) {
        unit++;
    }
    (void)snprintf(ret, size, "every %" PRId64 "%c", every_s / units[unit].seconds,
                   units[unit].letter);
}

static int read_expression(const json_t *object, struct manager_schedule *ret, struct err *err)
{
    const char *cron = doc_get_text(object, "cron", NULL);
    int64_t every_ms = doc_get_integer(object, "every_ms", 0);
    if ((cron == NULL) == (every_ms <= 0)) {
        return err_set(err, ERR_INVALID, "needs either cron or every");
    }
    if (cron != NULL) {
        return copy(cron, "cron", sizeof ret->expression, ret->expression, err);
    }
    if (every_ms % 1000 != 0 || every_ms > MANAGER_SECONDS_MAX * 1000) {
        return err_set(err, ERR_INVALID, "every: whole seconds, at most 366 days");
    }
    spell_every(every_ms / 1000, ret->expression, sizeof ret->expression);
    return 0;
}

static int read_policies(const json_t *object, struct manager_schedule *ret, struct err *err)
{
    static const char *const gaps[] = {"next", "skip"};
    static const char *const folds[] = {"first", "second", "both"};
    static const char *const overlaps[] = {"forbid", "allow", "replace"};
    static const char *const misfires[] = {"run_once", "run_all", "skip"};
    size_t gap = 0;
    size_t fold = 0;
    size_t overlap = 0;
    size_t misfire = 0;
    int rc = choice(object, "gap", gaps, 2, &gap, err);
    rc = rc != 0 ? rc : choice(object, "fold", folds, 3, &fold, err);
    rc = rc != 0 ? rc : choice(object, "overlap", overlaps, 3, &overlap, err);
    rc = rc != 0 ? rc : choice(object, "misfire", misfires, 3, &misfire, err);
    ret->gap = (enum manager_gap)gap;
    ret->fold = (enum manager_fold)fold;
    ret->overlap = (enum manager_overlap)overlap;
    ret->misfire = (enum manager_misfire)misfire;
    return rc;
}

static int read_times(const json_t *object, const char *zone, struct manager_schedule *ret,
                      struct err *err)
{
    const char *anchor = doc_get_text(object, "anchor", "1970-01-01T00:00:00Z");
    int rc = read_expression(object, ret, err);
    rc = rc != 0
             ? rc
             : copy(doc_get_text(object, "zone", zone), "zone", sizeof ret->zone, ret->zone, err);
    rc = rc != 0 ? rc : read_policies(object, ret, err);
    if (rc == 0 && !clock_instant_parse(anchor, &ret->anchor_s)) {
        rc = err_set(err, ERR_INVALID, "anchor \"%.40s\" is no time such as 2026-01-31T12:00:00Z",
                     anchor);
    }
    ret->misfire_cap = (uint32_t)bounded(object, "misfire_cap", 10, 1, MANAGER_MISFIRE_CAP_MAX);
    ret->misfire_window_s = seconds(object, "misfire_window_ms", 86400);
    ret->start_deadline_s = seconds(object, "start_deadline_ms", 60);
    ret->progress_deadline_s = seconds(object, "progress_deadline_ms", 0);
    ret->finish_deadline_s = seconds(object, "finish_deadline_ms", 0);
    ret->min_runtime_s = seconds(object, "min_runtime_ms", 0);
    ret->retries = (uint32_t)bounded(object, "retries", 0, 0, MANAGER_RETRIES_MAX);
    ret->backoff_s = seconds(object, "backoff_ms", 30);
    ret->backoff_max_s = seconds(object, "backoff_max_ms", 600);
    ret->retry_unknown = doc_get_bool(object, "retry_unknown", false);
    ret->critical = doc_get_bool(object, "critical", false);
    ret->priority = bounded(object, "priority", 0, -1000, 1000);
    return rc;
}

/* ---- what ---- */

static int read_places(const json_t *object, struct schedule *ret, struct err *err)
{
    const json_t *list = json_object_get(object, "on");
    if (json_array_size(list) > MANAGER_PLACES_MAX) {
        return err_set(err, ERR_INVALID, "on names more than %d nodes", MANAGER_PLACES_MAX);
    }
    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *text = json_string_value(json_array_get(list, i));
        if (text == NULL || strlen(text) >= NAME_SIZE) {
            return err_set(err, ERR_INVALID, "on: element %zu is no node's name", i);
        }
        memcpy(ret->on[ret->on_count++], text, strlen(text) + 1);
    }
    return 0;
}

static int read_labels(const json_t *object, struct schedule *ret, struct err *err)
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

static int read_script(const json_t *object, struct schedule *ret, struct err *err)
{
    ret->script = doc_get_text(object, "script", NULL);
    ret->interpreter = doc_get_text(object, "interpreter", NULL);
    ret->args = json_object_get(object, "args");
    if (ret->script == NULL || ret->script[0] == '\0') {
        return err_set(err, ERR_INVALID, "it has no script");
    }
    for (size_t i = 0; i < json_array_size(ret->args); i++) {
        if (!json_is_string(json_array_get(ret->args, i))) {
            return err_set(err, ERR_INVALID, "args: element %zu is no text", i);
        }
    }
    return 0;
}

static int read_command(const json_t *object, struct schedule *ret, struct err *err)
{
    ret->run = json_object_get(object, "run");
    ret->shell = doc_get_bool(object, "shell", false);
    ret->env_file = doc_get_text(object, "env_file", NULL);
    size_t count = json_array_size(ret->run);
    if (count == 0 || (ret->shell && count != 1)) {
        return err_set(err, ERR_INVALID,
                       "run: a command and its arguments, or one text for a shell");
    }
    for (size_t i = 0; i < count; i++) {
        const char *word = json_string_value(json_array_get(ret->run, i));
        if (word == NULL || (i == 0 && word[0] == '\0')) {
            return err_set(err, ERR_INVALID, "run: element %zu is no text", i);
        }
    }
    return 0;
}

static uint64_t add_script(uint64_t sum, const struct schedule *self)
{
    sum = digest_text(sum, self->script);
    sum = digest_text(sum, self->interpreter);
    sum = digest_json(sum, json_array_size(self->args) > 0 ? self->args : NULL);
    sum = digest_number(sum, self->memory_bytes);
    return digest_number(sum, self->limits.kill_timeout_ms);
}

/* What a node carries out by its own file; not the times, which the cluster holds. Of a command it
 * stays as it is: nodes of different versions compare it. */
static uint64_t digest_of(const struct schedule *self)
{
    uint64_t sum = digest_json(DIGEST_START, self->run);
    sum = digest_number(sum, self->shell);
    sum = digest_text(sum, self->cwd);
    sum = digest_json(sum, self->env != NULL && json_object_size(self->env) > 0 ? self->env : NULL);
    sum = digest_text(sum, self->env_file);
    sum = digest_number(sum, self->limits.progress_ms);
    sum = digest_number(sum, self->limits.finish_ms);
    sum = digest_number(sum, self->limits.min_runtime_ms);
    sum = self->script != NULL ? add_script(sum, self) : sum;
    return sum != 0 ? sum : 1; /* 0 says "not compared" */
}

static int read_name(const json_t *object, const char *prefix, struct schedule *ret,
                     struct err *err)
{
    int rc = copy(doc_get_text(object, "name", ""), "name", sizeof ret->name, ret->name, err);
    if (rc != 0) {
        return rc;
    }
    char duty[DUTY_ID_SIZE];
    struct slot_name slot;
    if (snprintf(ret->id, sizeof ret->id, "%s%s", prefix, ret->name) >= (int)sizeof ret->id) {
        return err_set(err, ERR_INVALID, "name: too long");
    }
    (void)snprintf(duty, sizeof duty, "%s@m1", ret->id);
    if (!slot_parse(prefix, duty, &slot)) {
        return err_set(err, ERR_INVALID, "name: letters, digits, '.', '_' and '-' only");
    }
    return 0;
}

static int read_schedule(const json_t *object, const struct schedules_source *source,
                         const char *zone, struct schedule *ret, struct err *err)
{
    int rc = read_name(object, source->prefix, ret, err);
    ret->cwd = doc_get_text(object, "cwd", NULL);
    ret->env = json_object_get(object, "env");
    ret->memory_bytes = bounded(object, "memory_bytes", 0, 0, INT64_MAX);
    rc = rc != 0           ? rc
         : source->scripts ? read_script(object, ret, err)
                           : read_command(object, ret, err);
    rc = rc != 0 ? rc : read_places(object, ret, err);
    rc = rc != 0 ? rc : read_labels(object, ret, err);
    rc = rc != 0 ? rc : read_times(object, zone, &ret->is, err);
    if (rc != 0) {
        return ret->name[0] == '\0' ? rc : err_wrap(err, "schedule %s", ret->name);
    }
    ret->limits = (struct record_limits){
        .progress_ms = ret->is.progress_deadline_s * 1000,
        .finish_ms = ret->is.finish_deadline_s * 1000,
        .min_runtime_ms = ret->is.min_runtime_s * 1000,
        .output_bytes = bounded(object, "output_bytes", INT64_C(256) << 10, RECORD_OUTPUT_MIN,
                                RECORD_OUTPUT_MAX),
        .keep = bounded(object, "keep", SCHEDULES_KEEP, 1, 1000),
        .kill_timeout_ms = bounded(object, "kill_timeout_ms", RECORD_KILL_TIMEOUT_MS, 0,
                                   RECORD_KILL_TIMEOUT_MAX_MS),
    };
    ret->is.digest = digest_of(ret);
    return 0;
}

/* ---- the list ---- */

static uint64_t edition_of(const struct schedules *self)
{
    uint64_t sum = digest_number(DIGEST_START, (int64_t)self->count);
    for (size_t i = 0; i < self->count; i++) {
        const struct schedule *row = &self->rows[i];
        const struct manager_schedule *is = &row->is;
        sum = digest_text(sum, row->id);
        sum = digest_text(sum, is->expression);
        sum = digest_text(sum, is->zone);
        const int64_t numbers[] = {(int64_t)is->digest,
                                   is->anchor_s,
                                   is->gap,
                                   is->fold,
                                   is->overlap,
                                   is->misfire,
                                   is->misfire_cap,
                                   is->misfire_window_s,
                                   is->start_deadline_s,
                                   is->progress_deadline_s,
                                   is->finish_deadline_s,
                                   is->min_runtime_s,
                                   is->retries,
                                   is->backoff_s,
                                   is->backoff_max_s,
                                   is->retry_unknown,
                                   is->critical,
                                   is->priority,
                                   (int64_t)row->on_count,
                                   (int64_t)row->avoid_count,
                                   (int64_t)row->label_count};
        for (size_t k = 0; k < sizeof numbers / sizeof numbers[0]; k++) {
            sum = digest_number(sum, numbers[k]);
        }
        for (size_t k = 0; k < row->on_count; k++) {
            sum = digest_text(sum, row->on[k]);
        }
        for (size_t k = 0; k < row->avoid_count; k++) {
            sum = digest_text(sum, row->avoid[k]);
        }
        for (size_t k = 0; k < row->label_count; k++) {
            sum = digest_text(sum, row->labels[k]);
        }
    }
    return sum;
}

static int read_rows(struct schedules *self, struct err *err)
{
    const struct schedules_source *source = self->source;
    const json_t *list = json_object_get(self->section, source->list);
    const char *zone = doc_get_text(self->section, "zone", "UTC");
    size_t count = json_array_size(list);
    if (count > SCHEDULES_MAX) {
        return err_set(err, ERR_INVALID, "more than %d schedules", SCHEDULES_MAX);
    }
    self->rows = calloc(count + 1, sizeof *self->rows);
    if (self->rows == NULL) {
        return err_set(err, ERR_NOMEM, "no memory for the schedules");
    }
    for (size_t i = 0; i < count; i++) {
        struct schedule *row = &self->rows[self->count];
        const json_t *object = json_array_get(list, i);
        if (source->mode != NULL && strcmp(doc_get_text(object, "mode", ""), source->mode) != 0) {
            continue;
        }
        int rc = read_schedule(object, source, zone, row, err);
        if (rc != 0) {
            return rc;
        }
        if (schedules_find(self, row->name) != NULL) {
            return err_set(err, ERR_INVALID, "two schedules are named %s", row->name);
        }
        self->count++;
    }
    self->edition = edition_of(self);
    return 0;
}

int schedules_read(const struct manager_document *section, const struct schedules_source *source,
                   struct schedules **ret, struct err *err)
{
    static const struct mp_limits limits = {
        .bytes = MANAGER_DOCUMENT_BYTES_MAX, .elements = 131072, .depth = MP_DEPTH_MAX};
    struct schedules *self = calloc(1, sizeof *self);
    if (self == NULL) {
        return err_set(err, ERR_NOMEM, "no memory for the schedules");
    }
    int rc = 0;
    self->source = source;
    if (section->data == NULL) {
        self->section = json_object();
    } else {
        rc = doc_from_msgpack(section->data, section->length, &limits, &self->section, err);
    }
    rc = rc != 0 ? rc : read_rows(self, err);
    if (rc != 0) {
        (void)err_wrap(err, "managers.%.*s", (int)strcspn(source->prefix, "/"), source->prefix);
        schedules_destroy(&self);
        return rc;
    }
    *ret = self;
    return 0;
}

void schedules_destroy(struct schedules **self_p)
{
    if (self_p == NULL || *self_p == NULL) {
        return;
    }
    json_decref((*self_p)->section);
    free((*self_p)->rows);
    free(*self_p);
    *self_p = NULL;
}

const struct schedule *schedules_find(const struct schedules *self, const char *name)
{
    for (size_t i = 0; i < self->count; i++) {
        if (strcmp(self->rows[i].name, name) == 0) {
            return &self->rows[i];
        }
    }
    return NULL;
}

bool schedules_avoid(struct schedules *self, size_t index, const char (*nodes)[NAME_SIZE],
                     size_t count)
{
    struct schedule *row = &self->rows[index];
    count = count > MANAGER_PLACES_MAX ? MANAGER_PLACES_MAX : count;
    bool same = row->avoid_count == count;
    for (size_t i = 0; same && i < count; i++) {
        same = strcmp(row->avoid[i], nodes[i]) == 0;
    }
    if (same) {
        return false;
    }
    row->avoid_count = count;
    memcpy(row->avoid, nodes, count * sizeof row->avoid[0]);
    self->edition = edition_of(self);
    return true;
}

void schedules_wanted(const struct schedules *self, size_t index,
                      struct manager_schedule_wanted *ret)
{
    *ret = (struct manager_schedule_wanted){
        .edition = self->edition, .position = (uint32_t)index, .total = (uint32_t)self->count};
    if (index >= self->count) {
        ret->position = 0;
        return;
    }
    const struct schedule *row = &self->rows[index];
    memcpy(ret->id, row->id, sizeof ret->id);
    ret->is = row->is;
    ret->on_count = row->on_count;
    memcpy(ret->on, row->on, sizeof ret->on);
    ret->avoid_count = row->avoid_count;
    memcpy(ret->avoid, row->avoid, sizeof ret->avoid);
    ret->label_count = row->label_count;
    memcpy(ret->labels, row->labels, sizeof ret->labels);
}
