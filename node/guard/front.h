/* The guard's outer process: the one that PM2 sees. It speaks with the node, and does the keeper's
 * work when the keeper is gone or late. */
#ifndef UNDERSTUDY_NODE_GUARD_FRONT_H
#define UNDERSTUDY_NODE_GUARD_FRONT_H

#include "node/guard/options.h"

/* From the first grant to the end of the tree. Returns the guard's exit code. */
int front_run(const struct guard_options *options);

#endif
