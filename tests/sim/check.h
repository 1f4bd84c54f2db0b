/* The invariants of the safety page, looked at in true time after every event.
 *
 * I1  one leader in a term
 * I2  what nodes applied are prefixes of one sequence; a committed entry is never lost or changed
 * I3  at most one node acts, its managers' deadlines included
 * I4  an exclusive duty runs on at most one node, and of an exclusion group one side at most
 * I5  effects outside the cluster: outside.h
 * I6  identity, incarnation, term, vote, log and snapshot survive any crash (promise.h); terms
 *     rise, a term has one vote; no grant outlives its incarnation
 * I7  slots, I8 runs: ledger.h
 * L1  after the last fault one leader is known to all, acts, and the assigned duties run; with
 *     `manage` also: roles are settled, no dead voter stays where a live node could vote, and who
 *     drains or cannot do the work has no duty and does not lead
 * L2  after the last fault gossip holds no live node dead and no dead one alive, health records
 *     agree with each other and with the truth
 * L3  after that, leadership rests: it moves a bounded number of times, and never without a cause
 * L4  schedules: ledger.h
 * L5  intents: outside.h
 * OK  the engine ends only for a reason that was simulated; storage is called as promised
 *
 * A violation is written into the verdict and ends the process. */
#ifndef UNDERSTUDY_TESTS_SIM_CHECK_H
#define UNDERSTUDY_TESTS_SIM_CHECK_H

#include "consensus/state.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct world;
struct node;
struct check;
struct consensus_snapshot_meta;

struct check *check_create(void);
void check_destroy(struct check **self_p);

void check_failed(struct world *world, const char *check, const char *format, ...)
    __attribute__((format(printf, 3, 4), noreturn));

/* After every event, and before time goes on to `until_us`. */
void check_step(struct world *world);
void check_time_passes(struct world *world, int64_t until_us);

/* ---- consensus ---- */
void check_leader(struct node *node, uint64_t term);
/* `node` is ready in `term`: it has applied what earlier terms committed. */
void check_ready(struct node *node, uint64_t term, size_t applied);
/* `node` applies a command as its `position`-th (from 0). */
void check_applied(struct node *node, size_t position, uint64_t index, uint64_t term,
                   uint64_t hash);
/* `node` restores the state after `position` commands from a snapshot at `index`. */
void check_restored(struct node *node, size_t position, uint64_t index);
/* The state after `position` commands, as bytes, has `hash`. */
void check_state(struct node *node, size_t position, uint64_t hash);

/* What the node says of its log goes never back in one life: before this event its indexes were
 * these. */
void check_view(struct node *node, uint64_t commit_index, uint64_t applied_index);
/* All live nodes that have applied the same commands hold the same state. */
void check_digests(struct world *world);
/* `node` lets a duty run by a grant for this assignment: it is one to its own incarnation. */
void check_granted(struct node *node, uint64_t assignment, const struct state *state,
                   const char *duty);
/* The leader `node` hands over to `target` of its own will. Once the cluster rests, there must be a
 * cause for that. */
void check_handed_over(struct node *node, uint64_t target, enum consensus_cause cause);

/* ---- storage ---- */
void check_term_written(struct node *node, uint64_t old, uint64_t term);
void check_vote_written(struct node *node, uint64_t term, uint64_t old, uint64_t vote);
void check_append(struct node *node, uint64_t expected, uint64_t index);
/* What a snapshot holds of the configuration is committed: no other was in force before it. */
void check_snapshot(struct node *node, const struct consensus_snapshot_meta *meta);
void check_truncated(struct node *node, uint64_t index, uint64_t term);

/* ---- after the faults ---- */

/* Whether L1 holds now; the reason why not into `ret_why` (200 bytes). */
bool check_recovered(struct world *world, char *ret_why, size_t size);
/* L1, L2 and L3 at the end of a run. */
void check_end(struct world *world);

/* Commands known to be committed. */
size_t check_committed(const struct world *world);

#endif
