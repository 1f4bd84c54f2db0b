/* What a node really tells its parent, read off the other end of the socket pair. */
#include "node/daemon/parent_link.h"
#include "tests/fuzz/seed.h"

#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static size_t take(int fd, uint8_t *ret, size_t size, bool with_fd)
{
    ssize_t got = recv(fd, ret + 2, size - 2, 0);
    if (got < 0) {
        exit(1);
    }
    ret[0] = (uint8_t)(got >> 8 | (with_fd ? 0x80 : 0));
    ret[1] = (uint8_t)got;
    return (size_t)got + 2;
}

int main(int argc, char **argv)
{
    static const struct parent_peer peers[] = {{"tcp://n2:1", "key two", 2},
                                               {"tcp://n3:1", "key three", 3}};
    static uint8_t all[8192];
    uint8_t packet[1024];
    int pair[2];
    if (argc != 2 || socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair) != 0) {
        return 2;
    }
    struct parent_link *link = parent_link_create(pair[0]);
    parent_link_identity(link, 7, 3);
    parent_link_elected(link, 5);
    parent_link_no_wait(link, 5);
    parent_link_peers(link, peers, 2, 2);
    parent_link_manager(link, getpid());
    size_t length = 0;
    for (int i = 0; i < 5; i++) {
        char name[16];
        (void)snprintf(name, sizeof name, "packet-%d", i);
        size_t taken = take(pair[1], packet, sizeof packet, i == 4);
        seed_write(argv[1], name, -1, packet, taken);
        memcpy(all + length, packet, taken);
        length += taken;
    }
    seed_write(argv[1], "all", -1, all, length);
    parent_link_destroy(&link);
    (void)close(pair[1]);
    return 0;
}
