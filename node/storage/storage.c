#include "node/storage/storage.h"

#include "node/base/clock.h"
#include "node/base/invariant.h"
#include "node/base/mp.h"
#include "node/storage/checksum.h"
#include "node/storage/storage_internal.h"

#include <limits.h>
#include <string.h>

#define IDENTITY_VERSION 1u
#define IDENTITY_BYTES_MAX 256

void storage_u64_encode(uint64_t value, uint8_t ret[8])
{
    for (int i = 0; i < 8; i++) {
        ret[i] = (uint8_t)(value >> (8 * i));
    }
}

uint64_t storage_u64_decode(const uint8_t bytes[8])
{
    uint64_t value = 0;
    for (int i = 7; i >= 0; i--) {
        value = value << 8 | bytes[i];
    }
    return value;
}

void storage_term_encode(uint64_t term, uint64_t vote, uint8_t ret[STORAGE_TERM_BYTES])
{
    storage_u64_encode(term, ret);
    storage_u64_encode(vote, ret + 8);
}

int storage_damage(const struct storage *self, int code, struct err *err)
{
    if (code == ERR_CORRUPT) {
        (void)err_wrap(err, "%s is damaged (move it away and start empty to join anew)",
                       self->folder);
    }
    return code;
}

/* ---- one durable step ---- */

static void note_duration(struct storage *self, int64_t began_us)
{
    int64_t took = clock_boot_us() - began_us;
    uint32_t us = took > 0 ? (took < UINT32_MAX ? (uint32_t)took : UINT32_MAX) : 0;
    atomic_store_explicit(&self->last_us, us, memory_order_relaxed);
    if (us > atomic_load_explicit(&self->worst_us, memory_order_relaxed)) {
        atomic_store_explicit(&self->worst_us, us, memory_order_relaxed);
    }
    atomic_fetch_add_explicit(&self->writes, 1, memory_order_relaxed);
}

/* The commit is on disk: say so where a later start can compare. */
static int bear_witness(struct storage *self, struct err *err)
{
    uint32_t frames = database_wal_frames(self->database);
    if (self->generation_new) {
        int rc = wal_scan_salts(self->folder_fd, STORAGE_WAL, &self->witness.salt_1,
                                &self->witness.salt_2, err);
        if (rc != 0) {
            return rc;
        }
    }
    self->generation_new = false;
    self->witness.frames = frames;
    return witness_write(self->witness_fd, &self->witness, false, err);
}

static int checkpoint_when_due(struct storage *self, struct err *err)
{
    uint32_t frames = database_wal_frames(self->database);
    atomic_store_explicit(&self->wal_bytes, (uint64_t)frames * 4096, memory_order_relaxed);
    if (frames < STORAGE_WAL_FRAMES_MAX) {
        return 0;
    }
    int64_t pages = 0;
    int rc = database_checkpoint(self->database, err);
    self->generation_new = true;
    if (rc == 0) {
        rc = database_integer(self->database, "PRAGMA page_count", &pages, err);
    }
    atomic_store_explicit(&self->database_bytes, (uint64_t)pages * 4096, memory_order_relaxed);
    return rc;
}

int storage_write(struct storage *self, storage_work *work, const void *argument, struct err *err)
{
    if (self->failed) {
        return err_set(err, ERR_IO, "an earlier write to %s failed", self->folder);
    }
    int64_t began_us = clock_boot_us();
    int rc = database_begin(self->database, err);
    if (rc == 0) {
        rc = work(self, argument, err);
    }
    if (rc == 0) {
        rc = database_commit(self->database, err);
    }
    if (rc == 0) {
        rc = bear_witness(self, err);
    }
    if (rc == 0) {
        rc = checkpoint_when_due(self, err);
    }
    if (rc != 0) {
        database_rollback(self->database);
        self->failed = true;
        (void)err_wrap(err, "write to %s", self->folder);
    }
    note_duration(self, began_us);
    return rc;
}

int storage_prove(struct storage *self, struct err *err)
{
    if (self->failed) {
        return err_set(err, ERR_IO, "an earlier write to %s failed", self->folder);
    }
    int64_t began_us = clock_boot_us();
    int rc = witness_write(self->witness_fd, &self->witness, true, err);
    if (rc != 0) {
        self->failed = true;
        (void)err_wrap(err, "write to %s", self->folder);
    }
    note_duration(self, began_us);
    return rc;
}

/* ---- rows of meta ---- */

static uint64_t meta_sum(enum storage_row row, const void *bytes, size_t length)
{
    return checksum_bytes(checksum_u64(CHECKSUM_START, (uint64_t)row), bytes, length);
}

int storage_meta_get(struct storage *self, enum storage_row row, uint8_t *ret, size_t size,
                     size_t *ret_length, struct err *err)
{
    struct statement *query = self->queries[QUERY_META_GET];
    statement_bind_u64(query, 1, (uint64_t)row);
    int rc = statement_step(query, err);
    if (rc == 1) {
        const uint8_t *bytes = statement_bytes(query, 0, ret_length);
        rc = 0;
        if (*ret_length > size || statement_u64(query, 1) != meta_sum(row, bytes, *ret_length)) {
            rc = err_set(err, ERR_CORRUPT, "row %d of meta has a wrong checksum", (int)row);
        } else if (*ret_length > 0) {
            memcpy(ret, bytes, *ret_length);
        }
    } else if (rc == 0) {
        rc = err_set(err, ERR_CORRUPT, "row %d of meta is missing", (int)row);
    }
    statement_reset(query);
    return rc;
}

int storage_meta_set(struct storage *self, enum storage_row row, const void *bytes, size_t length,
                     struct err *err)
{
    struct statement *query = self->queries[QUERY_META_SET];
    statement_bind_u64(query, 1, (uint64_t)row);
    statement_bind_bytes(query, 2, bytes, length);
    statement_bind_u64(query, 3, meta_sum(row, bytes, length));
    return statement_run(query, err);
}

/* ---- identity ---- */

static int store_identity(struct storage *self, const void *argument, struct err *err)
{
    const struct storage_identity *identity = argument;
    struct mp_writer writer;
    mp_writer_init(&writer, IDENTITY_BYTES_MAX);
    mp_put_array(&writer, 4);
    mp_put_u64(&writer, IDENTITY_VERSION);
    mp_put_text(&writer, identity->public_key);
    mp_put_u64(&writer, identity->raft_id);
    mp_put_text(&writer, identity->cluster);
    int rc = mp_writer_ok(&writer) ? storage_meta_set(self, ROW_IDENTITY, writer.buffer.data,
                                                      writer.buffer.length, err)
                                   : err_set(err, ERR_NOMEM, "encode identity");
    mp_writer_deinit(&writer);
    return rc;
}

int storage_identity(struct storage *self, struct storage_identity *ret, struct err *err)
{
    static const struct mp_limits limits = {IDENTITY_BYTES_MAX, 16, 2};
    uint8_t bytes[IDENTITY_BYTES_MAX];
    size_t length = 0;
    int rc = storage_meta_get(self, ROW_IDENTITY, bytes, sizeof bytes, &length, err);
    if (rc != 0) {
        return storage_damage(self, rc, err);
    }
    if (length == 0) {
        return err_set(err, ERR_NOTFOUND, "data folder %s has no identity yet", self->folder);
    }
    struct mp_doc doc;
    rc = mp_parse(bytes, length, &limits, &doc, err);
    if (rc != 0) {
        return rc;
    }
    const msgpack_object *array = mp_array(&doc.root, 4);
    if (array == NULL || !mp_text(mp_at(array, 1), ret->public_key, sizeof ret->public_key) ||
        !mp_u64(mp_at(array, 2), &ret->raft_id) ||
        !mp_text(mp_at(array, 3), ret->cluster, sizeof ret->cluster)) {
        rc = err_set(err, ERR_UNSUPPORTED, "identity in %s has an unknown form", self->folder);
    }
    mp_doc_deinit(&doc);
    return rc;
}

int storage_identity_claim(struct storage *self, const struct storage_identity *identity,
                           struct err *err)
{
    if (identity->raft_id == 0 || identity->cluster[0] == '\0' || identity->public_key[0] == '\0') {
        return err_set(err, ERR_INVALID, "an identity needs key, raft id and cluster");
    }
    struct storage_identity kept = {0};
    int rc = storage_identity(self, &kept, err);
    if (rc == ERR_NOTFOUND) {
        return storage_write(self, store_identity, identity, err);
    }
    if (rc != 0) {
        return rc;
    }
    if (kept.raft_id != identity->raft_id || strcmp(kept.cluster, identity->cluster) != 0) {
        return err_set(err, ERR_INVALID,
                       "data folder %s belongs to node %llx of cluster \"%s\", not to node %llx of "
                       "cluster \"%s\"",
                       self->folder, (unsigned long long)kept.raft_id, kept.cluster,
                       (unsigned long long)identity->raft_id, identity->cluster);
    }
    return 0;
}

/* ---- incarnation ---- */

static int store_incarnation(struct storage *self, const void *argument, struct err *err)
{
    uint8_t bytes[8];
    storage_u64_encode(*(const uint64_t *)argument, bytes);
    return storage_meta_set(self, ROW_INCARNATION, bytes, sizeof bytes, err);
}

int storage_incarnation_raise(struct storage *self, uint64_t value, struct err *err)
{
    if (value <= self->incarnation) {
        return 0;
    }
    int rc = storage_write(self, store_incarnation, &value, err);
    if (rc == 0) {
        self->incarnation = value;
    }
    return rc;
}

int storage_incarnation_next(struct storage *self, uint64_t *ret, struct err *err)
{
    if (self->incarnation >= INT64_MAX) {
        return err_set(err, ERR_FULL, "incarnations are used up");
    }
    int rc = storage_incarnation_raise(self, self->incarnation + 1, err);
    if (rc == 0) {
        *ret = self->incarnation;
    }
    return rc;
}

void storage_latency(struct storage *self, bool reset_worst, struct storage_latency *ret)
{
    ret->writes = atomic_load_explicit(&self->writes, memory_order_relaxed);
    ret->last_us = atomic_load_explicit(&self->last_us, memory_order_relaxed);
    ret->wal_bytes = atomic_load_explicit(&self->wal_bytes, memory_order_relaxed);
    ret->database_bytes = atomic_load_explicit(&self->database_bytes, memory_order_relaxed);
    ret->worst_us = reset_worst ? atomic_exchange_explicit(&self->worst_us, 0, memory_order_relaxed)
                                : atomic_load_explicit(&self->worst_us, memory_order_relaxed);
}
