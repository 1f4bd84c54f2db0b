#include "node/daemon/parent_link.h"

#include "node/base/mp.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#define LINK_VERSION 1
#define LINK_BYTES_MAX (32 << 10)
#define MANAGER_FDS_MAX ((size_t)MANAGERS_MAX * 4)

enum link_kind {
    LINK_IDENTITY = 1,
    LINK_ELECTED = 2,
    LINK_NO_WAIT = 3,
    LINK_PEERS = 4,
    LINK_MANAGER = 5,
    LINK_BEAT = 6,
};

struct parent_link {
    int fd;
    bool alive;
};

struct parent_link *parent_link_create(int fd)
{
    struct parent_link *self = calloc(1, sizeof *self);
    if (self != NULL) {
        self->fd = fd;
        self->alive = fd >= 0;
    }
    return self;
}

void parent_link_destroy(struct parent_link **self_p)
{
    if (self_p == NULL || *self_p == NULL) {
        return;
    }
    if ((*self_p)->fd >= 0) {
        (void)close((*self_p)->fd);
    }
    free(*self_p);
    *self_p = NULL;
}

int parent_link_fd(const struct parent_link *self)
{
    return self->fd;
}

bool parent_link_alive(struct parent_link *self)
{
    struct pollfd poll_fd = {.fd = self->fd, .events = POLLIN};
    if (self->alive && poll(&poll_fd, 1, 0) > 0 && (poll_fd.revents & (POLLHUP | POLLERR)) != 0) {
        self->alive = false;
    }
    return self->alive;
}

static void send_packet(struct parent_link *self, const struct mp_writer *writer, int pass_fd)
{
    if (!self->alive || !mp_writer_ok(writer)) {
        return;
    }
    struct iovec part = {.iov_base = writer->buffer.data, .iov_len = writer->buffer.length};
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control = {0};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    if (pass_fd >= 0) {
        message.msg_control = control.bytes;
        message.msg_controllen = sizeof control.bytes;
        struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(header), &pass_fd, sizeof pass_fd);
    }
    if (sendmsg(self->fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 && errno != EAGAIN) {
        self->alive = false;
    }
}

static void begin(struct mp_writer *writer, enum link_kind kind, size_t fields)
{
    mp_writer_init(writer, LINK_BYTES_MAX);
    mp_put_array(writer, 2 + fields);
    mp_put_u64(writer, LINK_VERSION);
    mp_put_u64(writer, kind);
}

void parent_link_identity(struct parent_link *self, uint64_t id, uint64_t incarnation)
{
    struct mp_writer writer;
    begin(&writer, LINK_IDENTITY, 2);
    mp_put_u64(&writer, id);
    mp_put_u64(&writer, incarnation);
    send_packet(self, &writer, -1);
    mp_writer_deinit(&writer);
}

static void send_term(struct parent_link *self, enum link_kind kind, uint64_t term)
{
    struct mp_writer writer;
    begin(&writer, kind, 1);
    mp_put_u64(&writer, term);
    send_packet(self, &writer, -1);
    mp_writer_deinit(&writer);
}

void parent_link_elected(struct parent_link *self, uint64_t term)
{
    send_term(self, LINK_ELECTED, term);
}

void parent_link_no_wait(struct parent_link *self, uint64_t term)
{
    send_term(self, LINK_NO_WAIT, term);
}

void parent_link_peers(struct parent_link *self, const struct parent_peer *peers, size_t count,
                       size_t needed)
{
    struct mp_writer writer;
    begin(&writer, LINK_PEERS, 2);
    mp_put_u64(&writer, needed);
    mp_put_array(&writer, count);
    for (size_t i = 0; i < count; i++) {
        mp_put_array(&writer, 3);
        mp_put_text(&writer, peers[i].address);
        mp_put_text(&writer, peers[i].public_key);
        mp_put_u64(&writer, peers[i].id);
    }
    send_packet(self, &writer, -1);
    mp_writer_deinit(&writer);
}

void parent_link_beat(struct parent_link *self)
{
    struct mp_writer writer;
    begin(&writer, LINK_BEAT, 0);
    send_packet(self, &writer, -1);
    mp_writer_deinit(&writer);
}

void parent_link_manager(struct parent_link *self, pid_t pid)
{
    int pid_fd = (int)syscall(SYS_pidfd_open, pid, 0);
    if (pid_fd < 0) {
        return; /* it is gone already */
    }
    struct mp_writer writer;
    begin(&writer, LINK_MANAGER, 1);
    mp_put_i64(&writer, pid);
    send_packet(self, &writer, pid_fd);
    mp_writer_deinit(&writer);
    (void)close(pid_fd);
}

/* ---- the parent's side ---- */

static void read_peers(const msgpack_object *root, struct parent_news *news)
{
    uint64_t needed = 0;
    const msgpack_object *list = mp_at(root, 3);
    (void)mp_u64(mp_at(root, 2), &needed);
    news->needed = (size_t)needed;
    news->peer_count = 0;
    for (size_t i = 0; i < mp_count(list) && news->peer_count < NODES_MAX; i++) {
        const msgpack_object *row = mp_array(mp_at(list, i), 3);
        struct parent_peer *peer = &news->peers[news->peer_count];
        if (mp_text(mp_at(row, 0), peer->address, sizeof peer->address) &&
            mp_text(mp_at(row, 1), peer->public_key, sizeof peer->public_key) &&
            mp_u64(mp_at(row, 2), &peer->id)) {
            news->peer_count++;
        }
    }
}

/* Pidfds of managers that have ended meanwhile make room for new ones. */
static void drop_ended_managers(struct parent_news *news)
{
    size_t kept = 0;
    for (size_t i = 0; i < news->manager_count; i++) {
        struct pollfd poll_fd = {.fd = news->manager_fds[i], .events = POLLIN};
        if (poll(&poll_fd, 1, 0) > 0) {
            (void)close(news->manager_fds[i]);
        } else {
            news->manager_fds[kept++] = news->manager_fds[i];
        }
    }
    news->manager_count = kept;
}

static void take_manager(struct parent_news *news, int *pid_fd)
{
    drop_ended_managers(news);
    if (*pid_fd >= 0 && news->manager_count < MANAGER_FDS_MAX) {
        news->manager_fds[news->manager_count++] = *pid_fd;
        *pid_fd = -1;
    }
}

static void take_packet(struct parent_news *news, const uint8_t *bytes, size_t length, int *pid_fd)
{
    static const struct mp_limits limits = {
        .bytes = LINK_BYTES_MAX, .elements = 8 + NODES_MAX * 4, .depth = 4};
    struct mp_doc doc;
    uint64_t kind = 0;
    uint64_t term = 0;
    if (mp_parse(bytes, length, &limits, &doc, NULL) != 0) {
        return;
    }
    (void)mp_u64(mp_at(&doc.root, 1), &kind);
    (void)mp_u64(mp_at(&doc.root, 2), &term);
    switch (kind) {
    case LINK_IDENTITY:
        news->id = term;
        (void)mp_u64(mp_at(&doc.root, 3), &news->incarnation);
        break;
    case LINK_ELECTED:
        news->term = term;
        news->owes_wait = true;
        break;
    case LINK_NO_WAIT:
        news->owes_wait = news->owes_wait && news->term != term;
        break;
    case LINK_PEERS:
        read_peers(&doc.root, news);
        break;
    case LINK_BEAT:
        news->beats++;
        break;
    case LINK_MANAGER:
        take_manager(news, pid_fd);
        break;
    default:
        break;
    }
    mp_doc_deinit(&doc);
}

bool parent_news_read(int fd, struct parent_news *news)
{
    static uint8_t bytes[LINK_BYTES_MAX];
    for (;;) {
        union {
            struct cmsghdr header;
            char bytes[CMSG_SPACE(sizeof(int))];
        } control;
        struct iovec part = {.iov_base = bytes, .iov_len = sizeof bytes};
        struct msghdr message = {.msg_iov = &part,
                                 .msg_iovlen = 1,
                                 .msg_control = control.bytes,
                                 .msg_controllen = sizeof control.bytes};
        ssize_t length = recvmsg(fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
        if (length == 0) {
            return false;
        }
        if (length < 0) {
            return errno == EAGAIN || errno == EINTR;
        }
        int pid_fd = -1;
        struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        if (header != NULL && header->cmsg_type == SCM_RIGHTS) {
            memcpy(&pid_fd, CMSG_DATA(header), sizeof pid_fd);
        }
        take_packet(news, bytes, (size_t)length, &pid_fd);
        if (pid_fd >= 0) {
            (void)close(pid_fd);
        }
    }
}

void parent_news_forget(struct parent_news *news)
{
    for (size_t i = 0; i < news->manager_count; i++) {
        (void)close(news->manager_fds[i]);
    }
    *news = (struct parent_news){0};
}
