/* May the wall clock be acted on?
 *
 * A schedule follows the wall clock, and a wrong one fires slots early, twice or never. So this
 * node's is compared with its own past (it may not jump against the time since boot) and with the
 * wall clocks that the other nodes tell (it may not lie apart from their median). A clock that
 * slews, as time daemons make it, is followed.
 *
 * Pure: all times are handed in. Loop thread. */
#ifndef UNDERSTUDY_NODE_DAEMON_WALL_H
#define UNDERSTUDY_NODE_DAEMON_WALL_H

#include "node/base/limits.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WALL_JUMP_MS 1000    /* against the time since boot, between two looks */
#define WALL_APART_MS 2000   /* from the median of all */
#define WALL_FRESH_MS 60000  /* what a node told counts so long */
#define WALL_SETTLE_MS 10000 /* after a jump, when nobody else is there to ask */

enum wall_verdict {
    WALL_TRUSTED,
    WALL_UNKNOWN, /* there are other nodes, and none has told its clock yet */
    WALL_JUMPED,  /* lately, and nobody confirms where it is now */
    WALL_APART,   /* from the others' */
};

struct wall_peer {
    uint64_t id;       /* 0: the slot is free */
    int64_t offset_ms; /* its wall clock less our time since boot */
    int64_t told_ms;
};

struct wall {
    bool looked;
    int64_t offset_ms; /* the wall clock less the time since boot, at the last look */
    int64_t jumped_ms; /* boot time of the last jump; 0: none */
    enum wall_verdict verdict;
    struct wall_peer peers[NODES_MAX];
};

/* A node with this raft id says that its wall clock stands at `wall_ms`, at our boot time `now_ms`
 * (both in ms; what the message took is ignored). */
void wall_told(struct wall *self, int64_t now_ms, uint64_t id, int64_t wall_ms);

/* Look at the own clock; call at least every few seconds. `others`: how many nodes there are that
 * could tell theirs. Two clocks alone that differ leave the verdict as it was: nobody can say which
 * of them is wrong. */
enum wall_verdict wall_look(struct wall *self, int64_t now_ms, int64_t wall_ms, size_t others);

const char *wall_verdict_name(enum wall_verdict verdict); /* "trusted", "unknown", ... */

#endif
