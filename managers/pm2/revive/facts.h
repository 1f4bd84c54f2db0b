/* What a daemon's successor needs to be like it: node, the PM2 package, and of its environment what
 * PM2 itself goes by (PATH, HOME, the time zone of its cron, PM2_ settings). Kept with the lists
 * (lists/lists.h), so that it is known after the daemon's death and after a reboot.
 *
 * {node, script, foreground, env: {...}}; holds no more of the environment than FACTS_ENV names. */
#ifndef UNDERSTUDY_MANAGERS_PM2_FACTS_H
#define UNDERSTUDY_MANAGERS_PM2_FACTS_H

#include "managers/common/protocol.h"

#include <jansson.h>

struct facts_package {
    char node[MANAGER_PATH_SIZE];   /* the program */
    char daemon[MANAGER_PATH_SIZE]; /* .../pm2/lib/Daemon.js */
    char pm2[MANAGER_PATH_SIZE];    /* .../pm2/bin/pm2 */
};

/* Of the result of getReport. A new object; NULL when it says nothing of use. Pure. */
json_t *facts_from_report(const json_t *report);

/* The package to start a daemon with: the one that ran before, else the one in PATH, in npm's
 * global folder, or in `own` (managers/pm2/revive/install.h). `facts` may be NULL. ERR_NOTFOUND
 * says what is missing. */
int facts_find(const json_t *facts, const char *own, struct facts_package *ret, struct err *err);

#endif
