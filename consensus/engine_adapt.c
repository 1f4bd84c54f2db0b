/* Time as the engine sees it, and the election timeout that follows what is seen. */
#include "consensus/engine.h"

#include "consensus/raft_internals.h"

/* How long this node itself was late for what was due: no fault of the leader or the voters. */
static int64_t own_delay(const struct consensus *self, int64_t now_ms)
{
    int64_t due_ms = consensus_deadline_ms(self);
    due_ms = due_ms > self->now_ms ? due_ms : self->now_ms;
    return now_ms > due_ms ? now_ms - due_ms : 0;
}

void engine_now(struct consensus *self, int64_t now_ms)
{
    if (now_ms > self->now_ms) {
        int64_t delay = own_delay(self, now_ms);
        self->heard.late_ms += delay;
        self->leadership.late_ms += delay;
        self->now_ms = now_ms;
    }
}

void engine_note_heard(struct consensus *self, const struct heard *heard)
{
    /* Who does not vote may be left alone for as long as the leader likes. */
    if (heard->at_ms != 0 && engine_is_voter(self)) {
        adaptation_gap(&self->adaptation, self->now_ms,
                       self->now_ms - heard->at_ms - heard->late_ms);
    }
}

void engine_note_quorum(struct consensus *self, int64_t before_ms)
{
    struct leadership *leadership = &self->leadership;
    if (before_ms > 0 && leadership->quorum_ms > before_ms) {
        adaptation_gap(&self->adaptation, self->now_ms,
                       self->now_ms - before_ms - leadership->late_ms);
        leadership->late_ms = 0;
    }
}

void engine_adapt(struct consensus *self)
{
    int64_t adapted = adaptation_timeout_ms(&self->adaptation, self->now_ms);
    int64_t timeout = adapted > self->asked_timeout_ms ? adapted : self->asked_timeout_ms;
    if (timeout != self->election_timeout_ms) {
        self->election_timeout_ms = timeout;
        raft_set_election_timeout(&self->instance->raft, (unsigned)timeout);
        self->timer_drawn |= raft_state(&self->instance->raft) == RAFT_FOLLOWER;
    }
}

void consensus_note_stall(struct consensus *self, int64_t now_ms, int64_t stall_ms)
{
    if (engine_is_fatal(self)) {
        return;
    }
    engine_now(self, now_ms);
    adaptation_stall(&self->adaptation, self->now_ms, stall_ms);
    engine_settle(self);
}

void consensus_set_election_timeout(struct consensus *self, int64_t now_ms, int64_t timeout_ms)
{
    if (engine_is_fatal(self)) {
        return;
    }
    engine_now(self, now_ms);
    int64_t low = self->config.election_timeout_ms;
    self->asked_timeout_ms =
        timeout_ms < low ? low : (timeout_ms > 10 * low ? 10 * low : timeout_ms);
    engine_settle(self);
}
