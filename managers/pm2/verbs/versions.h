/* `pm2 backups` and `pm2 restore`: the versions of each home's list, and one of them prepared
 * again. One restore at a time; as a person's word it is not hindered by a pause (restore.h). */
#ifndef UNDERSTUDY_MANAGERS_PM2_VERSIONS_H
#define UNDERSTUDY_MANAGERS_PM2_VERSIONS_H

#include "managers/pm2/pm2.h"

bool versions_take(struct pm2 *self, const struct manager_command *command);
/* The homes go: whoever waits is told so. */
void versions_end(struct pm2 *self);

#endif
