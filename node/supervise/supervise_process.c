/* One manager's process: its start, its log, its end. */
#include "node/supervise/supervise_private.h"

#include "node/base/clock.h"
#include "node/base/exec.h"
#include "node/base/invariant.h"

#include "managers/common/runtime.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* All that a manager gets from our environment. Secrets come by files that its section names. */
static const char *const passed_on[] = {
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "LANG",
    "LC_ALL",
    "TZ",
    "TMPDIR",
    "DEBUG",
    "CREDENTIALS_DIRECTORY",
    /* How this host reaches the outside, for npm, libcurl and git. */
    "HTTP_PROXY",
    "http_proxy",
    "HTTPS_PROXY",
    "https_proxy",
    "ALL_PROXY",
    "all_proxy",
    "NO_PROXY",
    "no_proxy",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "CURL_CA_BUNDLE",
    "GIT_SSL_CAINFO",
    "NODE_EXTRA_CA_CERTS",
    /* For tests. */
    "ASAN_OPTIONS",
    "UBSAN_OPTIONS",
    "TSAN_OPTIONS",
    "LSAN_OPTIONS",
    CLOCK_TEST_VARIABLE,
};

#define ENVIRONMENT_MAX (sizeof passed_on / sizeof passed_on[0] + 4)
#define VARIABLE_SIZE 4096
#define LOG_BYTES_PER_PASS 16384

struct spawn {
    const char *path;
    char *arguments[2];
    char storage[ENVIRONMENT_MAX][VARIABLE_SIZE];
    char *environment[ENVIRONMENT_MAX + 1];
    size_t count;
    pid_t parent;
    int life_fd;
    int log_fd;
};

static void add_variable(struct spawn *spawn, const char *name, const char *value)
{
    invariant(spawn->count < ENVIRONMENT_MAX);
    int length = snprintf(spawn->storage[spawn->count], VARIABLE_SIZE, "%s=%s", name, value);
    if (length > 0 && length < VARIABLE_SIZE) {
        spawn->environment[spawn->count] = spawn->storage[spawn->count];
        spawn->count++;
    }
}

static void prepare_environment(const struct supervise *self, const struct child *child,
                                struct spawn *spawn)
{
    for (size_t i = 0; i < sizeof passed_on / sizeof passed_on[0]; i++) {
        const char *value = getenv(passed_on[i]);
        if (value != NULL) {
            add_variable(spawn, passed_on[i], value);
        }
    }
    char pid[24];
    (void)snprintf(pid, sizeof pid, "%ld", (long)getpid());
    add_variable(spawn, RUNTIME_ENV_NAME, child->name);
    add_variable(spawn, RUNTIME_ENV_ENDPOINT, self->endpoint);
    add_variable(spawn, RUNTIME_ENV_IDENTITY, child->identity);
    add_variable(spawn, RUNTIME_ENV_PARENT, pid);
    spawn->environment[spawn->count] = NULL;
}

/* Between fork and exec: calls that are safe there only. */
static void become_manager(const struct spawn *spawn)
{
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != spawn->parent) {
        _exit(125);
    }
    exec_reset_signals();
    if (dup2(spawn->life_fd, STDIN_FILENO) < 0 || dup2(spawn->log_fd, STDOUT_FILENO) < 0 ||
        dup2(spawn->log_fd, STDERR_FILENO) < 0) {
        _exit(125);
    }
    (void)close_range(3, ~0U, 0);
    (void)execve(spawn->path, spawn->arguments, spawn->environment);
    static const char text[] = "error cannot execute the manager's program\n";
    (void)!write(STDERR_FILENO, text, sizeof text - 1);
    _exit(127);
}

static void close_fd(struct supervise *self, int *fd, bool watched)
{
    if (*fd < 0) {
        return;
    }
    if (watched) {
        zmq_pollitem_t item = {.fd = *fd};
        zloop_poller_end(self->loop, &item);
    }
    (void)close(*fd);
    *fd = -1;
}

/* ---- log ---- */

static enum manager_level take_level(const char **text)
{
    for (int level = MANAGER_DEBUG; level <= MANAGER_ERROR; level++) {
        const char *name = manager_level_name((enum manager_level)level);
        size_t length = strlen(name);
        if (strncmp(*text, name, length) == 0 && (*text)[length] == ' ') {
            *text += length + 1;
            return (enum manager_level)level;
        }
    }
    return MANAGER_INFO;
}

static void end_line(struct supervise *self, struct child *child)
{
    child->line[child->line_length] = '\0';
    child->line_length = 0;
    if (child->line[0] == '\0' || self->destroying) {
        return;
    }
    if (!supervise_within_rate(&child->lines, clock_boot_ms(), SUPERVISE_LINES_PER_SECOND)) {
        child->dropped++;
        return;
    }
    const char *text = child->line;
    enum manager_level level = take_level(&text);
    self->callbacks->log(self->context, child->name, level, text);
}

static void take_log_bytes(struct supervise *self, struct child *child, const char *bytes,
                           size_t length)
{
    for (size_t i = 0; i < length; i++) {
        if (bytes[i] == '\n' || child->line_length == sizeof child->line - 1) {
            end_line(self, child);
        }
        if (bytes[i] != '\n') {
            unsigned char byte = (unsigned char)bytes[i];
            bool control = byte < 0x80 && !isprint(byte);
            child->line[child->line_length] = bytes[i];
            if (control) {
                child->line[child->line_length] = '?';
            }
            child->line_length++;
        }
    }
}

/* At most `passes` reads; false at the end of the pipe. */
static bool read_log(struct supervise *self, struct child *child, int passes)
{
    char bytes[4096];
    for (int i = 0; i < passes && child->log_fd >= 0; i++) {
        ssize_t got = read(child->log_fd, bytes, sizeof bytes);
        if (got <= 0) {
            return got < 0 && (errno == EAGAIN || errno == EINTR);
        }
        take_log_bytes(self, child, bytes, (size_t)got);
    }
    return true;
}

/* ---- end ---- */

static int64_t backoff_ms(struct supervise *self, unsigned failures)
{
    int64_t delay_ms = SUPERVISE_BACKOFF_MIN_MS;
    for (unsigned i = 1; i < failures && delay_ms < SUPERVISE_BACKOFF_MAX_MS; i++) {
        delay_ms *= 2;
    }
    if (delay_ms > SUPERVISE_BACKOFF_MAX_MS) {
        delay_ms = SUPERVISE_BACKOFF_MAX_MS;
    }
    /* Jitter, so that managers that fell together do not rise together. */
    return delay_ms + rng_between(&self->rng, 0, delay_ms / 4);
}

static void describe_end(struct child *child, const siginfo_t *info)
{
    if (child->detail[0] != '\0') {
        return; /* we ended it, and said why */
    }
    if (info->si_code == CLD_EXITED) {
        (void)snprintf(child->detail, sizeof child->detail, "exited with code %d", info->si_status);
    } else {
        (void)snprintf(child->detail, sizeof child->detail, "killed by signal %d", info->si_status);
    }
}

static void plan_restart(struct supervise *self, struct child *child, int64_t now_ms, bool wanted)
{
    if (wanted) {
        child->failures = 0;
        child->next_start_ms = now_ms;
        return;
    }
    child->failures = now_ms - child->started_ms >= SUPERVISE_HEALTHY_MS ? 1 : child->failures + 1;
    if (child->refused_protocol && child->failures < SUPERVISE_FAILURES_MAX) {
        child->failures = SUPERVISE_FAILURES_MAX;
    }
    child->next_start_ms =
        now_ms + backoff_ms(self, child->refused_protocol ? 32 : child->failures);
    if (child->failures == SUPERVISE_FAILURES_MAX) {
        supervise_tell(self, child, MANAGER_ERROR, "manager.failed",
                       "manager %s has ended %u times in a row: %s", child->name, child->failures,
                       child->detail);
    }
}

void supervise_process_reap(struct supervise *self, struct child *child, int64_t now_ms, bool wait)
{
    if (child->pid == 0) {
        return;
    }
    siginfo_t info = {0};
    int flags = WEXITED | (wait ? 0 : WNOHANG);
    int rc;
    do {
        rc = waitid(P_PIDFD, (id_t)child->pidfd, &info, flags);
    } while (rc != 0 && errno == EINTR);
    if (rc == 0 && info.si_pid == 0) {
        return; /* it lives */
    }
    (void)read_log(self, child, LOG_BYTES_PER_PASS / 4096);
    end_line(self, child);
    bool wanted = child->phase == CHILD_ENDING;
    describe_end(child, &info);
    close_fd(self, &child->pidfd, true);
    close_fd(self, &child->log_fd, true);
    close_fd(self, &child->life_fd, false);
    child->pid = 0;
    child->phase = CHILD_DOWN;
    child->has_beat = false;
    if (!self->stopping) {
        self->callbacks->log(self->context, child->name, wanted ? MANAGER_INFO : MANAGER_WARN,
                             child->detail);
        plan_restart(self, child, now_ms, wanted);
    }
    supervise_role_over(self, child);
}

void supervise_process_kill(struct supervise *self, struct child *child, const char *why)
{
    if (child->pid == 0 || child->phase == CHILD_KILLED) {
        return;
    }
    (void)snprintf(child->detail, sizeof child->detail, "killed: %s", why);
    child->phase = CHILD_KILLED;
    /* By pidfd: it cannot hit another process. */
    (void)syscall(SYS_pidfd_send_signal, child->pidfd, SIGKILL, NULL, 0);
    supervise_tell(self, child, MANAGER_WARN, "manager.killed", "manager %s %s", child->name,
                   child->detail);
}

/* ---- start ---- */

static struct child *find_fd(struct supervise *self, int fd)
{
    for (size_t i = 0; i < self->child_count; i++) {
        if (self->children[i].pidfd == fd || self->children[i].log_fd == fd) {
            return &self->children[i];
        }
    }
    return NULL;
}

static int on_process_fd(zloop_t *loop, zmq_pollitem_t *item, void *argument)
{
    (void)loop;
    struct supervise *self = argument;
    struct child *child = find_fd(self, item->fd);
    if (child == NULL) {
        return 0; /* closed in the same pass */
    }
    if (item->fd == child->pidfd) {
        supervise_process_reap(self, child, clock_boot_ms(), false);
    } else if (!read_log(self, child, LOG_BYTES_PER_PASS / 4096)) {
        close_fd(self, &child->log_fd, true);
    }
    supervise_rearm(self);
    return 0;
}

static int watch_fd(struct supervise *self, int fd)
{
    zmq_pollitem_t item = {.fd = fd, .events = ZMQ_POLLIN | ZMQ_POLLERR};
    if (zloop_poller(self->loop, &item, on_process_fd, self) != 0) {
        return ERR_NOMEM;
    }
    zloop_poller_set_tolerant(self->loop, &item);
    return 0;
}

static void make_identity(struct child *child)
{
    (void)snprintf(child->identity, sizeof child->identity, "%s.%llx.%016llx", child->name,
                   (unsigned long long)child->starts, (unsigned long long)rng_system_seed());
}

static int fork_child(struct supervise *self, struct child *child, int life[2], int log[2])
{
    if (pipe2(life, O_CLOEXEC) != 0 || pipe2(log, O_CLOEXEC) != 0 ||
        fcntl(log[0], F_SETFL, O_NONBLOCK) != 0) {
        return ERR_IO;
    }
    struct spawn *spawn = calloc(1, sizeof *spawn);
    if (spawn == NULL) {
        return ERR_NOMEM;
    }
    spawn->path = child->path;
    spawn->arguments[0] = child->path;
    spawn->parent = getpid();
    spawn->life_fd = life[0];
    spawn->log_fd = log[1];
    prepare_environment(self, child, spawn);
    child->pid = fork();
    if (child->pid == 0) {
        become_manager(spawn);
    }
    free(spawn);
    if (child->pid < 0) {
        child->pid = 0;
        return ERR_IO;
    }
    child->pidfd = (int)syscall(SYS_pidfd_open, child->pid, 0);
    if (child->pidfd < 0) {
        /* Unwatched it must not live on: it is ours and not yet reaped, so the number is its own.
         */
        (void)kill(child->pid, SIGKILL);
        (void)waitpid(child->pid, NULL, 0);
        child->pid = 0;
        return ERR_IO;
    }
    return 0;
}

static void close_pair(int pair[2])
{
    for (int i = 0; i < 2; i++) {
        if (pair[i] >= 0) {
            (void)close(pair[i]);
            pair[i] = -1;
        }
    }
}

void supervise_process_start(struct supervise *self, struct child *child, int64_t now_ms)
{
    int life[2] = {-1, -1};
    int log[2] = {-1, -1};
    child->starts++;
    child->started_ms = now_ms;
    child->refused_protocol = false;
    child->line_length = 0;
    make_identity(child);
    if (fork_child(self, child, life, log) != 0) {
        (void)snprintf(child->detail, sizeof child->detail, "cannot start: %s", strerror(errno));
        close_pair(life);
        close_pair(log);
        plan_restart(self, child, now_ms, false);
        return;
    }
    child->phase = CHILD_STARTING;
    child->beat_ms = now_ms;
    child->log_fd = log[0];
    child->life_fd = life[1];
    (void)close(life[0]);
    (void)close(log[1]);
    if (watch_fd(self, child->pidfd) != 0 || watch_fd(self, child->log_fd) != 0) {
        supervise_process_kill(self, child, "no memory to watch it");
    }
    if (child->starts > 1) {
        supervise_tell(self, child, MANAGER_WARN, "manager.restarted",
                       "manager %s started again after: %s", child->name, child->detail);
    }
    if (child->phase == CHILD_STARTING) {
        child->detail[0] = '\0';
    }
}

/* ---- time ---- */

int64_t supervise_process_deadline(const struct supervise *self, const struct child *child)
{
    switch (child->phase) {
    case CHILD_DOWN:
        return self->stopping ? INT64_MAX : child->next_start_ms;
    case CHILD_STARTING:
        return child->started_ms + SUPERVISE_START_TIMEOUT_MS;
    case CHILD_READY:
        return child->beat_ms + SUPERVISE_HEARTBEAT_TIMEOUT_MS;
    case CHILD_ENDING:
        return child->kill_at_ms;
    case CHILD_KILLED:
        return INT64_MAX; /* its pidfd tells */
    }
    return INT64_MAX;
}

void supervise_process_tick(struct supervise *self, struct child *child, int64_t now_ms)
{
    if (now_ms < supervise_process_deadline(self, child)) {
        return;
    }
    switch (child->phase) {
    case CHILD_DOWN:
        supervise_process_start(self, child, now_ms);
        return;
    case CHILD_STARTING:
        supervise_process_kill(self, child, "it did not say hello");
        return;
    case CHILD_READY:
        supervise_process_kill(self, child, "it went silent");
        return;
    case CHILD_ENDING:
        supervise_process_kill(self, child, "it did not stop");
        return;
    case CHILD_KILLED:
        return;
    }
}
