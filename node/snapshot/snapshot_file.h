/* A file with the replicated state as one node had it: `snapshot save` writes it, and what needs no
 * node (`snapshot inspect`, `why ... --snapshot FILE`) reads it. Bytes in, bytes out; no input or
 * output here.
 *
 *     offset  bytes
 *     0       16     "understudy-state"
 *     16      4      version of this format, lowest byte first (as all numbers here)
 *     20      4      H, bytes of the header
 *     24      H      header: msgpack [cluster, cluster id, node, program version, term, index,
 *                    wall time in ms, stale, bytes of the state, checksum of the state]
 *     24 + H  8      checksum of all before it
 *     32 + H         the state (consensus/state.h, state_snapshot), up to the end of the file
 *
 * Checksums are FNV-1a (node/storage/checksum.h): against decay, torn copies and mix-ups, not
 * against people. The header may grow at its end; what an older program could not read past raises
 * the version. The replicated state holds no secret, so neither does the file. */
#ifndef UNDERSTUDY_NODE_SNAPSHOT_SNAPSHOT_FILE_H
#define UNDERSTUDY_NODE_SNAPSHOT_SNAPSHOT_FILE_H

#include "node/base/err.h"
#include "node/base/limits.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SNAPSHOT_FILE_VERSION 1
#define SNAPSHOT_FILE_HEADER_MAX 4096
#define SNAPSHOT_FILE_BYTES_MAX (SNAPSHOT_BYTES_MAX + SNAPSHOT_FILE_HEADER_MAX + 32)
#define SNAPSHOT_PROGRAM_SIZE 32

/* What the header tells. */
struct snapshot_about {
    char cluster[NAME_SIZE];
    uint32_t cluster_id;                 /* transport_cluster_id() */
    char node[NAME_SIZE];                /* that had the state */
    char program[SNAPSHOT_PROGRAM_SIZE]; /* version of that node */
    uint64_t term;                       /* as that node knew it */
    uint64_t index;                      /* of the log: all up to it is in the state */
    int64_t saved_wall_ms;               /* that node's clock, when it took the state */
    bool stale;                          /* that node had no quorum then */
    uint64_t checksum;                   /* of the state; filled in by encoding */
};

/* The whole file, malloc'd; the caller frees. 0, ERR_FULL (the state is too large), ERR_NOMEM. */
int snapshot_file_encode(const struct snapshot_about *about, const uint8_t *state, size_t length,
                         uint8_t **ret, size_t *ret_length, struct err *err);

/* Read the file's bytes; *ret_state points into them.
 *
 * 0; ERR_INVALID: it is no such file; ERR_UNSUPPORTED: of a newer format; ERR_CORRUPT: cut short,
 * too long, or changed (the message says where). What the state's own bytes hold is not looked at:
 * that is state_restore's. */
int snapshot_file_decode(const uint8_t *bytes, size_t length, struct snapshot_about *ret,
                         const uint8_t **ret_state, size_t *ret_length, struct err *err);

#endif
