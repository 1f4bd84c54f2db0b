/* Evidence that the leader's process is gone, collected until a majority of voters has it; then
 * the voters stand for election one after the other, best health first.
 *
 * Hard evidence of this node: its connection to the leader is down and the leader's address refuses
 * connections (ECONNREFUSED). An obituary of exactly this leader and term is proof when the dead
 * leader owed no wait, else it is evidence like a refusal. Everything is about one (leader, term)
 * and is forgotten with it; a refusal also when the connection is back.
 *
 * Pure. Times are CLOCK_BOOTTIME ms. Only voters collect; nothing here affects Raft's safety. */
#ifndef UNDERSTUDY_CONSENSUS_EVIDENCE_H
#define UNDERSTUDY_CONSENSUS_EVIDENCE_H

#include "consensus/grants_message.h"
#include "node/base/err.h"
#include "node/base/limits.h"
#include "node/base/mp.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define EVIDENCE_VERSION 1
#define EVIDENCE_STEP_MS_DEFAULT 15
#define EVIDENCE_REPEAT_MS 100
#define EVIDENCE_MESSAGE_BYTES_MAX 256

struct evidence_message {
    uint64_t leader;
    uint64_t term;
    bool withdrawn;       /* the connection is back: forget what I said */
    uint64_t incarnation; /* of the sender; with sequence: older messages are dropped */
    uint64_t sequence;
};

int evidence_encode(const struct evidence_message *message, struct mp_writer *writer);
int evidence_decode(const uint8_t *bytes, size_t length, struct evidence_message *ret,
                    struct err *err);

struct evidence_voter {
    uint64_t id;
    bool alive;       /* gossip holds it alive (a suspect counts as alive) */
    bool score_known; /* an unknown score stands last */
    double score;     /* 0 to 100 */
};

/* Rules that the simulator may switch off to prove that it would notice. Zero: all rules on. */
struct evidence_switches {
    bool obituary_term; /* an obituary counts for the leader of exactly its term */
    bool owed_wait;     /* H3: of a leader that owed a wait it is no proof */
};

struct evidence_config {
    uint64_t id;
    uint64_t incarnation;
    int64_t step_ms; /* between one candidate and the next; about a round of votes; 0: default */
    struct evidence_switches off;
};

enum evidence_action_type {
    EVIDENCE_NONE,
    EVIDENCE_PROBE,  /* try to connect to the leader's address and tell the result */
    EVIDENCE_SPREAD, /* send `message` to all other voters */
    EVIDENCE_STAND,  /* consensus_stand(leader, term, proof, first_sign_ms) */
    EVIDENCE_PROOF,  /* consensus_proof(leader, term): proof came after standing, or elsewhere */
};

struct evidence_action {
    enum evidence_action_type type;
    uint64_t leader;
    uint64_t term;
    bool proof;
    int64_t first_sign_ms;
    struct evidence_message message;
};

struct evidence;

struct evidence *evidence_create(const struct evidence_config *config);
void evidence_destroy(struct evidence **self_p);

/* The voters of the configuration (the leader and this node among them) and their health; whenever
 * one of these changes. At most NODES_MAX are taken. */
void evidence_voters(struct evidence *self, const struct evidence_voter *voters, size_t count);

/* Whom this node follows now (leader 0: nobody, or itself leads) and whether the connection to it
 * is up. Another leader or term forgets everything; the same one changes nothing. */
void evidence_follow(struct evidence *self, int64_t now_ms, uint64_t leader, uint64_t term,
                     bool connected);

void evidence_link_lost(struct evidence *self, int64_t now_ms, uint64_t peer);
void evidence_link_up(struct evidence *self, int64_t now_ms, uint64_t peer);
/* The result of a probe of `peer`: refused, or not (connected, timed out, unreachable). */
void evidence_probed(struct evidence *self, int64_t now_ms, uint64_t peer, bool refused);
/* A message of an authenticated peer. */
void evidence_receive(struct evidence *self, int64_t now_ms, uint64_t from,
                      const struct evidence_message *message);
/* An authenticated obituary. */
void evidence_obituary(struct evidence *self, int64_t now_ms, const struct obituary *obituary);

/* The next thing to do at now; EVIDENCE_NONE (false) when nothing is due. Call until false after
 * each event and at the deadline. */
bool evidence_next(struct evidence *self, int64_t now_ms, struct evidence_action *ret);
int64_t evidence_deadline_ms(const struct evidence *self); /* INT64_MAX: none */

/* For status and events: voters known to have evidence about the present leader, and the
 * majority that is needed. */
size_t evidence_count(const struct evidence *self);
size_t evidence_majority(const struct evidence *self);

#endif
