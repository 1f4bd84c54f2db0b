#include "tests/fuzz/managers/section.h"
#include "tests/fuzz/seed.h"

static const char text[] =
    "cluster: {node: n1}\n"
    "managers:\n"
    "  pm2:\n"
    "    poll: 1s\n"
    "    homes: [/home/x/.pm2]\n"
    "    primaries:\n"
    "    - {name: p, memory: 300MB, on: [n1, n2], critical: true}\n"
    "    backups:\n"
    "    - {name: b, stands_in_for: p, script: x.js, env: {A: b}, when_unreachable: wait}\n"
    "    - {name: c, script: /y.py, args: ['1'], kill_timeout: 2s, mode: always, settle: 1s}\n";

int main(int argc, char **argv)
{
    struct mp_writer section;
    if (argc != 2 || !section_write(text, sizeof text - 1, "pm2", &section)) {
        (void)fprintf(stderr, "%s\n", argc == 2 ? "the node refuses the seed" : "usage");
        return 1;
    }
    seed_write(argv[1], "document", 0, section.buffer.data, section.buffer.length);
    seed_write(argv[1], "yaml", 1, text, sizeof text - 1);
    seed_write(argv[1], "up", 0, "up", 2);
    mp_writer_deinit(&section);
    return 0;
}
