/* Zone files of our own making: what is read from them, what is refused, and the questions. */
#include "consensus/zone.h"
#include "tests/unit/calendar/tzif.h"
#include "tests/unit/calendar/zones.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define HOUR 3600
#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

/* In 2020 from +1 to +2, in 2021 to +2 under another name, in 2022 to +3. */
static const int64_t times[] = {1577836800, 1609459200, 1640995200};
static const uint8_t types[] = {1, 2, 3};
static const int32_t offsets[] = {1 * HOUR, 2 * HOUR, 2 * HOUR, 3 * HOUR};

static struct tzif plain_file(void)
{
    return (struct tzif){.change_count = 3,
                         .times = times,
                         .types = types,
                         .type_count = 4,
                         .offsets = offsets,
                         .footer = ""};
}

static struct zone *decode(const struct tzif *file, struct err *err)
{
    static uint8_t bytes[ZONE_BYTES_MAX];
    struct zone *ret = NULL;
    size_t length = tzif_encode(file, bytes, sizeof bytes);
    assert_true(length > 0);
    int rc = zone_decode(bytes, length, "made/here", &ret, err);
    assert_int_equal(rc == 0, ret != NULL);
    assert_true(rc == 0 || rc == ERR_INVALID);
    return ret;
}

static struct zone *must_decode(const struct tzif *file)
{
    struct err err = {0};
    struct zone *ret = decode(file, &err);
    if (ret == NULL) {
        fail_msg("%s", err.msg);
    }
    return ret;
}

static struct zone *must_follow(const char *footer)
{
    struct err err = {0};
    struct zone *ret = zone_of_footer(footer, &err);
    if (ret == NULL) {
        fail_msg("%s: %s", footer, err.msg);
    }
    return ret;
}

static void versions_2_and_later_are_read_past_the_block_of_version_1(void **unused)
{
    (void)unused;
    for (char version = '2'; version <= '5'; version++) {
        struct tzif file = plain_file();
        file.version = version;
        struct zone *zone = must_decode(&file);
        assert_string_equal(zone_name(zone), "made/here");
        assert_int_equal(zone_offset_s(zone, 0), 1 * HOUR);
        assert_int_equal(zone_offset_s(zone, times[0] - 1), 1 * HOUR);
        assert_int_equal(zone_offset_s(zone, times[0]), 2 * HOUR);
        assert_int_equal(zone_offset_s(zone, times[2] - 1), 2 * HOUR);
        assert_int_equal(zone_offset_s(zone, times[2]), 3 * HOUR);
        assert_int_equal(zone_offset_s(zone, ZONE_INSTANT_MAX), 3 * HOUR);
        zone_destroy(&zone);
        assert_null(zone);
        zone_destroy(&zone);
    }
    zone_destroy(NULL);
}

static void a_change_of_name_alone_ends_no_stretch(void **unused)
{
    (void)unused;
    struct tzif file = plain_file();
    struct zone *zone = must_decode(&file);
    struct zone_stretch stretch;
    zone_stretch(zone, times[1] + 5, &stretch);
    assert_int_equal(stretch.begin_s, times[0]);
    assert_int_equal(stretch.end_s, times[2]);
    assert_int_equal(stretch.before_s, 1 * HOUR);
    assert_int_equal(stretch.offset_s, 2 * HOUR);
    assert_int_equal(stretch.after_s, 3 * HOUR);
    zone_stretch(zone, 0, &stretch);
    assert_true(stretch.begin_s == INT64_MIN);
    assert_int_equal(stretch.before_s, 1 * HOUR);
    zone_stretch(zone, times[2], &stretch);
    assert_int_equal(stretch.begin_s, times[2]);
    assert_true(stretch.end_s == INT64_MAX);
    assert_int_equal(stretch.after_s, 3 * HOUR);
    zone_destroy(&zone);
}

static void what_is_no_zone_is_refused_with_what_is_wrong(void **unused)
{
    (void)unused;
    static const int64_t falling[] = {1577836800, 1577836800, 1640995200};
    static const uint8_t missing[] = {1, 4, 3};
    static const int32_t wide[] = {1 * HOUR, 2 * HOUR, 2 * HOUR, 26 * HOUR};
    struct tzif files[9];
    for (size_t i = 0; i < COUNT(files); i++) {
        files[i] = plain_file();
    }
    files[0].version = '1';
    files[1].times = falling;
    files[2].types = missing;
    files[3].offsets = wide;
    files[4].leap_count = 2;
    files[5].footer = NULL;
    files[6].footer = "EST5EDT";
    files[7].change_count = 0;
    files[7].type_count = 0;
    files[8].footer = "XYZ0"
                      "                                                                          "
                      "                                                                          ";
    static const char *const texts[] = {
        "version 1; install the package tzdata",
        "not in order",
        "a type that is not there",
        "26 hours",
        "leap seconds; take the zone without \"right/\"",
        "missing or too long",
        "no form that RFC 9636 knows",
        "no type of local time",
        "missing or too long",
    };
    for (size_t i = 0; i < COUNT(files); i++) {
        struct err err = {0};
        assert_null(decode(&files[i], &err));
        if (strstr(err.msg, texts[i]) == NULL || strstr(err.msg, "zone made/here: ") == NULL) {
            fail_msg("\"%s\" does not say \"%s\"", err.msg, texts[i]);
        }
    }
}

static void a_file_cut_anywhere_is_refused(void **unused)
{
    (void)unused;
    uint8_t bytes[1024];
    struct tzif file = plain_file();
    file.footer = "CET-1CEST,M3.5.0,M10.5.0/3";
    size_t length = tzif_encode(&file, bytes, sizeof bytes);
    struct zone *zone = NULL;
    for (size_t cut = 0; cut < length; cut++) {
        assert_int_equal(zone_decode(bytes, cut, "cut", &zone, NULL), ERR_INVALID);
        assert_null(zone);
    }
    assert_int_equal(zone_decode(bytes, length, "whole", &zone, NULL), 0);
    zone_destroy(&zone);
}

static void counts_beyond_all_bounds_are_refused(void **unused)
{
    (void)unused;
    uint8_t bytes[1024];
    struct tzif file = plain_file();
    size_t length = tzif_encode(&file, bytes, sizeof bytes);
    struct zone *zone = NULL;
    for (size_t count = 0; count < 6; count++) {
        uint8_t kept[4];
        memcpy(kept, bytes + 20 + 4 * count, 4);
        memset(bytes + 20 + 4 * count, 0xff, 4);
        assert_int_equal(zone_decode(bytes, length, "large", &zone, NULL), ERR_INVALID);
        memcpy(bytes + 20 + 4 * count, kept, 4);
    }
    assert_int_equal(zone_decode(bytes, length, "right", &zone, NULL), 0);
    zone_destroy(&zone);
}

static void a_name_is_short_enough_to_be_told(void **unused)
{
    (void)unused;
    uint8_t bytes[1024];
    struct tzif file = plain_file();
    size_t length = tzif_encode(&file, bytes, sizeof bytes);
    struct zone *zone = NULL;
    char name[ZONE_NAME_SIZE + 1];
    memset(name, 'z', sizeof name);
    name[ZONE_NAME_SIZE] = '\0';
    assert_int_equal(zone_decode(bytes, length, name, &zone, NULL), ERR_INVALID);
    name[ZONE_NAME_SIZE - 1] = '\0';
    assert_int_equal(zone_decode(bytes, length, name, &zone, NULL), 0);
    assert_string_equal(zone_name(zone), name);
    zone_destroy(&zone);
}

/* ---- footers ---- */

struct footer_case {
    const char *footer;
    const char *change; /* in UTC */
    int32_t before_s;
    int32_t after_s;
};

static const struct footer_case footer_cases[] = {
    /* The last Sunday, and the second and first. */
    {"CET-1CEST,M3.5.0,M10.5.0/3", "2026-03-29T01:00", 1 * HOUR, 2 * HOUR},
    {"CET-1CEST,M3.5.0,M10.5.0/3", "2026-10-25T01:00", 2 * HOUR, 1 * HOUR},
    {"CET-1CEST,M3.5.0,M10.5.0/3", "2499-03-29T01:00", 1 * HOUR, 2 * HOUR},
    {"CET-1CEST,M3.5.0,M10.5.0/3", "1901-03-31T01:00", 1 * HOUR, 2 * HOUR},
    {"EST5EDT,M3.2.0,M11.1.0", "2026-03-08T07:00", -5 * HOUR, -4 * HOUR},
    {"EST5EDT,M3.2.0,M11.1.0", "2026-11-01T06:00", -4 * HOUR, -5 * HOUR},
    /* South of the equator, and half an hour, by names in <>. */
    {"<+1030>-10:30<+11>-11,M10.1.0,M4.1.0", "2026-04-04T15:00", 39600, 37800},
    {"<+1030>-10:30<+11>-11,M10.1.0,M4.1.0", "2026-10-03T15:30", 37800, 39600},
    {"NZST-12NZDT,M9.5.0,M4.1.0/3", "2027-04-03T14:00", 13 * HOUR, 12 * HOUR},
    /* Winter time as the one that saves, an hour behind. */
    {"IST-1GMT0,M10.5.0,M3.5.0/1", "2026-03-29T01:00", 0, 1 * HOUR},
    {"IST-1GMT0,M10.5.0,M3.5.0/1", "2026-10-25T01:00", 1 * HOUR, 0},
    /* Times of another day: before midnight, and the day after the fourth Thursday. */
    {"<-02>2<-01>,M3.5.0/-1,M10.5.0/0", "2026-03-29T01:00", -2 * HOUR, -1 * HOUR},
    {"<-02>2<-01>,M3.5.0/-1,M10.5.0/0", "2026-10-25T01:00", -1 * HOUR, -2 * HOUR},
    {"IST-2IDT,M3.4.4/26,M10.5.0", "2026-03-27T00:00", 2 * HOUR, 3 * HOUR},
    {"XXX0YYY,M1.1.1/167,M7.1.1/-167", "2026-01-11T23:00", 0, 1 * HOUR},
    {"XXX0YYY,M1.1.1/167,M7.1.1/-167", "2026-06-29T00:00", 1 * HOUR, 0},
    {"XXX0YYY,M3.5.0/1:02:03,M10.5.0", "2026-03-29T01:02:03", 0, 1 * HOUR},
    {"XXX+1:30YYY+0:15,M3.5.0,M10.5.0", "2026-03-29T03:30", -5400, -900},
    /* 1 March is J60 in every year, and 60 (from 0) in leap years only. */
    {"XXX0YYY,J60/0,J300", "2026-03-01T00:00", 0, 1 * HOUR},
    {"XXX0YYY,J60/0,J300", "2028-03-01T00:00", 0, 1 * HOUR},
    {"XXX0YYY,J59/0,J300", "2028-02-28T00:00", 0, 1 * HOUR},
    {"XXX0YYY,60/0,300", "2026-03-02T00:00", 0, 1 * HOUR},
    {"XXX0YYY,60/0,300", "2028-03-01T00:00", 0, 1 * HOUR},
    /* All the year but an hour. */
    {"XXX0YYY,J1/0,J365/24", "2026-12-31T23:00", 1 * HOUR, 0},
    {"XXX0YYY,J1/0,J365/24", "2027-01-01T00:00", 0, 1 * HOUR},
};

static void footers_say_when_clocks_are_changed(void **unused)
{
    (void)unused;
    for (size_t i = 0; i < COUNT(footer_cases); i++) {
        const struct footer_case *is = &footer_cases[i];
        struct zone *zone = must_follow(is->footer);
        int64_t change_s = instant(is->change);
        struct zone_stretch stretch;
        zone_stretch(zone, change_s, &stretch);
        if (stretch.begin_s != change_s || stretch.before_s != is->before_s ||
            stretch.offset_s != is->after_s || zone_offset_s(zone, change_s - 1) != is->before_s) {
            fail_msg("%s: from %s it is %d, before %d", is->footer, instant_text(stretch.begin_s),
                     stretch.offset_s, stretch.before_s);
        }
        zone_destroy(&zone);
    }
}

static void a_footer_without_a_change_holds_for_ever(void **unused)
{
    (void)unused;
    struct zone *zone = must_follow("<+0545>-5:45");
    struct zone_stretch stretch;
    zone_stretch(zone, instant("2026-01-01T00:00"), &stretch);
    assert_int_equal(stretch.offset_s, 5 * HOUR + 45 * 60);
    assert_true(stretch.begin_s == INT64_MIN);
    assert_true(stretch.end_s == INT64_MAX);
    zone_destroy(&zone);
}

/* RFC 9636, section 3.3: the one begins when the other ends, with nothing between. */
static void saving_time_may_last_all_year(void **unused)
{
    (void)unused;
    static const char *const footers[] = {
        "EST5EDT,0/0,J365/25",  /* as the RFC writes it */
        "XXX3EDT4,0/0,J365/23", /* behind the standard time */
        "EST5EDT,0/0,J365/30",  /* they overlap */
    };
    for (size_t i = 0; i < COUNT(footers); i++) {
        struct zone *zone = must_follow(footers[i]);
        struct zone_stretch stretch;
        zone_stretch(zone, instant("2026-06-01T00:00"), &stretch);
        assert_int_equal(stretch.offset_s, -4 * HOUR);
        assert_true(stretch.begin_s == INT64_MIN);
        assert_true(stretch.end_s == INT64_MAX);
        zone_destroy(&zone);
    }
}

static void a_footer_counts_after_the_last_listed_change(void **unused)
{
    (void)unused;
    static const int64_t at[] = {1774746000,
                                 1790000000}; /* 2026-03-29T01:00, 2026-09-21T14:13:20 */
    static const uint8_t to[] = {1, 1};
    static const int32_t of[] = {1 * HOUR, 2 * HOUR};
    const struct tzif file = {.change_count = 2,
                              .times = at,
                              .types = to,
                              .type_count = 2,
                              .offsets = of,
                              .footer = "CET-1CEST,M3.5.0,M10.5.0/3"};
    struct zone *zone = must_decode(&file);
    struct zone_stretch stretch;
    zone_stretch(zone, instant("2026-03-29T00:59:59"), &stretch);
    assert_int_equal(stretch.offset_s, 1 * HOUR);
    assert_true(stretch.begin_s == INT64_MIN); /* the rule does not reach back */
    zone_stretch(zone, stretch.end_s, &stretch);
    assert_string_equal(instant_text(stretch.begin_s), "2026-03-29T01:00:00");
    assert_string_equal(instant_text(stretch.end_s), "2026-10-25T01:00:00");
    zone_stretch(zone, stretch.end_s, &stretch);
    assert_int_equal(stretch.offset_s, 1 * HOUR);
    assert_string_equal(instant_text(stretch.end_s), "2027-03-28T01:00:00");
    zone_destroy(&zone);
}

static void footers_of_no_known_form_are_refused(void **unused)
{
    (void)unused;
    static const char *const footers[] = {
        "CET",
        "CE-1",
        "-1",
        "<+01-1",
        "CET-25",
        "CET-1:60",
        "CET-1:00:60",
        "CET-",
        "CET-1CEST",
        "CET-1CEST,M3.5.0",
        "CET-1CEST,M3.5.0,",
        "CET-1CEST,M13.5.0,M10.5.0",
        "CET-1CEST,M0.5.0,M10.5.0",
        "CET-1CEST,M3.6.0,M10.5.0",
        "CET-1CEST,M3.0.0,M10.5.0",
        "CET-1CEST,M3.5.7,M10.5.0",
        "CET-1CEST,M3.5,M10.5.0",
        "CET-1CEST,J0,J300",
        "CET-1CEST,J366,J300",
        "CET-1CEST,366,300",
        "CET-1CEST,M3.5.0/168,M10.5.0",
        "CET-1CEST,M3.5.0/-168,M10.5.0",
        "CET-1CEST,M3.5.0/,M10.5.0",
        "CET-1CEST,M3.5.0,M10.5.0/3x",
        "CET-1CEST,M3.5.0,M10.5.0,M11.1.0",
        "CET-1CEST,M99999999999999999999.5.0,M10.5.0",
    };
    for (size_t i = 0; i < COUNT(footers); i++) {
        struct err err = {0};
        struct zone *zone = zone_of_footer(footers[i], &err);
        if (zone != NULL) {
            zone_destroy(&zone);
            fail_msg("%s is read", footers[i]);
        }
        assert_int_equal(err.code, ERR_INVALID);
    }
}

/* ---- local times ---- */

static void local_times_come_once_never_or_twice(void **unused)
{
    (void)unused;
    static const struct {
        const char *footer;
        const char *local;
        enum zone_fit fit;
        const char *instants[2];
    } cases[] = {
        {"CET-1CEST,M3.5.0,M10.5.0/3", "2026-03-29T01:59:59", ZONE_ONCE, {"2026-03-29T00:59:59"}},
        {"CET-1CEST,M3.5.0,M10.5.0/3", "2026-03-29T02:00:00", ZONE_GAP, {"2026-03-29T01:00:00"}},
        {"CET-1CEST,M3.5.0,M10.5.0/3", "2026-03-29T02:59:59", ZONE_GAP, {"2026-03-29T01:00:00"}},
        {"CET-1CEST,M3.5.0,M10.5.0/3", "2026-03-29T03:00:00", ZONE_ONCE, {"2026-03-29T01:00:00"}},
        {"CET-1CEST,M3.5.0,M10.5.0/3", "2026-10-25T01:59:59", ZONE_ONCE, {"2026-10-24T23:59:59"}},
        {"CET-1CEST,M3.5.0,M10.5.0/3",
         "2026-10-25T02:00:00",
         ZONE_FOLD,
         {"2026-10-25T00:00:00", "2026-10-25T01:00:00"}},
        {"CET-1CEST,M3.5.0,M10.5.0/3",
         "2026-10-25T02:59:59",
         ZONE_FOLD,
         {"2026-10-25T00:59:59", "2026-10-25T01:59:59"}},
        {"CET-1CEST,M3.5.0,M10.5.0/3", "2026-10-25T03:00:00", ZONE_ONCE, {"2026-10-25T02:00:00"}},
        {"EST5EDT,M3.2.0,M11.1.0", "2026-03-08T02:30:00", ZONE_GAP, {"2026-03-08T07:00:00"}},
        {"EST5EDT,M3.2.0,M11.1.0",
         "2026-11-01T01:30:00",
         ZONE_FOLD,
         {"2026-11-01T05:30:00", "2026-11-01T06:30:00"}},
        {"UTC0", "2026-11-01T01:30:00", ZONE_ONCE, {"2026-11-01T01:30:00"}},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct zone *zone = must_follow(cases[i].footer);
        int64_t found[2] = {0, 0};
        enum zone_fit fit = zone_instants(zone, instant(cases[i].local), found);
        if (fit != cases[i].fit) {
            fail_msg("%s in %s: fit %d", cases[i].local, cases[i].footer, (int)fit);
        }
        assert_string_equal(instant_text(found[0]), cases[i].instants[0]);
        if (fit == ZONE_FOLD) {
            assert_string_equal(instant_text(found[1]), cases[i].instants[1]);
        }
        zone_destroy(&zone);
    }
}

/* Samoa left out 30 December 2011: a gap of a whole day. */
static void a_day_may_be_left_out(void **unused)
{
    (void)unused;
    struct zone *zone = zone_of_system("Pacific/Apia");
    assert_non_null(zone);
    int64_t found[2];
    assert_int_equal(zone_instants(zone, instant("2011-12-29T23:59:59"), found), ZONE_ONCE);
    assert_string_equal(instant_text(found[0]), "2011-12-30T09:59:59");
    assert_int_equal(zone_instants(zone, instant("2011-12-30T00:00:00"), found), ZONE_GAP);
    assert_string_equal(instant_text(found[0]), "2011-12-30T10:00:00");
    assert_int_equal(zone_instants(zone, instant("2011-12-30T23:59:59"), found), ZONE_GAP);
    assert_int_equal(zone_instants(zone, instant("2011-12-31T00:00:00"), found), ZONE_ONCE);
    assert_string_equal(instant_text(found[0]), "2011-12-30T10:00:00");
    zone_destroy(&zone);
}

/* Whatever a file says: no question overflows, and none fails to be answered. */
static void instants_far_outside_are_taken_for_the_nearest(void **unused)
{
    (void)unused;
    static const int64_t at[] = {INT64_MIN, ZONE_INSTANT_MIN, 0, ZONE_INSTANT_MAX + 1, INT64_MAX};
    static const uint8_t to[] = {1, 0, 2, 0, 1};
    static const int32_t of[] = {-25 * HOUR, 3 * HOUR, 25 * HOUR};
    const struct tzif file = {.change_count = 5,
                              .times = at,
                              .types = to,
                              .type_count = 3,
                              .offsets = of,
                              .footer = "CET-1CEST,M3.5.0,M10.5.0/3"};
    struct zone *zone = must_decode(&file);
    assert_int_equal(zone_offset_s(zone, INT64_MIN), -25 * HOUR);
    assert_int_equal(zone_offset_s(zone, -1), -25 * HOUR);
    assert_int_equal(zone_offset_s(zone, INT64_MAX), 25 * HOUR);
    struct zone_stretch stretch;
    zone_stretch(zone, INT64_MAX, &stretch);
    assert_int_equal(stretch.begin_s, 0);
    assert_true(stretch.end_s == INT64_MAX);
    int64_t found[2];
    assert_int_equal(zone_instants(zone, INT64_MIN, found), ZONE_ONCE);
    assert_int_equal(zone_instants(zone, INT64_MAX, found), ZONE_ONCE);
    assert_int_equal(zone_instants(zone, 0, found), ZONE_GAP);
    assert_int_equal(found[0], 0);
    zone_destroy(&zone);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(versions_2_and_later_are_read_past_the_block_of_version_1),
        cmocka_unit_test(a_change_of_name_alone_ends_no_stretch),
        cmocka_unit_test(what_is_no_zone_is_refused_with_what_is_wrong),
        cmocka_unit_test(a_file_cut_anywhere_is_refused),
        cmocka_unit_test(counts_beyond_all_bounds_are_refused),
        cmocka_unit_test(a_name_is_short_enough_to_be_told),
        cmocka_unit_test(footers_say_when_clocks_are_changed),
        cmocka_unit_test(a_footer_without_a_change_holds_for_ever),
        cmocka_unit_test(saving_time_may_last_all_year),
        cmocka_unit_test(a_footer_counts_after_the_last_listed_change),
        cmocka_unit_test(footers_of_no_known_form_are_refused),
        cmocka_unit_test(local_times_come_once_never_or_twice),
        cmocka_unit_test(a_day_may_be_left_out),
        cmocka_unit_test(instants_far_outside_are_taken_for_the_nearest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
