/* The replicated state machine: what all nodes know alike.
 *
 * Fed with committed commands in order; the same sequence gives the same state on every node, to
 * the byte (state_digest). It reads no clock: all times in it are the proposers' wall times, for
 * display only. Each kind is bounded, with its policy at the bound below. Each node keeps one copy
 * per thread that needs one; a copy belongs to one thread.
 *
 * Schedules, runs, intents, recoveries, alerts and proofs are told by state_work.h.
 *
 * Policies at the bounds: roster, duties, settings and managers refuse the new with ERR_FULL (the
 * roster first forgets the node that was removed longest ago); leader history and audit forget
 * the oldest; of the origins the one that was silent longest is forgotten.
 *
 * Repeats: per origin the highest sequence and a window of the STATE_WINDOW before it are kept, as
 * proposals of one origin may be reordered on their way to the leader. A sequence in the window is
 * applied once; one older than the window, or of an older incarnation, is refused with ERR_STALE
 * (never applied a second time); a higher incarnation starts a new window.
 *
 * Versions: a command of a newer version or unknown type is skipped and counted, alike on all nodes
 * of this version; whoever adds a type proposes it only when all nodes of the roster know it. */
#ifndef UNDERSTUDY_CONSENSUS_STATE_H
#define UNDERSTUDY_CONSENSUS_STATE_H

#include "consensus/command.h"

#define STATE_VERSION 1
#define STATE_SETTINGS_MAX 256
#define STATE_MANAGERS_MAX 32
#define STATE_HISTORY_MAX 128
#define STATE_AUDIT_MAX 1024
#define STATE_ORIGINS_MAX 128
#define STATE_WINDOW 64 /* sequences behind the highest that are still told apart */

struct state;

struct state_node {
    struct command_node is;
    bool draining;
    bool removed; /* left or was removed: kept so that it is known, until the row is needed */
    int64_t since_wall_ms; /* joined; of a removed node: removed */
    uint64_t changed_index;
};

struct state_assignment {
    uint64_t number; /* log index of the assigning entry; 0: never assigned */
    char node[NAME_SIZE];
    uint64_t raft_id;
    uint64_t incarnation;
    uint64_t term; /* of the assigning entry: the fencing token */
    int64_t wall_ms;
    int64_t grant_ttl_ms; /* longest grant for it */
};

struct state_duty {
    struct command_duty is;
    char manager[NAME_SIZE]; /* the id's first part */
    struct state_assignment assignment;
    bool released; /* the present assignment; an assignment with number 0 is never released */
    enum release_proof proof; /* when released */
    int64_t released_wall_ms;
    uint64_t changed_index;
};

struct state_setting {
    char key[SETTING_KEY_SIZE];
    char value[SETTING_VALUE_SIZE];
    uint64_t changed_index;
};

struct state_manager {
    char name[NAME_SIZE];
    int64_t paused_until_wall_ms; /* 0: not paused; PAUSED_UNTIL_RESUMED */
    enum manager_mode mode;
    uint64_t changed_index;
};

struct state_leader {
    struct command_leader is;
    int64_t wall_ms; /* of becoming leader */
    uint64_t index;
};

/* Of each command, but for what went well in the course of runs (slots_decide, run_end, assignment
 * and release of a run's duty) and of proving that a duty runs (duty_proven): their rows tell that,
 * and there are thousands of them. */
struct state_audit {
    uint64_t index;
    uint64_t term;
    int64_t wall_ms;
    enum command_type type;
    enum command_reason reason;
    int status; /* 0, or the ERR_ code of a refusal */
    char who[NAME_SIZE];
    char target[DUTY_ID_SIZE];
    char why[REASON_SIZE];
};

enum state_outcome {
    STATE_APPLIED,
    STATE_UNCHANGED, /* accepted, but it was so already */
    STATE_REFUSED,   /* status and reason say why; nothing changed but the audit ring */
    STATE_REPEATED,  /* applied before; its first outcome is in the audit ring */
    STATE_SKIPPED,   /* malformed, or newer than this version */
};

/* What one command did. (origin, incarnation, sequence) lets its proposer recognise it. */
struct state_effect {
    uint64_t index;
    uint64_t term;
    enum command_type type;
    enum state_outcome outcome;
    int status; /* 0 or an ERR_ code */
    char reason[REASON_SIZE];
    char target[DUTY_ID_SIZE];
    uint64_t origin;
    uint64_t incarnation;
    uint64_t sequence;
    uint64_t number;   /* assign, release, the end of a run: the assignment; a schedule's new
                        * definition, slots, the start of a run: the index */
    uint64_t replaced; /* assign: the assignment before it */
};

struct state_counters {
    uint64_t applied, unchanged, refused, repeated;
    uint64_t malformed, unsupported;
};

/* NULL when out of memory. */
struct state *state_create(void);
void state_destroy(struct state **self_p);
/* Another one with the same contents, which may go to another thread. Costs little beside a
 * snapshot. NULL when out of memory. */
struct state *state_copy(const struct state *self);

/* Apply one committed command. `index` > state_index(), `term` of its entry. 0 with *ret filled,
 * whatever the bytes are; ERR_STALE: index not above the last one, nothing done; ERR_NOMEM: the
 * state is as before and the process must end, as going on would fork the state (unless it applies
 * the same entry again). */
int state_apply(struct state *self, uint64_t index, uint64_t term, const uint8_t *bytes,
                size_t length, struct state_effect *ret);

/* The whole state as bytes: malloc'd, the caller frees. 0, ERR_NOMEM, ERR_FULL. */
int state_snapshot(const struct state *self, uint8_t **ret, size_t *ret_length);

/* Replace the whole state by a snapshot; `index` is the log index that it stands for (it may lie
 * above the last command, as barriers are no commands). On error the state is as before:
 * ERR_CORRUPT, ERR_UNSUPPORTED (an incompatible newer version), ERR_NOMEM. */
int state_restore(struct state *self, uint64_t index, const uint8_t *bytes, size_t length,
                  struct err *err);

/* Hash of the contents (not of the index): equal on nodes that applied the same commands. Costs
 * about as much as a snapshot. 0 when out of memory. */
uint64_t state_digest(const struct state *self);

/* Index of the last applied command or restored snapshot. */
uint64_t state_index(const struct state *self);
void state_counters(const struct state *self, struct state_counters *ret);

/* ---- queries: borrowed rows, valid until the next apply or restore; NULL when absent ---- */

/* Rows of the roster, sorted by name, removed ones included. */
size_t state_node_count(const struct state *self);
const struct state_node *state_node_at(const struct state *self, size_t position);
const struct state_node *state_node_by_name(const struct state *self, const char *name);
const struct state_node *state_node_by_id(const struct state *self, uint64_t raft_id);
/* By founding or extra key. */
const struct state_node *state_node_by_key(const struct state *self, const char *public_key);

/* Duties, sorted by id. */
size_t state_duty_count(const struct state *self);
const struct state_duty *state_duty_at(const struct state *self, size_t position);
const struct state_duty *state_duty_by_id(const struct state *self, const char *id);
/* Assigned and not released. */
bool state_duty_held(const struct state_duty *duty);
/* Another duty of its exclusion group, on another side, that is held: `duty` is not assigned while
 * it is. NULL: there is none. */
const struct state_duty *state_duty_barred_by(const struct state *self,
                                              const struct state_duty *duty);
/* A put with this group and side would change the duty's. What is held keeps the group that it is
 * in; it joins one only while nothing bars it there. */
bool state_duty_regroups(const struct state *self, const struct state_duty *duty, const char *alone,
                         uint32_t side);

/* Settings and managers, sorted by key and name. */
size_t state_setting_count(const struct state *self);
const struct state_setting *state_setting_at(const struct state *self, size_t position);
const char *state_setting(const struct state *self, const char *key); /* its value or NULL */
size_t state_manager_count(const struct state *self);
const struct state_manager *state_manager_at(const struct state *self, size_t position);
const struct state_manager *state_manager_by_name(const struct state *self, const char *name);
/* A manager without a row is not paused. */
bool state_manager_paused(const struct state *self, const char *name, int64_t wall_ms);

/* Rings; position 0 is the newest. */
size_t state_history_count(const struct state *self);
const struct state_leader *state_history_at(const struct state *self, size_t position);
size_t state_audit_count(const struct state *self);
const struct state_audit *state_audit_at(const struct state *self, size_t position);

#endif
