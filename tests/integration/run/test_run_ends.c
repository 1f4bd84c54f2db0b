/* How runs end: the real manager and the real guard, with this test in the node's place. */
#include "tests/integration/run/run_bench.h"

#include "node/base/clock.h"
#include "node/base/doc.h"

#include <dirent.h>
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* A schedule of a shell's text in the bench's folder. */
static json_t *shell(struct bench *bench, const char *name, const char *text)
{
    return json_pack("{ss s[s] sb ss ss}", "name", name, "run", text, "shell", 1, "cwd",
                     bench->folder, "cron", "@daily");
}

static json_t *with(json_t *schedule, const char *key, json_int_t value)
{
    (void)json_object_set_new(schedule, key, json_integer(value));
    return schedule;
}

static void start_one(struct bench *bench, json_t *schedule)
{
    bench_start(bench, json_pack("[o]", schedule), false);
}

static struct job *run_one(struct bench *bench, const char *duty)
{
    struct job *job = bench_grant(bench, duty, 0);
    bench_await_end(bench, job);
    return job;
}

static void a_run_that_ends_well(void **state)
{
    struct bench *bench = *state;
    start_one(bench, shell(bench, "a",
                           "echo out; echo err >&2; echo $UNDERSTUDY_RUN $UNDERSTUDY_SLOT "
                           "$UNDERSTUDY_ATTEMPT $UNDERSTUDY_TERM $UNDERSTUDY_DUTY "
                           "$UNDERSTUDY_NODE; pwd; cat"));
    int64_t before_ms = clock_wall_ms();
    struct job *job = run_one(bench, "run/a@20261122T051500Z#2");
    bench_assert_end(job, MANAGER_OUTCOME_RAN, MANAGER_REASON_EXIT, 0);
    assert_true(job->ended.started_wall_ms >= before_ms);
    assert_true(job->ended.ended_wall_ms >= job->ended.started_wall_ms);
    assert_int_equal(job->state.phase, MANAGER_DUTY_STOPPED);
    char expected[512];
    (void)snprintf(expected, sizeof expected,
                   "out\nerr\nrun/a@20261122T051500Z 2026-11-22T05:15:00Z 2 7 "
                   "run/a@20261122T051500Z#2 n1\n%s\n",
                   bench->folder);
    assert_string_equal(bench_logs(bench, "run/a@20261122T051500Z"), expected);
    assert_int_equal(doc_get_integer(bench->reply, "attempt", 0), 2);
    assert_true(json_is_null(json_object_get(bench->reply, "next_offset")));
    bench_command(bench, "run outputs", json_object());
    assert_int_equal(json_array_size(bench->reply), 1);
    assert_int_equal(bench_lock_files(bench), 0);

    bench_command(bench, "run logs", json_pack("{ss}", "id", "run/a@m1"));
    assert_true(bench->refused);
    assert_string_equal(bench->code, "not_found");
    bench_command(bench, "run logs", json_pack("{ss}", "id", "run/../a"));
    assert_string_equal(bench->code, "invalid");
}

static void runs_that_end_badly(void **state)
{
    struct bench *bench = *state;
    bench_start(bench,
                json_pack("[oooo]", shell(bench, "three", "exit 3"),
                          shell(bench, "killed", "kill -9 $$"), shell(bench, "lost", "exit 86"),
                          with(shell(bench, "short", "exit 0"), "min_runtime_ms", 60000)),
                false);
    struct job *job = run_one(bench, "run/three@m1");
    bench_assert_end(job, MANAGER_OUTCOME_FAILED, MANAGER_REASON_EXIT, 3);
    job = run_one(bench, "run/killed@m1");
    bench_assert_end(job, MANAGER_OUTCOME_FAILED, MANAGER_REASON_SIGNAL, MANAGER_EXIT_SIGNAL + 9);
    job = run_one(bench, "run/lost@m1"); /* the code of a guard that lost its grant */
    bench_assert_end(job, MANAGER_OUTCOME_FAILED, MANAGER_REASON_EXIT, 86);
    job = run_one(bench, "run/short@m1");
    bench_assert_end(job, MANAGER_OUTCOME_FAILED, MANAGER_REASON_TOO_SHORT, 0);
}

static void deadlines_end_a_run(void **state)
{
    struct bench *bench = *state;
    bench_start(
        bench,
        json_pack("[oo]",
                  with(shell(bench, "long", "while sleep 0.1; do echo x; done"),
                       "finish_deadline_ms", 1000),
                  with(shell(bench, "silent", "echo x; sleep 1000"), "progress_deadline_ms", 1000)),
        false);
    struct job *job = run_one(bench, "run/long@m1");
    bench_assert_end(job, MANAGER_OUTCOME_FAILED, MANAGER_REASON_FINISH_DEADLINE,
                     MANAGER_EXIT_SIGNAL + SIGTERM);
    job = run_one(bench, "run/silent@m1");
    bench_assert_end(job, MANAGER_OUTCOME_FAILED, MANAGER_REASON_PROGRESS_DEADLINE,
                     MANAGER_EXIT_SIGNAL + SIGTERM);
    assert_int_equal(bench_lock_files(bench), 0);
}

static bool has_begun(struct bench *bench)
{
    return bench_text(bench, "begun")[0] != '\0';
}

static void a_revoked_run_ends(void **state)
{
    struct bench *bench = *state;
    start_one(bench, shell(bench, "a", "echo $$ > begun; exec sleep 1000"));
    struct job *job = bench_grant(bench, "run/a@m1", 0);
    RUN_UNTIL(bench, has_begun);
    pid_t program = (pid_t)strtol(bench_text(bench, "begun"), NULL, 10);
    assert_int_equal(kill(program, 0), 0);
    bench_revoke(bench, job);
    bench_await_end(bench, job);
    bench_assert_end(job, MANAGER_OUTCOME_FAILED, MANAGER_REASON_CANCELLED,
                     MANAGER_EXIT_SIGNAL + SIGTERM);
    assert_int_equal(kill(program, 0), -1);
    assert_int_equal(bench_lock_files(bench), 0);

    /* Once more, of what is forgotten: it is released at once. */
    bench_revoke(bench, job);
    bench->job = job;
    job->reports = 1;
    job->releases = 0;
    bench_await_end(bench, job);
    assert_int_equal(job->reports, 1);

    /* And before it ever began. */
    struct job *other = &bench->jobs[bench->job_count++];
    *other = (struct job){.assignment = 900, .answering = true, .duty = "run/a@m2"};
    bench_revoke(bench, other);
    bench_await_end(bench, other);
    bench_assert_end(other, MANAGER_OUTCOME_FAILED, MANAGER_REASON_CANCELLED, MANAGER_EXIT_UNKNOWN);
    assert_int_equal(other->ended.started_wall_ms, 0);
}

static void a_grant_that_ends_is_an_end_that_is_not_known(void **state)
{
    struct bench *bench = *state;
    start_one(bench, shell(bench, "a", "echo $$ > begun; exec sleep 1000"));
    struct job *job = bench_grant(bench, "run/a@m1", 0);
    RUN_UNTIL(bench, has_begun);
    job->granting = false;
    bench_await_end(bench, job);
    bench_assert_end(job, MANAGER_OUTCOME_UNKNOWN, MANAGER_REASON_HOLDER_GONE,
                     MANAGER_EXIT_SIGNAL + SIGTERM);
}

static void what_a_run_leaves_behind_is_ended(void **state)
{
    struct bench *bench = *state;
    start_one(bench, shell(bench, "a",
                           "setsid sh -c 'echo $$ > begun; exec sleep 1000' & "
                           "while [ ! -s begun ]; do sleep 0.05; done; exit 0"));
    struct job *job = run_one(bench, "run/a@m1");
    bench_assert_end(job, MANAGER_OUTCOME_RAN, MANAGER_REASON_EXIT, 0);
    pid_t left = (pid_t)strtol(bench_text(bench, "begun"), NULL, 10);
    assert_true(left > 0);
    assert_int_equal(kill(left, 0), -1);
    assert_int_equal(errno, ESRCH);
}

static void output_over_its_bound_is_cut(void **state)
{
    struct bench *bench = *state;
    start_one(bench,
              with(shell(bench, "a", "echo begin; seq 1 300000; echo end"), "output_bytes", 16384));
    struct job *job = run_one(bench, "run/a@m1");
    bench_assert_end(job, MANAGER_OUTCOME_RAN, MANAGER_REASON_EXIT, 0);
    const char *text = bench_logs(bench, "run/a@m1");
    assert_true(strlen(text) <= 16384 + 64);
    assert_memory_equal(text, "begin\n1\n2\n", 10);
    assert_non_null(strstr(text, " bytes were cut here ...\n"));
    assert_string_equal(text + strlen(text) - 18, "299999\n300000\nend\n");
}

static void what_cannot_start_says_why(void **state)
{
    struct bench *bench = *state;
    json_t *no_file = shell(bench, "nofile", "true");
    (void)json_object_set_new(no_file, "env_file", json_string("/nonexistent/env"));
    json_t *no_folder = shell(bench, "nofolder", "true");
    (void)json_object_set_new(no_folder, "cwd", json_string("/nonexistent"));
    json_t *no_program = json_pack("{ss s[s] ss}", "name", "noprogram", "run",
                                   "understudy-no-such-program", "cron", "@daily");
    bench_start(bench,
                json_pack("[oooo]", no_file, no_folder, no_program, shell(bench, "ok", "true")),
                false);
    static const struct {
        const char *duty;
        uint64_t digest;
        const char *detail;
    } cases[] = {
        {"run/nofile@m1", 0, "env_file"},          {"run/nofolder@m1", 0, "working folder"},
        {"run/noprogram@m1", 0, "no program"},     {"run/other@m1", 0, "not configured"},
        {"run/ok@m1", 12345, "configured differ"}, {"run/ok", 0, "not the id"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct job *job = bench_grant(bench, cases[i].duty, cases[i].digest);
        bench_await_end(bench, job);
        bench_assert_end(job, MANAGER_OUTCOME_FAILED, MANAGER_REASON_NOT_STARTED,
                         MANAGER_EXIT_UNKNOWN);
        assert_int_equal(job->ended.started_wall_ms, 0);
        assert_int_equal(job->state.phase, MANAGER_DUTY_FAILED);
        assert_non_null(strstr(job->state.detail, cases[i].detail));
    }
    assert_int_equal(bench_lock_files(bench), 0);
}

static void nothing_starts_in_shadow_or_pause(void **state)
{
    struct bench *bench = *state;
    bench_start(bench, json_pack("[o]", shell(bench, "a", "touch begun")), true);
    struct job *job = run_one(bench, "run/a@m1");
    bench_assert_end(job, MANAGER_OUTCOME_FAILED, MANAGER_REASON_SHADOW, MANAGER_EXIT_UNKNOWN);
    bench_configure(bench, json_pack("[o]", shell(bench, "a", "echo x > begun")), false);
    assert_int_equal(supervise_pause(bench->supervise, "run", NULL), 0);
    job = run_one(bench, "run/a@m2");
    bench_assert_end(job, MANAGER_OUTCOME_FAILED, MANAGER_REASON_PAUSED, MANAGER_EXIT_UNKNOWN);
    assert_false(has_begun(bench));
    assert_int_equal(supervise_resume(bench->supervise, "run", NULL), 0);
    job = run_one(bench, "run/a@m3");
    bench_assert_end(job, MANAGER_OUTCOME_RAN, MANAGER_REASON_EXIT, 0);
    assert_true(has_begun(bench));
}

static void a_program_gets_no_descriptor_of_ours(void **state)
{
    struct bench *bench = *state;
    start_one(bench, shell(bench, "a", "for f in /proc/$$/fd/*; do readlink $f; done; true"));
    struct job *job = run_one(bench, "run/a@m1");
    bench_assert_end(job, MANAGER_OUTCOME_RAN, MANAGER_REASON_EXIT, 0);
    const char *text = bench_logs(bench, "run/a@m1");
    assert_non_null(strstr(text, "/dev/null\n"));
    assert_non_null(strstr(text, ".lock\n")); /* the guard's, on purpose */
    size_t lines = 0;
    for (const char *at = text; *at != '\0'; at++) {
        lines += *at == '\n';
    }
    assert_int_equal(lines, 4); /* with the three standard ones */
    static const char *const foreign[] = {"socket:", "anon_inode", ".part", ".run", "pipe:"};
    for (size_t i = 0; i < sizeof foreign / sizeof foreign[0]; i++) {
        if (strstr(text, foreign[i]) != NULL) {
            fail_msg("%s in: %s", foreign[i], text);
        }
    }
}

static size_t count_descriptors(pid_t pid)
{
    char path[64];
    size_t count = 0;
    (void)snprintf(path, sizeof path, "/proc/%d/fd", (int)pid);
    DIR *folder = opendir(path);
    assert_non_null(folder);
    while (readdir(folder) != NULL) {
        count++;
    }
    (void)closedir(folder);
    return count;
}

/* Children that nobody awaits, zombies too. */
static bool has_children(pid_t pid)
{
    char path[64];
    char text[256] = "";
    (void)snprintf(path, sizeof path, "/proc/%d/task/%d/children", (int)pid, (int)pid);
    FILE *file = fopen(path, "r");
    bool any = file != NULL && fgets(text, sizeof text, file) != NULL && text[0] != '\0';
    if (file != NULL) {
        (void)fclose(file);
    }
    return any;
}

static bool all_are_released(struct bench *bench)
{
    for (size_t i = 0; i < bench->job_count; i++) {
        if (bench->jobs[i].releases == 0) {
            return false;
        }
    }
    return true;
}

static void a_hundred_runs_leave_nothing(void **state)
{
    struct bench *bench = *state;
    char duty[DUTY_ID_SIZE];
    start_one(bench, with(shell(bench, "a", "echo one; exit 0"), "keep", 7));
    struct job *first = run_one(bench, "run/a@m1");
    bench_assert_end(first, MANAGER_OUTCOME_RAN, MANAGER_REASON_EXIT, 0);
    pid_t manager = bench_manager_pid(bench);
    size_t descriptors = count_descriptors(manager);
    for (int i = 2; i <= 100; i++) {
        (void)snprintf(duty, sizeof duty, "run/a@m%d", i);
        (void)bench_grant(bench, duty, 0);
        if (i % 11 == 1) { /* a guard waits for its grant for two seconds only */
            RUN_UNTIL(bench, all_are_released);
        }
    }
    RUN_UNTIL(bench, all_are_released);
    for (size_t i = 0; i < bench->job_count; i++) {
        bench_assert_end(&bench->jobs[i], MANAGER_OUTCOME_RAN, MANAGER_REASON_EXIT, 0);
    }
    assert_int_equal(bench_manager_pid(bench), manager);
    assert_int_equal(count_descriptors(manager), descriptors);
    assert_false(has_children(manager));
    assert_int_equal(bench_lock_files(bench), 0);
    bench_command(bench, "run outputs", json_pack("{ss}", "schedule", "run/a"));
    assert_int_equal(json_array_size(bench->reply), 7);
    char folder[128];
    size_t left = 0;
    (void)snprintf(folder, sizeof folder, "%s/managers/run/runs/a", bench->folder);
    DIR *listed = opendir(folder);
    const struct dirent *entry = NULL;
    assert_non_null(listed);
    while ((entry = readdir(listed)) != NULL) {
        left += entry->d_name[0] != '.';
    }
    (void)closedir(listed);
    assert_int_equal(left, 7); /* outputs, and nothing beside them */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_run_that_ends_well, bench_set_up, bench_tear_down),
        cmocka_unit_test_setup_teardown(runs_that_end_badly, bench_set_up, bench_tear_down),
        cmocka_unit_test_setup_teardown(deadlines_end_a_run, bench_set_up, bench_tear_down),
        cmocka_unit_test_setup_teardown(a_revoked_run_ends, bench_set_up, bench_tear_down),
        cmocka_unit_test_setup_teardown(a_grant_that_ends_is_an_end_that_is_not_known, bench_set_up,
                                        bench_tear_down),
        cmocka_unit_test_setup_teardown(what_a_run_leaves_behind_is_ended, bench_set_up,
                                        bench_tear_down),
        cmocka_unit_test_setup_teardown(output_over_its_bound_is_cut, bench_set_up,
                                        bench_tear_down),
        cmocka_unit_test_setup_teardown(what_cannot_start_says_why, bench_set_up, bench_tear_down),
        cmocka_unit_test_setup_teardown(nothing_starts_in_shadow_or_pause, bench_set_up,
                                        bench_tear_down),
        cmocka_unit_test_setup_teardown(a_program_gets_no_descriptor_of_ours, bench_set_up,
                                        bench_tear_down),
        cmocka_unit_test_setup_teardown(a_hundred_runs_leave_nothing, bench_set_up,
                                        bench_tear_down),
    };
    return cmocka_run_group_tests_name("run_ends", tests, NULL, NULL);
}
