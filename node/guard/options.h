/* Command line of understudy-guard. */
#ifndef UNDERSTUDY_NODE_GUARD_OPTIONS_H
#define UNDERSTUDY_NODE_GUARD_OPTIONS_H

#include "node/base/limits.h"

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>

#define GUARD_EXIT_USAGE 2
#define GUARD_EXIT_FAILED 1
#define GUARD_GRANT_WAIT_MS 2000 /* for the first grant; then POST_EXIT_LOST */
#define GUARD_LOCK_WAIT_MS 2000  /* for another guard of the duty to end */

struct guard_options {
    struct sockaddr_un socket;
    char duty[DUTY_ID_SIZE];
    char lock_path[PATH_MAX];
    char end_path[PATH_MAX]; /* file for how it ended; "": none is written */
    int64_t kill_timeout_ms;
    bool stop_on_disconnect;
    char *const *program; /* NULL-terminated argument vector */
};

/* 0, or the exit code after a message on standard error (-1: help was asked for and given). */
int options_parse(int argc, char *const argv[], struct guard_options *ret);

#endif
