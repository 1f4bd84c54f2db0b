#include "node/daemon/errand.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define ERRAND_VERSION 1

static const struct mp_limits errand_limits = {
    .bytes = ERRAND_BYTES_MAX, .elements = 64, .depth = 3};
static const struct mp_limits answer_limits = {
    .bytes = ERRAND_ANSWER_BYTES_MAX, .elements = 64, .depth = 3};

int errand_encode(const struct errand *errand, struct mp_writer *writer)
{
    if (errand->args.length > ERRAND_ARGS_BYTES_MAX) {
        return ERR_FULL;
    }
    mp_put_array(writer, 8);
    mp_put_u64(writer, ERRAND_VERSION);
    mp_put_u64(writer, errand->id);
    mp_put_text(writer, errand->verb);
    mp_put_text(writer, errand->manager);
    mp_put_bytes(writer, errand->args.data, errand->args.length);
    mp_put_text(writer, errand->who.name);
    mp_put_u64(writer, errand->who.role);
    mp_put_i64(writer, errand->left_ms);
    return mp_writer_ok(writer) ? 0 : ERR_FULL;
}

static bool read_errand(const msgpack_object *root, struct errand *ret)
{
    const msgpack_object *array = mp_array(root, 8);
    uint64_t version = 0;
    uint64_t role = 0;
    *ret = (struct errand){0};
    if (array == NULL || !mp_u64(mp_at(array, 0), &version) || version < ERRAND_VERSION ||
        !mp_u64(mp_at(array, 1), &ret->id) ||
        !mp_text(mp_at(array, 2), ret->verb, sizeof ret->verb) ||
        !mp_text(mp_at(array, 3), ret->manager, sizeof ret->manager) ||
        !mp_bytes(mp_at(array, 4), &ret->args.data, &ret->args.length) ||
        ret->args.length > ERRAND_ARGS_BYTES_MAX ||
        !mp_text(mp_at(array, 5), ret->who.name, sizeof ret->who.name) ||
        !mp_u64(mp_at(array, 6), &role) || role > VERB_OPERATOR ||
        !mp_i64(mp_at(array, 7), &ret->left_ms) || ret->left_ms < 0 ||
        ret->left_ms > ERRAND_LEFT_MS_MAX) {
        return false;
    }
    ret->who.role = (enum verb_access)role;
    return true;
}

int errand_decode(const uint8_t *bytes, size_t length, struct errand *ret, struct err *err)
{
    struct mp_doc parsed;
    int rc = mp_parse(bytes, length, &errand_limits, &parsed, err);
    if (rc != 0) {
        return rc;
    }
    if (!read_errand(&parsed.root, ret)) {
        rc = err_set(err, ERR_PROTO, "an errand is malformed");
    }
    mp_doc_deinit(&parsed);
    return rc;
}

void errand_refuse(struct manager_reply *ret, const char *code, const char *format, ...)
{
    va_list arguments;
    *ret = (struct manager_reply){.id = ret->id};
    (void)snprintf(ret->code, sizeof ret->code, "%s", code);
    va_start(arguments, format);
    (void)vsnprintf(ret->message, sizeof ret->message, format, arguments);
    va_end(arguments);
}

bool errand_is_allowed(const struct errand *errand, const json_t *args, struct manager_reply *ret)
{
    struct err err = {0};
    const struct verb *verb = verb_find(errand->verb);
    if (verb == NULL || !verb->present || verb->fans_out == NULL ||
        (strcmp(verb->fans_out, errand->manager) != 0 && strcmp(verb->fans_out, "*") != 0)) {
        errand_refuse(ret, "not_in_this_version", "%s: is not passed on to this node",
                      errand->verb);
        return false;
    }
    if (verb->access == VERB_OPERATOR && errand->who.role != VERB_OPERATOR) {
        errand_refuse(ret, "not_authorised", "%s: needs the role operator", errand->verb);
        return false;
    }
    if (verb_check_args(verb, args, &err) != 0) {
        errand_refuse(ret, "invalid", "%s", err.msg);
        return false;
    }
    return true;
}

int errand_answer_encode(const struct manager_reply *answer, struct mp_writer *writer)
{
    if (answer->result.length > MANAGER_DOCUMENT_BYTES_MAX) {
        return ERR_FULL;
    }
    mp_put_array(writer, 6);
    mp_put_u64(writer, ERRAND_VERSION);
    mp_put_u64(writer, answer->id);
    mp_put_bool(writer, answer->ok);
    mp_put_text(writer, answer->code);
    mp_put_text(writer, answer->message);
    if (answer->ok && answer->result.length > 0) {
        mp_put_bytes(writer, answer->result.data, answer->result.length);
    } else {
        mp_put_nil(writer);
    }
    return mp_writer_ok(writer) ? 0 : ERR_FULL;
}

static bool read_answer(const msgpack_object *root, struct manager_reply *ret)
{
    const msgpack_object *array = mp_array(root, 6);
    const msgpack_object *document = mp_at(array, 5);
    uint64_t version = 0;
    *ret = (struct manager_reply){0};
    if (array == NULL || !mp_u64(mp_at(array, 0), &version) || version < ERRAND_VERSION ||
        !mp_u64(mp_at(array, 1), &ret->id) || !mp_bool(mp_at(array, 2), &ret->ok) ||
        !mp_text(mp_at(array, 3), ret->code, sizeof ret->code) ||
        !mp_text(mp_at(array, 4), ret->message, sizeof ret->message)) {
        return false;
    }
    if (document->type == MSGPACK_OBJECT_NIL) {
        return true;
    }
    return ret->ok && mp_bytes(document, &ret->result.data, &ret->result.length) &&
           ret->result.length > 0 && ret->result.length <= MANAGER_DOCUMENT_BYTES_MAX;
}

int errand_answer_decode(const uint8_t *bytes, size_t length, struct manager_reply *ret,
                         struct err *err)
{
    struct mp_doc parsed;
    int rc = mp_parse(bytes, length, &answer_limits, &parsed, err);
    if (rc != 0) {
        return rc;
    }
    if (!read_answer(&parsed.root, ret)) {
        rc = err_set(err, ERR_PROTO, "the answer to an errand is malformed");
    }
    mp_doc_deinit(&parsed);
    return rc;
}
