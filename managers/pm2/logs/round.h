/* One round over all logs of this host: look, rotate what is due, delete what is too old or too
 * much. Runs in a thread of its own, since disks may block; remembers the logs between two rounds,
 * and what it has forgotten lies on disk. */
#ifndef UNDERSTUDY_MANAGERS_PM2_LOGS_ROUND_H
#define UNDERSTUDY_MANAGERS_PM2_LOGS_ROUND_H

#include "managers/pm2/logs/policy.h"
#include "node/base/limits.h"

#include <stdatomic.h>
#include <sys/types.h>

#define ROUND_HOMES_MAX 8
#define ROUND_SAID_MAX 16
#define ROUND_SURVEY_MS INT64_C(600000)
#define ROUND_ROTATORS_MS 60000                             /* configurations are read again */
#define ROUND_STAND_BACK_MS (INT64_C(8) * 24 * 3600 * 1000) /* a rotator comes weekly at least */
#define ROUND_STAND_BACK_SIZES 4          /* a log of so many times max_size has no other rotator */
#define ROUND_REFUSED_MS INT64_C(3600000) /* what cannot be rotated is tried again */

struct cuts;

struct round_home {
    char *path;          /* PM2_HOME */
    bool rotator_listed; /* PM2 runs a process that rotates */
    pid_t *pids;         /* its daemon and processes: who may write to the logs */
    size_t pid_count;
    char **logs; /* absolute paths */
    size_t log_count;
};

struct round_job {
    struct rotation_policy policy;
    struct round_home homes[ROUND_HOMES_MAX];
    size_t home_count;
    struct cuts *cuts; /* borrowed; may be NULL */
};
void round_job_destroy(struct round_job *job); /* NULL: nothing */

/* What people must know. */
struct round_said {
    bool trouble; /* else it is only said */
    char object[NAME_SIZE];
    char text[REASON_SIZE];
};

struct round_report {
    size_t cut; /* logs */
    int64_t cut_bytes;
    char cut_name[NAME_SIZE]; /* the first of them */
    size_t deleted;           /* rotated files */
    size_t said_count;
    struct round_said said[ROUND_SAID_MAX];
};

struct rounds;

/* Where logrotate's configuration is: "/etc/logrotate.d" and "/etc/logrotate.conf". ERR_NOMEM. */
struct rounds *rounds_create(const char *logrotate_folder, const char *logrotate_file);
void rounds_destroy(struct rounds **self_p);

/* now: CLOCK_BOOTTIME; wall: for days and ages, of the clock that files have their times from.
 * `may` as in cut.h. */
void rounds_go(struct rounds *self, const struct round_job *job, int64_t now_ms, int64_t wall_ms,
               const atomic_bool *may, struct round_report *ret);

#endif
