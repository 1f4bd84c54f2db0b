#include "consensus/state_internal.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void state_refuse(struct state_change *change, int code, const char *format, ...)
{
    change->effect->outcome = STATE_REFUSED;
    change->effect->status = code;
    va_list args;
    va_start(args, format);
    (void)vsnprintf(change->effect->reason, sizeof(change->effect->reason), format, args);
    va_end(args);
}

void state_unchanged(struct state_change *change)
{
    change->effect->outcome = STATE_UNCHANGED;
}

/* ---- settings, managers, leader history ---- */

static void put_setting(struct state *self, struct state_change *change)
{
    const struct command_setting *wish = &change->command->setting;
    struct state_table table = state_table_settings(self);
    struct state_setting *row = state_table_find(&table, wish->key);
    if (wish->remove) {
        if (row == NULL) {
            state_refuse(change, ERR_NOTFOUND, "no setting %s", wish->key);
            return;
        }
        state_table_remove(&table, row);
        return;
    }
    if (row != NULL && strcmp(row->value, wish->value) == 0) {
        state_unchanged(change);
        return;
    }
    if (row == NULL) {
        row = state_table_insert(&table, wish->key);
    }
    if (row == NULL) {
        state_refuse(change, ERR_FULL, "there are %d settings already", STATE_SETTINGS_MAX);
        return;
    }
    memcpy(row->key, wish->key, sizeof(row->key));
    memcpy(row->value, wish->value, sizeof(row->value));
    row->changed_index = change->index;
}

/* What the manager's row shall say; a row that says nothing is dropped. */
static void put_manager(struct state *self, struct state_change *change, int64_t paused_until_ms,
                        enum manager_mode mode)
{
    const char *name = change->command->manager.manager;
    struct state_table table = state_table_managers(self);
    struct state_manager *row = state_table_find(&table, name);
    if (row != NULL ? row->paused_until_wall_ms == paused_until_ms && row->mode == mode
                    : paused_until_ms == 0 && mode == MANAGER_MODE_UNSET) {
        state_unchanged(change);
        return;
    }
    if (paused_until_ms == 0 && mode == MANAGER_MODE_UNSET) {
        state_table_remove(&table, row);
        return;
    }
    if (row == NULL) {
        row = state_table_insert(&table, name);
    }
    if (row == NULL) {
        state_refuse(change, ERR_FULL, "there are %d managers already", STATE_MANAGERS_MAX);
        return;
    }
    memcpy(row->name, name, sizeof(row->name));
    row->paused_until_wall_ms = paused_until_ms;
    row->mode = mode;
    row->changed_index = change->index;
}

static void apply_manager(struct state *self, struct state_change *change)
{
    const struct command_manager *wish = &change->command->manager;
    const struct state_manager *row = state_manager_by_name(self, wish->manager);
    int64_t until_ms = row == NULL ? 0 : row->paused_until_wall_ms;
    enum manager_mode mode = row == NULL ? MANAGER_MODE_UNSET : row->mode;
    if (change->command->type == COMMAND_MANAGER_MODE) {
        put_manager(self, change, until_ms, wish->mode);
    } else if (change->command->type == COMMAND_MANAGER_RESUME) {
        put_manager(self, change, 0, mode);
    } else if (wish->until_wall_ms <= 0) {
        state_refuse(change, ERR_INVALID, "a pause needs an end, or to last until resumed");
    } else {
        put_manager(self, change, wish->until_wall_ms, mode);
    }
}

static void record_leader(struct state *self, struct state_change *change)
{
    const struct state_leader *newest = state_history_at(self, 0);
    const struct command_leader *leader = &change->command->leader;
    if (newest != NULL && leader->term <= newest->is.term) {
        state_refuse(change, leader->term == newest->is.term ? ERR_EXISTS : ERR_STALE,
                     "the history has term %" PRIu64 " already", newest->is.term);
        return;
    }
    struct state_leader entry;
    memset(&entry, 0, sizeof(entry));
    entry.is = *leader;
    entry.wall_ms = change->command->wall_ms;
    entry.index = change->index;
    state_history_push(self, &entry);
}

static void dispatch(struct state *self, struct state_change *change)
{
    switch (change->command->type) {
    case COMMAND_NODE_PUT:
    case COMMAND_NODE_REMOVE:
    case COMMAND_NODE_DRAIN:
    case COMMAND_NODE_UNDRAIN:
    case COMMAND_NODE_ROLE:
        state_apply_node(self, change);
        return;
    case COMMAND_DUTY_PUT:
    case COMMAND_DUTY_REMOVE:
    case COMMAND_DUTY_ASSIGN:
    case COMMAND_DUTY_RELEASE:
        state_apply_duty(self, change);
        return;
    case COMMAND_LEADER_RECORD:
        record_leader(self, change);
        return;
    case COMMAND_SETTING_PUT:
        put_setting(self, change);
        return;
    case COMMAND_MANAGER_PAUSE:
    case COMMAND_MANAGER_RESUME:
    case COMMAND_MANAGER_MODE:
        apply_manager(self, change);
        return;
    case COMMAND_SCHEDULE_PUT:
    case COMMAND_SCHEDULE_REMOVE:
    case COMMAND_SLOTS_DECIDE:
        state_apply_schedule(self, change);
        return;
    case COMMAND_RUN_START:
    case COMMAND_RUN_END:
    case COMMAND_RUN_CANCEL:
        state_apply_run(self, change);
        return;
    case COMMAND_INTENT_OPEN:
    case COMMAND_INTENT_TAKE:
    case COMMAND_INTENT_DONE:
    case COMMAND_INTENT_PARK:
        state_apply_intent(self, change);
        return;
    case COMMAND_RECOVERY_SET:
        state_apply_recovery(self, change);
        return;
    case COMMAND_ALERT_RAISE:
    case COMMAND_ALERT_ACK:
    case COMMAND_ALERT_RESOLVE:
        state_apply_alert(self, change);
        return;
    case COMMAND_DUTY_PROVEN:
        state_apply_proven(self, change);
        return;
    case COMMAND_AUDIT_NOTE: /* the audit ring is all that it is for */
    case COMMAND_NONE:
        return;
    }
}

/* ---- repeats ---- */

enum novelty { NOVELTY_NEW, NOVELTY_REPEATED, NOVELTY_STALE };

/* The origin's row, made by forgetting the one that was silent longest when there is no room. */
static struct state_origin *origin_row(struct state *self, uint64_t id)
{
    struct state_origin *oldest = &self->origins[0];
    for (size_t i = 0; i < self->origin_count; i++) {
        if (self->origins[i].id == id) {
            return &self->origins[i];
        }
        if (self->origins[i].seen_index < oldest->seen_index) {
            oldest = &self->origins[i];
        }
    }
    if (self->origin_count < STATE_ORIGINS_MAX) {
        oldest = &self->origins[self->origin_count++];
    }
    *oldest = (struct state_origin){.id = id};
    return oldest;
}

static enum novelty note_sequence(struct state_origin *origin, uint64_t sequence)
{
    if (sequence > origin->highest) {
        uint64_t ahead = sequence - origin->highest;
        uint64_t moved = ahead < STATE_WINDOW ? origin->window << ahead : 0;
        uint64_t former = ahead <= STATE_WINDOW ? UINT64_C(1) << (ahead - 1) : 0;
        origin->window = moved | former;
        origin->highest = sequence;
        return NOVELTY_NEW;
    }
    uint64_t behind = origin->highest - sequence;
    if (behind == 0) {
        return NOVELTY_REPEATED;
    }
    if (behind > STATE_WINDOW) {
        return NOVELTY_STALE;
    }
    uint64_t bit = UINT64_C(1) << (behind - 1);
    if ((origin->window & bit) != 0) {
        return NOVELTY_REPEATED;
    }
    origin->window |= bit;
    return NOVELTY_NEW;
}

static enum novelty note_origin(struct state *self, const struct command *command, uint64_t index)
{
    if (command->origin == 0) {
        return NOVELTY_NEW;
    }
    struct state_origin *origin = origin_row(self, command->origin);
    origin->seen_index = index;
    if (command->incarnation < origin->incarnation || command->sequence == 0) {
        return NOVELTY_STALE;
    }
    if (command->incarnation > origin->incarnation) {
        origin->incarnation = command->incarnation;
        origin->highest = 0;
        origin->window = 0;
    }
    return note_sequence(origin, command->sequence);
}

/* ---- one command ---- */

static void audit(struct state *self, const struct state_change *change)
{
    const struct command *command = change->command;
    struct state_audit entry;
    memset(&entry, 0, sizeof(entry));
    entry.index = change->index;
    entry.term = change->term;
    entry.wall_ms = command->wall_ms;
    entry.type = command->type;
    entry.reason = command->reason;
    entry.status = change->effect->status;
    memcpy(entry.who, command->who, sizeof(entry.who));
    memcpy(entry.target, change->effect->target, sizeof(entry.target));
    memcpy(entry.why, command->why, sizeof(entry.why));
    state_audit_push(self, &entry);
}

/* What comes by the thousand has rows of its own: it would wash all else out of the ring. */
static bool is_on_record(struct state *self, const struct state_change *change)
{
    if (change->effect->status != 0) {
        return false;
    }
    switch (change->command->type) {
    case COMMAND_SLOTS_DECIDE:
    case COMMAND_RUN_END:
    case COMMAND_DUTY_PROVEN: /* said again every hour */
        return true;
    case COMMAND_DUTY_ASSIGN:
    case COMMAND_DUTY_RELEASE:
        return state_run_of_duty(self, change->effect->target) != NULL;
    default:
        return false;
    }
}

static void apply_command(struct state *self, struct state_change *change)
{
    const struct command *command = change->command;
    struct state_effect *effect = change->effect;
    effect->type = command->type;
    effect->origin = command->origin;
    effect->incarnation = command->incarnation;
    effect->sequence = command->sequence;
    command_target(command, effect->target);
    switch (note_origin(self, command, change->index)) {
    case NOVELTY_REPEATED:
        effect->outcome = STATE_REPEATED;
        return;
    case NOVELTY_STALE:
        state_refuse(change, ERR_STALE, "overtaken by later commands of its origin");
        break;
    case NOVELTY_NEW:
        dispatch(self, change);
        break;
    }
    if (!is_on_record(self, change)) {
        audit(self, change);
    }
}

static void skip(struct state *self, struct state_effect *effect, const struct err *err)
{
    effect->outcome = STATE_SKIPPED;
    effect->status = err->code;
    (void)snprintf(effect->reason, sizeof(effect->reason), "%.*s", REASON_SIZE - 1, err->msg);
    if (err->code == ERR_UNSUPPORTED) {
        self->counters.unsupported++;
    } else {
        self->counters.malformed++;
    }
}

static void count(struct state *self, enum state_outcome outcome)
{
    switch (outcome) {
    case STATE_APPLIED:
        self->counters.applied++;
        return;
    case STATE_UNCHANGED:
        self->counters.unchanged++;
        return;
    case STATE_REFUSED:
        self->counters.refused++;
        return;
    case STATE_REPEATED:
        self->counters.repeated++;
        return;
    case STATE_SKIPPED: /* counted by kind */
        return;
    }
}

int state_apply(struct state *self, uint64_t index, uint64_t term, const uint8_t *bytes,
                size_t length, struct state_effect *ret)
{
    if (index <= self->index) {
        return ERR_STALE;
    }
    struct command command;
    struct err err = {0};
    int rc = command_decode(bytes, length, &command, &err);
    if (rc == ERR_NOMEM || (rc == 0 && state_work_reserve(self, &command) != 0)) {
        return ERR_NOMEM;
    }
    memset(ret, 0, sizeof(*ret));
    ret->index = index;
    ret->term = term;
    ret->outcome = STATE_APPLIED;
    if (rc != 0) {
        skip(self, ret, &err);
    } else {
        struct state_change change = {
            .command = &command, .index = index, .term = term, .effect = ret};
        apply_command(self, &change);
    }
    self->index = index;
    count(self, ret->outcome);
    return 0;
}
