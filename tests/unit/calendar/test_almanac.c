/* The almanac of `ticks verify` against the calendar: two calendars that share no code. */
#include "node/cli/almanac.h"
#include "tests/unit/calendar/zones.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#define TRIALS 400
#define WEEK_S (7 * 86400)
#define SLOTS_MAX 14000 /* every minute of a week, every hour of 18 months */
#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

static int64_t almanac[SLOTS_MAX];
static int64_t calendar[SLOTS_MAX];

static size_t calendar_slots(const struct almanac_question *question, const struct zone *zone)
{
    struct calendar fields;
    struct err err = {0};
    const struct calendar_rules rules = {question->gap, question->fold, question->anchor_s};
    if (calendar_parse(question->expression, &fields, &err) != 0) {
        fail_msg("\"%s\": %s", question->expression, err.msg);
    }
    size_t count = 0;
    int64_t slot_s;
    for (int64_t after_s = question->from_s - 1;
         calendar_next(&fields, &rules, zone, after_s, &slot_s) && slot_s < question->to_s;
         after_s = slot_s) {
        assert_true(count < SLOTS_MAX);
        calendar[count++] = slot_s;
    }
    return count;
}

/* Returns how many slots both find. */
static size_t check_agreement(const struct almanac_question *question)
{
    struct err err = {0};
    size_t found;
    struct zone *zone = zone_of_system(question->zone);
    assert_non_null(zone);
    size_t expected = calendar_slots(question, zone);
    if (almanac_slots(question, almanac, SLOTS_MAX, &found, &err) != 0) {
        fail_msg("\"%s\" in %s: %s", question->expression, question->zone, err.msg);
    }
    for (size_t i = 0; i < found || i < expected; i++) {
        if (i >= found || i >= expected || almanac[i] != calendar[i]) {
            fail_msg("\"%s\" in %s (gap %d, fold %d) from %s to %s: slot %zu is %s for the almanac "
                     "and %s for the calendar",
                     question->expression, question->zone, (int)question->gap, (int)question->fold,
                     instant_text(question->from_s), instant_text(question->to_s), i,
                     i < found ? instant_text(almanac[i]) : "none",
                     i < expected ? instant_text(calendar[i]) : "none");
        }
    }
    zone_destroy(&zone);
    return found;
}

static void weeks_around_changes_of_the_clock_are_the_same(void **unused)
{
    (void)unused;
    const char *const *names;
    size_t name_count = zone_names(&names);
    assert_true(name_count > 100);
    size_t all = 0;
    for (uint64_t seed = 1; seed <= TRIALS; seed++) {
        struct rng rng;
        char expression[EXPRESSION_SIZE];
        rng_init(&rng, seed);
        draw_expression(&rng, expression);
        struct calendar_rules rules = draw_rules(&rng);
        /* Every second one among the zones with the unusual changes. */
        const char *name = names[rng_below(&rng, seed % 2 == 0 ? 16 : name_count)];
        struct zone *zone = zone_of_system(name);
        assert_non_null(zone);
        int64_t change_s = draw_change(&rng, zone);
        zone_destroy(&zone);
        struct almanac_question question = {.expression = expression,
                                            .zone = name,
                                            .gap = rules.gap,
                                            .fold = rules.fold,
                                            .from_s = change_s - rng_between(&rng, 0, WEEK_S)};
        question.to_s = question.from_s + WEEK_S;
        all += check_agreement(&question);
    }
    assert_true(all > 1000 * 10);
}

/* Months that do not fit, ends of months, 29 February: at one minute of the hours that fit. */
static void whole_years_are_the_same(void **unused)
{
    (void)unused;
    const char *const *names;
    size_t name_count = zone_names(&names);
    assert_true(name_count > 100);
    for (uint64_t seed = 1; seed <= 10; seed++) {
        struct rng rng;
        char drawn[EXPRESSION_SIZE];
        char expression[EXPRESSION_SIZE];
        rng_init(&rng, seed);
        draw_expression(&rng, drawn);
        const char *rest = seed % 2 == 0 ? strchr(drawn, ' ') : " 0,12 1,29-31 3,5,12 *";
        int minute = (int)rng_below(&rng, 60);
        (void)snprintf(expression, sizeof expression, "%d%s", minute, rest);
        struct calendar_rules rules = draw_rules(&rng);
        struct almanac_question question = {.expression = expression,
                                            .zone = names[rng_below(&rng, name_count)],
                                            .gap = rules.gap,
                                            .fold = rules.fold,
                                            .from_s = instant("2026-10-01T00:00"),
                                            .to_s = instant("2028-04-01T00:00")};
        (void)check_agreement(&question);
    }
}

/* An interval may begin or end between the two times of a minute. */
static void an_interval_may_end_at_a_change(void **unused)
{
    (void)unused;
    static const char *const changes[][2] = {{"Europe/Berlin", "2026-10-25T01:00"},
                                             {"Europe/Berlin", "2026-03-29T01:00"},
                                             {"Antarctica/Troll", "2026-10-25T01:00"},
                                             {"America/St_Johns", "2010-11-07T02:31"},
                                             {"Pacific/Apia", "2011-12-30T10:00"}};
    for (size_t i = 0; i < COUNT(changes) * 6; i++) {
        const char *text = i % 6 == 0 ? "*/10 * * * *" : "*/10 0-10,12-23 * * *";
        int64_t change_s = instant(changes[i / 6][1]);
        for (int64_t shift_s = -7200; shift_s <= 7200; shift_s += 1799) {
            struct almanac_question question = {.expression = text,
                                                .zone = changes[i / 6][0],
                                                .gap = (enum calendar_gap)(i % 2),
                                                .fold = (enum calendar_fold)(i % 3),
                                                .from_s = change_s + shift_s,
                                                .to_s = change_s + shift_s + 5000};
            (void)check_agreement(&question);
            question.from_s -= 5000;
            question.to_s -= 5000;
            (void)check_agreement(&question);
        }
    }
}

static void periods_and_nicknames_are_the_same(void **unused)
{
    (void)unused;
    static const char *const texts[] = {"every 25m", "every 97s", " every 36h ", "every 366d",
                                        "@hourly",   "@daily",    "@midnight",   "@weekly",
                                        "@monthly",  "@yearly",   "@annually",   " @daily ",
                                        "0 0 * 7 *", "0\t0 * * 7"};
    for (size_t i = 0; i < COUNT(texts); i++) {
        struct almanac_question question = {.expression = texts[i],
                                            .zone = "Europe/Berlin",
                                            .anchor_s = instant("2026-01-01T00:07:30"),
                                            .from_s = instant("2025-12-28T13:14:15"),
                                            .to_s = instant("2026-01-04T13:14:15")};
        (void)check_agreement(&question);
    }
}

static void what_it_cannot_answer_is_refused(void **unused)
{
    (void)unused;
    const struct almanac_question good = {.expression = "* * * * *",
                                          .zone = "Europe/Berlin",
                                          .from_s = instant("2026-01-01T00:00"),
                                          .to_s = instant("2026-01-01T01:00")};
    struct almanac_question question = good;
    size_t count;
    assert_int_equal(almanac_slots(&question, almanac, 60, &count, NULL), 0);
    assert_int_equal(count, 60);
    assert_int_equal(almanac_slots(&question, almanac, 59, &count, NULL), ERR_FULL);
    assert_int_equal(count, 59);
    question.from_s = instant("1972-12-31T00:00");
    assert_int_equal(almanac_slots(&question, almanac, 60, &count, NULL), ERR_INVALID);
    static const char *const zones[] = {"Nowhere", "Europe", "", "/etc/localtime",
                                        "../zoneinfo/Europe/Berlin"};
    question = good;
    for (size_t i = 0; i < COUNT(zones); i++) {
        question.zone = zones[i];
        assert_int_equal(almanac_slots(&question, almanac, 60, &count, NULL), ERR_NOTFOUND);
    }
    static const char *const texts[] = {
        "",       "* * * *", "* * * * * *", "60 * * * *", "5-1 * * * *", "*/0 * * * *",
        "@never", "every",   "every 5",     "every 0m"};
    question = good;
    for (size_t i = 0; i < COUNT(texts); i++) {
        question.expression = texts[i];
        assert_int_equal(almanac_slots(&question, almanac, 60, &count, NULL), ERR_INVALID);
    }
}

static void the_zone_of_the_process_stays(void **unused)
{
    (void)unused;
    static const char *const zones[] = {NULL, "Asia/Tokyo"};
    for (size_t i = 0; i < COUNT(zones); i++) {
        assert_int_equal(zones[i] == NULL ? unsetenv("TZ") : setenv("TZ", zones[i], 1), 0);
        struct almanac_question question = {.expression = "0 0 * * *",
                                            .zone = "America/New_York",
                                            .from_s = instant("2026-01-01T00:00"),
                                            .to_s = instant("2026-01-02T00:00")};
        size_t count;
        assert_int_equal(almanac_slots(&question, almanac, 5, &count, NULL), 0);
        assert_string_equal(instant_text(almanac[0]), "2026-01-01T05:00:00");
        const char *after = getenv("TZ");
        assert_true((after == NULL) == (zones[i] == NULL));
        assert_true(after == NULL || strcmp(after, zones[i]) == 0);
        time_t epoch = 0;
        struct tm shown;
        assert_non_null(localtime_r(&epoch, &shown));
        assert_true(zones[i] == NULL || shown.tm_hour == 9);
    }
    (void)unsetenv("TZ");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(weeks_around_changes_of_the_clock_are_the_same),
        cmocka_unit_test(whole_years_are_the_same),
        cmocka_unit_test(an_interval_may_end_at_a_change),
        cmocka_unit_test(periods_and_nicknames_are_the_same),
        cmocka_unit_test(what_it_cannot_answer_is_refused),
        cmocka_unit_test(the_zone_of_the_process_stays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
