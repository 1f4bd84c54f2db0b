/* `ticks verify` finds what is planted in a ledger, and nothing in a good one. */
#include "node/cli/ticks.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define HOUR 3600
#define T0 INT64_C(1790000000) /* 2026-09-21 14:13:20 UTC; the next full hour is T0 + 2800 */
#define H(n) (T0 + 2800 + (n)*INT64_C(3600))

/* An hourly schedule, decided from T0 to H(9), looked at a minute later. */
static json_t *page_of(const char *slots)
{
    json_t *rows = json_loads(slots, 0, NULL);
    assert_non_null(rows);
    json_t *schedule =
        json_pack("{s:s, s:s, s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:o}", "id", "run/report",
                  "expression", "0 * * * *", "zone", "UTC", "gap", "next", "fold", "first",
                  "anchor_s", (json_int_t)0, "defined_s", (json_int_t)T0, "decided_s",
                  (json_int_t)H(9), "kept_from_s", (json_int_t)T0, "slots", rows);
    return json_pack("{s:[o], s:I, s:n}", "schedules", schedule, "now_s", (json_int_t)(H(9) + 60),
                     "more");
}

/* Rows of H(first) .. H(last), each by itself. */
static void put_hours(char *text, size_t size, int first, int last)
{
    for (int i = first; i <= last; i++) {
        size_t length = strlen(text);
        (void)snprintf(text + length, size - length, "%s[%lld, %lld, 1, \"ran\", \"due\", 1]",
                       text[1] == '\0' ? "" : ", ", (long long)H(i), (long long)H(i));
    }
}

static json_t *check(json_t *page, int64_t since_s)
{
    struct err err = {0};
    json_t *summary = json_object();
    assert_int_equal(ticks_check_page(page, since_s, summary, &err), 0);
    json_decref(page);
    return summary;
}

/* What is said of the first violation; "" when there is none. */
static const char *first_problem(const json_t *summary)
{
    const json_t *first = json_array_get(json_object_get(summary, "violations"), 0);
    const char *text = json_string_value(json_object_get(first, "problem"));
    return text == NULL ? "" : text;
}

static json_t *check_rows(const char *more, int first, int last)
{
    char text[2048] = "[";
    put_hours(text, sizeof text, first, last);
    size_t length = strlen(text);
    (void)snprintf(text + length, sizeof text - length, "%s%s]",
                   more[0] != '\0' && text[1] != '\0' ? ", " : "", more);
    return check(page_of(text), 0);
}

static void a_good_ledger_has_no_violation(void **state)
{
    (void)state;
    json_t *summary = check_rows("", 0, 9);
    assert_int_equal(ticks_violations(summary), 0);
    assert_int_equal(json_integer_value(json_object_get(summary, "slots")), 10);
    assert_int_equal(json_integer_value(json_object_get(summary, "schedules")), 1);
    const json_t *outcomes = json_object_get(summary, "outcomes");
    assert_int_equal(json_integer_value(json_object_get(outcomes, "ran")), 10);
    json_decref(summary);
}

static void a_range_stands_for_its_slots(void **state)
{
    (void)state;
    char range[128];
    (void)snprintf(range, sizeof range, "[%lld, %lld, 4, \"missed\", \"superseded\", 0]",
                   (long long)H(6), (long long)H(9));
    json_t *summary = check_rows(range, 0, 5);
    assert_int_equal(ticks_violations(summary), 0);
    json_decref(summary);
    (void)snprintf(range, sizeof range, "[%lld, %lld, 3, \"missed\", \"superseded\", 0]",
                   (long long)H(6), (long long)H(9));
    summary = check_rows(range, 0, 5);
    assert_int_equal(ticks_violations(summary), 1);
    assert_string_equal(first_problem(summary), "told as 3 slots (missed), and there are 4");
    json_decref(summary);
}

static void a_hole_is_found(void **state)
{
    (void)state;
    json_t *summary = check_rows("", 1, 9);
    assert_int_equal(ticks_violations(summary), 1);
    assert_string_equal(first_problem(summary), "has no outcome");
    json_decref(summary);
    summary = check_rows("", 0, 7);
    assert_int_equal(ticks_violations(summary), 2);
    json_decref(summary);
}

static void a_double_is_found(void **state)
{
    (void)state;
    char twice[256];
    (void)snprintf(twice, sizeof twice, "[%lld, %lld, 1, \"ran\", \"due\", 1]", (long long)H(4),
                   (long long)H(4));
    json_t *summary = check_rows(twice, 0, 9);
    assert_int_equal(ticks_violations(summary), 1);
    assert_string_equal(first_problem(summary), "was decided more than once");
    json_decref(summary);
    (void)snprintf(twice, sizeof twice, "[%lld, %lld, 3, \"missed\", \"superseded\", 0]",
                   (long long)H(4), (long long)H(6)); /* over three that ran */
    summary = check_rows(twice, 0, 9);
    assert_int_equal(ticks_violations(summary), 3);
    json_decref(summary);
}

static void a_row_that_is_no_slot_is_found(void **state)
{
    (void)state;
    char stray[128];
    (void)snprintf(stray, sizeof stray, "[%lld, %lld, 1, \"ran\", \"due\", 1]",
                   (long long)H(3) + 60, (long long)H(3) + 60);
    json_t *summary = check_rows(stray, 0, 9);
    assert_int_equal(ticks_violations(summary), 1);
    assert_string_equal(first_problem(summary), "told as ran, and is no slot of this schedule");
    json_decref(summary);
}

static void what_nobody_decided_is_found_when_it_is_overdue(void **state)
{
    (void)state;
    char text[2048] = "[";
    put_hours(text, sizeof text, 0, 9);
    text[strlen(text)] = ']'; /* the rest is zeros */
    json_t *page = page_of(text);
    (void)json_object_set_new(page, "now_s", json_integer(H(10) + TICKS_OVERDUE_S - 1));
    json_t *summary = check(json_incref(page), 0);
    assert_int_equal(ticks_violations(summary), 0);
    json_decref(summary);
    (void)json_object_set_new(page, "now_s", json_integer(H(10) + TICKS_OVERDUE_S));
    summary = check(page, 0);
    assert_int_equal(ticks_violations(summary), 1);
    assert_string_equal(first_problem(summary), "came and is not decided");
    json_decref(summary);
}

static void since_and_what_was_forgotten_bound_it(void **state)
{
    (void)state;
    char text[2048] = "[";
    put_hours(text, sizeof text, 5, 9); /* the older rows are gone */
    text[strlen(text)] = ']';           /* the rest is zeros */
    json_t *page = page_of(text);
    json_t *summary = check(json_incref(page), H(4));
    assert_int_equal(ticks_violations(summary), 0);
    assert_int_equal(json_array_size(json_object_get(summary, "not_kept")), 0);
    json_decref(summary);
    json_t *schedule = json_array_get(json_object_get(page, "schedules"), 0);
    (void)json_object_set_new(schedule, "kept_from_s", json_integer(H(4)));
    summary = check(page, 0);
    assert_int_equal(ticks_violations(summary), 0);
    assert_int_equal(json_array_size(json_object_get(summary, "not_kept")), 1);
    json_decref(summary);
}

static void a_malformed_ledger_is_refused(void **state)
{
    (void)state;
    static const char one_slot[] =
        "{\"schedules\": [{\"id\": \"run/x\", \"defined_s\": 1, \"decided_s\": 2, "
        "\"kept_from_s\": 1, \"slots\": [[1]]}], \"now_s\": 5}";
    static const char *const pages[] = {
        "{}",
        "{\"schedules\": 1, \"now_s\": 5}",
        "{\"schedules\": [{}], \"now_s\": 5}",
        one_slot,
    };
    for (size_t i = 0; i < sizeof pages / sizeof pages[0]; i++) {
        struct err err = {0};
        json_t *summary = json_object();
        json_t *page = json_loads(pages[i], 0, NULL);
        assert_non_null(page);
        assert_int_equal(ticks_check_page(page, 0, summary, &err), ERR_PROTO);
        assert_true(strlen(err.msg) > 5);
        json_decref(page);
        json_decref(summary);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_good_ledger_has_no_violation),
        cmocka_unit_test(a_range_stands_for_its_slots),
        cmocka_unit_test(a_hole_is_found),
        cmocka_unit_test(a_double_is_found),
        cmocka_unit_test(a_row_that_is_no_slot_is_found),
        cmocka_unit_test(what_nobody_decided_is_found_when_it_is_overdue),
        cmocka_unit_test(since_and_what_was_forgotten_bound_it),
        cmocka_unit_test(a_malformed_ledger_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
