/* The messages between nodes, as MessagePack arrays:
 *
 *     [version, type, sender, body, items]
 *
 *     1 ping      [sequence]
 *     2 ask       [sequence, target, wait_ms]        probe `target` for me
 *     3 ack       [sequence]                         of a ping, or passed on for an ask
 *     4 nack      [sequence]                         asked, alive, but the target does not answer
 *     5 news      []
 *     6 digest    [join, digest]                     opens an exchange of state
 *     7 buckets   [count, digests]                   ours differs: where?
 *     8 versions  [count, covered, [name, digest, ...]]   all our rows of the covered buckets
 *     9 entries   [[wanted name, ...]]               rows as items; please send the wanted ones
 *
 *     item of a member  [0, name, incarnation, state, address or nil, age_s, [accuser, ...]]
 *     item of health    [1, name, incarnation, sequence, score, load, flags, details hash,
 *                        details or nil]
 *
 * Digests in `buckets` are 4 bytes each, big-endian, in one binary; `covered` is a bitmap of
 * buckets. Elements after the known ones are ignored, so a later version may append. */
#ifndef UNDERSTUDY_GOSSIP_WIRE_H
#define UNDERSTUDY_GOSSIP_WIRE_H

#include "gossip/gossip.h"
#include "gossip/suspicion.h"
#include "node/base/mp.h"

#define WIRE_VERSION 1
#define WIRE_BUCKETS_MAX 256
#define WIRE_COVERED_BYTES (WIRE_BUCKETS_MAX / 8)

enum gossip_wire_type {
    WIRE_PING = 1,
    WIRE_ASK = 2,
    WIRE_ACK = 3,
    WIRE_NACK = 4,
    WIRE_NEWS = 5,
    WIRE_DIGEST = 6,
    WIRE_BUCKETS = 7,
    WIRE_VERSIONS = 8,
    WIRE_ENTRIES = 9,
};

enum gossip_wire_item_kind { WIRE_ITEM_MEMBER = 0, WIRE_ITEM_HEALTH = 1 };

struct gossip_wire_member {
    char name[NAME_SIZE];
    uint64_t incarnation;
    enum gossip_state state;
    char address[ADDRESS_SIZE]; /* empty: not told */
    uint32_t age_s;             /* of the state */
    unsigned accuser_count;     /* suspect or dead: who says so; its own name: its parent */
    char accusers[ACCUSERS_MAX][NAME_SIZE];
};

struct gossip_wire_health {
    char name[NAME_SIZE];
    uint64_t incarnation;
    uint64_t sequence;
    int score_tenths;
    int load_hundredths;
    uint32_t flags;
    uint32_t details_hash;
    const uint8_t *details; /* borrowed; NULL: not told */
    size_t details_length;
};

struct gossip_wire_item {
    enum gossip_wire_item_kind kind;
    struct gossip_wire_member member;
    struct gossip_wire_health health;
};

struct gossip_wire_message {
    enum gossip_wire_type type;
    char sender[NAME_SIZE];
    uint32_t sequence;      /* ping, ask, ack, nack: 1..65535 */
    char target[NAME_SIZE]; /* ask */
    uint32_t wait_ms;       /* ask: an answer after this helps nobody */
    bool join;              /* digest: the sender knows nobody yet */
    uint64_t digest;        /* digest */
    unsigned bucket_count;  /* buckets, versions: a power of two up to WIRE_BUCKETS_MAX */
    uint32_t buckets[WIRE_BUCKETS_MAX];
    uint8_t covered[WIRE_COVERED_BYTES]; /* versions */

    /* Decoded messages only. */
    struct mp_doc doc;
    const msgpack_object *items;
    const msgpack_object *names; /* versions: name, digest, ...; entries: wanted names */
};

/* Write the message up to its items: the caller appends `item_count` items after it. `names` of
 * versions and entries are written raw: `names_count` elements in names_bytes. */
struct gossip_wire_names {
    const uint8_t *bytes;
    size_t length;
    size_t count;
};
void gossip_wire_put_head(struct mp_writer *writer, const struct gossip_wire_message *message,
                          const struct gossip_wire_names *names, size_t item_count);

void gossip_wire_put_member(struct mp_writer *writer, const struct gossip_wire_member *member);
void gossip_wire_put_health(struct mp_writer *writer, const struct gossip_wire_health *health);

/* Check all of the message, its items too, and decode it. `bytes` must outlive *ret, which ends
 * with gossip_wire_message_deinit. ERR_PROTO: malformed. ERR_UNSUPPORTED: another version.
 * ERR_NOMEM. */
int gossip_wire_decode(const uint8_t *bytes, size_t length, struct gossip_wire_message *ret,
                       struct err *err);
void gossip_wire_message_deinit(struct gossip_wire_message *self);

size_t gossip_wire_item_count(const struct gossip_wire_message *self);
/* index < count; false only for an item of a kind that this version does not know. */
bool gossip_wire_item_at(const struct gossip_wire_message *self, size_t index,
                         struct gossip_wire_item *ret);

/* Wanted names of entries; names and digests of versions. */
size_t gossip_wire_wanted_count(const struct gossip_wire_message *self);
void gossip_wire_wanted_at(const struct gossip_wire_message *self, size_t index,
                           char ret_name[NAME_SIZE]);
size_t gossip_wire_version_count(const struct gossip_wire_message *self);
void gossip_wire_version_at(const struct gossip_wire_message *self, size_t index,
                            char ret_name[NAME_SIZE], uint32_t *ret_digest);

bool gossip_wire_covers(const struct gossip_wire_message *self, unsigned bucket);

#endif
