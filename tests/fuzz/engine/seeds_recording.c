#include "consensus/recording.h"
#include "tests/fuzz/seed.h"

static void write_seed(const char *folder, const char *name, const struct mp_writer *writer)
{
    seed_write(folder, name, -1, writer->buffer.data + RECORDING_FRAME_BYTES,
               writer->buffer.length - RECORDING_FRAME_BYTES);
}

int main(int argc, char **argv)
{
    static const struct consensus_server servers[] = {{7, CONSENSUS_VOTER}, {9, CONSENSUS_SPARE}};
    static const uint8_t bytes[] = "some bytes";
    const struct recording_start start = {
        .life = 1,
        .now_ms = 1000,
        .config = {.id = 7, .heartbeat_ms = 75, .founders = servers, .founder_count = 2}};
    struct consensus_stored stored = {.term = 3, .vote = 7, .has_snapshot = true, .first_index = 1};
    stored.snapshot.server_count = 1;
    stored.snapshot.servers[0] = servers[0];
    const struct recording_event event = {.call = RECORDING_RECEIVE,
                                          .now_ms = 1001,
                                          .peer = 9,
                                          .bytes = bytes,
                                          .length = sizeof bytes};
    const struct consensus_entry entry = {
        .term = 3, .type = CONSENSUS_ENTRY_COMMAND, .bytes = bytes, .length = sizeof bytes};
    const struct recording_result result = {.outputs = 1, .view = 2};
    const struct recording_continued continued = {.life = 1, .part = 1};
    if (argc != 2) {
        return 1;
    }
    struct mp_writer writer;
    recording_writer_init(&writer);
    (void)recording_put_start(&writer, &start);
    write_seed(argv[1], "start", &writer);
    (void)recording_put_stored(&writer, &stored);
    write_seed(argv[1], "stored", &writer);
    (void)recording_put_snapshot(&writer, bytes, sizeof bytes);
    write_seed(argv[1], "snapshot", &writer);
    (void)recording_put_entry(&writer, &entry);
    write_seed(argv[1], "entry", &writer);
    (void)recording_put_event(&writer, &event);
    write_seed(argv[1], "event", &writer);
    (void)recording_put_result(&writer, &result);
    write_seed(argv[1], "result", &writer);
    (void)recording_put_continued(&writer, &continued);
    write_seed(argv[1], "continued", &writer);
    mp_writer_deinit(&writer);
    return 0;
}
