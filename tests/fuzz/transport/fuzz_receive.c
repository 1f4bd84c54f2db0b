/* Frames on a connection that we dialled, through the whole of the receiving side but CURVE: who
 * sent it, gaps, long messages put together again. The input is a list of steps of eight bytes; a
 * step is one frame of our own encoder, or (odd first byte) a foreign one of up to 255 bytes that
 * follow it. */
#include "node/base/invariant.h"
#include "node/transport/transport_internal.h"

#include <string.h>
#include <zmq.h>

#define CLUSTER 7
#define SENDER 42
#define STEP 8

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint64_t delivered;

static void on_received(void *context, const struct transport_message *message)
{
    static volatile uint8_t seen; /* every byte is read, so that the sanitizer looks at it */
    (void)context;
    invariant(message->sender_id == SENDER && strcmp(message->sender, "n2") == 0);
    invariant(message->kind >= 1 && message->kind <= TRANSPORT_KIND_MAX);
    invariant(message->length <= SNAPSHOT_BYTES_MAX);
    for (size_t i = 0; i < message->length; i++) {
        seen = message->bytes[i];
    }
    (void)seen;
    delivered++;
}

static void on_event(void *context, enum transport_event event, const char *peer, const char *text,
                     uint64_t suppressed)
{
    (void)context;
    (void)suppressed;
    invariant(event < TRANSPORT_EVENT_COUNT && peer != NULL && text != NULL && text[0] != '\0');
}

static void *ends[2]; /* ours to write, the transport's to read */

static void open_ends(void)
{
    void *context = zmq_ctx_new();
    ends[0] = zmq_socket(context, ZMQ_PAIR);
    ends[1] = zmq_socket(context, ZMQ_PAIR);
    int rc = zmq_bind(ends[0], "inproc://fuzz");
    invariant(rc == 0);
    rc = zmq_connect(ends[1], "inproc://fuzz");
    invariant(rc == 0);
}

static void send_own(const uint8_t *step, uint16_t *sequence)
{
    static uint8_t payload[WIRE_PAYLOAD_MAX];
    struct mp_writer writer;
    *sequence = (uint16_t)(*sequence + 1 + (step[1] & 3));
    size_t length = step[1] < 16 ? WIRE_PAYLOAD_MAX : (size_t)step[2];
    struct wire_frame frame = {.kind = step[3] & 15,
                               .cluster = step[4] == 0 ? CLUSTER + 1 : CLUSTER,
                               .sender = step[4] == 1 ? SENDER + 1 : SENDER,
                               .sequence = (step[1] & 0x40) != 0 ? 0 : *sequence,
                               .payload = payload,
                               .length = length,
                               .chunk = (step[3] & 0x80) != 0,
                               .offset = step[6] * (uint32_t)length,
                               .total = (step[5] + 1u) * (uint32_t)length + step[7]};
    mp_writer_init(&writer, WIRE_FRAME_MAX);
    if (frame_encode(&frame, &writer) == 0) {
        (void)zmq_send(ends[0], writer.buffer.data, writer.buffer.length,
                       step[4] == 2 ? ZMQ_SNDMORE | ZMQ_DONTWAIT : ZMQ_DONTWAIT);
        if (step[4] == 2) {
            (void)zmq_send(ends[0], "more", 4, ZMQ_DONTWAIT);
        }
    }
    mp_writer_deinit(&writer);
}

static size_t send_step(const uint8_t *data, size_t size, uint16_t *sequence)
{
    if (data[0] % 2 == 0) {
        send_own(data, sequence);
        return STEP;
    }
    size_t length = data[1] < size - 2 ? data[1] : size - 2;
    (void)zmq_send(ends[0], data + 2, length, ZMQ_DONTWAIT);
    return length + 2;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct transport transport;
    static struct peer peer;
    if (ends[0] == NULL) {
        open_ends();
    }
    transport = (struct transport){0};
    peer = (struct peer){0};
    transport.config.cluster = CLUSTER;
    transport.config.callbacks.received = on_received;
    transport.config.callbacks.event = on_event;
    peer.transport = &transport;
    peer.id = SENDER;
    memcpy(peer.name, "n2", 3);
    peer.direct.peer = &peer;
    uint16_t sequence = 0;
    delivered = 0;
    uint64_t frames = 0;
    while (size >= STEP) {
        size_t used = send_step(data, size, &sequence);
        data += used;
        size -= used;
        frames += 2;
        for (int i = 0; i < 3; i++) { /* one call takes one part */
            transport_on_dealer(&peer.direct, ends[1]);
        }
        invariant(peer.assembly.have <= peer.assembly.total);
        invariant(peer.assembly.total <= SNAPSHOT_BYTES_MAX);
    }
    invariant(delivered <= frames && transport.counters.received <= frames);
    assembly_drop(&peer.assembly);
    return 0;
}
