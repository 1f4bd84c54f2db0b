/* The verbs of the PM2 managers, over all nodes at once. */
#ifndef UNDERSTUDY_NODE_DAEMON_HANDLERS_PM2_H
#define UNDERSTUDY_NODE_DAEMON_HANDLERS_PM2_H

#include "node/control/control.h"

/* Each is a control_handler's; `context` is the node. */
void handlers_pm2_list(void *context, struct control_request *request);
void handlers_pm2_adopt(void *context, struct control_request *request);
/* pm2 start, stop and restart. */
void handlers_pm2_change(void *context, struct control_request *request);
void handlers_pm2_logs(void *context, struct control_request *request);
void handlers_pm2_backups(void *context, struct control_request *request);
void handlers_pm2_reinstate(void *context, struct control_request *request);

#endif
