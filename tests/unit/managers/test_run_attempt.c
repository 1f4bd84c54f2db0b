/* One attempt of a run: what the state machine wants done, event by event. */
#include "managers/run/attempt.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define WALL INT64_C(1795324500000)
#define TOLD_END (ATTEMPT_RECORD | ATTEMPT_TELL | ATTEMPT_REPORT)

static const struct record_limits no_limits = {.output_bytes = 4096, .keep = 1};

static unsigned grant(struct attempt *attempt, int64_t now_ms)
{
    struct attempt_event event = {
        .kind = ATTEMPT_EVENT_GRANTED, .wall_ms = WALL + now_ms, .may_start = true};
    return attempt_step(attempt, &event, now_ms);
}

static unsigned happen(struct attempt *attempt, enum attempt_event_kind kind, int64_t now_ms)
{
    struct attempt_event event = {.kind = kind, .wall_ms = WALL + now_ms};
    return attempt_step(attempt, &event, now_ms);
}

static unsigned finish(struct attempt *attempt, enum ending_cause cause, int exit_status,
                       int64_t now_ms)
{
    struct attempt_event event = {.kind = ATTEMPT_EVENT_ENDED,
                                  .wall_ms = WALL + now_ms,
                                  .ending = {.cause = cause, .exit_status = exit_status}};
    return attempt_step(attempt, &event, now_ms);
}

static void start(struct attempt *attempt, const struct record_limits *limits)
{
    attempt_init(attempt, limits);
    assert_int_equal(grant(attempt, 1000), ATTEMPT_START);
    assert_int_equal(happen(attempt, ATTEMPT_EVENT_STARTED, 1000), ATTEMPT_TELL);
    assert_int_equal(attempt->told, MANAGER_DUTY_RUNNING);
}

static void assert_end(const struct attempt *attempt, enum manager_outcome outcome,
                       enum manager_run_reason reason, int exit_status)
{
    assert_int_equal(attempt->phase, ATTEMPT_ENDED);
    assert_string_equal(manager_outcome_name(attempt->outcome), manager_outcome_name(outcome));
    assert_string_equal(manager_run_reason_name(attempt->reason), manager_run_reason_name(reason));
    assert_int_equal(attempt->exit_status, exit_status);
}

static void a_run_is_told_until_it_is_known_and_then_released(void **state)
{
    (void)state;
    struct attempt attempt;
    start(&attempt, &no_limits);
    assert_int_equal(grant(&attempt, 1500), ATTEMPT_TELL);                 /* never started twice */
    assert_int_equal(happen(&attempt, ATTEMPT_EVENT_NODE_KNOWS, 1600), 0); /* it runs */
    assert_int_equal(finish(&attempt, ENDING_ENDED, 0, 3000), TOLD_END);
    assert_end(&attempt, MANAGER_OUTCOME_RAN, MANAGER_REASON_EXIT, 0);
    assert_int_equal(attempt.started_wall_ms, WALL + 1000);
    assert_int_equal(attempt.ended_wall_ms, WALL + 3000);
    assert_int_equal(attempt.told, MANAGER_DUTY_STOPPED);
    assert_int_equal(happen(&attempt, ATTEMPT_EVENT_TICK, 3999), 0);
    assert_int_equal(happen(&attempt, ATTEMPT_EVENT_TICK, 4000), ATTEMPT_REPORT);
    assert_int_equal(happen(&attempt, ATTEMPT_EVENT_TICK, 4001), 0);
    assert_int_equal(happen(&attempt, ATTEMPT_EVENT_TICK, 5000), ATTEMPT_REPORT);
    assert_int_equal(grant(&attempt, 5100), ATTEMPT_TELL);
    assert_int_equal(happen(&attempt, ATTEMPT_EVENT_NODE_KNOWS, 5200),
                     ATTEMPT_RELEASE | ATTEMPT_FORGET);
    assert_int_equal(attempt.phase, ATTEMPT_KNOWN);
    assert_int_equal(happen(&attempt, ATTEMPT_EVENT_TICK, 9000), 0);
}

static void ends_have_their_reasons(void **state)
{
    (void)state;
    static const struct {
        enum ending_cause cause;
        int exit_status;
        enum manager_outcome outcome;
        enum manager_run_reason reason;
    } cases[] = {
        {ENDING_ENDED, 0, MANAGER_OUTCOME_RAN, MANAGER_REASON_EXIT},
        {ENDING_ENDED, 3, MANAGER_OUTCOME_FAILED, MANAGER_REASON_EXIT},
        {ENDING_ENDED, 86, MANAGER_OUTCOME_FAILED, MANAGER_REASON_EXIT},
        {ENDING_ENDED, MANAGER_EXIT_SIGNAL + 9, MANAGER_OUTCOME_FAILED, MANAGER_REASON_SIGNAL},
        {ENDING_SIGNALLED, 0, MANAGER_OUTCOME_FAILED, MANAGER_REASON_SIGNAL},
        {ENDING_LAPSED, MANAGER_EXIT_SIGNAL + 15, MANAGER_OUTCOME_UNKNOWN,
         MANAGER_REASON_HOLDER_GONE},
        {ENDING_DISCONNECTED, 0, MANAGER_OUTCOME_UNKNOWN, MANAGER_REASON_HOLDER_GONE},
        {ENDING_UNSEEN, MANAGER_EXIT_UNKNOWN, MANAGER_OUTCOME_UNKNOWN, MANAGER_REASON_HOLDER_GONE},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct attempt attempt;
        start(&attempt, &no_limits);
        assert_int_equal(finish(&attempt, cases[i].cause, cases[i].exit_status, 2000), TOLD_END);
        assert_end(&attempt, cases[i].outcome, cases[i].reason, cases[i].exit_status);
        assert_int_equal(finish(&attempt, ENDING_ENDED, 0, 2100), 0); /* it ends once */
    }
}

static void what_did_not_start_has_no_start(void **state)
{
    (void)state;
    struct attempt attempt;
    start(&attempt, &no_limits);
    assert_int_equal(finish(&attempt, ENDING_NEVER_RAN, MANAGER_EXIT_UNKNOWN, 2000), TOLD_END);
    assert_end(&attempt, MANAGER_OUTCOME_FAILED, MANAGER_REASON_NOT_STARTED, MANAGER_EXIT_UNKNOWN);
    assert_int_equal(attempt.started_wall_ms, 0);
    assert_int_equal(attempt.told, MANAGER_DUTY_FAILED);

    attempt_init(&attempt, &no_limits);
    assert_int_equal(grant(&attempt, 1000), ATTEMPT_START);
    struct attempt_event event = {
        .kind = ATTEMPT_EVENT_NOT_STARTED, .wall_ms = WALL, .detail = "no such folder"};
    assert_int_equal(attempt_step(&attempt, &event, 1000), TOLD_END);
    assert_end(&attempt, MANAGER_OUTCOME_FAILED, MANAGER_REASON_NOT_STARTED, MANAGER_EXIT_UNKNOWN);
    assert_string_equal(attempt.detail, "no such folder");

    attempt_init(&attempt, &no_limits);
    event = (struct attempt_event){
        .kind = ATTEMPT_EVENT_GRANTED, .reason = MANAGER_REASON_SHADOW, .detail = "only watches"};
    assert_int_equal(attempt_step(&attempt, &event, 1000), TOLD_END);
    assert_end(&attempt, MANAGER_OUTCOME_FAILED, MANAGER_REASON_SHADOW, MANAGER_EXIT_UNKNOWN);
}

static void a_run_past_its_deadline_is_ended(void **state)
{
    (void)state;
    struct record_limits limits = no_limits;
    struct attempt attempt;
    limits.finish_ms = 10000;
    start(&attempt, &limits);
    assert_int_equal(happen(&attempt, ATTEMPT_EVENT_TICK, 10999), 0);
    assert_int_equal(happen(&attempt, ATTEMPT_EVENT_TICK, 11000), ATTEMPT_STOP);
    assert_int_equal(happen(&attempt, ATTEMPT_EVENT_TICK, 11100), 0);
    assert_int_equal(finish(&attempt, ENDING_SIGNALLED, MANAGER_EXIT_SIGNAL + 15, 11200), TOLD_END);
    assert_end(&attempt, MANAGER_OUTCOME_FAILED, MANAGER_REASON_FINISH_DEADLINE,
               MANAGER_EXIT_SIGNAL + 15);

    /* It had ended by itself when we asked. */
    start(&attempt, &limits);
    assert_int_equal(happen(&attempt, ATTEMPT_EVENT_TICK, 11000), ATTEMPT_STOP);
    assert_int_equal(finish(&attempt, ENDING_ENDED, 0, 11001), TOLD_END);
    assert_end(&attempt, MANAGER_OUTCOME_RAN, MANAGER_REASON_EXIT, 0);
}

static void output_is_progress(void **state)
{
    (void)state;
    struct record_limits limits = no_limits;
    struct attempt attempt;
    limits.progress_ms = 5000;
    start(&attempt, &limits);
    assert_int_equal(happen(&attempt, ATTEMPT_EVENT_OUTPUT, 5900), 0);
    assert_int_equal(happen(&attempt, ATTEMPT_EVENT_TICK, 6000), 0);
    assert_int_equal(happen(&attempt, ATTEMPT_EVENT_TICK, 10899), 0);
    assert_int_equal(happen(&attempt, ATTEMPT_EVENT_TICK, 10900), ATTEMPT_STOP);
    assert_int_equal(finish(&attempt, ENDING_SIGNALLED, 0, 11000), TOLD_END);
    assert_end(&attempt, MANAGER_OUTCOME_FAILED, MANAGER_REASON_PROGRESS_DEADLINE, 0);
}

static void a_run_over_its_limit_is_ended_once(void **state)
{
    (void)state;
    static const struct attempt_event over = {.kind = ATTEMPT_EVENT_OVER_LIMIT,
                                              .detail = "over its memory limit"};
    struct record_limits limits = no_limits;
    struct attempt attempt;
    limits.kill_timeout_ms = 3000;
    attempt_init(&attempt, &limits);
    assert_int_equal(attempt_step(&attempt, &over, 900), 0); /* nothing of it runs yet */
    start(&attempt, &limits);
    assert_int_equal(attempt_step(&attempt, &over, 2000), ATTEMPT_STOP);
    assert_int_equal(attempt_step(&attempt, &over, 2100), 0);
    /* Its guard has the kill timeout, and then some time. */
    assert_int_equal(happen(&attempt, ATTEMPT_EVENT_TICK, 2000 + 3000 + ATTEMPT_KILL_MS - 1), 0);
    assert_int_equal(happen(&attempt, ATTEMPT_EVENT_TICK, 2000 + 3000 + ATTEMPT_KILL_MS),
                     ATTEMPT_KILL);
    assert_int_equal(finish(&attempt, ENDING_UNSEEN, MANAGER_EXIT_UNKNOWN, 16000), TOLD_END);
    assert_end(&attempt, MANAGER_OUTCOME_FAILED, MANAGER_REASON_SIGNAL, MANAGER_EXIT_UNKNOWN);
    assert_string_equal(attempt.detail, "over its memory limit");

    /* It had ended by itself when we asked. */
    start(&attempt, &limits);
    assert_int_equal(attempt_step(&attempt, &over, 2000), ATTEMPT_STOP);
    assert_int_equal(finish(&attempt, ENDING_ENDED, 0, 2001), TOLD_END);
    assert_end(&attempt, MANAGER_OUTCOME_RAN, MANAGER_REASON_EXIT, 0);
}

static void an_end_too_soon_is_none(void **state)
{
    (void)state;
    struct record_limits limits = no_limits;
    struct attempt attempt;
    limits.min_runtime_ms = 2000;
    start(&attempt, &limits);
    assert_int_equal(finish(&attempt, ENDING_ENDED, 0, 2999), TOLD_END);
    assert_end(&attempt, MANAGER_OUTCOME_FAILED, MANAGER_REASON_TOO_SHORT, 0);
    start(&attempt, &limits);
    assert_int_equal(finish(&attempt, ENDING_ENDED, 0, 3000), TOLD_END);
    assert_end(&attempt, MANAGER_OUTCOME_RAN, MANAGER_REASON_EXIT, 0);
}

static void a_revoked_run_is_cancelled(void **state)
{
    (void)state;
    struct attempt attempt;
    start(&attempt, &no_limits);
    assert_int_equal(happen(&attempt, ATTEMPT_EVENT_REVOKED, 2000), ATTEMPT_STOP);
    assert_int_equal(happen(&attempt, ATTEMPT_EVENT_REVOKED, 3000), 0); /* asked again */
    assert_int_equal(finish(&attempt, ENDING_REVOKED, MANAGER_EXIT_SIGNAL + 15, 3100), TOLD_END);
    assert_end(&attempt, MANAGER_OUTCOME_FAILED, MANAGER_REASON_CANCELLED,
               MANAGER_EXIT_SIGNAL + 15);
    assert_int_equal(happen(&attempt, ATTEMPT_EVENT_REVOKED, 3200), ATTEMPT_REPORT);

    attempt_init(&attempt, &no_limits);
    assert_int_equal(happen(&attempt, ATTEMPT_EVENT_REVOKED, 1000), TOLD_END);
    assert_end(&attempt, MANAGER_OUTCOME_FAILED, MANAGER_REASON_CANCELLED, MANAGER_EXIT_UNKNOWN);
    assert_int_equal(attempt.started_wall_ms, 0);
    assert_int_equal(grant(&attempt, 1100), ATTEMPT_TELL); /* too late */
}

/* The guard heard of it from the node before we did. */
static void a_revocation_that_the_guard_knew_first_is_waited_for(void **state)
{
    (void)state;
    struct attempt attempt;
    start(&attempt, &no_limits);
    assert_int_equal(finish(&attempt, ENDING_REVOKED, 0, 2000), 0);
    assert_int_equal(happen(&attempt, ATTEMPT_EVENT_TICK, 2100), 0);
    assert_int_equal(happen(&attempt, ATTEMPT_EVENT_REVOKED, 2200), TOLD_END);
    assert_end(&attempt, MANAGER_OUTCOME_FAILED, MANAGER_REASON_CANCELLED, 0);

    start(&attempt, &no_limits);
    assert_int_equal(finish(&attempt, ENDING_REVOKED, 0, 2000), 0);
    assert_int_equal(happen(&attempt, ATTEMPT_EVENT_TICK, 2500), TOLD_END);
    assert_end(&attempt, MANAGER_OUTCOME_UNKNOWN, MANAGER_REASON_HOLDER_GONE, 0);
    /* What was told is not changed. */
    assert_int_equal(happen(&attempt, ATTEMPT_EVENT_REVOKED, 2600), ATTEMPT_REPORT);
    assert_end(&attempt, MANAGER_OUTCOME_UNKNOWN, MANAGER_REASON_HOLDER_GONE, 0);
}

static void a_guard_that_does_not_end_is_killed_once(void **state)
{
    (void)state;
    struct attempt attempt;
    start(&attempt, &no_limits);
    assert_int_equal(happen(&attempt, ATTEMPT_EVENT_REVOKED, 2000), ATTEMPT_STOP);
    assert_int_equal(happen(&attempt, ATTEMPT_EVENT_TICK, 11999), 0);
    assert_int_equal(happen(&attempt, ATTEMPT_EVENT_TICK, 12000), ATTEMPT_KILL);
    assert_int_equal(happen(&attempt, ATTEMPT_EVENT_TICK, 12100), 0);
    assert_int_equal(finish(&attempt, ENDING_UNSEEN, MANAGER_EXIT_UNKNOWN, 12200), TOLD_END);
    assert_end(&attempt, MANAGER_OUTCOME_FAILED, MANAGER_REASON_CANCELLED, MANAGER_EXIT_UNKNOWN);
}

static void another_life_takes_up_what_runs(void **state)
{
    (void)state;
    struct record record = {.assignment = 31,
                            .started_boot_ms = 1000,
                            .started_wall_ms = WALL + 1000,
                            .limits = no_limits};
    struct attempt attempt;
    record.limits.finish_ms = 60000;
    record.limits.progress_ms = 5000;
    record.limits.min_runtime_ms = 3000;
    attempt_resume(&attempt, &record, 20000);
    assert_int_equal(grant(&attempt, 20000), ATTEMPT_TELL); /* never started again */
    assert_int_equal(attempt.told, MANAGER_DUTY_RUNNING);
    assert_int_equal(happen(&attempt, ATTEMPT_EVENT_TICK, 24999), 0); /* silent since we are */
    assert_int_equal(happen(&attempt, ATTEMPT_EVENT_OUTPUT, 60000), 0);
    assert_int_equal(happen(&attempt, ATTEMPT_EVENT_TICK, 61000), ATTEMPT_STOP); /* since 1000 */

    /* It ended while no manager was there, sooner than it should. */
    attempt_resume(&attempt, &record, 20000);
    assert_int_equal(finish(&attempt, ENDING_ENDED, 0, 2000), TOLD_END);
    assert_end(&attempt, MANAGER_OUTCOME_FAILED, MANAGER_REASON_TOO_SHORT, 0);

    /* A guard of an earlier life that was revoked was so by the node's parent, or for its end. */
    attempt_resume(&attempt, &record, 20000);
    assert_int_equal(finish(&attempt, ENDING_REVOKED, 0, 21000), TOLD_END);
    assert_end(&attempt, MANAGER_OUTCOME_UNKNOWN, MANAGER_REASON_HOLDER_GONE, 0);
}

static void another_life_tells_what_has_ended(void **state)
{
    (void)state;
    struct record record = {.assignment = 31,
                            .started_wall_ms = WALL,
                            .limits = no_limits,
                            .ended = true,
                            .outcome = MANAGER_OUTCOME_FAILED,
                            .reason = MANAGER_REASON_EXIT,
                            .exit_status = 3,
                            .ended_wall_ms = WALL + 5};
    struct attempt attempt;
    attempt_resume(&attempt, &record, 20000);
    assert_int_equal(happen(&attempt, ATTEMPT_EVENT_TICK, 20000), ATTEMPT_REPORT);
    assert_end(&attempt, MANAGER_OUTCOME_FAILED, MANAGER_REASON_EXIT, 3);
    assert_int_equal(attempt.ended_wall_ms, WALL + 5);
    assert_int_equal(happen(&attempt, ATTEMPT_EVENT_NODE_KNOWS, 20100),
                     ATTEMPT_RELEASE | ATTEMPT_FORGET);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_run_is_told_until_it_is_known_and_then_released),
        cmocka_unit_test(ends_have_their_reasons),
        cmocka_unit_test(what_did_not_start_has_no_start),
        cmocka_unit_test(a_run_past_its_deadline_is_ended),
        cmocka_unit_test(output_is_progress),
        cmocka_unit_test(a_run_over_its_limit_is_ended_once),
        cmocka_unit_test(an_end_too_soon_is_none),
        cmocka_unit_test(a_revoked_run_is_cancelled),
        cmocka_unit_test(a_revocation_that_the_guard_knew_first_is_waited_for),
        cmocka_unit_test(a_guard_that_does_not_end_is_killed_once),
        cmocka_unit_test(another_life_takes_up_what_runs),
        cmocka_unit_test(another_life_tells_what_has_ended),
    };
    return cmocka_run_group_tests_name("run_attempt", tests, NULL, NULL);
}
