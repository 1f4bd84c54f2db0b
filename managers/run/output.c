#include "managers/run/output.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TOTAL_BYTES 21 /* twenty digits and the end of the line */
#define COPY_BYTES 16384

/* Whole or failed; a file on a full disk takes a part only. */
static bool write_at(int fd, const void *bytes, size_t length, uint64_t at)
{
    const char *from = bytes;
    while (length > 0) {
        ssize_t written = pwrite(fd, from, length, (off_t)at);
        if (written <= 0) {
            return false;
        }
        from += written;
        at += (uint64_t)written;
        length -= (size_t)written;
    }
    return true;
}

static bool write_total(const struct output *self)
{
    char line[TOTAL_BYTES + 1];
    (void)snprintf(line, sizeof line, "%020" PRIu64 "\n", self->total);
    return write_at(self->fd, line, TOTAL_BYTES, 0);
}

static uint64_t read_total(int fd)
{
    char line[TOTAL_BYTES + 1] = "";
    char *end;
    if (pread(fd, line, TOTAL_BYTES, 0) != TOTAL_BYTES) {
        return 0;
    }
    uint64_t total = strtoull(line, &end, 10);
    return *end == '\n' ? total : 0;
}

int run_output_open(const char *path, uint64_t bytes, struct output *ret, struct err *err)
{
    *ret = (struct output){.layout = layout_of(bytes), .failed = true};
    ret->fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (ret->fd < 0) {
        return err_set_errno(err, ERR_IO, "cannot write %s", path);
    }
    ret->total = read_total(ret->fd);
    ret->failed = !write_total(ret);
    return 0;
}

void run_output_close(struct output *self)
{
    if (self->fd >= 0) {
        (void)close(self->fd);
        self->fd = -1;
    }
}

void run_output_take(struct output *self, const void *bytes, size_t length)
{
    struct layout_piece pieces[LAYOUT_PIECES_MAX];
    size_t count = layout_write(&self->layout, self->total, length, pieces);
    const char *from = bytes;
    for (size_t i = 0; i < count && !self->failed; i++) {
        self->failed = !write_at(self->fd, from + pieces[i].from, (size_t)pieces[i].length,
                                 TOTAL_BYTES + pieces[i].at);
    }
    if (!self->failed) {
        self->total += length;
        self->failed = !write_total(self);
    }
}

/* Bytes [offset, offset + size) of the stretch `piece` that the view has at piece->from. */
static size_t read_piece(const struct output *self, const struct layout_piece *piece,
                         uint64_t offset, char *ret, size_t size)
{
    if (offset < piece->from || offset >= piece->from + piece->length) {
        return 0;
    }
    uint64_t skip = offset - piece->from;
    uint64_t left = piece->length - skip;
    size_t wanted = left < size ? (size_t)left : size;
    ssize_t got = pread(self->fd, ret, wanted, (off_t)(TOTAL_BYTES + piece->at + skip));
    return got > 0 ? (size_t)got : 0;
}

static size_t read_cut(const struct layout_view *view, uint64_t offset, char *ret, size_t size)
{
    if (offset < view->cut_at || offset >= view->cut_at + view->cut_length) {
        return 0;
    }
    size_t skip = (size_t)(offset - view->cut_at);
    size_t left = (size_t)view->cut_length - skip;
    size_t wanted = left < size ? left : size;
    memcpy(ret, view->cut + skip, wanted);
    return wanted;
}

size_t run_output_read_text(const struct output *self, uint64_t offset, char *ret, size_t size,
                            uint64_t *ret_length)
{
    struct layout_view view;
    layout_view(&self->layout, self->total, &view);
    *ret_length = view.length;
    size_t done = 0;
    while (done < size && self->fd >= 0) {
        size_t got = read_cut(&view, offset + done, ret + done, size - done);
        for (size_t i = 0; i < view.count && got == 0; i++) {
            got = read_piece(self, &view.pieces[i], offset + done, ret + done, size - done);
        }
        if (got == 0) {
            break;
        }
        done += got;
    }
    return done;
}

static bool copy_text(const struct output *self, int fd)
{
    char bytes[COPY_BYTES];
    uint64_t length = 0;
    uint64_t done = 0;
    for (;;) {
        size_t got = run_output_read_text(self, done, bytes, sizeof bytes, &length);
        if (got == 0) {
            return done == length;
        }
        if (!write_at(fd, bytes, got, done)) {
            return false;
        }
        done += got;
    }
}

int run_output_finish(const struct output *self, const char *path, struct err *err)
{
    char fresh[4096];
    int needed = snprintf(fresh, sizeof fresh, "%s.new", path);
    int fd = needed > 0 && (size_t)needed < sizeof fresh
                 ? open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600)
                 : -1;
    if (fd < 0) {
        return err_set_errno(err, ERR_IO, "cannot write %s", path);
    }
    bool good = copy_text(self, fd);
    (void)close(fd);
    if (!good || rename(fresh, path) != 0) {
        int rc = err_set_errno(err, ERR_IO, "cannot write %s", path);
        (void)unlink(fresh);
        return rc;
    }
    return 0;
}
