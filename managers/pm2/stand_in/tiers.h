/* Who does a primary's work: the primary itself (when it is guarded), its standard backups, or its
 * enhanced ones.
 *
 * At most one tier is wanted at a time, and the replicated state assigns the duties of one tier
 * only (command.h, `alone`): the next one starts when the one before was released for certain. So
 * the tiers never run side by side. Several backups of one tier may.
 *
 * A tier is given up when all of its duties have failed, as their holders say, for TIERS_FAILED_MS,
 * or when none was seen to run for `start_within`. Then the best other tier takes over. A tier that
 * was given up is tried again, by ending the one that runs: when it was for want of a node that can
 * run it, as soon as there has been one for `settle`; else after `retry_after`, doubled each time
 * it fails again, at most TIERS_RETRY_MAX times that. When no other tier is worth a try, the
 * present one stays, and whatever retries it has go on. A tier that ran for `settle` and
 * `retry_after` has not failed.
 *
 * Pure. Times are of one clock; what the leader's manager knows here goes to the next one as
 * durations (tiers_document). */
#ifndef UNDERSTUDY_MANAGERS_PM2_TIERS_H
#define UNDERSTUDY_MANAGERS_PM2_TIERS_H

#include "node/base/limits.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TIERS_FAILED_MS 5000 /* longer than one retry at the leader's word takes */
#define TIERS_RETRY_MAX 12

enum tier { TIER_PRIMARY, TIER_STANDARD, TIER_ENHANCED };
#define TIER_COUNT 3
const char *tier_name(enum tier tier); /* "primary", "standard", "enhanced" */

/* What is known of one tier now. */
struct tier_facts {
    size_t count;       /* duties that may be wanted; 0: there is no such tier */
    size_t failed;      /* of them, as their holders say */
    int64_t running_ms; /* the longest of those that run; -1: none runs */
    int64_t able_ms;    /* for how long a node that may run one of them could; -1: none can */
    bool foreign;       /* of the primary: a process that is not ours runs in its place */
    int64_t settle_ms;
    int64_t start_within_ms; /* -1: it is never given up for being silent */
    int64_t retry_after_ms;
    char reason[REASON_SIZE]; /* of a failure, for people; may be empty */
};

struct tier_past {
    uint32_t failures; /* in a row; 0: it was not given up, or has run well since */
    bool for_want;     /* of a node, the last time */
    int64_t at_ms;     /* when */
};

/* All zero: nothing is decided. */
struct tiers {
    bool known;
    enum tier now;
    bool given_up;    /* the present one, but nothing else is worth a try */
    int64_t since_ms; /* it is the present one */
    int64_t ran_ms;   /* it was seen to run last, or began */
    struct tier_past past[TIER_COUNT];
};

/* A tier runs already, as a new leader sees: go on with it. Better ones count as given up now. */
void tiers_begin(struct tiers *self, enum tier now, const struct tier_facts facts[TIER_COUNT],
                 int64_t now_ms);

/* Decide. True: the present tier is another one, or the first. *ret_reason is always written. */
bool tiers_step(struct tiers *self, const struct tier_facts facts[TIER_COUNT], int64_t now_ms,
                char ret_reason[REASON_SIZE]);

/* Nothing is wanted of it for now: what failed before is remembered. */
void tiers_rest(struct tiers *self);

/* After how long the tier is tried again; INT64_MAX: it was not given up. */
int64_t tiers_retry_ms(const struct tiers *self, enum tier tier,
                       const struct tier_facts facts[TIER_COUNT], int64_t now_ms);

/* {primary, tier, for_ms, past: [{failures, for_want, ago_ms}]}. NULL when out of memory. */
json_t *tiers_document(const struct tiers *self, const char *primary, int64_t now_ms);
/* What another leader's manager remembered, told so long ago. False: it makes no sense. */
bool tiers_adopt(struct tiers *self, const json_t *document, int64_t age_ms, int64_t now_ms);

#endif
