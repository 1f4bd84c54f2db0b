/* Handlers of the verbs about scheduled work: schedule, run, ticks. */
#ifndef UNDERSTUDY_NODE_DAEMON_HANDLERS_WORK_H
#define UNDERSTUDY_NODE_DAEMON_HANDLERS_WORK_H

#include "node/control/control.h"

void handlers_schedule_list(void *context, struct control_request *request);
void handlers_schedule_show(void *context, struct control_request *request);
void handlers_schedule_next(void *context, struct control_request *request);
void handlers_run_list(void *context, struct control_request *request);
void handlers_run_show(void *context, struct control_request *request);
void handlers_run_logs(void *context, struct control_request *request);
void handlers_run_cancel(void *context, struct control_request *request);
void handlers_run_start(void *context, struct control_request *request);
void handlers_ticks_ledger(void *context, struct control_request *request);

#endif
