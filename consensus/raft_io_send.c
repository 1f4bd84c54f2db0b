/* What the library says to others: made true (RG3, RG6), with our envelope around it. */
#include "consensus/guard.h"
#include "consensus/raft_internals.h"
#include "consensus/raft_io_parts.h"

#include <inttypes.h>
#include <stdio.h>

static void tell_no_echo(struct consensus *self)
{
    struct heard *heard = &self->heard;
    if (heard->told_no_echo) {
        return;
    }
    heard->told_no_echo = true;
    struct consensus_notice notice = {
        .type = CONSENSUS_NOTICE_NO_ECHO, .term = heard->term, .leader = heard->leader};
    (void)snprintf(notice.text, sizeof notice.text,
                   "own silence of %" PRId64 " ms is shorter than 1.05 times the leader's lease of "
                   "%" PRId64 " ms and its heartbeat of %" PRId64 " ms",
                   self->config.election_timeout_ms, heard->lease_ttl_ms, heard->heartbeat_ms);
    engine_notify(self, &notice);
}

/* Echo only to the leader of this very term, and only what it sent in it. In a refusal the time
 * promises nothing: it says how new the append is that this log cannot take. */
static void add_echo(struct consensus *self, const struct raft_message *message,
                     struct wire_extra *extra)
{
    const struct raft_append_entries_result *result = &message->append_entries_result;
    const struct heard *heard = &self->heard;
    bool same_term = self->config.off.echo_term || heard->term == result->term;
    if (!same_term || heard->leader != message->server_id || heard->sent_ms == 0) {
        return;
    }
    if (result->rejected != 0) {
        extra->echo_ms = heard->sent_ms;
        return;
    }
    if (!lease_may_echo(self->config.election_timeout_ms, heard->lease_ttl_ms, heard->heartbeat_ms,
                        self->config.off.stretch)) {
        extra->no_echo = WIRE_NO_ECHO_SILENCE_TOO_SHORT;
        tell_no_echo(self);
        return;
    }
    extra->echo_ms = heard->sent_ms;
    int64_t until = self->now_ms + self->election_timeout_ms;
    if (until > self->silence.echo_until_ms) {
        self->silence.echo_until_ms = until;
    }
}

/* RG3 and RG6: what the library says, made true. */
static void mend_result(struct consensus *self, struct raft_message *message)
{
    if (message->type == RAFT_IO_APPEND_ENTRIES_RESULT &&
        message->append_entries_result.rejected == 0 && self->context.bounded &&
        !self->config.off.acknowledgement_bound) {
        uint64_t last = message->append_entries_result.last_log_index;
        message->append_entries_result.last_log_index =
            guard_acknowledgement(last, self->context.bound);
        self->counters.acknowledgements_bounded += last > self->context.bound ? 1u : 0u;
    }
    if (message->type == RAFT_IO_REQUEST_VOTE_RESULT && !self->config.off.honest_refusal) {
        uint64_t term = message->request_vote_result.term;
        message->request_vote_result.term =
            guard_refusal_term(self->stored_term, &message->request_vote_result);
        self->counters.refusals_mended += message->request_vote_result.term != term ? 1u : 0u;
    }
}

/* RG9: an append to a server that an uncommitted entry demotes ends before that entry. One that
 * stands wholly behind it becomes a heartbeat before it. False: there is nothing to send. */
static bool withhold_demotion(const struct consensus *self, struct raft_message *message)
{
    struct raft_append_entries *append = &message->append_entries;
    uint64_t commit_index = raft_internals_commit_index(&self->instance->raft);
    uint64_t first = guard_withheld(&self->log, commit_index, message->server_id);
    if (first == 0 || self->config.off.withheld_demotion) {
        return true;
    }
    if (append->prev_log_index < first) {
        uint64_t most = first - append->prev_log_index - 1;
        append->n_entries = append->n_entries < most ? append->n_entries : (unsigned)most;
        return true;
    }
    append->n_entries = 0;
    append->prev_log_index = first - 1;
    append->prev_log_term = logbook_term_of(&self->log, first - 1);
    return append->prev_log_term != 0;
}

static void send_now(struct consensus *self, const struct raft_message *message)
{
    struct raft_message mended = *message;
    struct wire_extra extra = {.sent_ms = self->now_ms,
                               .lease_ttl_ms = self->config.lease_ttl_ms,
                               .heartbeat_ms = self->config.heartbeat_ms,
                               .acting = consensus_may_act_until_ms(self, self->now_ms) > 0,
                               .stall_ms = adaptation_own_stall_ms(&self->adaptation, self->now_ms),
                               .cause = self->hand_over.cause};
    mend_result(self, &mended);
    if (mended.type == RAFT_IO_APPEND_ENTRIES && !withhold_demotion(self, &mended)) {
        return;
    }
    if (mended.type == RAFT_IO_APPEND_ENTRIES_RESULT) {
        add_echo(self, &mended, &extra);
    }
    if (wire_raft_encode(&self->writer, &mended, &extra, NULL) != 0) {
        return; /* too long: lost, as any message may be */
    }
    size_t length = self->writer.buffer.length;
    bool bulk = mended.type == RAFT_IO_INSTALL_SNAPSHOT || length > WIRE_BULK_BYTES;
    if (mended.type == RAFT_IO_APPEND_ENTRIES) {
        engine_note_told(self, mended.server_id, mended.append_entries.leader_commit);
    }
    self->counters.sent++;
    self->config.transport.send(self->config.transport.context, mended.server_id,
                                self->writer.buffer.data, length, bulk);
}

/* For the engine itself; the library knows nothing of it. */
void raft_io_tell(struct consensus *self, const struct raft_message *message)
{
    raft_io_flush_term(self);
    if (!self->muted && !engine_is_fatal(self)) {
        send_now(self, message);
    }
}

/* Always 0: for an error on the reply path the library frees entries twice. */
int raft_io_send_message(struct raft_io *io, struct raft_io_send *req,
                         const struct raft_message *message, raft_io_send_cb cb)
{
    struct consensus *self = raft_io_engine(io);
    raft_io_flush_term(self);
    if (!self->muted && !engine_is_fatal(self) && message->server_id != 0) {
        send_now(self, message);
    }
    if (cb == NULL) {
        return 0; /* TimeoutNow: the request may be gone at any time */
    }
    struct raft_io_completion *completion = raft_io_completion_new(self, COMPLETION_SEND);
    if (completion != NULL) {
        completion->send.request = req;
        completion->send.done = cb;
        raft_io_completion_queue(self, completion);
    }
    return 0;
}
