/* A state with schedules, the scheduler of its leader, zones that need no files, and the ledger as
 * a line of letters. */
#ifndef UNDERSTUDY_TESTS_UNIT_SCHEDULE_FIXTURE_H
#define UNDERSTUDY_TESTS_UNIT_SCHEDULE_FIXTURE_H

#include "consensus/schedule.h"
#include "tests/unit/state/commands.h"

#define T0 INT64_C(1795305600) /* 2026-11-22, midnight in UTC: a Sunday */
#define MINUTE_S 60
#define DAY_S INT64_C(86400)

struct world {
    struct state *state;
    struct scheduler *scheduler;
    struct scheduler_now now; /* acting, trusted, room for all; the test changes it */
    enum run_reason gate;     /* of every manager */
    bool blind;               /* no zone is known */
    struct schedule_switches off;
};

void world_create(struct world *self, int64_t wall_s);
void world_destroy(struct world *self);
/* Another node leads: it knows the state and nothing else. */
void world_new_leader(struct world *self);
void world_at(struct world *self, int64_t wall_s); /* both clocks move; the boot clock never back */

/* UTC, forbid, run_once, a start deadline of 90 s. */
struct schedule_definition definition_of(const char *expression);
/* It counts for slots after `decided_s`; a row that is there is changed. */
void world_put(struct world *self, const char *id, const struct schedule_definition *is,
               int64_t decided_s);
const struct state_schedule *world_row(const struct world *self, const char *id);

/* Propose once: how many commands. */
size_t world_step(struct world *self, struct command *ret);
/* Apply one that the state must take (or any), and let the scheduler know. Runs that begin take
 * room; ends give none back. */
void world_apply(struct world *self, const struct command *command);
struct state_effect world_offer(struct world *self, const struct command *command);
/* Step and apply until nothing more is proposed: how many commands. */
size_t world_settle(struct world *self);
/* Ends the oldest run under way of the schedule, which was never assigned. */
void world_end_run(struct world *self, const char *id);

/* One letter for each slot of a schedule of every `every_s`, from the first one after `after_s` on:
 * D due, L late; M misfire_skip, S superseded, W out_of_window; O overlap, R replaced, P paused,
 * X shadow, N maintenance, H shed; E: it ran and has ended; '.': undecided, '?': anything else. */
void world_ledger(const struct world *self, const char *id, int64_t after_s, int64_t every_s,
                  size_t count, char *ret);

/* Zones: UTC, Madrid, New_York, Lord_Howe, by their present rules for all time; NULL: another. */
const struct zone *fixture_zone(const char *name);
void fixture_zones_free(void);

#endif
