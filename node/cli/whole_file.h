/* Files as a whole: read within a bound, and written so that nobody ever sees half of one. */
#ifndef UNDERSTUDY_NODE_CLI_WHOLE_FILE_H
#define UNDERSTUDY_NODE_CLI_WHOLE_FILE_H

#include "node/base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The regular file's bytes, malloc'd (never NULL on success); the caller frees. 0; ERR_NOTFOUND,
 * ERR_DENIED, ERR_INVALID (no regular file, or more than `most` bytes), ERR_IO, ERR_NOMEM. */
int whole_file_read(const char *file, size_t most, uint8_t **ret, size_t *ret_length,
                    struct err *err);

/* May it be written? ERR_EXISTS: it is there, and `replace` is false or it is no regular file. */
int whole_file_may_write(const char *file, bool replace, struct err *err);

/* Write a file of mode 0600 beside it, bring it to the disk, and give it its name. Without
 * `replace` a file that came there meanwhile stays (ERR_EXISTS). 0, ERR_EXISTS, ERR_NOTFOUND (no
 * such folder), ERR_DENIED, ERR_INVALID (the name is too long), ERR_IO; what was there is as
 * before. */
int whole_file_write(const char *file, const uint8_t *bytes, size_t length, bool replace,
                     struct err *err);

#endif
