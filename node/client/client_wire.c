#include "node/client/client_internal.h"

#include "node/base/doc.h"
#include "node/base/limits.h"

#include <stdarg.h>
#include <stdio.h>

int client_fail(struct understudy_error *error, int exit, const char *code, const char *hint,
                const char *format, ...)
{
    if (error == NULL) {
        return exit;
    }
    va_list args;
    va_start(args, format);
    *error = (struct understudy_error){.exit = exit};
    (void)vsnprintf(error->message, sizeof error->message, format, args);
    va_end(args);
    (void)snprintf(error->code, sizeof error->code, "%s", code);
    (void)snprintf(error->hint, sizeof error->hint, "%s", hint == NULL ? "" : hint);
    return exit;
}

void client_put_request(struct mp_writer *writer, uint64_t id, const char *verb, const json_t *args,
                        int64_t timeout_ms)
{
    mp_put_map(writer, timeout_ms > 0 ? 5 : 4);
    mp_put_text(writer, "v");
    mp_put_u64(writer, 1);
    mp_put_text(writer, "id");
    mp_put_u64(writer, id);
    mp_put_text(writer, "verb");
    mp_put_text(writer, verb);
    mp_put_text(writer, "args");
    if (args == NULL) {
        mp_put_map(writer, 0);
    } else {
        (void)doc_to_msgpack(args, writer, NULL); /* too large: seen by mp_writer_ok */
    }
    if (timeout_ms > 0) {
        mp_put_text(writer, "timeout_ms");
        mp_put_i64(writer, timeout_ms);
    }
}

static void read_text(const msgpack_object *from, char *ret, size_t size, const char *fallback)
{
    if (!mp_text(from, ret, size)) {
        (void)snprintf(ret, size, "%s", fallback);
    }
}

static void read_error(const msgpack_object *from, struct understudy_error *ret)
{
    int64_t exit = UNDERSTUDY_FAILED;
    *ret = (struct understudy_error){0};
    if (!mp_i64(mp_get(from, "exit"), &exit) || exit < 1 || exit > 255) {
        exit = UNDERSTUDY_FAILED;
    }
    ret->exit = (int)exit;
    read_text(mp_get(from, "code"), ret->code, sizeof ret->code, "failed");
    read_text(mp_get(from, "message"), ret->message, sizeof ret->message,
              "the node refused without saying why");
    read_text(mp_get(from, "hint"), ret->hint, sizeof ret->hint, "");
}

static bool read_fields(const msgpack_object *root, uint64_t id, struct reply *ret)
{
    uint64_t version = 0;
    uint64_t got = 0;
    int64_t exit = 0;
    if (!mp_u64(mp_get(root, "v"), &version) || version != 1 || !mp_u64(mp_get(root, "id"), &got) ||
        got != id || !mp_bool(mp_get(root, "ok"), &ret->ok)) {
        return false;
    }
    (void)mp_bool(mp_get(root, "more"), &ret->more); /* absent: the last one */
    (void)mp_u64(mp_get(root, "dropped"), &ret->dropped);
    if (mp_i64(mp_get(root, "exit"), &exit) && exit >= 0 && exit <= 255) {
        ret->exit = (int)exit;
    }
    if (!ret->ok) {
        read_error(mp_get(root, "error"), &ret->error);
        ret->exit = ret->error.exit;
        return true;
    }
    const msgpack_object *result = mp_get(root, "result");
    return result == NULL || doc_from_object(result, &ret->result, NULL) == 0;
}

bool client_read_reply(const uint8_t *bytes, size_t length, uint64_t id, struct reply *ret)
{
    static const struct mp_limits limits = {
        .bytes = CONTROL_MESSAGE_BYTES_MAX + 1024, .elements = 200000, .depth = MP_DEPTH_MAX};
    *ret = (struct reply){0};
    struct mp_doc parsed;
    if (mp_parse(bytes, length, &limits, &parsed, NULL) != 0) {
        return false;
    }
    bool good = read_fields(&parsed.root, id, ret);
    mp_doc_deinit(&parsed);
    return good;
}
