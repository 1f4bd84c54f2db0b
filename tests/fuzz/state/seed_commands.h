/* One command of each type, about the same node, duty and schedule. */
#ifndef UNDERSTUDY_TESTS_FUZZ_STATE_SEED_COMMANDS_H
#define UNDERSTUDY_TESTS_FUZZ_STATE_SEED_COMMANDS_H

#include "consensus/command.h"

#include <string.h>

/* The schedule is defined by entry 8 of the snapshot's seed; its slot 1060 runs. */
static inline void seed_slots(struct command_slots *slots)
{
    slots->revision = 8;
    slots->after_s = 1000;
    slots->decided_s = 1120;
    slots->count = 2;
    slots->items[0] =
        (struct command_slot){.first_s = 1010, .last_s = 1050, .count = 3, .verdict = RUN_MISSED};
    slots->items[1] = (struct command_slot){
        .first_s = 1060, .last_s = 1060, .count = 1, .verdict = RUN_UNDER_WAY};
}

/* Payloads of command_work.h; each starts with its name, which is there already. */
static inline void seed_work(struct command *command)
{
    if (command->type == COMMAND_SCHEDULE_PUT) {
        struct schedule_definition *is = &command->schedule.is;
        command->schedule.decided_s = 1000;
        memcpy(is->expression, "@hourly", 8);
        memcpy(is->zone, "UTC", 4);
        is->misfire_cap = 1;
    } else if (command->type == COMMAND_SLOTS_DECIDE) {
        seed_slots(&command->slots);
    } else if (command->type == COMMAND_RUN_END) {
        command->run_end.run.slot_s = 1060;
        command->run_end.attempt = 1;
        command->run_end.outcome = RUN_MISSED;
    } else if (command->type == COMMAND_RUN_CANCEL) {
        command->run_cancel.run.slot_s = 1060;
    } else if (command->type == COMMAND_INTENT_OPEN) {
        memcpy(command->intent_open.manager, "github", 7);
        memcpy(command->intent_open.object, "ci.yml", 7);
    } else if (command->type == COMMAND_RECOVERY_SET) {
        command->recovery.phase = RECOVERY_ACTING;
    }
}

static inline struct command seed_command(enum command_type type, uint64_t sequence)
{
    static const char key[PUBLIC_KEY_SIZE] = "0123456789012345678901234567890123456789";
    struct command command;
    memset(&command, 0, sizeof(command));
    command.type = type;
    command.origin = 7;
    command.incarnation = 1;
    command.sequence = sequence;
    command.wall_ms = 1700000000000;
    command.reason = REASON_OPERATOR;
    memcpy(command.who, "anna", 5);
    memcpy(command.why, "seed", 5);
    /* Every payload starts with its name or id, but for the record of a leader. */
    if (type == COMMAND_LEADER_RECORD) {
        command.leader.term = 3;
        memcpy(command.leader.node, "n1", 3);
        return command;
    }
    if (type == COMMAND_DUTY_PROVEN) {
        command.proven = (struct command_proven){
            .duty = "pm2/a", .assignment = 3, .ran_ms = 10000, .by = PROVEN_BY_RUN};
        return command;
    }
    if (type >= COMMAND_SCHEDULE_PUT) {
        memcpy(command.schedule.id, "run/a", 6);
        seed_work(&command);
        return command;
    }
    memcpy(command.node.name, "n1", 3);
    if (type == COMMAND_NODE_PUT) {
        command.node.raft_id = 7;
        memcpy(command.node.public_key, key, sizeof(key));
        command.node.extra_key_count = 1;
        memcpy(command.node.extra_keys[0], "another", 8);
        command.node.label_count = 1;
        memcpy(command.node.labels[0], "zone=a", 7);
    } else if (type == COMMAND_DUTY_PUT) {
        command.duty = (struct command_duty){.id = "pm2/a", .exclusive = true, .wanted = true};
    } else if (type == COMMAND_DUTY_ASSIGN) {
        command.assign = (struct command_assign){
            .id = "pm2/a", .node = "n1", .raft_id = 7, .incarnation = 1, .grant_ttl_ms = 5000};
    } else if (type == COMMAND_DUTY_RELEASE) {
        command.release =
            (struct command_release){.id = "pm2/a", .assignment = 3, .proof = RELEASE_BY_HOLDER};
    } else if (type == COMMAND_MANAGER_PAUSE) {
        command.manager.until_wall_ms = PAUSED_UNTIL_RESUMED;
    }
    return command;
}

#endif
