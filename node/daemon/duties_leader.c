/* Duties as the acting leader sees them: answers renewals, takes releases, places what shall run
 * and has no place, follows the wishes of its managers. */
#include "node/base/clock.h"
#include "node/daemon/node.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PLACEMENT_PERIOD_MS 100
#define REFUSED_PAUSE_MS 1000 /* a refusal means that something is not understood: no haste */
#define WISH_REPEAT_MS 500

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
    (void)snprintf(command.why, sizeof command.why, "%s", why);
    propose_about(self, duty->is.id, &command);
}

/* ---- placement ---- */

static struct placement_node describe_node(const struct node *self, const struct state_node *row)
{
    struct placement_node ret = {.raft_id = row->is.raft_id,
                                 .draining = row->draining,
                                 .witness = row->is.wanted == NODE_ROLE_WITNESS ||
                                            !gets_log(self, row->is.raft_id)};
    (void)snprintf(ret.name, sizeof ret.name, "%s", row->is.name);
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
        for (size_t i = 0; i < health.capability_count; i++) {
            if (health.capabilities[i].percent > 0 && ret.manager_count < MANAGERS_MAX) {
                (void)snprintf(ret.managers[ret.manager_count++], NAME_SIZE, "%s",
                               health.capabilities[i].manager);
            }
        }
    }
    return ret;
}

static const struct wish *find_wish(const struct node *self, const char *id)
{
    for (size_t i = 0; i < self->wish_count; i++) {
        if (strcmp(self->wishes[i].id, id) == 0) {
            return &self->wishes[i];
        }
    }
    return NULL;
}

static_assert(PLACEMENT_AVOID_MAX >= MANAGER_PLACES_MAX, "a wish's places fit");
static_assert(PLACEMENT_ONLY_MAX >= MANAGER_PLACES_MAX, "a wish's places fit");

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

static struct placement_duty describe_duty(const struct node *self, const struct state_duty *row)
{
    struct placement_duty ret = {.wanted = row->is.wanted,
                                 .priority = row->is.priority,
                                 .raft_id = row->assignment.raft_id,
                                 .incarnation = row->assignment.incarnation};
    (void)snprintf(ret.id, sizeof ret.id, "%s", row->is.id);
    (void)snprintf(ret.manager, sizeof ret.manager, "%s", row->manager);
    enum release_proof proof;
    ret.assigned = state_duty_held(row) && !grants_leader_released(self->granting, row, &proof);
    const struct wish *wish = find_wish(self, row->is.id);
    if (wish == NULL || wish->term != self->view.term) {
        /* This term's manager has not said yet where it may run: it stays where it is. */
        ret.wanted = false;
        return ret;
    }
    ret.avoid_count = ids_of(self, wish->is.avoid, wish->is.avoid_count, ret.avoid);
    ret.only_count = ids_of(self, wish->is.on, wish->is.on_count, ret.only);
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
    struct placement_target targets[DUTIES_MAX];
};

static void move_setting_key(const char *duty, char ret[SETTING_KEY_SIZE])
{
    (void)snprintf(ret, SETTING_KEY_SIZE, "duty.move/%.80s", duty);
}

static enum placement_move move_step(const struct node *self, const struct placement_work *work,
                                     const struct placement_duty *duty, size_t *ret_node)
{
    char key[SETTING_KEY_SIZE];
    move_setting_key(duty->id, key);
    return placement_move_step(work->nodes, work->node_count, duty, state_setting(self->state, key),
                               ret_node);
}

static void forget_move(struct node *self, const char *duty, const char *why)
{
    struct command command = {.type = COMMAND_SETTING_PUT, .reason = REASON_OPERATOR};
    move_setting_key(duty, command.setting.key);
    if (state_setting(self->state, command.setting.key) == NULL) {
        return;
    }
    command.setting.remove = true;
    (void)snprintf(command.who, sizeof command.who, "%s", node_name(self));
    (void)snprintf(command.why, sizeof command.why, "%s", why);
    (void)proposals_submit(self->proposals, &command, NULL, NULL, NULL, NULL);
}

static void place(struct node *self, const struct placement_work *work,
                  const struct placement_target *target, int64_t now_ms)
{
    const struct placement_duty *duty = &work->duties[target->duty];
    const struct state_duty *row = state_duty_by_id(self->state, duty->id);
    const struct placement_node *node = &work->nodes[target->node];
    size_t wanted = 0;
    enum placement_move step = move_step(self, work, duty, &wanted);
    if (step == PLACEMENT_MOVE_GO && !duty->assigned) {
        node = &work->nodes[wanted];
    }
    if (step == PLACEMENT_MOVE_DROP || row == NULL || node->incarnation == 0 ||
        grants_leader_moving(self->granting, duty->id) ||
        !grants_leader_may_assign(self->granting, now_ms, node_may_act(self), row, node->raft_id,
                                  node->incarnation, NULL)) {
        return;
    }
    propose_assign(self, row, node, reason_of(target->reason),
                   placement_reason_name(target->reason));
    if (step == PLACEMENT_MOVE_GO && node == &work->nodes[wanted]) {
        forget_move(self, duty->id, "the duty has moved");
    }
}

static bool holder_is_gone(const struct node *self, const struct state_duty *duty)
{
    struct gossip_member member;
    return !gossip_member_find(self->gossip, duty->assignment.node, &member) ||
           member.state == GOSSIP_DEAD || member.state == GOSSIP_LEFT;
}

/* Commit what is known to have ended: released by its holder or an obituary, or not wanted while
 * its holder cannot say that it ended (then the end of its grant tells). Only what is released in
 * the state is placed anew. */
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
        } else if (!duty->is.wanted && holder_is_gone(self, duty) &&
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
        if (duty->wanted && move_step(self, work, duty, &node) == PLACEMENT_MOVE_DROP) {
            forget_move(self, duty->id, "it runs there, or that node cannot take it now");
        }
    }
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
    work.node_count = 0;
    for (size_t i = 0; i < state_node_count(self->state) && work.node_count < NODES_MAX; i++) {
        const struct state_node *row = state_node_at(self->state, i);
        if (!row->removed) {
            work.nodes[work.node_count++] = describe_node(self, row);
        }
    }
    work.duty_count = 0;
    for (size_t i = 0; i < state_duty_count(self->state) && work.duty_count < DUTIES_MAX; i++) {
        work.duties[work.duty_count++] = describe_duty(self, state_duty_at(self->state, i));
    }
    drop_vain_moves(self, &work);
    size_t count =
        placement_decide(work.nodes, work.node_count, work.duties, work.duty_count, work.targets);
    for (size_t i = 0; i < count; i++) {
        place(self, &work, &work.targets[i], now_ms);
    }
}

/* ---- wishes of the active managers ---- */

static struct wish *keep_wish(struct node *self, const struct manager_duty_wanted *wanted)
{
    for (size_t i = 0; i < self->wish_count; i++) {
        if (strcmp(self->wishes[i].id, wanted->duty) == 0) {
            return &self->wishes[i];
        }
    }
    if (self->wish_count == DUTIES_MAX) {
        return NULL;
    }
    struct wish *wish = &self->wishes[self->wish_count++];
    *wish = (struct wish){0};
    (void)snprintf(wish->id, sizeof wish->id, "%s", wanted->duty);
    return wish;
}

static void propose_wish(struct node *self, const struct manager_duty_wanted *wanted)
{
    struct command command = {.type = COMMAND_DUTY_PUT,
                              .reason =
                                  wanted->wanted ? REASON_PRIMARY_DOWN : REASON_DUTY_UNWANTED};
    (void)snprintf(command.duty.id, sizeof command.duty.id, "%s", wanted->duty);
    command.duty.exclusive = wanted->exclusive;
    command.duty.wanted = wanted->wanted;
    (void)snprintf(command.who, sizeof command.who, "%s", node_name(self));
    (void)snprintf(command.why, sizeof command.why, "%s", wanted->reason);
    (void)proposals_submit(self->proposals, &command, NULL, NULL, NULL, NULL);
}

void duties_leader_wanted(struct node *self, const struct manager_duty_wanted *wanted)
{
    struct wish *wish = keep_wish(self, wanted);
    if (wish == NULL || !node_may_act(self) || self->managers_stopped) {
        return;
    }
    int64_t now_ms = clock_boot_ms();
    const struct state_duty *row = state_duty_by_id(self->state, wanted->duty);
    bool differs = row == NULL
                       ? wanted->wanted
                       : row->is.wanted != wanted->wanted || row->is.exclusive != wanted->exclusive;
    bool said = wish->is.wanted == wanted->wanted && wish->term == wanted->term &&
                now_ms < wish->proposed_ms + WISH_REPEAT_MS;
    if (wish->term != wanted->term) {
        self->placement_at_ms = 0; /* what ended before can be placed now */
    }
    wish->is = *wanted;
    wish->term = wanted->term;
    if (differs && !said) {
        wish->proposed_ms = now_ms;
        propose_wish(self, wanted);
    }
}

/* ---- duty move ---- */

int duties_leader_move(struct node *self, const char *id, const char *node,
                       const struct control_who *who, proposal_done *done, void *context,
                       struct err *err)
{
    const struct state_duty *duty = state_duty_by_id(self->state, id);
    const struct state_node *target = state_node_by_name(self->state, node);
    if (duty == NULL) {
        return err_set(err, ERR_NOTFOUND, "no duty %s; see `understudy duty list`", id);
    }
    if (target == NULL || target->removed) {
        return err_set(err, ERR_NOTFOUND, "no node %s; see `understudy members`", node);
    }
    struct gossip_member member;
    if (target->draining || !gossip_member_find(self->gossip, node, &member) ||
        member.state != GOSSIP_ALIVE) {
        return err_set(err, ERR_UNSAFE, "%s is not alive, or drains", node);
    }
    if (strlen(id) > 80) {
        return err_set(err, ERR_INVALID, "duties with an id of over 80 bytes cannot be moved");
    }
    struct command command = {.type = COMMAND_SETTING_PUT, .reason = REASON_OPERATOR};
    move_setting_key(id, command.setting.key);
    (void)snprintf(command.setting.value, sizeof command.setting.value, "%s", node);
    (void)snprintf(command.who, sizeof command.who, "%s", who->name);
    (void)snprintf(command.why, sizeof command.why, "duty move %.60s %.60s", id, node);
    return proposals_submit(self->proposals, &command, done, context, NULL, err);
}
