/* The rows of state_work.h: their memory, finding them, handing them out. */
#include "consensus/state_internal.h"
#include "node/base/invariant.h"

#include <assert.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#define ROWS_FIRST 16 /* of a table that was empty */

static_assert(offsetof(struct state_schedule, id) == 0, "tables find a row by its first member");
static_assert(offsetof(struct state_intent, key) == 0, "tables find a row by its first member");
static_assert(offsetof(struct state_recovery, component) == 0,
              "tables find a row by its first member");
static_assert(offsetof(struct state_alert, key) == 0, "tables find a row by its first member");
static_assert(offsetof(struct state_proven, duty) == 0, "tables find a row by its first member");
static_assert(sizeof(struct state_work) == 7 * sizeof(struct state_rows) + sizeof(size_t),
              "state_work_copy and state_work_deinit know every kind of rows");
static_assert(STATE_RUNS_UNDER_WAY_MAX <= DUTIES_MAX, "each run under way has a duty");

/* ---- memory ---- */

int state_rows_reserve(struct state_rows *self, size_t extra, size_t max, size_t row_size)
{
    size_t wanted = self->count + extra < max ? self->count + extra : max;
    if (wanted <= self->capacity) {
        return 0;
    }
    size_t capacity = self->capacity == 0 ? ROWS_FIRST : self->capacity;
    while (capacity < wanted) {
        capacity *= 2;
    }
    capacity = capacity < max ? capacity : max;
    void *first = realloc(self->first, capacity * row_size);
    if (first == NULL) {
        return ERR_NOMEM;
    }
    self->first = first;
    self->capacity = capacity;
    return 0;
}

static int reserve_runs(struct state_work *work, size_t begin, size_t end)
{
    int rc =
        state_rows_reserve(&work->runs, begin, STATE_RUNS_UNDER_WAY_MAX, sizeof(struct state_run));
    return rc != 0 ? rc
                   : state_rows_reserve(&work->ended, end, STATE_RUNS_ENDED_MAX,
                                        sizeof(struct state_run));
}

int state_work_reserve(struct state *self, const struct command *command)
{
    struct state_work *work = &self->work;
    switch (command->type) {
    case COMMAND_SCHEDULE_PUT:
        return state_rows_reserve(&work->schedules, 1, STATE_SCHEDULES_MAX,
                                  sizeof(struct state_schedule));
    case COMMAND_SLOTS_DECIDE:
        return reserve_runs(work, command->slots.count, command->slots.count);
    case COMMAND_RUN_START:
        return reserve_runs(work, 1, 0);
    case COMMAND_RUN_END:
        return reserve_runs(work, 0, 1);
    case COMMAND_INTENT_OPEN:
        return state_rows_reserve(&work->intents, 1, STATE_INTENTS_MAX,
                                  sizeof(struct state_intent));
    case COMMAND_RECOVERY_SET:
        return state_rows_reserve(&work->recoveries, 1, STATE_RECOVERIES_MAX,
                                  sizeof(struct state_recovery));
    case COMMAND_ALERT_RAISE:
        return state_rows_reserve(&work->alerts, 1, STATE_ALERTS_MAX, sizeof(struct state_alert));
    case COMMAND_DUTY_PROVEN:
        return state_rows_reserve(&work->proven, 1, STATE_PROVEN_MAX, sizeof(struct state_proven));
    default:
        return 0;
    }
}

void state_work_deinit(struct state_work *self)
{
    free(self->schedules.first);
    free(self->runs.first);
    free(self->ended.first);
    free(self->intents.first);
    free(self->recoveries.first);
    free(self->alerts.first);
    free(self->proven.first);
    *self = (struct state_work){0};
}

static int copy_rows(const struct state_rows *from, struct state_rows *ret, size_t row_size)
{
    *ret = (struct state_rows){0};
    if (from->count == 0) {
        return 0;
    }
    ret->first = malloc(from->count * row_size);
    if (ret->first == NULL) {
        return ERR_NOMEM;
    }
    memcpy(ret->first, from->first, from->count * row_size);
    ret->count = from->count;
    ret->capacity = from->count;
    return 0;
}

int state_work_copy(const struct state_work *self, struct state_work *ret)
{
    *ret = (struct state_work){.ended_oldest = self->ended_oldest};
    int rc = copy_rows(&self->schedules, &ret->schedules, sizeof(struct state_schedule));
    rc = rc != 0 ? rc : copy_rows(&self->runs, &ret->runs, sizeof(struct state_run));
    rc = rc != 0 ? rc : copy_rows(&self->ended, &ret->ended, sizeof(struct state_run));
    rc = rc != 0 ? rc : copy_rows(&self->intents, &ret->intents, sizeof(struct state_intent));
    rc = rc != 0 ? rc
                 : copy_rows(&self->recoveries, &ret->recoveries, sizeof(struct state_recovery));
    rc = rc != 0 ? rc : copy_rows(&self->alerts, &ret->alerts, sizeof(struct state_alert));
    rc = rc != 0 ? rc : copy_rows(&self->proven, &ret->proven, sizeof(struct state_proven));
    if (rc != 0) {
        state_work_deinit(ret);
    }
    return rc;
}

/* ---- tables ---- */

struct state_table state_table_schedules(struct state *self)
{
    return (struct state_table){self->work.schedules.first, &self->work.schedules.count,
                                STATE_SCHEDULES_MAX, sizeof(struct state_schedule)};
}

struct state_table state_table_intents(struct state *self)
{
    return (struct state_table){self->work.intents.first, &self->work.intents.count,
                                STATE_INTENTS_MAX, sizeof(struct state_intent)};
}

struct state_table state_table_recoveries(struct state *self)
{
    return (struct state_table){self->work.recoveries.first, &self->work.recoveries.count,
                                STATE_RECOVERIES_MAX, sizeof(struct state_recovery)};
}

struct state_table state_table_alerts(struct state *self)
{
    return (struct state_table){self->work.alerts.first, &self->work.alerts.count, STATE_ALERTS_MAX,
                                sizeof(struct state_alert)};
}

struct state_table state_table_proven(struct state *self)
{
    return (struct state_table){self->work.proven.first, &self->work.proven.count, STATE_PROVEN_MAX,
                                sizeof(struct state_proven)};
}

/* The row at `position` of `rows`, or NULL behind the last one. */
static const void *row_at(const struct state_rows *rows, size_t position, size_t row_size)
{
    return position < rows->count ? (const char *)rows->first + position * row_size : NULL;
}

/* ---- schedules ---- */

size_t state_schedule_count(const struct state *self)
{
    return self->work.schedules.count;
}

const struct state_schedule *state_schedule_at(const struct state *self, size_t position)
{
    return row_at(&self->work.schedules, position, sizeof(struct state_schedule));
}

const struct state_schedule *state_schedule_by_id(const struct state *self, const char *id)
{
    return state_rows_find(self->work.schedules.first, self->work.schedules.count,
                           sizeof(struct state_schedule), id);
}

/* ---- runs ---- */

int state_run_compare(const struct run_key *a, const struct run_key *b)
{
    int order = strcmp(a->schedule, b->schedule);
    if (order != 0) {
        return order;
    }
    if (a->slot_s != b->slot_s) {
        return a->slot_s < b->slot_s ? -1 : 1;
    }
    return a->number == b->number ? 0 : a->number < b->number ? -1 : 1;
}

size_t state_run_count(const struct state *self)
{
    return self->work.runs.count;
}

const struct state_run *state_run_at(const struct state *self, size_t position)
{
    return row_at(&self->work.runs, position, sizeof(struct state_run));
}

size_t state_ended_count(const struct state *self)
{
    return self->work.ended.count;
}

const struct state_run *state_ended_at(const struct state *self, size_t position)
{
    const struct state_work *work = &self->work;
    if (position >= work->ended.count) {
        return NULL;
    }
    size_t place = (work->ended_oldest + work->ended.count - 1 - position) % work->ended.count;
    return row_at(&work->ended, place, sizeof(struct state_run));
}

/* Position of the first run under way whose key is not below `key`. */
static size_t run_position(const struct state *self, const struct run_key *key)
{
    const struct state_run *runs = self->work.runs.first;
    size_t low = 0;
    size_t high = self->work.runs.count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (state_run_compare(&runs[middle].key, key) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

struct state_run *state_run_find(struct state *self, const struct run_key *key)
{
    size_t position = run_position(self, key);
    struct state_run *runs = self->work.runs.first;
    if (position >= self->work.runs.count || state_run_compare(&runs[position].key, key) != 0) {
        return NULL;
    }
    return &runs[position];
}

struct state_run *state_run_of_duty(struct state *self, const char *duty)
{
    struct run_key key;
    uint32_t attempt;
    if (!run_parse(duty, &key, &attempt) || attempt == 0) {
        return NULL;
    }
    struct state_run *run = state_run_find(self, &key);
    return run != NULL && run->attempt == attempt ? run : NULL;
}

uint32_t state_runs_of(const struct state *self, const char *schedule)
{
    struct run_key key = {.slot_s = 0};
    size_t length = strnlen(schedule, sizeof(key.schedule) - 1);
    memcpy(key.schedule, schedule, length);
    uint32_t count = 0;
    for (size_t i = run_position(self, &key); i < self->work.runs.count; i++) {
        if (strcmp(state_run_at(self, i)->key.schedule, schedule) != 0) {
            break;
        }
        count++;
    }
    return count;
}

/* Is `key` this run, or a slot of the range that it stands for? */
static bool is_ended_as(const struct state_run *run, const struct run_key *key)
{
    if (run->key.number != key->number ||
        (key->number == 0 && (key->slot_s < run->key.slot_s || key->slot_s > run->last_s))) {
        return false;
    }
    return strcmp(run->key.schedule, key->schedule) == 0;
}

const struct state_run *state_run_by_key(const struct state *self, const struct run_key *key)
{
    size_t position = run_position(self, key);
    const struct state_run *run = state_run_at(self, position);
    if (run != NULL && state_run_compare(&run->key, key) == 0) {
        return run;
    }
    for (size_t i = 0; i < self->work.ended.count; i++) {
        run = state_ended_at(self, i);
        if (is_ended_as(run, key)) {
            return run;
        }
    }
    return NULL;
}

struct state_run *state_run_insert(struct state *self, const struct run_key *key)
{
    struct state_rows *rows = &self->work.runs;
    invariant(rows->count < rows->capacity);
    size_t position = run_position(self, key);
    struct state_run *row = (struct state_run *)rows->first + position;
    memmove(row + 1, row, (rows->count - position) * sizeof(*row));
    memset(row, 0, sizeof(*row));
    memcpy(&row->key, key, sizeof(row->key));
    rows->count++;
    return row;
}

void state_run_remove(struct state *self, struct state_run *run)
{
    struct state_table runs = {self->work.runs.first, &self->work.runs.count,
                               STATE_RUNS_UNDER_WAY_MAX, sizeof(*run)};
    state_table_remove(&runs, run);
}

/* The oldest row is to be overwritten: its schedule says from when on the ring is whole. */
static void forget_oldest(struct state *self)
{
    struct state_work *work = &self->work;
    const struct state_run *oldest =
        (const struct state_run *)work->ended.first + work->ended_oldest;
    struct state_table schedules = state_table_schedules(self);
    struct state_schedule *schedule = state_table_find(&schedules, oldest->key.schedule);
    if (schedule != NULL && oldest->key.number == 0 && schedule->kept_from_s < oldest->last_s) {
        schedule->kept_from_s = oldest->last_s;
    }
}

void state_run_push(struct state *self, const struct state_run *run)
{
    struct state_work *work = &self->work;
    struct state_run *ring = work->ended.first;
    if (work->ended.count < STATE_RUNS_ENDED_MAX) {
        invariant(work->ended.count < work->ended.capacity);
        memcpy(&ring[work->ended.count++], run, sizeof(*run));
        return;
    }
    forget_oldest(self);
    memcpy(&ring[work->ended_oldest], run, sizeof(*run));
    work->ended_oldest = (work->ended_oldest + 1) % STATE_RUNS_ENDED_MAX;
}

/* ---- intents ---- */

size_t state_intent_count(const struct state *self)
{
    return self->work.intents.count;
}

const struct state_intent *state_intent_at(const struct state *self, size_t position)
{
    return row_at(&self->work.intents, position, sizeof(struct state_intent));
}

const struct state_intent *state_intent_by_key(const struct state *self, const char *key)
{
    return state_rows_find(self->work.intents.first, self->work.intents.count,
                           sizeof(struct state_intent), key);
}

const struct state_intent *state_intent_open_on(const struct state *self, const char *manager,
                                                const char *object)
{
    const struct state_intent *first = NULL;
    for (size_t i = 0; i < self->work.intents.count; i++) {
        const struct state_intent *row = state_intent_at(self, i);
        if (row->state != INTENT_DONE &&
            (first == NULL || row->opened_index < first->opened_index) &&
            strcmp(row->manager, manager) == 0 && strcmp(row->object, object) == 0) {
            first = row;
        }
    }
    return first;
}

/* ---- recoveries, alerts and proofs ---- */

size_t state_recovery_count(const struct state *self)
{
    return self->work.recoveries.count;
}

const struct state_recovery *state_recovery_at(const struct state *self, size_t position)
{
    return row_at(&self->work.recoveries, position, sizeof(struct state_recovery));
}

const struct state_recovery *state_recovery_of(const struct state *self, const char *component)
{
    return state_rows_find(self->work.recoveries.first, self->work.recoveries.count,
                           sizeof(struct state_recovery), component);
}

size_t state_alert_count(const struct state *self)
{
    return self->work.alerts.count;
}

const struct state_alert *state_alert_at(const struct state *self, size_t position)
{
    return row_at(&self->work.alerts, position, sizeof(struct state_alert));
}

const struct state_alert *state_alert_by_key(const struct state *self, const char *key)
{
    return state_rows_find(self->work.alerts.first, self->work.alerts.count,
                           sizeof(struct state_alert), key);
}

size_t state_proven_count(const struct state *self)
{
    return self->work.proven.count;
}

const struct state_proven *state_proven_at(const struct state *self, size_t position)
{
    return row_at(&self->work.proven, position, sizeof(struct state_proven));
}

const struct state_proven *state_proven_of(const struct state *self, const char *duty)
{
    return state_rows_find(self->work.proven.first, self->work.proven.count,
                           sizeof(struct state_proven), duty);
}
