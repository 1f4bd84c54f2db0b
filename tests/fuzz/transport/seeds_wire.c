/* Frames of each kind, and chunks. */
#include "node/transport/wire.h"
#include "tests/fuzz/seed.h"

int main(int argc, char **argv)
{
    static const uint8_t payload[] = "payload";
    if (argc != 2) {
        return 2;
    }
    for (uint32_t kind = 1; kind <= TRANSPORT_HELLO; kind++) {
        struct mp_writer writer;
        char name[16];
        struct wire_frame frame = {.kind = kind,
                                   .cluster = 0x12345678,
                                   .sender = UINT64_MAX - kind,
                                   .sequence = (uint16_t)(kind % 2 == 0 ? WIRE_BULK | kind : kind),
                                   .payload = payload,
                                   .length = kind == 1 ? 0 : sizeof payload,
                                   .chunk = kind % 3 == 0,
                                   .offset = kind * 100,
                                   .total = 1 << 20};
        mp_writer_init(&writer, WIRE_FRAME_MAX);
        if (frame_encode(&frame, &writer) != 0) {
            return 1;
        }
        (void)snprintf(name, sizeof name, "kind-%u", (unsigned)kind);
        seed_write(argv[1], name, -1, writer.buffer.data, writer.buffer.length);
        mp_writer_deinit(&writer);
    }
    return 0;
}
