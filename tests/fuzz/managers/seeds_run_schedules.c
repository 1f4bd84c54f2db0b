#include "node/base/doc.h"
#include "node/config/config.h"
#include "tests/fuzz/seed.h"

#include <string.h>

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
    struct config *config = NULL;
    struct config_errors errors;
    struct config_sources sources = {.file = "seed", .text = text, .text_length = sizeof text - 1};
    struct mp_writer writer;
    if (argc != 2 || config_load(&sources, &config, &errors) != 0) {
        (void)fprintf(stderr, "%s\n", argc == 2 ? errors.items[0].message : "usage");
        return 1;
    }
    json_t *section = config_manager_document(config, "run");
    mp_writer_init(&writer, 1 << 16);
    if (doc_to_msgpack(section, &writer, NULL) != 0) {
        return 1;
    }
    seed_write(argv[1], "document", 0, writer.buffer.data, writer.buffer.length);
    seed_write(argv[1], "yaml", 1, text, sizeof text - 1);
    mp_writer_deinit(&writer);
    json_decref(section);
    config_destroy(&config);
    return 0;
}
