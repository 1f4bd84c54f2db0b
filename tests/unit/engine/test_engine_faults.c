/* What the guards, the silence and the boundary do when something is wrong. */
#include "tests/unit/engine/cluster.h"

#include <inttypes.h>
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
    (void)cluster_run_until(cluster, cluster_someone_acts, 3000);
    cluster_run(cluster, 300);
}

static struct consensus_counters counters(const struct cluster *cluster, size_t i)
{
    struct consensus_counters counted;
    consensus_counters(cluster->nodes[i].engine, &counted);
    return counted;
}

static size_t other(size_t leader)
{
    return leader == 0 ? 1 : 0;
}

static void test_broken_disk_is_fatal(void **state)
{
    (void)state;
    struct cluster cluster;
    begin(&cluster, 3);
    size_t old = cluster_acting(&cluster);
    cluster.nodes[old].disk.broken = true;
    assert_int_equal(cluster_propose(&cluster, old, 1), 0);
    assert_non_null(consensus_fatal(cluster.nodes[old].engine));
    assert_non_null(strstr(consensus_fatal(cluster.nodes[old].engine), "broken"));
    assert_false(cluster.nodes[old].view.acting);
    uint64_t sent = counters(&cluster, old).sent;
    cluster_run(&cluster, 200);
    assert_int_equal(counters(&cluster, old).sent, sent); /* it promises nothing more */
    cluster_crash(&cluster, old);
    (void)cluster_run_until(&cluster, cluster_someone_acts, 3000);
    cluster.nodes[old].disk.broken = false;
    cluster_start(&cluster, old);
    cluster_commit(&cluster, 2);
    cluster_deinit(&cluster);
}

/* The library frees its configuration when the entry cannot be written, and would again at its end:
 * only its end must follow, without a crash. */
static void test_broken_disk_at_a_change(void **state)
{
    (void)state;
    for (int removes = 0; removes < 2; removes++) {
        struct cluster cluster;
        begin(&cluster, 3);
        size_t old = cluster_acting(&cluster);
        cluster.nodes[old].disk.broken = true;
        struct err err = {0};
        uint64_t id = removes != 0 ? cluster.nodes[other(old)].id : 8;
        assert_int_not_equal(consensus_change(cluster.nodes[old].engine,
                                              cluster_clock(&cluster, old),
                                              removes != 0 ? CONSENSUS_REMOVE : CONSENSUS_ADD, id,
                                              CONSENSUS_SPARE, 7, &err),
                             0);
        assert_non_null(consensus_fatal(cluster.nodes[old].engine));
        cluster_look(&cluster, old);
        assert_false(cluster.nodes[old].view.acting);
        cluster_crash(&cluster, old);
        cluster.nodes[old].disk.broken = false;
        cluster_start(&cluster, old);
        (void)cluster_run_until(&cluster, cluster_someone_acts, 3000);
        cluster_commit(&cluster, 2);
        cluster_deinit(&cluster);
    }
}

/* On a follower the failing write is that of an entry, of a term, and of a snapshot. */
static void test_broken_disk_of_a_follower(void **state)
{
    (void)state;
    struct cluster cluster;
    begin(&cluster, 3);
    size_t leader = cluster_acting(&cluster);
    size_t follower = other(leader);
    cluster.nodes[follower].disk.broken = true;
    assert_int_equal(cluster_propose(&cluster, leader, 1), 0);
    cluster_run(&cluster, 10);
    assert_non_null(consensus_fatal(cluster.nodes[follower].engine));
    cluster_crash(&cluster, follower);
    cluster.nodes[follower].disk.broken = false;
    cluster_start(&cluster, follower);
    (void)cluster_run_until(&cluster, cluster_all_applied, 1000);
    cluster_deinit(&cluster);
}

static void test_broken_disk_at_a_snapshot(void **state)
{
    (void)state;
    struct cluster cluster;
    cluster_init(&cluster, 3);
    cluster.snapshot_threshold = 10;
    cluster.snapshot_trailing = 5;
    cluster_start_all(&cluster);
    (void)cluster_run_until(&cluster, cluster_someone_acts, 3000);
    size_t laggard = other(cluster_acting(&cluster));
    cluster_isolate(&cluster, laggard, true);
    for (uint64_t i = 1; i <= 40; i++) {
        cluster_commit(&cluster, i);
    }
    cluster_run(&cluster, 1000);
    unsigned writes = cluster.nodes[laggard].disk.writes;
    cluster.nodes[laggard].disk.broken = true;
    cluster_isolate(&cluster, laggard, false);
    cluster_run(&cluster, 1000);
    assert_int_equal(cluster.nodes[laggard].disk.writes, writes);
    assert_non_null(consensus_fatal(cluster.nodes[laggard].engine));
    cluster_deinit(&cluster);
}

/* A voter whose own silence is too short for the leader's lease does not echo, and says so once. */
static void test_short_silence_does_not_echo(void **state)
{
    (void)state;
    struct cluster cluster;
    cluster_init(&cluster, 3);
    for (size_t i = 0; i < 3; i++) {
        cluster.nodes[i].election_timeout_ms = i == 2 ? 1000 : CLUSTER_ELECTION_MS;
        cluster.nodes[i].lease_ttl_ms = i == 2 ? 800 : CLUSTER_LEASE_MS;
    }
    cluster_start_all(&cluster);
    while (cluster.nodes[2].view.state != CONSENSUS_LEADER) {
        cluster_run(&cluster, 1);
        assert_true(cluster.now_ms < 5000);
    }
    cluster_run(&cluster, 2000);
    const struct consensus_view *view = &cluster.nodes[2].view;
    assert_int_equal(view->state, CONSENSUS_LEADER);
    assert_true(view->ready);
    assert_false(view->acting); /* without a majority's echo there is no lease */
    assert_int_equal(view->lease_end_ms, 0);
    for (size_t i = 0; i < 2; i++) {
        assert_true(view->no_echo[i]);
        assert_true(view->last_contact_ms[i] >= 0);
        assert_int_equal(cluster.nodes[i].notices[CONSENSUS_NOTICE_NO_ECHO], 1);
        assert_non_null(strstr(cluster.nodes[i].last[CONSENSUS_NOTICE_NO_ECHO].text, "800"));
        assert_int_equal(cluster.nodes[i].view.silent_until_ms, 0);
    }
    cluster_deinit(&cluster);
}

/* A voter that hears nothing asks and asks; those who hear the leader do not even answer. */
static void test_silence_keeps_a_deaf_voter_out(void **state)
{
    (void)state;
    struct cluster cluster;
    begin(&cluster, 3);
    size_t leader = cluster_acting(&cluster);
    size_t deaf = other(leader);
    size_t third = 3 - leader - deaf;
    uint64_t term = cluster.nodes[leader].view.term;
    cluster.cut[leader][deaf] = true;
    cluster_run(&cluster, 5000);
    assert_true(cluster.nodes[leader].view.acting);
    assert_int_equal(cluster.nodes[leader].view.term, term);
    assert_true(counters(&cluster, third).votes_silenced > 5);
    assert_true(cluster.nodes[third].view.silent_until_ms > 0);
    cluster_deinit(&cluster);
}

/* A leader that must step down with lease left: its own vote is under silence until its managers
 * have ended. */
static void test_former_leader_is_silent(void **state)
{
    (void)state;
    struct cluster cluster;
    begin(&cluster, 3);
    size_t old = cluster_acting(&cluster);
    size_t next = other(old);
    int64_t end = cluster.nodes[old].view.lease_end_ms;
    assert_int_equal(consensus_stand(cluster.nodes[next].engine, cluster_clock(&cluster, next),
                                     old + 1, cluster.nodes[next].view.term, false, 0, NULL),
                     0);
    cluster_run(&cluster, 2);
    const struct cluster_node *node = &cluster.nodes[old];
    assert_int_equal(node->view.state, CONSENSUS_FOLLOWER);
    assert_false(node->view.acting);
    assert_int_equal(consensus_may_act_until_ms(node->engine, cluster_clock(&cluster, old)), 0);
    assert_true(node->view.silent_until_ms >= end);
    consensus_managers_ended(node->engine, cluster_clock(&cluster, old));
    cluster_look(&cluster, old);
    assert_true(node->view.silent_until_ms == 0 ||
                node->view.silent_until_ms > end); /* by an echo to the new leader at most */
    cluster_deinit(&cluster);
}

/* The leader is cut off with a change of the configuration that nobody else has. */
static size_t leave_uncommitted_change(struct cluster *cluster)
{
    begin(cluster, 3);
    cluster_commit(cluster, 1);
    size_t old = cluster_acting(cluster);
    cluster_isolate(cluster, old, true);
    assert_int_equal(consensus_change(cluster->nodes[old].engine, cluster_clock(cluster, old),
                                      CONSENSUS_ADD, 4, CONSENSUS_SPARE, 9, NULL),
                     0);
    cluster_look(cluster, old);
    assert_true(cluster->nodes[old].view.configuration_changing);
    assert_int_equal(cluster->nodes[old].view.server_count, 4);
    cluster_run(cluster, 2000);
    assert_int_equal(cluster->nodes[old].last[CONSENSUS_NOTICE_CHANGE].status, ERR_STALE);
    return old;
}

static void test_lost_change_is_rolled_back_by_reload(void **state)
{
    (void)state;
    struct cluster cluster;
    size_t old = leave_uncommitted_change(&cluster);
    cluster_commit(&cluster, 2);
    cluster_isolate(&cluster, old, false);
    (void)cluster_run_until(&cluster, cluster_all_applied, 3000);
    assert_int_equal(counters(&cluster, old).reloads, 1);
    assert_int_equal(cluster.nodes[old].notices[CONSENSUS_NOTICE_RELOADED], 1);
    assert_int_equal(cluster.nodes[old].view.server_count, 3);
    assert_false(cluster.nodes[old].view.configuration_changing);
    /* Applied once: the reload replays nothing. */
    assert_int_equal(cluster.nodes[old].applied_count, 2);
    cluster_deinit(&cluster);
}

/* The same, but what it missed comes as a snapshot. */
static void test_lost_change_and_a_snapshot(void **state)
{
    (void)state;
    struct cluster cluster;
    cluster_init(&cluster, 3);
    cluster.snapshot_threshold = 10;
    cluster.snapshot_trailing = 5;
    cluster_start_all(&cluster);
    (void)cluster_run_until(&cluster, cluster_someone_acts, 3000);
    cluster_run(&cluster, 300);
    size_t old = cluster_acting(&cluster);
    cluster_isolate(&cluster, old, true);
    assert_int_equal(consensus_change(cluster.nodes[old].engine, cluster_clock(&cluster, old),
                                      CONSENSUS_ADD, 4, CONSENSUS_SPARE, 9, NULL),
                     0);
    cluster_run(&cluster, 2000);
    for (uint64_t i = 1; i <= 40; i++) {
        cluster_commit(&cluster, i);
    }
    cluster_isolate(&cluster, old, false);
    (void)cluster_run_until(&cluster, cluster_all_applied, 5000);
    assert_true(cluster.nodes[old].disk.has_snapshot);
    assert_true(counters(&cluster, old).reloads >= 1);
    assert_int_equal(cluster.nodes[old].view.server_count, 3);
    assert_false(cluster.nodes[old].view.configuration_changing);
    assert_int_equal(cluster.nodes[old].applied_count, 40);
    cluster_deinit(&cluster);
}

static uint8_t kept[65536];
static size_t kept_length;

/* Keep the longest append to node 3: the one that brings it everything from the first entry on. */
static bool keep_longest_append(struct cluster *cluster, size_t from, size_t to,
                                const uint8_t *bytes, size_t length)
{
    (void)cluster;
    (void)from;
    if (to == 3 && length > kept_length && length <= sizeof kept && bytes[2] == 1) {
        memcpy(kept, bytes, length);
        kept_length = length;
    }
    return false;
}

/* A late append of entries that the log has left behind must not be appended once more. */
static void test_late_append_from_the_first_entry_on(void **state)
{
    (void)state;
    struct cluster cluster;
    cluster_init(&cluster, 3);
    cluster.snapshot_threshold = 30;
    cluster.snapshot_trailing = 5;
    cluster_start_all(&cluster);
    (void)cluster_run_until(&cluster, cluster_someone_acts, 3000);
    cluster_run(&cluster, 300);
    for (uint64_t i = 1; i <= 15; i++) {
        cluster_commit(&cluster, i);
    }
    kept_length = 0;
    cluster.filter = keep_longest_append;
    cluster_start(&cluster, 3);
    assert_int_equal(cluster_change(&cluster, CONSENSUS_ADD, 3, CONSENSUS_SPARE), 0);
    assert_int_equal(cluster_change(&cluster, CONSENSUS_ASSIGN, 3, CONSENSUS_STANDBY), 0);
    (void)cluster_run_until(&cluster, cluster_all_applied, 2000);
    cluster.filter = NULL;
    assert_true(kept_length > 15 * 16);
    for (uint64_t i = 16; i <= 60; i++) {
        cluster_commit(&cluster, i);
    }
    struct cluster_node *node = &cluster.nodes[3];
    assert_true(node->disk.first_index > 1);
    uint64_t last = node->view.last_index;
    consensus_receive(node->engine, cluster_clock(&cluster, 3), cluster_acting(&cluster) + 1, kept,
                      kept_length);
    cluster_look(&cluster, 3);
    assert_null(consensus_fatal(node->engine));
    assert_int_equal(node->view.last_index, last);
    assert_int_equal(disk_last_index(&node->disk), last);
    cluster_commit(&cluster, 61);
    assert_int_equal(node->applied_count, 61);
    cluster_deinit(&cluster);
}

/* Demoted while cut off, it still thinks that it votes, and stands with the disrupt flag. */
static void test_demoted_server_cannot_depose(void **state)
{
    (void)state;
    struct cluster cluster;
    begin(&cluster, 5);
    size_t leader = cluster_acting(&cluster);
    size_t cut = other(leader);
    cluster_isolate(&cluster, cut, true);
    assert_int_equal(cluster_change(&cluster, CONSENSUS_ASSIGN, cut, CONSENSUS_SPARE), 0);
    cluster_run(&cluster, 200);
    uint64_t term = cluster.nodes[leader].view.term;
    struct cluster_node *node = &cluster.nodes[cut];
    if (node->view.leader == leader + 1) {
        assert_int_equal(consensus_stand(node->engine, cluster_clock(&cluster, cut), leader + 1,
                                         node->view.term, false, 0, NULL),
                         0);
    }
    cluster_isolate(&cluster, cut, false);
    cluster_run(&cluster, 5000);
    assert_true(node->view.term > term); /* it did try */
    assert_int_equal(cluster_acting(&cluster), leader);
    assert_int_equal(cluster.nodes[leader].view.term, term);
    cluster_deinit(&cluster);
}

static void test_longer_election_timeout(void **state)
{
    (void)state;
    struct cluster cluster;
    begin(&cluster, 3);
    for (size_t i = 0; i < 3; i++) {
        consensus_set_election_timeout(cluster.nodes[i].engine, cluster_clock(&cluster, i), 1500);
    }
    cluster_run(&cluster, 200);
    size_t old = cluster_acting(&cluster);
    assert_true(cluster.nodes[old].view.lease_end_ms <=
                cluster_clock(&cluster, old) + CLUSTER_LEASE_MS); /* never the lease */
    cluster_crash(&cluster, old);
    int64_t ms = cluster_run_until(&cluster, cluster_someone_acts, 5000);
    assert_true(ms >= 1500 - CLUSTER_HEARTBEAT_MS - 5);
    assert_true(ms <= 2 * 1500);
    cluster_deinit(&cluster);
}

static void assert_timeouts(const struct cluster *cluster, int64_t least, int64_t most)
{
    for (size_t i = 0; i < 3; i++) {
        struct consensus_view view;
        consensus_view(cluster->nodes[i].engine, cluster_clock(cluster, i), &view);
        assert_in_range(view.election_timeout_ms, least, most);
    }
}

/* The leader's stall is told by its heartbeats; without more of them all come back. */
static void test_timeouts_adapt_and_return(void **state)
{
    (void)state;
    struct cluster cluster;
    begin(&cluster, 3);
    size_t leader = cluster_acting(&cluster);
    uint64_t term = cluster.nodes[leader].view.term;
    consensus_note_stall(cluster.nodes[leader].engine, cluster_clock(&cluster, leader), 500);
    cluster_run(&cluster, 200);
    assert_timeouts(&cluster, 1000, 1200);
    assert_true(cluster.nodes[leader].view.lease_end_ms <=
                cluster_clock(&cluster, leader) + CLUSTER_LEASE_MS); /* never the lease */
    cluster_run(&cluster, 40000);
    assert_timeouts(&cluster, 1000, 1200);
    cluster_run(&cluster, 50000);
    assert_timeouts(&cluster, 0, 600);
    assert_int_equal(cluster_acting(&cluster), leader);
    assert_int_equal(cluster.nodes[leader].view.term, term);
    cluster_deinit(&cluster);
}

/* The simulator's switch: completions that come late still come, and memory is freed. */
static void test_delayed_completions_still_work(void **state)
{
    (void)state;
    struct cluster cluster;
    cluster_init(&cluster, 3);
    cluster.off.completions_at_once = true;
    cluster_start_all(&cluster);
    (void)cluster_run_until(&cluster, cluster_someone_acts, 10000);
    cluster_commit(&cluster, 1);
    assert_int_equal(cluster_propose(&cluster, cluster_acting(&cluster), 2), 0);
    cluster_deinit(&cluster); /* with one under way */
}

/* The library frees a configuration twice whose entry could not be stored. */
static void test_change_that_cannot_be_stored_is_the_end(void **state)
{
    (void)state;
    const enum consensus_change changes[] = {CONSENSUS_ADD, CONSENSUS_ASSIGN, CONSENSUS_REMOVE};
    for (size_t i = 0; i < 3; i++) {
        struct cluster cluster;
        begin(&cluster, 3);
        size_t leader = cluster_acting(&cluster);
        struct cluster_node *node = &cluster.nodes[leader];
        node->disk.broken = true;
        uint64_t id = changes[i] == CONSENSUS_ADD ? 9 : other(leader) + 1;
        struct err err = {0};
        assert_int_not_equal(consensus_change(node->engine, cluster_clock(&cluster, leader),
                                              changes[i], id, CONSENSUS_SPARE, 77, &err),
                             0);
        assert_non_null(consensus_fatal(node->engine));
        struct consensus_view view;
        consensus_view(node->engine, cluster_clock(&cluster, leader), &view);
        cluster_deinit(&cluster);
    }
}

static void test_create_refuses_unsafe_times(void **state)
{
    (void)state;
    struct disk disk;
    disk_init(&disk);
    struct consensus_config config = {.id = 1,
                                      .heartbeat_ms = 75,
                                      .election_timeout_ms = 442,
                                      .lease_ttl_ms = 350,
                                      .storage = disk_storage(&disk)};
    struct consensus *engine = NULL;
    struct err err = {0};
    assert_int_equal(consensus_create(&config, 0, &engine, &err), ERR_INVALID);
    assert_null(engine);
    consensus_destroy(&engine);
    consensus_destroy(NULL);
    disk_deinit(&disk);
}

static void test_ids_of_keys(void **state)
{
    (void)state;
    uint64_t one = consensus_id_of_key("rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7");
    assert_true(one != 0);
    assert_true(one == consensus_id_of_key("rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7"));
    assert_true(one != consensus_id_of_key("rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf8"));
    assert_string_equal(consensus_cause_name(CONSENSUS_CAUSE_CRASH_EVIDENCE), "crash_evidence");
    assert_string_equal(consensus_cause_name((enum consensus_cause)99), "unknown");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_broken_disk_is_fatal),
        cmocka_unit_test(test_broken_disk_at_a_change),
        cmocka_unit_test(test_broken_disk_of_a_follower),
        cmocka_unit_test(test_broken_disk_at_a_snapshot),
        cmocka_unit_test(test_short_silence_does_not_echo),
        cmocka_unit_test(test_silence_keeps_a_deaf_voter_out),
        cmocka_unit_test(test_former_leader_is_silent),
        cmocka_unit_test(test_lost_change_is_rolled_back_by_reload),
        cmocka_unit_test(test_lost_change_and_a_snapshot),
        cmocka_unit_test(test_late_append_from_the_first_entry_on),
        cmocka_unit_test(test_demoted_server_cannot_depose),
        cmocka_unit_test(test_longer_election_timeout),
        cmocka_unit_test(test_delayed_completions_still_work),
        cmocka_unit_test(test_timeouts_adapt_and_return),
        cmocka_unit_test(test_change_that_cannot_be_stored_is_the_end),
        cmocka_unit_test(test_create_refuses_unsafe_times),
        cmocka_unit_test(test_ids_of_keys),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
