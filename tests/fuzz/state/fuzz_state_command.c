/* Any bytes as a command: no crash, and what decodes has one encoding that decodes to the same. */
#include "consensus/state.h"
#include "node/base/invariant.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

static void check_round_trip(const uint8_t *bytes, size_t length)
{
    struct command first;
    if (command_decode(bytes, length, &first, NULL) != 0) {
        return;
    }
    struct mp_writer writer;
    mp_writer_init(&writer, COMMAND_BYTES_MAX);
    invariant(command_encode(&first, &writer, NULL) == 0);
    struct command second;
    invariant(command_decode(writer.buffer.data, writer.buffer.length, &second, NULL) == 0);
    invariant(memcmp(&first, &second, sizeof(first)) == 0);
    mp_writer_deinit(&writer);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    static struct state *state; /* lives on, so that commands meet those before them */
    if (state == NULL) {
        state = state_create();
        invariant(state != NULL);
    }
    check_round_trip(bytes, length);
    struct state_effect effect;
    invariant(state_apply(state, state_index(state) + 1, 1, bytes, length, &effect) == 0);
    return 0;
}
