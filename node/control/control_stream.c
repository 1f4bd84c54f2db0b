/* Streams: items wait in a bounded ring while a client is slow; the oldest are dropped. */
#include "node/control/control_internal.h"

#include "node/base/clock.h"
#include "node/base/doc.h"

#include <errno.h>
#include <stdlib.h>

void stream_queue_free(struct control_request *request)
{
    if (request->queue == NULL) {
        return;
    }
    for (size_t i = 0; i < request->queue_count; i++) {
        size_t at = (request->queue_first + i) % request->control->stream_queue_max;
        free(request->queue[at].bytes);
    }
    free(request->queue);
    request->queue = NULL;
}

static void drop_oldest(struct control_request *request)
{
    free(request->queue[request->queue_first].bytes);
    request->queue_first = (request->queue_first + 1) % request->control->stream_queue_max;
    request->queue_count--;
}

/* An errno, as wire_send. */
static int send_item(const struct control_request *request, const struct item *item)
{
    struct mp_writer reply;
    mp_writer_init(&reply, CONTROL_MESSAGE_BYTES_MAX + 256);
    wire_put_result(&reply, request->id, true, EXIT_DONE, request->dropped, item->bytes,
                    item->length);
    int rc = mp_writer_ok(&reply) ? wire_send(&request->client, &reply.buffer) : ENOMEM;
    mp_writer_deinit(&reply);
    return rc;
}

static int send_end(const struct control_request *request, bool more)
{
    struct mp_writer reply;
    mp_writer_init(&reply, 256);
    wire_put_end(&reply, request->id, more,
                 !more && request->last_stale ? EXIT_NO_QUORUM : EXIT_DONE);
    int rc = mp_writer_ok(&reply) ? wire_send(&request->client, &reply.buffer) : ENOMEM;
    mp_writer_deinit(&reply);
    return rc;
}

bool stream_flush(struct control_request *request)
{
    int rc = 0;
    while (rc == 0 && request->queue_count > 0) {
        rc = send_item(request, &request->queue[request->queue_first]);
        if (rc == 0) {
            request->dropped = 0;
            drop_oldest(request);
        }
    }
    if (rc == 0 && request->ending) {
        rc = send_end(request, false);
        if (rc == 0) {
            request_finished(request, request->last_stale ? EXIT_NO_QUORUM : EXIT_DONE);
            request_free(request);
            return false;
        }
    }
    if (rc == EHOSTUNREACH) {
        request_close(request);
        return false;
    }
    return true;
}

static bool enqueue(struct control_request *request, const json_t *document)
{
    struct control *self = request->control;
    if (request->queue == NULL) {
        request->queue = calloc(self->stream_queue_max, sizeof *request->queue);
        if (request->queue == NULL) {
            return false;
        }
    }
    struct mp_writer body;
    mp_writer_init(&body, CONTROL_MESSAGE_BYTES_MAX);
    struct item item = {0};
    if (doc_to_msgpack(document, &body, NULL) == 0) {
        item.bytes = buffer_take(&body.buffer, &item.length);
    }
    mp_writer_deinit(&body);
    if (item.bytes == NULL) {
        return false;
    }
    if (request->queue_count == self->stream_queue_max) {
        drop_oldest(request);
        request->dropped++;
        self->counters.dropped++;
    }
    request->queue[(request->queue_first + request->queue_count) % self->stream_queue_max] = item;
    request->queue_count++;
    return true;
}

void stream_put(struct control_request *request, const json_t *document, bool stale)
{
    request->begun = true;
    request->last_stale = stale;
    if (document == NULL || !enqueue(request, document)) {
        request->dropped++;
        request->control->counters.dropped++;
    }
    /* A client that is gone is found by the timer: here the handler still holds the request. */
    while (request->queue_count > 0 &&
           send_item(request, &request->queue[request->queue_first]) == 0) {
        request->dropped = 0;
        drop_oldest(request);
    }
    if (request->queue_count > 0) {
        control_timer_start(request->control);
    }
}

void control_stream_item(struct control_request *request, json_t *data_take)
{
    bool stale = request_is_stale(request);
    json_t *document = request_envelope(request, data_take, stale);
    if (request->origin == ORIGIN_SOCKET) { /* nothing else streams */
        stream_put(request, document, stale);
    }
    json_decref(document);
}

void control_stream_end(struct control_request *request)
{
    struct control *self = request->control;
    if (request->origin != ORIGIN_SOCKET) {
        struct failure failure;
        failure_set(&failure, "invalid", EXIT_USAGE, NULL, "%s: streams are not passed on",
                    request->verb->words);
        request_fail(request, &failure);
        return;
    }
    if (!request->begun) {
        request->last_stale = request_is_stale(request);
    }
    request->ending = true;
    request->deadline_ms = clock_boot_ms() + ENDING_LINGER_MS;
    if (stream_flush(request)) {
        control_timer_start(self);
    }
}

void streams_probe(struct control *self)
{
    struct control_request *next = NULL;
    for (struct control_request *at = self->requests; at != NULL; at = next) {
        next = at->next;
        if (at->origin == ORIGIN_SOCKET && at->streams && at->queue_count == 0 && !at->ending &&
            send_end(at, true) == EHOSTUNREACH) {
            request_close(at);
        }
    }
}
