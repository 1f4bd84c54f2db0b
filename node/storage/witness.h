/* A small file that says how far the write-ahead log was acknowledged.
 *
 * Written after every commit and not synced: it survives a kill of the process, and after a power
 * failure it may be old but never ahead of the log. So a log that ends before the witness's mark
 * has lost something that was promised. */
#ifndef UNDERSTUDY_NODE_STORAGE_WITNESS_H
#define UNDERSTUDY_NODE_STORAGE_WITNESS_H

#include "node/base/err.h"
#include "node/storage/wal_scan.h"

#include <stdbool.h>
#include <stdint.h>

struct witness {
    uint32_t salt_1; /* generation of the log */
    uint32_t salt_2;
    uint32_t frames; /* acknowledged in it; 0: nothing is in the log that is not in the database */
};

/* True when there is such a file (readable or not). *ret is all zero when it cannot be read. */
bool witness_read(int folder_fd, struct witness *ret);

/* A descriptor for witness_write, or a negative code. Keeps what is in the file. */
int witness_open(int folder_fd, struct err *err);
int witness_write(int fd, const struct witness *witness, bool sync, struct err *err);

/* NULL, or what is wrong with the log in the light of the witness. */
const char *witness_contradicts(const struct witness *witness, const struct wal_scan *scan);

#endif
