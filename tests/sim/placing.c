#include "tests/sim/placing.h"

#include "consensus/placement.h"
#include "node/base/invariant.h"
#include "tests/sim/leading.h"
#include "tests/sim/machine.h"
#include "tests/sim/node.h"
#include "tests/sim/peers.h"
#include "tests/sim/timetable.h"
#include "tests/sim/world.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define MANAGER "sim"
#define PLACED_MAX (SIM_DUTIES_MAX + 64) /* duties and attempts of runs */

struct placement_work {
    size_t node_count;
    struct placement_node nodes[NODES_MAX];
    size_t duty_count;
    struct placement_duty duties[PLACED_MAX];
    int number[PLACED_MAX]; /* the duty's, as the simulator counts */
    struct placement_target targets[PLACEMENT_MOVES_MAX];
};

void placing_start(struct node *node)
{
    struct placement_config config = placement_config_default;
    config.hold_ms = node->world->options.policy_hold;
    config.dwell_ms = node->world->options.policy_tenure;
    config.patience_ms = node->world->options.policy_pause;
    config.off = node->world->options.placement_off;
    node->peers->placing = placement_create(&config);
    invariant(node->peers->placing != NULL);
}

/* ---- what placement sees ---- */

static bool gets_log(const struct node *node, uint64_t id)
{
    for (size_t i = 0; i < node->view.server_count; i++) {
        if (node->view.servers[i].id == id) {
            return node->view.servers[i].role != CONSENSUS_SPARE;
        }
    }
    return false;
}

static struct placement_node describe_node(const struct node *node, const struct state_node *row)
{
    struct placement_node ret = {.raft_id = row->is.raft_id,
                                 .draining = row->draining,
                                 .witness = row->is.wanted == NODE_ROLE_WITNESS ||
                                            !gets_log(node, row->is.raft_id)};
    (void)snprintf(ret.name, sizeof ret.name, "%s", row->is.name);
    struct gossip_member member;
    if (!rumour_member(node, row->is.raft_id, &member)) {
        return ret;
    }
    ret.incarnation = member.incarnation >> GOSSIP_REFUTATION_BITS;
    ret.alive = member.state == GOSSIP_ALIVE || member.state == GOSSIP_SUSPECT;
    ret.score_known = member.has_health && member.score_tenths != GOSSIP_UNKNOWN;
    ret.score = member.score_tenths / 10.0;
    struct placement_manager *manager = &ret.managers[ret.manager_count++];
    (void)snprintf(manager->name, sizeof manager->name, MANAGER);
    manager->percent = rumour_capabilities(node, row->is.raft_id) > 0 ? 100 : 0;
    if (node->world->timetable != NULL) { /* who can do the one can do the other */
        struct placement_manager *runs = &ret.managers[ret.manager_count++];
        (void)snprintf(runs->name, sizeof runs->name, TIMETABLE_MANAGER);
        runs->percent = manager->percent;
    }
    return ret;
}

static struct placement_duty describe_duty(const struct node *node, const struct state_duty *row,
                                           int duty)
{
    struct placement_duty ret = {.wanted = row->is.wanted,
                                 .priority = row->is.priority,
                                 .raft_id = row->assignment.raft_id,
                                 .incarnation = row->assignment.incarnation};
    (void)snprintf(ret.id, sizeof ret.id, "%s", row->is.id);
    (void)snprintf(ret.manager, sizeof ret.manager, "%s", row->manager);
    enum release_proof proof;
    ret.assigned =
        state_duty_held(row) && !grants_leader_released(node->peers->leader, row, &proof);
    ret.bound = ret.assigned && !grants_leader_may_assign(node->peers->leader, node_now_ms(node),
                                                          node_may_act(node), row, 0, 0, NULL);
    ret.barred = state_duty_barred_by(machine_state(node->machine), row) != NULL;
    ret.rests = ret.barred;
    char key[SETTING_KEY_SIZE];
    placement_move_key(ret.id, key);
    ret.leaving = state_setting(machine_state(node->machine), key) != NULL;
    (void)snprintf(ret.group, sizeof ret.group, "sim/g%d", duty % 2);
    ret.avoid[ret.avoid_count++] = node->world->nodes[duty % node->world->node_count].id;
    return ret;
}

static struct placement_duty describe_attempt(const struct node *node, const struct state_duty *row)
{
    struct placement_duty ret = {.wanted = row->is.wanted,
                                 .once = true,
                                 .spent = row->assignment.number != 0,
                                 .priority = row->is.priority,
                                 .raft_id = row->assignment.raft_id,
                                 .incarnation = row->assignment.incarnation};
    (void)snprintf(ret.id, sizeof ret.id, "%s", row->is.id);
    (void)snprintf(ret.manager, sizeof ret.manager, "%s", row->manager);
    enum release_proof proof;
    ret.assigned =
        state_duty_held(row) && !grants_leader_released(node->peers->leader, row, &proof);
    ret.rests = !runs_may_place(machine_state(node->machine), row->is.id, node_wall_ms(node));
    return ret;
}

static void fill_attempts(const struct node *node, struct placement_work *work)
{
    const struct state *state = machine_state(node->machine);
    for (size_t i = 0; i < state_run_count(state) && work->duty_count < PLACED_MAX; i++) {
        const struct state_run *run = state_run_at(state, i);
        char id[DUTY_ID_SIZE];
        run_duty_id(&run->key, run->attempt, id);
        const struct state_duty *row = state_duty_by_id(state, id);
        if (row != NULL) {
            work->number[work->duty_count] = duties_subject(id);
            work->duties[work->duty_count++] = describe_attempt(node, row);
        }
    }
}

static void fill_nodes(const struct node *node, struct placement_work *work)
{
    const struct state *state = machine_state(node->machine);
    work->node_count = 0;
    for (size_t i = 0; i < state_node_count(state) && work->node_count < NODES_MAX; i++) {
        const struct state_node *row = state_node_at(state, i);
        if (!row->removed) {
            work->nodes[work->node_count++] = describe_node(node, row);
        }
    }
}

static void fill_duties(const struct node *node, struct placement_work *work)
{
    work->duty_count = 0;
    for (int duty = 0; duty < (int)node->world->options.duties; duty++) {
        char id[DUTY_ID_SIZE];
        duties_name(duty, id);
        const struct state_duty *row = state_duty_by_id(machine_state(node->machine), id);
        if (row != NULL) {
            work->number[work->duty_count] = duty;
            work->duties[work->duty_count++] = describe_duty(node, row, duty);
        }
    }
    fill_attempts(node, work);
}

/* ---- the leader ---- */

static enum placement_move move_step(const struct node *node, const struct placement_work *work,
                                     const struct placement_duty *duty, size_t *ret_node)
{
    char key[SETTING_KEY_SIZE];
    placement_move_key(duty->id, key);
    return placement_move_step(work->nodes, work->node_count, duty,
                               state_setting(machine_state(node->machine), key), ret_node);
}

static void forget_move(struct node *node, const char *id, int duty)
{
    struct command command = {.type = COMMAND_SETTING_PUT, .reason = REASON_OPERATOR};
    placement_move_key(id, command.setting.key);
    command.setting.remove = true;
    (void)duties_propose(node, &command, duty);
}

static void assign(struct node *node, const struct state_duty *row, int duty,
                   const struct placement_node *target, enum placement_reason reason)
{
    struct command command = {.type = COMMAND_DUTY_ASSIGN, .reason = REASON_DUTY_UNASSIGNED};
    struct command_assign *assign = &command.assign;
    (void)snprintf(assign->id, sizeof assign->id, "%s", row->is.id);
    (void)snprintf(assign->node, sizeof assign->node, "%s", target->name);
    assign->replaces = row->assignment.number;
    assign->raft_id = target->raft_id;
    assign->incarnation = target->incarnation;
    assign->grant_ttl_ms = node->world->options.grant;
    TRACE(node->world, "n%d assigns duty %d to %s/%" PRIu64 " (%s)", node->index, duty,
          target->name, target->incarnation, placement_reason_name(reason));
    if (duties_propose(node, &command, duty)) {
        node->world->verdict->stats.moves++;
    }
}

static void ask_to_let_go(struct node *node, const struct placement_work *work,
                          const struct placement_target *target)
{
    const char *duty = work->duties[target->duty].id;
    struct command command = {.type = COMMAND_SETTING_PUT, .reason = REASON_REBALANCE};
    placement_move_key(duty, command.setting.key);
    (void)snprintf(command.setting.value, sizeof command.setting.value, "%s",
                   target->node == PLACEMENT_NO_NODE ? PLACEMENT_NOWHERE
                                                     : work->nodes[target->node].name);
    TRACE(node->world, "n%d wants duty %d on %s (%s)", node->index, work->number[target->duty],
          command.setting.value, placement_reason_name(target->reason));
    uint64_t life = node->life;
    if (duties_propose(node, &command, work->number[target->duty]) && node->life == life) {
        placement_note(node->peers->placing, node_now_ms(node), duty, target);
        node->world->verdict->stats.rebalanced++;
    }
}

static bool may_assign(const struct node *node, const struct state_duty *row,
                       const struct placement_node *to)
{
    if (node->world->options.placement_off.held_is_not_free) {
        return node_may_act(node); /* it is free, so nobody is asked */
    }
    return grants_leader_may_assign(node->peers->leader, node_now_ms(node), node_may_act(node), row,
                                    to->raft_id, to->incarnation, NULL);
}

static void place(struct node *node, const struct placement_work *work,
                  const struct placement_target *target)
{
    const struct placement_duty *duty = &work->duties[target->duty];
    int number = work->number[target->duty];
    if (target->leave) {
        ask_to_let_go(node, work, target);
        return;
    }
    const struct state_duty *row = state_duty_by_id(machine_state(node->machine), duty->id);
    const struct placement_node *to = &work->nodes[target->node];
    size_t wanted = 0;
    enum placement_move step = move_step(node, work, duty, &wanted);
    if (step == PLACEMENT_MOVE_GO && !duty->assigned) {
        to = &work->nodes[wanted];
    }
    if (step == PLACEMENT_MOVE_DROP || row == NULL || to->incarnation == 0 ||
        grants_leader_moving(node->peers->leader, duty->id) || !may_assign(node, row, to)) {
        return;
    }
    uint64_t life = node->life;
    assign(node, row, number, to, target->reason);
    if (node->life == life && step == PLACEMENT_MOVE_GO && to == &work->nodes[wanted]) {
        forget_move(node, duty->id, number);
    }
}

static void settle_release(struct node *node, int duty)
{
    char id[DUTY_ID_SIZE];
    duties_name(duty, id);
    const struct state_duty *row = state_duty_by_id(machine_state(node->machine), id);
    enum release_proof proof;
    if (row != NULL && state_duty_held(row) && !grants_leader_moving(node->peers->leader, id) &&
        grants_leader_released(node->peers->leader, row, &proof)) {
        duties_commit_release(node, duty, row, proof);
    }
}

static void drop_vain_moves(struct node *node, const struct placement_work *work)
{
    uint64_t life = node->life;
    for (size_t i = 0; i < work->duty_count && node->life == life; i++) {
        size_t target;
        if (move_step(node, work, &work->duties[i], &target) == PLACEMENT_MOVE_DROP) {
            forget_move(node, work->duties[i].id, work->number[i]);
        }
    }
}

void placing_run(struct node *node)
{
    static struct placement_work work;
    uint64_t life = node->life;
    for (int duty = 0; duty < (int)node->world->options.duties && node->life == life; duty++) {
        settle_release(node, duty);
    }
    if (node->life != life || !node_may_act(node)) {
        return;
    }
    fill_nodes(node, &work);
    fill_duties(node, &work);
    drop_vain_moves(node, &work);
    if (node->life != life) {
        return;
    }
    if (node->peers->placing_term != node->view.term) {
        node->peers->placing_term = node->view.term;
        placement_forget(node->peers->placing);
    }
    const struct placement_world world = {.nodes = work.nodes,
                                          .node_count = work.node_count,
                                          .duties = work.duties,
                                          .duty_count = work.duty_count};
    size_t count = placement_decide(node->peers->placing, node_now_ms(node), &world, work.targets);
    for (size_t i = 0; i < count && node->life == life; i++) {
        place(node, &work, &work.targets[i]);
    }
}

/* ---- the holder ---- */

/* This node cannot do the work, and another one can. */
static bool incapable_here(const struct node *node)
{
    if (node->health.able) {
        return false;
    }
    for (int i = 0; i < node->world->node_count; i++) {
        const struct node *other = &node->world->nodes[i];
        struct gossip_member member;
        if (other != node && rumour_member(node, other->id, &member) &&
            member.state == GOSSIP_ALIVE && rumour_capabilities(node, other->id) > 0) {
            return true;
        }
    }
    return false;
}

static bool wants_elsewhere(const struct node *node, const char *duty)
{
    const struct state *state = machine_state(node->machine);
    char key[SETTING_KEY_SIZE];
    placement_move_key(duty, key);
    const char *target = state_setting(state, key);
    const struct state_node *own = state_node_by_id(state, node->id);
    return (own != NULL && (own->draining || own->removed)) ||
           (target != NULL && own != NULL && strcmp(target, own->is.name) != 0) ||
           incapable_here(node);
}

void placing_leave(struct node *node)
{
    struct peers *self = node->peers;
    for (int duty = 0; duty < (int)node->world->options.duties; duty++) {
        char id[DUTY_ID_SIZE];
        duties_name(duty, id);
        const struct grants_held *held = grants_holder_by_duty(self->holder, id);
        if (held == NULL || held->released || held->former || !wants_elsewhere(node, id)) {
            continue;
        }
        TRACE(node->world, "n%d gives duty %d up", node->index, duty);
        node->guards[duty] = (struct guard){0};
        (void)grants_holder_release(self->holder, id);
        self->release_at_ms = node_now_ms(node);
    }
}

/* ---- after the faults ---- */

static bool could_take(const struct placement_node *node)
{
    return node->alive && !node->draining && !node->witness && node->managers[0].percent > 0;
}

bool placing_moves(const struct world *world)
{
    for (int i = 0; i < world->node_count; i++) {
        const struct node *node = &world->nodes[i];
        for (int duty = 0; node->alive && duty < (int)world->options.duties; duty++) {
            char id[DUTY_ID_SIZE];
            char key[SETTING_KEY_SIZE];
            duties_name(duty, id);
            placement_move_key(id, key);
            if (state_setting(machine_state(node->machine), key) != NULL) {
                return true;
            }
        }
    }
    return false;
}

bool placing_impossible(struct node *leader)
{
    static struct placement_work work;
    fill_nodes(leader, &work);
    for (size_t i = 0; i < work.node_count; i++) {
        if (could_take(&work.nodes[i])) {
            return false;
        }
    }
    return true;
}

bool placing_settled(struct node *leader, const struct node *holder, char *ret_why, size_t size)
{
    bool ought_not = leading_drains(leader, holder) || !holder->health.able;
    if (ought_not && !placing_impossible(leader)) {
        (void)snprintf(ret_why, size, "n%d runs a duty and %s", holder->index,
                       holder->health.able ? "drains" : "cannot do the work");
        return false;
    }
    return true;
}
