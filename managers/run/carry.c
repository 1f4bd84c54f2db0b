/* Carrying out: what happens to the attempts of this node goes into attempt.c, and what comes
 * out of it is done here. That nothing of an attempt runs any more is believed for one reason
 * only: its lock is free. */
#include "managers/run/child.h"
#include "managers/run/run.h"

#include "managers/common/duty_lock.h"
#include "node/base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define READ_BYTES 65536
#define READS_PER_PASS 4    /* then the other attempts get their turn */
#define READS_AT_THE_END 64 /* more than a pipe holds */
#define GUARD_COMM "understudy-guard"
#define COMM_LENGTH 15 /* of a process's name in /proc */

static void step(struct carried *carried, const struct attempt_event *event);

/* ---- the table ---- */

static struct carried *find(struct run *self, const char *duty)
{
    for (size_t i = 0; i < RUN_ATTEMPTS_MAX; i++) {
        if (self->carried[i].used && strcmp(self->carried[i].duty, duty) == 0) {
            return &self->carried[i];
        }
    }
    return NULL;
}

static struct carried *make(struct run *self, const char *duty, uint64_t assignment)
{
    static const struct record_limits none = {.output_bytes = RECORD_OUTPUT_MIN, .keep = 1};
    for (size_t i = 0; i < RUN_ATTEMPTS_MAX; i++) {
        struct carried *carried = &self->carried[i];
        if (!carried->used) {
            *carried = (struct carried){.run = self,
                                        .used = true,
                                        .assignment = assignment,
                                        .pipe_fd = -1,
                                        .pidfd = -1,
                                        .output.fd = -1};
            (void)snprintf(carried->duty, sizeof carried->duty, "%s", duty);
            carried->named = slot_parse(self->source->prefix, duty, &carried->name);
            attempt_init(&carried->attempt, &none);
            return carried;
        }
    }
    runtime_log(MANAGER_ERROR,
                "no room for %s: %d attempts are under way or not known to have "
                "ended",
                duty, RUN_ATTEMPTS_MAX);
    return NULL;
}

static bool is_forgotten(const struct run *self, const char *duty)
{
    for (size_t i = 0; i < RUN_FORGOTTEN_MAX; i++) {
        if (strcmp(self->forgotten[i], duty) == 0) {
            return true;
        }
    }
    return false;
}

/* ---- descriptors ---- */

static void close_pipe(struct carried *carried)
{
    if (carried->pipe_fd >= 0) {
        runtime_unwatch(carried->run->runtime, carried->pipe_fd);
        (void)close(carried->pipe_fd);
        carried->pipe_fd = -1;
    }
}

static void close_pidfd(struct carried *carried)
{
    if (carried->pidfd >= 0) {
        runtime_unwatch(carried->run->runtime, carried->pidfd);
        (void)close(carried->pidfd);
        carried->pidfd = -1;
    }
}

/* False at the end of what is there now. */
static bool read_once(struct carried *carried, bool *ret_no_writer)
{
    static char bytes[READ_BYTES];
    ssize_t got = read(carried->pipe_fd, bytes, sizeof bytes);
    *ret_no_writer = got == 0;
    if (got <= 0) {
        return false;
    }
    run_output_take(&carried->output, bytes, (size_t)got);
    return true;
}

static void on_pipe(void *context, int fd, short revents)
{
    struct carried *carried = context;
    bool no_writer = false;
    bool any = false;
    (void)revents;
    if (!carried->used || carried->pipe_fd != fd) {
        return;
    }
    for (int i = 0; i < READS_PER_PASS && read_once(carried, &no_writer); i++) {
        any = true;
    }
    if (any) {
        struct attempt_event event = {.kind = ATTEMPT_EVENT_OUTPUT};
        (void)attempt_step(&carried->attempt, &event, clock_boot_ms());
    }
    if (no_writer) {
        /* Its end is seen elsewhere; a pipe without a writer would wake us for ever. */
        runtime_unwatch(carried->run->runtime, carried->pipe_fd);
    }
}

static void on_guard(void *context, int fd, short revents);

static void watch(struct carried *carried)
{
    struct runtime *runtime = carried->run->runtime;
    if ((carried->pipe_fd >= 0 &&
         runtime_watch(runtime, carried->pipe_fd, POLLIN, on_pipe, carried) != 0) ||
        (carried->pidfd >= 0 &&
         runtime_watch(runtime, carried->pidfd, POLLIN, on_guard, carried) != 0)) {
        runtime_log(MANAGER_ERROR, "no memory to watch %s; its end is seen by its lock",
                    carried->duty);
    }
}

/* ---- the guard ---- */

static bool is_guard(pid_t pid)
{
    char path[48];
    char comm[32] = "";
    (void)snprintf(path, sizeof path, "/proc/%ld/comm", (long)pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return false;
    }
    bool same = read(fd, comm, sizeof comm - 1) > 0 && strncmp(comm, GUARD_COMM, COMM_LENGTH) == 0;
    (void)close(fd);
    return same;
}

/* One of an earlier life of ours: the lock names it, and is held. */
static void signal_resumed(struct carried *carried, int number)
{
    const char *lock_dir = carried->run->configure.lock_dir;
    pid_t pid = (pid_t)duty_lock_holder(lock_dir, carried->duty);
    int pidfd = pid > 0 ? (int)syscall(SYS_pidfd_open, pid, 0) : -1;
    if (pidfd < 0) {
        return;
    }
    if (is_guard(pid) && !duty_lock_is_free(lock_dir, carried->duty)) {
        (void)syscall(SYS_pidfd_send_signal, pidfd, number, NULL, 0);
    }
    (void)close(pidfd);
}

static void signal_guard(struct carried *carried, int number)
{
    if (carried->pidfd >= 0) {
        (void)syscall(SYS_pidfd_send_signal, carried->pidfd, number, NULL, 0);
    } else if (carried->attempt.resumed) {
        signal_resumed(carried, number);
    }
}

static void await_guard(struct carried *carried)
{
    siginfo_t info = {0};
    int status = 0;
    if (carried->pidfd < 0 ||
        waitid(P_PIDFD, (id_t)carried->pidfd, &info, WEXITED | WNOHANG | WNOWAIT) != 0 ||
        info.si_pid == 0 || waitpid(carried->guard, &status, WNOHANG) != carried->guard) {
        return;
    }
    carried->guard_status = status;
    close_pidfd(carried);
}

/* How it ended, once nothing of it runs. */
static struct ending ending_of(const struct carried *carried, int64_t *ret_wall_ms)
{
    struct ending ending = files_ending_of(&carried->run->files, carried->duty, ret_wall_ms);
    bool not_run = carried->guard > 0 && WIFEXITED(carried->guard_status) &&
                   WEXITSTATUS(carried->guard_status) == CHILD_EXIT_NOT_RUN;
    if (ending.cause == ENDING_UNSEEN && not_run) {
        ending.cause = ENDING_NEVER_RAN;
    }
    return ending;
}

/* A guard that an earlier life of ours was about to start may not hold its lock yet. */
static bool may_still_come(const struct carried *carried, int64_t now_ms)
{
    int64_t wall_ms;
    return carried->attempt.resumed && now_ms - carried->resumed_ms < RUN_GUARD_SETTLE_MS &&
           files_ending_of(&carried->run->files, carried->duty, &wall_ms).cause == ENDING_UNSEEN;
}

static void look_for_the_end(struct carried *carried, int64_t now_ms)
{
    if (carried->attempt.phase != ATTEMPT_RUNNING || carried->pidfd >= 0 ||
        !duty_lock_is_free(carried->run->configure.lock_dir, carried->duty) ||
        may_still_come(carried, now_ms)) {
        return;
    }
    struct attempt_event event = {.kind = ATTEMPT_EVENT_ENDED, .wall_ms = clock_wall_ms()};
    event.ending = ending_of(carried, &event.wall_ms);
    step(carried, &event);
}

static void on_guard(void *context, int fd, short revents)
{
    struct carried *carried = context;
    (void)revents;
    if (carried->used && carried->pidfd == fd) {
        await_guard(carried);
        look_for_the_end(carried, clock_boot_ms());
    }
}

/* ---- what attempt.c wants done ---- */

static void do_start(struct carried *carried)
{
    struct err err = {0};
    struct attempt_event event = {.kind = ATTEMPT_EVENT_STARTED};
    if (start_guard(carried, &err) != 0) {
        event.kind = ATTEMPT_EVENT_NOT_STARTED;
        event.detail = err.msg;
    } else {
        watch(carried);
        runtime_event(carried->run->runtime, MANAGER_INFO, "run.started", NULL, "%s runs here",
                      carried->duty);
    }
    event.wall_ms = clock_wall_ms();
    step(carried, &event);
}

/* What the pipe still holds, and then the text that stays. */
static void keep_output(struct carried *carried)
{
    const struct run *run = carried->run;
    char path[FILES_PATH_SIZE];
    struct err err = {0};
    bool no_writer = false;
    for (int i = 0; i < READS_AT_THE_END && carried->pipe_fd >= 0; i++) {
        if (!read_once(carried, &no_writer)) {
            break;
        }
    }
    close_pipe(carried);
    files_path(&run->files, carried->duty, "out", path);
    if (carried->output.fd >= 0 && run_output_finish(&carried->output, path, &err) != 0) {
        runtime_log(MANAGER_WARN, "output of %s: %s", carried->duty, err.msg);
    }
    run_output_close(&carried->output);
    const struct schedule *schedule = schedules_find(run->schedules, carried->name.schedule);
    files_prune(&run->files, carried->name.schedule,
                (size_t)(schedule != NULL ? schedule->limits.keep : carried->attempt.limits.keep));
}

static void do_record(struct carried *carried)
{
    const struct run *run = carried->run;
    const struct attempt *attempt = &carried->attempt;
    (void)duty_lock_remove(run->configure.lock_dir, carried->duty);
    runtime_event(
        run->runtime, attempt->outcome == MANAGER_OUTCOME_RAN ? MANAGER_INFO : MANAGER_WARN,
        "run.ended", NULL, "%s %s%s%s", carried->duty, manager_outcome_name(attempt->outcome),
        attempt->detail[0] == '\0' ? "" : ": ", attempt->detail);
    if (!carried->begun) {
        return;
    }
    struct record record = {.assignment = carried->assignment,
                            .term = carried->term,
                            .started_boot_ms = attempt->started_ms,
                            .started_wall_ms = attempt->started_wall_ms,
                            .limits = attempt->limits,
                            .ended = true,
                            .outcome = attempt->outcome,
                            .reason = attempt->reason,
                            .exit_status = attempt->exit_status,
                            .ended_wall_ms = attempt->ended_wall_ms};
    struct err err = {0};
    if (carried->output.fd >= 0 || carried->pipe_fd >= 0) {
        keep_output(carried);
    }
    if (files_record(&run->files, carried->duty, &record, &err) != 0) {
        runtime_log(MANAGER_WARN, "end of %s: %s", carried->duty, err.msg);
    }
}

static void do_tell(const struct carried *carried)
{
    struct manager_duty_state state = {.assignment = carried->assignment,
                                       .phase = carried->attempt.told};
    memcpy(state.duty, carried->duty, sizeof state.duty);
    memcpy(state.detail, carried->attempt.detail, sizeof state.detail);
    runtime_duty_state(carried->run->runtime, &state);
}

static void do_report(const struct carried *carried)
{
    const struct attempt *attempt = &carried->attempt;
    struct manager_run_ended ended = {.assignment = carried->assignment,
                                      .outcome = attempt->outcome,
                                      .reason = attempt->reason,
                                      .exit_status = attempt->exit_status,
                                      .started_wall_ms = attempt->started_wall_ms,
                                      .ended_wall_ms = attempt->ended_wall_ms};
    memcpy(ended.duty, carried->duty, sizeof ended.duty);
    runtime_run_ended(carried->run->runtime, &ended);
}

static void do_forget(struct carried *carried)
{
    struct run *run = carried->run;
    close_pipe(carried);
    close_pidfd(carried);
    run_output_close(&carried->output);
    if (carried->begun) {
        files_forget(&run->files, carried->duty);
    }
    memcpy(run->forgotten[run->forgotten_next], carried->duty, sizeof carried->duty);
    run->forgotten_next = (run->forgotten_next + 1) % RUN_FORGOTTEN_MAX;
    carried->used = false;
}

static void perform(struct carried *carried, unsigned actions)
{
    if ((actions & ATTEMPT_STOP) != 0) {
        signal_guard(carried, SIGTERM);
    }
    if ((actions & ATTEMPT_KILL) != 0) {
        signal_guard(carried, SIGKILL);
    }
    if ((actions & ATTEMPT_RECORD) != 0) {
        do_record(carried);
    }
    if ((actions & ATTEMPT_TELL) != 0) {
        do_tell(carried);
    }
    if ((actions & ATTEMPT_REPORT) != 0) {
        do_report(carried);
    }
    if ((actions & ATTEMPT_RELEASE) != 0) {
        runtime_released(carried->run->runtime, carried->duty, carried->assignment);
    }
    if ((actions & ATTEMPT_FORGET) != 0) {
        do_forget(carried);
    }
    if ((actions & ATTEMPT_START) != 0) {
        do_start(carried); /* steps again */
    }
    carried->run->has_news = carried->run->has_news || actions != 0;
}

static void step(struct carried *carried, const struct attempt_event *event)
{
    perform(carried, attempt_step(&carried->attempt, event, clock_boot_ms()));
}

/* ---- what the node says ---- */

/* Its files are there, and no record of ours in memory: an earlier life of ours had it to its end.
 * It is not begun again, whatever the node thinks. */
static void take_up_lost(struct carried *carried)
{
    struct record record = {.outcome = MANAGER_OUTCOME_UNKNOWN,
                            .reason = MANAGER_REASON_HOLDER_GONE,
                            .exit_status = MANAGER_EXIT_UNKNOWN,
                            .limits = {.output_bytes = RECORD_OUTPUT_MIN, .keep = SCHEDULES_KEEP},
                            .ended = true,
                            .ended_wall_ms = clock_wall_ms()};
    runtime_log(MANAGER_WARN, "%s was begun here before; it is not begun again", carried->duty);
    attempt_resume(&carried->attempt, &record, clock_boot_ms());
}

void run_grant(struct run *self, const struct manager_grant *grant)
{
    struct carried *carried = find(self, grant->duty);
    if (carried == NULL) {
        carried = make(self, grant->duty, grant->assignment);
        if (carried == NULL) {
            return;
        }
        carried->term = grant->term;
        if (carried->named && files_begun(&self->files, grant->duty)) {
            take_up_lost(carried);
        }
    }
    /* An attempt is assigned once; were it not, its end would be that of the newest assignment. */
    if (grant->assignment > carried->assignment) {
        carried->assignment = grant->assignment;
    }
    struct attempt_event event = {.kind = ATTEMPT_EVENT_GRANTED, .wall_ms = clock_wall_ms()};
    event.may_start = start_allowed(carried, grant->digest, &event.reason, &event.detail);
    step(carried, &event);
}

void run_revoke(struct run *self, const struct manager_revoke *revoke)
{
    struct carried *carried = find(self, revoke->duty);
    if (carried == NULL && is_forgotten(self, revoke->duty)) {
        runtime_released(self->runtime, revoke->duty, revoke->assignment);
        return;
    }
    if (carried == NULL) {
        carried = make(self, revoke->duty, revoke->assignment);
    }
    if (carried == NULL || carried->assignment > revoke->assignment) {
        return; /* numbers grow: it speaks of one before */
    }
    carried->assignment = revoke->assignment;
    struct attempt_event event = {.kind = ATTEMPT_EVENT_REVOKED, .wall_ms = clock_wall_ms()};
    step(carried, &event);
}

void run_known(struct run *self, const struct manager_run *known)
{
    struct carried *carried = find(self, known->duty);
    if (carried != NULL && carried->assignment == known->assignment) {
        struct attempt_event event = {.kind = ATTEMPT_EVENT_NODE_KNOWS};
        step(carried, &event);
    }
}

void run_carry_tick(struct run *self)
{
    static const struct attempt_event tick = {.kind = ATTEMPT_EVENT_TICK};
    for (size_t i = 0; i < RUN_ATTEMPTS_MAX; i++) {
        struct carried *carried = &self->carried[i];
        if (carried->used) {
            await_guard(carried);
            look_for_the_end(carried, clock_boot_ms());
            step(carried, &tick);
        }
    }
}

/* ---- memory ---- */

static pid_t guard_of(const struct carried *carried)
{
    return carried->guard > 0 || !carried->attempt.resumed
               ? carried->guard
               : (pid_t)duty_lock_holder(carried->run->configure.lock_dir, carried->duty);
}

static void measure(struct carried *carried, int64_t limit, int64_t bytes)
{
    static const struct attempt_event over = {.kind = ATTEMPT_EVENT_OVER_LIMIT,
                                              .detail = "over its memory limit"};
    carried->over_limit = bytes > limit ? carried->over_limit + 1 : 0;
    if (carried->over_limit == 2 && !carried->attempt.stopping) {
        runtime_event(carried->run->runtime, MANAGER_WARN, "run.memory", NULL,
                      "%s uses %lld bytes, its limit is %lld: ended", carried->duty,
                      (long long)bytes, (long long)limit);
        step(carried, &over);
    }
}

void run_sample(struct run *self, int64_t (*tree_memory)(int64_t guard))
{
    for (size_t i = 0; self->ready && i < RUN_ATTEMPTS_MAX; i++) {
        struct carried *carried = &self->carried[i];
        bool runs = carried->used && carried->named && carried->attempt.phase == ATTEMPT_RUNNING;
        const struct schedule *schedule =
            runs ? schedules_find(self->schedules, carried->name.schedule) : NULL;
        pid_t guard = schedule != NULL && schedule->memory_bytes > 0 ? guard_of(carried) : 0;
        if (guard > 0) {
            measure(carried, schedule->memory_bytes, tree_memory(guard));
        }
    }
}

/* ---- lives ---- */

static void resume_one(void *context, const char *duty, const struct slot_name *slot, int64_t bytes,
                       int64_t changed_wall_ms)
{
    struct run *self = context;
    struct record record;
    struct err err = {0};
    (void)slot;
    (void)bytes;
    (void)changed_wall_ms;
    if (!files_record_of(&self->files, duty, &record)) {
        /* It was cut off while it was written: before the guard, which follows it. */
        files_forget(&self->files, duty);
        return;
    }
    struct carried *carried = make(self, duty, record.assignment);
    if (carried == NULL) {
        return;
    }
    carried->term = record.term;
    carried->begun = true;
    carried->resumed_ms = clock_boot_ms();
    attempt_resume(&carried->attempt, &record, carried->resumed_ms);
    if (record.ended) {
        return;
    }
    if (start_open(carried, &err) != 0) {
        runtime_log(MANAGER_WARN, "output of %s is lost: %s", duty, err.msg);
    }
    watch(carried);
    runtime_log(MANAGER_INFO, "%s is taken up again", duty);
}

void run_carry_resume(struct run *self)
{
    files_visit(&self->files, NULL, "run", resume_one, self);
}

void run_carry_close(struct run *self)
{
    for (size_t i = 0; i < RUN_ATTEMPTS_MAX; i++) {
        struct carried *carried = &self->carried[i];
        if (carried->used) {
            close_pipe(carried);
            close_pidfd(carried);
            run_output_close(&carried->output);
            carried->used = false;
        }
    }
}
