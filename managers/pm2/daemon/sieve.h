/* Whether two of PM2's lists say the same, told from their text: a list of some hundred processes
 * is near a megabyte, mostly their environments, and to read it as JSON costs more than all else of
 * the manager's work. What PM2 measures does not count, but for whether it measures at all. Pure.
 */
#ifndef UNDERSTUDY_MANAGERS_PM2_SIEVE_H
#define UNDERSTUDY_MANAGERS_PM2_SIEVE_H

#include <stddef.h>
#include <stdint.h>

/* Of the list's JSON; any bytes are fine. `seed` is secret and stays the same for both. Lists that
 * differ in more than the figures of `monit` and `axm_monitor` have another digest. */
uint64_t sieve_digest(const char *json, size_t length, uint64_t seed);

#endif
