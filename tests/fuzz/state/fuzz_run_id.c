/* Any text as the id of a run: what is read is written again to the byte. */
#include "consensus/state_work.h"
#include "node/base/invariant.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    char text[2 * RUN_ID_SIZE];
    if (length >= sizeof(text)) {
        return 0;
    }
    memcpy(text, bytes, length);
    text[length] = '\0';
    struct run_key key;
    uint32_t attempt;
    if (!run_parse(text, &key, &attempt)) {
        return 0;
    }
    char id[RUN_ID_SIZE];
    if (attempt == 0) {
        run_id(&key, id);
    } else {
        run_duty_id(&key, attempt, id);
    }
    invariant(strcmp(id, text) == 0);
    return 0;
}
