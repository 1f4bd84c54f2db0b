/* The kept output of one attempt, on disk, within its bound (layout.h).
 *
 * While the run is under way it is the file KEY.part: a line with the number of bytes that came in
 * all, then head and ring. At the end it becomes KEY.out, plain text as a person reads it. */
#ifndef UNDERSTUDY_MANAGERS_RUN_OUTPUT_H
#define UNDERSTUDY_MANAGERS_RUN_OUTPUT_H

#include "managers/run/layout.h"
#include "node/base/err.h"

#include <stdbool.h>

struct output {
    int fd; /* -1: none */
    struct layout layout;
    uint64_t total;
    bool failed; /* the disk takes no more: what comes is dropped */
};

/* Begin the file, or go on with what is there. ERR_IO. On failure *ret takes no bytes. */
int run_output_open(const char *path, uint64_t bytes, struct output *ret, struct err *err);
void run_output_close(struct output *self);

void run_output_take(struct output *self, const void *bytes, size_t length);

/* Write what is kept to `path` as text, whole or not at all. ERR_IO. */
int run_output_finish(const struct output *self, const char *path, struct err *err);

/* At most `size` bytes of the text from `offset`; returns how many, and in *ret_length how long the
 * whole text is. */
size_t run_output_read_text(const struct output *self, uint64_t offset, char *ret, size_t size,
                            uint64_t *ret_length);

#endif
