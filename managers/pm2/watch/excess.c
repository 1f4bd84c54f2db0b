#include "managers/pm2/watch/excess.h"

#include <stddef.h>

bool excess_step(struct excess *self, double value, double limit, int64_t over_ms, int64_t now_ms)
{
    if (limit <= 0) {
        *self = (struct excess){0};
        return false;
    }
    if (value < 0) {
        return self->told;
    }
    if (value <= limit) {
        *self = (struct excess){0};
        return false;
    }
    if (self->since_ms == 0) {
        self->since_ms = now_ms;
    }
    self->told = now_ms - self->since_ms >= over_ms;
    return self->told;
}

void growth_forget(struct growth *self)
{
    *self = (struct growth){0};
}

void growth_step(struct growth *self, int64_t bytes, int64_t now_ms)
{
    if (bytes < 0 || (self->count > 0 && now_ms - self->sampled_ms < GROWTH_PAUSE_MS)) {
        return;
    }
    self->sampled_ms = now_ms;
    self->bytes[self->next] = bytes;
    self->next = (self->next + 1) % GROWTH_SAMPLES;
    self->count += self->count < GROWTH_SAMPLES;
}

/* From the oldest on. */
static double sample(const struct growth *self, unsigned index)
{
    unsigned first = self->count < GROWTH_SAMPLES ? 0 : self->next;
    return (double)self->bytes[(first + index) % GROWTH_SAMPLES];
}

int64_t growth_left_ms(const struct growth *self, int64_t limit_bytes)
{
    unsigned count = self->count;
    if (count < GROWTH_SAMPLES_MIN) {
        return -1;
    }
    double mean_x = (count - 1) / 2.0;
    double mean_y = 0;
    for (unsigned i = 0; i < count; i++) {
        mean_y += sample(self, i) / count;
    }
    double over = 0;
    double under = 0;
    for (unsigned i = 0; i < count; i++) {
        over += (i - mean_x) * (sample(self, i) - mean_y);
        under += (i - mean_x) * (i - mean_x);
    }
    double slope = over / under; /* bytes in GROWTH_PAUSE_MS */
    double begin = mean_y - slope * mean_x;
    double end = mean_y + slope * mean_x;
    if (slope <= 0 || end - begin < begin / 10) {
        return -1;
    }
    double left = ((double)limit_bytes - end) / slope * GROWTH_PAUSE_MS;
    return left < 0 ? 0 : left > 1e15 ? -1 : (int64_t)left;
}
