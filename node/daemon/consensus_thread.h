/* The consensus thread: the engine of consensus/ with its storage, one event at a time.
 *
 * The loop posts events; the thread answers with outputs through one queue, in the order in which
 * things happened: what was applied comes before the notice and the view that speak of it. So the
 * loop can keep a mirror of the replicated state by applying the same commands, and needs no lock.
 *
 * The end of the lease is published beside the queue, as an atomic: when it ends, it ends for every
 * thread at once. */
#ifndef UNDERSTUDY_NODE_DAEMON_CONSENSUS_THREAD_H
#define UNDERSTUDY_NODE_DAEMON_CONSENSUS_THREAD_H

#include "consensus/consensus.h"

struct consensus_thread;

/* With the longest election timeout that adaptation reaches, a leader whose disk hangs is replaced
 * within 10 s. */
#define CONSENSUS_PROOF_PERIOD_MS 5000

/* Events from the loop. */
enum consensus_event_kind {
    CONSENSUS_EVENT_MESSAGE,        /* peer, bytes */
    CONSENSUS_EVENT_PROPOSE,        /* token, bytes */
    CONSENSUS_EVENT_CHANGE,         /* token, change, peer, role */
    CONSENSUS_EVENT_HAND_OVER,      /* token, peer (0: the best), cause */
    CONSENSUS_EVENT_MANAGERS_ENDED, /* nothing */
    CONSENSUS_EVENT_STAND,          /* peer, term, proof, time_ms (first sign) */
    CONSENSUS_EVENT_PROOF,          /* peer, term */
    CONSENSUS_EVENT_TIMEOUT,        /* time_ms: the election timeout from now on */
};

struct consensus_event {
    enum consensus_event_kind kind;
    uint64_t peer;
    uint64_t term;
    uint64_t token;
    int64_t time_ms;
    bool proof;
    enum consensus_change change;
    enum consensus_role role;
    enum consensus_cause cause;
    const uint8_t *bytes; /* borrowed for the post */
    size_t length;
};

/* Outputs to the loop. */
enum consensus_output_kind {
    CONSENSUS_OUTPUT_SEND,     /* peer, bulk, bytes; may be dropped when the loop is behind */
    CONSENSUS_OUTPUT_APPLIED,  /* index, term, bytes */
    CONSENSUS_OUTPUT_RESTORED, /* index, bytes of the whole state */
    CONSENSUS_OUTPUT_NOTICE,   /* notice */
    CONSENSUS_OUTPUT_VIEW,     /* view, counters; when something other than the lease changed */
    CONSENSUS_OUTPUT_REFUSED,  /* token, err: a proposal, change or hand-over was not taken */
    CONSENSUS_OUTPUT_FATAL,    /* err: the process must end now */
};

struct consensus_output {
    enum consensus_output_kind kind;
    uint64_t peer;
    bool bulk;
    uint64_t index;
    uint64_t term;
    uint64_t token;
    struct consensus_notice notice;
    struct consensus_view view;
    struct consensus_counters counters;
    struct err err;
    size_t length;
    uint8_t bytes[]; /* `length` of them */
};

struct consensus_thread_config {
    struct consensus_config engine; /* transport and machine are the thread's own */
    /* A small durable write, made by a leader that has written nothing for
     * CONSENSUS_PROOF_PERIOD_MS; an error ends the process. NULL: none. */
    int (*prove)(void *context, struct err *err);
    void *prove_context;
    int64_t record_bytes_max; /* of each file of the decision log (recorder.h); 0: none */
    const char *record_dir;   /* its folder; borrowed for the call */
};

/* Load the engine (so that a damaged log is an error here) and start the thread. The storage's
 * context is used by the thread alone until destroy. */
int consensus_thread_create(const struct consensus_thread_config *config,
                            struct consensus_thread **ret, struct err *err);
/* Ends and joins the thread. */
void consensus_thread_destroy(struct consensus_thread **self_p);

/* Loop thread. ERR_FULL: the thread is far behind (a message is dropped then, which Raft copes
 * with; a command's caller must tell). */
int consensus_thread_post(struct consensus_thread *self, const struct consensus_event *event);

/* Readable while outputs wait. */
int consensus_thread_fd(const struct consensus_thread *self);
/* The next output, the caller's (free()); NULL when none waits. */
struct consensus_output *consensus_thread_next(struct consensus_thread *self);

/* Until when this node may act as leader, CLOCK_BOOTTIME ms; 0: it must not. Any thread. */
int64_t consensus_thread_may_act_until_ms(const struct consensus_thread *self);
/* The same with the term that the right belongs to (set when the result is not 0): the two are of
 * one instant. Any thread. */
int64_t consensus_thread_may_act(const struct consensus_thread *self, uint64_t *ret_term);
/* The end of the last right that was given up or ran out; 0: there was none. Any thread. */
int64_t consensus_thread_acted_until_ms(const struct consensus_thread *self);

/* When this follower last heard its leader, which told view.leader_acting then; 0: never. Any
 * thread. */
int64_t consensus_thread_leader_told_ms(const struct consensus_thread *self);

/* When the thread last turned, CLOCK_BOOTTIME ms: its sign of life. Any thread. */
int64_t consensus_thread_turned_ms(const struct consensus_thread *self);

#endif
