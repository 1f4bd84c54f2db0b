/* A peer's message: what stands in front of the library (guards, silence, echo), and the delivery.
 */
#include "consensus/engine.h"

#include "consensus/guard.h"
#include "consensus/raft_internals.h"

#include <string.h>

/* A leader gets no append or snapshot of its own term; the library would take its own state apart.
 */
static bool is_from_rival(const struct consensus *self, uint64_t term)
{
    const struct raft *raft = &self->instance->raft;
    return raft->state == RAFT_LEADER && term == raft_internals_term(raft);
}

/* The leader of `term` spoke: what we may echo to it, and when it was heard. */
static struct heard *hear(struct consensus *self, uint64_t term, uint64_t leader)
{
    struct heard *heard = &self->heard;
    if (heard->term != term || heard->leader != leader) {
        int64_t other = self->config.off.echo_term ? heard->sent_ms : 0; /* of another's clock */
        *heard = (struct heard){.term = term, .leader = leader, .sent_ms = other};
    }
    engine_note_heard(self, heard);
    heard->at_ms = self->now_ms;
    heard->late_ms = 0;
    return heard;
}

/* RG5: truncate on disk by ourselves, then a fresh instance; the message is dropped. */
static void truncate_and_reload(struct consensus *self, uint64_t term, uint64_t index)
{
    struct raft_io *io = &self->instance->io;
    if (term > self->stored_term && io->set_term(io, term) != 0) {
        return;
    }
    if (io->truncate(io, index) == 0) {
        engine_reload(self);
    }
}

/* RG8: only the front is cut, so the request still reaches the leader's end. */
static void cut_known_prefix(const struct logbook *log, struct raft_append_entries *append,
                             const struct consensus_switches *off)
{
    uint64_t index = guard_known_prefix(log, append);
    if (index == 0 || off->known_prefix) {
        return;
    }
    uint64_t drop = index - append->prev_log_index;
    append->prev_log_index = index;
    append->prev_log_term = log->snapshot_term;
    if (drop < append->n_entries) {
        append->prev_log_term = append->entries[drop - 1].term;
        append->n_entries -= (unsigned)drop;
        memmove(append->entries, append->entries + drop,
                append->n_entries * sizeof *append->entries);
    } else if (append->n_entries > 0) {
        raft_free(append->entries[0].batch);
        raft_free(append->entries);
        append->entries = NULL;
        append->n_entries = 0;
    }
}

static bool drop_append(struct consensus *self, struct wire_message *message)
{
    struct raft_append_entries *append = &message->raft.append_entries;
    const struct raft *raft = &self->instance->raft;
    if (is_from_rival(self, append->term)) {
        return true;
    }
    if (append->term < raft_internals_term(raft)) {
        return false; /* the library answers it with our term */
    }
    uint64_t index = guard_truncation(&self->log, raft_internals_commit_index(raft), append);
    if (index != 0 && !self->config.off.truncate_and_reload) {
        truncate_and_reload(self, append->term, index);
        return true;
    }
    struct heard *heard = hear(self, append->term, message->raft.server_id);
    if (message->extra.sent_ms > heard->sent_ms) {
        heard->sent_ms = message->extra.sent_ms;
    }
    heard->lease_ttl_ms = message->extra.lease_ttl_ms;
    heard->heartbeat_ms = message->extra.heartbeat_ms;
    heard->acting = message->extra.acting;
    adaptation_told(&self->adaptation, self->now_ms, message->extra.stall_ms);
    self->context = (struct raft_io_context){.bounded = true, .bound = guard_append_bound(append)};
    cut_known_prefix(&self->log, append, &self->config.off);
    return false;
}

static bool drop_snapshot(struct consensus *self, const struct wire_message *message)
{
    const struct raft_install_snapshot *snapshot = &message->raft.install_snapshot;
    const struct raft *raft = &self->instance->raft;
    if (is_from_rival(self, snapshot->term)) {
        return true;
    }
    if (snapshot->term < raft_internals_term(raft)) {
        return false;
    }
    uint64_t index =
        guard_snapshot_truncation(&self->log, raft_internals_commit_index(raft), snapshot);
    if (index != 0 && !self->config.off.truncate_and_reload) {
        truncate_and_reload(self, snapshot->term, index);
        return true;
    }
    (void)hear(self, snapshot->term, message->raft.server_id);
    self->context = (struct raft_io_context){.bounded = true, .bound = snapshot->last_index};
    return false;
}

/* The library refuses votes for as long as it knows a leader, however silent; once our own silence
 * is over and an election timeout has passed, that leader is forgotten. */
static void forget_silent_leader(struct consensus *self)
{
    struct raft *raft = &self->instance->raft;
    int64_t quiet = self->now_ms - raft_internals_timer_start(raft);
    if (raft_internals_leader(raft) != 0 && quiet >= self->election_timeout_ms) {
        raft_internals_forget_leader(raft);
    }
}

/* A server that was demoted or removed while it was cut off never learns it, and could depose
 * leader after leader with the disrupt flag. Its requests count (our own list may be the old one),
 * but not against a leader that lives. */
static bool may_disrupt(const struct consensus *self, const struct raft_request_vote *request)
{
    const struct logbook_configuration *newest = logbook_newest_configuration(&self->log);
    return request->disrupt_leader && (newest == NULL || self->config.off.voters_disrupt ||
                                       logbook_is_voter(newest, request->candidate_id));
}

static bool drop_vote_request(struct consensus *self, struct raft_request_vote *request)
{
    request->disrupt_leader = may_disrupt(self, request);
    if (!request->disrupt_leader) {
        if (self->now_ms < lease_silent_until(&self->silence, &self->config.off)) {
            self->counters.votes_silenced++;
            return true;
        }
        forget_silent_leader(self);
    }
    if (!self->config.off.vote_guard &&
        guard_second_vote(self->stored_term, self->stored_vote, request)) {
        self->counters.votes_guarded++;
        return true;
    }
    return false;
}

#define REFUSALS_OF_A_LOST_LOG 8

static struct acknowledger *acknowledger_of(struct consensus *self, uint64_t id)
{
    for (size_t i = 0; i < NODES_MAX; i++) {
        if (self->acknowledgers[i].id == id) {
            return &self->acknowledgers[i];
        }
    }
    return NULL;
}

static void note_refusal(struct consensus *self, const struct wire_message *message)
{
    uint64_t id = message->raft.server_id;
    struct acknowledger *server = acknowledger_of(self, id);
    if (server == NULL || message->extra.echo_ms <= server->success_ms) {
        return;
    }
    if (server->refusals == 0) {
        server->since_ms = self->now_ms;
    }
    server->refusals++;
    if (!server->told && server->refusals >= REFUSALS_OF_A_LOST_LOG &&
        self->now_ms >= server->since_ms + 2 * self->config.election_timeout_ms) {
        server->told = true;
        struct consensus_notice notice = {
            .type = CONSENSUS_NOTICE_MEMORY_LOST, .term = self->stored_term, .leader = id};
        engine_notify(self, &notice);
    }
}

static void note_success(struct consensus *self, uint64_t id)
{
    struct acknowledger *server = acknowledger_of(self, id);
    server = server != NULL ? server : acknowledger_of(self, 0);
    if (server != NULL) { /* NULL: of so many servers in one term the last are not watched */
        *server = (struct acknowledger){.id = id, .success_ms = self->now_ms};
    }
}

static bool drop_stale_refusal(struct consensus *self, const struct wire_message *message)
{
    const struct raft *raft = &self->instance->raft;
    const struct raft_append_entries_result *result = &message->raft.append_entries_result;
    const struct raft_configuration *configuration = raft_internals_configuration(raft);
    if (raft->state != RAFT_LEADER || result->term != raft_internals_term(raft) ||
        self->config.off.stale_refusal) {
        return false;
    }
    for (unsigned i = 0; i < configuration->n; i++) {
        if (configuration->servers[i].id == message->raft.server_id &&
            guard_stale_refusal(raft_internals_match_index(raft, i), result)) {
            note_refusal(self, message);
            return true;
        }
    }
    if (result->rejected == 0) {
        note_success(self, message->raft.server_id);
    }
    return false;
}

static void take_answer(struct consensus *self, const struct wire_message *message)
{
    const struct raft_append_entries_result *result = &message->raft.append_entries_result;
    if (self->leadership.term == 0 ||
        (result->term != self->leadership.term && !self->config.off.echo_term)) {
        return;
    }
    bool refuses = message->extra.no_echo != WIRE_ECHOES;
    int64_t echo = result->rejected == 0 && !refuses ? message->extra.echo_ms : 0;
    lease_answer(&self->lease, message->raft.server_id, self->now_ms, echo, refuses);
}

/* TimeoutNow counts only from the leader that this voter follows, in its present term. */
static bool drop_timeout_now(struct consensus *self, const struct wire_message *message)
{
    const struct raft *raft = &self->instance->raft;
    if (raft_internals_leader(raft) != message->raft.server_id ||
        message->raft.timeout_now.term != raft_internals_term(raft)) {
        return true;
    }
    self->candidature = (struct candidature){
        .active = true, .disrupts = true, .cause = message->extra.cause, .stood_ms = self->now_ms};
    if (self->candidature.cause == CONSENSUS_CAUSE_NONE) {
        self->candidature.cause = CONSENSUS_CAUSE_TRANSFER;
    }
    return false;
}

static bool drop(struct consensus *self, struct wire_message *message)
{
    switch (message->raft.type) {
    case RAFT_IO_APPEND_ENTRIES:
        return drop_append(self, message);
    case RAFT_IO_INSTALL_SNAPSHOT:
        return drop_snapshot(self, message);
    case RAFT_IO_REQUEST_VOTE:
        return drop_vote_request(self, &message->raft.request_vote);
    case RAFT_IO_APPEND_ENTRIES_RESULT:
        take_answer(self, message);
        return drop_stale_refusal(self, message);
    case RAFT_IO_TIMEOUT_NOW:
        return drop_timeout_now(self, message);
    default:
        return false;
    }
}

/* RG10: for the length of this message the library takes this server for a voter. Only a follower
 * is no voter, and a vote request changes no configuration. */
static void receive_vote_request(struct consensus *self, struct raft_message *message)
{
    struct raft *raft = &self->instance->raft;
    bool votes_too = raft->state == RAFT_FOLLOWER && !self->config.off.vote_of_non_voter &&
                     guard_votes_too(logbook_newest_configuration(&self->log), self->config.id);
    int role = votes_too ? raft_internals_swap_role(raft, RAFT_VOTER) : -1;
    self->receive(&self->instance->io, message);
    if (role >= 0) {
        (void)raft_internals_swap_role(raft, role);
    }
}

void consensus_receive(struct consensus *self, int64_t now_ms, uint64_t from, const uint8_t *bytes,
                       size_t length)
{
    if (engine_is_fatal(self)) {
        return;
    }
    engine_now(self, now_ms);
    self->counters.received++;
    struct wire_message message;
    if (from == 0 || from == self->config.id ||
        wire_raft_decode(bytes, length, from, &message, NULL) != 0) {
        self->counters.malformed++;
        return;
    }
    if (drop(self, &message)) {
        wire_raft_message_deinit(&message);
    } else if (message.raft.type == RAFT_IO_REQUEST_VOTE) {
        receive_vote_request(self, &message.raft);
    } else {
        self->receive(&self->instance->io, &message.raft); /* takes the message's memory */
    }
    engine_settle(self);
}
