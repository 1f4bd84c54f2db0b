/* Handlers that answer more than once, or later: streams of events and logs, and the
 * transfer of leadership, which is answered when another node leads. */
#ifndef UNDERSTUDY_NODE_DAEMON_HANDLERS_STREAM_H
#define UNDERSTUDY_NODE_DAEMON_HANDLERS_STREAM_H

#include <stdint.h>

struct control_request;
struct node;

void handlers_stream_events(void *context, struct control_request *request);
void handlers_stream_logs(void *context, struct control_request *request);

/* Hand over to `target` and answer when some other node leads. */
void handlers_stream_transfer(struct node *self, struct control_request *request, uint64_t target);

/* Feed the streams and look after the transfers; each turn of the loop. */
void handlers_stream_run(struct node *self, int64_t now_ms);

#endif
