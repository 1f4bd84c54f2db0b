/* The guard's outer process: the one that PM2 sees. It speaks with the node, and does the keeper's
 * work when the keeper is gone or late. */
#ifndef UNDERSTUDY_NODE_GUARD_FRONT_H
#define UNDERSTUDY_NODE_GUARD_FRONT_H

#include "node/guard/options.h"

/* Whether a line to standard error is taken without waiting. It may be a pipe that is full, and
 * whose reader is gone or stopped: a guard that waited there would hold its lock for ever. */
bool front_may_say(void);

/* From the first grant to the end of the tree. Returns the guard's exit code. */
int front_run(const struct guard_options *options);

#endif
