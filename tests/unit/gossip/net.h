/* A network of gossip nodes in virtual time, from one seed: delays, loss, cuts, crashes, freezes.
 * For the tests of this folder and for the bench of gossip at scale. */
#ifndef UNDERSTUDY_TESTS_UNIT_GOSSIP_NET_H
#define UNDERSTUDY_TESTS_UNIT_GOSSIP_NET_H

#include "gossip/gossip.h"
#include "node/base/rng.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct net_event;

struct net_node {
    struct gossip *gossip; /* NULL: crashed, or not started */
    char name[NAME_SIZE];
    char address[ADDRESS_SIZE];
    uint64_t boots;
    unsigned side; /* nodes of different sides do not hear each other */
    bool frozen;   /* deaf: what is sent to it is lost */
    bool crashed;
    bool slow;             /* its deaths count apart */
    int64_t late_max_ms;   /* its loop runs so rarely, at random */
    int64_t awake_ms;      /* the moment that its loop runs, and what came since waits ... */
    int64_t busy_until_ms; /* ... until then */
    uint64_t buried;       /* its incarnation that was held dead falsely, by whomever first */
    int64_t tick_ms;       /* the scheduled one */
    struct gossip_action last_member;
    int64_t deaths_seen_ms; /* when it last declared `net.watched` dead; -1: not yet */
    uint64_t member_actions;
    uint64_t persisted_incarnation;
};

struct net {
    struct rng rng;
    int64_t now_ms;
    size_t node_count;
    struct net_node *nodes;
    struct gossip_config config; /* of all nodes, but for names, addresses and seeds */
    size_t seed_count;           /* the first so many nodes are everybody's seeds */
    unsigned loss_percent;
    int64_t delay_min_ms;
    int64_t delay_max_ms;
    size_t watched;             /* a node whose death is timed */
    size_t watched_deaths;      /* nodes that hold it dead */
    int64_t watched_suspect_ms; /* when one suspected it first; -1: not yet */
    size_t excused;             /* deaths at this node and of it do not count */
    uint64_t false_deaths;      /* a node held dead a node that ran and was reachable */
    uint64_t false_burials;     /* the same, each counted once for all that held it */
    uint64_t slow_deaths;       /* deaths of slow nodes, at each that holds them */
    uint64_t messages;
    struct net_event **heap;
    size_t heap_count;
    size_t heap_capacity;
    uint64_t event_number;
};

void net_init(struct net *self, size_t node_count, const char *profile, uint64_t seed);
void net_deinit(struct net *self);

void net_start(struct net *self, size_t index); /* again: a higher incarnation, maybe moved */
void net_start_all(struct net *self);
void net_crash(struct net *self, size_t index);
void net_freeze(struct net *self, size_t index);
void net_thaw(struct net *self, size_t index);
void net_pause(struct net *self, size_t index, int64_t duration_ms); /* nothing is lost */

void net_watch(struct net *self, size_t index); /* forget what was watched before */

void net_run(struct net *self, int64_t duration_ms);

/* Run until the condition holds or `limit_ms` passed; whether it holds. */
bool net_run_until(struct net *self, bool (*condition)(const struct net *self), int64_t limit_ms);

/* Take the actions of a node after a call that was made on it directly. */
void net_drain(struct net *self, size_t index);

enum gossip_state net_state(const struct net *self, size_t at, size_t of); /* must be known */
bool net_knows(const struct net *self, size_t at, size_t of);

/* Conditions. */
bool net_all_alive(const struct net *self);       /* every running node holds every node alive */
bool net_agrees(const struct net *self);          /* equal digests everywhere, running ones alive */
bool net_watched_is_dead(const struct net *self); /* at every other running node */

#endif
