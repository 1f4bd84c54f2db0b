/* Figures that are too high for too long, and figures that will be. Pure. */
#ifndef UNDERSTUDY_MANAGERS_PM2_EXCESS_H
#define UNDERSTUDY_MANAGERS_PM2_EXCESS_H

#include <stdbool.h>
#include <stdint.h>

/* All zero: not over. */
struct excess {
    int64_t since_ms; /* over the limit without a break; 0: it is not */
    bool told;        /* for long enough */
};

/* A new sample, now_ms > 0. A negative one is not known and changes nothing; limit 0: none.
 * Returns whether it has been over the limit for over_ms. */
bool excess_step(struct excess *self, double value, double limit, int64_t over_ms, int64_t now_ms);

#define GROWTH_SAMPLES 60
#define GROWTH_PAUSE_MS 60000 /* between samples */
#define GROWTH_SAMPLES_MIN 20 /* before anything is said */

/* Memory of the last hour, by the minute. All zero: nothing is known. */
struct growth {
    int64_t bytes[GROWTH_SAMPLES]; /* a ring */
    unsigned count;
    unsigned next;
    int64_t sampled_ms;
};

void growth_forget(struct growth *self);
void growth_step(struct growth *self, int64_t bytes, int64_t now_ms);

/* Milliseconds until it reaches limit_bytes when it goes on so; -1: it does not grow, or not enough
 * is known. The line through the samples (least squares) must rise by a tenth of what there was,
 * so that a heap that breathes does not count. */
int64_t growth_left_ms(const struct growth *self, int64_t limit_bytes);

#endif
