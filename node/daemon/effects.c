#include "node/daemon/effects.h"

#include "consensus/intents.h"
#include "node/base/clock.h"
#include "node/daemon/maintenance.h"
#include "node/daemon/node.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What a manager wants, or says of what it wanted. */
struct question {
    struct command_intent_open wish; /* key and manager; the rest of a wish only */
    uint64_t ticket;
};

/* A command about an intent that is under way. */
struct proposed {
    uint64_t token; /* 0: free */
    enum command_type type;
    struct question question;
    bool wanted; /* the manager waits: answer the question when the command is applied */
};

struct effects {
    struct intents *intents;
    uint64_t term; /* in which this node began to act last */
    int64_t remind_at_ms;
    struct proposed proposed[EFFECTS_PROPOSED_MAX];
};

static_assert((int)MANAGER_INTENT_SKIP == (int)INTENT_SKIP, "the wire's policies are the state's");
static_assert((int)MANAGER_INTENT_RETRY == (int)INTENT_RETRY, "as above");
static_assert((int)MANAGER_INTENT_PARK == (int)INTENT_PARK, "as above");
static_assert((int)MANAGER_INTENT_IT_HAPPENED == (int)INTENT_IT_HAPPENED, "and so is evidence");
static_assert((int)MANAGER_INTENT_IT_DID_NOT == (int)INTENT_IT_DID_NOT, "as above");
static_assert((int)MANAGER_INTENT_CANNOT_TELL == (int)INTENT_CANNOT_TELL, "as above");
static_assert((int)MANAGER_INTENT_ASK_LATER == (int)INTENT_ASK_LATER, "as above");
static_assert((int)MANAGER_INTENT_HAPPENED == (int)INTENT_HAPPENED, "and the verdicts");
static_assert((int)MANAGER_INTENT_REFUSED == (int)INTENT_REFUSED, "as above");
static_assert((int)MANAGER_INTENT_SKIPPED == (int)INTENT_SKIPPED, "as above");
static_assert((int)MANAGER_INTENT_DROPPED == (int)INTENT_DROPPED, "as above");
static_assert((int)MANAGER_INTENT_IS_OPEN == (int)INTENT_OPEN, "and the states");
static_assert((int)MANAGER_INTENT_IS_DONE == (int)INTENT_DONE, "as above");
static_assert((int)MANAGER_INTENT_IS_PARKED == (int)INTENT_PARKED, "as above");
static_assert(MANAGER_INTENT_KEY_SIZE == INTENT_KEY_SIZE, "a key of the wire is one of the state");
static_assert(MANAGER_INTENT_OBJECT_SIZE == INTENT_OBJECT_SIZE, "and so is an object");

/* ---- answers ---- */

static enum manager_intent_step wire_step(enum intent_step step)
{
    switch (step) {
    case INTENT_STEP_PERFORM:
        return MANAGER_INTENT_STEP_PERFORM;
    case INTENT_STEP_VERIFY:
        return MANAGER_INTENT_STEP_VERIFY;
    case INTENT_STEP_CLOSED:
        return MANAGER_INTENT_STEP_CLOSED;
    case INTENT_STEP_WAIT:
    case INTENT_STEP_PROPOSE:
        break;
    }
    return MANAGER_INTENT_STEP_WAIT;
}

/* One that cannot be sent is asked for again. */
static void tell_manager(struct node *self, const char *manager, const char *key,
                         enum manager_intent_step step, uint64_t ticket)
{
    const struct state_intent *row = state_intent_by_key(self->state, key);
    struct manager_intent answer = {.step = step,
                                    .term = self->view.term,
                                    .deadline_ms =
                                        consensus_thread_may_act_until_ms(self->consensus) -
                                        SUPERVISE_DEADLINE_MARGIN_MS,
                                    .state = MANAGER_INTENT_IS_UNKNOWN,
                                    .ticket = ticket};
    (void)snprintf(answer.key, sizeof answer.key, "%s", key);
    if (row != NULL) {
        answer.state = (enum manager_intent_state)row->state;
        answer.verdict = (enum manager_intent_verdict)row->verdict;
        answer.policy = (enum manager_intent_policy)row->policy;
        (void)snprintf(answer.outcome, sizeof answer.outcome, "%s", row->outcome);
        (void)snprintf(answer.object, sizeof answer.object, "%s", row->object);
    }
    (void)supervise_intent(self->supervise, manager, &answer, NULL);
}

/* ---- proposals ---- */

static struct proposed *find_token(struct effects *self, uint64_t token)
{
    for (size_t i = 0; i < EFFECTS_PROPOSED_MAX; i++) {
        if (self->proposed[i].token == token) {
            return &self->proposed[i];
        }
    }
    return NULL;
}

static struct proposed *find_key(struct effects *self, const char *key)
{
    for (size_t i = 0; i < EFFECTS_PROPOSED_MAX; i++) {
        struct proposed *proposed = &self->proposed[i];
        if (proposed->token != 0 && strcmp(proposed->question.wish.key, key) == 0) {
            return proposed;
        }
    }
    return NULL;
}

/* What the audit ring says to those who look there later, said to those who look now. */
static void tell_event(struct node *self, const struct proposed *proposed)
{
    const struct state_intent *row = state_intent_by_key(self->state, proposed->question.wish.key);
    if (row == NULL) {
        return;
    }
    json_t *fields =
        json_pack("{s:s, s:s, s:s, s:s, s:s, s:I}", "key", row->key, "manager", row->manager,
                  "object", row->object, "state", intent_state_name(row->state), "policy",
                  intent_policy_name(row->policy), "attempt", (json_int_t)row->attempt);
    switch (proposed->type) {
    case COMMAND_INTENT_DONE:
        (void)json_object_set_new(fields, "verdict",
                                  json_string(intent_verdict_name(row->verdict)));
        (void)json_object_set_new(fields, "verified", json_boolean(row->verified));
        events_add(self->events, LOG_LEVEL_INFO, self->view.term, "intent.done", fields,
                   "%s: %s (%s)", row->key, intent_verdict_name(row->verdict), row->outcome);
        return;
    case COMMAND_INTENT_PARK:
        events_add(self->events, LOG_LEVEL_WARN, self->view.term, "intent.parked", fields,
                   "%s waits for a person: %s", row->key, row->outcome);
        return;
    default:
        events_add(self->events, LOG_LEVEL_INFO, self->view.term, "intent.open", fields,
                   "%s on %s, attempt %u", row->key, row->object, (unsigned)row->attempt);
    }
}

static void want(struct node *self, const struct question *question);

static void on_proposed(void *context, uint64_t token, int status,
                        const struct state_effect *effect)
{
    struct node *self = context;
    struct proposed *slot = find_token(self->effects, token);
    if (slot == NULL) {
        return;
    }
    struct proposed proposed = *slot;
    *slot = (struct proposed){0};
    intents_note_outcome(self->effects->intents, token);
    if (status != 0 || effect->status != 0) {
        if (effect != NULL && effect->status != 0) {
            log_write(self->log, LOG_LEVEL_WARN, "intent.refused",
                      log_text("key", proposed.question.wish.key), log_text("why", effect->reason));
        }
        return; /* the manager says again what it wants: no haste */
    }
    if (effect->outcome == STATE_APPLIED) {
        tell_event(self, &proposed);
    }
    if (proposed.wanted || proposed.type == COMMAND_INTENT_DONE ||
        proposed.type == COMMAND_INTENT_PARK) {
        want(self, &proposed.question);
    }
}

static void propose(struct node *self, const struct question *question, struct command *command)
{
    struct proposed *slot = find_token(self->effects, 0);
    uint64_t token = 0;
    (void)snprintf(command->who, sizeof command->who, "%s", node_name(self));
    if (slot == NULL ||
        proposals_submit(self->proposals, command, on_proposed, self, &token, NULL) != 0) {
        return; /* the manager says it again */
    }
    *slot = (struct proposed){.token = token,
                              .type = command->type,
                              .question = *question,
                              .wanted = command->type == COMMAND_INTENT_OPEN};
    intents_note_proposed(self->effects->intents, question->wish.key, token);
}

static void carry_out(struct node *self, const struct question *question, enum intent_step step,
                      struct command *command)
{
    if (step == INTENT_STEP_PROPOSE) {
        propose(self, question, command);
    }
    tell_manager(self, question->wish.manager, question->wish.key, wire_step(step),
                 question->ticket);
}

/* ---- what managers say ---- */

/* May anything be decided at this instant, in the view's term? */
static bool may_decide(struct node *self)
{
    if (!node_may_act(self) || self->managers_stopped) {
        return false;
    }
    if (self->effects->term != self->view.term) {
        effects_begin(self); /* one term followed the other within a turn of the loop */
    }
    return true;
}

static void want(struct node *self, const struct question *question)
{
    if (!may_decide(self)) {
        return;
    }
    struct command command;
    /* It waits for what is under way, and need not ask again to be told. */
    struct proposed *under_way = find_key(self->effects, question->wish.key);
    if (under_way != NULL) {
        under_way->question = *question;
        under_way->wanted = true;
    }
    /* At the effect, not when the manager was told last: pauses reach it a moment later. */
    if (maintenance_gate(self, question->wish.manager) != GATE_OPEN) {
        tell_manager(self, question->wish.manager, question->wish.key, MANAGER_INTENT_STEP_WAIT,
                     question->ticket);
        return;
    }
    enum intent_step step = intents_want(self->effects->intents, self->state, &question->wish,
                                         question->ticket, &command);
    carry_out(self, question, step, &command);
}

static struct question question_of(const char *manager, const char *key, uint64_t ticket)
{
    struct question ret = {.ticket = ticket};
    (void)snprintf(ret.wish.manager, sizeof ret.wish.manager, "%s", manager);
    (void)snprintf(ret.wish.key, sizeof ret.wish.key, "%s", key);
    return ret;
}

static void take_wanted(struct node *self, const char *manager,
                        const struct manager_intent_wanted *wanted)
{
    struct question question = question_of(manager, wanted->key, wanted->ticket);
    (void)snprintf(question.wish.object, sizeof question.wish.object, "%s", wanted->object);
    question.wish.policy = (enum intent_policy)wanted->policy;
    question.wish.keep_until_wall_ms = clock_wall_ms() + wanted->keep_ms;
    want(self, &question);
}

static void take_verified(struct node *self, const char *manager,
                          const struct manager_intent_verified *verified)
{
    struct command command;
    struct question question = question_of(manager, verified->key, verified->ticket);
    enum intent_step step =
        intents_verified(self->effects->intents, self->state, verified->key, verified->ticket,
                         (enum intent_evidence)verified->evidence, verified->detail, &command);
    carry_out(self, &question, step, &command);
}

static void take_performed(struct node *self, const char *manager,
                           const struct manager_intent_performed *performed)
{
    struct command command;
    struct question question = question_of(manager, performed->key, performed->ticket);
    enum intent_step step =
        intents_performed(self->effects->intents, self->state, performed->key, performed->ticket,
                          (enum intent_verdict)performed->verdict, performed->answer_lost,
                          performed->outcome, &command);
    carry_out(self, &question, step, &command);
}

static uint64_t term_of(const struct manager_message *message)
{
    switch (message->kind) {
    case MANAGER_INTENT_WANTED:
        return message->as.intent_wanted.term;
    case MANAGER_INTENT_VERIFIED:
        return message->as.intent_verified.term;
    case MANAGER_INTENT_PERFORMED:
        return message->as.intent_performed.term;
    default:
        return 0;
    }
}

void effects_take(struct node *self, const char *manager, const struct manager_message *message)
{
    if (!may_decide(self) || term_of(message) != self->view.term) {
        return;
    }
    if (message->kind == MANAGER_INTENT_WANTED) {
        take_wanted(self, manager, &message->as.intent_wanted);
    } else if (message->kind == MANAGER_INTENT_VERIFIED) {
        take_verified(self, manager, &message->as.intent_verified);
    } else {
        take_performed(self, manager, &message->as.intent_performed);
    }
}

/* ---- what was left open ---- */

void effects_manager_ready(struct node *self, const char *manager)
{
    intents_manager_restarted(self->effects->intents, manager);
    self->effects->remind_at_ms = 0;
}

static void remind(struct node *self, const char *manager)
{
    const struct state_intent *row = NULL;
    for (size_t i = 0; i < EFFECTS_REMINDED_MAX; i++) {
        row = intents_left_open(self->effects->intents, self->state, manager, row);
        if (row == NULL) {
            return;
        }
        tell_manager(self, manager, row->key, MANAGER_INTENT_STEP_LEFT_OPEN, 0);
    }
}

void effects_run(struct node *self, int64_t now_ms)
{
    if (now_ms < self->effects->remind_at_ms || !may_decide(self)) {
        return;
    }
    self->effects->remind_at_ms = now_ms + EFFECTS_REMIND_MS;
    struct supervise_row rows[MANAGERS_MAX];
    size_t count = supervise_list(self->supervise, now_ms, rows, MANAGERS_MAX);
    for (size_t i = 0; i < count; i++) {
        if (rows[i].active && !rows[i].paused && !rows[i].shadow) {
            remind(self, rows[i].name);
        }
    }
    intents_look_again(self->effects->intents);
}

/* ---- life ---- */

void effects_begin(struct node *self)
{
    intents_begin(self->effects->intents, self->view.term);
    self->effects->term = self->view.term;
    self->effects->remind_at_ms = 0;
}

void effects_end(struct node *self)
{
    intents_end(self->effects->intents);
}

int effects_create(struct node *self, struct err *err)
{
    self->effects = calloc(1, sizeof *self->effects);
    if (self->effects == NULL) {
        return err_set(err, ERR_NOMEM, "cannot make the table of intents");
    }
    self->effects->intents = intents_create(NULL);
    return self->effects->intents == NULL ? err_set(err, ERR_NOMEM, "no memory for intents") : 0;
}

void effects_destroy(struct effects **self_p)
{
    if (self_p == NULL || *self_p == NULL) {
        return;
    }
    intents_destroy(&(*self_p)->intents);
    free(*self_p);
    *self_p = NULL;
}
