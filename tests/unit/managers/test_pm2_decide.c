/* The rules of a primary and its backup, as tables. */
#include "managers/pm2/settings.h"
#include "managers/pm2/stand_in/decide.h"
#include "managers/pm2/watch/watch.h"
#include "tests/unit/managers/section.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define SETTLE INT64_C(10000)
#define AFTER INT64_C(30000)

static const struct decide_rules standby = {
    .mode = SETTINGS_STANDBY, .settle_ms = SETTLE, .start_after_ms = AFTER};
static const struct decide_rules waits = {
    .mode = SETTINGS_STANDBY, .settle_ms = SETTLE, .start_after_ms = -1};

struct row {
    const char *what;
    const struct decide_rules *rules;
    size_t count;
    struct decide_view views[3];
    bool wanted_now;
    enum decide_wish wish;
};

#define ON(s, ms)                                       \
    {                                                   \
        .reachable = true, .state = (s), .for_ms = (ms) \
    }
#define LOST(s, ms)                                      \
    {                                                    \
        .reachable = false, .state = (s), .for_ms = (ms) \
    }

static const struct row rows[] = {
    {"up", &standby, 1, {ON(DECIDE_UP, 5)}, false, DECIDE_UNWANT},
    {"up, not settled", &standby, 1, {ON(DECIDE_UP, SETTLE - 1)}, true, DECIDE_KEEP},
    {"up and settled", &standby, 1, {ON(DECIDE_UP, SETTLE)}, true, DECIDE_UNWANT},
    {"down", &standby, 1, {ON(DECIDE_DOWN, 0)}, false, DECIDE_WANT},
    {"down, runs", &standby, 1, {ON(DECIDE_DOWN, 0)}, true, DECIDE_WANT},
    {"between", &standby, 1, {ON(DECIDE_BETWEEN, 0)}, false, DECIDE_KEEP},
    {"between, runs", &standby, 1, {ON(DECIDE_BETWEEN, 0)}, true, DECIDE_KEEP},
    {"unreachable for a while", &standby, 1, {LOST(DECIDE_UNKNOWN, AFTER - 1)}, false, DECIDE_KEEP},
    {"unreachable for long", &standby, 1, {LOST(DECIDE_UNKNOWN, AFTER)}, false, DECIDE_WANT},
    {"was up, cut off: nobody knows",
     &standby,
     1,
     {LOST(DECIDE_UP, AFTER - 1)},
     false,
     DECIDE_KEEP},
    {"was down, cut off: nobody knows", &standby, 1, {LOST(DECIDE_DOWN, 0)}, false, DECIDE_KEEP},
    {"its manager is silent for long",
     &standby,
     1,
     {ON(DECIDE_UNKNOWN, AFTER)},
     false,
     DECIDE_WANT},
    {"wait: never on a guess", &waits, 1, {LOST(DECIDE_UNKNOWN, 100 * AFTER)}, false, DECIDE_KEEP},
    {"wait: down is no guess", &waits, 1, {ON(DECIDE_DOWN, 0)}, false, DECIDE_WANT},
    {"down here, up there",
     &standby,
     2,
     {ON(DECIDE_DOWN, 99999), ON(DECIDE_UP, 99999)},
     false,
     DECIDE_UNWANT},
    {"down here, unknown there",
     &standby,
     2,
     {ON(DECIDE_DOWN, 99999), LOST(DECIDE_UNKNOWN, 5)},
     false,
     DECIDE_KEEP},
    {"one of two unknown just fell silent",
     &standby,
     2,
     {LOST(DECIDE_UNKNOWN, 10 * AFTER), LOST(DECIDE_UNKNOWN, 5)},
     false,
     DECIDE_KEEP},
    {"down everywhere", &standby, 2, {ON(DECIDE_DOWN, 1), ON(DECIDE_DOWN, 1)}, false, DECIDE_WANT},
    {"elsewhere counts for nothing",
     &standby,
     2,
     {ON(DECIDE_ELSEWHERE, 1), ON(DECIDE_UP, 1)},
     false,
     DECIDE_UNWANT},
    {"no node has it",
     &standby,
     2,
     {ON(DECIDE_ELSEWHERE, 1), ON(DECIDE_ELSEWHERE, 1)},
     false,
     DECIDE_WANT},
    {"nothing was heard yet", &standby, 0, {{.left = false}}, false, DECIDE_KEEP},
    {"its host has left",
     &standby,
     2,
     {{.left = true, .state = DECIDE_UP}, ON(DECIDE_DOWN, 1)},
     false,
     DECIDE_WANT},
};

static void backup_follows_the_rules(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char reason[REASON_SIZE] = "";
        enum decide_wish wish =
            decide_backup(rows[i].rules, rows[i].views, rows[i].count, rows[i].wanted_now, reason);
        if (wish != rows[i].wish) {
            fail_msg("%s: %d instead of %d (%s)", rows[i].what, (int)wish, (int)rows[i].wish,
                     reason);
        }
        assert_true(reason[0] != '\0');
    }
}

static void other_modes_ask_nobody(void **state)
{
    (void)state;
    char reason[REASON_SIZE];
    struct decide_rules rules = {.mode = SETTINGS_ALWAYS};
    assert_int_equal(decide_backup(&rules, NULL, 0, false, reason), DECIDE_WANT);
    rules.mode = SETTINGS_CRON;
    assert_int_equal(decide_backup(&rules, NULL, 0, true, reason), DECIDE_UNWANT);
}

/* ---- what a primary's state is ---- */

static enum decide_primary_state judge(struct watch_facts facts)
{
    char reason[NAME_SIZE];
    facts.daemon = "dead";
    return watch_judge(&facts, reason);
}

#define LISTED(s) .daemon_known = true, .daemon_up = true, .listed = true, .status = (s)

static void the_kernel_is_believed_before_pm2(void **state)
{
    (void)state;
    assert_int_equal(judge((struct watch_facts){LISTED(ENTRY_ONLINE), .lives = true}), DECIDE_UP);
    assert_int_equal(judge((struct watch_facts){LISTED(ENTRY_ONLINE)}), DECIDE_DOWN);
    assert_int_equal(judge((struct watch_facts){LISTED(ENTRY_STOPPED)}), DECIDE_DOWN);
    assert_int_equal(judge((struct watch_facts){LISTED(ENTRY_ERRORED)}), DECIDE_DOWN);
    assert_int_equal(judge((struct watch_facts){.daemon_known = true, .lives = true}), DECIDE_UP);
    assert_int_equal(judge((struct watch_facts){.daemon_known = true, .must_be_here = true}),
                     DECIDE_DOWN);
    assert_int_equal(judge((struct watch_facts){.daemon_known = true}), DECIDE_ELSEWHERE);
    assert_int_equal(judge((struct watch_facts){.must_be_here = true}), DECIDE_UNKNOWN);
}

static void stuck_states_and_loops_are_down(void **state)
{
    (void)state;
    assert_int_equal(judge((struct watch_facts){LISTED(ENTRY_LAUNCHING), .status_ms = 10}),
                     DECIDE_BETWEEN);
    assert_int_equal(judge((struct watch_facts){LISTED(ENTRY_LAUNCHING),
                                                .status_ms = WATCH_LAUNCHING_MAX_MS + 1}),
                     DECIDE_DOWN);
    assert_int_equal(
        judge((struct watch_facts){LISTED(ENTRY_LAUNCHING), .status_ms = WATCH_LAUNCHING_MAX_MS + 1,
                                   .listen_ms = 60000}),
        DECIDE_BETWEEN);
    assert_int_equal(
        judge((struct watch_facts){LISTED(ENTRY_STOPPING),
                                   .status_ms = WATCH_STOPPING_MAX_MS + 60001, .kill_ms = 60000}),
        DECIDE_DOWN);
    assert_int_equal(judge((struct watch_facts){LISTED(ENTRY_WAITING_RESTART), .status_ms = 10}),
                     DECIDE_BETWEEN);
    assert_int_equal(judge((struct watch_facts){LISTED(ENTRY_WAITING_RESTART),
                                                .status_ms = WATCH_WAITING_MAX_MS + 1}),
                     DECIDE_DOWN);
    assert_int_equal(
        judge((struct watch_facts){LISTED(ENTRY_ONLINE), .lives = true, .ends = WATCH_LOOP_ENDS}),
        DECIDE_DOWN);
    assert_int_equal(judge((struct watch_facts){LISTED(ENTRY_ONLINE), .lives = true,
                                                .ends = WATCH_LOOP_ENDS - 1}),
                     DECIDE_UP);
}

static const struct watch_facts daemon_up = {
    .daemon_known = true, .daemon_up = true, .must_be_here = true, .daemon = "up"};

static void down_is_held_back_for_a_moment(void **state)
{
    (void)state;
    struct watch watch;
    watch_init(&watch, "worker", 0);
    struct entry row = {.status = ENTRY_ONLINE, .pid = getpid()};
    watch_row(&watch, &row, 1000);
    assert_true(watch_step(&watch, daemon_up, 1000));
    assert_int_equal(watch.state, DECIDE_UP);
    row.status = ENTRY_STOPPED; /* as PM2 shows it between an exit and the restart */
    watch_row(&watch, &row, 2000);
    assert_false(watch_step(&watch, daemon_up, 2000));
    assert_true(watch_is_settling(&watch));
    row.status = ENTRY_ONLINE;
    watch_row(&watch, &row, 2300);
    assert_false(watch_step(&watch, daemon_up, 2300));
    assert_int_equal(watch.state, DECIDE_UP);
    row.status = ENTRY_STOPPED;
    watch_row(&watch, &row, 3000);
    assert_false(watch_step(&watch, daemon_up, 3000));
    assert_true(watch_step(&watch, daemon_up, 3000 + WATCH_DOWN_HOLD_MS));
    assert_int_equal(watch.state, DECIDE_DOWN);
    watch_deinit(&watch);
}

/* PM2 shows a row as off while a process of an earlier daemon runs: the primary runs. */
static void an_orphan_is_no_reason_for_a_backup(void **state)
{
    (void)state;
    struct watch watch;
    watch_init(&watch, "worker", 0);
    watch_hold_orphan(&watch, getpid());
    watch_row(&watch, NULL, 1000);
    assert_true(watch_step(&watch, daemon_up, 1000));
    assert_int_equal(watch.state, DECIDE_UP);
    assert_string_equal(watch.reason, "not in PM2's list, process lives");
    struct entry row = {.status = ENTRY_STOPPED, .pm_id = 3};
    watch_row(&watch, &row, 2000);
    (void)watch_step(&watch, daemon_up, 2000);
    assert_int_equal(watch.state, DECIDE_UP);
    assert_string_equal(watch.reason, "off in PM2's list, an orphan of it lives");
    /* One that PM2 started takes its place. */
    row = (struct entry){.status = ENTRY_ONLINE, .pid = getpid()};
    watch_row(&watch, &row, 3000);
    assert_false(watch.orphan);
    row = (struct entry){.status = ENTRY_STOPPED};
    watch_row(&watch, &row, 4000);
    assert_false(watch_step(&watch, daemon_up, 4000));
    assert_true(watch_step(&watch, daemon_up, 4000 + WATCH_DOWN_HOLD_MS));
    assert_string_equal(watch.reason, "stopped");
    watch_deinit(&watch);
}

static void a_number_that_is_somebody_elses_is_no_process(void **state)
{
    (void)state;
    struct watch watch;
    struct watch_facts facts = daemon_up;
    watch_init(&watch, "worker", 0);
    struct entry row = {.status = ENTRY_ONLINE, .pid = getpid()};
    watch_row(&watch, &row, 1000);
    facts.daemon_pid = getppid();
    assert_true(watch_step(&watch, facts, 1000));
    assert_int_equal(watch.state, DECIDE_UP);
    facts.daemon_pid = getpid(); /* not its parent */
    assert_false(watch_step(&watch, facts, 2000));
    assert_true(watch_step(&watch, facts, 2000 + WATCH_DOWN_HOLD_MS));
    assert_string_equal(watch.reason, "ghost: online without a process");
    watch_deinit(&watch);
}

static void use_of_the_processor_is_a_difference(void **state)
{
    (void)state;
    struct watch watch;
    watch_init(&watch, "worker", 0);
    watch_measure(&watch, 1000, 500, 100, 1000);
    assert_true(watch.use.cpu_percent < 0);
    watch_measure(&watch, 1000, 750, 100, 6000); /* 2.5 s of 5 */
    assert_float_equal(watch.use.cpu_percent, 50.0, 0.01);
    watch_measure(&watch, 1000, 10, 100, 11000); /* another process */
    assert_true(watch.use.cpu_percent < 0);
    watch_measure(&watch, -1, 0, 100, 16000);
    assert_int_equal(watch.use.memory_bytes, -1);
    watch_measure(&watch, 1000, 900, 100, 21000); /* nothing to compare with */
    assert_true(watch.use.cpu_percent < 0);
    watch_deinit(&watch);
}

/* ---- the configuration ---- */

static int read_section(const char *text, struct settings **ret, struct err *err)
{
    struct section section;
    section_init_json(&section, text);
    int rc = settings_read(&section.document, "/home/x/.pm2", ret, err);
    section_deinit(&section);
    return rc;
}

static void settings_are_read_with_defaults(void **state)
{
    (void)state;
    struct settings *settings = NULL;
    assert_int_equal(
        read_section("{\"primaries\":[{\"name\":\"w\",\"on\":[\"n1\"],\"memory_bytes\":5,"
                     "\"cpu\":90,\"log_errors\":[\"FATAL\",\"out of (memory|files)\"]}],"
                     "\"backups\":[{\"name\":\"wb\",\"stands_in_for\":\"w\",\"script\":\"a.js\","
                     "\"when_unreachable\":{\"wait\":true},\"settle_ms\":7}]}",
                     &settings, NULL),
        0);
    assert_string_equal(settings->homes[0], "/home/x/.pm2");
    assert_int_equal(settings->primaries[0].memory_bytes, 5);
    assert_int_equal(settings->primaries[0].cpu_percent, 90);
    assert_int_equal(settings->primaries[0].over_ms, 60000);
    assert_int_equal(settings->primaries[0].pattern_count, 2);
    assert_string_equal(settings->primaries[0].patterns[1], "out of (memory|files)");
    assert_int_equal(settings->loop_restarts, 10);
    assert_int_equal(settings->verify_ms, 180000);
    assert_int_equal(settings->daemon_memory_bytes, 500 << 20);
    assert_true(settings_on(&settings->primaries[0].on, "n1"));
    assert_false(settings_on(&settings->primaries[0].on, "n2"));
    const struct settings_backup *backup = settings_backup(settings, "pm2/wb");
    assert_non_null(backup);
    assert_int_equal(backup->start_after_ms, -1);
    assert_int_equal(backup->settle_ms, 7);
    assert_int_equal(backup->kill_timeout_ms, 1600);
    assert_true(settings_on(&backup->on, "n2"));
    settings_destroy(&settings);
}

static void wrong_settings_are_refused(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "{\"homes\":[\"relative\"]}",
        "{\"primaries\":[{}]}",
        "{\"primaries\":[{\"name\":\"p\",\"log_errors\":[\"(\"]}]}",
        "{\"backups\":[{\"name\":\"b\",\"stands_in_for\":\"p\"}]}",
        "{\"backups\":[{\"name\":\"b\",\"script\":\"s\"}]}",
        "{\"backups\":[{\"name\":\"b\",\"script\":\"s\",\"mode\":\"sometimes\"}]}",
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct settings *settings = NULL;
        struct err err = {0};
        assert_int_equal(read_section(texts[i], &settings, &err), ERR_INVALID);
        assert_null(settings);
        assert_non_null(strstr(err.msg, "managers.pm2"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(backup_follows_the_rules),
        cmocka_unit_test(other_modes_ask_nobody),
        cmocka_unit_test(the_kernel_is_believed_before_pm2),
        cmocka_unit_test(stuck_states_and_loops_are_down),
        cmocka_unit_test(down_is_held_back_for_a_moment),
        cmocka_unit_test(an_orphan_is_no_reason_for_a_backup),
        cmocka_unit_test(a_number_that_is_somebody_elses_is_no_process),
        cmocka_unit_test(use_of_the_processor_is_a_difference),
        cmocka_unit_test(settings_are_read_with_defaults),
        cmocka_unit_test(wrong_settings_are_refused),
    };
    return cmocka_run_group_tests_name("pm2_decide", tests, NULL, NULL);
}
