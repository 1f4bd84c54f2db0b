/* What the files of the HTTP side share; not for others. */
#ifndef UNDERSTUDY_NODE_HTTP_HTTP_INTERNAL_H
#define UNDERSTUDY_NODE_HTTP_HTTP_INTERNAL_H

#include "node/base/buffer.h"
#include "node/base/limits.h"
#include "node/http/http.h"

#include <microhttpd.h>
#include <pthread.h>
#include <stdatomic.h>

#define DOCUMENT_PATH_SIZE 64

extern const char http_asset_status_js[];
extern const size_t http_asset_status_js_length;
extern const char http_asset_status_css[];
extern const size_t http_asset_status_css_length;

struct document {
    char path[DOCUMENT_PATH_SIZE];
    char *text;
    size_t length;
};

struct http_snapshot {
    atomic_uint references;
    int64_t published_ms;
    bool ready;
    char reason[REASON_SIZE];
    char leader[NAME_SIZE];
    uint64_t term;
    int64_t may_act_until_ms;
    struct document documents[HTTP_DOCUMENTS_MAX];
    size_t document_count;
    char *metrics;
};

struct event_client;

struct http_events {
    pthread_mutex_t mutex; /* guards all below, and who is suspended */
    struct document *ring; /* path unused */
    uint64_t next_id;      /* of the next event; the first is 1 */
    struct event_client *clients;
    unsigned client_count;
    unsigned client_max;
    uint64_t beat; /* grows when idle clients are to get a sign of life */
    int64_t beat_ms;
    bool stopping;
};

struct http {
    struct MHD_Daemon *daemons[HTTP_LISTENERS_MAX];
    uint16_t ports[HTTP_LISTENERS_MAX];
    size_t daemon_count;
    unsigned connections_max;
    unsigned timeout_s;
    const char *node;
    int64_t (*may_act)(void *context, uint64_t *ret_term);
    void *context;
    pthread_mutex_t mutex; /* guards `current` */
    struct http_snapshot *current;
    int asked_fd;
    atomic_llong asked_ms;
    atomic_llong heartbeat_ms;
    atomic_ullong requests;
    atomic_ullong refused;
    atomic_ullong events_dropped;
    struct http_events events;
};

/* A reference to the current one, made anew when it was old; NULL before the first. HTTP thread. */
struct http_snapshot *http_current(struct http *self);
void http_snapshot_release(struct http_snapshot *self);
const struct document *http_snapshot_find(const struct http_snapshot *self, const char *path);

/* The status page from an envelope's text (NULL: not known yet); false when out of memory. */
bool http_page(const char *status_text, struct buffer *out);

int http_events_init(struct http *self, unsigned client_max);
void http_events_stop(struct http *self);
void http_events_deinit(struct http *self);
void http_events_tick(struct http *self, int64_t now_ms);
/* A response that never ends, or NULL when there are too many clients. last_id: header, or NULL. */
struct MHD_Response *http_events_open(struct http *self, struct MHD_Connection *connection,
                                      const char *last_id);

#endif
