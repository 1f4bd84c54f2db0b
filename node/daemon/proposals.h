/* Proposals of this node that are under way: each ends in exactly one call of its `done`.
 *
 * The token that names a proposal to the engine is the command's own sequence number, so that the
 * effect which the mirror computed when the command was applied is known when the engine's notice
 * comes. Loop thread. */
#ifndef UNDERSTUDY_NODE_DAEMON_PROPOSALS_H
#define UNDERSTUDY_NODE_DAEMON_PROPOSALS_H

#include "consensus/state.h"
#include "node/daemon/consensus_thread.h"

struct proposals;

#define PROPOSALS_MAX 1024

/* status 0: applied here, and `effect` says what it did (which may be a refusal: effect->status).
 * ERR_STALE: unknown, it may still commit; other codes: it was not taken. effect is NULL then. */
typedef void proposal_done(void *context, uint64_t token, int status,
                           const struct state_effect *effect);

struct proposals *proposals_create(uint64_t origin, uint64_t incarnation,
                                   struct consensus_thread *consensus);
void proposals_destroy(struct proposals **self_p); /* every `done` still owed gets ERR_CLOSED */

/* The token that the next proposals_submit will use. */
uint64_t proposals_next_token(const struct proposals *self);

/* Fill in origin, incarnation, sequence and wall time, and hand the command to the engine. 0:
 * `done` (may be NULL) follows. A negative code: it does not. *ret_token may be NULL. */
int proposals_submit(struct proposals *self, struct command *command, proposal_done *done,
                     void *context, uint64_t *ret_token, struct err *err);

/* From the outputs of the consensus thread. */
void proposals_applied(struct proposals *self, const struct state_effect *effect);
void proposals_noticed(struct proposals *self, uint64_t token, int status);

#endif
