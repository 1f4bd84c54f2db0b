/* Options of a run: a profile is a set of values, `--set name=value` overrides one. */
#ifndef UNDERSTUDY_TESTS_SIM_OPTIONS_H
#define UNDERSTUDY_TESTS_SIM_OPTIONS_H

#include "consensus/consensus.h"
#include "consensus/evidence.h"
#include "consensus/grants.h"
#include "consensus/intents.h"
#include "consensus/placement.h"
#include "consensus/schedule.h"
#include "gossip/gossip.h"
#include "node/base/err.h"

#include <stdint.h>
#include <stdio.h>

struct schedule; /* schedule.h */

/* name, default, meaning. "mean" is the mean of the time between two such faults in ms, 0 none. */
#define SIM_OPTIONS(X)                                                               \
    X(nodes, 3, "nodes in the world")                                                \
    X(voters, 0, "founding voters, the rest joins later; 0: all")                    \
    X(duration, 40000, "virtual ms")                                                 \
    X(calm, 14000, "virtual ms after the last fault")                                \
    X(recovery, 10000, "ms after the last fault in which L1 and L2 must hold")       \
    X(delay, 60, "largest ordinary delay of a message, ms")                          \
    X(tail, 1500, "largest delay of a late message, ms")                             \
    X(tail_percent, 3, "late messages, percent")                                     \
    X(loss, 3, "lost messages, percent")                                             \
    X(duplicate, 3, "doubled messages, percent")                                     \
    X(late, 20, "obituaries, releases and grants that come up to 5 s late, percent") \
    X(drift, 20000, "largest deviation of a clock's rate, parts in a million")       \
    X(clocks, 900000, "largest difference between clocks at the start, ms")          \
    X(heartbeat, 75, "ms")                                                           \
    X(election, 450, "election timeout, ms")                                         \
    X(lease, 350, "lease_ttl, ms")                                                   \
    X(grant, 3000, "grant_ttl, ms")                                                  \
    X(duties, 4, "exclusive duties")                                                 \
    X(snapshot, 40, "applied entries between snapshots")                             \
    X(trailing, 20, "entries kept behind a snapshot")                                \
    X(crash, 3000, "crash of a process or host, mean")                               \
    X(host, 30, "of these of the whole host, percent")                               \
    X(crash_point, 4000, "crash between two storage calls of an event, mean")        \
    X(storage_error, 0, "failed storage call, mean")                                 \
    X(torn, 0, "crash points within a write, as if it were not atomic, percent")     \
    X(unsynced, 0, "writes that are not durable when they return, percent")          \
    X(slow_disk, 0, "a disk slows down to 20 or 500 ms a call, mean")                \
    X(stuck_disk, 0, "one call of a disk takes seconds, mean")                       \
    X(failing_disk, 0, "a disk is full or fails for some time, mean")                \
    X(long_freeze, 0, "freeze of 3 to 30 s, mean")                                   \
    X(flap, 0, "a link comes and goes for some time, mean")                          \
    X(moving_cut, 0, "a partition that moves, mean")                                 \
    X(crash_loop, 0, "a process crashes again and again, mean")                      \
    X(freeze, 2000, "freeze of 50 to 3000 ms, mean")                                 \
    X(partition, 2500, "cut of a link (one way or both) or of a node, mean")         \
    X(false_evidence, 2500, "false evidence about the leader, mean")                 \
    X(crash_evidence, 70, "peers that notice a crashed leader by refusal, percent")  \
    X(transfer, 2500, "hand-over, mean")                                             \
    X(bounce, 300, "leaders in their wait are crashed or told to hand over, mean")   \
    X(obituary, 60, "dead processes with an obituary, percent")                      \
    X(manager_lag, 5, "largest time from the order to stop to a manager's end, ms")  \
    X(manager_lag_least, 0, "least time for that, ms")                               \
    X(roles, 0, "change of a role, mean")                                            \
    X(members, 0, "removal or joining of a node, mean")                              \
    X(propose, 400, "command of a leader, mean")                                     \
    X(move, 1200, "move of a duty, mean")                                            \
    X(release, 6000, "a holder gives a duty up, mean")                               \
    X(reload, 0, "fresh raft instance from disk without a cause, mean")              \
    X(adapt, 8000, "change of a node's election timeout, mean")                      \
    X(gossip, 1, "run gossip too")                                                   \
    X(gossip_profile, 0, "of gossip's times: 0 local, 1 lan, 2 wan")                 \
    X(groups, 0, "duties 0 and 1, 2 and 3 ... never run at the same time")           \
    X(turn, 0, "with groups: another side is wanted, mean")                          \
    X(manage, 0, "policy, roles and placement decide as in the daemon")              \
    X(voters_wanted, 5, "with manage: voters that the roles aim at")                 \
    X(alive_stable, 1000, "with manage: alive for so long before a promotion, ms")   \
    X(dead_stable, 3000, "with manage: dead for so long before a replacement, ms")   \
    X(policy_hold, 500, "with manage: ill for so long before a hand-over, ms")       \
    X(policy_tenure, 2000, "with manage: shortest leadership before one, ms")        \
    X(policy_pause, 2000, "with manage: pause after the first one, ms")              \
    X(swing, 0, "with manage: a node's health changes, mean")                        \
    X(drain, 0, "with manage: a node drains or drains no more, mean")                \
    X(wish, 0, "with manage: the roster wants another role for a node, mean")        \
    X(remove, 0, "with manage: a node leaves the roster, mean")                      \
    X(wall, 0, "a node's wall clock jumps by up to an hour, mean")                   \
    X(schedules, 0, "schedules, 0 to 6")                                             \
    X(wall_rate, 1, "seconds of wall time in a second of the run")                   \
    X(redefine, 0, "with schedules: one changes, goes or comes back, mean")          \
    X(meddle, 0, "with schedules: a run is started or cancelled, a pause, mean")     \
    X(intents, 0, "with effects outside the cluster, each for one errand")           \
    X(errand, 300, "with intents: a new errand, mean")                               \
    X(decision, 1500, "with intents: a person decides about a parked one, mean")     \
    X(manager_crash, 0, "with intents: the leader's manager crashes alone, mean")    \
    X(liveness, 1, "check L1 to L3 at the end")                                      \
    X(messages, 0, "trace the engine's messages too")

/* Promises of what is no code of ours here: the disk and the guards. Zero: they keep them. */
struct world_switches {
    bool vote_is_durable; /* a restarted process finds its vote again */
    bool guard_deadline;  /* a guard ends its process at the grant's deadline */
    bool former_lock;     /* what an earlier life held is released when nothing of it runs */
    bool run_once;        /* (no promise) the state assigns a run's attempt only once */
    bool sides_apart;     /* (no promise) nor a duty while another side of its group is held */
};

struct options {
#define SIM_OPTION_FIELD(name, value, text) int64_t name;
    SIM_OPTIONS(SIM_OPTION_FIELD)
#undef SIM_OPTION_FIELD
    struct consensus_switches off;
    struct grants_switches grants_off;
    struct placement_switches placement_off;
    struct evidence_switches evidence_off;
    struct gossip_switches gossip_off;
    struct schedule_switches schedule_off;
    struct intents_switches intents_off;
    struct world_switches world_off;
    const struct schedule *replay; /* these faults instead of random ones; NULL: random */
    struct schedule *record;       /* where the list of faults goes; NULL: nowhere */
};

void options_defaults(struct options *ret);

/* Lines "set name=value" and "off RULE" for what differs from the defaults. */
void options_write(const struct options *self, FILE *file);

/* Switch all rules on. */
void options_all_on(struct options *self);

/* The defaults changed by the profile `name`; ERR_NOTFOUND. */
int options_profile(struct options *ret, const char *name, struct err *err);

/* "name=value". */
int options_set(struct options *self, const char *assignment, struct err *err);

/* Switch the rule `name` off. */
int options_off(struct options *self, const char *name, struct err *err);

/* Names of all rules in order, NULL-terminated. */
const char *const *options_rules(void);

/* Names of the profiles in order, NULL-terminated. */
const char *const *options_profiles(void);

/* All profiles, options and rules with their meaning to stdout. */
void options_print(void);

#endif
