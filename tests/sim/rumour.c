/* Gossip within a node. */
#include "node/base/invariant.h"
#include "tests/sim/check.h"
#include "tests/sim/node.h"
#include "tests/sim/peers.h"
#include "tests/sim/world.h"

#include <stdio.h>
#include <stdlib.h>

static const char *name_of(int index)
{
    static const char *const names[SIM_NODES_MAX] = {"n0", "n1", "n2", "n3",
                                                     "n4", "n5", "n6", "n7"};
    return names[index];
}

static int index_of_name(const struct world *world, const char *name)
{
    int index = (int)strtol(name + 1, NULL, 10);
    return index >= 0 && index < world->node_count ? index : SIM_NONE;
}

static void tell_health(struct node *node)
{
    static struct gossip_health health;
    struct err err = {0};
    gossip_health_init(&health);
    health.score_tenths = node->health.score_tenths;
    health.load_hundredths = 10;
    health.flags = GOSSIP_FLAG_LEADER_CAPABLE;
    if (node->world->options.manage != 0) {
        struct gossip_capability *capability = &health.capabilities[health.capability_count++];
        (void)snprintf(capability->manager, sizeof capability->manager, "sim");
        capability->percent = node->health.able ? 100 : 0;
    }
    int code = gossip_set_health(node->peers->gossip, node_now_ms(node), &health, &err);
    invariant(code == 0);
    node->health.changed = false;
    node->peers->gossip_touched = true;
}

void rumour_start(struct node *node)
{
    struct world *world = node->world;
    struct gossip_seed seeds[SIM_NODES_MAX];
    for (int i = 0; i < world->node_count; i++) {
        (void)snprintf(seeds[i].name, sizeof seeds[i].name, "%s", name_of(i));
        (void)snprintf(seeds[i].address, sizeof seeds[i].address, "tcp://n%d:7400", i);
    }
    struct gossip_config config = {0};
    struct err err = {0};
    static const char *const profiles[] = {"local", "lan", "wan"};
    int code = gossip_config_profile(&config, profiles[world->options.gossip_profile % 3], &err);
    invariant(code == 0);
    (void)snprintf(config.name, sizeof config.name, "%s", name_of(node->index));
    (void)snprintf(config.address, sizeof config.address, "tcp://n%d:7400", node->index);
    config.incarnation = node->incarnation << GOSSIP_REFUTATION_BITS;
    config.rng_seed = rng_next(&world->rng);
    config.off = world->options.gossip_off;
    config.seeds = seeds;
    config.seed_count = (size_t)world->node_count;
    code = gossip_create(&config, node_now_ms(node), &node->peers->gossip, &err);
    invariant(code == 0);
    tell_health(node);
}

void rumour_after(struct node *node)
{
    struct gossip *gossip = node->peers->gossip;
    if (gossip == NULL) {
        return;
    }
    int64_t now = node_now_ms(node);
    if (node->health.changed) {
        tell_health(node);
    }
    if (now >= node->peers->gossip_at_ms) {
        gossip_tick(gossip, now);
        node->peers->gossip_touched = true;
    }
    struct gossip_action action;
    while (gossip_action_next(gossip, &action)) {
        int to = index_of_name(node->world, action.name);
        if (action.kind == GOSSIP_ACTION_SEND && to != SIM_NONE) {
            network_send(node->world, node->id, node->world->nodes[to].id, MESSAGE_GOSSIP,
                         action.bytes, action.length);
        } else if (action.kind == GOSSIP_ACTION_HEALTH) {
            node->peers->voters_changed = true;
        } else if (action.kind == GOSSIP_ACTION_MEMBER) {
            node->peers->voters_changed = true;
            TRACE(node->world, "n%d holds %s %s", node->index, action.name,
                  gossip_state_name(action.new_state));
        }
    }
    if (node->peers->gossip_touched) {
        node->peers->gossip_touched = false;
        node->peers->gossip_at_ms = gossip_deadline_ms(gossip);
    }
}

void rumour_contact(struct node *node, uint64_t from)
{
    int index = world_index_of_id(node->world, from);
    if (node->peers->gossip != NULL && index != SIM_NONE) {
        gossip_note_contact(node->peers->gossip, node_now_ms(node), name_of(index));
    }
}

void rumour_refused(struct node *node, int other)
{
    if (node->peers->gossip != NULL) {
        gossip_note_refused(node->peers->gossip, node_now_ms(node), name_of(other));
        node->peers->gossip_touched = true;
    }
}

void rumour_ended(struct node *node, int other, uint64_t incarnation)
{
    if (node->peers->gossip != NULL) {
        gossip_note_ended(node->peers->gossip, node_now_ms(node), name_of(other),
                          ((incarnation + 1) << GOSSIP_REFUTATION_BITS) - 1);
        node->peers->gossip_touched = true;
    }
}

void rumour_receive(struct node *node, const struct message *message)
{
    const struct node *from = world_node_of_id(node->world, message->from);
    if (node->peers->gossip == NULL || from == NULL) {
        return;
    }
    gossip_receive(node->peers->gossip, node_now_ms(node), name_of(from->index), message->bytes,
                   message->length);
    node->peers->gossip_touched = true;
}

bool rumour_alive(const struct node *node, int other)
{
    if (node->peers->gossip == NULL || other == node->index) {
        return node->world->nodes[other].alive;
    }
    struct gossip_member member;
    if (!gossip_member_find(node->peers->gossip, name_of(other), &member)) {
        return false;
    }
    return member.state == GOSSIP_ALIVE || member.state == GOSSIP_SUSPECT;
}

bool rumour_member(const struct node *node, uint64_t id, struct gossip_member *ret)
{
    int index = world_index_of_id(node->world, id);
    if (index == SIM_NONE || node->peers->gossip == NULL) {
        return false;
    }
    return gossip_member_find(node->peers->gossip, name_of(index), ret);
}

uint64_t rumour_incarnation(const struct node *node, const struct node *other)
{
    struct gossip_member member;
    if (node->peers->gossip == NULL || other == node) {
        return other->incarnation;
    }
    return rumour_member(node, other->id, &member) ? member.incarnation >> GOSSIP_REFUTATION_BITS
                                                   : 0;
}

uint32_t rumour_capabilities(const struct node *node, uint64_t id)
{
    static struct gossip_health health;
    int index = world_index_of_id(node->world, id);
    bool complete;
    uint32_t count = 0;
    if (index == SIM_NONE || node->peers->gossip == NULL) {
        return 0;
    }
    if (gossip_member_health(node->peers->gossip, name_of(index), &health, &complete)) {
        for (size_t i = 0; i < health.capability_count; i++) {
            count += health.capabilities[i].percent > 0 ? 1 : 0;
        }
    }
    return count;
}

/* A change of the score by less than this may be told late. */
#define SCORE_NOISE_TENTHS 50

/* What `node` was told of the health of another is what that one found. */
static void check_health(struct node *node, const struct node *other)
{
    struct gossip_member member;
    if (!other->alive || !rumour_member(node, other->id, &member)) {
        return;
    }
    int told = member.has_health ? member.score_tenths : GOSSIP_UNKNOWN;
    int is = other->health.score_tenths;
    bool known = (told == GOSSIP_UNKNOWN) == (is == GOSSIP_UNKNOWN);
    bool able = node->world->options.manage == 0 ||
                (rumour_capabilities(node, other->id) > 0) == other->health.able;
    if (!known || abs(told - is) >= SCORE_NOISE_TENTHS || !able) {
        check_failed(node->world, "L2", "n%d was told a score of %d%s of n%d, which found %d",
                     node->index, told, able ? "" : " and other capabilities", other->index, is);
    }
}

/* L2: what `node` holds of the others is so, and the same as what the others hold. */
static void check_one(struct node *node, uint64_t *digest)
{
    struct world *world = node->world;
    for (int i = 0; i < world->node_count; i++) {
        if (rumour_alive(node, i) != world->nodes[i].alive) {
            check_failed(world, "L2", "n%d holds n%d %s", node->index, i,
                         world->nodes[i].alive ? "dead, but it lives" : "alive, but it is dead");
        }
        check_health(node, &world->nodes[i]);
    }
    uint64_t own = gossip_digest(node->peers->gossip);
    if (*digest == 0) {
        *digest = own;
    }
    if (own != *digest) {
        check_failed(world, "L2", "n%d knows other members or health records", node->index);
    }
}

static bool agree(struct world *world, void *context)
{
    (void)context;
    uint64_t digest = 0;
    bool all = true;
    for (int i = 0; i < world->node_count; i++) {
        const struct node *node = &world->nodes[i];
        if (node->alive && node->peers->gossip != NULL) {
            uint64_t own = gossip_digest(node->peers->gossip);
            digest = digest == 0 ? own : digest;
            all = all && own == digest;
        }
    }
    return all;
}

bool peers_wait_for_gossip(struct world *world)
{
    static const int64_t spreads_ms[] = {2000, 4000, 15000}; /* by profile */
    int64_t most_ms = spreads_ms[world->options.gossip_profile % 3];
    return world_run_until(world, world->now_us + most_ms * 1000, agree, NULL);
}

void peers_check_gossip(struct world *world)
{
    uint64_t digest = 0;
    for (int i = 0; i < world->node_count; i++) {
        struct node *node = &world->nodes[i];
        if (node->alive && node->peers->gossip != NULL) {
            check_one(node, &digest);
        }
    }
}
