/* What the programs seeds_* share: one seed into a folder; ends the program when that fails. */
#ifndef UNDERSTUDY_TESTS_FUZZ_SEED_H
#define UNDERSTUDY_TESTS_FUZZ_SEED_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

/* kind < 0: no byte in front that chooses the decoder. */
static inline void seed_write(const char *folder, const char *name, int kind, const void *bytes,
                              size_t length)
{
    char path[4096];
    int written = snprintf(path, sizeof path, "%s/seed-%s", folder, name);
    FILE *file = written > 0 && (size_t)written < sizeof path ? fopen(path, "wb") : NULL;
    if (file == NULL || (kind >= 0 && fputc(kind, file) == EOF) ||
        (length > 0 && fwrite(bytes, 1, length, file) != length) || fclose(file) != 0) {
        (void)fprintf(stderr, "%s cannot be written\n", path);
        exit(1);
    }
}

#endif
