/* Shared by the files of the runtime; nobody else includes it. */
#ifndef UNDERSTUDY_MANAGERS_COMMON_RUNTIME_PRIVATE_H
#define UNDERSTUDY_MANAGERS_COMMON_RUNTIME_PRIVATE_H

#include "managers/common/runtime.h"

#include <czmq.h>

#define RUNTIME_OUTBOX_MAX 256 /* messages that must not get lost, until the node reads them */

struct runtime_out {
    uint8_t *bytes;
    size_t length;
};

struct runtime_timer {
    struct runtime_timer *next;
    int id;
    bool every;
    runtime_timer_fn *function;
    void *context;
};

struct runtime_watch {
    struct runtime_watch *next;
    int fd;
    runtime_fd_fn *function;
    void *context;
};

enum runtime_wish_phase {
    RUNTIME_WISH_WANTED,
    RUNTIME_WISH_VERIFYING,
    RUNTIME_WISH_PERFORMING,
    RUNTIME_WISH_TELLING, /* performed; told until it is closed */
};

struct runtime_wish {
    struct runtime_intent is;
    enum runtime_wish_phase phase;
    uint64_t ticket;  /* under which the next step may be heeded */
    uint64_t begun;   /* under which the present step was */
    int64_t again_ms; /* not wanted again before */
    enum manager_intent_verdict verdict;
    char outcome[REASON_SIZE];
};

struct runtime {
    const struct runtime_callbacks *callbacks;
    void *context;
    char name[NAME_SIZE];
    char version[NAME_SIZE];
    pid_t parent;

    zsock_t *socket; /* DEALER to the node */
    zloop_t *loop;
    int deadline_fd; /* timerfd on CLOCK_BOOTTIME: end of the active role */
    int exit_code;
    bool ended;

    bool configured;
    bool shadow;
    bool paused;
    bool active;
    bool ending; /* the active role is over, the manager has not finished with it */
    uint64_t term;
    int64_t deadline_ms;
    struct manager_role next_role; /* arrived while the one before was ending */
    bool has_next_role;

    struct mp_writer writer;
    struct runtime_out outbox[RUNTIME_OUTBOX_MAX];
    size_t outbox_first;
    size_t outbox_count;
    uint64_t dropped;

    const struct runtime_intent_callbacks *intent_callbacks; /* NULL: it has none */
    struct runtime_wish wishes[RUNTIME_INTENTS_MAX];
    size_t wish_count;
    uint64_t last_ticket;
    int wish_timer; /* 0: none */

    struct runtime_timer *timers;
    struct runtime_watch *watches;
};

/* must: keep it until the node takes it (bounded), instead of dropping it. */
void runtime_send(struct runtime *self, const struct manager_message *message, bool must);
void runtime_flush(struct runtime *self);
void runtime_send_deinit(struct runtime *self);
void runtime_loop_deinit(struct runtime *self);
/* The active role has ended. */
void runtime_intents_forget(struct runtime *self);
void runtime_intents_take(struct runtime *self, const struct manager_intent *intent);

#endif
