#include "node/daemon/report.h"
#include "tests/fuzz/seed.h"

int main(int argc, char **argv)
{
    static const struct report report = {
        .leads_term = 7,
        .manager_count = 2,
        .managers = {{.name = "pm2",
                      .state = "running",
                      .active = true,
                      .restarts = 2,
                      .score_known = true,
                      .score = 87.5,
                      .failures = 1,
                      .version = "1",
                      .capability_count = 1,
                      .capabilities = {"fork"}},
                     {.name = "other"}},
        .duty_count = 2,
        .duties = {{"pm2/a", 3, "running"}, {"pm2/b", UINT64_MAX, "stopping"}},
    };
    static const uint8_t document[] = {0x81, 0xa1, 'a', 0x01};
    if (argc != 2) {
        return 2;
    }
    for (int i = 0; i < 4; i++) {
        static const char *const names[] = {"report", "observation", "state", "leave"};
        struct mp_writer writer;
        mp_writer_init(&writer, REPORT_BYTES_MAX);
        int rc = 0;
        if (i == 0) {
            rc = report_encode(&report, &writer);
        } else if (i == 1) {
            rc = report_observation_encode("pm2", document, sizeof document, &writer);
        } else if (i == 2) {
            const struct told_state told = {
                .term = 3, .index = 41, .bytes = document, .length = sizeof document};
            rc = told_state_encode(&told, &writer);
        } else {
            leave_encode(&writer);
        }
        if (rc != 0) {
            return 1;
        }
        seed_write(argv[1], names[i], -1, writer.buffer.data, writer.buffer.length);
        mp_writer_deinit(&writer);
    }
    return 0;
}
