/* One attempt of a run on this node, from its grant to the moment when its end is known to the
 * cluster and forgotten here. Pure: what happened goes in, what is to be done comes out.
 *
 * An attempt is started at most once in its life: after a crash of this manager it is taken up
 * where it was (attempt_resume), never begun again. Its end is told until the node says that it
 * is known, and only then the duty is released: a release that came first would be taken for an
 * end that nobody saw. */
#ifndef UNDERSTUDY_MANAGERS_RUN_ATTEMPT_H
#define UNDERSTUDY_MANAGERS_RUN_ATTEMPT_H

#include "managers/common/protocol.h"
#include "managers/run/ending.h"
#include "managers/run/record.h"

#define ATTEMPT_REPORT_MS 1000 /* until the end is told again */
/* A guard that was revoked before the node's word came here: so long its end is not told. */
#define ATTEMPT_REVOKE_WAIT_MS 500
/* A guard that has not ended so long after its kill timeout was over is killed. */
#define ATTEMPT_KILL_MS 10000

enum attempt_phase {
    ATTEMPT_NEW,
    ATTEMPT_RUNNING, /* its guard was started, by us or in an earlier life of this manager */
    ATTEMPT_ENDED,   /* nothing of it runs, and its end is being told */
    ATTEMPT_KNOWN,   /* its end is known: nothing is left to do */
};

enum attempt_event_kind {
    ATTEMPT_EVENT_GRANTED,     /* may_start: as long as it is true; else reason */
    ATTEMPT_EVENT_STARTED,     /* the guard runs */
    ATTEMPT_EVENT_NOT_STARTED, /* it cannot be started; detail */
    ATTEMPT_EVENT_OUTPUT,
    ATTEMPT_EVENT_OVER_LIMIT, /* it uses more than it may; detail, which is kept by the caller */
    ATTEMPT_EVENT_REVOKED,
    ATTEMPT_EVENT_ENDED, /* nothing of it runs any more; ending */
    ATTEMPT_EVENT_NODE_KNOWS,
    ATTEMPT_EVENT_TICK,
};

struct attempt_event {
    enum attempt_event_kind kind;
    int64_t wall_ms;
    bool may_start;
    enum manager_run_reason reason; /* why it may not */
    const char *detail;             /* of a failure, for people; NULL: none */
    struct ending ending;
};

/* What to do, in this order; several bits may be set. */
enum attempt_action {
    ATTEMPT_START = 1,   /* then STARTED or NOT_STARTED */
    ATTEMPT_STOP = 2,    /* SIGTERM to the guard, which does the rest */
    ATTEMPT_KILL = 4,    /* SIGKILL to the guard */
    ATTEMPT_RECORD = 8,  /* write down that, and how, it has ended */
    ATTEMPT_TELL = 16,   /* phase and detail, as the state of the duty */
    ATTEMPT_REPORT = 32, /* its end */
    ATTEMPT_RELEASE = 64,
    ATTEMPT_FORGET = 128,
};

struct attempt {
    enum attempt_phase phase;
    struct record_limits limits;
    bool resumed;  /* its guard was started in an earlier life of this manager */
    bool stopping; /* the guard was asked to end */
    bool revoked;  /* and that because the node wants it no more */
    bool killed;
    bool unexplained;                    /* the guard says revoked, the node has not said so here */
    enum manager_run_reason stop_reason; /* of a deadline or limit; 0: none was passed */
    const char *stop_detail;             /* for people; NULL: the name of the reason */
    int64_t stop_ms;
    int64_t started_ms; /* CLOCK_BOOTTIME */
    int64_t output_ms;  /* of the last output; the start counts as one */
    int64_t report_ms;  /* its end is told again */
    enum manager_duty_phase told;
    char detail[REASON_SIZE];
    /* the end */
    enum manager_outcome outcome;
    enum manager_run_reason reason;
    int exit_status;
    int64_t started_wall_ms; /* 0: never */
    int64_t ended_wall_ms;
};

void attempt_init(struct attempt *self, const struct record_limits *limits);

/* The attempt of which an earlier life left `record`. One that has ended is told again at once. */
void attempt_resume(struct attempt *self, const struct record *record, int64_t now_ms);

/* now_ms: CLOCK_BOOTTIME. Returns the actions as bits. */
unsigned attempt_step(struct attempt *self, const struct attempt_event *event, int64_t now_ms);

const char *attempt_phase_name(enum attempt_phase phase);

#endif
