/* What follows each event: completions until none is left, what changed, the barrier, the next
 * submissions; again until nothing moves. */
#include "consensus/engine.h"

#include "consensus/guard.h"
#include "consensus/raft_internals.h"
#include "node/base/invariant.h"

#include <inttypes.h>
#include <string.h>

/* ---- stepping down and up ---- */

/* The lease ends in this very step, whatever the reason. */
static void step_down(struct consensus *self)
{
    struct leadership *was = &self->leadership;
    if (self->config.off.lease_ends_at_step_down && !self->hand_over.active) {
        self->acting_after_step_down_ms = was->acting_ms > 0 ? was->lease_end_ms : 0;
    }
    /* Our own vote is under silence until the managers have ended or the lease would have. */
    if (!self->hand_over.managers_ended && was->lease_end_ms > self->silence.managers_until_ms) {
        self->silence.managers_until_ms = was->lease_end_ms;
    }
    struct consensus_notice notice = {.type = CONSENSUS_NOTICE_STEPPED_DOWN,
                                      .term = was->term,
                                      .leader = self->config.id,
                                      .cause = self->candidature.cause};
    *was = (struct leadership){0};
    self->candidature = (struct candidature){0};
    self->hand_over = (struct hand_over){0};
    if (!self->config.off.echo_term) {
        lease_clear(&self->lease);
    }
    engine_drop_proposals(self, ERR_NOTLEADER);
    engine_notify(self, &notice);
}

static bool owes_wait(const struct consensus *self, uint64_t term)
{
    const struct candidature *candidature = &self->candidature;
    if (!candidature->on_evidence || candidature->proof || self->config.off.evidence_wait) {
        return false;
    }
    return !self->config.off.evidence_wait_inherits || term == candidature->against_term + 1;
}

static void step_up(struct consensus *self, uint64_t term)
{
    struct candidature *candidature = &self->candidature;
    if (!candidature->active) {
        *candidature = (struct candidature){.active = true,
                                            .cause = self->heard_leader ? CONSENSUS_CAUSE_TIMEOUT
                                                                        : CONSENSUS_CAUSE_START,
                                            .stood_ms = self->now_ms};
    }
    self->leadership = (struct leadership){
        .term = term,
        .elected_ms = self->now_ms,
        .wait_until_ms = owes_wait(self, term) ? self->now_ms + candidature->wait_ms : 0};
    self->hand_over = (struct hand_over){0};
    memset(self->acknowledgers, 0, sizeof self->acknowledgers);
    memset(self->told, 0, sizeof self->told);
    self->tell_at_ms = 0;
    self->acting_after_step_down_ms = 0;
    if (!self->config.off.echo_term) {
        lease_clear(&self->lease);
    }
    if (self->transfer_busy) {
        /* The library still waits for a transfer of an earlier term and would refuse a barrier. */
        raft_internals_drop_transfer(&self->instance->raft);
        self->transfer_busy = false;
    }
    self->heard_leader = true;
    self->lost_rounds = 0;
    self->counters.elections_won++;
    struct consensus_notice notice = {.type = CONSENSUS_NOTICE_ELECTED,
                                      .term = term,
                                      .leader = self->config.id,
                                      .cause = candidature->cause};
    engine_notify(self, &notice);
}

static void begin_candidature(struct consensus *self)
{
    self->counters.elections_stood++;
    self->candidature = (struct candidature){.active = true,
                                             .cause = self->heard_leader ? CONSENSUS_CAUSE_TIMEOUT
                                                                         : CONSENSUS_CAUSE_START,
                                             .first_sign_ms = self->heard.at_ms,
                                             .stood_ms = self->now_ms};
}

uint64_t engine_leader(const struct consensus *self)
{
    const struct raft *raft = &self->instance->raft;
    uint64_t leader = raft_internals_leader(raft);
    bool spoke = self->heard.leader == leader && self->heard.term == raft_internals_term(raft);
    return spoke ? leader : 0;
}

static void notice_leader(struct consensus *self)
{
    uint64_t leader = engine_leader(self);
    uint64_t term = raft_internals_term(&self->instance->raft);
    if (leader == 0 || (leader == self->noticed_leader && term == self->noticed_term)) {
        return;
    }
    self->noticed_leader = leader;
    self->noticed_term = term;
    self->heard_leader = true;
    self->lost_rounds = 0;
    self->timer_drawn = true; /* the library keeps the length of a time without this leader */
    struct consensus_notice notice = {
        .type = CONSENSUS_NOTICE_NEW_LEADER, .term = term, .leader = leader};
    engine_notify(self, &notice);
}

static void observe_state(struct consensus *self)
{
    const struct raft *raft = &self->instance->raft;
    uint64_t term = raft_internals_term(raft);
    bool leads = raft->state == RAFT_LEADER;
    if (self->leadership.term != 0 && (!leads || self->leadership.term != term)) {
        step_down(self);
    }
    switch (raft->state) {
    case RAFT_LEADER:
        if (self->leadership.term == 0) {
            step_up(self, term);
        }
        break;
    case RAFT_CANDIDATE:
        if (!self->candidature.active) {
            begin_candidature(self);
        }
        break;
    case RAFT_FOLLOWER:
        /* Whoever follows has heard of a term that it did not raise, or of a leader. */
        self->candidature = (struct candidature){0};
        notice_leader(self);
        break;
    default:
        engine_fatal(self, "libraft is unavailable: %s", raft->errmsg);
        break;
    }
}

/* ---- the lease ---- */

bool engine_may_act_but_for_lease(const struct consensus *self, int64_t now_ms)
{
    return self->leadership.term != 0 && self->leadership.ready && !self->hand_over.active &&
           now_ms >= self->leadership.wait_until_ms;
}

static void watch_configuration(struct consensus *self)
{
    const struct logbook_configuration *newest = logbook_newest_configuration(&self->log);
    if (newest != NULL && newest->index != self->leadership.configuration_index) {
        self->leadership.configuration_index = newest->index;
        self->leadership.configuration_ms = self->now_ms;
    }
}

/* An end that was granted stays good when the configuration changes: consensus_change begins no
 * change before a majority has echoed in the last one, so the majorities of all changes within a
 * lease's life are adjacent. */
static void renew_lease(struct consensus *self)
{
    struct leadership *leadership = &self->leadership;
    if (leadership->term == 0) {
        return;
    }
    watch_configuration(self);
    int64_t before_ms = leadership->quorum_ms;
    leadership->quorum_ms =
        lease_quorum_ms(&self->lease, &self->log, self->config.id, self->now_ms);
    engine_note_quorum(self, before_ms);
    if (leadership->quorum_ms > 0 && !self->hand_over.active) {
        int64_t end = leadership->quorum_ms + self->config.lease_ttl_ms;
        leadership->lease_end_ms = end > leadership->lease_end_ms ? end : leadership->lease_end_ms;
    }
    if (leadership->acting_ms == 0 && consensus_may_act_until_ms(self, self->now_ms) > 0) {
        leadership->acting_ms = self->now_ms;
    }
}

static void observe(struct consensus *self)
{
    const struct raft *raft = &self->instance->raft;
    logbook_committed(&self->log, raft_internals_commit_index(raft));
    observe_state(self);
    if (engine_is_fatal(self)) {
        return;
    }
    renew_lease(self);
    engine_adapt(self);
    if (self->timer_drawn) {
        self->timer_drawn = false;
        engine_shape_timer(self);
    }
}

/* A snapshot that was installed over a log with an uncommitted configuration: the library would go
 * on waiting for that change and roll back to an entry that is gone. A reload is just a restart. */
static bool reload_is_due(struct consensus *self)
{
    bool installed = self->snapshot_installed;
    self->snapshot_installed = false;
    bool stuck = installed && !self->config.off.truncate_and_reload &&
                 raft_internals_uncommitted_index(&self->instance->raft) != 0;
    bool due = stuck || self->reload_wanted;
    self->reload_wanted = false;
    return due;
}

void engine_settle(struct consensus *self)
{
    bool moved = true;
    while (moved && !engine_is_fatal(self)) {
        raft_io_flush(self);
        if (engine_is_fatal(self)) {
            return;
        }
        raft_io_complete(self);
        self->context = (struct raft_io_context){0};
        if (engine_is_fatal(self)) {
            return;
        }
        if (reload_is_due(self)) {
            engine_reload(self);
            continue;
        }
        observe(self);
        moved = !engine_is_fatal(self) &&
                (engine_submit_barrier(self) || engine_submit_transfer(self) ||
                 engine_submit_proposals(self));
    }
    if (!engine_is_fatal(self)) {
        engine_tell_commit(self);
    }
    raft_io_flush(self);
}
