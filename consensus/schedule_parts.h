/* What the scheduler's files share. */
#ifndef UNDERSTUDY_CONSENSUS_SCHEDULE_PARTS_H
#define UNDERSTUDY_CONSENSUS_SCHEDULE_PARTS_H

#include "consensus/schedule.h"

#define MS_PER_S 1000

enum schedule_heap_kind {
    SCHEDULE_BY_TIME, /* asleep, or waiting for room: by the instant that wakes it */
    SCHEDULE_READY,   /* to be looked at now, by rank */
    SCHEDULE_WAITING, /* for room, by rank */
    SCHEDULE_HEAPS,
};

/* One schedule. It is asleep (BY_TIME), ready (READY), waits for room (BY_TIME and WAITING), or has
 * something under way (in the flight). */
struct schedule_entry {
    const struct zone *zone; /* NULL: its slots are not decided here */
    struct calendar calendar;
    struct calendar_rules rules;
    uint64_t revision; /* of the row, when it was read */
    int64_t decided_s; /* of the row, when it was read */
    int64_t limit_s;   /* a slot of this age is still on time */
    int64_t priority;
    int64_t next_s;                   /* the first slot that is not decided; INT64_MAX: none */
    int64_t wake_s;                   /* rank in BY_TIME */
    int64_t again_ms;                 /* in the flight: until then */
    uint32_t runs;                    /* in the flight: that the proposal begins */
    uint32_t heap_at[SCHEDULE_HEAPS]; /* position + 1; 0: not in that heap */
    bool in_flight;
    bool proposed;                /* in the flight for a proposal, not for its turn */
    bool behind;                  /* its next slot is late: ranks after all that are on time */
    uint32_t seen;                /* its row, by which sync of all */
    struct schedule_entry *chain; /* the next one of equal hash */
    struct schedule_entry *flight_before;
    struct schedule_entry *flight_after;
    char id[];
};

struct schedule_heap {
    enum schedule_heap_kind kind;
    size_t count;
    struct schedule_entry **items;
};

/* Room for `capacity` entries; so pushing never fails. ERR_NOMEM. */
int schedule_heap_reserve(struct schedule_heap *self, size_t capacity);
void schedule_heap_push(struct schedule_heap *self, struct schedule_entry *entry);
/* Does nothing when it is not in there. */
void schedule_heap_remove(struct schedule_heap *self, struct schedule_entry *entry);
struct schedule_entry *schedule_heap_first(const struct schedule_heap *self); /* NULL: empty */
bool schedule_heap_before(enum schedule_heap_kind kind, const struct schedule_entry *a,
                          const struct schedule_entry *b);

struct scheduler {
    struct scheduler_config config;
    size_t count;
    size_t capacity; /* that the heaps are made for */
    size_t blind;
    size_t bucket_count; /* a power of two */
    struct schedule_entry **buckets;
    struct schedule_heap heaps[SCHEDULE_HEAPS];
    struct schedule_entry *flight_first; /* in the order of again_ms */
    struct schedule_entry *flight_last;
    size_t runs_in_flight;
    uint32_t syncs;           /* of all */
    int64_t wall_less_now_ms; /* at the last step */
    bool forgetful;           /* off.decided_is_replicated: a sync of all came, no step yet */
    int64_t slots[SCHEDULE_STEP_SLOTS_MAX];
};

/* Read the entry's row again; what was proposed stays so unless the row has moved. */
void schedule_entry_follow(struct scheduler *self, struct schedule_entry *entry,
                           const struct state_schedule *row);
struct schedule_entry *schedule_entry_find(const struct scheduler *self, const char *id);

/* Take the entry out of wherever it is, and let it sleep until `wake_s`. */
void schedule_entry_sleep(struct scheduler *self, struct schedule_entry *entry, int64_t wake_s);
void schedule_entry_out(struct scheduler *self, struct schedule_entry *entry);
/* Into the flight until again_ms, for a proposal that begins `runs` or, without one, for its turn.
 */
void schedule_entry_fly(struct scheduler *self, struct schedule_entry *entry, int64_t again_ms,
                        bool proposed, size_t runs);

/* The entry's first slot after the instant; INT64_MAX: none. */
int64_t schedule_entry_next(const struct schedule_entry *entry, int64_t after_s);

/* Seconds, rounded down. */
int64_t schedule_seconds(int64_t wall_ms);
/* A slot of that age is still on time. */
int64_t schedule_limit_s(const struct schedule_definition *is);
/* Expression, zone and rules as the scheduler uses them. ERR_INVALID, naming the field. */
int schedule_interpret(const struct scheduler_config *config, const struct schedule_definition *is,
                       struct calendar *ret, struct calendar_rules *ret_rules,
                       const struct zone **ret_zone, struct err *err);

/* ---- the rule of schedule.h ---- */

struct schedule_case {
    const struct state_schedule *row;
    const struct scheduler_now *now;
    const int64_t *slots; /* that are not decided and have come, rising */
    size_t count;         /* at least 1 */
    bool complete;        /* there are no more of them */
    size_t room;
};

enum schedule_wait {
    SCHEDULE_NO_WAIT,
    SCHEDULE_WAITS_FOR_ROOM,
    SCHEDULE_WAITS_FOR_TURN, /* the run before it has to end */
};

struct schedule_answer {
    size_t decided;          /* of the slots, from the first on */
    size_t runs;             /* of those */
    enum schedule_wait wait; /* of the first that is not decided */
};

/* What becomes of the slots: fills `ret` (but for the id) as far as one command goes. */
void schedule_decide(const struct schedule_case *is, struct command_slots *ret,
                     struct schedule_answer *ret_answer);

#endif
