/* The lock of a duty on this host: at most one guard, and nothing left of an earlier one. */
#ifndef UNDERSTUDY_NODE_GUARD_LOCK_H
#define UNDERSTUDY_NODE_GUARD_LOCK_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Take the lock file, waiting at most `wait_ms` for its holder; writes our pid and the duty into
 * it. The descriptor is not close-on-exec on purpose: everything that the guard starts inherits it,
 * so the lock is free only when all of that is gone. Returns the descriptor, or -1 with *ret_holder
 * (the pid that took it, 0: unknown) and errno EWOULDBLOCK, or another errno. */
int lock_take(const char *path, const char *duty, int64_t wait_ms, pid_t *ret_holder);

/* The pid and duty in a lock file; false when they cannot be read. */
bool lock_read(int fd, pid_t *ret_pid, char *ret_duty, int duty_size);

#endif
