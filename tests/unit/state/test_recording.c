/* The codec of the decision log: what is written is read again, and nothing else is. */
#include "consensus/recording.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static const uint8_t payload[] = {0, 1, 2, 0xc1, 0xff};

static void put_one(struct mp_writer *writer, enum recording_kind kind)
{
    static const struct consensus_server servers[] = {{7, CONSENSUS_VOTER}, {9, CONSENSUS_SPARE}};
    struct recording_start start = {.life = 3,
                                    .now_ms = -5,
                                    .config = {.id = 7,
                                               .rng_seed = UINT64_MAX,
                                               .heartbeat_ms = 75,
                                               .election_timeout_ms = 450,
                                               .lease_ttl_ms = 350,
                                               .snapshot_threshold = 512,
                                               .snapshot_trailing = 64,
                                               .founders = servers,
                                               .founder_count = 2}};
    struct consensus_stored stored = {
        .term = 4, .vote = 7, .has_snapshot = true, .first_index = 11, .entry_count = 2};
    stored.snapshot = (struct consensus_snapshot_meta){
        .index = 10, .term = 3, .configuration_index = 1, .server_count = 2};
    memcpy(stored.snapshot.servers, servers, sizeof servers);
    const struct recording_event event = {.call = RECORDING_STAND,
                                          .now_ms = 1000,
                                          .peer = 9,
                                          .term = 4,
                                          .token = 5,
                                          .time_ms = 990,
                                          .proof = true,
                                          .change = CONSENSUS_REMOVE,
                                          .role = CONSENSUS_STANDBY,
                                          .cause = CONSENSUS_CAUSE_GRAY,
                                          .bytes = payload,
                                          .length = sizeof payload};
    const struct consensus_entry entry = {
        .term = 4, .type = CONSENSUS_ENTRY_CHANGE, .bytes = payload, .length = sizeof payload};
    const struct recording_result result = {.outputs = 12, .view = UINT64_MAX};
    const struct recording_continued continued = {.life = 3, .part = 1};
    int code = -1;
    switch (kind) {
    case RECORDING_START:
        code = recording_put_start(writer, &start);
        break;
    case RECORDING_STORED:
        code = recording_put_stored(writer, &stored);
        break;
    case RECORDING_SNAPSHOT:
        code = recording_put_snapshot(writer, payload, sizeof payload);
        break;
    case RECORDING_ENTRY:
        code = recording_put_entry(writer, &entry);
        break;
    case RECORDING_EVENT:
        code = recording_put_event(writer, &event);
        break;
    case RECORDING_RESULT:
        code = recording_put_result(writer, &result);
        break;
    case RECORDING_CONTINUED:
        code = recording_put_continued(writer, &continued);
        break;
    }
    assert_int_equal(code, 0);
}

static struct recording_record read_one(struct mp_writer *writer, enum recording_kind kind)
{
    static struct recording_record record;
    struct err err = {0};
    size_t used = 0;
    put_one(writer, kind);
    assert_int_equal(
        recording_read(writer->buffer.data, writer->buffer.length, &record, &used, &err), 0);
    assert_int_equal(used, writer->buffer.length);
    assert_int_equal(record.kind, kind);
    return record;
}

static void what_is_written_is_read(void **state)
{
    (void)state;
    struct mp_writer writer;
    recording_writer_init(&writer);
    struct recording_record record = read_one(&writer, RECORDING_START);
    assert_int_equal(record.start.life, 3);
    assert_int_equal(record.start.now_ms, -5);
    assert_int_equal(record.start.config.rng_seed, UINT64_MAX);
    assert_int_equal(record.start.config.snapshot_trailing, 64);
    assert_int_equal(record.start.config.founder_count, 2);
    assert_int_equal(record.start.founders[1].id, 9);
    assert_int_equal(record.start.founders[1].role, CONSENSUS_SPARE);
    record = read_one(&writer, RECORDING_STORED);
    assert_int_equal(record.stored.first_index, 11);
    assert_int_equal(record.stored.entry_count, 2);
    assert_true(record.stored.has_snapshot);
    assert_int_equal(record.stored.snapshot.index, 10);
    assert_int_equal(record.stored.snapshot.servers[0].id, 7);
    record = read_one(&writer, RECORDING_SNAPSHOT);
    assert_int_equal(record.snapshot_length, sizeof payload);
    assert_memory_equal(record.snapshot_bytes, payload, sizeof payload);
    record = read_one(&writer, RECORDING_ENTRY);
    assert_int_equal(record.entry.type, CONSENSUS_ENTRY_CHANGE);
    assert_memory_equal(record.entry.bytes, payload, sizeof payload);
    record = read_one(&writer, RECORDING_EVENT);
    assert_int_equal(record.event.call, RECORDING_STAND);
    assert_int_equal(record.event.time_ms, 990);
    assert_true(record.event.proof);
    assert_int_equal(record.event.change, CONSENSUS_REMOVE);
    assert_int_equal(record.event.role, CONSENSUS_STANDBY);
    assert_int_equal(record.event.cause, CONSENSUS_CAUSE_GRAY);
    assert_memory_equal(record.event.bytes, payload, sizeof payload);
    record = read_one(&writer, RECORDING_RESULT);
    assert_int_equal(record.result.view, UINT64_MAX);
    record = read_one(&writer, RECORDING_CONTINUED);
    assert_int_equal(record.continued.part, 1);
    mp_writer_deinit(&writer);
}

static void a_torn_end_is_no_damage(void **state)
{
    (void)state;
    struct mp_writer writer;
    recording_writer_init(&writer);
    static struct recording_record record;
    for (int kind = RECORDING_START; kind <= RECORDING_CONTINUED; kind++) {
        put_one(&writer, (enum recording_kind)kind);
        for (size_t length = 0; length < writer.buffer.length; length++) {
            size_t used = 0;
            int code = recording_read(writer.buffer.data, length, &record, &used, NULL);
            assert_int_equal(code, ERR_CLOSED);
        }
    }
    mp_writer_deinit(&writer);
}

static void every_altered_bit_is_noticed(void **state)
{
    (void)state;
    struct mp_writer writer;
    recording_writer_init(&writer);
    static struct recording_record record;
    for (int kind = RECORDING_START; kind <= RECORDING_CONTINUED; kind++) {
        put_one(&writer, (enum recording_kind)kind);
        for (size_t bit = 0; bit < writer.buffer.length * 8; bit++) {
            size_t used = 0;
            writer.buffer.data[bit / 8] ^= (uint8_t)(1u << (bit % 8));
            int code =
                recording_read(writer.buffer.data, writer.buffer.length, &record, &used, NULL);
            assert_true(code == ERR_CORRUPT || code == ERR_CLOSED);
            writer.buffer.data[bit / 8] ^= (uint8_t)(1u << (bit % 8));
        }
    }
    mp_writer_deinit(&writer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_read),
        cmocka_unit_test(a_torn_end_is_no_damage),
        cmocka_unit_test(every_altered_bit_is_noticed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
