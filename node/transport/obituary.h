/* What a node's watching parent tells the other nodes when the node process is dead.
 *
 * Has a ZeroMQ context and connections of its own for the short time it is needed; after
 * obituary_destroy no thread and no descriptor is left, so the parent may fork again. Speaks with
 * the node's own key, so receivers see the node as the (authenticated) sender. The payloads are
 * opaque here. Open it as soon as the death is seen and send when the managers are gone: the
 * connections are made meanwhile.
 *
 * Blocks in obituary_wait, by its deadline at the latest. One thread. */
#ifndef UNDERSTUDY_NODE_TRANSPORT_OBITUARY_H
#define UNDERSTUDY_NODE_TRANSPORT_OBITUARY_H

#include "node/base/err.h"
#include "node/base/limits.h"

#include <stddef.h>
#include <stdint.h>

struct obituary_sender;

struct obituary_peer {
    const char *address;    /* "tcp://host:port" */
    const char *public_key; /* Z85 */
    uint64_t id;            /* an acknowledgement must claim it */
};

struct obituary_config {
    const char *public_key; /* the node's own, Z85 */
    const char *secret_key;
    uint64_t id;                       /* the node's raft id */
    uint32_t cluster;                  /* transport_cluster_id() */
    const struct obituary_peer *peers; /* at most NODES_MAX; used during obituary_open only */
    size_t peer_count;
};

/* Dial all peers. An address that cannot be used is left out; ERR_INVALID when none is left. */
int obituary_open(const struct obituary_config *config, struct obituary_sender **ret,
                  struct err *err);

/* Hand a message of `kind` (TRANSPORT_OBITUARY, TRANSPORT_RELEASE) of at most
 * COMMAND_BYTES_MAX bytes to every peer; sent when the connection stands, each answered by who
 * hears it. At most
 * OBITUARY_MESSAGES_MAX in all (ERR_FULL). Returns 0 when at least one peer took it. */
#define OBITUARY_MESSAGES_MAX 2048
int obituary_send(struct obituary_sender *self, uint32_t kind, const uint8_t *bytes, size_t length,
                  struct err *err);

/* Wait until `needed` different peers have answered every message sent with a
 * TRANSPORT_OBITUARY_ACK, or clock_boot_ms() reaches `deadline_ms`. Returns how many have. */
size_t obituary_wait(struct obituary_sender *self, size_t needed, int64_t deadline_ms);

/* Ends all; waits at most `flush_ms` for messages that still have to go out. */
void obituary_destroy(struct obituary_sender **self_p, int flush_ms);

#endif
