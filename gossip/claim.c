#include "gossip/claim.h"

static enum claim_verdict judge_alive(const struct claim_held *held, const struct claim *claim)
{
    if (claim->incarnation < held->incarnation) {
        return CLAIM_IGNORE;
    }
    switch (claim->state) {
    case GOSSIP_ALIVE:
        return claim->incarnation > held->incarnation ? CLAIM_ALIVE : CLAIM_IGNORE;
    case GOSSIP_SUSPECT:
        return CLAIM_SUSPECT;
    case GOSSIP_DEAD:
        return claim->proof ? CLAIM_DEAD : CLAIM_DOUBT;
    case GOSSIP_LEFT:
        return CLAIM_LEFT;
    }
    return CLAIM_IGNORE;
}

static enum claim_verdict judge_suspect(const struct claim_held *held, const struct claim *claim)
{
    if (claim->incarnation < held->incarnation) {
        return CLAIM_IGNORE;
    }
    bool newer = claim->incarnation > held->incarnation;
    switch (claim->state) {
    case GOSSIP_ALIVE:
        return newer ? CLAIM_ALIVE : CLAIM_IGNORE;
    case GOSSIP_SUSPECT:
        return newer ? CLAIM_SUSPECT : CLAIM_CONFIRM;
    case GOSSIP_DEAD:
        if (claim->proof || (!newer && held->suspect_for_long)) {
            return CLAIM_DEAD;
        }
        return CLAIM_DOUBT;
    case GOSSIP_LEFT:
        return CLAIM_LEFT;
    }
    return CLAIM_IGNORE;
}

/* Dead or left: the end of an incarnation; only a newer one changes that, but for a goodbye that
 * comes after the death was declared. */
static enum claim_verdict judge_ended(const struct claim_held *held, const struct claim *claim)
{
    if (claim->incarnation == held->incarnation) {
        bool goodbye = held->state == GOSSIP_DEAD && claim->state == GOSSIP_LEFT;
        return goodbye ? CLAIM_LEFT : CLAIM_IGNORE;
    }
    if (claim->incarnation < held->incarnation) {
        return CLAIM_IGNORE;
    }
    if (claim->state == held->state) {
        return CLAIM_RENEW;
    }
    switch (claim->state) {
    case GOSSIP_ALIVE:
        return CLAIM_ALIVE;
    case GOSSIP_SUSPECT:
        return CLAIM_SUSPECT;
    case GOSSIP_DEAD:
        return CLAIM_DEAD;
    case GOSSIP_LEFT:
        return CLAIM_LEFT;
    }
    return CLAIM_IGNORE;
}

enum claim_verdict gossip_claim_judge(const struct claim_held *held, const struct claim *claim)
{
    switch (held->state) {
    case GOSSIP_ALIVE:
        return judge_alive(held, claim);
    case GOSSIP_SUSPECT:
        return judge_suspect(held, claim);
    case GOSSIP_DEAD:
    case GOSSIP_LEFT:
        return judge_ended(held, claim);
    }
    return CLAIM_IGNORE;
}
