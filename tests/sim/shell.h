/* What surrounds the engine in a host: the managers with their deadline, the parent with the
 * obituary, the guards; and what the node does after each event. */
#ifndef UNDERSTUDY_TESTS_SIM_SHELL_H
#define UNDERSTUDY_TESTS_SIM_SHELL_H

#include "tests/sim/sim.h"

/* Take notices and view, give or take back the managers' deadline, tell the parent, let the other
 * parts go on, and set the timer. False when the node died of it. */
bool shell_after(struct node *node);

/* The managers have ended or their deadline is over: tell the engine. */
void shell_confirm_end(struct node *node);

/* consensus_create failed. */
void shell_engine_refused(struct node *node, int code, const char *text);

/* The process ends at once, because its disk takes no new incarnation; its parent tries again. */
void shell_disk_refused(struct node *node);

/* After a crash of the process: its managers die, the parent writes and starts again. */
void shell_process_ended(struct node *node);
/* After a crash of the host: nothing goes on, and its clock starts anew. */
void shell_host_ended(struct node *node);
/* The host runs again after a freeze. */
void shell_host_wakes(struct node *node);

/* Add the engine's counters to the statistics. */
void shell_count(struct node *node);

#endif
