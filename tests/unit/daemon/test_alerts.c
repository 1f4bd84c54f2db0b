/* The times of alerts: what holds for long enough is raised once, whoever leads, and what is gone
 * for long enough is resolved. */
#include "node/daemon/alerts.h"

#include "tests/unit/state/commands.h"

#include <stdlib.h>

#define DEAD "member.dead/n2"
#define RAISE_MS 5000
#define RESOLVE_MS 3000

static const struct alert_rule dead_rule = {"member.dead", ALERT_WARNING, RAISE_MS, RESOLVE_MS};

static const struct alert_rule *rule_of(const char *key)
{
    return strncmp(key, "member.dead/", 12) == 0 ? &dead_rule : NULL;
}

struct fixture {
    struct state *state;
    struct alerts *alerts;
    struct alert_sights seen;
    int64_t now_ms;
    size_t raised;
    size_t resolved;
};

static int setup(void **state)
{
    struct fixture *self = calloc(1, sizeof *self);
    assert_non_null(self);
    self->state = state_create();
    self->alerts = alerts_create();
    self->now_ms = 1000000;
    assert_non_null(self->state);
    assert_non_null(self->alerts);
    alerts_begin(self->alerts, 1);
    *state = self;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *self = *state;
    alerts_destroy(&self->alerts);
    state_destroy(&self->state);
    free(self);
    return 0;
}

static struct alert_sight *see(struct fixture *self, const char *key)
{
    struct alert_sight *sight = &self->seen.rows[self->seen.count++];
    *sight = (struct alert_sight){.rule = &dead_rule, .severity = dead_rule.severity};
    copy_text(sight->key, sizeof sight->key, key);
    copy_text(sight->text, sizeof sight->text, "n2 is dead");
    return sight;
}

/* One look; what is proposed is applied when `commits`. Then nothing is seen until the next. */
static size_t look(struct fixture *self, bool commits)
{
    static struct command commands[ALERTS_STEP_MAX];
    size_t count = alerts_step(self->alerts, self->state, &self->seen, rule_of, self->now_ms,
                               commands, ALERTS_STEP_MAX);
    for (size_t i = 0; i < count; i++) {
        self->raised += commands[i].type == COMMAND_ALERT_RAISE;
        self->resolved += commands[i].type == COMMAND_ALERT_RESOLVE;
        assert_true(commands[i].why[0] != '\0');
        copy_text(commands[i].who, sizeof commands[i].who, "n1");
        if (commits) {
            (void)apply_ok(self->state, commands[i]);
        }
    }
    self->seen.count = 0;
    return count;
}

static enum alert_state state_of(const struct fixture *self)
{
    const struct state_alert *row = state_alert_by_key(self->state, DEAD);
    assert_non_null(row);
    return row->state;
}

/* It is raised and recorded. */
static void let_fire(struct fixture *self)
{
    (void)see(self, DEAD);
    (void)look(self, true);
    self->now_ms += RAISE_MS;
    (void)see(self, DEAD);
    assert_int_equal(look(self, true), 1);
    assert_int_equal(state_of(self), ALERT_FIRING);
}

static void it_is_raised_once_after_its_time(void **state)
{
    struct fixture *self = *state;
    (void)see(self, DEAD);
    assert_int_equal(look(self, true), 0);
    self->now_ms += RAISE_MS - 1;
    (void)see(self, DEAD);
    assert_int_equal(look(self, true), 0);
    self->now_ms++;
    (void)see(self, DEAD);
    assert_int_equal(look(self, true), 1);
    for (int i = 0; i < 10; i++) {
        self->now_ms += 1000;
        (void)see(self, DEAD);
        assert_int_equal(look(self, true), 0);
    }
    assert_int_equal(self->raised, 1);
}

static void a_break_begins_the_time_anew(void **state)
{
    struct fixture *self = *state;
    (void)see(self, DEAD);
    (void)look(self, true);
    self->now_ms += RAISE_MS - 1;
    (void)look(self, true); /* not seen */
    self->now_ms++;
    (void)see(self, DEAD);
    assert_int_equal(look(self, true), 0);
    self->now_ms += RAISE_MS - 1;
    (void)see(self, DEAD);
    assert_int_equal(look(self, true), 0);
}

static void it_is_resolved_when_it_is_gone_for_its_time(void **state)
{
    struct fixture *self = *state;
    let_fire(self);
    assert_int_equal(look(self, true), 0);
    self->now_ms += RESOLVE_MS - 1;
    assert_int_equal(look(self, true), 0);
    (void)see(self, DEAD); /* it is back */
    assert_int_equal(look(self, true), 0);
    assert_int_equal(look(self, true), 0);
    self->now_ms += RESOLVE_MS;
    assert_int_equal(look(self, true), 1);
    assert_int_equal(state_of(self), ALERT_RESOLVED);
    assert_int_equal(look(self, true), 0);
    assert_int_equal(self->resolved, 1);
}

static void an_acknowledged_one_is_resolved_and_not_raised_again(void **state)
{
    struct fixture *self = *state;
    let_fire(self);
    struct command ack = command_of(COMMAND_ALERT_ACK);
    copy_text(ack.alert_key.key, sizeof ack.alert_key.key, DEAD);
    (void)apply_ok(self->state, ack);
    self->now_ms += 60000;
    (void)see(self, DEAD);
    assert_int_equal(look(self, true), 0);
    assert_int_equal(state_of(self), ALERT_ACKED);
    (void)look(self, true);
    self->now_ms += RESOLVE_MS;
    assert_int_equal(look(self, true), 1);
    assert_int_equal(state_of(self), ALERT_RESOLVED);
}

static void a_new_leader_neither_repeats_nor_loses_one(void **state)
{
    struct fixture *self = *state;
    let_fire(self);
    alerts_begin(self->alerts, 2);
    self->now_ms += 60000;
    (void)see(self, DEAD);
    assert_int_equal(look(self, true), 0);
    /* The next one does not see it, and gives it its whole time before it is resolved. */
    alerts_begin(self->alerts, 3);
    assert_int_equal(look(self, true), 0);
    self->now_ms += RESOLVE_MS - 1;
    assert_int_equal(look(self, true), 0);
    alerts_begin(self->alerts, 4);
    self->now_ms++;
    assert_int_equal(look(self, true), 0);
    self->now_ms += RESOLVE_MS;
    assert_int_equal(look(self, true), 1);
    assert_int_equal(self->raised, 1);
    assert_int_equal(self->resolved, 1);
}

static void what_is_not_known_changes_nothing(void **state)
{
    struct fixture *self = *state;
    for (int i = 0; i < 3; i++) {
        see(self, DEAD)->unknown = true;
        assert_int_equal(look(self, true), 0);
        self->now_ms += RAISE_MS;
    }
    let_fire(self);
    for (int i = 0; i < 5; i++) {
        see(self, DEAD)->unknown = true;
        self->now_ms += RESOLVE_MS;
        assert_int_equal(look(self, true), 0);
    }
    assert_int_equal(look(self, true), 0); /* gone since now */
    self->now_ms += RESOLVE_MS - 1;
    assert_int_equal(look(self, true), 0);
    assert_int_equal(state_of(self), ALERT_FIRING);
}

static void a_lost_proposal_is_made_again_but_not_at_once(void **state)
{
    struct fixture *self = *state;
    (void)see(self, DEAD);
    (void)look(self, true);
    self->now_ms += RAISE_MS;
    (void)see(self, DEAD);
    assert_int_equal(look(self, false), 1);
    self->now_ms += ALERTS_REPEAT_MS - 1;
    (void)see(self, DEAD);
    assert_int_equal(look(self, false), 0);
    self->now_ms++;
    (void)see(self, DEAD);
    assert_int_equal(look(self, true), 1);
    assert_int_equal(state_of(self), ALERT_FIRING);
}

static void a_higher_severity_is_told(void **state)
{
    struct fixture *self = *state;
    let_fire(self);
    self->now_ms += ALERTS_REPEAT_MS;
    see(self, DEAD)->severity = ALERT_CRITICAL;
    assert_int_equal(look(self, true), 1);
    const struct state_alert *row = state_alert_by_key(self->state, DEAD);
    assert_int_equal(row->severity, ALERT_CRITICAL);
    assert_int_equal(row->raised, 1);
    self->now_ms += ALERTS_REPEAT_MS;
    (void)see(self, DEAD); /* a lower one is not */
    assert_int_equal(look(self, true), 0);
}

static void what_is_resolved_by_hand_and_still_so_comes_back(void **state)
{
    struct fixture *self = *state;
    let_fire(self);
    (void)see(self, DEAD);
    assert_int_equal(look(self, true), 0);
    struct command resolve = command_of(COMMAND_ALERT_RESOLVE);
    copy_text(resolve.alert_key.key, sizeof resolve.alert_key.key, DEAD);
    (void)apply_ok(self->state, resolve);
    self->now_ms += 60000;
    (void)see(self, DEAD);
    assert_int_equal(look(self, true), 0);
    self->now_ms += RAISE_MS;
    (void)see(self, DEAD);
    assert_int_equal(look(self, true), 1);
    assert_int_equal(state_alert_by_key(self->state, DEAD)->raised, 2);
}

static void what_no_rule_looks_after_is_left_alone(void **state)
{
    struct fixture *self = *state;
    struct command raise = command_of(COMMAND_ALERT_RAISE);
    copy_text(raise.alert.key, sizeof raise.alert.key, "of.a.later.version/x");
    copy_text(raise.alert.text, sizeof raise.alert.text, "?");
    (void)apply_ok(self->state, raise);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(look(self, true), 0);
        self->now_ms += 3600000;
    }
}

static void many_are_raised_step_by_step(void **state)
{
    struct fixture *self = *state;
    for (int turn = 0; turn < 20; turn++) {
        for (int i = 0; i < ALERTS_SEEN_MAX; i++) {
            char key[DUTY_ID_SIZE];
            (void)snprintf(key, sizeof key, "member.dead/n%03d", i);
            (void)see(self, key);
        }
        size_t count = look(self, true);
        assert_true(count <= ALERTS_STEP_MAX);
        self->now_ms += turn == 0 ? RAISE_MS : 1000;
    }
    assert_int_equal(self->raised, ALERTS_SEEN_MAX);
    assert_int_equal(state_alert_count(self->state), ALERTS_SEEN_MAX);
}

static void rules_know_their_keys(void **state)
{
    (void)state;
    assert_string_equal(alerts_rule_of("member.dead/n1")->kind, "member.dead");
    assert_string_equal(alerts_rule_of("duty.unplaced/pm2/worker")->kind, "duty.unplaced");
    assert_string_equal(alerts_rule_of("primary.down/pm2/worker")->kind, ""); /* a manager's */
    assert_null(alerts_rule_of("primary.down/worker"));
    assert_null(alerts_rule_of("member.dead"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(it_is_raised_once_after_its_time),
        TEST(a_break_begins_the_time_anew),
        TEST(it_is_resolved_when_it_is_gone_for_its_time),
        TEST(an_acknowledged_one_is_resolved_and_not_raised_again),
        TEST(a_new_leader_neither_repeats_nor_loses_one),
        TEST(what_is_not_known_changes_nothing),
        TEST(a_lost_proposal_is_made_again_but_not_at_once),
        TEST(a_higher_severity_is_told),
        TEST(what_is_resolved_by_hand_and_still_so_comes_back),
        TEST(what_no_rule_looks_after_is_left_alone),
        TEST(many_are_raised_step_by_step),
        TEST(rules_know_their_keys),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
