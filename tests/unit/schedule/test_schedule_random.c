/* Two leaders that both think they act, each with a state that lags behind, propose to one log
 * that loses, repeats and reorders; clocks jump, leaders change, runs end. What each proposes must
 * be what a slow model of the rule (schedule.h) says of the state that it saw, and the ledger of
 * the log must have every slot exactly once. */
#include "consensus/schedule_parts.h"
#include "node/base/rng.h"
#include "tests/unit/schedule/schedule_fixture.h"

#include <stdlib.h>

#define SCHEDULES 7
#define HORIZON_S (12 * DAY_S)
#define SLOTS_MAX 20000
#define ROUNDS 120
#define SEEDS 40
#define PENDING_MAX 256

struct subject {
    char id[SCHEDULE_ID_SIZE];
    struct schedule_definition is;
    size_t slot_count;
    int64_t slots[SLOTS_MAX];
    uint8_t found[SLOTS_MAX];
};

struct view {
    struct world world;
    size_t applied; /* commands of the log */
};

struct trial {
    struct rng rng;
    int64_t begin_s;
    int64_t wall_s;
    int64_t now_ms;
    struct subject *subjects;
    struct state *truth;
    size_t log_count;
    size_t log_room;
    struct command *log;
    size_t pending_count;
    struct command pending[PENDING_MAX];
    struct view views[2];
};

static bool chance(struct trial *self, unsigned percent)
{
    return rng_below(&self->rng, 100) < percent;
}

/* ---- subjects ---- */

static void choose_policy(struct trial *self, struct schedule_definition *is)
{
    static const int64_t deadlines_s[] = {0, 20, 60, 300, 4000};
    is->overlap = (enum schedule_overlap)rng_below(&self->rng, 3);
    is->misfire = (enum schedule_misfire)rng_below(&self->rng, 3);
    is->misfire_cap = 1 + (uint32_t)rng_below(&self->rng, 5);
    is->start_deadline_s = deadlines_s[rng_below(&self->rng, 5)];
    is->misfire_window_s = is->start_deadline_s + 60 + (int64_t)rng_below(&self->rng, 20000);
    is->priority = (int64_t)rng_below(&self->rng, 3);
}

static void list_slots(struct subject *subject, int64_t begin_s)
{
    struct calendar calendar;
    struct calendar_rules rules = {subject->is.gap, subject->is.fold, subject->is.anchor_s};
    int64_t slot_s = begin_s;
    assert_int_equal(calendar_parse(subject->is.expression, &calendar, NULL), 0);
    subject->slot_count = 0;
    while (calendar_next(&calendar, &rules, fixture_zone(subject->is.zone), slot_s, &slot_s) &&
           slot_s <= begin_s + HORIZON_S) {
        assert_true(subject->slot_count < SLOTS_MAX);
        subject->slots[subject->slot_count++] = slot_s;
    }
}

static void make_subject(struct trial *self, size_t number)
{
    static const char *const expressions[] = {"* * * * *",    "*/7 * * * *",  "0 */3 * * *",
                                              "30 1-3 * * *", "every 25m",    "every 90s",
                                              "0 0 * * *",    "17 2 * * sun", "15,45 * 1-28 * *"};
    static const char *const zones[] = {"UTC", "Madrid", "New_York", "Lord_Howe"};
    struct subject *subject = &self->subjects[number];
    subject->is = definition_of(expressions[rng_below(&self->rng, 9)]);
    copy_text(subject->is.zone, ZONE_NAME_SIZE, zones[rng_below(&self->rng, 4)]);
    subject->is.gap = (enum calendar_gap)rng_below(&self->rng, 2);
    subject->is.fold = (enum calendar_fold)rng_below(&self->rng, 3);
    subject->is.anchor_s = self->begin_s - (int64_t)rng_below(&self->rng, 5000);
    choose_policy(self, &subject->is);
    (void)snprintf(subject->id, sizeof subject->id, "run/%zu", number);
    list_slots(subject, self->begin_s);
}

static struct subject *subject_by_id(struct trial *self, const char *id)
{
    for (size_t i = 0; i < SCHEDULES; i++) {
        if (strcmp(self->subjects[i].id, id) == 0) {
            return &self->subjects[i];
        }
    }
    fail_msg("no schedule %s", id);
    return NULL;
}

/* Position of the first slot after the instant. */
static size_t position_after(const struct subject *subject, int64_t instant_s)
{
    size_t low = 0;
    size_t high = subject->slot_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (subject->slots[middle] <= instant_s) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

/* ---- the log ---- */

static struct state_effect commit(struct trial *self, const struct command *command)
{
    if (self->log_count == self->log_room) {
        self->log_room = self->log_room * 2 + 64;
        self->log = realloc(self->log, self->log_room * sizeof *self->log);
        assert_non_null(self->log);
    }
    self->log[self->log_count++] = *command;
    return apply(self->truth, *command);
}

static void follow(struct trial *self, struct view *view, size_t count)
{
    while (count-- > 0 && view->applied < self->log_count) {
        struct run_key key;
        uint32_t attempt;
        struct state_effect effect = apply(view->world.state, self->log[view->applied++]);
        const char *schedule = effect.target;
        if (effect.type != COMMAND_SCHEDULE_PUT && effect.type != COMMAND_SLOTS_DECIDE) {
            /* That a run has ended may be told, too. */
            schedule =
                chance(self, 50) && run_parse(effect.target, &key, &attempt) ? key.schedule : NULL;
        }
        if (schedule != NULL) {
            assert_int_equal(scheduler_sync(view->world.scheduler, view->world.state, schedule), 0);
        }
    }
}

static void put(struct trial *self, struct subject *subject)
{
    struct command command = command_of(COMMAND_SCHEDULE_PUT);
    const struct state_schedule *row = state_schedule_by_id(self->truth, subject->id);
    copy_text(command.schedule.id, SCHEDULE_ID_SIZE, subject->id);
    command.schedule.replaces = row == NULL ? 0 : row->revision;
    command.schedule.decided_s = row == NULL ? self->begin_s : row->decided_s;
    command.schedule.is = subject->is;
    assert_int_not_equal(commit(self, &command).outcome, STATE_REFUSED);
}

/* ---- the slow model ---- */

struct expected {
    enum run_outcome outcome;
    enum run_reason reason;
};

/* Of the slots that have come after `slot`: how many are late, and how many are not. */
static void count_newer(const struct subject *subject, size_t slot, int64_t now_s, int64_t limit_s,
                        size_t *ret_late, size_t *ret_on_time)
{
    *ret_late = 0;
    *ret_on_time = 0;
    for (size_t i = slot + 1; i < subject->slot_count && subject->slots[i] <= now_s; i++) {
        *(now_s - subject->slots[i] > limit_s ? ret_late : ret_on_time) += 1;
    }
}

/* Does the misfire policy keep a late slot? */
static bool keeps(const struct schedule_definition *is, int64_t age_s, size_t newer_late,
                  size_t newer_on_time)
{
    switch (is->misfire) {
    case SCHEDULE_MISFIRE_RUN_ONCE:
        return newer_late == 0 && newer_on_time == 0;
    case SCHEDULE_MISFIRE_RUN_ALL:
        return newer_late < is->misfire_cap && age_s <= is->misfire_window_s;
    case SCHEDULE_MISFIRE_SKIP:
        break;
    }
    return false;
}

/* What must become of one slot, given the runs under way and the room at that point. False: it must
 * wait. */
static bool model(const struct subject *subject, const struct schedule_definition *is, size_t slot,
                  const struct world *world, size_t busy, size_t room, struct expected *ret)
{
    int64_t now_s = world->now.wall_ms / 1000;
    int64_t age_s = now_s - subject->slots[slot];
    int64_t limit_s = is->start_deadline_s > 1 ? is->start_deadline_s : 1;
    size_t newer_late;
    size_t newer_on_time;
    count_newer(subject, slot, now_s, limit_s, &newer_late, &newer_on_time);
    bool late = age_s > limit_s;
    bool turns = late && is->misfire == SCHEDULE_MISFIRE_RUN_ALL;
    if (late && !keeps(is, age_s, newer_late, newer_on_time)) {
        *ret = (struct expected){RUN_MISSED, is->misfire == SCHEDULE_MISFIRE_SKIP ? RUN_MISFIRE_SKIP
                                             : is->misfire == SCHEDULE_MISFIRE_RUN_ONCE
                                                 ? RUN_SUPERSEDED
                                                 : RUN_OUT_OF_WINDOW};
        return true;
    }
    *ret = (struct expected){RUN_SKIPPED, RUN_DUE};
    if (world->gate != RUN_DUE || world->now.maintenance) {
        ret->reason = world->gate != RUN_DUE ? world->gate : RUN_MAINTENANCE;
        return true;
    }
    if (turns && busy > 0 && is->overlap != SCHEDULE_OVERLAP_ALLOW) {
        return false;
    }
    if (!turns && is->overlap == SCHEDULE_OVERLAP_REPLACE && newer_late + newer_on_time > 0) {
        ret->reason = RUN_REPLACED;
        return true;
    }
    if (is->overlap == SCHEDULE_OVERLAP_FORBID && busy > 0) {
        ret->reason = RUN_OVERLAP;
        return true;
    }
    if (room == 0) {
        ret->reason = RUN_SHED;
        return !late && age_s >= limit_s;
    }
    *ret = (struct expected){RUN_UNDER_WAY, late ? RUN_LATE : RUN_DUE};
    return true;
}

/* The proposal decides slots one after the other, as the model does. Returns the runs it begins. */
static size_t check_proposal(struct trial *self, const struct view *view,
                             const struct command *command, size_t room)
{
    const struct command_slots *slots = &command->slots;
    const struct subject *subject = subject_by_id(self, slots->schedule);
    const struct state_schedule *row = state_schedule_by_id(view->world.state, slots->schedule);
    assert_int_equal(slots->revision, row->revision);
    assert_int_equal(slots->after_s, row->decided_s);
    assert_in_range(slots->count, 1, SLOTS_PER_COMMAND_MAX);
    size_t position = position_after(subject, row->decided_s);
    size_t runs = 0;
    for (size_t i = 0; i < slots->count; i++) {
        const struct command_slot *item = &slots->items[i];
        assert_int_equal(item->first_s, subject->slots[position]);
        for (uint32_t j = 0; j < item->count; j++, position++) {
            struct expected expected;
            assert_true(position < subject->slot_count);
            assert_true(subject->slots[position] * 1000 <= view->world.now.wall_ms);
            assert_true(model(subject, &row->is, position, &view->world, row->under_way + runs,
                              room - runs, &expected));
            assert_int_equal(item->verdict, expected.outcome);
            assert_int_equal(item->reason, expected.reason);
            runs += expected.outcome == RUN_UNDER_WAY ? 1 : 0;
        }
        assert_int_equal(item->last_s, subject->slots[position - 1]);
        assert_true(item->verdict != RUN_UNDER_WAY || item->count == 1);
    }
    assert_int_equal(slots->decided_s, subject->slots[position - 1]);
    return runs;
}

/* ---- the ledger ---- */

static void mark(struct trial *self, const struct state_run *run)
{
    struct subject *subject = subject_by_id(self, run->key.schedule);
    if (run->key.number != 0) {
        return;
    }
    size_t position = position_after(subject, run->key.slot_s - 1);
    for (uint32_t i = 0; i < run->count; i++) {
        assert_true(position + i < subject->slot_count);
        subject->found[position + i]++;
    }
    assert_int_equal(subject->slots[position], run->key.slot_s);
    assert_int_equal(subject->slots[position + run->count - 1], run->last_s);
}

/* Each slot up to what is decided once, and nothing else. */
static void check_ledger(struct trial *self)
{
    for (size_t i = 0; i < SCHEDULES; i++) {
        memset(self->subjects[i].found, 0, sizeof self->subjects[i].found);
    }
    for (size_t i = 0; i < state_run_count(self->truth); i++) {
        mark(self, state_run_at(self->truth, i));
    }
    assert_true(state_ended_count(self->truth) < STATE_RUNS_ENDED_MAX); /* none is forgotten */
    for (size_t i = 0; i < state_ended_count(self->truth); i++) {
        mark(self, state_ended_at(self->truth, i));
    }
    for (size_t i = 0; i < SCHEDULES; i++) {
        const struct subject *subject = &self->subjects[i];
        int64_t decided_s = state_schedule_by_id(self->truth, subject->id)->decided_s;
        for (size_t j = 0; j < subject->slot_count; j++) {
            assert_int_equal(subject->found[j], subject->slots[j] <= decided_s ? 1 : 0);
        }
    }
}

/* ---- events ---- */

static void end_some_runs(struct trial *self, unsigned percent)
{
    for (size_t i = state_run_count(self->truth); i > 0; i--) {
        const struct state_run *run = state_run_at(self->truth, i - 1);
        struct command command = command_of(COMMAND_RUN_END);
        command.run_end = (struct command_run_end){.run = run->key,
                                                   .attempt = run->attempt,
                                                   .outcome = RUN_MISSED,
                                                   .reason = RUN_START_DEADLINE,
                                                   .exit_status = -1};
        if (chance(self, percent)) {
            assert_int_equal(commit(self, &command).outcome, STATE_APPLIED);
        }
    }
}

static void move_clocks(struct trial *self)
{
    int64_t passed_s = (int64_t)rng_below(&self->rng, chance(self, 50) ? 100 : 1500);
    if (chance(self, 4)) {
        passed_s = (int64_t)rng_below(&self->rng, DAY_S);
    }
    self->now_ms += passed_s * 1000 + (int64_t)rng_below(&self->rng, 500);
    self->wall_s += passed_s;
    if (chance(self, 5)) {
        self->wall_s -= (int64_t)rng_below(&self->rng, 7200);
    }
    self->wall_s = self->wall_s < self->begin_s ? self->begin_s : self->wall_s;
}

static void look_around(struct trial *self, struct world *world)
{
    static const size_t rooms[] = {0, 1, 3, 200, 200, 200};
    size_t runs = state_run_count(world->state);
    size_t room = rooms[rng_below(&self->rng, 6)];
    world->now.now_ms = self->now_ms;
    world->now.wall_ms = self->wall_s * 1000 + (int64_t)rng_below(&self->rng, 1000);
    world->now.room = room > runs ? room - runs : 0;
    world->now.maintenance = chance(self, 5);
    world->now.wall_trusted = chance(self, 95);
    world->gate = chance(self, 90) ? RUN_DUE : chance(self, 50) ? RUN_PAUSED : RUN_SHADOW;
}

static void add_pending(struct trial *self, const struct command *command)
{
    if (self->pending_count < PENDING_MAX) {
        self->pending[self->pending_count++] = *command;
    }
}

static size_t propose(struct trial *self, struct view *view)
{
    static struct command commands[SCHEDULE_STEP_COMMANDS_MAX];
    struct world *world = &view->world;
    /* A step for no command: what was proposed too long ago counts as lost, and takes no room. */
    (void)scheduler_step(world->scheduler, world->state, &world->now, commands, 0);
    size_t taken = world->scheduler->runs_in_flight;
    size_t room = world->now.room > taken ? world->now.room - taken : 0;
    size_t count = world_step(world, commands);
    for (size_t i = 0; i < count; i++) {
        commands[i].wall_ms = world->now.wall_ms;
        room -= check_proposal(self, view, &commands[i], room);
        add_pending(self, &commands[i]);
        for (size_t j = 0; j < i; j++) {
            assert_string_not_equal(commands[i].slots.schedule, commands[j].slots.schedule);
        }
    }
    return count;
}

/* In any order, some never, some twice. */
static void deliver(struct trial *self, unsigned lost_percent)
{
    for (size_t rest = self->pending_count; rest > 0; rest--) {
        size_t chosen = rng_below(&self->rng, self->pending_count);
        struct command command = self->pending[chosen];
        if (chance(self, 30)) {
            continue; /* later */
        }
        self->pending[chosen] = self->pending[--self->pending_count];
        for (int copies = chance(self, 10) ? 2 : 1; copies > 0; copies--) {
            if (!chance(self, lost_percent)) {
                (void)commit(self, &command);
            }
        }
    }
}

static void round_of(struct trial *self)
{
    move_clocks(self);
    for (size_t i = 0; i < 2; i++) {
        struct view *view = &self->views[i];
        follow(self, view, chance(self, 70) ? SIZE_MAX : rng_below(&self->rng, 4));
        if (chance(self, 15)) {
            world_new_leader(&view->world);
        }
        look_around(self, &view->world);
        if (chance(self, 75)) {
            (void)propose(self, view);
        }
    }
    deliver(self, 15);
    end_some_runs(self, 40);
    if (chance(self, 5)) {
        struct subject *subject = &self->subjects[rng_below(&self->rng, SCHEDULES)];
        choose_policy(self, &subject->is);
        put(self, subject);
    }
    check_ledger(self);
}

/* One leader, all well: everything that has come is decided. */
static void heal(struct trial *self)
{
    struct view *view = &self->views[0];
    for (int quiet = 0, rounds = 0; quiet < 3; rounds++) {
        assert_true(rounds < 1000);
        deliver(self, 0);
        end_some_runs(self, 100);
        follow(self, view, SIZE_MAX);
        self->now_ms += SCHEDULE_REPEAT_MS;
        look_around(self, &view->world);
        view->world.now.room = 200;
        view->world.now.wall_trusted = true;
        view->world.gate = RUN_DUE;
        quiet = propose(self, view) == 0 && self->pending_count == 0 ? quiet + 1 : 0;
    }
    check_ledger(self);
    for (size_t i = 0; i < SCHEDULES; i++) {
        const struct subject *subject = &self->subjects[i];
        size_t next =
            position_after(subject, state_schedule_by_id(self->truth, subject->id)->decided_s);
        assert_true(next == subject->slot_count || subject->slots[next] > self->wall_s);
    }
}

static void run_trial(struct trial *self, uint64_t seed)
{
    /* Around the changes of clocks in 2026: 1 November in New York, 25 October in Madrid, ... */
    static const int64_t begins_s[] = {INT64_C(1792800000), INT64_C(1793404800), T0,
                                       INT64_C(1774500000), INT64_C(1772900000)};
    rng_init(&self->rng, seed);
    self->begin_s = begins_s[rng_below(&self->rng, 5)] + (int64_t)rng_below(&self->rng, DAY_S);
    self->wall_s = self->begin_s;
    self->now_ms = 1000;
    self->log_count = 0;
    self->pending_count = 0;
    self->truth = state_create();
    assert_non_null(self->truth);
    for (size_t i = 0; i < SCHEDULES; i++) {
        make_subject(self, i);
        put(self, &self->subjects[i]);
    }
    for (size_t i = 0; i < 2; i++) {
        world_create(&self->views[i].world, self->begin_s);
        self->views[i].applied = 0;
        follow(self, &self->views[i], SIZE_MAX);
    }
    for (int i = 0; i < ROUNDS && self->wall_s < self->begin_s + HORIZON_S - DAY_S; i++) {
        round_of(self);
    }
    heal(self);
    state_destroy(&self->truth);
    world_destroy(&self->views[0].world);
    world_destroy(&self->views[1].world);
}

static uint64_t seed_under_way;

static int tell_seed(void **unused)
{
    (void)unused;
    if (seed_under_way != 0) {
        (void)printf("SEED=%llu repeats it\n", (unsigned long long)seed_under_way);
    }
    return 0;
}

static void every_slot_once_whoever_leads_and_whatever_is_lost(void **unused)
{
    (void)unused;
    struct trial *trial = calloc(1, sizeof *trial);
    assert_non_null(trial);
    trial->subjects = calloc(SCHEDULES, sizeof *trial->subjects);
    assert_non_null(trial->subjects);
    const char *only = getenv("SEED");
    uint64_t first = only == NULL ? 1 : strtoull(only, NULL, 10);
    uint64_t last = only == NULL ? SEEDS : first;
    for (uint64_t seed = first; seed <= last; seed++) {
        seed_under_way = seed;
        run_trial(trial, seed);
    }
    seed_under_way = 0;
    free(trial->subjects);
    free(trial->log);
    free(trial);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_slot_once_whoever_leads_and_whatever_is_lost),
    };
    return cmocka_run_group_tests(tests, NULL, tell_seed);
}
