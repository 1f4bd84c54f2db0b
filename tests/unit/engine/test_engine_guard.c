/* RG1 to RG6 and the sole voter's term, each as the pure predicate that the engine asks. */
#include "consensus/guard.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void test_second_vote(void **state)
{
    (void)state;
    struct raft_request_vote request = {.term = 7, .candidate_id = 3};
    assert_true(guard_second_vote(7, 2, &request));
    assert_false(guard_second_vote(7, 3, &request)); /* the same vote again */
    assert_false(guard_second_vote(7, 0, &request)); /* none given yet */
    assert_false(guard_second_vote(6, 2, &request)); /* of an older term */
    assert_false(guard_second_vote(8, 2, &request)); /* stale: the library refuses it */
    request.pre_vote = true;
    assert_false(guard_second_vote(7, 2, &request)); /* binds nobody */
}

static void test_barrier_due(void **state)
{
    (void)state;
    assert_true(guard_barrier_due(true, 5, 0));
    assert_true(guard_barrier_due(true, 5, 4));
    assert_false(guard_barrier_due(true, 5, 5));
    assert_false(guard_barrier_due(false, 5, 4));
}

static void test_acknowledgement(void **state)
{
    (void)state;
    struct raft_append_entries request = {.prev_log_index = 10, .n_entries = 3};
    assert_int_equal(guard_append_bound(&request), 13);
    assert_int_equal(guard_acknowledgement(20, 13), 13); /* entries of a term long gone */
    assert_int_equal(guard_acknowledgement(13, 13), 13);
    assert_int_equal(guard_acknowledgement(5, 13), 5);
}

static void test_snapshot_early(void **state)
{
    (void)state;
    assert_false(guard_snapshot_early(0, 4, 10));
    assert_false(guard_snapshot_early(0, 10, 10));
    assert_true(guard_snapshot_early(12, 4, 10)); /* tracked by the library */
    assert_true(guard_snapshot_early(0, 12, 10)); /* not tracked: read from disk at a restart */
}

static void append(struct logbook *log, uint64_t term, enum consensus_entry_type type)
{
    /* format 1, one server: id 1, address "1", voter */
    static const uint8_t change[24] = {1, 1, 0, 0, 0, 0, 0, 0,   0, 1,
                                       0, 0, 0, 0, 0, 0, 0, '1', 0, 1};
    struct consensus_entry entry = {.term = term, .type = type};
    if (type == CONSENSUS_ENTRY_CHANGE) {
        entry.bytes = change;
        entry.length = sizeof change;
    }
    assert_int_equal(logbook_append(log, &entry, 1, NULL), 0);
}

/* 1 change term 1, 2 command term 1, 3 change term 2, 4 command term 2 */
static void fill(struct logbook *log)
{
    logbook_init(log);
    append(log, 1, CONSENSUS_ENTRY_CHANGE);
    append(log, 1, CONSENSUS_ENTRY_COMMAND);
    append(log, 2, CONSENSUS_ENTRY_CHANGE);
    append(log, 2, CONSENSUS_ENTRY_COMMAND);
}

static void test_truncation(void **state)
{
    (void)state;
    struct logbook log;
    fill(&log);
    struct raft_entry entries[3] = {{.term = 1}, {.term = 3}, {.term = 3}};
    struct raft_append_entries request = {
        .term = 3, .prev_log_index = 1, .prev_log_term = 1, .entries = entries, .n_entries = 3};
    assert_int_equal(guard_truncation(&log, 2, &request), 3); /* the change at 3 would be lost */
    request.n_entries = 1;
    assert_int_equal(guard_truncation(&log, 1, &request), 0); /* no conflict */
    entries[1].term = 2;
    request.n_entries = 3;
    assert_int_equal(guard_truncation(&log, 1, &request), 0); /* conflict at 4: a command only */
    request.prev_log_index = 4;
    assert_int_equal(guard_truncation(&log, 1, &request), 0); /* behind our end */
    entries[1].term = 3;
    request.prev_log_index = 1;
    assert_int_equal(guard_truncation(&log, 3, &request), 0); /* committed: not ours to truncate */
    logbook_deinit(&log);
}

static void test_snapshot_truncation(void **state)
{
    (void)state;
    struct logbook log;
    fill(&log);
    struct raft_install_snapshot request = {.term = 4, .last_index = 4, .last_term = 1};
    assert_int_equal(guard_snapshot_truncation(&log, 2, &request), 4);
    request.last_term = 2;
    assert_int_equal(guard_snapshot_truncation(&log, 2, &request), 0); /* the same entry */
    request.last_index = 9;
    assert_int_equal(guard_snapshot_truncation(&log, 2, &request), 0); /* not here */
    request.last_index = 2;
    request.last_term = 2;
    assert_int_equal(guard_snapshot_truncation(&log, 2, &request), 0); /* committed */
    logbook_deinit(&log);
}

static void test_refusal_term(void **state)
{
    (void)state;
    struct raft_request_vote_result result = {.term = 5, .pre_vote = raft_tribool_true};
    assert_int_equal(guard_refusal_term(9, &result), 9);
    assert_int_equal(guard_refusal_term(5, &result), 5);
    assert_int_equal(guard_refusal_term(4, &result), 5);
    result.vote_granted = true;
    assert_int_equal(guard_refusal_term(9, &result), 5);
    result.vote_granted = false;
    result.pre_vote = raft_tribool_false;
    assert_int_equal(guard_refusal_term(9, &result), 5);
}

static void test_stale_refusal(void **state)
{
    (void)state;
    struct raft_append_entries_result result = {.term = 5, .rejected = 81, .last_log_index = 0};
    assert_true(guard_stale_refusal(81, &result));
    assert_true(guard_stale_refusal(90, &result));
    assert_false(guard_stale_refusal(80, &result));
    assert_false(guard_stale_refusal(0, &result));
    result.rejected = 0; /* a success */
    assert_false(guard_stale_refusal(81, &result));
}

static void test_known_prefix(void **state)
{
    (void)state;
    struct logbook log = {.snapshot_index = 50, .snapshot_term = 3, .first_index = 41};
    struct raft_append_entries request = {.term = 4, .n_entries = 60};
    assert_int_equal(guard_known_prefix(&log, &request), 50); /* from the very first entry on */
    request.prev_log_index = 39;
    assert_int_equal(guard_known_prefix(&log, &request), 50);
    request.prev_log_index = 40; /* of which the library no longer knows the term */
    assert_int_equal(guard_known_prefix(&log, &request), 50);
    request.prev_log_index = 41;
    assert_int_equal(guard_known_prefix(&log, &request), 0);
    log.first_index = 51;
    assert_int_equal(guard_known_prefix(&log, &request), 50);
    request.prev_log_index = 50;
    assert_int_equal(guard_known_prefix(&log, &request), 0);
    log = (struct logbook){.first_index = 1};
    request.prev_log_index = 0;
    assert_int_equal(guard_known_prefix(&log, &request), 0); /* no snapshot: nothing is gone */
}

static void test_sole_voter(void **state)
{
    (void)state;
    struct logbook_configuration configuration = {
        .server_count = 3,
        .servers = {{1, CONSENSUS_STANDBY}, {2, CONSENSUS_VOTER}, {3, CONSENSUS_SPARE}}};
    assert_true(guard_sole_voter(&configuration, 2));
    assert_false(guard_sole_voter(&configuration, 1));
    assert_false(guard_sole_voter(&configuration, 9));
    assert_false(guard_sole_voter(NULL, 2));
    configuration.servers[0].role = CONSENSUS_VOTER;
    assert_false(guard_sole_voter(&configuration, 2));
}

static void test_withheld(void **state)
{
    (void)state;
    struct logbook_configuration lists[3] = {
        {.index = 4, .server_count = 2, .servers = {{1, CONSENSUS_VOTER}, {2, CONSENSUS_VOTER}}},
        {.index = 9, .server_count = 2, .servers = {{1, CONSENSUS_VOTER}, {2, CONSENSUS_STANDBY}}},
        {.index = 12, .server_count = 1, .servers = {{2, CONSENSUS_STANDBY}}}};
    struct logbook log = {.configurations = lists, .configuration_count = 3};
    assert_int_equal(guard_withheld(&log, 8, 2), 9);
    assert_int_equal(guard_withheld(&log, 9, 2), 0);  /* committed */
    assert_int_equal(guard_withheld(&log, 8, 1), 12); /* removed */
    assert_int_equal(guard_withheld(&log, 8, 3), 0);  /* a stranger */
    assert_int_equal(guard_withheld(&log, 3, 2), 9);
    lists[2].servers[0].role = CONSENSUS_VOTER;
    assert_int_equal(guard_withheld(&log, 3, 2), 0); /* a voter again: its vote is needed */
    log.configuration_count = 1;
    assert_int_equal(guard_withheld(&log, 0, 2), 0); /* nothing to compare with */
}

static void test_votes_too(void **state)
{
    (void)state;
    struct logbook_configuration list = {.server_count = 2,
                                         .servers = {{1, CONSENSUS_VOTER}, {2, CONSENSUS_STANDBY}}};
    assert_true(guard_votes_too(&list, 2));
    assert_true(guard_votes_too(&list, 3));
    assert_false(guard_votes_too(&list, 1));
    assert_false(guard_votes_too(NULL, 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_second_vote),     cmocka_unit_test(test_barrier_due),
        cmocka_unit_test(test_acknowledgement), cmocka_unit_test(test_snapshot_early),
        cmocka_unit_test(test_truncation),      cmocka_unit_test(test_snapshot_truncation),
        cmocka_unit_test(test_refusal_term),    cmocka_unit_test(test_known_prefix),
        cmocka_unit_test(test_withheld),        cmocka_unit_test(test_votes_too),
        cmocka_unit_test(test_sole_voter),      cmocka_unit_test(test_stale_refusal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
