/* Lines from chunks, patterns within bounds, and floods. */
#include "managers/pm2/daemon/amp.h"
#include "managers/pm2/daemon/frame.h"
#include "managers/pm2/watch/lines.h"
#include "managers/pm2/watch/logs.h"
#include "node/base/doc.h"
#include "node/base/pattern.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* ---- lines ---- */

struct gathered {
    char text[8192];
    size_t length;
    unsigned count;
};

static void gather(void *context, const char *line, size_t length)
{
    struct gathered *all = context;
    assert_int_equal(strlen(line), length);
    assert_true(length > 0 && length < LINES_BYTES_MAX);
    assert_true(all->length + length + 2 < sizeof all->text);
    memcpy(all->text + all->length, line, length);
    all->length += length;
    all->text[all->length++] = '|';
    all->text[all->length] = '\0';
    all->count++;
}

/* However the text is cut, the lines are the same. */
static void chunks_end_anywhere(void **state)
{
    (void)state;
    static const char text[] = "one\ntwo\r\n\n\nthree\0four\nlast";
    for (size_t piece = 1; piece < sizeof text; piece++) {
        struct lines lines = {0};
        struct gathered all = {0};
        for (size_t at = 0; at < sizeof text - 1; at += piece) {
            size_t left = sizeof text - 1 - at;
            lines_take(&lines, text + at, left < piece ? left : piece, 1000, gather, &all);
        }
        assert_string_equal(all.text, "one|two|three four|");
        lines_flush(&lines, 500, 1499, gather, &all);
        assert_int_equal(all.count, 3);
        lines_flush(&lines, 500, 1500, gather, &all);
        assert_string_equal(all.text, "one|two|three four|last|");
        lines_take(&lines, " words\nnext\n", 12, 2000, gather, &all); /* the rest of "last" */
        assert_string_equal(all.text, "one|two|three four|last|next|");
    }
}

static void long_lines_are_cut(void **state)
{
    (void)state;
    static char text[3 * LINES_BYTES_MAX];
    memset(text, 'x', sizeof text);
    text[sizeof text - 1] = '\n';
    for (size_t piece = 1; piece < sizeof text; piece = piece * 2 + 1) {
        struct lines lines = {0};
        struct gathered all = {0};
        for (size_t at = 0; at < sizeof text; at += piece) {
            size_t left = sizeof text - at;
            lines_take(&lines, text + at, left < piece ? left : piece, 1000, gather, &all);
        }
        lines_take(&lines, "short\n", 6, 1000, gather, &all);
        assert_int_equal(all.count, 2);
        assert_int_equal(all.length, LINES_BYTES_MAX - 1 + 1 + 6);
    }
}

static void a_gap_loses_a_line_and_joins_none(void **state)
{
    (void)state;
    struct lines lines = {0};
    struct gathered all = {0};
    lines_take(&lines, "whole\nfirst half", 16, 1000, gather, &all);
    lines_break(&lines);
    lines_take(&lines, "other half\nnext\n", 16, 1000, gather, &all);
    assert_string_equal(all.text, "whole|next|");
}

/* ---- patterns ---- */

static void patterns_have_bounds(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int rc;
    } patterns[] = {
        {"FATAL", 0},
        {"^E(RR|rr)or: [[:alnum:]]+$", 0},
        {"[]{9999}(]+", 0}, /* all of it but the + is a bracket expression */
        {"[[:digit:]{9999}]", 0},
        {"a{2,8}b{8}", 0},
        {"\\(literal\\) \\{1000\\}", 0},
        {"", ERR_INVALID},
        {"(", ERR_INVALID},
        {"[a", ERR_INVALID},
        {"a{2,1}", ERR_INVALID},
        {"(a)\\1", ERR_INVALID},
        {"a{65}", ERR_INVALID},
        {"(a{9}){9}", ERR_INVALID},
        {"((((a{32000}){32000}){32000}){32000}){32000}", ERR_INVALID},
        {"a{99999999999999999999}", ERR_INVALID},
    };
    for (size_t i = 0; i < sizeof patterns / sizeof patterns[0]; i++) {
        regex_t regex;
        struct err err = {0};
        int rc = pattern_compile(patterns[i].text, &regex, &err);
        if (rc != patterns[i].rc) {
            fail_msg("%s: %d %s", patterns[i].text, rc, err.msg);
        }
        if (rc == 0) {
            regfree(&regex);
        } else {
            assert_true(err.msg[0] != '\0');
        }
    }
    char longer[PATTERN_BYTES_MAX + 2];
    regex_t regex;
    memset(longer, 'a', sizeof longer);
    longer[PATTERN_BYTES_MAX + 1] = '\0';
    assert_int_equal(pattern_compile(longer, &regex, NULL), ERR_INVALID);
    longer[PATTERN_BYTES_MAX] = '\0';
    assert_int_equal(pattern_compile(longer, &regex, NULL), 0);
    regfree(&regex);
}

/* ---- logs ---- */

static void put(struct buffer *out, const char *payload)
{
    size_t length = strlen(payload);
    const uint8_t header[] = {(uint8_t)(length >> 24), (uint8_t)(length >> 16),
                              (uint8_t)(length >> 8), (uint8_t)length};
    assert_int_equal(buffer_append(out, header, sizeof header), 0);
    assert_int_equal(buffer_append(out, payload, length), 0);
}

/* As PM2 7 publishes it, or as PM2 5.4 does: with the text in front. */
static bool text_in_front;

static int as_pm2_7(void **state)
{
    (void)state;
    text_in_front = false;
    return 0;
}

static int as_pm2_5(void **state)
{
    (void)state;
    text_in_front = true;
    return 0;
}

static json_t *make_body(const char *name, int id, const char *data)
{
    return text_in_front ? json_pack("{ss si s{ss sn ss si}}", "data", data, "at", 5, "process",
                                     "namespace", "default", "rev", "name", name, "pm_id", id)
                         : json_pack("{s{si ss sn ss} si ss}", "process", "pm_id", id, "name", name,
                                     "rev", "namespace", "default", "at", 5, "data", data);
}

static void publish(struct logs *logs, const char *topic, const char *name, int id,
                    const char *data, int64_t now_ms)
{
    struct buffer bytes;
    struct amp_parser parser;
    buffer_init(&bytes, 1 << 20);
    amp_parser_init(&parser, 1 << 20);
    json_t *body = make_body(name, id, data);
    char *json = json_dumps(body, JSON_COMPACT);
    char *payload = malloc(strlen(json) + 3);
    assert_non_null(payload);
    (void)snprintf(payload, strlen(json) + 3, "j:%s", json);
    const uint8_t meta = 0x12;
    (void)buffer_append(&bytes, &meta, 1);
    put(&bytes, topic);
    put(&bytes, payload);
    size_t used;
    bool complete;
    assert_int_equal(amp_parser_feed(&parser, bytes.data, bytes.length, &used, &complete, NULL), 0);
    assert_true(complete);
    logs_take(logs, &parser, now_ms);
    free(json);
    free(payload);
    json_decref(body);
    amp_parser_deinit(&parser);
    buffer_deinit(&bytes);
}

static struct settings settings = {
    .primary_count = 3,
    .primaries = {{.name = "quiet"},
                  {.name = "worker", .pattern_count = 2, .patterns = {"FATAL", "secret=[^ ]+"}},
                  {.name = "web", .pattern_count = 1, .patterns = {"^E[0-9]+"}}}};

static struct logs *make(void)
{
    struct logs *logs = NULL;
    assert_int_equal(logs_create(&settings, &logs, NULL), 0);
    assert_non_null(logs);
    return logs;
}

/* The text of the finding about `name`, "" none. Valid until the next call. */
static const char *said(const struct logs *logs, const char *name, int64_t now_ms)
{
    static struct findings findings;
    memset(&findings, 0, sizeof findings);
    logs_say(logs, &findings, now_ms);
    for (size_t i = 0; i < FINDINGS_MAX; i++) {
        if (findings.rows[i].used && strcmp(findings.rows[i].object, name) == 0) {
            assert_string_equal(findings.rows[i].kind, "pm2.log");
            return findings.rows[i].text;
        }
    }
    return "";
}

static void matches_are_told_without_the_line(void **state)
{
    (void)state;
    struct logs *logs = make();
    publish(logs, "log:out", "worker", 0, "all is well\nFAT", 1000);
    publish(logs, "log:out", "worker", 1, "FATAL is of another instance", 1000); /* no end yet */
    assert_string_equal(said(logs, "worker", 1000), "");
    publish(logs, "log:err", "worker", 0, "AL of another stream\n", 1000);
    assert_string_equal(said(logs, "worker", 1000), "");
    publish(logs, "log:out", "worker", 0, "AL: disk\n", 1100);
    assert_string_equal(said(logs, "worker", 1100),
                        "1 line of its log matches \"FATAL\"; its log has them");
    publish(logs, "log:err", "worker", 0, "x secret=hunter2 y\n", 1200);
    assert_string_equal(said(logs, "worker", 1200),
                        "2 lines of its log match \"secret=[^ ]+\"; its log has them");
    assert_null(strstr(said(logs, "worker", 1200), "hunter2"));
    logs_step(logs, 1000 + LOGS_LINE_MS); /* what has not ended counts all the same */
    assert_non_null(strstr(said(logs, "worker", 2000), "3 lines"));
    assert_string_equal(said(logs, "worker", 2000 + LOGS_TOLD_MS), "");
    publish(logs, "log:out", "worker", 0, "FATAL\n", 200000);
    assert_non_null(strstr(said(logs, "worker", 200000), "1 line "));
    assert_string_equal(said(logs, "web", 200000), "");
    logs_destroy(&logs);
}

static void others_are_not_looked_at(void **state)
{
    (void)state;
    struct logs *logs = make();
    publish(logs, "log:out", "quiet", 0, "FATAL\nE1\n", 1000);
    publish(logs, "log:out", "unknown", 0, "FATAL\nE1\n", 1000);
    publish(logs, "log:PM2", "worker", 0, "FATAL\n", 1000);
    assert_string_equal(said(logs, "worker", 1000), "");
    assert_string_equal(said(logs, "web", 1000), "");
    publish(logs, "log:out", "web", 0, "no E1\nE12 at last\n", 1000);
    assert_non_null(strstr(said(logs, "web", 1000), "1 line"));
    logs_destroy(&logs);
    struct settings none = {.primary_count = 1};
    assert_int_equal(logs_create(&none, &logs, NULL), 0);
    assert_null(logs);
    publish(logs, "log:out", "worker", 0, "FATAL\n", 1000);
    logs_step(logs, 2000);
    assert_int_equal(logs_dropped(logs), 0);
}

/* A flood costs bounded work: the rest is counted, and what was cut in two is not joined. */
static void a_flood_is_dropped_and_counted(void **state)
{
    (void)state;
    struct logs *logs = make();
    static char chunk[60000];
    memset(chunk, 'y', sizeof chunk - 1);
    for (size_t i = 99; i < sizeof chunk - 1; i += 100) {
        chunk[i] = '\n';
    }
    logs_step(logs, 1000);
    for (int i = 0; i < 20; i++) {
        publish(logs, "log:out", "worker", 0, chunk, 1000);
    }
    uint64_t dropped = logs_dropped(logs);
    assert_in_range(dropped, 15, 18); /* 3 times 60 KB each, of 512 KB */
    publish(logs, "log:out", "worker", 0, "FATAL\n", 1000);
    assert_int_equal(logs_dropped(logs), dropped + 1);
    assert_string_equal(said(logs, "worker", 1000), "");
    logs_step(logs, 1000 + LOGS_WORK_MS);
    publish(logs, "log:out", "worker", 0, "FATAL, half of it\nand FATAL whole\n", 1100);
    assert_non_null(strstr(said(logs, "worker", 1100), "1 line "));
    logs_destroy(&logs);
}

/* What a process writes is no name. */
static void a_chunk_is_of_its_process(void **state)
{
    (void)state;
    static const char claim[] = "\"name\":\"web\" {\"process\":{\"name\":\"web\"}}\nE1\n";
    char chunk[4096];
    memset(chunk, '\n', sizeof chunk);
    memcpy(chunk, claim, sizeof claim - 1);
    memcpy(chunk + sizeof chunk - sizeof claim, claim, sizeof claim);
    struct logs *logs = make();
    publish(logs, "log:out", "quiet", 0, chunk, 1000);
    assert_string_equal(said(logs, "web", 1000), "");
    publish(logs, "log:out", "web", 0, chunk, 1000);
    assert_non_null(strstr(said(logs, "web", 1000), "2 lines"));
    logs_destroy(&logs);
}

/* Instances come and go; the streams of one primary are bounded. */
static void streams_give_way(void **state)
{
    (void)state;
    struct logs *logs = make();
    for (int id = 0; id < 5 * LOGS_STREAMS_MAX; id++) {
        publish(logs, "log:out", "worker", id, "FAT", 1000 + id);
        publish(logs, "log:out", "worker", id, "AL\n", 1000 + id);
    }
    assert_non_null(strstr(said(logs, "worker", 2000), "80 lines"));
    assert_int_equal(logs_dropped(logs), 0);
    logs_destroy(&logs);
}

#define WITH_BOTH(test) \
    cmocka_unit_test_setup(test, as_pm2_7), cmocka_unit_test_setup(test, as_pm2_5)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(chunks_end_anywhere),
        cmocka_unit_test(long_lines_are_cut),
        cmocka_unit_test(a_gap_loses_a_line_and_joins_none),
        cmocka_unit_test(patterns_have_bounds),
        WITH_BOTH(matches_are_told_without_the_line),
        WITH_BOTH(others_are_not_looked_at),
        WITH_BOTH(a_flood_is_dropped_and_counted),
        WITH_BOTH(a_chunk_is_of_its_process),
        WITH_BOTH(streams_give_way),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
