#include "consensus/state.h"

#include "consensus/state_internal.h"
#include "node/base/invariant.h"

#include <assert.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

static_assert(offsetof(struct state_node, is) == 0, "tables find a row by its first member");
static_assert(offsetof(struct command_node, name) == 0, "tables find a row by its first member");
static_assert(offsetof(struct state_duty, is) == 0, "tables find a row by its first member");
static_assert(offsetof(struct command_duty, id) == 0, "tables find a row by its first member");
static_assert(offsetof(struct state_setting, key) == 0, "tables find a row by its first member");
static_assert(offsetof(struct state_manager, name) == 0, "tables find a row by its first member");

struct state *state_create(void)
{
    return calloc(1, sizeof(struct state));
}

void state_destroy(struct state **self_p)
{
    if (self_p == NULL) {
        return;
    }
    if (*self_p != NULL) {
        state_work_deinit(&(*self_p)->work);
    }
    free(*self_p);
    *self_p = NULL;
}

struct state *state_copy(const struct state *self)
{
    struct state *ret = malloc(sizeof *ret);
    if (ret == NULL) {
        return NULL;
    }
    memcpy(ret, self, sizeof *ret);
    if (state_work_copy(&self->work, &ret->work) != 0) {
        free(ret);
        return NULL;
    }
    return ret;
}

uint64_t state_index(const struct state *self)
{
    return self->index;
}

void state_counters(const struct state *self, struct state_counters *ret)
{
    *ret = self->counters;
}

/* ---- tables ---- */

struct state_table state_table_nodes(struct state *self)
{
    return (struct state_table){self->nodes, &self->node_count, NODES_MAX, sizeof(self->nodes[0])};
}

struct state_table state_table_duties(struct state *self)
{
    return (struct state_table){self->duties, &self->duty_count, DUTIES_MAX,
                                sizeof(self->duties[0])};
}

struct state_table state_table_settings(struct state *self)
{
    return (struct state_table){self->settings, &self->setting_count, STATE_SETTINGS_MAX,
                                sizeof(self->settings[0])};
}

struct state_table state_table_managers(struct state *self)
{
    return (struct state_table){self->managers, &self->manager_count, STATE_MANAGERS_MAX,
                                sizeof(self->managers[0])};
}

/* Position of the first row whose key is not below `key`. */
static size_t lower_bound(const void *rows, size_t count, size_t row_size, const char *key)
{
    size_t low = 0;
    size_t high = count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (strcmp((const char *)rows + middle * row_size, key) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

const void *state_rows_find(const void *rows, size_t count, size_t row_size, const char *key)
{
    if (count == 0) {
        return NULL; /* `rows` may be NULL */
    }
    size_t position = lower_bound(rows, count, row_size, key);
    const char *row = (const char *)rows + position * row_size;
    return position < count && strcmp(row, key) == 0 ? row : NULL;
}

void *state_table_find(const struct state_table *table, const char *key)
{
    if (*table->count == 0) {
        return NULL; /* the rows may be NULL */
    }
    size_t position = lower_bound(table->rows, *table->count, table->row_size, key);
    char *row = (char *)table->rows + position * table->row_size;
    return position < *table->count && strcmp(row, key) == 0 ? row : NULL;
}

void *state_table_insert(const struct state_table *table, const char *key)
{
    if (*table->count >= table->count_max) {
        return NULL;
    }
    size_t position = lower_bound(table->rows, *table->count, table->row_size, key);
    char *row = (char *)table->rows + position * table->row_size;
    memmove(row + table->row_size, row, (*table->count - position) * table->row_size);
    memset(row, 0, table->row_size);
    (*table->count)++;
    return row;
}

void state_table_remove(const struct state_table *table, void *row)
{
    char *first = table->rows;
    char *end = first + *table->count * table->row_size;
    char *gone = row;
    invariant(gone >= first);
    invariant(gone + table->row_size <= end);
    memmove(gone, gone + table->row_size, (size_t)(end - gone) - table->row_size);
    (*table->count)--;
    memset(end - table->row_size, 0, table->row_size);
}

/* ---- rings ---- */

void state_history_push(struct state *self, const struct state_leader *entry)
{
    self->history[self->history_next] = *entry;
    self->history_next = (self->history_next + 1) % STATE_HISTORY_MAX;
    if (self->history_count < STATE_HISTORY_MAX) {
        self->history_count++;
    }
}

void state_audit_push(struct state *self, const struct state_audit *entry)
{
    self->audit[self->audit_next] = *entry;
    self->audit_next = (self->audit_next + 1) % STATE_AUDIT_MAX;
    if (self->audit_count < STATE_AUDIT_MAX) {
        self->audit_count++;
    }
}

size_t state_history_count(const struct state *self)
{
    return self->history_count;
}

const struct state_leader *state_history_at(const struct state *self, size_t position)
{
    if (position >= self->history_count) {
        return NULL;
    }
    size_t slot = self->history_next + STATE_HISTORY_MAX - 1 - position;
    return &self->history[slot % STATE_HISTORY_MAX];
}

size_t state_audit_count(const struct state *self)
{
    return self->audit_count;
}

const struct state_audit *state_audit_at(const struct state *self, size_t position)
{
    if (position >= self->audit_count) {
        return NULL;
    }
    return &self->audit[(self->audit_next + STATE_AUDIT_MAX - 1 - position) % STATE_AUDIT_MAX];
}

/* ---- queries ---- */

size_t state_node_count(const struct state *self)
{
    return self->node_count;
}

const struct state_node *state_node_at(const struct state *self, size_t position)
{
    return position < self->node_count ? &self->nodes[position] : NULL;
}

const struct state_node *state_node_by_name(const struct state *self, const char *name)
{
    return state_rows_find(self->nodes, self->node_count, sizeof(self->nodes[0]), name);
}

const struct state_node *state_node_by_id(const struct state *self, uint64_t raft_id)
{
    for (size_t i = 0; i < self->node_count; i++) {
        if (self->nodes[i].is.raft_id == raft_id) {
            return &self->nodes[i];
        }
    }
    return NULL;
}

static bool has_key(const struct command_node *node, const char *public_key)
{
    if (strcmp(node->public_key, public_key) == 0) {
        return true;
    }
    for (size_t i = 0; i < node->extra_key_count; i++) {
        if (strcmp(node->extra_keys[i], public_key) == 0) {
            return true;
        }
    }
    return false;
}

const struct state_node *state_node_by_key(const struct state *self, const char *public_key)
{
    const struct state_node *removed = NULL;
    for (size_t i = 0; i < self->node_count; i++) {
        if (!has_key(&self->nodes[i].is, public_key)) {
            continue;
        }
        if (!self->nodes[i].removed) {
            return &self->nodes[i];
        }
        removed = &self->nodes[i];
    }
    return removed;
}

size_t state_duty_count(const struct state *self)
{
    return self->duty_count;
}

const struct state_duty *state_duty_at(const struct state *self, size_t position)
{
    return position < self->duty_count ? &self->duties[position] : NULL;
}

const struct state_duty *state_duty_by_id(const struct state *self, const char *id)
{
    return state_rows_find(self->duties, self->duty_count, sizeof(self->duties[0]), id);
}

bool state_duty_held(const struct state_duty *duty)
{
    return duty->assignment.number != 0 && !duty->released;
}

size_t state_setting_count(const struct state *self)
{
    return self->setting_count;
}

const struct state_setting *state_setting_at(const struct state *self, size_t position)
{
    return position < self->setting_count ? &self->settings[position] : NULL;
}

const char *state_setting(const struct state *self, const char *key)
{
    const struct state_setting *row =
        state_rows_find(self->settings, self->setting_count, sizeof(self->settings[0]), key);
    return row == NULL ? NULL : row->value;
}

size_t state_manager_count(const struct state *self)
{
    return self->manager_count;
}

const struct state_manager *state_manager_at(const struct state *self, size_t position)
{
    return position < self->manager_count ? &self->managers[position] : NULL;
}

const struct state_manager *state_manager_by_name(const struct state *self, const char *name)
{
    return state_rows_find(self->managers, self->manager_count, sizeof(self->managers[0]), name);
}

bool state_manager_paused(const struct state *self, const char *name, int64_t wall_ms)
{
    const struct state_manager *row = state_manager_by_name(self, name);
    return row != NULL && row->paused_until_wall_ms > wall_ms;
}
