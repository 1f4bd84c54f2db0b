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
#define RUNTIME_ENV_ENDPOINT "UNDERSTUDY_MANAGER_ENDPOINT" /* "ipc:///run/.../managers.sock" */
#define RUNTIME_ENV_IDENTITY "UNDERSTUDY_MANAGER_IDENTITY" /* routing id of this process */
#define RUNTIME_ENV_PARENT "UNDERSTUDY_MANAGER_PARENT"     /* pid of the node, decimal */

#define RUNTIME_HEARTBEAT_MS 1000
#define RUNTIME_ROLE_ACK_MS 50 /* the end of the active role is confirmed within this */

/* Every function of the table is set; all run on the loop and must not block. Arguments are
 * borrowed for the call. */
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
void runtime_duty_state(struct runtime *self, const struct manager_duty_state *state);
void runtime_released(struct runtime *self, const char *duty, uint64_t assignment);
void runtime_reply(struct runtime *self, const struct manager_reply *reply);
uint64_t runtime_dropped(const struct runtime *self);

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
