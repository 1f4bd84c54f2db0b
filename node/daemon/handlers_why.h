/* Handlers of `why leader|duty|run|alert` and `why not duty`: consensus/why.h on this node's state,
 * with what only the living know added. */
#ifndef UNDERSTUDY_NODE_DAEMON_HANDLERS_WHY_H
#define UNDERSTUDY_NODE_DAEMON_HANDLERS_WHY_H

#include "node/control/control.h"

void handlers_why_leader(void *context, struct control_request *request);
void handlers_why_duty(void *context, struct control_request *request);
void handlers_why_run(void *context, struct control_request *request);
void handlers_why_alert(void *context, struct control_request *request);

#endif
