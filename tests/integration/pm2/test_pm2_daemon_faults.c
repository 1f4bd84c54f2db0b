/* The faults of PM2's own daemon, produced with a real one, and what is seen of each. The manager
 * runs in shadow: it watches and mends nothing. The first table is in test_pm2_faults.c.
 *
 * | fault | produced by | ends as |
 * | --- | --- | --- |
 * | killed | SIGKILL | pm2.dead critical, pm2.orphan of what lives on, its primary up |
 * | back with an empty list | a new daemon after SIGKILL | pm2.emptied, the orphan's primary up |
 * | a second copy beside an orphan | the same, started again | pm2.orphan critical: runs twice |
 * | ended by a malformed request, under systemd | half a JSON text | pm2.dead critical |
 * | ended on purpose | SIGTERM; pm2 kill | pm2.dead as a warning; nothing |
 * | stopped | SIGSTOP | pm2.hung: SIGSTOP |
 * | two daemons of one home | a second one started | pm2.doubled, or pm2.unreachable |
 * | alive, its sockets gone | unlink | pm2.unreachable |
 * | grows, since a subscriber does not read | one that does not, and a flood | pm2.daemon_memory |
 *
 * Not produced: blocked by a disk or by its own work (seen as stopped is, by the ping that is not
 * answered); growth over hours (table in test_pm2_census.c). */
#include "tests/integration/pm2/pm2_bench.h"

#include "node/base/clock.h"
#include "node/base/doc.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

/* No output: it outlives a dead daemon, as many programs do. */
static const char sleeper[] = "#!/bin/sh\nexec sleep 100000\n";

static json_t *section(void)
{
    return json_pack("{si s[{ss s[s]}] s[]}", "poll_ms", 1000, "primaries", "name", "worker", "on",
                     "n1", "backups");
}

static int set_up(void **state)
{
    int rc = bench_set_up(state);
    struct bench *bench = *state;
    bench->shadow = true;
    return rc;
}

static bool is_up(struct bench *bench)
{
    return bench_primary_is(bench, "worker", "up", "online");
}

static pid_t worker_pid(struct bench *bench)
{
    return (pid_t)doc_get_integer(bench_primary(bench, "worker"), "pid", 0);
}

/* PM2's own way, twice the same. */
static void start_worker(struct bench *bench)
{
    const char *script = bench_script(bench, "worker.sh", sleeper);
    PM2(bench, "start", script, "--name", "worker", "--interpreter", "sh");
}

static void start(struct bench *bench)
{
    start_worker(bench);
    bench_start_manager(bench, section());
    RUN_UNTIL(bench, is_up);
}

static bool severity_is(const struct bench *bench, const char *kind, const char *object,
                        const char *severity)
{
    const json_t *finding = bench_finding(bench, kind, object);
    return finding != NULL && strcmp(doc_get_text(finding, "severity", ""), severity) == 0;
}

/* ---- dead ---- */

static bool is_dead_and_left_an_orphan(struct bench *bench)
{
    return severity_is(bench, "pm2.dead", "", "critical") &&
           severity_is(bench, "pm2.orphan", "worker", "warning") &&
           bench_primary_is(bench, "worker", "up", "PM2 daemon dead, process lives");
}

static bool is_back_without_list(struct bench *bench)
{
    return severity_is(bench, "pm2.emptied", "", "critical") &&
           bench_finding(bench, "pm2.dead", "") == NULL &&
           bench_primary_is(bench, "worker", "up", "not in PM2's list, process lives");
}

static bool runs_twice(struct bench *bench)
{
    return severity_is(bench, "pm2.orphan", "worker", "critical") &&
           bench_finds(bench, "pm2.orphan", "worker", "runs twice");
}

static bool has_no_orphan(struct bench *bench)
{
    return bench_finding(bench, "pm2.orphan", "worker") == NULL;
}

/* The primary lives through all of it as the same process, and no backup is called for. */
static void a_killed_daemon_leaves_orphans_that_run(void **state)
{
    struct bench *bench = *state;
    start(bench);
    pid_t pid = worker_pid(bench);
    bench_kill_god(bench);
    RUN_UNTIL(bench, is_dead_and_left_an_orphan);
    bench_start_god(bench, geteuid(), false);
    RUN_UNTIL(bench, is_back_without_list);
    assert_int_equal(worker_pid(bench), pid);
    assert_false(bench_had_event(bench, "primary.down"));
    start_worker(bench); /* as `pm2 resurrect` would */
    RUN_UNTIL(bench, runs_twice);
    assert_true(is_up(bench));
    assert_int_not_equal(worker_pid(bench), pid);
    assert_int_equal(kill(pid, 0), 0); /* watching has touched neither */
    assert_int_equal(kill(pid, SIGKILL), 0);
    RUN_UNTIL(bench, has_no_orphan);
    assert_true(is_up(bench));
}

static bool is_dead(struct bench *bench)
{
    return severity_is(bench, "pm2.dead", "", "critical");
}

/* AMP frame: "j:{" and an id. The daemon ends with code 0, which no service manager restarts. */
static void one_malformed_request_is_seen_as_death(void **state)
{
    static const char frame[] = "\x12\0\0\0\x03j:{\0\0\0\x04s:x1";
    struct bench *bench = *state;
    bench_kill_god(bench);
    bench_start_god(bench, geteuid(), true);
    start(bench);
    pid_t pid = worker_pid(bench);
    int fd = bench_dial(bench, "rpc.sock");
    assert_true(fd >= 0);
    assert_int_equal(send(fd, frame, sizeof frame - 1, MSG_NOSIGNAL), sizeof frame - 1);
    RUN_UNTIL(bench, is_dead);
    (void)close(fd);
    assert_int_equal(waitpid(bench->god, NULL, 0), bench->god);
    bench->god = 0;
    assert_int_equal(kill(pid, SIGKILL), 0);
}

static bool was_ended(struct bench *bench)
{
    return severity_is(bench, "pm2.dead", "", "warning") &&
           bench_finds(bench, "pm2.dead", "", "was ended");
}

static void a_daemon_that_was_ended_is_no_catastrophe(void **state)
{
    struct bench *bench = *state;
    start(bench);
    assert_int_equal(kill(bench->god, SIGTERM), 0);
    assert_int_equal(waitpid(bench->god, NULL, 0), bench->god);
    bench->god = 0;
    RUN_UNTIL(bench, was_ended);
}

static bool is_absent(struct bench *bench)
{
    const json_t *home = json_array_get(json_object_get(bench->seen, "homes"), 0);
    return strcmp(doc_get_text(home, "state", ""), "absent") == 0;
}

static void pm2_kill_is_nothing_to_tell(void **state)
{
    struct bench *bench = *state;
    start(bench);
    PM2(bench, "kill");
    assert_int_equal(waitpid(bench->god, NULL, 0), bench->god);
    bench->god = 0;
    RUN_UNTIL(bench, is_absent);
    assert_null(bench_finding(bench, "pm2.dead", ""));
    assert_null(bench_finding(bench, "pm2.orphan", "worker"));
}

/* ---- alive, in a way ---- */

static bool is_stopped(struct bench *bench)
{
    return severity_is(bench, "pm2.hung", "", "critical") &&
           bench_finds(bench, "pm2.hung", "", "SIGSTOP");
}

static bool answers_again(struct bench *bench)
{
    return bench_finding(bench, "pm2.hung", "") == NULL && is_up(bench);
}

static void a_stopped_daemon_is_told_as_such(void **state)
{
    struct bench *bench = *state;
    start(bench);
    assert_int_equal(kill(bench->god, SIGSTOP), 0);
    RUN_UNTIL(bench, is_stopped);
    assert_int_equal(kill(bench->god, SIGCONT), 0);
    RUN_UNTIL(bench, answers_again);
}

static bool two_are_seen(struct bench *bench)
{
    return severity_is(bench, "pm2.doubled", "", "critical") ||
           severity_is(bench, "pm2.unreachable", "", "critical");
}

static bool one_is_left(struct bench *bench)
{
    return bench_finding(bench, "pm2.doubled", "") == NULL &&
           bench_finding(bench, "pm2.unreachable", "") == NULL;
}

static void two_daemons_of_one_home_are_seen(void **state)
{
    struct bench *bench = *state;
    start(bench);
    pid_t pid = worker_pid(bench);
    pid_t first = bench->god;
    bench_start_god(bench, geteuid(), false);
    pid_t other = bench->god;
    bench->god = first;
    RUN_UNTIL(bench, two_are_seen);
    assert_int_equal(kill(pid, 0), 0);
    assert_int_equal(kill(other, SIGKILL), 0);
    assert_int_equal(waitpid(other, NULL, 0), other);
    RUN_UNTIL(bench, one_is_left);
}

static bool is_unreachable(struct bench *bench)
{
    return severity_is(bench, "pm2.unreachable", "", "critical");
}

static bool has_restarted(struct bench *bench)
{
    return bench->ready == 2;
}

/* A new manager finds no socket: it must not take that for "no PM2 here". */
static void a_daemon_without_sockets_is_seen(void **state)
{
    struct bench *bench = *state;
    char path[128];
    start(bench);
    (void)snprintf(path, sizeof path, "%s/rpc.sock", bench->home);
    assert_int_equal(unlink(path), 0);
    (void)snprintf(path, sizeof path, "%s/pub.sock", bench->home);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(supervise_restart(bench->supervise, "pm2", NULL), 0);
    RUN_UNTIL(bench, has_restarted);
    RUN_UNTIL(bench, is_unreachable);
}

/* ---- growing ---- */

static bool is_known(struct bench *bench)
{
    const json_t *home = json_array_get(json_object_get(bench->seen, "homes"), 0);
    return doc_get_integer(home, "memory_bytes", 0) > 0;
}

static bool is_fat(struct bench *bench)
{
    return bench_finds(bench, "pm2.daemon_memory", "", "more than 100 MB");
}

static void a_growing_daemon_is_seen(void **state)
{
    struct bench *bench = *state;
    json_t *settings = section();
    (void)json_object_set_new(settings, "daemon_memory_bytes", json_integer(100 << 20));
    start_worker(bench);
    bench_start_manager(bench, settings);
    RUN_UNTIL(bench, is_known);
    assert_null(bench_finding(bench, "pm2.daemon_memory", ""));
    int fd = bench_dial(bench, "pub.sock"); /* it never reads */
    assert_true(fd >= 0);
    const char *script =
        bench_script(bench, "flood.sh", "#!/bin/sh\nyes | head -c 200000000\nexec sleep 100000\n");
    PM2(bench, "start", script, "--name", "flood", "--interpreter", "sh", "--output", "/dev/null",
        "--error", "/dev/null");
    RUN_UNTIL(bench, is_fat);
    assert_true(is_up(bench));
    (void)close(fd);
}

/* ---- verification ---- */

static bool is_verified(struct bench *bench)
{
    const json_t *home = json_array_get(json_object_get(bench->seen, "homes"), 0);
    int64_t for_ms = doc_get_integer(home, "verified_for_ms", -1);
    return for_ms >= 0 && doc_get_integer(home, "verified", 0) == 1;
}

static void primaries_are_verified_from_scratch(void **state)
{
    struct bench *bench = *state;
    json_t *settings = section();
    (void)json_object_set_new(settings, "verify_ms", json_integer(2000));
    start_worker(bench);
    bench_start_manager(bench, settings);
    RUN_UNTIL(bench, is_verified);
    const json_t *home = json_array_get(json_object_get(bench->seen, "homes"), 0);
    assert_int_equal(doc_get_integer(home, "mistaken", -1), 0);
    assert_true(is_up(bench));
    assert_false(bench_had_event(bench, "primary.down"));
}

#define WITH_BENCH(test) cmocka_unit_test_setup_teardown(test, set_up, bench_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_BENCH(a_killed_daemon_leaves_orphans_that_run),
        WITH_BENCH(one_malformed_request_is_seen_as_death),
        WITH_BENCH(a_daemon_that_was_ended_is_no_catastrophe),
        WITH_BENCH(pm2_kill_is_nothing_to_tell),
        WITH_BENCH(a_stopped_daemon_is_told_as_such),
        WITH_BENCH(two_daemons_of_one_home_are_seen),
        WITH_BENCH(a_daemon_without_sockets_is_seen),
        WITH_BENCH(a_growing_daemon_is_seen),
        WITH_BENCH(primaries_are_verified_from_scratch),
    };
    cmocka_set_test_filter(getenv("CMOCKA_TEST_FILTER"));
    return cmocka_run_group_tests_name("pm2_daemon_faults", tests, NULL, NULL);
}
