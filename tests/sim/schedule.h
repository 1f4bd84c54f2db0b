/* Where the chances of a run come from, and the list of its faults.
 *
 * Every event, every message and every fault draws from a generator of its own, made from the seed
 * and from what it is (its time, its node, its kind). So one fault can be taken away, and the lot
 * of all that it does not touch stays the same.
 *
 * What a fault drew is its record: which node, for how long, whether the parent wrote an obituary.
 * A list of such records replays without any planning at random; what a fault asks for beyond its
 * record comes from its own generator. A new fault needs nothing for this but to draw with
 * world_between() and world_percent() like the others, and a row in faults.c. */
#ifndef UNDERSTUDY_TESTS_SIM_SCHEDULE_H
#define UNDERSTUDY_TESTS_SIM_SCHEDULE_H

#include "node/base/rng.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SCHEDULE_FAULTS_MAX 4096
#define SCHEDULE_DRAWS_MAX 32
#define SCHEDULE_KINDS_MAX 64

struct world;
struct event;
struct message;

struct schedule_fault {
    int64_t at_us;
    int kind; /* of faults.h */
    int draw_count;
    int64_t draws[SCHEDULE_DRAWS_MAX];
};

/* In the order of time, equal times in the order of kinds. */
struct schedule {
    size_t count;
    bool full; /* some faults were left out */
    struct schedule_fault faults[SCHEDULE_FAULTS_MAX];
};

/* A world's state of this. */
struct chances {
    const struct schedule *replay; /* NULL: faults are planned at random */
    struct schedule *record;       /* NULL: nobody wants the list */
    size_t next;                   /* of the replay */
    uint64_t planned[SCHEDULE_KINDS_MAX];
    bool in_fault;
    uint64_t fault_name;                /* start of its generators */
    struct schedule_fault fault;        /* as far as it has drawn */
    const struct schedule_fault *given; /* what it drew when it was recorded, or NULL */
};

/* From now on chances are those of the event, which is about to be handled. */
void schedule_enter_event(struct world *world, const struct event *event);

/* Between these two, chances are those of a message on this way; they are never recorded. */
struct schedule_message_scope {
    struct rng rng;
    bool in_fault;
};
struct schedule_message_scope schedule_enter_message(struct world *world, int from, int to,
                                                     int kind);
void schedule_leave_message(struct world *world, const struct schedule_message_scope *scope);

/* Plan the next fault of the kind, on the average after `mean_ms` (0: none), but for a replay. */
void schedule_plan(struct world *world, int kind, const char *name, int64_t mean_ms);
/* Plan the faults of the list instead: false when there is none. */
bool schedule_plan_replay(struct world *world);

/* Between these two, chances are those of a fault. */
void schedule_begin_fault(struct world *world, int kind, const char *name);
void schedule_end_fault(struct world *world);

/* Uniform in [low, high] (low < high); true in `percent` of 100. For world_between() and
 * world_percent(). */
int64_t schedule_draw(struct world *world, int64_t low, int64_t high);
bool schedule_percent(struct world *world, int64_t percent);

#endif
