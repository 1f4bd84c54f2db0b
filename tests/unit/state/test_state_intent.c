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

static const struct state_intent *row(const struct state *state)
{
    return state_intent_by_key(state, "k");
}

static void a_key_is_opened_once(void **context)
{
    struct state *state = *context;
    apply_ok(state, intent_open("k", "ci.yml", INTENT_RETRY));
    assert_int_equal(row(state)->state, INTENT_OPEN);
    assert_int_equal(row(state)->attempt, 1);
    assert_int_equal(row(state)->term, TERM);
    assert_int_equal(row(state)->opened_index, state_index(state));
    assert_int_equal(row(state)->policy, INTENT_RETRY);
    assert_string_equal(row(state)->manager, "github");
    apply_refused(state, intent_open("k", "ci.yml", INTENT_RETRY), ERR_EXISTS);
    apply_ok(state, intent_park("k"));
    apply_refused(state, intent_open("k", "other", INTENT_SKIP), ERR_EXISTS);
    apply_ok(state, intent_done("k", INTENT_HAPPENED));
    apply_refused(state, intent_open("k", "other", INTENT_SKIP), ERR_EXISTS);
    assert_string_equal(row(state)->object, "ci.yml");
}

static void what_is_done_stays_done(void **context)
{
    struct state *state = *context;
    apply_refused(state, intent_done("k", INTENT_HAPPENED), ERR_NOTFOUND);
    apply_ok(state, intent_open("k", "ci.yml", INTENT_SKIP));
    apply_ok(state, intent_done("k", INTENT_REFUSED));
    assert_int_equal(row(state)->state, INTENT_DONE);
    assert_int_equal(row(state)->verdict, INTENT_REFUSED);
    assert_true(row(state)->verified);
    assert_string_equal(row(state)->outcome, "workflow run 4711");
    apply_refused(state, intent_done("k", INTENT_HAPPENED), ERR_EXISTS);
    apply_refused(state, intent_park("k"), ERR_EXISTS);
    assert_int_equal(apply_in_term(state, intent_take("k"), TERM + 9).status, ERR_EXISTS);
    assert_int_equal(row(state)->verdict, INTENT_REFUSED);
}

/* The term that took an open intent may be performing it. */
static void an_open_intent_is_taken_by_a_later_term(void **context)
{
    struct state *state = *context;
    apply_refused(state, intent_take("k"), ERR_NOTFOUND);
    apply_ok(state, intent_open("k", "ci.yml", INTENT_RETRY));
    assert_int_equal(apply_in_term(state, intent_take("k"), TERM).status, ERR_EXISTS);
    assert_int_equal(apply_in_term(state, intent_take("k"), TERM + 2).outcome, STATE_APPLIED);
    assert_int_equal(row(state)->term, TERM + 2);
    assert_int_equal(row(state)->attempt, 2);
    assert_int_equal(apply_in_term(state, intent_take("k"), TERM + 2).status, ERR_EXISTS);
    assert_int_equal(apply_in_term(state, intent_take("k"), TERM + 1).status, ERR_EXISTS);
    assert_int_equal(row(state)->attempt, 2);
}

static void a_parked_intent_waits_for_a_person(void **context)
{
    struct state *state = *context;
    apply_refused(state, intent_park("k"), ERR_NOTFOUND);
    apply_ok(state, intent_open("k", "ci.yml", INTENT_PARK));
    apply_ok(state, intent_park("k"));
    assert_int_equal(row(state)->state, INTENT_PARKED);
    assert_string_equal(row(state)->outcome, "did the build run?");
    assert_int_equal(apply(state, intent_park("k")).outcome, STATE_UNCHANGED);
    apply_ok(state, intent_take("k")); /* in the same term: nobody performs a parked one */
    assert_int_equal(row(state)->state, INTENT_OPEN);
    assert_int_equal(row(state)->attempt, 2);
    assert_string_equal(row(state)->outcome, "");
    assert_int_equal(apply(state, intent_take("k")).status, ERR_EXISTS);
    apply_refused(state, intent_done("k", INTENT_DROPPED), ERR_UNSAFE); /* it may be under way */
    apply_ok(state, intent_park("k"));
    apply_ok(state, intent_done("k", INTENT_DROPPED)); /* or it is given up */
    assert_int_equal(row(state)->state, INTENT_DONE);
}

static void the_first_that_is_open_on_an_object_is_found(void **context)
{
    struct state *state = *context;
    apply_ok(state, intent_open("z", "ci.yml", INTENT_SKIP));
    apply_ok(state, intent_open("a", "ci.yml", INTENT_SKIP));
    apply_ok(state, intent_open("b", "other", INTENT_SKIP));
    assert_string_equal(state_intent_open_on(state, "github", "ci.yml")->key, "z");
    assert_null(state_intent_open_on(state, "git", "ci.yml"));
    apply_ok(state, intent_park("z"));
    assert_string_equal(state_intent_open_on(state, "github", "ci.yml")->key, "z");
    apply_ok(state, intent_done("z", INTENT_SKIPPED));
    assert_string_equal(state_intent_open_on(state, "github", "ci.yml")->key, "a");
    apply_ok(state, intent_done("a", INTENT_SKIPPED));
    assert_null(state_intent_open_on(state, "github", "ci.yml"));
    assert_int_equal(state_intent_count(state), 3);
    assert_string_equal(state_intent_at(state, 0)->key, "a");
    assert_string_equal(state_intent_at(state, 2)->key, "z");
    assert_null(state_intent_at(state, 3));
}

/* A key goes only when it is done, its time is over, and its row is needed. */
static void a_key_is_kept_as_long_as_promised(void **context)
{
    struct state *state = *context;
    char key[INTENT_KEY_SIZE];
    int64_t wall_ms = command_of(COMMAND_AUDIT_NOTE).wall_ms;
    for (unsigned i = 0; i < STATE_INTENTS_MAX; i++) {
        (void)snprintf(key, sizeof(key), "k%04u", (i * 1009u) % STATE_INTENTS_MAX);
        apply_ok(state, intent_open(key, "ci.yml", INTENT_SKIP));
    }
    struct command late = intent_open("late", "ci.yml", INTENT_SKIP);
    late.wall_ms = wall_ms + 1000;        /* the moment until which they are kept */
    apply_refused(state, late, ERR_FULL); /* all are open */
    struct command done = intent_done("k0500", INTENT_HAPPENED);
    done.wall_ms = wall_ms + 20;
    apply_ok(state, done);
    done = intent_done("k0700", INTENT_HAPPENED);
    done.wall_ms = wall_ms + 10;
    apply_ok(state, done);
    late.wall_ms = wall_ms + 999;
    apply_refused(state, late, ERR_FULL); /* the promise holds */
    late.wall_ms = wall_ms + 1000;
    apply_ok(state, late);
    assert_null(state_intent_by_key(state, "k0700")); /* changed longest ago */
    assert_non_null(state_intent_by_key(state, "k0500"));
    copy_text(late.intent_open.key, INTENT_KEY_SIZE, "later");
    apply_ok(state, late);
    assert_null(state_intent_by_key(state, "k0500"));
    copy_text(late.intent_open.key, INTENT_KEY_SIZE, "latest");
    apply_refused(state, late, ERR_FULL);
    assert_int_equal(state_intent_count(state), STATE_INTENTS_MAX);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_key_is_opened_once),
        TEST(what_is_done_stays_done),
        TEST(an_open_intent_is_taken_by_a_later_term),
        TEST(a_parked_intent_waits_for_a_person),
        TEST(the_first_that_is_open_on_an_object_is_found),
        TEST(a_key_is_kept_as_long_as_promised),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
