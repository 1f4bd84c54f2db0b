/* Counts the connections to a listening ZeroMQ socket that came to nothing: bytes that are no ZMTP,
 * no CURVE, or made with another server's key, and silence until the handshake's time ran out.
 *
 * libzmq tells an event when it accepts a connection and another when its handshake is through;
 * of most failures it tells nothing (a greeting that is no ZMTP above all). So what was accepted
 * longer ago than a handshake may take, and is not through, has failed. The count is exact when no
 * connection came for that long, else it may lag; it never counts too much. Connections whose key
 * ZAP refused are among them.
 *
 * Costs two wake-ups for each connection that comes in, none for a message. Loop thread only. */
#ifndef UNDERSTUDY_NODE_WATCH_HANDSHAKES_H
#define UNDERSTUDY_NODE_WATCH_HANDSHAKES_H

#include "node/base/err.h"

#include <czmq.h>
#include <stdint.h>

struct handshakes;

/* Watch `socket` (a plain ZeroMQ socket of `zmq_context`, not bound yet). handshake_ms: its
 * ZMQ_HANDSHAKE_IVL. ERR_NOMEM, ERR_IO. */
int handshakes_create(zloop_t *loop, void *zmq_context, void *socket, int handshake_ms,
                      struct handshakes **ret, struct err *err);
/* Before the socket is closed. */
void handshakes_destroy(struct handshakes **self_p);

/* Connections that failed so far; now_ms of CLOCK_BOOTTIME. NULL: 0. */
uint64_t handshakes_failed(struct handshakes *self, int64_t now_ms);

#endif
