/* Seeds of fuzz_raft_wire: one message of each kind, from the encoder. seeds_raft_wire FOLDER */
#include "tests/unit/engine/wire_samples.h"

#include <stdio.h>

static int write_seed(const char *folder, size_t i, const struct mp_writer *writer)
{
    char path[4096];
    int written = snprintf(path, sizeof path, "%s/sample-%zu", folder, i);
    FILE *file = written > 0 && (size_t)written < sizeof path ? fopen(path, "wb") : NULL;
    if (file == NULL) {
        return 1;
    }
    size_t count = fwrite(writer->buffer.data, 1, writer->buffer.length, file);
    int closed = fclose(file);
    return count == writer->buffer.length && closed == 0 ? 0 : 1;
}

int main(int argc, char **argv)
{
    struct mp_writer writer;
    int failed = argc == 2 ? 0 : 2;
    mp_writer_init(&writer, SNAPSHOT_BYTES_MAX);
    for (size_t i = 0; failed == 0 && i < WIRE_SAMPLE_COUNT; i++) {
        wire_sample(i, &writer);
        failed = write_seed(argv[1], i, &writer);
    }
    mp_writer_deinit(&writer);
    return failed;
}
