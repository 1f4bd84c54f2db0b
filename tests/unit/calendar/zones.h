/* Zones, instants and random schedules for the calendar's tests. */
#ifndef UNDERSTUDY_TESTS_UNIT_CALENDAR_ZONES_H
#define UNDERSTUDY_TESTS_UNIT_CALENDAR_ZONES_H

#include "consensus/calendar.h"
#include "node/base/rng.h"

#include <stdbool.h>
#include <stddef.h>

#define ZONES_FOLDER "/usr/share/zoneinfo"
#define EXPRESSION_SIZE (CALENDAR_TEXT_MAX + 1)

/* A zone whose file lists no change and has this footer; NULL: not decoded, err says why. */
struct zone *zone_of_footer(const char *footer, struct err *err);

/* A zone of the system's database, by its name; NULL: not there or not decoded. Says so. */
struct zone *zone_of_system(const char *name);

/* Names of the database's zones that people live in (zone1970.tab), and some with unusual changes
 * at the beginning. They live as long as the process. 0: there is no database, and it says so. */
size_t zone_names(const char *const **ret);

/* "2026-03-29T01:00:00" in UTC, or without the seconds; ends the process when it is none. */
int64_t instant(const char *text);

/* The same text, in a buffer of its own (of the last eight calls). */
const char *instant_text(int64_t instant_s);

/* A schedule of five fields that the parser accepts: anything from every minute to once a year. */
void draw_expression(struct rng *rng, char ret[EXPRESSION_SIZE]);

struct calendar_rules draw_rules(struct rng *rng);

/* An instant near a change of that zone's clock between 1996 and 2045, when there is one. */
int64_t draw_change(struct rng *rng, const struct zone *zone);

#endif
