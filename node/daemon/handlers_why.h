/* Handlers of `why leader|duty|run|alert`, `why not duty` and `audit show`: consensus/why.h and the
 * audit ring of this node's state. */
#ifndef UNDERSTUDY_NODE_DAEMON_HANDLERS_WHY_H
#define UNDERSTUDY_NODE_DAEMON_HANDLERS_WHY_H

#include "node/control/control.h"

/* `why leader`, `why duty`, `why run`, `why alert`. */
void handlers_why(void *context, struct control_request *request);
/* With what speaks for and against each node, when this node acts as leader (handlers_place.c). */
void handlers_why_not_duty(void *context, struct control_request *request);
/* `audit show`: the replicated audit ring, the newest first. */
void handlers_audit_show(void *context, struct control_request *request);

#endif
