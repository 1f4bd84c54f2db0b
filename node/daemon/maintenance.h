/* Maintenance on this node, and the gate of its managers (consensus/gate.h). Loop thread. */
#ifndef UNDERSTUDY_NODE_DAEMON_MAINTENANCE_H
#define UNDERSTUDY_NODE_DAEMON_MAINTENANCE_H

#include "consensus/gate.h"

#include <jansson.h>

struct node;

/* What holds the manager's work still now. */
enum gate maintenance_gate(const struct node *self, const char *manager);

/* As acting leader: end a maintenance whose time is over. */
void maintenance_run(struct node *self);
/* A setting was applied: tell an event when it began or ended a maintenance. */
void maintenance_applied(struct node *self, const struct state_effect *effect);

/* For `status`: null while it is off, else {until, left_s, who, why, deferred: [{duty, node, what,
 * why}]}; what: start, stop or move. */
json_t *maintenance_document(const struct node *self);

#endif
