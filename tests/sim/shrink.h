/* The shortest schedule that still fails, by trial: delta debugging over the list of faults
 * (halves, quarters, ... single ones), then fewer duties, nodes and chances of messages, then less
 * time. */
#ifndef UNDERSTUDY_TESTS_SIM_SHRINK_H
#define UNDERSTUDY_TESTS_SIM_SHRINK_H

#include "tests/sim/pin.h"

struct shrink_result {
    size_t faults_before;
    size_t faults_after;
    size_t runs;
    bool reproduced; /* the recorded list of faults fails like the seed */
};

/* Shrink a seed that fails the check `check`, for at most `seconds`. *pin is the smallest that was
 * found; it fails the same check, with `ret_text` (400 bytes) as its words. */
void shrink_seed(const struct options *options, uint64_t seed, const char *check, int64_t seconds,
                 struct pin *ret, char *ret_text, struct shrink_result *ret_result);

#endif
