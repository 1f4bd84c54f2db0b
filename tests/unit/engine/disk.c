#include "tests/unit/engine/disk.h"

#include <stdlib.h>
#include <string.h>

static void *copy_of(const void *bytes, size_t length)
{
    uint8_t *copy = malloc(length > 0 ? length : 1);
    if (copy == NULL) {
        abort();
    }
    if (length > 0) {
        memcpy(copy, bytes, length);
    }
    return copy;
}

void disk_init(struct disk *self)
{
    *self = (struct disk){.first_index = 1};
}

void disk_deinit(struct disk *self)
{
    for (size_t i = 0; i < self->count; i++) {
        free(self->entries[i].bytes);
    }
    free(self->entries);
    free(self->snapshot);
    disk_init(self);
}

uint64_t disk_last_index(const struct disk *self)
{
    return self->first_index + self->count - 1;
}

static int check_write(struct disk *disk, struct err *err)
{
    if (disk->broken) {
        return err_set(err, ERR_IO, "the disk is broken");
    }
    disk->writes++;
    return 0;
}

static int disk_snapshot_get(void *context, struct consensus_stored *ret, struct err *err)
{
    struct disk *disk = context;
    *ret = (struct consensus_stored){0};
    if (!disk->has_snapshot) {
        return err_set(err, ERR_NOTFOUND, "there is no snapshot");
    }
    ret->has_snapshot = true;
    ret->snapshot = disk->meta;
    ret->snapshot_bytes = copy_of(disk->snapshot, disk->snapshot_length);
    ret->snapshot_length = disk->snapshot_length;
    return 0;
}

static int disk_load(void *context, struct consensus_stored *ret, struct err *err)
{
    struct disk *disk = context;
    *ret = (struct consensus_stored){0};
    if (disk->has_snapshot) {
        (void)disk_snapshot_get(context, ret, err);
    }
    ret->term = disk->term;
    ret->vote = disk->vote;
    ret->first_index = disk->first_index;
    ret->entry_count = disk->count;
    if (disk->count > 0) {
        ret->entries = calloc(disk->count, sizeof *ret->entries);
        for (size_t i = 0; i < disk->count; i++) {
            const struct disk_entry *from = &disk->entries[i];
            ret->entries[i] = (struct consensus_entry){.term = from->term,
                                                       .type = from->type,
                                                       .bytes = copy_of(from->bytes, from->length),
                                                       .length = from->length};
        }
    }
    return 0;
}

static int disk_set_term(void *context, uint64_t term, struct err *err)
{
    struct disk *disk = context;
    int rc = check_write(disk, err);
    if (rc == 0) {
        disk->term = term;
        disk->vote = 0;
    }
    return rc;
}

static int disk_set_vote(void *context, uint64_t term, uint64_t id, struct err *err)
{
    struct disk *disk = context;
    int rc = check_write(disk, err);
    if (rc == 0) {
        disk->term = term;
        disk->vote = id;
    }
    return rc;
}

static int disk_append(void *context, uint64_t first_index, const struct consensus_entry *entries,
                       size_t count, struct err *err)
{
    struct disk *disk = context;
    int rc = check_write(disk, err);
    if (rc != 0) {
        return rc;
    }
    if (first_index != disk_last_index(disk) + 1) {
        return err_set(err, ERR_INVALID, "append at %llu behind %llu",
                       (unsigned long long)first_index, (unsigned long long)disk_last_index(disk));
    }
    if (disk->count + count > disk->capacity) {
        disk->capacity = (disk->count + count) * 2;
        disk->entries = realloc(disk->entries, disk->capacity * sizeof *disk->entries);
    }
    for (size_t i = 0; i < count; i++) {
        disk->entries[disk->count++] =
            (struct disk_entry){.term = entries[i].term,
                                .type = entries[i].type,
                                .bytes = copy_of(entries[i].bytes, entries[i].length),
                                .length = entries[i].length};
    }
    return 0;
}

static int disk_truncate(void *context, uint64_t first_index, struct err *err)
{
    struct disk *disk = context;
    int rc = check_write(disk, err);
    while (rc == 0 && disk->count > 0 && disk_last_index(disk) >= first_index) {
        free(disk->entries[--disk->count].bytes);
    }
    return rc;
}

static int disk_snapshot_put(void *context, const struct consensus_snapshot_meta *meta,
                             const uint8_t *bytes, size_t length, uint64_t trailing,
                             struct err *err)
{
    struct disk *disk = context;
    int rc = check_write(disk, err);
    if (rc != 0) {
        return rc;
    }
    free(disk->snapshot);
    disk->has_snapshot = true;
    disk->meta = *meta;
    disk->snapshot = copy_of(bytes, length);
    disk->snapshot_length = length;
    uint64_t keep = meta->index + 1;
    if (trailing > 0) {
        keep = meta->index > trailing ? meta->index - trailing + 1 : 1;
    }
    size_t drop = 0;
    while (drop < disk->count && (trailing == 0 || disk->first_index + drop < keep)) {
        free(disk->entries[drop++].bytes);
    }
    if (drop > 0) {
        memmove(disk->entries, disk->entries + drop, (disk->count - drop) * sizeof *disk->entries);
    }
    disk->count -= drop;
    disk->first_index = trailing == 0 ? keep : disk->first_index + drop;
    return 0;
}

struct consensus_storage disk_storage(struct disk *self)
{
    return (struct consensus_storage){.context = self,
                                      .load = disk_load,
                                      .set_term = disk_set_term,
                                      .set_vote = disk_set_vote,
                                      .append = disk_append,
                                      .truncate = disk_truncate,
                                      .snapshot_put = disk_snapshot_put,
                                      .snapshot_get = disk_snapshot_get};
}
