#include "managers/pm2/lists/files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define SCAN_MAX 4096 /* names of a folder that are looked at */

/* A path as one name: each byte that is no plain one becomes %XX. Two homes never share it. */
static bool plain_name(const char *home, char *ret, size_t size)
{
    size_t used = 0;
    for (const char *at = home; *at != '\0' && used + 4 < size; at++) {
        bool plain = (*at >= 'a' && *at <= 'z') || (*at >= 'A' && *at <= 'Z') ||
                     (*at >= '0' && *at <= '9') || strchr("._-", *at) != NULL;
        used +=
            (size_t)snprintf(ret + used, size - used, plain ? "%c" : "%%%02X", (unsigned char)*at);
    }
    ret[used] = '\0';
    return used > 0 && used + 4 < size && used <= NAME_MAX;
}

static uint64_t number_of(const char *home)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (; *home != '\0'; home++) {
        hash = (hash ^ (unsigned char)*home) * UINT64_C(0x100000001b3);
    }
    return hash;
}

static int make_folder(const char *path, struct err *err)
{
    if (mkdir(path, 0700) != 0 && errno != EEXIST) {
        return err_set_errno(err, ERR_IO, "cannot make %.200s", path);
    }
    return 0;
}

int lists_files_open(const char *data_dir, const char *home, char ret[LISTS_PATH_SIZE],
                     struct err *err)
{
    char name[NAME_MAX + 8];
    if (!plain_name(home, name, sizeof name)) {
        (void)snprintf(name, sizeof name, "%016llx", (unsigned long long)number_of(home));
    }
    int length = snprintf(ret, LISTS_PATH_SIZE, "%s/lists", data_dir);
    int rc = length < LISTS_PATH_SIZE ? make_folder(ret, err) : ERR_INVALID;
    if (rc == 0) {
        length += snprintf(ret + length, (size_t)(LISTS_PATH_SIZE - length), "/%s", name);
        rc = length + 32 < LISTS_PATH_SIZE ? make_folder(ret, err) : ERR_INVALID;
    }
    return rc == ERR_INVALID ? err_set(err, rc, "the data folder's path is too long") : rc;
}

/* ---- reading ---- */

static int newest_first(const void *a, const void *b)
{
    int64_t left = *(const int64_t *)a;
    int64_t right = *(const int64_t *)b;
    return (left < right) - (left > right);
}

size_t lists_files_numbers(const char *folder, int64_t *ret, size_t most)
{
    int64_t *found = calloc(SCAN_MAX, sizeof *found);
    DIR *files = opendir(folder);
    size_t count = 0;
    const struct dirent *entry;
    while (files != NULL && found != NULL && count < SCAN_MAX && (entry = readdir(files)) != NULL) {
        char *end;
        long long number = strtoll(entry->d_name, &end, 10);
        if (number > 0 && *end == '\0' && entry->d_name[0] != '0') {
            found[count++] = number;
        }
    }
    if (files != NULL) {
        (void)closedir(files);
    }
    if (found != NULL) {
        qsort(found, count, sizeof *found, newest_first);
    }
    count = count < most ? count : most;
    for (size_t i = 0; i < count; i++) {
        ret[i] = found[i];
    }
    free(found);
    return count;
}

/* All of a file, or its beginning; free() it. */
static char *read_bytes(int fd, size_t most, size_t *ret_length)
{
    struct stat info;
    if (fstat(fd, &info) != 0 || !S_ISREG(info.st_mode) || info.st_size > VERSION_BYTES_MAX) {
        return NULL;
    }
    size_t size = (size_t)info.st_size < most ? (size_t)info.st_size : most;
    char *text = malloc(size + 1);
    size_t length = 0;
    while (text != NULL && length < size) {
        ssize_t got = read(fd, text + length, size - length);
        if (got <= 0) {
            break;
        }
        length += (size_t)got;
    }
    *ret_length = length;
    return text;
}

int lists_files_load(const char *folder, int64_t number, bool head_only, struct version *ret,
                     struct err *err)
{
    char path[LISTS_PATH_SIZE + 32];
    *ret = (struct version){0};
    (void)snprintf(path, sizeof path, "%s/%lld", folder, (long long)number);
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0) {
        return err_set(err, errno == ENOENT ? ERR_NOTFOUND : ERR_IO, "there is no version %lld",
                       (long long)number);
    }
    size_t length = 0;
    char *text = read_bytes(fd, head_only ? VERSION_HEAD_BYTES_MAX : VERSION_BYTES_MAX, &length);
    (void)close(fd);
    int rc = err_set(err, ERR_IO, "version %lld cannot be read", (long long)number);
    if (text != NULL) {
        rc = head_only ? version_read_head(text, length, ret, err)
                       : version_read(text, length, ret, err);
        explicit_bzero(text, length);
    }
    free(text);
    if (rc == 0 && ret->number != number) {
        rc = err_set(err, ERR_CORRUPT, "version %lld calls itself another", (long long)number);
    }
    if (rc != 0) {
        version_deinit(ret);
    }
    return rc;
}

/* ---- writing ---- */

struct job {
    const char *folder;
    const char *text;
    size_t length;
    char fresh[LISTS_PATH_SIZE + 32];
    char path[LISTS_PATH_SIZE + 32];
    char removed[LISTS_PATH_SIZE + 32]; /* empty: none */
};

static bool write_all(int fd, const char *text, size_t length)
{
    while (length > 0) {
        ssize_t put = write(fd, text, length);
        if (put < 0 && errno == EINTR) {
            continue;
        }
        if (put <= 0) {
            return false;
        }
        text += put;
        length -= (size_t)put;
    }
    return true;
}

static bool sync_folder(const char *folder)
{
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool good = fd >= 0 && fsync(fd) == 0;
    if (fd >= 0) {
        (void)close(fd);
    }
    return good;
}

/* In the child: system calls only, as after any fork of a process with threads. */
static void do_job(const struct job *job)
{
    int fd = open(job->fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    bool good = fd >= 0 && write_all(fd, job->text, job->length) && fsync(fd) == 0;
    if (fd >= 0) {
        (void)close(fd);
    }
    good = good && rename(job->fresh, job->path) == 0 && sync_folder(job->folder);
    if (good && job->removed[0] != '\0') {
        (void)unlink(job->removed);
    }
    _exit(good ? 0 : 1);
}

int lists_files_write(const char *folder, int64_t number, const char *text, int64_t remove,
                      struct lists_write *ret, struct err *err)
{
    struct job job = {.folder = folder, .text = text, .length = strlen(text)};
    (void)snprintf(job.fresh, sizeof job.fresh, "%s/new", folder);
    (void)snprintf(job.path, sizeof job.path, "%s/%lld", folder, (long long)number);
    if (remove > 0) {
        (void)snprintf(job.removed, sizeof job.removed, "%s/%lld", folder, (long long)remove);
    }
    pid_t pid = fork();
    if (pid == 0) {
        do_job(&job);
    }
    if (pid < 0) {
        return err_set_errno(err, ERR_IO, "cannot start a process");
    }
    *ret = (struct lists_write){.pid = pid, .pidfd = (int)syscall(SYS_pidfd_open, pid, 0)};
    return 0;
}

bool lists_files_written(struct lists_write *write)
{
    int status = -1;
    if (write->pidfd >= 0) {
        (void)close(write->pidfd);
    }
    pid_t got;
    do {
        got = waitpid(write->pid, &status, 0);
    } while (got < 0 && errno == EINTR);
    bool good = got == write->pid && WIFEXITED(status) && WEXITSTATUS(status) == 0;
    *write = (struct lists_write){.pidfd = -1};
    return good;
}
