#include "consensus/command_internal.h"

#include <string.h>

void command_put_text(struct command_encoder *encoder, const char *text, size_t size)
{
    if (memchr(text, '\0', size) == NULL) {
        encoder->ok = false;
        return;
    }
    mp_put_text(encoder->writer, text);
}

/* A name may not be empty. */
void command_put_name(struct command_encoder *encoder, const char *text, size_t size)
{
    if (text[0] == '\0') {
        encoder->ok = false;
        return;
    }
    command_put_text(encoder, text, size);
}

void command_put_choice(struct command_encoder *encoder, int value, int first, int last)
{
    if (value < first || value > last) {
        encoder->ok = false;
        return;
    }
    mp_put_u64(encoder->writer, (uint64_t)value);
}

static void put_node(struct command_encoder *encoder, const struct command_node *node)
{
    struct mp_writer *writer = encoder->writer;
    if (node->extra_key_count > NODE_KEYS_EXTRA_MAX || node->label_count > NODE_LABELS_MAX) {
        encoder->ok = false;
        return;
    }
    mp_put_array(writer, 7);
    command_put_name(encoder, node->name, sizeof(node->name));
    mp_put_u64(writer, node->raft_id);
    command_put_name(encoder, node->public_key, sizeof(node->public_key));
    mp_put_array(writer, node->extra_key_count);
    for (size_t i = 0; i < node->extra_key_count; i++) {
        command_put_name(encoder, node->extra_keys[i], sizeof(node->extra_keys[i]));
    }
    command_put_text(encoder, node->address, sizeof(node->address));
    command_put_choice(encoder, (int)node->wanted, NODE_ROLE_AUTO, NODE_ROLE_WITNESS);
    mp_put_array(writer, node->label_count);
    for (size_t i = 0; i < node->label_count; i++) {
        command_put_name(encoder, node->labels[i], sizeof(node->labels[i]));
    }
}

static void put_duty(struct command_encoder *encoder, const struct command_duty *duty)
{
    bool grouped = duty->alone[0] != '\0';
    mp_put_array(encoder->writer, grouped ? 7 : duty->once ? 5 : 4);
    command_put_name(encoder, duty->id, sizeof(duty->id));
    mp_put_bool(encoder->writer, duty->exclusive);
    mp_put_bool(encoder->writer, duty->wanted);
    mp_put_i64(encoder->writer, duty->priority);
    if (duty->once || grouped) {
        mp_put_bool(encoder->writer, duty->once);
    }
    if (grouped) {
        command_put_name(encoder, duty->alone, sizeof(duty->alone));
        mp_put_u64(encoder->writer, duty->side);
    }
}

static void put_assign(struct command_encoder *encoder, const struct command_assign *assign)
{
    mp_put_array(encoder->writer, 6);
    command_put_name(encoder, assign->id, sizeof(assign->id));
    mp_put_u64(encoder->writer, assign->replaces);
    command_put_name(encoder, assign->node, sizeof(assign->node));
    mp_put_u64(encoder->writer, assign->raft_id);
    mp_put_u64(encoder->writer, assign->incarnation);
    mp_put_i64(encoder->writer, assign->grant_ttl_ms);
}

static void put_release(struct command_encoder *encoder, const struct command_release *release)
{
    mp_put_array(encoder->writer, 3);
    command_put_name(encoder, release->id, sizeof(release->id));
    mp_put_u64(encoder->writer, release->assignment);
    command_put_choice(encoder, (int)release->proof, RELEASE_BY_HOLDER, RELEASE_BY_EXPIRY);
}

static void put_leader(struct command_encoder *encoder, const struct command_leader *leader)
{
    mp_put_array(encoder->writer, 8);
    mp_put_u64(encoder->writer, leader->term);
    command_put_name(encoder, leader->node, sizeof(leader->node));
    command_put_choice(encoder, (int)leader->cause, CONSENSUS_CAUSE_NONE, UINT8_MAX);
    command_put_choice(encoder, (int)leader->proof, LEADER_PROOF_NONE, LEADER_PROOF_RELEASE);
    mp_put_i64(encoder->writer, leader->detected_ms);
    mp_put_i64(encoder->writer, leader->elected_ms);
    mp_put_i64(encoder->writer, leader->acting_ms);
    command_put_text(encoder, leader->previous, sizeof(leader->previous));
}

static void put_setting(struct command_encoder *encoder, const struct command_setting *setting)
{
    mp_put_array(encoder->writer, 3);
    command_put_name(encoder, setting->key, sizeof(setting->key));
    command_put_text(encoder, setting->value, sizeof(setting->value));
    mp_put_bool(encoder->writer, setting->remove);
}

static void put_manager(struct command_encoder *encoder, const struct command_manager *manager)
{
    mp_put_array(encoder->writer, 3);
    command_put_name(encoder, manager->manager, sizeof(manager->manager));
    mp_put_i64(encoder->writer, manager->until_wall_ms);
    command_put_choice(encoder, (int)manager->mode, MANAGER_MODE_UNSET, MANAGER_MODE_SHADOW);
}

static void put_payload(struct command_encoder *encoder, const struct command *command)
{
    switch (command->type) {
    case COMMAND_NODE_PUT:
        put_node(encoder, &command->node);
        return;
    case COMMAND_NODE_REMOVE:
    case COMMAND_NODE_DRAIN:
    case COMMAND_NODE_UNDRAIN:
        mp_put_array(encoder->writer, 1);
        command_put_name(encoder, command->node_name.name, sizeof(command->node_name.name));
        return;
    case COMMAND_NODE_ROLE:
        mp_put_array(encoder->writer, 2);
        command_put_name(encoder, command->node_role.name, sizeof(command->node_role.name));
        command_put_choice(encoder, (int)command->node_role.wanted, NODE_ROLE_AUTO,
                           NODE_ROLE_WITNESS);
        return;
    case COMMAND_DUTY_PUT:
        put_duty(encoder, &command->duty);
        return;
    case COMMAND_DUTY_REMOVE:
        mp_put_array(encoder->writer, 1);
        command_put_name(encoder, command->duty_id.id, sizeof(command->duty_id.id));
        return;
    case COMMAND_DUTY_ASSIGN:
        put_assign(encoder, &command->assign);
        return;
    case COMMAND_DUTY_RELEASE:
        put_release(encoder, &command->release);
        return;
    case COMMAND_LEADER_RECORD:
        put_leader(encoder, &command->leader);
        return;
    case COMMAND_SETTING_PUT:
        put_setting(encoder, &command->setting);
        return;
    case COMMAND_MANAGER_PAUSE:
    case COMMAND_MANAGER_RESUME:
    case COMMAND_MANAGER_MODE:
        put_manager(encoder, &command->manager);
        return;
    case COMMAND_AUDIT_NOTE:
        mp_put_array(encoder->writer, 1);
        command_put_text(encoder, command->note.target, sizeof(command->note.target));
        return;
    default:
        command_put_work(encoder, command);
        return;
    }
}

int command_encode(const struct command *command, struct mp_writer *writer, struct err *err)
{
    struct command_encoder encoder = {.writer = writer, .ok = true};
    size_t before = writer->buffer.length;
    mp_put_array(writer, 10);
    mp_put_u64(writer, COMMAND_VERSION);
    mp_put_u64(writer, (uint64_t)command->type);
    mp_put_u64(writer, command->origin);
    mp_put_u64(writer, command->incarnation);
    mp_put_u64(writer, command->sequence);
    mp_put_i64(writer, command->wall_ms);
    command_put_text(&encoder, command->who, sizeof(command->who));
    command_put_choice(&encoder, (int)command->reason, 0, UINT16_MAX);
    command_put_text(&encoder, command->why, sizeof(command->why));
    put_payload(&encoder, command);
    if (!encoder.ok) {
        return err_set(err, ERR_INVALID, "command %s holds a value outside its bounds",
                       command_type_name(command->type));
    }
    if (!mp_writer_ok(writer) || writer->buffer.length - before > COMMAND_BYTES_MAX) {
        return err_set(err, ERR_FULL, "command %s is over %d bytes",
                       command_type_name(command->type), COMMAND_BYTES_MAX);
    }
    return 0;
}
