#include "managers/pm2/logs/rotation.h"

#include "managers/pm2/logs/rotators.h"
#include "managers/pm2/logs/round.h"
#include "managers/pm2/pm2.h"
#include "node/base/clock.h"
#include "node/base/doc.h"
#include "node/base/queue.h"
#include "node/base/thread.h"

#include <assert.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define ROUND_MS 5000
#define PATH_BYTES_MAX 4000
#define NICE 10 /* packing is less urgent than anything else here */
#define KIND "pm2.logs"

static_assert(ROUND_HOMES_MAX == SETTINGS_HOMES_MAX, "every home has its logs");

struct rotation {
    struct pm2 *pm2;
    struct round_home homes[ROUND_HOMES_MAX]; /* as the latest list of each said */
    pthread_t thread;
    bool running;
    bool busy; /* the thread has a job */
    atomic_bool may;
    atomic_bool quit;
    struct queue *jobs;
    struct queue *reports;
    struct rounds *rounds; /* the thread's */
    int64_t next_ms;
    struct round_report report; /* the latest */
};

/* ---- the thread ---- */

static void free_job(void *item)
{
    round_job_destroy(item);
}

static void work(struct rotation *self, struct round_job *job)
{
    struct round_report *report = calloc(1, sizeof *report);
    if (report == NULL) {
        (void)fprintf(stderr, "error no memory for the rotation of logs\n");
        _exit(1); /* the parent starts the manager again */
    }
    /* The times of files are of the machine's clock. */
    rounds_go(self->rounds, job, clock_boot_ms(), clock_machine_wall_ms(), &self->may, report);
    if (queue_push(self->reports, QUEUE_COMMAND, report) != 0) {
        free(report); /* not possible: one job is under way at a time */
    }
}

static void *run(void *argument)
{
    struct rotation *self = argument;
    struct pollfd wait = {.fd = queue_fd(self->jobs), .events = POLLIN};
    (void)setpriority(PRIO_PROCESS, (id_t)gettid(), NICE);
    while (!atomic_load(&self->quit)) {
        (void)poll(&wait, 1, -1);
        struct round_job *job = queue_pop(self->jobs);
        if (job != NULL && !atomic_load(&self->quit)) {
            work(self, job);
        }
        round_job_destroy(job);
    }
    return NULL;
}

static bool start_thread(struct rotation *self)
{
    self->running = thread_start(&self->thread, run, self) == 0;
    return self->running;
}

static void tell(struct rotation *self)
{
    const struct round_report *report = &self->report;
    if (report->cut > 0) {
        runtime_log(MANAGER_INFO, "logs rotated: %s and %zu more, %lld bytes", report->cut_name,
                    report->cut - 1, (long long)report->cut_bytes);
        journal_write(self->pm2, "rotate", report->cut_name, "its log");
    }
    if (report->deleted > 0) {
        runtime_log(MANAGER_INFO, "%zu rotated logs deleted: too old, or over the budget",
                    report->deleted);
    }
}

static void on_report(void *context, int fd, short revents)
{
    (void)fd;
    (void)revents;
    struct rotation *self = context;
    struct round_report *report = queue_pop(self->reports);
    if (report != NULL) {
        self->report = *report;
        self->busy = false;
        free(report);
        tell(self);
    }
}

static struct rotation *create(struct pm2 *pm2)
{
    struct rotation *self = calloc(1, sizeof *self);
    if (self == NULL) {
        return NULL;
    }
    self->pm2 = pm2;
    atomic_init(&self->may, false);
    atomic_init(&self->quit, false);
    self->jobs = queue_create(2, free_job);
    self->reports = queue_create(2, free);
    self->rounds = rounds_create("/etc/logrotate.d", "/etc/logrotate.conf");
    if (self->jobs == NULL || self->reports == NULL || self->rounds == NULL ||
        runtime_watch(pm2->runtime, queue_fd(self->reports), POLLIN, on_report, self) != 0 ||
        !start_thread(self)) {
        rotation_destroy(&self);
    }
    return self;
}

static void forget_home(struct round_home *home)
{
    for (size_t i = 0; i < home->log_count; i++) {
        free(home->logs[i]);
    }
    free(home->logs);
    free(home->pids);
    free(home->path);
    *home = (struct round_home){0};
}

void rotation_destroy(struct rotation **self_p)
{
    if (self_p == NULL || *self_p == NULL) {
        return;
    }
    struct rotation *self = *self_p;
    *self_p = NULL;
    if (self->running) {
        struct round_job *wake = calloc(1, sizeof *wake);
        atomic_store(&self->may, false);
        atomic_store(&self->quit, true);
        if (wake == NULL || queue_push(self->jobs, QUEUE_COMMAND, wake) != 0) {
            _exit(0); /* without memory nothing wakes it; whatever it does may end anywhere */
        }
        (void)pthread_join(self->thread, NULL);
    }
    if (self->reports != NULL) {
        runtime_unwatch(self->pm2->runtime, queue_fd(self->reports));
    }
    for (size_t i = 0; i < ROUND_HOMES_MAX; i++) {
        forget_home(&self->homes[i]);
    }
    queue_destroy(&self->jobs);
    queue_destroy(&self->reports);
    rounds_destroy(&self->rounds);
    free(self);
}

/* ---- what PM2 lists ---- */

static void add_log(struct round_home *home, size_t most, const char *path)
{
    if (path == NULL || path[0] != '/' || strlen(path) > PATH_BYTES_MAX ||
        home->log_count == most || strcmp(path, "/dev/null") == 0) {
        return;
    }
    home->logs[home->log_count] = strdup(path);
    home->log_count += home->logs[home->log_count] != NULL;
}

static void add_row(struct round_home *home, size_t most, const json_t *row)
{
    const json_t *pm2_env = json_object_get(row, "pm2_env");
    json_int_t pid = json_integer_value(json_object_get(row, "pid"));
    add_log(home, most, doc_get_text(pm2_env, "pm_out_log_path", NULL));
    add_log(home, most, doc_get_text(pm2_env, "pm_err_log_path", NULL));
    if (pid > 0 && pid <= INT32_MAX) {
        home->pids[home->pid_count++] = (pid_t)pid;
    }
    if (rotators_is_module(doc_get_text(row, "name", ""))) {
        home->rotator_listed = true;
    }
}

static void read_list(struct round_home *home, const struct god *god, const json_t *list)
{
    size_t rows = json_array_size(list);
    rows = rows < ENTRIES_MAX ? rows : ENTRIES_MAX;
    size_t most = 2 * rows + 1;
    char path[MANAGER_PATH_SIZE + 16];
    forget_home(home);
    home->path = strdup(god_home(god));
    home->logs = calloc(most, sizeof *home->logs);
    home->pids = calloc(rows + 1, sizeof *home->pids);
    if (home->path == NULL || home->logs == NULL || home->pids == NULL) {
        forget_home(home);
        return;
    }
    (void)snprintf(path, sizeof path, "%s/pm2.log", god_home(god));
    add_log(home, most, path);
    home->pids[home->pid_count++] = god_pid(god);
    for (size_t i = 0; i < rows; i++) {
        add_row(home, most, json_array_get(list, i));
    }
}

void rotation_take_list(struct pm2 *self, const struct home *home, const json_t *list)
{
    size_t index = (size_t)(home - self->homes);
    if (self->rotation == NULL && self->settings->rotation.rotate) {
        self->rotation = create(self);
        if (self->rotation == NULL) {
            runtime_log(MANAGER_ERROR, "logs are not rotated: no memory or no thread");
        }
    }
    if (self->rotation != NULL && index < ROUND_HOMES_MAX) {
        read_list(&self->rotation->homes[index], home->god, list);
    }
}

void rotation_forget(struct pm2 *self)
{
    for (size_t i = 0; self->rotation != NULL && i < ROUND_HOMES_MAX; i++) {
        forget_home(&self->rotation->homes[i]);
    }
}

/* ---- rounds ---- */

static bool copy_home(const struct round_home *from, struct round_home *ret)
{
    struct round_home copy = {.rotator_listed = from->rotator_listed};
    copy.path = strdup(from->path);
    copy.logs = calloc(from->log_count + 1, sizeof *copy.logs);
    copy.pids = calloc(from->pid_count + 1, sizeof *copy.pids);
    bool good = copy.path != NULL && copy.logs != NULL && copy.pids != NULL;
    for (size_t i = 0; good && i < from->log_count; i++) {
        copy.logs[i] = strdup(from->logs[i]);
        good = copy.logs[i] != NULL;
        copy.log_count += good;
    }
    if (!good) {
        forget_home(&copy);
        return false;
    }
    memcpy(copy.pids, from->pids, from->pid_count * sizeof *copy.pids);
    copy.pid_count = from->pid_count;
    *ret = copy;
    return true;
}

/* Of the homes whose daemon is up and whose list is of this life of it. */
static struct round_job *make_job(const struct rotation *self)
{
    const struct pm2 *pm2 = self->pm2;
    struct round_job *job = calloc(1, sizeof *job);
    for (size_t i = 0; job != NULL && i < pm2->home_count && i < ROUND_HOMES_MAX; i++) {
        const struct home *home = &pm2->homes[i];
        bool ready = god_state(home->god) == GOD_UP && home->fresh && self->homes[i].path != NULL;
        if (ready && copy_home(&self->homes[i], &job->homes[job->home_count])) {
            job->home_count++;
        }
    }
    if (job != NULL) {
        job->policy = pm2->settings->rotation;
        job->cuts = pm2->cuts;
    }
    return job;
}

static void start_round(struct rotation *self, int64_t now_ms)
{
    int64_t poll_ms = self->pm2->settings->poll_ms;
    self->next_ms = now_ms + (poll_ms < ROUND_MS ? poll_ms : ROUND_MS);
    struct round_job *job = make_job(self);
    if (job == NULL || job->home_count == 0 || queue_push(self->jobs, QUEUE_COMMAND, job) != 0) {
        round_job_destroy(job);
        self->report.said_count = 0; /* of a daemon that is gone */
        return;
    }
    self->busy = true;
}

static void say(const struct rotation *self, int64_t now_ms)
{
    for (size_t i = 0; i < self->report.said_count; i++) {
        const struct round_said *said = &self->report.said[i];
        bool is_new =
            findings_say(&self->pm2->findings, KIND, said->object,
                         said->trouble ? FINDING_WARNING : FINDING_INFO, now_ms, "%s", said->text);
        if (is_new) {
            runtime_event(self->pm2->runtime, said->trouble ? MANAGER_WARN : MANAGER_INFO, KIND,
                          NULL, "%s: %s", said->object, said->text);
        }
    }
}

void rotation_step(struct pm2 *self, int64_t now_ms)
{
    struct rotation *rotation = self->rotation;
    if (rotation == NULL) {
        return;
    }
    bool may = self->settings->rotation.rotate && !pm2_holds_still(self);
    atomic_store(&rotation->may, may);
    if (!may) {
        rotation->report.said_count = 0;
        return;
    }
    say(rotation, now_ms);
    if (!rotation->busy && now_ms >= rotation->next_ms) {
        start_round(rotation, now_ms);
    }
}
