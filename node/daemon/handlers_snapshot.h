/* Handler of `snapshot page`, which `snapshot save` asks again and again: without a handle a copy
 * of the state is taken, and its first page answered as soon as it is encoded; with one, a further
 * page of that copy. The last page ends it. */
#ifndef UNDERSTUDY_NODE_DAEMON_HANDLERS_SNAPSHOT_H
#define UNDERSTUDY_NODE_DAEMON_HANDLERS_SNAPSHOT_H

struct control_request;
struct node;

void handlers_snapshot_page(void *context, struct control_request *request);
/* snapshots_fd() is readable. */
void handlers_snapshot_ready(struct node *self);

#endif
