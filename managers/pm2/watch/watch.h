/* What state a primary is in on this node: PM2's word, held against the truth of its process.
 *
 * The judgement is pure; a tracker keeps it over time and holds "down" back for a moment, because
 * PM2 shows "stopped" between an exit and the restart. Watching never writes. */
#ifndef UNDERSTUDY_MANAGERS_PM2_WATCH_H
#define UNDERSTUDY_MANAGERS_PM2_WATCH_H

#include "managers/pm2/stand_in/decide.h"
#include "managers/pm2/watch/entry.h"
#include "managers/pm2/watch/process.h"

#define WATCH_DOWN_HOLD_MS 700       /* bad for so long before it is called down */
#define WATCH_LAUNCHING_MAX_MS 15000 /* longer: stuck */
#define WATCH_STOPPING_MAX_MS 30000
#define WATCH_WAITING_MAX_MS 20000
#define WATCH_LOOP_RESTARTS 5 /* so many restarts within the window are a crash loop */
#define WATCH_LOOP_WINDOW_MS 60000

/* What PM2 and the kernel say. */
struct watch_facts {
    bool daemon_known;  /* its state is known at all */
    bool daemon_up;     /* and the list is of now */
    const char *daemon; /* name of its state: "dead" */
    bool must_be_here;  /* the configuration says that this node has it */
    bool listed;
    enum entry_status status;
    int64_t status_ms; /* how long PM2 has shown this status */
    bool lives;        /* its process is held and lives */
    unsigned restarts_in_window;
};

enum decide_primary_state watch_judge(const struct watch_facts *facts, char ret_reason[NAME_SIZE]);

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
    enum entry_status status;
    int64_t status_since_ms;
    int64_t restarts;
    int64_t started_wall_ms;
    size_t home;
    struct process process;
    struct process_usage usage;
    int64_t restart_times_ms[WATCH_LOOP_RESTARTS]; /* ring of the latest */
    unsigned restart_next;
};

void watch_init(struct watch *self, const char *name, int64_t now_ms);
void watch_deinit(struct watch *self);

/* The row of PM2's list (NULL: not listed), taken in before the judgement. */
void watch_row(struct watch *self, const struct entry *row, int64_t now_ms);

/* True when the told state changed. `daemon_*` and `must_be_here` of `facts` are the caller's, the
 * rest is filled in from the tracker. */
bool watch_step(struct watch *self, struct watch_facts facts, int64_t now_ms);

/* True while a state is held back: look again soon. */
bool watch_is_settling(const struct watch *self);

const char *watch_state_name(enum decide_primary_state state); /* "up", "down", ... */
bool watch_state_read(const char *name, enum decide_primary_state *ret);

#endif
