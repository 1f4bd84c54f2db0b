#include "consensus/raft_internals.h"

#include "node/base/invariant.h"

uint64_t raft_internals_term(const struct raft *raft)
{
    return raft->current_term;
}

uint64_t raft_internals_commit_index(const struct raft *raft)
{
    return raft->commit_index;
}

uint64_t raft_internals_applied_index(const struct raft *raft)
{
    return raft->last_applied;
}

uint64_t raft_internals_configuration_index(const struct raft *raft)
{
    return raft->configuration_index;
}

uint64_t raft_internals_uncommitted_index(const struct raft *raft)
{
    return raft->configuration_uncommitted_index;
}

bool raft_internals_promoting(const struct raft *raft)
{
    return raft->state == RAFT_LEADER && raft->leader_state.promotee_id != 0;
}

const struct raft_configuration *raft_internals_configuration(const struct raft *raft)
{
    return &raft->configuration;
}

void raft_internals_drop_configuration(struct raft *raft)
{
    raft->configuration.servers = NULL;
    raft->configuration.n = 0;
}

uint64_t raft_internals_leader(const struct raft *raft)
{
    return raft->state == RAFT_FOLLOWER ? raft->follower_state.current_leader.id : 0;
}

void raft_internals_forget_leader(struct raft *raft)
{
    invariant(raft->state == RAFT_FOLLOWER);
    raft_free(raft->follower_state.current_leader.address);
    raft->follower_state.current_leader.address = NULL;
    raft->follower_state.current_leader.id = 0;
}

int raft_internals_swap_role(struct raft *raft, int role)
{
    for (unsigned i = 0; i < raft->configuration.n; i++) {
        struct raft_server *server = &raft->configuration.servers[i];
        if (server->id == raft->id) {
            int before = server->role;
            server->role = role;
            return before;
        }
    }
    return -1;
}

uint64_t raft_internals_match_index(const struct raft *raft, unsigned i)
{
    invariant(i < raft->configuration.n);
    return raft->state == RAFT_LEADER ? raft->leader_state.progress[i].match_index : 0;
}

int64_t raft_internals_oldest_send(const struct raft *raft)
{
    invariant(raft->state == RAFT_LEADER);
    int64_t oldest = INT64_MAX;
    for (unsigned i = 0; i < raft->configuration.n; i++) {
        const struct raft_server *server = &raft->configuration.servers[i];
        bool gets_none = server->id == raft->id || server->role == RAFT_SPARE;
        int64_t sent = (int64_t)raft->leader_state.progress[i].last_send;
        oldest = !gets_none && sent < oldest ? sent : oldest;
    }
    return oldest;
}

void raft_internals_probe_at_once(struct raft *raft)
{
    invariant(raft->state == RAFT_LEADER);
    for (unsigned i = 0; i < raft->configuration.n; i++) {
        raft->leader_state.progress[i].last_send = 0;
    }
}

void raft_internals_set_term(struct raft *raft, uint64_t term, uint64_t vote)
{
    invariant(term >= raft->current_term);
    raft->current_term = term;
    raft->voted_for = vote;
}

void raft_internals_drop_transfer(struct raft *raft)
{
    raft->transfer = NULL;
}

bool raft_internals_has_timer(const struct raft *raft)
{
    return raft->state == RAFT_FOLLOWER || raft->state == RAFT_CANDIDATE;
}

int64_t raft_internals_timer_start(const struct raft *raft)
{
    return (int64_t)raft->election_timer_start;
}

int64_t raft_internals_timer_length(const struct raft *raft)
{
    invariant(raft_internals_has_timer(raft));
    return raft->state == RAFT_FOLLOWER ? raft->follower_state.randomized_election_timeout
                                        : raft->candidate_state.randomized_election_timeout;
}

void raft_internals_set_timer_length(struct raft *raft, int64_t length_ms)
{
    invariant(raft_internals_has_timer(raft));
    invariant(length_ms >= 0);
    unsigned length = length_ms > (int64_t)INT32_MAX ? (unsigned)INT32_MAX : (unsigned)length_ms;
    if (raft->state == RAFT_FOLLOWER) {
        raft->follower_state.randomized_election_timeout = length;
    } else {
        raft->candidate_state.randomized_election_timeout = length;
    }
}

bool raft_internals_in_pre_vote(const struct raft *raft)
{
    return raft->state == RAFT_CANDIDATE && raft->candidate_state.in_pre_vote;
}
