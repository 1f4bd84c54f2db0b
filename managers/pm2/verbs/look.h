/* A fresh list of every home of this node, as PM2 sends it. */
#ifndef UNDERSTUDY_MANAGERS_PM2_LOOK_H
#define UNDERSTUDY_MANAGERS_PM2_LOOK_H

#include "managers/pm2/pm2.h"

#include <sys/types.h>

struct look {
    uint64_t id; /* of the command */
    json_t *args;
    size_t count;
    unsigned waiting; /* lists that have not come */
    struct look_home {
        struct look *look;
        char home[MANAGER_PATH_SIZE];
        json_t *list; /* NULL: none came, `why` says it */
        char why[REASON_SIZE];
        uid_t owner;    /* of the daemon, when `list` is there */
        json_t *daemon; /* its row */
    } homes[SETTINGS_HOMES_MAX];
    void (*done)(struct pm2 *pm2, struct look *look);
    struct pm2 *pm2;
};

/* `done` is called once, perhaps from within; the look is freed after it. */
void look_begin(struct pm2 *self, uint64_t id, json_t *args_take,
                void (*done)(struct pm2 *pm2, struct look *look));

/* Whose daemon that is. Of one that is gone: nobody's, so that nothing is taken for its user's. */
uid_t look_owner(pid_t pid);

#endif
