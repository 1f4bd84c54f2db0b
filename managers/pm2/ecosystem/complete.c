/* Paths, interpreter, mode and log files of one app, as PM2's command line completes them. */
#include "managers/pm2/ecosystem/js_value.h"
#include "managers/pm2/ecosystem/parts.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define NAME_TEXT_SIZE 512
#define COUNT_OF(array) (sizeof(array) / sizeof(array)[0])

static void put(struct app *self, const char *key, const char *text)
{
    json_t *value = json_string(text);
    (void)json_object_set_new(self->made, key, value == NULL ? json_null() : value);
}

/* ---- folder and script ---- */

static bool complete_folder(struct app *self, char folder[WORLD_PATH_SIZE])
{
    const char *cwd = app_text(self->made, "cwd");
    const struct world *world = self->input->world;
    if (cwd == NULL || cwd[0] == '\0') {
        cwd = self->input->folder;
    }
    if (!world_resolve(self->input->folder, cwd, folder)) {
        app_fail(self, "cwd", "a shorter path", "the path is too long");
        return false;
    }
    if (cwd[0] == '~') {
        report_add(self->report, REPORT_WARNING, "cwd", "a path without ~",
                   "PM2 does not know ~ here: it takes the folder %.150s", folder);
    }
    if (!world->exists(world->context, folder)) {
        report_add(self->report, REPORT_ERROR, "cwd", "a folder of this host",
                   "PM2 shows the app as online for ever, with no process: there is no %.120s",
                   folder);
    }
    put(self, "pm_cwd", folder);
    return true;
}

static bool complete_script(struct app *self, const char *folder)
{
    char path[WORLD_PATH_SIZE];
    char text[REPORT_TEXT_MAX];
    const struct world *world = self->input->world;
    const char *script = app_text(self->made, "script");
    if (script == NULL || script[0] == '\0') {
        app_fail(self, "script", "the program to run", "PM2 does not start it: no script path");
        return false;
    }
    if (!world_resolve(folder, script, path)) {
        app_fail(self, "script", "a shorter path", "the path is too long");
        return false;
    }
    if (!world->exists(world->context, path) &&
        !world_which(world, self->input->folder, script, path)) {
        (void)world_resolve(folder, script, path);
        (void)snprintf(text, sizeof text, "PM2 does not start it: there is no %.160s", path);
        app_fail(self, "script", "a file, or a program in PATH", text);
        return false;
    }
    put(self, "pm_exec_path", path);
    (void)json_object_del(self->made, "script");
    return true;
}

/* PM2's own server of files, wherever PM2 is installed. */
static void complete_server(struct app *self)
{
    report_add(self->report, REPORT_INFO, "script", NULL,
               "PM2 runs its own server of files, which is part of PM2");
    (void)json_object_set_new(self->made, "pm_exec_path", json_null());
    (void)json_object_del(self->made, "script");
}

/* ---- interpreter and mode ---- */

/* The ending with its dot; "" when there is none. */
static const char *ending_of(const char *path)
{
    const char *base;
    (void)world_basename(path, &base);
    const char *dot = strrchr(base, '.');
    return dot == NULL || dot == base ? "" : dot;
}

static const char *interpreter_of_ending(const char *ending)
{
    static const struct {
        const char *ending;
        const char *interpreter;
    } known[] = {{".sh", "bash"}, {".py", "python"}, {".rb", "ruby"},       {".php", "php"},
                 {".pl", "perl"}, {".js", "node"},   {".coffee", "coffee"}, {".ls", "lsc"},
                 {".ts", "bun"},  {".tsx", "bun"}};
    for (size_t i = 0; i < COUNT_OF(known); i++) {
        if (strcmp(known[i].ending, ending) == 0) {
            return known[i].interpreter;
        }
    }
    return NULL;
}

/* The interpreter that is not given: by the script's ending, else node for texts. */
static const char *default_interpreter(struct app *self, const char *script)
{
    char path[WORLD_PATH_SIZE];
    const struct world *world = self->input->world;
    const char *folder = self->input->folder;
    const char *ending = ending_of(script);
    const char *interpreter = interpreter_of_ending(ending);
    if (interpreter == NULL) {
        bool binary = world->is_binary(world->context, script);
        return binary ? "none" : (world->node == NULL ? "node" : world->node);
    }
    if (strcmp(interpreter, "python") == 0 && !world_which(world, folder, "python", path)) {
        return "python3";
    }
    if (strcmp(ending, ".ts") == 0 && !world_which(world, folder, "bun", path) &&
        world->node_runs_typescript) {
        return "node";
    }
    return interpreter;
}

static bool complete_interpreter(struct app *self, const char *script)
{
    char path[WORLD_PATH_SIZE];
    char text[REPORT_TEXT_MAX];
    char name[WORLD_PATH_SIZE];
    const struct world *world = self->input->world;
    const char *given = app_text(self->made, "exec_interpreter");
    (void)snprintf(name, sizeof name, "%s",
                   given != NULL && given[0] != '\0' ? given : default_interpreter(self, script));
    if (strstr(name, "node@") != NULL) {
        report_add(self->report, REPORT_WARNING, "interpreter", "the path of a node",
                   "PM2 looks for that version below NVM_DIR, and has nvm install it from the "
                   "network when it is missing");
    } else if (strcmp(name, "lsc") == 0 || strcmp(name, "coffee") == 0) {
        app_fail(self, "interpreter", "the path of an interpreter",
                 "PM2 does not start it: it looks for lsc and coffee among its own packages only");
        return false;
    } else if (strcmp(name, "none") != 0 && strcmp(name, "node") != 0 &&
               !world_which(world, self->input->folder, name, path)) {
        (void)snprintf(text, sizeof text, "PM2 does not start it: no program %.80s in PATH", name);
        app_fail(self, "interpreter", "a program of this host", text);
        return false;
    }
    if (strstr(name, "python") != NULL && json_is_object(json_object_get(self->made, "env"))) {
        (void)json_object_set_new(json_object_get(self->made, "env"), "PYTHONUNBUFFERED",
                                  json_string("1"));
    }
    put(self, "exec_interpreter", name);
    return true;
}

static bool ends_with(const char *text, const char *ending)
{
    size_t length = strlen(text);
    size_t tail = strlen(ending);
    return length >= tail && strcmp(text + length - tail, ending) == 0;
}

static void tell_mode(struct app *self, bool cluster, bool node, bool given)
{
    const json_t *instances = json_object_get(self->made, "instances");
    if (cluster && !node) {
        report_add(self->report, REPORT_WARNING, "exec_mode", "fork",
                   "PM2 runs the script with node: cluster mode knows no other interpreter");
    } else if (cluster && !given) {
        report_add(self->report, REPORT_INFO, "instances", NULL,
                   "PM2 chooses cluster mode because `instances` is there");
    } else if (!cluster && !given && node && instances != NULL) {
        report_add(self->report, REPORT_WARNING, "instances", "a number from -1",
                   "PM2 chooses fork mode for it");
    }
}

static void complete_mode(struct app *self)
{
    const char *interpreter = app_text(self->made, "exec_interpreter");
    const char *mode = app_text(self->made, "exec_mode");
    const json_t *instances = json_object_get(self->made, "instances");
    bool node =
        interpreter != NULL && (ends_with(interpreter, "node") || ends_with(interpreter, "bun"));
    double count = json_number_value(instances);
    bool given = mode != NULL && mode[0] != '\0';
    bool cluster = given ? strstr(mode, "cluster") == mode
                         : (node && instances != NULL && (count >= 1 || count == 0 || count == -1));
    tell_mode(self, cluster, node, given);
    put(self, "exec_mode", cluster ? "cluster_mode" : "fork_mode");
    int64_t processors = self->input->world->processors;
    double whole = instances == NULL ? 1 : trunc(count);
    if (instances != NULL && whole <= 0) {
        whole = whole == 0 ? (double)processors : whole + (double)processors;
        report_add(self->report, REPORT_INFO, "instances", NULL,
                   "PM2 counts the host's processors; here that makes %.0f",
                   whole <= 0 ? 1 : whole);
    }
    (void)json_object_set_new(self->made, "instances", js_number(whole <= 0 ? 1 : whole));
}

/* ---- files ---- */

/* The app's name as PM2 writes it in file names: one "-" for each UTF-16 unit that is no letter,
 * digit, ".", "-" or "\". */
static void file_name_of(const char *name, char ret[NAME_TEXT_SIZE])
{
    size_t length = 0;
    for (; *name != '\0' && length + 2 < NAME_TEXT_SIZE; name++) {
        unsigned char byte = (unsigned char)*name;
        bool plain = (byte >= '0' && byte <= '9') ||
                     ((byte | 0x20) >= 'a' && (byte | 0x20) <= 'z' && byte < 0x80);
        if (plain || byte == '.' || byte == '-' || byte == '\\') {
            ret[length++] = *name;
        } else if ((byte & 0xc0) != 0x80) {
            ret[length++] = '-';
            if (byte >= 0xf0) {
                ret[length++] = '-';
            }
        }
    }
    ret[length] = '\0';
}

/* "-12.log" or ".log" at the end becomes "-ID.log". */
static void put_id(char path[WORLD_PATH_SIZE], const char *ending)
{
    size_t length = strlen(path) - strlen(ending);
    size_t digits = length;
    while (digits > 0 && path[digits - 1] >= '0' && path[digits - 1] <= '9') {
        digits--;
    }
    if (digits > 0 && digits < length && path[digits - 1] == '-') {
        length = digits - 1;
    }
    if (length + strlen(ending) + 4 < WORLD_PATH_SIZE) {
        (void)snprintf(path + length, WORLD_PATH_SIZE - length, "-ID%s", ending);
    }
}

struct log_file {
    const char *key;    /* of the schema */
    const char *made;   /* as PM2 keeps it */
    const char *folder; /* below PM2_HOME */
    const char *suffix; /* of the default name */
    const char *ending;
};

static const struct log_file log_files[] = {
    {"log_file", "pm_log_path", "logs", "", ".log"},
    {"out_file", "pm_out_log_path", "logs", "-out", ".log"},
    {"error_file", "pm_err_log_path", "logs", "-error", ".log"},
    {"pid_file", "pm_pid_path", "pids", "", ".pid"}};

static bool default_file(struct app *self, const struct log_file *file, char ret[WORLD_PATH_SIZE])
{
    char name[NAME_TEXT_SIZE];
    char relative[NAME_TEXT_SIZE + 32];
    file_name_of(app_text(self->made, "name"), name);
    (void)snprintf(relative, sizeof relative, "%s/%s%s%s", file->folder, name, file->suffix,
                   file->ending);
    return world_resolve(self->input->world->pm2_home, relative, ret);
}

static bool given_file(struct app *self, const struct log_file *file, const char *text,
                       char ret[WORLD_PATH_SIZE])
{
    char path[WORLD_PATH_SIZE];
    char above[WORLD_PATH_SIZE];
    const struct world *world = self->input->world;
    int length = snprintf(path, sizeof path, "%s%s%s", text[0] == '~' ? world->home : "",
                          text[0] == '~' ? "/" : "", text[0] == '~' ? text + 1 : text);
    if (length >= (int)sizeof path || !world_resolve(app_text(self->made, "pm_cwd"), path, ret) ||
        !world_resolve(ret, "..", above)) {
        app_fail(self, file->key, "a shorter path", "the path is too long");
        return false;
    }
    if (!world->exists(world->context, above)) {
        report_add(self->report, REPORT_INFO, file->key, NULL, "PM2 makes the folder %.160s",
                   above);
    }
    return true;
}

static void complete_file(struct app *self, const struct log_file *file, bool merged)
{
    char path[WORLD_PATH_SIZE];
    const json_t *value = json_object_get(self->made, file->key);
    const char *text = json_string_value(value);
    bool whole = strcmp(file->key, "log_file") == 0;
    bool good = true;
    if (text != NULL && (strcmp(text, "NULL") == 0 || strcmp(text, "/dev/null") == 0)) {
        (void)snprintf(path, sizeof path, "/dev/null");
    } else if (whole ? json_is_true(value) : text == NULL || text[0] == '\0') {
        good = default_file(self, file, path);
    } else if (text != NULL && text[0] != '\0') {
        good = given_file(self, file, text, path);
    } else {
        good = false;
    }
    if (good && ends_with(path, file->ending) && (!merged || strcmp(file->ending, ".pid") == 0)) {
        size_t length = strlen(path);
        put_id(path, file->ending);
        if (text != NULL && strlen(path) <= length && strcmp(file->ending, ".log") == 0) {
            report_add(self->report, REPORT_WARNING, file->key, "a name that ends in no number",
                       "PM2 puts the id of the process in the number's place");
        }
    }
    (void)json_object_del(self->made, file->key);
    if (good) {
        put(self, file->made, path);
    }
}

static void complete_files(struct app *self)
{
    bool merged = js_truthy(json_object_get(self->made, "merge_logs"));
    for (size_t i = 0; i < COUNT_OF(log_files); i++) {
        complete_file(self, &log_files[i], merged);
    }
}

/* ---- all ---- */

static bool complete_head(struct app *self)
{
    const char *name = app_text(self->made, "name");
    json_t *env = json_object_get(self->made, "env");
    if (json_is_string(env)) {
        app_reject(self, "env", "an object",
                   "PM2 ends with a TypeError and starts nothing of the whole file");
        return false;
    }
    json_t *io = json_object_get(self->made, "io");
    if (io == NULL && json_object_get(env, "io") != NULL) {
        report_add(self->report, REPORT_WARNING, "env/io", "another name of the variable",
                   "PM2 drops a variable of that name");
        (void)json_object_del(env, "io");
    } else if (io != NULL) {
        (void)json_object_set(env, "io", io);
    }
    const char *namespace = app_text(self->made, "namespace");
    if (namespace == NULL || namespace[0] == '\0') {
        put(self, "namespace", "default");
    }
    if (name == NULL) {
        bool script = app_text(self->made, "script") != NULL;
        app_fail(self, script ? "exec" : "script", script ? "name beside it" : "the program to run",
                 script ? "PM2 makes no name of it under this key, and does not start it"
                        : "PM2 does not start it: no script path");
        return false;
    }
    if (js_truthy(json_object_get(self->made, "append_env_to_name")) &&
        self->input->env_name != NULL) {
        char longer[NAME_TEXT_SIZE];
        (void)snprintf(longer, sizeof longer, "%s-%s", name, self->input->env_name);
        put(self, "name", longer);
    }
    put(self, "username", self->input->world->user);
    return true;
}

static void complete_filter(struct app *self)
{
    if (json_is_true(json_object_get(self->made, "filter_env"))) {
        report_add(self->report, REPORT_WARNING, "filter_env", "a list of names",
                   "PM2 7 filters nothing with true: the caller's whole environment goes in");
    }
}

void app_complete(struct app *self)
{
    char folder[WORLD_PATH_SIZE];
    if (!complete_head(self) || !complete_folder(self, folder)) {
        return;
    }
    if (!js_truthy(json_object_get(self->made, "node_args"))) {
        (void)json_object_set_new(self->made, "node_args", json_array());
    }
    const json_t *port = json_object_get(self->made, "port");
    json_t *env = json_object_get(self->made, "env");
    if (js_truthy(port)) {
        const json_t *other = json_object_get(env, "PORT");
        if (other != NULL && !json_equal(other, port)) {
            report_add(self->report, REPORT_WARNING, "env/PORT", NULL,
                       "PM2 replaces it with the value of `port`");
        }
        (void)json_object_set_new(env, "PORT", json_deep_copy(port));
    }
    complete_filter(self);
    const char *script = app_text(self->made, "script");
    bool server = script != NULL && strcmp(script, "serve") == 0;
    if (server) {
        complete_server(self);
        put(self, "exec_interpreter", "node");
    } else if (!complete_script(self, folder) ||
               !complete_interpreter(self, app_text(self->made, "pm_exec_path"))) {
        return;
    }
    complete_mode(self);
    complete_files(self);
    app_environment(self);
}
