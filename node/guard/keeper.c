#include "node/guard/keeper.h"

#include "node/base/clock.h"
#include "node/guard/post.h"
#include "node/guard/tree.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>

#define EXIT_NOT_RUN 127

struct keeper {
    const struct keeper_config *config;
    int signals; /* signalfd */
    int timer;
    pid_t child;
    bool child_gone;
    int status; /* of the child, as waitpid tells it */
    int64_t deadline_ms;
    bool stopping;
    int64_t kill_at_ms; /* while stopping */
    enum post_reason reason;
};

int keeper_exit_code(int status)
{
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

int keeper_signal(int status)
{
    return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

int keeper_timer(void)
{
    return timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK);
}

void keeper_timer_set(int timer, int64_t at_ms)
{
    struct itimerspec spec = {.it_value = {0}};
    if (at_ms != INT64_MAX) {
        int64_t at = at_ms > 0 ? at_ms : 1;
        spec.it_value.tv_sec = (time_t)(at / 1000);
        spec.it_value.tv_nsec = (long)(at % 1000) * 1000000;
    }
    (void)timerfd_settime(timer, TFD_TIMER_ABSTIME, &spec, NULL);
}

void keeper_timer_clear(int timer)
{
    uint64_t count = 0;
    (void)!read(timer, &count, sizeof(count));
}

/* --- starting the program ------------------------------------------------------------------ */

static void run_program(const struct keeper_config *config, pid_t keeper)
{
    (void)setpgid(0, 0);
    /* The kernel kills it if both guard processes are killed at once. */
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != keeper) {
        _exit(EXIT_NOT_RUN);
    }
    (void)sigprocmask(SIG_SETMASK, config->signals, NULL);
    (void)execvpe(config->program[0], config->program, config->environment);
    (void)dprintf(STDERR_FILENO, "understudy-guard: %s cannot be run: %s\n", config->program[0],
                  strerrordesc_np(errno));
    _exit(EXIT_NOT_RUN);
}

static bool start(struct keeper *self)
{
    pid_t keeper = getpid();
    self->child = fork();
    if (self->child == 0) {
        run_program(self->config, keeper);
    }
    if (self->child > 0) {
        (void)setpgid(self->child, self->child); /* whoever comes first */
    }
    return self->child > 0;
}

static void tell(struct keeper *self, const struct link_message *message)
{
    (void)send(self->config->link, message, sizeof(*message), MSG_NOSIGNAL);
}

/* --- stopping it --------------------------------------------------------------------------- */

static void begin_stop(struct keeper *self, enum post_reason reason, int number)
{
    if (self->stopping) {
        return;
    }
    int64_t kill_at_ms = clock_boot_ms() + self->config->kill_timeout_ms;
    self->stopping = true;
    self->reason = reason;
    self->kill_at_ms = kill_at_ms < self->deadline_ms ? kill_at_ms : self->deadline_ms;
    if (!self->child_gone) {
        (void)kill(-self->child, number);
    }
}

/* The process ended and left others behind: they get the same chance to end decently. */
static void end_leftovers(struct keeper *self)
{
    begin_stop(self, POST_ENDED, SIGTERM);
    (void)tree_signal(SIGTERM);
    (void)tree_signal(SIGCONT);
}

static void on_link(struct keeper *self, bool *ret_kill)
{
    struct link_message message;
    ssize_t got = recv(self->config->link, &message, sizeof(message), MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
        return;
    }
    if (got != (ssize_t)sizeof(message)) {
        *ret_kill = true; /* the front is gone */
        return;
    }
    switch (message.kind) {
    case LINK_DEADLINE:
        if (message.deadline_ms > self->deadline_ms && !self->stopping) {
            self->deadline_ms = message.deadline_ms;
        }
        return;
    case LINK_STOP:
        begin_stop(self, (enum post_reason)message.reason, message.signal);
        return;
    case LINK_PASS:
        if (!self->child_gone) {
            (void)kill(self->child, message.signal);
        }
        return;
    default:
        return;
    }
}

static void on_time(struct keeper *self, bool *ret_kill)
{
    int64_t now_ms = clock_boot_ms();
    if (now_ms >= self->deadline_ms) {
        self->reason = self->stopping ? self->reason : POST_LAPSED;
        *ret_kill = true;
    } else if (self->stopping && now_ms >= self->kill_at_ms) {
        *ret_kill = true;
    } else if (!self->stopping && now_ms >= self->deadline_ms - self->config->kill_timeout_ms) {
        begin_stop(self, POST_LAPSED, SIGTERM);
    }
}

static int64_t next_time(const struct keeper *self)
{
    return self->stopping ? self->kill_at_ms : self->deadline_ms - self->config->kill_timeout_ms;
}

static void drain_signals(const struct keeper *self)
{
    struct signalfd_siginfo info;
    while (read(self->signals, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
        /* SIGCHLD wakes us; signals to a whole process tree are the front's to pass on. */
    }
}

/* True when nothing is left. */
static bool reap(struct keeper *self)
{
    int status = 0;
    bool empty = false;
    if (tree_reap(self->child, &status, &empty)) {
        self->child_gone = true;
        self->status = status;
        if (!empty) {
            end_leftovers(self);
        }
    }
    return empty;
}

static void kill_all(struct keeper *self)
{
    int status = 0;
    if (tree_kill(self->child, &status)) {
        self->child_gone = true;
        self->status = status;
    }
}

static void watch(struct keeper *self)
{
    struct pollfd polled[3] = {{.fd = self->config->link, .events = POLLIN},
                               {.fd = self->signals, .events = POLLIN},
                               {.fd = self->timer, .events = POLLIN}};
    bool kill_now = false;
    for (;;) {
        on_time(self, &kill_now);
        if (kill_now) {
            kill_all(self);
            return;
        }
        if (reap(self)) {
            return;
        }
        keeper_timer_set(self->timer, next_time(self));
        (void)poll(polled, 3, -1);
        if (polled[1].revents != 0) {
            drain_signals(self);
        }
        if (polled[2].revents != 0) {
            keeper_timer_clear(self->timer);
        }
        if (polled[0].revents != 0) {
            on_link(self, &kill_now);
        }
        if (kill_now) {
            kill_all(self);
            return;
        }
    }
}

int keeper_run(const struct keeper_config *config)
{
    struct keeper self = {
        .config = config,
        .deadline_ms = config->deadline_ms,
        .reason = POST_ENDED,
    };
    sigset_t all;
    (void)sigfillset(&all);
    self.signals = signalfd(-1, &all, SFD_CLOEXEC | SFD_NONBLOCK);
    self.timer = keeper_timer();
    if (prctl(PR_SET_CHILD_SUBREAPER, 1) != 0 || self.signals < 0 || self.timer < 0 ||
        !start(&self)) {
        return 1;
    }
    tell(&self, &(struct link_message){.kind = LINK_STARTED, .pid = self.child});
    watch(&self);
    tell(&self, &(struct link_message){.kind = LINK_DONE,
                                       .reason = self.reason,
                                       .status = keeper_exit_code(self.status),
                                       .signal = keeper_signal(self.status)});
    return 0;
}
