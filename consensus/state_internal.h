/* The insides of the replicated state, shared by the state_*.c files only. */
#ifndef UNDERSTUDY_CONSENSUS_STATE_INTERNAL_H
#define UNDERSTUDY_CONSENSUS_STATE_INTERNAL_H

#include "consensus/state.h"

/* What is known of the commands of one origin. Bit i of `window`: sequence highest - 1 - i. */
struct state_origin {
    uint64_t id;
    uint64_t incarnation;
    uint64_t highest;
    uint64_t window;
    uint64_t seen_index;
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

void *state_table_find(const struct state_table *table, const char *key);
/* A zeroed row at its place, its key yet to be written; NULL when full. The key must be new. */
void *state_table_insert(const struct state_table *table, const char *key);
void state_table_remove(const struct state_table *table, void *row);

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

/* "manager/name": copies the manager; false when the id has no such form. */
bool state_duty_manager(const char *id, char ret[NAME_SIZE]);

uint64_t state_hash(const uint8_t *bytes, size_t length);
/* 0, ERR_CORRUPT, ERR_NOMEM: `ret` is zeroed by the caller. */
int state_decode_body(const uint8_t *bytes, size_t length, struct state *ret, struct err *err);

#endif
