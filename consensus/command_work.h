/* What the commands about work carry (command.h): schedules and their slots, runs, intents,
 * recoveries, alerts, proofs that duties can run.
 *
 * Instants of a calendar are whole seconds of UTC since 1970 (`_s`); what is for display only is
 * the proposer's wall time (`_wall_ms`), as in every command. */
#ifndef UNDERSTUDY_CONSENSUS_COMMAND_WORK_H
#define UNDERSTUDY_CONSENSUS_COMMAND_WORK_H

#include "consensus/calendar.h"
#include "node/base/limits.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ---- schedules ---- */

#define SCHEDULE_ID_SIZE 96 /* "manager/name"; a run's id adds its slot and attempt to it */
#define SCHEDULE_EXPRESSION_SIZE (CALENDAR_TEXT_MAX + 1)
#define SCHEDULE_SECONDS_MAX (INT64_C(366) * 86400)
#define SCHEDULE_RETRIES_MAX 100
#define SCHEDULE_MISFIRE_CAP_MAX 1000

/* A slot comes while a run of the same schedule is under way. */
enum schedule_overlap {
    SCHEDULE_OVERLAP_FORBID,  /* the slot is skipped */
    SCHEDULE_OVERLAP_ALLOW,   /* beside it */
    SCHEDULE_OVERLAP_REPLACE, /* the run under way is cancelled */
};

/* Slots are found later than their start deadline: nobody acted, or the clock was not trusted. */
enum schedule_misfire {
    SCHEDULE_MISFIRE_RUN_ONCE, /* the newest runs, late; the others are missed */
    SCHEDULE_MISFIRE_RUN_ALL,  /* the newest misfire_cap of those within misfire_window_s run */
    SCHEDULE_MISFIRE_SKIP,     /* all are missed */
};

struct schedule_definition {
    char expression[SCHEDULE_EXPRESSION_SIZE]; /* calendar.h */
    char zone[ZONE_NAME_SIZE];                 /* of the IANA database */
    uint64_t digest;  /* of what nodes are configured to run for it: who differs does not run it */
    int64_t anchor_s; /* of "every" */
    enum calendar_gap gap;
    enum calendar_fold fold;
    enum schedule_overlap overlap;
    enum schedule_misfire misfire;
    uint32_t misfire_cap;        /* 1 .. SCHEDULE_MISFIRE_CAP_MAX */
    int64_t misfire_window_s;    /* all durations: 0 .. SCHEDULE_SECONDS_MAX */
    int64_t start_deadline_s;    /* after the slot; what starts later is a misfire */
    int64_t progress_deadline_s; /* without output; 0: none */
    int64_t finish_deadline_s;   /* after the start; 0: none */
    int64_t min_runtime_s;       /* what ends well before it has failed; 0: none */
    uint32_t retries;            /* after a failure, 0 .. SCHEDULE_RETRIES_MAX */
    int64_t backoff_s;           /* before the first retry; doubled for each further one */
    int64_t backoff_max_s;
    bool retry_unknown; /* a run whose end nobody saw is retried, too: it may run twice */
    bool critical;
    int64_t priority; /* higher goes first */
};

struct command_schedule { /* put */
    char id[SCHEDULE_ID_SIZE];
    /* Compare and set: revision of the row that it replaces, 0 for none. */
    uint64_t replaces;
    /* The definition counts for slots after this instant: of a new one the present, of a changed
     * one what its row has decided, so that no slot falls between two definitions. A new one is
     * refused before the newest slot that an earlier schedule of this id has decided. */
    int64_t decided_s;
    struct schedule_definition is;
};

struct command_schedule_id { /* remove */
    char id[SCHEDULE_ID_SIZE];
};

/* ---- slots and runs ---- */

#define SLOTS_PER_COMMAND_MAX 16
#define RUN_ID_SIZE DUTY_ID_SIZE
#define RUN_ATTEMPTS_MAX 1000                /* of one run, those whose end nobody saw included */
#define RUN_SLOT_S_MAX INT64_C(253402300799) /* the end of 9999: a run's id has four digits */
#define RUN_EXIT_STATUS_MAX 511

enum run_outcome {
    RUN_UNDER_WAY = 0,
    RUN_RAN = 1,
    RUN_FAILED = 2,
    RUN_SKIPPED = 3, /* on purpose */
    RUN_MISSED = 4,  /* it should have run and did not */
    RUN_UNKNOWN = 5, /* it was started, perhaps, and nobody saw its end */
};

/* Why a slot or run is as it is; stable values and names. */
#define RUN_REASON_MAP(X)                                                                \
    X(RUN_DUE, 0, "due")           /* on time */                                         \
    X(RUN_MANUAL, 1, "manual")     /* a person started it */                             \
    X(RUN_LATE, 2, "late")         /* the misfire policy runs it */                      \
    X(RUN_OVERLAP, 3, "overlap")   /* another run was under way */                       \
    X(RUN_REPLACED, 4, "replaced") /* by the next slot's */                              \
    X(RUN_PAUSED, 5, "paused")     /* its manager */                                     \
    X(RUN_MAINTENANCE, 6, "maintenance")                                                 \
    X(RUN_SHED, 7, "shed")                      /* no room, and others go first */       \
    X(RUN_SUPERSEDED, 8, "superseded")          /* a newer missed slot runs instead */   \
    X(RUN_OUT_OF_WINDOW, 9, "out_of_window")    /* too old, or over the cap */           \
    X(RUN_MISFIRE_SKIP, 10, "misfire_skip")     /* found late, and the policy is skip */ \
    X(RUN_START_DEADLINE, 11, "start_deadline") /* no node could start it in time */     \
    X(RUN_FINISH_DEADLINE, 12, "finish_deadline")                                        \
    X(RUN_PROGRESS_DEADLINE, 13, "progress_deadline")                                    \
    X(RUN_TOO_SHORT, 14, "too_short")                                                    \
    X(RUN_EXIT, 15, "exit")               /* by its exit status */                       \
    X(RUN_SIGNAL, 16, "signal")           /* it was killed */                            \
    X(RUN_NOT_STARTED, 17, "not_started") /* its node could not start it */              \
    X(RUN_HOLDER_GONE, 18, "holder_gone") /* the node died, or was cut off */            \
    X(RUN_CANCELLED, 19, "cancelled")     /* a person ended it */                        \
    X(RUN_SHADOW, 20, "shadow")           /* its manager only watches */                 \
    X(RUN_REMOVED, 21, "removed")         /* its schedule was removed */                 \
    X(RUN_SHUTDOWN, 22, "shutdown")       /* its node left */

enum run_reason {
#define RUN_REASON_ENUM(symbol, value, name) symbol = (value),
    RUN_REASON_MAP(RUN_REASON_ENUM)
#undef RUN_REASON_ENUM
};

/* One slot, or several in a row that are decided alike (those are never run). */
struct command_slot {
    int64_t first_s;
    int64_t last_s;
    uint32_t count;
    enum run_outcome verdict; /* RUN_UNDER_WAY: it runs; RUN_SKIPPED, RUN_MISSED: it does not */
    enum run_reason reason;
};

/* Decide all slots in (after_s, decided_s]. Refused unless the schedule has decided exactly after_s
 * under that revision: so each slot is decided once, however often and by whom it is proposed. */
struct command_slots {
    char schedule[SCHEDULE_ID_SIZE];
    uint64_t revision;
    int64_t after_s;
    int64_t decided_s;
    size_t count; /* none: there is no slot in it */
    struct command_slot items[SLOTS_PER_COMMAND_MAX];
};

/* Names a run: by the slot of its schedule, or by the number that a manual one got (the index of
 * the command that started it). */
struct run_key {
    char schedule[SCHEDULE_ID_SIZE];
    int64_t slot_s;  /* 0: manual */
    uint64_t number; /* 0: of a slot */
};

struct command_run_start { /* a manual run, now */
    char schedule[SCHEDULE_ID_SIZE];
};

/* The end of a run's attempt. `assignment` is that of the attempt's duty, 0 when it was never
 * assigned; `proof` (enum release_proof) says why nothing of it runs any more. */
struct command_run_end {
    struct run_key run;
    uint32_t attempt;
    uint64_t assignment;
    int proof;
    enum run_outcome outcome; /* never RUN_UNDER_WAY */
    enum run_reason reason;
    int exit_status;         /* 0 .. 255, or 256 + signal; -1: unknown or none */
    int64_t started_wall_ms; /* 0: unknown or never */
    int64_t ended_wall_ms;
    /* The attempt has ended so, but the run goes on: with the next attempt, not before this wall
     * time. 0: the run has ended. */
    int64_t again_wall_ms;
};

/* Its duty is not wanted any more; its end follows. */
struct command_run_cancel {
    struct run_key run;
    enum run_reason reason;
};

/* ---- intents: effects outside the cluster, once (safety.md) ---- */

#define INTENT_KEY_SIZE 192
#define INTENT_OBJECT_SIZE 128

/* What to do when the other side cannot tell whether the effect happened. */
enum intent_policy {
    INTENT_SKIP = 0,  /* at most once */
    INTENT_RETRY = 1, /* at least once */
    INTENT_PARK = 2,  /* a person decides */
};

/* How an intent ended. */
enum intent_verdict {
    INTENT_HAPPENED = 0, /* the effect is there */
    INTENT_REFUSED = 1,  /* the other side said no, for good */
    INTENT_SKIPPED = 2,  /* not performed, or unknown, and the policy gives it up */
    INTENT_DROPPED = 3,  /* a person gave it up: only a parked one */
};

struct command_intent_open {
    char key[INTENT_KEY_SIZE];
    char manager[NAME_SIZE];
    char object[INTENT_OBJECT_SIZE]; /* what it touches: settled before anything else on it */
    enum intent_policy policy;
    /* The key is not forgotten before; its slot cannot come again then. */
    int64_t keep_until_wall_ms;
};

/* An open or parked intent is performed (again) under the term of this entry. An open one is
 * refused when it was taken under this or a later term: whoever took it may be performing it. */
struct command_intent_take {
    char key[INTENT_KEY_SIZE];
};

struct command_intent_done {
    char key[INTENT_KEY_SIZE];
    enum intent_verdict verdict;
    bool verified; /* learnt by asking the other side, not from its answer to the effect */
    char outcome[REASON_SIZE];
};

struct command_intent_park {
    char key[INTENT_KEY_SIZE];
    char question[REASON_SIZE];
};

/* ---- recovery ---- */

#define COMPONENT_SIZE DUTY_ID_SIZE /* "pm2/worker", "github/ci.yml" */

enum recovery_phase {
    RECOVERY_WELL = 0,      /* the row goes */
    RECOVERY_WAITING = 1,   /* the next attempt at next_wall_ms */
    RECOVERY_ACTING = 2,    /* an attempt is under way */
    RECOVERY_ESCALATED = 3, /* the attempts are used up */
};

struct command_recovery {
    char component[COMPONENT_SIZE];
    uint32_t attempt; /* the one under way or the last one; 0: none yet */
    enum recovery_phase phase;
    int64_t next_wall_ms;
};

/* ---- alerts ---- */

enum alert_severity { ALERT_INFO = 0, ALERT_WARNING = 1, ALERT_CRITICAL = 2 };

struct command_alert {      /* raise; ack and resolve use the key alone */
    char key[DUTY_ID_SIZE]; /* "primary.down/pm2/worker": the same trouble has the same key */
    enum alert_severity severity;
    char text[REASON_SIZE];
};

struct command_alert_key {
    char key[DUTY_ID_SIZE];
};

/* ---- proofs that a duty can run ---- */

/* Stable values and names. */
enum proven_by {
    PROVEN_BY_RUN = 1, /* it stood in: a real run */
};

/* The duty runs, and has run for a while, under its present assignment. */
struct command_proven {
    char duty[DUTY_ID_SIZE];
    uint64_t assignment;
    int64_t ran_ms; /* without a break, as far as the leader saw it: > 0 */
    enum proven_by by;
};

#endif
