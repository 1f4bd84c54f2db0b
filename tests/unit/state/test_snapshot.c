#include "node/base/rng.h"
#include "tests/unit/state/commands.h"

#include <stdlib.h>

/* A random but mostly sensible command. */
static struct command random_command(struct rng *rng, const struct state *state)
{
    char node[NAME_SIZE];
    char id[DUTY_ID_SIZE];
    uint64_t raft_id = 1 + rng_below(rng, 6);
    (void)snprintf(node, sizeof(node), "n%u", (unsigned)raft_id);
    (void)snprintf(id, sizeof(id), "m%u/d%u", (unsigned)rng_below(rng, 3),
                   (unsigned)rng_below(rng, 30));
    const struct state_duty *duty = state_duty_by_id(state, id);
    uint64_t number = duty == NULL ? 0 : duty->assignment.number;
    switch (rng_below(rng, 12)) {
    case 0:
        return node_put(node, raft_id);
    case 1:
        return node_named(COMMAND_NODE_DRAIN, node);
    case 2:
        return node_named(COMMAND_NODE_UNDRAIN, node);
    case 3:
        return rng_below(rng, 8) == 0 ? node_named(COMMAND_NODE_REMOVE, node)
                                      : node_role(node, (enum node_role)rng_below(rng, 4));
    case 4:
        return duty_put(id, rng_below(rng, 4) != 0, rng_below(rng, 4) != 0);
    case 5:
        return duty_remove(id);
    case 6:
    case 7:
        return duty_assign(id, number, node, raft_id, 1 + rng_below(rng, 3));
    case 8:
        return duty_release(id, number, RELEASE_BY_HOLDER);
    case 9:
        return leader_record(state_index(state), node);
    case 10:
        return setting_put(node, rng_below(rng, 3) == 0 ? NULL : id);
    default:
        return manager_change(
            rng_below(rng, 2) == 0 ? COMMAND_MANAGER_PAUSE : COMMAND_MANAGER_RESUME, node);
    }
}

static void run(struct state *state, struct rng *rng, int count)
{
    for (int i = 0; i < count; i++) {
        struct command command = random_command(rng, state);
        command.origin = 1 + rng_below(rng, 4);
        command.incarnation = 1;
        command.sequence = 1 + state_index(state) / 2 + rng_below(rng, 12); /* out of order */
        (void)apply(state, command);
    }
}

static struct state *filled(uint64_t seed, int count)
{
    struct state *state = state_create();
    assert_non_null(state);
    struct rng rng;
    rng_init(&rng, seed);
    run(state, &rng, count);
    return state;
}

static void same_commands_give_the_same_digest(void **unused)
{
    (void)unused;
    struct state *one = filled(1, 3000);
    struct state *two = filled(1, 3000);
    struct state *other = filled(2, 3000);
    assert_true(state_digest(one) != 0);
    assert_true(state_digest(one) == state_digest(two));
    assert_true(state_digest(one) != state_digest(other));
    struct state_counters counters;
    state_counters(one, &counters);
    assert_true(counters.applied > 500); /* the mixture does something */
    assert_true(counters.refused > 100);
    assert_true(counters.repeated > 100);
    state_destroy(&one);
    state_destroy(&two);
    state_destroy(&other);
}

/* At every stage a node that is restored and goes on equals one that applied everything. */
static void a_restored_state_goes_on_alike(void **unused)
{
    (void)unused;
    for (int stage = 0; stage < 1500; stage += 211) {
        struct state *whole = filled(3, stage);
        uint8_t *bytes;
        size_t length;
        assert_int_equal(state_snapshot(whole, &bytes, &length), 0);
        struct state *restored = filled(4, 700); /* what was there before must go */
        struct err err = {0};
        assert_int_equal(state_restore(restored, state_index(whole), bytes, length, &err), 0);
        free(bytes);
        assert_true(state_digest(whole) == state_digest(restored));
        assert_int_equal(state_index(restored), state_index(whole));
        struct rng rng_one;
        struct rng rng_two;
        rng_init(&rng_one, 5);
        rng_init(&rng_two, 5);
        run(whole, &rng_one, 1500);
        run(restored, &rng_two, 1500);
        assert_true(state_digest(whole) == state_digest(restored));
        state_destroy(&whole);
        state_destroy(&restored);
    }
}

static enum state_outcome numbered(struct state *state, uint64_t sequence)
{
    struct command command = command_of(COMMAND_AUDIT_NOTE);
    command.origin = 1;
    command.incarnation = 2;
    command.sequence = sequence;
    return apply(state, command).outcome;
}

static void repeats_are_known_after_a_restore(void **unused)
{
    (void)unused;
    struct state *state = state_create();
    for (uint64_t sequence = 3; sequence <= 15; sequence += 3) {
        assert_int_equal(numbered(state, sequence), STATE_APPLIED);
    }
    uint8_t *bytes;
    size_t length;
    assert_int_equal(state_snapshot(state, &bytes, &length), 0);
    struct state *restored = state_create();
    assert_int_equal(state_restore(restored, state_index(state), bytes, length, NULL), 0);
    free(bytes);
    for (uint64_t sequence = 1; sequence <= 15; sequence++) {
        assert_int_equal(numbered(restored, sequence),
                         sequence % 3 == 0 ? STATE_REPEATED : STATE_APPLIED);
    }
    state_destroy(&state);
    state_destroy(&restored);
}

static void a_full_state_fits(void **unused)
{
    (void)unused;
    struct state *state = state_create();
    char name[DUTY_ID_SIZE];
    for (unsigned i = 0; i < NODES_MAX; i++) {
        (void)snprintf(name, sizeof(name), "%063u", i);
        struct command command = node_put(name, i + 1);
        command.node.label_count = NODE_LABELS_MAX;
        for (size_t j = 0; j < NODE_LABELS_MAX; j++) {
            memset(command.node.labels[j], 'l', LABEL_SIZE - 1);
        }
        apply_ok(state, command);
    }
    for (unsigned i = 0; i < DUTIES_MAX; i++) {
        (void)snprintf(name, sizeof(name), "manager/%0119u", i);
        struct command command = duty_put(name, true, true);
        memset(command.why, 'y', REASON_SIZE - 1);
        apply_ok(state, command);
        char node[NAME_SIZE];
        (void)snprintf(node, sizeof(node), "%063u", 1u);
        apply_ok(state, duty_assign(name, 0, node, 2, 1));
    }
    uint8_t *bytes;
    size_t length;
    assert_int_equal(state_snapshot(state, &bytes, &length), 0);
    assert_true(length < SNAPSHOT_BYTES_MAX / 4);
    struct state *back = state_create();
    struct err err = {0};
    assert_int_equal(state_restore(back, 1, bytes, length, &err), 0);
    assert_true(state_digest(state) == state_digest(back));
    free(bytes);
    state_destroy(&state);
    state_destroy(&back);
}

static void a_damaged_snapshot_is_refused_and_changes_nothing(void **unused)
{
    (void)unused;
    struct state *source = filled(6, 400);
    struct state *target = filled(7, 100);
    uint64_t before = state_digest(target);
    uint8_t *bytes;
    size_t length;
    assert_int_equal(state_snapshot(source, &bytes, &length), 0);
    struct rng rng;
    rng_init(&rng, 8);
    struct err err = {0};
    for (int i = 0; i < 300; i++) {
        size_t cut = rng_below(&rng, length);
        assert_int_equal(state_restore(target, 9, bytes, cut, &err), ERR_CORRUPT);
    }
    for (int i = 0; i < 600; i++) {
        size_t at = i < 40 ? (size_t)i : rng_below(&rng, length);
        uint8_t flip = (uint8_t)(1 + rng_below(&rng, 255));
        bytes[at] ^= flip;
        int rc = state_restore(target, 9, bytes, length, &err);
        assert_true(rc == ERR_CORRUPT || rc == ERR_UNSUPPORTED);
        assert_int_equal(err.code, rc);
        bytes[at] ^= flip;
    }
    assert_true(state_digest(target) == before);
    assert_int_equal(state_index(target), 100);
    assert_int_equal(state_restore(target, 9, bytes, length, &err), 0);
    assert_true(state_digest(target) == state_digest(source));
    free(bytes);
    state_destroy(&source);
    state_destroy(&target);
}

static void a_newer_snapshot_is_named_unsupported(void **unused)
{
    (void)unused;
    struct mp_writer writer;
    mp_writer_init(&writer, 64);
    mp_put_array(&writer, 2);
    mp_put_u64(&writer, STATE_VERSION + 1);
    mp_put_text(&writer, "?");
    struct state *state = state_create();
    struct err err = {0};
    assert_int_equal(state_restore(state, 1, writer.buffer.data, writer.buffer.length, &err),
                     ERR_UNSUPPORTED);
    assert_non_null(strstr(err.msg, "version"));
    mp_writer_deinit(&writer);
    state_destroy(&state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(same_commands_give_the_same_digest),
        cmocka_unit_test(a_restored_state_goes_on_alike),
        cmocka_unit_test(repeats_are_known_after_a_restore),
        cmocka_unit_test(a_full_state_fits),
        cmocka_unit_test(a_damaged_snapshot_is_refused_and_changes_nothing),
        cmocka_unit_test(a_newer_snapshot_is_named_unsupported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
