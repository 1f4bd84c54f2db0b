/* Duties that never run at the same time: the state assigns one side of a group only. */
#include "tests/unit/state/commands.h"

#include "node/base/mp.h"

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

static struct command grouped(const char *id, const char *alone, uint32_t side)
{
    struct command command = duty_put(id, true, true);
    copy_text(command.duty.alone, sizeof(command.duty.alone), alone);
    command.duty.side = side;
    return command;
}

/* A primary, two standard backups and an enhanced one. */
static void seed(struct state *state)
{
    apply_ok(state, node_put("n1", 1));
    apply_ok(state, node_put("n2", 2));
    apply_ok(state, grouped("pm2/a", "pm2/a", 0));
    apply_ok(state, grouped("pm2/b1", "pm2/a", 1));
    apply_ok(state, grouped("pm2/b2", "pm2/a", 1));
    apply_ok(state, grouped("pm2/e", "pm2/a", 2));
    apply_ok(state, grouped("pm2/x", "pm2/x", 1));
}

static const struct state_duty *duty(const struct state *state, const char *id)
{
    return state_duty_by_id(state, id);
}

static void another_side_waits_until_the_first_is_released(void **context)
{
    struct state *state = *context;
    seed(state);
    uint64_t first = apply_ok(state, duty_assign("pm2/a", 0, "n1", 1, 1)).number;
    apply_refused(state, duty_assign("pm2/b1", 0, "n2", 2, 1), ERR_UNSAFE);
    apply_refused(state, duty_assign("pm2/b1", 0, "n1", 1, 1), ERR_UNSAFE); /* nor beside it */
    assert_ptr_equal(state_duty_barred_by(state, duty(state, "pm2/b1")), duty(state, "pm2/a"));
    assert_null(state_duty_barred_by(state, duty(state, "pm2/a")));
    apply_ok(state, duty_assign("pm2/x", 0, "n2", 2, 1)); /* of another group */
    /* It may still move, and get its node back after a restart. */
    uint64_t moved = apply_ok(state, duty_assign("pm2/a", first, "n2", 2, 1)).number;
    moved = apply_ok(state, duty_assign("pm2/a", moved, "n2", 2, 2)).number;
    apply_ok(state, duty_put("pm2/b1", true, false)); /* out of the group: it was free to go */
    apply_ok(state, grouped("pm2/b1", "pm2/a", 1));
    apply_ok(state, duty_release("pm2/a", moved, RELEASE_BY_EXPIRY));
    apply_ok(state, duty_assign("pm2/b1", 0, "n1", 1, 1));
    apply_refused(state, duty_assign("pm2/a", moved, "n1", 1, 1), ERR_UNSAFE);
    apply_refused(state, duty_assign("pm2/e", 0, "n1", 1, 1), ERR_UNSAFE);
    apply_ok(state, duty_assign("pm2/b2", 0, "n2", 2, 1)); /* of one side: beside each other */
    assert_null(state_duty_barred_by(state, duty(state, "pm2/b2")));
}

static void what_is_held_keeps_its_group(void **context)
{
    struct state *state = *context;
    seed(state);
    uint64_t number = apply_ok(state, duty_assign("pm2/a", 0, "n1", 1, 1)).number;
    assert_false(state_duty_regroups(state, duty(state, "pm2/a"), "", 0));
    assert_false(state_duty_regroups(state, duty(state, "pm2/a"), "pm2/a", 1));
    struct command command = duty_put("pm2/a", true, false);
    apply_ok(state, command); /* wanted no more; the rest of the put counts */
    assert_string_equal(duty(state, "pm2/a")->is.alone, "pm2/a");
    assert_false(duty(state, "pm2/a")->is.wanted);
    assert_int_equal(apply(state, command).outcome, STATE_UNCHANGED);
    apply_refused(state, duty_assign("pm2/b1", 0, "n2", 2, 1), ERR_UNSAFE);
    apply_ok(state, duty_release("pm2/a", number, RELEASE_BY_HOLDER));
    apply_ok(state, command);
    assert_string_equal(duty(state, "pm2/a")->is.alone, "");
}

static void a_held_duty_joins_a_group_that_is_free(void **context)
{
    struct state *state = *context;
    seed(state);
    apply_ok(state, duty_put("pm2/late", true, true));
    apply_ok(state, duty_assign("pm2/late", 0, "n1", 1, 1));
    uint64_t number = apply_ok(state, duty_assign("pm2/b1", 0, "n2", 2, 1)).number;
    struct command join = grouped("pm2/late", "pm2/a", 2);
    assert_int_equal(apply(state, join).outcome, STATE_UNCHANGED);
    assert_string_equal(duty(state, "pm2/late")->is.alone, "");
    apply_ok(state, duty_release("pm2/b1", number, RELEASE_BY_HOLDER));
    apply_ok(state, join);
    assert_int_equal(duty(state, "pm2/late")->is.side, 2);
    apply_refused(state, duty_assign("pm2/b1", number, "n2", 2, 1), ERR_UNSAFE);
}

static void only_exclusive_duties_have_a_group(void **context)
{
    struct state *state = *context;
    struct command command = grouped("pm2/a", "pm2/a", 0);
    command.duty.exclusive = false;
    apply_refused(state, command, ERR_INVALID);
    command = duty_put("pm2/a", true, true);
    command.duty.side = 1; /* of no group: not even written */
    apply_ok(state, command);
    assert_int_equal(duty(state, "pm2/a")->is.side, 0);
}

static void a_snapshot_keeps_groups_and_one_of_before_has_none(void **context)
{
    struct state *state = *context;
    seed(state);
    apply_ok(state, duty_put("pm2/plain", true, true));
    apply_ok(state, duty_assign("pm2/e", 0, "n1", 1, 1));
    uint8_t *bytes = NULL;
    size_t length = 0;
    assert_int_equal(state_snapshot(state, &bytes, &length), 0);
    struct state *other = state_create();
    assert_int_equal(state_restore(other, state_index(state), bytes, length, NULL), 0);
    free(bytes);
    assert_int_equal(state_digest(other), state_digest(state));
    assert_string_equal(duty(other, "pm2/e")->is.alone, "pm2/a");
    assert_int_equal(duty(other, "pm2/e")->is.side, 2);
    assert_string_equal(duty(other, "pm2/plain")->is.alone, "");
    apply_refused(other, duty_assign("pm2/a", 0, "n2", 2, 1), ERR_UNSAFE);
    state_destroy(&other);
}

/* A node of the version before reads what it knows, and this one reads what that one wrote. */
static void commands_of_before_and_after_are_read(void **context)
{
    (void)context;
    struct command with = grouped("pm2/b", "pm2/a", 2);
    struct command back;
    struct mp_writer writer;
    mp_writer_init(&writer, COMMAND_BYTES_MAX);
    assert_int_equal(command_encode(&with, &writer, NULL), 0);
    assert_int_equal(command_decode(writer.buffer.data, writer.buffer.length, &back, NULL), 0);
    assert_string_equal(back.duty.alone, "pm2/a");
    assert_int_equal(back.duty.side, 2);
    assert_false(back.duty.once);
    size_t length = writer.buffer.length;
    mp_writer_clear(&writer);
    struct command without = duty_put("pm2/b", true, true);
    assert_int_equal(command_encode(&without, &writer, NULL), 0);
    assert_true(writer.buffer.length < length); /* nothing is added where there is no group */
    assert_int_equal(command_decode(writer.buffer.data, writer.buffer.length, &back, NULL), 0);
    assert_string_equal(back.duty.alone, "");
    mp_writer_deinit(&writer);
}

#define WITH_STATE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_STATE(another_side_waits_until_the_first_is_released),
        WITH_STATE(what_is_held_keeps_its_group),
        WITH_STATE(a_held_duty_joins_a_group_that_is_free),
        WITH_STATE(only_exclusive_duties_have_a_group),
        WITH_STATE(a_snapshot_keeps_groups_and_one_of_before_has_none),
        cmocka_unit_test(commands_of_before_and_after_are_read),
    };
    return cmocka_run_group_tests_name("state_sides", tests, NULL, NULL);
}
