/* Restart policies of what we run, each with a real PM2: the number of restarts, the pauses between
 * them, the memory limit, the time to stop. */
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

#define STARTS_MAX 64

/* Notes when it starts, in ms since the boot, and does what follows. */
#define NOTES "#!/bin/sh\ncut -d' ' -f1 /proc/uptime >> \"$PLACE/starts\"\n"

static void start(struct bench *bench, const char *script, json_t *policy)
{
    json_t *backup = json_pack("{ss ss ss ss s{ss}}", "name", "stand-in", "mode", "always",
                               "script", bench_script(bench, "stand-in.sh", script), "cwd",
                               bench->folder, "env", "PLACE", bench->folder);
    (void)json_object_update(backup, policy);
    json_decref(policy);
    bench_start_manager(bench, json_pack("{si s[o]}", "poll_ms", 500, "backups", backup));
    struct manager_grant grant = {.duty = bench_duty,
                                  .assignment = bench->assignment,
                                  .term = 7,
                                  .deadline_ms = clock_boot_ms() + 5000};
    bench->granting = true;
    assert_int_equal(supervise_grant(bench->supervise, "pm2", &grant, NULL), 0);
}

/* Times of its starts in ms; how many there were. */
static size_t starts_of(const struct bench *bench, int64_t ret[STARTS_MAX])
{
    char path[96];
    char line[64];
    size_t count = 0;
    (void)snprintf(path, sizeof path, "%s/starts", bench->folder);
    FILE *file = fopen(path, "r");
    while (file != NULL && count < STARTS_MAX && fgets(line, sizeof line, file) != NULL) {
        ret[count++] = (int64_t)(strtod(line, NULL) * 1000);
    }
    if (file != NULL) {
        (void)fclose(file);
    }
    return count;
}

static bool has_failed(struct bench *bench)
{
    return bench->duty_states > 0 && bench->duty.phase == MANAGER_DUTY_FAILED;
}

static bool runs(struct bench *bench)
{
    return bench->duty_states > 0 && bench->duty.phase == MANAGER_DUTY_RUNNING;
}

static size_t starts_before;
static bool was_started_again(struct bench *bench)
{
    int64_t starts[STARTS_MAX];
    return starts_of(bench, starts) > starts_before;
}

static int64_t wait_until_ms;
static bool time_is_over(struct bench *bench)
{
    (void)bench;
    return clock_boot_ms() >= wait_until_ms;
}

static void wait_ms(struct bench *bench, int64_t ms)
{
    wait_until_ms = clock_boot_ms() + ms;
    RUN_UNTIL(bench, time_is_over);
}

static const char *status_of(struct bench *bench, char ret[32])
{
    json_t *row = bench_list_row(bench, "stand-in");
    (void)snprintf(ret, 32, "%s",
                   doc_get_text(json_object_get(row, "pm2_env"), "status", "not listed"));
    json_decref(row);
    return ret;
}

static void retry(struct bench *bench)
{
    bench->duty_states = 0;
    manager_bench_command(bench->supervise, "pm2", 0, "duty retry",
                          json_pack("{ss}", "duty", bench_duty));
}

/* Each life is longer than PM2's min_uptime, so that PM2 itself counts none of its ends. */
static const char lives_a_second[] = NOTES "sleep 1.2\nexit 1\n";

static void endless_loop_ends_as_failed_and_is_tried_again(void **state)
{
    struct bench *bench = *state;
    int64_t starts[STARTS_MAX];
    char status[32];
    start(bench, lives_a_second, json_pack("{si si}", "max_restarts", 3, "exp_backoff_ms", 100));
    RUN_UNTIL(bench, has_failed);
    assert_non_null(strstr(bench->duty.detail, "times in a row"));
    size_t count = starts_of(bench, starts);
    assert_in_range(count, 3, 4); /* the first start, and its restarts */
    wait_ms(bench, 5000);
    assert_int_equal(starts_of(bench, starts), count); /* PM2 would have gone on */
    assert_string_equal(status_of(bench, status), "stopped");
    assert_true(has_failed(bench));
    starts_before = count;
    retry(bench); /* the leader's word */
    RUN_UNTIL(bench, was_started_again);
    RUN_UNTIL(bench, has_failed);
}

/* What ends in its first second: PM2's own count may be the first to say so. */
static void errored_is_failed_and_no_end(void **state)
{
    struct bench *bench = *state;
    int64_t starts[STARTS_MAX];
    char status[32];
    start(bench, NOTES "exit 1\n", json_pack("{si si}", "max_restarts", 5, "exp_backoff_ms", 0));
    RUN_UNTIL(bench, has_failed);
    size_t count = starts_of(bench, starts);
    assert_in_range(count, 5, 7);
    (void)status_of(bench, status);
    assert_true(strcmp(status, "errored") == 0 || strcmp(status, "stopped") == 0);
    retry(bench);
    RUN_UNTIL(bench, has_failed);
    assert_true(starts_of(bench, starts) > count);
}

static void restart_delay_is_kept_between_lives(void **state)
{
    struct bench *bench = *state;
    int64_t starts[STARTS_MAX];
    start(bench, NOTES "exit 1\n",
          json_pack("{si si si}", "max_restarts", 3, "restart_delay_ms", 2000, "exp_backoff_ms",
                    100));
    RUN_UNTIL(bench, has_failed);
    size_t count = starts_of(bench, starts);
    assert_in_range(count, 3, 4);
    for (size_t i = 1; i < count; i++) {
        print_message("pause %zu: %lld ms\n", i, (long long)(starts[i] - starts[i - 1]));
        assert_true(starts[i] - starts[i - 1] >= 1980);
    }
}

/* It grows by half each time. */
static void exponential_backoff_grows(void **state)
{
    struct bench *bench = *state;
    int64_t starts[STARTS_MAX];
    start(bench, NOTES "exit 1\n", json_pack("{si si}", "max_restarts", 6, "exp_backoff_ms", 400));
    RUN_UNTIL(bench, has_failed);
    size_t count = starts_of(bench, starts);
    assert_in_range(count, 6, 7);
    int64_t least_ms = 400;
    for (size_t i = 1; i < count; i++) {
        print_message("pause %zu: %lld ms\n", i, (long long)(starts[i] - starts[i - 1]));
        assert_true(starts[i] - starts[i - 1] >= least_ms - 20);
        least_ms = least_ms * 3 / 2;
    }
}

/* PM2 sees the guard, whose memory is small: the limit is ours to keep. */
static const char eats[] =
    NOTES "exec python3 -c 'import time; kept = bytearray(150 << 20); time.sleep(100000)'\n";

static bool was_restarted(struct bench *bench)
{
    int64_t starts[STARTS_MAX];
    return starts_of(bench, starts) > 1 && bench_had_event(bench, "backup.memory");
}

static void memory_limit_restarts_it(void **state)
{
    struct bench *bench = *state;
    start(bench, eats, json_pack("{si}", "memory_bytes", 100 << 20));
    RUN_UNTIL(bench, was_restarted);
    RUN_UNTIL(bench, runs);
}

static bool is_released(struct bench *bench)
{
    return bench->released;
}

/* It notes the signal (PM2 sends SIGINT, the guard SIGTERM) and goes on: SIGKILL comes after
 * kill_timeout, not before and not much later. */
static const char stubborn[] =
    NOTES "trap 'cut -d\" \" -f1 /proc/uptime >> \"$PLACE/asked\"' TERM INT\n"
          "while :; do sleep 0.1; done\n";

static bool was_asked(struct bench *bench)
{
    char path[96];
    (void)snprintf(path, sizeof path, "%s/asked", bench->folder);
    return access(path, F_OK) == 0;
}

static bool has_started(struct bench *bench)
{
    int64_t starts[STARTS_MAX];
    return starts_of(bench, starts) > 0;
}

static void kill_timeout_is_waited_for_and_not_longer(void **state)
{
    struct bench *bench = *state;
    start(bench, stubborn, json_pack("{si}", "kill_timeout_ms", 2000));
    RUN_UNTIL(bench, runs);
    RUN_UNTIL(bench, has_started);
    wait_ms(bench, 300); /* its trap is set */
    struct manager_revoke revoke = {
        .duty = bench_duty, .assignment = bench->assignment, .why = "a test"};
    bench->granting = false;
    int64_t asked_ms = clock_boot_ms();
    assert_int_equal(supervise_revoke(bench->supervise, "pm2", &revoke, NULL), 0);
    assert_int_equal(post_revoke(bench->post, bench_duty, NULL), 0);
    RUN_UNTIL(bench, was_asked);
    RUN_UNTIL(bench, is_released);
    int64_t took_ms = clock_boot_ms() - asked_ms;
    print_message("released %lld ms after the revocation\n", (long long)took_ms);
    assert_true(took_ms >= 1900);
    assert_true(post_lock_free(bench->folder, bench_duty));
}

#define WITH_BENCH(test) cmocka_unit_test_setup_teardown(test, bench_set_up, bench_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_BENCH(endless_loop_ends_as_failed_and_is_tried_again),
        WITH_BENCH(errored_is_failed_and_no_end),
        WITH_BENCH(restart_delay_is_kept_between_lives),
        WITH_BENCH(exponential_backoff_grows),
        WITH_BENCH(memory_limit_restarts_it),
        WITH_BENCH(kill_timeout_is_waited_for_and_not_longer),
    };
    return cmocka_run_group_tests_name("pm2_restarts", tests, NULL, NULL);
}
