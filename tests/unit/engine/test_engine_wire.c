/* The wire: round trips, every truncation, random bytes, and what a peer must not say. */
#include "node/base/rng.h"
#include "tests/unit/engine/wire_samples.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static int decode(const uint8_t *bytes, size_t length, struct wire_message *ret)
{
    return wire_raft_decode(bytes, length, WIRE_SAMPLE_SENDER, ret, NULL);
}

static void test_round_trip(void **state)
{
    (void)state;
    struct mp_writer first;
    struct mp_writer second;
    mp_writer_init(&first, WIRE_SNAPSHOT_BYTES_MAX);
    mp_writer_init(&second, WIRE_SNAPSHOT_BYTES_MAX);
    for (size_t i = 0; i < WIRE_SAMPLE_COUNT; i++) {
        struct wire_message message;
        wire_sample(i, &first);
        assert_int_equal(decode(first.buffer.data, first.buffer.length, &message), 0);
        assert_int_equal(message.raft.server_id, WIRE_SAMPLE_SENDER);
        assert_string_equal(message.raft.server_address, "42");
        assert_int_equal(wire_raft_encode(&second, &message.raft, &message.extra, NULL), 0);
        assert_int_equal(first.buffer.length, second.buffer.length);
        assert_memory_equal(first.buffer.data, second.buffer.data, first.buffer.length);
        wire_raft_message_deinit(&message);
    }
    mp_writer_deinit(&first);
    mp_writer_deinit(&second);
}

/* The bytes that come back are not only those that went in, they land in the right fields. */
static void test_fields(void **state)
{
    (void)state;
    struct mp_writer writer;
    struct wire_message message;
    mp_writer_init(&writer, WIRE_SNAPSHOT_BYTES_MAX);
    wire_sample(1, &writer);
    assert_int_equal(decode(writer.buffer.data, writer.buffer.length, &message), 0);
    const struct raft_append_entries *append = &message.raft.append_entries;
    assert_int_equal(append->term, 9);
    assert_int_equal(append->prev_log_index, 100);
    assert_int_equal(append->prev_log_term, 7);
    assert_int_equal(append->leader_commit, 99);
    assert_int_equal(append->n_entries, 4);
    for (unsigned i = 0; i < 4; i++) {
        assert_ptr_equal(append->entries[i].batch, append->entries[0].batch); /* one batch */
        assert_int_equal((uintptr_t)append->entries[i].buf.base % 8, 0);
    }
    assert_int_equal(message.extra.sent_ms, 123456789);
    assert_int_equal(message.extra.lease_ttl_ms, 350);
    assert_int_equal(message.extra.heartbeat_ms, 75);
    wire_raft_message_deinit(&message);
    wire_sample(4, &writer);
    assert_int_equal(decode(writer.buffer.data, writer.buffer.length, &message), 0);
    assert_true(message.raft.request_vote.disrupt_leader);
    assert_false(message.raft.request_vote.pre_vote);
    assert_int_equal(message.raft.request_vote.candidate_id, WIRE_SAMPLE_SENDER);
    wire_sample(7, &writer);
    assert_int_equal(decode(writer.buffer.data, writer.buffer.length, &message), 0);
    assert_int_equal(message.extra.cause, CONSENSUS_CAUSE_DRAIN);
    mp_writer_deinit(&writer);
}

static void test_truncated_at_every_byte(void **state)
{
    (void)state;
    struct mp_writer writer;
    struct wire_message message;
    mp_writer_init(&writer, WIRE_SNAPSHOT_BYTES_MAX);
    for (size_t i = 0; i < WIRE_SAMPLE_COUNT; i++) {
        wire_sample(i, &writer);
        for (size_t length = 0; length < writer.buffer.length; length++) {
            uint8_t *exact = malloc(length > 0 ? length : 1);
            assert_non_null(exact);
            memcpy(exact, writer.buffer.data, length);
            assert_int_equal(decode(exact, length, &message), ERR_PROTO);
            free(exact);
        }
    }
    mp_writer_deinit(&writer);
}

static void test_changed_and_random_bytes(void **state)
{
    (void)state;
    struct mp_writer writer;
    struct wire_message message;
    struct rng rng;
    rng_init(&rng, 7);
    mp_writer_init(&writer, WIRE_SNAPSHOT_BYTES_MAX);
    size_t accepted = 0;
    for (int round = 0; round < 20000; round++) {
        wire_sample((size_t)round % WIRE_SAMPLE_COUNT, &writer);
        uint64_t changes = 1 + rng_below(&rng, 4);
        for (uint64_t k = 0; k < changes; k++) {
            size_t at = (size_t)rng_below(&rng, k == 0 ? 40 : writer.buffer.length);
            writer.buffer.data[at % writer.buffer.length] = (uint8_t)rng_next(&rng);
        }
        if (decode(writer.buffer.data, writer.buffer.length, &message) == 0) {
            accepted++;
            wire_raft_message_deinit(&message);
        }
        uint8_t noise[64];
        size_t length = (size_t)rng_below(&rng, sizeof noise);
        for (size_t k = 0; k < length; k++) {
            noise[k] = (uint8_t)rng_next(&rng);
        }
        assert_int_not_equal(decode(noise, length, &message), 0);
    }
    print_message("%zu of 20000 changed messages were still sound\n", accepted);
    assert_true(accepted > 0 && accepted < 20000);
    mp_writer_deinit(&writer);
}

static void refuse(struct mp_writer *writer, const struct raft_message *message,
                   const struct wire_extra *extra)
{
    struct wire_message back;
    assert_int_equal(wire_raft_encode(writer, message, extra, NULL), 0);
    assert_int_equal(decode(writer->buffer.data, writer->buffer.length, &back), ERR_PROTO);
}

static void test_refuses_what_the_library_trusts(void **state)
{
    (void)state;
    struct mp_writer writer;
    struct raft_message message;
    struct wire_extra extra;
    mp_writer_init(&writer, WIRE_SNAPSHOT_BYTES_MAX);
    wire_sample_message(1, &message, &extra);
    struct raft_append_entries *append = &message.append_entries;
    append->term = 0;
    refuse(&writer, &message, &extra);
    append->term = WIRE_NUMBER_MAX + 1;
    refuse(&writer, &message, &extra);
    append->term = 8; /* below its own entries */
    refuse(&writer, &message, &extra);
    append->term = 9;
    append->prev_log_term = 0; /* an index without a term */
    refuse(&writer, &message, &extra);
    append->prev_log_term = 8; /* terms that fall */
    refuse(&writer, &message, &extra);
    append->prev_log_term = 0;
    append->prev_log_index = 0; /* the first entry of all is a configuration */
    refuse(&writer, &message, &extra);
    append->prev_log_index = 100;
    append->prev_log_term = 7;
    for (unsigned short type = 0; type < 8; type++) {
        append->entries[0].type = type; /* a command's bytes are no other kind's */
        if (type != RAFT_COMMAND) {
            refuse(&writer, &message, &extra);
        }
    }
    append->entries[0].type = RAFT_COMMAND;
    ((uint8_t *)append->entries[0].buf.base)[5] = 0x20; /* a length that is not its own */
    refuse(&writer, &message, &extra);
    wire_sample_deinit(&message);
    mp_writer_deinit(&writer);
}

static void test_refuses_unsound_snapshots(void **state)
{
    (void)state;
    struct mp_writer writer;
    struct raft_message message;
    struct wire_extra extra;
    mp_writer_init(&writer, WIRE_SNAPSHOT_BYTES_MAX);
    wire_sample_message(6, &message, &extra);
    struct raft_install_snapshot *snapshot = &message.install_snapshot;
    snapshot->last_index = 0;
    refuse(&writer, &message, &extra);
    snapshot->last_index = 399; /* before its own configuration */
    refuse(&writer, &message, &extra);
    snapshot->last_index = 500;
    snapshot->last_term = 10;
    refuse(&writer, &message, &extra);
    snapshot->last_term = 8;
    raft_id kept = snapshot->conf.servers[1].id;
    snapshot->conf.servers[1].id = snapshot->conf.servers[0].id; /* twice the same */
    struct wire_message back;
    assert_int_equal(wire_raft_encode(&writer, &message, &extra, NULL), 0);
    assert_int_not_equal(decode(writer.buffer.data, writer.buffer.length, &back), 0);
    snapshot->conf.servers[1].id = kept;
    unsigned count = snapshot->conf.n;
    snapshot->conf.n = 0;
    refuse(&writer, &message, &extra);
    snapshot->conf.n = count;
    wire_sample_deinit(&message);
    mp_writer_deinit(&writer);
}

/* A newer node appends fields to its messages; this one reads what it knows. */
static void test_newer_messages_are_read(void **state)
{
    (void)state;
    struct mp_writer writer;
    struct mp_writer longer;
    struct wire_message message;
    mp_writer_init(&writer, WIRE_SNAPSHOT_BYTES_MAX);
    mp_writer_init(&longer, WIRE_SNAPSHOT_BYTES_MAX);
    for (size_t i = 0; i < WIRE_SAMPLE_COUNT; i++) {
        wire_sample(i, &writer);
        mp_writer_clear(&longer);
        mp_put_array(&longer, (size_t)(writer.buffer.data[0] & 0x0f) + 1);
        mp_put_raw(&longer, writer.buffer.data + 1, writer.buffer.length - 1);
        mp_put_text(&longer, "a field of the future");
        assert_int_equal(decode(longer.buffer.data, longer.buffer.length, &message), 0);
        wire_raft_message_deinit(&message);
        writer.buffer.data[1] = 2; /* another version is another language */
        assert_int_equal(decode(writer.buffer.data, writer.buffer.length, &message), ERR_PROTO);
    }
    mp_writer_deinit(&writer);
    mp_writer_deinit(&longer);
}

static void test_too_long_is_not_sent(void **state)
{
    (void)state;
    struct mp_writer writer;
    struct raft_message message;
    struct wire_extra extra;
    mp_writer_init(&writer, WIRE_SNAPSHOT_BYTES_MAX);
    wire_sample_message(6, &message, &extra);
    raft_free(message.install_snapshot.data.base);
    message.install_snapshot.data.len = SNAPSHOT_BYTES_MAX;
    message.install_snapshot.data.base = raft_calloc(1, SNAPSHOT_BYTES_MAX);
    assert_int_equal(wire_raft_encode(&writer, &message, &extra, NULL), ERR_FULL);
    message.install_snapshot.data.len = WIRE_SNAPSHOT_BYTES_MAX - 1000;
    assert_int_equal(wire_raft_encode(&writer, &message, &extra, NULL), 0); /* it recovers */
    wire_sample_deinit(&message);
    mp_writer_deinit(&writer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_fields),
        cmocka_unit_test(test_truncated_at_every_byte),
        cmocka_unit_test(test_changed_and_random_bytes),
        cmocka_unit_test(test_refuses_what_the_library_trusts),
        cmocka_unit_test(test_refuses_unsound_snapshots),
        cmocka_unit_test(test_newer_messages_are_read),
        cmocka_unit_test(test_too_long_is_not_sent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
