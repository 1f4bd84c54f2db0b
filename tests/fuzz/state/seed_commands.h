/* One command of each type, all about the same node and duty, in an order in which they apply. */
#ifndef UNDERSTUDY_TESTS_FUZZ_STATE_SEED_COMMANDS_H
#define UNDERSTUDY_TESTS_FUZZ_STATE_SEED_COMMANDS_H

#include "consensus/command.h"

#include <string.h>

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
