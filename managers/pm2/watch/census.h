/* Every row of a daemon's list over time: what PM2 shows of it, since when, how
 * often it ended by itself, and whether PM2's picture of it can be true.
 *
 * Ends are counted from the events of the bus: an exit that PM2 calls "stopping" was asked for (a
 * stop or restart by somebody, by cron, by PM2's memory limit, by its file watch), and so is the
 * one that follows it. Only where the bus was not heard all the time do the restart counters of two
 * lists count, which do not tell who asked. Pure. */
#ifndef UNDERSTUDY_MANAGERS_PM2_CENSUS_H
#define UNDERSTUDY_MANAGERS_PM2_CENSUS_H

#include "managers/pm2/daemon/frame.h"
#include "managers/pm2/watch/entry.h"
#include "managers/pm2/watch/loop.h"

#define CENSUS_DOUBT_MS 2500      /* a picture is false when it lasts so long */
#define CENSUS_LAUNCHING_MS 15000 /* longer, and longer than its own listen_timeout: stuck */
#define CENSUS_STOPPING_MS 30000  /* the same with its kill_timeout */
#define CENSUS_WAITING_MS 20000   /* the same with its restart_delay */
#define CENSUS_ANEW_MS 700        /* PM2 shows "stopped" for an instant before each restart */
#define CENSUS_FALSE_MS 300000    /* a false event is told for so long */

enum census_fault {
    CENSUS_WELL,
    CENSUS_GHOST,     /* online, and there is no process */
    CENSUS_STUCK,     /* launching, stopping, or waiting for its restart for too long */
    CENSUS_DUPLICATE, /* another row of this name and instance runs */
};

struct census_row {
    int64_t pm_id;
    char name[NAME_SIZE];
    bool listed; /* in the latest list */
    enum entry_status status;
    int64_t status_since_ms;
    int64_t restarts;
    bool stopping; /* an exit that was asked for is under way */
    struct loop ends;
    int64_t ghost_since_ms; /* 0: it is none */
    int64_t double_since_ms;
    int64_t pid;
    int64_t limit_ms; /* how long it may be in this state; 0: for ever */
};

struct census {
    struct census_row *rows;
    size_t count;
    size_t capacity;
    size_t listed;              /* rows of the latest list that are not ours */
    int64_t blind_since_ms;     /* PM2 measures nothing although processes run; 0: it does */
    char false_name[NAME_SIZE]; /* the latest app that published an event as if it were PM2's */
    int64_t false_ms;           /* 0: none did */
    uint64_t false_events;
};

void census_deinit(struct census *self);

/* What only the kernel knows: whether there is a process of this number. */
typedef bool census_lives_fn(int64_t pid);

/* A new list. heard: the bus was listened to all the time since the list before. `entries` of other
 * lives of the daemon: call census_forget first. ERR_NOMEM: rows are left out. */
int census_take(struct census *self, const struct entries *entries, bool heard,
                census_lives_fn *lives, int64_t now_ms);
void census_forget(struct census *self);

void census_event(struct census *self, const struct frame_event *event, int64_t now_ms);

/* NULL: not known. Valid until the next call. */
const struct census_row *census_find(const struct census *self, int64_t pm_id, const char *name);

/* ret_why, for people, is written unless it is well. */
enum census_fault census_judge(const struct census_row *row, int64_t now_ms,
                               char ret_why[REASON_SIZE]);
bool census_is_blind(const struct census *self, int64_t now_ms);

/* Something may be wrong: another list is wanted soon. */
bool census_doubts(const struct census *self, int64_t now_ms);

#endif
