/* What is written down of an attempt before its guard is started, and again when it has ended: so
 * that another life of this manager neither starts it a second time nor loses its end. Lines "key
 * value", the last one "whole 1". Pure. */
#ifndef UNDERSTUDY_MANAGERS_RUN_RECORD_H
#define UNDERSTUDY_MANAGERS_RUN_RECORD_H

#include "managers/common/protocol_run.h"

#define RECORD_SIZE 1024
#define RECORD_OUTPUT_MIN 1024
#define RECORD_OUTPUT_MAX (INT64_C(1) << 24)
#define RECORD_KILL_TIMEOUT_MS 1600 /* of an understudy-guard that is told nothing else */
#define RECORD_KILL_TIMEOUT_MAX_MS 3600000

/* What the executor keeps of a schedule's limits; 0: none. */
struct record_limits {
    int64_t progress_ms; /* without output */
    int64_t finish_ms;
    int64_t min_runtime_ms;
    int64_t output_bytes;
    int64_t keep;            /* outputs of this schedule, this one among them */
    int64_t kill_timeout_ms; /* between SIGTERM and SIGKILL */
};

struct record {
    uint64_t assignment;
    uint64_t term;
    int64_t started_boot_ms;
    int64_t started_wall_ms;
    struct record_limits limits;
    bool ended; /* the rest holds */
    enum manager_outcome outcome;
    enum manager_run_reason reason;
    int32_t exit_status;
    int64_t ended_wall_ms;
};

/* Into `ret`, terminated; returns the length. */
size_t record_write(const struct record *self, char ret[RECORD_SIZE]);

/* False: not a whole record. Unknown keys of later versions are skipped. */
bool record_read(const char *text, struct record *ret);

#endif
