#include "consensus/state.h"
#include "tests/fuzz/seed.h"
#include "tests/fuzz/state/seed_commands.h"

/* The snapshot's envelope behind a 0, and its body alone behind a 1 (see the fuzzer). */
static int write_seeds(const char *folder, const struct state *state)
{
    uint8_t *bytes;
    size_t length;
    struct mp_doc doc;
    const uint8_t *body;
    size_t body_length;
    const struct mp_limits limits = {.bytes = SNAPSHOT_BYTES_MAX, .elements = 64, .depth = 2};
    if (state_snapshot(state, &bytes, &length) != 0 ||
        mp_parse(bytes, length, &limits, &doc, NULL) != 0 ||
        !mp_bytes(mp_at(&doc.root, 2), &body, &body_length)) {
        return 1;
    }
    uint8_t *seed = malloc(length + 1);
    if (seed == NULL) {
        return 1;
    }
    seed[0] = 0;
    memcpy(seed + 1, bytes, length);
    seed_write(folder, "envelope", -1, seed, length + 1);
    seed[0] = 1;
    memcpy(seed + 1, body, body_length);
    seed_write(folder, "body", -1, seed, body_length + 1);
    free(seed);
    mp_doc_deinit(&doc);
    free(bytes);
    return 0;
}

int main(int argc, char **argv)
{
    static const enum command_type order[] = {
        COMMAND_NODE_PUT,     COMMAND_DUTY_PUT,      COMMAND_DUTY_ASSIGN,  COMMAND_LEADER_RECORD,
        COMMAND_SETTING_PUT,  COMMAND_MANAGER_PAUSE, COMMAND_DUTY_RELEASE, COMMAND_SCHEDULE_PUT,
        COMMAND_SLOTS_DECIDE, COMMAND_RUN_START,     COMMAND_RUN_CANCEL,   COMMAND_INTENT_OPEN,
        COMMAND_INTENT_PARK,  COMMAND_RECOVERY_SET,  COMMAND_ALERT_RAISE,  COMMAND_ALERT_ACK,
        COMMAND_DUTY_PROVEN,  COMMAND_NODE_DRAIN,    COMMAND_NODE_REMOVE};
    struct state *state = argc == 2 ? state_create() : NULL;
    if (state == NULL) {
        return 2;
    }
    for (uint64_t i = 0; i < sizeof(order) / sizeof(order[0]); i++) {
        struct command command = seed_command(order[i], i + 1);
        struct mp_writer writer;
        struct state_effect effect;
        mp_writer_init(&writer, COMMAND_BYTES_MAX);
        if (command_encode(&command, &writer, NULL) != 0 ||
            state_apply(state, i + 1, 1, writer.buffer.data, writer.buffer.length, &effect) != 0 ||
            effect.outcome != STATE_APPLIED) {
            return 1;
        }
        mp_writer_deinit(&writer);
    }
    int rc = write_seeds(argv[1], state);
    state_destroy(&state);
    return rc;
}
