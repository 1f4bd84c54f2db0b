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

/* ---- the bus ---- */

enum frame_kind frame_kind(const struct amp_parser *frame)
{
    static const struct {
        const char *topic;
        enum frame_kind kind;
    } topics[] = {{"process:event", FRAME_EVENT},
                  {"log:out", FRAME_LOG_OUT},
                  {"log:err", FRAME_LOG_ERR},
                  {"pm2:kill", FRAME_KILL}};
    struct amp_arg topic;
    if (!amp_parser_arg(frame, 0, &topic) || amp_parser_argc(frame) < 2) {
        return FRAME_OTHER;
    }
    for (size_t i = 0; i < sizeof topics / sizeof topics[0]; i++) {
        if (topic.length == strlen(topics[i].topic) &&
            memcmp(topic.data, topics[i].topic, topic.length) == 0) {
            return topics[i].kind;
        }
    }
    return FRAME_OTHER;
}

static json_t *read_object(const struct amp_parser *frame)
{
    struct amp_arg body;
    if (!amp_parser_arg(frame, 1, &body) || body.type != AMP_JSON) {
        return NULL;
    }
    return json_loadb(body.data, body.length, JSON_ALLOW_NUL, NULL);
}

bool frame_read_event(const struct amp_parser *frame, struct frame_event *ret)
{
    *ret = (struct frame_event){.pm_id = -1, .status = ENTRY_OTHER};
    json_t *object = frame_kind(frame) == FRAME_EVENT ? read_object(frame) : NULL;
    const json_t *process = json_object_get(object, "process");
    ret->event = json_string_value(json_object_get(object, "event"));
    ret->name = json_string_value(json_object_get(process, "name"));
    bool published = ret->event == NULL && json_object_get(object, "data") != NULL;
    if (ret->name == NULL || (ret->event == NULL && !published)) {
        json_decref(object);
        *ret = (struct frame_event){.pm_id = -1, .status = ENTRY_OTHER};
        return false;
    }
    ret->object = object;
    ret->pm_id = entry_id(json_object_get(process, "pm_id"));
    ret->status = entry_status(process);
    ret->restarted = entry_restarts(process);
    return true;
}

/* "process":{"pm_id":7,"name":"..." comes first from PM2 7, and last from 5.4. */
#define NAME_WITHIN 256

static const char name_key[] = "\"name\":\"";

/* In the text of a process each quote has a backslash before it. */
static const char *find_name(const struct amp_arg *body)
{
    size_t within = body->length < NAME_WITHIN ? body->length : NAME_WITHIN;
    const char *found = memmem(body->data, within, name_key, sizeof name_key - 1);
    if (found == NULL) {
        found = memmem(body->data + body->length - within, within, name_key, sizeof name_key - 1);
    }
    return found == NULL ? NULL : found + sizeof name_key - 1;
}

bool frame_log_name(const struct amp_parser *frame, char ret[NAME_SIZE])
{
    struct amp_arg body;
    const char *name = amp_parser_arg(frame, 1, &body) ? find_name(&body) : NULL;
    if (name == NULL) {
        return false;
    }
    size_t left = body.length - (size_t)(name - body.data);
    size_t length = 0;
    while (length < left && length < NAME_SIZE - 1 && name[length] != '"' && name[length] != '\\') {
        length++;
    }
    if (length == left || name[length] != '"') {
        return false;
    }
    memcpy(ret, name, length);
    ret[length] = '\0';
    return true;
}

bool frame_read_log(const struct amp_parser *frame, struct frame_log *ret)
{
    *ret = (struct frame_log){.pm_id = -1};
    enum frame_kind kind = frame_kind(frame);
    bool log = kind == FRAME_LOG_OUT || kind == FRAME_LOG_ERR;
    json_t *object = log ? read_object(frame) : NULL;
    const json_t *process = json_object_get(object, "process");
    const json_t *data = json_object_get(object, "data");
    const char *name = json_string_value(json_object_get(process, "name"));
    if (name == NULL || !json_is_string(data)) {
        json_decref(object);
        return false;
    }
    *ret = (struct frame_log){.object = object,
                              .name = name,
                              .pm_id = entry_id(json_object_get(process, "pm_id")),
                              .data = json_string_value(data),
                              .length = json_string_length(data)};
    return true;
}
