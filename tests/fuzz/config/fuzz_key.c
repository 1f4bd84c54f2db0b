/* Any bytes as a key file. */
#include "node/base/invariant.h"
#include "node/config/key_files.h"

#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    struct key_own key;
    struct err err = {.code = 0};
    for (int secret = 0; secret < 2; secret++) {
        if (key_parse("fuzz", (const char *)bytes, length, secret == 1, &key, &err) == 0) {
            invariant(key_valid_name(key.name));
            invariant(key_valid_z85(key.public_key));
            invariant((key.secret_key[0] != '\0') == (secret == 1));
        } else {
            invariant(err.code != 0 && key.secret_key[0] == '\0');
        }
    }
    return 0;
}
