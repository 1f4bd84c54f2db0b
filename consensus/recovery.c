#include "consensus/recovery.h"

#include "node/base/invariant.h"

#include <stdio.h>
#include <string.h>

const struct recovery_policy recovery_of_duties = {.base_ms = 2000,
                                                   .max_ms = 300000,
                                                   .attempts_max = 5,
                                                   .slow_ms = 300000,
                                                   .attempt_ms = 3000,
                                                   .well_ms = 60000};

const struct recovery_policy recovery_of_managers = {.base_ms = 200,
                                                     .max_ms = 30000,
                                                     .attempts_max = 5,
                                                     .slow_ms = 30000,
                                                     .attempt_ms = 3000,
                                                     .well_ms = 60000};

const struct recovery_policy recovery_of_ailing = {.first_ms = 1000,
                                                   .base_ms = 1000,
                                                   .max_ms = 60000,
                                                   .attempts_max = 6,
                                                   .slow_ms = 600000,
                                                   .attempt_ms = 5000,
                                                   .well_ms = 60000};

/* FNV-1a: the same on every node. */
static uint64_t hash(const char *component, uint32_t attempt)
{
    uint64_t value = UINT64_C(14695981039346656037);
    for (const char *at = component; *at != '\0'; at++) {
        value = (value ^ (uint8_t)*at) * UINT64_C(1099511628211);
    }
    return (value ^ attempt) * UINT64_C(1099511628211);
}

int64_t recovery_delay_ms(const struct recovery_policy *policy, const char *component,
                          uint32_t attempt)
{
    invariant(policy->base_ms > 0);
    invariant(policy->max_ms >= policy->base_ms);
    invariant(policy->slow_ms >= policy->max_ms);
    int64_t delay_ms = policy->base_ms;
    for (uint32_t i = 1; i < attempt && delay_ms < policy->max_ms; i++) {
        delay_ms *= 2;
    }
    delay_ms = delay_ms < policy->max_ms ? delay_ms : policy->max_ms;
    uint64_t quarter = (uint64_t)delay_ms / 4;
    return delay_ms + (quarter > 0 ? (int64_t)(hash(component, attempt) % quarter) : 0);
}

/* Of an escalated row. Where slow is no slower than the delays may get, those go on growing. */
static int64_t slow_delay_ms(const struct recovery_policy *policy, const char *component,
                             uint32_t attempt)
{
    return policy->slow_ms > policy->max_ms ? policy->slow_ms
                                            : recovery_delay_ms(policy, component, attempt);
}

static void set(const char *component, uint32_t attempt, enum recovery_phase phase,
                int64_t next_wall_ms, struct command *ret)
{
    *ret = (struct command){.type = COMMAND_RECOVERY_SET, .reason = REASON_RECOVERY};
    (void)snprintf(ret->recovery.component, sizeof(ret->recovery.component), "%s", component);
    ret->recovery.attempt = attempt;
    ret->recovery.phase = phase;
    ret->recovery.next_wall_ms = next_wall_ms;
    switch (phase) {
    case RECOVERY_WELL:
        (void)snprintf(ret->why, sizeof(ret->why), "well again after attempt %u", attempt);
        return;
    case RECOVERY_WAITING:
        (void)snprintf(ret->why, sizeof(ret->why), "attempt %u did not help", attempt);
        return;
    case RECOVERY_ACTING:
        (void)snprintf(ret->why, sizeof(ret->why), "attempt %u", attempt);
        return;
    case RECOVERY_ESCALATED:
        (void)snprintf(ret->why, sizeof(ret->why), "ill after %u attempts", attempt);
        return;
    }
}

/* Not later than any policy would set it: a leader whose wall clock was far ahead may have. */
static bool is_due(const struct recovery_policy *policy, const struct state_recovery *row,
                   int64_t wall_ms)
{
    int64_t left_ms = row->next_wall_ms - wall_ms;
    return left_ms <= 0 || left_ms > policy->slow_ms + policy->max_ms / 4 + policy->attempt_ms;
}

/* The attempt under way has had its time. */
static void attempt_failed(const struct recovery_policy *policy, const struct state_recovery *row,
                           int64_t wall_ms, struct command *ret)
{
    bool used_up = row->attempt >= policy->attempts_max;
    set(row->component, row->attempt, used_up ? RECOVERY_ESCALATED : RECOVERY_WAITING,
        wall_ms + (used_up ? slow_delay_ms(policy, row->component, row->attempt)
                           : recovery_delay_ms(policy, row->component, row->attempt)),
        ret);
}

/* An escalated row stays so: its attempts rise, too. */
static void try_again(const struct recovery_policy *policy, const struct state_recovery *row,
                      int64_t wall_ms, struct command *ret)
{
    uint32_t attempt = row->attempt < UINT32_MAX ? row->attempt + 1 : row->attempt;
    bool escalated = row->phase == RECOVERY_ESCALATED;
    int64_t wait_ms = escalated ? policy->slow_ms : policy->attempt_ms;
    set(row->component, attempt, escalated ? RECOVERY_ESCALATED : RECOVERY_ACTING,
        wall_ms + wait_ms, ret);
}

bool recovery_step(const struct recovery_policy *policy, const char *component,
                   const struct state_recovery *row, enum recovery_seen seen, int64_t for_ms,
                   int64_t wall_ms, struct command *ret)
{
    if (seen == RECOVERY_SEEN_WELL && row != NULL && for_ms >= policy->well_ms) {
        set(component, row->attempt, RECOVERY_WELL, 0, ret);
        return true;
    }
    if (seen != RECOVERY_SEEN_ILL) {
        return false;
    }
    if (row == NULL) {
        set(component, 1, RECOVERY_ACTING, wall_ms + policy->attempt_ms, ret);
        return for_ms >= policy->first_ms;
    }
    if (!is_due(policy, row, wall_ms)) {
        return false;
    }
    if (row->phase == RECOVERY_ACTING) {
        attempt_failed(policy, row, wall_ms, ret);
    } else {
        try_again(policy, row, wall_ms, ret);
    }
    return true;
}

void recovery_count(const struct recovery_policy *policy, const char *component,
                    const struct state_recovery *row, uint32_t times, int64_t wall_ms,
                    struct command *ret)
{
    uint32_t before = row == NULL ? 0 : row->attempt;
    uint32_t attempt = times < UINT32_MAX - before ? before + times : UINT32_MAX;
    bool used_up = attempt >= policy->attempts_max;
    set(component, attempt, used_up ? RECOVERY_ESCALATED : RECOVERY_WAITING,
        wall_ms + recovery_delay_ms(policy, component, attempt), ret);
}

void recovery_by_hand(const struct recovery_policy *policy, const char *component,
                      const struct state_recovery *row, int64_t wall_ms, struct command *ret)
{
    bool fresh = row == NULL || row->attempt >= policy->attempts_max;
    set(component, fresh ? 1 : row->attempt + 1, RECOVERY_ACTING, wall_ms + policy->attempt_ms,
        ret);
    ret->reason = REASON_OPERATOR;
}

bool recovery_orders(const struct state_recovery *row, uint32_t tried)
{
    bool orders = row->phase == RECOVERY_ACTING || row->phase == RECOVERY_ESCALATED;
    return orders && row->attempt != tried;
}
