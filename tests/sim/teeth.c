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
    {"vote_guard", "RG1: two leaders in a term", scenario_vote_guard, "calm", STEERED, NULL, 1, 1},
    {"own_term_barrier", "RG2: an entry of an older term is committed and lost",
     scenario_own_term_barrier, "calm", STEERED, "OK", 1, 1},
    {"acknowledgement_bound", "RG3: an entry is committed that a follower never had",
     scenario_acknowledgement_bound, "calm", STEERED, "I2", 1, 1},
    {"truncate_and_reload", "RG5: an uncommitted configuration is rolled back wrongly",
     scenario_truncate_and_reload, "calm", STEERED " snapshot=10 trailing=5", NULL, 1, 1},
    {"honest_refusal", "RG6: nobody is ever elected again", scenario_honest_refusal, "calm",
     STEERED, "L1", 1, 1},
    {"silence_after_echo", "two act: a voter forgot its leader", scenario_silence_after_echo,
     "calm", STEERED, "I3", 1, 1},
    {"silence_after_start", "two act: a voter restarted", scenario_silence_after_start, "calm",
     STEERED, "I3", 1, 1},
    {"silence_of_former_leader", "two act: a former leader votes",
     scenario_silence_of_former_leader, "calm", STEERED " manager_lag=300 manager_lag_least=300",
     "I3", 1, 1},
    {"evidence_wait", "two act: the evidence was false", scenario_evidence_wait, "calm", STEERED,
     "I3", 1, 1},
    {"evidence_wait_inherits", "two act: elected in a later round on false evidence",
     scenario_evidence_wait_inherits, "calm", STEERED, "I3", 1, 1},
    {"transfer_is_final", "two act: a transfer failed late", scenario_transfer_is_final, "calm",
     STEERED, "I3", 1, 1},
    {"completions_at_once", "events between a write and its completion", NULL, "p2",
     "gossip=0 duties=0 move=0 release=0 liveness=0 calm=1000 duration=100000 propose=30 "
     "transfer=0 partition=800 crash=800 host=0",
     "I1 I2 OK CRASH", 1, 800},
    {"hold_of_new_leader", "a duty runs twice: the new leader moves what the old one granted", NULL,
     "p1", NULL, "I4", 1, 100},
    {"no_grant_while_moving", "a duty runs twice: granted while its move is proposed", NULL, "p2",
     NULL, "I4", 1, 200},
    {"incarnation", "a duty runs twice: an old life's message counts for the new one", NULL, "p3",
     NULL, "I4", 1, 400},
    {"release_names_assignment", "a duty runs twice: an old release counts for a new assignment",
     NULL, "p1", "late=60 release=1000", "I4", 1, 1000},
    {"released_takes_no_grant", "a duty runs twice: a grant comes after the release", NULL, "p3",
     "release=800 late=50 move=600", "I4", 1, 600},
    {"grants_only_while_acting", "a duty runs twice: granted without a lease", NULL, "p1", NULL,
     "I4", 1, 400},
    {"lease_check", "two act: the lease's end is not minded", NULL, "p1", NULL, "I3", 1, 300},
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

int teeth_run(const char *rule, bool verbose)
{
    size_t tried = 0;
    size_t failed = 0;
    for (size_t i = 0; i < TEETH_COUNT; i++) {
        if (rule == NULL || strcmp(rule, teeth[i].rule) == 0) {
            tried++;
            failed += bite(&teeth[i], verbose) ? 0 : 1;
        }
    }
    (void)printf("%zu rules, %zu do not bite\n", tried, failed);
    return tried > 0 && failed == 0 ? 0 : 1;
}
