/* Steered runs: a script brings about, step by step, what a rule is there to prevent. With the
 * rule on the same script must end well. */
#ifndef UNDERSTUDY_TESTS_SIM_SCENARIO_H
#define UNDERSTUDY_TESTS_SIM_SCENARIO_H

#include "tests/sim/inside.h"
#include "tests/sim/runner.h"
#include "tests/sim/world.h"

#define STEERS_MAX 16
#define ANY (-1)

/* What happens to messages of the engine of a kind on a way; the first that fits is taken. */
struct steer {
    int from; /* node index or ANY */
    int to;
    enum inside_type type;
    int pre_vote;   /* votes: 0, 1 or ANY */
    int entries;    /* appends: with (1) or without (0) entries, or ANY */
    int previous;   /* appends: the index before the entries, or ANY */
    int64_t action; /* a delay in us, ROUTE_DROP or ROUTE_HOLD */
    bool on;
    uint64_t hits;
};

struct stage {
    struct world *world;
    struct steer steers[STEERS_MAX];
    size_t steer_count;
};

/* Set up the world with `nodes` nodes, no random faults, equal delays; start all, and wait until
 * `leader` acts and all follow it. */
struct stage *stage_open(const struct options *options, uint64_t seed, struct verdict *verdict,
                         bool tracing, int64_t nodes, int leader);
/* All links up, no steering, everyone started: L1 must come back. Ends the stage. */
void stage_close(struct stage *stage);

/* A new steer, in force at once. */
struct steer *stage_steer(struct stage *stage, struct steer steer);
void stage_wait(struct stage *stage, int64_t ms);
/* Wait for a condition at most `ms`: whether it came. */
bool stage_wait_until(struct stage *stage, int64_t ms, condition_function *condition,
                      void *context);
/* Both ways. */
void stage_cut(struct stage *stage, int one, int other);
void stage_join(struct stage *stage, int one, int other);
struct node *stage_node(struct stage *stage, int index);
/* The rate of a node's clock from now on, in parts in a million beside the true one. */
void stage_set_rate(struct stage *stage, int node, int64_t ppm);
/* Its clock jumps forward. */
void stage_set_forward(struct stage *stage, int node, int64_t ms);
/* Take the newest message that is held on the way out of the network; NULL when there is none. It
 * arrives with stage_deliver(), which takes it. */
struct message *stage_take_held(struct stage *stage, int from, int to);
void stage_deliver(struct stage *stage, struct message *message);
/* Propose commands one after the other, `each_ms` apart. */
void stage_propose(struct stage *stage, int leader, int count, int64_t each_ms);
/* The script cannot go on as written: neither passed nor failed. */
void stage_broken(struct stage *stage, const char *why) __attribute__((noreturn));

/* A steer of all messages of a type on a way. */
struct steer stage_way(int from, int to, enum inside_type type, int64_t action);

/* ---- conditions ---- */
struct node_wanted {
    int node;
    uint64_t at_least;
};
condition_function wanted_acts;           /* the node acts; at_least: in this term or later */
condition_function wanted_leads;          /* is leader by itself, in this term or later */
condition_function wanted_follows_nobody; /* is a follower without a leader */
condition_function wanted_held;           /* at_least messages are held */
condition_function wanted_applied;        /* the node has applied at_least commands */
condition_function wanted_any_leader_but; /* any node but this one leads in this term or later */

/* ---- the scripts: see scenarios.c ---- */
run_function scenario_vote_guard;
run_function scenario_own_term_barrier;
run_function scenario_acknowledgement_bound;
run_function scenario_truncate_and_reload;
run_function scenario_honest_refusal;
run_function scenario_silence_after_echo;
run_function scenario_silence_after_start;
run_function scenario_silence_of_former_leader;
run_function scenario_evidence_wait;
run_function scenario_evidence_wait_inherits;
run_function scenario_transfer_is_final;
run_function scenario_vote_is_durable;
run_function scenario_lease_stretch;
run_function scenario_pre_vote;
run_function scenario_echo_term;
/* scenarios_roles.c */
run_function scenario_sole_voter;
run_function scenario_known_prefix;
run_function scenario_stale_refusal;
run_function scenario_rounds_limit;
run_function scenario_voters_disrupt;
run_function scenario_leader_keeps_vote;
run_function scenario_quiet_snapshot;
run_function scenario_withheld_demotion;
run_function scenario_vote_of_non_voter;

#endif
