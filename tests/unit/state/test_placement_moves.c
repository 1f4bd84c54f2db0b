/* Placement over time: moves for a gain, room, pressure. */
#include "tests/unit/state/placement_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define HOLD_MS 10000
#define PATIENCE_MS 30000 /* both as in placement_config_default */

static struct placement *self;
static struct placement_node nodes[4];
static struct placement_duty duties[32];
static struct placement_target targets[PLACEMENT_MOVES_MAX];
static size_t node_count;
static size_t duty_count;

static int set_up(void **unused)
{
    (void)unused;
    node_count = 3;
    for (size_t i = 0; i < 4; i++) {
        nodes[i] = node_of(i + 1);
    }
    memset(duties, 0, sizeof(duties));
    duty_count = 0;
    self = placement_create(NULL);
    return self == NULL ? -1 : 0;
}

static int tear_down(void **unused)
{
    (void)unused;
    placement_destroy(&self);
    return 0;
}

static struct placement_duty *hold(uint64_t raft_id)
{
    char name[32];
    (void)snprintf(name, sizeof(name), "d%02zu", duty_count);
    duties[duty_count] = held_by(name, raft_id);
    duties[duty_count].bound = true;
    return &duties[duty_count++];
}

static size_t decide(int64_t now_ms)
{
    const struct placement_world world = {nodes, node_count, duties, duty_count};
    return placement_decide(self, now_ms, &world, targets);
}

static void explain(int64_t now_ms, size_t duty, struct placement_explanation *ret)
{
    const struct placement_world world = {nodes, node_count, duties, duty_count};
    placement_explain(self, now_ms, &world, duty, ret);
}

static void carry_out(int64_t now_ms, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct placement_duty *duty = &duties[targets[i].duty];
        if (targets[i].leave) {
            placement_note(self, now_ms, duty->id, &targets[i]);
        }
        duty->assigned = targets[i].node != PLACEMENT_NO_NODE;
        duty->bound = duty->assigned;
        if (duty->assigned) {
            duty->raft_id = nodes[targets[i].node].raft_id;
            duty->incarnation = nodes[targets[i].node].incarnation;
        }
    }
}

static size_t on(uint64_t raft_id)
{
    size_t count = 0;
    for (size_t i = 0; i < duty_count; i++) {
        count += duties[i].assigned && duties[i].raft_id == raft_id;
    }
    return count;
}

/* A node is back: one duty at a time goes there, each after a whole hold. */
static void a_node_that_came_back_gets_its_share_slowly(void **unused)
{
    (void)unused;
    for (size_t i = 0; i < 12; i++) {
        (void)hold(1 + i % 2);
    }
    int64_t last_ms = 0;
    for (int64_t now_ms = 0; now_ms < 200000; now_ms += 500) {
        size_t count = decide(now_ms);
        assert_true(count <= 1);
        if (count == 1) {
            assert_true(now_ms >= last_ms + HOLD_MS);
            assert_true(targets[0].leave && targets[0].node == 2);
            assert_int_equal(targets[0].reason, PLACEMENT_REBALANCE);
            last_ms = now_ms;
            carry_out(now_ms, count);
        }
    }
    assert_true(on(3) >= 3 && on(1) <= 5 && on(2) <= 5); /* the last ones gain too little */
    assert_true(on(1) <= on(3) + 2 && on(2) <= on(3) + 2);
}

static void a_small_gain_moves_nothing(void **unused)
{
    (void)unused;
    for (size_t i = 0; i < 6; i++) {
        (void)hold(1 + i % 2);
    }
    duties[0].wanted = false;
    duties[1].wanted = false; /* 2, 2, 0 */
    for (int64_t now_ms = 0; now_ms < 100000; now_ms += 1000) {
        assert_int_equal(decide(now_ms), 0);
    }
}

static void a_gain_must_last(void **unused)
{
    (void)unused;
    (void)hold(1);
    for (int64_t now_ms = 0; now_ms < 100000; now_ms += 1000) {
        nodes[0].score = now_ms % 9000 == 0 ? 90 : 40; /* well for a moment */
        assert_int_equal(decide(now_ms), 0);
    }
    nodes[0].score = 40;
    for (int64_t now_ms = 100000; now_ms < 110000; now_ms += 1000) {
        assert_int_equal(decide(now_ms), 0);
    }
    assert_int_equal(decide(110000), 1); /* ill without a break since 100000 */
    assert_int_equal(targets[0].node, 1);
    struct placement_explanation told;
    explain(110000, 0, &told);
    assert_int_equal(told.verdict, PLACEMENT_BETTER);
    assert_int_equal(told.home, 0);
    assert_int_equal(told.best, 1);
    assert_true(told.nodes[0].holds);
}

/* A busy machine's score swings; only what is clearly worse is left. */
static void a_duty_sticks_to_its_node(void **unused)
{
    (void)unused;
    const struct {
        double here, there;
        bool known;
        bool moves;
    } table[] = {
        {79, 100, true, false}, {65, 100, true, false}, {60, 100, true, false},
        {58, 100, true, true},  {40, 50, true, false},  {40, 58, true, false},
        {40, 65, true, true},   {0, 100, false, false},
    };
    (void)hold(1);
    int64_t now_ms = 0;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        nodes[0].score = table[i].here;
        nodes[0].score_known = table[i].known;
        nodes[1].score = table[i].there;
        nodes[2].score = 0;
        placement_forget(self);
        bool moves = false;
        for (int64_t end_ms = now_ms + 2 * HOLD_MS; now_ms < end_ms; now_ms += 1000) {
            moves = decide(now_ms) == 1 || moves;
        }
        if (moves != table[i].moves) {
            fail_msg("row %zu", i);
        }
    }
}

static void nothing_moves_for_a_gain_while_there_is_more_to_do(void **unused)
{
    (void)unused;
    for (size_t i = 0; i < 6; i++) {
        (void)hold(1);
    }
    (void)hold(2);
    nodes[1].draining = true; /* its holder has not let go yet */
    for (int64_t now_ms = 0; now_ms < 100000; now_ms += 1000) {
        assert_int_equal(decide(now_ms), 0);
    }
    duties[6].bound = false;
    assert_int_equal(decide(100000), 1);
    assert_int_equal(targets[0].reason, PLACEMENT_NODE_DRAINING);
    carry_out(100000, 1);
    duties[0].leaving = true; /* an operator moves it */
    for (int64_t now_ms = 101000; now_ms < 200000; now_ms += 1000) {
        assert_int_equal(decide(now_ms), 0);
    }
}

static void the_primarys_host_is_left_when_another_can(void **unused)
{
    (void)unused;
    struct placement_duty *duty = hold(1);
    duty->avoid_count = 1;
    duty->avoid[0] = 1;
    nodes[1].alive = false;
    nodes[2].alive = false;
    assert_int_equal(decide(0), 0);
    nodes[2].alive = true;
    nodes[2].score = 10; /* rather an ill one */
    assert_int_equal(decide(1000), 0);
    assert_int_equal(decide(1000 + HOLD_MS), 1);
    assert_int_equal(targets[0].node, 2);
}

static void load_moves_work_away_once(void **unused)
{
    (void)unused;
    (void)hold(1);
    nodes[0].load_known = true;
    nodes[0].load = 100;
    for (size_t i = 1; i < 3; i++) {
        nodes[i].load_known = true;
        nodes[i].load = 10;
    }
    assert_int_equal(decide(0), 0);
    assert_int_equal(decide(HOLD_MS), 1);
    carry_out(HOLD_MS, 1);
    assert_int_equal(placement_noted(self, HOLD_MS, duties[0].id), PLACEMENT_REBALANCE);
    nodes[0].load = 10; /* where it goes the load goes: it is not chased around */
    nodes[1].load = 100;
    int64_t moved_ms = 0;
    for (int64_t now_ms = HOLD_MS; now_ms < 1000000 && moved_ms == 0; now_ms += 1000) {
        moved_ms = decide(now_ms) > 0 ? now_ms : 0;
    }
    assert_int_equal(moved_ms, HOLD_MS + placement_config_default.dwell_ms + HOLD_MS);
}

static void what_a_person_moved_stays_for_a_while(void **unused)
{
    (void)unused;
    (void)hold(1);
    nodes[0].score = 40;
    const struct placement_target moved = {.reason = PLACEMENT_OPERATOR};
    placement_note(self, 0, duties[0].id, &moved);
    int64_t now_ms = 0;
    for (; now_ms < placement_config_default.dwell_ms; now_ms += 1000) {
        assert_int_equal(decide(now_ms), 0);
    }
    assert_int_equal(decide(now_ms), 0);
    assert_int_equal(decide(now_ms + HOLD_MS), 1);
}

/* ---- room ---- */

static void without_room_the_lowest_gives_way(void **unused)
{
    (void)unused;
    node_count = 2;
    nodes[0].room = 2;
    nodes[1].room = 1;
    for (size_t i = 0; i < 3; i++) {
        hold(i < 2 ? 1 : 2)->priority = (int64_t)i + 1; /* 1 and 2 on n1, 3 on n2 */
    }
    duties[3] = duty_of("new");
    duty_count = 4;
    duties[3].priority = 1; /* no higher than any */
    struct placement_explanation told;
    assert_int_equal(decide(0), 0);
    explain(0, 3, &told);
    assert_int_equal(told.verdict, PLACEMENT_WAITS);
    assert_int_equal(told.nodes[0].refusal, PLACEMENT_FULL);

    duties[3].priority = 2;
    assert_int_equal(decide(1000), 1);
    assert_int_equal(targets[0].duty, 0);
    assert_int_equal(targets[0].node, PLACEMENT_NO_NODE);
    assert_int_equal(targets[0].reason, PLACEMENT_PRESSURE);
    placement_note(self, 1000, duties[0].id, &targets[0]);
    duties[0].leaving = true;
    assert_int_equal(decide(2000), 0); /* one is enough */
    explain(2000, 0, &told);
    assert_int_equal(told.verdict, PLACEMENT_LEAVES);
    duties[0].assigned = false;
    duties[0].bound = false;
    duties[0].leaving = false;
    assert_int_equal(decide(3000), 1);
    assert_int_equal(targets[0].duty, 3);
    carry_out(3000, 1);

    nodes[1].room = 2; /* there is room again; not at once, it was sent away just now */
    assert_int_equal(decide(4000), 0);
    explain(4000, 0, &told);
    assert_int_equal(told.verdict, PLACEMENT_SENT_AWAY);
    assert_int_equal(decide(1000 + PATIENCE_MS), 1);
    assert_int_equal(targets[0].duty, 0);
    assert_int_equal(targets[0].node, 1);
}

static void who_gives_way_goes_elsewhere_if_it_can(void **unused)
{
    (void)unused;
    node_count = 2;
    nodes[0].room = 1;
    (void)hold(1);
    duties[1] = duty_of("picky");
    duties[1].priority = 5;
    duties[1].only_count = 1;
    duties[1].only[0] = 1;
    duty_count = 2;
    assert_int_equal(decide(0), 1);
    assert_int_equal(targets[0].duty, 0);
    assert_int_equal(targets[0].node, 1);
    assert_true(targets[0].leave);
}

static void rather_not_on_the_primarys_host(void **unused)
{
    (void)unused;
    node_count = 2;
    nodes[0].room = 1;
    nodes[1].room = 1;
    hold(1)->priority = 1;
    hold(2)->priority = 2;
    duties[2] = duty_of("standby");
    duties[2].priority = 9;
    duties[2].avoid_count = 1;
    duties[2].avoid[0] = 1;
    duty_count = 3;
    assert_int_equal(decide(0), 1);
    assert_int_equal(targets[0].duty, 1); /* though the other one is lower */
    duties[1].priority = 9;
    assert_int_equal(decide(1000), 1);
    assert_int_equal(targets[0].duty, 0); /* better there than nowhere */
}

/* One gives way to one, and nobody else gets into its room meanwhile. */
static void one_gives_way_to_one(void **unused)
{
    (void)unused;
    node_count = 1;
    nodes[0].room = 3;
    for (size_t i = 0; i < 3; i++) {
        (void)hold(1);
    }
    duties[3] = duty_of("high");
    duties[3].priority = 5;
    duty_count = 4;
    assert_int_equal(decide(0), 1);
    assert_int_equal(targets[0].duty, 2);
    duties[2].leaving = true;
    assert_int_equal(decide(1000), 0); /* it takes its time */
    duties[4] = duty_of("higher");
    duties[4].priority = 6;
    duty_count = 5;
    assert_int_equal(decide(2000), 1);
    assert_int_equal(targets[0].duty, 1);

    node_count = 2; /* now there is another place, but not for the high ones */
    duties[2].leaving = false;
    for (size_t i = 3; i < 5; i++) {
        duties[i].only_count = 1;
        duties[i].only[0] = 1;
    }
    assert_int_equal(decide(3000), 2);
    for (size_t i = 0; i < 2; i++) {
        assert_true(targets[i].leave && targets[i].node == 1);
    }
}

static void a_run_is_never_sent_away(void **unused)
{
    (void)unused;
    node_count = 1;
    nodes[0].room = 1;
    struct placement_duty *run = hold(1);
    run->once = true;
    run->spent = true;
    run->priority = -5;
    duties[1] = duty_of("high");
    duties[1].priority = 5;
    duty_count = 2;
    nodes[0].load_known = true;
    nodes[0].load = 100;
    for (int64_t now_ms = 0; now_ms < 100000; now_ms += 1000) {
        assert_int_equal(decide(now_ms), 0);
    }
}

/* ---- load as pressure ---- */

static void low_work_leaves_a_node_under_pressure_and_comes_back(void **unused)
{
    (void)unused;
    node_count = 1;
    for (size_t i = 0; i < 4; i++) {
        hold(1)->priority = (int64_t)i - 3; /* -3, -2, -1, 0 */
    }
    nodes[0].load_known = true;
    nodes[0].load = 95;
    size_t away = 0;
    int64_t last_ms = 0;
    int64_t now_ms = 0;
    for (; now_ms < 100000; now_ms += 1000) {
        size_t count = decide(now_ms);
        assert_true(count <= 1);
        if (count == 1) {
            assert_int_equal(targets[0].duty, away); /* the lowest first */
            assert_int_equal(targets[0].node, PLACEMENT_NO_NODE);
            assert_true(now_ms >= last_ms + HOLD_MS);
            last_ms = now_ms;
            away++;
            carry_out(now_ms, count);
        }
    }
    assert_int_equal(away, 3); /* never work of normal priority */
    struct placement_explanation told;
    explain(now_ms, 0, &told);
    assert_int_equal(told.verdict, PLACEMENT_WAITS);
    assert_int_equal(told.nodes[0].refusal, PLACEMENT_PRESSED);
    nodes[0].load = 75; /* not low enough yet */
    assert_int_equal(decide(now_ms), 0);
    nodes[0].load = 60;
    assert_int_equal(decide(now_ms), 3);
    carry_out(now_ms, 3);
    nodes[0].load = 89; /* high, but not too high: no flapping in between */
    for (; now_ms < 200000; now_ms += 1000) {
        assert_int_equal(decide(now_ms), 0);
    }
}

static void low_work_goes_to_a_node_without_pressure(void **unused)
{
    (void)unused;
    node_count = 2;
    nodes[0].load_known = true;
    nodes[0].load = 95;
    duties[0] = duty_of("low");
    duties[0].priority = -1;
    duties[1] = duty_of("normal");
    duty_count = 2;
    assert_int_equal(decide(0), 2);
    assert_int_equal(targets[0].duty, 1); /* n2 is idle */
    assert_int_equal(targets[0].node, 1);
    assert_int_equal(targets[1].node, 1); /* and the low one has no choice */
    carry_out(0, 2);
    duties[0].raft_id = 1;
    assert_int_equal(decide(1000), 0);
    assert_int_equal(decide(HOLD_MS), 1);
    assert_int_equal(targets[0].duty, 0);
    assert_int_equal(targets[0].node, 1); /* not away: there is a place */
}

/* What a new leader does not know it does not act on. */
static void a_new_term_begins_anew(void **unused)
{
    (void)unused;
    (void)hold(1);
    nodes[0].score = 40;
    assert_int_equal(decide(0), 0);
    placement_forget(self);
    assert_int_equal(decide(HOLD_MS), 0);
    assert_int_equal(decide(HOLD_MS + HOLD_MS), 1);
}

static void every_word_has_a_code(void **unused)
{
    (void)unused;
    for (int i = PLACEMENT_CAN; i <= PLACEMENT_PRESSED; i++) {
        assert_string_not_equal(placement_refusal_name((enum placement_refusal)i), "unknown");
        assert_true(strlen(placement_refusal_text((enum placement_refusal)i)) > 8);
    }
    for (int i = PLACEMENT_STAYS; i <= PLACEMENT_NOBODY; i++) {
        assert_string_not_equal(placement_verdict_name((enum placement_verdict)i), "unknown");
        assert_true(strlen(placement_verdict_text((enum placement_verdict)i)) > 8);
    }
    assert_string_equal(placement_refusal_name((enum placement_refusal)(PLACEMENT_PRESSED + 1)),
                        "unknown");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_node_that_came_back_gets_its_share_slowly),
        TEST(a_small_gain_moves_nothing),
        TEST(a_gain_must_last),
        TEST(a_duty_sticks_to_its_node),
        TEST(nothing_moves_for_a_gain_while_there_is_more_to_do),
        TEST(the_primarys_host_is_left_when_another_can),
        TEST(load_moves_work_away_once),
        TEST(what_a_person_moved_stays_for_a_while),
        TEST(without_room_the_lowest_gives_way),
        TEST(who_gives_way_goes_elsewhere_if_it_can),
        TEST(rather_not_on_the_primarys_host),
        TEST(one_gives_way_to_one),
        TEST(a_run_is_never_sent_away),
        TEST(low_work_leaves_a_node_under_pressure_and_comes_back),
        TEST(low_work_goes_to_a_node_without_pressure),
        TEST(a_new_term_begins_anew),
        TEST(every_word_has_a_code),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
