/* Reading configuration and keys again (SIGHUP) without blocking the loop: the files are read on a
 * thread of their own, the loop takes the result. All or nothing: a bad file changes nothing.
 * Loop thread. */
#ifndef UNDERSTUDY_NODE_DAEMON_RELOAD_H
#define UNDERSTUDY_NODE_DAEMON_RELOAD_H

#include "node/config/config.h"
#include "node/config/keys.h"

struct reload;

struct reload_result {
    int rc;                /* 0, or why not */
    struct config *config; /* the taker's; NULL when rc is not 0 */
    struct key_roster keys;
    char *text; /* errors and warnings, one a line; the taker frees; may be NULL */
};

/* Paths are copied. NULL when out of memory or descriptors. */
struct reload *reload_create(const char *file, const char *keys_folder);
void reload_destroy(struct reload **self_p); /* waits for a read that is under way */

/* Begin to read; when one is under way, another follows it. */
void reload_start(struct reload *self);
/* Readable when a result is there. */
int reload_fd(const struct reload *self);
/* False: none. */
bool reload_take(struct reload *self, struct reload_result *ret);

#endif
