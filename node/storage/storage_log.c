/* Term, vote, entries and snapshot: the interface of consensus/. */
#include "node/base/invariant.h"
#include "node/storage/checksum.h"
#include "node/storage/snapshot_meta.h"
#include "node/storage/storage_internal.h"

#include <stdlib.h>
#include <string.h>

static uint64_t entry_sum(uint64_t index, uint64_t term, uint64_t type, const uint8_t *bytes,
                          size_t length)
{
    uint64_t sum = checksum_u64(CHECKSUM_START, index);
    sum = checksum_u64(sum, term);
    sum = checksum_u64(sum, type);
    return checksum_bytes(sum, bytes, length);
}

uint64_t storage_snapshot_sum(const uint8_t *meta, size_t meta_length, const uint8_t *bytes,
                              size_t length)
{
    uint64_t sum = checksum_u64(CHECKSUM_START, meta_length);
    sum = checksum_bytes(sum, meta, meta_length);
    sum = checksum_u64(sum, length);
    return checksum_bytes(sum, bytes, length);
}

/* ---- term and vote ---- */

struct term_and_vote {
    uint64_t term;
    uint64_t vote;
};

static int store_term(struct storage *self, const void *argument, struct err *err)
{
    const struct term_and_vote *both = argument;
    uint8_t bytes[STORAGE_TERM_BYTES];
    storage_term_encode(both->term, both->vote, bytes);
    return storage_meta_set(self, ROW_TERM, bytes, sizeof bytes, err);
}

static int keep_term(struct storage *self, uint64_t term, uint64_t vote, struct err *err)
{
    if (term == self->term && vote == self->vote) {
        return 0;
    }
    struct term_and_vote both = {.term = term, .vote = vote};
    int rc = storage_write(self, store_term, &both, err);
    if (rc == 0) {
        self->term = term;
        self->vote = vote;
    }
    return rc;
}

static int set_term(void *context, uint64_t term, struct err *err)
{
    struct storage *self = context;
    if (term < self->term || (term == self->term && self->vote != 0)) {
        return err_set(err, ERR_INVALID, "term %llu would undo term %llu and its vote",
                       (unsigned long long)term, (unsigned long long)self->term);
    }
    return keep_term(self, term, 0, err);
}

static int set_vote(void *context, uint64_t term, uint64_t id, struct err *err)
{
    struct storage *self = context;
    bool other = term == self->term && self->vote != 0 && self->vote != id;
    if (id == 0 || term < self->term || other) {
        return err_set(err, ERR_INVALID,
                       "vote for %llx in term %llu; stored is term %llu with the vote %llx",
                       (unsigned long long)id, (unsigned long long)term,
                       (unsigned long long)self->term, (unsigned long long)self->vote);
    }
    return keep_term(self, term, id, err);
}

/* ---- entries ---- */

struct entries {
    uint64_t first_index;
    const struct consensus_entry *entries;
    size_t count;
};

static int store_entries(struct storage *self, const void *argument, struct err *err)
{
    const struct entries *all = argument;
    struct statement *query = self->queries[QUERY_ENTRY_PUT];
    for (size_t i = 0; i < all->count; i++) {
        const struct consensus_entry *entry = &all->entries[i];
        uint64_t index = all->first_index + i;
        statement_bind_u64(query, 1, index);
        statement_bind_u64(query, 2, entry->term);
        statement_bind_u64(query, 3, (uint64_t)entry->type);
        statement_bind_bytes(query, 4, entry->bytes, entry->length);
        statement_bind_u64(
            query, 5,
            entry_sum(index, entry->term, (uint64_t)entry->type, entry->bytes, entry->length));
        int rc = statement_run(query, err);
        if (rc != 0) {
            return rc;
        }
    }
    return 0;
}

static int append(void *context, uint64_t first_index, const struct consensus_entry *entries,
                  size_t count, struct err *err)
{
    struct storage *self = context;
    if (count == 0) {
        return 0;
    }
    if (first_index != self->last_index + 1) {
        return err_set(err, ERR_INVALID, "append at %llu, but the last entry is %llu",
                       (unsigned long long)first_index, (unsigned long long)self->last_index);
    }
    for (size_t i = 0; i < count; i++) {
        if (entries[i].length > PEER_MESSAGE_BYTES_MAX) {
            return err_set(err, ERR_FULL, "entry of %zu bytes, at most %d", entries[i].length,
                           PEER_MESSAGE_BYTES_MAX);
        }
    }
    struct entries all = {.first_index = first_index, .entries = entries, .count = count};
    int rc = storage_write(self, store_entries, &all, err);
    if (rc == 0) {
        self->last_index += count;
    }
    return rc;
}

static int drop_entries_from(struct storage *self, const void *argument, struct err *err)
{
    struct statement *query = self->queries[QUERY_ENTRIES_FROM_DELETE];
    statement_bind_u64(query, 1, *(const uint64_t *)argument);
    return statement_run(query, err);
}

static int truncate_log(void *context, uint64_t first_index, struct err *err)
{
    struct storage *self = context;
    if (first_index > self->last_index) {
        return 0;
    }
    if (first_index <= self->snapshot_index) {
        return err_set(err, ERR_INVALID, "truncation from %llu would cut the snapshot at %llu",
                       (unsigned long long)first_index, (unsigned long long)self->snapshot_index);
    }
    int rc = storage_write(self, drop_entries_from, &first_index, err);
    if (rc == 0) {
        self->last_index = first_index - 1;
        self->first_index = self->first_index < first_index ? self->first_index : first_index;
    }
    return rc;
}

/* ---- snapshot ---- */

struct snapshot {
    const struct consensus_snapshot_meta *meta;
    const uint8_t *bytes;
    size_t length;
    uint64_t delete_to; /* entries up to here go; 0: none */
};

static int store_snapshot(struct storage *self, const void *argument, struct err *err)
{
    const struct snapshot *snapshot = argument;
    struct mp_writer meta;
    mp_writer_init(&meta, SNAPSHOT_META_BYTES_MAX);
    snapshot_meta_encode(snapshot->meta, &meta);
    if (!mp_writer_ok(&meta)) {
        mp_writer_deinit(&meta);
        return err_set(err, ERR_NOMEM, "encode snapshot");
    }
    struct statement *query = self->queries[QUERY_SNAPSHOT_PUT];
    statement_bind_bytes(query, 1, meta.buffer.data, meta.buffer.length);
    statement_bind_bytes(query, 2, snapshot->bytes, snapshot->length);
    statement_bind_u64(query, 3,
                       storage_snapshot_sum(meta.buffer.data, meta.buffer.length, snapshot->bytes,
                                            snapshot->length));
    int rc = statement_run(query, err);
    mp_writer_deinit(&meta);
    if (rc == 0 && snapshot->delete_to > 0) {
        query = self->queries[QUERY_ENTRIES_TO_DELETE];
        statement_bind_u64(query, 1, snapshot->delete_to);
        rc = statement_run(query, err);
    }
    return rc;
}

static int snapshot_put(void *context, const struct consensus_snapshot_meta *meta,
                        const uint8_t *bytes, size_t length, uint64_t trailing, struct err *err)
{
    struct storage *self = context;
    if (meta->index == 0 || meta->index < self->snapshot_index || meta->server_count > NODES_MAX) {
        return err_set(err, ERR_INVALID, "snapshot at %llu behind the one at %llu",
                       (unsigned long long)meta->index, (unsigned long long)self->snapshot_index);
    }
    if (length > SNAPSHOT_BYTES_MAX) {
        return err_set(err, ERR_FULL, "snapshot of %zu bytes, at most %d", length,
                       SNAPSHOT_BYTES_MAX);
    }
    struct snapshot snapshot = {.meta = meta, .bytes = bytes, .length = length};
    /* A log that ends before the snapshot cannot go on behind it without a gap. */
    bool all = trailing == 0 || self->last_index < meta->index;
    if (all) {
        snapshot.delete_to = self->last_index;
    } else if (meta->index > trailing) {
        snapshot.delete_to = meta->index - trailing;
    }
    int rc = storage_write(self, store_snapshot, &snapshot, err);
    if (rc != 0) {
        return rc;
    }
    self->snapshot_index = meta->index;
    if (all) {
        self->last_index = meta->index;
        self->first_index = meta->index + 1;
    } else if (snapshot.delete_to >= self->first_index) {
        self->first_index = snapshot.delete_to + 1;
    }
    return 0;
}

int storage_snapshot_read(struct storage *self, struct consensus_snapshot_meta *ret_meta,
                          uint8_t **ret_bytes, size_t *ret_length, struct err *err)
{
    struct statement *query = self->queries[QUERY_SNAPSHOT_GET];
    int rc = statement_step(query, err);
    if (rc == 1) {
        size_t meta_length;
        size_t length;
        const uint8_t *meta = statement_bytes(query, 0, &meta_length);
        const uint8_t *bytes = statement_bytes(query, 1, &length);
        if (statement_u64(query, 2) != storage_snapshot_sum(meta, meta_length, bytes, length)) {
            rc = err_set(err, ERR_CORRUPT, "snapshot has a wrong checksum");
        } else if (snapshot_meta_decode(meta, meta_length, ret_meta, err) != 0) {
            rc = ERR_CORRUPT;
        } else if (ret_bytes != NULL) {
            *ret_length = length;
            *ret_bytes = malloc(length > 0 ? length : 1);
            if (*ret_bytes == NULL) {
                rc = err_set(err, ERR_NOMEM, "load snapshot of %zu bytes", length);
            } else if (length > 0) {
                memcpy(*ret_bytes, bytes, length);
            }
        }
    }
    statement_reset(query);
    return rc;
}

static int snapshot_get(void *context, struct consensus_stored *ret, struct err *err)
{
    struct storage *self = context;
    int rc = storage_snapshot_read(self, &ret->snapshot, &ret->snapshot_bytes,
                                   &ret->snapshot_length, err);
    if (rc < 0) {
        return storage_damage(self, rc, err);
    }
    ret->has_snapshot = rc == 1;
    return rc == 1 ? 0 : err_set(err, ERR_NOTFOUND, "no snapshot is stored");
}

/* ---- load ---- */

static void free_stored(struct consensus_stored *stored)
{
    for (size_t i = 0; i < stored->entry_count; i++) {
        void *bytes; /* const for those who read, ours to free */
        memcpy(&bytes, &stored->entries[i].bytes, sizeof bytes);
        free(bytes);
    }
    free(stored->entries);
    free(stored->snapshot_bytes);
    *stored = (struct consensus_stored){0};
}

/* The row that `query` stands on, as the entry that must have `index`. */
static int load_entry(struct statement *query, uint64_t index, struct consensus_entry *ret,
                      struct err *err)
{
    size_t length;
    uint64_t stored_index = statement_u64(query, 0);
    uint64_t term = statement_u64(query, 1);
    uint64_t type = statement_u64(query, 2);
    const uint8_t *bytes = statement_bytes(query, 3, &length);
    if (stored_index != index) {
        return err_set(err, ERR_CORRUPT, "entry %llu is missing", (unsigned long long)index);
    }
    if (statement_u64(query, 4) != entry_sum(index, term, type, bytes, length) ||
        type < CONSENSUS_ENTRY_COMMAND || type > CONSENSUS_ENTRY_CHANGE) {
        return err_set(err, ERR_CORRUPT, "entry %llu has a wrong checksum",
                       (unsigned long long)index);
    }
    uint8_t *copy = malloc(length > 0 ? length : 1);
    if (copy == NULL) {
        return err_set(err, ERR_NOMEM, "load entry %llu", (unsigned long long)index);
    }
    if (length > 0) {
        memcpy(copy, bytes, length);
    }
    *ret = (struct consensus_entry){
        .term = term, .type = (enum consensus_entry_type)type, .bytes = copy, .length = length};
    return 0;
}

static int load_entries(struct storage *self, struct consensus_stored *ret, struct err *err)
{
    size_t count = (size_t)(self->last_index + 1 - self->first_index);
    ret->first_index = self->first_index;
    if (count == 0) {
        return 0;
    }
    ret->entries = calloc(count, sizeof *ret->entries);
    if (ret->entries == NULL) {
        return err_set(err, ERR_NOMEM, "load %zu entries", count);
    }
    struct statement *query = self->queries[QUERY_ENTRIES_ALL];
    int rc = 0;
    while (rc == 0 && ret->entry_count < count) {
        rc = statement_step(query, err);
        if (rc == 0) {
            rc = err_set(err, ERR_CORRUPT, "entries end early");
        } else if (rc == 1) {
            rc = load_entry(query, self->first_index + ret->entry_count,
                            &ret->entries[ret->entry_count], err);
            ret->entry_count += rc == 0 ? 1 : 0;
        }
    }
    statement_reset(query);
    return rc;
}

static int load(void *context, struct consensus_stored *ret, struct err *err)
{
    struct storage *self = context;
    struct consensus_stored stored = {.term = self->term, .vote = self->vote};
    int rc = storage_snapshot_read(self, &stored.snapshot, &stored.snapshot_bytes,
                                   &stored.snapshot_length, err);
    stored.has_snapshot = rc == 1;
    if (rc >= 0) {
        rc = load_entries(self, &stored, err);
    }
    if (rc != 0) {
        free_stored(&stored);
        return storage_damage(self, rc, err);
    }
    *ret = stored;
    return 0;
}

void storage_consensus(struct storage *self, struct consensus_storage *ret)
{
    *ret = (struct consensus_storage){
        .context = self,
        .load = load,
        .set_term = set_term,
        .set_vote = set_vote,
        .append = append,
        .truncate = truncate_log,
        .snapshot_put = snapshot_put,
        .snapshot_get = snapshot_get,
    };
}
