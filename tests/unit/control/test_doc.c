/* Documents over MessagePack: what goes in comes out, and foreign bytes are judged. */
#include "node/base/doc.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const struct mp_limits limits = {.bytes = 65536, .elements = 1000, .depth = MP_DEPTH_MAX};

static json_t *there_and_back(const json_t *document)
{
    struct mp_writer writer;
    struct err err = {0};
    json_t *back = NULL;
    mp_writer_init(&writer, 65536);
    assert_int_equal(doc_to_msgpack(document, &writer, &err), 0);
    assert_int_equal(
        doc_from_msgpack(writer.buffer.data, writer.buffer.length, &limits, &back, &err), 0);
    mp_writer_deinit(&writer);
    return back;
}

static void documents_survive_the_wire(void **state)
{
    (void)state;
    json_t *document = json_loads("{\"a\":[1,-2,3.5,true,false,null,\"\\u00e4\\u20ac\"],"
                                  "\"empty\":{},\"none\":[],\"\":\"\",\"big\":9223372036854775807,"
                                  "\"small\":-9223372036854775808,\"deep\":[[[[{\"x\":[1]}]]]]}",
                                  0, NULL);
    assert_non_null(document);
    json_t *back = there_and_back(document);
    assert_true(json_equal(document, back));
    json_decref(document);
    json_decref(back);
}

static void refuses(const char *bytes, size_t length)
{
    json_t *back = NULL;
    struct err err = {0};
    assert_int_equal(doc_from_msgpack((const uint8_t *)bytes, length, &limits, &back, &err),
                     ERR_PROTO);
    assert_null(back);
    assert_true(err.msg[0] != '\0');
}

static void foreign_bytes_are_refused(void **state)
{
    (void)state;
    refuses("", 0);
    refuses("\xc4\x01z", 3);    /* a binary */
    refuses("\xa1\xff", 2);     /* not UTF-8 */
    refuses("\x81\x01\x01", 3); /* a key that is no text */
    refuses("\x82\xa1"
            "a\x01\xa1"
            "a\x02",
            7); /* a key twice */
    refuses("\x81\xa2"
            "a\0\x01",
            5);                                         /* a key with a NUL */
    refuses("\x81\xa1\xff\x01", 4);                     /* a key that is not UTF-8 */
    refuses("\xcf\xff\xff\xff\xff\xff\xff\xff\xff", 9); /* above 63 bits */
    refuses("\xdd\xff\xff\xff\xff", 5);                 /* claims what is not there */
    refuses("\x91", 1);
    refuses("\xc0\xc0", 2); /* two objects */
}

static void too_deep_is_refused_both_ways(void **state)
{
    (void)state;
    json_t *deep = json_array();
    for (int i = 0; i < MP_DEPTH_MAX; i++) {
        json_t *outer = json_array();
        assert_int_equal(json_array_append_new(outer, deep), 0);
        deep = outer;
    }
    struct mp_writer writer;
    mp_writer_init(&writer, 65536);
    assert_int_equal(doc_to_msgpack(deep, &writer, NULL), ERR_INVALID);
    mp_writer_deinit(&writer);
    json_decref(deep);
    char nested[MP_DEPTH_MAX + 2];
    memset(nested, '\x91', sizeof nested);
    nested[sizeof nested - 1] = '\xc0';
    refuses(nested, sizeof nested);
}

static void too_large_is_told(void **state)
{
    (void)state;
    struct mp_writer writer;
    json_t *document = json_string("more than eight bytes");
    mp_writer_init(&writer, 8);
    assert_int_equal(doc_to_msgpack(document, &writer, NULL), ERR_FULL);
    mp_writer_deinit(&writer);
    json_decref(document);
}

static void unknown_is_null(void **state)
{
    (void)state;
    json_t *values[] = {doc_time(-1),  doc_text(NULL),           doc_text(""),
                        doc_real(NAN), doc_rounded(INFINITY, 1), doc_count_or_null(-1)};
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        assert_true(json_is_null(values[i]));
        json_decref(values[i]);
    }
    json_t *mended = doc_text("caf\xe9");
    assert_string_equal(json_string_value(mended), "caf?");
    json_decref(mended);
}

static void figures_print_as_people_write_them(void **state)
{
    (void)state;
    json_t *document = json_pack("[o,o,i]", doc_rounded(97.34999, 1), doc_rounded(88, 1), 4);
    char *text = doc_dump(document);
    assert_string_equal(text, "[97.3,88.0,4]");
    free(text);
    json_decref(document);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(documents_survive_the_wire),
        cmocka_unit_test(foreign_bytes_are_refused),
        cmocka_unit_test(too_deep_is_refused_both_ways),
        cmocka_unit_test(too_large_is_told),
        cmocka_unit_test(unknown_is_null),
        cmocka_unit_test(figures_print_as_people_write_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
