/* `why` gives the true cause for each kind of decision: random histories are made with causes that
 * their generator knows (why_world.c), and what `why` says of every leader, duty, run and alert is
 * compared with that; and the state that is restored from the history's snapshot says the same. */
#include "consensus/why.h"
#include "tests/unit/state/why_world.h"

#include <inttypes.h>
#include <stdlib.h>

#define WORLDS 60
#define STEPS 500
#define CHECK_EVERY 50
#define WALL_MS INT64_C(1700000100000)
#define RUN_REASONS (RUN_SHUTDOWN + 1)

/* How often each was compared: a kind that no history makes would be no test of it. */
static struct {
    unsigned cause[CONSENSUS_CAUSE_GRAY + 1];
    unsigned gate[GATE_SHADOW + 1];
    unsigned placed[REASON_PRESSURE + 1];
    unsigned told[REASON_PRESSURE + 1]; /* of what else was decided about a duty */
    unsigned reason[RUN_REASONS];
    unsigned outcome[RUN_UNKNOWN + 1];
    unsigned cancel[RUN_REASONS];
    unsigned alert[ALERT_RESOLVED + 1];
    unsigned unwanted, unassigned, once, run_held, retried, started, ranges, redefined, removed;
    unsigned drained, forgotten;
} seen;

/* ---- asking ---- */

struct asked {
    const struct world *world;
    const struct state *restored;
};

enum question { ASK_LEADER, ASK_DUTY, ASK_RUN, ASK_ALERT };

static int ask_state(const struct state *state, enum question question, const char *id,
                     struct why *ret)
{
    switch (question) {
    case ASK_LEADER:
        return why_leader(state, ret, NULL);
    case ASK_DUTY:
        return why_duty(state, id, WALL_MS, ret, NULL);
    case ASK_RUN:
        return why_run(state, id, ret, NULL);
    default:
        return why_alert(state, id, ret, NULL);
    }
}

static void expect_same(const struct why *one, const struct why *two)
{
    assert_string_equal(one->answer, two->answer);
    assert_string_equal(one->reason, two->reason);
    assert_int_equal(one->whole, two->whole);
    assert_int_equal(one->count, two->count);
    for (size_t i = 0; i < one->count; i++) {
        assert_string_equal(one->steps[i].text, two->steps[i].text);
        assert_string_equal(one->steps[i].reason, two->steps[i].reason);
        assert_string_equal(one->steps[i].who, two->steps[i].who);
        assert_int_equal(one->steps[i].index, two->steps[i].index);
        assert_int_equal(one->steps[i].term, two->steps[i].term);
        assert_int_equal(one->steps[i].wall_ms, two->steps[i].wall_ms);
    }
}

/* Of the state and of the restored one. False: both do not know it. */
static bool ask(const struct asked *asked, enum question question, const char *id, struct why *ret)
{
    static struct why again;
    int rc = ask_state(asked->world->state, question, id, ret);
    assert_int_equal(ask_state(asked->restored, question, id, &again), rc);
    if (rc != 0) {
        assert_int_equal(rc, ERR_NOTFOUND);
        return false;
    }
    expect_same(ret, &again);
    assert_true(ret->count > 0 && ret->count < WHY_STEPS_MAX);
    return true;
}

/* ---- comparing ---- */

static void expect_text(const char *text, const char *part)
{
    if (strstr(text, part) == NULL) {
        fail_msg("\"%s\" does not tell \"%s\"", text, part);
    }
}

/* A step of that reason whose text holds `part`; NULL: none. */
static const struct why_step *find_step(const struct why *why, const char *reason, const char *part)
{
    for (size_t i = 0; i < why->count; i++) {
        if (strcmp(why->steps[i].reason, reason) == 0 && strstr(why->steps[i].text, part) != NULL) {
            return &why->steps[i];
        }
    }
    return NULL;
}

static void expect_step(const struct why *why, const char *reason, const char *part)
{
    if (find_step(why, reason, part) == NULL) {
        fail_msg("%s: no step \"%s\" with \"%s\"", why->answer, reason, part);
    }
}

/* The ring of the audit still has it. */
static bool is_kept(const struct asked *asked, const struct cause *cause)
{
    const struct state *state = asked->world->state;
    return cause->index >= state_audit_at(state, state_audit_count(state) - 1)->index;
}

/* The chain holds that cause, who and when, or says that it is not whole. */
static void expect_cause(const struct asked *asked, const struct why *why,
                         const struct cause *cause)
{
    if (!is_kept(asked, cause)) {
        seen.forgotten++;
        assert_null(find_step(why, command_reason_name(cause->reason), cause->text));
        return;
    }
    expect_step(why, command_reason_name(cause->reason), cause->text);
    const struct why_step *step = find_step(why, command_reason_name(cause->reason), cause->text);
    assert_string_equal(step->who, "anna");
    assert_int_equal(step->index, cause->index);
    assert_int_equal(step->wall_ms, INT64_C(1700000000000));
}

/* ---- leaders ---- */

static void check_leader(const struct asked *asked)
{
    static const char *const words[] = {"for an unknown cause",
                                        "the cluster started and had no leader",
                                        "its address refused connections",
                                        "its parent said so",
                                        "nothing was heard of",
                                        "fell, and another node was better",
                                        "was drained or ended",
                                        "a person handed leadership over",
                                        "did not go on, though it answered"};
    static struct why why;
    const struct known_leader *leader = &asked->world->leader;
    if (!ask(asked, ASK_LEADER, NULL, &why)) {
        assert_false(leader->there);
        return;
    }
    const struct why_step *newest = &why.steps[0];
    bool of_previous = leader->cause != CONSENSUS_CAUSE_NONE &&
                       leader->cause != CONSENSUS_CAUSE_START &&
                       leader->cause != CONSENSUS_CAUSE_TRANSFER;
    expect_text(why.answer, leader->node);
    assert_string_equal(why.reason, consensus_cause_name(leader->cause));
    assert_string_equal(newest->reason, why.reason);
    expect_text(newest->text, words[leader->cause]);
    expect_text(newest->text, of_previous ? leader->previous : leader->node);
    assert_int_equal(newest->term, leader->term);
    assert_int_equal(newest->index, leader->index);
    if (leader->drained) {
        expect_cause(asked, &why, &leader->drain);
        seen.drained++;
    }
    seen.cause[leader->cause]++;
}

/* ---- duties ---- */

static enum gate gate_for(const struct world *world, const char *manager)
{
    enum gate last = strcmp(manager, "pm2") == 0 ? GATE_SHADOW : GATE_MAINTENANCE;
    for (enum gate gate = GATE_STOPPED; gate <= last; gate++) {
        if (world->closed[gate]) {
            return gate;
        }
    }
    return GATE_OPEN;
}

/* It does not run as its manager's gate is closed. */
static void check_closed(const struct asked *asked, const struct why *why, enum gate gate)
{
    assert_string_equal(why->reason, gate_name(gate));
    expect_cause(asked, why, &asked->world->closed_by[gate]);
    assert_int_equal(why->whole, is_kept(asked, &asked->world->closed_by[gate]));
    seen.gate[gate]++;
}

static void check_held(const struct asked *asked, const struct why *why,
                       const struct known_duty *duty)
{
    bool kept = is_kept(asked, &duty->assigned);
    char number[32];
    (void)snprintf(number, sizeof number, "assignment %" PRIu64 " ", duty->number);
    expect_text(why->answer, duty->node);
    expect_text(why->answer, number);
    assert_string_equal(why->reason, kept ? command_reason_name(duty->assigned.reason) : "unknown");
    assert_int_equal(why->whole, kept);
    assert_int_equal(why->steps[0].index, duty->number);
    if (kept) {
        expect_text(why->steps[0].text, duty->assigned.text);
        seen.placed[duty->assigned.reason]++;
    }
}

static void check_duty(const struct asked *asked, const struct known_duty *duty)
{
    static struct why why;
    enum gate gate = gate_for(asked->world, "pm2");
    int rc = ask_state(asked->world->state, ASK_DUTY, duty->id, &why);
    if (!duty->there) {
        assert_int_equal(rc, ERR_NOTFOUND);
        return;
    }
    /* A duty of which all was forgotten has no step: told by an empty chain that is not whole. */
    if (rc == 0 && why.count == 0) {
        assert_false(is_kept(asked, &duty->newest));
        return;
    }
    assert_true(ask(asked, ASK_DUTY, duty->id, &why));
    expect_cause(asked, &why, &duty->newest);
    seen.told[duty->newest.reason]++;
    if (duty->held) {
        check_held(asked, &why, duty);
    } else if (gate != GATE_OPEN) {
        check_closed(asked, &why, gate);
    } else if (!duty->wanted) {
        assert_string_equal(why.reason, "duty_unwanted");
        seen.unwanted++;
    } else {
        assert_string_equal(why.reason, "duty_unassigned");
        seen.unassigned++;
    }
    if (!duty->held) {
        expect_text(why.answer, "does not run");
        seen.gate[GATE_OPEN] += gate == GATE_OPEN ? 1 : 0;
    }
}

/* The duty of a run's present attempt. */
static void check_attempt(const struct asked *asked, const struct known_run *run)
{
    static struct why why;
    char id[DUTY_ID_SIZE];
    enum gate gate = gate_for(asked->world, "run");
    run_duty_id(&run->key, run->attempt, id);
    assert_int_equal(ask_state(asked->world->state, ASK_DUTY, id, &why), 0);
    if (run->assignment != 0 && !run->released) {
        assert_string_equal(why.reason, "run");
        expect_text(why.answer, run->node);
        seen.run_held++;
    } else if (gate != GATE_OPEN) {
        check_closed(asked, &why, gate);
    } else if (run->cancelled) {
        assert_string_equal(why.reason, "duty_unwanted");
    } else if (run->assignment != 0) {
        assert_string_equal(why.reason, "once");
        seen.once++;
    } else {
        assert_string_equal(why.reason, "duty_unassigned");
    }
}

/* ---- runs ---- */

static void check_end(const struct why *why, const struct known_run *run)
{
    char status[32] = "";
    const char *text = why->steps[0].text;
    expect_text(why->answer, run_outcome_name(run->outcome));
    assert_string_equal(why->steps[0].reason, run_reason_name(run->reason));
    expect_text(text, run_outcome_name(run->outcome));
    if (run->attempt > 0 && run->exit_status > 256) {
        (void)snprintf(status, sizeof status, "signal %d", run->exit_status - 256);
    } else if (run->attempt > 0 && run->exit_status >= 0) {
        (void)snprintf(status, sizeof status, "exit status %d", run->exit_status);
    }
    expect_text(text, status);
    assert_true(status[0] != '\0' || strstr(text, "exit status") == NULL);
    assert_int_equal(run->attempt > 1, strstr(text, "more than one attempt") != NULL);
    seen.outcome[run->outcome]++;
}

static void check_attempts(const struct why *why, const struct known_run *run)
{
    char text[48];
    bool ended = run->outcome != RUN_UNDER_WAY;
    assert_int_equal(find_step(why, "started", "") != NULL, run->started > 0);
    if (run->started > 0) {
        (void)snprintf(text, sizeof text, "attempt %" PRIu32 " started", run->started);
        expect_step(why, "started", text);
        seen.started++;
    }
    if (!ended && run->attempt > 1) {
        (void)snprintf(text, sizeof text, "attempt %" PRIu32 " did not go well", run->attempt - 1);
        expect_step(why, "retry", text);
        seen.retried++;
    } else {
        assert_null(find_step(why, "retry", ""));
    }
}

static void check_decision(const struct asked *asked, const struct why *why,
                           const struct known_run *run)
{
    char text[64];
    const struct why_step *decided = NULL;
    (void)snprintf(text, sizeof text, "decided by the leader of term %" PRIu64 ";", run->term);
    for (size_t i = 0; i < why->count; i++) {
        decided = strstr(why->steps[i].text, text) != NULL ? &why->steps[i] : decided;
    }
    assert_non_null(decided);
    assert_int_equal(decided->index, run->index);
    assert_int_equal(decided->term, run->term);
    if (run->count > 1) {
        (void)snprintf(text, sizeof text, "stands for %" PRIu32 " slots", run->count);
        expect_text(decided->text, text);
        seen.ranges++;
    }
    if (run->key.number != 0) {
        expect_text(decided->text, "started by hand");
        expect_cause(asked, why, &run->by);
    }
}

static void check_schedule(const struct asked *asked, const struct why *why,
                           const struct known_run *run)
{
    const struct known_schedule *schedule =
        &asked->world->schedules[run->key.schedule[strlen("run/s")] - '0'];
    if (!schedule->there) {
        expect_step(why, "removed", "is not there any more");
        seen.removed++;
    } else if (schedule->revision != run->revision) {
        expect_step(why, "schedule", "was another then");
        seen.redefined++;
    } else {
        expect_step(why, "schedule", "*/5 * * * *");
        assert_null(find_step(why, "schedule", "was another then"));
    }
}

static void check_run(const struct asked *asked, const struct known_run *run)
{
    static struct why why;
    char id[RUN_ID_SIZE];
    run_id(&run->key, id);
    if (!ask(asked, ASK_RUN, id, &why)) {
        fail_msg("no run %s", id);
    }
    assert_string_equal(why.reason, run_reason_name(run->reason));
    if (run->outcome != RUN_UNDER_WAY) {
        check_end(&why, run);
    } else {
        expect_text(why.answer, "is under way");
        check_attempt(asked, run);
        seen.outcome[RUN_UNDER_WAY]++;
    }
    check_attempts(&why, run);
    check_decision(asked, &why, run);
    check_schedule(asked, &why, run);
    if (run->cancelled) {
        expect_step(&why, run_reason_name(run->cancel), "its end was asked for");
        expect_cause(asked, &why, &run->cancelled_by);
        seen.cancel[run->cancel]++;
    }
    assert_int_equal(why.whole, (run->key.number == 0 || is_kept(asked, &run->by)) &&
                                    (!run->cancelled || is_kept(asked, &run->cancelled_by)));
    seen.reason[run->reason]++;
}

/* ---- alerts ---- */

static void check_alert(const struct asked *asked, const struct known_alert *alert)
{
    static struct why why;
    char kind[DUTY_ID_SIZE];
    char times[32];
    if (!ask(asked, ASK_ALERT, alert->key, &why)) {
        assert_false(alert->there);
        return;
    }
    (void)snprintf(kind, sizeof kind, "%.*s", (int)strcspn(alert->key, "/"), alert->key);
    (void)snprintf(times, sizeof times, "raised %" PRIu32 " times", alert->raised);
    assert_string_equal(why.reason, kind);
    expect_text(why.answer, alert_state_name(alert->state));
    expect_text(why.answer, alert_severity_name(alert->severity));
    expect_text(why.answer, alert->text);
    assert_string_equal(why.steps[0].reason, alert_state_name(alert->state));
    expect_text(why.steps[0].text, times);
    expect_cause(asked, &why, &alert->newest);
    assert_int_equal(why.whole, is_kept(asked, &alert->newest));
    seen.alert[alert->state]++;
}

/* ---- histories ---- */

static void check_world(const struct world *world)
{
    uint8_t *bytes = NULL;
    size_t length = 0;
    struct err err = {0};
    struct state *restored = state_create();
    assert_non_null(restored);
    assert_int_equal(state_snapshot(world->state, &bytes, &length), 0);
    assert_int_equal(state_restore(restored, state_index(world->state), bytes, length, &err), 0);
    free(bytes);
    struct state *copy = state_copy(world->state);
    assert_non_null(copy);
    assert_true(state_digest(copy) == state_digest(world->state));
    state_destroy(&copy);
    const struct asked asked = {world, restored};
    check_leader(&asked);
    for (size_t i = 0; i < WORLD_DUTIES; i++) {
        check_duty(&asked, &world->duties[i]);
    }
    for (size_t i = 0; i < world->run_count; i++) {
        check_run(&asked, &world->runs[i]);
    }
    for (size_t i = 0; i < WORLD_ALERTS; i++) {
        check_alert(&asked, &world->alerts[i]);
    }
    state_destroy(&restored);
}

static void every_kind_was_seen(void)
{
    static const enum command_reason placing[] = {
        REASON_DUTY_UNASSIGNED, REASON_NODE_DEAD, REASON_NODE_DRAINING, REASON_NODE_INCAPABLE,
        REASON_NODE_RESTARTED,  REASON_OPERATOR,  REASON_REBALANCE,     REASON_PRESSURE};
    static const enum command_reason telling[] = {REASON_PRIMARY_DOWN, REASON_PRIMARY_UNREACHABLE,
                                                  REASON_PRIMARY_WELL, REASON_DUTY_UNWANTED,
                                                  REASON_SHUTDOWN,     REASON_OBITUARY,
                                                  REASON_GRANT_EXPIRED};
    for (size_t i = 0; i < sizeof placing / sizeof placing[0]; i++) {
        assert_true(seen.placed[placing[i]] > 0);
    }
    for (size_t i = 0; i < sizeof telling / sizeof telling[0]; i++) {
        assert_true(seen.told[telling[i]] > 0);
    }
    for (int i = 0; i <= CONSENSUS_CAUSE_GRAY; i++) {
        assert_true(seen.cause[i] > 0);
    }
    for (int i = 0; i <= GATE_SHADOW; i++) {
        assert_true(seen.gate[i] > 0);
    }
    for (int i = 0; i < RUN_REASONS; i++) {
        if (seen.reason[i] == 0) {
            fail_msg("no run was %s", run_reason_name((enum run_reason)i));
        }
    }
    for (int i = 0; i <= RUN_UNKNOWN; i++) {
        assert_true(seen.outcome[i] > 0);
    }
    for (int i = 0; i <= ALERT_RESOLVED; i++) {
        assert_true(seen.alert[i] > 0);
    }
    assert_true(seen.cancel[RUN_CANCELLED] > 0 && seen.cancel[RUN_REPLACED] > 0 &&
                seen.cancel[RUN_REMOVED] > 0);
    assert_true(seen.unwanted > 0 && seen.unassigned > 0 && seen.once > 0 && seen.run_held > 0);
    assert_true(seen.retried > 0 && seen.started > 0 && seen.ranges > 0);
    assert_true(seen.redefined > 0 && seen.removed > 0 && seen.drained > 0 && seen.forgotten > 0);
}

static void why_tells_the_true_cause_of_every_decision(void **unused)
{
    (void)unused;
    static struct world world;
    for (uint64_t seed = 1; seed <= WORLDS; seed++) {
        world_init(&world, seed);
        for (int step = 1; step <= STEPS; step++) {
            world_step(&world);
            if (step % CHECK_EVERY == 0) {
                check_world(&world);
            }
        }
        if (seed % 4 == 0) {
            world_flood(&world);
            check_world(&world);
        }
        world_deinit(&world);
    }
    every_kind_was_seen();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(why_tells_the_true_cause_of_every_decision),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
