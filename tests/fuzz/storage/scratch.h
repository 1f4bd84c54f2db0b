/* A folder in memory where there is one (/dev/shm), for files that change ten thousand times. */
#ifndef UNDERSTUDY_TESTS_FUZZ_STORAGE_SCRATCH_H
#define UNDERSTUDY_TESTS_FUZZ_STORAGE_SCRATCH_H

#include "node/base/invariant.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static char scratch_folder[64];
static int scratch_fd = -1;

static inline void scratch_empty(void)
{
    DIR *folder = opendir(scratch_folder);
    for (struct dirent *entry = folder == NULL ? NULL : readdir(folder); entry != NULL;
         entry = readdir(folder)) {
        (void)unlinkat(scratch_fd, entry->d_name, 0);
    }
    if (folder != NULL) {
        (void)closedir(folder);
    }
}

static inline void scratch_end(void)
{
    scratch_empty();
    (void)rmdir(scratch_folder);
}

static inline void scratch_begin(void)
{
    (void)snprintf(scratch_folder, sizeof scratch_folder, "%s/understudy-fuzz-XXXXXX",
                   access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    const char *made = mkdtemp(scratch_folder);
    invariant(made != NULL);
    scratch_fd = open(scratch_folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    invariant(scratch_fd >= 0);
    (void)atexit(scratch_end);
}

static inline void scratch_write(const char *name, const uint8_t *bytes, size_t length)
{
    int fd = openat(scratch_fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    invariant(fd >= 0);
    ssize_t written = write(fd, bytes, length);
    invariant(written == (ssize_t)length);
    (void)close(fd);
}

static inline size_t scratch_read(const char *name, uint8_t *ret, size_t size)
{
    int fd = openat(scratch_fd, name, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return 0;
    }
    ssize_t length = read(fd, ret, size);
    (void)close(fd);
    invariant(length >= 0 && (size_t)length < size);
    return (size_t)length;
}

#endif
