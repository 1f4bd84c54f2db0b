#include "consensus/runs.h"
#include "tests/fuzz/seed.h"

int main(int argc, char **argv)
{
    static const struct run_report reports[] = {
        {.duty = "run/report@20261122T051500Z#1",
         .assignment = 812,
         .raft_id = 7,
         .outcome = RUN_RAN,
         .reason = RUN_EXIT,
         .started_wall_ms = 1795324500000,
         .ended_wall_ms = 1795324501000},
        {.duty = "run/report@m1234#12",
         .assignment = 1,
         .raft_id = 2,
         .outcome = RUN_FAILED,
         .reason = RUN_NOT_STARTED,
         .exit_status = -1,
         .ended_wall_ms = 5},
        {.duty = "run/report@20261122T051500Z#2",
         .assignment = UINT64_MAX,
         .raft_id = UINT64_MAX,
         .outcome = RUN_UNKNOWN,
         .reason = RUN_HOLDER_GONE,
         .exit_status = 256 + 9,
         .started_wall_ms = INT64_MAX,
         .ended_wall_ms = INT64_MAX},
    };
    if (argc != 2) {
        return 2;
    }
    for (size_t i = 0; i < sizeof reports / sizeof reports[0]; i++) {
        struct mp_writer writer;
        char name[2] = {(char)('a' + i), '\0'};
        mp_writer_init(&writer, 1024);
        if (run_report_encode(&reports[i], &writer) != 0) {
            return 1;
        }
        seed_write(argv[1], name, -1, writer.buffer.data, writer.buffer.length);
        mp_writer_deinit(&writer);
    }
    return 0;
}
