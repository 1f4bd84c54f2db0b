/* The state as bytes: [version, hash of body, body], body an array of one array for each kind of
 * row in the order below. Rows and the body may grow at their end; a change that an older version
 * could not read past raises the version. Without work (state_work.h) the body ends before it. */
#include "consensus/state_internal.h"

#include <string.h>

#define SNAPSHOT_ENVELOPE_BYTES 32

/* FNV-1a, 64 bits (Fowler, Noll, Vo): any changed byte changes it. */
uint64_t state_hash(const uint8_t *bytes, size_t length)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (size_t i = 0; i < length; i++) {
        hash = (hash ^ bytes[i]) * UINT64_C(0x100000001b3);
    }
    return hash;
}

static void put_node(struct mp_writer *writer, const struct state_node *row)
{
    mp_put_array(writer, 11);
    mp_put_text(writer, row->is.name);
    mp_put_u64(writer, row->is.raft_id);
    mp_put_text(writer, row->is.public_key);
    mp_put_array(writer, row->is.extra_key_count);
    for (size_t i = 0; i < row->is.extra_key_count; i++) {
        mp_put_text(writer, row->is.extra_keys[i]);
    }
    mp_put_text(writer, row->is.address);
    mp_put_u64(writer, (uint64_t)row->is.wanted);
    mp_put_array(writer, row->is.label_count);
    for (size_t i = 0; i < row->is.label_count; i++) {
        mp_put_text(writer, row->is.labels[i]);
    }
    mp_put_bool(writer, row->draining);
    mp_put_bool(writer, row->removed);
    mp_put_i64(writer, row->since_wall_ms);
    mp_put_u64(writer, row->changed_index);
}

static void put_duty(struct mp_writer *writer, const struct state_duty *row)
{
    const struct state_assignment *assignment = &row->assignment;
    bool grouped = row->is.alone[0] != '\0';
    mp_put_array(writer, grouped ? 12 : row->is.once ? 10 : 9);
    mp_put_text(writer, row->is.id);
    mp_put_bool(writer, row->is.exclusive);
    mp_put_bool(writer, row->is.wanted);
    mp_put_i64(writer, row->is.priority);
    mp_put_array(writer, 7);
    mp_put_u64(writer, assignment->number);
    mp_put_text(writer, assignment->node);
    mp_put_u64(writer, assignment->raft_id);
    mp_put_u64(writer, assignment->incarnation);
    mp_put_u64(writer, assignment->term);
    mp_put_i64(writer, assignment->wall_ms);
    mp_put_i64(writer, assignment->grant_ttl_ms);
    mp_put_bool(writer, row->released);
    mp_put_u64(writer, (uint64_t)row->proof);
    mp_put_i64(writer, row->released_wall_ms);
    mp_put_u64(writer, row->changed_index);
    if (row->is.once || grouped) {
        mp_put_bool(writer, row->is.once);
    }
    if (grouped) {
        mp_put_text(writer, row->is.alone);
        mp_put_u64(writer, row->is.side);
    }
}

static void put_leader(struct mp_writer *writer, const struct state_leader *row)
{
    mp_put_array(writer, 10);
    mp_put_u64(writer, row->is.term);
    mp_put_text(writer, row->is.node);
    mp_put_u64(writer, (uint64_t)row->is.cause);
    mp_put_u64(writer, (uint64_t)row->is.proof);
    mp_put_i64(writer, row->is.detected_ms);
    mp_put_i64(writer, row->is.elected_ms);
    mp_put_i64(writer, row->is.acting_ms);
    mp_put_text(writer, row->is.previous);
    mp_put_i64(writer, row->wall_ms);
    mp_put_u64(writer, row->index);
}

static void put_audit(struct mp_writer *writer, const struct state_audit *row)
{
    mp_put_array(writer, 9);
    mp_put_u64(writer, row->index);
    mp_put_u64(writer, row->term);
    mp_put_i64(writer, row->wall_ms);
    mp_put_u64(writer, (uint64_t)row->type);
    mp_put_u64(writer, (uint64_t)row->reason);
    mp_put_i64(writer, row->status);
    mp_put_text(writer, row->who);
    mp_put_text(writer, row->target);
    mp_put_text(writer, row->why);
}

static void put_settings(struct mp_writer *writer, const struct state *self)
{
    mp_put_array(writer, self->setting_count);
    for (size_t i = 0; i < self->setting_count; i++) {
        const struct state_setting *row = &self->settings[i];
        mp_put_array(writer, 3);
        mp_put_text(writer, row->key);
        mp_put_text(writer, row->value);
        mp_put_u64(writer, row->changed_index);
    }
}

static void put_managers(struct mp_writer *writer, const struct state *self)
{
    mp_put_array(writer, self->manager_count);
    for (size_t i = 0; i < self->manager_count; i++) {
        const struct state_manager *row = &self->managers[i];
        mp_put_array(writer, 4);
        mp_put_text(writer, row->name);
        mp_put_i64(writer, row->paused_until_wall_ms);
        mp_put_u64(writer, (uint64_t)row->mode);
        mp_put_u64(writer, row->changed_index);
    }
}

static void put_origins(struct mp_writer *writer, const struct state *self)
{
    mp_put_array(writer, self->origin_count);
    for (size_t i = 0; i < self->origin_count; i++) {
        const struct state_origin *row = &self->origins[i];
        mp_put_array(writer, 5);
        mp_put_u64(writer, row->id);
        mp_put_u64(writer, row->incarnation);
        mp_put_u64(writer, row->highest);
        mp_put_u64(writer, row->window);
        mp_put_u64(writer, row->seen_index);
    }
}

static void put_counters(struct mp_writer *writer, const struct state_counters *counters)
{
    mp_put_array(writer, 6);
    mp_put_u64(writer, counters->applied);
    mp_put_u64(writer, counters->unchanged);
    mp_put_u64(writer, counters->refused);
    mp_put_u64(writer, counters->repeated);
    mp_put_u64(writer, counters->malformed);
    mp_put_u64(writer, counters->unsupported);
}

/* Rings go oldest first, so that reading them back is pushing them. */
static void put_body(struct mp_writer *writer, const struct state *self)
{
    bool work = !state_work_empty(self);
    mp_put_array(writer, work ? 9 : 8);
    mp_put_array(writer, self->node_count);
    for (size_t i = 0; i < self->node_count; i++) {
        put_node(writer, &self->nodes[i]);
    }
    mp_put_array(writer, self->duty_count);
    for (size_t i = 0; i < self->duty_count; i++) {
        put_duty(writer, &self->duties[i]);
    }
    put_settings(writer, self);
    put_managers(writer, self);
    mp_put_array(writer, self->history_count);
    for (size_t i = self->history_count; i > 0; i--) {
        put_leader(writer, state_history_at(self, i - 1));
    }
    mp_put_array(writer, self->audit_count);
    for (size_t i = self->audit_count; i > 0; i--) {
        put_audit(writer, state_audit_at(self, i - 1));
    }
    put_origins(writer, self);
    put_counters(writer, &self->counters);
    if (work) {
        state_work_put(writer, self);
    }
}

/* 0 with the body in `writer`, which the caller ends in any case. */
static int encode_body(const struct state *self, struct mp_writer *writer)
{
    mp_writer_init(writer, SNAPSHOT_BYTES_MAX - SNAPSHOT_ENVELOPE_BYTES);
    put_body(writer, self);
    return mp_writer_ok(writer) ? 0 : ERR_NOMEM;
}

int state_snapshot(const struct state *self, uint8_t **ret, size_t *ret_length)
{
    struct mp_writer body;
    int rc = encode_body(self, &body);
    if (rc != 0) {
        mp_writer_deinit(&body);
        return rc;
    }
    struct mp_writer whole;
    mp_writer_init(&whole, SNAPSHOT_BYTES_MAX);
    mp_put_array(&whole, 3);
    mp_put_u64(&whole, STATE_VERSION);
    mp_put_u64(&whole, state_hash(body.buffer.data, body.buffer.length));
    mp_put_bytes(&whole, body.buffer.data, body.buffer.length);
    mp_writer_deinit(&body);
    size_t length = 0;
    uint8_t *bytes = mp_writer_ok(&whole) ? buffer_take(&whole.buffer, &length) : NULL;
    mp_writer_deinit(&whole);
    if (bytes == NULL) {
        return ERR_NOMEM;
    }
    *ret = bytes;
    *ret_length = length;
    return 0;
}

uint64_t state_digest(const struct state *self)
{
    struct mp_writer body;
    uint64_t hash = 0;
    if (encode_body(self, &body) == 0) {
        hash = state_hash(body.buffer.data, body.buffer.length);
    }
    mp_writer_deinit(&body);
    return hash;
}
