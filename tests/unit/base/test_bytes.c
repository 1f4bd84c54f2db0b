/* The bounded buffer, and MessagePack as it is written and read back. */
#include "node/base/buffer.h"
#include "node/base/mp.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const struct mp_limits limits = {.bytes = 4096, .elements = 64, .depth = 4};

static void a_buffer_ends_at_its_bound_and_says_so(void **state)
{
    (void)state;
    struct buffer buffer;
    size_t length = 1;
    buffer_init(&buffer, 300);
    assert_null(buffer_take(&buffer, &length));
    assert_int_equal(length, 0);

    char bytes[300];
    memset(bytes, 'b', sizeof bytes);
    assert_int_equal(buffer_append(&buffer, bytes, 299), 0);
    assert_int_equal(buffer_append(&buffer, NULL, 0), 0);
    assert_int_equal(buffer_append(&buffer, bytes, 2), ERR_FULL);
    assert_int_equal(buffer_append(&buffer, bytes, 1), ERR_FULL); /* one part is missing already */
    assert_int_equal(buffer.length, 299);
    assert_null(buffer_take(&buffer, &length));

    assert_int_equal(buffer_append(&buffer, bytes, 300), 0); /* usable again */
    assert_int_equal(buffer_append(&buffer, bytes, SIZE_MAX), ERR_FULL);
    buffer_clear(&buffer);
    assert_int_equal(buffer_append(&buffer, bytes, 4), 0);
    uint8_t *taken = buffer_take(&buffer, &length);
    assert_int_equal(length, 4);
    assert_memory_equal(taken, "bbbb", 4);
    free(taken);
    assert_int_equal(buffer.length, 0);
    buffer_deinit(&buffer);
}

static void write_one_of_each(struct mp_writer *writer)
{
    mp_put_array(writer, 9);
    mp_put_u64(writer, UINT64_MAX);
    mp_put_i64(writer, INT64_MIN);
    mp_put_bool(writer, true);
    mp_put_double(writer, 0.5);
    mp_put_text(writer, NULL);
    mp_put_text(writer, "");
    mp_put_text(writer, "text");
    mp_put_bytes(writer, "\0\1", 2);
    mp_put_map(writer, 1);
    mp_put_text(writer, "key");
    mp_put_i64(writer, 7);
}

static void values_come_back_as_they_were_written(void **state)
{
    (void)state;
    struct mp_writer writer;
    struct mp_doc doc;
    struct err err = {0};
    mp_writer_init(&writer, limits.bytes);
    write_one_of_each(&writer);
    assert_true(mp_writer_ok(&writer));
    assert_int_equal(mp_parse(writer.buffer.data, writer.buffer.length, &limits, &doc, &err), 0);

    uint64_t u64;
    int64_t i64;
    uint32_t u32;
    double number;
    bool flag;
    char text[5];
    const uint8_t *bytes;
    size_t length;
    const msgpack_object *all = mp_array(&doc.root, 9);
    assert_non_null(all);
    assert_true(mp_u64(mp_at(all, 0), &u64) && u64 == UINT64_MAX);
    assert_true(mp_i64(mp_at(all, 1), &i64) && i64 == INT64_MIN);
    assert_true(mp_bool(mp_at(all, 2), &flag) && flag);
    assert_true(mp_number(mp_at(all, 3), &number) && number == 0.5);
    assert_int_equal(mp_at(all, 4)->type, MSGPACK_OBJECT_NIL);
    assert_true(mp_text(mp_at(all, 5), text, 1) && text[0] == '\0');
    assert_true(mp_text(mp_at(all, 6), text, sizeof text));
    assert_string_equal(text, "text");
    assert_true(mp_bytes(mp_at(all, 7), &bytes, &length) && length == 2);
    assert_memory_equal(bytes, "\0\1", 2);
    assert_true(mp_u32(mp_get(mp_at(all, 8), "key"), &u32) && u32 == 7);

    /* Of another type, out of range, too long, absent: no value. */
    assert_null(mp_array(&doc.root, 10));
    assert_false(mp_i64(mp_at(all, 0), &i64));
    assert_false(mp_u32(mp_at(all, 0), &u32));
    assert_false(mp_u64(mp_at(all, 1), &u64));
    assert_false(mp_text(mp_at(all, 6), text, 4));
    assert_false(mp_text(mp_at(all, 7), text, sizeof text));
    assert_false(mp_bytes(mp_at(all, 6), &bytes, &length));
    assert_false(mp_number(mp_at(all, 2), &number));
    assert_null(mp_get(mp_at(all, 8), "ke"));
    assert_null(mp_get(all, "key"));
    assert_null(mp_at(all, 9));
    mp_doc_deinit(&doc);
    mp_writer_deinit(&writer);
}

static void what_is_cut_off_or_follows_is_refused(void **state)
{
    (void)state;
    struct mp_writer writer;
    struct err err = {0};
    mp_writer_init(&writer, limits.bytes);
    write_one_of_each(&writer);
    for (size_t length = 0; length < writer.buffer.length; length++) {
        assert_int_equal(mp_check(writer.buffer.data, length, &limits, &err), ERR_PROTO);
    }
    assert_int_equal(mp_check(writer.buffer.data, writer.buffer.length, &limits, &err), 0);
    mp_put_bool(&writer, false);
    assert_int_equal(mp_check(writer.buffer.data, writer.buffer.length, &limits, &err), ERR_PROTO);
    mp_writer_deinit(&writer);
}

static int check(const char *bytes, size_t length)
{
    return mp_check((const uint8_t *)bytes, length, &limits, NULL);
}

static void claims_beyond_the_limits_are_refused(void **state)
{
    (void)state;
    assert_int_equal(check("\x91\x91\x91\x90", 4), 0); /* four deep, as allowed */
    assert_int_equal(check("\x91\x91\x91\x91\x90", 5), ERR_PROTO);
    assert_int_equal(check("\xdd\xff\xff\xff\xff", 5), ERR_PROTO); /* four thousand million */
    assert_int_equal(check("\xdf\xff\xff\xff\xff", 5), ERR_PROTO);
    assert_int_equal(check("\xdb\xff\xff\xff\xff", 5), ERR_PROTO);
    assert_int_equal(check("\xc1", 1), ERR_PROTO);
    assert_int_equal(check("\xd4\x01\x00", 3), ERR_PROTO); /* an extension */

    char many[3 + 64] = "\xdc\x00\x3f"; /* 63 zeros and the array: 64 elements */
    assert_int_equal(check(many, 3 + 63), 0);
    many[2] = 64;
    assert_int_equal(check(many, 3 + 64), ERR_PROTO);
}

static void a_writer_that_is_full_says_so_at_its_end(void **state)
{
    (void)state;
    struct mp_writer writer;
    mp_writer_init(&writer, 8);
    mp_put_text(&writer, "longer than that");
    mp_put_bool(&writer, true);
    assert_false(mp_writer_ok(&writer));
    mp_writer_clear(&writer);
    mp_put_raw(&writer, "\xc3", 1);
    assert_true(mp_writer_ok(&writer));
    assert_int_equal(writer.buffer.length, 1);
    mp_writer_deinit(&writer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_buffer_ends_at_its_bound_and_says_so),
        cmocka_unit_test(values_come_back_as_they_were_written),
        cmocka_unit_test(what_is_cut_off_or_follows_is_refused),
        cmocka_unit_test(claims_beyond_the_limits_are_refused),
        cmocka_unit_test(a_writer_that_is_full_says_so_at_its_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
