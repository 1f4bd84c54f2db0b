#include "consensus/engine.h"

#include "consensus/raft_internals.h"
#include "node/base/invariant.h"

#include <stdlib.h>
#include <string.h>

/* ---- notices ---- */

static bool grow_notices(struct consensus *self)
{
    size_t capacity = self->notice_capacity == 0 ? 64 : self->notice_capacity * 2;
    struct consensus_notice *grown = calloc(capacity, sizeof *grown);
    if (grown == NULL) {
        return false;
    }
    for (size_t i = 0; i < self->notice_count; i++) {
        grown[i] = self->notices[(self->notice_head + i) % self->notice_capacity];
    }
    free(self->notices);
    self->notices = grown;
    self->notice_capacity = capacity;
    self->notice_head = 0;
    return true;
}

/* Bounded by what one event can cause, for the shell drains after each: all waiting proposals and a
 * few transitions. */
void engine_notify(struct consensus *self, const struct consensus_notice *notice)
{
    if (self->notice_count == self->notice_capacity && !grow_notices(self)) {
        engine_fatal(self, "no memory for a notice");
        return;
    }
    self->notices[(self->notice_head + self->notice_count) % self->notice_capacity] = *notice;
    self->notice_count++;
}

bool consensus_notice_next(struct consensus *self, struct consensus_notice *ret)
{
    if (self->notice_count == 0) {
        return false;
    }
    *ret = self->notices[self->notice_head];
    self->notice_head = (self->notice_head + 1) % self->notice_capacity;
    self->notice_count--;
    return true;
}

void consensus_counters(const struct consensus *self, struct consensus_counters *ret)
{
    *ret = self->counters;
}

/* ---- the right to act ---- */

int64_t consensus_may_act_until_ms(const struct consensus *self, int64_t now_ms)
{
    if (engine_is_fatal(self)) {
        return 0;
    }
    if (self->leadership.term == 0) {
        return self->acting_after_step_down_ms > now_ms ? self->acting_after_step_down_ms : 0;
    }
    if (!engine_may_act_but_for_lease(self, now_ms)) {
        return 0;
    }
    if (self->config.off.lease_check) {
        return now_ms + self->config.lease_ttl_ms;
    }
    return self->leadership.lease_end_ms > now_ms ? self->leadership.lease_end_ms : 0;
}

/* ---- view ---- */

static enum consensus_state state_of(const struct raft *raft)
{
    switch (raft->state) {
    case RAFT_LEADER:
        return CONSENSUS_LEADER;
    case RAFT_CANDIDATE:
        return CONSENSUS_CANDIDATE;
    default:
        return CONSENSUS_FOLLOWER;
    }
}

static void view_leadership(const struct consensus *self, int64_t now_ms,
                            struct consensus_view *ret)
{
    const struct leadership *leadership = &self->leadership;
    const struct candidature *candidature = &self->candidature;
    ret->acting = consensus_may_act_until_ms(self, now_ms) > 0;
    ret->cause = candidature->active ? candidature->cause : CONSENSUS_CAUSE_NONE;
    ret->proof = candidature->proof;
    ret->first_sign_ms = candidature->first_sign_ms;
    ret->detected_ms = candidature->stood_ms;
    int64_t silent = lease_silent_until(&self->silence, &self->config.off);
    ret->silent_until_ms = silent > now_ms ? silent : 0;
    if (leadership->term == 0) {
        ret->leader_acting = ret->leader != 0 && self->heard.acting;
        ret->leader_told_ms = ret->leader != 0 ? self->heard.at_ms : 0;
        return;
    }
    ret->leader = self->config.id;
    ret->ready = leadership->ready;
    ret->handing_over = self->hand_over.active;
    ret->owes_wait = now_ms < leadership->wait_until_ms;
    ret->lease_end_ms = self->hand_over.active ? 0 : leadership->lease_end_ms;
    ret->wait_until_ms = leadership->wait_until_ms;
    ret->elected_ms = leadership->elected_ms;
    ret->ready_ms = leadership->ready_ms;
    ret->acting_ms = leadership->acting_ms;
}

static void view_servers(const struct consensus *self, int64_t now_ms, struct consensus_view *ret)
{
    const struct raft *raft = &self->instance->raft;
    const struct raft_configuration *configuration = raft_internals_configuration(raft);
    ret->server_count = configuration->n < NODES_MAX ? configuration->n : NODES_MAX;
    for (unsigned i = 0; i < ret->server_count; i++) {
        const struct raft_server *server = &configuration->servers[i];
        const struct lease_echo *echo =
            self->leadership.term == 0 ? NULL : lease_find(&self->lease, server->id);
        ret->servers[i] =
            (struct consensus_server){.id = server->id, .role = wire_role_of_raft(server->role)};
        ret->match_index[i] = raft_internals_match_index(raft, i);
        ret->last_contact_ms[i] =
            echo == NULL || echo->contact_ms == 0 ? -1 : now_ms - echo->contact_ms;
        ret->no_echo[i] = echo != NULL && echo->refuses;
    }
}

void consensus_view(const struct consensus *self, int64_t now_ms, struct consensus_view *ret)
{
    *ret = (struct consensus_view){.term = self->stored_term};
    if (self->instance == NULL) {
        return; /* fatal in the middle of a reload */
    }
    const struct raft *raft = &self->instance->raft;
    uint64_t applied = raft_internals_applied_index(raft);
    ret->state = state_of(raft);
    ret->election_timeout_ms = self->election_timeout_ms;
    ret->leader = engine_leader(self);
    ret->applied_index = applied > self->machine_index ? applied : self->machine_index;
    /* A fresh instance (RG5) learns anew what is committed; the machine has not forgotten. */
    uint64_t committed = raft_internals_commit_index(raft);
    ret->commit_index = committed > ret->applied_index ? committed : ret->applied_index;
    ret->last_index = logbook_last_index(&self->log);
    ret->snapshot_index = self->log.snapshot_index;
    ret->configuration_index = raft_internals_configuration_index(raft);
    ret->configuration_changing = self->change_busy || raft_internals_promoting(raft) ||
                                  raft_internals_uncommitted_index(raft) != 0 ||
                                  ret->configuration_index > ret->commit_index;
    view_leadership(self, now_ms, ret);
    view_servers(self, now_ms, ret);
}
