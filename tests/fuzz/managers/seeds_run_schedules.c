#include "tests/fuzz/managers/section.h"
#include "tests/fuzz/seed.h"

static const char text[] =
    "cluster: {node: n1}\n"
    "managers:\n"
    "  run:\n"
    "    zone: UTC\n"
    "    schedules:\n"
    "    - {name: a, run: [echo, x], cron: '15 5 * * 1-5', env: {A: b}, on: [n1], retries: 2}\n"
    "    - {name: b, run: 'a | b', shell: true, every: 25m, anchor: '2026-01-01T00:00:00+01:00',\n"
    "       gap: skip, fold: both, overlap: replace, misfire: run_all, finish_deadline: 1h}\n"
    "    - {name: c, run: [/x], cron: '@daily', zone: UTC, output: 1MB, keep: 3, cwd: /tmp}\n";

int main(int argc, char **argv)
{
    struct mp_writer section;
    if (argc != 2 || !section_write(text, sizeof text - 1, "run", &section)) {
        (void)fprintf(stderr, "%s\n", argc == 2 ? "the node refuses the seed" : "usage");
        return 1;
    }
    seed_write(argv[1], "document", 0, section.buffer.data, section.buffer.length);
    seed_write(argv[1], "yaml", 1, text, sizeof text - 1);
    mp_writer_deinit(&section);
    return 0;
}
