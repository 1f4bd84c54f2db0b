/* Reads SQLite's write-ahead log by itself, before SQLite does.
 *
 * SQLite takes the first frame whose checksum is wrong for the end of the log and drops the rest
 * without a word; for a torn write that is right, for decayed bytes it would lose acknowledged
 * commits. Format: https://www.sqlite.org/fileformat2.html section 4. */
#ifndef UNDERSTUDY_NODE_STORAGE_WAL_SCAN_H
#define UNDERSTUDY_NODE_STORAGE_WAL_SCAN_H

#include "node/base/err.h"

#include <stdbool.h>
#include <stdint.h>

struct wal_scan {
    bool empty;        /* no file, or no bytes, or a header that was never written */
    bool header_valid; /* else nothing below means anything */
    uint32_t salt_1;   /* grows by one with each new generation of the log */
    uint32_t salt_2;
    uint32_t committed_frames; /* up to the last commit that SQLite will see */
    /* Frames of this generation follow behind a commit that SQLite will not see: something that was
     * synced before they were written is damaged. */
    bool lost_commit;
};

/* Reads FOLDER/`name`. 0, ERR_IO or ERR_NOMEM; damage is told in *ret. */
int wal_scan(int folder_fd, const char *name, struct wal_scan *ret, struct err *err);

/* Only the salts of a log in use; ERR_IO when there is no whole header. */
int wal_scan_salts(int folder_fd, const char *name, uint32_t *ret_salt_1, uint32_t *ret_salt_2,
                   struct err *err);

#endif
