/* Who writes to a log, as /proc tells. */
#ifndef UNDERSTUDY_MANAGERS_PM2_LOGS_WRITERS_H
#define UNDERSTUDY_MANAGERS_PM2_LOGS_WRITERS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>
#include <sys/types.h>

/* False: one of `pids` holds the file open for writing at a place of its own instead of its end.
 * A process that is gone, or may not be looked into, is not held against it. */
bool writers_append(const struct stat *file, const pid_t *pids, size_t count);

#endif
