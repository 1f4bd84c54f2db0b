/* Runs seeds, each in a child process of its own: a defect may end in a crash, and a run that
 * hangs is ended. */
#ifndef UNDERSTUDY_TESTS_SIM_RUNNER_H
#define UNDERSTUDY_TESTS_SIM_RUNNER_H

#include "tests/sim/options.h"
#include "tests/sim/sim.h"

enum outcome { OUTCOME_OK, OUTCOME_VIOLATION, OUTCOME_CRASH, OUTCOME_HANG };

/* What the child does: it returns when all went well. */
typedef void run_function(const struct options *options, uint64_t seed, struct verdict *verdict,
                          bool tracing);

/* The ordinary run: random faults, then calm, then the checks of liveness. */
void runner_random(const struct options *options, uint64_t seed, struct verdict *verdict,
                   bool tracing);

/* One run in a child. *ret is what it left; its output goes to the file `trace`
 * ("-": to ours, NULL: nowhere). */
enum outcome runner_one(run_function *run, const struct options *options, uint64_t seed,
                        struct verdict *ret, const char *trace);

const char *outcome_name(enum outcome outcome);

#endif
