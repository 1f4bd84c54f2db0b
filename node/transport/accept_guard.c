#include "node/transport/accept_guard.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <unistd.h>

#define NONE (-1)

typedef int accept4_fn(int, struct sockaddr *, socklen_t *, int);

static _Atomic int reserve = NONE;
static _Atomic unsigned refused;

static int open_reserve(void)
{
    return open("/dev/null", O_RDONLY | O_CLOEXEC);
}

/* Two threads may find the reserve gone at once: the later one gives its own back. */
static void keep_reserve(int fd)
{
    int expected = NONE;
    if (fd >= 0 && !atomic_compare_exchange_strong(&reserve, &expected, fd)) {
        (void)close(fd);
    }
}

int accept_guard_open(struct err *err)
{
    keep_reserve(open_reserve());
    return atomic_load(&reserve) >= 0 ? 0 : err_set_errno(err, ERR_IO, "cannot open /dev/null");
}

unsigned accept_guard_refused(void)
{
    return atomic_load(&refused);
}

static accept4_fn *real_accept4(void)
{
    static accept4_fn *_Atomic known;
    accept4_fn *real = atomic_load(&known);
    if (real == NULL) {
        *(void **)&real = dlsym(RTLD_NEXT, "accept4");
        atomic_store(&known, real);
    }
    return real;
}

static void turn_away(int listener)
{
    int fd = atomic_exchange(&reserve, NONE);
    if (fd >= 0) {
        (void)close(fd);
        int unwanted = real_accept4()(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (unwanted >= 0) {
            (void)close(unwanted);
            (void)atomic_fetch_add(&refused, 1);
        }
    }
    keep_reserve(open_reserve());
}

/* Under the library's name for whoever links with this program. */
int accept_or_turn_away(int listener, struct sockaddr *address, socklen_t *length,
                        int flags) __asm__("accept4") __attribute__((visibility("default")));

int accept_or_turn_away(int listener, struct sockaddr *address, socklen_t *length, int flags)
{
    int fd = real_accept4()(listener, address, length, flags);
    if (fd < 0 && (errno == EMFILE || errno == ENFILE)) {
        turn_away(listener);
        errno = ECONNABORTED; /* as of a client that went away: every library knows that one */
    }
    return fd;
}
