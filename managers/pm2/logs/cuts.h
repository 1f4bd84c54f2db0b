/* What this process cut off the heads of logs that somebody follows.
 *
 * A cut moves all that is left of a file to lower offsets. Who reads on where he stopped needs a
 * position that a cut does not move: its offset plus all that was cut since the file is known here.
 * And a cut takes lines that nobody has read yet, so the last of them are kept for a time.
 *
 * Bounds: CUTS_FILES_MAX files, CUTS_TAIL_BYTES of each, and what was not asked for within
 * CUTS_KEEP_MS is forgotten; a file that comes again after that has another `life`. Any thread;
 * what is marked so, between cuts_lock or cuts_try_lock and cuts_unlock. */
#ifndef UNDERSTUDY_MANAGERS_PM2_LOGS_CUTS_H
#define UNDERSTUDY_MANAGERS_PM2_LOGS_CUTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#define CUTS_FILES_MAX 64
#define CUTS_TAIL_BYTES (256 << 10)
#define CUTS_KEEP_MS 60000

struct cuts;

struct cuts_file {
    uint32_t life;      /* of what is told here, never 0: positions of another one mean nothing */
    int64_t bytes;      /* that were cut in it */
    int64_t filling;    /* offset of the first line of its own after the latest cut */
    int64_t tail_begin; /* position (offset + bytes) of the lines in `tail` */
    int64_t tail_end;
    const char *tail;
};

/* seed: for the lives, another one in each process. NULL: out of memory. */
struct cuts *cuts_create(uint64_t seed);
void cuts_destroy(struct cuts **self_p);

/* While it is held, no log that is followed is cut. A cut holds it for as long as the disk takes:
 * the loop may only try. */
void cuts_lock(struct cuts *self);
bool cuts_try_lock(struct cuts *self);
void cuts_unlock(struct cuts *self);

/* Locked. From now on for CUTS_KEEP_MS its cuts are remembered; what is known of it. NULL: too many
 * are followed. Borrowed until the lock goes. */
const struct cuts_file *cuts_follow(struct cuts *self, const struct stat *file, int64_t now_ms);

/* Locked. Somebody else emptied or cut it: what was known of it means nothing any more. As
 * cuts_follow. */
const struct cuts_file *cuts_renew(struct cuts *self, const struct stat *file, int64_t now_ms);

/* Locked. Whether anybody follows it. */
bool cuts_followed(const struct cuts *self, const struct stat *file);

struct cuts_cut {
    int64_t to;       /* the lines before this offset are gone */
    int64_t collapse; /* bytes by which the rest moved */
    int64_t filling;
    const char *last; /* all lines that are gone, or their last CUTS_TAIL_BYTES */
    size_t length;
};

/* Locked, after the cut. */
void cuts_note(struct cuts *self, const struct stat *file, const struct cuts_cut *cut);

/* Forgets what nobody asks for: call it now and then. Does not wait. */
void cuts_expire(struct cuts *self, int64_t now_ms);

#endif
