/* What nodes and managers say to each other about schedules and their runs (protocol.h).
 *
 * The words are those of consensus/command_work.h, which managers do not see: every enum here has
 * the values of its counterpart there (tests/unit/managers compares them). Instants of a calendar
 * are whole seconds of UTC since 1970. */
#ifndef UNDERSTUDY_MANAGERS_COMMON_PROTOCOL_RUN_H
#define UNDERSTUDY_MANAGERS_COMMON_PROTOCOL_RUN_H

#include "node/base/limits.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MANAGER_PLACES_MAX 16       /* nodes named by one wish */
#define MANAGER_LABELS_MAX 4        /* labels that one wish asks for */
#define MANAGER_SCHEDULES_MAX 16384 /* of one manager, and of the cluster */
#define MANAGER_SCHEDULE_ID_SIZE 96 /* "manager/name" */
#define MANAGER_EXPRESSION_SIZE 121
#define MANAGER_ZONE_SIZE 64
#define MANAGER_SECONDS_MAX (INT64_C(366) * 86400)
#define MANAGER_RETRIES_MAX 100
#define MANAGER_MISFIRE_CAP_MAX 1000

enum manager_gap { MANAGER_GAP_NEXT, MANAGER_GAP_SKIP };
enum manager_fold { MANAGER_FOLD_FIRST, MANAGER_FOLD_SECOND, MANAGER_FOLD_BOTH };
enum manager_overlap { MANAGER_OVERLAP_FORBID, MANAGER_OVERLAP_ALLOW, MANAGER_OVERLAP_REPLACE };
enum manager_misfire { MANAGER_MISFIRE_RUN_ONCE, MANAGER_MISFIRE_RUN_ALL, MANAGER_MISFIRE_SKIP };

/* As struct schedule_definition, field by field. */
struct manager_schedule {
    char expression[MANAGER_EXPRESSION_SIZE]; /* five cron fields, "@daily", "every 25m" */
    char zone[MANAGER_ZONE_SIZE];
    uint64_t digest; /* of what is to run: a node that is configured otherwise does not run it */
    int64_t anchor_s;
    enum manager_gap gap;
    enum manager_fold fold;
    enum manager_overlap overlap;
    enum manager_misfire misfire;
    uint32_t misfire_cap;        /* 1 .. MANAGER_MISFIRE_CAP_MAX */
    int64_t misfire_window_s;    /* all durations: 0 .. MANAGER_SECONDS_MAX */
    int64_t start_deadline_s;    /* after the slot */
    int64_t progress_deadline_s; /* without output; 0: none */
    int64_t finish_deadline_s;   /* after the start; 0: none */
    int64_t min_runtime_s;
    uint32_t retries; /* 0 .. MANAGER_RETRIES_MAX */
    int64_t backoff_s;
    int64_t backoff_max_s;
    bool retry_unknown;
    bool critical;
    int64_t priority;
};

/* One schedule of the whole list that the active manager of the acting leader is configured
 * with.
 *
 * The list is said again and again while the role stands, one message per schedule. Each names
 * its place in it: once a node has all `total` positions of one edition under one term, in
 * whatever order and however often each came, it knows the whole list, and so which schedules of
 * this manager are configured no more (schedule_list.h). A lost message delays that until the
 * list is said again, and takes nothing away. An empty list is one message with total 0 and an
 * empty id. */
struct manager_schedule_wanted {
    char id[MANAGER_SCHEDULE_ID_SIZE]; /* starts with the manager's name and "/" */
    uint64_t term;                     /* of the role under which this is said */
    uint64_t edition;                  /* differs when anything in the list does */
    uint32_t position;                 /* 0 .. total - 1 */
    uint32_t total;                    /* 0 .. MANAGER_SCHEDULES_MAX */
    struct manager_schedule is;
    size_t on_count; /* the only nodes that may run it; none: any */
    char on[MANAGER_PLACES_MAX][NAME_SIZE];
    size_t avoid_count;
    char avoid[MANAGER_PLACES_MAX][NAME_SIZE];
    size_t label_count;                         /* labels that its node must have */
    char labels[MANAGER_LABELS_MAX][NAME_SIZE]; /* "key=value" */
};

enum manager_outcome {
    MANAGER_OUTCOME_RAN = 1,
    MANAGER_OUTCOME_FAILED = 2,
    MANAGER_OUTCOME_UNKNOWN = 5, /* it was started, perhaps, and nobody saw its end */
};
const char *manager_outcome_name(enum manager_outcome outcome);

/* Of enum run_reason, those that whoever carries a run out can tell. */
enum manager_run_reason {
    MANAGER_REASON_PAUSED = 5,
    MANAGER_REASON_FINISH_DEADLINE = 12,
    MANAGER_REASON_PROGRESS_DEADLINE = 13,
    MANAGER_REASON_TOO_SHORT = 14,
    MANAGER_REASON_EXIT = 15, /* by its exit status */
    MANAGER_REASON_SIGNAL = 16,
    MANAGER_REASON_NOT_STARTED = 17,
    MANAGER_REASON_HOLDER_GONE = 18, /* its grant was lost */
    MANAGER_REASON_CANCELLED = 19,   /* revoked; the node knows better why */
    MANAGER_REASON_SHADOW = 20,
};
const char *manager_run_reason_name(enum manager_run_reason reason);

#define MANAGER_EXIT_UNKNOWN (-1)
#define MANAGER_EXIT_SIGNAL 256 /* added to the number of the signal that ended it */
#define MANAGER_EXIT_END 512    /* no exit status is above or at it */

/* An attempt of a run has ended on this node, or was not started: nothing of it runs, and nothing
 * of it will be started here. Said again until the node answers with manager_run; only then the
 * manager releases the duty, so that the release never overtakes the end. */
struct manager_run_ended {
    char duty[DUTY_ID_SIZE];
    uint64_t assignment;
    enum manager_outcome outcome;
    enum manager_run_reason reason;
    int32_t exit_status;     /* 0 .. 255, MANAGER_EXIT_SIGNAL + signal, MANAGER_EXIT_UNKNOWN */
    int64_t started_wall_ms; /* 0: it never started */
    int64_t ended_wall_ms;
};

/* The end of this attempt is recorded, or nobody asks for it any more: forget it. */
struct manager_run {
    char duty[DUTY_ID_SIZE];
    uint64_t assignment;
};

#endif
