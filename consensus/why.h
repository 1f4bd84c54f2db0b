/* Why things are as they are: the chain of causes behind a leader, a duty, a run or an alert, read
 * from the replicated state alone.
 *
 * So any node answers alike, a follower too, and so does a saved snapshot. A chain goes from the
 * present back in time, and ends where the state has forgotten what came before (then it is not
 * whole). Each step has a stable reason (the names of command.h and state_work.h) and a sentence in
 * plain words. Pure. */
#ifndef UNDERSTUDY_CONSENSUS_WHY_H
#define UNDERSTUDY_CONSENSUS_WHY_H

#include "consensus/state.h"
#include "consensus/state_work.h"

#define WHY_STEPS_MAX 24
#define WHY_TEXT_SIZE 512

struct why_step {
    int64_t wall_ms; /* 0: unknown */
    uint64_t term;
    uint64_t index;         /* of the log entry; 0: it is no entry */
    char reason[NAME_SIZE]; /* "primary_down" */
    char who[NAME_SIZE];    /* who decided it; "" is the state itself */
    char text[WHY_TEXT_SIZE];
};

struct why {
    char answer[WHY_TEXT_SIZE]; /* the present, in one sentence */
    char reason[NAME_SIZE];     /* its nearest cause; "unknown" when that was forgotten */
    bool whole;                 /* nothing of the chain was forgotten */
    size_t count;
    struct why_step steps[WHY_STEPS_MAX]; /* the newest first */
};

/* The present leader, as the history has it. ERR_NOTFOUND: none was ever recorded. */
int why_leader(const struct state *state, struct why *ret, struct err *err);
/* Where the duty runs and why there, or why it does not run. ERR_NOTFOUND: no such duty. `wall_ms`
 * is the present. */
int why_duty(const struct state *state, const char *id, int64_t wall_ms, struct why *ret,
             struct err *err);
/* Why a run was started, skipped or missed, and how it ended. ERR_NOTFOUND: no such run (any more),
 * ERR_INVALID: not the id of a run. */
int why_run(const struct state *state, const char *id, struct why *ret, struct err *err);
int why_alert(const struct state *state, const char *key, struct why *ret, struct err *err);

#endif
