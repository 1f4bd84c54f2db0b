#include "managers/pm2/lists/lists.h"

#include "managers/pm2/lists/files.h"
#include "managers/pm2/lists/saved.h"
#include "node/base/clock.h"
#include "node/base/doc.h"

#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define RETRY_MS 10000
#define SAVED_CHECK_MS 2000
#define NUMBERS_MAX 256

enum dirt { CLEAN, TOUCHED, CHANGED };

struct lists {
    struct runtime *runtime;
    char folder[LISTS_PATH_SIZE];
    char home[MANAGER_PATH_SIZE];
    char boot_id[VERSION_BOOT_ID_SIZE];
    struct wanted wanted;
    uint64_t digest; /* of the latest list */
    json_t *daemon;
    int64_t absent_since_ms; /* 0: it is not */
    bool keeps_tidied;       /* it has been so long enough to be kept */
    int64_t loss_since_ms;   /* 0: none */
    int64_t loss_wall_ms;
    int64_t checked_ms; /* whether a person saved since */

    struct version heads[LISTS_KEPT]; /* newest first, without rows */
    size_t head_count;
    json_t *base; /* rows of the newest version */
    enum dirt dirt;
    int64_t due_ms;
    struct lists_write write;
    struct version writing; /* without rows */
    json_t *writing_rows;
};

/* ---- opening ---- */

static void read_boot_id(char ret[VERSION_BOOT_ID_SIZE])
{
    int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    ssize_t got = fd >= 0 ? read(fd, ret, VERSION_BOOT_ID_SIZE - 1) : 0;
    if (fd >= 0) {
        (void)close(fd);
    }
    ret[got > 0 ? got : 0] = '\0';
    ret[strcspn(ret, "\n")] = '\0';
}

/* The wanted list is the newest version that can be read. */
static void adopt(struct lists *self, struct version *version)
{
    self->wanted.rows = json_incref(version->rows);
    self->wanted.life = version->life;
    self->wanted.tidied = version->tidied;
    self->wanted.loss = version->loss;
    self->base = json_incref(version->rows);
    self->daemon = json_incref(version->daemon);
    json_decref(version->rows);
    version->rows = NULL;
}

static void load(struct lists *self)
{
    int64_t numbers[NUMBERS_MAX];
    size_t count = lists_files_numbers(self->folder, numbers, NUMBERS_MAX);
    for (size_t i = 0; i < count; i++) {
        struct version version;
        struct err err = {0};
        if (self->head_count == LISTS_KEPT) {
            char path[LISTS_PATH_SIZE + 32];
            (void)snprintf(path, sizeof path, "%s/%lld", self->folder, (long long)numbers[i]);
            (void)unlink(path);
            continue;
        }
        bool head_only = self->wanted.rows != NULL;
        if (lists_files_load(self->folder, numbers[i], head_only, &version, &err) != 0 ||
            strcmp(version.home, self->home) != 0) {
            runtime_log(MANAGER_WARN, "version %lld of the list of %s is skipped: %s",
                        (long long)numbers[i], self->home,
                        err.code != 0 ? err.msg : "it is of another home");
            version_deinit(&version);
            continue;
        }
        if (!head_only) {
            adopt(self, &version);
        }
        self->heads[self->head_count++] = version;
    }
}

int lists_open(struct runtime *runtime, const char *data_dir, const char *home, struct lists **ret,
               struct err *err)
{
    struct lists *self = calloc(1, sizeof *self);
    if (self == NULL) {
        return err_set(err, ERR_NOMEM, "no memory for the lists");
    }
    self->runtime = runtime;
    self->write.pidfd = -1;
    (void)snprintf(self->home, sizeof self->home, "%s", home);
    struct err inner = {0};
    if (lists_files_open(data_dir, home, self->folder, &inner) != 0) {
        runtime_log(MANAGER_WARN, "the lists of %s are not kept: %s", home, inner.msg);
    }
    read_boot_id(self->boot_id);
    load(self);
    *ret = self;
    return 0;
}

/* ---- writing ---- */

static void make_dirty(struct lists *self, enum dirt dirt, int64_t now_ms)
{
    if (self->dirt == CLEAN) {
        self->due_ms = now_ms + LISTS_WRITE_MS;
    }
    self->dirt = dirt > self->dirt ? dirt : self->dirt;
}

static void keep_head(struct lists *self)
{
    bool same = self->head_count > 0 && self->heads[0].number == self->writing.number;
    if (same) {
        version_deinit(&self->heads[0]);
    } else {
        if (self->head_count == LISTS_KEPT) {
            version_deinit(&self->heads[--self->head_count]);
        }
        memmove(self->heads + 1, self->heads, self->head_count * sizeof *self->heads);
        self->head_count++;
    }
    self->heads[0] = self->writing;
    self->writing = (struct version){0};
    json_decref(self->base);
    self->base = self->writing_rows;
    self->writing_rows = NULL;
}

static void finish_write(struct lists *self)
{
    if (self->write.pidfd >= 0) {
        runtime_unwatch(self->runtime, self->write.pidfd);
    }
    if (lists_files_written(&self->write)) {
        keep_head(self);
        return;
    }
    runtime_log(MANAGER_WARN, "the list of %s cannot be written below %s", self->home,
                self->folder);
    enum dirt dirt = self->heads[0].number == self->writing.number ? TOUCHED : CHANGED;
    version_deinit(&self->writing);
    json_decref(self->writing_rows);
    self->writing_rows = NULL;
    self->dirt = dirt > self->dirt ? dirt : self->dirt;
    self->due_ms = clock_boot_ms() + RETRY_MS;
}

static void on_written(void *context, int fd, short revents)
{
    (void)fd;
    (void)revents;
    finish_write(context);
}

/* What the next file says; its rows are those of the wanted list. */
static void fill_version(struct lists *self, bool is_new, struct version *ret)
{
    const struct version *newest = self->head_count > 0 ? &self->heads[0] : NULL;
    *ret = (struct version){.number = newest == NULL ? 1 : newest->number + (is_new ? 1 : 0),
                            .wall_ms = is_new ? clock_wall_ms() : newest->wall_ms,
                            .life = self->wanted.life,
                            .tidied = self->keeps_tidied,
                            .loss = self->wanted.loss,
                            .daemon = json_incref(self->daemon),
                            .rows = self->wanted.rows};
    ret->changes = is_new ? saved_changes(self->base, self->wanted.rows, VERSION_CHANGES_MAX)
                          : json_incref(newest->changes);
    (void)snprintf(ret->home, sizeof ret->home, "%s", self->home);
    memcpy(ret->boot_id, self->boot_id, sizeof ret->boot_id);
}

static void begin_write(struct lists *self, int64_t now_ms)
{
    bool is_new = self->head_count == 0 ||
                  (self->dirt == CHANGED && !saved_same(self->base, self->wanted.rows));
    struct err err = {0};
    fill_version(self, is_new, &self->writing);
    char *text = version_text(&self->writing);
    bool full = is_new && self->head_count == LISTS_KEPT;
    int64_t remove = full ? self->heads[LISTS_KEPT - 1].number : 0;
    int rc = text == NULL ? err_set(&err, ERR_FULL, "it is larger than %d bytes", VERSION_BYTES_MAX)
                          : lists_files_write(self->folder, self->writing.number, text, remove,
                                              &self->write, &err);
    if (text != NULL) {
        explicit_bzero(text, strlen(text));
    }
    free(text);
    self->writing.rows = NULL;
    if (rc != 0) {
        runtime_log(MANAGER_WARN, "the list of %s is not kept: %s", self->home, err.msg);
        version_deinit(&self->writing);
        self->due_ms = now_ms + RETRY_MS;
        return;
    }
    self->dirt = CLEAN;
    self->writing.names = saved_names(self->wanted.rows);
    self->writing_rows = json_incref(self->wanted.rows);
    if (self->write.pidfd < 0 ||
        runtime_watch(self->runtime, self->write.pidfd, POLLIN, on_written, self) != 0) {
        finish_write(self); /* no pidfd for it: then it is awaited */
    }
}

static void write_if_due(struct lists *self, int64_t now_ms)
{
    if (self->dirt != CLEAN && self->write.pid == 0 && self->wanted.rows != NULL &&
        now_ms >= self->due_ms) {
        begin_write(self, now_ms);
    }
}

void lists_close(struct lists **self_p)
{
    if (self_p == NULL || *self_p == NULL) {
        return;
    }
    struct lists *self = *self_p;
    *self_p = NULL;
    if (self->write.pid > 0) {
        finish_write(self);
    }
    self->due_ms = INT64_MIN;
    write_if_due(self, clock_boot_ms());
    if (self->write.pid > 0) {
        finish_write(self);
    }
    for (size_t i = 0; i < self->head_count; i++) {
        version_deinit(&self->heads[i]);
    }
    json_decref(self->base);
    json_decref(self->daemon);
    wanted_deinit(&self->wanted);
    free(self);
}

/* ---- what PM2 says ---- */

static void note_loss(struct lists *self, int64_t now_ms)
{
    if (self->wanted.loss == WANTED_WHOLE) {
        self->loss_since_ms = 0;
    } else if (self->loss_since_ms == 0) {
        self->loss_since_ms = now_ms;
        self->loss_wall_ms = clock_machine_wall_ms();
    }
}

static bool head_is_old(const struct lists *self)
{
    const struct version *newest = self->head_count > 0 ? &self->heads[0] : NULL;
    return newest == NULL || newest->life != self->wanted.life ||
           newest->loss != self->wanted.loss || newest->tidied != self->keeps_tidied ||
           strcmp(newest->boot_id, self->boot_id) != 0;
}

void lists_take(struct lists *self, const json_t *list, uint64_t life, int64_t now_ms)
{
    uint64_t digest = saved_digest(list);
    if (life == 0 || (digest == self->digest && life == self->wanted.life &&
                      self->wanted.missing == NULL && self->wanted.rows != NULL)) {
        return;
    }
    json_t *rows = saved_from_list(list);
    if (rows == NULL) {
        return;
    }
    self->digest = digest;
    self->keeps_tidied = false;
    enum wanted_change change = wanted_take(&self->wanted, rows, life, now_ms);
    json_decref(rows);
    note_loss(self, now_ms);
    if (self->wanted.rows != NULL && (change != WANTED_SAME || head_is_old(self))) {
        make_dirty(self, change == WANTED_CHANGED ? CHANGED : TOUCHED, now_ms);
    }
}

void lists_leave_out(struct lists *self, const char *name)
{
    if (wanted_leave_out(&self->wanted, name)) {
        make_dirty(self, CHANGED, clock_boot_ms());
    }
}

/* Ended by a person: of this life of the machine, and for longer than its shutdown would take. */
static void watch_absence(struct lists *self, bool tidied, int64_t now_ms)
{
    if (!tidied || lists_is_of_another_boot(self)) {
        self->absent_since_ms = 0;
        return;
    }
    if (self->absent_since_ms == 0) {
        self->absent_since_ms = now_ms;
        wanted_tidied(&self->wanted);
    }
    if (!self->keeps_tidied && now_ms - self->absent_since_ms >= LISTS_TIDIED_MS) {
        self->keeps_tidied = true;
        make_dirty(self, TOUCHED, now_ms);
    }
}

/* `pm2 save` is a person's word that the list is meant as it is. */
static void watch_saves(struct lists *self, int64_t now_ms)
{
    char path[MANAGER_PATH_SIZE + 16];
    struct stat info;
    if (self->loss_since_ms == 0 || now_ms - self->checked_ms < SAVED_CHECK_MS) {
        return;
    }
    self->checked_ms = now_ms;
    (void)snprintf(path, sizeof path, "%s/dump.pm2", self->home);
    if (stat(path, &info) == 0 &&
        (int64_t)info.st_mtim.tv_sec * 1000 + info.st_mtim.tv_nsec / 1000000 > self->loss_wall_ms) {
        wanted_meant(&self->wanted); /* holds with the next list */
        self->loss_since_ms = 0;
    }
}

void lists_step(struct lists *self, bool tidied, int64_t now_ms)
{
    watch_absence(self, tidied, now_ms);
    watch_saves(self, now_ms);
    write_if_due(self, now_ms);
}

void lists_say(struct lists *self, struct findings *findings, bool daemon_is_up, int64_t now_ms)
{
    enum wanted_loss loss = self->wanted.loss;
    int64_t stands_ms = loss == WANTED_EMPTIED ? LISTS_EMPTIED_MS : LISTS_LOST_MS;
    size_t missing = json_array_size(self->wanted.missing);
    if (!daemon_is_up || self->loss_since_ms == 0 || missing == 0 ||
        now_ms - self->loss_since_ms < stands_ms) {
        return;
    }
    bool all = missing == json_array_size(self->wanted.rows);
    (void)findings_say(findings, "pm2.emptied", "", all ? FINDING_CRITICAL : FINDING_WARNING,
                       now_ms,
                       "%zu of %zu processes of %.60s are gone from PM2's list; restore "
                       "them, or tell by pm2 save that it is meant",
                       missing, json_array_size(self->wanted.rows), self->home);
}

/* ---- what others ask ---- */

void lists_set_daemon(struct lists *self, json_t *daemon)
{
    if (json_equal(self->daemon, daemon) == 1) {
        json_decref(daemon);
        return;
    }
    json_decref(self->daemon);
    self->daemon = daemon;
    make_dirty(self, TOUCHED, clock_boot_ms());
}

const json_t *lists_daemon(const struct lists *self)
{
    return self->daemon;
}

const json_t *lists_wanted(const struct lists *self)
{
    return self->wanted.rows;
}

bool lists_is_tidied(const struct lists *self)
{
    return self->wanted.rows == NULL || self->wanted.tidied;
}

bool lists_is_of_another_boot(const struct lists *self)
{
    return self->head_count > 0 && strcmp(self->heads[0].boot_id, self->boot_id) != 0;
}

json_t *lists_versions(const struct lists *self)
{
    json_t *ret = json_array();
    for (size_t i = 0; i < self->head_count; i++) {
        const struct version *head = &self->heads[i];
        (void)json_array_append_new(
            ret, json_pack("{sI so sI sO sO sb}", "number", (json_int_t)head->number, "time",
                           doc_time(head->wall_ms), "processes",
                           (json_int_t)json_array_size(head->names), "names", head->names,
                           "changed", head->changes, "current", i == 0));
    }
    return ret;
}

int lists_rows(const struct lists *self, int64_t number, json_t **ret, struct err *err)
{
    if (number == 0 && self->wanted.rows != NULL) {
        *ret = json_incref(self->wanted.rows);
        return 0;
    }
    struct version version;
    int rc = lists_files_load(self->folder, number, false, &version, err);
    if (rc != 0) {
        return rc;
    }
    *ret = version.rows;
    version.rows = NULL;
    version_deinit(&version);
    return 0;
}
