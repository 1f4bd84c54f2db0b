#include "node/transport/wire.h"

#include "node/base/limits.h"

static const struct mp_limits limits = {.bytes = WIRE_FRAME_MAX, .elements = 32, .depth = 3};

int frame_encode(const struct wire_frame *frame, struct mp_writer *writer)
{
    if (frame->length > WIRE_PAYLOAD_MAX) {
        return ERR_FULL;
    }
    mp_writer_clear(writer);
    mp_put_array(writer, frame->chunk ? 8 : 6);
    mp_put_u64(writer, WIRE_VERSION);
    mp_put_u64(writer, frame->kind);
    mp_put_u64(writer, frame->cluster);
    mp_put_u64(writer, frame->sender);
    mp_put_u64(writer, frame->sequence);
    mp_put_bytes(writer, frame->payload, frame->length);
    if (frame->chunk) {
        mp_put_u64(writer, frame->offset);
        mp_put_u64(writer, frame->total);
    }
    return mp_writer_ok(writer) ? 0 : ERR_NOMEM;
}

static bool decode_chunk(const msgpack_object *array, struct wire_frame *ret)
{
    ret->chunk = mp_count(array) >= 8;
    if (!ret->chunk) {
        return true;
    }
    return mp_u32(mp_at(array, 6), &ret->offset) && mp_u32(mp_at(array, 7), &ret->total) &&
           ret->total <= SNAPSHOT_BYTES_MAX && ret->offset <= ret->total &&
           ret->length <= ret->total - ret->offset && ret->length > 0;
}

static int decode(const msgpack_object *root, struct wire_frame *ret, struct err *err)
{
    const msgpack_object *array = mp_array(root, 6);
    uint64_t version;
    uint32_t sequence;
    if (array == NULL || !mp_u64(mp_at(array, 0), &version)) {
        return err_set(err, ERR_PROTO, "not a frame");
    }
    if (version != WIRE_VERSION) {
        return err_set(err, ERR_UNSUPPORTED, "frame of version %llu, known is %u",
                       (unsigned long long)version, WIRE_VERSION);
    }
    *ret = (struct wire_frame){0};
    if (!mp_u32(mp_at(array, 1), &ret->kind) || ret->kind == 0 || ret->kind > TRANSPORT_KIND_MAX ||
        !mp_u32(mp_at(array, 2), &ret->cluster) || !mp_u64(mp_at(array, 3), &ret->sender) ||
        !mp_u32(mp_at(array, 4), &sequence) || sequence > UINT16_MAX ||
        !mp_bytes(mp_at(array, 5), &ret->payload, &ret->length) || ret->length > WIRE_PAYLOAD_MAX ||
        !decode_chunk(array, ret)) {
        return err_set(err, ERR_PROTO, "frame with a field that does not fit");
    }
    ret->sequence = (uint16_t)sequence;
    return 0;
}

int frame_decode(const uint8_t *bytes, size_t length, struct wire_frame *ret, struct err *err)
{
    struct mp_doc doc;
    int rc = mp_parse(bytes, length, &limits, &doc, err);
    if (rc == 0) {
        rc = decode(&doc.root, ret, err);
    }
    mp_doc_deinit(&doc);
    return rc;
}

uint16_t frame_sequence_next(uint16_t last)
{
    return last >= WIRE_SEQUENCE_MAX ? 1 : (uint16_t)(last + 1);
}

uint32_t frame_sequence_gap(uint16_t last, uint16_t got)
{
    if (got == 0) {
        return 0;
    }
    uint32_t expected = frame_sequence_next(last);
    return got >= expected ? got - expected : got + WIRE_SEQUENCE_MAX - expected;
}

uint32_t transport_cluster_id(const char *cluster, const char *environment)
{
    /* FNV-1a over both names with their ends, folded. */
    uint64_t hash = 0xcbf29ce484222325u;
    const char *const parts[] = {cluster, environment};
    for (size_t i = 0; i < 2; i++) {
        const char *at = parts[i];
        do {
            hash = (hash ^ (uint8_t)*at) * 0x100000001b3u;
        } while (*at++ != '\0');
    }
    uint32_t folded = (uint32_t)(hash ^ hash >> 32);
    return folded != 0 ? folded : 1;
}
