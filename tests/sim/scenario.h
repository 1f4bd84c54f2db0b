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
/* The script cannot go on as written: neither passed nor failed. */
void stage_broken(struct stage *stage, const char *why) __attribute__((noreturn));

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

#endif
