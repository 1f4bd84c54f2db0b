#include "consensus/placement.h"
#include "node/base/rng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct placement_node node_of(uint64_t raft_id)
{
    struct placement_node node = {.raft_id = raft_id,
                                  .incarnation = 5,
                                  .alive = true,
                                  .score_known = true,
                                  .score = 90,
                                  .manager_count = 1};
    (void)snprintf(node.name, sizeof(node.name), "n%u", (unsigned)raft_id);
    (void)snprintf(node.managers[0], NAME_SIZE, "pm2");
    return node;
}

static struct placement_duty duty_of(const char *name)
{
    struct placement_duty duty = {.wanted = true};
    (void)snprintf(duty.id, sizeof(duty.id), "pm2/%s", name);
    (void)snprintf(duty.manager, sizeof(duty.manager), "pm2");
    return duty;
}

static struct placement_duty held_by(const char *name, uint64_t raft_id)
{
    struct placement_duty duty = duty_of(name);
    duty.assigned = true;
    duty.raft_id = raft_id;
    duty.incarnation = 5;
    return duty;
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
            nodes[0].manager_count = 0;
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
        struct placement_target target;
        size_t count = placement_decide(nodes, 3, &duty, 1, &target);
        if (fault == 0) {
            assert_int_equal(count, 0);
            continue;
        }
        assert_int_equal(count, 1);
        assert_int_equal(target.node, expected_node);
        assert_int_equal(target.reason, expected);
        assert_string_not_equal(placement_reason_name(target.reason), "unknown");
    }
}

static void a_duty_stays_where_it_is_well_enough(void **unused)
{
    (void)unused;
    struct placement_node nodes[] = {node_of(1), node_of(2)};
    nodes[0].score = 1;
    struct placement_duty duties[] = {held_by("a", 1), held_by("b", 1), held_by("c", 1)};
    duties[0].avoid_count = 1;
    duties[0].avoid[0] = 1;
    struct placement_target targets[3];
    assert_int_equal(placement_decide(nodes, 2, duties, 3, targets), 0);
}

static void the_choice_goes_by_avoidance_health_load_and_name(void **unused)
{
    (void)unused;
    const struct {
        double scores[3];
        size_t loads[3];
        size_t expected;
        bool known[3];
        bool avoid_first;
    } table[] = {
        {{90, 90, 90}, {0, 0, 0}, 0, {1, 1, 1}, false},
        {{85, 99, 90}, {0, 0, 0}, 0, {1, 1, 1}, false}, /* one state of health: by name */
        {{85, 99, 90}, {1, 1, 0}, 2, {1, 1, 1}, false},
        {{79, 80, 10}, {0, 3, 0}, 1, {1, 1, 1}, false}, /* health before load */
        {{49, 0, 20}, {0, 0, 0}, 1, {1, 0, 1}, false},  /* unknown before critical */
        {{50, 0, 20}, {0, 0, 0}, 0, {1, 0, 1}, false},  /* but after warning */
        {{90, 60, 10}, {0, 0, 0}, 1, {1, 1, 1}, true},  /* away from the primary's host */
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
            for (size_t k = 0; k < table[i].loads[j]; k++) {
                char name[32];
                (void)snprintf(name, sizeof(name), "load-%zu-%zu", j, k);
                duties[count++] = held_by(name, j + 1);
            }
        }
        struct placement_target targets[8];
        if (placement_decide(nodes, 3, duties, count, targets) != 1 ||
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
    struct placement_target target;
    assert_int_equal(placement_decide(nodes, 2, &duty, 1, &target), 1);
    assert_int_equal(target.node, 0);
    nodes[0].witness = true;
    assert_int_equal(placement_decide(nodes, 2, &duty, 1, &target), 0);
}

static void a_list_of_allowed_nodes_is_kept_to(void **unused)
{
    (void)unused;
    struct placement_node nodes[] = {node_of(1), node_of(2), node_of(3)};
    struct placement_duty duty = duty_of("a");
    struct placement_target target;
    duty.only_count = 1;
    duty.only[0] = 3;
    assert_int_equal(placement_decide(nodes, 3, &duty, 1, &target), 1);
    assert_int_equal(target.node, 2);
    nodes[2].alive = false; /* better nowhere than elsewhere */
    assert_int_equal(placement_decide(nodes, 3, &duty, 1, &target), 0);
    duty.only[0] = 0; /* a name that nobody has */
    assert_int_equal(placement_decide(nodes, 3, &duty, 1, &target), 0);
}

static void priority_is_placed_first_and_load_is_spread(void **unused)
{
    (void)unused;
    struct placement_node nodes[] = {node_of(1), node_of(2), node_of(3)};
    struct placement_duty duties[] = {duty_of("d"), duty_of("c"), duty_of("b"), duty_of("a")};
    duties[0].priority = 9;
    duties[2].wanted = false;
    struct placement_target targets[4];
    assert_int_equal(placement_decide(nodes, 3, duties, 4, targets), 3);
    const size_t order[] = {0, 3, 1};
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(targets[i].duty, order[i]);
        assert_int_equal(targets[i].node, i);
    }
}

static void what_was_decided_is_stable_and_never_wrong(void **unused)
{
    (void)unused;
    struct rng rng;
    rng_init(&rng, 44);
    static struct placement_duty duties[200];
    struct placement_target targets[200];
    for (int round = 0; round < 300; round++) {
        struct placement_node nodes[6];
        for (uint64_t i = 0; i < 6; i++) {
            nodes[i] = node_of(i + 1);
            nodes[i].alive = rng_below(&rng, 4) != 0;
            nodes[i].draining = rng_below(&rng, 4) == 0;
            nodes[i].score = (double)rng_below(&rng, 100);
            nodes[i].manager_count = rng_below(&rng, 4) != 0;
            nodes[i].incarnation = 5 + rng_below(&rng, 2);
        }
        size_t count = rng_below(&rng, 200);
        for (size_t i = 0; i < count; i++) {
            char name[32];
            (void)snprintf(name, sizeof(name), "%zu", i);
            duties[i] =
                rng_below(&rng, 2) != 0 ? held_by(name, 1 + rng_below(&rng, 7)) : duty_of(name);
        }
        size_t placed = placement_decide(nodes, 6, duties, count, targets);
        for (size_t i = 0; i < placed; i++) {
            const struct placement_node *node = &nodes[targets[i].node];
            assert_true(node->alive && !node->draining && node->manager_count == 1);
            struct placement_duty *duty = &duties[targets[i].duty];
            duty->assigned = true;
            duty->raft_id = node->raft_id;
            duty->incarnation = node->incarnation;
        }
        assert_int_equal(placement_decide(nodes, 6, duties, count, targets), 0);
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
    duty.assigned = false;
    assert_int_equal(placement_move_step(nodes, 3, &duty, "n1", &node), PLACEMENT_MOVE_GO);
    assert_int_equal(placement_move_step(nodes, 3, &duty, "n9", &node), PLACEMENT_MOVE_DROP);
    for (int fault = 0; fault < 5; fault++) {
        nodes[2] = node_of(3);
        nodes[2].alive = fault != 0;
        nodes[2].draining = fault == 1;
        nodes[2].witness = fault == 2;
        nodes[2].manager_count = fault == 3 ? 0 : 1;
        duty.only_count = fault == 4 ? 1 : 0;
        duty.only[0] = 2;
        assert_int_equal(placement_move_step(nodes, 3, &duty, "n3", &node), PLACEMENT_MOVE_DROP);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_duty_leaves_a_node_that_cannot_run_it),
        cmocka_unit_test(a_duty_stays_where_it_is_well_enough),
        cmocka_unit_test(the_choice_goes_by_avoidance_health_load_and_name),
        cmocka_unit_test(the_avoided_host_is_better_than_none),
        cmocka_unit_test(a_list_of_allowed_nodes_is_kept_to),
        cmocka_unit_test(priority_is_placed_first_and_load_is_spread),
        cmocka_unit_test(what_was_decided_is_stable_and_never_wrong),
        cmocka_unit_test(a_move_goes_only_where_it_can),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
