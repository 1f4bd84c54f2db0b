/* What an acting leader decides about leadership itself: hand over by health or drain, the voters'
 * roles, the roster's first rows. */
#ifndef UNDERSTUDY_NODE_DAEMON_LEADERSHIP_POLICY_H
#define UNDERSTUDY_NODE_DAEMON_LEADERSHIP_POLICY_H

#include <stdint.h>

struct node;
struct policy_input;

/* Do what is due; nothing unless this node may act. */
void leadership_policy_run(struct node *self, int64_t now_ms);

/* When a hold ends, for a node that acts; INT64_MAX: nothing to wait for. */
int64_t leadership_policy_deadline_ms(const struct node *self, int64_t now_ms);

/* What the policy sees now: this node and the other voters. */
void leadership_policy_input(const struct node *self, int64_t now_ms, struct policy_input *ret);

/* Whom to hand over to when nobody was named: the best voter, or, while none is known to have
 * caught up (a term that has just begun), one that is alive and does not drain. 0: nobody. */
uint64_t leadership_policy_best(const struct node *self, int64_t now_ms);

#endif
