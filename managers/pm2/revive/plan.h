/* Whether a home's dead daemon is to be brought back. Pure.
 *
 * A daemon that died without tidying up (kill -9, a crash, its own "global error" exit with code 0)
 * leaves its sockets, and is brought back. One that a person ended (`pm2 kill`) has removed them,
 * and is not. A hung one is brought back when it has missed every sign of life for
 * PLAN_HUNG_MS. After a reboot the machine's own unit (`pm2 startup`) goes first. */
#ifndef UNDERSTUDY_MANAGERS_PM2_REVIVE_PLAN_H
#define UNDERSTUDY_MANAGERS_PM2_REVIVE_PLAN_H

#include "managers/pm2/daemon/god.h"

#define PLAN_DEAD_MS 2000        /* `pm2 update` is dead for a moment, too */
#define PLAN_HUNG_MS 8000        /* beyond the three pings that made it hung */
#define PLAN_BOOT_GRACE_MS 30000 /* for `pm2 startup` */

struct plan_sight {
    enum god_state state;
    int64_t for_ms;    /* it is so since */
    int64_t up_ms;     /* so long has this manager watched */
    bool allowed;      /* managers.pm2.revive */
    bool known;        /* this daemon was seen alive, now or in an earlier life of ours */
    bool had_list;     /* and had entries */
    bool tidied;       /* a person ended it */
    bool foreground;   /* it did not run as a daemon: whoever started it looks after it */
    bool another_boot; /* what is known is of before the machine's last start */
    bool may_begin;    /* it never had a daemon, and is to get one (managers.pm2.install) */
};

enum plan_verdict {
    PLAN_NOTHING, /* it is well, or is to be left as it is */
    PLAN_WAIT,    /* it may come back by itself */
    PLAN_REVIVE,
};

/* *ret_why: a constant, for people. */
enum plan_verdict plan_judge(const struct plan_sight *sight, const char **ret_why);

#endif
