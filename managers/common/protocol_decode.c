/* Bytes to messages: every field is checked for type and bound before it is believed. */
#include "managers/common/protocol.h"

#include <math.h>
#include <string.h>

#define FIRST 2 /* index of the first field, after version and kind */

static const struct mp_limits message_limits = {
    .bytes = MANAGER_MESSAGE_BYTES_MAX,
    .elements = 512,
    .depth = 4,
};

static bool get_document(const msgpack_object *object, size_t bytes_max,
                         struct manager_document *ret)
{
    *ret = (struct manager_document){0};
    if (object == NULL) {
        return false;
    }
    if (object->type == MSGPACK_OBJECT_NIL) {
        return true;
    }
    return mp_bytes(object, &ret->data, &ret->length) && ret->length > 0 &&
           ret->length <= bytes_max;
}

static bool get_enum(const msgpack_object *object, uint32_t last, uint32_t *ret)
{
    return mp_u32(object, ret) && *ret <= last;
}

static bool get_score(const msgpack_object *object, double *ret)
{
    return mp_number(object, ret) && isfinite(*ret) && *ret >= 0 && *ret <= 100;
}

static bool get_names(const msgpack_object *array, size_t count_max, size_t *ret_count,
                      char (*ret)[NAME_SIZE])
{
    if (mp_array(array, 0) == NULL || mp_count(array) > count_max) {
        return false;
    }
    *ret_count = mp_count(array);
    for (size_t i = 0; i < *ret_count; i++) {
        if (!mp_text(mp_at(array, i), ret[i], NAME_SIZE)) {
            return false;
        }
    }
    return true;
}

/* A name becomes part of paths, duty ids and log lines. */
static bool is_name(const char *text)
{
    if (text[0] == '\0' || text[0] == '.') {
        return false;
    }
    return strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.") ==
           strlen(text);
}

static bool get_hello(const msgpack_object *root, struct manager_hello *ret)
{
    return mp_array(root, FIRST + 5) != NULL &&
           mp_text(mp_at(root, FIRST), ret->name, sizeof ret->name) && is_name(ret->name) &&
           mp_text(mp_at(root, FIRST + 1), ret->version, sizeof ret->version) &&
           mp_i64(mp_at(root, FIRST + 2), &ret->pid) && ret->pid > 0 &&
           mp_u32(mp_at(root, FIRST + 3), &ret->protocol) &&
           get_names(mp_at(root, FIRST + 4), MANAGER_CAPABILITIES_MAX, &ret->capability_count,
                     ret->capabilities);
}

static bool get_heartbeat(const msgpack_object *root, struct manager_heartbeat *ret)
{
    if (mp_array(root, FIRST + 5) == NULL) {
        return false;
    }
    const msgpack_object *score = mp_at(root, FIRST);
    ret->score_known = score->type != MSGPACK_OBJECT_NIL;
    if (ret->score_known && !get_score(score, &ret->score)) {
        return false;
    }
    return get_score(mp_at(root, FIRST + 1), &ret->capability) &&
           mp_bool(mp_at(root, FIRST + 2), &ret->degraded) &&
           mp_text(mp_at(root, FIRST + 3), ret->state, sizeof ret->state) &&
           get_names(mp_at(root, FIRST + 4), MANAGER_INPUTS_MAX, &ret->input_count, ret->inputs);
}

static bool get_observation(const msgpack_object *root, struct manager_observation *ret)
{
    return get_document(mp_at(root, FIRST), MANAGER_OBSERVATION_BYTES_MAX, &ret->document) &&
           ret->document.data != NULL;
}

static bool get_event(const msgpack_object *root, struct manager_event *ret)
{
    uint32_t level;
    if (mp_array(root, FIRST + 4) == NULL ||
        !mp_text(mp_at(root, FIRST), ret->kind, sizeof ret->kind) || !is_name(ret->kind) ||
        !get_enum(mp_at(root, FIRST + 1), MANAGER_ERROR, &level)) {
        return false;
    }
    ret->level = (enum manager_level)level;
    return mp_text(mp_at(root, FIRST + 2), ret->message, sizeof ret->message) &&
           get_document(mp_at(root, FIRST + 3), MANAGER_FIELDS_BYTES_MAX, &ret->fields);
}

static bool get_alone(const msgpack_object *root, struct manager_duty_wanted *ret)
{
    if (mp_array(root, FIRST + 14) == NULL) {
        return mp_array(root, FIRST + 13) == NULL;
    }
    return mp_text(mp_at(root, FIRST + 12), ret->alone, sizeof ret->alone) &&
           mp_u32(mp_at(root, FIRST + 13), &ret->side) &&
           (ret->alone[0] != '\0' ? ret->exclusive : ret->side == 0);
}

/* What came later to a wish; a manager of before says none of it. */
static bool get_placement(const msgpack_object *root, struct manager_duty_wanted *ret)
{
    if (mp_array(root, FIRST + 12) == NULL) {
        return mp_array(root, FIRST + 8) == NULL;
    }
    return mp_i64(mp_at(root, FIRST + 7), &ret->priority) &&
           mp_text(mp_at(root, FIRST + 8), ret->group, sizeof ret->group) &&
           get_names(mp_at(root, FIRST + 9), MANAGER_LABELS_MAX, &ret->label_count, ret->labels) &&
           mp_u32(mp_at(root, FIRST + 10), &ret->copies) && ret->copies <= MANAGER_COPIES_MAX &&
           mp_bool(mp_at(root, FIRST + 11), &ret->per_node) && get_alone(root, ret);
}

static bool get_duty_wanted(const msgpack_object *root, struct manager_duty_wanted *ret)
{
    return mp_array(root, FIRST + 7) != NULL &&
           mp_text(mp_at(root, FIRST), ret->duty, sizeof ret->duty) &&
           strchr(ret->duty, '~') == NULL && mp_bool(mp_at(root, FIRST + 1), &ret->exclusive) &&
           mp_bool(mp_at(root, FIRST + 2), &ret->wanted) &&
           mp_u64(mp_at(root, FIRST + 3), &ret->term) &&
           mp_text(mp_at(root, FIRST + 4), ret->reason, sizeof ret->reason) &&
           get_names(mp_at(root, FIRST + 5), MANAGER_PLACES_MAX, &ret->on_count, ret->on) &&
           get_names(mp_at(root, FIRST + 6), MANAGER_PLACES_MAX, &ret->avoid_count, ret->avoid) &&
           get_placement(root, ret);
}

static bool get_duty_state(const msgpack_object *root, struct manager_duty_state *ret)
{
    uint32_t phase;
    if (mp_array(root, FIRST + 4) == NULL ||
        !get_enum(mp_at(root, FIRST + 2), MANAGER_DUTY_FAILED, &phase)) {
        return false;
    }
    ret->phase = (enum manager_duty_phase)phase;
    return mp_text(mp_at(root, FIRST), ret->duty, sizeof ret->duty) &&
           mp_u64(mp_at(root, FIRST + 1), &ret->assignment) &&
           mp_text(mp_at(root, FIRST + 3), ret->detail, sizeof ret->detail);
}

static bool get_released(const msgpack_object *root, struct manager_released *ret)
{
    return mp_text(mp_at(root, FIRST), ret->duty, sizeof ret->duty) &&
           mp_u64(mp_at(root, FIRST + 1), &ret->assignment);
}

static bool get_reply(const msgpack_object *root, struct manager_reply *ret)
{
    return mp_array(root, FIRST + 5) != NULL && mp_u64(mp_at(root, FIRST), &ret->id) &&
           mp_bool(mp_at(root, FIRST + 1), &ret->ok) &&
           mp_text(mp_at(root, FIRST + 2), ret->code, sizeof ret->code) &&
           mp_text(mp_at(root, FIRST + 3), ret->message, sizeof ret->message) &&
           get_document(mp_at(root, FIRST + 4), MANAGER_DOCUMENT_BYTES_MAX, &ret->result);
}

static bool get_ticket(const msgpack_object *object, uint64_t *ret)
{
    return mp_u64(object, ret) && *ret > 0;
}

static bool get_intent_wanted(const msgpack_object *root, struct manager_intent_wanted *ret)
{
    uint32_t policy;
    if (!get_enum(mp_at(root, FIRST + 2), MANAGER_INTENT_PARK, &policy)) {
        return false;
    }
    ret->policy = (enum manager_intent_policy)policy;
    return mp_text(mp_at(root, FIRST), ret->key, sizeof ret->key) &&
           mp_text(mp_at(root, FIRST + 1), ret->object, sizeof ret->object) &&
           mp_i64(mp_at(root, FIRST + 3), &ret->keep_ms) && ret->keep_ms >= 0 &&
           ret->keep_ms <= MANAGER_INTENT_KEEP_MS_MAX &&
           mp_u64(mp_at(root, FIRST + 4), &ret->term) &&
           get_ticket(mp_at(root, FIRST + 5), &ret->ticket);
}

static bool get_intent_verified(const msgpack_object *root, struct manager_intent_verified *ret)
{
    uint32_t evidence;
    if (!get_enum(mp_at(root, FIRST + 1), MANAGER_INTENT_ASK_LATER, &evidence)) {
        return false;
    }
    ret->evidence = (enum manager_intent_evidence)evidence;
    return mp_text(mp_at(root, FIRST), ret->key, sizeof ret->key) &&
           mp_text(mp_at(root, FIRST + 2), ret->detail, sizeof ret->detail) &&
           mp_u64(mp_at(root, FIRST + 3), &ret->term) &&
           get_ticket(mp_at(root, FIRST + 4), &ret->ticket);
}

static bool get_intent_performed(const msgpack_object *root, struct manager_intent_performed *ret)
{
    uint32_t verdict;
    if (!get_enum(mp_at(root, FIRST + 1), MANAGER_INTENT_SKIPPED, &verdict)) {
        return false;
    }
    ret->verdict = (enum manager_intent_verdict)verdict;
    return mp_text(mp_at(root, FIRST), ret->key, sizeof ret->key) &&
           mp_bool(mp_at(root, FIRST + 2), &ret->answer_lost) &&
           mp_text(mp_at(root, FIRST + 3), ret->outcome, sizeof ret->outcome) &&
           mp_u64(mp_at(root, FIRST + 4), &ret->term) &&
           get_ticket(mp_at(root, FIRST + 5), &ret->ticket);
}

static bool get_intent(const msgpack_object *root, struct manager_intent *ret)
{
    uint32_t step;
    uint32_t state;
    uint32_t verdict;
    uint32_t policy;
    if (!get_enum(mp_at(root, FIRST + 1), MANAGER_INTENT_STEP_LEFT_OPEN, &step) ||
        !get_enum(mp_at(root, FIRST + 4), MANAGER_INTENT_IS_UNKNOWN, &state) ||
        !get_enum(mp_at(root, FIRST + 5), MANAGER_INTENT_DROPPED, &verdict) ||
        !get_enum(mp_at(root, FIRST + 9), MANAGER_INTENT_PARK, &policy)) {
        return false;
    }
    ret->step = (enum manager_intent_step)step;
    ret->state = (enum manager_intent_state)state;
    ret->verdict = (enum manager_intent_verdict)verdict;
    ret->policy = (enum manager_intent_policy)policy;
    return mp_text(mp_at(root, FIRST), ret->key, sizeof ret->key) &&
           mp_u64(mp_at(root, FIRST + 2), &ret->term) &&
           mp_i64(mp_at(root, FIRST + 3), &ret->deadline_ms) &&
           mp_text(mp_at(root, FIRST + 6), ret->outcome, sizeof ret->outcome) &&
           mp_u64(mp_at(root, FIRST + 7), &ret->ticket) &&
           mp_text(mp_at(root, FIRST + 8), ret->object, sizeof ret->object);
}

static bool get_configure(const msgpack_object *root, struct manager_configure *ret)
{
    return mp_array(root, FIRST + 10) != NULL &&
           mp_text(mp_at(root, FIRST), ret->node, sizeof ret->node) &&
           mp_text(mp_at(root, FIRST + 1), ret->cluster, sizeof ret->cluster) &&
           mp_text(mp_at(root, FIRST + 2), ret->environment, sizeof ret->environment) &&
           mp_text(mp_at(root, FIRST + 3), ret->data_dir, sizeof ret->data_dir) &&
           mp_text(mp_at(root, FIRST + 4), ret->runtime_dir, sizeof ret->runtime_dir) &&
           mp_text(mp_at(root, FIRST + 5), ret->lock_dir, sizeof ret->lock_dir) &&
           mp_text(mp_at(root, FIRST + 6), ret->guard_path, sizeof ret->guard_path) &&
           mp_text(mp_at(root, FIRST + 7), ret->guard_socket, sizeof ret->guard_socket) &&
           mp_bool(mp_at(root, FIRST + 8), &ret->shadow) &&
           get_document(mp_at(root, FIRST + 9), MANAGER_DOCUMENT_BYTES_MAX, &ret->section);
}

static bool get_role(const msgpack_object *root, struct manager_role *ret)
{
    return mp_bool(mp_at(root, FIRST), &ret->active) &&
           mp_u64(mp_at(root, FIRST + 1), &ret->term) &&
           mp_i64(mp_at(root, FIRST + 2), &ret->deadline_ms);
}

static bool get_grant(const msgpack_object *root, struct manager_grant *ret)
{
    return mp_text(mp_at(root, FIRST), ret->duty, sizeof ret->duty) &&
           mp_u64(mp_at(root, FIRST + 1), &ret->assignment) &&
           mp_u64(mp_at(root, FIRST + 2), &ret->term) &&
           mp_i64(mp_at(root, FIRST + 3), &ret->deadline_ms) &&
           (mp_at(root, FIRST + 4) == NULL || mp_u64(mp_at(root, FIRST + 4), &ret->digest));
}

static bool get_revoke(const msgpack_object *root, struct manager_revoke *ret)
{
    return mp_text(mp_at(root, FIRST), ret->duty, sizeof ret->duty) &&
           mp_u64(mp_at(root, FIRST + 1), &ret->assignment) &&
           mp_text(mp_at(root, FIRST + 2), ret->why, sizeof ret->why);
}

static bool get_peer_observation(const msgpack_object *root, struct manager_peer_observation *ret)
{
    uint32_t state;
    if (!get_enum(mp_at(root, FIRST + 2), MANAGER_LEFT, &state)) {
        return false;
    }
    ret->state = (enum manager_member_state)state;
    return mp_text(mp_at(root, FIRST), ret->node, sizeof ret->node) &&
           mp_i64(mp_at(root, FIRST + 1), &ret->age_ms) && ret->age_ms >= 0 &&
           get_document(mp_at(root, FIRST + 3), MANAGER_OBSERVATION_BYTES_MAX, &ret->document);
}

static bool get_members(const msgpack_object *root, struct manager_members *ret)
{
    const msgpack_object *rows = mp_at(root, FIRST);
    if (mp_array(rows, 0) == NULL || mp_count(rows) > NODES_MAX) {
        return false;
    }
    ret->count = mp_count(rows);
    for (size_t i = 0; i < ret->count; i++) {
        const msgpack_object *row = mp_at(rows, i);
        struct manager_member *member = &ret->members[i];
        uint32_t state;
        if (mp_array(row, 3) == NULL || !mp_text(mp_at(row, 0), member->name, NAME_SIZE) ||
            !get_enum(mp_at(row, 1), MANAGER_LEFT, &state) ||
            !mp_i64(mp_at(row, 2), &member->since_ms)) {
            return false;
        }
        member->state = (enum manager_member_state)state;
    }
    return true;
}

static bool get_command(const msgpack_object *root, struct manager_command *ret)
{
    return mp_array(root, FIRST + 3) != NULL && mp_u64(mp_at(root, FIRST), &ret->id) &&
           mp_text(mp_at(root, FIRST + 1), ret->verb, sizeof ret->verb) &&
           get_document(mp_at(root, FIRST + 2), MANAGER_FIELDS_BYTES_MAX, &ret->args);
}

static bool get_seconds(const msgpack_object *object, int64_t *ret)
{
    return mp_i64(object, ret) && *ret >= 0 && *ret <= MANAGER_SECONDS_MAX;
}

static bool get_policies(const msgpack_object *array, struct manager_schedule *ret)
{
    uint32_t gap;
    uint32_t fold;
    uint32_t overlap;
    uint32_t misfire;
    if (!get_enum(mp_at(array, 4), MANAGER_GAP_SKIP, &gap) ||
        !get_enum(mp_at(array, 5), MANAGER_FOLD_BOTH, &fold) ||
        !get_enum(mp_at(array, 6), MANAGER_OVERLAP_REPLACE, &overlap) ||
        !get_enum(mp_at(array, 7), MANAGER_MISFIRE_SKIP, &misfire)) {
        return false;
    }
    ret->gap = (enum manager_gap)gap;
    ret->fold = (enum manager_fold)fold;
    ret->overlap = (enum manager_overlap)overlap;
    ret->misfire = (enum manager_misfire)misfire;
    return mp_u32(mp_at(array, 8), &ret->misfire_cap) && ret->misfire_cap > 0 &&
           ret->misfire_cap <= MANAGER_MISFIRE_CAP_MAX;
}

static bool get_schedule(const msgpack_object *array, struct manager_schedule *ret)
{
    return mp_array(array, 20) != NULL &&
           mp_text(mp_at(array, 0), ret->expression, sizeof ret->expression) &&
           mp_text(mp_at(array, 1), ret->zone, sizeof ret->zone) &&
           mp_u64(mp_at(array, 2), &ret->digest) && mp_i64(mp_at(array, 3), &ret->anchor_s) &&
           get_policies(array, ret) && get_seconds(mp_at(array, 9), &ret->misfire_window_s) &&
           get_seconds(mp_at(array, 10), &ret->start_deadline_s) &&
           get_seconds(mp_at(array, 11), &ret->progress_deadline_s) &&
           get_seconds(mp_at(array, 12), &ret->finish_deadline_s) &&
           get_seconds(mp_at(array, 13), &ret->min_runtime_s) &&
           mp_u32(mp_at(array, 14), &ret->retries) && ret->retries <= MANAGER_RETRIES_MAX &&
           get_seconds(mp_at(array, 15), &ret->backoff_s) &&
           get_seconds(mp_at(array, 16), &ret->backoff_max_s) &&
           mp_bool(mp_at(array, 17), &ret->retry_unknown) &&
           mp_bool(mp_at(array, 18), &ret->critical) && mp_i64(mp_at(array, 19), &ret->priority);
}

/* A manager of before says none. */
static bool get_schedule_labels(const msgpack_object *root, struct manager_schedule_wanted *ret)
{
    return mp_array(root, FIRST + 9) == NULL ||
           get_names(mp_at(root, FIRST + 8), MANAGER_LABELS_MAX, &ret->label_count, ret->labels);
}

static bool get_schedule_wanted(const msgpack_object *root, struct manager_schedule_wanted *ret)
{
    if (mp_array(root, FIRST + 8) == NULL ||
        !mp_text(mp_at(root, FIRST), ret->id, sizeof ret->id) ||
        !mp_u64(mp_at(root, FIRST + 1), &ret->term) ||
        !mp_u64(mp_at(root, FIRST + 2), &ret->edition) ||
        !mp_u32(mp_at(root, FIRST + 3), &ret->position) ||
        !mp_u32(mp_at(root, FIRST + 4), &ret->total) || ret->total > MANAGER_SCHEDULES_MAX) {
        return false;
    }
    if (ret->total == 0) {
        return ret->position == 0 && ret->id[0] == '\0'; /* an empty list: the rest says nothing */
    }
    return ret->position < ret->total && get_schedule(mp_at(root, FIRST + 5), &ret->is) &&
           get_names(mp_at(root, FIRST + 6), MANAGER_PLACES_MAX, &ret->on_count, ret->on) &&
           get_names(mp_at(root, FIRST + 7), MANAGER_PLACES_MAX, &ret->avoid_count, ret->avoid) &&
           get_schedule_labels(root, ret);
}

static bool get_run_ended(const msgpack_object *root, struct manager_run_ended *ret)
{
    uint32_t outcome;
    uint32_t reason;
    int64_t exit_status;
    if (mp_array(root, FIRST + 7) == NULL || !mp_u32(mp_at(root, FIRST + 2), &outcome) ||
        !mp_u32(mp_at(root, FIRST + 3), &reason) || !mp_i64(mp_at(root, FIRST + 4), &exit_status) ||
        exit_status < MANAGER_EXIT_UNKNOWN || exit_status >= MANAGER_EXIT_END) {
        return false;
    }
    ret->outcome = (enum manager_outcome)outcome;
    ret->reason = (enum manager_run_reason)reason;
    ret->exit_status = (int32_t)exit_status;
    return strcmp(manager_outcome_name(ret->outcome), "?") != 0 &&
           strcmp(manager_run_reason_name(ret->reason), "?") != 0 &&
           mp_text(mp_at(root, FIRST), ret->duty, sizeof ret->duty) &&
           mp_u64(mp_at(root, FIRST + 1), &ret->assignment) &&
           mp_i64(mp_at(root, FIRST + 5), &ret->started_wall_ms) &&
           mp_i64(mp_at(root, FIRST + 6), &ret->ended_wall_ms);
}

static bool get_run(const msgpack_object *root, struct manager_run *ret)
{
    return mp_text(mp_at(root, FIRST), ret->duty, sizeof ret->duty) &&
           mp_u64(mp_at(root, FIRST + 1), &ret->assignment);
}

static bool get_fields(const msgpack_object *root, struct manager_message *ret)
{
    switch (ret->kind) {
    case MANAGER_HELLO:
        return get_hello(root, &ret->as.hello);
    case MANAGER_HEARTBEAT:
        return get_heartbeat(root, &ret->as.heartbeat);
    case MANAGER_OBSERVATION:
        return get_observation(root, &ret->as.observation);
    case MANAGER_EVENT:
        return get_event(root, &ret->as.event);
    case MANAGER_DUTY_WANTED:
        return get_duty_wanted(root, &ret->as.duty_wanted);
    case MANAGER_DUTY_STATE:
        return get_duty_state(root, &ret->as.duty_state);
    case MANAGER_RELEASED:
        return get_released(root, &ret->as.released);
    case MANAGER_ROLE_ACK:
        return mp_u64(mp_at(root, FIRST), &ret->as.role_ack.term);
    case MANAGER_REPLY:
        return get_reply(root, &ret->as.reply);
    case MANAGER_INTENT_WANTED:
        return get_intent_wanted(root, &ret->as.intent_wanted);
    case MANAGER_INTENT_VERIFIED:
        return get_intent_verified(root, &ret->as.intent_verified);
    case MANAGER_INTENT_PERFORMED:
        return get_intent_performed(root, &ret->as.intent_performed);
    case MANAGER_SCHEDULE_WANTED:
        return get_schedule_wanted(root, &ret->as.schedule_wanted);
    case MANAGER_RUN_ENDED:
        return get_run_ended(root, &ret->as.run_ended);
    case MANAGER_CONFIGURE:
        return get_configure(root, &ret->as.configure);
    case MANAGER_ROLE:
        return get_role(root, &ret->as.role);
    case MANAGER_GRANT:
        return get_grant(root, &ret->as.grant);
    case MANAGER_REVOKE:
        return get_revoke(root, &ret->as.revoke);
    case MANAGER_PEER_OBSERVATION:
        return get_peer_observation(root, &ret->as.peer_observation);
    case MANAGER_MEMBERS:
        return get_members(root, &ret->as.members);
    case MANAGER_COMMAND:
        return get_command(root, &ret->as.command);
    case MANAGER_INTENT:
        return get_intent(root, &ret->as.intent);
    case MANAGER_RUN:
        return get_run(root, &ret->as.run);
    case MANAGER_PAUSE:
    case MANAGER_RESUME:
    case MANAGER_STOP:
        return true;
    }
    return false;
}

static int decode_root(const msgpack_object *root, struct manager_message *ret, struct err *err)
{
    uint32_t version;
    uint32_t kind;
    if (mp_array(root, FIRST) == NULL || !mp_u32(mp_at(root, 0), &version) ||
        !mp_u32(mp_at(root, 1), &kind)) {
        return err_set(err, ERR_PROTO, "not a manager message: no version and kind");
    }
    if (version != MANAGER_PROTOCOL_VERSION) {
        return err_set(err, ERR_UNSUPPORTED, "manager protocol %u, ours is %d", version,
                       MANAGER_PROTOCOL_VERSION);
    }
    struct manager_message message = {.kind = (enum manager_kind)kind};
    if (strcmp(manager_kind_name(message.kind), "?") == 0) {
        return err_set(err, ERR_UNSUPPORTED, "manager message of unknown kind %u", kind);
    }
    if (!get_fields(root, &message)) {
        return err_set(err, ERR_PROTO, "malformed %s", manager_kind_name(message.kind));
    }
    *ret = message;
    return 0;
}

int manager_message_decode(const uint8_t *bytes, size_t length, struct manager_message *ret,
                           struct err *err)
{
    struct mp_doc doc;
    int rc = mp_parse(bytes, length, &message_limits, &doc, err);
    if (rc != 0) {
        return rc;
    }
    rc = decode_root(&doc.root, ret, err);
    mp_doc_deinit(&doc);
    return rc;
}
