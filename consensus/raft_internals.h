/* Every look into (and the few pokes at) the public struct raft of libraft 0.15. A library that
 * hides these fields needs another way here, and the simulator's word for it. */
#ifndef UNDERSTUDY_CONSENSUS_RAFT_INTERNALS_H
#define UNDERSTUDY_CONSENSUS_RAFT_INTERNALS_H

#include "consensus/consensus.h"

#include <raft.h>

uint64_t raft_internals_term(const struct raft *raft);
uint64_t raft_internals_commit_index(const struct raft *raft);
uint64_t raft_internals_applied_index(const struct raft *raft);
uint64_t raft_internals_configuration_index(const struct raft *raft);
uint64_t raft_internals_uncommitted_index(const struct raft *raft);
bool raft_internals_promoting(const struct raft *raft);
const struct raft_configuration *raft_internals_configuration(const struct raft *raft);

/* The library's configuration is freed memory: let it have none. Only before its end. */
void raft_internals_drop_configuration(struct raft *raft);

/* The leader that a follower follows; 0: none, or no follower. */
uint64_t raft_internals_leader(const struct raft *raft);
/* Let a follower forget its leader (its own election timeout has passed without a word). */
void raft_internals_forget_leader(struct raft *raft);

/* Give this server another role in its own view of the configuration, until it is given back: the
 * role before, or -1 when the configuration does not name it. */
int raft_internals_swap_role(struct raft *raft, int role);

/* Of a leader: highest index known to be stored on server i of its configuration. */
uint64_t raft_internals_match_index(const struct raft *raft, unsigned i);

/* Of a leader: when it last sent an append to the server of its configuration that has waited
 * longest; INT64_MAX when it is alone. */
int64_t raft_internals_oldest_send(const struct raft *raft);

/* A leader that probes sends one append per heartbeat; let it send its next one at once. */
void raft_internals_probe_at_once(struct raft *raft);

/* Term and vote that are stored already. */
void raft_internals_set_term(struct raft *raft, uint64_t term, uint64_t vote);

/* A transfer of an earlier term that the library still waits for. */
void raft_internals_drop_transfer(struct raft *raft);

/* The election timer of a follower or candidate. */
bool raft_internals_has_timer(const struct raft *raft);
int64_t raft_internals_timer_start(const struct raft *raft);
int64_t raft_internals_timer_length(const struct raft *raft);
void raft_internals_set_timer_length(struct raft *raft, int64_t length_ms);
bool raft_internals_in_pre_vote(const struct raft *raft); /* candidates only */

#endif
