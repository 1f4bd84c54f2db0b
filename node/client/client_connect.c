/* Connecting: quick and clear about why it does not work, which ZeroMQ alone is not (it would try
 * again for ever in silence). */
#include "node/client/client_internal.h"

#include "node/base/clock.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <zmq.h>

#define HIGH_WATER 1000
#define LINGER_MS 200 /* for a last cancel to leave */
#define KEY_LENGTH 40

#define MONITORED                                                            \
    (ZMQ_EVENT_HANDSHAKE_SUCCEEDED | ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL |  \
     ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL | ZMQ_EVENT_HANDSHAKE_FAILED_AUTH | \
     ZMQ_EVENT_DISCONNECTED | ZMQ_EVENT_CLOSED)

enum link_change client_link_change(void *monitor)
{
    uint8_t head[6] = {0};
    uint16_t event = 0;
    if (zmq_recv(monitor, head, sizeof head, ZMQ_DONTWAIT) < 0) {
        return LINK_NONE;
    }
    char address[256];
    (void)zmq_recv(monitor, address, sizeof address, ZMQ_DONTWAIT); /* second frame: unused */
    memcpy(&event, head, sizeof event);
    switch (event) {
    case ZMQ_EVENT_HANDSHAKE_SUCCEEDED:
        return LINK_UP;
    case ZMQ_EVENT_HANDSHAKE_FAILED_AUTH:
    case ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL:
    case ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL:
        return LINK_DENIED;
    case ZMQ_EVENT_CLOSED:
        return LINK_REFUSED;
    case ZMQ_EVENT_DISCONNECTED:
    default:
        return LINK_DOWN;
    }
}

/* A Unix socket says at once whether somebody is there. */
static int probe_ipc(const char *path, struct understudy_error *error)
{
    static const char hint[] =
        "is understudyd running? --dir NODEDIR or -e ENDPOINT names the node";
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof address.sun_path || path[0] == '\0') {
        return client_fail(error, UNDERSTUDY_USAGE, "usage", NULL,
                           "the socket's path must have 1 to %zu bytes: %s",
                           sizeof address.sun_path - 1, path);
    }
    (void)snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        return client_fail(error, UNDERSTUDY_FAILED, "failed", NULL, "socket: %s",
                           strerrordesc_np(errno));
    }
    int rc = connect(fd, (const struct sockaddr *)&address, sizeof address);
    int saved = rc == 0 ? 0 : errno;
    (void)close(fd);
    switch (saved) {
    case 0:
    case EAGAIN: /* somebody is there, and busy */
        return UNDERSTUDY_DONE;
    case EACCES:
    case EPERM:
        return client_fail(error, UNDERSTUDY_DENIED, "not_authorised",
                           "join the group that owns the socket, or use sudo", "%s: %s", path,
                           strerrordesc_np(saved));
    default:
        return client_fail(error, UNDERSTUDY_NO_NODE, "no_node", hint, "no node answers on %s: %s",
                           path, strerrordesc_np(saved));
    }
}

static bool is_key(const char *text)
{
    return text != NULL && strlen(text) == KEY_LENGTH;
}

static int set_number(void *socket, int option, int value)
{
    return zmq_setsockopt(socket, option, &value, sizeof value);
}

static int set_options(void *socket, const struct understudy_keys *keys)
{
    int rc = set_number(socket, ZMQ_LINGER, LINGER_MS) |
             set_number(socket, ZMQ_SNDHWM, HIGH_WATER) |
             set_number(socket, ZMQ_RCVHWM, HIGH_WATER) | set_number(socket, ZMQ_IMMEDIATE, 1) |
             set_number(socket, ZMQ_SNDTIMEO, 0) | set_number(socket, ZMQ_RECONNECT_IVL, 200) |
             set_number(socket, ZMQ_RECONNECT_IVL_MAX, 2000);
    int64_t size = (1 << 20) + 1024;
    rc |= zmq_setsockopt(socket, ZMQ_MAXMSGSIZE, &size, sizeof size);
    if (keys != NULL) {
        rc |= set_number(socket, ZMQ_IPV6, 1) | set_number(socket, ZMQ_HEARTBEAT_IVL, 5000) |
              set_number(socket, ZMQ_HEARTBEAT_TIMEOUT, 15000) |
              zmq_setsockopt(socket, ZMQ_CURVE_SERVERKEY, keys->server_public, KEY_LENGTH + 1) |
              zmq_setsockopt(socket, ZMQ_CURVE_PUBLICKEY, keys->client_public, KEY_LENGTH + 1) |
              zmq_setsockopt(socket, ZMQ_CURVE_SECRETKEY, keys->client_secret, KEY_LENGTH + 1);
    }
    return rc;
}

static int open_monitor(struct understudy *self)
{
    if (zmq_socket_monitor(self->socket, "inproc://monitor", MONITORED) != 0) {
        return -1;
    }
    self->monitor = zmq_socket(self->context, ZMQ_PAIR);
    if (self->monitor == NULL || set_number(self->monitor, ZMQ_LINGER, 0) != 0) {
        return -1;
    }
    return zmq_connect(self->monitor, "inproc://monitor");
}

static int fail_os(struct understudy_error *error, const char *what)
{
    int saved = errno;
    return client_fail(error, UNDERSTUDY_FAILED, "failed", NULL, "%s: %s", what,
                       zmq_strerror(saved));
}

static int open_sockets(struct understudy *self, const char *endpoint,
                        const struct understudy_keys *keys, struct understudy_error *error)
{
    self->cancel_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    self->context = zmq_ctx_new();
    self->socket = self->context == NULL ? NULL : zmq_socket(self->context, ZMQ_DEALER);
    if (self->cancel_fd < 0 || self->socket == NULL) {
        return fail_os(error, "socket");
    }
    if (set_options(self->socket, keys) != 0) {
        return fail_os(error, keys == NULL ? "socket option" : "the keys are not accepted");
    }
    if (open_monitor(self) != 0) {
        return fail_os(error, "socket monitor");
    }
    if (zmq_connect(self->socket, endpoint) != 0) {
        int saved = errno;
        return client_fail(error, saved == EINVAL ? UNDERSTUDY_USAGE : UNDERSTUDY_NO_NODE,
                           "no_node", "endpoints are ipc://PATH and tcp://HOST:PORT", "%s: %s",
                           endpoint, zmq_strerror(saved));
    }
    return UNDERSTUDY_DONE;
}

static int explain(enum link_change change, const char *endpoint, struct understudy_error *error)
{
    /* No keys are asked for on a Unix socket: there a link that breaks is a node that ends. */
    bool keys = strncmp(endpoint, "tcp://", 6) == 0;
    if (keys && (change == LINK_DENIED || change == LINK_DOWN)) {
        return client_fail(error, UNDERSTUDY_DENIED, "not_authorised",
                           "the key must be known to the cluster, and the node's own key be right",
                           "%s refuses the connection", endpoint);
    }
    return client_fail(error, UNDERSTUDY_NO_NODE, "no_node", "is understudyd running there?",
                       "no node answers on %s", endpoint);
}

static int wait_link(struct understudy *self, const char *endpoint, int64_t timeout_ms,
                     struct understudy_error *error)
{
    int64_t end_ms = clock_boot_ms() + timeout_ms;
    for (int64_t now_ms = clock_boot_ms(); now_ms < end_ms; now_ms = clock_boot_ms()) {
        zmq_pollitem_t item = {.socket = self->monitor, .events = ZMQ_POLLIN};
        (void)zmq_poll(&item, 1, (long)(end_ms - now_ms)); /* interrupted: asked again */
        enum link_change change = client_link_change(self->monitor);
        if (change == LINK_UP) {
            return UNDERSTUDY_DONE;
        }
        if (change != LINK_NONE) {
            return explain(change, endpoint, error);
        }
    }
    return client_fail(error, UNDERSTUDY_TIMED_OUT, "timed_out",
                       "a wrong key of the node looks so too", "no connection to %s within %lld ms",
                       endpoint, (long long)timeout_ms);
}

static int check_endpoint(const char *endpoint, const struct understudy_keys *keys,
                          struct understudy_error *error)
{
    if (endpoint != NULL && strncmp(endpoint, "ipc://", 6) == 0) {
        return probe_ipc(endpoint + 6, error);
    }
    if (endpoint == NULL || strncmp(endpoint, "tcp://", 6) != 0) {
        return client_fail(error, UNDERSTUDY_USAGE, "usage", NULL,
                           "the endpoint must be ipc://PATH or tcp://HOST:PORT, not %s",
                           endpoint == NULL ? "nothing" : endpoint);
    }
    if (keys == NULL || !is_key(keys->server_public) || !is_key(keys->client_public) ||
        !is_key(keys->client_secret)) {
        return client_fail(error, UNDERSTUDY_USAGE, "usage", "name the folder of keys with --keys",
                           "%s needs keys of %d characters", endpoint, KEY_LENGTH);
    }
    return UNDERSTUDY_DONE;
}

int understudy_connect(const char *endpoint, const struct understudy_keys *keys, int64_t timeout_ms,
                       struct understudy **ret, struct understudy_error *error)
{
    int rc = check_endpoint(endpoint, keys, error);
    if (rc != UNDERSTUDY_DONE) {
        return rc;
    }
    struct understudy *self = calloc(1, sizeof *self);
    if (self == NULL) {
        return client_fail(error, UNDERSTUDY_FAILED, "failed", NULL, "out of memory");
    }
    self->cancel_fd = -1;
    self->next_id = 1;
    bool ipc = strncmp(endpoint, "ipc://", 6) == 0;
    rc = open_sockets(self, endpoint, ipc ? NULL : keys, error);
    if (rc == UNDERSTUDY_DONE) {
        rc = wait_link(self, endpoint, timeout_ms, error);
    }
    if (rc != UNDERSTUDY_DONE) {
        understudy_destroy(&self);
        return rc;
    }
    *ret = self;
    return UNDERSTUDY_DONE;
}

void understudy_destroy(struct understudy **self_p)
{
    struct understudy *self = self_p == NULL ? NULL : *self_p;
    if (self == NULL) {
        return;
    }
    if (self->socket != NULL) {
        (void)zmq_socket_monitor(self->socket, NULL, 0);
        (void)zmq_close(self->socket);
    }
    if (self->monitor != NULL) {
        (void)zmq_close(self->monitor);
    }
    if (self->context != NULL) {
        (void)zmq_ctx_term(self->context);
    }
    if (self->cancel_fd >= 0) {
        (void)close(self->cancel_fd);
    }
    free(self);
    *self_p = NULL;
}
