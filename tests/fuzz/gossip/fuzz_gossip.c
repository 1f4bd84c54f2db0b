/* Bytes from anywhere into a node that knows some members: every decoder and every rule behind it,
 * one message after the other, with time between them. */
#include "tests/fuzz/gossip/subject.h"

#include <string.h>

#define PARTS_MAX 32

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct subject subject = {0};
    subject_begin(&subject);
    for (unsigned i = 0; i < PARTS_MAX && size > 0; i++) {
        const uint8_t *end = memmem(data, size, SUBJECT_SEPARATOR, SUBJECT_SEPARATOR_BYTES);
        size_t length = end == NULL ? size : (size_t)(end - data);
        subject_take(&subject, data, length);
        size_t used = end == NULL ? size : length + SUBJECT_SEPARATOR_BYTES;
        data += used;
        size -= used;
    }
    subject_pass(&subject, 40);
    subject_end(&subject);
    return 0;
}
