#include "node/control/control_internal.h"

#include "node/base/clock.h"
#include "node/base/doc.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zmq.h>

static int on_timer(zloop_t *loop, int timer, void *argument);
static void on_readable(void *context, void *socket);

static int copy_handlers(struct control *self, const struct control_config *config, struct err *err)
{
    self->handlers = calloc(config->handler_count + 1, sizeof *self->handlers);
    if (self->handlers == NULL) {
        return err_set(err, ERR_NOMEM, "out of memory");
    }
    for (size_t i = 0; i < config->handler_count; i++) {
        const struct verb *verb = verb_find(config->handlers[i].verb);
        if (verb == NULL || !verb->present || config->handlers[i].handle == NULL) {
            return err_set(err, ERR_INVALID, "handler for \"%s\", which this version has not",
                           config->handlers[i].verb);
        }
        self->handlers[i] = (struct handler_row){verb, config->handlers[i].handle};
    }
    self->handler_count = config->handler_count;
    self->handler_context = config->handler_context;
    return 0;
}

static int bind_and_read(struct control *self, const struct control_config *config, struct err *err)
{
    int rc = config->ipc_path == NULL ? 0 : control_bind_ipc(self, config->ipc_path, err);
    if (rc == 0 && config->tcp_endpoint != NULL) {
        rc = control_bind_tcp(self, config, err);
    }
    if (rc != 0) {
        return rc;
    }
    if (self->ipc != NULL) {
        rc = watch_create(self->loop, zsock_resolve(self->ipc), on_readable, self, &self->ipc_watch,
                          err);
    }
    if (rc == 0 && self->tcp != NULL) {
        rc = watch_create(self->loop, zsock_resolve(self->tcp), on_readable, self, &self->tcp_watch,
                          err);
    }
    return rc;
}

int control_create(const struct control_config *config, struct control **ret, struct err *err)
{
    if (config->loop == NULL || config->callbacks.facts == NULL) {
        return err_set(err, ERR_INVALID, "a control endpoint needs a loop and facts");
    }
    struct control *self = calloc(1, sizeof *self);
    if (self == NULL) {
        return err_set(err, ERR_NOMEM, "out of memory");
    }
    self->loop = config->loop;
    self->timer = -1;
    self->callbacks = config->callbacks;
    self->next_ticket = 1;
    self->deadline_ms = config->deadline_ms > 0 ? config->deadline_ms : 15000;
    self->requests_max = config->requests_max > 0 ? config->requests_max : 256;
    self->requests_per_client_max =
        config->requests_per_client_max > 0 ? config->requests_per_client_max : 32;
    self->stream_queue_max = config->stream_queue_max > 0 ? config->stream_queue_max : 256;
    int rc = copy_handlers(self, config, err);
    rc = rc != 0 ? rc : bind_and_read(self, config, err);
    if (rc != 0) {
        control_destroy(&self);
        return rc;
    }
    *ret = self;
    return 0;
}

static void end_socket(zsock_t **socket, struct watch **watch)
{
    watch_destroy(watch);
    zsock_destroy(socket);
}

void control_destroy(struct control **self_p)
{
    struct control *self = self_p == NULL ? NULL : *self_p;
    if (self == NULL) {
        return;
    }
    struct failure stopping;
    failure_set(&stopping, "stopping", EXIT_NO_NODE, NULL, "the node stops");
    while (self->requests != NULL) {
        struct control_request *request = self->requests;
        if (request->closed != NULL && !request->ending) {
            request->closed(request->closed_context, request);
        }
        request_fail(request, &stopping);
    }
    if (self->timer >= 0) {
        (void)zloop_timer_end(self->loop, self->timer);
    }
    end_socket(&self->ipc, &self->ipc_watch);
    control_unbind_ipc(self);
    handshakes_destroy(&self->tcp_handshakes);
    end_socket(&self->tcp, &self->tcp_watch);
    free(self->handlers);
    free(self);
    *self_p = NULL;
}

uint64_t control_connections_failed(struct control *self, int64_t now_ms)
{
    return handshakes_failed(self->tcp_handshakes, now_ms);
}

void control_counters(const struct control *self, struct control_counters *ret)
{
    *ret = self->counters;
}

const char *control_tcp_endpoint(const struct control *self)
{
    return self->tcp == NULL ? NULL : self->tcp_endpoint;
}

/* ---- time ---- */

void control_timer_start(struct control *self)
{
    if (self->timer < 0) {
        self->timer = zloop_timer(self->loop, TIMER_MS, 0, on_timer, self);
    }
}

static void time_out(struct control_request *request)
{
    struct control *self = request->control;
    self->counters.timed_out++;
    if (request->ending) { /* the client did not take the last items */
        request_close(request);
        return;
    }
    if (request->closed != NULL) {
        request->closed(request->closed_context, request);
    }
    struct failure failure;
    failure_set(&failure, "timed_out", EXIT_TIMED_OUT, "look at the state before trying again",
                "%s: no outcome within %lld ms; it may still happen", request->verb->words,
                (long long)(clock_boot_ms() - request->started_ms));
    request_fail(request, &failure);
}

/* True while the request needs the timer. */
static bool tend(struct control_request *request, int64_t now_ms)
{
    bool endless = request->streams && !request->ending;
    if (!endless && now_ms >= request->deadline_ms) {
        time_out(request);
        return false;
    }
    if ((request->queue_count > 0 || request->ending) && !stream_flush(request)) {
        return false;
    }
    bool watched = request->again_ms != 0;
    bool waiting = !endless || request->queue_count > 0;
    if (watched && now_ms >= request->again_ms && request->queue_count == 0) {
        request_run_again(request);
    }
    return watched || waiting;
}

static int on_timer(zloop_t *loop, int timer, void *argument)
{
    struct control *self = argument;
    int64_t now_ms = clock_boot_ms();
    bool needed = false;
    struct control_request *next = NULL;
    for (struct control_request *at = self->requests; at != NULL; at = next) {
        next = at->next;
        needed = tend(at, now_ms) || needed;
    }
    if (!needed) {
        (void)zloop_timer_end(loop, timer);
        self->timer = -1;
    }
    return 0;
}

/* ---- requests of clients ---- */

static void answer_failure(const struct client *client, uint64_t id, const struct failure *failure)
{
    struct mp_writer writer;
    mp_writer_init(&writer, 4096);
    wire_put_error(&writer, id, failure);
    if (mp_writer_ok(&writer)) {
        (void)wire_send(client, &writer.buffer); /* a client that does not read loses it */
    }
    mp_writer_deinit(&writer);
}

static bool same_client(const struct client *a, const struct client *b)
{
    return a->socket == b->socket && a->identity_length == b->identity_length &&
           memcmp(a->identity, b->identity, a->identity_length) == 0;
}

static struct control_request *find_request(struct control *self, const struct client *client,
                                            uint64_t id)
{
    for (struct control_request *at = self->requests; at != NULL; at = at->next) {
        if (at->origin == ORIGIN_SOCKET && at->id == id && same_client(&at->client, client)) {
            return at;
        }
    }
    return NULL;
}

static size_t count_of_client(const struct control *self, const struct client *client)
{
    size_t count = 0;
    for (const struct control_request *at = self->requests; at != NULL; at = at->next) {
        count += at->origin == ORIGIN_SOCKET && same_client(&at->client, client);
    }
    return count;
}

static void cancel(struct control *self, const struct client *client, uint64_t id)
{
    struct control_request *request = find_request(self, client, id);
    if (request != NULL) {
        request_finished(request, EXIT_DONE);
        request_close(request);
    }
}

/* Verb, arguments and bounds. True when *ret says why not. */
static bool refuse(struct control *self, const struct client *client,
                   const struct wire_request *wire, const struct verb *verb, struct failure *ret)
{
    struct err err = {0};
    if (verb == NULL) {
        const char *nearest = verb_nearest(wire->verb);
        char hint[ERROR_HINT_SIZE];
        (void)snprintf(hint, sizeof hint, "did you mean \"%s\"?", nearest == NULL ? "" : nearest);
        failure_set(ret, "unknown_verb", EXIT_USAGE, nearest == NULL ? NULL : hint,
                    "unknown verb \"%s\"", wire->verb);
        return true;
    }
    if (verb->present && verb_check_args(verb, wire->args, &err) != 0) {
        failure_from_err(ret, &err);
        return true;
    }
    if (find_request(self, client, wire->id) != NULL) {
        failure_set(ret, "malformed", EXIT_USAGE, NULL, "the id is in use by a request under way");
        return true;
    }
    if (self->counters.held >= self->requests_max) {
        streams_probe(self);
    }
    if (self->counters.held >= self->requests_max ||
        count_of_client(self, client) >= self->requests_per_client_max) {
        self->counters.refused++;
        failure_set(ret, "busy", EXIT_FAILED, "try again", "too many requests are under way");
        return true;
    }
    return false;
}

static void take_request(struct control *self, const struct client *client,
                         const struct control_who *who, struct wire_request *wire)
{
    const struct verb *verb = verb_find(wire->verb);
    struct failure failure;
    if (refuse(self, client, wire, verb, &failure)) {
        json_decref(wire->args);
        answer_failure(client, wire->id, &failure);
        return;
    }
    struct control_request *request = request_create(self, verb, wire->args, who);
    if (request == NULL) {
        failure_set(&failure, "failed", EXIT_FAILED, NULL, "out of memory");
        answer_failure(client, wire->id, &failure);
        return;
    }
    request->origin = ORIGIN_SOCKET;
    request->client = *client;
    request->id = wire->id;
    if (wire->timeout_ms > 0 && wire->timeout_ms < self->deadline_ms) {
        request->deadline_ms = request->started_ms + wire->timeout_ms;
    }
    request_run(request);
}

static void take_payload(struct control *self, const struct client *client,
                         const struct control_who *who, const uint8_t *bytes, size_t length)
{
    struct wire_request wire;
    struct err err = {0};
    struct failure failure;
    self->counters.requests++;
    int rc = wire_decode_request(bytes, length, &wire, &err);
    if (rc != 0) {
        self->counters.malformed++;
        failure_from_err(&failure, &err);
    } else if (who == NULL) {
        self->counters.denied++;
        rc = ERR_DENIED;
        failure_set(&failure, "not_authorised", EXIT_DENIED, NULL, "this key is not known here");
        json_decref(wire.args);
    }
    if (rc != 0) {
        if (wire.id_known) {
            answer_failure(client, wire.id, &failure);
        }
        return;
    }
    if (strcmp(wire.verb, "cancel") == 0) {
        json_decref(wire.args);
        cancel(self, client, wire.id);
        return;
    }
    take_request(self, client, who, &wire);
}

static const struct control_who *who_asks(struct control *self, void *socket, zmq_msg_t *message,
                                          struct control_who *ret)
{
    *ret = (struct control_who){.role = VERB_OPERATOR};
    if (self->ipc != NULL && socket == zsock_resolve(self->ipc)) {
        (void)snprintf(ret->name, sizeof ret->name, "local");
        return ret;
    }
    bool known = self->callbacks.role_of(self->callbacks.context, zmq_msg_gets(message, "User-Id"),
                                         zmq_msg_gets(message, "Key"), ret);
    return known ? ret : NULL;
}

enum { FRAME_IDENTITY, FRAME_EMPTY, FRAME_PAYLOAD, FRAMES };

/* Read one message whole. Returns the number of frames (FRAMES + 1 for more), 0 when none waits. */
static size_t receive(void *socket, zmq_msg_t frames[FRAMES])
{
    size_t count = 0;
    bool more = true;
    while (more) {
        zmq_msg_t extra;
        zmq_msg_t *frame = count < FRAMES ? &frames[count] : &extra;
        (void)zmq_msg_init(frame);
        if (zmq_msg_recv(frame, socket, ZMQ_DONTWAIT) < 0) {
            (void)zmq_msg_close(frame);
            break;
        }
        more = zmq_msg_more(frame) != 0;
        if (count < FRAMES) {
            count++;
        } else {
            (void)zmq_msg_close(frame);
            count = FRAMES + 1;
        }
    }
    return count;
}

static void on_readable(void *context, void *socket)
{
    struct control *self = context;
    bool local = self->ipc != NULL && socket == zsock_resolve(self->ipc);
    zmq_msg_t frames[FRAMES];
    size_t count = receive(socket, frames);
    if (count == FRAMES && zmq_msg_size(&frames[FRAME_EMPTY]) == 0 &&
        zmq_msg_size(&frames[FRAME_IDENTITY]) <= IDENTITY_MAX) {
        struct client client = {.socket = socket,
                                .watch = local ? self->ipc_watch : self->tcp_watch,
                                .identity_length = zmq_msg_size(&frames[FRAME_IDENTITY])};
        memcpy(client.identity, zmq_msg_data(&frames[FRAME_IDENTITY]), client.identity_length);
        struct control_who who;
        take_payload(self, &client, who_asks(self, socket, &frames[FRAME_PAYLOAD], &who),
                     zmq_msg_data(&frames[FRAME_PAYLOAD]), zmq_msg_size(&frames[FRAME_PAYLOAD]));
    } else if (count > 0) {
        self->counters.malformed++;
    }
    for (size_t i = 0; i < count && i < FRAMES; i++) {
        (void)zmq_msg_close(&frames[i]);
    }
}

/* ---- in-process ---- */

json_t *control_render(struct control *self, const char *words, const json_t *args)
{
    const struct verb *verb = verb_find(words);
    json_t *copy = args == NULL ? json_object() : json_deep_copy(args);
    if (verb == NULL || copy == NULL || verb->place != VERB_NODE ||
        verb_check_args(verb, copy, NULL) != 0 || verb_is_stream(verb, copy)) {
        json_decref(copy);
        return NULL;
    }
    struct control_who who = {.name = "local", .role = VERB_VIEWER};
    json_t *rendered = NULL;
    struct control_request *request = request_create(self, verb, copy, &who);
    if (request == NULL) {
        return NULL;
    }
    uint64_t ticket = request->ticket;
    request->origin = ORIGIN_RENDER;
    request->rendered = &rendered;
    request_run(request);
    for (struct control_request *at = self->requests; at != NULL; at = at->next) {
        if (at->ticket == ticket) { /* held: nobody will wait for it */
            request_close(at);
            break;
        }
    }
    return rendered;
}
