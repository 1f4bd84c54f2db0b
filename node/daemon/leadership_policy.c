#include "node/daemon/leadership_policy.h"

#include "node/base/clock.h"
#include "node/daemon/node.h"

#include <string.h>

#define POLICY_PERIOD_MS 100 /* beside each sample and each news of a health */
#define ROLES_PERIOD_MS 250
#define HAND_OVER_PATIENCE_MS 1000 /* before a hand-over that had no effect is asked for again */

static bool node_draining(const struct node *self, const char *name, uint32_t flags)
{
    const struct state_node *row = state_node_by_name(self->state, name);
    return (row != NULL && row->draining) || (flags & GOSSIP_FLAG_DRAINING) != 0;
}

static bool is_witness(const struct node *self, uint64_t id)
{
    const struct state_node *row = state_node_by_id(self->state, id);
    return row != NULL && row->is.wanted == NODE_ROLE_WITNESS;
}

static uint32_t gray_of(const struct node *self, const char *name)
{
    struct gossip_health health;
    bool complete;
    return gossip_member_health(self->gossip, name, &health, &complete) ? gray_of_told(&health) : 0;
}

static bool is_unwanted(const struct node *self, uint64_t id)
{
    const struct state_node *row = state_node_by_id(self->state, id);
    return row != NULL && (row->removed || row->is.wanted == NODE_ROLE_STANDBY ||
                           row->is.wanted == NODE_ROLE_SPARE);
}

/* Of the managers that are needed: a paused one is not. */
static uint32_t capabilities_of(const struct node *self, const char *name)
{
    struct gossip_health health;
    bool complete;
    uint32_t sum = 0;
    if (!gossip_member_health(self->gossip, name, &health, &complete)) {
        return 0;
    }
    for (size_t i = 0; i < health.capability_count; i++) {
        const struct gossip_capability *capability = &health.capabilities[i];
        if (!state_manager_paused(self->state, capability->manager, clock_wall_ms())) {
            sum += policy_capability(capability->percent);
        }
    }
    return sum;
}

static struct policy_node describe_voter(const struct node *self, size_t server)
{
    uint64_t id = self->view.servers[server].id;
    const char *name = node_name_of(self, id);
    struct policy_node ret = {
        .id = id,
        .caught_up = policy_caught_up(&self->view, server, self->view.election_timeout_ms),
        .witness = is_witness(self, id),
        .unwanted = is_unwanted(self, id)};
    struct gossip_member member;
    if (gossip_member_find(self->gossip, name, &member)) {
        ret.alive = member.state == GOSSIP_ALIVE;
        ret.score_known = member.has_health && member.score_tenths != GOSSIP_UNKNOWN;
        ret.score = member.score_tenths / 10.0;
        ret.draining = node_draining(self, name, member.flags);
        ret.capabilities = capabilities_of(self, name);
        ret.gray = gray_of(self, name);
    }
    return ret;
}

void leadership_policy_input(const struct node *self, int64_t now_ms, struct policy_input *ret)
{
    memset(ret, 0, sizeof *ret);
    ret->now_ms = now_ms;
    ret->acting = node_may_act(self);
    ret->acting_since_ms = self->view.acting_ms;
    ret->draining = node_draining(self, node_name(self), 0) || self->leaving != LEAVING_NOT;
    ret->self = (struct policy_node){.id = self->id,
                                     .alive = true,
                                     .caught_up = true,
                                     .draining = ret->draining,
                                     .witness = is_witness(self, self->id),
                                     .score_known = self->health_known,
                                     .score = self->health.score,
                                     .gray = self->gray,
                                     .capabilities = capabilities_of(self, node_name(self))};
    for (size_t i = 0; i < self->view.server_count; i++) {
        const struct consensus_server *server = &self->view.servers[i];
        if (server->role == CONSENSUS_VOTER && server->id != self->id) {
            ret->voters[ret->voter_count++] = describe_voter(self, i);
        }
    }
}

uint64_t leadership_policy_best(const struct node *self, int64_t now_ms)
{
    struct policy_input input;
    leadership_policy_input(self, now_ms, &input);
    return policy_best_known(&input);
}

static void run_policy(struct node *self, int64_t now_ms)
{
    /* A node that leaves hands over when its duties have ended: leaving.c asks for it. */
    if (self->leaving != LEAVING_NOT || now_ms < self->hand_over_asked_ms + HAND_OVER_PATIENCE_MS) {
        return;
    }
    struct policy_input input;
    struct policy_decision decision;
    leadership_policy_input(self, now_ms, &input);
    policy_decide(&self->policy, &input, &decision);
    if (decision.hand_over) {
        char gray[64];
        gray_text(input.self.gray, gray, sizeof gray);
        log_write(self->log, LOG_LEVEL_INFO, "leader.policy", log_text("why", decision.text),
                  log_text("gray", gray));
        (void)leadership_hand_over(self, decision.target, decision.cause, NULL);
    }
}

/* ---- roles ---- */

static struct roles_node describe_node(const struct node *self, const struct state_node *row,
                                       int64_t now_ms)
{
    struct roles_node ret = {.id = row->is.raft_id,
                             .removed = row->removed,
                             .draining = row->draining,
                             .wanted = row->is.wanted};
    struct gossip_member member;
    if (gossip_member_find(self->gossip, row->is.name, &member)) {
        ret.alive = member.state == GOSSIP_ALIVE || member.state == GOSSIP_SUSPECT;
        ret.liveness_ms = now_ms - member.state_since_ms;
        ret.score_known = member.has_health && member.score_tenths != GOSSIP_UNKNOWN;
        ret.score = member.score_tenths / 10.0;
    } else {
        ret.liveness_ms = now_ms - self->started_ms;
    }
    return ret;
}

static void run_roles(struct node *self, int64_t now_ms)
{
    struct roles_config config = roles_config_default;
    config.voters = self->config->cluster.voters;
    struct roles_input input = {.leader = self->id,
                                .changing = self->view.configuration_changing,
                                .server_count = self->view.server_count};
    memcpy(input.servers, self->view.servers, sizeof input.servers);
    for (size_t i = 0; i < state_node_count(self->state) && input.node_count < NODES_MAX; i++) {
        input.nodes[input.node_count++] =
            describe_node(self, state_node_at(self->state, i), now_ms);
    }
    struct roles_decision decision;
    roles_decide(&config, &input, &decision);
    if (decision.action == ROLES_CHANGE) {
        log_write(self->log, LOG_LEVEL_INFO, "raft.role_change", log_text("why", decision.text),
                  log_text("peer", node_name_of(self, decision.id)));
        struct consensus_event event = {.kind = CONSENSUS_EVENT_CHANGE,
                                        .token = UINT64_C(1) << 63,
                                        .change = decision.what,
                                        .peer = decision.id,
                                        .role = decision.role};
        (void)consensus_thread_post(self->consensus, &event);
    } else if (decision.action == ROLES_HAND_OVER &&
               now_ms >= self->hand_over_asked_ms + HAND_OVER_PATIENCE_MS) {
        uint64_t target = leadership_policy_best(self, now_ms);
        if (target != 0) {
            (void)leadership_hand_over(self, target, CONSENSUS_CAUSE_DRAIN, NULL);
        }
    }
}

/* ---- the roster's rows for founders, and addresses that changed ---- */

static void propose_node(struct node *self, const struct command_node *node,
                         enum command_reason reason, const char *why)
{
    struct command command = {.type = COMMAND_NODE_PUT, .reason = reason, .node = *node};
    (void)snprintf(command.who, sizeof command.who, "%s", node_name(self));
    (void)snprintf(command.why, sizeof command.why, "%s", why);
    (void)proposals_submit(self->proposals, &command, NULL, NULL, NULL, NULL);
}

/* True when something was proposed. */
static bool enrol_founder(struct node *self, const struct config_peer *peer)
{
    const struct key_public *key = key_roster_by_name(&self->keys, peer->name);
    if (key == NULL || state_node_by_name(self->state, peer->name) != NULL) {
        return false;
    }
    struct command_node node = {.raft_id = consensus_id_of_key(key->public_key),
                                .wanted = NODE_ROLE_AUTO};
    (void)snprintf(node.name, sizeof node.name, "%s", peer->name);
    (void)snprintf(node.public_key, sizeof node.public_key, "%s", key->public_key);
    (void)snprintf(node.address, sizeof node.address, "%s", peer->address);
    propose_node(self, &node, REASON_FOUNDING, "a founding node of the configuration");
    return true;
}

/* The labels of the node's own configuration, as it tells them. */
static void take_labels(const struct node *self, struct command_node *node)
{
    struct gossip_health health;
    bool complete;
    if (!gossip_member_health(self->gossip, node->name, &health, &complete) || !complete) {
        return;
    }
    memset(node->labels, 0, sizeof node->labels);
    node->label_count = 0;
    for (size_t i = 0; i < health.label_count && i < NODE_LABELS_MAX; i++) {
        (void)snprintf(node->labels[node->label_count++], LABEL_SIZE, "%s=%s",
                       health.labels[i].name, health.labels[i].value);
    }
}

static bool same_labels(const struct command_node *a, const struct command_node *b)
{
    bool same = a->label_count == b->label_count;
    for (size_t i = 0; same && i < a->label_count; i++) {
        same = strcmp(a->labels[i], b->labels[i]) == 0;
    }
    return same;
}

static bool update_row(struct node *self, const struct state_node *row)
{
    struct gossip_member member;
    if (row->removed || !gossip_member_find(self->gossip, row->is.name, &member) ||
        member.state != GOSSIP_ALIVE) {
        return false;
    }
    struct command_node node = row->is;
    take_labels(self, &node);
    bool moved = member.address[0] != '\0' && strcmp(member.address, row->is.address) != 0;
    if (!moved && same_labels(&node, &row->is)) {
        return false;
    }
    if (moved) {
        (void)snprintf(node.address, sizeof node.address, "%s", member.address);
    }
    propose_node(self, &node, REASON_CONFIGURATION,
                 moved ? "the node advertises a new address" : "the node has other labels");
    return true;
}

static void run_roster(struct node *self)
{
    const struct config_cluster *cluster = &self->config->cluster;
    bool proposed = false;
    for (size_t i = 0; i < cluster->peer_count; i++) {
        proposed = enrol_founder(self, &cluster->peers[i]) || proposed;
    }
    for (size_t i = 0; !proposed && i < state_node_count(self->state); i++) {
        proposed = update_row(self, state_node_at(self->state, i));
    }
}

int64_t leadership_policy_deadline_ms(const struct node *self, int64_t now_ms)
{
    if (self->policy_at_ms == 0) {
        return now_ms; /* news since it was looked at last */
    }
    int64_t due_ms = policy_due_ms(&self->policy, self->view.acting_ms);
    return due_ms > now_ms ? due_ms : INT64_MAX;
}

void leadership_policy_run(struct node *self, int64_t now_ms)
{
    if (!node_may_act(self)) {
        return;
    }
    bool due = policy_due_ms(&self->policy, self->view.acting_ms) <= now_ms;
    if (due || now_ms >= self->policy_at_ms) {
        self->policy_at_ms = now_ms + POLICY_PERIOD_MS;
        run_policy(self, now_ms);
    }
    if (now_ms >= self->roles_at_ms) {
        self->roles_at_ms = now_ms + ROLES_PERIOD_MS;
        run_roster(self);
        run_roles(self, now_ms);
    }
}
