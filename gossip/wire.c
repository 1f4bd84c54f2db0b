#include "gossip/wire.h"

#include "gossip/health.h"
#include "node/base/invariant.h"

#include <string.h>

#define AGE_MAX_S (UINT32_C(1) << 30)
#define WAIT_MAX_MS 60000
#define SEQUENCE_MAX 65535

/* ---- writing ---- */

static void put_names(struct mp_writer *writer, const struct gossip_wire_names *names)
{
    mp_put_array(writer, names == NULL ? 0 : names->count);
    if (names != NULL) {
        mp_put_raw(writer, names->bytes, names->length);
    }
}

static void put_bucket_digests(struct mp_writer *writer, const struct gossip_wire_message *message)
{
    uint8_t bytes[WIRE_BUCKETS_MAX * 4];
    for (unsigned i = 0; i < message->bucket_count; i++) {
        for (unsigned j = 0; j < 4; j++) {
            bytes[4 * i + j] = (uint8_t)(message->buckets[i] >> (24 - 8 * j));
        }
    }
    mp_put_bytes(writer, bytes, (size_t)message->bucket_count * 4);
}

static size_t covered_bytes(unsigned bucket_count)
{
    return (bucket_count + 7) / 8;
}

static void put_body(struct mp_writer *writer, const struct gossip_wire_message *message,
                     const struct gossip_wire_names *names)
{
    switch (message->type) {
    case WIRE_PING:
    case WIRE_ACK:
    case WIRE_NACK:
        mp_put_array(writer, 1);
        mp_put_u64(writer, message->sequence);
        break;
    case WIRE_ASK:
        mp_put_array(writer, 3);
        mp_put_u64(writer, message->sequence);
        mp_put_text(writer, message->target);
        mp_put_u64(writer, message->wait_ms);
        break;
    case WIRE_NEWS:
        mp_put_array(writer, 0);
        break;
    case WIRE_DIGEST:
        mp_put_array(writer, 2);
        mp_put_bool(writer, message->join);
        mp_put_u64(writer, message->digest);
        break;
    case WIRE_BUCKETS:
        mp_put_array(writer, 2);
        mp_put_u64(writer, message->bucket_count);
        put_bucket_digests(writer, message);
        break;
    case WIRE_VERSIONS:
        mp_put_array(writer, 3);
        mp_put_u64(writer, message->bucket_count);
        mp_put_bytes(writer, message->covered, covered_bytes(message->bucket_count));
        put_names(writer, names);
        break;
    case WIRE_ENTRIES:
        mp_put_array(writer, 1);
        put_names(writer, names);
        break;
    }
}

void gossip_wire_put_head(struct mp_writer *writer, const struct gossip_wire_message *message,
                          const struct gossip_wire_names *names, size_t item_count)
{
    mp_put_array(writer, 5);
    mp_put_u64(writer, WIRE_VERSION);
    mp_put_u64(writer, message->type);
    mp_put_text(writer, message->sender);
    put_body(writer, message, names);
    mp_put_array(writer, item_count);
}

void gossip_wire_put_member(struct mp_writer *writer, const struct gossip_wire_member *member)
{
    mp_put_array(writer, 7);
    mp_put_u64(writer, WIRE_ITEM_MEMBER);
    mp_put_text(writer, member->name);
    mp_put_u64(writer, member->incarnation);
    mp_put_u64(writer, member->state);
    mp_put_text(writer, member->address[0] == '\0' ? NULL : member->address);
    mp_put_u64(writer, member->age_s);
    mp_put_array(writer, member->accuser_count);
    for (unsigned i = 0; i < member->accuser_count; i++) {
        mp_put_text(writer, member->accusers[i]);
    }
}

void gossip_wire_put_health(struct mp_writer *writer, const struct gossip_wire_health *health)
{
    mp_put_array(writer, 9);
    mp_put_u64(writer, WIRE_ITEM_HEALTH);
    mp_put_text(writer, health->name);
    mp_put_u64(writer, health->incarnation);
    mp_put_u64(writer, health->sequence);
    mp_put_i64(writer, health->score_tenths);
    mp_put_i64(writer, health->load_hundredths);
    mp_put_u64(writer, health->flags);
    mp_put_u64(writer, health->details_hash);
    if (health->details == NULL) {
        mp_put_nil(writer);
    } else {
        mp_put_bytes(writer, health->details, health->details_length);
    }
}

/* ---- reading ---- */

/* Names and addresses end up in logs and on terminals: no control characters. */
static bool get_printable(const msgpack_object *object, char *ret, size_t size)
{
    if (!mp_text(object, ret, size) || ret[0] == '\0') {
        return false;
    }
    for (const char *at = ret; *at != '\0'; at++) {
        if ((unsigned char)*at < 0x21 || *at == 0x7f) {
            return false;
        }
    }
    return true;
}

static bool get_bounded(const msgpack_object *object, uint32_t min, uint32_t max, uint32_t *ret)
{
    return mp_u32(object, ret) && *ret >= min && *ret <= max;
}

static bool get_incarnation(const msgpack_object *object, uint64_t *ret)
{
    return mp_u64(object, ret) && *ret >= 1 && *ret <= GOSSIP_INCARNATION_MAX;
}

static bool is_nil(const msgpack_object *object)
{
    return object != NULL && object->type == MSGPACK_OBJECT_NIL;
}

static bool get_bucket_count(const msgpack_object *object, unsigned *ret)
{
    uint32_t count;
    if (!get_bounded(object, 1, WIRE_BUCKETS_MAX, &count) || (count & (count - 1)) != 0) {
        return false;
    }
    *ret = count;
    return true;
}

static bool get_bucket_digests(const msgpack_object *object, struct gossip_wire_message *ret)
{
    const uint8_t *bytes;
    size_t length;
    if (!mp_bytes(object, &bytes, &length) || length != (size_t)ret->bucket_count * 4) {
        return false;
    }
    for (unsigned i = 0; i < ret->bucket_count; i++, bytes += 4) {
        ret->buckets[i] = (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 |
                          (uint32_t)bytes[2] << 8 | bytes[3];
    }
    return true;
}

static bool get_covered(const msgpack_object *object, struct gossip_wire_message *ret)
{
    const uint8_t *bytes;
    size_t length;
    if (!mp_bytes(object, &bytes, &length) || length != covered_bytes(ret->bucket_count)) {
        return false;
    }
    memcpy(ret->covered, bytes, length);
    return true;
}

static bool get_version_names(const msgpack_object *list, struct gossip_wire_message *ret)
{
    char name[NAME_SIZE];
    uint32_t digest;
    if (mp_array(list, 0) == NULL || mp_count(list) % 2 != 0) {
        return false;
    }
    for (size_t i = 0; i < mp_count(list); i += 2) {
        if (!get_printable(mp_at(list, i), name, sizeof name) ||
            !mp_u32(mp_at(list, i + 1), &digest)) {
            return false;
        }
    }
    ret->names = list;
    return true;
}

static bool get_wanted_names(const msgpack_object *list, struct gossip_wire_message *ret)
{
    char name[NAME_SIZE];
    if (mp_array(list, 0) == NULL) {
        return false;
    }
    for (size_t i = 0; i < mp_count(list); i++) {
        if (!get_printable(mp_at(list, i), name, sizeof name)) {
            return false;
        }
    }
    ret->names = list;
    return true;
}

static bool get_body(const msgpack_object *body, struct gossip_wire_message *ret)
{
    switch (ret->type) {
    case WIRE_PING:
    case WIRE_ACK:
    case WIRE_NACK:
        return get_bounded(mp_at(body, 0), 1, SEQUENCE_MAX, &ret->sequence);
    case WIRE_ASK:
        return get_bounded(mp_at(body, 0), 1, SEQUENCE_MAX, &ret->sequence) &&
               get_printable(mp_at(body, 1), ret->target, sizeof ret->target) &&
               get_bounded(mp_at(body, 2), 0, WAIT_MAX_MS, &ret->wait_ms);
    case WIRE_NEWS:
        return mp_array(body, 0) != NULL;
    case WIRE_DIGEST:
        return mp_bool(mp_at(body, 0), &ret->join) && mp_u64(mp_at(body, 1), &ret->digest);
    case WIRE_BUCKETS:
        return get_bucket_count(mp_at(body, 0), &ret->bucket_count) &&
               get_bucket_digests(mp_at(body, 1), ret);
    case WIRE_VERSIONS:
        return get_bucket_count(mp_at(body, 0), &ret->bucket_count) &&
               get_covered(mp_at(body, 1), ret) && get_version_names(mp_at(body, 2), ret);
    case WIRE_ENTRIES:
        return get_wanted_names(mp_at(body, 0), ret);
    }
    return false;
}

static bool get_member(const msgpack_object *item, struct gossip_wire_member *ret)
{
    uint32_t state;
    if (mp_array(item, 7) == NULL || !get_printable(mp_at(item, 1), ret->name, NAME_SIZE) ||
        !get_incarnation(mp_at(item, 2), &ret->incarnation) ||
        !get_bounded(mp_at(item, 3), GOSSIP_ALIVE, GOSSIP_LEFT, &state) ||
        !get_bounded(mp_at(item, 5), 0, AGE_MAX_S, &ret->age_s)) {
        return false;
    }
    ret->state = (enum gossip_state)state;
    ret->address[0] = '\0';
    if (!is_nil(mp_at(item, 4)) && !get_printable(mp_at(item, 4), ret->address, ADDRESS_SIZE)) {
        return false;
    }
    const msgpack_object *accusers = mp_array(mp_at(item, 6), 0);
    if (accusers == NULL || mp_count(accusers) > ACCUSERS_MAX) {
        return false;
    }
    ret->accuser_count = (unsigned)mp_count(accusers);
    for (unsigned i = 0; i < ret->accuser_count; i++) {
        if (!get_printable(mp_at(accusers, i), ret->accusers[i], NAME_SIZE)) {
            return false;
        }
    }
    return true;
}

static bool get_number(const msgpack_object *object, int max, int *ret)
{
    int64_t value;
    if (!mp_i64(object, &value) || value < GOSSIP_UNKNOWN || value > max) {
        return false;
    }
    *ret = (int)value;
    return true;
}

static bool get_health(const msgpack_object *item, struct gossip_wire_health *ret)
{
    if (mp_array(item, 9) == NULL || !get_printable(mp_at(item, 1), ret->name, NAME_SIZE) ||
        !get_incarnation(mp_at(item, 2), &ret->incarnation) ||
        !get_incarnation(mp_at(item, 3), &ret->sequence) ||
        !get_number(mp_at(item, 4), 1000, &ret->score_tenths) ||
        !get_number(mp_at(item, 5), 1000000, &ret->load_hundredths) ||
        !mp_u32(mp_at(item, 6), &ret->flags) || !mp_u32(mp_at(item, 7), &ret->details_hash)) {
        return false;
    }
    ret->details = NULL;
    ret->details_length = 0;
    if (is_nil(mp_at(item, 8))) {
        return true;
    }
    struct gossip_health decoded;
    gossip_health_init(&decoded);
    return mp_bytes(mp_at(item, 8), &ret->details, &ret->details_length) &&
           ret->details_length <= GOSSIP_DETAILS_BYTES_MAX &&
           gossip_health_details_hash(ret->details, ret->details_length) == ret->details_hash &&
           gossip_health_details_decode(ret->details, ret->details_length, &decoded, NULL) == 0;
}

/* False: malformed. *ret_known is false for an item of a later version. */
static bool get_item(const msgpack_object *item, struct gossip_wire_item *ret, bool *ret_known)
{
    uint32_t kind;
    if (!mp_u32(mp_at(item, 0), &kind)) {
        return false;
    }
    *ret_known = true;
    if (kind == WIRE_ITEM_MEMBER) {
        ret->kind = WIRE_ITEM_MEMBER;
        return get_member(item, &ret->member);
    }
    if (kind == WIRE_ITEM_HEALTH) {
        ret->kind = WIRE_ITEM_HEALTH;
        return get_health(item, &ret->health);
    }
    *ret_known = false;
    return true;
}

static bool check_items(const msgpack_object *items)
{
    struct gossip_wire_item item;
    bool known;
    for (size_t i = 0; i < mp_count(items); i++) {
        if (!get_item(mp_at(items, i), &item, &known)) {
            return false;
        }
    }
    return true;
}

static int decode_root(const msgpack_object *root, struct gossip_wire_message *ret, struct err *err)
{
    uint32_t version;
    uint32_t type;
    if (mp_array(root, 5) == NULL || !mp_u32(mp_at(root, 0), &version)) {
        return err_set(err, ERR_PROTO, "not a gossip message");
    }
    if (version != WIRE_VERSION) {
        return err_set(err, ERR_UNSUPPORTED, "gossip message of version %u", version);
    }
    if (!get_bounded(mp_at(root, 1), WIRE_PING, WIRE_ENTRIES, &type) ||
        !get_printable(mp_at(root, 2), ret->sender, sizeof ret->sender)) {
        return err_set(err, ERR_PROTO, "gossip message of unknown type, or without a sender");
    }
    ret->type = (enum gossip_wire_type)type;
    if (!get_body(mp_at(root, 3), ret)) {
        return err_set(err, ERR_PROTO, "malformed body of gossip message of type %u", type);
    }
    ret->items = mp_array(mp_at(root, 4), 0);
    if (ret->items == NULL || !check_items(ret->items)) {
        return err_set(err, ERR_PROTO, "malformed item in gossip message of type %u", type);
    }
    return 0;
}

int gossip_wire_decode(const uint8_t *bytes, size_t length, struct gossip_wire_message *ret,
                       struct err *err)
{
    static const struct mp_limits limits = {
        .bytes = GOSSIP_MESSAGE_BYTES_MAX, .elements = 8192, .depth = 5};
    memset(ret, 0, sizeof *ret);
    int rc = mp_parse(bytes, length, &limits, &ret->doc, err);
    if (rc != 0) {
        return rc;
    }
    rc = decode_root(&ret->doc.root, ret, err);
    if (rc != 0) {
        gossip_wire_message_deinit(ret);
    }
    return rc;
}

void gossip_wire_message_deinit(struct gossip_wire_message *self)
{
    mp_doc_deinit(&self->doc);
    self->items = NULL;
    self->names = NULL;
}

size_t gossip_wire_item_count(const struct gossip_wire_message *self)
{
    return mp_count(self->items);
}

bool gossip_wire_item_at(const struct gossip_wire_message *self, size_t index,
                         struct gossip_wire_item *ret)
{
    bool known = false;
    bool good = get_item(mp_at(self->items, index), ret, &known);
    invariant(good); /* gossip_wire_decode has checked it */
    return known;
}

size_t gossip_wire_wanted_count(const struct gossip_wire_message *self)
{
    return self->type == WIRE_ENTRIES ? mp_count(self->names) : 0;
}

void gossip_wire_wanted_at(const struct gossip_wire_message *self, size_t index,
                           char ret_name[NAME_SIZE])
{
    bool good = mp_text(mp_at(self->names, index), ret_name, NAME_SIZE);
    invariant(good);
}

size_t gossip_wire_version_count(const struct gossip_wire_message *self)
{
    return self->type == WIRE_VERSIONS ? mp_count(self->names) / 2 : 0;
}

void gossip_wire_version_at(const struct gossip_wire_message *self, size_t index,
                            char ret_name[NAME_SIZE], uint32_t *ret_digest)
{
    bool named = mp_text(mp_at(self->names, 2 * index), ret_name, NAME_SIZE);
    bool versioned = mp_u32(mp_at(self->names, 2 * index + 1), ret_digest);
    invariant(named);
    invariant(versioned);
}

bool gossip_wire_covers(const struct gossip_wire_message *self, unsigned bucket)
{
    invariant(bucket < self->bucket_count);
    return (self->covered[bucket / 8] >> (bucket % 8) & 1) != 0;
}
