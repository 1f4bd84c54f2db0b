/* The table of verbs: complete, and what is typed against it ends as the contract says. */
#include "node/base/doc.h"
#include "node/control/verbs.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define WORDS_MAX 12

/* Splits at blanks, parses, and compares: args as JSON text, or NULL for an error. */
static void expect(const char *line, int rc, const char *args_or_part_of_message)
{
    char copy[512];
    char *words[WORDS_MAX];
    int count = 0;
    (void)snprintf(copy, sizeof copy, "%s", line);
    char *rest = copy;
    for (char *word = strsep(&rest, " "); word != NULL; word = strsep(&rest, " ")) {
        words[count++] = word;
    }
    const struct verb *verb = NULL;
    json_t *args = NULL;
    struct err err = {0};
    int got = verb_parse(count, words, &verb, &args, &err);
    if (got != rc) {
        fail_msg("%s: %d (%s), expected %d", line, got, err.msg, rc);
    }
    if (rc != 0) {
        if (strstr(err.msg, args_or_part_of_message) == NULL) {
            fail_msg("%s: \"%s\" lacks \"%s\"", line, err.msg, args_or_part_of_message);
        }
        assert_null(args);
        return;
    }
    char *text = doc_dump(args);
    assert_string_equal(text, args_or_part_of_message);
    assert_int_equal(verb->present ? verb_check_args(verb, args, &err) : 0, 0);
    free(text);
    json_decref(args);
}

static void every_verb_of_the_contract_is_there(void **state)
{
    (void)state;
    static const char *const words[] = {"status",
                                        "health",
                                        "members",
                                        "join",
                                        "keys token",
                                        "leave",
                                        "remove",
                                        "drain",
                                        "undrain",
                                        "leader",
                                        "leader transfer",
                                        "leader history",
                                        "manager list",
                                        "manager show",
                                        "manager mode",
                                        "manager pause",
                                        "manager resume",
                                        "manager restart",
                                        "duty list",
                                        "duty move",
                                        "primary list",
                                        "backup list",
                                        "coverage",
                                        "schedule list",
                                        "schedule show",
                                        "schedule next",
                                        "run list",
                                        "run show",
                                        "run logs",
                                        "run cancel",
                                        "run start",
                                        "ticks verify",
                                        "ticks ledger",
                                        "intent list",
                                        "intent retry",
                                        "intent drop",
                                        "alert list",
                                        "alert ack",
                                        "alert resolve",
                                        "alert silence",
                                        "alert test",
                                        "report list",
                                        "report show",
                                        "audit show",
                                        "check",
                                        "maintenance run",
                                        "maintenance on",
                                        "maintenance off",
                                        "recovery",
                                        "emergency status",
                                        "emergency on",
                                        "emergency off",
                                        "why leader",
                                        "why duty",
                                        "why run",
                                        "why alert",
                                        "why not duty",
                                        "events",
                                        "logs",
                                        "start",
                                        "stop",
                                        "restart",
                                        "generate workflows",
                                        "generate functions",
                                        "validate workflows",
                                        "validate functions",
                                        "validate config",
                                        "validate ecosystem",
                                        "git sync",
                                        "git status",
                                        "git backups",
                                        "git restore",
                                        "build run",
                                        "build list",
                                        "build logs",
                                        "build cancel",
                                        "pm2 list",
                                        "pm2 adopt",
                                        "pm2 start",
                                        "pm2 stop",
                                        "pm2 restart",
                                        "pm2 logs",
                                        "pm2 backups",
                                        "pm2 restore",
                                        "init",
                                        "keys init",
                                        "keys list",
                                        "keys rotate",
                                        "keys revoke",
                                        "config check",
                                        "config show",
                                        "config diff",
                                        "config history",
                                        "config restore",
                                        "config merge",
                                        "metrics show",
                                        "recommend list",
                                        "recommend apply",
                                        "recommend undo",
                                        "doctor",
                                        "snapshot save",
                                        "snapshot inspect",
                                        "snapshot page",
                                        "snapshot restore",
                                        "cluster recover",
                                        "debug bundle",
                                        "drill",
                                        "completion",
                                        "version"};
    size_t count;
    (void)verb_table(&count);
    assert_int_equal(count, sizeof words / sizeof words[0]);
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (verb_find(words[i]) == NULL) {
            fail_msg("%s is missing", words[i]);
        }
    }
}

static void the_table_is_sound(void **state)
{
    (void)state;
    size_t count;
    const struct verb *table = verb_table(&count);
    for (size_t i = 0; i < count; i++) {
        assert_ptr_equal(verb_find(table[i].words), &table[i]); /* no words twice */
        assert_true(strlen(table[i].words) < VERB_WORDS_SIZE);
        assert_true(table[i].summary != NULL);
        for (size_t j = 0; j < VERB_ARGUMENTS_MAX && table[i].arguments[j].name != NULL; j++) {
            const struct verb_argument *argument = &table[i].arguments[j];
            assert_ptr_equal(verb_argument_find(&table[i], argument->name), argument);
            assert_true(argument->summary != NULL);
            assert_int_equal(argument->type == VERB_FLAG, argument->placeholder == NULL);
            assert_int_equal(argument->type == VERB_CHOICE, argument->choices != NULL);
        }
        if (table[i].stream_flag != NULL) {
            assert_non_null(verb_argument_find(&table[i], table[i].stream_flag));
        }
    }
}

static void words_options_and_placeholders_are_parsed(void **state)
{
    (void)state;
    expect("status", 0, "{}");
    expect("status --watch", 0, "{\"watch\":true}");
    expect("health n2 --explain", 0, "{\"node\":\"n2\",\"explain\":true}");
    expect("leader transfer n3", 0, "{\"node\":\"n3\"}");
    expect("leader transfer", 0, "{}");
    expect("join n4 tcp://h:7400 key", 0,
           "{\"name\":\"n4\",\"addr\":\"tcp://h:7400\",\"pubkey\":\"key\"}");
    expect("logs --follow --node n1 --level=warn", 0,
           "{\"follow\":true,\"node\":\"n1\",\"level\":\"warn\"}");
    expect("events --since 1.5h", 0, "{\"since\":\"1.5h\"}");
    expect("keys init n1 n2 n3", 0, "{\"node\":[\"n1\",\"n2\",\"n3\"]}");
    expect("validate config -- --odd", 0, "{\"path\":[\"--odd\"]}");
    expect("duty move pm2/x n2", 0, "{\"id\":\"pm2/x\",\"node\":\"n2\"}");
    expect("stop --emergency --yes", 0, "{\"emergency\":true,\"yes\":true}");
}

static void mistakes_are_named(void **state)
{
    (void)state;
    expect("statsu", ERR_NOTFOUND, "did you mean \"status\"");
    expect("leder history", ERR_NOTFOUND, "did you mean \"leader history\"");
    expect("leader transfre n3", ERR_NOTFOUND, "did you mean \"leader transfer\"");
    expect("manager", ERR_NOTFOUND, "list, show, mode");
    expect("xyzzyplugh", ERR_NOTFOUND, "unknown verb \"xyzzyplugh\"");
    expect("--frob", ERR_NOTFOUND, "unknown verb");
    expect("remove", ERR_INVALID, "NODE is missing");
    expect("keys init", ERR_INVALID, "NODE is missing");
    expect("members extra", ERR_INVALID, "unexpected argument \"extra\"");
    expect("logs --folow", ERR_INVALID, "did you mean --follow");
    expect("logs --follow=yes", ERR_INVALID, "takes no value");
    expect("logs --node", ERR_INVALID, "needs a value");
    expect("logs --level loud", ERR_INVALID, "none of error|warn");
    expect("logs --level warn|info", ERR_INVALID, "none of");
    expect("events --since yesterday", ERR_INVALID, "is no duration");
    expect("status --watch --watch", ERR_INVALID, "given twice");
    expect("status -x", ERR_INVALID, "unknown option -x");
}

static void verbs_of_later_versions_are_known(void **state)
{
    (void)state;
    expect("report list", 0, "{}");
    expect("git sync --whatever else", 0, "{}"); /* told as missing, not as mistyped */
    assert_false(verb_find("drill")->present);
    assert_true(verb_find("coverage")->present);
    assert_true(verb_find("duty move")->present);
}

static void durations_have_units(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t ms;
    } rows[] = {
        {"250ms", 250}, {"3s", 3000}, {"2m", 120000}, {"6h", 21600000}, {"1d", 86400000},
        {"1.5s", 1500}, {"0s", 0},    {"5", -1},      {"", -1},         {"s", -1},
        {"-1s", -1},    {"1e3s", -1}, {"1 s", -1},    {"3S", -1},       {"99999999999d", -1},
        {"nan", -1},    {"0x10s", -1}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (verb_duration_ms(rows[i].text) != rows[i].ms) {
            fail_msg("%s", rows[i].text);
        }
    }
    assert_int_equal(verb_duration_ms(NULL), -1);
}

static int check(const char *words, const char *args)
{
    json_t *parsed = json_loads(args, JSON_DECODE_ANY, NULL);
    int rc = verb_check_args(verb_find(words), parsed, NULL);
    json_decref(parsed);
    return rc;
}

static void arguments_of_the_wire_are_checked(void **state)
{
    (void)state;
    assert_int_equal(check("status", "{}"), 0);
    assert_int_equal(check("status", "{\"watch\":null}"), 0);
    assert_int_equal(check("events", "{\"since\":1500}"), 0);
    assert_int_equal(check("status", "[]"), ERR_INVALID);
    assert_int_equal(check("status", "{\"watch\":1}"), ERR_INVALID);
    assert_int_equal(check("status", "{\"other\":true}"), ERR_INVALID);
    assert_int_equal(check("remove", "{}"), ERR_INVALID);
    assert_int_equal(check("remove", "{\"node\":null}"), ERR_INVALID);
    assert_int_equal(check("remove", "{\"node\":[\"n1\"]}"), ERR_INVALID);
    assert_int_equal(check("remove", "{\"node\":\"a\\u0000b\"}"), ERR_INVALID);
    assert_int_equal(check("keys init", "{\"node\":[]}"), ERR_INVALID);
    assert_int_equal(check("keys init", "{\"node\":\"n1\"}"), ERR_INVALID);
    assert_int_equal(check("logs", "{\"level\":\"loud\"}"), ERR_INVALID);
}

static void an_emergency_stop_needs_no_leader(void **state)
{
    (void)state;
    json_t *args = json_pack("{s:b}", "emergency", 1);
    assert_int_equal(verb_place_of(verb_find("stop"), args), VERB_NODE);
    assert_int_equal(verb_place_of(verb_find("stop"), NULL), VERB_LEADER);
    json_decref(args);
}

static void a_saved_snapshot_makes_a_question_local(void **state)
{
    (void)state;
    json_t *args = json_pack("{s:s}", "snapshot", "state.snap");
    static const char *const questions[] = {"why leader", "why duty",     "why run",
                                            "why alert",  "why not duty", "audit show"};
    for (size_t i = 0; i < sizeof questions / sizeof questions[0]; i++) {
        assert_int_equal(verb_place_of(verb_find(questions[i]), args), VERB_LOCAL);
        assert_int_equal(verb_place_of(verb_find(questions[i]), NULL), VERB_NODE);
    }
    assert_int_equal(verb_place_of(verb_find("status"), args), VERB_NODE); /* it has no such */
    json_decref(args);
}

static void help_and_completion_follow_from_the_table(void **state)
{
    (void)state;
    struct buffer out;
    buffer_init(&out, 1 << 16);
    verb_help_overview(&out);
    assert_int_equal(buffer_append(&out, "", 1), 0);
    assert_non_null(strstr((const char *)out.data, "leader transfer"));
    assert_null(strstr((const char *)out.data, "drill")); /* not in this version */
    buffer_clear(&out);
    verb_help(verb_find("logs"), &out);
    assert_int_equal(buffer_append(&out, "", 1), 0);
    assert_non_null(strstr((const char *)out.data, "[--level error|warn|info|debug|trace]"));
    static const char *const shells[] = {"bash", "zsh", "fish"};
    for (size_t i = 0; i < 3; i++) {
        buffer_clear(&out);
        assert_int_equal(verb_completion(shells[i], &out, NULL), 0);
        assert_int_equal(buffer_append(&out, "", 1), 0);
        assert_non_null(strstr((const char *)out.data, "transfer"));
        assert_non_null(strstr((const char *)out.data, "follow"));
    }
    assert_int_equal(verb_completion("tcsh", &out, NULL), ERR_INVALID);
    buffer_deinit(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_verb_of_the_contract_is_there),
        cmocka_unit_test(the_table_is_sound),
        cmocka_unit_test(words_options_and_placeholders_are_parsed),
        cmocka_unit_test(mistakes_are_named),
        cmocka_unit_test(verbs_of_later_versions_are_known),
        cmocka_unit_test(durations_have_units),
        cmocka_unit_test(arguments_of_the_wire_are_checked),
        cmocka_unit_test(an_emergency_stop_needs_no_leader),
        cmocka_unit_test(a_saved_snapshot_makes_a_question_local),
        cmocka_unit_test(help_and_completion_follow_from_the_table),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
