/* What became of each slot and each attempt of a run, kept apart from the replicated state and in
 * true time.
 *
 * I7  every slot up to decided_s has one row and no other instant has one, over all changes of
 *     definition (timetable.h counts again); no slot is decided before its time, none is missed
 *     that was on time; with overlap `forbid` no run begins beside another; the rows in the state
 *     are these
 * I8  an attempt takes effect at most once, while its run is under way; no two attempts of a run at
 *     once; a run that ran had one successful attempt, which is the one that it ended with; one
 *     that was skipped or missed had none
 * L4  after the last fault every schedule is decided up to the present, and what is under way
 *     ends, within a bound; but for what no node could take (all drain, or cannot do the work) */
#ifndef UNDERSTUDY_TESTS_SIM_LEDGER_H
#define UNDERSTUDY_TESTS_SIM_LEDGER_H

#include "tests/sim/sim.h"
#include "tests/sim/timetable.h"

struct ledger;

struct ledger *ledger_create(void);
void ledger_destroy(struct ledger **self_p);

/* The command was applied for the first time anywhere. */
void ledger_applied(struct node *node, const struct command *command,
                    const struct state_effect *effect);

/* The attempt begins to run on `node`; it has ended by itself, and well. */
void ledger_effect(struct node *node, const char *duty);
void ledger_well(struct node *node, const char *duty);

/* After every event. */
void ledger_step(struct world *world);
/* At the end of a run, and before it: how long nothing may be missing, in ms. */
void ledger_check_end(struct world *world, struct node *leader);

#endif
