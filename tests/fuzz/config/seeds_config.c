/* A small and a rich configuration, and all that `config show` writes for each. */
#include "node/config/config.h"
#include "tests/fuzz/seed.h"

#include <string.h>

static const char rich[] =
    "cluster:\n"
    "  name: demo\n"
    "  node: n1\n"
    "  peers: {n1: tcp://a:1, n2: tcp://b:1, n3: \"tcp://[::1]:1\"}\n"
    "  profile: local\n"
    "labels: {zone: &z a, same: *z}\n"
    "grants: {ttl: 10s, renew: 1s}\n"
    "managers:\n"
    "  pm2:\n"
    "    mode: shadow\n"
    "    primaries:\n"
    "    - {name: worker, memory: 300MB, on: [n1, n2]}\n"
    "    backups:\n"
    "    - {name: b, stands_in_for: worker, script: x.js, env: {A: b}, when_unreachable: wait}\n"
    "    - {name: c, mode: always, script: \"y\\u00e9.js\", args: ['1', two], kill_timeout: 2s}\n"
    "  other: {program: /x, options: {a: [1, {b: c}], d: 1.5, e: ~}}\n";

int main(int argc, char **argv)
{
    static const char *const texts[] = {"cluster: {node: n1}\n", rich};
    for (int i = 0; i < 2 && argc == 2; i++) {
        struct config_sources sources = {
            .file = "seed", .text = texts[i], .text_length = strlen(texts[i])};
        struct config_errors errors;
        struct config *config = NULL;
        if (config_load(&sources, &config, &errors) != 0) {
            (void)fprintf(stderr, "%s: %s\n", errors.items[0].where, errors.items[0].message);
            return 1;
        }
        char *shown = config_show_text(config, false);
        if (shown == NULL) {
            return 1;
        }
        seed_write(argv[1], i == 0 ? "small" : "rich", -1, texts[i], strlen(texts[i]));
        seed_write(argv[1], i == 0 ? "small-shown" : "rich-shown", -1, shown, strlen(shown));
        free(shown);
        config_destroy(&config);
    }
    return argc == 2 ? 0 : 2;
}
