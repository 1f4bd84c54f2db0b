#include "node/storage/wal_scan.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define HEADER_BYTES 32
#define FRAME_HEADER_BYTES 24
#define MAGIC 0x377f0682u /* the lowest bit tells the byte order of the checksums */
#define PAGE_BYTES_MIN 512u
#define PAGE_BYTES_MAX 65536u

struct sums {
    uint32_t first;
    uint32_t second;
};

static uint32_t big_endian(const uint8_t *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static uint32_t little_endian(const uint8_t *at)
{
    return (uint32_t)at[3] << 24 | (uint32_t)at[2] << 16 | (uint32_t)at[1] << 8 | at[0];
}

static void add_sums(struct sums *sums, bool big, const uint8_t *bytes, size_t length)
{
    for (size_t i = 0; i + 8 <= length; i += 8) {
        sums->first += (big ? big_endian(bytes + i) : little_endian(bytes + i)) + sums->second;
        sums->second +=
            (big ? big_endian(bytes + i + 4) : little_endian(bytes + i + 4)) + sums->first;
    }
}

/* Reads exactly `length` bytes; 0 when the file ends before, -1 on an error. */
static int read_at(int fd, uint8_t *ret, size_t length, off_t offset)
{
    size_t done = 0;
    while (done < length) {
        ssize_t got = pread(fd, ret + done, length - done, offset + (off_t)done);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got <= 0) {
            return (int)got;
        }
        done += (size_t)got;
    }
    return 1;
}

struct reader {
    int fd;
    bool big;
    uint32_t page_bytes;
    struct sums sums;
    uint8_t *frame;
};

static bool all_zero(const uint8_t *bytes, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        if (bytes[i] != 0) {
            return false;
        }
    }
    return true;
}

static bool parse_header(const uint8_t *header, struct reader *reader, struct wal_scan *ret)
{
    uint32_t magic = big_endian(header);
    reader->big = (magic & 1u) != 0;
    reader->page_bytes = big_endian(header + 8);
    add_sums(&reader->sums, reader->big, header, 24);
    ret->salt_1 = big_endian(header + 16);
    ret->salt_2 = big_endian(header + 20);
    return (magic & ~1u) == MAGIC && reader->page_bytes >= PAGE_BYTES_MIN &&
           reader->page_bytes <= PAGE_BYTES_MAX &&
           (reader->page_bytes & (reader->page_bytes - 1)) == 0 &&
           reader->sums.first == big_endian(header + 24) &&
           reader->sums.second == big_endian(header + 28);
}

static int scan_frames(struct reader *reader, struct wal_scan *ret)
{
    size_t frame_bytes = FRAME_HEADER_BYTES + reader->page_bytes;
    bool intact = true;
    bool unseen_commit = false;
    for (uint32_t number = 1;; number++) {
        off_t offset = HEADER_BYTES + (off_t)(number - 1) * (off_t)frame_bytes;
        int got = read_at(reader->fd, reader->frame, frame_bytes, offset);
        if (got <= 0) {
            return got;
        }
        const uint8_t *frame = reader->frame;
        bool ours = big_endian(frame + 8) == ret->salt_1 && big_endian(frame + 12) == ret->salt_2;
        bool commit = big_endian(frame + 4) != 0;
        if (intact) {
            add_sums(&reader->sums, reader->big, frame, 8);
            add_sums(&reader->sums, reader->big, frame + FRAME_HEADER_BYTES, reader->page_bytes);
            intact = ours && big_endian(frame) != 0 && /* a page number */
                     reader->sums.first == big_endian(frame + 16) &&
                     reader->sums.second == big_endian(frame + 20);
        }
        if (intact) {
            ret->committed_frames = commit ? number : ret->committed_frames;
            continue;
        }
        ret->lost_commit = ret->lost_commit || (ours && unseen_commit);
        unseen_commit = unseen_commit || (ours && commit);
    }
}

static int scan(struct reader *reader, struct wal_scan *ret)
{
    uint8_t header[HEADER_BYTES];
    int got = read_at(reader->fd, header, sizeof header, 0);
    if (got < 0) {
        return -1;
    }
    if (got == 0 || all_zero(header, sizeof header)) {
        ret->empty = true;
        return 0;
    }
    ret->header_valid = parse_header(header, reader, ret);
    if (!ret->header_valid) {
        return 0;
    }
    reader->frame = malloc(FRAME_HEADER_BYTES + reader->page_bytes);
    if (reader->frame == NULL) {
        errno = ENOMEM;
        return -1;
    }
    int rc = scan_frames(reader, ret);
    free(reader->frame);
    return rc;
}

int wal_scan(int folder_fd, const char *name, struct wal_scan *ret, struct err *err)
{
    *ret = (struct wal_scan){0};
    int fd = openat(folder_fd, name, O_RDONLY | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT) {
        ret->empty = true;
        return 0;
    }
    if (fd < 0) {
        return err_set_errno(err, ERR_IO, "open %s", name);
    }
    struct reader reader = {.fd = fd};
    int rc = scan(&reader, ret);
    if (rc < 0) {
        rc = err_set_errno(err, ERR_IO, "read %s", name);
    }
    (void)close(fd);
    return rc;
}

int wal_scan_salts(int folder_fd, const char *name, uint32_t *ret_salt_1, uint32_t *ret_salt_2,
                   struct err *err)
{
    int fd = openat(folder_fd, name, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return err_set_errno(err, ERR_IO, "open %s", name);
    }
    uint8_t salts[8];
    int got = read_at(fd, salts, sizeof salts, 16);
    int rc = 0;
    if (got < 0) {
        rc = err_set_errno(err, ERR_IO, "read %s", name);
    } else if (got == 0) {
        rc = err_set(err, ERR_IO, "%s has no whole header", name);
    } else {
        *ret_salt_1 = big_endian(salts);
        *ret_salt_2 = big_endian(salts + 4);
    }
    (void)close(fd);
    return rc;
}
