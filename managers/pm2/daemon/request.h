/* Requests to the PM2 daemon: a fixed table of methods with their exact arguments.
 *
 * The daemon checks nothing. One argument too many, a null where it expects an id, or an app
 * without `env` throws inside it, and its handler then restarts or ends the whole PM2 with all of
 * its processes. So nothing but this file makes a request, and it refuses what does not fit. Pure.
 */
#ifndef UNDERSTUDY_MANAGERS_PM2_REQUEST_H
#define UNDERSTUDY_MANAGERS_PM2_REQUEST_H

#include "node/base/buffer.h"
#include "node/base/err.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#define REQUEST_BYTES_MAX (1 << 20)
#define REQUEST_ID_SIZE 32

/* REQUEST_LIST is answered with the list before, its figures with it, when nothing else has changed
 * (sieve.h); whoever needs the figures asks for REQUEST_MEASURED.
 *
 * method, name on the wire, shape of its arguments, changes something, timeout in ms */
#define REQUEST_MAP(X)                                                     \
    X(REQUEST_PING, "ping", REQUEST_EMPTY, false, 2000)                    \
    X(REQUEST_VERSION, "getVersion", REQUEST_EMPTY, false, 5000)           \
    X(REQUEST_LIST, "getMonitorData", REQUEST_EMPTY, false, 5000)          \
    X(REQUEST_MEASURED, "getMonitorData", REQUEST_EMPTY, false, 5000)      \
    X(REQUEST_PREPARE, "prepare", REQUEST_APP, true, 15000)                \
    X(REQUEST_RESTORE, "prepare", REQUEST_SAVED, true, 15000)              \
    X(REQUEST_REPORT, "getReport", REQUEST_EMPTY, false, 5000)             \
    X(REQUEST_START, "startProcessId", REQUEST_ID, true, 10000)            \
    X(REQUEST_STOP, "stopProcessId", REQUEST_ID, true, 30000)              \
    X(REQUEST_UNWATCH, "stopWatch", REQUEST_STOP_OF_ID, true, 5000)        \
    X(REQUEST_RESTART, "restartProcessId", REQUEST_ID_OBJECT, true, 30000) \
    X(REQUEST_DELETE, "deleteProcessId", REQUEST_ID, true, 30000)          \
    X(REQUEST_KILL, "sendSignalToProcessId", REQUEST_SIGKILL, true, 10000)

enum request_method {
#define REQUEST_ENUM(method, name, shape, writes, timeout_ms) method,
    REQUEST_MAP(REQUEST_ENUM)
#undef REQUEST_ENUM
        REQUEST_METHODS
};

struct request {
    enum request_method method;
    int64_t pm_id;      /* >= 0, for start, stop, unwatch, restart, delete, kill */
    json_t *app;        /* for prepare and restore; borrowed */
    int64_t timeout_ms; /* 0: that of the table */
};

const char *request_name(enum request_method method);
int64_t request_timeout_ms(enum request_method method);
bool request_writes(enum request_method method);

/* Append the frame of the request with the text `id`. ERR_INVALID: it would harm the daemon;
 * ERR_FULL, ERR_NOMEM. */
int request_put(const struct request *request, const char *id, struct buffer *out, struct err *err);

/* 0 when `app` is what `prepare` needs; ERR_INVALID says what it lacks. */
int request_check_app(json_t *app, struct err *err);

/* The same for an app that PM2 itself had in its list (lists/saved.h) and that is to be prepared
 * again: its environment is left as PM2 gave it, but what would make it another's entry. */
int request_check_saved(json_t *app, struct err *err);

/* True for a variable that PM2 would take for a setting of its own, or that would rename or break
 * the entry. Such a variable is left out of an app's `env`. */
bool request_env_is_dangerous(const char *name);

/* The answer to a request. *ret_result (may be JSON null) is a new reference on 0. ERR_IO: the
 * daemon refused, with its text; ERR_PROTO: no answer of the known shape. */
int request_read_reply(const json_t *reply, json_t **ret_result, struct err *err);

#endif
