/* From storage to the library. */
#include "consensus/raft_io_parts.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

void raft_io_stored_deinit(struct consensus_stored *stored)
{
    for (size_t i = 0; i < stored->entry_count; i++) {
        union {
            const uint8_t *borrowed;
            void *owned; /* handed over by load: ours to free */
        } bytes = {.borrowed = stored->entries[i].bytes};
        free(bytes.owned);
    }
    free(stored->entries);
    free(stored->snapshot_bytes);
    *stored = (struct consensus_stored){0};
}

int raft_io_read_storage(struct consensus *self, struct err *err)
{
    raft_io_stored_deinit(&self->loaded);
    raft_io_flush(self);
    int rc = self->config.storage.load(self->config.storage.context, &self->loaded, err);
    if (rc == 0 && (self->loaded.term > WIRE_NUMBER_MAX)) {
        rc = err_set(err, ERR_CORRUPT, "stored term %" PRIu64, self->loaded.term);
    }
    if (rc == 0) {
        rc = logbook_load(&self->log, &self->loaded, err);
    }
    if (rc == 0 && logbook_last_term(&self->log) > self->loaded.term) {
        rc = err_set(err, ERR_CORRUPT, "stored term %" PRIu64 " is below the last entry's %" PRIu64,
                     self->loaded.term, logbook_last_term(&self->log));
    }
    if (rc != 0) {
        raft_io_stored_deinit(&self->loaded);
        return err_wrap(err, "load the consensus log");
    }
    self->stored_term = self->loaded.term;
    self->stored_vote = self->loaded.vote;
    return 0;
}

/* A raft_malloc'd copy with its one buffer. */
int raft_io_snapshot_of(const struct consensus_stored *stored, struct raft_snapshot *ret,
                        struct err *err)
{
    *ret = (struct raft_snapshot){.index = stored->snapshot.index,
                                  .term = stored->snapshot.term,
                                  .configuration_index = stored->snapshot.configuration_index};
    if (!stored->has_snapshot || stored->snapshot.server_count > NODES_MAX) {
        return err_set(err, ERR_CORRUPT, "storage gave no sound snapshot");
    }
    int rc = wire_raft_configuration(stored->snapshot.servers, stored->snapshot.server_count,
                                     &ret->configuration, err);
    if (rc != 0) {
        return rc;
    }
    size_t length = stored->snapshot_length;
    ret->bufs = raft_malloc(sizeof *ret->bufs);
    void *bytes = raft_malloc(length > 0 ? length : 1);
    if (ret->bufs == NULL || bytes == NULL) {
        raft_free(ret->bufs);
        raft_free(bytes);
        raft_configuration_close(&ret->configuration);
        return err_set(err, ERR_NOMEM, "no memory for a snapshot of %zu bytes", length);
    }
    if (length > 0) {
        memcpy(bytes, stored->snapshot_bytes, length);
    }
    ret->n_bufs = 1;
    ret->bufs[0] = (struct raft_buffer){.base = bytes, .len = length};
    return 0;
}

/* One batch for all payloads, as the library wants entries from disk. */
static int entries_of(const struct consensus_stored *stored, struct raft_entry **ret,
                      struct err *err)
{
    size_t size = 1;
    for (size_t i = 0; i < stored->entry_count; i++) {
        size += (stored->entries[i].length + 7) & ~(size_t)7;
    }
    struct raft_entry *entries = raft_malloc(stored->entry_count * sizeof *entries);
    uint8_t *batch = raft_malloc(size);
    if (entries == NULL || batch == NULL) {
        raft_free(entries);
        raft_free(batch);
        return err_set(err, ERR_NOMEM, "no memory for %zu entries", stored->entry_count);
    }
    size_t offset = 0;
    for (size_t i = 0; i < stored->entry_count; i++) {
        const struct consensus_entry *from = &stored->entries[i];
        entries[i] = (struct raft_entry){.term = from->term,
                                         .type = (unsigned short)from->type,
                                         .buf = {.base = batch + offset, .len = from->length},
                                         .batch = batch};
        if (from->length > 0) {
            memcpy(batch + offset, from->bytes, from->length);
        }
        offset += (from->length + 7) & ~(size_t)7;
    }
    *ret = entries;
    return 0;
}

int raft_io_load(struct raft_io *io, raft_term *term, raft_id *voted_for,
                 struct raft_snapshot **snapshot, raft_index *start_index,
                 struct raft_entry *entries[], size_t *n_entries)
{
    struct consensus *self = raft_io_engine(io);
    struct err err = {0};
    int rc = 0;
    *snapshot = NULL;
    *entries = NULL;
    *term = self->stored_term;
    *voted_for = self->stored_vote;
    *start_index = self->loaded.first_index;
    *n_entries = self->loaded.entry_count;
    if (self->loaded.has_snapshot) {
        struct raft_snapshot *copy = raft_malloc(sizeof *copy);
        rc = copy == NULL ? err_set(&err, ERR_NOMEM, "no memory for a snapshot")
                          : raft_io_snapshot_of(&self->loaded, copy, &err);
        if (rc != 0) {
            raft_free(copy);
            return raft_io_storage_failed(self, "load", &err);
        }
        *snapshot = copy;
    }
    if (self->loaded.entry_count > 0) {
        rc = entries_of(&self->loaded, entries, &err);
        if (rc != 0) {
            *n_entries = 0;
            return raft_io_storage_failed(self, "load", &err);
        }
    }
    raft_io_stored_deinit(&self->loaded);
    return 0;
}
