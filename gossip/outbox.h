/* Actions that wait for the shell, oldest first. */
#ifndef UNDERSTUDY_GOSSIP_OUTBOX_H
#define UNDERSTUDY_GOSSIP_OUTBOX_H

#include "gossip/gossip.h"

#define OUTBOX_SENDS_MAX 1024 /* messages; beyond it the oldest go */

struct outbox_entry;

struct outbox {
    struct outbox_entry *first;
    struct outbox_entry *last;
    struct outbox_entry *current; /* handed out last; freed by the next call */
    size_t count;                 /* entries that are no messages */
    size_t sends;
    size_t count_max;
};

void gossip_outbox_init(struct outbox *self, size_t count_max);
void gossip_outbox_deinit(struct outbox *self);

/* Copies the action, and `length` bytes. False: something had to be dropped (the oldest message,
 * or this action when it is none and the bound is reached, or memory ran out). */
bool gossip_outbox_put(struct outbox *self, const struct gossip_action *action);

bool gossip_outbox_next(struct outbox *self, struct gossip_action *ret);

#endif
