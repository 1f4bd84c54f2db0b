/* Clusters in trouble, from seeds: crashes, freezes, cuts both and one way, loss, duplicates,
 * messages that overtake, drifting clocks, false evidence, hand-overs, changes of roles. At each
 * step the cluster checks one leader a term, one sequence, one acting node; at the end all is well.
 *
 *   test_engine_chaos [FIRST LAST [RULE]]   other seeds than the default, a rule switched off */
#include "tests/unit/engine/cluster.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define FAULTS_MS 20000

static uint64_t first_seed = 1;
static uint64_t last_seed = 40;

static struct consensus_switches off;

struct rule {
    const char *name;
    bool *off;
};

static const struct rule rules[] = {
    {"vote_guard", &off.vote_guard},
    {"own_term_barrier", &off.own_term_barrier},
    {"acknowledgement_bound", &off.acknowledgement_bound},
    {"quiet_snapshot", &off.quiet_snapshot},
    {"truncate_and_reload", &off.truncate_and_reload},
    {"honest_refusal", &off.honest_refusal},
    {"silence_after_echo", &off.silence_after_echo},
    {"silence_after_start", &off.silence_after_start},
    {"silence_of_former_leader", &off.silence_of_former_leader},
    {"evidence_wait", &off.evidence_wait},
    {"evidence_wait_inherits", &off.evidence_wait_inherits},
    {"echo_term", &off.echo_term},
    {"transfer_is_final", &off.transfer_is_final},
    {"lease_check", &off.lease_check},
    {"lease_ends_at_step_down", &off.lease_ends_at_step_down},
    {"stretch", &off.stretch},
    {"pre_vote", &off.pre_vote},
    {"completions_at_once", &off.completions_at_once},
};

struct trouble {
    struct cluster cluster;
    struct rng rng;
    size_t nodes;
    uint64_t next_command;
    int64_t restart_at[CLUSTER_NODES_MAX];
    int64_t thaw_at[CLUSTER_NODES_MAX];
    unsigned stepped_down[CLUSTER_NODES_MAX];
    int64_t managers_at[CLUSTER_NODES_MAX]; /* when they confirm their end; 0: nothing to confirm */
};

static bool every(struct trouble *trouble, uint64_t ms)
{
    return rng_below(&trouble->rng, ms) == 0;
}

static size_t any(struct trouble *trouble)
{
    return (size_t)rng_below(&trouble->rng, trouble->nodes);
}

static bool runs(const struct trouble *trouble, size_t i)
{
    return trouble->cluster.nodes[i].engine != NULL && !trouble->cluster.nodes[i].frozen;
}

static void crash_or_freeze(struct trouble *trouble)
{
    struct cluster *cluster = &trouble->cluster;
    size_t i = any(trouble);
    if (runs(trouble, i) && every(trouble, 3000)) {
        cluster_crash(cluster, i);
        trouble->restart_at[i] = cluster->now_ms + rng_between(&trouble->rng, 5, 2500);
        trouble->managers_at[i] = 0;
        trouble->stepped_down[i] = cluster->nodes[i].notices[CONSENSUS_NOTICE_STEPPED_DOWN];
    } else if (runs(trouble, i) && every(trouble, 2000)) {
        cluster->nodes[i].frozen = true;
        trouble->thaw_at[i] = cluster->now_ms + rng_between(&trouble->rng, 50, 2000);
    }
}

static void cut_or_heal(struct trouble *trouble)
{
    struct cluster *cluster = &trouble->cluster;
    if (every(trouble, 2500)) {
        size_t from = any(trouble);
        size_t to = any(trouble);
        cluster->cut[from][to] = true;
        cluster->cut[to][from] |= every(trouble, 2);
    }
    if (every(trouble, 5000)) {
        cluster_isolate(cluster, any(trouble), true);
    }
    if (every(trouble, 1500)) {
        memset(cluster->cut, 0, sizeof cluster->cut);
    }
}

static void stand_or_hand_over(struct trouble *trouble)
{
    struct cluster *cluster = &trouble->cluster;
    size_t i = any(trouble);
    if (!runs(trouble, i)) {
        return;
    }
    struct cluster_node *node = &cluster->nodes[i];
    int64_t now = cluster_clock(cluster, i);
    if (node->view.state == CONSENSUS_LEADER && every(trouble, 800)) {
        if (consensus_hand_over(node->engine, now, 0, CONSENSUS_CAUSE_TRANSFER, NULL) == 0) {
            trouble->managers_at[i] = cluster->now_ms + rng_between(&trouble->rng, 1, 30);
        }
    } else if (node->view.leader != 0 && every(trouble, 800)) {
        /* Proof only of what is dead indeed and owed nothing; all else is evidence, often wrong. */
        (void)consensus_stand(node->engine, now, node->view.leader, node->view.term, false, now,
                              NULL);
    }
    cluster_look(cluster, i);
}

static void managers_end(struct trouble *trouble)
{
    struct cluster *cluster = &trouble->cluster;
    for (size_t i = 0; i < trouble->nodes; i++) {
        struct cluster_node *node = &cluster->nodes[i];
        if (!runs(trouble, i)) {
            continue;
        }
        if (node->notices[CONSENSUS_NOTICE_STEPPED_DOWN] != trouble->stepped_down[i]) {
            trouble->stepped_down[i] = node->notices[CONSENSUS_NOTICE_STEPPED_DOWN];
            trouble->managers_at[i] = cluster->now_ms + rng_between(&trouble->rng, 1, 30);
        }
        if (trouble->managers_at[i] != 0 && cluster->now_ms >= trouble->managers_at[i]) {
            trouble->managers_at[i] = 0;
            consensus_managers_ended(node->engine, cluster_clock(cluster, i));
            cluster_look(cluster, i);
        }
    }
}

static void propose_or_change(struct trouble *trouble)
{
    struct cluster *cluster = &trouble->cluster;
    size_t i = any(trouble);
    if (!runs(trouble, i) || cluster->nodes[i].view.state != CONSENSUS_LEADER) {
        return;
    }
    if (every(trouble, 20)) {
        (void)cluster_propose(cluster, i, ++trouble->next_command);
    }
    if (trouble->nodes > 3 && every(trouble, 300)) {
        enum consensus_role role = (enum consensus_role)rng_below(&trouble->rng, 3);
        (void)consensus_change(cluster->nodes[i].engine, cluster_clock(cluster, i),
                               CONSENSUS_ASSIGN, 3 + rng_below(&trouble->rng, trouble->nodes - 2),
                               role, 1, NULL);
        cluster_look(cluster, i);
    }
}

static void come_back(struct trouble *trouble)
{
    struct cluster *cluster = &trouble->cluster;
    for (size_t i = 0; i < trouble->nodes; i++) {
        if (cluster->nodes[i].engine == NULL && cluster->now_ms >= trouble->restart_at[i]) {
            cluster_start(cluster, i);
        }
        if (cluster->nodes[i].frozen && cluster->now_ms >= trouble->thaw_at[i]) {
            cluster->nodes[i].frozen = false;
        }
    }
}

static bool nobody_is_broken(const struct trouble *trouble)
{
    for (size_t i = 0; i < trouble->nodes; i++) {
        const struct consensus *engine = trouble->cluster.nodes[i].engine;
        if (engine != NULL && consensus_fatal(engine) != NULL) {
            print_error("node %zu: %s\n", i, consensus_fatal(engine));
            return false;
        }
    }
    return true;
}

static void choose(struct trouble *trouble, uint64_t seed)
{
    struct cluster *cluster = &trouble->cluster;
    rng_init(&trouble->rng, seed * 7919);
    trouble->nodes = seed % 3 == 0 ? 5 : 3;
    cluster_init(cluster, trouble->nodes);
    rng_init(&cluster->rng, seed);
    cluster->seed = seed;
    cluster->off = off;
    cluster->snapshot_threshold = 40;
    cluster->snapshot_trailing = 20;
    cluster->jitter_ms = (int64_t[]){2, 20, 60, 300}[seed % 4];
    cluster->loss = 3;
    cluster->duplicate = 3;
    for (size_t i = 0; i < trouble->nodes; i++) {
        cluster->nodes[i].drift = (int64_t[]){-20, 20, 0}[rng_below(&trouble->rng, 3)];
    }
}

static void heal(struct trouble *trouble)
{
    struct cluster *cluster = &trouble->cluster;
    memset(cluster->cut, 0, sizeof cluster->cut);
    cluster->jitter_ms = 5;
    cluster->loss = 0;
    for (size_t i = 0; i < trouble->nodes; i++) {
        trouble->restart_at[i] = 0;
        trouble->thaw_at[i] = 0;
    }
}

static void run_seed(uint64_t seed)
{
    static struct trouble trouble;
    memset(&trouble, 0, sizeof trouble);
    choose(&trouble, seed);
    struct cluster *cluster = &trouble.cluster;
    cluster_start_all(cluster);
    for (int ms = 0; ms < FAULTS_MS; ms++) {
        crash_or_freeze(&trouble);
        cut_or_heal(&trouble);
        stand_or_hand_over(&trouble);
        propose_or_change(&trouble);
        managers_end(&trouble);
        come_back(&trouble);
        cluster_run(cluster, 1);
        assert_true(nobody_is_broken(&trouble));
    }
    heal(&trouble);
    for (int ms = 0; ms < 10000 && !(ms > 2000 && cluster_all_applied(cluster)); ms++) {
        managers_end(&trouble);
        come_back(&trouble);
        cluster_run(cluster, 1);
        assert_true(nobody_is_broken(&trouble));
    }
    assert_true(cluster_all_applied(cluster));
    cluster_commit(cluster, ++trouble.next_command);
    cluster_deinit(cluster);
}

static void test_seeds(void **state)
{
    (void)state;
    for (uint64_t seed = first_seed; seed <= last_seed; seed++) {
        print_message("seed %" PRIu64 "\n", seed);
        run_seed(seed);
    }
}

int main(int argc, char **argv)
{
    if (argc >= 3) {
        first_seed = strtoull(argv[1], NULL, 10);
        last_seed = strtoull(argv[2], NULL, 10);
    }
    for (size_t i = 0; argc == 4 && i < sizeof rules / sizeof rules[0]; i++) {
        *rules[i].off |= strcmp(rules[i].name, argv[3]) == 0;
    }
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_seeds)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
