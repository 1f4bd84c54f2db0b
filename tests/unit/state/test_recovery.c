/* When something that failed is tried again: delays, escalation, and what a new leader inherits. */
#include "consensus/recovery.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define COMPONENT "pm2/worker-backup"
#define WALL_MS INT64_C(1700000000000)

static const struct recovery_policy policy = {.first_ms = 200,
                                              .base_ms = 1000,
                                              .max_ms = 10000,
                                              .attempts_max = 3,
                                              .slow_ms = 30000,
                                              .attempt_ms = 500,
                                              .well_ms = 5000};

/* The replicated row, kept as the state machine keeps it. */
struct fixture {
    struct state_recovery row;
    bool known;
    int64_t wall_ms;
    unsigned proposals;
};

static void apply(struct fixture *self, const struct command *command)
{
    const struct command_recovery *is = &command->recovery;
    assert_int_equal(command->type, COMMAND_RECOVERY_SET);
    assert_string_equal(is->component, COMPONENT);
    assert_true(command->why[0] != '\0');
    self->proposals++;
    self->known = is->phase != RECOVERY_WELL;
    self->row = (struct state_recovery){
        .attempt = is->attempt, .phase = is->phase, .next_wall_ms = is->next_wall_ms};
    memcpy(self->row.component, is->component, sizeof(self->row.component));
}

static bool step_of(const struct recovery_policy *of, struct fixture *self, enum recovery_seen seen,
                    int64_t for_ms)
{
    struct command command;
    bool proposed = recovery_step(of, COMPONENT, self->known ? &self->row : NULL, seen, for_ms,
                                  self->wall_ms, &command);
    if (proposed) {
        apply(self, &command);
    }
    return proposed;
}

static bool step(struct fixture *self, enum recovery_seen seen, int64_t for_ms)
{
    return step_of(&policy, self, seen, for_ms);
}

static void expect(const struct fixture *self, uint32_t attempt, enum recovery_phase phase)
{
    assert_true(self->known);
    assert_int_equal(self->row.attempt, attempt);
    assert_int_equal(self->row.phase, phase);
}

static void delays_double_with_jitter_and_a_bound(void **unused)
{
    (void)unused;
    int64_t base_ms = 1000;
    bool differ = false;
    for (uint32_t attempt = 1; attempt <= 8; attempt++) {
        int64_t plain_ms = base_ms < policy.max_ms ? base_ms : policy.max_ms;
        int64_t delay_ms = recovery_delay_ms(&policy, COMPONENT, attempt);
        assert_in_range(delay_ms, plain_ms, plain_ms + plain_ms / 4);
        assert_int_equal(delay_ms, recovery_delay_ms(&policy, COMPONENT, attempt));
        differ = differ || delay_ms != recovery_delay_ms(&policy, "pm2/another", attempt);
        base_ms *= 2;
    }
    assert_true(differ);
    assert_in_range(recovery_delay_ms(&policy, COMPONENT, UINT32_MAX), 10000, 12500);
}

static void attempts_follow_each_other_until_they_are_used_up(void **unused)
{
    (void)unused;
    struct fixture self = {.wall_ms = WALL_MS};
    assert_false(step(&self, RECOVERY_SEEN_WELL, 60000));
    assert_false(step(&self, RECOVERY_SEEN_NOTHING, 60000));
    assert_false(step(&self, RECOVERY_SEEN_ILL, policy.first_ms - 1));
    assert_true(step(&self, RECOVERY_SEEN_ILL, policy.first_ms));
    for (uint32_t attempt = 1; attempt <= policy.attempts_max; attempt++) {
        expect(&self, attempt, RECOVERY_ACTING);
        assert_true(recovery_orders(&self.row, attempt - 1));
        assert_false(recovery_orders(&self.row, attempt));
        assert_false(step(&self, RECOVERY_SEEN_ILL, 0)); /* it has not had its time */
        self.wall_ms += policy.attempt_ms;
        assert_false(step(&self, RECOVERY_SEEN_NOTHING, 0)); /* nobody knows how it went */
        assert_true(step(&self, RECOVERY_SEEN_ILL, 0));
        bool last = attempt == policy.attempts_max;
        expect(&self, attempt, last ? RECOVERY_ESCALATED : RECOVERY_WAITING);
        assert_false(recovery_orders(&self.row, attempt));
        int64_t delay_ms = recovery_delay_ms(&policy, COMPONENT, attempt);
        delay_ms = last ? policy.slow_ms : delay_ms;
        self.wall_ms += delay_ms - 1;
        assert_false(step(&self, RECOVERY_SEEN_ILL, 0));
        self.wall_ms++;
        assert_true(step(&self, RECOVERY_SEEN_ILL, 0));
    }
    expect(&self, 4, RECOVERY_ESCALATED); /* it goes on, every slow_ms */
    assert_true(recovery_orders(&self.row, 3));
    self.wall_ms += policy.slow_ms - 1;
    assert_false(step(&self, RECOVERY_SEEN_ILL, 0));
    self.wall_ms++;
    assert_true(step(&self, RECOVERY_SEEN_ILL, 0));
    expect(&self, 5, RECOVERY_ESCALATED);
}

static void without_a_slower_retry_the_delays_go_on(void **unused)
{
    (void)unused;
    struct recovery_policy of = policy;
    struct fixture self = {.wall_ms = WALL_MS};
    of.slow_ms = of.max_ms;
    for (uint32_t attempt = 1; attempt <= of.attempts_max; attempt++) {
        assert_true(step_of(&of, &self, RECOVERY_SEEN_ILL, 1000));
        self.wall_ms += of.attempt_ms;
        assert_true(step_of(&of, &self, RECOVERY_SEEN_ILL, 1000));
        self.wall_ms += recovery_delay_ms(&of, COMPONENT, attempt);
    }
    expect(&self, 3, RECOVERY_ESCALATED);
    assert_true(step_of(&of, &self, RECOVERY_SEEN_ILL, 1000)); /* after the usual delay */
    expect(&self, 4, RECOVERY_ESCALATED);
    self.wall_ms += of.max_ms;
    assert_true(step_of(&of, &self, RECOVERY_SEEN_ILL, 1000));
    expect(&self, 5, RECOVERY_ESCALATED);
}

/* A primary that stays ill for a day: looked at twice a second, as the leader does. */
static void what_ails_is_tried_a_few_times_and_then_slowly_for_ever(void **unused)
{
    (void)unused;
    const struct recovery_policy *of = &recovery_of_ailing;
    struct fixture self = {.wall_ms = WALL_MS};
    int64_t first_ms = 0;
    int64_t escalated_ms = 0;
    int64_t day_ms = INT64_C(86400000);
    for (int64_t at_ms = 0; at_ms < day_ms; at_ms += 500) {
        self.wall_ms = WALL_MS + at_ms;
        (void)step_of(of, &self, RECOVERY_SEEN_ILL, at_ms);
        first_ms = first_ms == 0 && self.known ? at_ms : first_ms;
        bool escalated = self.known && self.row.phase == RECOVERY_ESCALATED;
        escalated_ms = escalated_ms == 0 && escalated ? at_ms : escalated_ms;
        if (escalated_ms == at_ms && escalated) {
            expect(&self, of->attempts_max, RECOVERY_ESCALATED);
        }
    }
    assert_int_equal(first_ms, 1000);
    assert_in_range(escalated_ms, 60000, 120000);
    int64_t slow = (day_ms - escalated_ms) / of->slow_ms;
    assert_in_range(self.row.attempt, of->attempts_max + slow - 1, of->attempts_max + slow);
}

static void well_for_long_enough_is_forgotten(void **unused)
{
    (void)unused;
    struct fixture self = {.wall_ms = WALL_MS};
    assert_true(step(&self, RECOVERY_SEEN_ILL, policy.first_ms));
    assert_false(step(&self, RECOVERY_SEEN_WELL, policy.well_ms - 1));
    assert_true(step(&self, RECOVERY_SEEN_WELL, policy.well_ms));
    assert_false(self.known);
    assert_int_equal(self.proposals, 2);
}

static void another_leaders_clock_delays_nothing_for_ever(void **unused)
{
    (void)unused;
    struct fixture self = {.wall_ms = WALL_MS + INT64_C(86400000)};
    assert_true(step(&self, RECOVERY_SEEN_ILL, policy.first_ms));
    self.wall_ms = WALL_MS; /* the next leader's clock is a day behind */
    assert_true(step(&self, RECOVERY_SEEN_ILL, 0));
    expect(&self, 1, RECOVERY_WAITING);
}

static void what_others_tried_counts(void **unused)
{
    (void)unused;
    struct fixture self = {.wall_ms = WALL_MS};
    struct command command;
    recovery_count(&policy, COMPONENT, NULL, 2, self.wall_ms, &command);
    apply(&self, &command);
    expect(&self, 2, RECOVERY_WAITING);
    recovery_count(&policy, COMPONENT, &self.row, 1, self.wall_ms, &command);
    apply(&self, &command);
    expect(&self, 3, RECOVERY_ESCALATED);
    recovery_count(&policy, COMPONENT, &self.row, UINT32_MAX, self.wall_ms, &command);
    apply(&self, &command);
    expect(&self, UINT32_MAX, RECOVERY_ESCALATED);
}

static void a_person_may_start_one_at_any_time(void **unused)
{
    (void)unused;
    struct fixture self = {.wall_ms = WALL_MS};
    struct command command;
    recovery_by_hand(&policy, COMPONENT, NULL, self.wall_ms, &command);
    assert_int_equal(command.reason, REASON_OPERATOR);
    apply(&self, &command);
    expect(&self, 1, RECOVERY_ACTING);
    recovery_by_hand(&policy, COMPONENT, &self.row, self.wall_ms, &command);
    apply(&self, &command);
    expect(&self, 2, RECOVERY_ACTING);
    self.row.attempt = policy.attempts_max;
    self.row.phase = RECOVERY_ESCALATED;
    recovery_by_hand(&policy, COMPONENT, &self.row, self.wall_ms, &command);
    apply(&self, &command);
    expect(&self, 1, RECOVERY_ACTING); /* from the beginning */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(delays_double_with_jitter_and_a_bound),
        cmocka_unit_test(attempts_follow_each_other_until_they_are_used_up),
        cmocka_unit_test(without_a_slower_retry_the_delays_go_on),
        cmocka_unit_test(what_ails_is_tried_a_few_times_and_then_slowly_for_ever),
        cmocka_unit_test(well_for_long_enough_is_forgotten),
        cmocka_unit_test(another_leaders_clock_delays_nothing_for_ever),
        cmocka_unit_test(what_others_tried_counts),
        cmocka_unit_test(a_person_may_start_one_at_any_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
