/* What comes in: who sent it, is it ours, which stream, is it whole. */
#include "node/base/clock.h"
#include "node/transport/transport_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void assembly_drop(struct assembly *self)
{
    free(self->bytes);
    *self = (struct assembly){0};
}

static void refuse(struct transport *self, struct peer *peer, enum transport_event event,
                   const char *name, const char *text)
{
    transport_tell(self, peer, event, name, text);
}

/* ---- sequences ---- */

/* False when frames are missing before this one. */
static bool note_sequence(struct peer *peer, enum stream stream, uint16_t sequence)
{
    uint16_t number = sequence & WIRE_SEQUENCE_MAX;
    uint32_t gap = peer->heard_any[stream] ? frame_sequence_gap(peer->heard[stream], number) : 0;
    peer->heard_any[stream] = true;
    peer->heard[stream] = number;
    peer->counters.gaps += gap;
    peer->transport->counters.gaps += gap;
    return gap == 0;
}

/* ---- long messages ---- */

static void discard_assembly(struct peer *peer)
{
    if (peer->assembly.bytes != NULL) {
        peer->counters.chunks_discarded++;
        peer->transport->counters.chunks_discarded++;
    }
    assembly_drop(&peer->assembly);
}

static bool begin_assembly(struct peer *peer, const struct wire_frame *frame)
{
    peer->assembly = (struct assembly){
        .bytes = malloc(frame->total), .kind = frame->kind, .total = frame->total};
    return peer->assembly.bytes != NULL;
}

/* True when the message is whole. */
static bool add_chunk(struct peer *peer, const struct wire_frame *frame, bool in_sequence)
{
    struct assembly *assembly = &peer->assembly;
    if (frame->offset == 0) {
        discard_assembly(peer);
        if (!begin_assembly(peer, frame)) {
            return false;
        }
    }
    if (assembly->bytes == NULL) {
        return false; /* the rest of a message whose beginning is lost */
    }
    if ((frame->offset != 0 && !in_sequence) || frame->offset != assembly->have ||
        frame->total != assembly->total || frame->kind != assembly->kind) {
        discard_assembly(peer);
        return false;
    }
    memcpy(assembly->bytes + frame->offset, frame->payload, frame->length);
    assembly->have += (uint32_t)frame->length;
    assembly->at_ms = clock_boot_ms();
    return assembly->have == assembly->total;
}

/* ---- frames that passed ---- */

static void deliver(struct transport *self, const struct transport_message *message)
{
    self->config.callbacks.received(self->config.callbacks.context, message);
}

/* `peer` may be gone when this returns. */
static void deliver_chunk(struct peer *peer, const struct wire_frame *frame, bool in_sequence,
                          struct transport_message *message)
{
    if (!add_chunk(peer, frame, in_sequence)) {
        return;
    }
    struct assembly whole = peer->assembly;
    peer->assembly = (struct assembly){0};
    message->bytes = whole.bytes;
    message->length = whole.total;
    deliver(peer->transport, message);
    assembly_drop(&whole);
}

/* A peer whom we know: streams are counted, its connection is remembered for answers. */
static void accept_from_peer(struct peer *peer, const struct wire_frame *frame, enum stream stream,
                             size_t bytes, struct transport_message *message)
{
    peer->counters.received++;
    peer->counters.received_bytes += bytes;
    bool answered_directly = stream == STREAM_ANSWER && frame->sequence == 0;
    bool in_sequence = answered_directly || note_sequence(peer, stream, frame->sequence);
    if (stream == STREAM_DIRECT &&
        (frame->kind == TRANSPORT_GOSSIP || frame->kind == TRANSPORT_RAFT)) {
        peer->route = message->route;
        peer->route_ms = clock_boot_ms();
        link_redial_now(&peer->direct);
    }
    if (frame->chunk) {
        deliver_chunk(peer, frame, in_sequence, message);
    } else {
        deliver(peer->transport, message);
    }
}

/* ---- the ROUTER: who is it? ---- */

static void accept_frame(struct transport *self, const struct zap_key *key,
                         const struct wire_frame *frame, size_t bytes,
                         const struct transport_route *route)
{
    struct peer *peer = transport_find(self, key->name);
    if (frame->cluster != self->config.cluster) {
        refuse(self, peer, TRANSPORT_EVENT_WRONG_CLUSTER, key->name, "frame of another cluster");
        return;
    }
    if (frame->sender != key->id || (peer != NULL && peer->id != key->id)) {
        char text[96];
        (void)snprintf(text, sizeof text, "frame claims sender %llx, its key is that of %llx",
                       (unsigned long long)frame->sender, (unsigned long long)key->id);
        refuse(self, peer, TRANSPORT_EVENT_FORGED, key->name, text);
        return;
    }
    self->counters.received++;
    self->counters.received_bytes += bytes;
    /* Copied: a callback may replace the key table. */
    char name[NAME_SIZE];
    memcpy(name, key->name, sizeof name);
    struct transport_message message = {.kind = frame->kind,
                                        .sender = name,
                                        .sender_id = key->id,
                                        .bytes = frame->payload,
                                        .length = frame->length,
                                        .route = *route};
    if (peer != NULL) {
        enum stream stream = (frame->sequence & WIRE_BULK) != 0 ? STREAM_BULK : STREAM_DIRECT;
        accept_from_peer(peer, frame, stream, bytes, &message);
    } else if (!frame->chunk) {
        deliver(self, &message);
    }
}

static void handle_frame(struct transport *self, zmq_msg_t *part,
                         const struct transport_route *route)
{
    const struct zap_key *key =
        zap_identify(self->config.zap, zmq_msg_gets(part, ZAP_USER_PROPERTY),
                     zmq_msg_gets(part, ZAP_KEY_PROPERTY));
    if (key == NULL || key->role != ZAP_NODE) {
        refuse(self, NULL, TRANSPORT_EVENT_UNAUTHENTICATED, "",
               "frame on a connection whose key is not in the table any more");
        return;
    }
    struct wire_frame frame;
    struct err err = {0};
    size_t bytes = zmq_msg_size(part);
    if (frame_decode(zmq_msg_data(part), bytes, &frame, &err) != 0) {
        refuse(self, transport_find(self, key->name), TRANSPORT_EVENT_MALFORMED, key->name,
               err.msg);
        return;
    }
    accept_frame(self, key, &frame, bytes, route);
}

/* Takes one message of one routing part and one frame; false when there is none. */
static bool receive_router(struct transport *self)
{
    zmq_msg_t part;
    struct transport_route route = {0};
    size_t parts = 0;
    bool fits = true;
    bool more = true;
    (void)zmq_msg_init(&part);
    while (more) {
        if (zmq_msg_recv(&part, self->router, ZMQ_DONTWAIT) < 0) {
            (void)zmq_msg_close(&part);
            return false;
        }
        more = zmq_msg_more(&part) != 0;
        if (parts == 0 && zmq_msg_size(&part) <= TRANSPORT_ROUTE_BYTES_MAX) {
            route.length = zmq_msg_size(&part);
            memcpy(route.id, zmq_msg_data(&part), route.length);
        } else if (parts == 0) {
            fits = false;
        }
        parts++;
    }
    if (fits && parts == 2) {
        handle_frame(self, &part, &route);
    } else {
        refuse(self, NULL, TRANSPORT_EVENT_MALFORMED, "", "message that is not one frame");
    }
    (void)zmq_msg_close(&part);
    return true;
}

void transport_on_router(void *context, void *socket)
{
    (void)socket;
    (void)receive_router(context);
}

/* ---- our DEALERs: the peer is who CURVE says ---- */

static void handle_answer(struct link *link, zmq_msg_t *part)
{
    struct peer *peer = link->peer;
    struct transport *self = peer->transport;
    struct wire_frame frame;
    struct err err = {0};
    size_t bytes = zmq_msg_size(part);
    if (zmq_msg_more(part) != 0 || frame_decode(zmq_msg_data(part), bytes, &frame, &err) != 0) {
        refuse(self, peer, TRANSPORT_EVENT_MALFORMED, peer->name,
               err.code != 0 ? err.msg : "message that is not one frame");
        return;
    }
    if (frame.cluster != self->config.cluster) {
        refuse(self, peer, TRANSPORT_EVENT_WRONG_CLUSTER, peer->name, "frame of another cluster");
        return;
    }
    if (frame.sender != peer->id) {
        refuse(self, peer, TRANSPORT_EVENT_FORGED, peer->name, "answer claims another sender");
        return;
    }
    self->counters.received++;
    self->counters.received_bytes += bytes;
    char name[NAME_SIZE];
    memcpy(name, peer->name, sizeof name);
    struct transport_message message = {.kind = frame.kind,
                                        .sender = name,
                                        .sender_id = peer->id,
                                        .bytes = frame.payload,
                                        .length = frame.length};
    accept_from_peer(peer, &frame, STREAM_ANSWER, bytes, &message);
}

void transport_on_dealer(void *context, void *socket)
{
    zmq_msg_t part;
    (void)zmq_msg_init(&part);
    if (zmq_msg_recv(&part, socket, ZMQ_DONTWAIT) >= 0) {
        handle_answer(context, &part);
    }
    (void)zmq_msg_close(&part);
}
