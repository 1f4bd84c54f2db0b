/* When the schedules of a run are, told a second time.
 *
 * What a schedule is in which edition comes from the seed: an expression, a zone, policies. The
 * slots are found here by a plain walk, minute by minute, which shares nothing with
 * consensus/calendar but the zone's offsets; the checkers (ledger.h) compare.
 *
 * There are two zones: UTC, and one whose clock goes forward and back again, both by 10 minutes,
 * some ten and some 26 minutes of wall time after the begin. */
#ifndef UNDERSTUDY_TESTS_SIM_TIMETABLE_H
#define UNDERSTUDY_TESTS_SIM_TIMETABLE_H

#include "consensus/command_work.h"
#include "tests/sim/options.h"

#define TIMETABLE_MANAGER "run"

struct timetable;

struct plan {
    struct schedule_definition is; /* its digest names the schedule and the edition */
    int64_t every_s;               /* 0: the fields below */
    int minute_from;
    int minute_step;
    uint32_t hours; /* a bit for each; 0: any */
};

struct timetable *timetable_create(const struct options *options, uint64_t seed);
void timetable_destroy(struct timetable **self_p);

/* Edition 1 is the first. */
void timetable_plan(const struct timetable *self, int schedule, uint32_t edition, struct plan *ret);
/* The plan that the definition names; false: it is none of this run's. */
bool timetable_plan_of(const struct timetable *self, const struct schedule_definition *is,
                       struct plan *ret);

/* The first slot in (after_s, until_s]; INT64_MAX: there is none. */
int64_t timetable_next(const struct timetable *self, const struct plan *plan, int64_t after_s,
                       int64_t until_s);

/* For struct scheduler_config: `context` is the timetable. */
const struct zone *timetable_zone(void *context, const char *name);

/* "run/s3", and back; -1: it is none. */
void timetable_name(int schedule, char ret[SCHEDULE_ID_SIZE]);
int timetable_number(const char *id);

#endif
