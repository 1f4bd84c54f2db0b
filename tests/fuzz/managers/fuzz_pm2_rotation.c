/* What the rotation of logs reads that others wrote: names in folders, logrotate's configuration,
 * the head of a log. The first byte chooses. */
#include "managers/pm2/logs/cut.h"
#include "managers/pm2/logs/policy.h"
#include "managers/pm2/logs/rotators.h"
#include "node/base/invariant.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_name(const char *text, size_t length)
{
    char *name = strndup(text, length);
    struct rotated_name parsed;
    if (name != NULL && rotated_name_parse(name, &parsed)) {
        invariant(parsed.base_length > 0);
        invariant(parsed.base_length + POLICY_STAMP_SIZE <= strlen(name));
        invariant(name[parsed.base_length] == '.');
    }
    free(name);
}

static void on_pattern(void *context, const char *pattern)
{
    size_t *left = context;
    invariant(pattern[0] == '/' && *left >= strlen(pattern));
    *left -= strlen(pattern);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) {
        return 0;
    }
    const char *text = (const char *)data + 1;
    size_t length = size - 1;
    size_t left = length;
    switch (data[0] % 3) {
    case 0:
        read_name(text, length);
        break;
    case 1:
        logrotate_scan(text, length, on_pattern, &left);
        break;
    default: {
        size_t filling = cut_filling(text, length);
        invariant(filling <= length && (filling == 0 || text[filling - 1] == '\n'));
        break;
    }
    }
    return 0;
}
