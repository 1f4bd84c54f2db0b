#include "managers/pm2/watch/loop.h"

void loop_add(struct loop *self, int64_t count, int64_t now_ms)
{
    for (int64_t i = 0; i < count && i < LOOP_ENDS_MAX; i++) {
        self->at_ms[self->next] = now_ms;
        self->next = (self->next + 1) % LOOP_ENDS_MAX;
    }
}

unsigned loop_count(const struct loop *self, int64_t window_ms, int64_t now_ms)
{
    unsigned count = 0;
    for (unsigned i = 0; i < LOOP_ENDS_MAX; i++) {
        count += self->at_ms[i] != 0 && now_ms - self->at_ms[i] < window_ms;
    }
    return count;
}
