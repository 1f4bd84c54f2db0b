/* The beginning of an attempt: may it, and then the record, the pipe, the environment, the
 * guard. */
#include "managers/run/child.h"
#include "managers/run/run.h"

#include "managers/common/script.h"
#include "node/base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define OURS "UNDERSTUDY_" /* variables that a configuration does not set */

bool start_allowed(const struct carried *carried, uint64_t digest,
                   enum manager_run_reason *ret_reason, const char **ret_detail)
{
    const struct run *run = carried->run;
    const struct schedule *schedule =
        carried->named ? schedules_find(run->schedules, carried->name.schedule) : NULL;
    *ret_reason = MANAGER_REASON_NOT_STARTED;
    if (run->configure.shadow) {
        *ret_reason = MANAGER_REASON_SHADOW;
        *ret_detail = "this manager only watches";
    } else if (runtime_paused(run->runtime)) {
        *ret_reason = MANAGER_REASON_PAUSED;
        *ret_detail = "this manager is paused";
    } else if (!carried->named) {
        *ret_detail = "not the id of a run";
    } else if (schedule == NULL) {
        *ret_detail = "not configured on this node";
    } else if (digest != 0 && digest != schedule->is.digest) {
        *ret_detail = "configured differently on this node";
    } else {
        return true;
    }
    return false;
}

/* ---- the environment ---- */

static int add_configured(struct environment *environment, const struct schedule *schedule,
                          struct err *err)
{
    const char *name;
    json_t *value;
    json_object_foreach(schedule->env, name, value)
    {
        const char *text = json_string_value(value);
        if (text == NULL || strncmp(name, OURS, strlen(OURS)) == 0) {
            continue;
        }
        int rc = environment_set(environment, name, text, err);
        if (rc != 0) {
            return err_wrap(err, "env");
        }
    }
    return 0;
}

static int add_file(struct environment *environment, const char *path, struct err *err)
{
    char *text = malloc(ENVIRONMENT_FILE_BYTES_MAX + 1);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (text == NULL || fd < 0) {
        int rc = text == NULL ? err_set(err, ERR_NOMEM, "no memory for env_file")
                              : err_set_errno(err, ERR_IO, "env_file %.100s", path);
        free(text);
        if (fd >= 0) {
            (void)close(fd);
        }
        return rc;
    }
    ssize_t got = read(fd, text, ENVIRONMENT_FILE_BYTES_MAX + 1);
    (void)close(fd);
    int rc = 0;
    if (got < 0 || got > ENVIRONMENT_FILE_BYTES_MAX) {
        rc = err_set(err, ERR_INVALID, "env_file %.100s cannot be read, or has over %d bytes", path,
                     ENVIRONMENT_FILE_BYTES_MAX);
    } else {
        text[got] = '\0';
        rc = environment_parse(environment, text, err);
        rc = rc != 0 ? err_wrap(err, "env_file %.100s", path) : 0;
    }
    explicit_bzero(text, ENVIRONMENT_FILE_BYTES_MAX + 1);
    free(text);
    return rc;
}

static int add_inherited(struct environment *environment, struct err *err)
{
    static const char *const names[] = {"PATH", "HOME",   "USER", "LOGNAME",
                                        "LANG", "LC_ALL", "TZ",   "TMPDIR"};
    int rc = environment_set(environment, "PATH", "/usr/local/bin:/usr/bin:/bin", err);
    for (size_t i = 0; i < sizeof names / sizeof names[0] && rc == 0; i++) {
        const char *value = getenv(names[i]);
        if (value != NULL) {
            rc = environment_set(environment, names[i], value, err);
        }
    }
    return rc;
}

static int add_ours(struct environment *environment, const struct carried *carried, struct err *err)
{
    char run_id[DUTY_ID_SIZE];
    char slot[SLOT_TEXT_SIZE];
    char attempt[16];
    slot_run_id(carried->run->source->prefix, &carried->name, run_id);
    slot_text(&carried->name, slot);
    (void)snprintf(attempt, sizeof attempt, "%" PRIu32, carried->name.attempt);
    int rc = environment_set(environment, "UNDERSTUDY_RUN", run_id, err);
    rc = rc != 0 ? rc : environment_set(environment, "UNDERSTUDY_ATTEMPT", attempt, err);
    rc = rc != 0
             ? rc
             : environment_set(environment, "UNDERSTUDY_NODE", carried->run->configure.node, err);
    if (rc == 0 && slot[0] != '\0') {
        rc = environment_set(environment, "UNDERSTUDY_SLOT", slot, err);
    }
    return rc; /* term and duty are the guard's to set */
}

static int make_environment(struct environment *environment, const struct carried *carried,
                            const struct schedule *schedule, struct err *err)
{
    environment_init(environment);
    int rc = add_inherited(environment, err);
    rc = rc != 0 ? rc : add_configured(environment, schedule, err);
    if (rc == 0 && schedule->env_file != NULL) {
        rc = add_file(environment, schedule->env_file, err);
    }
    return rc != 0 ? rc : add_ours(environment, carried, err);
}

/* ---- the guard ---- */

static const char *cwd_of(const struct schedule *schedule)
{
    const char *home = getenv("HOME");
    return schedule->cwd != NULL ? schedule->cwd : home != NULL && home[0] == '/' ? home : "/";
}

static int check_folder(const char *cwd, struct err *err)
{
    struct stat info;
    return stat(cwd, &info) == 0 && S_ISDIR(info.st_mode)
               ? 0
               : err_set(err, ERR_NOTFOUND, "the working folder %.100s is missing", cwd);
}

static int add_command(const struct schedule *schedule, const char *search, json_t *words,
                       struct err *err)
{
    const char *program =
        schedule->shell ? "/bin/sh" : json_string_value(json_array_get(schedule->run, 0));
    if (!child_finds(program, cwd_of(schedule), search)) {
        return err_set(err, ERR_NOTFOUND, "%.100s is no program, or is not in PATH", program);
    }
    if (schedule->shell) {
        (void)json_array_append_new(words, json_string("/bin/sh"));
        (void)json_array_append_new(words, json_string("-c"));
    }
    for (size_t i = 0; i < json_array_size(schedule->run); i++) {
        (void)json_array_append(words, json_array_get(schedule->run, i));
    }
    return 0;
}

/* What can be said beforehand is said here, where a person can read it. */
static int make_words(const struct schedule *schedule, const struct environment *environment,
                      json_t *words, struct err *err)
{
    const char *search = environment_get(environment, "PATH");
    int rc = check_folder(cwd_of(schedule), err);
    if (rc != 0) {
        return rc;
    }
    const struct script script = {.path = schedule->script,
                                  .interpreter = schedule->interpreter,
                                  .args = schedule->args,
                                  .cwd = cwd_of(schedule),
                                  .search = search};
    return schedule->script != NULL ? script_command(&script, words, err)
                                    : add_command(schedule, search, words, err);
}

static int launch(struct carried *carried, const struct schedule *schedule, const json_t *command,
                  const struct environment *environment, struct err *err)
{
    const struct run *run = carried->run;
    char pipe_path[FILES_PATH_SIZE];
    char end_path[FILES_PATH_SIZE];
    size_t count = json_array_size(command);
    const char **words = calloc(count + 1, sizeof *words);
    if (words == NULL) {
        return err_set(err, ERR_NOMEM, "no memory for the command");
    }
    for (size_t i = 0; i < count; i++) {
        words[i] = json_string_value(json_array_get(command, i));
    }
    files_path(&run->files, carried->duty, "pipe", pipe_path);
    files_path(&run->files, carried->duty, "end", end_path);
    const struct child_start start = {
        .guard_path = run->configure.guard_path,
        .guard_socket = run->configure.guard_socket,
        .lock_dir = run->configure.lock_dir,
        .duty = carried->duty,
        .kill_timeout_ms = carried->attempt.limits.kill_timeout_ms,
        .pipe_path = pipe_path,
        .end_path = end_path,
        .cwd = cwd_of(schedule),
        .words = words,
        .word_count = count,
        .environment = environment,
    };
    int rc = child_start(&start, &carried->guard, &carried->pidfd, err);
    free(words);
    return rc;
}

int start_open(struct carried *carried, struct err *err)
{
    const struct run *run = carried->run;
    char path[FILES_PATH_SIZE];
    files_path(&run->files, carried->duty, "part", path);
    int rc = run_output_open(path, (uint64_t)carried->attempt.limits.output_bytes, &carried->output,
                             err);
    files_path(&run->files, carried->duty, "pipe", path);
    if (rc == 0 && mkfifo(path, 0600) != 0 && errno != EEXIST) {
        rc = err_set_errno(err, ERR_IO, "cannot make %s", path);
    }
    if (rc != 0) {
        return rc;
    }
    carried->pipe_fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOFOLLOW);
    return carried->pipe_fd >= 0 ? 0 : err_set_errno(err, ERR_IO, "cannot open %s", path);
}

static int begin(struct carried *carried, const struct schedule *schedule, struct err *err)
{
    struct record record = {.assignment = carried->assignment,
                            .term = carried->term,
                            .started_boot_ms = clock_boot_ms(),
                            .started_wall_ms = clock_wall_ms(),
                            .limits = schedule->limits};
    carried->attempt.limits = schedule->limits;
    int rc = files_begin(&carried->run->files, carried->duty, &record, err);
    carried->begun = rc == 0;
    return rc != 0 ? rc : start_open(carried, err);
}

int start_guard(struct carried *carried, struct err *err)
{
    const struct schedule *schedule =
        schedules_find(carried->run->schedules, carried->name.schedule);
    if (schedule == NULL) {
        return err_set(err, ERR_NOTFOUND, "not configured on this node");
    }
    struct environment environment;
    json_t *words = json_array();
    int rc = make_environment(&environment, carried, schedule, err);
    rc = rc != 0 ? rc : make_words(schedule, &environment, words, err);
    rc = rc != 0 ? rc : begin(carried, schedule, err);
    rc = rc != 0 ? rc : launch(carried, schedule, words, &environment, err);
    json_decref(words);
    environment_deinit(&environment);
    return rc;
}
