/* What the acting leader decides about slots: the rule of schedule.h, case by case. */
#include "node/base/rng.h"
#include "tests/unit/schedule/schedule_fixture.h"

#include <inttypes.h>

#define ID "run/report"

static struct command commands[SCHEDULE_STEP_COMMANDS_MAX];

static void assert_ledger(const struct world *world, const char *id, int64_t every_s,
                          const char *expected)
{
    char ledger[64];
    assert_true(strlen(expected) < sizeof ledger);
    world_ledger(world, id, T0, every_s, strlen(expected), ledger);
    assert_string_equal(ledger, expected);
}

static void every_minute(struct world *world, int64_t wall_s)
{
    struct schedule_definition is = definition_of("* * * * *");
    world_create(world, wall_s);
    world_put(world, ID, &is, T0);
}

/* ---- when ---- */

static void a_slot_runs_when_it_has_come_and_nothing_is_said_before(void **unused)
{
    (void)unused;
    struct world world;
    every_minute(&world, T0);
    assert_int_equal(scheduler_next_wall_ms(world.scheduler), (T0 + 60) * 1000);
    world.now.wall_ms = (T0 + 60) * 1000 - 1;
    assert_int_equal(world_step(&world, commands), 0);
    world.now.wall_ms++;
    assert_int_equal(world_step(&world, commands), 1);
    assert_int_equal(commands[0].type, COMMAND_SLOTS_DECIDE);
    assert_int_equal(commands[0].reason, REASON_SCHEDULE);
    assert_string_equal(commands[0].why, "1 due");
    const struct command_slots *slots = &commands[0].slots;
    assert_string_equal(slots->schedule, ID);
    assert_int_equal(slots->revision, world_row(&world, ID)->revision);
    assert_int_equal(slots->after_s, T0);
    assert_int_equal(slots->decided_s, T0 + 60);
    assert_int_equal(slots->count, 1);
    assert_int_equal(slots->items[0].first_s, T0 + 60);
    assert_int_equal(slots->items[0].verdict, RUN_UNDER_WAY);
    world_apply(&world, &commands[0]);
    assert_ledger(&world, ID, 60, "D.");
    assert_int_equal(scheduler_next_wall_ms(world.scheduler), (T0 + 120) * 1000);
    for (int64_t wall_ms = world.now.wall_ms; wall_ms < (T0 + 120) * 1000; wall_ms += 1000) {
        world.now.wall_ms = wall_ms;
        assert_int_equal(world_step(&world, commands), 0);
    }
    world_destroy(&world);
}

static void nothing_is_decided_by_who_may_not_or_with_a_wrong_clock(void **unused)
{
    (void)unused;
    struct world world;
    every_minute(&world, T0 + 61);
    world.now.acting = false;
    assert_int_equal(world_step(&world, commands), 0);
    world.now.acting = true;
    world.now.wall_trusted = false;
    assert_int_equal(world_step(&world, commands), 0);
    world.now.wall_trusted = true;
    assert_int_equal(world_step(&world, commands), 1);
    world_destroy(&world);
}

static void nothing_is_decided_twice_when_the_clock_goes_back(void **unused)
{
    (void)unused;
    struct world world;
    every_minute(&world, T0 + 121);
    assert_int_equal(world_settle(&world), 1);
    assert_ledger(&world, ID, 60, "DO.");
    for (int64_t back_s = 1; back_s < DAY_S; back_s *= 3) {
        world_at(&world, T0 + 121 - back_s);
        assert_int_equal(world_settle(&world), 0);
        assert_int_equal(scheduler_next_wall_ms(world.scheduler), (T0 + 180) * 1000);
    }
    world_end_run(&world, ID);
    world_at(&world, T0 + 180);
    assert_int_equal(world_settle(&world), 1);
    assert_ledger(&world, ID, 60, "EOD.");
    world_destroy(&world);
}

/* It was seen as come, and then it had not. */
static void a_slot_that_lies_ahead_again_waits(void **unused)
{
    (void)unused;
    struct world world;
    every_minute(&world, T0 + 61);
    world.now.room = 0;
    assert_int_equal(world_settle(&world), 0);
    world_at(&world, T0 + 30);
    world.now.room = 1;
    assert_int_equal(world_settle(&world), 0);
    assert_int_equal(scheduler_next_wall_ms(world.scheduler), (T0 + 60) * 1000);
    world_at(&world, T0 + 60);
    assert_int_equal(world_settle(&world), 1);
    assert_ledger(&world, ID, 60, "D.");
    world_destroy(&world);
}

static void a_slot_is_on_time_up_to_its_start_deadline(void **unused)
{
    (void)unused;
    static const struct {
        int64_t deadline_s;
        int64_t age_ms;
        char expected;
    } table[] = {{30, 0, 'D'},   {30, 30999, 'D'}, {30, 31000, 'M'}, {0, 999, 'D'},
                 {0, 1999, 'D'}, {0, 2000, 'M'},   {59, 59999, 'D'}};
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct world world;
        struct schedule_definition is = definition_of("* * * * *");
        is.misfire = SCHEDULE_MISFIRE_SKIP;
        is.start_deadline_s = table[i].deadline_s;
        world_create(&world, T0);
        world_put(&world, ID, &is, T0);
        world.now.wall_ms = (T0 + 60) * 1000 + table[i].age_ms;
        assert_int_equal(world_settle(&world), 1);
        assert_ledger(&world, ID, 60, (char[]){table[i].expected, '\0'});
        world_destroy(&world);
    }
}

/* ---- what ---- */

struct policy_case {
    enum schedule_misfire misfire;
    enum schedule_overlap overlap;
    uint32_t cap;
    int64_t window_s;
    int64_t deadline_s;
    int64_t age_s; /* of the newest slot */
    size_t room;
    enum run_reason gate;
    bool maintenance;
    const char *expected;
};

/* Ten slots have come, one a minute: of 90 s two are on time, of 30 s none. */
static const struct policy_case policy_cases[] = {
#define SKIP SCHEDULE_MISFIRE_SKIP
#define ONCE SCHEDULE_MISFIRE_RUN_ONCE
#define ALL SCHEDULE_MISFIRE_RUN_ALL
#define FORBID SCHEDULE_OVERLAP_FORBID
#define ALLOW SCHEDULE_OVERLAP_ALLOW
#define REPLACE SCHEDULE_OVERLAP_REPLACE
    {SKIP, FORBID, 3, 3600, 90, 15, 100, RUN_DUE, false, "MMMMMMMMDO."},
    {SKIP, ALLOW, 3, 3600, 90, 15, 100, RUN_DUE, false, "MMMMMMMMDD."},
    {SKIP, REPLACE, 3, 3600, 90, 15, 100, RUN_DUE, false, "MMMMMMMMRD."},
    {ONCE, FORBID, 3, 3600, 90, 15, 100, RUN_DUE, false, "SSSSSSSSDO."},
    {ONCE, ALLOW, 3, 3600, 90, 15, 100, RUN_DUE, false, "SSSSSSSSDD."},
    {ONCE, REPLACE, 3, 3600, 90, 15, 100, RUN_DUE, false, "SSSSSSSSRD."},
    {ALL, FORBID, 3, 3600, 90, 15, 100, RUN_DUE, false, "WWWWWL....."},
    {ALL, ALLOW, 3, 3600, 90, 15, 100, RUN_DUE, false, "WWWWWLLLDD."},
    {ALL, REPLACE, 3, 3600, 90, 15, 100, RUN_DUE, false, "WWWWWL....."},
    {ALL, ALLOW, 3, 200, 90, 15, 100, RUN_DUE, false, "WWWWWWLLDD."},
    {ALL, ALLOW, 3, 195, 90, 15, 100, RUN_DUE, false, "WWWWWWLLDD."},
    {ALL, ALLOW, 3, 194, 90, 15, 100, RUN_DUE, false, "WWWWWWWLDD."},
    {ALL, ALLOW, 1000, 3600, 90, 15, 100, RUN_DUE, false, "LLLLLLLLDD."},
    /* none on time */
    {SKIP, ALLOW, 3, 3600, 30, 40, 100, RUN_DUE, false, "MMMMMMMMMM."},
    {ONCE, FORBID, 3, 3600, 30, 40, 100, RUN_DUE, false, "SSSSSSSSSL."},
    {ONCE, REPLACE, 3, 3600, 30, 40, 100, RUN_DUE, false, "SSSSSSSSSL."},
    {ALL, ALLOW, 3, 3600, 30, 40, 100, RUN_DUE, false, "WWWWWWWLLL."},
    /* nothing may run */
    {SKIP, ALLOW, 3, 3600, 90, 15, 100, RUN_PAUSED, false, "MMMMMMMMPP."},
    {ONCE, FORBID, 3, 3600, 90, 15, 100, RUN_SHADOW, false, "SSSSSSSSXX."},
    {ONCE, FORBID, 3, 3600, 30, 40, 100, RUN_PAUSED, false, "SSSSSSSSSP."},
    {ALL, FORBID, 3, 3600, 90, 15, 100, RUN_PAUSED, false, "WWWWWPPPPP."},
    {ALL, FORBID, 3, 3600, 90, 15, 100, RUN_DUE, true, "WWWWWNNNNN."},
    {SKIP, REPLACE, 3, 3600, 90, 15, 100, RUN_DUE, true, "MMMMMMMMNN."},
    {SKIP, FORBID, 3, 3600, 90, 15, 100, RUN_PAUSED, true, "MMMMMMMMPP."},
    /* no room, or little */
    {SKIP, FORBID, 3, 3600, 90, 15, 0, RUN_DUE, false, "MMMMMMMM..."},
    {SKIP, ALLOW, 3, 3600, 90, 30, 0, RUN_DUE, false, "MMMMMMMMH.."},
    {ONCE, FORBID, 3, 3600, 30, 40, 0, RUN_DUE, false, "SSSSSSSSS.."},
    {ALL, ALLOW, 1000, 3600, 90, 15, 2, RUN_DUE, false, "LL........."},
    {ONCE, FORBID, 3, 3600, 90, 15, 0, RUN_PAUSED, false, "SSSSSSSSPP."},
    {SKIP, REPLACE, 3, 3600, 90, 15, 0, RUN_DUE, false, "MMMMMMMMR.."},
#undef SKIP
#undef ONCE
#undef ALL
#undef FORBID
#undef ALLOW
#undef REPLACE
};

static void policy_world(struct world *world, const struct policy_case *is)
{
    struct schedule_definition definition = definition_of("* * * * *");
    definition.misfire = is->misfire;
    definition.overlap = is->overlap;
    definition.misfire_cap = is->cap;
    definition.misfire_window_s = is->window_s;
    definition.start_deadline_s = is->deadline_s;
    world_create(world, T0);
    world_put(world, ID, &definition, T0);
    world_at(world, T0 + 600 + is->age_s);
    world->now.room = is->room;
    world->now.maintenance = is->maintenance;
    world->gate = is->gate;
}

static void the_policies_decide(void **unused)
{
    (void)unused;
    for (size_t i = 0; i < sizeof policy_cases / sizeof policy_cases[0]; i++) {
        struct world world;
        policy_world(&world, &policy_cases[i]);
        (void)world_settle(&world);
        assert_ledger(&world, ID, 60, policy_cases[i].expected);
        world_destroy(&world);
    }
}

/* Cut a proposal off after `kept` of its slots, which come every minute. */
static void cut(struct command_slots *slots, uint32_t kept)
{
    size_t count = 0;
    while (count < slots->count && kept > 0) {
        struct command_slot *item = &slots->items[count++];
        if (item->count > kept) {
            item->count = kept;
            item->last_s = item->first_s + (int64_t)(kept - 1) * MINUTE_S;
        }
        kept -= item->count;
        slots->decided_s = item->last_s;
    }
    slots->count = count;
}

static uint32_t count_slots(const struct command_slots *slots)
{
    uint32_t count = 0;
    for (size_t i = 0; i < slots->count; i++) {
        count += slots->items[i].count;
    }
    return count;
}

/* A leader decides a part, the next one goes on, and so on: as one that decided it all. */
static void every_cut_gives_the_same_ledger(void **unused)
{
    (void)unused;
    struct rng rng;
    rng_init(&rng, 7);
    for (size_t i = 0; i < sizeof policy_cases / sizeof policy_cases[0]; i++) {
        for (int trial = 0; trial < 20; trial++) {
            struct world world;
            policy_world(&world, &policy_cases[i]);
            while (world_step(&world, commands) > 0) {
                struct command_slots *slots = &commands[0].slots;
                cut(slots, 1 + (uint32_t)rng_below(&rng, count_slots(slots)));
                world_apply(&world, &commands[0]);
                world_new_leader(&world);
            }
            assert_ledger(&world, ID, 60, policy_cases[i].expected);
            world_destroy(&world);
        }
    }
}

static void missed_runs_that_all_run_take_turns(void **unused)
{
    (void)unused;
    struct world world;
    struct schedule_definition is = definition_of("* * * * *");
    is.misfire = SCHEDULE_MISFIRE_RUN_ALL;
    is.start_deadline_s = 30;
    world_create(&world, T0);
    world_put(&world, ID, &is, T0);
    world_at(&world, T0 + 300 + 50);
    (void)world_settle(&world);
    assert_ledger(&world, ID, 60, "WWL...");
    assert_int_equal(world_settle(&world), 0);
    world_end_run(&world, ID);
    (void)world_settle(&world);
    assert_ledger(&world, ID, 60, "WWEL..");
    /* The next leader finds more missed ones: the oldest does not run any more. */
    world_at(&world, T0 + 480 + 40);
    world_end_run(&world, ID);
    (void)world_settle(&world);
    assert_ledger(&world, ID, 60, "WWEEWL...");
    world_destroy(&world);
}

/* Nobody tells the scheduler that a run has ended; it looks again by itself. */
static void a_turn_comes_without_being_told(void **unused)
{
    (void)unused;
    struct world world;
    struct schedule_definition is = definition_of("* * * * *");
    is.misfire = SCHEDULE_MISFIRE_RUN_ALL;
    is.start_deadline_s = 1;
    world_create(&world, T0);
    world_put(&world, ID, &is, T0);
    world_at(&world, T0 + 120 + 5);
    (void)world_settle(&world);
    assert_ledger(&world, ID, 60, "L.");
    struct run_key key = state_run_at(world.state, 0)->key;
    struct command end = command_of(COMMAND_RUN_END);
    end.run_end = (struct command_run_end){.run = key,
                                           .attempt = 1,
                                           .outcome = RUN_MISSED,
                                           .reason = RUN_START_DEADLINE,
                                           .exit_status = -1};
    apply_ok(world.state, end);
    assert_int_equal(world_step(&world, commands), 0);
    int64_t next_ms = scheduler_next_wall_ms(world.scheduler);
    assert_in_range(next_ms - world.now.wall_ms, 1, SCHEDULE_REPEAT_MS);
    world.now.now_ms += next_ms - world.now.wall_ms;
    world.now.wall_ms = next_ms;
    assert_int_equal(world_settle(&world), 1);
    assert_ledger(&world, ID, 60, "EL");
    world_destroy(&world);
}

/* ---- long absences ---- */

struct totals {
    uint64_t slots[RUN_SHUTDOWN + 1]; /* by reason */
    size_t rows;
};

static void count_ledger(const struct state *state, struct totals *ret)
{
    memset(ret, 0, sizeof *ret);
    for (size_t i = 0; i < state_ended_count(state); i++) {
        ret->slots[state_ended_at(state, i)->reason] += state_ended_at(state, i)->count;
    }
    for (size_t i = 0; i < state_run_count(state); i++) {
        ret->slots[state_run_at(state, i)->reason]++;
    }
    ret->rows = state_ended_count(state) + state_run_count(state);
}

/* A step walks a bounded number of slots, and each command moves on. */
static void absence(enum schedule_misfire misfire, uint64_t minutes, enum run_reason missed,
                    uint64_t kept)
{
    struct world world;
    struct totals totals;
    int64_t newest_s = T0 + (int64_t)minutes * MINUTE_S;
    struct schedule_definition is = definition_of("* * * * *");
    is.misfire = misfire;
    is.misfire_cap = kept > 0 ? (uint32_t)kept : 1;
    is.misfire_window_s = SCHEDULE_SECONDS_MAX;
    is.overlap = SCHEDULE_OVERLAP_ALLOW;
    is.start_deadline_s = 50;
    world_create(&world, T0);
    world_put(&world, ID, &is, T0);
    world.now.room = 5000;
    world_at(&world, newest_s + 55); /* none is on time */
    size_t steps = 0;
    while (world_step(&world, commands) == 1) {
        assert_in_range(count_slots(&commands[0].slots), 1, SCHEDULE_STEP_SLOTS_MAX);
        world_apply(&world, &commands[0]);
        world_new_leader(&world);
        steps++;
    }
    count_ledger(world.state, &totals);
    assert_int_equal(totals.slots[missed], minutes - kept);
    assert_int_equal(totals.slots[RUN_LATE], kept);
    assert_int_equal(world_row(&world, ID)->decided_s, newest_s);
    assert_true(steps <=
                minutes / (SCHEDULE_STEP_SLOTS_MAX - 1000) + kept / SLOTS_PER_COMMAND_MAX + 2);
    assert_true(totals.rows <= steps + kept);
    world_destroy(&world);
}

static void a_long_absence_is_caught_up_in_bounded_steps(void **unused)
{
    (void)unused;
    absence(SCHEDULE_MISFIRE_SKIP, 365 * 1440, RUN_MISFIRE_SKIP, 0);
    absence(SCHEDULE_MISFIRE_RUN_ONCE, 365 * 1440, RUN_SUPERSEDED, 1);
    absence(SCHEDULE_MISFIRE_RUN_ALL, 30 * 1440, RUN_OUT_OF_WINDOW, 200);
    /* The newest begin within the last full walk. */
    absence(SCHEDULE_MISFIRE_RUN_ALL, 2 * SCHEDULE_STEP_SLOTS_MAX + 100, RUN_OUT_OF_WINDOW, 200);
}

/* The look at many slots of one schedule does not keep others from running on time. */
static void who_catches_up_lets_the_others_go_first(void **unused)
{
    (void)unused;
    struct world world;
    char id[SCHEDULE_ID_SIZE];
    struct schedule_definition behind = definition_of("* * * * *");
    behind.misfire = SCHEDULE_MISFIRE_SKIP;
    behind.priority = 9;
    struct schedule_definition due = definition_of("0 * * * *");
    int64_t wall_s = T0 + 30 * DAY_S;
    world_create(&world, wall_s);
    for (int i = 0; i < 40; i++) {
        (void)snprintf(id, sizeof id, "run/behind-%02d", i);
        world_put(&world, id, &behind, T0);
        (void)snprintf(id, sizeof id, "run/due-%02d", i);
        world_put(&world, id, &due, wall_s - 60);
    }
    size_t count = world_step(&world, commands);
    assert_int_equal(count, 41); /* and one of those that catch up */
    for (size_t i = 0; i < 40; i++) {
        assert_memory_equal(commands[i].slots.schedule, "run/due-", 8);
    }
    world_destroy(&world);
}

/* ---- room ---- */

static void put_with_priority(struct world *world, const char *id, int64_t priority)
{
    struct schedule_definition is = definition_of("* * * * *");
    is.priority = priority;
    is.misfire = SCHEDULE_MISFIRE_SKIP;
    is.start_deadline_s = 20;
    world_put(world, id, &is, T0);
}

static void without_room_the_lowest_priority_waits_is_shed_and_comes_back(void **unused)
{
    (void)unused;
    struct world world;
    world_create(&world, T0);
    put_with_priority(&world, "run/b", 5);
    put_with_priority(&world, "run/a", 5);
    put_with_priority(&world, "run/low", 1);
    put_with_priority(&world, "run/high", 9);
    put_with_priority(&world, "run/middle", 3);
    world_at(&world, T0 + 60);
    world.now.room = 2;
    assert_int_equal(world_step(&world, commands), 2);
    assert_string_equal(commands[0].slots.schedule, "run/high");
    assert_string_equal(commands[1].slots.schedule, "run/a");
    world_apply(&world, &commands[0]);
    world_apply(&world, &commands[1]);
    world_at(&world, T0 + 65);
    world.now.room = 0;
    assert_int_equal(world_step(&world, commands), 0);
    assert_true(scheduler_next_wall_ms(world.scheduler) <= world.now.wall_ms);
    world.now.room = 1; /* who waits gets it, by priority */
    assert_int_equal(world_settle(&world), 1);
    assert_ledger(&world, "run/b", 60, "D.");
    world.now.room = 0;
    world_at(&world, T0 + 79);
    assert_int_equal(world_settle(&world), 0);
    assert_ledger(&world, "run/middle", 60, "..");
    world_at(&world, T0 + 80);
    assert_int_equal(world_settle(&world), 2);
    assert_ledger(&world, "run/middle", 60, "H.");
    assert_ledger(&world, "run/low", 60, "H.");
    world_at(&world, T0 + 120);
    world.now.room = 5;
    assert_int_equal(world_settle(&world), 5);
    assert_ledger(&world, "run/low", 60, "HD");
    world_destroy(&world);
}

/* What waits when its manager is paused is skipped at its deadline for that, not shed. */
static void what_waits_is_judged_anew_when_its_time_is_over(void **unused)
{
    (void)unused;
    struct world world;
    world_create(&world, T0 + 60);
    world.now.room = 0;
    put_with_priority(&world, ID, 0);
    assert_int_equal(world_settle(&world), 0);
    world_at(&world, T0 + 80);
    world.gate = RUN_PAUSED;
    assert_int_equal(world_settle(&world), 1);
    assert_ledger(&world, ID, 60, "P.");
    world_destroy(&world);
}

/* A missed slot that is to run late waits for room until a newer one takes its place. */
static void what_is_late_waits_for_room_until_a_newer_slot(void **unused)
{
    (void)unused;
    struct world world;
    struct schedule_definition is = definition_of("*/10 * * * *");
    is.start_deadline_s = 20;
    world_create(&world, T0);
    world_put(&world, ID, &is, T0);
    world_at(&world, T0 + 1200 + 60);
    world.now.room = 0;
    assert_int_equal(world_settle(&world), 1);
    assert_ledger(&world, ID, 600, "S..");
    world_at(&world, T0 + 1799);
    assert_int_equal(world_settle(&world), 0);
    world_at(&world, T0 + 1800);
    assert_int_equal(world_settle(&world), 1);
    assert_ledger(&world, ID, 600, "SS.");
    world.now.room = 1;
    assert_int_equal(world_settle(&world), 1);
    assert_ledger(&world, ID, 600, "SSD");
    world_destroy(&world);
}

static void runs_that_are_proposed_take_room(void **unused)
{
    (void)unused;
    struct world world;
    world_create(&world, T0);
    put_with_priority(&world, "run/a", 2);
    put_with_priority(&world, "run/b", 1);
    world_at(&world, T0 + 60);
    world.now.room = 1;
    assert_int_equal(world_step(&world, commands), 1);
    struct command first = commands[0];
    assert_int_equal(world_step(&world, commands), 0);
    world_apply(&world, &first);
    assert_int_equal(world_step(&world, commands), 0);
    world.now.room = 1;
    assert_int_equal(world_step(&world, commands), 1);
    assert_string_equal(commands[0].slots.schedule, "run/b");
    world_destroy(&world);
}

/* ---- proposals ---- */

static void a_proposal_is_repeated_only_when_it_seems_lost(void **unused)
{
    (void)unused;
    struct world world;
    every_minute(&world, T0 + 60);
    assert_int_equal(world_step(&world, commands), 1);
    struct command first = commands[0];
    world.now.now_ms += SCHEDULE_REPEAT_MS - 1;
    assert_int_equal(world_step(&world, commands), 0);
    assert_int_equal(scheduler_sync(world.scheduler, world.state, ID), 0); /* it did not move */
    assert_int_equal(world_step(&world, commands), 0);
    world.now.now_ms++;
    assert_int_equal(world_step(&world, commands), 1);
    assert_memory_equal(&commands[0].slots, &first.slots, sizeof first.slots);
    world_apply(&world, &first);
    struct state_effect effect = world_offer(&world, &commands[0]);
    assert_int_equal(effect.outcome, STATE_REFUSED);
    assert_int_equal(effect.status, ERR_STALE);
    assert_ledger(&world, ID, 60, "D.");
    world_destroy(&world);
}

static void a_proposal_for_a_former_definition_is_refused(void **unused)
{
    (void)unused;
    struct world world;
    every_minute(&world, T0 + 60);
    assert_int_equal(world_step(&world, commands), 1);
    struct command former = commands[0];
    struct schedule_definition is = definition_of("*/5 * * * *");
    world_put(&world, ID, &is, T0);
    assert_int_equal(world_offer(&world, &former).status, ERR_STALE);
    assert_int_equal(world_settle(&world), 0);
    assert_int_equal(scheduler_next_wall_ms(world.scheduler), (T0 + 300) * 1000);
    world_destroy(&world);
}

static void a_removed_schedule_is_forgotten(void **unused)
{
    (void)unused;
    struct world world;
    every_minute(&world, T0 + 60);
    struct schedule_definition other = definition_of("0 0 * * *");
    world_put(&world, "run/other", &other, T0);
    assert_int_equal(world_step(&world, commands), 1); /* something is under way */
    struct command remove = command_of(COMMAND_SCHEDULE_REMOVE);
    copy_text(remove.schedule_id.id, SCHEDULE_ID_SIZE, ID);
    apply_ok(world.state, remove);
    assert_int_equal(scheduler_sync(world.scheduler, world.state, ID), 0);
    assert_int_equal(scheduler_next_wall_ms(world.scheduler), (T0 + DAY_S) * 1000);
    copy_text(remove.schedule_id.id, SCHEDULE_ID_SIZE, "run/other");
    apply_ok(world.state, remove);
    assert_int_equal(scheduler_sync(world.scheduler, world.state, NULL), 0);
    assert_int_equal(scheduler_next_wall_ms(world.scheduler), INT64_MAX);
    world_destroy(&world);
}

/* The tooth of the simulator: a leader that knows only what it has seen itself. */
static void without_the_replicated_instant_slots_are_lost(void **unused)
{
    (void)unused;
    struct world world;
    every_minute(&world, T0 + 60);
    (void)world_settle(&world);
    world_at(&world, T0 + 180 + 10);
    world.off.decided_is_replicated = true;
    world_new_leader(&world);
    assert_int_equal(world_settle(&world), 0);
    world_at(&world, T0 + 240);
    assert_int_equal(world_settle(&world), 1);
    assert_ledger(&world, ID, 60, "D..O");
    assert_int_equal(world_row(&world, ID)->decided_s, T0 + 240);
    world_destroy(&world);
}

/* ---- many ---- */

static void ten_thousand_schedules_say_nothing_between_their_slots(void **unused)
{
    (void)unused;
    struct world world;
    char id[SCHEDULE_ID_SIZE];
    struct schedule_definition is = definition_of("0 * * * *");
    world_create(&world, T0);
    for (int i = 0; i < 10000; i++) {
        (void)snprintf(id, sizeof id, "run/%05d", i);
        world_put(&world, id, &is, T0);
    }
    for (int64_t wall_s = T0; wall_s < T0 + 3600; wall_s += 7) {
        world_at(&world, wall_s);
        assert_int_equal(world_step(&world, commands), 0);
    }
    world_at(&world, T0 + 3600);
    world.now.room = 300;
    size_t total = 0;
    size_t count;
    while ((count = world_step(&world, commands)) > 0) {
        assert_int_equal(count, total == 256 ? 44 : SCHEDULE_STEP_COMMANDS_MAX);
        for (size_t i = 0; i < count; i++) {
            world_apply(&world, &commands[i]);
        }
        total += count;
    }
    assert_int_equal(total, 300);
    assert_ledger(&world, "run/00299", 3600, "D");
    assert_ledger(&world, "run/00300", 3600, ".");
    world_destroy(&world);
}

/* ---- calendars that cannot be read here ---- */

static void a_zone_that_is_missing_keeps_slots_undecided_and_is_told(void **unused)
{
    (void)unused;
    struct world world;
    struct schedule_definition is = definition_of("0 * * * *");
    int64_t next[4];
    size_t count;
    struct err err = {0};
    copy_text(is.zone, sizeof is.zone, "New_York");
    world_create(&world, T0);
    world.blind = true;
    world_put(&world, ID, &is, T0);
    assert_int_equal(scheduler_blind_count(world.scheduler), 1);
    assert_int_equal(scheduler_next_wall_ms(world.scheduler), INT64_MAX);
    assert_int_equal(scheduler_preview(world.scheduler, world.state, ID, T0, next, 4, &count, &err),
                     ERR_INVALID);
    assert_non_null(strstr(err.msg, "zone: \"New_York\""));
    world_at(&world, T0 + 3600);
    assert_int_equal(world_step(&world, commands), 0);
    world.blind = false;
    assert_int_equal(scheduler_sync(world.scheduler, world.state, NULL), 0);
    assert_int_equal(scheduler_blind_count(world.scheduler), 0);
    assert_int_equal(world_settle(&world), 1);
    assert_ledger(&world, ID, 3600, "D");
    world_destroy(&world);
}

static void a_preview_tells_the_next_slots(void **unused)
{
    (void)unused;
    struct world world;
    struct schedule_definition is = definition_of("30 6 * * *");
    int64_t next[3];
    size_t count = 0;
    struct err err = {0};
    copy_text(is.zone, sizeof is.zone, "Madrid");
    world_create(&world, T0);
    world_put(&world, ID, &is, T0);
    assert_int_equal(scheduler_preview(world.scheduler, world.state, ID, T0, next, 3, &count, &err),
                     0);
    assert_int_equal(count, 3);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(next[i], T0 + i * DAY_S + 5 * 3600 + 1800);
    }
    assert_int_equal(
        scheduler_preview(world.scheduler, world.state, "run/none", T0, next, 3, &count, &err),
        ERR_NOTFOUND);
    world_destroy(&world);
}

/* ---- definitions ---- */

static const struct zone *zone_of(void *context, const char *name)
{
    (void)context;
    return fixture_zone(name);
}

static void check_one(const char *field, const struct schedule_definition *is)
{
    struct err err = {0};
    struct scheduler_config config = {.zone = zone_of};
    int rc = schedule_check(&config, is, &err);
    assert_int_equal(rc, field == NULL ? 0 : ERR_INVALID);
    if (field != NULL) {
        assert_memory_equal(err.msg, field, strlen(field));
        assert_int_equal(err.msg[strlen(field)], ':');
    }
}

static void a_definition_is_checked_field_by_field(void **unused)
{
    (void)unused;
    struct schedule_definition is = definition_of("*/5 1-3 * * mon");
    check_one(NULL, &is);
#define WITH(field, name, value)                 \
    do {                                         \
        struct schedule_definition changed = is; \
        changed.field = (value);                 \
        check_one((name), &changed);             \
    } while (0)
    WITH(gap, "gap", (enum calendar_gap)2);
    WITH(fold, "fold", (enum calendar_fold)3);
    WITH(overlap, "overlap", (enum schedule_overlap)3);
    WITH(misfire, "misfire", (enum schedule_misfire)3);
    WITH(misfire_cap, "misfire_cap", 0);
    WITH(misfire_cap, "misfire_cap", 1001);
    WITH(misfire_cap, NULL, 1000);
    WITH(misfire_window_s, "misfire_window", -1);
    WITH(start_deadline_s, "start_deadline", SCHEDULE_SECONDS_MAX + 1);
    WITH(start_deadline_s, NULL, SCHEDULE_SECONDS_MAX);
    WITH(progress_deadline_s, "progress_deadline", -1);
    WITH(finish_deadline_s, "finish_deadline", -1);
    WITH(min_runtime_s, "min_runtime", -1);
    WITH(retries, "retries", SCHEDULE_RETRIES_MAX + 1);
    WITH(backoff_s, "backoff", -1);
    WITH(backoff_s, "backoff_max", 1); /* longer than backoff_max */
    WITH(backoff_max_s, "backoff_max", -1);
    WITH(anchor_s, "anchor", ZONE_INSTANT_MAX + 1);
    struct schedule_definition changed = is;
    changed.misfire = SCHEDULE_MISFIRE_RUN_ALL;
    changed.misfire_window_s = changed.start_deadline_s;
    check_one("misfire_window", &changed);
    changed.misfire_window_s++;
    check_one(NULL, &changed);
    changed.finish_deadline_s = 5;
    changed.min_runtime_s = 6;
    check_one("min_runtime", &changed);
    changed = is;
    copy_text(changed.expression, sizeof changed.expression, "61 * * * *");
    check_one("cron", &changed);
    copy_text(changed.expression, sizeof changed.expression, "0 0 30 2 *");
    check_one("cron", &changed);
    copy_text(changed.expression, sizeof changed.expression, "every 25m");
    check_one(NULL, &changed);
    copy_text(changed.zone, sizeof changed.zone, "Atlantis");
    check_one("zone", &changed);
    memset(changed.zone, 'x', sizeof changed.zone);
    check_one("cron, zone", &changed);
    fixture_zones_free();
#undef WITH
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_slot_runs_when_it_has_come_and_nothing_is_said_before),
        cmocka_unit_test(nothing_is_decided_by_who_may_not_or_with_a_wrong_clock),
        cmocka_unit_test(nothing_is_decided_twice_when_the_clock_goes_back),
        cmocka_unit_test(a_slot_that_lies_ahead_again_waits),
        cmocka_unit_test(a_slot_is_on_time_up_to_its_start_deadline),
        cmocka_unit_test(the_policies_decide),
        cmocka_unit_test(every_cut_gives_the_same_ledger),
        cmocka_unit_test(missed_runs_that_all_run_take_turns),
        cmocka_unit_test(a_turn_comes_without_being_told),
        cmocka_unit_test(a_long_absence_is_caught_up_in_bounded_steps),
        cmocka_unit_test(who_catches_up_lets_the_others_go_first),
        cmocka_unit_test(without_room_the_lowest_priority_waits_is_shed_and_comes_back),
        cmocka_unit_test(what_waits_is_judged_anew_when_its_time_is_over),
        cmocka_unit_test(what_is_late_waits_for_room_until_a_newer_slot),
        cmocka_unit_test(runs_that_are_proposed_take_room),
        cmocka_unit_test(a_proposal_is_repeated_only_when_it_seems_lost),
        cmocka_unit_test(a_proposal_for_a_former_definition_is_refused),
        cmocka_unit_test(a_removed_schedule_is_forgotten),
        cmocka_unit_test(without_the_replicated_instant_slots_are_lost),
        cmocka_unit_test(ten_thousand_schedules_say_nothing_between_their_slots),
        cmocka_unit_test(a_zone_that_is_missing_keeps_slots_undecided_and_is_told),
        cmocka_unit_test(a_preview_tells_the_next_slots),
        cmocka_unit_test(a_definition_is_checked_field_by_field),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
