#include "node/storage/snapshot_meta.h"
#include "tests/fuzz/seed.h"

int main(int argc, char **argv)
{
    struct consensus_snapshot_meta meta = {.index = 900, .term = 12, .configuration_index = 3};
    struct mp_writer writer;
    if (argc != 2) {
        return 2;
    }
    mp_writer_init(&writer, SNAPSHOT_META_BYTES_MAX);
    snapshot_meta_encode(&meta, &writer);
    seed_write(argv[1], "empty", -1, writer.buffer.data, writer.buffer.length);
    mp_writer_clear(&writer);
    meta.server_count = 3;
    for (size_t i = 0; i < 3; i++) {
        meta.servers[i] = (struct consensus_server){UINT64_MAX - i, (enum consensus_role)i};
    }
    snapshot_meta_encode(&meta, &writer);
    seed_write(argv[1], "three", -1, writer.buffer.data, writer.buffer.length);
    mp_writer_deinit(&writer);
    return 0;
}
