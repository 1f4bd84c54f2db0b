/* What the id of a run's duty says: "run/report@20261122T051500Z#2" is the second attempt of the
 * schedule "report" at that instant, "run/report@m1234" the first of a run that a person started.
 * `prefix` is the name of the manager whose schedules they are, and a slash: "run/". Pure. */
#ifndef UNDERSTUDY_MANAGERS_RUN_SLOT_H
#define UNDERSTUDY_MANAGERS_RUN_SLOT_H

#include "node/base/limits.h"

#include <stdbool.h>
#include <stdint.h>

#define SLOT_TEXT_SIZE 32

struct slot_name {
    char schedule[NAME_SIZE]; /* without the prefix */
    int64_t slot_s;           /* seconds of UTC since 1970; 0: started by a person */
    uint64_t number;          /* then this one; else 0 */
    uint32_t attempt;         /* from 1 */
    bool attempt_named;       /* "#2" was there */
};

/* False: it has no such form. */
bool slot_parse(const char *prefix, const char *duty, struct slot_name *ret);

/* The slot as RFC 3339, "2026-11-22T05:15:00Z"; empty for a run that a person started. */
void slot_text(const struct slot_name *self, char ret[SLOT_TEXT_SIZE]);

/* The same run, whichever attempt. */
bool slot_same_run(const struct slot_name *a, const struct slot_name *b);

/* The id of the run, without its attempt: "run/report@20261122T051500Z". */
void slot_run_id(const char *prefix, const struct slot_name *self, char ret[DUTY_ID_SIZE]);

#endif
