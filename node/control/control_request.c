/* The life of a request: made, run or passed on, answered or closed. */
#include "node/control/control_internal.h"

#include "node/base/clock.h"
#include "node/base/doc.h"
#include "node/base/invariant.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct control_request *request_create(struct control *self, const struct verb *verb,
                                       json_t *args_take, const struct control_who *who)
{
    struct control_request *request = calloc(1, sizeof *request);
    if (request == NULL) {
        json_decref(args_take);
        return NULL;
    }
    request->control = self;
    request->verb = verb;
    request->args = args_take;
    request->who = *who;
    request->ticket = self->next_ticket++;
    request->started_ms = clock_boot_ms();
    request->deadline_ms = request->started_ms + self->deadline_ms;
    request->streams = verb_is_stream(verb, args_take);
    request->next = self->requests;
    self->requests = request;
    self->counters.held++;
    self->counters.streams += request->streams;
    return request;
}

void request_free(struct control_request *request)
{
    struct control *self = request->control;
    struct control_request **at = &self->requests;
    while (*at != NULL && *at != request) {
        at = &(*at)->next;
    }
    invariant(*at == request);
    *at = request->next;
    self->counters.held--;
    self->counters.streams -= request->streams;
    stream_queue_free(request);
    json_decref(request->args);
    free(request);
}

void request_close(struct control_request *request)
{
    if (request->closed != NULL && !request->ending) {
        request->closed(request->closed_context, request);
    }
    request_free(request);
}

void request_finished(const struct control_request *request, int exit)
{
    const struct control_callbacks *callbacks = &request->control->callbacks;
    if (callbacks->finished != NULL && request->origin != ORIGIN_RENDER) {
        callbacks->finished(callbacks->context, &request->who, request->verb->words, exit,
                            clock_boot_ms() - request->started_ms);
    }
}

void failure_set(struct failure *ret, const char *code, int exit, const char *hint,
                 const char *format, ...)
{
    *ret = (struct failure){.exit = exit};
    (void)snprintf(ret->code, sizeof ret->code, "%s", code);
    (void)snprintf(ret->hint, sizeof ret->hint, "%s", hint == NULL ? "" : hint);
    va_list args;
    va_start(args, format);
    (void)vsnprintf(ret->message, sizeof ret->message, format, args);
    va_end(args);
}

void failure_from_err(struct failure *ret, const struct err *err)
{
    static const struct {
        const char *code;
        int err;
        int exit;
    } rows[] = {
        {"no_leader", ERR_NOTLEADER, EXIT_NO_QUORUM},   {"timed_out", ERR_TIMEOUT, EXIT_TIMED_OUT},
        {"not_found", ERR_NOTFOUND, EXIT_NOT_FOUND},    {"not_authorised", ERR_DENIED, EXIT_DENIED},
        {"invalid", ERR_INVALID, EXIT_USAGE},           {"malformed", ERR_PROTO, EXIT_USAGE},
        {"not_supported", ERR_UNSUPPORTED, EXIT_USAGE}, {"exists", ERR_EXISTS, EXIT_PRECONDITION},
        {"busy", ERR_BUSY, EXIT_PRECONDITION},          {"full", ERR_FULL, EXIT_PRECONDITION},
        {"overtaken", ERR_STALE, EXIT_PRECONDITION},    {"unsafe", ERR_UNSAFE, EXIT_UNSAFE},
        {"stopping", ERR_CLOSED, EXIT_NO_NODE},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (rows[i].err == err->code) {
            failure_set(ret, rows[i].code, rows[i].exit, NULL, "%s", err->msg);
            return;
        }
    }
    failure_set(ret, "failed", EXIT_FAILED, NULL, "%s", err->msg);
}

static void facts_of(const struct control *self, struct control_facts *ret)
{
    *ret = (struct control_facts){0};
    self->callbacks.facts(self->callbacks.context, ret);
}

bool request_is_stale(const struct control_request *request)
{
    struct control_facts facts;
    facts_of(request->control, &facts);
    return request->verb->cluster_read && !facts.quorum;
}

json_t *request_envelope(const struct control_request *request, json_t *data_take, bool stale)
{
    struct control_facts facts;
    facts_of(request->control, &facts);
    char words[VERB_WORDS_SIZE];
    char schema[VERB_WORDS_SIZE + 16];
    verb_schema(request->verb, words);
    (void)snprintf(schema, sizeof schema, "understudy.%s/1", words);
    json_t *envelope = json_object();
    json_t *term = facts.term_known ? json_integer((json_int_t)facts.term) : json_null();
    /* A NULL value makes its own set fail, so every loss is seen in `failed`. */
    int failed = json_object_set_new(envelope, "schema", json_string(schema)) |
                 json_object_set_new(envelope, "time", doc_time(clock_wall_ms())) |
                 json_object_set_new(envelope, "node", doc_text(facts.node)) |
                 json_object_set_new(envelope, "cluster", doc_text(facts.cluster)) |
                 json_object_set_new(envelope, "term", term) |
                 json_object_set_new(envelope, "stale", json_boolean(stale)) |
                 json_object_set_new(envelope, "data", data_take == NULL ? json_null() : data_take);
    if (failed != 0) {
        json_decref(envelope);
        return NULL;
    }
    return envelope;
}

/* To a client: a reply that it cannot take now is lost, as its queue of replies is long. */
static void send_reply(const struct control_request *request, const struct mp_writer *writer)
{
    if (!mp_writer_ok(writer) || wire_send(&request->client, &writer->buffer) != 0) {
        request->control->counters.dropped++;
    }
}

void request_fail(struct control_request *request, const struct failure *failure)
{
    struct mp_writer writer;
    switch (request->origin) {
    case ORIGIN_SOCKET:
        mp_writer_init(&writer, CONTROL_MESSAGE_BYTES_MAX);
        wire_put_error(&writer, request->id, failure);
        send_reply(request, &writer);
        mp_writer_deinit(&writer);
        break;
    case ORIGIN_FORWARDED:
        forward_answer(request, failure->exit, NULL, failure);
        break;
    case ORIGIN_RENDER:
    default:
        break;
    }
    request_finished(request, failure->exit);
    request_free(request);
}

static void fail_size(struct control_request *request, const struct err *err)
{
    struct failure failure;
    failure_from_err(&failure, err);
    failure.exit = EXIT_FAILED;
    request_fail(request, &failure);
}

/* The only document of a request to its client. */
static void answer_client(struct control_request *request, int exit, const json_t *document)
{
    struct mp_writer body;
    struct mp_writer reply;
    struct err err = {0};
    mp_writer_init(&body, CONTROL_MESSAGE_BYTES_MAX);
    int rc = doc_to_msgpack(document, &body, &err);
    if (rc != 0) {
        mp_writer_deinit(&body);
        fail_size(request, &err);
        return;
    }
    mp_writer_init(&reply, CONTROL_MESSAGE_BYTES_MAX + 256);
    wire_put_result(&reply, request->id, false, exit, 0, body.buffer.data, body.buffer.length);
    send_reply(request, &reply);
    mp_writer_deinit(&reply);
    mp_writer_deinit(&body);
    request_finished(request, exit);
    request_free(request);
}

static void answer(struct control_request *request, json_t *data_take, int exit, bool stale)
{
    json_t *document = request_envelope(request, data_take, stale);
    if (document == NULL) {
        struct failure failure;
        failure_set(&failure, "failed", EXIT_FAILED, NULL, "out of memory");
        request_fail(request, &failure);
        return;
    }
    if (request->streams && request->origin == ORIGIN_SOCKET) {
        stream_put(request, document, stale);
        request->again_ms = clock_boot_ms() + WATCH_MS;
        control_timer_start(request->control);
        json_decref(document);
        return;
    }
    switch (request->origin) {
    case ORIGIN_SOCKET:
        answer_client(request, exit, document);
        break;
    case ORIGIN_FORWARDED:
        forward_answer(request, exit, document, NULL);
        request_finished(request, exit);
        request_free(request);
        break;
    case ORIGIN_RENDER:
    default:
        *request->rendered = json_incref(document);
        request_free(request);
        break;
    }
    json_decref(document);
}

void control_reply_exit(struct control_request *request, json_t *data_take, int exit)
{
    bool stale = request_is_stale(request);
    answer(request, data_take, stale ? EXIT_NO_QUORUM : exit, stale);
}

void control_reply(struct control_request *request, json_t *data_take)
{
    control_reply_exit(request, data_take, EXIT_DONE);
}

void control_reply_local(struct control_request *request, json_t *data_take, int exit)
{
    answer(request, data_take, exit, false);
}

void control_fail(struct control_request *request, const char *code, int exit, const char *hint,
                  const char *format, ...)
{
    struct failure failure;
    char message[ERROR_MESSAGE_SIZE];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(message, sizeof message, format, args);
    va_end(args);
    failure_set(&failure, code, exit, hint, "%s", message);
    request_fail(request, &failure);
}

void control_fail_err(struct control_request *request, const struct err *err)
{
    struct failure failure;
    failure_from_err(&failure, err);
    request_fail(request, &failure);
}

static const struct handler_row *find_handler(const struct control *self, const struct verb *verb)
{
    for (size_t i = 0; i < self->handler_count; i++) {
        if (self->handlers[i].verb == verb) {
            return &self->handlers[i];
        }
    }
    return NULL;
}

static void pass_on(struct control_request *request, const struct control_facts *facts)
{
    struct control *self = request->control;
    struct err err = {0};
    const char *hint = "it is elected as soon as a majority of the voters is reachable";
    if (request->origin != ORIGIN_SOCKET || !facts->leader_known ||
        self->callbacks.forward == NULL) {
        control_fail(request, "no_leader", EXIT_NO_QUORUM, hint, "there is no leader now");
        return;
    }
    request->passed_on = true;
    if (self->callbacks.forward(self->callbacks.context, request, &err) != 0) {
        control_fail(request, "no_leader", EXIT_NO_QUORUM, hint, "the leader is not reachable: %s",
                     err.msg);
        return;
    }
    control_timer_start(self);
}

/* This node has no copy of what the document tells, and somebody is known who has. */
static bool better_read_elsewhere(const struct control_request *request,
                                  const struct control_facts *facts)
{
    return facts->outside && facts->leader_known && request->verb->cluster_read &&
           !request->verb->of_asked_node && request->origin == ORIGIN_SOCKET && !request->streams;
}

void request_run(struct control_request *request)
{
    struct control *self = request->control;
    const struct handler_row *row = find_handler(self, request->verb);
    if (request->verb->place != VERB_LOCAL &&
        verb_place_of(request->verb, request->args) == VERB_LOCAL) {
        control_fail(request, "invalid", EXIT_USAGE, "the command line reads the file by itself",
                     "%s: a node answers from no file", request->verb->words);
        return;
    }
    if (!request->verb->present || request->verb->place == VERB_LOCAL || row == NULL) {
        control_fail(request, "not_in_this_version", EXIT_USAGE, NULL, "%s: not in this version",
                     request->verb->words);
        return;
    }
    if (request->verb->access == VERB_OPERATOR && request->who.role != VERB_OPERATOR) {
        self->counters.denied++;
        control_fail(request, "not_authorised", EXIT_DENIED, "use an operator's key",
                     "%s: needs the role operator; %s is a viewer", request->verb->words,
                     request->who.name);
        return;
    }
    struct control_facts facts;
    facts_of(self, &facts);
    bool of_leader = verb_place_of(request->verb, request->args) == VERB_LEADER && !facts.leads;
    if (of_leader || better_read_elsewhere(request, &facts)) {
        pass_on(request, &facts);
        return;
    }
    row->handle(self->handler_context, request);
    if (self->requests != NULL) { /* it may be held */
        control_timer_start(self);
    }
}

void request_run_again(struct control_request *request)
{
    const struct handler_row *row = find_handler(request->control, request->verb);
    request->again_ms = 0;
    row->handle(request->control->handler_context, request);
}

const struct verb *control_request_verb(const struct control_request *request)
{
    return request->verb;
}

const json_t *control_request_args(const struct control_request *request)
{
    return request->args;
}

const struct control_who *control_request_who(const struct control_request *request)
{
    return &request->who;
}

bool control_request_streams(const struct control_request *request)
{
    return request->streams;
}

int64_t control_request_left_ms(const struct control_request *request)
{
    int64_t left_ms = request->deadline_ms - clock_boot_ms();
    return left_ms > 0 ? left_ms : 0;
}

const char *control_arg_text(const struct control_request *request, const char *name)
{
    return doc_get_text(request->args, name, NULL);
}

bool control_arg_flag(const struct control_request *request, const char *name)
{
    return doc_get_bool(request->args, name, false);
}

int64_t control_arg_integer(const struct control_request *request, const char *name,
                            int64_t fallback)
{
    return doc_get_integer(request->args, name, fallback);
}

int64_t control_arg_duration_ms(const struct control_request *request, const char *name,
                                int64_t fallback)
{
    const char *text = control_arg_text(request, name);
    if (text == NULL) {
        return doc_get_integer(request->args, name, fallback);
    }
    return verb_duration_ms(text);
}

void control_request_on_close(struct control_request *request,
                              void (*closed)(void *context, struct control_request *request),
                              void *context)
{
    request->closed = closed;
    request->closed_context = context;
}
