/* Calls into the engine. Each is one event of the node's consensus thread: while it waits for the
 * disk, the rest of the node goes on with what the engine last published, messages of the engine
 * queue, and a crash leaves the call cut off in the middle. */
#ifndef UNDERSTUDY_TESTS_SIM_CALLS_H
#define UNDERSTUDY_TESTS_SIM_CALLS_H

#include "tests/sim/sim.h"

enum call_kind {
    CALL_CREATE,
    CALL_TICK,
    CALL_RECEIVE,
    CALL_PROPOSE,
    CALL_CHANGE,
    CALL_HAND_OVER,
    CALL_STAND,
    CALL_PROOF,
    CALL_MANAGERS_ENDED,
    CALL_ELECTION_TIMEOUT,
    CALL_COMPLETIONS,
};

struct call {
    enum call_kind what;
    const struct consensus_config *config;
    const struct message *message;
    const uint8_t *bytes;
    size_t length;
    uint64_t id;
    uint64_t term;
    uint64_t token;
    int64_t ms;
    bool proof;
    enum consensus_change change;
    enum consensus_role role;
    enum consensus_cause cause;
    struct err err;
    int code;
};

/* Perform the call and what follows from it. True: it is done, or it waits for the disk and its
 * outcome follows. False: the node died of it; or the engine is busy with another call, and this
 * one was refused (call->code) or waits for its turn. */
bool calls_perform(struct node *node, struct call *call);

/* The engine is within a call, which waits for the disk. */
bool calls_busy(const struct node *node);
/* ... and that call is the one that makes the engine: the node has not started yet. */
bool calls_starting(const struct node *node);
/* A message for a busy engine; taken. */
void calls_queue(struct node *node, struct message *message);

/* The disk has done what the waiting call asked of it. `ticket`: of the wait. */
void calls_disk_done(struct node *node, uint64_t ticket);
/* The disk is well again: the present wait is over. */
void calls_disk_heals(struct node *node);
/* The process thaws: what the disk did meanwhile counts now. */
void calls_thaw(struct node *node);
/* The process ends in the middle of whatever it does. */
void calls_drop(struct node *node);

/* For the storage, within a call: let `us` pass. Returns at once outside of a waiting call. */
void calls_wait(struct node *node, int64_t us);
/* For the storage: the process dies here. */
void calls_crash_point(struct node *node) __attribute__((noreturn));

#endif
