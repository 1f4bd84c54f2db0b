#include "tests/unit/state/placement_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct placement *self;

static int set_up(void **unused)
{
    (void)unused;
    self = placement_create(NULL);
    return self == NULL ? -1 : 0;
}

static int tear_down(void **unused)
{
    (void)unused;
    placement_destroy(&self);
    return 0;
}

static size_t decide(int64_t now_ms, const struct placement_node *nodes, size_t node_count,
                     const struct placement_duty *duties, size_t duty_count,
                     struct placement_target *ret)
{
    const struct placement_world world = {nodes, node_count, duties, duty_count};
    return placement_decide(self, now_ms, &world, ret);
}

/* Three nodes; the test changes the first and sees why its duty is placed anew, and where. */
static void a_duty_leaves_a_node_that_cannot_run_it(void **unused)
{
    (void)unused;
    for (int fault = 0; fault < 7; fault++) {
        struct placement_node nodes[] = {node_of(1), node_of(2), node_of(3)};
        struct placement_duty duty = held_by("a", 1);
        enum placement_reason expected = PLACEMENT_UNASSIGNED;
        size_t expected_node = 1;
        switch (fault) {
        case 0:
            break;
        case 1:
            nodes[0].alive = false;
            expected = PLACEMENT_NODE_DEAD;
            break;
        case 2:
            nodes[0].draining = true;
            expected = PLACEMENT_NODE_DRAINING;
            break;
        case 3:
            nodes[0].managers[0].percent = 0;
            expected = PLACEMENT_NODE_INCAPABLE;
            break;
        case 4:
            nodes[0].incarnation = 6;
            nodes[0].score = 1; /* ill, but it is its own again */
            expected = PLACEMENT_NODE_RESTARTED;
            expected_node = 0;
            break;
        case 5:
            duty.raft_id = 77;
            expected = PLACEMENT_NODE_GONE;
            expected_node = 0;
            break;
        default:
            duty.assigned = false;
            expected_node = 0;
        }
        struct placement_target targets[PLACEMENT_MOVES_MAX];
        size_t count = decide(0, nodes, 3, &duty, 1, targets);
        if (fault == 0) {
            assert_int_equal(count, 0);
            continue;
        }
        assert_int_equal(count, 1);
        assert_int_equal(targets[0].node, expected_node);
        assert_int_equal(targets[0].reason, expected);
        assert_false(targets[0].leave);
        assert_string_not_equal(placement_reason_name(targets[0].reason), "unknown");
    }
}

static void what_may_not_go_yet_is_not_told(void **unused)
{
    (void)unused;
    struct placement_node nodes[] = {node_of(1), node_of(2)};
    nodes[0].alive = false;
    struct placement_duty duties[] = {held_by("a", 1), duty_of("b")};
    duties[0].bound = true; /* its last grant is not over */
    struct placement_target targets[PLACEMENT_MOVES_MAX];
    assert_int_equal(decide(0, nodes, 2, duties, 2, targets), 1);
    assert_int_equal(targets[0].duty, 1);
    nodes[0] = node_of(1);
    nodes[0].incarnation = 6; /* but a restarted node gets its own at once */
    assert_int_equal(decide(0, nodes, 2, duties, 2, targets), 2);
    assert_int_equal(targets[0].reason, PLACEMENT_NODE_RESTARTED);
}

static void a_shared_outage_moves_nothing(void **unused)
{
    (void)unused;
    struct placement_node nodes[] = {node_of(1), node_of(2)};
    struct placement_duty duties[] = {held_by("a", 1), held_by("b", 2), duty_of("c")};
    struct placement_target targets[PLACEMENT_MOVES_MAX];
    for (int outage = 0; outage < 4; outage++) {
        for (size_t i = 0; i < 2; i++) {
            nodes[i] = node_of(i + 1);
            nodes[i].managers[0].percent = outage == 0 ? 0 : outage == 1 ? -1 : 100;
            nodes[i].draining = outage == 2;
            nodes[i].manager_count = outage == 3 ? 0 : 1;
        }
        for (int64_t now_ms = 0; now_ms < 100000; now_ms += 1000) {
            assert_int_equal(decide(now_ms, nodes, 2, duties, 3, targets), 0);
        }
    }
    nodes[0] = node_of(1); /* relative: one that can is better than none */
    assert_int_equal(decide(0, nodes, 2, duties, 3, targets), 2);
    assert_int_equal(targets[0].duty, 1);
    assert_int_equal(targets[0].node, 0);
}

static void the_choice_goes_by_avoidance_health_load_and_name(void **unused)
{
    (void)unused;
    const struct {
        double scores[3];
        size_t duties[3];
        double loads[3]; /* below 0: unknown */
        int percents[3];
        size_t expected;
        bool known[3];
        bool avoid_first;
    } table[] = {
        {{90, 90, 90}, {0, 0, 0}, {0, 0, 0}, {100, 100, 100}, 0, {1, 1, 1}, false},
        {{85, 99, 90}, {0, 0, 0}, {0, 0, 0}, {100, 100, 100}, 0, {1, 1, 1}, false},
        {{85, 99, 90}, {1, 1, 0}, {0, 0, 0}, {100, 100, 100}, 2, {1, 1, 1}, false},
        {{75, 80, 10}, {0, 3, 0}, {0, 0, 0}, {100, 100, 100}, 1, {1, 1, 1}, false},
        {{49, 0, 20}, {0, 0, 0}, {0, 0, 0}, {100, 100, 100}, 1, {1, 0, 1}, false},
        {{50, 0, 20}, {0, 0, 0}, {0, 0, 0}, {100, 100, 100}, 0, {1, 0, 1}, false},
        {{90, 60, 10}, {0, 0, 0}, {0, 0, 0}, {100, 100, 100}, 1, {1, 1, 1}, true},
        {{90, 90, 90}, {0, 0, 0}, {60, 10, 50}, {100, 100, 100}, 1, {1, 1, 1}, false},
        {{90, 90, 90}, {0, 1, 0}, {20, 0, 100}, {100, 100, 100}, 0, {1, 1, 1}, false},
        {{90, 90, 90}, {0, 0, 0}, {100, -1, 100}, {100, 100, 100}, 1, {1, 1, 1}, false},
        {{90, 90, 90}, {0, 3, 0}, {0, 0, 0}, {50, 100, 60}, 1, {1, 1, 1}, false},
    };
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        struct placement_node nodes[3];
        struct placement_duty duties[8];
        size_t count = 1;
        duties[0] = duty_of("a");
        duties[0].avoid_count = table[i].avoid_first ? 1 : 0;
        duties[0].avoid[0] = 1;
        for (size_t j = 0; j < 3; j++) {
            nodes[j] = node_of(j + 1);
            nodes[j].score = table[i].scores[j];
            nodes[j].score_known = table[i].known[j];
            nodes[j].load_known = table[i].loads[j] >= 0;
            nodes[j].load = table[i].loads[j];
            nodes[j].managers[0].percent = table[i].percents[j];
            for (size_t k = 0; k < table[i].duties[j]; k++) {
                char name[32];
                (void)snprintf(name, sizeof(name), "load-%zu-%zu", j, k);
                duties[count++] = held_by(name, j + 1);
            }
        }
        struct placement_target targets[PLACEMENT_MOVES_MAX];
        if (decide(0, nodes, 3, duties, count, targets) != 1 ||
            targets[0].node != table[i].expected) {
            fail_msg("row %zu: node %zu", i, targets[0].node);
        }
    }
}

static void the_avoided_host_is_better_than_none(void **unused)
{
    (void)unused;
    struct placement_node nodes[] = {node_of(1), node_of(2)};
    nodes[1].draining = true;
    struct placement_duty duty = duty_of("a");
    duty.avoid_count = 1;
    duty.avoid[0] = 1;
    struct placement_target targets[PLACEMENT_MOVES_MAX];
    assert_int_equal(decide(0, nodes, 2, &duty, 1, targets), 1);
    assert_int_equal(targets[0].node, 0);
    nodes[0].witness = true;
    assert_int_equal(decide(0, nodes, 2, &duty, 1, targets), 0);
}

static void a_list_of_allowed_nodes_is_kept_to(void **unused)
{
    (void)unused;
    struct placement_node nodes[] = {node_of(1), node_of(2), node_of(3)};
    struct placement_duty duty = duty_of("a");
    struct placement_target targets[PLACEMENT_MOVES_MAX];
    duty.only_count = 1;
    duty.only[0] = 3;
    assert_int_equal(decide(0, nodes, 3, &duty, 1, targets), 1);
    assert_int_equal(targets[0].node, 2);
    nodes[2].alive = false; /* better nowhere than elsewhere */
    assert_int_equal(decide(0, nodes, 3, &duty, 1, targets), 0);
    duty.only[0] = 0; /* a name that nobody has */
    assert_int_equal(decide(0, nodes, 3, &duty, 1, targets), 0);
}

static void a_label_that_is_asked_for_must_be_there(void **unused)
{
    (void)unused;
    struct placement_node nodes[] = {node_of(1), node_of(2), node_of(3)};
    put_label(&nodes[0], "zone=a");
    put_label(&nodes[1], "zone=b");
    put_label(&nodes[1], "disk=fast");
    put_label(&nodes[2], "zone=bb");
    struct placement_duty duty = duty_of("a");
    struct placement_target targets[PLACEMENT_MOVES_MAX];
    ask_for_label(&duty, "zone=b");
    assert_int_equal(decide(0, nodes, 3, &duty, 1, targets), 1);
    assert_int_equal(targets[0].node, 1);
    ask_for_label(&duty, "disk=fast");
    assert_int_equal(decide(0, nodes, 3, &duty, 1, targets), 1);
    ask_for_label(&duty, "disk=slow");
    assert_int_equal(decide(0, nodes, 3, &duty, 1, targets), 0);
}

/* It leaves where it may not be any more, but only for a place where it may. */
static void an_excluded_node_is_left(void **unused)
{
    (void)unused;
    struct placement_node nodes[] = {node_of(1), node_of(2)};
    struct placement_duty duty = held_by("a", 1);
    struct placement_target targets[PLACEMENT_MOVES_MAX];
    duty.bound = true;
    duty.only_count = 1;
    duty.only[0] = 2;
    nodes[1].alive = false;
    assert_int_equal(decide(0, nodes, 2, &duty, 1, targets), 0);
    nodes[1].alive = true;
    assert_int_equal(decide(0, nodes, 2, &duty, 1, targets), 1);
    assert_int_equal(targets[0].reason, PLACEMENT_NODE_EXCLUDED);
    assert_int_equal(targets[0].node, 1);
    assert_true(targets[0].leave);
    duty.leaving = true; /* it was told */
    assert_int_equal(decide(0, nodes, 2, &duty, 1, targets), 0);
}

static void priority_is_placed_first_and_load_is_spread(void **unused)
{
    (void)unused;
    struct placement_node nodes[] = {node_of(1), node_of(2), node_of(3)};
    struct placement_duty duties[] = {duty_of("d"), duty_of("c"), duty_of("b"), duty_of("a"),
                                      duty_of("e")};
    duties[0].priority = 9;
    duties[2].wanted = false;
    duties[4].rests = true;
    struct placement_target targets[PLACEMENT_MOVES_MAX];
    assert_int_equal(decide(0, nodes, 3, duties, 5, targets), 3);
    const size_t order[] = {0, 3, 1};
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(targets[i].duty, order[i]);
        assert_int_equal(targets[i].node, i);
    }
}

static void one_group_is_spread_over_nodes_hosts_and_zones(void **unused)
{
    (void)unused;
    struct placement_node nodes[] = {node_of(1), node_of(2), node_of(3), node_of(4)};
    put_label(&nodes[0], "host=x");
    put_label(&nodes[1], "host=x");
    put_label(&nodes[0], "zone=a");
    put_label(&nodes[1], "zone=a");
    put_label(&nodes[2], "zone=a");
    put_label(&nodes[3], "zone=b");
    nodes[3].score = 60; /* spread goes before health */
    nodes[2].score = 70;
    struct placement_duty duties[4];
    for (size_t i = 0; i < 4; i++) {
        const char *const names[] = {"a", "a~2", "a~3", "a~4"};
        duties[i] = duty_of(names[i]);
        placement_copy_group(duties[i].id, duties[i].group);
        assert_string_equal(duties[i].group, "pm2/a");
    }
    struct placement_target targets[PLACEMENT_MOVES_MAX];
    assert_int_equal(decide(0, nodes, 4, duties, 4, targets), 4);
    const size_t expected[] = {0, 3, 2, 1}; /* another zone, another host, another node */
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(targets[i].duty, i);
        assert_int_equal(targets[i].node, expected[i]);
    }
}

static enum placement_verdict verdict_of(const struct placement_node *nodes, size_t count,
                                         const struct placement_duty *duty)
{
    static struct placement_explanation told;
    struct placement *placement = placement_create(NULL);
    const struct placement_world world = {
        .nodes = nodes, .node_count = count, .duties = duty, .duty_count = 1};
    placement_explain(placement, 0, &world, 0, &told);
    placement_destroy(&placement);
    return told.verdict;
}

static void a_run_is_placed_once_and_stays(void **unused)
{
    (void)unused;
    struct placement_node nodes[] = {node_of(1), node_of(2)};
    struct placement_duty duty = duty_of("report@20261122T051500Z");
    struct placement_target targets[PLACEMENT_MOVES_MAX];
    duty.once = true;
    duty.rests = true; /* its retry waits */
    assert_int_equal(decide(0, nodes, 2, &duty, 1, targets), 0);
    assert_int_equal(verdict_of(nodes, 2, &duty), PLACEMENT_RESTS);
    duty.barred = true; /* by another of its group */
    assert_int_equal(verdict_of(nodes, 2, &duty), PLACEMENT_BARRED);
    duty.barred = false;
    duty.rests = false;
    assert_int_equal(decide(0, nodes, 2, &duty, 1, targets), 1);
    duty.spent = true;
    assert_int_equal(decide(0, nodes, 2, &duty, 1, targets), 0);
    for (int fault = 0; fault < 5; fault++) {
        struct placement_duty held = held_by("report@20261122T051500Z", 1);
        held.once = true;
        held.spent = true;
        nodes[0] = node_of(1);
        nodes[0].alive = fault != 0;
        nodes[0].draining = fault == 1;
        nodes[0].managers[0].percent = fault == 2 ? 0 : 100;
        nodes[0].incarnation += fault == 3 ? 1 : 0;
        nodes[0].score = fault == 4 ? 1 : 90;
        for (int64_t now_ms = 0; now_ms < 100000; now_ms += 1000) {
            assert_int_equal(decide(now_ms, nodes, 2, &held, 1, targets), 0);
        }
    }
}

static void a_move_goes_only_where_it_can(void **unused)
{
    (void)unused;
    struct placement_node nodes[] = {node_of(1), node_of(2), node_of(3)};
    struct placement_duty duty = held_by("a", 1);
    size_t node = 0;
    assert_int_equal(placement_move_step(nodes, 3, &duty, NULL, &node), PLACEMENT_MOVE_NONE);
    assert_int_equal(placement_move_step(nodes, 3, &duty, "n3", &node), PLACEMENT_MOVE_GO);
    assert_int_equal(node, 2);
    /* where it runs already; and once it is released there, it may be given back */
    assert_int_equal(placement_move_step(nodes, 3, &duty, "n1", &node), PLACEMENT_MOVE_DROP);
    assert_int_equal(placement_move_step(nodes, 3, &duty, "-", &node), PLACEMENT_MOVE_AWAY);
    duty.assigned = false;
    assert_int_equal(placement_move_step(nodes, 3, &duty, "n1", &node), PLACEMENT_MOVE_GO);
    assert_int_equal(placement_move_step(nodes, 3, &duty, "n9", &node), PLACEMENT_MOVE_DROP);
    assert_int_equal(placement_move_step(nodes, 3, &duty, "-", &node), PLACEMENT_MOVE_DROP);
    duty.assigned = true;
    nodes[0].alive = false; /* it cannot let go */
    assert_int_equal(placement_move_step(nodes, 3, &duty, "-", &node), PLACEMENT_MOVE_DROP);
    for (int fault = 0; fault < 6; fault++) {
        nodes[2] = node_of(3);
        nodes[2].alive = fault != 0;
        nodes[2].draining = fault == 1;
        nodes[2].witness = fault == 2;
        nodes[2].managers[0].percent = fault == 3 ? 0 : 100;
        duty.only_count = fault == 4 ? 1 : 0;
        duty.only[0] = 2;
        duty.label_count = 0;
        if (fault == 5) {
            ask_for_label(&duty, "zone=a");
        }
        assert_int_equal(placement_move_step(nodes, 3, &duty, "n3", &node), PLACEMENT_MOVE_DROP);
    }
}

static void keys_of_moves_are_told_apart(void **unused)
{
    (void)unused;
    char key[SETTING_KEY_SIZE];
    char other[SETTING_KEY_SIZE];
    placement_move_key("pm2/worker", key);
    assert_string_equal(key, "duty.move/pm2/worker");
    char id[DUTY_ID_SIZE];
    memset(id, 'x', sizeof(id));
    id[80] = '\0';
    placement_move_key(id, key);
    assert_string_equal(key + strlen("duty.move/"), id);
    id[80] = 'x';
    id[DUTY_ID_SIZE - 1] = '\0';
    placement_move_key(id, key);
    id[DUTY_ID_SIZE - 2] = 'y';
    placement_move_key(id, other);
    assert_string_not_equal(key, other);
}

static void copies_have_ids_of_their_own(void **unused)
{
    (void)unused;
    char id[DUTY_ID_SIZE];
    assert_true(placement_copy_id("pm2/w", 1, id));
    assert_string_equal(id, "pm2/w");
    assert_true(placement_copy_id("pm2/w", 12, id));
    assert_string_equal(id, "pm2/w~12");
    char longest[DUTY_ID_SIZE];
    memset(longest, 'x', sizeof(longest));
    longest[DUTY_ID_SIZE - 1] = '\0';
    assert_true(placement_copy_id(longest, 1, id));
    assert_false(placement_copy_id(longest, 2, id));
    const char *const kept[] = {"pm2/w", "pm2/w~", "pm2/w~x", "pm2/w~02", "~2"};
    for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++) {
        placement_copy_group(kept[i], id);
        assert_string_equal(id, kept[i]);
    }
    placement_copy_group("pm2/w~3~12", id);
    assert_string_equal(id, "pm2/w~3");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_duty_leaves_a_node_that_cannot_run_it, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_may_not_go_yet_is_not_told, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_shared_outage_moves_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_choice_goes_by_avoidance_health_load_and_name, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(the_avoided_host_is_better_than_none, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_list_of_allowed_nodes_is_kept_to, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_label_that_is_asked_for_must_be_there, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_excluded_node_is_left, set_up, tear_down),
        cmocka_unit_test_setup_teardown(priority_is_placed_first_and_load_is_spread, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(one_group_is_spread_over_nodes_hosts_and_zones, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_run_is_placed_once_and_stays, set_up, tear_down),
        cmocka_unit_test(a_move_goes_only_where_it_can),
        cmocka_unit_test(keys_of_moves_are_told_apart),
        cmocka_unit_test(copies_have_ids_of_their_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
