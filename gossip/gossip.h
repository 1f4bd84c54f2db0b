/* Gossip: who is in the cluster, who is alive, and how well everyone is.
 *
 * SWIM failure detection (Das, Gupta, Motivala, "SWIM", 2002) with Lifeguard's local health
 * (Dadgar, Phillips, Currey, "Lifeguard", 2018): each node probes one member per round, first
 * directly, then through others and directly again; who does not answer is suspected, told so at
 * once, and may refute by a higher incarnation; a suspicion that nobody refutes becomes a death,
 * after a last question to the suspect and to two others. Who accuses on old news is told the
 * newer. News rides on probes and on short gossip messages while there is any; an exchange of
 * digests repairs what got lost. The cost of a node at rest does not depend on the size of the
 * cluster (tests/bench/gossip_scale.py).
 *
 * A pure state machine: no socket, file, clock, thread, log or random source of its own. The shell
 * hands in time, messages and news of its own node, and drains the actions after each call:
 *
 *     gossip_tick(g, now);                       (or _receive, _set_health, _leave, ...)
 *     while (gossip_action_next(g, &action)) { perform it }
 *     sleep until gossip_deadline_ms(g), or a message comes
 *
 * All times are milliseconds of CLOCK_BOOTTIME of this node as int64_t; a time before the last one
 * counts as the last one. When more than GOSSIP_STALL_MS pass between two calls, this node was
 * frozen or starved: it trusts itself less (higher local health multiplier) and accuses nobody for
 * a round. The deadline is therefore never more than GOSSIP_DEADLINE_MAX_MS away.
 *
 * All functions of one handle must be called from one thread. */
#ifndef UNDERSTUDY_GOSSIP_GOSSIP_H
#define UNDERSTUDY_GOSSIP_GOSSIP_H

#include "node/base/err.h"
#include "node/base/limits.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct gossip;

#define GOSSIP_STALL_MS 2000
#define GOSSIP_DEADLINE_MAX_MS 1000
#define GOSSIP_MEMBERS_MAX 16384       /* the largest members_max */
#define GOSSIP_MESSAGE_BYTES_MAX 16384 /* the largest message that is sent or accepted */
#define GOSSIP_INCARNATION_MAX (UINT64_C(1) << 62)

/* Refutations that one life of a node may need before its incarnation reaches the next life's,
 * when the shell hands in `boot_counter << GOSSIP_REFUTATION_BITS`: a counter that is durable and
 * raised once at each start is then enough, and a refutation needs no write. */
#define GOSSIP_REFUTATION_BITS 20

/* ---- the health record of a node ---- */

#define GOSSIP_COMPONENTS_MAX 16
#define GOSSIP_CAPABILITIES_MAX 16
#define GOSSIP_LABELS_MAX 8
#define GOSSIP_LABEL_NAME_SIZE 24     /* bytes with NUL: names of components, managers and labels */
#define GOSSIP_LABEL_VALUE_SIZE 40    /* bytes with NUL */
#define GOSSIP_VERSION_SIZE 24        /* bytes with NUL */
#define GOSSIP_DETAILS_BYTES_MAX 1000 /* of everything but score, load and flags, encoded */

#define GOSSIP_UNKNOWN (-1) /* a score, capability or load that nobody knows */

enum gossip_flag {
    GOSSIP_FLAG_DRAINING = 1u << 0,
    GOSSIP_FLAG_LEADER_CAPABLE = 1u << 1,
    GOSSIP_FLAG_PARENT_DEAD = 1u << 2, /* no obituary will come for this node */
};

struct gossip_component {
    char name[GOSSIP_LABEL_NAME_SIZE];
    int score_tenths; /* 0..1000, or GOSSIP_UNKNOWN */
};

struct gossip_capability {
    char manager[GOSSIP_LABEL_NAME_SIZE];
    int percent; /* 0..100, or GOSSIP_UNKNOWN */
};

struct gossip_label {
    char name[GOSSIP_LABEL_NAME_SIZE];
    char value[GOSSIP_LABEL_VALUE_SIZE];
};

struct gossip_health {
    int score_tenths;    /* 0..1000, or GOSSIP_UNKNOWN */
    int load_hundredths; /* load average times 100, 0..1000000, or GOSSIP_UNKNOWN */
    uint32_t flags;      /* enum gossip_flag; bits unknown to this version are passed on */
    char version[GOSSIP_VERSION_SIZE];
    size_t component_count;
    struct gossip_component components[GOSSIP_COMPONENTS_MAX];
    size_t capability_count;
    struct gossip_capability capabilities[GOSSIP_CAPABILITIES_MAX];
    size_t label_count;
    struct gossip_label labels[GOSSIP_LABELS_MAX];
};

/* An empty record: everything unknown, no names. */
void gossip_health_init(struct gossip_health *self);

/* ---- configuration ---- */

struct gossip_seed {
    char name[NAME_SIZE];
    char address[ADDRESS_SIZE];
};

/* Rules that a simulator can switch off, to show what each is worth. Zero: all rules hold. */
struct gossip_switches {
    bool refutation; /* who is accused raises its incarnation */
    bool buddy;      /* what is held against a receiver goes first in every message to it */
    bool nack;       /* who is asked to probe says in time that it lives, when the target is mute */
    bool awareness;  /* a node that doubts itself probes more slowly and waits longer */
    bool shrinking;  /* a suspicion begins with a long time; off: with the least */
    bool confirmation;  /* some others probe at once whom another node suspects */
    bool last_question; /* before a node declares a death it asks the suspect, and others */
};

struct gossip_config {
    char name[NAME_SIZE];       /* of this node, 1 to 63 bytes */
    char address[ADDRESS_SIZE]; /* "tcp://host:port" that others reach it at */
    uint64_t incarnation;       /* 1..GOSSIP_INCARNATION_MAX, greater than in any earlier life */
    uint64_t rng_seed;
    const struct gossip_seed *seeds; /* borrowed for the call; this node's own name is skipped */
    size_t seed_count;               /* 0..NODES_MAX */
    size_t members_max;              /* 2..GOSSIP_MEMBERS_MAX; more members are refused, counted */

    int64_t probe_interval_ms;   /* 20..60000: one member is probed per interval */
    int64_t probe_timeout_ms;    /* less than the interval: then others are asked to probe */
    unsigned indirect_probes;    /* 0..8: how many others */
    unsigned awareness_max;      /* 1..16: bound of the local health multiplier, less one */
    unsigned suspicion_mult;     /* 1..20: least suspicion = mult * max(1, log10 n) * interval */
    unsigned suspicion_max_mult; /* 1..20: longest suspicion = this * the least */
    unsigned confirmations;      /* 0..4: independent accusers that shorten it to the least */
    unsigned retransmit_mult;    /* 1..10: news is sent mult * log10(n + 1) times by each node */
    unsigned health_retransmit_mult; /* 1..10: the same for health records */
    int64_t gossip_interval_ms;      /* 5..10000: between gossip messages while there is news */
    unsigned gossip_fanout;          /* 1..16: members that get each of them */
    size_t message_bytes_max;        /* 512..GOSSIP_MESSAGE_BYTES_MAX: bound of probes and gossip */
    size_t page_bytes_max;           /* 2048..GOSSIP_MESSAGE_BYTES_MAX: bound of a page of state */
    int64_t push_pull_interval_ms;   /* 50..3600000: digests are compared with a random member */
    int64_t rejoin_interval_ms;      /* 50..3600000: attempts to reach seeds and dead members */
    int64_t leave_timeout_ms;        /* 10..60000: the longest a leave may take to spread */
    int64_t dead_keep_ms;            /* 1000..: dead and left members are kept so long */
    int64_t health_interval_ms;      /* 10..: least time between two publications of own health */
    int64_t health_refresh_ms;       /* small changes of health are published so often;
                                * in clusters of more than ten rarer, in proportion to the size */
    struct gossip_switches off;
};

/* Fill every number for the profile "local", "lan" or "wan"; name, address, incarnation, rng_seed
 * and seeds are left alone. ERR_INVALID: no such profile. */
int gossip_config_profile(struct gossip_config *self, const char *profile, struct err *err);

/* ---- life ---- */

/* Create a node that knows itself and its seeds; the first tick contacts them.
 * ERR_INVALID: a value is out of its bounds (named in err). ERR_NOMEM. */
int gossip_create(const struct gossip_config *config, int64_t now_ms, struct gossip **ret,
                  struct err *err);
void gossip_destroy(struct gossip **self_p);

/* ---- events ---- */

/* Do what is due. May be called at any time, must be called at gossip_deadline_ms. */
void gossip_tick(struct gossip *self, int64_t now_ms);

/* When the next tick is due: at most GOSSIP_DEADLINE_MAX_MS after the last event. */
int64_t gossip_deadline_ms(const struct gossip *self);

/* A message came. `from` is the sender's authenticated name; a message that claims another sender
 * is dropped and counted, and so is a malformed one. Bytes are borrowed for the call. */
void gossip_receive(struct gossip *self, int64_t now_ms, const char *from, const uint8_t *bytes,
                    size_t length);

/* The health of this node, as often as the shell likes: it is published when it changed in a way
 * that matters (score by 5 points or across 80, 60 or 50; a component or capability by 10; flags,
 * version, labels, names; known to unknown), else with the next refresh.
 * ERR_INVALID: a value is out of bounds. ERR_FULL: encoded it exceeds GOSSIP_DETAILS_BYTES_MAX. */
int gossip_set_health(struct gossip *self, int64_t now_ms, const struct gossip_health *health,
                      struct err *err);

/* Leave for good or for a restart: tell it, go on answering. The node may end when
 * gossip_leave_done() says so: every live member was told, or leave_timeout_ms passed. */
void gossip_leave(struct gossip *self, int64_t now_ms);
bool gossip_leave_done(const struct gossip *self);

/* The operator removed the node: its row goes and its name is refused for dead_keep_ms (stale
 * peers still speak of it), or until gossip_set_seeds or gossip_admit names it again. */
void gossip_forget(struct gossip *self, int64_t now_ms, const char *name);
void gossip_admit(struct gossip *self, int64_t now_ms, const char *name);

/* Replace the seeds (the roster changed). ERR_INVALID: a name or address is malformed, or count
 * is over NODES_MAX; nothing changed. */
int gossip_set_seeds(struct gossip *self, int64_t now_ms, const struct gossip_seed *seeds,
                     size_t count, struct err *err);

/* Authenticated traffic of another kind came from the node: proof of life, so that a probe that
 * fails meanwhile accuses nobody. */
void gossip_note_contact(struct gossip *self, int64_t now_ms, const char *name);

/* The node's address refused a connection: not proof, but worth an accusation at once. */
void gossip_note_refused(struct gossip *self, int64_t now_ms, const char *name);

/* Proof that this incarnation of the node, and any before, has ended (its parent's obituary): dead
 * at that incarnation at once, here and everywhere. With GOSSIP_REFUTATION_BITS in use pass the
 * highest incarnation of that life: ((boot_counter + 1) << GOSSIP_REFUTATION_BITS) - 1. */
void gossip_note_ended(struct gossip *self, int64_t now_ms, const char *name, uint64_t incarnation);

/* ---- actions ---- */

enum gossip_state { GOSSIP_ALIVE, GOSSIP_SUSPECT, GOSSIP_DEAD, GOSSIP_LEFT };
const char *gossip_state_name(enum gossip_state state); /* "alive", ... as documents have it */

enum gossip_reason {
    GOSSIP_REASON_JOINED,   /* first heard of */
    GOSSIP_REASON_RETURNED, /* a higher incarnation of a dead or left member, or a refutation */
    GOSSIP_REASON_REFUTED,  /* suspect, and alive after all */
    GOSSIP_REASON_MOVED,    /* same state, new address */
    GOSSIP_REASON_PROBE,    /* did not answer this node's probe */
    GOSSIP_REASON_REFUSED,  /* refused a connection */
    GOSSIP_REASON_TOLD,     /* another node says so (`by`) */
    GOSSIP_REASON_TIMEOUT,  /* nobody refuted the suspicion in time */
    GOSSIP_REASON_ENDED,    /* its parent's obituary */
    GOSSIP_REASON_LEFT,     /* it said that it leaves */
};
const char *gossip_reason_name(enum gossip_reason reason);

enum gossip_action_kind {
    GOSSIP_ACTION_SEND,        /* name, address, bytes, length */
    GOSSIP_ACTION_MEMBER,      /* name, address, old_state, new_state, first, reason, by */
    GOSSIP_ACTION_HEALTH,      /* name: its record is new (another node's) */
    GOSSIP_ACTION_INCARNATION, /* incarnation: this node had to refute; persist it, or see above */
    GOSSIP_ACTION_GONE,        /* name: a dead or left member was dropped, or forgotten */
};

struct gossip_action {
    enum gossip_action_kind kind;
    char name[NAME_SIZE];
    char address[ADDRESS_SIZE]; /* of SEND it may be empty: the shell may know one by the name */
    const uint8_t *bytes;       /* borrowed until the next call of gossip_action_next */
    size_t length;
    enum gossip_state old_state; /* same as new_state when `first` or moved */
    enum gossip_state new_state;
    bool first; /* the member was not known before */
    enum gossip_reason reason;
    char by[NAME_SIZE]; /* who said so, or empty */
    uint64_t incarnation;
};

/* The oldest action not yet taken; false when there is none. Messages not taken are dropped oldest
 * first beyond a bound, and counted. */
bool gossip_action_next(struct gossip *self, struct gossip_action *ret);

/* ---- queries ---- */

struct gossip_member {
    char name[NAME_SIZE];
    char address[ADDRESS_SIZE];
    uint64_t incarnation;
    enum gossip_state state;
    int64_t state_since_ms;  /* this node's clock; may lie before its start for what it was told */
    int64_t last_contact_ms; /* last message of its own that came here; INT64_MIN: never */
    bool self;
    /* The short part of its health, as published. */
    bool has_health;
    int score_tenths;
    int load_hundredths;
    uint32_t flags;
    uint64_t health_sequence; /* rises with each publication of one life */
    int64_t health_age_ms;    /* since this node got it */
};

size_t gossip_member_count(const struct gossip *self); /* rows, this node's own included */
size_t gossip_live_count(const struct gossip *self);   /* alive or suspect, own included */
/* 0 <= index < count, in no particular order; an index is good until the next event. */
void gossip_member_at(const struct gossip *self, size_t index, struct gossip_member *ret);
bool gossip_member_find(const struct gossip *self, const char *name, struct gossip_member *ret);

/* The whole record of a member as it was published last (own: too). False: unknown member, or no
 * record yet. *ret_complete is false when the details are older than score, load and flags. */
bool gossip_member_health(const struct gossip *self, const char *name, struct gossip_health *ret,
                          bool *ret_complete);

/* Order-independent digest of all that two nodes should agree on; equal when they do. */
uint64_t gossip_digest(const struct gossip *self);

unsigned gossip_awareness(const struct gossip *self); /* local health multiplier: 0 is well */
uint64_t gossip_incarnation(const struct gossip *self);

struct gossip_counters {
    uint64_t messages_sent, bytes_sent;
    uint64_t messages_received, bytes_received;
    uint64_t dropped_malformed; /* and of an unsupported version */
    uint64_t dropped_forged;    /* inner sender is not the authenticated one */
    uint64_t dropped_forgotten; /* sender or subject was removed by the operator */
    uint64_t dropped_full;      /* members_max, or the bound of the actions, or out of memory */
    uint64_t probes_sent, probes_acked, probes_failed;
    uint64_t indirect_sent, indirect_answered, nacks_received;
    uint64_t suspicions, refutations, deaths; /* held here; refutations: of this node itself */
    uint64_t stalls;
    uint64_t strangers; /* messages of senders not known here, answered by name alone */
    uint64_t syncs_equal, syncs_different, pages_sent;
    uint64_t health_published;
};

void gossip_counters(const struct gossip *self, struct gossip_counters *ret);

#endif
