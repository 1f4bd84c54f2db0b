/* What the frames of PM2's daemon say: answers to our requests, and events of processes. Pure. */
#ifndef UNDERSTUDY_MANAGERS_PM2_FRAME_H
#define UNDERSTUDY_MANAGERS_PM2_FRAME_H

#include "managers/pm2/daemon/amp.h"
#include "managers/pm2/daemon/request.h"
#include "managers/pm2/watch/entry.h"

#include <jansson.h>

#define FRAME_ID_PREFIX "understudy:"

/* The text id of request number `serial`. */
void frame_id(uint64_t serial, char ret[REQUEST_ID_SIZE]);

/* The number of the request that the frame answers (not 0); false when it is no answer to a request
 * of ours. */
bool frame_read_serial(const struct amp_parser *frame, uint64_t *ret_serial);

/* The result in such a frame. As request_read_reply; ERR_PROTO too for bad JSON. */
int frame_read_result(const struct amp_parser *frame, json_t **ret_result, struct err *err);

/* What a frame of the bus is about, by its topic alone: logs come in floods. */
enum frame_kind { FRAME_OTHER, FRAME_EVENT, FRAME_LOG_OUT, FRAME_LOG_ERR, FRAME_KILL };
enum frame_kind frame_kind(const struct amp_parser *frame);

struct frame_event {
    json_t *object;    /* the caller's to release; keeps what is below */
    const char *event; /* "exit", "online"; NULL: an app published this under PM2's topic */
    const char *name;  /* of the process */
    int64_t pm_id;     /* -1: none that a request could name, such as "_old_1" of a reload */
    enum entry_status status;
    bool restarted; /* of an exit: PM2 starts it again by itself, if nobody stopped it */
};

/* False when it is no event of a process. PM2 publishes what an app sends under any topic that the
 * app names, but always as its "data" and with the app's own name. */
bool frame_read_event(const struct amp_parser *frame, struct frame_event *ret);

/* The name that a chunk of a log bears near its beginning or end, read without the chunk; false
 * when there is none, or it is too long. Only a hint: frame_read_log tells. */
bool frame_log_name(const struct amp_parser *frame, char ret[NAME_SIZE]);

struct frame_log {
    json_t *object; /* the caller's to release; keeps what is below */
    const char *name;
    int64_t pm_id;
    const char *data; /* as the process wrote it: not whole lines */
    size_t length;
};

/* A chunk of a log, of frame_kind FRAME_LOG_OUT or _ERR. */
bool frame_read_log(const struct amp_parser *frame, struct frame_log *ret);

#endif
