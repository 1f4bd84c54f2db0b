#include "node/storage/witness.h"

#include "node/storage/checksum.h"

#include <fcntl.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#define WITNESS_NAME "witness"
#define WITNESS_VERSION 1u
/* A log starts a new generation after each checkpoint, at most one per commit between two writes of
 * the witness; a power failure may have kept back all of the writes of half a minute. */
#define GENERATIONS_MAX 0x100000u

/* On disk, in the machine's byte order (a data folder does not travel between architectures). */
struct record {
    char magic[4];
    uint32_t version;
    uint32_t salt_1;
    uint32_t salt_2;
    uint32_t frames;
    uint32_t reserved;
    uint64_t checksum;
};

static uint64_t sum_of(const struct record *record)
{
    return checksum_bytes(CHECKSUM_START, record, offsetof(struct record, checksum));
}

bool witness_read(int folder_fd, struct witness *ret)
{
    *ret = (struct witness){0};
    int fd = openat(folder_fd, WITNESS_NAME, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return false;
    }
    struct record record;
    ssize_t length = pread(fd, &record, sizeof record, 0);
    (void)close(fd);
    if (length == (ssize_t)sizeof record && memcmp(record.magic, "USWT", 4) == 0 &&
        record.version == WITNESS_VERSION && record.checksum == sum_of(&record)) {
        *ret = (struct witness){
            .salt_1 = record.salt_1, .salt_2 = record.salt_2, .frames = record.frames};
    }
    return true;
}

int witness_open(int folder_fd, struct err *err)
{
    int fd = openat(folder_fd, WITNESS_NAME, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    return fd >= 0 ? fd : err_set_errno(err, ERR_IO, "open %s", WITNESS_NAME);
}

int witness_write(int fd, const struct witness *witness, bool sync, struct err *err)
{
    struct record record = {
        .magic = {'U', 'S', 'W', 'T'},
        .version = WITNESS_VERSION,
        .salt_1 = witness->salt_1,
        .salt_2 = witness->salt_2,
        .frames = witness->frames,
    };
    record.checksum = sum_of(&record);
    if (pwrite(fd, &record, sizeof record, 0) != (ssize_t)sizeof record ||
        (sync && fdatasync(fd) != 0)) {
        return err_set_errno(err, ERR_IO, "write %s", WITNESS_NAME);
    }
    return 0;
}

const char *witness_contradicts(const struct witness *witness, const struct wal_scan *scan)
{
    if (!scan->empty && !scan->header_valid) {
        return "the header of the write-ahead log is damaged";
    }
    if (!scan->empty && scan->lost_commit) {
        return "a commit inside the write-ahead log is damaged";
    }
    if (witness->frames == 0) {
        return NULL;
    }
    if (scan->empty) {
        return "the write-ahead log is gone";
    }
    if (scan->salt_1 == witness->salt_1 && scan->salt_2 == witness->salt_2) {
        return scan->committed_frames >= witness->frames
                   ? NULL
                   : "the end of the write-ahead log is damaged";
    }
    uint32_t generations = scan->salt_1 - witness->salt_1;
    return generations >= 1 && generations <= GENERATIONS_MAX
               ? NULL
               : "the write-ahead log is not the one that was written last";
}
