/* One kept version of a home's list, as a file: a line about it, then its rows (saved.h), both
 * JSON. The first line alone is enough to tell of it. Pure. */
#ifndef UNDERSTUDY_MANAGERS_PM2_VERSION_H
#define UNDERSTUDY_MANAGERS_PM2_VERSION_H

#include "managers/pm2/lists/wanted.h"
#include "node/base/err.h"

#include <stddef.h>

#define VERSION_FORMAT 1
#define VERSION_HEAD_BYTES_MAX (128 << 10)
#define VERSION_BYTES_MAX (24 << 20)
#define VERSION_CHANGES_MAX 20
#define VERSION_BOOT_ID_SIZE 40

struct version {
    int64_t number; /* from 1 */
    char home[512];
    char boot_id[VERSION_BOOT_ID_SIZE]; /* of the machine when it was written */
    int64_t wall_ms;
    uint64_t life; /* wanted.h */
    bool tidied;
    enum wanted_loss loss;
    json_t *names;   /* of all rows */
    json_t *changes; /* against the version before */
    json_t *daemon;  /* facts.h; NULL unknown */
    json_t *rows;    /* NULL when only the head was read */
};

void version_deinit(struct version *self);

/* The file's text, free() it; NULL when out of memory or larger than VERSION_BYTES_MAX. Says
 * nothing of names that self->names lacks: they are taken from the rows. */
char *version_text(const struct version *self);

/* Of a file's bytes, which need no NUL. ERR_CORRUPT; ERR_UNSUPPORTED: written by a later version.
 * *ret is ended with version_deinit, after an error too. */
int version_read(const char *text, size_t length, struct version *ret, struct err *err);
/* The first line alone; `length` may end anywhere behind it. */
int version_read_head(const char *text, size_t length, struct version *ret, struct err *err);

#endif
