#include "consensus/runs.h"

#include "consensus/schedule.h"

#include <stdio.h>
#include <string.h>

#define MS_PER_S 1000
#define UNSTARTED_WAIT_MS 1000 /* before the first one more try; doubled up to the next */
#define UNSTARTED_WAIT_MAX_MS 60000

/* A run under way, its schedule (NULL: removed) and the duty of its present attempt. */
struct attempt {
    const struct state *state;
    const struct state_run *run;
    size_t position; /* of the run */
    const struct state_schedule *schedule;
    const struct state_duty *duty; /* NULL: it was never assigned */
};

struct ending {
    enum run_outcome outcome;
    enum run_reason reason;
    int exit_status;
    int64_t started_wall_ms;
    int64_t ended_wall_ms;
};

/* ---- finding runs ---- */

/* Of the first run under way of that schedule, or of where it would be. */
static size_t first_of(const struct state *state, const char *schedule)
{
    size_t low = 0;
    size_t high = state_run_count(state);
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (strcmp(state_run_at(state, middle)->key.schedule, schedule) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

/* The run under way at `position` when it is one of that schedule; NULL: no more of them. */
static const struct state_run *run_of(const struct state *state, const char *schedule,
                                      size_t position)
{
    const struct state_run *run =
        position < state_run_count(state) ? state_run_at(state, position) : NULL;
    return run != NULL && strcmp(run->key.schedule, schedule) == 0 ? run : NULL;
}

static void look_at(const struct state *state, size_t position,
                    const struct state_schedule *schedule, struct attempt *ret)
{
    char id[DUTY_ID_SIZE];
    const struct state_run *run = state_run_at(state, position);
    run_duty_id(&run->key, run->attempt, id);
    const struct state_duty *duty = state_duty_by_id(state, id);
    bool assigned = duty != NULL && duty->assignment.number != 0;
    *ret = (struct attempt){state, run, position, schedule, assigned ? duty : NULL};
}

/* The run under way whose present attempt has that duty. */
static bool find_by_duty(const struct state *state, const char *duty, struct attempt *ret)
{
    struct run_key key;
    uint32_t attempt;
    if (!run_parse(duty, &key, &attempt)) {
        return false;
    }
    const struct state_run *run;
    for (size_t i = first_of(state, key.schedule); (run = run_of(state, key.schedule, i)) != NULL;
         i++) {
        char id[DUTY_ID_SIZE];
        run_duty_id(&run->key, run->attempt, id);
        if (strcmp(id, duty) == 0) {
            look_at(state, i, state_schedule_by_id(state, key.schedule), ret);
            return true;
        }
    }
    return false;
}

/* Was `a` decided after `b`, both runs of one schedule? */
static bool is_newer(const struct state_run *a, const struct state_run *b)
{
    return a->index != b->index ? a->index > b->index : a->key.slot_s > b->key.slot_s;
}

/* Is a run of the same schedule under way that was decided after (before) this one? */
static bool has_other(const struct attempt *is, bool newer)
{
    const char *schedule = is->run->key.schedule;
    const struct state_run *run;
    for (size_t i = first_of(is->state, schedule); (run = run_of(is->state, schedule, i)) != NULL;
         i++) {
        if (i != is->position && is_newer(newer ? run : is->run, newer ? is->run : run)) {
            return true;
        }
    }
    return false;
}

/* ---- what a run has behind it ---- */

/* Attempts before the present one that started, or may have. */
static uint32_t earlier_starts(const struct state_run *run)
{
    uint32_t earlier = run->attempt > 0 ? run->attempt - 1 : 0;
    return earlier > run->unstarted ? earlier - run->unstarted : 0;
}

/* What nobody started was skipped or missed, unless an earlier attempt had started. */
static enum run_outcome unless_it_started(const struct state_run *run, enum run_outcome outcome)
{
    return earlier_starts(run) > 0 ? RUN_FAILED : outcome;
}

/* From then on it is too late for its start. Ages are whole seconds, as for slots. */
static int64_t too_late_ms(const struct state_run *run, const struct schedule_definition *is)
{
    int64_t limit_s =
        is->start_deadline_s > SCHEDULE_GRACE_S ? is->start_deadline_s : SCHEDULE_GRACE_S;
    int64_t from_ms = run->decided_wall_ms;
    bool on_time = run->reason == RUN_DUE && run->key.number == 0;
    bool retry = earlier_starts(run) > 0;
    if (retry) {
        from_ms = run->again_wall_ms;
    } else if (on_time) {
        from_ms = run->key.slot_s * MS_PER_S;
    }
    if ((retry || !on_time) && limit_s < RUNS_START_LEAST_S) {
        limit_s = RUNS_START_LEAST_S;
    }
    return from_ms + (limit_s + 1) * MS_PER_S;
}

/* ---- one more attempt ---- */

/* FNV-1a over the run's id and the attempt. */
static uint64_t hash_of(const struct state_run *run)
{
    char id[DUTY_ID_SIZE];
    run_duty_id(&run->key, run->attempt, id);
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (const char *at = id; *at != '\0'; at++) {
        hash = (hash ^ (uint8_t)*at) * UINT64_C(0x100000001b3);
    }
    return hash ^ hash >> 29;
}

/* first_ms, doubled `doublings` times, at most most_ms; and up to a quarter more. */
static int64_t wait_ms(const struct state_run *run, int64_t first_ms, int64_t most_ms,
                       uint32_t doublings)
{
    int64_t ms = first_ms;
    while (doublings > 0 && ms > 0 && ms < most_ms) {
        ms *= 2;
        doublings--;
    }
    ms = ms < most_ms ? ms : most_ms;
    return ms + (int64_t)(hash_of(run) % (uint64_t)(ms / 4 + 1));
}

/* When the next attempt may begin after this end; 0: there is none. */
static int64_t again_at_ms(const struct attempt *is, const struct ending *end, int64_t now_ms)
{
    const struct state_run *run = is->run;
    if (run->cancelled || is->schedule == NULL || end->outcome == RUN_RAN ||
        run->attempt >= RUN_ATTEMPTS_MAX) {
        return 0;
    }
    const struct schedule_definition *definition = &is->schedule->is;
    now_ms = now_ms > 0 ? now_ms : 1;
    if (end->reason == RUN_NOT_STARTED) {
        return run->unstarted >= RUNS_UNSTARTED_MAX
                   ? 0
                   : now_ms +
                         wait_ms(run, UNSTARTED_WAIT_MS, UNSTARTED_WAIT_MAX_MS, run->unstarted);
    }
    uint32_t used = earlier_starts(run);
    if (used >= definition->retries ||
        (end->outcome == RUN_UNKNOWN && !definition->retry_unknown)) {
        return 0;
    }
    return now_ms + wait_ms(run, definition->backoff_s * MS_PER_S,
                            definition->backoff_max_s * MS_PER_S, used);
}

/* ---- commands ---- */

static void begin(struct command *ret, enum command_type type, const char *why,
                  enum run_reason reason)
{
    memset(ret, 0, sizeof(*ret));
    ret->type = type;
    ret->reason = REASON_RUN;
    (void)snprintf(ret->why, sizeof(ret->why), "%s (%s)", why, run_reason_name(reason));
}

static void end_attempt(const struct attempt *is, const struct ending *end, int64_t again_ms,
                        struct command *ret)
{
    begin(ret, COMMAND_RUN_END, again_ms != 0 ? "again" : run_outcome_name(end->outcome),
          end->reason);
    ret->run_end = (struct command_run_end){.attempt = is->run->attempt,
                                            .outcome = end->outcome,
                                            .reason = end->reason,
                                            .exit_status = end->exit_status,
                                            .started_wall_ms = end->started_wall_ms,
                                            .ended_wall_ms = end->ended_wall_ms,
                                            .again_wall_ms = again_ms};
    memcpy(&ret->run_end.run, &is->run->key, sizeof(ret->run_end.run));
    if (is->duty != NULL) {
        ret->run_end.assignment = is->duty->assignment.number;
        ret->run_end.proof = is->duty->released ? (int)is->duty->proof : RELEASE_BY_HOLDER;
    }
}

static void cancel_replaced(const struct attempt *is, struct command *ret)
{
    begin(ret, COMMAND_RUN_CANCEL, "its schedule's next slot has come", RUN_REPLACED);
    memcpy(&ret->run_cancel.run, &is->run->key, sizeof(ret->run_cancel.run));
    ret->run_cancel.reason = RUN_REPLACED;
}

/* ---- reports ---- */

/* A failure whose program was never started. */
static bool never_started(const struct run_report *report)
{
    return report->outcome == RUN_FAILED && report->started_wall_ms == 0;
}

static bool too_short(const struct attempt *is, const struct run_report *report)
{
    int64_t ran_ms = report->ended_wall_ms - report->started_wall_ms;
    return is->schedule != NULL && report->outcome == RUN_RAN && report->started_wall_ms > 0 &&
           ran_ms >= 0 && ran_ms < is->schedule->is.min_runtime_s * MS_PER_S;
}

/* What the report comes to for the run as it stands in the state. */
static struct ending judge(const struct attempt *is, const struct run_report *report)
{
    struct ending end = {report->outcome, report->reason, report->exit_status,
                         report->started_wall_ms, report->ended_wall_ms};
    const struct state_run *run = is->run;
    if (run->cancelled && report->outcome != RUN_UNKNOWN) {
        end.outcome = never_started(report) ? unless_it_started(run, RUN_SKIPPED) : RUN_FAILED;
        end.reason = run->cancel;
    } else if (never_started(report)) {
        end.reason = RUN_NOT_STARTED;
    } else if (too_short(is, report)) {
        end.outcome = RUN_FAILED;
        end.reason = RUN_TOO_SHORT;
    }
    return end;
}

bool runs_take_report(const struct state *state, const struct run_report *report, int64_t wall_ms,
                      bool trusted, struct command *ret)
{
    struct attempt is;
    if (!find_by_duty(state, report->duty, &is) || is.duty == NULL ||
        is.duty->assignment.number != report->assignment ||
        is.duty->assignment.raft_id != report->raft_id) {
        return false;
    }
    struct ending end = judge(&is, report);
    int64_t again_ms = again_at_ms(&is, &end, wall_ms);
    if (again_ms != 0 && !trusted) {
        return false;
    }
    end_attempt(&is, &end, again_ms, ret);
    return true;
}

/* ---- what happens without a report ---- */

struct look {
    int64_t wall_ms;
    bool trusted;
};

/* Why an attempt that nobody has will not be started; false: it still may. */
static bool given_up(const struct look *look, const struct attempt *is, struct ending *ret)
{
    const struct state_run *run = is->run;
    *ret = (struct ending){RUN_SKIPPED, RUN_REMOVED, -1, 0, look->wall_ms};
    if (run->cancelled) {
        ret->reason = run->cancel;
        return true;
    }
    if (is->schedule == NULL) {
        return true;
    }
    if (look->trusted && look->wall_ms >= too_late_ms(run, &is->schedule->is)) {
        ret->outcome = RUN_MISSED;
        ret->reason = RUN_START_DEADLINE;
        return true;
    }
    if (is->schedule->is.overlap == SCHEDULE_OVERLAP_REPLACE && has_other(is, true)) {
        ret->reason = RUN_REPLACED;
        return true;
    }
    return false;
}

static bool bring_unassigned_on(const struct look *look, const struct attempt *is,
                                struct command *ret)
{
    struct ending end;
    if (!given_up(look, is, &end)) {
        return false;
    }
    end.outcome = unless_it_started(is->run, end.outcome);
    end_attempt(is, &end, 0, ret);
    return true;
}

/* Its report may still come. A release that lies further off than the wait, on either side, was
 * written by a leader whose wall clock was wrong, and tells nothing. */
static bool awaits_report(const struct look *look, const struct state_duty *duty)
{
    int64_t passed_ms = look->wall_ms - duty->released_wall_ms;
    return duty->proof == RELEASE_BY_HOLDER &&
           (!look->trusted ||
            (passed_ms > -RUNS_REPORT_WAIT_MS && passed_ms < RUNS_REPORT_WAIT_MS));
}

/* Nothing of it runs any more, and nobody said how it ended. */
static bool bring_released_on(const struct look *look, const struct attempt *is,
                              struct command *ret)
{
    if (awaits_report(look, is->duty)) {
        return false;
    }
    struct ending end = {RUN_UNKNOWN, RUN_HOLDER_GONE, -1, 0, is->duty->released_wall_ms};
    int64_t again_ms = again_at_ms(is, &end, look->wall_ms);
    if (again_ms != 0 && !look->trusted) {
        return false; /* its wait would be counted from a wrong time */
    }
    end_attempt(is, &end, again_ms, ret);
    return true;
}

static bool bring_on(const struct look *look, const struct attempt *is, struct command *ret)
{
    if (is->duty == NULL) {
        return bring_unassigned_on(look, is, ret);
    }
    if (is->duty->released) {
        return bring_released_on(look, is, ret);
    }
    if (!is->run->cancelled && is->schedule != NULL &&
        is->schedule->is.overlap == SCHEDULE_OVERLAP_REPLACE && has_other(is, true)) {
        cancel_replaced(is, ret);
        return true;
    }
    return false;
}

/* The next run under way after `position`; its schedule is looked up once for all its runs. */
static void visit(const struct state *state, size_t position, struct attempt *ret)
{
    const struct state_run *run = state_run_at(state, position);
    const struct state_schedule *schedule = ret->schedule;
    if (ret->run == NULL || strcmp(ret->run->key.schedule, run->key.schedule) != 0) {
        schedule = state_schedule_by_id(state, run->key.schedule);
    }
    look_at(state, position, schedule, ret);
}

size_t runs_step(const struct state *state, int64_t wall_ms, bool trusted, struct command *ret,
                 size_t max)
{
    struct look look = {wall_ms, trusted};
    struct attempt is = {0};
    size_t count = 0;
    for (size_t i = 0; i < state_run_count(state) && count < max; i++) {
        visit(state, i, &is);
        count += bring_on(&look, &is, &ret[count]) ? 1 : 0;
    }
    return count;
}

int64_t runs_next_wall_ms(const struct state *state)
{
    int64_t next_ms = INT64_MAX;
    struct attempt is = {0};
    for (size_t i = 0; i < state_run_count(state); i++) {
        int64_t at_ms = INT64_MAX;
        visit(state, i, &is);
        if (is.duty == NULL && !is.run->cancelled && is.schedule != NULL) {
            at_ms = too_late_ms(is.run, &is.schedule->is);
        } else if (is.duty != NULL && is.duty->released && is.duty->proof == RELEASE_BY_HOLDER) {
            at_ms = is.duty->released_wall_ms + RUNS_REPORT_WAIT_MS;
        }
        next_ms = at_ms < next_ms ? at_ms : next_ms;
    }
    return next_ms;
}

bool runs_may_place(const struct state *state, const char *duty, int64_t wall_ms)
{
    struct run_key key;
    uint32_t attempt;
    struct attempt is;
    if (!run_parse(duty, &key, &attempt) || !find_by_duty(state, duty, &is)) {
        return true;
    }
    if (is.run->cancelled || is.schedule == NULL || wall_ms < is.run->again_wall_ms ||
        wall_ms >= too_late_ms(is.run, &is.schedule->is)) {
        return false;
    }
    return is.schedule->is.overlap == SCHEDULE_OVERLAP_ALLOW || !has_other(&is, false);
}
