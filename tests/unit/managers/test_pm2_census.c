/* What PM2's list and its events tell over time: loops, ghosts, stuck states, doubles, blindness,
 * figures that are too high for too long. */
#include "managers/pm2/watch/census.h"
#include "managers/pm2/watch/excess.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define MINUTE 60000

static bool odd_ones_live(int64_t pid)
{
    return pid % 2 == 1;
}

static struct entries entries;

/* A list with this one row. */
static void take(struct census *census, struct entry row, bool heard, int64_t now_ms)
{
    (void)snprintf(row.name, sizeof row.name, "worker");
    entries.count = 1;
    entries.rows[0] = row;
    assert_int_equal(census_take(census, &entries, heard, odd_ones_live, now_ms), 0);
}

#define RUNS .status = ENTRY_ONLINE, .pid = 7, .measured = true, .instance = -1

static void event(struct census *census, const char *name, enum entry_status status, bool restarted,
                  int64_t now_ms)
{
    struct frame_event event = {
        .event = name, .name = "worker", .pm_id = 0, .status = status, .restarted = restarted};
    census_event(census, &event, now_ms);
}

static unsigned ends(const struct census *census, int64_t now_ms)
{
    return loop_count(&census_find(census, 0, "worker")->ends, MINUTE, now_ms);
}

/* ---- loops: sequences as measured on PM2 7 ---- */

struct sequence {
    const char *what;
    struct {
        const char *event;
        enum entry_status status;
        bool final; /* PM2 does not start it again by itself */
    } events[6];
    unsigned ends;
};

static const struct sequence sequences[] = {
    {"a crash", {{"exit", ENTRY_STOPPED, false}, {"online", ENTRY_LAUNCHING, false}}, 1},
    {"two crashes",
     {{"exit", ENTRY_STOPPED, false},
      {"online", ENTRY_LAUNCHING, false},
      {"exit", ENTRY_STOPPED, false}},
     2},
    {"a restart by somebody, by cron, or by PM2's memory limit",
     {{"exit", ENTRY_STOPPING, false},
      {"exit", ENTRY_STOPPED, false},
      {"online", ENTRY_LAUNCHING, false}},
     0},
    {"a stop", {{"exit", ENTRY_STOPPING, false}, {"exit", ENTRY_STOPPED, false}}, 0},
    {"a restart and then a crash",
     {{"exit", ENTRY_STOPPING, false},
      {"exit", ENTRY_STOPPED, false},
      {"online", ENTRY_LAUNCHING, false},
      {"exit", ENTRY_STOPPED, false}},
     1},
    {"a stop of which only the first half was heard, and then a crash",
     {{"exit", ENTRY_STOPPING, false},
      {"online", ENTRY_LAUNCHING, false},
      {"exit", ENTRY_STOPPED, false}},
     1},
    {"given up", {{"restart overlimit", ENTRY_ERRORED, false}, {"exit", ENTRY_ERRORED, false}}, 1},
    {"done, without autorestart or with a stop code", {{"exit", ENTRY_STOPPED, true}}, 0},
};

static void only_ends_by_itself_count(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof sequences / sizeof sequences[0]; i++) {
        struct census census = {0};
        take(&census, (struct entry){RUNS}, true, 1000);
        for (size_t k = 0; k < 6 && sequences[i].events[k].event != NULL; k++) {
            event(&census, sequences[i].events[k].event, sequences[i].events[k].status,
                  !sequences[i].events[k].final, 2000);
        }
        if (ends(&census, 3000) != sequences[i].ends) {
            fail_msg("%s: %u ends", sequences[i].what, ends(&census, 3000));
        }
        census_deinit(&census);
    }
}

static void old_workers_of_a_reload_do_not_count(void **state)
{
    (void)state;
    struct census census = {0};
    take(&census, (struct entry){RUNS}, true, 1000);
    struct frame_event old = {
        .event = "exit", .name = "worker", .pm_id = -1, .status = ENTRY_STOPPED, .restarted = true};
    census_event(&census, &old, 2000);
    assert_int_equal(ends(&census, 3000), 0);
    assert_null(census_find(&census, -1, "worker"));
    census_deinit(&census);
}

/* The counter does not tell who asked: it counts only where the bus was not heard. */
static void counters_stand_in_for_the_bus(void **state)
{
    (void)state;
    struct census census = {0};
    take(&census, (struct entry){RUNS, .restarts = 40}, false, 1000);
    assert_int_equal(ends(&census, 1000), 0); /* of before our time */
    take(&census, (struct entry){RUNS, .restarts = 43}, false, 2000);
    assert_int_equal(ends(&census, 2000), 3);
    take(&census, (struct entry){RUNS, .restarts = 50}, true, 3000);
    assert_int_equal(ends(&census, 3000), 3);
    take(&census, (struct entry){RUNS, .restarts = 0}, false, 4000); /* reset by somebody */
    assert_int_equal(ends(&census, 4000), 3);
    assert_int_equal(ends(&census, 2000 + MINUTE), 0);
    census_deinit(&census);
}

/* Given up after a loop, then started by somebody: well at once, not after the window. "Stopped"
 * between an exit and a restart of PM2 forgets nothing. */
static void a_start_by_hand_forgets_the_loop(void **state)
{
    (void)state;
    struct census census = {0};
    take(&census, (struct entry){RUNS}, true, 1000);
    event(&census, "exit", ENTRY_STOPPED, true, 1100);
    take(&census, (struct entry){.status = ENTRY_STOPPED}, true, 1150);
    take(&census, (struct entry){RUNS}, true, 1200);
    assert_int_equal(ends(&census, 1200), 1);
    take(&census, (struct entry){.status = ENTRY_STOPPED}, true, 2000);
    take(&census, (struct entry){RUNS}, true, 2000 + CENSUS_ANEW_MS);
    assert_int_equal(ends(&census, 3000), 0);
    event(&census, "exit", ENTRY_ERRORED, true, 4000);
    take(&census, (struct entry){.status = ENTRY_ERRORED}, true, 4100);
    take(&census, (struct entry){RUNS}, true, 4200);
    assert_int_equal(ends(&census, 4300), 0);
    census_deinit(&census);
}

/* ---- pictures that are not so ---- */

struct picture {
    const char *what;
    struct entry row;
    int64_t for_ms;
    enum census_fault fault;
};

static const struct picture pictures[] = {
    {"online and alive", {RUNS}, 1000 * MINUTE, CENSUS_WELL},
    {"online without pid", {.status = ENTRY_ONLINE}, CENSUS_DOUBT_MS, CENSUS_GHOST},
    {"for a moment only", {.status = ENTRY_ONLINE}, CENSUS_DOUBT_MS - 1, CENSUS_WELL},
    {"online, pid gone", {.status = ENTRY_ONLINE, .pid = 8}, CENSUS_DOUBT_MS, CENSUS_GHOST},
    {"stopped", {.status = ENTRY_STOPPED}, 1000 * MINUTE, CENSUS_WELL},
    {"errored", {.status = ENTRY_ERRORED}, 1000 * MINUTE, CENSUS_WELL},
    {"launching", {.status = ENTRY_LAUNCHING, .pid = 7}, CENSUS_LAUNCHING_MS, CENSUS_WELL},
    {"launching for ever",
     {.status = ENTRY_LAUNCHING, .pid = 7},
     CENSUS_LAUNCHING_MS + 1,
     CENSUS_STUCK},
    {"launching, and it may",
     {.status = ENTRY_LAUNCHING, .pid = 7, .listen_ms = MINUTE},
     CENSUS_LAUNCHING_MS + MINUTE,
     CENSUS_WELL},
    {"stopping for ever", {.status = ENTRY_STOPPING}, CENSUS_STOPPING_MS + 1, CENSUS_STUCK},
    {"stopping, and it may",
     {.status = ENTRY_STOPPING, .kill_ms = MINUTE},
     CENSUS_STOPPING_MS + MINUTE,
     CENSUS_WELL},
    {"waiting for ever",
     {.status = ENTRY_WAITING_RESTART, .pid = 8},
     CENSUS_WAITING_MS + 1,
     CENSUS_STUCK},
    {"waiting, and it may",
     {.status = ENTRY_WAITING_RESTART, .pid = 8, .delay_ms = MINUTE},
     CENSUS_WAITING_MS + MINUTE,
     CENSUS_WELL},
};

static void false_pictures_are_seen(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof pictures / sizeof pictures[0]; i++) {
        struct census census = {0};
        char why[REASON_SIZE] = "";
        take(&census, pictures[i].row, true, 1000);
        take(&census, pictures[i].row, true, 2000);
        enum census_fault fault =
            census_judge(census_find(&census, 0, "worker"), 1000 + pictures[i].for_ms, why);
        if (fault != pictures[i].fault) {
            fail_msg("%s: %d (%s)", pictures[i].what, (int)fault, why);
        }
        assert_int_equal(why[0] != '\0', fault != CENSUS_WELL);
        census_deinit(&census);
    }
}

static void a_ghost_that_comes_to_life_is_none(void **state)
{
    (void)state;
    struct census census = {0};
    char why[REASON_SIZE];
    take(&census, (struct entry){.status = ENTRY_ONLINE}, true, 1000);
    assert_true(census_doubts(&census, 1500));
    take(&census, (struct entry){RUNS}, true, 2000);
    assert_false(census_doubts(&census, 2000));
    assert_int_equal(census_judge(census_find(&census, 0, "worker"), 90000, why), CENSUS_WELL);
    census_deinit(&census);
}

static void row(size_t index, const char *name, const char *group, int64_t instance, int64_t pid)
{
    struct entry *ret = &entries.rows[index];
    *ret = (struct entry){.pm_id = (int64_t)index,
                          .status = pid > 0 ? ENTRY_ONLINE : ENTRY_STOPPED,
                          .pid = pid,
                          .measured = pid > 0,
                          .instance = instance};
    (void)snprintf(ret->name, sizeof ret->name, "%s", name);
    (void)snprintf(ret->group, sizeof ret->group, "%s", group);
    entries.count = index + 1;
}

static void one_instance_prepared_twice_is_a_duplicate(void **state)
{
    (void)state;
    struct census census = {0};
    char why[REASON_SIZE];
    row(0, "web", "default", 0, 1); /* a cluster of two */
    row(1, "web", "default", 1, 3);
    row(2, "job", "a", -1, 5); /* namesakes in two namespaces */
    row(3, "job", "b", -1, 7);
    row(4, "old", "default", 0, 9); /* one of them does not run */
    row(5, "old", "default", 0, 0);
    row(6, "twice", "default", 0, 11);
    row(7, "twice", "default", 0, 13);
    assert_int_equal(census_take(&census, &entries, true, odd_ones_live, 1000), 0);
    assert_int_equal(census_take(&census, &entries, true, odd_ones_live, 2000), 0);
    assert_int_equal(census.listed, 8);
    for (size_t i = 0; i < 8; i++) {
        enum census_fault fault = census_judge(&census.rows[i], 1000 + CENSUS_DOUBT_MS, why);
        assert_int_equal(fault, i < 6 ? CENSUS_WELL : CENSUS_DUPLICATE);
    }
    census_deinit(&census);
}

/* One process without pid, and PM2 measures nobody. */
static void blindness_is_seen(void **state)
{
    (void)state;
    struct census census = {0};
    row(0, "a", "", -1, 1);
    row(1, "b", "", -1, 3);
    entries.rows[0].measured = false; /* it has just begun */
    (void)census_take(&census, &entries, true, odd_ones_live, 1000);
    assert_false(census_is_blind(&census, 1000 + CENSUS_DOUBT_MS));
    entries.rows[1].measured = false;
    (void)census_take(&census, &entries, true, odd_ones_live, 2000);
    assert_false(census_is_blind(&census, 2000));
    assert_true(census_doubts(&census, 2000));
    assert_true(census_is_blind(&census, 2000 + CENSUS_DOUBT_MS));
    row(0, "a", "", -1, 0);
    row(1, "b", "", -1, 0); /* nothing runs: there is nothing to measure */
    (void)census_take(&census, &entries, true, odd_ones_live, 9000);
    assert_false(census_is_blind(&census, 99000));
    census_deinit(&census);
}

static void false_events_are_counted_and_not_believed(void **state)
{
    (void)state;
    struct census census = {0};
    take(&census, (struct entry){RUNS}, true, 1000);
    struct frame_event false_event = {.name = "worker", .pm_id = 0, .status = ENTRY_STOPPED};
    for (int i = 0; i < 9; i++) {
        census_event(&census, &false_event, 2000);
    }
    assert_int_equal(census.false_events, 9);
    assert_string_equal(census.false_name, "worker");
    assert_int_equal(ends(&census, 2000), 0);
    census_deinit(&census);
}

static void rows_come_and_go_within_a_bound(void **state)
{
    (void)state;
    struct census census = {0};
    char name[16];
    for (size_t i = 0; i < ENTRIES_MAX; i++) {
        (void)snprintf(name, sizeof name, "p%zu", i);
        row(i, name, "", 0, 1);
    }
    assert_int_equal(census_take(&census, &entries, true, odd_ones_live, 1000), 0);
    assert_int_equal(census.count, ENTRIES_MAX);
    struct frame_event more = {.event = "online", .name = "more", .pm_id = 9999};
    census_event(&census, &more, 1500); /* no room: nothing happens */
    row(0, "p0", "", 0, 1);
    assert_int_equal(census_take(&census, &entries, true, odd_ones_live, 2000), 0);
    assert_int_equal(census.count, 1);
    assert_null(census_find(&census, 1, "p1"));
    census_deinit(&census);
}

/* ---- figures ---- */

static void over_the_limit_for_long_enough(void **state)
{
    (void)state;
    struct excess excess = {0};
    assert_false(excess_step(&excess, 91, 90, MINUTE, 1000));
    assert_false(excess_step(&excess, 95, 90, MINUTE, MINUTE));
    assert_true(excess_step(&excess, 95, 90, MINUTE, 1000 + MINUTE));
    assert_true(excess_step(&excess, -1, 90, MINUTE, 2 * MINUTE)); /* not known: as before */
    assert_false(excess_step(&excess, 90, 90, MINUTE, 3 * MINUTE));
    assert_false(excess_step(&excess, 91, 90, MINUTE, 4 * MINUTE)); /* from the beginning */
    assert_true(excess_step(&excess, 91, 90, 0, 4 * MINUTE));
    assert_false(excess_step(&excess, 1e12, 0, 0, 5 * MINUTE)); /* no limit */
}

/* Bytes by the minute, repeated. */
static int64_t left_of(int64_t first, int64_t more, int64_t ripple, unsigned minutes)
{
    struct growth growth = {0};
    for (unsigned i = 0; i < minutes; i++) {
        int64_t bytes = first + more * i + (i % 2 == 0 ? ripple : -ripple);
        growth_step(&growth, bytes, 1000 + (int64_t)i * GROWTH_PAUSE_MS);
        growth_step(&growth, bytes * 9, 1001 + (int64_t)i * GROWTH_PAUSE_MS); /* too early */
    }
    return growth_left_ms(&growth, 500);
}

static void growth_is_told_and_breathing_is_not(void **state)
{
    (void)state;
    assert_int_equal(left_of(100, 1, 0, GROWTH_SAMPLES_MIN - 1), -1);
    assert_int_equal(left_of(100, 0, 0, 60), -1);
    assert_int_equal(left_of(100, 0, 30, 60), -1);
    assert_int_equal(left_of(100, 0, -30, 60), -1);
    assert_int_equal(left_of(400, -2, 0, 60), -1);
    /* 100 to 219 in two hours, of which the last one counts: 281 more at one a minute. */
    assert_int_equal(left_of(100, 1, 0, 120), 281 * (int64_t)GROWTH_PAUSE_MS);
    int64_t left_ms = left_of(100, 1, 5, 120);
    assert_true(left_ms > 250 * MINUTE && left_ms < 310 * MINUTE);
    assert_int_equal(left_of(460, 1, 0, 60), 0); /* it is there */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_ends_by_itself_count),
        cmocka_unit_test(old_workers_of_a_reload_do_not_count),
        cmocka_unit_test(counters_stand_in_for_the_bus),
        cmocka_unit_test(a_start_by_hand_forgets_the_loop),
        cmocka_unit_test(false_pictures_are_seen),
        cmocka_unit_test(a_ghost_that_comes_to_life_is_none),
        cmocka_unit_test(one_instance_prepared_twice_is_a_duplicate),
        cmocka_unit_test(blindness_is_seen),
        cmocka_unit_test(false_events_are_counted_and_not_believed),
        cmocka_unit_test(rows_come_and_go_within_a_bound),
        cmocka_unit_test(over_the_limit_for_long_enough),
        cmocka_unit_test(growth_is_told_and_breathing_is_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
