/* A node: the engine within the shell that the daemon is in production.
 *
 * Each function below is one event of the node. After it the engine's notices and view are taken,
 * and what follows from them is done: deadlines of managers, news for the parent, evidence. */
#ifndef UNDERSTUDY_TESTS_SIM_NODE_H
#define UNDERSTUDY_TESTS_SIM_NODE_H

#include "tests/sim/sim.h"

/* Start the process (again) from its storage. */
void node_start(struct node *node);
/* The engine was made (or not: `code`): called once, at once or when a slow disk has done. */
bool node_created(struct node *node, int code, const char *text);
/* End the process as kill -9 does. With `host` its clock, guards and parent end too. */
void node_crash(struct node *node, bool host);
/* The process stops running for `ms`; with `host` its managers and guards too. */
void node_freeze(struct node *node, int64_t ms, bool host);
/* Free everything, at the end of a run. */
void node_end(struct node *node);

void node_timer(struct node *node);
void node_thaw(struct node *node);
void node_take_message(struct node *node, struct message *message); /* takes it */
void node_managers_stopped(struct node *node, uint64_t generation);
/* The parent sends what it wrote when the process died. */
void node_send_obituary(struct node *node, const struct message *obituary);
void node_link(struct node *node, int other, bool up);
void node_probed(struct node *node, int other, bool refused);

/* Requests; 0 or the engine's refusal. */
int node_propose(struct node *node, const uint8_t *bytes, size_t length, uint64_t token);
int node_change(struct node *node, enum consensus_change what, uint64_t id,
                enum consensus_role role);
int node_hand_over(struct node *node, uint64_t target, enum consensus_cause cause);
int node_stand(struct node *node, uint64_t leader, uint64_t term, bool proof);
void node_proof(struct node *node, uint64_t leader, uint64_t term);
void node_confirm_end(struct node *node); /* its managers have ended */
void node_set_election_timeout(struct node *node, int64_t ms);

bool node_runs(const struct node *node);  /* alive, started and not frozen */
bool node_leads(const struct node *node); /* in its own view */
/* The node may act now, as its consensus thread told the rest of it. */
bool node_may_act(const struct node *node);
/* The node or its managers act at this instant. */
bool node_acts(const struct node *node);

/* A new raft id for a node that was removed and joins again from nothing. */
void node_renew_identity(struct node *node);

#endif
