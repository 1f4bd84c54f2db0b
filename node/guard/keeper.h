/* The guard's inner process: it owns the guarded process and everything below it.
 *
 * It knows no socket of the node: the front tells it deadlines and stops over a socket pair. It
 * sends SIGTERM kill_timeout before the deadline and kills at the deadline, front or no front; the
 * front's end is seen as end of file, and then it kills at once. */
#ifndef UNDERSTUDY_NODE_GUARD_KEEPER_H
#define UNDERSTUDY_NODE_GUARD_KEEPER_H

#include <signal.h>
#include <stdint.h>
#include <sys/types.h>

enum link_kind {
    LINK_DEADLINE, /* front: deadline_ms; only later ones count */
    LINK_STOP,     /* front: signal, reason; decently, within the kill timeout */
    LINK_PASS,     /* front: signal for the process alone */
    LINK_STARTED,  /* keeper: pid */
    LINK_DONE,     /* keeper: reason, status, signal; nothing is left of the tree */
};

struct link_message {
    uint32_t kind;
    int32_t signal;
    uint32_t reason; /* enum post_reason */
    int32_t status;  /* exit code, 128 + signal */
    int32_t pid;
    int64_t deadline_ms;
};

struct keeper_config {
    int link;
    int64_t deadline_ms;
    int64_t kill_timeout_ms;
    char *const *program;
    char *const *environment;
    const sigset_t *signals; /* the mask that the program starts with */
};

/* Runs the program to its end; called in the forked process. Returns its exit code. */
int keeper_run(const struct keeper_config *config);

/* Exit code of a wait status: the code, or 128 + signal. */
int keeper_exit_code(int status);
/* The signal of a wait status; 0: it ended by itself. */
int keeper_signal(int status);

/* Shared small tools of both processes. */
int keeper_timer(void);
void keeper_timer_set(int timer, int64_t at_ms); /* CLOCK_BOOTTIME; INT64_MAX: off */
void keeper_timer_clear(int timer);              /* after it fired */

#endif
