#include "tests/unit/storage/storage_fixture.h"

#include "node/base/invariant.h"
#include "tests/folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

void fixture_make(char ret_root[FOLDER_SIZE], char ret_folder[FOLDER_SIZE])
{
    const char *base = getenv("TMPDIR");
    (void)snprintf(ret_root, FOLDER_SIZE, "%s/understudy-storage-XXXXXX",
                   base != NULL ? base : "/tmp");
    invariant(mkdtemp(ret_root) != NULL);
    int length = snprintf(ret_folder, FOLDER_SIZE, "%s/data", ret_root);
    invariant(length < FOLDER_SIZE);
}

static void copy_file(int from_folder, int to_folder, const char *name)
{
    int from = openat(from_folder, name, O_RDONLY | O_CLOEXEC);
    int to = openat(to_folder, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    invariant(from >= 0);
    invariant(to >= 0);
    char block[1 << 16];
    for (ssize_t got = read(from, block, sizeof block); got > 0;
         got = read(from, block, sizeof block)) {
        invariant(write(to, block, (size_t)got) == got);
    }
    (void)close(from);
    (void)close(to);
}

void fixture_copy(const char *from, const char *to)
{
    folder_remove(to);
    invariant(mkdir(to, 0700) == 0);
    DIR *source = opendir(from);
    int target = open(to, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    invariant(source != NULL);
    invariant(target >= 0);
    for (struct dirent *entry = readdir(source); entry != NULL; entry = readdir(source)) {
        if (entry->d_type == DT_REG) {
            copy_file(dirfd(source), target, entry->d_name);
        }
    }
    (void)closedir(source);
    (void)close(target);
}

int fixture_try_open(const char *folder, struct storage **ret, struct err *err)
{
    struct storage_config config = {.folder = folder, .node_name = "n1"};
    return storage_open(&config, ret, err);
}

struct storage *fixture_open(const char *folder)
{
    struct storage *storage = NULL;
    struct err err = {0};
    if (fixture_try_open(folder, &storage, &err) != 0) {
        (void)fprintf(stderr, "open %s: %s\n", folder, err.msg);
    }
    return storage;
}

static uint8_t byte_of(uint64_t index, uint64_t term, size_t position)
{
    return (uint8_t)(index * 31 + term * 7 + position);
}

int fixture_append(struct consensus_storage *log, uint64_t index, uint64_t term, size_t length,
                   struct err *err)
{
    uint8_t *bytes = malloc(length + 1);
    invariant(bytes != NULL);
    for (size_t i = 0; i < length; i++) {
        bytes[i] = byte_of(index, term, i);
    }
    struct consensus_entry entry = {
        .term = term, .type = CONSENSUS_ENTRY_COMMAND, .bytes = bytes, .length = length};
    int rc = log->append(log->context, index, &entry, 1, err);
    free(bytes);
    return rc;
}

bool fixture_entry_is(const struct consensus_entry *entry, uint64_t index, uint64_t term,
                      size_t length)
{
    if (entry->term != term || entry->length != length || entry->type != CONSENSUS_ENTRY_COMMAND) {
        return false;
    }
    for (size_t i = 0; i < length; i++) {
        if (entry->bytes[i] != byte_of(index, term, i)) {
            return false;
        }
    }
    return true;
}

void fixture_free(struct consensus_stored *stored)
{
    for (size_t i = 0; i < stored->entry_count; i++) {
        free((void *)(uintptr_t)stored->entries[i].bytes);
    }
    free(stored->entries);
    free(stored->snapshot_bytes);
    *stored = (struct consensus_stored){0};
}
