#include "consensus/state.h"
#include "node/base/mp.h"
#include "node/snapshot/page_text.h"
#include "node/snapshot/snapshot_file.h"
#include "tests/fuzz/seed.h"
#include "tests/fuzz/state/seed_commands.h"

#define HEADER_AT 24

static const struct snapshot_about about = {.cluster = "demo",
                                            .cluster_id = 77,
                                            .node = "n1",
                                            .program = "0.1.0",
                                            .term = 3,
                                            .index = 18,
                                            .saved_wall_ms = 1795305600000};

static void stop(void)
{
    (void)fputs("a seed cannot be made\n", stderr);
    exit(1);
}

static struct state *make_state(void)
{
    static const enum command_type order[] = {
        COMMAND_NODE_PUT,     COMMAND_DUTY_PUT,      COMMAND_DUTY_ASSIGN,  COMMAND_LEADER_RECORD,
        COMMAND_SETTING_PUT,  COMMAND_MANAGER_PAUSE, COMMAND_DUTY_RELEASE, COMMAND_SCHEDULE_PUT,
        COMMAND_SLOTS_DECIDE, COMMAND_RUN_START,     COMMAND_RUN_CANCEL,   COMMAND_ALERT_RAISE,
        COMMAND_ALERT_ACK};
    struct state *state = state_create();
    for (uint64_t i = 0; state != NULL && i < sizeof order / sizeof order[0]; i++) {
        struct command command = seed_command(order[i], i + 1);
        struct mp_writer writer;
        struct state_effect effect;
        mp_writer_init(&writer, COMMAND_BYTES_MAX);
        if (command_encode(&command, &writer, NULL) != 0 ||
            state_apply(state, i + 1, 1, writer.buffer.data, writer.buffer.length, &effect) != 0 ||
            effect.outcome != STATE_APPLIED) {
            stop();
        }
        mp_writer_deinit(&writer);
    }
    if (state == NULL) {
        stop();
    }
    return state;
}

static void write_file(const char *folder, const char *name, const uint8_t *state, size_t length)
{
    uint8_t *bytes = NULL;
    size_t size = 0;
    if (snapshot_file_encode(&about, state, length, &bytes, &size, NULL) != 0) {
        stop();
    }
    seed_write(folder, name, 0, bytes, size);
    if (length == 0) {
        seed_write(folder, "header", 1, bytes + HEADER_AT, size - HEADER_AT - 8);
    }
    free(bytes);
}

static void write_body(const char *folder, const uint8_t *bytes, size_t length)
{
    struct mp_doc doc;
    const uint8_t *body = NULL;
    size_t body_length = 0;
    const struct mp_limits limits = {.bytes = SNAPSHOT_BYTES_MAX, .elements = 64, .depth = 2};
    if (mp_parse(bytes, length, &limits, &doc, NULL) != 0 ||
        !mp_bytes(mp_at(&doc.root, 2), &body, &body_length)) {
        stop();
    }
    seed_write(folder, "body", 3, body, body_length);
    mp_doc_deinit(&doc);
}

int main(int argc, char **argv)
{
    char text[PAGE_TEXT_SIZE(300)];
    uint8_t *bytes = NULL;
    size_t length = 0;
    if (argc != 2) {
        return 2;
    }
    struct state *state = make_state();
    if (state_snapshot(state, &bytes, &length) != 0) {
        stop();
    }
    write_file(argv[1], "file", bytes, length);
    write_file(argv[1], "empty", NULL, 0);
    write_body(argv[1], bytes, length);
    for (size_t size = 298; size <= 300 && size <= length; size++) {
        char name[16];
        (void)snprintf(name, sizeof name, "text-%zu", size);
        page_text_encode(bytes, size, text);
        seed_write(argv[1], name, 2, text, strlen(text));
    }
    free(bytes);
    state_destroy(&state);
    return 0;
}
