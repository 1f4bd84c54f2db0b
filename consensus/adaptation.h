/* The election timeout, adapted to what storage and scheduling really do; pure.
 *
 * A leader whose disk holds it up for 500 ms is no dead leader: to depose it costs a change, and
 * the next one's disk may be no better. So what was seen lengthens the election timeout and the
 * voters' silence, at once, and for as long as it was seen within the last minute; never the lease.
 * (Compare Lifeguard, Dadgar et al. 2017: who knows himself to be slow accuses later.)
 *
 *   stall  a call of storage took so long: this node's own, or the leader's as its heartbeats tell.
 *          Two in a row, and the heartbeat that was about to go, must fit.
 *   gap    between two signs of life of one leader, or of a majority for a leader, longer than this
 *          node's own delay explains: load, or a bad network. A quarter more, and a heartbeat.
 *
 * Stalls count up to ADAPTATION_MAX_MS, which is also the bound of the result. Gaps only up to
 * ADAPTATION_GAP_MAX_MS: a leader that speaks every second or less crawls, and is to be replaced.
 * No bound is ever below the configured election timeout. */
#ifndef UNDERSTUDY_CONSENSUS_ADAPTATION_H
#define UNDERSTUDY_CONSENSUS_ADAPTATION_H

#include <stdint.h>

#define ADAPTATION_MAX_MS 3000
#define ADAPTATION_GAP_MAX_MS 1200
#define ADAPTATION_SLOT_MS 10000
#define ADAPTATION_SLOTS 6

/* The worst of each of the last slots of time; slots[0] began at `began_ms`. */
struct adaptation_window {
    int64_t began_ms;
    int64_t slots[ADAPTATION_SLOTS];
};

struct adaptation {
    int64_t configured_ms; /* election timeout */
    int64_t heartbeat_ms;
    struct adaptation_window wanted; /* election timeouts that would have done */
    struct adaptation_window stalls; /* this node's own */
};

/* Both > 0. */
void adaptation_init(struct adaptation *self, int64_t election_timeout_ms, int64_t heartbeat_ms);

/* Times are this node's and never go back; durations below 0 count as 0. */
void adaptation_stall(struct adaptation *self, int64_t now_ms, int64_t stall_ms);
void adaptation_told(struct adaptation *self, int64_t now_ms, int64_t stall_ms); /* the leader's */
void adaptation_gap(struct adaptation *self, int64_t now_ms, int64_t gap_ms);

/* The worst own stall of the last one or two slots: what a leader tells; the others keep it for
 * their minute. */
int64_t adaptation_own_stall_ms(struct adaptation *self, int64_t now_ms);

/* From the configured value to the greater of it and ADAPTATION_MAX_MS. */
int64_t adaptation_timeout_ms(struct adaptation *self, int64_t now_ms);

#endif
