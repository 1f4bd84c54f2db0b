/* Deciding and carrying out, with the real guard under a real PM2. */
#include "tests/integration/pm2/pm2_bench.h"

#include "node/base/clock.h"
#include "node/base/doc.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static const char sleeper[] = "#!/bin/sh\nexec sleep 100000\n";
/* Tells where it runs, then stays. */
static const char stand_in[] =
    "#!/bin/sh\n"
    "echo \"$UNDERSTUDY_DUTY $UNDERSTUDY_TERM $UNDERSTUDY_NODE $MODE\" > \"$PLACE/told\"\n"
    "exec sleep 100000\n";

static json_t *section(struct bench *bench)
{
    const char *script = bench_script(bench, "stand-in.sh", stand_in);
    return json_pack("{si s[{ss s[s]}] s[{ss ss ss ss si si s{si} s{ss ss ss}}]}", "poll_ms", 1000,
                     "primaries", "name", "worker", "on", "n1", "backups", "name", "stand-in",
                     "stands_in_for", "worker", "script", script, "cwd", bench->folder, "settle_ms",
                     1500, "kill_timeout_ms", 500, "when_unreachable", "start_after_ms", 2000,
                     "env", "MODE", "backup", "PLACE", bench->folder, "name",
                     "not to be passed on");
}

static bool is_up(struct bench *bench)
{
    return bench_primary_is(bench, "worker", "up", "online");
}

static void start(struct bench *bench)
{
    const char *script = bench_script(bench, "worker.sh", sleeper);
    PM2(bench, "start", script, "--name", "worker", "--interpreter", "sh");
    bench_start_manager(bench, section(bench));
    RUN_UNTIL(bench, is_up);
}

static pid_t worker_pid(struct bench *bench)
{
    return (pid_t)doc_get_integer(bench_primary(bench, "worker"), "pid", 0);
}

static bool runs(struct bench *bench)
{
    return bench->duty_states > 0 && bench->duty.phase == MANAGER_DUTY_RUNNING &&
           bench->guard_started;
}

static void give_grant(struct bench *bench)
{
    struct manager_grant grant = {.duty = bench_duty,
                                  .assignment = bench->assignment,
                                  .term = 7,
                                  .deadline_ms = clock_boot_ms() + 5000};
    bench->granting = true;
    assert_int_equal(supervise_grant(bench->supervise, "pm2", &grant, NULL), 0);
}

static const char *status_of(const json_t *row)
{
    return doc_get_text(json_object_get(row, "pm2_env"), "status", "");
}

static bool has_told(struct bench *bench)
{
    char path[96];
    char line[256] = "";
    (void)snprintf(path, sizeof path, "%s/told", bench->folder);
    FILE *file = fopen(path, "r");
    if (file == NULL) {
        return false;
    }
    bool got = fgets(line, sizeof line, file) != NULL;
    (void)fclose(file);
    if (got) {
        assert_string_equal(line, "pm2/stand-in 7 n1 backup\n");
    }
    return got;
}

static bool is_released(struct bench *bench)
{
    return bench->released;
}

static void granted_backup_runs_and_a_revoked_one_is_gone(void **state)
{
    struct bench *bench = *state;
    start(bench);
    pid_t worker = worker_pid(bench);
    give_grant(bench);
    RUN_UNTIL(bench, runs);
    RUN_UNTIL(bench, has_told);
    json_t *row = bench_list_row(bench, "stand-in");
    assert_string_equal(status_of(row), "online");
    pid_t guard = (pid_t)doc_get_integer(row, "pid", 0);
    assert_int_equal(kill(guard, 0), 0);
    json_decref(row);
    bench_command(bench, "backup list");
    const json_t *told = json_array_get(bench->reply, 0);
    assert_string_equal(doc_get_text(told, "state", ""), "running");
    assert_string_equal(doc_get_text(told, "node", ""), "n1");

    struct manager_revoke revoke = {
        .duty = bench_duty, .assignment = bench->assignment, .why = "a test"};
    bench->granting = false;
    assert_int_equal(supervise_revoke(bench->supervise, "pm2", &revoke, NULL), 0);
    assert_false(bench->released);
    RUN_UNTIL(bench, is_released);
    assert_true(post_lock_free(bench->folder, bench_duty));
    assert_int_equal(kill(guard, 0), -1);
    row = bench_list_row(bench, "stand-in");
    assert_null(row);
    assert_int_equal(worker_pid(bench), worker); /* nobody else was touched */
}

static bool has_lapsed(struct bench *bench)
{
    return bench->guard_released && bench->duty.phase == MANAGER_DUTY_STOPPED;
}

static bool runs_again(struct bench *bench)
{
    return bench->guard_started && bench->duty.phase == MANAGER_DUTY_RUNNING;
}

/* The node revokes at the guard: it exits with 86, on which PM2 must not start it again. */
static void lost_grant_is_not_restarted_by_pm2(void **state)
{
    struct bench *bench = *state;
    start(bench);
    /* Paused, the manager starts nothing, so that only PM2 could. */
    give_grant(bench);
    RUN_UNTIL(bench, runs);
    assert_int_equal(supervise_pause(bench->supervise, "pm2", NULL), 0);
    bench->granting = false;
    bench->guard_started = false;
    assert_int_equal(post_revoke(bench->post, bench_duty, NULL), 0);
    RUN_UNTIL(bench, has_lapsed);
    json_t *row = bench_list_row(bench, "stand-in");
    /* PM2 says "waiting restart" of it, and waits for ever: it has forgotten the pid. */
    assert_int_equal(doc_get_integer(row, "pid", 0), 0);
    assert_int_equal(doc_get_integer(json_object_get(row, "pm2_env"), "restart_time", -1), 0);
    json_decref(row);
    assert_false(bench->guard_started);
    /* The grant stands in the manager's eyes: it clears the leftover and starts afresh. */
    bench->granting = true;
    bench->guard_released = false;
    assert_int_equal(supervise_resume(bench->supervise, "pm2", NULL), 0);
    RUN_UNTIL(bench, runs_again);
}

static bool was_revoked(struct bench *bench)
{
    return bench->guard_released || bench->released;
}

/* The grant lapsed and came back, as after a short cut: the node's later word counts. */
static void grant_after_a_revocation_starts_it_again(void **state)
{
    struct bench *bench = *state;
    start(bench);
    give_grant(bench);
    RUN_UNTIL(bench, runs);
    struct manager_revoke revoke = {
        .duty = bench_duty, .assignment = bench->assignment, .why = "its grant has ended"};
    assert_int_equal(supervise_revoke(bench->supervise, "pm2", &revoke, NULL), 0);
    assert_int_equal(post_revoke(bench->post, bench_duty, NULL), 0);
    RUN_UNTIL(bench, was_revoked);
    bench->guard_started = false;
    bench->duty_states = 0;
    give_grant(bench);
    RUN_UNTIL(bench, runs);
}

static bool has_refused(struct bench *bench)
{
    return bench->duty_states > 0 && bench->duty.phase == MANAGER_DUTY_FAILED;
}

static void entry_of_somebody_else_is_left_alone(void **state)
{
    struct bench *bench = *state;
    start(bench);
    const char *script = bench_script(bench, "other.sh", sleeper);
    PM2(bench, "start", script, "--name", "stand-in", "--interpreter", "sh");
    json_t *row = bench_list_row(bench, "stand-in");
    int64_t pid = doc_get_integer(row, "pid", 0);
    json_decref(row);
    give_grant(bench);
    RUN_UNTIL(bench, has_refused);
    struct manager_revoke revoke = {.duty = bench_duty, .assignment = bench->assignment};
    assert_int_equal(supervise_revoke(bench->supervise, "pm2", &revoke, NULL), 0);
    RUN_UNTIL(bench, is_released);
    row = bench_list_row(bench, "stand-in");
    assert_int_equal(doc_get_integer(row, "pid", 0), pid);
    json_decref(row);
}

static bool does_not_want_it(struct bench *bench)
{
    return bench->wishes > 0 && !bench->wish.wanted;
}

static bool wants_it(struct bench *bench)
{
    return bench->wishes > 0 && bench->wish.wanted;
}

static bool cannot_run_here(struct bench *bench)
{
    return bench->seen != NULL && !doc_get_bool(bench->seen, "can_run", true);
}

/* Once, although there are two reasons when PM2 is dead too. */
static void assert_avoids_the_primary_s_host(const struct bench *bench)
{
    assert_int_equal(bench->wish.avoid_count, 1);
    assert_string_equal(bench->wish.avoid[0], "n1");
}

static void leader_wants_the_backup_while_the_primary_is_down(void **state)
{
    struct bench *bench = *state;
    start(bench);
    int64_t now_ms = clock_boot_ms();
    supervise_set_role(bench->supervise, now_ms, true, 4, now_ms + PATIENCE_MS * 10);
    RUN_UNTIL(bench, does_not_want_it);
    PM2(bench, "stop", "worker");
    RUN_UNTIL(bench, wants_it);
    assert_true(bench->wish.exclusive);
    assert_string_equal(bench->wish.duty, bench_duty);
    assert_avoids_the_primary_s_host(bench);
    PM2(bench, "start", "worker");
    RUN_UNTIL(bench, does_not_want_it);
    assert_true(doc_get_integer(bench_primary(bench, "worker"), "for_ms", 0) >= 0);
    PM2(bench, "stop", "worker");
    RUN_UNTIL(bench, wants_it);
    bench_kill_god(bench);
    RUN_UNTIL(bench, cannot_run_here);
    bench->wishes = 0;
    RUN_UNTIL(bench, wants_it);
    assert_avoids_the_primary_s_host(bench);
}

#define WITH_BENCH(test) cmocka_unit_test_setup_teardown(test, bench_set_up, bench_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_BENCH(granted_backup_runs_and_a_revoked_one_is_gone),
        WITH_BENCH(lost_grant_is_not_restarted_by_pm2),
        WITH_BENCH(grant_after_a_revocation_starts_it_again),
        WITH_BENCH(entry_of_somebody_else_is_left_alone),
        WITH_BENCH(leader_wants_the_backup_while_the_primary_is_down),
    };
    return cmocka_run_group_tests_name("pm2_backup", tests, NULL, NULL);
}
