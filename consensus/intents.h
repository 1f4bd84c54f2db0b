/* What the acting leader does about effects outside the cluster (safety.md, Intents).
 *
 * A manager asks to perform an effect under a key. The leader commits the intent, and only then the
 * manager may perform it, under the lease and in the term of that entry; then its outcome is
 * committed. An open intent of an earlier term is settled before anything else on its object: the
 * manager is asked to verify, and by its answer the intent is done, performed again under a new
 * entry of this term, skipped, or parked for a person.
 *
 * Pure: questions and answers go in, commands and orders to the manager come out. */
#ifndef UNDERSTUDY_CONSENSUS_INTENTS_H
#define UNDERSTUDY_CONSENSUS_INTENTS_H

#include "consensus/state.h"
#include "consensus/state_work.h"

struct intents;

struct intents_switches {
    bool check_key;      /* a key that exists is refused */
    bool verify_earlier; /* an open intent of an earlier term is verified before it is performed */
    bool object_first;   /* what is open on an object is settled before a new intent on it */
};

/* NULL when out of memory. `off` may be NULL: none. */
struct intents *intents_create(const struct intents_switches *off);
void intents_destroy(struct intents **self_p);

/* This node begins to act in `term`, or ends to act. */
void intents_begin(struct intents *self, uint64_t term);
void intents_end(struct intents *self);

enum intent_step {
    INTENT_STEP_WAIT,    /* something else is settled first, or the entry is under way: ask again */
    INTENT_STEP_PROPOSE, /* propose *ret */
    INTENT_STEP_PERFORM, /* it may be performed now, under `term` */
    INTENT_STEP_VERIFY,  /* ask the other side whether it happened, then say intents_verified */
    INTENT_STEP_CLOSED,  /* it is done, or parked: do nothing */
};

/* A manager wants the effect `wish` (origin, who and the like are the caller's business). Said
 * again until the answer is final. PERFORM is answered only while acting, for an intent that this
 * term took, and only until its outcome was told. */
enum intent_step intents_want(struct intents *self, const struct state *state,
                              const struct command_intent_open *wish, struct command *ret);

/* What the manager found out. */
enum intent_evidence {
    INTENT_IT_HAPPENED,
    INTENT_IT_DID_NOT,
    INTENT_CANNOT_TELL, /* the intent's policy decides */
    INTENT_ASK_LATER,   /* the other side does not answer now */
};
enum intent_step intents_verified(struct intents *self, const struct state *state, const char *key,
                                  enum intent_evidence evidence, const char *detail,
                                  struct command *ret);

/* The effect was performed (or refused by the other side): PROPOSE its outcome. WAIT: the answer
 * was lost, so it is to be verified: say intents_want again. */
enum intent_step intents_performed(struct intents *self, const struct state *state, const char *key,
                                   enum intent_verdict verdict, bool answer_lost,
                                   const char *outcome, struct command *ret);

/* Open intents of `manager` that this term has not taken, oldest first: to be verified when the
 * leader begins, before anything else. Returns the one at `position` or NULL. */
const struct state_intent *intents_left_open(const struct intents *self, const struct state *state,
                                             const char *manager, size_t position);

#endif
