/* Writes one seed into the folder. */
#ifndef UNDERSTUDY_TESTS_FUZZ_CONTROL_SEED_FILE_H
#define UNDERSTUDY_TESTS_FUZZ_CONTROL_SEED_FILE_H

#include "node/base/mp.h"

#include <stdio.h>
#include <stdlib.h>

/* kind < 0: no byte in front that chooses the decoder. */
static inline void seed_file(const char *folder, const char *name, int kind,
                             const struct mp_writer *writer)
{
    char path[512];
    (void)snprintf(path, sizeof path, "%s/seed-%s", folder, name);
    FILE *file = fopen(path, "wb");
    if (file == NULL || (kind >= 0 && fputc(kind, file) == EOF) ||
        fwrite(writer->buffer.data, 1, writer->buffer.length, file) != writer->buffer.length ||
        fclose(file) != 0) {
        (void)fprintf(stderr, "%s cannot be written\n", path);
        exit(1);
    }
}

#endif
