#include "managers/pm2/logs/survey.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

struct row {
    struct rotated rotated;
    size_t folder;
    char *name;
};

struct folder {
    char path[PATH_MAX];
    DIR *open;
    uid_t owner;
    bool own; /* of a PM2 home */
};

struct survey {
    const struct rotation_policy *policy;
    struct survey_log *logs;
    size_t log_count;
    const atomic_bool *may;
    struct folder *folders;
    size_t folder_count;
    struct row *rows;
    size_t row_count;
    char *strays[SURVEY_STRAYS_MAX];
    size_t stray_count;
    struct survey_result result;
};

/* ---- folders ---- */

static struct folder *add_folder(struct survey *self, const char *path, size_t length, uid_t owner)
{
    for (size_t i = 0; i < self->folder_count; i++) {
        const char *known = self->folders[i].path;
        if (strlen(known) == length && memcmp(known, path, length) == 0) {
            return &self->folders[i];
        }
    }
    if (self->folder_count == SURVEY_FOLDERS_MAX || length == 0 || length >= PATH_MAX) {
        return NULL;
    }
    struct folder *folder = &self->folders[self->folder_count];
    *folder = (struct folder){.owner = owner};
    memcpy(folder->path, path, length);
    folder->open = opendir(folder->path);
    self->folder_count += folder->open != NULL;
    return folder->open != NULL ? folder : NULL;
}

static void add_folders(struct survey *self, const struct survey_log *own, size_t own_count)
{
    for (size_t i = 0; i < own_count; i++) {
        struct folder *folder = add_folder(self, own[i].path, strlen(own[i].path), own[i].owner);
        if (folder != NULL) {
            folder->own = true;
        }
    }
    for (size_t i = 0; i < self->log_count; i++) {
        const char *slash = strrchr(self->logs[i].path, '/');
        if (slash != NULL) {
            (void)add_folder(self, self->logs[i].path, (size_t)(slash - self->logs[i].path),
                             self->logs[i].owner);
        }
    }
}

/* ---- files ---- */

static int by_path(const void *key, const void *log)
{
    return strcmp(key, ((const struct survey_log *)log)->path);
}

/* NAME-out.log, NAME-error-3.log. */
static bool is_named_by_pm2(const char *base)
{
    size_t length = strlen(base);
    return length > 4 && strcmp(base + length - 4, ".log") == 0 &&
           (strstr(base, "-out") != NULL || strstr(base, "-error") != NULL);
}

/* A number behind those of the logs; SIZE_MAX: none left. */
static size_t stray_group(struct survey *self, const char *path)
{
    for (size_t i = 0; i < self->stray_count; i++) {
        if (strcmp(self->strays[i], path) == 0) {
            return self->log_count + i;
        }
    }
    char *kept = self->stray_count < SURVEY_STRAYS_MAX ? strdup(path) : NULL;
    if (kept == NULL) {
        return SIZE_MAX;
    }
    self->strays[self->stray_count] = kept;
    return self->log_count + self->stray_count++;
}

/* Which log it was; SIZE_MAX: none of ours. */
static size_t group_of(struct survey *self, const struct folder *folder, const char *name,
                       size_t base_length, uid_t *ret_owner)
{
    char path[PATH_MAX + NAME_MAX + 2];
    (void)snprintf(path, sizeof path, "%s/%.*s", folder->path, (int)base_length, name);
    const struct survey_log *log =
        bsearch(path, self->logs, self->log_count, sizeof *self->logs, by_path);
    *ret_owner = log != NULL ? log->owner : folder->owner;
    if (log != NULL) {
        return (size_t)(log - self->logs);
    }
    return folder->own && is_named_by_pm2(path + strlen(folder->path) + 1) ? stray_group(self, path)
                                                                           : SIZE_MAX;
}

/* A cutter holds a lock on what it writes; one that died does not. */
static void remove_part(struct survey *self, int folder, const char *name)
{
    int fd = openat(folder, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0 && atomic_load(self->may)) {
        self->result.failed += unlinkat(folder, name, 0) != 0;
    }
    if (fd >= 0) {
        (void)close(fd);
    }
}

static void take_file(struct survey *self, size_t index, const char *name)
{
    struct folder *folder = &self->folders[index];
    struct rotated_name parsed;
    struct stat info;
    uid_t owner;
    if (!rotated_name_parse(name, &parsed)) {
        return;
    }
    size_t group = group_of(self, folder, name, parsed.base_length, &owner);
    if (group == SIZE_MAX || fstatat(dirfd(folder->open), name, &info, AT_SYMLINK_NOFOLLOW) != 0 ||
        !S_ISREG(info.st_mode) || info.st_uid != owner) {
        return;
    }
    if (parsed.part) {
        remove_part(self, dirfd(folder->open), name);
        return;
    }
    char *kept = self->row_count < SURVEY_ROWS_MAX ? strdup(name) : NULL;
    if (kept == NULL) {
        return;
    }
    int64_t made_ms = (int64_t)info.st_mtim.tv_sec * 1000 + info.st_mtim.tv_nsec / 1000000;
    self->rows[self->row_count++] =
        (struct row){.rotated = {.group = group, .bytes = info.st_blocks * 512, .made_ms = made_ms},
                     .folder = index,
                     .name = kept};
    if (group < self->log_count && made_ms > self->logs[group].newest_ms) {
        self->logs[group].newest_ms = made_ms;
    }
}

static void read_folders(struct survey *self)
{
    for (size_t i = 0; i < self->folder_count; i++) {
        const struct dirent *entry = NULL;
        while ((entry = readdir(self->folders[i].open)) != NULL) {
            take_file(self, i, entry->d_name);
        }
    }
}

/* ---- what goes ---- */

static int by_group_and_age(const void *left, const void *right)
{
    const struct rotated *a = &((const struct row *)left)->rotated;
    const struct rotated *b = &((const struct row *)right)->rotated;
    if (a->group != b->group) {
        return a->group < b->group ? -1 : 1;
    }
    return a->made_ms < b->made_ms ? -1 : a->made_ms > b->made_ms;
}

static bool sweep(struct survey *self, int64_t now_ms)
{
    struct rotated *rotated = calloc(self->row_count + 1, sizeof *rotated);
    if (rotated == NULL) {
        return false;
    }
    qsort(self->rows, self->row_count, sizeof *self->rows, by_group_and_age);
    for (size_t i = 0; i < self->row_count; i++) {
        rotated[i] = self->rows[i].rotated;
    }
    (void)policy_sweep(self->policy, rotated, self->row_count, now_ms);
    for (size_t i = 0; i < self->row_count; i++) {
        const struct row *row = &self->rows[i];
        bool drop = rotated[i].drop && atomic_load(self->may);
        bool gone = drop && unlinkat(dirfd(self->folders[row->folder].open), row->name, 0) == 0;
        self->result.deleted += gone;
        self->result.failed += drop && !gone;
        self->result.files += !gone;
        self->result.bytes += gone ? 0 : row->rotated.bytes;
    }
    free(rotated);
    return true;
}

static void deinit(struct survey *self)
{
    for (size_t i = 0; i < self->folder_count; i++) {
        (void)closedir(self->folders[i].open);
    }
    for (size_t i = 0; i < self->row_count; i++) {
        free(self->rows[i].name);
    }
    for (size_t i = 0; i < self->stray_count; i++) {
        free(self->strays[i]);
    }
    free(self->folders);
    free(self->rows);
    free(self);
}

bool survey(const struct rotation_policy *policy, struct survey_log *logs, size_t count,
            const struct survey_log *own_folders, size_t own_count, int64_t now_ms,
            const atomic_bool *may, struct survey_result *ret)
{
    struct survey *self = calloc(1, sizeof *self);
    if (self == NULL) {
        return false;
    }
    self->policy = policy;
    self->logs = logs;
    self->log_count = count;
    self->may = may;
    self->folders = calloc(SURVEY_FOLDERS_MAX, sizeof *self->folders);
    self->rows = calloc(SURVEY_ROWS_MAX, sizeof *self->rows);
    bool good = self->folders != NULL && self->rows != NULL;
    if (good) {
        add_folders(self, own_folders, own_count);
        read_folders(self);
        good = sweep(self, now_ms);
    }
    if (good) {
        *ret = self->result;
    }
    deinit(self);
    return good;
}
