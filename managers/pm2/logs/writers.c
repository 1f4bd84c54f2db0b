#include "managers/pm2/logs/writers.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* "flags:\t0102001" of /proc/PID/fdinfo/N. */
static int flags_of(pid_t pid, const char *number)
{
    char path[64];
    char text[256];
    (void)snprintf(path, sizeof path, "/proc/%d/fdinfo/%.16s", (int)pid, number);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t length = fd >= 0 ? read(fd, text, sizeof text - 1) : -1;
    if (fd >= 0) {
        (void)close(fd);
    }
    text[length > 0 ? length : 0] = '\0';
    const char *flags = strstr(text, "flags:");
    return flags != NULL ? (int)strtol(flags + 6, NULL, 8) : O_RDONLY;
}

static bool appends(const struct stat *file, pid_t pid)
{
    char path[64];
    (void)snprintf(path, sizeof path, "/proc/%d/fd", (int)pid);
    DIR *folder = opendir(path);
    const struct dirent *entry = NULL;
    bool good = true;
    while (good && folder != NULL && (entry = readdir(folder)) != NULL) {
        struct stat info;
        if (fstatat(dirfd(folder), entry->d_name, &info, 0) != 0 || info.st_ino != file->st_ino ||
            info.st_dev != file->st_dev) {
            continue;
        }
        int flags = flags_of(pid, entry->d_name);
        good = (flags & O_ACCMODE) == O_RDONLY || (flags & O_APPEND) != 0;
    }
    if (folder != NULL) {
        (void)closedir(folder);
    }
    return good;
}

bool writers_append(const struct stat *file, const pid_t *pids, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (pids[i] > 0 && !appends(file, pids[i])) {
            return false;
        }
    }
    return true;
}
