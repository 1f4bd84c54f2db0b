/* Two hundred primaries under one PM2: all are watched, told within the bounds of an observation,
 * and the manager stays small. What it costs of a processor is printed; tests/bench measures it. */
#include "tests/integration/pm2/pm2_bench.h"

#include "node/base/clock.h"
#include "node/base/doc.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define COUNT 200
#define MOST 256
#define MEMORY_KB_MAX (20 << 10) /* its own, and its share of what others have mapped too */

static void name_of(int index, char ret[NAME_SIZE])
{
    (void)snprintf(ret, NAME_SIZE, "team-process-number-%03d-of-the-host", index);
}

/* An ecosystem file, so that one command starts all. */
static void start_all(struct bench *bench)
{
    char path[160];
    json_t *apps = json_array();
    for (int i = 0; i < COUNT; i++) {
        char name[NAME_SIZE];
        name_of(i, name);
        (void)json_array_append_new(apps, json_pack("{ss ss ss ss}", "name", name, "script",
                                                    "/usr/bin/sleep", "args", "100000",
                                                    "interpreter", "none"));
    }
    json_t *file = json_pack("{so}", "apps", apps);
    (void)snprintf(path, sizeof path, "%s/apps.json", bench->folder);
    assert_int_equal(json_dump_file(file, path, 0), 0);
    json_decref(file);
    PM2(bench, "start", path);
}

static json_t *section(void)
{
    json_t *primaries = json_array();
    for (int i = 0; i < COUNT; i++) {
        char name[NAME_SIZE];
        name_of(i, name);
        (void)json_array_append_new(primaries, json_pack("{ss s[s]}", "name", name, "on", "n1"));
    }
    return json_pack("{so}", "primaries", primaries);
}

static bool all_are_up(struct bench *bench)
{
    size_t up = 0;
    size_t index;
    json_t *row;
    json_array_foreach(json_object_get(bench->seen, "primaries"), index, row)
    {
        up += strcmp(doc_get_text(row, "state", ""), "up") == 0;
    }
    return up == COUNT;
}

static bool all_are_missing(struct bench *bench)
{
    size_t down = 0;
    size_t index;
    json_t *row;
    json_array_foreach(json_object_get(bench->seen, "primaries"), index, row)
    {
        down += strcmp(doc_get_text(row, "state", ""), "down") == 0 &&
                strcmp(doc_get_text(row, "reason", ""), "not in PM2's list") == 0;
    }
    return down == MOST;
}

struct cost {
    int64_t cpu_ticks;
    int64_t memory_kb;
};

static struct cost cost_of_manager(struct bench *bench)
{
    struct supervise_row manager;
    struct cost ret = {-1, -1};
    char path[64];
    char text[1024];
    unsigned long user = 0;
    unsigned long kernel = 0;
    long long memory = -1;
    assert_int_equal(supervise_list(bench->supervise, 0, &manager, 1), 1);
    (void)snprintf(path, sizeof path, "/proc/%d/stat", (int)manager.pid);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    assert_non_null(fgets(text, sizeof text, file));
    (void)fclose(file);
    const char *after = strrchr(text, ')');
    assert_non_null(after);
    assert_int_equal(
        sscanf(after + 2, "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &kernel),
        2);
    ret.cpu_ticks = (int64_t)(user + kernel);
    (void)snprintf(path, sizeof path, "/proc/%d/smaps_rollup", (int)manager.pid);
    file = fopen(path, "r");
    assert_non_null(file);
    while (fgets(text, sizeof text, file) != NULL) {
        (void)sscanf(text, "Pss: %lld", &memory);
    }
    (void)fclose(file);
    ret.memory_kb = memory;
    return ret;
}

static int64_t until_ms;

static bool time_is_over(struct bench *bench)
{
    (void)bench;
    return clock_boot_ms() >= until_ms;
}

static bool is_seen_to_end(struct bench *bench)
{
    return bench_had_event(bench, "primary.exit");
}

/* The bench looks every 10 ms, which is in the figure. */
static void print_latency(struct bench *bench)
{
    for (int i = 0; i < 5; i++) {
        char name[NAME_SIZE];
        name_of(i * 31, name);
        pid_t pid = (pid_t)doc_get_integer(bench_primary(bench, name), "pid", 0);
        assert_true(pid > 0);
        bench->event_count = 0;
        int64_t at_ms = clock_boot_ms();
        assert_int_equal(kill(pid, SIGKILL), 0);
        RUN_UNTIL(bench, is_seen_to_end);
        print_message("kill -9 of a primary: seen after %lld ms\n",
                      (long long)(clock_boot_ms() - at_ms));
        RUN_UNTIL(bench, all_are_up);
    }
}

static void two_hundred_primaries_are_watched(void **state)
{
    struct bench *bench = *state;
    start_all(bench);
    bench_start_manager(bench, section());
    RUN_UNTIL(bench, all_are_up);
    const char *seconds = getenv("UNDERSTUDY_TEST_SECONDS");
    int64_t for_ms = (seconds != NULL ? strtoll(seconds, NULL, 10) : 12) * 1000;
    struct cost before = cost_of_manager(bench);
    until_ms = clock_boot_ms() + for_ms;
    RUN_UNTIL(bench, time_is_over);
    struct cost after = cost_of_manager(bench);
    print_message("manager: %lld KB, %.2f %% of a processor\n", (long long)after.memory_kb,
                  100.0 * 1000.0 * (double)(after.cpu_ticks - before.cpu_ticks) /
                      (double)sysconf(_SC_CLK_TCK) / (double)for_ms);
    assert_true(all_are_up(bench));
    assert_in_range(after.memory_kb, 1, MEMORY_KB_MAX);
    print_latency(bench);
    assert_false(bench_had_event(bench, "primary.down"));
}

/* As many as there may be, with the longest names: what decides is still told. */
static void the_most_primaries_are_told(void **state)
{
    struct bench *bench = *state;
    json_t *primaries = json_array();
    for (int i = 0; i < MOST; i++) {
        char name[NAME_SIZE];
        memset(name, 'x', sizeof name);
        (void)snprintf(name + NAME_SIZE - 5, 5, "%04d", i);
        (void)json_array_append_new(primaries, json_pack("{ss s[s]}", "name", name, "on", "n1"));
    }
    bench_start_manager(bench, json_pack("{so}", "primaries", primaries));
    RUN_UNTIL(bench, all_are_missing);
    assert_true(json_is_array(json_object_get(bench->seen, "findings")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(two_hundred_primaries_are_watched, bench_set_up,
                                        bench_tear_down),
        cmocka_unit_test_setup_teardown(the_most_primaries_are_told, bench_set_up, bench_tear_down),
    };
    cmocka_set_test_filter(getenv("CMOCKA_TEST_FILTER"));
    return cmocka_run_group_tests_name("pm2_many", tests, NULL, NULL);
}
