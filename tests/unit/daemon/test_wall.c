/* Whether the wall clock may be acted on. */
#include "node/daemon/wall.h"
#include "tests/unit/daemon/cmocka_all.h"

#define WALL INT64_C(1790000000000)

/* Looks every half second, the wall clock in step, for `ms`. */
static enum wall_verdict pass(struct wall *wall, int64_t *now_ms, int64_t ms, int64_t offset_ms,
                              size_t others)
{
    enum wall_verdict verdict = wall->verdict;
    for (int64_t end_ms = *now_ms + ms; *now_ms <= end_ms; *now_ms += 500) {
        verdict = wall_look(wall, *now_ms, *now_ms + offset_ms, others);
    }
    return verdict;
}

static void alone_it_is_trusted_until_it_jumps(void **state)
{
    (void)state;
    struct wall wall = {0};
    int64_t now_ms = 1000;
    assert_int_equal(pass(&wall, &now_ms, 5000, WALL, 0), WALL_TRUSTED);
    assert_int_equal(pass(&wall, &now_ms, 0, WALL + 3600000, 0), WALL_JUMPED);
    assert_int_equal(pass(&wall, &now_ms, WALL_SETTLE_MS - 1000, WALL + 3600000, 0), WALL_JUMPED);
    assert_int_equal(pass(&wall, &now_ms, 2000, WALL + 3600000, 0), WALL_TRUSTED);
    assert_int_equal(pass(&wall, &now_ms, 0, WALL, 0), WALL_JUMPED); /* back is a jump, too */
}

static void a_clock_that_slews_is_followed(void **state)
{
    (void)state;
    struct wall wall = {0};
    int64_t offset_ms = WALL;
    for (int64_t now_ms = 0; now_ms < 600000; now_ms += 500) {
        offset_ms += 100; /* faster than any time daemon's */
        assert_int_equal(wall_look(&wall, now_ms, now_ms + offset_ms, 0), WALL_TRUSTED);
    }
}

static void with_others_it_waits_until_one_has_told(void **state)
{
    (void)state;
    struct wall wall = {0};
    int64_t now_ms = 1000;
    assert_int_equal(pass(&wall, &now_ms, 20000, WALL, 2), WALL_UNKNOWN);
    wall_told(&wall, now_ms, 7, now_ms + WALL + 300);
    assert_int_equal(pass(&wall, &now_ms, 0, WALL, 2), WALL_TRUSTED);
    /* Nobody is heard any more: what was trusted and has not jumped stays so. */
    assert_int_equal(pass(&wall, &now_ms, 2 * WALL_FRESH_MS, WALL, 2), WALL_TRUSTED);
    assert_int_equal(pass(&wall, &now_ms, 0, WALL + 60000, 2), WALL_UNKNOWN);
}

static void a_jump_ends_when_the_others_agree(void **state)
{
    (void)state;
    struct wall wall = {0};
    int64_t now_ms = 1000;
    wall_told(&wall, now_ms, 7, now_ms + WALL);
    wall_told(&wall, now_ms, 8, now_ms + WALL + 500);
    assert_int_equal(pass(&wall, &now_ms, 1000, WALL, 2), WALL_TRUSTED);
    assert_int_equal(pass(&wall, &now_ms, 20000, WALL - 5000, 2), WALL_APART);
    assert_int_equal(pass(&wall, &now_ms, 0, WALL + 200, 2), WALL_TRUSTED);
}

/* The one that is wrong finds itself apart from the median; the others do not mind it. */
static void the_median_decides(void **state)
{
    (void)state;
    static const int64_t offsets[3] = {WALL, WALL + 100, WALL + 3600000};
    for (int own = 0; own < 3; own++) {
        struct wall wall = {0};
        int64_t now_ms = 1000;
        for (int i = 0; i < 3; i++) {
            if (i != own) {
                wall_told(&wall, now_ms, (uint64_t)i + 1, now_ms + offsets[i]);
            }
        }
        assert_int_equal(pass(&wall, &now_ms, 1000, offsets[own], 2),
                         own == 2 ? WALL_APART : WALL_TRUSTED);
    }
}

/* Of two that differ nobody can say which is wrong. */
static void of_two_the_verdict_stays(void **state)
{
    (void)state;
    struct wall fresh = {0};
    int64_t now_ms = 1000;
    wall_told(&fresh, now_ms, 7, now_ms + WALL + 60000);
    assert_int_equal(pass(&fresh, &now_ms, 1000, WALL, 1), WALL_APART);
    struct wall trusted = {0};
    wall_told(&trusted, now_ms, 7, now_ms + WALL);
    assert_int_equal(pass(&trusted, &now_ms, 1000, WALL, 1), WALL_TRUSTED);
    wall_told(&trusted, now_ms, 7, now_ms + WALL + 60000); /* the other one has jumped */
    assert_int_equal(pass(&trusted, &now_ms, 1000, WALL, 1), WALL_TRUSTED);
    assert_int_equal(pass(&trusted, &now_ms, 1000, WALL + 30000, 1), WALL_APART); /* now this */
}

/* More nodes than there is room for: the one told longest ago goes. */
static void it_keeps_the_latest_of_many(void **state)
{
    (void)state;
    struct wall wall = {0};
    int64_t now_ms = 1000;
    for (uint64_t id = 1; id <= 2 * NODES_MAX; id++) {
        wall_told(&wall, now_ms + (int64_t)id, id, now_ms + WALL + (id > NODES_MAX ? 0 : 90000));
    }
    now_ms += 2 * NODES_MAX;
    assert_int_equal(pass(&wall, &now_ms, 0, WALL, NODES_MAX - 1), WALL_TRUSTED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(alone_it_is_trusted_until_it_jumps),
        cmocka_unit_test(a_clock_that_slews_is_followed),
        cmocka_unit_test(with_others_it_waits_until_one_has_told),
        cmocka_unit_test(a_jump_ends_when_the_others_agree),
        cmocka_unit_test(the_median_decides),
        cmocka_unit_test(of_two_the_verdict_stays),
        cmocka_unit_test(it_keeps_the_latest_of_many),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
