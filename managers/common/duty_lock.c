#include "managers/common/duty_lock.h"

#include "managers/common/protocol.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#define PATH_SIZE (MANAGER_PATH_SIZE + DUTY_ID_SIZE * 3)

static bool lock_path(const char *lock_dir, const char *duty, char ret[PATH_SIZE])
{
    size_t used = (size_t)snprintf(ret, PATH_SIZE, "%s/", lock_dir);
    for (const char *at = duty; *at != '\0' && used < PATH_SIZE; at++) {
        bool plain = isalnum((unsigned char)*at) || strchr("._-", *at) != NULL;
        used += (size_t)snprintf(ret + used, PATH_SIZE - used, plain ? "%c" : "%%%02X",
                                 (unsigned char)*at);
    }
    if (used < PATH_SIZE) {
        used += (size_t)snprintf(ret + used, PATH_SIZE - used, ".lock");
    }
    return used < PATH_SIZE;
}

static int open_lock(const char *path)
{
    return open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
}

bool duty_lock_is_free(const char *lock_dir, const char *duty)
{
    char path[PATH_SIZE];
    if (!lock_path(lock_dir, duty, path)) {
        return false;
    }
    int fd = open_lock(path);
    if (fd < 0) {
        return errno == ENOENT; /* never held; unreadable says nothing */
    }
    bool is_free = flock(fd, LOCK_SH | LOCK_NB) == 0;
    (void)close(fd); /* lets go again */
    return is_free;
}

int64_t duty_lock_holder(const char *lock_dir, const char *duty)
{
    char path[PATH_SIZE];
    char line[32] = "";
    int fd = lock_path(lock_dir, duty, path) ? open_lock(path) : -1;
    if (fd < 0) {
        return 0;
    }
    ssize_t got = read(fd, line, sizeof line - 1);
    (void)close(fd);
    line[got > 0 ? got : 0] = '\0';
    char *end;
    long pid = strtol(line, &end, 10);
    return *end == ' ' && pid > 0 && pid <= INT32_MAX ? pid : 0;
}

bool duty_lock_remove(const char *lock_dir, const char *duty)
{
    char path[PATH_SIZE];
    if (!lock_path(lock_dir, duty, path)) {
        return false;
    }
    int fd = open_lock(path);
    if (fd < 0) {
        return errno == ENOENT;
    }
    /* Under the lock: nobody who opened the file before can hold it. */
    bool gone = flock(fd, LOCK_EX | LOCK_NB) == 0 && (unlink(path) == 0 || errno == ENOENT);
    (void)close(fd);
    return gone;
}
