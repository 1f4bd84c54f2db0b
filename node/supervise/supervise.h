/* Starts, watches, restarts and ends the managers of this node, and speaks with them.
 *
 * Runs on the node's loop thread, and forks from it only: PR_SET_PDEATHSIG is a matter of the
 * parent's thread. Nothing blocks. A manager that hangs, floods or crashes costs the node nothing
 * but a bounded queue and a restart with backoff.
 *
 * Lease: every manager gets the role with a deadline a little before the lease's end
 * (SUPERVISE_DEADLINE_MARGIN_MS), falls to standby there by itself and says so. One that has not
 * said so at the lease's end, or SUPERVISE_ACK_MS after it was told to end, is killed (SIGKILL) and
 * awaited by its pidfd. Then, and only then, `managers_ended` is told. */
#ifndef UNDERSTUDY_NODE_SUPERVISE_SUPERVISE_H
#define UNDERSTUDY_NODE_SUPERVISE_SUPERVISE_H

#include "managers/common/protocol.h"

struct _zloop_t; /* czmq's zloop_t */
struct supervise;

#define SUPERVISE_ACK_MS 50
#define SUPERVISE_DEADLINE_MARGIN_MS 15
#define SUPERVISE_HEARTBEAT_TIMEOUT_MS 5000 /* silence after which a manager counts as hung */
#define SUPERVISE_START_TIMEOUT_MS 15000    /* from fork to hello */
#define SUPERVISE_BACKOFF_MIN_MS 200
#define SUPERVISE_BACKOFF_MAX_MS 30000
#define SUPERVISE_HEALTHY_MS 60000        /* run time after which the backoff starts anew */
#define SUPERVISE_FAILURES_MAX 5          /* restarts in a row before state failed and an alert */
#define SUPERVISE_MESSAGES_PER_SECOND 500 /* what comes faster is dropped and counted */
#define SUPERVISE_EVENTS_PER_SECOND 20 /* of them: events are kept, and others' must not be lost */

/* failed: it has ended SUPERVISE_FAILURES_MAX times in a row (tried again at the longest backoff),
 * or it speaks another protocol. paused goes before running and degraded. */
enum supervise_state {
    SUPERVISE_STARTING,
    SUPERVISE_RUNNING,
    SUPERVISE_DEGRADED,
    SUPERVISE_FAILED,
    SUPERVISE_STANDBY, /* runs, role standby */
    SUPERVISE_PAUSED,
};
const char *supervise_state_name(enum supervise_state state); /* "running", never NULL */

struct supervise_row {
    char name[NAME_SIZE];
    enum supervise_state state;
    bool active; /* role: active or standby */
    bool paused;
    bool shadow;
    int64_t pid;              /* 0 when none runs */
    uint64_t restarts;        /* since the node started */
    unsigned failures;        /* ends in a row that nobody asked for; 0 once it is healthy */
    int64_t heartbeat_age_ms; /* -1 before the first */
    int64_t silent_ms;        /* since its last sign of life; 0 while it starts or is down */
    bool score_known;
    double score;
    double capability;        /* 0 while it does not run or has not said */
    uint64_t dropped;         /* messages over the rate */
    uint64_t refused;         /* malformed or not allowed */
    char detail[REASON_SIZE]; /* its own words, or why it does not run */
    char version[NAME_SIZE];  /* as it said hello last; empty: it never did */
    size_t capability_count;
    char capabilities[MANAGER_CAPABILITIES_MAX][NAME_SIZE];
};

struct supervise_config {
    char node[NAME_SIZE];
    char cluster[NAME_SIZE];
    char environment[NAME_SIZE];
    char runtime_dir[MANAGER_PATH_SIZE]; /* the socket managers.sock is made here */
    char data_dir[MANAGER_PATH_SIZE];    /* each manager gets managers/NAME below */
    char lock_dir[MANAGER_PATH_SIZE];
    char guard_path[MANAGER_PATH_SIZE];
    char guard_socket[MANAGER_PATH_SIZE];
    uint64_t rng_seed; /* jitter of the backoff; 0: from the system */
};

/* Every function is set, but for those that say otherwise; all run on the loop thread and may
 * call any function of this header but supervise_destroy. Arguments are borrowed for the call;
 * `manager` is the manager's name. */
struct supervise_callbacks {
    /* Configured and ready, after each (re)start: send it members, peers' observations and the
     * grants that this node holds. Its role is sent by itself. */
    void (*ready)(void *context, const char *manager);
    void (*heartbeat)(void *context, const char *manager, const struct manager_heartbeat *beat);
    void (*observation)(void *context, const char *manager, const uint8_t *bytes, size_t length);
    /* Also of the supervision's own: kind "manager.restarted", "manager.failed", "manager.killed".
     */
    void (*event)(void *context, const char *manager, const struct manager_event *event);
    /* Only from an active manager of the present term before the lease's end; the duty's id
     * starts with the manager's name. */
    void (*duty_wanted)(void *context, const char *manager,
                        const struct manager_duty_wanted *wanted);
    /* Allowed as duty_wanted is, and in shadow too. NULL: refused and counted. */
    void (*schedule_wanted)(void *context, const char *manager,
                            const struct manager_schedule_wanted *wanted);
    /* Repeated until supervise_run_known. The duty's id starts with the manager's name. NULL:
     * refused and counted. */
    void (*run_ended)(void *context, const char *manager, const struct manager_run_ended *ended);
    void (*duty_state)(void *context, const char *manager, const struct manager_duty_state *state);
    /* One of MANAGER_INTENT_WANTED, _VERIFIED, _PERFORMED; from whom duty_wanted may come, and its
     * key starts with the manager's name. What was performed is taken from a paused one, too. */
    void (*intent)(void *context, const char *manager, const struct manager_message *message);
    void (*released)(void *context, const char *manager, const struct manager_released *released);
    void (*reply)(void *context, const char *manager, const struct manager_reply *reply);
    /* Every manager that was active in `term` has confirmed its end or is dead. Told once for each
     * end of the active role, also when no manager was active (then from within
     * supervise_set_role). */
    void (*managers_ended)(void *context, uint64_t term);
    /* A line of the manager's stderr, or one of the supervision's own about it. Printable text. */
    void (*log)(void *context, const char *manager, enum manager_level level, const char *text);
    /* After supervise_stop: no manager runs any more. */
    void (*stopped)(void *context);
};

/* Binds the socket. ERR_EXISTS: a live daemon has it; ERR_INVALID: the path is too long. */
int supervise_create(struct _zloop_t *loop, const struct supervise_config *config,
                     const struct supervise_callbacks *callbacks, void *context,
                     struct supervise **ret, struct err *err);
/* Kills what still runs and waits for it (SIGKILL: short). */
void supervise_destroy(struct supervise **self_p);

/* Start the manager NAME from the program at `path` (absolute). `section` is its configuration, a
 * msgpack map, copied; shadow: decide, do nothing. ERR_EXISTS, ERR_FULL (MANAGERS_MAX). */
int supervise_add(struct supervise *self, const char *name, const char *path,
                  const struct manager_document *section, bool shadow, struct err *err);

/* A changed configuration, sent to the running process. ERR_NOTFOUND. */
int supervise_configure(struct supervise *self, const char *name,
                        const struct manager_document *section, bool shadow, struct err *err);

/* Decide and do nothing (shadow), or act: the section stays as it is. ERR_NOTFOUND. */
int supervise_shadow(struct supervise *self, const char *name, bool shadow, struct err *err);

/* The node's right to act, at every change and every renewal.
 *
 * active       this node is acting as leader of `term`
 * deadline_ms  end of the lease; ignored when not active
 *
 * With active false (or at the deadline) the roles end as written above. A later term ends an
 * earlier one first: it is given to a manager only after that manager confirmed or died. */
void supervise_set_role(struct supervise *self, int64_t now_ms, bool active, uint64_t term,
                        int64_t deadline_ms);

/* True while a manager may still act under any term: what a transfer waits for. */
bool supervise_any_active(const struct supervise *self);

/* Messages to the manager NAME; ERR_NOTFOUND: unknown or not ready (`ready` will be told);
 * ERR_FULL: it does not read. `err` may be NULL. */
int supervise_grant(struct supervise *self, const char *name, const struct manager_grant *grant,
                    struct err *err);
int supervise_revoke(struct supervise *self, const char *name, const struct manager_revoke *revoke,
                     struct err *err);
int supervise_peer_observation(struct supervise *self, const char *name,
                               const struct manager_peer_observation *observation, struct err *err);
int supervise_intent(struct supervise *self, const char *name, const struct manager_intent *intent,
                     struct err *err);
/* The end of a run's attempt is recorded, or nobody asks for it any more: forget it. */
int supervise_run_known(struct supervise *self, const char *name, const struct manager_run *run,
                        struct err *err);
int supervise_command(struct supervise *self, const char *name,
                      const struct manager_command *command, struct err *err);
/* To every ready manager. */
void supervise_members(struct supervise *self, const struct manager_members *members);

/* pause: watches on, decides nothing; survives restarts of the manager. ERR_NOTFOUND. */
int supervise_pause(struct supervise *self, const char *name, struct err *err);
int supervise_resume(struct supervise *self, const char *name, struct err *err);
/* Ends the process and starts it at once, with the backoff forgotten. */
int supervise_restart(struct supervise *self, const char *name, struct err *err);

/* Ask all managers to stop, kill those that have not after `grace_ms`; `stopped` follows. */
void supervise_stop(struct supervise *self, int64_t now_ms, int64_t grace_ms);

/* Rows in the order of supervise_add; returns their number, at most `count_max`. */
size_t supervise_list(const struct supervise *self, int64_t now_ms, struct supervise_row *ret,
                      size_t count_max);

#endif
