/* Rows of a PM2 list as they are kept to be prepared again: what PM2 was told to run, without what
 * changes by itself (pids, counters, times, measurements). Pure.
 *
 * A row: {name, instance, namespace, pm_id, unique_id, stopped, app}. `app` is the row's pm2_env,
 * environment and secrets included: rows are never logged, observed or replicated. Entries with our
 * mark are left out: they come and go with their grants. */
#ifndef UNDERSTUDY_MANAGERS_PM2_SAVED_H
#define UNDERSTUDY_MANAGERS_PM2_SAVED_H

#include "node/base/err.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#define SAVED_ROWS_MAX 512
#define SAVED_NAME_MAX 255 /* bytes of a name */

/* Of PM2's own list, the result of getMonitorData, in the order of their ids. A new array; NULL
 * when out of memory or when `list` is no array. Rows that could not be prepared again (no name, no
 * program) and those past SAVED_ROWS_MAX are left out. */
json_t *saved_from_list(const json_t *list);

/* Changes with everything that saved_from_list keeps, and costs less. */
uint64_t saved_digest(const json_t *list);

/* True for an array of rows that this header describes: what was read from a file. */
bool saved_is_valid(const json_t *rows);

/* True when both tell PM2 to run the same. Ids, and "stopped" of an entry that also stops by itself
 * (cron, autorestart off, stop codes), do not count. */
bool saved_same(const json_t *a, const json_t *b);

/* Rows of `wanted` that `present` lacks: PM2 may have several of one name and instance, so they are
 * counted. A new array of borrowed rows. */
json_t *saved_missing(const json_t *wanted, const json_t *present);

/* The rows of `present`, and those of `wanted` that it lacks, in the order of `wanted` and then of
 * what is new; a new array. */
json_t *saved_merged(const json_t *wanted, const json_t *present);

/* What became of `before`: ["+new", "-gone", "~other settings", "stopped x", "started x"]. A new
 * array; at most `most` texts, then "and N more". */
json_t *saved_changes(const json_t *before, const json_t *after, size_t most);

const char *saved_name(const json_t *row);
json_t *saved_names(const json_t *rows);        /* of all rows; a new array */
const char *saved_unique_id(const json_t *row); /* "" unknown */
int64_t saved_id(const json_t *row);            /* -1 unknown */
bool saved_stopped(const json_t *row);
int64_t saved_kill_timeout_ms(const json_t *row);

/* The definition for REQUEST_RESTORE; a new object, NULL when out of memory. */
json_t *saved_app(const json_t *row);
/* How long PM2 may take to answer that request. */
int64_t saved_prepare_ms(const json_t *row);

#endif
