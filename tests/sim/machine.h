/* The replicated state machine of a node under the checkers' eyes: each command, snapshot and
 * restore passes here on its way to consensus/state. */
#ifndef UNDERSTUDY_TESTS_SIM_MACHINE_H
#define UNDERSTUDY_TESTS_SIM_MACHINE_H

#include "consensus/state.h"
#include "tests/sim/sim.h"

struct machine;

struct machine *machine_create(struct node *node);
void machine_destroy(struct machine **self_p);

struct consensus_machine machine_interface(struct machine *self);

const struct state *machine_state(const struct machine *self);
/* Commands applied so far, and whether duties changed since the last call. */
/* Hash of the state as a snapshot would hold it. */
uint64_t machine_digest(struct machine *self);
size_t machine_position(const struct machine *self);
bool machine_take_change(struct machine *self);

#endif
