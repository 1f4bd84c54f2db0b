#include "node/base/rng.h"

#include "node/base/invariant.h"

#include <sys/random.h>

static uint64_t rotate_left(uint64_t value, int count)
{
    return (value << count) | (value >> (64 - count));
}

static uint64_t split_mix(uint64_t *seed)
{
    uint64_t z = (*seed += 0x9E3779B97F4A7C15u);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

void rng_init(struct rng *self, uint64_t seed)
{
    for (int i = 0; i < 4; i++) {
        self->state[i] = split_mix(&seed);
    }
}

uint64_t rng_system_seed(void)
{
    uint64_t seed = 0;
    ssize_t got = getrandom(&seed, sizeof seed, 0);
    invariant(got == (ssize_t)sizeof seed);
    return seed;
}

uint64_t rng_next(struct rng *self)
{
    uint64_t *s = self->state;
    uint64_t result = rotate_left(s[1] * 5, 7) * 9;
    uint64_t t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotate_left(s[3], 45);
    return result;
}

uint64_t rng_below(struct rng *self, uint64_t bound)
{
    invariant(bound > 0);
    uint64_t reject_under = (0 - bound) % bound; /* makes every value equally likely */
    for (;;) {
        uint64_t value = rng_next(self);
        if (value >= reject_under) {
            return value % bound;
        }
    }
}

int64_t rng_between(struct rng *self, int64_t low, int64_t high)
{
    invariant(low <= high);
    uint64_t span = (uint64_t)high - (uint64_t)low + 1;
    if (span == 0) {
        return (int64_t)rng_next(self);
    }
    return (int64_t)((uint64_t)low + rng_below(self, span));
}
