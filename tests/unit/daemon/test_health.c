/* The health score: its components, its caps, what is unknown. */
#include "node/daemon/health.h"
#include "tests/unit/daemon/cmocka_all.h"

#include <string.h>

static struct health_sample well(void)
{
    return (struct health_sample){
        .cpu_pressure = 1,
        .memory_pressure = 0,
        .io_pressure = 0,
        .pressure_is_psi = true,
        .disk_free_percent = 60,
        .disk_free_bytes = INT64_C(100) << 30,
        .files_open = 50,
        .files_limit = 1024,
        .loop_lag_ms = 1,
        .storage_latency_us = 900,
        .managers_expected = 1,
        .managers_well = 1,
        .parent_alive = true,
    };
}

static double score_of(const struct health_sample *sample)
{
    struct health health;
    health_assess(sample, &health);
    assert_true(health.known);
    return health.score;
}

static void a_well_node_has_all(void **state)
{
    (void)state;
    struct health_sample sample = well();
    assert_float_equal(score_of(&sample), 100, 0.01);
}

static void a_full_disk_alone_takes_it_to_fifty(void **state)
{
    (void)state;
    struct health_sample sample = well();
    sample.disk_free_percent = 0.1;
    sample.disk_free_bytes = 1 << 20;
    assert_float_equal(score_of(&sample), 50, 0.01);
    sample.disk_free_bytes = INT64_C(100) << 30; /* 0.1 % of a huge disk is enough room */
    assert_float_equal(score_of(&sample), 100, 0.01);
}

static void no_descriptors_left_takes_it_to_fifty(void **state)
{
    (void)state;
    struct health_sample sample = well();
    sample.files_open = sample.files_limit;
    assert_float_equal(score_of(&sample), 50, 0.01);
}

static void pressure_alone_leaves_it_useful(void **state)
{
    (void)state;
    struct health_sample sample = well();
    sample.cpu_pressure = 100;
    assert_true(score_of(&sample) >= 80);
}

static void a_crawling_loop_or_disk_makes_it_ill(void **state)
{
    (void)state;
    struct health_sample sample = well();
    sample.loop_lag_ms = 5000;
    assert_true(score_of(&sample) <= 50);
    sample = well();
    sample.storage_latency_us = 3000000;
    assert_true(score_of(&sample) <= 50);
}

static void unknown_counts_neither_way(void **state)
{
    (void)state;
    struct health_sample sample = well();
    sample.io_pressure = -1;
    sample.storage_latency_us = -1;
    sample.managers_expected = 0;
    struct health health;
    health_assess(&sample, &health);
    assert_false(health.components[HEALTH_IO].known);
    assert_false(health.components[HEALTH_STORAGE].known);
    assert_false(health.components[HEALTH_MANAGERS].known);
    assert_true(strlen(health.components[HEALTH_IO].why) > 0);
    assert_float_equal(health.score, 100, 0.01);
}

static void the_injected_number_is_taken_off(void **state)
{
    (void)state;
    struct health_sample sample = well();
    sample.injected = 45;
    assert_float_equal(score_of(&sample), 55, 0.01);
    sample.injected = 100;
    assert_float_equal(score_of(&sample), 0, 0.01);
}

static void states_have_the_contracts_bounds(void **state)
{
    (void)state;
    assert_string_equal(health_state_name(true, 80.0, 80), "healthy");
    assert_string_equal(health_state_name(true, 79.9, 80), "warning");
    assert_string_equal(health_state_name(true, 50.0, 80), "warning");
    assert_string_equal(health_state_name(true, 49.9, 80), "critical");
    assert_string_equal(health_state_name(false, 100, 80), "unknown");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_well_node_has_all),
        cmocka_unit_test(a_full_disk_alone_takes_it_to_fifty),
        cmocka_unit_test(no_descriptors_left_takes_it_to_fifty),
        cmocka_unit_test(pressure_alone_leaves_it_useful),
        cmocka_unit_test(a_crawling_loop_or_disk_makes_it_ill),
        cmocka_unit_test(unknown_counts_neither_way),
        cmocka_unit_test(the_injected_number_is_taken_off),
        cmocka_unit_test(states_have_the_contracts_bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
