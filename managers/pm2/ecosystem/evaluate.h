/* Evaluates an ecosystem file with node, in a child process in a group of its own, with limits of
 * time, memory and output. What the file prints is thrown away; what it exports comes over a
 * descriptor of its own. At the end, whatever it is, nothing of the group is left. */
#ifndef UNDERSTUDY_MANAGERS_PM2_ECOSYSTEM_EVALUATE_H
#define UNDERSTUDY_MANAGERS_PM2_ECOSYSTEM_EVALUATE_H

#include "node/base/err.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define EVALUATE_TIME_MS 10000
#define EVALUATE_RESULT_BYTES_MAX (4u << 20)
#define EVALUATE_PRINTED_BYTES_MAX (16u << 20) /* a file that prints more is ended */
#define EVALUATE_MEMORY_BYTES_MAX (1024u << 20)
#define EVALUATE_NOT_STARTED 127 /* exit code: node, or the file's folder, cannot be used */

struct evaluate_request {
    const char *node; /* absolute */
    const char *file; /* absolute; a regular file */
    /* What to try, in turn: "expression" (as PM2 does with .json), "yaml", "require", "import" and
     * "module" (the text as a CommonJS module, whatever the name), with commas. */
    const char *ways;
    const char *env_name; /* or NULL */
    int64_t time_ms;
};

enum evaluate_end {
    EVALUATE_ANSWERED,
    EVALUATE_TIMED_OUT,
    EVALUATE_FLOODED, /* too much output, or too large a result */
    EVALUATE_ENDED,   /* it ended before it exported anything */
};

struct evaluate_result {
    enum evaluate_end end;
    /* {"way", "value", "failed": [{"way", "message", "line", "column"}]}; without "way" when none
     * worked. NULL unless answered. The caller's. */
    json_t *answer;
    int status;           /* of waitpid */
    size_t printed_bytes; /* on standard output and error */
    bool as_owner;        /* with the rights of the file's owner instead of root's */
};

/* Blocks for at most request->time_ms and a little. 0; ERR_IO when no process could be started. */
int evaluate(const struct evaluate_request *request, struct evaluate_result *ret, struct err *err);

#endif
