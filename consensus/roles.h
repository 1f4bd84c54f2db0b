/* Who votes, who stands by: at most one change of the Raft configuration at a time.
 *
 * Wanted: the largest odd number of voters that the roster allows, at most `voters`; then
 * `standbys`; the rest are spares. A node of the roster that the configuration lacks is added, one
 * that was removed from the roster is removed; servers that the roster never had are left alone
 * (founders before the roster's first entries). A voter that has been dead for a stable time is
 * replaced by a live standby: the promotion first, then the demotion. Never demoted: below three
 * voters, or when the voters online would not be a majority of the new configuration. The leader is
 * never removed or demoted: it hands over first, which the answer asks for.
 *
 * After dqlite's role adjustment; pure, recomputed from its inputs at each call. */
#ifndef UNDERSTUDY_CONSENSUS_ROLES_H
#define UNDERSTUDY_CONSENSUS_ROLES_H

#include "consensus/command.h"
#include "consensus/consensus.h"

struct roles_config {
    size_t voters;           /* 1, 3, 5 or 7 */
    size_t standbys;         /* 0 to STANDBYS_MAX */
    int64_t alive_stable_ms; /* alive for so long before it is promoted */
    int64_t dead_stable_ms;  /* dead for so long before it is replaced */
};

/* 5, 3, 2 s, 30 s */
extern const struct roles_config roles_config_default;

/* A node of the roster, or a server of the configuration that the roster does not know. */
struct roles_node {
    uint64_t id;
    bool removed;  /* left the roster */
    bool draining; /* is not promoted */
    enum node_role wanted;
    bool alive;
    int64_t liveness_ms; /* for how long it has been alive, or dead */
    bool score_known;
    double score;
};

struct roles_input {
    uint64_t leader; /* this node */
    bool changing;   /* a change is under way: nothing is decided */
    size_t server_count;
    struct consensus_server servers[NODES_MAX];
    size_t node_count;
    struct roles_node nodes[NODES_MAX]; /* at most one for an id */
};

enum roles_action {
    ROLES_NONE,
    ROLES_CHANGE, /* consensus_change(what, id, role) */
    /* The leader is to be demoted or removed: it must hand over before that. Some voter online can
     * lead and stay in its seat; where there is none, the leader stays. */
    ROLES_HAND_OVER,
};

struct roles_decision {
    enum roles_action action;
    enum consensus_change what;
    uint64_t id;
    enum consensus_role role; /* of ASSIGN */
    char text[REASON_SIZE];
};

void roles_decide(const struct roles_config *config, const struct roles_input *input,
                  struct roles_decision *ret);

#endif
