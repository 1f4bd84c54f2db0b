/* Server-sent events: one ring for all clients, each with a place of its own in it. A client that
 * has nothing to read is suspended; its connection costs nothing until the next event. */
#include "node/http/http_internal.h"

#include "node/base/doc.h"
#include "node/base/invariant.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RING_EVENTS 256
#define BEAT_MS 15000 /* a comment to idle clients: finds those that went away */

struct event_client {
    struct event_client *next;
    struct http *http;
    struct MHD_Connection *connection;
    bool suspended;
    uint64_t next_id; /* the event that it gets next */
    uint64_t beat;
    char *text; /* on its way to the client */
    size_t length;
    size_t sent;
};

int http_events_init(struct http *self, unsigned client_max)
{
    struct http_events *events = &self->events;
    (void)pthread_mutex_init(&events->mutex, NULL);
    events->ring = calloc(RING_EVENTS, sizeof *events->ring);
    events->next_id = 1;
    events->client_max = client_max;
    return events->ring == NULL ? ERR_NOMEM : 0;
}

void http_events_deinit(struct http *self)
{
    struct http_events *events = &self->events;
    invariant(events->clients == NULL);
    for (size_t i = 0; events->ring != NULL && i < RING_EVENTS; i++) {
        free(events->ring[i].text);
    }
    free(events->ring);
    events->ring = NULL;
    (void)pthread_mutex_destroy(&events->mutex);
}

/* With the mutex held. */
static void wake_all(struct http_events *events)
{
    for (struct event_client *at = events->clients; at != NULL; at = at->next) {
        if (at->suspended) {
            at->suspended = false;
            MHD_resume_connection(at->connection);
        }
    }
}

void http_events_stop(struct http *self)
{
    struct http_events *events = &self->events;
    (void)pthread_mutex_lock(&events->mutex);
    events->stopping = true;
    wake_all(events);
    (void)pthread_mutex_unlock(&events->mutex);
}

void http_events_tick(struct http *self, int64_t now_ms)
{
    struct http_events *events = &self->events;
    (void)pthread_mutex_lock(&events->mutex);
    if (now_ms - events->beat_ms >= BEAT_MS) {
        events->beat_ms = now_ms;
        events->beat++;
        wake_all(events);
    }
    (void)pthread_mutex_unlock(&events->mutex);
}

void http_event(struct http *self, const json_t *envelope)
{
    struct http_events *events = &self->events;
    char *text = doc_dump(envelope);
    if (text == NULL) {
        (void)atomic_fetch_add(&self->events_dropped, 1);
        return;
    }
    (void)pthread_mutex_lock(&events->mutex);
    struct document *slot = &events->ring[events->next_id % RING_EVENTS];
    free(slot->text);
    slot->text = text;
    slot->length = strlen(text);
    events->next_id++;
    wake_all(events);
    (void)pthread_mutex_unlock(&events->mutex);
}

static uint64_t oldest_id(const struct http_events *events)
{
    return events->next_id > RING_EVENTS ? events->next_id - RING_EVENTS : 1;
}

/* The next text for the client, with the mutex held; NULL when there is none. */
static char *next_text(struct event_client *client, uint64_t *ret_dropped)
{
    struct http_events *events = &client->http->events;
    char *text = NULL;
    int rc = -1;
    *ret_dropped = 0;
    if (client->next_id < oldest_id(events)) {
        *ret_dropped = oldest_id(events) - client->next_id;
        client->next_id = oldest_id(events);
        rc = asprintf(&text, "event: dropped\ndata: {\"dropped\":%" PRIu64 "}\n\n", *ret_dropped);
    } else if (client->next_id < events->next_id) {
        const struct document *slot = &events->ring[client->next_id % RING_EVENTS];
        rc = asprintf(&text, "id: %" PRIu64 "\ndata: %s\n\n", client->next_id, slot->text);
        client->next_id++;
    } else if (client->beat != events->beat) {
        rc = asprintf(&text, ": here\n\n");
    }
    client->beat = events->beat;
    return rc < 0 ? NULL : text;
}

static bool fill(struct event_client *client)
{
    struct http_events *events = &client->http->events;
    uint64_t dropped = 0;
    (void)pthread_mutex_lock(&events->mutex);
    bool stopping = events->stopping;
    if (!stopping) {
        client->text = next_text(client, &dropped);
        client->length = client->text == NULL ? 0 : strlen(client->text);
        client->sent = 0;
        if (client->text == NULL) {
            client->suspended = true;
            MHD_suspend_connection(client->connection);
        }
    }
    (void)pthread_mutex_unlock(&events->mutex);
    (void)atomic_fetch_add(&client->http->events_dropped, dropped);
    return !stopping;
}

static ssize_t read_events(void *context, uint64_t position, char *buffer, size_t size)
{
    struct event_client *client = context;
    (void)position;
    if (client->text == NULL && !fill(client)) {
        return MHD_CONTENT_READER_END_OF_STREAM;
    }
    if (client->text == NULL) {
        return 0; /* suspended */
    }
    size_t count = client->length - client->sent;
    count = count < size ? count : size;
    memcpy(buffer, client->text + client->sent, count);
    client->sent += count;
    if (client->sent == client->length) {
        free(client->text);
        client->text = NULL;
    }
    return (ssize_t)count;
}

static void close_client(void *context)
{
    struct event_client *client = context;
    struct http_events *events = &client->http->events;
    (void)pthread_mutex_lock(&events->mutex);
    struct event_client **at = &events->clients;
    while (*at != NULL && *at != client) {
        at = &(*at)->next;
    }
    if (*at == client) {
        *at = client->next;
        events->client_count--;
    }
    (void)pthread_mutex_unlock(&events->mutex);
    free(client->text);
    free(client);
}

/* Where the client goes on: after the last event that it had, or with the next one. */
static uint64_t first_id(const struct http_events *events, const char *last_id)
{
    if (last_id == NULL || last_id[0] < '0' || last_id[0] > '9') {
        return events->next_id;
    }
    uint64_t last = strtoull(last_id, NULL, 10);
    return last < events->next_id ? last + 1 : events->next_id;
}

struct MHD_Response *http_events_open(struct http *self, struct MHD_Connection *connection,
                                      const char *last_id)
{
    struct http_events *events = &self->events;
    struct event_client *client = calloc(1, sizeof *client);
    if (client == NULL) {
        return NULL;
    }
    client->http = self;
    client->connection = connection;
    /* Something at once, so that the client sees the stream open. */
    client->text = strdup("retry: 2000\n\n");
    client->length = client->text == NULL ? 0 : strlen(client->text);
    (void)pthread_mutex_lock(&events->mutex);
    bool taken = !events->stopping && events->client_count < events->client_max;
    if (taken) {
        client->next_id = first_id(events, last_id);
        client->beat = events->beat;
        client->next = events->clients;
        events->clients = client;
        events->client_count++;
    }
    (void)pthread_mutex_unlock(&events->mutex);
    struct MHD_Response *response =
        taken ? MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, 4096, read_events, client,
                                                  close_client)
              : NULL;
    if (response == NULL) {
        close_client(client);
    }
    return response;
}
