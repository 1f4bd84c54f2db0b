/* Storage in memory that keeps the promises of struct consensus_storage; it outlives its node. */
#ifndef UNDERSTUDY_TESTS_UNIT_ENGINE_DISK_H
#define UNDERSTUDY_TESTS_UNIT_ENGINE_DISK_H

#include "consensus/consensus.h"

struct disk_entry {
    uint64_t term;
    enum consensus_entry_type type;
    uint8_t *bytes;
    size_t length;
};

struct disk {
    uint64_t term;
    uint64_t vote;
    bool has_snapshot;
    struct consensus_snapshot_meta meta;
    uint8_t *snapshot;
    size_t snapshot_length;
    uint64_t first_index;
    struct disk_entry *entries;
    size_t count;
    size_t capacity;
    bool broken;     /* every write fails */
    unsigned writes; /* that succeeded */
};

void disk_init(struct disk *self);
void disk_deinit(struct disk *self);
struct consensus_storage disk_storage(struct disk *self);
uint64_t disk_last_index(const struct disk *self);

#endif
