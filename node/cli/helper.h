/* Runs a program of this build's libexec folder and takes the one JSON document that it prints. */
#ifndef UNDERSTUDY_NODE_CLI_HELPER_H
#define UNDERSTUDY_NODE_CLI_HELPER_H

#include "node/client/understudy.h"

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#define HELPER_OUTPUT_BYTES_MAX (32u << 20)
#define HELPER_WORDS_MAX 96

struct helper_call {
    const char *program;                 /* its name in libexec */
    const char *words[HELPER_WORDS_MAX]; /* arguments, borrowed; NULL ends them */
    const char *input;                   /* for its standard input, or NULL: none; at most 32 KiB */
    int64_t time_ms;                     /* it is ended after that */
};

/* An exit code. *ret_document is the caller's, set when that is 0. The program runs without a
 * shell, with our environment, and dies with us. */
int helper_run(const struct helper_call *call, json_t **ret_document,
               struct understudy_error *error);

#endif
