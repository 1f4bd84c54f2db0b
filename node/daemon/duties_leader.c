/* Duties as the acting leader sees them: answers renewals, takes releases, places what shall run
 * and has no place, follows the wishes of its managers. */
#include "node/base/clock.h"
#include "node/daemon/maintenance.h"
#include "node/daemon/node.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PLACEMENT_PERIOD_MS 100
#define REFUSED_PAUSE_MS 1000 /* a refusal means that something is not understood: no haste */

/* ---- grants and releases ---- */

/* A spare gets no log: it would never learn of a duty that it was given. */
static bool gets_log(const struct node *self, uint64_t id)
{
    for (size_t i = 0; i < self->view.server_count; i++) {
        if (self->view.servers[i].id == id) {
            return self->view.servers[i].role != CONSENSUS_SPARE;
        }
    }
    return false;
}

void duties_leader_renew(struct node *self, int64_t now_ms, uint64_t from,
                         const struct grants_renew *request)
{
    static struct grants_grant reply;
    if (!gets_log(self, from)) {
        return; /* it would never learn that it shall give a duty up: its grants run out */
    }
    if (!grants_leader_renew(self->granting, now_ms, node_may_act(self), self->state, from, request,
                             &reply)) {
        return;
    }
    if (from == self->id) {
        duties_take_grant(self, now_ms, &reply);
        return;
    }
    struct mp_writer writer;
    mp_writer_init(&writer, GRANTS_MESSAGE_BYTES_MAX);
    if (grants_grant_encode(&reply, &writer) == 0) {
        (void)transport_send_id(self->transport, from, TRANSPORT_GRANT, writer.buffer.data,
                                writer.buffer.length, false);
    }
    mp_writer_deinit(&writer);
}

void duties_leader_release(struct node *self, uint64_t from, const struct grants_release *release)
{
    if (grants_leader_take_release(self->granting, self->state, from, release) > 0) {
        self->placement_at_ms = 0;
        node_pump(self);
    }
}

static void on_moved(void *context, uint64_t token, int status, const struct state_effect *effect)
{
    struct node *self = context;
    grants_leader_note_outcome(self->granting, token, status != ERR_STALE && status != ERR_CLOSED);
    /* The assignment was applied just before this outcome: asked in between, it got no grant. */
    grants_holder_hurry(self->holding, clock_boot_ms());
    if (effect != NULL && effect->status != 0) {
        log_write(self->log, LOG_LEVEL_WARN, "duty.refused", log_text("duty", effect->target),
                  log_text("why", effect->reason));
        self->placement_at_ms = clock_boot_ms() + REFUSED_PAUSE_MS;
        return;
    }
    self->placement_at_ms = 0;
}

/* Propose a command about the duty's assignment; nothing is granted for it until it is decided. */
static void propose_about(struct node *self, const char *duty, struct command *command)
{
    uint64_t token = proposals_next_token(self->proposals);
    (void)snprintf(command->who, sizeof command->who, "%s", node_name(self));
    if (grants_leader_note_proposed(self->granting, duty, token) != 0) {
        return;
    }
    if (proposals_submit(self->proposals, command, on_moved, self, NULL, NULL) != 0) {
        grants_leader_note_outcome(self->granting, token, true);
    }
}

static void propose_release(struct node *self, const struct state_duty *duty,
                            enum release_proof proof, enum command_reason reason)
{
    struct command command = {.type = COMMAND_DUTY_RELEASE, .reason = reason};
    (void)snprintf(command.release.id, sizeof command.release.id, "%s", duty->is.id);
    command.release.assignment = duty->assignment.number;
    command.release.proof = proof;
    (void)snprintf(command.why, sizeof command.why, "released by %s",
                   command_release_proof_name(proof));
    propose_about(self, duty->is.id, &command);
}

static void propose_assign(struct node *self, const struct state_duty *duty,
                           const struct placement_node *target, enum command_reason reason,
                           const char *why)
{
    struct command command = {.type = COMMAND_DUTY_ASSIGN, .reason = reason};
    struct command_assign *assign = &command.assign;
    (void)snprintf(assign->id, sizeof assign->id, "%s", duty->is.id);
    (void)snprintf(assign->node, sizeof assign->node, "%s", target->name);
    assign->replaces = duty->assignment.number;
    assign->raft_id = target->raft_id;
    assign->incarnation = target->incarnation;
    assign->grant_ttl_ms = self->config->grants.ttl_ms;
    (void)snprintf(command.why, sizeof command.why, "to %s: %s", target->name, why);
    propose_about(self, duty->is.id, &command);
}

/* ---- placement ---- */

/* The component is 100 up to a pressure of 40 % and 60 at 100 %: how much of that range is used. */
static void describe_load(const struct gossip_health *health, struct placement_node *ret)
{
    for (size_t i = 0; i < health->component_count; i++) {
        const struct gossip_component *component = &health->components[i];
        if (strcmp(component->name, health_component_name(HEALTH_CPU)) == 0 &&
            component->score_tenths != GOSSIP_UNKNOWN) {
            double load = (1000 - component->score_tenths) / 4.0;
            ret->load_known = true;
            ret->load = load > 100.0 ? 100.0 : load;
        }
    }
}

/* There it decides and does nothing: what is placed there would not run. */
static bool is_shadow(const struct report *report, const char *manager)
{
    for (size_t i = 0; report != NULL && i < report->manager_count; i++) {
        if (strcmp(report->managers[i].name, manager) == 0) {
            return report->managers[i].shadow;
        }
    }
    return false;
}

static void describe_capabilities(const struct gossip_health *health, const struct report *report,
                                  struct placement_node *ret)
{
    for (size_t i = 0; i < health->capability_count && ret->manager_count < MANAGERS_MAX; i++) {
        struct placement_manager *manager = &ret->managers[ret->manager_count++];
        (void)snprintf(manager->name, sizeof manager->name, "%s", health->capabilities[i].manager);
        manager->percent = is_shadow(report, manager->name) ? 0 : health->capabilities[i].percent;
    }
}

static struct placement_node describe_node(const struct node *self, const struct state_node *row)
{
    struct placement_node ret = {.raft_id = row->is.raft_id,
                                 .draining = row->draining,
                                 .witness = row->is.wanted == NODE_ROLE_WITNESS ||
                                            !gets_log(self, row->is.raft_id),
                                 .room = (size_t)self->config->placement.room,
                                 .label_count = row->is.label_count};
    (void)snprintf(ret.name, sizeof ret.name, "%s", row->is.name);
    memcpy(ret.labels, row->is.labels, sizeof ret.labels);
    struct gossip_member member;
    if (!gossip_member_find(self->gossip, row->is.name, &member)) {
        return ret;
    }
    ret.incarnation = member.incarnation >> GOSSIP_REFUTATION_BITS;
    ret.alive = member.state == GOSSIP_ALIVE || member.state == GOSSIP_SUSPECT;
    ret.draining = ret.draining || (member.flags & GOSSIP_FLAG_DRAINING) != 0 ||
                   (member.self && self->leaving != LEAVING_NOT);
    ret.score_known = member.has_health && member.score_tenths != GOSSIP_UNKNOWN;
    ret.score = member.score_tenths / 10.0;
    struct gossip_health health;
    bool complete;
    if (gossip_member_health(self->gossip, row->is.name, &health, &complete)) {
        describe_capabilities(&health, reports_of(self, row->is.name), &ret);
        describe_load(&health, &ret);
    }
    return ret;
}

static_assert(PLACEMENT_AVOID_MAX >= MANAGER_PLACES_MAX, "a wish's places fit");
static_assert(PLACEMENT_ONLY_MAX >= MANAGER_PLACES_MAX, "a wish's places fit");
static_assert(PLACEMENT_LABELS_MAX >= MANAGER_LABELS_MAX, "a wish's labels fit");
static_assert(LABEL_SIZE == NAME_SIZE, "a wish's label is a label");

/* Raft ids of the named nodes; one that is not known gets an id that nobody has, so that a list of
 * unknown nodes is not taken for no list. */
static size_t ids_of(const struct node *self, const char names[][NAME_SIZE], size_t count,
                     uint64_t *ret)
{
    for (size_t i = 0; i < count; i++) {
        ret[i] = node_id_of(self, names[i]);
    }
    return count;
}

static const char *host_of(const struct state_node *row)
{
    for (size_t i = 0; i < row->is.label_count; i++) {
        if (strncmp(row->is.labels[i], "host=", strlen("host=")) == 0) {
            return row->is.labels[i];
        }
    }
    return NULL;
}

static bool is_listed(const uint64_t *ids, size_t count, uint64_t id)
{
    bool found = false;
    for (size_t i = 0; !found && i < count; i++) {
        found = ids[i] == id;
    }
    return found;
}

void duties_avoid_hosts(const struct node *self, struct placement_duty *ret)
{
    size_t named = ret->avoid_count;
    for (size_t i = 0; i < named; i++) {
        const struct state_node *row = state_node_by_id(self->state, ret->avoid[i]);
        const char *host = row == NULL ? NULL : host_of(row);
        for (size_t k = 0; host != NULL && k < state_node_count(self->state); k++) {
            const struct state_node *other = state_node_at(self->state, k);
            const char *others = host_of(other);
            if (others != NULL && strcmp(others, host) == 0 &&
                !is_listed(ret->avoid, ret->avoid_count, other->is.raft_id) &&
                ret->avoid_count < PLACEMENT_AVOID_MAX) {
                ret->avoid[ret->avoid_count++] = other->is.raft_id;
            }
        }
    }
}

/* Where the duty may run. False: it stays where it is, as this term's manager has not said yet. */
static bool find_places(const struct node *self, const struct state_duty *row,
                        struct placement_duty *ret)
{
    if (row->is.once) {
        return schedule_places(self, ret);
    }
    const struct wish *wish = duties_wish(self, row->is.id);
    if (wish == NULL || wish->term != self->view.term) {
        return false;
    }
    ret->avoid_count = ids_of(self, wish->is.avoid, wish->is.avoid_count, ret->avoid);
    duties_avoid_hosts(self, ret);
    ret->only_count = ids_of(self, wish->is.on, wish->is.on_count, ret->only);
    ret->label_count = wish->is.label_count;
    memcpy(ret->labels, wish->is.labels, sizeof ret->labels);
    memcpy(ret->group, wish->is.group, sizeof ret->group);
    return true;
}

static struct placement_duty describe_duty(const struct node *self, const struct state_duty *row,
                                           int64_t now_ms)
{
    struct placement_duty ret = {.wanted = row->is.wanted,
                                 .priority = row->is.priority,
                                 .once = row->is.once,
                                 .spent = row->is.once && row->assignment.number != 0,
                                 .raft_id = row->assignment.raft_id,
                                 .incarnation = row->assignment.incarnation};
    (void)snprintf(ret.id, sizeof ret.id, "%s", row->is.id);
    (void)snprintf(ret.manager, sizeof ret.manager, "%s", row->manager);
    enum release_proof proof;
    ret.assigned = state_duty_held(row) && !grants_leader_released(self->granting, row, &proof);
    ret.bound = ret.assigned && !grants_leader_may_assign(self->granting, now_ms,
                                                          node_may_act(self), row, 0, 0, NULL);
    char key[SETTING_KEY_SIZE];
    placement_move_key(row->is.id, key);
    ret.leaving = state_setting(self->state, key) != NULL;
    ret.barred = state_duty_barred_by(self->state, row) != NULL;
    ret.rests = !find_places(self, row, &ret) || ret.barred ||
                maintenance_gate(self, row->manager) != GATE_OPEN; /* it stays where it is */
    return ret;
}

static enum command_reason reason_of(enum placement_reason reason)
{
    switch (reason) {
    case PLACEMENT_NODE_RESTARTED:
        return REASON_NODE_RESTARTED;
    case PLACEMENT_NODE_GONE:
        return REASON_NODE_LEFT;
    case PLACEMENT_NODE_DEAD:
        return REASON_NODE_DEAD;
    case PLACEMENT_NODE_DRAINING:
        return REASON_NODE_DRAINING;
    case PLACEMENT_NODE_INCAPABLE:
        return REASON_NODE_INCAPABLE;
    case PLACEMENT_NODE_EXCLUDED:
        return REASON_CONFIGURATION;
    case PLACEMENT_REBALANCE:
        return REASON_REBALANCE;
    case PLACEMENT_PRESSURE:
        return REASON_PRESSURE;
    case PLACEMENT_OPERATOR:
        return REASON_OPERATOR;
    case PLACEMENT_UNASSIGNED:
        break;
    }
    return REASON_DUTY_UNASSIGNED;
}

struct placement_work {
    size_t node_count;
    struct placement_node nodes[NODES_MAX];
    size_t duty_count;
    struct placement_duty duties[DUTIES_MAX];
    struct placement_target targets[PLACEMENT_MOVES_MAX];
};

static enum placement_move move_step(const struct node *self, const struct placement_work *work,
                                     const struct placement_duty *duty, size_t *ret_node)
{
    char key[SETTING_KEY_SIZE];
    placement_move_key(duty->id, key);
    return placement_move_step(work->nodes, work->node_count, duty, state_setting(self->state, key),
                               ret_node);
}

static void forget_move(struct node *self, const char *duty, const char *why)
{
    struct command command = {.type = COMMAND_SETTING_PUT, .reason = REASON_OPERATOR};
    placement_move_key(duty, command.setting.key);
    if (state_setting(self->state, command.setting.key) == NULL) {
        return;
    }
    command.setting.remove = true;
    (void)snprintf(command.who, sizeof command.who, "%s", node_name(self));
    (void)snprintf(command.why, sizeof command.why, "%s", why);
    (void)proposals_submit(self->proposals, &command, NULL, NULL, NULL, NULL);
}

/* Its holder sees the wish and lets go; then `place` gives the duty to the node that it names. What
 * may overlap has no holder that would have to. */
static void ask_to_let_go(struct node *self, const struct placement_work *work,
                          const struct placement_target *target, int64_t now_ms)
{
    const char *duty = work->duties[target->duty].id;
    const struct state_duty *row = state_duty_by_id(self->state, duty);
    if (row == NULL || !row->is.exclusive) {
        if (row != NULL && target->node != PLACEMENT_NO_NODE) {
            propose_assign(self, row, &work->nodes[target->node], reason_of(target->reason),
                           placement_reason_name(target->reason));
            placement_note(self->placing, now_ms, duty, target);
        }
        return;
    }
    struct command command = {.type = COMMAND_SETTING_PUT, .reason = reason_of(target->reason)};
    placement_move_key(duty, command.setting.key);
    (void)snprintf(command.setting.value, sizeof command.setting.value, "%s",
                   target->node == PLACEMENT_NO_NODE ? PLACEMENT_NOWHERE
                                                     : work->nodes[target->node].name);
    (void)snprintf(command.who, sizeof command.who, "%s", node_name(self));
    (void)snprintf(command.why, sizeof command.why, "%s", placement_reason_name(target->reason));
    if (proposals_submit(self->proposals, &command, NULL, NULL, NULL, NULL) == 0) {
        placement_note(self->placing, now_ms, duty, target);
    }
}

/* Given to the node that a wish names: whose wish was it? */
static void fulfil(struct node *self, const struct state_duty *row,
                   const struct placement_node *node, int64_t now_ms)
{
    enum placement_reason reason = placement_noted(self->placing, now_ms, row->is.id);
    if (reason == PLACEMENT_UNASSIGNED) {
        reason = PLACEMENT_OPERATOR;
        const struct placement_target moved = {.reason = reason};
        placement_note(self->placing, now_ms, row->is.id, &moved);
    }
    propose_assign(self, row, node, reason_of(reason), placement_reason_name(reason));
    forget_move(self, row->is.id, "the duty has moved");
}

/* Something about another one of its exclusion group is proposed: what it may do is not known. */
static bool group_moves(const struct node *self, const struct state_duty *row)
{
    for (size_t i = 0; row->is.alone[0] != '\0' && i < state_duty_count(self->state); i++) {
        const struct state_duty *other = state_duty_at(self->state, i);
        if (other->is.side != row->is.side && strcmp(other->is.alone, row->is.alone) == 0 &&
            grants_leader_moving(self->granting, other->is.id)) {
            return true;
        }
    }
    return false;
}

static void place(struct node *self, const struct placement_work *work,
                  const struct placement_target *target, int64_t now_ms)
{
    const struct placement_duty *duty = &work->duties[target->duty];
    if (target->leave) {
        ask_to_let_go(self, work, target, now_ms);
        return;
    }
    const struct state_duty *row = state_duty_by_id(self->state, duty->id);
    const struct placement_node *node = &work->nodes[target->node];
    size_t wanted = 0;
    enum placement_move step = move_step(self, work, duty, &wanted);
    bool fulfils = step == PLACEMENT_MOVE_GO && !duty->assigned;
    node = fulfils ? &work->nodes[wanted] : node;
    if (step == PLACEMENT_MOVE_DROP || row == NULL || node->incarnation == 0 ||
        grants_leader_moving(self->granting, duty->id) || group_moves(self, row) ||
        !grants_leader_may_assign(self->granting, now_ms, node_may_act(self), row, node->raft_id,
                                  node->incarnation, NULL)) {
        return;
    }
    if (fulfils) {
        fulfil(self, row, node, now_ms);
        return;
    }
    propose_assign(self, row, node, reason_of(target->reason),
                   placement_reason_name(target->reason));
}

static bool holder_is_gone(const struct node *self, const struct state_duty *duty)
{
    struct gossip_member member;
    return !gossip_member_find(self->gossip, duty->assignment.node, &member) ||
           member.state == GOSSIP_DEAD || member.state == GOSSIP_LEFT;
}

/* It lives again, and knows nothing of what it held before. */
static bool holder_restarted(const struct node *self, const struct state_duty *duty)
{
    struct gossip_member member;
    return gossip_member_find(self->gossip, duty->assignment.node, &member) &&
           (member.incarnation >> GOSSIP_REFUTATION_BITS) > duty->assignment.incarnation;
}

/* Nobody will say that it has ended, and it is not placed anew: not wanted any more, or a run. */
static bool ends_unseen(const struct node *self, const struct state_duty *duty)
{
    return (duty->is.once || !duty->is.wanted) &&
           (holder_is_gone(self, duty) || holder_restarted(self, duty) ||
            !gets_log(self, duty->assignment.raft_id));
}

/* Commit what is known to have ended: released by its holder or an obituary, or not placed again
 * while its holder cannot say that it ended (then the end of its grant tells). Only what is
 * released in the state is placed anew. */
static void settle_releases(struct node *self, int64_t now_ms)
{
    for (size_t i = 0; i < state_duty_count(self->state); i++) {
        const struct state_duty *duty = state_duty_at(self->state, i);
        enum release_proof proof;
        if (!state_duty_held(duty) || grants_leader_moving(self->granting, duty->is.id)) {
            continue;
        }
        if (grants_leader_released(self->granting, duty, &proof)) {
            propose_release(self, duty, proof,
                            proof == RELEASE_BY_OBITUARY ? REASON_OBITUARY : REASON_UNSPECIFIED);
        } else if (ends_unseen(self, duty) &&
                   grants_leader_may_assign(self->granting, now_ms, node_may_act(self), duty, 0, 0,
                                            NULL)) {
            propose_release(self, duty, RELEASE_BY_EXPIRY, REASON_GRANT_EXPIRED);
        }
    }
}

/* Before anything is placed: the next holder must not find them. */
static void drop_vain_moves(struct node *self, const struct placement_work *work)
{
    for (size_t i = 0; i < work->duty_count; i++) {
        const struct placement_duty *duty = &work->duties[i];
        size_t node;
        if (duty->wanted && !duty->rests &&
            move_step(self, work, duty, &node) == PLACEMENT_MOVE_DROP) {
            forget_move(self, duty->id, "it runs there, or that node cannot take it now");
        }
    }
}

size_t duties_describe_nodes(const struct node *self, struct placement_node *ret)
{
    size_t count = 0;
    for (size_t i = 0; i < state_node_count(self->state) && count < NODES_MAX; i++) {
        const struct state_node *row = state_node_at(self->state, i);
        if (!row->removed) {
            ret[count++] = describe_node(self, row);
        }
    }
    return count;
}

static void describe(const struct node *self, int64_t now_ms, struct placement_work *ret)
{
    ret->node_count = duties_describe_nodes(self, ret->nodes);
    ret->duty_count = 0;
    for (size_t i = 0; i < state_duty_count(self->state) && ret->duty_count < DUTIES_MAX; i++) {
        ret->duties[ret->duty_count++] = describe_duty(self, state_duty_at(self->state, i), now_ms);
    }
}

static struct placement_world world_of(const struct placement_work *work)
{
    return (struct placement_world){.nodes = work->nodes,
                                    .node_count = work->node_count,
                                    .duties = work->duties,
                                    .duty_count = work->duty_count};
}

void duties_leader_run(struct node *self, int64_t now_ms)
{
    static struct placement_work work;
    if (!node_may_act(self) || now_ms < self->placement_at_ms) {
        return;
    }
    self->placement_at_ms = now_ms + PLACEMENT_PERIOD_MS;
    settle_releases(self, now_ms);
    if (self->managers_stopped) {
        return;
    }
    if (self->placing_term != self->view.term) {
        self->placing_term = self->view.term;
        placement_forget(self->placing);
    }
    describe(self, now_ms, &work);
    drop_vain_moves(self, &work);
    struct placement_world world = world_of(&work);
    size_t count = placement_decide(self->placing, now_ms, &world, work.targets);
    for (size_t i = 0; i < count; i++) {
        place(self, &work, &work.targets[i], now_ms);
    }
}

bool duties_leader_explain(struct node *self, int64_t now_ms, const char *duty,
                           struct placement_explanation *ret, char ret_names[][NAME_SIZE])
{
    static struct placement_work work;
    if (!node_may_act(self)) {
        return false;
    }
    describe(self, now_ms, &work);
    struct placement_world world = world_of(&work);
    for (size_t i = 0; i < work.duty_count; i++) {
        if (strcmp(work.duties[i].id, duty) == 0) {
            placement_explain(self->placing, now_ms, &world, i, ret);
            for (size_t j = 0; j < work.node_count; j++) {
                memcpy(ret_names[j], work.nodes[j].name, NAME_SIZE);
            }
            return true;
        }
    }
    return false;
}
