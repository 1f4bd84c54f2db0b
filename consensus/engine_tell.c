/* What a leader has committed, told without waiting for the next heartbeat.
 *
 * The library tells it with the appends that follow; after the last of a few commands none follows,
 * and the others would act on it up to a heartbeat later. So when nothing else has told a server
 * that holds the entries, an empty append does, a moment later. It claims no more than what the
 * server has acknowledged, so it is one that the library itself could have sent. */
#include "consensus/engine.h"

#include "consensus/raft_internals.h"

#define TELL_AFTER_MS 2 /* an append with the next commands may come first */

static struct told *slot_of(struct consensus *self, uint64_t id)
{
    struct told *free_slot = NULL;
    for (size_t i = 0; i < NODES_MAX; i++) {
        struct told *slot = &self->told[i];
        if (slot->id == id) {
            return slot;
        }
        free_slot = free_slot == NULL && slot->id == 0 ? slot : free_slot;
    }
    if (free_slot != NULL) {
        *free_slot = (struct told){.id = id};
    }
    return free_slot;
}

void engine_note_told(struct consensus *self, uint64_t id, uint64_t commit_index)
{
    struct told *slot = slot_of(self, id);
    if (slot != NULL && commit_index > slot->commit_index) {
        slot->commit_index = commit_index;
    }
}

/* What the server could know of our commits and was not told; 0: nothing. */
static uint64_t untold(struct consensus *self, unsigned server)
{
    const struct raft *raft = &self->instance->raft;
    const struct raft_server *is = &raft_internals_configuration(raft)->servers[server];
    const struct told *slot =
        is->id == self->config.id || is->role == RAFT_SPARE ? NULL : slot_of(self, is->id);
    if (slot == NULL) {
        return 0;
    }
    uint64_t commit_index = raft_internals_commit_index(raft);
    uint64_t match_index = raft_internals_match_index(raft, server);
    uint64_t known = match_index < commit_index ? match_index : commit_index;
    return known > slot->commit_index ? known : 0;
}

static void tell(struct consensus *self, unsigned server, uint64_t commit_index)
{
    const struct raft *raft = &self->instance->raft;
    uint64_t match_index = raft_internals_match_index(raft, server);
    struct raft_message message = {
        .type = RAFT_IO_APPEND_ENTRIES,
        .server_id = raft_internals_configuration(raft)->servers[server].id,
        .append_entries = {.term = raft_internals_term(raft),
                           .prev_log_index = match_index,
                           .prev_log_term = logbook_term_of(&self->log, match_index),
                           .leader_commit = commit_index},
    };
    if (message.append_entries.prev_log_term != 0) { /* else the log no longer reaches back */
        raft_io_tell(self, &message);
    }
    engine_note_told(self, message.server_id, commit_index);
}

void engine_tell_commit(struct consensus *self)
{
    if (self->leadership.term == 0) {
        self->tell_at_ms = 0;
        return;
    }
    bool due = self->tell_at_ms != 0 && self->now_ms >= self->tell_at_ms;
    bool waits = false;
    unsigned count = raft_internals_configuration(&self->instance->raft)->n;
    for (unsigned i = 0; i < count; i++) {
        uint64_t commit_index = untold(self, i);
        if (commit_index != 0 && due) {
            tell(self, i, commit_index);
        }
        waits = waits || (commit_index != 0 && !due);
    }
    if (due || !waits) {
        self->tell_at_ms = 0;
    } else if (self->tell_at_ms == 0) {
        self->tell_at_ms = self->now_ms + TELL_AFTER_MS;
    }
}
