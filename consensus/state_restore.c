#include "consensus/state_internal.h"

#include <stdlib.h>
#include <string.h>

static const struct mp_limits envelope_limits = {
    .bytes = SNAPSHOT_BYTES_MAX, .elements = 64, .depth = 2};

/* Full tables need about 40 000 elements; the rest is room for newer versions' fields. */
static const struct mp_limits body_limits = {
    .bytes = SNAPSHOT_BYTES_MAX, .elements = 400000, .depth = 6};

static bool get_key(const msgpack_object *object, char *ret, size_t size)
{
    return mp_text(object, ret, size) && ret[0] != '\0';
}

static bool get_choice(const msgpack_object *object, uint64_t last, int *ret)
{
    uint64_t value;
    if (!mp_u64(object, &value) || value > last) {
        return false;
    }
    *ret = (int)value;
    return true;
}

static bool get_keys(const msgpack_object *array, char *ret, size_t size, size_t count_max,
                     size_t *ret_count)
{
    size_t count = mp_count(array);
    if (mp_array(array, 0) == NULL || count > count_max) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        if (!get_key(mp_at(array, i), ret + i * size, size)) {
            return false;
        }
    }
    *ret_count = count;
    return true;
}

static bool get_node(const msgpack_object *array, void *row)
{
    struct state_node *ret = row;
    int wanted;
    if (mp_array(array, 11) == NULL ||
        !get_key(mp_at(array, 0), ret->is.name, sizeof(ret->is.name)) ||
        !mp_u64(mp_at(array, 1), &ret->is.raft_id) ||
        !get_key(mp_at(array, 2), ret->is.public_key, sizeof(ret->is.public_key)) ||
        !get_keys(mp_at(array, 3), ret->is.extra_keys[0], sizeof(ret->is.extra_keys[0]),
                  NODE_KEYS_EXTRA_MAX, &ret->is.extra_key_count) ||
        !mp_text(mp_at(array, 4), ret->is.address, sizeof(ret->is.address)) ||
        !get_choice(mp_at(array, 5), NODE_ROLE_WITNESS, &wanted) ||
        !get_keys(mp_at(array, 6), ret->is.labels[0], sizeof(ret->is.labels[0]), NODE_LABELS_MAX,
                  &ret->is.label_count) ||
        !mp_bool(mp_at(array, 7), &ret->draining) || !mp_bool(mp_at(array, 8), &ret->removed) ||
        !mp_i64(mp_at(array, 9), &ret->since_wall_ms) ||
        !mp_u64(mp_at(array, 10), &ret->changed_index)) {
        return false;
    }
    ret->is.wanted = (enum node_role)wanted;
    return true;
}

static bool get_assignment(const msgpack_object *array, struct state_assignment *ret)
{
    return mp_array(array, 7) != NULL && mp_u64(mp_at(array, 0), &ret->number) &&
           mp_text(mp_at(array, 1), ret->node, sizeof(ret->node)) &&
           mp_u64(mp_at(array, 2), &ret->raft_id) && mp_u64(mp_at(array, 3), &ret->incarnation) &&
           mp_u64(mp_at(array, 4), &ret->term) && mp_i64(mp_at(array, 5), &ret->wall_ms) &&
           mp_i64(mp_at(array, 6), &ret->grant_ttl_ms);
}

static bool get_alone(const msgpack_object *array, struct command_duty *ret)
{
    return mp_count(array) < 11 ||
           (mp_count(array) >= 12 && get_key(mp_at(array, 10), ret->alone, sizeof(ret->alone)) &&
            mp_u32(mp_at(array, 11), &ret->side));
}

static bool get_duty(const msgpack_object *array, void *row)
{
    struct state_duty *ret = row;
    int proof;
    if (mp_array(array, 9) == NULL || !get_key(mp_at(array, 0), ret->is.id, sizeof(ret->is.id)) ||
        !state_duty_manager(ret->is.id, ret->manager) ||
        !mp_bool(mp_at(array, 1), &ret->is.exclusive) ||
        !mp_bool(mp_at(array, 2), &ret->is.wanted) || !mp_i64(mp_at(array, 3), &ret->is.priority) ||
        !get_assignment(mp_at(array, 4), &ret->assignment) ||
        !mp_bool(mp_at(array, 5), &ret->released) ||
        !get_choice(mp_at(array, 6), RELEASE_BY_EXPIRY, &proof) ||
        !mp_i64(mp_at(array, 7), &ret->released_wall_ms) ||
        !mp_u64(mp_at(array, 8), &ret->changed_index) ||
        (mp_count(array) > 9 && !mp_bool(mp_at(array, 9), &ret->is.once)) ||
        !get_alone(array, &ret->is)) {
        return false;
    }
    ret->proof = (enum release_proof)proof;
    return true;
}

static bool get_setting(const msgpack_object *array, void *row)
{
    struct state_setting *ret = row;
    return mp_array(array, 3) != NULL && get_key(mp_at(array, 0), ret->key, sizeof(ret->key)) &&
           mp_text(mp_at(array, 1), ret->value, sizeof(ret->value)) &&
           mp_u64(mp_at(array, 2), &ret->changed_index);
}

static bool get_manager(const msgpack_object *array, void *row)
{
    struct state_manager *ret = row;
    int mode;
    if (mp_array(array, 4) == NULL || !get_key(mp_at(array, 0), ret->name, sizeof(ret->name)) ||
        !mp_i64(mp_at(array, 1), &ret->paused_until_wall_ms) ||
        !get_choice(mp_at(array, 2), MANAGER_MODE_SHADOW, &mode) ||
        !mp_u64(mp_at(array, 3), &ret->changed_index)) {
        return false;
    }
    ret->mode = (enum manager_mode)mode;
    return true;
}

static bool get_leader(const msgpack_object *array, void *row)
{
    struct state_leader *ret = row;
    int cause;
    int proof;
    if (mp_array(array, 10) == NULL || !mp_u64(mp_at(array, 0), &ret->is.term) ||
        !get_key(mp_at(array, 1), ret->is.node, sizeof(ret->is.node)) ||
        !get_choice(mp_at(array, 2), UINT8_MAX, &cause) ||
        !get_choice(mp_at(array, 3), LEADER_PROOF_RELEASE, &proof) ||
        !mp_i64(mp_at(array, 4), &ret->is.detected_ms) ||
        !mp_i64(mp_at(array, 5), &ret->is.elected_ms) ||
        !mp_i64(mp_at(array, 6), &ret->is.acting_ms) ||
        !mp_text(mp_at(array, 7), ret->is.previous, sizeof(ret->is.previous)) ||
        !mp_i64(mp_at(array, 8), &ret->wall_ms) || !mp_u64(mp_at(array, 9), &ret->index)) {
        return false;
    }
    ret->is.cause = (enum consensus_cause)cause;
    ret->is.proof = (enum leader_proof)proof;
    return true;
}

static bool get_audit(const msgpack_object *array, void *row)
{
    struct state_audit *ret = row;
    int type;
    int reason;
    int64_t status;
    if (mp_array(array, 9) == NULL || !mp_u64(mp_at(array, 0), &ret->index) ||
        !mp_u64(mp_at(array, 1), &ret->term) || !mp_i64(mp_at(array, 2), &ret->wall_ms) ||
        !get_choice(mp_at(array, 3), UINT16_MAX, &type) ||
        !get_choice(mp_at(array, 4), UINT16_MAX, &reason) || !mp_i64(mp_at(array, 5), &status) ||
        status < INT16_MIN || status > 0 || !mp_text(mp_at(array, 6), ret->who, sizeof(ret->who)) ||
        !mp_text(mp_at(array, 7), ret->target, sizeof(ret->target)) ||
        !mp_text(mp_at(array, 8), ret->why, sizeof(ret->why))) {
        return false;
    }
    ret->type = (enum command_type)type;
    ret->reason = (enum command_reason)reason;
    ret->status = (int)status;
    return true;
}

static bool get_origin(const msgpack_object *array, void *row)
{
    struct state_origin *ret = row;
    return mp_array(array, 5) != NULL && mp_u64(mp_at(array, 0), &ret->id) &&
           mp_u64(mp_at(array, 1), &ret->incarnation) && mp_u64(mp_at(array, 2), &ret->highest) &&
           mp_u64(mp_at(array, 3), &ret->window) && mp_u64(mp_at(array, 4), &ret->seen_index);
}

static bool get_counters(const msgpack_object *array, struct state_counters *ret)
{
    return mp_array(array, 6) != NULL && mp_u64(mp_at(array, 0), &ret->applied) &&
           mp_u64(mp_at(array, 1), &ret->unchanged) && mp_u64(mp_at(array, 2), &ret->refused) &&
           mp_u64(mp_at(array, 3), &ret->repeated) && mp_u64(mp_at(array, 4), &ret->malformed) &&
           mp_u64(mp_at(array, 5), &ret->unsupported);
}

typedef bool row_reader(const msgpack_object *array, void *row); /* a function, no struct */

/* `sorted`: keys at the rows' beginning must rise, so that each is there once. */
static bool get_rows(const msgpack_object *array, const struct state_table *table, bool sorted,
                     row_reader *read)
{
    size_t count = mp_count(array);
    if (mp_array(array, 0) == NULL || count > table->count_max) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        char *row = (char *)table->rows + i * table->row_size;
        if (!read(mp_at(array, i), row) ||
            (sorted && i > 0 && strcmp(row - table->row_size, row) >= 0)) {
            return false;
        }
    }
    *table->count = count;
    return true;
}

static bool get_body(const msgpack_object *root, struct state *ret)
{
    struct state_table nodes = state_table_nodes(ret);
    struct state_table duties = state_table_duties(ret);
    struct state_table settings = state_table_settings(ret);
    struct state_table managers = state_table_managers(ret);
    struct state_table origins = {ret->origins, &ret->origin_count, STATE_ORIGINS_MAX,
                                  sizeof(ret->origins[0])};
    struct state_table history = {ret->history, &ret->history_count, STATE_HISTORY_MAX,
                                  sizeof(ret->history[0])};
    struct state_table audit = {ret->audit, &ret->audit_count, STATE_AUDIT_MAX,
                                sizeof(ret->audit[0])};
    if (mp_array(root, 8) == NULL || !get_rows(mp_at(root, 0), &nodes, true, get_node) ||
        !get_rows(mp_at(root, 1), &duties, true, get_duty) ||
        !get_rows(mp_at(root, 2), &settings, true, get_setting) ||
        !get_rows(mp_at(root, 3), &managers, true, get_manager) ||
        !get_rows(mp_at(root, 4), &history, false, get_leader) ||
        !get_rows(mp_at(root, 5), &audit, false, get_audit) ||
        !get_rows(mp_at(root, 6), &origins, false, get_origin) ||
        !get_counters(mp_at(root, 7), &ret->counters)) {
        return false;
    }
    ret->history_next = ret->history_count % STATE_HISTORY_MAX;
    ret->audit_next = ret->audit_count % STATE_AUDIT_MAX;
    return true;
}

int state_decode_body(const uint8_t *bytes, size_t length, struct state *ret, struct err *err)
{
    struct mp_doc doc;
    int rc = mp_parse(bytes, length, &body_limits, &doc, err);
    if (rc == 0 && !get_body(&doc.root, ret)) {
        rc = err_set(err, ERR_CORRUPT, "a row is malformed, or there are too many");
    }
    if (rc == 0) {
        rc = state_work_restore(mp_at(&doc.root, 8), ret, err);
    }
    mp_doc_deinit(&doc);
    return rc == 0 || rc == ERR_NOMEM ? rc : ERR_CORRUPT;
}

static int open_envelope(const struct mp_doc *doc, const uint8_t **ret, size_t *ret_length,
                         struct err *err)
{
    uint64_t version;
    uint64_t hash;
    if (!mp_u64(mp_at(&doc->root, 0), &version) || version == 0) {
        return err_set(err, ERR_CORRUPT, "no version at its beginning");
    }
    if (version > STATE_VERSION) {
        return err_set(err, ERR_UNSUPPORTED, "version %llu, this program knows up to %d",
                       (unsigned long long)version, STATE_VERSION);
    }
    if (mp_array(&doc->root, 3) == NULL || !mp_u64(mp_at(&doc->root, 1), &hash) ||
        !mp_bytes(mp_at(&doc->root, 2), ret, ret_length)) {
        return err_set(err, ERR_CORRUPT, "hash or body missing");
    }
    if (state_hash(*ret, *ret_length) != hash) {
        return err_set(err, ERR_CORRUPT, "the hash does not fit the body");
    }
    return 0;
}

static int decode(const uint8_t *bytes, size_t length, struct state *ret, struct err *err)
{
    struct mp_doc doc;
    int rc = mp_parse(bytes, length, &envelope_limits, &doc, err);
    if (rc != 0) {
        return rc == ERR_NOMEM ? rc : ERR_CORRUPT;
    }
    const uint8_t *body = NULL;
    size_t body_length = 0;
    rc = open_envelope(&doc, &body, &body_length, err);
    if (rc == 0) {
        rc = state_decode_body(body, body_length, ret, err);
    }
    mp_doc_deinit(&doc);
    return rc;
}

int state_restore(struct state *self, uint64_t index, const uint8_t *bytes, size_t length,
                  struct err *err)
{
    struct state *fresh = state_create();
    if (fresh == NULL) {
        return err_set(err, ERR_NOMEM, "no memory to read a snapshot");
    }
    int rc = decode(bytes, length, fresh, err);
    if (rc == 0) {
        fresh->index = index;
        struct state_work former = self->work;
        memcpy(self, fresh, sizeof(*self));
        fresh->work = former; /* freed with it */
    } else if (err != NULL) {
        err->code = rc;
        (void)err_wrap(err, "snapshot of the state");
    }
    state_destroy(&fresh);
    return rc;
}
