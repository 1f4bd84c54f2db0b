/* Faults of several steps: each step plans the next, until the world heals. */
#ifndef UNDERSTUDY_TESTS_SIM_FAULT_STEPS_H
#define UNDERSTUDY_TESTS_SIM_FAULT_STEPS_H

#include "tests/sim/sim.h"

/* A link goes down and up again every 20 to 600 ms. */
void fault_steps_flap(struct world *world);
/* The nodes fall into two groups, and fall again otherwise while they are apart. */
void fault_steps_moving_cut(struct world *world);
/* A process crashes soon after each of its starts. */
void fault_steps_crash_loop(struct world *world);

/* EVENT_AGAIN: the next step. */
void fault_steps_go_on(struct world *world, int node, int64_t argument);

#endif
