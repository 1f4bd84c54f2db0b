/* Each rule of the grants as a test; H6, H7 and H8 are findings of the study of the lease. */
#include "consensus/grants.h"
#include "tests/unit/state/commands.h"

#define DUTY "pm2/worker"
#define TTL 5000
#define QUIET INT64_C(5250) /* 1.05 * TTL */

/* Two nodes with raft ids 1 and 2, incarnation 5 each, and one exclusive duty assigned to n1. */
struct stage {
    struct state *state;
    struct grants_leader *leader;
    struct grants_holder *holder; /* of n1, incarnation 5 */
    uint64_t number;
};

static const struct state_duty *duty_of(const struct stage *stage)
{
    return state_duty_by_id(stage->state, DUTY);
}

static struct grants_holder *holder_of(uint64_t raft_id, uint64_t incarnation,
                                       struct grants_switches off)
{
    struct grants_holder_config config = {
        .raft_id = raft_id, .incarnation = incarnation, .off = off};
    struct grants_holder *holder = grants_holder_create(&config);
    assert_non_null(holder);
    return holder;
}

static void open_stage(struct stage *ret, struct grants_switches off)
{
    ret->state = state_create();
    apply_ok(ret->state, node_put("n1", 1));
    apply_ok(ret->state, node_put("n2", 2));
    apply_ok(ret->state, duty_put(DUTY, true, true));
    ret->number = apply_ok(ret->state, duty_assign(DUTY, 0, "n1", 1, 5)).number;
    ret->leader = grants_leader_create(&off);
    assert_non_null(ret->leader);
    ret->holder = holder_of(1, 5, off);
    grants_holder_sync(ret->holder, 0, ret->state);
}

static void close_stage(struct stage *stage)
{
    state_destroy(&stage->state);
    grants_leader_destroy(&stage->leader);
    grants_holder_destroy(&stage->holder);
}

/* One request of the holder at holder_ms, answered at leader_ms. */
static bool renew(struct stage *stage, int64_t holder_ms, int64_t leader_ms,
                  struct grants_grant *ret)
{
    struct grants_renew request;
    if (!grants_holder_request(stage->holder, holder_ms, &request)) {
        return false;
    }
    return grants_leader_renew(stage->leader, leader_ms, true, stage->state, 1, &request, ret);
}

static bool may_move(const struct stage *stage, int64_t now_ms)
{
    return grants_leader_may_assign(stage->leader, now_ms, true, duty_of(stage), 2, 5, NULL);
}

static struct grants_renew request_for(uint64_t raft_id, uint64_t incarnation, uint64_t number)
{
    return (struct grants_renew){.raft_id = raft_id,
                                 .incarnation = incarnation,
                                 .time_ms = 1,
                                 .count = 1,
                                 .assignments = {number}};
}

static struct grants_release release_of(uint64_t raft_id, uint64_t incarnation, uint64_t number)
{
    struct grants_release release = {.raft_id = raft_id, .incarnation = incarnation, .count = 1};
    copy_text(release.items[0].duty, DUTY_ID_SIZE, DUTY);
    release.items[0].assignment = number;
    return release;
}

/* ---- granting ---- */

static void a_grant_counts_from_the_time_of_asking(void **unused)
{
    (void)unused;
    struct stage stage;
    open_stage(&stage, (struct grants_switches){0});
    grants_leader_begin(stage.leader, 900000, 3, TTL);
    assert_false(grants_holder_may_run(stage.holder, 0, DUTY));
    struct grants_grant grant = {0};
    assert_true(renew(&stage, 1000, 900100, &grant));
    assert_int_equal(grant.term, 3);
    assert_int_equal(grants_holder_take(stage.holder, 1400, &grant), 1);
    assert_true(grants_holder_may_run(stage.holder, 1000 + TTL - 1, DUTY));
    assert_false(grants_holder_may_run(stage.holder, 1000 + TTL, DUTY));
    assert_int_equal(grants_leader_sent_until_ms(stage.leader, DUTY), 900100 + QUIET);
    /* an older grant that comes late does not shorten it */
    struct grants_grant older = grant;
    older.time_ms = 500;
    assert_int_equal(grants_holder_take(stage.holder, 1500, &older), 0);
    assert_int_equal(grants_holder_by_duty(stage.holder, DUTY)->deadline_ms, 1000 + TTL);
    close_stage(&stage);
}

static void what_does_not_stand_is_not_granted(void **unused)
{
    (void)unused;
    struct stage stage;
    open_stage(&stage, (struct grants_switches){0});
    grants_leader_begin(stage.leader, 0, 3, TTL);
    const struct {
        uint64_t from;
        struct grants_renew request;
        bool expected;
    } table[] = {
        {1, request_for(1, 5, stage.number), true},
        {1, request_for(1, 4, stage.number), false}, /* an older incarnation of the holder */
        {1, request_for(1, 6, stage.number), false}, /* a newer one has no assignment yet */
        {1, request_for(1, 5, stage.number + 1), false},
        {1, request_for(1, 5, 0), false},
        {2, request_for(2, 5, stage.number), false},
        {2, request_for(1, 5, stage.number), false}, /* claims to be another */
    };
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        struct grants_grant grant = {0};
        bool granted = grants_leader_renew(stage.leader, 1, true, stage.state, table[i].from,
                                           &table[i].request, &grant);
        if (granted != table[i].expected) {
            fail_msg("row %zu", i);
        }
    }
    apply_ok(stage.state, duty_release(DUTY, stage.number, RELEASE_BY_HOLDER));
    struct grants_grant grant = {0};
    struct grants_renew request = request_for(1, 5, stage.number);
    assert_false(grants_leader_renew(stage.leader, 2, true, stage.state, 1, &request, &grant));
    close_stage(&stage);
}

static void only_an_acting_leader_grants_and_moves(void **unused)
{
    (void)unused;
    for (int off = 0; off < 2; off++) {
        struct stage stage;
        open_stage(&stage, (struct grants_switches){.grants_only_while_acting = off == 1});
        struct grants_grant grant = {0};
        struct grants_renew request = request_for(1, 5, stage.number);
        struct grants_leader *leader = stage.leader;
        assert_false(grants_leader_renew(leader, 0, true, stage.state, 1, &request, &grant));
        grants_leader_begin(leader, 0, 3, TTL);
        assert_int_equal(grants_leader_renew(leader, 1, false, stage.state, 1, &request, &grant),
                         off);
        grants_leader_end(leader);
        assert_int_equal(grants_leader_renew(leader, 2, true, stage.state, 1, &request, &grant),
                         off);
        assert_false(may_move(&stage, 100000));
        grants_leader_begin(leader, 3, 3, TTL);
        assert_true(grants_leader_renew(leader, 4, true, stage.state, 1, &request, &grant));
        close_stage(&stage);
    }
}

static void the_shorter_limit_wins_and_the_assignments_own_one_bounds_the_wait(void **unused)
{
    (void)unused;
    struct stage stage;
    open_stage(&stage, (struct grants_switches){0});
    struct grants_grant grant = {0};
    grants_leader_begin(stage.leader, 0, 3, 2000); /* configured shorter than its predecessor */
    assert_true(renew(&stage, 1, 1, &grant));
    assert_int_equal(grant.grant_ttl_ms, 2000);
    /* the predecessor may have granted 5 s a moment ago */
    assert_false(may_move(&stage, QUIET - 1));
    assert_true(may_move(&stage, QUIET));
    grants_leader_begin(stage.leader, 0, 4, 60000); /* configured longer */
    assert_true(renew(&stage, 1, 1, &grant));
    assert_int_equal(grant.grant_ttl_ms, TTL);
    close_stage(&stage);
}

/* ---- moving ---- */

static void a_move_waits_until_nothing_was_granted_for_long_enough(void **unused)
{
    (void)unused;
    for (int off = 0; off < 2; off++) {
        struct stage stage;
        open_stage(&stage, (struct grants_switches){.stretch = off == 1});
        int64_t quiet_ms = off == 1 ? TTL : QUIET;
        grants_leader_begin(stage.leader, 0, 3, TTL);
        struct grants_grant grant = {0};
        assert_true(renew(&stage, 90000, 90000, &grant));
        int64_t at_ms = 0;
        assert_false(
            grants_leader_may_assign(stage.leader, 90001, true, duty_of(&stage), 2, 5, &at_ms));
        assert_int_equal(at_ms, 90000 + quiet_ms);
        assert_false(may_move(&stage, at_ms - 1));
        assert_true(may_move(&stage, at_ms));
        close_stage(&stage);
    }
}

static void a_new_leader_holds_moves_in_every_new_term(void **unused)
{
    (void)unused;
    for (int off = 0; off < 2; off++) {
        struct stage stage;
        open_stage(&stage, (struct grants_switches){.hold_of_new_leader = off == 1});
        grants_leader_begin(stage.leader, 1000, 3, TTL);
        assert_int_equal(may_move(&stage, 1000 + QUIET - 1), off);
        assert_true(may_move(&stage, 1000 + QUIET));
        /* acting again in the same term: no second hold */
        grants_leader_end(stage.leader);
        grants_leader_begin(stage.leader, 20000, 3, TTL);
        assert_true(may_move(&stage, 20000));
        /* the same node in another term: a new hold, though it led before */
        grants_leader_begin(stage.leader, 20000, 5, TTL);
        assert_int_equal(may_move(&stage, 20000 + QUIET - 1), off);
        assert_true(may_move(&stage, 20000 + QUIET));
        close_stage(&stage);
    }
}

static void the_assigned_node_is_granted_at_once_by_a_new_leader(void **unused)
{
    (void)unused;
    struct stage stage;
    open_stage(&stage, (struct grants_switches){0});
    grants_leader_begin(stage.leader, 1000, 3, TTL);
    struct grants_grant grant = {0};
    assert_true(renew(&stage, 0, 1000, &grant));
    close_stage(&stage);
}

static void a_first_or_released_or_shared_duty_moves_at_once(void **unused)
{
    (void)unused;
    struct stage stage;
    open_stage(&stage, (struct grants_switches){0});
    apply_ok(stage.state, duty_put("pm2/new", true, true));
    apply_ok(stage.state, duty_put("pm2/shared", false, true));
    apply_ok(stage.state, duty_assign("pm2/shared", 0, "n1", 1, 5));
    grants_leader_begin(stage.leader, 0, 3, TTL);
    const char *free_ones[] = {"pm2/new", "pm2/shared"};
    for (size_t i = 0; i < 2; i++) {
        assert_true(grants_leader_may_assign(
            stage.leader, 0, true, state_duty_by_id(stage.state, free_ones[i]), 2, 5, NULL));
    }
    assert_false(may_move(&stage, 0));
    apply_ok(stage.state, duty_release(DUTY, stage.number, RELEASE_BY_HOLDER));
    assert_true(may_move(&stage, 0));
    close_stage(&stage);
}

/* H6: granted between the proposal of a move and its application, it would run on both. */
static void h6_nothing_is_granted_while_a_move_is_proposed(void **unused)
{
    (void)unused;
    for (int off = 0; off < 2; off++) {
        struct stage stage;
        open_stage(&stage, (struct grants_switches){.no_grant_while_moving = off == 1});
        grants_leader_begin(stage.leader, 0, 3, TTL);
        struct grants_grant grant = {0};
        assert_true(may_move(&stage, QUIET));
        assert_int_equal(grants_leader_note_proposed(stage.leader, DUTY, 77), 0);
        assert_true(grants_leader_moving(stage.leader, DUTY));
        assert_int_equal(renew(&stage, QUIET, QUIET, &grant), off);
        assert_false(may_move(&stage, 10 * QUIET)); /* one move at a time */
        assert_int_equal(grants_leader_note_proposed(stage.leader, DUTY, 78), ERR_BUSY);
        grants_leader_note_outcome(stage.leader, 78, true); /* another proposal's outcome */
        assert_int_equal(renew(&stage, QUIET, QUIET, &grant), off);
        grants_leader_note_outcome(stage.leader, 77, false); /* unknown: it may still commit */
        assert_int_equal(renew(&stage, QUIET, QUIET, &grant), off);
        grants_leader_note_outcome(stage.leader, 77, true);
        assert_true(renew(&stage, QUIET, QUIET, &grant));
        assert_int_equal(grants_leader_note_proposed(stage.leader, DUTY, 79), 0);
        grants_leader_begin(stage.leader, QUIET, 4, TTL); /* its barrier settled all of before */
        assert_true(renew(&stage, QUIET, QUIET, &grant));
        close_stage(&stage);
    }
}

static void h6_a_grant_that_was_sent_before_the_proposal_forbids_it(void **unused)
{
    (void)unused;
    struct stage stage;
    open_stage(&stage, (struct grants_switches){0});
    grants_leader_begin(stage.leader, 0, 3, TTL);
    struct grants_grant grant = {0};
    assert_true(renew(&stage, 0, QUIET, &grant));
    assert_false(may_move(&stage, QUIET));
    close_stage(&stage);
}

/* ---- incarnations ---- */

static void h7a_an_obituary_releases_only_what_its_incarnation_held(void **unused)
{
    (void)unused;
    const struct {
        struct obituary obituary;
        bool off;
        size_t released;
    } table[] = {
        {{.raft_id = 1, .incarnation = 5, .duties_ended = true}, false, 1},
        {{.raft_id = 1, .incarnation = 6, .duties_ended = true}, false, 1},
        {{.raft_id = 1, .incarnation = 4, .duties_ended = true}, false, 0},
        {{.raft_id = 2, .incarnation = 9, .duties_ended = true}, false, 0},
        {{.raft_id = 1, .incarnation = 5, .duties_ended = false}, false, 0},
        {{.raft_id = 1, .incarnation = 4, .duties_ended = true}, true, 1}, /* the defect */
    };
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        struct stage stage;
        open_stage(&stage, (struct grants_switches){.incarnation = table[i].off});
        grants_leader_begin(stage.leader, 0, 3, TTL);
        size_t released =
            grants_leader_take_obituary(stage.leader, stage.state, &table[i].obituary);
        if (released != table[i].released || may_move(&stage, 0) != (released == 1)) {
            fail_msg("row %zu: released %zu", i, released);
        }
        close_stage(&stage);
    }
}

static void h7a_an_obituary_before_the_assignment_is_applied_still_counts(void **unused)
{
    (void)unused;
    struct stage stage;
    open_stage(&stage, (struct grants_switches){0});
    grants_leader_begin(stage.leader, 0, 3, TTL);
    const struct obituary obituary = {.raft_id = 1, .incarnation = 7, .duties_ended = true};
    (void)grants_leader_take_obituary(stage.leader, stage.state, &obituary);
    apply_ok(stage.state, duty_assign(DUTY, stage.number, "n1", 1, 7));
    enum release_proof proof;
    assert_true(grants_leader_released(stage.leader, duty_of(&stage), &proof));
    assert_int_equal(proof, RELEASE_BY_OBITUARY);
    apply_ok(stage.state, duty_assign(DUTY, duty_of(&stage)->assignment.number, "n1", 1, 8));
    assert_false(grants_leader_released(stage.leader, duty_of(&stage), &proof));
    close_stage(&stage);
}

/* H7b: the clock of the former boot was far ahead. */
static void h7b_a_grant_for_another_incarnation_is_not_taken(void **unused)
{
    (void)unused;
    for (int off = 0; off < 2; off++) {
        struct stage stage;
        open_stage(&stage, (struct grants_switches){.incarnation = off == 1});
        grants_leader_begin(stage.leader, 0, 3, TTL);
        struct grants_grant grant = {0};
        assert_true(renew(&stage, 864000, 10, &grant));
        struct grants_holder *reborn =
            holder_of(1, 6, (struct grants_switches){.incarnation = off == 1});
        apply_ok(stage.state, duty_assign(DUTY, stage.number, "n1", 1, 6));
        grants_holder_sync(reborn, 20, stage.state);
        grant.assignments[0] = duty_of(&stage)->assignment.number;
        assert_int_equal(grants_holder_take(reborn, 20, &grant), off);
        assert_int_equal(grants_holder_may_run(reborn, 860000, DUTY), off);
        grant.incarnation = 6; /* and an answer to a question of the future is none */
        if (off == 0) {
            assert_int_equal(grants_holder_take(reborn, 20, &grant), 0);
        }
        grants_holder_destroy(&reborn);
        close_stage(&stage);
    }
}

static void h7c_a_new_incarnation_does_not_clear_the_last_grant(void **unused)
{
    (void)unused;
    for (int off = 0; off < 2; off++) {
        struct stage stage;
        open_stage(&stage, (struct grants_switches){.last_grant_survives = off == 1});
        grants_leader_begin(stage.leader, 0, 3, TTL);
        struct grants_grant grant = {0};
        assert_true(renew(&stage, 0, 50000, &grant));
        assert_true(
            grants_leader_may_assign(stage.leader, 50001, true, duty_of(&stage), 1, 6, NULL));
        apply_ok(stage.state, duty_assign(DUTY, stage.number, "n1", 1, 6));
        /* the guards of incarnation 5 may run until 55000 on their clock */
        assert_int_equal(may_move(&stage, 50002), off);
        assert_true(may_move(&stage, 50000 + QUIET));
        close_stage(&stage);
    }
}

static void a_restarted_node_gets_its_own_duty_back_at_once(void **unused)
{
    (void)unused;
    struct stage stage;
    open_stage(&stage, (struct grants_switches){0});
    grants_leader_begin(stage.leader, 0, 3, TTL);
    const struct {
        uint64_t raft_id, incarnation;
        bool expected;
    } table[] = {{1, 6, true}, {1, 5, false}, {1, 4, false}, {2, 6, false}, {0, 0, false}};
    for (size_t i = 0; i < 5; i++) {
        bool may = grants_leader_may_assign(stage.leader, 1, true, duty_of(&stage),
                                            table[i].raft_id, table[i].incarnation, NULL);
        assert_int_equal(may, table[i].expected);
    }
    assert_false(grants_leader_may_assign(stage.leader, 1, false, duty_of(&stage), 1, 6, NULL));
    close_stage(&stage);
}

/* ---- releases ---- */

/* H8a: a release of an older assignment arrives when the same node was assigned anew. */
static void h8a_a_release_counts_for_the_assignment_it_names(void **unused)
{
    (void)unused;
    for (int off = 0; off < 2; off++) {
        struct stage stage;
        open_stage(&stage, (struct grants_switches){.release_names_assignment = off == 1});
        grants_leader_begin(stage.leader, 0, 3, TTL);
        struct grants_release release = release_of(1, 5, stage.number);
        apply_ok(stage.state, duty_release(DUTY, stage.number, RELEASE_BY_HOLDER));
        apply_ok(stage.state, duty_assign(DUTY, stage.number, "n1", 1, 5));
        assert_int_equal(grants_leader_take_release(stage.leader, stage.state, 1, &release), off);
        assert_int_equal(may_move(&stage, 1), off);
        close_stage(&stage);
    }
}

static void a_release_counts_from_its_holder_only(void **unused)
{
    (void)unused;
    struct stage stage;
    open_stage(&stage, (struct grants_switches){0});
    grants_leader_begin(stage.leader, 0, 3, TTL);
    struct grants_release release = release_of(1, 5, stage.number);
    struct grants_release forged = release_of(2, 5, stage.number);
    assert_int_equal(grants_leader_take_release(stage.leader, stage.state, 2, &release), 0);
    assert_int_equal(grants_leader_take_release(stage.leader, stage.state, 2, &forged), 0);
    assert_false(may_move(&stage, 1));
    assert_int_equal(grants_leader_take_release(stage.leader, stage.state, 1, &release), 1);
    assert_int_equal(grants_leader_take_release(stage.leader, stage.state, 1, &release), 0);
    assert_true(may_move(&stage, 1));
    struct grants_grant grant = {0};
    assert_false(renew(&stage, 1, 1, &grant)); /* and it is not granted any more */
    enum release_proof proof;
    assert_true(grants_leader_released(stage.leader, duty_of(&stage), &proof));
    assert_int_equal(proof, RELEASE_BY_HOLDER);
    close_stage(&stage);
}

/* H8b: the grant was under way when the holder released. */
static void h8b_a_holder_takes_no_grant_after_its_release(void **unused)
{
    (void)unused;
    for (int off = 0; off < 2; off++) {
        struct stage stage;
        open_stage(&stage, (struct grants_switches){.released_takes_no_grant = off == 1});
        grants_leader_begin(stage.leader, 0, 3, TTL);
        struct grants_grant grant = {0};
        assert_true(renew(&stage, 100, 100, &grant));
        assert_int_equal(grants_holder_release(stage.holder, DUTY), 0);
        assert_int_equal(grants_holder_take(stage.holder, 150, &grant), off);
        assert_int_equal(grants_holder_may_run(stage.holder, 150, DUTY), off);
        struct grants_renew request;
        assert_false(grants_holder_request(stage.holder, 700, &request)); /* never asks again */
        assert_true(grants_holder_next_ms(stage.holder) == INT64_MAX);
        close_stage(&stage);
    }
}

static void a_release_is_repeated_until_the_state_shows_it(void **unused)
{
    (void)unused;
    struct stage stage;
    open_stage(&stage, (struct grants_switches){0});
    struct grants_release release;
    assert_int_equal(grants_holder_releases(stage.holder, 0, &release), 0);
    assert_int_equal(grants_holder_release(stage.holder, "pm2/none"), ERR_NOTFOUND);
    assert_int_equal(grants_holder_release(stage.holder, DUTY), 0);
    grants_holder_sync(stage.holder, 5, stage.state); /* a change of something else */
    assert_int_equal(grants_holder_releases(stage.holder, 0, &release), 1);
    assert_int_equal(release.items[0].assignment, stage.number);
    assert_int_equal(grants_holder_releases(stage.holder, 1, &release), 0);
    apply_ok(stage.state, duty_release(DUTY, stage.number, RELEASE_BY_HOLDER));
    grants_holder_sync(stage.holder, 6, stage.state);
    assert_int_equal(grants_holder_count(stage.holder), 0);
    /* a new assignment to the same incarnation starts clean */
    apply_ok(stage.state, duty_assign(DUTY, stage.number, "n1", 1, 5));
    grants_holder_sync(stage.holder, 7, stage.state);
    assert_false(grants_holder_at(stage.holder, 0)->released);
    assert_int_equal(grants_holder_next_ms(stage.holder), 7);
    close_stage(&stage);
}

/* ---- the holder's own ---- */

static void the_holder_follows_the_state(void **unused)
{
    (void)unused;
    struct stage stage;
    open_stage(&stage, (struct grants_switches){0});
    assert_int_equal(grants_holder_next_ms(stage.holder), 0); /* asks at once */
    grants_leader_begin(stage.leader, 0, 3, TTL);
    struct grants_grant grant = {0};
    assert_true(renew(&stage, 100, 100, &grant));
    assert_int_equal(grants_holder_next_ms(stage.holder), 100 + GRANTS_RENEW_EVERY_MS);
    assert_int_equal(grants_holder_take(stage.holder, 110, &grant), 1);
    grants_holder_sync(stage.holder, 120, stage.state);
    assert_true(grants_holder_may_run(stage.holder, 130, DUTY)); /* a known one keeps its grant */
    assert_int_equal(grants_holder_next_ms(stage.holder), 100 + GRANTS_RENEW_EVERY_MS);
    grants_holder_hurry(stage.holder, 140);
    assert_int_equal(grants_holder_next_ms(stage.holder), 140);
    apply_ok(stage.state, duty_assign(DUTY, stage.number, "n2", 2, 5));
    grants_holder_sync(stage.holder, 150, stage.state);
    assert_false(grants_holder_may_run(stage.holder, 150, DUTY));
    struct grants_holder *other = holder_of(2, 6, (struct grants_switches){0});
    grants_holder_sync(other, 0, stage.state);
    assert_int_equal(grants_holder_count(other), 0); /* it was assigned to incarnation 5 */
    grants_holder_destroy(&other);
    close_stage(&stage);
}

static void a_thousand_duties_are_renewed_in_one_message(void **unused)
{
    (void)unused;
    struct stage stage;
    open_stage(&stage, (struct grants_switches){0});
    char id[DUTY_ID_SIZE];
    for (unsigned i = 1; i < DUTIES_MAX; i++) {
        (void)snprintf(id, sizeof(id), "m/%u", i);
        apply_ok(stage.state, duty_put(id, true, true));
        apply_ok(stage.state, duty_assign(id, 0, "n1", 1, 5));
    }
    grants_holder_sync(stage.holder, 0, stage.state);
    grants_leader_begin(stage.leader, 0, 3, TTL);
    struct grants_grant grant = {0};
    assert_true(renew(&stage, 10, 10, &grant));
    assert_int_equal(grant.count, DUTIES_MAX);
    struct mp_writer writer;
    mp_writer_init(&writer, GRANTS_MESSAGE_BYTES_MAX);
    assert_int_equal(grants_grant_encode(&grant, &writer), 0);
    static struct grants_grant back;
    assert_int_equal(grants_grant_decode(writer.buffer.data, writer.buffer.length, &back, NULL), 0);
    assert_int_equal(grants_holder_take(stage.holder, 20, &back), DUTIES_MAX);
    mp_writer_deinit(&writer);
    /* other duties take their place: records of finished ones give way */
    apply_ok(stage.state, duty_release(DUTY, stage.number, RELEASE_BY_HOLDER));
    apply_ok(stage.state, duty_remove(DUTY));
    apply_ok(stage.state, duty_put("z/new", true, true));
    uint64_t number = apply_ok(stage.state, duty_assign("z/new", 0, "n1", 1, 5)).number;
    struct grants_renew request = request_for(1, 5, number);
    assert_false(grants_leader_renew(stage.leader, 30, true, stage.state, 1, &request, &grant));
    assert_true(
        grants_leader_renew(stage.leader, 10 + QUIET, true, stage.state, 1, &request, &grant));
    close_stage(&stage);
}

/* ---- messages ---- */

static void messages_read_back_equal_and_truncated_ones_are_refused(void **unused)
{
    (void)unused;
    const struct obituary obituary = {
        .raft_id = 9, .incarnation = 4, .term = 12, .owed_wait = true, .duties_ended = false};
    struct grants_release release = release_of(1, 5, 99);
    struct mp_writer writer;
    mp_writer_init(&writer, GRANTS_MESSAGE_BYTES_MAX);
    assert_int_equal(obituary_encode(&obituary, &writer), 0);
    struct obituary obituary_back = {0};
    for (size_t i = 0; i < writer.buffer.length; i++) {
        assert_int_equal(obituary_decode(writer.buffer.data, i, &obituary_back, NULL), ERR_PROTO);
    }
    assert_int_equal(
        obituary_decode(writer.buffer.data, writer.buffer.length, &obituary_back, NULL), 0);
    assert_memory_equal(&obituary, &obituary_back, sizeof(obituary));
    mp_writer_clear(&writer);
    assert_int_equal(grants_release_encode(&release, &writer), 0);
    struct grants_release release_back = {0};
    assert_int_equal(
        grants_release_decode(writer.buffer.data, writer.buffer.length, &release_back, NULL), 0);
    assert_memory_equal(&release, &release_back, sizeof(release));
    writer.buffer.data[1] = GRANTS_VERSION + 1; /* behind the array's own byte */
    assert_int_equal(
        grants_release_decode(writer.buffer.data, writer.buffer.length, &release_back, NULL),
        ERR_UNSUPPORTED);
    mp_writer_deinit(&writer);
}

static void a_grant_out_of_bounds_is_refused(void **unused)
{
    (void)unused;
    struct grants_grant grant = {.incarnation = 1, .grant_ttl_ms = GRANT_TTL_MS_MAX + 1};
    struct mp_writer writer;
    mp_writer_init(&writer, GRANTS_MESSAGE_BYTES_MAX);
    assert_int_equal(grants_grant_encode(&grant, &writer), ERR_INVALID);
    grant.grant_ttl_ms = 0;
    assert_int_equal(grants_grant_encode(&grant, &writer), ERR_INVALID);
    mp_writer_deinit(&writer);
    struct stage stage;
    open_stage(&stage, (struct grants_switches){0});
    struct grants_grant wild = {.incarnation = 5,
                                .time_ms = INT64_MAX,
                                .grant_ttl_ms = TTL,
                                .count = 1,
                                .assignments = {stage.number}};
    assert_int_equal(grants_holder_take(stage.holder, INT64_MAX, &wild), 0);
    close_stage(&stage);
}

static void stretch_rounds_up(void **unused)
{
    (void)unused;
    assert_int_equal(grants_stretch_ms(5000), 5250);
    assert_int_equal(grants_stretch_ms(1), 2);
    assert_int_equal(grants_stretch_ms(0), 0);
    assert_int_equal(grants_stretch_ms(21), 23);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_grant_counts_from_the_time_of_asking),
        cmocka_unit_test(what_does_not_stand_is_not_granted),
        cmocka_unit_test(only_an_acting_leader_grants_and_moves),
        cmocka_unit_test(the_shorter_limit_wins_and_the_assignments_own_one_bounds_the_wait),
        cmocka_unit_test(a_move_waits_until_nothing_was_granted_for_long_enough),
        cmocka_unit_test(a_new_leader_holds_moves_in_every_new_term),
        cmocka_unit_test(the_assigned_node_is_granted_at_once_by_a_new_leader),
        cmocka_unit_test(a_first_or_released_or_shared_duty_moves_at_once),
        cmocka_unit_test(h6_nothing_is_granted_while_a_move_is_proposed),
        cmocka_unit_test(h6_a_grant_that_was_sent_before_the_proposal_forbids_it),
        cmocka_unit_test(h7a_an_obituary_releases_only_what_its_incarnation_held),
        cmocka_unit_test(h7a_an_obituary_before_the_assignment_is_applied_still_counts),
        cmocka_unit_test(h7b_a_grant_for_another_incarnation_is_not_taken),
        cmocka_unit_test(h7c_a_new_incarnation_does_not_clear_the_last_grant),
        cmocka_unit_test(a_restarted_node_gets_its_own_duty_back_at_once),
        cmocka_unit_test(h8a_a_release_counts_for_the_assignment_it_names),
        cmocka_unit_test(a_release_counts_from_its_holder_only),
        cmocka_unit_test(h8b_a_holder_takes_no_grant_after_its_release),
        cmocka_unit_test(a_release_is_repeated_until_the_state_shows_it),
        cmocka_unit_test(the_holder_follows_the_state),
        cmocka_unit_test(a_thousand_duties_are_renewed_in_one_message),
        cmocka_unit_test(messages_read_back_equal_and_truncated_ones_are_refused),
        cmocka_unit_test(a_grant_out_of_bounds_is_refused),
        cmocka_unit_test(stretch_rounds_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
