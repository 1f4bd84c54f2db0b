#include "node/daemon/fan.h"

#include "node/base/clock.h"
#include "node/base/doc.h"
#include "node/daemon/commands.h"
#include "node/daemon/errand.h"
#include "node/daemon/node.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A command of this node's. */
struct call {
    uint64_t id; /* of its errands, too */
    struct fan *fan;
    struct gather gather;
    struct fan_answer answers[NODES_MAX]; /* as gather.rows */
    uint64_t ticket;                      /* of the own manager's part; 0: none waits */
    size_t bytes;
    fan_done *done;
    void *context;
};

/* A command of another node's for a manager of this one. */
struct errand_here {
    bool used;
    struct fan *fan;
    char origin[NAME_SIZE];
    uint64_t id;
};

struct fan {
    struct node *node;
    uint64_t last;
    struct call *calls[FAN_CALLS_MAX];
    struct errand_here errands[FAN_ERRANDS_MAX];
};

struct fan *fan_create(struct node *node)
{
    struct fan *self = calloc(1, sizeof *self);
    if (self != NULL) {
        self->node = node;
        /* An answer to the life before must not be taken for one to this. */
        self->last = (uint64_t)clock_boot_ms() << 20;
    }
    return self;
}

static void free_call(struct call *call)
{
    for (size_t i = 0; i < call->gather.count; i++) {
        json_decref(call->answers[i].document);
    }
    free(call);
}

void fan_destroy(struct fan **self_p)
{
    struct fan *self = self_p == NULL ? NULL : *self_p;
    if (self == NULL) {
        return;
    }
    for (size_t i = 0; i < FAN_CALLS_MAX; i++) {
        if (self->calls[i] != NULL) {
            free_call(self->calls[i]);
        }
    }
    free(self);
    *self_p = NULL;
}

/* ---- who there is ---- */

static bool reachable(const struct node *node, const char *name)
{
    struct gossip_member member;
    return strcmp(name, node_name(node)) == 0 ||
           (gossip_member_find(node->gossip, name, &member) &&
            (member.state == GOSSIP_ALIVE || member.state == GOSSIP_SUSPECT));
}

size_t fan_everyone(const struct node *node, const json_t *args, struct fan_target ret[NODES_MAX])
{
    const struct config_cluster *cluster = &node->config->cluster;
    size_t count = 0;
    for (size_t i = 0; i < state_node_count(node->state) && count < NODES_MAX; i++) {
        const struct state_node *row = state_node_at(node->state, i);
        if (!row->removed) {
            ret[count].args = args;
            (void)snprintf(ret[count++].node, NAME_SIZE, "%s", row->is.name);
        }
    }
    /* Founders that the roster does not name yet, in the first instants of a cluster. */
    for (size_t i = 0; i < cluster->peer_count && count < NODES_MAX; i++) {
        if (state_node_by_name(node->state, cluster->peers[i].name) == NULL) {
            ret[count].args = args;
            (void)snprintf(ret[count++].node, NAME_SIZE, "%s", cluster->peers[i].name);
        }
    }
    return count;
}

bool fan_knows(const struct node *node, const char *name, bool *ret_reachable)
{
    struct fan_target everyone[NODES_MAX];
    size_t count = fan_everyone(node, NULL, everyone);
    *ret_reachable = reachable(node, name);
    for (size_t i = 0; i < count; i++) {
        if (strcmp(everyone[i].node, name) == 0) {
            return true;
        }
    }
    return false;
}

/* ---- answers ---- */

static void fill_answer(struct call *call, struct fan_answer *ret,
                        const struct manager_reply *answer)
{
    struct manager_reply failed = {0};
    struct err err = {0};
    ret->taken_ms = clock_boot_ms();
    if (answer->ok && call->bytes + answer->result.length > FAN_BYTES_MAX) {
        errand_refuse(&failed, "left_out",
                      "its %zu bytes are left out, as the others fill the answer",
                      answer->result.length);
        answer = &failed;
    } else if (answer->ok && managers_document_of(&answer->result, &ret->document, &err) != 0) {
        errand_refuse(&failed, "manager_failed", "its answer is malformed: %.200s", err.msg);
        answer = &failed;
    }
    call->bytes += answer->result.length;
    ret->ok = answer->ok;
    (void)snprintf(ret->code, sizeof ret->code, "%s", answer->code);
    (void)snprintf(ret->message, sizeof ret->message, "%.255s", answer->message);
}

/* When nothing more is waited for, the call ends, and is gone. */
static void end_if_over(struct call *call)
{
    struct fan *self = call->fan;
    if (!gather_is_over(&call->gather, clock_boot_ms())) {
        return;
    }
    for (size_t i = 0; i < FAN_CALLS_MAX; i++) {
        self->calls[i] = self->calls[i] == call ? NULL : self->calls[i];
    }
    commands_forget(self->node->commands, call->ticket);
    for (size_t i = 0; i < call->gather.count; i++) {
        call->answers[i].state = call->gather.rows[i].state;
        (void)snprintf(call->answers[i].node, NAME_SIZE, "%s", call->gather.rows[i].node);
    }
    call->done(call->context, call->answers, call->gather.count);
    free_call(call);
}

static void take_answer(struct call *call, const char *node, const struct manager_reply *answer)
{
    size_t row = gather_answer(&call->gather, node);
    if (row != SIZE_MAX) {
        fill_answer(call, &call->answers[row], answer);
        end_if_over(call);
    }
}

static void on_own_answer(void *context, const struct manager_reply *answer)
{
    struct call *call = context;
    call->ticket = 0;
    take_answer(call, node_name(call->fan->node), answer);
}

/* ---- asking ---- */

static int send_errand(struct call *call, const struct fan_order *order, const char *node,
                       const struct mp_writer *args)
{
    struct errand errand = {.id = call->id,
                            .args = {.data = args->buffer.data, .length = args->buffer.length},
                            .who = *order->who,
                            .left_ms = order->wait_ms};
    struct mp_writer writer;
    (void)snprintf(errand.verb, sizeof errand.verb, "%s", order->verb);
    (void)snprintf(errand.manager, sizeof errand.manager, "%s", order->manager);
    mp_writer_init(&writer, ERRAND_BYTES_MAX);
    int rc = errand_encode(&errand, &writer);
    rc = rc != 0 ? rc
                 : transport_send(call->fan->node->transport, node, TRANSPORT_ERRAND,
                                  writer.buffer.data, writer.buffer.length, false);
    mp_writer_deinit(&writer);
    return rc;
}

/* `args` with what the node itself adds; the arguments of a person cannot hold it. */
static int put_args(const json_t *args, const struct control_who *who, int64_t left_ms,
                    struct mp_writer *writer, struct err *err)
{
    json_t *copy = json_copy(doc_writable(args));
    if (copy == NULL || json_object_set_new(copy, "who", doc_text(who->name)) != 0 ||
        json_object_set_new(copy, "left_ms", json_integer(left_ms)) != 0) {
        json_decref(copy);
        return err_set(err, ERR_NOMEM, "out of memory");
    }
    int rc = doc_to_msgpack(copy, writer, err);
    json_decref(copy);
    return rc;
}

static int ask_here(struct call *call, const struct fan_order *order, const json_t *args,
                    struct err *err)
{
    struct node *node = call->fan->node;
    struct mp_writer writer;
    mp_writer_init(&writer, MANAGER_FIELDS_BYTES_MAX);
    int rc = put_args(args, order->who, order->wait_ms, &writer, err);
    struct commands_order command = {
        .manager = order->manager,
        .verb = order->verb,
        .args = {.data = writer.buffer.data, .length = writer.buffer.length},
        .until_ms = call->gather.deadline_ms,
        .done = on_own_answer,
        .context = call};
    rc =
        rc != 0 ? rc : commands_send(node->commands, node->supervise, &command, &call->ticket, err);
    mp_writer_deinit(&writer);
    return rc;
}

static const char *code_of(int rc)
{
    return rc == ERR_BUSY ? "busy" : (rc == ERR_FULL ? "full" : "manager_unavailable");
}

/* The end of it, if this was the last, is told by fan_run: not from within fan_out. */
static void ask(struct call *call, const struct fan_order *order, const struct fan_target *target)
{
    const char *own = node_name(call->fan->node);
    struct err err = {0};
    if (strcmp(target->node, own) == 0) {
        int rc = ask_here(call, order, target->args, &err);
        size_t row = rc == 0 ? SIZE_MAX : gather_answer(&call->gather, own);
        if (row != SIZE_MAX) {
            struct manager_reply failed = {0};
            errand_refuse(&failed, code_of(rc), "the %s manager of %s: %s", order->manager, own,
                          err.msg);
            fill_answer(call, &call->answers[row], &failed);
        }
        return;
    }
    struct mp_writer args;
    mp_writer_init(&args, ERRAND_ARGS_BYTES_MAX);
    if (doc_to_msgpack(target->args, &args, &err) != 0 ||
        send_errand(call, order, target->node, &args) != 0) {
        gather_not_sent(&call->gather, target->node);
    }
    mp_writer_deinit(&args);
}

int fan_out(struct fan *self, const struct fan_order *order, uint64_t *ret_call, struct err *err)
{
    size_t slot = 0;
    while (slot < FAN_CALLS_MAX && self->calls[slot] != NULL) {
        slot++;
    }
    if (slot == FAN_CALLS_MAX) {
        return err_set(err, ERR_BUSY, "%d commands to other nodes are under way", FAN_CALLS_MAX);
    }
    struct call *call = calloc(1, sizeof *call);
    if (call == NULL) {
        return err_set(err, ERR_NOMEM, "out of memory");
    }
    self->calls[slot] = call;
    call->fan = self;
    call->id = ++self->last;
    call->done = order->done;
    call->context = order->context;
    gather_begin(&call->gather, clock_boot_ms() + order->wait_ms);
    for (size_t i = 0; i < order->count; i++) {
        const struct fan_target *target = &order->targets[i];
        bool lives = reachable(self->node, target->node);
        if (gather_add(&call->gather, target->node, lives) && lives) {
            ask(call, order, target);
        }
    }
    *ret_call = call->id;
    return 0;
}

void fan_cancel(struct fan *self, uint64_t call)
{
    for (size_t i = 0; i < FAN_CALLS_MAX; i++) {
        if (self->calls[i] != NULL && self->calls[i]->id == call) {
            commands_forget(self->node->commands, self->calls[i]->ticket);
            free_call(self->calls[i]);
            self->calls[i] = NULL;
        }
    }
}

static void give_up_the_dead(const struct fan *self, struct gather *gather)
{
    for (size_t i = 0; i < gather->count; i++) {
        if (!reachable(self->node, gather->rows[i].node)) {
            gather_lost(gather, i);
        }
    }
}

void fan_run(struct fan *self)
{
    for (size_t i = 0; i < FAN_CALLS_MAX; i++) {
        if (self->calls[i] != NULL) {
            give_up_the_dead(self, &self->calls[i]->gather);
            end_if_over(self->calls[i]);
        }
    }
}

/* ---- errands of others ---- */

static void send_answer(struct fan *self, const char *origin, const struct manager_reply *answer)
{
    struct mp_writer writer;
    mp_writer_init(&writer, ERRAND_ANSWER_BYTES_MAX);
    if (errand_answer_encode(answer, &writer) == 0) {
        /* A long one waits for a connection that is just being made. */
        bool bulk = writer.buffer.length > (16u << 10);
        (void)transport_send(self->node->transport, origin, TRANSPORT_ERRAND_ANSWER,
                             writer.buffer.data, writer.buffer.length, bulk);
    }
    mp_writer_deinit(&writer);
}

static void on_errand_done(void *context, const struct manager_reply *answer)
{
    struct errand_here *errand = context;
    struct manager_reply reply = *answer;
    reply.id = errand->id;
    errand->used = false;
    send_answer(errand->fan, errand->origin, &reply);
}

static struct errand_here *errand_slot(struct fan *self, const char *origin)
{
    struct errand_here *slot = NULL;
    size_t count = 0;
    for (size_t i = 0; i < FAN_ERRANDS_MAX; i++) {
        if (!self->errands[i].used) {
            slot = slot == NULL ? &self->errands[i] : slot;
        } else {
            count += strcmp(self->errands[i].origin, origin) == 0;
        }
    }
    return count < FAN_ERRANDS_PER_NODE_MAX ? slot : NULL;
}

/* False: *ret says why not; else its manager answers. */
static bool begin_errand(struct fan *self, const char *origin, const struct errand *errand,
                         const json_t *args, struct manager_reply *ret)
{
    struct errand_here *slot = errand_slot(self, origin);
    struct mp_writer writer;
    struct err err = {0};
    uint64_t ticket;
    if (slot == NULL) {
        errand_refuse(ret, "busy", "too many commands of other nodes are under way");
        return false;
    }
    mp_writer_init(&writer, MANAGER_FIELDS_BYTES_MAX);
    int rc = put_args(args, &errand->who, errand->left_ms, &writer, &err);
    struct commands_order order = {
        .manager = errand->manager,
        .verb = errand->verb,
        .args = {.data = writer.buffer.data, .length = writer.buffer.length},
        .until_ms = clock_boot_ms() + errand->left_ms,
        .done = on_errand_done,
        .context = slot};
    rc = rc != 0
             ? rc
             : commands_send(self->node->commands, self->node->supervise, &order, &ticket, &err);
    mp_writer_deinit(&writer);
    if (rc != 0) {
        errand_refuse(ret, code_of(rc), "the %s manager: %s", errand->manager, err.msg);
        return false;
    }
    *slot = (struct errand_here){.used = true, .fan = self, .id = errand->id};
    (void)snprintf(slot->origin, sizeof slot->origin, "%s", origin);
    return true;
}

static bool take_errand(struct fan *self, const struct transport_message *message)
{
    static const struct mp_limits limits = {
        .bytes = ERRAND_ARGS_BYTES_MAX, .elements = 512, .depth = 4};
    struct errand errand;
    json_t *args = NULL;
    if (errand_decode(message->bytes, message->length, &errand, NULL) != 0 ||
        doc_from_msgpack(errand.args.data, errand.args.length, &limits, &args, NULL) != 0) {
        return false;
    }
    struct manager_reply reply = {.id = errand.id};
    bool begun = errand_is_allowed(&errand, args, &reply) &&
                 begin_errand(self, message->sender, &errand, args, &reply);
    log_write(self->node->log, LOG_LEVEL_DEBUG, "control.errand", log_text("from", message->sender),
              log_text("who", errand.who.name), log_text("verb", errand.verb),
              log_text("refused", begun ? "" : reply.code));
    if (!begun) {
        send_answer(self, message->sender, &reply);
    }
    json_decref(args);
    return true;
}

bool fan_receive(struct fan *self, const struct transport_message *message)
{
    struct manager_reply answer;
    if (message->kind == TRANSPORT_ERRAND) {
        return take_errand(self, message);
    }
    if (errand_answer_decode(message->bytes, message->length, &answer, NULL) != 0) {
        return false;
    }
    for (size_t i = 0; i < FAN_CALLS_MAX; i++) {
        if (self->calls[i] != NULL && self->calls[i]->id == answer.id) {
            take_answer(self->calls[i], message->sender, &answer);
            break;
        }
    }
    return true;
}
