/* What the acting leader decides about runs that are under way: their end, their next attempt, that
 * nobody could start them in time.
 *
 * A run's attempt is an exclusive duty that is assigned to a node at most once. It ends by what its
 * node tells (a report), or, when the node cannot tell any more, as soon as it is certain that
 * nothing of it runs (an obituary, the end of its grant): then nobody saw its end, and it is
 * `unknown` unless the schedule wants such runs repeated. Every end is one command, which the state
 * accepts once. Pure. */
#ifndef UNDERSTUDY_CONSENSUS_RUNS_H
#define UNDERSTUDY_CONSENSUS_RUNS_H

#include "consensus/state.h"
#include "consensus/state_work.h"

/* What the node that carried an attempt out says of its end; repeated until the state shows it. */
struct run_report {
    char duty[DUTY_ID_SIZE];
    uint64_t assignment;
    uint64_t raft_id;
    enum run_outcome outcome; /* RUN_RAN, RUN_FAILED; RUN_UNKNOWN: lost track of it */
    enum run_reason reason;
    int exit_status;
    int64_t started_wall_ms; /* 0: it never started */
    int64_t ended_wall_ms;
};

int run_report_encode(const struct run_report *report, struct mp_writer *writer);
int run_report_decode(const uint8_t *bytes, size_t length, struct run_report *ret, struct err *err);

/* The command that ends (or repeats) the attempt; false: the state knows it already, or it is not
 * its holder's word. Retries wait backoff_s * 2^(attempt - 1), at most backoff_max_s, with up to a
 * quarter of that added by a hash of the run's id, so that a new leader says the same. */
bool runs_take_report(const struct state *state, const struct run_report *report, int64_t wall_ms,
                      struct command *ret);

/* For each run under way that needs it, the command that brings it on: cancelled and not assigned,
 * past its start deadline, its duty released without a report, cancelled by the next slot. `max`
 * at most. `trusted`: the wall clock is; without, only what needs no clock. */
size_t runs_step(const struct state *state, int64_t wall_ms, bool trusted, struct command *ret,
                 size_t max);

/* When runs_step has something to do next for the sake of time alone; INT64_MAX: never. */
int64_t runs_next_wall_ms(const struct state *state);

/* May placement assign this attempt's duty now (its retry's wait is over)? True for duties that are
 * no runs. */
bool runs_may_place(const struct state *state, const char *duty, int64_t wall_ms);

#endif
