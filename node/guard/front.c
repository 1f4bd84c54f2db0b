#include "node/guard/front.h"

#include "node/base/clock.h"
#include "node/guard/channel.h"
#include "node/guard/keeper.h"
#include "node/guard/post.h"
#include "node/guard/tree.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define REPORT_WAIT_MS 500 /* for a node that can hear that nothing runs any more */
#define ENVIRONMENT_MAX 4096

extern char **environ;

struct front {
    const struct guard_options *options;
    struct channel channel;
    int link;
    int signals;
    int timer;
    sigset_t original;
    pid_t keeper;
    pid_t child;
    uint64_t assignment;
    uint64_t term;
    int64_t deadline_ms; /* 0: none */
    bool revoked;
    bool done;
    bool killed_keeper; /* it was late at the deadline */
    enum post_reason reason;
    int status; /* exit code, 128 + signal; -1: it never ran */
    int signal; /* that ended it; 0: none */
};

static struct guard_message compose(const struct front *self, enum guard_kind kind)
{
    struct guard_message message = {
        .kind = kind,
        .pid = (uint32_t)getpid(),
        .child = (uint32_t)self->child,
        .status = self->status,
        .reason = self->reason,
        .assignment = self->assignment,
        .term = self->term,
        .deadline_ms = self->deadline_ms,
    };
    memcpy(message.duty, self->options->duty, sizeof(message.duty));
    return message;
}

bool front_may_say(void)
{
    struct pollfd polled = {.fd = STDERR_FILENO, .events = POLLOUT};
    return poll(&polled, 1, 0) == 1 && (polled.revents & POLLOUT) != 0;
}

static void say(const char *text)
{
    if (!front_may_say()) {
        return;
    }
    (void)dprintf(STDERR_FILENO, "understudy-guard: %s\n", text);
}

/* --- before the program runs --------------------------------------------------------------- */

static bool take_grant(struct front *self, const struct guard_message *message)
{
    if (message->kind == GUARD_REVOKE) {
        self->revoked = true;
    } else if (message->kind == GUARD_GRANT && message->assignment != 0 && !self->revoked) {
        self->assignment = message->assignment;
        self->term = message->term;
        if (message->deadline_ms > self->deadline_ms) {
            self->deadline_ms = message->deadline_ms;
        }
        return true;
    }
    return false;
}

/* A grant that leaves time to stop decently. */
static bool granted(const struct front *self)
{
    return self->deadline_ms - self->options->kill_timeout_ms > clock_boot_ms();
}

static bool await_grant(struct front *self)
{
    int64_t end_ms = clock_boot_ms() + GUARD_GRANT_WAIT_MS;
    while (!self->revoked && !granted(self)) {
        int64_t left_ms = end_ms - clock_boot_ms();
        if (left_ms <= 0) {
            return false;
        }
        struct guard_message message = compose(self, GUARD_HELLO);
        (void)channel_connect(&self->channel, &message);
        if (channel_receive(&self->channel, &message) == CHANNEL_MESSAGE) {
            (void)take_grant(self, &message);
            continue;
        }
        bool connected = self->channel.fd >= 0;
        struct pollfd polled = {.fd = self->channel.fd, .events = POLLIN};
        (void)poll(&polled, connected ? 1 : 0, connected || left_ms < 20 ? (int)left_ms : 20);
    }
    return !self->revoked;
}

/* The program's environment is made before anything is forked; static, so that nothing is
 * allocated. */
static char *const *environment_of(const struct front *self)
{
    static char term[48];
    static char duty[DUTY_ID_SIZE + 32];
    static char *environment[ENVIRONMENT_MAX + 3];
    size_t count = 0;
    (void)snprintf(term, sizeof(term), "UNDERSTUDY_TERM=%" PRIu64, self->term);
    (void)snprintf(duty, sizeof(duty), "UNDERSTUDY_DUTY=%s", self->options->duty);
    for (size_t i = 0; environ[i] != NULL && count < ENVIRONMENT_MAX; i++) {
        if (strncmp(environ[i], "UNDERSTUDY_TERM=", 16) != 0 &&
            strncmp(environ[i], "UNDERSTUDY_DUTY=", 16) != 0) {
            environment[count++] = environ[i];
        }
    }
    environment[count++] = term;
    environment[count++] = duty;
    environment[count] = NULL;
    return environment;
}

static bool start_keeper(struct front *self)
{
    int pair[2];
    sigset_t all;
    char *const *environment = environment_of(self);
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0) {
        return false;
    }
    (void)sigfillset(&all);
    (void)sigprocmask(SIG_SETMASK, &all, &self->original);
    self->signals = signalfd(-1, &all, SFD_CLOEXEC | SFD_NONBLOCK);
    self->timer = keeper_timer();
    /* Whatever the keeper leaves behind when it is killed becomes ours. */
    if (self->signals < 0 || self->timer < 0 || prctl(PR_SET_CHILD_SUBREAPER, 1) != 0) {
        return false;
    }
    self->keeper = fork();
    if (self->keeper == 0) {
        (void)close(pair[0]);
        (void)close(self->signals);
        (void)close(self->timer);
        channel_close(&self->channel);
        const struct keeper_config config = {
            .link = pair[1],
            .deadline_ms = self->deadline_ms,
            .kill_timeout_ms = self->options->kill_timeout_ms,
            .program = self->options->program,
            .environment = environment,
            .signals = &self->original,
        };
        _exit(keeper_run(&config));
    }
    (void)close(pair[1]);
    self->link = pair[0];
    return self->keeper > 0;
}

/* --- while it runs ------------------------------------------------------------------------- */

static void tell_keeper(struct front *self, struct link_message message)
{
    (void)send(self->link, &message, sizeof(message), MSG_NOSIGNAL | MSG_DONTWAIT);
}

static void stop(struct front *self, enum post_reason reason, int number)
{
    tell_keeper(self, (struct link_message){.kind = LINK_STOP, .reason = reason, .signal = number});
}

static void on_broken(struct front *self)
{
    self->channel.retry_at_ms = INT64_MIN; /* perhaps a successor listens already */
    if (self->options->stop_on_disconnect) {
        stop(self, POST_DISCONNECTED, SIGTERM);
    }
}

static void on_node(struct front *self)
{
    struct guard_message message;
    enum channel_result result = CHANNEL_NOTHING;
    while ((result = channel_receive(&self->channel, &message)) == CHANNEL_MESSAGE) {
        bool before = self->revoked;
        if (take_grant(self, &message)) {
            tell_keeper(self, (struct link_message){.kind = LINK_DEADLINE,
                                                    .deadline_ms = self->deadline_ms});
        } else if (self->revoked && !before) {
            stop(self, POST_REVOKED, SIGTERM);
        }
    }
    if (result == CHANNEL_BROKEN) {
        on_broken(self);
    }
}

static void on_link(struct front *self)
{
    struct link_message message;
    while (recv(self->link, &message, sizeof(message), MSG_DONTWAIT) == (ssize_t)sizeof(message)) {
        if (message.kind == LINK_STARTED) {
            self->child = message.pid;
            struct guard_message started = compose(self, GUARD_STARTED);
            (void)channel_send(&self->channel, &started);
        } else if (message.kind == LINK_DONE) {
            self->done = true;
            self->reason = (enum post_reason)message.reason;
            self->status = message.status;
            self->signal = message.signal;
        }
    }
}

/* PM2 ends a process by SIGINT or SIGTERM; everything else is for the program to understand. */
static void on_signals(struct front *self)
{
    struct signalfd_siginfo info;
    while (read(self->signals, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
        int number = (int)info.ssi_signo;
        switch (number) {
        case SIGINT:
        case SIGTERM:
        case SIGQUIT:
            stop(self, POST_SIGNALLED, number);
            break;
        case SIGHUP:
        case SIGUSR1:
        case SIGUSR2:
        case SIGWINCH:
            tell_keeper(self, (struct link_message){.kind = LINK_PASS, .signal = number});
            break;
        default:
            break;
        }
    }
}

static bool keeper_ended(struct front *self)
{
    int status = 0;
    pid_t pid = waitpid(self->keeper, &status, WNOHANG);
    return pid == self->keeper || (pid < 0 && errno == ECHILD);
}

/* The keeper has stopped everything by now, or it hangs: then it is our turn. */
static void on_time(struct front *self)
{
    if (clock_boot_ms() >= self->deadline_ms && !self->killed_keeper) {
        self->killed_keeper = true;
        (void)kill(self->keeper, SIGKILL);
    }
}

static int64_t next_time(const struct front *self)
{
    int64_t at_ms = self->killed_keeper ? INT64_MAX : self->deadline_ms;
    if (self->channel.fd < 0 && self->channel.retry_at_ms < at_ms) {
        at_ms = self->channel.retry_at_ms;
    }
    return at_ms;
}

static void watch(struct front *self)
{
    while (!keeper_ended(self)) {
        on_time(self);
        struct guard_message hello = compose(self, GUARD_HELLO);
        (void)channel_connect(&self->channel, &hello);
        keeper_timer_set(self->timer, next_time(self));
        struct pollfd polled[4] = {{.fd = self->link, .events = POLLIN},
                                   {.fd = self->signals, .events = POLLIN},
                                   {.fd = self->timer, .events = POLLIN},
                                   {.fd = self->channel.fd, .events = POLLIN}};
        (void)poll(polled, 4, -1);
        if (polled[2].revents != 0) {
            keeper_timer_clear(self->timer);
        }
        if (polled[1].revents != 0) {
            on_signals(self);
        }
        if (polled[3].revents != 0) {
            on_node(self);
        }
        if ((polled[0].revents & POLLIN) != 0) {
            on_link(self);
        } else if (polled[0].revents != 0) {
            self->link = -1; /* its end is seen by SIGCHLD; do not spin until then */
        }
    }
}

/* After the keeper's end: what it told last, and whatever it has left. */
static void settle(struct front *self)
{
    int status = 0;
    if (self->link >= 0) {
        on_link(self);
    }
    bool found = tree_kill(self->child, &status);
    if (!self->done) {
        self->reason = self->killed_keeper ? POST_LAPSED : POST_ENDED;
        self->status = found ? keeper_exit_code(status) : 128 + SIGKILL;
        self->signal = found ? keeper_signal(status) : SIGKILL;
    }
    self->child = 0;
}

/* For whoever is not our parent, or not any more. */
static void write_end(const struct front *self)
{
    static const char *const reasons[] = {
        [POST_ENDED] = "ended",
        [POST_SIGNALLED] = "signalled",
        [POST_REVOKED] = "revoked",
        [POST_LAPSED] = "lapsed",
        [POST_DISCONNECTED] = "disconnected",
        [POST_NEVER_RAN] = "never-ran",
    };
    if (self->options->end_path[0] == '\0') {
        return;
    }
    int fd =
        open(self->options->end_path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) {
        say("the end file cannot be written");
        return;
    }
    bool ran = self->reason != POST_NEVER_RAN;
    const char *kind = !ran ? "none" : self->signal != 0 ? "signal" : "exit";
    int number = !ran ? 0 : self->signal != 0 ? self->signal : self->status;
    (void)dprintf(fd, "%s %s %d\n", reasons[self->reason], kind, number);
    (void)close(fd);
}

/* Tell the node, or whoever took its place, within a bound. */
static void report(struct front *self)
{
    int64_t end_ms = clock_boot_ms() + REPORT_WAIT_MS;
    const struct guard_message released = compose(self, GUARD_RELEASED);
    const struct guard_message hello = compose(self, GUARD_HELLO);
    while (!channel_send(&self->channel, &released) && clock_boot_ms() < end_ms) {
        channel_close(&self->channel);
        (void)channel_connect(&self->channel, &hello);
        if (self->channel.fd < 0) {
            (void)poll(NULL, 0, 20);
        }
    }
    channel_close(&self->channel);
}

static int exit_code(const struct front *self)
{
    switch (self->reason) {
    case POST_REVOKED:
        say("the grant was taken back; stopped");
        return POST_EXIT_LOST;
    case POST_LAPSED:
        say("the grant ended without a renewal; stopped");
        return POST_EXIT_LOST;
    case POST_DISCONNECTED:
        say("the node is gone; stopped, as configured");
        return POST_EXIT_LOST;
    case POST_NEVER_RAN:
        say("no grant for this duty; not started");
        return POST_EXIT_LOST;
    case POST_ENDED:
    case POST_SIGNALLED:
        break;
    }
    return self->status;
}

int front_run(const struct guard_options *options)
{
    struct front self = {.options = options, .link = -1};
    channel_init(&self.channel, options);
    if (!await_grant(&self)) {
        self.reason = POST_NEVER_RAN;
        self.status = -1;
        const struct guard_message released = compose(&self, GUARD_RELEASED);
        write_end(&self);
        (void)channel_send(&self.channel, &released);
        channel_close(&self.channel);
        return exit_code(&self);
    }
    if (!start_keeper(&self)) {
        self.reason = POST_NEVER_RAN;
        write_end(&self);
        say("the keeper could not be started");
        return GUARD_EXIT_FAILED;
    }
    watch(&self);
    settle(&self);
    write_end(&self);
    report(&self);
    return exit_code(&self);
}
