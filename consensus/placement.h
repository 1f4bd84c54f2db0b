/* Placement: which node shall carry out which duty.
 *
 * Hard: only a node that is alive, does not drain, takes duties at all, can do the manager's work,
 * is on the duty's own list (if it has one), carries the labels that the duty asks for, and has
 * room. Among those the choice goes, each before the next: rather not a node of the avoid list (its
 * primary's hosts); not a node that has one of the same group (backups of one primary, copies of
 * one duty), nor one with the same label `host`, nor one with the same `zone`; then by points for
 * health, capability, load and the number of duties; then by name.
 *
 * A duty stays where it is while that node may have it. It leaves a node that died, drains, cannot
 * do the work or is excluded, but only for a node that can: an outage that all share moves nothing.
 * It leaves a good node for a better one only when the gain is over `margin` (its own node counts
 * as healthier by 20 than it is, an unknown one as healthy) and some gain was without a break for
 * `hold`: one such move at a time, each duty once in `dwell`, and none while anything else is to
 * be placed. Every such move lowers one sum over all duties (points are alike for all), so that
 * without change from outside they end.
 *
 * Priorities: duties are placed highest first, then by id. One that finds no room makes a strictly
 * lower one move or, where that can go nowhere, wait. Work under PLACEMENT_PRIORITY_NORMAL is not
 * placed on a node that is pressed (its load over PLACEMENT_LOAD_HIGH, until it is under
 * PLACEMENT_LOAD_LOW), and after `hold` it is sent away from there, the lowest first. What was sent
 * away comes back after `patience` at the earliest. The attempt of a run is never sent away.
 *
 * Pure; the times of one handle are of one clock. The caller asks grants_leader_may_assign() before
 * it proposes an assignment. */
#ifndef UNDERSTUDY_CONSENSUS_PLACEMENT_H
#define UNDERSTUDY_CONSENSUS_PLACEMENT_H

#include "consensus/command.h"
#include "node/base/limits.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PLACEMENT_AVOID_MAX 16
#define PLACEMENT_ONLY_MAX 16
#define PLACEMENT_LABELS_MAX 4
#define PLACEMENT_MOVES_MAX 64 /* of one decision; the rest waits for the next */
#define PLACEMENT_ROOM_DEFAULT 64
#define PLACEMENT_PRIORITY_NORMAL 0
#define PLACEMENT_LOAD_HIGH 90.0
#define PLACEMENT_LOAD_LOW 70.0
#define PLACEMENT_NO_NODE SIZE_MAX
#define PLACEMENT_NOWHERE "-" /* in the place of a node's name: it shall run nowhere for now */

struct placement_manager {
    char name[NAME_SIZE];
    int percent; /* of its work that it can do on this node, 0 to 100; -1: unknown */
};

struct placement_node {
    uint64_t raft_id;
    char name[NAME_SIZE];
    uint64_t incarnation; /* the present one */
    bool alive;
    bool draining;
    bool witness; /* takes no duties: a witness, or a spare (which gets no log) */
    bool score_known;
    double score; /* 0 to 100 */
    bool load_known;
    double load; /* 0 to 100 */
    size_t room; /* most duties; 0: PLACEMENT_ROOM_DEFAULT */
    size_t manager_count;
    struct placement_manager managers[MANAGERS_MAX];
    size_t label_count;
    char labels[NODE_LABELS_MAX][LABEL_SIZE]; /* "key=value" */
};

struct placement_duty {
    char id[DUTY_ID_SIZE];
    char manager[NAME_SIZE];
    bool wanted;
    /* Neither placed nor moved now: its manager has not said yet where it may run, or its time has
     * not come. Where it is, it counts. */
    bool rests;
    bool barred; /* rests, because another one that never runs beside it has not ended */
    bool once;   /* assigned once in its life: never moved, nor given back after a restart */
    bool spent;  /* once, and it was assigned */
    int64_t priority;
    bool assigned;    /* an assignment exists and was not released */
    bool bound;       /* assigned, and the leader may not give it to another node yet */
    bool leaving;     /* its holder was told to let go of it */
    uint64_t raft_id; /* of that assignment */
    uint64_t incarnation;
    size_t only_count;                 /* nodes that may take it at all; 0: any */
    uint64_t only[PLACEMENT_ONLY_MAX]; /* raft ids */
    size_t avoid_count;
    uint64_t avoid[PLACEMENT_AVOID_MAX]; /* raft ids */
    size_t label_count;                  /* labels that its node must have */
    char labels[PLACEMENT_LABELS_MAX][LABEL_SIZE];
    char group[DUTY_ID_SIZE]; /* rather apart from others of the same group; empty: none */
};

/* As seen at one instant; borrowed for the call. node_count <= NODES_MAX, one row per raft id;
 * duty_count <= DUTIES_MAX. */
struct placement_world {
    const struct placement_node *nodes;
    size_t node_count;
    const struct placement_duty *duties;
    size_t duty_count;
};

enum placement_reason {
    PLACEMENT_UNASSIGNED,
    PLACEMENT_NODE_RESTARTED, /* to the same node, at once */
    PLACEMENT_NODE_GONE,      /* not among the nodes any more */
    PLACEMENT_NODE_DEAD,
    PLACEMENT_NODE_DRAINING,
    PLACEMENT_NODE_INCAPABLE,
    PLACEMENT_NODE_EXCLUDED, /* by the duty's list or labels */
    PLACEMENT_REBALANCE,
    PLACEMENT_PRESSURE,
    PLACEMENT_OPERATOR, /* never told; for placement_note(): a person moved it */
};
const char *placement_reason_name(enum placement_reason reason);

/* Assign `duty` to `node`; or, when `leave` is set, tell its holder, which is well, to let go of it
 * for `node` (PLACEMENT_NO_NODE: for none). Tell placement_note() of the latter. */
struct placement_target {
    size_t duty; /* position in the input */
    size_t node;
    bool leave;
    enum placement_reason reason;
};

/* Rules that the simulator may switch off to prove that it would notice. Zero: all rules on. */
struct placement_switches {
    bool held_is_not_free; /* what is held counts as placed */
};

struct placement_config {
    int64_t margin;      /* points, > 0; see struct placement_points */
    int64_t hold_ms;     /* >= 0 */
    int64_t dwell_ms;    /* >= 0 */
    int64_t patience_ms; /* >= 0 */
    struct placement_switches off;
};

/* 15 points (a node with two duties less is worth 20), 10 s, 10 min, 30 s. */
extern const struct placement_config placement_config_default;

struct placement;

/* `config` NULL: the defaults. NULL when out of memory. About 600 KB. */
struct placement *placement_create(const struct placement_config *config);
void placement_destroy(struct placement **self_p);

/* Forget what was: this node begins to act in a new term. */
void placement_forget(struct placement *self);

/* What is to be done now, in order of priority. `ret` has room for PLACEMENT_MOVES_MAX. Returns
 * their number. Call some ten times a second. */
size_t placement_decide(struct placement *self, int64_t now_ms, const struct placement_world *world,
                        struct placement_target *ret);

/* The holder of `duty` was told so (`told->leave`), or a person moved it: it stays there for dwell
 * if it can. */
void placement_note(struct placement *self, int64_t now_ms, const char *duty,
                    const struct placement_target *told);
/* The reason last noted for `duty`, within dwell; PLACEMENT_UNASSIGNED: none. */
enum placement_reason placement_noted(const struct placement *self, int64_t now_ms,
                                      const char *duty);

/* Key of the setting that asks for a duty on the node that its value names: "duty.move/ID", a long
 * id shortened to its beginning and a hash. */
void placement_move_key(const char *duty, char ret[SETTING_KEY_SIZE]);

/* What to do about a wish that the duty runs on the node named `target` (NULL: there is none). A
 * wish that cannot be fulfilled is dropped: its holder would give the duty up for it again and
 * again. */
enum placement_move {
    PLACEMENT_MOVE_NONE,
    PLACEMENT_MOVE_GO,   /* to *ret_node, as soon as its holder has let go */
    PLACEMENT_MOVE_AWAY, /* PLACEMENT_NOWHERE, and its holder has not let go yet */
    PLACEMENT_MOVE_DROP, /* it runs there, or that node is gone or cannot take it; or it is away */
};
enum placement_move placement_move_step(const struct placement_node *nodes, size_t node_count,
                                        const struct placement_duty *duty, const char *target,
                                        size_t *ret_node);

/* ---- why, and why not ---- */

/* value, code, words. What keeps a node from taking a duty; the first that holds. */
#define PLACEMENT_REFUSAL_MAP(X)                                                                 \
    X(PLACEMENT_CAN, "can", "it can take it")                                                    \
    X(PLACEMENT_NOT_ALIVE, "not_alive", "it is not alive")                                       \
    X(PLACEMENT_DRAINS, "draining", "it drains")                                                 \
    X(PLACEMENT_TAKES_NONE, "takes_none", "it takes no duties (a witness or spare)")             \
    X(PLACEMENT_INCAPABLE, "incapable", "the manager cannot work there now")                     \
    X(PLACEMENT_UNTOLD, "capability_unknown", "whether the manager can work there is not known") \
    X(PLACEMENT_NOT_LISTED, "not_listed", "it is not among the nodes that may run it")           \
    X(PLACEMENT_NO_LABEL, "label_missing", "it lacks a label that the duty asks for")            \
    X(PLACEMENT_FULL, "no_room", "it has as many duties as it may")                              \
    X(PLACEMENT_PRESSED, "under_pressure", "its load is too high for work of low priority")

enum placement_refusal {
#define PLACEMENT_REFUSAL_ENUM(symbol, code, words) symbol,
    PLACEMENT_REFUSAL_MAP(PLACEMENT_REFUSAL_ENUM)
#undef PLACEMENT_REFUSAL_ENUM
};
const char *placement_refusal_name(enum placement_refusal refusal);
const char *placement_refusal_text(enum placement_refusal refusal);

/* How things stand for a duty. */
#define PLACEMENT_VERDICT_MAP(X)                                                                  \
    X(PLACEMENT_STAYS, "stays", "it is where it shall be")                                        \
    X(PLACEMENT_UNWANTED, "not_wanted", "it is not wanted")                                       \
    X(PLACEMENT_RESTS, "rests", "its manager has not asked for it yet, or it waits for its time") \
    X(PLACEMENT_BARRED, "barred", "another one that never runs beside it has not ended yet")      \
    X(PLACEMENT_SPENT, "spent", "it is assigned once only, and that was done")                    \
    X(PLACEMENT_PLACED, "to_be_placed", "the best node gets it")                                  \
    X(PLACEMENT_FORCED, "to_be_moved", "its node cannot keep it; the best one gets it")           \
    X(PLACEMENT_LEAVES, "leaving", "its node was told to let go of it")                           \
    X(PLACEMENT_BETTER, "better_elsewhere", "another node is better by the margin")               \
    X(PLACEMENT_SENT_AWAY, "sent_away", "it gave way under pressure a moment ago")                \
    X(PLACEMENT_WAITS, "waits_for_room",                                                          \
      "every node that could take it is full or under pressure")                                  \
    X(PLACEMENT_NOBODY, "nobody_can", "no node can take it")

enum placement_verdict {
#define PLACEMENT_VERDICT_ENUM(symbol, code, words) symbol,
    PLACEMENT_VERDICT_MAP(PLACEMENT_VERDICT_ENUM)
#undef PLACEMENT_VERDICT_ENUM
};
const char *placement_verdict_name(enum placement_verdict verdict);
const char *placement_verdict_text(enum placement_verdict verdict);

/* All are 0 or below; the sum decides among nodes that are alike in what goes before. */
struct placement_points {
    int64_t health; /* 0 from a score of 80 on, -100 at 75, -300 at 50, -800 at 0; unknown -305 */
    int64_t load;   /* -20 at a load of 100, 0 when unknown */
    int64_t capability; /* -2 for each percent that is missing */
    int64_t duties;     /* -10 for each other duty there */
};

struct placement_view { /* of one node */
    enum placement_refusal refusal;
    bool holds; /* the duty is assigned to it */
    bool avoided;
    size_t same_node; /* others of its group there, on the same host, in the same zone */
    size_t same_host;
    size_t same_zone;
    size_t duties; /* other duties there */
    struct placement_points points;
    int64_t sum; /* of the points */
};

struct placement_explanation {
    enum placement_verdict verdict;
    size_t home; /* position of its node; PLACEMENT_NO_NODE: none */
    size_t best; /* of those that can take it, its own node included; or PLACEMENT_NO_NODE */
    size_t node_count;
    struct placement_view nodes[NODES_MAX]; /* as in the input */
};

/* Explain the duty at position `duty` < duty_count: what placement_decide() would go by now. */
void placement_explain(struct placement *self, int64_t now_ms, const struct placement_world *world,
                       size_t duty, struct placement_explanation *ret);

/* ---- copies ---- */

#define PLACEMENT_COPIES_MAX NODES_MAX

/* Id of the copy `number` (from 1) of a duty: the id itself for the first, then "ID~2". False: it
 * would be too long. */
bool placement_copy_id(const char *id, size_t number, char ret[DUTY_ID_SIZE]);
/* The id without "~NUMBER": the group of all copies. */
void placement_copy_group(const char *id, char ret[DUTY_ID_SIZE]);

#endif
