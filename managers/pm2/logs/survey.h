/* The rotated files that lie beside the logs: looks for them and deletes what is to go. Reads
 * folders: not for the loop. */
#ifndef UNDERSTUDY_MANAGERS_PM2_LOGS_SURVEY_H
#define UNDERSTUDY_MANAGERS_PM2_LOGS_SURVEY_H

#include "managers/pm2/logs/policy.h"

#include <stdatomic.h>
#include <sys/types.h>

#define SURVEY_FOLDERS_MAX 128
#define SURVEY_ROWS_MAX 32768 /* the next survey finds the rest, once these are fewer */
#define SURVEY_STRAYS_MAX 256 /* logs of processes that PM2 does not list any more */

/* A log, by its absolute path. */
struct survey_log {
    const char *path;
    uid_t owner;
    int64_t newest_ms; /* set: when its newest rotated file was made; 0: it has none */
};

struct survey_result {
    size_t files; /* rotated ones that stay */
    size_t deleted;
    size_t failed; /* to delete */
    int64_t bytes; /* of those that stay */
};

/* `logs` ascending by path, each path once. In the folders `own_folders` ("HOME/logs") the rotated
 * files of logs named as PM2 names them count even when PM2 lists the process no more. Unfinished
 * files that nobody writes to are deleted. `may` as in cut.h: nothing is deleted once it is false.
 * False: out of memory. */
bool survey(const struct rotation_policy *policy, struct survey_log *logs, size_t count,
            const struct survey_log *own_folders, size_t own_count, int64_t now_ms,
            const atomic_bool *may, struct survey_result *ret);

#endif
