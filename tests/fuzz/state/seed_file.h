/* One seed into a folder. */
#ifndef UNDERSTUDY_TESTS_FUZZ_STATE_SEED_FILE_H
#define UNDERSTUDY_TESTS_FUZZ_STATE_SEED_FILE_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

static inline void seed_file(const char *folder, const char *name, const uint8_t *bytes,
                             size_t length)
{
    char path[4096];
    int written = snprintf(path, sizeof(path), "%s/%s", folder, name);
    FILE *file = written > 0 && (size_t)written < sizeof(path) ? fopen(path, "wb") : NULL;
    if (file == NULL || fwrite(bytes, 1, length, file) != length || fclose(file) != 0) {
        perror(folder);
        exit(1);
    }
}

#endif
