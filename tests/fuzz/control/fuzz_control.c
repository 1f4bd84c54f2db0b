/* Requests of clients, requests that nodes pass on, and answers, against a live endpoint without
 * sockets. The first byte chooses what the rest is. */
#include "node/base/doc.h"
#include "node/base/invariant.h"
#include "node/control/control_internal.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void facts(void *context, struct control_facts *ret)
{
    (void)context;
    *ret = (struct control_facts){
        .node = "n1", .cluster = "demo", .quorum = true, .leads = true, .leader_known = true};
}

static void forward_reply(void *context, const char *origin, const uint8_t *bytes, size_t length)
{
    struct err err = {0};
    (void)origin;
    /* What we answer is well formed: the only complaint can be that nobody waits for it. */
    invariant(control_accept_forward_reply(*(struct control **)context, bytes, length, &err) ==
              ERR_NOTFOUND);
}

static void handle(void *context, struct control_request *request)
{
    (void)context;
    control_reply(request, json_deep_copy(control_request_args(request)));
}

static struct control *endpoint(void)
{
    static struct control *control;
    static const struct control_handler handlers[] = {
        {"remove", handle}, {"drain", handle}, {"leader transfer", handle}, {"stop", handle}};
    if (control == NULL) {
        struct control_config config = {
            .loop = zloop_new(),
            .handlers = handlers,
            .handler_count = 4,
            .callbacks = {.context = &control, .facts = facts, .forward_reply = forward_reply},
        };
        invariant(control_create(&config, &control, NULL) == 0);
    }
    return control;
}

static void decode_request(const uint8_t *data, size_t size)
{
    struct wire_request wire;
    struct err err = {0};
    if (wire_decode_request(data, size, &wire, &err) != 0) {
        invariant(wire.args == NULL);
        return;
    }
    const struct verb *verb = verb_find(wire.verb);
    if (verb != NULL && verb_check_args(verb, wire.args, &err) == 0) {
        (void)verb_place_of(verb, wire.args);
        (void)verb_is_stream(verb, wire.args);
    }
    (void)verb_nearest(wire.verb);
    json_decref(wire.args);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) {
        return 0;
    }
    struct err err = {0};
    switch (data[0] % 3) {
    case 0:
        decode_request(data + 1, size - 1);
        break;
    case 1:
        (void)control_execute_forwarded(endpoint(), "n2", data + 1, size - 1, &err);
        break;
    default:
        (void)control_accept_forward_reply(endpoint(), data + 1, size - 1, &err);
        break;
    }
    return 0;
}
