/* Schedules as the acting leader keeps them, as node/daemon's schedule.c and runs.c do it: what is
 * wanted is put into the state, slots are decided by consensus/schedule, runs brought on by
 * consensus/runs. For runs with the option `schedules`. */
#ifndef UNDERSTUDY_TESTS_SIM_TICKING_H
#define UNDERSTUDY_TESTS_SIM_TICKING_H

#include "consensus/runs.h"
#include "consensus/schedule.h"
#include "tests/sim/sim.h"
#include "tests/sim/timetable.h"

/* Of the process. */
struct ticking {
    struct scheduler *scheduler;
    bool acts;
    bool stale; /* the scheduler reads the whole state again */
    bool runs_changed;
    int64_t runs_at_wall_ms;
    int64_t runs_at_ms; /* at the latest: wall times in the state may come from a wrong clock */
    int64_t look_at_ms;
    int64_t proposed_ms[SIM_SCHEDULES_MAX];
    int64_t waits_ms[SIM_SCHEDULES_MAX]; /* since then for its slots to be decided; 0: not */
};

/* With the process. */
void ticking_start(struct node *node);
void ticking_end(struct node *node);

/* The node applied a command; it restored a snapshot. */
void ticking_applied(struct node *node, const struct state_effect *effect);
void ticking_restored(struct node *node);

/* Do what is due while the node acts. */
void ticking_run(struct node *node);
/* The end of an attempt, as its node tells it. */
void ticking_take_report(struct node *node, const struct run_report *report);

/* Its wall clock is near enough to the others'. */
bool ticking_trusts_clock(const struct node *node);

/* ---- faults ---- */
/* Another definition is wanted for a schedule, or none, or one again. */
void ticking_redefine(struct world *world);
/* A person starts a run, cancels one, pauses the manager or lets it go on. */
void ticking_meddle(struct world *world);
/* All schedules are wanted at the beginning; at the healing the manager goes on. */
void ticking_begin(struct world *world);
void ticking_heal(struct world *world);

#endif
