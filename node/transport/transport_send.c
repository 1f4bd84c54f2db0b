/* Which connection a message takes, and cutting long ones into chunks. */
#include "node/base/clock.h"
#include "node/transport/transport_internal.h"

#include <errno.h>

/* ---- one frame on one socket ---- */

static void count_sent(struct transport *self, struct peer *peer, size_t bytes)
{
    self->counters.sent++;
    self->counters.sent_bytes += bytes;
    if (peer != NULL) {
        peer->counters.sent++;
        peer->counters.sent_bytes += bytes;
    }
}

static int drop(struct transport *self, struct peer *peer)
{
    self->counters.dropped++;
    peer->counters.dropped++;
    return ERR_FULL;
}

static int encode(struct transport *self, struct wire_frame *frame)
{
    frame->cluster = self->config.cluster;
    frame->sender = self->config.id;
    return frame_encode(frame, &self->writer);
}

static int send_on_link(struct link *link, struct wire_frame *frame)
{
    struct peer *peer = link->peer;
    struct transport *self = peer->transport;
    frame->sequence = (uint16_t)(link->sequence | (link->bulk ? WIRE_BULK : 0));
    int rc = encode(self, frame);
    if (rc != 0) {
        return rc;
    }
    int sent =
        zmq_send(link->dealer, self->writer.buffer.data, self->writer.buffer.length, ZMQ_DONTWAIT);
    watch_touched(link->dealer_watch);
    if (sent < 0) {
        return drop(self, peer);
    }
    link->sequence = frame_sequence_next(link->sequence);
    count_sent(self, peer, self->writer.buffer.length);
    if (link->bulk) {
        self->counters.sent_bulk++;
        peer->counters.sent_bulk++;
    }
    return 0;
}

/* A chunk that is not taken ends the message: the receiver notices the missing rest. */
static int send_in_chunks(struct link *link, struct wire_frame *frame, size_t length)
{
    const uint8_t *bytes = frame->payload;
    frame->chunk = true;
    frame->total = (uint32_t)length;
    for (size_t offset = 0; offset < length; offset += frame->length) {
        size_t left = length - offset;
        frame->offset = (uint32_t)offset;
        frame->payload = bytes + offset;
        frame->length = left < TRANSPORT_CHUNK_BYTES ? left : TRANSPORT_CHUNK_BYTES;
        int rc = send_on_link(link, frame);
        if (rc != 0) {
            return rc;
        }
    }
    return 0;
}

int transport_link_send(struct link *link, uint32_t kind, const uint8_t *bytes, size_t length)
{
    struct wire_frame frame = {.kind = kind, .payload = bytes, .length = length};
    return length > TRANSPORT_CHUNK_BYTES ? send_in_chunks(link, &frame, length)
                                          : send_on_link(link, &frame);
}

static int send_parts(struct transport *self, const struct transport_route *route)
{
    if (zmq_send(self->router, route->id, route->length, ZMQ_SNDMORE | ZMQ_DONTWAIT) < 0) {
        return zmq_errno() == EAGAIN ? ERR_FULL : ERR_NOTFOUND;
    }
    if (zmq_send(self->router, self->writer.buffer.data, self->writer.buffer.length, ZMQ_DONTWAIT) <
        0) {
        return ERR_FULL;
    }
    return 0;
}

static int send_on_route(struct transport *self, const struct transport_route *route,
                         struct wire_frame *frame)
{
    int rc = encode(self, frame);
    if (rc != 0) {
        return rc;
    }
    rc = send_parts(self, route);
    watch_touched(self->router_watch);
    return rc;
}

/* ---- the choice ---- */

static int send_as_answer(struct peer *peer, struct wire_frame *frame)
{
    struct transport *self = peer->transport;
    frame->sequence = peer->answer_sequence;
    int rc = send_on_route(self, &peer->route, frame);
    if (rc == ERR_NOTFOUND) {
        peer->route.length = 0;
        return rc;
    }
    if (rc != 0) {
        return drop(self, peer);
    }
    peer->answer_sequence = frame_sequence_next(peer->answer_sequence);
    count_sent(self, peer, self->writer.buffer.length);
    self->counters.sent_answer++;
    peer->counters.sent_answer++;
    return 0;
}

static int send_by_link(struct link *link, uint32_t kind, const uint8_t *bytes, size_t length)
{
    link_open(link);
    link->used_ms = clock_boot_ms();
    if (link->dealer != NULL && link->connected) {
        return transport_link_send(link, kind, bytes, length);
    }
    int rc = link->dealer != NULL ? link_wait(link, kind, bytes, length) : ERR_FULL;
    return rc == 0 ? 0 : drop(link->peer->transport, link->peer);
}

static int send_to_peer(struct peer *peer, uint32_t kind, const uint8_t *bytes, size_t length,
                        bool bulk)
{
    if (length > SNAPSHOT_BYTES_MAX || kind == 0 || kind > TRANSPORT_KIND_MAX) {
        return ERR_INVALID;
    }
    if (bulk || length > TRANSPORT_CHUNK_BYTES) {
        return send_by_link(&peer->bulk, kind, bytes, length);
    }
    int64_t silent_ms = clock_boot_ms() - peer->route_ms;
    if (peer->route.length > 0 &&
        silent_ms <= (peer->direct.connected ? TRANSPORT_ANSWER_MS : ANSWER_INSTEAD_MS)) {
        struct wire_frame frame = {.kind = kind, .payload = bytes, .length = length};
        int rc = send_as_answer(peer, &frame);
        if (rc != ERR_NOTFOUND) {
            return rc;
        }
    }
    return send_by_link(&peer->direct, kind, bytes, length);
}

int transport_send(struct transport *self, const char *name, uint32_t kind, const uint8_t *bytes,
                   size_t length, bool bulk)
{
    struct peer *peer = transport_find(self, name);
    return peer != NULL ? send_to_peer(peer, kind, bytes, length, bulk) : ERR_NOTFOUND;
}

int transport_send_id(struct transport *self, uint64_t id, uint32_t kind, const uint8_t *bytes,
                      size_t length, bool bulk)
{
    struct peer *peer = transport_find_id(self, id);
    return peer != NULL ? send_to_peer(peer, kind, bytes, length, bulk) : ERR_NOTFOUND;
}

int transport_reply(struct transport *self, const struct transport_route *route, uint32_t kind,
                    const uint8_t *bytes, size_t length)
{
    if (route->length == 0 || route->length > TRANSPORT_ROUTE_BYTES_MAX ||
        length > TRANSPORT_CHUNK_BYTES || kind == 0 || kind > TRANSPORT_KIND_MAX) {
        return ERR_INVALID;
    }
    /* Sequence 0: the asker may be another process than the peer's node; no stream to count in. */
    struct wire_frame frame = {.kind = kind, .payload = bytes, .length = length};
    int rc = send_on_route(self, route, &frame);
    if (rc == 0) {
        count_sent(self, NULL, self->writer.buffer.length);
    } else {
        self->counters.dropped++;
    }
    return rc;
}
