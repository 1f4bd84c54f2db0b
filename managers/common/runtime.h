/* The life of a manager process: connection to its node, role and deadline, heartbeats, timers,
 * and the manager's own descriptors, all on one poll loop in one thread.
 *
 * The runtime ends the process's loop when the node is gone (the connection breaks for good, or
 * the parent changed). Beside that the node has set PR_SET_PDEATHSIG, so a manager that hangs dies
 * with its node too.
 *
 * SIGINT and SIGTERM are ignored: a terminal or a service manager sends them to the whole group,
 * and it is the node that drains first and then stops its managers. */
#ifndef UNDERSTUDY_MANAGERS_COMMON_RUNTIME_H
#define UNDERSTUDY_MANAGERS_COMMON_RUNTIME_H

#include "managers/common/protocol.h"

#include <poll.h>

struct runtime;

/* Environment of a manager, set by the node. */
#define RUNTIME_ENV_NAME "UNDERSTUDY_MANAGER_NAME"         /* as the configuration calls it */
#define RUNTIME_ENV_ENDPOINT "UNDERSTUDY_MANAGER_ENDPOINT" /* "ipc:///run/.../managers.sock" */
#define RUNTIME_ENV_IDENTITY "UNDERSTUDY_MANAGER_IDENTITY" /* routing id of this process */
#define RUNTIME_ENV_PARENT "UNDERSTUDY_MANAGER_PARENT"     /* pid of the node, decimal */

#define RUNTIME_HEARTBEAT_MS 1000
#define RUNTIME_ROLE_ACK_MS 50 /* the end of the active role is confirmed within this */

/* Every function of the table is set, but for those that say otherwise; all run on the loop and
 * must not block. Arguments are borrowed for the call. */
struct runtime_callbacks {
    /* First message, and again after each change of the configuration. An error ends the process
     * at the first one, and keeps the old configuration later. */
    int (*configure)(void *context, const struct manager_configure *configure, struct err *err);
    /* The role changed (not at renewals). When it ends, return true when no effect of the old role
     * can follow; false to say so later with runtime_role_ended, within RUNTIME_ROLE_ACK_MS. */
    bool (*role)(void *context, bool active, uint64_t term);
    void (*grant)(void *context, const struct manager_grant *grant);
    void (*revoke)(void *context, const struct manager_revoke *revoke);
    void (*peer_observation)(void *context, const struct manager_peer_observation *observation);
    void (*members)(void *context, const struct manager_members *members);
    void (*command)(void *context, const struct manager_command *command);
    void (*paused)(void *context, bool paused);
    /* Fill *ret for the next heartbeat; it is zeroed before. */
    void (*heartbeat)(void *context, struct manager_heartbeat *ret);
    /* The node asks for the end: let go of what is held; the loop ends after this returns. */
    void (*stop)(void *context);
    /* The end of a run is known (runtime_run_ended). NULL: this manager carries no runs out. */
    void (*run_known)(void *context, const struct manager_run *run);
};

/* `name` and `version` as told in hello; callbacks and context outlive the runtime.
 * ERR_INVALID: the environment lacks what a node sets; ERR_IO: cannot connect. */
int runtime_create(const char *name, const char *version, const struct runtime_callbacks *callbacks,
                   void *context, struct runtime **ret, struct err *err);
void runtime_destroy(struct runtime **self_p);

/* Until stop or the end of the node. Returns the exit code of the process: 0 stopped by the node
 * or node gone, 1 failed (the reason went to stderr). */
int runtime_run(struct runtime *self);

/* End the loop from a callback. */
void runtime_end(struct runtime *self, int exit_code);

/* True when this manager may decide now: active, not paused, and the deadline lies ahead of
 * CLOCK_BOOTTIME. Ask before every effect. */
bool runtime_may_act(const struct runtime *self);
bool runtime_active(const struct runtime *self);
bool runtime_paused(const struct runtime *self);
uint64_t runtime_term(const struct runtime *self); /* of the latest active role; 0 before */

/* The late half of the role callback. */
void runtime_role_ended(struct runtime *self);

/* ---- messages to the node; a send that cannot be queued is dropped and counted ---- */

void runtime_observe(struct runtime *self, const void *bytes, size_t length);
/* `fields` may be NULL. */
void runtime_event(struct runtime *self, enum manager_level level, const char *kind,
                   const struct manager_document *fields, const char *format, ...)
    __attribute__((format(printf, 5, 6)));
/* The term is filled in. Does nothing unless runtime_may_act. Returns whether it was sent. */
bool runtime_duty_wanted(struct runtime *self, const struct manager_duty_wanted *wanted);
/* The same, in shadow too: what is scheduled is no effect, and the leader skips it there. */
bool runtime_schedule_wanted(struct runtime *self, const struct manager_schedule_wanted *wanted);
/* Dropped when it cannot be sent now: say it again until run_known. */
void runtime_run_ended(struct runtime *self, const struct manager_run_ended *ended);
void runtime_duty_state(struct runtime *self, const struct manager_duty_state *state);
void runtime_released(struct runtime *self, const char *duty, uint64_t assignment);
void runtime_reply(struct runtime *self, const struct manager_reply *reply);
uint64_t runtime_dropped(const struct runtime *self);

/* ---- effects outside the cluster, once ----
 *
 * The manager wishes an effect under a key and does nothing more; the runtime repeats the wish
 * until the intent is closed, and calls back when the effect is to be performed, or when the other
 * side is to be asked whether it has happened already. It does so for intents that earlier leaders
 * left open, too, which this process never wished: so key and object must say all that is needed.
 *
 * Everything here ends with the active role, without a callback: what was under way is verified by
 * the next leader, or in the next role. An answer that comes after that is dropped. */

#define RUNTIME_INTENTS_MAX 128
#define RUNTIME_INTENT_REPEAT_MS 200
#define RUNTIME_INTENT_LATER_MS 2000 /* after "ask later" */

struct runtime_intent {
    char key[MANAGER_INTENT_KEY_SIZE]; /* the manager's name, "/", and what names the effect */
    char object[MANAGER_INTENT_OBJECT_SIZE]; /* what it touches: one intent on it at a time */
    enum manager_intent_policy policy;
    int64_t keep_ms; /* how long the key may still come again */
};

/* Every function is set. Each answer may be given from within the call or later, and names the
 * number of the call: an answer to a call of an earlier role says nothing any more. */
struct runtime_intent_callbacks {
    /* Ask the other side now whether it has happened. Answer: runtime_intent_verified. */
    void (*verify)(void *context, const struct runtime_intent *intent, uint64_t number);
    /* Perform it now, with the key wherever the other side can hold it. Answer:
     * runtime_intent_performed, or runtime_intent_lost. Who makes the effect later than in this
     * call asks runtime_intent_may right before it, and when it says no, answers that it has not
     * happened (runtime_intent_verified). The fencing token is runtime_term. */
    void (*perform)(void *context, const struct runtime_intent *intent, uint64_t number);
    /* It is done, whoever did it, or parked. */
    void (*closed)(void *context, const struct manager_intent *intent);
};

/* Once, before runtime_run; called with the context of the runtime. */
void runtime_take_intents(struct runtime *self, const struct runtime_intent_callbacks *callbacks);

/* Wish it. Harmless for a key that is wished already. ERR_DENIED: not allowed to act now, or in
 * shadow; ERR_FULL: RUNTIME_INTENTS_MAX; ERR_INVALID: key or object are none. */
int runtime_intent(struct runtime *self, const struct runtime_intent *intent, struct err *err);

void runtime_intent_verified(struct runtime *self, uint64_t number,
                             enum manager_intent_evidence evidence, const char *detail);
void runtime_intent_performed(struct runtime *self, uint64_t number,
                              enum manager_intent_verdict verdict, const char *outcome);
/* No answer, or one that does not say whether it happened. */
void runtime_intent_lost(struct runtime *self, uint64_t number);
/* It is to be performed, and may be at this instant. */
bool runtime_intent_may(const struct runtime *self, uint64_t number);

/* A line to the manager's log (stderr, which the node collects); no secrets. */
void runtime_log(enum manager_level level, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* ---- timers and descriptors ---- */

typedef void runtime_timer_fn(void *context);
typedef void runtime_fd_fn(void *context, int fd, short revents);

/* every: repeat. Returns an id > 0, or -1 when out of memory. */
int runtime_timer(struct runtime *self, int64_t delay_ms, bool every, runtime_timer_fn *function,
                  void *context);
void runtime_timer_cancel(struct runtime *self, int id);

/* Watch `fd` for POLLIN and/or POLLOUT (errors are told always). Again for a watched fd: changes
 * events, function and context. Unwatch before close. 0 or ERR_NOMEM. */
int runtime_watch(struct runtime *self, int fd, short events, runtime_fd_fn *function,
                  void *context);
void runtime_unwatch(struct runtime *self, int fd);

#endif
