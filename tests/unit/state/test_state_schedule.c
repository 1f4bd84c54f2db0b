#include "tests/unit/state/commands_work.h"

static int set_up(void **context)
{
    struct state *state = state_create();
    *context = state;
    return state == NULL ? -1 : 0;
}

static int tear_down(void **context)
{
    struct state *state = *context;
    state_destroy(&state);
    return 0;
}

static const struct state_schedule *row(const struct state *state)
{
    return state_schedule_by_id(state, "run/a");
}

/* run/a, which has decided up to 1000: its revision. */
static uint64_t add_schedule(struct state *state)
{
    return apply_ok(state, schedule_put("run/a", 0, 1000)).number;
}

/* ---- definitions ---- */

static void a_new_schedule_counts_from_its_first_instant(void **context)
{
    struct state *state = *context;
    uint64_t revision = add_schedule(state);
    assert_int_equal(revision, state_index(state));
    assert_int_equal(row(state)->revision, revision);
    assert_int_equal(row(state)->defined_s, 1000);
    assert_int_equal(row(state)->decided_s, 1000);
    assert_int_equal(row(state)->kept_from_s, 1000);
    assert_string_equal(row(state)->is.zone, "Europe/Vienna");
    assert_int_equal(row(state)->under_way, 0);
    assert_int_equal(row(state)->last_outcome, RUN_UNDER_WAY);
    assert_string_equal(state_audit_at(state, 0)->target, "run/a");
}

static void a_change_names_the_row_that_it_replaces(void **context)
{
    struct state *state = *context;
    apply_refused(state, schedule_put("run/a", 5, 1000), ERR_STALE); /* there is none */
    uint64_t first = add_schedule(state);
    apply_refused(state, schedule_put("run/a", 0, 1000), ERR_STALE);
    apply_refused(state, schedule_put("run/a", first + 1, 1000), ERR_STALE);
    apply_refused(state, schedule_put("run/a", first, 999), ERR_STALE); /* a slot would fall out */
    apply_refused(state, schedule_put("run/a", first, 1001), ERR_STALE);
    assert_int_equal(apply(state, schedule_put("run/a", first, 1000)).outcome, STATE_UNCHANGED);
    assert_int_equal(row(state)->revision, first);
    apply_ok(state, slots_decide("run/a", first, 1000, 2000));
    struct command changed = schedule_put("run/a", first, 2000);
    changed.schedule.is.priority = 8;
    uint64_t second = apply_ok(state, changed).number;
    assert_true(second > first);
    assert_int_equal(row(state)->revision, second);
    assert_int_equal(row(state)->defined_s, 2000);
    assert_int_equal(row(state)->kept_from_s, 1000); /* what ended before stays told */
    apply_refused(state, slots_decide("run/a", first, 2000, 3000), ERR_STALE);
    apply_ok(state, slots_decide("run/a", second, 2000, 3000));
}

static void change_texts(struct schedule_definition *is, int field)
{
    if (field == 0) {
        memset(is->expression, 0, sizeof(is->expression));
        copy_text(is->expression, sizeof(is->expression), "@daily");
    } else {
        memset(is->zone, 0, sizeof(is->zone));
        copy_text(is->zone, sizeof(is->zone), "UTC");
    }
}

static void change_choice(struct schedule_definition *is, int field)
{
    is->gap = field == 2 ? CALENDAR_GAP_SKIP : is->gap;
    is->fold = field == 3 ? CALENDAR_FOLD_BOTH : is->fold;
    is->overlap = field == 4 ? SCHEDULE_OVERLAP_REPLACE : is->overlap;
    is->misfire = field == 5 ? SCHEDULE_MISFIRE_SKIP : is->misfire;
    is->retry_unknown = field == 6 ? true : is->retry_unknown;
    is->critical = field == 7 ? true : is->critical;
}

static void change_number(struct schedule_definition *is, int field)
{
    int64_t *const durations[] = {&is->misfire_window_s,    &is->start_deadline_s,
                                  &is->progress_deadline_s, &is->finish_deadline_s,
                                  &is->min_runtime_s,       &is->backoff_s,
                                  &is->backoff_max_s};
    if (field < 15) {
        *durations[field - 8] = SCHEDULE_SECONDS_MAX;
    } else if (field == 15) {
        is->digest++;
    } else if (field == 16) {
        is->anchor_s = ZONE_INSTANT_MAX;
    } else if (field == 17) {
        is->misfire_cap = SCHEDULE_MISFIRE_CAP_MAX;
    } else if (field == 18) {
        is->retries = SCHEDULE_RETRIES_MAX;
    } else {
        is->priority = INT64_MIN;
    }
}

/* Each field alone makes another definition. */
static void every_field_of_a_definition_counts(void **context)
{
    struct state *state = *context;
    uint64_t revision = add_schedule(state);
    struct command command = schedule_put("run/a", 0, 1000);
    struct schedule_definition *is = &command.schedule.is;
    for (int field = 0; field < 20; field++) {
        if (field < 2) {
            change_texts(is, field);
        } else if (field < 8) {
            change_choice(is, field);
        } else {
            change_number(is, field);
        }
        command.schedule.replaces = revision;
        revision = apply_ok(state, command).number;
        command.schedule.replaces = revision;
        assert_int_equal(apply(state, command).outcome, STATE_UNCHANGED);
    }
    assert_memory_equal(&row(state)->is, is, sizeof(*is));
}

static void definitions_out_of_bounds_are_refused(void **context)
{
    struct state *state = *context;
    struct command table[22];
    size_t count = 0;
    table[count++] = schedule_put("a", 0, 1);
    table[count++] = schedule_put("/a", 0, 1);
    table[count++] = schedule_put("a/", 0, 1);
    table[count++] = schedule_put("run/a", 0, -1);
    table[count++] = schedule_put("run/a", 0, RUN_SLOT_S_MAX + 1);
    while (count < 22) {
        table[count++] = schedule_put("run/a", 0, 1);
    }
    table[5].schedule.is.misfire_cap = 0;
    table[6].schedule.is.misfire_cap = SCHEDULE_MISFIRE_CAP_MAX + 1;
    table[7].schedule.is.misfire_window_s = -1;
    table[8].schedule.is.misfire_window_s = SCHEDULE_SECONDS_MAX + 1;
    table[9].schedule.is.start_deadline_s = -1;
    table[10].schedule.is.start_deadline_s = SCHEDULE_SECONDS_MAX + 1;
    table[11].schedule.is.progress_deadline_s = -1;
    table[12].schedule.is.finish_deadline_s = SCHEDULE_SECONDS_MAX + 1;
    table[13].schedule.is.min_runtime_s = -1;
    table[14].schedule.is.retries = SCHEDULE_RETRIES_MAX + 1;
    table[15].schedule.is.backoff_s = -1;
    table[16].schedule.is.backoff_max_s = SCHEDULE_SECONDS_MAX + 1;
    table[17].schedule.is.anchor_s = ZONE_INSTANT_MAX + 1;
    table[18].schedule.is.anchor_s = ZONE_INSTANT_MIN - 1;
    table[19].schedule.is.progress_deadline_s = INT64_MAX;
    table[20].schedule.is.finish_deadline_s = INT64_MIN;
    table[21].schedule.is.backoff_s = SCHEDULE_SECONDS_MAX + 1;
    for (size_t i = 0; i < count; i++) {
        struct state_effect effect = apply(state, table[i]);
        if (effect.outcome != STATE_REFUSED || effect.status != ERR_INVALID) {
            fail_msg("row %zu: outcome %d", i, (int)effect.outcome);
        }
    }
    assert_int_equal(state_schedule_count(state), 0);
}

static void schedules_are_bounded_and_sorted(void **context)
{
    struct state *state = *context;
    char id[SCHEDULE_ID_SIZE];
    for (unsigned i = 0; i < STATE_SCHEDULES_MAX; i++) {
        (void)snprintf(id, sizeof(id), "run/%05u", (i * 7919u) % STATE_SCHEDULES_MAX);
        apply_ok(state, schedule_put(id, 0, i));
    }
    apply_refused(state, schedule_put("run/more", 0, 1), ERR_FULL);
    assert_int_equal(state_schedule_count(state), STATE_SCHEDULES_MAX);
    for (unsigned i = 0; i < STATE_SCHEDULES_MAX; i++) {
        (void)snprintf(id, sizeof(id), "run/%05u", i);
        assert_string_equal(state_schedule_at(state, i)->id, id);
        assert_ptr_equal(state_schedule_by_id(state, id), state_schedule_at(state, i));
    }
    assert_null(state_schedule_at(state, STATE_SCHEDULES_MAX));
    apply_ok(state, schedule_remove("run/00007"));
    assert_null(state_schedule_by_id(state, "run/00007"));
    apply_ok(state, schedule_put("run/more", 0, 1));
    apply_refused(state, schedule_remove("run/00007"), ERR_NOTFOUND);
}

/* ---- slots ---- */

static void decided_slots_run_or_end(void **context)
{
    struct state *state = *context;
    uint64_t revision = add_schedule(state);
    struct command decide = slots_decide("run/a", revision, 1000, 2000);
    add_slots(&decide, 1060, 1300, 5, RUN_MISSED, RUN_SUPERSEDED);
    add_slot(&decide, 1360, RUN_SKIPPED);
    add_slots(&decide, 2000, 2000, 1, RUN_UNDER_WAY, RUN_LATE);
    struct state_effect effect = apply_ok(state, decide);
    assert_string_equal(effect.target, "run/a");
    assert_int_equal(effect.number, effect.index);
    assert_int_equal(row(state)->decided_s, 2000);
    assert_int_equal(row(state)->under_way, 1);
    assert_int_equal(row(state)->counts.missed, 5);
    assert_int_equal(row(state)->counts.skipped, 1);
    assert_int_equal(row(state)->failures, 5);
    assert_int_equal(row(state)->last_slot_s, 1360);
    assert_int_equal(row(state)->last_outcome, RUN_SKIPPED);
    assert_int_equal(state_run_count(state), 1);
    const struct state_run *run = state_run_at(state, 0);
    assert_int_equal(run->key.slot_s, 2000);
    assert_int_equal(run->last_s, 2000);
    assert_int_equal(run->attempt, 1);
    assert_int_equal(run->outcome, RUN_UNDER_WAY);
    assert_int_equal(run->reason, RUN_LATE);
    assert_int_equal(run->term, TERM);
    assert_int_equal(run->index, effect.index);
    assert_int_equal(run->revision, revision);
    const struct state_duty *duty = duty_of_run(state, run->key, 1);
    assert_non_null(duty);
    assert_true(duty->is.exclusive && duty->is.wanted && duty->is.once);
    assert_int_equal(duty->is.priority, 7);
    assert_string_equal(duty->manager, "run");
    assert_int_equal(state_ended_count(state), 2);
    const struct state_run *newest = state_ended_at(state, 0);
    assert_int_equal(newest->key.slot_s, 1360);
    assert_int_equal(newest->outcome, RUN_SKIPPED);
    assert_int_equal(newest->reason, RUN_OVERLAP);
    assert_int_equal(newest->attempt, 0);
    assert_int_equal(newest->count, 1);
    const struct state_run *range = state_ended_at(state, 1);
    assert_int_equal(range->key.slot_s, 1060);
    assert_int_equal(range->last_s, 1300);
    assert_int_equal(range->count, 5);
    assert_null(state_ended_at(state, 2));
    /* found by any slot of the range */
    struct run_key key = run_key_of("run/a", 1180, 0);
    assert_ptr_equal(state_run_by_key(state, &key), range);
    key.slot_s = 2000;
    assert_ptr_equal(state_run_by_key(state, &key), state_run_at(state, 0));
    key.slot_s = 1301;
    assert_null(state_run_by_key(state, &key));
    struct run_key other = run_key_of("run/b", 1180, 0);
    assert_null(state_run_by_key(state, &other));
}

static void a_slot_is_decided_once(void **context)
{
    struct state *state = *context;
    uint64_t revision = add_schedule(state);
    struct command decide = slots_decide("run/a", revision, 1000, 1060);
    add_slot(&decide, 1060, RUN_UNDER_WAY);
    apply_ok(state, decide);
    apply_refused(state, decide, ERR_STALE); /* said again */
    struct command wider = slots_decide("run/a", revision, 1000, 1120);
    add_slot(&wider, 1060, RUN_UNDER_WAY);
    add_slot(&wider, 1120, RUN_UNDER_WAY);
    apply_refused(state, wider, ERR_STALE);
    struct command later = slots_decide("run/a", revision, 1120, 1180);
    apply_refused(state, later, ERR_STALE); /* it would leave some out */
    apply_refused(state, slots_decide("run/a", revision + 1, 1060, 1120), ERR_STALE);
    apply_refused(state, slots_decide("run/b", revision, 1060, 1120), ERR_NOTFOUND);
    assert_int_equal(state_run_count(state), 1);
    assert_int_equal(row(state)->decided_s, 1060);
    apply_ok(state, slots_decide("run/a", revision, 1060, 1120)); /* with no slot in it */
}

static void slots_out_of_order_are_refused_as_a_whole(void **context)
{
    struct state *state = *context;
    uint64_t revision = add_schedule(state);
    const struct {
        int64_t after_s, decided_s;
        struct command_slot items[3];
        size_t count;
    } table[] = {
        {1000, 1000, {{0}}, 0},
        {1000, 999, {{0}}, 0},
        {1000, RUN_SLOT_S_MAX + 1, {{0}}, 0},
        {1000, 2000, {{1000, 1000, 1, RUN_SKIPPED, RUN_PAUSED}}, 1},
        {1000, 2000, {{-5, -5, 1, RUN_SKIPPED, RUN_PAUSED}}, 1},
        {1000, 2000, {{2001, 2001, 1, RUN_SKIPPED, RUN_PAUSED}}, 1},
        {1000, 2000, {{1900, 2001, 2, RUN_SKIPPED, RUN_PAUSED}}, 1},
        {1000, 2000, {{1900, 1800, 2, RUN_SKIPPED, RUN_PAUSED}}, 1},
        {1000, 2000, {{1900, INT64_MIN, 2, RUN_SKIPPED, RUN_PAUSED}}, 1},
        {1000, 2000, {{1900, 1900, 0, RUN_SKIPPED, RUN_PAUSED}}, 1},
        {1000, 2000, {{1900, 1900, 2, RUN_SKIPPED, RUN_PAUSED}}, 1},
        {1000, 2000, {{1900, 1960, 1, RUN_SKIPPED, RUN_PAUSED}}, 1},
        {1000, 2000, {{1900, 1960, 62, RUN_SKIPPED, RUN_PAUSED}}, 1},
        {1000, 2000, {{1900, 1960, 2, RUN_UNDER_WAY, RUN_DUE}}, 1},
        {1000, 2000, {{1900, 1900, 1, RUN_RAN, RUN_DUE}}, 1},
        {1000, 2000, {{1900, 1900, 1, RUN_FAILED, RUN_DUE}}, 1},
        {1000, 2000, {{1900, 1900, 1, RUN_UNKNOWN, RUN_DUE}}, 1},
        {1000,
         2000,
         {{1100, 1100, 1, RUN_UNDER_WAY, RUN_DUE}, {1100, 1100, 1, RUN_UNDER_WAY, RUN_DUE}},
         2},
        {1000,
         2000,
         {{1100, 1300, 3, RUN_MISSED, RUN_LATE}, {1300, 1300, 1, RUN_UNDER_WAY, RUN_DUE}},
         2},
        {1000,
         2000,
         {{1100, 1100, 1, RUN_UNDER_WAY, RUN_DUE},
          {1300, 1300, 1, RUN_MISSED, RUN_LATE},
          {1200, 1200, 1, RUN_MISSED, RUN_LATE}},
         3},
    };
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        struct command decide =
            slots_decide("run/a", revision, table[i].after_s, table[i].decided_s);
        decide.slots.count = table[i].count;
        for (size_t j = 0; j < table[i].count; j++) {
            decide.slots.items[j] = table[i].items[j];
        }
        struct state_effect effect = apply(state, decide);
        if (effect.outcome != STATE_REFUSED || effect.status != ERR_INVALID) {
            fail_msg("row %zu: outcome %d", i, (int)effect.outcome);
        }
    }
    assert_int_equal(state_run_count(state), 0);
    assert_int_equal(state_ended_count(state), 0);
    assert_int_equal(state_duty_count(state), 0);
    assert_int_equal(row(state)->decided_s, 1000);
}

/* All slots of a command begin, or none. */
static void without_room_nothing_is_decided(void **context)
{
    struct state *state = *context;
    uint64_t revision = add_schedule(state);
    int64_t decided_s = 1000;
    while (state_run_count(state) < STATE_RUNS_UNDER_WAY_MAX - 8) {
        struct command decide = slots_decide("run/a", revision, decided_s, decided_s + 8);
        for (int i = 1; i <= 8; i++) {
            add_slot(&decide, decided_s + i, RUN_UNDER_WAY);
        }
        apply_ok(state, decide);
        decided_s += 8;
    }
    struct command decide = slots_decide("run/a", revision, decided_s, decided_s + 9);
    for (int i = 1; i <= 9; i++) {
        add_slot(&decide, decided_s + i, RUN_UNDER_WAY);
    }
    apply_refused(state, decide, ERR_FULL);
    assert_int_equal(row(state)->decided_s, decided_s);
    decide.slots.items[0].verdict = RUN_SKIPPED;
    decide.slots.items[0].reason = RUN_SHED;
    apply_ok(state, decide);
    assert_int_equal(state_run_count(state), STATE_RUNS_UNDER_WAY_MAX);
    assert_int_equal(row(state)->under_way, STATE_RUNS_UNDER_WAY_MAX);
    apply_refused(state, run_start("run/a"), ERR_FULL);
}

static void without_duties_nothing_begins(void **context)
{
    struct state *state = *context;
    uint64_t revision = add_schedule(state);
    char id[DUTY_ID_SIZE];
    for (unsigned i = 0; i < DUTIES_MAX - 1; i++) {
        (void)snprintf(id, sizeof(id), "m/%u", i);
        apply_ok(state, duty_put(id, true, true));
    }
    struct command decide = slots_decide("run/a", revision, 1000, 1120);
    add_slot(&decide, 1060, RUN_UNDER_WAY);
    add_slot(&decide, 1120, RUN_UNDER_WAY);
    apply_refused(state, decide, ERR_FULL);
    decide.slots.count = 1;
    apply_ok(state, decide);
    assert_int_equal(state_duty_count(state), DUTIES_MAX);
}

static void a_duty_in_the_way_of_a_run_is_told(void **context)
{
    struct state *state = *context;
    uint64_t revision = add_schedule(state);
    apply_ok(state, duty_put("run/a@19700101T001740Z#1", true, true));
    struct command decide = slots_decide("run/a", revision, 1000, 1060);
    add_slot(&decide, 1060, RUN_UNDER_WAY);
    apply_refused(state, decide, ERR_EXISTS);
    apply_ok(state, duty_remove("run/a@19700101T001740Z#1"));
    apply_ok(state, decide);
}

/* The ring forgets the oldest; the schedule says since when it is whole. */
static void what_is_forgotten_is_told(void **context)
{
    struct state *state = *context;
    uint64_t revision = add_schedule(state);
    uint64_t other = apply_ok(state, schedule_put("run/b", 0, 500)).number;
    struct command first = slots_decide("run/b", other, 500, 600);
    add_slots(&first, 510, 590, 3, RUN_MISSED, RUN_OUT_OF_WINDOW);
    add_slot(&first, 600, RUN_SKIPPED);
    apply_ok(state, first);
    int64_t decided_s = 1000;
    for (int i = 2; i < STATE_RUNS_ENDED_MAX; i++) {
        struct command decide = slots_decide("run/a", revision, decided_s, decided_s + 60);
        add_slot(&decide, decided_s + 60, RUN_SKIPPED);
        apply_ok(state, decide);
        decided_s += 60;
    }
    assert_int_equal(state_ended_count(state), STATE_RUNS_ENDED_MAX);
    assert_int_equal(state_schedule_by_id(state, "run/b")->kept_from_s, 500);
    const int64_t expected_b[] = {590, 600, 600};
    const int64_t expected_a[] = {1000, 1000, 1060};
    for (int i = 0; i < 3; i++) {
        struct command decide = slots_decide("run/a", revision, decided_s, decided_s + 60);
        add_slot(&decide, decided_s + 60, RUN_SKIPPED);
        apply_ok(state, decide);
        decided_s += 60;
        assert_int_equal(state_schedule_by_id(state, "run/b")->kept_from_s, expected_b[i]);
        assert_int_equal(row(state)->kept_from_s, expected_a[i]);
        assert_int_equal(state_ended_at(state, 0)->key.slot_s, decided_s);
    }
    assert_int_equal(state_ended_count(state), STATE_RUNS_ENDED_MAX);
    assert_int_equal(state_ended_at(state, STATE_RUNS_ENDED_MAX - 1)->key.slot_s, 1120);
    assert_null(state_ended_at(state, STATE_RUNS_ENDED_MAX));
    struct run_key gone = run_key_of("run/a", 1060, 0);
    assert_null(state_run_by_key(state, &gone));
    struct run_key kept = run_key_of("run/a", 1120, 0);
    assert_non_null(state_run_by_key(state, &kept));
}

static void a_removed_schedule_leaves_its_runs(void **context)
{
    struct state *state = *context;
    uint64_t revision = add_schedule(state);
    apply_ok(state, node_put("n1", 1));
    struct command decide = slots_decide("run/a", revision, 1000, 1120);
    add_slot(&decide, 1060, RUN_SKIPPED);
    add_slot(&decide, 1120, RUN_UNDER_WAY);
    apply_ok(state, decide);
    apply_ok(state, schedule_remove("run/a"));
    assert_int_equal(state_run_count(state), 1);
    assert_int_equal(state_ended_count(state), 1);
    /* defined anew, it meets the run that is still under way, and decides no slot again */
    apply_refused(state, schedule_put("run/a", 0, 1119), ERR_STALE);
    apply_ok(state, schedule_put("run/b", 0, 1119));
    apply_ok(state, schedule_put("run/a", 0, 1120));
    assert_int_equal(row(state)->under_way, 1);
    assert_int_equal(row(state)->counts.skipped, 0);
    struct run_key key = run_key_of("run/a", 1120, 0);
    apply_ok(state, run_end(key, 1, 0, RUN_MISSED));
    assert_int_equal(row(state)->under_way, 0);
    assert_int_equal(row(state)->counts.missed, 1);
    apply_ok(state, schedule_remove("run/a"));
    assert_int_equal(state_ended_count(state), 2);
    apply_refused(state, schedule_put("run/a", 0, 1119), ERR_STALE);
    apply_ok(state, schedule_put("run/a", 0, 2000));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_new_schedule_counts_from_its_first_instant),
        TEST(a_change_names_the_row_that_it_replaces),
        TEST(every_field_of_a_definition_counts),
        TEST(definitions_out_of_bounds_are_refused),
        TEST(schedules_are_bounded_and_sorted),
        TEST(decided_slots_run_or_end),
        TEST(a_slot_is_decided_once),
        TEST(slots_out_of_order_are_refused_as_a_whole),
        TEST(without_room_nothing_is_decided),
        TEST(without_duties_nothing_begins),
        TEST(a_duty_in_the_way_of_a_run_is_told),
        TEST(what_is_forgotten_is_told),
        TEST(a_removed_schedule_leaves_its_runs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
