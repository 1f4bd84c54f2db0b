#include "node/client/client_internal.h"

#include "node/base/clock.h"
#include "node/base/doc.h"
#include "node/base/limits.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zmq.h>

enum waited { WAITED_MESSAGE, WAITED_TIMEOUT, WAITED_CANCEL, WAITED_LOST };

static int send_request(struct understudy *self, uint64_t id, const char *verb, const json_t *args,
                        int64_t timeout_ms, struct understudy_error *error)
{
    struct mp_writer writer;
    mp_writer_init(&writer, CONTROL_MESSAGE_BYTES_MAX);
    client_put_request(&writer, id, verb, args, timeout_ms);
    int rc = UNDERSTUDY_DONE;
    if (!mp_writer_ok(&writer)) {
        rc = client_fail(error, UNDERSTUDY_USAGE, "usage", NULL, "the arguments are too large");
    } else if (zmq_send(self->socket, "", 0, ZMQ_SNDMORE | ZMQ_DONTWAIT) < 0 ||
               zmq_send(self->socket, writer.buffer.data, writer.buffer.length, ZMQ_DONTWAIT) < 0) {
        rc = client_fail(error, UNDERSTUDY_NO_NODE, "no_node", "is understudyd running there?",
                         "the connection to the node is lost");
    }
    mp_writer_deinit(&writer);
    return rc;
}

/* end_ms < 0: for ever. */
static enum waited wait_message(struct understudy *self, int64_t end_ms)
{
    for (;;) {
        int64_t left = end_ms < 0 ? -1 : end_ms - clock_boot_ms();
        if (end_ms >= 0 && left <= 0) {
            return WAITED_TIMEOUT;
        }
        zmq_pollitem_t items[] = {{.socket = self->socket, .events = ZMQ_POLLIN},
                                  {.fd = self->cancel_fd, .events = ZMQ_POLLIN},
                                  {.socket = self->monitor, .events = ZMQ_POLLIN}};
        if (zmq_poll(items, 3, (long)left) < 0 && errno != EINTR) {
            return WAITED_LOST;
        }
        if ((items[0].revents & ZMQ_POLLIN) != 0) {
            return WAITED_MESSAGE;
        }
        if ((items[1].revents & ZMQ_POLLIN) != 0) {
            uint64_t count;
            (void)!read(self->cancel_fd, &count, sizeof count); /* emptied for the next call */
            return WAITED_CANCEL;
        }
        enum link_change change =
            (items[2].revents & ZMQ_POLLIN) != 0 ? client_link_change(self->monitor) : LINK_NONE;
        if (change == LINK_DOWN || change == LINK_DENIED) {
            return WAITED_LOST;
        }
    }
}

/* Read one message; true when it is a reply to `id`. */
static bool take_reply(struct understudy *self, uint64_t id, struct reply *ret)
{
    zmq_msg_t frame;
    bool good = false;
    size_t count = 0;
    bool more = true;
    while (more) {
        (void)zmq_msg_init(&frame);
        if (zmq_msg_recv(&frame, self->socket, ZMQ_DONTWAIT) < 0) {
            (void)zmq_msg_close(&frame);
            return good;
        }
        more = zmq_msg_more(&frame) != 0;
        if (count == 1 && !more) {
            good = client_read_reply(zmq_msg_data(&frame), zmq_msg_size(&frame), id, ret);
            if (!good) {
                json_decref(ret->result);
                ret->result = NULL;
            }
        }
        count++;
        (void)zmq_msg_close(&frame);
    }
    return good;
}

static int fail_wait(enum waited waited, const char *verb, int64_t timeout_ms,
                     struct understudy_error *error)
{
    switch (waited) {
    case WAITED_CANCEL:
        return client_fail(error, UNDERSTUDY_FAILED, "cancelled", NULL, "%s: cancelled", verb);
    case WAITED_LOST:
        return client_fail(error, UNDERSTUDY_NO_NODE, "no_node",
                           "look at the state before trying again",
                           "%s: the connection to the node broke; the outcome is unknown", verb);
    case WAITED_MESSAGE:
    case WAITED_TIMEOUT:
    default:
        return client_fail(
            error, UNDERSTUDY_TIMED_OUT, "timed_out", "look at the state before trying again",
            "%s: no answer within %lld ms; the outcome is unknown", verb, (long long)timeout_ms);
    }
}

static void send_cancel(struct understudy *self, uint64_t id)
{
    (void)send_request(self, id, "cancel", NULL, 0, NULL); /* lost only with the connection */
}

static int parse_args(const char *args, json_t **ret, struct understudy_error *error)
{
    *ret = NULL;
    if (args == NULL) {
        return UNDERSTUDY_DONE;
    }
    json_error_t why;
    *ret = json_loads(args, JSON_REJECT_DUPLICATES, &why);
    if (!json_is_object(*ret)) {
        json_decref(*ret);
        *ret = NULL;
        return client_fail(error, UNDERSTUDY_USAGE, "usage", NULL,
                           "the arguments are no JSON object");
    }
    return UNDERSTUDY_DONE;
}

static int start(struct understudy *self, const char *verb, const char *args, int64_t timeout_ms,
                 uint64_t *ret_id, struct understudy_error *error)
{
    json_t *parsed;
    if (verb == NULL || timeout_ms <= 0) {
        return client_fail(error, UNDERSTUDY_USAGE, "usage", NULL,
                           "a verb and a timeout are needed");
    }
    int rc = parse_args(args, &parsed, error);
    if (rc != UNDERSTUDY_DONE) {
        return rc;
    }
    *ret_id = self->next_id++;
    rc = send_request(self, *ret_id, verb, parsed, timeout_ms, error);
    json_decref(parsed);
    return rc;
}

static int finish_call(struct reply *reply, char **ret, struct understudy_error *error)
{
    int exit = reply->exit;
    if (!reply->ok) {
        if (error != NULL) {
            *error = reply->error;
        }
        return exit;
    }
    *ret = reply->result == NULL ? NULL : doc_dump(reply->result);
    json_decref(reply->result);
    if (exit == UNDERSTUDY_NO_QUORUM) {
        return client_fail(error, exit, "no_quorum", "what is shown may be out of date",
                           "there is no leader or no quorum");
    }
    return exit == UNDERSTUDY_DONE
               ? exit
               : client_fail(error, exit, "failed", NULL, "the answer is not a good one");
}

int understudy_call(struct understudy *self, const char *verb, const char *args, int64_t timeout_ms,
                    char **ret, struct understudy_error *error)
{
    uint64_t id = 0;
    *ret = NULL;
    int rc = start(self, verb, args, timeout_ms, &id, error);
    if (rc != UNDERSTUDY_DONE) {
        return rc;
    }
    int64_t end_ms = clock_boot_ms() + timeout_ms;
    for (;;) {
        enum waited waited = wait_message(self, end_ms);
        if (waited != WAITED_MESSAGE) {
            send_cancel(self, id);
            return fail_wait(waited, verb, timeout_ms, error);
        }
        struct reply reply;
        if (!take_reply(self, id, &reply)) {
            continue;
        }
        if (reply.more) { /* a stream: the first line is the answer */
            if (reply.result == NULL) {
                continue;
            }
            send_cancel(self, id);
        }
        return finish_call(&reply, ret, error);
    }
}

/* One reply of a stream. True: it goes on. */
static bool hand_over(struct understudy *self, uint64_t id, struct reply *reply,
                      understudy_line *line, void *context)
{
    if (reply->result == NULL) {
        return reply->more;
    }
    char *text = doc_dump(reply->result);
    json_decref(reply->result);
    reply->result = NULL;
    int wanted = text == NULL ? 1 : line(context, text, reply->dropped);
    free(text);
    if (wanted != 0 && reply->more) {
        send_cancel(self, id);
    }
    return reply->more && wanted == 0;
}

int understudy_stream(struct understudy *self, const char *verb, const char *args,
                      int64_t timeout_ms, understudy_line *line, void *context,
                      struct understudy_error *error)
{
    uint64_t id = 0;
    int rc = start(self, verb, args, timeout_ms, &id, error);
    if (rc != UNDERSTUDY_DONE) {
        return rc;
    }
    json_t *parsed;
    (void)parse_args(args, &parsed, NULL); /* was good above */
    bool endless = doc_get_bool(parsed, "follow", false) || doc_get_bool(parsed, "watch", false);
    json_decref(parsed);
    for (;;) {
        enum waited waited = wait_message(self, endless ? -1 : clock_boot_ms() + timeout_ms);
        if (waited != WAITED_MESSAGE) {
            send_cancel(self, id);
            return waited == WAITED_CANCEL ? UNDERSTUDY_DONE
                                           : fail_wait(waited, verb, timeout_ms, error);
        }
        struct reply reply;
        if (!take_reply(self, id, &reply)) {
            continue;
        }
        if (!reply.ok) {
            return finish_call(&reply, &(char *){NULL}, error);
        }
        if (!hand_over(self, id, &reply, line, context)) {
            return reply.more ? UNDERSTUDY_DONE : finish_call(&reply, &(char *){NULL}, error);
        }
    }
}

void understudy_cancel(struct understudy *self)
{
    uint64_t one = 1;
    int saved = errno;
    (void)!write(self->cancel_fd, &one, sizeof one); /* full: cancelled already */
    errno = saved;
}

const char *understudy_version(void)
{
    return UNDERSTUDY_VERSION;
}
