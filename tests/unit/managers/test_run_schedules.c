/* The section managers.run: from the YAML of a node, through its check, to what the manager says
 * and runs; and what a node refuses, with its place. */
#include "consensus/calendar.h"
#include "tests/unit/managers/section.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static const struct schedules_source source = {.prefix = "run/", .list = "schedules"};

static struct schedules *read_text(const char *text)
{
    struct section section;
    section_init_yaml(&section, "run", text);
    struct schedules *schedules = section_schedules(&section, &source);
    section_deinit(&section);
    return schedules;
}

#define HEAD "managers:\n  run:\n    schedules:\n"

static void defaults_are_those_that_are_told(void **state)
{
    (void)state;
    struct schedules *schedules =
        read_text(HEAD "    - {name: report, run: [echo, hello], cron: '15 5 * * *'}\n");
    const struct schedule *row = schedules_find(schedules, "report");
    assert_non_null(row);
    assert_string_equal(row->id, "run/report");
    assert_string_equal(row->is.expression, "15 5 * * *");
    assert_string_equal(row->is.zone, "UTC");
    assert_int_equal(row->is.start_deadline_s, 60);
    assert_int_equal(row->is.misfire_cap, 10);
    assert_int_equal(row->is.misfire_window_s, 86400);
    assert_int_equal(row->is.overlap, MANAGER_OVERLAP_FORBID);
    assert_int_equal(row->is.misfire, MANAGER_MISFIRE_RUN_ONCE);
    assert_int_equal(row->is.backoff_s, 30);
    assert_int_equal(row->is.backoff_max_s, 600);
    assert_int_equal(row->limits.output_bytes, 256 << 10);
    assert_int_equal(row->limits.keep, 20);
    assert_int_equal(row->limits.finish_ms, 0);
    assert_true(row->is.digest != 0);
    assert_null(schedules_find(schedules, "other"));
    schedules_destroy(&schedules);
}

static void everything_is_read(void **state)
{
    (void)state;
    struct schedules *schedules = read_text(
        "managers:\n  run:\n    zone: UTC\n    schedules:\n"
        "    - {name: a, run: 'a | b', shell: true, every: 90m, anchor: "
        "'2026-01-01T00:00:00+01:00',"
        " gap: skip, fold: both, overlap: replace, misfire: run_all, misfire_cap: 3,"
        " misfire_window: 2h, start_deadline: 30s, progress_deadline: 1500ms, finish_deadline: 1h,"
        " min_runtime: 1s, retries: 2, backoff: 5s, backoff_max: 1m, retry_unknown: true,"
        " critical: true, priority: -5, on: [n1, n2], output: 64KB, keep: 3, cwd: /tmp,"
        " env: {A: b}, env_file: /etc/x}\n"
        "    - {name: b, run: [x], every: 1s}\n"
        "    - {name: c, run: [x], every: 2d}\n");
    const struct schedule *a = schedules_find(schedules, "a");
    assert_true(a->shell);
    assert_string_equal(json_string_value(json_array_get(a->run, 0)), "a | b");
    assert_string_equal(a->is.expression, "every 90m");
    assert_int_equal(a->is.anchor_s, 1767222000);
    assert_int_equal(a->is.gap, MANAGER_GAP_SKIP);
    assert_int_equal(a->is.fold, MANAGER_FOLD_BOTH);
    assert_int_equal(a->is.overlap, MANAGER_OVERLAP_REPLACE);
    assert_int_equal(a->is.misfire, MANAGER_MISFIRE_RUN_ALL);
    assert_int_equal(a->is.progress_deadline_s, 2); /* what is begun counts */
    assert_int_equal(a->limits.progress_ms, 2000);
    assert_int_equal(a->limits.finish_ms, 3600000);
    assert_int_equal(a->is.priority, -5);
    assert_true(a->is.retry_unknown);
    assert_true(a->is.critical);
    assert_int_equal(a->on_count, 2);
    assert_string_equal(a->on[1], "n2");
    assert_int_equal(a->limits.output_bytes, 64 << 10);
    assert_string_equal(a->cwd, "/tmp");
    assert_string_equal(a->env_file, "/etc/x");
    assert_string_equal(schedules_find(schedules, "b")->is.expression, "every 1s");
    assert_string_equal(schedules_find(schedules, "c")->is.expression, "every 2d");
    for (size_t i = 0; i < schedules->count; i++) {
        struct calendar calendar;
        assert_int_equal(calendar_parse(schedules->rows[i].is.expression, &calendar, NULL), 0);
    }
    schedules_destroy(&schedules);
}

static uint64_t digest_of(const char *keys)
{
    char text[512];
    (void)snprintf(text, sizeof text, HEAD "    - {name: a, cron: '@daily', %s}\n", keys);
    struct schedules *schedules = read_text(text);
    uint64_t ret = schedules->rows[0].is.digest;
    schedules_destroy(&schedules);
    return ret;
}

static void the_digest_is_of_what_runs_and_not_of_when(void **state)
{
    (void)state;
    uint64_t digest = digest_of("run: [a, b], env: {X: '1', Y: '2'}");
    assert_true(digest == digest_of("env: {Y: '2', X: '1'}, run: [a, b]"));
    assert_true(digest == digest_of("run: [a, b], env: {X: '1', Y: '2'}, retries: 3, "
                                    "overlap: allow, priority: 7, keep: 3"));
    static const char *const others[] = {
        "run: [a, c], env: {X: '1', Y: '2'}",
        "run: ['ab'], env: {X: '1', Y: '2'}",
        "run: [a, b], env: {X: '1', Y: '3'}",
        "run: [a, b], env: {X: '1'}",
        "run: [a, b]",
        "run: [a, b], env: {X: '1', Y: '2'}, cwd: /tmp",
        "run: [a, b], env: {X: '1', Y: '2'}, env_file: /tmp",
        "run: [a, b], env: {X: '1', Y: '2'}, finish_deadline: 1s",
        "run: [a, b], env: {X: '1', Y: '2'}, progress_deadline: 1s",
        "run: [a, b], env: {X: '1', Y: '2'}, min_runtime: 1s",
    };
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        assert_true(digest != digest_of(others[i]));
    }
    assert_true(digest_of("run: [a]") != digest_of("run: [a], shell: true"));
}

static void the_list_is_told_row_by_row(void **state)
{
    (void)state;
    struct manager_schedule_wanted wanted;
    struct schedules *schedules =
        read_text(HEAD "    - {name: a, run: [x], cron: '@daily'}\n"
                       "    - {name: b, run: [x], every: 5m, on: [n1]}\n");
    schedules_wanted(schedules, 1, &wanted);
    assert_string_equal(wanted.id, "run/b");
    assert_int_equal(wanted.position, 1);
    assert_int_equal(wanted.total, 2);
    assert_string_equal(wanted.is.expression, "every 5m");
    assert_int_equal(wanted.on_count, 1);
    uint64_t edition = wanted.edition;
    schedules_destroy(&schedules);
    schedules = read_text(HEAD "    - {name: a, run: [x], cron: '@daily'}\n"
                               "    - {name: b, run: [x], every: 5m, on: [n2]}\n");
    schedules_wanted(schedules, 0, &wanted);
    assert_true(wanted.edition != edition);
    schedules_destroy(&schedules);
    schedules = read_text("managers:\n  run: {}\n");
    schedules_wanted(schedules, 0, &wanted);
    assert_int_equal(wanted.total, 0);
    assert_string_equal(wanted.id, "");
    schedules_destroy(&schedules);
}

static void a_node_refuses_what_cannot_run(void **state)
{
    (void)state;
    section_refuse(HEAD "    - {name: a, run: [x], cron: '61 * * * *'}\n", 4, 33, "minute");
    section_refuse(HEAD "    - {name: a, run: [x], cron: '@reboot'}\n", 4, 33, "@reboot");
    section_refuse(HEAD "    - {name: a, run: [x]}\n", 4, 7, "needs a time");
    section_refuse(HEAD "    - {name: a, run: [x], cron: '@daily', every: 5m}\n", 4, 50,
                   "not both");
    section_refuse(HEAD "    - {name: a, run: [x], every: 1500ms}\n", 4, 34, "whole seconds");
    section_refuse(HEAD "    - {name: a, run: [x], every: 500ms}\n", 4, 34, "a duration");
    section_refuse(HEAD "    - {name: a, cron: '@daily'}\n", 4, 7, "runs a command");
    section_refuse(HEAD "    - {name: a, run: 'x | y', cron: '@daily'}\n", 4, 22, "shell: true");
    section_refuse(HEAD "    - {name: a, run: [x, y], shell: true, cron: '@daily'}\n", 4, 22,
                   "one text");
    section_refuse(HEAD "    - {run: [x], cron: '@daily'}\n", 4, 7, "without a name");
    section_refuse(HEAD "    - {name: a, run: [x], cron: '@daily'}\n"
                        "    - {name: a, run: [x], cron: '@daily'}\n",
                   5, 14, "names must be unique");
    section_refuse(HEAD "    - {name: a, run: [x], every: 5m, anchor: yesterday}\n", 4, 46,
                   "no time");
    section_refuse(HEAD "    - {name: a, run: [x], cron: '@daily', zone: ../etc}\n", 4, 49,
                   "no name of a");
    section_refuse(HEAD "    - {name: a, run: [x], cron: '@daily', scirpt: x}\n", 4, 43,
                   "unknown key");
    section_refuse("grants: {ttl: 4s}\n" HEAD "    - {name: a, run: [x], cron: '@daily'}\n", 1, 15,
                   "raise it to 4100ms");
}

static void a_manager_does_not_trust_its_section(void **state)
{
    (void)state;
    static const char *const sections[] = {
        "{\"schedules\":[{}]}",
        "{\"schedules\":[{\"name\":\"../x\",\"run\":[\"x\"],\"cron\":\"@daily\"}]}",
        "{\"schedules\":[{\"name\":\"a\",\"run\":[],\"cron\":\"@daily\"}]}",
        "{\"schedules\":[{\"name\":\"a\",\"run\":[1],\"cron\":\"@daily\"}]}",
        "{\"schedules\":[{\"name\":\"a\",\"run\":[\"x\"]}]}",
        "{\"schedules\":[{\"name\":\"a\",\"run\":[\"x\"],\"cron\":\"@daily\",\"gap\":\"x\"}]}",
        "{\"schedules\":[{\"name\":\"a\",\"run\":[\"x\"],\"cron\":\"@daily\",\"anchor\":\"x\"}]}",
    };
    section_distrust(&source, "managers.run", sections, sizeof sections / sizeof sections[0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_are_those_that_are_told),
        cmocka_unit_test(everything_is_read),
        cmocka_unit_test(the_digest_is_of_what_runs_and_not_of_when),
        cmocka_unit_test(the_list_is_told_row_by_row),
        cmocka_unit_test(a_node_refuses_what_cannot_run),
        cmocka_unit_test(a_manager_does_not_trust_its_section),
    };
    return cmocka_run_group_tests_name("run_schedules", tests, NULL, NULL);
}
