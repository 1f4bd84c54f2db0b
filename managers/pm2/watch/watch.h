/* What state a primary is in on this node: PM2's word, held against the truth of its process.
 *
 * The judgement is pure; a tracker keeps it over time and holds "down" back for a moment, because
 * PM2 shows "stopped" between an exit and the restart. Watching never writes. */
#ifndef UNDERSTUDY_MANAGERS_PM2_WATCH_H
#define UNDERSTUDY_MANAGERS_PM2_WATCH_H

#include "managers/pm2/stand_in/decide.h"
#include "managers/pm2/watch/entry.h"
#include "managers/pm2/watch/excess.h"
#include "managers/pm2/watch/process.h"

#define WATCH_DOWN_HOLD_MS 700       /* bad for so long before it is called down */
#define WATCH_LAUNCHING_MAX_MS 15000 /* longer, beyond its own listen_timeout: stuck */
#define WATCH_STOPPING_MAX_MS 30000  /* the same with its kill_timeout */
#define WATCH_WAITING_MAX_MS 20000
#define WATCH_LOOP_ENDS 5 /* so many within the window are a crash loop */
#define WATCH_LOOP_WINDOW_MS 60000

/* What PM2 and the kernel say. */
struct watch_facts {
    bool daemon_known;  /* its state is known at all */
    bool daemon_up;     /* and the list is of now */
    const char *daemon; /* name of its state: "dead" */
    int64_t daemon_pid; /* the parent of what it started; 0: not known */
    bool must_be_here;  /* the configuration says that this node has it */
    bool listed;
    enum entry_status status;
    int64_t status_ms; /* how long PM2 has shown this status */
    int64_t listen_ms; /* its own limits of time, 0: PM2's default */
    int64_t kill_ms;
    bool lives;    /* its process is held and lives */
    unsigned ends; /* by itself, within WATCH_LOOP_WINDOW_MS */
};

enum decide_primary_state watch_judge(const struct watch_facts *facts, char ret_reason[NAME_SIZE]);

/* What all instances of it use, with all their descendants. */
struct watch_use {
    int64_t memory_bytes; /* resident; -1 unknown */
    double cpu_percent;   /* of one processor since the sample before; -1 unknown */
    struct excess memory;
    struct excess cpu;
    int64_t frozen_since_ms; /* stopped by a signal; 0: it is not */
    uint64_t cpu_ticks;      /* at the latest sample */
    int64_t sampled_ms;      /* 0: there was none */
};

struct watch {
    char name[NAME_SIZE];
    /* As told to others. */
    enum decide_primary_state state;
    int64_t since_ms;
    char reason[NAME_SIZE];
    /* As seen last; becomes the state at once, or after the hold. */
    enum decide_primary_state seen;
    int64_t seen_since_ms;
    char seen_reason[NAME_SIZE];
    /* The row. */
    bool listed;
    bool ours; /* a guarded primary's, which runs under our guard */
    enum entry_status status;
    int64_t status_since_ms;
    int64_t listen_ms;
    int64_t kill_ms;
    int64_t restarts;
    int64_t started_wall_ms;
    size_t home;
    int64_t pm_id; /* -1: not listed */
    struct process process;
    bool orphan; /* it is of an earlier daemon, or of one that is gone */
    struct watch_use use;
};

void watch_init(struct watch *self, const char *name, int64_t now_ms);
void watch_deinit(struct watch *self);

/* The row of PM2's list (NULL: not listed), taken in before the judgement. A process that lives on
 * without a row stays held: it is an orphan of an earlier daemon, or PM2 is ending it now. */
void watch_row(struct watch *self, const struct entry *row, int64_t now_ms);

/* It runs as `pid` without a daemon that knows of it: it is well, and a backup beside it would be
 * one too many. */
void watch_hold_orphan(struct watch *self, int64_t pid);

/* True when the told state changed. `daemon_*`, `must_be_here` and `ends` of `facts` are the
 * caller's, the rest is filled in from the tracker. */
bool watch_step(struct watch *self, struct watch_facts facts, int64_t now_ms);

/* A new sample: ticks of the processor as proc(5) has them, memory -1 when no process was found. */
void watch_measure(struct watch *self, int64_t memory_bytes, uint64_t cpu_ticks,
                   int64_t ticks_per_s, int64_t now_ms);

/* True while a state is held back: look again soon. */
bool watch_is_settling(const struct watch *self);

const char *watch_state_name(enum decide_primary_state state); /* "up", "down", ... */
bool watch_state_read(const char *name, enum decide_primary_state *ret);

#endif
