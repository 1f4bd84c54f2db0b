#include "tests/sim/inside.h"

#include "consensus/engine.h"
#include "consensus/wire_raft.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static void read_raft(const struct raft_message *raft, struct inside_message *ret)
{
    switch (raft->type) {
    case RAFT_IO_APPEND_ENTRIES:
        ret->type = INSIDE_APPEND;
        ret->term = raft->append_entries.term;
        ret->previous = raft->append_entries.prev_log_index;
        ret->entries = raft->append_entries.n_entries;
        break;
    case RAFT_IO_APPEND_ENTRIES_RESULT:
        ret->type = INSIDE_APPENDED;
        ret->term = raft->append_entries_result.term;
        ret->rejected = raft->append_entries_result.rejected != 0;
        ret->last = raft->append_entries_result.last_log_index;
        break;
    case RAFT_IO_REQUEST_VOTE:
        ret->type = INSIDE_VOTE;
        ret->term = raft->request_vote.term;
        ret->last = raft->request_vote.last_log_index;
        ret->last_term = raft->request_vote.last_log_term;
        ret->pre_vote = raft->request_vote.pre_vote;
        ret->disrupts = raft->request_vote.disrupt_leader;
        break;
    case RAFT_IO_REQUEST_VOTE_RESULT:
        ret->type = INSIDE_VOTED;
        ret->term = raft->request_vote_result.term;
        ret->granted = raft->request_vote_result.vote_granted;
        ret->pre_vote = raft->request_vote_result.pre_vote == raft_tribool_true;
        break;
    case RAFT_IO_INSTALL_SNAPSHOT:
        ret->type = INSIDE_SNAPSHOT;
        ret->term = raft->install_snapshot.term;
        ret->last = raft->install_snapshot.last_index;
        break;
    case RAFT_IO_TIMEOUT_NOW:
        ret->type = INSIDE_TIMEOUT_NOW;
        ret->term = raft->timeout_now.term;
        break;
    default:
        break;
    }
}

bool inside_read(const uint8_t *bytes, size_t length, uint64_t from, struct inside_message *ret)
{
    memset(ret, 0, sizeof *ret);
    struct wire_message message;
    struct err err = {0};
    if (wire_raft_decode(bytes, length, from, &message, &err) != 0) {
        return false;
    }
    read_raft(&message.raft, ret);
    ret->echo_ms = message.extra.echo_ms;
    wire_raft_message_deinit(&message);
    return ret->type != INSIDE_UNKNOWN;
}

void inside_text(const struct inside_message *message, char *ret, size_t size)
{
    switch (message->type) {
    case INSIDE_UNKNOWN:
        (void)snprintf(ret, size, "?");
        break;
    case INSIDE_APPEND:
        (void)snprintf(ret, size, "append term %" PRIu64 " after %" PRIu64 ", %" PRIu64 " entries",
                       message->term, message->previous, message->entries);
        break;
    case INSIDE_APPENDED:
        (void)snprintf(ret, size, "appended term %" PRIu64 " %s to %" PRIu64 "%s", message->term,
                       message->rejected ? "refused, log" : "up", message->last,
                       message->echo_ms != 0 ? " with echo" : "");
        break;
    case INSIDE_VOTE:
        (void)snprintf(ret, size, "%svote? term %" PRIu64 ", log to %" PRIu64 " of %" PRIu64 "%s",
                       message->pre_vote ? "pre-" : "", message->term, message->last,
                       message->last_term, message->disrupts ? ", disrupts" : "");
        break;
    case INSIDE_VOTED:
        (void)snprintf(ret, size, "%svote %s term %" PRIu64, message->pre_vote ? "pre-" : "",
                       message->granted ? "granted" : "refused", message->term);
        break;
    case INSIDE_SNAPSHOT:
        (void)snprintf(ret, size, "snapshot term %" PRIu64 " to %" PRIu64, message->term,
                       message->last);
        break;
    case INSIDE_TIMEOUT_NOW:
        (void)snprintf(ret, size, "timeout now term %" PRIu64, message->term);
        break;
    }
}

void inside_want_reload(struct consensus *engine)
{
    engine->reload_wanted = true;
}
