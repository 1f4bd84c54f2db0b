/* The log's file on the writer's thread: appending, rotation, compression, keeping time. */
#ifndef UNDERSTUDY_NODE_LOG_FILE_H
#define UNDERSTUDY_NODE_LOG_FILE_H

#include "node/base/err.h"

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct log_file {
    char dir[PATH_MAX];
    char name[NAME_MAX];
    int64_t max_bytes;
    int64_t keep_days;
    int fd; /* -1: not open; 2: standard error, never rotated */
    int64_t bytes;
    int day; /* local day of the file's first line, as year * 1000 + day of the year */
    uint64_t rotations;
    uint64_t failures;
};

/* An empty `dir` means standard error. */
int log_file_open(struct log_file *self, struct err *err);
void log_file_close(struct log_file *self);
void log_file_reopen(struct log_file *self);

/* Rotates when the line does not fit or belongs to another local day, then appends it with its
 * newline. False when it was not written. */
bool log_file_append(struct log_file *self, const char *line, size_t length, int64_t wall_ms);

/* Compress rotated files that are not yet, delete those past the keeping time. Slow. */
void log_file_tidy(struct log_file *self, int64_t wall_ms);

/* Whether a rotation left work for log_file_tidy. */
bool log_file_wants_tidy(const struct log_file *self);

#endif
