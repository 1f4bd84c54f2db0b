/* The watching parent: starts the node process, watches it, speaks for it when it is dead, starts
 * it again. It does nothing else, so it has little to die of.
 *
 * When the node process dies without having left: the parent makes certain that its managers are
 * gone, sends the obituary, stops the guarded processes (or leaves them to their grants, when
 * grants.on_disconnect says keep) and tells that too, and starts the node again when a majority has
 * acknowledged all that, or after OBITUARY_WAIT_MS (four heartbeats where those are longer), with a
 * growing pause; never after exit code 78. When the node's loop, disk or consensus hangs for more
 * than ten seconds, the parent ends it: its death can be proven, its silence cannot. */
#ifndef UNDERSTUDY_NODE_DAEMON_PARENT_H
#define UNDERSTUDY_NODE_DAEMON_PARENT_H

#include "node/config/config.h"
#include "node/config/keys.h"

#include <signal.h>

#define OBITUARY_WAIT_MS 500

/* Exit codes of the program. */
#define DAEMON_EXIT_FAILED 1
#define DAEMON_EXIT_TEMPORARY 75
#define DAEMON_EXIT_CONFIGURATION 78

struct parent_start {
    const struct config *config;
    const struct key_own *own;
    int guard_listen_fd;
    /* Runs the node in the child with its end of the link; `restarted`: it had a life before.
     * Returns the exit code. */
    int (*run_node)(void *context, int link_fd, bool restarted);
    void *context;
};

/* Block the signals that the parent takes. Call it first thing: the first process of a container
 * has no default actions, so a signal that comes before would be lost. */
sigset_t parent_block_signals(void);

/* Until the node has left or cannot be started; returns the exit code. One thread. */
int parent_run(const struct parent_start *start);

#endif
