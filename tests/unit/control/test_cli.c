/* The command line as a program: what it prints where, and how it ends. */
#include "node/base/doc.h"
#include "tests/unit/control/control_fixture.h"
#include "tests/unit/control/spawn.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define WORDS_MAX 16

static struct fixture node;
static struct spawned got;

static int set_up(void **state)
{
    (void)state;
    (void)unsetenv("UNDERSTUDY_ENDPOINT");
    (void)unsetenv("UNDERSTUDY_KEYS");
    fixture_init(&node);
    return fixture_start(&node);
}

static int tear_down(void **state)
{
    (void)state;
    fixture_deinit(&node);
    return 0;
}

/* Run with "--dir FOLDER" and the words of `line`; expects the exit code. */
static void run(const char *line, int exit)
{
    char copy[512];
    char *argv[WORDS_MAX + 4] = {(char[]){UNDERSTUDY_CLI}, (char[]){"--dir"}, node.folder};
    int count = 3;
    (void)snprintf(copy, sizeof copy, "%s", line);
    char *rest = copy;
    for (char *word = strsep(&rest, " "); word != NULL && count < WORDS_MAX;
         word = strsep(&rest, " ")) {
        argv[count++] = word;
    }
    argv[count] = NULL;
    spawn(argv, &got);
    if (got.exit != exit) {
        fail_msg("%s: exit %d, expected %d; %s%s", line, got.exit, exit, got.out, got.error);
    }
}

static size_t lines_of(const char *text)
{
    size_t count = 0;
    for (; *text != '\0'; text++) {
        count += *text == '\n';
    }
    return count;
}

/* Exactly one JSON document on standard output. */
static void expect_document(const char *schema, bool stale)
{
    assert_int_equal(lines_of(got.out), 1);
    json_t *document = json_loads(got.out, 0, NULL);
    assert_non_null(document);
    assert_string_equal(doc_get_text(document, "schema", ""), schema);
    assert_int_equal(json_is_true(json_object_get(document, "stale")), stale);
    json_decref(document);
}

static void expect_error(const char *code, int exit)
{
    assert_int_equal(lines_of(got.error), 1);
    json_t *document = json_loads(got.error, 0, NULL);
    assert_non_null(document);
    assert_string_equal(doc_get_text(document, "schema", ""), "understudy.error/1");
    assert_string_equal(doc_get_text(document, "code", ""), code);
    assert_int_equal(doc_get_integer(document, "exit", 0), exit);
    assert_true(doc_get_text(document, "message", "")[0] != '\0');
    json_decref(document);
}

static void json_is_one_document_on_standard_output(void **state)
{
    (void)state;
    static const char *const lines[] = {"status --json", "--json status", "-o json status",
                                        "status --output=json"};
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        run(lines[i], 0);
        expect_document("understudy.status/1", false);
        assert_string_equal(got.error, "");
    }
}

static void people_get_a_page(void **state)
{
    (void)state;
    run("status", 0);
    assert_non_null(strstr(got.out, "Leader   n2"));
    assert_null(strchr(got.out, '\033')); /* no colour into a file */
    run("status -q", 0);
    assert_string_equal(got.out, "");
}

static void without_quorum_the_stale_document_is_printed_and_5_returned(void **state)
{
    (void)state;
    node.quorum = false;
    run("status --json", 5);
    expect_document("understudy.status/1", true);
    expect_error("no_quorum", 5);
    run("status", 5);
    assert_non_null(strstr(got.out, "No quorum"));
    run("health --local --json", 1);
    expect_document("understudy.health/1", false);
}

static void health_is_a_probe(void **state)
{
    (void)state;
    run("health --json", 1);
    expect_document("understudy.health/1", false);
    assert_string_equal(got.error, "");
}

static void a_stream_is_a_line_each(void **state)
{
    (void)state;
    node.flood = 3;
    run("events --json", 0);
    assert_int_equal(lines_of(got.out), 3);
    run("events --since 1h", 0);
    assert_int_equal(lines_of(got.out), 3);
    assert_non_null(strstr(got.out, "member.alive"));
}

static void exit_codes_are_those_of_the_contract(void **state)
{
    (void)state;
    run("remove n9 --json", 7);
    expect_error("not_found", 7);
    assert_string_equal(got.out, "");
    run("remove n1", 9);
    assert_non_null(strstr(got.error, "add a voter first"));
    run("drain n2 --timeout 200ms --json", 4);
    expect_error("timed_out", 4);
    run("statsu", 2);
    assert_non_null(strstr(got.error, "\"status\""));
    run("report list --json", 2);
    expect_error("not_in_this_version", 2);
    assert_non_null(strstr(got.error, "not in this version"));
    run("members", 2); /* a node of an older version */
    run("remove", 2);
    run("status --timeout never", 2);
    run("status -o yaml", 2);
    node.leads = false;
    node.leader_known = false;
    run("remove n3 --json", 5);
    expect_error("no_leader", 5);
    fixture_stop(&node);
    run("status --json", 3);
    expect_error("no_node", 3);
    assert_string_equal(got.out, "");
}

static void the_endpoint_comes_from_option_or_environment(void **state)
{
    (void)state;
    char *by_option[] = {(char[]){UNDERSTUDY_CLI}, (char[]){"-e"}, node.endpoint,
                         (char[]){"status"}, NULL};
    spawn(by_option, &got);
    assert_int_equal(got.exit, 0);
    char *by_environment[] = {(char[]){UNDERSTUDY_CLI}, (char[]){"status"}, NULL};
    assert_int_equal(setenv("UNDERSTUDY_ENDPOINT", node.endpoint, 1), 0);
    spawn(by_environment, &got);
    assert_int_equal(got.exit, 0);
    assert_int_equal(setenv("UNDERSTUDY_ENDPOINT", "ipc:///nowhere/at-all", 1), 0);
    spawn(by_environment, &got);
    assert_int_equal(got.exit, 3);
    (void)unsetenv("UNDERSTUDY_ENDPOINT");
}

static void keys_are_made_and_used_over_tcp(void **state)
{
    (void)state;
    char folder[128];
    char line[400];
    (void)snprintf(folder, sizeof folder, "%s/keys", node.folder);
    run("keys init n1 n2 --json", 0);
    expect_document("understudy.keys.init/1", false);
    assert_null(strstr(got.out, "secret:"));
    struct stat status;
    assert_int_equal(stat(folder, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0700);
    run("keys list", 0);
    assert_int_equal(lines_of(got.out), 5); /* head, two nodes, operator, viewer */
    run("keys init n1", 8);                 /* has keys already */
    run("keys init ../n1", 2);
    (void)snprintf(line, sizeof line, "-e tcp://127.0.0.1:9 --keys %s status", folder);
    run(line, 3); /* keys are found, nobody is there */
    run("-e tcp://127.0.0.1:9 --keys /nowhere status", 2);
    char *clean[] = {(char[]){"/bin/rm"}, (char[]){"-r"}, folder, NULL};
    spawn(clean, &got);
}

static void configurations_are_checked_without_a_node(void **state)
{
    (void)state;
    char path[128];
    (void)snprintf(path, sizeof path, "%s/understudy.yml", node.folder);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    (void)fputs("cluster:\n  name: demo\n", file);
    (void)fclose(file);
    fixture_stop(&node);
    run("config check", 0);
    run("config show --origin", 0);
    assert_non_null(strstr(got.out, "cluster.name"));
    run("config show --json", 0);
    expect_document("understudy.config.show/1", false);
    file = fopen(path, "w");
    assert_non_null(file);
    (void)fputs("cluster:\n  nmae: demo\n", file);
    (void)fclose(file);
    run("config check", 1);
    assert_non_null(strstr(got.error, ":2:3: "));
    (void)unlink(path);
    run("config check", 1);
}

static void what_needs_no_node_works_without_one(void **state)
{
    (void)state;
    fixture_stop(&node);
    run("version --json", 0);
    expect_document("understudy.version/1", false);
    run("help", 0);
    run("help leader transfer", 0);
    assert_non_null(strstr(got.out, "[NODE]"));
    run("logs --help", 0);
    run("help nonsense-verb", 2);
    run("completion bash", 0);
    run("completion tcsh", 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        TEST(json_is_one_document_on_standard_output),
        TEST(people_get_a_page),
        TEST(without_quorum_the_stale_document_is_printed_and_5_returned),
        TEST(health_is_a_probe),
        TEST(a_stream_is_a_line_each),
        TEST(exit_codes_are_those_of_the_contract),
        TEST(the_endpoint_comes_from_option_or_environment),
        TEST(keys_are_made_and_used_over_tcp),
        TEST(configurations_are_checked_without_a_node),
        TEST(what_needs_no_node_works_without_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
