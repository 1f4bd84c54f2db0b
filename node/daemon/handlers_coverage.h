/* Handler of `coverage` (consensus/coverage.h): each primary with its backups, when each of them
 * was last proven by a real run, what they share, and what is not covered. Exit 1 when a primary
 * would have nothing to stand in for it if its host failed. */
#ifndef UNDERSTUDY_NODE_DAEMON_HANDLERS_COVERAGE_H
#define UNDERSTUDY_NODE_DAEMON_HANDLERS_COVERAGE_H

#include "node/control/control.h"

void handlers_coverage(void *context, struct control_request *request);

#endif
