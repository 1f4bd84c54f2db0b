/* Which news about a member wins: the rule on which the agreement of all nodes rests.
 *
 * News is ordered by incarnation first, then by state: alive < suspect < dead < left. Only the
 * member itself raises its incarnation, so only it can take back a suspicion or a death.
 *
 * One rule goes beyond SWIM: hearsay of a death is taken only for a member that this node has held
 * suspect for a while itself, or with proof. Otherwise it is a doubt: a suspicion with the least
 * time. A node that was cut off and buried everybody thus buries nobody else when it is back. */
#ifndef UNDERSTUDY_GOSSIP_CLAIM_H
#define UNDERSTUDY_GOSSIP_CLAIM_H

#include "gossip/gossip.h"

struct claim_held { /* what this node holds about the member */
    enum gossip_state state;
    uint64_t incarnation;
    bool suspect_for_long; /* for half the least time of a suspicion, or longer */
};

struct claim { /* what it is told */
    enum gossip_state state;
    uint64_t incarnation;
    bool proof; /* of a death: the member's own parent says so */
};

enum claim_verdict {
    CLAIM_IGNORE,
    CLAIM_ALIVE,   /* hold it alive with the new incarnation */
    CLAIM_SUSPECT, /* begin a suspicion */
    CLAIM_CONFIRM, /* one more accuser of a suspicion that is held */
    CLAIM_DOUBT,   /* begin or shorten a suspicion: others hold it dead */
    CLAIM_DEAD,
    CLAIM_LEFT,
    CLAIM_RENEW, /* same state, newer incarnation */
};

enum claim_verdict gossip_claim_judge(const struct claim_held *held, const struct claim *claim);

#endif
