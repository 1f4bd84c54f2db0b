#include "consensus/evidence.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define LEADER 1
#define TERM 7
#define STEP 15

/* Five voters; this node is 2. Scores make the order 3, 2, 4, 5 (4 and 5 are unknown). */
static struct evidence *open_stage(void)
{
    const struct evidence_config config = {.id = 2, .incarnation = 1, .step_ms = STEP};
    struct evidence *self = evidence_create(&config);
    assert_non_null(self);
    const struct evidence_voter voters[] = {
        {.id = 1, .alive = true, .score_known = true, .score = 100.0},
        {.id = 2, .alive = true, .score_known = true, .score = 80.0},
        {.id = 3, .alive = true, .score_known = true, .score = 90.0},
        {.id = 5, .alive = true},
        {.id = 4, .alive = true},
    };
    evidence_voters(self, voters, 5);
    evidence_follow(self, 0, LEADER, TERM, true);
    return self;
}

/* Perform all that is due; remember what was asked for. */
struct asked {
    int probes, spreads, withdrawals, stands, proofs;
    struct evidence_action stand;
    struct evidence_action proof;
};

static struct asked drain(struct evidence *self, int64_t now_ms)
{
    struct asked asked = {0};
    struct evidence_action action;
    for (int i = 0; i < 50 && evidence_next(self, now_ms, &action); i++) {
        asked.probes += action.type == EVIDENCE_PROBE;
        asked.spreads += action.type == EVIDENCE_SPREAD && !action.message.withdrawn;
        asked.withdrawals += action.type == EVIDENCE_SPREAD && action.message.withdrawn;
        if (action.type == EVIDENCE_STAND) {
            asked.stands++;
            asked.stand = action;
        }
        if (action.type == EVIDENCE_PROOF) {
            asked.proofs++;
            asked.proof = action;
        }
    }
    assert_true(evidence_deadline_ms(self) > now_ms);
    return asked;
}

static struct evidence_message message_of(uint64_t leader, uint64_t term, uint64_t sequence)
{
    return (struct evidence_message){
        .leader = leader, .term = term, .incarnation = 1, .sequence = sequence};
}

static void tell(struct evidence *self, int64_t now_ms, uint64_t from, uint64_t sequence)
{
    struct evidence_message message = message_of(LEADER, TERM, sequence);
    evidence_receive(self, now_ms, from, &message);
}

static void a_lost_connection_is_probed_and_a_refusal_is_spread(void **unused)
{
    (void)unused;
    struct evidence *self = open_stage();
    assert_true(evidence_deadline_ms(self) == INT64_MAX);
    evidence_link_lost(self, 100, LEADER);
    struct asked asked = drain(self, 100);
    assert_int_equal(asked.probes, 1);
    assert_int_equal(asked.spreads, 0);
    evidence_probed(self, 101, LEADER, true);
    asked = drain(self, 101);
    assert_int_equal(asked.spreads, 1);
    assert_int_equal(asked.stands, 0); /* one of five is no majority */
    assert_int_equal(evidence_count(self), 1);
    assert_int_equal(evidence_majority(self), 3);
    assert_int_equal(drain(self, 101 + EVIDENCE_REPEAT_MS).spreads, 1); /* against loss */
    evidence_destroy(&self);
}

static void a_majority_stands_in_the_order_of_health(void **unused)
{
    (void)unused;
    struct evidence *self = open_stage();
    evidence_link_lost(self, 100, LEADER);
    evidence_probed(self, 101, LEADER, true);
    tell(self, 102, 3, 1);
    assert_int_equal(drain(self, 102).stands, 0);
    tell(self, 103, 4, 1);
    assert_int_equal(drain(self, 103).stands, 0); /* node 3 is healthier and goes first */
    assert_int_equal(evidence_deadline_ms(self), 103 + STEP);
    struct asked asked = drain(self, 103 + STEP);
    assert_int_equal(asked.stands, 1);
    assert_int_equal(asked.stand.leader, LEADER);
    assert_int_equal(asked.stand.term, TERM);
    assert_int_equal(asked.stand.first_sign_ms, 100);
    assert_false(asked.stand.proof);
    assert_int_equal(drain(self, 1000).stands, 0); /* once for a leader */
    evidence_destroy(&self);
}

static void the_order_is_by_score_then_unknown_then_id(void **unused)
{
    (void)unused;
    const struct {
        uint64_t id;
        int64_t rank;
    } table[] = {{3, 0}, {2, 1}, {4, 2}, {5, 3}};
    for (size_t i = 0; i < 4; i++) {
        struct evidence_config config = {.id = table[i].id, .incarnation = 1, .step_ms = STEP};
        struct evidence *self = evidence_create(&config);
        const struct evidence_voter voters[] = {
            {.id = 1, .alive = true, .score_known = true, .score = 100.0},
            {.id = 2, .alive = true, .score_known = true, .score = 80.0},
            {.id = 3, .alive = true, .score_known = true, .score = 90.0},
            {.id = 5, .alive = true},
            {.id = 4, .alive = true},
            {.id = 6, .alive = false, .score_known = true, .score = 99.0}, /* dead: no place */
        };
        evidence_voters(self, voters, 6);
        evidence_follow(self, 0, LEADER, TERM, true);
        const struct obituary obituary = {.raft_id = LEADER, .incarnation = 1, .term = TERM};
        evidence_obituary(self, 50, &obituary);
        while (evidence_deadline_ms(self) < 50 + table[i].rank * STEP) {
            assert_int_equal(drain(self, evidence_deadline_ms(self)).stands, 0);
        }
        struct asked asked = drain(self, 50 + table[i].rank * STEP);
        assert_int_equal(asked.stands, 1);
        assert_true(asked.stand.proof);
        evidence_destroy(&self);
    }
}

static void refusals_without_a_lost_connection_are_no_evidence(void **unused)
{
    (void)unused;
    struct evidence *self = open_stage();
    evidence_probed(self, 100, LEADER, true);
    tell(self, 101, 3, 1);
    tell(self, 101, 4, 1);
    assert_int_equal(evidence_count(self), 2);
    assert_int_equal(drain(self, 500).stands, 0); /* a majority must hold this node too */
    evidence_link_lost(self, 501, LEADER);        /* the connection had only not noticed yet */
    assert_int_equal(drain(self, 501 + STEP).stands, 1);
    evidence_destroy(&self);
}

static void a_peers_evidence_makes_this_node_probe(void **unused)
{
    (void)unused;
    struct evidence *self = open_stage();
    tell(self, 100, 3, 1);
    assert_int_equal(drain(self, 100).probes, 1);
    tell(self, 101, 3, 2);
    tell(self, 101, 4, 1);
    assert_int_equal(drain(self, 101).probes, 0); /* once */
    evidence_destroy(&self);
}

static void a_silent_probe_is_repeated_within_bounds(void **unused)
{
    (void)unused;
    struct evidence *self = open_stage();
    evidence_link_lost(self, 0, LEADER);
    int probes = 0;
    for (int64_t now_ms = 0; now_ms < 60000; now_ms += EVIDENCE_REPEAT_MS) {
        struct asked asked = drain(self, now_ms);
        probes += asked.probes;
        assert_int_equal(asked.spreads, 0);
        if (asked.probes > 0) {
            evidence_probed(self, now_ms, LEADER, false);
        }
    }
    assert_int_equal(probes, 16);
    evidence_destroy(&self);
}

/* The listening socket of a dying process outlives its connections by an instant. */
static void a_probe_that_came_too_early_is_repeated_at_once(void **unused)
{
    (void)unused;
    struct evidence *self = open_stage();
    evidence_link_lost(self, 100, LEADER);
    assert_int_equal(drain(self, 100).probes, 1);
    evidence_probed(self, 100, LEADER, false);
    assert_int_equal(drain(self, 101).probes, 0);
    assert_int_equal(drain(self, 102).probes, 1);
    evidence_probed(self, 102, LEADER, false);
    assert_int_equal(drain(self, 105).probes, 0);
    assert_int_equal(drain(self, 106).probes, 1);
    evidence_probed(self, 106, LEADER, true);
    assert_int_equal(drain(self, 106).spreads, 1);
    evidence_destroy(&self);
}

static void evidence_is_forgotten(void **unused)
{
    (void)unused;
    for (int how = 0; how < 4; how++) {
        struct evidence *self = open_stage();
        evidence_link_lost(self, 100, LEADER);
        evidence_probed(self, 101, LEADER, true);
        tell(self, 102, 3, 1);
        tell(self, 102, 4, 1);
        (void)drain(self, 102); /* spread, but not its turn to stand yet */
        if (how == 0) {
            evidence_link_up(self, 103, LEADER);
            assert_int_equal(drain(self, 103).withdrawals, 1);
        } else if (how == 1) {
            evidence_follow(self, 103, LEADER, TERM + 1, false);
        } else if (how == 2) {
            evidence_follow(self, 103, 3, TERM + 1, true);
        } else {
            evidence_follow(self, 103, 0, TERM, false);
        }
        struct asked asked = drain(self, 10000);
        assert_int_equal(asked.stands + asked.spreads, 0);
        evidence_destroy(&self);
    }
}

static void a_withdrawal_counts_and_older_messages_do_not(void **unused)
{
    (void)unused;
    struct evidence *self = open_stage();
    tell(self, 100, 3, 5);
    assert_int_equal(evidence_count(self), 1);
    struct evidence_message withdrawal = message_of(LEADER, TERM, 6);
    withdrawal.withdrawn = true;
    evidence_receive(self, 101, 3, &withdrawal);
    assert_int_equal(evidence_count(self), 0);
    tell(self, 102, 3, 5); /* came late */
    assert_int_equal(evidence_count(self), 0);
    struct evidence_message reborn = message_of(LEADER, TERM, 1);
    reborn.incarnation = 2;
    evidence_receive(self, 103, 3, &reborn);
    assert_int_equal(evidence_count(self), 1);
    struct evidence_message other = message_of(LEADER, TERM - 1, 1);
    evidence_receive(self, 104, 4, &other);
    tell(self, 104, 99, 1); /* no voter */
    assert_int_equal(evidence_count(self), 1);
    evidence_destroy(&self);
}

static void an_obituary_counts_for_the_leader_of_exactly_its_term(void **unused)
{
    (void)unused;
    const struct {
        struct obituary obituary;
        int stands, spreads, proofs;
    } table[] = {
        {{.raft_id = LEADER, .term = TERM}, 1, 1, 0},
        {{.raft_id = LEADER, .term = TERM, .owed_wait = true}, 0, 1, 0}, /* evidence only */
        {{.raft_id = LEADER, .term = TERM - 1}, 0, 0, 1}, /* told to the engine, no more */
        {{.raft_id = LEADER, .term = TERM - 1, .owed_wait = true}, 0, 0, 0},
        {{.raft_id = 3, .term = TERM}, 0, 0, 1},
        {{.raft_id = LEADER, .term = 0}, 0, 0, 0}, /* it led nothing */
    };
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        struct evidence *self = open_stage();
        evidence_obituary(self, 100, &table[i].obituary);
        struct asked asked = drain(self, 100 + STEP);
        if (asked.stands != table[i].stands || asked.spreads != table[i].spreads ||
            asked.proofs != table[i].proofs) {
            fail_msg("row %zu: %d %d %d", i, asked.stands, asked.spreads, asked.proofs);
        }
        evidence_destroy(&self);
    }
}

static void proof_after_standing_reaches_the_engine(void **unused)
{
    (void)unused;
    struct evidence *self = open_stage();
    evidence_link_lost(self, 100, LEADER);
    evidence_probed(self, 100, LEADER, true);
    tell(self, 100, 3, 1);
    tell(self, 100, 4, 1);
    assert_int_equal(drain(self, 100 + STEP).stands, 1);
    evidence_follow(self, 120, 0, TERM + 1, false); /* it is a candidate now */
    const struct obituary obituary = {.raft_id = LEADER, .term = TERM};
    evidence_obituary(self, 125, &obituary);
    struct asked asked = drain(self, 125);
    assert_int_equal(asked.proofs, 1);
    assert_int_equal(asked.proof.leader, LEADER);
    assert_int_equal(asked.proof.term, TERM);
    evidence_destroy(&self);
}

static void the_dead_leaders_restart_does_not_undo_its_obituary(void **unused)
{
    (void)unused;
    struct evidence *self = open_stage();
    const struct obituary obituary = {.raft_id = LEADER, .term = TERM};
    evidence_obituary(self, 100, &obituary);
    evidence_link_lost(self, 101, LEADER);
    evidence_link_up(self, 102, LEADER);
    assert_int_equal(drain(self, 100 + STEP).stands, 1);
    evidence_destroy(&self);
}

static void who_does_not_vote_does_nothing(void **unused)
{
    (void)unused;
    const struct evidence_config config = {.id = 9, .incarnation = 1};
    struct evidence *self = evidence_create(&config);
    const struct evidence_voter voters[] = {{.id = 1, .alive = true}, {.id = 3, .alive = true}};
    evidence_voters(self, voters, 2);
    evidence_follow(self, 0, LEADER, TERM, true);
    const struct obituary obituary = {.raft_id = LEADER, .term = TERM, .owed_wait = true};
    evidence_obituary(self, 1, &obituary);
    evidence_link_lost(self, 1, LEADER);
    evidence_probed(self, 1, LEADER, true);
    struct asked asked = drain(self, 5000);
    assert_int_equal(asked.stands + asked.spreads + asked.probes, 0);
    evidence_destroy(&self);
    evidence_destroy(&self);
    evidence_destroy(NULL);
}

static void messages_read_back_equal(void **unused)
{
    (void)unused;
    struct evidence_message message = message_of(UINT64_MAX, 3, 4);
    message.withdrawn = true;
    struct mp_writer writer;
    mp_writer_init(&writer, EVIDENCE_MESSAGE_BYTES_MAX);
    assert_int_equal(evidence_encode(&message, &writer), 0);
    struct evidence_message back;
    for (size_t i = 0; i < writer.buffer.length; i++) {
        assert_int_equal(evidence_decode(writer.buffer.data, i, &back, NULL), ERR_PROTO);
    }
    assert_int_equal(evidence_decode(writer.buffer.data, writer.buffer.length, &back, NULL), 0);
    assert_true(back.leader == message.leader && back.term == 3 && back.withdrawn &&
                back.incarnation == 1 && back.sequence == 4);
    writer.buffer.data[1] = EVIDENCE_VERSION + 1;
    assert_int_equal(evidence_decode(writer.buffer.data, writer.buffer.length, &back, NULL),
                     ERR_UNSUPPORTED);
    mp_writer_deinit(&writer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_lost_connection_is_probed_and_a_refusal_is_spread),
        cmocka_unit_test(a_majority_stands_in_the_order_of_health),
        cmocka_unit_test(the_order_is_by_score_then_unknown_then_id),
        cmocka_unit_test(refusals_without_a_lost_connection_are_no_evidence),
        cmocka_unit_test(a_peers_evidence_makes_this_node_probe),
        cmocka_unit_test(a_silent_probe_is_repeated_within_bounds),
        cmocka_unit_test(a_probe_that_came_too_early_is_repeated_at_once),
        cmocka_unit_test(evidence_is_forgotten),
        cmocka_unit_test(a_withdrawal_counts_and_older_messages_do_not),
        cmocka_unit_test(an_obituary_counts_for_the_leader_of_exactly_its_term),
        cmocka_unit_test(proof_after_standing_reaches_the_engine),
        cmocka_unit_test(the_dead_leaders_restart_does_not_undo_its_obituary),
        cmocka_unit_test(who_does_not_vote_does_nothing),
        cmocka_unit_test(messages_read_back_equal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
