/* When a schedule's slots are: five cron fields or "every", in a time zone.
 *
 * Fields: minute, hour, day of month, month, day of week (0 and 7 are Sunday), each `*`, a
 * number, a range `a-b`, a list `a,b`, with a step `/n` (`5/10`: from 5 on); months and days of
 * the week by the first three letters of their English names too. When both day fields are
 * restricted, a day that fits either of them fits, as in Vixie cron; a field that begins with `*`
 * is no restriction in that sense, even with a step. @hourly, @daily (@midnight), @weekly,
 * @monthly, @yearly (@annually). `every 25m` (s, m, h, d) counts from an anchor in UTC, before it
 * too, whatever the zone and whoever leads.
 *
 * What a change of the clock leaves out or brings twice is the policy's: see below. A schedule
 * whose hour field admits every hour follows real time instead, as in Vixie cron, and knows
 * neither policy: every minute or every hour goes on in the hour that comes twice, and nothing is
 * made up for the hour that is left out. Slots are instants, strictly rising, each at most once. */
#ifndef UNDERSTUDY_CONSENSUS_CALENDAR_H
#define UNDERSTUDY_CONSENSUS_CALENDAR_H

#include "consensus/zone.h"

#include <stdbool.h>

#define CALENDAR_TEXT_MAX 120
#define CALENDAR_EVERY_MIN_S 1
#define CALENDAR_EVERY_MAX_S (366 * INT64_C(86400))

struct calendar {
    int64_t every_s; /* 0: the fields below */
    uint64_t minutes;
    uint32_t hours;
    uint32_t days; /* bit 1: the first */
    uint16_t months;
    uint8_t weekdays;
    bool any_day; /* the field begins with `*` */
    bool any_weekday;
};

/* A slot at a local time that a change leaves out. */
enum calendar_gap {
    CALENDAR_GAP_NEXT, /* at the change, once for all that it leaves out */
    CALENDAR_GAP_SKIP,
};

/* A slot at a local time that comes twice. */
enum calendar_fold { CALENDAR_FOLD_FIRST, CALENDAR_FOLD_SECOND, CALENDAR_FOLD_BOTH };

struct calendar_rules {
    enum calendar_gap gap;
    enum calendar_fold fold;
    int64_t anchor_s; /* of "every"; ZONE_INSTANT_MIN to ZONE_INSTANT_MAX */
};

/* 0; ERR_INVALID: names the field and the column, what was expected, and a way out. */
int calendar_parse(const char *text, struct calendar *ret, struct err *err);

/* The first slot after `after_s`; of "every", `zone` may be NULL. False: none comes in the 41 years
 * after it, so none ever comes (30 February; 29 February falls on each day of the week within 40
 * years), or `after_s` lies after ZONE_INSTANT_MAX. */
bool calendar_next(const struct calendar *self, const struct calendar_rules *rules,
                   const struct zone *zone, int64_t after_s, int64_t *ret_s);

#endif
