/* Whole clusters in virtual time: joining, a crash known to all, no false death, cut and heal. */
#include "tests/unit/gossip/net.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define SEEDS 5

static const size_t sizes[] = {3, 5, 20};

static void with_sizes_and_seeds(const char *profile, unsigned loss_percent,
                                 void (*check)(struct net *net))
{
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        for (uint64_t seed = 1; seed <= SEEDS; seed++) {
            struct net net;
            net_init(&net, sizes[i], profile, seed);
            net.loss_percent = loss_percent;
            net_start_all(&net);
            check(&net);
            net_deinit(&net);
        }
    }
}

static void check_join(struct net *net)
{
    assert_true(net_run_until(net, net_agrees, 5000));
    assert_true(net_all_alive(net));
}

static void nodes_that_know_the_seeds_find_each_other(void **state)
{
    (void)state;
    with_sizes_and_seeds("lan", 0, check_join);
    with_sizes_and_seeds("local", 0, check_join);
}

static void check_crash(struct net *net)
{
    assert_true(net_run_until(net, net_agrees, 60000));
    net->watched = net->node_count - 1;
    net_crash(net, net->watched);
    assert_true(net_run_until(net, net_watched_is_dead, 20000));
    assert_int_equal(net->false_deaths, 0);
    assert_true(net_run_until(net, net_agrees, 60000));
}

static void a_crash_is_known_by_all(void **state)
{
    (void)state;
    with_sizes_and_seeds("lan", 0, check_crash);
    with_sizes_and_seeds("local", 0, check_crash);
}

static void a_crash_is_known_by_all_in_spite_of_loss(void **state)
{
    (void)state;
    with_sizes_and_seeds("lan", 5, check_crash);
}

static void check_no_false_death(struct net *net)
{
    net_run(net, 600000);
    assert_int_equal(net->false_deaths, 0);
    net->loss_percent = 0;
    assert_true(net_run_until(net, net_agrees, 60000));
}

static void loss_of_five_percent_kills_nobody(void **state)
{
    (void)state;
    with_sizes_and_seeds("lan", 5, check_no_false_death);
}

static void check_cut_and_heal(struct net *net)
{
    assert_true(net_run_until(net, net_agrees, 60000));
    size_t away = (net->node_count - 1) / 2;
    for (size_t i = 0; i < away; i++) {
        net->nodes[i].side = 1;
    }
    net_run(net, 60000);
    assert_int_equal(net_state(net, 0, net->node_count - 1), GOSSIP_DEAD);
    assert_int_equal(net_state(net, net->node_count - 1, 0), GOSSIP_DEAD);
    assert_int_equal(net->false_deaths, 0);
    for (size_t i = 0; i < away; i++) {
        net->nodes[i].side = 0;
    }
    assert_true(net_run_until(net, net_agrees, 30000));
    assert_true(net_all_alive(net));
    assert_int_equal(net->false_deaths, 0);
}

static void a_cut_makes_two_sides_that_heal_without_a_false_death(void **state)
{
    (void)state;
    with_sizes_and_seeds("lan", 0, check_cut_and_heal);
    with_sizes_and_seeds("lan", 5, check_cut_and_heal);
}

static void a_cut_heals_without_any_seed(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct net net;
        net_init(&net, 5, "lan", seed);
        net.seed_count = 1;
        net_start_all(&net);
        assert_true(net_run_until(&net, net_all_alive, 30000));
        net_crash(&net, 0); /* the only seed, and for good */
        net.nodes[1].side = 1;
        net.nodes[2].side = 1;
        net_run(&net, 60000);
        assert_int_equal(net_state(&net, 1, 4), GOSSIP_DEAD);
        net.nodes[1].side = 0;
        net.nodes[2].side = 0;
        assert_true(net_run_until(&net, net_agrees, 60000));
        net_deinit(&net);
    }
}

static void check_short_isolation(struct net *net)
{
    assert_true(net_run_until(net, net_agrees, 60000));
    net->excused = 0; /* its own views, and others' of it, were right a moment before */
    for (int64_t cut_ms = 1000; cut_ms <= 9000; cut_ms += 2000) {
        net->nodes[0].side = 1;
        net_run(net, cut_ms);
        net->nodes[0].side = 0;
        assert_true(net_run_until(net, net_agrees, 30000));
    }
    assert_int_equal(net->false_deaths, 0);
}

static void an_isolated_node_buries_nobody_when_it_is_back(void **state)
{
    (void)state;
    with_sizes_and_seeds("lan", 0, check_short_isolation);
}

static void check_freeze(struct net *net)
{
    assert_true(net_run_until(net, net_agrees, 60000));
    net->watched = 0;
    net_freeze(net, 0);
    net_run(net, 30000);
    assert_true(net_watched_is_dead(net));
    net_thaw(net, 0);
    assert_true(net_run_until(net, net_agrees, 30000));
    assert_int_equal(net->false_deaths, 0);
    struct gossip_counters counters;
    gossip_counters(net->nodes[0].gossip, &counters);
    assert_int_equal(counters.stalls, 1);
    assert_true(counters.refutations >= 1);
}

static void a_frozen_node_returns_and_accuses_nobody(void **state)
{
    (void)state;
    with_sizes_and_seeds("lan", 0, check_freeze);
}

static void check_restart_elsewhere(struct net *net)
{
    assert_true(net_run_until(net, net_agrees, 60000));
    size_t moved = net->node_count - 1;
    net_crash(net, moved);
    net_run(net, 300);
    (void)snprintf(net->nodes[moved].address, ADDRESS_SIZE, "tcp://192.168.0.7:7400");
    net_start(net, moved);
    assert_true(net_run_until(net, net_agrees, 30000));
    struct gossip_member member;
    assert_true(gossip_member_find(net->nodes[0].gossip, net->nodes[moved].name, &member));
    assert_string_equal(member.address, "tcp://192.168.0.7:7400");
    assert_int_equal(member.state, GOSSIP_ALIVE);
}

static void a_node_that_restarts_at_another_address_is_found(void **state)
{
    (void)state;
    with_sizes_and_seeds("lan", 0, check_restart_elsewhere);
}

static void check_all_restart(struct net *net)
{
    assert_true(net_run_until(net, net_agrees, 60000));
    for (size_t i = 0; i < net->node_count; i++) {
        net_crash(net, i);
    }
    for (size_t i = 0; i < net->node_count; i++) {
        (void)snprintf(net->nodes[i].address, ADDRESS_SIZE, "tcp://10.9.9.%zu:7400", i + 1);
    }
    net_run(net, 1000);
    net_start_all(net);
    assert_true(net_run_until(net, net_all_alive, 10000));
}

static void all_restart_at_other_addresses(void **state)
{
    (void)state;
    with_sizes_and_seeds("lan", 0, check_all_restart);
}

static void check_leave(struct net *net)
{
    assert_true(net_run_until(net, net_agrees, 60000));
    size_t leaver = net->node_count - 1;
    gossip_leave(net->nodes[leaver].gossip, net->now_ms);
    net_drain(net, leaver);
    int64_t start_ms = net->now_ms;
    while (!gossip_leave_done(net->nodes[leaver].gossip)) {
        net_run(net, 10);
        assert_true(net->now_ms - start_ms < 1000);
    }
    net_run(net, 10);
    net_crash(net, leaver);
    net_run(net, 3000);
    for (size_t i = 0; i < leaver; i++) {
        assert_int_equal(net_state(net, i, leaver), GOSSIP_LEFT);
    }
    net_run(net, 20000);
    for (size_t i = 0; i < leaver; i++) {
        assert_int_equal(net_state(net, i, leaver), GOSSIP_LEFT);
    }
    net_start(net, leaver);
    assert_true(net_run_until(net, net_all_alive, 10000));
}

static void a_leave_is_known_by_all_before_the_node_goes(void **state)
{
    (void)state;
    with_sizes_and_seeds("lan", 0, check_leave);
}

static void give_health(struct net *net, size_t index, int score_tenths)
{
    struct gossip_health health;
    gossip_health_init(&health);
    health.score_tenths = score_tenths;
    health.load_hundredths = 100;
    (void)snprintf(health.version, sizeof health.version, "0.1.0");
    health.component_count = 1;
    (void)snprintf(health.components[0].name, sizeof health.components[0].name, "cpu");
    health.components[0].score_tenths = score_tenths;
    assert_int_equal(gossip_set_health(net->nodes[index].gossip, net->now_ms, &health, NULL), 0);
    net_drain(net, index);
}

static bool health_is_everywhere(const struct net *net)
{
    for (size_t at = 0; at < net->node_count; at++) {
        struct gossip_health health;
        bool complete;
        if (!gossip_member_health(net->nodes[at].gossip, "n1", &health, &complete) || !complete ||
            health.score_tenths != 400 || health.component_count != 1 ||
            health.components[0].score_tenths != 400) {
            return false;
        }
    }
    return net_agrees(net);
}

static void check_health(struct net *net)
{
    for (size_t i = 0; i < net->node_count; i++) {
        give_health(net, i, 900 + (int)i);
    }
    assert_true(net_run_until(net, net_agrees, 60000));
    give_health(net, 0, 400);
    assert_true(net_run_until(net, health_is_everywhere, 60000));
}

static void health_records_agree_everywhere(void **state)
{
    (void)state;
    with_sizes_and_seeds("lan", 0, check_health);
    with_sizes_and_seeds("lan", 5, check_health);
}

static void check_reap(struct net *net)
{
    net->config.dead_keep_ms = 60000;
    for (size_t i = 0; i < net->node_count; i++) {
        net_crash(net, i);
        net_start(net, i);
    }
    assert_true(net_run_until(net, net_agrees, 60000));
    size_t last = net->node_count - 1;
    net_crash(net, last);
    net_run(net, 100000);
    for (size_t i = 0; i < last; i++) {
        assert_false(net_knows(net, i, last));
    }
    net_start(net, last);
    assert_true(net_run_until(net, net_all_alive, 30000));
}

static void the_dead_are_dropped_after_a_while_and_may_come_back(void **state)
{
    (void)state;
    with_sizes_and_seeds("lan", 0, check_reap);
}

static void a_seed_replays(void **state)
{
    (void)state;
    uint64_t messages[2];
    for (size_t i = 0; i < 2; i++) {
        struct net net;
        net_init(&net, 5, "lan", 77);
        net.loss_percent = 10;
        net_start_all(&net);
        net_run(&net, 60000);
        messages[i] = net.messages;
        net_deinit(&net);
    }
    assert_int_equal(messages[0], messages[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nodes_that_know_the_seeds_find_each_other),
        cmocka_unit_test(a_crash_is_known_by_all),
        cmocka_unit_test(a_crash_is_known_by_all_in_spite_of_loss),
        cmocka_unit_test(loss_of_five_percent_kills_nobody),
        cmocka_unit_test(a_cut_makes_two_sides_that_heal_without_a_false_death),
        cmocka_unit_test(a_cut_heals_without_any_seed),
        cmocka_unit_test(an_isolated_node_buries_nobody_when_it_is_back),
        cmocka_unit_test(a_frozen_node_returns_and_accuses_nobody),
        cmocka_unit_test(a_node_that_restarts_at_another_address_is_found),
        cmocka_unit_test(all_restart_at_other_addresses),
        cmocka_unit_test(a_leave_is_known_by_all_before_the_node_goes),
        cmocka_unit_test(health_records_agree_everywhere),
        cmocka_unit_test(the_dead_are_dropped_after_a_while_and_may_come_back),
        cmocka_unit_test(a_seed_replays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
