/* When the library's election timer runs out. The library draws 1 to 2 election timeouts each time
 * it resets the timer; that is right for a cluster of strangers and slow for ours. What is shaped:
 *
 *   A follower waits one election timeout, plus a moment in which the other voters' silence ends
 *   too, plus a step for its rank among the voters but the silent leader, plus jitter within a part
 *   of the step: votes do not split, and a dead leader is not waited for twice as long.
 *   A founder whose storage was pristine has nobody to wait for: moment, rank and jitter only.
 *   A candidate asks again after one half to one heartbeat by pre-votes, after one or two by real
 *   votes; that doubles each round, up to the library's own draw.
 *
 * Never before our own silence is over, unless the candidature carries the disrupt flag.
 *
 * A candidature that lost ROUNDS_MAX rounds of real votes ends: the library would raise its term
 * for ever, without asking by pre-votes, and a voter that was made spare without hearing of it
 * loses every round, as no leader talks to it. It goes on as after a restart, as a follower. */
#include "consensus/engine.h"

#include "consensus/raft_internals.h"

/* Position among the voters who may stand, moved on by one each term, so that no bad node is first
 * for ever. */
static int64_t rank_in_term(const struct consensus *self)
{
    const struct logbook_configuration *newest = logbook_newest_configuration(&self->log);
    uint64_t silent_leader = raft_internals_leader(&self->instance->raft);
    size_t voters = 0;
    size_t before = 0;
    for (size_t i = 0; newest != NULL && i < newest->server_count; i++) {
        const struct consensus_server *server = &newest->servers[i];
        if (server->role == CONSENSUS_VOTER && server->id != silent_leader) {
            voters++;
            before += server->id < self->config.id ? 1u : 0u;
        }
    }
    return voters == 0 ? 0 : (int64_t)((before + self->stored_term) % voters);
}

/* Rank and jitter: who goes first, and never two at once. The first goes a moment late: what one
 * voter heard last, another may have heard a little later, and it is silent for as much longer. */
static int64_t spread(struct consensus *self)
{
    int64_t rank = rank_in_term(self);
    int64_t step = self->config.heartbeat_ms;
    int64_t wanted = step / 8 + rank * step + rng_between(&self->rng, 0, step / 4);
    return wanted < self->election_timeout_ms ? wanted : self->election_timeout_ms;
}

static int64_t follower_wait(struct consensus *self)
{
    if (self->pristine && !self->heard_leader && self->stored_term <= 1) {
        return self->config.heartbeat_ms + spread(self);
    }
    return self->election_timeout_ms + spread(self);
}

#define ROUNDS_MAX 5

static int64_t candidate_wait(struct consensus *self, const struct raft *raft)
{
    int64_t step = self->config.heartbeat_ms;
    int64_t wait = step / 2 + rng_between(&self->rng, 0, step - step / 2);
    if (!raft_internals_in_pre_vote(raft)) {
        wait = step + rng_between(&self->rng, 0, step);
        wait <<= self->lost_rounds < 3 ? self->lost_rounds : 3;
        self->lost_rounds++;
    }
    if (self->lost_rounds > ROUNDS_MAX && !self->config.off.rounds_limit) {
        self->lost_rounds = 0;
        self->reload_wanted = true;
    }
    int64_t drawn = raft_internals_timer_length(raft);
    return wait < drawn ? wait : drawn;
}

void engine_shape_timer(struct consensus *self)
{
    struct raft *raft = &self->instance->raft;
    if (!raft_internals_has_timer(raft) || !engine_is_voter(self)) {
        return;
    }
    bool candidate = raft->state == RAFT_CANDIDATE;
    int64_t wait = candidate ? candidate_wait(self, raft) : follower_wait(self);
    int64_t silent =
        lease_silent_until(&self->silence, &self->config.off) - raft_internals_timer_start(raft);
    if (wait < silent && !self->candidature.disrupts) {
        wait = silent + spread(self);
    }
    raft_internals_set_timer_length(raft, wait);
}

int64_t engine_timer_expiry(const struct consensus *self)
{
    const struct raft *raft = &self->instance->raft;
    if (!raft_internals_has_timer(raft) || !engine_is_voter(self)) {
        return INT64_MAX;
    }
    return raft_internals_timer_start(raft) + raft_internals_timer_length(raft);
}
