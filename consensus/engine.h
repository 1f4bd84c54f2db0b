/* Inside of the engine: its state, and what its files offer one another.
 *
 *   engine.c          life, events, reload
 *   engine_adapt.c    the election timeout follows what is seen of disks and delays
 *   engine_settle.c   what follows each event: completions, transitions, barrier, next submissions
 *   engine_request.c  proposals and changes of the configuration
 *   engine_hand.c     hand-over, standing for election, proof
 *   engine_receive.c  guards and silence in front of the library
 *   engine_tell.c     what is committed is told without waiting for the next heartbeat
 *   engine_timer.c    when the library's election timer runs out
 *   engine_view.c     view, notices, counters
 *   raft_io*.c        struct raft_io and raft_fsm over our storage, transport and machine
 *   raft_internals.c  every look into struct raft */
#ifndef UNDERSTUDY_CONSENSUS_ENGINE_H
#define UNDERSTUDY_CONSENSUS_ENGINE_H

#include "consensus/adaptation.h"
#include "consensus/consensus.h"
#include "consensus/lease.h"
#include "consensus/logbook.h"
#include "consensus/raft_io.h"
#include "consensus/wire_raft.h"
#include "node/base/rng.h"

#include <raft.h>

#define ENGINE_PROPOSALS_MAX 256
#define ENGINE_BATCH_MAX 64               /* proposals given to the library together, */
#define ENGINE_BATCH_BYTES_MAX (64 << 10) /* a message that need not go the long way */
#define ENGINE_TRANSFER_TRIES_MAX 5

/* A life of the library; a reload makes a new one. */
struct engine_instance {
    struct raft raft;
    struct raft_io io;
    struct raft_fsm fsm;
};

/* Why and how this node stands, or has been elected. */
struct candidature {
    bool active;
    bool disrupts;           /* by TimeoutNow: a leader's, or ours on evidence or proof */
    bool on_evidence;        /* the leader below may still act: elected, we owe the wait */
    bool proof;              /* ... but it is proven that it does not */
    uint64_t against_leader; /* on evidence or proof only */
    uint64_t against_term;
    int64_t wait_ms; /* owed from the election on, without proof */
    enum consensus_cause cause;
    int64_t first_sign_ms;
    int64_t stood_ms;
};

/* This node's present term as leader; term 0: none. */
struct leadership {
    uint64_t term;
    uint64_t barrier_term; /* = term: the barrier was submitted */
    bool ready;
    int64_t elected_ms;
    int64_t ready_ms;
    int64_t acting_ms;
    int64_t wait_until_ms;
    int64_t lease_end_ms;         /* the latest that a quorum has granted in this term */
    int64_t quorum_ms;            /* s_q */
    int64_t late_ms;              /* own delays since it last moved on */
    uint64_t configuration_index; /* newest, and since when it has been in force here */
    int64_t configuration_ms;
};

struct hand_over {
    bool active;
    bool managers_ended;
    uint64_t target; /* as asked; 0: any */
    enum consensus_cause cause;
    unsigned tries;
    int64_t next_try_ms;
};

/* What a follower last heard of the leader of its term. */
struct heard {
    uint64_t term;
    uint64_t leader;
    int64_t sent_ms;      /* newest send time, on the leader's clock */
    int64_t lease_ttl_ms; /* as that leader says */
    int64_t heartbeat_ms;
    bool acting;     /* as it last said; told to people, never relied on */
    int64_t at_ms;   /* of the last append or snapshot */
    int64_t late_ms; /* own delays since then */
    bool told_no_echo;
};

/* Of a leader, about a server that acknowledged something in this term. Late answers refuse it now
 * and then; but one that had heard what was sent after its last acknowledgement came cannot, unless
 * its log is gone. */
struct acknowledger {
    uint64_t id;        /* 0: the slot is free */
    int64_t success_ms; /* when its last acknowledgement came */
    int64_t since_ms;   /* first refusal after it */
    unsigned refusals;
    bool told;
};

/* Of a leader: the highest commit index that an append of this term told a server. */
struct told {
    uint64_t id; /* 0: the slot is free */
    uint64_t commit_index;
};

/* Of a leader, not written yet; they are the library's until its callback. */
struct own_entries {
    const struct raft_entry *entries;
    unsigned count;
};

/* A proposal that the library has. */
struct in_flight {
    uint64_t index;
    uint64_t token;
};

struct proposal {
    uint64_t token;
    size_t entry_length;
    uint8_t *entry; /* raft_malloc'd, wrapped */
};

struct consensus {
    struct consensus_config config;
    struct consensus_server founders[NODES_MAX];
    char address[WIRE_ADDRESS_SIZE];
    struct rng rng;
    int64_t now_ms;
    int64_t election_timeout_ms; /* in force: the greater of what was asked for and adapted */
    int64_t asked_timeout_ms;
    struct adaptation adaptation;
    char fatal[REASON_SIZE]; /* empty: none */

    struct engine_instance *instance;
    raft_io_tick_cb tick;
    raft_io_recv_cb receive;
    raft_io_close_cb closed;
    struct raft_io_queue completions;
    struct raft_io_context context;
    bool muted; /* closing: nothing is sent any more */
    bool reload_wanted;
    bool snapshot_installed; /* in this event */
    struct mp_writer writer;

    uint64_t stored_term;
    uint64_t stored_vote;
    bool term_waits; /* stored_term is not on disk yet */
    struct own_entries own_entries;
    struct acknowledger acknowledgers[NODES_MAX];
    struct told told[NODES_MAX];
    int64_t tell_at_ms; /* 0: nothing waits to be told */
    struct logbook log;
    struct consensus_stored loaded; /* between load and raft_start */
    uint64_t machine_index;         /* what the machine holds; never goes back */

    bool pristine;     /* this process life found storage that has never voted nor echoed */
    bool heard_leader; /* since the start of the process, or led itself */
    int64_t ticked_ms;
    bool timer_drawn;
    unsigned lost_rounds;

    struct lease lease;
    struct lease_silence silence;
    struct heard heard;
    struct candidature candidature;
    struct leadership leadership;
    struct hand_over hand_over;
    int64_t acting_after_step_down_ms; /* switch lease_ends_at_step_down only */
    uint64_t noticed_leader;
    uint64_t noticed_term;

    struct raft_barrier barrier;
    struct raft_apply apply;
    bool apply_busy;                              /* the library has not called back yet, */
    struct in_flight in_flight[ENGINE_BATCH_MAX]; /* and these are not applied or lost yet */
    size_t in_flight_count;
    struct proposal proposals[ENGINE_PROPOSALS_MAX]; /* ring */
    size_t proposal_head;
    size_t proposal_count;
    struct raft_change change;
    bool change_busy;
    uint64_t change_token;
    struct raft_transfer transfer;
    bool transfer_busy;
    uint64_t transfer_term;

    struct consensus_notice *notices; /* ring that grows */
    size_t notice_capacity;
    size_t notice_head;
    size_t notice_count;
    struct consensus_counters counters;
};

/* engine.c */
void engine_fatal(struct consensus *self, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
bool engine_is_fatal(const struct consensus *self);
/* A fresh instance from disk; requests in flight fail as unknown. */
void engine_reload(struct consensus *self);
bool engine_is_voter(const struct consensus *self);
/* Take the next term and vote for ourselves in it, durably (guard_sole_voter). */
void engine_raise_term(struct consensus *self);

/* engine_adapt.c */
/* Every event's first step: time goes on. */
void engine_now(struct consensus *self, int64_t now_ms);
/* The leader in `heard` speaks again; before heard is brought up to date. */
void engine_note_heard(struct consensus *self, const struct heard *heard);
/* s_q has moved on from before_ms. */
void engine_note_quorum(struct consensus *self, int64_t before_ms);
void engine_adapt(struct consensus *self);

/* engine_settle.c */
void engine_settle(struct consensus *self);
/* The leader that a follower has heard in its present term, 0: none. The library keeps naming the
 * leader of an earlier term when it takes a newer term from a candidate. */
uint64_t engine_leader(const struct consensus *self);
/* May act as of now, whatever the lease says: leader, ready, no wait, not handing over. */
bool engine_may_act_but_for_lease(const struct consensus *self, int64_t now_ms);

/* engine_request.c: each returns true when it called the library. */
bool engine_submit_barrier(struct consensus *self);
bool engine_submit_proposals(struct consensus *self);
void engine_drop_proposals(struct consensus *self, int status);
/* The entry at `index` was applied: its proposal, if it is one of ours, is done. */
void engine_proposal_applied(struct consensus *self, uint64_t index);

/* engine_hand.c */
bool engine_submit_transfer(struct consensus *self);

/* engine_tell.c */
/* An append that leaves for server `id` tells this commit index. */
void engine_note_told(struct consensus *self, uint64_t id, uint64_t commit_index);
/* Tell what is due; call after each event. */
void engine_tell_commit(struct consensus *self);

/* engine_timer.c */
void engine_shape_timer(struct consensus *self);
/* When the library's election timer runs out; INT64_MAX when it does not matter. */
int64_t engine_timer_expiry(const struct consensus *self);

/* engine_view.c */
void engine_notify(struct consensus *self, const struct consensus_notice *notice);

#endif
