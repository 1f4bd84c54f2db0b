/* Single frames, a message of three chunks in order, one with a gap, and a foreign frame. */
#include "node/transport/wire.h"
#include "tests/fuzz/seed.h"

#include <string.h>

int main(int argc, char **argv)
{
    static const uint8_t singles[] = {0, 16, 9, 1,  9, 0,  0, 0, 0, 0x40, 0, 2,  9, 0,
                                      0, 0,  0, 16, 9, 3,  0, 0, 0, 0,    0, 16, 9, 4,
                                      1, 0,  0, 0,  0, 16, 9, 5, 2, 0,    0, 0};
    static const uint8_t whole[] = {0, 16, 9, 0x82, 9, 2,  0, 0,    0, 16, 9, 0x82,
                                    9, 2,  1, 0,    0, 16, 9, 0x82, 9, 2,  2, 0};
    static const uint8_t gap[] = {0, 16, 9, 0x82, 9, 2,    0, 0,    0, 17, 9, 0x82, 9, 2,
                                  1, 0,  0, 16,   9, 0x82, 9, 2,    2, 0,  0, 0,    9, 0x82,
                                  9, 1,  0, 0,    0, 0,    9, 0x82, 9, 1,  1, 0};
    uint8_t foreign[300] = {1};
    struct mp_writer writer;
    struct wire_frame frame = {.kind = TRANSPORT_RAFT,
                               .cluster = 7,
                               .sender = 42,
                               .sequence = 1,
                               .payload = foreign,
                               .length = 20};
    if (argc != 2) {
        return 2;
    }
    mp_writer_init(&writer, WIRE_FRAME_MAX);
    if (frame_encode(&frame, &writer) != 0) {
        return 1;
    }
    foreign[1] = (uint8_t)writer.buffer.length;
    memcpy(foreign + 2, writer.buffer.data, writer.buffer.length);
    seed_write(argv[1], "foreign", -1, foreign, writer.buffer.length + 2);
    seed_write(argv[1], "singles", -1, singles, sizeof singles);
    seed_write(argv[1], "chunks", -1, whole, sizeof whole);
    seed_write(argv[1], "gap", -1, gap, sizeof gap);
    mp_writer_deinit(&writer);
    return 0;
}
