/* Recoveries: the acting leader's side of consensus/recovery.h, and what this node does at its
 * word.
 *
 * Components: a duty ("pm2/worker-backup"), ill when its holder says that it failed; a manager of a
 * node ("manager/n1/pm2"), which its node restarts by itself: its restarts are counted as attempts;
 * and what a manager tells as ailing on its node ("ailing/n1/pm2/worker", ailing.h). An order to
 * try is carried out where the component lives: the duty's manager is told to try again, the
 * manager is started anew, what ails is mended. A duty that used its attempts up on one node is
 * moved to another that can take it; what ails stays where it is. Loop thread. */
#ifndef UNDERSTUDY_NODE_DAEMON_RECOVERIES_H
#define UNDERSTUDY_NODE_DAEMON_RECOVERIES_H

#include "consensus/recovery.h"

#include <jansson.h>

struct node;
struct control_request;
struct recoveries;

/* NULL when out of memory. */
struct recoveries *recoveries_create(void);
void recoveries_destroy(struct recoveries **self_p);

/* As acting leader: look at what is ill, once in a while. */
void recoveries_run(struct node *self, int64_t now_ms);
/* A row was set: carry its order out when the component lives here, tell the event. */
void recoveries_applied(struct node *self, const struct state_effect *effect);

/* Rows for `recovery`: {component, attempt, phase, next, since, changed}. */
json_t *recoveries_document(const struct node *self);
/* Attempts on record for the manager of that node; 0: none. */
uint32_t recoveries_attempts(const struct node *self, const char *node, const char *manager);

/* Whether people must be told at once that it stays ill. False: it is not known now. */
bool recoveries_is_critical(const struct node *self, const char *component, bool *ret);

/* The command of a person who wants an attempt now. False: there is no such component. */
bool recoveries_by_hand(const struct node *self, const char *component, struct command *ret);

#endif
