#include "consensus/command_internal.h"

#include <string.h>

bool command_run_key_valid(const struct run_key *key)
{
    if (key->schedule[0] == '\0' || memchr(key->schedule, '\0', sizeof(key->schedule)) == NULL) {
        return false;
    }
    return key->slot_s == 0 ? key->number != 0
                            : key->slot_s > 0 && key->slot_s <= RUN_SLOT_S_MAX && key->number == 0;
}

void command_put_definition(struct command_encoder *encoder, const struct schedule_definition *is)
{
    struct mp_writer *writer = encoder->writer;
    mp_put_array(writer, 20);
    command_put_name(encoder, is->expression, sizeof(is->expression));
    command_put_name(encoder, is->zone, sizeof(is->zone));
    mp_put_u64(writer, is->digest);
    mp_put_i64(writer, is->anchor_s);
    command_put_choice(encoder, (int)is->gap, CALENDAR_GAP_NEXT, CALENDAR_GAP_SKIP);
    command_put_choice(encoder, (int)is->fold, CALENDAR_FOLD_FIRST, CALENDAR_FOLD_BOTH);
    command_put_choice(encoder, (int)is->overlap, SCHEDULE_OVERLAP_FORBID,
                       SCHEDULE_OVERLAP_REPLACE);
    command_put_choice(encoder, (int)is->misfire, SCHEDULE_MISFIRE_RUN_ONCE, SCHEDULE_MISFIRE_SKIP);
    mp_put_u64(writer, is->misfire_cap);
    mp_put_i64(writer, is->misfire_window_s);
    mp_put_i64(writer, is->start_deadline_s);
    mp_put_i64(writer, is->progress_deadline_s);
    mp_put_i64(writer, is->finish_deadline_s);
    mp_put_i64(writer, is->min_runtime_s);
    mp_put_u64(writer, is->retries);
    mp_put_i64(writer, is->backoff_s);
    mp_put_i64(writer, is->backoff_max_s);
    mp_put_bool(writer, is->retry_unknown);
    mp_put_bool(writer, is->critical);
    mp_put_i64(writer, is->priority);
}

static void put_schedule(struct command_encoder *encoder, const struct command_schedule *schedule)
{
    mp_put_array(encoder->writer, 4);
    command_put_name(encoder, schedule->id, sizeof(schedule->id));
    mp_put_u64(encoder->writer, schedule->replaces);
    mp_put_i64(encoder->writer, schedule->decided_s);
    command_put_definition(encoder, &schedule->is);
}

static void put_slots(struct command_encoder *encoder, const struct command_slots *slots)
{
    struct mp_writer *writer = encoder->writer;
    if (slots->count > SLOTS_PER_COMMAND_MAX) {
        encoder->ok = false;
        return;
    }
    mp_put_array(writer, 5);
    command_put_name(encoder, slots->schedule, sizeof(slots->schedule));
    mp_put_u64(writer, slots->revision);
    mp_put_i64(writer, slots->after_s);
    mp_put_i64(writer, slots->decided_s);
    mp_put_array(writer, slots->count);
    for (size_t i = 0; i < slots->count; i++) {
        const struct command_slot *item = &slots->items[i];
        mp_put_array(writer, 5);
        mp_put_i64(writer, item->first_s);
        mp_put_i64(writer, item->last_s);
        mp_put_u64(writer, item->count);
        command_put_choice(encoder, (int)item->verdict, RUN_UNDER_WAY, RUN_UNKNOWN);
        command_put_choice(encoder, (int)item->reason, 0, UINT16_MAX);
    }
}

static void put_run_key(struct command_encoder *encoder, const struct run_key *key)
{
    if (!command_run_key_valid(key)) {
        encoder->ok = false;
        return;
    }
    mp_put_text(encoder->writer, key->schedule);
    mp_put_i64(encoder->writer, key->slot_s);
    mp_put_u64(encoder->writer, key->number);
}

static void put_run_end(struct command_encoder *encoder, const struct command_run_end *end)
{
    struct mp_writer *writer = encoder->writer;
    mp_put_array(writer, 12);
    put_run_key(encoder, &end->run);
    mp_put_u64(writer, end->attempt);
    mp_put_u64(writer, end->assignment);
    command_put_choice(encoder, end->proof, 0, RELEASE_BY_EXPIRY);
    command_put_choice(encoder, (int)end->outcome, RUN_RAN, RUN_UNKNOWN);
    command_put_choice(encoder, (int)end->reason, 0, UINT16_MAX);
    if (end->exit_status < -1 || end->exit_status > RUN_EXIT_STATUS_MAX) {
        encoder->ok = false;
    }
    mp_put_i64(writer, end->exit_status);
    mp_put_i64(writer, end->started_wall_ms);
    mp_put_i64(writer, end->ended_wall_ms);
    mp_put_i64(writer, end->again_wall_ms);
}

static void put_intent_open(struct command_encoder *encoder, const struct command_intent_open *open)
{
    mp_put_array(encoder->writer, 5);
    command_put_name(encoder, open->key, sizeof(open->key));
    command_put_name(encoder, open->manager, sizeof(open->manager));
    command_put_name(encoder, open->object, sizeof(open->object));
    command_put_choice(encoder, (int)open->policy, INTENT_SKIP, INTENT_PARK);
    mp_put_i64(encoder->writer, open->keep_until_wall_ms);
}

static void put_intent_done(struct command_encoder *encoder, const struct command_intent_done *done)
{
    mp_put_array(encoder->writer, 4);
    command_put_name(encoder, done->key, sizeof(done->key));
    command_put_choice(encoder, (int)done->verdict, INTENT_HAPPENED, INTENT_DROPPED);
    mp_put_bool(encoder->writer, done->verified);
    command_put_text(encoder, done->outcome, sizeof(done->outcome));
}

static void put_recovery(struct command_encoder *encoder, const struct command_recovery *recovery)
{
    mp_put_array(encoder->writer, 4);
    command_put_name(encoder, recovery->component, sizeof(recovery->component));
    mp_put_u64(encoder->writer, recovery->attempt);
    command_put_choice(encoder, (int)recovery->phase, RECOVERY_WELL, RECOVERY_ESCALATED);
    mp_put_i64(encoder->writer, recovery->next_wall_ms);
}

static void put_alert(struct command_encoder *encoder, const struct command_alert *alert)
{
    mp_put_array(encoder->writer, 3);
    command_put_name(encoder, alert->key, sizeof(alert->key));
    command_put_choice(encoder, (int)alert->severity, ALERT_INFO, ALERT_CRITICAL);
    command_put_text(encoder, alert->text, sizeof(alert->text));
}

static void put_proven(struct command_encoder *encoder, const struct command_proven *proven)
{
    mp_put_array(encoder->writer, 4);
    command_put_name(encoder, proven->duty, sizeof(proven->duty));
    mp_put_u64(encoder->writer, proven->assignment);
    mp_put_i64(encoder->writer, proven->ran_ms);
    command_put_choice(encoder, (int)proven->by, PROVEN_BY_RUN, UINT16_MAX);
}

/* A payload that is one name. */
static void put_one(struct command_encoder *encoder, const char *name, size_t size)
{
    mp_put_array(encoder->writer, 1);
    command_put_name(encoder, name, size);
}

void command_put_work(struct command_encoder *encoder, const struct command *command)
{
    switch (command->type) {
    case COMMAND_SCHEDULE_PUT:
        put_schedule(encoder, &command->schedule);
        return;
    case COMMAND_SCHEDULE_REMOVE:
        put_one(encoder, command->schedule_id.id, sizeof(command->schedule_id.id));
        return;
    case COMMAND_SLOTS_DECIDE:
        put_slots(encoder, &command->slots);
        return;
    case COMMAND_RUN_START:
        put_one(encoder, command->run_start.schedule, sizeof(command->run_start.schedule));
        return;
    case COMMAND_RUN_END:
        put_run_end(encoder, &command->run_end);
        return;
    case COMMAND_RUN_CANCEL:
        mp_put_array(encoder->writer, 4);
        put_run_key(encoder, &command->run_cancel.run);
        command_put_choice(encoder, (int)command->run_cancel.reason, 0, UINT16_MAX);
        return;
    case COMMAND_INTENT_OPEN:
        put_intent_open(encoder, &command->intent_open);
        return;
    case COMMAND_INTENT_TAKE:
        put_one(encoder, command->intent_take.key, sizeof(command->intent_take.key));
        return;
    case COMMAND_INTENT_DONE:
        put_intent_done(encoder, &command->intent_done);
        return;
    case COMMAND_INTENT_PARK:
        mp_put_array(encoder->writer, 2);
        command_put_name(encoder, command->intent_park.key, sizeof(command->intent_park.key));
        command_put_text(encoder, command->intent_park.question,
                         sizeof(command->intent_park.question));
        return;
    case COMMAND_RECOVERY_SET:
        put_recovery(encoder, &command->recovery);
        return;
    case COMMAND_ALERT_RAISE:
        put_alert(encoder, &command->alert);
        return;
    case COMMAND_ALERT_ACK:
    case COMMAND_ALERT_RESOLVE:
        put_one(encoder, command->alert_key.key, sizeof(command->alert_key.key));
        return;
    case COMMAND_DUTY_PROVEN:
        put_proven(encoder, &command->proven);
        return;
    default:
        encoder->ok = false;
        return;
    }
}
