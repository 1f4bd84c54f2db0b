#include "gossip/suspicion.h"

#include "node/base/invariant.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

void gossip_suspicion_init(struct suspicion *self, int64_t now_ms)
{
    *self = (struct suspicion){.start_ms = now_ms, .asked_ms = INT64_MIN};
}

bool gossip_suspicion_accuse(struct suspicion *self, const char *by)
{
    for (unsigned i = 0; i < self->accuser_count; i++) {
        if (strcmp(self->accusers[i], by) == 0) {
            return false;
        }
    }
    if (self->accuser_count >= ACCUSERS_MAX) {
        return false;
    }
    (void)snprintf(self->accusers[self->accuser_count], NAME_SIZE, "%s", by);
    self->accuser_count++;
    return true;
}

unsigned gossip_suspicion_confirmations(const struct suspicion *self)
{
    return self->accuser_count == 0 ? 0 : self->accuser_count - 1;
}

int64_t gossip_suspicion_min_ms(unsigned mult, size_t members, int64_t interval_ms)
{
    invariant(members >= 1);
    double scale = fmax(1.0, log10((double)members));
    return (int64_t)((double)mult * scale * (double)interval_ms);
}

int64_t gossip_suspicion_timeout_ms(unsigned confirmations, unsigned wanted, int64_t min_ms,
                                    int64_t max_ms)
{
    invariant(min_ms > 0);
    invariant(min_ms <= max_ms);
    if (confirmations >= wanted) {
        return min_ms;
    }
    double part = log((double)confirmations + 1.0) / log((double)wanted + 1.0);
    int64_t timeout_ms = max_ms - (int64_t)((double)(max_ms - min_ms) * part);
    return timeout_ms < min_ms ? min_ms : timeout_ms;
}
