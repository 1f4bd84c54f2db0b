/* Slots: by hand, from calendars on paper and from what the zones' people did with their clocks. */
#include "consensus/calendar.h"
#include "tests/unit/calendar/zones.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))
#define SLOTS_MAX 6

struct slots_case {
    const char *expression;
    const char *after;
    const char *slots[SLOTS_MAX];
};

static struct calendar must_parse(const char *text)
{
    struct calendar ret;
    struct err err = {0};
    if (calendar_parse(text, &ret, &err) != 0) {
        fail_msg("\"%s\": %s", text, err.msg);
    }
    return ret;
}

/* Exactly these slots come, the first ones after that instant. */
static void check_slots(const char *zone_name, const struct zone *zone,
                        const struct calendar_rules *rules, const struct slots_case *is)
{
    struct calendar calendar = must_parse(is->expression);
    int64_t slot_s = instant(is->after);
    for (size_t i = 0; i < SLOTS_MAX && is->slots[i] != NULL; i++) {
        bool found = calendar_next(&calendar, rules, zone, slot_s, &slot_s);
        if (!found || slot_s != instant(is->slots[i])) {
            fail_msg("\"%s\" in %s (gap %d, fold %d) after %s: slot %zu is %s, not %s",
                     is->expression, zone_name, (int)rules->gap, (int)rules->fold, is->after, i,
                     found ? instant_text(slot_s) : "none", is->slots[i]);
        }
    }
}

/* ---- the calendar alone ---- */

static const struct slots_case in_utc[] = {
    {"* * * * *",
     "2026-12-31T23:58:59",
     {"2026-12-31T23:59", "2027-01-01T00:00", "2027-01-01T00:01"}},
    {"*/15 * * * *", "2026-06-01T00:15", {"2026-06-01T00:30", "2026-06-01T00:45"}},
    {"*/15 * * * *", "2026-06-01T00:14:59", {"2026-06-01T00:15", "2026-06-01T00:30"}},
    {"5,50 4,23 * * *",
     "2026-06-01T04:50",
     {"2026-06-01T23:05", "2026-06-01T23:50", "2026-06-02T04:05", "2026-06-02T04:50"}},
    {"59 23 31 12 *", "2026-12-31T23:59", {"2027-12-31T23:59", "2028-12-31T23:59"}},
    {"0 0 31 * *",
     "2026-01-31T00:00",
     {"2026-03-31T00:00", "2026-05-31T00:00", "2026-07-31T00:00", "2026-08-31T00:00",
      "2026-10-31T00:00"}},
    {"0 0 1 mar,nov *",
     "2026-02-28T23:59",
     {"2026-03-01T00:00", "2026-11-01T00:00", "2027-03-01T00:00"}},
    {"30 12 29 2 *", "2026-01-01T00:00", {"2028-02-29T12:30", "2032-02-29T12:30"}},
    {"30 12 29 2 *", "2096-02-29T12:30", {"2104-02-29T12:30"}}, /* 2100 has none */
    /* A day of the week of 29 February comes again after up to 40 years: here Sundays. */
    {"0 0 29 2 */7", "2060-03-01T00:00", {"2088-02-29T00:00", "2128-02-29T00:00"}},
    /* Both days restricted: either fits. The 13th of June 2026 is a Saturday. */
    {"0 0 13 6 fri",
     "2026-06-01T00:00",
     {"2026-06-05T00:00", "2026-06-12T00:00", "2026-06-13T00:00", "2026-06-19T00:00"}},
    /* One begins with a star: both must fit. Odd days that are Mondays. */
    {"0 0 */2 * mon",
     "2026-05-31T12:00",
     {"2026-06-01T00:00", "2026-06-15T00:00", "2026-06-29T00:00", "2026-07-13T00:00"}},
    {"0 0 1-7 * */7", "2026-06-01T00:00", {"2026-06-07T00:00", "2026-07-05T00:00"}},
    {"0 12 * * 7", "2026-06-01T00:00", {"2026-06-07T12:00", "2026-06-14T12:00"}},
    {"@weekly", "2026-06-07T00:00", {"2026-06-14T00:00"}},
    {"@yearly", "2026-06-07T00:00", {"2027-01-01T00:00"}},
    /* Before 1970, across the end of 1969. */
    {"30 23 31 12 *", "1960-06-01T00:00", {"1960-12-31T23:30", "1961-12-31T23:30"}},
    {"0 0 * * thu", "1969-12-31T00:00", {"1970-01-01T00:00", "1970-01-08T00:00"}},
    {"0 0 * * wed", "1969-12-24T12:00", {"1969-12-31T00:00", "1970-01-07T00:00"}},
    {"0 0 28-31 2 *", "1900-01-01T00:00", {"1900-02-28T00:00", "1901-02-28T00:00"}},
};

static void slots_fit_the_fields(void **unused)
{
    (void)unused;
    const struct calendar_rules rules = {.gap = CALENDAR_GAP_NEXT};
    struct zone *zone = zone_of_footer("UTC0", NULL);
    assert_non_null(zone);
    for (size_t i = 0; i < COUNT(in_utc); i++) {
        check_slots("UTC", zone, &rules, &in_utc[i]);
    }
    zone_destroy(&zone);
}

static void what_never_comes_is_told_so(void **unused)
{
    (void)unused;
    static const char *const footers[] = {"UTC0", "CET-1CEST,M3.5.0,M10.5.0/3"};
    static const char *const never[] = {"0 0 30 2 *", "0 0 31 4,6,9,11 *", "* * 31 2 *"};
    const struct calendar_rules rules = {.gap = CALENDAR_GAP_NEXT};
    for (size_t i = 0; i < COUNT(footers) * COUNT(never); i++) {
        struct zone *zone = zone_of_footer(footers[i % COUNT(footers)], NULL);
        struct calendar calendar = must_parse(never[i / COUNT(footers)]);
        int64_t slot_s;
        assert_non_null(zone);
        assert_false(calendar_next(&calendar, &rules, zone, instant("2026-06-01T00:00"), &slot_s));
        zone_destroy(&zone);
    }
}

static void instants_far_outside_bring_no_overflow(void **unused)
{
    (void)unused;
    static const char *const texts[] = {"* * * * *", "0 0 29 2 */7", "every 25m"};
    struct calendar_rules rules = {.gap = CALENDAR_GAP_NEXT};
    struct zone *zone = zone_of_footer("CET-1CEST,M3.5.0,M10.5.0/3", NULL);
    assert_non_null(zone);
    for (size_t i = 0; i < COUNT(texts); i++) {
        struct calendar calendar = must_parse(texts[i]);
        int64_t slot_s;
        assert_true(calendar_next(&calendar, &rules, zone, INT64_MIN, &slot_s));
        assert_true(slot_s > ZONE_INSTANT_MIN);
        assert_true(calendar_next(&calendar, &rules, zone, ZONE_INSTANT_MAX, &slot_s));
        assert_true(slot_s > ZONE_INSTANT_MAX);
        assert_false(calendar_next(&calendar, &rules, zone, ZONE_INSTANT_MAX + 1, &slot_s));
        assert_false(calendar_next(&calendar, &rules, zone, INT64_MAX, &slot_s));
    }
    struct calendar every = must_parse("every 25m");
    int64_t slot_s;
    rules.anchor_s = INT64_MIN;
    assert_false(calendar_next(&every, &rules, NULL, 0, &slot_s));
    rules.anchor_s = INT64_MAX;
    assert_false(calendar_next(&every, &rules, NULL, 0, &slot_s));
    zone_destroy(&zone);
}

/* ---- every ---- */

static void every_counts_from_its_anchor_and_knows_no_zone(void **unused)
{
    (void)unused;
    const struct calendar_rules rules = {.gap = CALENDAR_GAP_SKIP,
                                         .fold = CALENDAR_FOLD_BOTH,
                                         .anchor_s = instant("2026-03-29T00:07:30")};
    static const struct slots_case cases[] = {
        {"every 25m", "2026-03-29T00:07:29", {"2026-03-29T00:07:30", "2026-03-29T00:32:30"}},
        {"every 25m",
         "2026-03-29T00:07:30",
         {"2026-03-29T00:32:30", "2026-03-29T00:57:30", "2026-03-29T01:22:30"}},
        {"every 25m", "2026-03-28T23:20:00", {"2026-03-28T23:42:30", "2026-03-29T00:07:30"}},
        {"every 1s", "2026-03-29T05:00:00", {"2026-03-29T05:00:01", "2026-03-29T05:00:02"}},
        {"every 7d", "2025-03-29T00:00:00", {"2025-03-30T00:07:30", "2025-04-06T00:07:30"}},
        {"every 366d", "1969-06-01T00:00:00", {"1970-02-15T00:07:30", "1971-02-16T00:07:30"}},
    };
    struct zone *berlin = zone_of_footer("CET-1CEST,M3.5.0,M10.5.0/3", NULL);
    assert_non_null(berlin);
    for (size_t i = 0; i < COUNT(cases); i++) {
        check_slots("no zone", NULL, &rules, &cases[i]);
        check_slots("Berlin", berlin, &rules, &cases[i]);
    }
    zone_destroy(&berlin);
}

/* ---- changes of the clock ---- */

struct change_case {
    const char *zone;
    enum calendar_gap gap;
    enum calendar_fold fold;
    struct slots_case is;
};

#define NEXT CALENDAR_GAP_NEXT
#define SKIP CALENDAR_GAP_SKIP
#define FIRST CALENDAR_FOLD_FIRST
#define SECOND CALENDAR_FOLD_SECOND
#define BOTH CALENDAR_FOLD_BOTH

static const struct change_case gaps[] = {
    /* 02:00 becomes 03:00 on 29 March 2026, 01:00 in UTC. */
    {"Europe/Berlin",
     NEXT,
     FIRST,
     {"30 2 * * *", "2026-03-28T12:00", {"2026-03-29T01:00", "2026-03-30T00:30"}}},
    {"Europe/Berlin", /* from the second before the change */
     NEXT,
     FIRST,
     {"30 2 * * *", "2026-03-29T00:59:59", {"2026-03-29T01:00", "2026-03-30T00:30"}}},
    {"Europe/Berlin", NEXT, FIRST, {"30 2 * * *", "2026-03-29T01:00", {"2026-03-30T00:30"}}},
    {"Europe/Berlin", SKIP, FIRST, {"30 2 * * *", "2026-03-28T12:00", {"2026-03-30T00:30"}}},
    {"Europe/Berlin",
     NEXT,
     FIRST,
     {"*/20 2 * * *", "2026-03-28T12:00", {"2026-03-29T01:00", "2026-03-30T00:00"}}},
    {"Europe/Berlin",
     NEXT,
     FIRST,
     {"0 2,3 * * *", "2026-03-28T12:00", {"2026-03-29T01:00", "2026-03-30T00:00"}}},
    {"Europe/Berlin",
     NEXT,
     FIRST,
     {"30 1-3 * * *",
      "2026-03-29T00:00",
      {"2026-03-29T00:30", "2026-03-29T01:00", "2026-03-29T01:30"}}},
    {"Europe/Berlin",
     SKIP,
     FIRST,
     {"30 1-3 * * *",
      "2026-03-29T00:00",
      {"2026-03-29T00:30", "2026-03-29T01:30", "2026-03-29T23:30"}}},
    /* 02:00 to 03:00 on 8 March 2026, 07:00 in UTC. */
    {"America/New_York",
     NEXT,
     FIRST,
     {"15 2 * * *", "2026-03-07T12:00", {"2026-03-08T07:00", "2026-03-09T06:15"}}},
    {"America/New_York", SKIP, FIRST, {"15 2 * * *", "2026-03-07T12:00", {"2026-03-09T06:15"}}},
    /* Half an hour: 02:00 to 02:30 on 4 October 2026. */
    {"Australia/Lord_Howe",
     NEXT,
     FIRST,
     {"15 2 * * *", "2026-10-03T00:00", {"2026-10-03T15:30", "2026-10-04T15:15"}}},
    {"Australia/Lord_Howe",
     SKIP,
     FIRST,
     {"15,30 2 * * *", "2026-10-03T00:00", {"2026-10-03T15:30", "2026-10-04T15:15"}}},
    {"Australia/Lord_Howe", SKIP, FIRST, {"15 2 * * *", "2026-10-03T00:00", {"2026-10-04T15:15"}}},
    /* Midnight itself: 00:00 to 01:00 on 22 March 2022. */
    {"Asia/Tehran",
     NEXT,
     FIRST,
     {"0 0 * * *", "2022-03-21T00:00", {"2022-03-21T20:30", "2022-03-22T19:30"}}},
    {"Asia/Tehran", SKIP, FIRST, {"0 0 * * *", "2022-03-21T00:00", {"2022-03-22T19:30"}}},
    /* Saving time an hour behind, in Ramadan: back to the standard, 02:00 to 03:00. */
    {"Africa/Casablanca",
     NEXT,
     FIRST,
     {"30 2 * * *", "2026-03-21T12:00", {"2026-03-22T02:00", "2026-03-23T01:30"}}},
    /* 30 December 2011 did not come. */
    {"Pacific/Apia",
     NEXT,
     FIRST,
     {"0 12 * * *",
      "2011-12-29T00:00",
      {"2011-12-29T22:00", "2011-12-30T10:00", "2011-12-30T22:00"}}},
    {"Pacific/Apia",
     SKIP,
     FIRST,
     {"0 12 * * *", "2011-12-29T00:00", {"2011-12-29T22:00", "2011-12-30T22:00"}}},
    {"Pacific/Apia",
     NEXT,
     FIRST,
     {"0 0 30 12 *", "2011-06-01T00:00", {"2011-12-30T10:00", "2012-12-29T10:00"}}},
    {"Pacific/Apia", SKIP, FIRST, {"0 0 30 12 *", "2011-06-01T00:00", {"2012-12-29T10:00"}}},
    {"Pacific/Apia", /* a Friday */
     NEXT,
     FIRST,
     {"0 9 * * fri", "2011-12-25T00:00", {"2011-12-30T10:00", "2012-01-05T19:00"}}},
    /* 00:01 to 01:01 on 14 March 2010. */
    {"America/St_Johns",
     NEXT,
     FIRST,
     {"1 0 * * *", "2010-03-13T12:00", {"2010-03-14T03:31", "2010-03-15T02:31"}}},
    {"America/St_Johns", SKIP, FIRST, {"1 0 * * *", "2010-03-13T12:00", {"2010-03-15T02:31"}}},
    {"America/St_Johns", SKIP, FIRST, {"0 0 * * *", "2010-03-13T12:00", {"2010-03-14T03:30"}}},
    {"America/St_Johns", SKIP, FIRST, {"1 1 * * *", "2010-03-13T12:00", {"2010-03-14T03:31"}}},
    /* Two hours: 01:00 to 03:00 on 29 March 2026. */
    {"Antarctica/Troll",
     NEXT,
     FIRST,
     {"30 1,2 * * *",
      "2026-03-28T12:00",
      {"2026-03-29T01:00", "2026-03-29T23:30", "2026-03-30T00:30"}}},
};

static const struct change_case folds[] = {
    /* 03:00 becomes 02:00 on 25 October 2026, 01:00 in UTC. */
    {"Europe/Berlin",
     NEXT,
     FIRST,
     {"30 2 * * *", "2026-10-24T12:00", {"2026-10-25T00:30", "2026-10-26T01:30"}}},
    {"Europe/Berlin",
     NEXT,
     SECOND,
     {"30 2 * * *", "2026-10-24T12:00", {"2026-10-25T01:30", "2026-10-26T01:30"}}},
    {"Europe/Berlin",
     NEXT,
     BOTH,
     {"30 2 * * *",
      "2026-10-24T12:00",
      {"2026-10-25T00:30", "2026-10-25T01:30", "2026-10-26T01:30"}}},
    /* The edges: 02:00 comes twice, 03:00 once. */
    {"Europe/Berlin",
     NEXT,
     FIRST,
     {"0 2,3 * * *",
      "2026-10-24T12:00",
      {"2026-10-25T00:00", "2026-10-25T02:00", "2026-10-26T01:00"}}},
    {"Europe/Berlin",
     NEXT,
     SECOND,
     {"0 2,3 * * *",
      "2026-10-24T12:00",
      {"2026-10-25T01:00", "2026-10-25T02:00", "2026-10-26T01:00"}}},
    {"Europe/Berlin",
     NEXT,
     BOTH,
     {"0 2,3 * * *",
      "2026-10-24T12:00",
      {"2026-10-25T00:00", "2026-10-25T01:00", "2026-10-25T02:00", "2026-10-26T01:00"}}},
    /* 02:00 to 01:00 on 1 November 2026, 06:00 in UTC. */
    {"America/New_York",
     NEXT,
     FIRST,
     {"30 1 * * *", "2026-10-31T12:00", {"2026-11-01T05:30", "2026-11-02T06:30"}}},
    {"America/New_York",
     NEXT,
     SECOND,
     {"30 1 * * *", "2026-10-31T12:00", {"2026-11-01T06:30", "2026-11-02T06:30"}}},
    /* 02:00 to 01:30 on 5 April 2026. */
    {"Australia/Lord_Howe",
     NEXT,
     FIRST,
     {"30,45 1 * * *",
      "2026-04-04T00:00",
      {"2026-04-04T14:30", "2026-04-04T14:45", "2026-04-05T15:00"}}},
    {"Australia/Lord_Howe",
     NEXT,
     SECOND,
     {"30,45 1 * * *",
      "2026-04-04T00:00",
      {"2026-04-04T15:00", "2026-04-04T15:15", "2026-04-05T15:00"}}},
    {"Australia/Lord_Howe", NEXT, FIRST, {"0 2 * * *", "2026-04-04T00:00", {"2026-04-04T15:30"}}},
    /* 24:00 to 23:00 on 21 September 2022: midnight comes once. */
    {"Asia/Tehran",
     NEXT,
     FIRST,
     {"30 23 * * *", "2022-09-21T12:00", {"2022-09-21T19:00", "2022-09-22T20:00"}}},
    {"Asia/Tehran",
     NEXT,
     SECOND,
     {"30 23 * * *", "2022-09-21T12:00", {"2022-09-21T20:00", "2022-09-22T20:00"}}},
    {"Asia/Tehran",
     NEXT,
     BOTH,
     {"0 0 * * *", "2022-09-21T12:00", {"2022-09-21T20:30", "2022-09-22T20:30"}}},
    /* 03:00 to 02:00 on 15 February 2026. */
    {"Africa/Casablanca",
     NEXT,
     FIRST,
     {"30 2 * * *", "2026-02-14T12:00", {"2026-02-15T01:30", "2026-02-16T02:30"}}},
    {"Africa/Casablanca",
     NEXT,
     SECOND,
     {"30 2 * * *", "2026-02-14T12:00", {"2026-02-15T02:30", "2026-02-16T02:30"}}},
    /* 00:01 to 23:01 of the day before, on 7 November 2010. */
    {"America/St_Johns",
     NEXT,
     FIRST,
     {"30 23 * * *", "2010-11-06T12:00", {"2010-11-07T02:00", "2010-11-08T03:00"}}},
    {"America/St_Johns",
     NEXT,
     SECOND,
     {"30 23 * * *", "2010-11-06T12:00", {"2010-11-07T03:00", "2010-11-08T03:00"}}},
    {"America/St_Johns",
     NEXT,
     BOTH,
     {"0,1 0 * * *",
      "2010-11-06T12:00",
      {"2010-11-07T02:30", "2010-11-07T03:30", "2010-11-07T03:31", "2010-11-08T03:30"}}},
    {"America/St_Johns", NEXT, FIRST, {"0 0 7 11 *", "2010-11-06T12:00", {"2010-11-07T02:30"}}},
    {"America/St_Johns", NEXT, SECOND, {"0 0 7 11 *", "2010-11-06T12:00", {"2010-11-07T03:30"}}},
    /* 03:00 to 01:00 on 25 October 2026. */
    {"Antarctica/Troll",
     NEXT,
     FIRST,
     {"30 1,2 * * *",
      "2026-10-24T12:00",
      {"2026-10-24T23:30", "2026-10-25T00:30", "2026-10-26T01:30"}}},
    {"Antarctica/Troll",
     NEXT,
     SECOND,
     {"30 1,2 * * *",
      "2026-10-24T12:00",
      {"2026-10-25T01:30", "2026-10-25T02:30", "2026-10-26T01:30"}}},
    {"Antarctica/Troll",
     NEXT,
     BOTH,
     {"30 1,2 * * *",
      "2026-10-24T12:00",
      {"2026-10-24T23:30", "2026-10-25T00:30", "2026-10-25T01:30", "2026-10-25T02:30",
       "2026-10-26T01:30"}}},
};

/* Every hour, however it is written, follows real time under any policy. */
static const struct change_case hourly[] = {
    {"Europe/Berlin",
     NEXT,
     FIRST,
     {"30 * * * *", "2026-03-29T00:00", {"2026-03-29T00:30", "2026-03-29T01:30"}}},
    {"Europe/Berlin",
     NEXT,
     SECOND,
     {"30 */1 * * *",
      "2026-10-25T00:00",
      {"2026-10-25T00:30", "2026-10-25T01:30", "2026-10-25T02:30"}}},
    {"Europe/Berlin",
     SKIP,
     FIRST,
     {"30 0-23 * * *",
      "2026-10-25T00:00",
      {"2026-10-25T00:30", "2026-10-25T01:30", "2026-10-25T02:30"}}},
    {"Europe/Berlin",
     NEXT,
     FIRST,
     {"* * * * *",
      "2026-10-25T00:58:59",
      {"2026-10-25T00:59", "2026-10-25T01:00", "2026-10-25T01:01"}}},
    {"Australia/Lord_Howe",
     NEXT,
     FIRST,
     {"15 * * * *",
      "2026-10-03T14:00",
      {"2026-10-03T14:45", "2026-10-03T16:15", "2026-10-03T17:15"}}},
    {"Pacific/Apia",
     NEXT,
     FIRST,
     {"0 * * * *", "2011-12-30T09:00", {"2011-12-30T10:00", "2011-12-30T11:00"}}},
    {"Pacific/Apia", NEXT, FIRST, {"0 * 30 12 *", "2011-12-29T00:00", {"2012-12-29T10:00"}}},
};

static void check_changes(const struct change_case *cases, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct calendar_rules rules = {.gap = cases[i].gap, .fold = cases[i].fold};
        struct zone *zone = zone_of_system(cases[i].zone);
        assert_non_null(zone);
        check_slots(cases[i].zone, zone, &rules, &cases[i].is);
        zone_destroy(&zone);
    }
}

static void a_gap_brings_its_slots_at_the_change_or_not_at_all(void **unused)
{
    (void)unused;
    check_changes(gaps, COUNT(gaps));
}

static void a_fold_brings_its_slots_once_or_twice(void **unused)
{
    (void)unused;
    check_changes(folds, COUNT(folds));
}

static void every_hour_follows_real_time(void **unused)
{
    (void)unused;
    check_changes(hourly, COUNT(hourly));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(slots_fit_the_fields),
        cmocka_unit_test(what_never_comes_is_told_so),
        cmocka_unit_test(instants_far_outside_bring_no_overflow),
        cmocka_unit_test(every_counts_from_its_anchor_and_knows_no_zone),
        cmocka_unit_test(a_gap_brings_its_slots_at_the_change_or_not_at_all),
        cmocka_unit_test(a_fold_brings_its_slots_once_or_twice),
        cmocka_unit_test(every_hour_follows_real_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
