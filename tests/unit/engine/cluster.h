/* A small cluster in virtual time: steps of 1 ms, links of 1 ms, storage in memory. After each step
 * it checks that one node acts, that a term has one leader, and that all applied one sequence. */
#ifndef UNDERSTUDY_TESTS_UNIT_ENGINE_CLUSTER_H
#define UNDERSTUDY_TESTS_UNIT_ENGINE_CLUSTER_H

#include "consensus/consensus.h"
#include "node/base/rng.h"
#include "tests/unit/engine/disk.h"

#define CLUSTER_NODES_MAX 8
#define CLUSTER_TERMS_MAX 4096
#define CLUSTER_HEARTBEAT_MS 75
#define CLUSTER_ELECTION_MS 450
#define CLUSTER_LEASE_MS 350

struct cluster_node {
    uint64_t id; /* its number + 1 */
    struct consensus *engine;
    struct consensus_view view; /* after the last step */
    struct disk disk;
    struct cluster *cluster;
    int64_t offset_ms;           /* its clock minus the cluster's, at 0 */
    int64_t drift;               /* and how many thousandths faster it runs */
    int64_t election_timeout_ms; /* 0: as all */
    int64_t lease_ttl_ms;        /* 0: as all */
    bool frozen;                 /* gets no event */
    uint64_t *applied;           /* commands, in order */
    size_t applied_count;
    size_t applied_capacity;
    unsigned notices[CONSENSUS_NOTICE_MEMORY_LOST + 1];
    struct consensus_notice last[CONSENSUS_NOTICE_MEMORY_LOST + 1];
};

struct cluster_message {
    int64_t at_ms;
    size_t from;
    size_t to;
    uint8_t *bytes;
    size_t length;
};

struct cluster {
    int64_t now_ms;
    size_t node_count;
    size_t founder_count;
    int64_t latency_ms;
    struct rng rng;     /* for the three below */
    int64_t jitter_ms;  /* more latency, so that messages overtake */
    unsigned loss;      /* in a hundred */
    unsigned duplicate; /* in a hundred */
    uint64_t seed;
    uint32_t snapshot_threshold;
    uint32_t snapshot_trailing;
    struct consensus_switches off;
    bool may_act_twice; /* a test of a switch expects it */
    bool two_acted;
    struct cluster_node nodes[CLUSTER_NODES_MAX];
    bool cut[CLUSTER_NODES_MAX][CLUSTER_NODES_MAX]; /* [from][to] */
    struct cluster_message *messages;
    size_t message_count;
    size_t message_capacity;
    /* Looks at each message on its way; true drops it. */
    bool (*filter)(struct cluster *self, size_t from, size_t to, const uint8_t *bytes,
                   size_t length);
    uint64_t leader_of_term[CLUSTER_TERMS_MAX];
    uint64_t *sequence; /* the one that all apply */
    size_t sequence_count;
    size_t sequence_capacity;
};

/* Founders are nodes 0 to founder_count - 1, all voters; nothing runs yet. */
void cluster_init(struct cluster *self, size_t founder_count);
void cluster_deinit(struct cluster *self);

/* Start (or restart from disk) node i; nodes from founder_count on are nobody's founders. */
void cluster_start(struct cluster *self, size_t i);
void cluster_start_all(struct cluster *self);
void cluster_crash(struct cluster *self, size_t i);
void cluster_isolate(struct cluster *self, size_t i, bool isolated);

void cluster_run(struct cluster *self, int64_t ms);
typedef bool cluster_condition(const struct cluster *self);
/* Milliseconds that it took; fails the test after limit_ms. */
int64_t cluster_run_until(struct cluster *self, cluster_condition *condition, int64_t limit_ms);

bool cluster_someone_acts(const struct cluster *self);
bool cluster_nobody_acts(const struct cluster *self);
bool cluster_all_applied(const struct cluster *self); /* each replica within reach */
size_t cluster_acting(const struct cluster *self);    /* fails the test when nobody acts */
int64_t cluster_clock(const struct cluster *self, size_t i);

/* Refresh the view of node i after a call from the test. */
void cluster_look(struct cluster *self, size_t i);
int cluster_propose(struct cluster *self, size_t i, uint64_t command);
/* Propose at the acting leader and run until all have applied it. */
void cluster_commit(struct cluster *self, uint64_t command);
/* Change the configuration at the acting leader and run until its notice; its status. */
int cluster_change(struct cluster *self, enum consensus_change what, size_t i,
                   enum consensus_role role);

#endif
