/* Local health multiplier (Lifeguard, LHA-Probe): how much this node doubts itself.
 *
 * It rises when probes fail without the nacks that show others to be reachable, when this node
 * had to refute a suspicion, and after a stall; it falls with every answered probe. Probe interval
 * and timeout are stretched by 1 + awareness, so a slow node gives others more time. */
#ifndef UNDERSTUDY_GOSSIP_AWARENESS_H
#define UNDERSTUDY_GOSSIP_AWARENESS_H

#include <stdint.h>

struct awareness {
    unsigned score; /* 0..max - 1; 0 is well */
    unsigned max;   /* 1..16 */
};

void gossip_awareness_init(struct awareness *self, unsigned max);

/* Add `delta` (negative: better), within the bounds. */
void gossip_awareness_apply(struct awareness *self, int delta);

/* Change of the score after a failed probe: every helper that was asked and sent neither ack nor
 * nack counts against this node; without helpers the failure itself does. */
int gossip_awareness_failed_probe_delta(unsigned helpers_asked, unsigned nacks);

/* `ms` stretched by 1 + score. */
int64_t gossip_awareness_scale_ms(const struct awareness *self, int64_t ms);

#endif
