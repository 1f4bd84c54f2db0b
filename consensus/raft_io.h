/* The library's raft_io and raft_fsm over our storage, transport and machine.
 *
 * Writes are durable when the method returns (a term together with the vote in it, when one follows
 * before anything else); only their callbacks wait, and all of them run before the next event (the
 * switch completions_at_once lets the simulator see what that buys). A failed write makes the
 * engine fatal. */
#ifndef UNDERSTUDY_CONSENSUS_RAFT_IO_H
#define UNDERSTUDY_CONSENSUS_RAFT_IO_H

#include "consensus/consensus.h"

#include <raft.h>

struct raft_io_completion;

struct raft_io_list {
    struct raft_io_completion *head;
    struct raft_io_completion *tail;
};

struct raft_io_queue {
    struct raft_io_list now;   /* run before the next event */
    struct raft_io_list later; /* only with completions_at_once off */
};

/* The request that is being answered. */
struct raft_io_context {
    bool bounded; /* an append or snapshot: a success acknowledges at most `bound` */
    uint64_t bound;
};

/* Fill the methods of self->instance. */
void raft_io_bind(struct consensus *self);

/* Run completions until none is left; of the later ones those that are due at now_ms. */
void raft_io_complete(struct consensus *self);
void raft_io_complete_due(struct consensus *self, int64_t now_ms);
/* Run or end every completion: before the instance is closed. */
void raft_io_complete_all(struct consensus *self);

/* Write what waits: a leader's own entries for being sent first, a new term for the vote in it. A
 * message waits for the term only. */
void raft_io_flush(struct consensus *self);
void raft_io_flush_term(struct consensus *self);

/* Send for the engine itself: the library knows nothing of it. Only as leader. */
void raft_io_tell(struct consensus *self, const struct raft_message *message);

/* What raft_io_load needs: storage's contents into self->loaded and self->log. */
int raft_io_read_storage(struct consensus *self, struct err *err);
void raft_io_stored_deinit(struct consensus_stored *stored);

#endif
