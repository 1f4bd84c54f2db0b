/* What of PM2's logs is rotated and deleted: sizes, local days, names, budget, other rotators. */
#include "managers/pm2/logs/policy.h"
#include "managers/pm2/logs/rotators.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define MB (INT64_C(1) << 20)
#define DAY_MS INT64_C(86400000)

static const struct rotation_policy usual = {.rotate = true,
                                             .daily = true,
                                             .compress = true,
                                             .max_bytes = 10 * MB,
                                             .keep_ms = 30 * DAY_MS,
                                             .budget_bytes = 100 * MB};

static void size_and_day_make_a_log_due(void **state)
{
    (void)state;
    struct rotation_policy policy = usual;
    const int64_t midnight_ms = 100 * DAY_MS;
    assert_int_equal(policy_due(&policy, 10 * MB - 1, midnight_ms, midnight_ms), ROTATION_NOT_DUE);
    assert_int_equal(policy_due(&policy, 10 * MB, midnight_ms, midnight_ms), ROTATION_DUE_SIZE);
    assert_int_equal(policy_due(&policy, 1, midnight_ms - 1, midnight_ms), ROTATION_DUE_DAY);
    assert_int_equal(policy_due(&policy, 0, 0, midnight_ms), ROTATION_NOT_DUE);
    policy.daily = false;
    assert_int_equal(policy_due(&policy, 1, 0, midnight_ms), ROTATION_NOT_DUE);
    policy.rotate = false;
    assert_int_equal(policy_due(&policy, 99 * MB, 0, midnight_ms), ROTATION_NOT_DUE);
}

/* ---- local midnight ---- */

static int64_t utc(int year, int month, int day, int hour, int minute)
{
    struct tm parts = {.tm_year = year - 1900,
                       .tm_mon = month - 1,
                       .tm_mday = day,
                       .tm_hour = hour,
                       .tm_min = minute};
    return (int64_t)timegm(&parts) * 1000;
}

static void set_zone(const char *zone)
{
    (void)setenv("TZ", zone, 1);
    tzset();
}

static int64_t midnight(int64_t wall_ms)
{
    return policy_midnight_ms(wall_ms, policy_local_day);
}

static void midnight_is_the_zones(void **state)
{
    (void)state;
    set_zone("UTC");
    assert_int_equal(midnight(utc(2026, 11, 22, 0, 0)), utc(2026, 11, 22, 0, 0));
    assert_int_equal(midnight(utc(2026, 11, 22, 23, 59)), utc(2026, 11, 22, 0, 0));
    assert_int_equal(midnight(utc(2027, 1, 1, 0, 1)), utc(2027, 1, 1, 0, 0));
    set_zone("Europe/Vienna");
    assert_int_equal(midnight(utc(2026, 11, 22, 22, 59)), utc(2026, 11, 21, 23, 0));
    assert_int_equal(midnight(utc(2026, 11, 22, 23, 0)), utc(2026, 11, 22, 23, 0));
    set_zone("Pacific/Kiritimati"); /* UTC+14 */
    assert_int_equal(midnight(utc(2026, 6, 1, 9, 59)), utc(2026, 5, 31, 10, 0));
    assert_int_equal(midnight(utc(2026, 6, 1, 10, 0)), utc(2026, 6, 1, 10, 0));
}

/* Days of 23 and 25 hours, and one whose midnight does not exist. */
static void midnight_where_clocks_change(void **state)
{
    (void)state;
    set_zone("Europe/Vienna");
    assert_int_equal(midnight(utc(2026, 3, 29, 21, 59)), utc(2026, 3, 28, 23, 0));
    assert_int_equal(midnight(utc(2026, 3, 29, 22, 0)), utc(2026, 3, 29, 22, 0));
    assert_int_equal(midnight(utc(2026, 10, 25, 22, 59)), utc(2026, 10, 24, 22, 0));
    assert_int_equal(midnight(utc(2026, 10, 25, 23, 0)), utc(2026, 10, 25, 23, 0));
    set_zone("Africa/Cairo"); /* 2024-04-26 begins at 01:00 */
    assert_int_equal(midnight(utc(2024, 4, 26, 10, 0)), utc(2024, 4, 25, 22, 0));
    assert_int_equal(midnight(utc(2024, 4, 25, 21, 59)), utc(2024, 4, 24, 22, 0));
    set_zone("UTC");
}

static int64_t two_day_year(int64_t wall_s)
{
    return wall_s / 50000; /* a day that is none of the C library's */
}

static void midnight_asks_only_what_it_is_given(void **state)
{
    (void)state;
    assert_int_equal(policy_midnight_ms(INT64_C(123456789), two_day_year), INT64_C(100000000));
}

/* ---- names ---- */

static void names_of_rotated_files(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        size_t base;
        bool packed;
        bool part;
    } good[] = {
        {"worker-out.log.2026-11-22T00-00-05", 14, false, false},
        {"worker-out.log.2026-11-22T00-00-05.gz", 14, true, false},
        {"worker-out.log.2026-11-22T00-00-05_007", 14, false, false},
        {"worker-out.log.2026-11-22T00-00-05_017.gz.part", 14, true, true},
        {"a.2026-11-22T00-00-05.part", 1, false, true},
    };
    static const char *const bad[] = {
        "worker-out.log",
        "worker-out.log.1",
        "worker-out.log.1.gz",
        ".2026-11-22T00-00-05",
        "2026-11-22T00-00-05",
        "worker-out.log-2026-11-22T00-00-05",
        "worker-out.log.2026-11-22T00:00:05",
        "worker-out.log.2026-11-22T00-00-05_1000",
        "worker-out.log.2026-11-22T00-00-05.1",
        "worker-out.log.2026-11-22T00-00-05.bz2",
        "worker-out__2026-11-22_00-00-00.log",
        "",
    };
    struct rotated_name name;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        assert_true(rotated_name_parse(good[i].name, &name));
        assert_int_equal(name.base_length, good[i].base);
        assert_int_equal(name.packed, good[i].packed);
        assert_int_equal(name.part, good[i].part);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_false(rotated_name_parse(bad[i], &name));
    }
}

static void stamps_are_local_and_parsed_back(void **state)
{
    (void)state;
    char stamp[POLICY_STAMP_SIZE];
    char text[64];
    struct rotated_name name;
    set_zone("Europe/Vienna");
    assert_true(policy_stamp(utc(2026, 11, 22, 23, 0), stamp));
    assert_string_equal(stamp, "2026-11-23T00-00-00");
    set_zone("UTC");
    (void)snprintf(text, sizeof text, "x.log.%s", stamp);
    assert_true(rotated_name_parse(text, &name));
}

/* ---- sweeping ---- */

static void old_ones_go_then_the_largest_logs_oldest(void **state)
{
    (void)state;
    const int64_t now_ms = 1000 * DAY_MS;
    struct rotated rows[] = {
        {0, 40 * MB, now_ms - 31 * DAY_MS, false}, /* too old */
        {0, 30 * MB, now_ms - 20 * DAY_MS, false}, /* oldest of the largest */
        {0, 30 * MB, now_ms - 10 * DAY_MS, false},
        {1, 25 * MB, now_ms - 29 * DAY_MS, false}, /* older, and of a smaller log */
        {1, 25 * MB, now_ms - 1 * DAY_MS, false},
    };
    assert_int_equal(policy_sweep(&usual, rows, 5, now_ms), 2);
    assert_true(rows[0].drop && rows[1].drop);
    struct rotation_policy small = usual;
    small.budget_bytes = 56 * MB;
    assert_int_equal(policy_sweep(&small, rows, 5, now_ms), 3);
    assert_true(rows[3].drop); /* log 1 had more by then */
    small.budget_bytes = 1;
    assert_int_equal(policy_sweep(&small, rows, 5, now_ms), 5);
    small.budget_bytes = 110 * MB;
    assert_int_equal(policy_sweep(&small, rows, 5, now_ms), 1);
    assert_int_equal(policy_sweep(&small, rows, 0, now_ms), 0);
}

static void failures_make_pauses_longer(void **state)
{
    (void)state;
    assert_int_equal(policy_backoff_ms(1), 30000);
    assert_int_equal(policy_backoff_ms(2), 60000);
    assert_int_equal(policy_backoff_ms(8), 3600000);
    assert_int_equal(policy_backoff_ms(4000000000U), 3600000);
}

/* ---- other rotators ---- */

static char named[512];

static void keep_named(void *context, const char *pattern)
{
    (void)context;
    assert_true(strlen(named) + strlen(pattern) + 2 < sizeof named);
    (void)snprintf(named + strlen(named), sizeof named - strlen(named), "%s ", pattern);
}

static void logrotates_files_are_found(void **state)
{
    (void)state;
    static const char text[] = "# of PM2: /not/this\n"
                               "weekly\n"
                               "/home/a/.pm2/pm2.log /home/a/.pm2/logs/*.log {\n"
                               "    rotate 12 # /nor/this\n"
                               "    postrotate\n"
                               "        test -x /bin/x && { /bin/x; }\n"
                               "    endscript\n"
                               "  }\n"
                               "\"/with blank/a.log\" '/quoted'\n{\n  daily\n}\n"
                               "/one/line { missingok }\n"
                               "/last{";
    named[0] = '\0';
    logrotate_scan(text, sizeof text - 1, keep_named, NULL);
    assert_string_equal(named,
                        "/home/a/.pm2/pm2.log /home/a/.pm2/logs/*.log /with blank/a.log /quoted "
                        "/one/line /last ");
}

static void write_text(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    (void)fputs(text, file);
    (void)fclose(file);
}

static void a_configuration_that_names_the_log_is_told(void **state)
{
    (void)state;
    char folder[] = "/tmp/test-logs-XXXXXX";
    char path[64];
    assert_non_null(mkdtemp(folder));
    (void)snprintf(path, sizeof path, "%s/pm2-root", folder);
    write_text(path, "/home/a/.pm2/logs/*.log {\n weekly\n}\n");
    struct rotators *rotators = rotators_load(folder, "/nowhere/logrotate.conf");
    assert_string_equal(rotators_of(rotators, "/home/a/.pm2/logs/worker-out.log"), path);
    assert_null(rotators_of(rotators, "/home/a/.pm2/logs/deep/worker-out.log"));
    assert_null(rotators_of(rotators, "/home/x/.pm2/logs/worker-out.log"));
    rotators_destroy(&rotators);
    (void)unlink(path);
    (void)rmdir(folder);
}

static void modules_that_rotate_are_found(void **state)
{
    (void)state;
    char home[] = "/tmp/test-logs-XXXXXX";
    char path[64];
    static const char *const steps[] = {"modules", "modules/@some", "modules/@some/pm2-logrotate"};
    assert_non_null(mkdtemp(home));
    assert_false(rotators_in_home(home));
    for (size_t i = 0; i < 3; i++) {
        assert_false(rotators_in_home(home));
        (void)snprintf(path, sizeof path, "%s/%s", home, steps[i]);
        assert_int_equal(mkdir(path, 0700), 0);
    }
    assert_true(rotators_in_home(home));
    for (size_t i = 3; i > 0; i--) {
        (void)snprintf(path, sizeof path, "%s/%s", home, steps[i - 1]);
        (void)rmdir(path);
    }
    (void)rmdir(home);
    assert_false(rotators_is_module("worker"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(size_and_day_make_a_log_due),
        cmocka_unit_test(midnight_is_the_zones),
        cmocka_unit_test(midnight_where_clocks_change),
        cmocka_unit_test(midnight_asks_only_what_it_is_given),
        cmocka_unit_test(names_of_rotated_files),
        cmocka_unit_test(stamps_are_local_and_parsed_back),
        cmocka_unit_test(old_ones_go_then_the_largest_logs_oldest),
        cmocka_unit_test(failures_make_pauses_longer),
        cmocka_unit_test(logrotates_files_are_found),
        cmocka_unit_test(a_configuration_that_names_the_log_is_told),
        cmocka_unit_test(modules_that_rotate_are_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
