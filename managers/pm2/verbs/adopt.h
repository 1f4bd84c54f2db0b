/* `pm2 adopt` on this node: what PM2 runs here, as primaries and backups for the configuration. */
#ifndef UNDERSTUDY_MANAGERS_PM2_ADOPT_H
#define UNDERSTUDY_MANAGERS_PM2_ADOPT_H

#include "managers/pm2/pm2.h"

/* Returns whether the command is that; it is then answered, now or later: rows as propose.h has
 * them, and a row of a daemon for each home that gave no list. No secret is in them. */
bool adopt_take(struct pm2 *self, const struct manager_command *command);

#endif
