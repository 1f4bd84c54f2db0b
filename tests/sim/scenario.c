#include "tests/sim/scenario.h"

#include "node/base/invariant.h"
#include "tests/sim/check.h"
#include "tests/sim/faults.h"
#include "tests/sim/machine.h"
#include "tests/sim/node.h"
#include "tests/sim/peers.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define SETTLE_MS 20000
#define RECOVER_MS 10000

static bool fits(const struct steer *steer, const struct world *world,
                 const struct message *message, const struct inside_message *inside)
{
    bool way = (steer->from == ANY || steer->from == world_index_of_id(world, message->from)) &&
               (steer->to == ANY || steer->to == world_index_of_id(world, message->to));
    bool vote = steer->pre_vote == ANY || steer->pre_vote == (inside->pre_vote ? 1 : 0);
    bool entries = steer->entries == ANY || steer->entries == (inside->entries > 0 ? 1 : 0);
    bool previous = steer->previous == ANY || (uint64_t)steer->previous == inside->previous;
    return steer->on && previous && way && steer->type == inside->type && vote && entries;
}

static int64_t route(struct world *world, const struct message *message, void *context)
{
    struct stage *stage = context;
    struct inside_message inside;
    if (message->kind != MESSAGE_RAFT ||
        !inside_read(message->bytes, message->length, message->from, &inside)) {
        return ROUTE_DEFAULT;
    }
    for (size_t i = 0; i < stage->steer_count; i++) {
        struct steer *steer = &stage->steers[i];
        if (fits(steer, world, message, &inside)) {
            steer->hits++;
            return steer->action;
        }
    }
    return ROUTE_DEFAULT;
}

void stage_broken(struct stage *stage, const char *why)
{
    check_failed(stage->world, "SCRIPT", "%s", why);
}

static bool all_follow(struct world *world, void *context)
{
    (void)context;
    char why[200];
    return check_recovered(world, why, sizeof why);
}

struct stage *stage_open(const struct options *options, uint64_t seed, struct verdict *verdict,
                         bool tracing, int64_t nodes, int leader)
{
    struct stage *stage = calloc(1, sizeof *stage);
    invariant(stage != NULL);
    struct options steered = *options;
    steered.nodes = nodes;
    stage->world = world_create(&steered, seed, verdict, tracing);
    stage->world->route = route;
    stage->world->route_context = stage;
    for (int i = 0; i < stage->world->node_count; i++) {
        node_start(&stage->world->nodes[i]);
    }
    struct node_wanted wanted = {.node = leader};
    for (int tries = 0; tries < 10; tries++) {
        if (!stage_wait_until(stage, SETTLE_MS, all_follow, NULL)) {
            stage_broken(stage, "the cluster did not settle");
        }
        if (wanted_acts(stage->world, &wanted)) {
            stage_wait(stage, 500);
            return stage;
        }
        for (int i = 0; i < stage->world->node_count; i++) {
            struct node *node = &stage->world->nodes[i];
            if (node_leads(node)) {
                (void)node_hand_over(node, stage->world->nodes[leader].id,
                                     CONSENSUS_CAUSE_TRANSFER);
            }
        }
        (void)stage_wait_until(stage, 2000, wanted_acts, &wanted);
    }
    stage_broken(stage, "the wanted leader did not come");
}

void stage_close(struct stage *stage)
{
    struct world *world = stage->world;
    stage->steer_count = 0;
    network_forget(world);
    network_join_all(world);
    for (int i = 0; i < world->node_count; i++) {
        struct node *node = &world->nodes[i];
        if (!node->alive) {
            node_start(node);
        } else if (!node_runs(node)) {
            node_thaw(node);
        }
    }
    TRACE(world, "--- the script is over");
    if (!stage_wait_until(stage, RECOVER_MS, all_follow, NULL)) {
        char why[200] = "";
        (void)check_recovered(world, why, sizeof why);
        check_failed(world, "L1", "%d ms after the script %s", RECOVER_MS, why);
    }
    stage_wait(stage, 2000);
    world_destroy(&stage->world);
    free(stage);
}

struct steer *stage_steer(struct stage *stage, struct steer steer)
{
    invariant(stage->steer_count < STEERS_MAX);
    struct steer *added = &stage->steers[stage->steer_count++];
    *added = steer;
    added->on = true;
    return added;
}

void stage_wait(struct stage *stage, int64_t ms)
{
    world_run(stage->world, stage->world->now_us + ms * 1000);
}

bool stage_wait_until(struct stage *stage, int64_t ms, condition_function *condition, void *context)
{
    return world_run_until(stage->world, stage->world->now_us + ms * 1000, condition, context);
}

void stage_cut(struct stage *stage, int one, int other)
{
    network_cut(stage->world, one, other);
    network_cut(stage->world, other, one);
}

void stage_join(struct stage *stage, int one, int other)
{
    stage->world->up[one][other] = true;
    stage->world->up[other][one] = true;
}

struct node *stage_node(struct stage *stage, int index)
{
    return &stage->world->nodes[index];
}

void stage_set_rate(struct stage *stage, int index, int64_t ppm)
{
    struct node *node = stage_node(stage, index);
    int64_t passed = stage->world->now_us - node->boot_true_us;
    node->boot_local_us += passed + passed * node->rate_ppm / 1000000;
    node->boot_true_us = stage->world->now_us;
    node->rate_ppm = ppm;
}

void stage_set_forward(struct stage *stage, int index, int64_t ms)
{
    stage_node(stage, index)->boot_local_us += ms * 1000;
}

struct message *stage_take_held(struct stage *stage, int from, int to)
{
    struct world *world = stage->world;
    struct message **link = &world->held;
    while (*link != NULL && (world_index_of_id(world, (*link)->from) != from ||
                             world_index_of_id(world, (*link)->to) != to)) {
        link = &(*link)->next;
    }
    struct message *message = *link;
    if (message != NULL) {
        *link = message->next;
        message->next = NULL;
    }
    return message;
}

void stage_deliver(struct stage *stage, struct message *message)
{
    struct world *world = stage->world;
    world_schedule_message(world, world->now_us, EVENT_DELIVER,
                           world_index_of_id(world, message->to), message);
}

void stage_propose(struct stage *stage, int leader, int count, int64_t each_ms)
{
    for (int i = 0; i < count; i++) {
        duties_propose_note(stage_node(stage, leader));
        stage_wait(stage, each_ms);
    }
}

struct steer stage_way(int from, int to, enum inside_type type, int64_t action)
{
    return (struct steer){.from = from,
                          .to = to,
                          .type = type,
                          .pre_vote = ANY,
                          .entries = ANY,
                          .previous = ANY,
                          .action = action};
}

/* ---- conditions ---- */

bool wanted_acts(struct world *world, void *context)
{
    const struct node_wanted *wanted = context;
    const struct node *node = &world->nodes[wanted->node];
    return node->view.acting && node_acts(node) && node->view.term >= wanted->at_least;
}

bool wanted_leads(struct world *world, void *context)
{
    const struct node_wanted *wanted = context;
    const struct node *node = &world->nodes[wanted->node];
    return node_leads(node) && node->view.term >= wanted->at_least;
}

bool wanted_follows_nobody(struct world *world, void *context)
{
    const struct node_wanted *wanted = context;
    const struct node *node = &world->nodes[wanted->node];
    return node_runs(node) && !node_leads(node) && node->view.leader == 0;
}

bool wanted_held(struct world *world, void *context)
{
    const struct node_wanted *wanted = context;
    return network_held(world) >= wanted->at_least;
}

bool wanted_applied(struct world *world, void *context)
{
    const struct node_wanted *wanted = context;
    const struct node *node = &world->nodes[wanted->node];
    return node->alive && machine_position(node->machine) >= wanted->at_least;
}

bool wanted_any_leader_but(struct world *world, void *context)
{
    struct node_wanted *wanted = context;
    for (int i = 0; i < world->node_count; i++) {
        const struct node *node = &world->nodes[i];
        if (i != wanted->node && node_leads(node) && node->view.term >= wanted->at_least) {
            return true;
        }
    }
    return false;
}
