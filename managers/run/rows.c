/* What goes on here, for the others and for people. Durations only, no times: the clocks of two
 * nodes do not agree. */
#include "managers/run/run.h"

#include "node/base/doc.h"

static json_t *describe(const struct carried *carried, int64_t now_ms)
{
    const struct attempt *attempt = &carried->attempt;
    bool ran = attempt->started_wall_ms > 0;
    bool ended = attempt->phase == ATTEMPT_ENDED;
    return json_pack("{so so sI ss so so so sI so}", "duty", doc_text(carried->duty), "schedule",
                     doc_text(carried->name.schedule), "assignment",
                     (json_int_t)carried->assignment, "state", attempt_phase_name(attempt->phase),
                     "outcome",
                     ended ? json_string(manager_outcome_name(attempt->outcome)) : json_null(),
                     "pid", doc_count_or_null(carried->pidfd >= 0 ? carried->guard : -1), "for_ms",
                     doc_count_or_null(ran && !ended ? now_ms - attempt->started_ms : -1), "bytes",
                     (json_int_t)carried->output.total, "detail", doc_text(attempt->detail));
}

json_t *run_rows(const struct run *self, int64_t now_ms, size_t max, size_t *ret_left_out)
{
    json_t *rows = json_array();
    *ret_left_out = 0;
    for (size_t i = 0; i < RUN_ATTEMPTS_MAX; i++) {
        const struct carried *carried = &self->carried[i];
        if (!carried->used) {
            continue;
        }
        if (json_array_size(rows) < max) {
            (void)json_array_append_new(rows, describe(carried, now_ms));
        } else {
            (*ret_left_out)++;
        }
    }
    return rows;
}
