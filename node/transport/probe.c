#include "node/transport/probe.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

const char *probe_outcome_name(enum probe_outcome outcome)
{
    switch (outcome) {
    case PROBE_REFUSED:
        return "refused";
    case PROBE_ACCEPTED:
        return "accepted";
    case PROBE_OTHER:
        return "other";
    }
    return "undecided";
}

union endpoint {
    struct sockaddr generic;
    struct sockaddr_in four;
    struct sockaddr_in6 six;
};

/* "tcp://1.2.3.4:7400" or "tcp://[::1]:7400"; the length of the address, 0 when it is neither. */
static socklen_t parse(const char *address, union endpoint *ret)
{
    static const char scheme[] = "tcp://";
    if (strncmp(address, scheme, sizeof scheme - 1) != 0) {
        return 0;
    }
    const char *host = address + sizeof scheme - 1;
    const char *colon = strrchr(host, ':');
    char text[INET6_ADDRSTRLEN + 2];
    if (colon == NULL || colon == host || (size_t)(colon - host) >= sizeof text) {
        return 0;
    }
    char *end;
    long port = strtol(colon + 1, &end, 10);
    if (end == colon + 1 || *end != '\0' || port < 1 || port > UINT16_MAX) {
        return 0;
    }
    size_t length = (size_t)(colon - host);
    memcpy(text, host, length);
    text[length] = '\0';
    *ret = (union endpoint){0};
    if (text[0] == '[' && text[length - 1] == ']') {
        text[length - 1] = '\0';
        ret->six.sin6_family = AF_INET6;
        ret->six.sin6_port = htons((uint16_t)port);
        return inet_pton(AF_INET6, text + 1, &ret->six.sin6_addr) == 1 ? sizeof ret->six : 0;
    }
    ret->four.sin_family = AF_INET;
    ret->four.sin_port = htons((uint16_t)port);
    return inet_pton(AF_INET, text, &ret->four.sin_addr) == 1 ? sizeof ret->four : 0;
}

static void close_descriptor(struct probe *self)
{
    if (self->fd >= 0) {
        (void)close(self->fd);
        self->fd = -1;
    }
}

static void decide(struct probe *self, int os_errno)
{
    if (os_errno == 0) {
        self->outcome = PROBE_ACCEPTED;
        /* A reset instead of an orderly end: the other side keeps no trace of us. */
        struct linger reset = {.l_onoff = 1, .l_linger = 0};
        (void)setsockopt(self->fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    } else {
        self->outcome = os_errno == ECONNREFUSED ? PROBE_REFUSED : PROBE_OTHER;
        self->os_errno = os_errno;
    }
    close_descriptor(self);
}

int probe_start(struct probe *self, const char *address, int64_t now_ms, int64_t timeout_ms,
                struct err *err)
{
    *self = (struct probe){.fd = -1, .deadline_ms = now_ms + timeout_ms};
    union endpoint endpoint;
    socklen_t length = parse(address, &endpoint);
    if (length == 0) {
        return err_set(err, ERR_INVALID, "probe: \"%.100s\" is not tcp://NUMERIC-ADDRESS:PORT",
                       address);
    }
    self->fd = socket(endpoint.generic.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (self->fd < 0) {
        decide(self, errno);
        return 0;
    }
    if (connect(self->fd, &endpoint.generic, length) == 0) {
        decide(self, 0);
    } else if (errno != EINPROGRESS) {
        decide(self, errno);
    }
    return 0;
}

bool probe_finish(struct probe *self, int64_t now_ms)
{
    if (self->outcome != 0 || self->fd < 0) {
        return true;
    }
    struct pollfd item = {.fd = self->fd, .events = POLLOUT};
    if (poll(&item, 1, 0) > 0) {
        int os_errno = 0;
        socklen_t size = sizeof os_errno;
        if (getsockopt(self->fd, SOL_SOCKET, SO_ERROR, &os_errno, &size) != 0) {
            os_errno = errno;
        }
        decide(self, os_errno);
    } else if (now_ms >= self->deadline_ms) {
        decide(self, ETIMEDOUT);
    }
    return self->outcome != 0;
}

void probe_cancel(struct probe *self)
{
    close_descriptor(self);
}
