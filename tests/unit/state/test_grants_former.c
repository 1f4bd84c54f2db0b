/* What a process started anew does with the duties of its node's former lives: asks for none of
 * them, and says that they have ended when its host shows that nothing runs them. */
#include "consensus/grants.h"
#include "tests/unit/state/commands.h"

#define DUTY "pm2/worker"
#define SHARED "pm2/pool"
#define TTL 5000

struct stage {
    struct state *state;
    struct grants_leader *leader; /* acts since 0 */
    struct grants_holder *holder; /* of n1, incarnation 6 */
    uint64_t number;              /* the assignment to incarnation 5 */
};

static void open_stage(struct stage *ret, bool releases_former)
{
    ret->state = state_create();
    apply_ok(ret->state, node_put("n1", 1));
    apply_ok(ret->state, node_put("n2", 2));
    apply_ok(ret->state, duty_put(DUTY, true, true));
    apply_ok(ret->state, duty_put(SHARED, false, true));
    ret->number = apply_ok(ret->state, duty_assign(DUTY, 0, "n1", 1, 5)).number;
    apply_ok(ret->state, duty_assign(SHARED, 0, "n1", 1, 5));
    ret->leader = grants_leader_create(NULL);
    assert_non_null(ret->leader);
    grants_leader_begin(ret->leader, 0, 3, TTL);
    struct grants_holder_config config = {
        .raft_id = 1, .incarnation = 6, .releases_former = releases_former};
    ret->holder = grants_holder_create(&config);
    assert_non_null(ret->holder);
    grants_holder_sync(ret->holder, 10, ret->state);
}

static void close_stage(struct stage *stage)
{
    state_destroy(&stage->state);
    grants_leader_destroy(&stage->leader);
    grants_holder_destroy(&stage->holder);
}

static bool may_move(const struct stage *stage, int64_t now_ms)
{
    const struct state_duty *duty = state_duty_by_id(stage->state, DUTY);
    return grants_leader_may_assign(stage->leader, now_ms, true, duty, 2, 5, NULL);
}

static void it_is_never_asked_for_and_never_run(void **unused)
{
    (void)unused;
    struct stage stage;
    struct grants_renew request;
    open_stage(&stage, true);
    assert_int_equal(grants_holder_count(stage.holder), 1); /* what is shared has no grant */
    assert_true(grants_holder_at(stage.holder, 0)->former);
    assert_int_equal(grants_holder_next_ms(stage.holder), INT64_MAX);
    assert_false(grants_holder_request(stage.holder, 20, &request));
    struct grants_grant grant = {.incarnation = 6,
                                 .time_ms = 20,
                                 .grant_ttl_ms = TTL,
                                 .term = 3,
                                 .count = 1,
                                 .assignments = {stage.number}};
    assert_int_equal(grants_holder_take(stage.holder, 30, &grant), 0);
    assert_false(grants_holder_may_run(stage.holder, 30, DUTY));
    close_stage(&stage);
}

static void its_release_lets_the_leader_move_it_at_once(void **unused)
{
    (void)unused;
    struct stage stage;
    struct grants_release release;
    open_stage(&stage, true);
    assert_int_equal(grants_holder_releases(stage.holder, 0, &release), 0);
    assert_false(may_move(&stage, 40));
    assert_int_equal(grants_holder_release(stage.holder, DUTY), 0);
    assert_int_equal(grants_holder_releases(stage.holder, 0, &release), 1);
    assert_int_equal(grants_leader_take_release(stage.leader, stage.state, 1, &release), 1);
    assert_true(may_move(&stage, 40));
    close_stage(&stage);
}

/* Assigned anew before the release arrived: the leader keeps the new one. */
static void its_release_does_not_touch_a_newer_assignment(void **unused)
{
    (void)unused;
    struct stage stage;
    struct grants_release release;
    open_stage(&stage, true);
    assert_int_equal(grants_holder_release(stage.holder, DUTY), 0);
    assert_int_equal(grants_holder_releases(stage.holder, 0, &release), 1);
    apply_ok(stage.state, duty_assign(DUTY, stage.number, "n1", 1, 6));
    assert_int_equal(grants_leader_take_release(stage.leader, stage.state, 1, &release), 0);
    assert_false(may_move(&stage, 40));
    grants_holder_sync(stage.holder, 50, stage.state);
    assert_false(grants_holder_at(stage.holder, 0)->former);
    assert_int_equal(grants_holder_next_ms(stage.holder), 50); /* asked for at once */
    close_stage(&stage);
}

static void without_its_predecessors_locks_it_says_nothing(void **unused)
{
    (void)unused;
    struct stage stage;
    open_stage(&stage, false);
    assert_int_equal(grants_holder_count(stage.holder), 0);
    assert_int_equal(grants_holder_release(stage.holder, DUTY), ERR_NOTFOUND);
    close_stage(&stage);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_never_asked_for_and_never_run),
        cmocka_unit_test(its_release_lets_the_leader_move_it_at_once),
        cmocka_unit_test(its_release_does_not_touch_a_newer_assignment),
        cmocka_unit_test(without_its_predecessors_locks_it_says_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
