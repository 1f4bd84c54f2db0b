/* What makes a leader gray, of this node and of others. */
#include "node/daemon/gray.h"
#include "tests/unit/daemon/cmocka_all.h"

#include <stdio.h>
#include <string.h>

static struct health well(void)
{
    struct health health = {.known = true, .score = 100};
    for (int i = 0; i < HEALTH_COMPONENTS; i++) {
        health.components[i].known = true;
        health.components[i].value = 100;
    }
    return health;
}

static struct gossip_health told(const struct health *health)
{
    struct gossip_health ret;
    gossip_health_init(&ret);
    for (int i = 0; i < HEALTH_COMPONENTS; i++) {
        struct gossip_component *component = &ret.components[ret.component_count++];
        (void)snprintf(component->name, sizeof component->name, "%s",
                       health_component_name((enum health_component_id)i));
        component->score_tenths =
            health->components[i].known ? (int)(health->components[i].value * 10) : GOSSIP_UNKNOWN;
    }
    return ret;
}

static void each_kind_has_its_component(void **state)
{
    (void)state;
    const struct {
        enum health_component_id id;
        double value;
        bool known;
        uint32_t own, of_others;
    } table[] = {
        {HEALTH_CPU, 0, true, 0, 0},
        {HEALTH_DISK, 0, true, 0, 0},
        {HEALTH_PARENT, 0, true, 0, 0},
        {HEALTH_LOOP, 0, true, 0, GRAY_LOOP}, /* one long turn is no crawl, but no refuge */
        {HEALTH_LOOP, 70, true, 0, 0},
        {HEALTH_STORAGE, 79, true, 0, 0}, /* stalls of 500 ms: the timeouts adapt */
        {HEALTH_STORAGE, 20, true, GRAY_STORAGE, GRAY_STORAGE},
        {HEALTH_STORAGE, 0, false, 0, 0},
        {HEALTH_FILES, 50, true, 0, 0},
        {HEALTH_FILES, 0, true, GRAY_FILES, GRAY_FILES},
        {HEALTH_MANAGERS, 75, true, GRAY_MANAGERS, GRAY_MANAGERS},
        {HEALTH_MANAGERS, 0, false, 0, 0},
    };
    const struct gray_loop loop = {0};
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct health health = well();
        health.components[table[i].id].value = table[i].value;
        health.components[table[i].id].known = table[i].known;
        struct gossip_health others = told(&health);
        if (gray_of_own(&health, &loop, 0) != table[i].own ||
            gray_of_told(&others) != table[i].of_others) {
            fail_msg("row %zu: %u and %u", i, gray_of_own(&health, &loop, 0),
                     gray_of_told(&others));
        }
    }
}

static void a_loop_crawls_when_most_of_the_time_is_lost(void **state)
{
    (void)state;
    struct gray_loop loop = {0};
    int64_t now_ms = 1000000;
    gray_loop_turned(&loop, now_ms, 30000); /* frozen once */
    assert_false(gray_loop_crawls(&loop, now_ms));
    gray_loop_turned(&loop, now_ms + 100, 30000);
    assert_false(gray_loop_crawls(&loop, now_ms + 100));
    gray_loop_turned(&loop, now_ms + 200, GRAY_LATE_MS - 1); /* not late */
    assert_false(gray_loop_crawls(&loop, now_ms + 200));
    gray_loop_turned(&loop, now_ms + 300, GRAY_LATE_MS);
    assert_true(gray_loop_crawls(&loop, now_ms + 300));
    assert_true(gray_loop_crawls(&loop, now_ms + GRAY_WINDOW_MS - 1));
    assert_false(gray_loop_crawls(&loop, now_ms + GRAY_WINDOW_MS)); /* over */
}

static void late_turns_of_load_are_no_crawl(void **state)
{
    (void)state;
    struct gray_loop loop = {0};
    for (int64_t now_ms = 0; now_ms < 60000; now_ms += 2500) {
        gray_loop_turned(&loop, now_ms, 900);
        assert_false(gray_loop_crawls(&loop, now_ms));
    }
    for (int64_t now_ms = 100000; now_ms < 160000; now_ms += 2000) {
        gray_loop_turned(&loop, now_ms, 1700);
    }
    assert_true(gray_loop_crawls(&loop, 160000));
}

static void a_crawling_loop_is_gray(void **state)
{
    (void)state;
    struct gray_loop loop = {0};
    struct health health = well();
    for (int64_t now_ms = 2000; now_ms <= 10000; now_ms += 2000) {
        gray_loop_turned(&loop, now_ms, 1900);
    }
    assert_int_equal(gray_of_own(&health, &loop, 10000), GRAY_LOOP);
}

static void kinds_are_named(void **state)
{
    (void)state;
    char text[64];
    gray_text(0, text, sizeof text);
    assert_string_equal(text, "");
    gray_text(GRAY_STORAGE | GRAY_MANAGERS, text, sizeof text);
    assert_string_equal(text, "storage, managers");
    gray_text(GRAY_LOOP | GRAY_STORAGE | GRAY_FILES | GRAY_MANAGERS, text, 10);
    assert_int_equal(strlen(text), 9);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_kind_has_its_component),
        cmocka_unit_test(a_loop_crawls_when_most_of_the_time_is_lost),
        cmocka_unit_test(late_turns_of_load_are_no_crawl),
        cmocka_unit_test(a_crawling_loop_is_gray),
        cmocka_unit_test(kinds_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
