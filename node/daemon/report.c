#include "node/daemon/report.h"

#include <math.h>
#include <string.h>

#define REPORT_VERSION 1
#define TOLD_STATE_VERSION 1
#define LEAVE_VERSION 1
#define LEAVE_WORD "leave"
#define SCORE_MAX 100

/* ---- writing ---- */

static void put_manager(struct mp_writer *writer, const struct report_manager *manager)
{
    mp_put_array(writer, 9);
    mp_put_text(writer, manager->name);
    mp_put_text(writer, manager->state);
    mp_put_bool(writer, manager->active);
    mp_put_bool(writer, manager->shadow);
    mp_put_u64(writer, manager->restarts);
    if (manager->score_known) {
        mp_put_double(writer, manager->score);
    } else {
        mp_put_nil(writer);
    }
    mp_put_u64(writer, manager->failures);
    mp_put_text(writer, manager->version);
    mp_put_array(writer, manager->capability_count);
    for (size_t i = 0; i < manager->capability_count; i++) {
        mp_put_text(writer, manager->capabilities[i]);
    }
}

int report_encode(const struct report *report, struct mp_writer *writer)
{
    mp_put_array(writer, 6);
    mp_put_u64(writer, REPORT_VERSION);
    mp_put_u64(writer, REPORT_SELF);
    mp_put_array(writer, report->manager_count);
    for (size_t i = 0; i < report->manager_count; i++) {
        put_manager(writer, &report->managers[i]);
    }
    mp_put_array(writer, report->duty_count);
    for (size_t i = 0; i < report->duty_count; i++) {
        mp_put_array(writer, 3);
        mp_put_text(writer, report->duties[i].id);
        mp_put_u64(writer, report->duties[i].assignment);
        mp_put_text(writer, report->duties[i].phase);
    }
    mp_put_u64(writer, report->leads_term);
    mp_put_i64(writer, report->wall_ms);
    return mp_writer_ok(writer) ? 0 : ERR_FULL;
}

int report_observation_encode(const char *manager, const uint8_t *document, size_t length,
                              struct mp_writer *writer)
{
    mp_put_array(writer, 4);
    mp_put_u64(writer, REPORT_VERSION);
    mp_put_u64(writer, REPORT_OBSERVATION);
    mp_put_text(writer, manager);
    mp_put_bytes(writer, document, length);
    return mp_writer_ok(writer) ? 0 : ERR_FULL;
}

void leave_encode(struct mp_writer *writer)
{
    mp_put_array(writer, 2);
    mp_put_u64(writer, LEAVE_VERSION);
    mp_put_text(writer, LEAVE_WORD);
}

/* ---- reading ---- */

/* What is appended to a row; what is not understood stays empty. */
static void decode_appended(const msgpack_object *row, struct report_manager *ret)
{
    const msgpack_object *capabilities = mp_at(row, 8);
    (void)mp_u64(mp_at(row, 6), &ret->failures);
    if (!mp_text(mp_at(row, 7), ret->version, sizeof ret->version)) {
        ret->version[0] = '\0';
    }
    for (size_t i = 0; i < mp_count(capabilities) && i < MANAGER_CAPABILITIES_MAX; i++) {
        char *name = ret->capabilities[ret->capability_count];
        ret->capability_count += mp_text(mp_at(capabilities, i), name, NAME_SIZE) ? 1 : 0;
    }
}

static bool decode_manager(const msgpack_object *row, struct report_manager *ret)
{
    *ret = (struct report_manager){0};
    decode_appended(row, ret);
    double score = 0;
    if (mp_number(mp_at(row, 5), &score) && isfinite(score) && score >= 0 && score <= SCORE_MAX) {
        ret->score_known = true;
        ret->score = score;
    }
    return mp_text(mp_at(row, 0), ret->name, sizeof ret->name) &&
           mp_text(mp_at(row, 1), ret->state, sizeof ret->state) &&
           mp_bool(mp_at(row, 2), &ret->active) && mp_bool(mp_at(row, 3), &ret->shadow) &&
           mp_u64(mp_at(row, 4), &ret->restarts);
}

static bool decode_duty(const msgpack_object *row, struct report_duty *ret)
{
    *ret = (struct report_duty){0};
    return mp_text(mp_at(row, 0), ret->id, sizeof ret->id) &&
           mp_u64(mp_at(row, 1), &ret->assignment) &&
           mp_text(mp_at(row, 2), ret->phase, sizeof ret->phase);
}

static void decode_self(const msgpack_object *root, struct report *ret)
{
    const msgpack_object *managers = mp_at(root, 2);
    const msgpack_object *duties = mp_at(root, 3);
    *ret = (struct report){0};
    (void)mp_u64(mp_at(root, 4), &ret->leads_term); /* appended: others do not say */
    if (!mp_i64(mp_at(root, 5), &ret->wall_ms) || ret->wall_ms < 0) {
        ret->wall_ms = 0;
    }
    for (size_t i = 0; i < mp_count(managers) && ret->manager_count < MANAGERS_MAX; i++) {
        if (decode_manager(mp_at(managers, i), &ret->managers[ret->manager_count])) {
            ret->manager_count++;
        }
    }
    for (size_t i = 0; i < mp_count(duties) && ret->duty_count < REPORT_DUTIES_MAX; i++) {
        if (decode_duty(mp_at(duties, i), &ret->duties[ret->duty_count])) {
            ret->duty_count++;
        }
    }
}

static bool decode_root(const msgpack_object *root, struct report_message *ret)
{
    uint64_t version = 0;
    uint64_t kind = 0;
    if (mp_array(root, 4) == NULL || !mp_u64(mp_at(root, 0), &version) ||
        version != REPORT_VERSION || !mp_u64(mp_at(root, 1), &kind)) {
        return false;
    }
    if (kind == REPORT_SELF) {
        ret->kind = REPORT_SELF;
        decode_self(root, &ret->self);
        return true;
    }
    ret->kind = REPORT_OBSERVATION;
    return kind == REPORT_OBSERVATION &&
           mp_text(mp_at(root, 2), ret->manager, sizeof ret->manager) &&
           mp_bytes(mp_at(root, 3), &ret->document, &ret->document_length) &&
           ret->document_length > 0 && ret->document_length <= MANAGER_OBSERVATION_BYTES_MAX;
}

int report_decode(const uint8_t *bytes, size_t length, struct report_message *ret)
{
    static const struct mp_limits limits = {
        .bytes = REPORT_BYTES_MAX, .elements = 4096, .depth = 5};
    struct mp_doc doc;
    if (mp_parse(bytes, length, &limits, &doc, NULL) != 0) {
        return ERR_PROTO;
    }
    bool known = decode_root(&doc.root, ret);
    mp_doc_deinit(&doc);
    return known ? 0 : ERR_PROTO;
}

int told_state_encode(const struct told_state *told, struct mp_writer *writer)
{
    if (told->length > TOLD_STATE_BYTES_MAX) {
        return ERR_FULL;
    }
    mp_put_array(writer, 4);
    mp_put_u64(writer, TOLD_STATE_VERSION);
    mp_put_u64(writer, told->term);
    mp_put_u64(writer, told->index);
    mp_put_bytes(writer, told->bytes, told->length);
    return mp_writer_ok(writer) ? 0 : ERR_FULL;
}

int told_state_decode(const uint8_t *bytes, size_t length, struct told_state *ret)
{
    static const struct mp_limits limits = {
        .bytes = SNAPSHOT_BYTES_MAX, .elements = 16, .depth = 2};
    struct mp_doc doc;
    uint64_t version = 0;
    if (mp_parse(bytes, length, &limits, &doc, NULL) != 0) {
        return ERR_PROTO;
    }
    bool known = mp_array(&doc.root, 4) != NULL && mp_u64(mp_at(&doc.root, 0), &version) &&
                 version == TOLD_STATE_VERSION && mp_u64(mp_at(&doc.root, 1), &ret->term) &&
                 ret->term > 0 && mp_u64(mp_at(&doc.root, 2), &ret->index) &&
                 mp_bytes(mp_at(&doc.root, 3), &ret->bytes, &ret->length) &&
                 ret->length <= TOLD_STATE_BYTES_MAX;
    mp_doc_deinit(&doc);
    return known ? 0 : ERR_PROTO;
}

bool leave_decode(const uint8_t *bytes, size_t length)
{
    static const struct mp_limits limits = {.bytes = LEAVE_BYTES_MAX, .elements = 8, .depth = 2};
    struct mp_doc doc;
    uint64_t version = 0;
    if (mp_parse(bytes, length, &limits, &doc, NULL) != 0) {
        return false;
    }
    bool asks = mp_array(&doc.root, 2) != NULL && mp_u64(mp_at(&doc.root, 0), &version) &&
                version == LEAVE_VERSION && mp_is(mp_at(&doc.root, 1), LEAVE_WORD);
    mp_doc_deinit(&doc);
    return asks;
}
