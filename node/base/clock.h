/* The only door to the system's clocks. Pure parts get the time as an argument instead. */
#ifndef UNDERSTUDY_NODE_BASE_CLOCK_H
#define UNDERSTUDY_NODE_BASE_CLOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Time since boot, suspended time included (CLOCK_BOOTTIME): what leases and grants count in. */
int64_t clock_boot_ns(void);
int64_t clock_boot_ms(void);
int64_t clock_boot_us(void);

/* CLOCK_MONOTONIC, which stops while the machine is suspended: only for those who count in it. */
int64_t clock_monotonic_us(void);

/* Wall clock, milliseconds since 1970 UTC: for display, records and schedules; never for leases. */
int64_t clock_wall_ms(void);

/* For tests of what takes weeks: from now on the wall clock of this process stands at WALL_MS when
 * the time since boot is BOOT_MS, and runs RATE times as fast (1 to 100,000). `text` is
 * "BOOT_MS:WALL_MS:RATE", so that all processes of a machine agree. False: malformed, nothing
 * changes. Before other threads exist. */
bool clock_use_test(const char *text);

/* The machine's own wall clock, whatever clock_use_test() says: what is compared with others'. */
int64_t clock_machine_wall_ms(void);

/* Where a daemon leaves that text for its managers. */
#define CLOCK_TEST_VARIABLE "UNDERSTUDY_TEST_CLOCK"

/* How long until the wall clock shows `wall_ms`, in ms of real time; 0: it does already. */
int64_t clock_wall_delay_ms(int64_t wall_ms);

#define CLOCK_RFC3339_SIZE 32

/* "2026-01-31T12:00:00.000Z" of `wall_ms` into `ret`; returns `ret`. */
const char *clock_rfc3339(int64_t wall_ms, char ret[CLOCK_RFC3339_SIZE]);

/* "2026-11-22T05:15:00Z", or with an offset ("+01:00"), as seconds of UTC since 1970. False: not
 * RFC 3339, no such day or time (leap seconds too), a fraction, or a year before 1970. */
bool clock_instant_parse(const char *text, int64_t *ret_s);

#endif
