/* The faults of PM2, produced with a real one, and what is seen of each. The manager runs in
 * shadow: it watches and mends nothing. test_pm2_daemon_faults.c has those of the daemon itself.
 *
 * Every test has a bystander, a process of the team that is no primary: at the end it runs as the
 * same process, was not restarted, and is listed once.
 *
 * | fault | produced by | ends as |
 * | --- | --- | --- |
 * | online without a process, primary | its folder removed, started | down, test_pm2_watch |
 * | online without a process, other | its folder removed, started | pm2.ghost, primaries up |
 * | one ghost, nothing is measured | the same | pm2.blind; our own figures go on |
 * | a loop that PM2 never gives up | lives longer than min_uptime | down, pm2.loop |
 * | a slow loop | an exit every 4 s | pm2.loop, not down |
 * | restarts that are no crashes | by hand, by cron, by memory, reload | nothing |
 * | given up | exits at once | down, test_pm2_watch |
 * | a dead pid kept while waiting for the restart | restart_delay | down, pid not believed |
 * | dead before it was ready | wait_ready | down: errored |
 * | hung, and online to PM2 | SIGSTOP | pm2.frozen |
 * | over its memory or processor, in a child | a child that spins | pm2.memory, pm2.cpu; up |
 * | an error in its log | prints it | pm2.log, without the line |
 * | a flood of log | 100 MB of lines | pm2.log, chunks dropped and counted, bounded memory |
 * | one entry prepared twice, as by two pm2 resurrect | prepare, prepare | pm2.duplicate |
 * | events that an app publishes as PM2's | process.send | pm2.false_event, nothing believed |
 *
 * Not produced: a launching, stopping or waiting that lasts for ever (PM2 7 ends each at its own
 * limit of time, tables in test_pm2_census.c and test_pm2_decide.c); a stop that fails (needs a
 * process that SIGKILL does not end); a worker left behind by a second reload, a start in cluster
 * mode that never answers, and online with pid 0 before ready (mended in PM2 7.0); a number of a
 * process that belongs to another (the kernel would have to come round, test_pm2_decide.c); a crash
 * of the daemon by a subscriber that leaves (PM2 4). */
#include "tests/integration/pm2/pm2_bench.h"

#include "managers/pm2/daemon/amp.h"
#include "node/base/doc.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static const char sleeper[] = "#!/bin/sh\nexec sleep 100000\n";

/* ---- the bystander ---- */

static int64_t bystander_pid;

static void look_at_bystander(struct bench *bench, int64_t *ret_pid, int64_t *ret_restarts)
{
    json_t *row = bench_list_row(bench, "bystander");
    assert_non_null(row);
    *ret_pid = doc_get_integer(row, "pid", 0);
    *ret_restarts = doc_get_integer(json_object_get(row, "pm2_env"), "restart_time", -1);
    json_decref(row);
}

static int set_up(void **state)
{
    (void)setenv("PM2_WORKER_INTERVAL", "1000", 1); /* PM2 looks at memory limits so often */
    int rc = bench_set_up(state);
    struct bench *bench = *state;
    int64_t restarts;
    bench->shadow = true;
    const char *script = bench_script(bench, "bystander.sh", sleeper);
    PM2(bench, "start", script, "--name", "bystander", "--interpreter", "sh");
    look_at_bystander(bench, &bystander_pid, &restarts);
    return rc;
}

/* Of a daemon that is well and of processes that it knows. */
static void nothing_false_is_told(const struct bench *bench)
{
    static const char *const kinds[] = {"pm2.dead",        "pm2.hung",   "pm2.doubled",
                                        "pm2.unreachable", "pm2.orphan", "pm2.emptied",
                                        "pm2.stuck"};
    size_t index;
    json_t *row;
    json_array_foreach(json_object_get(bench->seen, "findings"), index, row)
    {
        for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
            if (strcmp(doc_get_text(row, "kind", ""), kinds[i]) == 0) {
                fail_msg("%s: %s", kinds[i], doc_get_text(row, "text", ""));
            }
        }
    }
}

static int tear_down(void **state)
{
    struct bench *bench = *state;
    int64_t pid;
    int64_t restarts;
    look_at_bystander(bench, &pid, &restarts);
    assert_int_equal(pid, bystander_pid);
    assert_int_equal(restarts, 0);
    assert_int_equal(kill((pid_t)pid, 0), 0);
    nothing_false_is_told(bench);
    assert_int_equal(bench->ready, 1); /* the manager has lived all the time */
    return bench_tear_down(state);
}

/* ---- helpers ---- */

/* A primary "worker" of this node with these further keys, which are stolen. */
static json_t *section(json_t *more)
{
    json_t *primary = json_pack("{ss s[s]}", "name", "worker", "on", "n1");
    assert_int_equal(json_object_update(primary, more), 0);
    json_decref(more);
    return json_pack("{si s[o] s[]}", "poll_ms", 1000, "primaries", primary, "backups");
}

static void start_worker(struct bench *bench, const char *text)
{
    const char *script = bench_script(bench, "worker.sh", text);
    PM2(bench, "start", script, "--name", "worker", "--interpreter", "sh");
}

static bool is_up(struct bench *bench)
{
    return bench_primary_is(bench, "worker", "up", "online");
}

/* ---- ghosts ---- */

static bool ghost_is_seen(struct bench *bench)
{
    return bench_finds(bench, "pm2.ghost", "stray", "there is no process");
}

static bool blindness_is_seen(struct bench *bench)
{
    return bench_finds(bench, "pm2.blind", "", "stray");
}

static bool sight_is_back(struct bench *bench)
{
    return bench_finding(bench, "pm2.blind", "") == NULL &&
           bench_finding(bench, "pm2.ghost", "stray") == NULL;
}

static bool is_measured(struct bench *bench)
{
    return doc_get_integer(bench_primary(bench, "worker"), "memory_bytes", 0) > 0;
}

/* Of a process that is no primary: PM2 measures nobody because of it. */
static void one_ghost_blinds_pm2_and_not_us(void **state)
{
    struct bench *bench = *state;
    char folder[96];
    (void)snprintf(folder, sizeof folder, "%s/place", bench->folder);
    assert_int_equal(mkdir(folder, 0700), 0);
    const char *script = bench_script(bench, "stray.sh", sleeper);
    PM2(bench, "start", script, "--name", "stray", "--interpreter", "sh", "--cwd", folder);
    PM2(bench, "stop", "stray");
    assert_int_equal(rmdir(folder), 0);
    start_worker(bench, sleeper);
    bench_start_manager(bench, section(json_object()));
    RUN_UNTIL(bench, is_up);
    assert_null(bench_finding(bench, "pm2.ghost", "stray"));
    PM2(bench, "start", "stray");
    RUN_UNTIL(bench, ghost_is_seen);
    RUN_UNTIL(bench, blindness_is_seen);
    RUN_UNTIL(bench, is_measured);
    json_t *row = bench_list_row(bench, "bystander");
    assert_int_equal(doc_get_integer(json_object_get(row, "monit"), "memory", -1), 0);
    json_decref(row);
    assert_true(is_up(bench));
    assert_true(bench->score > 99); /* no primary is down */
    PM2(bench, "delete", "stray");
    RUN_UNTIL(bench, sight_is_back);
}

/* ---- loops ---- */

static bool is_in_crash_loop(struct bench *bench)
{
    return bench_primary_is(bench, "worker", "down", "crash loop") && bench->score < 50 &&
           bench_finds(bench, "pm2.loop", "worker", "crash loop");
}

/* Longer than min_uptime each time: PM2 restarts it for ever. */
static void a_loop_that_pm2_never_gives_up(void **state)
{
    struct bench *bench = *state;
    bench_start_manager(bench, section(json_object()));
    start_worker(bench, "#!/bin/sh\nsleep 1.3\nexit 1\n");
    RUN_UNTIL(bench, is_in_crash_loop);
    PM2(bench, "delete", "worker");
}

static bool is_in_slow_loop(struct bench *bench)
{
    return bench_finds(bench, "pm2.loop", "worker", "slow loop");
}

static void a_slow_loop_is_told_and_not_down(void **state)
{
    struct bench *bench = *state;
    json_t *settings = section(json_object());
    (void)json_object_set_new(settings, "loop",
                              json_pack("{si si}", "restarts", 2, "window_ms", 3600000));
    start_worker(bench, "#!/bin/sh\nsleep 4\nexit 1\n");
    bench_start_manager(bench, settings);
    RUN_UNTIL(bench, is_in_slow_loop);
    assert_false(bench_had_event(bench, "primary.down"));
    PM2(bench, "delete", "worker");
}

static bool all_have_restarted(struct bench *bench)
{
    static const char *const names[] = {"worker", "ticker", "fat", "web"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const json_t *row = bench_primary(bench, names[i]);
        if (doc_get_integer(row, "restarts", 0) < (i == 3 ? 1 : 6)) {
            return false;
        }
    }
    return true;
}

static void start_restarted_ones(struct bench *bench)
{
    char script[160];
    (void)snprintf(script, sizeof script, "%s", bench_script(bench, "worker.sh", sleeper));
    PM2(bench, "start", script, "--name", "worker", "--interpreter", "sh");
    PM2(bench, "start", script, "--name", "ticker", "--interpreter", "sh", "--cron-restart",
        "* * * * * *");
    PM2(bench, "start", script, "--name", "fat", "--interpreter", "sh", "--max-memory-restart",
        "100K");
    const char *web = bench_script(bench, "web.js", "setInterval(() => {}, 1000);\n");
    PM2(bench, "start", web, "--name", "web", "-i", "2", "--listen-timeout", "300");
}

/* By hand, by cron, by PM2's memory limit, and a reload in cluster mode. */
static void restarts_that_somebody_wanted_are_no_loop(void **state)
{
    struct bench *bench = *state;
    json_t *settings = json_pack(
        "{si s[{ss s[s]} {ss s[s]} {ss s[s]} {ss s[s]}] s[] s{si si}}", "poll_ms", 500, "primaries",
        "name", "worker", "on", "n1", "name", "ticker", "on", "n1", "name", "fat", "on", "n1",
        "name", "web", "on", "n1", "backups", "loop", "restarts", 2, "window_ms", 3600000);
    bench_start_manager(bench, settings);
    start_restarted_ones(bench);
    for (int i = 0; i < 6; i++) {
        PM2(bench, "restart", "worker");
    }
    PM2(bench, "reload", "web");
    RUN_UNTIL(bench, all_have_restarted);
    static const char *const names[] = {"worker", "ticker", "fat", "web"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (bench_finding(bench, "pm2.loop", names[i]) != NULL) {
            fail_msg("%s: %s", names[i],
                     doc_get_text(bench_finding(bench, "pm2.loop", names[i]), "text", ""));
        }
        PM2(bench, "delete", names[i]);
    }
}

/* ---- states ---- */

static bool waits_for_long(struct bench *bench)
{
    return bench_primary_is(bench, "worker", "down", "waits for its restart for long");
}

/* PM2 keeps the number of the process that is gone. */
static void a_dead_pid_is_not_believed(void **state)
{
    struct bench *bench = *state;
    bench_start_manager(bench, section(json_object()));
    const char *script = bench_script(bench, "worker.sh", "#!/bin/sh\nsleep 2\nexit 1\n");
    PM2(bench, "start", script, "--name", "worker", "--interpreter", "sh", "--restart-delay",
        "600000");
    RUN_UNTIL(bench, waits_for_long);
    assert_true(json_is_null(json_object_get(bench_primary(bench, "worker"), "pid")));
    assert_null(bench_finding(bench, "pm2.stuck", "worker")); /* it was asked to wait */
    json_t *row = bench_list_row(bench, "worker");
    assert_true(doc_get_integer(row, "pid", 0) > 0);
    json_decref(row);
}

static bool is_errored(struct bench *bench)
{
    return bench_primary_is(bench, "worker", "down", "errored");
}

static void dead_before_it_was_ready_is_down(void **state)
{
    struct bench *bench = *state;
    bench_start_manager(bench, section(json_object()));
    const char *script = bench_script(bench, "worker.sh", "#!/bin/sh\nexit 1\n");
    PM2(bench, "start", script, "--name", "worker", "--interpreter", "sh", "--wait-ready",
        "--listen-timeout", "3000", "--max-restarts", "2");
    RUN_UNTIL(bench, is_errored);
}

static bool is_frozen(struct bench *bench)
{
    return bench_finds(bench, "pm2.frozen", "worker", "SIGSTOP");
}

static bool is_thawed(struct bench *bench)
{
    return bench_finding(bench, "pm2.frozen", "worker") == NULL;
}

static void a_stopped_process_is_seen(void **state)
{
    struct bench *bench = *state;
    start_worker(bench, sleeper);
    bench_start_manager(bench, section(json_object()));
    RUN_UNTIL(bench, is_up);
    pid_t pid = (pid_t)doc_get_integer(bench_primary(bench, "worker"), "pid", 0);
    assert_true(pid > 0);
    assert_int_equal(kill(pid, SIGSTOP), 0);
    RUN_UNTIL(bench, is_frozen);
    assert_true(is_up(bench)); /* it may go on at any moment: a backup beside it would be two */
    assert_int_equal(kill(pid, SIGCONT), 0);
    RUN_UNTIL(bench, is_thawed);
}

/* ---- figures ---- */

static bool both_are_told(struct bench *bench)
{
    return bench_finds(bench, "pm2.memory", "worker", "more than 1 MB") &&
           bench_finds(bench, "pm2.cpu", "worker", "more than 20 %");
}

/* A child does it: PM2 looks at the main process alone. */
static void too_much_of_a_whole_family_is_told(void **state)
{
    struct bench *bench = *state;
    start_worker(bench, "#!/bin/sh\n(while :; do :; done) &\nexec sleep 100000\n");
    bench_start_manager(bench, section(json_pack("{si si si}", "memory_bytes", 1 << 20, "cpu", 20,
                                                 "over_ms", 3000)));
    RUN_UNTIL(bench, both_are_told);
    assert_true(is_up(bench));
    assert_true(bench->score > 99);
    assert_true(doc_get_bool(bench_primary(bench, "worker"), "over_memory", false));
    PM2(bench, "delete", "worker");
}

/* ---- logs ---- */

static bool log_is_told(struct bench *bench)
{
    return bench_finds(bench, "pm2.log", "worker", "\"^FATAL: \"");
}

static void an_error_in_the_log_is_told_without_it(void **state)
{
    struct bench *bench = *state;
    bench_start_manager(bench, section(json_pack("{s[s]}", "log_errors", "^FATAL: ")));
    start_worker(bench,
                 "#!/bin/sh\necho all is well\nsleep 1\nprintf 'FATAL: pass' >&2\nsleep 0.2\n"
                 "echo word=hunter2 >&2\nexec sleep 100000\n");
    RUN_UNTIL(bench, log_is_told);
    assert_true(bench_finds(bench, "pm2.log", "worker", "1 line "));
    char *all = json_dumps(bench->seen, 0);
    assert_null(strstr(all, "hunter2"));
    free(all);
    assert_true(bench->score > 99);
}

static bool flood_was_cut(struct bench *bench)
{
    return log_is_told(bench) && doc_get_integer(bench->seen, "log_dropped", 0) > 0;
}

static int64_t peak_memory_kb(struct bench *bench)
{
    struct supervise_row row;
    char path[64];
    char line[128];
    long long peak = -1;
    assert_int_equal(supervise_list(bench->supervise, 0, &row, 1), 1);
    (void)snprintf(path, sizeof path, "/proc/%d/status", (int)row.pid);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    while (fgets(line, sizeof line, file) != NULL) {
        (void)sscanf(line, "VmHWM: %lld", &peak);
    }
    (void)fclose(file);
    return peak;
}

static void a_flood_of_log_costs_a_bounded_part(void **state)
{
    struct bench *bench = *state;
    bench_start_manager(bench, section(json_pack("{s[s]}", "log_errors", "^FATAL: ")));
    const char *script =
        bench_script(bench, "worker.sh",
                     "#!/bin/sh\nyes 'FATAL: no memory' | head -c 100000000\nexec sleep 100000\n");
    PM2(bench, "start", script, "--name", "worker", "--interpreter", "sh", "--output", "/dev/null",
        "--error", "/dev/null");
    RUN_UNTIL(bench, flood_was_cut);
    RUN_UNTIL(bench, is_up);
    int64_t peak_kb = peak_memory_kb(bench);
    print_message("memory of the manager at most %lld KB\n", (long long)peak_kb);
    assert_in_range(peak_kb, 1, 64 << 10);
}

/* ---- doubles and lies ---- */

static bool double_is_seen(struct bench *bench)
{
    return bench_finds(bench, "pm2.duplicate", "worker", "runs twice");
}

/* What `pm2 resurrect` sends for each entry of its dump; PM2 numbers only what has `instances`. */
static void prepare_worker(struct bench *bench)
{
    json_t *app =
        json_pack("{ss ss s[s] ss ss ss s[] sb sb sb si s{ss}}", "name", "worker", "pm_exec_path",
                  "/usr/bin/sleep", "args", "100000", "pm_cwd", bench->folder, "exec_interpreter",
                  "none", "exec_mode", "fork_mode", "node_args", "autostart", 1, "autorestart", 1,
                  "treekill", 1, "kill_retry_time", 100, "env", "PATH", "/usr/bin:/bin");
    char path[128];
    (void)snprintf(path, sizeof path, "%s/pids/worker.pid", bench->home);
    (void)json_object_set_new(app, "pm_pid_path", json_string(path));
    (void)json_object_set_new(app, "pm_out_log_path", json_string("/dev/null"));
    (void)json_object_set_new(app, "pm_err_log_path", json_string("/dev/null"));
    json_t *call = json_pack("{ss ss s[o]}", "type", "call", "method", "prepare", "args", app);
    char *text = json_dumps(call, JSON_COMPACT);
    struct buffer frame;
    buffer_init(&frame, 1 << 16);
    assert_int_equal(amp_put_request(&frame, text, "test:1", NULL), 0);
    int fd = bench_dial(bench, "rpc.sock");
    assert_int_equal(send(fd, frame.data, frame.length, MSG_NOSIGNAL), frame.length);
    char byte;
    assert_int_equal(recv(fd, &byte, 1, 0), 1); /* it has answered */
    (void)close(fd);
    buffer_deinit(&frame);
    free(text);
    json_decref(call);
}

static void one_entry_twice_is_told(void **state)
{
    struct bench *bench = *state;
    prepare_worker(bench);
    bench_start_manager(bench, section(json_object()));
    RUN_UNTIL(bench, is_up);
    assert_null(bench_finding(bench, "pm2.duplicate", "worker"));
    prepare_worker(bench);
    RUN_UNTIL(bench, double_is_seen);
    assert_true(is_up(bench));
}

static bool lie_is_seen(struct bench *bench)
{
    return bench_finds(bench, "pm2.false_event", "liar", "publishes");
}

static void an_app_that_speaks_as_pm2_is_not_believed(void **state)
{
    struct bench *bench = *state;
    start_worker(bench, sleeper);
    bench_start_manager(bench, section(json_object()));
    RUN_UNTIL(bench, is_up);
    const char *script = bench_script(
        bench, "liar.js",
        "setInterval(() => process.send({type: 'process:event', data: {event: 'exit', process: "
        "{name: 'worker', pm_id: 1, status: 'stopped', autorestart: true}}}), 50);\n");
    PM2(bench, "start", script, "--name", "liar");
    RUN_UNTIL(bench, lie_is_seen);
    assert_true(is_up(bench));
    assert_null(bench_finding(bench, "pm2.loop", "worker"));
    assert_false(bench_had_event(bench, "primary.down"));
}

#define WITH_BENCH(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_BENCH(one_ghost_blinds_pm2_and_not_us),
        WITH_BENCH(a_loop_that_pm2_never_gives_up),
        WITH_BENCH(a_slow_loop_is_told_and_not_down),
        WITH_BENCH(restarts_that_somebody_wanted_are_no_loop),
        WITH_BENCH(a_dead_pid_is_not_believed),
        WITH_BENCH(dead_before_it_was_ready_is_down),
        WITH_BENCH(a_stopped_process_is_seen),
        WITH_BENCH(too_much_of_a_whole_family_is_told),
        WITH_BENCH(an_error_in_the_log_is_told_without_it),
        WITH_BENCH(a_flood_of_log_costs_a_bounded_part),
        WITH_BENCH(one_entry_twice_is_told),
        WITH_BENCH(an_app_that_speaks_as_pm2_is_not_believed),
    };
    cmocka_set_test_filter(getenv("CMOCKA_TEST_FILTER"));
    return cmocka_run_group_tests_name("pm2_faults", tests, NULL, NULL);
}
