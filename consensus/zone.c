#include "consensus/zone.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HEADER_BYTES 44
#define TRANSITIONS_MAX 4096
#define TYPES_MAX 256
#define FOOTER_MAX 128
#define OFFSET_MAX (26 * 3600) /* RFC 9636: -25:59:59 to 25:59:59 */
#define DAY_S INT64_C(86400)
#define NEAR_MAX 16 /* changes within some days */

/* "the fifth Sunday of March at 02:00", or a day of the year. */
struct rule_day {
    enum { RULE_MONTH, RULE_JULIAN, RULE_ZERO_BASED } kind;
    int month; /* 1 to 12 */
    int week;  /* 1 to 5; 5: the last one */
    int day;   /* of the week, 0 is Sunday; or of the year */
    int32_t time_s;
};

struct rule {
    bool any;
    bool changes; /* false: `standard_s` for ever */
    int32_t standard_s;
    int32_t summer_s;
    struct rule_day to_summer;
    struct rule_day to_standard;
};

struct change {
    int64_t at_s;
    int32_t before_s;
    int32_t after_s;
};

struct zone {
    char name[ZONE_NAME_SIZE];
    int32_t first_s; /* before all changes */
    size_t change_count;
    struct change *changes; /* rising */
    struct rule rule;       /* after the last one */
};

/* ---- days ---- */

/* Days from 1970-01-01 to the first of January of `year` (proleptic Gregorian). */
static int64_t days_to_year(int64_t year)
{
    int64_t y = year - 1;
    return y * 365 + y / 4 - y / 100 + y / 400 - 719162;
}

static bool is_leap(int64_t year)
{
    return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

static int days_before_month(int month, bool leap)
{
    static const int before[] = {0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334};
    return before[month - 1] + (leap && month > 2 ? 1 : 0);
}

static int days_of_month(int month, bool leap)
{
    return month == 12 ? 31 : days_before_month(month + 1, leap) - days_before_month(month, leap);
}

static int64_t year_of(int64_t instant_s)
{
    int64_t year = 1970 + instant_s / (365 * DAY_S + DAY_S / 4);
    while (days_to_year(year) * DAY_S > instant_s) {
        year--;
    }
    while (days_to_year(year + 1) * DAY_S <= instant_s) {
        year++;
    }
    return year;
}

/* ---- the rule of the footer ---- */

static int64_t rule_month_day(const struct rule_day *rule, int64_t year)
{
    bool leap = is_leap(year);
    int64_t first = days_to_year(year) + days_before_month(rule->month, leap);
    int first_weekday = (int)(((first + 4) % 7 + 7) % 7); /* 1970-01-01 was a Thursday */
    int day = (rule->day - first_weekday + 7) % 7 + 7 * (rule->week - 1);
    if (day >= days_of_month(rule->month, leap)) {
        day -= 7;
    }
    return first + day;
}

/* Local seconds, on the clock that is in force before the change. */
static int64_t rule_local_s(const struct rule_day *rule, int64_t year)
{
    int64_t day;
    if (rule->kind == RULE_MONTH) {
        day = rule_month_day(rule, year);
    } else if (rule->kind == RULE_JULIAN) { /* 29 February is never counted */
        day = days_to_year(year) + rule->day - 1 + (is_leap(year) && rule->day >= 60 ? 1 : 0);
    } else {
        day = days_to_year(year) + rule->day;
    }
    return day * DAY_S + rule->time_s;
}

static size_t rule_changes(const struct rule *rule, int64_t year, struct change ret[2])
{
    if (!rule->changes) {
        return 0;
    }
    struct change summer = {rule_local_s(&rule->to_summer, year) - rule->standard_s,
                            rule->standard_s, rule->summer_s};
    struct change standard = {rule_local_s(&rule->to_standard, year) - rule->summer_s,
                              rule->summer_s, rule->standard_s};
    bool summer_first = summer.at_s < standard.at_s;
    ret[0] = summer_first ? summer : standard;
    ret[1] = summer_first ? standard : summer;
    return 2;
}

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

static int number(struct text *text, int most)
{
    int value = 0;
    bool any = false;
    while (text->at < text->end && *text->at >= '0' && *text->at <= '9' && value <= most) {
        value = value * 10 + (*text->at++ - '0');
        any = true;
    }
    text->ok = text->ok && any && value <= most;
    return value;
}

/* hh[:mm[:ss]] with a sign. */
static int32_t clock_time(struct text *text, int hours_max)
{
    bool minus = take(text, '-');
    if (!minus) {
        (void)take(text, '+');
    }
    int32_t seconds = number(text, hours_max) * 3600;
    if (take(text, ':')) {
        seconds += number(text, 59) * 60;
        if (take(text, ':')) {
            seconds += number(text, 59);
        }
    }
    return minus ? -seconds : seconds;
}

static void designation(struct text *text)
{
    const char *begin = text->at;
    if (take(text, '<')) {
        while (text->at < text->end && *text->at != '>') {
            text->at++;
        }
        need(text, '>');
        return;
    }
    while (text->at < text->end &&
           ((*text->at >= 'A' && *text->at <= 'Z') || (*text->at >= 'a' && *text->at <= 'z'))) {
        text->at++;
    }
    text->ok = text->ok && text->at - begin >= 3;
}

static struct rule_day rule_date(struct text *text)
{
    struct rule_day ret = {.kind = RULE_ZERO_BASED, .time_s = 2 * 3600};
    need(text, ',');
    if (take(text, 'M')) {
        ret.kind = RULE_MONTH;
        ret.month = number(text, 12);
        need(text, '.');
        ret.week = number(text, 5);
        need(text, '.');
        ret.day = number(text, 6);
        text->ok = text->ok && ret.month >= 1 && ret.week >= 1;
    } else if (take(text, 'J')) {
        ret.kind = RULE_JULIAN;
        ret.day = number(text, 365);
        text->ok = text->ok && ret.day >= 1;
    } else {
        ret.day = number(text, 365);
    }
    if (take(text, '/')) {
        ret.time_s = clock_time(text, 167);
    }
    return ret;
}

/* POSIX TZ, with the wider times of RFC 8536; in it west is positive. */
static bool read_rule(struct text text, struct rule *ret)
{
    *ret = (struct rule){.any = text.at < text.end};
    if (!ret->any) {
        return true;
    }
    text.ok = true;
    designation(&text);
    ret->standard_s = -clock_time(&text, 24);
    ret->changes = text.at < text.end;
    if (ret->changes) {
        designation(&text);
        ret->summer_s = ret->standard_s + 3600;
        if (text.at < text.end && *text.at != ',') {
            ret->summer_s = -clock_time(&text, 24);
        }
        ret->to_summer = rule_date(&text);
        ret->to_standard = rule_date(&text);
    }
    return text.ok && text.at == text.end;
}

/* ---- the file ---- */

struct counts {
    uint32_t utc, standard, leap, time, type, chars;
};

static uint32_t read_u32(const uint8_t *bytes)
{
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

static int64_t read_i64(const uint8_t *bytes)
{
    return (int64_t)((uint64_t)read_u32(bytes) << 32 | read_u32(bytes + 4));
}

static bool read_header(const uint8_t *bytes, size_t length, struct counts *ret)
{
    if (length < HEADER_BYTES || memcmp(bytes, "TZif", 4) != 0) {
        return false;
    }
    *ret = (struct counts){.utc = read_u32(bytes + 20),
                           .standard = read_u32(bytes + 24),
                           .leap = read_u32(bytes + 28),
                           .time = read_u32(bytes + 32),
                           .type = read_u32(bytes + 36),
                           .chars = read_u32(bytes + 40)};
    return ret->time <= TRANSITIONS_MAX && ret->type >= 1 && ret->type <= TYPES_MAX &&
           ret->utc <= TYPES_MAX && ret->standard <= TYPES_MAX && ret->leap <= TRANSITIONS_MAX &&
           ret->chars <= ZONE_BYTES_MAX;
}

static size_t body_bytes(const struct counts *counts, size_t time_bytes)
{
    return counts->time * (time_bytes + 1) + counts->type * 6u + counts->chars +
           counts->leap * (time_bytes + 4) + counts->standard + counts->utc;
}

static int malformed(struct err *err, const char *name, const char *what)
{
    return err_set(err, ERR_INVALID, "zone %s: %s", name, what);
}

static int read_changes(struct zone *self, const uint8_t *body, const struct counts *counts,
                        struct err *err)
{
    const uint8_t *indexes = body + counts->time * 8u;
    const uint8_t *types = indexes + counts->time;
    int32_t offsets[TYPES_MAX];
    for (uint32_t i = 0; i < counts->type; i++) {
        offsets[i] = (int32_t)read_u32(types + i * 6u);
        if (offsets[i] <= -OFFSET_MAX || offsets[i] >= OFFSET_MAX) {
            return malformed(err, self->name, "an offset of more than 26 hours");
        }
    }
    self->first_s = offsets[0];
    self->changes = calloc(counts->time + 1u, sizeof *self->changes);
    if (self->changes == NULL) {
        return err_set(err, ERR_NOMEM, "no memory for zone %s", self->name);
    }
    int32_t before_s = self->first_s;
    for (uint32_t i = 0; i < counts->time; i++) {
        int64_t at_s = read_i64(body + i * 8u);
        if (indexes[i] >= counts->type || (i > 0 && at_s <= read_i64(body + (i - 1) * 8u))) {
            return malformed(err, self->name, "its changes are not in order");
        }
        int32_t after_s = offsets[indexes[i]];
        if (after_s != before_s) { /* others change only the name */
            self->changes[self->change_count++] = (struct change){at_s, before_s, after_s};
        }
        before_s = after_s;
    }
    return 0;
}

static int read_footer(struct zone *self, const uint8_t *bytes, size_t length, struct err *err)
{
    if (length < 2 || length > FOOTER_MAX || bytes[0] != '\n' || bytes[length - 1] != '\n') {
        return malformed(err, self->name, "no footer");
    }
    const char *begin = (const char *)bytes + 1;
    struct text text = {.at = begin, .end = begin + length - 2};
    return read_rule(text, &self->rule) ? 0
                                        : malformed(err, self->name, "a footer of no known form");
}

static int read_file(struct zone *self, const uint8_t *bytes, size_t length, struct err *err)
{
    struct counts counts;
    if (length > ZONE_BYTES_MAX || !read_header(bytes, length, &counts)) {
        return malformed(err, self->name, "not a TZif file, or one beyond all bounds");
    }
    if (bytes[4] < '2') {
        return malformed(err, self->name, "a TZif file of version 1; install the package tzdata");
    }
    size_t skip = HEADER_BYTES + body_bytes(&counts, 4);
    if (skip > length || !read_header(bytes + skip, length - skip, &counts) ||
        skip + HEADER_BYTES + body_bytes(&counts, 8) > length) {
        return malformed(err, self->name, "it ends too early");
    }
    if (counts.leap > 0) {
        return malformed(err, self->name,
                         "it counts leap seconds; use the zone without \"right/\"");
    }
    const uint8_t *body = bytes + skip + HEADER_BYTES;
    const uint8_t *footer = body + body_bytes(&counts, 8);
    int rc = read_changes(self, body, &counts, err);
    return rc != 0 ? rc : read_footer(self, footer, length - (size_t)(footer - bytes), err);
}

int zone_decode(const uint8_t *bytes, size_t length, const char *name, struct zone **ret,
                struct err *err)
{
    struct zone *self = calloc(1, sizeof *self);
    if (self == NULL) {
        return err_set(err, ERR_NOMEM, "no memory for zone %s", name);
    }
    (void)snprintf(self->name, sizeof self->name, "%s", name);
    int rc = read_file(self, bytes, length, err);
    if (rc != 0) {
        zone_destroy(&self);
        return rc;
    }
    *ret = self;
    return 0;
}

void zone_destroy(struct zone **self_p)
{
    if (self_p == NULL || *self_p == NULL) {
        return;
    }
    free((*self_p)->changes);
    free(*self_p);
    *self_p = NULL;
}

const char *zone_name(const struct zone *self)
{
    return self->name;
}

/* ---- questions ---- */

/* How many listed changes are at or before the instant. */
static size_t changes_until(const struct zone *self, int64_t instant_s)
{
    size_t low = 0;
    size_t high = self->change_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (self->changes[middle].at_s <= instant_s) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static int64_t last_listed_s(const struct zone *self)
{
    return self->change_count == 0 ? INT64_MIN : self->changes[self->change_count - 1].at_s;
}

/* Changes in (from, to], rising, at most NEAR_MAX. */
static size_t changes_between(const struct zone *self, int64_t from_s, int64_t to_s,
                              struct change *ret)
{
    size_t count = 0;
    for (size_t i = changes_until(self, from_s);
         i < self->change_count && self->changes[i].at_s <= to_s && count < NEAR_MAX; i++) {
        ret[count++] = self->changes[i];
    }
    int64_t listed_s = last_listed_s(self);
    if (to_s <= listed_s) {
        return count;
    }
    for (int64_t year = year_of(from_s) - 1; year <= year_of(to_s) + 1; year++) {
        struct change two[2];
        size_t found = rule_changes(&self->rule, year, two);
        for (size_t i = 0; i < found && count < NEAR_MAX; i++) {
            if (two[i].at_s > from_s && two[i].at_s <= to_s && two[i].at_s > listed_s) {
                ret[count++] = two[i];
            }
        }
    }
    return count;
}

static int64_t clamp(int64_t instant_s)
{
    instant_s = instant_s < ZONE_INSTANT_MIN ? ZONE_INSTANT_MIN : instant_s;
    return instant_s > ZONE_INSTANT_MAX ? ZONE_INSTANT_MAX : instant_s;
}

int32_t zone_offset_s(const struct zone *self, int64_t instant_s)
{
    instant_s = clamp(instant_s);
    size_t past = changes_until(self, instant_s);
    if (past < self->change_count || !self->rule.any) {
        return past == 0 ? self->first_s : self->changes[past - 1].after_s;
    }
    if (!self->rule.changes) {
        return self->rule.standard_s;
    }
    struct change found[NEAR_MAX];
    size_t count = changes_between(self, instant_s - 400 * DAY_S, instant_s, found);
    if (count > 0) {
        return found[count - 1].after_s;
    }
    return past == 0 ? self->first_s : self->changes[past - 1].after_s;
}

void zone_stretch(const struct zone *self, int64_t instant_s, struct zone_stretch *ret)
{
    struct change found[NEAR_MAX];
    instant_s = clamp(instant_s);
    int32_t offset_s = zone_offset_s(self, instant_s);
    *ret = (struct zone_stretch){INT64_MIN, INT64_MAX, offset_s, offset_s, offset_s};
    size_t past = changes_until(self, instant_s);
    if (past > 0) {
        ret->begin_s = self->changes[past - 1].at_s;
        ret->before_s = self->changes[past - 1].before_s;
    }
    if (past < self->change_count) {
        ret->end_s = self->changes[past].at_s;
        ret->after_s = self->changes[past].after_s;
        return;
    }
    size_t count = changes_between(self, instant_s - 400 * DAY_S, instant_s, found);
    if (count > 0) {
        ret->begin_s = found[count - 1].at_s;
        ret->before_s = found[count - 1].before_s;
    }
    if (changes_between(self, instant_s, instant_s + 400 * DAY_S, found) > 0) {
        ret->end_s = found[0].at_s;
        ret->after_s = found[0].after_s;
    }
}

enum zone_fit zone_instants(const struct zone *self, int64_t local_s, int64_t ret[2])
{
    struct change found[NEAR_MAX];
    local_s = clamp(local_s);
    int64_t from_s = local_s - OFFSET_MAX;
    int32_t offset_s = zone_offset_s(self, from_s);
    size_t count = changes_between(self, from_s, local_s + OFFSET_MAX, found);
    size_t fits = 0;
    int64_t begin_s = INT64_MIN; /* of the stretch with this offset */
    int64_t gap_s = 0;
    for (size_t i = 0; i <= count; i++) {
        int64_t end_s = i < count ? found[i].at_s : INT64_MAX;
        int64_t instant_s = local_s - offset_s;
        if (instant_s >= begin_s && instant_s < end_s) {
            ret[fits > 0 ? 1 : 0] = instant_s;
            fits++;
        }
        if (i < count && local_s >= end_s + found[i].before_s &&
            local_s < end_s + found[i].after_s) {
            gap_s = end_s;
        }
        if (i < count) {
            begin_s = end_s;
            offset_s = found[i].after_s;
        }
    }
    if (fits == 0) {
        ret[0] = gap_s;
        return ZONE_GAP;
    }
    return fits == 1 ? ZONE_ONCE : ZONE_FOLD;
}
