/* A bench in the place of a node: the run manager under a real supervision, and the node's end of
 * the real guards. */
#ifndef UNDERSTUDY_TESTS_INTEGRATION_RUN_RUN_BENCH_H
#define UNDERSTUDY_TESTS_INTEGRATION_RUN_RUN_BENCH_H

#include "managers/common/schedule_list.h"
#include "tests/integration/manager_bench.h"

#define JOBS_MAX 128
#define GRANT_MS 5000

/* A duty of the bench, and what was heard of it. */
struct job {
    char duty[DUTY_ID_SIZE];
    uint64_t assignment;
    bool granting;  /* its grant is renewed */
    bool answering; /* its end is answered as known */
    int reports;
    struct manager_run_ended ended; /* the latest report */
    int states;
    struct manager_duty_state state;
    int releases;
};

struct bench {
    char folder[64];
    zloop_t *loop;
    struct supervise *supervise;
    struct post *post;
    int listen_fd;
    int ready; /* lives of the manager so far */
    int ready_before;
    struct job jobs[JOBS_MAX];
    size_t job_count;
    struct job *job; /* the one that a condition looks at */
    json_t *seen;    /* the latest observation */
    json_t *reply;
    bool refused; /* the reply was an error */
    char code[NAME_SIZE];
    struct schedule_list list;
    uint64_t b_term; /* in which "run/b" was said last; 0: never */
    uint64_t b_edition;
    int wishes;
};

/* cmocka's set-up and tear-down. */
int bench_set_up(void **state);
int bench_tear_down(void **state);

/* Start the manager with these schedules (an array; the reference is stolen). */
void bench_start(struct bench *bench, json_t *schedules, bool shadow);
void bench_configure(struct bench *bench, json_t *schedules, bool shadow);

/* Run the loop until the condition holds; fails the test when it never does. */
void bench_run_until(struct bench *bench, bool (*condition)(struct bench *bench), const char *what);
#define RUN_UNTIL(bench, condition) bench_run_until(bench, condition, #condition)

/* Grant the duty; its end will be answered. The job stays valid. */
struct job *bench_grant(struct bench *bench, const char *duty, uint64_t digest);
void bench_grant_again(struct bench *bench, const struct job *job);
/* As a node does: to the manager, and to the guard. */
void bench_revoke(struct bench *bench, struct job *job);

/* Until the job's end was told, and (when it is answered) until it was released. */
void bench_await_end(struct bench *bench, struct job *job);
void bench_assert_end(const struct job *job, enum manager_outcome outcome,
                      enum manager_run_reason reason, int exit_status);

/* bench->reply of the command; `args` is stolen. */
void bench_command(struct bench *bench, const char *verb, json_t *args);
/* The kept output of a run, by `run logs`; valid until the next command. */
const char *bench_logs(struct bench *bench, const char *run);

pid_t bench_manager_pid(struct bench *bench);
/* SIGKILL; and until the next life of it is ready. */
void bench_kill_manager(struct bench *bench);

/* A path in the bench's folder; valid until the next call. */
const char *bench_path(const struct bench *bench, const char *name);
/* Whole content of a file there, "" when it is missing; valid until the next call. */
const char *bench_text(const struct bench *bench, const char *name);
void bench_touch(const struct bench *bench, const char *name);
size_t bench_lock_files(const struct bench *bench);

#endif
