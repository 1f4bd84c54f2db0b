/* The insides of schedules on the loop thread, shared by schedule.c, schedule_wishes.c and runs.c
 * only. */
#ifndef UNDERSTUDY_NODE_DAEMON_SCHEDULE_PRIVATE_H
#define UNDERSTUDY_NODE_DAEMON_SCHEDULE_PRIVATE_H

#include "consensus/schedule.h"
#include "managers/common/schedule_list.h"
#include "node/daemon/schedule.h"
#include "node/daemon/wall.h"
#include "node/daemon/zones.h"

struct schedule_place_lists {
    size_t only_count;
    size_t avoid_count;
    uint64_t only[MANAGER_PLACES_MAX]; /* raft ids */
    uint64_t avoid[MANAGER_PLACES_MAX];
    size_t label_count;
    char labels[MANAGER_LABELS_MAX][NAME_SIZE];
};

/* What the leader's manager wants of a schedule beside what is replicated. */
struct schedule_wish {
    char *id;
    uint64_t term;    /* in which it was said last */
    uint64_t edition; /* of the list that it was said in */
    int64_t proposed_ms;
    int64_t waits_since_ms; /* a change of it, for slots of what it was; 0: none waits */
    struct schedule_place_lists *places; /* NULL: anywhere */
};

/* What a manager of the leader is configured with, as far as it has said. */
struct wanted_list {
    char manager[NAME_SIZE];
    struct schedule_list *is;
};

/* An attempt that has ended on this node, until the state shows it. */
struct owed_report {
    struct run_report is; /* duty "": the slot is free */
    int64_t told_ms;
};

/* An end that this leader proposed, so that its repeats are not. */
struct proposed_report {
    uint64_t assignment;
    int64_t at_ms;
};

#define SCHEDULE_PROPOSED_MAX 64

/* A node that could not start a run: the next attempt rather goes elsewhere. */
struct unable_node {
    struct run_key run;
    uint64_t raft_id; /* 0: the slot is free */
};

#define SCHEDULE_UNABLE_MAX 64 /* the latest; a new leader begins with none */

struct schedules {
    struct zones *zones;
    struct scheduler *scheduler;
    bool stale;        /* the scheduler reads the whole state again */
    bool runs_changed; /* runs_step may have something to do */
    int64_t runs_at_wall_ms;
    int64_t runs_looked_ms;
    size_t in_flight; /* commands of the last runs_step that are not decided */
    struct proposed_report proposed[SCHEDULE_PROPOSED_MAX];
    struct unable_node unable[SCHEDULE_UNABLE_MAX]; /* a ring */
    size_t unable_next;
    enum wall_verdict wall;
    int64_t wall_looked_ms;

    size_t wish_count;
    size_t wish_room;
    struct schedule_wish *wishes; /* sorted by id */

    size_t list_count;
    struct wanted_list lists[MANAGERS_MAX];
    int64_t cleared_ms; /* when what is not configured any more was looked for */
    bool clearing;      /* there was some */

    struct owed_report owed[STATE_RUNS_UNDER_WAY_MAX];
    size_t owed_count;
    int64_t owed_at_ms;
};

/* schedule_wishes.c: on the acting leader, when its time has come; INT64_MAX: there is nothing. */
void schedule_wishes_step(struct node *self, int64_t now_ms);
int64_t schedule_wishes_at_ms(const struct schedules *self);

/* runs.c */
void schedule_runs_step(struct node *self, int64_t wall_ms, bool trusted);
void schedule_tell_reports(struct node *self, int64_t now_ms);

#endif
