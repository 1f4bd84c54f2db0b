#include "consensus/evidence.h"

static const struct mp_limits message_limits = {
    .bytes = EVIDENCE_MESSAGE_BYTES_MAX, .elements = 64, .depth = 3};

int evidence_encode(const struct evidence_message *message, struct mp_writer *writer)
{
    mp_put_array(writer, 6);
    mp_put_u64(writer, EVIDENCE_VERSION);
    mp_put_u64(writer, message->leader);
    mp_put_u64(writer, message->term);
    mp_put_bool(writer, message->withdrawn);
    mp_put_u64(writer, message->incarnation);
    mp_put_u64(writer, message->sequence);
    return mp_writer_ok(writer) ? 0 : ERR_FULL;
}

static int decode(const msgpack_object *root, struct evidence_message *ret, struct err *err)
{
    uint64_t version;
    if (!mp_u64(mp_at(root, 0), &version) || version == 0) {
        return err_set(err, ERR_PROTO, "evidence without version");
    }
    if (version > EVIDENCE_VERSION) {
        return err_set(err, ERR_UNSUPPORTED, "evidence of version %llu",
                       (unsigned long long)version);
    }
    if (mp_array(root, 6) == NULL || !mp_u64(mp_at(root, 1), &ret->leader) ||
        !mp_u64(mp_at(root, 2), &ret->term) || !mp_bool(mp_at(root, 3), &ret->withdrawn) ||
        !mp_u64(mp_at(root, 4), &ret->incarnation) || !mp_u64(mp_at(root, 5), &ret->sequence)) {
        return err_set(err, ERR_PROTO, "malformed evidence");
    }
    return 0;
}

int evidence_decode(const uint8_t *bytes, size_t length, struct evidence_message *ret,
                    struct err *err)
{
    struct mp_doc doc;
    int rc = mp_parse(bytes, length, &message_limits, &doc, err);
    if (rc != 0) {
        return rc;
    }
    rc = decode(&doc.root, ret, err);
    mp_doc_deinit(&doc);
    return rc;
}
