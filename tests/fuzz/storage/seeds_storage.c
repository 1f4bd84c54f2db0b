/* A row of each table with a right checksum and a wrong one, missing rows, bytes of the file. */
#include "node/storage/snapshot_meta.h"
#include "tests/fuzz/seed.h"

#include <string.h>

#define MENDED 0x80

static void row(const char *folder, const char *name, int what, int id, const void *bytes,
                size_t length)
{
    uint8_t seed[3 + 255] = {(uint8_t)what, (uint8_t)id, (uint8_t)length};
    memcpy(seed + 3, bytes, length);
    seed_write(folder, name, -1, seed, length + 3);
}

static void snapshot(const char *folder)
{
    struct consensus_snapshot_meta meta = {.index = 6, .term = 3, .server_count = 2};
    struct mp_writer writer;
    meta.servers[0].id = 1;
    meta.servers[1] = (struct consensus_server){9, CONSENSUS_STANDBY};
    mp_writer_init(&writer, SNAPSHOT_META_BYTES_MAX);
    snapshot_meta_encode(&meta, &writer);
    row(folder, "snapshot", 2 | MENDED, 1, writer.buffer.data, writer.buffer.length);
    mp_writer_clear(&writer);
    mp_put_array(&writer, 4);
    mp_put_u64(&writer, 1);
    mp_put_text(&writer, "key");
    mp_put_u64(&writer, 7);
    mp_put_text(&writer, "demo");
    row(folder, "identity", 0 | MENDED, 2, writer.buffer.data, writer.buffer.length);
    mp_writer_deinit(&writer);
}

int main(int argc, char **argv)
{
    static const uint8_t sixteen[16] = {9, 0, 0, 0, 0, 0, 0, 0, 7};
    if (argc != 2) {
        return 2;
    }
    seed_write(argv[1], "nothing", -1, "", 0);
    row(argv[1], "term", 0 | MENDED, 1, sixteen, 16);
    row(argv[1], "term-unmended", 0, 1, sixteen, 16);
    row(argv[1], "incarnation", 0 | MENDED, 3, sixteen, 8);
    row(argv[1], "incarnation-last", 0 | MENDED, 3, "\xff\xff\xff\xff\xff\xff\xff\x7f", 8);
    row(argv[1], "entry", 1 | MENDED, 7, "\x03\x01 bytes", 8);
    row(argv[1], "entry-last", 1 | MENDED, 255, "\x03\x01 bytes", 8);
    row(argv[1], "entry-unmended", 1, 4, "\x03\x01 bytes", 8);
    row(argv[1], "entry-gone", 3, 4, "", 0);
    row(argv[1], "entry-first-gone", 3, 2, "", 0);
    row(argv[1], "bytes", 4, 2, "\x00\x10 damage", 9);
    row(argv[1], "witness", 5, 0, "USWT", 4);
    row(argv[1], "text", 6, 1, "12", 2);
    snapshot(argv[1]);
    return 0;
}
