/* Handlers of the verbs about maintenance, modes, alerts and recoveries. */
#ifndef UNDERSTUDY_NODE_DAEMON_HANDLERS_RECORD_H
#define UNDERSTUDY_NODE_DAEMON_HANDLERS_RECORD_H

struct control_request;

void handlers_maintenance_on(void *context, struct control_request *request);
void handlers_maintenance_off(void *context, struct control_request *request);
void handlers_manager_mode(void *context, struct control_request *request);
void handlers_alert_list(void *context, struct control_request *request);
void handlers_alert_ack(void *context, struct control_request *request);
void handlers_alert_resolve(void *context, struct control_request *request);
void handlers_recovery(void *context, struct control_request *request);

#endif
