/* Precedence: command line, environment, older variables, file, cluster-wide settings, default. */
#include "tests/unit/config/config_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static char *const *environment(const char *const *variables)
{
    static char text[16][128];
    static char *list[17];
    size_t count = 0;
    for (; variables[count] != NULL; count++) {
        assert_true(count < 16 && strlen(variables[count]) < sizeof(text[0]));
        memcpy(text[count], variables[count], strlen(variables[count]) + 1);
        list[count] = text[count];
    }
    list[count] = NULL;
    return list;
}

#define ENVIRONMENT(...) environment((const char *const[]){__VA_ARGS__, NULL})

static struct config *load_in(const char *text, char *const *variables)
{
    struct config_errors errors;
    struct config *config = load_with(text, variables, &errors);
    if (config == NULL) {
        fail_msg("%s: %s", errors.items[0].where, errors.items[0].message);
    }
    return config;
}

static void refuse_in(const char *text, char *const *variables, const char *where, const char *part)
{
    struct config_errors errors;
    assert_null(load_with(text, variables, &errors));
    assert_string_equal(errors.items[0].where, where);
    if (strstr(errors.items[0].message, part) == NULL) {
        fail_msg("\"%s\" not in \"%s\"", part, errors.items[0].message);
    }
}

static void the_stronger_source_wins(void **state)
{
    (void)state;
    static const struct config_setting wide[] = {{"leadership.margin", "1", NULL},
                                                 {"leadership.hold", "1s", NULL}};
    static const struct config_setting options[] = {{"leadership.margin", "5", "--margin"}};
    static const char text[] = "leadership: {margin: 2}\n";
    struct config_errors errors;
    struct config *config = NULL;
    struct config_sources sources = {.cluster_wide = wide, .cluster_wide_count = 2};
    assert_int_equal(config_load(&sources, &config, &errors), 0);
    assert_true(config->leadership.margin == 1);
    assert_int_equal(config->leadership.hold_ms, 1000);
    assert_origin(config, "leadership.margin", "cluster", "cluster-wide setting leadership.margin");
    config_destroy(&config);

    sources.file = "x.yml";
    sources.text = text;
    sources.text_length = strlen(text);
    assert_int_equal(config_load(&sources, &config, &errors), 0);
    assert_true(config->leadership.margin == 2);
    assert_origin(config, "leadership.margin", "file", "x.yml:1:22");
    assert_origin(config, "leadership.hold", "cluster", NULL);
    assert_origin(config, "leadership.min_tenure", "default", NULL);
    config_destroy(&config);

    sources.environment = ENVIRONMENT("UNDERSTUDY_LEADERSHIP__MARGIN=4");
    assert_int_equal(config_load(&sources, &config, &errors), 0);
    assert_true(config->leadership.margin == 4);
    assert_origin(config, "leadership.margin", "environment",
                  "environment UNDERSTUDY_LEADERSHIP__MARGIN");
    config_destroy(&config);

    sources.command_line = options;
    sources.command_line_count = 1;
    assert_int_equal(config_load(&sources, &config, &errors), 0);
    assert_true(config->leadership.margin == 5);
    assert_origin(config, "leadership.margin", "command_line", "option --margin");
    config_destroy(&config);
}

static void ours_wins_over_an_older_name(void **state)
{
    (void)state;
    struct config *config =
        load_in("health: {healthy_from: 70}\n",
                ENVIRONMENT("UNDERSTUDY_HEALTH__HEALTHY_FROM=90", "HEALTH_SCORE_THRESHOLD=75"));
    assert_true(config->health.healthy_from == 90);
    config_destroy(&config);
    config = load_in("health: {healthy_from: 70}\n", ENVIRONMENT("HEALTH_SCORE_THRESHOLD=75"));
    assert_true(config->health.healthy_from == 75);
    config_destroy(&config);
}

static void sections_and_lists_can_be_set_too(void **state)
{
    (void)state;
    struct config *config =
        load_in("cluster: {peers: {n1: 'tcp://a:1'}}\n",
                ENVIRONMENT("UNDERSTUDY_CLUSTER__PEERS={n2: 'tcp://a:2', n3: 'tcp://a:3'}",
                            "UNDERSTUDY_DASHBOARD__LISTEN=[127.0.0.1:1, 127.0.0.1:2]",
                            "UNDERSTUDY_DATA_DIR=/data", "UNDERSTUDY_CLUSTER__NODE=n1",
                            "UNDERSTUDY_ENDPOINT=ipc:///x", "UNDERSTUDY_TERM=4"));
    assert_int_equal(config->cluster.peer_count, 3); /* maps are merged */
    assert_int_equal(config->dashboard.listen_count, 2);
    assert_string_equal(config->data_dir, "/data");
    config_destroy(&config);
    refuse_in("", ENVIRONMENT("UNDERSTUDY_CLUSTER__NODES=n1"),
              "environment UNDERSTUDY_CLUSTER__NODES", "did you mean \"node\"");
    refuse_in("", ENVIRONMENT("UNDERSTUDY_MANAGERS__PM2__BACKUPS__[]=x"),
              "environment UNDERSTUDY_MANAGERS__PM2__BACKUPS__[]", "unknown key");
    refuse_in("", ENVIRONMENT("UNDERSTUDY_GRANTS__TTL=5"), "environment UNDERSTUDY_GRANTS__TTL",
              "expected a duration");
    refuse_in("", ENVIRONMENT("UNDERSTUDY_CLUSTER__PEERS=[a"),
              "environment UNDERSTUDY_CLUSTER__PEERS", "not YAML");
}

static json_t *manager(const struct config *config, const char *name)
{
    json_t *document = config_manager_document(config, name);
    assert_non_null(document);
    return document;
}

static int64_t number_of(const struct config *config, const char *name, const char *key)
{
    json_t *document = manager(config, name);
    int64_t value = json_integer_value(json_object_get(document, key));
    json_decref(document);
    return value;
}

static void older_variables_of_the_table(void **state)
{
    (void)state;
    struct config *config = load_in(
        "dashboard: {listen: ['0.0.0.0:3002']}\n",
        ENVIRONMENT("DASHBOARD_PORT=4001", "MONITORING_INTERVAL=30000",
                    "HEALTH_CHECK_INTERVAL=90000", "MAX_FAILURE_THRESHOLD=7",
                    "WORKFLOW_VALIDATION=true", "BACKUP_TRIGGERS=0", "FUNCTION_VALIDATION=1",
                    "DEPLOYMENT_CHECK=false", "METRICS_COLLECTION=false", "REAL_TIME_MONITORING=0",
                    "AUTO_SYNC_REMOTE=upstream", "AUTO_SYNC_BRANCH=main",
                    "AUTO_SYNC_STRATEGY=rebase", "REDUNDANCY_TYPE=full", "DEBUG=true"));
    assert_string_equal(config->dashboard.listen[0], "0.0.0.0:4001");
    assert_int_equal(config->health.manager_interval_ms, 30000);
    assert_int_equal(number_of(config, "github", "poll_ms"), 90000);
    assert_int_equal(number_of(config, "netlify", "poll_ms"), 90000);
    assert_int_equal(number_of(config, "github", "failures"), 7);
    assert_int_equal(number_of(config, "netlify", "failures"), 7);
    json_t *github = manager(config, "github");
    assert_true(json_is_true(json_object_get(github, "validate")));
    assert_true(json_is_false(json_object_get(github, "act")));
    json_decref(github);
    json_t *netlify = manager(config, "netlify");
    assert_true(json_is_true(json_object_get(netlify, "validate")));
    assert_true(json_is_false(json_object_get(netlify, "deploys")));
    json_decref(netlify);
    json_t *git = manager(config, "git");
    assert_string_equal(json_string_value(json_object_get(git, "strategy")), "rebase");
    assert_string_equal(json_string_value(json_object_get(git, "remote")), "upstream");
    json_decref(git);
    assert_false(config->history_enabled);
    assert_false(config->dashboard.live);
    assert_int_equal(config->label_count, 1);
    assert_string_equal(config->labels[0].name, "redundancy_type");
    assert_string_equal(config->labels[0].value, "full");
    assert_int_equal(config->log.level, CONFIG_LOG_DEBUG);
    assert_false(config_manager_find(config, "github")->available);
    config_destroy(&config);
    refuse_in("", ENVIRONMENT("MAX_FAILURE_THRESHOLD=many"), "environment MAX_FAILURE_THRESHOLD",
              "a whole number");
    refuse_in("", ENVIRONMENT("DASHBOARD_PORT=99999"), "environment DASHBOARD_PORT", "no port");
    refuse_in("", ENVIRONMENT("METRICS_COLLECTION=maybe"), "environment METRICS_COLLECTION",
              "true, false, 1 or 0");
    refuse_in("", ENVIRONMENT("AUTO_HEALING=maybe"), "environment AUTO_HEALING",
              "true, false, 1 or 0");
}

static void auto_healing_off_puts_every_manager_in_shadow(void **state)
{
    (void)state;
    struct config *config =
        load_in("managers: {pm2: {mode: armed}, git: {}}\n", ENVIRONMENT("AUTO_HEALING=false"));
    assert_int_equal(config_manager_find(config, "pm2")->mode, CONFIG_SHADOW);
    assert_int_equal(config_manager_find(config, "git")->mode, CONFIG_SHADOW);
    assert_origin(config, "managers.git.mode", "environment", "environment AUTO_HEALING");
    config_destroy(&config);
    config = load_in("managers: {my.plugin: {program: /x, mode: armed}}\n",
                     ENVIRONMENT("AUTO_HEALING=0"));
    assert_int_equal(config_manager_find(config, "my.plugin")->mode, CONFIG_SHADOW);
    assert_int_equal(config_manager_find(config, "my.plugin")->poll_ms, 60000);
    config_destroy(&config);
    config = load_in("managers: {pm2: {mode: armed}}\n",
                     ENVIRONMENT("AUTO_HEALING=0", "UNDERSTUDY_MANAGERS__PM2__MODE=armed"));
    assert_int_equal(config_manager_find(config, "pm2")->mode, CONFIG_ARMED);
    config_destroy(&config);
    config = load_in("managers: {pm2: {}}\n", ENVIRONMENT("AUTO_HEALING=1"));
    assert_int_equal(config_manager_find(config, "pm2")->mode, CONFIG_ARMED);
    config_destroy(&config);
}

static void node_env_speaks_when_the_file_is_silent(void **state)
{
    (void)state;
    struct config *config = load_in("managers: {pm2: {}}\n", ENVIRONMENT("NODE_ENV=development"));
    assert_string_equal(config->cluster.environment, "development");
    /* X6: outside production nothing acts unless it is told to. */
    assert_int_equal(config_manager_find(config, "pm2")->mode, CONFIG_SHADOW);
    config_destroy(&config);
    config = load_in("cluster: {environment: production}\n", ENVIRONMENT("NODE_ENV=development"));
    assert_string_equal(config->cluster.environment, "production");
    config_destroy(&config);
}

static void foreign_values_of_debug_are_ignored_with_a_warning(void **state)
{
    (void)state;
    struct config_errors errors;
    struct config *config = load_with("", ENVIRONMENT("DEBUG=express:*", "NODE_ENV=a b"), &errors);
    assert_non_null(config);
    assert_int_equal(config->log.level, CONFIG_LOG_INFO);
    assert_int_equal(errors.warnings, 2);
    char *told = config_errors_text(&errors);
    assert_non_null(strstr(told, "environment DEBUG: warning: "));
    free(told);
    config_destroy(&config);
    config = load_in("", ENVIRONMENT("DEBUG=0", "DASHBOARD_PORT="));
    assert_int_equal(config->log.level, CONFIG_LOG_INFO);
    config_destroy(&config);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_stronger_source_wins),
        cmocka_unit_test(ours_wins_over_an_older_name),
        cmocka_unit_test(sections_and_lists_can_be_set_too),
        cmocka_unit_test(older_variables_of_the_table),
        cmocka_unit_test(auto_healing_off_puts_every_manager_in_shadow),
        cmocka_unit_test(node_env_speaks_when_the_file_is_silent),
        cmocka_unit_test(foreign_values_of_debug_are_ignored_with_a_warning),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
