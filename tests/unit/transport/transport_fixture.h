/* Nodes for the tests: keys, a loop with a transport each, in this process or in a child. */
#ifndef UNDERSTUDY_TESTS_UNIT_TRANSPORT_TRANSPORT_FIXTURE_H
#define UNDERSTUDY_TESTS_UNIT_TRANSPORT_TRANSPORT_FIXTURE_H

#include "node/transport/transport.h"
#include "node/transport/zap.h"

#include <czmq.h>
#include <stdbool.h>
#include <sys/types.h>

#define FIXTURE_WAIT_MS 60000
#define FIXTURE_UNHEARD "hush"
#define FIXTURE_CLUSTER transport_cluster_id("test", "unit")

struct keys {
    char public_key[PUBLIC_KEY_SIZE];
    char secret_key[PUBLIC_KEY_SIZE];
};

void keys_make(struct keys *ret);

/* A node and what happened to it. */
struct node {
    const char *name;
    uint64_t id;
    struct keys keys;
    void *zmq_context;
    zloop_t *loop;
    struct zap *zap;
    struct transport *transport;
    uint64_t received;
    uint64_t received_kind[TRANSPORT_KIND_MAX + 1];
    uint64_t received_bytes;
    uint32_t last_kind;
    char last_sender[NAME_SIZE];
    char last_text[64];
    struct transport_route last_route;
    size_t last_length;
    uint8_t last_sum;
    bool small_before_bulk; /* a small message came while no long one had */
    uint64_t connected;
    uint64_t disconnected;
    int64_t disconnected_ms;
    uint64_t told[TRANSPORT_EVENT_COUNT];
    uint64_t refused;
    bool echo; /* send every gossip payload back as TRANSPORT_EVIDENCE, with transport_send */
    /* Answer every obituary but FIXTURE_UNHEARD with TRANSPORT_OBITUARY_ACK, transport_reply. */
    bool echo_ack;
};

/* Keys must be there. `listen`: NULL for a free port of loopback. */
void node_start(struct node *self, const char *name, uint64_t id, uint32_t cluster,
                const char *listen);
void node_stop(struct node *self);
/* The rows of all `nodes` as the key table of `self`. */
void node_admit(struct node *self, const struct node *const *nodes, size_t count);
void node_add_peer(struct node *self, const struct node *peer, const char *address);

/* Let the loops of these nodes run until `*value` is at least `at_least`; fails the test after
 * FIXTURE_WAIT_MS. */
void run_until(struct node *const *nodes, size_t count, const uint64_t *value, uint64_t at_least);
/* Once around, at most `wait_ms`. */
void run_once(struct node *const *nodes, size_t count, int wait_ms);

/* A node in a child process that echoes; its endpoint comes back. `listen` as in node_start. */
pid_t child_start(struct node *description, const struct node *peer, const char *listen,
                  char ret_endpoint[ADDRESS_SIZE]);
/* SIGKILL and wait. */
void child_kill(pid_t pid);

#endif
