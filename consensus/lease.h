/* The leader's right to act, and the voters' silence that it rests on; pure.
 *
 * Each AppendEntries carries the leader's send time. A voter's successful result echoes the newest
 * send time of this term that it has processed, and the voter then gives no vote (but to a
 * candidate with the disrupt flag) until its election timeout has passed. With s_q the newest time
 * such that a majority has echoed a send time at or after it, the lease ends at s_q + lease_ttl on
 * the leader's clock. (Gray and Cheriton 1989; Raft dissertation 6.4.1, without its assumption
 * about the clocks of others beyond their rate.)
 *
 * Changes of the configuration: servers change one at a time, so any majority of one configuration
 * meets any majority of the next. While a change is uncommitted a successor may be elected by a
 * majority of either, so both must have echoed. */
#ifndef UNDERSTUDY_CONSENSUS_LEASE_H
#define UNDERSTUDY_CONSENSUS_LEASE_H

#include "consensus/logbook.h"

struct lease_echo {
    uint64_t id;
    int64_t sent_ms;    /* newest echoed send time of the leader; 0: none */
    int64_t contact_ms; /* when it last answered; 0: never */
    bool refuses;       /* answers, but does not echo */
};

/* A leader's view of its voters; one per term. */
struct lease {
    size_t count;
    struct lease_echo echoes[NODES_MAX];
};

void lease_clear(struct lease *self);
/* An answer of `id` at now_ms that echoes `sent_ms` (0: none; ignored when later than now_ms). */
void lease_answer(struct lease *self, uint64_t id, int64_t now_ms, int64_t sent_ms, bool refuses);
const struct lease_echo *lease_find(const struct lease *self, uint64_t id); /* NULL: none */

/* s_q over every configuration in `log` that is or may be in force, the leader's own echo being
 * now_ms; 0 when a majority has not echoed yet. */
int64_t lease_quorum_ms(const struct lease *self, const struct logbook *log, uint64_t leader,
                        int64_t now_ms);

/* A wait that guards against another clock: 1.05 times as long, rounded up. */
int64_t lease_stretch(int64_t ms, bool off);

/* May a voter whose own silence lasts silence_ms echo the lease of a leader that says so? */
bool lease_may_echo(int64_t silence_ms, int64_t lease_ttl_ms, int64_t heartbeat_ms,
                    bool stretch_off);

/* Why votes without the disrupt flag are dropped; each an end, 0: none. It lives outside the
 * library's instance, for it must survive a reload. */
struct lease_silence {
    int64_t echo_until_ms;     /* election timeout after the last echo */
    int64_t start_until_ms;    /* ... after the start of the process */
    int64_t managers_until_ms; /* a former leader's lease, until its managers have ended */
};

int64_t lease_silent_until(const struct lease_silence *self, const struct consensus_switches *off);

#endif
