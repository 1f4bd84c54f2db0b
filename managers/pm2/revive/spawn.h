/* A PM2 daemon started without PM2's command line: as the home's owner, in a session of its own,
 * its output appended to pm2.log, in the environment of the daemon before it. It is no child of
 * ours, so that it outlives this manager; who becomes its parent reaps it (in a container that
 * takes an init process). */
#ifndef UNDERSTUDY_MANAGERS_PM2_SPAWN_H
#define UNDERSTUDY_MANAGERS_PM2_SPAWN_H

#include "managers/pm2/revive/facts.h"

#include <sys/types.h>

/* Who the daemon is to be. */
struct spawn_owner {
    uid_t uid;
    gid_t gid;
    char name[NAME_SIZE];           /* "" unknown */
    char folder[MANAGER_PATH_SIZE]; /* HOME */
};

/* The owner of the home, or of where it will be. ERR_DENIED: another user's, and we are not root;
 * ERR_NOTFOUND: there is no such place. */
int spawn_owner_of(const char *home, struct spawn_owner *ret, struct err *err);

/* *ret_fd gets the end of a pipe that tells how it began, see spawn_began. */
int spawn_daemon(const char *home, const struct spawn_owner *owner,
                 const struct facts_package *package, const json_t *facts, int *ret_fd,
                 struct err *err);

/* 0: it was executed; ERR_BUSY: not yet known; ERR_IO with the reason why not. */
int spawn_began(int fd, struct err *err);

#endif
