#include "consensus/command_internal.h"

bool command_get_run_key(const msgpack_object *array, size_t first, struct run_key *ret)
{
    return mp_text(mp_at(array, first), ret->schedule, sizeof(ret->schedule)) &&
           mp_i64(mp_at(array, first + 1), &ret->slot_s) &&
           mp_u64(mp_at(array, first + 2), &ret->number) && command_run_key_valid(ret);
}

/* How slots are found: elements 0 to 7. */
static bool get_calendar(const msgpack_object *array, struct schedule_definition *ret)
{
    int gap;
    int fold;
    int overlap;
    int misfire;
    if (!command_get_name(mp_at(array, 0), ret->expression, sizeof(ret->expression)) ||
        !command_get_name(mp_at(array, 1), ret->zone, sizeof(ret->zone)) ||
        !mp_u64(mp_at(array, 2), &ret->digest) || !mp_i64(mp_at(array, 3), &ret->anchor_s) ||
        !command_get_choice(mp_at(array, 4), CALENDAR_GAP_NEXT, CALENDAR_GAP_SKIP, &gap) ||
        !command_get_choice(mp_at(array, 5), CALENDAR_FOLD_FIRST, CALENDAR_FOLD_BOTH, &fold) ||
        !command_get_choice(mp_at(array, 6), SCHEDULE_OVERLAP_FORBID, SCHEDULE_OVERLAP_REPLACE,
                            &overlap) ||
        !command_get_choice(mp_at(array, 7), SCHEDULE_MISFIRE_RUN_ONCE, SCHEDULE_MISFIRE_SKIP,
                            &misfire)) {
        return false;
    }
    ret->gap = (enum calendar_gap)gap;
    ret->fold = (enum calendar_fold)fold;
    ret->overlap = (enum schedule_overlap)overlap;
    ret->misfire = (enum schedule_misfire)misfire;
    return true;
}

bool command_get_definition(const msgpack_object *array, struct schedule_definition *ret)
{
    return mp_array(array, 20) != NULL && get_calendar(array, ret) &&
           mp_u32(mp_at(array, 8), &ret->misfire_cap) &&
           mp_i64(mp_at(array, 9), &ret->misfire_window_s) &&
           mp_i64(mp_at(array, 10), &ret->start_deadline_s) &&
           mp_i64(mp_at(array, 11), &ret->progress_deadline_s) &&
           mp_i64(mp_at(array, 12), &ret->finish_deadline_s) &&
           mp_i64(mp_at(array, 13), &ret->min_runtime_s) &&
           mp_u32(mp_at(array, 14), &ret->retries) && mp_i64(mp_at(array, 15), &ret->backoff_s) &&
           mp_i64(mp_at(array, 16), &ret->backoff_max_s) &&
           mp_bool(mp_at(array, 17), &ret->retry_unknown) &&
           mp_bool(mp_at(array, 18), &ret->critical) && mp_i64(mp_at(array, 19), &ret->priority);
}

static bool get_schedule(const msgpack_object *array, struct command_schedule *ret)
{
    return mp_array(array, 4) != NULL &&
           command_get_name(mp_at(array, 0), ret->id, sizeof(ret->id)) &&
           mp_u64(mp_at(array, 1), &ret->replaces) && mp_i64(mp_at(array, 2), &ret->decided_s) &&
           command_get_definition(mp_at(array, 3), &ret->is);
}

static bool get_slot(const msgpack_object *array, struct command_slot *ret)
{
    int verdict;
    int reason;
    if (mp_array(array, 5) == NULL || !mp_i64(mp_at(array, 0), &ret->first_s) ||
        !mp_i64(mp_at(array, 1), &ret->last_s) || !mp_u32(mp_at(array, 2), &ret->count) ||
        !command_get_choice(mp_at(array, 3), RUN_UNDER_WAY, RUN_UNKNOWN, &verdict) ||
        !command_get_choice(mp_at(array, 4), 0, UINT16_MAX, &reason)) {
        return false;
    }
    ret->verdict = (enum run_outcome)verdict;
    ret->reason = (enum run_reason)reason; /* a newer one keeps its number */
    return true;
}

static bool get_slots(const msgpack_object *array, struct command_slots *ret)
{
    const msgpack_object *items = mp_array(mp_at(array, 4), 0);
    if (mp_array(array, 5) == NULL || items == NULL || mp_count(items) > SLOTS_PER_COMMAND_MAX ||
        !command_get_name(mp_at(array, 0), ret->schedule, sizeof(ret->schedule)) ||
        !mp_u64(mp_at(array, 1), &ret->revision) || !mp_i64(mp_at(array, 2), &ret->after_s) ||
        !mp_i64(mp_at(array, 3), &ret->decided_s)) {
        return false;
    }
    ret->count = mp_count(items);
    for (size_t i = 0; i < ret->count; i++) {
        if (!get_slot(mp_at(items, i), &ret->items[i])) {
            return false;
        }
    }
    return true;
}

static bool get_run_end(const msgpack_object *array, struct command_run_end *ret)
{
    int outcome;
    int reason;
    int64_t exit_status;
    if (mp_array(array, 12) == NULL || !command_get_run_key(array, 0, &ret->run) ||
        !mp_u32(mp_at(array, 3), &ret->attempt) || !mp_u64(mp_at(array, 4), &ret->assignment) ||
        !command_get_choice(mp_at(array, 5), 0, RELEASE_BY_EXPIRY, &ret->proof) ||
        !command_get_choice(mp_at(array, 6), RUN_RAN, RUN_UNKNOWN, &outcome) ||
        !command_get_choice(mp_at(array, 7), 0, UINT16_MAX, &reason) ||
        !mp_i64(mp_at(array, 8), &exit_status) || exit_status < -1 ||
        exit_status > RUN_EXIT_STATUS_MAX || !mp_i64(mp_at(array, 9), &ret->started_wall_ms) ||
        !mp_i64(mp_at(array, 10), &ret->ended_wall_ms) ||
        !mp_i64(mp_at(array, 11), &ret->again_wall_ms)) {
        return false;
    }
    ret->outcome = (enum run_outcome)outcome;
    ret->reason = (enum run_reason)reason;
    ret->exit_status = (int)exit_status;
    return true;
}

static bool get_run_cancel(const msgpack_object *array, struct command_run_cancel *ret)
{
    int reason;
    if (mp_array(array, 4) == NULL || !command_get_run_key(array, 0, &ret->run) ||
        !command_get_choice(mp_at(array, 3), 0, UINT16_MAX, &reason)) {
        return false;
    }
    ret->reason = (enum run_reason)reason;
    return true;
}

static bool get_intent_open(const msgpack_object *array, struct command_intent_open *ret)
{
    int policy;
    if (mp_array(array, 5) == NULL ||
        !command_get_name(mp_at(array, 0), ret->key, sizeof(ret->key)) ||
        !command_get_name(mp_at(array, 1), ret->manager, sizeof(ret->manager)) ||
        !command_get_name(mp_at(array, 2), ret->object, sizeof(ret->object)) ||
        !command_get_choice(mp_at(array, 3), INTENT_SKIP, INTENT_PARK, &policy) ||
        !mp_i64(mp_at(array, 4), &ret->keep_until_wall_ms)) {
        return false;
    }
    ret->policy = (enum intent_policy)policy;
    return true;
}

static bool get_intent_done(const msgpack_object *array, struct command_intent_done *ret)
{
    int verdict;
    if (mp_array(array, 4) == NULL ||
        !command_get_name(mp_at(array, 0), ret->key, sizeof(ret->key)) ||
        !command_get_choice(mp_at(array, 1), INTENT_HAPPENED, INTENT_DROPPED, &verdict) ||
        !mp_bool(mp_at(array, 2), &ret->verified) ||
        !mp_text(mp_at(array, 3), ret->outcome, sizeof(ret->outcome))) {
        return false;
    }
    ret->verdict = (enum intent_verdict)verdict;
    return true;
}

static bool get_intent_park(const msgpack_object *array, struct command_intent_park *ret)
{
    return mp_array(array, 2) != NULL &&
           command_get_name(mp_at(array, 0), ret->key, sizeof(ret->key)) &&
           mp_text(mp_at(array, 1), ret->question, sizeof(ret->question));
}

static bool get_recovery(const msgpack_object *array, struct command_recovery *ret)
{
    int phase;
    if (mp_array(array, 4) == NULL ||
        !command_get_name(mp_at(array, 0), ret->component, sizeof(ret->component)) ||
        !mp_u32(mp_at(array, 1), &ret->attempt) ||
        !command_get_choice(mp_at(array, 2), RECOVERY_WELL, RECOVERY_ESCALATED, &phase) ||
        !mp_i64(mp_at(array, 3), &ret->next_wall_ms)) {
        return false;
    }
    ret->phase = (enum recovery_phase)phase;
    return true;
}

static bool get_alert(const msgpack_object *array, struct command_alert *ret)
{
    int severity;
    if (mp_array(array, 3) == NULL ||
        !command_get_name(mp_at(array, 0), ret->key, sizeof(ret->key)) ||
        !command_get_choice(mp_at(array, 1), ALERT_INFO, ALERT_CRITICAL, &severity) ||
        !mp_text(mp_at(array, 2), ret->text, sizeof(ret->text))) {
        return false;
    }
    ret->severity = (enum alert_severity)severity;
    return true;
}

static bool get_proven(const msgpack_object *array, struct command_proven *ret)
{
    int by;
    if (mp_array(array, 4) == NULL ||
        !command_get_name(mp_at(array, 0), ret->duty, sizeof(ret->duty)) ||
        !mp_u64(mp_at(array, 1), &ret->assignment) || !mp_i64(mp_at(array, 2), &ret->ran_ms) ||
        !command_get_choice(mp_at(array, 3), PROVEN_BY_RUN, UINT16_MAX, &by)) {
        return false;
    }
    ret->by = (enum proven_by)by; /* a newer one keeps its number */
    return true;
}

/* A payload that is one name. */
static bool get_one(const msgpack_object *array, char *ret, size_t size)
{
    return mp_array(array, 1) != NULL && command_get_name(mp_at(array, 0), ret, size);
}

bool command_get_work(enum command_type type, const msgpack_object *payload, struct command *ret)
{
    switch (type) {
    case COMMAND_SCHEDULE_PUT:
        return get_schedule(payload, &ret->schedule);
    case COMMAND_SCHEDULE_REMOVE:
        return get_one(payload, ret->schedule_id.id, sizeof(ret->schedule_id.id));
    case COMMAND_SLOTS_DECIDE:
        return get_slots(payload, &ret->slots);
    case COMMAND_RUN_START:
        return get_one(payload, ret->run_start.schedule, sizeof(ret->run_start.schedule));
    case COMMAND_RUN_END:
        return get_run_end(payload, &ret->run_end);
    case COMMAND_RUN_CANCEL:
        return get_run_cancel(payload, &ret->run_cancel);
    case COMMAND_INTENT_OPEN:
        return get_intent_open(payload, &ret->intent_open);
    case COMMAND_INTENT_TAKE:
        return get_one(payload, ret->intent_take.key, sizeof(ret->intent_take.key));
    case COMMAND_INTENT_DONE:
        return get_intent_done(payload, &ret->intent_done);
    case COMMAND_INTENT_PARK:
        return get_intent_park(payload, &ret->intent_park);
    case COMMAND_RECOVERY_SET:
        return get_recovery(payload, &ret->recovery);
    case COMMAND_ALERT_RAISE:
        return get_alert(payload, &ret->alert);
    case COMMAND_ALERT_ACK:
    case COMMAND_ALERT_RESOLVE:
        return get_one(payload, ret->alert_key.key, sizeof(ret->alert_key.key));
    case COMMAND_DUTY_PROVEN:
        return get_proven(payload, &ret->proven);
    default:
        return false;
    }
}
