#include "managers/pm2/watch/entry.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BACKOFF_MAX_MS 15000 /* PM2's own bound; a backoff goes before a fixed delay */

static const char *const status_names[] = {
    [ENTRY_ONLINE] = "online",     [ENTRY_LAUNCHING] = "launching",
    [ENTRY_STOPPING] = "stopping", [ENTRY_STOPPED] = "stopped",
    [ENTRY_ERRORED] = "errored",   [ENTRY_WAITING_RESTART] = "waiting restart",
    [ENTRY_OTHER] = "unknown",
};

const char *entry_status_name(enum entry_status status)
{
    return status <= ENTRY_OTHER ? status_names[status] : "unknown";
}

enum entry_status entry_status(const json_t *pm2_env)
{
    const char *text = json_string_value(json_object_get(pm2_env, "status"));
    for (int i = ENTRY_ONLINE; text != NULL && i < ENTRY_OTHER; i++) {
        if (strcmp(text, status_names[i]) == 0) {
            return (enum entry_status)i;
        }
    }
    return ENTRY_OTHER;
}

/* A number, or a text that is a number: "_old_1" of a reload is none. */
int64_t entry_id(const json_t *value)
{
    if (json_is_integer(value)) {
        int64_t id = json_integer_value(value);
        return id >= 0 && id <= INT32_MAX ? id : -1;
    }
    const char *text = json_string_value(value);
    if (text == NULL || text[0] < '0' || text[0] > '9') {
        return -1;
    }
    char *end;
    errno = 0;
    long id = strtol(text, &end, 10);
    return errno == 0 && *end == '\0' && id <= INT32_MAX ? id : -1;
}

static int64_t read_count(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    double number = json_number_value(value);
    return json_is_number(value) && number >= 0 && number < 9e15 ? (int64_t)number : 0;
}

/* From the row's own environment only: PM2 mixes the variables into pm2_env as well. */
static void read_duty(const json_t *pm2_env, struct entry *ret)
{
    const char *namespace = json_string_value(json_object_get(pm2_env, "namespace"));
    const char *duty = json_string_value(json_object_get(pm2_env, ENTRY_DUTY_VARIABLE));
    if (duty == NULL) {
        duty = json_string_value(
            json_object_get(json_object_get(pm2_env, "env"), ENTRY_DUTY_VARIABLE));
    }
    if (namespace != NULL && strcmp(namespace, ENTRY_NAMESPACE) == 0 && duty != NULL &&
        strlen(duty) < sizeof ret->duty) {
        memcpy(ret->duty, duty, strlen(duty) + 1);
    }
}

static bool is_stop_code(const json_t *pm2_env)
{
    const json_t *codes = json_object_get(pm2_env, "stop_exit_codes");
    const json_t *code = json_object_get(pm2_env, "exit_code");
    if (!json_is_array(codes)) {
        return codes != NULL && json_equal(codes, code) == 1;
    }
    size_t index;
    json_t *item;
    json_array_foreach(codes, index, item)
    {
        if (json_equal(item, code) == 1) {
            return true;
        }
    }
    return false;
}

bool entry_restarts(const json_t *pm2_env)
{
    const json_t *wanted = json_object_get(pm2_env, "autorestart");
    const char *text = json_string_value(wanted);
    bool never = json_is_false(wanted) || (text != NULL && strcmp(text, "false") == 0);
    return !never && !is_stop_code(pm2_env);
}

/* With a restart delay or a backoff set, PM2 (5 to 7) shows "waiting restart" also after an exit on
 * which it restarts nothing: a stop, a stop code, no autorestart, or too many restarts. It gives
 * itself away by its pid, which it clears then, and keeps while it really waits; and of what was
 * restarted too often it forgets when it was created. */
static enum entry_status true_status(const json_t *pm2_env, enum entry_status status, int64_t pid)
{
    if (status != ENTRY_WAITING_RESTART || pid != 0) {
        return status;
    }
    bool given_up = entry_restarts(pm2_env) && read_count(pm2_env, "created_at") == 0;
    return given_up ? ENTRY_ERRORED : ENTRY_STOPPED;
}

/* PM2 numbers the instances of one name by a variable that the entry itself names. */
static int64_t read_instance(const json_t *pm2_env)
{
    const char *variable = json_string_value(json_object_get(pm2_env, "instance_var"));
    return entry_id(json_object_get(pm2_env, variable != NULL ? variable : "NODE_APP_INSTANCE"));
}

static void read_limits(const json_t *pm2_env, struct entry *ret)
{
    ret->listen_ms = read_count(pm2_env, "listen_timeout");
    ret->kill_ms = read_count(pm2_env, "kill_timeout");
    bool grows = json_is_number(json_object_get(pm2_env, "exp_backoff_restart_delay"));
    ret->delay_ms = grows ? BACKOFF_MAX_MS : read_count(pm2_env, "restart_delay");
}

static bool read_row(const json_t *row, struct entry *ret)
{
    const json_t *pm2_env = json_object_get(row, "pm2_env");
    const char *name = json_string_value(json_object_get(row, "name"));
    if (name == NULL || strlen(name) >= sizeof ret->name || !json_is_object(pm2_env)) {
        return false;
    }
    *ret = (struct entry){0};
    memcpy(ret->name, name, strlen(name) + 1);
    const json_t *id = json_object_get(row, "pm_id");
    ret->pm_id = entry_id(id != NULL ? id : json_object_get(pm2_env, "pm_id"));
    ret->status = entry_status(pm2_env);
    ret->pid = read_count(row, "pid");
    if (ret->pid > INT32_MAX) {
        ret->pid = 0;
    }
    ret->status = true_status(pm2_env, ret->status, ret->pid);
    ret->restarts = read_count(pm2_env, "restart_time");
    ret->started_wall_ms = read_count(pm2_env, "pm_uptime");
    ret->instance = read_instance(pm2_env);
    const char *group = json_string_value(json_object_get(pm2_env, "namespace"));
    (void)snprintf(ret->group, sizeof ret->group, "%s", group != NULL ? group : "");
    const char *unique_id = json_string_value(json_object_get(pm2_env, "unique_id"));
    (void)snprintf(ret->unique_id, sizeof ret->unique_id, "%s", unique_id != NULL ? unique_id : "");
    read_limits(pm2_env, ret);
    ret->measured = read_count(json_object_get(row, "monit"), "memory") > 0;
    read_duty(pm2_env, ret);
    return true;
}

int entries_read(const json_t *list, struct entries *ret, struct err *err)
{
    if (!json_is_array(list)) {
        return err_set(err, ERR_PROTO, "the list of PM2 is no array");
    }
    ret->count = 0;
    ret->left_out = 0;
    size_t index;
    json_t *row;
    json_array_foreach(list, index, row)
    {
        if (ret->count < ENTRIES_MAX && read_row(row, &ret->rows[ret->count])) {
            ret->count++;
        } else {
            ret->left_out++;
        }
    }
    return 0;
}

bool entry_pid_counts(const struct entry *entry)
{
    return entry->pid > 0 && (entry->status == ENTRY_ONLINE || entry->status == ENTRY_LAUNCHING ||
                              entry->status == ENTRY_STOPPING);
}
