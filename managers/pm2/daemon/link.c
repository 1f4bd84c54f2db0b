#include "managers/pm2/daemon/link.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define OUT_BOUND (4 << 20)
#define READS_PER_PASS 16 /* of 64 KB: the bus is drained, and others get their turn */

struct link {
    struct runtime *runtime;
    const struct link_callbacks *callbacks;
    void *context;
    int fd;
    struct amp_parser parser;
    struct buffer out;
    size_t sent; /* of `out` */
    bool *gone;  /* set when a callback destroys the link while it is being read */
};

int link_create(struct runtime *runtime, size_t frame_bound, const struct link_callbacks *callbacks,
                void *context, struct link **ret, struct err *err)
{
    struct link *self = calloc(1, sizeof *self);
    if (self == NULL) {
        return err_set(err, ERR_NOMEM, "no memory for a connection");
    }
    self->runtime = runtime;
    self->callbacks = callbacks;
    self->context = context;
    self->fd = -1;
    amp_parser_init(&self->parser, frame_bound);
    buffer_init(&self->out, OUT_BOUND);
    *ret = self;
    return 0;
}

void link_close(struct link *self)
{
    if (self->fd >= 0) {
        runtime_unwatch(self->runtime, self->fd);
        (void)close(self->fd);
        self->fd = -1;
    }
    size_t bound = self->parser.bytes.bound;
    amp_parser_deinit(&self->parser);
    amp_parser_init(&self->parser, bound);
    buffer_deinit(&self->out);
    buffer_init(&self->out, OUT_BOUND);
    self->sent = 0;
}

void link_destroy(struct link **self_p)
{
    if (self_p == NULL || *self_p == NULL) {
        return;
    }
    struct link *self = *self_p;
    *self_p = NULL;
    if (self->gone != NULL) {
        *self->gone = true;
    }
    link_close(self);
    amp_parser_deinit(&self->parser);
    buffer_deinit(&self->out);
    free(self);
}

bool link_is_open(const struct link *self)
{
    return self->fd >= 0;
}

struct buffer *link_out(struct link *self)
{
    return &self->out;
}

pid_t link_peer(const struct link *self)
{
    struct ucred peer;
    socklen_t size = sizeof peer;
    if (self->fd < 0 || getsockopt(self->fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) {
        return 0;
    }
    return peer.pid;
}

static void end(struct link *self, const char *why)
{
    link_close(self);
    self->callbacks->closed(self->context, self, why);
}

/* Hands out every whole frame in the bytes. False when the link was closed or destroyed. */
static bool take_bytes(struct link *self, const uint8_t *bytes, size_t length)
{
    bool gone = false;
    self->gone = &gone;
    size_t done = 0;
    while (done < length) {
        size_t used;
        bool complete;
        struct err err;
        if (amp_parser_feed(&self->parser, bytes + done, length - done, &used, &complete, &err) !=
            0) {
            self->gone = NULL;
            end(self, err.msg);
            return false;
        }
        done += used;
        if (complete) {
            self->callbacks->frame(self->context, self, &self->parser);
        }
        if (gone) {
            return false;
        }
        if (self->fd < 0) {
            self->gone = NULL;
            return false;
        }
    }
    self->gone = NULL;
    return true;
}

static void read_some(struct link *self)
{
    static uint8_t bytes[64 << 10]; /* one thread */
    for (int i = 0; i < READS_PER_PASS; i++) {
        ssize_t got = read(self->fd, bytes, sizeof bytes);
        if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
            return;
        }
        if (got <= 0) {
            end(self, got == 0 ? "end of file" : strerror(errno));
            return;
        }
        if (!take_bytes(self, bytes, (size_t)got)) {
            return;
        }
    }
}

static void on_fd(void *context, int fd, short revents)
{
    struct link *self = context;
    (void)fd;
    if ((revents & POLLOUT) != 0) {
        link_flush(self);
    }
    if (self->fd >= 0 && (revents & (POLLIN | POLLERR)) != 0) {
        read_some(self);
    }
}

static int watch(struct link *self)
{
    bool waiting = self->sent < self->out.length;
    return runtime_watch(self->runtime, self->fd, waiting ? POLLIN | POLLOUT : POLLIN, on_fd, self);
}

/* Sends what the socket takes. A failure shows as the end of the stream at the next read. */
void link_flush(struct link *self)
{
    if (self->fd < 0) {
        return;
    }
    bool waited = self->sent > 0;
    while (self->sent < self->out.length) {
        ssize_t put = send(self->fd, self->out.data + self->sent, self->out.length - self->sent,
                           MSG_NOSIGNAL | MSG_DONTWAIT);
        if (put <= 0) {
            break;
        }
        self->sent += (size_t)put;
    }
    if (self->sent == self->out.length) {
        buffer_clear(&self->out);
        self->sent = 0;
        if (!waited) {
            return; /* the usual case: nothing was waiting and nothing does now */
        }
    }
    (void)watch(self);
}

static int connect_error(const char *path, struct err *err)
{
    switch (errno) {
    case ENOENT:
        return err_set(err, ERR_NOTFOUND, "no PM2 daemon has been here: %s is missing", path);
    case ECONNREFUSED:
        return err_set(err, ERR_CLOSED, "the PM2 daemon of %s is dead", path);
    case EACCES:
        return err_set(err, ERR_DENIED, "no right to connect to %s", path);
    case EAGAIN:
        return err_set(err, ERR_BUSY, "the PM2 daemon of %s takes no connection", path);
    default:
        return err_set_errno(err, ERR_IO, "cannot connect to %s", path);
    }
}

int link_connect(struct link *self, const char *path, struct err *err)
{
    link_close(self);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof address.sun_path) {
        return err_set(err, ERR_INVALID, "%s is longer than a socket's path may be", path);
    }
    memcpy(address.sun_path, path, strlen(path));
    self->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (self->fd < 0) {
        return err_set_errno(err, ERR_IO, "no socket");
    }
    int rc = 0;
    if (connect(self->fd, (const struct sockaddr *)&address, sizeof address) != 0) {
        rc = connect_error(path, err);
    } else if (watch(self) != 0) {
        rc = err_set(err, ERR_NOMEM, "cannot watch a connection");
    }
    if (rc != 0) {
        (void)close(self->fd);
        self->fd = -1;
    }
    return rc;
}
