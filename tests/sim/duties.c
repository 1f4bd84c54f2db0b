/* Duties: the holder asks for grants and hands them to its guards; the leader grants and moves. */
#include "node/base/invariant.h"
#include "tests/sim/check.h"
#include "tests/sim/leading.h"
#include "tests/sim/machine.h"
#include "tests/sim/node.h"
#include "tests/sim/peers.h"
#include "tests/sim/placing.h"
#include "tests/sim/world.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LOOK_EVERY_MS 40
#define PLACEMENT_PERIOD_MS 100
#define RELEASE_EVERY_MS 300

void duties_name(int duty, char ret[DUTY_ID_SIZE])
{
    static const char name[] = "sim/d0"; /* called too often for printf */
    memcpy(ret, name, sizeof name);
    ret[sizeof name - 2] = (char)('0' + duty);
}

bool peers_runs(const struct node *node, int duty)
{
    int64_t deadline_ms = node->guards[duty].deadline_ms;
    if (node->world->options.world_off.guard_deadline && deadline_ms != 0) {
        return true; /* until somebody stops it */
    }
    return deadline_ms != 0 && node_now_ms(node) < deadline_ms;
}

int64_t peers_left_ms(const struct node *node, int duty)
{
    return node->guards[duty].deadline_ms - node_now_ms(node);
}

/* ---- proposals ---- */

static bool is_proposed(const struct peers *self, enum command_type type, int subject)
{
    for (int i = 0; i < PROPOSALS_MAX; i++) {
        const struct proposal *proposal = &self->proposals[i];
        if (proposal->token != 0 && proposal->type == type && proposal->subject == subject) {
            return true;
        }
    }
    return false;
}

/* Moves and releases are made known to the leader's side of the grants first. */
static bool is_about_assignment(enum command_type type)
{
    return type == COMMAND_DUTY_ASSIGN || type == COMMAND_DUTY_RELEASE;
}

int duties_subject(const char *name)
{
    uint32_t hash = 2166136261U;
    for (; *name != '\0'; name++) {
        hash = (hash ^ (uint8_t)*name) * 16777619U;
    }
    return (int)(hash >> 2) + SIM_DUTIES_MAX + SIM_NODES_MAX;
}

static struct proposal *free_proposal(struct node *node)
{
    const struct world *world = node->world;
    bool few = world->timetable == NULL && world->outside == NULL;
    for (int i = 0; i < (few ? PROPOSALS_FEW : PROPOSALS_MAX); i++) {
        if (node->peers->proposals[i].token == 0) {
            return &node->peers->proposals[i];
        }
    }
    return NULL;
}

/* The assignment's duty that the command changes. */
static const char *duty_of(const struct command *command)
{
    return command->type == COMMAND_DUTY_ASSIGN ? command->assign.id : command->release.id;
}

bool duties_propose(struct node *node, struct command *command, int subject)
{
    struct peers *self = node->peers;
    struct proposal *free_slot = free_proposal(node);
    if (free_slot == NULL || is_proposed(self, command->type, subject)) {
        return false;
    }
    command->origin = node->id;
    command->incarnation = node->incarnation;
    command->sequence = ++self->command_sequence;
    command->wall_ms = node_wall_ms(node);
    (void)snprintf(command->who, sizeof command->who, "sim");
    struct err err = {0};
    mp_writer_clear(&self->writer);
    int code = command_encode(command, &self->writer, &err);
    invariant(code == 0);
    uint8_t bytes[COMMAND_BYTES_MAX];
    size_t length = self->writer.buffer.length;
    memcpy(bytes, self->writer.buffer.data, length);
    uint64_t token = ++node->token;
    *free_slot = (struct proposal){.token = token, .type = command->type, .subject = subject};
    if (is_about_assignment(command->type)) {
        code = grants_leader_note_proposed(self->leader, duty_of(command), token);
        invariant(code == 0);
    }
    code = node_propose(node, bytes, length, token);
    if (code != 0 && node->alive) {
        peers_outcome(node, token, true);
    }
    return code == 0;
}

void peers_outcome(struct node *node, uint64_t token, bool known)
{
    struct peers *self = node->peers;
    for (int i = 0; i < PROPOSALS_MAX; i++) {
        struct proposal *proposal = &self->proposals[i];
        if (token == 0 || proposal->token != token) {
            continue;
        }
        if (is_about_assignment(proposal->type)) {
            grants_leader_note_outcome(self->leader, token, known);
        }
        if (self->dispatcher.intents != NULL) {
            intents_note_outcome(self->dispatcher.intents, token);
        }
        proposal->token = 0;
    }
}

void duties_propose_note(struct node *node)
{
    struct command command = {.type = COMMAND_AUDIT_NOTE, .reason = REASON_MAINTENANCE};
    (void)snprintf(command.note.target, sizeof command.note.target, "sim/note");
    (void)snprintf(command.why, sizeof command.why, "note %" PRIu64, node->token);
    (void)duties_propose(node, &command, -(int)(node->token % 1000000));
}

/* ---- the leader's look at roster and duties ---- */

static void member_name(const struct node *node, char ret[NAME_SIZE])
{
    (void)snprintf(ret, NAME_SIZE, "m%" PRIu64, node->id);
}

static void put_member(struct node *node, const struct node *member)
{
    struct command command = {.type = COMMAND_NODE_PUT, .reason = REASON_FOUNDING};
    member_name(member, command.node.name);
    command.node.raft_id = member->id;
    (void)snprintf(command.node.public_key, sizeof command.node.public_key, "%040" PRIu64,
                   member->id);
    (void)snprintf(command.node.address, sizeof command.node.address, "tcp://n%d:7400",
                   member->index);
    command.node.wanted = NODE_ROLE_AUTO;
    (void)duties_propose(node, &command, member->index);
}

static void look_at_roster(struct node *node)
{
    struct world *world = node->world;
    for (int i = 0; i < world->node_count && node_leads(node); i++) {
        const struct node *member = &world->nodes[i];
        if (state_node_by_id(machine_state(node->machine), member->id) == NULL) {
            put_member(node, member);
        }
    }
}

bool duties_is_served(const struct node *leader, uint64_t id)
{
    for (size_t i = 0; i < leader->view.server_count; i++) {
        if (leader->view.servers[i].id == id) {
            return leader->view.servers[i].role != CONSENSUS_SPARE;
        }
    }
    return false;
}

struct node *duties_choose_holder(struct node *node, const struct node *not_here)
{
    struct world *world = node->world;
    int first = (int)world_between(world, 0, world->node_count - 1);
    for (int i = 0; i < world->node_count; i++) {
        struct node *other = &world->nodes[(first + i) % world->node_count];
        bool known = duties_is_served(node, other->id) &&
                     state_node_by_id(machine_state(node->machine), other->id) != NULL;
        if (other != not_here && known && rumour_alive(node, other->index)) {
            return other;
        }
    }
    return NULL;
}

static void assign(struct node *node, int duty, const struct state_duty *row, struct node *holder,
                   enum command_reason reason)
{
    struct command command = {.type = COMMAND_DUTY_ASSIGN, .reason = reason};
    struct command_assign *assign = &command.assign;
    duties_name(duty, assign->id);
    assign->replaces = row->assignment.number;
    member_name(holder, assign->node);
    assign->raft_id = holder->id;
    /* What the leader knows of the incarnation may be old. */
    bool old = holder->incarnation > 1 && world_percent(node->world, 5);
    assign->incarnation = holder->incarnation - (old ? 1 : 0);
    assign->grant_ttl_ms = node->world->options.grant;
    TRACE(node->world, "n%d assigns duty %d to n%d/%" PRIu64 " (was %" PRIu64 ")", node->index,
          duty, holder->index, assign->incarnation, row->assignment.raft_id);
    if (duties_propose(node, &command, duty)) {
        node->world->verdict->stats.moves++;
        node->peers->move_wanted[duty] = false;
    }
}

void duties_group(const struct world *world, int duty, struct command_duty *ret)
{
    ret->alone[0] = '\0';
    ret->side = 0;
    if (world->options.groups != 0) {
        static const char name[] = "sim/a0";
        memcpy(ret->alone, name, sizeof name);
        ret->alone[sizeof name - 2] = (char)('0' + duty / 2);
        ret->side = (uint32_t)duty % 2;
    }
}

static void put_duty(struct node *node, int duty, bool wanted)
{
    struct command command = {.type = COMMAND_DUTY_PUT, .reason = REASON_CONFIGURATION};
    duties_name(duty, command.duty.id);
    command.duty.exclusive = true;
    command.duty.wanted = wanted;
    duties_group(node->world, duty, &command.duty);
    (void)duties_propose(node, &command, duty);
}

void duties_want_side(struct node *node)
{
    struct world *world = node->world;
    int first = 2 * (int)world_between(world, 0, world->options.duties / 2 - 1);
    int side = (int)world_between(world, 0, 2); /* 2: both */
    uint64_t life = node->life;
    TRACE(world, "n%d wants %s of duties %d and %d", node->index,
          side == 0   ? "the first"
          : side == 1 ? "the second"
                      : "any",
          first, first + 1);
    put_duty(node, first, side != 1);
    if (node->life == life) {
        put_duty(node, first + 1, side != 0);
    }
}

void duties_commit_release(struct node *node, int duty, const struct state_duty *row,
                           enum release_proof proof)
{
    struct command command = {.type = COMMAND_DUTY_RELEASE, .reason = REASON_OPERATOR};
    duties_name(duty, command.release.id);
    command.release.assignment = row->assignment.number;
    command.release.proof = proof;
    if (duties_propose(node, &command, duty)) {
        node->world->verdict->stats.releases++;
    }
}

/* Give the duty to the restarted process of its own node, or to another node. */
static void place(struct node *node, int duty, const struct state_duty *row)
{
    struct peers *self = node->peers;
    int64_t now = node_now_ms(node);
    bool acting = node_may_act(node);
    struct node *holder = world_node_of_id(node->world, row->assignment.raft_id);
    bool assigned = state_duty_held(row);
    bool gone =
        holder == NULL || !rumour_alive(node, holder->index) || !duties_is_served(node, holder->id);
    bool restarted = !gone && holder->incarnation > row->assignment.incarnation;
    if (assigned && restarted && !self->move_wanted[duty]) {
        if (grants_leader_may_assign(self->leader, now, acting, row, holder->id,
                                     holder->incarnation, NULL)) {
            assign(node, duty, row, holder, REASON_NODE_RESTARTED);
        }
        return;
    }
    if (assigned && !gone && !self->move_wanted[duty]) {
        return;
    }
    if (grants_leader_may_assign(self->leader, now, acting, row, 0, 0, NULL)) {
        struct node *target = duties_choose_holder(node, assigned ? holder : NULL);
        if (target != NULL) {
            assign(node, duty, row, target, REASON_DUTY_UNASSIGNED);
        } else {
            self->move_wanted[duty] = false;
        }
    }
}

/* Not wanted any more, and nobody will say that it has ended (node/daemon/duties_leader.c). */
static bool ends_unseen(const struct node *node, const struct state_duty *row)
{
    const struct node *holder = world_node_of_id(node->world, row->assignment.raft_id);
    bool gone = holder == NULL || !rumour_alive(node, holder->index) ||
                !duties_is_served(node, holder->id) ||
                holder->incarnation > row->assignment.incarnation;
    return state_duty_held(row) && !row->is.wanted && gone &&
           grants_leader_may_assign(node->peers->leader, node_now_ms(node), node_may_act(node), row,
                                    0, 0, NULL);
}

static void look_at_duty(struct node *node, int duty)
{
    char id[DUTY_ID_SIZE];
    duties_name(duty, id);
    const struct state_duty *row = state_duty_by_id(machine_state(node->machine), id);
    if (row == NULL) {
        put_duty(node, duty, true);
        return;
    }
    if (ends_unseen(node, row) && !grants_leader_moving(node->peers->leader, id)) {
        duties_commit_release(node, duty, row, RELEASE_BY_EXPIRY);
        return;
    }
    if (node->world->options.manage != 0 || grants_leader_moving(node->peers->leader, id)) {
        return;
    }
    enum release_proof proof = RELEASE_BY_HOLDER;
    bool released = grants_leader_released(node->peers->leader, row, &proof);
    if (released && !row->released && world_percent(node->world, 50)) {
        duties_commit_release(node, duty, row, proof);
        return;
    }
    /* The daemon's leader would not propose what is barred: here the state has to refuse it. */
    bool barred = state_duty_barred_by(machine_state(node->machine), row) != NULL;
    if (row->is.wanted && (!barred || world_percent(node->world, 10))) {
        place(node, duty, row);
    }
}

static void lead_duties(struct node *node)
{
    struct peers *self = node->peers;
    int64_t now = node_now_ms(node);
    bool acting = node->view.acting;
    if (self->duties_at_ms != 0 && (!acting || self->leader_term != node->view.term)) {
        grants_leader_end(self->leader);
        self->duties_at_ms = 0;
    }
    if (!acting) {
        return;
    }
    if (self->duties_at_ms == 0) {
        grants_leader_begin(self->leader, now, node->view.term, node->world->options.grant);
        if (self->leader_term != node->view.term) {
            memset(self->move_wanted, 0, sizeof self->move_wanted);
        }
        self->leader_term = node->view.term;
        self->duties_at_ms = now;
    }
    if (now < self->duties_at_ms) {
        return;
    }
    bool manages = node->world->options.manage != 0;
    self->duties_at_ms = now + (manages ? PLACEMENT_PERIOD_MS : LOOK_EVERY_MS);
    look_at_roster(node);
    for (int duty = 0; duty < (int)node->world->options.duties; duty++) {
        if (node_leads(node) && node->view.acting) {
            look_at_duty(node, duty);
        }
    }
    if (node->world->options.schedules > 0 && node_leads(node)) {
        running_place(node);
    }
    if (node->world->options.manage != 0 && node_leads(node)) {
        placing_run(node);
    }
}

void duties_want_move(struct node *node)
{
    int64_t duty = world_between(node->world, 0, node->world->options.duties - 1);
    node->peers->move_wanted[duty] = true;
    TRACE(node->world, "n%d wants duty %d elsewhere", node->index, (int)duty);
}

/* ---- the holder ---- */

static void post(struct node *node, uint64_t to, enum message_kind kind)
{
    const struct buffer *buffer = &node->peers->writer.buffer;
    network_send(node->world, node->id, to, kind, buffer->data, buffer->length);
}

/* Deadlines to the guards; what stands no more ends now. */
static void feed_guards(struct node *node)
{
    const struct grants_holder *holder = node->peers->holder;
    for (int duty = 0; duty < (int)node->world->options.duties; duty++) {
        char id[DUTY_ID_SIZE];
        duties_name(duty, id);
        const struct grants_held *held = grants_holder_by_duty(holder, id);
        struct guard *guard = &node->guards[duty];
        bool ours = guard->incarnation == node->incarnation;
        if (ours && (held == NULL || held->assignment != guard->assignment)) {
            *guard = (struct guard){0};
        }
        if (held != NULL && held->deadline_ms > guard->deadline_ms) {
            check_granted(node, held->assignment, machine_state(node->machine), id);
            TRACE(node->world, "n%d may run duty %d (assignment %" PRIu64 ") for %" PRId64 " ms",
                  node->index, duty, held->assignment, held->deadline_ms - node_now_ms(node));
            guard->deadline_ms = held->deadline_ms;
            guard->assignment = held->assignment;
            guard->incarnation = node->incarnation;
        }
    }
}

static void ask(struct node *node)
{
    struct peers *self = node->peers;
    int64_t now = node_now_ms(node);
    uint64_t leader = node->view.leader;
    if (leader != 0 && leader != self->holder_leader) {
        grants_holder_hurry(self->holder, now);
    }
    self->holder_leader = leader;
    static struct grants_renew renew;
    while (now >= grants_holder_next_ms(self->holder) &&
           grants_holder_request(self->holder, now, &renew)) {
        mp_writer_clear(&self->writer);
        int code = grants_renew_encode(&renew, &self->writer);
        invariant(code == 0);
        post(node, leader, MESSAGE_RENEW);
    }
}

static void tell_releases(struct node *node)
{
    struct peers *self = node->peers;
    int64_t now = node_now_ms(node);
    if (now < self->release_at_ms) {
        return;
    }
    static struct grants_release release;
    if (grants_holder_releases(self->holder, 0, &release) == 0) {
        self->release_at_ms = INT64_MAX;
        return;
    }
    self->release_at_ms = now + RELEASE_EVERY_MS;
    mp_writer_clear(&self->writer);
    int code = grants_release_encode(&release, &self->writer);
    invariant(code == 0);
    post(node, node->view.leader, MESSAGE_RELEASE);
}

/* What an earlier life of the node held and no guard of its host runs any more. */
static void release_former(struct node *node)
{
    const struct world_switches *off = &node->world->options.world_off;
    for (int duty = 0; duty < (int)node->world->options.duties; duty++) {
        char id[DUTY_ID_SIZE];
        duties_name(duty, id);
        const struct grants_held *held = grants_holder_by_duty(node->peers->holder, id);
        if (held == NULL || !held->former || held->released ||
            (peers_runs(node, duty) && !off->former_lock)) {
            continue;
        }
        TRACE(node->world, "n%d releases duty %d of its former life", node->index, duty);
        (void)grants_holder_release(node->peers->holder, id);
        node->peers->release_at_ms = node_now_ms(node);
    }
}

void duties_give_up(struct node *node)
{
    int first = (int)world_between(node->world, 0, node->world->options.duties - 1);
    for (int i = 0; i < (int)node->world->options.duties; i++) {
        int duty = (first + i) % (int)node->world->options.duties;
        char id[DUTY_ID_SIZE];
        duties_name(duty, id);
        if (!grants_holder_may_run(node->peers->holder, node_now_ms(node), id)) {
            continue;
        }
        TRACE(node->world, "n%d gives duty %d up", node->index, duty);
        node->guards[duty] = (struct guard){0};
        (void)grants_holder_release(node->peers->holder, id);
        node->peers->release_at_ms = node_now_ms(node);
        return;
    }
}

/* What is wanted no more ends here. */
static void leave_unwanted(struct node *node)
{
    for (int duty = 0; duty < (int)node->world->options.duties; duty++) {
        char id[DUTY_ID_SIZE];
        duties_name(duty, id);
        const struct state_duty *row = state_duty_by_id(machine_state(node->machine), id);
        const struct grants_held *held = grants_holder_by_duty(node->peers->holder, id);
        if (row == NULL || row->is.wanted || held == NULL || held->released || held->former) {
            continue;
        }
        TRACE(node->world, "n%d ends duty %d, which is not wanted", node->index, duty);
        node->guards[duty] = (struct guard){0};
        (void)grants_holder_release(node->peers->holder, id);
        node->peers->release_at_ms = node_now_ms(node);
    }
}

void duties_after(struct node *node)
{
    if (machine_take_change(node->machine)) {
        grants_holder_sync(node->peers->holder, node_now_ms(node), machine_state(node->machine));
        feed_guards(node);
        running_feed(node);
    }
    uint64_t life = node->life;
    if (node->world->options.manage != 0) {
        placing_leave(node);
        leading_run(node);
    }
    if (node->life == life) {
        lead_duties(node);
    }
    if (node->life == life && node_runs(node)) {
        leave_unwanted(node);
        release_former(node);
        ask(node);
        tell_releases(node);
    }
    if (node->life == life && node_runs(node)) {
        running_after(node);
    }
    if (node->life == life && node_runs(node)) {
        ticking_run(node);
    }
    if (node->life == life && node_runs(node)) {
        dispatch_run(node);
    }
}

/* ---- messages ---- */

/* A leader that wants a duty elsewhere stops to grant it. */
static void leave_out_moves(struct node *node, struct grants_renew *renew)
{
    size_t kept = 0;
    for (size_t i = 0; i < renew->count; i++) {
        bool wanted = false;
        for (int duty = 0; duty < (int)node->world->options.duties; duty++) {
            char id[DUTY_ID_SIZE];
            duties_name(duty, id);
            const struct state_duty *row = state_duty_by_id(machine_state(node->machine), id);
            wanted = wanted || (node->peers->move_wanted[duty] && row != NULL &&
                                row->assignment.number == renew->assignments[i]);
        }
        if (!wanted) {
            renew->assignments[kept++] = renew->assignments[i];
        }
    }
    renew->count = kept;
}

static void take_renew(struct node *node, const struct message *message)
{
    static struct grants_renew renew;
    static struct grants_grant grant;
    struct err err = {0};
    int code = grants_renew_decode(message->bytes, message->length, &renew, &err);
    invariant(code == 0);
    leave_out_moves(node, &renew);
    if (node->world->options.manage != 0 && !duties_is_served(node, message->from)) {
        return;
    }
    int64_t now = node_now_ms(node);
    bool acting = node_may_act(node);
    if (node->world->options.grants_off.grants_only_while_acting) {
        acting = acting || node->view.state == CONSENSUS_LEADER;
    }
    if (!grants_leader_renew(node->peers->leader, now, acting, machine_state(node->machine),
                             message->from, &renew, &grant)) {
        return;
    }
    node->world->verdict->stats.grants++;
    mp_writer_clear(&node->peers->writer);
    code = grants_grant_encode(&grant, &node->peers->writer);
    invariant(code == 0);
    post(node, message->from, MESSAGE_GRANT);
}

static void take_grant(struct node *node, const struct message *message)
{
    static struct grants_grant grant;
    struct err err = {0};
    int code = grants_grant_decode(message->bytes, message->length, &grant, &err);
    invariant(code == 0);
    if (grants_holder_take(node->peers->holder, node_now_ms(node), &grant) > 0) {
        feed_guards(node);
        running_feed(node);
    }
}

static void take_release(struct node *node, const struct message *message)
{
    static struct grants_release release;
    struct err err = {0};
    int code = grants_release_decode(message->bytes, message->length, &release, &err);
    invariant(code == 0);
    if (node->view.state == CONSENSUS_LEADER) {
        (void)grants_leader_take_release(node->peers->leader, machine_state(node->machine),
                                         message->from, &release);
    }
}

void duties_receive(struct node *node, const struct message *message)
{
    if (message->kind == MESSAGE_RENEW) {
        take_renew(node, message);
    } else if (message->kind == MESSAGE_GRANT) {
        take_grant(node, message);
    } else {
        take_release(node, message);
    }
}
