/* What the acting leader decides about runs that are under way: their end, their next attempt, that
 * nobody could start them in time.
 *
 * A run's attempt is an exclusive duty that is assigned to a node at most once. It ends by what its
 * node tells (a report), or, when the node cannot tell any more, as soon as it is certain that
 * nothing of it runs (an obituary, the end of its grant): then nobody saw its end, and it is
 * `unknown` unless the schedule wants such runs repeated. Every end is one command, which the state
 * accepts once. Pure.
 *
 * What a slot that ran ends as:
 * - its program went well, and no sooner than min_runtime_s: ran; sooner: failed (too_short);
 * - it failed: retried while retries are left, then failed;
 * - its node could not start it: again, a little later, at most RUNS_UNSTARTED_MAX times; this uses
 *   no retry up;
 * - nobody saw its end: with retry_unknown retried as after a failure, else unknown;
 * - its end was asked for: failed for that reason (skipped, when it had never started);
 * - nobody could start it by its start deadline: missed (failed, when an earlier attempt had
 *   started). That counts from the slot; for a retry from the end of its wait, for a manual or a
 *   late run from its decision, and then it is at least RUNS_START_LEAST_S. */
#ifndef UNDERSTUDY_CONSENSUS_RUNS_H
#define UNDERSTUDY_CONSENSUS_RUNS_H

#include "consensus/state.h"
#include "consensus/state_work.h"

#define RUNS_UNSTARTED_MAX 10
#define RUNS_START_LEAST_S 60
#define RUNS_REPORT_WAIT_MS 5000 /* for the report of a holder that has released already */

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

/* As those of grants_message.h. */
int run_report_encode(const struct run_report *report, struct mp_writer *writer);
int run_report_decode(const uint8_t *bytes, size_t length, struct run_report *ret, struct err *err);

/* The command that ends (or repeats) the attempt; false: the state knows it already, it is not its
 * holder's word, or it is to be retried and the wall clock is not `trusted`, so that its wait would
 * be counted from a wrong time (the report comes again).
 *
 * Retries wait backoff_s * 2^(failures - 1), at most backoff_max_s, with up to a quarter of that
 * added by a hash of the run's id, so that a new leader says the same. */
bool runs_take_report(const struct state *state, const struct run_report *report, int64_t wall_ms,
                      bool trusted, struct command *ret);

/* For each run under way that needs it, the command that brings it on: cancelled and not assigned,
 * past its start deadline, its duty released without a report, cancelled by the next slot (overlap
 * `replace`; only when that slot's run stands in the state). `max` at most. `trusted`: the wall
 * clock is; without, only what needs no clock. Says the same until the state shows it. */
size_t runs_step(const struct state *state, int64_t wall_ms, bool trusted, struct command *ret,
                 size_t max);

/* When runs_step has something to do next for the sake of time alone; INT64_MAX: never. Step as
 * well when the wall clock becomes trusted, and now and then while runs are under way: instants in
 * the state may have been written by a wrong clock. */
int64_t runs_next_wall_ms(const struct state *state);

/* May placement assign this attempt's duty now? Not before its retry's wait is over nor after its
 * start deadline; and unless overlap is `allow`, only when no older run of its schedule is under
 * way. True for duties that are no runs. */
bool runs_may_place(const struct state *state, const char *duty, int64_t wall_ms);

#endif
