/* `pm2 list|adopt|start|stop|restart|logs` on this node: what a person asks of the PM2s here, on
 * whatever node it was asked (node/daemon/fan.h).
 *
 * A person's start or stop is no decision of the cluster: it needs no leader, and pauses, shadow
 * and maintenance do not hinder it, as they would not hinder `pm2 stop` by hand. It goes by the
 * names of a settled list, to exact ids, one request after the other, and what is told in the end
 * is what the list says after. Our own backups are refused. At most VERBS_MAX at once. */
#ifndef UNDERSTUDY_MANAGERS_PM2_VERBS_H
#define UNDERSTUDY_MANAGERS_PM2_VERBS_H

#include "managers/pm2/pm2.h"

#define VERBS_MAX 16
#define VERBS_TARGETS_MAX 128 /* processes that one command changes */
#define VERBS_MARGIN_MS 300   /* the answer goes so long before nobody waits any more */

/* Returns whether the command is one of them; it is then answered, now or later. */
bool verbs_take(struct pm2 *self, const struct manager_command *command);
/* Go on with what is under way: each tick, and after each list. */
void verbs_run(struct pm2 *self, int64_t now_ms);
/* Record who asked for a change of `processes` processes, from the arguments of his command. */
void verbs_tell(struct pm2 *self, const char *verb, const json_t *args, size_t processes);
/* The homes go: whoever waits is told so. */
void verbs_end(struct pm2 *self);

#endif
