/* The last lines of a log file that a user's PM2 names. That user may name any path: what is not a
 * regular file of the same user is not read, as this program may have more rights. */
#ifndef UNDERSTUDY_MANAGERS_PM2_TAIL_H
#define UNDERSTUDY_MANAGERS_PM2_TAIL_H

#include "node/base/err.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

#define TAIL_BYTES_MAX (64 << 10) /* that are read of one file, from its end */
#define TAIL_LINE_MAX 4096        /* bytes of a line; the rest is cut off */

/* Append at most `lines_max` texts to `ret`, the oldest first. A last line without its end counts;
 * a first one without its beginning does not, unless it is all there is. Bytes that are no text are
 * mended. *ret_bytes: size of the file.
 *
 * Returns 0; ERR_NOTFOUND: there is no such file; ERR_DENIED: not regular, or not `owner`'s;
 * ERR_IO; ERR_NOMEM. */
int tail_take(const char *path, uid_t owner, size_t lines_max, json_t *ret, int64_t *ret_bytes,
              struct err *err);

/* ---- for follow.h ---- */

/* The file at `path` below `folder` (AT_FDCWD: the present one) for reading, if it may be read.
 * *ret: what it is, also with ERR_DENIED. Errors as above. */
int tail_open(int folder, const char *path, uid_t owner, struct stat *ret, int *ret_fd,
              struct err *err);

/* Append one line, at most `length_max` bytes of it; the byte behind them is written to. */
void tail_add_line(json_t *ret, char *line, size_t length, size_t length_max);

/* Append the last `lines` > 0 lines of a text; whole: it has its beginning. text[length] is
 * written to. */
void tail_split(json_t *ret, char *text, size_t length, size_t lines, bool whole);

#endif
