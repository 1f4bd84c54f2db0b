/* Effects outside the cluster, once: between the managers of this node, the replicated state, and
 * what the acting leader decides about intents (consensus/intents.h). Loop thread. */
#ifndef UNDERSTUDY_NODE_DAEMON_EFFECTS_H
#define UNDERSTUDY_NODE_DAEMON_EFFECTS_H

#include "node/base/err.h"

#include <stdint.h>

struct effects;
struct manager_message;
struct node;

#define EFFECTS_PROPOSED_MAX 128 /* commands about intents under way; a wish beyond waits */
#define EFFECTS_REMIND_MS 1000
#define EFFECTS_REMINDED_MAX 128 /* intents that were left open, told to one manager at a time */

int effects_create(struct node *self, struct err *err);
void effects_destroy(struct effects **self_p);

/* This node begins or ends to act (in its view's term). */
void effects_begin(struct node *self);
void effects_end(struct node *self);

/* One of MANAGER_INTENT_WANTED, _VERIFIED, _PERFORMED, from a manager that may say it. */
void effects_take(struct node *self, const char *manager, const struct manager_message *message);

/* A process of the manager is ready: it knows nothing of what an earlier one was told. */
void effects_manager_ready(struct node *self, const char *manager);

/* While acting, tell each manager what was left open, now and then until it wants it. */
void effects_run(struct node *self, int64_t now_ms);

#endif
