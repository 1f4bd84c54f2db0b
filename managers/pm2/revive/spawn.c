#include "managers/pm2/revive/spawn.h"

#include "node/base/doc.h"
#include "node/base/exec.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define GROUPS_MAX 256
#define VARIABLES_MAX 128

/* ---- whose it is ---- */

/* The home itself, or the nearest folder above it that exists. */
static bool stat_place(const char *home, struct stat *ret)
{
    char path[MANAGER_PATH_SIZE];
    (void)snprintf(path, sizeof path, "%s", home);
    while (stat(path, ret) != 0) {
        char *slash = strrchr(path, '/');
        if (errno != ENOENT || slash == NULL || slash == path) {
            return false;
        }
        *slash = '\0';
    }
    return S_ISDIR(ret->st_mode);
}

int spawn_owner_of(const char *home, struct spawn_owner *ret, struct err *err)
{
    struct stat info;
    *ret = (struct spawn_owner){0};
    if (!stat_place(home, &info)) {
        return err_set(err, ERR_NOTFOUND, "there is no place for %.150s", home);
    }
    if (geteuid() != 0 && info.st_uid != geteuid()) {
        return err_set(err, ERR_DENIED, "%.150s is another user's, and this node is not root",
                       home);
    }
    const struct passwd *user = getpwuid(info.st_uid);
    ret->uid = info.st_uid;
    ret->gid = user != NULL ? user->pw_gid : info.st_gid;
    (void)snprintf(ret->name, sizeof ret->name, "%s", user != NULL ? user->pw_name : "");
    (void)snprintf(ret->folder, sizeof ret->folder, "%s", user != NULL ? user->pw_dir : "/");
    return 0;
}

/* ---- its environment ---- */

struct variables {
    char *pairs[VARIABLES_MAX + 1]; /* NULL at the end */
    size_t count;
    bool failed;
};

static void set_variable(struct variables *self, const char *name, const char *value)
{
    size_t length = strlen(name);
    char *pair = NULL;
    if (asprintf(&pair, "%s=%s", name, value) < 0) {
        self->failed = true;
        return;
    }
    for (size_t i = 0; i < self->count; i++) {
        if (strncmp(self->pairs[i], name, length) == 0 && self->pairs[i][length] == '=') {
            free(self->pairs[i]);
            self->pairs[i] = pair;
            return;
        }
    }
    if (self->count == VARIABLES_MAX) {
        free(pair);
        self->failed = true;
        return;
    }
    self->pairs[self->count++] = pair;
}

static void free_variables(struct variables *self)
{
    for (size_t i = 0; i < self->count; i++) {
        free(self->pairs[i]);
    }
}

/* `_` must name PM2's script: a daemon that meets an error of its own starts what it names. */
static void make_variables(const char *home, const struct spawn_owner *owner,
                           const struct facts_package *package, const json_t *facts,
                           struct variables *ret)
{
    const char *path = getenv("PATH");
    *ret = (struct variables){0};
    set_variable(ret, "PATH", path != NULL ? path : "/usr/local/bin:/usr/bin:/bin");
    set_variable(ret, "HOME", owner->folder);
    if (owner->name[0] != '\0') {
        set_variable(ret, "USER", owner->name);
        set_variable(ret, "LOGNAME", owner->name);
    }
    const char *name;
    json_t *value;
    json_object_foreach(json_object_get(facts, "env"), name, value)
    {
        if (json_is_string(value) && strchr(name, '=') == NULL && name[0] != '\0') {
            set_variable(ret, name, json_string_value(value));
        }
    }
    set_variable(ret, "PM2_HOME", home);
    set_variable(ret, "SILENT", "true");
    set_variable(ret, "PM2_DISABLE_VERSION_CHECK", "1");
    set_variable(ret, "_", package->pm2);
}

/* ---- the child's child ---- */

struct birth {
    const char *home;
    const struct spawn_owner *owner;
    gid_t groups[GROUPS_MAX];
    int group_count;
    char folders[4][MANAGER_PATH_SIZE + 32]; /* the home, logs, pids, modules */
    char modules[MANAGER_PATH_SIZE + 32];
    char log[MANAGER_PATH_SIZE + 32];
    char *arguments[3];
    char **environment;
    const char *node;
    int report;
};

enum birth_step { BIRTH_FORK = 1, BIRTH_USER, BIRTH_FOLDERS, BIRTH_LOG, BIRTH_EXEC };

/* From here on calls that are safe between fork and exec only. */
static void give_up(const struct birth *birth, enum birth_step step)
{
    int told[2] = {(int)step, errno};
    (void)!write(birth->report, told, sizeof told);
    _exit(1);
}

static void become_owner(const struct birth *birth)
{
    const struct spawn_owner *owner = birth->owner;
    if (geteuid() == 0 && (setgroups((size_t)birth->group_count, birth->groups) != 0 ||
                           setgid(owner->gid) != 0 || setuid(owner->uid) != 0)) {
        give_up(birth, BIRTH_USER);
    }
    if (geteuid() != owner->uid || getuid() != owner->uid) {
        errno = EPERM;
        give_up(birth, BIRTH_USER);
    }
}

static void make_folders(const struct birth *birth)
{
    for (size_t i = 0; i < 4; i++) {
        if (mkdir(birth->folders[i], 0755) != 0 && errno != EEXIST) {
            give_up(birth, BIRTH_FOLDERS);
        }
    }
    int fd = open(birth->modules, O_WRONLY | O_CREAT | O_EXCL, 0644);
    if (fd >= 0) {
        (void)!write(fd, "{}", 2);
        (void)close(fd);
    }
}

static void be_born(const struct birth *birth)
{
    exec_reset_signals();
    (void)umask(022);
    become_owner(birth);
    make_folders(birth);
    int in = open("/dev/null", O_RDONLY);
    int out = open(birth->log, O_WRONLY | O_CREAT | O_APPEND, 0644);
    if (chdir("/") != 0 || in < 0 || out < 0 || dup2(in, STDIN_FILENO) < 0 ||
        dup2(out, STDOUT_FILENO) < 0 || dup2(out, STDERR_FILENO) < 0) {
        give_up(birth, BIRTH_LOG);
    }
    if (dup2(birth->report, 3) < 0 || fcntl(3, F_SETFD, FD_CLOEXEC) != 0) {
        _exit(1);
    }
    (void)close_range(4, ~0U, 0);
    struct birth moved = *birth;
    moved.report = 3;
    (void)execve(birth->node, birth->arguments, birth->environment);
    give_up(&moved, BIRTH_EXEC);
}

/* Two forks: the daemon's parent ends at once and is reaped here. */
static void beget(const struct birth *birth)
{
    (void)setsid();
    pid_t pid = fork();
    if (pid == 0) {
        be_born(birth);
    }
    if (pid < 0) {
        give_up(birth, BIRTH_FORK);
    }
    _exit(0);
}

/* ---- */

static void fill_birth(struct birth *ret, const char *home, const struct spawn_owner *owner,
                       const struct facts_package *package, char **environment)
{
    static const char *const names[] = {"", "/logs", "/pids", "/modules"};
    *ret = (struct birth){.home = home,
                          .owner = owner,
                          .group_count = GROUPS_MAX,
                          .arguments = {exec_word("node"), exec_word(package->daemon), NULL},
                          .environment = environment,
                          .node = package->node};
    if (owner->name[0] == '\0' ||
        getgrouplist(owner->name, owner->gid, ret->groups, &ret->group_count) < 0) {
        ret->groups[0] = owner->gid;
        ret->group_count = 1;
    }
    for (size_t i = 0; i < 4; i++) {
        (void)snprintf(ret->folders[i], sizeof ret->folders[i], "%s%s", home, names[i]);
    }
    (void)snprintf(ret->modules, sizeof ret->modules, "%s/module_conf.json", home);
    (void)snprintf(ret->log, sizeof ret->log, "%s/pm2.log", home);
}

int spawn_daemon(const char *home, const struct spawn_owner *owner,
                 const struct facts_package *package, const json_t *facts, int *ret_fd,
                 struct err *err)
{
    struct variables variables;
    struct birth birth;
    int ends[2];
    make_variables(home, owner, package, facts, &variables);
    fill_birth(&birth, home, owner, package, variables.pairs);
    if (variables.failed || pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) {
        free_variables(&variables);
        return err_set_errno(err, ERR_IO, "cannot prepare a PM2 daemon");
    }
    birth.report = ends[1];
    pid_t pid = fork();
    if (pid == 0) {
        beget(&birth);
    }
    free_variables(&variables);
    (void)close(ends[1]);
    if (pid < 0) {
        (void)close(ends[0]);
        return err_set_errno(err, ERR_IO, "cannot start a process");
    }
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR) {
    }
    *ret_fd = ends[0];
    return 0;
}

int spawn_began(int fd, struct err *err)
{
    static const char *const steps[] = {
        [BIRTH_FORK] = "no process could be started",
        [BIRTH_USER] = "its owner's rights could not be taken",
        [BIRTH_FOLDERS] = "its folders could not be made",
        [BIRTH_LOG] = "pm2.log could not be opened",
        [BIRTH_EXEC] = "node could not be executed",
    };
    int told[2];
    ssize_t got = read(fd, told, sizeof told);
    if (got == 0) {
        return 0;
    }
    if (got < 0) {
        return errno == EAGAIN || errno == EINTR ? ERR_BUSY
                                                 : err_set_errno(err, ERR_IO, "a pipe failed");
    }
    bool known = got == sizeof told && told[0] >= BIRTH_FORK && told[0] <= BIRTH_EXEC;
    errno = known ? told[1] : 0;
    return err_set_errno(err, ERR_IO, "the PM2 daemon was not started: %s",
                         known ? steps[told[0]] : "unknown why");
}
