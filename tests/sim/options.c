#include "tests/sim/options.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct named_profile {
    const char *name;
    const char *text;
    const char *settings; /* separated by single spaces */
};

/* P1 to P4 and the special ones are the profiles in which the rules were studied. */
static const struct named_profile profiles[] = {
    {"p1", "three nodes, short delays", "delay=3 tail=200 tail_percent=2 late=10"},
    {"p2", "three nodes, delays to 60 ms", "delay=60 tail=1500"},
    {"p3", "five nodes", "nodes=5 delay=25 tail=3000 tail_percent=6"},
    {"p4", "three nodes, delays near the election timeout", "delay=400 tail=3000"},
    {"bounce", "leaders are disturbed while they wait",
     "delay=3 tail=200 tail_percent=2 late=10 bounce=100 false_evidence=1200"},
    {"loss", "three messages in ten are lost", "delay=3 tail=200 tail_percent=2 loss=30"},
    {"mgrlag", "managers need long to stop",
     "delay=3 tail=200 tail_percent=2 late=10 manager_lag=350"},
    {"roles", "five nodes, roles change", "nodes=5 delay=60 tail=1500 roles=600 voters=3"},
    {"members", "five nodes, nodes leave and join",
     "nodes=5 delay=25 tail=1500 members=1500 roles=3000 voters=3"},
    {"reload", "instances are made afresh", "delay=3 tail=200 tail_percent=2 late=10 reload=800"},
    {"disk", "crash points, disks that fail, are full, slow or stuck",
     "delay=10 tail=500 crash_point=400 storage_error=3000 slow_disk=4000 stuck_disk=8000 "
     "failing_disk=6000 schedules=3 wall_rate=60 redefine=3000 intents=1"},
    {"hostile", "everything at once",
     "nodes=5 groups=1 turn=2000 delay=40 tail=3000 tail_percent=6 loss=8 crash=1500 freeze=1000 "
     "partition=1200 "
     "false_evidence=1000 transfer=1200 bounce=100 crash_point=2000 roles=3000 late=30"},
    {"seven", "seven nodes, five vote",
     "nodes=7 delay=25 tail=1500 manage=1 remove=6000 wish=4000 "
     "drain=6000 schedules=4 wall_rate=60 redefine=4000 meddle=4000 groups=1 turn=3000"},
    {"health", "health swings and moves leadership",
     "nodes=5 delay=10 tail=500 manage=1 swing=700 drain=4000 wall=5000 crash=6000 calm=18000"},
    {"everything", "all faults there are",
     "nodes=5 voters=3 delay=40 tail=2000 loss=5 manage=1 swing=1500 drain=5000 wish=5000 "
     "remove=6000 wall=8000 slow_disk=6000 stuck_disk=15000 failing_disk=10000 long_freeze=20000 "
     "flap=8000 moving_cut=8000 crash_loop=15000 storage_error=8000 reload=8000 calm=18000 "
     "recovery=13000 schedules=4 wall_rate=20 redefine=3000 meddle=2500 intents=1 "
     "manager_crash=3000 groups=1 turn=2500"},
    {"sides", "duties that exclude each other take turns",
     "delay=10 tail=500 groups=1 turn=700 move=2500 release=3000 crash=2000 late=30"},
    {"schedule", "six schedules, their runs, and clocks that go wrong",
     "delay=10 tail=500 duties=1 crash=2000 schedules=6 wall_rate=60 redefine=1500 meddle=1200 "
     "wall=4000"},
    {"slots", "schedules every few seconds, in real time",
     "delay=10 tail=500 duties=1 crash=2000 schedules=6 redefine=2500 meddle=2000 wall=6000"},
    {"intents", "effects outside the cluster",
     "delay=10 tail=500 duties=1 crash=2000 intents=1 errand=250 manager_crash=1200"},
    {"local", "the shortest timeouts: heartbeat 20, election 120, lease 90 ms",
     "heartbeat=20 election=120 lease=90 delay=2 tail=100 tail_percent=2 late=10 manager_lag=3 "
     "duration=25000 calm=12000"},
    {"wan", "long timeouts and delays: heartbeat 300, election 2000, lease 1600 ms",
     "heartbeat=300 election=2000 lease=1600 delay=300 tail=3000 gossip_profile=2 manage=1 "
     "voters_wanted=3 swing=5000 duration=120000 calm=70000 recovery=55000 crash=9000 freeze=6000 "
     "partition=8000 crash_point=12000 transfer=8000 false_evidence=8000 alive_stable=4000 "
     "dead_stable=15000 policy_hold=1500 policy_tenure=6000 policy_pause=6000"},
    {"single", "one node", "nodes=1"},
    {"pair", "two nodes", "nodes=2 delay=3 tail=200"},
    {"calm", "no faults",
     "crash=0 crash_point=0 freeze=0 partition=0 false_evidence=0 transfer=0 "
     "loss=0 duplicate=0 tail_percent=0 late=0 adapt=0 delay=3"},
};

#define PROFILE_COUNT (sizeof profiles / sizeof profiles[0])

/* name, where its switch is in struct options */
#define SIM_RULES(X)                                                 \
    X(vote_guard, off.vote_guard)                                    \
    X(own_term_barrier, off.own_term_barrier)                        \
    X(acknowledgement_bound, off.acknowledgement_bound)              \
    X(quiet_snapshot, off.quiet_snapshot)                            \
    X(truncate_and_reload, off.truncate_and_reload)                  \
    X(honest_refusal, off.honest_refusal)                            \
    X(withheld_demotion, off.withheld_demotion)                      \
    X(vote_of_non_voter, off.vote_of_non_voter)                      \
    X(sole_voter, off.sole_voter)                                    \
    X(known_prefix, off.known_prefix)                                \
    X(stale_refusal, off.stale_refusal)                              \
    X(completions_at_once, off.completions_at_once)                  \
    X(pre_vote, off.pre_vote)                                        \
    X(rounds_limit, off.rounds_limit)                                \
    X(voters_disrupt, off.voters_disrupt)                            \
    X(leader_keeps_vote, off.leader_keeps_vote)                      \
    X(silence_after_echo, off.silence_after_echo)                    \
    X(silence_after_start, off.silence_after_start)                  \
    X(silence_of_former_leader, off.silence_of_former_leader)        \
    X(evidence_wait, off.evidence_wait)                              \
    X(evidence_wait_inherits, off.evidence_wait_inherits)            \
    X(no_transfer_in_wait, off.no_transfer_in_wait)                  \
    X(transfer_is_final, off.transfer_is_final)                      \
    X(managers_before_transfer, off.managers_before_transfer)        \
    X(echo_term, off.echo_term)                                      \
    X(lease_check, off.lease_check)                                  \
    X(lease_ends_at_step_down, off.lease_ends_at_step_down)          \
    X(lease_stretch, off.stretch)                                    \
    X(obituary_term, evidence_off.obituary_term)                     \
    X(obituary_owed_wait, evidence_off.owed_wait)                    \
    X(hold_of_new_leader, grants_off.hold_of_new_leader)             \
    X(no_grant_while_moving, grants_off.no_grant_while_moving)       \
    X(incarnation, grants_off.incarnation)                           \
    X(last_grant_survives, grants_off.last_grant_survives)           \
    X(release_names_assignment, grants_off.release_names_assignment) \
    X(released_takes_no_grant, grants_off.released_takes_no_grant)   \
    X(grants_only_while_acting, grants_off.grants_only_while_acting) \
    X(grants_stretch, grants_off.stretch)                            \
    X(held_is_not_free, placement_off.held_is_not_free)              \
    X(refutation, gossip_off.refutation)                             \
    X(vote_is_durable, world_off.vote_is_durable)                    \
    X(guard_deadline, world_off.guard_deadline)                      \
    X(former_lock, world_off.former_lock)                            \
    X(run_once, world_off.run_once)                                  \
    X(sides_apart, world_off.sides_apart)                            \
    X(decided_is_replicated, schedule_off.decided_is_replicated)     \
    X(check_key, intents_off.check_key)                              \
    X(verify_earlier, intents_off.verify_earlier)                    \
    X(verify_given, intents_off.verify_given)                        \
    X(object_first, intents_off.object_first)

struct named_option {
    const char *name;
    size_t offset; /* of an int64_t in struct options */
    int64_t value; /* default */
    const char *text;
};

static const struct named_option named_options[] = {
#define OPTION_ROW(name, value, text) {#name, offsetof(struct options, name), value, text},
    SIM_OPTIONS(OPTION_ROW)
#undef OPTION_ROW
};

struct named_rule {
    const char *name;
    size_t offset; /* of a bool in struct options */
};

static const struct named_rule named_rules[] = {
#define RULE_ROW(name, place) {#name, offsetof(struct options, place)},
    SIM_RULES(RULE_ROW)
#undef RULE_ROW
};

#define OPTION_COUNT (sizeof named_options / sizeof named_options[0])
#define RULE_COUNT (sizeof named_rules / sizeof named_rules[0])

static void put_option(struct options *self, const struct named_option *option, int64_t value)
{
    memcpy((char *)self + option->offset, &value, sizeof value);
}

void options_defaults(struct options *self)
{
    memset(self, 0, sizeof *self);
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        put_option(self, &named_options[i], named_options[i].value);
    }
}

static int set_one(struct options *self, const char *name, size_t name_length, int64_t value)
{
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        const char *known = named_options[i].name;
        if (strlen(known) == name_length && memcmp(name, known, name_length) == 0) {
            put_option(self, &named_options[i], value);
            return 0;
        }
    }
    return ERR_NOTFOUND;
}

int options_set(struct options *self, const char *assignment, struct err *err)
{
    const char *equals = strchr(assignment, '=');
    if (equals == NULL) {
        return err_set(err, ERR_INVALID, "'%s' is not name=value", assignment);
    }
    char *end = NULL;
    long long value = strtoll(equals + 1, &end, 10);
    if (end == equals + 1 || (*end != '\0' && *end != ' ') || value < 0) {
        return err_set(err, ERR_INVALID, "'%s' has no whole number of at least 0", assignment);
    }
    if (set_one(self, assignment, (size_t)(equals - assignment), value) != 0) {
        return err_set(err, ERR_NOTFOUND, "no option '%.*s'", (int)(equals - assignment),
                       assignment);
    }
    return 0;
}

int options_profile(struct options *ret, const char *name, struct err *err)
{
    for (size_t i = 0; i < PROFILE_COUNT; i++) {
        if (strcmp(profiles[i].name, name) != 0) {
            continue;
        }
        options_defaults(ret);
        const char *next = profiles[i].settings;
        while (next != NULL) {
            int code = options_set(ret, next, err);
            if (code != 0) {
                return code;
            }
            next = strchr(next, ' ');
            next = next == NULL ? NULL : next + 1;
        }
        return 0;
    }
    return err_set(err, ERR_NOTFOUND, "no profile '%s'", name);
}

int options_off(struct options *self, const char *name, struct err *err)
{
    const bool off = true;
    for (size_t i = 0; i < RULE_COUNT; i++) {
        if (strcmp(name, named_rules[i].name) == 0) {
            memcpy((char *)self + named_rules[i].offset, &off, sizeof off);
            return 0;
        }
    }
    return err_set(err, ERR_NOTFOUND, "no rule '%s'", name);
}

static bool is_off(const struct options *self, const struct named_rule *rule)
{
    bool off = false;
    memcpy(&off, (const char *)self + rule->offset, sizeof off);
    return off;
}

void options_write(const struct options *self, FILE *file)
{
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        int64_t value = 0;
        memcpy(&value, (const char *)self + named_options[i].offset, sizeof value);
        if (value != named_options[i].value) {
            (void)fprintf(file, "set %s=%" PRId64 "\n", named_options[i].name, value);
        }
    }
    for (size_t i = 0; i < RULE_COUNT; i++) {
        if (is_off(self, &named_rules[i])) {
            (void)fprintf(file, "off %s\n", named_rules[i].name);
        }
    }
}

void options_all_on(struct options *self)
{
    const bool off = false;
    for (size_t i = 0; i < RULE_COUNT; i++) {
        memcpy((char *)self + named_rules[i].offset, &off, sizeof off);
    }
}

const char *const *options_rules(void)
{
    static const char *names[RULE_COUNT + 1];
    for (size_t i = 0; i < RULE_COUNT; i++) {
        names[i] = named_rules[i].name;
    }
    return names;
}

const char *const *options_profiles(void)
{
    static const char *names[PROFILE_COUNT + 1];
    for (size_t i = 0; i < PROFILE_COUNT; i++) {
        names[i] = profiles[i].name;
    }
    return names;
}

void options_print(void)
{
    (void)printf("profiles:\n");
    for (size_t i = 0; i < PROFILE_COUNT; i++) {
        (void)printf("  %-10s %s\n", profiles[i].name, profiles[i].text);
    }
    (void)printf("options (--set name=value), times in ms:\n");
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        (void)printf("  %-17s %6" PRId64 "  %s\n", named_options[i].name, named_options[i].value,
                     named_options[i].text);
    }
    (void)printf("rules (--off RULE):\n");
    for (size_t i = 0; i < RULE_COUNT; i++) {
        (void)printf("  %s\n", named_rules[i].name);
    }
}
