/* The guards of the safety page against defects of libraft 0.15, as pure predicates. The engine
 * asks them at the boundary between the library and the world; each holds off one defect and costs
 * nothing where the library behaves as the Raft paper says. */
#ifndef UNDERSTUDY_CONSENSUS_GUARD_H
#define UNDERSTUDY_CONSENSUS_GUARD_H

#include "consensus/logbook.h"

#include <raft.h>

/* RG1: a second vote in a term. The library would give one to the target of its own transfer. */
bool guard_second_vote(uint64_t stored_term, uint64_t stored_vote,
                       const struct raft_request_vote *request);

/* RG2: a leader without a barrier in its own term, before the next event. */
bool guard_barrier_due(bool leader, uint64_t term, uint64_t barrier_term);

/* RG3: the last index that a successful result may acknowledge, given the bound of its request. */
uint64_t guard_acknowledgement(uint64_t last_index, uint64_t bound);
uint64_t guard_append_bound(const struct raft_append_entries *request);

/* RG4: a snapshot now would hold a configuration that is not committed yet. Besides the change
 * that the library tracks, a configuration behind the last applied entry counts too: after a
 * restart the library does not track it. */
bool guard_snapshot_early(uint64_t uncommitted_index, uint64_t configuration_index,
                          uint64_t applied_index);

/* RG5: the first index to truncate by ourselves before a reload, or 0. For entries: where terms
 * differ first, when a configuration change would be lost. For a snapshot: its last index when our
 * entry there has another term (the library would claim to have it all). Never at or below
 * `commit_index`: that would be a broken promise, which the library answers by shutting down. */
uint64_t guard_truncation(const struct logbook *log, uint64_t commit_index,
                          const struct raft_append_entries *request);
uint64_t guard_snapshot_truncation(const struct logbook *log, uint64_t commit_index,
                                   const struct raft_install_snapshot *request);

/* RG6: the term that a result of a vote request says. `result` as the library made it: for a
 * pre-vote it repeats the term asked for. */
uint64_t guard_refusal_term(uint64_t stored_term, const struct raft_request_vote_result *result);

/* A refusal of what the follower is known to have stored (`match_index`): overtaken on its way. The
 * library, probing, would take it for news, fall back to a snapshot that the follower has, and wait
 * for an answer above the match for ever. */
bool guard_stale_refusal(uint64_t match_index, const struct raft_append_entries_result *result);

/* RG8: entries that this log has left behind in its snapshot. The library takes "not in my log" for
 * "not yet in my log" and would append them again at its end; or it refuses the request, because it
 * no longer knows the term of the entry before its log, and a leader that lost our answers has
 * nothing else to send. The index of the snapshot, as the new prev_log_index behind which the
 * request may stand, or 0: leave the request as it is. All entries up to there are committed, so
 * any leader of this term has the same. */
uint64_t guard_known_prefix(const struct logbook *log, const struct raft_append_entries *request);

/* RG7: a sole voter that would make itself leader: the library does so without a new term, and so
 * would lead in a term that another server led before it. True: raise the term first. */
bool guard_sole_voter(const struct logbook_configuration *configuration, uint64_t id);

/* RG9: the index of the entry behind `commit_index` that took the vote of `to`, which has had none
 * since: from there on the leader keeps its log back from it until that is committed; or 0. The
 * library lets no server stand that holds itself no voter. If the leader and those with the entry
 * were gone but for that one, it would refuse the others for their shorter logs and not stand
 * itself, for ever. The change is committed by the other voters, so nothing waits for this one.
 * (The index that the library tracks is of no use here: it is set after the entry was sent.) */
uint64_t guard_withheld(const struct logbook *log, uint64_t commit_index, uint64_t to);

/* RG10: this server holds itself no voter, and shall vote all the same when asked. A candidate
 * with a newer configuration may count it; as in the paper, votes are given without a look at one's
 * own configuration. The library would refuse, and a promotion that reached some servers and not
 * others could leave too few that vote. */
bool guard_votes_too(const struct logbook_configuration *configuration, uint64_t id);

#endif
