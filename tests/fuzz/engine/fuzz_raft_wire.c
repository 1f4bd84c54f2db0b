/* The decoder of consensus messages: whatever it accepts must be sound enough to encode again, and
 * must come back the same. */
#include "consensus/wire_raft.h"
#include "node/base/invariant.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void encode_again(const struct wire_message *message)
{
    struct mp_writer first;
    struct mp_writer second;
    struct wire_message back;
    mp_writer_init(&first, SNAPSHOT_BYTES_MAX);
    mp_writer_init(&second, SNAPSHOT_BYTES_MAX);
    int rc = wire_raft_encode(&first, &message->raft, &message->extra, NULL);
    invariant(rc == 0);
    rc = wire_raft_decode(first.buffer.data, first.buffer.length, 42, &back, NULL);
    invariant(rc == 0);
    rc = wire_raft_encode(&second, &back.raft, &back.extra, NULL);
    invariant(rc == 0);
    invariant(first.buffer.length == second.buffer.length);
    invariant(memcmp(first.buffer.data, second.buffer.data, first.buffer.length) == 0);
    wire_raft_message_deinit(&back);
    mp_writer_deinit(&first);
    mp_writer_deinit(&second);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct wire_message message;
    if (wire_raft_decode(data, size, 42, &message, NULL) == 0) {
        encode_again(&message);
        wire_raft_message_deinit(&message);
    }
    return 0;
}
