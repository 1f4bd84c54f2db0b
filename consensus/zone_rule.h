/* The rule in the footer of a zone file: a TZ string of POSIX with the wider times of RFC 8536,
 * section 3.3.1. It says when daylight saving time begins and ends in each year, for ever.
 *
 * Offsets are seconds that local time is ahead of UTC (in the string itself west is positive). */
#ifndef UNDERSTUDY_CONSENSUS_ZONE_RULE_H
#define UNDERSTUDY_CONSENSUS_ZONE_RULE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* "The last Sunday of March at 02:00", or a day of the year. */
struct zone_rule_day {
    enum zone_rule_kind { ZONE_RULE_MONTH, ZONE_RULE_JULIAN, ZONE_RULE_ZERO_BASED } kind;
    int month;      /* 1 to 12 */
    int week;       /* 1 to 5; 5: the last one */
    int day;        /* of the week, 0 is Sunday; or of the year */
    int32_t time_s; /* of that day, on the clock that is in force before the change */
};

struct zone_rule {
    int32_t standard_s;
    bool changes; /* false: `standard_s` for ever, and nothing else is set */
    int32_t saving_s;
    struct zone_rule_day to_saving;
    struct zone_rule_day to_standard;
};

/* `text` need not end with 0. False: it is of no known form. */
bool zone_rule_parse(const char *text, size_t length, struct zone_rule *ret);

/* The daylight saving time [begin, end) that begins in `year` (1800 to 2600) on a rule that
 * changes, in instants. False: none does. South of the equator it ends in the year after. */
bool zone_rule_saving(const struct zone_rule *rule, int64_t year, int64_t *ret_begin_s,
                      int64_t *ret_end_s);

/* The Gregorian year in which an instant lies in UTC. */
int64_t zone_rule_year(int64_t instant_s);

#endif
