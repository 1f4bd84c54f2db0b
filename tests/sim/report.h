/* What people read: the sum of many runs, and what led to a failure. */
#ifndef UNDERSTUDY_TESTS_SIM_REPORT_H
#define UNDERSTUDY_TESTS_SIM_REPORT_H

#include "tests/sim/runner.h"

struct tally {
    uint64_t runs;
    uint64_t failed;
    uint64_t crashed;
    struct stats stats;
};

void report_add(struct tally *self, const struct stats *one);
void report_tally(const char *name, const struct tally *tally, int64_t took_ms);

/* Run once more and print the last events in all, and then the last of each node. */
void report_history(const struct options *options, uint64_t seed);

/* Run once more and print everything. */
void report_trace(const struct options *options, uint64_t seed);

#endif
