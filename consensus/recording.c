#include "consensus/recording.h"

#include "node/base/invariant.h"

#include <stdlib.h>
#include <string.h>

const char *recording_call_name(enum recording_call call)
{
    static const char *const names[] = {
        "?",     "tick",  "receive",          "propose", "change", "hand over", "managers ended",
        "stand", "proof", "election timeout", "stall"};
    return (size_t)call < sizeof names / sizeof names[0] ? names[call] : names[0];
}

/* ---- frames: length and checksum, both in little endian ---- */

static uint32_t check_of(const uint8_t *bytes, size_t length)
{
    uint32_t hash = 0x811c9dc5u;
    for (size_t i = 0; i < length; i++) {
        hash = (hash ^ bytes[i]) * 0x01000193u;
    }
    return hash;
}

static void put_u32(uint8_t *to, uint32_t value)
{
    for (int i = 0; i < 4; i++) {
        to[i] = (uint8_t)(value >> (8 * i));
    }
}

static uint32_t get_u32(const uint8_t *from)
{
    return (uint32_t)from[0] | (uint32_t)from[1] << 8 | (uint32_t)from[2] << 16 |
           (uint32_t)from[3] << 24;
}

void recording_frame(uint8_t *bytes, size_t length)
{
    put_u32(bytes, (uint32_t)length);
    put_u32(bytes + 4, check_of(bytes + RECORDING_FRAME_BYTES, length));
}

/* ---- writing ---- */

void recording_writer_init(struct mp_writer *self)
{
    mp_writer_init(self, RECORDING_RECORD_BYTES_MAX + RECORDING_FRAME_BYTES);
}

static void begin(struct mp_writer *writer, enum recording_kind kind, size_t fields)
{
    static const uint8_t frame[RECORDING_FRAME_BYTES];
    mp_writer_clear(writer);
    mp_put_raw(writer, frame, sizeof frame);
    mp_put_array(writer, fields + 2);
    mp_put_u64(writer, RECORDING_VERSION);
    mp_put_u64(writer, (uint64_t)kind);
}

static int end(struct mp_writer *writer)
{
    if (!mp_writer_ok(writer)) {
        return ERR_FULL;
    }
    recording_frame(writer->buffer.data, writer->buffer.length - RECORDING_FRAME_BYTES);
    return 0;
}

static void put_servers(struct mp_writer *writer, const struct consensus_server *servers,
                        size_t count)
{
    mp_put_array(writer, count * 2);
    for (size_t i = 0; i < count; i++) {
        mp_put_u64(writer, servers[i].id);
        mp_put_u64(writer, (uint64_t)servers[i].role);
    }
}

int recording_put_start(struct mp_writer *writer, const struct recording_start *start)
{
    const struct consensus_config *config = &start->config;
    begin(writer, RECORDING_START, 10);
    mp_put_u64(writer, start->life);
    mp_put_i64(writer, start->now_ms);
    mp_put_u64(writer, config->id);
    mp_put_u64(writer, config->rng_seed);
    mp_put_i64(writer, config->heartbeat_ms);
    mp_put_i64(writer, config->election_timeout_ms);
    mp_put_i64(writer, config->lease_ttl_ms);
    mp_put_u64(writer, config->snapshot_threshold);
    mp_put_u64(writer, config->snapshot_trailing);
    put_servers(writer, config->founders, config->founder_count);
    return end(writer);
}

int recording_put_stored(struct mp_writer *writer, const struct consensus_stored *stored)
{
    begin(writer, RECORDING_STORED, 9);
    mp_put_u64(writer, stored->term);
    mp_put_u64(writer, stored->vote);
    mp_put_u64(writer, stored->first_index);
    mp_put_u64(writer, stored->entry_count);
    mp_put_bool(writer, stored->has_snapshot);
    mp_put_u64(writer, stored->snapshot.index);
    mp_put_u64(writer, stored->snapshot.term);
    mp_put_u64(writer, stored->snapshot.configuration_index);
    put_servers(writer, stored->snapshot.servers, stored->snapshot.server_count);
    return end(writer);
}

int recording_put_snapshot(struct mp_writer *writer, const uint8_t *bytes, size_t length)
{
    begin(writer, RECORDING_SNAPSHOT, 1);
    mp_put_bytes(writer, bytes, length);
    return end(writer);
}

int recording_put_entry(struct mp_writer *writer, const struct consensus_entry *entry)
{
    begin(writer, RECORDING_ENTRY, 3);
    mp_put_u64(writer, entry->term);
    mp_put_u64(writer, (uint64_t)entry->type);
    mp_put_bytes(writer, entry->bytes, entry->length);
    return end(writer);
}

int recording_put_event(struct mp_writer *writer, const struct recording_event *event)
{
    begin(writer, RECORDING_EVENT, 11);
    mp_put_u64(writer, (uint64_t)event->call);
    mp_put_i64(writer, event->now_ms);
    mp_put_u64(writer, event->peer);
    mp_put_u64(writer, event->term);
    mp_put_u64(writer, event->token);
    mp_put_i64(writer, event->time_ms);
    mp_put_bool(writer, event->proof);
    mp_put_u64(writer, (uint64_t)event->change);
    mp_put_u64(writer, (uint64_t)event->role);
    mp_put_u64(writer, (uint64_t)event->cause);
    mp_put_bytes(writer, event->bytes, event->length);
    return end(writer);
}

int recording_put_result(struct mp_writer *writer, const struct recording_result *result)
{
    begin(writer, RECORDING_RESULT, 2);
    mp_put_u64(writer, result->outputs);
    mp_put_u64(writer, result->view);
    return end(writer);
}

int recording_put_continued(struct mp_writer *writer, const struct recording_continued *continued)
{
    begin(writer, RECORDING_CONTINUED, 2);
    mp_put_u64(writer, continued->life);
    mp_put_u64(writer, continued->part);
    return end(writer);
}

/* ---- reading: fields from the third element on ---- */

static const msgpack_object *field(const struct mp_doc *doc, size_t index)
{
    return mp_at(&doc->root, index + 2);
}

static bool read_enum(const msgpack_object *object, uint64_t most, unsigned *ret)
{
    uint64_t value = 0;
    if (!mp_u64(object, &value) || value > most) {
        return false;
    }
    *ret = (unsigned)value;
    return true;
}

static bool read_servers(const msgpack_object *object, struct consensus_server *ret,
                         size_t *ret_count)
{
    size_t count = mp_count(object) / 2;
    if (mp_array(object, 0) == NULL || count > NODES_MAX) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        unsigned role = 0;
        if (!mp_u64(mp_at(object, 2 * i), &ret[i].id) || ret[i].id == 0 ||
            !read_enum(mp_at(object, 2 * i + 1), CONSENSUS_SPARE, &role)) {
            return false;
        }
        ret[i].role = (enum consensus_role)role;
    }
    *ret_count = count;
    return true;
}

static bool read_start(const struct mp_doc *doc, struct recording_start *ret)
{
    struct consensus_config *config = &ret->config;
    *ret = (struct recording_start){0};
    bool good = mp_u64(field(doc, 0), &ret->life) && mp_i64(field(doc, 1), &ret->now_ms) &&
                mp_u64(field(doc, 2), &config->id) && mp_u64(field(doc, 3), &config->rng_seed) &&
                mp_i64(field(doc, 4), &config->heartbeat_ms) &&
                mp_i64(field(doc, 5), &config->election_timeout_ms) &&
                mp_i64(field(doc, 6), &config->lease_ttl_ms) &&
                mp_u32(field(doc, 7), &config->snapshot_threshold) &&
                mp_u32(field(doc, 8), &config->snapshot_trailing) &&
                read_servers(field(doc, 9), ret->founders, &config->founder_count);
    return good && config->id != 0;
}

static bool read_stored(const struct mp_doc *doc, struct consensus_stored *ret)
{
    uint64_t count = 0;
    *ret = (struct consensus_stored){0};
    bool good = mp_u64(field(doc, 0), &ret->term) && mp_u64(field(doc, 1), &ret->vote) &&
                mp_u64(field(doc, 2), &ret->first_index) && mp_u64(field(doc, 3), &count) &&
                mp_bool(field(doc, 4), &ret->has_snapshot) &&
                mp_u64(field(doc, 5), &ret->snapshot.index) &&
                mp_u64(field(doc, 6), &ret->snapshot.term) &&
                mp_u64(field(doc, 7), &ret->snapshot.configuration_index) &&
                read_servers(field(doc, 8), ret->snapshot.servers, &ret->snapshot.server_count);
    ret->entry_count = (size_t)count;
    return good;
}

static bool read_entry(const struct mp_doc *doc, struct consensus_entry *ret)
{
    unsigned type = 0;
    bool good = mp_u64(field(doc, 0), &ret->term) &&
                read_enum(field(doc, 1), CONSENSUS_ENTRY_CHANGE, &type) && type != 0 &&
                mp_bytes(field(doc, 2), &ret->bytes, &ret->length);
    ret->type = (enum consensus_entry_type)type;
    return good;
}

static bool read_event(const struct mp_doc *doc, struct recording_event *ret)
{
    unsigned call = 0;
    unsigned change = 0;
    unsigned role = 0;
    unsigned cause = 0;
    bool good = read_enum(field(doc, 0), RECORDING_STALL, &call) && call != 0 &&
                mp_i64(field(doc, 1), &ret->now_ms) && mp_u64(field(doc, 2), &ret->peer) &&
                mp_u64(field(doc, 3), &ret->term) && mp_u64(field(doc, 4), &ret->token) &&
                mp_i64(field(doc, 5), &ret->time_ms) && mp_bool(field(doc, 6), &ret->proof) &&
                read_enum(field(doc, 7), CONSENSUS_REMOVE, &change) &&
                read_enum(field(doc, 8), CONSENSUS_SPARE, &role) &&
                read_enum(field(doc, 9), CONSENSUS_CAUSE_GRAY, &cause) &&
                mp_bytes(field(doc, 10), &ret->bytes, &ret->length);
    ret->call = (enum recording_call)call;
    ret->change = (enum consensus_change)change;
    ret->role = (enum consensus_role)role;
    ret->cause = (enum consensus_cause)cause;
    return good;
}

static bool read_fields(const struct mp_doc *doc, struct recording_record *ret)
{
    switch (ret->kind) {
    case RECORDING_START:
        return read_start(doc, &ret->start);
    case RECORDING_STORED:
        return read_stored(doc, &ret->stored);
    case RECORDING_SNAPSHOT:
        return mp_bytes(field(doc, 0), &ret->snapshot_bytes, &ret->snapshot_length);
    case RECORDING_ENTRY:
        return read_entry(doc, &ret->entry);
    case RECORDING_EVENT:
        return read_event(doc, &ret->event);
    case RECORDING_RESULT:
        return mp_u64(field(doc, 0), &ret->result.outputs) &&
               mp_u64(field(doc, 1), &ret->result.view);
    case RECORDING_CONTINUED:
        return mp_u64(field(doc, 0), &ret->continued.life) &&
               mp_u64(field(doc, 1), &ret->continued.part);
    }
    return false;
}

static int read_record(const uint8_t *bytes, size_t length, struct recording_record *ret,
                       struct err *err)
{
    const struct mp_limits limits = {
        .bytes = RECORDING_RECORD_BYTES_MAX, .elements = 64 + 2 * NODES_MAX, .depth = 3};
    struct mp_doc doc;
    int code = mp_parse(bytes, length, &limits, &doc, err);
    if (code != 0) {
        return err_set(err, ERR_CORRUPT, "a record is malformed");
    }
    uint64_t version = 0;
    uint64_t kind = 0;
    if (!mp_u64(mp_at(&doc.root, 0), &version) || !mp_u64(mp_at(&doc.root, 1), &kind)) {
        code = err_set(err, ERR_CORRUPT, "a record has no version and kind");
    } else if (version != RECORDING_VERSION || kind == 0 || kind > RECORDING_CONTINUED) {
        code = err_set(err, ERR_UNSUPPORTED, "a record of an unknown version or kind");
    } else {
        ret->kind = (enum recording_kind)kind;
        if (!read_fields(&doc, ret)) {
            code = err_set(err, ERR_CORRUPT, "a record of kind %d is malformed", (int)ret->kind);
        }
    }
    mp_doc_deinit(&doc);
    return code;
}

int recording_read(const uint8_t *bytes, size_t length, struct recording_record *ret,
                   size_t *ret_used, struct err *err)
{
    if (length < RECORDING_FRAME_BYTES) {
        return err_set(err, ERR_CLOSED, "the end is torn");
    }
    size_t inside = get_u32(bytes);
    if (inside > RECORDING_RECORD_BYTES_MAX) {
        return err_set(err, ERR_CORRUPT, "a record claims %zu bytes", inside);
    }
    if (inside > length - RECORDING_FRAME_BYTES) {
        return err_set(err, ERR_CLOSED, "the end is torn");
    }
    if (check_of(bytes + RECORDING_FRAME_BYTES, inside) != get_u32(bytes + 4)) {
        return err_set(err, ERR_CORRUPT, "the checksum of a record is wrong");
    }
    int code = read_record(bytes + RECORDING_FRAME_BYTES, inside, ret, err);
    *ret_used = code == 0 ? inside + RECORDING_FRAME_BYTES : 0;
    return code;
}
