#include "managers/pm2/ecosystem/schema.h"

#include <stdio.h>
#include <string.h>

#define NAME_MAX_LENGTH 40
#define COUNT_OF(array) (sizeof(array) / sizeof(array)[0])

enum {
    S = SCHEMA_STRING,
    N = SCHEMA_NUMBER,
    B = SCHEMA_BOOLEAN,
    A = SCHEMA_ARRAY,
    O = SCHEMA_OBJECT,
    W = SCHEMA_ARRAY | SCHEMA_STRING | SCHEMA_SPLIT
};

/* Observed with PM2 7.0.4: what it accepts, keeps and makes of each key (tests/integration/
 * test_ecosystem.py compares). A key of one word is its own alias: its 0 and false count. */
static const struct schema_row rows[] = {
    {.key = "script", .types = S, .aliases = {"exec", "script"}},
    {.key = "name", .types = S, .aliases = {"name"}},
    {.key = "name_prefix", .types = S, .aliases = {"namePrefix"}},
    {.key = "filter_env", .types = B | A | S, .aliases = {"filterEnv"}},
    {.key = "namespace", .types = S, .aliases = {"namespace"}},
    {.key = "install_url", .types = S, .aliases = {"installUrl"}},
    {.key = "cwd", .types = S, .aliases = {"cwd"}},
    {.key = "args", .types = W, .aliases = {"args"}},
    {.key = "exec_interpreter", .types = S, .aliases = {"interpreter", "execInterpreter"}},
    {.key = "node_args",
     .types = W,
     .aliases = {"interpreter_args", "interpreterArgs", "nodeArgs"}},
    {.key = "out_file", .types = S, .aliases = {"out_log", "output", "out", "outFile"}},
    {.key = "error_file",
     .types = S,
     .aliases = {"err_log", "err_file", "err", "error", "errorFile"}},
    {.key = "log_file", .types = B | S, .aliases = {"log", "logFile"}},
    {.key = "disable_logs", .types = B, .aliases = {"disableLogs"}},
    {.key = "log_type", .types = S, .aliases = {"logType"}},
    {.key = "log_date_format", .types = S, .aliases = {"logDateFormat"}},
    {.key = "time", .types = B, .aliases = {"time"}},
    {.key = "env", .types = O | S, .aliases = {"env"}},
    {.key = "max_memory_restart",
     .types = S | N,
     .form = SCHEMA_SIZE,
     .aliases = {"maxMemoryRestart"}},
    {.key = "pid_file", .types = S, .aliases = {"pid", "pidFile"}},
    {.key = "restart_delay", .types = N, .aliases = {"restartDelay"}},
    {.key = "exp_backoff_restart_delay", .types = N, .aliases = {"expBackoffRestartDelay"}},
    {.key = "source_map_support", .types = B, .aliases = {"sourceMapSupport"}},
    {.key = "disable_source_map_support", .types = B, .aliases = {"disableSourceMapSupport"}},
    {.key = "wait_ready", .types = B, .aliases = {"waitReady"}},
    {.key = "instances", .types = N, .aliases = {"instances"}},
    {.key = "kill_timeout", .types = N, .aliases = {"killTimeout"}},
    {.key = "shutdown_with_message", .types = B, .aliases = {"shutdownWithMessage"}},
    {.key = "listen_timeout", .types = N, .aliases = {"listenTimeout"}},
    {.key = "cron_restart", .types = S | N, .aliases = {"cron", "cronRestart"}},
    {.key = "merge_logs", .types = B, .aliases = {"combine_logs", "mergeLogs"}},
    {.key = "vizion", .types = B, .fallback = "true", .aliases = {"vizion"}},
    {.key = "autostart", .types = B, .fallback = "true", .aliases = {"autostart"}},
    {.key = "autorestart", .types = B, .fallback = "true", .aliases = {"autorestart"}},
    {.key = "stop_exit_codes", .types = A | N, .aliases = {"stopExitCodes"}},
    {.key = "watch_delay", .types = N, .aliases = {"watchDelay"}},
    {.key = "watch", .types = B | A | S, .aliases = {"watch"}},
    {.key = "ignore_watch", .types = W, .aliases = {"ignoreWatch"}},
    {.key = "watch_options", .types = O, .aliases = {"watchOptions"}},
    {.key = "min_uptime",
     .types = N | S,
     .form = SCHEMA_TIME,
     .minimum = 100,
     .has_minimum = true,
     .aliases = {"minUptime"}},
    {.key = "max_restarts", .types = N, .has_minimum = true, .aliases = {"maxRestarts"}},
    {.key = "execute_command", .types = B, .aliases = {"executeCommand"}},
    {.key = "exec_mode", .types = S, .form = SCHEMA_MODE, .aliases = {"execMode"}},
    {.key = "force", .types = B, .aliases = {"force"}},
    {.key = "append_env_to_name", .types = B, .aliases = {"appendEnvToName"}},
    {.key = "post_update", .types = A, .aliases = {"postUpdate"}},
    {.key = "trace", .types = B, .aliases = {"trace"}},
    {.key = "disable_trace", .types = B, .aliases = {"disableTrace"}},
    {.key = "v8", .types = B, .aliases = {"v8"}},
    {.key = "event_loop_inspector", .types = B, .aliases = {"eventLoopInspector"}},
    {.key = "deep_monitoring", .types = B, .aliases = {"deepMonitoring"}},
    {.key = "increment_var", .types = S, .aliases = {"incrementVar"}},
    {.key = "instance_var",
     .types = S,
     .fallback = "NODE_APP_INSTANCE",
     .aliases = {"instanceVar"}},
    {.key = "pmx", .types = B | S, .fallback = "true", .aliases = {"pmx"}},
    {.key = "automation", .types = B, .fallback = "true", .aliases = {"automation"}},
    {.key = "treekill", .types = B, .fallback = "true", .aliases = {"treekill"}},
    {.key = "port", .types = N, .aliases = {"port"}},
    {.key = "username", .types = S, .aliases = {"username"}},
    {.key = "uid", .types = N | S, .aliases = {"user", "uid"}},
    {.key = "gid", .types = N | S, .aliases = {"gid"}},
    {.key = "windowsHide", .types = B, .fallback = "true", .aliases = {"windowsHide"}},
    {.key = "kill_retry_time", .types = N, .fallback = "100", .aliases = {"killRetryTime"}},
    {.key = "write", .types = B, .aliases = {"write"}},
    {.key = "io", .types = O, .aliases = {"io"}},
};

const struct schema_row *schema_rows(size_t *ret_count)
{
    *ret_count = COUNT_OF(rows);
    return rows;
}

const struct schema_row *schema_find(const char *key)
{
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        if (strcmp(rows[i].key, key) == 0) {
            return &rows[i];
        }
    }
    return NULL;
}

const struct schema_row *schema_known(const char *key)
{
    const struct schema_row *own = schema_find(key);
    for (size_t i = 0; i < COUNT_OF(rows) && own == NULL; i++) {
        for (size_t j = 0; j < SCHEMA_ALIASES_MAX && rows[i].aliases[j] != NULL; j++) {
            if (strcmp(rows[i].aliases[j], key) == 0) {
                return &rows[i];
            }
        }
    }
    return own;
}

bool schema_taken_early(const char *key)
{
    return strcmp(key, "cmd") == 0 || strcmp(key, "command") == 0;
}

bool schema_is_section(const char *key)
{
    size_t prefix = strlen(SCHEMA_ENV_PREFIX);
    return strncmp(key, SCHEMA_ENV_PREFIX, prefix) == 0 && strpbrk(key, " \t\r\n\v\f") == NULL;
}

const char *schema_expected(const struct schema_row *row, char *ret, size_t size)
{
    static const struct {
        unsigned type;
        const char *text;
    } names[] = {{SCHEMA_STRING, "a text"},
                 {SCHEMA_NUMBER, "a number"},
                 {SCHEMA_BOOLEAN, "true or false"},
                 {SCHEMA_ARRAY, "a list"},
                 {SCHEMA_OBJECT, "an object"}};
    if (row->form == SCHEMA_SIZE) {
        return "a number of bytes, or \"300K\", \"300M\", \"3G\"";
    }
    if (row->form == SCHEMA_TIME) {
        return "milliseconds from 100, or \"5s\", \"5m\", \"5h\"";
    }
    if (row->form == SCHEMA_MODE) {
        return "fork or cluster";
    }
    size_t length = 0;
    ret[0] = '\0';
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        if ((row->types & names[i].type) != 0 && length + 24 < size) {
            length += (size_t)snprintf(ret + length, size - length, "%s%s",
                                       length == 0 ? "" : ", or ", names[i].text);
        }
    }
    return ret;
}

/* Edit distance with neighbours swapped counting one, case and _ set aside. */
static size_t distance(const char *a, const char *b)
{
    size_t previous[NAME_MAX_LENGTH + 1];
    size_t current[NAME_MAX_LENGTH + 1];
    size_t length = strlen(b);
    if (strlen(a) > NAME_MAX_LENGTH || length > NAME_MAX_LENGTH) {
        return NAME_MAX_LENGTH;
    }
    for (size_t j = 0; j <= length; j++) {
        previous[j] = j;
    }
    for (size_t i = 0; a[i] != '\0'; i++) {
        current[0] = i + 1;
        for (size_t j = 0; j < length; j++) {
            size_t best = previous[j] + ((a[i] | 0x20) != (b[j] | 0x20) ? 1 : 0);
            best = previous[j + 1] + 1 < best ? previous[j + 1] + 1 : best;
            current[j + 1] = current[j] + 1 < best ? current[j] + 1 : best;
        }
        memcpy(previous, current, sizeof current);
    }
    return previous[length];
}

const char *schema_nearest(const char *key)
{
    const char *nearest = NULL;
    size_t least = strlen(key) / 3 + 1;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        size_t far = distance(key, rows[i].key);
        if (far < least) {
            least = far;
            nearest = rows[i].key;
        }
    }
    return nearest;
}
