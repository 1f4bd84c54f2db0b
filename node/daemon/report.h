/* The payloads that nodes send each other of themselves: kind TRANSPORT_OBSERVATION (a report of
 * managers and duties, or one manager's observation), TRANSPORT_HELLO (the wish to leave the
 * roster) and TRANSPORT_STATE (the replicated state, for a node that gets no log). msgpack arrays:
 *   [1, 1, manager, bytes]                          an observation
 *   [1, 2, [[name, state, active, shadow, restarts, score or nil, failures in a row, version,
 *            [capability, ...]], ...],
 *          [[duty, assignment, phase], ...],
 *          term that the node leads or 0,
 *          its wall clock in ms or 0]               a report
 *   [1, "leave"]                                    a wish
 *   [1, term, index, bytes]                         the state: a snapshot, who leads in which term
 * Decoders ignore appended elements. Pure. */
#ifndef UNDERSTUDY_NODE_DAEMON_REPORT_H
#define UNDERSTUDY_NODE_DAEMON_REPORT_H

#include "managers/common/protocol.h"
#include "node/base/limits.h"
#include "node/base/mp.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define REPORT_BYTES_MAX (MANAGER_OBSERVATION_BYTES_MAX + 4096)
#define REPORT_DUTIES_MAX 64
#define LEAVE_BYTES_MAX 64

struct report_manager {
    char name[NAME_SIZE];
    char state[NAME_SIZE];
    bool active;
    bool shadow;
    uint64_t restarts;
    bool score_known;
    double score; /* 0..100 */
    /* Appended: an older node does not say. */
    uint64_t failures;       /* ends in a row */
    char version[NAME_SIZE]; /* as it said hello; empty: not known */
    size_t capability_count;
    char capabilities[MANAGER_CAPABILITIES_MAX][NAME_SIZE];
};

struct report_duty {
    char id[DUTY_ID_SIZE];
    uint64_t assignment;
    char phase[NAME_SIZE];
};

struct report {
    char node[NAME_SIZE]; /* empty: the slot is free; not on the wire, it is the sender */
    int64_t taken_ms;     /* likewise */
    uint64_t leads_term;  /* 0: it does not lead */
    int64_t wall_ms;      /* its clock as it sent this; 0: not told */
    size_t manager_count;
    struct report_manager managers[MANAGERS_MAX];
    size_t duty_count;
    struct report_duty duties[REPORT_DUTIES_MAX];
};

enum report_kind { REPORT_OBSERVATION = 1, REPORT_SELF = 2 };

struct report_message {
    enum report_kind kind;
    struct report self;      /* REPORT_SELF */
    char manager[NAME_SIZE]; /* REPORT_OBSERVATION */
    const uint8_t *document; /* borrowed from the bytes */
    size_t document_length;
};

/* Into `writer`, made by the caller with REPORT_BYTES_MAX. 0 or ERR_FULL. */
int report_encode(const struct report *report, struct mp_writer *writer);
int report_observation_encode(const char *manager, const uint8_t *document, size_t length,
                              struct mp_writer *writer);
/* ERR_PROTO: malformed, another version or kind. Rows of a report that are not understood, and
 * those beyond the bounds, are left out. */
int report_decode(const uint8_t *bytes, size_t length, struct report_message *ret);

/* The state as of `index`, told by the leader of `term`; bytes as of state_snapshot(). */
struct told_state {
    uint64_t term; /* > 0 */
    uint64_t index;
    const uint8_t *bytes; /* borrowed */
    size_t length;
};

#define TOLD_STATE_BYTES_MAX (SNAPSHOT_BYTES_MAX - 64)

/* Into `writer`, made with SNAPSHOT_BYTES_MAX. 0 or ERR_FULL. */
int told_state_encode(const struct told_state *told, struct mp_writer *writer);
/* 0 or ERR_PROTO. */
int told_state_decode(const uint8_t *bytes, size_t length, struct told_state *ret);

/* Into `writer`, made with LEAVE_BYTES_MAX. */
void leave_encode(struct mp_writer *writer);
/* True when the bytes say that their sender leaves for good. */
bool leave_decode(const uint8_t *bytes, size_t length);

#endif
