/* What the acting leader does about effects outside the cluster (safety.md, Intents).
 *
 * A manager asks to perform an effect under a key. The leader commits the intent, and only then the
 * manager may perform it, under the lease and in the term of that entry; then its outcome is
 * committed. An open intent of an earlier term is settled before anything else on its object: the
 * manager is asked to verify, and by its answer the intent is done, performed again under a new
 * entry of this term, skipped, or parked for a person.
 *
 * Within a term, too, the answer to an effect may be lost, or the manager's process may end after
 * it was told to perform. Each wish therefore carries a ticket: a number above 0 that the manager
 * chooses, and gives up for a higher one as soon as it begins anything that it was told under it.
 * PERFORM may be said again to the same ticket, which has not begun. A wish with another ticket,
 * for an entry that was given out to perform, comes from someone who does not know what became of
 * it: it is verified.
 *
 * Pure: questions and answers go in, commands and orders to the manager come out. The messages of
 * one manager process arrive in the order in which it sent them; any of them may get lost. */
#ifndef UNDERSTUDY_CONSENSUS_INTENTS_H
#define UNDERSTUDY_CONSENSUS_INTENTS_H

#include "consensus/state.h"
#include "consensus/state_work.h"

struct intents;

/* For tests and the simulator: a rule whose switch is set is off. */
struct intents_switches {
    bool check_key;      /* a key that exists is refused */
    bool verify_earlier; /* an open intent of an earlier term is verified before it is performed */
    bool object_first;   /* what is open on an object is settled before a new intent on it */
    bool verify_given;   /* an entry that was given out is verified before it is given out again */
};

/* NULL when out of memory. `off` may be NULL: none. */
struct intents *intents_create(const struct intents_switches *off);
void intents_destroy(struct intents **self_p);

/* This node begins to act in `term`, or ends to act. What was said in an earlier term is forgotten;
 * what was said in this one is not: the lease may end and come back within a term. */
void intents_begin(struct intents *self, uint64_t term);
void intents_end(struct intents *self);

/* A new process of this manager has come: it knows nothing of what earlier ones were told. */
void intents_manager_restarted(struct intents *self, const char *manager);

enum intent_step {
    INTENT_STEP_WAIT,    /* something else is settled first, or the entry is under way: ask again */
    INTENT_STEP_PROPOSE, /* propose *ret, and say intents_note_proposed */
    INTENT_STEP_PERFORM, /* it may be performed now, under `term` */
    INTENT_STEP_VERIFY,  /* ask the other side whether it happened, then say intents_verified */
    INTENT_STEP_CLOSED,  /* it is done, or parked: do nothing */
};

/* A manager wants the effect `wish` (origin, who and the like are the caller's business). Said
 * again until the answer is final. PERFORM is answered only while acting, for an intent that this
 * term took, and only until its outcome was told. Of a key that exists, the row's object and policy
 * count, not the wish's. */
enum intent_step intents_want(struct intents *self, const struct state *state,
                              const struct command_intent_open *wish, uint64_t ticket,
                              struct command *ret);

/* What the manager found out. */
enum intent_evidence {
    INTENT_IT_HAPPENED,
    INTENT_IT_DID_NOT,
    INTENT_CANNOT_TELL, /* the intent's policy decides */
    INTENT_ASK_LATER,   /* the other side does not answer now */
};
/* `ticket`: the one to which VERIFY was answered; or that to which PERFORM was, by a manager that
 * has not begun after all (IT_DID_NOT). WAIT: say intents_want again. */
enum intent_step intents_verified(struct intents *self, const struct state *state, const char *key,
                                  uint64_t ticket, enum intent_evidence evidence,
                                  const char *detail, struct command *ret);

/* The effect was performed (or refused by the other side): PROPOSE its outcome. WAIT: the answer
 * was lost, so it is to be verified: say intents_want again. `ticket`: the one to which PERFORM was
 * answered. Said again until CLOSED. */
enum intent_step intents_performed(struct intents *self, const struct state *state, const char *key,
                                   uint64_t ticket, enum intent_verdict verdict, bool answer_lost,
                                   const char *outcome, struct command *ret);

/* A command about `key` that one of these answered is proposed under `token` (> 0): until its
 * outcome is known, whatever that is, the answer about the key is WAIT. */
void intents_note_proposed(struct intents *self, const char *key, uint64_t token);
void intents_note_outcome(struct intents *self, uint64_t token);

/* Open intents of `manager` that it has not wanted since the last intents_look_again, oldest first:
 * those of earlier terms when the leader begins, what a process left behind, what a person took
 * again. It is to want them; told of one that it is at already it does nothing. Returns the first
 * that was opened after `after` (NULL: the first of all), or NULL. */
const struct state_intent *intents_left_open(const struct intents *self, const struct state *state,
                                             const char *manager, const struct state_intent *after);

/* After each round of telling, a second or so apart: a wish that crossed the end of its intent says
 * nothing of what the manager is at now. */
void intents_look_again(struct intents *self);

#endif
