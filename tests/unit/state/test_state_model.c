/* A model in plain arrays says what became of each slot, and the state must agree. */
#include "node/base/rng.h"
#include "tests/unit/state/commands_work.h"

#include <stdlib.h>

#define SCHEDULES 4
#define MINUTES 4000 /* slots of each schedule: every minute from the first on */
#define UNDECIDED (-1)

struct model_schedule {
    char id[SCHEDULE_ID_SIZE];
    uint64_t revision;
    int decided; /* minutes */
    int outcome[MINUTES];
    uint32_t attempt[MINUTES];
    uint64_t counts[RUN_UNKNOWN + 1];
};

struct model {
    struct rng rng;
    struct state *state;
    struct model_schedule schedules[SCHEDULES];
    uint64_t refused, applied;
};

static int64_t second_of(int minute)
{
    return INT64_C(60) * (minute + 1);
}

static void define(struct model *model)
{
    for (int i = 0; i < SCHEDULES; i++) {
        struct model_schedule *schedule = &model->schedules[i];
        (void)snprintf(schedule->id, sizeof(schedule->id), "run/s%d", i);
        schedule->revision = apply_ok(model->state, schedule_put(schedule->id, 0, 0)).number;
        for (int minute = 0; minute < MINUTES; minute++) {
            schedule->outcome[minute] = UNDECIDED;
        }
    }
}

/* ---- decisions ---- */

/* The next slots of a schedule, cut into runs, skipped ones and ranges that are missed. */
static struct command next_slots(struct model *model, const struct model_schedule *schedule)
{
    int left = MINUTES - schedule->decided;
    int items = (int)rng_below(&model->rng, 6);
    int minute = schedule->decided;
    struct command command =
        slots_decide(schedule->id, schedule->revision, second_of(minute - 1), second_of(minute));
    for (int i = 0; i < items && minute < MINUTES; i++) {
        int length = 1 + (int)rng_below(&model->rng, 5);
        length = length < MINUTES - minute ? length : MINUTES - minute;
        switch (rng_below(&model->rng, 3)) {
        case 0:
            add_slot(&command, second_of(minute), RUN_UNDER_WAY);
            minute++;
            break;
        case 1:
            add_slot(&command, second_of(minute), RUN_SKIPPED);
            minute++;
            break;
        default:
            add_slots(&command, second_of(minute), second_of(minute + length - 1), (uint32_t)length,
                      RUN_MISSED, RUN_OUT_OF_WINDOW);
            minute += length;
            break;
        }
    }
    assert_true(left > 0);
    command.slots.decided_s = minute > schedule->decided ? second_of(minute - 1) : 0;
    return command;
}

/* Make it a command that must be refused. */
static void spoil(struct model *model, struct command *command)
{
    struct command_slots *slots = &command->slots;
    switch (rng_below(&model->rng, 5)) {
    case 0:
        slots->revision++;
        return;
    case 1:
        slots->after_s += 60; /* one would be left out */
        return;
    case 2:
        slots->after_s -= 60; /* one would come twice */
        return;
    case 3:
        slots->decided_s = slots->items[0].first_s - 1;
        return;
    default:
        if (slots->count < 2) {
            slots->items[0].verdict = RUN_RAN;
        } else {
            slots->items[1].first_s = slots->items[0].first_s;
        }
        return;
    }
}

static void note_decision(struct model_schedule *schedule, const struct command_slots *slots)
{
    for (size_t i = 0; i < slots->count; i++) {
        const struct command_slot *item = &slots->items[i];
        for (int64_t slot_s = item->first_s; slot_s <= item->last_s; slot_s += 60) {
            int minute = (int)(slot_s / 60) - 1;
            assert_int_equal(schedule->outcome[minute], UNDECIDED); /* each once */
            schedule->outcome[minute] = (int)item->verdict;
            schedule->attempt[minute] = item->verdict == RUN_UNDER_WAY ? 1 : 0;
            schedule->counts[item->verdict]++;
        }
    }
    schedule->decided = (int)(slots->decided_s / 60);
}

static void decide(struct model *model, struct model_schedule *schedule)
{
    if (schedule->decided >= MINUTES || state_run_count(model->state) > 400) {
        return;
    }
    struct command command = next_slots(model, schedule);
    if (command.slots.count == 0) {
        return;
    }
    struct command good = command;
    if (rng_below(&model->rng, 3) == 0) {
        spoil(model, &command);
        assert_int_equal(apply(model->state, command).outcome, STATE_REFUSED);
        model->refused++;
    }
    apply_ok(model->state, good);
    note_decision(schedule, &good.slots);
    if (rng_below(&model->rng, 3) == 0) {
        assert_int_equal(apply(model->state, good).status, ERR_STALE); /* said again */
        model->refused++;
    }
    model->applied++;
}

/* ---- ends ---- */

static int any_under_way(struct model *model, const struct model_schedule *schedule)
{
    int first =
        schedule->decided == 0 ? 0 : (int)rng_below(&model->rng, (uint64_t)schedule->decided);
    for (int i = first; i < schedule->decided; i++) {
        if (schedule->outcome[i] == RUN_UNDER_WAY) {
            return i;
        }
    }
    return -1;
}

static void end(struct model *model, struct model_schedule *schedule)
{
    int minute = any_under_way(model, schedule);
    if (minute < 0) {
        return;
    }
    static const enum run_outcome outcomes[] = {RUN_RAN,     RUN_RAN,    RUN_FAILED,
                                                RUN_SKIPPED, RUN_MISSED, RUN_UNKNOWN};
    enum run_outcome outcome = outcomes[rng_below(&model->rng, 6)];
    struct run_key key = run_key_of(schedule->id, second_of(minute), 0);
    bool assigned = outcome == RUN_RAN || rng_below(&model->rng, 2) == 0;
    uint32_t attempt = schedule->attempt[minute];
    uint64_t assignment = assigned ? assign_run(model->state, key, attempt) : 0;
    struct command command = run_end(key, attempt, assignment, outcome);
    bool again = (outcome == RUN_FAILED || outcome == RUN_UNKNOWN) && attempt < 4 &&
                 rng_below(&model->rng, 2) == 0;
    command.run_end.again_wall_ms = again ? command.wall_ms + 1000 : 0;
    apply_ok(model->state, command);
    if (again) {
        schedule->attempt[minute]++;
    } else {
        schedule->outcome[minute] = (int)outcome;
        schedule->counts[RUN_UNDER_WAY]--;
        schedule->counts[outcome]++;
    }
    if (rng_below(&model->rng, 3) == 0) {
        assert_int_equal(apply(model->state, command).outcome, STATE_REFUSED); /* said again */
        model->refused++;
    }
}

static void redefine(struct model *model, struct model_schedule *schedule)
{
    struct command command =
        schedule_put(schedule->id, schedule->revision, second_of(schedule->decided - 1));
    command.schedule.is.priority = (int64_t)rng_below(&model->rng, 3);
    struct state_effect effect = apply(model->state, command);
    assert_true(effect.outcome == STATE_APPLIED || effect.outcome == STATE_UNCHANGED);
    if (effect.outcome == STATE_APPLIED) {
        schedule->revision = effect.number;
    }
}

static void save_and_load(struct model *model)
{
    uint8_t *bytes;
    size_t length;
    assert_int_equal(state_snapshot(model->state, &bytes, &length), 0);
    struct state *fresh = state_create();
    assert_non_null(fresh);
    assert_int_equal(state_restore(fresh, state_index(model->state), bytes, length, NULL), 0);
    assert_true(state_digest(fresh) == state_digest(model->state));
    free(bytes);
    state_destroy(&model->state);
    model->state = fresh;
}

/* ---- agreement ---- */

static void check_schedule(const struct model *model, const struct model_schedule *schedule)
{
    const struct state_schedule *row = state_schedule_by_id(model->state, schedule->id);
    assert_int_equal(row->decided_s, second_of(schedule->decided - 1));
    assert_int_equal(row->under_way, schedule->counts[RUN_UNDER_WAY]);
    assert_int_equal(row->counts.ran, schedule->counts[RUN_RAN]);
    assert_int_equal(row->counts.failed, schedule->counts[RUN_FAILED]);
    assert_int_equal(row->counts.skipped, schedule->counts[RUN_SKIPPED]);
    assert_int_equal(row->counts.missed, schedule->counts[RUN_MISSED]);
    assert_int_equal(row->counts.unknown, schedule->counts[RUN_UNKNOWN]);
    for (int minute = 0; minute < MINUTES; minute++) {
        struct run_key key = run_key_of(schedule->id, second_of(minute), 0);
        const struct state_run *run = state_run_by_key(model->state, &key);
        assert_int_equal(run == NULL ? UNDECIDED : (int)run->outcome, schedule->outcome[minute]);
        assert_int_equal(run == NULL ? 0 : run->attempt, schedule->attempt[minute]);
    }
}

/* Each slot stands in one row. */
static void check_rows(const struct model *model)
{
    static uint8_t seen[SCHEDULES][MINUTES];
    memset(seen, 0, sizeof(seen));
    size_t ended = state_ended_count(model->state);
    size_t count = ended + state_run_count(model->state);
    assert_true(ended < STATE_RUNS_ENDED_MAX); /* nothing is forgotten here */
    for (size_t i = 0; i < count; i++) {
        const struct state_run *run =
            i < ended ? state_ended_at(model->state, i) : state_run_at(model->state, i - ended);
        for (int64_t slot_s = run->key.slot_s; slot_s <= run->last_s; slot_s += 60) {
            seen[run->key.schedule[5] - '0'][slot_s / 60 - 1]++;
        }
    }
    for (int i = 0; i < SCHEDULES; i++) {
        for (int minute = 0; minute < MINUTES; minute++) {
            bool decided = model->schedules[i].outcome[minute] != UNDECIDED;
            assert_int_equal(seen[i][minute], decided ? 1 : 0);
        }
    }
}

static void every_slot_is_decided_once_and_ends_once(void **unused)
{
    (void)unused;
    static struct model model;
    for (uint64_t seed = 1; seed <= 3; seed++) {
        memset(&model, 0, sizeof(model));
        rng_init(&model.rng, seed);
        model.state = state_create();
        assert_non_null(model.state);
        apply_ok(model.state, node_put("n1", 1));
        define(&model);
        for (int step = 0; step < 4000; step++) {
            struct model_schedule *schedule = &model.schedules[rng_below(&model.rng, SCHEDULES)];
            switch (rng_below(&model.rng, 20)) {
            case 0:
                redefine(&model, schedule);
                break;
            case 1:
                if (step % 5 == 0) {
                    save_and_load(&model);
                }
                break;
            case 2:
            case 3:
            case 4:
            case 5:
            case 6:
            case 7:
                decide(&model, schedule);
                break;
            default:
                end(&model, schedule);
                break;
            }
        }
        for (int i = 0; i < SCHEDULES; i++) {
            check_schedule(&model, &model.schedules[i]);
        }
        check_rows(&model);
        assert_true(model.applied > 500);
        assert_true(model.refused > 500);
        state_destroy(&model.state);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_slot_is_decided_once_and_ends_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
