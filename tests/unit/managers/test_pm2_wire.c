/* AMP frames, requests and rows: what goes to PM2 is exact, what comes from it is doubted. */
#include "managers/pm2/daemon/amp.h"
#include "managers/pm2/daemon/request.h"
#include "managers/pm2/watch/entry.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* The bytes of a ping and its answer, as measured on a real daemon. */
static const uint8_t ping_frame[] = {
    0x12, 0x00, 0x00, 0x00, 0x2d, 0x6a, 0x3a, 0x7b, 0x22, 0x74, 0x79, 0x70, 0x65, 0x22, 0x3a, 0x22,
    0x63, 0x61, 0x6c, 0x6c, 0x22, 0x2c, 0x22, 0x6d, 0x65, 0x74, 0x68, 0x6f, 0x64, 0x22, 0x3a, 0x22,
    0x70, 0x69, 0x6e, 0x67, 0x22, 0x2c, 0x22, 0x61, 0x72, 0x67, 0x73, 0x22, 0x3a, 0x5b, 0x7b, 0x7d,
    0x5d, 0x7d, 0x00, 0x00, 0x00, 0x08, 0x73, 0x3a, 0x31, 0x32, 0x33, 0x34, 0x3a, 0x30};
static const uint8_t pong_frame[] = {
    0x12, 0x00, 0x00, 0x00, 0x1b, 0x6a, 0x3a, 0x7b, 0x22, 0x61, 0x72, 0x67, 0x73, 0x22, 0x3a,
    0x5b, 0x7b, 0x22, 0x6d, 0x73, 0x67, 0x22, 0x3a, 0x22, 0x70, 0x6f, 0x6e, 0x67, 0x22, 0x7d,
    0x5d, 0x7d, 0x00, 0x00, 0x00, 0x08, 0x73, 0x3a, 0x31, 0x32, 0x33, 0x34, 0x3a, 0x30};

static void ping_has_the_measured_bytes(void **state)
{
    (void)state;
    struct buffer out;
    buffer_init(&out, 4096);
    struct request request = {.method = REQUEST_PING};
    assert_int_equal(request_put(&request, "1234:0", &out, NULL), 0);
    assert_int_equal(out.length, sizeof ping_frame);
    assert_memory_equal(out.data, ping_frame, sizeof ping_frame);
    buffer_deinit(&out);
}

/* Feeds the bytes in pieces and counts the frames. */
static unsigned feed(struct amp_parser *parser, const uint8_t *bytes, size_t length, size_t piece)
{
    unsigned frames = 0;
    for (size_t done = 0; done < length;) {
        size_t used;
        bool complete;
        size_t part = length - done < piece ? length - done : piece;
        assert_int_equal(amp_parser_feed(parser, bytes + done, part, &used, &complete, NULL), 0);
        done += used;
        frames += complete;
    }
    return frames;
}

static void frames_may_be_split_and_merged(void **state)
{
    (void)state;
    uint8_t twice[2 * sizeof pong_frame];
    memcpy(twice, pong_frame, sizeof pong_frame);
    memcpy(twice + sizeof pong_frame, pong_frame, sizeof pong_frame);
    for (size_t piece = 1; piece <= sizeof twice; piece++) {
        struct amp_parser parser;
        amp_parser_init(&parser, 4096);
        assert_int_equal(feed(&parser, twice, sizeof twice, piece), 2);
        struct amp_arg body;
        struct amp_arg id;
        assert_true(amp_parser_arg(&parser, 0, &body));
        assert_true(amp_parser_arg(&parser, 1, &id));
        assert_false(amp_parser_arg(&parser, 2, &id));
        assert_int_equal(body.type, AMP_JSON);
        assert_int_equal(body.length, 25);
        assert_true(amp_parser_arg(&parser, 1, &id));
        assert_int_equal(id.type, AMP_TEXT);
        assert_memory_equal(id.data, "1234:0", 6);
        amp_parser_deinit(&parser);
    }
}

static void oversized_frame_is_drained(void **state)
{
    (void)state;
    struct amp_parser parser;
    amp_parser_init(&parser, 16); /* less than the frame, more than the next */
    assert_int_equal(feed(&parser, pong_frame, sizeof pong_frame, 7), 1);
    assert_int_equal(amp_parser_argc(&parser), 0);
    static const uint8_t small[] = {0x11, 0, 0, 0, 3, 's', ':', 'x'};
    assert_int_equal(feed(&parser, small, sizeof small, 2), 1);
    assert_int_equal(amp_parser_argc(&parser), 1);
    amp_parser_deinit(&parser);
}

static void foreign_bytes_end_the_connection(void **state)
{
    (void)state;
    static const char *const streams[] = {"HTTP/1.1 200 OK", "\x10\x10", "\x22zzzz",
                                          "\x11\xff\xff\xff\xff"};
    for (size_t i = 0; i < sizeof streams / sizeof streams[0]; i++) {
        struct amp_parser parser;
        size_t used;
        bool complete;
        amp_parser_init(&parser, 4096);
        assert_int_equal(amp_parser_feed(&parser, (const uint8_t *)streams[i], strlen(streams[i]),
                                         &used, &complete, NULL),
                         ERR_PROTO);
        amp_parser_deinit(&parser);
    }
}

static json_t *good_app(void)
{
    return json_pack("{ss ss ss ss ss ss ss ss ss ss si s[] s[s] s{ss}}", "name", "a", "exec_mode",
                     "fork_mode", "exec_interpreter", "none", "pm_exec_path", "/bin/true", "pm_cwd",
                     "/", "pm_pid_path", "/h/a.pid", "pm_out_log_path", "/h/o", "pm_err_log_path",
                     "/h/e", "instance_var", "NODE_APP_INSTANCE", "namespace", "understudy",
                     "instances", 1, "node_args", "args", "x", "env", "PATH", "/bin");
}

static int put_app(json_t *app)
{
    struct buffer out;
    buffer_init(&out, 65536);
    struct request request = {.method = REQUEST_PREPARE, .app = app};
    int rc = request_put(&request, "u:1", &out, NULL);
    assert_true((rc == 0) == (out.length > 0)); /* refused: not one byte of it */
    buffer_deinit(&out);
    return rc;
}

/* Each of these, sent once, ends the daemon or leaves an entry that cannot be repaired. */
static void app_that_would_harm_pm2_is_refused(void **state)
{
    (void)state;
    json_t *app = good_app();
    assert_int_equal(put_app(app), 0);
    static const char *const needed[] = {"env",       "pm_pid_path", "pm_exec_path", "name",
                                         "pm_cwd",    "exec_mode",   "node_args",    "args",
                                         "instances", "instance_var"};
    for (size_t i = 0; i < sizeof needed / sizeof needed[0]; i++) {
        json_t *lacking = json_deep_copy(app);
        assert_int_equal(json_object_del(lacking, needed[i]), 0);
        assert_int_equal(put_app(lacking), ERR_INVALID);
        json_object_set_new(lacking, needed[i], json_null());
        assert_int_equal(put_app(lacking), ERR_INVALID);
        json_decref(lacking);
    }
    json_object_set_new(json_object_get(app, "env"), "name", json_string("HIJACK"));
    assert_int_equal(put_app(app), ERR_INVALID);
    json_decref(app);
    assert_int_equal(put_app(NULL), ERR_INVALID);
}

static void request_without_its_id_is_refused(void **state)
{
    (void)state;
    static const enum request_method methods[] = {REQUEST_START,  REQUEST_STOP, REQUEST_RESTART,
                                                  REQUEST_DELETE, REQUEST_KILL, REQUEST_UNWATCH};
    struct buffer out;
    buffer_init(&out, 4096);
    for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++) {
        struct request request = {.method = methods[i], .pm_id = -1};
        assert_int_equal(request_put(&request, "u:1", &out, NULL), ERR_INVALID);
        assert_int_equal(out.length, 0);
        request.pm_id = 0;
        assert_int_equal(request_put(&request, "u:1", &out, NULL), 0);
        buffer_clear(&out);
    }
    struct request unknown = {.method = REQUEST_METHODS};
    assert_int_equal(request_put(&unknown, "u:1", &out, NULL), ERR_INVALID);
    struct request no_id = {.method = REQUEST_PING};
    assert_int_equal(request_put(&no_id, "", &out, NULL), ERR_INVALID);
    buffer_deinit(&out);
}

static void replies_are_told_apart(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int rc;
    } cases[] = {
        {"{\"args\":[{\"msg\":\"pong\"}]}", 0},
        {"{\"args\":[]}", 0},
        {"{\"error\":\"nope\",\"stack\":\"...\"}", ERR_IO},
        {"{\"args\":[{\"error\":true,\"message\":\"could not kill\"}]}", ERR_IO},
        {"{}", ERR_PROTO},
        {"[]", ERR_PROTO},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        json_t *reply = json_loads(cases[i].text, 0, NULL);
        json_t *result = NULL;
        assert_int_equal(request_read_reply(reply, &result, NULL), cases[i].rc);
        json_decref(result);
        json_decref(reply);
    }
}

static struct entry read_one(const char *text)
{
    static struct entries entries;
    json_t *list = json_loads(text, 0, NULL);
    assert_non_null(list);
    assert_int_equal(entries_read(list, &entries, NULL), 0);
    assert_int_equal(entries.count, 1);
    json_decref(list);
    return entries.rows[0];
}

static void rows_are_read_with_doubt(void **state)
{
    (void)state;
    struct entry entry = read_one("[{\"name\":\"a\",\"pm_id\":\"7\",\"pm2_env\":{\"status\":"
                                  "\"online\",\"restart_time\":3}}]");
    assert_int_equal(entry.pm_id, 7);
    assert_int_equal(entry.pid, 0);
    assert_int_equal(entry.restarts, 3);
    assert_false(entry_pid_counts(&entry));
    entry = read_one("[{\"name\":\"a\",\"pm_id\":\"_old_1\",\"pid\":5,\"pm2_env\":{\"status\":"
                     "\"waiting restart\"}}]");
    assert_int_equal(entry.pm_id, -1);
    assert_int_equal(entry.status, ENTRY_WAITING_RESTART);
    assert_false(entry_pid_counts(&entry)); /* the pid is of a dead process */
    static struct entries entries;
    json_t *list = json_loads("[null,7,{},{\"name\":\"a\"},{\"pm2_env\":{}}]", 0, NULL);
    assert_int_equal(entries_read(list, &entries, NULL), 0);
    assert_int_equal(entries.count, 0);
    assert_int_equal(entries.left_out, 5);
    json_decref(list);
    assert_int_equal(entries_read(NULL, &entries, NULL), ERR_PROTO);
}

static void wait_without_a_pid_is_an_end(void **state)
{
    (void)state;
    struct entry entry =
        read_one("[{\"name\":\"a\",\"pm_id\":1,\"pid\":0,\"pm2_env\":{\"status\":\"waiting "
                 "restart\",\"stop_exit_codes\":[86],\"exit_code\":86}}]");
    assert_int_equal(entry.status, ENTRY_STOPPED);
    entry = read_one("[{\"name\":\"a\",\"pm_id\":1,\"pid\":0,\"pm2_env\":{\"status\":\"waiting "
                     "restart\",\"stop_exit_codes\":[86],\"exit_code\":1}}]");
    assert_int_equal(entry.status, ENTRY_ERRORED);
    entry = read_one("[{\"name\":\"a\",\"pm_id\":1,\"pid\":0,\"pm2_env\":{\"status\":\"waiting "
                     "restart\",\"autorestart\":false}}]");
    assert_int_equal(entry.status, ENTRY_STOPPED);
    entry = read_one("[{\"name\":\"a\",\"pm_id\":1,\"pid\":0,\"pm2_env\":{\"status\":\"waiting "
                     "restart\",\"created_at\":1795358560862}}]");
    assert_int_equal(entry.status, ENTRY_STOPPED); /* by somebody */
    entry = read_one("[{\"name\":\"a\",\"pm_id\":1,\"pid\":0,\"pm2_env\":{\"status\":\"waiting "
                     "restart\",\"created_at\":null}}]");
    assert_int_equal(entry.status, ENTRY_ERRORED);
}

static void only_our_mark_makes_an_entry_ours(void **state)
{
    (void)state;
    struct entry entry =
        read_one("[{\"name\":\"a\",\"pm_id\":1,\"pm2_env\":{\"status\":\"online\",\"namespace\":"
                 "\"understudy\",\"env\":{\"UNDERSTUDY_DUTY\":\"pm2/a\"}}}]");
    assert_string_equal(entry.duty, "pm2/a");
    entry = read_one("[{\"name\":\"a\",\"pm_id\":1,\"pm2_env\":{\"status\":\"online\","
                     "\"namespace\":\"default\",\"UNDERSTUDY_DUTY\":\"pm2/a\"}}]");
    assert_string_equal(entry.duty, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ping_has_the_measured_bytes),
        cmocka_unit_test(frames_may_be_split_and_merged),
        cmocka_unit_test(oversized_frame_is_drained),
        cmocka_unit_test(foreign_bytes_end_the_connection),
        cmocka_unit_test(app_that_would_harm_pm2_is_refused),
        cmocka_unit_test(request_without_its_id_is_refused),
        cmocka_unit_test(replies_are_told_apart),
        cmocka_unit_test(rows_are_read_with_doubt),
        cmocka_unit_test(wait_without_a_pid_is_an_end),
        cmocka_unit_test(only_our_mark_makes_an_entry_ours),
    };
    return cmocka_run_group_tests_name("pm2_wire", tests, NULL, NULL);
}
