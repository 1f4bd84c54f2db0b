/* Findings: said again they stay, not said they go, and there is a bound. */
#include "managers/pm2/findings.h"
#include "node/base/doc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static const json_t *only_row(json_t *document)
{
    assert_int_equal(json_array_size(document), 1);
    return json_array_get(document, 0);
}

static void what_is_said_stays(void **state)
{
    (void)state;
    struct findings findings = {0};
    assert_true(findings_say(&findings, "pm2.ghost", "worker", FINDING_WARNING, 1000, "first"));
    assert_false(
        findings_say(&findings, "pm2.ghost", "worker", FINDING_CRITICAL, 9000, "and %d", 2));
    assert_false(findings_expire(&findings, 9000 + FINDINGS_KEEP_MS - 1));
    json_t *document = findings_document(&findings, 10000);
    const json_t *row = only_row(document);
    assert_string_equal(doc_get_text(row, "text", ""), "and 2");
    assert_string_equal(doc_get_text(row, "severity", ""), "critical");
    assert_int_equal(doc_get_integer(row, "for_ms", 0), 9000);
    json_decref(document);
    assert_true(findings_expire(&findings, 9000 + FINDINGS_KEEP_MS));
    document = findings_document(&findings, 30000);
    assert_int_equal(json_array_size(document), 0);
    json_decref(document);
}

static void kinds_and_objects_are_apart_and_bounded(void **state)
{
    (void)state;
    struct findings findings = {0};
    char object[NAME_SIZE];
    for (int i = 0; i < FINDINGS_MAX; i++) {
        (void)snprintf(object, sizeof object, "p%d", i / 2);
        assert_true(findings_say(&findings, i % 2 == 0 ? "a" : "b", object, FINDING_INFO, 1, "x"));
    }
    assert_false(findings_say(&findings, "c", "", FINDING_INFO, 1, "no room"));
    assert_int_equal(findings.left_out, 1);
    assert_false(findings_say(&findings, "a", "p0", FINDING_INFO, 2, "known"));
    json_t *document = findings_document(&findings, 2);
    assert_int_equal(json_array_size(document), FINDINGS_MAX);
    json_decref(document);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_said_stays),
        cmocka_unit_test(kinds_and_objects_are_apart_and_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
