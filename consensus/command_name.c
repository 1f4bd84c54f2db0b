#include "consensus/command.h"
#include "consensus/state_work.h"

#include <stdio.h>

const char *command_type_name(enum command_type type)
{
    switch (type) {
#define COMMAND_TYPE_CASE(symbol, value, name) \
    case symbol:                               \
        return name;
        COMMAND_TYPE_MAP(COMMAND_TYPE_CASE)
#undef COMMAND_TYPE_CASE
    case COMMAND_NONE:
        break;
    }
    return "unknown";
}

const char *command_reason_name(enum command_reason reason)
{
    switch (reason) {
#define COMMAND_REASON_CASE(symbol, value, name) \
    case symbol:                                 \
        return name;
        COMMAND_REASON_MAP(COMMAND_REASON_CASE)
#undef COMMAND_REASON_CASE
    }
    return "unknown";
}

const char *command_node_role_name(enum node_role role)
{
    switch (role) {
    case NODE_ROLE_AUTO:
        return "auto";
    case NODE_ROLE_VOTER:
        return "voter";
    case NODE_ROLE_STANDBY:
        return "standby";
    case NODE_ROLE_SPARE:
        return "spare";
    case NODE_ROLE_WITNESS:
        return "witness";
    }
    return "unknown";
}

const char *command_release_proof_name(enum release_proof proof)
{
    switch (proof) {
    case RELEASE_BY_HOLDER:
        return "holder";
    case RELEASE_BY_OBITUARY:
        return "obituary";
    case RELEASE_BY_EXPIRY:
        return "expiry";
    }
    return "unknown";
}

const char *command_leader_proof_name(enum leader_proof proof)
{
    switch (proof) {
    case LEADER_PROOF_NONE:
        return "none";
    case LEADER_PROOF_OBITUARY:
        return "obituary";
    case LEADER_PROOF_RELEASE:
        return "release";
    }
    return "unknown";
}

const char *command_manager_mode_name(enum manager_mode mode)
{
    switch (mode) {
    case MANAGER_MODE_UNSET:
        return "unset";
    case MANAGER_MODE_ARMED:
        return "armed";
    case MANAGER_MODE_SHADOW:
        return "shadow";
    }
    return "unknown";
}

/* NULL: it is a run's, whose name is not in the command. */
static const char *work_target(const struct command *command)
{
    switch (command->type) {
    case COMMAND_SCHEDULE_PUT:
        return command->schedule.id;
    case COMMAND_SCHEDULE_REMOVE:
        return command->schedule_id.id;
    case COMMAND_SLOTS_DECIDE:
        return command->slots.schedule;
    case COMMAND_RUN_START:
        return command->run_start.schedule;
    case COMMAND_RUN_END:
    case COMMAND_RUN_CANCEL:
        return NULL;
    case COMMAND_INTENT_OPEN:
        return command->intent_open.key;
    case COMMAND_INTENT_TAKE:
        return command->intent_take.key;
    case COMMAND_INTENT_DONE:
        return command->intent_done.key;
    case COMMAND_INTENT_PARK:
        return command->intent_park.key;
    case COMMAND_RECOVERY_SET:
        return command->recovery.component;
    case COMMAND_ALERT_RAISE:
        return command->alert.key;
    case COMMAND_ALERT_ACK:
    case COMMAND_ALERT_RESOLVE:
        return command->alert_key.key;
    case COMMAND_DUTY_PROVEN:
        return command->proven.duty;
    default:
        return "";
    }
}

static const char *target_text(const struct command *command)
{
    switch (command->type) {
    case COMMAND_NODE_PUT:
        return command->node.name;
    case COMMAND_NODE_REMOVE:
    case COMMAND_NODE_DRAIN:
    case COMMAND_NODE_UNDRAIN:
        return command->node_name.name;
    case COMMAND_NODE_ROLE:
        return command->node_role.name;
    case COMMAND_DUTY_PUT:
        return command->duty.id;
    case COMMAND_DUTY_REMOVE:
        return command->duty_id.id;
    case COMMAND_DUTY_ASSIGN:
        return command->assign.id;
    case COMMAND_DUTY_RELEASE:
        return command->release.id;
    case COMMAND_LEADER_RECORD:
        return command->leader.node;
    case COMMAND_SETTING_PUT:
        return command->setting.key;
    case COMMAND_MANAGER_PAUSE:
    case COMMAND_MANAGER_RESUME:
    case COMMAND_MANAGER_MODE:
        return command->manager.manager;
    case COMMAND_AUDIT_NOTE:
        return command->note.target;
    default:
        return work_target(command);
    }
}

void command_target(const struct command *command, char ret[DUTY_ID_SIZE])
{
    const char *text = target_text(command);
    if (text != NULL) {
        (void)snprintf(ret, DUTY_ID_SIZE, "%.*s", DUTY_ID_SIZE - 1, text);
    } else {
        run_id(command->type == COMMAND_RUN_END ? &command->run_end.run : &command->run_cancel.run,
               ret);
    }
}
