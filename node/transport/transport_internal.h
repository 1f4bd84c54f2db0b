/* Shared by the files of this room only. */
#ifndef UNDERSTUDY_NODE_TRANSPORT_TRANSPORT_INTERNAL_H
#define UNDERSTUDY_NODE_TRANSPORT_TRANSPORT_INTERNAL_H

#include "node/base/mp.h"
#include "node/transport/sockets.h"
#include "node/transport/transport.h"
#include "node/transport/wire.h"
#include "node/transport/zap.h"
#include "node/watch/handshakes.h"
#include "node/watch/watch.h"

#include <czmq.h>

#define WAITING_MAX 4                 /* messages that wait for a dial */
#define WAITING_BYTES_MAX (32u << 10) /* of them together, direct */
#define WAITING_MS 500
#define WAITING_BULK_MS 5000
#define BULK_IDLE_MS 30000
#define MAINTENANCE_MS 10000
#define REDIAL_MIN_MS 50
#define REDIAL_MAX_MS 5000
/* A peer that talks to us is there: do not wait for the next dial longer than this. */
#define REDIAL_HINT_MS 200
/* Without a connection of our own the peer's is used when it said something so recently. */
#define ANSWER_INSTEAD_MS 5000
#define EVENT_TELL_MS 1000

enum stream { STREAM_DIRECT, STREAM_BULK, STREAM_ANSWER, STREAM_COUNT };

struct waiting {
    uint32_t kind;
    uint8_t *bytes;
    size_t length;
    int64_t since_ms;
};

/* A connection that we dial: the DEALER and the pair socket that tells its fate. */
struct link {
    struct peer *peer;
    bool bulk;
    void *dealer; /* NULL: closed */
    struct watch *dealer_watch;
    void *monitor;
    struct watch *monitor_watch;
    bool connected;
    int64_t opened_ms;
    int64_t used_ms;
    int64_t redial_at_ms; /* 0: not */
    int redial_ms;        /* next pause after a refused handshake */
    uint16_t sequence;
    struct waiting waiting[WAITING_MAX];
    size_t waiting_count;
    size_t waiting_bytes;
};

/* A long message on its way in. */
struct assembly {
    uint8_t *bytes; /* NULL: none */
    uint32_t kind;
    uint32_t total;
    uint32_t have;
    int64_t at_ms;
};

struct peer {
    struct transport *transport;
    char name[NAME_SIZE];
    uint64_t id;
    char address[ADDRESS_SIZE];
    char public_key[PUBLIC_KEY_SIZE];
    char endpoint[ADDRESS_SIZE]; /* numeric; empty: never reached */
    bool watched;
    struct link direct;
    struct link bulk;
    struct transport_route route; /* of the peer's newest gossip or Raft frame */
    int64_t route_ms;
    uint16_t answer_sequence;
    uint16_t heard[STREAM_COUNT]; /* last sequence per incoming stream */
    bool heard_any[STREAM_COUNT];
    struct assembly assembly;
    struct transport_counters counters;
};

struct told {
    int64_t at_ms;
    uint64_t suppressed;
};

struct transport {
    struct transport_config config;
    struct sockets_timing timing;
    char public_key[PUBLIC_KEY_SIZE];
    char secret_key[PUBLIC_KEY_SIZE];
    char endpoint[ADDRESS_SIZE];
    void *router;
    struct watch *router_watch;
    struct handshakes *router_handshakes;
    int maintenance_timer;
    int redial_timer; /* of the link that is due first; not above 0: none */
    int64_t redial_at_ms;
    struct peer *peers[NODES_MAX];
    size_t peer_count;
    struct mp_writer writer;
    uint64_t monitors; /* numbers the monitors' endpoints */
    struct told told[TRANSPORT_EVENT_COUNT];
    struct transport_counters counters;
};

/* link.c */
void link_init(struct link *self, struct peer *peer, bool bulk);
void link_open(struct link *self); /* when closed; a failure is retried later */
void link_close(struct link *self);
void link_redial_now(struct link *self);
/* Keep a message until the dial is through; ERR_FULL. */
int link_wait(struct link *self, uint32_t kind, const uint8_t *bytes, size_t length);

/* transport.c */
struct peer *transport_find(const struct transport *self, const char *name);
struct peer *transport_find_id(const struct transport *self, uint64_t id);
void transport_tell(struct transport *self, struct peer *peer, enum transport_event event,
                    const char *name, const char *text);

/* transport_send.c */
int transport_link_send(struct link *link, uint32_t kind, const uint8_t *bytes, size_t length);

/* transport_receive.c */
void transport_on_router(void *context, void *socket);
void transport_on_dealer(void *context, void *socket);
void assembly_drop(struct assembly *self);

#endif
