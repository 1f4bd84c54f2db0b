/* `why` tells the true cause: commands are made with causes that the test knows, in random worlds,
 * and what it says is compared with them. */
#include "consensus/why.h"
#include "node/base/rng.h"
#include "tests/unit/state/commands_work.h"

#define WORLDS 200

static struct command with_cause(struct command command, enum command_reason reason,
                                 const char *why)
{
    command.reason = reason;
    copy_text(command.why, sizeof command.why, why);
    return command;
}

static struct why why_of(const struct state *state, const char *duty)
{
    struct why why;
    struct err err = {0};
    assert_int_equal(why_duty(state, duty, 1, &why, &err), 0);
    return why;
}

/* ---- duties ---- */

/* Random assignments, each with a random cause; the model is the last one. */
static void a_duty_names_the_cause_of_its_assignment(void **unused)
{
    (void)unused;
    static const enum command_reason reasons[] = {
        REASON_DUTY_UNASSIGNED, REASON_NODE_DEAD,      REASON_NODE_DRAINING,
        REASON_NODE_INCAPABLE,  REASON_NODE_RESTARTED, REASON_OPERATOR,
    };
    for (uint64_t seed = 1; seed <= WORLDS; seed++) {
        struct rng rng;
        rng_init(&rng, seed);
        struct state *state = state_create();
        apply_ok(state, node_put("n1", 1));
        apply_ok(state, node_put("n2", 2));
        apply_ok(state, duty_put("pm2/worker", true, true));
        uint64_t number = 0;
        int count = 1 + (int)rng_below(&rng, 8);
        enum command_reason last = REASON_UNSPECIFIED;
        char text[32] = "";
        bool on_first = false;
        for (int i = 0; i < count; i++) {
            on_first = i % 2 == 0;
            last = reasons[rng_below(&rng, sizeof reasons / sizeof reasons[0])];
            (void)snprintf(text, sizeof text, "cause %d", i);
            struct command command = with_cause(
                duty_assign("pm2/worker", number, on_first ? "n1" : "n2", on_first ? 1 : 2, 5),
                last, text);
            number = apply_ok(state, command).number;
        }
        struct why why = why_of(state, "pm2/worker");
        assert_string_equal(why.reason, command_reason_name(last));
        assert_true(why.whole);
        assert_non_null(strstr(why.answer, on_first ? "n1" : "n2"));
        assert_non_null(strstr(why.steps[0].text, text));
        assert_int_equal(why.steps[0].index, number);
        for (size_t i = 1; i < why.count; i++) {
            assert_int_not_equal(why.steps[i].index, number); /* it is told once */
            assert_true(why.steps[i].index == 0 || why.steps[i].index < number);
        }
        state_destroy(&state);
    }
}

static void what_does_not_run_says_the_nearest_cause(void **unused)
{
    (void)unused;
    struct state *state = state_create();
    apply_ok(state, node_put("n1", 1));
    apply_ok(state, duty_put("pm2/worker", true, true));
    assert_string_equal(why_of(state, "pm2/worker").reason, "duty_unassigned");
    apply_ok(state, with_cause(duty_put("pm2/worker", true, false), REASON_DUTY_UNWANTED,
                               "the primary is well"));
    struct why why = why_of(state, "pm2/worker");
    assert_string_equal(why.reason, "duty_unwanted");
    assert_non_null(strstr(why.steps[0].text, "the primary is well"));
    struct command pause = {.type = COMMAND_MANAGER_PAUSE,
                            .manager = {.manager = "pm2", .until_wall_ms = PAUSED_UNTIL_RESUMED}};
    apply_ok(state, pause);
    assert_string_equal(why_of(state, "pm2/worker").reason, "paused");
    struct command stop = {.type = COMMAND_SETTING_PUT,
                           .setting = {.key = "managers.stopped", .value = "yes"}};
    apply_ok(state, stop);
    assert_string_equal(why_of(state, "pm2/worker").reason, "stopped");
    struct err err = {0};
    assert_int_equal(why_duty(state, "pm2/none", 1, &why, &err), ERR_NOTFOUND);
    state_destroy(&state);
}

/* A cause that the ring has forgotten is told as unknown, not made up. */
/* Its primary has not ended yet: it runs as soon as that is released. */
static void what_is_barred_names_the_other(void **unused)
{
    (void)unused;
    struct state *state = state_create();
    static struct why why;
    apply_ok(state, node_put("n1", 1));
    for (uint32_t side = 0; side < 2; side++) {
        struct command put = duty_put(side == 0 ? "pm2/worker" : "pm2/worker-backup", true, true);
        copy_text(put.duty.alone, sizeof(put.duty.alone), "pm2/worker");
        put.duty.side = side;
        apply_ok(state, put);
    }
    apply_ok(state, duty_assign("pm2/worker", 0, "n1", 1, 1));
    assert_int_equal(why_duty(state, "pm2/worker-backup", 0, &why, NULL), 0);
    assert_string_equal(why.reason, "barred");
    assert_non_null(strstr(why.answer, "pm2/worker, which never runs beside it"));
    state_destroy(&state);
}

static void a_forgotten_cause_is_unknown(void **unused)
{
    (void)unused;
    struct state *state = state_create();
    apply_ok(state, node_put("n1", 1));
    apply_ok(state, duty_put("pm2/worker", true, true));
    apply_ok(state, duty_assign("pm2/worker", 0, "n1", 1, 5));
    for (int i = 0; i < STATE_AUDIT_MAX; i++) {
        struct command note = {.type = COMMAND_AUDIT_NOTE, .note = {.target = "other"}};
        apply_ok(state, note);
    }
    struct why why = why_of(state, "pm2/worker");
    assert_string_equal(why.reason, "unknown");
    assert_false(why.whole);
    assert_non_null(strstr(why.answer, "n1"));
    state_destroy(&state);
}

/* ---- leaders ---- */

static void each_cause_of_a_leader_is_told(void **unused)
{
    (void)unused;
    static const struct {
        enum consensus_cause cause;
        const char *words;
    } table[] = {
        {CONSENSUS_CAUSE_TIMEOUT, "nothing was heard of n1"},
        {CONSENSUS_CAUSE_HEALTH, "the health of n1 fell"},
        {CONSENSUS_CAUSE_DRAIN, "n1 was drained"},
        {CONSENSUS_CAUSE_TRANSFER, "a person handed"},
        {CONSENSUS_CAUSE_GRAY, "the work of n1 did not go on"},
        {CONSENSUS_CAUSE_OBITUARY, "n1 was dead"},
        {CONSENSUS_CAUSE_START, "the cluster started"},
    };
    struct state *state = state_create();
    struct why why;
    struct err err = {0};
    assert_int_equal(why_leader(state, &why, &err), ERR_NOTFOUND);
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct command record = {.type = COMMAND_LEADER_RECORD,
                                 .reason = REASON_LEADER_CHANGED,
                                 .leader = {.term = i + 1,
                                            .node = "n2",
                                            .previous = "n1",
                                            .cause = table[i].cause,
                                            .elected_ms = 7,
                                            .acting_ms = 8}};
        apply_ok(state, record);
        assert_int_equal(why_leader(state, &why, &err), 0);
        assert_string_equal(why.reason, consensus_cause_name(table[i].cause));
        assert_non_null(strstr(why.steps[0].text, table[i].words));
        assert_int_equal(why.steps[0].term, i + 1);
    }
    state_destroy(&state);
}

/* ---- runs ---- */

#define SCHEDULE "run/report"
#define SLOT_S INT64_C(1790000100)

static struct why why_of_run(const struct state *state, int64_t slot_s)
{
    char id[RUN_ID_SIZE];
    struct why why;
    struct err err = {0};
    struct run_key key = run_key_of(SCHEDULE, slot_s, 0);
    run_id(&key, id);
    assert_int_equal(why_run(state, id, &why, &err), 0);
    return why;
}

/* Every reason for which a slot is not run, and every one for which a run ends. */
static void a_run_tells_why_it_ended_or_never_began(void **unused)
{
    (void)unused;
    static const enum run_reason never[] = {RUN_OVERLAP,      RUN_PAUSED,     RUN_MAINTENANCE,
                                            RUN_SHED,         RUN_SUPERSEDED, RUN_OUT_OF_WINDOW,
                                            RUN_MISFIRE_SKIP, RUN_SHADOW};
    static const enum run_reason ended[] = {RUN_EXIT,        RUN_SIGNAL,    RUN_FINISH_DEADLINE,
                                            RUN_TOO_SHORT,   RUN_CANCELLED, RUN_PROGRESS_DEADLINE,
                                            RUN_NOT_STARTED, RUN_SHUTDOWN};
    struct state *state = state_create();
    apply_ok(state, node_put("n1", 1));
    uint64_t revision = apply_ok(state, schedule_put(SCHEDULE, 0, SLOT_S - 300)).index;
    int64_t after_s = SLOT_S - 300;
    for (size_t i = 0; i < 8; i++) {
        int64_t slot_s = after_s + 300;
        struct command decide = slots_decide(SCHEDULE, revision, after_s, slot_s + 300);
        add_slots(&decide, slot_s, slot_s, 1, RUN_SKIPPED, never[i]);
        add_slots(&decide, slot_s + 300, slot_s + 300, 1, RUN_UNDER_WAY, RUN_DUE);
        apply_ok(state, decide);
        assert_string_equal(why_of_run(state, slot_s).reason, run_reason_name(never[i]));
        assert_string_equal(why_of_run(state, slot_s + 300).reason, "due");
        struct run_key key = run_key_of(SCHEDULE, slot_s + 300, 0);
        uint64_t assignment = assign_run(state, key, 1);
        struct command end = run_end(key, 1, assignment, RUN_FAILED);
        end.run_end.reason = ended[i];
        end.run_end.exit_status = 3;
        apply_ok(state, end);
        struct why why = why_of_run(state, slot_s + 300);
        assert_string_equal(why.reason, run_reason_name(ended[i]));
        assert_string_equal(why.steps[0].reason, run_reason_name(ended[i]));
        assert_non_null(strstr(why.steps[0].text, "exit status 3"));
        after_s = slot_s + 300;
    }
    struct why why;
    struct err err = {0};
    assert_int_equal(why_run(state, "run/report", &why, &err), ERR_INVALID);
    assert_int_equal(why_run(state, "run/report@20200101T000000Z", &why, &err), ERR_NOTFOUND);
    state_destroy(&state);
}

/* ---- alerts ---- */

static void an_alert_tells_what_raised_it(void **unused)
{
    (void)unused;
    struct state *state = state_create();
    struct why why;
    struct err err = {0};
    assert_int_equal(why_alert(state, "member.dead/n2", &why, &err), ERR_NOTFOUND);
    apply_ok(state, with_cause(alert_raise("member.dead/n2", ALERT_CRITICAL, "n2 is dead"),
                               REASON_NODE_DEAD, "nothing heard for 3 s"));
    assert_int_equal(why_alert(state, "member.dead/n2", &why, &err), 0);
    assert_string_equal(why.reason, "member.dead");
    assert_true(why.whole);
    assert_string_equal(why.steps[1].reason, "node_dead");
    assert_non_null(strstr(why.steps[1].text, "nothing heard for 3 s"));
    apply_ok(state, alert_named(COMMAND_ALERT_ACK, "member.dead/n2"));
    assert_int_equal(why_alert(state, "member.dead/n2", &why, &err), 0);
    assert_non_null(strstr(why.answer, "acked"));
    state_destroy(&state);
}

/* What ails, each attempt, and in the end the alert: one chain, told whole while it is known. */
static void an_escalated_recovery_tells_its_attempts(void **unused)
{
    (void)unused;
    struct state *state = state_create();
    struct why why;
    struct err err = {0};
    const char *component = "ailing/n1/pm2/worker";
    const char *key = "recovery.escalated/ailing/n1/pm2/worker";
    for (uint32_t attempt = 1; attempt <= 6; attempt++) {
        struct command tried = recovery_set(component, attempt, RECOVERY_ACTING);
        struct command ended =
            recovery_set(component, attempt, attempt < 6 ? RECOVERY_WAITING : RECOVERY_ESCALATED);
        tried.wall_ms = INT64_C(1000) * attempt;
        ended.wall_ms = tried.wall_ms + 500;
        apply_ok(state, with_cause(tried, REASON_RECOVERY, attempt == 1 ? "errored" : "again"));
        apply_ok(state, with_cause(ended, REASON_RECOVERY, "it did not help"));
    }
    apply_ok(state, with_cause(alert_raise(key, ALERT_CRITICAL, "worker stays ill"),
                               REASON_RECOVERY, "six attempts"));
    assert_int_equal(why_alert(state, key, &why, &err), 0);
    assert_true(why.whole);
    assert_int_equal(why.count, 1 + 1 + 1 + 12);
    assert_string_equal(why.steps[2].reason, "escalated");
    assert_non_null(strstr(why.steps[2].text, "6 attempts"));
    assert_string_equal(why.steps[why.count - 1].reason, "recovery");
    assert_non_null(strstr(why.steps[why.count - 1].text, "its recovery: errored"));
    struct command slow = recovery_set(component, 7, RECOVERY_ESCALATED);
    slow.wall_ms = 600000;
    apply_ok(state, slow);
    assert_int_equal(why_alert(state, key, &why, &err), 0);
    assert_false(why.whole); /* there is no room for the first attempt any more */
    state_destroy(&state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_duty_names_the_cause_of_its_assignment),
        cmocka_unit_test(what_does_not_run_says_the_nearest_cause),
        cmocka_unit_test(what_is_barred_names_the_other),
        cmocka_unit_test(a_forgotten_cause_is_unknown),
        cmocka_unit_test(each_cause_of_a_leader_is_told),
        cmocka_unit_test(a_run_tells_why_it_ended_or_never_began),
        cmocka_unit_test(an_alert_tells_what_raised_it),
        cmocka_unit_test(an_escalated_recovery_tells_its_attempts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
