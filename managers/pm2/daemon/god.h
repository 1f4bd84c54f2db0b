/* One PM2 daemon (its own word is "God"), seen through its two sockets.
 *
 * Connects by itself and again after each loss; knows the daemon's process by the kernel's word
 * and a pidfd; asks for a sign of life every GOD_PING_MS, since a stopped daemon still accepts
 * connections; always drains the event bus. Requests have ids and time limits; one that ran out of
 * time closes the connection, so that a late answer cannot be taken for another's. Whoever sent a
 * request that writes must then look at the list, and not send it again blindly. */
#ifndef UNDERSTUDY_MANAGERS_PM2_GOD_H
#define UNDERSTUDY_MANAGERS_PM2_GOD_H

#include "managers/common/runtime.h"
#include "managers/pm2/daemon/frame.h"
#include "managers/pm2/daemon/request.h"

#define GOD_PING_MS 2000
#define GOD_PINGS_MISSED_MAX 3
#define GOD_RECONNECT_MS 500
#define GOD_REQUESTS_MAX 64 /* in flight at once */

struct god;

enum god_state {
    GOD_UNKNOWN, /* not asked yet, or no right to ask */
    GOD_ABSENT,  /* no daemon has been in this home */
    GOD_DEAD,    /* the socket is there, nobody listens */
    GOD_HUNG,    /* listens and does not answer */
    GOD_UP,
};
const char *god_state_name(enum god_state state);

struct god_callbacks {
    void (*state)(void *context, struct god *god, enum god_state state, const char *why);
    /* Something happened to a process, or an app pretends so. The list tells the truth of it. */
    void (*event)(void *context, struct god *god, const struct frame_event *event);
    /* A chunk of a process's log, not yet looked at: they come in floods. */
    void (*log)(void *context, struct god *god, const struct amp_parser *frame);
};

/* rc 0: `result` is borrowed for the call. ERR_TIMEOUT: the outcome is unknown; ERR_CLOSED: the
 * connection broke, the outcome is unknown; ERR_IO: refused; ERR_PROTO. */
typedef void god_reply_fn(void *context, int rc, const json_t *result, const char *why);

/* `home` is a PM2_HOME. Context and callbacks outlive it. */
int god_create(struct runtime *runtime, const char *home, const struct god_callbacks *callbacks,
               void *context, struct god **ret, struct err *err);
void god_destroy(struct god **self_p);

enum god_state god_state(const struct god *self);
const char *god_home(const struct god *self);
const char *god_version(const struct god *self); /* "" unknown */
pid_t god_pid(const struct god *self);           /* 0 unknown */
uint64_t god_life(const struct god *self);       /* tells two daemons apart; 0 unknown */
const char *god_why(const struct god *self);     /* of a state that is not up */
/* Another process that listens on one of the two sockets of this home; 0: none. */
pid_t god_other(const struct god *self);
/* The bus has been listened to without a gap since then, by CLOCK_BOOTTIME; 0: it is not now. */
int64_t god_heard_since_ms(const struct god *self);
/* It said by itself that it ends: `pm2 kill`, or a signal to it. */
bool god_said_goodbye(const struct god *self);
/* Frames of the bus that were larger than is kept. */
uint64_t god_oversized(const struct god *self);

/* Do not wait for the next time to connect. */
void god_look_now(struct god *self);

/* Send a request; `reply` is called exactly once if this returns 0. ERR_CLOSED: not up; ERR_FULL;
 * or as request_put. */
int god_call(struct god *self, const struct request *request, god_reply_fn *reply, void *context,
             struct err *err);

#endif
