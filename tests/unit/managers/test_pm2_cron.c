/* Backups in mode cron: from the YAML of a node, through its check, to the schedules that the PM2
 * manager says and carries out; and what a node refuses, with its place. */
#include "managers/pm2/cron/source.h"
#include "managers/pm2/settings.h"
#include "node/config/config.h"
#include "tests/unit/managers/section.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define HEAD "managers:\n  pm2:\n    primaries: [{name: sync, on: [n1]}]\n    backups:\n"

/* What the manager makes of the file: its schedules, and how many backups its settings hold. */
static struct schedules *read_text(const char *text, size_t *ret_backups)
{
    struct section section;
    struct settings *settings = NULL;
    struct err err = {0};
    section_init_yaml(&section, "pm2", text);
    struct schedules *schedules = section_schedules(&section, &cron_source);
    if (settings_read(&section.document, "/home/a/.pm2", &settings, &err) != 0) {
        fail_msg("%s", err.msg);
    }
    assert_non_null(settings);
    *ret_backups = settings->backup_count;
    for (size_t i = 0; i < schedules->count; i++) {
        const struct settings_backup *backup = settings_backup(settings, schedules->rows[i].id);
        assert_non_null(backup);
        assert_int_equal(backup->mode, SETTINGS_CRON);
    }
    settings_destroy(&settings);
    section_deinit(&section);
    return schedules;
}

static void backups_in_mode_cron_are_schedules_and_no_others(void **state)
{
    (void)state;
    size_t backups;
    struct schedules *schedules = read_text(
        HEAD "    - {name: a, script: x, stands_in_for: sync}\n"
             "    - {name: b, script: /srv/b.js, mode: cron, cron: '*/15 * * * *'}\n"
             "    - {name: c, script: x, mode: always}\n"
             "    - {name: d, script: d, mode: cron, every: 25m, tier: enhanced, stands_in_for: "
             "sync}\n",
        &backups);
    assert_int_equal(backups, 4);
    assert_int_equal(schedules->count, 2);
    const struct schedule *b = &schedules->rows[0];
    assert_ptr_equal(schedules_find(schedules, "b"), b);
    assert_string_equal(b->id, "pm2/b");
    assert_string_equal(b->is.expression, "*/15 * * * *");
    assert_string_equal(b->is.zone, "UTC");
    assert_string_equal(b->script, "/srv/b.js");
    assert_null(b->run);
    assert_int_equal(b->limits.kill_timeout_ms, 1600);
    assert_int_equal(b->memory_bytes, 0);
    assert_string_equal(schedules->rows[1].is.expression, "every 25m");
    assert_null(schedules_find(schedules, "a"));
    schedules_destroy(&schedules);

    schedules = read_text(HEAD "    - {name: a, script: x, stands_in_for: sync}\n", &backups);
    struct manager_schedule_wanted wanted;
    schedules_wanted(schedules, 0, &wanted);
    assert_int_equal(wanted.total, 0); /* the empty list takes away what was before */
    schedules_destroy(&schedules);
}

static void everything_is_read(void **state)
{
    (void)state;
    size_t backups;
    struct schedules *schedules = read_text(
        "grants: {ttl: 10s}\nmanagers:\n  pm2:\n    zone: UTC\n    backups:\n"
        "    - {name: a, script: s.py, args: ['-x', y], interpreter: python3, cwd: /tmp,"
        " env: {A: b}, memory: 64MB, kill_timeout: 3s, mode: cron, every: 90m,"
        " anchor: '2026-01-01T00:00:00+01:00', gap: skip, fold: both, overlap: replace,"
        " misfire: run_all, misfire_cap: 3, misfire_window: 2h, start_deadline: 30s,"
        " progress_deadline: 1500ms, finish_deadline: 1h, min_runtime: 1s, retries: 2,"
        " backoff: 5s, backoff_max: 1m, retry_unknown: true, critical: true, priority: -5,"
        " on: [n1, n2], output: 64KB, keep: 3}\n",
        &backups);
    const struct schedule *a = schedules_find(schedules, "a");
    assert_string_equal(a->script, "s.py");
    assert_string_equal(a->interpreter, "python3");
    assert_string_equal(json_string_value(json_array_get(a->args, 1)), "y");
    assert_string_equal(a->cwd, "/tmp");
    assert_string_equal(json_string_value(json_object_get(a->env, "A")), "b");
    assert_int_equal(a->memory_bytes, 64 << 20);
    assert_int_equal(a->limits.kill_timeout_ms, 3000);
    assert_string_equal(a->is.expression, "every 90m");
    assert_int_equal(a->is.anchor_s, 1767222000);
    assert_int_equal(a->is.gap, MANAGER_GAP_SKIP);
    assert_int_equal(a->is.fold, MANAGER_FOLD_BOTH);
    assert_int_equal(a->is.overlap, MANAGER_OVERLAP_REPLACE);
    assert_int_equal(a->is.misfire, MANAGER_MISFIRE_RUN_ALL);
    assert_int_equal(a->is.misfire_cap, 3);
    assert_int_equal(a->is.misfire_window_s, 7200);
    assert_int_equal(a->is.start_deadline_s, 30);
    assert_int_equal(a->limits.progress_ms, 2000); /* what is begun counts */
    assert_int_equal(a->limits.finish_ms, 3600000);
    assert_int_equal(a->limits.min_runtime_ms, 1000);
    assert_int_equal(a->is.retries, 2);
    assert_int_equal(a->is.backoff_s, 5);
    assert_int_equal(a->is.backoff_max_s, 60);
    assert_true(a->is.retry_unknown && a->is.critical);
    assert_int_equal(a->is.priority, -5);
    assert_int_equal(a->on_count, 2);
    assert_int_equal(a->limits.output_bytes, 64 << 10);
    assert_int_equal(a->limits.keep, 3);
    schedules_destroy(&schedules);
}

/* The defaults of these keys are not among the values of a node: the manager must know them. */
static void defaults_are_those_that_are_told(void **state)
{
    (void)state;
    static const char prefix[] = "managers.pm2.backups[].";
    static const char *const of_all[] = {"mode",        "tier",          "settle",
                                         "priority",    "kill_timeout",  "max_restarts",
                                         "exp_backoff", "restart_delay", "copies"};
    size_t backups;
    size_t compared = 0;
    struct config_key key;
    struct schedules *plain =
        read_text(HEAD "    - {name: a, script: x, mode: cron, cron: '@daily'}\n", &backups);
    for (size_t i = 0; config_key_at(i, &key); i++) {
        bool other = strncmp(key.key, prefix, strlen(prefix)) != 0 || key.default_value == NULL ||
                     strchr(key.key + strlen(prefix), '.') != NULL;
        for (size_t k = 0; !other && k < sizeof of_all / sizeof of_all[0]; k++) {
            other = strcmp(key.key + strlen(prefix), of_all[k]) == 0;
        }
        if (other) {
            continue;
        }
        char text[512];
        (void)snprintf(text, sizeof text,
                       HEAD "    - {name: a, script: x, mode: cron, cron: '@daily', %s: '%s'}\n",
                       key.key + strlen(prefix), key.default_value);
        struct schedules *spoken = read_text(text, &backups);
        if (spoken->edition != plain->edition ||
            spoken->rows[0].limits.output_bytes != plain->rows[0].limits.output_bytes ||
            spoken->rows[0].limits.keep != plain->rows[0].limits.keep) {
            fail_msg("%s: the default is not %s", key.key, key.default_value);
        }
        compared++;
        schedules_destroy(&spoken);
    }
    assert_true(compared >= 17);
    schedules_destroy(&plain);
}

static uint64_t digest_of(const char *keys)
{
    char text[512];
    size_t backups;
    (void)snprintf(text, sizeof text, HEAD "    - {name: a, mode: cron, %s}\n", keys);
    struct schedules *schedules = read_text(text, &backups);
    uint64_t ret = schedules->rows[0].is.digest;
    schedules_destroy(&schedules);
    return ret;
}

static void the_digest_is_of_what_runs_and_not_of_when(void **state)
{
    (void)state;
    uint64_t digest = digest_of("script: x, cron: '@daily'");
    assert_true(digest == digest_of("script: x, every: 5m, overlap: allow, retries: 3, zone: UTC, "
                                    "priority: 3, on: [n1], stands_in_for: sync, tier: enhanced"));
    static const char *const others[] = {
        "script: y, cron: '@daily'",
        "script: x, args: [a], cron: '@daily'",
        "script: x, interpreter: none, cron: '@daily'",
        "script: x, memory: 64MB, cron: '@daily'",
        "script: x, kill_timeout: 1s, cron: '@daily'",
        "script: x, cwd: /tmp, cron: '@daily'",
        "script: x, env: {A: b}, cron: '@daily'",
        "script: x, finish_deadline: 1s, cron: '@daily'",
    };
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        assert_true(digest != digest_of(others[i]));
    }
}

static void where_it_rather_does_not_run_is_told(void **state)
{
    (void)state;
    static const char nodes[2][NAME_SIZE] = {"n1", "n2"};
    size_t backups;
    struct manager_schedule_wanted wanted;
    struct schedules *schedules = read_text(
        HEAD "    - {name: a, script: x, mode: cron, cron: '@daily', stands_in_for: sync}\n",
        &backups);
    uint64_t edition = schedules->edition;
    assert_false(schedules_avoid(schedules, 0, nodes, 0));
    assert_true(schedules_avoid(schedules, 0, nodes, 1));
    assert_true(schedules->edition != edition);
    assert_false(schedules_avoid(schedules, 0, nodes, 1));
    assert_true(schedules_avoid(schedules, 0, nodes, 2));
    schedules_wanted(schedules, 0, &wanted);
    assert_int_equal(wanted.avoid_count, 2);
    assert_string_equal(wanted.avoid[1], "n2");
    assert_true(schedules_avoid(schedules, 0, nodes, 0));
    assert_true(schedules->edition == edition);
    schedules_destroy(&schedules);
}

/* `at`: the value in the row that the message points to; NULL: the whole element. */
static void refuse(const char *row, const char *at, const char *part)
{
    char line[512];
    char text[1024];
    (void)snprintf(line, sizeof line, "    - {name: a, script: x, %s}", row);
    (void)snprintf(text, sizeof text, HEAD "%s\n", line);
    unsigned column = at != NULL ? (unsigned)(strstr(line, at) - line) + 1 : 7;
    section_refuse(text, 5, column, part);
}

static void a_node_refuses_what_cannot_run(void **state)
{
    (void)state;
    refuse("mode: cron", NULL, "needs a time");
    refuse("mode: cron, cron: '@daily', every: 5m", "5m", "not both");
    refuse("mode: cron, cron: '61 * * * *'", "'61", "minute");
    refuse("mode: cron, every: 1500ms", "1500", "whole seconds");
    refuse("mode: cron, cron: '@daily', zone: ../etc", "../etc", "no name of a");
    refuse("mode: cron, every: 5m, anchor: yesterday", "yester", "no time");
    refuse("mode: cron, every: 5m, settle: 3s", "3s", "settle is not for mode cron");
    refuse("mode: cron, every: 5m, max_restarts: 3", "3", "by retries");
    refuse("mode: cron, every: 5m, exp_backoff: 3s", "3s", "backoff_max");
    refuse("mode: cron, every: 5m, restart_delay: 3s", "3s", "backoff_max");
    refuse("mode: cron, every: 5m, when_unreachable: wait", "wait", "when_unreachable is not");
    refuse("mode: cron, every: 5m, when_unreachable: {start_after: 3s}", "{start",
           "when_unreachable is");
    refuse("mode: cron, every: 5m, stands_in_for: snyc", "snyc", "did you mean");
    refuse("mode: always, every: 5m", "5m", "every is for backups in mode cron");
    refuse("stands_in_for: sync, cron: '@daily'", "'@daily", "cron is for backups in mode cron");
    refuse("stands_in_for: sync, retries: 2", "2", "retries is for backups in mode cron");
    refuse("mode: cron, every: 5m, kill_timeout: 4s", "4s", "grants.ttl");
}

static void a_manager_does_not_trust_its_section(void **state)
{
    (void)state;
    static const char *const sections[] = {
        "{\"backups\":[{\"mode\":\"cron\"}]}",
        "{\"backups\":[{\"mode\":\"cron\",\"name\":\"../"
        "x\",\"script\":\"x\",\"cron\":\"@daily\"}]}",
        "{\"backups\":[{\"mode\":\"cron\",\"name\":\"a\",\"cron\":\"@daily\"}]}",
        "{\"backups\":[{\"mode\":\"cron\",\"name\":\"a\",\"script\":\"\",\"cron\":\"@daily\"}]}",
        "{\"backups\":[{\"mode\":\"cron\",\"name\":\"a\",\"script\":\"x\"}]}",
        "{\"backups\":[{\"mode\":\"cron\",\"name\":\"a\",\"script\":\"x\",\"cron\":\"@daily\","
        "\"args\":[1]}]}",
    };
    section_distrust(&cron_source, "managers.pm2", sections, sizeof sections / sizeof sections[0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(backups_in_mode_cron_are_schedules_and_no_others),
        cmocka_unit_test(everything_is_read),
        cmocka_unit_test(defaults_are_those_that_are_told),
        cmocka_unit_test(the_digest_is_of_what_runs_and_not_of_when),
        cmocka_unit_test(where_it_rather_does_not_run_is_told),
        cmocka_unit_test(a_node_refuses_what_cannot_run),
        cmocka_unit_test(a_manager_does_not_trust_its_section),
    };
    return cmocka_run_group_tests_name("pm2_cron", tests, NULL, NULL);
}
