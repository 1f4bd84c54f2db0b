#include "node/transport/obituary.h"

#include "node/base/clock.h"
#include "node/transport/sockets.h"
#include "node/transport/transport.h"
#include "node/transport/wire.h"

#include <stdlib.h>
#include <string.h>
#include <zmq.h>

/* Everything here lives for some hundred milliseconds: dial fast and again. */
static const struct sockets_timing timing = {
    .reconnect_min_ms = 10,
    .reconnect_max_ms = 100,
    .connect_timeout_ms = 300,
    .handshake_ms = 1000,
    .tcp_user_timeout_ms = 1000,
};

struct recipient {
    void *dealer;
    uint64_t id;
    size_t acks;
};

struct obituary_sender {
    void *zmq_context;
    uint64_t id;
    uint32_t cluster;
    struct recipient recipients[NODES_MAX];
    size_t count;
    struct mp_writer writer;
    uint16_t sequence;
    size_t sent;
};

static void dial(struct obituary_sender *self, const struct obituary_config *config,
                 const struct obituary_peer *peer, struct err *err)
{
    struct sockets_keys keys = {.public_key = config->public_key,
                                .secret_key = config->secret_key,
                                .peer_key = peer->public_key};
    void *dealer = sockets_dealer(self->zmq_context, &keys, &timing, false, false, err);
    if (dealer == NULL) {
        return;
    }
    int queue = OBITUARY_MESSAGES_MAX;
    if (zmq_setsockopt(dealer, ZMQ_SNDHWM, &queue, sizeof queue) != 0 ||
        zmq_connect(dealer, peer->address) != 0) {
        (void)err_set(err, ERR_INVALID, "dial %.100s: %s", peer->address,
                      zmq_strerror(zmq_errno()));
        (void)zmq_close(dealer);
        return;
    }
    self->recipients[self->count++] = (struct recipient){.dealer = dealer, .id = peer->id};
}

int obituary_open(const struct obituary_config *config, struct obituary_sender **ret,
                  struct err *err)
{
    struct obituary_sender *self = calloc(1, sizeof *self);
    if (self == NULL) {
        return err_set(err, ERR_NOMEM, "open obituary");
    }
    mp_writer_init(&self->writer, WIRE_FRAME_MAX);
    self->id = config->id;
    self->cluster = config->cluster;
    self->zmq_context = zmq_ctx_new();
    if (self->zmq_context == NULL) {
        obituary_destroy(&self, 0);
        return err_set(err, ERR_NOMEM, "open obituary");
    }
    for (size_t i = 0; i < config->peer_count && i < NODES_MAX; i++) {
        dial(self, config, &config->peers[i], err);
    }
    if (self->count == 0) {
        obituary_destroy(&self, 0);
        return err != NULL && err->code != 0 ? err->code
                                             : err_set(err, ERR_INVALID, "nobody to tell");
    }
    *ret = self;
    return 0;
}

int obituary_send(struct obituary_sender *self, uint32_t kind, const uint8_t *bytes, size_t length,
                  struct err *err)
{
    if (self->sent >= OBITUARY_MESSAGES_MAX || length > COMMAND_BYTES_MAX) {
        return err_set(err, ERR_FULL, "message %zu of %zu bytes to the peers", self->sent + 1,
                       length);
    }
    struct wire_frame frame = {.kind = kind,
                               .cluster = self->cluster,
                               .sender = self->id,
                               .sequence = self->sequence,
                               .payload = bytes,
                               .length = length};
    int rc = frame_encode(&frame, &self->writer);
    if (rc != 0) {
        return err_set(err, rc, "encode message to the peers");
    }
    size_t took = 0;
    for (size_t i = 0; i < self->count; i++) {
        if (zmq_send(self->recipients[i].dealer, self->writer.buffer.data,
                     self->writer.buffer.length, ZMQ_DONTWAIT) >= 0) {
            took++;
        }
    }
    self->sent++;
    self->sequence = frame_sequence_next(self->sequence);
    return took > 0 ? 0 : err_set(err, ERR_FULL, "no peer takes a message");
}

static void receive(struct obituary_sender *self, struct recipient *from)
{
    for (;;) {
        zmq_msg_t message;
        (void)zmq_msg_init(&message);
        if (zmq_msg_recv(&message, from->dealer, ZMQ_DONTWAIT) < 0) {
            (void)zmq_msg_close(&message);
            return;
        }
        struct wire_frame frame;
        if (frame_decode(zmq_msg_data(&message), zmq_msg_size(&message), &frame, NULL) == 0 &&
            frame.cluster == self->cluster && frame.sender == from->id &&
            frame.kind == TRANSPORT_OBITUARY_ACK) {
            from->acks++;
        }
        (void)zmq_msg_close(&message);
    }
}

/* How many have answered all that was sent. */
static size_t count_informed(const struct obituary_sender *self)
{
    size_t informed = 0;
    for (size_t i = 0; i < self->count; i++) {
        informed += self->recipients[i].acks >= self->sent ? 1 : 0;
    }
    return informed;
}

size_t obituary_wait(struct obituary_sender *self, size_t needed, int64_t deadline_ms)
{
    zmq_pollitem_t items[NODES_MAX];
    for (;;) {
        size_t informed = count_informed(self);
        int64_t left_ms = deadline_ms - clock_boot_ms();
        if (informed >= needed || left_ms <= 0) {
            return informed;
        }
        for (size_t i = 0; i < self->count; i++) {
            items[i] = (zmq_pollitem_t){.socket = self->recipients[i].dealer, .events = ZMQ_POLLIN};
        }
        if (zmq_poll(items, (int)self->count, (long)left_ms) < 0) {
            continue; /* a signal: the deadline is looked at again */
        }
        for (size_t i = 0; i < self->count; i++) {
            receive(self, &self->recipients[i]);
        }
    }
}

void obituary_destroy(struct obituary_sender **self_p, int flush_ms)
{
    if (self_p == NULL || *self_p == NULL) {
        return;
    }
    struct obituary_sender *self = *self_p;
    for (size_t i = 0; i < self->count; i++) {
        (void)zmq_setsockopt(self->recipients[i].dealer, ZMQ_LINGER, &flush_ms, sizeof flush_ms);
        (void)zmq_close(self->recipients[i].dealer);
    }
    while (self->zmq_context != NULL && zmq_ctx_term(self->zmq_context) != 0) {
        /* Only a signal interrupts it; the linger bounds it. */
    }
    mp_writer_deinit(&self->writer);
    free(self);
    *self_p = NULL;
}
