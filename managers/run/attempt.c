#include "managers/run/attempt.h"

#include <stdio.h>
#include <string.h>

void attempt_init(struct attempt *self, const struct record_limits *limits)
{
    *self = (struct attempt){
        .phase = ATTEMPT_NEW, .limits = *limits, .exit_status = MANAGER_EXIT_UNKNOWN};
}

void attempt_resume(struct attempt *self, const struct record *record, int64_t now_ms)
{
    attempt_init(self, &record->limits);
    self->resumed = true;
    self->phase = record->ended ? ATTEMPT_ENDED : ATTEMPT_RUNNING;
    self->told = record->ended ? MANAGER_DUTY_STOPPED : MANAGER_DUTY_RUNNING;
    self->started_wall_ms = record->started_wall_ms;
    self->started_ms = record->started_boot_ms < now_ms ? record->started_boot_ms : now_ms;
    self->output_ms = now_ms; /* what came meanwhile waits in the pipe */
    self->report_ms = now_ms;
    if (record->ended) {
        self->outcome = record->outcome;
        self->reason = record->reason;
        self->exit_status = record->exit_status;
        self->ended_wall_ms = record->ended_wall_ms;
    }
}

const char *attempt_phase_name(enum attempt_phase phase)
{
    switch (phase) {
    case ATTEMPT_NEW:
        return "starting";
    case ATTEMPT_RUNNING:
        return "running";
    case ATTEMPT_ENDED:
        return "ended";
    case ATTEMPT_KNOWN:
        return "known";
    }
    return "?";
}

static void set_detail(struct attempt *self, const char *detail)
{
    (void)snprintf(self->detail, sizeof self->detail, "%s", detail == NULL ? "" : detail);
}

/* ---- the end ---- */

static unsigned end(struct attempt *self, enum manager_outcome outcome,
                    enum manager_run_reason reason, int64_t wall_ms, int64_t now_ms)
{
    self->phase = ATTEMPT_ENDED;
    self->outcome = outcome;
    self->reason = reason;
    self->ended_wall_ms = wall_ms;
    self->report_ms = now_ms + ATTEMPT_REPORT_MS;
    return ATTEMPT_RECORD | ATTEMPT_TELL | ATTEMPT_REPORT;
}

/* It never ran here, and will not. */
static unsigned refuse(struct attempt *self, enum manager_run_reason reason, const char *detail,
                       int64_t wall_ms, int64_t now_ms)
{
    self->told = MANAGER_DUTY_FAILED;
    self->started_wall_ms = 0;
    set_detail(self, detail);
    return end(self, MANAGER_OUTCOME_FAILED, reason, wall_ms, now_ms);
}

/* The program ended by itself, or by a signal that none of us sent. */
static unsigned end_by_itself(struct attempt *self, int64_t wall_ms, int64_t now_ms)
{
    /* Of one that was taken up we know the end's wall time only. */
    int64_t ran_ms = self->resumed ? wall_ms - self->started_wall_ms : now_ms - self->started_ms;
    if (self->exit_status >= MANAGER_EXIT_SIGNAL) {
        set_detail(self, "killed by a signal");
        return end(self, MANAGER_OUTCOME_FAILED, MANAGER_REASON_SIGNAL, wall_ms, now_ms);
    }
    if (self->exit_status != 0) {
        (void)snprintf(self->detail, sizeof self->detail, "exit status %d", self->exit_status);
        return end(self, MANAGER_OUTCOME_FAILED, MANAGER_REASON_EXIT, wall_ms, now_ms);
    }
    if (ran_ms < self->limits.min_runtime_ms) {
        set_detail(self, "ended well, but sooner than min_runtime");
        return end(self, MANAGER_OUTCOME_FAILED, MANAGER_REASON_TOO_SHORT, wall_ms, now_ms);
    }
    return end(self, MANAGER_OUTCOME_RAN, MANAGER_REASON_EXIT, wall_ms, now_ms);
}

/* The guard ended it. We know for whom, or it was the end of its grant. */
static unsigned end_stopped(struct attempt *self, enum ending_cause cause, int64_t wall_ms,
                            int64_t now_ms)
{
    if (self->stop_reason != 0) {
        set_detail(self, self->stop_detail != NULL ? self->stop_detail
                                                   : manager_run_reason_name(self->stop_reason));
        return end(self, MANAGER_OUTCOME_FAILED, self->stop_reason, wall_ms, now_ms);
    }
    if (self->revoked) {
        set_detail(self, "revoked");
        return end(self, MANAGER_OUTCOME_FAILED, MANAGER_REASON_CANCELLED, wall_ms, now_ms);
    }
    if (cause == ENDING_SIGNALLED) {
        set_detail(self, "somebody ended its guard");
        return end(self, MANAGER_OUTCOME_FAILED, MANAGER_REASON_SIGNAL, wall_ms, now_ms);
    }
    set_detail(self, ending_cause_name(cause));
    unsigned actions =
        end(self, MANAGER_OUTCOME_UNKNOWN, MANAGER_REASON_HOLDER_GONE, wall_ms, now_ms);
    if (cause == ENDING_REVOKED && !self->resumed) {
        /* Guard and manager hear of it on two ways: the node's word is still to come. */
        self->unexplained = true;
        self->report_ms = now_ms + ATTEMPT_REVOKE_WAIT_MS;
        return 0;
    }
    return actions;
}

static unsigned on_ended(struct attempt *self, const struct attempt_event *event, int64_t now_ms)
{
    if (self->phase != ATTEMPT_RUNNING) {
        return 0;
    }
    self->told = MANAGER_DUTY_STOPPED;
    self->exit_status = event->ending.exit_status;
    switch (event->ending.cause) {
    case ENDING_ENDED:
        return end_by_itself(self, event->wall_ms, now_ms);
    case ENDING_NEVER_RAN:
        return refuse(self, self->revoked ? MANAGER_REASON_CANCELLED : MANAGER_REASON_NOT_STARTED,
                      event->detail != NULL ? event->detail : "its guard did not start it",
                      event->wall_ms, now_ms);
    case ENDING_SIGNALLED:
    case ENDING_REVOKED:
    case ENDING_LAPSED:
    case ENDING_DISCONNECTED:
    case ENDING_UNSEEN:
        break;
    }
    return end_stopped(self, event->ending.cause, event->wall_ms, now_ms);
}

/* ---- the way there ---- */

static unsigned on_granted(struct attempt *self, const struct attempt_event *event, int64_t now_ms)
{
    if (self->phase != ATTEMPT_NEW) {
        return ATTEMPT_TELL; /* the node has forgotten what we told it */
    }
    if (!event->may_start) {
        return refuse(self, event->reason, event->detail, event->wall_ms, now_ms);
    }
    self->told = MANAGER_DUTY_STARTING;
    return ATTEMPT_START;
}

static unsigned on_started(struct attempt *self, const struct attempt_event *event, int64_t now_ms)
{
    self->phase = ATTEMPT_RUNNING;
    self->told = MANAGER_DUTY_RUNNING;
    self->started_ms = now_ms;
    self->output_ms = now_ms;
    self->started_wall_ms = event->wall_ms;
    return ATTEMPT_TELL;
}

static unsigned ask_to_end(struct attempt *self, int64_t now_ms)
{
    if (self->stopping) {
        return 0;
    }
    self->stopping = true;
    self->stop_ms = now_ms;
    return ATTEMPT_STOP;
}

static unsigned on_revoked(struct attempt *self, const struct attempt_event *event, int64_t now_ms)
{
    self->revoked = true;
    switch (self->phase) {
    case ATTEMPT_NEW:
        return refuse(self, MANAGER_REASON_CANCELLED, "revoked before it was started",
                      event->wall_ms, now_ms);
    case ATTEMPT_RUNNING:
        return ask_to_end(self, now_ms);
    case ATTEMPT_ENDED:
        if (self->unexplained) {
            self->unexplained = false;
            return end_stopped(self, ENDING_REVOKED, self->ended_wall_ms, now_ms);
        }
        self->report_ms = now_ms + ATTEMPT_REPORT_MS;
        return ATTEMPT_REPORT;
    case ATTEMPT_KNOWN:
        return ATTEMPT_RELEASE;
    }
    return 0;
}

/* For the others it was ended by a signal, as it is. */
static unsigned on_over_limit(struct attempt *self, const struct attempt_event *event,
                              int64_t now_ms)
{
    if (self->phase != ATTEMPT_RUNNING || self->stopping) {
        return 0;
    }
    self->stop_reason = MANAGER_REASON_SIGNAL;
    self->stop_detail = event->detail;
    return ask_to_end(self, now_ms);
}

static bool is_past(int64_t since_ms, int64_t limit_ms, int64_t now_ms)
{
    return limit_ms > 0 && now_ms - since_ms >= limit_ms;
}

static unsigned watch_deadlines(struct attempt *self, int64_t now_ms)
{
    if (self->stopping) {
        if (self->killed ||
            now_ms - self->stop_ms < self->limits.kill_timeout_ms + ATTEMPT_KILL_MS) {
            return 0;
        }
        self->killed = true;
        return ATTEMPT_KILL;
    }
    if (is_past(self->started_ms, self->limits.finish_ms, now_ms)) {
        self->stop_reason = MANAGER_REASON_FINISH_DEADLINE;
        return ask_to_end(self, now_ms);
    }
    if (is_past(self->output_ms, self->limits.progress_ms, now_ms)) {
        self->stop_reason = MANAGER_REASON_PROGRESS_DEADLINE;
        return ask_to_end(self, now_ms);
    }
    return 0;
}

static unsigned on_tick(struct attempt *self, int64_t now_ms)
{
    switch (self->phase) {
    case ATTEMPT_RUNNING:
        return watch_deadlines(self, now_ms);
    case ATTEMPT_ENDED:
        if (now_ms < self->report_ms) {
            return 0;
        }
        self->report_ms = now_ms + ATTEMPT_REPORT_MS;
        if (self->unexplained) {
            self->unexplained = false;
            return ATTEMPT_RECORD | ATTEMPT_TELL | ATTEMPT_REPORT;
        }
        return ATTEMPT_REPORT;
    case ATTEMPT_NEW:
    case ATTEMPT_KNOWN:
        return 0;
    }
    return 0;
}

static unsigned on_node_knows(struct attempt *self)
{
    if (self->phase != ATTEMPT_ENDED) {
        return 0; /* of another life of it: what runs, runs */
    }
    self->phase = ATTEMPT_KNOWN;
    return ATTEMPT_RELEASE | ATTEMPT_FORGET;
}

unsigned attempt_step(struct attempt *self, const struct attempt_event *event, int64_t now_ms)
{
    switch (event->kind) {
    case ATTEMPT_EVENT_GRANTED:
        return on_granted(self, event, now_ms);
    case ATTEMPT_EVENT_STARTED:
        return self->phase == ATTEMPT_NEW ? on_started(self, event, now_ms) : 0;
    case ATTEMPT_EVENT_NOT_STARTED:
        return self->phase == ATTEMPT_NEW
                   ? refuse(self, MANAGER_REASON_NOT_STARTED, event->detail, event->wall_ms, now_ms)
                   : 0;
    case ATTEMPT_EVENT_OUTPUT:
        self->output_ms = now_ms;
        return 0;
    case ATTEMPT_EVENT_OVER_LIMIT:
        return on_over_limit(self, event, now_ms);
    case ATTEMPT_EVENT_REVOKED:
        return on_revoked(self, event, now_ms);
    case ATTEMPT_EVENT_ENDED:
        return on_ended(self, event, now_ms);
    case ATTEMPT_EVENT_NODE_KNOWS:
        return on_node_knows(self);
    case ATTEMPT_EVENT_TICK:
        return on_tick(self, now_ms);
    }
    return 0;
}
