/* Any bytes into the decoder of manager messages; what it accepts must survive a round trip. */
#include "managers/common/protocol.h"
#include "node/base/invariant.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct manager_message message;
    struct manager_message again;
    struct err err;
    if (manager_message_decode(data, size, &message, &err) != 0) {
        return 0;
    }
    struct mp_writer writer;
    mp_writer_init(&writer, MANAGER_MESSAGE_BYTES_MAX);
    if (manager_message_encode(&message, &writer, &err) == 0) {
        invariant(manager_message_decode(writer.buffer.data, writer.buffer.length, &again, &err) ==
                  0);
        invariant(again.kind == message.kind);
    }
    mp_writer_deinit(&writer);
    return 0;
}
