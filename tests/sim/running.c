#include "tests/sim/running.h"

#include "node/base/invariant.h"
#include "tests/sim/leading.h"
#include "tests/sim/ledger.h"
#include "tests/sim/machine.h"
#include "tests/sim/node.h"
#include "tests/sim/peers.h"
#include "tests/sim/ticking.h"
#include "tests/sim/timetable.h"
#include "tests/sim/world.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define REPORT_EVERY_MS 250
#define REPORT_BYTES 1024
#define STATUS_WELL 0
#define STATUS_BAD 1

bool running_is_attempt(const char *duty)
{
    static const char prefix[] = TIMETABLE_MANAGER "/";
    return strncmp(duty, prefix, sizeof prefix - 1) == 0;
}

bool running_runs(const struct node *node, const struct attempt *attempt)
{
    if (attempt->phase != ATTEMPT_RUNS) {
        return false;
    }
    return node->world->options.world_off.guard_deadline ||
           node_now_ms(node) < attempt->deadline_ms;
}

/* ---- the host's attempts ---- */

static struct attempt *find(struct node *node, uint64_t assignment)
{
    for (size_t i = 0; i < SIM_ATTEMPTS_MAX; i++) {
        struct attempt *attempt = &node->attempts[i];
        if (attempt->phase != ATTEMPT_NONE && attempt->assignment == assignment) {
            return attempt;
        }
    }
    return NULL;
}

static void forget(struct node *node, struct attempt *attempt)
{
    *attempt = (struct attempt){.phase = ATTEMPT_NONE};
    node->attempt_count--;
}

void running_stop_all(struct node *node)
{
    memset(node->attempts, 0, sizeof node->attempts);
    node->attempt_count = 0;
}

static void end(struct node *node, struct attempt *attempt)
{
    attempt->phase = running_runs(node, attempt) ? ATTEMPT_ENDED : ATTEMPT_LAPSED;
    if (attempt->phase == ATTEMPT_ENDED && attempt->well) {
        ledger_well(node, attempt->duty);
    }
}

void running_ended(struct node *node, uint64_t assignment)
{
    struct attempt *attempt = find(node, assignment);
    if (attempt == NULL || attempt->phase != ATTEMPT_RUNS) {
        return; /* it was stopped before */
    }
    if (node->host_frozen) {
        attempt->overdue = true;
        return;
    }
    end(node, attempt);
}

void running_host_wakes(struct node *node)
{
    for (size_t i = 0; i < SIM_ATTEMPTS_MAX; i++) {
        struct attempt *attempt = &node->attempts[i];
        if (attempt->phase != ATTEMPT_RUNS) {
            continue;
        }
        if (attempt->deadline_ms <= node_now_ms(node)) {
            attempt->phase = ATTEMPT_LAPSED;
        } else if (attempt->overdue) {
            end(node, attempt);
        }
    }
}

/* ---- reports ---- */

static void owe(struct node *node, const char *duty, uint64_t assignment, enum run_outcome outcome,
                enum run_reason reason, int64_t started_wall_ms)
{
    struct running *self = &node->peers->running;
    if (self->owed_count == RUNNING_OWED_MAX) {
        return; /* as if it had been lost */
    }
    struct run_report *report = &self->owed[self->owed_count++];
    *report = (struct run_report){.assignment = assignment,
                                  .raft_id = node->id,
                                  .outcome = outcome,
                                  .reason = reason,
                                  .exit_status = outcome == RUN_RAN ? STATUS_WELL : STATUS_BAD,
                                  .started_wall_ms = started_wall_ms,
                                  .ended_wall_ms = node_wall_ms(node)};
    (void)snprintf(report->duty, sizeof report->duty, "%s", duty);
    self->owed_at_ms = 0;
    TRACE(node->world, "n%d: %s has ended: %s (%s)", node->index, duty, run_outcome_name(outcome),
          run_reason_name(reason));
}

/* The state shows its end, or the assignment was never this node's. */
static bool is_known(const struct node *node, const struct run_report *report)
{
    const struct state_duty *row = state_duty_by_id(machine_state(node->machine), report->duty);
    return row == NULL || row->assignment.number > report->assignment;
}

static void send_report(struct node *node, const struct run_report *report)
{
    struct mp_writer writer;
    mp_writer_init(&writer, REPORT_BYTES);
    int code = run_report_encode(report, &writer);
    invariant(code == 0);
    network_send(node->world, node->id, node->view.leader, MESSAGE_RUN_REPORT, writer.buffer.data,
                 writer.buffer.length);
    mp_writer_deinit(&writer);
}

static void tell(struct node *node)
{
    struct running *self = &node->peers->running;
    int64_t now = node_now_ms(node);
    if (self->owed_count == 0 || now < self->owed_at_ms) {
        return;
    }
    self->owed_at_ms = now + REPORT_EVERY_MS;
    size_t kept = 0;
    for (size_t i = 0; i < self->owed_count; i++) {
        if (is_known(node, &self->owed[i])) {
            continue;
        }
        if (node->view.leader != 0) {
            send_report(node, &self->owed[i]);
        }
        self->owed[kept++] = self->owed[i];
    }
    self->owed_count = kept;
}

void running_receive(struct node *node, const struct message *message)
{
    struct run_report report;
    struct err err = {0};
    int code = run_report_decode(message->bytes, message->length, &report, &err);
    invariant(code == 0);
    if (report.raft_id == message->from) {
        ticking_take_report(node, &report);
    }
}

/* ---- the holder ---- */

static bool was_begun(const struct running *self, uint64_t assignment)
{
    for (size_t i = 0; i < self->begun_count && i < RUNNING_BEGUN_MAX; i++) {
        if (self->begun[i] == assignment) {
            return true;
        }
    }
    return false;
}

static void note_begun(struct running *self, uint64_t assignment)
{
    self->begun[self->begun_count++ % RUNNING_BEGUN_MAX] = assignment;
}

/* Once all is well it takes no longer than what is waited for at the end. */
static int64_t draw_length_ms(struct world *world)
{
    if (!world->faults || world_percent(world, 60)) {
        return world_between(world, 20, 700);
    }
    bool longer = world_percent(world, 30);
    return longer ? world_between(world, 4000, 10000) : world_between(world, 500, 4000);
}

static void begin(struct node *node, const struct grants_held *held)
{
    struct world *world = node->world;
    struct attempt *attempt = NULL;
    for (size_t i = 0; i < SIM_ATTEMPTS_MAX && attempt == NULL; i++) {
        attempt = node->attempts[i].phase == ATTEMPT_NONE ? &node->attempts[i] : NULL;
    }
    note_begun(&node->peers->running, held->assignment);
    if (attempt == NULL || world_percent(world, 6)) {
        owe(node, held->duty, held->assignment, RUN_FAILED, RUN_NOT_STARTED, 0);
        return;
    }
    bool well = !world_percent(world, 25);
    *attempt = (struct attempt){.phase = ATTEMPT_RUNS,
                                .assignment = held->assignment,
                                .incarnation = node->incarnation,
                                .deadline_ms = held->deadline_ms,
                                .well = well,
                                .known = world_percent(world, 50),
                                .started_wall_ms = node_wall_ms(node)};
    (void)snprintf(attempt->duty, sizeof attempt->duty, "%s", held->duty);
    node->attempt_count++;
    int64_t length_ms = draw_length_ms(world);
    TRACE(world, "n%d begins %s (assignment %" PRIu64 "), for %" PRId64 " ms, %s", node->index,
          held->duty, held->assignment, length_ms, well ? "well" : "badly");
    world_schedule(world, world->now_us + length_ms * 1000, EVENT_ATTEMPT, node->index,
                   (int64_t)held->assignment);
    ledger_effect(node, held->duty);
}

static void follow(struct node *node, const struct grants_held *held)
{
    struct attempt *attempt = find(node, held->assignment);
    if (attempt != NULL) {
        bool longer = attempt->phase == ATTEMPT_RUNS && held->deadline_ms > attempt->deadline_ms;
        if (longer && running_runs(node, attempt)) {
            attempt->deadline_ms = held->deadline_ms;
        }
        return;
    }
    bool may_run = !held->released &&
                   grants_holder_may_run(node->peers->holder, node_now_ms(node), held->duty);
    if (may_run && !was_begun(&node->peers->running, held->assignment)) {
        begin(node, held);
    }
}

void running_feed(struct node *node)
{
    if (node->world->options.schedules == 0) {
        return;
    }
    const struct grants_holder *holder = node->peers->holder;
    for (size_t i = 0; i < SIM_ATTEMPTS_MAX; i++) {
        struct attempt *attempt = &node->attempts[i];
        bool ours = attempt->phase == ATTEMPT_RUNS && attempt->incarnation == node->incarnation;
        const struct grants_held *held = ours ? grants_holder_by_duty(holder, attempt->duty) : NULL;
        if (ours && (held == NULL || held->assignment != attempt->assignment)) {
            TRACE(node->world, "n%d stops %s", node->index, attempt->duty);
            forget(node, attempt);
        }
    }
    for (size_t i = 0; i < grants_holder_count(holder); i++) {
        const struct grants_held *held = grants_holder_at(holder, i);
        if (running_is_attempt(held->duty)) {
            follow(node, held);
        }
    }
}

/* What has ended on this host. A manager that came after the one that began it knows it by the
 * guard's file, now and then. */
static void take_ends(struct node *node)
{
    for (size_t i = 0; i < SIM_ATTEMPTS_MAX && node->attempt_count > 0; i++) {
        struct attempt *attempt = &node->attempts[i];
        if (attempt->phase == ATTEMPT_RUNS && !running_runs(node, attempt)) {
            attempt->phase = ATTEMPT_LAPSED;
        }
        if (attempt->phase == ATTEMPT_NONE || attempt->phase == ATTEMPT_RUNS) {
            continue;
        }
        struct attempt ended = *attempt;
        forget(node, attempt);
        if (ended.incarnation != node->incarnation && !ended.known) {
            continue;
        }
        if (ended.phase == ATTEMPT_LAPSED) {
            owe(node, ended.duty, ended.assignment, RUN_UNKNOWN, RUN_HOLDER_GONE,
                ended.started_wall_ms);
        } else {
            owe(node, ended.duty, ended.assignment, ended.well ? RUN_RAN : RUN_FAILED, RUN_EXIT,
                ended.started_wall_ms);
        }
    }
}

/* End what is not wanted here any more; what never began is told so, too. */
static void leave(struct node *node)
{
    const struct grants_holder *holder = node->peers->holder;
    bool drains = node->world->options.manage != 0 && leading_drains(node, node);
    for (size_t i = 0; i < grants_holder_count(holder); i++) {
        const struct grants_held *held = grants_holder_at(holder, i);
        const struct state_duty *row = state_duty_by_id(machine_state(node->machine), held->duty);
        if (!running_is_attempt(held->duty) || held->former || row == NULL ||
            (row->is.wanted && !drains)) {
            continue;
        }
        enum run_reason reason = drains ? RUN_SHUTDOWN : RUN_CANCELLED;
        struct attempt *attempt = find(node, held->assignment);
        if (attempt != NULL && attempt->phase == ATTEMPT_RUNS) {
            struct attempt stopped = *attempt;
            forget(node, attempt);
            owe(node, held->duty, held->assignment, RUN_FAILED, reason, stopped.started_wall_ms);
        } else if (attempt == NULL && !was_begun(&node->peers->running, held->assignment)) {
            note_begun(&node->peers->running, held->assignment);
            owe(node, held->duty, held->assignment, RUN_FAILED, reason, 0);
        }
    }
}

/* What an earlier life of the node began, and no guard of its host runs any more. */
static void release_former(struct node *node)
{
    const struct grants_holder *holder = node->peers->holder;
    for (size_t i = 0; i < grants_holder_count(holder); i++) {
        const struct grants_held *held = grants_holder_at(holder, i);
        if (!running_is_attempt(held->duty) || !held->former || held->released ||
            find(node, held->assignment) != NULL) {
            continue;
        }
        TRACE(node->world, "n%d releases %s of its former life", node->index, held->duty);
        (void)grants_holder_release(node->peers->holder, held->duty);
        node->peers->release_at_ms = node_now_ms(node);
    }
}

void running_after(struct node *node)
{
    if (node->world->options.schedules == 0) {
        return;
    }
    take_ends(node);
    leave(node);
    release_former(node);
    running_feed(node);
    tell(node);
}

/* ---- the leader ---- */

static bool is_gone(const struct node *node, const struct state_duty *row)
{
    const struct node *holder = world_node_of_id(node->world, row->assignment.raft_id);
    return holder == NULL || !rumour_alive(node, holder->index) ||
           !duties_is_served(node, holder->id) ||
           rumour_incarnation(node, holder) > row->assignment.incarnation;
}

static void release(struct node *node, const struct state_duty *row, enum release_proof proof)
{
    struct command command = {.type = COMMAND_DUTY_RELEASE, .reason = REASON_UNSPECIFIED};
    (void)snprintf(command.release.id, sizeof command.release.id, "%s", row->is.id);
    command.release.assignment = row->assignment.number;
    command.release.proof = proof;
    TRACE(node->world, "n%d releases %s by %s", node->index, row->is.id,
          command_release_proof_name(proof));
    if (duties_propose(node, &command, duties_subject(row->is.id))) {
        node->world->verdict->stats.releases++;
    }
}

static void assign(struct node *node, const struct state_duty *row, const struct node *holder)
{
    struct command command = {.type = COMMAND_DUTY_ASSIGN, .reason = REASON_SCHEDULE};
    struct command_assign *assign = &command.assign;
    (void)snprintf(assign->id, sizeof assign->id, "%s", row->is.id);
    (void)snprintf(assign->node, sizeof assign->node, "m%" PRIu64, holder->id);
    assign->replaces = row->assignment.number;
    assign->raft_id = holder->id;
    assign->incarnation = rumour_incarnation(node, holder);
    assign->grant_ttl_ms = node->world->options.grant;
    TRACE(node->world, "n%d assigns %s to n%d/%" PRIu64, node->index, row->is.id, holder->index,
          assign->incarnation);
    if (assign->incarnation != 0 && duties_propose(node, &command, duties_subject(row->is.id))) {
        node->world->verdict->stats.moves++;
    }
}

/* The duty may have to be given up for lost: nobody is its holder any more, and what was granted
 * for it is over. */
static void look_at_held(struct node *node, const struct state_duty *row)
{
    const struct grants_leader *leader = node->peers->leader;
    enum release_proof proof;
    bool over =
        grants_leader_may_assign(leader, node_now_ms(node), node_may_act(node), row, 0, 0, NULL);
    if (grants_leader_released(leader, row, &proof)) {
        release(node, row, proof);
    } else if (over && is_gone(node, row)) {
        struct node *other = NULL;
        if (node->world->options.world_off.run_once) {
            other = duties_choose_holder(node, NULL);
        }
        if (other != NULL) {
            assign(node, row, other);
        } else {
            release(node, row, RELEASE_BY_EXPIRY);
        }
    }
}

static void look_at(struct node *node, const char *id)
{
    const struct state_duty *row = state_duty_by_id(machine_state(node->machine), id);
    if (row == NULL || grants_leader_moving(node->peers->leader, id)) {
        return;
    }
    if (state_duty_held(row)) {
        look_at_held(node, row);
        return;
    }
    bool may = row->assignment.number == 0 && row->is.wanted && node_may_act(node) &&
               runs_may_place(machine_state(node->machine), id, node_wall_ms(node));
    if (may && node->world->options.manage == 0) {
        struct node *target = duties_choose_holder(node, NULL);
        if (target != NULL) {
            assign(node, row, target);
        }
    }
}

void running_place(struct node *node)
{
    static char ids[STATE_RUNS_UNDER_WAY_MAX][DUTY_ID_SIZE];
    const struct state *state = machine_state(node->machine);
    size_t count = 0;
    for (size_t i = 0; i < state_run_count(state); i++) {
        const struct state_run *run = state_run_at(state, i);
        run_duty_id(&run->key, run->attempt, ids[count++]);
    }
    uint64_t life = node->life;
    for (size_t i = 0; i < count && node->life == life && node_leads(node); i++) {
        look_at(node, ids[i]);
    }
}
