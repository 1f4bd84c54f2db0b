/* Taking a newly read configuration and new keys into use while the node runs. */
#ifndef UNDERSTUDY_NODE_DAEMON_APPLY_H
#define UNDERSTUDY_NODE_DAEMON_APPLY_H

struct node;
struct reload_result;

/* Takes what is in *result. All or nothing: when the read failed, or a key changed that needs a
 * restart, everything stays as it is and an event says why. */
void apply_reload(struct node *self, struct reload_result *result);

#endif
