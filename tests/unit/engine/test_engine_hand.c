/* Leadership changes hands: transfer, evidence, proof, and the waits that they owe. */
#include "tests/unit/engine/cluster.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define WAIT_MS 368 /* 1.05 times the lease of 350 ms, rounded up */

static void begin(struct cluster *cluster, size_t founders)
{
    cluster_init(cluster, founders);
    cluster_start_all(cluster);
    (void)cluster_run_until(cluster, cluster_someone_acts, 2000);
    cluster_run(cluster, 500);
}

static int hand_over(struct cluster *cluster, size_t from, uint64_t target,
                     enum consensus_cause cause)
{
    int rc = consensus_hand_over(cluster->nodes[from].engine, cluster_clock(cluster, from), target,
                                 cause, NULL);
    cluster_look(cluster, from);
    return rc;
}

static void managers_ended(struct cluster *cluster, size_t i)
{
    consensus_managers_ended(cluster->nodes[i].engine, cluster_clock(cluster, i));
    cluster_look(cluster, i);
}

static int stand(struct cluster *cluster, size_t i, size_t leader, bool proof)
{
    uint64_t term = cluster->nodes[i].view.term;
    int64_t now = cluster_clock(cluster, i);
    int rc = consensus_stand(cluster->nodes[i].engine, now, leader + 1, term, proof, now - 3, NULL);
    cluster_look(cluster, i);
    return rc;
}

static size_t other(size_t leader)
{
    return leader == 0 ? 1 : 0;
}

static void test_transfer_takes_three_hops(void **state)
{
    (void)state;
    struct cluster cluster;
    begin(&cluster, 3);
    size_t old = cluster_acting(&cluster);
    size_t target = other(old);
    uint64_t term = cluster.nodes[old].view.term;
    assert_int_equal(hand_over(&cluster, old, target + 1, CONSENSUS_CAUSE_DRAIN), 0);
    assert_false(cluster.nodes[old].view.acting);
    assert_true(cluster.nodes[old].view.handing_over);
    /* Nothing goes out before the managers have ended. */
    cluster_run(&cluster, 1000);
    assert_int_equal(cluster.nodes[old].view.term, term);
    assert_int_equal(cluster.nodes[old].view.state, CONSENSUS_LEADER);
    assert_true(cluster_nobody_acts(&cluster));
    managers_ended(&cluster, old);
    int64_t ms = cluster_run_until(&cluster, cluster_someone_acts, 2000);
    print_message("transfer: successor acts after %" PRId64 " ms (%d ms a hop)\n", ms, 1);
    assert_true(ms <= 5 * cluster.latency_ms);
    assert_int_equal(cluster_acting(&cluster), target);
    assert_int_equal(cluster.nodes[target].view.cause, CONSENSUS_CAUSE_DRAIN);
    assert_int_equal(cluster.nodes[target].view.wait_until_ms, 0);
    assert_int_equal(cluster.nodes[old].notices[CONSENSUS_NOTICE_STEPPED_DOWN], 1);
    cluster_deinit(&cluster);
}

/* Term and vote together, then the barrier: what a hand-over waits for is a disk. */
static void test_transfer_costs_two_writes(void **state)
{
    (void)state;
    struct cluster cluster;
    begin(&cluster, 3);
    size_t old = cluster_acting(&cluster);
    size_t target = other(old);
    size_t third = 3 - old - target;
    unsigned of_target = cluster.nodes[target].disk.writes;
    unsigned of_third = cluster.nodes[third].disk.writes;
    assert_int_equal(hand_over(&cluster, old, target + 1, CONSENSUS_CAUSE_DRAIN), 0);
    managers_ended(&cluster, old);
    (void)cluster_run_until(&cluster, cluster_someone_acts, 100);
    cluster_run(&cluster, 10);
    assert_int_equal(cluster_acting(&cluster), target);
    assert_int_equal(cluster.nodes[target].disk.writes - of_target, 2);
    assert_int_equal(cluster.nodes[third].disk.writes - of_third, 2);
    cluster_deinit(&cluster);
}

static void test_transfer_chooses_a_voter_that_answers(void **state)
{
    (void)state;
    struct cluster cluster;
    begin(&cluster, 3);
    size_t old = cluster_acting(&cluster);
    size_t dead = other(old);
    cluster_crash(&cluster, dead);
    cluster_run(&cluster, CLUSTER_ELECTION_MS + 100);
    assert_int_equal(cluster_acting(&cluster), old);
    assert_int_equal(hand_over(&cluster, old, old + 1, CONSENSUS_CAUSE_HEALTH), ERR_NOTFOUND);
    assert_int_equal(hand_over(&cluster, old, 99, CONSENSUS_CAUSE_HEALTH), ERR_NOTFOUND);
    assert_int_equal(hand_over(&cluster, old, 0, CONSENSUS_CAUSE_HEALTH), 0);
    assert_int_equal(hand_over(&cluster, old, 0, CONSENSUS_CAUSE_HEALTH), ERR_BUSY);
    assert_int_equal(cluster_propose(&cluster, old, 4), ERR_BUSY);
    managers_ended(&cluster, old);
    (void)cluster_run_until(&cluster, cluster_someone_acts, 2000);
    assert_int_equal(cluster_acting(&cluster), 3 - old - dead);
    cluster_deinit(&cluster);
}

static void test_failed_transfer_is_final(void **state)
{
    (void)state;
    struct cluster cluster;
    begin(&cluster, 3);
    size_t old = cluster_acting(&cluster);
    size_t dead = other(old);
    uint64_t term = cluster.nodes[old].view.term;
    cluster_crash(&cluster, dead);
    assert_int_equal(hand_over(&cluster, old, dead + 1, CONSENSUS_CAUSE_TRANSFER), 0);
    managers_ended(&cluster, old);
    /* The dead target does not answer; the hand-over goes on to who does. */
    (void)cluster_run_until(&cluster, cluster_someone_acts, 5000);
    assert_int_equal(cluster_acting(&cluster), 3 - old - dead);
    assert_true(cluster.nodes[cluster_acting(&cluster)].view.term > term);
    cluster_deinit(&cluster);
}

static void test_transfer_to_nobody_ends_in_being_deposed(void **state)
{
    (void)state;
    struct cluster cluster;
    begin(&cluster, 3);
    size_t old = cluster_acting(&cluster);
    uint64_t term = cluster.nodes[old].view.term;
    for (size_t i = 0; i < 3; i++) {
        if (i != old) {
            cluster_crash(&cluster, i);
        }
    }
    assert_int_equal(hand_over(&cluster, old, 0, CONSENSUS_CAUSE_TRANSFER), 0);
    managers_ended(&cluster, old);
    cluster_run(&cluster, 10000);
    assert_int_not_equal(cluster.nodes[old].view.state, CONSENSUS_LEADER);
    for (size_t i = 0; i < 3; i++) {
        if (i != old) {
            cluster_start(&cluster, i);
        }
    }
    (void)cluster_run_until(&cluster, cluster_someone_acts, 5000);
    assert_true(cluster.nodes[cluster_acting(&cluster)].view.term > term);
    cluster_deinit(&cluster);
}

static void test_stand_on_evidence_waits(void **state)
{
    (void)state;
    struct cluster cluster;
    begin(&cluster, 3);
    size_t old = cluster_acting(&cluster);
    size_t next = other(old);
    cluster_crash(&cluster, old);
    int64_t stood = cluster.now_ms;
    assert_int_equal(stand(&cluster, next, old, false), 0);
    while (cluster.nodes[next].view.state != CONSENSUS_LEADER) {
        cluster_run(&cluster, 1);
        assert_true(cluster.now_ms - stood < 10);
    }
    print_message("evidence: elected after %" PRId64 " ms\n", cluster.now_ms - stood);
    assert_true(cluster.now_ms - stood <= 2 * cluster.latency_ms);
    assert_int_equal(cluster.nodes[next].view.cause, CONSENSUS_CAUSE_CRASH_EVIDENCE);
    int64_t elected = cluster.now_ms;
    cluster_run(&cluster, 20);
    assert_true(cluster.nodes[next].view.ready);
    assert_true(cluster.nodes[next].view.owes_wait);
    assert_int_equal(hand_over(&cluster, next, 0, CONSENSUS_CAUSE_DRAIN), ERR_UNSAFE);
    (void)cluster_run_until(&cluster, cluster_someone_acts, 2000);
    print_message("evidence: acts %" PRId64 " ms after its election\n", cluster.now_ms - elected);
    assert_int_equal(cluster.now_ms - elected, WAIT_MS);
    assert_int_equal(cluster.nodes[next].view.first_sign_ms,
                     stood + cluster.nodes[next].offset_ms - 3);
    cluster_deinit(&cluster);
}

static void test_stand_with_proof_acts_at_once(void **state)
{
    (void)state;
    struct cluster cluster;
    begin(&cluster, 3);
    size_t old = cluster_acting(&cluster);
    size_t next = other(old);
    cluster_crash(&cluster, old);
    assert_int_equal(stand(&cluster, next, old, true), 0);
    int64_t ms = cluster_run_until(&cluster, cluster_someone_acts, 2000);
    print_message("obituary: acts after %" PRId64 " ms\n", ms);
    assert_true(ms <= 4 * cluster.latency_ms);
    assert_int_equal(cluster.nodes[next].view.cause, CONSENSUS_CAUSE_OBITUARY);
    assert_true(cluster.nodes[next].view.proof);
    cluster_deinit(&cluster);
}

static void test_proof_ends_the_wait(void **state)
{
    (void)state;
    struct cluster cluster;
    begin(&cluster, 3);
    size_t old = cluster_acting(&cluster);
    size_t next = other(old);
    uint64_t term = cluster.nodes[old].view.term;
    cluster_crash(&cluster, old);
    assert_int_equal(stand(&cluster, next, old, false), 0);
    cluster_run(&cluster, 50);
    struct consensus *engine = cluster.nodes[next].engine;
    int64_t now = cluster_clock(&cluster, next);
    assert_true(cluster.nodes[next].view.owes_wait);
    consensus_proof(engine, now, old + 1, term - 1); /* of another term, of another node */
    consensus_proof(engine, now, 3 - old - next + 1, term);
    cluster_look(&cluster, next);
    assert_true(cluster.nodes[next].view.owes_wait);
    consensus_proof(engine, now, old + 1, term);
    cluster_look(&cluster, next);
    assert_false(cluster.nodes[next].view.owes_wait);
    assert_true(cluster.nodes[next].view.acting);
    cluster_deinit(&cluster);
}

static void test_stand_is_for_followers_of_that_leader(void **state)
{
    (void)state;
    struct cluster cluster;
    begin(&cluster, 3);
    size_t old = cluster_acting(&cluster);
    size_t voter = other(old);
    struct consensus *engine = cluster.nodes[voter].engine;
    int64_t now = cluster_clock(&cluster, voter);
    uint64_t term = cluster.nodes[voter].view.term;
    assert_int_equal(consensus_stand(engine, now, old + 1, term - 1, false, 0, NULL), ERR_STALE);
    assert_int_equal(consensus_stand(engine, now, old + 1, term + 1, true, 0, NULL), ERR_STALE);
    assert_int_equal(consensus_stand(engine, now, voter + 1, term, true, 0, NULL), ERR_STALE);
    assert_int_equal(consensus_stand(cluster.nodes[old].engine, cluster_clock(&cluster, old),
                                     old + 1, term, true, 0, NULL),
                     ERR_STALE);
    cluster_run(&cluster, 500);
    assert_int_equal(cluster.nodes[old].view.term, term);
    assert_true(cluster.nodes[old].view.acting);
    cluster_deinit(&cluster);
}

/* Wrong evidence about a leader that lives: the successor waits until the old lease is over. The
 * cluster checks at each step that only one acts. */
static void test_false_evidence_is_safe(void **state)
{
    (void)state;
    struct cluster cluster;
    begin(&cluster, 3);
    size_t old = cluster_acting(&cluster);
    size_t next = other(old);
    cluster.nodes[old].frozen = true; /* its managers act on, as long as the lease lasts */
    assert_int_equal(stand(&cluster, next, old, false), 0);
    cluster_run(&cluster, 200);
    assert_int_equal(cluster.nodes[next].view.state, CONSENSUS_LEADER);
    (void)cluster_run_until(&cluster, cluster_someone_acts, 2000);
    cluster.nodes[old].frozen = false;
    cluster_run(&cluster, 500);
    assert_int_equal(cluster_acting(&cluster), next);
    assert_int_equal(cluster.nodes[old].view.state, CONSENSUS_FOLLOWER);
    cluster_deinit(&cluster);
}

static bool lose_votes; /* and pre-votes; answers too */

static bool drop_votes(struct cluster *cluster, size_t from, size_t to, const uint8_t *bytes,
                       size_t length)
{
    (void)cluster;
    (void)from;
    (void)to;
    /* [version, type, ...]: an array of less than 16, then two small integers */
    return lose_votes && length > 2 && (bytes[2] == 3 || bytes[2] == 4);
}

/* The wait belongs to the candidature: a round that is lost does not pay it. */
static void later_round_owes(bool off)
{
    struct cluster cluster;
    cluster_init(&cluster, 3);
    cluster.off.evidence_wait_inherits = off;
    cluster_start_all(&cluster);
    (void)cluster_run_until(&cluster, cluster_someone_acts, 2000);
    cluster_run(&cluster, 500);
    cluster.filter = drop_votes;
    size_t old = cluster_acting(&cluster);
    size_t next = other(old);
    cluster_crash(&cluster, old);
    lose_votes = true;
    assert_int_equal(stand(&cluster, next, old, false), 0);
    uint64_t first = cluster.nodes[next].view.term;
    while (cluster.nodes[next].view.term == first) {
        cluster_run(&cluster, 1);
    }
    lose_votes = false;
    /* The other voter follows the dead leader still, or asks itself: the flag decides. */
    while (cluster.nodes[next].view.state == CONSENSUS_CANDIDATE) {
        cluster_run(&cluster, 1);
    }
    if (cluster.nodes[next].view.state == CONSENSUS_LEADER) {
        assert_int_equal(cluster.nodes[next].view.owes_wait, !off);
    } else {
        fail_msg("the second round was lost too");
    }
    cluster_deinit(&cluster);
}

static void test_later_round_owes_the_wait(void **state)
{
    (void)state;
    later_round_owes(false);
    later_round_owes(true); /* the rule switched off: the test can tell */
}

static void test_lost_round_is_repeated_soon(void **state)
{
    (void)state;
    struct cluster cluster;
    begin(&cluster, 3);
    cluster.filter = drop_votes;
    size_t old = cluster_acting(&cluster);
    size_t next = other(old);
    cluster_crash(&cluster, old);
    lose_votes = true;
    assert_int_equal(stand(&cluster, next, old, true), 0);
    cluster_run(&cluster, 5);
    lose_votes = false;
    int64_t ms = cluster_run_until(&cluster, cluster_someone_acts, 2000);
    print_message("first round lost: acts after %" PRId64 " ms\n", ms);
    assert_true(ms <= 2 * CLUSTER_HEARTBEAT_MS + 10);
    cluster_deinit(&cluster);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_transfer_takes_three_hops),
        cmocka_unit_test(test_transfer_costs_two_writes),
        cmocka_unit_test(test_transfer_chooses_a_voter_that_answers),
        cmocka_unit_test(test_failed_transfer_is_final),
        cmocka_unit_test(test_transfer_to_nobody_ends_in_being_deposed),
        cmocka_unit_test(test_stand_on_evidence_waits),
        cmocka_unit_test(test_stand_with_proof_acts_at_once),
        cmocka_unit_test(test_proof_ends_the_wait),
        cmocka_unit_test(test_stand_is_for_followers_of_that_leader),
        cmocka_unit_test(test_false_evidence_is_safe),
        cmocka_unit_test(test_later_round_owes_the_wait),
        cmocka_unit_test(test_lost_round_is_repeated_soon),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
