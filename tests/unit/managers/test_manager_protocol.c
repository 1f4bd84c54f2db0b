#include "managers/common/protocol.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct mp_writer writer;

static int set_up(void **state)
{
    (void)state;
    mp_writer_init(&writer, MANAGER_MESSAGE_BYTES_MAX);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    mp_writer_deinit(&writer);
    return 0;
}

static const uint8_t sample[] = {0x81, 0xa1, 'a', 0x01};

static struct manager_message round_trip(const struct manager_message *message)
{
    struct manager_message ret;
    struct err err = {0};
    mp_writer_clear(&writer);
    assert_int_equal(manager_message_encode(message, &writer, &err), 0);
    if (manager_message_decode(writer.buffer.data, writer.buffer.length, &ret, &err) != 0) {
        fail_msg("%s: %s", manager_kind_name(message->kind), err.msg);
    }
    assert_int_equal(ret.kind, message->kind);
    return ret;
}

static void assert_document(const struct manager_document *document)
{
    assert_int_equal(document->length, sizeof sample);
    assert_memory_equal(document->data, sample, sizeof sample);
}

static void every_message_to_the_node_survives(void **state)
{
    (void)state;
    struct manager_document document = {.data = sample, .length = sizeof sample};
    struct manager_message message = {.kind = MANAGER_HELLO,
                                      .as.hello = {.name = "pm2",
                                                   .version = "1.2",
                                                   .pid = 77,
                                                   .protocol = 1,
                                                   .capability_count = 2,
                                                   .capabilities = {"watch", "run"}}};
    struct manager_message back = round_trip(&message);
    assert_string_equal(back.as.hello.name, "pm2");
    assert_int_equal(back.as.hello.pid, 77);
    assert_string_equal(back.as.hello.capabilities[1], "run");

    message = (struct manager_message){.kind = MANAGER_HEARTBEAT,
                                       .as.heartbeat = {.capability = 50,
                                                        .state = "waiting",
                                                        .degraded = true,
                                                        .input_count = 1,
                                                        .inputs = {"pm2"}}};
    back = round_trip(&message);
    assert_false(back.as.heartbeat.score_known);
    assert_true(back.as.heartbeat.degraded);
    assert_true(back.as.heartbeat.capability > 49.9 && back.as.heartbeat.capability < 50.1);
    assert_string_equal(back.as.heartbeat.inputs[0], "pm2");

    message =
        (struct manager_message){.kind = MANAGER_OBSERVATION, .as.observation.document = document};
    back = round_trip(&message);
    assert_document(&back.as.observation.document);

    message = (struct manager_message){.kind = MANAGER_EVENT,
                                       .as.event = {.kind = "primary.down",
                                                    .level = MANAGER_ERROR,
                                                    .message = "it fell",
                                                    .fields = document}};
    back = round_trip(&message);
    assert_int_equal(back.as.event.level, MANAGER_ERROR);
    assert_document(&back.as.event.fields);

    message = (struct manager_message){.kind = MANAGER_DUTY_WANTED,
                                       .as.duty_wanted = {.duty = "pm2/b",
                                                          .exclusive = true,
                                                          .wanted = true,
                                                          .term = 9,
                                                          .reason = "down",
                                                          .on_count = 1,
                                                          .on = {"n1"},
                                                          .avoid_count = 1,
                                                          .avoid = {"n2"},
                                                          .priority = -3,
                                                          .group = "pm2/a",
                                                          .label_count = 1,
                                                          .labels = {"zone=a"},
                                                          .copies = 2,
                                                          .per_node = true,
                                                          .alone = "pm2/a",
                                                          .side = 2}};
    back = round_trip(&message);
    assert_string_equal(back.as.duty_wanted.alone, "pm2/a");
    assert_int_equal(back.as.duty_wanted.side, 2);
    assert_int_equal(back.as.duty_wanted.priority, -3);
    assert_string_equal(back.as.duty_wanted.group, "pm2/a");
    assert_string_equal(back.as.duty_wanted.labels[0], "zone=a");
    assert_int_equal(back.as.duty_wanted.copies, 2);
    assert_true(back.as.duty_wanted.per_node);
    assert_string_equal(back.as.duty_wanted.on[0], "n1");
    assert_string_equal(back.as.duty_wanted.avoid[0], "n2");
    assert_int_equal(back.as.duty_wanted.term, 9);

    message = (struct manager_message){
        .kind = MANAGER_DUTY_STATE,
        .as.duty_state = {
            .duty = "pm2/b", .assignment = 5, .phase = MANAGER_DUTY_FAILED, .detail = "no"}};
    back = round_trip(&message);
    assert_int_equal(back.as.duty_state.phase, MANAGER_DUTY_FAILED);
    assert_int_equal(back.as.duty_state.assignment, 5);
}

/* A plugin of the version before says nothing about priority, group, labels and copies. */
static void a_shorter_wish_is_understood(void **state)
{
    (void)state;
    mp_writer_clear(&writer);
    mp_put_array(&writer, 9);
    mp_put_u64(&writer, MANAGER_PROTOCOL_VERSION);
    mp_put_u64(&writer, MANAGER_DUTY_WANTED);
    mp_put_text(&writer, "plugin/d");
    mp_put_bool(&writer, true);
    mp_put_bool(&writer, true);
    mp_put_u64(&writer, 4);
    mp_put_text(&writer, "down");
    mp_put_array(&writer, 0);
    mp_put_array(&writer, 0);
    struct manager_message message;
    struct err err = {0};
    assert_int_equal(
        manager_message_decode(writer.buffer.data, writer.buffer.length, &message, &err), 0);
    assert_string_equal(message.as.duty_wanted.duty, "plugin/d");
    assert_int_equal(message.as.duty_wanted.priority, 0);
    assert_int_equal(message.as.duty_wanted.copies, 0);
    struct manager_message wrong[2] = {message, message};
    wrong[0].as.duty_wanted.copies = MANAGER_COPIES_MAX + 1;
    (void)snprintf(wrong[1].as.duty_wanted.duty, DUTY_ID_SIZE, "plugin/d~2"); /* a copy's id */
    for (size_t i = 0; i < 2; i++) {
        mp_writer_clear(&writer);
        assert_int_equal(manager_message_encode(&wrong[i], &writer, &err), 0);
        assert_int_equal(
            manager_message_decode(writer.buffer.data, writer.buffer.length, &message, &err),
            ERR_PROTO);
    }
}

static void short_messages_to_the_node_survive(void **state)
{
    (void)state;
    struct manager_message message = {.kind = MANAGER_RELEASED,
                                      .as.released = {.duty = "pm2/b", .assignment = 6}};
    struct manager_message back = round_trip(&message);
    assert_int_equal(back.as.released.assignment, 6);

    message = (struct manager_message){.kind = MANAGER_ROLE_ACK, .as.role_ack.term = 12};
    assert_int_equal(round_trip(&message).as.role_ack.term, 12);

    message = (struct manager_message){
        .kind = MANAGER_REPLY, .as.reply = {.id = 4, .code = "not_found", .message = "no such"}};
    back = round_trip(&message);
    assert_false(back.as.reply.ok);
    assert_null(back.as.reply.result.data);
    assert_string_equal(back.as.reply.code, "not_found");
}

static void every_message_to_the_manager_survives(void **state)
{
    (void)state;
    struct manager_document document = {.data = sample, .length = sizeof sample};
    struct manager_message message = {
        .kind = MANAGER_CONFIGURE,
        .as.configure = {
            .node = "n1", .guard_socket = "/run/g", .shadow = true, .section = document}};
    struct manager_message back = round_trip(&message);
    assert_string_equal(back.as.configure.guard_socket, "/run/g");
    assert_true(back.as.configure.shadow);
    assert_document(&back.as.configure.section);

    message = (struct manager_message){.kind = MANAGER_ROLE,
                                       .as.role = {.active = true, .term = 3, .deadline_ms = 99}};
    assert_int_equal(round_trip(&message).as.role.deadline_ms, 99);

    message = (struct manager_message){
        .kind = MANAGER_GRANT,
        .as.grant = {.duty = "pm2/b", .assignment = 5, .term = 3, .deadline_ms = 88, .digest = 77}};
    back = round_trip(&message);
    assert_int_equal(back.as.grant.deadline_ms, 88);
    assert_int_equal(back.as.grant.digest, 77);

    message = (struct manager_message){
        .kind = MANAGER_REVOKE, .as.revoke = {.duty = "pm2/b", .assignment = 5, .why = "moved"}};
    back = round_trip(&message);
    assert_string_equal(back.as.revoke.why, "moved");

    message = (struct manager_message){
        .kind = MANAGER_PEER_OBSERVATION,
        .as.peer_observation = {
            .node = "n2", .age_ms = 40, .state = MANAGER_DEAD, .document = document}};
    back = round_trip(&message);
    assert_int_equal(back.as.peer_observation.state, MANAGER_DEAD);
    assert_document(&back.as.peer_observation.document);

    message = (struct manager_message){
        .kind = MANAGER_MEMBERS,
        .as.members = {
            .count = 2,
            .members = {{.name = "n1"}, {.name = "n2", .state = MANAGER_SUSPECT, .since_ms = 70}}}};
    back = round_trip(&message);
    assert_int_equal(back.as.members.count, 2);
    assert_int_equal(back.as.members.members[1].since_ms, 70);

    message = (struct manager_message){
        .kind = MANAGER_COMMAND, .as.command = {.id = 8, .verb = "primary list", .args = document}};
    back = round_trip(&message);
    assert_string_equal(back.as.command.verb, "primary list");
    static const enum manager_kind bare[] = {MANAGER_PAUSE, MANAGER_RESUME, MANAGER_STOP};
    for (size_t i = 0; i < sizeof bare / sizeof bare[0]; i++) {
        message = (struct manager_message){.kind = bare[i]};
        (void)round_trip(&message);
    }
}

static void messages_about_intents_survive(void **state)
{
    (void)state;
    struct manager_message message = {.kind = MANAGER_INTENT_WANTED,
                                      .as.intent_wanted = {.key = "github/a@1",
                                                           .object = "ci.yml",
                                                           .policy = MANAGER_INTENT_PARK,
                                                           .keep_ms = 60000,
                                                           .term = 4,
                                                           .ticket = 11}};
    struct manager_message back = round_trip(&message);
    assert_string_equal(back.as.intent_wanted.key, "github/a@1");
    assert_string_equal(back.as.intent_wanted.object, "ci.yml");
    assert_int_equal(back.as.intent_wanted.policy, MANAGER_INTENT_PARK);
    assert_int_equal(back.as.intent_wanted.keep_ms, 60000);
    assert_int_equal(back.as.intent_wanted.term, 4);
    assert_int_equal(back.as.intent_wanted.ticket, 11);

    message =
        (struct manager_message){.kind = MANAGER_INTENT_VERIFIED,
                                 .as.intent_verified = {.key = "github/a@1",
                                                        .evidence = MANAGER_INTENT_CANNOT_TELL,
                                                        .detail = "no such run",
                                                        .term = 4,
                                                        .ticket = 11}};
    back = round_trip(&message);
    assert_int_equal(back.as.intent_verified.evidence, MANAGER_INTENT_CANNOT_TELL);
    assert_string_equal(back.as.intent_verified.detail, "no such run");
    assert_int_equal(back.as.intent_verified.term, 4);
    assert_int_equal(back.as.intent_verified.ticket, 11);

    message = (struct manager_message){.kind = MANAGER_INTENT_PERFORMED,
                                       .as.intent_performed = {.key = "github/a@1",
                                                               .verdict = MANAGER_INTENT_REFUSED,
                                                               .answer_lost = true,
                                                               .outcome = "no such workflow",
                                                               .term = 4,
                                                               .ticket = 12}};
    back = round_trip(&message);
    assert_int_equal(back.as.intent_performed.verdict, MANAGER_INTENT_REFUSED);
    assert_true(back.as.intent_performed.answer_lost);
    assert_string_equal(back.as.intent_performed.outcome, "no such workflow");
    assert_int_equal(back.as.intent_performed.ticket, 12);

    message = (struct manager_message){.kind = MANAGER_INTENT,
                                       .as.intent = {.key = "github/a@1",
                                                     .step = MANAGER_INTENT_STEP_LEFT_OPEN,
                                                     .term = 4,
                                                     .deadline_ms = 99,
                                                     .state = MANAGER_INTENT_IS_DONE,
                                                     .verdict = MANAGER_INTENT_SKIPPED,
                                                     .outcome = "given up",
                                                     .ticket = 12,
                                                     .object = "ci.yml",
                                                     .policy = MANAGER_INTENT_RETRY}};
    back = round_trip(&message);
    assert_int_equal(back.as.intent.step, MANAGER_INTENT_STEP_LEFT_OPEN);
    assert_int_equal(back.as.intent.deadline_ms, 99);
    assert_int_equal(back.as.intent.state, MANAGER_INTENT_IS_DONE);
    assert_int_equal(back.as.intent.verdict, MANAGER_INTENT_SKIPPED);
    assert_string_equal(back.as.intent.outcome, "given up");
    assert_int_equal(back.as.intent.ticket, 12);
    assert_string_equal(back.as.intent.object, "ci.yml");
    assert_int_equal(back.as.intent.policy, MANAGER_INTENT_RETRY);
}

static struct manager_schedule_wanted a_schedule(void)
{
    return (struct manager_schedule_wanted){.id = "run/report",
                                            .term = 4,
                                            .edition = 99,
                                            .position = 1,
                                            .total = 3,
                                            .is = {.expression = "15 5 * * *",
                                                   .zone = "Europe/Berlin",
                                                   .digest = UINT64_MAX,
                                                   .anchor_s = -5,
                                                   .gap = MANAGER_GAP_SKIP,
                                                   .fold = MANAGER_FOLD_BOTH,
                                                   .overlap = MANAGER_OVERLAP_REPLACE,
                                                   .misfire = MANAGER_MISFIRE_RUN_ALL,
                                                   .misfire_cap = 7,
                                                   .misfire_window_s = 8,
                                                   .start_deadline_s = 9,
                                                   .progress_deadline_s = 10,
                                                   .finish_deadline_s = 11,
                                                   .min_runtime_s = 12,
                                                   .retries = 13,
                                                   .backoff_s = 14,
                                                   .backoff_max_s = 15,
                                                   .retry_unknown = true,
                                                   .critical = true,
                                                   .priority = -16},
                                            .on_count = 1,
                                            .on = {"n1"},
                                            .avoid_count = 1,
                                            .avoid = {"n2"},
                                            .label_count = 2,
                                            .labels = {"disk=fast", "zone=b"}};
}

static void a_schedule_survives_with_every_field(void **state)
{
    (void)state;
    struct manager_message message = {.kind = MANAGER_SCHEDULE_WANTED,
                                      .as.schedule_wanted = a_schedule()};
    struct manager_message back = round_trip(&message);
    const struct manager_schedule_wanted *got = &back.as.schedule_wanted;
    assert_string_equal(got->id, "run/report");
    assert_int_equal(got->term, 4);
    assert_int_equal(got->edition, 99);
    assert_int_equal(got->position, 1);
    assert_int_equal(got->total, 3);
    assert_memory_equal(&got->is, &message.as.schedule_wanted.is, sizeof got->is);
    assert_string_equal(got->on[0], "n1");
    assert_string_equal(got->avoid[0], "n2");
    assert_int_equal(got->label_count, 2);
    assert_string_equal(got->labels[1], "zone=b");

    message.as.schedule_wanted = (struct manager_schedule_wanted){.edition = 5};
    assert_int_equal(round_trip(&message).as.schedule_wanted.edition, 5);
}

static void ends_of_runs_survive(void **state)
{
    (void)state;
    struct manager_message message = {.kind = MANAGER_RUN_ENDED,
                                      .as.run_ended = {.duty = "run/report@m1#2",
                                                       .assignment = 31,
                                                       .outcome = MANAGER_OUTCOME_FAILED,
                                                       .reason = MANAGER_REASON_SIGNAL,
                                                       .exit_status = MANAGER_EXIT_SIGNAL + 9,
                                                       .started_wall_ms = 5,
                                                       .ended_wall_ms = 6}};
    struct manager_message back = round_trip(&message);
    assert_memory_equal(&back.as.run_ended, &message.as.run_ended, sizeof back.as.run_ended);
    message = (struct manager_message){.kind = MANAGER_RUN,
                                       .as.run = {.duty = "run/report@m1#2", .assignment = 31}};
    back = round_trip(&message);
    assert_string_equal(back.as.run.duty, "run/report@m1#2");
    assert_int_equal(back.as.run.assignment, 31);
}

static int decode(struct mp_writer *bytes)
{
    struct manager_message message;
    return manager_message_decode(bytes->buffer.data, bytes->buffer.length, &message, NULL);
}

static void appended_fields_are_ignored(void **state)
{
    (void)state;
    mp_writer_clear(&writer);
    mp_put_array(&writer, 4);
    mp_put_u64(&writer, MANAGER_PROTOCOL_VERSION);
    mp_put_u64(&writer, MANAGER_ROLE_ACK);
    mp_put_u64(&writer, 7);
    mp_put_text(&writer, "of a later version");
    assert_int_equal(decode(&writer), 0);
}

static void other_versions_and_kinds_are_told_apart(void **state)
{
    (void)state;
    mp_writer_clear(&writer);
    mp_put_array(&writer, 3);
    mp_put_u64(&writer, MANAGER_PROTOCOL_VERSION + 1);
    mp_put_u64(&writer, MANAGER_ROLE_ACK);
    mp_put_u64(&writer, 7);
    assert_int_equal(decode(&writer), ERR_UNSUPPORTED);
    mp_writer_clear(&writer);
    mp_put_array(&writer, 2);
    mp_put_u64(&writer, MANAGER_PROTOCOL_VERSION);
    mp_put_u64(&writer, 31);
    assert_int_equal(decode(&writer), ERR_UNSUPPORTED);
}

static void malformed_messages_are_refused(void **state)
{
    (void)state;
    struct manager_message message = {.kind = MANAGER_HEARTBEAT,
                                      .as.heartbeat = {.score_known = true, .score = 101}};
    mp_writer_clear(&writer);
    assert_int_equal(manager_message_encode(&message, &writer, NULL), 0);
    assert_int_equal(decode(&writer), ERR_PROTO); /* past the scale */

    message =
        (struct manager_message){.kind = MANAGER_HELLO, .as.hello = {.name = "../pm2", .pid = 1}};
    mp_writer_clear(&writer);
    assert_int_equal(manager_message_encode(&message, &writer, NULL), 0);
    assert_int_equal(decode(&writer), ERR_PROTO); /* would leave its folder */

    message.as.hello = (struct manager_hello){.name = "pm2", .pid = 1, .protocol = 1};
    mp_writer_clear(&writer);
    assert_int_equal(manager_message_encode(&message, &writer, NULL), 0);
    for (size_t length = 0; length < writer.buffer.length; length++) {
        struct manager_message cut;
        assert_int_not_equal(manager_message_decode(writer.buffer.data, length, &cut, NULL), 0);
    }
}

static void intents_without_a_ticket_are_refused(void **state)
{
    (void)state;
    struct manager_message message = {
        .kind = MANAGER_INTENT_WANTED,
        .as.intent_wanted = {.key = "github/a", .object = "ci.yml", .ticket = 1}};
    (void)round_trip(&message);
    message.as.intent_wanted.ticket = 0;
    mp_writer_clear(&writer);
    assert_int_equal(manager_message_encode(&message, &writer, NULL), 0);
    assert_int_equal(decode(&writer), ERR_PROTO);
    message.as.intent_wanted.ticket = 1;
    message.as.intent_wanted.keep_ms = MANAGER_INTENT_KEEP_MS_MAX + 1;
    mp_writer_clear(&writer);
    assert_int_equal(manager_message_encode(&message, &writer, NULL), 0);
    assert_int_equal(decode(&writer), ERR_PROTO);
}

static int decode_message(const struct manager_message *message)
{
    mp_writer_clear(&writer);
    assert_int_equal(manager_message_encode(message, &writer, NULL), 0);
    return decode(&writer);
}

static void impossible_schedules_and_ends_are_refused(void **state)
{
    (void)state;
    struct manager_message message = {.kind = MANAGER_SCHEDULE_WANTED};
    struct manager_schedule_wanted *wanted = &message.as.schedule_wanted;
    *wanted = a_schedule();
    assert_int_equal(decode_message(&message), 0);
    wanted->position = 3;
    assert_int_equal(decode_message(&message), ERR_PROTO); /* behind the end of the list */
    *wanted = a_schedule();
    wanted->total = 0;
    assert_int_equal(decode_message(&message), ERR_PROTO); /* of an empty list */
    *wanted = a_schedule();
    wanted->is.misfire_cap = 0;
    assert_int_equal(decode_message(&message), ERR_PROTO);
    *wanted = a_schedule();
    wanted->is.backoff_s = -1;
    assert_int_equal(decode_message(&message), ERR_PROTO);
    *wanted = a_schedule();
    wanted->is.fold = (enum manager_fold)3;
    assert_int_equal(decode_message(&message), ERR_PROTO);

    message = (struct manager_message){.kind = MANAGER_RUN_ENDED,
                                       .as.run_ended = {.duty = "run/a@m1",
                                                        .outcome = MANAGER_OUTCOME_RAN,
                                                        .reason = MANAGER_REASON_EXIT}};
    assert_int_equal(decode_message(&message), 0);
    message.as.run_ended.outcome = (enum manager_outcome)3; /* nobody who ran it may say skipped */
    assert_int_equal(decode_message(&message), ERR_PROTO);
    message.as.run_ended.outcome = MANAGER_OUTCOME_RAN;
    message.as.run_ended.exit_status = -2;
    assert_int_equal(decode_message(&message), ERR_PROTO);
}

/* A node of the version before sends no digest. */
static void a_grant_without_a_digest_is_understood(void **state)
{
    (void)state;
    struct manager_message message;
    mp_writer_clear(&writer);
    mp_put_array(&writer, 6);
    mp_put_u64(&writer, MANAGER_PROTOCOL_VERSION);
    mp_put_u64(&writer, MANAGER_GRANT);
    mp_put_text(&writer, "pm2/b");
    mp_put_u64(&writer, 5);
    mp_put_u64(&writer, 3);
    mp_put_i64(&writer, 88);
    assert_int_equal(
        manager_message_decode(writer.buffer.data, writer.buffer.length, &message, NULL), 0);
    assert_int_equal(message.as.grant.digest, 0);
}

static void documents_over_their_bound_are_not_sent(void **state)
{
    (void)state;
    static uint8_t large[MANAGER_OBSERVATION_BYTES_MAX + 1];
    struct manager_message message = {
        .kind = MANAGER_OBSERVATION,
        .as.observation.document = {.data = large, .length = sizeof large}};
    mp_writer_clear(&writer);
    assert_int_equal(manager_message_encode(&message, &writer, NULL), ERR_INVALID);
    message.as.observation.document.length--;
    assert_int_equal(manager_message_encode(&message, &writer, NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(every_message_to_the_node_survives, set_up, tear_down),
        cmocka_unit_test_setup_teardown(short_messages_to_the_node_survive, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_shorter_wish_is_understood, set_up, tear_down),
        cmocka_unit_test_setup_teardown(every_message_to_the_manager_survives, set_up, tear_down),
        cmocka_unit_test_setup_teardown(messages_about_intents_survive, set_up, tear_down),
        cmocka_unit_test_setup_teardown(intents_without_a_ticket_are_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_schedule_survives_with_every_field, set_up, tear_down),
        cmocka_unit_test_setup_teardown(ends_of_runs_survive, set_up, tear_down),
        cmocka_unit_test_setup_teardown(impossible_schedules_and_ends_are_refused, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_grant_without_a_digest_is_understood, set_up, tear_down),
        cmocka_unit_test_setup_teardown(appended_fields_are_ignored, set_up, tear_down),
        cmocka_unit_test_setup_teardown(other_versions_and_kinds_are_told_apart, set_up, tear_down),
        cmocka_unit_test_setup_teardown(malformed_messages_are_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(documents_over_their_bound_are_not_sent, set_up, tear_down),
    };
    return cmocka_run_group_tests_name("manager_protocol", tests, NULL, NULL);
}
