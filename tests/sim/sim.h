/* The simulator: nodes of the real gossip and consensus code in virtual time, from one seed.
 *
 * A world owns true time, the network and the nodes. Time jumps from event to event; everything
 * random comes from one generator, so that a seed replays exactly. Every node has a clock of its
 * own (offset and rate), a storage that outlives it, and around its engine the shell that
 * node/daemon is in production: managers with a deadline, a parent that writes the obituary,
 * guards of duties.
 *
 * The checkers (check.h) look at true time after every event. A violation ends the process, since
 * each seed runs in a child of its own (runner.h). */
#ifndef UNDERSTUDY_TESTS_SIM_SIM_H
#define UNDERSTUDY_TESTS_SIM_SIM_H

#include "consensus/consensus.h"
#include "node/base/rng.h"
#include "tests/sim/disk.h"
#include "tests/sim/options.h"
#include "tests/sim/schedule.h"
#include "tests/sim/storage.h"

#include <setjmp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SIM_NODES_MAX 8
#define SIM_IDS_MAX 64 /* raft ids of one run: a node that joins again has a new one */
#define SIM_DUTIES_MAX 8
#define SIM_SCHEDULES_MAX 6
#define SIM_NONE (-1)
#define SIM_MESSAGE_KINDS_MAX 16

enum message_kind {
    MESSAGE_RAFT,
    MESSAGE_GOSSIP,
    MESSAGE_EVIDENCE,
    MESSAGE_RENEW,
    MESSAGE_GRANT,
    MESSAGE_RELEASE,
    MESSAGE_OBITUARY,
    MESSAGE_RUN_REPORT,
};

struct message {
    enum message_kind kind;
    uint64_t from;
    uint64_t to;
    size_t length;
    uint64_t sequence;
    struct message *next;
    uint8_t bytes[];
};

enum event_kind {
    EVENT_DELIVER,
    EVENT_TIMER,
    EVENT_RESTART,
    EVENT_THAW,
    EVENT_MANAGERS_STOPPED,
    EVENT_OBITUARY,
    EVENT_LINK_LOST, /* argument: node index of the other end */
    EVENT_LINK_UP,
    EVENT_PROBED, /* argument: node index, plus PROBE_REFUSED */
    EVENT_FAULT,
    EVENT_HEAL,
    EVENT_SCRIPT,
    EVENT_DISK,    /* argument: the wait that is over */
    EVENT_KILL,    /* the process */
    EVENT_AGAIN,   /* the next step of a fault of many: fault_steps.h */
    EVENT_ATTEMPT, /* the program of a run's attempt ends; argument: the assignment */
    EVENT_REQUEST, /* of the node's manager arrives outside: dispatch.h */
    EVENT_ANSWER,
};

struct event {
    int64_t at_us;
    uint64_t sequence;
    enum event_kind kind;
    int node;      /* index, or SIM_NONE */
    uint64_t life; /* of the node when the event was made; 0: of the host */
    int64_t argument;
    struct message *message;
};

/* What the parent process knows of its node, and needs for the obituary. */
struct parent {
    uint64_t led_term; /* 0: never elected in this life */
    bool owes_wait;
    uint64_t incarnation;
};

/* The managers of the node's leadership: processes of their own, which go on until the last
 * deadline they were given, however frozen the node is. */
struct managers {
    int64_t deadline_ms; /* on the host's clock; 0: stopped */
    uint64_t term;
    uint64_t generation; /* of the order to stop */
    bool stopping;
};

/* A guard of a duty and its process: they outlive the node's process. */
struct guard {
    int64_t deadline_ms; /* on the host's clock; 0: does not run */
    uint64_t assignment;
    uint64_t incarnation; /* of the node that it runs for */
};

#define SIM_ATTEMPTS_MAX 32

enum attempt_phase {
    ATTEMPT_NONE,
    ATTEMPT_RUNS,
    ATTEMPT_ENDED,  /* by itself */
    ATTEMPT_LAPSED, /* with its grant */
};

/* The attempt of a run on a host, under its guard: it outlives the node's process. */
struct attempt {
    enum attempt_phase phase;
    char duty[DUTY_ID_SIZE];
    uint64_t assignment;
    uint64_t incarnation;
    int64_t deadline_ms; /* on the host's clock */
    int64_t started_wall_ms;
    bool well;    /* it ends so */
    bool known;   /* a later process of the node finds out how it ended */
    bool overdue; /* its time came while its host was frozen */
};

/* Which edition of a schedule is wanted (timetable.h). */
struct wish {
    bool present;
    uint32_t edition;
};

/* How well a node is, as its sampler would find it. */
struct wellness {
    int score_tenths; /* or GOSSIP_UNKNOWN */
    bool able;        /* its manager can do the work of duties */
    bool changed;     /* not yet told to gossip */
};

#define PROBE_REFUSED 256

struct machine; /* machine.h */
struct peers;   /* peers.h */
struct calls;   /* calls.h */
struct dispatch;
struct ledger;
struct outside;
struct timetable;

struct node {
    struct world *world;
    int index;
    uint64_t id;

    /* host: the clock goes on over a crash of the process */
    int64_t boot_true_us;
    int64_t boot_local_us;
    int64_t rate_ppm;
    struct storage *storage;
    struct disk disk;
    int64_t wall_offset_ms; /* its wall clock is wrong by so much: commands carry its time */
    int64_t wall_skew_ms;   /* and by so much always, which nobody minds */
    struct wellness health;
    uint64_t incarnation; /* durable */

    /* process */
    bool alive;
    uint64_t life; /* counts processes, so that late events find nobody */
    int64_t frozen_until_us;
    bool host_frozen;
    struct message *inbox; /* arrived while frozen */
    struct message **inbox_end;
    int64_t timer_at_us;
    int64_t completions_at_us;
    struct consensus *engine;
    struct consensus_view view; /* as of the last event */
    int64_t may_act_until_ms;   /* as the engine last published it */
    int64_t engine_deadline_ms;
    jmp_buf crash_point;
    struct calls *calls; /* that wait for the disk */
    struct machine *machine;
    struct peers *peers;
    bool end_unconfirmed; /* the engine waits for consensus_managers_ended() */
    bool change_pending;
    uint64_t token;

    /* host, again: what goes on without the process */
    struct managers managers;
    struct parent parent;
    struct guard guards[SIM_DUTIES_MAX];
    size_t attempt_count; /* not ATTEMPT_NONE */
    struct attempt attempts[SIM_ATTEMPTS_MAX];
    struct dispatch *dispatch;         /* NULL without errands */
    bool linked[SIM_NODES_MAX];        /* the connection to that node is up */
    bool false_refusal[SIM_NODES_MAX]; /* its next probe is refused though it lives */
    bool host_down;
    bool stays_down; /* does not start again */
};

struct stats {
    uint64_t events, messages, elections[16], acting_us, acted_terms;
    uint64_t crashes, host_crashes, crash_points, freezes, cuts, false_evidence, transfers;
    uint64_t changes, stands, obituaries, proofs, waits_cut, reloads, silenced, commands;
    uint64_t grants, moves, releases, wake_overlaps, snapshots, restores, storage_errors;
    uint64_t slow_disks, stuck_disks, failing_disks, policy_moves, rebalanced;
    uint64_t slots, runs, effects, retries, unknown_runs, intents, outside_effects, parked;
    uint64_t recovered_ms, recovered_max_ms, duty_us;
};

enum verdict_kind { VERDICT_NONE, VERDICT_OK, VERDICT_VIOLATION };

/* Shared with the runner; the child writes it before it ends. */
struct verdict {
    enum verdict_kind kind;
    char check[8]; /* "I3" */
    char text[400];
    int64_t at_ms;
    uint64_t digest; /* of all events: equal for equal seeds */
    struct stats stats;
};

/* Where a message goes: a delay of at least 0 in microseconds, or one of these. */
#define ROUTE_DROP (-1)
#define ROUTE_HOLD (-2)
#define ROUTE_DEFAULT (-3)
typedef int64_t route_function(struct world *world, const struct message *message, void *context);

/* Messages of a kind on a way in the present millisecond. */
struct traffic {
    int64_t ms;
    uint64_t count;
};

/* What a host's clock showed last: it is asked many times in an instant. */
struct clock_reading {
    int64_t true_us;
    int64_t boot_us;
    int64_t local_ms;
};

struct world {
    struct options options;
    uint64_t seed;
    struct rng rng; /* of the event, message or fault at hand: schedule.h */
    struct chances chances;
    struct traffic traffic[SIM_NODES_MAX][SIM_NODES_MAX][SIM_MESSAGE_KINDS_MAX];
    int64_t now_us;
    struct event *heap;
    size_t heap_length;
    size_t heap_capacity;
    uint64_t sequence;

    struct node nodes[SIM_NODES_MAX];
    struct clock_reading readings[SIM_NODES_MAX];
    int node_count;
    int node_of_id[SIM_IDS_MAX];
    uint64_t next_id;
    bool up[SIM_NODES_MAX][SIM_NODES_MAX];

    bool faults;           /* still before the healing */
    route_function *route; /* scenarios steer messages with it */
    void *route_context;
    struct message *held;

    struct wish wishes[SIM_SCHEDULES_MAX];
    struct timetable *timetable; /* NULL without schedules */
    struct outside *outside;     /* NULL without errands */
    struct ledger *ledger;
    struct check *check;
    struct verdict *verdict;
    bool tracing;
};

#endif
