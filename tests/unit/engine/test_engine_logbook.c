/* The remembered log, and the two entry formats. */
#include "consensus/logbook.h"
#include "consensus/wire_raft.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void test_command_round_trip(void **state)
{
    (void)state;
    uint8_t command[COMMAND_BYTES_MAX];
    uint8_t entry[LOGBOOK_COMMAND_ENTRY_MAX];
    for (size_t i = 0; i < sizeof command; i++) {
        command[i] = (uint8_t)(i * 7);
    }
    for (size_t length = 0; length <= sizeof command; length += length < 20 ? 1 : 509) {
        size_t size = logbook_command_size(length);
        const uint8_t *back;
        size_t back_length;
        assert_int_equal(size % 8, 0);
        logbook_command_write(entry, command, length);
        assert_int_equal(logbook_command_read(entry, size, &back, &back_length, NULL), 0);
        assert_int_equal(back_length, length);
        assert_memory_equal(back, command, length);
        assert_int_equal(logbook_command_read(entry, size - 1, &back, &back_length, NULL),
                         ERR_CORRUPT);
        assert_int_equal(logbook_command_read(entry, size + 8, &back, &back_length, NULL),
                         ERR_CORRUPT);
    }
}

/* As the library encodes it, so that a change of its format is noticed. */
static struct raft_buffer encoded(const struct consensus_server *servers, size_t count)
{
    struct raft_configuration configuration;
    struct raft_buffer buffer;
    assert_int_equal(wire_raft_configuration(servers, count, &configuration, NULL), 0);
    assert_int_equal(raft_configuration_encode(&configuration, &buffer), 0);
    raft_configuration_close(&configuration);
    return buffer;
}

static const struct consensus_server three[3] = {
    {1, CONSENSUS_VOTER}, {UINT64_MAX, CONSENSUS_STANDBY}, {1234567, CONSENSUS_SPARE}};

static void test_change_round_trip(void **state)
{
    (void)state;
    struct raft_buffer buffer = encoded(three, 3);
    struct logbook_configuration back;
    size_t used;
    assert_int_equal(logbook_change_read(buffer.base, buffer.len, &back, &used, NULL), 0);
    assert_true(used <= buffer.len && buffer.len - used < 8);
    assert_int_equal(back.server_count, 3);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(back.servers[i].id, three[i].id);
        assert_int_equal(back.servers[i].role, three[i].role);
    }
    assert_int_equal(logbook_voter_count(&back), 1);
    assert_true(logbook_is_voter(&back, 1));
    assert_false(logbook_is_voter(&back, 1234567));
    raft_free(buffer.base);
}

static void test_change_truncated_or_changed(void **state)
{
    (void)state;
    struct raft_buffer buffer = encoded(three, 3);
    struct logbook_configuration back;
    for (size_t length = 0; length < buffer.len; length++) {
        uint8_t *exact = malloc(length + 1); /* so that a read past the end is seen */
        memcpy(exact, buffer.base, length);
        uint8_t *fitted = realloc(exact, length > 0 ? length : 1);
        assert_int_equal(logbook_change_read(fitted, length, &back, NULL, NULL), ERR_CORRUPT);
        free(fitted);
    }
    size_t used;
    assert_int_equal(logbook_change_read(buffer.base, buffer.len, &back, &used, NULL), 0);
    uint8_t *bytes = buffer.base;
    for (size_t i = 0; i < used; i++) {
        for (int bit = 0; bit < 8; bit++) {
            bytes[i] ^= (uint8_t)(1 << bit);
            if (logbook_change_read(bytes, buffer.len, &back, NULL, NULL) == 0) {
                /* Only a role may turn into another one; id and address check one another. */
                assert_true(back.servers[0].role != three[0].role ||
                            back.servers[1].role != three[1].role ||
                            back.servers[2].role != three[2].role);
            }
            bytes[i] ^= (uint8_t)(1 << bit);
        }
    }
    raft_free(buffer.base);
}

static void add(struct logbook *log, uint64_t term, const struct raft_buffer *change)
{
    struct consensus_entry entry = {.term = term, .type = CONSENSUS_ENTRY_COMMAND};
    if (change != NULL) {
        entry.type = CONSENSUS_ENTRY_CHANGE;
        entry.bytes = change->base;
        entry.length = change->len;
    }
    assert_int_equal(logbook_append(log, &entry, 1, NULL), 0);
}

static void test_configurations_follow_the_log(void **state)
{
    (void)state;
    struct raft_buffer one = encoded(three, 1);
    struct raft_buffer two = encoded(three, 2);
    struct logbook log;
    logbook_init(&log);
    assert_null(logbook_newest_configuration(&log));
    add(&log, 1, &one);
    add(&log, 1, NULL);
    add(&log, 2, &two);
    add(&log, 2, NULL);
    assert_int_equal(log.configuration_count, 2);
    logbook_committed(&log, 2);
    assert_int_equal(log.configuration_count, 2); /* the one in force and the one to come */
    assert_int_equal(logbook_newest_configuration(&log)->index, 3);
    assert_true(logbook_changes_from(&log, 3));
    assert_false(logbook_changes_from(&log, 4));
    logbook_truncate(&log, 3); /* rolled back */
    assert_int_equal(log.configuration_count, 1);
    assert_int_equal(logbook_newest_configuration(&log)->index, 1);
    assert_int_equal(logbook_last_index(&log), 2);
    add(&log, 3, &two);
    logbook_committed(&log, 3);
    assert_int_equal(log.configuration_count, 1);
    assert_int_equal(logbook_newest_configuration(&log)->index, 3);
    logbook_deinit(&log);
    raft_free(one.base);
    raft_free(two.base);
}

static void test_snapshots(void **state)
{
    (void)state;
    struct raft_buffer one = encoded(three, 1);
    struct logbook log;
    logbook_init(&log);
    add(&log, 1, &one);
    for (int i = 0; i < 9; i++) {
        add(&log, 2, NULL);
    }
    struct consensus_snapshot_meta meta = {
        .index = 8, .term = 2, .configuration_index = 1, .server_count = 1};
    meta.servers[0] = three[0];
    assert_int_equal(logbook_snapshot(&log, &meta, 3, NULL), 0); /* our own: keeps 6, 7, 8 */
    assert_int_equal(log.first_index, 6);
    assert_int_equal(logbook_term_of(&log, 5), 0);
    assert_int_equal(logbook_term_of(&log, 6), 2);
    assert_int_equal(logbook_last_index(&log), 10);
    meta.index = 20;
    meta.term = 4;
    meta.configuration_index = 15;
    assert_int_equal(logbook_snapshot(&log, &meta, 0, NULL), 0); /* a leader's: replaces all */
    assert_int_equal(logbook_last_index(&log), 20);
    assert_int_equal(logbook_last_term(&log), 4);
    assert_int_equal(logbook_newest_configuration(&log)->index, 15);
    logbook_deinit(&log);
    raft_free(one.base);
}

static int load(const struct consensus_stored *stored)
{
    struct logbook log;
    logbook_init(&log);
    int rc = logbook_load(&log, stored, NULL);
    logbook_deinit(&log);
    return rc;
}

static void test_load_refuses_damage(void **state)
{
    (void)state;
    struct raft_buffer one = encoded(three, 1);
    struct consensus_entry entries[3] = {
        {.term = 1, .type = CONSENSUS_ENTRY_CHANGE, .bytes = one.base, .length = one.len},
        {.term = 2, .type = CONSENSUS_ENTRY_COMMAND},
        {.term = 3, .type = CONSENSUS_ENTRY_BARRIER}};
    struct consensus_stored stored = {
        .term = 3, .first_index = 1, .entries = entries, .entry_count = 3};
    assert_int_equal(load(&stored), 0);
    stored.first_index = 2; /* a hole in front */
    assert_int_equal(load(&stored), ERR_CORRUPT);
    stored.first_index = 0;
    assert_int_equal(load(&stored), ERR_CORRUPT);
    stored.first_index = 1;
    entries[2].term = 1; /* terms never fall */
    assert_int_equal(load(&stored), ERR_CORRUPT);
    entries[2].term = 3;
    entries[0].type = CONSENSUS_ENTRY_COMMAND; /* the first one is a configuration */
    assert_int_equal(load(&stored), ERR_CORRUPT);
    entries[0].type = CONSENSUS_ENTRY_CHANGE;
    stored.has_snapshot = true;
    stored.snapshot = (struct consensus_snapshot_meta){
        .index = 5, .term = 3, .configuration_index = 1, .server_count = 1};
    assert_int_equal(load(&stored), ERR_CORRUPT); /* entries 1 to 3 do not reach the snapshot */
    stored.snapshot.index = 2;
    assert_int_equal(load(&stored), 0);
    raft_free(one.base);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_command_round_trip),
        cmocka_unit_test(test_change_round_trip),
        cmocka_unit_test(test_change_truncated_or_changed),
        cmocka_unit_test(test_configurations_follow_the_log),
        cmocka_unit_test(test_snapshots),
        cmocka_unit_test(test_load_refuses_damage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
