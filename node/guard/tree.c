#include "node/guard/tree.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define KILL_PAUSE_MS 2 /* between rounds, while the kernel ends what was killed */

static void signal_child(pid_t pid, int number)
{
    (void)kill(pid, number); /* ESRCH: it ended meanwhile and waits to be reaped */
}

int tree_signal_listed(int number)
{
    char path[64];
    char bytes[4096];
    (void)snprintf(path, sizeof(path), "/proc/self/task/%d/children", (int)gettid());
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return -1;
    }
    int count = 0;
    pid_t pid = 0;
    ssize_t got = 0;
    while ((got = read(fd, bytes, sizeof(bytes))) > 0 || (got < 0 && errno == EINTR)) {
        for (ssize_t i = 0; i < got; i++) {
            if (isdigit((unsigned char)bytes[i])) {
                pid = pid * 10 + (bytes[i] - '0');
            } else if (pid > 0) {
                signal_child(pid, number);
                count++;
                pid = 0;
            }
        }
    }
    if (pid > 0) {
        signal_child(pid, number);
        count++;
    }
    (void)close(fd);
    return got < 0 ? -1 : count;
}

/* The parent of a process: the fourth word of its stat, counted behind the name's last bracket. */
static pid_t parent_of(const char *name)
{
    char path[64];
    char text[512];
    (void)snprintf(path, sizeof(path), "/proc/%.20s/stat", name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return -1;
    }
    ssize_t got = read(fd, text, sizeof(text) - 1);
    (void)close(fd);
    if (got <= 0) {
        return -1;
    }
    text[got] = '\0';
    const char *bracket = strrchr(text, ')');
    if (bracket == NULL || strlen(bracket) < 5) {
        return -1;
    }
    return (pid_t)strtol(bracket + 4, NULL, 10); /* ") S 123" */
}

int tree_signal_walked(int number)
{
    char bytes[8192] __attribute__((aligned(8)));
    pid_t self = getpid();
    int fd = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        return -1;
    }
    int count = 0;
    long got = 0;
    while ((got = syscall(SYS_getdents64, fd, bytes, sizeof(bytes))) > 0) {
        for (long at = 0; at < got;) {
            const struct dirent64 *entry = (const struct dirent64 *)(const void *)(bytes + at);
            at += entry->d_reclen;
            if (isdigit((unsigned char)entry->d_name[0]) && parent_of(entry->d_name) == self) {
                signal_child((pid_t)strtol(entry->d_name, NULL, 10), number);
                count++;
            }
        }
    }
    (void)close(fd);
    return got < 0 ? -1 : count;
}

int tree_signal(int number)
{
    int count = tree_signal_listed(number);
    return count >= 0 ? count : tree_signal_walked(number);
}

bool tree_reap(pid_t watched, int *ret_status, bool *ret_empty)
{
    bool found = false;
    *ret_empty = false;
    for (;;) {
        int status = 0;
        pid_t pid = waitpid(-1, &status, WNOHANG);
        if (pid < 0 && errno == EINTR) {
            continue;
        }
        if (pid <= 0) {
            *ret_empty = pid < 0;
            return found;
        }
        if (pid == watched) {
            found = true;
            if (ret_status != NULL) {
                *ret_status = status;
            }
        }
    }
}

bool tree_kill(pid_t watched, int *ret_status)
{
    bool found = false;
    bool empty = false;
    while (!empty) {
        (void)tree_signal(SIGKILL);
        found = tree_reap(watched, ret_status, &empty) || found;
        if (!empty) {
            (void)poll(NULL, 0, KILL_PAUSE_MS);
            found = tree_reap(watched, ret_status, &empty) || found;
        }
    }
    return found;
}
