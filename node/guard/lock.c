#include "node/guard/lock.h"

#include "node/base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#define RETRY_MS 20
#define LINE_BYTES 256

bool lock_read(int fd, pid_t *ret_pid, char *ret_duty, int duty_size)
{
    char line[LINE_BYTES];
    ssize_t got = pread(fd, line, sizeof(line) - 1, 0);
    if (got <= 0) {
        return false;
    }
    line[got] = '\0';
    line[strcspn(line, "\n")] = '\0';
    char *end = NULL;
    long pid = strtol(line, &end, 10);
    if (end == line || *end != ' ' || pid <= 0 || pid > INT32_MAX) {
        return false;
    }
    *ret_pid = (pid_t)pid;
    if (ret_duty != NULL) {
        (void)snprintf(ret_duty, (size_t)duty_size, "%s", end + 1);
    }
    return true;
}

static void write_holder(int fd, const char *duty)
{
    char line[LINE_BYTES];
    int length = snprintf(line, sizeof(line), "%ld %s\n", (long)getpid(), duty);
    /* Only for people and for post_locks_held: the lock itself needs no content. */
    if (ftruncate(fd, 0) == 0) {
        (void)!pwrite(fd, line, (size_t)length, 0);
    }
}

int lock_take(const char *path, const char *duty, int64_t wait_ms, pid_t *ret_holder)
{
    *ret_holder = 0;
    int fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW, 0600);
    if (fd < 0) {
        return -1;
    }
    int64_t end_ms = clock_boot_ms() + wait_ms;
    while (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        int seen = errno;
        if ((seen != EWOULDBLOCK && seen != EINTR) || clock_boot_ms() >= end_ms) {
            (void)lock_read(fd, ret_holder, NULL, 0);
            (void)close(fd);
            errno = seen;
            return -1;
        }
        (void)poll(NULL, 0, RETRY_MS);
    }
    write_holder(fd, duty);
    return fd;
}
