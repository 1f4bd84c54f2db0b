/* Any packets to the node's post: it must neither fall over nor believe what it may not. The first
 * byte of each piece is its length; pieces arrive on one connection. */
#include "node/base/invariant.h"
#include "node/guard/post.h"
#include "node/guard/wire.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

static void on_guard(void *context, const struct post_guard *guard)
{
    (void)context;
    invariant(guard_valid_duty(guard->duty));
    invariant(guard->pid == getpid());
}

static void on_released(void *context, const struct post_guard *guard, enum post_reason reason,
                        int status)
{
    (void)status;
    on_guard(context, guard);
    invariant(reason >= POST_ENDED && reason <= POST_NEVER_RAN);
}

static void check_round_trip(const uint8_t *bytes, size_t length)
{
    struct guard_message first;
    struct guard_message second;
    uint8_t packet[GUARD_PACKET_BYTES];
    bool unknown = false;
    if (guard_decode(bytes, length, &first, &unknown)) {
        guard_encode(&first, packet);
        invariant(guard_decode(packet, sizeof(packet), &second, &unknown));
        invariant(first.kind == second.kind && first.deadline_ms == second.deadline_ms);
        invariant(strcmp(first.duty, second.duty) == 0);
    }
}

static struct sockaddr_un address;
static int listen_fd = -1;

static void clean_up(void)
{
    (void)unlink(address.sun_path);
}

static void listen_once(void)
{
    if (listen_fd >= 0) {
        return;
    }
    address.sun_family = AF_UNIX;
    (void)snprintf(address.sun_path, sizeof(address.sun_path), "/tmp/fuzz-guard-%ld.sock",
                   (long)getpid());
    invariant(post_listen(address.sun_path, 0600, &listen_fd, NULL) == 0);
    (void)atexit(clean_up);
}

/* A valid packet of ours, with the piece's bytes over its beginning: reaches beyond the decoder. */
static void send_piece(int fd, const uint8_t *piece, size_t length)
{
    struct guard_message message = {.kind = GUARD_HELLO, .pid = (uint32_t)getpid(), .duty = "a/b"};
    uint8_t packet[GUARD_PACKET_BYTES];
    guard_encode(&message, packet);
    if (length > 0 && piece[0] % 2 == 0) {
        memcpy(packet + 2, piece + 1, length - 1 < sizeof(packet) - 2 ? length - 1 : 0);
        (void)send(fd, packet, sizeof(packet), MSG_DONTWAIT | MSG_NOSIGNAL);
    } else if (length > 0) {
        (void)send(fd, piece, length, MSG_DONTWAIT | MSG_NOSIGNAL);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    check_round_trip(bytes, length);
    listen_once();
    struct post *post = NULL;
    const struct post_config config = {
        .listen_fd = listen_fd,
        .callbacks = {on_guard, on_guard, on_released, on_guard},
    };
    invariant(post_create(&config, &post, NULL) == 0);
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    invariant(connect(fd, (struct sockaddr *)(void *)&address, sizeof(address)) == 0);
    while (length > 0) {
        size_t piece = bytes[0] < length - 1 ? bytes[0] : length - 1;
        send_piece(fd, bytes + 1, piece);
        post_process(post);
        (void)post_grant(post, "a/b", 1, 1, 1, NULL);
        bytes += piece + 1;
        length -= piece + 1;
    }
    (void)close(fd);
    post_process(post);
    invariant(post_list(post, NULL, 0) == 0);
    post_destroy(&post);
    return 0;
}
