/* The score of a manager in shadow: what counts as right, and how it goes on under a new leader. */
#include "managers/pm2/stand_in/shadow.h"

#include "node/base/doc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define DUTY "pm2/worker-backup"
#define SETTLE_MS 10000
#define WALL_MS INT64_C(1700000000000)

/* What the newest decision wants; there must be one. */
static bool wants(const struct shadow *self)
{
    bool start = false;
    assert_true(shadow_last(self, DUTY, &start));
    return start;
}

static void decide(struct shadow *self, bool start, int64_t now_ms)
{
    shadow_decide(self, DUTY, start, "a test says so", SETTLE_MS, now_ms, WALL_MS + now_ms);
}

static void expect(const struct shadow *self, uint64_t right, uint64_t wrong)
{
    struct shadow_count count = shadow_count(self);
    assert_int_equal(count.right, right);
    assert_int_equal(count.wrong, wrong);
}

static void a_start_was_right_when_the_primary_stayed_away(void **unused)
{
    (void)unused;
    struct shadow self = {0};
    decide(&self, true, 0);
    bool start;
    assert_true(wants(&self));
    assert_false(shadow_last(&self, "pm2/another", &start));
    shadow_see(&self, DUTY, false, SETTLE_MS - 1);
    expect(&self, 0, 0);
    shadow_see(&self, "pm2/another", true, SETTLE_MS - 1);
    expect(&self, 0, 0);
    shadow_see(&self, DUTY, false, SETTLE_MS);
    expect(&self, 1, 0);
    shadow_see(&self, DUTY, true, SETTLE_MS + 1); /* judged once */
    expect(&self, 1, 0);
}

static void a_start_was_wrong_when_the_primary_came_back(void **unused)
{
    (void)unused;
    struct shadow self = {0};
    decide(&self, true, 0);
    shadow_see(&self, DUTY, true, SETTLE_MS - 1);
    expect(&self, 0, 1);
    shadow_see(&self, DUTY, false, SETTLE_MS + 1);
    expect(&self, 0, 1);
}

static void a_stop_was_right_when_the_primary_stayed_well(void **unused)
{
    (void)unused;
    struct shadow self = {0};
    decide(&self, false, 0);
    assert_false(wants(&self));
    shadow_see(&self, DUTY, true, SETTLE_MS);
    expect(&self, 1, 0);
    decide(&self, false, 20000);
    shadow_see(&self, DUTY, false, 20001);
    expect(&self, 1, 1);
    /* Without a settle time it is not judged in the same instant. */
    shadow_decide(&self, DUTY, true, "", 0, 30000, WALL_MS);
    shadow_see(&self, DUTY, false, 30000);
    expect(&self, 1, 1);
    shadow_see(&self, DUTY, false, 30000 + SHADOW_JUDGE_MS_MIN);
    expect(&self, 2, 1);
}

static void the_log_is_bounded(void **unused)
{
    (void)unused;
    struct shadow self = {0};
    for (int i = 0; i < 3 * SHADOW_LOG_MAX; i++) {
        decide(&self, i % 2 == 0, i);
    }
    assert_int_equal(self.count, SHADOW_LOG_MAX);
    assert_int_equal(shadow_count(&self).decided, 3 * SHADOW_LOG_MAX);
    assert_int_equal(self.log[0].at_wall_ms, WALL_MS + 2 * SHADOW_LOG_MAX);
    assert_int_equal(self.log[SHADOW_LOG_MAX - 1].at_wall_ms, WALL_MS + 3 * SHADOW_LOG_MAX - 1);
}

static void the_next_leaders_manager_goes_on(void **unused)
{
    (void)unused;
    struct shadow first = {0};
    struct shadow next = {0};
    decide(&first, true, 0);
    shadow_see(&first, DUTY, false, SETTLE_MS);
    decide(&first, false, 20000);
    json_t *document = shadow_document(&first, true, 21000);
    assert_int_equal(doc_get_integer(document, "open", -1), 1);
    assert_int_equal(json_array_size(json_object_get(document, "log")), 2);
    const json_t *newest = json_array_get(json_object_get(document, "log"), 0);
    assert_string_equal(doc_get_text(newest, "would", ""), "stop");
    assert_string_equal(doc_get_text(newest, "verdict", ""), "open");
    shadow_adopt(&next, document, 500000);
    shadow_adopt(&next, document, 500000); /* nothing newer in it */
    assert_int_equal(shadow_count(&next).decided, 2);
    expect(&next, 1, 0);
    assert_false(wants(&next));
    shadow_see(&next, DUTY, true, 500000 + SETTLE_MS - 1001); /* 9 s were left */
    expect(&next, 1, 0);
    shadow_see(&next, DUTY, true, 500000 + SETTLE_MS - 1000);
    expect(&next, 2, 0);
    json_decref(document);
    json_t *brief = shadow_document(&next, false, 0);
    assert_int_equal(json_array_size(json_object_get(brief, "log")), 0);
    assert_int_equal(doc_get_integer(brief, "right", -1), 2);
    json_decref(brief);
}

static void what_was_decided_before_it_was_armed_is_past(void **unused)
{
    (void)unused;
    struct shadow self = {0};
    struct shadow next = {0};
    bool start;
    decide(&self, true, 0);
    shadow_begin(&self);
    assert_false(shadow_last(&self, DUTY, &start));
    json_t *document = shadow_document(&self, true, 0);
    shadow_adopt(&next, document, 0);
    assert_false(shadow_last(&next, DUTY, &start));
    json_decref(document);
    struct shadow third = {0};
    document = shadow_document(&self, true, 0);
    decide(&third, true, 0); /* the very same, which it does not know to be past */
    shadow_adopt(&third, document, 0);
    assert_false(shadow_last(&third, DUTY, &start));
    json_decref(document);
    decide(&self, false, 1);
    assert_false(wants(&self));
}

/* `to` hears what `from` tells at that moment. */
static void hear(struct shadow *to, const struct shadow *from, bool log, int64_t now_ms)
{
    json_t *document = shadow_document(from, log, now_ms);
    assert_non_null(document);
    shadow_adopt(to, document, now_ms);
    json_decref(document);
}

static void a_late_word_of_the_leader_before_counts(void **unused)
{
    (void)unused;
    struct shadow first = {0};
    struct shadow next = {0};
    decide(&first, false, 0);
    shadow_see(&first, DUTY, true, SETTLE_MS);
    decide(&next, false, 20000); /* it did not know that this was decided */
    shadow_see(&next, DUTY, false, 21000);
    decide(&next, true, 21000);
    expect(&next, 0, 1);
    hear(&next, &first, true, 21000);
    expect(&next, 1, 0);
    assert_int_equal(next.count, 2);
    assert_int_equal(shadow_count(&next).decided, 2);
    assert_true(wants(&next));
    hear(&first, &next, true, 22000);
    hear(&next, &first, true, 23000);
    shadow_see(&first, DUTY, false, 21000 + SETTLE_MS);
    shadow_see(&next, DUTY, false, 21000 + SETTLE_MS);
    expect(&first, 2, 0);
    expect(&next, 2, 0);
}

static void an_open_one_is_judged_by_who_saw_its_time(void **unused)
{
    (void)unused;
    struct shadow first = {0};
    struct shadow next = {0};
    decide(&first, true, 0);
    hear(&next, &first, true, 1000);
    shadow_see(&first, DUTY, false, SETTLE_MS);
    hear(&next, &first, true, SETTLE_MS);
    expect(&next, 1, 0);
    shadow_see(&next, DUTY, true, SETTLE_MS + 1);
    expect(&next, 1, 0);
}

static void an_older_word_takes_nothing_back(void **unused)
{
    (void)unused;
    struct shadow first = {0};
    struct shadow next = {0};
    bool start;
    decide(&first, true, 0);
    json_t *older = shadow_document(&first, true, 0);
    hear(&next, &first, true, 0);
    shadow_see(&next, DUTY, false, SETTLE_MS);
    shadow_begin(&next);
    shadow_adopt(&next, older, SETTLE_MS);
    expect(&next, 1, 0);
    assert_false(shadow_last(&next, DUTY, &start));
    decide(&next, true, 20000); /* armed in between: the same anew is another decision */
    shadow_adopt(&next, older, 20000);
    assert_int_equal(shadow_count(&next).decided, 2);
    for (int i = 0; i < SHADOW_LOG_MAX; i++) {
        decide(&next, i % 2 == 1, 30000 + i);
    }
    json_t *brief = shadow_document(&first, false, 0);
    shadow_adopt(&next, older, 30000);
    shadow_adopt(&next, brief, 30000);
    assert_int_equal(shadow_count(&next).decided, 2 + SHADOW_LOG_MAX);
    json_decref(brief);
    json_decref(older);
}

static void decisions_at_one_instant_are_told_apart(void **unused)
{
    (void)unused;
    struct shadow first = {0};
    struct shadow next = {0};
    decide(&first, true, 0);
    shadow_decide(&first, "pm2/another", true, "", SETTLE_MS, 0, WALL_MS);
    hear(&next, &first, true, 0);
    assert_int_equal(next.count, 2);
}

static void all_leaders_count_beyond_the_log(void **unused)
{
    (void)unused;
    struct shadow nodes[3] = {0};
    uint64_t decided = 0;
    for (int turn = 0; turn < 3 * SHADOW_LOG_MAX; turn++) {
        struct shadow *leader = &nodes[turn % 3];
        for (size_t i = 0; i < 3; i++) {
            hear(leader, &nodes[i], true, turn);
        }
        decide(leader, turn % 2 == 0, turn);
        decided++;
        assert_int_equal(shadow_count(leader).decided, decided);
    }
    assert_int_equal(nodes[2].count, SHADOW_LOG_MAX);
    hear(&nodes[0], &nodes[2], true, 1000);
    assert_int_equal(shadow_count(&nodes[0]).decided, decided);
}

static void a_brief_word_tells_the_score(void **unused)
{
    (void)unused;
    struct shadow first = {0};
    struct shadow third = {0};
    struct shadow next = {0};
    decide(&first, true, 0);
    shadow_see(&first, DUTY, false, SETTLE_MS);
    decide(&first, false, 20000);
    shadow_see(&first, DUTY, true, 20000 + SETTLE_MS);
    hear(&third, &first, true, 40000);
    hear(&next, &first, false, 40000);
    expect(&next, 2, 0);
    hear(&next, &third, true, 40000); /* its log is of what was counted already */
    hear(&next, &first, false, 40000);
    expect(&next, 2, 0);
    assert_int_equal(shadow_count(&next).decided, 2);
}

static void a_brief_word_takes_no_log_from_who_has_one(void **unused)
{
    (void)unused;
    struct shadow first = {0};
    struct shadow next = {0};
    decide(&first, true, 0);
    hear(&next, &first, true, 0);
    shadow_see(&next, DUTY, false, SETTLE_MS); /* the other one never sees how it ends */
    hear(&next, &first, false, SETTLE_MS);
    expect(&next, 1, 0);
    assert_int_equal(next.count, 1);
}

static void nonsense_is_left_out(void **unused)
{
    (void)unused;
    static const char *const texts[] = {
        "7",
        "{}",
        "{\"decided\":9,\"right\":1,\"wrong\":1,\"log\":[]}",
        "{\"before\":{\"decided\":9,\"right\":1,\"wrong\":1,\"until_wall_ms\":5}}",
        "{\"before\":{\"decided\":9,\"right\":1,\"wrong\":1},\"log\":[]}",
        "{\"before\":{\"decided\":9,\"right\":-1,\"wrong\":1,\"until_wall_ms\":5},\"log\":[]}",
        "{\"before\":{\"decided\":-1,\"right\":1,\"wrong\":1,\"until_wall_ms\":5},\"log\":[]}",
        "{\"before\":{\"decided\":9,\"right\":5,\"wrong\":5,\"until_wall_ms\":5},\"log\":[]}"};
    struct shadow self = {0};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        json_t *document = json_loads(texts[i], JSON_DECODE_ANY, NULL);
        assert_non_null(document);
        shadow_adopt(&self, document, 0);
        assert_int_equal(shadow_count(&self).decided, 0);
        json_decref(document);
    }
    json_t *document =
        json_loads("{\"before\":{\"decided\":9,\"right\":1,\"wrong\":1,\"until_wall_ms\":5},"
                   "\"log\":[7,{},{\"duty\":\"\",\"verdict\":\"open\",\"at_wall_ms\":9},"
                   "{\"duty\":\"a/b\",\"verdict\":\"perhaps\",\"at_wall_ms\":9},"
                   "{\"duty\":\"a/"
                   "b\",\"verdict\":\"open\",\"would\":\"start\",\"left_ms\":-4,\"at_wall_ms\":9},"
                   "{\"duty\":\"a/b\",\"verdict\":\"right\"},"
                   "{\"duty\":\"a/b\",\"verdict\":\"right\",\"at_wall_ms\":9}]}",
                   0, NULL);
    assert_non_null(document);
    shadow_adopt(&self, document, 0);
    assert_int_equal(self.count, 1);
    assert_string_equal(self.log[0].duty, "a/b");
    assert_int_equal(shadow_count(&self).decided, 10);
    json_decref(document);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_start_was_right_when_the_primary_stayed_away),
        cmocka_unit_test(a_start_was_wrong_when_the_primary_came_back),
        cmocka_unit_test(a_stop_was_right_when_the_primary_stayed_well),
        cmocka_unit_test(the_log_is_bounded),
        cmocka_unit_test(the_next_leaders_manager_goes_on),
        cmocka_unit_test(a_late_word_of_the_leader_before_counts),
        cmocka_unit_test(an_open_one_is_judged_by_who_saw_its_time),
        cmocka_unit_test(an_older_word_takes_nothing_back),
        cmocka_unit_test(decisions_at_one_instant_are_told_apart),
        cmocka_unit_test(all_leaders_count_beyond_the_log),
        cmocka_unit_test(a_brief_word_tells_the_score),
        cmocka_unit_test(a_brief_word_takes_no_log_from_who_has_one),
        cmocka_unit_test(what_was_decided_before_it_was_armed_is_past),
        cmocka_unit_test(nonsense_is_left_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
