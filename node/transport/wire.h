/* The frame that wraps every message between nodes; see transport.h for its place.
 *
 * msgpack [version = 1, kind, cluster, sender, sequence, payload], for a chunk of a longer message
 * [..., offset, total] behind it. 21 to 24 bytes around a small payload.
 *
 * cluster    transport_cluster_id(): keeps apart what shares keys by mistake
 * sender     raft id
 * sequence   per sender and stream; the top bit (WIRE_BULK) tells the bulk stream from the direct
 *            one. Counts 1 to WIRE_SEQUENCE_MAX and around; 0 says that a stream begins.
 * offset     of this chunk in the message; total: bytes of the whole message */
#ifndef UNDERSTUDY_NODE_TRANSPORT_WIRE_H
#define UNDERSTUDY_NODE_TRANSPORT_WIRE_H

#include "node/base/err.h"
#include "node/base/mp.h"
#include "node/transport/transport.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WIRE_VERSION 1u
#define WIRE_BULK 0x8000u
#define WIRE_SEQUENCE_MAX 0x7fffu
#define WIRE_PAYLOAD_MAX TRANSPORT_CHUNK_BYTES /* a chunk fills a frame */
#define WIRE_ENVELOPE_MAX 128u                 /* room for elements that later versions append */
#define WIRE_FRAME_MAX (WIRE_PAYLOAD_MAX + WIRE_ENVELOPE_MAX)

struct wire_frame {
    uint32_t kind;
    uint32_t cluster;
    uint64_t sender;
    uint16_t sequence; /* WIRE_BULK included */
    const uint8_t *payload;
    size_t length;
    bool chunk; /* offset and total are there */
    uint32_t offset;
    uint32_t total;
};

/* Into `writer`, cleared first. ERR_NOMEM, ERR_FULL (payload too long). */
int frame_encode(const struct wire_frame *frame, struct mp_writer *writer);

/* `ret` points into `bytes`. ERR_PROTO, ERR_UNSUPPORTED (another version). A chunk lies within its
 * total, which is at most SNAPSHOT_BYTES_MAX. */
int frame_decode(const uint8_t *bytes, size_t length, struct wire_frame *ret, struct err *err);

/* The number after `last` in a stream, and how many numbers are missing between `last` and `got`.
 * `last` and `got` without WIRE_BULK; got == 0 begins anew: nothing is missing. */
uint16_t frame_sequence_next(uint16_t last);
uint32_t frame_sequence_gap(uint16_t last, uint16_t got);

#endif
