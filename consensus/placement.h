/* Placement: which node shall carry out which duty.
 *
 * One pure function. A duty stays where it is as long as that node is alive, not draining and able;
 * else it gets one target: never a dead, draining or incapable node or a witness, nor one outside
 * the duty's own list; rather not a node of the duty's avoid list (its primary's hosts); then the
 * better health state, then fewer duties, then the name. Duties are placed in order of priority,
 * then id, and each placed one counts. The caller asks grants_leader_may_assign() before it
 * proposes anything. */
#ifndef UNDERSTUDY_CONSENSUS_PLACEMENT_H
#define UNDERSTUDY_CONSENSUS_PLACEMENT_H

#include "node/base/limits.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PLACEMENT_AVOID_MAX 16
#define PLACEMENT_ONLY_MAX 16

struct placement_node {
    uint64_t raft_id;
    char name[NAME_SIZE];
    uint64_t incarnation; /* the present one */
    bool alive;
    bool draining;
    bool witness; /* takes no duties: a witness, or a spare (which gets no log) */
    bool score_known;
    double score;         /* 0 to 100 */
    size_t manager_count; /* managers whose work it can do now */
    char managers[MANAGERS_MAX][NAME_SIZE];
};

struct placement_duty {
    char id[DUTY_ID_SIZE];
    char manager[NAME_SIZE];
    bool wanted;
    int64_t priority;
    bool assigned;    /* an assignment exists and was not released */
    uint64_t raft_id; /* of that assignment */
    uint64_t incarnation;
    size_t only_count;                 /* nodes that may take it at all; 0: any */
    uint64_t only[PLACEMENT_ONLY_MAX]; /* raft ids */
    size_t avoid_count;
    uint64_t avoid[PLACEMENT_AVOID_MAX]; /* raft ids */
};

enum placement_reason {
    PLACEMENT_UNASSIGNED,
    PLACEMENT_NODE_RESTARTED, /* to the same node, at once */
    PLACEMENT_NODE_GONE,      /* not among the nodes any more */
    PLACEMENT_NODE_DEAD,
    PLACEMENT_NODE_DRAINING,
    PLACEMENT_NODE_INCAPABLE,
};
const char *placement_reason_name(enum placement_reason reason);

struct placement_target {
    size_t duty; /* position in the input */
    size_t node; /* position in the input */
    enum placement_reason reason;
};

/* What to do about an operator's wish that the duty runs on the node named `target` (NULL: there is
 * none). A wish that cannot be fulfilled is dropped: its holder would give the duty up for it again
 * and again. */
enum placement_move {
    PLACEMENT_MOVE_NONE,
    PLACEMENT_MOVE_GO,   /* to *ret_node, as soon as its holder has let go */
    PLACEMENT_MOVE_DROP, /* it runs there, or that node is gone or cannot take it */
};
enum placement_move placement_move_step(const struct placement_node *nodes, size_t node_count,
                                        const struct placement_duty *duty, const char *target,
                                        size_t *ret_node);

/* Targets for wanted duties that need one, in the order in which they were placed; a duty that no
 * node can take has none. `ret` has room for duty_count targets, duty_count <= DUTIES_MAX,
 * node_count <= NODES_MAX. Returns their number. */
size_t placement_decide(const struct placement_node *nodes, size_t node_count,
                        const struct placement_duty *duties, size_t duty_count,
                        struct placement_target *ret);

#endif
