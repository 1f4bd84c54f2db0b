/* Connections that we dial: open, watch, redial. */
#include "node/base/clock.h"
#include "node/base/invariant.h"
#include "node/transport/transport_internal.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define FAILED_EVENTS                                                             \
    (ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL | ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL | \
     ZMQ_EVENT_HANDSHAKE_FAILED_AUTH)
#define WATCHED_EVENTS \
    (ZMQ_EVENT_CONNECTED | ZMQ_EVENT_HANDSHAKE_SUCCEEDED | ZMQ_EVENT_DISCONNECTED | FAILED_EVENTS)

void link_init(struct link *self, struct peer *peer, bool bulk)
{
    *self = (struct link){.peer = peer, .bulk = bulk, .redial_ms = REDIAL_MIN_MS};
}

static void drop_waiting(struct link *self)
{
    for (size_t i = 0; i < self->waiting_count; i++) {
        free(self->waiting[i].bytes);
    }
    self->waiting_count = 0;
    self->waiting_bytes = 0;
}

int link_wait(struct link *self, uint32_t kind, const uint8_t *bytes, size_t length)
{
    size_t bytes_max = self->bulk ? SNAPSHOT_BYTES_MAX : WAITING_BYTES_MAX;
    int64_t now_ms = clock_boot_ms();
    if (now_ms - self->opened_ms > (self->bulk ? WAITING_BULK_MS : WAITING_MS) ||
        self->waiting_count == WAITING_MAX || length > bytes_max - self->waiting_bytes) {
        return ERR_FULL;
    }
    uint8_t *copy = malloc(length > 0 ? length : 1);
    if (copy == NULL) {
        return ERR_NOMEM;
    }
    if (length > 0) {
        memcpy(copy, bytes, length);
    }
    self->waiting[self->waiting_count++] =
        (struct waiting){.kind = kind, .bytes = copy, .length = length, .since_ms = now_ms};
    self->waiting_bytes += length;
    return 0;
}

static void send_waiting(struct link *self)
{
    int64_t oldest_ms = clock_boot_ms() - (self->bulk ? WAITING_BULK_MS : WAITING_MS);
    for (size_t i = 0; i < self->waiting_count; i++) {
        struct waiting *waiting = &self->waiting[i];
        if (waiting->since_ms >= oldest_ms) {
            (void)transport_link_send(self, waiting->kind, waiting->bytes, waiting->length);
        } else {
            self->peer->counters.dropped++;
        }
    }
    drop_waiting(self);
}

/* ---- what the monitor tells ---- */

/* Remembers where the connection really goes, for the probe. */
static void note_endpoint(struct link *self, int fd)
{
    union {
        struct sockaddr generic;
        struct sockaddr_in four;
        struct sockaddr_in6 six;
        struct sockaddr_storage room;
    } address = {0};
    socklen_t length = sizeof address;
    const char *colon = strrchr(self->peer->address, ':');
    if (getpeername(fd, &address.generic, &length) != 0 || colon == NULL) {
        return;
    }
    bool six = address.generic.sa_family == AF_INET6;
    unsigned port = ntohs(six ? address.six.sin6_port : address.four.sin_port);
    /* The descriptor may belong to another connection by now: at least the port must fit. */
    if (port != strtoul(colon + 1, NULL, 10) || (!six && address.generic.sa_family != AF_INET)) {
        return;
    }
    char text[INET6_ADDRSTRLEN];
    const void *binary =
        six ? (const void *)&address.six.sin6_addr : (const void *)&address.four.sin_addr;
    if (inet_ntop(address.generic.sa_family, binary, text, sizeof text) != NULL) {
        (void)snprintf(self->peer->endpoint, ADDRESS_SIZE, six ? "tcp://[%s]:%u" : "tcp://%s:%u",
                       text, port);
    }
}

static void on_connected(struct link *self)
{
    struct peer *peer = self->peer;
    struct transport *transport = peer->transport;
    self->connected = true;
    self->redial_ms = REDIAL_MIN_MS;
    send_waiting(self);
    if (self->bulk) {
        return;
    }
    transport->counters.connects++;
    peer->counters.connects++;
    if (transport->config.callbacks.peer_connected != NULL) {
        transport->config.callbacks.peer_connected(transport->config.callbacks.context, peer->name,
                                                   clock_boot_ms());
    }
}

static void on_disconnected(struct link *self)
{
    struct peer *peer = self->peer;
    struct transport *transport = peer->transport;
    bool was_connected = self->connected;
    self->connected = false;
    self->opened_ms = clock_boot_ms();
    if (self->bulk || !was_connected) {
        return;
    }
    transport->counters.disconnects++;
    peer->counters.disconnects++;
    if (transport->config.callbacks.peer_disconnected != NULL) {
        transport->config.callbacks.peer_disconnected(transport->config.callbacks.context,
                                                      peer->name, self->opened_ms);
    }
}

static int on_redial_timer(zloop_t *loop, int timer, void *arg);

/* One timer for all links: a zloop may run a timer once more after its end, when the link that it
 * was for is gone. Without memory for a timer the next send opens the link. */
static void arm_redial(struct transport *transport, int64_t at_ms, int64_t now_ms)
{
    zloop_t *loop = transport->config.loop;
    if (transport->redial_timer > 0 && transport->redial_at_ms <= at_ms) {
        return;
    }
    if (transport->redial_timer > 0) {
        (void)zloop_timer_end(loop, transport->redial_timer);
    }
    size_t wait_ms = at_ms > now_ms ? (size_t)(at_ms - now_ms) : 0;
    transport->redial_at_ms = at_ms;
    transport->redial_timer = zloop_timer(loop, wait_ms, 1, on_redial_timer, transport);
}

static void redial_if_due(struct link *self, int64_t now_ms)
{
    if (self->redial_at_ms != 0 && self->redial_at_ms <= now_ms) {
        self->redial_at_ms = 0;
        link_open(self);
    }
    if (self->redial_at_ms != 0) {
        arm_redial(self->peer->transport, self->redial_at_ms, now_ms);
    }
}

static int on_redial_timer(zloop_t *loop, int timer, void *arg)
{
    (void)loop;
    struct transport *transport = arg;
    if (timer == transport->redial_timer) {
        transport->redial_timer = 0;
    }
    int64_t now_ms = clock_boot_ms();
    for (size_t i = 0; i < transport->peer_count; i++) {
        redial_if_due(&transport->peers[i]->direct, now_ms);
        redial_if_due(&transport->peers[i]->bulk, now_ms);
    }
    return 0;
}

static void redial_later(struct link *self)
{
    int64_t now_ms = clock_boot_ms();
    self->redial_at_ms = now_ms + self->redial_ms;
    self->redial_ms = self->redial_ms * 2 < REDIAL_MAX_MS ? self->redial_ms * 2 : REDIAL_MAX_MS;
    arm_redial(self->peer->transport, self->redial_at_ms, now_ms);
}

/* libzmq would either dial again at once, for ever, or never: close, and come back later. */
static void on_handshake_failed(struct link *self, unsigned event, uint32_t value)
{
    struct peer *peer = self->peer;
    struct transport *transport = peer->transport;
    char text[128];
    (void)snprintf(text, sizeof text, "%s (%u)",
                   event == ZMQ_EVENT_HANDSHAKE_FAILED_AUTH ? "the peer does not admit our key"
                   : event == ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL
                       ? "the peer does not speak our protocol"
                       : "the connection ended in the handshake",
                   value);
    transport->counters.handshakes_failed++;
    peer->counters.handshakes_failed++;
    link_close(self);
    redial_later(self);
    transport_tell(transport, peer, TRANSPORT_EVENT_HANDSHAKE, peer->name, text);
}

/* Takes one event; false when there is none. */
static bool take_event(void *monitor, unsigned *ret_event, uint32_t *ret_value)
{
    zmq_msg_t message;
    (void)zmq_msg_init(&message);
    bool taken = zmq_msg_recv(&message, monitor, ZMQ_DONTWAIT) >= 0;
    if (taken) {
        invariant(zmq_msg_size(&message) == 6);
        const uint8_t *data = zmq_msg_data(&message);
        uint16_t event;
        memcpy(&event, data, sizeof event);
        memcpy(ret_value, data + 2, sizeof *ret_value);
        *ret_event = event;
        (void)zmq_msg_recv(&message, monitor, 0); /* the address, there already */
    }
    (void)zmq_msg_close(&message);
    return taken;
}

static void on_monitor(void *context, void *socket)
{
    struct link *self = context;
    unsigned event;
    uint32_t value;
    if (!take_event(socket, &event, &value)) {
        return;
    }
    if (event == ZMQ_EVENT_CONNECTED) {
        note_endpoint(self, (int)value);
    } else if (event == ZMQ_EVENT_HANDSHAKE_SUCCEEDED) {
        on_connected(self);
    } else if (event == ZMQ_EVENT_DISCONNECTED) {
        on_disconnected(self);
    } else {
        on_handshake_failed(self, event, value);
    }
}

/* ---- open and close ---- */

static int open_monitor(struct link *self, struct err *err)
{
    struct transport *transport = self->peer->transport;
    char endpoint[64];
    (void)snprintf(endpoint, sizeof endpoint, "inproc://understudy-link-%p-%llu", (void *)transport,
                   (unsigned long long)++transport->monitors);
    int zero = 0;
    self->monitor = zmq_socket(transport->config.zmq_context, ZMQ_PAIR);
    if (self->monitor == NULL ||
        zmq_setsockopt(self->monitor, ZMQ_LINGER, &zero, sizeof zero) != 0 ||
        zmq_socket_monitor(self->dealer, endpoint, WATCHED_EVENTS) != 0 ||
        zmq_connect(self->monitor, endpoint) != 0) {
        return err_set(err, ERR_IO, "no monitor: %s", zmq_strerror(zmq_errno()));
    }
    zloop_t *loop = transport->config.loop;
    int rc = watch_create(loop, self->monitor, on_monitor, self, &self->monitor_watch, err);
    return rc != 0 ? rc
                   : watch_create(loop, self->dealer, transport_on_dealer, self,
                                  &self->dealer_watch, err);
}

void link_open(struct link *self)
{
    struct peer *peer = self->peer;
    struct transport *transport = peer->transport;
    if (self->dealer != NULL || self->redial_at_ms != 0) {
        return;
    }
    struct sockets_keys keys = {.public_key = transport->public_key,
                                .secret_key = transport->secret_key,
                                .peer_key = peer->public_key};
    struct err err = {0};
    self->opened_ms = clock_boot_ms();
    self->used_ms = self->opened_ms;
    self->dealer = sockets_dealer(transport->config.zmq_context, &keys, &transport->timing,
                                  self->bulk, true, &err);
    if (self->dealer == NULL || open_monitor(self, &err) != 0 ||
        zmq_connect(self->dealer, peer->address) != 0) {
        link_close(self);
        redial_later(self);
        transport_tell(transport, peer, TRANSPORT_EVENT_HANDSHAKE, peer->name,
                       err.code != 0 ? err.msg : "the address cannot be dialed");
    }
}

static void close_socket(void **socket_p, struct watch **watch_p)
{
    watch_destroy(watch_p);
    if (*socket_p != NULL) {
        (void)zmq_close(*socket_p);
        *socket_p = NULL;
    }
}

void link_close(struct link *self)
{
    self->redial_at_ms = 0;
    drop_waiting(self);
    self->connected = false;
    if (self->dealer == NULL) {
        return;
    }
    (void)zmq_socket_monitor(self->dealer, NULL, 0);
    close_socket(&self->monitor, &self->monitor_watch);
    close_socket(&self->dealer, &self->dealer_watch);
}

void link_redial_now(struct link *self)
{
    if (self->connected || (self->dealer == NULL && self->redial_at_ms == 0) ||
        clock_boot_ms() - self->opened_ms < REDIAL_HINT_MS) {
        return;
    }
    link_close(self);
    link_open(self);
}
