/* The scripts. Each follows one way in which a cluster breaks without the rule that its name says;
 * the steps are those that random runs found. */
#include "tests/sim/check.h"
#include "tests/sim/machine.h"
#include "tests/sim/node.h"
#include "tests/sim/peers.h"
#include "tests/sim/scenario.h"

#include <inttypes.h>

static bool stands(struct stage *stage, int candidate, int leader)
{
    const struct node *old = stage_node(stage, leader);
    return node_stand(stage_node(stage, candidate), old->id, old->view.term, false) == 0;
}

static void wait_for_leader(struct stage *stage, int node, uint64_t term, const char *why)
{
    struct node_wanted wanted = {.node = node, .at_least = term};
    if (!stage_wait_until(stage, 10000, wanted_leads, &wanted)) {
        stage_broken(stage, why);
    }
}

/* A voter restarts and has forgotten that it just confirmed the leader's lease; a candidate that
 * was cut off for long asks for its vote. */
void scenario_silence_after_start(const struct options *options, uint64_t seed,
                                  struct verdict *verdict, bool tracing)
{
    enum { LEADER, VOTER, CANDIDATE };
    struct stage *stage = stage_open(options, seed, verdict, tracing, 3, LEADER);
    stage_cut(stage, LEADER, CANDIDATE);
    struct steer *asks = stage_steer(stage, stage_way(CANDIDATE, VOTER, INSIDE_VOTE, ROUTE_HOLD));
    struct node_wanted held = {.at_least = 1};
    if (!stage_wait_until(stage, 3000, wanted_held, &held)) {
        stage_broken(stage, "the candidate does not ask");
    }
    node_crash(stage_node(stage, VOTER), false);
    node_start(stage_node(stage, VOTER));
    network_cut(stage->world, VOTER, LEADER); /* which hears of no new term in time */
    asks->on = false;
    network_release(stage->world, CANDIDATE, VOTER, 0);
    stage_wait(stage, 400);
    stage_close(stage);
}

/* A voter has just confirmed the leader's lease when its instance is made afresh, as RG5 does, and
 * has forgotten its leader; a candidate that was cut off for long asks for its vote. */
void scenario_silence_after_echo(const struct options *options, uint64_t seed,
                                 struct verdict *verdict, bool tracing)
{
    enum { LEADER, VOTER, CANDIDATE };
    struct stage *stage = stage_open(options, seed, verdict, tracing, 3, LEADER);
    stage_cut(stage, LEADER, CANDIDATE);
    struct steer *asks = stage_steer(stage, stage_way(CANDIDATE, VOTER, INSIDE_VOTE, ROUTE_HOLD));
    struct node_wanted held = {.at_least = 1};
    if (!stage_wait_until(stage, 3000, wanted_held, &held)) {
        stage_broken(stage, "the candidate does not ask");
    }
    inside_want_reload(stage_node(stage, VOTER)->engine);
    node_timer(stage_node(stage, VOTER));
    network_cut(stage->world, VOTER, LEADER); /* which hears of no new term in time */
    asks->on = false;
    network_release(stage->world, CANDIDATE, VOTER, 0);
    stage_wait(stage, 400);
    stage_close(stage);
}

/* A leader hears of a higher term while its lease holds and its managers are slow to end, and
 * gives its own vote to the successor. */
void scenario_silence_of_former_leader(const struct options *options, uint64_t seed,
                                       struct verdict *verdict, bool tracing)
{
    enum { LEADER };
    struct stage *stage = stage_open(options, seed, verdict, tracing, 3, LEADER);
    struct steer votes = stage_way(ANY, ANY, INSIDE_VOTE, ROUTE_HOLD);
    votes.pre_vote = 0;
    struct steer *asks = stage_steer(stage, votes);
    node_freeze(stage_node(stage, LEADER), 5000, false);
    struct node_wanted held = {.at_least = 1};
    if (!stage_wait_until(stage, 4000, wanted_held, &held)) {
        stage_broken(stage, "nobody asks for votes");
    }
    int candidate = world_index_of_id(stage->world, stage->world->held->from);
    uint64_t term = stage_node(stage, LEADER)->view.term;
    (void)stage_steer(stage, stage_way(candidate, LEADER, INSIDE_APPENDED, 20000));
    node_thaw(stage_node(stage, LEADER));
    struct node_wanted acts = {.node = LEADER, .at_least = term};
    if (!stage_wait_until(stage, 100, wanted_acts, &acts)) {
        stage_broken(stage, "the old leader does not act again");
    }
    stage_wait(stage, 100);
    asks->on = false;
    network_release(stage->world, candidate, LEADER, 0);
    stage_wait(stage, 400);
    stage_close(stage);
}

/* False evidence: a successor is elected while the old leader goes on under its lease. */
void scenario_evidence_wait(const struct options *options, uint64_t seed, struct verdict *verdict,
                            bool tracing)
{
    enum { LEADER, SUCCESSOR, VOTER };
    struct stage *stage = stage_open(options, seed, verdict, tracing, 3, LEADER);
    network_cut(stage->world, SUCCESSOR, LEADER);
    network_cut(stage->world, VOTER, LEADER);
    if (!stands(stage, SUCCESSOR, LEADER)) {
        stage_broken(stage, "the successor may not stand");
    }
    uint64_t term = stage_node(stage, LEADER)->view.term;
    wait_for_leader(stage, SUCCESSOR, term + 1, "the successor is not elected");
    stage_wait(stage, 400);
    stage_close(stage);
}

/* The same, but the first round of votes is lost and the library repeats it by its own timer. */
void scenario_evidence_wait_inherits(const struct options *options, uint64_t seed,
                                     struct verdict *verdict, bool tracing)
{
    enum { LEADER, SUCCESSOR, VOTER };
    struct stage *stage = stage_open(options, seed, verdict, tracing, 3, LEADER);
    stage_cut(stage, SUCCESSOR, LEADER);
    struct steer *asks = stage_steer(stage, stage_way(SUCCESSOR, VOTER, INSIDE_VOTE, ROUTE_DROP));
    uint64_t term = stage_node(stage, LEADER)->view.term;
    if (!stands(stage, SUCCESSOR, LEADER)) {
        stage_broken(stage, "the successor may not stand");
    }
    asks->action = ROUTE_HOLD;
    struct node_wanted held = {.at_least = 1};
    if (!stage_wait_until(stage, 5000, wanted_held, &held)) {
        stage_broken(stage, "the round is not repeated");
    }
    network_cut(stage->world, VOTER, LEADER);
    asks->on = false;
    network_release(stage->world, SUCCESSOR, VOTER, 0);
    wait_for_leader(stage, SUCCESSOR, term + 2, "the successor is not elected");
    stage_wait(stage, 400);
    stage_close(stage);
}

/* A transfer fails, the old leader acts again, and then TimeoutNow arrives after all. */
void scenario_transfer_is_final(const struct options *options, uint64_t seed,
                                struct verdict *verdict, bool tracing)
{
    enum { LEADER, TARGET, VOTER };
    struct stage *stage = stage_open(options, seed, verdict, tracing, 3, LEADER);
    struct steer *late =
        stage_steer(stage, stage_way(LEADER, TARGET, INSIDE_TIMEOUT_NOW, ROUTE_HOLD));
    uint64_t term = stage_node(stage, LEADER)->view.term;
    if (node_hand_over(stage_node(stage, LEADER), stage_node(stage, TARGET)->id,
                       CONSENSUS_CAUSE_TRANSFER) != 0) {
        stage_broken(stage, "the leader may not hand over");
    }
    stage_wait(stage, 50);
    struct node_wanted again = {.node = LEADER, .at_least = term};
    (void)stage_wait_until(stage, 1500, wanted_acts, &again);
    network_cut(stage->world, TARGET, LEADER);
    network_cut(stage->world, VOTER, LEADER);
    late->on = false;
    network_release(stage->world, LEADER, TARGET, 0);
    wait_for_leader(stage, TARGET, term + 1, "the target is not elected");
    stage_wait(stage, 400);
    stage_close(stage);
}

/* RG1: a leader that transfers steps down for another candidate of the next term, votes for it,
 * and then gives its target a second vote. */
void scenario_vote_guard(const struct options *options, uint64_t seed, struct verdict *verdict,
                         bool tracing)
{
    enum { LEADER, TARGET, OTHER };
    struct stage *stage = stage_open(options, seed, verdict, tracing, 3, LEADER);
    uint64_t term = stage_node(stage, LEADER)->view.term;
    struct steer *asks = stage_steer(stage, stage_way(TARGET, ANY, INSIDE_VOTE, ROUTE_HOLD));
    if (node_hand_over(stage_node(stage, LEADER), stage_node(stage, TARGET)->id,
                       CONSENSUS_CAUSE_TRANSFER) != 0) {
        stage_broken(stage, "the leader may not hand over");
    }
    struct node_wanted held = {.at_least = 2};
    if (!stage_wait_until(stage, 1000, wanted_held, &held)) {
        stage_broken(stage, "the target does not ask");
    }
    stage_cut(stage, TARGET, OTHER);
    if (node_stand(stage_node(stage, OTHER), stage_node(stage, LEADER)->id, term, false) != 0) {
        stage_broken(stage, "the other one may not stand");
    }
    wait_for_leader(stage, OTHER, term + 1, "the other one is not elected");
    asks->on = false;
    network_release(stage->world, TARGET, LEADER, 0);
    stage_wait(stage, 100);
    stage_close(stage);
}

/* RG2: figure 8 of the Raft paper. An entry of an old term is counted as committed, and lost to a
 * node whose last entry is of a later term. */
void scenario_own_term_barrier(const struct options *options, uint64_t seed,
                               struct verdict *verdict, bool tracing)
{
    enum { FIRST, SECOND, VOTER };
    struct stage *stage = stage_open(options, seed, verdict, tracing, 3, FIRST);
    uint64_t term = stage_node(stage, FIRST)->view.term;
    network_isolate(stage->world, FIRST);
    duties_propose_note(stage_node(stage, FIRST)); /* only in the log of FIRST */
    struct steer keeps = stage_way(SECOND, ANY, INSIDE_APPEND, ROUTE_DROP);
    keeps.entries = 1;
    (void)stage_steer(stage, keeps);
    (void)stage_steer(stage, stage_way(VOTER, ANY, INSIDE_VOTE, ROUTE_DROP));
    wait_for_leader(stage, SECOND, term + 1, "the second leader is not elected");
    stage_wait(stage, 5);
    duties_propose_note(stage_node(stage, SECOND)); /* only in the log of SECOND */
    term = stage_node(stage, SECOND)->view.term;
    network_isolate(stage->world, SECOND);
    stage_join(stage, FIRST, VOTER);
    size_t applied = machine_position(stage_node(stage, FIRST)->machine);
    wait_for_leader(stage, FIRST, term + 1, "the first leader is not elected again");
    /* With the rule on it commits later, by its barrier: then VOTER has that too. */
    struct node_wanted commits = {.node = FIRST, .at_least = applied + 1};
    (void)stage_wait_until(stage, 300, wanted_applied, &commits);
    term = stage_node(stage, FIRST)->view.term;
    network_isolate(stage->world, FIRST);
    stage_join(stage, SECOND, VOTER);
    stage->steer_count = 0;
    struct node_wanted next = {.node = FIRST, .at_least = term + 1};
    (void)stage_wait_until(stage, 10000, wanted_any_leader_but, &next);
    stage_wait(stage, 300);
    stage_close(stage);
}

/* OLD leads twice without being heard: two entries of two terms are in its log alone. */
static void lead_unheard_twice(struct stage *stage, int old, int voter)
{
    uint64_t term = stage_node(stage, old)->view.term;
    network_isolate(stage->world, old);
    duties_propose_note(stage_node(stage, old));
    struct node_wanted down = {.node = old};
    if (!stage_wait_until(stage, 5000, wanted_follows_nobody, &down)) {
        stage_broken(stage, "the unheard leader does not step down");
    }
    stage_join(stage, old, voter);
    wait_for_leader(stage, old, term + 1, "the unheard leader is not elected again");
    stage_wait(stage, 5);
    network_isolate(stage->world, old);
}

/* RG3: a follower with entries of its own answers a late, empty heartbeat; taken for its whole log,
 * the answer commits what it never had. */
void scenario_acknowledgement_bound(const struct options *options, uint64_t seed,
                                    struct verdict *verdict, bool tracing)
{
    enum { OLD, NEW, VOTER };
    struct stage *stage = stage_open(options, seed, verdict, tracing, 3, OLD);
    struct steer unheard = stage_way(OLD, ANY, INSIDE_APPEND, ROUTE_DROP);
    unheard.entries = 1;
    (void)stage_steer(stage, unheard);
    (void)stage_steer(stage, stage_way(VOTER, ANY, INSIDE_VOTE, ROUTE_DROP));
    struct steer *asks = stage_steer(stage, stage_way(NEW, ANY, INSIDE_VOTE, ROUTE_DROP));
    lead_unheard_twice(stage, OLD, VOTER);
    uint64_t term = stage_node(stage, OLD)->view.term;
    asks->to = OLD;
    struct steer entries = stage_way(NEW, OLD, INSIDE_APPEND, ROUTE_DROP);
    entries.entries = 1;
    (void)stage_steer(stage, entries);
    struct steer *heartbeat = stage_steer(stage, stage_way(NEW, OLD, INSIDE_APPEND, ROUTE_HOLD));
    (void)stage_steer(stage, stage_way(OLD, NEW, INSIDE_VOTE, ROUTE_DROP));
    (void)stage_steer(stage, stage_way(OLD, NEW, INSIDE_APPEND, ROUTE_DROP));
    stage_join(stage, NEW, OLD);
    struct node_wanted acts = {.node = NEW, .at_least = term + 1};
    if (!stage_wait_until(stage, 10000, wanted_acts, &acts)) {
        stage_broken(stage, "the new leader does not act");
    }
    heartbeat->action = ROUTE_DROP;
    network_cut(stage->world, NEW, VOTER);
    duties_propose_note(stage_node(stage, NEW)); /* only in the log of NEW */
    network_release(stage->world, NEW, OLD, 0);
    stage_wait(stage, 100);
    network_isolate(stage->world, NEW);
    stage_join(stage, OLD, VOTER);
    stage->steer_count = 0;
    struct node_wanted next = {.node = NEW, .at_least = term + 2};
    (void)stage_wait_until(stage, 10000, wanted_any_leader_but, &next);
    stage_wait(stage, 300);
    stage_close(stage);
}

/* RG5: a leader that nobody hears changes a role; the change is rolled back when the entry of the
 * configuration before it has long gone into a snapshot. */
void scenario_truncate_and_reload(const struct options *options, uint64_t seed,
                                  struct verdict *verdict, bool tracing)
{
    enum { FIRST, SECOND, THIRD };
    struct stage *stage = stage_open(options, seed, verdict, tracing, 3, FIRST);
    for (int i = 0; i < 60; i++) {
        duties_propose_note(stage_node(stage, FIRST));
        stage_wait(stage, 20);
    }
    if (storage_term_at(stage_node(stage, FIRST)->storage, 1) != 0) {
        stage_broken(stage, "no snapshot was taken");
    }
    uint64_t term = stage_node(stage, FIRST)->view.term;
    network_isolate(stage->world, FIRST);
    if (node_change(stage_node(stage, FIRST), CONSENSUS_ASSIGN, stage_node(stage, THIRD)->id,
                    CONSENSUS_STANDBY) != 0) {
        stage_broken(stage, "the role may not be changed");
    }
    struct node_wanted next = {.node = FIRST, .at_least = term + 1};
    if (!stage_wait_until(stage, 5000, wanted_any_leader_but, &next)) {
        stage_broken(stage, "no second leader");
    }
    stage_wait(stage, 300);
    stage_close(stage);
}

/* Stand with nobody listening until the node's term has risen by `rounds`. */
static void raise_term(struct stage *stage, int node, uint64_t term, uint64_t rounds)
{
    if (node_stand(stage_node(stage, node), stage_node(stage, 2)->id, term, false) != 0) {
        stage_broken(stage, "a node may not stand");
    }
    while (storage_term(stage_node(stage, node)->storage) < term + rounds) {
        stage_wait(stage, 50);
    }
    node_crash(stage_node(stage, node), false);
}

/* RG6: the longer a node's log, the lower its term: everyone refuses everyone's pre-vote. */
void scenario_honest_refusal(const struct options *options, uint64_t seed, struct verdict *verdict,
                             bool tracing)
{
    enum { SHORT, MIDDLE, LONG };
    struct stage *stage = stage_open(options, seed, verdict, tracing, 3, LONG);
    uint64_t term = stage_node(stage, LONG)->view.term;
    struct steer lost = stage_way(LONG, SHORT, INSIDE_APPEND, ROUTE_DROP);
    lost.entries = 1;
    (void)stage_steer(stage, lost);
    duties_propose_note(stage_node(stage, LONG));
    stage_wait(stage, 10);
    network_isolate(stage->world, LONG);
    duties_propose_note(stage_node(stage, LONG));
    network_isolate(stage->world, SHORT);
    network_isolate(stage->world, MIDDLE);
    stage_node(stage, SHORT)->stays_down = true;
    stage_node(stage, MIDDLE)->stays_down = true;
    raise_term(stage, MIDDLE, term, 2);
    raise_term(stage, SHORT, term, 4);
    stage_node(stage, SHORT)->stays_down = false;
    stage_node(stage, MIDDLE)->stays_down = false;
    node_crash(stage_node(stage, LONG), false);
    stage_close(stage);
}

/* A voter restarts and does not find the vote that it gave in this term; another candidate of the
 * same term asks for it. */
void scenario_vote_is_durable(const struct options *options, uint64_t seed, struct verdict *verdict,
                              bool tracing)
{
    enum { FIRST, SECOND, VOTER };
    struct stage *stage = stage_open(options, seed, verdict, tracing, 3, FIRST);
    uint64_t term = stage_node(stage, FIRST)->view.term;
    stage_cut(stage, FIRST, SECOND);
    (void)stage_steer(stage, stage_way(SECOND, ANY, INSIDE_APPEND, ROUTE_DROP));
    (void)stage_steer(stage, stage_way(VOTER, ANY, INSIDE_VOTE, ROUTE_DROP));
    (void)stage_steer(stage, stage_way(VOTER, FIRST, INSIDE_APPENDED, ROUTE_DROP));
    if (!stands(stage, SECOND, FIRST)) {
        stage_broken(stage, "the second one may not stand");
    }
    wait_for_leader(stage, SECOND, term + 1, "the second one is not elected");
    node_crash(stage_node(stage, VOTER), false);
    node_start(stage_node(stage, VOTER));
    network_isolate(stage->world, SECOND);
    struct node_wanted again = {.node = FIRST, .at_least = term + 1};
    (void)stage_wait_until(stage, 5000, wanted_leads, &again);
    stage_close(stage);
}

/* The successor stands on evidence in the very instant in which it has confirmed the old leader's
 * lease; its clock is fast, the old leader's is slow. */
void scenario_lease_stretch(const struct options *options, uint64_t seed, struct verdict *verdict,
                            bool tracing)
{
    enum { LEADER, SUCCESSOR, VOTER };
    struct stage *stage = stage_open(options, seed, verdict, tracing, 3, LEADER);
    stage_set_rate(stage, LEADER, -20000);
    stage_set_rate(stage, SUCCESSOR, 20000);
    stage_wait(stage, 500);
    struct steer *silent = stage_steer(stage, stage_way(LEADER, VOTER, INSIDE_APPEND, ROUTE_DROP));
    struct steer *echo = stage_steer(stage, stage_way(SUCCESSOR, LEADER, INSIDE_APPENDED, 200));
    (void)stage_steer(stage, stage_way(SUCCESSOR, LEADER, INSIDE_VOTE, ROUTE_DROP));
    uint64_t term = stage_node(stage, LEADER)->view.term;
    for (uint64_t before = echo->hits; echo->hits == before;) {
        world_run(stage->world, stage->world->now_us + 50);
    }
    network_cut(stage->world, VOTER, LEADER);
    if (!stands(stage, SUCCESSOR, LEADER)) {
        stage_broken(stage, "the successor may not stand");
    }
    wait_for_leader(stage, SUCCESSOR, term + 1, "the successor is not elected");
    network_cut(stage->world, SUCCESSOR, LEADER);
    silent->on = false;
    stage_wait(stage, 400);
    stage_close(stage);
}

/* A node was cut off for a while and comes back: nobody needs another leader. */
void scenario_pre_vote(const struct options *options, uint64_t seed, struct verdict *verdict,
                       bool tracing)
{
    enum { LEADER, CUT_OFF };
    struct stage *stage = stage_open(options, seed, verdict, tracing, 3, LEADER);
    uint64_t term = stage_node(stage, LEADER)->view.term;
    network_isolate(stage->world, CUT_OFF);
    stage_wait(stage, 4000);
    network_join_all(stage->world);
    stage_wait(stage, 4000);
    const struct node *leader = stage_node(stage, LEADER);
    if (!node_leads(leader) || leader->view.term != term) {
        check_failed(stage->world, "L3", "n%d came back, and n%d leads no more in term %" PRIu64,
                     CUT_OFF, LEADER, term);
    }
    stage_close(stage);
}

/* The old leader's clock is ahead of the new one's. A voter that echoes what it heard of the old
 * one tells the new one of a time that is still to come. */
void scenario_echo_term(const struct options *options, uint64_t seed, struct verdict *verdict,
                        bool tracing)
{
    enum { OLD, NEW, VOTER };
    struct stage *stage = stage_open(options, seed, verdict, tracing, 3, OLD);
    stage_set_forward(stage, OLD, 400);
    stage_wait(stage, 1000);
    (void)stage_steer(stage, stage_way(OLD, NEW, INSIDE_APPENDED, ROUTE_DROP));
    uint64_t term = stage_node(stage, OLD)->view.term;
    if (node_hand_over(stage_node(stage, OLD), stage_node(stage, NEW)->id,
                       CONSENSUS_CAUSE_TRANSFER) != 0) {
        stage_broken(stage, "the leader may not hand over");
    }
    struct node_wanted leads = {.node = NEW, .at_least = term + 1};
    if (!stage_wait_until(stage, 1000, wanted_leads, &leads)) {
        stage_broken(stage, "the target is not elected");
    }
    stage_wait(stage, 20); /* its barrier is committed */
    (void)stage_steer(stage, stage_way(VOTER, NEW, INSIDE_APPENDED, ROUTE_HOLD));
    struct node_wanted held = {.at_least = 1};
    if (!stage_wait_until(stage, 200, wanted_held, &held)) {
        stage_broken(stage, "the voter does not answer");
    }
    struct message *late = stage_take_held(stage, VOTER, NEW);
    network_isolate(stage->world, NEW);
    stage_wait(stage, 410);
    stage->world->up[VOTER][NEW] = true;
    stage_deliver(stage, late);
    stage_wait(stage, 5);
    stage->world->up[VOTER][NEW] = false;
    stage_wait(stage, 400);
    stage_close(stage);
}
