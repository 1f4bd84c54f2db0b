/* The frame: what is written is read, what is not ours is refused. */
#include "node/base/limits.h"
#include "node/transport/transport.h"
#include "node/transport/wire.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const uint8_t payload[] = "payload";

static struct wire_frame sample(void)
{
    return (struct wire_frame){.kind = TRANSPORT_RAFT,
                               .cluster = 0xfedcba98,
                               .sender = 0x123456789abcdef0,
                               .sequence = 0x7123 | WIRE_BULK,
                               .payload = payload,
                               .length = sizeof payload};
}

static void a_frame_is_read_as_it_was_written(void **state)
{
    (void)state;
    struct mp_writer writer;
    mp_writer_init(&writer, WIRE_FRAME_MAX);
    struct wire_frame frame = sample();
    struct wire_frame got;
    struct err err;
    assert_int_equal(frame_encode(&frame, &writer), 0);
    assert_int_equal(frame_decode(writer.buffer.data, writer.buffer.length, &got, &err), 0);
    assert_int_equal(got.kind, frame.kind);
    assert_int_equal(got.cluster, frame.cluster);
    assert_true(got.sender == frame.sender);
    assert_int_equal(got.sequence, frame.sequence);
    assert_int_equal(got.length, sizeof payload);
    assert_memory_equal(got.payload, payload, sizeof payload);
    assert_false(got.chunk);
    frame.chunk = true;
    frame.offset = 1000;
    frame.total = 1000 + sizeof payload;
    assert_int_equal(frame_encode(&frame, &writer), 0);
    assert_int_equal(frame_decode(writer.buffer.data, writer.buffer.length, &got, &err), 0);
    assert_true(got.chunk);
    assert_int_equal(got.offset, 1000);
    assert_int_equal(got.total, 1000 + sizeof payload);
    mp_writer_deinit(&writer);
}

static void the_envelope_is_small(void **state)
{
    (void)state;
    struct mp_writer writer;
    mp_writer_init(&writer, WIRE_FRAME_MAX);
    struct wire_frame frame = sample();
    assert_int_equal(frame_encode(&frame, &writer), 0);
    assert_true(writer.buffer.length <= sizeof payload + 22);
    mp_writer_deinit(&writer);
}

static void a_payload_past_the_bound_is_not_written(void **state)
{
    (void)state;
    struct mp_writer writer;
    mp_writer_init(&writer, WIRE_FRAME_MAX);
    uint8_t *big = calloc(1, WIRE_PAYLOAD_MAX + 1);
    struct wire_frame frame = sample();
    struct wire_frame got;
    struct err err;
    frame.payload = big;
    frame.length = WIRE_PAYLOAD_MAX + 1;
    assert_int_equal(frame_encode(&frame, &writer), ERR_FULL);
    frame.length = WIRE_PAYLOAD_MAX;
    assert_int_equal(frame_encode(&frame, &writer), 0);
    assert_int_equal(frame_decode(writer.buffer.data, writer.buffer.length, &got, &err), 0);
    free(big);
    mp_writer_deinit(&writer);
}

static int decode_with(uint64_t version, uint64_t kind, uint64_t sequence, size_t extra)
{
    struct mp_writer writer;
    struct wire_frame got;
    struct err err;
    mp_writer_init(&writer, WIRE_FRAME_MAX);
    mp_put_array(&writer, 6 + extra);
    mp_put_u64(&writer, version);
    mp_put_u64(&writer, kind);
    mp_put_u64(&writer, 7);
    mp_put_u64(&writer, 8);
    mp_put_u64(&writer, sequence);
    mp_put_bytes(&writer, payload, sizeof payload);
    for (size_t i = 0; i < extra; i++) {
        mp_put_u64(&writer, i == 1 ? sizeof payload : 0);
    }
    int rc = frame_decode(writer.buffer.data, writer.buffer.length, &got, &err);
    mp_writer_deinit(&writer);
    return rc;
}

static void what_does_not_fit_is_refused(void **state)
{
    (void)state;
    assert_int_equal(decode_with(1, 1, 0, 0), 0);
    assert_int_equal(decode_with(2, 1, 0, 0), ERR_UNSUPPORTED);
    assert_int_equal(decode_with(1, 0, 0, 0), ERR_PROTO);
    assert_int_equal(decode_with(1, TRANSPORT_KIND_MAX, 0, 0), 0);
    assert_int_equal(decode_with(1, TRANSPORT_KIND_MAX + 1, 0, 0), ERR_PROTO);
    assert_int_equal(decode_with(1, 1, 0x10000, 0), ERR_PROTO);
    assert_int_equal(decode_with(1, 1, 0, 5), 0); /* appended by a later version */
    struct wire_frame got;
    struct err err;
    assert_int_equal(frame_decode((const uint8_t *)"\x93\x01\x01\x01", 4, &got, &err), ERR_PROTO);
    assert_int_equal(frame_decode((const uint8_t *)"", 0, &got, &err), ERR_PROTO);
}

static int decode_chunk(uint32_t offset, uint32_t total)
{
    struct mp_writer writer;
    struct wire_frame frame = sample();
    struct wire_frame got;
    struct err err;
    mp_writer_init(&writer, WIRE_FRAME_MAX);
    frame.chunk = true;
    frame.offset = offset;
    frame.total = total;
    (void)frame_encode(&frame, &writer);
    int rc = frame_decode(writer.buffer.data, writer.buffer.length, &got, &err);
    mp_writer_deinit(&writer);
    return rc;
}

static void a_chunk_lies_within_its_message(void **state)
{
    (void)state;
    assert_int_equal(decode_chunk(0, sizeof payload), 0);
    assert_int_equal(decode_chunk(1, sizeof payload), ERR_PROTO);
    assert_int_equal(decode_chunk(UINT32_MAX, 100), ERR_PROTO);
    assert_int_equal(decode_chunk(0, SNAPSHOT_BYTES_MAX), 0);
    assert_int_equal(decode_chunk(0, SNAPSHOT_BYTES_MAX + 1), ERR_PROTO);
}

static void gaps_are_counted_around_the_end(void **state)
{
    (void)state;
    assert_int_equal(frame_sequence_next(0), 1);
    assert_int_equal(frame_sequence_next(WIRE_SEQUENCE_MAX), 1);
    assert_int_equal(frame_sequence_gap(4, 5), 0);
    assert_int_equal(frame_sequence_gap(4, 8), 3);
    assert_int_equal(frame_sequence_gap(WIRE_SEQUENCE_MAX, 1), 0);
    assert_int_equal(frame_sequence_gap(WIRE_SEQUENCE_MAX - 1, 2), 2);
    assert_int_equal(frame_sequence_gap(900, 0), 0);
}

static void clusters_have_their_own_ids(void **state)
{
    (void)state;
    assert_int_not_equal(transport_cluster_id("a", "b"), transport_cluster_id("ab", ""));
    assert_int_not_equal(transport_cluster_id("a", "b"), transport_cluster_id("a", "c"));
    assert_int_equal(transport_cluster_id("a", "b"), transport_cluster_id("a", "b"));
    assert_int_not_equal(transport_cluster_id("", ""), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_frame_is_read_as_it_was_written),
        cmocka_unit_test(the_envelope_is_small),
        cmocka_unit_test(a_payload_past_the_bound_is_not_written),
        cmocka_unit_test(what_does_not_fit_is_refused),
        cmocka_unit_test(a_chunk_lies_within_its_message),
        cmocka_unit_test(gaps_are_counted_around_the_end),
        cmocka_unit_test(clusters_have_their_own_ids),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
