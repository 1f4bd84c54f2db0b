/* Documents about scheduled work, for the verbs schedule, run and ticks. */
#ifndef UNDERSTUDY_NODE_DAEMON_DOCUMENTS_WORK_H
#define UNDERSTUDY_NODE_DAEMON_DOCUMENTS_WORK_H

#include "node/base/doc.h"
#include "node/base/err.h"

#include <stddef.h>
#include <stdint.h>

struct node;

#define WORK_ROWS_DEFAULT 100 /* of a list, when no limit is asked for */
#define WORK_ROWS_MAX 2000

/* Schedules behind the id `after` (NULL: from the first), at most `limit`. */
json_t *document_schedules(struct node *self, const char *after, size_t limit);
/* One schedule with its next slots; NULL: there is none. */
json_t *document_schedule(struct node *self, const char *id);
/* The next slots of all schedules (or of `id`), in order of time. ERR_NOTFOUND. */
int document_next(struct node *self, const char *id, size_t limit, json_t **ret, struct err *err);

/* Runs: those under way, then the ended from the newest; of `schedule` alone when it is not NULL,
 * with that outcome alone when `outcome` is not NULL. */
json_t *document_runs(struct node *self, const char *schedule, const char *outcome, size_t limit);
/* NULL: there is no such run (any more). */
json_t *document_run(struct node *self, const char *id);

#endif
