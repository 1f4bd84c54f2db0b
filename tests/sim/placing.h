/* Where the acting leader puts the duties, as node/daemon/duties_leader.c does it: by
 * consensus/placement, from what gossip tells of the nodes. For runs with the option `manage`. */
#ifndef UNDERSTUDY_TESTS_SIM_PLACING_H
#define UNDERSTUDY_TESTS_SIM_PLACING_H

#include "tests/sim/sim.h"

/* With the process. */
void placing_start(struct node *node);

/* Commit what has ended, place what has no place. */
void placing_run(struct node *node);
/* The holder's side: give up what shall run elsewhere (node/daemon/duties.c). */
void placing_leave(struct node *node);

/* Some node knows of a wish that a duty moves. */
bool placing_moves(const struct world *world);

/* L1 for the duty that has no holder: there is nobody who could take it. */
bool placing_impossible(struct node *leader);
/* A node that drains, or that cannot do the work while another can, ends with no duty. */
bool placing_settled(struct node *leader, const struct node *holder, char *ret_why, size_t size);

#endif
