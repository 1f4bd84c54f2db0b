/* The journal of a home's process list: each wish that wanted.h tells from PM2's lists is a version
 * on disk, the last LISTS_KEPT of them stay.
 *
 * A change is on disk within a second of the list that shows it (what is gone from a list is a
 * change only after WANTED_HOLD_MS). The files hold the apps' environments, so they are readable to
 * their owner only: DATA_DIR/lists/HOME/NUMBER. They are written by a short-lived child to another
 * name, synced and renamed, so that neither the loop nor a reader waits for a disk.
 *
 * For the commands: lists_versions tells of the versions, lists_rows gives the rows of one, and
 * restore.h prepares them. Loop thread. */
#ifndef UNDERSTUDY_MANAGERS_PM2_LISTS_H
#define UNDERSTUDY_MANAGERS_PM2_LISTS_H

#include "managers/common/runtime.h"
#include "managers/pm2/findings.h"
#include "managers/pm2/lists/wanted.h"

#define LISTS_KEPT 30
#define LISTS_WRITE_MS 700    /* changes that come together are one version */
#define LISTS_EMPTIED_MS 3000 /* an empty list is told when it stays so */
#define LISTS_LOST_MS 15000   /* `pm2 resurrect` may still be at work */
#define LISTS_TIDIED_MS 60000 /* so long after `pm2 kill` it is no shutdown of the machine */

struct lists;

/* Reads what is kept of `home` below data_dir, which is the manager's own and 0700. A damaged file
 * is skipped, with a line in the log; so is a folder that cannot be made.
 * ERR_NOMEM. */
int lists_open(struct runtime *runtime, const char *data_dir, const char *home, struct lists **ret,
               struct err *err);
/* What waits to be written is written first. */
void lists_close(struct lists **self_p);

/* PM2's own list, of the daemon `life` (god_life). */
void lists_take(struct lists *self, const json_t *list, uint64_t life, int64_t now_ms);
/* An entry of that name is a duty of ours from now on (a guarded primary): its grant starts it. */
void lists_leave_out(struct lists *self, const char *name);
/* From time to time: writes what is due. `tidied`: the home has no daemon, and no sockets. */
void lists_step(struct lists *self, bool tidied, int64_t now_ms);
/* What of it people must know: a list that was emptied, entries that were lost. While entries are
 * being prepared again nothing is said. */
void lists_say(struct lists *self, struct findings *findings, bool daemon_is_up, int64_t now_ms);

/* What is known of the daemon and outlives it, as the revival needs it (revive/facts.h). */
void lists_set_daemon(struct lists *self, json_t *daemon); /* stolen */
const json_t *lists_daemon(const struct lists *self);      /* NULL unknown; borrowed */

/* Rows (saved.h) of the wanted list, NULL when none is known; borrowed until the next call. */
const json_t *lists_wanted(const struct lists *self);
/* The daemon was ended by a person, or there has been none yet. */
bool lists_is_tidied(const struct lists *self);
/* The newest version is of an earlier life of this machine. */
bool lists_is_of_another_boot(const struct lists *self);

/* Newest first: [{number, time, processes, names, changed, current}], `changed` as
 * saved_changes. Holds no secrets. NULL when out of memory. */
json_t *lists_versions(const struct lists *self);
/* The rows of a version, 0: of the wanted list. A new reference. ERR_NOTFOUND; ERR_CORRUPT. */
int lists_rows(const struct lists *self, int64_t number, json_t **ret, struct err *err);

#endif
