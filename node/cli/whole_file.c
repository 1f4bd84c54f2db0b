#include "node/cli/whole_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int fail_errno(struct err *err, const char *what)
{
    switch (errno) {
    case ENOENT:
    case ENOTDIR:
        return err_set_errno(err, ERR_NOTFOUND, "%s", what);
    case EACCES:
    case EPERM:
    case EROFS:
        return err_set_errno(err, ERR_DENIED, "%s", what);
    case EEXIST:
        return err_set(err, ERR_EXISTS, "it is there already");
    default:
        return err_set_errno(err, ERR_IO, "%s", what);
    }
}

/* ---- reading ---- */

static int read_all(int fd, uint8_t *bytes, size_t length, struct err *err)
{
    size_t have = 0;
    while (have < length) {
        ssize_t got = read(fd, bytes + have, length - have);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got <= 0) {
            return got == 0 ? err_set(err, ERR_IO, "it became shorter while it was read")
                            : fail_errno(err, "cannot be read");
        }
        have += (size_t)got;
    }
    return 0;
}

static int read_open(int fd, size_t most, uint8_t **ret, size_t *ret_length, struct err *err)
{
    struct stat about;
    if (fstat(fd, &about) != 0) {
        return fail_errno(err, "cannot be looked at");
    }
    if (!S_ISREG(about.st_mode)) {
        return err_set(err, ERR_INVALID, "it is no regular file");
    }
    if ((uintmax_t)about.st_size > most) {
        return err_set(err, ERR_INVALID, "it has %jd bytes, and at most %zu are allowed",
                       (intmax_t)about.st_size, most);
    }
    size_t length = (size_t)about.st_size;
    uint8_t *bytes = malloc(length + 1);
    if (bytes == NULL) {
        return err_set(err, ERR_NOMEM, "out of memory");
    }
    int rc = read_all(fd, bytes, length, err);
    if (rc != 0) {
        free(bytes);
        return rc;
    }
    *ret = bytes;
    *ret_length = length;
    return 0;
}

int whole_file_read(const char *file, size_t most, uint8_t **ret, size_t *ret_length,
                    struct err *err)
{
    int fd = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0) {
        return fail_errno(err, "cannot be opened");
    }
    int rc = read_open(fd, most, ret, ret_length, err);
    (void)close(fd);
    return rc;
}

/* ---- writing ---- */

int whole_file_may_write(const char *file, bool replace, struct err *err)
{
    struct stat about;
    if (lstat(file, &about) != 0) {
        return errno == ENOENT ? 0 : fail_errno(err, "cannot be looked at");
    }
    if (!S_ISREG(about.st_mode)) {
        return err_set(err, ERR_EXISTS, "it is there already, and no regular file");
    }
    return replace ? 0 : err_set(err, ERR_EXISTS, "it is there already");
}

static int write_all(int fd, const uint8_t *bytes, size_t length, struct err *err)
{
    size_t done = 0;
    while (done < length) {
        ssize_t put = write(fd, bytes + done, length - done);
        if (put < 0 && errno == EINTR) {
            continue;
        }
        if (put < 0) {
            return fail_errno(err, "cannot be written");
        }
        done += (size_t)put;
    }
    return fsync(fd) == 0 ? 0 : fail_errno(err, "cannot be brought to the disk");
}

/* The name itself reaches the disk. A file system that cannot sync a folder has no more to give. */
static void sync_folder(const char *file)
{
    char folder[PATH_MAX];
    const char *slash = strrchr(file, '/');
    int length = slash == NULL ? 1 : (int)(slash - file) + 1;
    (void)snprintf(folder, sizeof folder, "%.*s", length, slash == NULL ? "." : file);
    int fd = open(folder, O_RDONLY | O_CLOEXEC | O_DIRECTORY);
    if (fd >= 0) {
        (void)fsync(fd);
        (void)close(fd);
    }
}

/* Not every file system knows how to refuse a taken name while renaming; link() always does. */
static int give_name(const char *temporary, const char *file, bool replace, struct err *err)
{
    unsigned flags = replace ? 0 : RENAME_NOREPLACE;
    if (renameat2(AT_FDCWD, temporary, AT_FDCWD, file, flags) == 0) {
        return 0;
    }
    if (replace || (errno != EINVAL && errno != ENOSYS) || link(temporary, file) != 0) {
        return fail_errno(err, "cannot be named");
    }
    (void)unlink(temporary);
    return 0;
}

int whole_file_write(const char *file, const uint8_t *bytes, size_t length, bool replace,
                     struct err *err)
{
    char temporary[PATH_MAX];
    int size = snprintf(temporary, sizeof temporary, "%s.XXXXXX", file);
    if (size < 0 || (size_t)size >= sizeof temporary) {
        return err_set(err, ERR_INVALID, "its name is too long");
    }
    int rc = whole_file_may_write(file, replace, err);
    if (rc != 0) {
        return rc;
    }
    int fd = mkostemp(temporary, O_CLOEXEC); /* mode 0600 */
    if (fd < 0) {
        return fail_errno(err, "no file can be made beside it");
    }
    rc = write_all(fd, bytes, length, err);
    if (close(fd) != 0 && rc == 0) {
        rc = fail_errno(err, "cannot be written");
    }
    rc = rc != 0 ? rc : give_name(temporary, file, replace, err);
    if (rc != 0) {
        (void)unlink(temporary);
        return rc;
    }
    sync_folder(file);
    return 0;
}
