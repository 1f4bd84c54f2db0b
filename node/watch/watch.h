/* Watches ZeroMQ sockets on a zloop without asking each of them at every turn.
 *
 * A zloop that is given sockets asks each for its state at least twice a turn, with two system
 * calls each time. Here the loop polls a socket's descriptor (ZMQ_FD) like any other, and only a
 * socket whose descriptor moved is asked.
 *
 * The descriptor tells that something changed, not that something waits: libzmq takes the change
 * back when it looks for itself, as every send may make it do. Hence the one rule for callers:
 * after a send or receive outside the handler, also one that failed, call watch_touched(). See
 * zmq_getsockopt(3), ZMQ_FD.
 *
 * Loop thread only. */
#ifndef UNDERSTUDY_NODE_WATCH_WATCH_H
#define UNDERSTUDY_NODE_WATCH_WATCH_H

#include "node/base/err.h"

#include <czmq.h>

struct watch;

/* A message waits on `socket`. Takes one or some of them: it is called again while more wait. May
 * destroy the watch. */
typedef void watch_function(void *context, void *socket);

/* `socket` (a plain ZeroMQ socket, see zsock_resolve) must live until watch_destroy. ERR_NOMEM,
 * ERR_IO. */
int watch_create(zloop_t *loop, void *socket, watch_function *readable, void *context,
                 struct watch **ret, struct err *err);

/* Something was sent or received on the socket, or was tried to be: a send that fails takes the
 * change back too. NULL is harmless. */
void watch_touched(struct watch *self);

/* Before the socket is closed. */
void watch_destroy(struct watch **self_p);

#endif
