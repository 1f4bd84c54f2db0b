/* Scripts for RG9 and RG10: a change of roles reaches one server only, and its leader is gone. */
#include "tests/sim/node.h"
#include "tests/sim/scenario.h"

#define LEADER 0
#define OTHER 1
#define FOURTH 3
#define SETTLE_MS 2000

/* Three founders and a fourth server in the role. */
static struct stage *open_with(const struct options *options, uint64_t seed,
                               struct verdict *verdict, bool tracing, enum consensus_role fourth)
{
    struct options mine = *options;
    mine.voters = 3;
    struct stage *stage = stage_open(&mine, seed, verdict, tracing, 4, LEADER);
    struct node *leader = stage_node(stage, LEADER);
    uint64_t id = stage_node(stage, FOURTH)->id;
    bool added = node_change(leader, CONSENSUS_ADD, id, CONSENSUS_SPARE) == 0;
    stage_wait(stage, SETTLE_MS);
    if (!added || node_change(leader, CONSENSUS_ASSIGN, id, fourth) != 0) {
        stage_broken(stage, "the fourth server was not added");
    }
    stage_wait(stage, SETTLE_MS);
    return stage;
}

/* The leader changes the fourth server's role, tells `reached` alone, and never comes back. */
static void change_and_lose(struct stage *stage, enum consensus_role role, int reached)
{
    struct node *leader = stage_node(stage, LEADER);
    for (int to = 1; to <= FOURTH; to++) {
        if (to != reached) {
            struct steer steer = stage_way(LEADER, to, INSIDE_APPEND, ROUTE_DROP);
            steer.entries = 1;
            (void)stage_steer(stage, steer);
        }
    }
    if (node_change(leader, CONSENSUS_ASSIGN, stage_node(stage, FOURTH)->id, role) != 0) {
        stage_broken(stage, "the role was not changed");
    }
    stage_wait(stage, 100);
    node_crash(leader, true);
    leader->stays_down = true;
}

void scenario_withheld_demotion(const struct options *options, uint64_t seed,
                                struct verdict *verdict, bool tracing)
{
    struct stage *stage = open_with(options, seed, verdict, tracing, CONSENSUS_VOTER);
    change_and_lose(stage, CONSENSUS_STANDBY, FOURTH);
    stage_close(stage);
}

void scenario_vote_of_non_voter(const struct options *options, uint64_t seed,
                                struct verdict *verdict, bool tracing)
{
    struct stage *stage = open_with(options, seed, verdict, tracing, CONSENSUS_STANDBY);
    change_and_lose(stage, CONSENSUS_VOTER, OTHER);
    stage_close(stage);
}
