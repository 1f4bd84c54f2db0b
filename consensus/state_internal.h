/* The insides of the replicated state, shared by the state_*.c files only. */
#ifndef UNDERSTUDY_CONSENSUS_STATE_INTERNAL_H
#define UNDERSTUDY_CONSENSUS_STATE_INTERNAL_H

#include "consensus/state.h"
#include "consensus/state_work.h"

/* What is known of the commands of one origin. Bit i of `window`: sequence highest - 1 - i. */
struct state_origin {
    uint64_t id;
    uint64_t incarnation;
    uint64_t highest;
    uint64_t window;
    uint64_t seen_index;
};

/* Rows that are malloc'd and grow up to their bound (state_work_reserve). */
struct state_rows {
    void *first;
    size_t count;
    size_t capacity;
};

/* What state_work.h tells. */
struct state_work {
    struct state_rows schedules;  /* struct state_schedule, by id */
    struct state_rows runs;       /* struct state_run under way, by key */
    struct state_rows ended;      /* struct state_run, a ring as soon as it is full */
    size_t ended_oldest;          /* 0 until then */
    struct state_rows intents;    /* struct state_intent, by key */
    struct state_rows recoveries; /* struct state_recovery, by component */
    struct state_rows alerts;     /* struct state_alert, by key */
    struct state_rows proven;     /* struct state_proven, by duty */
};

/* Rows of tables are sorted by the text at their beginning; rings are written at `next`. */
struct state {
    uint64_t index;
    size_t node_count;
    size_t duty_count;
    size_t setting_count;
    size_t manager_count;
    size_t origin_count;
    size_t history_count;
    size_t history_next;
    size_t audit_count;
    size_t audit_next;
    struct state_counters counters;
    struct state_node nodes[NODES_MAX];
    struct state_duty duties[DUTIES_MAX];
    struct state_setting settings[STATE_SETTINGS_MAX];
    struct state_manager managers[STATE_MANAGERS_MAX];
    struct state_origin origins[STATE_ORIGINS_MAX];
    struct state_leader history[STATE_HISTORY_MAX];
    struct state_audit audit[STATE_AUDIT_MAX];
    struct state_work work;
};

/* A sorted table of rows whose first member is their key. */
struct state_table {
    void *rows;
    size_t *count;
    size_t count_max;
    size_t row_size;
};

struct state_table state_table_nodes(struct state *self);
struct state_table state_table_duties(struct state *self);
struct state_table state_table_settings(struct state *self);
struct state_table state_table_managers(struct state *self);
/* state_table_insert must find room in these: state_work_reserve came before. */
struct state_table state_table_schedules(struct state *self);
struct state_table state_table_intents(struct state *self);
struct state_table state_table_recoveries(struct state *self);
struct state_table state_table_alerts(struct state *self);
struct state_table state_table_proven(struct state *self);

void *state_table_find(const struct state_table *table, const char *key);
/* A zeroed row at its place, its key yet to be written; NULL when full. The key must be new. */
void *state_table_insert(const struct state_table *table, const char *key);
void state_table_remove(const struct state_table *table, void *row);

/* The same search in rows that are not to be changed. */
const void *state_rows_find(const void *rows, size_t count, size_t row_size, const char *key);

void state_history_push(struct state *self, const struct state_leader *entry);
void state_audit_push(struct state *self, const struct state_audit *entry);

/* One command on its way through the state machine. */
struct state_change {
    const struct command *command;
    uint64_t index;
    uint64_t term;
    struct state_effect *effect;
};

/* Outcomes of the functions below: they fill the effect and return. */
void state_refuse(struct state_change *change, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void state_unchanged(struct state_change *change);

void state_apply_node(struct state *self, struct state_change *change);
void state_apply_duty(struct state *self, struct state_change *change);
void state_apply_schedule(struct state *self, struct state_change *change);
void state_apply_run(struct state *self, struct state_change *change);
void state_apply_intent(struct state *self, struct state_change *change);
void state_apply_recovery(struct state *self, struct state_change *change);
void state_apply_alert(struct state *self, struct state_change *change);
void state_apply_proven(struct state *self, struct state_change *change);

/* "manager/name": copies the manager; false when the id has no such form. */
bool state_duty_manager(const char *id, char ret[NAME_SIZE]);

/* ---- work ---- */

/* Room for all that the command may add. 0; ERR_NOMEM: nothing changed. */
int state_work_reserve(struct state *self, const struct command *command);
/* Room for `extra` rows more, but not for more than `max` in all. 0, ERR_NOMEM. */
int state_rows_reserve(struct state_rows *self, size_t extra, size_t max, size_t row_size);
void state_work_deinit(struct state_work *self);
/* 0, ERR_NOMEM with nothing in `ret`. */
int state_work_copy(const struct state_work *self, struct state_work *ret);

/* Durations, counts and instants within their bounds; NULL, or what is not. */
const char *state_definition_fault(const struct schedule_definition *is);
bool state_instant_valid(int64_t instant_s);

int state_run_compare(const struct run_key *a, const struct run_key *b);
/* The run under way with that key, or NULL. */
struct state_run *state_run_find(struct state *self, const struct run_key *key);
/* The run under way whose present attempt has this duty, or NULL. */
struct state_run *state_run_of_duty(struct state *self, const char *duty);
/* How many runs of that schedule are under way. */
uint32_t state_runs_of(const struct state *self, const char *schedule);

/* A row for a run that begins: its key is new, and room was reserved. */
struct state_run *state_run_insert(struct state *self, const struct run_key *key);
void state_run_remove(struct state *self, struct state_run *run);
/* Into the ring of the ended; a row that this forgets tells its schedule. */
void state_run_push(struct state *self, const struct state_run *run);

/* May `count` runs begin, as far as room goes? Writes the refusal. */
bool state_run_room(const struct state *self, struct state_change *change, size_t count);
/* May this one begin, as far as its names go? Writes the refusal. */
bool state_run_is_new(struct state *self, struct state_change *change, const struct run_key *key);
/* Begin it, with the duty of its first attempt. Both questions above were asked. */
void state_run_begin(struct state *self, struct state_change *change,
                     struct state_schedule *schedule, const struct run_key *key,
                     enum run_reason reason);
/* It ended: into the ring, and counted by its schedule when that is still there. */
void state_run_record(struct state *self, const struct state_run *run, int64_t wall_ms);

/* ---- snapshots ---- */

uint64_t state_hash(const uint8_t *bytes, size_t length);
/* 0, ERR_CORRUPT, ERR_NOMEM: `ret` is zeroed by the caller. */
int state_decode_body(const uint8_t *bytes, size_t length, struct state *ret, struct err *err);

bool state_work_empty(const struct state *self);
void state_work_put(struct mp_writer *writer, const struct state *self);
/* `array` NULL: there is no work. `ret` has its duties already. 0, ERR_CORRUPT, ERR_NOMEM. */
int state_work_restore(const msgpack_object *array, struct state *ret, struct err *err);

#endif
