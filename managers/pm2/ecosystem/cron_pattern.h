/* Whether PM2's cron library (croner 4) takes a pattern. Pure. */
#ifndef UNDERSTUDY_MANAGERS_PM2_ECOSYSTEM_CRON_PATTERN_H
#define UNDERSTUDY_MANAGERS_PM2_ECOSYSTEM_CRON_PATTERN_H

#include "node/base/err.h"

#include <stdbool.h>

#define CRON_PATTERN_SIZE 256 /* bytes of a pattern with its NUL; a longer one is refused here */

/* 0, or ERR_INVALID with what is wrong. *ret_once: it is a point in time ("2026-01-01T03:00:00"),
 * which comes once; whether that exists is not looked at. */
int cron_pattern_check(const char *pattern, bool *ret_once, struct err *err);

#endif
