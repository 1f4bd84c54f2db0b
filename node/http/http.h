/* The HTTP side of a node: probes, metrics, the command line's documents, events, a status page.
 *
 * Runs on threads of its own (libmicrohttpd) and reads immutable snapshots that the loop
 * publishes. A request that finds the snapshot older than HTTP_FRESH_MS asks the loop for a new one
 * and waits for it for HTTP_WAIT_MS at most, so that a node nobody looks at need not build any.
 * Read-only: GET and HEAD.
 *
 * Functions are for the loop thread unless they say otherwise. */
#ifndef UNDERSTUDY_NODE_HTTP_HTTP_H
#define UNDERSTUDY_NODE_HTTP_HTTP_H

#include "node/base/err.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HTTP_DOCUMENTS_MAX 32     /* in one snapshot */
#define HTTP_FRESH_MS 2000        /* a snapshot older than this is asked for anew */
#define HTTP_WAIT_MS 250          /* and then shown as it is */
#define HTTP_LIVE_WITHIN_MS 10000 /* loop heartbeat older than this: /livez fails */

struct http;
struct http_snapshot;

struct http_config {
    const char *address;        /* IPv4 or IPv6 literal to bind, NULL: 127.0.0.1 */
    uint16_t port;              /* 0: any free port, see http_port */
    unsigned connections_max;   /* 0: 128 */
    unsigned event_clients_max; /* 0: 32; further ones get 503 */
    unsigned timeout_s;         /* idle connections; 0: 15 */
    const char *node; /* own name, for /leader; borrowed for as long as the server lives */
    /* The end of this node's right to act, CLOCK_BOOTTIME ms, 0 or past when it has none, with the
     * term that the right belongs to; called at each request for /leader, from any thread. NULL:
     * the snapshot's values are used. */
    int64_t (*may_act)(void *context, uint64_t *ret_term);
    void *context;
};

/* Bind and serve. ERR_BUSY when the port is in use (the message names it), ERR_INVALID for a bad
 * address, ERR_IO. */
int http_create(const struct http_config *config, struct http **ret, struct err *err);
void http_destroy(struct http **self_p);
uint16_t http_port(const struct http *self); /* of the first address */

#define HTTP_LISTENERS_MAX 4

/* Serve the same on a further address. Errors as http_create; ERR_FULL past HTTP_LISTENERS_MAX. */
int http_listen(struct http *self, const char *address, uint16_t port, struct err *err);

/* The loop moves: call at least once a second. Any thread. */
void http_heartbeat(struct http *self, int64_t now_ms);

/* ---- snapshots: built by one thread, immutable once published ---- */

/* One reference, the caller's. NULL when out of memory. */
struct http_snapshot *http_snapshot_create(void);
void http_snapshot_destroy(struct http_snapshot **self_p); /* drop an unpublished one */

/* /readyz: ready or why not (copied, may be NULL). */
void http_snapshot_set_ready(struct http_snapshot *self, bool ready, const char *reason);

/* /leader: the term and until when this node may act (CLOCK_BOOTTIME ms; 0: not at all), and who
 * leads as far as known (copied, NULL: unknown). */
void http_snapshot_set_leader(struct http_snapshot *self, const char *leader, uint64_t term,
                              int64_t may_act_until_ms);

/* /api/v1/PATH with the whole envelope (borrowed). path: the verb's words joined with "/", e.g.
 * "status", "leader/history". ERR_FULL, ERR_NOMEM. The page shows "status". */
int http_snapshot_set_document(struct http_snapshot *self, const char *path, const json_t *envelope,
                               struct err *err);

/* /metrics: text of node/http/metrics.h, taken; with its "# EOF". */
void http_snapshot_set_metrics(struct http_snapshot *self, char *text_take);

/* Readable when a request asked for a new snapshot, until http_publish(). */
int http_asked_fd(const struct http *self);
/* When a request last needed a snapshot, CLOCK_BOOTTIME ms; 0: never. */
int64_t http_asked_ms(const struct http *self);

/* Make it the current one; takes the reference. Readers of the former finish with it. */
void http_publish(struct http *self, struct http_snapshot **snapshot_take);

/* Tell an event to all clients of /api/v1/events: an envelope, borrowed, sent as one
 * server-sent event with an id. Those that do not keep up lose the oldest and are told how many. */
void http_event(struct http *self, const json_t *envelope);

struct http_counters {
    uint64_t requests;
    uint64_t refused; /* method, unknown path, bound reached; connections without a whole request */
    uint64_t events_dropped;
    unsigned event_clients; /* now */
};
void http_counters(struct http *self, struct http_counters *ret);

#endif
