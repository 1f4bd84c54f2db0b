/* A manager's wishes, steps and answers, over a real socket; the test plays the node. Manager and
 * node share one loop and one thread, so that the test decides what comes after what. */
#include "managers/common/runtime_private.h"

#include "node/base/clock.h"
#include "tests/folder.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define PATIENCE_MS 60000
#define SOON_MS 300 /* what must not come does not come for so long */
#define KEY "stage/effect@1"
#define OBJECT "effect"

struct stage {
    char folder[64];
    int input[2]; /* the manager's standard input, as a node holds it */
    zsock_t *router;
    struct runtime *runtime;
    bool (*condition)(struct stage *stage);
    int64_t give_up_ms;
    bool met;

    struct manager_intent_wanted wanted; /* the latest of each */
    struct manager_intent_verified verified;
    struct manager_intent_performed performed;
    int wants;
    int verifieds;
    int performeds;
    int acks;

    struct runtime_intent called; /* argument of the latest callback */
    int verifications;
    int performances;
    int closings;
    uint64_t number;
    bool answers_at_once;
};

/* ---- the manager ---- */

static int on_configure(void *context, const struct manager_configure *configure, struct err *err)
{
    (void)context;
    (void)configure;
    (void)err;
    return 0;
}

static bool on_role(void *context, bool active, uint64_t term)
{
    (void)context;
    (void)active;
    (void)term;
    return true;
}

static void on_grant(void *context, const struct manager_grant *grant)
{
    (void)context;
    (void)grant;
}

static void on_revoke(void *context, const struct manager_revoke *revoke)
{
    (void)context;
    (void)revoke;
}

static void on_peer_observation(void *context, const struct manager_peer_observation *observation)
{
    (void)context;
    (void)observation;
}

static void on_members(void *context, const struct manager_members *members)
{
    (void)context;
    (void)members;
}

static void on_command(void *context, const struct manager_command *command)
{
    (void)context;
    (void)command;
}

static void on_paused(void *context, bool paused)
{
    (void)context;
    (void)paused;
}

static void on_heartbeat(void *context, struct manager_heartbeat *ret)
{
    (void)context;
    (void)ret;
}

static void on_stop(void *context)
{
    (void)context;
}

static const struct runtime_callbacks callbacks = {
    .configure = on_configure,
    .role = on_role,
    .grant = on_grant,
    .revoke = on_revoke,
    .peer_observation = on_peer_observation,
    .members = on_members,
    .command = on_command,
    .paused = on_paused,
    .heartbeat = on_heartbeat,
    .stop = on_stop,
};

static void on_verify(void *context, const struct runtime_intent *intent, uint64_t number)
{
    struct stage *stage = context;
    stage->verifications++;
    stage->called = *intent;
    stage->number = number;
    if (stage->answers_at_once) {
        runtime_intent_verified(stage->runtime, number, MANAGER_INTENT_IT_HAPPENED, "seen");
    }
}

static void on_perform(void *context, const struct runtime_intent *intent, uint64_t number)
{
    struct stage *stage = context;
    stage->performances++;
    stage->called = *intent;
    stage->number = number;
    if (stage->answers_at_once) {
        runtime_intent_performed(stage->runtime, number, MANAGER_INTENT_HAPPENED, "run 17");
    }
}

static void on_closed(void *context, const struct manager_intent *intent)
{
    struct stage *stage = context;
    assert_string_equal(intent->key, KEY);
    stage->closings++;
}

static const struct runtime_intent_callbacks intent_callbacks = {
    .verify = on_verify,
    .perform = on_perform,
    .closed = on_closed,
};

/* ---- the node ---- */

static void node_takes(struct stage *stage, const struct manager_message *message)
{
    switch (message->kind) {
    case MANAGER_INTENT_WANTED:
        stage->wanted = message->as.intent_wanted;
        stage->wants++;
        return;
    case MANAGER_INTENT_VERIFIED:
        stage->verified = message->as.intent_verified;
        stage->verifieds++;
        return;
    case MANAGER_INTENT_PERFORMED:
        stage->performed = message->as.intent_performed;
        stage->performeds++;
        return;
    case MANAGER_ROLE_ACK:
        stage->acks++;
        return;
    default:
        return;
    }
}

static void drain(struct stage *stage)
{
    static uint8_t bytes[MANAGER_MESSAGE_BYTES_MAX];
    void *socket = zsock_resolve(stage->router);
    char identity[64];
    while (zmq_recv(socket, identity, sizeof identity, ZMQ_DONTWAIT) >= 0) {
        struct manager_message message;
        struct err err;
        int length = zmq_recv(socket, bytes, sizeof bytes, ZMQ_DONTWAIT);
        assert_true(length > 0);
        if (manager_message_decode(bytes, (size_t)length, &message, &err) != 0) {
            fail_msg("%s", err.msg);
        }
        node_takes(stage, &message);
    }
}

static void node_says(struct stage *stage, const struct manager_message *message)
{
    struct mp_writer writer;
    mp_writer_init(&writer, MANAGER_MESSAGE_BYTES_MAX);
    assert_int_equal(manager_message_encode(message, &writer, NULL), 0);
    void *socket = zsock_resolve(stage->router);
    assert_true(zmq_send(socket, "stage", 5, ZMQ_SNDMORE) == 5);
    assert_true(zmq_send(socket, writer.buffer.data, writer.buffer.length, 0) >= 0);
    mp_writer_deinit(&writer);
}

static void give_role(struct stage *stage, uint64_t term)
{
    struct manager_message message = {
        .kind = MANAGER_ROLE,
        .as.role = {.active = true, .term = term, .deadline_ms = clock_boot_ms() + PATIENCE_MS}};
    node_says(stage, &message);
}

static struct manager_intent answer_of(enum manager_intent_step step, uint64_t term,
                                       uint64_t ticket)
{
    struct manager_intent answer = {.step = step,
                                    .term = term,
                                    .deadline_ms = clock_boot_ms() + PATIENCE_MS,
                                    .ticket = ticket,
                                    .policy = MANAGER_INTENT_RETRY};
    (void)snprintf(answer.key, sizeof answer.key, "%s", KEY);
    (void)snprintf(answer.object, sizeof answer.object, "%s", OBJECT);
    return answer;
}

static void say_answer(struct stage *stage, struct manager_intent answer)
{
    struct manager_message message = {.kind = MANAGER_INTENT, .as.intent = answer};
    node_says(stage, &message);
}

static void say_step(struct stage *stage, enum manager_intent_step step, uint64_t ticket)
{
    say_answer(stage, answer_of(step, 3, ticket));
}

/* ---- the loop ---- */

static void on_look(void *context)
{
    struct stage *stage = context;
    drain(stage);
    stage->met = stage->condition(stage);
    if (stage->met || clock_boot_ms() > stage->give_up_ms) {
        runtime_end(stage->runtime, 0);
    }
}

static void run_for(struct stage *stage, bool (*condition)(struct stage *stage), int64_t limit_ms)
{
    stage->condition = condition;
    stage->give_up_ms = clock_boot_ms() + limit_ms;
    stage->met = false;
    stage->runtime->ended = false;
    int timer = runtime_timer(stage->runtime, 2, true, on_look, stage);
    while (!stage->runtime->ended) {
        (void)zloop_start(stage->runtime->loop);
    }
    runtime_timer_cancel(stage->runtime, timer);
    if (!stage->met && clock_boot_ms() <= stage->give_up_ms) {
        fail_msg("the manager ended by itself");
    }
}

static void run_until(struct stage *stage, bool (*condition)(struct stage *stage), const char *what)
{
    run_for(stage, condition, PATIENCE_MS);
    if (!stage->met) {
        fail_msg("never came true: %s", what);
    }
}

#define RUN_UNTIL(stage, condition) run_until(stage, condition, #condition)

static bool is_active(struct stage *stage)
{
    return runtime_may_act(stage->runtime);
}

static bool is_standby(struct stage *stage)
{
    return !runtime_active(stage->runtime) && stage->acks > 0;
}

static bool is_paused(struct stage *stage)
{
    return runtime_paused(stage->runtime);
}

static bool has_wanted(struct stage *stage)
{
    return stage->wants > 0;
}

static bool has_wanted_again(struct stage *stage)
{
    return stage->wants >= 2;
}

static bool was_asked(struct stage *stage)
{
    return stage->verifications > 0;
}

static bool has_verified(struct stage *stage)
{
    return stage->verifieds > 0;
}

static bool was_told_to_perform(struct stage *stage)
{
    return stage->performances > 0;
}

static bool has_told_twice(struct stage *stage)
{
    return stage->performeds >= 2;
}

static bool has_told(struct stage *stage)
{
    return stage->performeds > 0;
}

static bool was_closed(struct stage *stage)
{
    return stage->closings > 0;
}

static bool never(struct stage *stage)
{
    (void)stage;
    return false;
}

/* ---- life ---- */

static void set_environment(const struct stage *stage)
{
    char endpoint[128];
    char parent[32];
    (void)snprintf(endpoint, sizeof endpoint, "ipc://%s/managers.sock", stage->folder);
    (void)snprintf(parent, sizeof parent, "%d", (int)getppid());
    assert_int_equal(setenv(RUNTIME_ENV_ENDPOINT, endpoint, 1), 0);
    assert_int_equal(setenv(RUNTIME_ENV_IDENTITY, "stage", 1), 0);
    assert_int_equal(setenv(RUNTIME_ENV_PARENT, parent, 1), 0);
}

static bool is_configured(struct stage *stage)
{
    return stage->runtime->configured;
}

static int set_up(void **state)
{
    struct stage *stage = calloc(1, sizeof *stage);
    assert_non_null(stage);
    (void)snprintf(stage->folder, sizeof stage->folder, "/tmp/test-intent-XXXXXX");
    assert_non_null(mkdtemp(stage->folder));
    assert_int_equal(pipe(stage->input), 0);
    assert_int_equal(dup2(stage->input[0], STDIN_FILENO), STDIN_FILENO);
    set_environment(stage);
    zsys_handler_set(NULL);
    stage->router = zsock_new(ZMQ_ROUTER);
    assert_non_null(stage->router);
    zsock_set_linger(stage->router, 0);
    zsock_set_router_mandatory(stage->router, 1);
    assert_int_equal(zsock_bind(stage->router, "%s", getenv(RUNTIME_ENV_ENDPOINT)), 0);
    struct err err = {0};
    if (runtime_create("stage", "1", &callbacks, stage, &stage->runtime, &err) != 0) {
        fail_msg("%s", err.msg);
    }
    runtime_take_intents(stage->runtime, &intent_callbacks);
    /* The router knows the manager from its first message on. */
    runtime_event(stage->runtime, MANAGER_INFO, "stage.here", NULL, "it is here");
    char identity[64];
    static uint8_t bytes[4096];
    assert_true(zmq_recv(zsock_resolve(stage->router), identity, sizeof identity, 0) == 5);
    assert_true(zmq_recv(zsock_resolve(stage->router), bytes, sizeof bytes, 0) > 0);
    struct manager_message message = {.kind = MANAGER_CONFIGURE};
    node_says(stage, &message);
    RUN_UNTIL(stage, is_configured);
    give_role(stage, 3);
    RUN_UNTIL(stage, is_active);
    *state = stage;
    return 0;
}

static int tear_down(void **state)
{
    struct stage *stage = *state;
    runtime_destroy(&stage->runtime);
    zsock_destroy(&stage->router);
    (void)close(stage->input[0]);
    (void)close(stage->input[1]);
    folder_remove(stage->folder);
    free(stage);
    return 0;
}

static void wish(struct stage *stage)
{
    struct runtime_intent intent = {
        .key = KEY, .object = OBJECT, .policy = MANAGER_INTENT_PARK, .keep_ms = 5000};
    struct err err = {0};
    if (runtime_intent(stage->runtime, &intent, &err) != 0) {
        fail_msg("%s", err.msg);
    }
}

/* ---- the tests ---- */

static void a_wish_is_repeated_until_it_is_closed(void **state)
{
    struct stage *stage = *state;
    wish(stage);
    RUN_UNTIL(stage, has_wanted_again);
    assert_string_equal(stage->wanted.key, KEY);
    assert_string_equal(stage->wanted.object, OBJECT);
    assert_int_equal(stage->wanted.policy, MANAGER_INTENT_PARK);
    assert_int_equal(stage->wanted.keep_ms, 5000);
    assert_int_equal(stage->wanted.term, 3);
    assert_true(stage->wanted.ticket > 0);
    say_step(stage, MANAGER_INTENT_STEP_CLOSED, stage->wanted.ticket);
    RUN_UNTIL(stage, was_closed);
    run_for(stage, never, SOON_MS); /* what was on its way before */
    int wants = stage->wants;
    run_for(stage, never, 3 * RUNTIME_INTENT_REPEAT_MS);
    assert_int_equal(stage->wants, wants);
}

static void an_effect_is_performed_once_and_told_until_it_is_closed(void **state)
{
    struct stage *stage = *state;
    stage->answers_at_once = true;
    wish(stage);
    RUN_UNTIL(stage, has_wanted);
    uint64_t ticket = stage->wanted.ticket;
    say_step(stage, MANAGER_INTENT_STEP_PERFORM, ticket);
    say_step(stage, MANAGER_INTENT_STEP_PERFORM, ticket); /* twice on its way */
    RUN_UNTIL(stage, has_told_twice);
    assert_int_equal(stage->performances, 1);
    assert_string_equal(stage->called.key, KEY);
    assert_int_equal(stage->performed.ticket, ticket);
    assert_int_equal(stage->performed.term, 3);
    assert_int_equal(stage->performed.verdict, MANAGER_INTENT_HAPPENED);
    assert_string_equal(stage->performed.outcome, "run 17");
    assert_false(stage->performed.answer_lost);
    say_step(stage, MANAGER_INTENT_STEP_CLOSED, ticket);
    RUN_UNTIL(stage, was_closed);
}

static void a_step_for_another_ticket_or_term_or_too_late_begins_nothing(void **state)
{
    struct stage *stage = *state;
    wish(stage);
    RUN_UNTIL(stage, has_wanted);
    uint64_t ticket = stage->wanted.ticket;
    say_step(stage, MANAGER_INTENT_STEP_PERFORM, ticket + 1);
    say_answer(stage, answer_of(MANAGER_INTENT_STEP_PERFORM, 2, ticket));
    struct manager_intent late = answer_of(MANAGER_INTENT_STEP_PERFORM, 3, ticket);
    late.deadline_ms = clock_boot_ms() - 1;
    say_answer(stage, late);
    run_for(stage, never, SOON_MS);
    assert_int_equal(stage->performances, 0);
    assert_int_equal(stage->wanted.ticket, ticket); /* so the node knows that nothing was begun */
    say_step(stage, MANAGER_INTENT_STEP_PERFORM, ticket);
    RUN_UNTIL(stage, was_told_to_perform);
}

static void a_paused_manager_begins_nothing(void **state)
{
    struct stage *stage = *state;
    wish(stage);
    RUN_UNTIL(stage, has_wanted);
    struct manager_message message = {.kind = MANAGER_PAUSE};
    node_says(stage, &message);
    say_step(stage, MANAGER_INTENT_STEP_PERFORM, stage->wanted.ticket);
    RUN_UNTIL(stage, is_paused);
    run_for(stage, never, SOON_MS);
    assert_int_equal(stage->performances, 0);
    struct runtime_intent other = {.key = "stage/other", .object = OBJECT};
    assert_int_equal(runtime_intent(stage->runtime, &other, NULL), ERR_DENIED);
}

static void what_was_verified_is_wanted_under_a_new_ticket(void **state)
{
    struct stage *stage = *state;
    wish(stage);
    RUN_UNTIL(stage, has_wanted);
    uint64_t ticket = stage->wanted.ticket;
    say_step(stage, MANAGER_INTENT_STEP_VERIFY, ticket);
    RUN_UNTIL(stage, was_asked);
    say_step(stage, MANAGER_INTENT_STEP_PERFORM, ticket); /* it is asking: not now */
    run_for(stage, never, SOON_MS);
    assert_int_equal(stage->performances, 0);
    stage->wants = 0;
    runtime_intent_verified(stage->runtime, stage->number, MANAGER_INTENT_IT_DID_NOT, "no run");
    runtime_intent_verified(stage->runtime, stage->number, MANAGER_INTENT_IT_HAPPENED, "late");
    RUN_UNTIL(stage, has_wanted);
    assert_int_equal(stage->verifieds, 1);
    assert_int_equal(stage->verified.ticket, ticket);
    assert_int_equal(stage->verified.evidence, MANAGER_INTENT_IT_DID_NOT);
    assert_string_equal(stage->verified.detail, "no run");
    assert_true(stage->wanted.ticket > ticket);
}

static void who_cannot_be_asked_is_asked_later(void **state)
{
    struct stage *stage = *state;
    wish(stage);
    RUN_UNTIL(stage, has_wanted);
    say_step(stage, MANAGER_INTENT_STEP_VERIFY, stage->wanted.ticket);
    RUN_UNTIL(stage, was_asked);
    int64_t asked_ms = clock_boot_ms();
    runtime_intent_verified(stage->runtime, stage->number, MANAGER_INTENT_ASK_LATER, "down");
    RUN_UNTIL(stage, has_verified);
    stage->wants = 0;
    RUN_UNTIL(stage, has_wanted);
    assert_true(clock_boot_ms() - asked_ms >= RUNTIME_INTENT_LATER_MS);
}

static void a_lost_answer_is_told_as_lost(void **state)
{
    struct stage *stage = *state;
    wish(stage);
    RUN_UNTIL(stage, has_wanted);
    uint64_t ticket = stage->wanted.ticket;
    say_step(stage, MANAGER_INTENT_STEP_PERFORM, ticket);
    RUN_UNTIL(stage, was_told_to_perform);
    assert_true(runtime_intent_may(stage->runtime, stage->number));
    stage->wants = 0;
    runtime_intent_lost(stage->runtime, stage->number);
    assert_false(runtime_intent_may(stage->runtime, stage->number));
    RUN_UNTIL(stage, has_told);
    RUN_UNTIL(stage, has_wanted);
    assert_true(stage->performed.answer_lost);
    assert_int_equal(stage->performed.ticket, ticket);
    assert_true(stage->wanted.ticket > ticket);
}

static void an_effect_that_is_under_way_is_not_closed(void **state)
{
    struct stage *stage = *state;
    wish(stage);
    RUN_UNTIL(stage, has_wanted);
    uint64_t ticket = stage->wanted.ticket;
    say_step(stage, MANAGER_INTENT_STEP_PERFORM, ticket);
    say_step(stage, MANAGER_INTENT_STEP_CLOSED, ticket);
    run_for(stage, never, SOON_MS);
    assert_int_equal(stage->performances, 1);
    assert_int_equal(stage->closings, 0);
    runtime_intent_performed(stage->runtime, stage->number, MANAGER_INTENT_REFUSED, "no");
    RUN_UNTIL(stage, has_told);
    assert_int_equal(stage->performed.verdict, MANAGER_INTENT_REFUSED);
}

static void what_was_left_open_is_adopted(void **state)
{
    struct stage *stage = *state;
    stage->answers_at_once = true;
    say_step(stage, MANAGER_INTENT_STEP_LEFT_OPEN, 0);
    RUN_UNTIL(stage, has_wanted);
    assert_string_equal(stage->wanted.key, KEY);
    assert_int_equal(stage->wanted.policy, MANAGER_INTENT_RETRY);
    say_step(stage, MANAGER_INTENT_STEP_VERIFY, stage->wanted.ticket);
    RUN_UNTIL(stage, has_verified);
    assert_string_equal(stage->called.object, OBJECT);
    assert_int_equal(stage->verified.evidence, MANAGER_INTENT_IT_HAPPENED);
}

static void everything_is_forgotten_with_the_role(void **state)
{
    struct stage *stage = *state;
    wish(stage);
    RUN_UNTIL(stage, has_wanted);
    uint64_t ticket = stage->wanted.ticket;
    say_step(stage, MANAGER_INTENT_STEP_PERFORM, ticket);
    RUN_UNTIL(stage, was_told_to_perform);
    struct manager_message message = {.kind = MANAGER_ROLE, .as.role = {.term = 3}};
    node_says(stage, &message);
    RUN_UNTIL(stage, is_standby);
    assert_false(runtime_intent_may(stage->runtime, stage->number));
    give_role(stage, 3);
    RUN_UNTIL(stage, is_active);
    runtime_intent_performed(stage->runtime, stage->number, MANAGER_INTENT_HAPPENED, "late");
    stage->wants = 0;
    run_for(stage, never, SOON_MS);
    assert_int_equal(stage->wants, 0);
    assert_int_equal(stage->performeds, 0);
    wish(stage);
    RUN_UNTIL(stage, has_wanted);
    assert_true(stage->wanted.ticket > ticket);
}

static void a_wish_must_be_one(void **state)
{
    struct stage *stage = *state;
    struct runtime_intent intent = {.key = "other/effect", .object = OBJECT};
    assert_int_equal(runtime_intent(stage->runtime, &intent, NULL), ERR_INVALID);
    intent = (struct runtime_intent){.key = "stage/", .object = OBJECT};
    assert_int_equal(runtime_intent(stage->runtime, &intent, NULL), ERR_INVALID);
    intent = (struct runtime_intent){.key = "stage/effect"};
    assert_int_equal(runtime_intent(stage->runtime, &intent, NULL), ERR_INVALID);
    for (int i = 0; i < RUNTIME_INTENTS_MAX; i++) {
        intent = (struct runtime_intent){.object = OBJECT};
        (void)snprintf(intent.key, sizeof intent.key, "stage/%d", i);
        assert_int_equal(runtime_intent(stage->runtime, &intent, NULL), 0);
        assert_int_equal(runtime_intent(stage->runtime, &intent, NULL), 0);
    }
    intent = (struct runtime_intent){.key = KEY, .object = OBJECT};
    assert_int_equal(runtime_intent(stage->runtime, &intent, NULL), ERR_FULL);
}

#define ON_STAGE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_STAGE(a_wish_is_repeated_until_it_is_closed),
        ON_STAGE(an_effect_is_performed_once_and_told_until_it_is_closed),
        ON_STAGE(a_step_for_another_ticket_or_term_or_too_late_begins_nothing),
        ON_STAGE(a_paused_manager_begins_nothing),
        ON_STAGE(what_was_verified_is_wanted_under_a_new_ticket),
        ON_STAGE(who_cannot_be_asked_is_asked_later),
        ON_STAGE(a_lost_answer_is_told_as_lost),
        ON_STAGE(an_effect_that_is_under_way_is_not_closed),
        ON_STAGE(what_was_left_open_is_adopted),
        ON_STAGE(everything_is_forgotten_with_the_role),
        ON_STAGE(a_wish_must_be_one),
    };
    return cmocka_run_group_tests_name("runtime_intent", tests, NULL, NULL);
}
