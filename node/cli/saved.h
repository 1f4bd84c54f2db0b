/* A file of `snapshot save`, read: what the command line answers from without a node. */
#ifndef UNDERSTUDY_NODE_CLI_SAVED_H
#define UNDERSTUDY_NODE_CLI_SAVED_H

#include "consensus/state.h"
#include "node/cli/cli.h"
#include "node/snapshot/snapshot_file.h"

struct saved {
    const char *file; /* borrowed */
    size_t bytes;     /* of the file */
    struct snapshot_about about;
    struct state *state;
};

/* An exit code: UNDERSTUDY_NOT_FOUND, UNDERSTUDY_DENIED, UNDERSTUDY_PRECONDITION (of a newer
 * version) or UNDERSTUDY_FAILED (no such file, damaged) with the error told. End it with
 * saved_close in any case. */
int saved_open(const char *file, struct saved *ret, struct understudy_error *error);
void saved_close(struct saved *self);

/* The envelope as the node would have filled it then: its name, cluster, term and time. Always
 * stale, as the file is not the present; "snapshot" says so for programs. */
json_t *saved_envelope(const struct saved *self, const struct verb *verb, json_t *data_take);

/* Tell what is wrong with a file, or with reading it: an exit code. */
int saved_fail(const char *file, const struct err *err, struct understudy_error *error);

#endif
