#include "node/log/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <zlib.h>

#define DAY_MS ((int64_t)86400000)
#define COPY_BYTES 65536
#define ROTATED_NAME (NAME_MAX + 64)
#define ROTATED_PATH (PATH_MAX + ROTATED_NAME)

static int local_day(int64_t wall_ms)
{
    time_t seconds = (time_t)(wall_ms / 1000);
    struct tm parts;
    if (localtime_r(&seconds, &parts) == NULL) {
        return 0;
    }
    return (parts.tm_year + 1900) * 1000 + parts.tm_yday;
}

static void path_of(const struct log_file *self, const char *name, char ret[ROTATED_PATH])
{
    (void)snprintf(ret, ROTATED_PATH, "%s/%s", self->dir, name);
}

int log_file_open(struct log_file *self, struct err *err)
{
    if (self->dir[0] == '\0') {
        self->fd = STDERR_FILENO;
        return 0;
    }
    char path[ROTATED_PATH];
    path_of(self, self->name, path);
    self->fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0640);
    struct stat status;
    if (self->fd < 0 || fstat(self->fd, &status) != 0) {
        int code = err_set_errno(err, ERR_IO, "log file %s", path);
        log_file_close(self);
        return code;
    }
    self->bytes = status.st_size;
    self->day = status.st_size > 0 ? local_day((int64_t)status.st_mtime * 1000) : 0;
    return 0;
}

void log_file_close(struct log_file *self)
{
    if (self->fd >= 0 && self->fd != STDERR_FILENO) {
        (void)close(self->fd);
    }
    self->fd = -1;
}

void log_file_reopen(struct log_file *self)
{
    log_file_close(self);
    if (log_file_open(self, NULL) != 0) {
        self->failures++;
    }
}

/* NAME.YYYYMMDD-HHMMSS[.N], the time being that of the rotation. */
static bool rotated_name(const struct log_file *self, int64_t wall_ms, char ret[ROTATED_NAME])
{
    time_t seconds = (time_t)(wall_ms / 1000);
    struct tm parts;
    char stamp[32];
    if (localtime_r(&seconds, &parts) == NULL ||
        strftime(stamp, sizeof(stamp), "%Y%m%d-%H%M%S", &parts) == 0) {
        return false;
    }
    for (unsigned i = 0; i < 1000; i++) {
        char path[ROTATED_PATH];
        char packed[ROTATED_PATH + 4];
        (void)snprintf(ret, ROTATED_NAME, "%s.%s.%03u", self->name, stamp, i);
        path_of(self, ret, path);
        (void)snprintf(packed, sizeof(packed), "%s.gz", path);
        if (access(path, F_OK) != 0 && access(packed, F_OK) != 0) {
            return true;
        }
    }
    return false;
}

static void rotate(struct log_file *self, int64_t wall_ms)
{
    char name[ROTATED_NAME];
    char from[ROTATED_PATH];
    char to[ROTATED_PATH];
    if (!rotated_name(self, wall_ms, name)) {
        self->failures++;
        return;
    }
    path_of(self, self->name, from);
    path_of(self, name, to);
    if (rename(from, to) != 0) {
        self->failures++;
        return;
    }
    self->rotations++;
    log_file_reopen(self);
}

bool log_file_append(struct log_file *self, const char *line, size_t length, int64_t wall_ms)
{
    if (self->fd < 0) {
        log_file_reopen(self);
    }
    int day = local_day(wall_ms);
    bool other_day = self->day != 0 && day != self->day;
    if (self->fd >= 0 && self->fd != STDERR_FILENO && self->bytes > 0 &&
        (other_day || self->bytes + (int64_t)length + 1 > self->max_bytes)) {
        rotate(self, wall_ms);
    }
    if (self->fd < 0) {
        return false;
    }
    self->day = day;
    size_t done = 0;
    while (done < length) {
        ssize_t written = write(self->fd, line + done, length - done);
        if (written < 0 && errno == EINTR) {
            continue;
        }
        if (written <= 0) {
            self->failures++;
            return false;
        }
        done += (size_t)written;
    }
    self->bytes += (int64_t)length;
    return true;
}

bool log_file_wants_tidy(const struct log_file *self)
{
    return self->fd != STDERR_FILENO && self->dir[0] != '\0';
}

/* --- rotated files ------------------------------------------------------------------------- */

static bool copy_into(int from, gzFile to)
{
    char *bytes = malloc(COPY_BYTES);
    bool good = bytes != NULL;
    while (good) {
        ssize_t got = read(from, bytes, COPY_BYTES);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got <= 0) {
            good = got == 0;
            break;
        }
        good = gzwrite(to, bytes, (unsigned)got) == (int)got;
    }
    free(bytes);
    return good;
}

/* Leaves the plain file in place unless the packed one is whole. */
static bool compress_file(const char *path)
{
    char temporary[ROTATED_PATH + 16];
    char packed[ROTATED_PATH + 4];
    (void)snprintf(temporary, sizeof(temporary), "%s.gz.part", path);
    (void)snprintf(packed, sizeof(packed), "%s.gz", path);
    int from = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    int to = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0640);
    struct stat status;
    bool good = from >= 0 && to >= 0 && fstat(from, &status) == 0;
    gzFile out = good ? gzdopen(to, "wb6") : NULL;
    if (out == NULL) {
        good = false;
        if (to >= 0) {
            (void)close(to);
        }
    } else {
        good = copy_into(from, out);
        good = gzclose(out) == Z_OK && good;
    }
    if (from >= 0) {
        (void)close(from);
    }
    if (good) {
        /* The time decides how long it is kept. */
        struct timespec times[2] = {status.st_mtim, status.st_mtim};
        (void)utimensat(AT_FDCWD, temporary, times, 0);
        good = rename(temporary, packed) == 0 && unlink(path) == 0;
    }
    if (!good) {
        (void)unlink(temporary);
    }
    return good;
}

static bool ends_with(const char *text, const char *end)
{
    size_t length = strlen(text);
    size_t tail = strlen(end);
    return length >= tail && strcmp(text + length - tail, end) == 0;
}

static void tidy_one(struct log_file *self, const char *name, int64_t wall_ms)
{
    char path[ROTATED_PATH];
    struct stat status;
    (void)snprintf(path, sizeof(path), "%s/%.*s", self->dir, NAME_MAX, name);
    if (lstat(path, &status) != 0 || !S_ISREG(status.st_mode)) {
        return;
    }
    if ((int64_t)status.st_mtime * 1000 < wall_ms - self->keep_days * DAY_MS) {
        self->failures += unlink(path) != 0;
    } else if (!ends_with(name, ".gz") && !ends_with(name, ".part")) {
        self->failures += !compress_file(path);
    } else if (ends_with(name, ".part")) {
        (void)unlink(path); /* of a process that died while it compressed */
    }
}

/* "NAME.20260131-..." and nothing else: other files in the folder are none of ours. */
static bool is_rotated(const struct log_file *self, const char *name)
{
    size_t length = strlen(self->name);
    return strncmp(name, self->name, length) == 0 && name[length] == '.' &&
           strspn(name + length + 1, "0123456789") == 8 && name[length + 9] == '-';
}

void log_file_tidy(struct log_file *self, int64_t wall_ms)
{
    DIR *folder = opendir(self->dir);
    if (folder == NULL) {
        self->failures++;
        return;
    }
    struct dirent *entry = NULL;
    while ((entry = readdir(folder)) != NULL) {
        if (is_rotated(self, entry->d_name)) {
            tidy_one(self, entry->d_name, wall_ms);
        }
    }
    (void)closedir(folder);
}
