#include "node/watch/watch.h"

#include <stdlib.h>

#define CALLS_MAX 64 /* of the handler, before the loop gets its turn again */

struct watch {
    zloop_t *loop;
    void *socket;
    int fd;
    watch_function *readable;
    void *context;
    bool again; /* the loop comes back at once */
    bool running;
    bool ended; /* while it ran */
};

static bool message_waits(const struct watch *self)
{
    int events = 0;
    size_t length = sizeof events;
    return zmq_getsockopt(self->socket, ZMQ_EVENTS, &events, &length) == 0 &&
           (events & ZMQ_POLLIN) != 0;
}

static int on_fd(zloop_t *loop, zmq_pollitem_t *item, void *argument);

/* The descriptor does not move for what was there already. But it can always be written to, so that
 * a loop which waits for that too comes back at once. (A timer would not do: a zloop may run one
 * after its end.) */
static int watch_fd(struct watch *self, bool again)
{
    zmq_pollitem_t item = {.fd = self->fd,
                           .events = (short)(again ? ZMQ_POLLIN | ZMQ_POLLOUT : ZMQ_POLLIN)};
    zloop_poller_end(self->loop, &item);
    self->again = again;
    return zloop_poller(self->loop, &item, on_fd, self);
}

static void run(struct watch *self)
{
    self->running = true;
    int calls = 0;
    while (!self->ended && message_waits(self) && calls < CALLS_MAX) {
        self->readable(self->context, self->socket);
        calls++;
    }
    self->running = false;
    if (self->ended) {
        free(self);
    } else if (self->again != (calls == CALLS_MAX)) {
        (void)watch_fd(self, calls == CALLS_MAX);
    }
}

static int on_fd(zloop_t *loop, zmq_pollitem_t *item, void *argument)
{
    (void)loop;
    (void)item;
    run(argument);
    return 0;
}

int watch_create(zloop_t *loop, void *socket, watch_function *readable, void *context,
                 struct watch **ret, struct err *err)
{
    int fd = -1;
    size_t length = sizeof fd;
    if (zmq_getsockopt(socket, ZMQ_FD, &fd, &length) != 0) {
        return err_set(err, ERR_IO, "socket without a descriptor: %s", zmq_strerror(zmq_errno()));
    }
    struct watch *self = malloc(sizeof *self);
    if (self == NULL) {
        return err_set(err, ERR_NOMEM, "watch a socket");
    }
    *self = (struct watch){
        .loop = loop, .socket = socket, .fd = fd, .readable = readable, .context = context};
    if (watch_fd(self, true) != 0) { /* something may have come before the watch */
        free(self);
        return err_set(err, ERR_NOMEM, "watch a socket");
    }
    *ret = self;
    return 0;
}

void watch_touched(struct watch *self)
{
    if (self != NULL && !self->running && !self->again && message_waits(self)) {
        (void)watch_fd(self, true);
    }
}

void watch_destroy(struct watch **self_p)
{
    if (self_p == NULL || *self_p == NULL) {
        return;
    }
    struct watch *self = *self_p;
    *self_p = NULL;
    zmq_pollitem_t item = {.fd = self->fd, .events = ZMQ_POLLIN};
    zloop_poller_end(self->loop, &item);
    if (self->running) {
        self->ended = true;
    } else {
        free(self);
    }
}
