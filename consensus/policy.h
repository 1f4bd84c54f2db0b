/* Leadership policy: when the acting leader hands over of its own will, and to whom.
 *
 * By gray (C9): its own work does not go on (the shell's bits say which) for `gray_hold`, and some
 * caught-up voter has less of that trouble and no other: at once, whatever tenure and pause say.
 *
 * By health: its own score is under `handover_below`, and some caught-up voter is better by
 * `margin`, without a break for `hold`; or that voter can do more of what is needed (C10). Not
 * within `min_tenure` of becoming leader, nor within a pause after the last such move in the
 * cluster; the pause doubles with each move and shrinks again with quiet time. Never to a voter
 * whose score is unknown, never when all are equally ill. A drain overrides all of that.
 *
 * Pure; the accounting is in the struct and counts in CLOCK_BOOTTIME ms. Every node feeds
 * policy_note_move() with the moves it sees, so that a new leader knows of those before it. */
#ifndef UNDERSTUDY_CONSENSUS_POLICY_H
#define UNDERSTUDY_CONSENSUS_POLICY_H

#include "consensus/consensus.h"
#include "node/base/limits.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct policy_config {
    double handover_below; /* 0 to 100 */
    double margin;         /* points, > 0 */
    int64_t hold_ms;
    int64_t gray_hold_ms;
    int64_t min_tenure_ms;
    int64_t pause_min_ms; /* after the first move */
    int64_t pause_max_ms;
    int64_t pause_decay_ms; /* quiet time that takes one doubling back */
};

/* 80, 10, 3 s, gray 1.5 s, 30 s; pauses 30 s to 15 min, decay 10 min. */
extern const struct policy_config policy_config_default;

struct policy_node {
    uint64_t id;
    bool alive;
    bool caught_up; /* its log is close enough for a quick transfer */
    bool draining;
    bool witness;  /* votes, never leads by choice */
    bool unwanted; /* the roster removed it or wants it in another role: nor does it lead */
    bool score_known;
    double score;          /* 0 to 100 */
    uint32_t gray;         /* kinds of trouble that stop its work, one bit each; 0: none */
    uint32_t capabilities; /* sum of policy_capability() over the managers that are needed */
};

struct policy_input {
    int64_t now_ms;
    bool acting;             /* leader and acting; else nothing is decided */
    int64_t acting_since_ms; /* first acted in this term */
    bool draining;           /* this node drains or is told to end: cause drain */
    struct policy_node self;
    size_t voter_count; /* the other voters */
    struct policy_node voters[NODES_MAX];
};

struct policy_decision {
    bool hand_over;
    uint64_t target; /* when hand_over */
    enum consensus_cause cause;
    char text[REASON_SIZE]; /* why, or why not; one line */
};

struct policy {
    struct policy_config config;
    int64_t ill_since_ms; /* -1: not; the condition for a move holds since */
    int64_t gray_since_ms;
    uint32_t moves;       /* counted for the pause, decays */
    int64_t last_move_ms; /* -1: none */
    int64_t decayed_ms;   /* decay is accounted up to here */
};

/* NULL: the defaults. */
void policy_init(struct policy *self, const struct policy_config *config);

/* Leadership moved by health (or gray) somewhere in the cluster, this node's own moves included. */
void policy_note_move(struct policy *self, int64_t now_ms);

/* Decide; call a few times a second while leading. After a decision the caller hands over and, if
 * that fails, asks again. */
void policy_decide(struct policy *self, const struct policy_input *input,
                   struct policy_decision *ret);

/* What a manager counts whose work the node can do so far: 2 from half of it on, 1 for less, 0 for
 * none of it or when that is unknown. Steps, as leadership does not move for a few percent. */
uint32_t policy_capability(int percent);

/* When what holds now would have held for long enough: the next time to decide, INT64_MAX while
 * nothing speaks for a move. It may have passed. */
int64_t policy_due_ms(const struct policy *self, int64_t acting_since_ms);

/* The present pause; 0: none. */
int64_t policy_pause_ms(const struct policy *self);

/* The best voter to hand over to for any cause (alive, caught up, not draining, no witness, wanted
 * in its role): most
 * capabilities, then known and higher score, then lower id. 0: none. */
uint64_t policy_best(const struct policy_input *input);

/* The same; but while none is known to have caught up (a term that has just begun), the first that
 * is alive, does not drain, is no witness and wanted in its role. 0: none. */
uint64_t policy_best_known(const struct policy_input *input);

/* As leader: the log of server `server` of the view is so close that a transfer takes no longer
 * than a round trip, and it answered within the election timeout. */
bool policy_caught_up(const struct consensus_view *view, size_t server,
                      int64_t election_timeout_ms);

#endif
