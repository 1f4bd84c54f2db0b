/* Cuts the head off a log that others write to, and keeps it as a rotated file: no line is lost.
 *
 * PM2's own way, renaming the log and asking the daemon to reload its logs, loses lines: it throws
 * away what is still to be written, and writes standard error nowhere until the new file of
 * standard output is open (PM2 5 to 7). So the log stays the file that it is. Its head is copied,
 * packed on the way, and made durable; then the kernel takes whole blocks from the head
 * (FALLOC_FL_COLLAPSE_RANGE), at once and whatever is appended meanwhile. What is left of the last
 * block at the head of the log is overwritten with one line, the filling, which says where the
 * lines before it are.
 *
 * That needs a file system with this operation (ext4, XFS) and writers that append (O_APPEND, as
 * PM2 does). Where one is missing, nothing is touched. Blocks on the disk: not for the loop. */
#ifndef UNDERSTUDY_MANAGERS_PM2_LOGS_CUT_H
#define UNDERSTUDY_MANAGERS_PM2_LOGS_CUT_H

#include "node/base/err.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define CUT_BYTES_MAX (INT64_C(128) << 20) /* of one cut, so that a huge log needs little room */
#define CUT_NAME_SIZE 256

struct cuts;

struct cut {
    int folder;       /* of the log, open */
    const char *name; /* of the log in it */
    uid_t owner;      /* who must own it */
    const char *to;   /* name of the rotated file, without .gz; it and its .part do not exist */
    bool compress;
    const pid_t *writers; /* who may hold the log open */
    size_t writer_count;
    const atomic_bool *may; /* false: leave off at once, nothing has happened then */
    struct cuts *cuts;      /* told of the cut (cuts.h); NULL: nobody follows logs */
};

struct cut_result {
    int64_t cut_bytes; /* what went into the rotated file */
    int64_t left_bytes;
    int64_t filling_bytes;           /* at the head of the log */
    char rotated[CUT_NAME_SIZE + 8]; /* its name in the folder */
};

/* ERR_NOTFOUND: there is nothing to cut; ERR_DENIED: no regular file of that owner, or of several
 * names; ERR_UNSUPPORTED: by the file system; ERR_UNSAFE: a writer does not append; ERR_BUSY:
 * another cuts it; ERR_STALE: it was replaced or emptied meanwhile; ERR_CLOSED: may not any more;
 * ERR_IO, ERR_FULL: no room on the disk; ERR_NOMEM. On each of them the log is as it was and the
 * rotated file does not exist. */
int cut_log(const struct cut *cut, struct cut_result *ret, struct err *err);

/* How long the filling is at the head of a log; 0: it begins with the log's own lines. */
size_t cut_filling(const char *head, size_t length);
#define CUT_FILLING_MAX 65536

#endif
