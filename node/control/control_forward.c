/* Requests on their way to the leader, and its answers on their way back.
 *
 * Request: [1, ticket, verb, args, who, role, left_ms]; answer: [1, ticket, exit, document or nil,
 * [code, message, hint] or nil]. */
#include "node/control/control_internal.h"

#include "node/base/clock.h"
#include "node/base/doc.h"

#include <stdio.h>
#include <string.h>

#define FORWARD_VERSION 1

int control_request_encode(const struct control_request *request, struct mp_writer *writer,
                           struct err *err)
{
    int64_t left = request->deadline_ms - clock_boot_ms();
    mp_put_array(writer, 7);
    mp_put_u64(writer, FORWARD_VERSION);
    mp_put_u64(writer, request->ticket);
    mp_put_text(writer, request->verb->words);
    int rc = doc_to_msgpack(request->args, writer, err);
    mp_put_text(writer, request->who.name);
    mp_put_u64(writer, request->who.role);
    mp_put_i64(writer, left > 0 ? left : 0);
    if (rc == 0 && !mp_writer_ok(writer)) {
        rc = err_set(err, ERR_FULL, "the request is larger than %zu bytes", writer->buffer.bound);
    }
    return rc;
}

struct forwarded {
    uint64_t ticket;
    char verb[VERB_WORDS_SIZE];
    json_t *args;
    struct control_who who;
    int64_t left_ms;
};

static int decode_forwarded(const msgpack_object *root, struct forwarded *ret, struct err *err)
{
    const msgpack_object *array = mp_array(root, 7);
    uint64_t version = 0;
    uint64_t role = 0;
    if (array == NULL || !mp_u64(mp_at(array, 0), &version) || version < FORWARD_VERSION ||
        !mp_u64(mp_at(array, 1), &ret->ticket) ||
        !mp_text(mp_at(array, 2), ret->verb, sizeof ret->verb) ||
        !mp_text(mp_at(array, 4), ret->who.name, sizeof ret->who.name) ||
        !mp_u64(mp_at(array, 5), &role) || role > VERB_OPERATOR ||
        !mp_i64(mp_at(array, 6), &ret->left_ms)) {
        return err_set(err, ERR_PROTO, "a forwarded request is malformed");
    }
    ret->who.role = (enum verb_access)role;
    return doc_from_object(mp_at(array, 3), &ret->args, err);
}

static size_t count_from(const struct control *self, const char *origin)
{
    size_t count = 0;
    for (const struct control_request *at = self->requests; at != NULL; at = at->next) {
        count += at->origin == ORIGIN_FORWARDED && strcmp(at->node, origin) == 0;
    }
    return count;
}

/* Why it cannot run at all; false when it can. */
static bool refuse_forwarded(struct control *self, const char *origin, const char *words,
                             const struct control_request *request, struct failure *ret)
{
    struct err err = {0};
    const struct verb *verb = request->verb;
    if (strcmp(verb->words, words) != 0) {
        failure_set(ret, "not_in_this_version", EXIT_USAGE, NULL,
                    "%s: not in the version of the leader", words);
        return true;
    }
    bool passed_on = verb->place == VERB_LEADER || (verb->cluster_read && !verb->of_asked_node);
    if (!passed_on || verb_is_stream(verb, request->args)) {
        failure_set(ret, "invalid", EXIT_USAGE, NULL, "%s: is not passed on", verb->words);
        return true;
    }
    if (verb_check_args(verb, request->args, &err) != 0) {
        failure_from_err(ret, &err);
        return true;
    }
    if (self->counters.held > self->requests_max ||
        count_from(self, origin) > self->requests_per_client_max) {
        self->counters.refused++;
        failure_set(ret, "busy", EXIT_FAILED, "try again", "too many requests are under way");
        return true;
    }
    return false;
}

int control_execute_forwarded(struct control *self, const char *origin, const uint8_t *bytes,
                              size_t length, struct err *err)
{
    struct forwarded forwarded = {0};
    struct mp_doc parsed;
    int rc = mp_parse(bytes, length, &control_request_limits, &parsed, err);
    if (rc != 0) {
        return rc;
    }
    rc = decode_forwarded(&parsed.root, &forwarded, err);
    mp_doc_deinit(&parsed);
    const struct verb *verb = rc == 0 ? verb_find(forwarded.verb) : NULL;
    if (rc == 0 && verb == NULL) {
        /* A newer node knows a verb that we lack: it is refused below, under one that we have. */
        verb = verb_find("version");
    }
    if (rc != 0) {
        return rc;
    }
    self->counters.requests++;
    struct control_request *request = request_create(self, verb, forwarded.args, &forwarded.who);
    if (request == NULL) {
        return err_set(err, ERR_NOMEM, "out of memory");
    }
    request->origin = ORIGIN_FORWARDED;
    request->id = forwarded.ticket;
    (void)snprintf(request->node, sizeof request->node, "%s", origin);
    if (forwarded.left_ms < self->deadline_ms) {
        request->deadline_ms = request->started_ms + forwarded.left_ms;
    }
    struct failure failure;
    if (refuse_forwarded(self, origin, forwarded.verb, request, &failure)) {
        request_fail(request, &failure);
        return 0;
    }
    request_run(request);
    return 0;
}

void forward_answer(struct control_request *request, int exit, const json_t *document,
                    const struct failure *failure)
{
    const struct control_callbacks *callbacks = &request->control->callbacks;
    struct mp_writer writer;
    mp_writer_init(&writer, CONTROL_MESSAGE_BYTES_MAX);
    mp_put_array(&writer, 5);
    mp_put_u64(&writer, FORWARD_VERSION);
    mp_put_u64(&writer, request->id);
    mp_put_i64(&writer, exit);
    if (document == NULL || doc_to_msgpack(document, &writer, NULL) != 0) {
        mp_put_nil(&writer);
    }
    if (failure == NULL) {
        mp_put_nil(&writer);
    } else {
        mp_put_array(&writer, 3);
        mp_put_text(&writer, failure->code);
        mp_put_text(&writer, failure->message);
        mp_put_text(&writer, failure->hint);
    }
    if (mp_writer_ok(&writer) && callbacks->forward_reply != NULL) {
        callbacks->forward_reply(callbacks->context, request->node, writer.buffer.data,
                                 writer.buffer.length);
    } else {
        request->control->counters.dropped++;
    }
    mp_writer_deinit(&writer);
}

static struct control_request *find_passed_on(struct control *self, uint64_t ticket)
{
    for (struct control_request *at = self->requests; at != NULL; at = at->next) {
        if (at->passed_on && at->ticket == ticket) {
            return at;
        }
    }
    return NULL;
}

static int relay_failure(struct control_request *request, const msgpack_object *from, int exit,
                         struct err *err)
{
    struct failure failure = {.exit = exit};
    if (mp_array(from, 3) == NULL || exit == EXIT_DONE ||
        !mp_text(mp_at(from, 0), failure.code, sizeof failure.code) ||
        !mp_text(mp_at(from, 1), failure.message, sizeof failure.message) ||
        !mp_text(mp_at(from, 2), failure.hint, sizeof failure.hint)) {
        return err_set(err, ERR_PROTO, "the leader's answer is malformed");
    }
    request_fail(request, &failure);
    return 0;
}

static int relay_document(struct control_request *request, const msgpack_object *from, int exit,
                          struct err *err)
{
    json_t *document = NULL;
    int rc = doc_from_object(from, &document, err);
    if (rc != 0) {
        return rc;
    }
    struct mp_writer body;
    struct mp_writer reply;
    mp_writer_init(&body, CONTROL_MESSAGE_BYTES_MAX);
    rc = doc_to_msgpack(document, &body, err);
    json_decref(document);
    if (rc == 0) {
        mp_writer_init(&reply, CONTROL_MESSAGE_BYTES_MAX + 256);
        wire_put_result(&reply, request->id, false, exit, 0, body.buffer.data, body.buffer.length);
        if (!mp_writer_ok(&reply) || wire_send(&request->client, &reply.buffer) != 0) {
            request->control->counters.dropped++;
        }
        mp_writer_deinit(&reply);
        request_finished(request, exit);
        request_free(request);
    }
    mp_writer_deinit(&body);
    return rc;
}

static int relay(struct control *self, const msgpack_object *root, struct err *err)
{
    const msgpack_object *array = mp_array(root, 5);
    uint64_t version = 0;
    uint64_t ticket = 0;
    int64_t exit = 0;
    if (array == NULL || !mp_u64(mp_at(array, 0), &version) || version < FORWARD_VERSION ||
        !mp_u64(mp_at(array, 1), &ticket) || !mp_i64(mp_at(array, 2), &exit) || exit < 0 ||
        exit > EXIT_VIOLATION) {
        return err_set(err, ERR_PROTO, "the leader's answer is malformed");
    }
    struct control_request *request = find_passed_on(self, ticket);
    if (request == NULL) {
        return err_set(err, ERR_NOTFOUND, "nobody waits for this answer any more");
    }
    if (mp_at(array, 4)->type != MSGPACK_OBJECT_NIL) {
        return relay_failure(request, mp_at(array, 4), (int)exit, err);
    }
    return relay_document(request, mp_at(array, 3), (int)exit, err);
}

int control_accept_forward_reply(struct control *self, const uint8_t *bytes, size_t length,
                                 struct err *err)
{
    struct mp_doc parsed;
    int rc = mp_parse(bytes, length, &control_reply_limits, &parsed, err);
    if (rc != 0) {
        return rc;
    }
    rc = relay(self, &parsed.root, err);
    mp_doc_deinit(&parsed);
    return rc;
}
