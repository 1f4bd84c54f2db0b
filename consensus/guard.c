#include "consensus/guard.h"

bool guard_second_vote(uint64_t stored_term, uint64_t stored_vote,
                       const struct raft_request_vote *request)
{
    return !request->pre_vote && request->term == stored_term && stored_vote != 0 &&
           stored_vote != request->candidate_id;
}

bool guard_barrier_due(bool leader, uint64_t term, uint64_t barrier_term)
{
    return leader && barrier_term != term;
}

uint64_t guard_acknowledgement(uint64_t last_index, uint64_t bound)
{
    return last_index < bound ? last_index : bound;
}

uint64_t guard_append_bound(const struct raft_append_entries *request)
{
    return request->prev_log_index + request->n_entries;
}

bool guard_snapshot_early(uint64_t uncommitted_index, uint64_t configuration_index,
                          uint64_t applied_index)
{
    return uncommitted_index != 0 || configuration_index > applied_index;
}

uint64_t guard_truncation(const struct logbook *log, uint64_t commit_index,
                          const struct raft_append_entries *request)
{
    for (unsigned i = 0; i < request->n_entries; i++) {
        uint64_t index = request->prev_log_index + 1 + i;
        uint64_t term = logbook_term_of(log, index);
        if (term != 0 && term != request->entries[i].term) {
            return index > commit_index && logbook_changes_from(log, index) ? index : 0;
        }
    }
    return 0;
}

uint64_t guard_snapshot_truncation(const struct logbook *log, uint64_t commit_index,
                                   const struct raft_install_snapshot *request)
{
    uint64_t term = logbook_term_of(log, request->last_index);
    if (term == 0 || term == request->last_term || request->last_index <= commit_index) {
        return 0;
    }
    return request->last_index;
}

uint64_t guard_refusal_term(uint64_t stored_term, const struct raft_request_vote_result *result)
{
    bool refused_pre_vote = result->pre_vote == raft_tribool_true && !result->vote_granted;
    return refused_pre_vote && stored_term >= result->term ? stored_term : result->term;
}

bool guard_stale_refusal(uint64_t match_index, const struct raft_append_entries_result *result)
{
    return result->rejected != 0 && result->rejected <= match_index;
}

uint64_t guard_known_prefix(const struct logbook *log, const struct raft_append_entries *request)
{
    bool behind =
        request->prev_log_index < log->snapshot_index && request->prev_log_index < log->first_index;
    return behind ? log->snapshot_index : 0;
}

bool guard_sole_voter(const struct logbook_configuration *configuration, uint64_t id)
{
    return configuration != NULL && logbook_voter_count(configuration) == 1 &&
           logbook_is_voter(configuration, id);
}

uint64_t guard_withheld(const struct logbook *log, uint64_t commit_index, uint64_t to)
{
    /* From the newest list back to the one that took its vote. A voter of the newest list is needed
     * for the commit, whatever it was in between. */
    for (size_t i = log->configuration_count; i > 1; i--) {
        const struct logbook_configuration *change = &log->configurations[i - 1];
        if (change->index <= commit_index || logbook_is_voter(change, to)) {
            return 0;
        }
        if (logbook_is_voter(change - 1, to)) {
            return change->index;
        }
    }
    return 0;
}

bool guard_votes_too(const struct logbook_configuration *configuration, uint64_t id)
{
    return configuration != NULL && !logbook_is_voter(configuration, id);
}
