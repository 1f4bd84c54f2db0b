/* What a configuration tells others: manager documents, show, changes, merging, the schema. */
#include "tests/folder.h"
#include "tests/unit/config/config_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void a_manager_gets_units_in_its_keys(void **state)
{
    (void)state;
    struct config *config = load_text(example);
    json_t *document = config_manager_document(config, "pm2");
    json_t *primary = json_array_get(json_object_get(document, "primaries"), 0);
    json_t *backup = json_array_get(json_object_get(document, "backups"), 0);
    assert_int_equal(json_integer_value(json_object_get(document, "poll_ms")), 5000);
    assert_int_equal(json_integer_value(json_object_get(primary, "memory_bytes")), 300 << 20);
    assert_true(json_is_true(json_object_get(primary, "critical")));
    assert_int_equal(json_integer_value(json_object_get(backup, "kill_timeout_ms")), 1600);
    assert_int_equal(json_integer_value(json_object_get(backup, "exp_backoff_ms")), 100);
    assert_int_equal(json_integer_value(json_object_get(backup, "settle_ms")), 10000);
    assert_int_equal(json_integer_value(json_object_get(backup, "max_restarts")), 15);
    assert_string_equal(json_string_value(json_object_get(backup, "mode")), "standby");
    const json_t *unreachable = json_object_get(backup, "when_unreachable");
    assert_int_equal(json_integer_value(json_object_get(unreachable, "start_after_ms")), 30000);
    assert_null(json_object_get(backup, "settle"));
    json_decref(document);
    /* It was a copy: the configuration itself is as before. */
    document = config_manager_document(config, "pm2");
    assert_int_equal(json_integer_value(json_object_get(document, "poll_ms")), 5000);
    json_decref(document);
    config_destroy(&config);
}

static void watching_has_its_limits(void **state)
{
    (void)state;
    struct config *config =
        load_text("managers: {pm2: {loop: {restarts: 12, window: 2h}, daemon_memory: 300MB, "
                  "verify: 1m, primaries: [{name: p, cpu: 90, over: 30s}]}}\n");
    json_t *document = config_manager_document(config, "pm2");
    const json_t *loop = json_object_get(document, "loop");
    const json_t *primary = json_array_get(json_object_get(document, "primaries"), 0);
    assert_int_equal(json_integer_value(json_object_get(loop, "restarts")), 12);
    assert_int_equal(json_integer_value(json_object_get(loop, "window_ms")), 7200000);
    assert_int_equal(json_integer_value(json_object_get(document, "verify_ms")), 60000);
    assert_int_equal(json_integer_value(json_object_get(document, "daemon_memory_bytes")),
                     300 << 20);
    assert_int_equal(json_integer_value(json_object_get(primary, "cpu")), 90);
    assert_int_equal(json_integer_value(json_object_get(primary, "over_ms")), 30000);
    json_decref(document);
    config_destroy(&config);
}

static void wait_and_unspoken_managers(void **state)
{
    (void)state;
    struct config *config =
        load_text("cluster: {environment: staging}\n"
                  "managers:\n  pm2:\n    primaries: [{name: p}]\n    backups:\n"
                  "    - {name: b, script: x, stands_in_for: p, when_unreachable: wait}\n"
                  "    - {name: c, script: x, stands_in_for: p}\n"
                  "  my-plugin: {program: /opt/x, options: {a: 1, b: [x, true], c: '1'}}\n");
    json_t *document = config_manager_document(config, "pm2");
    json_t *backups = json_object_get(document, "backups");
    json_t *waiting = json_object_get(json_array_get(backups, 0), "when_unreachable");
    json_t *starting = json_object_get(json_array_get(backups, 1), "when_unreachable");
    assert_true(json_is_true(json_object_get(waiting, "wait")));
    assert_null(json_object_get(waiting, "start_after_ms"));
    assert_int_equal(json_integer_value(json_object_get(starting, "start_after_ms")), 30000);
    json_decref(document);
    document = config_manager_document(config, "my-plugin");
    json_t *options = json_object_get(document, "options");
    assert_int_equal(json_integer_value(json_object_get(options, "a")), 1);
    assert_string_equal(json_string_value(json_object_get(options, "c")), "1");
    assert_true(json_is_true(json_array_get(json_object_get(options, "b"), 1)));
    json_decref(document);
    assert_true(config_manager_find(config, "my-plugin")->available);
    assert_null(config_manager_find(config, "netlify"));
    document = config_manager_document(config, "netlify");
    assert_int_equal(json_integer_value(json_object_get(document, "failures")), 2);
    assert_string_equal(json_string_value(json_object_get(document, "mode")), "shadow");
    json_decref(document);
    config_destroy(&config);
}

static void what_is_shown_loads_to_the_same(void **state)
{
    (void)state;
    struct config *config = load_text(example);
    char *text = config_show_text(config, false);
    assert_non_null(text);
    struct config *again = load_text(text);
    struct config_change *changes = NULL;
    size_t count = 99;
    assert_int_equal(config_reload_diff(config, again, &changes, &count), 0);
    assert_int_equal(count, 0);
    assert_null(changes);
    free(text);
    text = config_show_text(config, true);
    assert_non_null(strstr(text, "cluster.peers.n2: \"tcp://host-b:7400\"  # file (x.yml:7:40)\n"));
    assert_non_null(strstr(text, "cluster.lease: \"350ms\"  # default (profile lan)\n"));
    free(text);
    config_destroy(&again);
    config_destroy(&config);
}

static const struct config_change *change_of(const struct config_change *changes, size_t count,
                                             const char *key)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(changes[i].key, key) == 0) {
            return &changes[i];
        }
    }
    fail_msg("%s is not among the changes", key);
    return NULL;
}

static void a_reload_says_what_changed_and_what_needs_a_restart(void **state)
{
    (void)state;
    struct config *before = load_text("leadership: {margin: 5}\nlabels: {a: x}\n");
    struct config *after = load_text("cluster: {listen: 'tcp://0.0.0.0:1'}\n"
                                     "leadership: {margin: 6}\nmanagers: {pm2: {}}\n");
    struct config_change *changes = NULL;
    size_t count = 0;
    assert_int_equal(config_reload_diff(before, after, &changes, &count), 0);
    assert_false(change_of(changes, count, "leadership.margin")->restart);
    assert_true(change_of(changes, count, "cluster.listen")->restart);
    assert_false(change_of(changes, count, "labels.a")->restart);             /* gone */
    assert_false(change_of(changes, count, "managers.pm2.enabled")->restart); /* new */
    free(changes);
    config_destroy(&before);
    config_destroy(&after);
}

static void merging_goes_key_by_key_and_replaces_lists(void **state)
{
    (void)state;
    char dir[64];
    char base[128];
    char overlay[128];
    char out[128];
    struct err err;
    make_folder(dir, sizeof(dir));
    (void)snprintf(base, sizeof(base), "%s/base.yml", dir);
    (void)snprintf(overlay, sizeof(overlay), "%s/overlay.yml", dir);
    (void)snprintf(out, sizeof(out), "%s/out.yml", dir);
    write_text(dir, "base.yml", example);
    write_text(dir, "overlay.yml",
               "cluster: {name: other, node: \"n1\"}\nlabels: {v: 1.10, 'q\"': \"a\\nb\"}\n"
               "managers:\n  pm2:\n    homes: [/x, /y]\n    backups: []\n");
    char *text = NULL;
    assert_int_equal(config_merge_files(base, overlay, NULL, &text, &err), 0);
    struct config *config = load_text(text);
    assert_string_equal(config->cluster.name, "other");
    assert_string_equal(config->cluster.listen, "tcp://0.0.0.0:7400");
    assert_string_equal(config->labels[0].value, "1.10");
    assert_string_equal(config->labels[1].name, "q\"");
    assert_string_equal(config->labels[1].value, "a\nb");
    json_t *document = config_manager_document(config, "pm2");
    assert_int_equal(json_array_size(json_object_get(document, "homes")), 2);
    assert_int_equal(json_array_size(json_object_get(document, "backups")), 0);
    assert_int_equal(json_array_size(json_object_get(document, "primaries")), 1);
    json_decref(document);
    config_destroy(&config);

    assert_int_equal(config_merge_files(base, overlay, out, NULL, &err), 0);
    struct config_errors errors;
    const struct config_sources sources = {.file = out};
    assert_int_equal(config_check(&sources, &errors), 0);
    free(text);

    write_text(dir, "overlay.yml", "a: [\n");
    assert_int_equal(config_merge_files(base, overlay, out, NULL, &err), ERR_INVALID);
    assert_non_null(strstr(err.msg, "overlay.yml:2:1"));
    assert_int_equal(config_merge_files(base, "/nowhere", out, NULL, &err), ERR_IO);
    write_text(dir, "overlay.yml", "");
    assert_int_equal(config_merge_files(overlay, base, NULL, &text, &err), 0);
    config = load_text(text);
    assert_string_equal(config->cluster.name, "demo");
    config_destroy(&config);
    free(text);
    folder_remove(dir);
}

static void the_schema_can_be_walked(void **state)
{
    (void)state;
    struct config_key key;
    size_t count = 0;
    while (config_key_at(count, &key)) {
        assert_non_null(key.type);
        assert_true(strlen(key.meaning) > 5);
        count++;
    }
    assert_true(count > 80);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_manager_gets_units_in_its_keys),
        cmocka_unit_test(watching_has_its_limits),
        cmocka_unit_test(wait_and_unspoken_managers),
        cmocka_unit_test(what_is_shown_loads_to_the_same),
        cmocka_unit_test(a_reload_says_what_changed_and_what_needs_a_restart),
        cmocka_unit_test(merging_goes_key_by_key_and_replaces_lists),
        cmocka_unit_test(the_schema_can_be_walked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
