/* Timers and descriptors of the manager itself, on the runtime's loop. */
#include "managers/common/runtime_private.h"

#include <stdlib.h>

static void forget_timer(struct runtime *self, struct runtime_timer *timer)
{
    struct runtime_timer **p = &self->timers;
    while (*p != timer) {
        p = &(*p)->next;
    }
    *p = timer->next;
    free(timer);
}

static struct runtime_timer *find_timer(struct runtime *self, int id)
{
    struct runtime_timer *timer = self->timers;
    while (timer != NULL && timer->id != id) {
        timer = timer->next;
    }
    return timer;
}

/* zloop may still call a timer or descriptor once that was cancelled in the same pass: so both are
 * looked up by id and number, never by address. */
static int on_timer(zloop_t *loop, int id, void *argument)
{
    (void)loop;
    struct runtime *self = argument;
    struct runtime_timer *timer = find_timer(self, id);
    if (timer == NULL) {
        return 0;
    }
    runtime_timer_fn *function = timer->function;
    void *context = timer->context;
    if (!timer->every) {
        /* The loop drops a timer of one shot by itself. */
        forget_timer(self, timer);
    }
    function(context);
    return self->ended ? -1 : 0;
}

int runtime_timer(struct runtime *self, int64_t delay_ms, bool every, runtime_timer_fn *function,
                  void *context)
{
    struct runtime_timer *timer = calloc(1, sizeof *timer);
    if (timer == NULL) {
        return -1;
    }
    *timer = (struct runtime_timer){
        .next = self->timers, .every = every, .function = function, .context = context};
    size_t delay = delay_ms > 0 ? (size_t)delay_ms : 0;
    timer->id = zloop_timer(self->loop, delay, every ? 0 : 1, on_timer, self);
    if (timer->id < 0) {
        free(timer);
        return -1;
    }
    self->timers = timer;
    return timer->id;
}

void runtime_timer_cancel(struct runtime *self, int id)
{
    struct runtime_timer *timer = find_timer(self, id);
    if (timer != NULL) {
        (void)zloop_timer_end(self->loop, id);
        forget_timer(self, timer);
    }
}

static struct runtime_watch *find_watch(struct runtime *self, int fd)
{
    struct runtime_watch *watch = self->watches;
    while (watch != NULL && watch->fd != fd) {
        watch = watch->next;
    }
    return watch;
}

static int on_fd(zloop_t *loop, zmq_pollitem_t *item, void *argument)
{
    (void)loop;
    struct runtime *self = argument;
    const struct runtime_watch *watch = find_watch(self, item->fd);
    if (watch == NULL) {
        return 0;
    }
    int revents = 0;
    revents |= (item->revents & ZMQ_POLLIN) != 0 ? POLLIN : 0;
    revents |= (item->revents & ZMQ_POLLOUT) != 0 ? POLLOUT : 0;
    revents |= (item->revents & ZMQ_POLLERR) != 0 ? POLLERR : 0;
    watch->function(watch->context, item->fd, (short)revents);
    return self->ended ? -1 : 0;
}

int runtime_watch(struct runtime *self, int fd, short events, runtime_fd_fn *function,
                  void *context)
{
    struct runtime_watch *watch = find_watch(self, fd);
    if (watch == NULL) {
        watch = calloc(1, sizeof *watch);
        if (watch == NULL) {
            return ERR_NOMEM;
        }
        watch->fd = fd;
        watch->next = self->watches;
        self->watches = watch;
    } else {
        zmq_pollitem_t old = {.fd = fd};
        zloop_poller_end(self->loop, &old);
    }
    watch->function = function;
    watch->context = context;
    int wanted = ZMQ_POLLERR;
    wanted |= (events & POLLIN) != 0 ? ZMQ_POLLIN : 0;
    wanted |= (events & POLLOUT) != 0 ? ZMQ_POLLOUT : 0;
    zmq_pollitem_t item = {.fd = fd, .events = (short)wanted};
    if (zloop_poller(self->loop, &item, on_fd, self) != 0) {
        runtime_unwatch(self, fd);
        return ERR_NOMEM;
    }
    /* Without this the loop drops a descriptor at its first error. */
    zloop_poller_set_tolerant(self->loop, &item);
    return 0;
}

void runtime_unwatch(struct runtime *self, int fd)
{
    for (struct runtime_watch **p = &self->watches; *p != NULL; p = &(*p)->next) {
        if ((*p)->fd == fd) {
            struct runtime_watch *watch = *p;
            zmq_pollitem_t item = {.fd = fd};
            zloop_poller_end(self->loop, &item);
            *p = watch->next;
            free(watch);
            return;
        }
    }
}

void runtime_loop_deinit(struct runtime *self)
{
    while (self->timers != NULL) {
        runtime_timer_cancel(self, self->timers->id);
    }
    while (self->watches != NULL) {
        runtime_unwatch(self, self->watches->fd);
    }
}
