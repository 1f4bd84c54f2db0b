#include "node/storage/checksum.h"

uint64_t checksum_bytes(uint64_t sum, const void *bytes, size_t length)
{
    const uint8_t *byte = bytes;
    for (size_t i = 0; i < length; i++) {
        sum = (sum ^ byte[i]) * 0x100000001b3u;
    }
    return sum;
}

uint64_t checksum_u64(uint64_t sum, uint64_t value)
{
    for (unsigned shift = 0; shift < 64; shift += 8) {
        sum = (sum ^ (value >> shift & 0xff)) * 0x100000001b3u;
    }
    return sum;
}
