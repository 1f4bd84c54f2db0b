/* What becomes of runs under way: reports, ends without a report, next attempts. */
#include "consensus/runs.h"
#include "tests/unit/schedule/schedule_fixture.h"

#define ID "run/report"
#define SLOT_S (T0 + 60)
#define SLOT_MS (SLOT_S * 1000)
#define NODE UINT64_C(11)

static struct command commands[8];

/* A run of that definition is under way, for the slot at SLOT_S. */
static void begin(struct world *world, const struct schedule_definition *is)
{
    world_create(world, SLOT_S);
    apply_ok(world->state, node_put("n1", NODE));
    world_put(world, ID, is, T0);
    assert_int_equal(world_settle(world), 1);
    assert_int_equal(state_run_count(world->state), 1);
}

static const struct state_run *run_at(const struct world *world, size_t position)
{
    const struct state_run *run = state_run_at(world->state, position);
    assert_non_null(run);
    return run;
}

static const char *duty_at(const struct world *world, size_t position)
{
    static char id[DUTY_ID_SIZE];
    const struct state_run *run = run_at(world, position);
    run_duty_id(&run->key, run->attempt, id);
    return id;
}

static void assign(struct world *world, size_t position)
{
    struct command command = duty_assign(duty_at(world, position), 0, "n1", NODE, 1);
    apply_ok(world->state, command);
}

static void cancel(struct world *world, size_t position, enum run_reason reason)
{
    struct command command = command_of(COMMAND_RUN_CANCEL);
    command.run_cancel.run = run_at(world, position)->key;
    command.run_cancel.reason = reason;
    apply_ok(world->state, command);
}

static void release(struct world *world, size_t position, enum release_proof proof)
{
    const char *id = duty_at(world, position);
    const struct state_duty *duty = state_duty_by_id(world->state, id);
    struct command command = duty_release(id, duty->assignment.number, proof);
    command.wall_ms = world->now.wall_ms;
    apply_ok(world->state, command);
}

static void start_by_hand(struct world *world)
{
    struct command command = command_of(COMMAND_RUN_START);
    copy_text(command.run_start.schedule, SCHEDULE_ID_SIZE, ID);
    world_apply(world, &command);
}

/* What the holder of the run's attempt says. */
static struct run_report report_of(const struct world *world, enum run_outcome outcome,
                                   enum run_reason reason, int64_t started_ms, int64_t ended_ms)
{
    const char *id = duty_at(world, 0);
    struct run_report report = {.assignment = state_duty_by_id(world->state, id)->assignment.number,
                                .raft_id = NODE,
                                .outcome = outcome,
                                .reason = reason,
                                .exit_status = outcome == RUN_RAN ? 0 : 3,
                                .started_wall_ms = started_ms,
                                .ended_wall_ms = ended_ms};
    copy_text(report.duty, sizeof report.duty, id);
    return report;
}

static void assert_end(const struct command *command, enum run_outcome outcome,
                       enum run_reason reason, bool again)
{
    assert_int_equal(command->type, COMMAND_RUN_END);
    assert_int_equal(command->reason, REASON_RUN);
    assert_int_equal(command->run_end.outcome, outcome);
    assert_int_equal(command->run_end.reason, reason);
    assert_int_equal(command->run_end.again_wall_ms != 0, again);
    assert_true(command->why[0] != '\0');
}

/* ---- reports ---- */

struct report_case {
    enum run_outcome outcome;
    enum run_reason reason;
    int64_t started_ms; /* after the slot; -1: never */
    int64_t ended_ms;
    int64_t min_runtime_s;
    uint32_t retries;
    bool retry_unknown;
    bool cancelled;
    enum run_outcome expected;
    enum run_reason expected_reason;
    bool again;
};

static void what_a_report_comes_to(void **unused)
{
    (void)unused;
    static const struct report_case table[] = {
        {RUN_RAN, RUN_EXIT, 0, 9999, 0, 2, true, false, RUN_RAN, RUN_EXIT, false},
        {RUN_RAN, RUN_EXIT, 0, 9999, 10, 0, false, false, RUN_FAILED, RUN_TOO_SHORT, false},
        {RUN_RAN, RUN_EXIT, 0, 9999, 10, 1, false, false, RUN_FAILED, RUN_TOO_SHORT, true},
        {RUN_RAN, RUN_EXIT, 0, 10000, 10, 1, false, false, RUN_RAN, RUN_EXIT, false},
        {RUN_RAN, RUN_EXIT, 0, -50, 10, 1, false, false, RUN_RAN, RUN_EXIT, false},
        {RUN_FAILED, RUN_EXIT, 0, 50, 0, 0, true, false, RUN_FAILED, RUN_EXIT, false},
        {RUN_FAILED, RUN_SIGNAL, 0, 50, 0, 1, false, false, RUN_FAILED, RUN_SIGNAL, true},
        {RUN_FAILED, RUN_FINISH_DEADLINE, 0, 50, 0, 1, false, false, RUN_FAILED,
         RUN_FINISH_DEADLINE, true},
        {RUN_FAILED, RUN_EXIT, -1, 50, 0, 0, false, false, RUN_FAILED, RUN_NOT_STARTED, true},
        {RUN_UNKNOWN, RUN_HOLDER_GONE, 0, 50, 0, 3, false, false, RUN_UNKNOWN, RUN_HOLDER_GONE,
         false},
        {RUN_UNKNOWN, RUN_HOLDER_GONE, 0, 50, 0, 0, true, false, RUN_UNKNOWN, RUN_HOLDER_GONE,
         false},
        {RUN_UNKNOWN, RUN_HOLDER_GONE, 0, 50, 0, 1, true, false, RUN_UNKNOWN, RUN_HOLDER_GONE,
         true},
        {RUN_RAN, RUN_EXIT, 0, 50, 0, 3, false, true, RUN_FAILED, RUN_CANCELLED, false},
        {RUN_FAILED, RUN_SIGNAL, 0, 50, 0, 3, false, true, RUN_FAILED, RUN_CANCELLED, false},
        {RUN_FAILED, RUN_CANCELLED, -1, 50, 0, 3, false, true, RUN_SKIPPED, RUN_CANCELLED, false},
        {RUN_UNKNOWN, RUN_HOLDER_GONE, 0, 50, 0, 3, true, true, RUN_UNKNOWN, RUN_HOLDER_GONE,
         false},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct world world;
        struct schedule_definition is = definition_of("* * * * *");
        is.min_runtime_s = table[i].min_runtime_s;
        is.retries = table[i].retries;
        is.retry_unknown = table[i].retry_unknown;
        begin(&world, &is);
        assign(&world, 0);
        if (table[i].cancelled) {
            cancel(&world, 0, RUN_CANCELLED);
        }
        struct run_report report =
            report_of(&world, table[i].outcome, table[i].reason,
                      table[i].started_ms < 0 ? 0 : SLOT_MS + table[i].started_ms,
                      SLOT_MS + table[i].ended_ms);
        assert_int_equal(
            runs_take_report(world.state, &report, world.now.wall_ms, false, &commands[0]),
            !table[i].again);
        assert_true(runs_take_report(world.state, &report, world.now.wall_ms, true, &commands[0]));
        assert_end(&commands[0], table[i].expected, table[i].expected_reason, table[i].again);
        assert_int_equal(commands[0].run_end.exit_status, report.exit_status);
        assert_int_equal(commands[0].run_end.started_wall_ms, report.started_wall_ms);
        assert_int_equal(commands[0].run_end.ended_wall_ms, report.ended_wall_ms);
        apply_ok(world.state, commands[0]);
        assert_int_equal(state_run_count(world.state), table[i].again ? 1 : 0);
        /* Said again: known. */
        assert_false(runs_take_report(world.state, &report, world.now.wall_ms, true, &commands[0]));
        world_destroy(&world);
    }
}

static void only_the_word_of_the_holder_counts(void **unused)
{
    (void)unused;
    struct world world;
    struct schedule_definition is = definition_of("* * * * *");
    begin(&world, &is);
    struct run_report report = report_of(&world, RUN_RAN, RUN_EXIT, SLOT_MS, SLOT_MS + 5);
    assert_false(
        runs_take_report(world.state, &report, SLOT_MS, true, &commands[0])); /* unassigned */
    assign(&world, 0);
    report = report_of(&world, RUN_RAN, RUN_EXIT, SLOT_MS, SLOT_MS + 5);
    struct run_report other = report;
    other.raft_id++;
    assert_false(runs_take_report(world.state, &other, SLOT_MS, true, &commands[0]));
    other = report;
    other.assignment--;
    assert_false(runs_take_report(world.state, &other, SLOT_MS, true, &commands[0]));
    other = report;
    struct run_key key = run_at(&world, 0)->key;
    run_duty_id(&key, 2, other.duty);
    assert_false(runs_take_report(world.state, &other, SLOT_MS, true, &commands[0]));
    copy_text(other.duty, sizeof other.duty, "pm2/web");
    assert_false(runs_take_report(world.state, &other, SLOT_MS, true, &commands[0]));
    assert_true(runs_take_report(world.state, &report, SLOT_MS, true, &commands[0]));
    assert_int_equal(commands[0].run_end.proof, RELEASE_BY_HOLDER);
    assert_int_equal(commands[0].run_end.assignment, report.assignment);
    world_destroy(&world);
}

/* ---- attempts ---- */

/* The attempt ends so; the next one, if there is one, is assigned. */
static bool fail_attempt(struct world *world, bool started)
{
    struct run_report report =
        report_of(world, RUN_FAILED, RUN_EXIT, started ? SLOT_MS : 0, SLOT_MS + 1);
    assert_true(runs_take_report(world->state, &report, world->now.wall_ms, true, &commands[0]));
    apply_ok(world->state, commands[0]);
    if (state_run_count(world->state) == 0) {
        return false;
    }
    assign(world, 0);
    return true;
}

static void retries_wait_longer_each_time_and_end(void **unused)
{
    (void)unused;
    static const int64_t waits_s[] = {10, 20, 40, 60, 60};
    struct world world;
    struct schedule_definition is = definition_of("* * * * *");
    is.retries = 5;
    is.backoff_s = 10;
    is.backoff_max_s = 60;
    begin(&world, &is);
    assign(&world, 0);
    for (size_t i = 0; i < 5; i++) {
        world_at(&world, SLOT_S + 100 * (int64_t)i);
        assert_true(fail_attempt(&world, true));
        int64_t waits_ms = commands[0].run_end.again_wall_ms - world.now.wall_ms;
        assert_in_range(waits_ms, waits_s[i] * 1000, waits_s[i] * 1250);
        assert_int_equal(run_at(&world, 0)->attempt, i + 2);
        assert_int_equal(run_at(&world, 0)->again_wall_ms, commands[0].run_end.again_wall_ms);
    }
    assert_false(fail_attempt(&world, true));
    assert_int_equal(state_ended_at(world.state, 0)->outcome, RUN_FAILED);
    assert_int_equal(state_ended_at(world.state, 0)->attempt, 6);
    world_destroy(&world);
}

/* Two leaders that hear the same report say the same; two schedules do not retry in step. */
static void the_wait_differs_between_runs_and_not_between_leaders(void **unused)
{
    (void)unused;
    int64_t waits_ms[2];
    for (int i = 0; i < 2; i++) {
        struct world world;
        struct schedule_definition is = definition_of("* * * * *");
        is.retries = 1;
        is.backoff_s = 1000;
        is.backoff_max_s = 1000;
        begin(&world, &is);
        if (i == 1) { /* the same, for the next slot */
            world_end_run(&world, ID);
            world_at(&world, SLOT_S + 60);
            assert_int_equal(world_settle(&world), 1);
        }
        assign(&world, 0);
        struct run_report report = report_of(&world, RUN_FAILED, RUN_EXIT, SLOT_MS, SLOT_MS);
        for (int leader = 0; leader < 2; leader++) {
            assert_true(runs_take_report(world.state, &report, SLOT_MS, true, &commands[leader]));
        }
        assert_memory_equal(&commands[0].run_end, &commands[1].run_end, sizeof commands[0].run_end);
        waits_ms[i] = commands[0].run_end.again_wall_ms - SLOT_MS;
        world_destroy(&world);
    }
    assert_int_not_equal(waits_ms[0], waits_ms[1]);
}

static void what_never_started_uses_no_retry_up(void **unused)
{
    (void)unused;
    struct world world;
    struct schedule_definition is = definition_of("* * * * *");
    is.retries = 1;
    begin(&world, &is);
    assign(&world, 0);
    assert_true(fail_attempt(&world, false));
    assert_in_range(commands[0].run_end.again_wall_ms - world.now.wall_ms, 1000, 1250);
    assert_true(fail_attempt(&world, true)); /* the first failure, the only retry */
    assert_true(fail_attempt(&world, false));
    assert_false(fail_attempt(&world, true));
    assert_int_equal(state_ended_at(world.state, 0)->outcome, RUN_FAILED);
    assert_int_equal(state_ended_at(world.state, 0)->reason, RUN_EXIT);
    world_destroy(&world);
}

static void what_never_starts_is_given_up(void **unused)
{
    (void)unused;
    struct world world;
    struct schedule_definition is = definition_of("* * * * *");
    begin(&world, &is);
    assign(&world, 0);
    for (int i = 0; i < RUNS_UNSTARTED_MAX; i++) {
        assert_true(fail_attempt(&world, false));
    }
    assert_false(fail_attempt(&world, false));
    assert_int_equal(state_ended_at(world.state, 0)->outcome, RUN_FAILED);
    assert_int_equal(state_ended_at(world.state, 0)->reason, RUN_NOT_STARTED);
    world_destroy(&world);
}

/* ---- without a report ---- */

static size_t step_at(const struct world *world, int64_t wall_ms, bool trusted)
{
    return runs_step(world->state, wall_ms, trusted, commands, 8);
}

static void who_is_cancelled_before_it_is_assigned_ends_at_once(void **unused)
{
    (void)unused;
    static const enum run_reason reasons[] = {RUN_CANCELLED, RUN_REPLACED};
    for (size_t i = 0; i < 2; i++) {
        struct world world;
        struct schedule_definition is = definition_of("* * * * *");
        is.retries = 1;
        begin(&world, &is);
        assert_int_equal(step_at(&world, SLOT_MS, true), 0);
        cancel(&world, 0, reasons[i]);
        assert_int_equal(runs_next_wall_ms(world.state), INT64_MAX);
        assert_int_equal(step_at(&world, SLOT_MS, false), 1);
        assert_end(&commands[0], RUN_SKIPPED, reasons[i], false);
        apply_ok(world.state, commands[0]);
        assert_int_equal(step_at(&world, SLOT_MS, true), 0);
        world_destroy(&world);
    }
}

/* It has run and failed, and is cancelled while it waits: it was not skipped. */
static void a_retry_that_is_cancelled_has_failed(void **unused)
{
    (void)unused;
    struct world world;
    struct schedule_definition is = definition_of("* * * * *");
    is.retries = 1;
    begin(&world, &is);
    assign(&world, 0);
    struct run_report report = report_of(&world, RUN_FAILED, RUN_EXIT, SLOT_MS, SLOT_MS);
    assert_true(runs_take_report(world.state, &report, SLOT_MS, true, &commands[0]));
    apply_ok(world.state, commands[0]);
    cancel(&world, 0, RUN_CANCELLED);
    assert_int_equal(step_at(&world, SLOT_MS, true), 1);
    assert_end(&commands[0], RUN_FAILED, RUN_CANCELLED, false);
    apply_ok(world.state, commands[0]);
    world_destroy(&world);
}

/* Nobody could start it: up to `last_ms` it may be placed, then it is missed. */
static void assert_missed_after(struct world *world, int64_t last_ms, enum run_outcome expected)
{
    assert_int_equal(runs_next_wall_ms(world->state), last_ms + 1);
    assert_true(runs_may_place(world->state, duty_at(world, 0), last_ms));
    assert_int_equal(step_at(world, last_ms, true), 0);
    assert_false(runs_may_place(world->state, duty_at(world, 0), last_ms + 1));
    assert_int_equal(step_at(world, last_ms + 1, false), 0);
    assert_int_equal(step_at(world, last_ms + 1, true), 1);
    assert_end(&commands[0], expected, RUN_START_DEADLINE, false);
    apply_ok(world->state, commands[0]);
    assert_int_equal(state_run_count(world->state), 0);
}

static void what_nobody_starts_in_time_is_missed(void **unused)
{
    (void)unused;
    static const struct {
        int64_t deadline_s;
        int64_t last_s; /* after the slot */
    } table[] = {{0, 1}, {30, 30}, {90, 90}};
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct world world;
        struct schedule_definition is = definition_of("* * * * *");
        is.start_deadline_s = table[i].deadline_s;
        begin(&world, &is);
        assert_missed_after(&world, SLOT_MS + table[i].last_s * 1000 + 999, RUN_MISSED);
        world_destroy(&world);
    }
}

static void a_manual_or_late_run_has_time_from_its_decision_on(void **unused)
{
    (void)unused;
    struct world world;
    struct schedule_definition is = definition_of("0 * * * *");
    is.start_deadline_s = 5;
    world_create(&world, T0 + 7000);
    apply_ok(world.state, node_put("n1", NODE));
    world_put(&world, ID, &is, T0);
    assert_int_equal(world_settle(&world), 1);
    assert_int_equal(run_at(&world, 0)->reason, RUN_LATE);
    assert_missed_after(&world, (T0 + 7000 + RUNS_START_LEAST_S) * 1000 + 999, RUN_MISSED);
    start_by_hand(&world);
    assert_missed_after(&world, (T0 + 7000 + RUNS_START_LEAST_S) * 1000 + 999, RUN_MISSED);
    world_destroy(&world);
}

static void a_retry_has_time_from_the_end_of_its_wait(void **unused)
{
    (void)unused;
    struct world world;
    struct schedule_definition is = definition_of("* * * * *");
    is.retries = 1;
    is.backoff_s = 600;
    is.backoff_max_s = 600;
    begin(&world, &is);
    assign(&world, 0);
    struct run_report report = report_of(&world, RUN_FAILED, RUN_EXIT, SLOT_MS, SLOT_MS);
    assert_true(runs_take_report(world.state, &report, SLOT_MS, true, &commands[0]));
    apply_ok(world.state, commands[0]);
    int64_t again_ms = run_at(&world, 0)->again_wall_ms;
    assert_in_range(again_ms, SLOT_MS + 600000, SLOT_MS + 750000);
    assert_false(runs_may_place(world.state, duty_at(&world, 0), again_ms - 1));
    assert_true(runs_may_place(world.state, duty_at(&world, 0), again_ms));
    assert_missed_after(&world, again_ms + 90 * 1000 + 999, RUN_FAILED);
    world_destroy(&world);
}

static void an_end_that_nobody_saw_is_unknown(void **unused)
{
    (void)unused;
    static const struct {
        enum release_proof proof;
        int64_t waits_ms;
        uint32_t retries;
        bool retry_unknown;
        bool cancelled;
        bool again;
    } table[] = {
        {RELEASE_BY_OBITUARY, 0, 3, false, false, false},
        {RELEASE_BY_EXPIRY, 0, 3, false, false, false},
        {RELEASE_BY_HOLDER, RUNS_REPORT_WAIT_MS, 3, false, false, false},
        {RELEASE_BY_OBITUARY, 0, 1, true, false, true},
        {RELEASE_BY_HOLDER, RUNS_REPORT_WAIT_MS, 1, true, false, true},
        {RELEASE_BY_EXPIRY, 0, 0, true, false, false},
        {RELEASE_BY_OBITUARY, 0, 1, true, true, false},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct world world;
        struct schedule_definition is = definition_of("* * * * *");
        is.retries = table[i].retries;
        is.retry_unknown = table[i].retry_unknown;
        begin(&world, &is);
        assign(&world, 0);
        if (table[i].cancelled) {
            cancel(&world, 0, RUN_CANCELLED);
        }
        assert_int_equal(step_at(&world, SLOT_MS + 3600000, true), 0); /* it is held */
        world_at(&world, SLOT_S + 10);
        release(&world, 0, table[i].proof);
        int64_t at_ms = world.now.wall_ms + table[i].waits_ms;
        bool waits = table[i].waits_ms > 0;
        assert_int_equal(runs_next_wall_ms(world.state), waits ? at_ms : INT64_MAX);
        assert_int_equal(step_at(&world, at_ms - 1, true), waits ? 0 : 1);
        assert_int_equal(step_at(&world, at_ms, false), waits || table[i].again ? 0 : 1);
        assert_int_equal(step_at(&world, at_ms, true), 1);
        assert_end(&commands[0], RUN_UNKNOWN, RUN_HOLDER_GONE, table[i].again);
        assert_int_equal(commands[0].run_end.proof, table[i].proof);
        apply_ok(world.state, commands[0]);
        assert_int_equal(state_run_count(world.state), table[i].again ? 1 : 0);
        world_destroy(&world);
    }
}

/* The leader that wrote the release had a wrong clock: nothing waits for that time to come. */
static void a_release_at_a_wrong_time_holds_nothing_up(void **unused)
{
    (void)unused;
    static const int64_t errors_s[] = {-3600, 3600, 6};
    for (size_t i = 0; i < sizeof errors_s / sizeof errors_s[0]; i++) {
        struct world world;
        struct schedule_definition is = definition_of("* * * * *");
        begin(&world, &is);
        assign(&world, 0);
        world_at(&world, SLOT_S + errors_s[i]);
        release(&world, 0, RELEASE_BY_HOLDER);
        assert_int_equal(step_at(&world, SLOT_MS, false), 0);
        assert_int_equal(step_at(&world, SLOT_MS, true), 1);
        assert_end(&commands[0], RUN_UNKNOWN, RUN_HOLDER_GONE, false);
        world_destroy(&world);
    }
}

/* A report that comes after the release, and before anybody has given it up. */
static void a_late_report_still_tells_the_truth(void **unused)
{
    (void)unused;
    struct world world;
    struct schedule_definition is = definition_of("* * * * *");
    begin(&world, &is);
    assign(&world, 0);
    struct run_report report = report_of(&world, RUN_RAN, RUN_EXIT, SLOT_MS, SLOT_MS + 1);
    release(&world, 0, RELEASE_BY_EXPIRY);
    assert_true(runs_take_report(world.state, &report, SLOT_MS, true, &commands[0]));
    assert_end(&commands[0], RUN_RAN, RUN_EXIT, false);
    assert_int_equal(commands[0].run_end.proof, RELEASE_BY_EXPIRY);
    apply_ok(world.state, commands[0]);
    world_destroy(&world);
}

static void the_next_slot_replaces_a_run_and_waits_for_its_end(void **unused)
{
    (void)unused;
    for (int assigned = 0; assigned < 2; assigned++) {
        struct world world;
        struct schedule_definition is = definition_of("* * * * *");
        is.overlap = SCHEDULE_OVERLAP_REPLACE;
        begin(&world, &is);
        if (assigned == 1) {
            assign(&world, 0);
        }
        world_at(&world, SLOT_S + 60);
        assert_int_equal(step_at(&world, world.now.wall_ms, true), 0);
        assert_int_equal(world_settle(&world), 1);
        assert_false(runs_may_place(world.state, duty_at(&world, 1), world.now.wall_ms));
        assert_int_equal(step_at(&world, world.now.wall_ms, true), 1);
        if (assigned == 0) {
            assert_end(&commands[0], RUN_SKIPPED, RUN_REPLACED, false);
            assert_int_equal(commands[0].run_end.run.slot_s, SLOT_S);
        } else {
            assert_int_equal(commands[0].type, COMMAND_RUN_CANCEL);
            assert_int_equal(commands[0].run_cancel.run.slot_s, SLOT_S);
            assert_int_equal(commands[0].run_cancel.reason, RUN_REPLACED);
            apply_ok(world.state, commands[0]);
            assert_int_equal(step_at(&world, world.now.wall_ms, true), 0);
            assert_false(runs_may_place(world.state, duty_at(&world, 1), world.now.wall_ms));
            struct run_report report =
                report_of(&world, RUN_FAILED, RUN_SIGNAL, SLOT_MS, SLOT_MS + 1);
            assert_true(runs_take_report(world.state, &report, SLOT_MS, true, &commands[0]));
            assert_end(&commands[0], RUN_FAILED, RUN_REPLACED, false);
        }
        apply_ok(world.state, commands[0]);
        assert_true(runs_may_place(world.state, duty_at(&world, 0), world.now.wall_ms));
        world_destroy(&world);
    }
}

static void two_runs_of_a_schedule_never_overlap_unless_they_may(void **unused)
{
    (void)unused;
    static const enum schedule_overlap overlaps[] = {SCHEDULE_OVERLAP_FORBID,
                                                     SCHEDULE_OVERLAP_ALLOW};
    for (size_t i = 0; i < 2; i++) {
        struct world world;
        struct schedule_definition is = definition_of("* * * * *");
        is.overlap = overlaps[i];
        begin(&world, &is);
        start_by_hand(&world); /* sorted first: it has no slot */
        assert_int_equal(run_at(&world, 0)->reason, RUN_MANUAL);
        bool allowed = overlaps[i] == SCHEDULE_OVERLAP_ALLOW;
        assert_int_equal(runs_may_place(world.state, duty_at(&world, 0), SLOT_MS), allowed);
        assert_true(runs_may_place(world.state, duty_at(&world, 1), SLOT_MS));
        assert_int_equal(step_at(&world, SLOT_MS, true), 0);
        world_end_run(&world, ID);
        assert_true(runs_may_place(world.state, duty_at(&world, 0), SLOT_MS));
        world_destroy(&world);
    }
}

static void a_run_that_is_cancelled_is_not_placed_and_other_duties_are(void **unused)
{
    (void)unused;
    struct world world;
    struct schedule_definition is = definition_of("* * * * *");
    begin(&world, &is);
    assert_true(runs_may_place(world.state, "pm2/web", SLOT_MS));
    assert_true(runs_may_place(world.state, duty_at(&world, 0), SLOT_MS));
    cancel(&world, 0, RUN_CANCELLED);
    assert_false(runs_may_place(world.state, duty_at(&world, 0), SLOT_MS));
    world_destroy(&world);
}

static void without_its_schedule_a_run_is_not_started_any_more(void **unused)
{
    (void)unused;
    for (int assigned = 0; assigned < 2; assigned++) {
        struct world world;
        struct schedule_definition is = definition_of("* * * * *");
        is.retries = 3;
        begin(&world, &is);
        if (assigned == 1) {
            assign(&world, 0);
        }
        struct command remove = command_of(COMMAND_SCHEDULE_REMOVE);
        copy_text(remove.schedule_id.id, SCHEDULE_ID_SIZE, ID);
        apply_ok(world.state, remove);
        assert_int_equal(step_at(&world, SLOT_MS, true), assigned == 1 ? 0 : 1);
        if (assigned == 1) { /* what runs goes on; it is not repeated */
            struct run_report report =
                report_of(&world, RUN_FAILED, RUN_EXIT, SLOT_MS, SLOT_MS + 1);
            assert_true(runs_take_report(world.state, &report, SLOT_MS, true, &commands[0]));
            assert_end(&commands[0], RUN_FAILED, RUN_EXIT, false);
        } else {
            assert_false(runs_may_place(world.state, duty_at(&world, 0), SLOT_MS));
            assert_end(&commands[0], RUN_SKIPPED, RUN_REMOVED, false);
        }
        apply_ok(world.state, commands[0]);
        world_destroy(&world);
    }
}

static void a_step_says_no_more_than_there_is_room_for(void **unused)
{
    (void)unused;
    struct world world;
    struct schedule_definition is = definition_of("* * * * *");
    is.overlap = SCHEDULE_OVERLAP_ALLOW;
    begin(&world, &is);
    start_by_hand(&world);
    start_by_hand(&world);
    for (size_t i = 0; i < 3; i++) {
        cancel(&world, i, RUN_CANCELLED);
    }
    assert_int_equal(runs_step(world.state, SLOT_MS, true, commands, 2), 2);
    assert_int_equal(runs_step(world.state, SLOT_MS, true, commands, 8), 3);
    world_destroy(&world);
}

/* ---- the message ---- */

static const struct run_report sample = {.duty = "run/report@20261122T000100Z#1",
                                         .assignment = 77,
                                         .raft_id = NODE,
                                         .outcome = RUN_FAILED,
                                         .reason = RUN_SIGNAL,
                                         .exit_status = 256 + 9,
                                         .started_wall_ms = SLOT_MS,
                                         .ended_wall_ms = SLOT_MS + 5};

static void a_report_comes_over_as_it_was(void **unused)
{
    (void)unused;
    struct mp_writer writer;
    struct run_report report;
    struct err err = {0};
    mp_writer_init(&writer, 1024);
    assert_int_equal(run_report_encode(&sample, &writer), 0);
    memset(&report, 0, sizeof report);
    assert_int_equal(run_report_decode(writer.buffer.data, writer.buffer.length, &report, &err), 0);
    assert_string_equal(report.duty, sample.duty);
    assert_int_equal(report.assignment, sample.assignment);
    assert_int_equal(report.raft_id, sample.raft_id);
    assert_int_equal(report.outcome, sample.outcome);
    assert_int_equal(report.reason, sample.reason);
    assert_int_equal(report.exit_status, sample.exit_status);
    assert_int_equal(report.started_wall_ms, sample.started_wall_ms);
    assert_int_equal(report.ended_wall_ms, sample.ended_wall_ms);
    for (size_t length = 0; length < writer.buffer.length; length++) {
        assert_int_equal(run_report_decode(writer.buffer.data, length, &report, &err), ERR_PROTO);
    }
    mp_writer_deinit(&writer);
}

static void what_no_node_can_mean_is_not_encoded(void **unused)
{
    (void)unused;
    struct mp_writer writer;
    mp_writer_init(&writer, 1024);
#define WITH(field, value)                                                   \
    do {                                                                     \
        struct run_report changed = sample;                                  \
        changed.field = (value);                                             \
        assert_int_equal(run_report_encode(&changed, &writer), ERR_INVALID); \
    } while (0)
    WITH(outcome, RUN_SKIPPED);
    WITH(outcome, RUN_UNDER_WAY);
    WITH(reason, (enum run_reason)99);
    WITH(exit_status, -2);
    WITH(exit_status, RUN_EXIT_STATUS_MAX + 1);
    WITH(started_wall_ms, -1);
    WITH(ended_wall_ms, -1);
    WITH(duty[0], '\0');
#undef WITH
    struct run_report endless = sample;
    memset(endless.duty, 'x', sizeof endless.duty);
    assert_int_equal(run_report_encode(&endless, &writer), ERR_INVALID);
    mp_writer_deinit(&writer);
    mp_writer_init(&writer, 20);
    assert_int_equal(run_report_encode(&sample, &writer), ERR_FULL);
    mp_writer_deinit(&writer);
}

/* The fields of `sample`, with another version, outcome, exit status, and more behind. */
static int decode_with(uint64_t version, uint64_t outcome, int64_t exit_status, size_t more)
{
    struct mp_writer writer;
    struct run_report report;
    mp_writer_init(&writer, 1024);
    mp_put_array(&writer, 9 + more);
    mp_put_u64(&writer, version);
    mp_put_text(&writer, sample.duty);
    mp_put_u64(&writer, sample.assignment);
    mp_put_u64(&writer, sample.raft_id);
    mp_put_u64(&writer, outcome);
    mp_put_u64(&writer, RUN_EXIT);
    mp_put_i64(&writer, exit_status);
    mp_put_i64(&writer, sample.started_wall_ms);
    mp_put_i64(&writer, sample.ended_wall_ms);
    for (size_t i = 0; i < more; i++) {
        mp_put_text(&writer, "of a newer version");
    }
    int rc = run_report_decode(writer.buffer.data, writer.buffer.length, &report, NULL);
    mp_writer_deinit(&writer);
    return rc;
}

static void other_versions_are_told_apart(void **unused)
{
    (void)unused;
    assert_int_equal(decode_with(1, RUN_RAN, 0, 0), 0);
    assert_int_equal(decode_with(1, RUN_RAN, 0, 3), 0);
    assert_int_equal(decode_with(2, RUN_RAN, 0, 0), ERR_UNSUPPORTED);
    assert_int_equal(decode_with(0, RUN_RAN, 0, 0), ERR_PROTO);
    assert_int_equal(decode_with(1, RUN_MISSED, 0, 0), ERR_PROTO);
    assert_int_equal(decode_with(1, 99, 0, 0), ERR_PROTO);
    assert_int_equal(decode_with(1, RUN_RAN, -2, 0), ERR_PROTO);
    assert_int_equal(decode_with(1, RUN_RAN, RUN_EXIT_STATUS_MAX + 1, 0), ERR_PROTO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_a_report_comes_to),
        cmocka_unit_test(only_the_word_of_the_holder_counts),
        cmocka_unit_test(retries_wait_longer_each_time_and_end),
        cmocka_unit_test(the_wait_differs_between_runs_and_not_between_leaders),
        cmocka_unit_test(what_never_started_uses_no_retry_up),
        cmocka_unit_test(what_never_starts_is_given_up),
        cmocka_unit_test(who_is_cancelled_before_it_is_assigned_ends_at_once),
        cmocka_unit_test(a_retry_that_is_cancelled_has_failed),
        cmocka_unit_test(what_nobody_starts_in_time_is_missed),
        cmocka_unit_test(a_manual_or_late_run_has_time_from_its_decision_on),
        cmocka_unit_test(a_retry_has_time_from_the_end_of_its_wait),
        cmocka_unit_test(an_end_that_nobody_saw_is_unknown),
        cmocka_unit_test(a_release_at_a_wrong_time_holds_nothing_up),
        cmocka_unit_test(a_late_report_still_tells_the_truth),
        cmocka_unit_test(the_next_slot_replaces_a_run_and_waits_for_its_end),
        cmocka_unit_test(two_runs_of_a_schedule_never_overlap_unless_they_may),
        cmocka_unit_test(a_run_that_is_cancelled_is_not_placed_and_other_duties_are),
        cmocka_unit_test(without_its_schedule_a_run_is_not_started_any_more),
        cmocka_unit_test(a_step_says_no_more_than_there_is_room_for),
        cmocka_unit_test(a_report_comes_over_as_it_was),
        cmocka_unit_test(what_no_node_can_mean_is_not_encoded),
        cmocka_unit_test(other_versions_are_told_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
