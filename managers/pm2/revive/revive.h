/* A dead or hung PM2 daemon is brought back, and with it what its home's list wanted.
 *
 * What ails is told in the observation; the acting leader's node counts the attempts and orders
 * them (node/daemon/recoveries.h). An attempt, in this order: our own lock on the home, as PM2 has
 * none and two daemons would share one home; a hung daemon is killed, through a pidfd, after the
 * kernel named it as the listener and it proved to be this home's daemon; nobody else is starting
 * one; the daemon is started as the home's owner; it answers; then each wanted entry is prepared,
 * its orphans ended right before (lists/restore.h). PM2's own dump is not used: it is as old as the
 * last `pm2 save`. Nothing is done while the manager is paused or in shadow. */
#ifndef UNDERSTUDY_MANAGERS_PM2_REVIVE_H
#define UNDERSTUDY_MANAGERS_PM2_REVIVE_H

#include "managers/pm2/pm2.h"

#define REVIVE_PREFIX "daemon:" /* of the ailing thing's name; then the home */
#define REVIVE_SPAWN_MS 10000   /* for the first answer */
#define REVIVE_CLEAR_MS 30000   /* for others that are at work in the home */

/* With each tick. */
void revive_step(struct home *home, int64_t now_ms);
/* The home is being closed. */
void revive_drop(struct home *home);

/* The order to try. ERR_NOTFOUND: no home of that name; ERR_STALE: nothing is to be done there;
 * ERR_BUSY: under way, or the home's lock is held; ERR_DENIED: paused, in shadow, or the home is
 * another user's. */
int revive_order(struct pm2 *self, const char *name, struct err *err);

/* For the observation's "ailing": appends [{name, state, why, critical}] to *ailing, which is made
 * when it is NULL. */
void revive_document(const struct pm2 *self, int64_t now_ms, json_t **ailing);

/* The daemon is up: what its successor would need to know is asked for. */
void revive_ask_facts(struct home *home);

#endif
