/* A suspicion: since when, who accuses, and how long the suspect has left to refute.
 *
 * Lifeguard, LHA-Suspicion: begins with a long time and shrinks on a log scale with every
 * independent accuser, so that one slow accuser cannot bury a healthy member. */
#ifndef UNDERSTUDY_GOSSIP_SUSPICION_H
#define UNDERSTUDY_GOSSIP_SUSPICION_H

#include "node/base/limits.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ACCUSERS_MAX 5 /* the first one and gossip_config.confirmations */

struct suspicion {
    int64_t start_ms;
    int64_t asked_ms; /* when this node asked around for the last time; INT64_MIN: not yet */
    bool doubted;     /* others hold it dead already: the least time is enough */
    unsigned accuser_count;
    char accusers[ACCUSERS_MAX][NAME_SIZE];
};

void gossip_suspicion_init(struct suspicion *self, int64_t now_ms);

/* Remember an accuser. True when it is a new one and there was room. */
bool gossip_suspicion_accuse(struct suspicion *self, const char *by);

/* Accusers beyond the first one. */
unsigned gossip_suspicion_confirmations(const struct suspicion *self);

/* The least time of a suspicion: mult * max(1, log10(members)) * interval_ms; members >= 1. */
int64_t gossip_suspicion_min_ms(unsigned mult, size_t members, int64_t interval_ms);

/* Time from the beginning of a suspicion to a death.
 *
 * confirmations   0..wanted; more count as wanted
 * wanted          0 means min_ms at once
 * min_ms, max_ms  0 < min_ms <= max_ms
 *
 * max_ms without a confirmation, min_ms with all of them:
 * max - (max - min) * log(confirmations + 1) / log(wanted + 1). */
int64_t gossip_suspicion_timeout_ms(unsigned confirmations, unsigned wanted, int64_t min_ms,
                                    int64_t max_ms);

#endif
