/* Any bytes as a snapshot. Behind a hash no mutation would get far, so the first byte chooses: the
 * whole envelope, or the body alone under a hash of our making. */
#include "consensus/state.h"
#include "consensus/state_internal.h"
#include "node/base/invariant.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

/* What was accepted is as good as any state: it can be written and read again. */
static void check_accepted(const struct state *state)
{
    uint8_t *bytes;
    size_t length;
    invariant(state_snapshot(state, &bytes, &length) == 0);
    struct state *again = state_create();
    invariant(again != NULL);
    invariant(state_restore(again, 1, bytes, length, NULL) == 0);
    invariant(state_digest(again) == state_digest(state));
    free(bytes);
    state_destroy(&again);
}

static int restore_body(struct state *state, const uint8_t *bytes, size_t length)
{
    struct mp_writer writer;
    mp_writer_init(&writer, SNAPSHOT_BYTES_MAX);
    mp_put_array(&writer, 3);
    mp_put_u64(&writer, STATE_VERSION);
    mp_put_u64(&writer, state_hash(bytes, length));
    mp_put_bytes(&writer, bytes, length);
    int rc = state_restore(state, 1, writer.buffer.data, writer.buffer.length, NULL);
    mp_writer_deinit(&writer);
    return rc;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    if (length == 0) {
        return 0;
    }
    struct state *state = state_create();
    invariant(state != NULL);
    int rc = bytes[0] == 0 ? state_restore(state, 1, bytes + 1, length - 1, NULL)
                           : restore_body(state, bytes + 1, length - 1);
    if (rc == 0) {
        check_accepted(state);
    }
    state_destroy(&state);
    return 0;
}
