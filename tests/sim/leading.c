#include "tests/sim/leading.h"

#include "consensus/policy.h"
#include "consensus/roles.h"
#include "tests/sim/check.h"
#include "tests/sim/machine.h"
#include "tests/sim/node.h"
#include "tests/sim/peers.h"
#include "tests/sim/world.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define POLICY_PERIOD_MS 100
#define ROLES_PERIOD_MS 250
#define HAND_OVER_PATIENCE_MS 1000

static struct policy_config policy_config(const struct options *options)
{
    struct policy_config config = policy_config_default;
    config.hold_ms = options->policy_hold;
    config.min_tenure_ms = options->policy_tenure;
    config.pause_min_ms = options->policy_pause;
    config.pause_max_ms = options->policy_pause * 8;
    config.pause_decay_ms = options->policy_pause * 8;
    return config;
}

static struct roles_config roles_config(const struct options *options)
{
    struct roles_config config = roles_config_default;
    config.voters = (size_t)options->voters_wanted;
    config.alive_stable_ms = options->alive_stable;
    config.dead_stable_ms = options->dead_stable;
    return config;
}

void leading_start(struct node *node)
{
    struct policy_config config = policy_config(&node->world->options);
    policy_init(&node->peers->policy, &config);
    node->peers->started_ms = node_now_ms(node);
    node->peers->hand_over_asked_ms = -HAND_OVER_PATIENCE_MS;
}

/* ---- policy ---- */

static const struct state_node *row_of(const struct node *node, uint64_t id)
{
    return state_node_by_id(machine_state(node->machine), id);
}

bool leading_drains(const struct node *node, const struct node *who)
{
    const struct state_node *row = row_of(node, who->id);
    return row != NULL && (row->draining || row->removed);
}

static bool is_witness(const struct node *node, uint64_t id)
{
    const struct state_node *row = row_of(node, id);
    return row != NULL && row->is.wanted == NODE_ROLE_WITNESS;
}

static bool is_unwanted(const struct node *node, uint64_t id)
{
    const struct state_node *row = row_of(node, id);
    return row != NULL && (row->removed || row->is.wanted == NODE_ROLE_STANDBY ||
                           row->is.wanted == NODE_ROLE_SPARE);
}

static struct policy_node describe_voter(const struct node *node, size_t server)
{
    uint64_t id = node->view.servers[server].id;
    const struct state_node *row = row_of(node, id);
    struct policy_node ret = {
        .id = id,
        .caught_up = policy_caught_up(&node->view, server, node->world->options.election),
        .witness = is_witness(node, id),
        .unwanted = is_unwanted(node, id)};
    struct gossip_member member;
    if (rumour_member(node, id, &member)) {
        ret.alive = member.state == GOSSIP_ALIVE;
        ret.score_known = member.has_health && member.score_tenths != GOSSIP_UNKNOWN;
        ret.score = member.score_tenths / 10.0;
        ret.draining = row != NULL && row->draining;
        ret.capabilities = rumour_capabilities(node, id);
    }
    return ret;
}

static void describe(const struct node *node, struct policy_input *ret)
{
    memset(ret, 0, sizeof *ret);
    const struct state_node *row = row_of(node, node->id);
    ret->now_ms = node_now_ms(node);
    ret->acting = node_may_act(node);
    ret->acting_since_ms = node->view.acting_ms;
    ret->draining = row != NULL && row->draining;
    ret->self = (struct policy_node){.id = node->id,
                                     .alive = true,
                                     .caught_up = true,
                                     .draining = ret->draining,
                                     .witness = is_witness(node, node->id),
                                     .score_known = node->health.score_tenths >= 0,
                                     .score = node->health.score_tenths / 10.0,
                                     .capabilities = rumour_capabilities(node, node->id)};
    for (size_t i = 0; i < node->view.server_count; i++) {
        const struct consensus_server *server = &node->view.servers[i];
        if (server->role == CONSENSUS_VOTER && server->id != node->id) {
            ret->voters[ret->voter_count++] = describe_voter(node, i);
        }
    }
}

static void hand_over(struct node *node, uint64_t target, enum consensus_cause cause,
                      const char *why)
{
    node->peers->hand_over_asked_ms = node_now_ms(node);
    node->world->verdict->stats.policy_moves++;
    TRACE(node->world, "n%d hands over to %" PRIu64 " (%s: %s)", node->index, target,
          consensus_cause_name(cause), why);
    check_handed_over(node, target, cause);
    (void)node_hand_over(node, target, cause);
}

static void run_policy(struct node *node)
{
    int64_t now = node_now_ms(node);
    struct policy_input input;
    struct policy_decision decision;
    if (now < node->peers->hand_over_asked_ms + HAND_OVER_PATIENCE_MS) {
        return;
    }
    describe(node, &input);
    policy_decide(&node->peers->policy, &input, &decision);
    if (decision.hand_over) {
        hand_over(node, decision.target, decision.cause, decision.text);
    }
}

/* ---- roles ---- */

static struct roles_node describe_node(const struct node *node, const struct state_node *row)
{
    struct roles_node ret = {.id = row->is.raft_id,
                             .removed = row->removed,
                             .draining = row->draining,
                             .wanted = row->is.wanted};
    int64_t now = node_now_ms(node);
    struct gossip_member member;
    if (rumour_member(node, row->is.raft_id, &member)) {
        ret.alive = member.state == GOSSIP_ALIVE || member.state == GOSSIP_SUSPECT;
        ret.liveness_ms = now - member.state_since_ms;
        ret.score_known = member.has_health && member.score_tenths != GOSSIP_UNKNOWN;
        ret.score = member.score_tenths / 10.0;
    } else {
        ret.liveness_ms = now - node->peers->started_ms;
    }
    return ret;
}

static void fill_roles(const struct node *node, struct roles_input *ret)
{
    *ret = (struct roles_input){.leader = node->id,
                                .changing = node->view.configuration_changing,
                                .server_count = node->view.server_count};
    memcpy(ret->servers, node->view.servers, sizeof ret->servers);
    const struct state *state = machine_state(node->machine);
    for (size_t i = 0; i < state_node_count(state) && ret->node_count < NODES_MAX; i++) {
        ret->nodes[ret->node_count++] = describe_node(node, state_node_at(state, i));
    }
}

static void run_roles(struct node *node)
{
    struct roles_config config = roles_config(&node->world->options);
    struct roles_input input;
    struct roles_decision decision;
    fill_roles(node, &input);
    roles_decide(&config, &input, &decision);
    if (decision.action == ROLES_CHANGE) {
        TRACE(node->world, "n%d changes %" PRIu64 " (%d to role %d): %s", node->index, decision.id,
              (int)decision.what, (int)decision.role, decision.text);
        if (node_change(node, decision.what, decision.id, decision.role) == 0) {
            node->world->verdict->stats.changes++;
        }
    } else if (decision.action == ROLES_HAND_OVER &&
               node_now_ms(node) >= node->peers->hand_over_asked_ms + HAND_OVER_PATIENCE_MS) {
        struct policy_input policy;
        describe(node, &policy);
        uint64_t target = policy_best_known(&policy);
        if (target != 0) {
            hand_over(node, target, CONSENSUS_CAUSE_DRAIN, decision.text);
        }
    }
}

/* ---- the record of leadership ---- */

static void record_leadership(struct node *node)
{
    struct command command = {.type = COMMAND_LEADER_RECORD, .reason = REASON_LEADER_CHANGED};
    command.leader.term = node->view.term;
    command.leader.cause = node->view.cause;
    command.leader.proof = LEADER_PROOF_NONE;
    (void)snprintf(command.leader.node, sizeof command.leader.node, "m%" PRIu64, node->id);
    if (duties_propose(node, &command, 0)) {
        node->peers->recorded_term = node->view.term;
    }
}

void leading_applied(struct node *node, const struct state_effect *effect)
{
    const struct state_leader *record = state_history_at(machine_state(node->machine), 0);
    if (effect->type != COMMAND_LEADER_RECORD || effect->outcome != STATE_APPLIED ||
        node->peers == NULL || record == NULL) {
        return;
    }
    int64_t age_ms = (node_now_ms(node) - node->peers->started_ms) * node->world->options.wall_rate;
    bool in_this_life = record->wall_ms >= node_wall_ms(node) - age_ms;
    bool counts =
        record->is.cause == CONSENSUS_CAUSE_HEALTH || record->is.cause == CONSENSUS_CAUSE_GRAY;
    if (in_this_life && counts) {
        policy_note_move(&node->peers->policy, node_now_ms(node));
    }
}

/* ---- all of it ---- */

void leading_run(struct node *node)
{
    struct peers *self = node->peers;
    uint64_t life = node->life;
    int64_t now = node_now_ms(node);
    if (!node_may_act(node)) {
        return;
    }
    if (self->recorded_term != node->view.term) {
        record_leadership(node);
    }
    if (node->life == life && now >= self->policy_at_ms) {
        self->policy_at_ms = now + POLICY_PERIOD_MS;
        run_policy(node);
    }
    if (node->life == life && now >= self->roles_at_ms && node_may_act(node)) {
        self->roles_at_ms = now + ROLES_PERIOD_MS;
        run_roles(node);
    }
}

int64_t leading_deadline_ms(const struct node *node)
{
    const struct peers *self = node->peers;
    if (node->world->options.manage == 0 || !node_may_act(node)) {
        return INT64_MAX;
    }
    return self->policy_at_ms < self->roles_at_ms ? self->policy_at_ms : self->roles_at_ms;
}

/* ---- after the faults ---- */

static enum consensus_role role_in(const struct node *leader, uint64_t id, bool *ret_found)
{
    *ret_found = false;
    for (size_t i = 0; i < leader->view.server_count; i++) {
        if (leader->view.servers[i].id == id) {
            *ret_found = true;
            return leader->view.servers[i].role;
        }
    }
    return CONSENSUS_SPARE;
}

/* The roles have nothing left to do: what they decide now is what they want. */
static bool roles_rest(struct node *leader, char *ret_why, size_t size)
{
    struct roles_config config = roles_config(&leader->world->options);
    struct roles_input input;
    struct roles_decision decision;
    fill_roles(leader, &input);
    if (input.changing) {
        (void)snprintf(ret_why, size, "a change of roles is under way");
        return false;
    }
    roles_decide(&config, &input, &decision);
    if (decision.action != ROLES_NONE) {
        (void)snprintf(ret_why, size, "roles are not settled: %s", decision.text);
        return false;
    }
    return true;
}

/* Independently of what roles_decide() says: a dead voter stays only when nobody can replace it. */
static bool voters_live(const struct world *world, const struct node *leader, char *ret_why,
                        size_t size)
{
    const struct node *dead = NULL;
    const struct node *free_node = NULL;
    for (int i = 0; i < world->node_count; i++) {
        const struct node *node = &world->nodes[i];
        const struct state_node *row = row_of(leader, node->id);
        bool member = false;
        enum consensus_role role = role_in(leader, node->id, &member);
        if (!member || row == NULL || row->removed) {
            continue;
        }
        bool votes = role == CONSENSUS_VOTER;
        bool may_vote = !row->draining && row->is.wanted != NODE_ROLE_STANDBY &&
                        row->is.wanted != NODE_ROLE_SPARE;
        dead = votes && !node->alive ? node : dead;
        free_node = !votes && node->alive && may_vote ? node : free_node;
    }
    if (dead != NULL && free_node != NULL) {
        (void)snprintf(ret_why, size, "n%d votes and is dead, while n%d could", dead->index,
                       free_node->index);
        return false;
    }
    return true;
}

bool leading_settled(struct world *world, struct node *leader, char *ret_why, size_t size)
{
    if (!roles_rest(leader, ret_why, size) || !voters_live(world, leader, ret_why, size)) {
        return false;
    }
    if (leading_drains(leader, leader)) {
        struct policy_input input;
        describe(leader, &input);
        if (policy_best_known(&input) != 0) {
            (void)snprintf(ret_why, size, "n%d leads and drains", leader->index);
            return false;
        }
    }
    return true;
}
