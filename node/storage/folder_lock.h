/* One daemon per data folder: an exclusive flock on FOLDER/lock, which names its holder. */
#ifndef UNDERSTUDY_NODE_STORAGE_FOLDER_LOCK_H
#define UNDERSTUDY_NODE_STORAGE_FOLDER_LOCK_H

#include "node/base/err.h"

/* The descriptor that holds the lock, for folder_unlock, or a negative code: ERR_BUSY names the
 * holder's process and node. The kernel lets go of it when the process ends, however it ends. */
int folder_lock(int folder_fd, const char *folder, const char *node_name, struct err *err);
void folder_unlock(int lock_fd);

#endif
