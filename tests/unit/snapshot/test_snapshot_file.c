/* The file of `snapshot save`: what goes in comes out, and each way to damage it is told apart. */
#include "node/snapshot/snapshot_file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define STATE "not looked at: any bytes"
#define STATE_LENGTH (sizeof STATE - 1)

static const struct snapshot_about about = {
    .cluster = "demo",
    .cluster_id = 0xfeedf00d,
    .node = "n1",
    .program = "0.1.0",
    .term = 7,
    .index = UINT64_C(1) << 40,
    .saved_wall_ms = INT64_C(1795305600123),
    .stale = true,
};

static uint8_t *encode(size_t *ret_length)
{
    uint8_t *bytes = NULL;
    struct err err = {0};
    assert_int_equal(snapshot_file_encode(&about, (const uint8_t *)STATE, STATE_LENGTH, &bytes,
                                          ret_length, &err),
                     0);
    assert_non_null(bytes);
    return bytes;
}

/* A copy of exactly that length, so that a sanitizer sees a read behind it. */
static int decode(const uint8_t *bytes, size_t length, struct err *err)
{
    struct snapshot_about ret;
    const uint8_t *state = NULL;
    size_t state_length = 0;
    uint8_t *copy = malloc(length == 0 ? 1 : length);
    assert_non_null(copy);
    memcpy(copy, bytes, length);
    *err = (struct err){0};
    int rc = snapshot_file_decode(copy, length, &ret, &state, &state_length, err);
    free(copy);
    return rc;
}

static void what_goes_in_comes_out(void **unused)
{
    (void)unused;
    size_t length = 0;
    uint8_t *bytes = encode(&length);
    struct snapshot_about ret;
    const uint8_t *state = NULL;
    size_t state_length = 0;
    struct err err = {0};
    assert_int_equal(snapshot_file_decode(bytes, length, &ret, &state, &state_length, &err), 0);
    assert_string_equal(ret.cluster, about.cluster);
    assert_int_equal(ret.cluster_id, about.cluster_id);
    assert_string_equal(ret.node, about.node);
    assert_string_equal(ret.program, about.program);
    assert_int_equal(ret.term, about.term);
    assert_int_equal(ret.index, about.index);
    assert_int_equal(ret.saved_wall_ms, about.saved_wall_ms);
    assert_true(ret.stale);
    assert_int_equal(state_length, STATE_LENGTH);
    assert_memory_equal(state, STATE, STATE_LENGTH);
    assert_ptr_equal(state + state_length, bytes + length);
    free(bytes);
}

static void cut_short_at_each_byte_it_says_where(void **unused)
{
    (void)unused;
    size_t length = 0;
    uint8_t *bytes = encode(&length);
    for (size_t cut = 1; cut < length; cut++) {
        char place[32];
        struct err err;
        int rc = decode(bytes, cut, &err);
        (void)snprintf(place, sizeof place, "at byte %zu", cut);
        if (rc != ERR_CORRUPT || strstr(err.msg, place) == NULL) {
            fail_msg("cut at %zu: %d, %s", cut, rc, err.msg);
        }
    }
    struct err err;
    assert_int_equal(decode(bytes, 0, &err), ERR_INVALID);
    assert_non_null(strstr(err.msg, "empty"));
    free(bytes);
}

static void each_changed_bit_is_noticed(void **unused)
{
    (void)unused;
    size_t length = 0;
    uint8_t *bytes = encode(&length);
    for (size_t bit = 0; bit < 8 * length; bit++) {
        struct err err;
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        int rc = decode(bytes, length, &err);
        int wanted = bit / 8 < 16 ? ERR_INVALID : ERR_CORRUPT;
        /* The version's bits make it a newer one; but for the first, which makes it version 0. */
        wanted = bit / 8 >= 16 && bit / 8 < 20 && bit != 8 * 16 ? ERR_UNSUPPORTED : wanted;
        if (rc != wanted || err.msg[0] == '\0') {
            fail_msg("bit %zu of byte %zu: %d, %s", bit % 8, bit / 8, rc, err.msg);
        }
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    struct err err;
    assert_int_equal(decode(bytes, length, &err), 0); /* it was put back */
    free(bytes);
}

static void what_is_appended_is_noticed(void **unused)
{
    (void)unused;
    size_t length = 0;
    struct err err;
    uint8_t *bytes = encode(&length);
    uint8_t *longer = calloc(1, length + 1);
    assert_non_null(longer);
    memcpy(longer, bytes, length);
    assert_int_equal(decode(longer, length + 1, &err), ERR_CORRUPT);
    assert_non_null(strstr(err.msg, "should end at"));
    free(longer);
    free(bytes);
}

static void a_newer_format_is_told_apart(void **unused)
{
    (void)unused;
    size_t length = 0;
    struct err err;
    uint8_t *bytes = encode(&length);
    bytes[16] = SNAPSHOT_FILE_VERSION + 1;
    assert_int_equal(decode(bytes, length, &err), ERR_UNSUPPORTED);
    assert_non_null(strstr(err.msg, "format version 2"));
    free(bytes);
}

static void other_files_are_no_snapshots(void **unused)
{
    (void)unused;
    static const char other[] = "SQLite format 3, and more of it than a header has";
    struct err err;
    assert_int_equal(decode((const uint8_t *)other, sizeof other, &err), ERR_INVALID);
    assert_int_equal(decode((const uint8_t *)"u", 1, &err), ERR_CORRUPT); /* its first byte */
}

static void an_empty_state_and_one_too_large(void **unused)
{
    (void)unused;
    uint8_t *bytes = NULL;
    size_t length = 0;
    struct err err = {0};
    assert_int_equal(snapshot_file_encode(&about, NULL, 0, &bytes, &length, &err), 0);
    assert_int_equal(decode(bytes, length, &err), 0);
    free(bytes);
    uint8_t *large = calloc(1, SNAPSHOT_BYTES_MAX + 1);
    assert_non_null(large);
    assert_int_equal(
        snapshot_file_encode(&about, large, SNAPSHOT_BYTES_MAX + 1, &bytes, &length, &err),
        ERR_FULL);
    assert_int_equal(snapshot_file_encode(&about, large, SNAPSHOT_BYTES_MAX, &bytes, &length, &err),
                     0);
    assert_true(length <= SNAPSHOT_FILE_BYTES_MAX);
    assert_int_equal(decode(bytes, length, &err), 0);
    free(bytes);
    free(large);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_goes_in_comes_out),
        cmocka_unit_test(cut_short_at_each_byte_it_says_where),
        cmocka_unit_test(each_changed_bit_is_noticed),
        cmocka_unit_test(what_is_appended_is_noticed),
        cmocka_unit_test(a_newer_format_is_told_apart),
        cmocka_unit_test(other_files_are_no_snapshots),
        cmocka_unit_test(an_empty_state_and_one_too_large),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
