#define ZLIB_CONST /* its input is only read */

#include "managers/pm2/logs/pack.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>
#include <zlib.h>

#define GZIP_WINDOW (15 + 16) /* the largest window, with gzip's header */

struct pack {
    int fd;
    bool compress;
    z_stream stream;
    unsigned char out[PACK_BYTES];
};

int pack_create(int fd, bool compress, struct pack **ret, struct err *err)
{
    struct pack *self = calloc(1, sizeof *self);
    if (self == NULL) {
        return err_set(err, ERR_NOMEM, "no memory for packing");
    }
    self->fd = fd;
    self->compress = compress;
    if (compress && deflateInit2(&self->stream, Z_DEFAULT_COMPRESSION, Z_DEFLATED, GZIP_WINDOW, 8,
                                 Z_DEFAULT_STRATEGY) != Z_OK) {
        free(self);
        return err_set(err, ERR_NOMEM, "no memory for packing");
    }
    *ret = self;
    return 0;
}

void pack_destroy(struct pack **self_p)
{
    if (self_p == NULL || *self_p == NULL) {
        return;
    }
    if ((*self_p)->compress) {
        (void)deflateEnd(&(*self_p)->stream);
    }
    free(*self_p);
    *self_p = NULL;
}

static int write_all(int fd, const unsigned char *bytes, size_t length, struct err *err)
{
    while (length > 0) {
        ssize_t done = write(fd, bytes, length);
        if (done < 0 && errno == EINTR) {
            continue;
        }
        if (done <= 0) {
            return err_set_errno(err, errno == ENOSPC || errno == EDQUOT ? ERR_FULL : ERR_IO,
                                 "cannot write the rotated file");
        }
        bytes += done;
        length -= (size_t)done;
    }
    return 0;
}

static int deflate_all(struct pack *self, int flush, struct err *err)
{
    int state = Z_OK;
    do {
        self->stream.next_out = self->out;
        self->stream.avail_out = sizeof self->out;
        state = deflate(&self->stream, flush);
        int rc = write_all(self->fd, self->out, sizeof self->out - self->stream.avail_out, err);
        if (rc != 0) {
            return rc;
        }
    } while (self->stream.avail_out == 0);
    return flush == Z_FINISH && state != Z_STREAM_END ? err_set(err, ERR_IO, "packing failed") : 0;
}

int pack_write(struct pack *self, const void *bytes, size_t length, struct err *err)
{
    if (!self->compress) {
        return write_all(self->fd, bytes, length, err);
    }
    self->stream.next_in = (z_const Bytef *)bytes;
    self->stream.avail_in = (uInt)length;
    return deflate_all(self, Z_NO_FLUSH, err);
}

int pack_finish(struct pack *self, struct err *err)
{
    if (!self->compress) {
        return 0;
    }
    self->stream.next_in = Z_NULL;
    self->stream.avail_in = 0;
    return deflate_all(self, Z_FINISH, err);
}
