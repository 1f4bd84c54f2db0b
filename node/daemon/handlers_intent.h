/* Handlers of the verbs about intents, the effects outside the cluster that happen once
 * (consensus/intents.h): what waits, and a person's word about one that nobody else can settle. */
#ifndef UNDERSTUDY_NODE_DAEMON_HANDLERS_INTENT_H
#define UNDERSTUDY_NODE_DAEMON_HANDLERS_INTENT_H

struct control_request;

/* Open and parked ones, with `all` those that are done, too; the newest change first. */
void handlers_intent_list(void *context, struct control_request *request);
/* Perform a parked one again, or give it up: in both cases it is no question any more. */
void handlers_intent_retry(void *context, struct control_request *request);
void handlers_intent_drop(void *context, struct control_request *request);

#endif
