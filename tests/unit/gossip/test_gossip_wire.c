/* The codec: every message there and back, cut at every byte, and with every byte changed. */
#include "tests/unit/gossip/samples.h"

#include "gossip/health.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void check_items(const struct gossip_wire_message *message)
{
    struct gossip_wire_item item;
    struct gossip_wire_member member = sample_member();
    struct gossip_wire_health health = sample_health();
    assert_int_equal(gossip_wire_item_count(message), 2);
    assert_true(gossip_wire_item_at(message, 0, &item));
    assert_int_equal(item.kind, WIRE_ITEM_MEMBER);
    assert_string_equal(item.member.name, member.name);
    assert_int_equal(item.member.incarnation, member.incarnation);
    assert_int_equal(item.member.state, member.state);
    assert_string_equal(item.member.address, member.address);
    assert_int_equal(item.member.age_s, member.age_s);
    assert_int_equal(item.member.accuser_count, 2);
    assert_string_equal(item.member.accusers[1], "n4");
    assert_true(gossip_wire_item_at(message, 1, &item));
    assert_int_equal(item.kind, WIRE_ITEM_HEALTH);
    assert_int_equal(item.health.incarnation, health.incarnation);
    assert_int_equal(item.health.sequence, health.sequence);
    assert_int_equal(item.health.score_tenths, health.score_tenths);
    assert_int_equal(item.health.load_hundredths, GOSSIP_UNKNOWN);
    assert_int_equal(item.health.flags, health.flags);
    assert_int_equal(item.health.details_length, health.details_length);
    assert_memory_equal(item.health.details, health.details, health.details_length);
}

static void check_body(const struct gossip_wire_message *message)
{
    char name[NAME_SIZE];
    uint32_t digest;
    switch (message->type) {
    case WIRE_ASK:
        assert_string_equal(message->target, "n3");
        assert_int_equal(message->wait_ms, 450);
        assert_int_equal(message->sequence, 300);
        break;
    case WIRE_PING:
    case WIRE_ACK:
    case WIRE_NACK:
        assert_int_equal(message->sequence, 300);
        break;
    case WIRE_NEWS:
        break;
    case WIRE_DIGEST:
        assert_true(message->join);
        assert_int_equal(message->digest, UINT64_C(0x1234567890ABCDEF));
        break;
    case WIRE_BUCKETS:
        assert_int_equal(message->bucket_count, 8);
        assert_int_equal(message->buckets[3], 0xFFFFFFFF);
        assert_int_equal(message->buckets[7], 8);
        break;
    case WIRE_VERSIONS:
        assert_true(gossip_wire_covers(message, 0));
        assert_false(gossip_wire_covers(message, 1));
        assert_int_equal(gossip_wire_version_count(message), 1);
        gossip_wire_version_at(message, 0, name, &digest);
        assert_string_equal(name, "n3");
        assert_int_equal(digest, 0xCAFE);
        break;
    case WIRE_ENTRIES:
        assert_int_equal(gossip_wire_wanted_count(message), 2);
        gossip_wire_wanted_at(message, 1, name);
        assert_string_equal(name, "n4");
        break;
    }
}

static void every_message_comes_back_as_it_was(void **state)
{
    (void)state;
    for (size_t i = 0; i < SAMPLE_COUNT; i++) {
        struct mp_writer writer;
        struct gossip_wire_message message;
        struct err err = {0};
        sample_encode(i, &writer);
        assert_int_equal(
            gossip_wire_decode(writer.buffer.data, writer.buffer.length, &message, &err), 0);
        assert_int_equal(message.type, i + 1);
        assert_string_equal(message.sender, SAMPLE_SENDER);
        check_body(&message);
        if (message.type != WIRE_NACK) {
            check_items(&message);
        }
        gossip_wire_message_deinit(&message);
        mp_writer_deinit(&writer);
    }
}

static void a_message_cut_at_any_byte_is_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < SAMPLE_COUNT; i++) {
        struct mp_writer writer;
        sample_encode(i, &writer);
        for (size_t cut = 0; cut < writer.buffer.length; cut++) {
            uint8_t *bytes = malloc(cut + 1); /* so that a read past the end is seen */
            struct gossip_wire_message message;
            struct err err = {0};
            memcpy(bytes, writer.buffer.data, cut);
            assert_int_equal(gossip_wire_decode(bytes, cut, &message, &err), ERR_PROTO);
            free(bytes);
        }
        mp_writer_deinit(&writer);
    }
}

/* Whether it is refused; when not, all of it must be readable. */
static bool is_refused(const struct mp_writer *writer)
{
    struct gossip_wire_message message;
    struct gossip_wire_item item;
    if (gossip_wire_decode(writer->buffer.data, writer->buffer.length, &message, NULL) != 0) {
        return true;
    }
    for (size_t i = 0; i < gossip_wire_item_count(&message); i++) {
        (void)gossip_wire_item_at(&message, i, &item);
    }
    gossip_wire_message_deinit(&message);
    return false;
}

static void a_message_with_any_byte_changed_is_refused_or_well_formed(void **state)
{
    (void)state;
    size_t refused = 0;
    for (size_t i = 0; i < SAMPLE_COUNT; i++) {
        struct mp_writer writer;
        sample_encode(i, &writer);
        for (size_t at = 0; at < writer.buffer.length * 255; at++) {
            uint8_t *byte = &writer.buffer.data[at / 255];
            uint8_t kept = *byte;
            *byte = (uint8_t)(kept + 1 + at % 255);
            refused += is_refused(&writer);
            *byte = kept;
        }
        mp_writer_deinit(&writer);
    }
    assert_true(refused > 1000);
}

/* ---- messages that only a broken or hostile peer sends ---- */

static int decode_head(struct gossip_wire_message *message, uint64_t version, const char *sender)
{
    struct mp_writer writer;
    struct gossip_wire_message decoded;
    mp_writer_init(&writer, 1024);
    mp_put_array(&writer, 5);
    mp_put_u64(&writer, version);
    mp_put_u64(&writer, message->type);
    mp_put_text(&writer, sender);
    mp_put_array(&writer, 1);
    mp_put_u64(&writer, message->sequence);
    mp_put_array(&writer, 0);
    int rc = gossip_wire_decode(writer.buffer.data, writer.buffer.length, &decoded, NULL);
    if (rc == 0) {
        gossip_wire_message_deinit(&decoded);
    }
    mp_writer_deinit(&writer);
    return rc;
}

static void odd_heads_are_refused(void **state)
{
    (void)state;
    struct gossip_wire_message message = {.type = WIRE_PING, .sequence = 1};
    assert_int_equal(decode_head(&message, 1, "n1"), 0);
    assert_int_equal(decode_head(&message, 2, "n1"), ERR_UNSUPPORTED);
    assert_int_equal(decode_head(&message, 1, ""), ERR_PROTO);
    assert_int_equal(decode_head(&message, 1, "n\n1"), ERR_PROTO);
    message.sequence = 0;
    assert_int_equal(decode_head(&message, 1, "n1"), ERR_PROTO);
    message.sequence = 65536;
    assert_int_equal(decode_head(&message, 1, "n1"), ERR_PROTO);
    message = (struct gossip_wire_message){.type = (enum gossip_wire_type)10, .sequence = 1};
    assert_int_equal(decode_head(&message, 1, "n1"), ERR_PROTO);
}

static int decode_with(const struct gossip_wire_member *member,
                       const struct gossip_wire_health *health)
{
    struct mp_writer writer;
    struct gossip_wire_message message = {.type = WIRE_NEWS, .sender = "n1"};
    mp_writer_init(&writer, GOSSIP_MESSAGE_BYTES_MAX);
    gossip_wire_put_head(&writer, &message, NULL, 1);
    if (member != NULL) {
        gossip_wire_put_member(&writer, member);
    } else {
        gossip_wire_put_health(&writer, health);
    }
    int rc = gossip_wire_decode(writer.buffer.data, writer.buffer.length, &message, NULL);
    if (rc == 0) {
        gossip_wire_message_deinit(&message);
    }
    mp_writer_deinit(&writer);
    return rc;
}

static void items_out_of_bounds_are_refused(void **state)
{
    (void)state;
    struct gossip_wire_member member = sample_member();
    assert_int_equal(decode_with(&member, NULL), 0);
    member.incarnation = 0;
    assert_int_equal(decode_with(&member, NULL), ERR_PROTO);
    member.incarnation = GOSSIP_INCARNATION_MAX + 1;
    assert_int_equal(decode_with(&member, NULL), ERR_PROTO);
    member = sample_member();
    member.state = (enum gossip_state)4;
    assert_int_equal(decode_with(&member, NULL), ERR_PROTO);
    member = sample_member();
    member.name[0] = '\x1b'; /* would reach a terminal */
    assert_int_equal(decode_with(&member, NULL), ERR_PROTO);

    struct gossip_wire_health health = sample_health();
    assert_int_equal(decode_with(NULL, &health), 0);
    health.score_tenths = 1001;
    assert_int_equal(decode_with(NULL, &health), ERR_PROTO);
    health = sample_health();
    health.sequence = 0;
    assert_int_equal(decode_with(NULL, &health), ERR_PROTO);
    health = sample_health();
    health.details_hash++; /* details that are not those of the record */
    assert_int_equal(decode_with(NULL, &health), ERR_PROTO);
    health = sample_health();
    health.details_length--;
    health.details_hash = gossip_health_details_hash(health.details, health.details_length);
    assert_int_equal(decode_with(NULL, &health), ERR_PROTO);
}

static void elements_of_a_later_version_are_ignored(void **state)
{
    (void)state;
    struct mp_writer writer;
    struct gossip_wire_message message;
    struct gossip_wire_item item;
    mp_writer_init(&writer, 1024);
    mp_put_array(&writer, 6);
    mp_put_u64(&writer, WIRE_VERSION);
    mp_put_u64(&writer, WIRE_PING);
    mp_put_text(&writer, "n1");
    mp_put_array(&writer, 2);
    mp_put_u64(&writer, 17);
    mp_put_text(&writer, "later");
    mp_put_array(&writer, 1);
    mp_put_array(&writer, 2);
    mp_put_u64(&writer, 9); /* an item of another kind */
    mp_put_nil(&writer);
    mp_put_bool(&writer, true);
    assert_int_equal(gossip_wire_decode(writer.buffer.data, writer.buffer.length, &message, NULL),
                     0);
    assert_int_equal(message.sequence, 17);
    assert_int_equal(gossip_wire_item_count(&message), 1);
    assert_false(gossip_wire_item_at(&message, 0, &item));
    gossip_wire_message_deinit(&message);
    mp_writer_deinit(&writer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_message_comes_back_as_it_was),
        cmocka_unit_test(a_message_cut_at_any_byte_is_refused),
        cmocka_unit_test(a_message_with_any_byte_changed_is_refused_or_well_formed),
        cmocka_unit_test(odd_heads_are_refused),
        cmocka_unit_test(items_out_of_bounds_are_refused),
        cmocka_unit_test(elements_of_a_later_version_are_ignored),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
