/* The control endpoint as clients see it: our own library, and raw bytes. */
#include "node/base/clock.h"
#include "node/base/doc.h"
#include "node/client/understudy.h"
#include "tests/unit/control/control_fixture.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <zmq.h>

#include <cmocka.h>

#define PATIENCE_MS 60000 /* a busy machine is no failure */

static struct fixture node;

static int set_up(void **state)
{
    (void)state;
    fixture_init(&node);
    return fixture_start(&node);
}

static int set_up_bounded(void **state)
{
    (void)state;
    fixture_init(&node);
    node.deadline_ms = 200;
    node.requests_max = 6;
    node.requests_per_client_max = 3;
    node.stream_queue_max = 8;
    return fixture_start(&node);
}

static int set_up_tcp(void **state)
{
    (void)state;
    fixture_init(&node);
    node.with_tcp = true;
    return fixture_start(&node);
}

static int tear_down(void **state)
{
    (void)state;
    fixture_deinit(&node);
    return 0;
}

static struct understudy *connect_to(const struct fixture *to)
{
    struct understudy *client = NULL;
    struct understudy_error error;
    int rc = understudy_connect(to->endpoint, NULL, PATIENCE_MS, &client, &error);
    if (rc != UNDERSTUDY_DONE) {
        fail_msg("%s", error.message);
    }
    return client;
}

/* One call on a connection of its own; the document, or NULL with the error. */
static json_t *ask(const char *verb, const char *args, int exit, struct understudy_error *error)
{
    struct understudy *client = connect_to(&node);
    char *text = NULL;
    *error = (struct understudy_error){0};
    int rc = understudy_call(client, verb, args, PATIENCE_MS, &text, error);
    if (rc != exit) {
        fail_msg("%s: exit %d (%s), expected %d", verb, rc, error->message, exit);
    }
    assert_int_equal(error->exit, exit);
    json_t *document = text == NULL ? NULL : json_loads(text, 0, NULL);
    free(text);
    understudy_destroy(&client);
    return document;
}

static void wait_for(atomic_int *value, int wanted)
{
    int64_t end_ms = clock_boot_ms() + PATIENCE_MS;
    while (*value != wanted) {
        assert_true(clock_boot_ms() < end_ms);
        (void)usleep(1000);
    }
}

static void the_envelope_is_whole(void **state)
{
    (void)state;
    struct understudy_error error;
    json_t *document = ask("status", NULL, UNDERSTUDY_DONE, &error);
    assert_string_equal(doc_get_text(document, "schema", ""), "understudy.status/1");
    assert_string_equal(doc_get_text(document, "node", ""), "n1");
    assert_string_equal(doc_get_text(document, "cluster", ""), "demo");
    assert_int_equal(doc_get_integer(document, "term", 0), 4);
    assert_true(json_is_false(json_object_get(document, "stale")));
    const char *time = doc_get_text(document, "time", "");
    assert_int_equal(strlen(time), strlen("2026-01-31T12:00:00.000Z"));
    const json_t *data = json_object_get(document, "data");
    assert_string_equal(doc_get_text(data, "leader", ""), "n2");
    assert_int_equal(json_object_size(document), 7);
    json_decref(document);
}

/* A client names no file that the node would open for it. */
static void a_node_answers_from_no_file(void **state)
{
    (void)state;
    struct understudy_error error;
    json_t *document =
        ask("why leader", "{\"snapshot\":\"/etc/passwd\"}", UNDERSTUDY_USAGE, &error);
    assert_null(document);
    assert_string_equal(error.code, "invalid");
    assert_non_null(strstr(error.message, "a node answers from no file"));
}

static void without_quorum_reads_are_stale_and_exit_5(void **state)
{
    (void)state;
    struct understudy_error error;
    node.quorum = false;
    json_t *document = ask("status", NULL, UNDERSTUDY_NO_QUORUM, &error);
    assert_true(json_is_true(json_object_get(document, "stale")));
    assert_non_null(json_object_get(json_object_get(document, "data"), "leader"));
    json_decref(document);
    document = ask("health", NULL, UNDERSTUDY_NO_QUORUM, &error);
    json_decref(document);
    document = ask("health", "{\"local\":true}", UNDERSTUDY_FAILED, &error);
    assert_true(json_is_false(json_object_get(document, "stale")));
    json_decref(document);
}

static void an_unhealthy_answer_is_a_document_with_exit_1(void **state)
{
    (void)state;
    struct understudy_error error;
    json_t *document = ask("health", NULL, UNDERSTUDY_FAILED, &error);
    assert_true(json_number_value(json_object_get(json_object_get(document, "data"), "node")) >
                42.4);
    json_decref(document);
    wait_for(&node.finished_exit, 1);
}

static void failures_carry_code_exit_message_and_hint(void **state)
{
    (void)state;
    struct understudy_error error;
    assert_null(ask("remove", "{\"node\":\"n9\"}", UNDERSTUDY_NOT_FOUND, &error));
    assert_string_equal(error.code, "not_found");
    assert_string_equal(error.message, "no node is named n9");
    assert_null(ask("remove", "{\"node\":\"n1\"}", UNDERSTUDY_UNSAFE, &error));
    assert_string_equal(error.code, "unsafe");
    assert_string_equal(error.hint, "add a voter first");
    assert_null(ask("remove", "{}", UNDERSTUDY_USAGE, &error));
    assert_null(ask("statsu", NULL, UNDERSTUDY_USAGE, &error));
    assert_non_null(strstr(error.hint, "status"));
    assert_null(ask("drill", NULL, UNDERSTUDY_USAGE, &error));
    assert_non_null(strstr(error.message, "not in this version"));
    assert_null(ask("members", NULL, UNDERSTUDY_USAGE, &error)); /* no handler here */
    assert_non_null(strstr(error.message, "not in this version"));
}

static void nobody_there_is_told_at_once(void **state)
{
    (void)state;
    struct understudy *client = NULL;
    struct understudy_error error;
    char endpoint[160];
    (void)snprintf(endpoint, sizeof endpoint, "ipc://%s/none.sock", node.folder);
    assert_int_equal(understudy_connect(endpoint, NULL, PATIENCE_MS, &client, &error),
                     UNDERSTUDY_NO_NODE);
    assert_true(error.hint[0] != '\0');
    assert_null(client);
    assert_int_equal(understudy_connect("gopher://x", NULL, 1000, &client, &error),
                     UNDERSTUDY_USAGE);
    assert_int_equal(understudy_connect("tcp://127.0.0.1:9", NULL, 1000, &client, &error),
                     UNDERSTUDY_USAGE); /* no keys */
}

struct lines {
    struct understudy *client;
    int count;
    int last;
    uint64_t dropped;
    int stop_after;
};

static int take_line(void *context, const char *envelope, uint64_t dropped)
{
    struct lines *lines = context;
    json_t *document = json_loads(envelope, 0, NULL);
    assert_string_equal(doc_get_text(document, "schema", ""), "understudy.events/1");
    lines->last = (int)doc_get_integer(json_object_get(document, "data"), "n", -1);
    lines->dropped += dropped;
    lines->count++;
    json_decref(document);
    return lines->count == lines->stop_after;
}

static void a_finite_stream_ends(void **state)
{
    (void)state;
    struct understudy *client = connect_to(&node);
    struct lines lines = {0};
    node.flood = 5;
    struct understudy_error error = {0};
    assert_int_equal(understudy_stream(client, "events", "{\"since\":\"1s\"}", PATIENCE_MS,
                                       take_line, &lines, &error),
                     UNDERSTUDY_DONE);
    assert_int_equal(lines.count, 5);
    node.flood = 0;
    lines.count = 0;
    assert_int_equal(
        understudy_stream(client, "events", NULL, PATIENCE_MS, take_line, &lines, &error),
        UNDERSTUDY_DONE);
    assert_int_equal(lines.count, 0);
    node.quorum = false;
    node.flood = 1;
    assert_int_equal(
        understudy_stream(client, "events", NULL, PATIENCE_MS, take_line, &lines, &error),
        UNDERSTUDY_NO_QUORUM);
    assert_int_equal(lines.count, 1);
    understudy_destroy(&client);
}

static void an_endless_stream_ends_when_the_reader_has_enough(void **state)
{
    (void)state;
    struct understudy *client = connect_to(&node);
    struct lines lines = {.stop_after = 3};
    struct understudy_error error = {0};
    node.flood = 10;
    assert_int_equal(understudy_stream(client, "events", "{\"follow\":true}", PATIENCE_MS,
                                       take_line, &lines, &error),
                     UNDERSTUDY_DONE);
    assert_int_equal(lines.count, 3);
    wait_for(&node.closed, 1); /* the cancel arrived */
    /* The connection goes on: lines of the ended stream do not disturb. */
    char *text = NULL;
    assert_int_equal(understudy_call(client, "status", NULL, PATIENCE_MS, &text, &error),
                     UNDERSTUDY_DONE);
    free(text);
    understudy_destroy(&client);
}

static void *cancel_later(void *argument)
{
    wait_for(&node.held, 1);
    understudy_cancel(argument);
    return NULL;
}

static void another_thread_can_cancel(void **state)
{
    (void)state;
    struct understudy *client = connect_to(&node);
    struct lines lines = {0};
    struct understudy_error error = {0};
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, cancel_later, client), 0);
    assert_int_equal(understudy_stream(client, "events", "{\"follow\":true}", PATIENCE_MS,
                                       take_line, &lines, &error),
                     UNDERSTUDY_DONE);
    (void)pthread_join(thread, NULL);
    wait_for(&node.closed, 1);
    understudy_destroy(&client);
}

static int stop_at_second(void *context, const char *envelope, uint64_t dropped)
{
    int *count = context;
    (void)dropped;
    assert_non_null(strstr(envelope, "understudy.status/1"));
    return ++*count == 2;
}

static void a_watched_document_comes_again(void **state)
{
    (void)state;
    struct understudy *client = connect_to(&node);
    struct understudy_error error = {0};
    int count = 0;
    assert_int_equal(understudy_stream(client, "status", "{\"watch\":true}", PATIENCE_MS,
                                       stop_at_second, &count, &error),
                     UNDERSTUDY_DONE);
    assert_int_equal(count, 2);
    understudy_destroy(&client);
}

static void a_held_request_times_out_with_exit_4(void **state)
{
    (void)state;
    struct understudy_error error;
    assert_null(ask("drain", "{\"node\":\"n2\"}", UNDERSTUDY_TIMED_OUT, &error));
    assert_non_null(strstr(error.message, "it may still happen"));
    wait_for(&node.closed, 1);
    fixture_counters(&node);
    assert_int_equal(node.counters.timed_out, 1);
    assert_int_equal(node.counters.held, 0);
}

static void the_clients_own_timeout_counts_too(void **state)
{
    (void)state;
    struct understudy *client = connect_to(&node);
    struct understudy_error error = {0};
    char *text = NULL;
    assert_int_equal(understudy_call(client, "drain", "{\"node\":\"n2\"}", 100, &text, &error),
                     UNDERSTUDY_TIMED_OUT);
    wait_for(&node.closed, 1); /* within the client's 100 ms, not the node's 15 s */
    understudy_destroy(&client);
}

static void *stop_when_held(void *argument)
{
    (void)argument;
    wait_for(&node.held, 1);
    fixture_stop(&node);
    return NULL;
}

static void a_stopping_node_says_so(void **state)
{
    (void)state;
    struct understudy_error error;
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, stop_when_held, NULL), 0);
    assert_null(ask("drain", "{\"node\":\"n2\"}", UNDERSTUDY_NO_NODE, &error));
    (void)pthread_join(thread, NULL);
    assert_int_not_equal(access(node.path, F_OK), 0); /* the socket's file is gone */
}

/* ---- raw bytes ---- */

struct raw {
    void *context;
    void *socket;
};

static void raw_open(struct raw *self, int receive_high_water)
{
    self->context = zmq_ctx_new();
    self->socket = zmq_socket(self->context, ZMQ_DEALER);
    int linger = 0;
    int patience = PATIENCE_MS;
    (void)zmq_setsockopt(self->socket, ZMQ_LINGER, &linger, sizeof linger);
    (void)zmq_setsockopt(self->socket, ZMQ_RCVTIMEO, &patience, sizeof patience);
    if (receive_high_water > 0) {
        int buffer = 4096;
        (void)zmq_setsockopt(self->socket, ZMQ_RCVHWM, &receive_high_water,
                             sizeof receive_high_water);
        (void)zmq_setsockopt(self->socket, ZMQ_RCVBUF, &buffer, sizeof buffer);
    }
    assert_int_equal(zmq_connect(self->socket, node.endpoint), 0);
}

static void raw_close(struct raw *self)
{
    (void)zmq_close(self->socket);
    (void)zmq_ctx_term(self->context);
}

static void raw_send(const struct raw *self, const void *bytes, size_t length)
{
    assert_int_equal(zmq_send(self->socket, "", 0, ZMQ_SNDMORE), 0);
    assert_int_equal(zmq_send(self->socket, bytes, length, 0), (int)length);
}

static void raw_request(const struct raw *self, uint64_t id, const char *verb, const char *flag)
{
    struct mp_writer writer;
    mp_writer_init(&writer, 4096);
    mp_put_map(&writer, 4);
    mp_put_text(&writer, "v");
    mp_put_u64(&writer, 1);
    mp_put_text(&writer, "id");
    mp_put_u64(&writer, id);
    mp_put_text(&writer, "verb");
    mp_put_text(&writer, verb);
    mp_put_text(&writer, "args");
    mp_put_map(&writer, flag == NULL ? 0 : 1);
    if (flag != NULL) {
        mp_put_text(&writer, flag);
        mp_put_bool(&writer, true);
    }
    raw_send(self, writer.buffer.data, writer.buffer.length);
    mp_writer_deinit(&writer);
}

/* The next reply as JSON. */
static json_t *raw_receive(const struct raw *self)
{
    static const struct mp_limits limits = {1 << 20, 10000, 16};
    zmq_msg_t frame;
    json_t *document = NULL;
    (void)zmq_msg_init(&frame);
    assert_int_equal(zmq_msg_recv(&frame, self->socket, 0), 0); /* the empty frame */
    assert_true(zmq_msg_more(&frame));
    assert_true(zmq_msg_recv(&frame, self->socket, 0) > 0);
    assert_false(zmq_msg_more(&frame));
    assert_int_equal(
        doc_from_msgpack(zmq_msg_data(&frame), zmq_msg_size(&frame), &limits, &document, NULL), 0);
    (void)zmq_msg_close(&frame);
    return document;
}

static void expect_error(const struct raw *raw, int id, const char *code)
{
    json_t *reply = raw_receive(raw);
    assert_int_equal(doc_get_integer(reply, "v", 0), 1);
    assert_int_equal(doc_get_integer(reply, "id", -1), id);
    assert_true(json_is_false(json_object_get(reply, "ok")));
    assert_true(json_is_false(json_object_get(reply, "more")));
    const json_t *error = json_object_get(reply, "error");
    assert_string_equal(doc_get_text(error, "code", ""), code);
    assert_true(doc_get_integer(error, "exit", 0) > 0);
    assert_true(doc_get_text(error, "message", "")[0] != '\0');
    assert_non_null(json_object_get(error, "hint"));
    json_decref(reply);
}

static void malformed_requests_are_answered_or_dropped(void **state)
{
    (void)state;
    struct raw raw;
    raw_open(&raw, 0);
    /* Without an id: dropped and counted. */
    raw_send(&raw, "\xff\xff\xff", 3);
    raw_send(&raw, "", 0);
    raw_send(&raw, "\x93\x01\x02\x03", 4);
    raw_send(&raw, "\xdf\xff\xff\xff\xff", 5);
    assert_int_equal(zmq_send(raw.socket, "one frame", 9, 0), 9);
    assert_int_equal(zmq_send(raw.socket, "a", 1, ZMQ_SNDMORE), 1);
    assert_int_equal(zmq_send(raw.socket, "b", 1, ZMQ_SNDMORE), 1);
    assert_int_equal(zmq_send(raw.socket, "c", 1, 0), 1);
    /* With one: told. */
    raw_send(&raw, "\x81\xa2id\x07", 5);
    expect_error(&raw, 7, "malformed");
    raw_send(&raw, "\x83\xa2id\x08\xa1v\x02\xa4verb\xa6status", 20);
    expect_error(&raw, 8, "not_supported");
    raw_send(&raw,
             "\x84\xa2id\x09\xa1v\x01\xa4verb\xa6status\xa4"
             "args\x01",
             26);
    expect_error(&raw, 9, "malformed");
    raw_request(&raw, 10, "status", "nonsense");
    expect_error(&raw, 10, "invalid");
    raw_request(&raw, 11, "status", NULL);
    json_t *reply = raw_receive(&raw);
    assert_true(json_is_true(json_object_get(reply, "ok")));
    assert_string_equal(doc_get_text(json_object_get(reply, "result"), "schema", ""),
                        "understudy.status/1");
    json_decref(reply);
    fixture_counters(&node);
    assert_int_equal(node.counters.malformed, 9);
    raw_close(&raw);
}

static void random_bytes_on_the_socket_change_nothing(void **state)
{
    (void)state;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    (void)snprintf(address.sun_path, sizeof address.sun_path, "%s", node.path);
    unsigned seed = 1;
    for (int round = 0; round < 20; round++) {
        int fd = socket(AF_UNIX, SOCK_STREAM, 0);
        assert_int_equal(connect(fd, (const struct sockaddr *)&address, sizeof address), 0);
        unsigned char noise[512];
        for (size_t i = 0; i < sizeof noise; i++) {
            seed = seed * 1103515245u + 12345u;
            noise[i] = (unsigned char)(seed >> 16);
        }
        (void)!send(fd, noise, sizeof noise, MSG_NOSIGNAL);
        (void)close(fd);
    }
    struct understudy_error error;
    json_decref(ask("status", NULL, UNDERSTUDY_DONE, &error));
}

static void a_slow_reader_loses_the_oldest_and_is_told(void **state)
{
    (void)state;
    struct raw raw;
    raw_open(&raw, 1);
    node.flood = 5000;
    raw_request(&raw, 1, "events", "follow");
    wait_for(&node.held, 1); /* all 5000 were sent, and nothing was read */
    int64_t dropped = 0;
    int64_t last = -1;
    int count = 0;
    while (last < 4999) {
        json_t *reply = raw_receive(&raw);
        int64_t n =
            doc_get_integer(json_object_get(json_object_get(reply, "result"), "data"), "n", -1);
        assert_int_equal(n, last + 1 + doc_get_integer(reply, "dropped", 0));
        dropped += doc_get_integer(reply, "dropped", 0);
        last = n;
        count++;
        json_decref(reply);
    }
    assert_true(dropped > 0);
    assert_int_equal(count + dropped, 5000);
    raw_close(&raw);
}

static void requests_under_way_are_bounded(void **state)
{
    (void)state;
    struct raw raw;
    struct raw other;
    struct raw third;
    raw_open(&raw, 0);
    raw_open(&other, 0);
    raw_open(&third, 0);
    for (uint64_t id = 1; id <= 3; id++) {
        raw_request(&raw, id, "events", "follow");
        raw_request(&other, id, "events", "follow");
    }
    wait_for(&node.held, 6);
    raw_request(&raw, 3, "events", "follow");
    expect_error(&raw, 3, "malformed"); /* the id is in use */
    /* Everything is taken. */
    raw_request(&third, 1, "status", NULL);
    json_t *reply = raw_receive(&raw); /* the streams get a sign of life first */
    assert_null(json_object_get(reply, "result"));
    assert_true(json_is_true(json_object_get(reply, "more")));
    json_decref(reply);
    expect_error(&third, 1, "busy");
    /* A client that went away without a word makes room. */
    raw_close(&other);
    for (uint64_t id = 2;; id++) {
        raw_request(&third, id, "status", NULL);
        reply = raw_receive(&third);
        bool good = json_is_true(json_object_get(reply, "ok"));
        json_decref(reply);
        if (good) {
            break;
        }
    }
    assert_int_equal(node.closed, 3);
    /* One client alone has its own bound. */
    raw_request(&raw, 4, "status", NULL);
    do {
        reply = raw_receive(&raw);
        bool sign_of_life = json_object_get(reply, "error") == NULL;
        json_decref(reply);
        if (!sign_of_life) {
            break;
        }
    } while (true);
    /* Cancelling gives it back, in silence. */
    raw_request(&raw, 1, "cancel", NULL);
    wait_for(&node.closed, 4);
    raw_request(&raw, 5, "status", NULL);
    reply = raw_receive(&raw);
    assert_int_equal(doc_get_integer(reply, "id", 0), 5);
    json_decref(reply);
    raw_close(&raw);
    raw_close(&third);
}

/* ---- roles, leader, paths ---- */

static void render_works_in_process(struct fixture *self, struct control *control)
{
    (void)self;
    json_t *document = control_render(control, "status", NULL);
    assert_string_equal(doc_get_text(document, "schema", ""), "understudy.status/1");
    json_decref(document);
    json_t *args = json_pack("{s:s}", "node", "n2");
    assert_null(control_render(control, "drain", args)); /* operator's, and the leader's */
    json_decref(args);
    assert_null(control_render(control, "no such verb", NULL));
    assert_null(control_render(control, "events", NULL));
}

static void documents_can_be_rendered_for_http(void **state)
{
    (void)state;
    fixture_run(&node, render_works_in_process);
    fixture_counters(&node);
    assert_int_equal(node.counters.held, 0);
}

static int ask_tcp(const char *public_key, const char *secret_key, const char *verb,
                   const char *args, struct understudy_error *error)
{
    struct understudy_keys keys = {node.node_public, public_key, secret_key};
    struct understudy *client = NULL;
    char *text = NULL;
    *error = (struct understudy_error){0};
    int rc = understudy_connect(node.tcp, &keys, PATIENCE_MS, &client, error);
    if (rc == UNDERSTUDY_DONE) {
        rc = understudy_call(client, verb, args, PATIENCE_MS, &text, error);
        free(text);
    }
    understudy_destroy(&client);
    return rc;
}

static void over_tcp_the_key_decides(void **state)
{
    (void)state;
    struct understudy_error error;
    static const char remove_n3[] = "{\"node\":\"n3\"}";
    assert_int_equal(
        ask_tcp(node.operator_public, node.operator_secret, "remove", remove_n3, &error),
        UNDERSTUDY_DONE);
    assert_int_equal(ask_tcp(node.viewer_public, node.viewer_secret, "status", NULL, &error),
                     UNDERSTUDY_DONE);
    assert_int_equal(ask_tcp(node.viewer_public, node.viewer_secret, "remove", remove_n3, &error),
                     UNDERSTUDY_DENIED);
    assert_string_equal(error.code, "not_authorised");
    char stranger_public[41];
    char stranger_secret[41];
    assert_int_equal(zmq_curve_keypair(stranger_public, stranger_secret), 0);
    assert_int_equal(ask_tcp(stranger_public, stranger_secret, "status", NULL, &error),
                     UNDERSTUDY_DENIED);
    fixture_counters(&node);
    assert_int_equal(node.counters.denied, 1);
}

static void a_wrong_key_of_the_node_is_told(void **state)
{
    (void)state;
    struct understudy_error error;
    (void)memcpy(node.node_public, node.viewer_public, sizeof node.node_public);
    assert_int_equal(ask_tcp(node.operator_public, node.operator_secret, "status", NULL, &error),
                     UNDERSTUDY_DENIED);
    struct understudy_keys keys = {node.node_public, node.viewer_public, node.viewer_secret};
    struct understudy *client = NULL;
    assert_int_equal(understudy_connect("tcp://127.0.0.1:9", &keys, PATIENCE_MS, &client, &error),
                     UNDERSTUDY_NO_NODE); /* nobody there: not a matter of keys */
}

static void leaders_verbs_fail_without_a_leader(void **state)
{
    (void)state;
    struct understudy_error error;
    node.leads = false;
    node.leader_known = false;
    assert_null(ask("remove", "{\"node\":\"n3\"}", UNDERSTUDY_NO_QUORUM, &error));
    assert_string_equal(error.code, "no_leader");
    node.leader_known = true; /* known, not reachable */
    assert_null(ask("remove", "{\"node\":\"n3\"}", UNDERSTUDY_NO_QUORUM, &error));
    assert_string_equal(error.code, "no_leader");
    json_decref(ask("status", NULL, UNDERSTUDY_DONE, &error)); /* reads are answered here */
}

/* Another node leads, and is there; the caller ends it with fixture_deinit. */
static void follow(struct fixture *leader)
{
    fixture_init(leader);
    assert_int_equal(fixture_start(leader), 0);
    node.leads = false;
    node.leader = leader;
}

static void leaders_verbs_are_passed_on(void **state)
{
    (void)state;
    struct understudy_error error;
    struct fixture leader;
    follow(&leader);
    json_t *document = ask("remove", "{\"node\":\"n3\"}", UNDERSTUDY_DONE, &error);
    const json_t *data = json_object_get(document, "data");
    assert_string_equal(doc_get_text(data, "removed", ""), "n3");
    assert_string_equal(doc_get_text(data, "by", ""), "local"); /* who asked, not who passed on */
    json_decref(document);
    assert_null(ask("remove", "{\"node\":\"n9\"}", UNDERSTUDY_NOT_FOUND, &error));
    assert_string_equal(error.message, "no node is named n9");
    leader.leads = false; /* it was deposed meanwhile */
    assert_null(ask("remove", "{\"node\":\"n3\"}", UNDERSTUDY_NO_QUORUM, &error));
    fixture_counters(&leader);
    assert_int_equal(leader.counters.held, 0);
    fixture_stop(&node);
    fixture_deinit(&leader);
}

static uint64_t requests_of(struct fixture *self)
{
    fixture_counters(self);
    return self->counters.requests;
}

static void a_node_outside_passes_reads_on(void **state)
{
    (void)state;
    struct understudy_error error;
    struct fixture leader;
    follow(&leader);
    node.quorum = false;
    node.outside = true;
    json_t *document = ask("status", NULL, UNDERSTUDY_DONE, &error);
    assert_false(json_is_true(json_object_get(document, "stale")));
    json_decref(document);
    assert_int_equal(requests_of(&leader), 1);
    node.leader_known = false;
    json_decref(ask("status", NULL, UNDERSTUDY_NO_QUORUM, &error));
    node.leader_known = true;
    json_decref(ask("health", NULL, UNDERSTUDY_NO_QUORUM, &error)); /* tells of the asked node */
    assert_int_equal(requests_of(&leader), 1);
    node.outside = false;
    json_decref(ask("status", NULL, UNDERSTUDY_NO_QUORUM, &error));
    assert_int_equal(requests_of(&leader), 1);
    fixture_stop(&node);
    fixture_deinit(&leader);
}

static void bad_forwards(struct fixture *self, struct control *control)
{
    (void)self;
    static const char *const bytes[] = {"\xc0", "\x91\x01", "\x97\x01\x01\xa1x\x01\xa1n\x01\x01"};
    static const size_t lengths[] = {1, 2, 10};
    for (size_t i = 0; i < 3; i++) {
        struct err err = {0};
        assert_int_not_equal(control_execute_forwarded(control, "n2", (const uint8_t *)bytes[i],
                                                       i == 2 ? 3 : lengths[i], &err),
                             0);
        assert_int_not_equal(control_accept_forward_reply(control, (const uint8_t *)bytes[i],
                                                          i == 2 ? 3 : lengths[i], &err),
                             0);
    }
}

static void forward_health(struct fixture *self, struct control *control)
{
    (void)self;
    struct mp_writer writer;
    mp_writer_init(&writer, 4096);
    mp_put_array(&writer, 7);
    mp_put_u64(&writer, 1);
    mp_put_u64(&writer, 1);
    mp_put_text(&writer, "health");
    mp_put_map(&writer, 0);
    mp_put_text(&writer, "operator");
    mp_put_u64(&writer, VERB_OPERATOR);
    mp_put_u64(&writer, 1000);
    assert_int_equal(
        control_execute_forwarded(control, "n2", writer.buffer.data, writer.buffer.length, NULL),
        0);
    mp_writer_deinit(&writer);
}

static void only_leaders_verbs_are_passed_on(void **state)
{
    (void)state;
    fixture_run(&node, forward_health);
    assert_int_equal(node.finished_exit, EXIT_USAGE); /* the handler would have said 1 */
}

static void malformed_forwards_are_refused(void **state)
{
    (void)state;
    fixture_run(&node, bad_forwards);
}

static void a_live_path_is_not_bound_twice(void **state)
{
    (void)state;
    struct fixture second;
    struct stat status;
    fixture_init(&second);
    (void)snprintf(second.path, sizeof second.path, "%s", node.path);
    assert_int_equal(fixture_start(&second), ERR_BUSY);
    struct understudy_error error;
    json_decref(ask("status", NULL, UNDERSTUDY_DONE, &error)); /* the first still answers */
    assert_int_equal(stat(node.path, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0660);
    second.path[0] = '\0';
    fixture_deinit(&second);
}

static void the_path_of_a_dead_process_is_taken_over(void **state)
{
    (void)state;
    fixture_stop(&node);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    (void)snprintf(address.sun_path, sizeof address.sun_path, "%s", node.path);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(bind(fd, (const struct sockaddr *)&address, sizeof address), 0);
    (void)close(fd); /* the file stays, nobody listens */
    assert_int_equal(fixture_start(&node), 0);
    struct understudy_error error;
    json_decref(ask("status", NULL, UNDERSTUDY_DONE, &error));
    fixture_stop(&node);
    FILE *file = fopen(node.path, "w");
    assert_non_null(file);
    (void)fclose(file);
    assert_int_equal(fixture_start(&node), ERR_EXISTS); /* somebody's file is not removed */
}

static void a_path_that_is_too_long_is_refused(void **state)
{
    (void)state;
    struct err err = {0};
    struct control *control = NULL;
    char path[200];
    memset(path, 'x', sizeof path);
    path[0] = '/';
    path[108] = '\0';
    zmq_pollitem_t unused;
    struct control_config config = {.loop = (struct _zloop_t *)&unused, .ipc_path = path};
    assert_int_equal(control_create(&config, &control, &err), ERR_INVALID); /* no facts */
    fixture_stop(&node);
    (void)snprintf(node.path, sizeof node.path, "/tmp/%090d", 1);
    assert_int_equal(fixture_start(&node), 0); /* 95 bytes are fine */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
#define TEST_BOUNDED(name) cmocka_unit_test_setup_teardown(name, set_up_bounded, tear_down)
        TEST(the_envelope_is_whole),
        TEST(a_node_answers_from_no_file),
        TEST(without_quorum_reads_are_stale_and_exit_5),
        TEST(an_unhealthy_answer_is_a_document_with_exit_1),
        TEST(failures_carry_code_exit_message_and_hint),
        TEST(nobody_there_is_told_at_once),
        TEST(a_finite_stream_ends),
        TEST(an_endless_stream_ends_when_the_reader_has_enough),
        TEST(another_thread_can_cancel),
        TEST(a_watched_document_comes_again),
        TEST_BOUNDED(a_held_request_times_out_with_exit_4),
        TEST(the_clients_own_timeout_counts_too),
        TEST(a_stopping_node_says_so),
        TEST(malformed_requests_are_answered_or_dropped),
        TEST(random_bytes_on_the_socket_change_nothing),
        TEST_BOUNDED(a_slow_reader_loses_the_oldest_and_is_told),
        TEST_BOUNDED(requests_under_way_are_bounded),
        TEST(documents_can_be_rendered_for_http),
        cmocka_unit_test_setup_teardown(over_tcp_the_key_decides, set_up_tcp, tear_down),
        cmocka_unit_test_setup_teardown(a_wrong_key_of_the_node_is_told, set_up_tcp, tear_down),
        TEST(leaders_verbs_fail_without_a_leader),
        TEST(leaders_verbs_are_passed_on),
        TEST(a_node_outside_passes_reads_on),
        TEST(only_leaders_verbs_are_passed_on),
        TEST(malformed_forwards_are_refused),
        TEST(a_live_path_is_not_bound_twice),
        TEST(the_path_of_a_dead_process_is_taken_over),
        TEST(a_path_that_is_too_long_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
