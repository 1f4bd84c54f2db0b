/* base64 of RFC 4648: its own examples, every length, and what is none. */
#include "node/snapshot/page_text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void expect(const char *bytes, const char *text)
{
    char encoded[64];
    struct buffer decoded;
    buffer_init(&decoded, 64);
    page_text_encode((const uint8_t *)bytes, strlen(bytes), encoded);
    assert_string_equal(encoded, text);
    assert_int_equal(page_text_decode(text, strlen(text), &decoded, NULL), 0);
    assert_int_equal(decoded.length, strlen(bytes));
    if (decoded.length > 0) {
        assert_memory_equal(decoded.data, bytes, decoded.length);
    }
    buffer_deinit(&decoded);
}

static void the_examples_of_the_standard(void **state)
{
    (void)state;
    expect("", "");
    expect("f", "Zg==");
    expect("fo", "Zm8=");
    expect("foo", "Zm9v");
    expect("foob", "Zm9vYg==");
    expect("fooba", "Zm9vYmE=");
    expect("foobar", "Zm9vYmFy");
    expect("\xfb\xff\xbf", "+/+/");
}

static void every_length_and_byte_comes_back(void **state)
{
    (void)state;
    uint8_t bytes[300];
    char text[PAGE_TEXT_SIZE(sizeof bytes)];
    for (size_t length = 0; length <= sizeof bytes; length++) {
        struct buffer decoded;
        buffer_init(&decoded, sizeof bytes);
        for (size_t i = 0; i < length; i++) {
            bytes[i] = (uint8_t)(i * 7 + length);
        }
        page_text_encode(bytes, length, text);
        assert_int_equal(strlen(text) + 1, PAGE_TEXT_SIZE(length));
        assert_int_equal(page_text_decode(text, strlen(text), &decoded, NULL), 0);
        assert_int_equal(decoded.length, length);
        if (length > 0) {
            assert_memory_equal(decoded.data, bytes, length);
        }
        buffer_deinit(&decoded);
    }
}

static void what_is_none_is_refused_and_adds_nothing(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        "A",    "AB",   "ABC",      "AB=C",   "A===",     "====", "Zg=",
        "Zh==", "Zm9=", "Zg==Zg==", "Zm9v\n", "Zm 9v===", "Zm9-", "\xc3\xa4YQ"};
    struct buffer decoded;
    buffer_init(&decoded, 64);
    assert_int_equal(buffer_append(&decoded, "x", 1), 0);
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct err err = {0};
        assert_int_equal(page_text_decode(wrong[i], strlen(wrong[i]), &decoded, &err), ERR_PROTO);
        assert_int_equal(decoded.length, 1);
        assert_true(err.msg[0] != '\0');
    }
    buffer_deinit(&decoded);
    buffer_init(&decoded, 2); /* no room */
    assert_int_equal(page_text_decode("Zm9v", 4, &decoded, NULL), ERR_FULL);
    buffer_deinit(&decoded);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_examples_of_the_standard),
        cmocka_unit_test(every_length_and_byte_comes_back),
        cmocka_unit_test(what_is_none_is_refused_and_adds_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
