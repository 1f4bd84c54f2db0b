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

/* ---- recoveries ---- */

static void a_recovery_remembers_its_first_attempt(void **context)
{
    struct state *state = *context;
    apply_ok(state, recovery_set("pm2/worker", 1, RECOVERY_ACTING));
    assert_int_equal(apply(state, recovery_set("pm2/worker", 1, RECOVERY_ACTING)).outcome,
                     STATE_UNCHANGED);
    struct command next = recovery_set("pm2/worker", 2, RECOVERY_WAITING);
    next.wall_ms += 60000;
    apply_ok(state, next);
    const struct state_recovery *row = state_recovery_of(state, "pm2/worker");
    assert_int_equal(row->attempt, 2);
    assert_int_equal(row->phase, RECOVERY_WAITING);
    assert_int_equal(row->since_wall_ms, next.wall_ms - 60000);
    assert_int_equal(row->changed_wall_ms, next.wall_ms);
    assert_int_equal(row->next_wall_ms, next.recovery.next_wall_ms);
    apply_ok(state, recovery_set("pm2/worker", 2, RECOVERY_WELL));
    assert_null(state_recovery_of(state, "pm2/worker"));
    assert_int_equal(apply(state, recovery_set("pm2/worker", 2, RECOVERY_WELL)).outcome,
                     STATE_UNCHANGED);
}

static void recoveries_are_bounded_and_sorted(void **context)
{
    struct state *state = *context;
    char component[COMPONENT_SIZE];
    for (unsigned i = 0; i < STATE_RECOVERIES_MAX; i++) {
        (void)snprintf(component, sizeof(component), "pm2/%03u", (i * 37u) % STATE_RECOVERIES_MAX);
        apply_ok(state, recovery_set(component, 1, RECOVERY_WAITING));
    }
    apply_refused(state, recovery_set("pm2/more", 1, RECOVERY_WAITING), ERR_FULL);
    apply_ok(state, recovery_set("pm2/007", 2, RECOVERY_ESCALATED)); /* it has its row */
    assert_string_equal(state_recovery_at(state, 7)->component, "pm2/007");
    assert_null(state_recovery_at(state, STATE_RECOVERIES_MAX));
    apply_ok(state, recovery_set("pm2/007", 2, RECOVERY_WELL));
    apply_ok(state, recovery_set("pm2/more", 1, RECOVERY_WAITING));
    assert_int_equal(state_recovery_count(state), STATE_RECOVERIES_MAX);
}

/* ---- alerts ---- */

static const struct state_alert *row(const struct state *state)
{
    return state_alert_by_key(state, "down/pm2/worker");
}

static struct command raise_it(enum alert_severity severity, const char *text)
{
    return alert_raise("down/pm2/worker", severity, text);
}

static void the_same_trouble_is_raised_once(void **context)
{
    struct state *state = *context;
    apply_ok(state, raise_it(ALERT_WARNING, "it is down"));
    assert_int_equal(row(state)->state, ALERT_FIRING);
    assert_int_equal(row(state)->raised, 1);
    assert_int_equal(row(state)->changed_index, state_index(state));
    assert_int_equal(apply(state, raise_it(ALERT_WARNING, "it is down")).outcome, STATE_UNCHANGED);
    struct command worse = raise_it(ALERT_CRITICAL, "it is down");
    worse.wall_ms += 5;
    apply_ok(state, worse);
    assert_int_equal(row(state)->severity, ALERT_CRITICAL);
    assert_int_equal(row(state)->raised, 1);
    assert_int_equal(row(state)->raised_wall_ms, worse.wall_ms - 5);
    assert_int_equal(row(state)->changed_wall_ms, worse.wall_ms);
    apply_ok(state, raise_it(ALERT_CRITICAL, "and its backup too"));
    assert_string_equal(row(state)->text, "and its backup too");
    assert_int_equal(row(state)->raised, 1);
}

static void an_alert_is_acknowledged_and_resolved(void **context)
{
    struct state *state = *context;
    struct command ack = alert_named(COMMAND_ALERT_ACK, "down/pm2/worker");
    struct command resolve = alert_named(COMMAND_ALERT_RESOLVE, "down/pm2/worker");
    apply_refused(state, ack, ERR_NOTFOUND);
    apply_refused(state, resolve, ERR_NOTFOUND);
    apply_ok(state, raise_it(ALERT_WARNING, "it is down"));
    apply_ok(state, ack);
    assert_int_equal(row(state)->state, ALERT_ACKED);
    assert_string_equal(row(state)->who, "anna");
    copy_text(ack.who, sizeof(ack.who), "bert");
    assert_int_equal(apply(state, ack).outcome, STATE_UNCHANGED);
    assert_string_equal(row(state)->who, "anna");
    assert_int_equal(apply(state, raise_it(ALERT_WARNING, "it is down")).outcome, STATE_UNCHANGED);
    apply_ok(state, raise_it(ALERT_WARNING, "still down")); /* told, and acknowledged still */
    assert_int_equal(row(state)->state, ALERT_ACKED);
    apply_ok(state, resolve);
    assert_int_equal(row(state)->state, ALERT_RESOLVED);
    assert_int_equal(apply(state, resolve).outcome, STATE_UNCHANGED);
    apply_refused(state, ack, ERR_STALE);
    struct command again = raise_it(ALERT_WARNING, "still down");
    again.wall_ms += 9;
    apply_ok(state, again); /* the same words, but new trouble */
    assert_int_equal(row(state)->state, ALERT_FIRING);
    assert_int_equal(row(state)->raised, 2);
    assert_int_equal(row(state)->raised_wall_ms, again.wall_ms);
    assert_string_equal(row(state)->who, "");
    apply_ok(state, resolve); /* without an acknowledgement, too */
}

static void the_longest_resolved_alert_gives_way(void **context)
{
    struct state *state = *context;
    char key[DUTY_ID_SIZE];
    for (unsigned i = 0; i < STATE_ALERTS_MAX; i++) {
        (void)snprintf(key, sizeof(key), "a/%03u", (i * 37u) % STATE_ALERTS_MAX);
        apply_ok(state, alert_raise(key, ALERT_INFO, "x"));
    }
    apply_refused(state, alert_raise("b", ALERT_INFO, "x"), ERR_FULL);
    apply_ok(state, alert_named(COMMAND_ALERT_RESOLVE, "a/300"));
    apply_ok(state, alert_named(COMMAND_ALERT_RESOLVE, "a/100"));
    apply_ok(state, alert_raise("b", ALERT_INFO, "x"));
    assert_null(state_alert_by_key(state, "a/300"));
    assert_non_null(state_alert_by_key(state, "a/100"));
    apply_ok(state, alert_raise("c", ALERT_INFO, "x"));
    apply_refused(state, alert_raise("d", ALERT_INFO, "x"), ERR_FULL);
    assert_int_equal(state_alert_count(state), STATE_ALERTS_MAX);
    assert_string_equal(state_alert_at(state, STATE_ALERTS_MAX - 1)->key, "c");
    assert_null(state_alert_at(state, STATE_ALERTS_MAX));
}

/* ---- proofs ---- */

/* Put the duty and assign it to a node: the assignment. */
static uint64_t held_by(struct state *state, const char *duty, const char *node, uint64_t raft_id)
{
    if (state_duty_by_id(state, duty) == NULL) {
        apply_ok(state, duty_put(duty, false, true));
    }
    uint64_t former = state_duty_by_id(state, duty)->assignment.number;
    return apply_ok(state, duty_assign(duty, former, node, raft_id, 1)).number;
}

static void a_proof_tells_when_and_where_it_ran_last(void **context)
{
    struct state *state = *context;
    apply_refused(state, duty_proven("pm2/a", 1, 5), ERR_NOTFOUND);
    apply_ok(state, node_put("n1", 1));
    apply_ok(state, node_put("n2", 2));
    apply_ok(state, duty_put("pm2/a", false, true));
    apply_refused(state, duty_proven("pm2/a", 0, 5), ERR_STALE); /* it never ran */
    uint64_t first = held_by(state, "pm2/a", "n1", 1);
    apply_refused(state, duty_proven("pm2/a", first + 1, 5), ERR_STALE);
    apply_refused(state, duty_proven("pm2/a", first, 0), ERR_INVALID);
    assert_null(state_proven_of(state, "pm2/a"));
    struct command proven = duty_proven("pm2/a", first, 10000);
    uint64_t index = apply_ok(state, proven).index;
    const struct state_proven *row = state_proven_of(state, "pm2/a");
    assert_string_equal(row->node, "n1");
    assert_int_equal(row->assignment, first);
    assert_int_equal(row->term, TERM);
    assert_int_equal(row->index, index);
    assert_int_equal(row->by, PROVEN_BY_RUN);
    assert_int_equal(row->ran_ms, 10000);
    assert_int_equal(row->last_wall_ms, proven.wall_ms);
    assert_int_equal(apply(state, proven).outcome, STATE_UNCHANGED);
    assert_string_equal(proven_by_name(row->by), "run");
}

/* A new leader counts anew: what was known of the assignment stays. */
static void a_proof_is_refreshed_and_gives_way_to_the_next_assignment(void **context)
{
    struct state *state = *context;
    apply_ok(state, node_put("n1", 1));
    apply_ok(state, node_put("n2", 2));
    struct command proven = duty_proven("pm2/a", held_by(state, "pm2/a", "n1", 1), 900000);
    apply_ok(state, proven);
    proven.wall_ms += 3600000;
    proven.proven.ran_ms = 10000;
    apply_ok(state, proven);
    const struct state_proven *row = state_proven_of(state, "pm2/a");
    assert_int_equal(row->ran_ms, 900000);
    assert_int_equal(row->last_wall_ms, proven.wall_ms);
    int64_t latest_ms = proven.wall_ms;
    proven.wall_ms -= 5; /* of a leader whose clock is behind */
    proven.proven.ran_ms = 900001;
    apply_ok(state, proven);
    assert_int_equal(row->ran_ms, 900001);
    assert_int_equal(row->last_wall_ms, latest_ms);
    uint64_t second = held_by(state, "pm2/a", "n2", 2);
    apply_refused(state, proven, ERR_STALE);
    assert_string_equal(state_proven_of(state, "pm2/a")->node, "n1");
    apply_ok(state, duty_release("pm2/a", second, RELEASE_BY_HOLDER));
    apply_ok(state, duty_proven("pm2/a", second, 11000)); /* it ran until a moment ago */
    row = state_proven_of(state, "pm2/a");
    assert_string_equal(row->node, "n2");
    assert_int_equal(row->ran_ms, 11000);
    apply_ok(state, duty_remove("pm2/a"));
    assert_string_equal(state_proven_of(state, "pm2/a")->node, "n2");
}

static void the_oldest_proof_gives_way(void **context)
{
    struct state *state = *context;
    char id[DUTY_ID_SIZE];
    apply_ok(state, node_put("n1", 1));
    for (unsigned i = 0; i <= STATE_PROVEN_MAX; i++) {
        (void)snprintf(id, sizeof(id), "pm2/%03u", (i * 37u) % (STATE_PROVEN_MAX + 1));
        uint64_t assignment = held_by(state, id, "n1", 1);
        if (i == STATE_PROVEN_MAX) { /* the first is said again: the second is the oldest now */
            struct command again =
                duty_proven("pm2/000", state_proven_of(state, "pm2/000")->assignment, 2);
            apply_ok(state, again);
        }
        apply_ok(state, duty_proven(id, assignment, 1));
    }
    assert_int_equal(state_proven_count(state), STATE_PROVEN_MAX);
    assert_non_null(state_proven_of(state, "pm2/000"));
    assert_null(state_proven_of(state, "pm2/037"));
    assert_non_null(state_proven_of(state, id));
    assert_string_equal(state_proven_at(state, 1)->duty, "pm2/001");
    assert_null(state_proven_at(state, STATE_PROVEN_MAX));
}

static void proofs_do_not_wash_out_the_audit(void **context)
{
    struct state *state = *context;
    apply_ok(state, node_put("n1", 1));
    struct command proven = duty_proven("pm2/a", held_by(state, "pm2/a", "n1", 1), 1);
    size_t before = state_audit_count(state);
    apply_ok(state, proven);
    proven.wall_ms++;
    apply_ok(state, proven);
    assert_int_equal(state_audit_count(state), before);
    proven.proven.assignment++;
    apply_refused(state, proven, ERR_STALE); /* a refusal is news */
    assert_int_equal(state_audit_count(state), before + 1);
    assert_int_equal(state_audit_at(state, 0)->type, COMMAND_DUTY_PROVEN);
}

static void the_attempt_of_a_run_proves_nothing(void **context)
{
    struct state *state = *context;
    apply_ok(state, node_put("n1", 1));
    apply_ok(state, schedule_put("run/a", 0, 1000));
    struct run_key key = run_key_of("run/a", 0, apply_ok(state, run_start("run/a")).number);
    char id[DUTY_ID_SIZE];
    run_duty_id(&key, 1, id);
    apply_refused(state, duty_proven(id, assign_run(state, key, 1), 5), ERR_DENIED);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_recovery_remembers_its_first_attempt),
        TEST(recoveries_are_bounded_and_sorted),
        TEST(the_same_trouble_is_raised_once),
        TEST(an_alert_is_acknowledged_and_resolved),
        TEST(the_longest_resolved_alert_gives_way),
        TEST(a_proof_tells_when_and_where_it_ran_last),
        TEST(a_proof_is_refreshed_and_gives_way_to_the_next_assignment),
        TEST(the_oldest_proof_gives_way),
        TEST(proofs_do_not_wash_out_the_audit),
        TEST(the_attempt_of_a_run_proves_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
