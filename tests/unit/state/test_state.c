#include "tests/unit/state/commands.h"

static int set_up(void **context)
{
    struct state *state = state_create();
    *context = state;
    return state == NULL ? -1 : 0;
}

static int tear_down(void **context)
{
    struct state *state = *context;
    state_destroy(&state);
    return 0;
}

/* ---- roster ---- */

static void a_node_is_its_key(void **context)
{
    struct state *state = *context;
    apply_ok(state, node_put("n1", 11));
    apply_refused(state, node_put("n1", 12), ERR_EXISTS); /* same name, another key */
    apply_refused(state, node_put("n2", 11), ERR_EXISTS); /* same key, another name */
    struct command rekeyed = node_put("n2", 11);
    copy_text(rekeyed.node.public_key, PUBLIC_KEY_SIZE, "a key of its own");
    apply_refused(state, rekeyed, ERR_EXISTS);
    struct command stolen = node_put("n2", 12);
    stolen.node.extra_key_count = 1;
    copy_text(stolen.node.extra_keys[0], PUBLIC_KEY_SIZE,
              state_node_by_name(state, "n1")->is.public_key);
    apply_refused(state, stolen, ERR_EXISTS);
    struct command moved = node_put("n1", 11);
    copy_text(moved.node.address, ADDRESS_SIZE, "tcp://10.0.0.9:7400");
    apply_ok(state, moved);
    assert_string_equal(state_node_by_id(state, 11)->is.address, "tcp://10.0.0.9:7400");
    assert_int_equal(apply(state, moved).outcome, STATE_UNCHANGED);
    moved.node.label_count = 1;
    copy_text(moved.node.labels[0], LABEL_SIZE, "zone=a");
    apply_ok(state, moved);
    copy_text(moved.node.labels[0], LABEL_SIZE, "zone=b");
    apply_ok(state, moved);
    moved.node.extra_key_count = 1;
    copy_text(moved.node.extra_keys[0], PUBLIC_KEY_SIZE, "second-key");
    apply_ok(state, moved);
    assert_string_equal(state_node_by_key(state, "second-key")->is.name, "n1");
    assert_int_equal(apply(state, moved).outcome, STATE_UNCHANGED);
}

static void a_removed_node_is_remembered_until_its_row_is_needed(void **context)
{
    struct state *state = *context;
    char name[NAME_SIZE];
    for (unsigned i = 0; i < NODES_MAX; i++) {
        (void)snprintf(name, sizeof(name), "n%02u", i);
        apply_ok(state, node_put(name, 100 + i));
    }
    apply_refused(state, node_put("late", 1), ERR_FULL);
    apply_ok(state, node_named(COMMAND_NODE_REMOVE, "n07"));
    apply_ok(state, node_named(COMMAND_NODE_REMOVE, "n03"));
    assert_true(state_node_by_name(state, "n07")->removed);
    apply_refused(state, node_named(COMMAND_NODE_DRAIN, "n07"), ERR_NOTFOUND);
    apply_ok(state, node_put("late", 1));
    assert_null(state_node_by_name(state, "n07"));
    assert_true(state_node_by_name(state, "n03")->removed);
    assert_int_equal(state_node_count(state), NODES_MAX);
    apply_ok(state, node_put("n03", 103)); /* and it may come back */
    assert_false(state_node_by_name(state, "n03")->removed);
}

static void a_removed_node_may_come_back_under_another_name(void **context)
{
    struct state *state = *context;
    apply_ok(state, node_put("old", 5));
    apply_ok(state, node_named(COMMAND_NODE_REMOVE, "old"));
    apply_ok(state, node_put("new", 5));
    assert_null(state_node_by_name(state, "old"));
    assert_int_equal(state_node_by_id(state, 5)->removed, false);
}

static void drain_and_role_are_kept_by_a_new_put(void **context)
{
    struct state *state = *context;
    apply_ok(state, node_put("n1", 1));
    apply_ok(state, node_named(COMMAND_NODE_DRAIN, "n1"));
    assert_int_equal(apply(state, node_named(COMMAND_NODE_DRAIN, "n1")).outcome, STATE_UNCHANGED);
    struct command again = node_put("n1", 1);
    copy_text(again.node.address, ADDRESS_SIZE, "tcp://other:1");
    apply_ok(state, again);
    assert_true(state_node_by_name(state, "n1")->draining);
    apply_ok(state, node_named(COMMAND_NODE_UNDRAIN, "n1"));
    assert_false(state_node_by_name(state, "n1")->draining);
    apply_ok(state, node_role("n1", NODE_ROLE_STANDBY));
    assert_int_equal(state_node_by_name(state, "n1")->is.wanted, NODE_ROLE_STANDBY);
}

/* ---- duties ---- */

static void seed_duty(struct state *state)
{
    apply_ok(state, node_put("n1", 1));
    apply_ok(state, node_put("n2", 2));
    apply_ok(state, duty_put("pm2/worker", true, true));
}

static void a_move_names_what_it_replaces(void **context)
{
    struct state *state = *context;
    seed_duty(state);
    apply_refused(state, duty_assign("pm2/worker", 99, "n1", 1, 1), ERR_STALE);
    uint64_t first = apply_ok(state, duty_assign("pm2/worker", 0, "n1", 1, 1)).number;
    assert_int_equal(first, state_index(state));
    apply_refused(state, duty_assign("pm2/worker", 0, "n2", 2, 1), ERR_STALE);
    struct state_effect effect = apply_ok(state, duty_assign("pm2/worker", first, "n2", 2, 1));
    assert_int_equal(effect.replaced, first);
    const struct state_duty *duty = state_duty_by_id(state, "pm2/worker");
    assert_string_equal(duty->assignment.node, "n2");
    assert_int_equal(duty->assignment.number, effect.number);
    assert_int_equal(duty->assignment.term, TERM);
    assert_string_equal(duty->manager, "pm2");
}

static void assignments_that_cannot_be_are_refused(void **context)
{
    struct state *state = *context;
    seed_duty(state);
    apply_refused(state, duty_assign("pm2/none", 0, "n1", 1, 1), ERR_NOTFOUND);
    apply_refused(state, duty_assign("pm2/worker", 0, "n9", 9, 1), ERR_NOTFOUND);
    apply_refused(state, duty_assign("pm2/worker", 0, "n1", 2, 1), ERR_NOTFOUND);
    apply_ok(state, node_named(COMMAND_NODE_DRAIN, "n1"));
    apply_refused(state, duty_assign("pm2/worker", 0, "n1", 1, 1), ERR_DENIED);
    apply_ok(state, node_role("n2", NODE_ROLE_WITNESS));
    apply_refused(state, duty_assign("pm2/worker", 0, "n2", 2, 1), ERR_DENIED);
    apply_ok(state, node_named(COMMAND_NODE_UNDRAIN, "n1"));
    struct command endless = duty_assign("pm2/worker", 0, "n1", 1, 1);
    endless.assign.grant_ttl_ms = 0;
    apply_refused(state, endless, ERR_INVALID);
    apply_ok(state, duty_put("pm2/worker", true, false));
    apply_refused(state, duty_assign("pm2/worker", 0, "n1", 1, 1), ERR_DENIED);
    apply_refused(state, duty_put("noslash", true, true), ERR_INVALID);
    apply_refused(state, duty_put("/x", true, true), ERR_INVALID);
    apply_refused(state, duty_put("x/", true, true), ERR_INVALID);
}

static void a_restarted_node_gets_a_new_assignment_and_the_longer_limit(void **context)
{
    struct state *state = *context;
    seed_duty(state);
    uint64_t first = apply_ok(state, duty_assign("pm2/worker", 0, "n1", 1, 5)).number;
    apply_refused(state, duty_assign("pm2/worker", first, "n1", 1, 5), ERR_EXISTS);
    apply_refused(state, duty_assign("pm2/worker", first, "n1", 1, 4), ERR_STALE);
    struct command shorter = duty_assign("pm2/worker", first, "n1", 1, 6);
    shorter.assign.grant_ttl_ms = 1000;
    uint64_t second = apply_ok(state, shorter).number;
    /* the guards of incarnation 5 may still run on a grant of 5 s */
    assert_int_equal(state_duty_by_id(state, "pm2/worker")->assignment.grant_ttl_ms, 5000);
    apply_ok(state, duty_release("pm2/worker", second, RELEASE_BY_HOLDER));
    shorter.assign.replaces = second;
    apply_ok(state, shorter);
    assert_int_equal(state_duty_by_id(state, "pm2/worker")->assignment.grant_ttl_ms, 1000);
}

static void a_release_names_its_assignment(void **context)
{
    struct state *state = *context;
    seed_duty(state);
    apply_refused(state, duty_release("pm2/worker", 0, RELEASE_BY_HOLDER), ERR_STALE);
    uint64_t first = apply_ok(state, duty_assign("pm2/worker", 0, "n1", 1, 1)).number;
    uint64_t second = apply_ok(state, duty_assign("pm2/worker", first, "n1", 1, 2)).number;
    apply_refused(state, duty_release("pm2/worker", first, RELEASE_BY_HOLDER), ERR_STALE);
    assert_true(state_duty_held(state_duty_by_id(state, "pm2/worker")));
    apply_ok(state, duty_release("pm2/worker", second, RELEASE_BY_OBITUARY));
    const struct state_duty *duty = state_duty_by_id(state, "pm2/worker");
    assert_false(state_duty_held(duty));
    assert_int_equal(duty->proof, RELEASE_BY_OBITUARY);
    assert_int_equal(apply(state, duty_release("pm2/worker", second, RELEASE_BY_HOLDER)).outcome,
                     STATE_UNCHANGED);
    apply_ok(state, duty_assign("pm2/worker", second, "n1", 1, 2));
    assert_true(state_duty_held(state_duty_by_id(state, "pm2/worker")));
}

static void a_held_duty_is_neither_forgotten_nor_shared(void **context)
{
    struct state *state = *context;
    seed_duty(state);
    uint64_t number = apply_ok(state, duty_assign("pm2/worker", 0, "n1", 1, 1)).number;
    apply_refused(state, duty_remove("pm2/worker"), ERR_UNSAFE);
    apply_refused(state, duty_put("pm2/worker", false, true), ERR_UNSAFE);
    apply_ok(state, duty_release("pm2/worker", number, RELEASE_BY_HOLDER));
    apply_ok(state, duty_put("pm2/worker", false, true));
    apply_ok(state, duty_remove("pm2/worker"));
    assert_int_equal(state_duty_count(state), 0);
    apply_refused(state, duty_remove("pm2/worker"), ERR_NOTFOUND);
}

static void duties_are_bounded_and_sorted(void **context)
{
    struct state *state = *context;
    char id[DUTY_ID_SIZE];
    for (unsigned i = 0; i < DUTIES_MAX; i++) {
        (void)snprintf(id, sizeof(id), "m/%u", (i * 7919u) % DUTIES_MAX);
        apply_ok(state, duty_put(id, true, true));
    }
    apply_refused(state, duty_put("m/more", true, true), ERR_FULL);
    for (size_t i = 1; i < state_duty_count(state); i++) {
        assert_true(strcmp(state_duty_at(state, i - 1)->is.id, state_duty_at(state, i)->is.id) < 0);
    }
    apply_ok(state, duty_remove("m/500"));
    assert_null(state_duty_by_id(state, "m/500"));
    assert_non_null(state_duty_by_id(state, "m/501"));
    assert_null(state_duty_at(state, DUTIES_MAX - 1));
    apply_ok(state, duty_put("m/more", true, true));
}

/* ---- settings, managers, rings ---- */

static void settings_are_put_and_removed(void **context)
{
    struct state *state = *context;
    apply_ok(state, setting_put("b", "2"));
    apply_ok(state, setting_put("a", "1"));
    assert_string_equal(state_setting(state, "a"), "1");
    assert_int_equal(apply(state, setting_put("a", "1")).outcome, STATE_UNCHANGED);
    apply_ok(state, setting_put("a", "3"));
    assert_string_equal(state_setting(state, "a"), "3");
    apply_ok(state, setting_put("a", NULL));
    assert_null(state_setting(state, "a"));
    apply_refused(state, setting_put("a", NULL), ERR_NOTFOUND);
    char key[SETTING_KEY_SIZE];
    for (unsigned i = 1; i < STATE_SETTINGS_MAX; i++) {
        (void)snprintf(key, sizeof(key), "k%u", i);
        apply_ok(state, setting_put(key, "v"));
    }
    apply_refused(state, setting_put("one-more", "v"), ERR_FULL);
}

static void pause_and_mode_live_in_one_row(void **context)
{
    struct state *state = *context;
    struct command pause = manager_change(COMMAND_MANAGER_PAUSE, "pm2");
    pause.manager.until_wall_ms = 2000;
    apply_ok(state, pause);
    assert_true(state_manager_paused(state, "pm2", 1999));
    assert_false(state_manager_paused(state, "pm2", 2000));
    struct command mode = manager_change(COMMAND_MANAGER_MODE, "pm2");
    mode.manager.mode = MANAGER_MODE_SHADOW;
    apply_ok(state, mode);
    apply_ok(state, manager_change(COMMAND_MANAGER_RESUME, "pm2"));
    assert_false(state_manager_paused(state, "pm2", 0));
    assert_int_equal(state_manager_by_name(state, "pm2")->mode, MANAGER_MODE_SHADOW);
    mode.manager.mode = MANAGER_MODE_UNSET;
    apply_ok(state, mode);
    assert_int_equal(state_manager_count(state), 0);
    pause.manager.until_wall_ms = 0;
    apply_refused(state, pause, ERR_INVALID);
    assert_int_equal(apply(state, manager_change(COMMAND_MANAGER_RESUME, "git")).outcome,
                     STATE_UNCHANGED);
}

static void history_has_each_term_once_and_the_newest_first(void **context)
{
    struct state *state = *context;
    for (uint64_t term = 1; term <= STATE_HISTORY_MAX + 10; term++) {
        apply_ok(state, leader_record(term * 2, "n1"));
    }
    apply_refused(state, leader_record(UINT64_C(2) * (STATE_HISTORY_MAX + 10), "n2"), ERR_EXISTS);
    apply_refused(state, leader_record(3, "n2"), ERR_STALE);
    assert_int_equal(state_history_count(state), STATE_HISTORY_MAX);
    assert_int_equal(state_history_at(state, 0)->is.term, 2 * (STATE_HISTORY_MAX + 10));
    assert_int_equal(state_history_at(state, STATE_HISTORY_MAX - 1)->is.term, 2 * 11);
    assert_null(state_history_at(state, STATE_HISTORY_MAX));
}

static void every_command_leaves_an_audit_row(void **context)
{
    struct state *state = *context;
    apply_ok(state, node_put("n1", 1));
    apply_refused(state, node_named(COMMAND_NODE_DRAIN, "n2"), ERR_NOTFOUND);
    const struct state_audit *row = state_audit_at(state, 0);
    assert_int_equal(row->status, ERR_NOTFOUND);
    assert_string_equal(row->target, "n2");
    assert_string_equal(row->who, "anna");
    assert_string_equal(row->why, "because the test says so");
    assert_int_equal(row->type, COMMAND_NODE_DRAIN);
    assert_int_equal(row->term, TERM);
    assert_string_equal(command_reason_name(row->reason), "operator");
    assert_int_equal(state_audit_at(state, 1)->status, 0);
    for (int i = 0; i < STATE_AUDIT_MAX; i++) {
        apply_ok(state, command_of(COMMAND_AUDIT_NOTE));
    }
    assert_int_equal(state_audit_count(state), STATE_AUDIT_MAX);
    assert_int_equal(state_audit_at(state, STATE_AUDIT_MAX - 1)->type, COMMAND_AUDIT_NOTE);
}

/* ---- repeats and versions ---- */

static struct state_effect numbered(struct state *state, uint64_t origin, uint64_t incarnation,
                                    uint64_t sequence)
{
    struct command command = command_of(COMMAND_AUDIT_NOTE);
    command.origin = origin;
    command.incarnation = incarnation;
    command.sequence = sequence;
    return apply(state, command);
}

static void a_repeat_does_nothing(void **context)
{
    struct state *state = *context;
    const struct {
        uint64_t origin, incarnation, sequence;
        enum state_outcome expected;
    } table[] = {
        {1, 1, 1, STATE_APPLIED},   {1, 1, 1, STATE_REPEATED},
        {1, 1, 3, STATE_APPLIED},   {1, 1, 2, STATE_APPLIED}, /* came late, but is new */
        {1, 1, 2, STATE_REPEATED},  {2, 1, 2, STATE_APPLIED},
        {1, 1, 67, STATE_APPLIED},  {1, 1, 3, STATE_REPEATED}, /* 64 behind: in the window */
        {1, 1, 2, STATE_REFUSED}, /* behind the window: never applied a second time */
        {1, 1, 66, STATE_APPLIED},  {1, 1, 66, STATE_REPEATED},
        {1, 1, 900, STATE_APPLIED}, {1, 1, 836, STATE_APPLIED},
        {1, 1, 835, STATE_REFUSED}, {1, 2, 1, STATE_APPLIED}, /* restarted */
        {1, 1, 901, STATE_REFUSED}, {1, 2, 1, STATE_REPEATED},
        {1, 2, 0, STATE_REFUSED},   {0, 0, 0, STATE_APPLIED},
        {0, 0, 0, STATE_APPLIED},
    };
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        size_t rows = state_audit_count(state);
        struct state_effect effect =
            numbered(state, table[i].origin, table[i].incarnation, table[i].sequence);
        if (effect.outcome != table[i].expected) {
            fail_msg("row %zu: outcome %d", i, (int)effect.outcome);
        }
        assert_int_equal(state_audit_count(state) - rows,
                         table[i].expected == STATE_REPEATED ? 0 : 1);
    }
}

static void the_origin_that_was_silent_longest_is_forgotten(void **context)
{
    struct state *state = *context;
    for (uint64_t origin = 1; origin <= STATE_ORIGINS_MAX; origin++) {
        (void)numbered(state, origin, 1, 1);
    }
    (void)numbered(state, 1, 1, 2);
    (void)numbered(state, 9999, 1, 1); /* pushes out origin 2 */
    assert_int_equal(numbered(state, 1, 1, 2).outcome, STATE_REPEATED);
    assert_int_equal(numbered(state, 3, 1, 1).outcome, STATE_REPEATED);
    assert_int_equal(numbered(state, 2, 1, 1).outcome, STATE_APPLIED);
}

static void what_is_unknown_is_skipped_and_counted(void **context)
{
    struct state *state = *context;
    apply_ok(state, node_put("n1", 1));
    const uint8_t newer[] = {0x92, COMMAND_VERSION + 1, 0x01};
    const uint8_t noise[] = {0xc1, 0x00};
    struct state_effect effect;
    assert_int_equal(state_apply(state, 10, 1, newer, sizeof(newer), &effect), 0);
    assert_int_equal(effect.outcome, STATE_SKIPPED);
    assert_int_equal(effect.status, ERR_UNSUPPORTED);
    assert_int_equal(state_apply(state, 11, 1, noise, sizeof(noise), &effect), 0);
    assert_int_equal(effect.status, ERR_PROTO);
    struct state_counters counters;
    state_counters(state, &counters);
    assert_int_equal(counters.unsupported, 1);
    assert_int_equal(counters.malformed, 1);
    assert_int_equal(state_index(state), 11);
    assert_int_equal(state_apply(state, 11, 1, noise, sizeof(noise), &effect), ERR_STALE);
    assert_int_equal(state_audit_count(state), 1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_node_is_its_key),
        TEST(a_removed_node_is_remembered_until_its_row_is_needed),
        TEST(a_removed_node_may_come_back_under_another_name),
        TEST(drain_and_role_are_kept_by_a_new_put),
        TEST(a_move_names_what_it_replaces),
        TEST(assignments_that_cannot_be_are_refused),
        TEST(a_restarted_node_gets_a_new_assignment_and_the_longer_limit),
        TEST(a_release_names_its_assignment),
        TEST(a_held_duty_is_neither_forgotten_nor_shared),
        TEST(duties_are_bounded_and_sorted),
        TEST(settings_are_put_and_removed),
        TEST(pause_and_mode_live_in_one_row),
        TEST(history_has_each_term_once_and_the_newest_first),
        TEST(every_command_leaves_an_audit_row),
        TEST(a_repeat_does_nothing),
        TEST(the_origin_that_was_silent_longest_is_forgotten),
        TEST(what_is_unknown_is_skipped_and_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
