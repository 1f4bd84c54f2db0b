/* Expressions: what they admit, and what is said of those that are none. */
#include "consensus/calendar.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))
#define ALL_MINUTES UINT64_C(0xfffffffffffffff)
#define ALL_HOURS 0xffffffu
#define ALL_DAYS 0xfffffffeu
#define ALL_MONTHS 0x1ffeu
#define ALL_WEEKDAYS 0x7fu
#define BIT(number) (UINT64_C(1) << (number))

struct good_case {
    const char *text;
    struct calendar expected;
};

#define FIELDS(minute, hour, day, month, weekday, star_day, star_weekday)           \
    {                                                                               \
        .minutes = (minute), .hours = (hour), .days = (day), .months = (month),     \
        .weekdays = (weekday), .any_day = (star_day), .any_weekday = (star_weekday) \
    }

static const struct good_case good_cases[] = {
    {"* * * * *", FIELDS(ALL_MINUTES, ALL_HOURS, ALL_DAYS, ALL_MONTHS, ALL_WEEKDAYS, true, true)},
    {"  5\t4  * * *  ", FIELDS(BIT(5), BIT(4), ALL_DAYS, ALL_MONTHS, ALL_WEEKDAYS, true, true)},
    {"0 0 1 1 0", FIELDS(1, 1, BIT(1), BIT(1), 1, false, false)},
    {"59 23 31 12 7", FIELDS(BIT(59), BIT(23), BIT(31), BIT(12), 1, false, false)},
    {"00 007 01 02 03", FIELDS(1, BIT(7), BIT(1), BIT(2), BIT(3), false, false)},
    {"*/15 */12 */10 */6 */3", FIELDS(BIT(0) | BIT(15) | BIT(30) | BIT(45), BIT(0) | BIT(12),
                                      BIT(1) | BIT(11) | BIT(21) | BIT(31), BIT(1) | BIT(7),
                                      BIT(0) | BIT(3) | BIT(6), true, true)},
    {"50/4 20/2,1 1-9/4 10/1 5/2",
     FIELDS(BIT(50) | BIT(54) | BIT(58), BIT(20) | BIT(22) | BIT(1), BIT(1) | BIT(5) | BIT(9),
            BIT(10) | BIT(11) | BIT(12), BIT(5) | BIT(0), false, false)},
    {"0 0 * jan,MAR-May Sun,wed-FRI", FIELDS(1, 1, ALL_DAYS, BIT(1) | BIT(3) | BIT(4) | BIT(5),
                                             BIT(0) | BIT(3) | BIT(4) | BIT(5), true, false)},
    {"0 0 1 * 6-7", FIELDS(1, 1, BIT(1), ALL_MONTHS, BIT(6) | BIT(0), false, false)},
    {"0 0 *,5 * 1", FIELDS(1, 1, ALL_DAYS, ALL_MONTHS, BIT(1), true, false)},
    {"0 0 5,* * 1", FIELDS(1, 1, ALL_DAYS, ALL_MONTHS, BIT(1), false, false)},
    {"@hourly", FIELDS(1, ALL_HOURS, ALL_DAYS, ALL_MONTHS, ALL_WEEKDAYS, true, true)},
    {"@daily", FIELDS(1, 1, ALL_DAYS, ALL_MONTHS, ALL_WEEKDAYS, true, true)},
    {" @midnight ", FIELDS(1, 1, ALL_DAYS, ALL_MONTHS, ALL_WEEKDAYS, true, true)},
    {"@weekly", FIELDS(1, 1, ALL_DAYS, ALL_MONTHS, BIT(0), true, false)},
    {"@monthly", FIELDS(1, 1, BIT(1), ALL_MONTHS, ALL_WEEKDAYS, false, true)},
    {"@yearly", FIELDS(1, 1, BIT(1), BIT(1), ALL_WEEKDAYS, false, true)},
    {"@annually", FIELDS(1, 1, BIT(1), BIT(1), ALL_WEEKDAYS, false, true)},
    {"every 1s", {.every_s = 1}},
    {" every\t 25m ", {.every_s = 1500}},
    {"every 36h", {.every_s = 129600}},
    {"every 366d", {.every_s = 31622400}},
    {"every 31622400s", {.every_s = 31622400}},
};

static void expressions_admit_what_they_say(void **unused)
{
    (void)unused;
    for (size_t i = 0; i < COUNT(good_cases); i++) {
        const struct calendar *expected = &good_cases[i].expected;
        struct calendar found;
        struct err err = {0};
        if (calendar_parse(good_cases[i].text, &found, &err) != 0) {
            fail_msg("\"%s\": %s", good_cases[i].text, err.msg);
        }
        if (found.every_s != expected->every_s || found.minutes != expected->minutes ||
            found.hours != expected->hours || found.days != expected->days ||
            found.months != expected->months || found.weekdays != expected->weekdays ||
            found.any_day != expected->any_day || found.any_weekday != expected->any_weekday) {
            fail_msg("\"%s\" is read as something else", good_cases[i].text);
        }
    }
}

#define FIVE "expected five fields, minute hour day-of-month month day-of-week"
#define NO_MORE                                                                      \
    FIVE ", and no more (seconds, years and commands are not for here; a period in " \
         "seconds is \"every 30s\"), not "
#define PERIOD "expected a whole number of s, m, h or d, from 1s to 366d, as in \"every 25m\", not "

static const struct {
    const char *text;
    const char *says;
} bad_cases[] = {
    {"", "minute, column 1: " FIVE ", not the end"},
    {"  ", "minute, column 3: " FIVE ", not the end"},
    {"* * * *", "day of week, column 8: " FIVE ", not the end"},
    {"0 0 12 * * *", "column 12: " NO_MORE "\"*\""},
    {"0 30 12 * * mon 2027", "column 13: " NO_MORE "\"mon\""},
    {"0 30 * * 1 /usr/bin/backup-of-everything --now",
     "column 12: " NO_MORE "\"/usr/bin/backup-of-\""},
    /* Out of range, in each field. */
    {"60 * * * *", "minute, column 1: expected a number from 0 to 59, not \"60\""},
    {"1,-1 * * * *", "minute, column 3: expected a number from 0 to 59, not \"-1\""},
    {"* 24 * * *", "hour, column 3: expected a number from 0 to 23, not \"24\""},
    {"* * 0 * *", "day of month, column 5: expected a number from 1 to 31, not \"0\""},
    {"* * 32 * *", "day of month, column 5: expected a number from 1 to 31, not \"32\""},
    {"* * * 13 *", "month, column 7: expected a number from 1 to 12 or an English name of three "
                   "letters, not \"13\""},
    {"* * * 0 *", "month, column 7: expected a number from 1 to 12 or an English name of three "
                  "letters, not \"0\""},
    {"* * * * 8", "day of week, column 9: expected a number from 0 to 7 or an English name of "
                  "three letters, not \"8\""},
    {"99999999999999999999 * * * *",
     "minute, column 1: expected a number from 0 to 59, not \"9999999999999999999\""},
    /* Names. */
    {"* * * january *", "month, column 7: expected a number from 1 to 12 or an English name of "
                        "three letters, not \"january\""},
    {"* * * * mo", "day of week, column 9: expected a number from 0 to 7 or an English name of "
                   "three letters, not \"mo\""},
    {"mon * * * *", "minute, column 1: expected a number from 0 to 59, not \"mon\""},
    {"5m * * * *", "minute, column 1: expected a number from 0 to 59, not \"5m\""},
    {"* * * * f\xc3\xbc", "day of week, column 9: expected a number from 0 to 7 or an English name "
                          "of three letters, not \"f??\""},
    /* Lists, ranges, steps. */
    {"1,,2 * * * *", "minute, column 3: expected a number from 0 to 59, not \",2\""},
    {"1, 2 * * *", "minute, column 3: expected a number from 0 to 59, not a blank"},
    {"* * * * 1,", "day of week, column 11: expected a number from 0 to 7 or an English name of "
                   "three letters, not the end"},
    {"* 22-5 * * *",
     "hour, column 3: expected a range that rises (22-23,0-5 in place of 22-5), not \"22-5\""},
    {"* * * * 1,sat-sun", "day of week, column 11: expected a range that rises (22-23,0-5 in place "
                          "of 22-5), not \"sat-sun\""},
    {"* 1- * * *", "hour, column 5: expected a number from 0 to 23, not a blank"},
    {"* 1-2-3 * * *", "hour, column 6: expected a blank, ',' or '/', not \"-3\""},
    {"*5 * * * *", "minute, column 2: expected a blank, ',' or '/', not \"5\""},
    {"*/0 * * * *", "minute, column 3: expected a step from 1 to 59, not \"0\""},
    {"*/60 * * * *", "minute, column 3: expected a step from 1 to 59, not \"60\""},
    {"* */x * * *", "hour, column 5: expected a step from 1 to 23, not \"x\""},
    {"* * */ * *", "day of month, column 7: expected a step from 1 to 31, not a blank"},
    {"*/5/5 * * * *", "minute, column 4: expected a blank, ',' or '/', not \"/5\""},
    /* What other schedulers know. */
    {"0 0 ? * 1", "day of month, column 5: expected \"*\", which says the same, not \"?\""},
    {"0 0 L * *", "day of month, column 5: expected no \"L\": name the days 28-31 and let the "
                  "command look whether tomorrow is the first, not \"L\""},
    {"0 0 LW * *", "day of month, column 5: expected no \"L\": name the days 28-31 and let the "
                   "command look whether tomorrow is the first, not \"LW\""},
    {"0 0 * * 5L", "day of week, column 10: expected no \"L\": name the days 28-31 and let the "
                   "command look whether tomorrow is the first, not \"L\""},
    {"0 0 15W * *", "day of month, column 7: expected no \"W\": name three days, as in 14-16, and "
                    "let the command look which weekday it is, not \"W\""},
    {"0 0 * * fri#2", "day of week, column 12: expected no \"#\": name the days (8-14 has the "
                      "second of each weekday) and let the command look which weekday it is, not "
                      "\"#2\""},
    /* Words. */
    {"@reboot", "column 1: expected a time (what shall run from start on is a backup with \"mode: "
                "always\"), not \"@reboot\""},
    {" @dayly", "column 2: expected @hourly, @daily, @weekly, @monthly or @yearly, not \"@dayly\""},
    {"@daily x", "column 8: expected the end, not \"x\""},
    {"@every 5m",
     "column 1: expected \"every\" without \"@\", as in \"every 25m\", not \"@every\""},
    {"every", "column 6: " PERIOD "the end"},
    {"every 25", "column 7: " PERIOD "\"25\""},
    {"every m", "column 7: " PERIOD "\"m\""},
    {"every 0s", "column 7: " PERIOD "\"0s\""},
    {"every 1.5h", "column 7: " PERIOD "\"1.5h\""},
    {"every 500ms", "column 7: " PERIOD "\"500ms\""},
    {"every 367d", "column 7: " PERIOD "\"367d\""},
    {"every 99999999999999999999s", "column 7: " PERIOD "\"9999999999999999999\""},
    {"every25m", "column 6: " PERIOD "\"25m\""},
    {"every 5m 3s", "column 10: expected the end, not \"3s\""},
};

static void what_is_no_expression_is_told_with_its_place_and_a_way_out(void **unused)
{
    (void)unused;
    for (size_t i = 0; i < COUNT(bad_cases); i++) {
        struct calendar found;
        struct err err = {0};
        assert_int_equal(calendar_parse(bad_cases[i].text, &found, &err), ERR_INVALID);
        assert_int_equal(err.code, ERR_INVALID);
        if (strcmp(err.msg, bad_cases[i].says) != 0) {
            fail_msg("\"%s\" is told\n  %s\nand not\n  %s", bad_cases[i].text, err.msg,
                     bad_cases[i].says);
        }
    }
    assert_int_equal(calendar_parse("", &(struct calendar){0}, NULL), ERR_INVALID);
}

static void an_expression_has_a_length(void **unused)
{
    (void)unused;
    char text[CALENDAR_TEXT_MAX + 2];
    struct calendar found;
    struct err err = {0};
    memset(text, ' ', sizeof text);
    memcpy(text, "1 2 3 4 5", 9);
    text[CALENDAR_TEXT_MAX] = '\0';
    assert_int_equal(calendar_parse(text, &found, &err), 0);
    text[CALENDAR_TEXT_MAX] = ' ';
    text[CALENDAR_TEXT_MAX + 1] = '\0';
    assert_int_equal(calendar_parse(text, &found, &err), ERR_INVALID);
    assert_string_equal(err.msg, "a schedule has at most 120 characters");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(expressions_admit_what_they_say),
        cmocka_unit_test(what_is_no_expression_is_told_with_its_place_and_a_way_out),
        cmocka_unit_test(an_expression_has_a_length),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
