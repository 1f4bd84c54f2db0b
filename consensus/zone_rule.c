#include "consensus/zone_rule.h"
#include "node/base/invariant.h"

#define DAY_S INT64_C(86400)
#define OFFSET_HOURS_MAX 24
#define TIME_HOURS_MAX 167 /* RFC 8536, 3.3.1: a week, less an hour */

/* ---- days ---- */

/* Days from 1970-01-01 to the first of January of `year` (proleptic Gregorian, year > 0). */
static int64_t days_to_year(int64_t year)
{
    int64_t before = year - 1;
    return before * 365 + before / 4 - before / 100 + before / 400 - 719162;
}

static bool is_leap(int64_t year)
{
    return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

static int days_before_month(int month, bool leap)
{
    static const int before[] = {0, 0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334};
    invariant(month >= 1 && month <= 12);
    return before[month] + (leap && month > 2 ? 1 : 0);
}

static int days_of_month(int month, bool leap)
{
    return month == 12 ? 31 : days_before_month(month + 1, leap) - days_before_month(month, leap);
}

int64_t zone_rule_year(int64_t instant_s)
{
    int64_t year = 1970 + instant_s / (365 * DAY_S + DAY_S / 4); /* within one year */
    while (days_to_year(year) * DAY_S > instant_s) {
        year--;
    }
    while (days_to_year(year + 1) * DAY_S <= instant_s) {
        year++;
    }
    return year;
}

/* ---- when it changes ---- */

static int64_t day_in_month(const struct zone_rule_day *rule, int64_t year)
{
    bool leap = is_leap(year);
    int64_t first = days_to_year(year) + days_before_month(rule->month, leap);
    int first_weekday = (int)(((first + 4) % 7 + 7) % 7); /* 1970-01-01 was a Thursday */
    int day = (rule->day - first_weekday + 7) % 7 + 7 * (rule->week - 1);
    if (day >= days_of_month(rule->month, leap)) {
        day -= 7; /* the fifth is the last */
    }
    return first + day;
}

static int64_t day_in_year(const struct zone_rule_day *rule, int64_t year)
{
    switch (rule->kind) {
    case ZONE_RULE_MONTH:
        return day_in_month(rule, year);
    case ZONE_RULE_JULIAN: /* 1 to 365; 29 February is never counted */
        return days_to_year(year) + rule->day - (is_leap(year) && rule->day >= 60 ? 0 : 1);
    case ZONE_RULE_ZERO_BASED: /* 0 to 365 */
        break;
    }
    return days_to_year(year) + rule->day;
}

static int64_t instant_in_year(const struct zone_rule_day *rule, int64_t year, int32_t offset_s)
{
    return day_in_year(rule, year) * DAY_S + rule->time_s - offset_s;
}

bool zone_rule_saving(const struct zone_rule *rule, int64_t year, int64_t *ret_begin_s,
                      int64_t *ret_end_s)
{
    *ret_begin_s = instant_in_year(&rule->to_saving, year, rule->standard_s);
    *ret_end_s = instant_in_year(&rule->to_standard, year, rule->saving_s);
    if (*ret_end_s < *ret_begin_s) {
        *ret_end_s = instant_in_year(&rule->to_standard, year + 1, rule->saving_s);
    }
    return *ret_end_s > *ret_begin_s;
}

/* ---- reading ---- */

/* Once something did not fit, `ok` is false and stays so. */
struct text {
    const char *at;
    const char *end;
    bool ok;
};

static bool take(struct text *text, char wanted)
{
    if (text->at < text->end && *text->at == wanted) {
        text->at++;
        return true;
    }
    return false;
}

static void need(struct text *text, char wanted)
{
    text->ok = take(text, wanted) && text->ok;
}

/* Within its bounds, even when it is not ok. */
static int number(struct text *text, int least, int most)
{
    int value = 0;
    const char *begin = text->at;
    while (text->at < text->end && *text->at >= '0' && *text->at <= '9' && value <= most) {
        value = value * 10 + (*text->at++ - '0');
    }
    text->ok = text->ok && text->at > begin && value >= least && value <= most;
    return text->ok ? value : least;
}

/* hh[:mm[:ss]] with a sign. */
static int32_t clock_time(struct text *text, int hours_max)
{
    bool minus = take(text, '-');
    if (!minus) {
        (void)take(text, '+');
    }
    int32_t seconds = number(text, 0, hours_max) * 3600;
    if (take(text, ':')) {
        seconds += number(text, 0, 59) * 60;
        if (take(text, ':')) {
            seconds += number(text, 0, 59);
        }
    }
    return minus ? -seconds : seconds;
}

static bool is_letter(char letter)
{
    return (letter >= 'A' && letter <= 'Z') || (letter >= 'a' && letter <= 'z');
}

/* "CET" or "<+0330>"; nobody here wants to know it. */
static void skip_name(struct text *text)
{
    const char *begin = text->at;
    if (take(text, '<')) {
        while (text->at < text->end && *text->at != '>') {
            text->at++;
        }
        need(text, '>');
        return;
    }
    while (text->at < text->end && is_letter(*text->at)) {
        text->at++;
    }
    text->ok = text->ok && text->at - begin >= 3;
}

/* ",M3.5.0/2", ",J60", ",59/-1:30" */
static struct zone_rule_day read_day(struct text *text)
{
    struct zone_rule_day ret = {.kind = ZONE_RULE_ZERO_BASED, .time_s = 2 * 3600};
    need(text, ',');
    if (take(text, 'M')) {
        ret.kind = ZONE_RULE_MONTH;
        ret.month = number(text, 1, 12);
        need(text, '.');
        ret.week = number(text, 1, 5);
        need(text, '.');
        ret.day = number(text, 0, 6);
    } else if (take(text, 'J')) {
        ret.kind = ZONE_RULE_JULIAN;
        ret.day = number(text, 1, 365);
    } else {
        ret.day = number(text, 0, 365);
    }
    if (take(text, '/')) {
        ret.time_s = clock_time(text, TIME_HOURS_MAX);
    }
    return ret;
}

bool zone_rule_parse(const char *text, size_t length, struct zone_rule *ret)
{
    struct text rest = {.at = text, .end = text + length, .ok = true};
    *ret = (struct zone_rule){0};
    skip_name(&rest);
    ret->standard_s = -clock_time(&rest, OFFSET_HOURS_MAX);
    ret->changes = rest.at < rest.end;
    if (ret->changes) {
        skip_name(&rest);
        ret->saving_s = ret->standard_s + 3600;
        if (rest.at < rest.end && *rest.at != ',') {
            ret->saving_s = -clock_time(&rest, OFFSET_HOURS_MAX);
        }
        ret->to_saving = read_day(&rest);
        ret->to_standard = read_day(&rest);
    }
    return rest.ok && rest.at == rest.end;
}
