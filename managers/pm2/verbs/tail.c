#include "managers/pm2/verbs/tail.h"

#include "node/base/doc.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Looked at before it is opened: opening a device may do something. */
static int check_file(int fd, uid_t owner, struct stat *ret, struct err *err)
{
    if (fstat(fd, ret) != 0) {
        return err_set_errno(err, ERR_IO, "cannot be looked at");
    }
    if (!S_ISREG(ret->st_mode)) {
        return err_set(err, ERR_DENIED, "is no regular file");
    }
    return ret->st_uid != owner ? err_set(err, ERR_DENIED, "belongs to another user than its PM2")
                                : 0;
}

int tail_open(int folder, const char *path, uid_t owner, struct stat *ret, int *ret_fd,
              struct err *err)
{
    char same[64];
    int place = openat(folder, path, O_PATH | O_CLOEXEC);
    if (place < 0) {
        return errno == ENOENT ? err_set(err, ERR_NOTFOUND, "is not there")
                               : err_set_errno(err, ERR_IO, "cannot be opened");
    }
    int rc = check_file(place, owner, ret, err);
    if (rc == 0) {
        (void)snprintf(same, sizeof same, "/proc/self/fd/%d", place);
        *ret_fd = open(same, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
        rc = *ret_fd < 0 ? err_set_errno(err, ERR_IO, "cannot be opened") : 0;
    }
    (void)close(place);
    return rc;
}

/* Where the last `lines` begin. */
static size_t first_of(const char *text, size_t length, size_t lines, bool whole)
{
    size_t at = length;
    if (at > 0 && text[at - 1] == '\n') {
        at--;
    }
    for (; at > 0; at--) {
        if (text[at - 1] == '\n' && --lines == 0) {
            return at;
        }
    }
    const char *end = whole ? NULL : memchr(text, '\n', length);
    size_t next = end == NULL ? 0 : (size_t)(end - text) + 1;
    return next < length ? next : 0;
}

void tail_add_line(json_t *ret, char *line, size_t length, size_t length_max)
{
    if (length > length_max) {
        length = length_max;
    }
    if (length > 0 && line[length - 1] == '\r') {
        length--;
    }
    for (size_t i = 0; i < length; i++) {
        line[i] = (char)(line[i] == '\0' ? '?' : line[i]);
    }
    line[length] = '\0';
    (void)json_array_append_new(ret, length > 0 ? doc_text(line) : json_string(""));
}

void tail_split(json_t *ret, char *text, size_t length, size_t lines, bool whole)
{
    size_t at = first_of(text, length, lines, whole);
    while (at < length) {
        char *end = memchr(text + at, '\n', length - at);
        size_t size = end == NULL ? length - at : (size_t)(end - text) - at;
        size_t next = at + size + 1;
        tail_add_line(ret, text + at, size, TAIL_LINE_MAX);
        at = next;
    }
}

int tail_take(const char *path, uid_t owner, size_t lines_max, json_t *ret, int64_t *ret_bytes,
              struct err *err)
{
    static char text[TAIL_BYTES_MAX + 1]; /* of this call alone */
    int fd = -1;
    struct stat info = {0};
    int rc = tail_open(AT_FDCWD, path, owner, &info, &fd, err);
    if (rc != 0) {
        return rc;
    }
    *ret_bytes = info.st_size;
    int64_t from = *ret_bytes > TAIL_BYTES_MAX ? *ret_bytes - TAIL_BYTES_MAX : 0;
    ssize_t got = pread(fd, text, TAIL_BYTES_MAX, (off_t)from);
    if (got < 0) {
        rc = err_set_errno(err, ERR_IO, "cannot be read");
    } else if (lines_max > 0) {
        tail_split(ret, text, (size_t)got, lines_max, from == 0);
    }
    (void)close(fd);
    return rc;
}
