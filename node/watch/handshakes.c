#include "node/watch/handshakes.h"

#include "node/watch/watch.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Events that wait while the loop is busy; past it libzmq's own thread would wait for us. */
#define EVENTS_MAX 20000
#define GRACE_MS 1000 /* libzmq's timer and ours */

struct handshakes {
    void *listener;
    void *events;
    struct watch *watch;
    int64_t settled_after_ms;
    uint64_t accepted;
    uint64_t through;
    uint64_t failed;
    /* Whoever was accepted before the mark has settled when settled_after_ms has passed since. */
    uint64_t accepted_at_mark;
    int64_t marked_ms;
};

static void on_event(void *context, void *socket)
{
    struct handshakes *self = context;
    zmq_msg_t part;
    (void)zmq_msg_init(&part);
    if (zmq_msg_recv(&part, socket, ZMQ_DONTWAIT) >= 0) {
        uint16_t event = 0;
        if (zmq_msg_size(&part) >= sizeof event) {
            memcpy(&event, zmq_msg_data(&part), sizeof event);
        }
        self->accepted += event == ZMQ_EVENT_ACCEPTED ? 1 : 0;
        self->through += event == ZMQ_EVENT_HANDSHAKE_SUCCEEDED ? 1 : 0;
        while (zmq_msg_more(&part) != 0 && zmq_msg_recv(&part, socket, ZMQ_DONTWAIT) >= 0) {
        }
    }
    (void)zmq_msg_close(&part);
}

uint64_t handshakes_failed(struct handshakes *self, int64_t now_ms)
{
    if (self == NULL) {
        return 0;
    }
    if (now_ms - self->marked_ms >= self->settled_after_ms) {
        if (self->accepted_at_mark > self->through + self->failed) {
            self->failed = self->accepted_at_mark - self->through;
        }
        self->accepted_at_mark = self->accepted;
        self->marked_ms = now_ms;
    }
    return self->failed;
}

static int open_events(struct handshakes *self, void *zmq_context, struct err *err)
{
    char endpoint[64];
    int queue = EVENTS_MAX;
    int zero = 0;
    (void)snprintf(endpoint, sizeof endpoint, "inproc://handshakes-%" PRIxPTR, (uintptr_t)self);
    self->events = zmq_socket(zmq_context, ZMQ_PAIR);
    if (self->events == NULL ||
        zmq_setsockopt(self->events, ZMQ_RCVHWM, &queue, sizeof queue) != 0 ||
        zmq_setsockopt(self->events, ZMQ_LINGER, &zero, sizeof zero) != 0 ||
        zmq_socket_monitor(self->listener, endpoint,
                           ZMQ_EVENT_ACCEPTED | ZMQ_EVENT_HANDSHAKE_SUCCEEDED) != 0 ||
        zmq_connect(self->events, endpoint) != 0) {
        return err_set(err, ERR_IO, "watch handshakes: %s", zmq_strerror(zmq_errno()));
    }
    return 0;
}

int handshakes_create(zloop_t *loop, void *zmq_context, void *socket, int handshake_ms,
                      struct handshakes **ret, struct err *err)
{
    struct handshakes *self = calloc(1, sizeof *self);
    if (self == NULL) {
        return err_set(err, ERR_NOMEM, "watch handshakes");
    }
    self->listener = socket;
    self->settled_after_ms = handshake_ms + GRACE_MS;
    int rc = open_events(self, zmq_context, err);
    if (rc == 0) {
        rc = watch_create(loop, self->events, on_event, self, &self->watch, err);
    }
    if (rc != 0) {
        handshakes_destroy(&self);
        return rc;
    }
    *ret = self;
    return 0;
}

void handshakes_destroy(struct handshakes **self_p)
{
    struct handshakes *self = self_p == NULL ? NULL : *self_p;
    if (self == NULL) {
        return;
    }
    watch_destroy(&self->watch);
    (void)zmq_socket_monitor(self->listener, NULL, 0);
    if (self->events != NULL) {
        (void)zmq_close(self->events);
    }
    free(self);
    *self_p = NULL;
}
