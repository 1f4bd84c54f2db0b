/* A file that is written packed with gzip, or as it comes. */
#ifndef UNDERSTUDY_MANAGERS_PM2_LOGS_PACK_H
#define UNDERSTUDY_MANAGERS_PM2_LOGS_PACK_H

#include "node/base/err.h"

#include <stdbool.h>
#include <stddef.h>

#define PACK_BYTES 65536 /* written at once, at most */

struct pack;

/* `fd` stays the caller's and outlives it. ERR_NOMEM. */
int pack_create(int fd, bool compress, struct pack **ret, struct err *err);
void pack_destroy(struct pack **self_p);

/* ERR_FULL: no room on the disk; ERR_IO. */
int pack_write(struct pack *self, const void *bytes, size_t length, struct err *err);

/* The end of the file. Errors as pack_write. */
int pack_finish(struct pack *self, struct err *err);

#endif
