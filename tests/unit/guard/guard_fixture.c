#include "tests/unit/guard/guard_fixture.h"

#include "node/base/clock.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

/* This test program, found again from the guard. */
static char victim_program[PATH_MAX];

/* --- the guarded program ------------------------------------------------------------------- */

static const char *victim_dir;

static void write_file(const char *name, const char *text)
{
    char path[PATH_MAX];
    char temporary[PATH_MAX];
    (void)snprintf(path, sizeof(path), "%s/%s", victim_dir, name);
    (void)snprintf(temporary, sizeof(temporary), "%s/%s.new", victim_dir, name);
    int fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd >= 0) {
        (void)!write(fd, text, strlen(text));
        (void)close(fd);
        (void)rename(temporary, path);
    }
}

static void write_number(const char *name, int64_t number)
{
    char text[32];
    (void)snprintf(text, sizeof(text), "%lld\n", (long long)number);
    write_file(name, text);
}

static volatile sig_atomic_t got_signal;

static void note_signal(int number)
{
    got_signal = number;
}

static void live_on(void)
{
    for (;;) {
        (void)poll(NULL, 0, 5);
        if (got_signal != 0) {
            write_number("signal", got_signal);
            write_number("signal_ms", clock_boot_ms());
            got_signal = 0;
        }
    }
}

static void stubborn(void)
{
    (void)signal(SIGTERM, note_signal);
    (void)signal(SIGINT, note_signal);
    (void)signal(SIGUSR2, note_signal);
}

/* A grandchild in a session of its own whose parent is gone: what a plain kill would miss. */
static void leave_grandchild(void)
{
    pid_t middle = fork();
    if (middle == 0) {
        if (fork() == 0) {
            (void)setsid();
            (void)signal(SIGTERM, SIG_IGN);
            write_number("grandchild", getpid());
            for (;;) {
                (void)poll(NULL, 0, 1000);
            }
        }
        _exit(0);
    }
    (void)waitpid(middle, NULL, 0);
    char path[PATH_MAX];
    (void)snprintf(path, sizeof(path), "%s/grandchild", victim_dir);
    while (access(path, F_OK) != 0) {
        (void)poll(NULL, 0, 5);
    }
}

int victim_main(const char *mode, const char *dir)
{
    victim_dir = dir;
    if (strcmp(mode, "stubborn") == 0) {
        stubborn();
    }
    if (strcmp(mode, "family") == 0 || strcmp(mode, "orphan") == 0) {
        leave_grandchild();
    }
    if (strcmp(mode, "environment") == 0) {
        char text[256];
        (void)snprintf(text, sizeof(text), "%s %s\n", getenv("UNDERSTUDY_TERM"),
                       getenv("UNDERSTUDY_DUTY"));
        write_file("environment", text);
    }
    write_number("victim", getpid());
    if (strcmp(mode, "exit7") == 0 || strcmp(mode, "orphan") == 0) {
        return 7;
    }
    live_on();
    return 0;
}

/* --- the node ------------------------------------------------------------------------------ */

static void give(struct fixture *self)
{
    int64_t deadline_ms = clock_boot_ms() + self->ttl_ms;
    if (post_grant(self->post, DUTY, 11, 4, deadline_ms, NULL) == 0) {
        self->last_deadline_ms = deadline_ms;
    }
}

static void on_hello(void *context, const struct post_guard *guard)
{
    struct fixture *self = context;
    self->hellos++;
    self->last = *guard;
    if (self->renew) {
        give(self);
    }
}

static void on_started(void *context, const struct post_guard *guard)
{
    struct fixture *self = context;
    self->starts++;
    self->last = *guard;
}

static void on_released(void *context, const struct post_guard *guard, enum post_reason reason,
                        int status)
{
    struct fixture *self = context;
    self->releases++;
    self->last = *guard;
    self->reason = reason;
    self->status = status;
}

static void on_gone(void *context, const struct post_guard *guard)
{
    struct fixture *self = context;
    self->gones++;
    self->last = *guard;
}

void fixture_open_post(struct fixture *self, bool revoke_on_hello)
{
    const struct post_config config = {
        .listen_fd = self->listen_fd,
        .callbacks = {on_hello, on_started, on_released, on_gone},
        .context = self,
        .revoke_on_hello = revoke_on_hello,
    };
    assert_int_equal(post_create(&config, &self->post, NULL), 0);
}

int fixture_set_up(void **state)
{
    struct fixture *self = calloc(1, sizeof(*self));
    (void)snprintf(self->dir, sizeof(self->dir), "/tmp/guard-test-XXXXXX");
    assert_non_null(mkdtemp(self->dir));
    (void)snprintf(self->socket, sizeof(self->socket), "%s/guards.sock", self->dir);
    assert_int_equal(post_listen(self->socket, 0600, &self->listen_fd, NULL), 0);
    self->renew = true;
    self->ttl_ms = 30000;
    fixture_open_post(self, false);
    *state = self;
    return 0;
}

/* What a failed test left running: only a victim of this folder, whatever has its pid by now. */
static void end_left_over(const struct fixture *self, const char *name)
{
    char path[64];
    char command[1024];
    pid_t pid = (pid_t)fixture_number(self, name);
    (void)snprintf(path, sizeof(path), "/proc/%d/cmdline", (int)pid);
    int fd = pid > 0 ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    ssize_t got = fd >= 0 ? read(fd, command, sizeof(command)) : 0;
    if (got > 0 && memmem(command, (size_t)got, self->dir, strlen(self->dir)) != NULL) {
        (void)kill(pid, SIGKILL);
    }
    if (fd >= 0) {
        (void)close(fd);
    }
}

int fixture_tear_down(void **state)
{
    struct fixture *self = *state;
    post_destroy(&self->post);
    (void)close(self->listen_fd);
    end_left_over(self, "victim");
    end_left_over(self, "grandchild");
    DIR *folder = opendir(self->dir);
    assert_non_null(folder);
    struct dirent *entry = NULL;
    while ((entry = readdir(folder)) != NULL) {
        (void)unlinkat(dirfd(folder), entry->d_name, 0);
    }
    (void)closedir(folder);
    (void)rmdir(self->dir);
    free(self);
    return 0;
}

void fixture_pump(struct fixture *self, int wait_ms)
{
    if (self->post == NULL) {
        (void)poll(NULL, 0, wait_ms);
        return;
    }
    struct pollfd polled = {.fd = post_fd(self->post), .events = POLLIN};
    (void)poll(&polled, 1, wait_ms);
    post_process(self->post);
    struct post_guard guard;
    if (self->renew && post_find(self->post, DUTY, &guard) && !guard.revoked &&
        self->last_deadline_ms - clock_boot_ms() < self->ttl_ms * 9 / 10) {
        give(self);
    }
}

/* --- guards -------------------------------------------------------------------------------- */

static void fill(int fd)
{
    static const char bytes[4096];
    int flags = fcntl(fd, F_GETFL);
    assert_int_equal(fcntl(fd, F_SETFL, flags | O_NONBLOCK), 0);
    while (write(fd, bytes, sizeof(bytes)) > 0) {
    }
    assert_int_equal(fcntl(fd, F_SETFL, flags), 0);
}

struct guard_process guard_start(struct fixture *self, const char *kill_timeout,
                                 const char *on_disconnect, const char *mode)
{
    int errors[2];
    char end_file[PATH_MAX];
    (void)snprintf(end_file, sizeof(end_file), "%s/end", self->dir);
    ssize_t length = readlink("/proc/self/exe", victim_program, sizeof(victim_program) - 1);
    assert_true(length > 0);
    victim_program[length] = '\0';
    assert_int_equal(pipe2(errors, O_CLOEXEC), 0);
    if (self->full_errors) {
        fill(errors[1]);
    }
    struct guard_process guard = {.pid = fork(), .errors = errors[0]};
    if (guard.pid == 0) {
        (void)dup2(errors[1], STDERR_FILENO);
        (void)execl(GUARD_PROGRAM, GUARD_PROGRAM, "--socket", self->socket, "--duty", DUTY,
                    "--lock-dir", self->dir, "--kill-timeout", kill_timeout, "--on-disconnect",
                    on_disconnect, "--end-file", end_file, "--", victim_program, "--victim", mode,
                    self->dir, NULL);
        _exit(99);
    }
    (void)close(errors[1]);
    assert_true(guard.pid > 0);
    guard.pidfd = (int)syscall(SYS_pidfd_open, guard.pid, 0);
    assert_true(guard.pidfd >= 0);
    return guard;
}

bool guard_ended(struct guard_process *guard)
{
    int status = 0;
    if (!guard->reaped && waitpid(guard->pid, &status, WNOHANG) == guard->pid) {
        guard->reaped = true;
        guard->code = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
    }
    return guard->reaped;
}

void guard_end(struct guard_process *guard)
{
    if (!guard_ended(guard)) {
        (void)kill(guard->pid, SIGKILL);
        (void)waitpid(guard->pid, NULL, 0);
    }
    (void)close(guard->pidfd);
    (void)close(guard->errors);
}

void fixture_text(const struct fixture *self, const char *name, char *ret, int size)
{
    char path[PATH_MAX];
    (void)snprintf(path, sizeof(path), "%s/%s", self->dir, name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t got = fd >= 0 ? read(fd, ret, (size_t)size - 1) : 0;
    ret[got > 0 ? got : 0] = '\0';
    if (fd >= 0) {
        (void)close(fd);
    }
}

int64_t fixture_number(const struct fixture *self, const char *name)
{
    char text[32];
    fixture_text(self, name, text, sizeof(text));
    return strtoll(text, NULL, 10);
}

/* Third and fourth word of its stat. */
static bool process_stat(pid_t pid, char *ret_state, pid_t *ret_parent)
{
    char path[64];
    char text[512];
    (void)snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return false;
    }
    ssize_t got = read(fd, text, sizeof(text) - 1);
    (void)close(fd);
    text[got > 0 ? got : 0] = '\0';
    const char *bracket = strrchr(text, ')');
    if (bracket == NULL) {
        return false;
    }
    *ret_state = bracket[2];
    *ret_parent = (pid_t)strtol(bracket + 4, NULL, 10);
    return true;
}

bool process_lives(pid_t pid)
{
    char process_state = 0;
    pid_t parent = 0;
    return process_stat(pid, &process_state, &parent) && process_state != 'Z' &&
           process_state != 'X';
}

pid_t process_parent(pid_t pid)
{
    char process_state = 0;
    pid_t parent = 0;
    return process_stat(pid, &process_state, &parent) ? parent : 0;
}
