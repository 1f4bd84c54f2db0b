/* A control endpoint on a loop thread of its own, with handlers that tests steer. */
#ifndef UNDERSTUDY_TESTS_CONTROL_FIXTURE_H
#define UNDERSTUDY_TESTS_CONTROL_FIXTURE_H

#include "node/control/control.h"

#include <stdatomic.h>
#include <stdbool.h>

struct fixture {
    char folder[64];
    char path[96];
    char endpoint[112];
    /* Steering; set before or while it runs. */
    atomic_bool quorum;
    atomic_bool leads;
    atomic_bool leader_known;
    atomic_bool outside;
    atomic_int flood;         /* items that an `events` handler sends at once */
    atomic_int held;          /* `drain` requests that are held */
    atomic_int closed;        /* on_close calls */
    atomic_int finished_exit; /* of the last finished request, -1 before */
    int64_t deadline_ms;
    size_t requests_max;
    size_t requests_per_client_max;
    size_t stream_queue_max;
    /* With tcp (with_tcp): an admission table with these keys, and roles by it. */
    bool with_tcp;
    char node_public[41];
    char node_secret[41];
    char operator_public[41];
    char operator_secret[41];
    char viewer_public[41];
    char viewer_secret[41];
    char tcp[128];                    /* where it is bound */
    struct control_counters counters; /* fixture_counters */
    _Atomic(struct fixture *) leader; /* where leader's verbs are passed on to */
    void *internal;
};

void fixture_init(struct fixture *self);
/* Starts the thread; returns control_create's code. */
int fixture_start(struct fixture *self);
/* Run `work` on the loop's thread and wait for it. */
void fixture_run(struct fixture *self, void (*work)(struct fixture *self, struct control *control));
void fixture_counters(struct fixture *self);
void fixture_stop(struct fixture *self);
void fixture_deinit(struct fixture *self);

#endif
