#include "node/storage/snapshot_meta.h"

#define META_VERSION 1u

static const struct mp_limits limits = {
    .bytes = SNAPSHOT_META_BYTES_MAX, .elements = 16 + 4 * NODES_MAX, .depth = 3};

void snapshot_meta_encode(const struct consensus_snapshot_meta *meta, struct mp_writer *writer)
{
    mp_put_array(writer, 5);
    mp_put_u64(writer, META_VERSION);
    mp_put_u64(writer, meta->index);
    mp_put_u64(writer, meta->term);
    mp_put_u64(writer, meta->configuration_index);
    mp_put_array(writer, meta->server_count);
    for (size_t i = 0; i < meta->server_count; i++) {
        mp_put_array(writer, 2);
        mp_put_u64(writer, meta->servers[i].id);
        mp_put_u64(writer, (uint64_t)meta->servers[i].role);
    }
}

static bool decode_server(const msgpack_object *object, struct consensus_server *ret)
{
    const msgpack_object *pair = mp_array(object, 2);
    uint64_t role;
    if (pair == NULL || !mp_u64(mp_at(pair, 0), &ret->id) || !mp_u64(mp_at(pair, 1), &role) ||
        role > CONSENSUS_SPARE) {
        return false;
    }
    ret->role = (enum consensus_role)role;
    return true;
}

static bool decode(const msgpack_object *root, struct consensus_snapshot_meta *ret)
{
    const msgpack_object *meta = mp_array(root, 5);
    const msgpack_object *servers = mp_array(mp_at(meta, 4), 0);
    uint64_t version;
    if (servers == NULL || !mp_u64(mp_at(meta, 0), &version) || version != META_VERSION ||
        !mp_u64(mp_at(meta, 1), &ret->index) || !mp_u64(mp_at(meta, 2), &ret->term) ||
        !mp_u64(mp_at(meta, 3), &ret->configuration_index) || mp_count(servers) > NODES_MAX) {
        return false;
    }
    ret->server_count = mp_count(servers);
    for (size_t i = 0; i < ret->server_count; i++) {
        if (!decode_server(mp_at(servers, i), &ret->servers[i])) {
            return false;
        }
    }
    return true;
}

int snapshot_meta_decode(const uint8_t *bytes, size_t length, struct consensus_snapshot_meta *ret,
                         struct err *err)
{
    *ret = (struct consensus_snapshot_meta){0};
    struct mp_doc doc;
    int rc = mp_parse(bytes, length, &limits, &doc, err);
    if (rc == 0 && !decode(&doc.root, ret)) {
        rc = err_set(err, ERR_CORRUPT, "unknown form");
    }
    mp_doc_deinit(&doc);
    return rc == 0 ? 0 : err_set(err, ERR_CORRUPT, "description of the snapshot is damaged");
}
