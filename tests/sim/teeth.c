#include "tests/sim/teeth.h"

#include "tests/sim/runner.h"
#include "tests/sim/scenario.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* How a rule is shown: a script, or random seeds of a profile of which one must fail without the
 * rule. The seed that fails then passes with it. */
struct tooth {
    const char *rule;
    const char *also;     /* a rule that hides this one: off in both runs; NULL: none */
    const char *says;     /* what goes wrong without it, for people */
    run_function *script; /* NULL: random seeds */
    const char *profile;
    const char *settings; /* more options, separated by single spaces; NULL: none */
    const char *check;    /* the violations that are wanted; NULL: any */
    uint64_t from;        /* random: first seed */
    uint64_t seeds;       /* random: how many may be tried */
};

#define STEERED "gossip=0 duties=0 propose=0 move=0 release=0 crash_evidence=0 obituary=0"

static const struct tooth teeth[] = {
    {"vote_guard", NULL, "RG1: two leaders in a term", scenario_vote_guard, "calm", STEERED, NULL,
     1, 1},
    {"own_term_barrier", NULL, "RG2: an entry of an older term is committed and lost",
     scenario_own_term_barrier, "calm", STEERED, "I2", 1, 1},
    {"acknowledgement_bound", NULL, "RG3: an entry is committed that a follower never had",
     scenario_acknowledgement_bound, "calm", STEERED, "I2", 1, 1},
    {"truncate_and_reload", NULL, "RG5: an uncommitted configuration is rolled back wrongly",
     scenario_truncate_and_reload, "calm", STEERED " snapshot=10 trailing=5", NULL, 1, 1},
    {"honest_refusal", NULL, "RG6: nobody is ever elected again", scenario_honest_refusal, "calm",
     STEERED, "L1", 1, 1},
    {"withheld_demotion", NULL, "RG9: the demoted server has the best log and may not stand",
     scenario_withheld_demotion, "calm", STEERED, "L1", 1, 1},
    {"vote_of_non_voter", NULL, "RG10: who is promoted and does not know it does not vote",
     scenario_vote_of_non_voter, "calm", STEERED, "L1", 1, 1},
    {"silence_after_echo", NULL, "two act: a voter forgot its leader", scenario_silence_after_echo,
     "calm", STEERED, "I3", 1, 1},
    {"silence_after_start", NULL, "two act: a voter restarted", scenario_silence_after_start,
     "calm", STEERED, "I3", 1, 1},
    {"silence_of_former_leader", NULL, "two act: a former leader votes",
     scenario_silence_of_former_leader, "calm", STEERED " manager_lag=300 manager_lag_least=300",
     "I3", 1, 1},
    {"evidence_wait", NULL, "two act: the evidence was false", scenario_evidence_wait, "calm",
     STEERED, "I3", 1, 1},
    {"evidence_wait_inherits", NULL, "two act: elected in a later round on false evidence",
     scenario_evidence_wait_inherits, "calm", STEERED, "I3", 1, 1},
    {"transfer_is_final", NULL, "two act: a transfer failed late", scenario_transfer_is_final,
     "calm", STEERED, "I3", 1, 1},
    {"completions_at_once", NULL, "events between a write and its completion", NULL, "p2",
     "gossip=0 duties=0 move=0 release=0 liveness=0 calm=1000 duration=100000 propose=30 "
     "transfer=0 partition=800 crash=800 host=0",
     "I1 I2 OK CRASH", 1, 800},
    {"hold_of_new_leader", NULL, "a duty runs twice: the new leader moves what the old one granted",
     NULL, "p1", NULL, "I4", 1, 100},
    {"no_grant_while_moving", NULL, "a duty runs twice: granted while its move is proposed", NULL,
     "p2", "move=300", "I4", 1, 400},
    {"incarnation", NULL, "a duty runs twice: an old life's message counts for the new one", NULL,
     "p3", NULL, "I4", 1, 400},
    {"release_names_assignment", NULL,
     "a duty runs twice: an old release counts for a new assignment", NULL, "p1",
     "late=70 release=500 move=500", "I4", 1, 1000},
    {"released_takes_no_grant", NULL, "a duty runs twice: a grant comes after the release", NULL,
     "p3", "release=800 late=50 move=600", "I4", 1, 600},
    {"grants_only_while_acting", NULL, "a duty runs twice: granted without a lease", NULL, "p1",
     NULL, "I4", 1, 400},
    {"lease_check", NULL, "two act: the lease's end is not minded", NULL, "p1", NULL, "I3", 1, 300},
    {"quiet_snapshot", NULL, "RG4: a snapshot holds a configuration that is not committed",
     scenario_quiet_snapshot, "calm", STEERED " snapshot=10 trailing=5", "I6", 1, 1},
    {"sole_voter", "leader_keeps_vote", "RG7: the last voter leads in the term of another",
     scenario_sole_voter, "calm", STEERED, "I1", 1, 1},
    {"known_prefix", NULL, "RG8: old entries are appended again", scenario_known_prefix, "calm",
     STEERED " voters=2 snapshot=10 trailing=5", NULL, 1, 1},
    {"stale_refusal", NULL, "a follower is left behind for seconds", scenario_stale_refusal, "calm",
     STEERED " snapshot=10 trailing=5", "L1", 1, 1},
    {"pre_vote", NULL, "a node that comes back deposes the leader", scenario_pre_vote, "calm",
     STEERED, "L3", 1, 1},
    {"rounds_limit", NULL, "a demoted voter raises its term for ever", scenario_rounds_limit,
     "calm", STEERED, "L3", 1, 1},
    {"voters_disrupt", "rounds_limit", "a demoted voter deposes the leader",
     scenario_voters_disrupt, "calm", STEERED, "L3", 1, 1},
    {"leader_keeps_vote", NULL, "a majority of voters lives and cannot elect",
     scenario_leader_keeps_vote, "calm", STEERED, "L1", 1, 1},
    {"vote_is_durable", NULL, "two leaders in a term: a vote was forgotten",
     scenario_vote_is_durable, "calm", STEERED, "I1 I6", 1, 1},
    {"lease_stretch", NULL, "two act: one clock is slow, the other fast", scenario_lease_stretch,
     "calm", STEERED " drift=0 delay=1", "I3", 1, 1},
    {"lease_ends_at_step_down", "silence_of_former_leader", "two act: a deposed leader goes on",
     scenario_silence_of_former_leader, "calm", STEERED " manager_lag=0", "I3", 1, 1},
    {"no_transfer_in_wait", NULL, "two act: handed over in the wait", NULL, "bounce", NULL, "I3", 1,
     400},
    {"managers_before_transfer", NULL, "two act: handed over before the managers ended", NULL,
     "mgrlag", NULL, "I3", 1, 300},
    {"obituary_owed_wait", NULL, "two act: the dead leader's predecessor goes on", NULL, "bounce",
     "bounce=60 false_evidence=700 obituary=90 freeze=1000", "I3", 1, 1000},
    {"obituary_term", NULL, "two act: an old obituary counts for a new term", NULL, "p1", "late=60",
     "I3", 1, 1000},
    {"echo_term", NULL, "two act: an echo of an earlier term counts", scenario_echo_term, "calm",
     STEERED " drift=0 clocks=0 delay=1", "I3", 1, 1},
    {"last_grant_survives", NULL, "a duty runs twice: a restart clears the last grant", NULL, "p1",
     "move=400 obituary=0", "I4", 1, 1000},
    {"grants_stretch", NULL, "a duty runs twice: one clock is slow, the other fast", NULL, "p1",
     NULL, "I4", 1, 200},
    {"held_is_not_free", NULL, "a duty runs twice: placement takes what is held for free", NULL,
     "health", NULL, "I4", 1, 20},
    {"guard_deadline", NULL, "a duty runs twice: a guard does not end its process", NULL, "p1",
     NULL, "I4", 1, 20},
    {"former_lock", NULL, "a duty runs twice: released while a guard of a former life runs it",
     NULL, "p1", "obituary=0", "I4", 1, 400},
    {"run_once", NULL, "a run's attempt takes effect twice: it is assigned a second time", NULL,
     "schedule", NULL, "I8", 1, 100},
    {"sides_apart", NULL, "primary and backup run at once: the state assigns both", NULL, "sides",
     NULL, "I4", 1, 20},
    {"decided_is_replicated", NULL, "slots are left out: a new leader begins at the present", NULL,
     "schedule", NULL, "I7", 1, 50},
    {"check_key", NULL, "an effect comes after its end", NULL, "intents", NULL, "I5", 1, 20},
    {"verify_earlier", NULL, "an effect comes twice: its leader died, and nobody asks whether",
     NULL, "intents", NULL, "I5", 1, 100},
    {"verify_given", NULL, "an effect comes twice: its manager died, and nobody asks whether", NULL,
     "intents", NULL, "I5", 1, 100},
    {"object_first", NULL, "an effect comes before what was open on its object", NULL, "intents",
     NULL, "I5", 1, 20},
    {"refutation", NULL, "a node that was slow is held dead for ever", NULL, "p1", NULL, "L2", 1,
     100},
};

#define TEETH_COUNT (sizeof teeth / sizeof teeth[0])

static struct options options_of(const struct tooth *tooth, bool off)
{
    struct options options;
    struct err err = {0};
    int code = options_profile(&options, tooth->profile, &err);
    const char *next = tooth->settings;
    while (code == 0 && next != NULL) {
        code = options_set(&options, next, &err);
        next = strchr(next, ' ');
        next = next == NULL ? NULL : next + 1;
    }
    options.messages = 1;
    if (code == 0 && tooth->also != NULL) {
        code = options_off(&options, tooth->also, &err);
    }
    if (code == 0 && off) {
        code = options_off(&options, tooth->rule, &err);
    }
    if (code != 0) {
        (void)fprintf(stderr, "tooth %s: %s\n", tooth->rule, err.msg);
        exit(2);
    }
    return options;
}

static enum outcome run(const struct tooth *tooth, bool off, uint64_t seed, struct verdict *verdict,
                        const char *trace)
{
    struct options options = options_of(tooth, off);
    run_function *function = tooth->script == NULL ? runner_random : tooth->script;
    return runner_one(function, &options, seed, verdict, trace);
}

static void show(const struct tooth *tooth, bool off, uint64_t seed)
{
    struct verdict verdict;
    (void)printf("---- %s %s\n", tooth->rule, off ? "off" : "on");
    (void)fflush(stdout);
    (void)run(tooth, off, seed, &verdict, "-");
}

static bool is_wanted(const struct tooth *tooth, enum outcome outcome,
                      const struct verdict *verdict)
{
    if (outcome == OUTCOME_OK || outcome == OUTCOME_HANG || strcmp(verdict->check, "SCRIPT") == 0) {
        return false;
    }
    return tooth->check == NULL || strstr(tooth->check, verdict->check) != NULL;
}

/* Whether the rule bites; one line says how. */
static bool bite(const struct tooth *tooth, bool verbose)
{
    struct verdict without = {0};
    struct verdict with = {0};
    uint64_t seed = tooth->from;
    enum outcome outcome = OUTCOME_OK;
    for (; seed < tooth->from + tooth->seeds; seed++) {
        outcome = run(tooth, true, seed, &without, NULL);
        if (is_wanted(tooth, outcome, &without)) {
            break;
        }
    }
    bool failed_without = seed < tooth->from + tooth->seeds;
    seed = failed_without ? seed : tooth->from;
    enum outcome outcome_with = run(tooth, false, seed, &with, NULL);
    bool bites = failed_without && outcome_with == OUTCOME_OK;
    (void)printf("%-4s %-26s %s, seed %" PRIu64 " (%" PRIu64 " tried)\n", bites ? "ok" : "FAIL",
                 tooth->rule, tooth->script == NULL ? tooth->profile : "steered", seed,
                 seed - tooth->from + 1);
    (void)printf("       off: %s %s %s\n       on:  %s %s %s\n", outcome_name(outcome),
                 without.check, without.text, outcome_name(outcome_with), with.check, with.text);
    if (verbose) {
        show(tooth, true, seed);
        show(tooth, false, seed);
    }
    (void)fflush(stdout);
    return bites;
}

/* Rules that nothing here shows to be worth anything. */
static size_t without_teeth(void)
{
    size_t count = 0;
    for (const char *const *rule = options_rules(); *rule != NULL; rule++) {
        bool known = false;
        for (size_t i = 0; i < TEETH_COUNT; i++) {
            known = known || strcmp(*rule, teeth[i].rule) == 0;
        }
        if (!known) {
            (void)printf("FAIL %-26s has no tooth\n", *rule);
            count++;
        }
    }
    return count;
}

int teeth_run(const char *rule, bool verbose)
{
    size_t tried = 0;
    size_t failed = rule == NULL ? without_teeth() : 0;
    for (size_t i = 0; i < TEETH_COUNT; i++) {
        if (rule == NULL || strcmp(rule, teeth[i].rule) == 0) {
            tried++;
            failed += bite(&teeth[i], verbose) ? 0 : 1;
        }
    }
    (void)printf("%zu rules, %zu do not bite\n", tried, failed);
    return tried > 0 && failed == 0 ? 0 : 1;
}
