/* What holds a manager's work still, by the replicated state: `stop`, maintenance, a pause, shadow.
 *
 * While a manager's gate is closed the cluster starts, stops and moves nothing of it: what runs
 * goes on under its grants, what has ended stays ended, leadership goes on. Its manager watches
 * on, and what it wants meanwhile is carried out when the gate opens. (As Pacemaker's maintenance
 * mode: a node that fails meanwhile is not recovered from.) A duty that is not wanted any more, a
 * node that ends, and `stop` itself still end what runs.
 *
 * Maintenance is a setting of the replicated state. It is on as long as that row stands, whatever
 * any clock says; an acting leader removes it when its own trusted wall clock has passed the end.
 * Pure. */
#ifndef UNDERSTUDY_CONSENSUS_GATE_H
#define UNDERSTUDY_CONSENSUS_GATE_H

#include "consensus/state.h"

enum gate {
    GATE_OPEN,
    GATE_STOPPED,     /* `stop`: of the whole cluster */
    GATE_MAINTENANCE, /* of the whole cluster, for a time */
    GATE_PAUSED,      /* `manager pause` */
    GATE_SHADOW,      /* `manager mode NAME shadow`: decides and does nothing */
};

/* The first of these that holds for `manager`. A pause with an end is over at that wall time. */
enum gate gate_of(const struct state *state, const char *manager, int64_t wall_ms);
const char *gate_name(enum gate gate); /* "open", "stopped", "maintenance", "paused", "shadow" */

#define STOPPED_SETTING "managers.stopped"      /* `stop`: there, whatever its value */
#define MAINTENANCE_SETTING "maintenance.until" /* value: wall time in ms, who, and why */
#define MAINTENANCE_MS_MAX (INT64_C(7) * 86400 * 1000)

struct maintenance {
    int64_t until_wall_ms;
    char who[NAME_SIZE];   /* as far as the row tells */
    char why[REASON_SIZE]; /* may be empty */
};

/* Whether maintenance is on; `ret` may be NULL. A row that cannot be read says on, until 0. */
bool maintenance_of(const struct state *state, struct maintenance *ret);

/* The command that begins it, or changes its end; the caller fills in who proposes. */
void maintenance_begin(const struct maintenance *maintenance, struct command *ret);
/* The command that ends it; `why` for the audit. */
void maintenance_end(const char *why, struct command *ret);

/* Its time is over: the acting leader proposes its end. Never when `wall_trusted` is false. */
bool maintenance_is_over(const struct state *state, int64_t wall_ms, bool wall_trusted);

#endif
