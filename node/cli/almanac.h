/* A second calendar, for `ticks verify`: the slots of an interval, found in another way than
 * consensus/calendar finds them and with none of its code or consensus/zone's.
 *
 * It walks every minute of the interval, asks the C library (localtime_r, its own reader of the
 * zone database) what the clock on the wall shows, and looks each column up in a table. Nobody
 * tells it when clocks are changed: it looks at two minutes that follow each other. When their
 * local times are not a minute apart, the clock was changed between them. Forward: the local
 * minutes between the two never come, and when one of them is in the expression and the policy is
 * "next", the later of the two minutes is a slot. Back: the local minutes from the later one's to
 * the earlier one's come twice, and the policy chooses by whether a minute lies before or after
 * that place. (An expression that admits every hour knows neither policy: it takes the minutes as
 * they come.) Changes up to 26 hours outside of the interval are looked for as well, as what they
 * repeat may lie in it.
 *
 * Slow and plain on purpose: a question about a day takes a millisecond, about a week four. */
#ifndef UNDERSTUDY_NODE_CLI_ALMANAC_H
#define UNDERSTUDY_NODE_CLI_ALMANAC_H

#include "consensus/calendar.h" /* the names of the policies only */
#include "node/base/err.h"

#include <stddef.h>
#include <stdint.h>

#define ALMANAC_ZONES "/usr/share/zoneinfo"
/* 1973: until 1972 there were clocks that differed from UTC by a fraction of a minute. */
#define ALMANAC_FIRST_S INT64_C(94694400)

struct almanac_question {
    const char *expression; /* of a schedule; checked elsewhere */
    const char *zone;       /* of the database; of "every" it is not looked at */
    enum calendar_gap gap;
    enum calendar_fold fold;
    int64_t anchor_s; /* of "every" */
    int64_t from_s;   /* ALMANAC_FIRST_S or later */
    int64_t to_s;     /* not included */
};

/* The slots in [from_s, to_s), rising; `max` at most, written to `ret`.
 *
 * Sets the environment variable TZ while it works and puts it back: for a program of one thread.
 * ERR_INVALID: an expression or an interval that it does not read; ERR_NOTFOUND: no such zone on
 * this host; ERR_FULL: there are more than `max` slots, or hundreds of changes of the clock;
 * ERR_NOMEM. */
int almanac_slots(const struct almanac_question *question, int64_t *ret, size_t max,
                  size_t *ret_count, struct err *err);

#endif
