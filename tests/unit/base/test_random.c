/* The generator against its authors' algorithm, and its ranges. */
#include "node/base/rng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* The first outputs of xoshiro256** from the state 1, 2, 3, 4, worked out from the paper. */
static void it_is_the_generator_of_the_paper(void **state)
{
    (void)state;
    static const uint64_t expected[] = {11520, 0, 1509978240, 1215971899390074240};
    struct rng rng = {.state = {1, 2, 3, 4}};
    for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++) {
        assert_int_equal(rng_next(&rng), expected[i]);
    }
}

static void one_seed_gives_one_sequence(void **state)
{
    (void)state;
    struct rng one;
    struct rng same;
    struct rng other;
    rng_init(&one, 0);
    rng_init(&same, 0);
    rng_init(&other, 1);
    for (int i = 0; i < 100; i++) {
        uint64_t value = rng_next(&one);
        assert_int_equal(value, rng_next(&same));
        assert_int_not_equal(value, rng_next(&other));
    }
}

static void ranges_hold_and_are_reached(void **state)
{
    (void)state;
    struct rng rng;
    unsigned seen[7] = {0};
    rng_init(&rng, 7);
    for (int i = 0; i < 7000; i++) {
        int64_t value = rng_between(&rng, -3, 3);
        assert_in_range(value + 3, 0, 6);
        seen[value + 3]++;
        assert_true(rng_below(&rng, 5) < 5);
    }
    for (int i = 0; i < 7; i++) {
        assert_in_range(seen[i], 850, 1150); /* of one seed: the same in every run */
    }
    assert_int_equal(rng_below(&rng, 1), 0);
    assert_int_equal(rng_between(&rng, 9, 9), 9);
    assert_int_equal(rng_between(&rng, INT64_MIN, INT64_MIN), INT64_MIN);
    (void)rng_between(&rng, INT64_MIN, INT64_MAX); /* the whole width does not overflow */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_the_generator_of_the_paper),
        cmocka_unit_test(one_seed_gives_one_sequence),
        cmocka_unit_test(ranges_hold_and_are_reached),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
