/* Elections in virtual time: from pristine storage, after a crash, on evidence, alone. */
#include "tests/unit/engine/cluster.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void start_and_act(struct cluster *cluster, size_t founders)
{
    cluster_init(cluster, founders);
    cluster_start_all(cluster);
    int64_t ms = cluster_run_until(cluster, cluster_someone_acts, 5000);
    print_message("%zu pristine founders: acting leader after %" PRId64 " ms\n", founders, ms);
    assert_true(ms <= 700);
    const struct consensus_view *view = &cluster->nodes[cluster_acting(cluster)].view;
    assert_int_equal(view->cause, CONSENSUS_CAUSE_START);
    assert_true(view->ready);
    assert_int_equal(view->wait_until_ms, 0);
}

static void test_three_elect(void **state)
{
    (void)state;
    struct cluster cluster;
    start_and_act(&cluster, 3);
    cluster_run(&cluster, 3000);
    assert_int_equal(cluster.nodes[cluster_acting(&cluster)].view.cause, CONSENSUS_CAUSE_START);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(cluster.nodes[i].view.leader, cluster_acting(&cluster) + 1);
        assert_int_equal(cluster.nodes[i].view.term, 2); /* nobody was disturbed */
    }
    cluster_deinit(&cluster);
}

static void test_five_and_seven_elect(void **state)
{
    (void)state;
    struct cluster cluster;
    start_and_act(&cluster, 5);
    cluster_deinit(&cluster);
    start_and_act(&cluster, 7);
    cluster_deinit(&cluster);
}

static void test_founders_come_one_by_one(void **state)
{
    (void)state;
    struct cluster cluster;
    cluster_init(&cluster, 3);
    cluster_start(&cluster, 0);
    cluster_run(&cluster, 2000);
    assert_true(cluster_nobody_acts(&cluster));
    cluster_start(&cluster, 1);
    int64_t ms = cluster_run_until(&cluster, cluster_someone_acts, 2000);
    assert_true(ms <= 700);
    cluster_start(&cluster, 2);
    cluster_run(&cluster, 1000);
    assert_int_equal(cluster.nodes[2].view.leader, cluster_acting(&cluster) + 1);
    cluster_deinit(&cluster);
}

static void test_timeout_elects_next(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct cluster cluster;
        cluster_init(&cluster, 3);
        cluster.seed = seed;
        cluster_start_all(&cluster);
        (void)cluster_run_until(&cluster, cluster_someone_acts, 2000);
        cluster_run(&cluster, 1000);
        cluster_crash(&cluster, cluster_acting(&cluster));
        int64_t ms = cluster_run_until(&cluster, cluster_someone_acts, 5000);
        assert_true(ms >= CLUSTER_ELECTION_MS - CLUSTER_HEARTBEAT_MS - 5);
        assert_true(ms <= 2 * CLUSTER_ELECTION_MS);
        const struct consensus_view *view = &cluster.nodes[cluster_acting(&cluster)].view;
        assert_int_equal(view->cause, CONSENSUS_CAUSE_TIMEOUT);
        assert_true(view->first_sign_ms > 0);
        if (seed == 1) {
            print_message("leader dead without a sign: next acts after %" PRId64 " ms\n", ms);
        }
        cluster_deinit(&cluster);
    }
}

static void test_isolated_leader_stops_first(void **state)
{
    (void)state;
    struct cluster cluster;
    start_and_act(&cluster, 3);
    cluster_run(&cluster, 1000);
    size_t old = cluster_acting(&cluster);
    cluster_isolate(&cluster, old, true);
    int64_t stopped = cluster_run_until(&cluster, cluster_nobody_acts, 2000);
    int64_t next = cluster_run_until(&cluster, cluster_someone_acts, 3000);
    print_message("leader cut off: stops after %" PRId64 " ms, next acts %" PRId64 " ms later\n",
                  stopped, next);
    assert_true(stopped <= CLUSTER_LEASE_MS);
    assert_true(next > 0);
    assert_int_not_equal(cluster_acting(&cluster), old);
    cluster_isolate(&cluster, old, false);
    cluster_run(&cluster, 1000);
    assert_int_equal(cluster.nodes[old].view.leader, cluster_acting(&cluster) + 1);
    assert_true(cluster.nodes[old].notices[CONSENSUS_NOTICE_STEPPED_DOWN] >= 1);
    cluster_deinit(&cluster);
}

static void test_single_node(void **state)
{
    (void)state;
    struct cluster cluster;
    cluster_init(&cluster, 1);
    cluster_start(&cluster, 0);
    int64_t ms = cluster_run_until(&cluster, cluster_someone_acts, 1000);
    assert_true(ms <= 100);
    uint64_t term = cluster.nodes[0].view.term;
    assert_int_equal(cluster.nodes[0].view.cause, CONSENSUS_CAUSE_START);
    cluster_commit(&cluster, 5);
    cluster_run(&cluster, 2000);
    assert_true(cluster.nodes[0].view.acting);
    cluster_crash(&cluster, 0);
    cluster_start(&cluster, 0);
    (void)cluster_run_until(&cluster, cluster_someone_acts, 1000);
    assert_true(cluster.nodes[0].view.term > term); /* a fencing token must not come back */
    (void)cluster_run_until(&cluster, cluster_all_applied, 100);
    assert_int_equal(cluster.nodes[0].applied_count, 1);
    cluster_deinit(&cluster);
}

static void test_restart_of_all(void **state)
{
    (void)state;
    struct cluster cluster;
    start_and_act(&cluster, 3);
    cluster_commit(&cluster, 1);
    for (size_t i = 0; i < 3; i++) {
        cluster_crash(&cluster, i);
    }
    cluster_start_all(&cluster);
    for (size_t i = 0; i < 3; i++) {
        /* Each may have echoed before: silent for an election timeout. */
        assert_int_equal(cluster.nodes[i].view.silent_until_ms,
                         cluster_clock(&cluster, i) + CLUSTER_ELECTION_MS);
    }
    int64_t ms = cluster_run_until(&cluster, cluster_someone_acts, 5000);
    print_message("restart of all three: acting leader after %" PRId64 " ms\n", ms);
    assert_true(ms >= CLUSTER_ELECTION_MS);
    assert_int_equal(cluster.nodes[cluster_acting(&cluster)].view.cause, CONSENSUS_CAUSE_START);
    (void)cluster_run_until(&cluster, cluster_all_applied, 1000);
    assert_int_equal(cluster.sequence_count, 1);
    cluster_deinit(&cluster);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_three_elect),
        cmocka_unit_test(test_five_and_seven_elect),
        cmocka_unit_test(test_founders_come_one_by_one),
        cmocka_unit_test(test_timeout_elects_next),
        cmocka_unit_test(test_isolated_leader_stops_first),
        cmocka_unit_test(test_single_node),
        cmocka_unit_test(test_restart_of_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
