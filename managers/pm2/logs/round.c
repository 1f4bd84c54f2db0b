#include "managers/pm2/logs/round.h"

#include "managers/pm2/logs/cut.h"
#include "managers/pm2/logs/rotators.h"
#include "managers/pm2/logs/survey.h"

#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* What is known of a log. */
struct known {
    char *path;
    size_t home; /* of the job */
    bool seen;   /* the rest is filled in */
    dev_t device;
    ino_t inode;
    int64_t bytes;
    int64_t filling; /* bytes at its head that are ours */
    int64_t since_ms;
    int64_t foreign_until_ms; /* another rotator is at work: CLOCK_BOOTTIME; 0 never */
    int64_t next_ms;          /* not before */
    unsigned failures;
    bool trouble;
    char why[REASON_SIZE]; /* not empty: to be said */
};

struct rounds {
    char *logrotate_folder;
    char *logrotate_file;
    struct rotators *rotators;
    int64_t rotators_ms;
    int64_t surveyed_ms;
    bool survey_due;
    struct known *logs; /* ascending by path */
    size_t log_count;
};

struct round {
    struct rounds *rounds;
    const struct round_job *job;
    int64_t now_ms;
    int64_t wall_ms;
    int64_t midnight_ms;
    const atomic_bool *may;
    struct round_report *report;
    uid_t owners[ROUND_HOMES_MAX];
    bool stands_back[ROUND_HOMES_MAX];
};

void round_job_destroy(struct round_job *job)
{
    for (size_t i = 0; job != NULL && i < job->home_count; i++) {
        struct round_home *home = &job->homes[i];
        for (size_t k = 0; k < home->log_count; k++) {
            free(home->logs[k]);
        }
        free(home->logs);
        free(home->pids);
        free(home->path);
    }
    free(job);
}

struct rounds *rounds_create(const char *logrotate_folder, const char *logrotate_file)
{
    struct rounds *self = calloc(1, sizeof *self);
    if (self != NULL) {
        self->logrotate_folder = strdup(logrotate_folder);
        self->logrotate_file = strdup(logrotate_file);
        self->survey_due = true;
    }
    if (self != NULL && (self->logrotate_folder == NULL || self->logrotate_file == NULL)) {
        rounds_destroy(&self);
    }
    return self;
}

void rounds_destroy(struct rounds **self_p)
{
    if (self_p == NULL || *self_p == NULL) {
        return;
    }
    struct rounds *self = *self_p;
    for (size_t i = 0; i < self->log_count; i++) {
        free(self->logs[i].path);
    }
    rotators_destroy(&self->rotators);
    free(self->logs);
    free(self->logrotate_folder);
    free(self->logrotate_file);
    free(self);
    *self_p = NULL;
}

/* ---- what is said ---- */

static void say(struct round *self, bool trouble, const char *object, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

static void say(struct round *self, bool trouble, const char *object, const char *format, ...)
{
    struct round_report *report = self->report;
    if (report->said_count == ROUND_SAID_MAX) {
        return;
    }
    struct round_said *said = &report->said[report->said_count++];
    said->trouble = trouble;
    (void)snprintf(said->object, sizeof said->object, "%s", object);
    va_list args;
    va_start(args, format);
    (void)vsnprintf(said->text, sizeof said->text, format, args);
    va_end(args);
}

static void note(struct known *log, bool trouble, const char *why)
{
    log->trouble = trouble;
    (void)snprintf(log->why, sizeof log->why, "%s", why);
}

static const char *base_of(const char *path)
{
    return strrchr(path, '/') + 1; /* paths are absolute */
}

static void say_notes(struct round *self)
{
    for (size_t i = 0; i < self->rounds->log_count; i++) {
        const struct known *log = &self->rounds->logs[i];
        if (log->why[0] != '\0' && !self->stands_back[log->home]) {
            say(self, log->trouble, base_of(log->path), "%s", log->why);
        }
    }
}

/* ---- the logs of this round ---- */

static int by_path(const void *left, const void *right)
{
    return strcmp(((const struct known *)left)->path, ((const struct known *)right)->path);
}

static size_t gather(const struct round_job *job, struct known *logs)
{
    size_t count = 0;
    for (size_t i = 0; i < job->home_count; i++) {
        for (size_t k = 0; k < job->homes[i].log_count; k++) {
            logs[count++] = (struct known){.path = job->homes[i].logs[k], .home = i};
        }
    }
    qsort(logs, count, sizeof *logs, by_path);
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        if (kept == 0 || strcmp(logs[i].path, logs[kept - 1].path) != 0) {
            logs[kept++] = logs[i];
        }
    }
    return kept;
}

/* What was known of a log stays; a log that PM2 lists no more is forgotten. Both are ascending. */
static bool take_logs(struct rounds *self, const struct round_job *job)
{
    size_t most = 1;
    for (size_t i = 0; i < job->home_count; i++) {
        most += job->homes[i].log_count;
    }
    struct known *logs = calloc(most, sizeof *logs);
    if (logs == NULL) {
        return false;
    }
    size_t count = gather(job, logs);
    size_t kept = 0;
    size_t old = 0;
    for (size_t i = 0; i < count; i++) {
        struct known log = logs[i];
        while (old < self->log_count && strcmp(self->logs[old].path, log.path) < 0) {
            free(self->logs[old++].path);
        }
        if (old < self->log_count && strcmp(self->logs[old].path, log.path) == 0) {
            log = self->logs[old++];
            log.home = logs[i].home;
        } else {
            log.path = strdup(log.path);
            self->survey_due = true;
        }
        if (log.path != NULL) {
            logs[kept++] = log;
        }
    }
    while (old < self->log_count) {
        free(self->logs[old++].path);
    }
    free(self->logs);
    self->logs = logs;
    self->log_count = kept;
    return true;
}

/* ---- who else rotates ---- */

static void look_for_rotators(struct round *self)
{
    struct rounds *rounds = self->rounds;
    if (rounds->rotators == NULL || self->now_ms - rounds->rotators_ms >= ROUND_ROTATORS_MS) {
        rotators_destroy(&rounds->rotators);
        rounds->rotators = rotators_load(rounds->logrotate_folder, rounds->logrotate_file);
        rounds->rotators_ms = self->now_ms;
    }
    for (size_t i = 0; i < self->job->home_count; i++) {
        const struct round_home *home = &self->job->homes[i];
        struct stat info;
        bool there = stat(home->path, &info) == 0;
        self->owners[i] = there ? info.st_uid : (uid_t)-1;
        self->stands_back[i] = !there || home->rotator_listed || rotators_in_home(home->path);
        if (there && self->stands_back[i]) {
            say(self, false, base_of(home->path),
                "a module of PM2 rotates the logs of %.100s; not rotated here", home->path);
        }
    }
}

/* ---- looking ---- */

static int64_t birth_ms(const char *path)
{
    struct statx info;
    bool known = statx(AT_FDCWD, path, AT_SYMLINK_NOFOLLOW, STATX_BTIME, &info) == 0 &&
                 (info.stx_mask & STATX_BTIME) != 0;
    return known ? (int64_t)info.stx_btime.tv_sec * 1000 + info.stx_btime.tv_nsec / 1000000
                 : INT64_MAX;
}

static int64_t read_filling(const char *path)
{
    int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    char *head = fd >= 0 ? malloc(CUT_FILLING_MAX) : NULL;
    ssize_t length = head != NULL ? pread(fd, head, CUT_FILLING_MAX, 0) : 0;
    int64_t filling = length > 0 ? (int64_t)cut_filling(head, (size_t)length) : 0;
    free(head);
    if (fd >= 0) {
        (void)close(fd);
    }
    return filling;
}

static void take_size(const struct round *self, struct known *log, const struct stat *info)
{
    log->device = info->st_dev;
    log->inode = info->st_ino;
    log->bytes = info->st_size;
    if (log->bytes <= log->filling) {
        log->since_ms = self->wall_ms; /* empty: what comes is of now or later */
    }
}

static void meet(const struct round *self, struct known *log, const struct stat *info)
{
    int64_t born_ms = birth_ms(log->path);
    log->seen = true;
    log->filling = read_filling(log->path);
    if (log->since_ms < born_ms) {
        log->since_ms = born_ms == INT64_MAX ? self->wall_ms : born_ms;
    }
    take_size(self, log, info);
}

/* It is another file, or shorter than it was: that was not us. */
static void take_foreign(const struct round *self, struct known *log, const struct stat *info)
{
    log->foreign_until_ms = self->now_ms + ROUND_STAND_BACK_MS;
    log->filling = read_filling(log->path);
    log->since_ms = self->wall_ms;
    take_size(self, log, info);
}

/* False: there is no such file, or none that could be rotated. */
static bool look(const struct round *self, struct known *log)
{
    struct stat info;
    if (lstat(log->path, &info) != 0 || !S_ISREG(info.st_mode)) {
        log->seen = false;
        log->since_ms = self->wall_ms;
        return false;
    }
    if (!log->seen) {
        meet(self, log, &info);
    } else if (info.st_ino != log->inode || info.st_dev != log->device ||
               info.st_size < log->bytes) {
        take_foreign(self, log, &info);
    } else {
        take_size(self, log, &info);
    }
    return true;
}

static bool is_foreign(const struct round *self, struct known *log)
{
    const char *config = rotators_of(self->rounds->rotators, log->path);
    if (config != NULL) {
        char why[REASON_SIZE];
        (void)snprintf(why, sizeof why, "logrotate has it in %.100s; not rotated here", config);
        note(log, false, why);
        return true;
    }
    if (self->now_ms >= log->foreign_until_ms || log->foreign_until_ms == 0) {
        return false;
    }
    if (log->bytes >= ROUND_STAND_BACK_SIZES * self->job->policy.max_bytes) {
        log->foreign_until_ms = 0;
        return false;
    }
    note(log, false, "another program rotates or empties it; not rotated here");
    return true;
}

/* ---- cutting ---- */

/* A name that neither it, packed, nor unfinished, is there. */
static bool unused_name(int folder, const char *base, int64_t wall_ms, char ret[CUT_NAME_SIZE])
{
    static const char *const endings[] = {"", ".gz", ".part", ".gz.part"};
    char stamp[POLICY_STAMP_SIZE];
    bool is_free = false;
    if (!policy_stamp(wall_ms, stamp)) {
        return false;
    }
    for (unsigned number = 0; number < 1000 && !is_free; number++) {
        char ending[16] = "";
        if (number > 0) {
            (void)snprintf(ending, sizeof ending, "_%03u", number);
        }
        int length = snprintf(ret, CUT_NAME_SIZE, "%.200s.%s%s", base, stamp, ending);
        is_free = length > 0 && strlen(base) <= 200;
        for (size_t i = 0; is_free && i < sizeof endings / sizeof endings[0]; i++) {
            char name[CUT_NAME_SIZE + 16];
            (void)snprintf(name, sizeof name, "%s%s", ret, endings[i]);
            is_free = faccessat(folder, name, F_OK, AT_SYMLINK_NOFOLLOW) != 0;
        }
    }
    return is_free;
}

static int cut_in(const struct round *self, const struct known *log, int folder,
                  struct cut_result *ret, struct err *err)
{
    const struct round_home *home = &self->job->homes[log->home];
    char to[CUT_NAME_SIZE];
    if (!unused_name(folder, base_of(log->path), self->wall_ms, to)) {
        return err_set(err, ERR_INVALID, "no name for the rotated file");
    }
    struct cut cut = {.folder = folder,
                      .name = base_of(log->path),
                      .owner = self->owners[log->home],
                      .to = to,
                      .compress = self->job->policy.compress,
                      .writers = home->pids,
                      .writer_count = home->pid_count,
                      .may = self->may,
                      .cuts = self->job->cuts};
    return cut_log(&cut, ret, err);
}

static int cut(const struct round *self, const struct known *log, struct cut_result *ret,
               struct err *err)
{
    char path[PATH_MAX];
    (void)snprintf(path, sizeof path, "%.*s", (int)(base_of(log->path) - log->path), log->path);
    int folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder < 0) {
        return err_set_errno(err, ERR_IO, "cannot open its folder");
    }
    int rc = cut_in(self, log, folder, ret, err);
    (void)close(folder);
    return rc;
}

/* A small log that cannot be rotated at midnight troubles nobody. */
static void take_refusal(const struct round *self, struct known *log, enum rotation_due due,
                         const char *why, bool trouble)
{
    if (due == ROTATION_DUE_SIZE) {
        note(log, trouble, why);
        log->next_ms = self->now_ms + ROUND_REFUSED_MS;
    }
}

static void take_failure(const struct round *self, struct known *log, enum rotation_due due, int rc,
                         const struct err *err)
{
    char why[REASON_SIZE];
    (void)snprintf(why, sizeof why, "not rotated: %.140s", err->msg);
    switch (rc) {
    case ERR_NOTFOUND: /* a line that is not whole yet */
    case ERR_CLOSED:   /* not now */
        return;
    case ERR_STALE:
        log->foreign_until_ms = self->now_ms + ROUND_STAND_BACK_MS;
        return;
    case ERR_BUSY:
        note(log, false, why);
        return;
    case ERR_DENIED:
    case ERR_UNSAFE:
    case ERR_UNSUPPORTED:
        take_refusal(self, log, due, why, rc != ERR_DENIED);
        return;
    default:
        note(log, true, why);
        log->next_ms = self->now_ms + policy_backoff_ms(++log->failures);
        return;
    }
}

static void take_success(struct round *self, struct known *log, const struct cut_result *result)
{
    log->bytes = result->left_bytes;
    log->filling = result->filling_bytes;
    log->since_ms = self->wall_ms;
    log->failures = 0;
    log->next_ms = 0;
    note(log, false, "");
    self->rounds->survey_due = true; /* the budget may be reached */
    if (self->report->cut++ == 0) {
        (void)snprintf(self->report->cut_name, NAME_SIZE, "%s", base_of(log->path));
    }
    self->report->cut_bytes += result->cut_bytes;
}

static void rotate_if_due(struct round *self, struct known *log)
{
    if (self->stands_back[log->home] || !look(self, log)) {
        return;
    }
    if (is_foreign(self, log)) {
        return;
    }
    if (self->now_ms < log->next_ms) {
        return; /* its note stays */
    }
    note(log, false, "");
    enum rotation_due due =
        policy_due(&self->job->policy, log->bytes - log->filling, log->since_ms, self->midnight_ms);
    if (due == ROTATION_NOT_DUE || !atomic_load(self->may)) {
        return;
    }
    struct cut_result result;
    struct err err = {0};
    int rc = cut(self, log, &result, &err);
    if (rc == 0) {
        take_success(self, log, &result);
    } else {
        take_failure(self, log, due, rc, &err);
    }
}

/* ---- the rotated ones ---- */

static void take_survey(struct round *self, const struct survey_log *rows, const size_t *numbers,
                        size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct known *log = &self->rounds->logs[numbers[i]];
        if (!log->seen && rows[i].newest_ms > log->since_ms) {
            log->since_ms = rows[i].newest_ms; /* of a life before this one */
        }
    }
}

static size_t own_folders(const struct round *self, struct survey_log *folders,
                          char paths[ROUND_HOMES_MAX][PATH_MAX])
{
    size_t count = 0;
    for (size_t i = 0; i < self->job->home_count; i++) {
        if (!self->stands_back[i]) {
            (void)snprintf(paths[count], PATH_MAX, "%s/logs", self->job->homes[i].path);
            folders[count] = (struct survey_log){.path = paths[count], .owner = self->owners[i]};
            count++;
        }
    }
    return count;
}

static void survey_all(struct round *self)
{
    struct rounds *rounds = self->rounds;
    if (!rounds->survey_due && self->now_ms - rounds->surveyed_ms < ROUND_SURVEY_MS) {
        return;
    }
    struct survey_log folders[ROUND_HOMES_MAX];
    char paths[ROUND_HOMES_MAX][PATH_MAX];
    struct survey_log *rows = calloc(rounds->log_count + 1, sizeof *rows);
    size_t *numbers = calloc(rounds->log_count + 1, sizeof *numbers);
    struct survey_result result = {0};
    size_t count = 0;
    for (size_t i = 0; rows != NULL && numbers != NULL && i < rounds->log_count; i++) {
        const struct known *log = &rounds->logs[i];
        if (!self->stands_back[log->home]) {
            rows[count] = (struct survey_log){.path = log->path, .owner = self->owners[log->home]};
            numbers[count++] = i;
        }
    }
    if (rows != NULL && numbers != NULL &&
        survey(&self->job->policy, rows, count, folders, own_folders(self, folders, paths),
               self->wall_ms, self->may, &result)) {
        take_survey(self, rows, numbers, count);
        rounds->survey_due = false;
        rounds->surveyed_ms = self->now_ms;
        self->report->deleted += result.deleted;
        if (result.failed > 0) {
            say(self, true, "rotated logs", "%zu rotated files cannot be deleted", result.failed);
        }
    }
    free(rows);
    free(numbers);
}

void rounds_go(struct rounds *self, const struct round_job *job, int64_t now_ms, int64_t wall_ms,
               const atomic_bool *may, struct round_report *ret)
{
    struct round round = {.rounds = self,
                          .job = job,
                          .now_ms = now_ms,
                          .wall_ms = wall_ms,
                          .midnight_ms = policy_midnight_ms(wall_ms, policy_local_day),
                          .may = may,
                          .report = ret};
    *ret = (struct round_report){0};
    if (!take_logs(self, job)) {
        return;
    }
    look_for_rotators(&round);
    survey_all(&round); /* first: what is deleted makes room */
    for (size_t i = 0; i < self->log_count; i++) {
        rotate_if_due(&round, &self->logs[i]);
    }
    say_notes(&round);
}
