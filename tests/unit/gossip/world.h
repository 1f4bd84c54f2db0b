/* One node against hand-made messages. */
#ifndef UNDERSTUDY_TESTS_UNIT_GOSSIP_WORLD_H
#define UNDERSTUDY_TESTS_UNIT_GOSSIP_WORLD_H

#include "gossip/gossip.h"
#include "gossip/wire.h"

#define START_MS 5000000
#define OWN_INCARNATION 100

struct world {
    struct gossip *gossip;
    struct gossip_config config;
    int64_t now_ms;
    struct gossip_action member;      /* the last MEMBER action */
    struct gossip_action incarnation; /* the last INCARNATION action */
    unsigned member_count;
    unsigned health_count;
    unsigned gone_count;
    unsigned send_count;
    size_t largest_bytes;
    unsigned pings;
    uint32_t ping_sequence; /* of the last ping, and to whom */
    char pinged[NAME_SIZE];
    unsigned acks;
    unsigned asks;
    uint32_t ask_sequence;
    unsigned nacks;
    struct gossip_wire_member told; /* the last member item about `watch` in a message */
    unsigned told_count;
    enum gossip_wire_type told_kind; /* in what message, and to whom */
    char told_to[NAME_SIZE];
    unsigned told_others; /* messages with such an item to others than `watch` */
    unsigned questions;   /* pings that told it: to `watch`, and to others */
    unsigned questions_to_others;
    const char *watch;
};

/* Node n1, of profile lan, alone. */
void world_begin(struct world *world);
void world_end(struct world *world);

/* Look into what it did since. */
void world_drain(struct world *world);

/* Tick at every deadline up to `duration_ms` from now. */
void world_run(struct world *world, int64_t duration_ms);

/* A message of `authenticated`, who is its sender too unless it names one; `item` may be NULL. */
void world_receive(struct world *world, const char *authenticated,
                   struct gossip_wire_message *message, const struct gossip_wire_item *item);

/* News from `from` of a member, with an address, accused by `by` (may be NULL). */
void world_hear(struct world *world, const char *from, const char *name, uint64_t incarnation,
                enum gossip_state state, const char *by);

void world_answer_ping(struct world *world);
struct gossip_member world_member_of(struct world *world, const char *name);
struct gossip_counters world_counters_of(struct world *world);

#endif
