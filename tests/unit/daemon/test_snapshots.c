/* Copies that are handed out: of one instant, bounded in number, and never held for ever. */
#include "node/base/clock.h"
#include "node/daemon/snapshots.h"
#include "tests/unit/state/commands_work.h"

#include <poll.h>
#include <stdlib.h>

#define PATIENCE_MS 60000 /* a busy machine is no failure */

static const struct snapshot_origin origin = {.term = 3, .wall_ms = 1234, .stale = false};

/* The next copy whose encoding has ended. */
static struct snapshot_copy *wait_for(struct snapshots *snapshots)
{
    struct pollfd wait = {.fd = snapshots_fd(snapshots), .events = POLLIN};
    struct snapshot_copy *ret = NULL;
    while (ret == NULL) {
        assert_int_equal(poll(&wait, 1, PATIENCE_MS), 1);
        ret = snapshots_take(snapshots);
    }
    return ret;
}

static struct snapshot_copy *begin(struct snapshots *snapshots, const struct state *state,
                                   int64_t now_ms)
{
    struct snapshot_copy *ret = NULL;
    struct err err = {0};
    assert_int_equal(snapshots_begin(snapshots, state, &origin, now_ms, &ret, &err), 0);
    assert_non_null(ret);
    return ret;
}

static void a_copy_is_of_one_instant(void **unused)
{
    (void)unused;
    struct state *state = state_create();
    apply_ok(state, node_put("n1", 1));
    apply_ok(state, schedule_put("run/report", 0, 1000));
    apply_ok(state, alert_raise("member.dead/n2", ALERT_CRITICAL, "n2 is dead"));
    uint64_t digest = state_digest(state);
    struct snapshots *snapshots = snapshots_create("n1", 42);
    struct snapshot_copy *copy = begin(snapshots, state, 0);
    assert_null(snapshots_find(snapshots, copy->handle, 0)); /* not before it is encoded */
    apply_ok(state, node_put("n2", 2));                      /* while it is encoded, perhaps */
    apply_ok(state, schedule_remove("run/report"));
    assert_ptr_equal(wait_for(snapshots), copy);
    assert_int_equal(copy->term, 3);
    assert_int_equal(copy->index, 3);
    assert_int_equal(copy->taken_wall_ms, 1234);
    struct state *restored = state_create();
    struct err err = {0};
    assert_int_equal(state_restore(restored, copy->index, copy->bytes, copy->length, &err), 0);
    assert_true(state_digest(restored) == digest);
    assert_true(state_digest(restored) != state_digest(state));
    assert_ptr_equal(snapshots_find(snapshots, copy->handle, 0), copy);
    snapshots_end(snapshots, copy);
    assert_int_equal(snapshots_held(snapshots), 0);
    state_destroy(&restored);
    snapshots_destroy(&snapshots);
    state_destroy(&state);
}

static void no_more_than_some_are_held(void **unused)
{
    (void)unused;
    struct state *state = state_create();
    struct snapshots *snapshots = snapshots_create("n1", 42);
    char handles[SNAPSHOTS_MAX][SNAPSHOT_HANDLE_SIZE];
    for (size_t i = 0; i < SNAPSHOTS_MAX; i++) {
        copy_text(handles[i], sizeof handles[i], begin(snapshots, state, 0)->handle);
        (void)wait_for(snapshots);
    }
    assert_string_not_equal(handles[0], handles[1]);
    struct snapshot_copy *copy = NULL;
    struct err err = {0};
    assert_int_equal(snapshots_begin(snapshots, state, &origin, 0, &copy, &err), ERR_BUSY);
    assert_null(snapshots_find(snapshots, "n1.42.99", 0));
    snapshots_end(snapshots, snapshots_find(snapshots, handles[0], 0));
    assert_int_equal(snapshots_held(snapshots), SNAPSHOTS_MAX - 1);
    assert_null(snapshots_find(snapshots, handles[0], 0));
    assert_int_equal(snapshots_begin(snapshots, state, &origin, 0, &copy, &err), 0);
    snapshots_destroy(&snapshots); /* while one is encoded, perhaps */
    state_destroy(&state);
}

static void nobody_holds_one_for_ever(void **unused)
{
    (void)unused;
    struct state *state = state_create();
    struct snapshots *snapshots = snapshots_create("n1", 42);
    struct snapshot_copy *copy = begin(snapshots, state, 0);
    copy->waiting = state; /* somebody waits for its bytes: it stays, however long they take */
    assert_ptr_equal(wait_for(snapshots), copy);
    snapshots_expire(snapshots, 100 * SNAPSHOTS_HOLD_MS);
    assert_int_equal(snapshots_held(snapshots), 1);
    copy->waiting = NULL;
    assert_ptr_equal(snapshots_find(snapshots, copy->handle, 1000), copy);
    snapshots_expire(snapshots, 1000 + SNAPSHOTS_HOLD_MS - 1);
    assert_int_equal(snapshots_held(snapshots), 1);
    snapshots_expire(snapshots, 1000 + SNAPSHOTS_HOLD_MS);
    assert_int_equal(snapshots_held(snapshots), 0);
    /* Two that are left alone give way to a third. */
    (void)begin(snapshots, state, 0);
    (void)wait_for(snapshots);
    (void)begin(snapshots, state, 0);
    (void)wait_for(snapshots);
    (void)begin(snapshots, state, SNAPSHOTS_HOLD_MS);
    (void)wait_for(snapshots);
    assert_int_equal(snapshots_held(snapshots), 1);
    snapshots_destroy(&snapshots);
    snapshots_destroy(&snapshots);
    state_destroy(&state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_copy_is_of_one_instant),
        cmocka_unit_test(no_more_than_some_are_held),
        cmocka_unit_test(nobody_holds_one_for_ever),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
