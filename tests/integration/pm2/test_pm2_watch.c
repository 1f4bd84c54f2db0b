/* Watching: what is wrong with a primary is seen, also where PM2 itself does not see it. */
#include "tests/integration/pm2/pm2_bench.h"

#include "node/base/doc.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

/* No output: it outlives a dead daemon, as many programs do. */
static const char sleeper[] = "#!/bin/sh\nexec sleep 100000\n";

static json_t *section(const char *name)
{
    return json_pack("{si s[{ss s[s]}] s[]}", "poll_ms", 1000, "primaries", "name", name, "on",
                     "n1", "backups");
}

static bool is_up(struct bench *bench)
{
    return bench_primary_is(bench, "worker", "up", "online");
}

static bool is_stopped(struct bench *bench)
{
    return bench_primary_is(bench, "worker", "down", "stopped");
}

static bool is_missing(struct bench *bench)
{
    return bench_primary_is(bench, "worker", "down", "not in PM2's list");
}

static void start_worker(struct bench *bench)
{
    const char *script = bench_script(bench, "worker.sh", sleeper);
    PM2(bench, "start", script, "--name", "worker", "--interpreter", "sh");
}

static pid_t worker_pid(struct bench *bench)
{
    return (pid_t)doc_get_integer(bench_primary(bench, "worker"), "pid", 0);
}

static void stopped_and_missing_are_down(void **state)
{
    struct bench *bench = *state;
    bench_start_manager(bench, section("worker"));
    RUN_UNTIL(bench, is_missing);
    start_worker(bench);
    RUN_UNTIL(bench, is_up);
    pid_t pid = worker_pid(bench);
    assert_int_equal(kill(pid, 0), 0);
    bench_command(bench, "primary list");
    const json_t *row = json_array_get(bench->reply, 0);
    assert_string_equal(doc_get_text(row, "name", ""), "worker");
    assert_string_equal(doc_get_text(row, "node", ""), "n1");
    assert_string_equal(doc_get_text(row, "state", ""), "up");
    PM2(bench, "stop", "worker");
    RUN_UNTIL(bench, is_stopped);
    assert_true(bench_had_event(bench, "primary.down"));
    PM2(bench, "start", "worker");
    RUN_UNTIL(bench, is_up);
    assert_true(bench_had_event(bench, "primary.up"));
    PM2(bench, "delete", "worker");
    RUN_UNTIL(bench, is_missing);
}

static pid_t killed;

static bool is_up_anew(struct bench *bench)
{
    return is_up(bench) && worker_pid(bench) != killed && worker_pid(bench) > 0;
}

static void killed_primary_that_pm2_restarts_is_no_alarm(void **state)
{
    struct bench *bench = *state;
    start_worker(bench);
    bench_start_manager(bench, section("worker"));
    RUN_UNTIL(bench, is_up);
    bench->event_count = 0;
    killed = worker_pid(bench);
    assert_int_equal(kill(killed, SIGKILL), 0);
    RUN_UNTIL(bench, is_up_anew);
    assert_int_equal(doc_get_integer(bench_primary(bench, "worker"), "restarts", 0), 1);
    assert_false(bench_had_event(bench, "primary.down"));
}

static bool has_given_up(struct bench *bench)
{
    return bench_primary_is(bench, "worker", "down", "errored");
}

static void errored_is_down(void **state)
{
    struct bench *bench = *state;
    bench_start_manager(bench, section("worker"));
    const char *script = bench_script(bench, "worker.sh", "#!/bin/sh\nexit 1\n");
    PM2(bench, "start", script, "--name", "worker", "--interpreter", "sh", "--max-restarts", "2");
    RUN_UNTIL(bench, has_given_up);
}

static bool is_ghost(struct bench *bench)
{
    return bench_primary_is(bench, "worker", "down", "ghost");
}

/* PM2 says online for ever when it cannot start the process, here for want of its folder. */
static void online_without_a_process_is_down(void **state)
{
    struct bench *bench = *state;
    char folder[96];
    (void)snprintf(folder, sizeof folder, "%s/place", bench->folder);
    assert_int_equal(mkdir(folder, 0700), 0);
    const char *script = bench_script(bench, "worker.sh", sleeper);
    PM2(bench, "start", script, "--name", "worker", "--interpreter", "sh", "--cwd", folder);
    bench_start_manager(bench, section("worker"));
    RUN_UNTIL(bench, is_up);
    PM2(bench, "stop", "worker");
    RUN_UNTIL(bench, is_stopped);
    assert_int_equal(rmdir(folder), 0);
    PM2(bench, "start", "worker");
    RUN_UNTIL(bench, is_ghost);
    json_t *row = bench_list_row(bench, "worker");
    assert_string_equal(doc_get_text(json_object_get(row, "pm2_env"), "status", ""), "online");
    json_decref(row);
}

static bool is_down(struct bench *bench)
{
    const json_t *row = bench_primary(bench, "worker");
    return strcmp(doc_get_text(row, "state", ""), "down") == 0 &&
           strcmp(doc_get_text(row, "reason", ""), "not in PM2's list") != 0;
}

/* PM2 5 and 6 call it online for ever then, without a process, once it ought to be ready; 7 notices
 * its end. The command returns after that time. */
static void dead_before_it_was_ready_is_down(void **state)
{
    struct bench *bench = *state;
    bench_start_manager(bench, section("worker"));
    const char *script = bench_script(bench, "worker.js", "setTimeout(() => process.exit(1), 300)");
    PM2(bench, "start", script, "--name", "worker", "--wait-ready", "--no-autorestart");
    json_t *row = bench_list_row(bench, "worker");
    bool online =
        strcmp(doc_get_text(json_object_get(row, "pm2_env"), "status", ""), "online") == 0;
    json_decref(row);
    print_message("PM2 %s\n", online ? "takes it for online" : "noticed its end");
    bench_run_until(bench, online ? is_ghost : is_down, "down");
}

static bool cannot_run(struct bench *bench)
{
    return bench->capability < 1;
}

static bool is_orphan(struct bench *bench)
{
    return bench_primary_is(bench, "worker", "up", "PM2 daemon dead, process lives");
}

static bool is_dead_with_daemon(struct bench *bench)
{
    return bench_primary_is(bench, "worker", "down", "PM2 daemon dead");
}

static void dead_daemon_takes_the_capability_and_not_the_truth(void **state)
{
    struct bench *bench = *state;
    start_worker(bench);
    bench_start_manager(bench, section("worker"));
    RUN_UNTIL(bench, is_up);
    pid_t pid = worker_pid(bench);
    bench_kill_god(bench);
    RUN_UNTIL(bench, cannot_run);
    RUN_UNTIL(bench, is_orphan);
    assert_true(bench_had_event(bench, "pm2.down"));
    assert_int_equal(kill(pid, 0), 0); /* watching has not touched it */
    assert_int_equal(kill(pid, SIGKILL), 0);
    RUN_UNTIL(bench, is_dead_with_daemon);
}

static bool has_restarted(struct bench *bench)
{
    return bench->ready == 2;
}

/* A manager that never saw the daemon alive must still not take the primary for dead. */
static void orphan_is_found_by_a_new_manager(void **state)
{
    struct bench *bench = *state;
    start_worker(bench);
    bench_start_manager(bench, section("worker"));
    RUN_UNTIL(bench, is_up);
    pid_t pid = worker_pid(bench);
    bench_kill_god(bench);
    RUN_UNTIL(bench, is_orphan);
    bench->event_count = 0;
    assert_int_equal(supervise_restart(bench->supervise, "pm2", NULL), 0);
    json_decref(bench->seen);
    bench->seen = NULL;
    RUN_UNTIL(bench, has_restarted);
    RUN_UNTIL(bench, is_orphan);
    assert_int_equal(worker_pid(bench), pid);
    assert_false(bench_had_event(bench, "primary.down"));
    assert_int_equal(kill(pid, SIGKILL), 0);
    RUN_UNTIL(bench, is_dead_with_daemon);
}

static bool is_hung(struct bench *bench)
{
    const json_t *home = json_array_get(json_object_get(bench->seen, "homes"), 0);
    return strcmp(doc_get_text(home, "state", ""), "hung") == 0 && bench->capability < 1;
}

static bool is_well_again(struct bench *bench)
{
    return bench->capability > 99 && is_up(bench);
}

static void stopped_daemon_is_noticed_and_its_return_too(void **state)
{
    struct bench *bench = *state;
    start_worker(bench);
    bench_start_manager(bench, section("worker"));
    RUN_UNTIL(bench, is_up);
    assert_int_equal(kill(bench->god, SIGSTOP), 0);
    RUN_UNTIL(bench, is_hung);
    assert_int_equal(kill(bench->god, SIGCONT), 0);
    RUN_UNTIL(bench, is_well_again);
}

#define WITH_BENCH(test) cmocka_unit_test_setup_teardown(test, bench_set_up, bench_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_BENCH(stopped_and_missing_are_down),
        WITH_BENCH(killed_primary_that_pm2_restarts_is_no_alarm),
        WITH_BENCH(errored_is_down),
        WITH_BENCH(online_without_a_process_is_down),
        WITH_BENCH(dead_before_it_was_ready_is_down),
        WITH_BENCH(dead_daemon_takes_the_capability_and_not_the_truth),
        WITH_BENCH(orphan_is_found_by_a_new_manager),
        WITH_BENCH(stopped_daemon_is_noticed_and_its_return_too),
    };
    return cmocka_run_group_tests_name("pm2_watch", tests, NULL, NULL);
}
