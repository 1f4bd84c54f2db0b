/* What is on record: the recovery of components, alerts, and which duties were seen to run. */
#include "consensus/state_internal.h"

#include <string.h>

/* ---- recoveries ---- */

static void recovered(struct state *self, struct state_change *change)
{
    struct state_table table = state_table_recoveries(self);
    struct state_recovery *row = state_table_find(&table, change->command->recovery.component);
    if (row == NULL) {
        state_unchanged(change);
        return;
    }
    state_table_remove(&table, row);
}

void state_apply_recovery(struct state *self, struct state_change *change)
{
    const struct command_recovery *wish = &change->command->recovery;
    if (wish->phase == RECOVERY_WELL) {
        recovered(self, change);
        return;
    }
    struct state_table table = state_table_recoveries(self);
    struct state_recovery *row = state_table_find(&table, wish->component);
    if (row != NULL && row->attempt == wish->attempt && row->phase == wish->phase &&
        row->next_wall_ms == wish->next_wall_ms) {
        state_unchanged(change);
        return;
    }
    if (row == NULL) {
        row = state_table_insert(&table, wish->component);
        if (row == NULL) {
            state_refuse(change, ERR_FULL, "there are %d recoveries already", STATE_RECOVERIES_MAX);
            return;
        }
        memcpy(row->component, wish->component, sizeof(row->component));
        row->since_wall_ms = change->command->wall_ms;
    }
    row->attempt = wish->attempt;
    row->phase = wish->phase;
    row->next_wall_ms = wish->next_wall_ms;
    row->changed_wall_ms = change->command->wall_ms;
}

/* ---- alerts ---- */

static struct state_alert *longest_resolved(struct state *self)
{
    struct state_alert *rows = self->work.alerts.first;
    struct state_alert *oldest = NULL;
    for (size_t i = 0; i < self->work.alerts.count; i++) {
        if (rows[i].state == ALERT_RESOLVED &&
            (oldest == NULL || rows[i].changed_index < oldest->changed_index)) {
            oldest = &rows[i];
        }
    }
    return oldest;
}

/* A row for a new alert, or NULL: none of those that are there may be forgotten. */
static struct state_alert *insert(struct state *self, const char *key)
{
    struct state_table table = state_table_alerts(self);
    if (self->work.alerts.count >= STATE_ALERTS_MAX) {
        struct state_alert *oldest = longest_resolved(self);
        if (oldest == NULL) {
            return NULL;
        }
        state_table_remove(&table, oldest);
    }
    return state_table_insert(&table, key);
}

static void touch(struct state_alert *row, const struct state_change *change)
{
    row->changed_index = change->index;
    row->changed_wall_ms = change->command->wall_ms;
}

static void fire(struct state_alert *row, const struct state_change *change)
{
    row->state = ALERT_FIRING;
    row->raised += row->raised < UINT32_MAX ? 1 : 0;
    row->raised_wall_ms = change->command->wall_ms;
    memset(row->who, 0, sizeof(row->who));
}

static void raise_alert(struct state *self, struct state_change *change)
{
    const struct command_alert *wish = &change->command->alert;
    struct state_table table = state_table_alerts(self);
    struct state_alert *row = state_table_find(&table, wish->key);
    if (row != NULL && row->state != ALERT_RESOLVED && row->severity == wish->severity &&
        strcmp(row->text, wish->text) == 0) {
        state_unchanged(change);
        return;
    }
    bool fires = row == NULL || row->state == ALERT_RESOLVED;
    if (row == NULL) {
        row = insert(self, wish->key);
        if (row == NULL) {
            state_refuse(change, ERR_FULL, "there are %d alerts, and none is resolved",
                         STATE_ALERTS_MAX);
            return;
        }
        memcpy(row->key, wish->key, sizeof(row->key));
    }
    row->severity = wish->severity;
    memcpy(row->text, wish->text, sizeof(row->text));
    if (fires) {
        fire(row, change);
    }
    touch(row, change);
}

static void acknowledge(struct state_change *change, struct state_alert *row)
{
    if (row->state == ALERT_ACKED) {
        state_unchanged(change);
        return;
    }
    if (row->state == ALERT_RESOLVED) {
        state_refuse(change, ERR_STALE, "alert %s is resolved", row->key);
        return;
    }
    row->state = ALERT_ACKED;
    memcpy(row->who, change->command->who, sizeof(row->who));
    touch(row, change);
}

static void resolve(struct state_change *change, struct state_alert *row)
{
    if (row->state == ALERT_RESOLVED) {
        state_unchanged(change);
        return;
    }
    row->state = ALERT_RESOLVED;
    touch(row, change);
}

void state_apply_alert(struct state *self, struct state_change *change)
{
    if (change->command->type == COMMAND_ALERT_RAISE) {
        raise_alert(self, change);
        return;
    }
    struct state_table table = state_table_alerts(self);
    struct state_alert *row = state_table_find(&table, change->command->alert_key.key);
    if (row == NULL) {
        state_refuse(change, ERR_NOTFOUND, "no alert %s", change->command->alert_key.key);
    } else if (change->command->type == COMMAND_ALERT_ACK) {
        acknowledge(change, row);
    } else {
        resolve(change, row);
    }
}

/* ---- proofs ---- */

/* The duty that ran under that assignment, or NULL with the refusal written. */
static const struct state_duty *duty_that_ran(const struct state *self, struct state_change *change)
{
    const struct command_proven *told = &change->command->proven;
    const struct state_duty *duty = state_duty_by_id(self, told->duty);
    if (duty == NULL) {
        state_refuse(change, ERR_NOTFOUND, "no duty %s", told->duty);
        return NULL;
    }
    if (duty->is.once) {
        state_refuse(change, ERR_DENIED, "duty %s is a run's: its end tells how it went",
                     told->duty);
        return NULL;
    }
    if (told->assignment == 0 || duty->assignment.number != told->assignment) {
        state_refuse(change, ERR_STALE, "duty %s has assignment %llu, not %llu", told->duty,
                     (unsigned long long)duty->assignment.number,
                     (unsigned long long)told->assignment);
        return NULL;
    }
    if (told->ran_ms < 1) {
        state_refuse(change, ERR_INVALID, "it has not run for any time");
        return NULL;
    }
    return duty;
}

/* Room for a new one is always there: what was proven longest ago is forgotten. */
static struct state_proven *insert_proven(struct state *self, const char *duty)
{
    struct state_table table = state_table_proven(self);
    struct state_proven *rows = self->work.proven.first;
    if (self->work.proven.count >= STATE_PROVEN_MAX) {
        struct state_proven *oldest = &rows[0];
        for (size_t i = 1; i < self->work.proven.count; i++) {
            oldest = rows[i].index < oldest->index ? &rows[i] : oldest;
        }
        state_table_remove(&table, oldest);
    }
    return state_table_insert(&table, duty);
}

void state_apply_proven(struct state *self, struct state_change *change)
{
    const struct command_proven *told = &change->command->proven;
    const struct state_duty *duty = duty_that_ran(self, change);
    if (duty == NULL) {
        return;
    }
    struct state_table table = state_table_proven(self);
    struct state_proven *row = state_table_find(&table, told->duty);
    bool again = row != NULL && row->assignment == told->assignment;
    if (again && row->last_wall_ms >= change->command->wall_ms && row->ran_ms >= told->ran_ms) {
        state_unchanged(change);
        return;
    }
    if (row == NULL) {
        row = insert_proven(self, told->duty);
        memcpy(row->duty, told->duty, sizeof(row->duty));
    }
    row->ran_ms = again && row->ran_ms > told->ran_ms ? row->ran_ms : told->ran_ms;
    memcpy(row->node, duty->assignment.node, sizeof(row->node));
    row->assignment = told->assignment;
    row->term = change->term;
    row->index = change->index;
    row->by = told->by;
    bool earlier = again && row->last_wall_ms > change->command->wall_ms; /* another clock's */
    row->last_wall_ms = earlier ? row->last_wall_ms : change->command->wall_ms;
}
