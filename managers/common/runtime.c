#include "managers/common/runtime_private.h"

#include "node/base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timerfd.h>
#include <unistd.h>

#define MESSAGES_PER_PASS 64 /* then timers and descriptors get their turn */

bool runtime_may_act(const struct runtime *self)
{
    return self->active && !self->paused && clock_boot_ms() < self->deadline_ms;
}

bool runtime_active(const struct runtime *self)
{
    return self->active;
}

bool runtime_paused(const struct runtime *self)
{
    return self->paused;
}

uint64_t runtime_term(const struct runtime *self)
{
    return self->term;
}

void runtime_end(struct runtime *self, int exit_code)
{
    self->ended = true;
    self->exit_code = exit_code;
}

/* ---- the role ---- */

static void set_deadline(struct runtime *self, int64_t deadline_ms)
{
    /* A zero time would disarm the timer. */
    int64_t at_ms = self->active && deadline_ms <= 0 ? 1 : deadline_ms;
    struct itimerspec when = {
        .it_value = {.tv_sec = at_ms / 1000, .tv_nsec = at_ms % 1000 * 1000000}};
    self->deadline_ms = deadline_ms;
    (void)timerfd_settime(self->deadline_fd, TFD_TIMER_ABSTIME, &when, NULL);
}

static void acknowledge(struct runtime *self, uint64_t term)
{
    struct manager_message message = {.kind = MANAGER_ROLE_ACK, .as.role_ack.term = term};
    runtime_send(self, &message, true);
}

static void begin_role(struct runtime *self, const struct manager_role *role)
{
    if (clock_boot_ms() >= role->deadline_ms) {
        acknowledge(self, role->term); /* it was over before it arrived */
        return;
    }
    self->active = true;
    self->term = role->term;
    set_deadline(self, role->deadline_ms);
    (void)self->callbacks->role(self->context, true, role->term);
}

void runtime_role_ended(struct runtime *self)
{
    if (!self->ending) {
        return;
    }
    self->ending = false;
    acknowledge(self, self->term);
    if (self->has_next_role) {
        self->has_next_role = false;
        struct manager_role next = self->next_role;
        begin_role(self, &next);
    }
}

static void end_role(struct runtime *self)
{
    self->active = false;
    set_deadline(self, 0);
    runtime_intents_forget(self);
    self->ending = true;
    if (self->callbacks->role(self->context, false, self->term)) {
        runtime_role_ended(self);
    }
}

static void take_active_role(struct runtime *self, const struct manager_role *role)
{
    if (self->active && role->term == self->term) {
        set_deadline(self, role->deadline_ms);
        return;
    }
    if (role->term < self->term) {
        return; /* a late message of a term that has ended */
    }
    if (self->active) {
        end_role(self);
    }
    if (self->ending) {
        self->next_role = *role;
        self->has_next_role = true;
        return;
    }
    begin_role(self, role);
}

static void take_role(struct runtime *self, const struct manager_role *role)
{
    if (role->active) {
        take_active_role(self, role);
        return;
    }
    self->has_next_role = false;
    if (self->active) {
        end_role(self);
    } else if (!self->ending) {
        acknowledge(self, role->term); /* the node waits for it, whatever we were */
    }
}

/* The deadline's timer: the role ends here without a word from the node. */
static void on_deadline(void *context, int fd, short revents)
{
    struct runtime *self = context;
    uint64_t count;
    (void)revents;
    if (read(fd, &count, sizeof count) < 0) {
        return; /* moved by a renewal in the meantime */
    }
    if (self->active && clock_boot_ms() >= self->deadline_ms) {
        runtime_log(MANAGER_WARN, "role ended at its deadline term=%llu",
                    (unsigned long long)self->term);
        end_role(self);
    }
}

/* ---- messages of the node ---- */

static void take_configure(struct runtime *self, const struct manager_configure *configure)
{
    struct err err = {0};
    int rc = self->callbacks->configure(self->context, configure, &err);
    if (rc != 0) {
        runtime_event(self, MANAGER_ERROR, "manager.configuration", NULL, "%s", err.msg);
        runtime_log(MANAGER_ERROR, "configuration refused: %s", err.msg);
        if (!self->configured) {
            runtime_end(self, 1);
        }
        return;
    }
    self->configured = true;
    self->shadow = configure->shadow;
}

static void take_paused(struct runtime *self, bool paused)
{
    if (self->paused != paused) {
        self->paused = paused;
        self->callbacks->paused(self->context, paused);
    }
}

static void dispatch(struct runtime *self, const struct manager_message *message)
{
    switch (message->kind) {
    case MANAGER_CONFIGURE:
        take_configure(self, &message->as.configure);
        return;
    case MANAGER_ROLE:
        take_role(self, &message->as.role);
        return;
    case MANAGER_GRANT:
        self->callbacks->grant(self->context, &message->as.grant);
        return;
    case MANAGER_REVOKE:
        self->callbacks->revoke(self->context, &message->as.revoke);
        return;
    case MANAGER_PEER_OBSERVATION:
        self->callbacks->peer_observation(self->context, &message->as.peer_observation);
        return;
    case MANAGER_MEMBERS:
        self->callbacks->members(self->context, &message->as.members);
        return;
    case MANAGER_COMMAND:
        self->callbacks->command(self->context, &message->as.command);
        return;
    case MANAGER_INTENT:
        runtime_intents_take(self, &message->as.intent);
        return;
    case MANAGER_RUN:
        if (self->callbacks->run_known != NULL) {
            self->callbacks->run_known(self->context, &message->as.run);
        }
        return;
    case MANAGER_PAUSE:
    case MANAGER_RESUME:
        take_paused(self, message->kind == MANAGER_PAUSE);
        return;
    case MANAGER_STOP:
        self->callbacks->stop(self->context);
        runtime_end(self, 0);
        return;
    default:
        runtime_log(MANAGER_WARN, "unexpected %s from the node", manager_kind_name(message->kind));
    }
}

static void take(struct runtime *self, zmq_msg_t *frame)
{
    struct manager_message message;
    struct err err;
    int rc = manager_message_decode(zmq_msg_data(frame), zmq_msg_size(frame), &message, &err);
    if (rc != 0) {
        runtime_log(MANAGER_WARN, "message of the node skipped: %s", err.msg);
        return;
    }
    if (!self->configured && message.kind != MANAGER_CONFIGURE && message.kind != MANAGER_STOP) {
        runtime_log(MANAGER_WARN, "%s before configure skipped", manager_kind_name(message.kind));
        return;
    }
    dispatch(self, &message);
}

static int on_socket(zloop_t *loop, zsock_t *socket, void *argument)
{
    (void)loop;
    struct runtime *self = argument;
    for (int i = 0; i < MESSAGES_PER_PASS && !self->ended; i++) {
        zmq_msg_t frame;
        (void)zmq_msg_init(&frame);
        if (zmq_msg_recv(&frame, zsock_resolve(socket), ZMQ_DONTWAIT) < 0) {
            (void)zmq_msg_close(&frame);
            break;
        }
        take(self, &frame);
        (void)zmq_msg_close(&frame);
    }
    return self->ended ? -1 : 0;
}

/* ---- life ---- */

static void on_heartbeat(void *context)
{
    struct runtime *self = context;
    if (getppid() != self->parent) {
        runtime_end(self, 0);
        return;
    }
    runtime_flush(self);
    if (!self->configured) {
        return;
    }
    struct manager_message message = {.kind = MANAGER_HEARTBEAT};
    self->callbacks->heartbeat(self->context, &message.as.heartbeat);
    runtime_send(self, &message, false);
}

/* The node holds the other end of our standard input: its end is the node's end. */
static void on_parent_pipe(void *context, int fd, short revents)
{
    (void)revents;
    struct runtime *self = context;
    char bytes[64];
    ssize_t got = read(fd, bytes, sizeof bytes);
    if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR)) {
        runtime_end(self, 0);
    }
}

static void say_hello(struct runtime *self)
{
    struct manager_message message = {
        .kind = MANAGER_HELLO,
        .as.hello = {.pid = getpid(), .protocol = MANAGER_PROTOCOL_VERSION},
    };
    memcpy(message.as.hello.name, self->name, sizeof self->name);
    memcpy(message.as.hello.version, self->version, sizeof self->version);
    runtime_send(self, &message, true);
}

static int connect_node(struct runtime *self, struct err *err)
{
    const char *endpoint = getenv(RUNTIME_ENV_ENDPOINT);
    const char *identity = getenv(RUNTIME_ENV_IDENTITY);
    const char *parent = getenv(RUNTIME_ENV_PARENT);
    if (endpoint == NULL || identity == NULL || parent == NULL) {
        return err_set(err, ERR_INVALID, "a manager is started by its node: %s, %s and %s",
                       RUNTIME_ENV_ENDPOINT, RUNTIME_ENV_IDENTITY, RUNTIME_ENV_PARENT);
    }
    self->parent = (pid_t)strtol(parent, NULL, 10);
    if (getppid() != self->parent) {
        return err_set(err, ERR_CLOSED, "the node is gone");
    }
    self->socket = zsock_new(ZMQ_DEALER);
    if (self->socket == NULL) {
        return err_set_errno(err, ERR_IO, "no socket");
    }
    zsock_set_identity(self->socket, identity);
    zsock_set_linger(self->socket, 0);
    zsock_set_sndhwm(self->socket, 1000);
    zsock_set_rcvhwm(self->socket, 1000);
    zsock_set_maxmsgsize(self->socket, MANAGER_MESSAGE_BYTES_MAX);
    if (zsock_connect(self->socket, "%s", endpoint) != 0) {
        return err_set_errno(err, ERR_IO, "cannot connect to %s", endpoint);
    }
    return 0;
}

static int start_loop(struct runtime *self, struct err *err)
{
    self->deadline_fd = timerfd_create(CLOCK_BOOTTIME, TFD_NONBLOCK | TFD_CLOEXEC);
    self->loop = zloop_new();
    if (self->deadline_fd < 0 || self->loop == NULL) {
        return err_set_errno(err, ERR_IO, "no timer or loop");
    }
    (void)fcntl(STDIN_FILENO, F_SETFL, O_NONBLOCK);
    if (zloop_reader(self->loop, self->socket, on_socket, self) != 0 ||
        runtime_watch(self, self->deadline_fd, POLLIN, on_deadline, self) != 0 ||
        runtime_watch(self, STDIN_FILENO, POLLIN, on_parent_pipe, self) != 0 ||
        runtime_timer(self, RUNTIME_HEARTBEAT_MS, true, on_heartbeat, self) < 0) {
        return err_set(err, ERR_NOMEM, "cannot set up the loop");
    }
    zloop_reader_set_tolerant(self->loop, self->socket);
    return 0;
}

int runtime_create(const char *name, const char *version, const struct runtime_callbacks *callbacks,
                   void *context, struct runtime **ret, struct err *err)
{
    zsys_handler_set(NULL);
    (void)signal(SIGINT, SIG_IGN);
    (void)signal(SIGTERM, SIG_IGN);
    (void)signal(SIGPIPE, SIG_IGN);
    (void)setvbuf(stderr, NULL, _IOLBF, 0);
    const char *clock = getenv(CLOCK_TEST_VARIABLE);
    if (clock != NULL) {
        (void)clock_use_test(clock); /* the node took it: it is well formed */
    }
    struct runtime *self = calloc(1, sizeof *self);
    if (self == NULL) {
        return err_set(err, ERR_NOMEM, "no memory for the runtime");
    }
    self->callbacks = callbacks;
    self->context = context;
    self->deadline_fd = -1;
    mp_writer_init(&self->writer, MANAGER_MESSAGE_BYTES_MAX);
    (void)snprintf(self->name, sizeof self->name, "%s", name);
    (void)snprintf(self->version, sizeof self->version, "%s", version);
    int rc = connect_node(self, err);
    if (rc == 0) {
        rc = start_loop(self, err);
    }
    if (rc != 0) {
        runtime_destroy(&self);
        return rc;
    }
    *ret = self;
    return 0;
}

void runtime_destroy(struct runtime **self_p)
{
    if (self_p == NULL || *self_p == NULL) {
        return;
    }
    struct runtime *self = *self_p;
    *self_p = NULL;
    if (self->loop != NULL) {
        runtime_loop_deinit(self);
        zloop_destroy(&self->loop);
    }
    if (self->deadline_fd >= 0) {
        (void)close(self->deadline_fd);
    }
    zsock_destroy(&self->socket);
    runtime_send_deinit(self);
    free(self);
}

int runtime_run(struct runtime *self)
{
    say_hello(self);
    while (!self->ended) {
        /* Ends early only by our own -1; a signal just starts it again. */
        if (zloop_start(self->loop) == 0 && !self->ended) {
            continue;
        }
    }
    runtime_flush(self);
    return self->exit_code;
}
