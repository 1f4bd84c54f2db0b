/* Attempts of runs, as the nodes carry them out and the leader places them.
 *
 * The attempt of a run is a duty; this is the manager that carries it out, and its guard. It begins
 * when the grant is there and takes effect at once; it lasts a random time, ends well or badly, or
 * outlives its grant, and then the guard ends it. Its end is reported to the leader until the
 * state shows it. With the node's process its knowledge ends; guards go on. */
#ifndef UNDERSTUDY_TESTS_SIM_RUNNING_H
#define UNDERSTUDY_TESTS_SIM_RUNNING_H

#include "consensus/runs.h"
#include "tests/sim/sim.h"

#define RUNNING_BEGUN_MAX 256
#define RUNNING_OWED_MAX 64

/* Of the process. */
struct running {
    size_t begun_count;
    uint64_t begun[RUNNING_BEGUN_MAX]; /* assignments that it began, a ring */
    size_t owed_count;
    struct run_report owed[RUNNING_OWED_MAX];
    int64_t owed_at_ms;
};

bool running_is_attempt(const char *duty); /* of a run */

/* Its process runs at this moment. */
bool running_runs(const struct node *node, const struct attempt *attempt);

/* ---- the holder ---- */
/* Deadlines to the guards of attempts; begin what may begin, end what stands no more. */
void running_feed(struct node *node);
/* Take up what has ended, end what is not wanted, report. */
void running_after(struct node *node);
/* EVENT_ATTEMPT: the program of that assignment ends by itself. */
void running_ended(struct node *node, uint64_t assignment);
/* Every attempt on the host is stopped. */
void running_stop_all(struct node *node);
/* The host wakes: what outlived its grant is stopped. */
void running_host_wakes(struct node *node);

/* ---- the leader ---- */
/* Commit what was released or has no holder any more, and, without `manage`, assign. */
void running_place(struct node *node);
void running_receive(struct node *node, const struct message *message);

#endif
