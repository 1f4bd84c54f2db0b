#include "node/daemon/names.h"

#include "node/base/clock.h"
#include "node/daemon/node.h"

#include <stdio.h>
#include <string.h>

#define AGAIN_MS 1000 /* between two look-ups for peers that cannot be reached */

static struct known_name *find_name(struct node *self, const char *host)
{
    for (size_t i = 0; i < self->name_count; i++) {
        if (strcmp(self->names[i].host, host) == 0) {
            return &self->names[i];
        }
    }
    return NULL;
}

static struct known_name *keep_name(struct node *self, const char *host)
{
    struct known_name *name = find_name(self, host);
    if (name != NULL) {
        return name;
    }
    if (self->name_count == NODES_MAX) {
        self->name_count = 0; /* names that came and went: those in use are asked for again */
    }
    name = &self->names[self->name_count++];
    *name = (struct known_name){0};
    (void)snprintf(name->host, sizeof name->host, "%s", host);
    (void)resolver_ask(self->resolver, host);
    return name;
}

bool names_resolve(struct node *self, char address[ADDRESS_SIZE])
{
    char host[ADDRESS_SIZE];
    char port[8];
    if (!resolver_split(address, host, port)) {
        return false;
    }
    if (resolver_is_numeric(host)) {
        return true;
    }
    const struct known_name *name = keep_name(self, host);
    if (name->numeric[0] == '\0') {
        return false;
    }
    (void)snprintf(address, ADDRESS_SIZE, "tcp://%s:%s", name->numeric, port);
    return true;
}

static bool any_peer_unreachable(const struct node *self)
{
    for (size_t i = 0; i < gossip_member_count(self->gossip); i++) {
        struct gossip_member member;
        gossip_member_at(self->gossip, i, &member);
        if (!member.self && !transport_peer_connected(self->transport, member.name)) {
            return true;
        }
    }
    return gossip_member_count(self->gossip) < 2;
}

void names_run(struct node *self, int64_t now_ms)
{
    if (self->name_count == 0 || now_ms < self->names_at_ms) {
        return;
    }
    self->names_at_ms = now_ms + AGAIN_MS;
    for (size_t i = 0; i < self->name_count && any_peer_unreachable(self); i++) {
        (void)resolver_ask(self->resolver, self->names[i].host);
    }
}

static int on_answers(zloop_t *loop, zmq_pollitem_t *item, void *argument)
{
    (void)loop;
    (void)item;
    struct node *self = argument;
    struct resolver_answer answer;
    bool changed = false;
    while (resolver_take(self->resolver, &answer)) {
        struct known_name *name = find_name(self, answer.host);
        /* A name server that fails does not take back what it said before. */
        if (name != NULL && answer.numeric[0] != '\0' &&
            strcmp(name->numeric, answer.numeric) != 0) {
            memcpy(name->numeric, answer.numeric, sizeof name->numeric);
            changed = true;
            log_write(self->log, LOG_LEVEL_INFO, "peer.resolved", log_text("host", answer.host),
                      log_text("address", answer.numeric));
        }
    }
    if (changed) {
        peers_sync(self);
    }
    node_pump(self);
    return 0;
}

int names_create(struct node *self, struct err *err)
{
    self->resolver = resolver_create();
    if (self->resolver == NULL) {
        return err_set(err, ERR_NOMEM, "cannot make the resolver");
    }
    zmq_pollitem_t item = {.fd = resolver_fd(self->resolver), .events = ZMQ_POLLIN};
    return zloop_poller(self->loop, &item, on_answers, self) == 0
               ? 0
               : err_set(err, ERR_NOMEM, "cannot watch the resolver");
}
