/* The manager that has errands outside of the cluster, and the leader's side of its intents, as
 * node/daemon has it: consensus/intents decides. For runs with the option `intents`.
 *
 * The manager is a process of its own: it goes on until the last deadline that it was given, and
 * may crash alone. What it says and is told may get lost. */
#ifndef UNDERSTUDY_TESTS_SIM_DISPATCH_H
#define UNDERSTUDY_TESTS_SIM_DISPATCH_H

#include "tests/sim/outside.h"

enum task_phase {
    TASK_IDLE,
    TASK_PERFORMING, /* waits for the answer */
    TASK_VERIFYING,
    TASK_TELLS_OUTCOME,
    TASK_TELLS_EVIDENCE,
};

/* What the manager is at with an errand. */
struct task {
    enum task_phase phase;
    bool closed;
    bool left; /* the leader told it of this one */
    uint64_t ticket;
    uint64_t serial; /* of the request under way; 0: none */
    int64_t give_up_us;
    enum intent_verdict verdict;
    bool answer_lost;
    enum intent_evidence evidence;
};

/* Of the host. */
struct dispatch {
    bool active;
    uint64_t tickets;
    uint64_t serials;
    struct task tasks[OUTSIDE_ERRANDS_MAX];
};

/* Of the node's process. */
struct dispatcher {
    struct intents *intents;
    bool acts;     /* as leader, */
    uint64_t term; /* of this term */
    int64_t look_at_ms;
    int64_t remind_at_ms;
};

/* With the process. */
void dispatch_start(struct node *node);
void dispatch_end(struct node *node);

/* Do what is due. */
void dispatch_run(struct node *node);
/* EVENT_REQUEST and EVENT_ANSWER of a request that the node's manager sent. */
void dispatch_request_arrives(struct node *node, int64_t argument);
void dispatch_answer_arrives(struct node *node, int64_t argument);

/* A fault: the manager of the leader crashes, and a new one comes. */
void dispatch_crash(struct world *world);

#endif
