/* Shared by the files of this room only. */
#ifndef UNDERSTUDY_NODE_STORAGE_STORAGE_INTERNAL_H
#define UNDERSTUDY_NODE_STORAGE_STORAGE_INTERNAL_H

#include "node/storage/database.h"
#include "node/storage/storage.h"
#include "node/storage/witness.h"

#include <stdatomic.h>

#define STORAGE_DATABASE "understudy.db"
#define STORAGE_WAL "understudy.db-wal"
#define STORAGE_SCHEMA_VERSION 1
#define STORAGE_APPLICATION_ID 0x55534459 /* "USDY" */
/* Frames in the log before it is moved into the file: 2 MiB. */
#define STORAGE_WAL_FRAMES_MAX 512u

/* Rows of table meta: each is there from the first moment, so a missing one is damage. */
enum storage_row { ROW_TERM = 1, ROW_IDENTITY = 2, ROW_INCARNATION = 3 };

enum storage_query {
    QUERY_META_GET,
    QUERY_META_SET,
    QUERY_ENTRY_PUT,
    QUERY_ENTRIES_ALL,
    QUERY_ENTRIES_FROM_DELETE,
    QUERY_ENTRIES_TO_DELETE,
    QUERY_SNAPSHOT_GET,
    QUERY_SNAPSHOT_PUT,
    QUERY_COUNT,
};

struct storage {
    int folder_fd;
    int lock_fd;
    int witness_fd;
    char *folder;
    struct database *database;
    struct statement *queries[QUERY_COUNT];
    struct witness witness; /* as last written */
    bool generation_new;    /* the next commit begins a new generation of the log */
    bool failed;            /* a write failed: none is tried again */
    uint64_t term;
    uint64_t vote;
    uint64_t incarnation;
    uint64_t first_index; /* of the entries; first == last + 1: none */
    uint64_t last_index;
    uint64_t snapshot_index; /* 0: no snapshot */
    _Atomic uint64_t writes;
    _Atomic uint32_t last_us;
    _Atomic uint32_t worst_us;
    _Atomic uint64_t wal_bytes;
    _Atomic uint64_t database_bytes;
};

/* A durable step: begin, work, commit, witness, checkpoint when due, time taken. */
typedef int storage_work(struct storage *self, const void *argument, struct err *err);
int storage_write(struct storage *self, storage_work *work, const void *argument, struct err *err);

int storage_meta_get(struct storage *self, enum storage_row row, uint8_t *ret, size_t size,
                     size_t *ret_length, struct err *err);
int storage_meta_set(struct storage *self, enum storage_row row, const void *bytes, size_t length,
                     struct err *err);

/* Term and vote as stored. */
#define STORAGE_TERM_BYTES 16
void storage_term_encode(uint64_t term, uint64_t vote, uint8_t ret[STORAGE_TERM_BYTES]);
void storage_u64_encode(uint64_t value, uint8_t ret[8]);
uint64_t storage_u64_decode(const uint8_t bytes[8]);

uint64_t storage_snapshot_sum(const uint8_t *meta, size_t meta_length, const uint8_t *bytes,
                              size_t length);
/* Reads the snapshot's row: 1 found, 0 none, or a code. `ret_bytes` may be NULL. */
int storage_snapshot_read(struct storage *self, struct consensus_snapshot_meta *ret_meta,
                          uint8_t **ret_bytes, size_t *ret_length, struct err *err);

/* Puts folder and way out in front of an ERR_CORRUPT, once. Returns `code`.
 */
int storage_damage(const struct storage *self, int code, struct err *err);

#endif
