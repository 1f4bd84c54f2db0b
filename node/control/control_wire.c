#include "node/control/control_internal.h"

#include "node/base/doc.h"

#include <errno.h>
#include <string.h>
#include <zmq.h>

const struct mp_limits control_request_limits = {
    .bytes = CONTROL_MESSAGE_BYTES_MAX, .elements = 4096, .depth = 8};
const struct mp_limits control_reply_limits = {
    .bytes = CONTROL_MESSAGE_BYTES_MAX, .elements = 200000, .depth = MP_DEPTH_MAX};

static int decode_fields(const msgpack_object *root, struct wire_request *ret, struct err *err)
{
    uint64_t version = 0;
    ret->id_known = mp_u64(mp_get(root, "id"), &ret->id);
    if (!ret->id_known) {
        return err_set(err, ERR_PROTO, "the request has no id");
    }
    if (!mp_u64(mp_get(root, "v"), &version)) {
        return err_set(err, ERR_PROTO, "the request has no version v");
    }
    if (version != 1) {
        return err_set(err, ERR_UNSUPPORTED, "protocol version %llu; this node speaks 1",
                       (unsigned long long)version);
    }
    if (!mp_text(mp_get(root, "verb"), ret->verb, sizeof ret->verb)) {
        return err_set(err, ERR_PROTO, "the request has no verb");
    }
    const msgpack_object *timeout = mp_get(root, "timeout_ms");
    if (timeout != NULL && (!mp_i64(timeout, &ret->timeout_ms) || ret->timeout_ms < 0)) {
        return err_set(err, ERR_PROTO, "timeout_ms is no positive number");
    }
    const msgpack_object *args = mp_get(root, "args");
    if (args == NULL || args->type == MSGPACK_OBJECT_NIL) {
        ret->args = json_object();
        return ret->args != NULL ? 0 : err_set(err, ERR_NOMEM, "out of memory");
    }
    if (args->type != MSGPACK_OBJECT_MAP) {
        return err_set(err, ERR_PROTO, "args is no map");
    }
    return doc_from_object(args, &ret->args, err);
}

int wire_decode_request(const uint8_t *bytes, size_t length, struct wire_request *ret,
                        struct err *err)
{
    *ret = (struct wire_request){0};
    struct mp_doc parsed;
    int rc = mp_parse(bytes, length, &control_request_limits, &parsed, err);
    if (rc != 0) {
        return rc;
    }
    rc = decode_fields(&parsed.root, ret, err);
    mp_doc_deinit(&parsed);
    return rc;
}

static void put_head(struct mp_writer *writer, size_t further, uint64_t id, bool ok, bool more)
{
    mp_put_map(writer, 4 + further);
    mp_put_text(writer, "v");
    mp_put_u64(writer, 1);
    mp_put_text(writer, "id");
    mp_put_u64(writer, id);
    mp_put_text(writer, "ok");
    mp_put_bool(writer, ok);
    mp_put_text(writer, "more");
    mp_put_bool(writer, more);
}

void wire_put_result(struct mp_writer *writer, uint64_t id, bool more, int exit, uint64_t dropped,
                     const void *document, size_t document_length)
{
    put_head(writer, 1 + (size_t)(exit != 0) + (size_t)(dropped != 0), id, true, more);
    if (exit != 0) {
        mp_put_text(writer, "exit");
        mp_put_i64(writer, exit);
    }
    if (dropped != 0) {
        mp_put_text(writer, "dropped");
        mp_put_u64(writer, dropped);
    }
    mp_put_text(writer, "result");
    mp_put_raw(writer, document, document_length);
}

void wire_put_end(struct mp_writer *writer, uint64_t id, bool more, int exit)
{
    put_head(writer, (size_t)(exit != 0), id, true, more);
    if (exit != 0) {
        mp_put_text(writer, "exit");
        mp_put_i64(writer, exit);
    }
}

void wire_put_error(struct mp_writer *writer, uint64_t id, const struct failure *failure)
{
    put_head(writer, 1, id, false, false);
    mp_put_text(writer, "error");
    mp_put_map(writer, 4);
    mp_put_text(writer, "code");
    mp_put_text(writer, failure->code);
    mp_put_text(writer, "exit");
    mp_put_i64(writer, failure->exit);
    mp_put_text(writer, "message");
    mp_put_text(writer, failure->message);
    mp_put_text(writer, "hint");
    mp_put_text(writer, failure->hint[0] == '\0' ? NULL : failure->hint);
}

/* With ROUTER_MANDATORY the first frame tells whether the client can take the message; once it was
 * taken, the rest of the message is too. */
static int send_parts(const struct client *client, const struct buffer *message)
{
    if (zmq_send(client->socket, client->identity, client->identity_length,
                 ZMQ_SNDMORE | ZMQ_DONTWAIT) < 0) {
        return errno;
    }
    if (zmq_send(client->socket, "", 0, ZMQ_SNDMORE | ZMQ_DONTWAIT) < 0 ||
        zmq_send(client->socket, message->data, message->length, ZMQ_DONTWAIT) < 0) {
        return errno;
    }
    return 0;
}

int wire_send(const struct client *client, const struct buffer *message)
{
    int code = send_parts(client, message);
    watch_touched(client->watch);
    return code;
}
