/* Faults: each kind comes again and again at random until the world heals. */
#ifndef UNDERSTUDY_TESTS_SIM_FAULTS_H
#define UNDERSTUDY_TESTS_SIM_FAULTS_H

#include "tests/sim/sim.h"

/* Start all nodes, plan the first fault of each kind and the healing. */
void faults_begin(struct world *world);
void faults_happen(struct world *world, int kind);
/* What schedules call the kind; NULL: there is no such kind. */
const char *faults_name(int kind);
/* All links up, everyone thawed and (but for at most one, now and then) started; no loss. */
void faults_heal(struct world *world);

#endif
