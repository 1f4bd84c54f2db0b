#include "consensus/grants_message.h"

#include <string.h>

/* Room for every assignment and for fields that newer versions append. */
static const struct mp_limits message_limits = {
    .bytes = GRANTS_MESSAGE_BYTES_MAX, .elements = GRANTS_PER_MESSAGE_MAX + 256, .depth = 4};

static int malformed(struct err *err, const char *what)
{
    return err_set(err, ERR_PROTO, "malformed %s", what);
}

/* Parse and check version and length; 0 leaves a document for the caller to end. */
static int open_message(const uint8_t *bytes, size_t length, size_t count_min, const char *what,
                        struct mp_doc *ret, struct err *err)
{
    int rc = mp_parse(bytes, length, &message_limits, ret, err);
    if (rc != 0) {
        return rc;
    }
    uint64_t version;
    if (!mp_u64(mp_at(&ret->root, 0), &version) || version == 0 ||
        (version <= GRANTS_VERSION && mp_array(&ret->root, count_min) == NULL)) {
        rc = malformed(err, what);
    } else if (version > GRANTS_VERSION) {
        rc = err_set(err, ERR_UNSUPPORTED, "%s of version %llu", what, (unsigned long long)version);
    }
    if (rc != 0) {
        mp_doc_deinit(ret);
    }
    return rc;
}

static int close_message(struct mp_doc *doc, bool ok, const char *what, struct err *err)
{
    mp_doc_deinit(doc);
    return ok ? 0 : malformed(err, what);
}

static int written(const struct mp_writer *writer)
{
    return mp_writer_ok(writer) ? 0 : ERR_FULL;
}

static void put_numbers(struct mp_writer *writer, const uint64_t *numbers, size_t count)
{
    mp_put_array(writer, count);
    for (size_t i = 0; i < count; i++) {
        mp_put_u64(writer, numbers[i]);
    }
}

static bool get_numbers(const msgpack_object *array, uint64_t *ret, size_t *ret_count)
{
    size_t count = mp_count(array);
    if (mp_array(array, 0) == NULL || count > GRANTS_PER_MESSAGE_MAX) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        if (!mp_u64(mp_at(array, i), &ret[i])) {
            return false;
        }
    }
    *ret_count = count;
    return true;
}

/* ---- renew ---- */

int grants_renew_encode(const struct grants_renew *message, struct mp_writer *writer)
{
    if (message->count > GRANTS_PER_MESSAGE_MAX) {
        return ERR_INVALID;
    }
    mp_put_array(writer, 5);
    mp_put_u64(writer, GRANTS_VERSION);
    mp_put_u64(writer, message->raft_id);
    mp_put_u64(writer, message->incarnation);
    mp_put_i64(writer, message->time_ms);
    put_numbers(writer, message->assignments, message->count);
    return written(writer);
}

int grants_renew_decode(const uint8_t *bytes, size_t length, struct grants_renew *ret,
                        struct err *err)
{
    struct mp_doc doc;
    int rc = open_message(bytes, length, 5, "renew", &doc, err);
    if (rc != 0) {
        return rc;
    }
    const msgpack_object *root = &doc.root;
    bool ok = mp_u64(mp_at(root, 1), &ret->raft_id) && mp_u64(mp_at(root, 2), &ret->incarnation) &&
              mp_i64(mp_at(root, 3), &ret->time_ms) &&
              get_numbers(mp_at(root, 4), ret->assignments, &ret->count);
    return close_message(&doc, ok, "renew", err);
}

/* ---- grant ---- */

static bool ttl_in_bounds(int64_t ttl_ms)
{
    return ttl_ms >= 1 && ttl_ms <= GRANT_TTL_MS_MAX;
}

int grants_grant_encode(const struct grants_grant *message, struct mp_writer *writer)
{
    if (message->count > GRANTS_PER_MESSAGE_MAX || !ttl_in_bounds(message->grant_ttl_ms)) {
        return ERR_INVALID;
    }
    mp_put_array(writer, 6);
    mp_put_u64(writer, GRANTS_VERSION);
    mp_put_u64(writer, message->incarnation);
    mp_put_i64(writer, message->time_ms);
    mp_put_i64(writer, message->grant_ttl_ms);
    mp_put_u64(writer, message->term);
    put_numbers(writer, message->assignments, message->count);
    return written(writer);
}

int grants_grant_decode(const uint8_t *bytes, size_t length, struct grants_grant *ret,
                        struct err *err)
{
    struct mp_doc doc;
    int rc = open_message(bytes, length, 6, "grant", &doc, err);
    if (rc != 0) {
        return rc;
    }
    const msgpack_object *root = &doc.root;
    bool ok = mp_u64(mp_at(root, 1), &ret->incarnation) && mp_i64(mp_at(root, 2), &ret->time_ms) &&
              mp_i64(mp_at(root, 3), &ret->grant_ttl_ms) && ttl_in_bounds(ret->grant_ttl_ms) &&
              mp_u64(mp_at(root, 4), &ret->term) &&
              get_numbers(mp_at(root, 5), ret->assignments, &ret->count);
    return close_message(&doc, ok, "grant", err);
}

/* ---- release ---- */

int grants_release_encode(const struct grants_release *message, struct mp_writer *writer)
{
    if (message->count > GRANTS_RELEASES_MAX) {
        return ERR_INVALID;
    }
    mp_put_array(writer, 4);
    mp_put_u64(writer, GRANTS_VERSION);
    mp_put_u64(writer, message->raft_id);
    mp_put_u64(writer, message->incarnation);
    mp_put_array(writer, message->count);
    for (size_t i = 0; i < message->count; i++) {
        const struct grants_release_item *item = &message->items[i];
        if (memchr(item->duty, '\0', sizeof(item->duty)) == NULL) {
            return ERR_INVALID;
        }
        mp_put_array(writer, 2);
        mp_put_text(writer, item->duty);
        mp_put_u64(writer, item->assignment);
    }
    return written(writer);
}

static bool get_items(const msgpack_object *array, struct grants_release *ret)
{
    size_t count = mp_count(array);
    if (mp_array(array, 0) == NULL || count > GRANTS_RELEASES_MAX) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        const msgpack_object *pair = mp_at(array, i);
        struct grants_release_item *item = &ret->items[i];
        if (mp_array(pair, 2) == NULL || !mp_text(mp_at(pair, 0), item->duty, DUTY_ID_SIZE) ||
            !mp_u64(mp_at(pair, 1), &item->assignment)) {
            return false;
        }
    }
    ret->count = count;
    return true;
}

int grants_release_decode(const uint8_t *bytes, size_t length, struct grants_release *ret,
                          struct err *err)
{
    struct mp_doc doc;
    int rc = open_message(bytes, length, 4, "release", &doc, err);
    if (rc != 0) {
        return rc;
    }
    const msgpack_object *root = &doc.root;
    bool ok = mp_u64(mp_at(root, 1), &ret->raft_id) && mp_u64(mp_at(root, 2), &ret->incarnation) &&
              get_items(mp_at(root, 3), ret);
    return close_message(&doc, ok, "release", err);
}

/* ---- obituary ---- */

int obituary_encode(const struct obituary *message, struct mp_writer *writer)
{
    mp_put_array(writer, 6);
    mp_put_u64(writer, GRANTS_VERSION);
    mp_put_u64(writer, message->raft_id);
    mp_put_u64(writer, message->incarnation);
    mp_put_u64(writer, message->term);
    mp_put_bool(writer, message->owed_wait);
    mp_put_bool(writer, message->duties_ended);
    return written(writer);
}

int obituary_decode(const uint8_t *bytes, size_t length, struct obituary *ret, struct err *err)
{
    struct mp_doc doc;
    int rc = open_message(bytes, length, 6, "obituary", &doc, err);
    if (rc != 0) {
        return rc;
    }
    const msgpack_object *root = &doc.root;
    bool ok = mp_u64(mp_at(root, 1), &ret->raft_id) && mp_u64(mp_at(root, 2), &ret->incarnation) &&
              mp_u64(mp_at(root, 3), &ret->term) && mp_bool(mp_at(root, 4), &ret->owed_wait) &&
              mp_bool(mp_at(root, 5), &ret->duties_ended);
    return close_message(&doc, ok, "obituary", err);
}
