/* Commands for tests: one line each. */
#ifndef UNDERSTUDY_TESTS_UNIT_STATE_COMMANDS_H
#define UNDERSTUDY_TESTS_UNIT_STATE_COMMANDS_H

#include "consensus/state.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define TERM 7

static inline void copy_text(char *ret, size_t size, const char *text)
{
    assert_true(strlen(text) < size);
    memcpy(ret, text, strlen(text) + 1);
}

static inline struct command command_of(enum command_type type)
{
    struct command command;
    memset(&command, 0, sizeof(command));
    command.type = type;
    command.wall_ms = 1700000000000;
    command.reason = REASON_OPERATOR;
    copy_text(command.who, sizeof(command.who), "anna");
    copy_text(command.why, sizeof(command.why), "because the test says so");
    return command;
}

static inline struct command node_put(const char *name, uint64_t raft_id)
{
    struct command command = command_of(COMMAND_NODE_PUT);
    copy_text(command.node.name, sizeof(command.node.name), name);
    command.node.raft_id = raft_id;
    (void)snprintf(command.node.public_key, sizeof(command.node.public_key), "key-%020llu",
                   (unsigned long long)raft_id);
    copy_text(command.node.address, sizeof(command.node.address), "tcp://127.0.0.1:7400");
    return command;
}

static inline struct command node_named(enum command_type type, const char *name)
{
    struct command command = command_of(type);
    copy_text(command.node_name.name, sizeof(command.node_name.name), name);
    return command;
}

static inline struct command node_role(const char *name, enum node_role wanted)
{
    struct command command = command_of(COMMAND_NODE_ROLE);
    copy_text(command.node_role.name, sizeof(command.node_role.name), name);
    command.node_role.wanted = wanted;
    return command;
}

static inline struct command duty_put(const char *id, bool exclusive, bool wanted)
{
    struct command command = command_of(COMMAND_DUTY_PUT);
    copy_text(command.duty.id, sizeof(command.duty.id), id);
    command.duty.exclusive = exclusive;
    command.duty.wanted = wanted;
    return command;
}

static inline struct command duty_remove(const char *id)
{
    struct command command = command_of(COMMAND_DUTY_REMOVE);
    copy_text(command.duty_id.id, sizeof(command.duty_id.id), id);
    return command;
}

static inline struct command duty_assign(const char *id, uint64_t replaces, const char *node,
                                         uint64_t raft_id, uint64_t incarnation)
{
    struct command command = command_of(COMMAND_DUTY_ASSIGN);
    copy_text(command.assign.id, sizeof(command.assign.id), id);
    command.assign.replaces = replaces;
    copy_text(command.assign.node, sizeof(command.assign.node), node);
    command.assign.raft_id = raft_id;
    command.assign.incarnation = incarnation;
    command.assign.grant_ttl_ms = 5000;
    return command;
}

static inline struct command duty_release(const char *id, uint64_t assignment,
                                          enum release_proof proof)
{
    struct command command = command_of(COMMAND_DUTY_RELEASE);
    copy_text(command.release.id, sizeof(command.release.id), id);
    command.release.assignment = assignment;
    command.release.proof = proof;
    return command;
}

static inline struct command leader_record(uint64_t term, const char *node)
{
    struct command command = command_of(COMMAND_LEADER_RECORD);
    command.leader.term = term;
    copy_text(command.leader.node, sizeof(command.leader.node), node);
    command.leader.cause = CONSENSUS_CAUSE_OBITUARY;
    command.leader.proof = LEADER_PROOF_OBITUARY;
    command.leader.detected_ms = 1;
    command.leader.elected_ms = 5;
    command.leader.acting_ms = 6;
    copy_text(command.leader.previous, sizeof(command.leader.previous), "n0");
    return command;
}

static inline struct command setting_put(const char *key, const char *value)
{
    struct command command = command_of(COMMAND_SETTING_PUT);
    copy_text(command.setting.key, sizeof(command.setting.key), key);
    command.setting.remove = value == NULL;
    copy_text(command.setting.value, sizeof(command.setting.value), value == NULL ? "" : value);
    return command;
}

static inline struct command manager_change(enum command_type type, const char *name)
{
    struct command command = command_of(type);
    copy_text(command.manager.manager, sizeof(command.manager.manager), name);
    command.manager.until_wall_ms = PAUSED_UNTIL_RESUMED;
    return command;
}

/* Apply at the next index. */
static inline struct state_effect apply(struct state *state, struct command command)
{
    struct mp_writer writer;
    mp_writer_init(&writer, COMMAND_BYTES_MAX);
    struct err err = {0};
    assert_int_equal(command_encode(&command, &writer, &err), 0);
    struct state_effect effect;
    assert_int_equal(state_apply(state, state_index(state) + 1, TERM, writer.buffer.data,
                                 writer.buffer.length, &effect),
                     0);
    mp_writer_deinit(&writer);
    return effect;
}

static inline struct state_effect apply_ok(struct state *state, struct command command)
{
    struct state_effect effect = apply(state, command);
    if (effect.outcome != STATE_APPLIED) {
        fail_msg("%s %s: %s", command_type_name(effect.type), effect.target, effect.reason);
    }
    return effect;
}

static inline void apply_refused(struct state *state, struct command command, int status)
{
    struct state_effect effect = apply(state, command);
    assert_int_equal(effect.outcome, STATE_REFUSED);
    assert_int_equal(effect.status, status);
    assert_true(effect.reason[0] != '\0');
}

#endif
