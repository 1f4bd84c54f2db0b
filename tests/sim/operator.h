/* What operators and the world outside do to a cluster with the option `manage`: faults like the
 * others, though none of them is a failure. */
#ifndef UNDERSTUDY_TESTS_SIM_OPERATOR_H
#define UNDERSTUDY_TESTS_SIM_OPERATOR_H

#include "tests/sim/sim.h"

/* The health of a node swings: its score, and now and then what its manager can do. */
void operator_swing(struct world *world);
/* A node's wall clock jumps by up to an hour. */
void operator_wall(struct world *world);
/* A node drains, or drains no more. */
void operator_drain(struct world *world);
/* The roster wants a node in another role. */
void operator_wish(struct world *world);
/* A node is removed from the roster. */
void operator_remove(struct world *world);
/* A duty shall run on a certain node. */
void operator_move(struct world *world);

#endif
