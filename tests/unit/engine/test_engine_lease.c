/* Lease and silence as arithmetic. */
#include "consensus/lease.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static struct logbook_configuration voters(uint64_t first, uint64_t last)
{
    struct logbook_configuration configuration = {.index = first};
    for (uint64_t id = first; id <= last; id++) {
        configuration.servers[configuration.server_count++] =
            (struct consensus_server){.id = id, .role = CONSENSUS_VOTER};
    }
    return configuration;
}

static void test_quorum(void **state)
{
    (void)state;
    struct logbook_configuration three = voters(1, 3);
    struct logbook log = {.configurations = &three, .configuration_count = 1};
    struct lease lease;
    lease_clear(&lease);
    assert_int_equal(lease_quorum_ms(&lease, &log, 1, 1000), 0); /* alone of three */
    lease_answer(&lease, 2, 1000, 900, false);
    assert_int_equal(lease_quorum_ms(&lease, &log, 1, 1000), 900);
    lease_answer(&lease, 3, 1000, 950, false);
    assert_int_equal(lease_quorum_ms(&lease, &log, 1, 1000), 950);
    lease_answer(&lease, 3, 1001, 940, false); /* an older echo takes nothing back */
    assert_int_equal(lease_quorum_ms(&lease, &log, 1, 1001), 950);
    lease_answer(&lease, 2, 1001, 5000, false); /* from the future: not ours */
    lease_answer(&lease, 3, 1001, 0, true);
    assert_int_equal(lease_quorum_ms(&lease, &log, 1, 1001), 950);
    assert_true(lease_find(&lease, 3)->refuses);
    assert_null(lease_find(&lease, 9));
}

static void test_quorum_of_five_counts_voters_only(void **state)
{
    (void)state;
    struct logbook_configuration five = voters(1, 5);
    five.servers[five.server_count++] = (struct consensus_server){6, CONSENSUS_STANDBY};
    struct logbook log = {.configurations = &five, .configuration_count = 1};
    struct lease lease;
    lease_clear(&lease);
    lease_answer(&lease, 2, 1000, 990, false);
    lease_answer(&lease, 6, 1000, 999, false);
    lease_answer(&lease, 7, 1000, 999, false);
    assert_int_equal(lease_quorum_ms(&lease, &log, 1, 1000), 0); /* two of five */
    lease_answer(&lease, 4, 1000, 700, false);
    assert_int_equal(lease_quorum_ms(&lease, &log, 1, 1000), 700);
}

static void test_single_voter_echoes_itself(void **state)
{
    (void)state;
    struct logbook_configuration one = voters(1, 1);
    struct logbook log = {.configurations = &one, .configuration_count = 1};
    struct lease lease;
    lease_clear(&lease);
    assert_int_equal(lease_quorum_ms(&lease, &log, 1, 1000), 1000);
    log.configuration_count = 0;
    assert_int_equal(lease_quorum_ms(&lease, &log, 1, 1000), 0);
}

/* While a change is uncommitted, majorities of both lists. */
static void test_change_needs_both_majorities(void **state)
{
    (void)state;
    struct logbook_configuration both[2] = {voters(1, 3), voters(1, 4)};
    struct logbook log = {.configurations = both, .configuration_count = 2};
    struct lease lease;
    lease_clear(&lease);
    lease_answer(&lease, 2, 1000, 900, false);
    assert_int_equal(lease_quorum_ms(&lease, &log, 1, 1000), 0); /* two of four */
    lease_answer(&lease, 4, 1000, 800, false);
    assert_int_equal(lease_quorum_ms(&lease, &log, 1, 1000), 800);
    /* The leader that is no voter of the new list does not count in it. */
    both[1] = voters(2, 4);
    lease_answer(&lease, 3, 1000, 100, false);
    assert_int_equal(lease_quorum_ms(&lease, &log, 1, 1000), 800);
    both[1] = voters(2, 3);
    assert_int_equal(lease_quorum_ms(&lease, &log, 1, 1000), 100);
}

static void test_stretch(void **state)
{
    (void)state;
    assert_int_equal(lease_stretch(350, false), 368); /* 367.5, rounded up */
    assert_int_equal(lease_stretch(100, false), 105);
    assert_int_equal(lease_stretch(1, false), 2);
    assert_int_equal(lease_stretch(350, true), 350);
    assert_true(lease_may_echo(443, 350, 75, false));
    assert_false(lease_may_echo(442, 350, 75, false));
    assert_true(lease_may_echo(425, 350, 75, true));
}

static void test_silence(void **state)
{
    (void)state;
    struct lease_silence silence = {
        .echo_until_ms = 500, .start_until_ms = 600, .managers_until_ms = 700};
    struct consensus_switches off = {0};
    assert_int_equal(lease_silent_until(&silence, &off), 700);
    off.silence_of_former_leader = true;
    assert_int_equal(lease_silent_until(&silence, &off), 600);
    off.silence_after_start = true;
    assert_int_equal(lease_silent_until(&silence, &off), 500);
    off.silence_after_echo = true;
    assert_int_equal(lease_silent_until(&silence, &off), 0);
}

static void test_table_is_bounded(void **state)
{
    (void)state;
    struct lease lease;
    lease_clear(&lease);
    for (uint64_t id = 1; id <= 3 * NODES_MAX; id++) {
        lease_answer(&lease, id, (int64_t)id, (int64_t)id, false);
    }
    assert_int_equal(lease.count, NODES_MAX);
    assert_non_null(lease_find(&lease, 3 * NODES_MAX));
    assert_null(lease_find(&lease, 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_quorum),
        cmocka_unit_test(test_quorum_of_five_counts_voters_only),
        cmocka_unit_test(test_single_voter_echoes_itself),
        cmocka_unit_test(test_change_needs_both_majorities),
        cmocka_unit_test(test_stretch),
        cmocka_unit_test(test_silence),
        cmocka_unit_test(test_table_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
