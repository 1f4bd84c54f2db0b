/* Leadership changes hands: on purpose, or because the leader is gone. */
#include "consensus/engine.h"

#include "consensus/guard.h"
#include "consensus/raft_internals.h"

#include <inttypes.h>

/* ---- hand-over ---- */

static bool answered_lately(const struct consensus *self, const struct lease_echo *echo)
{
    return echo != NULL && echo->contact_ms > 0 &&
           self->now_ms - echo->contact_ms <= self->election_timeout_ms;
}

/* The library chooses by what it has sent; the best is who answers and has stored most. */
static uint64_t best_successor(const struct consensus *self)
{
    const struct raft *raft = &self->instance->raft;
    const struct raft_configuration *configuration = raft_internals_configuration(raft);
    uint64_t best = 0;
    uint64_t best_match = 0;
    bool best_answers = false;
    for (unsigned i = 0; i < configuration->n; i++) {
        const struct raft_server *server = &configuration->servers[i];
        if (server->id == self->config.id || server->role != RAFT_VOTER) {
            continue;
        }
        bool answers = answered_lately(self, lease_find(&self->lease, server->id));
        uint64_t match = raft_internals_match_index(raft, i);
        if (best == 0 || (answers && !best_answers) ||
            (answers == best_answers && match > best_match)) {
            best = server->id;
            best_match = match;
            best_answers = answers;
        }
    }
    return best;
}

static void transfer_done(struct raft_transfer *request)
{
    struct consensus *self = request->data;
    self->transfer_busy = false;
}

static void try_transfer(struct consensus *self)
{
    struct hand_over *hand_over = &self->hand_over;
    /* A target that failed twice is not asked again. */
    uint64_t target =
        hand_over->target != 0 && hand_over->tries < 2 ? hand_over->target : best_successor(self);
    hand_over->tries++;
    hand_over->next_try_ms = self->now_ms + self->config.heartbeat_ms;
    if (target == 0) {
        return;
    }
    self->transfer = (struct raft_transfer){.data = self};
    self->transfer_busy = true;
    if (raft_transfer(&self->instance->raft, &self->transfer, target, transfer_done) != 0) {
        self->transfer_busy = false; /* no voter any more: tried again, with another */
    }
}

bool engine_submit_transfer(struct consensus *self)
{
    struct hand_over *hand_over = &self->hand_over;
    bool managers_ended = hand_over->managers_ended || self->config.off.managers_before_transfer;
    if (!hand_over->active || !managers_ended || self->transfer_busy ||
        self->leadership.term == 0) {
        return false;
    }
    if (hand_over->tries > 0 && self->config.off.transfer_is_final) {
        *hand_over = (struct hand_over){0};
        return false;
    }
    if (self->now_ms < hand_over->next_try_ms) {
        return false;
    }
    if (hand_over->tries == ENGINE_TRANSFER_TRIES_MAX) {
        /* Never to act again in this term, it must not stay leader for ever either: a reload makes
         * a follower, and the voters elect. */
        self->reload_wanted = true;
        return true;
    }
    try_transfer(self);
    return true;
}

static int check_target(const struct consensus *self, uint64_t target, struct err *err)
{
    const struct logbook_configuration *newest = logbook_newest_configuration(&self->log);
    if (target == 0) {
        return best_successor(self) != 0
                   ? 0
                   : err_set(err, ERR_NOTFOUND, "there is no other voter to hand over to");
    }
    if (target == self->config.id || newest == NULL || !logbook_is_voter(newest, target)) {
        return err_set(err, ERR_NOTFOUND, "server %" PRIu64 " is no other voter", target);
    }
    return 0;
}

int consensus_hand_over(struct consensus *self, int64_t now_ms, uint64_t target,
                        enum consensus_cause cause, struct err *err)
{
    if (engine_is_fatal(self)) {
        return err_set(err, ERR_CLOSED, "consensus has ended: %s", self->fatal);
    }
    engine_now(self, now_ms);
    if (self->leadership.term == 0) {
        return err_set(err, ERR_NOTLEADER, "this node does not lead");
    }
    if (self->hand_over.active || self->transfer_busy || !self->leadership.ready) {
        return err_set(err, ERR_BUSY, "a hand-over is under way, or the term has just begun");
    }
    if (self->now_ms < self->leadership.wait_until_ms && !self->config.off.no_transfer_in_wait) {
        return err_set(err, ERR_UNSAFE, "still owes a wait of %" PRId64 " ms",
                       self->leadership.wait_until_ms - self->now_ms);
    }
    int rc = check_target(self, target, err);
    if (rc != 0) {
        return rc;
    }
    self->hand_over = (struct hand_over){.active = true, .target = target, .cause = cause};
    engine_settle(self);
    return 0;
}

void consensus_managers_ended(struct consensus *self, int64_t now_ms)
{
    if (engine_is_fatal(self)) {
        return;
    }
    engine_now(self, now_ms);
    self->silence.managers_until_ms = 0;
    self->acting_after_step_down_ms = 0;
    self->hand_over.managers_ended = self->hand_over.active;
    engine_settle(self);
}

/* ---- standing ---- */

static void stand_now(struct consensus *self, uint64_t leader)
{
    if (!self->config.off.sole_voter &&
        guard_sole_voter(logbook_newest_configuration(&self->log), self->config.id)) {
        engine_raise_term(self);
    }
    char address[WIRE_ADDRESS_SIZE];
    wire_raft_address(leader, address);
    /* The library's own path for a wanted election: its votes carry the disrupt flag. */
    struct raft_message message = {
        .type = RAFT_IO_TIMEOUT_NOW, .server_id = leader, .server_address = address};
    message.timeout_now.term = self->stored_term;
    message.timeout_now.last_log_index = logbook_last_index(&self->log);
    message.timeout_now.last_log_term = logbook_last_term(&self->log);
    self->receive(&self->instance->io, &message);
}

int consensus_stand(struct consensus *self, int64_t now_ms, uint64_t leader, uint64_t term,
                    bool proof, int64_t first_sign_ms, struct err *err)
{
    if (engine_is_fatal(self)) {
        return err_set(err, ERR_CLOSED, "consensus has ended: %s", self->fatal);
    }
    const struct raft *raft = &self->instance->raft;
    if (leader == 0 || raft_internals_leader(raft) != leader || raft_internals_term(raft) != term ||
        !engine_is_voter(self)) {
        return err_set(err, ERR_STALE,
                       "this node does not follow server %" PRIu64 " in term %" PRIu64
                       " as a voter",
                       leader, term);
    }
    engine_now(self, now_ms);
    /* Nodes may be configured differently: the lease to wait out is the dead leader's. */
    int64_t lease_ttl = self->config.lease_ttl_ms;
    if (self->heard.leader == leader && self->heard.lease_ttl_ms > lease_ttl) {
        lease_ttl = self->heard.lease_ttl_ms;
    }
    self->counters.elections_stood++;
    self->candidature = (struct candidature){
        .active = true,
        .disrupts = true,
        .on_evidence = true,
        .proof = proof,
        .against_leader = leader,
        .against_term = term,
        .wait_ms = lease_stretch(lease_ttl, self->config.off.stretch),
        .cause = proof ? CONSENSUS_CAUSE_OBITUARY : CONSENSUS_CAUSE_CRASH_EVIDENCE,
        .first_sign_ms = first_sign_ms,
        .stood_ms = self->now_ms};
    stand_now(self, leader);
    engine_settle(self);
    if (!self->candidature.on_evidence) {
        return err_set(err, ERR_STALE, "the library did not stand");
    }
    return 0;
}

void consensus_proof(struct consensus *self, int64_t now_ms, uint64_t leader, uint64_t term)
{
    struct candidature *candidature = &self->candidature;
    if (engine_is_fatal(self) || !candidature->on_evidence ||
        candidature->against_leader != leader || candidature->against_term != term) {
        return;
    }
    engine_now(self, now_ms);
    candidature->proof = true;
    self->leadership.wait_until_ms = 0;
    engine_settle(self);
}
