/* What was written to a log since a cursor was given.
 *
 * The file at a path may lose its head (our rotation), be emptied, or be replaced by another while
 * the one before lives on under a longer name beside it. Whole lines are told, in order and once,
 * wherever that can be known, and where lines may be missing or come twice, a note says so. A line
 * that has not ended waits. As tail.h, this reads regular files of `owner` alone; a cursor leads to
 * no other file than the log and files beside it whose name begins with the log's. */
#ifndef UNDERSTUDY_MANAGERS_PM2_FOLLOW_H
#define UNDERSTUDY_MANAGERS_PM2_FOLLOW_H

#include "managers/pm2/logs/cuts.h"
#include "managers/pm2/verbs/cursor.h"
#include "node/base/err.h"
#include "node/base/limits.h"

#include <jansson.h>
#include <stdint.h>
#include <sys/types.h>

#define FOLLOW_BYTES_MAX (32 << 10) /* that are read of one file to go on */
#define FOLLOW_SEARCH_MAX 256       /* places looked at for an anchor that has moved */
#define FOLLOW_ENTRIES_MAX 4096     /* of a folder, looked at for a renamed log */

struct follow {
    const char *path;
    uid_t owner;
    struct cuts *cuts;
    int64_t now_ms;   /* CLOCK_BOOTTIME, for `cuts` */
    size_t lines_max; /* to tell when it goes on; > 0 */
};

struct follow_news {
    struct cursor cursor;   /* to go on from */
    json_t *lines;          /* texts are appended; a line cut at TAIL_LINE_MAX ends in FOLLOW_CUT */
    int64_t bytes;          /* size of the file; -1: none was looked at */
    bool more;              /* there are more lines already */
    char note[REASON_SIZE]; /* what happened to the file, before the lines; empty: nothing */
};
#define FOLLOW_CUT " [cut]"

/* The last `lines` whole lines (0: none), or all of a file that was made at since_ms (wall clock)
 * or later.
 *
 * Returns 0; ERR_NOTFOUND: ret->cursor is good for the file that comes; ERR_BUSY: it is being cut,
 * try again; else as tail_take. With the latter two ret->cursor is of no use. */
int follow_begin(const struct follow *self, size_t lines, int64_t since_ms, struct follow_news *ret,
                 struct err *err);

/* The whole lines since `from`. The same errors; on each of them ret->cursor is `from`. */
int follow_go_on(const struct follow *self, const struct cursor *from, struct follow_news *ret,
                 struct err *err);

#endif
