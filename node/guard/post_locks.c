#include "node/guard/lock.h"
#include "node/guard/post.h"
#include "node/guard/wire.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

/* Closing the descriptor gives the lock back. */
static bool is_held(int fd)
{
    return flock(fd, LOCK_SH | LOCK_NB) != 0;
}

bool post_lock_free(const char *lock_dir, const char *duty)
{
    char path[PATH_MAX];
    if (!guard_valid_duty(duty) || !guard_lock_path(lock_dir, duty, path, sizeof(path))) {
        return false;
    }
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0) {
        return errno == ENOENT;
    }
    bool held = is_held(fd);
    (void)close(fd);
    return !held;
}

static bool is_lock_name(const char *name)
{
    size_t length = strlen(name);
    return length > 5 && strcmp(name + length - 5, ".lock") == 0;
}

int post_locks_held(const char *lock_dir, char (*ret)[DUTY_ID_SIZE], size_t max)
{
    DIR *folder = opendir(lock_dir);
    if (folder == NULL) {
        return errno == ENOENT ? 0 : ERR_IO;
    }
    int count = 0;
    struct dirent *entry = NULL;
    while ((entry = readdir(folder)) != NULL) {
        if (!is_lock_name(entry->d_name)) {
            continue;
        }
        int fd = openat(dirfd(folder), entry->d_name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
        if (fd < 0) {
            continue;
        }
        if (is_held(fd)) {
            char duty[DUTY_ID_SIZE] = "?";
            pid_t pid = 0;
            (void)lock_read(fd, &pid, duty, sizeof(duty));
            if ((size_t)count < max) {
                memcpy(ret[count], duty, sizeof(duty));
            }
            count++;
        }
        (void)close(fd);
    }
    (void)closedir(folder);
    return count;
}
