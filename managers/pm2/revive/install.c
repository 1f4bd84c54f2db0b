#include "managers/pm2/revive/install.h"

#include "managers/pm2/lists/lists.h"
#include "managers/pm2/revive/facts.h"
#include "node/base/clock.h"
#include "node/base/exec.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

struct install {
    struct pm2 *pm2;
    int64_t looked_ms; /* 0: never */
    bool missing;
    pid_t pid; /* of npm; 0: it does not run */
    int pidfd; /* these are open while it runs; 0: closed */
    int output_fd;
    int log_fd;
    size_t logged;
    int64_t until_ms;
    int64_t retry_ms;
    char why[REASON_SIZE]; /* of the latest failure */
};

void install_folder(const struct pm2 *self, char ret[MANAGER_PATH_SIZE + 16])
{
    (void)snprintf(ret, MANAGER_PATH_SIZE + 16, "%s/npm", self->configure.data_dir);
}

/* ---- the child ---- */

struct job {
    const char *folder;
    char *const *arguments;
    int out;
};

/* Between fork and exec. */
static void become_npm(const struct job *job)
{
    (void)setsid(); /* npm starts processes of its own; they end with it */
    exec_reset_signals();
    int in = open("/dev/null", O_RDONLY);
    if (in < 0 || dup2(in, STDIN_FILENO) < 0 || dup2(job->out, STDOUT_FILENO) < 0 ||
        dup2(job->out, STDERR_FILENO) < 0 || chdir(job->folder) != 0) {
        _exit(127);
    }
    (void)close_range(3, ~0U, 0);
    (void)execvp("npm", job->arguments);
    _exit(127);
}

static pid_t start_npm(const char *folder, int out)
{
    char *arguments[] = {exec_word("npm"),        exec_word("install"),
                         exec_word("--prefix"),   exec_word(folder),
                         exec_word("--no-audit"), exec_word("--no-fund"),
                         exec_word("--omit=dev"), exec_word("--loglevel=error"),
                         exec_word("pm2@7"),      NULL};
    struct job job = {.folder = folder, .arguments = arguments, .out = out};
    pid_t pid = fork();
    if (pid == 0) {
        become_npm(&job);
    }
    return pid;
}

/* ---- its output and its end ---- */

static bool find(const struct pm2 *self, struct err *err)
{
    char own[MANAGER_PATH_SIZE + 16];
    struct facts_package package;
    const struct home *home = self->home_count > 0 ? &self->homes[0] : NULL;
    install_folder(self, own);
    return facts_find(home != NULL ? lists_daemon(home->lists) : NULL, own, &package, err) == 0;
}

static void close_fd(struct pm2 *self, int *fd)
{
    if (*fd > 0) {
        runtime_unwatch(self->runtime, *fd);
        (void)close(*fd);
        *fd = 0;
    }
}

static void on_output(void *context, int fd, short revents)
{
    (void)revents;
    struct pm2 *self = context;
    struct install *install = self->install;
    char text[4096];
    ssize_t got = read(fd, text, sizeof text);
    if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR)) {
        close_fd(self, &install->output_fd);
    } else if (got > 0 && install->logged < INSTALL_LOG_BYTES_MAX) {
        install->logged += (size_t)got;
        (void)!write(install->log_fd, text, (size_t)got);
    }
}

static void reap(struct pm2 *self, const char *lost)
{
    struct install *install = self->install;
    int status = -1;
    while (waitpid(install->pid, &status, 0) < 0 && errno == EINTR) {
    }
    close_fd(self, &install->pidfd);
    if (install->output_fd > 0) {
        on_output(self, install->output_fd, 0);
    }
    close_fd(self, &install->output_fd);
    (void)close(install->log_fd);
    install->pid = 0;
    install->looked_ms = 0;
    struct err err = {0};
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0 && find(self, &err)) {
        runtime_event(self->runtime, MANAGER_INFO, "pm2.installed", NULL,
                      "PM2 was installed by npm for this node");
        return;
    }
    install->retry_ms = clock_boot_ms() + INSTALL_RETRY_MS;
    (void)snprintf(install->why, sizeof install->why, "npm failed%s; see npm/install.log", lost);
    runtime_event(self->runtime, MANAGER_ERROR, "pm2.not_installed", NULL,
                  "PM2 was not installed: npm ended with status %d%s", status, lost);
}

static void on_end(void *context, int fd, short revents)
{
    (void)fd;
    (void)revents;
    reap(context, "");
}

/* The group is its own, and it is not reaped yet, so the number is its own too. */
static void kill_npm(struct pm2 *self, const char *why)
{
    (void)kill(-self->install->pid, SIGKILL);
    (void)kill(self->install->pid, SIGKILL);
    reap(self, why);
}

/* ---- the beginning ---- */

static int open_log(const char *folder)
{
    char path[MANAGER_PATH_SIZE + 32];
    (void)snprintf(path, sizeof path, "%s/install.log", folder);
    return open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
}

static void start(struct pm2 *self, int64_t now_ms)
{
    struct install *install = self->install;
    char folder[MANAGER_PATH_SIZE + 16];
    int ends[2] = {-1, -1};
    install_folder(self, folder);
    install->retry_ms = now_ms + INSTALL_RETRY_MS;
    (void)mkdir(folder, 0755);
    install->log_fd = open_log(folder);
    if (install->log_fd < 0 || pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) {
        (void)snprintf(install->why, sizeof install->why, "its folder cannot be written");
        return;
    }
    install->logged = 0;
    install->until_ms = now_ms + INSTALL_LIMIT_MS;
    install->pid = start_npm(folder, ends[1]);
    (void)close(ends[1]);
    install->output_fd = ends[0];
    if (install->pid < 0) {
        install->pid = 0;
        close_fd(self, &install->output_fd);
        (void)close(install->log_fd);
        return;
    }
    journal_write(self, "npm install", "pm2", folder);
    install->pidfd = (int)syscall(SYS_pidfd_open, install->pid, 0);
    if (install->pidfd < 0 ||
        runtime_watch(self->runtime, install->output_fd, POLLIN, on_output, self) != 0 ||
        runtime_watch(self->runtime, install->pidfd, POLLIN, on_end, self) != 0) {
        kill_npm(self, " (it cannot be watched)");
    }
}

static void say(struct pm2 *self, int64_t now_ms)
{
    const struct install *install = self->install;
    const char *what = install->pid > 0          ? "npm is installing it"
                       : install->why[0] != '\0' ? install->why
                       : self->settings->install ? "it will be installed"
                                                 : "install it, or allow managers.pm2.install";
    (void)findings_say(&self->findings, "pm2.missing", "", FINDING_WARNING, now_ms,
                       "no PM2 is installed on this node: %s", what);
}

static bool is_needed(const struct settings *settings)
{
    return settings->install || settings->primary_count > 0 || settings->backup_count > 0;
}

/* A daemon that answers was started by some PM2; before it was asked nothing is known. */
static void look(struct pm2 *self, int64_t now_ms)
{
    struct install *install = self->install;
    struct err err = {0};
    enum god_state state = god_state(self->homes[0].god);
    if (state == GOD_UP) {
        install->missing = false;
        install->looked_ms = 0;
    } else if (state != GOD_UNKNOWN &&
               (install->looked_ms == 0 || now_ms - install->looked_ms >= INSTALL_LOOK_MS)) {
        install->looked_ms = now_ms;
        install->missing = !find(self, &err);
    }
}

void install_step(struct pm2 *self, int64_t now_ms)
{
    struct install *install = self->install;
    if (install == NULL || self->home_count == 0) {
        return;
    }
    if (install->pid > 0 && now_ms >= install->until_ms) {
        kill_npm(self, " (it took too long)");
    }
    look(self, now_ms);
    if (!install->missing) {
        return;
    }
    if (is_needed(self->settings)) {
        say(self, now_ms);
    }
    if (self->settings->install && install->pid == 0 && now_ms >= install->retry_ms &&
        !pm2_holds_still(self)) {
        start(self, now_ms);
    }
}

void install_configure(struct pm2 *self)
{
    if (self->install == NULL) {
        self->install = calloc(1, sizeof *self->install);
    }
    if (self->install != NULL) {
        self->install->pm2 = self;
        self->install->looked_ms = 0;
        self->install->retry_ms = 0;
    }
}

void install_destroy(struct install **self_p)
{
    if (self_p == NULL || *self_p == NULL) {
        return;
    }
    if ((*self_p)->pid > 0) {
        kill_npm((*self_p)->pm2, " (the manager ended)");
    }
    free(*self_p);
    *self_p = NULL;
}

bool install_is_ready(const struct pm2 *self)
{
    const struct install *install = self->install;
    return self->settings->install && install != NULL && install->looked_ms > 0 &&
           !install->missing;
}
