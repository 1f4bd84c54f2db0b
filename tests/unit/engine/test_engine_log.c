/* The replicated log: proposals, restarts, snapshots, changes of the configuration. */
#include "consensus/wire_raft.h"
#include "tests/unit/engine/cluster.h"

#include <inttypes.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void begin(struct cluster *cluster, size_t founders)
{
    cluster_init(cluster, founders);
    cluster_start_all(cluster);
    (void)cluster_run_until(cluster, cluster_someone_acts, 2000);
}

static void test_propose_applies_on_all(void **state)
{
    (void)state;
    struct cluster cluster;
    begin(&cluster, 3);
    for (uint64_t i = 1; i <= 20; i++) {
        cluster_commit(&cluster, i * 1000 + i % 7);
    }
    struct cluster_node *leader = &cluster.nodes[cluster_acting(&cluster)];
    assert_int_equal(leader->notices[CONSENSUS_NOTICE_PROPOSAL], 20);
    assert_int_equal(leader->last[CONSENSUS_NOTICE_PROPOSAL].status, 0);
    assert_int_equal(leader->last[CONSENSUS_NOTICE_PROPOSAL].token, 20 * 1000 + 20 % 7);
    size_t follower = cluster_acting(&cluster) == 0 ? 1 : 0;
    assert_int_equal(cluster_propose(&cluster, follower, 1), ERR_NOTLEADER);
    cluster_deinit(&cluster);
}

/* Not with the next heartbeat: a round trip for the entry, a moment, and one way for the news. */
static void test_a_commit_is_told_at_once(void **state)
{
    (void)state;
    struct cluster cluster;
    begin(&cluster, 3);
    for (uint64_t i = 1; i <= 40; i++) {
        cluster_run(&cluster,
                    2 * CLUSTER_HEARTBEAT_MS + (int64_t)i * 3); /* anywhere in its period */
        int64_t begin_ms = cluster.now_ms;
        assert_int_equal(cluster_propose(&cluster, cluster_acting(&cluster), i), 0);
        while (cluster.sequence_count < i) {
            cluster_run(&cluster, 1);
            assert_true(cluster.now_ms - begin_ms < 100);
        }
        (void)cluster_run_until(&cluster, cluster_all_applied, 100);
        assert_true(cluster.now_ms - begin_ms <= 8);
    }
    cluster_deinit(&cluster);
}

static void test_idle_tells_nothing(void **state)
{
    (void)state;
    struct cluster cluster;
    struct consensus_counters before;
    struct consensus_counters after;
    begin(&cluster, 3);
    cluster_commit(&cluster, 1);
    cluster_run(&cluster, 20);
    const struct consensus *leader = cluster.nodes[cluster_acting(&cluster)].engine;
    consensus_counters(leader, &before);
    cluster_run(&cluster, 10 * CLUSTER_HEARTBEAT_MS);
    consensus_counters(leader, &after);
    assert_true(after.sent - before.sent <= 2 * 11); /* heartbeats alone, to two */
    cluster_deinit(&cluster);
}

static void test_proposals_queue_up_to_a_bound(void **state)
{
    (void)state;
    struct cluster cluster;
    begin(&cluster, 3);
    size_t leader = cluster_acting(&cluster);
    unsigned writes = cluster.nodes[leader].disk.writes;
    uint64_t accepted = 0;
    while (cluster_propose(&cluster, leader, accepted + 1) == 0) {
        accepted++;
        assert_true(accepted < 1000);
    }
    assert_int_equal(cluster_propose(&cluster, leader, accepted + 1), ERR_FULL);
    assert_int_equal(accepted, 257); /* one in flight, 256 wait */
    int64_t begin_ms = cluster.now_ms;
    while (cluster.sequence_count < accepted) {
        cluster_run(&cluster, 1);
        assert_true(cluster.now_ms - begin_ms < 5000);
    }
    print_message("%" PRIu64 " queued proposals: %" PRId64 " ms at 2 ms a round trip\n", accepted,
                  cluster.now_ms - begin_ms);
    for (uint64_t i = 0; i < accepted; i++) {
        assert_int_equal(cluster.sequence[i], i + 1);
    }
    assert_int_equal(cluster.nodes[leader].notices[CONSENSUS_NOTICE_PROPOSAL], accepted);
    /* The first, then batches of 64: one durable write each. */
    assert_int_equal(cluster.nodes[leader].disk.writes - writes, 1 + 256 / 64);
    cluster_deinit(&cluster);
}

static void test_batch_in_flight_is_lost_as_one(void **state)
{
    (void)state;
    struct cluster cluster;
    begin(&cluster, 3);
    size_t old = cluster_acting(&cluster);
    struct cluster_node *node = &cluster.nodes[old];
    for (uint64_t command = 10; command <= 12; command++) {
        assert_int_equal(cluster_propose(&cluster, old, command), 0);
    }
    while (node->applied_count < 1) {
        cluster_run(&cluster, 1);
        assert_true(cluster.now_ms < 5000);
    }
    cluster_isolate(&cluster, old, true); /* 11 and 12 are on their way */
    cluster_run(&cluster, 3000);
    assert_int_equal(node->notices[CONSENSUS_NOTICE_PROPOSAL], 3);
    assert_int_equal(node->last[CONSENSUS_NOTICE_PROPOSAL].token, 12);
    assert_int_equal(node->last[CONSENSUS_NOTICE_PROPOSAL].status, ERR_STALE);
    cluster_isolate(&cluster, old, false);
    cluster_commit(&cluster, 13);
    cluster_deinit(&cluster);
}

static unsigned writes_when_sent;
static size_t watched_sender;

static bool note_writes(struct cluster *self, size_t from, size_t to, const uint8_t *bytes,
                        size_t length)
{
    (void)to;
    (void)bytes;
    (void)length;
    if (from == watched_sender && writes_when_sent == UINT_MAX) {
        writes_when_sent = self->nodes[from].disk.writes;
    }
    return false;
}

static void test_leader_sends_before_it_writes(void **state)
{
    (void)state;
    struct cluster cluster;
    begin(&cluster, 3);
    cluster_commit(&cluster, 1);
    watched_sender = cluster_acting(&cluster);
    writes_when_sent = UINT_MAX;
    cluster.filter = note_writes;
    unsigned writes = cluster.nodes[watched_sender].disk.writes;
    assert_int_equal(cluster_propose(&cluster, watched_sender, 2), 0);
    assert_int_equal(writes_when_sent, writes);
    assert_int_equal(cluster.nodes[watched_sender].disk.writes, writes + 1);
    cluster.filter = NULL;
    cluster_run(&cluster, 200);
    assert_true(cluster_all_applied(&cluster));
    assert_int_equal(cluster.sequence_count, 2);
    cluster_deinit(&cluster);
}

static size_t barriers_seen;
static bool heap_was_sent;

static bool look_into_barriers(struct cluster *cluster, size_t from, size_t to,
                               const uint8_t *bytes, size_t length)
{
    struct wire_message message;
    (void)to;
    if (wire_raft_decode(bytes, length, cluster->nodes[from].id, &message, NULL) != 0) {
        return false;
    }
    const struct raft_append_entries *append = &message.raft.append_entries;
    for (unsigned i = 0; message.raft.type == RAFT_IO_APPEND_ENTRIES && i < append->n_entries;
         i++) {
        const uint8_t *inside = append->entries[i].buf.base;
        bool barrier = append->entries[i].type == RAFT_BARRIER;
        barriers_seen += barrier ? 1 : 0;
        for (size_t k = 0; barrier && k < append->entries[i].buf.len; k++) {
            heap_was_sent = heap_was_sent || inside[k] != 0;
        }
    }
    wire_raft_message_deinit(&message);
    return false;
}

/* The library takes a barrier's bytes from the heap as they are; they are nobody's business. */
static void test_no_heap_is_sent(void **state)
{
    (void)state;
    struct cluster cluster;
    heap_was_sent = false;
    barriers_seen = 0;
    begin(&cluster, 3);
    cluster.filter = look_into_barriers;
    for (int i = 0; i < 5; i++) {
        size_t old = cluster_acting(&cluster);
        cluster_isolate(&cluster, old, true);
        cluster_run(&cluster, 2000);
        cluster_isolate(&cluster, old, false);
        cluster_commit(&cluster, (uint64_t)i + 1);
    }
    assert_true(barriers_seen >= 5);
    assert_false(heap_was_sent);
    cluster_deinit(&cluster);
}

static void test_sole_voter_commits_what_it_wrote(void **state)
{
    (void)state;
    struct cluster cluster;
    begin(&cluster, 1);
    cluster_commit(&cluster, 1);
    cluster.nodes[0].disk.broken = true;
    size_t applied = cluster.nodes[0].applied_count;
    unsigned notices = cluster.nodes[0].notices[CONSENSUS_NOTICE_PROPOSAL];
    assert_int_equal(cluster_propose(&cluster, 0, 2), 0);
    assert_non_null(consensus_fatal(cluster.nodes[0].engine));
    assert_int_equal(cluster.nodes[0].applied_count, applied);
    assert_int_equal(cluster.nodes[0].notices[CONSENSUS_NOTICE_PROPOSAL], notices);
    cluster_deinit(&cluster);
}

static void test_longest_command(void **state)
{
    (void)state;
    struct cluster cluster;
    begin(&cluster, 1);
    static uint8_t bytes[COMMAND_BYTES_MAX + 1];
    struct consensus *engine = cluster.nodes[0].engine;
    assert_int_equal(
        consensus_propose(engine, cluster_clock(&cluster, 0), bytes, sizeof bytes, 1, NULL),
        ERR_INVALID);
    cluster_deinit(&cluster);
}

static void test_cut_off_leader_fails_its_proposals(void **state)
{
    (void)state;
    struct cluster cluster;
    begin(&cluster, 3);
    cluster_commit(&cluster, 1);
    size_t old = cluster_acting(&cluster);
    cluster_isolate(&cluster, old, true);
    assert_int_equal(cluster_propose(&cluster, old, 100), 0); /* in flight: its fate is unknown */
    assert_int_equal(cluster_propose(&cluster, old, 101), 0); /* never submitted */
    cluster_run(&cluster, 3000);
    struct cluster_node *node = &cluster.nodes[old];
    assert_int_equal(node->notices[CONSENSUS_NOTICE_PROPOSAL], 3);
    assert_int_equal(node->last[CONSENSUS_NOTICE_PROPOSAL].token, 101);
    assert_int_equal(node->last[CONSENSUS_NOTICE_PROPOSAL].status, ERR_NOTLEADER);
    cluster_commit(&cluster, 2);
    cluster_isolate(&cluster, old, false);
    (void)cluster_run_until(&cluster, cluster_all_applied, 3000);
    assert_int_equal(cluster.sequence_count, 2); /* the entry in flight was overwritten */
    cluster_deinit(&cluster);
}

static void test_restart_from_disk(void **state)
{
    (void)state;
    struct cluster cluster;
    begin(&cluster, 3);
    for (uint64_t i = 1; i <= 5; i++) {
        cluster_commit(&cluster, i);
    }
    size_t follower = cluster_acting(&cluster) == 0 ? 1 : 0;
    cluster_crash(&cluster, follower);
    cluster_commit(&cluster, 6);
    cluster_start(&cluster, follower);
    (void)cluster_run_until(&cluster, cluster_all_applied, 2000);
    assert_int_equal(cluster.nodes[follower].applied_count, 6);
    cluster_deinit(&cluster);
}

static void test_a_lost_disk_is_told(void **state)
{
    (void)state;
    struct cluster cluster;
    begin(&cluster, 3);
    for (uint64_t i = 1; i <= 5; i++) {
        cluster_commit(&cluster, i);
    }
    size_t leader = cluster_acting(&cluster);
    size_t follower = leader == 0 ? 1 : 0;
    const struct cluster_node *told = &cluster.nodes[leader];
    cluster_crash(&cluster, follower);
    cluster_run(&cluster, 1000);
    cluster_start(&cluster, follower);
    cluster_run(&cluster, 2000);
    assert_int_equal(told->notices[CONSENSUS_NOTICE_MEMORY_LOST], 0); /* it has all it had */
    cluster_crash(&cluster, follower);
    disk_deinit(&cluster.nodes[follower].disk);
    disk_init(&cluster.nodes[follower].disk);
    cluster_start(&cluster, follower);
    cluster_run(&cluster, 2000);
    assert_int_equal(cluster_acting(&cluster), leader);
    assert_int_equal(told->notices[CONSENSUS_NOTICE_MEMORY_LOST], 1);
    assert_int_equal(told->last[CONSENSUS_NOTICE_MEMORY_LOST].leader, follower + 1);
    cluster_deinit(&cluster);
}

static void test_snapshot_reaches_a_laggard(void **state)
{
    (void)state;
    struct cluster cluster;
    cluster_init(&cluster, 3);
    cluster.snapshot_threshold = 20;
    cluster.snapshot_trailing = 10;
    cluster_start_all(&cluster);
    (void)cluster_run_until(&cluster, cluster_someone_acts, 2000);
    size_t laggard = cluster_acting(&cluster) == 0 ? 1 : 0;
    cluster_crash(&cluster, laggard);
    for (uint64_t i = 1; i <= 100; i++) {
        cluster_commit(&cluster, i);
    }
    struct consensus_counters counters;
    consensus_counters(cluster.nodes[cluster_acting(&cluster)].engine, &counters);
    assert_true(counters.snapshots_taken >= 3);
    assert_true(cluster.nodes[cluster_acting(&cluster)].disk.count <= 20 + 10 + 5);
    cluster_start(&cluster, laggard);
    (void)cluster_run_until(&cluster, cluster_all_applied, 5000);
    assert_true(cluster.nodes[laggard].disk.has_snapshot);
    assert_int_equal(cluster.nodes[laggard].applied_count, 100);
    /* And from its own disk with that snapshot. */
    cluster_crash(&cluster, laggard);
    cluster_start(&cluster, laggard);
    assert_true(cluster.nodes[laggard].applied_count > 0);
    cluster_commit(&cluster, 101);
    assert_int_equal(cluster.nodes[laggard].applied_count, 101);
    cluster_deinit(&cluster);
}

static void test_membership(void **state)
{
    (void)state;
    struct cluster cluster;
    begin(&cluster, 3);
    cluster_run(&cluster, 200);
    for (uint64_t i = 1; i <= 10; i++) {
        cluster_commit(&cluster, i);
    }
    cluster_start(&cluster, 3); /* no founder: waits to be added */
    cluster_run(&cluster, 1000);
    assert_int_equal(cluster.nodes[3].view.leader, 0);
    assert_int_equal(cluster_change(&cluster, CONSENSUS_ASSIGN, 3, CONSENSUS_VOTER), ERR_NOTFOUND);
    assert_int_equal(cluster_change(&cluster, CONSENSUS_ADD, 3, CONSENSUS_SPARE), 0);
    assert_int_equal(cluster_change(&cluster, CONSENSUS_ADD, 3, CONSENSUS_SPARE), ERR_EXISTS);
    assert_int_equal(cluster_change(&cluster, CONSENSUS_ASSIGN, 3, CONSENSUS_STANDBY), 0);
    (void)cluster_run_until(&cluster, cluster_all_applied, 2000);
    assert_int_equal(cluster.nodes[3].applied_count, 10);
    assert_int_equal(cluster_change(&cluster, CONSENSUS_ASSIGN, 3, CONSENSUS_VOTER), 0);
    cluster_run(&cluster, 200);
    assert_int_equal(cluster.nodes[3].view.server_count, 4);
    /* Four voters: two of them are no majority. */
    size_t leader = cluster_acting(&cluster);
    size_t removed = leader == 0 ? 1 : 0;
    assert_int_equal(cluster_change(&cluster, CONSENSUS_REMOVE, removed, CONSENSUS_SPARE), 0);
    cluster_crash(&cluster, removed);
    cluster_commit(&cluster, 11);
    assert_int_equal(cluster.nodes[cluster_acting(&cluster)].view.server_count, 3);
    cluster_deinit(&cluster);
}

/* The acting leader hands over; returns the new one. */
static size_t hand_over(struct cluster *cluster, size_t old)
{
    struct consensus *engine = cluster->nodes[old].engine;
    int64_t now = cluster_clock(cluster, old);
    assert_int_equal(consensus_hand_over(engine, now, 0, CONSENSUS_CAUSE_DRAIN, NULL), 0);
    consensus_managers_ended(engine, now);
    cluster_look(cluster, old);
    (void)cluster_run_until(cluster, cluster_nobody_acts, 1000);
    (void)cluster_run_until(cluster, cluster_someone_acts, 3000);
    assert_true(cluster_acting(cluster) != old);
    return cluster_acting(cluster);
}

/* The leader leaves: it hands over first, its successor removes it, and the others go on. */
static void test_leader_hands_over_before_it_is_removed(void **state)
{
    (void)state;
    struct cluster cluster;
    begin(&cluster, 3);
    cluster_run(&cluster, 200);
    size_t old = cluster_acting(&cluster);
    assert_int_equal(cluster_change(&cluster, CONSENSUS_REMOVE, old, CONSENSUS_SPARE), ERR_UNSAFE);
    assert_int_equal(cluster_change(&cluster, CONSENSUS_ASSIGN, old, CONSENSUS_STANDBY),
                     ERR_UNSAFE);
    (void)hand_over(&cluster, old);
    cluster_run(&cluster, 200);
    assert_int_equal(cluster_change(&cluster, CONSENSUS_REMOVE, old, CONSENSUS_SPARE), 0);
    cluster_crash(&cluster, old);
    cluster_commit(&cluster, 1);
    assert_int_equal(cluster.nodes[cluster_acting(&cluster)].view.server_count, 2);
    cluster_deinit(&cluster);
}

/* Two voters become one, which keeps its vote and goes on alone. */
static void test_the_last_voter_stays(void **state)
{
    (void)state;
    struct cluster cluster;
    begin(&cluster, 2);
    cluster_run(&cluster, 200);
    size_t old = cluster_acting(&cluster);
    size_t last = hand_over(&cluster, old);
    cluster_run(&cluster, 200);
    assert_int_equal(cluster_change(&cluster, CONSENSUS_ASSIGN, old, CONSENSUS_STANDBY), 0);
    assert_int_equal(cluster_change(&cluster, CONSENSUS_REMOVE, last, CONSENSUS_SPARE), ERR_UNSAFE);
    cluster_crash(&cluster, old);
    cluster_commit(&cluster, 1);
    cluster_deinit(&cluster);
}

static void test_one_node_grows_to_three(void **state)
{
    (void)state;
    struct cluster cluster;
    begin(&cluster, 1);
    cluster_commit(&cluster, 1);
    for (size_t i = 1; i < 3; i++) {
        cluster_start(&cluster, i);
        assert_int_equal(cluster_change(&cluster, CONSENSUS_ADD, i, CONSENSUS_SPARE), 0);
        assert_int_equal(cluster_change(&cluster, CONSENSUS_ASSIGN, i, CONSENSUS_VOTER), 0);
        (void)cluster_run_until(&cluster, cluster_someone_acts, 2000);
    }
    cluster_commit(&cluster, 2);
    cluster_crash(&cluster, 0);
    (void)cluster_run_until(&cluster, cluster_someone_acts, 3000);
    cluster_commit(&cluster, 3);
    cluster_deinit(&cluster);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_propose_applies_on_all),
        cmocka_unit_test(test_a_commit_is_told_at_once),
        cmocka_unit_test(test_idle_tells_nothing),
        cmocka_unit_test(test_batch_in_flight_is_lost_as_one),
        cmocka_unit_test(test_proposals_queue_up_to_a_bound),
        cmocka_unit_test(test_leader_sends_before_it_writes),
        cmocka_unit_test(test_no_heap_is_sent),
        cmocka_unit_test(test_sole_voter_commits_what_it_wrote),
        cmocka_unit_test(test_longest_command),
        cmocka_unit_test(test_cut_off_leader_fails_its_proposals),
        cmocka_unit_test(test_restart_from_disk),
        cmocka_unit_test(test_a_lost_disk_is_told),
        cmocka_unit_test(test_snapshot_reaches_a_laggard),
        cmocka_unit_test(test_membership),
        cmocka_unit_test(test_leader_hands_over_before_it_is_removed),
        cmocka_unit_test(test_the_last_voter_stays),
        cmocka_unit_test(test_one_node_grows_to_three),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
