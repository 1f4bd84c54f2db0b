/* Messages between nodes: ZeroMQ with CURVE, on the loop's thread.
 *
 * One ROUTER is bound; one DEALER per peer is opened on demand (and a second one for bulk), closed
 * when idle. Sending never waits: what cannot be sent now is dropped and counted. Names in
 * addresses are resolved by libzmq's I/O thread at each dial, so a peer that comes back elsewhere
 * under its name is found.
 *
 * Paths. A small message goes back over the connection on which the peer's last gossip or Raft
 * message came, when that was within TRANSPORT_ANSWER_MS (the kernel's acknowledgement then rides
 * along, which saves a packet per heartbeat) or when our own connection is down; else over our
 * DEALER. So two messages to one peer may overtake each other; users of this module must not rely
 * on their order. A message longer than TRANSPORT_CHUNK_BYTES, or sent as bulk, goes over the bulk
 * connection in chunks and is put together again by the receiver.
 *
 * Frame (one ZeroMQ part): msgpack [version = 1, kind, cluster, sender, sequence, payload]; a chunk
 * has [..., offset, total] behind the payload. Decoders ignore further elements. The sender's id
 * must be the one that the connection's key stands for, and the cluster ours; see wire.h.
 *
 * Dead connections: TCP's user timeout (unacknowledged data) and keep-alives close them; ZeroMQ's
 * own heartbeats are off, as Raft heartbeats and gossip probes flow anyway. A refused handshake is
 * retried with a growing pause of ours, since libzmq either spins or gives up for good. */
#ifndef UNDERSTUDY_NODE_TRANSPORT_TRANSPORT_H
#define UNDERSTUDY_NODE_TRANSPORT_TRANSPORT_H

#include "node/base/err.h"
#include "node/base/limits.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct _zloop_t; /* czmq's zloop_t */
struct transport;
struct zap;

#define TRANSPORT_CHUNK_BYTES (128u << 10)
#define TRANSPORT_ANSWER_MS 20
#define TRANSPORT_ROUTE_BYTES_MAX 16

enum transport_kind {
    TRANSPORT_GOSSIP = 1,
    TRANSPORT_RAFT = 2,
    TRANSPORT_EVIDENCE = 3,
    TRANSPORT_OBITUARY = 4,
    TRANSPORT_OBITUARY_ACK = 5,
    TRANSPORT_GRANT_RENEW = 6,
    TRANSPORT_GRANT = 7,
    TRANSPORT_RELEASE = 8,
    TRANSPORT_OBSERVATION = 9,
    TRANSPORT_FORWARD = 10,
    TRANSPORT_FORWARD_REPLY = 11,
    TRANSPORT_HELLO = 12,
    TRANSPORT_STATE = 13,
    TRANSPORT_RUN_REPORT = 14,
    TRANSPORT_ERRAND = 15,
    TRANSPORT_ERRAND_ANSWER = 16,
};
#define TRANSPORT_KIND_MAX 127 /* unknown kinds up to here are handed on; the user drops them */

/* The connection that a message came by; plain data, may be kept. */
struct transport_route {
    uint8_t id[TRANSPORT_ROUTE_BYTES_MAX];
    size_t length; /* 0: it came over our own DEALER, an answer goes by transport_send */
};

struct transport_message {
    uint32_t kind;
    const char *sender; /* authenticated name, borrowed for the call */
    uint64_t sender_id;
    const uint8_t *bytes; /* borrowed for the call */
    size_t length;
    struct transport_route route;
};

enum transport_event {
    TRANSPORT_EVENT_MALFORMED,       /* not a frame of ours */
    TRANSPORT_EVENT_UNAUTHENTICATED, /* its key is not in the table (any more) */
    TRANSPORT_EVENT_FORGED,          /* claims another sender than its key's owner */
    TRANSPORT_EVENT_WRONG_CLUSTER,
    TRANSPORT_EVENT_HANDSHAKE, /* a peer does not accept our key, or is not who it should be */
    TRANSPORT_EVENT_COUNT,
};
const char *transport_event_name(enum transport_event event); /* "transport.frame.forged" ... */

/* Callbacks run on the loop's thread, out of the loop, never out of a call of transport_send. They
 * may call anything here but transport_destroy. `received` is needed, the others may be NULL. */
struct transport_callbacks {
    void *context;
    void (*received)(void *context, const struct transport_message *message);
    /* Our own connection to the peer stands (CURVE done) / is gone. at_ms: CLOCK_BOOTTIME. The
     * second follows a kill -9 of the peer within about a millisecond; it is not called for a
     * connection that we closed ourselves. */
    void (*peer_connected)(void *context, const char *name, int64_t at_ms);
    void (*peer_disconnected)(void *context, const char *name, int64_t at_ms);
    /* Worth a log line; at most one a second per event, `suppressed` went untold before. */
    void (*event)(void *context, enum transport_event event, const char *peer, const char *text,
                  uint64_t suppressed);
};

struct transport_config {
    void *zmq_context;
    struct _zloop_t *loop;
    struct zap *zap;        /* outlives the transport */
    const char *listen;     /* "tcp://0.0.0.0:7400"; port "*" picks a free one */
    uint64_t id;            /* own raft id */
    uint32_t cluster;       /* transport_cluster_id() */
    const char *public_key; /* own, Z85 */
    const char *secret_key; /* own, Z85; copied into libzmq only */
    /* Milliseconds; 0 takes the default in brackets. */
    int reconnect_min_ms;    /* [10] */
    int reconnect_max_ms;    /* [1000] */
    int connect_timeout_ms;  /* [1000] one dial, name resolution not included */
    int handshake_ms;        /* [3000] CURVE, on both ends */
    int tcp_user_timeout_ms; /* [3000] unacknowledged data for so long ends a connection */
    int idle_close_ms;       /* [180000] our DEALER, unless watched; bulk always 30 s */
    struct transport_callbacks callbacks;
};

/* What keeps the frames of two clusters apart that share keys by mistake. Never 0. */
uint32_t transport_cluster_id(const char *cluster, const char *environment);

/* ERR_BUSY: the port is in use; the text names the address. */
int transport_create(const struct transport_config *config, struct transport **ret,
                     struct err *err);
void transport_destroy(struct transport **self_p);

/* The bound endpoint with its real port. Borrowed. */
const char *transport_endpoint(const struct transport *self);

struct transport_peer {
    const char *name;
    uint64_t id;            /* nonzero; must be the one that the key table gives to that name */
    const char *address;    /* "tcp://host:port" */
    const char *public_key; /* Z85; another key or address closes the connection and dials anew */
};

/* Add or change. Nothing is dialed before it is needed (transport_send, transport_peer_watch).
 * ERR_FULL past NODES_MAX, ERR_INVALID, ERR_EXISTS: the id belongs to another name. */
int transport_peer_set(struct transport *self, const struct transport_peer *peer, struct err *err);
/* Unknown names are fine. */
void transport_peer_remove(struct transport *self, const char *name);
/* Keep our connection to the peer open (dial now and again) whether or not it is used: for peers
 * whose end must be noticed at once. Forgotten by transport_peer_remove. */
void transport_peer_watch(struct transport *self, const char *name, bool watch);
bool transport_peer_connected(const struct transport *self, const char *name);
/* "tcp://1.2.3.4:7400", the numeric address our connection last reached the peer at, or NULL when
 * it never did. For probe.h. Borrowed until the next call of the loop. */
const char *transport_peer_endpoint(const struct transport *self, const char *name);
const char *transport_peer_name(const struct transport *self, uint64_t id); /* NULL: unknown */

/* Send to a peer; bytes are copied. 0 means handed to libzmq, no more. ERR_NOTFOUND: no such peer.
 * ERR_FULL: not connected or its queue is full; dropped and counted (a few small messages wait for
 * a dial that has just begun). ERR_INVALID: longer than SNAPSHOT_BYTES_MAX. */
int transport_send(struct transport *self, const char *name, uint32_t kind, const uint8_t *bytes,
                   size_t length, bool bulk);
int transport_send_id(struct transport *self, uint64_t id, uint32_t kind, const uint8_t *bytes,
                      size_t length, bool bulk);
/* Answer on the connection that `route` names (an obituary's acknowledgement: the asker is not the
 * node itself but its parent). ERR_NOTFOUND: that connection is gone. ERR_FULL, ERR_INVALID (longer
 * than a chunk, or route.length 0). */
int transport_reply(struct transport *self, const struct transport_route *route, uint32_t kind,
                    const uint8_t *bytes, size_t length);

struct transport_counters {
    uint64_t sent, sent_bytes;         /* frames handed to libzmq; bytes of frames */
    uint64_t sent_answer;              /* of these: went back over the peer's connection */
    uint64_t sent_bulk;                /* of these: chunks and bulk messages */
    uint64_t dropped;                  /* not connected or queue full */
    uint64_t received, received_bytes; /* frames that passed all checks */
    uint64_t gaps;                     /* frames missing in the peers' sequences */
    uint64_t chunks_discarded;         /* messages given up because a chunk was missing */
    uint64_t events[TRANSPORT_EVENT_COUNT];
    uint64_t connects, disconnects, handshakes_failed;
};
void transport_counters(const struct transport *self, struct transport_counters *ret);
/* The same for one peer (events: forged and wrong cluster); false when unknown. */
bool transport_peer_counters(const struct transport *self, const char *name,
                             struct transport_counters *ret);
/* Connections to our port that never became one (node/watch/handshakes.h). Call it now and then,
 * as the count follows the calls. */
uint64_t transport_connections_failed(struct transport *self, int64_t now_ms);

#endif
