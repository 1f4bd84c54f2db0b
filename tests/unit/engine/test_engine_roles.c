/* RG9 and RG10: a change of roles that reached some servers only, and whose leader is gone, leaves
 * enough that stand and vote. Without the guard nobody is ever elected. */
#include "tests/unit/engine/cluster.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define FOURTH 3
#define LONG_MS 15000

/* Three founders and a fourth server in the role, all with the same log. Returns who leads. */
static size_t begin(struct cluster *cluster, enum consensus_role fourth)
{
    cluster_start_all(cluster);
    (void)cluster_run_until(cluster, cluster_someone_acts, 3000);
    cluster_run(cluster, 300);
    cluster_start(cluster, FOURTH);
    assert_int_equal(cluster_change(cluster, CONSENSUS_ADD, FOURTH, CONSENSUS_SPARE), 0);
    assert_int_equal(cluster_change(cluster, CONSENSUS_ASSIGN, FOURTH, fourth), 0);
    cluster_commit(cluster, 1);
    cluster_run(cluster, 300);
    return cluster_acting(cluster);
}

/* The leader assigns the role to the fourth, its log reaches `reached` only, and it is gone. */
static void change_and_lose(struct cluster *cluster, size_t leader, enum consensus_role role,
                            size_t reached)
{
    struct err err = {0};
    for (size_t i = 0; i < cluster->node_count; i++) {
        cluster->cut[leader][i] = i != reached;
    }
    assert_int_equal(consensus_change(cluster->nodes[leader].engine, cluster_clock(cluster, leader),
                                      CONSENSUS_ASSIGN, cluster->nodes[FOURTH].id, role, 77, &err),
                     0);
    cluster_run(cluster, 20);
    cluster_crash(cluster, leader);
    for (size_t i = 0; i < cluster->node_count; i++) {
        cluster->cut[leader][i] = false;
    }
}

/* Whether somebody leads in the end; it may take some rounds. */
static bool recovers(struct cluster *cluster)
{
    for (int64_t ms = 0; ms < LONG_MS; ms += 100) {
        cluster_run(cluster, 100);
        if (cluster_someone_acts(cluster)) {
            cluster_commit(cluster, 2);
            return true;
        }
    }
    return false;
}

static void test_a_promotion_that_reached_one(void **state)
{
    (void)state;
    for (int off = 0; off < 2; off++) {
        struct cluster cluster;
        cluster_init(&cluster, 3);
        cluster.off.vote_of_non_voter = off != 0;
        size_t leader = begin(&cluster, CONSENSUS_STANDBY);
        size_t reached = leader == 0 ? 1 : 0;
        change_and_lose(&cluster, leader, CONSENSUS_VOTER, reached);
        assert_int_equal(recovers(&cluster), off == 0);
        cluster_deinit(&cluster);
    }
}

static void test_a_demotion_that_reached_its_subject(void **state)
{
    (void)state;
    for (int off = 0; off < 2; off++) {
        struct cluster cluster;
        cluster_init(&cluster, 3);
        cluster.off.withheld_demotion = off != 0;
        size_t leader = begin(&cluster, CONSENSUS_VOTER);
        assert_int_not_equal(leader, FOURTH);
        change_and_lose(&cluster, leader, CONSENSUS_STANDBY, FOURTH);
        assert_int_equal(recovers(&cluster), off == 0);
        cluster_deinit(&cluster);
    }
}

/* What was kept back follows as soon as the change is committed. */
static void test_a_demoted_server_learns_it(void **state)
{
    (void)state;
    struct cluster cluster;
    cluster_init(&cluster, 3);
    size_t leader = begin(&cluster, CONSENSUS_VOTER);
    assert_int_equal(cluster_change(&cluster, CONSENSUS_ASSIGN, FOURTH, CONSENSUS_STANDBY), 0);
    cluster_commit(&cluster, 2);
    (void)cluster_run_until(&cluster, cluster_all_applied, 1000);
    assert_int_equal(cluster_acting(&cluster), leader);
    const struct consensus_view *view = &cluster.nodes[FOURTH].view;
    assert_int_equal(view->last_index, cluster.nodes[leader].view.last_index);
    for (size_t i = 0; i < view->server_count; i++) {
        if (view->servers[i].id == cluster.nodes[FOURTH].id) {
            assert_int_equal(view->servers[i].role, CONSENSUS_STANDBY);
        }
    }
    cluster_deinit(&cluster);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_promotion_that_reached_one),
        cmocka_unit_test(test_a_demotion_that_reached_its_subject),
        cmocka_unit_test(test_a_demoted_server_learns_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
