/* A disk that is slow, stuck, failing or full, for one process tree: preloaded (LD_PRELOAD) into a
 * daemon, it stands between the daemon (SQLite included, whose table of calls holds these symbols)
 * and the C library's calls that change files.
 *
 *   SLOW_DISK_CONTROL  file that says what happens now; read at every call, so a test changes it at
 *                      run time (write another file and rename it). Missing or empty: nothing.
 *   SLOW_DISK_FOLDER   only files at or below it are meant; unset: every file.
 *
 * The control file is one line:
 *   delay MS              each sync returns MS later
 *   stall MS PERIOD_MS    syncs that begin in the first MS of every PERIOD_MS end with those MS
 *   hang                  syncs do not return while the file says so
 *   fail ERRNO            syncs fail with that number (5: I/O error, 28: no space, 30: read-only)
 * and `all` after it: writes, truncations and allocations too, not only fsync and fdatasync.
 *
 * Any thread; no state but what the environment said at the start. Without sanitizers: a program
 * under AddressSanitizer takes it with ASAN_OPTIONS=verify_asan_link_order=0. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))
#define PATH_SIZE 4096
#define LOOK_AGAIN_MS 5 /* a call that is held looks at the control file so often */

enum verb { VERB_NONE, VERB_DELAY, VERB_STALL, VERB_HANG, VERB_FAIL };

struct order {
    enum verb verb;
    int64_t number;
    int64_t period_ms;
    bool all;
};

static char control[PATH_SIZE];
static char folder[PATH_SIZE];

static int (*real_fsync)(int);
static int (*real_fdatasync)(int);
static ssize_t (*real_write)(int, const void *, size_t);
static ssize_t (*real_writev)(int, const struct iovec *, int);
static ssize_t (*real_pwrite64)(int, const void *, size_t, off64_t);
static int (*real_ftruncate64)(int, off64_t);
static int (*real_posix_fallocate64)(int, off64_t, off64_t);

static void *next(const char *name)
{
    void *symbol = dlsym(RTLD_NEXT, name);
    if (symbol == NULL) {
        abort();
    }
    return symbol;
}

__attribute__((constructor)) static void begin(void)
{
    const char *path = getenv("SLOW_DISK_CONTROL");
    (void)snprintf(control, sizeof control, "%s", path == NULL ? "" : path);
    path = getenv("SLOW_DISK_FOLDER");
    (void)snprintf(folder, sizeof folder, "%s", path == NULL ? "" : path);
    *(void **)&real_fsync = next("fsync");
    *(void **)&real_fdatasync = next("fdatasync");
    *(void **)&real_write = next("write");
    *(void **)&real_writev = next("writev");
    *(void **)&real_pwrite64 = next("pwrite64");
    *(void **)&real_ftruncate64 = next("ftruncate64");
    *(void **)&real_posix_fallocate64 = next("posix_fallocate64");
}

/* ---- the order of the moment ---- */

static struct order parse(const char *text)
{
    struct order order = {.verb = VERB_NONE};
    char verb[16] = "";
    long long number = 0;
    long long period_ms = 0;
    // NOLINTNEXTLINE(cert-err34-c): what is no number stays 0
    (void)sscanf(text, "%15s %lld %lld", verb, &number, &period_ms);
    order.number = number;
    order.period_ms = period_ms;
    order.all = strstr(text, " all") != NULL;
    if (strcmp(verb, "delay") == 0) {
        order.verb = VERB_DELAY;
    } else if (strcmp(verb, "stall") == 0 && period_ms > 0) {
        order.verb = VERB_STALL;
    } else if (strcmp(verb, "hang") == 0) {
        order.verb = VERB_HANG;
    } else if (strcmp(verb, "fail") == 0) {
        order.verb = VERB_FAIL;
    }
    return order;
}

static struct order read_order(void)
{
    char text[128] = "";
    if (control[0] == '\0') {
        return (struct order){.verb = VERB_NONE};
    }
    /* Without the C library: a preloaded tool must not call what it stands in for. */
    long fd = syscall(SYS_openat, AT_FDCWD, control, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return (struct order){.verb = VERB_NONE};
    }
    long length = syscall(SYS_read, fd, text, sizeof text - 1);
    (void)syscall(SYS_close, fd);
    text[length > 0 ? length : 0] = '\0';
    return parse(text);
}

static bool is_meant(int fd)
{
    if (folder[0] == '\0') {
        return true;
    }
    char link[64];
    char path[PATH_SIZE];
    (void)snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    size_t prefix = strlen(folder);
    return length >= (ssize_t)prefix && strncmp(path, folder, prefix) == 0 &&
           ((size_t)length == prefix || path[prefix] == '/');
}

static int64_t boot_ms(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_BOOTTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int64_t held_until_ms(const struct order *order, int64_t since_ms)
{
    switch (order->verb) {
    case VERB_DELAY:
        return since_ms + order->number;
    case VERB_STALL: {
        int64_t begun_ms = since_ms - since_ms % order->period_ms;
        return begun_ms + order->number;
    }
    case VERB_HANG:
        return INT64_MAX;
    default:
        return since_ms;
    }
}

/* Holds the caller as long as the order says; a number that the call fails with, or 0. */
static int obey(int fd, bool sync)
{
    int64_t since_ms = boot_ms();
    struct order order = read_order();
    if (order.verb == VERB_NONE || (!sync && !order.all) || !is_meant(fd)) {
        return 0;
    }
    while (order.verb != VERB_NONE && order.verb != VERB_FAIL &&
           boot_ms() < held_until_ms(&order, since_ms)) {
        (void)poll(NULL, 0, LOOK_AGAIN_MS);
        order = read_order();
    }
    return order.verb == VERB_FAIL ? (int)order.number : 0;
}

static bool refuse(int fd, bool sync)
{
    int before = errno;
    int number = obey(fd, sync);
    errno = number == 0 ? before : number;
    return number != 0;
}

/* ---- the calls ---- */

EXPORT int fsync(int fd)
{
    return refuse(fd, true) ? -1 : real_fsync(fd);
}

EXPORT int fdatasync(int fd)
{
    return refuse(fd, true) ? -1 : real_fdatasync(fd);
}

EXPORT ssize_t write(int fd, const void *bytes, size_t length)
{
    return refuse(fd, false) ? -1 : real_write(fd, bytes, length);
}

EXPORT ssize_t writev(int fd, const struct iovec *parts, int count)
{
    return refuse(fd, false) ? -1 : real_writev(fd, parts, count);
}

EXPORT ssize_t pwrite64(int fd, const void *bytes, size_t length, off64_t offset)
{
    return refuse(fd, false) ? -1 : real_pwrite64(fd, bytes, length, offset);
}

EXPORT ssize_t pwrite(int fd, const void *bytes, size_t length, off_t offset)
{
    return pwrite64(fd, bytes, length, offset);
}

EXPORT int ftruncate64(int fd, off64_t length)
{
    return refuse(fd, false) ? -1 : real_ftruncate64(fd, length);
}

EXPORT int ftruncate(int fd, off_t length)
{
    return ftruncate64(fd, length);
}

EXPORT int posix_fallocate64(int fd, off64_t offset, off64_t length)
{
    return refuse(fd, false) ? errno : real_posix_fallocate64(fd, offset, length);
}

EXPORT int posix_fallocate(int fd, off_t offset, off_t length)
{
    return posix_fallocate64(fd, offset, length);
}
