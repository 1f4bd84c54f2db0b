/* Any bytes as a node's report of a run's end. What decodes can be encoded again and says the same
 * then. */
#include "consensus/runs.h"
#include "node/base/invariant.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    struct run_report first = {0};
    struct run_report second = {0};
    struct mp_writer writer;
    if (run_report_decode(bytes, length, &first, NULL) != 0) {
        return 0;
    }
    mp_writer_init(&writer, 1024);
    invariant(run_report_encode(&first, &writer) == 0);
    invariant(run_report_decode(writer.buffer.data, writer.buffer.length, &second, NULL) == 0);
    invariant(strcmp(first.duty, second.duty) == 0);
    invariant(first.assignment == second.assignment);
    invariant(first.raft_id == second.raft_id);
    invariant(first.outcome == second.outcome);
    invariant(first.reason == second.reason);
    invariant(first.exit_status == second.exit_status);
    invariant(first.started_wall_ms == second.started_wall_ms);
    invariant(first.ended_wall_ms == second.ended_wall_ms);
    mp_writer_deinit(&writer);
    return 0;
}
