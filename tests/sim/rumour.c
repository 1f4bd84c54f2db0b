/* Gossip within a node. */
#include "node/base/invariant.h"
#include "tests/sim/check.h"
#include "tests/sim/node.h"
#include "tests/sim/peers.h"
#include "tests/sim/world.h"

#include <stdio.h>
#include <stdlib.h>

static void node_name(int index, char ret[NAME_SIZE])
{
    (void)snprintf(ret, NAME_SIZE, "n%d", index);
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
    health.score_tenths = 1000 - 10 * node->index;
    health.load_hundredths = 10;
    health.flags = GOSSIP_FLAG_LEADER_CAPABLE;
    int code = gossip_set_health(node->peers->gossip, node_now_ms(node), &health, &err);
    invariant(code == 0);
}

void rumour_start(struct node *node)
{
    struct world *world = node->world;
    struct gossip_seed seeds[SIM_NODES_MAX];
    for (int i = 0; i < world->node_count; i++) {
        node_name(i, seeds[i].name);
        (void)snprintf(seeds[i].address, sizeof seeds[i].address, "tcp://n%d:7400", i);
    }
    struct gossip_config config = {0};
    struct err err = {0};
    int code = gossip_config_profile(&config, "local", &err);
    invariant(code == 0);
    node_name(node->index, config.name);
    (void)snprintf(config.address, sizeof config.address, "tcp://n%d:7400", node->index);
    config.incarnation = node->incarnation << GOSSIP_REFUTATION_BITS;
    config.rng_seed = rng_next(&world->rng);
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
    if (now >= gossip_deadline_ms(gossip)) {
        gossip_tick(gossip, now);
    }
    struct gossip_action action;
    while (gossip_action_next(gossip, &action)) {
        int to = index_of_name(node->world, action.name);
        if (action.kind == GOSSIP_ACTION_SEND && to != SIM_NONE) {
            network_send(node->world, node->id, node->world->nodes[to].id, MESSAGE_GOSSIP,
                         action.bytes, action.length);
        } else if (action.kind == GOSSIP_ACTION_MEMBER) {
            TRACE(node->world, "n%d holds %s %s", node->index, action.name,
                  gossip_state_name(action.new_state));
        }
    }
}

void rumour_receive(struct node *node, const struct message *message)
{
    const struct node *from = world_node_of_id(node->world, message->from);
    if (node->peers->gossip == NULL || from == NULL) {
        return;
    }
    char name[NAME_SIZE];
    node_name(from->index, name);
    gossip_receive(node->peers->gossip, node_now_ms(node), name, message->bytes, message->length);
}

bool rumour_alive(const struct node *node, int other)
{
    if (node->peers->gossip == NULL || other == node->index) {
        return node->world->nodes[other].alive;
    }
    char name[NAME_SIZE];
    struct gossip_member member;
    node_name(other, name);
    if (!gossip_member_find(node->peers->gossip, name, &member)) {
        return false;
    }
    return member.state == GOSSIP_ALIVE || member.state == GOSSIP_SUSPECT;
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
    }
    uint64_t own = gossip_digest(node->peers->gossip);
    if (*digest == 0) {
        *digest = own;
    }
    if (own != *digest) {
        check_failed(world, "L2", "n%d knows other members or health records", node->index);
    }
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
