/* Any bytes as a configuration file. What is accepted must load again from what is shown of it. */
#include "node/base/invariant.h"
#include "node/config/config.h"
#include "node/config/yaml.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);
size_t LLVMFuzzerCustomMutator(uint8_t *bytes, size_t length, size_t max, unsigned seed);
size_t LLVMFuzzerMutate(uint8_t *bytes, size_t length, size_t max);

static void check_errors(const struct config_errors *errors)
{
    invariant(errors->errors > 0);
    invariant(errors->count > 0 && errors->count <= CONFIG_ERRORS_MAX);
    for (size_t i = 0; i < errors->count; i++) {
        invariant(errors->items[i].message[0] != '\0');
        invariant(errors->items[i].where[0] != '\0');
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    struct config *config = NULL;
    struct config_errors errors;
    struct config_sources sources = {
        .file = "fuzz", .text = (const char *)bytes, .text_length = length};
    if (config_load(&sources, &config, &errors) != 0) {
        check_errors(&errors);
        return 0;
    }
    char *shown = config_show_text(config, false);
    invariant(shown != NULL);
    struct config *again = NULL;
    sources.text = shown;
    sources.text_length = strlen(shown);
    invariant(config_load(&sources, &again, &errors) == 0);
    struct config_change *changes = NULL;
    size_t count = 0;
    invariant(config_reload_diff(config, again, &changes, &count) == 0);
    invariant(count == 0);
    json_decref(config_manager_document(config, "pm2"));
    config_destroy(&again);
    config_destroy(&config);
    free(shown);
    return 0;
}

/* Seeds made by the program itself: pieces of valid configurations, spliced into the input. */
static const char *const pieces[] = {
    "cluster: {name: demo, node: n1}\n",
    "cluster:\n  peers: {n1: tcp://a:1, n2: tcp://b:1, n3: tcp://c:1}\n  profile: local\n",
    "managers: {pm2: {primaries: [{name: p, memory: 300MB}], backups: [{name: b, script: x}]}}\n",
    "- {name: b, stands_in_for: p, script: x, env: {A: b}, when_unreachable: wait}\n",
    "labels: {a: &x b, c: *x}\n",
    "grants: {ttl: 10s, renew: 1s}\n",
    "health:\n  healthy_from: 82.5\n",
    "managers: {other: {program: /x, options: {a: [1, {b: c}], d: 1.5, e: ~}}}\n",
};

size_t LLVMFuzzerCustomMutator(uint8_t *bytes, size_t length, size_t max, unsigned seed)
{
    const char *piece = pieces[seed / 4 % (sizeof(pieces) / sizeof(pieces[0]))];
    size_t added = strlen(piece);
    if (seed % 4 == 0 && length + added <= max) {
        memcpy(bytes + length, piece, added);
        return length + added;
    }
    if (seed % 4 == 1 && added <= max) {
        memcpy(bytes, piece, added);
        return LLVMFuzzerMutate(bytes, added, max);
    }
    return LLVMFuzzerMutate(bytes, length, max);
}
