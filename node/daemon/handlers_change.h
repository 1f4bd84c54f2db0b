/* Verbs that change the replicated state: propose a command, answer when it was decided. */
#ifndef UNDERSTUDY_NODE_DAEMON_HANDLERS_CHANGE_H
#define UNDERSTUDY_NODE_DAEMON_HANDLERS_CHANGE_H

#include "node/daemon/node.h"

/* Propose `command` for the request and answer it with the outcome: {target, changed, index}, or an
 * error. `who` and, when they are not set, `reason` and `why` are filled in from the request. */
void handlers_propose(struct node *self, struct control_request *request, struct command *command);

/* For requests that propose by another way: keep the request until handlers_decided() is called
 * with what is returned, or handlers_refused(). NULL: the request was answered with an error. */
struct handlers_pending;
struct handlers_pending *handlers_pending(struct control_request *request);
/* A proposal_done; `context` is the pending request. */
void handlers_decided(void *context, uint64_t token, int status, const struct state_effect *effect);
/* It was not even proposed. */
void handlers_refused(struct handlers_pending *pending, const struct err *err);

#endif
