/* Messages to bytes. The order of the fields here is the wire format; protocol_decode.c mirrors it.
 * New fields go to the end of their message. */
#include "managers/common/protocol.h"

static void put_document(struct mp_writer *writer, const struct manager_document *document)
{
    if (document->data == NULL) {
        mp_put_nil(writer);
    } else {
        mp_put_bytes(writer, document->data, document->length);
    }
}

/* Every message starts like this; `fields` counts what follows the kind. */
static void put_head(struct mp_writer *writer, enum manager_kind kind, size_t fields)
{
    mp_put_array(writer, 2 + fields);
    mp_put_u64(writer, MANAGER_PROTOCOL_VERSION);
    mp_put_u64(writer, (uint64_t)kind);
}

static void put_names(struct mp_writer *writer, size_t count, const char (*names)[NAME_SIZE])
{
    mp_put_array(writer, count);
    for (size_t i = 0; i < count; i++) {
        mp_put_text(writer, names[i]);
    }
}

static void put_hello(struct mp_writer *writer, const struct manager_hello *hello)
{
    put_head(writer, MANAGER_HELLO, 5);
    mp_put_text(writer, hello->name);
    mp_put_text(writer, hello->version);
    mp_put_i64(writer, hello->pid);
    mp_put_u64(writer, hello->protocol);
    put_names(writer, hello->capability_count, hello->capabilities);
}

static void put_heartbeat(struct mp_writer *writer, const struct manager_heartbeat *beat)
{
    put_head(writer, MANAGER_HEARTBEAT, 5);
    if (beat->score_known) {
        mp_put_double(writer, beat->score);
    } else {
        mp_put_nil(writer);
    }
    mp_put_double(writer, beat->capability);
    mp_put_bool(writer, beat->degraded);
    mp_put_text(writer, beat->state);
    put_names(writer, beat->input_count, beat->inputs);
}

static void put_event(struct mp_writer *writer, const struct manager_event *event)
{
    put_head(writer, MANAGER_EVENT, 4);
    mp_put_text(writer, event->kind);
    mp_put_u64(writer, (uint64_t)event->level);
    mp_put_text(writer, event->message);
    put_document(writer, &event->fields);
}

static void put_duty_wanted(struct mp_writer *writer, const struct manager_duty_wanted *wanted)
{
    put_head(writer, MANAGER_DUTY_WANTED, 14);
    mp_put_text(writer, wanted->duty);
    mp_put_bool(writer, wanted->exclusive);
    mp_put_bool(writer, wanted->wanted);
    mp_put_u64(writer, wanted->term);
    mp_put_text(writer, wanted->reason);
    put_names(writer, wanted->on_count, wanted->on);
    put_names(writer, wanted->avoid_count, wanted->avoid);
    mp_put_i64(writer, wanted->priority);
    mp_put_text(writer, wanted->group);
    put_names(writer, wanted->label_count, wanted->labels);
    mp_put_u64(writer, wanted->copies);
    mp_put_bool(writer, wanted->per_node);
    mp_put_text(writer, wanted->alone);
    mp_put_u64(writer, wanted->side);
}

static void put_duty_state(struct mp_writer *writer, const struct manager_duty_state *state)
{
    put_head(writer, MANAGER_DUTY_STATE, 4);
    mp_put_text(writer, state->duty);
    mp_put_u64(writer, state->assignment);
    mp_put_u64(writer, (uint64_t)state->phase);
    mp_put_text(writer, state->detail);
}

static void put_reply(struct mp_writer *writer, const struct manager_reply *reply)
{
    put_head(writer, MANAGER_REPLY, 5);
    mp_put_u64(writer, reply->id);
    mp_put_bool(writer, reply->ok);
    mp_put_text(writer, reply->code);
    mp_put_text(writer, reply->message);
    put_document(writer, &reply->result);
}

static void put_intent_wanted(struct mp_writer *writer, const struct manager_intent_wanted *wanted)
{
    put_head(writer, MANAGER_INTENT_WANTED, 6);
    mp_put_text(writer, wanted->key);
    mp_put_text(writer, wanted->object);
    mp_put_u64(writer, (uint64_t)wanted->policy);
    mp_put_i64(writer, wanted->keep_ms);
    mp_put_u64(writer, wanted->term);
    mp_put_u64(writer, wanted->ticket);
}

static void put_intent_verified(struct mp_writer *writer,
                                const struct manager_intent_verified *verified)
{
    put_head(writer, MANAGER_INTENT_VERIFIED, 5);
    mp_put_text(writer, verified->key);
    mp_put_u64(writer, (uint64_t)verified->evidence);
    mp_put_text(writer, verified->detail);
    mp_put_u64(writer, verified->term);
    mp_put_u64(writer, verified->ticket);
}

static void put_intent_performed(struct mp_writer *writer,
                                 const struct manager_intent_performed *performed)
{
    put_head(writer, MANAGER_INTENT_PERFORMED, 6);
    mp_put_text(writer, performed->key);
    mp_put_u64(writer, (uint64_t)performed->verdict);
    mp_put_bool(writer, performed->answer_lost);
    mp_put_text(writer, performed->outcome);
    mp_put_u64(writer, performed->term);
    mp_put_u64(writer, performed->ticket);
}

static void put_intent(struct mp_writer *writer, const struct manager_intent *intent)
{
    put_head(writer, MANAGER_INTENT, 10);
    mp_put_text(writer, intent->key);
    mp_put_u64(writer, (uint64_t)intent->step);
    mp_put_u64(writer, intent->term);
    mp_put_i64(writer, intent->deadline_ms);
    mp_put_u64(writer, (uint64_t)intent->state);
    mp_put_u64(writer, (uint64_t)intent->verdict);
    mp_put_text(writer, intent->outcome);
    mp_put_u64(writer, intent->ticket);
    mp_put_text(writer, intent->object);
    mp_put_u64(writer, (uint64_t)intent->policy);
}

static void put_configure(struct mp_writer *writer, const struct manager_configure *configure)
{
    put_head(writer, MANAGER_CONFIGURE, 10);
    mp_put_text(writer, configure->node);
    mp_put_text(writer, configure->cluster);
    mp_put_text(writer, configure->environment);
    mp_put_text(writer, configure->data_dir);
    mp_put_text(writer, configure->runtime_dir);
    mp_put_text(writer, configure->lock_dir);
    mp_put_text(writer, configure->guard_path);
    mp_put_text(writer, configure->guard_socket);
    mp_put_bool(writer, configure->shadow);
    put_document(writer, &configure->section);
}

static void put_role(struct mp_writer *writer, const struct manager_role *role)
{
    put_head(writer, MANAGER_ROLE, 3);
    mp_put_bool(writer, role->active);
    mp_put_u64(writer, role->term);
    mp_put_i64(writer, role->deadline_ms);
}

static void put_grant(struct mp_writer *writer, const struct manager_grant *grant)
{
    put_head(writer, MANAGER_GRANT, 5);
    mp_put_text(writer, grant->duty);
    mp_put_u64(writer, grant->assignment);
    mp_put_u64(writer, grant->term);
    mp_put_i64(writer, grant->deadline_ms);
    mp_put_u64(writer, grant->digest);
}

static void put_peer_observation(struct mp_writer *writer,
                                 const struct manager_peer_observation *observation)
{
    put_head(writer, MANAGER_PEER_OBSERVATION, 4);
    mp_put_text(writer, observation->node);
    mp_put_i64(writer, observation->age_ms);
    mp_put_u64(writer, (uint64_t)observation->state);
    put_document(writer, &observation->document);
}

static void put_members(struct mp_writer *writer, const struct manager_members *members)
{
    put_head(writer, MANAGER_MEMBERS, 1);
    mp_put_array(writer, members->count);
    for (size_t i = 0; i < members->count; i++) {
        mp_put_array(writer, 3);
        mp_put_text(writer, members->members[i].name);
        mp_put_u64(writer, (uint64_t)members->members[i].state);
        mp_put_i64(writer, members->members[i].since_ms);
    }
}

#define SCHEDULE_FIELDS 20

static void put_schedule(struct mp_writer *writer, const struct manager_schedule *schedule)
{
    mp_put_array(writer, SCHEDULE_FIELDS);
    mp_put_text(writer, schedule->expression);
    mp_put_text(writer, schedule->zone);
    mp_put_u64(writer, schedule->digest);
    mp_put_i64(writer, schedule->anchor_s);
    mp_put_u64(writer, (uint64_t)schedule->gap);
    mp_put_u64(writer, (uint64_t)schedule->fold);
    mp_put_u64(writer, (uint64_t)schedule->overlap);
    mp_put_u64(writer, (uint64_t)schedule->misfire);
    mp_put_u64(writer, schedule->misfire_cap);
    mp_put_i64(writer, schedule->misfire_window_s);
    mp_put_i64(writer, schedule->start_deadline_s);
    mp_put_i64(writer, schedule->progress_deadline_s);
    mp_put_i64(writer, schedule->finish_deadline_s);
    mp_put_i64(writer, schedule->min_runtime_s);
    mp_put_u64(writer, schedule->retries);
    mp_put_i64(writer, schedule->backoff_s);
    mp_put_i64(writer, schedule->backoff_max_s);
    mp_put_bool(writer, schedule->retry_unknown);
    mp_put_bool(writer, schedule->critical);
    mp_put_i64(writer, schedule->priority);
}

static void put_schedule_wanted(struct mp_writer *writer,
                                const struct manager_schedule_wanted *wanted)
{
    put_head(writer, MANAGER_SCHEDULE_WANTED, 9);
    mp_put_text(writer, wanted->id);
    mp_put_u64(writer, wanted->term);
    mp_put_u64(writer, wanted->edition);
    mp_put_u64(writer, wanted->position);
    mp_put_u64(writer, wanted->total);
    put_schedule(writer, &wanted->is);
    put_names(writer, wanted->on_count, wanted->on);
    put_names(writer, wanted->avoid_count, wanted->avoid);
    put_names(writer, wanted->label_count, wanted->labels);
}

static void put_run_ended(struct mp_writer *writer, const struct manager_run_ended *ended)
{
    put_head(writer, MANAGER_RUN_ENDED, 7);
    mp_put_text(writer, ended->duty);
    mp_put_u64(writer, ended->assignment);
    mp_put_u64(writer, (uint64_t)ended->outcome);
    mp_put_u64(writer, (uint64_t)ended->reason);
    mp_put_i64(writer, ended->exit_status);
    mp_put_i64(writer, ended->started_wall_ms);
    mp_put_i64(writer, ended->ended_wall_ms);
}

/* The bounds that a decoder of the other side will hold us to. */
static int check_bounds(const struct manager_message *message, struct err *err)
{
    size_t length = 0;
    size_t bound = MANAGER_FIELDS_BYTES_MAX;
    switch (message->kind) {
    case MANAGER_OBSERVATION:
        length = message->as.observation.document.length;
        bound = MANAGER_OBSERVATION_BYTES_MAX;
        break;
    case MANAGER_PEER_OBSERVATION:
        length = message->as.peer_observation.document.length;
        bound = MANAGER_OBSERVATION_BYTES_MAX;
        break;
    case MANAGER_EVENT:
        length = message->as.event.fields.length;
        break;
    case MANAGER_COMMAND:
        length = message->as.command.args.length;
        break;
    case MANAGER_REPLY:
        length = message->as.reply.result.length;
        bound = MANAGER_DOCUMENT_BYTES_MAX;
        break;
    case MANAGER_CONFIGURE:
        length = message->as.configure.section.length;
        bound = MANAGER_DOCUMENT_BYTES_MAX;
        break;
    default:
        break;
    }
    if (length > bound) {
        return err_set(err, ERR_INVALID, "%s carries %zu bytes, the bound is %zu",
                       manager_kind_name(message->kind), length, bound);
    }
    return 0;
}

static int put_to_node(const struct manager_message *message, struct mp_writer *writer)
{
    switch (message->kind) {
    case MANAGER_HELLO:
        put_hello(writer, &message->as.hello);
        return 0;
    case MANAGER_HEARTBEAT:
        put_heartbeat(writer, &message->as.heartbeat);
        return 0;
    case MANAGER_OBSERVATION:
        put_head(writer, MANAGER_OBSERVATION, 1);
        put_document(writer, &message->as.observation.document);
        return 0;
    case MANAGER_EVENT:
        put_event(writer, &message->as.event);
        return 0;
    case MANAGER_DUTY_WANTED:
        put_duty_wanted(writer, &message->as.duty_wanted);
        return 0;
    case MANAGER_DUTY_STATE:
        put_duty_state(writer, &message->as.duty_state);
        return 0;
    case MANAGER_RELEASED:
        put_head(writer, MANAGER_RELEASED, 2);
        mp_put_text(writer, message->as.released.duty);
        mp_put_u64(writer, message->as.released.assignment);
        return 0;
    case MANAGER_ROLE_ACK:
        put_head(writer, MANAGER_ROLE_ACK, 1);
        mp_put_u64(writer, message->as.role_ack.term);
        return 0;
    case MANAGER_REPLY:
        put_reply(writer, &message->as.reply);
        return 0;
    case MANAGER_INTENT_WANTED:
        put_intent_wanted(writer, &message->as.intent_wanted);
        return 0;
    case MANAGER_INTENT_VERIFIED:
        put_intent_verified(writer, &message->as.intent_verified);
        return 0;
    case MANAGER_INTENT_PERFORMED:
        put_intent_performed(writer, &message->as.intent_performed);
        return 0;
    case MANAGER_SCHEDULE_WANTED:
        put_schedule_wanted(writer, &message->as.schedule_wanted);
        return 0;
    case MANAGER_RUN_ENDED:
        put_run_ended(writer, &message->as.run_ended);
        return 0;
    default:
        return ERR_INVALID;
    }
}

static int put_to_manager(const struct manager_message *message, struct mp_writer *writer)
{
    switch (message->kind) {
    case MANAGER_CONFIGURE:
        put_configure(writer, &message->as.configure);
        return 0;
    case MANAGER_ROLE:
        put_role(writer, &message->as.role);
        return 0;
    case MANAGER_GRANT:
        put_grant(writer, &message->as.grant);
        return 0;
    case MANAGER_REVOKE:
        put_head(writer, MANAGER_REVOKE, 3);
        mp_put_text(writer, message->as.revoke.duty);
        mp_put_u64(writer, message->as.revoke.assignment);
        mp_put_text(writer, message->as.revoke.why);
        return 0;
    case MANAGER_PEER_OBSERVATION:
        put_peer_observation(writer, &message->as.peer_observation);
        return 0;
    case MANAGER_MEMBERS:
        put_members(writer, &message->as.members);
        return 0;
    case MANAGER_COMMAND:
        put_head(writer, MANAGER_COMMAND, 3);
        mp_put_u64(writer, message->as.command.id);
        mp_put_text(writer, message->as.command.verb);
        put_document(writer, &message->as.command.args);
        return 0;
    case MANAGER_INTENT:
        put_intent(writer, &message->as.intent);
        return 0;
    case MANAGER_RUN:
        put_head(writer, MANAGER_RUN, 2);
        mp_put_text(writer, message->as.run.duty);
        mp_put_u64(writer, message->as.run.assignment);
        return 0;
    case MANAGER_PAUSE:
    case MANAGER_RESUME:
    case MANAGER_STOP:
        put_head(writer, message->kind, 0);
        return 0;
    default:
        return ERR_INVALID;
    }
}

int manager_message_encode(const struct manager_message *message, struct mp_writer *writer,
                           struct err *err)
{
    int rc = check_bounds(message, err);
    if (rc != 0) {
        return rc;
    }
    if (put_to_node(message, writer) != 0 && put_to_manager(message, writer) != 0) {
        return err_set(err, ERR_INVALID, "no message of kind %d", (int)message->kind);
    }
    if (!mp_writer_ok(writer)) {
        return err_set(err, ERR_FULL, "%s does not fit in %zu bytes",
                       manager_kind_name(message->kind), writer->buffer.bound);
    }
    return 0;
}
