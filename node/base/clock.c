#include "node/base/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define SECONDS_MAX INT64_C(253402300799) /* the end of 9999 */

static int64_t read_ns(clockid_t id)
{
    struct timespec now;
    (void)clock_gettime(id, &now); /* cannot fail for these clocks on Linux */
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

int64_t clock_boot_ns(void)
{
    return read_ns(CLOCK_BOOTTIME);
}

int64_t clock_boot_us(void)
{
    return clock_boot_ns() / 1000;
}

int64_t clock_boot_ms(void)
{
    return clock_boot_ns() / 1000000;
}

int64_t clock_monotonic_us(void)
{
    return read_ns(CLOCK_MONOTONIC) / 1000;
}

static struct {
    int64_t boot_ms;
    int64_t wall_ms;
    int64_t rate; /* 0: the real clock */
} test;

int64_t clock_machine_wall_ms(void)
{
    return read_ns(CLOCK_REALTIME) / 1000000;
}

int64_t clock_wall_ms(void)
{
    if (test.rate != 0) {
        return test.wall_ms + (clock_boot_ms() - test.boot_ms) * test.rate;
    }
    return clock_machine_wall_ms();
}

int64_t clock_wall_delay_ms(int64_t wall_ms)
{
    int64_t left_ms = wall_ms - clock_wall_ms();
    int64_t rate = test.rate == 0 ? 1 : test.rate;
    return left_ms <= 0 ? 0 : (left_ms + rate - 1) / rate;
}

/* One number of at most 15 digits, up to `end`; -1: something else. */
static int64_t read_number(const char **text, char end)
{
    size_t length = strspn(*text, "0123456789");
    if (length == 0 || length > 15 || (*text)[length] != end) {
        return -1;
    }
    int64_t ret = strtoll(*text, NULL, 10);
    *text += length + (end != '\0');
    return ret;
}

bool clock_use_test(const char *text)
{
    int64_t boot_ms = read_number(&text, ':');
    int64_t wall_ms = boot_ms < 0 ? -1 : read_number(&text, ':');
    int64_t rate = wall_ms < 0 ? -1 : read_number(&text, '\0');
    if (rate < 1 || rate > 100000) {
        return false;
    }
    test.boot_ms = boot_ms;
    test.wall_ms = wall_ms;
    test.rate = rate;
    return true;
}

const char *clock_rfc3339(int64_t wall_ms, char ret[CLOCK_RFC3339_SIZE])
{
    time_t seconds = (time_t)(wall_ms / 1000);
    struct tm parts;
    if (seconds > SECONDS_MAX || gmtime_r(&seconds, &parts) == NULL) {
        seconds = seconds > SECONDS_MAX ? SECONDS_MAX : 0;
        (void)gmtime_r(&seconds, &parts);
    }
    char day[24];
    (void)strftime(day, sizeof day, "%Y-%m-%dT%H:%M:%S", &parts);
    (void)snprintf(ret, CLOCK_RFC3339_SIZE, "%s.%03dZ", day, (int)(wall_ms % 1000));
    return ret;
}

/* ---- RFC 3339 ---- */

#define YEAR_MIN 1970
#define YEAR_MAX 9999

/* Exactly `count` digits at *at, which moves behind them. */
static bool digits(const char **at, int count, int *ret)
{
    *ret = 0;
    for (int i = 0; i < count; i++, (*at)++) {
        if (**at < '0' || **at > '9') {
            return false;
        }
        *ret = *ret * 10 + (**at - '0');
    }
    return true;
}

static bool literal(const char **at, char expected)
{
    if (**at != expected) {
        return false;
    }
    (*at)++;
    return true;
}

struct moment {
    int year, month, day, hour, minute, second;
};

/* Instants of UTC, and only those: what timegm would mend (31 February) is refused. */
static bool instant_of(const struct moment *moment, int64_t *ret_s)
{
    struct tm parts = {.tm_year = moment->year - 1900,
                       .tm_mon = moment->month - 1,
                       .tm_mday = moment->day,
                       .tm_hour = moment->hour,
                       .tm_min = moment->minute,
                       .tm_sec = moment->second};
    if (moment->year < YEAR_MIN || moment->year > YEAR_MAX) {
        return false;
    }
    time_t seconds = timegm(&parts);
    *ret_s = (int64_t)seconds;
    return parts.tm_year == moment->year - 1900 && parts.tm_mon == moment->month - 1 &&
           parts.tm_mday == moment->day && parts.tm_hour == moment->hour &&
           parts.tm_min == moment->minute && parts.tm_sec == moment->second;
}

/* "Z" or "+01:00", as seconds to take off. */
static bool read_offset(const char **at, int64_t *ret_s)
{
    int hours;
    int minutes;
    *ret_s = 0;
    if (**at == 'Z' || **at == 'z') {
        (*at)++;
        return true;
    }
    int sign = **at == '-' ? -1 : 1;
    if (**at != '+' && **at != '-') {
        return false;
    }
    (*at)++;
    if (!digits(at, 2, &hours) || !literal(at, ':') || !digits(at, 2, &minutes) || hours > 23 ||
        minutes > 59) {
        return false;
    }
    *ret_s = sign * (hours * INT64_C(3600) + minutes * INT64_C(60));
    return true;
}

bool clock_instant_parse(const char *text, int64_t *ret_s)
{
    struct moment moment;
    int64_t local_s;
    int64_t offset_s;
    const char *at = text;
    if (!digits(&at, 4, &moment.year) || !literal(&at, '-') || !digits(&at, 2, &moment.month) ||
        !literal(&at, '-') || !digits(&at, 2, &moment.day) || (*at != 'T' && *at != 't')) {
        return false;
    }
    at++;
    if (!digits(&at, 2, &moment.hour) || !literal(&at, ':') || !digits(&at, 2, &moment.minute) ||
        !literal(&at, ':') || !digits(&at, 2, &moment.second) || !read_offset(&at, &offset_s) ||
        *at != '\0' || !instant_of(&moment, &local_s)) {
        return false;
    }
    *ret_s = local_s - offset_s;
    return true;
}
