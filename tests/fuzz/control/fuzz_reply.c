/* What a node answers, as the client library reads it. The first byte chooses: foreign bytes, or a
 * reply of the node's own encoder whose parts are the input. */
#include "node/base/doc.h"
#include "node/base/invariant.h"
#include "node/client/client_internal.h"
#include "node/control/control_internal.h"

#include <string.h>

#define ID 7

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool terminated(const char *text, size_t size)
{
    return memchr(text, '\0', size) != NULL;
}

static void check_foreign(const uint8_t *data, size_t size)
{
    struct reply reply;
    if (!client_read_reply(data, size, ID, &reply)) {
        invariant(reply.result == NULL);
        return;
    }
    invariant(reply.exit >= 0 && reply.exit <= 255);
    if (!reply.ok) {
        invariant(reply.exit != 0 && reply.result == NULL);
        invariant(terminated(reply.error.code, sizeof reply.error.code));
        invariant(terminated(reply.error.message, sizeof reply.error.message));
        invariant(terminated(reply.error.hint, sizeof reply.error.hint));
    }
    json_decref(reply.result);
}

/* [exit, more, text...] */
static void check_own_error(const uint8_t *data, size_t size)
{
    struct failure failure = {.code = "failed", .exit = 1 + data[0] % 255};
    struct mp_writer writer;
    struct reply reply;
    for (size_t i = 1; i < size && i < sizeof failure.message; i++) {
        failure.message[i - 1] = (char)(data[i] % 95 + 32);
    }
    mp_writer_init(&writer, CONTROL_MESSAGE_BYTES_MAX);
    wire_put_error(&writer, ID, &failure);
    bool good = client_read_reply(writer.buffer.data, writer.buffer.length, ID, &reply);
    invariant(good && !reply.ok && reply.exit == failure.exit);
    invariant(strncmp(reply.error.message, failure.message, sizeof reply.error.message - 1) == 0);
    invariant(!client_read_reply(writer.buffer.data, writer.buffer.length, ID + 1, &reply));
    mp_writer_deinit(&writer);
}

static void check_own_result(const uint8_t *data, size_t size)
{
    static const struct mp_limits limits = {1 << 16, 1000, 8};
    struct mp_writer document;
    struct mp_writer writer;
    struct reply reply;
    json_t *result = NULL;
    if (doc_from_msgpack(data + 2, size - 2, &limits, &result, NULL) != 0) {
        return;
    }
    mp_writer_init(&document, 1 << 20);
    mp_writer_init(&writer, 1 << 21);
    int rc = doc_to_msgpack(result, &document, NULL);
    invariant(rc == 0);
    wire_put_result(&writer, ID, data[1] % 2 == 1, data[0], data[1], document.buffer.data,
                    document.buffer.length);
    bool good = client_read_reply(writer.buffer.data, writer.buffer.length, ID, &reply);
    invariant(good && reply.ok && reply.exit == data[0] && reply.dropped == data[1]);
    invariant(reply.more == (data[1] % 2 == 1));
    invariant(json_equal(reply.result, result));
    json_decref(reply.result);
    json_decref(result);
    mp_writer_deinit(&document);
    mp_writer_deinit(&writer);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 4) {
        return 0;
    }
    switch (data[0] % 3) {
    case 0:
        check_foreign(data + 1, size - 1);
        break;
    case 1:
        check_own_error(data + 1, size - 1);
        break;
    default:
        check_own_result(data + 1, size - 1);
        break;
    }
    return 0;
}
