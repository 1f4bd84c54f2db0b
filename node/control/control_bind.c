/* The endpoint's sockets: bound with care for whoever is there already. */
#include "node/control/control_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define HIGH_WATER 128    /* messages per client and direction; further items wait in ours */
#define LINGER_MS 200     /* for last answers when the endpoint ends */
#define HEARTBEAT_MS 5000 /* finds clients whose host is gone */
#define HEARTBEAT_TIMEOUT_MS 15000
#define HANDSHAKE_MS 5000
#define BACKLOG 64
/* Part of libzmq's draft interface in 4.3, and so not in its header; understood by every build. */
#ifndef ZMQ_ZAP_ENFORCE_DOMAIN
#define ZMQ_ZAP_ENFORCE_DOMAIN 93
#endif

static zsock_t *make_router(struct err *err)
{
    zsock_t *socket = zsock_new(ZMQ_ROUTER);
    if (socket == NULL) {
        (void)err_set_errno(err, ERR_IO, "control socket");
        return NULL;
    }
    zsock_set_router_mandatory(socket, 1);
    zsock_set_sndhwm(socket, HIGH_WATER);
    zsock_set_rcvhwm(socket, HIGH_WATER);
    zsock_set_linger(socket, LINGER_MS);
    zsock_set_maxmsgsize(socket, CONTROL_MESSAGE_BYTES_MAX);
    zsock_set_sndtimeo(socket, 0);
    zsock_set_backlog(socket, BACKLOG);
    zsock_set_handshake_ivl(socket, HANDSHAKE_MS);
    return socket;
}

/* Whether somebody answers on a Unix socket. */
static bool is_live(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    (void)snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        return true; /* not known: better refuse than steal */
    }
    int rc = connect(fd, (const struct sockaddr *)&address, sizeof address);
    bool live = rc == 0 || (errno != ECONNREFUSED && errno != ENOENT);
    (void)close(fd);
    return live;
}

static int clear_path(const char *path, struct err *err)
{
    struct stat status;
    if (strlen(path) > CONTROL_IPC_PATH_MAX) {
        return err_set(err, ERR_INVALID,
                       "the control socket's path is %zu bytes long, at most %d are possible: %s",
                       strlen(path), CONTROL_IPC_PATH_MAX, path);
    }
    if (lstat(path, &status) != 0) {
        return errno == ENOENT ? 0 : err_set_errno(err, ERR_IO, "%s", path);
    }
    if (!S_ISSOCK(status.st_mode)) {
        return err_set(err, ERR_EXISTS, "%s exists and is no socket", path);
    }
    if (is_live(path)) {
        return err_set(err, ERR_BUSY, "another process answers on %s", path);
    }
    if (unlink(path) != 0 && errno != ENOENT) {
        return err_set_errno(err, ERR_IO, "remove the socket %s of a dead process", path);
    }
    return 0;
}

int control_bind_ipc(struct control *self, const char *path, struct err *err)
{
    struct stat status;
    int rc = clear_path(path, err);
    if (rc != 0) {
        return rc;
    }
    self->ipc = make_router(err);
    if (self->ipc == NULL) {
        return ERR_IO;
    }
    /* The socket's file must not be open to all even for a moment. */
    mode_t before = umask(0117);
    int port = zsock_bind(self->ipc, "ipc://%s", path);
    int saved = errno;
    (void)umask(before);
    if (port < 0) {
        errno = saved;
        return err_set_errno(err, errno == EADDRINUSE ? ERR_BUSY : ERR_IO, "bind ipc://%s", path);
    }
    (void)snprintf(self->ipc_path, sizeof self->ipc_path, "%s", path);
    if (chmod(path, 0660) != 0 || lstat(path, &status) != 0) {
        return err_set_errno(err, ERR_IO, "%s", path);
    }
    self->ipc_device = status.st_dev;
    self->ipc_inode = status.st_ino;
    return 0;
}

void control_unbind_ipc(struct control *self)
{
    struct stat status;
    if (self->ipc_path[0] == '\0') {
        return;
    }
    /* Only our own: libzmq leaves the file, and another process may have taken the path since. */
    if (lstat(self->ipc_path, &status) == 0 && status.st_dev == self->ipc_device &&
        status.st_ino == self->ipc_inode) {
        (void)unlink(self->ipc_path);
    }
    self->ipc_path[0] = '\0';
}

int control_bind_tcp(struct control *self, const struct control_config *config, struct err *err)
{
    if (config->curve_public == NULL || config->curve_secret == NULL ||
        config->callbacks.role_of == NULL) {
        return err_set(err, ERR_INVALID, "a control endpoint on TCP needs CURVE keys");
    }
    self->tcp = make_router(err);
    if (self->tcp == NULL) {
        return ERR_IO;
    }
    zsock_set_ipv6(self->tcp, 1);
    zsock_set_curve_server(self->tcp, 1);
    zsock_set_curve_publickey(self->tcp, config->curve_public);
    zsock_set_curve_secretkey(self->tcp, config->curve_secret);
    zsock_set_zap_domain(self->tcp, config->zap_domain != NULL ? config->zap_domain : "control");
    /* Without it libzmq lets everybody in while no handler answers. */
    int enforce = 1;
    if (zmq_setsockopt(zsock_resolve(self->tcp), ZMQ_ZAP_ENFORCE_DOMAIN, &enforce,
                       sizeof enforce) != 0) {
        return err_set_errno(err, ERR_IO, "ZAP on the control socket");
    }
    zsock_set_heartbeat_ivl(self->tcp, HEARTBEAT_MS);
    zsock_set_heartbeat_timeout(self->tcp, HEARTBEAT_TIMEOUT_MS);
    int rc = handshakes_create(self->loop, zsys_init(), zsock_resolve(self->tcp), HANDSHAKE_MS,
                               &self->tcp_handshakes, err);
    if (rc != 0) {
        return rc;
    }
    if (zsock_bind(self->tcp, "%s", config->tcp_endpoint) < 0) {
        return err_set_errno(err, errno == EADDRINUSE ? ERR_BUSY : ERR_IO, "bind %s",
                             config->tcp_endpoint);
    }
    const char *bound = zsock_endpoint(self->tcp);
    (void)snprintf(self->tcp_endpoint, sizeof self->tcp_endpoint, "%s",
                   bound != NULL ? bound : config->tcp_endpoint);
    return 0;
}
