#include "node/guard/post.h"

#include "node/guard/wire.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define BACKLOG 128
#define EVENTS 32
#define ROUNDS_MAX 64 /* of one post_process, so that a flood cannot hold the loop */
#define LISTENER UINT64_MAX

struct connection {
    int fd; /* -1: free row */
    uint32_t generation;
    uint64_t arrival; /* order, to give up the oldest that says nothing */
    pid_t peer;       /* by the kernel's word, 0: unknown */
    bool said_hello;
    bool revoke_waits; /* its socket was full */
    struct post_guard guard;
};

struct post {
    struct post_config config;
    int listen_fd;
    int epoll_fd;
    uint64_t arrivals;
    struct post_counters counters;
    struct connection connections[POST_GUARDS_MAX];
};

/* --- the listening socket ------------------------------------------------------------------ */

/* 0 when nobody answers at the address any more and the file is out of the way. */
static int clear_path(const struct sockaddr_un *address, struct err *err)
{
    int probe = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (probe < 0) {
        return err_set_errno(err, ERR_IO, "socket");
    }
    int connected =
        connect(probe, (const struct sockaddr *)(const void *)address, sizeof(*address));
    int seen = errno;
    (void)close(probe);
    if (connected == 0 || seen == EAGAIN) {
        return err_set(err, ERR_BUSY, "%s: another program listens there", address->sun_path);
    }
    if (seen == ENOENT) {
        return 0;
    }
    struct stat status;
    if (lstat(address->sun_path, &status) == 0 && !S_ISSOCK(status.st_mode)) {
        return err_set(err, ERR_BUSY, "%s: is there and no socket", address->sun_path);
    }
    if (unlink(address->sun_path) != 0 && errno != ENOENT) {
        return err_set_errno(err, ERR_IO, "%s", address->sun_path);
    }
    return 0;
}

int post_listen(const char *path, mode_t mode, int *ret_fd, struct err *err)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof(address.sun_path)) {
        return err_set(err, ERR_INVALID, "%s: a socket's path must stay under 108 bytes", path);
    }
    (void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
    int code = clear_path(&address, err);
    if (code != 0) {
        return code;
    }
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    /* The mode before bind closes the moment in which others could connect. */
    bool good = fd >= 0 && fchmod(fd, mode) == 0 &&
                bind(fd, (const struct sockaddr *)(const void *)&address, sizeof(address)) == 0 &&
                chmod(path, mode) == 0 && listen(fd, BACKLOG) == 0;
    if (!good) {
        code = err_set_errno(err, ERR_IO, "listen at %s", path);
        if (fd >= 0) {
            (void)close(fd);
        }
        return code;
    }
    *ret_fd = fd;
    return 0;
}

/* --- making and ending --------------------------------------------------------------------- */

static int watch(struct post *self, int operation, int fd, uint64_t token, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.u64 = token};
    return epoll_ctl(self->epoll_fd, operation, fd, &event);
}

int post_create(const struct post_config *config, struct post **ret, struct err *err)
{
    const struct post_callbacks *callbacks = &config->callbacks;
    if (callbacks->hello == NULL || callbacks->started == NULL || callbacks->released == NULL ||
        callbacks->gone == NULL || config->uid_count > POST_UIDS_MAX) {
        return err_set(err, ERR_INVALID, "post: a callback is missing, or too many users");
    }
    struct post *self = calloc(1, sizeof(*self));
    if (self == NULL) {
        return err_set(err, ERR_NOMEM, "post: out of memory");
    }
    self->config = *config;
    for (size_t i = 0; i < POST_GUARDS_MAX; i++) {
        self->connections[i].fd = -1;
    }
    self->listen_fd = fcntl(config->listen_fd, F_DUPFD_CLOEXEC, 3);
    self->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (self->listen_fd < 0 || self->epoll_fd < 0 ||
        watch(self, EPOLL_CTL_ADD, self->listen_fd, LISTENER, EPOLLIN) != 0) {
        int code = err_set_errno(err, ERR_IO, "post");
        post_destroy(&self);
        return code;
    }
    *ret = self;
    return 0;
}

void post_destroy(struct post **self_p)
{
    if (self_p == NULL || *self_p == NULL) {
        return;
    }
    struct post *self = *self_p;
    for (size_t i = 0; i < POST_GUARDS_MAX; i++) {
        if (self->connections[i].fd >= 0) {
            (void)close(self->connections[i].fd);
        }
    }
    if (self->listen_fd >= 0) {
        (void)close(self->listen_fd);
    }
    if (self->epoll_fd >= 0) {
        (void)close(self->epoll_fd);
    }
    free(self);
    *self_p = NULL;
}

int post_fd(const struct post *self)
{
    return self->epoll_fd;
}

/* --- connections --------------------------------------------------------------------------- */

static uint64_t token_of(const struct post *self, const struct connection *connection)
{
    return (uint64_t)connection->generation << 32 | (uint64_t)(connection - self->connections);
}

static void drop(struct post *self, struct connection *connection)
{
    bool known = connection->said_hello;
    struct post_guard guard = connection->guard;
    (void)close(connection->fd);
    connection->fd = -1;
    connection->said_hello = false;
    if (known) {
        self->config.callbacks.gone(self->config.context, &guard);
    }
}

static struct connection *free_row(struct post *self)
{
    struct connection *silent = NULL;
    for (size_t i = 0; i < POST_GUARDS_MAX; i++) {
        struct connection *row = &self->connections[i];
        if (row->fd < 0) {
            return row;
        }
        if (!row->said_hello && (silent == NULL || row->arrival < silent->arrival)) {
            silent = row;
        }
    }
    if (silent != NULL) {
        self->counters.refused++;
        drop(self, silent);
    }
    return silent;
}

static bool is_allowed(const struct post *self, uid_t uid)
{
    bool allowed = uid == 0 || uid == geteuid();
    for (size_t i = 0; i < self->config.uid_count; i++) {
        allowed = allowed || uid == self->config.uids[i];
    }
    return allowed;
}

static void admit(struct post *self, int fd)
{
    struct ucred peer = {.pid = 0};
    socklen_t length = sizeof(peer);
    struct connection *row = NULL;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) == 0 &&
        is_allowed(self, peer.uid)) {
        row = free_row(self);
    }
    if (row == NULL) {
        self->counters.refused++;
        (void)close(fd);
        return;
    }
    uint32_t generation = row->generation + 1;
    *row = (struct connection){
        .fd = fd, .generation = generation, .peer = peer.pid, .arrival = ++self->arrivals};
    self->counters.accepted++;
    if (watch(self, EPOLL_CTL_ADD, fd, token_of(self, row), EPOLLIN) != 0) {
        drop(self, row);
    }
}

static void accept_all(struct post *self)
{
    for (int i = 0; i < EVENTS; i++) {
        int fd = accept4(self->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd < 0) {
            return;
        }
        admit(self, fd);
    }
}

/* Row of the duty's guard, or POST_GUARDS_MAX. */
static size_t find_row(const struct post *self, const char *duty)
{
    size_t i = 0;
    while (i < POST_GUARDS_MAX &&
           (self->connections[i].fd < 0 || !self->connections[i].said_hello ||
            strcmp(self->connections[i].guard.duty, duty) != 0)) {
        i++;
    }
    return i;
}

static struct connection *find(struct post *self, const char *duty)
{
    size_t row = find_row(self, duty);
    return row < POST_GUARDS_MAX ? &self->connections[row] : NULL;
}

static int send_to(const struct connection *connection, const struct guard_message *message)
{
    uint8_t packet[GUARD_PACKET_BYTES];
    guard_encode(message, packet);
    ssize_t sent = send(connection->fd, packet, sizeof(packet), MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent == (ssize_t)sizeof(packet)) {
        return 0;
    }
    return sent < 0 && (errno == EPIPE || errno == ECONNRESET) ? ERR_CLOSED : ERR_FULL;
}

static void send_revocation(struct post *self, struct connection *connection)
{
    struct guard_message message = {.kind = GUARD_REVOKE,
                                    .assignment = connection->guard.assignment};
    connection->guard.revoked = true;
    connection->revoke_waits = send_to(connection, &message) == ERR_FULL;
    (void)watch(self, EPOLL_CTL_MOD, connection->fd, token_of(self, connection),
                connection->revoke_waits ? EPOLLIN | EPOLLOUT : EPOLLIN);
}

/* --- what guards say ----------------------------------------------------------------------- */

static bool on_hello(struct post *self, struct connection *connection,
                     const struct guard_message *message)
{
    bool forged = connection->peer != 0 && message->pid != (uint32_t)connection->peer;
    if (message->duty[0] == '\0' || forged || connection->said_hello) {
        return false;
    }
    struct connection *older = find(self, message->duty);
    if (older != NULL) {
        drop(self, older); /* its lock is held by the new one: it is gone */
    }
    connection->said_hello = true;
    connection->guard = (struct post_guard){
        .pid = (pid_t)message->pid,
        .child = (pid_t)message->child,
        .assignment = message->assignment,
        .term = message->term,
        .deadline_ms = message->deadline_ms > 0 ? message->deadline_ms : INT64_MIN,
    };
    memcpy(connection->guard.duty, message->duty, sizeof(connection->guard.duty));
    if (self->config.revoke_on_hello) {
        send_revocation(self, connection);
    }
    struct post_guard guard = connection->guard;
    self->config.callbacks.hello(self->config.context, &guard);
    return true;
}

/* False: not understood, the connection ends. */
static bool on_message(struct post *self, struct connection *connection,
                       const struct guard_message *message)
{
    if (message->kind == GUARD_HELLO) {
        return on_hello(self, connection, message);
    }
    if (!connection->said_hello) {
        return false;
    }
    if (message->kind == GUARD_STARTED) {
        connection->guard.child = (pid_t)message->child;
        struct post_guard guard = connection->guard;
        self->config.callbacks.started(self->config.context, &guard);
        return true;
    }
    bool known_reason = message->reason >= POST_ENDED && message->reason <= POST_NEVER_RAN;
    if (message->kind == GUARD_RELEASED && known_reason) {
        connection->guard.child = 0;
        struct post_guard guard = connection->guard;
        self->config.callbacks.released(self->config.context, &guard,
                                        (enum post_reason)message->reason, message->status);
        return true;
    }
    return false;
}

static void receive(struct post *self, struct connection *connection)
{
    uint8_t packet[GUARD_PACKET_BYTES_MAX + 1];
    struct guard_message message;
    bool unknown = false;
    ssize_t got = recv(connection->fd, packet, sizeof(packet), MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
        return;
    }
    if (got > 0 && guard_decode(packet, (size_t)got, &message, &unknown) &&
        on_message(self, connection, &message)) {
        return;
    }
    if (got > 0 && unknown) {
        return;
    }
    self->counters.malformed += got > 0;
    drop(self, connection);
}

static void on_event(struct post *self, const struct epoll_event *event)
{
    if (event->data.u64 == LISTENER) {
        accept_all(self);
        return;
    }
    struct connection *connection = &self->connections[event->data.u64 & UINT32_MAX];
    if (connection->fd < 0 || token_of(self, connection) != event->data.u64) {
        return; /* ended by an earlier event of this round */
    }
    if ((event->events & EPOLLOUT) != 0 && connection->revoke_waits) {
        send_revocation(self, connection);
    }
    if ((event->events & ~(uint32_t)EPOLLOUT) != 0) {
        receive(self, connection);
    }
}

void post_process(struct post *self)
{
    struct epoll_event events[EVENTS];
    for (int round = 0; round < ROUNDS_MAX; round++) {
        int count = epoll_wait(self->epoll_fd, events, EVENTS, 0);
        for (int i = 0; i < count; i++) {
            on_event(self, &events[i]);
        }
        if (count <= 0) {
            return;
        }
    }
}

/* --- what the node says -------------------------------------------------------------------- */

int post_grant(struct post *self, const char *duty, uint64_t assignment, uint64_t term,
               int64_t deadline_ms, struct err *err)
{
    if (!guard_valid_duty(duty) || assignment == 0 || deadline_ms < 0) {
        return err_set(err, ERR_INVALID, "grant: duty, assignment or deadline");
    }
    struct connection *connection = find(self, duty);
    if (connection == NULL) {
        return err_set(err, ERR_NOTFOUND, "no guard of %s is here", duty);
    }
    if (connection->guard.revoked) {
        return err_set(err, ERR_UNSAFE, "%s was revoked", duty);
    }
    struct guard_message message = {
        .kind = GUARD_GRANT, .assignment = assignment, .term = term, .deadline_ms = deadline_ms};
    int code = send_to(connection, &message);
    if (code != 0) {
        return err_set(err, code, "grant for %s", duty);
    }
    connection->guard.assignment = assignment;
    connection->guard.term = term;
    if (deadline_ms > connection->guard.deadline_ms) {
        connection->guard.deadline_ms = deadline_ms;
    }
    return 0;
}

int post_revoke(struct post *self, const char *duty, struct err *err)
{
    struct connection *connection = find(self, duty);
    if (connection == NULL) {
        return err_set(err, ERR_NOTFOUND, "no guard of %s is here", duty);
    }
    send_revocation(self, connection);
    return 0;
}

void post_revoke_all(struct post *self)
{
    for (size_t i = 0; i < POST_GUARDS_MAX; i++) {
        if (self->connections[i].fd >= 0 && self->connections[i].said_hello) {
            send_revocation(self, &self->connections[i]);
        }
    }
}

bool post_find(const struct post *self, const char *duty, struct post_guard *ret)
{
    size_t row = find_row(self, duty);
    if (row < POST_GUARDS_MAX && ret != NULL) {
        *ret = self->connections[row].guard;
    }
    return row < POST_GUARDS_MAX;
}

size_t post_list(const struct post *self, struct post_guard *ret, size_t max)
{
    size_t count = 0;
    for (size_t i = 0; i < POST_GUARDS_MAX; i++) {
        const struct connection *row = &self->connections[i];
        if (row->fd >= 0 && row->said_hello) {
            if (count < max) {
                ret[count] = row->guard;
            }
            count++;
        }
    }
    return count;
}

void post_counters(const struct post *self, struct post_counters *ret)
{
    *ret = self->counters;
}
