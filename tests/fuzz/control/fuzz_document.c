/* Foreign bytes as a document: whatever is taken survives a second trip unchanged. */
#include "node/base/doc.h"
#include "node/base/invariant.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct mp_limits limits = {1 << 16, 1000, MP_DEPTH_MAX};
    static const struct mp_limits wide = {1 << 20, 1000, MP_DEPTH_MAX};
    json_t *first = NULL;
    json_t *second = NULL;
    struct err err = {0};
    struct mp_writer writer;
    if (doc_from_msgpack(data, size, &limits, &first, &err) != 0) {
        invariant(err.msg[0] != '\0');
        return 0;
    }
    mp_writer_init(&writer, 1 << 20);
    invariant(doc_to_msgpack(first, &writer, &err) == 0);
    invariant(doc_from_msgpack(writer.buffer.data, writer.buffer.length, &wide, &second, &err) ==
              0);
    invariant(json_equal(first, second));
    mp_writer_deinit(&writer);
    json_decref(first);
    json_decref(second);
    return 0;
}
