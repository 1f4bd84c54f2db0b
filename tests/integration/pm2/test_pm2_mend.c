/* Primaries brought back by the manager, at the leader's order, under a real PM2. Each state is
 * made as it comes about, and a neighbour in the same PM2 keeps its process throughout. */
#include "tests/integration/pm2/pm2_bench.h"

#include "node/base/clock.h"
#include "node/base/doc.h"

#include <ctype.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static const char sleeper[] = "#!/bin/sh\nexec sleep 100000\n";
/* Runs once it is well. */
static const char worker_text[] = "#!/bin/sh\n"
                                  "test -e \"$(dirname \"$0\")/well\" || exit 3\n"
                                  "exec sleep 100000\n";
static int64_t neighbour;

/* ---- the bench ---- */

static const char *path_of(struct bench *bench, const char *name)
{
    static char path[160];
    (void)snprintf(path, sizeof path, "%s/%s", bench->folder, name);
    return path;
}

static void touch(struct bench *bench, const char *name)
{
    int fd = open(path_of(bench, name), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    (void)close(fd);
}

static int64_t pid_of(const struct bench *bench, const char *name)
{
    return doc_get_integer(bench_primary(bench, name), "pid", 0);
}

static bool neighbour_is_up(struct bench *bench)
{
    return bench_primary_is(bench, "neighbour", "up", "online") && pid_of(bench, "neighbour") > 0;
}

static bool is_up(struct bench *bench)
{
    return bench_primary_is(bench, "worker", "up", "online");
}

static bool was_mended(struct bench *bench)
{
    return is_up(bench) && bench_had_event(bench, "primary.mended");
}

/* The manager watches a neighbour, and a worker and another that the test starts. */
static void start(struct bench *bench, bool mend)
{
    PM2(bench, "start", bench_script(bench, "neighbour.sh", sleeper), "--name", "neighbour",
        "--interpreter", "sh");
    (void)bench_script(bench, "worker.sh", worker_text);
    bench_start_manager(bench, json_pack("{si s[{ss} {ss} {ss s[s] sb sb}]}", "poll_ms", 500,
                                         "primaries", "name", "neighbour", "name", "later", "name",
                                         "worker", "on", "n1", "mend", mend, "critical", true));
    RUN_UNTIL(bench, neighbour_is_up);
    neighbour = pid_of(bench, "neighbour");
}

static void check_neighbour(struct bench *bench)
{
    json_t *row = bench_list_row(bench, "neighbour");
    assert_int_equal(doc_get_integer(row, "pid", 0), neighbour);
    assert_int_equal(doc_get_integer(json_object_get(row, "pm2_env"), "restart_time", -1), 0);
    json_decref(row);
}

static const char *status_of(struct bench *bench, const char *name)
{
    static char status[32];
    json_t *row = bench_list_row(bench, name);
    assert_non_null(row);
    (void)snprintf(status, sizeof status, "%s",
                   doc_get_text(json_object_get(row, "pm2_env"), "status", ""));
    json_decref(row);
    return status;
}

/* ---- what is told ---- */

static bool tells(const struct bench *bench, const char *state, const char *why)
{
    size_t index;
    json_t *row;
    json_array_foreach(json_object_get(bench->seen, "ailing"), index, row)
    {
        if (strcmp(doc_get_text(row, "name", ""), "worker") == 0) {
            return strcmp(doc_get_text(row, "state", ""), state) == 0 &&
                   strstr(doc_get_text(row, "why", ""), why) != NULL &&
                   doc_get_bool(row, "critical", false);
        }
    }
    return false;
}

static bool is_errored(struct bench *bench)
{
    return tells(bench, "ill", "errored");
}

static bool is_ghost(struct bench *bench)
{
    return tells(bench, "ill", "ghost");
}

static bool is_left(struct bench *bench)
{
    return tells(bench, "left", "stopped");
}

static bool tells_nothing(struct bench *bench)
{
    return bench->seen != NULL && json_object_get(bench->seen, "ailing") == NULL;
}

/* How often attempts have ended so. */
static int ends(struct bench *bench, const char *how)
{
    char line[1024];
    int count = 0;
    FILE *file = fopen(path_of(bench, "managers/pm2/journal"), "r");
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        count += strstr(line, "attempt ends worker") != NULL && strstr(line, how) != NULL;
    }
    if (file != NULL) {
        (void)fclose(file);
    }
    return count;
}

static bool did_not_help(struct bench *bench)
{
    return ends(bench, "it did not help") == 1;
}

static bool had_nothing_to_do(struct bench *bench)
{
    return ends(bench, "not ill any more") == 1;
}

/* ---- tests ---- */

static void errored_one_is_brought_back(void **state)
{
    struct bench *bench = *state;
    start(bench, true);
    PM2(bench, "start", path_of(bench, "worker.sh"), "--name", "worker", "--interpreter", "sh");
    RUN_UNTIL(bench, is_errored);
    assert_true(bench_mend(bench, "worker", 1));
    assert_true(bench_mend(bench, "worker", 1)); /* the same one, not another */
    RUN_UNTIL(bench, did_not_help);
    RUN_UNTIL(bench, is_errored);
    assert_false(bench_had_event(bench, "primary.mended"));
    touch(bench, "well");
    assert_true(bench_mend(bench, "worker", 2));
    RUN_UNTIL(bench, was_mended);
    RUN_UNTIL(bench, tells_nothing);
    assert_string_equal(status_of(bench, "worker"), "online");
    check_neighbour(bench);
}

static void stopped_one_stays_stopped(void **state)
{
    struct bench *bench = *state;
    start(bench, true);
    PM2(bench, "start", path_of(bench, "worker.sh"), "--name", "worker", "--interpreter", "sh");
    RUN_UNTIL(bench, is_errored);
    touch(bench, "well");
    PM2(bench, "stop", "worker"); /* a person gives it up, too */
    RUN_UNTIL(bench, is_left);
    assert_true(bench_mend(bench, "worker", 1));
    RUN_UNTIL(bench, had_nothing_to_do);
    assert_string_equal(status_of(bench, "worker"), "stopped");
    PM2(bench, "delete", "worker");
    PM2(bench, "start", path_of(bench, "worker.sh"), "--name", "worker", "--interpreter", "sh");
    RUN_UNTIL(bench, is_up);
    PM2(bench, "stop", "worker");
    RUN_UNTIL(bench, is_left);
    assert_string_equal(status_of(bench, "worker"), "stopped");
    check_neighbour(bench);
}

/* PM2 shows it as waiting, with a restart delay, and starts it no more. */
static void one_that_ended_for_good_is_left(void **state)
{
    struct bench *bench = *state;
    start(bench, true);
    PM2(bench, "start", path_of(bench, "worker.sh"), "--name", "worker", "--interpreter", "sh",
        "--no-autorestart", "--restart-delay", "100");
    RUN_UNTIL(bench, is_left);
    touch(bench, "well");
    assert_true(bench_mend(bench, "worker", 1));
    RUN_UNTIL(bench, had_nothing_to_do);
    assert_string_equal(status_of(bench, "worker"), "waiting restart");
    json_t *row = bench_list_row(bench, "worker");
    assert_int_equal(doc_get_integer(row, "pid", -1), 0);
    json_decref(row);
    check_neighbour(bench);
}

static void ghost_is_restarted(void **state)
{
    struct bench *bench = *state;
    start(bench, true);
    (void)bench_script(bench, "program", sleeper);
    PM2(bench, "start", path_of(bench, "program"), "--name", "worker", "--interpreter", "none");
    RUN_UNTIL(bench, is_up);
    char aside[192];
    (void)snprintf(aside, sizeof aside, "%s", path_of(bench, "aside"));
    assert_int_equal(rename(path_of(bench, "program"), aside), 0);
    PM2(bench, "restart", "worker");
    RUN_UNTIL(bench, is_ghost);
    assert_true(bench_mend(bench, "worker", 1));
    RUN_UNTIL(bench, did_not_help);
    RUN_UNTIL(bench, is_ghost);
    assert_int_equal(rename(aside, path_of(bench, "program")), 0);
    assert_true(bench_mend(bench, "worker", 2));
    RUN_UNTIL(bench, was_mended);
    check_neighbour(bench);
}

static bool lacks_its_folder(struct bench *bench)
{
    return tells(bench, "ill", "folder of its logs");
}

static bool could_not_be_started(struct bench *bench)
{
    return tells(bench, "ill", "could not start it again");
}

/* PM2 keeps the dead one's pid, and refuses to restart it before it was stopped. */
static void one_that_pm2_could_not_start_is_stopped_and_started(void **state)
{
    struct bench *bench = *state;
    char log[192];
    start(bench, true);
    touch(bench, "well");
    assert_int_equal(mkdir(path_of(bench, "logs"), 0700), 0);
    (void)snprintf(log, sizeof log, "%s/o.log", path_of(bench, "logs"));
    PM2(bench, "start", path_of(bench, "worker.sh"), "--name", "worker", "--interpreter", "sh",
        "--output", log, "--error", log);
    RUN_UNTIL(bench, is_up);
    (void)unlink(log);
    assert_int_equal(rmdir(path_of(bench, "logs")), 0);
    touch(bench, "logs");
    assert_int_equal(kill((pid_t)pid_of(bench, "worker"), SIGKILL), 0);
    RUN_UNTIL(bench, lacks_its_folder);
    assert_true(bench_mend(bench, "worker", 1));
    RUN_UNTIL(bench, did_not_help);
    assert_int_equal(unlink(path_of(bench, "logs")), 0);
    assert_int_equal(mkdir(path_of(bench, "logs"), 0700), 0);
    RUN_UNTIL(bench, could_not_be_started);
    assert_true(bench_mend(bench, "worker", 2));
    RUN_UNTIL(bench, was_mended);
    check_neighbour(bench);
}

/* ---- a cluster's worker that never comes up ---- */

static bool is_worker(pid_t pid)
{
    char path[64];
    static char environment[1 << 16];
    (void)snprintf(path, sizeof path, "/proc/%d/environ", (int)pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t length = fd < 0 ? 0 : read(fd, environment, sizeof environment);
    if (fd >= 0) {
        (void)close(fd);
    }
    static const char name[] = "\"name\":\"worker\"";
    return length > 0 && memmem(environment, (size_t)length, name, strlen(name)) != NULL;
}

/* The daemon's child that is this worker, 0 when there is none yet. */
static pid_t find_worker(const struct bench *bench)
{
    char path[64];
    char text[4096] = "";
    (void)snprintf(path, sizeof path, "/proc/%d/task/%d/children", (int)bench->god,
                   (int)bench->god);
    FILE *file = fopen(path, "r");
    size_t length = file == NULL ? 0 : fread(text, 1, sizeof text - 1, file);
    if (file != NULL) {
        (void)fclose(file);
    }
    for (char *at = text; length > 0 && isdigit((unsigned char)*at) != 0;) {
        pid_t pid = (pid_t)strtol(at, &at, 10);
        at += strspn(at, " ");
        if (is_worker(pid)) {
            return pid;
        }
    }
    return 0;
}

static bool is_launching(struct bench *bench)
{
    return bench_primary_is(bench, "worker", "between", "launching") || is_up(bench);
}

/* Start it, and freeze its worker before that has told the daemon that it is there. */
static void start_frozen(struct bench *bench, const char *script)
{
    pid_t command = fork();
    if (command == 0) {
        char program[512];
        const char *dir = getenv("UNDERSTUDY_PM2_DIR");
        (void)snprintf(program, sizeof program, "%s/node_modules/pm2/bin/pm2",
                       dir != NULL ? dir : PM2_DIR);
        (void)setenv("PM2_HOME", bench->home, 1);
        (void)setenv("HOME", bench->folder, 1);
        int null = open("/dev/null", O_RDWR);
        (void)dup2(null, STDIN_FILENO);
        (void)dup2(null, STDOUT_FILENO);
        (void)execlp("node", "node", program, "start", script, "--name", "worker", "-i", "1",
                     (char *)NULL);
        _exit(127);
    }
    pid_t worker = 0;
    int64_t give_up_ms = clock_boot_ms() + PATIENCE_MS;
    while (worker == 0 && clock_boot_ms() < give_up_ms) {
        worker = find_worker(bench);
    }
    assert_int_not_equal(worker, 0);
    assert_int_equal(kill(worker, SIGSTOP), 0);
    RUN_UNTIL(bench, is_launching);
    assert_int_equal(kill(command, SIGKILL), 0); /* it waits for the worker */
    assert_int_equal(waitpid(command, NULL, 0), command);
}

static bool is_stuck(struct bench *bench)
{
    return tells(bench, "ill", "stuck in launching");
}

static void start_stuck(struct bench *bench)
{
    const char *script = bench_script(bench, "app.js", "setInterval(() => {}, 1000);\n");
    start_frozen(bench, script);
    for (int i = 0; i < 10 && is_up(bench); i++) { /* it was quicker than we were */
        pid_t worker = find_worker(bench);
        (void)kill(worker, SIGCONT);
        PM2(bench, "delete", "worker");
        start_frozen(bench, script);
    }
    RUN_UNTIL(bench, is_stuck);
}

static void worker_that_never_came_up_is_killed(void **state)
{
    struct bench *bench = *state;
    start(bench, true);
    start_stuck(bench);
    assert_true(bench_mend(bench, "worker", 1));
    RUN_UNTIL(bench, was_mended);
    check_neighbour(bench);
}

static pid_t dying;

static bool is_dying(struct bench *bench)
{
    (void)bench;
    int status = 0;
    return waitpid(dying, &status, __WALL | WNOHANG) == dying &&
           status >> 8 == (SIGTRAP | PTRACE_EVENT_EXIT << 8);
}

static bool later_is_up(struct bench *bench)
{
    return bench_primary_is(bench, "later", "up", "online");
}

/* A core dump or a slow disk can keep a process for seconds: PM2 lists it as before. */
static void killed_one_that_dies_slowly_is_awaited(void **state)
{
    struct bench *bench = *state;
    start(bench, true);
    start_stuck(bench);
    dying = find_worker(bench);
    if (ptrace(PTRACE_SEIZE, dying, 0, PTRACE_O_TRACEEXIT) != 0) {
        print_message("this system lets nobody trace that process\n");
        skip();
    }
    assert_true(bench_mend(bench, "worker", 1));
    RUN_UNTIL(bench, is_dying);
    PM2(bench, "start", bench_script(bench, "later.sh", sleeper), "--name", "later",
        "--interpreter", "sh");
    RUN_UNTIL(bench, later_is_up); /* the manager has seen a list since */
    assert_true(is_stuck(bench));
    assert_int_equal(ptrace(PTRACE_DETACH, dying, 0, 0), 0);
    RUN_UNTIL(bench, was_mended);
    check_neighbour(bench);
}

/* ---- when nothing may be done ---- */

static bool sees_errored(struct bench *bench)
{
    return bench_primary_is(bench, "worker", "down", "errored");
}

static void nothing_is_done_where_it_is_not_wanted(void **state)
{
    struct bench *bench = *state;
    start(bench, false);
    PM2(bench, "start", path_of(bench, "worker.sh"), "--name", "worker", "--interpreter", "sh");
    RUN_UNTIL(bench, sees_errored);
    assert_true(tells_nothing(bench));
    assert_false(bench_mend(bench, "worker", 1));
    assert_false(bench_mend(bench, "nobody", 1));
    assert_string_equal(status_of(bench, "worker"), "errored");
}

static void nothing_is_done_while_paused(void **state)
{
    struct bench *bench = *state;
    start(bench, true);
    PM2(bench, "start", path_of(bench, "worker.sh"), "--name", "worker", "--interpreter", "sh");
    RUN_UNTIL(bench, is_errored);
    touch(bench, "well");
    assert_int_equal(supervise_pause(bench->supervise, "pm2", NULL), 0);
    assert_false(bench_mend(bench, "worker", 1));
    assert_string_equal(status_of(bench, "worker"), "errored");
    assert_int_equal(supervise_resume(bench->supervise, "pm2", NULL), 0);
    assert_true(bench_mend(bench, "worker", 1));
    RUN_UNTIL(bench, was_mended);
}

#define WITH_BENCH(test) cmocka_unit_test_setup_teardown(test, bench_set_up, bench_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_BENCH(errored_one_is_brought_back),
        WITH_BENCH(stopped_one_stays_stopped),
        WITH_BENCH(one_that_ended_for_good_is_left),
        WITH_BENCH(ghost_is_restarted),
        WITH_BENCH(one_that_pm2_could_not_start_is_stopped_and_started),
        WITH_BENCH(worker_that_never_came_up_is_killed),
        WITH_BENCH(killed_one_that_dies_slowly_is_awaited),
        WITH_BENCH(nothing_is_done_where_it_is_not_wanted),
        WITH_BENCH(nothing_is_done_while_paused),
    };
    return cmocka_run_group_tests_name("pm2_mend", tests, NULL, NULL);
}
