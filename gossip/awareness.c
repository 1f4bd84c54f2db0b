#include "gossip/awareness.h"

#include "node/base/invariant.h"

void gossip_awareness_init(struct awareness *self, unsigned max)
{
    invariant(max >= 1);
    *self = (struct awareness){.score = 0, .max = max};
}

void gossip_awareness_apply(struct awareness *self, int delta)
{
    int64_t score = (int64_t)self->score + delta;
    int64_t highest = (int64_t)self->max - 1;
    if (score < 0) {
        score = 0;
    }
    self->score = (unsigned)(score > highest ? highest : score);
    invariant(self->score < self->max);
}

int gossip_awareness_failed_probe_delta(unsigned helpers_asked, unsigned nacks)
{
    if (helpers_asked == 0) {
        return 1;
    }
    return nacks >= helpers_asked ? 0 : (int)(helpers_asked - nacks);
}

int64_t gossip_awareness_scale_ms(const struct awareness *self, int64_t ms)
{
    return ms * (1 + (int64_t)self->score);
}
