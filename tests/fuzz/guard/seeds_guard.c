/* Packets of each kind, alone and as a guard's whole life; each piece has its length in front. */
#include "node/guard/wire.h"
#include "tests/fuzz/seed.h"

#include <string.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    uint8_t life[6 * (GUARD_PACKET_BYTES + 1)];
    size_t length = 0;
    if (argc != 2) {
        return 2;
    }
    for (int kind = GUARD_HELLO; kind <= GUARD_REVOKE; kind++) {
        struct guard_message message = {.kind = (enum guard_kind)kind,
                                        .pid = 42,
                                        .child = 43,
                                        .assignment = 1,
                                        .term = 1,
                                        .deadline_ms = 1000,
                                        .duty = "a/b"};
        uint8_t packet[1 + GUARD_PACKET_BYTES] = {GUARD_PACKET_BYTES};
        char name[16];
        guard_encode(&message, packet + 1);
        (void)snprintf(name, sizeof name, "packet-%d", kind);
        seed_write(argv[1], name, -1, packet + 1, GUARD_PACKET_BYTES);
        (void)snprintf(name, sizeof name, "piece-%d", kind);
        seed_write(argv[1], name, -1, packet, sizeof packet);
        memcpy(life + length, packet, sizeof packet);
        length += sizeof packet;
    }
    /* An even first byte: the fuzzer's own greeting, with nothing written over it. */
    life[length] = 1;
    life[length + 1] = 0;
    seed_write(argv[1], "life", -1, life, length + 2);
    seed_write(argv[1], "greeting", -1, "\x01\x00", 2);
    return 0;
}
