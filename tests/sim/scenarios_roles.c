/* The scripts in which roles change or snapshots are at stake; see scenarios.c. */
#include "tests/sim/check.h"
#include "tests/sim/machine.h"
#include "tests/sim/node.h"
#include "tests/sim/peers.h"
#include "tests/sim/scenario.h"

#include <inttypes.h>

static void change(struct stage *stage, int leader, enum consensus_change what, int node,
                   enum consensus_role role)
{
    if (node_change(stage_node(stage, leader), what, stage_node(stage, node)->id, role) != 0) {
        stage_broken(stage, "the configuration may not be changed");
    }
}

/* Let a node that is no member yet become a standby. */
static void add_standby(struct stage *stage, int leader, int node)
{
    change(stage, leader, CONSENSUS_ADD, node, CONSENSUS_SPARE);
    stage_wait(stage, 200);
    change(stage, leader, CONSENSUS_ASSIGN, node, CONSENSUS_STANDBY);
}

/* Within a second: some ten heartbeats. */
static void wait_for_applied(struct stage *stage, int node, const char *check, const char *why)
{
    size_t all = check_committed(stage->world);
    struct node_wanted wanted = {.node = node, .at_least = all};
    if (!stage_wait_until(stage, 1000, wanted_applied, &wanted)) {
        check_failed(stage->world, check, "n%d has not applied all %zu commands: %s", node, all,
                     why);
    }
}

/* RG7: the last voter followed a leader that demoted itself. When its patience ends the library
 * makes it leader at once, in the term that it followed in. */
void scenario_sole_voter(const struct options *options, uint64_t seed, struct verdict *verdict,
                         bool tracing)
{
    enum { LEADER, LAST };
    struct stage *stage = stage_open(options, seed, verdict, tracing, 2, LEADER);
    (void)node_change(stage_node(stage, LEADER), CONSENSUS_ASSIGN, stage_node(stage, LEADER)->id,
                      CONSENSUS_STANDBY);
    stage_wait(stage, 50);
    stage_cut(stage, LEADER, LAST);
    struct node_wanted leads = {.node = LAST};
    (void)stage_wait_until(stage, 3000, wanted_leads, &leads);
    stage_close(stage);
}

/* RG8: a standby got its log from the first entry on, has gone behind a snapshot, and then gets
 * that first append once more. */
void scenario_known_prefix(const struct options *options, uint64_t seed, struct verdict *verdict,
                           bool tracing)
{
    enum { LEADER, OTHER, STANDBY };
    struct stage *stage = stage_open(options, seed, verdict, tracing, 3, LEADER);
    struct steer appends = stage_way(LEADER, STANDBY, INSIDE_APPEND, ROUTE_HOLD);
    appends.entries = 1;
    appends.previous = 0;
    struct steer *held = stage_steer(stage, appends);
    add_standby(stage, LEADER, STANDBY);
    struct node_wanted one = {.at_least = 1};
    if (!stage_wait_until(stage, 3000, wanted_held, &one)) {
        stage_broken(stage, "no append for the standby");
    }
    struct message *late = stage_take_held(stage, LEADER, STANDBY);
    held->on = false;
    network_release(stage->world, LEADER, STANDBY, 0);
    stage_wait(stage, 1000);
    stage_propose(stage, LEADER, 60, 20);
    wait_for_applied(stage, STANDBY, "SCRIPT", "it should follow before the script goes on");
    stage_deliver(stage, late);
    stage_wait(stage, 100);
    stage_propose(stage, LEADER, 3, 20);
    wait_for_applied(stage, STANDBY, "L1", "after a late append");
    stage_close(stage);
}

/* A refusal is overtaken: it comes when the follower has long got all, and the leader probes again
 * for another reason. The leader falls back to a snapshot that the follower has left behind. */
void scenario_stale_refusal(const struct options *options, uint64_t seed, struct verdict *verdict,
                            bool tracing)
{
    enum { LEADER, OTHER, BEHIND };
    struct stage *stage = stage_open(options, seed, verdict, tracing, 3, LEADER);
    stage_propose(stage, LEADER, 20, 20);
    struct steer entries = stage_way(LEADER, BEHIND, INSIDE_APPEND, ROUTE_DROP);
    entries.entries = 1;
    struct steer *lost = stage_steer(stage, entries);
    struct steer *answers =
        stage_steer(stage, stage_way(BEHIND, LEADER, INSIDE_APPENDED, ROUTE_HOLD));
    stage_propose(stage, LEADER, 25, 8);
    stage_wait(stage, 200); /* heartbeats behind the lost entries are refused */
    struct message *late = stage_take_held(stage, BEHIND, LEADER);
    struct message *same = stage_take_held(stage, BEHIND, LEADER);
    if (late == NULL || same == NULL) {
        stage_broken(stage, "the follower does not refuse twice");
    }
    network_forget(stage->world);
    answers->on = false;
    lost->on = false;
    stage_deliver(stage, same);
    wait_for_applied(stage, BEHIND, "SCRIPT", "it should catch up before the script goes on");
    stage_wait(stage, 200);
    lost->on = true;
    stage_propose(stage, LEADER, 1, 100); /* a heartbeat is refused: probing again */
    stage_deliver(stage, late);
    stage_wait(stage, 20);
    lost->on = false;
    stage_propose(stage, LEADER, 3, 20);
    wait_for_applied(stage, BEHIND, "L1", "after a late refusal");
    stage_close(stage);
}

/* A voter is cut off, stands on evidence, and is made a spare without hearing of it. */
static struct stage *cut_off_and_demote(const struct options *options, uint64_t seed,
                                        struct verdict *verdict, bool tracing, int leader,
                                        int demoted)
{
    struct stage *stage = stage_open(options, seed, verdict, tracing, 4, leader);
    network_isolate(stage->world, demoted);
    const struct node *old = stage_node(stage, leader);
    if (node_stand(stage_node(stage, demoted), old->id, old->view.term, false) != 0) {
        stage_broken(stage, "the voter may not stand");
    }
    change(stage, leader, CONSENSUS_ASSIGN, demoted, CONSENSUS_SPARE);
    stage_wait(stage, 200);
    network_join_all(stage->world);
    stage_wait(stage, 4000);
    return stage;
}

/* It asks for votes without end, in ever higher terms. */
void scenario_rounds_limit(const struct options *options, uint64_t seed, struct verdict *verdict,
                           bool tracing)
{
    enum { LEADER, DEMOTED = 3 };
    struct stage *stage = cut_off_and_demote(options, seed, verdict, tracing, LEADER, DEMOTED);
    stage_wait(stage, 4000);
    uint64_t term = storage_term(stage_node(stage, DEMOTED)->storage);
    stage_wait(stage, 10000);
    uint64_t later = storage_term(stage_node(stage, DEMOTED)->storage);
    if (later > term + 2) {
        check_failed(stage->world, "L3", "n%d goes on to raise its term: %" PRIu64 ", %" PRIu64,
                     DEMOTED, term, later);
    }
    stage_close(stage);
}

/* It deposes a leader that lives. */
void scenario_voters_disrupt(const struct options *options, uint64_t seed, struct verdict *verdict,
                             bool tracing)
{
    enum { LEADER, DEMOTED = 3 };
    struct stage *stage = cut_off_and_demote(options, seed, verdict, tracing, LEADER, DEMOTED);
    const struct node *leader = stage_node(stage, LEADER);
    if (!node_leads(leader)) {
        check_failed(stage->world, "L3", "n%d was deposed by n%d, which is no voter", LEADER,
                     DEMOTED);
    }
    stage_close(stage);
}

/* The leader demotes itself, nobody hears it, and a voter is lost for good: two of three voters are
 * left, and the library lets one of them neither vote nor stand. */
void scenario_leader_keeps_vote(const struct options *options, uint64_t seed,
                                struct verdict *verdict, bool tracing)
{
    enum { LEADER, OTHER, LOST };
    struct stage *stage = stage_open(options, seed, verdict, tracing, 3, LEADER);
    struct steer unheard = stage_way(LEADER, ANY, INSIDE_APPEND, ROUTE_DROP);
    unheard.entries = 1;
    (void)stage_steer(stage, unheard);
    (void)node_change(stage_node(stage, LEADER), CONSENSUS_ASSIGN, stage_node(stage, LEADER)->id,
                      CONSENSUS_STANDBY);
    stage_node(stage, LOST)->stays_down = true;
    node_crash(stage_node(stage, LOST), false);
    node_crash(stage_node(stage, LEADER), false);
    stage_close(stage);
}

/* RG4: followers hear at once that the command is committed which makes a snapshot due, and of a
 * change behind it. */
void scenario_quiet_snapshot(const struct options *options, uint64_t seed, struct verdict *verdict,
                             bool tracing)
{
    enum { LEADER, OTHER, THIRD };
    struct stage *stage = stage_open(options, seed, verdict, tracing, 3, LEADER);
    struct node *leader = stage_node(stage, LEADER);
    uint64_t due = leader->view.snapshot_index + (uint64_t)options->snapshot;
    while (leader->view.applied_index < due - 1) {
        stage_propose(stage, LEADER, 1, 20);
    }
    stage_wait(stage, 200);
    struct steer heartbeats = stage_way(LEADER, ANY, INSIDE_APPEND, ROUTE_DROP);
    heartbeats.entries = 0;
    (void)stage_steer(stage, heartbeats);
    struct node_wanted applied = {.node = LEADER, .at_least = check_committed(stage->world) + 1};
    duties_propose_note(leader);
    if (!stage_wait_until(stage, 100, wanted_applied, &applied)) {
        stage_broken(stage, "the command is not committed");
    }
    change(stage, LEADER, CONSENSUS_ASSIGN, THIRD, CONSENSUS_STANDBY);
    stage_wait(stage, 300);
    stage_close(stage);
}
