#include "managers/pm2/stand_in/app.h"

#include "managers/common/script.h"
#include "managers/pm2/daemon/request.h"
#include "managers/pm2/watch/entry.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PATH_SIZE 4096

/* The command that the guard runs, appended to `args`. */
static int add_command(json_t *args, const struct settings_backup *backup,
                       const struct app_place *place, const char *cwd, struct err *err)
{
    const struct script script = {.path = backup->script,
                                  .interpreter = backup->interpreter,
                                  .args = backup->args,
                                  .cwd = cwd,
                                  .search = place->path};
    return script_command(&script, args, err);
}

static json_t *make_args(const struct settings_backup *backup, const struct app_place *place)
{
    char timeout[24];
    (void)snprintf(timeout, sizeof timeout, "%lld", (long long)backup->kill_timeout_ms);
    return json_pack("[ssssssss s]", "--socket", place->guard_socket, "--duty", backup->duty,
                     "--lock-dir", place->lock_dir, "--kill-timeout", timeout, "--");
}

static json_t *make_env(const struct settings_backup *backup, const struct app_place *place)
{
    json_t *env = json_pack("{ssss ss* ssss}", "PATH", place->path, "HOME", place->home_dir, "LANG",
                            getenv("LANG"), ENTRY_DUTY_VARIABLE, backup->duty, "UNDERSTUDY_NODE",
                            place->node);
    const char *name;
    json_t *value;
    json_object_foreach(backup->env, name, value)
    {
        bool ours = strncmp(name, "UNDERSTUDY_", 11) == 0;
        if (json_is_string(value) && !ours && !request_env_is_dangerous(name)) {
            (void)json_object_set(env, name, value);
        }
    }
    return env;
}

/* PM2 would make a name with a slash into a folder. */
static void set_path(json_t *app, const char *key, const struct app_place *place,
                     const char *folder, const char *name, const char *ending)
{
    char path[PATH_SIZE];
    char plain[NAME_SIZE];
    size_t length = 0;
    for (; name[length] != '\0' && length < sizeof plain - 1; length++) {
        plain[length] = name[length];
        if (name[length] == '/' || name[length] == '\\') {
            plain[length] = '-';
        }
    }
    plain[length] = '\0';
    (void)snprintf(path, sizeof path, "%.2000s/%s/%s%s", place->home, folder, plain, ending);
    (void)json_object_set_new(app, key, json_string(path));
}

static void set_restarts(json_t *app, const struct settings_backup *backup)
{
    (void)json_object_set_new(app, "autostart", json_true());
    (void)json_object_set_new(app, "autorestart", json_true());
    (void)json_object_set_new(app, "max_restarts", json_integer(backup->max_restarts));
    (void)json_object_set_new(app, "stop_exit_codes", json_pack("[i]", APP_STOP_EXIT_CODE));
    (void)json_object_set_new(app, "kill_timeout",
                              json_integer(backup->kill_timeout_ms + APP_KILL_MARGIN_MS));
    (void)json_object_set_new(app, "kill_retry_time", json_integer(100));
    /* The guard stops its own tree in order; PM2 would signal all of it at once. */
    (void)json_object_set_new(app, "treekill", json_false());
    /* When both are set PM2 takes the backoff; a fixed delay is the more explicit wish. */
    if (backup->restart_delay_ms > 0) {
        (void)json_object_set_new(app, "restart_delay", json_integer(backup->restart_delay_ms));
    } else if (backup->exp_backoff_ms > 0) {
        (void)json_object_set_new(app, "exp_backoff_restart_delay",
                                  json_integer(backup->exp_backoff_ms));
    }
}

static json_t *make_app(const struct settings_backup *backup, const struct app_place *place,
                        const char *cwd)
{
    json_t *app =
        json_pack("{ss ss ss ss ss ss ss ss si so sb sb sb sb}", "name", backup->name, "namespace",
                  ENTRY_NAMESPACE, "username", place->user_name, "pm_exec_path", place->guard_path,
                  "pm_cwd", cwd, "exec_interpreter", "none", "exec_mode", "fork_mode",
                  "instance_var", "NODE_APP_INSTANCE", "instances", 1, "node_args", json_array(),
                  "merge_logs", 1, "vizion", 0, "km_link", 0, "windowsHide", 1);
    if (app == NULL) {
        return NULL;
    }
    set_path(app, "pm_pid_path", place, "pids", backup->name, ".pid");
    set_path(app, "pm_out_log_path", place, "logs", backup->name, "-out.log");
    set_path(app, "pm_err_log_path", place, "logs", backup->name, "-error.log");
    set_restarts(app, backup);
    return app;
}

int app_build(const struct settings_backup *backup, const struct app_place *place, json_t **ret,
              struct err *err)
{
    const char *cwd = backup->cwd != NULL && backup->cwd[0] == '/' ? backup->cwd : place->home_dir;
    struct stat info;
    if (stat(cwd, &info) != 0 || !S_ISDIR(info.st_mode)) {
        /* PM2 would show a ghost as online for ever. */
        return err_set(err, ERR_NOTFOUND, "working folder %.160s is missing", cwd);
    }
    if (!script_is_program(place->guard_path)) {
        return err_set(err, ERR_NOTFOUND, "the guard %.160s is missing", place->guard_path);
    }
    json_t *app = make_app(backup, place, cwd);
    json_t *args = make_args(backup, place);
    if (app == NULL || args == NULL) {
        json_decref(app);
        json_decref(args);
        return err_set(err, ERR_NOMEM, "no memory, or a text that is not UTF-8");
    }
    int rc = add_command(args, backup, place, cwd, err);
    (void)json_object_set_new(app, "args", args);
    (void)json_object_set_new(app, "env", make_env(backup, place));
    if (rc == 0) {
        rc = request_check_app(app, err);
    }
    if (rc != 0) {
        json_decref(app);
        return rc;
    }
    *ret = app;
    return 0;
}
