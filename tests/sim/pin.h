/* A run as a text file: profile of options, rules that are off, seed, faults, and how it must end.
 *
 *   understudy-sim schedule 1
 *   seed 330
 *   set delay=3
 *   off transfer_is_final
 *   expect I3
 *   fault 8323000 transfer 1 0
 *
 * Options that are not named have their defaults. `expect` is the check that fails, or ok. A fault
 * is its time in microseconds, its kind and what it drew (schedule.h). Lines that begin with # are
 * for people. */
#ifndef UNDERSTUDY_TESTS_SIM_PIN_H
#define UNDERSTUDY_TESTS_SIM_PIN_H

#include "tests/sim/options.h"
#include "tests/sim/schedule.h"

struct pin {
    uint64_t seed;
    struct options options; /* replay and record are NULL */
    bool any_off;           /* some rule is off */
    char expect[8];         /* "I3"; "ok" */
    struct schedule schedule;
};

/* ERR_IO, ERR_INVALID (the line is named). */
int pin_read(const char *path, struct pin *ret, struct err *err);
/* `found` is a line for people, or NULL. ERR_IO. */
int pin_write(const char *path, const struct pin *pin, const char *found, struct err *err);

/* Run it: 0 when it ends as expected, and, when rules are off, ends well with all of them on. */
int pin_run(const char *path, bool verbose);

#endif
