#include "managers/pm2/daemon/request.h"

#include "managers/pm2/daemon/amp.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* What stands in "args"; the daemon appends its callback, so that the count must be exact. */
enum request_shape {
    REQUEST_EMPTY,      /* [{}] */
    REQUEST_ID,         /* [7] */
    REQUEST_ID_OBJECT,  /* [{"id":7}] */
    REQUEST_STOP_OF_ID, /* ["stopProcessId",7] */
    REQUEST_APP,        /* [APP] */
    REQUEST_SAVED,      /* [APP], as PM2 once listed it */
    REQUEST_SIGKILL,    /* [{"process_id":7,"signal":"SIGKILL"}] */
};

struct row {
    const char *name;
    enum request_shape shape;
    bool writes;
    int64_t timeout_ms;
};

static const struct row rows[] = {
#define REQUEST_ROW(method, name, shape, writes, timeout_ms) \
    [method] = {(name), (shape), (writes), (timeout_ms)},
    REQUEST_MAP(REQUEST_ROW)
#undef REQUEST_ROW
};

const char *request_name(enum request_method method)
{
    return method < REQUEST_METHODS ? rows[method].name : "?";
}

int64_t request_timeout_ms(enum request_method method)
{
    return method < REQUEST_METHODS ? rows[method].timeout_ms : 0;
}

bool request_writes(enum request_method method)
{
    return method < REQUEST_METHODS && rows[method].writes;
}

bool request_env_is_dangerous(const char *name)
{
    static const char *const names[] = {
        "name",
        "status",
        "env",
        "args",
        "instances",
        "exec_mode",
        "exec_interpreter",
        "restart_time",
        "unstable_restarts",
        "created_at",
        "autorestart",
        "autostart",
        "watch",
        "versioning",
        "treekill",
        "exit_code",
        "kill_retry_time",
        "node_args",
        "namespace",
        "username",
        "merge_logs",
        "unique_id",
        "command",
        "filter_env",
        "pmx",
        "vizion",
        "kill_timeout",
        "max_restarts",
        "restart_delay",
        "stop_exit_codes",
        "instance_var",
        "exp_backoff_restart_delay",
        "km_link",
        "cron_restart",
        "windowsHide",
        "max_memory_restart",
        "listen_timeout",
        "wait_ready",
        "min_uptime",
        "uid",
        "gid",
        "_",
        "undefined",
        "current_conf",
        "prev_restart_delay",
        "script",
        "cwd",
        "automation",
        "node_version",
        "version",
        "disable_logs",
        "log_type",
        "cluster",
        "monit",
        "pid",
        "constructor",
        "prototype",
        "__proto__",
        "toString",
        "hasOwnProperty",
    };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(name, names[i]) == 0) {
            return true;
        }
    }
    return name[0] == '\0' || strncmp(name, "pm_", 3) == 0 || strncmp(name, "axm_", 4) == 0 ||
           strncmp(name, "PM2_", 4) == 0 || strcmp(name, "NODE_APP_INSTANCE") == 0 ||
           strchr(name, '=') != NULL;
}

struct needed_text {
    const char *key;
    bool path;
};

static int need_text(const json_t *app, const struct needed_text *needed, struct err *err)
{
    const char *text = json_string_value(json_object_get(app, needed->key));
    if (text == NULL || text[0] == '\0' || (needed->path && text[0] != '/')) {
        return err_set(err, ERR_INVALID, "an app for PM2 needs %s%s", needed->key,
                       needed->path ? " as an absolute path" : "");
    }
    return 0;
}

/* An object with these texts, and without a null. */
static int check_members(json_t *app, const struct needed_text *texts, size_t count,
                         struct err *err)
{
    if (!json_is_object(app)) {
        return err_set(err, ERR_INVALID, "an app for PM2 is an object");
    }
    for (size_t i = 0; i < count; i++) {
        int rc = need_text(app, &texts[i], err);
        if (rc != 0) {
            return rc;
        }
    }
    const char *key;
    json_t *value;
    json_object_foreach(app, key, value)
    {
        if (json_is_null(value)) {
            return err_set(err, ERR_INVALID, "%.64s of an app is null", key);
        }
    }
    return 0;
}

static int check_env(json_t *env, struct err *err)
{
    if (!json_is_object(env)) {
        return err_set(err, ERR_INVALID, "an app for PM2 needs env");
    }
    const char *name;
    json_t *value;
    json_object_foreach(env, name, value)
    {
        if (!json_is_string(value) || request_env_is_dangerous(name)) {
            return err_set(err, ERR_INVALID, "variable %.64s cannot be given to PM2", name);
        }
    }
    return 0;
}

static int check_lists(const json_t *app, struct err *err)
{
    if (!json_is_array(json_object_get(app, "node_args"))) {
        return err_set(err, ERR_INVALID, "an app for PM2 needs node_args");
    }
    const json_t *args = json_object_get(app, "args");
    if (!json_is_array(args)) {
        return err_set(err, ERR_INVALID, "an app for PM2 needs args");
    }
    size_t index;
    json_t *arg;
    json_array_foreach(args, index, arg)
    {
        if (!json_is_string(arg)) {
            return err_set(err, ERR_INVALID, "argument %zu of an app is no text", index);
        }
    }
    return 0;
}

int request_check_app(json_t *app, struct err *err)
{
    static const struct needed_text texts[] = {
        {"name", false},           {"exec_mode", false},      {"exec_interpreter", false},
        {"pm_exec_path", true},    {"pm_cwd", true},          {"pm_pid_path", true},
        {"pm_out_log_path", true}, {"pm_err_log_path", true}, {"instance_var", false},
        {"namespace", false},
    };
    int rc = check_members(app, texts, sizeof texts / sizeof texts[0], err);
    if (rc != 0) {
        return rc;
    }
    /* Other values would register nothing, or one process per processor. */
    if (json_integer_value(json_object_get(app, "instances")) != 1) {
        return err_set(err, ERR_INVALID, "an app of ours has one instance");
    }
    rc = check_lists(app, err);
    return rc != 0 ? rc : check_env(json_object_get(app, "env"), err);
}

static bool ends_with(const char *text, const char *ending)
{
    size_t length = strlen(text);
    size_t tail = strlen(ending);
    return length >= tail && strcmp(text + length - tail, ending) == 0;
}

static int check_saved_env(json_t *env, struct err *err)
{
    static const char *const refused[] = {"pm_id", "instances", "status", "env", "__proto__"};
    if (!json_is_object(env)) {
        return err_set(err, ERR_INVALID, "an app for PM2 needs env");
    }
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        if (json_object_get(env, refused[i]) != NULL) {
            return err_set(err, ERR_INVALID, "variable %s would take another's place", refused[i]);
        }
    }
    return 0;
}

/* PM2 counts on these to be absent, or lists. */
static int check_saved_members(const json_t *app, struct err *err)
{
    const char *mode = json_string_value(json_object_get(app, "exec_mode"));
    const json_t *status = json_object_get(app, "status");
    const json_t *node_args = json_object_get(app, "node_args");
    if (json_object_get(app, "instances") != NULL || json_object_get(app, "pm_id") != NULL) {
        return err_set(err, ERR_INVALID, "an app to be restored has no instances and no id");
    }
    if (mode == NULL || (strcmp(mode, "fork_mode") != 0 && strcmp(mode, "cluster_mode") != 0)) {
        return err_set(err, ERR_INVALID, "exec_mode of an app is neither fork nor cluster");
    }
    if (status != NULL &&
        (!json_is_string(status) || strcmp(json_string_value(status), "stopped") != 0)) {
        return err_set(err, ERR_INVALID, "status of an app to be restored is not stopped");
    }
    if (node_args != NULL && !json_is_array(node_args)) {
        return err_set(err, ERR_INVALID, "node_args of an app is no list");
    }
    return 0;
}

int request_check_saved(json_t *app, struct err *err)
{
    static const struct needed_text texts[] = {
        {"name", false},       {"pm_exec_path", true},     {"pm_cwd", true},
        {"pm_pid_path", true}, {"pm_out_log_path", false}, {"pm_err_log_path", false}};
    int rc = check_members(app, texts, sizeof texts / sizeof texts[0], err);
    if (rc != 0) {
        return rc;
    }
    if (!ends_with(json_string_value(json_object_get(app, "pm_pid_path")), ".pid")) {
        return err_set(err, ERR_INVALID, "pm_pid_path of an app does not end in .pid");
    }
    rc = check_saved_members(app, err);
    return rc != 0 ? rc : check_saved_env(json_object_get(app, "env"), err);
}

static json_t *make_id_arguments(int64_t pm_id, enum request_shape shape)
{
    json_int_t id = pm_id;
    switch (shape) {
    case REQUEST_ID_OBJECT:
        return json_pack("[{sI}]", "id", id);
    case REQUEST_STOP_OF_ID:
        return json_pack("[sI]", "stopProcessId", id);
    case REQUEST_SIGKILL:
        return json_pack("[{sI ss}]", "process_id", id, "signal", "SIGKILL");
    case REQUEST_ID:
    case REQUEST_EMPTY:
    case REQUEST_APP:
    case REQUEST_SAVED:
        break;
    }
    return json_pack("[I]", id);
}

static json_t *make_arguments(const struct request *request, struct err *err)
{
    switch (rows[request->method].shape) {
    case REQUEST_EMPTY:
        return json_pack("[{}]");
    case REQUEST_ID:
    case REQUEST_ID_OBJECT:
    case REQUEST_STOP_OF_ID:
    case REQUEST_SIGKILL:
        if (request->pm_id < 0 || request->pm_id > INT32_MAX) {
            (void)err_set(err, ERR_INVALID, "%s needs the id of a process",
                          rows[request->method].name);
            return NULL;
        }
        return make_id_arguments(request->pm_id, rows[request->method].shape);
    case REQUEST_APP:
        return request_check_app(request->app, err) == 0 ? json_pack("[O]", request->app) : NULL;
    case REQUEST_SAVED:
        return request_check_saved(request->app, err) == 0 ? json_pack("[O]", request->app) : NULL;
    }
    return NULL;
}

int request_put(const struct request *request, const char *id, struct buffer *out, struct err *err)
{
    if (request->method >= REQUEST_METHODS) {
        return err_set(err, ERR_INVALID, "no method %d of PM2", (int)request->method);
    }
    struct err inner = {0};
    json_t *arguments = make_arguments(request, &inner);
    if (arguments == NULL) {
        return err_set(err, inner.code != 0 ? inner.code : ERR_NOMEM, "%s",
                       inner.code != 0 ? inner.msg : "no memory for a request");
    }
    json_t *call = json_pack("{ssssso}", "type", "call", "method", rows[request->method].name,
                             "args", arguments);
    char *text = call != NULL ? json_dumps(call, JSON_COMPACT) : NULL;
    json_decref(call);
    if (text == NULL) {
        return err_set(err, ERR_NOMEM, "no memory for a request");
    }
    int rc = strlen(text) > REQUEST_BYTES_MAX
                 ? err_set(err, ERR_FULL, "a request of more than %d bytes", REQUEST_BYTES_MAX)
                 : amp_put_request(out, text, id, err);
    free(text);
    return rc;
}

int request_read_reply(const json_t *reply, json_t **ret_result, struct err *err)
{
    const json_t *error = json_object_get(reply, "error");
    if (error != NULL) {
        const char *text = json_string_value(error);
        return err_set(err, ERR_IO, "PM2 refuses: %.160s", text != NULL ? text : "no reason given");
    }
    const json_t *args = json_object_get(reply, "args");
    if (!json_is_array(args)) {
        return err_set(err, ERR_PROTO, "an answer of PM2 without args");
    }
    json_t *result = json_array_get(args, 0);
    /* stopProcessId tells an error inside a success. */
    if (json_is_true(json_object_get(result, "error"))) {
        const char *text = json_string_value(json_object_get(result, "message"));
        return err_set(err, ERR_IO, "PM2 refuses: %.160s", text != NULL ? text : "no reason given");
    }
    *ret_result = result != NULL ? json_incref(result) : json_null();
    return 0;
}
