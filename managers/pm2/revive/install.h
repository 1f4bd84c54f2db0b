/* PM2 from npm, when no package of it is found on this node and managers.pm2.install allows it.
 *
 * It goes into this manager's own data folder and nowhere else: nothing of the team's is touched,
 * so it needs no word of the leader, and is done by each node's manager at its configuration and,
 * after a failure, every INSTALL_RETRY_MS. npm runs as a child with a time limit, its output
 * bounded in DATA_DIR/npm/install.log; the registry is the one that npm itself is configured for.
 * While PM2 is missing, and anything is configured for it, there is the finding pm2.missing. */
#ifndef UNDERSTUDY_MANAGERS_PM2_INSTALL_H
#define UNDERSTUDY_MANAGERS_PM2_INSTALL_H

#include "managers/pm2/pm2.h"

#define INSTALL_LIMIT_MS 300000
#define INSTALL_RETRY_MS 600000
#define INSTALL_LOG_BYTES_MAX (64 << 10)
#define INSTALL_LOOK_MS 60000

/* With each tick. */
void install_step(struct pm2 *self, int64_t now_ms);
/* New settings: look again at once. */
void install_configure(struct pm2 *self);
/* npm is ended and awaited. */
void install_destroy(struct install **self_p);

/* PM2 is there, and this node was told to see to it. */
bool install_is_ready(const struct pm2 *self);
void install_folder(const struct pm2 *self, char ret[MANAGER_PATH_SIZE + 16]);

#endif
