/* What ails a row of PM2's list although PM2 does nothing about it any more, and what would help.
 *
 * PM2 tells it in what it remembers. Of a process that it gave up it forgets the time of creation;
 * a restart on purpose sets that time anew, before the new process has one of its start. A process
 * that somebody stopped has no pid; one that PM2 could not start again (its log folder is gone)
 * keeps the pid of the dead one, and cannot be restarted before it was stopped. A cluster's worker
 * that never came up cannot be stopped, only killed. A ghost, online without any pid, is restarted
 * as any other. All of it was measured on PM2 7; no row is ever deleted. Pure. */
#ifndef UNDERSTUDY_MANAGERS_PM2_MEND_PLAN_H
#define UNDERSTUDY_MANAGERS_PM2_MEND_PLAN_H

#include "managers/pm2/watch/entry.h"

#define MEND_GHOST_MS 1500      /* online without a process for so long is a ghost */
#define MEND_STALE_MS 3000      /* PM2 starts again at once what it starts again */
#define MEND_MARGIN_MS 15000    /* beyond the times that the app's own settings give PM2 */
#define MEND_DELAY_MAX_MS 15000 /* of PM2's growing restart delay */

/* A row, and what the kernel says about its pid. */
struct mend_facts {
    enum entry_status shown; /* as PM2 says it, not bettered */
    int64_t pid;             /* as PM2 remembers it; 0 none */
    bool runs;               /* there is a process of that number */
    int64_t created_wall_ms; /* or of the last restart on purpose; 0: PM2 gave it up */
    int64_t started_wall_ms;
    bool cluster;
    bool autorestart;
    bool logs_there; /* the folders of its log files are there */
    int64_t listen_timeout_ms;
    int64_t kill_timeout_ms;
    int64_t restart_delay_ms; /* at most, as its settings say */
    int64_t for_ms;           /* so since */
    bool ours;                /* stopped by us, to be started */
};

enum mend_trouble {
    MEND_WELL,    /* it runs, or PM2 looks after it */
    MEND_BETWEEN, /* wait and see */
    MEND_LEFT,    /* as somebody wants it: hands off */
    MEND_ILL,
};

enum mend_cure {
    MEND_NOTHING, /* there is nothing that would help */
    MEND_RESTART,
    MEND_STOP, /* then restart */
    MEND_KILL, /* PM2 starts it again */
};

struct mend_judgement {
    enum mend_trouble trouble;
    enum mend_cure cure; /* of what is ill */
    const char *why;     /* a constant, for people */
};

struct mend_judgement mend_judge(const struct mend_facts *facts);

/* The longest time that PM2 may take to answer a restart of it. */
int64_t mend_patience_ms(const struct mend_facts *facts);

/* A row of getMonitorData, with what it says itself: all facts but `runs`, `logs_there`, `for_ms`
 * and `ours`. Texts are borrowed from it, paths are NULL when it has none. False: it is no row that
 * can be acted on. */
struct mend_row {
    int64_t pm_id;
    const char *name;
    const char *out_log;
    const char *err_log;
    bool of_ours; /* a backup */
};
bool mend_row_read(const json_t *row, struct mend_row *ret, struct mend_facts *ret_facts);

#endif
