/* The consensus messages between nodes: one msgpack array each, [version, type, term, ...], newer
 * fields appended. Everything that libraft takes on trust is checked here (its own asserts are
 * compiled out): types, counts, sizes, terms and indexes. The sender is the transport's, never the
 * message's.
 *
 *   1 append       prev index, prev term, commit, sent ms, lease ttl, heartbeat,
 *                  [[term, type, bytes]], acting, stall ms
 *   2 appended     rejected index, last index, echoed ms (0: none), why not
 *   3 vote         last index, last term, disrupt, pre-vote
 *   4 voted        granted, pre-vote
 *   5 snapshot     last index, last term, configuration index, [[id, role]], bytes
 *   6 timeout now  last index, last term, cause */
#ifndef UNDERSTUDY_CONSENSUS_WIRE_RAFT_H
#define UNDERSTUDY_CONSENSUS_WIRE_RAFT_H

#include "consensus/logbook.h"
#include "node/base/mp.h"

#include <raft.h>

#define WIRE_VERSION 1
#define WIRE_NUMBER_MAX ((uint64_t)1 << 62) /* no term, index or time is that high */
#define WIRE_ENTRIES_MAX 4096
#define WIRE_APPEND_BYTES_MAX (PEER_MESSAGE_BYTES_MAX - 4096) /* room for the frame */
#define WIRE_SNAPSHOT_BYTES_MAX (SNAPSHOT_BYTES_MAX - 4096)   /* the whole message */
#define WIRE_BULK_BYTES 65536      /* longer messages take the bulk connection */
#define WIRE_DURATION_MAX 86400000 /* ms; no lease or heartbeat is longer */
#define WIRE_ADDRESS_SIZE 24

/* Why a voter does not echo. */
enum wire_no_echo { WIRE_ECHOES, WIRE_NO_ECHO_SILENCE_TOO_SHORT };

/* What our envelope adds to the library's messages. */
struct wire_extra {
    int64_t sent_ms;
    int64_t lease_ttl_ms;
    int64_t heartbeat_ms;
    bool acting;      /* the leader acts as it sends this: told, never relied on */
    int64_t stall_ms; /* the worst that its storage did to it lately: adaptation.h */
    int64_t echo_ms; /* newest sent_ms heard of this leader; counts for its lease unless rejected */
    enum wire_no_echo no_echo;
    enum consensus_cause cause;
};

struct wire_message {
    struct raft_message raft; /* its memory is raft_malloc'd; server_address points below */
    struct wire_extra extra;
    char address[WIRE_ADDRESS_SIZE];
};

/* The address that libraft knows a server by: its id in decimal. */
void wire_raft_address(uint64_t id, char ret[WIRE_ADDRESS_SIZE]);

/* Into `writer` (cleared first). ERR_FULL when longer than the bound of its kind. */
int wire_raft_encode(struct mp_writer *writer, const struct raft_message *message,
                     const struct wire_extra *extra, struct err *err);

/* On 0 *ret must not move; end it with wire_raft_message_deinit, unless the library took its
 * memory. */
int wire_raft_decode(const uint8_t *bytes, size_t length, uint64_t from, struct wire_message *ret,
                     struct err *err);
void wire_raft_message_deinit(struct wire_message *self);

/* Library roles and ours. */
int wire_role_to_raft(enum consensus_role role);
enum consensus_role wire_role_of_raft(int raft_role);

/* A server list as the library's; raft_configuration_close ends it. 0 or ERR_NOMEM. */
int wire_raft_configuration(const struct consensus_server *servers, size_t count,
                            struct raft_configuration *ret, struct err *err);

#endif
