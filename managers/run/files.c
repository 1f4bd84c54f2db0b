#include "managers/run/files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int files_open(const char *data_dir, const char *prefix, struct files *ret, struct err *err)
{
    int prefix_needed = snprintf(ret->prefix, sizeof ret->prefix, "%s", prefix);
    int needed = snprintf(ret->folder, sizeof ret->folder, "%s/runs", data_dir);
    if (needed < 0 || (size_t)needed >= sizeof ret->folder || prefix_needed < 0 ||
        (size_t)prefix_needed >= sizeof ret->prefix) {
        return err_set(err, ERR_INVALID, "the data folder's path, or the prefix, is too long");
    }
    if (mkdir(ret->folder, 0700) != 0 && errno != EEXIST) {
        return err_set_errno(err, ERR_IO, "cannot make %s", ret->folder);
    }
    return 0;
}

/* "run/report@KEY": how long the schedule's name is, and where the key begins. */
static size_t split_duty(const struct files *self, const char *duty, const char **ret_name,
                         const char **ret_key)
{
    *ret_name = duty + strlen(self->prefix);
    size_t length = strcspn(*ret_name, "@");
    *ret_key = *ret_name + length + 1;
    return length;
}

void files_path(const struct files *self, const char *duty, const char *ending,
                char ret[FILES_PATH_SIZE])
{
    const char *name;
    const char *key;
    size_t length = split_duty(self, duty, &name, &key);
    (void)snprintf(ret, FILES_PATH_SIZE, "%s/%.*s/%s.%s", self->folder, (int)length, name, key,
                   ending);
}

/* The folder of the duty's schedule. */
static int make_folder(const struct files *self, const char *duty, struct err *err)
{
    char path[FILES_PATH_SIZE];
    const char *name;
    const char *key;
    size_t length = split_duty(self, duty, &name, &key);
    (void)snprintf(path, sizeof path, "%s/%.*s", self->folder, (int)length, name);
    if (mkdir(path, 0700) != 0 && errno != EEXIST) {
        return err_set_errno(err, ERR_IO, "cannot make %.150s", path);
    }
    return 0;
}

bool files_begun(const struct files *self, const char *duty)
{
    char path[FILES_PATH_SIZE];
    files_path(self, duty, "run", path);
    if (access(path, F_OK) == 0) {
        return true;
    }
    files_path(self, duty, "out", path);
    return access(path, F_OK) == 0;
}

static int write_whole(const char *path, int flags, const struct record *record, struct err *err)
{
    char text[RECORD_SIZE];
    size_t length = record_write(record, text);
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW | flags, 0600);
    if (fd < 0) {
        return err_set_errno(err, errno == EEXIST ? ERR_EXISTS : ERR_IO, "cannot make %s", path);
    }
    bool good = write(fd, text, length) == (ssize_t)length;
    int rc = good ? 0 : err_set_errno(err, ERR_IO, "cannot write %s", path);
    (void)close(fd);
    if (!good) {
        (void)unlink(path);
    }
    return rc;
}

int files_begin(const struct files *self, const char *duty, const struct record *record,
                struct err *err)
{
    char path[FILES_PATH_SIZE];
    if (files_begun(self, duty)) {
        return err_set(err, ERR_EXISTS, "%s was begun here before", duty);
    }
    files_path(self, duty, "run", path);
    int rc = make_folder(self, duty, err);
    return rc != 0 ? rc : write_whole(path, O_EXCL, record, err);
}

int files_record(const struct files *self, const char *duty, const struct record *record,
                 struct err *err)
{
    char path[FILES_PATH_SIZE];
    char fresh[FILES_PATH_SIZE];
    files_path(self, duty, "run", path);
    files_path(self, duty, "new", fresh);
    int rc = write_whole(fresh, O_TRUNC, record, err);
    if (rc == 0 && rename(fresh, path) != 0) {
        rc = err_set_errno(err, ERR_IO, "cannot replace %s", path);
    }
    return rc;
}

/* At most size - 1 bytes; false when there is no such file. */
static bool read_file(const char *path, char *ret, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0) {
        return false;
    }
    ssize_t got = read(fd, ret, size - 1);
    (void)close(fd);
    ret[got > 0 ? got : 0] = '\0';
    return got >= 0;
}

bool files_record_of(const struct files *self, const char *duty, struct record *ret)
{
    char path[FILES_PATH_SIZE];
    char text[RECORD_SIZE];
    files_path(self, duty, "run", path);
    return read_file(path, text, sizeof text) && record_read(text, ret);
}

static int64_t changed_ms(const struct stat *info)
{
    return (int64_t)info->st_mtim.tv_sec * 1000 + info->st_mtim.tv_nsec / 1000000;
}

struct ending files_ending_of(const struct files *self, const char *duty, int64_t *ret_wall_ms)
{
    struct ending ret = {.cause = ENDING_UNSEEN, .exit_status = MANAGER_EXIT_UNKNOWN};
    struct stat info;
    char path[FILES_PATH_SIZE];
    char text[64];
    files_path(self, duty, "end", path);
    if (read_file(path, text, sizeof text) && ending_read(text, &ret) && stat(path, &info) == 0) {
        *ret_wall_ms = changed_ms(&info);
    }
    return ret;
}

void files_forget(const struct files *self, const char *duty)
{
    static const char *const endings[] = {"pipe", "end", "part", "new", "out.new", "run"};
    char path[FILES_PATH_SIZE];
    for (size_t i = 0; i < sizeof endings / sizeof endings[0]; i++) {
        files_path(self, duty, endings[i], path);
        (void)unlink(path);
    }
}

/* ---- all of a kind ---- */

/* "m1.out" in the folder "report", with ending "out", is duty "run/report@m1". */
static bool duty_of_file(const char *prefix, const char *schedule, const char *file,
                         const char *ending, char ret[DUTY_ID_SIZE], struct slot_name *ret_slot)
{
    size_t length = strlen(file);
    size_t tail = strlen(ending) + 1;
    if (length <= tail || file[length - tail] != '.' ||
        strcmp(file + length - tail + 1, ending) != 0) {
        return false;
    }
    int needed =
        snprintf(ret, DUTY_ID_SIZE, "%s%s@%.*s", prefix, schedule, (int)(length - tail), file);
    return needed > 0 && needed < DUTY_ID_SIZE && slot_parse(prefix, ret, ret_slot);
}

static void visit_folder(const struct files *self, const char *schedule, const char *ending,
                         files_visit_fn *visit, void *context)
{
    char path[FILES_PATH_SIZE];
    int needed = snprintf(path, sizeof path, "%s/%s", self->folder, schedule);
    DIR *folder = needed > 0 && (size_t)needed < sizeof path ? opendir(path) : NULL;
    const struct dirent *entry = NULL;
    while (folder != NULL && (entry = readdir(folder)) != NULL) {
        char duty[DUTY_ID_SIZE];
        struct slot_name slot;
        struct stat info;
        if (duty_of_file(self->prefix, schedule, entry->d_name, ending, duty, &slot) &&
            fstatat(dirfd(folder), entry->d_name, &info, AT_SYMLINK_NOFOLLOW) == 0) {
            visit(context, duty, &slot, (int64_t)info.st_size, changed_ms(&info));
        }
    }
    if (folder != NULL) {
        (void)closedir(folder);
    }
}

void files_visit(const struct files *self, const char *schedule, const char *ending,
                 files_visit_fn *visit, void *context)
{
    if (schedule != NULL) {
        visit_folder(self, schedule, ending, visit, context);
        return;
    }
    DIR *folder = opendir(self->folder);
    const struct dirent *entry = NULL;
    while (folder != NULL && (entry = readdir(folder)) != NULL) {
        if (entry->d_name[0] != '.') {
            visit_folder(self, entry->d_name, ending, visit, context);
        }
    }
    if (folder != NULL) {
        (void)closedir(folder);
    }
}

struct oldest {
    size_t count;
    int64_t changed_ms;
    char duty[DUTY_ID_SIZE];
};

static void count_output(void *context, const char *duty, const struct slot_name *slot,
                         int64_t bytes, int64_t changed_wall_ms)
{
    struct oldest *self = context;
    (void)slot;
    (void)bytes;
    if (self->count == 0 || changed_wall_ms < self->changed_ms) {
        self->changed_ms = changed_wall_ms;
        (void)snprintf(self->duty, sizeof self->duty, "%s", duty);
    }
    self->count++;
}

void files_prune(const struct files *self, const char *schedule, size_t keep)
{
    for (;;) {
        struct oldest oldest = {0};
        files_visit(self, schedule, "out", count_output, &oldest);
        char path[FILES_PATH_SIZE];
        if (oldest.count <= keep) {
            return;
        }
        files_path(self, oldest.duty, "out", path);
        if (unlink(path) != 0) {
            return;
        }
    }
}
