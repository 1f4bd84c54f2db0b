/* The description of a stored snapshot. */
#include "node/base/invariant.h"
#include "node/storage/snapshot_meta.h"
#include "node/storage/storage_internal.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct consensus_snapshot_meta first;
    struct consensus_snapshot_meta second;
    if (size >= 8) {
        uint8_t bytes[8];
        storage_u64_encode(storage_u64_decode(data), bytes);
        invariant(memcmp(bytes, data, sizeof bytes) == 0);
    }
    if (snapshot_meta_decode(data, size, &first, NULL) != 0) {
        return 0;
    }
    invariant(first.server_count <= NODES_MAX);
    struct mp_writer writer;
    mp_writer_init(&writer, SNAPSHOT_META_BYTES_MAX);
    snapshot_meta_encode(&first, &writer);
    invariant(mp_writer_ok(&writer));
    int rc = snapshot_meta_decode(writer.buffer.data, writer.buffer.length, &second, NULL);
    invariant(rc == 0);
    invariant(memcmp(&first, &second, sizeof first) == 0);
    mp_writer_deinit(&writer);
    return 0;
}
