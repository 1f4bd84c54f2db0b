#include "node/guard/channel.h"

#include "node/base/clock.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#define RETRY_MS 50

void channel_init(struct channel *self, const struct guard_options *options)
{
    *self = (struct channel){.options = options, .fd = -1, .retry_at_ms = INT64_MIN};
}

void channel_close(struct channel *self)
{
    if (self->fd >= 0) {
        (void)close(self->fd);
        self->fd = -1;
    }
}

bool channel_connect(struct channel *self, const struct guard_message *hello)
{
    int64_t now_ms = clock_boot_ms();
    if (self->fd >= 0 || now_ms < self->retry_at_ms) {
        return false;
    }
    self->retry_at_ms = now_ms + RETRY_MS;
    self->fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (self->fd < 0) {
        return false;
    }
    const struct sockaddr *address = (const struct sockaddr *)(const void *)&self->options->socket;
    if (connect(self->fd, address, sizeof(self->options->socket)) != 0 ||
        !channel_send(self, hello)) {
        channel_close(self);
        return false;
    }
    return true;
}

bool channel_send(struct channel *self, const struct guard_message *message)
{
    uint8_t packet[GUARD_PACKET_BYTES];
    guard_encode(message, packet);
    return self->fd >= 0 && send(self->fd, packet, sizeof(packet), MSG_NOSIGNAL | MSG_DONTWAIT) ==
                                (ssize_t)sizeof(packet);
}

enum channel_result channel_receive(struct channel *self, struct guard_message *ret)
{
    uint8_t packet[GUARD_PACKET_BYTES_MAX];
    bool unknown = false;
    if (self->fd < 0) {
        return CHANNEL_NOTHING;
    }
    ssize_t got = recv(self->fd, packet, sizeof(packet), MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
        return CHANNEL_NOTHING;
    }
    if (got > 0 && guard_decode(packet, (size_t)got, ret, &unknown)) {
        return CHANNEL_MESSAGE;
    }
    if (got > 0 && unknown) {
        return CHANNEL_NOTHING;
    }
    channel_close(self);
    return CHANNEL_BROKEN;
}
