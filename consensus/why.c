#include "consensus/why.h"

#include "consensus/gate.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define RECOVERY_AUDITS 12 /* the beginning and end of six attempts */

/* ---- building ---- */

static struct why_step *add_step(struct why *why, const char *reason, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* NULL when there is no room: then the chain is not whole. */
static struct why_step *add_step(struct why *why, const char *reason, const char *format, ...)
{
    if (why->count == WHY_STEPS_MAX) {
        why->whole = false;
        return NULL;
    }
    struct why_step *step = &why->steps[why->count++];
    *step = (struct why_step){0};
    (void)snprintf(step->reason, sizeof step->reason, "%s", reason);
    va_list args;
    va_start(args, format);
    (void)vsnprintf(step->text, sizeof step->text, format, args);
    va_end(args);
    return step;
}

static void set_time(struct why_step *step, int64_t wall_ms, uint64_t term, uint64_t index)
{
    if (step != NULL) {
        step->wall_ms = wall_ms;
        step->term = term;
        step->index = index;
    }
}

static void set_reason(struct why *why, const char *reason)
{
    (void)snprintf(why->reason, sizeof why->reason, "%s", reason);
}

/* ---- the audit ring ---- */

/* One entry of the audit as a step. */
static void add_audit(struct why *why, const struct state_audit *entry, const char *what)
{
    struct why_step *step =
        add_step(why, command_reason_name(entry->reason), "%s%s%s%s%s", what,
                 entry->status != 0 ? ", refused" : "", entry->why[0] != '\0' ? ": " : "",
                 entry->why, entry->status != 0 ? " (not done)" : "");
    set_time(step, entry->wall_ms, entry->term, entry->index);
    if (step != NULL) {
        memcpy(step->who, entry->who, sizeof step->who);
    }
}

static const char *what_of(enum command_type type)
{
    switch (type) {
    case COMMAND_DUTY_PUT:
        return "what is wanted of it was decided";
    case COMMAND_DUTY_ASSIGN:
        return "it was assigned";
    case COMMAND_DUTY_RELEASE:
        return "it was released";
    case COMMAND_ALERT_RAISE:
        return "it was raised";
    case COMMAND_ALERT_ACK:
        return "it was acknowledged";
    case COMMAND_ALERT_RESOLVE:
        return "it was resolved";
    case COMMAND_RUN_CANCEL:
        return "its end was asked for";
    case COMMAND_RUN_START:
        return "it was started by hand";
    case COMMAND_MANAGER_PAUSE:
        return "its manager was paused";
    case COMMAND_MANAGER_RESUME:
        return "its manager was resumed";
    case COMMAND_NODE_DRAIN:
        return "the node was drained";
    case COMMAND_RECOVERY_SET:
        return "its recovery";
    default:
        return command_type_name(type);
    }
}

/* The newest entries about `target`, at most `most`, none older than that of `oldest_index`. */
static void add_audits(struct why *why, const struct state *state, const char *target, size_t most,
                       uint64_t oldest_index)
{
    for (size_t i = 0; i < state_audit_count(state) && most > 0; i++) {
        const struct state_audit *entry = state_audit_at(state, i);
        if (entry->index < oldest_index) {
            return;
        }
        if (strcmp(entry->target, target) == 0) {
            add_audit(why, entry, what_of(entry->type));
            most--;
        }
    }
}

/* The newest entry of that kind about `target`, done and not refused; NULL: forgotten. */
static const struct state_audit *newest_audit(const struct state *state, enum command_type type,
                                              const char *target)
{
    for (size_t i = 0; i < state_audit_count(state); i++) {
        const struct state_audit *entry = state_audit_at(state, i);
        if (entry->type == type && entry->status == 0 && strcmp(entry->target, target) == 0) {
            return entry;
        }
    }
    return NULL;
}

static const struct state_audit *audit_of(const struct state *state, uint64_t index)
{
    for (size_t i = 0; index != 0 && i < state_audit_count(state); i++) {
        const struct state_audit *entry = state_audit_at(state, i);
        if (entry->index <= index) {
            return entry->index == index ? entry : NULL;
        }
    }
    return NULL;
}

/* ---- leaders ---- */

static void add_leader(struct why *why, const struct state_leader *row)
{
    char text[WHY_TEXT_SIZE];
    const char *previous = row->is.previous[0] == '\0' ? "the former leader" : row->is.previous;
    switch (row->is.cause) {
    case CONSENSUS_CAUSE_TRANSFER:
        (void)snprintf(text, sizeof text, "a person handed leadership over");
        break;
    case CONSENSUS_CAUSE_HEALTH:
        (void)snprintf(text, sizeof text, "the health of %s fell, and another node was better",
                       previous);
        break;
    case CONSENSUS_CAUSE_DRAIN:
        (void)snprintf(text, sizeof text, "%s was drained or ended, and handed over first",
                       previous);
        break;
    case CONSENSUS_CAUSE_GRAY:
        (void)snprintf(text, sizeof text, "the work of %s did not go on, though it answered",
                       previous);
        break;
    case CONSENSUS_CAUSE_TIMEOUT:
        (void)snprintf(text, sizeof text, "nothing was heard of %s for the election timeout",
                       row->is.previous[0] == '\0' ? "a leader" : row->is.previous);
        break;
    case CONSENSUS_CAUSE_START:
        (void)snprintf(text, sizeof text, "the cluster started and had no leader");
        break;
    case CONSENSUS_CAUSE_OBITUARY:
        (void)snprintf(text, sizeof text, "%s was dead: its parent said so", previous);
        break;
    case CONSENSUS_CAUSE_CRASH_EVIDENCE:
        (void)snprintf(text, sizeof text, "%s was dead: its address refused connections", previous);
        break;
    default:
        (void)snprintf(text, sizeof text, "for an unknown cause");
        break;
    }
    struct why_step *step = add_step(why, consensus_cause_name(row->is.cause),
                                     "%s leads in term %" PRIu64 ": %s; elected after %" PRId64
                                     " ms, acting after %" PRId64 " ms, proof: %s",
                                     row->is.node, row->is.term, text, row->is.elected_ms,
                                     row->is.acting_ms, command_leader_proof_name(row->is.proof));
    set_time(step, row->wall_ms, row->is.term, row->index);
}

int why_leader(const struct state *state, struct why *ret, struct err *err)
{
    size_t count = state_history_count(state);
    *ret = (struct why){.whole = true};
    if (count == 0) {
        return err_set(err, ERR_NOTFOUND, "no leader was ever recorded");
    }
    const struct state_leader *newest = state_history_at(state, 0);
    (void)snprintf(ret->answer, sizeof ret->answer, "%s leads in term %" PRIu64 " (%s)",
                   newest->is.node, newest->is.term, consensus_cause_name(newest->is.cause));
    set_reason(ret, consensus_cause_name(newest->is.cause));
    for (size_t i = 0; i < count && i < 5; i++) {
        add_leader(ret, state_history_at(state, i));
    }
    /* A drain or a handover that a person asked for is in the audit, too. */
    const struct state_leader *before = count > 1 ? state_history_at(state, 1) : newest;
    add_audits(ret, state, newest->is.previous, 3, before->index);
    ret->whole = ret->whole && count <= 5;
    return 0;
}

/* ---- duties ---- */

static void say_where(const struct state_duty *duty, struct why *ret)
{
    const struct state_assignment *assignment = &duty->assignment;
    (void)snprintf(ret->answer, sizeof ret->answer,
                   "%s runs on %s, or is being started there, since assignment %" PRIu64
                   " of term %" PRIu64,
                   duty->is.id, assignment->node, assignment->number, assignment->term);
}

/* Who closed the gate, and why; forgotten: the chain is not whole. */
static void add_gate(const struct state *state, enum gate gate, const char *manager,
                     struct why *ret)
{
    static const struct {
        enum command_type type;
        const char *target; /* NULL: the manager */
        const char *what;
    } rows[] = {
        [GATE_STOPPED] = {COMMAND_SETTING_PUT, STOPPED_SETTING, "the managers were stopped"},
        [GATE_MAINTENANCE] = {COMMAND_SETTING_PUT, MAINTENANCE_SETTING, "maintenance began"},
        [GATE_PAUSED] = {COMMAND_MANAGER_PAUSE, NULL, "its manager was paused"},
        [GATE_SHADOW] = {COMMAND_MANAGER_MODE, NULL, "its manager was set to shadow"},
    };
    const char *target = rows[gate].target == NULL ? manager : rows[gate].target;
    const struct state_audit *entry = newest_audit(state, rows[gate].type, target);
    if (entry != NULL) {
        add_audit(ret, entry, rows[gate].what);
    } else {
        ret->whole = false;
    }
}

static const char *gate_text(enum gate gate)
{
    switch (gate) {
    case GATE_STOPPED:
        return "the cluster's managers are stopped (`understudy start` starts them)";
    case GATE_MAINTENANCE:
        return "there is maintenance, in which nothing is started";
    case GATE_PAUSED:
        return "its manager is paused";
    case GATE_SHADOW:
        return "its manager only watches (shadow)";
    case GATE_OPEN:
        break;
    }
    return "";
}

/* Why nothing of it runs, the nearest cause first. */
static void say_why_not(const struct state *state, const struct state_duty *duty, int64_t wall_ms,
                        struct why *ret)
{
    const struct state_duty *bar = state_duty_barred_by(state, duty);
    char barred[256];
    const char *text = "no node can take it now, or its placement is under way";
    const char *reason = "duty_unassigned";
    enum gate gate = gate_of(state, duty->manager, wall_ms);
    if (gate != GATE_OPEN) {
        text = gate_text(gate);
        reason = gate_name(gate);
        add_gate(state, gate, duty->manager, ret);
    } else if (!duty->is.wanted) {
        text = "its manager does not want it now";
        reason = "duty_unwanted";
    } else if (bar != NULL) {
        (void)snprintf(barred, sizeof barred,
                       "%.120s, which never runs beside it, has not ended on %.60s", bar->is.id,
                       bar->assignment.node);
        text = barred;
        reason = "barred";
    } else if (duty->is.once && duty->assignment.number != 0) {
        text = "this attempt has had its turn";
        reason = "once";
    }
    (void)snprintf(ret->answer, sizeof ret->answer, "%s does not run: %s", duty->is.id, text);
    set_reason(ret, reason);
}

static void add_assignment(const struct state *state, const struct state_duty *duty,
                           struct why *ret)
{
    const struct state_audit *entry = audit_of(state, duty->assignment.number);
    if (entry == NULL && duty->is.once) { /* of runs the audit keeps refusals only */
        struct why_step *step = add_step(ret, command_reason_name(REASON_RUN),
                                         "it was assigned to %s", duty->assignment.node);
        set_time(step, duty->assignment.wall_ms, duty->assignment.term, duty->assignment.number);
        set_reason(ret, command_reason_name(REASON_RUN));
        return;
    }
    if (entry == NULL) {
        ret->whole = false;
        struct why_step *step =
            add_step(ret, "unknown", "it was assigned to %s; the reason was forgotten",
                     duty->assignment.node);
        set_time(step, duty->assignment.wall_ms, duty->assignment.term, duty->assignment.number);
        return;
    }
    char text[WHY_TEXT_SIZE];
    (void)snprintf(text, sizeof text, "it was assigned to %s", duty->assignment.node);
    add_audit(ret, entry, text);
    set_reason(ret, command_reason_name(entry->reason));
}

int why_duty(const struct state *state, const char *id, int64_t wall_ms, struct why *ret,
             struct err *err)
{
    const struct state_duty *duty = state_duty_by_id(state, id);
    *ret = (struct why){.whole = true};
    set_reason(ret, "unknown");
    if (duty == NULL) {
        return err_set(err, ERR_NOTFOUND, "no duty %s; see `understudy duty list`", id);
    }
    bool runs = state_duty_held(duty);
    if (runs) {
        say_where(duty, ret);
        add_assignment(state, duty, ret);
    } else {
        say_why_not(state, duty, wall_ms, ret);
    }
    size_t before = ret->count;
    add_audits(ret, state, id, 10, 0);
    /* The assignment is told already. */
    for (size_t i = before; runs && i < ret->count; i++) {
        if (ret->steps[i].index == duty->assignment.number) {
            memmove(&ret->steps[i], &ret->steps[i + 1],
                    (ret->count - i - 1) * sizeof ret->steps[0]);
            ret->count--;
        }
    }
    for (size_t i = 0; i < state_history_count(state); i++) {
        const struct state_leader *leader = state_history_at(state, i);
        if (leader->is.term == duty->assignment.term && duty->assignment.number != 0) {
            add_leader(ret, leader);
        }
    }
    return 0;
}

/* ---- runs ---- */

static const char *run_reason_text(enum run_reason reason)
{
    static const struct {
        enum run_reason reason;
        const char *text;
    } texts[] = {
        {RUN_DUE, "its slot came"},
        {RUN_MANUAL, "a person started it"},
        {RUN_LATE, "its slot was found late, and the misfire policy runs it"},
        {RUN_OVERLAP, "a run of the same schedule was under way, and it may not overlap"},
        {RUN_REPLACED, "the next slot's run replaced it"},
        {RUN_PAUSED, "its manager was paused"},
        {RUN_MAINTENANCE, "there was maintenance"},
        {RUN_SHED, "there was no room, and others go first"},
        {RUN_SUPERSEDED, "a newer slot that was late, too, ran instead"},
        {RUN_OUT_OF_WINDOW, "it was found too late for the misfire policy's window or cap"},
        {RUN_MISFIRE_SKIP, "it was found late, and the misfire policy is skip"},
        {RUN_START_DEADLINE, "no node could start it by its start deadline"},
        {RUN_FINISH_DEADLINE, "it did not end by its finish deadline"},
        {RUN_PROGRESS_DEADLINE, "it wrote nothing for longer than its progress deadline"},
        {RUN_TOO_SHORT, "it ended sooner than its minimum run time"},
        {RUN_EXIT, "by its exit status"},
        {RUN_SIGNAL, "a signal ended it"},
        {RUN_NOT_STARTED, "its node could not start it"},
        {RUN_HOLDER_GONE, "its node died or was cut off, and nobody saw its end"},
        {RUN_CANCELLED, "a person ended it"},
        {RUN_SHADOW, "its manager only watches (shadow)"},
        {RUN_REMOVED, "its schedule was removed"},
        {RUN_SHUTDOWN, "its node left"},
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        if (texts[i].reason == reason) {
            return texts[i].text;
        }
    }
    return "for an unknown reason";
}

/* "20261122T051500Z" */
static void slot_text(const struct run_key *key, int64_t slot_s, char ret[RUN_ID_SIZE])
{
    char id[RUN_ID_SIZE];
    struct run_key of = *key;
    of.slot_s = slot_s;
    run_id(&of, id);
    (void)snprintf(ret, RUN_ID_SIZE, "%s", id + strcspn(id, "@") + 1);
}

static void say_slot(const struct state_run *run, char ret[WHY_TEXT_SIZE])
{
    char first[RUN_ID_SIZE];
    char last[RUN_ID_SIZE];
    if (run->key.slot_s == 0) {
        (void)snprintf(ret, WHY_TEXT_SIZE, "it belongs to no slot: it was started by hand");
        return;
    }
    slot_text(&run->key, run->key.slot_s, first);
    slot_text(&run->key, run->last_s, last);
    if (run->count > 1) {
        (void)snprintf(ret, WHY_TEXT_SIZE, "it stands for %" PRIu32 " slots, %s to %s", run->count,
                       first, last);
    } else {
        (void)snprintf(ret, WHY_TEXT_SIZE, "it is the slot of %s", first);
    }
}

static void add_end(const struct state_run *run, struct why *ret)
{
    char exit_text[64] = "";
    if (run->attempt > 0 && run->exit_status > 256) {
        (void)snprintf(exit_text, sizeof exit_text, ", signal %d", run->exit_status - 256);
    } else if (run->attempt > 0 && run->exit_status >= 0) {
        (void)snprintf(exit_text, sizeof exit_text, ", exit status %d", run->exit_status);
    }
    struct why_step *step =
        add_step(ret, run_reason_name(run->reason), "it is told as %s: %s%s%s",
                 run_outcome_name(run->outcome), run_reason_text(run->reason), exit_text,
                 run->attempt > 1 ? ", after more than one attempt" : "");
    set_time(step, run->ended_wall_ms, 0, 0);
}

/* What is known of its last attempt that began. A run under way that was there before tells the
 * start and end of the attempt before its present one. */
static void add_attempts(const struct state_run *run, struct why *ret)
{
    bool ended = run->outcome != RUN_UNDER_WAY;
    if (!ended && run->attempt > 1) {
        set_time(add_step(ret, "retry",
                          "attempt %" PRIu32 " did not go well; attempt %" PRIu32
                          " is waiting for its time, or under way",
                          run->attempt - 1, run->attempt),
                 run->ended_wall_ms, 0, 0);
    }
    if (run->started_wall_ms > 0) {
        set_time(add_step(ret, "started", "attempt %" PRIu32 " started",
                          ended ? run->attempt : run->attempt - 1),
                 run->started_wall_ms, 0, run->assignment);
    }
}

/* Who started a run by hand. */
static void add_start(const struct state *state, const struct state_run *run, struct why *ret)
{
    const struct state_audit *entry = audit_of(state, run->index);
    if (entry != NULL) {
        add_audit(ret, entry, what_of(COMMAND_RUN_START));
    } else {
        ret->whole = false;
    }
}

int why_run(const struct state *state, const char *id, struct why *ret, struct err *err)
{
    struct run_key key;
    uint32_t attempt;
    char text[WHY_TEXT_SIZE];
    *ret = (struct why){.whole = true};
    if (!run_parse(id, &key, &attempt)) {
        return err_set(err, ERR_INVALID, "%s is no run: MANAGER/NAME@20261122T051500Z is one", id);
    }
    const struct state_run *run = state_run_by_key(state, &key);
    if (run == NULL) {
        return err_set(err, ERR_NOTFOUND, "no run %s, or it was forgotten", id);
    }
    bool ended = run->outcome != RUN_UNDER_WAY;
    set_reason(ret, run_reason_name(run->reason));
    (void)snprintf(ret->answer, sizeof ret->answer, "%s %s: %s", id,
                   ended ? run_outcome_name(run->outcome) : "is under way",
                   run_reason_text(run->reason));
    if (ended) {
        add_end(run, ret);
    }
    add_attempts(run, ret);
    if (run->cancelled) {
        (void)add_step(ret, run_reason_name(run->cancel), "its end was asked for: %s",
                       run_reason_text(run->cancel));
    }
    size_t before = ret->count;
    add_audits(ret, state, id, 5, 0); /* of its cancelling */
    ret->whole = ret->whole && (!run->cancelled || ret->count > before);
    say_slot(run, text);
    set_time(add_step(ret, run->attempt > 0 ? "decided" : run_reason_name(run->reason),
                      "it was decided by the leader of term %" PRIu64 "; %s", run->term, text),
             run->decided_wall_ms, run->term, run->index);
    if (run->key.slot_s == 0) {
        add_start(state, run, ret);
    }
    const struct state_schedule *schedule = state_schedule_by_id(state, key.schedule);
    if (schedule == NULL) {
        (void)add_step(ret, "removed", "its schedule %s is not there any more", key.schedule);
    } else {
        set_time(add_step(ret, "schedule", "its schedule is %s in %s%s", schedule->is.expression,
                          schedule->is.zone,
                          schedule->revision == run->revision ? "" : ", and was another then"),
                 0, 0, schedule->revision);
    }
    return 0;
}

/* ---- alerts ---- */

/* What is tried against it, back to the first attempt; forgotten: the chain is not whole. */
static void add_recovery(const struct state *state, const struct state_recovery *row,
                         struct why *ret)
{
    set_time(add_step(ret, recovery_phase_name(row->phase),
                      "%" PRIu32 " attempts were made to bring it back", row->attempt),
             row->changed_wall_ms, 0, 0);
    size_t before = ret->count;
    add_audits(ret, state, row->component, RECOVERY_AUDITS, 0);
    bool begins = ret->count > before && ret->steps[ret->count - 1].wall_ms <= row->since_wall_ms;
    ret->whole = ret->whole && begins;
}

int why_alert(const struct state *state, const char *key, struct why *ret, struct err *err)
{
    const struct state_alert *alert = state_alert_by_key(state, key);
    *ret = (struct why){.whole = true};
    if (alert == NULL) {
        return err_set(err, ERR_NOTFOUND, "no alert %s; see `understudy alert list`", key);
    }
    (void)snprintf(ret->answer, sizeof ret->answer, "%s is %s (%s): %s", key,
                   alert_state_name(alert->state), alert_severity_name(alert->severity),
                   alert->text);
    (void)snprintf(ret->reason, sizeof ret->reason, "%.*s", (int)strcspn(key, "/"), key);
    set_time(add_step(ret, alert_state_name(alert->state), "it has been raised %" PRIu32 " times",
                      alert->raised),
             alert->raised_wall_ms, 0, 0);
    size_t before = ret->count;
    add_audits(ret, state, key, 10, 0);
    ret->whole = ret->count > before;
    const char *object = strchr(key, '/');
    const struct state_recovery *recovery =
        object == NULL ? NULL : state_recovery_of(state, object + 1);
    if (recovery != NULL) {
        add_recovery(state, recovery, ret);
    } else if (object != NULL) {
        add_audits(ret, state, object + 1, 5,
                   0); /* what it speaks of, when that is a duty or node */
    }
    return 0;
}
