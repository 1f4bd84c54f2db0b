#include "tests/unit/transport/transport_fixture.h"

#include "node/base/clock.h"
#include "node/base/invariant.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <setjmp.h>

#include <cmocka.h>

void keys_make(struct keys *ret)
{
    invariant(zmq_curve_keypair(ret->public_key, ret->secret_key) == 0);
}

static void on_received(void *context, const struct transport_message *message)
{
    struct node *self = context;
    self->received++;
    self->received_kind[message->kind]++;
    self->received_bytes += message->length;
    self->last_kind = message->kind;
    self->last_length = message->length;
    self->last_route = message->route;
    (void)snprintf(self->last_sender, sizeof self->last_sender, "%s", message->sender);
    (void)snprintf(self->last_text, sizeof self->last_text, "%.*s",
                   (int)(message->length < 60 ? message->length : 60),
                   (const char *)message->bytes);
    self->last_sum = 0;
    for (size_t i = 0; i < message->length; i++) {
        self->last_sum = (uint8_t)(self->last_sum * 31 + message->bytes[i]);
    }
    if (message->length < 1000 && self->received_kind[TRANSPORT_OBSERVATION] == 0) {
        self->small_before_bulk = true;
    }
    if (self->echo && message->kind == TRANSPORT_GOSSIP) {
        (void)transport_send(self->transport, message->sender, TRANSPORT_EVIDENCE, message->bytes,
                             message->length, false);
    }
    if (self->echo_ack && message->kind == TRANSPORT_OBITUARY &&
        strcmp(self->last_text, FIXTURE_UNHEARD) != 0) {
        (void)transport_reply(self->transport, &message->route, TRANSPORT_OBITUARY_ACK,
                              message->bytes, message->length);
    }
}

static void on_connected(void *context, const char *name, int64_t at_ms)
{
    (void)name;
    (void)at_ms;
    ((struct node *)context)->connected++;
}

static void on_disconnected(void *context, const char *name, int64_t at_ms)
{
    struct node *self = context;
    (void)name;
    self->disconnected++;
    self->disconnected_ms = at_ms;
}

static void on_event(void *context, enum transport_event event, const char *peer, const char *text,
                     uint64_t suppressed)
{
    (void)peer;
    (void)text;
    (void)suppressed;
    ((struct node *)context)->told[event]++;
}

static void on_refused(void *context, const char *domain, const char *address, const char *reason,
                       uint64_t suppressed)
{
    (void)domain;
    (void)address;
    (void)reason;
    (void)suppressed;
    ((struct node *)context)->refused++;
}

void node_start(struct node *self, const char *name, uint64_t id, uint32_t cluster,
                const char *listen)
{
    self->name = name;
    self->id = id;
    self->zmq_context = zmq_ctx_new();
    self->loop = zloop_new();
    zloop_set_nonstop(self->loop, true);
    struct err err = {0};
    struct zap_config zap = {.zmq_context = self->zmq_context,
                             .loop = self->loop,
                             .refused = on_refused,
                             .context = self};
    invariant(zap_create(&zap, &self->zap, &err) == 0);
    struct transport_config config = {
        .zmq_context = self->zmq_context,
        .loop = self->loop,
        .zap = self->zap,
        .listen = listen != NULL ? listen : "tcp://127.0.0.1:*",
        .id = id,
        .cluster = cluster,
        .public_key = self->keys.public_key,
        .secret_key = self->keys.secret_key,
        .reconnect_max_ms = 100,
        .callbacks = {.context = self,
                      .received = on_received,
                      .peer_connected = on_connected,
                      .peer_disconnected = on_disconnected,
                      .event = on_event},
    };
    if (transport_create(&config, &self->transport, &err) != 0) {
        (void)fprintf(stderr, "%s\n", err.msg);
        invariant(false);
    }
}

void node_stop(struct node *self)
{
    transport_destroy(&self->transport);
    zap_destroy(&self->zap);
    zloop_destroy(&self->loop);
    if (self->zmq_context != NULL) {
        (void)zmq_ctx_term(self->zmq_context);
        self->zmq_context = NULL;
    }
}

void node_admit(struct node *self, const struct node *const *nodes, size_t count)
{
    struct zap_key keys[8] = {0};
    struct err err = {0};
    invariant(count <= 8);
    for (size_t i = 0; i < count; i++) {
        keys[i].id = nodes[i]->id;
        keys[i].role = ZAP_NODE;
        (void)snprintf(keys[i].name, NAME_SIZE, "%s", nodes[i]->name);
        memcpy(keys[i].public_key, nodes[i]->keys.public_key, PUBLIC_KEY_SIZE);
    }
    invariant(zap_keys_set(self->zap, keys, count, &err) == 0);
}

void node_add_peer(struct node *self, const struct node *peer, const char *address)
{
    struct err err = {0};
    struct transport_peer config = {.name = peer->name,
                                    .id = peer->id,
                                    .address = address,
                                    .public_key = peer->keys.public_key};
    if (transport_peer_set(self->transport, &config, &err) != 0) {
        (void)fprintf(stderr, "%s\n", err.msg);
        invariant(false);
    }
}

static int on_once(zloop_t *loop, int timer, void *arg)
{
    (void)loop;
    (void)timer;
    (void)arg;
    return -1;
}

void run_once(struct node *const *nodes, size_t count, int wait_ms)
{
    for (size_t i = 0; i < count; i++) {
        int timer = zloop_timer(nodes[i]->loop, (size_t)wait_ms, 1, on_once, NULL);
        (void)zloop_start(nodes[i]->loop);
        (void)zloop_timer_end(nodes[i]->loop, timer);
    }
}

void run_until(struct node *const *nodes, size_t count, const uint64_t *value, uint64_t at_least)
{
    int64_t deadline_ms = clock_boot_ms() + FIXTURE_WAIT_MS;
    while (*value < at_least) {
        if (clock_boot_ms() > deadline_ms) {
            fail_msg("waited in vain: %llu of %llu", (unsigned long long)*value,
                     (unsigned long long)at_least);
        }
        run_once(nodes, count, 1);
    }
}

/* ---- a node in a child process ----
 *
 * The child is this program again, not a fork that goes on: a fork of a process with threads may
 * inherit locks that nobody will open, those of a sanitizer's allocator for one. */

#define CHILD_ARGUMENT "--live-as-child"

struct orders {
    char name[NAME_SIZE];
    char peer_name[NAME_SIZE];
    char listen[ADDRESS_SIZE]; /* empty: any */
    char peer_address[ADDRESS_SIZE];
    uint64_t id;
    uint64_t peer_id;
    struct keys keys;
    struct keys peer_keys;
    bool echo_ack;
};

static void live_as_child(const struct orders *orders)
{
    struct node fresh = {.keys = orders->keys, .echo = true, .echo_ack = orders->echo_ack};
    const struct node peer = {
        .name = orders->peer_name, .id = orders->peer_id, .keys = orders->peer_keys};
    node_start(&fresh, orders->name, orders->id, FIXTURE_CLUSTER,
               orders->listen[0] != '\0' ? orders->listen : NULL);
    const struct node *const known[] = {&fresh, &peer};
    node_admit(&fresh, known, 2);
    node_add_peer(&fresh, &peer, orders->peer_address);
    char endpoint[ADDRESS_SIZE] = {0};
    (void)snprintf(endpoint, sizeof endpoint, "%s", transport_endpoint(fresh.transport));
    invariant(write(STDOUT_FILENO, endpoint, sizeof endpoint) == (ssize_t)sizeof endpoint);
    (void)zloop_start(fresh.loop);
}

/* Before main: a child is no test program. */
__attribute__((constructor)) static void become_child(int argc, char **argv)
{
    static struct orders orders;
    if (argc != 2 || strcmp(argv[1], CHILD_ARGUMENT) != 0) {
        return;
    }
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (read(STDIN_FILENO, &orders, sizeof orders) == (ssize_t)sizeof orders) {
        live_as_child(&orders);
    }
    _exit(1);
}

static pid_t spawn_child(int orders_fd, int answer_fd)
{
    static char path[] = "/proc/self/exe";
    static char argument[] = CHILD_ARGUMENT;
    char *const argv[] = {path, argument, NULL};
    posix_spawn_file_actions_t actions;
    pid_t pid = 0;
    invariant(posix_spawn_file_actions_init(&actions) == 0);
    invariant(posix_spawn_file_actions_adddup2(&actions, orders_fd, STDIN_FILENO) == 0);
    invariant(posix_spawn_file_actions_adddup2(&actions, answer_fd, STDOUT_FILENO) == 0);
    invariant(posix_spawn(&pid, path, &actions, NULL, argv, environ) == 0);
    (void)posix_spawn_file_actions_destroy(&actions);
    return pid;
}

pid_t child_start(struct node *description, const struct node *peer, const char *listen,
                  char ret_endpoint[ADDRESS_SIZE])
{
    struct orders orders = {.id = description->id,
                            .peer_id = peer->id,
                            .keys = description->keys,
                            .peer_keys = peer->keys,
                            .echo_ack = description->echo_ack};
    (void)snprintf(orders.name, sizeof orders.name, "%s", description->name);
    (void)snprintf(orders.peer_name, sizeof orders.peer_name, "%s", peer->name);
    (void)snprintf(orders.listen, sizeof orders.listen, "%s", listen != NULL ? listen : "");
    (void)snprintf(orders.peer_address, sizeof orders.peer_address, "%s",
                   transport_endpoint(peer->transport));
    int down[2];
    int up[2];
    invariant(pipe2(down, O_CLOEXEC) == 0 && pipe2(up, O_CLOEXEC) == 0);
    pid_t pid = spawn_child(down[0], up[1]);
    (void)close(down[0]);
    (void)close(up[1]);
    invariant(write(down[1], &orders, sizeof orders) == (ssize_t)sizeof orders);
    invariant(read(up[0], ret_endpoint, ADDRESS_SIZE) == ADDRESS_SIZE);
    (void)close(down[1]);
    (void)close(up[0]);
    return pid;
}

void child_kill(pid_t pid)
{
    int status;
    (void)kill(pid, SIGKILL);
    (void)waitpid(pid, &status, 0);
}
