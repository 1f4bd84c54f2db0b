#include "consensus/command_internal.h"

#include <string.h>

static const struct mp_limits command_limits = {
    .bytes = COMMAND_BYTES_MAX,
    .elements = 512, /* leaves room for fields that newer versions append */
    .depth = 6,
};

bool command_get_name(const msgpack_object *object, char *ret, size_t size)
{
    return mp_text(object, ret, size) && ret[0] != '\0';
}

bool command_get_choice(const msgpack_object *object, int first, int last, int *ret)
{
    uint64_t value;
    if (!mp_u64(object, &value) || value > (uint64_t)last || (int)value < first) {
        return false;
    }
    *ret = (int)value;
    return true;
}

static bool get_names(const msgpack_object *array, char *ret, size_t size, size_t count_max,
                      size_t *ret_count)
{
    size_t count = mp_count(array);
    if (mp_array(array, 0) == NULL || count > count_max) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        if (!command_get_name(mp_at(array, i), ret + i * size, size)) {
            return false;
        }
    }
    *ret_count = count;
    return true;
}

static bool get_node(const msgpack_object *array, struct command_node *ret)
{
    int wanted;
    if (mp_array(array, 7) == NULL ||
        !command_get_name(mp_at(array, 0), ret->name, sizeof(ret->name)) ||
        !mp_u64(mp_at(array, 1), &ret->raft_id) ||
        !command_get_name(mp_at(array, 2), ret->public_key, sizeof(ret->public_key)) ||
        !get_names(mp_at(array, 3), ret->extra_keys[0], sizeof(ret->extra_keys[0]),
                   NODE_KEYS_EXTRA_MAX, &ret->extra_key_count) ||
        !mp_text(mp_at(array, 4), ret->address, sizeof(ret->address)) ||
        !command_get_choice(mp_at(array, 5), NODE_ROLE_AUTO, NODE_ROLE_WITNESS, &wanted) ||
        !get_names(mp_at(array, 6), ret->labels[0], sizeof(ret->labels[0]), NODE_LABELS_MAX,
                   &ret->label_count)) {
        return false;
    }
    ret->wanted = (enum node_role)wanted;
    return ret->raft_id != 0;
}

static bool get_node_name(const msgpack_object *array, struct command_node_name *ret)
{
    return mp_array(array, 1) != NULL &&
           command_get_name(mp_at(array, 0), ret->name, sizeof(ret->name));
}

static bool get_node_role(const msgpack_object *array, struct command_node_role *ret)
{
    int wanted;
    if (mp_array(array, 2) == NULL ||
        !command_get_name(mp_at(array, 0), ret->name, sizeof(ret->name)) ||
        !command_get_choice(mp_at(array, 1), NODE_ROLE_AUTO, NODE_ROLE_WITNESS, &wanted)) {
        return false;
    }
    ret->wanted = (enum node_role)wanted;
    return true;
}

/* A group without its side, or a side without a group, is nothing that this version writes. */
static bool get_alone(const msgpack_object *array, struct command_duty *ret)
{
    return mp_count(array) < 6 ||
           (mp_count(array) >= 7 &&
            command_get_name(mp_at(array, 5), ret->alone, sizeof(ret->alone)) &&
            mp_u32(mp_at(array, 6), &ret->side));
}

static bool get_duty(const msgpack_object *array, struct command_duty *ret)
{
    return mp_array(array, 4) != NULL &&
           command_get_name(mp_at(array, 0), ret->id, sizeof(ret->id)) &&
           mp_bool(mp_at(array, 1), &ret->exclusive) && mp_bool(mp_at(array, 2), &ret->wanted) &&
           mp_i64(mp_at(array, 3), &ret->priority) &&
           (mp_count(array) < 5 || mp_bool(mp_at(array, 4), &ret->once)) && get_alone(array, ret);
}

static bool get_duty_id(const msgpack_object *array, struct command_duty_id *ret)
{
    return mp_array(array, 1) != NULL &&
           command_get_name(mp_at(array, 0), ret->id, sizeof(ret->id));
}

static bool get_assign(const msgpack_object *array, struct command_assign *ret)
{
    return mp_array(array, 6) != NULL &&
           command_get_name(mp_at(array, 0), ret->id, sizeof(ret->id)) &&
           mp_u64(mp_at(array, 1), &ret->replaces) &&
           command_get_name(mp_at(array, 2), ret->node, sizeof(ret->node)) &&
           mp_u64(mp_at(array, 3), &ret->raft_id) && mp_u64(mp_at(array, 4), &ret->incarnation) &&
           mp_i64(mp_at(array, 5), &ret->grant_ttl_ms) && ret->raft_id != 0 &&
           ret->grant_ttl_ms >= 0;
}

static bool get_release(const msgpack_object *array, struct command_release *ret)
{
    int proof;
    if (mp_array(array, 3) == NULL ||
        !command_get_name(mp_at(array, 0), ret->id, sizeof(ret->id)) ||
        !mp_u64(mp_at(array, 1), &ret->assignment) ||
        !command_get_choice(mp_at(array, 2), RELEASE_BY_HOLDER, RELEASE_BY_EXPIRY, &proof)) {
        return false;
    }
    ret->proof = (enum release_proof)proof;
    return true;
}

static bool get_leader(const msgpack_object *array, struct command_leader *ret)
{
    int cause;
    int proof;
    if (mp_array(array, 8) == NULL || !mp_u64(mp_at(array, 0), &ret->term) ||
        !command_get_name(mp_at(array, 1), ret->node, sizeof(ret->node)) ||
        !command_get_choice(mp_at(array, 2), CONSENSUS_CAUSE_NONE, UINT8_MAX, &cause) ||
        !command_get_choice(mp_at(array, 3), LEADER_PROOF_NONE, LEADER_PROOF_RELEASE, &proof) ||
        !mp_i64(mp_at(array, 4), &ret->detected_ms) || !mp_i64(mp_at(array, 5), &ret->elected_ms) ||
        !mp_i64(mp_at(array, 6), &ret->acting_ms) ||
        !mp_text(mp_at(array, 7), ret->previous, sizeof(ret->previous))) {
        return false;
    }
    ret->cause = (enum consensus_cause)cause;
    ret->proof = (enum leader_proof)proof;
    return true;
}

static bool get_setting(const msgpack_object *array, struct command_setting *ret)
{
    return mp_array(array, 3) != NULL &&
           command_get_name(mp_at(array, 0), ret->key, sizeof(ret->key)) &&
           mp_text(mp_at(array, 1), ret->value, sizeof(ret->value)) &&
           mp_bool(mp_at(array, 2), &ret->remove);
}

static bool get_manager(const msgpack_object *array, struct command_manager *ret)
{
    int mode;
    if (mp_array(array, 3) == NULL ||
        !command_get_name(mp_at(array, 0), ret->manager, sizeof(ret->manager)) ||
        !mp_i64(mp_at(array, 1), &ret->until_wall_ms) ||
        !command_get_choice(mp_at(array, 2), MANAGER_MODE_UNSET, MANAGER_MODE_SHADOW, &mode)) {
        return false;
    }
    ret->mode = (enum manager_mode)mode;
    return true;
}

static bool get_note(const msgpack_object *array, struct command_note *ret)
{
    return mp_array(array, 1) != NULL && mp_text(mp_at(array, 0), ret->target, sizeof(ret->target));
}

static bool get_payload(enum command_type type, const msgpack_object *payload, struct command *ret)
{
    switch (type) {
    case COMMAND_NODE_PUT:
        return get_node(payload, &ret->node);
    case COMMAND_NODE_REMOVE:
    case COMMAND_NODE_DRAIN:
    case COMMAND_NODE_UNDRAIN:
        return get_node_name(payload, &ret->node_name);
    case COMMAND_NODE_ROLE:
        return get_node_role(payload, &ret->node_role);
    case COMMAND_DUTY_PUT:
        return get_duty(payload, &ret->duty);
    case COMMAND_DUTY_REMOVE:
        return get_duty_id(payload, &ret->duty_id);
    case COMMAND_DUTY_ASSIGN:
        return get_assign(payload, &ret->assign);
    case COMMAND_DUTY_RELEASE:
        return get_release(payload, &ret->release);
    case COMMAND_LEADER_RECORD:
        return get_leader(payload, &ret->leader);
    case COMMAND_SETTING_PUT:
        return get_setting(payload, &ret->setting);
    case COMMAND_MANAGER_PAUSE:
    case COMMAND_MANAGER_RESUME:
    case COMMAND_MANAGER_MODE:
        return get_manager(payload, &ret->manager);
    case COMMAND_AUDIT_NOTE:
        return get_note(payload, &ret->note);
    default:
        return command_get_work(type, payload, ret);
    }
}

static bool get_header(const msgpack_object *root, struct command *ret)
{
    int reason;
    if (!mp_u64(mp_at(root, 2), &ret->origin) || !mp_u64(mp_at(root, 3), &ret->incarnation) ||
        !mp_u64(mp_at(root, 4), &ret->sequence) || !mp_i64(mp_at(root, 5), &ret->wall_ms) ||
        !mp_text(mp_at(root, 6), ret->who, sizeof(ret->who)) ||
        !command_get_choice(mp_at(root, 7), 0, UINT16_MAX, &reason) ||
        !mp_text(mp_at(root, 8), ret->why, sizeof(ret->why))) {
        return false;
    }
    ret->reason = (enum command_reason)reason; /* a newer one keeps its number */
    return true;
}

static int decode(const msgpack_object *root, struct command *ret, struct err *err)
{
    uint64_t version;
    uint64_t type;
    if (mp_array(root, 2) == NULL || !mp_u64(mp_at(root, 0), &version) ||
        !mp_u64(mp_at(root, 1), &type) || version == 0) {
        return err_set(err, ERR_PROTO, "command without version and type");
    }
    if (version > COMMAND_VERSION || type == 0 || type > COMMAND_TYPE_LAST) {
        return err_set(err, ERR_UNSUPPORTED, "command of version %llu, type %llu",
                       (unsigned long long)version, (unsigned long long)type);
    }
    enum command_type known = (enum command_type)type;
    if (mp_array(root, 10) == NULL || !get_header(root, ret) ||
        !get_payload(known, mp_at(root, 9), ret)) {
        return err_set(err, ERR_PROTO, "malformed command %s", command_type_name(known));
    }
    ret->type = known;
    return 0;
}

int command_decode(const uint8_t *bytes, size_t length, struct command *ret, struct err *err)
{
    memset(ret, 0, sizeof(*ret));
    struct mp_doc doc;
    int rc = mp_parse(bytes, length, &command_limits, &doc, err);
    if (rc != 0) {
        return rc;
    }
    rc = decode(&doc.root, ret, err);
    mp_doc_deinit(&doc);
    return rc;
}
