/* The times of alerts: a pure step from what is seen and what is recorded to commands. */
#include "node/daemon/alerts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NEVER_MS INT64_MIN

struct hold {
    char key[DUTY_ID_SIZE];
    uint64_t step;         /* the last one that needed it */
    int64_t since_ms;      /* seen without a break since; NEVER_MS: it is not seen */
    int64_t gone_since_ms; /* likewise */
    int64_t proposed_ms;
    bool stood; /* at the last step the alert was raised and not resolved */
};

struct alerts {
    uint64_t term;
    uint64_t step;
    size_t count;
    struct hold holds[2 * ALERTS_SEEN_MAX]; /* of what is seen, and of what is recorded */
};

struct alerts *alerts_create(void)
{
    return calloc(1, sizeof(struct alerts));
}

void alerts_destroy(struct alerts **self_p)
{
    if (self_p != NULL) {
        free(*self_p);
        *self_p = NULL;
    }
}

void alerts_begin(struct alerts *self, uint64_t term)
{
    if (self->term != term) {
        self->term = term;
        self->count = 0;
    }
}

static struct hold *find_hold(struct alerts *self, const char *key)
{
    for (size_t i = 0; i < self->count; i++) {
        if (strcmp(self->holds[i].key, key) == 0) {
            return &self->holds[i];
        }
    }
    return NULL;
}

/* NULL when there is no room: then it waits until others are done. */
static struct hold *take_hold(struct alerts *self, const char *key)
{
    struct hold *hold = find_hold(self, key);
    if (hold == NULL && self->count < sizeof self->holds / sizeof self->holds[0]) {
        hold = &self->holds[self->count++];
        *hold =
            (struct hold){.since_ms = NEVER_MS, .gone_since_ms = NEVER_MS, .proposed_ms = NEVER_MS};
        (void)snprintf(hold->key, sizeof hold->key, "%s", key);
    }
    if (hold != NULL) {
        hold->step = self->step;
    }
    return hold;
}

static void forget_holds(struct alerts *self)
{
    size_t kept = 0;
    for (size_t i = 0; i < self->count; i++) {
        if (self->holds[i].step == self->step) {
            self->holds[kept++] = self->holds[i];
        }
    }
    self->count = kept;
}

static bool stands(const struct state_alert *row)
{
    return row != NULL && row->state != ALERT_RESOLVED;
}

static bool may_propose(struct hold *hold, int64_t now_ms)
{
    if (hold->proposed_ms != NEVER_MS && now_ms - hold->proposed_ms < ALERTS_REPEAT_MS) {
        return false;
    }
    hold->proposed_ms = now_ms;
    return true;
}

/* ---- raising ---- */

static void raise_command(const struct alert_sight *sight, struct command *ret)
{
    *ret = (struct command){.type = COMMAND_ALERT_RAISE, .reason = REASON_HEALTH};
    memcpy(ret->alert.key, sight->key, sizeof ret->alert.key);
    memcpy(ret->alert.text, sight->text, sizeof ret->alert.text);
    memcpy(ret->why, sight->text, sizeof ret->why);
    ret->alert.severity = sight->severity;
}

/* True when it is to be raised now, or raised higher. */
static bool note_seen(struct hold *hold, const struct alert_sight *sight,
                      const struct state_alert *row, int64_t now_ms)
{
    bool resolved_by_hand = hold->stood && !stands(row);
    if (hold->since_ms == NEVER_MS || resolved_by_hand) {
        hold->since_ms = now_ms; /* who resolves by hand what still is so hears of it again */
    }
    hold->gone_since_ms = NEVER_MS;
    bool recorded = stands(row) && row->severity >= sight->severity;
    return !recorded && now_ms - hold->since_ms >= sight->rule->raise_after_ms;
}

static size_t step_seen(struct alerts *self, const struct state *state,
                        const struct alert_sights *seen, int64_t now_ms, struct command *ret,
                        size_t max)
{
    size_t count = 0;
    for (size_t i = 0; i < seen->count; i++) {
        const struct alert_sight *sight = &seen->rows[i];
        const struct state_alert *row = state_alert_by_key(state, sight->key);
        struct hold *hold = take_hold(self, sight->key);
        if (hold == NULL) {
            continue;
        }
        if (sight->unknown) {
            hold->since_ms = NEVER_MS;
            hold->gone_since_ms = NEVER_MS;
        } else if (note_seen(hold, sight, row, now_ms) && count < max &&
                   may_propose(hold, now_ms)) {
            raise_command(sight, &ret[count++]);
        }
        hold->stood = stands(row);
    }
    return count;
}

/* ---- resolving ---- */

static void resolve_command(const struct state_alert *row, struct command *ret)
{
    *ret = (struct command){.type = COMMAND_ALERT_RESOLVE, .reason = REASON_HEALTH};
    memcpy(ret->alert_key.key, row->key, sizeof ret->alert_key.key);
    (void)snprintf(ret->why, sizeof ret->why, "no more: %.140s", row->text);
}

static size_t step_gone(struct alerts *self, const struct state *state,
                        const struct alert_rule *(*rule_of)(const char *key), int64_t now_ms,
                        struct command *ret, size_t max)
{
    size_t count = 0;
    for (size_t i = 0; i < state_alert_count(state); i++) {
        const struct state_alert *row = state_alert_at(state, i);
        const struct alert_rule *rule = stands(row) ? rule_of(row->key) : NULL;
        const struct hold *known = rule == NULL ? NULL : find_hold(self, row->key);
        if (rule == NULL || (known != NULL && known->step == self->step)) {
            continue; /* not ours, or seen in this step */
        }
        struct hold *hold = take_hold(self, row->key);
        if (hold == NULL) {
            continue;
        }
        hold->stood = true;
        hold->since_ms = NEVER_MS;
        hold->gone_since_ms = hold->gone_since_ms == NEVER_MS ? now_ms : hold->gone_since_ms;
        if (now_ms - hold->gone_since_ms >= rule->resolve_after_ms && count < max &&
            may_propose(hold, now_ms)) {
            resolve_command(row, &ret[count++]);
        }
    }
    return count;
}

size_t alerts_step(struct alerts *self, const struct state *state, const struct alert_sights *seen,
                   const struct alert_rule *(*rule_of)(const char *key), int64_t now_ms,
                   struct command *ret, size_t max)
{
    self->step++;
    size_t count = step_seen(self, state, seen, now_ms, ret, max);
    count += step_gone(self, state, rule_of, now_ms, ret + count, max - count);
    forget_holds(self);
    return count;
}
