#include "managers/pm2/watch/process.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define TREE_MAX 256

/* At most size - 1 bytes of a small file of /proc. */
static bool read_small(const char *path, char *ret, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return false;
    }
    ssize_t got = read(fd, ret, size - 1);
    (void)close(fd);
    if (got <= 0) {
        return false;
    }
    ret[got] = '\0';
    return true;
}

/* The number of field `index` (from 0, separated by blanks); false when there are fewer. */
static bool field(const char *text, unsigned index, uint64_t *ret)
{
    for (unsigned i = 0; i < index; i++) {
        text += strspn(text, " ");
        text += strcspn(text, " ");
    }
    char *end;
    errno = 0;
    *ret = strtoull(text, &end, 10);
    return end != text && errno == 0;
}

/* proc(5): the name in parentheses may hold anything, so reading starts after the last one, with
 * the third field. */
bool process_stat(int64_t pid, struct process_stat *ret)
{
    char path[64];
    char text[1024];
    (void)snprintf(path, sizeof path, "/proc/%" PRId64 "/stat", pid);
    if (!read_small(path, text, sizeof text)) {
        return false;
    }
    const char *after = strrchr(text, ')');
    enum { PARENT, SESSION, USER, KERNEL, CHILDREN_USER, CHILDREN_KERNEL, START, PAGES, COUNT };
    static const unsigned fields[COUNT] = {4, 6, 14, 15, 16, 17, 22, 24};
    uint64_t values[COUNT];
    if (after == NULL || after[1] != ' ') {
        return false;
    }
    for (size_t i = 0; i < COUNT; i++) {
        if (!field(after + 1, fields[i] - 3, &values[i])) {
            return false;
        }
    }
    *ret = (struct process_stat){.pm2 = strstr(text, "(PM2 v") != NULL,
                                 .state = after[2],
                                 .parent = (int64_t)values[PARENT],
                                 .session = (int64_t)values[SESSION],
                                 .cpu_ticks = values[USER] + values[KERNEL] +
                                              values[CHILDREN_USER] + values[CHILDREN_KERNEL],
                                 .start_ticks = values[START],
                                 .pages = (int64_t)values[PAGES]};
    return true;
}

bool process_exists(int64_t pid)
{
    struct process_stat stat;
    return pid > 0 && process_stat(pid, &stat) && stat.state != 'Z' && stat.state != 'X';
}

void process_drop(struct process *self)
{
    if (self->pidfd >= 0) {
        (void)close(self->pidfd);
    }
    *self = (struct process){.pidfd = -1};
}

bool process_hold(struct process *self, int64_t pid)
{
    struct process_stat line;
    bool seen = pid > 0 && process_stat(pid, &line);
    if (self->pidfd >= 0 && self->pid == pid && seen && self->start_ticks == line.start_ticks) {
        return process_lives(self);
    }
    process_drop(self);
    if (!seen) {
        return false;
    }
    self->pidfd = (int)syscall(SYS_pidfd_open, (pid_t)pid, 0);
    struct process_stat again;
    /* The number may have changed hands between the two steps. */
    if (self->pidfd < 0 || !process_stat(pid, &again) || again.start_ticks != line.start_ticks) {
        process_drop(self);
        return false;
    }
    self->pid = pid;
    self->start_ticks = line.start_ticks;
    self->parent = line.parent;
    return process_lives(self);
}

bool process_lives(const struct process *self)
{
    if (self->pidfd < 0) {
        return false;
    }
    /* Readable: ended, also while nobody has awaited it. */
    struct pollfd item = {.fd = self->pidfd, .events = POLLIN};
    return poll(&item, 1, 0) == 0;
}

int64_t process_memory(int64_t pid)
{
    char path[64];
    char text[256];
    uint64_t resident;
    (void)snprintf(path, sizeof path, "/proc/%" PRId64 "/statm", pid);
    if (!read_small(path, text, sizeof text) || !field(text, 1, &resident)) {
        return -1;
    }
    return (int64_t)resident * sysconf(_SC_PAGESIZE);
}

/* Appends the children of `pid` to the list; each thread of a process has its own. */
static size_t add_children(int64_t pid, int64_t *pids, size_t count)
{
    char path[80];
    char text[4096];
    (void)snprintf(path, sizeof path, "/proc/%" PRId64 "/task/%" PRId64 "/children", pid, pid);
    if (!read_small(path, text, sizeof text)) {
        return count;
    }
    char *rest = text;
    while (count < TREE_MAX) {
        char *end;
        long long child = strtoll(rest, &end, 10);
        if (end == rest || child <= 0) {
            break;
        }
        pids[count++] = child;
        rest = end;
    }
    return count;
}

int64_t process_tree_memory(int64_t pid)
{
    int64_t pids[TREE_MAX];
    pids[0] = pid;
    size_t count = 1;
    int64_t sum = 0;
    bool any = false;
    for (size_t i = 0; i < count; i++) {
        int64_t bytes = process_memory(pids[i]);
        if (bytes >= 0) {
            any = true;
            sum += bytes;
        }
        count = add_children(pids[i], pids, count);
    }
    return any ? sum : -1;
}
