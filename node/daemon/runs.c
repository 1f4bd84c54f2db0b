/* Runs: what their nodes report of their end, and what the acting leader makes of it. */
#include "node/daemon/schedule_private.h"

#include "node/base/clock.h"
#include "node/daemon/node.h"

#include <stdio.h>
#include <string.h>

#define REPORT_REPEAT_MS 250
#define REPORT_BYTES 1024
#define RUN_COMMANDS_MAX 32 /* of one step */
#define PROPOSED_LASTS_MS 1000
#define RUNS_LOOK_MS 2000 /* while any is under way */

/* ---- the acting leader ---- */

/* Until something of it ran: a run that fails is tried again wherever there is room. */
static void note_unable(struct schedules *self, const struct state_run *run)
{
    if (run->unstarted > 0 && run->unstarted + 1 == run->attempt && run->raft_id != 0) {
        self->unable[self->unable_next] =
            (struct unable_node){.run = run->key, .raft_id = run->raft_id};
        self->unable_next = (self->unable_next + 1) % SCHEDULE_UNABLE_MAX;
    }
}

static void tell_outcome(struct node *self, int status, const struct state_effect *effect)
{
    if (status != 0 || effect->outcome != STATE_APPLIED || effect->type != COMMAND_RUN_END) {
        return;
    }
    struct run_key key;
    uint32_t attempt;
    const struct state_run *run =
        run_parse(effect->target, &key, &attempt) ? state_run_by_key(self->mirror, &key) : NULL;
    if (run == NULL) {
        return;
    }
    bool well = run->outcome == RUN_RAN || run->outcome == RUN_SKIPPED;
    bool again = run->outcome == RUN_UNDER_WAY;
    if (again) {
        note_unable(self->schedules, run);
    }
    events_add(self->events, well ? LOG_LEVEL_INFO : LOG_LEVEL_WARN, self->view.term,
               again ? "run.again" : "run.ended",
               json_pack("{s:s, s:s, s:s, s:i, s:i}", "run", effect->target, "outcome",
                         again ? "failed" : run_outcome_name(run->outcome), "reason",
                         run_reason_name(run->reason), "attempt", (int)run->attempt, "exit",
                         run->exit_status),
               again ? "%s is tried again (%s)" : "%s has ended: %s", effect->target,
               again ? run_reason_name(run->reason) : run_outcome_name(run->outcome));
}

static void on_step_decided(void *context, uint64_t token, int status,
                            const struct state_effect *effect)
{
    struct node *self = context;
    (void)token;
    self->schedules->in_flight--;
    self->schedules->runs_changed = true;
    tell_outcome(self, status, effect);
}

static void on_report_decided(void *context, uint64_t token, int status,
                              const struct state_effect *effect)
{
    (void)token;
    tell_outcome(context, status, effect);
}

static bool propose(struct node *self, struct command *command, proposal_done *done)
{
    (void)snprintf(command->who, sizeof command->who, "%s", node_name(self));
    return proposals_submit(self->proposals, command, done, self, NULL, NULL) == 0;
}

/* One batch at a time: what is proposed is not proposed again before it is decided. */
void schedule_runs_step(struct node *self, int64_t wall_ms, bool trusted)
{
    static struct command commands[RUN_COMMANDS_MAX];
    struct schedules *schedules = self->schedules;
    bool due = schedules->runs_changed || wall_ms >= schedules->runs_at_wall_ms ||
               (state_run_count(self->mirror) > 0 &&
                clock_boot_ms() >= schedules->runs_looked_ms + RUNS_LOOK_MS);
    if (!due || schedules->in_flight > 0) {
        return;
    }
    size_t count = runs_step(self->mirror, wall_ms, trusted, commands, RUN_COMMANDS_MAX);
    schedules->runs_changed = false;
    schedules->runs_looked_ms = clock_boot_ms();
    schedules->runs_at_wall_ms = runs_next_wall_ms(self->mirror);
    for (size_t i = 0; i < count; i++) {
        schedules->in_flight += propose(self, &commands[i], on_step_decided) ? 1 : 0;
    }
}

/* Reports are repeated faster than a busy log decides them. */
static bool is_proposed(struct schedules *self, const struct run_report *report, int64_t now_ms)
{
    struct proposed_report *oldest = &self->proposed[0];
    for (size_t i = 0; i < SCHEDULE_PROPOSED_MAX; i++) {
        struct proposed_report *row = &self->proposed[i];
        if (row->assignment == report->assignment && now_ms < row->at_ms + PROPOSED_LASTS_MS) {
            return true;
        }
        oldest = row->at_ms < oldest->at_ms ? row : oldest;
    }
    *oldest = (struct proposed_report){.assignment = report->assignment, .at_ms = now_ms};
    return false;
}

static void take_report(struct node *self, const struct run_report *report)
{
    struct command command;
    bool trusted = self->schedules->wall == WALL_TRUSTED;
    if (node_may_act(self) &&
        runs_take_report(self->mirror, report, clock_wall_ms(), trusted, &command) &&
        !is_proposed(self->schedules, report, clock_boot_ms())) {
        (void)propose(self, &command, on_report_decided);
    }
}

bool schedule_receive(struct node *self, const char *from, const uint8_t *bytes, size_t length)
{
    struct run_report report;
    if (run_report_decode(bytes, length, &report, NULL) != 0 ||
        report.raft_id != node_id_of(self, from)) {
        return false;
    }
    take_report(self, &report);
    return true;
}

/* ---- every node ---- */

bool schedule_has_report(const struct node *self, const char *duty)
{
    for (size_t i = 0; i < self->schedules->owed_count; i++) {
        if (strcmp(self->schedules->owed[i].is.duty, duty) == 0) {
            return true;
        }
    }
    return false;
}

static void tell_known(struct node *self, const char *duty, uint64_t assignment)
{
    struct manager_run known = {.assignment = assignment};
    char manager[NAME_SIZE];
    (void)snprintf(known.duty, sizeof known.duty, "%s", duty);
    (void)snprintf(manager, sizeof manager, "%.*s", (int)strcspn(duty, "/"), duty);
    (void)supervise_run_known(self->supervise, manager, &known, NULL);
}

/* The attempt is over in the state: its duty is gone, or was never this node's. */
static bool is_known(const struct node *self, const char *duty, uint64_t assignment)
{
    const struct state_duty *row = state_duty_by_id(self->state, duty);
    return row == NULL ||
           row->assignment.number > assignment; /* less: the state lags behind the grant */
}

void schedule_run_ended(struct node *self, const char *manager,
                        const struct manager_run_ended *ended)
{
    struct schedules *schedules = self->schedules;
    (void)manager; /* the duty's id begins with its name: checked where it came in */
    if (is_known(self, ended->duty, ended->assignment)) {
        tell_known(self, ended->duty, ended->assignment);
        return;
    }
    if (schedule_has_report(self, ended->duty) ||
        schedules->owed_count == STATE_RUNS_UNDER_WAY_MAX) {
        return; /* the manager says it again */
    }
    struct owed_report *owed = &schedules->owed[schedules->owed_count++];
    *owed = (struct owed_report){.is = {.assignment = ended->assignment,
                                        .raft_id = self->id,
                                        .outcome = (enum run_outcome)ended->outcome,
                                        .reason = (enum run_reason)ended->reason,
                                        .exit_status = ended->exit_status,
                                        .started_wall_ms = ended->started_wall_ms,
                                        .ended_wall_ms = ended->ended_wall_ms}};
    (void)snprintf(owed->is.duty, sizeof owed->is.duty, "%s", ended->duty);
    if (owed->is.reason == RUN_CANCELLED && self->leaving != LEAVING_NOT) {
        owed->is.reason = RUN_SHUTDOWN; /* nobody asked for the end of this run */
    }
    schedules->owed_at_ms = 0;
    node_pump(self);
}

static void send_report(struct node *self, const struct run_report *report)
{
    if (self->view.leader == self->id) {
        take_report(self, report);
        return;
    }
    struct mp_writer writer;
    mp_writer_init(&writer, REPORT_BYTES);
    if (self->view.leader != 0 && run_report_encode(report, &writer) == 0) {
        (void)transport_send_id(self->transport, self->view.leader, TRANSPORT_RUN_REPORT,
                                writer.buffer.data, writer.buffer.length, false);
    }
    mp_writer_deinit(&writer);
}

void schedule_tell_reports(struct node *self, int64_t now_ms)
{
    struct schedules *schedules = self->schedules;
    if (schedules->owed_count == 0 || now_ms < schedules->owed_at_ms) {
        return;
    }
    size_t kept = 0;
    schedules->owed_at_ms = now_ms + REPORT_REPEAT_MS;
    for (size_t i = 0; i < schedules->owed_count; i++) {
        struct owed_report *owed = &schedules->owed[i];
        if (is_known(self, owed->is.duty, owed->is.assignment)) {
            tell_known(self, owed->is.duty, owed->is.assignment);
            continue;
        }
        if (now_ms >= owed->told_ms + REPORT_REPEAT_MS) {
            owed->told_ms = now_ms;
            send_report(self, &owed->is);
        }
        schedules->owed[kept++] = *owed;
    }
    schedules->owed_count = kept;
}
