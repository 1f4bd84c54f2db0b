/* A large cluster that has been up for long: every node knows every other, nothing is news.
 *
 * Starting 10,000 nodes by their joining would take 10^8 messages' items; what is measured is what
 * comes after. So each table is filled directly, as gossip itself would have it.
 *
 * Two makes of it, of which a program links one. gossip_population.c fills the real tables of
 * gossip/members.c, about 400 bytes a row. gossip_members_shared.c is another table with the same
 * interface, in which a row that nothing has touched is one row shared by all nodes: that is how
 * 10,000 nodes fit. Both draw the same random numbers in the same order, so that a seed gives the
 * same run to the last message with either; tests/bench/gossip_scale.py and a test hold them to
 * it. */
#ifndef UNDERSTUDY_TESTS_BENCH_GOSSIP_POPULATION_H
#define UNDERSTUDY_TESTS_BENCH_GOSSIP_POPULATION_H

#include "gossip/core.h"
#include "gossip/health.h"
#include "tests/unit/gossip/net.h"

#define POPULATION_INCARNATION (UINT64_C(1) << GOSSIP_REFUTATION_BITS) /* of every node */
#define POPULATION_SHARES_MIN 64 /* the least nodes that the shared table is good for */

extern const bool population_is_shared;

/* What all rows of the nodes come from; must outlive them. `record` is every node's. */
void population_begin(const struct net *net, const struct health_record *record);
void population_end(void);

/* Add every node but `own`, in order: alive, with the record, in a random place of the pass. */
void population_fill(struct members *members, struct rng *rng, size_t own, int64_t now_ms);

/* A node's health on a machine at rest: the score wanders by half a point, the load by a tenth. */
void population_health(struct rng *rng, struct gossip_health *ret);

/* Start all nodes of a fresh net so; afterwards end with population_stop, not net_deinit. */
void population_start(struct net *net);
void population_stop(struct net *net);

#endif
