/* The parts of the engine (engine.h) and what they share.
 *
 * attempt.c decides, carry.c does; start.c begins an attempt, tell.c says the schedules,
 * rows.c and answer.c tell what goes on; engine.c holds them together. */
#ifndef UNDERSTUDY_MANAGERS_RUN_RUN_H
#define UNDERSTUDY_MANAGERS_RUN_RUN_H

#include "managers/run/attempt.h"
#include "managers/run/engine.h"
#include "managers/run/files.h"
#include "managers/run/output.h"
#include "managers/run/slot.h"

#define RUN_ATTEMPTS_MAX 512     /* as many as the cluster has under way at once */
#define RUN_FORGOTTEN_MAX 256    /* duties whose revocation is still to come */
#define RUN_GUARD_SETTLE_MS 5000 /* a guard of an earlier life of ours holds its lock by then */
#define RUN_TELL_MS 10000        /* the whole list of schedules is said again */
#define RUN_TELL_PER_TICK 40     /* below the rate that the node takes */

/* An attempt that this node was granted, until its end is known. */
struct carried {
    struct run *run;
    bool used;
    char duty[DUTY_ID_SIZE];
    struct slot_name name;
    bool named; /* the duty has the form of a run's */
    uint64_t assignment;
    uint64_t term;
    struct attempt attempt;
    bool begun; /* its files are there */
    struct output output;
    int pipe_fd;      /* -1: none */
    pid_t guard;      /* 0: unknown, of an earlier life of ours */
    int pidfd;        /* -1: not our child, or awaited */
    int guard_status; /* as waitpid tells it, once awaited */
    int64_t resumed_ms;
    unsigned over_limit; /* measurements in a row */
};

struct run {
    struct runtime *runtime;
    const struct schedules_source *source;
    struct manager_configure configure; /* its section is not kept */
    struct schedules *schedules;
    struct files files;
    bool ready; /* the folder is there and what an earlier life left is taken up */
    struct carried carried[RUN_ATTEMPTS_MAX];
    char forgotten[RUN_FORGOTTEN_MAX][DUTY_ID_SIZE];
    size_t forgotten_next;
    size_t tell_next; /* row of the list that is said next */
    int64_t tell_ms;  /* when its round began */
    bool has_news;
};

/* ---- carry.c ---- */
/* Take up what an earlier life of this manager left. */
void run_carry_resume(struct run *self);
void run_carry_tick(struct run *self);
void run_carry_close(struct run *self);

/* ---- start.c ---- */
/* Whether the attempt may be started here; *ret_detail says why not. */
bool start_allowed(const struct carried *carried, uint64_t digest,
                   enum manager_run_reason *ret_reason, const char **ret_detail);
/* Write down that it begins, then start its guard. Whatever comes back, it is not started again. */
int start_guard(struct carried *carried, struct err *err);
/* Pipe and output of an attempt whose files are there. */
int start_open(struct carried *carried, struct err *err);

/* ---- tell.c ---- */
void tell_begin(struct run *self); /* from the first row on */
void tell_step(struct run *self, int64_t now_ms);

#endif
