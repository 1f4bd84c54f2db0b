#include "node/base/doc.h"
#include "node/config/config.h"
#include "tests/fuzz/seed.h"

#include <string.h>

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
    struct config *config = NULL;
    struct config_errors errors;
    struct config_sources sources = {.file = "seed", .text = text, .text_length = sizeof text - 1};
    struct mp_writer writer;
    if (argc != 2 || config_load(&sources, &config, &errors) != 0) {
        (void)fprintf(stderr, "%s\n", argc == 2 ? errors.items[0].message : "usage");
        return 1;
    }
    json_t *section = config_manager_document(config, "pm2");
    mp_writer_init(&writer, 1 << 16);
    if (doc_to_msgpack(section, &writer, NULL) != 0) {
        return 1;
    }
    seed_write(argv[1], "document", 0, writer.buffer.data, writer.buffer.length);
    seed_write(argv[1], "yaml", 1, text, sizeof text - 1);
    seed_write(argv[1], "up", 0, "up", 2);
    mp_writer_deinit(&writer);
    json_decref(section);
    config_destroy(&config);
    return 0;
}
