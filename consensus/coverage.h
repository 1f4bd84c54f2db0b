/* Coverage: does each primary have a backup that could stand in for it, was that ever seen to run,
 * and what could take both at once?
 *
 * A fate is what primary and backup share: the node, and labels ("host=h1") that the backup's node
 * has in common with every node of the primary. One instance of a primary that runs apart from the
 * backup is enough for a fate not to be shared. Labels with one of the keys of COVERAGE_PLACES say
 * where a node stands and always count. Any other label counts too ("line=dsl"), but for those that
 * the backup asks for and those that every node has: no placement could avoid them.
 *
 * A backup that runs, or is held, is judged where it is. One that waits is judged where it would be
 * placed, and by all nodes that can take it: where none of them is apart from the primary, no
 * placement helps. Covered is only what has been seen to run and shares nothing: 100 % is earned.
 * What runs at times has been seen to run when its last run went well.
 *
 * Critical is a primary that would have nothing to stand in for it if its host failed: it has no
 * backup, or none that can be started now, or each of them can run on the primary's own nodes or
 * hosts only. Of a primary that its configuration calls critical also when each can run only where
 * it shares some fate.
 *
 * Pure. Nodes are positions in one array of at most NODES_MAX, sets of them bits by position. */
#ifndef UNDERSTUDY_CONSENSUS_COVERAGE_H
#define UNDERSTUDY_CONSENSUS_COVERAGE_H

#include "consensus/placement.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Keys of labels that say where a node stands. */
#define COVERAGE_PLACES(X) \
    X("host")              \
    X("rack")              \
    X("room")              \
    X("power")             \
    X("switch")            \
    X("site")              \
    X("zone")              \
    X("datacenter")        \
    X("region")

/* From best to worst: code, words. */
#define COVERAGE_VERDICT_MAP(X)            \
    X(COVERAGE_COVERED, "covered")         \
    X(COVERAGE_UNPROVEN, "unproven")       \
    X(COVERAGE_UNKNOWN, "unknown")         \
    X(COVERAGE_SHARED_FATE, "shared_fate") \
    X(COVERAGE_UNCOVERED, "uncovered")

enum coverage_verdict {
#define COVERAGE_VERDICT_ENUM(symbol, code) symbol,
    COVERAGE_VERDICT_MAP(COVERAGE_VERDICT_ENUM)
#undef COVERAGE_VERDICT_ENUM
};

/* Why: value, verdict, code, words about the backup. Those from COVERAGE_STOPPED to COVERAGE_FAILED
 * may be given as what bars a backup. */
#define COVERAGE_REASON_MAP(X)                                                                     \
    X(COVERAGE_APART, COVERAGE_COVERED, "proven_apart",                                            \
      "it has been seen to run, and shares no known fate with its primary")                        \
    X(COVERAGE_NEVER_RAN, COVERAGE_UNPROVEN, "never_ran",                                          \
      "it has not been seen to run for long enough to call it proven")                             \
    X(COVERAGE_RUN_FAILED, COVERAGE_UNPROVEN, "run_failed", "its last run did not go well")        \
    X(COVERAGE_UNSEEN, COVERAGE_UNKNOWN, "primary_unseen", "no node is known to have the primary") \
    X(COVERAGE_GROUP_NOW, COVERAGE_SHARED_FATE, "same_group_now",                                  \
      "it is, or would be placed, where it shares a label group with its primary")                 \
    X(COVERAGE_HOST_NOW, COVERAGE_SHARED_FATE, "same_host_now",                                    \
      "it is, or would be placed, on its primary's host")                                          \
    X(COVERAGE_NODE_NOW, COVERAGE_SHARED_FATE, "same_node_now",                                    \
      "it is, or would be placed, on its primary's node")                                          \
    X(COVERAGE_GROUP_ONLY, COVERAGE_SHARED_FATE, "same_group_only",                                \
      "every node that can take it shares a label group with its primary")                         \
    X(COVERAGE_HOST_ONLY, COVERAGE_SHARED_FATE, "same_host_only",                                  \
      "every node that can take it is on its primary's host")                                      \
    X(COVERAGE_NODE_ONLY, COVERAGE_SHARED_FATE, "same_node_only",                                  \
      "no node but its primary's own can take it")                                                 \
    X(COVERAGE_STOPPED, COVERAGE_UNCOVERED, "stopped", "`stop` holds all managers still")          \
    X(COVERAGE_MAINTENANCE, COVERAGE_UNCOVERED, "maintenance",                                     \
      "while maintenance is on nothing is started")                                                \
    X(COVERAGE_PAUSED, COVERAGE_UNCOVERED, "paused", "its manager is paused")                      \
    X(COVERAGE_SHADOW, COVERAGE_UNCOVERED, "shadow", "its manager decides, and does nothing")      \
    X(COVERAGE_NOT_BUILT, COVERAGE_UNCOVERED, "not_in_this_version",                               \
      "its mode is not in this version: it is never started")                                      \
    X(COVERAGE_FAILED, COVERAGE_UNCOVERED, "failed", "the node that has it cannot run it")         \
    X(COVERAGE_NO_TAKER, COVERAGE_UNCOVERED, "no_node", "no node can take it now")                 \
    X(COVERAGE_NO_BACKUP, COVERAGE_UNCOVERED, "no_backup", "nothing stands in for it")

enum coverage_reason {
#define COVERAGE_REASON_ENUM(symbol, verdict, code, words) symbol,
    COVERAGE_REASON_MAP(COVERAGE_REASON_ENUM)
#undef COVERAGE_REASON_ENUM
};

/* Stable names; "unknown" for a value outside the tables. */
const char *coverage_verdict_name(enum coverage_verdict verdict);
const char *coverage_reason_name(enum coverage_reason reason);
const char *coverage_reason_text(enum coverage_reason reason);

struct coverage_primary {
    bool critical;
    uint64_t at; /* where it runs; where it does not run, where it is or shall be; none: unknown */
};

struct coverage_backup {
    bool barred;
    enum coverage_reason bar; /* COVERAGE_STOPPED to COVERAGE_FAILED */
    size_t home;              /* the node that has it; PLACEMENT_NO_NODE: it waits */
    uint64_t able;            /* nodes that can take it now */
    size_t best;              /* where it would be placed; PLACEMENT_NO_NODE: not known */
    bool proven;
    bool failing;       /* it runs at times, and the last time it did not go well */
    size_t label_count; /* labels that it asks for */
    char labels[PLACEMENT_LABELS_MAX][LABEL_SIZE];
};

struct coverage_fates {
    bool node;
    bool host;
    size_t label_count;
    char labels[NODE_LABELS_MAX][LABEL_SIZE]; /* each shared group, host among them */
};

struct coverage_judgement { /* of a backup */
    enum coverage_verdict verdict;
    enum coverage_reason reason;
    size_t where;                /* that was judged; PLACEMENT_NO_NODE: nowhere */
    struct coverage_fates fates; /* shared there */
    uint64_t apart_host;         /* nodes that can take it: on another host than the primary */
    uint64_t apart;              /* ... and that share nothing with it */
};

struct coverage_result { /* of a primary */
    enum coverage_verdict verdict;
    enum coverage_reason reason; /* the best backup's */
    bool alarm;                  /* critical, as told above */
};

struct coverage_summary {
    size_t primaries;
    size_t verdicts[COVERAGE_UNCOVERED + 1];
    size_t alarms;
};

/* What primary and backup share when the backup is on `node` < node_count. Of nodes, their labels
 * are used. */
void coverage_fates(const struct placement_node *nodes, size_t node_count,
                    const struct coverage_primary *primary, const struct coverage_backup *backup,
                    size_t node, struct coverage_fates *ret);

void coverage_judge(const struct placement_node *nodes, size_t node_count,
                    const struct coverage_primary *primary, const struct coverage_backup *backup,
                    struct coverage_judgement *ret);

/* Labels that every node has and that say nothing of a place: no fates. Returns how many of them
 * are in ret[NODE_LABELS_MAX]. */
size_t coverage_everywhere(const struct placement_node *nodes, size_t node_count,
                           char ret[][LABEL_SIZE]);

/* A primary without backups, */
void coverage_begin(struct coverage_result *ret);
/* and one of its backups more: the best one counts. */
void coverage_add(const struct coverage_primary *primary, const struct coverage_judgement *backup,
                  struct coverage_result *self);

void coverage_count(struct coverage_summary *self, const struct coverage_result *result);
/* Covered primaries in tenths of a percent, rounded down; -1: there are none. */
int coverage_permille(const struct coverage_summary *self);

#endif
