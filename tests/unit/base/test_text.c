/* UTF-8 characters and the text of errors. */
#include "node/base/err.h"
#include "node/base/utf8.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

/* The bytes of a code point as RFC 3629, section 3, writes them. */
static size_t encode(uint32_t point, char ret[4])
{
    static const uint32_t starts[] = {0, 0x80, 0x800, 0x10000};
    static const uint8_t marks[] = {0, 0xc0, 0xe0, 0xf0};
    size_t length = 1;
    while (length < 4 && point >= starts[length]) {
        length++;
    }
    for (size_t i = length; i-- > 1; point >>= 6) {
        ret[i] = (char)(0x80 | (point & 0x3f));
    }
    ret[0] = (char)(marks[length - 1] | point);
    return length;
}

static void every_character_is_known_and_no_part_of_one(void **state)
{
    (void)state;
    char bytes[4];
    for (uint32_t point = 1; point <= 0x10ffff; point++) {
        size_t length = encode(point, bytes);
        bool surrogate = point >= 0xd800 && point <= 0xdfff;
        assert_int_equal(utf8_length(bytes, length), surrogate ? 0 : length);
        assert_int_equal(utf8_length(bytes, length - 1), 0);
    }
}

/* All pairs of bytes are either two characters, one, or malformed at the first byte: nothing else
 * has two bytes. */
static void every_pair_of_bytes_is_told_apart(void **state)
{
    (void)state;
    for (unsigned first = 0; first < 256; first++) {
        for (unsigned second = 0; second < 256; second++) {
            const char bytes[] = {(char)first, (char)second};
            bool pair = first >= 0xc2 && first <= 0xdf && second >= 0x80 && second <= 0xbf;
            size_t expected = first > 0 && first < 0x80 ? 1 : pair ? 2 : 0;
            assert_int_equal(utf8_length(bytes, 2), expected);
        }
    }
}

static void malformed_ones_are_refused(void **state)
{
    (void)state;
    static const char *const malformed[] = {
        "\xc0\xaf",         /* overlong */
        "\xe0\x80\xaf",     /* overlong */
        "\xf0\x80\x80\xaf", /* overlong */
        "\xf4\x90\x80\x80", /* past U+10FFFF */
        "\xf5\x80\x80\x80", "\xe2\x82\x28", "\xf0\x9f\x98\x28", "\xff", "\x80",
    };
    for (size_t i = 0; i < sizeof malformed / sizeof malformed[0]; i++) {
        assert_int_equal(utf8_length(malformed[i], strlen(malformed[i])), 0);
    }
    assert_int_equal(utf8_length("", 0), 0);
    assert_int_equal(utf8_length("\0a", 2), 0);
}

static void an_error_says_what_and_where(void **state)
{
    (void)state;
    struct err err = {0};
    assert_int_equal(err_set(&err, ERR_INVALID, "port %d", 70000), ERR_INVALID);
    assert_int_equal(err_wrap(&err, "%s:%d", "a.yaml", 3), ERR_INVALID);
    assert_string_equal(err.msg, "a.yaml:3: port 70000");
    assert_int_equal(err.os_errno, 0);

    errno = ENOENT;
    assert_int_equal(err_set_errno(&err, ERR_IO, "open %s", "x"), ERR_IO);
    assert_string_equal(err.msg, "open x: No such file or directory");
    assert_int_equal(err.os_errno, ENOENT);
    assert_int_equal(err_set(NULL, ERR_FULL, "nobody listens"), ERR_FULL);
    assert_int_equal(err_wrap(NULL, "nobody listens"), 0);
}

static void a_long_error_keeps_its_context(void **state)
{
    (void)state;
    struct err err = {0};
    char longer[400];
    memset(longer, 'l', sizeof longer - 1);
    longer[sizeof longer - 1] = '\0';
    (void)err_set(&err, ERR_IO, "%s", longer);
    assert_int_equal(strlen(err.msg), sizeof err.msg - 1);
    (void)err_wrap(&err, "context");
    assert_memory_equal(err.msg, "context: lll", 12);
    assert_int_equal(strlen(err.msg), sizeof err.msg - 1);
    errno = EIO;
    (void)err_set_errno(&err, ERR_IO, "%s", longer);
    assert_int_equal(strlen(err.msg), sizeof err.msg - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_character_is_known_and_no_part_of_one),
        cmocka_unit_test(every_pair_of_bytes_is_told_apart),
        cmocka_unit_test(malformed_ones_are_refused),
        cmocka_unit_test(an_error_says_what_and_where),
        cmocka_unit_test(a_long_error_keeps_its_context),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
