#include "consensus/schedule_parts.h"

#include "node/base/invariant.h"

#include <stdio.h>
#include <string.h>

/* One call. */
struct step {
    struct scheduler *scheduler;
    const struct state *state;
    const struct scheduler_now *now;
    int64_t now_s;
    size_t room;
    size_t walked; /* slots, of all schedules */
};

/* ---- what there is to look at ---- */

static void make_ready(const struct step *step, struct schedule_entry *entry)
{
    struct scheduler *self = step->scheduler;
    schedule_entry_out(self, entry);
    entry->behind = step->now_s - entry->next_s > entry->limit_s;
    schedule_heap_push(&self->heaps[SCHEDULE_READY], entry);
}

static void wake(const struct step *step)
{
    struct scheduler *self = step->scheduler;
    struct schedule_entry *entry;
    while ((entry = schedule_heap_first(&self->heaps[SCHEDULE_BY_TIME])) != NULL &&
           entry->wake_s <= step->now_s) {
        make_ready(step, entry);
    }
    while ((entry = self->flight_first) != NULL && entry->again_ms <= step->now->now_ms) {
        make_ready(step, entry);
    }
}

/* The next entry to look at, taken out; NULL: none. */
static struct schedule_entry *take(const struct step *step)
{
    struct scheduler *self = step->scheduler;
    struct schedule_entry *entry = schedule_heap_first(&self->heaps[SCHEDULE_READY]);
    struct schedule_entry *waiting =
        step->room == 0 ? NULL : schedule_heap_first(&self->heaps[SCHEDULE_WAITING]);
    if (entry == NULL ||
        (waiting != NULL && schedule_heap_before(SCHEDULE_WAITING, waiting, entry))) {
        entry = waiting;
    }
    if (entry != NULL) {
        schedule_entry_out(self, entry);
    }
    return entry;
}

/* off.decided_is_replicated: a leader that knows only what it has seen itself. */
static void forget(const struct step *step)
{
    struct scheduler *self = step->scheduler;
    for (size_t i = 0; i < self->bucket_count; i++) {
        for (struct schedule_entry *entry = self->buckets[i]; entry != NULL; entry = entry->chain) {
            schedule_entry_out(self, entry);
            if (entry->next_s <= step->now_s) {
                entry->next_s = schedule_entry_next(entry, step->now_s);
            }
            schedule_entry_sleep(self, entry, entry->next_s);
        }
    }
    self->forgetful = false;
}

/* ---- one schedule ---- */

/* The slots that have come, into self->slots; `ret_after_s` is the one behind them. */
static size_t walk(const struct step *step, const struct schedule_entry *entry,
                   int64_t *ret_after_s)
{
    int64_t *slots = step->scheduler->slots;
    size_t count = 0;
    int64_t slot_s = entry->next_s;
    while (slot_s <= step->now_s && count < SCHEDULE_STEP_SLOTS_MAX) {
        slots[count++] = slot_s;
        slot_s = schedule_entry_next(entry, slot_s);
    }
    *ret_after_s = slot_s;
    return count;
}

/* "1 due", "3 overlap, 1 due": as far as there is room. */
static void describe(const struct command_slots *slots, char ret[REASON_SIZE])
{
    size_t at = 0;
    ret[0] = '\0';
    for (size_t i = 0; i < slots->count; i++) {
        const struct command_slot *item = &slots->items[i];
        int length = snprintf(ret + at, REASON_SIZE - at, "%s%u %s", i == 0 ? "" : ", ",
                              (unsigned)item->count, run_reason_name(item->reason));
        if (length < 0 || (size_t)length >= REASON_SIZE - at) {
            ret[at] = '\0';
            return;
        }
        at += (size_t)length;
    }
}

/* Nothing of it can be decided now; the slots are in self->slots. */
static void put_aside(const struct step *step, struct schedule_entry *entry,
                      enum schedule_wait wait, int64_t after_s)
{
    struct scheduler *self = step->scheduler;
    if (wait == SCHEDULE_WAITS_FOR_TURN) {
        schedule_entry_fly(self, entry, step->now->now_ms + SCHEDULE_REPEAT_MS, false, 0);
        return;
    }
    invariant(wait == SCHEDULE_WAITS_FOR_ROOM);
    invariant(step->room == 0);
    bool late = step->now_s - entry->next_s > entry->limit_s;
    int64_t wake_s = late ? after_s : entry->next_s + entry->limit_s;
    entry->behind = false;
    schedule_entry_sleep(self, entry, wake_s > step->now_s ? wake_s : step->now_s + 1);
    schedule_heap_push(&self->heaps[SCHEDULE_WAITING], entry);
}

/* True: with a command to propose. */
static bool settle_entry(struct step *step, struct schedule_entry *entry, struct command *ret)
{
    struct scheduler *self = step->scheduler;
    const struct state_schedule *row = state_schedule_by_id(step->state, entry->id);
    int64_t again_ms = step->now->now_ms + SCHEDULE_REPEAT_MS;
    if (row == NULL || row->revision != entry->revision || row->decided_s != entry->decided_s) {
        schedule_entry_fly(self, entry, again_ms, false, 0); /* a sync is to come */
        return false;
    }
    struct schedule_case is = {
        .row = row, .now = step->now, .slots = self->slots, .room = step->room};
    int64_t after_s;
    is.count = walk(step, entry, &after_s);
    is.complete = after_s > step->now_s;
    step->walked += is.count;
    if (is.count == 0) { /* the wall clock went back */
        schedule_entry_sleep(self, entry, entry->next_s);
        return false;
    }
    struct schedule_answer answer;
    memset(ret, 0, sizeof(*ret));
    schedule_decide(&is, &ret->slots, &answer);
    if (answer.decided == 0) {
        put_aside(step, entry, answer.wait, after_s);
        return false;
    }
    ret->type = COMMAND_SLOTS_DECIDE;
    ret->reason = REASON_SCHEDULE;
    (void)snprintf(ret->slots.schedule, sizeof(ret->slots.schedule), "%s", row->id);
    describe(&ret->slots, ret->why);
    step->room -= answer.runs;
    schedule_entry_fly(self, entry, again_ms, true, answer.runs);
    return true;
}

size_t scheduler_step(struct scheduler *self, const struct state *state,
                      const struct scheduler_now *now, struct command *ret, size_t max)
{
    if (!now->acting || !now->wall_trusted) {
        return 0;
    }
    struct step step = {
        .scheduler = self, .state = state, .now = now, .now_s = schedule_seconds(now->wall_ms)};
    self->wall_less_now_ms = now->wall_ms - now->now_ms;
    if (self->forgetful) {
        forget(&step);
    }
    wake(&step);
    step.room = now->room > self->runs_in_flight ? now->room - self->runs_in_flight : 0;
    max = max < SCHEDULE_STEP_COMMANDS_MAX ? max : SCHEDULE_STEP_COMMANDS_MAX;
    size_t count = 0;
    while (count < max && step.walked < SCHEDULE_STEP_SLOTS_MAX) {
        struct schedule_entry *entry = take(&step);
        if (entry == NULL) {
            break;
        }
        count += settle_entry(&step, entry, &ret[count]) ? 1 : 0;
    }
    return count;
}
