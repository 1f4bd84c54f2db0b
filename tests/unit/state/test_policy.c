#include "consensus/policy.h"
#include "node/base/rng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static struct policy_node node_of(uint64_t id, double score)
{
    return (struct policy_node){.id = id,
                                .alive = true,
                                .caught_up = true,
                                .score_known = true,
                                .score = score,
                                .capabilities = 3};
}

/* Leader 1 with `score`, voters 2 and 3 as given; led for an hour. */
static struct policy_input input_of(double score, double second, double third)
{
    struct policy_input input = {.now_ms = 3600000, .acting = true, .voter_count = 2};
    input.self = node_of(1, score);
    input.voters[0] = node_of(2, second);
    input.voters[1] = node_of(3, third);
    return input;
}

/* Decide at the input's time and again after the hold. */
static struct policy_decision held(struct policy_input input)
{
    struct policy policy;
    policy_init(&policy, NULL);
    struct policy_decision decision;
    policy_decide(&policy, &input, &decision);
    if (decision.hand_over) {
        return decision;
    }
    input.now_ms += policy_config_default.hold_ms;
    policy_decide(&policy, &input, &decision);
    assert_true(decision.text[0] != '\0');
    return decision;
}

static void leadership_goes_to_the_better_voter(void **unused)
{
    (void)unused;
    const struct {
        double self, second, third;
        uint64_t target; /* 0: stays */
    } table[] = {
        {79.9, 90, 95, 3},   {79.9, 95, 90, 2}, {79.9, 95, 95, 2}, {80.0, 100, 100, 0},
        {79.0, 88, 88.9, 0}, {79.0, 89, 88, 2}, {50, 50, 50, 0},   {10, 10, 15, 0},
        {10, 19.9, 5, 0},    {10, 20, 5, 2},    {0, 0, 0, 0},      {100, 100, 100, 0},
    };
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        struct policy_decision decision =
            held(input_of(table[i].self, table[i].second, table[i].third));
        if (decision.target != table[i].target || decision.hand_over != (table[i].target != 0)) {
            fail_msg("row %zu: target %d", i, (int)decision.target);
        }
        if (decision.hand_over) {
            assert_int_equal(decision.cause, CONSENSUS_CAUSE_HEALTH);
        }
    }
}

static void only_a_fit_voter_is_a_target(void **unused)
{
    (void)unused;
    for (int fault = 0; fault < 7; fault++) {
        struct policy_input input = input_of(20, 99, 60);
        struct policy_node *best = &input.voters[0];
        best->alive = fault != 0;
        best->caught_up = fault != 1;
        best->draining = fault == 2;
        best->witness = fault == 3;
        best->score_known = fault != 4; /* no move to an unknown */
        best->capabilities = fault == 5 ? 2 : 3;
        assert_int_equal(held(input).target, fault == 6 ? 2 : 3);
    }
    struct policy_input nobody = input_of(20, 99, 99);
    nobody.voters[0].score_known = false;
    nobody.voters[1].score_known = false;
    assert_false(held(nobody).hand_over);
    struct policy_input unknown = input_of(20, 99, 60);
    unknown.self.score_known = false; /* unknown is not ill */
    assert_false(held(unknown).hand_over);
    struct policy_input follower = input_of(20, 99, 60);
    follower.acting = false;
    assert_false(held(follower).hand_over);
}

static void the_condition_must_hold_without_a_break(void **unused)
{
    (void)unused;
    struct policy policy;
    policy_init(&policy, NULL);
    struct policy_input input = input_of(50, 99, 99);
    struct policy_decision decision;
    int64_t begin_ms = input.now_ms;
    for (int64_t at_ms = 0; at_ms < 20000; at_ms += 100) {
        input.now_ms = begin_ms + at_ms;
        input.self.score = at_ms % 2500 == 0 ? 85 : 50; /* well for a moment every 2.5 s */
        policy_decide(&policy, &input, &decision);
        assert_false(decision.hand_over);
    }
    input.self.score = 50;
    int64_t ill_ms = begin_ms + 17600; /* ill without a break since */
    for (input.now_ms = begin_ms + 20000; input.now_ms < ill_ms + 2999; input.now_ms += 100) {
        policy_decide(&policy, &input, &decision);
        assert_false(decision.hand_over);
    }
    input.now_ms = ill_ms + 3000;
    policy_decide(&policy, &input, &decision);
    assert_true(decision.hand_over);
}

static void a_young_leader_stays(void **unused)
{
    (void)unused;
    struct policy policy;
    policy_init(&policy, NULL);
    struct policy_input input = input_of(10, 99, 99);
    input.acting_since_ms = input.now_ms - 1000;
    struct policy_decision decision;
    for (int64_t left_ms = 29000; left_ms > 0; left_ms -= 100) {
        policy_decide(&policy, &input, &decision);
        assert_false(decision.hand_over);
        input.now_ms += 100;
    }
    policy_decide(&policy, &input, &decision);
    assert_true(decision.hand_over);
}

static void the_pause_grows_and_shrinks_again(void **unused)
{
    (void)unused;
    struct policy policy;
    policy_init(&policy, NULL);
    assert_int_equal(policy_pause_ms(&policy), 0);
    const int64_t expected[] = {30000, 60000, 120000, 240000, 480000, 900000, 900000};
    for (size_t i = 0; i < 7; i++) {
        policy_note_move(&policy, 1000);
        assert_int_equal(policy_pause_ms(&policy), expected[i]);
    }
    struct policy_input input = input_of(10, 99, 99);
    struct policy_decision decision;
    input.now_ms = 1000 + 899999;
    policy_decide(&policy, &input, &decision);
    assert_false(decision.hand_over);
    input.now_ms = 1000 + INT64_C(3) * 600000 - 1;
    policy_decide(&policy, &input, &decision);
    assert_int_equal(policy.moves, 5);
    input.now_ms = 1000 + INT64_C(30) * 600000;
    policy_decide(&policy, &input, &decision);
    assert_int_equal(policy_pause_ms(&policy), 0);
}

static void capability_goes_before_score(void **unused)
{
    (void)unused;
    const struct {
        double self, second;
        uint32_t self_can, second_can;
        uint64_t target;
    } table[] = {
        {100, 100, 2, 3, 2}, {100, 85, 2, 3, 2}, {100, 70, 2, 3, 0},
        {60, 70, 2, 3, 2},   {10, 99, 3, 2, 0}, /* well, but it cannot do the work */
        {100, 100, 0, 0, 0},                    /* all share the outage */
    };
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        struct policy_input input = input_of(table[i].self, table[i].second, 0);
        input.voter_count = 1;
        input.self.capabilities = table[i].self_can;
        input.voters[0].capabilities = table[i].second_can;
        if (held(input).target != table[i].target) {
            fail_msg("row %zu", i);
        }
    }
}

/* The leader's three managers and a voter's, in percent. */
static void who_can_do_most_leads(void **unused)
{
    (void)unused;
    const struct {
        int self[3], second[3];
        uint64_t target;
    } table[] = {
        {{100, 100, 100}, {100, 100, 100}, 0},
        {{100, 0, 100}, {100, 100, 100}, 2},  /* its provider is out of reach here alone */
        {{100, 0, 100}, {100, 0, 100}, 0},    /* for all: nothing moves */
        {{0, 0, 0}, {0, 0, 0}, 0},            /* all of it, for all */
        {{0, 100, 100}, {100, 0, 100}, 0},    /* another one's is no cure */
        {{100, 20, 100}, {100, 60, 100}, 2},  /* some of it, most of it */
        {{100, 60, 100}, {100, 95, 100}, 0},  /* not for a few percent */
        {{100, -1, 100}, {100, 100, 100}, 2}, /* unknown is not able */
        {{100, 100, 100}, {100, -1, 100}, 0},
    };
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        struct policy_input input = input_of(95, 95, 0);
        input.voter_count = 1;
        input.self.capabilities = 0;
        input.voters[0].capabilities = 0;
        for (size_t j = 0; j < 3; j++) {
            input.self.capabilities += policy_capability(table[i].self[j]);
            input.voters[0].capabilities += policy_capability(table[i].second[j]);
        }
        struct policy_decision decision = held(input);
        if (decision.target != table[i].target) {
            fail_msg("row %zu: %s", i, decision.text);
        }
    }
}

/* Leader 1 with trouble of its own for longer than the hold, led for `tenure_ms`. */
static struct policy_decision grayed(uint32_t self, uint32_t second, uint32_t third,
                                     int64_t tenure_ms)
{
    struct policy_input input = input_of(90, 90, 95);
    input.acting_since_ms = input.now_ms - tenure_ms;
    input.self.gray = self;
    input.voters[0].gray = second;
    input.voters[1].gray = third;
    struct policy policy;
    policy_init(&policy, NULL);
    policy_note_move(&policy, input.now_ms - 1); /* no pause holds it up */
    struct policy_decision decision;
    policy_decide(&policy, &input, &decision);
    assert_false(decision.hand_over); /* held first */
    input.now_ms += policy_config_default.gray_hold_ms;
    policy_decide(&policy, &input, &decision);
    return decision;
}

static void a_gray_leader_goes_at_once(void **unused)
{
    (void)unused;
    const struct {
        uint32_t self, second, third;
        uint64_t target; /* 0: stays */
    } table[] = {
        {0, 0, 0, 0}, {1, 0, 0, 3}, {1, 0, 1, 2}, {1, 1, 1, 0}, /* all share it */
        {1, 2, 2, 0},                                           /* another trouble is no cure */
        {3, 1, 3, 2},                                           /* less of the same is */
        {3, 7, 3, 0}, {0, 1, 1, 0},
    };
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        struct policy_decision decision = grayed(table[i].self, table[i].second, table[i].third, 0);
        if (decision.target != table[i].target || decision.hand_over != (table[i].target != 0)) {
            fail_msg("row %zu: %s", i, decision.text);
        }
        assert_true(!decision.hand_over || decision.cause == CONSENSUS_CAUSE_GRAY);
    }
}

static void gray_trouble_must_last(void **unused)
{
    (void)unused;
    struct policy policy;
    policy_init(&policy, NULL);
    struct policy_decision decision;
    struct policy_input input = input_of(90, 90, 95);
    for (int i = 0; i < 100; i++) {
        input.now_ms += 100;
        input.self.gray = i % 10 == 0 ? 0 : 4; /* every second for a moment without */
        policy_decide(&policy, &input, &decision);
        assert_false(decision.hand_over);
    }
    input.voters[0].score_known = false;
    input.voters[1].caught_up = false; /* nobody to go to */
    for (int i = 0; i < 100; i++) {
        input.now_ms += 100;
        input.self.gray = 4;
        policy_decide(&policy, &input, &decision);
        assert_false(decision.hand_over);
    }
}

static void a_drain_overrides_all_but_fitness(void **unused)
{
    (void)unused;
    struct policy policy;
    policy_init(&policy, NULL);
    policy_note_move(&policy, 0);
    struct policy_input input = input_of(100, 30, 20);
    input.now_ms = 10;
    input.acting_since_ms = 9;
    input.draining = true;
    struct policy_decision decision;
    policy_decide(&policy, &input, &decision);
    assert_true(decision.hand_over);
    assert_int_equal(decision.target, 2);
    assert_int_equal(decision.cause, CONSENSUS_CAUSE_DRAIN);
    input.voters[0].score_known = false;
    policy_decide(&policy, &input, &decision);
    assert_int_equal(decision.target, 3); /* a known one first */
    input.voters[1].caught_up = false;
    policy_decide(&policy, &input, &decision);
    assert_int_equal(decision.target, 2); /* but better an unknown one than none */
    input.voters[0].draining = true;
    policy_decide(&policy, &input, &decision);
    assert_false(decision.hand_over);
    assert_non_null(strstr(decision.text, "no other voter"));
}

/* Three nodes, scores that are noise around the same value near the threshold: each leader asks
 * its own policy, all of them note the moves. L3: leadership rests. */
static int moves_under_noise(uint64_t seed, double mean, double spread)
{
    struct rng rng;
    rng_init(&rng, seed);
    struct policy policies[3];
    for (int i = 0; i < 3; i++) {
        policy_init(&policies[i], NULL);
    }
    size_t leader = 0;
    int moves = 0;
    int64_t since_ms = 0;
    for (int64_t now_ms = 0; now_ms < INT64_C(4) * 3600000; now_ms += 500) {
        double scores[3];
        for (int i = 0; i < 3; i++) {
            scores[i] = mean + spread * ((double)rng_below(&rng, 2001) - 1000.0) / 1000.0;
        }
        size_t second = (leader + 1) % 3;
        size_t third = (leader + 2) % 3;
        struct policy_input input = input_of(scores[leader], scores[second], scores[third]);
        input.self.id = leader + 1;
        input.voters[0].id = second + 1;
        input.voters[1].id = third + 1;
        input.now_ms = now_ms;
        input.acting_since_ms = since_ms;
        struct policy_decision decision;
        policy_decide(&policies[leader], &input, &decision);
        if (decision.hand_over) {
            moves++;
            leader = decision.target - 1;
            since_ms = now_ms;
            for (int i = 0; i < 3; i++) {
                policy_note_move(&policies[i], now_ms);
            }
        }
    }
    return moves;
}

/* Between this and due nothing is decided, at due it is. */
static void expect_move_at(struct policy *policy, struct policy_input input, int64_t due_ms)
{
    struct policy_decision decision;
    policy_decide(policy, &input, &decision);
    assert_false(decision.hand_over);
    assert_int_equal(policy_due_ms(policy, input.acting_since_ms), due_ms);
    input.now_ms = due_ms - 1;
    policy_decide(policy, &input, &decision);
    assert_false(decision.hand_over);
    input.now_ms = due_ms;
    policy_decide(policy, &input, &decision);
    assert_true(decision.hand_over);
}

static void the_time_of_a_move_is_known_before(void **unused)
{
    (void)unused;
    struct policy policy;
    struct policy_decision decision;
    policy_init(&policy, NULL);
    struct policy_input input = input_of(90, 90, 95);
    policy_decide(&policy, &input, &decision);
    assert_int_equal(policy_due_ms(&policy, input.acting_since_ms), INT64_MAX);

    struct policy_input ill = input_of(50, 90, 95);
    expect_move_at(&policy, ill, ill.now_ms + policy_config_default.hold_ms);

    policy_init(&policy, NULL);
    ill.acting_since_ms = ill.now_ms;
    expect_move_at(&policy, ill, ill.now_ms + policy_config_default.min_tenure_ms);

    policy_init(&policy, NULL);
    policy_note_move(&policy, ill.now_ms - 10);
    ill.acting_since_ms = 0;
    expect_move_at(&policy, ill, ill.now_ms - 10 + policy_pause_ms(&policy));

    policy_init(&policy, NULL);
    struct policy_input gray = input_of(90, 90, 90);
    gray.self.gray = 1;
    expect_move_at(&policy, gray, gray.now_ms + policy_config_default.gray_hold_ms);
}

static void noise_does_not_move_leadership(void **unused)
{
    (void)unused;
    for (uint64_t seed = 1; seed <= 10; seed++) {
        assert_int_equal(moves_under_noise(seed, 80, 4.9), 0); /* within the margin: never */
        assert_int_equal(moves_under_noise(seed, 60, 8), 0);
        /* wild: 4 hours of it; the growing pause bounds the moves */
        assert_true(moves_under_noise(seed, 50, 50) <= 4 * 6 + 6);
    }
    assert_true(moves_under_noise(1, 50, 50) > 0); /* the noise is wild enough to matter */
}

static void the_best_is_known_to_others_too(void **unused)
{
    (void)unused;
    struct policy_input input = input_of(1, 2, 3);
    assert_int_equal(policy_best(&input), 3);
    input.voters[1].caught_up = false;
    assert_int_equal(policy_best(&input), 2);
    input.voter_count = 0;
    assert_int_equal(policy_best(&input), 0);
}

static void in_a_young_term_a_live_voter_will_do(void **unused)
{
    (void)unused;
    struct policy_input input = input_of(1, 2, 3);
    assert_int_equal(policy_best_known(&input), 3); /* the best of those that have caught up */
    input.voters[0].caught_up = false;
    input.voters[1].caught_up = false;
    assert_int_equal(policy_best_known(&input), 2);
    input.voters[0].draining = true;
    assert_int_equal(policy_best_known(&input), 3);
    input.voters[1].witness = true;
    assert_int_equal(policy_best_known(&input), 0);
}

static void caught_up_is_close_and_heard_of(void **unused)
{
    (void)unused;
    struct consensus_view view = {.last_index = 1000};
    view.match_index[2] = 936;
    view.last_contact_ms[2] = 450;
    assert_true(policy_caught_up(&view, 2, 450));
    assert_false(policy_caught_up(&view, 2, 449));
    view.last_contact_ms[2] = -1; /* never */
    assert_false(policy_caught_up(&view, 2, 450));
    view.last_contact_ms[2] = 0;
    view.match_index[2] = 935;
    assert_false(policy_caught_up(&view, 2, 450));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(leadership_goes_to_the_better_voter),
        cmocka_unit_test(only_a_fit_voter_is_a_target),
        cmocka_unit_test(the_condition_must_hold_without_a_break),
        cmocka_unit_test(a_young_leader_stays),
        cmocka_unit_test(the_pause_grows_and_shrinks_again),
        cmocka_unit_test(capability_goes_before_score),
        cmocka_unit_test(who_can_do_most_leads),
        cmocka_unit_test(a_gray_leader_goes_at_once),
        cmocka_unit_test(gray_trouble_must_last),
        cmocka_unit_test(a_drain_overrides_all_but_fitness),
        cmocka_unit_test(the_time_of_a_move_is_known_before),
        cmocka_unit_test(noise_does_not_move_leadership),
        cmocka_unit_test(the_best_is_known_to_others_too),
        cmocka_unit_test(in_a_young_term_a_live_voter_will_do),
        cmocka_unit_test(caught_up_is_close_and_heard_of),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
