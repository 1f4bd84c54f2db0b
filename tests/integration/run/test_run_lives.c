/* A run outlives its manager: a killed or stopped manager's next life takes it up, and begins
 * nothing twice. And the schedules that the active manager says. */
#include "tests/integration/run/run_bench.h"

#include "node/base/clock.h"
#include "node/base/doc.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static json_t *shell(struct bench *bench, const char *name, const char *text)
{
    return json_pack("{ss s[s] sb ss ss}", "name", name, "run", text, "shell", 1, "cwd",
                     bench->folder, "cron", "@daily");
}

static bool has_begun(struct bench *bench)
{
    return bench_text(bench, "begun")[0] != '\0';
}

static bool is_seen_running(struct bench *bench)
{
    const json_t *row = json_array_get(json_object_get(bench->seen, "runs"), 0);
    return strcmp(doc_get_text(row, "state", ""), "running") == 0;
}

static void a_killed_managers_run_is_taken_up(void **state)
{
    struct bench *bench = *state;
    bench_start(bench,
                json_pack("[o]", shell(bench, "a",
                                       "echo $$ >> begun; echo before; "
                                       "while [ ! -e go ]; do sleep 0.02; done; "
                                       "seq 1 30000; echo after; exit 5")),
                false);
    struct job *job = bench_grant(bench, "run/a@m1", 0);
    RUN_UNTIL(bench, has_begun);
    RUN_UNTIL(bench, is_seen_running);
    /* It writes more than a pipe holds while nobody reads. */
    assert_int_equal(kill(bench_manager_pid(bench), SIGSTOP), 0);
    bench_touch(bench, "go");
    bench_kill_manager(bench);
    bench_grant_again(bench, job); /* as the node does with each life of a manager */
    bench_await_end(bench, job);
    bench_assert_end(job, MANAGER_OUTCOME_FAILED, MANAGER_REASON_EXIT, 5);
    assert_int_equal(strlen(bench_text(bench, "begun")),
                     strcspn(bench_text(bench, "begun"), "\n") + 1); /* begun once */
    const char *text = bench_logs(bench, "run/a@m1");
    assert_memory_equal(text, "before\n1\n2\n", 11);
    const char *next = text;
    while (json_is_integer(json_object_get(bench->reply, "next_offset"))) {
        json_int_t offset = doc_get_integer(bench->reply, "next_offset", 0);
        bench_command(bench, "run logs", json_pack("{ss sI}", "id", "run/a@m1", "offset", offset));
        next = doc_get_text(bench->reply, "text", "");
    }
    assert_string_equal(next + strlen(next) - 6, "after\n");
    assert_int_equal(bench_lock_files(bench), 0);
}

static bool guard_has_left_its_line(struct bench *bench)
{
    return bench_text(bench, "managers/run/runs/a/m1.end")[0] != '\0' &&
           post_lock_free(bench->folder, "run/a@m1");
}

static void what_ended_without_a_manager_is_told_by_the_next(void **state)
{
    struct bench *bench = *state;
    bench_start(bench,
                json_pack("[o]", shell(bench, "a",
                                       "echo $$ >> begun; while [ ! -e go ]; do sleep 0.02; done; "
                                       "exit 0")),
                false);
    struct job *job = bench_grant(bench, "run/a@m1", 0);
    RUN_UNTIL(bench, has_begun);
    assert_int_equal(kill(bench_manager_pid(bench), SIGSTOP), 0);
    bench_touch(bench, "go");
    RUN_UNTIL(bench, guard_has_left_its_line);
    bench_kill_manager(bench);
    bench_await_end(bench, job);
    bench_assert_end(job, MANAGER_OUTCOME_RAN, MANAGER_REASON_EXIT, 0);
    assert_true(job->ended.started_wall_ms > 0);
}

static bool is_told_again(struct bench *bench)
{
    return bench->job->reports >= 3;
}

/* It releases first, and forgets then. */
static bool is_forgotten(struct bench *bench)
{
    return access(bench_path(bench, "managers/run/runs/a/m1.run"), F_OK) != 0;
}

static void an_end_that_nobody_has_heard_is_told_by_every_life(void **state)
{
    struct bench *bench = *state;
    bench_start(bench, json_pack("[o]", shell(bench, "a", "echo $$ >> begun; exit 3")), false);
    struct job *job = bench_grant(bench, "run/a@m1", 0);
    job->answering = false;
    bench->job = job;
    RUN_UNTIL(bench, is_told_again); /* repeated by itself */
    struct manager_run_ended first = job->ended;
    assert_int_equal(job->releases, 0);
    job->reports = 0;
    bench_kill_manager(bench);
    bench_grant_again(bench, job);
    job->answering = true;
    bench_await_end(bench, job);
    assert_memory_equal(&job->ended, &first, sizeof first);
    assert_int_equal(strlen(bench_text(bench, "begun")),
                     strcspn(bench_text(bench, "begun"), "\n") + 1);
    RUN_UNTIL(bench, is_forgotten);
    /* Known and forgotten: a grant that comes now, to yet another life, begins nothing. */
    bench_kill_manager(bench);
    job->reports = 0;
    job->releases = 0;
    job->granting = true;
    bench_grant_again(bench, job);
    bench_await_end(bench, job);
    bench_assert_end(job, MANAGER_OUTCOME_UNKNOWN, MANAGER_REASON_HOLDER_GONE,
                     MANAGER_EXIT_UNKNOWN);
    assert_int_equal(strlen(bench_text(bench, "begun")),
                     strcspn(bench_text(bench, "begun"), "\n") + 1);
}

static void a_run_that_was_taken_up_can_be_revoked(void **state)
{
    struct bench *bench = *state;
    bench_start(bench, json_pack("[o]", shell(bench, "a", "echo $$ >> begun; exec sleep 1000")),
                false);
    struct job *job = bench_grant(bench, "run/a@m1", 0);
    RUN_UNTIL(bench, has_begun);
    bench_kill_manager(bench);
    pid_t program = (pid_t)strtol(bench_text(bench, "begun"), NULL, 10);
    assert_int_equal(kill(program, 0), 0);
    /* To the manager alone: it finds the guard by its lock. */
    struct manager_revoke revoke = {
        .duty = "run/a@m1", .assignment = job->assignment, .why = "a test"};
    assert_int_equal(supervise_revoke(bench->supervise, "run", &revoke, NULL), 0);
    bench_await_end(bench, job);
    bench_assert_end(job, MANAGER_OUTCOME_FAILED, MANAGER_REASON_CANCELLED,
                     MANAGER_EXIT_SIGNAL + SIGTERM);
    assert_int_equal(kill(program, 0), -1);
}

/* ---- schedules ---- */

static bool list_is_whole(struct bench *bench)
{
    return schedule_list_whole(&bench->list) && bench->list.total > 0;
}

static bool list_has_sixty(struct bench *bench)
{
    return schedule_list_whole(&bench->list) && bench->list.total == 60;
}

static bool list_lacks_b(struct bench *bench)
{
    return schedule_list_lacks(&bench->list, bench->b_term, bench->b_edition);
}

static bool list_is_empty(struct bench *bench)
{
    return schedule_list_whole(&bench->list) && bench->list.total == 0;
}

static void act(struct bench *bench, uint64_t term)
{
    int64_t now_ms = clock_boot_ms();
    supervise_set_role(bench->supervise, now_ms, true, term, now_ms + 600000);
}

static void the_active_manager_says_its_schedules(void **state)
{
    struct bench *bench = *state;
    json_t *many = json_array();
    for (int i = 0; i < 60; i++) {
        char name[16];
        (void)snprintf(name, sizeof name, "s%d", i);
        (void)json_array_append_new(many, shell(bench, name, "true"));
    }
    bench_start(bench, json_pack("[oo]", shell(bench, "a", "true"), shell(bench, "b", "true")),
                false);
    assert_int_equal(bench->wishes, 0); /* a standby says nothing */
    act(bench, 3);
    RUN_UNTIL(bench, list_is_whole);
    assert_int_equal(bench->list.total, 2);
    assert_int_equal(bench->list.term, 3);
    assert_false(list_lacks_b(bench));
    bench_configure(bench, json_pack("[o]", shell(bench, "a", "true")), false);
    RUN_UNTIL(bench, list_lacks_b);
    bench_configure(bench, many, true); /* in shadow, too: the leader skips them */
    RUN_UNTIL(bench, list_has_sixty);
    bench_configure(bench, json_array(), false);
    RUN_UNTIL(bench, list_is_empty);
    assert_true(list_lacks_b(bench));
    int64_t now_ms = clock_boot_ms();
    supervise_set_role(bench->supervise, now_ms, false, 3, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_killed_managers_run_is_taken_up, bench_set_up,
                                        bench_tear_down),
        cmocka_unit_test_setup_teardown(what_ended_without_a_manager_is_told_by_the_next,
                                        bench_set_up, bench_tear_down),
        cmocka_unit_test_setup_teardown(an_end_that_nobody_has_heard_is_told_by_every_life,
                                        bench_set_up, bench_tear_down),
        cmocka_unit_test_setup_teardown(a_run_that_was_taken_up_can_be_revoked, bench_set_up,
                                        bench_tear_down),
        cmocka_unit_test_setup_teardown(the_active_manager_says_its_schedules, bench_set_up,
                                        bench_tear_down),
    };
    return cmocka_run_group_tests_name("run_lives", tests, NULL, NULL);
}
