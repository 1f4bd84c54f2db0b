#include "tests/integration/run/run_bench.h"

#include "node/base/clock.h"
#include "node/base/doc.h"
#include "tests/folder.h"

#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static struct job *find_job(struct bench *bench, const char *duty)
{
    for (size_t i = 0; i < bench->job_count; i++) {
        if (strcmp(bench->jobs[i].duty, duty) == 0) {
            return &bench->jobs[i];
        }
    }
    return NULL;
}

/* ---- callbacks of the supervision ---- */

static void on_ready(void *context, const char *manager)
{
    struct bench *bench = context;
    (void)manager;
    bench->ready++;
}

static void on_heartbeat(void *context, const char *manager, const struct manager_heartbeat *beat)
{
    (void)context;
    (void)manager;
    (void)beat;
}

static void on_observation(void *context, const char *manager, const uint8_t *bytes, size_t length)
{
    struct bench *bench = context;
    (void)manager;
    manager_bench_unpack(bytes, length, &bench->seen);
}

static void on_event(void *context, const char *manager, const struct manager_event *event)
{
    (void)context;
    (void)manager;
    (void)event;
}

static void on_duty_wanted(void *context, const char *manager,
                           const struct manager_duty_wanted *wanted)
{
    (void)context;
    (void)manager;
    fail_msg("the run manager wants no duty, but %s", wanted->duty);
}

static void on_schedule_wanted(void *context, const char *manager,
                               const struct manager_schedule_wanted *wanted)
{
    struct bench *bench = context;
    (void)manager;
    bench->wishes++;
    assert_true(schedule_list_take(&bench->list, wanted));
    if (strcmp(wanted->id, "run/b") == 0) {
        bench->b_term = wanted->term;
        bench->b_edition = wanted->edition;
    }
}

static void on_run_ended(void *context, const char *manager, const struct manager_run_ended *ended)
{
    struct bench *bench = context;
    struct job *job = find_job(bench, ended->duty);
    assert_non_null(job);
    assert_int_equal(ended->assignment, job->assignment);
    assert_int_equal(job->releases, 0); /* a release never overtakes the end */
    job->reports++;
    job->ended = *ended;
    job->granting = false;
    if (job->answering) {
        struct manager_run known = {.assignment = ended->assignment};
        memcpy(known.duty, ended->duty, sizeof known.duty);
        (void)supervise_run_known(bench->supervise, manager, &known, NULL);
    }
}

static void on_duty_state(void *context, const char *manager,
                          const struct manager_duty_state *state)
{
    struct job *job = find_job(context, state->duty);
    (void)manager;
    assert_non_null(job);
    job->states++;
    job->state = *state;
}

static void on_released(void *context, const char *manager, const struct manager_released *released)
{
    struct bench *bench = context;
    struct job *job = find_job(bench, released->duty);
    (void)manager;
    assert_non_null(job);
    assert_int_equal(released->assignment, job->assignment);
    assert_true(post_lock_free(bench->folder, job->duty));
    job->releases++;
}

static void on_reply(void *context, const char *manager, const struct manager_reply *reply)
{
    struct bench *bench = context;
    (void)manager;
    bench->refused = !reply->ok;
    memcpy(bench->code, reply->code, sizeof bench->code);
    if (reply->ok) {
        manager_bench_unpack(reply->result.data, reply->result.length, &bench->reply);
    } else {
        json_decref(bench->reply);
        bench->reply = json_object();
    }
}

static void on_ended(void *context, uint64_t term)
{
    (void)context;
    (void)term;
}

static void on_log(void *context, const char *manager, enum manager_level level, const char *text)
{
    (void)context;
    (void)manager;
    if (level >= MANAGER_WARN) {
        print_message("%s: %s\n", manager_level_name(level), text);
    }
}

static void on_stopped(void *context)
{
    (void)context;
}

static const struct supervise_callbacks supervise_callbacks = {
    .ready = on_ready,
    .heartbeat = on_heartbeat,
    .observation = on_observation,
    .event = on_event,
    .duty_wanted = on_duty_wanted,
    .schedule_wanted = on_schedule_wanted,
    .run_ended = on_run_ended,
    .duty_state = on_duty_state,
    .released = on_released,
    .reply = on_reply,
    .managers_ended = on_ended,
    .log = on_log,
    .stopped = on_stopped,
};

/* ---- the guard's side ---- */

static void renew(struct bench *bench, const struct job *job)
{
    if (job != NULL && job->granting) {
        (void)post_grant(bench->post, job->duty, job->assignment, 7, clock_boot_ms() + GRANT_MS,
                         NULL);
    }
}

static void on_guard_hello(void *context, const struct post_guard *guard)
{
    renew(context, find_job(context, guard->duty));
}

static void on_guard_started(void *context, const struct post_guard *guard)
{
    (void)context;
    (void)guard;
}

static void on_guard_released(void *context, const struct post_guard *guard,
                              enum post_reason reason, int status)
{
    (void)context;
    (void)guard;
    (void)reason;
    (void)status;
}

static void on_guard_gone(void *context, const struct post_guard *guard)
{
    (void)context;
    (void)guard;
}

static int on_renewal(zloop_t *loop, int id, void *argument)
{
    (void)loop;
    (void)id;
    struct bench *bench = argument;
    for (size_t i = 0; i < bench->job_count; i++) {
        renew(bench, &bench->jobs[i]);
    }
    return 0;
}

static const struct post_callbacks post_callbacks = {
    .hello = on_guard_hello,
    .started = on_guard_started,
    .released = on_guard_released,
    .gone = on_guard_gone,
};

void bench_run_until(struct bench *bench, bool (*condition)(struct bench *bench), const char *what)
{
    manager_bench_wait(bench->loop, 5, condition, bench, what, &bench->seen);
}

/* ---- set-up ---- */

int bench_set_up(void **state)
{
    struct bench *bench = calloc(1, sizeof *bench);
    assert_non_null(bench);
    *state = bench;
    (void)snprintf(bench->folder, sizeof bench->folder, "/tmp/test-run-XXXXXX");
    assert_non_null(mkdtemp(bench->folder));
    zsys_handler_set(NULL);
    bench->loop = zloop_new();
    bench->post =
        manager_bench_post(bench->loop, bench->folder, &post_callbacks, bench, &bench->listen_fd);
    (void)zloop_timer(bench->loop, 200, 0, on_renewal, bench);
    bench->supervise =
        manager_bench_supervise(bench->loop, bench->folder, &supervise_callbacks, bench);
    return 0;
}

static bool no_guard_is_left(struct bench *bench)
{
    post_revoke_all(bench->post);
    char duties[1][DUTY_ID_SIZE];
    return post_locks_held(bench->folder, duties, 1) == 0;
}

int bench_tear_down(void **state)
{
    struct bench *bench = *state;
    for (size_t i = 0; i < bench->job_count; i++) {
        bench->jobs[i].granting = false;
    }
    RUN_UNTIL(bench, no_guard_is_left);
    supervise_destroy(&bench->supervise);
    post_destroy(&bench->post);
    zloop_destroy(&bench->loop);
    (void)close(bench->listen_fd);
    json_decref(bench->seen);
    json_decref(bench->reply);
    folder_remove(bench->folder);
    free(bench);
    return 0;
}

static bool is_ready(struct bench *bench)
{
    return bench->ready > 0 && bench->seen != NULL;
}

static json_t *section_of(json_t *schedules)
{
    return json_pack("{ss so}", "zone", "UTC", "schedules", schedules);
}

void bench_start(struct bench *bench, json_t *schedules, bool shadow)
{
    manager_bench_add(bench->supervise, "run", section_of(schedules), shadow);
    RUN_UNTIL(bench, is_ready);
}

void bench_configure(struct bench *bench, json_t *schedules, bool shadow)
{
    struct mp_writer writer;
    struct manager_document section = manager_bench_pack(section_of(schedules), &writer);
    assert_int_equal(supervise_configure(bench->supervise, "run", &section, shadow, NULL), 0);
    mp_writer_deinit(&writer);
}

/* ---- duties ---- */

void bench_grant_again(struct bench *bench, const struct job *job)
{
    struct manager_grant grant = {
        .assignment = job->assignment, .term = 7, .deadline_ms = clock_boot_ms() + GRANT_MS};
    memcpy(grant.duty, job->duty, sizeof grant.duty);
    assert_int_equal(supervise_grant(bench->supervise, "run", &grant, NULL), 0);
}

struct job *bench_grant(struct bench *bench, const char *duty, uint64_t digest)
{
    assert_true(bench->job_count < JOBS_MAX);
    struct job *job = &bench->jobs[bench->job_count++];
    *job = (struct job){.assignment = 100 + bench->job_count, .granting = true, .answering = true};
    (void)snprintf(job->duty, sizeof job->duty, "%s", duty);
    struct manager_grant grant = {.assignment = job->assignment,
                                  .term = 7,
                                  .deadline_ms = clock_boot_ms() + GRANT_MS,
                                  .digest = digest};
    memcpy(grant.duty, job->duty, sizeof grant.duty);
    assert_int_equal(supervise_grant(bench->supervise, "run", &grant, NULL), 0);
    return job;
}

void bench_revoke(struct bench *bench, struct job *job)
{
    struct manager_revoke revoke = {.assignment = job->assignment, .why = "a test"};
    memcpy(revoke.duty, job->duty, sizeof revoke.duty);
    job->granting = false;
    assert_int_equal(supervise_revoke(bench->supervise, "run", &revoke, NULL), 0);
    (void)post_revoke(bench->post, job->duty, NULL);
}

static bool has_ended(struct bench *bench)
{
    return bench->job->reports > 0 && (!bench->job->answering || bench->job->releases > 0);
}

void bench_await_end(struct bench *bench, struct job *job)
{
    bench->job = job;
    RUN_UNTIL(bench, has_ended);
}

void bench_assert_end(const struct job *job, enum manager_outcome outcome,
                      enum manager_run_reason reason, int exit_status)
{
    const struct manager_run_ended *ended = &job->ended;
    if (ended->outcome != outcome || ended->reason != reason || ended->exit_status != exit_status) {
        fail_msg("%s: %s, %s, %d (%s)", job->duty, manager_outcome_name(ended->outcome),
                 manager_run_reason_name(ended->reason), ended->exit_status, job->state.detail);
    }
}

/* ---- commands ---- */

static bool has_reply(struct bench *bench)
{
    return bench->reply != NULL;
}

void bench_command(struct bench *bench, const char *verb, json_t *args)
{
    assert_non_null(args);
    json_decref(bench->reply);
    bench->reply = NULL;
    manager_bench_command(bench->supervise, "run", 5, verb, args);
    RUN_UNTIL(bench, has_reply);
}

const char *bench_logs(struct bench *bench, const char *run)
{
    bench_command(bench, "run logs", json_pack("{ss}", "id", run));
    if (bench->refused) {
        fail_msg("run logs of %s: %s", run, bench->code);
    }
    return doc_get_text(bench->reply, "text", "");
}

/* ---- the manager's process ---- */

pid_t bench_manager_pid(struct bench *bench)
{
    struct supervise_row row;
    assert_int_equal(supervise_list(bench->supervise, clock_boot_ms(), &row, 1), 1);
    return (pid_t)row.pid;
}

static bool is_another_life(struct bench *bench)
{
    return bench->ready > bench->ready_before;
}

void bench_kill_manager(struct bench *bench)
{
    pid_t pid = bench_manager_pid(bench);
    bench->ready_before = bench->ready;
    if (pid > 0) { /* else the supervision was quicker: it was stopped for too long */
        assert_int_equal(kill(pid, SIGKILL), 0);
    }
    RUN_UNTIL(bench, is_another_life);
}

/* ---- files ---- */

const char *bench_path(const struct bench *bench, const char *name)
{
    static char path[160];
    (void)snprintf(path, sizeof path, "%s/%s", bench->folder, name);
    return path;
}

const char *bench_text(const struct bench *bench, const char *name)
{
    static char text[65536];
    int fd = open(bench_path(bench, name), O_RDONLY);
    ssize_t got = fd >= 0 ? read(fd, text, sizeof text - 1) : 0;
    text[got > 0 ? got : 0] = '\0';
    if (fd >= 0) {
        (void)close(fd);
    }
    return text;
}

void bench_touch(const struct bench *bench, const char *name)
{
    int fd = open(bench_path(bench, name), O_WRONLY | O_CREAT, 0600);
    assert_true(fd >= 0);
    (void)close(fd);
}

size_t bench_lock_files(const struct bench *bench)
{
    size_t count = 0;
    DIR *folder = opendir(bench->folder);
    const struct dirent *entry = NULL;
    assert_non_null(folder);
    while ((entry = readdir(folder)) != NULL) {
        size_t length = strlen(entry->d_name);
        count += length > 5 && strcmp(entry->d_name + length - 5, ".lock") == 0;
    }
    (void)closedir(folder);
    return count;
}
