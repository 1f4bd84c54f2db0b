/* How a snapshot's description is stored: msgpack [version = 1, index, term, configuration index,
 * [[id, role], ...]]. */
#ifndef UNDERSTUDY_NODE_STORAGE_SNAPSHOT_META_H
#define UNDERSTUDY_NODE_STORAGE_SNAPSHOT_META_H

#include "consensus/consensus.h"
#include "node/base/err.h"
#include "node/base/mp.h"

#define SNAPSHOT_META_BYTES_MAX 4096

/* Into `writer` (made by the caller with SNAPSHOT_META_BYTES_MAX). */
void snapshot_meta_encode(const struct consensus_snapshot_meta *meta, struct mp_writer *writer);
/* ERR_CORRUPT. */
int snapshot_meta_decode(const uint8_t *bytes, size_t length, struct consensus_snapshot_meta *ret,
                         struct err *err);

#endif
