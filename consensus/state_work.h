/* The part of the replicated state (state.h) that is about work: schedules and what became of each
 * of their slots, intents, recoveries, alerts, and when which duty was seen to run.
 *
 * Bounds: schedules and runs under way refuse the new (ERR_FULL); ended runs are a ring, and each
 * schedule says since when the ring is whole for it. Intents refuse the new when no row may be
 * forgotten; alerts forget the resolved that changed longest ago, recoveries refuse; of the proofs
 * the one that is oldest goes.
 *
 * A run is an exclusive duty as long as an attempt of it is under way: the commands below make and
 * remove that duty in the same step, so that each attempt is assigned to one node at most once in
 * its life (its duty is `once`). Rows are borrowed until the next apply or restore. */
#ifndef UNDERSTUDY_CONSENSUS_STATE_WORK_H
#define UNDERSTUDY_CONSENSUS_STATE_WORK_H

#include "consensus/command_work.h"

#define STATE_SCHEDULES_MAX 16384
#define STATE_RUNS_UNDER_WAY_MAX 512 /* of the DUTIES_MAX */
#define STATE_RUNS_ENDED_MAX 16384
#define STATE_INTENTS_MAX 4096
#define STATE_RECOVERIES_MAX 512
#define STATE_ALERTS_MAX 512
#define STATE_PROVEN_MAX 512

struct state;

/* ---- schedules ---- */

struct run_counts {
    uint64_t ran, failed, skipped, missed, unknown; /* slots, manual runs left out */
};

struct state_schedule {
    char id[SCHEDULE_ID_SIZE];
    struct schedule_definition is;
    uint64_t revision;   /* index of the entry that defined it so */
    int64_t defined_s;   /* this definition counts for slots after it */
    int64_t decided_s;   /* every slot up to it is decided */
    int64_t kept_from_s; /* every slot after it is in the runs below; older ones may be forgotten */
    uint32_t under_way;
    struct run_counts counts;
    int64_t last_slot_s; /* the newest slot that ended; 0: none yet */
    enum run_outcome last_outcome;
    int64_t last_ran_wall_ms; /* end of the last run that went well; 0: never */
    uint32_t failures;        /* runs in a row that did not go well */
};

/* Sorted by id. */
size_t state_schedule_count(const struct state *self);
const struct state_schedule *state_schedule_at(const struct state *self, size_t position);
const struct state_schedule *state_schedule_by_id(const struct state *self, const char *id);

/* ---- runs ---- */

struct state_run {
    struct run_key key; /* of a range: its first slot */
    int64_t last_s;     /* of a range: its last slot; else the slot */
    uint32_t count;     /* slots in the range; else 1 */
    uint32_t attempt;   /* from 1; 0: it was never to run */
    uint32_t unstarted; /* attempts before it that ended as RUN_NOT_STARTED: no retries of it */
    enum run_outcome outcome;
    enum run_reason reason; /* under way: why it was started */
    bool cancelled;         /* under way: its end was asked for, `cancel` says why */
    enum run_reason cancel;
    int exit_status;
    uint64_t raft_id;    /* the node that had the last attempt; 0: none */
    uint64_t assignment; /* of that attempt */
    uint64_t term;       /* in which it was decided */
    uint64_t index;      /* of the deciding entry */
    uint64_t revision;   /* of its schedule then */
    int64_t decided_wall_ms;
    int64_t again_wall_ms; /* under way: the attempt is not assigned before */
    int64_t started_wall_ms;
    int64_t ended_wall_ms;
};

/* Under way, sorted by key (schedule, slot, number). */
size_t state_run_count(const struct state *self);
const struct state_run *state_run_at(const struct state *self, size_t position);
/* Under way or ended; NULL when it is neither or forgotten. A slot within an ended range finds the
 * range. Ended ones are searched from the newest. */
const struct state_run *state_run_by_key(const struct state *self, const struct run_key *key);
/* Ended; position 0 is the newest. */
size_t state_ended_count(const struct state *self);
const struct state_run *state_ended_at(const struct state *self, size_t position);

/* "run/report@20261122T051500Z", "run/report@m1234"; and its attempt's duty, with "#2" behind. */
void run_id(const struct run_key *key, char ret[RUN_ID_SIZE]);
void run_duty_id(const struct run_key *key, uint32_t attempt, char ret[DUTY_ID_SIZE]);
/* Read either back; *ret_attempt is 0 when none is named. False: it has no such form. */
bool run_parse(const char *text, struct run_key *ret, uint32_t *ret_attempt);
const char *run_outcome_name(enum run_outcome outcome); /* "ran", ...; "unknown" for RUN_UNKNOWN */
const char *run_reason_name(enum run_reason reason);

/* ---- intents ---- */

enum intent_state { INTENT_OPEN = 0, INTENT_DONE = 1, INTENT_PARKED = 2 };

struct state_intent {
    char key[INTENT_KEY_SIZE];
    char manager[NAME_SIZE];
    char object[INTENT_OBJECT_SIZE];
    enum intent_policy policy;
    enum intent_state state;
    enum intent_verdict verdict; /* of a done one */
    bool verified;
    uint32_t attempt; /* how often it was taken, the opening counted */
    uint64_t term;    /* of the entry that took it last */
    uint64_t opened_index;
    int64_t opened_wall_ms;
    int64_t changed_wall_ms;
    int64_t keep_until_wall_ms;
    char outcome[REASON_SIZE]; /* or the question of a parked one */
};

/* Sorted by key. */
size_t state_intent_count(const struct state *self);
const struct state_intent *state_intent_at(const struct state *self, size_t position);
const struct state_intent *state_intent_by_key(const struct state *self, const char *key);
/* The open or parked intent on `object` of `manager` that was opened first; NULL: none. */
const struct state_intent *state_intent_open_on(const struct state *self, const char *manager,
                                                const char *object);
const char *intent_state_name(enum intent_state state);       /* "open", "done", "parked" */
const char *intent_verdict_name(enum intent_verdict verdict); /* "happened", ... */
const char *intent_policy_name(enum intent_policy policy);    /* "skip", "retry", "park" */

/* ---- recoveries ---- */

struct state_recovery {
    char component[COMPONENT_SIZE];
    uint32_t attempt;
    enum recovery_phase phase;
    int64_t next_wall_ms;
    int64_t since_wall_ms; /* of the first attempt */
    int64_t changed_wall_ms;
};

size_t state_recovery_count(const struct state *self); /* sorted by component */
const struct state_recovery *state_recovery_at(const struct state *self, size_t position);
const struct state_recovery *state_recovery_of(const struct state *self, const char *component);
const char *recovery_phase_name(enum recovery_phase phase);

/* ---- alerts ---- */

enum alert_state { ALERT_FIRING = 0, ALERT_ACKED = 1, ALERT_RESOLVED = 2 };

struct state_alert {
    char key[DUTY_ID_SIZE];
    enum alert_severity severity;
    enum alert_state state;
    uint32_t raised; /* how often since the row exists */
    uint64_t changed_index;
    int64_t raised_wall_ms; /* of the present or last firing */
    int64_t changed_wall_ms;
    char who[NAME_SIZE]; /* acknowledged by */
    char text[REASON_SIZE];
};

size_t state_alert_count(const struct state *self); /* sorted by key */
const struct state_alert *state_alert_at(const struct state *self, size_t position);
const struct state_alert *state_alert_by_key(const struct state *self, const char *key);
const char *alert_state_name(enum alert_state state);
const char *alert_severity_name(enum alert_severity severity);

/* ---- proofs that a duty can run ---- */

/* The last one of the duty; it outlives the duty's row. The attempts of runs have none: their rows
 * tell how they ended. */
struct state_proven {
    char duty[DUTY_ID_SIZE];
    char node[NAME_SIZE]; /* where it ran */
    uint64_t assignment;
    uint64_t term;  /* of the leader who saw it */
    uint64_t index; /* of the entry that told it last */
    enum proven_by by;
    int64_t ran_ms;       /* the longest under that assignment */
    int64_t last_wall_ms; /* it ran then */
};

size_t state_proven_count(const struct state *self); /* sorted by duty */
const struct state_proven *state_proven_at(const struct state *self, size_t position);
const struct state_proven *state_proven_of(const struct state *self, const char *duty);
const char *proven_by_name(enum proven_by by); /* "run" */

#endif
