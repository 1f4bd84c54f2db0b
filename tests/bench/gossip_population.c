/* Fills real tables. */
#include "tests/bench/gossip_population.h"

#include "node/base/invariant.h"

#include <stdlib.h>
#include <string.h>

const bool population_is_shared = false;

static const struct net *population;
static const struct health_record *record;

void population_begin(const struct net *net, const struct health_record *common)
{
    population = net;
    record = common;
}

void population_end(void)
{
    population = NULL;
    record = NULL;
}

static struct health_record *copy_record(int64_t now_ms)
{
    struct health_record *copy = malloc(sizeof *copy);
    invariant(copy != NULL);
    *copy = *record;
    copy->since_ms = now_ms;
    copy->details = NULL;
    int rc = gossip_health_record_set_details(copy, record->details, record->details_length);
    invariant(rc == 0);
    return copy;
}

void population_fill(struct members *members, struct rng *rng, size_t own, int64_t now_ms)
{
    for (size_t i = 0; i < population->node_count; i++) {
        if (i == own) {
            continue;
        }
        const struct net_node *node = &population->nodes[i];
        struct member *member = gossip_members_add(members, node->name, node->address);
        invariant(member != NULL);
        member->incarnation = POPULATION_INCARNATION;
        member->state = GOSSIP_ALIVE;
        member->since_ms = now_ms;
        member->health = copy_record(now_ms);
        gossip_members_live_add(members, member, rng);
        gossip_members_update_digest(members, member);
    }
}
