/* Grants: a node's right to carry out an exclusive duty, both sides. Pure; times are CLOCK_BOOTTIME
 * ms of the node that the object lives on.
 *
 * The rules are those of the safety page. In short: an assignment gives no right, a grant does; it
 * counts from the holder's own time of asking; the leader grants only while it acts, what its
 * applied state says, and nothing whose move is proposed; it moves only what was released or not
 * granted for 1.05 times the assignment's grant_ttl; a leader of a new term waits that long from
 * the first moment it acted. */
#ifndef UNDERSTUDY_CONSENSUS_GRANTS_H
#define UNDERSTUDY_CONSENSUS_GRANTS_H

#include "consensus/grants_message.h"
#include "consensus/state.h"

#define GRANTS_RENEW_EVERY_MS 500
#define GRANTS_TTL_MS_DEFAULT 5000

/* Rules that the simulator may switch off to prove that it would notice. Zero: all rules on. */
struct grants_switches {
    bool hold_of_new_leader;
    bool no_grant_while_moving;    /* H6 */
    bool incarnation;              /* H7: obituaries and grants are bound to it */
    bool last_grant_survives;      /* H7c: a new incarnation does not clear the last grant */
    bool release_names_assignment; /* H8a */
    bool released_takes_no_grant;  /* H8b */
    bool grants_only_while_acting;
    bool stretch; /* 1.05 */
};

/* 1.05 * duration, rounded up: what guards against another node's clock. */
int64_t grants_stretch_ms(int64_t duration_ms);

/* ---- the leader's side ---- */

struct grants_leader;

/* `off` may be NULL. NULL when out of memory. */
struct grants_leader *grants_leader_create(const struct grants_switches *off);
void grants_leader_destroy(struct grants_leader **self_p);

/* This node acts as leader of `term`: call whenever acting begins or begins again. The first call
 * of a term forgets all of earlier terms and starts the hold. The state handed to later calls must
 * have applied everything before the leader's barrier. grant_ttl_ms: 1 to GRANT_TTL_MS_MAX; an
 * assignment's own limit may shorten it. */
void grants_leader_begin(struct grants_leader *self, int64_t now_ms, uint64_t term,
                         int64_t grant_ttl_ms);
/* It does not act any more (it may again). What was sent and proposed is remembered. */
void grants_leader_end(struct grants_leader *self);

/* Answer a request. `from` is the authenticated sender's raft id, `acting` whether the lease holds
 * at now. True with *ret to be sent: at least one assignment is granted. */
bool grants_leader_renew(struct grants_leader *self, int64_t now_ms, bool acting,
                         const struct state *state, uint64_t from,
                         const struct grants_renew *request, struct grants_grant *ret);

/* A release from its holder or, after its end, from its parent, which speaks with the same
 * identity: `from` is the authenticated raft id. Returns how many assignments that stand in `state`
 * it newly released: propose DUTY_RELEASE for those that grants_leader_released() tells. */
size_t grants_leader_take_release(struct grants_leader *self, const struct state *state,
                                  uint64_t from, const struct grants_release *release);

/* With duties_ended: releases all duties assigned to (raft_id, incarnation or older), now and
 * later. As above. */
size_t grants_leader_take_obituary(struct grants_leader *self, const struct state *state,
                                   const struct obituary *obituary);

/* The duty's present assignment is known to be released (state, message or obituary), and how. */
bool grants_leader_released(const struct grants_leader *self, const struct state_duty *duty,
                            enum release_proof *ret_proof);

/* May an assignment of this duty be proposed now to (raft_id, incarnation)? A node that restarted
 * (same raft_id, higher incarnation) may get its own duty at once. With raft_id 0: may it be moved
 * anywhere, or released for good (RELEASE_BY_EXPIRY). False: *ret_at_ms (may be NULL) is when to
 * ask again if nothing else happens, 0 when that is unknown. Duties that allow overlap may always
 * move while acting. */
bool grants_leader_may_assign(const struct grants_leader *self, int64_t now_ms, bool acting,
                              const struct state_duty *duty, uint64_t raft_id, uint64_t incarnation,
                              int64_t *ret_at_ms);

/* A command that changes the duty's assignment or release was proposed under `token`: from now on
 * nothing is granted for it, until its outcome is applied here. Call before consensus_propose().
 * ERR_BUSY: another one is under way. ERR_FULL cannot happen within DUTIES_MAX duties. */
int grants_leader_note_proposed(struct grants_leader *self, const char *duty, uint64_t token);
/* known: it was applied here, refused before it was taken, or can never commit. An unknown outcome
 * (ERR_STALE) keeps the duty without grants until a later term. */
void grants_leader_note_outcome(struct grants_leader *self, uint64_t token, bool known);

/* A proposal about the duty is under way. */
bool grants_leader_moving(const struct grants_leader *self, const char *duty);

/* End of the grant last sent for the duty, judged from this side; 0: none was sent in this term. */
int64_t grants_leader_sent_until_ms(const struct grants_leader *self, const char *duty);
/* End of the hold for an assignment with this limit. */
int64_t grants_leader_hold_until_ms(const struct grants_leader *self, int64_t grant_ttl_ms);

/* ---- the holder's side ---- */

struct grants_holder;

struct grants_holder_config {
    uint64_t raft_id;
    uint64_t incarnation;
    int64_t renew_every_ms; /* 0: GRANTS_RENEW_EVERY_MS */
    /* Rows for what earlier incarnations of this node held, too: never asked for, to be released
     * when nothing of it runs here. For a process whose locks are its predecessor's. */
    bool releases_former;
    struct grants_switches off;
};

struct grants_held {
    char duty[DUTY_ID_SIZE];
    uint64_t assignment;
    uint64_t term;       /* of the assignment: the fencing token */
    int64_t deadline_ms; /* may run before this; 0: no grant yet */
    bool released;       /* by us; waits until the state says so */
    bool former;         /* an earlier incarnation's: to be released, never run */
};

struct grants_holder *grants_holder_create(const struct grants_holder_config *config);
void grants_holder_destroy(struct grants_holder **self_p);

/* Follow the applied state: call after each change of duties and after a restore. A new assignment
 * to this incarnation is asked for at once; one that stands no more is dropped, and whatever ran
 * under it must end now. */
void grants_holder_sync(struct grants_holder *self, int64_t now_ms, const struct state *state);

/* When to call grants_holder_request() next; INT64_MAX: nothing to ask for. */
int64_t grants_holder_next_ms(const struct grants_holder *self);
/* True with *ret to be sent to the leader. Counts as asked: the next one is due renew_every later.
 */
bool grants_holder_request(struct grants_holder *self, int64_t now_ms, struct grants_renew *ret);
/* Ask again at once (a new leader is known). */
void grants_holder_hurry(struct grants_holder *self, int64_t now_ms);

/* Take a grant: how many deadlines it moved. */
size_t grants_holder_take(struct grants_holder *self, int64_t now_ms,
                          const struct grants_grant *grant);

/* The duty has ended here and will not run again under its present assignment. Call only when no
 * process of it runs on this host, one that an earlier incarnation started included (its guard's
 * lock is free): the leader may let it start elsewhere at once. ERR_NOTFOUND. */
int grants_holder_release(struct grants_holder *self, const char *duty);
/* Releases that the state does not show yet, from position `skip` on; repeat the message until
 * there are none. Returns how many there are in the message. */
size_t grants_holder_releases(const struct grants_holder *self, size_t skip,
                              struct grants_release *ret);

/* Rows sorted by duty; borrowed until the next call. */
size_t grants_holder_count(const struct grants_holder *self);
const struct grants_held *grants_holder_at(const struct grants_holder *self, size_t position);
const struct grants_held *grants_holder_by_duty(const struct grants_holder *self, const char *duty);
/* May the duty run at now? */
bool grants_holder_may_run(const struct grants_holder *self, int64_t now_ms, const char *duty);

#endif
