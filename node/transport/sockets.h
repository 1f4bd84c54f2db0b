/* The sockets between nodes, with every option set on purpose. */
#ifndef UNDERSTUDY_NODE_TRANSPORT_SOCKETS_H
#define UNDERSTUDY_NODE_TRANSPORT_SOCKETS_H

#include "node/base/err.h"

#include <stdbool.h>

struct sockets_keys {
    const char *public_key; /* own */
    const char *secret_key; /* own */
    const char *peer_key;   /* of the server to dial; unused by a router */
};

struct sockets_timing {
    int reconnect_min_ms;
    int reconnect_max_ms;
    int connect_timeout_ms;
    int handshake_ms;
    int tcp_user_timeout_ms;
};

#define SOCKETS_QUEUE 64 /* frames waiting in one direction of one connection */
/* The longest message in chunks, twice: libzmq gives room back only when half of the queue has
 * gone, so that up to half of it may seem taken after a message that went out long ago. */
#define SOCKETS_BULK_QUEUE (2 * (SNAPSHOT_BYTES_MAX / TRANSPORT_CHUNK_BYTES + 8))

/* CURVE server in domain ZAP_DOMAIN_PEERS, not bound yet. NULL with err set. */
void *sockets_router(void *zmq_context, const struct sockets_keys *keys,
                     const struct sockets_timing *timing, struct err *err);

/* CURVE client, not connected yet. `immediate`: refuse to queue without a connection. */
void *sockets_dealer(void *zmq_context, const struct sockets_keys *keys,
                     const struct sockets_timing *timing, bool bulk, bool immediate,
                     struct err *err);

#endif
