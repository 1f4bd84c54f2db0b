#include "tests/unit/state/commands_work.h"

#include <stdlib.h>

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

static const struct state_schedule *schedule(const struct state *state)
{
    return state_schedule_by_id(state, "run/a");
}

/* run/a with a run of the slot `slot_s` under way. */
static struct run_key begin(struct state *state, int64_t slot_s)
{
    if (schedule(state) == NULL) {
        apply_ok(state, node_put("n1", 1));
        apply_ok(state, node_put("n2", 2));
        apply_ok(state, schedule_put("run/a", 0, slot_s - 60));
    }
    struct command decide =
        slots_decide("run/a", schedule(state)->revision, schedule(state)->decided_s, slot_s);
    add_slot(&decide, slot_s, RUN_UNDER_WAY);
    apply_ok(state, decide);
    return run_key_of("run/a", slot_s, 0);
}

/* ---- the duty of an attempt ---- */

static void an_attempt_is_assigned_once(void **context)
{
    struct state *state = *context;
    struct run_key key = begin(state, 6000);
    uint64_t assignment = assign_run(state, key, 1);
    const char *duty = "run/a@19700101T014000Z#1";
    assert_non_null(state_duty_by_id(state, duty));
    apply_refused(state, duty_assign(duty, assignment, "n2", 2, 1), ERR_EXISTS);
    apply_refused(state, duty_assign(duty, assignment, "n1", 1, 2), ERR_EXISTS);
    apply_refused(state, duty_assign(duty, 0, "n2", 2, 1), ERR_EXISTS);
    apply_ok(state, duty_release(duty, assignment, RELEASE_BY_OBITUARY));
    apply_refused(state, duty_assign(duty, assignment, "n2", 2, 1), ERR_EXISTS);
    apply_refused(state, duty_assign(duty, 0, "n2", 2, 1), ERR_EXISTS);
}

static void the_duty_of_a_run_is_its_own(void **context)
{
    struct state *state = *context;
    (void)begin(state, 6000);
    const char *duty = "run/a@19700101T014000Z#1";
    apply_refused(state, duty_remove(duty), ERR_UNSAFE);
    apply_refused(state, duty_put(duty, false, true), ERR_DENIED);
    apply_refused(state, duty_put(duty, true, false), ERR_DENIED);
    assert_true(state_duty_by_id(state, duty)->is.wanted);
    apply_ok(state, run_end(run_key_of("run/a", 6000, 0), 1, 0, RUN_MISSED));
    apply_ok(state, duty_put(duty, true, true)); /* now it is any duty */
    apply_ok(state, duty_remove(duty));
}

static void once_is_not_changed_by_a_later_put(void **context)
{
    struct state *state = *context;
    apply_ok(state, node_put("n1", 1));
    struct command once = duty_put("m/a", true, true);
    once.duty.once = true;
    apply_ok(state, once);
    apply_ok(state, duty_put("m/a", true, false));
    assert_true(state_duty_by_id(state, "m/a")->is.once);
    apply_ok(state, duty_put("m/a", true, true));
    uint64_t assignment = apply_ok(state, duty_assign("m/a", 0, "n1", 1, 1)).number;
    apply_ok(state, duty_release("m/a", assignment, RELEASE_BY_HOLDER));
    apply_refused(state, duty_assign("m/a", assignment, "n1", 1, 1), ERR_EXISTS);
}

/* ---- ends ---- */

static void a_run_ends_once(void **context)
{
    struct state *state = *context;
    struct run_key key = begin(state, 6000);
    uint64_t assignment = assign_run(state, key, 1);
    struct state_effect effect = apply_ok(state, run_end(key, 1, assignment, RUN_RAN));
    assert_string_equal(effect.target, "run/a@19700101T014000Z");
    assert_int_equal(effect.number, assignment);
    apply_refused(state, run_end(key, 1, assignment, RUN_RAN), ERR_NOTFOUND);
    assert_null(duty_of_run(state, key, 1));
    assert_int_equal(state_run_count(state), 0);
    assert_int_equal(state_ended_count(state), 1);
    const struct state_run *run = state_run_by_key(state, &key);
    assert_int_equal(run->outcome, RUN_RAN);
    assert_int_equal(run->reason, RUN_EXIT);
    assert_int_equal(run->exit_status, 0);
    assert_int_equal(run->raft_id, 1);
    assert_int_equal(run->assignment, assignment);
    assert_int_equal(run->attempt, 1);
    assert_int_equal(run->started_wall_ms, 1700000001000);
    assert_int_equal(run->ended_wall_ms, 1700000002000);
    assert_int_equal(schedule(state)->counts.ran, 1);
    assert_int_equal(schedule(state)->under_way, 0);
    assert_int_equal(schedule(state)->last_slot_s, 6000);
    assert_int_equal(schedule(state)->last_outcome, RUN_RAN);
    assert_int_equal(schedule(state)->last_ran_wall_ms, 1700000002000);
}

static void an_end_names_its_attempt_and_assignment(void **context)
{
    struct state *state = *context;
    struct run_key key = begin(state, 6000);
    apply_refused(state, run_end(run_key_of("run/a", 6060, 0), 1, 0, RUN_FAILED), ERR_NOTFOUND);
    apply_refused(state, run_end(run_key_of("run/b", 6000, 0), 1, 0, RUN_FAILED), ERR_NOTFOUND);
    apply_refused(state, run_end(run_key_of("run/a", 0, 6000), 1, 0, RUN_FAILED), ERR_NOTFOUND);
    apply_refused(state, run_end(key, 2, 0, RUN_FAILED), ERR_STALE);
    apply_refused(state, run_end(key, 0, 0, RUN_FAILED), ERR_STALE);
    apply_refused(state, run_end(key, 1, 77, RUN_FAILED), ERR_STALE);
    apply_refused(state, run_end(key, 1, 0, RUN_RAN), ERR_INVALID); /* nobody ran it */
    uint64_t assignment = assign_run(state, key, 1);
    apply_refused(state, run_end(key, 1, 0, RUN_MISSED), ERR_STALE);
    apply_refused(state, run_end(key, 1, assignment + 1, RUN_FAILED), ERR_STALE);
    struct command unproven = run_end(key, 1, assignment, RUN_UNKNOWN);
    unproven.run_end.proof = 0;
    apply_refused(state, unproven, ERR_UNSAFE);
    assert_int_equal(state_run_count(state), 1);
    assert_true(state_duty_held(duty_of_run(state, key, 1)));
    /* released before, it needs no other proof */
    apply_ok(state, duty_release("run/a@19700101T014000Z#1", assignment, RELEASE_BY_EXPIRY));
    apply_ok(state, unproven);
    assert_int_equal(state_run_by_key(state, &key)->outcome, RUN_UNKNOWN);
}

static void outcomes_are_counted(void **context)
{
    struct state *state = *context;
    const struct {
        enum run_outcome outcome;
        uint32_t failures; /* in a row, after it */
    } table[] = {{RUN_FAILED, 1}, {RUN_MISSED, 2}, {RUN_UNKNOWN, 3}, {RUN_SKIPPED, 3},
                 {RUN_RAN, 0},    {RUN_FAILED, 1}, {RUN_SKIPPED, 1}};
    int64_t slot_s = 6000;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        struct run_key key = begin(state, slot_s);
        uint64_t assignment = assign_run(state, key, 1);
        apply_ok(state, run_end(key, 1, assignment, table[i].outcome));
        assert_int_equal(schedule(state)->failures, table[i].failures);
        assert_int_equal(schedule(state)->last_outcome, table[i].outcome);
        assert_int_equal(schedule(state)->last_slot_s, slot_s);
        slot_s += 60;
    }
    const struct run_counts *counts = &schedule(state)->counts;
    assert_int_equal(counts->ran, 1);
    assert_int_equal(counts->failed, 2);
    assert_int_equal(counts->missed, 1);
    assert_int_equal(counts->unknown, 1);
    assert_int_equal(counts->skipped, 2);
    /* an older slot that ends later is not the newest */
    struct run_key old = begin(state, 9000);
    struct run_key young = begin(state, 9060);
    assert_int_equal(schedule(state)->under_way, 2);
    apply_ok(state, run_end(young, 1, 0, RUN_MISSED));
    apply_ok(state, run_end(old, 1, 0, RUN_SKIPPED));
    assert_int_equal(schedule(state)->last_slot_s, 9060);
    assert_int_equal(schedule(state)->last_outcome, RUN_MISSED);
}

/* Thousands of runs leave the ring to what has no other record. */
static void the_audit_keeps_what_runs_did_not_do(void **context)
{
    struct state *state = *context;
    struct run_key key = begin(state, 6000);
    size_t before = state_audit_count(state);
    assert_string_equal(state_audit_at(state, 0)->target, "run/a");
    assert_int_equal(state_audit_at(state, 0)->type, COMMAND_SCHEDULE_PUT);
    const char *duty = "run/a@19700101T014000Z#1";
    uint64_t assignment = assign_run(state, key, 1);
    apply_ok(state, duty_release(duty, assignment, RELEASE_BY_HOLDER));
    assert_int_equal(state_audit_count(state), before);
    apply_refused(state, duty_assign(duty, 0, "n1", 1, 1), ERR_EXISTS);
    apply_refused(state, run_end(key, 2, assignment, RUN_RAN), ERR_STALE);
    apply_refused(state, slots_decide("run/a", 0, 0, 1), ERR_STALE);
    assert_int_equal(state_audit_count(state), before + 3);
    apply_ok(state, run_end(key, 1, assignment, RUN_RAN));
    assert_int_equal(state_audit_count(state), before + 3);
    apply_ok(state, run_start("run/a"));
    apply_ok(state, duty_put("pm2/a", true, true));
    apply_ok(state, duty_assign("pm2/a", 0, "n1", 1, 1));
    assert_int_equal(state_audit_count(state), before + 6);
}

static void a_manual_run_is_told_apart(void **context)
{
    struct state *state = *context;
    apply_refused(state, run_start("run/a"), ERR_NOTFOUND);
    apply_ok(state, node_put("n1", 1));
    apply_ok(state, schedule_put("run/a", 0, 1000));
    struct state_effect effect = apply_ok(state, run_start("run/a"));
    assert_string_equal(effect.target, "run/a");
    assert_int_equal(effect.number, effect.index);
    struct run_key key = run_key_of("run/a", 0, effect.index);
    const struct state_run *run = state_run_by_key(state, &key);
    assert_int_equal(run->reason, RUN_MANUAL);
    assert_int_equal(run->outcome, RUN_UNDER_WAY);
    assert_int_equal(schedule(state)->under_way, 1);
    apply_ok(state, run_start("run/a")); /* as often as asked */
    assert_int_equal(state_run_count(state), 2);
    uint64_t assignment = assign_run(state, key, 1);
    apply_ok(state, run_end(key, 1, assignment, RUN_RAN));
    assert_int_equal(schedule(state)->counts.ran, 0); /* slots alone */
    assert_int_equal(schedule(state)->last_slot_s, 0);
    assert_int_equal(schedule(state)->last_ran_wall_ms, 1700000002000);
    assert_int_equal(state_run_by_key(state, &key)->outcome, RUN_RAN);
    assert_int_equal(schedule(state)->decided_s, 1000);
}

/* ---- attempts ---- */

static struct command again(struct run_key key, uint32_t attempt, uint64_t assignment,
                            enum run_outcome outcome)
{
    struct command command = run_end(key, attempt, assignment, outcome);
    command.run_end.again_wall_ms = 1700000099000;
    return command;
}

static void a_retry_is_the_next_attempt(void **context)
{
    struct state *state = *context;
    struct run_key key = begin(state, 6000);
    uint64_t first = assign_run(state, key, 1);
    apply_ok(state, again(key, 1, first, RUN_FAILED));
    assert_null(duty_of_run(state, key, 1));
    const struct state_duty *duty = duty_of_run(state, key, 2);
    assert_true(duty->is.once && duty->is.wanted && duty->is.exclusive);
    assert_int_equal(duty->is.priority, 7);
    assert_int_equal(duty->assignment.number, 0);
    const struct state_run *run = state_run_by_key(state, &key);
    assert_int_equal(run->outcome, RUN_UNDER_WAY);
    assert_int_equal(run->attempt, 2);
    assert_int_equal(run->exit_status, 1);
    assert_int_equal(run->raft_id, 1);
    assert_int_equal(run->assignment, first);
    assert_int_equal(run->again_wall_ms, 1700000099000);
    assert_int_equal(run->ended_wall_ms, 1700000002000);
    assert_int_equal(schedule(state)->counts.failed, 0); /* it goes on */
    assert_int_equal(schedule(state)->under_way, 1);
    apply_refused(state, again(key, 1, first, RUN_FAILED), ERR_STALE); /* said again */
    apply_ok(state, run_end(key, 2, 0, RUN_MISSED));
    run = state_run_by_key(state, &key);
    assert_int_equal(run->attempt, 2);
    assert_int_equal(run->raft_id, 0); /* nobody had the last attempt */
    assert_int_equal(run->again_wall_ms, 0);
    assert_int_equal(schedule(state)->counts.missed, 1);
    assert_int_equal(state_duty_count(state), 0);
}

static void attempts_that_never_started_are_counted(void **context)
{
    struct state *state = *context;
    struct run_key key = begin(state, 6000);
    static const enum run_reason reasons[] = {RUN_NOT_STARTED, RUN_EXIT, RUN_NOT_STARTED};
    static const uint32_t expected[] = {1, 1, 2};
    for (uint32_t i = 0; i < 3; i++) {
        struct command command = again(key, i + 1, 0, RUN_FAILED);
        command.run_end.reason = reasons[i];
        apply_ok(state, command);
        assert_int_equal(state_run_by_key(state, &key)->unstarted, expected[i]);
    }
    struct state *copy = state_create();
    uint8_t *bytes;
    size_t length;
    assert_non_null(copy);
    assert_int_equal(state_snapshot(state, &bytes, &length), 0);
    assert_int_equal(state_restore(copy, state_index(state), bytes, length, NULL), 0);
    assert_int_equal(state_run_by_key(copy, &key)->unstarted, 2);
    free(bytes);
    state_destroy(&copy);
}

static void not_every_end_is_retried(void **context)
{
    struct state *state = *context;
    struct run_key key = begin(state, 6000);
    uint64_t assignment = assign_run(state, key, 1);
    apply_refused(state, again(key, 1, assignment, RUN_RAN), ERR_INVALID);
    apply_refused(state, again(key, 1, assignment, RUN_SKIPPED), ERR_INVALID);
    apply_ok(state, duty_put("run/a@19700101T014000Z#2", true, true));
    apply_refused(state, again(key, 1, assignment, RUN_FAILED), ERR_EXISTS);
    apply_ok(state, duty_remove("run/a@19700101T014000Z#2"));
    apply_ok(state, run_cancel(key));
    apply_refused(state, again(key, 1, assignment, RUN_FAILED), ERR_DENIED);
    assert_int_equal(state_run_by_key(state, &key)->attempt, 1);
    apply_ok(state, run_end(key, 1, assignment, RUN_FAILED));
}

static void attempts_are_bounded(void **context)
{
    struct state *state = *context;
    struct run_key key = begin(state, 6000);
    for (uint32_t attempt = 1; attempt < RUN_ATTEMPTS_MAX; attempt++) {
        apply_ok(state, again(key, attempt, 0, RUN_MISSED));
    }
    apply_refused(state, again(key, RUN_ATTEMPTS_MAX, 0, RUN_MISSED), ERR_FULL);
    apply_ok(state, run_end(key, RUN_ATTEMPTS_MAX, 0, RUN_MISSED));
}

static void a_cancelled_run_is_not_wanted(void **context)
{
    struct state *state = *context;
    struct run_key key = begin(state, 6000);
    apply_refused(state, run_cancel(run_key_of("run/a", 6001, 0)), ERR_NOTFOUND);
    apply_ok(state, run_cancel(key));
    assert_int_equal(apply(state, run_cancel(key)).outcome, STATE_UNCHANGED);
    const struct state_run *run = state_run_by_key(state, &key);
    assert_true(run->cancelled);
    assert_int_equal(run->cancel, RUN_CANCELLED);
    assert_int_equal(run->outcome, RUN_UNDER_WAY);
    assert_false(duty_of_run(state, key, 1)->is.wanted);
    apply_refused(state, duty_assign("run/a@19700101T014000Z#1", 0, "n1", 1, 1), ERR_DENIED);
    apply_ok(state, run_end(key, 1, 0, RUN_FAILED));
    assert_true(state_run_by_key(state, &key)->cancelled);
    apply_refused(state, run_cancel(key), ERR_NOTFOUND);
}

static void runs_under_way_are_sorted(void **context)
{
    struct state *state = *context;
    apply_ok(state, schedule_put("run/b", 0, 1000));
    apply_ok(state, schedule_put("run/a", 0, 1000));
    apply_ok(state, run_start("run/b"));
    apply_ok(state, run_start("run/a"));
    for (int i = 1; i < 20; i++) {
        const char *id = i % 3 == 0 ? "run/b" : "run/a";
        const struct state_schedule *row = state_schedule_by_id(state, id);
        struct command decide = slots_decide(id, row->revision, row->decided_s, 1000 + i);
        add_slot(&decide, 1000 + i, RUN_UNDER_WAY);
        apply_ok(state, decide);
    }
    assert_int_equal(state_run_count(state), 21);
    assert_null(state_run_at(state, 21));
    for (size_t i = 0; i < 21; i++) {
        const struct state_run *run = state_run_at(state, i);
        assert_ptr_equal(state_run_by_key(state, &run->key), run);
        const struct state_run *before = i == 0 ? NULL : state_run_at(state, i - 1);
        if (before != NULL && strcmp(before->key.schedule, run->key.schedule) == 0) {
            assert_true(before->key.slot_s < run->key.slot_s ||
                        before->key.number < run->key.number);
        } else if (before != NULL) {
            assert_true(strcmp(before->key.schedule, run->key.schedule) < 0);
        }
    }
    assert_int_equal(state_schedule_by_id(state, "run/b")->under_way, 7);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(an_attempt_is_assigned_once),
        TEST(the_duty_of_a_run_is_its_own),
        TEST(once_is_not_changed_by_a_later_put),
        TEST(a_run_ends_once),
        TEST(an_end_names_its_attempt_and_assignment),
        TEST(outcomes_are_counted),
        TEST(the_audit_keeps_what_runs_did_not_do),
        TEST(a_manual_run_is_told_apart),
        TEST(a_retry_is_the_next_attempt),
        TEST(attempts_that_never_started_are_counted),
        TEST(not_every_end_is_retried),
        TEST(attempts_are_bounded),
        TEST(a_cancelled_run_is_not_wanted),
        TEST(runs_under_way_are_sorted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
