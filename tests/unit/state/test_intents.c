/* Each line of the tables in consensus/intents.c, and each rule beside them. */
#include "consensus/intents.h"
#include "tests/unit/state/commands.h"

#define MANAGER "github"
#define KEY "github/dispatch@20261122T051500Z"
#define BEFORE "github/another"
#define OBJECT "ci.yml"
#define OURS 5 /* the term in which the leader of these tests acts */

struct stage {
    struct state *state;
    struct intents *intents;
    struct command command; /* of the last PROPOSE */
};

static void open_stage(struct stage *ret, struct intents_switches off)
{
    memset(ret, 0, sizeof(*ret));
    ret->state = state_create();
    ret->intents = intents_create(&off);
    assert_non_null(ret->state);
    assert_non_null(ret->intents);
    intents_begin(ret->intents, OURS);
}

static void close_stage(struct stage *stage)
{
    intents_destroy(&stage->intents);
    state_destroy(&stage->state);
}

static void commit(struct stage *stage, uint64_t term, struct command command)
{
    struct mp_writer writer;
    struct state_effect effect;
    struct err err = {0};
    command.wall_ms = 1700000000000;
    mp_writer_init(&writer, COMMAND_BYTES_MAX);
    if (command_encode(&command, &writer, &err) != 0) {
        fail_msg("%s: %s", command_type_name(command.type), err.msg);
    }
    assert_int_equal(state_apply(stage->state, state_index(stage->state) + 1, term,
                                 writer.buffer.data, writer.buffer.length, &effect),
                     0);
    if (effect.outcome != STATE_APPLIED) {
        fail_msg("%s: %s", command_type_name(command.type), effect.reason);
    }
    mp_writer_deinit(&writer);
}

static struct command_intent_open wish_of(const char *key, const char *object,
                                          enum intent_policy policy)
{
    struct command_intent_open wish = {.policy = policy, .keep_until_wall_ms = 1800000000000};
    copy_text(wish.key, sizeof(wish.key), key);
    copy_text(wish.manager, sizeof(wish.manager), MANAGER);
    copy_text(wish.object, sizeof(wish.object), object);
    return wish;
}

static void open_row(struct stage *stage, uint64_t term, const char *key, enum intent_policy policy)
{
    struct command command = command_of(COMMAND_INTENT_OPEN);
    command.intent_open = wish_of(key, OBJECT, policy);
    commit(stage, term, command);
}

static void end_row(struct stage *stage, uint64_t term, enum command_type type)
{
    struct command command = command_of(type);
    if (type == COMMAND_INTENT_DONE) {
        copy_text(command.intent_done.key, sizeof(command.intent_done.key), KEY);
    } else {
        copy_text(command.intent_park.key, sizeof(command.intent_park.key), KEY);
    }
    commit(stage, term, command);
}

static enum intent_step want_key(struct stage *stage, const char *key, uint64_t ticket)
{
    struct command_intent_open wish = wish_of(key, OBJECT, INTENT_SKIP);
    memset(&stage->command, 0, sizeof(stage->command));
    return intents_want(stage->intents, stage->state, &wish, ticket, &stage->command);
}

static enum intent_step want(struct stage *stage, uint64_t ticket)
{
    return want_key(stage, KEY, ticket);
}

static enum intent_step verified(struct stage *stage, uint64_t ticket,
                                 enum intent_evidence evidence)
{
    memset(&stage->command, 0, sizeof(stage->command));
    return intents_verified(stage->intents, stage->state, KEY, ticket, evidence, "as they say",
                            &stage->command);
}

static enum intent_step performed(struct stage *stage, uint64_t ticket, bool answer_lost)
{
    memset(&stage->command, 0, sizeof(stage->command));
    return intents_performed(stage->intents, stage->state, KEY, ticket, INTENT_HAPPENED,
                             answer_lost, "run 17", &stage->command);
}

static const struct state_intent *left_open(const struct stage *stage, const char *manager,
                                            size_t position)
{
    const struct state_intent *row = NULL;
    do {
        row = intents_left_open(stage->intents, stage->state, manager, row);
    } while (row != NULL && position-- > 0);
    return row;
}

/* ---- the first table ---- */

enum row { NONE, EARLIER, IN_OURS, LATER, DONE, PARKED };
enum so_far { NOTHING, GIVEN, ASKED, CLEAR };

static void make_row(struct stage *stage, enum row row)
{
    static const uint64_t terms[] = {0, OURS - 1, OURS, OURS + 1, OURS - 1, OURS - 1};
    if (row == NONE) {
        return;
    }
    open_row(stage, terms[row], KEY, INTENT_SKIP);
    if (row == DONE || row == PARKED) {
        end_row(stage, terms[row], row == DONE ? COMMAND_INTENT_DONE : COMMAND_INTENT_PARK);
    }
}

/* Ticket 1 is the one that something was told to. */
static void tell_before(struct stage *stage, enum row row, enum so_far so_far)
{
    if (so_far == NOTHING) {
        return;
    }
    if (row == IN_OURS) {
        uint64_t ticket = so_far == ASKED ? 9 : 1;
        assert_int_equal(want(stage, ticket), INTENT_STEP_PERFORM);
    }
    if (so_far == GIVEN) {
        return;
    }
    if (so_far == ASKED || row == EARLIER) {
        assert_int_equal(want(stage, 1), INTENT_STEP_VERIFY);
    }
    if (so_far == CLEAR) {
        enum intent_step step = row == EARLIER ? INTENT_STEP_PROPOSE : INTENT_STEP_WAIT;
        assert_int_equal(verified(stage, 1, INTENT_IT_DID_NOT), step);
    }
}

static void every_wish_gets_the_answer_of_the_table(void **unused)
{
    (void)unused;
    static const struct {
        enum row row;
        enum so_far so_far;
        bool under_way;
        bool another_open;
        uint64_t ticket;
        enum intent_step step;
        enum command_type command;
    } table[] = {
        {NONE, NOTHING, false, false, 1, INTENT_STEP_PROPOSE, COMMAND_INTENT_OPEN},
        {NONE, NOTHING, false, true, 1, INTENT_STEP_WAIT, COMMAND_NONE},
        {DONE, NOTHING, false, false, 1, INTENT_STEP_CLOSED, COMMAND_NONE},
        {DONE, NOTHING, false, true, 1, INTENT_STEP_CLOSED, COMMAND_NONE},
        {PARKED, NOTHING, false, false, 1, INTENT_STEP_CLOSED, COMMAND_NONE},
        {LATER, NOTHING, false, false, 1, INTENT_STEP_WAIT, COMMAND_NONE},
        {EARLIER, NOTHING, false, false, 1, INTENT_STEP_VERIFY, COMMAND_NONE},
        {EARLIER, NOTHING, true, false, 1, INTENT_STEP_WAIT, COMMAND_NONE},
        {EARLIER, NOTHING, false, true, 1, INTENT_STEP_WAIT, COMMAND_NONE},
        {EARLIER, ASKED, false, false, 1, INTENT_STEP_VERIFY, COMMAND_NONE},
        {EARLIER, ASKED, false, false, 2, INTENT_STEP_VERIFY, COMMAND_NONE},
        {EARLIER, ASKED, true, false, 2, INTENT_STEP_WAIT, COMMAND_NONE},
        {EARLIER, CLEAR, false, false, 2, INTENT_STEP_PROPOSE, COMMAND_INTENT_TAKE},
        {EARLIER, CLEAR, true, false, 2, INTENT_STEP_WAIT, COMMAND_NONE},
        {IN_OURS, NOTHING, false, false, 1, INTENT_STEP_PERFORM, COMMAND_NONE},
        {IN_OURS, NOTHING, true, false, 1, INTENT_STEP_WAIT, COMMAND_NONE},
        {IN_OURS, NOTHING, false, true, 1, INTENT_STEP_WAIT, COMMAND_NONE},
        {IN_OURS, GIVEN, false, false, 1, INTENT_STEP_PERFORM, COMMAND_NONE},
        {IN_OURS, GIVEN, false, false, 2, INTENT_STEP_VERIFY, COMMAND_NONE},
        {IN_OURS, GIVEN, true, false, 1, INTENT_STEP_WAIT, COMMAND_NONE},
        {IN_OURS, ASKED, false, false, 1, INTENT_STEP_VERIFY, COMMAND_NONE},
        {IN_OURS, ASKED, false, false, 2, INTENT_STEP_VERIFY, COMMAND_NONE},
        {IN_OURS, CLEAR, false, false, 2, INTENT_STEP_PERFORM, COMMAND_NONE},
    };
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        struct stage stage;
        open_stage(&stage, (struct intents_switches){0});
        if (table[i].another_open) {
            open_row(&stage, OURS - 1, BEFORE, INTENT_SKIP);
        }
        make_row(&stage, table[i].row);
        tell_before(&stage, table[i].row, table[i].so_far);
        if (table[i].under_way) {
            (void)want(&stage, 1); /* so that there is something that a proposal is about */
            intents_note_proposed(stage.intents, KEY, 77);
        }
        enum intent_step step = want(&stage, table[i].ticket);
        if (step != table[i].step || stage.command.type != table[i].command) {
            fail_msg("line %zu: step %d, command %s", i, (int)step,
                     command_type_name(stage.command.type));
        }
        close_stage(&stage);
    }
}

/* ---- the second table ---- */

static void all_evidence_gets_the_answer_of_the_table(void **unused)
{
    (void)unused;
    static const struct {
        enum row row;
        enum intent_policy policy;
        enum intent_evidence evidence;
        enum intent_step step;
        enum command_type command;
        enum intent_verdict verdict;
        enum intent_step then; /* to the next wish, the proposal never made */
    } table[] = {
        {EARLIER, INTENT_SKIP, INTENT_IT_HAPPENED, INTENT_STEP_PROPOSE, COMMAND_INTENT_DONE,
         INTENT_HAPPENED, INTENT_STEP_VERIFY},
        {EARLIER, INTENT_SKIP, INTENT_IT_DID_NOT, INTENT_STEP_PROPOSE, COMMAND_INTENT_TAKE, 0,
         INTENT_STEP_PROPOSE},
        {EARLIER, INTENT_SKIP, INTENT_CANNOT_TELL, INTENT_STEP_PROPOSE, COMMAND_INTENT_DONE,
         INTENT_SKIPPED, INTENT_STEP_VERIFY},
        {EARLIER, INTENT_RETRY, INTENT_CANNOT_TELL, INTENT_STEP_PROPOSE, COMMAND_INTENT_TAKE, 0,
         INTENT_STEP_PROPOSE},
        {EARLIER, INTENT_PARK, INTENT_CANNOT_TELL, INTENT_STEP_PROPOSE, COMMAND_INTENT_PARK, 0,
         INTENT_STEP_VERIFY},
        {EARLIER, INTENT_PARK, INTENT_IT_DID_NOT, INTENT_STEP_PROPOSE, COMMAND_INTENT_TAKE, 0,
         INTENT_STEP_PROPOSE},
        {EARLIER, INTENT_RETRY, INTENT_ASK_LATER, INTENT_STEP_WAIT, COMMAND_NONE, 0,
         INTENT_STEP_VERIFY},
        {IN_OURS, INTENT_RETRY, INTENT_IT_HAPPENED, INTENT_STEP_PROPOSE, COMMAND_INTENT_DONE,
         INTENT_HAPPENED, INTENT_STEP_VERIFY},
        {IN_OURS, INTENT_SKIP, INTENT_IT_DID_NOT, INTENT_STEP_WAIT, COMMAND_NONE, 0,
         INTENT_STEP_PERFORM},
        {IN_OURS, INTENT_SKIP, INTENT_CANNOT_TELL, INTENT_STEP_PROPOSE, COMMAND_INTENT_DONE,
         INTENT_SKIPPED, INTENT_STEP_VERIFY},
        {IN_OURS, INTENT_RETRY, INTENT_CANNOT_TELL, INTENT_STEP_WAIT, COMMAND_NONE, 0,
         INTENT_STEP_PERFORM},
        {IN_OURS, INTENT_PARK, INTENT_CANNOT_TELL, INTENT_STEP_PROPOSE, COMMAND_INTENT_PARK, 0,
         INTENT_STEP_VERIFY},
        {IN_OURS, INTENT_SKIP, INTENT_ASK_LATER, INTENT_STEP_WAIT, COMMAND_NONE, 0,
         INTENT_STEP_VERIFY},
    };
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        struct stage stage;
        open_stage(&stage, (struct intents_switches){0});
        open_row(&stage, table[i].row == EARLIER ? OURS - 1 : OURS, KEY, table[i].policy);
        tell_before(&stage, table[i].row, ASKED);
        enum intent_step step = verified(&stage, 1, table[i].evidence);
        if (step != table[i].step || stage.command.type != table[i].command) {
            fail_msg("line %zu: step %d, command %s", i, (int)step,
                     command_type_name(stage.command.type));
        }
        if (table[i].command == COMMAND_INTENT_DONE) {
            assert_int_equal(stage.command.intent_done.verdict, table[i].verdict);
            assert_int_equal(stage.command.intent_done.verified,
                             table[i].evidence == INTENT_IT_HAPPENED);
            assert_string_equal(stage.command.intent_done.outcome, "as they say");
        }
        assert_int_equal(want(&stage, 2), table[i].then);
        close_stage(&stage);
    }
}

/* ---- a life of one intent ---- */

static void an_effect_is_opened_performed_and_done(void **unused)
{
    (void)unused;
    struct stage stage;
    open_stage(&stage, (struct intents_switches){0});
    assert_int_equal(want(&stage, 1), INTENT_STEP_PROPOSE);
    assert_int_equal(stage.command.reason, REASON_INTENT);
    assert_string_equal(stage.command.intent_open.object, OBJECT);
    struct command opening = stage.command;
    intents_note_proposed(stage.intents, KEY, 40);
    assert_int_equal(want(&stage, 1), INTENT_STEP_WAIT);
    commit(&stage, OURS, opening);
    intents_note_outcome(stage.intents, 40);
    assert_int_equal(want(&stage, 1), INTENT_STEP_PERFORM);
    assert_int_equal(performed(&stage, 1, false), INTENT_STEP_PROPOSE);
    assert_int_equal(stage.command.type, COMMAND_INTENT_DONE);
    assert_int_equal(stage.command.intent_done.verdict, INTENT_HAPPENED);
    assert_false(stage.command.intent_done.verified);
    struct command outcome = stage.command;
    intents_note_proposed(stage.intents, KEY, 41);
    assert_int_equal(performed(&stage, 1, false), INTENT_STEP_WAIT);
    intents_note_outcome(stage.intents, 41); /* it got lost: said again */
    assert_int_equal(performed(&stage, 1, false), INTENT_STEP_PROPOSE);
    commit(&stage, OURS, outcome);
    assert_int_equal(performed(&stage, 1, false), INTENT_STEP_CLOSED);
    assert_int_equal(want(&stage, 2), INTENT_STEP_CLOSED);
    close_stage(&stage);
}

static void a_taken_intent_is_performed_once(void **unused)
{
    (void)unused;
    struct stage stage;
    open_stage(&stage, (struct intents_switches){0});
    open_row(&stage, OURS - 1, KEY, INTENT_SKIP);
    assert_int_equal(want(&stage, 1), INTENT_STEP_VERIFY);
    assert_int_equal(verified(&stage, 1, INTENT_IT_DID_NOT), INTENT_STEP_PROPOSE);
    commit(&stage, OURS, stage.command);
    assert_int_equal(want(&stage, 2), INTENT_STEP_PERFORM);
    assert_int_equal(want(&stage, 3), INTENT_STEP_VERIFY);
    close_stage(&stage);
}

static void a_lost_answer_is_verified(void **unused)
{
    (void)unused;
    struct stage stage;
    open_stage(&stage, (struct intents_switches){0});
    open_row(&stage, OURS, KEY, INTENT_SKIP);
    assert_int_equal(want(&stage, 1), INTENT_STEP_PERFORM);
    assert_int_equal(performed(&stage, 1, true), INTENT_STEP_WAIT);
    assert_int_equal(performed(&stage, 1, false), INTENT_STEP_WAIT); /* it gave this ticket up */
    assert_int_equal(want(&stage, 2), INTENT_STEP_VERIFY);
    close_stage(&stage);
}

static void a_manager_that_has_not_begun_may_begin(void **unused)
{
    (void)unused;
    struct stage stage;
    open_stage(&stage, (struct intents_switches){0});
    open_row(&stage, OURS, KEY, INTENT_SKIP);
    assert_int_equal(want(&stage, 1), INTENT_STEP_PERFORM);
    assert_int_equal(verified(&stage, 1, INTENT_IT_DID_NOT), INTENT_STEP_WAIT);
    assert_int_equal(want(&stage, 2), INTENT_STEP_PERFORM);
    close_stage(&stage);
}

static void old_answers_do_not_count(void **unused)
{
    (void)unused;
    struct stage stage;
    open_stage(&stage, (struct intents_switches){0});
    open_row(&stage, OURS, KEY, INTENT_SKIP);
    assert_int_equal(verified(&stage, 1, INTENT_IT_HAPPENED), INTENT_STEP_WAIT); /* not asked */
    assert_int_equal(performed(&stage, 1, false), INTENT_STEP_WAIT);             /* nor told */
    assert_int_equal(want(&stage, 1), INTENT_STEP_PERFORM);
    assert_int_equal(want(&stage, 2), INTENT_STEP_VERIFY);
    assert_int_equal(verified(&stage, 1, INTENT_IT_DID_NOT), INTENT_STEP_WAIT);
    assert_int_equal(want(&stage, 3), INTENT_STEP_VERIFY); /* so nothing was cleared */
    assert_int_equal(verified(&stage, 0, INTENT_IT_DID_NOT), INTENT_STEP_WAIT);
    assert_int_equal(want(&stage, 4), INTENT_STEP_VERIFY);
    close_stage(&stage);
}

static void a_late_park_does_not_lose_the_outcome(void **unused)
{
    (void)unused;
    struct stage stage;
    open_stage(&stage, (struct intents_switches){0});
    open_row(&stage, OURS, KEY, INTENT_PARK);
    assert_int_equal(want(&stage, 1), INTENT_STEP_PERFORM);
    end_row(&stage, OURS, COMMAND_INTENT_PARK);
    assert_int_equal(performed(&stage, 1, false), INTENT_STEP_PROPOSE);
    assert_int_equal(stage.command.type, COMMAND_INTENT_DONE);
    commit(&stage, OURS, stage.command);
    assert_int_equal(performed(&stage, 1, false), INTENT_STEP_CLOSED);
    close_stage(&stage);
}

/* ---- who may ask, and when ---- */

static void nothing_is_said_but_while_acting(void **unused)
{
    (void)unused;
    struct stage stage;
    open_stage(&stage, (struct intents_switches){0});
    intents_end(stage.intents);
    assert_int_equal(want(&stage, 1), INTENT_STEP_WAIT);
    open_row(&stage, OURS, KEY, INTENT_SKIP);
    assert_int_equal(want(&stage, 1), INTENT_STEP_WAIT);
    intents_begin(stage.intents, OURS);
    assert_int_equal(want(&stage, 1), INTENT_STEP_PERFORM);
    intents_end(stage.intents);
    assert_int_equal(performed(&stage, 1, false), INTENT_STEP_WAIT);
    close_stage(&stage);
}

static void a_lease_that_comes_back_gives_nothing_out_again(void **unused)
{
    (void)unused;
    struct stage stage;
    open_stage(&stage, (struct intents_switches){0});
    open_row(&stage, OURS, KEY, INTENT_SKIP);
    assert_int_equal(want(&stage, 1), INTENT_STEP_PERFORM);
    intents_end(stage.intents);
    intents_begin(stage.intents, OURS);
    assert_int_equal(want(&stage, 1), INTENT_STEP_VERIFY);
    close_stage(&stage);
}

static void a_restarted_manager_is_not_taken_for_its_former_self(void **unused)
{
    (void)unused;
    struct stage stage;
    open_stage(&stage, (struct intents_switches){0});
    open_row(&stage, OURS, KEY, INTENT_SKIP);
    assert_int_equal(want(&stage, 1), INTENT_STEP_PERFORM);
    intents_manager_restarted(stage.intents, "netlify");
    assert_int_equal(want(&stage, 1), INTENT_STEP_PERFORM);
    intents_manager_restarted(stage.intents, MANAGER);
    assert_int_equal(want(&stage, 1), INTENT_STEP_VERIFY); /* the same number by chance */
    close_stage(&stage);
}

static void a_key_belongs_to_its_manager(void **unused)
{
    (void)unused;
    struct stage stage;
    open_stage(&stage, (struct intents_switches){0});
    open_row(&stage, OURS, KEY, INTENT_SKIP);
    struct command_intent_open wish = wish_of(KEY, OBJECT, INTENT_SKIP);
    copy_text(wish.manager, sizeof(wish.manager), "netlify");
    assert_int_equal(intents_want(stage.intents, stage.state, &wish, 1, &stage.command),
                     INTENT_STEP_CLOSED);
    close_stage(&stage);
}

static void one_opening_on_an_object_at_a_time(void **unused)
{
    (void)unused;
    for (int off = 0; off < 2; off++) {
        struct stage stage;
        open_stage(&stage, (struct intents_switches){.object_first = off == 1});
        assert_int_equal(want(&stage, 1), INTENT_STEP_PROPOSE);
        intents_note_proposed(stage.intents, KEY, 40);
        enum intent_step expected = off == 1 ? INTENT_STEP_PROPOSE : INTENT_STEP_WAIT;
        assert_int_equal(want_key(&stage, BEFORE, 1), expected);
        struct command_intent_open other = wish_of("github/elsewhere", "nightly.yml", INTENT_SKIP);
        assert_int_equal(intents_want(stage.intents, stage.state, &other, 1, &stage.command),
                         INTENT_STEP_PROPOSE);
        intents_note_outcome(stage.intents, 40);
        assert_int_equal(want_key(&stage, BEFORE, 1), INTENT_STEP_PROPOSE);
        close_stage(&stage);
    }
}

static void each_switch_turns_one_rule_off(void **unused)
{
    (void)unused;
    struct stage stage;
    open_stage(&stage, (struct intents_switches){.verify_earlier = true});
    make_row(&stage, EARLIER);
    assert_int_equal(want(&stage, 1), INTENT_STEP_PROPOSE);
    assert_int_equal(stage.command.type, COMMAND_INTENT_TAKE);
    close_stage(&stage);

    open_stage(&stage, (struct intents_switches){.check_key = true});
    make_row(&stage, DONE);
    assert_int_equal(want(&stage, 1), INTENT_STEP_PERFORM);
    close_stage(&stage);

    open_stage(&stage, (struct intents_switches){.verify_given = true});
    make_row(&stage, IN_OURS);
    assert_int_equal(want(&stage, 1), INTENT_STEP_PERFORM);
    assert_int_equal(want(&stage, 2), INTENT_STEP_PERFORM);
    close_stage(&stage);
}

/* ---- what was left open ---- */

static void what_was_left_open_is_told_oldest_first(void **unused)
{
    (void)unused;
    struct stage stage;
    open_stage(&stage, (struct intents_switches){0});
    open_row(&stage, OURS - 2, "github/z", INTENT_SKIP);
    open_row(&stage, OURS - 1, "github/a", INTENT_SKIP);
    open_row(&stage, OURS, KEY, INTENT_SKIP);
    end_row(&stage, OURS, COMMAND_INTENT_DONE);
    assert_string_equal(left_open(&stage, MANAGER, 0)->key, "github/z");
    assert_string_equal(left_open(&stage, MANAGER, 1)->key, "github/a");
    assert_null(left_open(&stage, MANAGER, 2));
    assert_null(left_open(&stage, "netlify", 0));
    (void)want_key(&stage, "github/z", 1);
    assert_string_equal(left_open(&stage, MANAGER, 0)->key, "github/a");
    (void)want_key(&stage, "github/a", 2);
    assert_null(left_open(&stage, MANAGER, 0));
    intents_manager_restarted(stage.intents, MANAGER);
    assert_string_equal(left_open(&stage, MANAGER, 0)->key, "github/z");
    close_stage(&stage);
}

static void a_parked_intent_that_is_taken_again_is_left_open(void **unused)
{
    (void)unused;
    struct stage stage;
    open_stage(&stage, (struct intents_switches){0});
    open_row(&stage, OURS, KEY, INTENT_PARK);
    assert_int_equal(want(&stage, 1), INTENT_STEP_PERFORM);
    assert_int_equal(performed(&stage, 1, true), INTENT_STEP_WAIT);
    assert_int_equal(want(&stage, 2), INTENT_STEP_VERIFY);
    assert_int_equal(verified(&stage, 2, INTENT_CANNOT_TELL), INTENT_STEP_PROPOSE);
    commit(&stage, OURS, stage.command);
    assert_int_equal(want(&stage, 3), INTENT_STEP_CLOSED);
    intents_look_again(stage.intents);
    assert_null(left_open(&stage, MANAGER, 0));
    struct command take = command_of(COMMAND_INTENT_TAKE);
    copy_text(take.intent_take.key, sizeof(take.intent_take.key), KEY);
    commit(&stage, OURS, take); /* by a person */
    assert_string_equal(left_open(&stage, MANAGER, 0)->key, KEY);
    assert_int_equal(want(&stage, 4), INTENT_STEP_PERFORM);
    assert_null(left_open(&stage, MANAGER, 0));
    assert_int_equal(want(&stage, 5), INTENT_STEP_VERIFY);
    intents_look_again(stage.intents);
    assert_int_equal(verified(&stage, 5, INTENT_CANNOT_TELL), INTENT_STEP_PROPOSE);
    close_stage(&stage);
}

static void the_table_forgets_wishes_that_came_to_nothing(void **unused)
{
    (void)unused;
    struct stage stage;
    open_stage(&stage, (struct intents_switches){.object_first = true});
    open_row(&stage, OURS, KEY, INTENT_SKIP);
    assert_int_equal(want(&stage, 1), INTENT_STEP_PERFORM);
    for (int i = 0; i < STATE_INTENTS_MAX + 10; i++) {
        char key[INTENT_KEY_SIZE];
        (void)snprintf(key, sizeof(key), "github/%d", i);
        assert_int_equal(want_key(&stage, key, 1), INTENT_STEP_PROPOSE);
    }
    assert_int_equal(want(&stage, 2), INTENT_STEP_VERIFY); /* never what was given out */
    close_stage(&stage);
}

static void proposals_fill_the_table_and_no_more(void **unused)
{
    (void)unused;
    struct stage stage;
    open_stage(&stage, (struct intents_switches){.object_first = true});
    for (uint64_t i = 0; i < STATE_INTENTS_MAX; i++) {
        char key[INTENT_KEY_SIZE];
        (void)snprintf(key, sizeof(key), "github/%d", (int)i);
        assert_int_equal(want_key(&stage, key, 1), INTENT_STEP_PROPOSE);
        intents_note_proposed(stage.intents, key, i + 1);
    }
    assert_int_equal(want(&stage, 1), INTENT_STEP_WAIT);
    intents_note_outcome(stage.intents, 1);
    assert_int_equal(want(&stage, 1), INTENT_STEP_PROPOSE);
    close_stage(&stage);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_wish_gets_the_answer_of_the_table),
        cmocka_unit_test(all_evidence_gets_the_answer_of_the_table),
        cmocka_unit_test(an_effect_is_opened_performed_and_done),
        cmocka_unit_test(a_taken_intent_is_performed_once),
        cmocka_unit_test(a_lost_answer_is_verified),
        cmocka_unit_test(a_manager_that_has_not_begun_may_begin),
        cmocka_unit_test(old_answers_do_not_count),
        cmocka_unit_test(a_late_park_does_not_lose_the_outcome),
        cmocka_unit_test(nothing_is_said_but_while_acting),
        cmocka_unit_test(a_lease_that_comes_back_gives_nothing_out_again),
        cmocka_unit_test(a_restarted_manager_is_not_taken_for_its_former_self),
        cmocka_unit_test(a_key_belongs_to_its_manager),
        cmocka_unit_test(one_opening_on_an_object_at_a_time),
        cmocka_unit_test(each_switch_turns_one_rule_off),
        cmocka_unit_test(what_was_left_open_is_told_oldest_first),
        cmocka_unit_test(a_parked_intent_that_is_taken_again_is_left_open),
        cmocka_unit_test(the_table_forgets_wishes_that_came_to_nothing),
        cmocka_unit_test(proposals_fill_the_table_and_no_more),
    };
    return cmocka_run_group_tests_name("intents", tests, NULL, NULL);
}
