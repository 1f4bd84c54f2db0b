#include "consensus/state_internal.h"

#include <inttypes.h>
#include <string.h>

/* ---- opening ---- */

/* The done row that changed longest ago of those that nobody needs any more, or NULL. */
static struct state_intent *spare_row(struct state *self, int64_t wall_ms)
{
    struct state_intent *rows = self->work.intents.first;
    struct state_intent *oldest = NULL;
    for (size_t i = 0; i < self->work.intents.count; i++) {
        struct state_intent *row = &rows[i];
        if (row->state == INTENT_DONE && row->keep_until_wall_ms <= wall_ms &&
            (oldest == NULL || row->changed_wall_ms < oldest->changed_wall_ms)) {
            oldest = row;
        }
    }
    return oldest;
}

static struct state_intent *insert(struct state *self, struct state_change *change)
{
    struct state_table table = state_table_intents(self);
    if (self->work.intents.count >= STATE_INTENTS_MAX) {
        struct state_intent *spare = spare_row(self, change->command->wall_ms);
        if (spare == NULL) {
            return NULL;
        }
        state_table_remove(&table, spare);
    }
    return state_table_insert(&table, change->command->intent_open.key);
}

static void open_new(struct state *self, struct state_change *change)
{
    const struct command_intent_open *wish = &change->command->intent_open;
    const struct state_intent *present = state_intent_by_key(self, wish->key);
    if (present != NULL) {
        state_refuse(change, ERR_EXISTS, "intent %.80s is %s already", wish->key,
                     intent_state_name(present->state));
        return;
    }
    struct state_intent *row = insert(self, change);
    if (row == NULL) {
        state_refuse(change, ERR_FULL, "there are %d intents, and none may be forgotten",
                     STATE_INTENTS_MAX);
        return;
    }
    memcpy(row->key, wish->key, sizeof(row->key));
    memcpy(row->manager, wish->manager, sizeof(row->manager));
    memcpy(row->object, wish->object, sizeof(row->object));
    row->policy = wish->policy;
    row->state = INTENT_OPEN;
    row->attempt = 1;
    row->term = change->term;
    row->opened_index = change->index;
    row->opened_wall_ms = change->command->wall_ms;
    row->changed_wall_ms = change->command->wall_ms;
    row->keep_until_wall_ms = wish->keep_until_wall_ms;
}

/* ---- going on ---- */

/* The row when it is not done, or NULL with the refusal written. */
static struct state_intent *unsettled(struct state *self, struct state_change *change,
                                      const char *key)
{
    struct state_table table = state_table_intents(self);
    struct state_intent *row = state_table_find(&table, key);
    if (row == NULL) {
        state_refuse(change, ERR_NOTFOUND, "no intent %.80s", key);
        return NULL;
    }
    if (row->state == INTENT_DONE) {
        state_refuse(change, ERR_EXISTS, "intent %.80s is done: %s", key,
                     intent_verdict_name(row->verdict));
        return NULL;
    }
    return row;
}

static void take(struct state *self, struct state_change *change)
{
    const char *key = change->command->intent_take.key;
    struct state_intent *row = unsettled(self, change, key);
    if (row == NULL) {
        return;
    }
    /* A parked one is performed by nobody, so its own term may take it again. */
    if (row->state == INTENT_OPEN ? row->term >= change->term : row->term > change->term) {
        state_refuse(change, ERR_EXISTS, "intent %.80s was taken in term %" PRIu64, key, row->term);
        return;
    }
    row->state = INTENT_OPEN;
    row->term = change->term;
    row->attempt += row->attempt < UINT32_MAX ? 1 : 0;
    row->changed_wall_ms = change->command->wall_ms;
    memset(row->outcome, 0, sizeof(row->outcome));
}

static void settle(struct state *self, struct state_change *change)
{
    const struct command_intent_done *done = &change->command->intent_done;
    struct state_intent *row = unsettled(self, change, done->key);
    if (row == NULL) {
        return;
    }
    /* Whoever gave it up saw it parked; since then it may have been given out to be performed. */
    if (done->verdict == INTENT_DROPPED && row->state != INTENT_PARKED) {
        state_refuse(change, ERR_UNSAFE, "intent %.80s is not parked: it may be under way",
                     done->key);
        return;
    }
    row->state = INTENT_DONE;
    row->verdict = done->verdict;
    row->verified = done->verified;
    row->changed_wall_ms = change->command->wall_ms;
    memcpy(row->outcome, done->outcome, sizeof(row->outcome));
}

static void park(struct state *self, struct state_change *change)
{
    const struct command_intent_park *wish = &change->command->intent_park;
    struct state_intent *row = unsettled(self, change, wish->key);
    if (row == NULL) {
        return;
    }
    if (row->state == INTENT_PARKED) {
        state_unchanged(change);
        return;
    }
    row->state = INTENT_PARKED;
    row->changed_wall_ms = change->command->wall_ms;
    memcpy(row->outcome, wish->question, sizeof(row->outcome));
}

void state_apply_intent(struct state *self, struct state_change *change)
{
    switch (change->command->type) {
    case COMMAND_INTENT_OPEN:
        open_new(self, change);
        return;
    case COMMAND_INTENT_TAKE:
        take(self, change);
        return;
    case COMMAND_INTENT_DONE:
        settle(self, change);
        return;
    default:
        park(self, change);
        return;
    }
}
