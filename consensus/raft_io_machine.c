/* The library's raft_fsm over our state machine. */
#include "consensus/guard.h"
#include "consensus/raft_internals.h"
#include "consensus/raft_io_parts.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

int raft_io_machine_apply(struct raft_fsm *fsm, const struct raft_buffer *buf, void **result)
{
    struct consensus *self = fsm->data;
    struct err err = {0};
    const uint8_t *bytes;
    size_t length;
    *result = NULL;
    /* The library counts an entry as applied after this call only. */
    uint64_t index = raft_internals_applied_index(&self->instance->raft) + 1;
    if (index <= self->machine_index) {
        return 0; /* a reload replays what the machine holds already */
    }
    if (logbook_command_read(buf->base, buf->len, &bytes, &length, &err) != 0) {
        engine_fatal(self, "apply entry %" PRIu64 ": %s", index, err.msg);
        return RAFT_CORRUPT;
    }
    self->machine_index = index;
    self->config.machine.apply(self->config.machine.context, index,
                               logbook_term_of(&self->log, index), bytes, length);
    engine_proposal_applied(self, index);
    return 0;
}

static int snapshot_bytes(struct consensus *self, struct raft_buffer **ret)
{
    uint8_t *bytes = NULL;
    size_t length = 0;
    int rc = self->config.machine.snapshot(self->config.machine.context, &bytes, &length);
    struct raft_buffer *buffer = raft_malloc(sizeof *buffer);
    void *copy = raft_malloc(length > 0 ? length : 1);
    if (rc != 0 || buffer == NULL || copy == NULL) {
        engine_fatal(self, "state machine gave no snapshot: %s", err_text(rc));
        raft_free(buffer);
        raft_free(copy);
        free(bytes);
        return RAFT_NOMEM;
    }
    if (length > 0) {
        memcpy(copy, bytes, length);
    }
    free(bytes);
    *buffer = (struct raft_buffer){.base = copy, .len = length};
    *ret = buffer;
    return 0;
}

int raft_io_machine_snapshot(struct raft_fsm *fsm, struct raft_buffer *bufs[], unsigned *n_bufs)
{
    struct consensus *self = fsm->data;
    const struct raft *raft = &self->instance->raft;
    uint64_t applied = raft_internals_applied_index(raft);
    /* The library's own index is no help: after a restart it goes back to each change that is
     * applied again, while the configuration that it would store is the newest in the log. */
    const struct logbook_configuration *newest = logbook_newest_configuration(&self->log);
    bool early = guard_snapshot_early(raft_internals_uncommitted_index(raft),
                                      newest == NULL ? 0 : newest->index, applied);
    /* After a reload the machine may be ahead of what the library knows as applied. */
    if ((early && !self->config.off.quiet_snapshot) || self->machine_index > applied) {
        self->counters.snapshots_delayed++;
        return RAFT_BUSY;
    }
    int rv = snapshot_bytes(self, bufs);
    *n_bufs = rv == 0 ? 1 : 0;
    return rv;
}

int raft_io_machine_restore(struct raft_fsm *fsm, struct raft_buffer *buf)
{
    struct consensus *self = fsm->data;
    uint64_t index = self->log.snapshot_index;
    if (index > self->machine_index) {
        int rc =
            self->config.machine.restore(self->config.machine.context, index, buf->base, buf->len);
        if (rc != 0) {
            engine_fatal(self, "state machine refused the snapshot at %" PRIu64 ": %s", index,
                         err_text(rc));
            return RAFT_CORRUPT; /* the buffer stays the library's */
        }
        self->machine_index = index;
    }
    raft_free(buf->base);
    return 0;
}
