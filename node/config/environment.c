/* The environment's layers: older variables by their table, then UNDERSTUDY_SECTION__KEY. */
#include "node/config/load.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PREFIX "UNDERSTUDY_"

enum older_kind {
    OLDER_VALUE,   /* as it is; bare numbers are milliseconds */
    OLDER_BOOL,    /* true, false, 1, 0 */
    OLDER_PORT,    /* port of dashboard.listen */
    OLDER_HEALING, /* false: every manager in shadow */
    OLDER_NODE_ENV,
    OLDER_DEBUG,
};

struct older {
    const char *name;
    enum older_kind kind;
    const char *keys[2];
};

static const struct older older_variables[] = {
    {"DASHBOARD_PORT", OLDER_PORT, {"dashboard.listen"}},
    {"HEALTH_SCORE_THRESHOLD", OLDER_VALUE, {"health.healthy_from"}},
    {"MONITORING_INTERVAL", OLDER_VALUE, {"health.manager_interval"}},
    {"HEALTH_CHECK_INTERVAL", OLDER_VALUE, {"managers.github.poll", "managers.netlify.poll"}},
    {"MAX_FAILURE_THRESHOLD",
     OLDER_VALUE,
     {"managers.github.failures", "managers.netlify.failures"}},
    {"WORKFLOW_VALIDATION", OLDER_BOOL, {"managers.github.validate"}},
    {"BACKUP_TRIGGERS", OLDER_BOOL, {"managers.github.act"}},
    {"FUNCTION_VALIDATION", OLDER_BOOL, {"managers.netlify.validate"}},
    {"DEPLOYMENT_CHECK", OLDER_BOOL, {"managers.netlify.deploys"}},
    {"METRICS_COLLECTION", OLDER_BOOL, {"history.enabled"}},
    {"REAL_TIME_MONITORING", OLDER_BOOL, {"dashboard.live"}},
    {"AUTO_SYNC_REMOTE", OLDER_VALUE, {"managers.git.remote"}},
    {"AUTO_SYNC_BRANCH", OLDER_VALUE, {"managers.git.branch"}},
    {"AUTO_SYNC_STRATEGY", OLDER_VALUE, {"managers.git.strategy"}},
    {"AUTO_SYNC_CLEAN", OLDER_BOOL, {"managers.git.clean"}},
    {"AUTO_SYNC_GC", OLDER_BOOL, {"managers.git.gc"}},
    {"AUTO_HEALING", OLDER_HEALING, {NULL}},
    {"NODE_ENV", OLDER_NODE_ENV, {"cluster.environment"}},
    {"REDUNDANCY_TYPE", OLDER_VALUE, {"labels.redundancy_type"}},
    {"DEBUG", OLDER_DEBUG, {"log.level"}},
};

static const char *lookup(char *const *environment, const char *name)
{
    size_t length = strlen(name);
    for (size_t i = 0; environment[i] != NULL; i++) {
        if (strncmp(environment[i], name, length) == 0 && environment[i][length] == '=') {
            const char *value = environment[i] + length + 1;
            return value[0] != '\0' ? value : NULL;
        }
    }
    return NULL;
}

/* 1, 0, or -1 for anything else. */
static int older_bool(const char *value)
{
    if (strcmp(value, "1") == 0 || strcasecmp(value, "true") == 0) {
        return 1;
    }
    return strcmp(value, "0") == 0 || strcasecmp(value, "false") == 0 ? 0 : -1;
}

static void apply_bool(struct load *self, const struct older *older, const char *value)
{
    int flag = older_bool(value);
    if (flag < 0) {
        load_report(self, CONFIG_ERROR, NULL, older->keys[0],
                    "\"%.60s\" is not accepted; expected true, false, 1 or 0", value);
        return;
    }
    (void)load_apply_setting(self, older->keys[0], flag == 1 ? "true" : "false");
}

/* Keeps the host of the address that lower layers gave. */
static void apply_port(struct load *self, const char *value)
{
    const json_t *listen = load_get(self->values, "dashboard.listen");
    const char *address = json_string_value(json_array_get(listen, 0));
    if (address == NULL) {
        address = "127.0.0.1:3001";
    }
    char changed[ADDRESS_SIZE];
    int host = (int)(strrchr(address, ':') - address);
    (void)snprintf(changed, sizeof(changed), "%.*s:%s", host, address, value);
    if (!address_host_port(changed, NULL)) {
        load_report(self, CONFIG_ERROR, NULL, "dashboard.listen",
                    "\"%.60s\" is no port; expected a number from 1 to 65535", value);
        return;
    }
    (void)load_apply_setting(self, "dashboard.listen", changed);
}

static void apply_healing(struct load *self, const char *value)
{
    int flag = older_bool(value);
    if (flag < 0) {
        load_report(self, CONFIG_ERROR, NULL, "managers",
                    "\"%.60s\" is not accepted; expected true, false, 1 or 0", value);
    }
    if (flag != 0) {
        return;
    }
    self->healing_off = true;
    const char *name = NULL;
    json_t *manager = NULL;
    json_object_foreach(json_object_get(self->values, "managers"), name, manager)
    {
        char key[CONFIG_KEY_SIZE];
        (void)snprintf(key, sizeof(key), "managers.%s.mode", name);
        /* What a file said of it gives way; the derived mode then is shadow. */
        (void)json_object_del(manager, "mode");
        (void)json_object_del(self->origins, key);
    }
}

static void apply_node_env(struct load *self, const char *value)
{
    if (load_origin(self, "cluster.environment") == ORIGIN_FILE) {
        return;
    }
    struct schema_path path = {.segments = {"cluster", "environment"}, .count = 2};
    struct yaml_node node = {.kind = YAML_SCALAR};
    char text[NAME_SIZE];
    (void)snprintf(text, sizeof(text), "%s", value);
    node.text = text;
    const struct schema_row *row = schema_find(&path);
    struct config_errors ignored = {.count = 0};
    struct load probe = {.errors = &ignored, .source = self->source};
    json_t *accepted = load_convert(&probe, row, &node, "cluster.environment");
    if (accepted == NULL || strlen(value) >= NAME_SIZE) {
        load_report(self, CONFIG_WARNING, NULL, "cluster.environment",
                    "\"%.60s\" is no name of an environment; ignored", value);
    } else {
        (void)load_apply_setting(self, "cluster.environment", value);
    }
    json_decref(accepted);
}

static void apply_debug(struct load *self, const char *value)
{
    int flag = older_bool(value);
    if (flag == 1) {
        (void)load_apply_setting(self, "log.level", "debug");
    } else if (flag < 0) {
        load_report(self, CONFIG_WARNING, NULL, "log.level",
                    "\"%.60s\" is meant for another program; ignored", value);
    }
}

static void apply_older(struct load *self, const struct older *older, const char *value)
{
    switch (older->kind) {
    case OLDER_VALUE:
        for (size_t i = 0; i < 2 && older->keys[i] != NULL; i++) {
            (void)load_apply_setting(self, older->keys[i], value);
        }
        return;
    case OLDER_BOOL:
        apply_bool(self, older, value);
        return;
    case OLDER_PORT:
        apply_port(self, value);
        return;
    case OLDER_HEALING:
        apply_healing(self, value);
        return;
    case OLDER_NODE_ENV:
        apply_node_env(self, value);
        return;
    case OLDER_DEBUG:
        apply_debug(self, value);
        return;
    }
}

/* UNDERSTUDY_CLUSTER__NODE to cluster.node. False when the name is not meant for us. */
static bool key_of(const char *name, size_t length, char *ret, size_t size)
{
    size_t used = 0;
    bool nested = false;
    for (size_t i = strlen(PREFIX); i < length; i++) {
        if (used + 1 >= size) {
            return false;
        }
        if (name[i] == '_' && i + 1 < length && name[i + 1] == '_') {
            ret[used++] = '.';
            nested = true;
            i++;
        } else {
            ret[used++] = (char)tolower((unsigned char)name[i]);
        }
    }
    ret[used] = '\0';
    struct schema_path path = {.segments = {ret}, .count = 1};
    return nested || (schema_find(&path) != NULL && used > 0);
}

static void apply_ours(struct load *self, const char *variable)
{
    const char *equals = strchr(variable, '=');
    if (strncmp(variable, PREFIX, strlen(PREFIX)) != 0 || equals == NULL) {
        return;
    }
    char key[CONFIG_KEY_SIZE];
    if (!key_of(variable, (size_t)(equals - variable), key, sizeof(key))) {
        return;
    }
    char source[160];
    (void)snprintf(source, sizeof(source), "environment %.*s", (int)(equals - variable), variable);
    self->source = source;
    (void)load_apply_setting(self, key, equals + 1);
}

void load_apply_environment(struct load *self, char *const *environment)
{
    self->origin = ORIGIN_ENVIRONMENT;
    self->bare_is_ms = true;
    for (size_t i = 0; i < sizeof(older_variables) / sizeof(older_variables[0]); i++) {
        const char *value = lookup(environment, older_variables[i].name);
        if (value != NULL) {
            char source[96];
            (void)snprintf(source, sizeof(source), "environment %s", older_variables[i].name);
            self->source = source;
            apply_older(self, &older_variables[i], value);
        }
    }
    self->bare_is_ms = false;
    for (size_t i = 0; environment[i] != NULL; i++) {
        apply_ours(self, environment[i]);
    }
    self->source = "";
}
