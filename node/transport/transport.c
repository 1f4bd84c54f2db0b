#include "node/transport/transport.h"

#include "node/base/clock.h"
#include "node/base/invariant.h"
#include "node/transport/transport_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *transport_event_name(enum transport_event event)
{
    switch (event) {
    case TRANSPORT_EVENT_MALFORMED:
        return "transport.frame.malformed";
    case TRANSPORT_EVENT_UNAUTHENTICATED:
        return "transport.frame.unauthenticated";
    case TRANSPORT_EVENT_FORGED:
        return "transport.frame.forged";
    case TRANSPORT_EVENT_WRONG_CLUSTER:
        return "transport.frame.wrong_cluster";
    case TRANSPORT_EVENT_HANDSHAKE:
        return "transport.handshake.failed";
    case TRANSPORT_EVENT_COUNT:
        break;
    }
    return "transport.event.unknown";
}

void transport_tell(struct transport *self, struct peer *peer, enum transport_event event,
                    const char *name, const char *text)
{
    self->counters.events[event]++;
    if (peer != NULL) {
        peer->counters.events[event]++;
    }
    struct told *told = &self->told[event];
    int64_t now_ms = clock_boot_ms();
    if (self->config.callbacks.event == NULL || now_ms - told->at_ms < EVENT_TELL_MS) {
        told->suppressed++;
        return;
    }
    uint64_t suppressed = told->suppressed;
    *told = (struct told){.at_ms = now_ms};
    self->config.callbacks.event(self->config.callbacks.context, event, name, text, suppressed);
}

/* ---- create and destroy ---- */

static int bind_router(struct transport *self, struct err *err)
{
    struct sockets_keys keys = {.public_key = self->public_key, .secret_key = self->secret_key};
    self->router = sockets_router(self->config.zmq_context, &keys, &self->timing, err);
    if (self->router == NULL) {
        return ERR_IO;
    }
    int rc = handshakes_create(self->config.loop, self->config.zmq_context, self->router,
                               self->timing.handshake_ms, &self->router_handshakes, err);
    if (rc != 0) {
        return rc;
    }
    int six = strchr(self->config.listen, '[') != NULL ? 1 : 0;
    (void)zmq_setsockopt(self->router, ZMQ_IPV6, &six, sizeof six);
    if (zmq_bind(self->router, self->config.listen) != 0) {
        int os_errno = zmq_errno();
        int code = os_errno == EADDRINUSE ? ERR_BUSY : ERR_INVALID;
        return err_set(err, code, "listen on %s: %s", self->config.listen, zmq_strerror(os_errno));
    }
    size_t size = sizeof self->endpoint;
    if (zmq_getsockopt(self->router, ZMQ_LAST_ENDPOINT, self->endpoint, &size) != 0) {
        return err_set(err, ERR_IO, "listen on %s: %s", self->config.listen,
                       zmq_strerror(zmq_errno()));
    }
    return 0;
}

static void close_if_idle(struct link *link, int64_t now_ms, int64_t idle_ms)
{
    if (link->dealer != NULL && now_ms - link->used_ms > idle_ms) {
        link_close(link);
    }
}

static int on_maintenance(zloop_t *loop, int timer, void *arg)
{
    (void)loop;
    (void)timer;
    struct transport *self = arg;
    int64_t now_ms = clock_boot_ms();
    for (size_t i = 0; i < self->peer_count; i++) {
        struct peer *peer = self->peers[i];
        if (!peer->watched) {
            close_if_idle(&peer->direct, now_ms, self->config.idle_close_ms);
        }
        close_if_idle(&peer->bulk, now_ms, BULK_IDLE_MS);
        if (peer->assembly.bytes != NULL && now_ms - peer->assembly.at_ms > BULK_IDLE_MS) {
            assembly_drop(&peer->assembly);
        }
    }
    return 0;
}

static int watch_router(struct transport *self, struct err *err)
{
    self->maintenance_timer =
        zloop_timer(self->config.loop, MAINTENANCE_MS, 0, on_maintenance, self);
    if (self->maintenance_timer < 0) {
        return err_set(err, ERR_NOMEM, "watch the socket of %s", self->config.listen);
    }
    return watch_create(self->config.loop, self->router, transport_on_router, self,
                        &self->router_watch, err);
}

static int or_default(int value, int otherwise)
{
    return value > 0 ? value : otherwise;
}

static void keep_config(struct transport *self, const struct transport_config *config)
{
    self->config = *config;
    self->config.idle_close_ms = or_default(config->idle_close_ms, 180000);
    self->timing = (struct sockets_timing){
        .reconnect_min_ms = or_default(config->reconnect_min_ms, 10),
        .reconnect_max_ms = or_default(config->reconnect_max_ms, 1000),
        .connect_timeout_ms = or_default(config->connect_timeout_ms, 1000),
        .handshake_ms = or_default(config->handshake_ms, 3000),
        .tcp_user_timeout_ms = or_default(config->tcp_user_timeout_ms, 3000),
    };
    (void)snprintf(self->public_key, sizeof self->public_key, "%s", config->public_key);
    (void)snprintf(self->secret_key, sizeof self->secret_key, "%s", config->secret_key);
    self->config.public_key = self->public_key;
    self->config.secret_key = self->secret_key;
    for (int i = 0; i < TRANSPORT_EVENT_COUNT; i++) {
        self->told[i].at_ms = INT64_MIN / 2;
    }
}

int transport_create(const struct transport_config *config, struct transport **ret, struct err *err)
{
    invariant(config->callbacks.received != NULL);
    invariant(config->zap != NULL);
    if (config->id == 0 || strlen(config->public_key) != PUBLIC_KEY_SIZE - 1 ||
        strlen(config->secret_key) != PUBLIC_KEY_SIZE - 1) {
        return err_set(err, ERR_INVALID, "a transport needs an id and keys of 40 characters");
    }
    struct transport *self = calloc(1, sizeof *self);
    if (self == NULL) {
        return err_set(err, ERR_NOMEM, "create transport");
    }
    keep_config(self, config);
    mp_writer_init(&self->writer, WIRE_FRAME_MAX);
    int rc = bind_router(self, err);
    if (rc == 0) {
        rc = watch_router(self, err);
    }
    if (rc != 0) {
        transport_destroy(&self);
        return rc;
    }
    *ret = self;
    return 0;
}

static void free_peer(struct peer *peer)
{
    link_close(&peer->direct);
    link_close(&peer->bulk);
    assembly_drop(&peer->assembly);
    free(peer);
}

void transport_destroy(struct transport **self_p)
{
    if (self_p == NULL || *self_p == NULL) {
        return;
    }
    struct transport *self = *self_p;
    for (size_t i = 0; i < self->peer_count; i++) {
        free_peer(self->peers[i]);
    }
    if (self->maintenance_timer > 0) {
        (void)zloop_timer_end(self->config.loop, self->maintenance_timer);
    }
    if (self->redial_timer > 0) {
        (void)zloop_timer_end(self->config.loop, self->redial_timer);
    }
    if (self->router != NULL) {
        handshakes_destroy(&self->router_handshakes);
        watch_destroy(&self->router_watch);
        (void)zmq_close(self->router);
    }
    mp_writer_deinit(&self->writer);
    explicit_bzero(self->secret_key, sizeof self->secret_key);
    free(self);
    *self_p = NULL;
}

const char *transport_endpoint(const struct transport *self)
{
    return self->endpoint;
}

/* ---- peers ---- */

struct peer *transport_find(const struct transport *self, const char *name)
{
    for (size_t i = 0; i < self->peer_count; i++) {
        if (strcmp(self->peers[i]->name, name) == 0) {
            return self->peers[i];
        }
    }
    return NULL;
}

struct peer *transport_find_id(const struct transport *self, uint64_t id)
{
    for (size_t i = 0; i < self->peer_count; i++) {
        if (self->peers[i]->id == id) {
            return self->peers[i];
        }
    }
    return NULL;
}

static int check_peer(const struct transport *self, const struct transport_peer *peer,
                      struct err *err)
{
    if (peer->name[0] == '\0' || strlen(peer->name) >= NAME_SIZE || peer->id == 0 ||
        peer->id == self->config.id || strncmp(peer->address, "tcp://", 6) != 0 ||
        strlen(peer->address) >= ADDRESS_SIZE || strlen(peer->public_key) != PUBLIC_KEY_SIZE - 1) {
        return err_set(err, ERR_INVALID, "peer \"%.*s\" at \"%.100s\" is not usable", NAME_SIZE - 1,
                       peer->name, peer->address);
    }
    const struct peer *same_id = transport_find_id(self, peer->id);
    if (same_id != NULL && strcmp(same_id->name, peer->name) != 0) {
        return err_set(err, ERR_EXISTS, "peers \"%s\" and \"%s\" have the same id", same_id->name,
                       peer->name);
    }
    return 0;
}

static struct peer *add_peer(struct transport *self, const char *name)
{
    struct peer *peer = calloc(1, sizeof *peer);
    if (peer != NULL) {
        peer->transport = self;
        (void)snprintf(peer->name, sizeof peer->name, "%s", name);
        link_init(&peer->direct, peer, false);
        link_init(&peer->bulk, peer, true);
        self->peers[self->peer_count++] = peer;
    }
    return peer;
}

int transport_peer_set(struct transport *self, const struct transport_peer *peer, struct err *err)
{
    int rc = check_peer(self, peer, err);
    if (rc != 0) {
        return rc;
    }
    struct peer *kept = transport_find(self, peer->name);
    if (kept == NULL && self->peer_count == NODES_MAX) {
        return err_set(err, ERR_FULL, "more than %d peers", NODES_MAX);
    }
    kept = kept != NULL ? kept : add_peer(self, peer->name);
    if (kept == NULL) {
        return err_set(err, ERR_NOMEM, "add peer");
    }
    kept->id = peer->id;
    if (strcmp(kept->address, peer->address) == 0 &&
        strcmp(kept->public_key, peer->public_key) == 0) {
        return 0;
    }
    link_close(&kept->direct);
    link_close(&kept->bulk);
    kept->endpoint[0] = '\0';
    (void)snprintf(kept->address, sizeof kept->address, "%s", peer->address);
    (void)snprintf(kept->public_key, sizeof kept->public_key, "%s", peer->public_key);
    if (kept->watched) {
        link_open(&kept->direct);
    }
    return 0;
}

void transport_peer_remove(struct transport *self, const char *name)
{
    for (size_t i = 0; i < self->peer_count; i++) {
        if (strcmp(self->peers[i]->name, name) == 0) {
            struct peer *peer = self->peers[i];
            self->peers[i] = self->peers[--self->peer_count];
            free_peer(peer);
            return;
        }
    }
}

void transport_peer_watch(struct transport *self, const char *name, bool watch)
{
    struct peer *peer = transport_find(self, name);
    if (peer != NULL) {
        peer->watched = watch;
        if (watch) {
            link_open(&peer->direct);
        }
    }
}

bool transport_peer_connected(const struct transport *self, const char *name)
{
    const struct peer *peer = transport_find(self, name);
    return peer != NULL && peer->direct.connected;
}

const char *transport_peer_endpoint(const struct transport *self, const char *name)
{
    const struct peer *peer = transport_find(self, name);
    return peer != NULL && peer->endpoint[0] != '\0' ? peer->endpoint : NULL;
}

const char *transport_peer_name(const struct transport *self, uint64_t id)
{
    const struct peer *peer = transport_find_id(self, id);
    return peer != NULL ? peer->name : NULL;
}

void transport_counters(const struct transport *self, struct transport_counters *ret)
{
    *ret = self->counters;
}

uint64_t transport_connections_failed(struct transport *self, int64_t now_ms)
{
    return handshakes_failed(self->router_handshakes, now_ms);
}

bool transport_peer_counters(const struct transport *self, const char *name,
                             struct transport_counters *ret)
{
    const struct peer *peer = transport_find(self, name);
    if (peer == NULL) {
        return false;
    }
    *ret = peer->counters;
    return true;
}
