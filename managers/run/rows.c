/* What goes on here, for the others and for people. Durations only, no times: the clocks of two
 * nodes do not agree. */
#include "managers/run/run.h"

#include "node/base/clock.h"
#include "node/base/doc.h"

#include <stdio.h>
#include <string.h>

#define OBSERVATION_VERSION 1
#define ROWS_MAX 128

static json_t *describe(const struct carried *carried, int64_t now_ms)
{
    const struct attempt *attempt = &carried->attempt;
    bool ran = attempt->started_wall_ms > 0;
    bool ended = attempt->phase == ATTEMPT_ENDED;
    return json_pack("{so sI ss so so so sI so}", "duty", doc_text(carried->duty), "assignment",
                     (json_int_t)carried->assignment, "state", attempt_phase_name(attempt->phase),
                     "outcome",
                     ended ? json_string(manager_outcome_name(attempt->outcome)) : json_null(),
                     "pid", doc_count_or_null(carried->pidfd >= 0 ? carried->guard : -1), "for_ms",
                     doc_count_or_null(ran && !ended ? now_ms - attempt->started_ms : -1), "bytes",
                     (json_int_t)carried->output.total, "detail", doc_text(attempt->detail));
}

static json_t *observe_document(const struct run *self, int64_t now_ms)
{
    json_t *rows = json_array();
    size_t left_out = 0;
    for (size_t i = 0; i < RUN_ATTEMPTS_MAX; i++) {
        const struct carried *carried = &self->carried[i];
        if (!carried->used) {
            continue;
        }
        if (json_array_size(rows) < ROWS_MAX) {
            (void)json_array_append_new(rows, describe(carried, now_ms));
        } else {
            left_out++;
        }
    }
    return json_pack("{si so sb sI so sI}", "v", OBSERVATION_VERSION, "node",
                     doc_text(self->configure.node), "can_run", run_can_run(self), "schedules",
                     (json_int_t)self->schedules->count, "runs", rows, "left_out",
                     (json_int_t)left_out);
}

void observe_send(struct run *self, int64_t now_ms)
{
    self->observe_now = false;
    self->observed_ms = now_ms;
    json_t *document = observe_document(self, now_ms);
    struct mp_writer writer;
    struct err err = {0};
    mp_writer_init(&writer, MANAGER_OBSERVATION_BYTES_MAX);
    if (document != NULL && doc_to_msgpack(document, &writer, &err) == 0) {
        runtime_observe(self->runtime, writer.buffer.data, writer.buffer.length);
    } else {
        runtime_log(MANAGER_WARN, "observation not sent: %s", err.msg);
    }
    mp_writer_deinit(&writer);
    json_decref(document);
}
