/* The guard's lock of a duty, looked at from outside. Path and meaning are the guard's contract:
 * LOCK_DIR/ID.lock with every byte of the id that is no letter, digit, ".", "_" or "-" as %XX, and
 * held by flock(2) as long as anything of the duty lives. */
#ifndef UNDERSTUDY_MANAGERS_COMMON_DUTY_LOCK_H
#define UNDERSTUDY_MANAGERS_COMMON_DUTY_LOCK_H

#include <stdbool.h>
#include <stdint.h>

/* True when no guard holds the duty's lock on this host: nothing of the duty runs here. */
bool duty_lock_is_free(const char *lock_dir, const char *duty);

/* Pid of the guard that took the lock, as it wrote it there; 0: unknown. It may have ended
 * since. */
int64_t duty_lock_holder(const char *lock_dir, const char *duty);

/* Delete the lock file of a duty that no guard will be started for any more. Leaves a lock that is
 * held where it is. Returns whether there is no such file now. */
bool duty_lock_remove(const char *lock_dir, const char *duty);

#endif
