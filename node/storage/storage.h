/* Durable state of one node: Raft term, vote, entries and snapshot, identity, incarnation.
 *
 * One SQLite database in the data folder, write-ahead log, synchronous=FULL. Every call that
 * changes something has it on disk when it returns 0; any other result means that a promise of
 * durability may be broken and the process must end (the caller's duty). Nothing is retried.
 *
 * Damage is found, not passed on: every row carries a checksum over its key and contents, the
 * structure of the file is checked at open, entries must be contiguous, and frames of the
 * write-ahead log that were acknowledged must still be there (storage_open compares the log with
 * a witness file, because SQLite itself drops a damaged tail in silence). What a power failure
 * tore before it was acknowledged is dropped, as it should be. The limit of that: damage inside the
 * very last transaction *and* a witness lost in a power failure look like a torn write.
 *
 * Files in the folder: understudy.db, understudy.db-wal, witness, lock.
 *
 * Threads: one at a time (open on one, use on another is fine), except storage_latency. */
#ifndef UNDERSTUDY_NODE_STORAGE_STORAGE_H
#define UNDERSTUDY_NODE_STORAGE_STORAGE_H

#include "consensus/consensus.h"
#include "node/base/err.h"
#include "node/base/limits.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct storage;

struct storage_config {
    const char *folder;    /* made (mode 0700) when it is missing; its parent must exist */
    const char *node_name; /* written into the lock file, for the message of a second daemon */
    size_t bytes_max;      /* size of the database; 0: STORAGE_BYTES_MAX */
};

#define STORAGE_BYTES_MAX (256u << 20)

/* Lock the folder, open or make the database, check it.
 * ERR_BUSY: another daemon holds the folder, the text names it. ERR_CORRUPT: damaged, the text says
 * what to do. ERR_UNSUPPORTED: written by a newer version. ERR_IO. */
int storage_open(const struct storage_config *config, struct storage **ret, struct err *err);
/* Moves the log into the database file, closes, unlocks. */
void storage_close(struct storage **self_p);

/* The interface that consensus/ asks for; valid until storage_close. Bounds beyond that header:
 * snapshots of at most SNAPSHOT_BYTES_MAX, entries of at most PEER_MESSAGE_BYTES_MAX (ERR_FULL).
 * An append that is not at last index + 1 is ERR_INVALID. A term that goes back is ERR_INVALID, as
 * is a second, different vote in a term. */
void storage_consensus(struct storage *self, struct consensus_storage *ret);

/* Who this folder belongs to. */
struct storage_identity {
    char public_key[PUBLIC_KEY_SIZE]; /* the founding one: Z85 */
    uint64_t raft_id;
    char cluster[NAME_SIZE];
};

/* First call on a fresh folder: keep `identity`. Later: raft_id and cluster must be the same, else
 * ERR_INVALID with both in the text; the key kept stays the founding one (keys may be rotated). */
int storage_identity_claim(struct storage *self, const struct storage_identity *identity,
                           struct err *err);
/* What is kept, or ERR_NOTFOUND. */
int storage_identity(struct storage *self, struct storage_identity *ret, struct err *err);

/* The next incarnation (1 at first), durable before it returns: call once per start, before the
 * first message goes out. */
int storage_incarnation_next(struct storage *self, uint64_t *ret, struct err *err);
/* Durably at least `value` from now on (a refuted rumour raised it). */
int storage_incarnation_raise(struct storage *self, uint64_t value, struct err *err);

/* Show that the disk takes a durable write now: a small one that changes nothing. Counted in the
 * latency. Any error means what it means elsewhere here. */
int storage_prove(struct storage *self, struct err *err);

struct storage_latency {
    uint64_t writes;   /* durable writes so far */
    uint32_t last_us;  /* of the last one, commit and sync together */
    uint32_t worst_us; /* since the last reset */
    uint64_t wal_bytes;
    uint64_t database_bytes;
};

/* Any thread. `reset_worst` starts a new period for worst_us. */
void storage_latency(struct storage *self, bool reset_worst, struct storage_latency *ret);

#endif
