/* The node's side of understudy-guard: gives grants to the guards of this host, or takes them away.
 *
 * Each exclusive process runs under a guard (safety.md, "The guard"). A guard connects to a local
 * SOCK_SEQPACKET socket and says hello; the node answers with grants {assignment, term, deadline}
 * and renews them, or revokes. Deadlines are milliseconds of CLOCK_BOOTTIME of this host. The guard
 * keeps the latest deadline that it was given; it stops its processes by then, whatever becomes of
 * the node.
 *
 * What the end of a guard means:
 * - `released` says that nothing of the duty's process tree runs any more. It is sent after a
 *   revocation, a lapse, a disconnect (when so configured), a signal, or when the process ended by
 *   itself; the reason tells which. Only then the node may release the assignment.
 * - `gone` without `released` before it says only that the guard's front process ended, or that the
 *   connection broke. Its keeper kills the tree within milliseconds then; the tree lives at worst
 *   until the last deadline that was given: wait for that, or for post_lock_free().
 *
 * Taking over after the node's death: the parent makes the listening socket (post_listen) and keeps
 * it open; the node inherits it and makes its post from it. When the node dies, its connections
 * break, the guards connect again at once, and their connections wait in the queue of the parent's
 * socket. To stop them, the parent makes a post of its own from the same descriptor with
 * `revoke_on_hello`, processes it until post_locks_held() finds no held lock (or until the time it
 * allows), and destroys it. To leave them to their grants it does nothing: they run until their
 * deadline and will find the next node in the same queue. The lock is the proof, the message a
 * courtesy: a duty's lock is held by the guard and inherited by everything that it started, so a
 * lock that is free means that nothing of it runs on this host.
 *
 * One thread uses a post. Nothing here waits. */
#ifndef UNDERSTUDY_NODE_GUARD_POST_H
#define UNDERSTUDY_NODE_GUARD_POST_H

#include "node/base/err.h"
#include "node/base/limits.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define POST_GUARDS_MAX 256 /* guards of one host, and connections that have not said hello */
#define POST_UIDS_MAX 8
#define POST_EXIT_LOST 86 /* the guard's exit code after a lost or missing grant */

struct post;

enum post_reason {
    POST_ENDED = 1,    /* the process ended by itself; `status` is its exit code */
    POST_SIGNALLED,    /* somebody (PM2) ended the guard by SIGTERM or SIGINT */
    POST_REVOKED,      /* on our word */
    POST_LAPSED,       /* the deadline passed */
    POST_DISCONNECTED, /* the connection broke and the guard was told to stop then */
    POST_NEVER_RAN,    /* no grant came in time; the process was not started */
};

struct post_guard {
    char duty[DUTY_ID_SIZE];
    pid_t pid;           /* the guard's front process, the one under PM2 */
    pid_t child;         /* the guarded process, 0 while it does not run */
    uint64_t assignment; /* of the latest grant, 0: none yet */
    uint64_t term;
    int64_t deadline_ms; /* latest deadline that the guard has; INT64_MIN: none */
    bool revoked;
};

struct post_callbacks {
    /* A guard is there. guard->assignment and deadline_ms are what it holds from before (after a
     * reconnection), else 0. May call post_grant or post_revoke. */
    void (*hello)(void *context, const struct post_guard *guard);
    /* The process was started or a connection brought news of it; guard->child is set. */
    void (*started)(void *context, const struct post_guard *guard);
    /* Nothing of the duty runs any more. `status`: exit code of the process, 128 + signal for
     * signals, -1 when it never ran. */
    void (*released)(void *context, const struct post_guard *guard, enum post_reason reason,
                     int status);
    /* The connection ended. */
    void (*gone)(void *context, const struct post_guard *guard);
};

struct post_config {
    int listen_fd;                   /* of post_listen; duplicated, the caller keeps its own */
    struct post_callbacks callbacks; /* every slot set */
    void *context;
    uid_t uids[POST_UIDS_MAX]; /* users whose guards are accepted beside root and our own */
    size_t uid_count;
    bool revoke_on_hello; /* answer each hello with a revocation (the parent's use) */
};

/* Make the listening socket at `path` (at most 107 bytes) with the given mode (0600; 0666 when
 * other users' guards must reach it: they are checked by SO_PEERCRED in any case). A dead socket
 * file in the way is removed; a live one (somebody answers) is ERR_BUSY. The descriptor is
 * close-on-exec: clear the flag for a child that shall inherit it. */
int post_listen(const char *path, mode_t mode, int *ret_fd, struct err *err);

int post_create(const struct post_config *config, struct post **ret, struct err *err);
/* Closes all connections (the guards keep their deadlines and look for a successor). */
void post_destroy(struct post **self_p);

/* Readable when post_process has something to do: an epoll descriptor for zloop or poll. */
int post_fd(const struct post *self);

/* Accept, read, call back; never waits. Callbacks must not call post_process or post_destroy. */
void post_process(struct post *self);

/* Give or renew the right to run until `deadline_ms` (CLOCK_BOOTTIME). A deadline earlier than one
 * already given changes nothing. ERR_NOTFOUND: no guard of this duty is connected; ERR_UNSAFE: it
 * was revoked; ERR_FULL: its socket takes no more now (it is stopped or slow; renew again later);
 * ERR_INVALID: an empty or over-long name, assignment 0. */
int post_grant(struct post *self, const char *duty, uint64_t assignment, uint64_t term,
               int64_t deadline_ms, struct err *err);

/* Stop decently now: SIGTERM, kill timeout, SIGKILL, all before the deadline; then `released`.
 * Remembered until the guard has it. ERR_NOTFOUND. */
int post_revoke(struct post *self, const char *duty, struct err *err);
void post_revoke_all(struct post *self);

/* False when no guard of the duty is connected. */
bool post_find(const struct post *self, const char *duty, struct post_guard *ret);
/* Copies at most `max` rows, returns how many guards there are. */
size_t post_list(const struct post *self, struct post_guard *ret, size_t max);

struct post_counters {
    uint64_t accepted;
    uint64_t refused;   /* wrong user, table full */
    uint64_t malformed; /* messages that were not understood; the connection was closed */
};

void post_counters(const struct post *self, struct post_counters *ret);

/* Locks of guards: one file per duty in `lock_dir`. */

/* True when no process of the duty runs on this host under a guard. Also when there is no such
 * file. Takes the lock for an instant; a guard that starts meanwhile tries again. */
bool post_lock_free(const char *lock_dir, const char *duty);

/* Names of the duties whose lock is held, at most `max` copied; returns how many, or a negative
 * code when the folder cannot be read. */
int post_locks_held(const char *lock_dir, char (*ret)[DUTY_ID_SIZE], size_t max);

#endif
