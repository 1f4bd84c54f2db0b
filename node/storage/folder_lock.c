#include "node/storage/folder_lock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#define HOLDER_SIZE 128

/* Reads "PID NODE" of the present holder; the file may be empty for an instant. */
static void read_holder(int fd, char ret[HOLDER_SIZE])
{
    ssize_t length = pread(fd, ret, HOLDER_SIZE - 1, 0);
    ret[length > 0 ? length : 0] = '\0';
    ret[strcspn(ret, "\n")] = '\0';
    for (char *at = ret; *at != '\0'; at++) {
        if (*at < ' ' || *at > '~') {
            *at = '?';
        }
    }
}

static int write_holder(int fd, const char *node_name)
{
    char line[HOLDER_SIZE];
    int length = snprintf(line, sizeof line, "%ld %s\n", (long)getpid(), node_name);
    if (length < 0 || (size_t)length >= sizeof line) {
        errno = ENAMETOOLONG;
        return -1;
    }
    if (ftruncate(fd, 0) != 0) {
        return -1;
    }
    return pwrite(fd, line, (size_t)length, 0) == length ? 0 : -1;
}

int folder_lock(int folder_fd, const char *folder, const char *node_name, struct err *err)
{
    int fd = openat(folder_fd, "lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) {
        return err_set_errno(err, ERR_IO, "open %s/lock", folder);
    }
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        int code = ERR_IO;
        if (errno == EWOULDBLOCK) {
            char holder[HOLDER_SIZE];
            read_holder(fd, holder);
            code = err_set(err, ERR_BUSY, "data folder %s is held by another daemon (%s)", folder,
                           holder[0] != '\0' ? holder : "starting");
        } else {
            code = err_set_errno(err, ERR_IO, "lock %s/lock", folder);
        }
        (void)close(fd);
        return code;
    }
    if (write_holder(fd, node_name) != 0) {
        int code = err_set_errno(err, ERR_IO, "write %s/lock", folder);
        (void)close(fd);
        return code;
    }
    return fd;
}

void folder_unlock(int lock_fd)
{
    if (lock_fd >= 0) {
        (void)close(lock_fd);
    }
}
