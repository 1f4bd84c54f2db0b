/* Random numbers for timers and choices (never for keys): xoshiro256**, seeded from outside, so
 * that one seed replays a run. Blackman and Vigna, "Scrambled linear pseudorandom number
 * generators". */
#ifndef UNDERSTUDY_NODE_BASE_RNG_H
#define UNDERSTUDY_NODE_BASE_RNG_H

#include <stdint.h>

struct rng {
    uint64_t state[4];
};

/* Any seed is good, zero too. */
void rng_init(struct rng *self, uint64_t seed);

/* From the kernel's random source; for the shells. */
uint64_t rng_system_seed(void);

uint64_t rng_next(struct rng *self);

/* Uniform in [0, bound); bound > 0. */
uint64_t rng_below(struct rng *self, uint64_t bound);

/* Uniform in [low, high], low <= high. */
int64_t rng_between(struct rng *self, int64_t low, int64_t high);

#endif
