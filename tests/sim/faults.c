#include "tests/sim/faults.h"

#include "tests/sim/calls.h"
#include "tests/sim/dispatch.h"
#include "tests/sim/fault_steps.h"
#include "tests/sim/inside.h"
#include "tests/sim/node.h"
#include "tests/sim/operator.h"
#include "tests/sim/outside.h"
#include "tests/sim/peers.h"
#include "tests/sim/ticking.h"
#include "tests/sim/world.h"

#include <inttypes.h>

static struct node *any_node(struct world *world)
{
    return &world->nodes[world_between(world, 0, world->node_count - 1)];
}

/* A node that leads in its own view, or NULL. */
static struct node *any_leader(struct world *world)
{
    int first = any_node(world)->index;
    for (int i = 0; i < world->node_count; i++) {
        struct node *node = &world->nodes[(first + i) % world->node_count];
        if (node_leads(node)) {
            return node;
        }
    }
    return NULL;
}

/* ---- the kinds ---- */

static void crash(struct world *world)
{
    node_crash(any_node(world), world_percent(world, world->options.host));
}

static void crash_point(struct world *world)
{
    struct node *node = any_node(world);
    if (node_runs(node)) {
        bool after = world_percent(world, 50);
        bool torn = world_percent(world, world->options.torn);
        storage_arm(node->storage,
                    torn    ? STORAGE_CRASH_WITHIN
                    : after ? STORAGE_CRASH_AFTER
                            : STORAGE_CRASH_BEFORE,
                    (int)world_between(world, 1, 6));
    }
}

static void storage_error(struct world *world)
{
    struct node *node = any_node(world);
    if (node_runs(node)) {
        storage_arm(node->storage, STORAGE_ERROR, (int)world_between(world, 1, 6));
    }
}

static void freeze(struct world *world)
{
    int64_t most = world_percent(world, 50) ? 550 : 3000;
    world->verdict->stats.freezes++;
    node_freeze(any_node(world), world_between(world, 50, most), world_percent(world, 50));
}

/* Longer than every timeout. */
static void long_freeze(struct world *world)
{
    world->verdict->stats.freezes++;
    node_freeze(any_node(world), world_between(world, 3000, 30000), world_percent(world, 50));
}

static void partition(struct world *world)
{
    world->verdict->stats.cuts++;
    if (world_percent(world, 33)) {
        int victim = any_node(world)->index;
        network_isolate(world, victim);
        TRACE(world, "n%d isolated", victim);
        return;
    }
    int from = any_node(world)->index;
    int to = any_node(world)->index;
    bool both = world_percent(world, 50);
    network_cut(world, from, to);
    if (both) {
        network_cut(world, to, from);
    }
    TRACE(world, "link n%d -> n%d cut%s", from, to, both ? " both ways" : "");
}

static void join(struct world *world)
{
    network_join_all(world);
    TRACE(world, "links up");
}

static void false_evidence(struct world *world)
{
    const struct node *leader = any_leader(world);
    if (leader == NULL) {
        return;
    }
    world->verdict->stats.false_evidence++;
    TRACE(world, "false evidence about n%d", leader->index);
    for (int i = 0; i < world->node_count; i++) {
        struct node *node = &world->nodes[i];
        if (i != leader->index && node_runs(node) && world_percent(world, 75)) {
            node->false_refusal[leader->index] = true;
            world_schedule(world, world->now_us + world_between(world, 0, 5000), EVENT_LINK_LOST, i,
                           leader->index);
            world_schedule(world, world->now_us + world_between(world, 50000, 500000),
                           EVENT_LINK_UP, i, leader->index);
        }
    }
}

static void transfer(struct world *world)
{
    struct node *leader = any_leader(world);
    if (leader != NULL) {
        world->verdict->stats.transfers++;
        uint64_t target = world_percent(world, 50) ? 0 : any_node(world)->id;
        (void)node_hand_over(leader, target == leader->id ? 0 : target, CONSENSUS_CAUSE_TRANSFER);
    }
}

/* A leader that may not act yet is disturbed. */
static void bounce(struct world *world)
{
    struct node *leader = any_leader(world);
    if (leader == NULL || !leader->view.ready || leader->managers.term == leader->view.term) {
        return;
    }
    if (world_percent(world, 50)) {
        node_crash(leader, world_percent(world, world->options.host));
    } else {
        (void)node_hand_over(leader, 0, CONSENSUS_CAUSE_TRANSFER);
    }
}

static size_t count_voters(const struct consensus_view *view)
{
    size_t voters = 0;
    for (size_t i = 0; i < view->server_count; i++) {
        voters += view->servers[i].role == CONSENSUS_VOTER;
    }
    return voters;
}

static const struct consensus_server *find_server(const struct consensus_view *view, uint64_t id)
{
    for (size_t i = 0; i < view->server_count; i++) {
        if (view->servers[i].id == id) {
            return &view->servers[i];
        }
    }
    return NULL;
}

/* The leader adds a node that its configuration lacks, if the first that comes up is one. */
static bool add_missing(struct world *world, struct node *leader)
{
    const struct node *node = any_node(world);
    if (find_server(&leader->view, node->id) != NULL ||
        node_change(leader, CONSENSUS_ADD, node->id, CONSENSUS_SPARE) != 0) {
        return false;
    }
    world->verdict->stats.changes++;
    TRACE(world, "n%d adds %" PRIu64, leader->index, node->id);
    return true;
}

static void change_role(struct world *world)
{
    struct node *leader = any_leader(world);
    if (leader == NULL || leader->view.server_count == 0 || add_missing(world, leader)) {
        return;
    }
    size_t which = (size_t)world_between(world, 0, (int64_t)leader->view.server_count - 1);
    const struct consensus_server server = leader->view.servers[which];
    enum consensus_role role = (enum consensus_role)world_between(world, 0, 2);
    bool demotes = server.role == CONSENSUS_VOTER && role != CONSENSUS_VOTER;
    if (role == server.role || (demotes && count_voters(&leader->view) <= 3)) {
        return;
    }
    if (node_change(leader, CONSENSUS_ASSIGN, server.id, role) == 0) {
        world->verdict->stats.changes++;
        TRACE(world, "n%d changes the role of %" PRIu64 " to %d", leader->index, server.id,
              (int)role);
    }
}

/* Add who is missing, else remove somebody whose vote can be spared. */
static void change_members(struct world *world)
{
    struct node *leader = any_leader(world);
    if (leader == NULL || leader->view.server_count == 0) {
        return;
    }
    if (add_missing(world, leader)) {
        return;
    }
    struct node *node = any_node(world);
    const struct consensus_server *server = find_server(&leader->view, node->id);
    if (server == NULL) {
        return;
    }
    if (server->role == CONSENSUS_VOTER && count_voters(&leader->view) <= 3) {
        return;
    }
    if (server->role == CONSENSUS_SPARE && world_percent(world, 60)) {
        if (node_change(leader, CONSENSUS_ASSIGN, node->id, CONSENSUS_VOTER) == 0) {
            world->verdict->stats.changes++;
        }
        return;
    }
    if (node_change(leader, CONSENSUS_REMOVE, node->id, CONSENSUS_SPARE) == 0) {
        world->verdict->stats.changes++;
        TRACE(world, "n%d removes %" PRIu64, leader->index, node->id);
    }
}

/* A node whose removal is committed ends, and comes back from nothing with a new id. */
static void rejoin(struct world *world)
{
    struct node *leader = any_leader(world);
    struct node *node = any_node(world);
    if (leader == NULL || !leader->view.acting || leader->view.configuration_changing ||
        node == leader || world->next_id >= SIM_IDS_MAX ||
        find_server(&leader->view, node->id) != NULL || storage_last_index(node->storage) == 0) {
        return; /* it is a member, or was none yet */
    }
    node_crash(node, true);
    node_renew_identity(node);
    TRACE(world, "n%d comes back as %" PRIu64, node->index, node->id);
}

static void propose(struct world *world)
{
    for (int i = 0; i < world->node_count; i++) {
        if (node_leads(&world->nodes[i])) {
            duties_propose_note(&world->nodes[i]);
        }
    }
}

static void move_duty(struct world *world)
{
    struct node *leader = any_leader(world);
    if (world->options.manage != 0) {
        operator_move(world);
    } else if (leader != NULL && world->options.duties > 0) {
        duties_want_move(leader);
    }
}

static void turn(struct world *world)
{
    struct node *leader = any_leader(world);
    if (leader != NULL && world->options.duties > 1) {
        duties_want_side(leader);
    }
}

static void give_up(struct world *world)
{
    struct node *node = any_node(world);
    if (node_runs(node) && world->options.duties > 0) {
        duties_give_up(node);
    }
}

static void adapt(struct world *world)
{
    struct node *node = any_node(world);
    if (node_runs(node)) {
        int64_t most = world_percent(world, 50) ? 1 : 3;
        node_set_election_timeout(
            node, world_between(world, world->options.election, world->options.election * most));
    }
}

static void reload(struct world *world)
{
    struct node *node = any_node(world);
    if (node_runs(node) && !calls_busy(node)) {
        TRACE(world, "n%d shall reload", node->index);
        inside_want_reload(node->engine);
        node_timer(node);
    }
}

/* ---- the plan ---- */

struct fault {
    const char *name; /* in schedules */
    void (*happen)(struct world *world);
    int64_t mean_ms;
    bool always; /* goes on after the healing */
};

#define FAULT_KINDS 35

static struct fault fault_of(const struct world *world, int kind)
{
    const struct options *o = &world->options;
    bool with_schedules = o->schedules > 0;
    const struct fault faults[FAULT_KINDS] = {
        {"crash", crash, o->crash, false},
        {"crash_point", crash_point, o->crash_point, false},
        {"storage_error", storage_error, o->storage_error, false},
        {"freeze", freeze, o->freeze, false},
        {"partition", partition, o->partition, false},
        {"join", join, o->partition / 2, false},
        {"false_evidence", false_evidence, o->false_evidence, false},
        {"transfer", transfer, o->transfer, false},
        {"bounce", bounce, o->bounce, false},
        {"change_role", change_role, o->roles, false},
        {"change_members", change_members, o->members, false},
        {"rejoin", rejoin, o->members + o->remove, false},
        {"propose", propose, o->propose, true},
        {"move_duty", move_duty, o->move, false},
        {"give_up", give_up, o->release, false},
        {"adapt", adapt, o->adapt, false},
        {"reload", reload, o->reload, false},
        {"slow_disk", disk_fault_slow, o->slow_disk, false},
        {"stuck_disk", disk_fault_stuck, o->stuck_disk, false},
        {"failing_disk", disk_fault_fails, o->failing_disk, false},
        {"long_freeze", long_freeze, o->long_freeze, false},
        {"flap", fault_steps_flap, o->flap, false},
        {"moving_cut", fault_steps_moving_cut, o->moving_cut, false},
        {"crash_loop", fault_steps_crash_loop, o->crash_loop, false},
        {"swing", operator_swing, o->swing, false},
        {"drain", operator_drain, o->drain, false},
        {"wish", operator_wish, o->wish, false},
        {"remove", operator_remove, o->remove, false},
        {"wall", operator_wall, o->wall, false},
        {"redefine", ticking_redefine, with_schedules ? o->redefine : 0, false},
        {"meddle", ticking_meddle, with_schedules ? o->meddle : 0, false},
        {"errand", outside_new_errand, o->intents != 0 ? o->errand : 0, false},
        {"decision", outside_decide, o->intents != 0 ? o->decision : 0, false},
        {"manager_crash", dispatch_crash, o->intents != 0 ? o->manager_crash : 0, false},
        {"turn", turn, o->groups != 0 ? o->turn : 0, false},
    };
    return faults[kind];
}

static void plan(struct world *world, int kind)
{
    struct fault fault = fault_of(world, kind);
    if (world->faults || fault.always) {
        schedule_plan(world, kind, fault.name, fault.mean_ms);
    }
}

void faults_happen(struct world *world, int kind)
{
    struct fault fault = fault_of(world, kind);
    schedule_begin_fault(world, kind, fault.name);
    if (world->faults || fault.always) {
        fault.happen(world);
    }
    schedule_end_fault(world);
    plan(world, kind);
}

const char *faults_name(int kind)
{
    static const struct world nowhere;
    return kind >= 0 && kind < FAULT_KINDS ? fault_of(&nowhere, kind).name : NULL;
}

void faults_begin(struct world *world)
{
    for (int i = 0; i < world->node_count; i++) {
        node_start(&world->nodes[i]);
    }
    bool replays = schedule_plan_replay(world);
    for (int kind = 0; kind < FAULT_KINDS && !replays; kind++) {
        plan(world, kind);
    }
    int64_t heal_ms = world->options.duration - world->options.calm;
    world_schedule(world, heal_ms * 1000, EVENT_HEAL, SIM_NONE, 0);
}

/* One node may stay dead when the others are enough: gossip must know it, and no configuration that
 * was under way may need it. Its index, or SIM_NONE. */
static int choose_dead(struct world *world)
{
    const struct options *options = &world->options;
    bool enough = options->nodes >= 3 && options->members == 0 && options->remove == 0;
    return enough && world_percent(world, 25) ? any_node(world)->index : SIM_NONE;
}

static void heal_node(struct world *world, struct node *node, bool stays_down)
{
    storage_arm(node->storage, STORAGE_NO_FAULT, 0);
    disk_heal(node);
    calls_disk_heals(node);
    if (stays_down) {
        node_crash(node, false);
        node->stays_down = true;
        return;
    }
    if (node->alive && node->frozen_until_us != 0) {
        node->frozen_until_us = world->now_us;
        world_schedule(world, world->now_us, EVENT_THAW, node->index, node->frozen_until_us);
    }
    if (!node->alive) {
        world_schedule(world, world->now_us + 1000, EVENT_RESTART, node->index, 0);
    } else {
        node_set_election_timeout(node, world->options.election);
    }
}

void faults_heal(struct world *world)
{
    TRACE(world, "--- healed");
    world->faults = false;
    network_join_all(world);
    struct options *options = &world->options;
    options->delay = options->delay > 40 ? 40 : options->delay;
    options->loss = 0;
    options->duplicate = 0;
    options->tail_percent = 0;
    options->late = 0;
    ticking_heal(world);
    int dead = choose_dead(world);
    for (int i = 0; i < world->node_count; i++) {
        heal_node(world, &world->nodes[i], i == dead);
    }
}
