#include "managers/pm2/daemon/frame.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PREFIX_LENGTH (sizeof FRAME_ID_PREFIX - 1)

void frame_id(uint64_t serial, char ret[REQUEST_ID_SIZE])
{
    (void)snprintf(ret, REQUEST_ID_SIZE, FRAME_ID_PREFIX "%" PRIu64, serial);
}

bool frame_read_serial(const struct amp_parser *frame, uint64_t *ret_serial)
{
    struct amp_arg body;
    struct amp_arg id;
    char text[REQUEST_ID_SIZE];
    char expected[REQUEST_ID_SIZE];
    if (!amp_parser_arg(frame, 0, &body) || !amp_parser_arg(frame, 1, &id) ||
        body.type != AMP_JSON || id.type != AMP_TEXT || id.length >= sizeof text ||
        id.length <= PREFIX_LENGTH) {
        return false; /* oversized or foreign: its request will run out of time */
    }
    memcpy(text, id.data, id.length);
    text[id.length] = '\0';
    *ret_serial = strtoull(text + PREFIX_LENGTH, NULL, 10);
    /* Exactly as it was sent, without blanks, signs or zeros in front. */
    frame_id(*ret_serial, expected);
    return *ret_serial != 0 && strcmp(text, expected) == 0;
}

int frame_read_result(const struct amp_parser *frame, json_t **ret_result, struct err *err)
{
    struct amp_arg body;
    json_error_t where;
    if (!amp_parser_arg(frame, 0, &body) || body.type != AMP_JSON) {
        return err_set(err, ERR_PROTO, "an answer of PM2 without JSON");
    }
    json_t *reply = json_loadb(body.data, body.length, JSON_ALLOW_NUL, &where);
    if (reply == NULL) {
        return err_set(err, ERR_PROTO, "bad JSON: %.80s", where.text);
    }
    int rc = request_read_reply(reply, ret_result, err);
    json_decref(reply);
    return rc;
}

bool frame_read_event(const struct amp_parser *frame, struct frame_event *ret)
{
    static const char wanted[] = "process:event";
    struct amp_arg topic;
    struct amp_arg body;
    *ret = (struct frame_event){0};
    if (!amp_parser_arg(frame, 0, &topic) || topic.length != sizeof wanted - 1 ||
        memcmp(topic.data, wanted, sizeof wanted - 1) != 0 || !amp_parser_arg(frame, 1, &body) ||
        body.type != AMP_JSON) {
        return false;
    }
    json_t *object = json_loadb(body.data, body.length, JSON_ALLOW_NUL, NULL);
    const json_t *process = json_object_get(object, "process");
    ret->event = json_string_value(json_object_get(object, "event"));
    ret->name = json_string_value(json_object_get(process, "name"));
    if (ret->event == NULL || ret->name == NULL) {
        json_decref(object);
        *ret = (struct frame_event){0};
        return false;
    }
    ret->object = object;
    return true;
}
