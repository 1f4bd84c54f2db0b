/* What an acting leader decides beside its duties, as node/daemon does it (leadership_policy.c, and
 * the record of leadership.c): hand over by health or drain, the voters' roles, the roster. The
 * decisions are those of consensus/policy and consensus/roles; here stands only what feeds them.
 *
 * For runs with the option `manage`; the others decide at random (duties.c, faults.c). */
#ifndef UNDERSTUDY_TESTS_SIM_LEADING_H
#define UNDERSTUDY_TESTS_SIM_LEADING_H

#include "consensus/state.h"
#include "tests/sim/sim.h"

/* With the process. */
void leading_start(struct node *node);
/* Do what is due while the node may act. */
void leading_run(struct node *node);
/* When leading_run has something to do; INT64_MAX: not now. */
int64_t leading_deadline_ms(const struct node *node);

/* The node applied a command. */
void leading_applied(struct node *node, const struct state_effect *effect);

/* The roster's row says that the node drains, or that it was removed. */
bool leading_drains(const struct node *node, const struct node *who);

/* What L1 to L3 say of runs with this option: `leader` leads, and the reason why not into `ret_why`
 * (dead voters are replaced, nobody who drains or was removed leads or runs a duty). */
bool leading_settled(struct world *world, struct node *leader, char *ret_why, size_t size);

#endif
