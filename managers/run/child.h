/* Starting the guard of an attempt.
 *
 * The guard is a session of its own and does not die with this manager: it is the node that grants
 * and revokes, and the next life of this manager takes it up again. Its program gets /dev/null as
 * input and the pipe as output and error, and no other descriptor of ours. */
#ifndef UNDERSTUDY_MANAGERS_RUN_CHILD_H
#define UNDERSTUDY_MANAGERS_RUN_CHILD_H

#include "managers/run/environment.h"
#include "node/base/err.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define CHILD_EXIT_NOT_RUN 125 /* of a child that did not become a guard */

struct child_start {
    const char *guard_path;
    const char *guard_socket;
    const char *lock_dir;
    const char *duty;
    int64_t kill_timeout_ms; /* between SIGTERM and SIGKILL */
    const char *pipe_path;   /* a FIFO; its reader is open already */
    const char *end_path;
    const char *cwd;
    const char *const *words; /* the command and its arguments, NULL at the end */
    size_t word_count;
    const struct environment *environment;
};

/* *ret_pidfd is the caller's; the child is to be awaited by it. ERR_IO, ERR_NOMEM. */
int child_start(const struct child_start *start, pid_t *ret_pid, int *ret_pidfd, struct err *err);

/* Whether `name` would be found as a program: by its path, from `cwd` on, or in `search` (PATH). */
bool child_finds(const char *name, const char *cwd, const char *search);

#endif
