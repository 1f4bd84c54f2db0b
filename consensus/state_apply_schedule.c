#include "consensus/state_internal.h"

#include <inttypes.h>
#include <string.h>

/* ---- definitions ---- */

static bool is_duration(int64_t seconds)
{
    return seconds >= 0 && seconds <= SCHEDULE_SECONDS_MAX;
}

bool state_instant_valid(int64_t instant_s)
{
    return instant_s >= 0 && instant_s <= RUN_SLOT_S_MAX;
}

const char *state_definition_fault(const struct schedule_definition *is)
{
    if (is->expression[0] == '\0' || is->zone[0] == '\0') {
        return "expression and zone";
    }
    if (is->anchor_s < ZONE_INSTANT_MIN || is->anchor_s > ZONE_INSTANT_MAX) {
        return "the anchor";
    }
    if (is->misfire_cap < 1 || is->misfire_cap > SCHEDULE_MISFIRE_CAP_MAX ||
        !is_duration(is->misfire_window_s)) {
        return "what becomes of misfires";
    }
    if (!is_duration(is->start_deadline_s) || !is_duration(is->progress_deadline_s) ||
        !is_duration(is->finish_deadline_s)) {
        return "a deadline";
    }
    if (!is_duration(is->min_runtime_s)) {
        return "the minimum run time";
    }
    if (is->retries > SCHEDULE_RETRIES_MAX || !is_duration(is->backoff_s) ||
        !is_duration(is->backoff_max_s)) {
        return "retries and their backoff";
    }
    return NULL;
}

static bool is_same_calendar(const struct schedule_definition *a,
                             const struct schedule_definition *b)
{
    return strcmp(a->expression, b->expression) == 0 && strcmp(a->zone, b->zone) == 0 &&
           a->anchor_s == b->anchor_s && a->gap == b->gap && a->fold == b->fold;
}

static bool is_same(const struct schedule_definition *a, const struct schedule_definition *b)
{
    return is_same_calendar(a, b) && a->digest == b->digest && a->overlap == b->overlap &&
           a->misfire == b->misfire && a->misfire_cap == b->misfire_cap &&
           a->misfire_window_s == b->misfire_window_s &&
           a->start_deadline_s == b->start_deadline_s &&
           a->progress_deadline_s == b->progress_deadline_s &&
           a->finish_deadline_s == b->finish_deadline_s && a->min_runtime_s == b->min_runtime_s &&
           a->retries == b->retries && a->backoff_s == b->backoff_s &&
           a->backoff_max_s == b->backoff_max_s && a->retry_unknown == b->retry_unknown &&
           a->critical == b->critical && a->priority == b->priority;
}

static bool is_sound(struct state_change *change)
{
    const struct command_schedule *wish = &change->command->schedule;
    char manager[NAME_SIZE];
    if (!state_duty_manager(wish->id, manager)) {
        state_refuse(change, ERR_INVALID, "a schedule's id is MANAGER/NAME, not %s", wish->id);
        return false;
    }
    const char *fault = state_definition_fault(&wish->is);
    if (fault == NULL && !state_instant_valid(wish->decided_s)) {
        fault = "the instant from which it counts";
    }
    if (fault != NULL) {
        state_refuse(change, ERR_INVALID, "schedule %s: out of bounds: %s", wish->id, fault);
        return false;
    }
    return true;
}

/* The newest slot that is told of a schedule of this id, which was removed; 0: none. */
static int64_t newest_slot(const struct state *self, const char *id)
{
    int64_t newest_s = 0;
    for (size_t i = 0; i < state_run_count(self); i++) {
        const struct state_run *run = state_run_at(self, i);
        if (run->last_s > newest_s && strcmp(run->key.schedule, id) == 0) {
            newest_s = run->last_s;
        }
    }
    for (size_t i = 0; i < state_ended_count(self); i++) {
        const struct state_run *run = state_ended_at(self, i);
        if (run->last_s > newest_s && strcmp(run->key.schedule, id) == 0) {
            newest_s = run->last_s;
        }
    }
    return newest_s;
}

static void put_new(struct state *self, struct state_change *change)
{
    const struct command_schedule *wish = &change->command->schedule;
    int64_t newest_s = newest_slot(self, wish->id);
    if (wish->decided_s < newest_s) { /* the clock went back since, or another's is behind */
        state_refuse(change, ERR_STALE, "the slots of %s were decided up to %" PRId64 " before",
                     wish->id, newest_s);
        return;
    }
    struct state_table table = state_table_schedules(self);
    struct state_schedule *row = state_table_insert(&table, wish->id);
    if (row == NULL) {
        state_refuse(change, ERR_FULL, "there are %d schedules already", STATE_SCHEDULES_MAX);
        return;
    }
    memcpy(row->id, wish->id, sizeof(row->id));
    memcpy(&row->is, &wish->is, sizeof(row->is));
    row->revision = change->index;
    row->defined_s = wish->decided_s;
    row->decided_s = wish->decided_s;
    row->kept_from_s = wish->decided_s;
    row->under_way = state_runs_of(self, row->id); /* of one that was removed before */
    change->effect->number = change->index;
}

static void put(struct state *self, struct state_change *change)
{
    const struct command_schedule *wish = &change->command->schedule;
    if (!is_sound(change)) {
        return;
    }
    struct state_table table = state_table_schedules(self);
    struct state_schedule *row = state_table_find(&table, wish->id);
    uint64_t revision = row == NULL ? 0 : row->revision;
    if (wish->replaces != revision) {
        state_refuse(change, ERR_STALE, "schedule %s has revision %" PRIu64 ", not %" PRIu64,
                     wish->id, revision, wish->replaces);
        return;
    }
    if (row == NULL) {
        put_new(self, change);
        return;
    }
    if (wish->decided_s != row->decided_s) {
        state_refuse(change, ERR_STALE, "schedule %s has decided its slots up to %" PRId64,
                     wish->id, row->decided_s);
        return;
    }
    if (is_same(&row->is, &wish->is)) {
        state_unchanged(change);
        return;
    }
    memcpy(&row->is, &wish->is, sizeof(row->is));
    row->revision = change->index;
    row->defined_s = wish->decided_s;
    change->effect->number = change->index;
}

/* The row, or NULL with the refusal written. */
static struct state_schedule *present(struct state *self, struct state_change *change,
                                      const char *id)
{
    struct state_table table = state_table_schedules(self);
    struct state_schedule *row = state_table_find(&table, id);
    if (row == NULL) {
        state_refuse(change, ERR_NOTFOUND, "no schedule %s", id);
    }
    return row;
}

/* Its runs under way go on, and what ended stays in the ring. */
static void drop(struct state *self, struct state_change *change)
{
    struct state_schedule *row = present(self, change, change->command->schedule_id.id);
    if (row != NULL) {
        struct state_table table = state_table_schedules(self);
        state_table_remove(&table, row);
    }
}

/* ---- slots ---- */

static struct run_key key_of(const struct command_slots *slots, const struct command_slot *item)
{
    struct run_key key;
    memset(&key, 0, sizeof(key));
    memcpy(key.schedule, slots->schedule, sizeof(key.schedule));
    key.slot_s = item->first_s;
    return key;
}

/* One slot, or several in a row of which none runs. */
static bool item_is_sound(const struct command_slot *item)
{
    bool one = item->first_s == item->last_s;
    if (item->last_s < item->first_s || item->count < 1 || one != (item->count == 1) ||
        item->count - 1 > (uint64_t)(item->last_s - item->first_s)) {
        return false;
    }
    return item->verdict == RUN_UNDER_WAY
               ? one
               : item->verdict == RUN_SKIPPED || item->verdict == RUN_MISSED;
}

/* All in (after_s, decided_s], one behind the other. */
static bool slots_are_sound(struct state_change *change)
{
    const struct command_slots *slots = &change->command->slots;
    int64_t last_s = slots->after_s;
    bool sound = slots->after_s < slots->decided_s && state_instant_valid(slots->decided_s);
    for (size_t i = 0; sound && i < slots->count; i++) {
        const struct command_slot *item = &slots->items[i];
        sound = item->first_s > last_s && item_is_sound(item) && item->last_s <= slots->decided_s;
        last_s = item->last_s;
    }
    if (!sound) {
        state_refuse(change, ERR_INVALID, "schedule %s: slots out of order or out of bounds",
                     slots->schedule);
    }
    return sound;
}

static bool runs_may_begin(struct state *self, struct state_change *change)
{
    const struct command_slots *slots = &change->command->slots;
    size_t count = 0;
    for (size_t i = 0; i < slots->count; i++) {
        struct run_key key = key_of(slots, &slots->items[i]);
        if (slots->items[i].verdict != RUN_UNDER_WAY) {
            continue;
        }
        if (!state_run_is_new(self, change, &key)) {
            return false;
        }
        count++;
    }
    return state_run_room(self, change, count);
}

/* Slots that do not run end where they begin. */
static void record_slot(struct state *self, struct state_change *change,
                        const struct state_schedule *schedule, const struct command_slot *item)
{
    struct state_run run;
    memset(&run, 0, sizeof(run));
    run.key = key_of(&change->command->slots, item);
    run.last_s = item->last_s;
    run.count = item->count;
    run.outcome = item->verdict;
    run.reason = item->reason;
    run.exit_status = -1;
    run.term = change->term;
    run.index = change->index;
    run.revision = schedule->revision;
    run.decided_wall_ms = change->command->wall_ms;
    state_run_record(self, &run, change->command->wall_ms);
}

static void decide(struct state *self, struct state_change *change)
{
    const struct command_slots *slots = &change->command->slots;
    struct state_schedule *schedule = present(self, change, slots->schedule);
    if (schedule == NULL) {
        return;
    }
    if (schedule->revision != slots->revision || schedule->decided_s != slots->after_s) {
        state_refuse(change, ERR_STALE,
                     "schedule %s has revision %" PRIu64 " and has decided up to %" PRId64,
                     slots->schedule, schedule->revision, schedule->decided_s);
        return;
    }
    if (!slots_are_sound(change) || !runs_may_begin(self, change)) {
        return;
    }
    change->effect->number = change->index;
    schedule->decided_s = slots->decided_s;
    for (size_t i = 0; i < slots->count; i++) {
        const struct command_slot *item = &slots->items[i];
        if (item->verdict == RUN_UNDER_WAY) {
            struct run_key key = key_of(slots, item);
            state_run_begin(self, change, schedule, &key, item->reason);
        } else {
            record_slot(self, change, schedule, item);
        }
    }
}

void state_apply_schedule(struct state *self, struct state_change *change)
{
    switch (change->command->type) {
    case COMMAND_SCHEDULE_PUT:
        put(self, change);
        return;
    case COMMAND_SCHEDULE_REMOVE:
        drop(self, change);
        return;
    default:
        decide(self, change);
        return;
    }
}
