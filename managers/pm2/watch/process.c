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

struct stat_line {
    uint64_t cpu_ticks;
    uint64_t start_ticks;
};

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
static bool read_stat(int64_t pid, struct stat_line *ret)
{
    char path[64];
    char text[1024];
    (void)snprintf(path, sizeof path, "/proc/%" PRId64 "/stat", pid);
    if (!read_small(path, text, sizeof text)) {
        return false;
    }
    const char *after = strrchr(text, ')');
    uint64_t user;
    uint64_t kernel;
    if (after == NULL || !field(after + 1, 14 - 3, &user) || !field(after + 1, 15 - 3, &kernel) ||
        !field(after + 1, 22 - 3, &ret->start_ticks)) {
        return false;
    }
    ret->cpu_ticks = user + kernel;
    return true;
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
    struct stat_line line;
    bool seen = pid > 0 && read_stat(pid, &line);
    if (self->pidfd >= 0 && self->pid == pid && seen && self->start_ticks == line.start_ticks) {
        return process_lives(self);
    }
    process_drop(self);
    if (!seen) {
        return false;
    }
    self->pidfd = (int)syscall(SYS_pidfd_open, (pid_t)pid, 0);
    struct stat_line again;
    /* The number may have changed hands between the two steps. */
    if (self->pidfd < 0 || !read_stat(pid, &again) || again.start_ticks != line.start_ticks) {
        process_drop(self);
        return false;
    }
    self->pid = pid;
    self->start_ticks = line.start_ticks;
    self->cpu_ticks = line.cpu_ticks;
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

static int64_t resident_bytes(int64_t pid)
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

void process_sample(struct process *self, int64_t now_ms, struct process_usage *ret)
{
    *ret = (struct process_usage){.memory_bytes = -1, .cpu_percent = -1};
    struct stat_line line;
    if (!process_lives(self) || !read_stat(self->pid, &line) ||
        line.start_ticks != self->start_ticks) {
        return;
    }
    ret->memory_bytes = resident_bytes(self->pid);
    int64_t elapsed_ms = now_ms - self->sampled_ms;
    if (self->sampled_ms > 0 && elapsed_ms > 0 && line.cpu_ticks >= self->cpu_ticks) {
        double used_s = (double)(line.cpu_ticks - self->cpu_ticks) / (double)sysconf(_SC_CLK_TCK);
        ret->cpu_percent = used_s * 100000.0 / (double)elapsed_ms;
    }
    self->cpu_ticks = line.cpu_ticks;
    self->sampled_ms = now_ms;
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
        int64_t bytes = resident_bytes(pids[i]);
        if (bytes >= 0) {
            any = true;
            sum += bytes;
        }
        count = add_children(pids[i], pids, count);
    }
    return any ? sum : -1;
}
