/* Commands about work for tests: one line each. */
#ifndef UNDERSTUDY_TESTS_UNIT_STATE_COMMANDS_WORK_H
#define UNDERSTUDY_TESTS_UNIT_STATE_COMMANDS_WORK_H

#include "consensus/state_work.h"
#include "tests/unit/state/commands.h"

static inline struct command schedule_put(const char *id, uint64_t replaces, int64_t decided_s)
{
    struct command command = command_of(COMMAND_SCHEDULE_PUT);
    copy_text(command.schedule.id, SCHEDULE_ID_SIZE, id);
    command.schedule.replaces = replaces;
    command.schedule.decided_s = decided_s;
    struct schedule_definition *is = &command.schedule.is;
    copy_text(is->expression, sizeof(is->expression), "*/5 * * * *");
    copy_text(is->zone, sizeof(is->zone), "Europe/Vienna");
    is->digest = 0xfeedfacecafe;
    is->misfire_cap = 3;
    is->misfire_window_s = 3600;
    is->start_deadline_s = 60;
    is->retries = 2;
    is->backoff_s = 10;
    is->backoff_max_s = 600;
    is->priority = 7;
    return command;
}

static inline struct command schedule_remove(const char *id)
{
    struct command command = command_of(COMMAND_SCHEDULE_REMOVE);
    copy_text(command.schedule_id.id, SCHEDULE_ID_SIZE, id);
    return command;
}

/* Without items. */
static inline struct command slots_decide(const char *id, uint64_t revision, int64_t after_s,
                                          int64_t decided_s)
{
    struct command command = command_of(COMMAND_SLOTS_DECIDE);
    copy_text(command.slots.schedule, SCHEDULE_ID_SIZE, id);
    command.slots.revision = revision;
    command.slots.after_s = after_s;
    command.slots.decided_s = decided_s;
    return command;
}

static inline void add_slots(struct command *command, int64_t first_s, int64_t last_s,
                             uint32_t count, enum run_outcome verdict, enum run_reason reason)
{
    assert_true(command->slots.count < SLOTS_PER_COMMAND_MAX);
    struct command_slot *item = &command->slots.items[command->slots.count++];
    item->first_s = first_s;
    item->last_s = last_s;
    item->count = count;
    item->verdict = verdict;
    item->reason = reason;
}

static inline void add_slot(struct command *command, int64_t slot_s, enum run_outcome verdict)
{
    add_slots(command, slot_s, slot_s, 1, verdict,
              verdict == RUN_UNDER_WAY ? RUN_DUE
              : verdict == RUN_SKIPPED ? RUN_OVERLAP
                                       : RUN_OUT_OF_WINDOW);
}

static inline struct run_key run_key_of(const char *schedule, int64_t slot_s, uint64_t number)
{
    struct run_key key;
    memset(&key, 0, sizeof(key));
    copy_text(key.schedule, sizeof(key.schedule), schedule);
    key.slot_s = slot_s;
    key.number = number;
    return key;
}

static inline struct command run_start(const char *schedule)
{
    struct command command = command_of(COMMAND_RUN_START);
    copy_text(command.run_start.schedule, SCHEDULE_ID_SIZE, schedule);
    return command;
}

static inline struct command run_end(struct run_key key, uint32_t attempt, uint64_t assignment,
                                     enum run_outcome outcome)
{
    struct command command = command_of(COMMAND_RUN_END);
    memcpy(&command.run_end.run, &key, sizeof(key));
    command.run_end.attempt = attempt;
    command.run_end.assignment = assignment;
    command.run_end.proof = assignment == 0 ? 0 : RELEASE_BY_HOLDER;
    command.run_end.outcome = outcome;
    command.run_end.reason = RUN_EXIT;
    command.run_end.exit_status = outcome == RUN_RAN ? 0 : 1;
    command.run_end.started_wall_ms = 1700000001000;
    command.run_end.ended_wall_ms = 1700000002000;
    return command;
}

static inline struct command run_cancel(struct run_key key)
{
    struct command command = command_of(COMMAND_RUN_CANCEL);
    memcpy(&command.run_cancel.run, &key, sizeof(key));
    command.run_cancel.reason = RUN_CANCELLED;
    return command;
}

static inline struct command intent_open(const char *key, const char *object,
                                         enum intent_policy policy)
{
    struct command command = command_of(COMMAND_INTENT_OPEN);
    copy_text(command.intent_open.key, INTENT_KEY_SIZE, key);
    copy_text(command.intent_open.manager, NAME_SIZE, "github");
    copy_text(command.intent_open.object, INTENT_OBJECT_SIZE, object);
    command.intent_open.policy = policy;
    command.intent_open.keep_until_wall_ms = command.wall_ms + 1000;
    return command;
}

static inline struct command intent_take(const char *key)
{
    struct command command = command_of(COMMAND_INTENT_TAKE);
    copy_text(command.intent_take.key, INTENT_KEY_SIZE, key);
    return command;
}

static inline struct command intent_done(const char *key, enum intent_verdict verdict)
{
    struct command command = command_of(COMMAND_INTENT_DONE);
    copy_text(command.intent_done.key, INTENT_KEY_SIZE, key);
    command.intent_done.verdict = verdict;
    command.intent_done.verified = true;
    copy_text(command.intent_done.outcome, REASON_SIZE, "workflow run 4711");
    return command;
}

static inline struct command intent_park(const char *key)
{
    struct command command = command_of(COMMAND_INTENT_PARK);
    copy_text(command.intent_park.key, INTENT_KEY_SIZE, key);
    copy_text(command.intent_park.question, REASON_SIZE, "did the build run?");
    return command;
}

static inline struct command recovery_set(const char *component, uint32_t attempt,
                                          enum recovery_phase phase)
{
    struct command command = command_of(COMMAND_RECOVERY_SET);
    copy_text(command.recovery.component, COMPONENT_SIZE, component);
    command.recovery.attempt = attempt;
    command.recovery.phase = phase;
    command.recovery.next_wall_ms = command.wall_ms + 5000;
    return command;
}

static inline struct command alert_raise(const char *key, enum alert_severity severity,
                                         const char *text)
{
    struct command command = command_of(COMMAND_ALERT_RAISE);
    copy_text(command.alert.key, DUTY_ID_SIZE, key);
    command.alert.severity = severity;
    copy_text(command.alert.text, REASON_SIZE, text);
    return command;
}

static inline struct command alert_named(enum command_type type, const char *key)
{
    struct command command = command_of(type);
    copy_text(command.alert_key.key, DUTY_ID_SIZE, key);
    return command;
}

static inline struct command duty_proven(const char *duty, uint64_t assignment, int64_t ran_ms)
{
    struct command command = command_of(COMMAND_DUTY_PROVEN);
    copy_text(command.proven.duty, DUTY_ID_SIZE, duty);
    command.proven.assignment = assignment;
    command.proven.ran_ms = ran_ms;
    command.proven.by = PROVEN_BY_RUN;
    return command;
}

/* Apply at the next index under a term of its own. */
static inline struct state_effect apply_in_term(struct state *state, struct command command,
                                                uint64_t term)
{
    struct mp_writer writer;
    mp_writer_init(&writer, COMMAND_BYTES_MAX);
    assert_int_equal(command_encode(&command, &writer, NULL), 0);
    struct state_effect effect;
    assert_int_equal(state_apply(state, state_index(state) + 1, term, writer.buffer.data,
                                 writer.buffer.length, &effect),
                     0);
    mp_writer_deinit(&writer);
    return effect;
}

static inline const struct state_duty *duty_of_run(const struct state *state, struct run_key key,
                                                   uint32_t attempt)
{
    char id[DUTY_ID_SIZE];
    run_duty_id(&key, attempt, id);
    return state_duty_by_id(state, id);
}

/* Assign the run's duty to n1 (raft id 1): the assignment. */
static inline uint64_t assign_run(struct state *state, struct run_key key, uint32_t attempt)
{
    char id[DUTY_ID_SIZE];
    run_duty_id(&key, attempt, id);
    return apply_ok(state, duty_assign(id, 0, "n1", 1, 1)).number;
}

#endif
