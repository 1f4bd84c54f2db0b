#include "consensus/state_internal.h"
#include "node/base/invariant.h"

#include <inttypes.h>
#include <string.h>

/* ---- beginning ---- */

bool state_run_room(const struct state *self, struct state_change *change, size_t count)
{
    if (self->work.runs.count + count > STATE_RUNS_UNDER_WAY_MAX) {
        state_refuse(change, ERR_FULL, "there are %zu runs under way, %d are allowed",
                     self->work.runs.count, STATE_RUNS_UNDER_WAY_MAX);
        return false;
    }
    if (self->duty_count + count > DUTIES_MAX) {
        state_refuse(change, ERR_FULL, "there are %zu duties, %d are allowed", self->duty_count,
                     DUTIES_MAX);
        return false;
    }
    return true;
}

bool state_run_is_new(struct state *self, struct state_change *change, const struct run_key *key)
{
    char duty[DUTY_ID_SIZE];
    run_duty_id(key, 1, duty);
    if (state_run_find(self, key) != NULL || state_duty_by_id(self, duty) != NULL) {
        state_refuse(change, ERR_EXISTS, "duty %s exists already", duty);
        return false;
    }
    return true;
}

/* The duty of the run's present attempt; there is room for it. */
static void put_duty(struct state *self, struct state_change *change, const struct state_run *run,
                     int64_t priority)
{
    char id[DUTY_ID_SIZE];
    memset(id, 0, sizeof(id));
    run_duty_id(&run->key, run->attempt, id);
    struct state_table table = state_table_duties(self);
    struct state_duty *row = state_table_insert(&table, id);
    invariant(row != NULL);
    memcpy(row->is.id, id, sizeof(row->is.id));
    row->is.exclusive = true;
    row->is.wanted = true;
    row->is.once = true;
    row->is.priority = priority;
    row->changed_index = change->index;
    bool named = state_duty_manager(id, row->manager);
    invariant(named);
}

void state_run_begin(struct state *self, struct state_change *change,
                     struct state_schedule *schedule, const struct run_key *key,
                     enum run_reason reason)
{
    struct state_run *run = state_run_insert(self, key);
    run->last_s = key->slot_s;
    run->count = 1;
    run->attempt = 1;
    run->outcome = RUN_UNDER_WAY;
    run->reason = reason;
    run->exit_status = -1;
    run->term = change->term;
    run->index = change->index;
    run->revision = schedule->revision;
    run->decided_wall_ms = change->command->wall_ms;
    schedule->under_way++;
    put_duty(self, change, run, schedule->is.priority);
}

static void start(struct state *self, struct state_change *change)
{
    const struct command_run_start *wish = &change->command->run_start;
    struct state_table table = state_table_schedules(self);
    struct state_schedule *schedule = state_table_find(&table, wish->schedule);
    if (schedule == NULL) {
        state_refuse(change, ERR_NOTFOUND, "no schedule %s", wish->schedule);
        return;
    }
    struct run_key key;
    memset(&key, 0, sizeof(key));
    memcpy(key.schedule, wish->schedule, sizeof(key.schedule));
    key.number = change->index;
    if (!state_run_is_new(self, change, &key) || !state_run_room(self, change, 1)) {
        return;
    }
    change->effect->number = change->index;
    state_run_begin(self, change, schedule, &key, RUN_MANUAL);
}

/* ---- counting ---- */

static void count_slots(struct run_counts *counts, enum run_outcome outcome, uint32_t count)
{
    switch (outcome) {
    case RUN_RAN:
        counts->ran += count;
        return;
    case RUN_FAILED:
        counts->failed += count;
        return;
    case RUN_SKIPPED:
        counts->skipped += count;
        return;
    case RUN_MISSED:
        counts->missed += count;
        return;
    case RUN_UNKNOWN:
        counts->unknown += count;
        return;
    case RUN_UNDER_WAY:
        return;
    }
}

static void count_failures(struct state_schedule *schedule, const struct state_run *run)
{
    if (run->outcome == RUN_RAN) {
        schedule->failures = 0;
    } else if (run->outcome != RUN_SKIPPED) {
        uint32_t room = UINT32_MAX - schedule->failures;
        schedule->failures += run->count < room ? run->count : room;
    }
}

void state_run_record(struct state *self, const struct state_run *run, int64_t wall_ms)
{
    struct state_table table = state_table_schedules(self);
    struct state_schedule *schedule = state_table_find(&table, run->key.schedule);
    if (schedule != NULL) {
        if (run->key.number == 0) {
            count_slots(&schedule->counts, run->outcome, run->count);
        }
        if (run->key.number == 0 && run->last_s >= schedule->last_slot_s) {
            schedule->last_slot_s = run->last_s;
            schedule->last_outcome = run->outcome;
        }
        if (run->outcome == RUN_RAN) {
            schedule->last_ran_wall_ms = run->ended_wall_ms != 0 ? run->ended_wall_ms : wall_ms;
        }
        count_failures(schedule, run);
    }
    state_run_push(self, run);
}

/* ---- ending ---- */

/* The run under way of that key, or NULL with the refusal written. */
static struct state_run *under_way(struct state *self, struct state_change *change,
                                   const struct run_key *key)
{
    struct state_run *run = state_run_find(self, key);
    if (run == NULL) {
        state_refuse(change, ERR_NOTFOUND, "no run %s is under way", change->effect->target);
    }
    return run;
}

static struct state_duty *duty_of(struct state *self, const struct state_run *run)
{
    char id[DUTY_ID_SIZE];
    run_duty_id(&run->key, run->attempt, id);
    struct state_table table = state_table_duties(self);
    struct state_duty *duty = state_table_find(&table, id);
    invariant(duty != NULL); /* it is made and removed with the attempt, and by nothing else */
    return duty;
}

/* Does the command speak of the present attempt, and is it certain that nothing of it runs? */
static bool end_is_certain(struct state_change *change, const struct state_run *run,
                           const struct state_duty *duty)
{
    const struct command_run_end *end = &change->command->run_end;
    if (run->attempt != end->attempt) {
        state_refuse(change, ERR_STALE, "run %s is at attempt %" PRIu32 ", not %" PRIu32,
                     change->effect->target, run->attempt, end->attempt);
        return false;
    }
    if (duty->assignment.number != end->assignment) {
        state_refuse(change, ERR_STALE, "duty %s has assignment %" PRIu64 ", not %" PRIu64,
                     duty->is.id, duty->assignment.number, end->assignment);
        return false;
    }
    if (state_duty_held(duty) && end->proof == 0) {
        state_refuse(change, ERR_UNSAFE, "duty %s is assigned to %s and not released", duty->is.id,
                     duty->assignment.node);
        return false;
    }
    if (duty->assignment.number == 0 && end->outcome == RUN_RAN) {
        state_refuse(change, ERR_INVALID, "run %s was never assigned", change->effect->target);
        return false;
    }
    return true;
}

static bool may_go_on(struct state *self, struct state_change *change, const struct state_run *run)
{
    const struct command_run_end *end = &change->command->run_end;
    if (end->outcome == RUN_RAN || end->outcome == RUN_SKIPPED || end->again_wall_ms < 0) {
        state_refuse(change, ERR_INVALID, "run %s %s, and shall run again", change->effect->target,
                     run_outcome_name(end->outcome));
        return false;
    }
    if (run->cancelled) {
        state_refuse(change, ERR_DENIED, "run %s is cancelled", change->effect->target);
        return false;
    }
    if (run->attempt >= RUN_ATTEMPTS_MAX) {
        state_refuse(change, ERR_FULL, "run %s had %d attempts", change->effect->target,
                     RUN_ATTEMPTS_MAX);
        return false;
    }
    char next[DUTY_ID_SIZE];
    run_duty_id(&run->key, run->attempt + 1, next);
    if (state_duty_by_id(self, next) != NULL) {
        state_refuse(change, ERR_EXISTS, "duty %s exists already", next);
        return false;
    }
    return true;
}

/* What became of the attempt; its duty goes with it. */
static void end_attempt(struct state *self, struct state_run *run, struct state_duty *duty,
                        const struct command_run_end *end)
{
    run->raft_id = duty->assignment.raft_id;
    run->assignment = duty->assignment.number;
    run->exit_status = end->exit_status;
    run->started_wall_ms = end->started_wall_ms;
    run->ended_wall_ms = end->ended_wall_ms;
    struct state_table table = state_table_duties(self);
    state_table_remove(&table, duty);
}

static void finish(struct state *self, struct state_change *change, struct state_run *run)
{
    const struct command_run_end *end = &change->command->run_end;
    struct state_run ended;
    memcpy(&ended, run, sizeof(ended));
    ended.outcome = end->outcome;
    ended.reason = end->reason;
    ended.again_wall_ms = 0;
    state_run_remove(self, run);
    struct state_table table = state_table_schedules(self);
    struct state_schedule *schedule = state_table_find(&table, ended.key.schedule);
    if (schedule != NULL) {
        invariant(schedule->under_way > 0);
        schedule->under_way--;
    }
    state_run_record(self, &ended, change->command->wall_ms);
}

static void end(struct state *self, struct state_change *change)
{
    const struct command_run_end *end = &change->command->run_end;
    struct state_run *run = under_way(self, change, &end->run);
    if (run == NULL) {
        return;
    }
    struct state_duty *duty = duty_of(self, run);
    bool again = end->again_wall_ms != 0;
    if (!end_is_certain(change, run, duty) || (again && !may_go_on(self, change, run))) {
        return;
    }
    change->effect->number = end->assignment;
    int64_t priority = duty->is.priority;
    end_attempt(self, run, duty, end);
    if (again) {
        run->unstarted += end->reason == RUN_NOT_STARTED ? 1 : 0;
        run->attempt++;
        run->again_wall_ms = end->again_wall_ms;
        put_duty(self, change, run, priority);
    } else {
        finish(self, change, run);
    }
}

static void cancel(struct state *self, struct state_change *change)
{
    const struct command_run_cancel *wish = &change->command->run_cancel;
    struct state_run *run = under_way(self, change, &wish->run);
    if (run == NULL) {
        return;
    }
    if (run->cancelled) {
        state_unchanged(change);
        return;
    }
    run->cancelled = true;
    run->cancel = wish->reason;
    struct state_duty *duty = duty_of(self, run);
    duty->is.wanted = false;
    duty->changed_index = change->index;
}

void state_apply_run(struct state *self, struct state_change *change)
{
    switch (change->command->type) {
    case COMMAND_RUN_START:
        start(self, change);
        return;
    case COMMAND_RUN_END:
        end(self, change);
        return;
    default:
        cancel(self, change);
        return;
    }
}
