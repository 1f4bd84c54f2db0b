/* Packets on the link from the node to its parent. Each piece of the input is one packet: two bytes
 * of length, whose highest bit says that a pidfd comes along, then the packet. */
#include "node/base/invariant.h"
#include "node/daemon/parent_link.h"

#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void send_packet(int fd, const uint8_t *bytes, size_t length, int pass_fd)
{
    union {
        struct iovec part;
        struct {
            const void *base;
            size_t length;
        } constant;
    } part = {.constant = {bytes, length}};
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control = {0};
    struct msghdr message = {.msg_iov = &part.part, .msg_iovlen = 1};
    if (pass_fd >= 0) {
        message.msg_control = control.bytes;
        message.msg_controllen = sizeof control.bytes;
        struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(header), &pass_fd, sizeof pass_fd);
    }
    (void)sendmsg(fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void check(const struct parent_news *news)
{
    invariant(news->peer_count <= NODES_MAX);
    invariant(news->manager_count <= sizeof news->manager_fds / sizeof news->manager_fds[0]);
    for (size_t i = 0; i < news->peer_count; i++) {
        invariant(memchr(news->peers[i].address, '\0', ADDRESS_SIZE) != NULL);
        invariant(memchr(news->peers[i].public_key, '\0', PUBLIC_KEY_SIZE) != NULL);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct parent_news news;
    int pair[2];
    int rc = socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair);
    invariant(rc == 0);
    int pid_fd = (int)syscall(SYS_pidfd_open, getpid(), 0);
    invariant(pid_fd >= 0);
    while (size > 2) {
        size_t length = (size_t)(data[0] & 0x7f) << 8 | data[1];
        length = length < size - 2 ? length : size - 2;
        if (length > 0) {
            send_packet(pair[0], data + 2, length, (data[0] & 0x80) != 0 ? pid_fd : -1);
            bool open = parent_news_read(pair[1], &news);
            invariant(open);
            check(&news);
        }
        data += length + 2;
        size -= length + 2;
    }
    (void)close(pair[0]);
    bool open = parent_news_read(pair[1], &news);
    invariant(!open);
    parent_news_forget(&news);
    (void)close(pair[1]);
    (void)close(pid_fd);
    return 0;
}
