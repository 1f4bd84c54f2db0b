/* Each rule that can be switched off is worth something: without it a cluster fares worse. */
#include "tests/unit/gossip/net.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

/* Cuts a node off for so long that it is suspected but not buried, again and again. */
static uint64_t false_deaths_of_short_cuts(struct gossip_switches off)
{
    uint64_t false_deaths = 0;
    for (uint64_t seed = 1; seed <= 5; seed++) {
        struct net net;
        net_init(&net, 5, "lan", seed);
        net.config.off = off;
        net_start_all(&net);
        assert_true(net_run_until(&net, net_agrees, 60000));
        for (unsigned i = 0; i < 10; i++) {
            net.nodes[0].side = 1;
            net_run(&net, 2000);
            net.nodes[0].side = 0;
            net_run(&net, 10000);
        }
        false_deaths += net.false_deaths;
        net_deinit(&net);
    }
    return false_deaths;
}

static void without_refutation_a_suspect_dies(void **state)
{
    (void)state;
    assert_int_equal(false_deaths_of_short_cuts((struct gossip_switches){0}), 0);
    assert_true(false_deaths_of_short_cuts((struct gossip_switches){.refutation = true}) > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_refutation_a_suspect_dies),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
