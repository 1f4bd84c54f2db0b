/* The ids of runs: "manager/name@20261122T051500Z" for a slot, "manager/name@m1234" for a manual
 * run, and "#2" behind for the duty of the second attempt. */
#include "consensus/command_internal.h"
#include "consensus/state_internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define SLOT_TEXT_LENGTH 16 /* 20261122T051500Z */

/* ---- dates: the proleptic Gregorian calendar ---- */

struct date {
    int64_t year;
    int month;  /* 1 .. 12 */
    int day;    /* 1 .. 31 */
    int second; /* of the day */
};

static bool is_leap(int64_t year)
{
    return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

static int days_in_month(int64_t year, int month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    return month == 2 && is_leap(year) ? 29 : days[month - 1];
}

/* Days from 1970-01-01 to the first of January of `year`. */
static int64_t days_before(int64_t year)
{
    int64_t years = year - 1;
    return years * 365 + years / 4 - years / 100 + years / 400 - 719162;
}

static struct date date_of(int64_t instant_s)
{
    int64_t days = instant_s / 86400;
    struct date date = {.year = 1970 + days / 366, .second = (int)(instant_s % 86400)};
    while (days_before(date.year + 1) <= days) {
        date.year++;
    }
    int rest = (int)(days - days_before(date.year));
    date.month = 1;
    while (rest >= days_in_month(date.year, date.month)) {
        rest -= days_in_month(date.year, date.month);
        date.month++;
    }
    date.day = rest + 1;
    return date;
}

static int64_t instant_of(const struct date *date)
{
    int64_t days = days_before(date->year) + date->day - 1;
    for (int month = 1; month < date->month; month++) {
        days += days_in_month(date->year, month);
    }
    return days * 86400 + date->second;
}

/* ---- writing ---- */

/* `value` in `width` digits. */
static char *put_digits(char *at, int64_t value, int width)
{
    for (int i = width - 1; i >= 0; i--) {
        at[i] = (char)('0' + value % 10);
        value /= 10;
    }
    return at + width;
}

static void put_slot(char ret[SLOT_TEXT_LENGTH + 1], int64_t slot_s)
{
    struct date date = date_of(slot_s);
    char *at = put_digits(ret, date.year, 4);
    at = put_digits(at, date.month, 2);
    at = put_digits(at, date.day, 2);
    *at++ = 'T';
    at = put_digits(at, date.second / 3600, 2);
    at = put_digits(at, date.second / 60 % 60, 2);
    at = put_digits(at, date.second % 60, 2);
    *at++ = 'Z';
    *at = '\0';
}

void run_id(const struct run_key *key, char ret[RUN_ID_SIZE])
{
    int width = SCHEDULE_ID_SIZE - 1;
    if (key->slot_s <= 0 || key->slot_s > RUN_SLOT_S_MAX) {
        (void)snprintf(ret, RUN_ID_SIZE, "%.*s@m%" PRIu64, width, key->schedule, key->number);
        return;
    }
    char slot[SLOT_TEXT_LENGTH + 1];
    put_slot(slot, key->slot_s);
    (void)snprintf(ret, RUN_ID_SIZE, "%.*s@%s", width, key->schedule, slot);
}

void run_duty_id(const struct run_key *key, uint32_t attempt, char ret[DUTY_ID_SIZE])
{
    run_id(key, ret);
    size_t length = strlen(ret);
    (void)snprintf(ret + length, DUTY_ID_SIZE - length, "#%" PRIu32, attempt);
}

/* ---- reading ---- */

/* Digits alone, `length` of them. */
static bool read_digits(const char *text, size_t length, uint64_t *ret)
{
    uint64_t value = 0;
    for (size_t i = 0; i < length; i++) {
        uint64_t digit = (uint64_t)(unsigned char)text[i] - '0';
        if (digit > 9 || value > (UINT64_MAX - digit) / 10) {
            return false;
        }
        value = value * 10 + digit;
    }
    *ret = value;
    return length > 0;
}

/* A number as it is written: no zero in front, and none of them 0. */
static bool read_number(const char *text, size_t length, uint64_t *ret)
{
    return length > 0 && text[0] != '0' && read_digits(text, length, ret);
}

static bool read_slot(const char *text, int64_t *ret_s)
{
    uint64_t year;
    uint64_t month;
    uint64_t day;
    uint64_t hour;
    uint64_t minute;
    uint64_t second;
    if (!read_digits(text, 4, &year) || !read_digits(text + 4, 2, &month) ||
        !read_digits(text + 6, 2, &day) || text[8] != 'T' || !read_digits(text + 9, 2, &hour) ||
        !read_digits(text + 11, 2, &minute) || !read_digits(text + 13, 2, &second) ||
        text[15] != 'Z') {
        return false;
    }
    if (year < 1970 || month < 1 || month > 12 || day < 1 ||
        day > (uint64_t)days_in_month((int64_t)year, (int)month) || hour > 23 || minute > 59 ||
        second > 59) {
        return false;
    }
    struct date date = {.year = (int64_t)year,
                        .month = (int)month,
                        .day = (int)day,
                        .second = (int)(hour * 3600 + minute * 60 + second)};
    *ret_s = instant_of(&date);
    return *ret_s > 0;
}

static bool read_schedule(const char *text, size_t length, char ret[SCHEDULE_ID_SIZE])
{
    char manager[NAME_SIZE];
    if (length >= SCHEDULE_ID_SIZE) {
        return false;
    }
    memcpy(ret, text, length);
    ret[length] = '\0';
    return state_duty_manager(ret, manager);
}

bool run_parse(const char *text, struct run_key *ret, uint32_t *ret_attempt)
{
    memset(ret, 0, sizeof(*ret));
    *ret_attempt = 0;
    const char *at = strrchr(text, '@');
    if (at == NULL || !read_schedule(text, (size_t)(at - text), ret->schedule)) {
        return false;
    }
    const char *run = at + 1;
    const char *hash = strchr(run, '#');
    size_t length = hash == NULL ? strlen(run) : (size_t)(hash - run);
    uint64_t attempt = 0;
    if (hash != NULL &&
        (!read_number(hash + 1, strlen(hash + 1), &attempt) || attempt > RUN_ATTEMPTS_MAX)) {
        return false;
    }
    *ret_attempt = (uint32_t)attempt;
    if (run[0] == 'm') {
        return read_number(run + 1, length - 1, &ret->number);
    }
    return length == SLOT_TEXT_LENGTH && read_slot(run, &ret->slot_s);
}
