/* Events: what happened on this node, for logs, `events --follow`, the dashboard and alerts.
 *
 * A ring of the latest EVENTS_KEPT; each event is written to the log as well. Loop thread. */
#ifndef UNDERSTUDY_NODE_DAEMON_EVENTS_H
#define UNDERSTUDY_NODE_DAEMON_EVENTS_H

#include "node/log/log.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

struct events;

#define EVENTS_KEPT 2000

struct events *events_create(const char *node, struct log *log);
void events_destroy(struct events **self_p);

/* Add one. kind: a stable name ("leader.elected"); `fields`: extra members, taken, may be NULL. */
void events_add(struct events *self, enum log_level level, uint64_t term, const char *kind,
                json_t *fields_take, const char *format, ...) __attribute__((format(printf, 6, 7)));

/* Called for each new event with its document (borrowed): {time, node, term, kind, level, message,
 * boot_ms (this host's CLOCK_BOOTTIME, which no one sets), fields...}. At most EVENTS_WATCHERS_MAX;
 * false when there is no room. */
#define EVENTS_WATCHERS_MAX 64
typedef void events_watcher(void *context, const json_t *event);
bool events_watch(struct events *self, events_watcher *watcher, void *context);
void events_unwatch(struct events *self, events_watcher *watcher, void *context);

/* The kept event at position 0 (oldest) and up, borrowed; NULL past the end. */
const json_t *events_at(const struct events *self, size_t position, int64_t *ret_wall_ms);

#endif
