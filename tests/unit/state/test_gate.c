/* What holds managers still, and maintenance as a setting of the state. */
#include "consensus/gate.h"

#include "tests/unit/state/commands.h"

#define NOW_MS INT64_C(1700000000000)

static struct state *new_state(void)
{
    struct state *state = state_create();
    assert_non_null(state);
    return state;
}

static struct command begin(int64_t until_ms, const char *who, const char *why)
{
    struct maintenance maintenance = {.until_wall_ms = until_ms};
    struct command command;
    copy_text(maintenance.who, sizeof(maintenance.who), who);
    copy_text(maintenance.why, sizeof(maintenance.why), why);
    maintenance_begin(&maintenance, &command);
    copy_text(command.who, sizeof(command.who), who);
    return command;
}

static void maintenance_is_told_back(void **unused)
{
    (void)unused;
    struct state *state = new_state();
    struct maintenance seen;
    assert_false(maintenance_of(state, &seen));
    (void)apply_ok(state, begin(NOW_MS, "anna", "new kernel on all hosts"));
    assert_true(maintenance_of(state, &seen));
    assert_int_equal(seen.until_wall_ms, NOW_MS);
    assert_string_equal(seen.who, "anna");
    assert_string_equal(seen.why, "new kernel on all hosts");
    const struct state_audit *audit = state_audit_at(state, 0);
    assert_int_equal(audit->reason, REASON_MAINTENANCE);
    assert_string_equal(audit->why, "maintenance on: new kernel on all hosts");
    (void)apply_ok(state, begin(NOW_MS + 1, "bert", ""));
    assert_true(maintenance_of(state, &seen));
    assert_int_equal(seen.until_wall_ms, NOW_MS + 1);
    assert_string_equal(seen.who, "bert");
    assert_string_equal(seen.why, "");
    struct command command;
    maintenance_end("its time is over", &command);
    (void)apply_ok(state, command);
    assert_false(maintenance_of(state, &seen));
    state_destroy(&state);
}

static void the_row_rules_and_a_trusted_clock_ends_it(void **unused)
{
    (void)unused;
    struct state *state = new_state();
    assert_false(maintenance_is_over(state, NOW_MS, true));
    (void)apply_ok(state, begin(NOW_MS, "anna", ""));
    assert_false(maintenance_is_over(state, NOW_MS - 1, true));
    assert_true(maintenance_is_over(state, NOW_MS, true));
    assert_false(maintenance_is_over(state, NOW_MS + 86400000, false));
    assert_int_equal(gate_of(state, "pm2", NOW_MS + 86400000), GATE_MAINTENANCE);
    /* A row that nobody can read is maintenance that ends at once. */
    (void)apply_ok(state, setting_put(MAINTENANCE_SETTING, "soon"));
    assert_int_equal(gate_of(state, "pm2", NOW_MS), GATE_MAINTENANCE);
    assert_false(maintenance_is_over(state, NOW_MS, false));
    assert_true(maintenance_is_over(state, NOW_MS, true));
    state_destroy(&state);
}

static void each_hold_has_its_name(void **unused)
{
    (void)unused;
    struct state *state = new_state();
    assert_int_equal(gate_of(state, "pm2", NOW_MS), GATE_OPEN);
    struct command mode = manager_change(COMMAND_MANAGER_MODE, "pm2");
    mode.manager.mode = MANAGER_MODE_SHADOW;
    (void)apply_ok(state, mode);
    assert_int_equal(gate_of(state, "pm2", NOW_MS), GATE_SHADOW);
    assert_int_equal(gate_of(state, "git", NOW_MS), GATE_OPEN);
    struct command pause = manager_change(COMMAND_MANAGER_PAUSE, "pm2");
    pause.manager.until_wall_ms = NOW_MS + 1;
    (void)apply_ok(state, pause);
    assert_int_equal(gate_of(state, "pm2", NOW_MS), GATE_PAUSED);
    assert_int_equal(gate_of(state, "pm2", NOW_MS + 1), GATE_SHADOW);
    (void)apply_ok(state, begin(NOW_MS, "anna", ""));
    assert_int_equal(gate_of(state, "pm2", NOW_MS), GATE_MAINTENANCE);
    assert_int_equal(gate_of(state, "git", NOW_MS), GATE_MAINTENANCE);
    (void)apply_ok(state, setting_put("managers.stopped", "yes"));
    assert_int_equal(gate_of(state, "git", NOW_MS), GATE_STOPPED);
    assert_string_equal(gate_name(GATE_MAINTENANCE), "maintenance");
    mode.manager.mode = MANAGER_MODE_ARMED;
    (void)apply_ok(state, mode);
    (void)apply_ok(state, setting_put("managers.stopped", NULL));
    struct command end;
    maintenance_end("", &end);
    (void)apply_ok(state, end);
    assert_int_equal(gate_of(state, "pm2", NOW_MS + 1), GATE_OPEN);
    state_destroy(&state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(maintenance_is_told_back),
        cmocka_unit_test(the_row_rules_and_a_trusted_clock_ends_it),
        cmocka_unit_test(each_hold_has_its_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
