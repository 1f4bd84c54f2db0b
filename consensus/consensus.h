/* Consensus: who leads, what is committed, and whether this node may act now.
 *
 * One engine per node around libraft 0.15, which nothing outside this folder sees. The engine is a
 * state machine without socket, file, clock or thread: the shell hands in one event at a time with
 * the present time, the engine calls storage and transport through the two interfaces below, runs
 * every completion before it returns, and then tells its state in a view and in notices.
 *
 * The rules (guards RG1 to RG6, lease, silence, waits) are those of the project's safety page; the
 * names here are its names. All times are milliseconds of CLOCK_BOOTTIME of this node and never go
 * back. All functions must be called from one thread.
 *
 * After any call the shell asks consensus_fatal(): when that gives a reason, a promise of
 * durability was broken (failed sync, damaged log, library unavailable) and the process must end;
 * its supervisor starts it again from disk. */
#ifndef UNDERSTUDY_CONSENSUS_CONSENSUS_H
#define UNDERSTUDY_CONSENSUS_CONSENSUS_H

#include "node/base/err.h"
#include "node/base/limits.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct consensus;

enum consensus_role { CONSENSUS_VOTER, CONSENSUS_STANDBY, CONSENSUS_SPARE };
enum consensus_state { CONSENSUS_FOLLOWER, CONSENSUS_CANDIDATE, CONSENSUS_LEADER };

/* Why an election began; travels with TimeoutNow, so that a successor knows why it was asked. */
enum consensus_cause {
    CONSENSUS_CAUSE_NONE,
    CONSENSUS_CAUSE_START,          /* the first term of a cluster or of a whole restart */
    CONSENSUS_CAUSE_CRASH_EVIDENCE, /* a majority was refused by the leader's address */
    CONSENSUS_CAUSE_OBITUARY,       /* the leader's parent proved its end */
    CONSENSUS_CAUSE_TIMEOUT,
    CONSENSUS_CAUSE_HEALTH,
    CONSENSUS_CAUSE_DRAIN,
    CONSENSUS_CAUSE_TRANSFER,
    CONSENSUS_CAUSE_GRAY,
};
const char *consensus_cause_name(enum consensus_cause cause); /* "crash_evidence", never NULL */

struct consensus_server {
    uint64_t id; /* raft id, nonzero, derived once from the node's founding public key */
    enum consensus_role role;
};

/* ---- storage: every call is durable when it returns 0; any other result is fatal ---- */

enum consensus_entry_type {
    CONSENSUS_ENTRY_COMMAND = 1,
    CONSENSUS_ENTRY_BARRIER = 2,
    CONSENSUS_ENTRY_CHANGE = 3,
};

struct consensus_entry {
    uint64_t term;
    enum consensus_entry_type type;
    const uint8_t *bytes;
    size_t length;
};

struct consensus_snapshot_meta {
    uint64_t index;
    uint64_t term;
    uint64_t configuration_index;
    size_t server_count;
    struct consensus_server servers[NODES_MAX];
};

/* What load hands out. Memory is malloc'd by the storage and freed by the engine:
 * entries[i].bytes each, then entries, and snapshot_bytes. */
struct consensus_stored {
    uint64_t term;
    uint64_t vote; /* 0: none in this term */
    bool has_snapshot;
    struct consensus_snapshot_meta snapshot;
    uint8_t *snapshot_bytes;
    size_t snapshot_length;
    uint64_t first_index; /* of entries[0]; without entries: snapshot.index + 1, or 1 */
    struct consensus_entry *entries;
    size_t entry_count;
};

struct consensus_storage {
    void *context;
    int (*load)(void *context, struct consensus_stored *ret, struct err *err);
    /* One atomic step: the term and no vote. */
    int (*set_term)(void *context, uint64_t term, struct err *err);
    /* One atomic step: the term, which may be the one stored, and the vote in it. */
    int (*set_vote)(void *context, uint64_t term, uint64_t id, struct err *err);
    /* first_index is always the last stored index + 1. */
    int (*append)(void *context, uint64_t first_index, const struct consensus_entry *entries,
                  size_t count, struct err *err);
    /* Drop entries with index >= first_index; tolerate an index past the end. */
    int (*truncate)(void *context, uint64_t first_index, struct err *err);
    /* One atomic step: the snapshot replaces any older one; then entries up to index - trailing
     * go (trailing > 0), or all entries (trailing == 0: the log starts at index + 1). */
    int (*snapshot_put)(void *context, const struct consensus_snapshot_meta *meta,
                        const uint8_t *bytes, size_t length, uint64_t trailing, struct err *err);
    /* The newest snapshot again, into meta, bytes and length (malloc'd, the engine frees it). */
    int (*snapshot_get)(void *context, struct consensus_stored *ret, struct err *err);
};

/* ---- transport: fire and forget; a message that cannot be sent now is dropped ---- */

struct consensus_transport {
    void *context;
    /* `bulk` asks for the connection that heartbeats do not wait behind (snapshots, long
     * catch-ups). Bytes are borrowed for the call. */
    void (*send)(void *context, uint64_t to, const uint8_t *bytes, size_t length, bool bulk);
};

/* ---- the replicated state machine that the log feeds ---- */

struct consensus_machine {
    void *context;
    /* A committed command, in order, exactly once per life of the machine's state. Must be
     * deterministic; must not call the engine. */
    void (*apply)(void *context, uint64_t index, uint64_t term, const uint8_t *bytes,
                  size_t length);
    /* The whole state as bytes (malloc'd, the engine frees). 0 or a negative code (fatal). */
    int (*snapshot)(void *context, uint8_t **ret, size_t *ret_length);
    /* Replace the whole state. A nonzero result is fatal. */
    int (*restore)(void *context, uint64_t index, const uint8_t *bytes, size_t length);
};

/* Rules that the simulator may switch off to prove that it would notice. Zero: all rules on. */
struct consensus_switches {
    bool vote_guard;            /* RG1 */
    bool own_term_barrier;      /* RG2 */
    bool acknowledgement_bound; /* RG3 */
    bool quiet_snapshot;        /* RG4 */
    bool truncate_and_reload;   /* RG5 */
    bool honest_refusal;        /* RG6 */
    bool withheld_demotion;     /* RG9 */
    bool vote_of_non_voter;     /* RG10 */
    bool silence_after_echo;
    bool silence_after_start;
    bool silence_of_former_leader;
    bool evidence_wait;          /* the wait of a leader elected on evidence */
    bool evidence_wait_inherits; /* ... in later rounds of the same candidature too */
    bool echo_term;              /* an echo counts for its own term only */
    bool transfer_is_final;      /* a transferring leader never acts again in its term */
    bool lease_check;            /* act only before the lease's end */
    bool lease_ends_at_step_down;
    bool stretch; /* 1.05 */
    bool pre_vote;
    bool completions_at_once;      /* off: completions wait for delayed_completions() */
    bool sole_voter;               /* RG7: a sole voter leads in a term of its own */
    bool known_prefix;             /* RG8: entries behind a snapshot are not appended again */
    bool stale_refusal;            /* an overtaken refusal is dropped */
    bool rounds_limit;             /* a candidature ends after some lost rounds */
    bool voters_disrupt;           /* the disrupt flag counts from voters only */
    bool leader_keeps_vote;        /* a leader does not demote itself */
    bool no_transfer_in_wait;      /* a leader that owes a wait does not transfer */
    bool managers_before_transfer; /* TimeoutNow waits for the managers' end */
};

struct consensus_config {
    uint64_t id;
    uint64_t rng_seed;
    int64_t heartbeat_ms;        /* > 0 */
    int64_t election_timeout_ms; /* 1.05 * lease_ttl + heartbeat <= election_timeout */
    int64_t lease_ttl_ms;
    uint32_t snapshot_threshold; /* applied entries between snapshots; 0: 512 */
    uint32_t snapshot_trailing;  /* entries kept behind a snapshot; 0: 512 */
    /* Founding voters, for pristine storage only; empty: wait to be added by a leader. */
    const struct consensus_server *founders;
    size_t founder_count;
    struct consensus_storage storage;
    struct consensus_transport transport;
    struct consensus_machine machine;
    struct consensus_switches off;
};

/* Load from storage (bootstrap it when it is pristine and this node is a founder) and start as a
 * follower. Copies the configuration; the interfaces' contexts must outlive the engine. */
int consensus_create(const struct consensus_config *config, int64_t now_ms, struct consensus **ret,
                     struct err *err);
void consensus_destroy(struct consensus **self_p);

/* ---- events ---- */

/* Let time pass. Call at consensus_deadline_ms(), which every other call may move. */
void consensus_tick(struct consensus *self, int64_t now_ms);
int64_t consensus_deadline_ms(const struct consensus *self);

/* A peer's bytes; `from` is the authenticated sender. Malformed ones are counted and dropped. */
void consensus_receive(struct consensus *self, int64_t now_ms, uint64_t from, const uint8_t *bytes,
                       size_t length);

/* Propose a command of at most COMMAND_BYTES_MAX bytes (copied). 0: a CONSENSUS_NOTICE_PROPOSAL
 * with `token` follows in any case; its status 0 means applied here, ERR_STALE means unknown (it
 * may still commit). ERR_NOTLEADER, ERR_BUSY (handing over), ERR_FULL (too many in flight). */
int consensus_propose(struct consensus *self, int64_t now_ms, const uint8_t *bytes, size_t length,
                      uint64_t token, struct err *err);

enum consensus_change { CONSENSUS_ADD, CONSENSUS_ASSIGN, CONSENSUS_REMOVE };
/* One change of the configuration at a time (ERR_BUSY). ADD makes a spare; ASSIGN gives `role`. A
 * leader is not demoted or removed before it has handed over (ERR_UNSAFE).
 * 0: a CONSENSUS_NOTICE_CHANGE with `token` follows. */
int consensus_change(struct consensus *self, int64_t now_ms, enum consensus_change what,
                     uint64_t id, enum consensus_role role, uint64_t token, struct err *err);

/* Hand leadership to `target` (0: the best caught-up voter). Ends the lease at once; TimeoutNow
 * goes out when consensus_managers_ended() was called. Never acts again in this term: a transfer
 * that fails is repeated, or ends in being deposed. ERR_NOTLEADER, ERR_BUSY, ERR_NOTFOUND (not a
 * voter), ERR_UNSAFE (still owes a wait). */
int consensus_hand_over(struct consensus *self, int64_t now_ms, uint64_t target,
                        enum consensus_cause cause, struct err *err);

/* All managers of the term that ended have confirmed that they stopped acting (after a hand-over
 * or a step-down). Harmless at any other time. */
void consensus_managers_ended(struct consensus *self, int64_t now_ms);

/* Stand for election because the leader of `term` is gone: `proof` (obituary of a leader that owed
 * no wait) or evidence of a majority. Accepted only while this voter still follows that leader in
 * that term, else ERR_STALE. `first_sign_ms`: when this node first suspected it. */
int consensus_stand(struct consensus *self, int64_t now_ms, uint64_t leader, uint64_t term,
                    bool proof, int64_t first_sign_ms, struct err *err);

/* Proof about (leader, term) has arrived: a candidate or leader that stood on evidence against
 * exactly them owes no wait any more. Harmless at any other time. */
void consensus_proof(struct consensus *self, int64_t now_ms, uint64_t leader, uint64_t term);

/* A call of this node's storage took stall_ms: call it after the event in which that happened,
 * before the next tick (calls shorter than a heartbeat may be left out). Election timeout and
 * silence adapt to it, to the delays that the engine sees itself, and to what the leader tells of
 * its own stalls: see adaptation.h. The lease never does. */
void consensus_note_stall(struct consensus *self, int64_t now_ms, int64_t stall_ms);

/* An election timeout and silence of at least timeout_ms (never the lease). Bounds: the configured
 * value to ten times it. */
void consensus_set_election_timeout(struct consensus *self, int64_t now_ms, int64_t timeout_ms);

/* Simulator only (off.completions_at_once): let completions due by now happen. */
void consensus_delayed_completions(struct consensus *self, int64_t now_ms);

/* ---- state ---- */

struct consensus_view {
    enum consensus_state state;
    uint64_t term;
    uint64_t leader;         /* 0: unknown */
    bool ready;              /* leader, its barrier applied */
    bool acting;             /* ready, lease not over at now, no wait owed, not handing over */
    bool handing_over;       /* the lease is ended for good in this term */
    bool owes_wait;          /* elected on evidence, wait not over yet */
    int64_t lease_end_ms;    /* 0: none */
    int64_t wait_until_ms;   /* 0: none */
    int64_t silent_until_ms; /* votes without disrupt flag are dropped before this */
    uint64_t commit_index;
    uint64_t applied_index;
    uint64_t last_index;
    uint64_t snapshot_index;
    enum consensus_cause cause; /* of the election that made this node leader, or its present try */
    bool proof;                 /* that election had proof */
    int64_t first_sign_ms;      /* of what led to it; 0: none */
    int64_t detected_ms;        /* stood for election */
    int64_t elected_ms;
    int64_t ready_ms;
    int64_t acting_ms;           /* first acted in this term */
    bool leader_acting;          /* follower: what the leader last told of itself, */
    int64_t leader_told_ms;      /* and when; 0: never in this term */
    int64_t election_timeout_ms; /* in force: configured, or adapted to slow disks and loops */
    uint64_t configuration_index;
    bool configuration_changing; /* an uncommitted change, or a promotion under way */
    size_t server_count;
    struct consensus_server servers[NODES_MAX];
    /* As leader: */
    uint64_t match_index[NODES_MAX];    /* of servers[i]; 0 when not leader */
    int64_t last_contact_ms[NODES_MAX]; /* ms since servers[i] last answered; -1: never */
    bool no_echo[NODES_MAX];            /* servers[i] refuses to echo (shorter silence) */
};

void consensus_view(const struct consensus *self, int64_t now_ms, struct consensus_view *ret);

/* The lease's end as of the last event, 0 when this node must not act: what the shell publishes to
 * other threads at once. */
int64_t consensus_may_act_until_ms(const struct consensus *self, int64_t now_ms);

enum consensus_notice_type {
    CONSENSUS_NOTICE_PROPOSAL,     /* token, status */
    CONSENSUS_NOTICE_CHANGE,       /* token, status */
    CONSENSUS_NOTICE_ELECTED,      /* this node: term, cause */
    CONSENSUS_NOTICE_READY,        /* barrier applied */
    CONSENSUS_NOTICE_STEPPED_DOWN, /* was leader of `term`; managers must end */
    CONSENSUS_NOTICE_NEW_LEADER,   /* follower: term, leader */
    CONSENSUS_NOTICE_RELOADED,     /* RG5 made a fresh instance from disk */
    CONSENSUS_NOTICE_NO_ECHO,      /* this voter does not echo the leader's lease: see text */
    CONSENSUS_NOTICE_MEMORY_LOST,  /* leader: server `leader` lacks what it acknowledged before */
};

struct consensus_notice {
    enum consensus_notice_type type;
    uint64_t token;
    int status;
    uint64_t term;
    uint64_t leader;
    enum consensus_cause cause;
    char text[REASON_SIZE];
};

/* The oldest notice not yet taken; false when there is none. Drain after each event. */
bool consensus_notice_next(struct consensus *self, struct consensus_notice *ret);

struct consensus_counters {
    uint64_t received, malformed, sent;
    uint64_t votes_silenced, votes_guarded, acknowledgements_bounded, snapshots_delayed;
    uint64_t reloads, refusals_mended, elections_won, elections_stood, snapshots_taken;
};
void consensus_counters(const struct consensus *self, struct consensus_counters *ret);

/* NULL, or why the process must end now. */
const char *consensus_fatal(const struct consensus *self);

/* raft id of a founding public key (Z85 text): nonzero, the same on every node. */
uint64_t consensus_id_of_key(const char *public_key);

#endif
