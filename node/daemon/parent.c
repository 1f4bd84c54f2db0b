#include "node/daemon/parent.h"

#include "consensus/grants_message.h"
#include "node/base/clock.h"
#include "node/daemon/parent_link.h"
#include "node/guard/post.h"
#include "node/transport/obituary.h"
#include "node/transport/transport.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define MANAGERS_WAIT_MS 200  /* they die with the node; after this they are killed */
#define GUARDS_WAIT_MS 500    /* for guarded processes to end before the node starts again */
#define STRAGGLERS_WAIT_MS 50 /* for those beyond the majority to hear it */
#define FLUSH_MS 20
/* The parent's own turns while it hears nothing of the node, and how many of them end it: beyond
 * what stalls adapt to (3 s), and beyond what costs a leader its seat anyway. */
#define SILENT_TURN_MS 2500
#define SILENT_TURNS_MAX 4
#define STOP_PATIENCE_MS 30000 /* from the order to end until the node is killed */
#define RESTART_PAUSE_MS 100
#define RESTART_PAUSE_MAX_MS 10000
#define HEALTHY_LIFE_MS 30000 /* after this the pause starts anew */

struct parent {
    const struct parent_start *start;
    int signal_fd;
    int link_fd;
    pid_t node;
    int node_fd; /* its pidfd */
    int64_t node_started_ms;
    int64_t pause_ms;
    unsigned lives; /* nodes started */
    bool stopping;
    int64_t stop_asked_ms;
    uint64_t beats_seen;
    int silent_turns;
    int64_t silent_turn_ms; /* the last one's end */
    struct parent_news news;
};

static void say(const char *text, int value)
{
    (void)fprintf(stderr, "understudyd: %s %d\n", text, value);
}

static void write_pid(const struct config *config, const char *name, pid_t pid)
{
    char path[CONFIG_PATH_SIZE + 16];
    (void)snprintf(path, sizeof path, "%s/%s", config->runtime_dir, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd >= 0) {
        (void)dprintf(fd, "%d\n", (int)pid);
        (void)close(fd);
    }
}

static void remove_pid(const struct config *config, const char *name)
{
    char path[CONFIG_PATH_SIZE + 16];
    (void)snprintf(path, sizeof path, "%s/%s", config->runtime_dir, name);
    (void)unlink(path);
}

/* ---- the node process ---- */

static int start_node(struct parent *self)
{
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) {
        return -1;
    }
    pid_t pid = fork();
    if (pid == 0) {
        (void)close(ends[0]);
        (void)close(self->signal_fd);
        sigset_t none;
        (void)sigemptyset(&none);
        (void)sigprocmask(SIG_SETMASK, &none, NULL);
        int code = self->start->run_node(self->start->context, ends[1], self->lives > 0);
        parent_news_forget(&self->news);
        free(self); /* the child's copy, so that a leak checker has nothing to say */
        _exit(code);
    }
    (void)close(ends[1]);
    if (pid < 0) {
        (void)close(ends[0]);
        return -1;
    }
    self->node = pid;
    self->lives++;
    self->node_fd = (int)syscall(SYS_pidfd_open, pid, 0);
    self->link_fd = ends[0];
    self->node_started_ms = clock_boot_ms();
    write_pid(self->start->config, "worker.pid", pid);
    return 0;
}

/* Orphans come to the first process of a container, and to a subreaper: their ends are taken, the
 * node's own is left to watch_node. */
static void reap_orphans(const struct parent *self)
{
    for (;;) {
        siginfo_t found = {0};
        if (waitid(P_ALL, 0, &found, WEXITED | WNOHANG | WNOWAIT) != 0 || found.si_pid == 0 ||
            found.si_pid == self->node) {
            return; /* one behind the node in the list is taken after the node */
        }
        (void)waitid(P_PID, (id_t)found.si_pid, &found, WEXITED | WNOHANG);
    }
}

/* Its exit code, or 128 + signal. */
static int reap_node(struct parent *self)
{
    int status = 0;
    while (waitpid(self->node, &status, 0) < 0 && errno == EINTR) {
    }
    (void)parent_news_read(self->link_fd, &self->news); /* its last words */
    (void)close(self->link_fd);
    (void)close(self->node_fd);
    self->link_fd = -1;
    self->node_fd = -1;
    self->node = 0;
    reap_orphans(self);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* ---- speaking for the dead ---- */

/* True when every manager of the dead node is gone. */
static bool await_managers(struct parent *self)
{
    int64_t kill_at_ms = clock_boot_ms() + MANAGERS_WAIT_MS;
    int64_t give_up_ms = kill_at_ms + OBITUARY_WAIT_MS;
    for (size_t i = 0; i < self->news.manager_count; i++) {
        struct pollfd poll_fd = {.fd = self->news.manager_fds[i], .events = POLLIN};
        int64_t left_ms = kill_at_ms - clock_boot_ms();
        if (poll(&poll_fd, 1, (int)(left_ms < 0 ? 0 : left_ms)) > 0) {
            continue;
        }
        (void)syscall(SYS_pidfd_send_signal, poll_fd.fd, SIGKILL, NULL, 0);
        left_ms = give_up_ms - clock_boot_ms();
        if (poll(&poll_fd, 1, (int)(left_ms < 0 ? 0 : left_ms)) <= 0) {
            return false;
        }
    }
    return true;
}

static struct obituary_config obituary_of(const struct parent *self, struct obituary_peer *peers)
{
    const struct config *config = self->start->config;
    for (size_t i = 0; i < self->news.peer_count; i++) {
        peers[i] = (struct obituary_peer){.address = self->news.peers[i].address,
                                          .public_key = self->news.peers[i].public_key,
                                          .id = self->news.peers[i].id};
    }
    return (struct obituary_config){
        .public_key = self->start->own->public_key,
        .secret_key = self->start->own->secret_key,
        .id = self->news.id,
        .cluster = transport_cluster_id(config->cluster.name, config->cluster.environment),
        .peers = peers,
        .peer_count = self->news.peer_count,
    };
}

static void send_obituary(struct parent *self, struct obituary_sender *speaker, bool duties_ended)
{
    struct mp_writer writer;
    mp_writer_init(&writer, COMMAND_BYTES_MAX);
    struct obituary message = {
        .raft_id = self->news.id,
        .incarnation = self->news.incarnation,
        .term = self->news.term,
        .owed_wait = self->news.owes_wait,
        .duties_ended = duties_ended,
    };
    if (obituary_encode(&message, &writer) == 0) {
        (void)obituary_send(speaker, TRANSPORT_OBITUARY, writer.buffer.data, writer.buffer.length,
                            NULL);
    }
    mp_writer_deinit(&writer);
}

static void ignore_guard(void *context, const struct post_guard *guard)
{
    (void)context;
    (void)guard;
}

static void ignore_release(void *context, const struct post_guard *guard, enum post_reason reason,
                           int status)
{
    (void)context;
    (void)guard;
    (void)reason;
    (void)status;
}

/* Tell every guard of this host to stop; true when nothing guarded runs any more. The lock of a
 * duty is the proof: whatever runs under a guard holds it. */
static bool stop_guards(struct parent *self)
{
    char lock_dir[CONFIG_PATH_SIZE + 16];
    (void)snprintf(lock_dir, sizeof lock_dir, "%s/locks", self->start->config->runtime_dir);
    struct post_config config = {
        .listen_fd = self->start->guard_listen_fd,
        .callbacks = {.hello = ignore_guard,
                      .started = ignore_guard,
                      .released = ignore_release,
                      .gone = ignore_guard},
        .revoke_on_hello = true,
    };
    struct post *post = NULL;
    if (post_create(&config, &post, NULL) != 0) {
        return false;
    }
    int64_t give_up_ms = clock_boot_ms() + GUARDS_WAIT_MS;
    char held[1][DUTY_ID_SIZE];
    int count = post_locks_held(lock_dir, held, 1);
    while (count > 0 && clock_boot_ms() < give_up_ms) {
        /* A lock's end sends no event: look at it every few milliseconds. */
        struct pollfd poll_fd = {.fd = post_fd(post), .events = POLLIN};
        (void)poll(&poll_fd, 1, 5);
        post_process(post);
        count = post_locks_held(lock_dir, held, 1);
    }
    post_destroy(&post);
    return count == 0;
}

/* A far peer is reached after some round trips: two to connect, two for CURVE, one to answer. */
static int64_t obituary_wait_ms(const struct parent *self)
{
    int64_t far_ms = 4 * self->start->config->cluster.heartbeat_ms;
    return far_ms > OBITUARY_WAIT_MS ? far_ms : OBITUARY_WAIT_MS;
}

/* The next leader may be any of them, and not among the first to hear; but those who are dead
 * themselves are not waited for. */
static void wait_until_heard(const struct parent *self, struct obituary_sender *speaker,
                             size_t everybody)
{
    int64_t now_ms = clock_boot_ms();
    if (obituary_wait(speaker, everybody, now_ms + STRAGGLERS_WAIT_MS) < self->news.needed) {
        (void)obituary_wait(speaker, self->news.needed, now_ms + obituary_wait_ms(self));
    }
}

static void speak_for_the_dead(struct parent *self)
{
    struct obituary_peer peers[NODES_MAX];
    struct obituary_config config = obituary_of(self, peers);
    struct obituary_sender *speaker = NULL;
    bool can_speak =
        self->news.id != 0 && config.peer_count > 0 && obituary_open(&config, &speaker, NULL) == 0;
    bool managers_gone = await_managers(self);
    if (!managers_gone) {
        say("managers of the dead node do not end; no obituary. Managers:",
            (int)self->news.manager_count);
    }
    if (can_speak && managers_gone) {
        send_obituary(self, speaker, false);
    }
    bool stop = self->start->config->grants.on_death == CONFIG_DISCONNECT_STOP;
    if (stop && stop_guards(self) && can_speak && managers_gone) {
        send_obituary(self, speaker, true);
    }
    if (can_speak) {
        if (managers_gone) {
            wait_until_heard(self, speaker, config.peer_count);
        }
        obituary_destroy(&speaker, FLUSH_MS);
    }
}

/* ---- the loop ---- */

static void take_signals(struct parent *self)
{
    struct signalfd_siginfo info;
    while (read(self->signal_fd, &info, sizeof info) == (ssize_t)sizeof info) {
        int number = (int)info.ssi_signo;
        if (number == SIGCHLD) {
            reap_orphans(self);
            continue;
        }
        bool end = number == SIGTERM || number == SIGINT;
        if (end && !self->stopping) {
            self->stopping = true;
            self->stop_asked_ms = clock_boot_ms();
        }
        if (self->node > 0) {
            (void)kill(self->node, end ? SIGTERM : number);
        }
        if (self->node > 0 && end) { /* as service managers do: one that is stopped cannot end */
            (void)kill(self->node, SIGCONT);
        }
    }
}

/* Stopped on purpose (a signal, a debugger, a freezer): that is no hang, and it may go on. */
static bool node_is_stopped(const struct parent *self)
{
    char path[64];
    char text[512];
    (void)snprintf(path, sizeof path, "/proc/%d/stat", (int)self->node);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return false;
    }
    ssize_t length = read(fd, text, sizeof text - 1);
    (void)close(fd);
    text[length > 0 ? length : 0] = '\0';
    const char *name_end = strrchr(text, ')');
    return name_end != NULL &&
           (strncmp(name_end, ") T", 3) == 0 || strncmp(name_end, ") t", 3) == 0);
}

/* The node has been silent for as long as it takes: its loop, its disk or its consensus hangs, and
 * only its death proves to the others that it does nothing any more. Counted in turns of our own,
 * so that a machine which was suspended does not kill what wakes with it. */
static void end_hanging_node(struct parent *self)
{
    int64_t now_ms = clock_boot_ms();
    if (self->news.beats == 0 || self->news.beats != self->beats_seen || node_is_stopped(self)) {
        self->beats_seen = self->news.beats;
        self->silent_turns = 0;
        self->silent_turn_ms = now_ms;
    } else if (now_ms >= self->silent_turn_ms + SILENT_TURN_MS) {
        self->silent_turns++;
        self->silent_turn_ms = now_ms;
    }
    if (self->silent_turns >= SILENT_TURNS_MAX) {
        say("the node process hangs and is ended, pid", (int)self->node);
        (void)syscall(SYS_pidfd_send_signal, self->node_fd, SIGKILL, NULL, 0);
        self->silent_turns = 0;
    }
}

/* Told to end, it has had the time for all that it does then, and more. */
static void end_overdue_node(struct parent *self)
{
    if (self->stopping && clock_boot_ms() >= self->stop_asked_ms + STOP_PATIENCE_MS) {
        say("the node process does not end and is killed, pid", (int)self->node);
        (void)syscall(SYS_pidfd_send_signal, self->node_fd, SIGKILL, NULL, 0);
    }
}

/* The node's exit code. */
static int watch_node(struct parent *self)
{
    for (;;) {
        end_hanging_node(self);
        end_overdue_node(self);
        struct pollfd fds[3] = {
            {.fd = self->signal_fd, .events = POLLIN},
            {.fd = self->node_fd, .events = POLLIN},
            {.fd = self->link_fd, .events = POLLIN},
        };
        (void)poll(fds, 3, SILENT_TURN_MS);
        if (fds[1].revents != 0) {
            return reap_node(self);
        }
        if (fds[0].revents != 0) {
            take_signals(self);
        }
        if (fds[2].revents != 0 && !parent_news_read(self->link_fd, &self->news)) {
            return reap_node(self); /* it closed its end: it is about to end */
        }
    }
}

/* False when a signal asked for the end meanwhile. */
static bool pause_before_restart(struct parent *self)
{
    if (clock_boot_ms() - self->node_started_ms > HEALTHY_LIFE_MS) {
        self->pause_ms = 0;
    }
    int64_t until_ms = clock_boot_ms() + self->pause_ms;
    self->pause_ms = self->pause_ms == 0 ? RESTART_PAUSE_MS : self->pause_ms * 2;
    if (self->pause_ms > RESTART_PAUSE_MAX_MS) {
        self->pause_ms = RESTART_PAUSE_MAX_MS;
    }
    do {
        int64_t left_ms = until_ms - clock_boot_ms();
        struct pollfd poll_fd = {.fd = self->signal_fd, .events = POLLIN};
        if (poll(&poll_fd, 1, (int)(left_ms < 0 ? 0 : left_ms)) > 0) {
            take_signals(self);
        }
    } while (!self->stopping && clock_boot_ms() < until_ms);
    return !self->stopping;
}

sigset_t parent_block_signals(void)
{
    sigset_t set;
    (void)sigemptyset(&set);
    int numbers[] = {SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2, SIGCHLD};
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        (void)sigaddset(&set, numbers[i]);
    }
    (void)sigprocmask(SIG_BLOCK, &set, NULL);
    return set;
}

static int run_lives(struct parent *self)
{
    for (;;) {
        if (start_node(self) != 0) {
            say("cannot start the node process, errno", errno);
            return DAEMON_EXIT_TEMPORARY;
        }
        int code = watch_node(self);
        if (code == 0 || code == DAEMON_EXIT_CONFIGURATION) {
            return code;
        }
        say("the node process ended with code", code);
        speak_for_the_dead(self);
        parent_news_forget(&self->news);
        if (self->stopping) {
            return code;
        }
        if (!pause_before_restart(self)) {
            return 0;
        }
    }
}

int parent_run(const struct parent_start *start)
{
    struct parent *self = calloc(1, sizeof *self);
    if (self == NULL) {
        return DAEMON_EXIT_TEMPORARY;
    }
    self->start = start;
    sigset_t signals = parent_block_signals();
    self->signal_fd = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
    (void)prctl(PR_SET_CHILD_SUBREAPER, 1);
    (void)prctl(PR_SET_NAME, "understudyd");
    write_pid(start->config, "node.pid", getpid());
    int code = self->signal_fd < 0 ? DAEMON_EXIT_TEMPORARY : run_lives(self);
    remove_pid(start->config, "worker.pid");
    remove_pid(start->config, "node.pid");
    parent_news_forget(&self->news);
    if (self->signal_fd >= 0) {
        (void)close(self->signal_fd);
    }
    free(self);
    return code;
}
