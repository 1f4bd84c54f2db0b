#include "node/transport/sockets.h"

#include "node/base/limits.h"
#include "node/transport/transport.h"
#include "node/transport/wire.h"
#include "node/transport/zap.h"

#include <string.h>
#include <zmq.h>

#define CURVE_BYTES 64 /* what CURVE adds to a frame, rounded up */
#define BACKLOG 128

static bool set_int(void *socket, int option, int value)
{
    return zmq_setsockopt(socket, option, &value, sizeof value) == 0;
}

static bool set_text(void *socket, int option, const char *value)
{
    return zmq_setsockopt(socket, option, value, strlen(value)) == 0;
}

/* Keep-alives find dead connections that nobody sends on, for about a packet a minute. */
static bool set_common(void *socket, const struct sockets_timing *timing, int queue)
{
    int64_t frame_max = WIRE_FRAME_MAX + CURVE_BYTES;
    return set_int(socket, ZMQ_LINGER, 0) && set_int(socket, ZMQ_SNDHWM, queue) &&
           set_int(socket, ZMQ_RCVHWM, SOCKETS_QUEUE) && set_int(socket, ZMQ_SNDTIMEO, 0) &&
           set_int(socket, ZMQ_RCVTIMEO, 0) &&
           zmq_setsockopt(socket, ZMQ_MAXMSGSIZE, &frame_max, sizeof frame_max) == 0 &&
           set_int(socket, ZMQ_HANDSHAKE_IVL, timing->handshake_ms) &&
           set_int(socket, ZMQ_HEARTBEAT_IVL, 0) && set_int(socket, ZMQ_TCP_KEEPALIVE, 1) &&
           set_int(socket, ZMQ_TCP_KEEPALIVE_IDLE, 60) &&
           set_int(socket, ZMQ_TCP_KEEPALIVE_INTVL, 5) &&
           set_int(socket, ZMQ_TCP_KEEPALIVE_CNT, 4) &&
           set_int(socket, ZMQ_TCP_MAXRT, timing->tcp_user_timeout_ms);
}

static void *fail(void *socket, const char *what, struct err *err)
{
    (void)err_set(err, ERR_IO, "%s: %s", what, zmq_strerror(zmq_errno()));
    if (socket != NULL) {
        (void)zmq_close(socket);
    }
    return NULL;
}

void *sockets_router(void *zmq_context, const struct sockets_keys *keys,
                     const struct sockets_timing *timing, struct err *err)
{
    void *socket = zmq_socket(zmq_context, ZMQ_ROUTER);
    if (socket == NULL || !set_common(socket, timing, SOCKETS_QUEUE) ||
        !set_int(socket, ZMQ_ROUTER_MANDATORY, 1) || !set_int(socket, ZMQ_BACKLOG, BACKLOG) ||
        !set_int(socket, ZMQ_CURVE_SERVER, 1) ||
        !set_text(socket, ZMQ_CURVE_SECRETKEY, keys->secret_key) ||
        !set_text(socket, ZMQ_ZAP_DOMAIN, ZAP_DOMAIN_PEERS)) {
        return fail(socket, "make the socket to listen on (is the secret key valid?)", err);
    }
    return socket;
}

void *sockets_dealer(void *zmq_context, const struct sockets_keys *keys,
                     const struct sockets_timing *timing, bool bulk, bool immediate,
                     struct err *err)
{
    void *socket = zmq_socket(zmq_context, ZMQ_DEALER);
    if (socket == NULL ||
        !set_common(socket, timing, bulk ? (int)SOCKETS_BULK_QUEUE : SOCKETS_QUEUE) ||
        !set_int(socket, ZMQ_IMMEDIATE, immediate ? 1 : 0) ||
        !set_int(socket, ZMQ_RECONNECT_IVL, timing->reconnect_min_ms) ||
        !set_int(socket, ZMQ_RECONNECT_IVL_MAX, timing->reconnect_max_ms) ||
        !set_int(socket, ZMQ_CONNECT_TIMEOUT, timing->connect_timeout_ms) ||
        !set_text(socket, ZMQ_CURVE_PUBLICKEY, keys->public_key) ||
        !set_text(socket, ZMQ_CURVE_SECRETKEY, keys->secret_key) ||
        !set_text(socket, ZMQ_CURVE_SERVERKEY, keys->peer_key)) {
        return fail(socket, "make the socket to a peer (are the keys valid?)", err);
    }
    return socket;
}
