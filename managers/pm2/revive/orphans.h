/* Processes of a kept entry (lists/saved.h) that outlived their daemon. PM2 cannot take them back:
 * each is ended right before its entry is prepared again, as PM2 would end it: SIGINT to it and to
 * all below it, after kill_timeout SIGKILL.
 *
 * A process is one of the entry's when it carries the unique_id that PM2 gave the entry, or, where
 * that is not known, this home, the entry's name and its id; and what descends from such a one.
 * Never one below the daemon that is up now, never one that runs under our guard, which ends with
 * its grant. Signals go through a pidfd, taken before the identity was read again. */
#ifndef UNDERSTUDY_MANAGERS_PM2_ORPHANS_H
#define UNDERSTUDY_MANAGERS_PM2_ORPHANS_H

#include "managers/pm2/watch/process.h"

#include <jansson.h>
#include <stddef.h>

#define ORPHANS_MAX 128 /* processes of one entry */
#define ORPHANS_KILLED_MS 5000

struct orphans {
    size_t count;
    struct process processes[ORPHANS_MAX];
};

/* Looks at every process of the machine. `god_pid`: the daemon that is up; 0: none. *ret need not
 * be set before; ended with orphans_drop. */
void orphans_find(const char *home, const json_t *row, int64_t god_pid, struct orphans *ret);
void orphans_signal(const struct orphans *self, int number);
bool orphans_live(const struct orphans *self);
void orphans_drop(struct orphans *self);

/* What orphans_find goes by, of the environment of one process (pairs ended by NUL). Pure. */
bool orphans_is_of(const char *environment, size_t length, const char *home, const json_t *row);

#endif
