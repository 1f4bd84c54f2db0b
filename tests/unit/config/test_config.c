/* Reading and checking a configuration: defaults, units, and every refusal with its place. */
#include "tests/unit/config/config_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void the_documented_example_loads(void **state)
{
    (void)state;
    struct config *config = load_text(example);
    assert_string_equal(config->cluster.name, "demo");
    assert_string_equal(config->cluster.environment, "production");
    assert_string_equal(config->cluster.node, "n1");
    assert_string_equal(config->cluster.listen, "tcp://0.0.0.0:7400");
    assert_string_equal(config->cluster.advertise, "tcp://10.0.0.1:7400");
    assert_int_equal(config->cluster.peer_count, 3);
    assert_string_equal(config->cluster.peers[1].name, "n2");
    assert_string_equal(config->cluster.peers[1].address, "tcp://host-b:7400");
    assert_true(config->cluster.founding);
    assert_int_equal(config->cluster.profile, CONFIG_LAN);
    assert_int_equal(config->manager_count, 1);
    assert_string_equal(config->managers[0].name, "pm2");
    assert_true(config->managers[0].enabled && config->managers[0].available);
    assert_int_equal(config->managers[0].mode, CONFIG_ARMED);
    config_destroy(&config);
    assert_null(config);
    config_destroy(&config);
}

static void an_empty_file_gives_the_documented_defaults(void **state)
{
    (void)state;
    struct config *config = load_text("# nothing\n");
    assert_string_equal(config->cluster.name, "understudy");
    assert_string_equal(config->cluster.environment, "production");
    assert_true(config->cluster.node[0] != '\0');
    assert_int_equal(config->cluster.peer_count, 1);
    assert_true(config->cluster.founding);
    assert_string_equal(config->cluster.peers[0].address, config->cluster.advertise);
    assert_int_equal(config->cluster.voters, 5);
    assert_int_equal(config->cluster.heartbeat_ms, 75);
    assert_int_equal(config->cluster.election_timeout_ms, 450);
    assert_int_equal(config->cluster.lease_ms, 350);
    assert_int_equal(config->cluster.gossip_interval_ms, 1000);
    assert_string_equal(config->control.listen, "ipc:///run/understudy/control.sock");
    assert_string_equal(config->control.listen_tcp, "");
    assert_int_equal(config->dashboard.listen_count, 1);
    assert_string_equal(config->dashboard.listen[0], "127.0.0.1:3001");
    assert_true(config->dashboard.enabled && config->dashboard.live && config->history_enabled);
    assert_true(config->health.healthy_from == 80 && config->health.emergency_from == 60);
    assert_int_equal(config->health.manager_interval_ms, 120000);
    assert_true(config->leadership.handover_below == 80 && config->leadership.margin == 10);
    assert_int_equal(config->leadership.hold_ms, 3000);
    assert_int_equal(config->leadership.min_tenure_ms, 30000);
    assert_int_equal(config->grants.ttl_ms, 5000);
    assert_int_equal(config->grants.renew_ms, 500);
    assert_int_equal(config->grants.on_disconnect, CONFIG_DISCONNECT_KEEP);
    assert_int_equal(config->grants.on_death, CONFIG_DISCONNECT_STOP);
    assert_string_equal(config->data_dir, "/var/lib/understudy");
    assert_string_equal(config->log.dir, "");
    assert_int_equal(config->log.max_bytes, 10 << 20);
    assert_int_equal(config->log.keep_days, 30);
    assert_int_equal(config->log.level, CONFIG_LOG_INFO);
    assert_int_equal(config->manager_count, 0);
    config_destroy(&config);
}

static void profiles_have_their_numbers(void **state)
{
    (void)state;
    struct config *local = load_text("cluster: {profile: local}");
    assert_int_equal(local->cluster.heartbeat_ms, 20);
    assert_int_equal(local->cluster.election_timeout_ms, 95);
    assert_int_equal(local->cluster.lease_ms, 70);
    assert_int_equal(local->cluster.gossip_interval_ms, 200);
    struct config *wan = load_text("cluster: {profile: wan, gossip_interval: 3s}");
    assert_int_equal(wan->cluster.heartbeat_ms, 300);
    assert_int_equal(wan->cluster.election_timeout_ms, 2000);
    assert_int_equal(wan->cluster.lease_ms, 1600);
    assert_int_equal(wan->cluster.gossip_interval_ms, 3000);
    config_destroy(&local);
    config_destroy(&wan);
}

static void durations_and_sizes(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t value; /* -1: refused */
    } durations[] = {
        {"250ms", 250},
        {"3s", 3000},
        {"2m", 120000},
        {"6h", 21600000},
        {"1d", 86400000},
        {"1.6s", 1600},
        {"0.5s", 500},
        {"0s", 0},
        {"1.5d", 129600000},
        {"250", -1},
        {"", -1},
        {"s", -1},
        {"-1s", -1},
        {"1.s", -1},
        {"1 s", -1},
        {"1S", -1},
        {"1m30s", -1},
        {"0.0001s", -1},
        {"1.5ms", -1},
        {"1e3s", -1},
        {"9223372036854775807d", -1},
        {"99999999999999999999s", -1},
    };
    for (size_t i = 0; i < sizeof(durations) / sizeof(durations[0]); i++) {
        int64_t value = -1;
        bool good = config_parse_duration(durations[i].text, false, &value);
        if (good != (durations[i].value >= 0) || (good && value != durations[i].value)) {
            fail_msg("%s: %d %lld", durations[i].text, good, (long long)value);
        }
    }
    int64_t value = 0;
    assert_true(config_parse_duration("250", true, &value));
    assert_int_equal(value, 250);
    static const struct {
        const char *text;
        int64_t value;
    } sizes[] = {{"10MB", 10 << 20}, {"300KB", 300 << 10}, {"1GB", 1 << 30}, {"1.5KiB", 1536},
                 {"7", 7},           {"2gib", 2LL << 30},  {"1XB", -1},      {"MB", -1}};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        value = -1;
        bool good = config_parse_size(sizes[i].text, &value);
        if (good != (sizes[i].value >= 0) || (good && value != sizes[i].value)) {
            fail_msg("%s: %d %lld", sizes[i].text, good, (long long)value);
        }
    }
}

static void formatted_values_read_back(void **state)
{
    (void)state;
    static const int64_t values[] = {0,    1,     250,   999,     1000,     1600,
                                     1650, 60000, 90000, 3600000, 86400000, 123456789};
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        char text[32];
        int64_t back = -1;
        assert_true(config_parse_duration(config_format_duration(values[i], text), false, &back));
        assert_int_equal(back, values[i]);
        assert_true(config_parse_size(config_format_size(values[i], text), &back));
        assert_int_equal(back, values[i]);
    }
    char text[32];
    assert_string_equal(config_format_duration(1600, text), "1.6s");
    assert_string_equal(config_format_size(300 << 20, text), "300MB");
}

static void unknown_keys_name_the_nearest(void **state)
{
    (void)state;
    refuse_text("cluster:\n  nmae: demo\n", 2, 3, "did you mean \"name\"");
    refuse_text("clsuter: {}\n", 1, 1, "did you mean \"cluster\"");
    refuse_text("a: 1\ncluster: {node: n1}\n", 1, 1, "unknown key \"a\"");
    refuse_text("heartbeat: 75ms\n", 1, 1, "there is \"cluster.heartbeat\"");
    refuse_text("managers:\n  pm2:\n    backups:\n      - {name: b, scirpt: x}\n", 4, 19,
                "did you mean \"script\"");
    refuse_text("managers: {pm3: {enabled: true}}\n", 1, 17, "there is no manager \"pm3\"");
}

static void wrong_types_and_ranges_say_what_was_expected(void **state)
{
    (void)state;
    refuse_text("cluster: {heartbeat: 75}\n", 1, 22, "75ms for milliseconds");
    refuse_text("cluster: {heartbeat: 1h}\n", 1, 22, "from 5ms to 10s");
    refuse_text("cluster: {heartbeat: [1]}\n", 1, 22, "is a list");
    refuse_text("cluster: {heartbeat: }\n", 1, 11, "has no value");
    refuse_text("cluster: 5\n", 1, 10, "is a section");
    refuse_text("cluster: {node: 'a b'}\n", 1, 17, "expected a name");
    refuse_text("cluster: {profile: moon}\n", 1, 20, "one of local, lan, wan");
    refuse_text("cluster: {listen: 10.0.0.1}\n", 1, 19, "tcp://10.0.0.1:7400");
    refuse_text("cluster: {listen: 'tcp://h:70000'}\n", 1, 19, "tcp://10.0.0.1:7400");
    refuse_text("cluster: {listen: 'tcp://h:0'}\n", 1, 19, "not accepted");
    refuse_text("cluster: {public_keys: {n1: abc}}\n", 1, 29, "public key of 40 characters");
    refuse_text("control: {listen: /run/x}\n", 1, 19, "ipc:///");
    refuse_text("dashboard: {live: yes}\n", 1, 19, "true or false");
    refuse_text("dashboard: {listen: [3001]}\n", 1, 22, "127.0.0.1:3001");
    refuse_text("health: {healthy_from: 101}\n", 1, 24, "a number from 0 to 100");
    refuse_text("health: {healthy_from: x}\n", 1, 24, "a number from 0 to 100");
    refuse_text("log: {max_size: 10}\n", 1, 17, "a size such as");
    refuse_text("log: {keep_days: 1.5}\n", 1, 18, "a whole number");
    refuse_text("data_dir: var\n", 1, 11, "an absolute path");
    refuse_text("- a\n- b\n", 1, 1, "expected keys");
    refuse_text("managers: {pm2: {backups: {name: x}}}\n", 1, 27, "is no list");
    refuse_text("managers: {pm2: {backups: [x]}}\n", 1, 28, "is no map");
    refuse_text("managers: {pm2: {homes: {a: b}}}\n", 1, 25, "is a map; expected a list");
}

static void syntax_errors_have_a_place(void **state)
{
    (void)state;
    refuse_text("cluster: [\n", 2, 1, "not YAML");
    refuse_text("cluster:\n  name: a\n  name: b\n", 3, 3, "given already at line 2");
    refuse_text("cluster: {name: a, name: b}\n", 1, 20, "given already");
    refuse_text("cluster: {name: !!str a}\n", 1, 23, "tags");
    refuse_text("a: 1\n---\nb: 2\n", 2, 1, "second document");
    refuse_text("cluster: {name: *x}\n", 1, 17, "an alias without");
    refuse_text("cluster: {name: \xff}\n", 1, 17, "not UTF-8");
    refuse_text("? [a]\n: b\n", 1, 3, "key must be plain text");
    refuse_text("a: [[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]\n", 1, 19, "nested too deeply");
}

static void anchors_are_copies_with_a_bound(void **state)
{
    (void)state;
    struct config *config = load_text("managers:\n  pm2:\n    backups:\n"
                                      "      - {name: a, mode: always, script: x, env: &e {A: b}}\n"
                                      "      - {name: c, mode: always, script: x, env: *e}\n");
    json_t *document = config_manager_document(config, "pm2");
    json_t *second = json_array_get(json_object_get(document, "backups"), 1);
    assert_string_equal(json_string_value(json_object_get(json_object_get(second, "env"), "A")),
                        "b");
    json_decref(document);
    config_destroy(&config);

    char text[4096];
    size_t used = (size_t)snprintf(text, sizeof(text), "a0: &a0 [1,2,3,4,5,6,7,8]\n");
    for (int i = 1; i < 9; i++) {
        used += (size_t)snprintf(text + used, sizeof(text) - used,
                                 "a%d: &a%d [*a%d,*a%d,*a%d,*a%d,*a%d,*a%d,*a%d,*a%d]\n", i, i,
                                 i - 1, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1);
    }
    struct config_errors errors;
    assert_null(load_with(text, NULL, &errors));
    assert_non_null(strstr(errors.items[0].message, "too many values"));
}

static void safety_relations_are_checked(void **state)
{
    (void)state;
    refuse_text("cluster:\n  lease: 400ms\n", 2, 10, "raise election_timeout to 495ms");
    refuse_text("cluster:\n  election_timeout: 442ms\n", 2, 21, "lower lease to 349ms");
    struct config *exact = load_text("cluster: {election_timeout: 443ms}\n");
    config_destroy(&exact);
    refuse_text("cluster: {heartbeat: 200ms, lease: 200ms}\n", 1, 22, "lower heartbeat to 100ms");
    refuse_text("grants: {renew: 4s}\n", 1, 17, "lower renew to 2500ms");
    refuse_text("grants: {ttl: 4s}\n"
                "managers: {pm2: {backups: [{name: b, mode: always, script: x}]}}\n",
                1, 15, "raise grants.ttl to 4100ms");
    refuse_text("managers: {pm2: {backups: [{name: b, mode: always, script: x, "
                "kill_timeout: 2501ms}]}}\n",
                1, 77, "lower kill_timeout to 2500ms");
    refuse_text("managers: {pm2: {primaries: [{name: p, guarded: true, script: x, "
                "kill_timeout: 3s}]}}\n",
                1, 80, "kill_timeout (3000ms)");
    refuse_text("health: {healthy_from: 50}\n", 1, 24, "lies above healthy_from");
}

#define PEERS(list) "cluster:\n  node: n1\n  peers: {" list "}\n"
#define A1 "n1: 'tcp://a:1'"
#define A2 "n2: 'tcp://a:2'"
#define A3 "n3: 'tcp://a:3'"
#define A4 "n4: 'tcp://a:4'"
#define A5 "n5: 'tcp://a:5'"
#define A6 "n6: 'tcp://a:6'"
#define A7 "n7: 'tcp://a:7'"

static void founders_are_one_three_or_five(void **state)
{
    (void)state;
    refuse_text(PEERS(A1 "," A2), 3, 10, "2 founding voters");
    refuse_text(PEERS(A1 "," A2 "," A3 "," A4), 3, 10, "name 3");
    const char *seven = PEERS(A1 "," A2 "," A3 "," A4 "," A5 "," A6 "," A7);
    refuse_text(seven, 3, 10, "7 with \"voters: 7\"");
    struct config *config =
        load_text(PEERS(A1 "," A2 "," A3 "," A4 "," A5 "," A6 "," A7) "  voters: 7\n");
    assert_int_equal(config->cluster.peer_count, 7);
    config_destroy(&config);
    config = load_text(PEERS(A1 "," A2 "," A3 "," A4 "," A5));
    assert_int_equal(config->cluster.peer_count, 5);
    config_destroy(&config);
    refuse_text("cluster: {voters: 4}\n", 1, 19, "expected 1, 3, 5 or 7");
    refuse_text(PEERS(A1 "," A2 ", n3: 'tcp://a:2'"), 3, 48, "the same address as n2");
    refuse_text(PEERS(A1 "," A2 ", 'n 3': 'tcp://a:3'"), 3, 51, "is no name of a node");
}

static void a_node_that_is_no_founder_waits_to_be_joined(void **state)
{
    (void)state;
    struct config_errors errors;
    struct config *config =
        load_with("cluster: {node: n9, peers: {n1: 'tcp://a:1'}}\n", NULL, &errors);
    assert_non_null(config);
    assert_false(config->cluster.founding);
    assert_int_equal(errors.warnings, 1);
    assert_non_null(strstr(errors.items[0].message, "not among the founding voters"));
    config_destroy(&config);
}

#define PM2 "managers:\n  pm2:\n    primaries: [{name: worker}]\n    backups:\n"

static void backups_refer_to_what_is_there(void **state)
{
    (void)state;
    refuse_text(PM2 "    - {name: b, script: x, stands_in_for: wroker}\n", 5, 43,
                "did you mean \"worker\"");
    refuse_text(PM2 "    - {name: b, script: x}\n", 5, 7, "needs its primary");
    refuse_text(PM2 "    - {name: worker, script: x, mode: always}\n", 5, 14,
                "a primary is named \"worker\" too");
    refuse_text(PM2 "    - {name: b, mode: always}\n", 5, 7, "has no script");
    refuse_text(PM2 "    - {script: x, mode: always}\n", 5, 7, "without a name");
    refuse_text(PM2 "    - {name: b, script: x, mode: always}\n"
                    "    - {name: b, script: x, mode: always}\n",
                6, 14, "names must be unique");
    refuse_text("managers: {pm2: {primaries: [{name: p, guarded: true}]}}\n", 1, 49,
                "add \"script");
}

static void copies_have_names_of_their_own(void **state)
{
    (void)state;
    struct config *config =
        load_text(PM2 "    - {name: b, script: x, stands_in_for: worker, copies: 16}\n"
                      "    - {name: b-17, script: x, mode: always}\n");
    config_destroy(&config);
    refuse_text(PM2 "    - {name: b, script: x, mode: always, copies: 3}\n"
                    "    - {name: b-3, script: x, mode: always}\n",
                5, 50, "\"b-3\", as another entry is");
    refuse_text("managers: {pm2: {primaries: [{name: b-2}], backups: [{name: b, script: x, mode: "
                "always, copies: 2}]}}\n",
                1, 97, "\"b-2\", as another entry is");
    refuse_text(PM2 "    - {name: b23456789012345678901234567890123456789012345678901234567890xy, "
                    "script: x, mode: always, copies: 2}\n",
                5, 111, "is longer than 63 bytes");
    refuse_text(PM2 "    - {name: b, script: x, mode: always, copies: 17}\n", 5, 50, "16");
    refuse_text(PM2 "    - {name: a, script: x, mode: always, copies: 16}\n"
                    "    - {name: b, script: x, mode: always, copies: 16}\n"
                    "    - {name: c, script: x, mode: always, copies: 16}\n"
                    "    - {name: d, script: x, mode: always, copies: 16}\n"
                    "    - {name: e, script: x, mode: always}\n",
                5, 5, "65 backups with their copies");
    refuse_text(PM2 "    - {name: b, script: x, mode: cron, cron: '@daily', copies: 2}\n", 5, 64,
                "carried out once");
}

#define LOG "managers: {pm2: {primaries: [{name: p, log_errors: "

static void patterns_are_tried(void **state)
{
    (void)state;
    refuse_text(LOG "['a (']}]}}\n", 1, 52, "\"a (\" is no pattern: Unmatched (");
    refuse_text(LOG "[ok, '(x)\\1']}]}}\n", 1, 52, "back-references");
    refuse_text(LOG "['(a{30}){30}']}]}}\n", 1, 52, "repetitions");
    refuse_text(LOG "[a, a, a, a, a, a, a, a, a]}]}}\n", 1, 52, "more than 8 patterns");
    struct config *config = load_text(LOG "['^E(RR)?[0-9]{3}', FATAL]}]}}\n");
    config_destroy(&config);
}

static void long_socket_paths_are_refused(void **state)
{
    (void)state;
    char text[256] = "runtime_dir: /";
    memset(text + strlen(text), 'x', 100);
    refuse_text(text, 1, 14, "choose a shorter path");
    char socket[256] = "control: {listen: ipc:///";
    memset(socket + strlen(socket), 'x', 108);
    strncat(socket, "}", 2);
    refuse_text(socket, 1, 19, "107 bytes");
}

static void several_errors_come_at_once_and_are_bounded(void **state)
{
    (void)state;
    struct config_errors errors;
    assert_null(load_with("cluster: {nmae: x, profile: moon, lease: 1s}\nfoo: 1\n", NULL, &errors));
    assert_int_equal(errors.errors, 4);
    assert_int_equal(errors.count, 4);
    char text[2048];
    size_t used = 0;
    for (int i = 0; i < 50; i++) {
        used += (size_t)snprintf(text + used, sizeof(text) - used, "foo%d: 1\n", i);
    }
    assert_null(load_with(text, NULL, &errors));
    assert_int_equal(errors.errors, 50);
    assert_int_equal(errors.count, CONFIG_ERRORS_MAX);
    char *told = config_errors_text(&errors);
    assert_non_null(strstr(told, "x.yml:1:1: unknown key \"foo0\""));
    assert_non_null(strstr(told, "and 30 more\n"));
    free(told);
}

static void unreadable_files_are_told(void **state)
{
    (void)state;
    struct config *config = NULL;
    struct config_errors errors;
    const struct config_sources sources = {.file = "/nowhere/understudy.yml"};
    assert_int_equal(config_load(&sources, &config, &errors), ERR_IO);
    assert_string_equal(errors.items[0].where, "/nowhere/understudy.yml");
    assert_non_null(strstr(errors.items[0].message, "No such file"));
    assert_int_equal(config_check(&sources, &errors), ERR_IO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_documented_example_loads),
        cmocka_unit_test(an_empty_file_gives_the_documented_defaults),
        cmocka_unit_test(profiles_have_their_numbers),
        cmocka_unit_test(durations_and_sizes),
        cmocka_unit_test(formatted_values_read_back),
        cmocka_unit_test(unknown_keys_name_the_nearest),
        cmocka_unit_test(wrong_types_and_ranges_say_what_was_expected),
        cmocka_unit_test(syntax_errors_have_a_place),
        cmocka_unit_test(anchors_are_copies_with_a_bound),
        cmocka_unit_test(safety_relations_are_checked),
        cmocka_unit_test(founders_are_one_three_or_five),
        cmocka_unit_test(a_node_that_is_no_founder_waits_to_be_joined),
        cmocka_unit_test(backups_refer_to_what_is_there),
        cmocka_unit_test(copies_have_names_of_their_own),
        cmocka_unit_test(patterns_are_tried),
        cmocka_unit_test(long_socket_paths_are_refused),
        cmocka_unit_test(several_errors_come_at_once_and_are_bounded),
        cmocka_unit_test(unreadable_files_are_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
