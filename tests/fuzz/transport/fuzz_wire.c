/* The frame decoder: whatever is taken must be within its bounds, and survive a second writing. */
#include "node/base/invariant.h"
#include "node/base/limits.h"
#include "node/transport/transport.h"
#include "node/transport/wire.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t size_max);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t size_max, unsigned seed);

static void check_frame(const uint8_t *data, size_t size, const struct wire_frame *frame)
{
    invariant(frame->kind >= 1);
    invariant(frame->kind <= TRANSPORT_KIND_MAX);
    invariant(frame->length <= WIRE_PAYLOAD_MAX);
    invariant(frame->length == 0 || frame->payload >= data);
    invariant(frame->length == 0 || frame->payload + frame->length <= data + size);
    if (frame->chunk) {
        invariant(frame->total <= SNAPSHOT_BYTES_MAX);
        invariant((uint64_t)frame->offset + frame->length <= frame->total);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct wire_frame frame;
    if (frame_decode(data, size, &frame, NULL) != 0) {
        return 0;
    }
    check_frame(data, size, &frame);
    struct mp_writer writer;
    struct wire_frame again;
    mp_writer_init(&writer, WIRE_FRAME_MAX);
    invariant(frame_encode(&frame, &writer) == 0);
    invariant(frame_decode(writer.buffer.data, writer.buffer.length, &again, NULL) == 0);
    invariant(again.kind == frame.kind);
    invariant(again.cluster == frame.cluster);
    invariant(again.sender == frame.sender);
    invariant(again.sequence == frame.sequence);
    invariant(again.length == frame.length);
    invariant(frame.length == 0 || memcmp(again.payload, frame.payload, frame.length) == 0);
    invariant(again.chunk == frame.chunk);
    mp_writer_deinit(&writer);
    return 0;
}

/* Starts from frames that the encoder made, so that the fuzzer need not guess the form. */
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t size_max, unsigned seed)
{
    if (seed % 8 == 0) {
        struct mp_writer writer;
        struct wire_frame frame = {.kind = seed >> 3 & 0x7f,
                                   .cluster = seed * 2654435761u,
                                   .sender = (uint64_t)seed << 29,
                                   .sequence = (uint16_t)seed,
                                   .payload = data,
                                   .length = size < 64 ? size : 64,
                                   .chunk = (seed & 16) != 0,
                                   .offset = seed >> 8,
                                   .total = (seed >> 8) + 64};
        mp_writer_init(&writer, WIRE_FRAME_MAX);
        if (frame_encode(&frame, &writer) == 0 && writer.buffer.length <= size_max) {
            size = writer.buffer.length;
            memcpy(data, writer.buffer.data, size);
        }
        mp_writer_deinit(&writer);
    }
    return LLVMFuzzerMutate(data, size, size_max);
}
