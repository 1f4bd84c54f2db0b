/* How often a process ended by itself of late. Pure. */
#ifndef UNDERSTUDY_MANAGERS_PM2_LOOP_H
#define UNDERSTUDY_MANAGERS_PM2_LOOP_H

#include <stdint.h>

#define LOOP_ENDS_MAX 64 /* the latest that are kept, so the most that can be asked for */

/* All zero: none. */
struct loop {
    int64_t at_ms[LOOP_ENDS_MAX]; /* a ring; 0: empty */
    unsigned next;
};

/* It ended `count` times, now_ms > 0 of CLOCK_BOOTTIME. */
void loop_add(struct loop *self, int64_t count, int64_t now_ms);

/* Ends within the window before now_ms. */
unsigned loop_count(const struct loop *self, int64_t window_ms, int64_t now_ms);

#endif
