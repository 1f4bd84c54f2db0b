#include "consensus/calendar.h"

#define MINUTE_S INT64_C(60)
#define HOUR_S INT64_C(3600)
#define DAY_S INT64_C(86400)
#define EVERY_HOUR 0xffffffu
#define LOOK_AHEAD_S \
    (INT64_C(41) * 366 * DAY_S) /* 29 February 2088 and 2128 are Sundays, none between */

/* ---- local time: no zone here ---- */

struct date {
    int64_t day; /* since 1970-01-01 */
    int month;   /* 1 to 12 */
    int of_month;
};

/* Howard Hinnant, "chrono-compatible low-level date algorithms": civil_from_days. */
static struct date date_of(int64_t day)
{
    int64_t shifted = day + 719468;
    int64_t era = (shifted >= 0 ? shifted : shifted - 146096) / 146097;
    int64_t of_era = shifted - era * 146097;
    int64_t year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    int64_t of_year = of_era - (365 * year + year / 4 - year / 100);
    int64_t part = (5 * of_year + 2) / 153;
    return (struct date){.day = day,
                         .month = (int)(part < 10 ? part + 3 : part - 9),
                         .of_month = (int)(of_year - (153 * part + 2) / 5 + 1)};
}

static bool month_fits(const struct calendar *self, const struct date *date)
{
    return (self->months >> date->month & 1) != 0;
}

/* Vixie cron's rule for the two fields. */
static bool day_fits(const struct calendar *self, const struct date *date)
{
    int weekday = (int)(((date->day + 4) % 7 + 7) % 7); /* 1970-01-01 was a Thursday */
    bool of_month = (self->days >> date->of_month & 1) != 0;
    bool of_week = (self->weekdays >> weekday & 1) != 0;
    return self->any_day || self->any_weekday ? of_month && of_week : of_month || of_week;
}

/* The first day in [day, end) that fits; else end. */
static int64_t next_day(const struct calendar *self, int64_t day, int64_t end)
{
    while (day < end) {
        struct date date = date_of(day);
        if (!month_fits(self, &date)) { /* from the 29th on the month may end any day */
            day += date.of_month < 29 ? 29 - date.of_month : 1;
        } else if (day_fits(self, &date)) {
            return day;
        } else {
            day++;
        }
    }
    return end;
}

/* The lowest bit that is set from `from` (0 to 63) on; -1: none. */
static int next_bit(uint64_t bits, int from)
{
    bits = bits >> from << from;
    return bits == 0 ? -1 : __builtin_ctzll(bits);
}

/* The first fitting time of a day that is not before `from_s` (0 to DAY_S); -1: none. */
static int64_t next_time(const struct calendar *self, int64_t from_s)
{
    int64_t minute_of_day = (from_s + MINUTE_S - 1) / MINUTE_S;
    int hour = (int)(minute_of_day / 60);
    int minute = -1;
    if ((self->hours >> hour & 1) != 0) { /* 24 fits never */
        minute = next_bit(self->minutes, (int)(minute_of_day % 60));
    }
    if (minute < 0) {
        hour = next_bit(self->hours, hour + 1);
        minute = next_bit(self->minutes, 0);
    }
    return hour < 0 ? -1 : hour * HOUR_S + minute * MINUTE_S;
}

static int64_t day_of(int64_t local_s)
{
    return (local_s >= 0 ? local_s : local_s - DAY_S + 1) / DAY_S;
}

/* The first fitting local time in [from_s, end_s). */
static bool next_local(const struct calendar *self, int64_t from_s, int64_t end_s, int64_t *ret_s)
{
    if (from_s >= end_s) {
        return false;
    }
    int64_t first = day_of(from_s);
    int64_t end = day_of(end_s - 1) + 1;
    int64_t day = next_day(self, first, end);
    int64_t time_s = day == first ? next_time(self, from_s - day * DAY_S) : next_time(self, 0);
    if (day == first && day < end && time_s < 0) { /* that day is over */
        day = next_day(self, first + 1, end);
        time_s = next_time(self, 0);
    }
    *ret_s = day * DAY_S + time_s;
    return day < end && *ret_s < end_s;
}

/* ---- slots ---- */

static bool next_every(int64_t every_s, int64_t anchor_s, int64_t after_s, int64_t *ret_s)
{
    if (anchor_s < ZONE_INSTANT_MIN || anchor_s > ZONE_INSTANT_MAX) {
        return false;
    }
    int64_t passed_s = after_s - anchor_s;
    int64_t periods = (passed_s >= 0 ? passed_s : passed_s - every_s + 1) / every_s;
    *ret_s = anchor_s + (periods + 1) * every_s;
    return true;
}

/* The first slot of a stretch of the clock in [from_s, until_s). Of local times that come in the
 * stretch before it or after it as well, it has those that the policy leaves to it. */
static bool next_in_stretch(const struct calendar *self, enum calendar_fold fold,
                            const struct zone_stretch *stretch, int64_t from_s, int64_t until_s,
                            int64_t *ret_s)
{
    int64_t local_s = from_s + stretch->offset_s;
    int64_t end_s = until_s + stretch->offset_s;
    if (fold == CALENDAR_FOLD_FIRST && stretch->before_s > stretch->offset_s &&
        local_s < stretch->begin_s + stretch->before_s) {
        local_s = stretch->begin_s + stretch->before_s;
    }
    if (fold == CALENDAR_FOLD_SECOND && stretch->after_s < stretch->offset_s &&
        end_s > stretch->end_s + stretch->after_s) {
        end_s = stretch->end_s + stretch->after_s;
    }
    if (!next_local(self, local_s, end_s, ret_s)) {
        return false;
    }
    *ret_s -= stretch->offset_s;
    return true;
}

/* Did the change at its begin leave out a fitting local time? */
static bool makes_up(const struct calendar *self, const struct zone_stretch *stretch)
{
    int64_t unused_s;
    return next_local(self, stretch->begin_s + stretch->before_s,
                      stretch->begin_s + stretch->offset_s, &unused_s);
}

bool calendar_next(const struct calendar *self, const struct calendar_rules *rules,
                   const struct zone *zone, int64_t after_s, int64_t *ret_s)
{
    if (after_s > ZONE_INSTANT_MAX) {
        return false;
    }
    after_s = after_s < ZONE_INSTANT_MIN ? ZONE_INSTANT_MIN : after_s;
    if (self->every_s > 0) {
        return next_every(self->every_s, rules->anchor_s, after_s, ret_s);
    }
    bool follows_real_time = self->hours == EVERY_HOUR;
    enum calendar_fold fold = follows_real_time ? CALENDAR_FOLD_BOTH : rules->fold;
    enum calendar_gap gap = follows_real_time ? CALENDAR_GAP_SKIP : rules->gap;
    int64_t last_s = after_s + LOOK_AHEAD_S;
    int64_t from_s = after_s + 1;
    while (from_s < last_s) {
        struct zone_stretch stretch;
        zone_stretch(zone, from_s, &stretch);
        int64_t until_s = stretch.end_s < last_s ? stretch.end_s : last_s;
        if (gap == CALENDAR_GAP_NEXT && from_s == stretch.begin_s && makes_up(self, &stretch)) {
            *ret_s = from_s;
            return true;
        }
        if (next_in_stretch(self, fold, &stretch, from_s, until_s, ret_s)) {
            return true;
        }
        from_s = until_s;
    }
    return false;
}
