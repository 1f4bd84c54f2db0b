#include "consensus/intents.h"

#include "node/base/invariant.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What is answered to a wish, while acting; the first line that fits decides.
 *
 *  the key's row   its entry   so far in this term                 answer
 *  -------------   ---------   ---------------------------------   ------------
 *  done, parked    any         any                                 CLOSED
 *  another's       any         any                                 CLOSED
 *  any             any         a proposal about it is under way    WAIT
 *  none            -           another is open on the object       WAIT
 *  none            -           -                                   PROPOSE open
 *  open            later       any                                 WAIT
 *  open            any         another was opened before on it     WAIT
 *  open            earlier     clear                               PROPOSE take
 *  open            earlier     nothing, or asked                   VERIFY
 *  open            ours        nothing, or clear                   PERFORM
 *  open            ours        given out to this ticket            PERFORM
 *  open            ours        given out to another, or asked      VERIFY
 *
 * To what the manager found out, for the ticket that was asked or given out last (else WAIT):
 *
 *  evidence        policy      the row's entry                     answer
 *  -------------   ---------   ---------------------------------   ------------------------
 *  happened        any         any                                 PROPOSE done, verified
 *  did not         any         earlier                             clear, PROPOSE take
 *  did not         any         ours                                clear, WAIT
 *  cannot tell     skip        any                                 PROPOSE done as skipped
 *  cannot tell     retry       any                                 as did not
 *  cannot tell     park        any                                 PROPOSE park
 *  ask later       any         any                                 WAIT
 *
 * To the outcome of the effect, for the ticket to which it was given out last (else WAIT): PROPOSE
 * done, or, when the answer was lost, WAIT; the next wish has another ticket and is verified.
 *
 * An entry is given out once; and once more only after evidence of this term that what was given
 * out before did not happen (or, under the policy retry, may happen twice). */

enum told {
    TOLD_NOTHING,
    TOLD_PERFORM, /* the entry is given out to perform */
    TOLD_VERIFY,  /* asked to verify, no evidence yet */
    TOLD_CLEAR,   /* by the evidence it may be performed (again) */
};

/* What this term remembers of a key, beside the replicated state. */
struct record {
    char key[INTENT_KEY_SIZE];
    char manager[NAME_SIZE];
    char object[INTENT_OBJECT_SIZE];
    uint64_t opened_index; /* with the attempt: the entry that `told` is about; 0: none yet */
    uint32_t attempt;
    enum told told;
    uint64_t ticket; /* to which it was told; 0: to nobody who still lives */
    bool wanted;     /* since intents_look_again, by the manager's present process */
    uint64_t token;  /* of the proposal under way; 0: none */
};

struct intents {
    struct intents_switches off;
    bool acting;
    uint64_t term; /* 0: never acted */
    size_t count;
    size_t room;
    struct record *records; /* sorted by key; at most STATE_INTENTS_MAX */
};

struct intents *intents_create(const struct intents_switches *off)
{
    struct intents *self = calloc(1, sizeof(*self));
    if (self != NULL && off != NULL) {
        self->off = *off;
    }
    return self;
}

void intents_destroy(struct intents **self_p)
{
    if (self_p == NULL || *self_p == NULL) {
        return;
    }
    free((*self_p)->records);
    free(*self_p);
    *self_p = NULL;
}

static void forget_process(struct record *record)
{
    record->ticket = 0;
    record->wanted = false;
}

void intents_begin(struct intents *self, uint64_t term)
{
    invariant(term > 0);
    self->acting = true;
    if (term != self->term) {
        self->term = term;
        self->count = 0;
    }
    /* Within the same term the role ended in between: managers have forgotten what they were at. */
    for (size_t i = 0; i < self->count; i++) {
        forget_process(&self->records[i]);
    }
}

void intents_end(struct intents *self)
{
    self->acting = false;
}

void intents_manager_restarted(struct intents *self, const char *manager)
{
    for (size_t i = 0; i < self->count; i++) {
        if (strcmp(self->records[i].manager, manager) == 0) {
            forget_process(&self->records[i]);
        }
    }
}

/* ---- records ---- */

static size_t record_position(const struct intents *self, const char *key)
{
    size_t low = 0;
    size_t high = self->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (strcmp(self->records[middle].key, key) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static struct record *find_record(const struct intents *self, const char *key)
{
    size_t position = record_position(self, key);
    if (position >= self->count || strcmp(self->records[position].key, key) != 0) {
        return NULL;
    }
    return &self->records[position];
}

/* Forget keys that are settled, and wishes that never became a row. */
static void prune(struct intents *self, const struct state *state)
{
    size_t kept = 0;
    for (size_t i = 0; i < self->count; i++) {
        const struct record *record = &self->records[i];
        const struct state_intent *row = state_intent_by_key(state, record->key);
        bool settled = row == NULL || row->state == INTENT_DONE;
        if (!settled || record->token != 0) {
            self->records[kept++] = *record;
        }
    }
    self->count = kept;
}

static bool make_room(struct intents *self, const struct state *state)
{
    if (self->count == STATE_INTENTS_MAX) {
        prune(self, state);
    }
    if (self->count < self->room) {
        return true;
    }
    size_t room = self->room == 0 ? 16 : self->room * 2;
    room = room > STATE_INTENTS_MAX ? STATE_INTENTS_MAX : room;
    struct record *records =
        room > self->count ? realloc(self->records, room * sizeof(*records)) : NULL;
    if (records == NULL) {
        return false;
    }
    self->records = records;
    self->room = room;
    return true;
}

/* The record of the key, made when there is none; NULL when there is no room. */
static struct record *want_record(struct intents *self, const struct state *state,
                                  const struct command_intent_open *wish)
{
    struct record *record = find_record(self, wish->key);
    if (record != NULL) {
        return record;
    }
    if (!make_room(self, state)) {
        return NULL;
    }
    size_t position = record_position(self, wish->key);
    record = &self->records[position];
    memmove(record + 1, record, (self->count - position) * sizeof(*record));
    memset(record, 0, sizeof(*record));
    (void)snprintf(record->key, sizeof(record->key), "%s", wish->key);
    (void)snprintf(record->manager, sizeof(record->manager), "%s", wish->manager);
    (void)snprintf(record->object, sizeof(record->object), "%s", wish->object);
    self->count++;
    return record;
}

/* Nothing was told yet about an entry that is new to the record. */
static void follow_entry(struct record *record, const struct state_intent *row)
{
    if (record->opened_index != row->opened_index || record->attempt != row->attempt) {
        record->opened_index = row->opened_index;
        record->attempt = row->attempt;
        record->told = TOLD_NOTHING;
        record->ticket = 0;
    }
}

static enum intent_step tell(struct record *record, enum told told, uint64_t ticket)
{
    record->told = told;
    record->ticket = ticket;
    return told == TOLD_PERFORM ? INTENT_STEP_PERFORM : INTENT_STEP_VERIFY;
}

/* ---- commands ---- */

static struct command command_of(enum command_type type, const char *why)
{
    struct command command;
    memset(&command, 0, sizeof(command));
    command.type = type;
    command.reason = REASON_INTENT;
    (void)snprintf(command.why, sizeof(command.why), "%s", why);
    return command;
}

static enum intent_step propose_open(const struct command_intent_open *wish, struct command *ret)
{
    *ret = command_of(COMMAND_INTENT_OPEN, "before its effect");
    ret->intent_open = *wish;
    return INTENT_STEP_PROPOSE;
}

static enum intent_step propose_take(const char *key, const char *why, struct command *ret)
{
    *ret = command_of(COMMAND_INTENT_TAKE, why);
    (void)snprintf(ret->intent_take.key, sizeof(ret->intent_take.key), "%s", key);
    return INTENT_STEP_PROPOSE;
}

static enum intent_step propose_done(const char *key, enum intent_verdict verdict, bool verified,
                                     const char *outcome, struct command *ret)
{
    *ret = command_of(COMMAND_INTENT_DONE, intent_verdict_name(verdict));
    (void)snprintf(ret->intent_done.key, sizeof(ret->intent_done.key), "%s", key);
    ret->intent_done.verdict = verdict;
    ret->intent_done.verified = verified;
    (void)snprintf(ret->intent_done.outcome, sizeof(ret->intent_done.outcome), "%s", outcome);
    return INTENT_STEP_PROPOSE;
}

static enum intent_step propose_park(const char *key, const char *question, struct command *ret)
{
    *ret = command_of(COMMAND_INTENT_PARK, "the other side cannot tell whether it happened");
    (void)snprintf(ret->intent_park.key, sizeof(ret->intent_park.key), "%s", key);
    (void)snprintf(ret->intent_park.question, sizeof(ret->intent_park.question), "%s", question);
    return INTENT_STEP_PROPOSE;
}

void intents_note_proposed(struct intents *self, const char *key, uint64_t token)
{
    struct record *record = find_record(self, key);
    if (record != NULL) {
        record->token = token;
    }
}

void intents_note_outcome(struct intents *self, uint64_t token)
{
    for (size_t i = 0; token != 0 && i < self->count; i++) {
        if (self->records[i].token == token) {
            self->records[i].token = 0;
        }
    }
}

/* ---- wishes ---- */

/* Of this term's proposals: one that may open another key on the wish's object. */
static bool opening_on(const struct intents *self, const struct command_intent_open *wish)
{
    for (size_t i = 0; i < self->count; i++) {
        const struct record *record = &self->records[i];
        if (record->token != 0 && record->opened_index == 0 &&
            strcmp(record->key, wish->key) != 0 && strcmp(record->object, wish->object) == 0 &&
            strcmp(record->manager, wish->manager) == 0) {
            return true;
        }
    }
    return false;
}

/* Is another intent on that object to be settled first? */
static bool another_first(const struct intents *self, const struct state *state,
                          const char *manager, const char *object, const char *key)
{
    const struct state_intent *first = state_intent_open_on(state, manager, object);
    return !self->off.object_first && first != NULL && strcmp(first->key, key) != 0;
}

static enum intent_step open_key(struct intents *self, const struct state *state,
                                 const struct command_intent_open *wish, struct record *record,
                                 struct command *ret)
{
    if (another_first(self, state, wish->manager, wish->object, wish->key) ||
        (!self->off.object_first && opening_on(self, wish))) {
        return INTENT_STEP_WAIT;
    }
    /* The wish of the key may have been another's before. */
    (void)snprintf(record->object, sizeof(record->object), "%s", wish->object);
    record->opened_index = 0;
    return propose_open(wish, ret);
}

static enum intent_step settle_earlier(const struct intents *self, struct record *record,
                                       uint64_t ticket, struct command *ret)
{
    if (record->told == TOLD_CLEAR) {
        return propose_take(record->key, "its evidence says that it may be performed", ret);
    }
    if (self->off.verify_earlier) {
        return propose_take(record->key, "not verified", ret);
    }
    return tell(record, TOLD_VERIFY, ticket);
}

static enum intent_step give_out(const struct intents *self, struct record *record, uint64_t ticket)
{
    bool fresh = record->told == TOLD_NOTHING || record->told == TOLD_CLEAR;
    bool same = record->told == TOLD_PERFORM && record->ticket == ticket && ticket != 0;
    if (fresh || same || self->off.verify_given) {
        return tell(record, TOLD_PERFORM, ticket);
    }
    return tell(record, TOLD_VERIFY, ticket);
}

enum intent_step intents_want(struct intents *self, const struct state *state,
                              const struct command_intent_open *wish, uint64_t ticket,
                              struct command *ret)
{
    const struct state_intent *row = state_intent_by_key(state, wish->key);
    if (row != NULL && row->state != INTENT_OPEN) {
        bool unchecked = self->off.check_key && self->acting;
        return unchecked ? INTENT_STEP_PERFORM : INTENT_STEP_CLOSED;
    }
    if (row != NULL && strcmp(row->manager, wish->manager) != 0) {
        return INTENT_STEP_CLOSED;
    }
    struct record *record = self->acting ? want_record(self, state, wish) : NULL;
    if (record == NULL) {
        return INTENT_STEP_WAIT;
    }
    record->wanted = true;
    if (record->token != 0) {
        return INTENT_STEP_WAIT;
    }
    if (row == NULL) {
        return open_key(self, state, wish, record, ret);
    }
    follow_entry(record, row);
    if (row->term > self->term || another_first(self, state, row->manager, row->object, row->key)) {
        return INTENT_STEP_WAIT;
    }
    if (row->term < self->term) {
        return settle_earlier(self, record, ticket, ret);
    }
    return give_out(self, record, ticket);
}

/* ---- what became of it ---- */

/* The record when the manager's word counts: this was its question or its order, and nothing about
 * the key is under way. */
static struct record *answerable(struct intents *self, const struct state_intent *row,
                                 uint64_t ticket)
{
    struct record *record = self->acting ? find_record(self, row->key) : NULL;
    if (record == NULL || record->token != 0 || ticket == 0 || record->ticket != ticket ||
        record->opened_index != row->opened_index || record->attempt != row->attempt) {
        return NULL;
    }
    return record;
}

/* Nothing happened, or it may happen twice. */
static enum intent_step clear(const struct intents *self, const struct state_intent *row,
                              struct record *record, const char *detail, struct command *ret)
{
    record->told = TOLD_CLEAR;
    record->ticket = 0;
    return row->term < self->term ? propose_take(row->key, detail, ret) : INTENT_STEP_WAIT;
}

static enum intent_step by_policy(const struct intents *self, const struct state_intent *row,
                                  struct record *record, const char *detail, struct command *ret)
{
    switch (row->policy) {
    case INTENT_SKIP:
        return propose_done(row->key, INTENT_SKIPPED, false, detail, ret);
    case INTENT_RETRY:
        return clear(self, row, record, detail, ret);
    case INTENT_PARK:
        break;
    }
    return propose_park(row->key, detail, ret);
}

enum intent_step intents_verified(struct intents *self, const struct state *state, const char *key,
                                  uint64_t ticket, enum intent_evidence evidence,
                                  const char *detail, struct command *ret)
{
    const struct state_intent *row = state_intent_by_key(state, key);
    if (row != NULL && row->state != INTENT_OPEN) {
        return INTENT_STEP_CLOSED;
    }
    struct record *record = row == NULL ? NULL : answerable(self, row, ticket);
    if (record == NULL || (record->told != TOLD_VERIFY && record->told != TOLD_PERFORM)) {
        return INTENT_STEP_WAIT;
    }
    switch (evidence) {
    case INTENT_IT_HAPPENED:
        return propose_done(key, INTENT_HAPPENED, true, detail, ret);
    case INTENT_IT_DID_NOT:
        return clear(self, row, record, detail, ret);
    case INTENT_CANNOT_TELL:
        return by_policy(self, row, record, detail, ret);
    case INTENT_ASK_LATER:
        break;
    }
    return INTENT_STEP_WAIT;
}

enum intent_step intents_performed(struct intents *self, const struct state *state, const char *key,
                                   uint64_t ticket, enum intent_verdict verdict, bool answer_lost,
                                   const char *outcome, struct command *ret)
{
    const struct state_intent *row = state_intent_by_key(state, key);
    if (row != NULL && row->state == INTENT_DONE) {
        return INTENT_STEP_CLOSED;
    }
    struct record *record = row == NULL ? NULL : answerable(self, row, ticket);
    if (record == NULL || record->told != TOLD_PERFORM) {
        return row != NULL && row->state == INTENT_PARKED ? INTENT_STEP_CLOSED : INTENT_STEP_WAIT;
    }
    if (answer_lost) {
        record->ticket = 0;
        return INTENT_STEP_WAIT;
    }
    return propose_done(key, verdict, false, outcome, ret);
}

/* ---- what was left open ---- */

void intents_look_again(struct intents *self)
{
    for (size_t i = 0; i < self->count; i++) {
        self->records[i].wanted = false;
    }
}

static bool is_left_open(const struct intents *self, const struct state_intent *row,
                         const char *manager)
{
    const struct record *record = find_record(self, row->key);
    return row->state == INTENT_OPEN && strcmp(row->manager, manager) == 0 &&
           (record == NULL || (!record->wanted && record->token == 0));
}

const struct state_intent *intents_left_open(const struct intents *self, const struct state *state,
                                             const char *manager, const struct state_intent *after)
{
    const struct state_intent *next = NULL;
    for (size_t i = 0; i < state_intent_count(state); i++) {
        const struct state_intent *row = state_intent_at(state, i);
        bool later = after == NULL || row->opened_index > after->opened_index;
        bool sooner = next == NULL || row->opened_index < next->opened_index;
        if (later && sooner && is_left_open(self, row, manager)) {
            next = row;
        }
    }
    return next;
}
