/* The table of members: rows by name, the list of the live ones in probe order, the suspects, and
 * the digest of everything. No rule of the protocol is in here. */
#ifndef UNDERSTUDY_GOSSIP_MEMBERS_H
#define UNDERSTUDY_GOSSIP_MEMBERS_H

#include "gossip/gossip.h"
#include "node/base/rng.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct suspicion;
struct health_record;
struct news;

#define NOT_IN_LIST UINT32_MAX
#define DIGEST_BUCKETS 256 /* a power of two; rows fall into them by the hash of their name */

enum news_kind { NEWS_MEMBER, NEWS_HEALTH, NEWS_KINDS };

struct member {
    char *address;
    uint64_t incarnation;
    int64_t since_ms;                 /* of the state */
    int64_t contact_ms;               /* last message of its own; INT64_MIN: never */
    int64_t told_ms;                  /* when it was last told that it is held suspect or dead */
    uint64_t digest;                  /* this row's part in the digest */
    struct suspicion *suspicion;      /* while suspect or dead, else NULL */
    struct health_record *health;     /* NULL: none yet */
    struct news *pending[NEWS_KINDS]; /* waiting in the queues of news, or NULL */
    uint64_t hash;
    uint32_t row;     /* index in members.rows */
    uint32_t live;    /* index in members.live, or NOT_IN_LIST */
    uint32_t suspect; /* index in members.suspects, or NOT_IN_LIST */
    uint32_t mark;    /* scratch of one comparison of versions */
    enum gossip_state state;
    bool proof;  /* dead, and its parent said so */
    char name[]; /* NUL-terminated */
};

struct member_list {
    struct member **items;
    size_t count;
    size_t capacity;
};

struct members {
    struct member_list rows;
    struct member_list live; /* alive and suspect, without this node's own row */
    struct member_list suspects;
    size_t cursor;         /* in live: members before it were probed in this pass */
    struct member **slots; /* open addressing by name, a power of two */
    size_t slot_count;
    size_t rows_max;
    uint64_t digest;
    uint64_t buckets[DIGEST_BUCKETS];
    uint32_t mark;
    struct member *self;
};

int gossip_members_init(struct members *self, size_t rows_max);
void gossip_members_deinit(struct members *self);

struct member *gossip_members_find(const struct members *self, const char *name);

/* 0 <= index < rows.count, in no particular order; an index is good until rows come or go. */
struct member *gossip_members_row(const struct members *self, size_t index);

/* A new row, alive, in no list. NULL: members_max, or out of memory. */
struct member *gossip_members_add(struct members *self, const char *name, const char *address);

/* Take the row out of everything and free it; nothing of it may wait in a queue of news. */
void gossip_members_remove(struct members *self, struct member *member);

/* Into a random place of the present pass, or out of the list. Both cope with being done. */
void gossip_members_live_add(struct members *self, struct member *member, struct rng *rng);
void gossip_members_live_remove(struct members *self, struct member *member);
void gossip_members_suspect_add(struct members *self, struct member *member);
void gossip_members_suspect_remove(struct members *self, struct member *member);

/* The next member in the pass, or NULL when there is no live one. Each pass is shuffled anew, so
 * that every member is probed within two passes at the latest (SWIM, 4.3). */
struct member *gossip_members_next_probe(struct members *self, struct rng *rng);

/* Up to `count` different live members (never `except`, which may be NULL) into ret[count];
 * returns how many. */
size_t gossip_members_pick(const struct members *self, struct rng *rng, const struct member *except,
                           struct member **ret, size_t count);

/* 0, or ERR_NOMEM with the old address kept. */
int gossip_members_set_address(struct member *member, const char *address);

/* Call after any change of a row that all should agree on. */
void gossip_members_update_digest(struct members *self, struct member *member);

uint64_t gossip_members_hash(const char *name);

unsigned gossip_members_bucket(const struct member *member, unsigned bucket_count);

/* Digest of bucket `index` when all rows fall into `bucket_count` (a power of two) buckets. */
uint32_t gossip_members_bucket_digest(const struct members *self, unsigned index,
                                      unsigned bucket_count);

/* Live members in state alive, this node's own row not counted. */
size_t gossip_members_alive_others(const struct members *self);

#endif
