/* Errands on the wire, and whom a command to many nodes still waits for. */
#include "node/daemon/errand.h"
#include "node/daemon/gather.h"
#include "tests/unit/daemon/cmocka_all.h"

#include <stdio.h>
#include <string.h>

static const uint8_t ARGS[] = {0x81, 0xa4, 'n', 'a', 'm', 'e', 0x91, 0xa1, 'a'};

static struct errand an_errand(void)
{
    return (struct errand){.id = UINT64_MAX - 1,
                           .verb = "pm2 stop",
                           .manager = "pm2",
                           .args = {.data = ARGS, .length = sizeof ARGS},
                           .who = {.name = "olga", .role = VERB_OPERATOR},
                           .left_ms = 14500};
}

static int decode(const struct mp_writer *writer, struct errand *ret)
{
    return errand_decode(writer->buffer.data, writer->buffer.length, ret, NULL);
}

static void an_errand_comes_as_it_was_sent(void **state)
{
    (void)state;
    struct errand sent = an_errand();
    struct errand got;
    struct mp_writer writer;
    mp_writer_init(&writer, ERRAND_BYTES_MAX);
    assert_int_equal(errand_encode(&sent, &writer), 0);
    assert_int_equal(decode(&writer, &got), 0);
    assert_true(got.id == sent.id);
    assert_string_equal(got.verb, "pm2 stop");
    assert_string_equal(got.manager, "pm2");
    assert_string_equal(got.who.name, "olga");
    assert_int_equal(got.who.role, VERB_OPERATOR);
    assert_int_equal(got.left_ms, 14500);
    assert_int_equal(got.args.length, sizeof ARGS);
    assert_memory_equal(got.args.data, ARGS, sizeof ARGS);
    mp_writer_deinit(&writer);
}

/* [version, id, verb, manager, args, who, role, left_ms, what a later version appends] */
static void put_errand(struct mp_writer *writer, uint64_t version, uint64_t role, int64_t left_ms)
{
    mp_writer_clear(writer);
    mp_put_array(writer, 9);
    mp_put_u64(writer, version);
    mp_put_u64(writer, 7);
    mp_put_text(writer, "pm2 list");
    mp_put_text(writer, "pm2");
    mp_put_bytes(writer, ARGS, sizeof ARGS);
    mp_put_text(writer, "olga");
    mp_put_u64(writer, role);
    mp_put_i64(writer, left_ms);
    mp_put_text(writer, "later");
}

static void what_does_not_fit_is_refused(void **state)
{
    (void)state;
    struct errand got;
    struct mp_writer writer;
    mp_writer_init(&writer, ERRAND_BYTES_MAX);
    put_errand(&writer, 1, VERB_VIEWER, 0);
    assert_int_equal(decode(&writer, &got), 0);
    assert_int_equal(got.who.role, VERB_VIEWER);
    put_errand(&writer, 2, VERB_OPERATOR, ERRAND_LEFT_MS_MAX);
    assert_int_equal(decode(&writer, &got), 0);
    put_errand(&writer, 0, VERB_OPERATOR, 100);
    assert_int_equal(decode(&writer, &got), ERR_PROTO);
    put_errand(&writer, 1, VERB_OPERATOR + 1, 100);
    assert_int_equal(decode(&writer, &got), ERR_PROTO);
    put_errand(&writer, 1, VERB_OPERATOR, ERRAND_LEFT_MS_MAX + 1);
    assert_int_equal(decode(&writer, &got), ERR_PROTO);
    put_errand(&writer, 1, VERB_OPERATOR, -1);
    assert_int_equal(decode(&writer, &got), ERR_PROTO);
    mp_writer_deinit(&writer);
}

static void arguments_have_a_bound(void **state)
{
    (void)state;
    static uint8_t many[ERRAND_ARGS_BYTES_MAX + 1];
    struct errand errand = an_errand();
    struct mp_writer writer;
    mp_writer_init(&writer, ERRAND_BYTES_MAX);
    errand.args = (struct manager_document){.data = many, .length = ERRAND_ARGS_BYTES_MAX};
    assert_int_equal(errand_encode(&errand, &writer), 0);
    assert_int_equal(decode(&writer, &errand), 0);
    mp_writer_clear(&writer);
    errand.args = (struct manager_document){.data = many, .length = sizeof many};
    assert_int_equal(errand_encode(&errand, &writer), ERR_FULL);
    mp_writer_deinit(&writer);
}

static void check_answer(const struct manager_reply *sent)
{
    struct manager_reply got;
    struct mp_writer writer;
    mp_writer_init(&writer, ERRAND_ANSWER_BYTES_MAX);
    assert_int_equal(errand_answer_encode(sent, &writer), 0);
    assert_int_equal(errand_answer_decode(writer.buffer.data, writer.buffer.length, &got, NULL), 0);
    assert_true(got.id == sent->id && got.ok == sent->ok);
    assert_string_equal(got.code, sent->code);
    assert_string_equal(got.message, sent->message);
    assert_int_equal(got.result.length, sent->ok ? sent->result.length : 0);
    mp_writer_deinit(&writer);
}

static void an_answer_comes_as_it_was_sent(void **state)
{
    (void)state;
    static uint8_t large[MANAGER_DOCUMENT_BYTES_MAX + 1];
    struct manager_reply answer = {.id = 9, .ok = true, .result = {ARGS, sizeof ARGS}};
    check_answer(&answer);
    answer.result = (struct manager_document){large, MANAGER_DOCUMENT_BYTES_MAX};
    check_answer(&answer);
    answer.result = (struct manager_document){0};
    check_answer(&answer);
    check_answer(&(struct manager_reply){.id = 3, .code = "not_found", .message = "no process x"});
    answer.result = (struct manager_document){large, sizeof large};
    struct mp_writer writer;
    mp_writer_init(&writer, SNAPSHOT_BYTES_MAX);
    assert_int_equal(errand_answer_encode(&answer, &writer), ERR_FULL);
    mp_writer_deinit(&writer);
}

/* ---- what is carried out for others ---- */

/* The code of the refusal, "" for none. */
static const char *refusal(const char *verb, const char *manager, enum verb_access role,
                           const char *args)
{
    static struct manager_reply reply;
    struct errand errand = {.who = {.name = "olga", .role = role}};
    json_t *document = json_loads(args, 0, NULL);
    (void)snprintf(errand.verb, sizeof errand.verb, "%s", verb);
    (void)snprintf(errand.manager, sizeof errand.manager, "%s", manager);
    reply = (struct manager_reply){.id = 7};
    bool allowed = errand_is_allowed(&errand, document, &reply);
    assert_true(reply.id == 7 && allowed == (reply.code[0] == '\0'));
    json_decref(document);
    return reply.code;
}

static void this_node_checks_whatever_the_asked_one_did(void **state)
{
    (void)state;
    static const char a[] = "{\"name\": [\"a\"]}";
    assert_string_equal(refusal("pm2 stop", "pm2", VERB_OPERATOR, a), "");
    assert_string_equal(refusal("pm2 list", "pm2", VERB_VIEWER, "{}"), "");
    assert_string_equal(refusal("run logs", "run", VERB_VIEWER, "{\"id\": \"run/a@1\"}"), "");
    assert_string_equal(refusal("pm2 stop", "pm2", VERB_VIEWER, a), "not_authorised");
    assert_string_equal(refusal("pm2 restore", "pm2", VERB_VIEWER, "{}"), "not_authorised");
    assert_string_equal(refusal("pm2 stop", "pm2", VERB_OPERATOR, "{}"), "invalid");
    assert_string_equal(refusal("pm2 stop", "pm2", VERB_OPERATOR, "{\"name\": \"a\"}"), "invalid");
    assert_string_equal(refusal("pm2 list", "pm2", VERB_VIEWER, "{\"who\": \"x\"}"), "invalid");
    /* Nothing else is passed on, whoever asks: not to other managers, not the leader's verbs, not
     * what only a node itself tells its manager. */
    static const char *const others[] = {"duty retry", "primary list", "remove",  "manager restart",
                                         "stop",       "backup list",  "nothing", ""};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        assert_string_equal(refusal(others[i], "pm2", VERB_OPERATOR, "{}"), "not_in_this_version");
    }
    assert_string_equal(refusal("pm2 stop", "git", VERB_OPERATOR, a), "not_in_this_version");
}

/* ---- who is waited for ---- */

static enum gather_state state_of(const struct gather *gather, size_t row)
{
    return gather->rows[row].state;
}

static void it_is_over_when_all_have_answered(void **state)
{
    (void)state;
    struct gather gather;
    gather_begin(&gather, 1000);
    assert_true(gather_add(&gather, "n1", true));
    assert_true(gather_add(&gather, "n2", true));
    assert_true(gather_add(&gather, "n3", false));
    assert_false(gather_add(&gather, "n2", true)); /* once each */
    assert_false(gather_is_over(&gather, 10));
    assert_true(gather_answer(&gather, "n2") == 1);
    assert_true(gather_answer(&gather, "n2") == SIZE_MAX); /* a second answer is none */
    assert_true(gather_answer(&gather, "n3") == SIZE_MAX); /* nor is one of who was not asked, */
    assert_true(gather_answer(&gather, "n9") == SIZE_MAX); /* or is not meant */
    assert_false(gather_is_over(&gather, 999));
    assert_true(gather_answer(&gather, "n1") == 0);
    assert_true(gather_is_over(&gather, 999));
    assert_int_equal(state_of(&gather, 0), GATHER_ANSWERED);
    assert_int_equal(state_of(&gather, 1), GATHER_ANSWERED);
    assert_int_equal(state_of(&gather, 2), GATHER_UNREACHABLE);
}

static void the_deadline_ends_the_waiting(void **state)
{
    (void)state;
    struct gather gather;
    gather_begin(&gather, 1000);
    (void)gather_add(&gather, "n1", true);
    (void)gather_add(&gather, "n2", true);
    assert_true(gather_answer(&gather, "n1") == 0);
    assert_false(gather_is_over(&gather, 999));
    assert_true(gather_is_over(&gather, 1000));
    assert_int_equal(state_of(&gather, 1), GATHER_SILENT);
    assert_true(gather_answer(&gather, "n2") == SIZE_MAX); /* too late */
    assert_int_equal(state_of(&gather, 1), GATHER_SILENT);
}

static void what_was_not_sent_is_known_not_to_have_happened(void **state)
{
    (void)state;
    struct gather gather;
    gather_begin(&gather, 1000);
    (void)gather_add(&gather, "n1", true);
    (void)gather_add(&gather, "n2", true);
    (void)gather_add(&gather, "n3", true);
    gather_not_sent(&gather, "n1");
    gather_lost(&gather, 1); /* it was sent: who knows */
    (void)gather_answer(&gather, "n3");
    gather_lost(&gather, 2);
    gather_not_sent(&gather, "n3"); /* it has answered all the same */
    gather_lost(&gather, 3);
    assert_true(gather_is_over(&gather, 0));
    assert_int_equal(state_of(&gather, 0), GATHER_UNREACHABLE);
    assert_int_equal(state_of(&gather, 1), GATHER_SILENT);
    assert_int_equal(state_of(&gather, 2), GATHER_ANSWERED);
}

static void there_is_room_for_every_node_and_no_more(void **state)
{
    (void)state;
    struct gather gather;
    char name[NAME_SIZE];
    gather_begin(&gather, 1000);
    assert_true(gather_is_over(&gather, 0)); /* nobody was asked */
    for (size_t i = 0; i < NODES_MAX; i++) {
        (void)snprintf(name, sizeof name, "n%zu", i);
        assert_true(gather_add(&gather, name, true));
    }
    assert_false(gather_add(&gather, "one-more", true));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_errand_comes_as_it_was_sent),
        cmocka_unit_test(what_does_not_fit_is_refused),
        cmocka_unit_test(arguments_have_a_bound),
        cmocka_unit_test(an_answer_comes_as_it_was_sent),
        cmocka_unit_test(this_node_checks_whatever_the_asked_one_did),
        cmocka_unit_test(it_is_over_when_all_have_answered),
        cmocka_unit_test(the_deadline_ends_the_waiting),
        cmocka_unit_test(what_was_not_sent_is_known_not_to_have_happened),
        cmocka_unit_test(there_is_room_for_every_node_and_no_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
