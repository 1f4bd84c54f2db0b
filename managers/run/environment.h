/* The environment of a run: some variables of ours, those of its configuration, those of its file,
 * the later ones instead of the earlier. Pure. */
#ifndef UNDERSTUDY_MANAGERS_RUN_ENVIRONMENT_H
#define UNDERSTUDY_MANAGERS_RUN_ENVIRONMENT_H

#include "node/base/err.h"

#include <stddef.h>

#define ENVIRONMENT_VARIABLES_MAX 1024
#define ENVIRONMENT_FILE_BYTES_MAX 65536

struct environment {
    size_t count;
    char *variables[ENVIRONMENT_VARIABLES_MAX + 1]; /* "NAME=value", NULL at the end */
};

void environment_init(struct environment *self);
void environment_deinit(struct environment *self);

/* ERR_INVALID: no name for a variable; ERR_FULL; ERR_NOMEM. No message ever holds a value. */
int environment_set(struct environment *self, const char *name, const char *value, struct err *err);

/* Lines NAME=VALUE; empty ones and those that begin with # are skipped, blanks around a line
 * too; a value that is quoted as a whole, by ' or ", loses the quotes. Nothing is expanded.
 * Names that begin with UNDERSTUDY_ are ours and skipped. ERR_INVALID names the line. */
int environment_parse(struct environment *self, const char *text, struct err *err);

/* The value, NULL when it is not set. */
const char *environment_get(const struct environment *self, const char *name);

#endif
