/* What the frames of PM2's daemon say: answers to our requests, and events of processes. Pure. */
#ifndef UNDERSTUDY_MANAGERS_PM2_FRAME_H
#define UNDERSTUDY_MANAGERS_PM2_FRAME_H

#include "managers/pm2/daemon/amp.h"
#include "managers/pm2/daemon/request.h"

#include <jansson.h>

#define FRAME_ID_PREFIX "understudy:"

/* The text id of request number `serial`. */
void frame_id(uint64_t serial, char ret[REQUEST_ID_SIZE]);

/* The number of the request that the frame answers (not 0); false when it is no answer to a request
 * of ours. */
bool frame_read_serial(const struct amp_parser *frame, uint64_t *ret_serial);

/* The result in such a frame. As request_read_reply; ERR_PROTO too for bad JSON. */
int frame_read_result(const struct amp_parser *frame, json_t **ret_result, struct err *err);

struct frame_event {
    json_t *object;    /* the caller's to release; keeps what is below */
    const char *event; /* "exit", "online" */
    const char *name;  /* of the process */
};

/* False for every other topic (the logs of all apps above all) and for what an app publishes under
 * this one. */
bool frame_read_event(const struct amp_parser *frame, struct frame_event *ret);

#endif
