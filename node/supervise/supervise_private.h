/* Shared by the files of the supervision; nobody else includes it. */
#ifndef UNDERSTUDY_NODE_SUPERVISE_SUPERVISE_PRIVATE_H
#define UNDERSTUDY_NODE_SUPERVISE_SUPERVISE_PRIVATE_H

#include "node/supervise/supervise.h"

#include "node/base/rng.h"
#include "node/watch/watch.h"

#include <czmq.h>

#define SUPERVISE_IDENTITY_SIZE (NAME_SIZE + 40)
#define SUPERVISE_LINE_SIZE 1024
#define SUPERVISE_LINES_PER_SECOND 200
#define SUPERVISE_RESTART_GRACE_MS 1000
#define SUPERVISE_STALL_MS 500 /* a timer so late means that our own loop stood still */
/* A manager that sends this many times the rate does nothing else: it is ended. */
#define SUPERVISE_FLOOD_FACTOR 20

enum child_phase {
    CHILD_DOWN,     /* no process; the next one starts at next_start_ms */
    CHILD_STARTING, /* forked, no hello yet */
    CHILD_READY,    /* configured */
    CHILD_ENDING,   /* asked to stop; killed at kill_at_ms */
    CHILD_KILLED,   /* SIGKILL sent, its end not seen yet */
};

/* How much came within the present second. */
struct rate {
    int64_t second;
    uint64_t count;
};

struct child {
    char name[NAME_SIZE];
    char path[MANAGER_PATH_SIZE];
    uint8_t *section;
    size_t section_length;
    bool shadow;
    bool paused;

    enum child_phase phase;
    char identity[SUPERVISE_IDENTITY_SIZE]; /* routing id of this life of it */
    pid_t pid;
    int pidfd;
    int life_fd; /* its standard input: closes with us */
    int log_fd;  /* its standard output and error */
    int64_t started_ms;
    int64_t next_start_ms;
    int64_t kill_at_ms;
    uint64_t starts;
    unsigned failures; /* in a row */
    bool refused_protocol;
    char version[NAME_SIZE]; /* of its hello */
    size_t capability_count;
    char capabilities[MANAGER_CAPABILITIES_MAX][NAME_SIZE];

    /* Term of the active role that it was given and has not confirmed the end of; 0: none. */
    uint64_t role_term;
    int64_t ack_by_ms; /* 0: not told to end it */

    bool has_beat;
    int64_t beat_ms;
    struct manager_heartbeat beat;
    struct rate messages;
    struct rate events;
    struct rate lines;
    uint64_t dropped;
    uint64_t refused;
    char detail[REASON_SIZE];

    char line[SUPERVISE_LINE_SIZE];
    size_t line_length;
};

struct supervise {
    zloop_t *loop;
    struct supervise_config config;
    const struct supervise_callbacks *callbacks;
    void *context;
    char endpoint[MANAGER_PATH_SIZE + 8];
    zsock_t *router;
    struct watch *router_watch;
    int timer_fd;     /* CLOCK_BOOTTIME, armed for the earliest of all deadlines */
    int64_t armed_ms; /* what it is armed for */
    struct rng rng;
    struct mp_writer writer;

    struct child children[MANAGERS_MAX];
    size_t child_count;

    bool active;       /* the lease stands as far as we know */
    bool asked_active; /* what the node said last */
    uint64_t term;
    int64_t deadline_ms;
    bool owes_ended; /* managers_ended is to be told for ended_term */
    uint64_t ended_term;

    bool stopping;
    bool stopped_told;
    bool destroying; /* the node's side of the callbacks may be gone */
};

/* ---- supervise.c ---- */
struct child *supervise_find(struct supervise *self, const char *name);
void supervise_rearm(struct supervise *self);
/* True when one more in this second is within `bound`. */
bool supervise_within_rate(struct rate *rate, int64_t now_ms, uint64_t bound);
void supervise_tell(struct supervise *self, struct child *child, enum manager_level level,
                    const char *kind, const char *format, ...)
    __attribute__((format(printf, 5, 6)));

/* ---- supervise_process.c ---- */
void supervise_process_start(struct supervise *self, struct child *child, int64_t now_ms);
void supervise_process_kill(struct supervise *self, struct child *child, const char *why);
void supervise_process_tick(struct supervise *self, struct child *child, int64_t now_ms);
int64_t supervise_process_deadline(const struct supervise *self, const struct child *child);
void supervise_process_reap(struct supervise *self, struct child *child, int64_t now_ms, bool wait);

/* ---- supervise_role.c ---- */
/* Gives the present role to a child that is ready for it. */
void supervise_role_give(struct supervise *self, struct child *child);
/* The child confirmed or died: it can do nothing under its term any more. */
void supervise_role_over(struct supervise *self, struct child *child);
void supervise_role_tick(struct supervise *self, int64_t now_ms);
int64_t supervise_role_deadline(const struct supervise *self);

/* ---- supervise_messages.c ---- */
int supervise_messages_bind(struct supervise *self, struct err *err);
int supervise_messages_send(struct supervise *self, struct child *child,
                            const struct manager_message *message, struct err *err);
/* Take what waits, up to a bound. */
void supervise_messages_drain(struct supervise *self);
void supervise_messages_configure(struct supervise *self, struct child *child);

#endif
