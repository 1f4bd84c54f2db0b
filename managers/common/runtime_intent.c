/* Effects outside the cluster, the manager's side: wishes that are repeated until they are closed,
 * and the steps that the node answers. A step is heeded only when it carries the ticket that its
 * wish has now; whatever it begins takes a new one. So a step that comes twice or late begins
 * nothing, and a wish that still has its ticket tells the node that nothing was begun under it. */
#include "managers/common/runtime_private.h"

#include "node/base/clock.h"

#include <stdio.h>
#include <string.h>

static struct runtime_wish *find_wish(struct runtime *self, const char *key)
{
    for (size_t i = 0; i < self->wish_count; i++) {
        if (strcmp(self->wishes[i].is.key, key) == 0) {
            return &self->wishes[i];
        }
    }
    return NULL;
}

/* ---- what is said to the node ---- */

static void say_wanted(struct runtime *self, const struct runtime_wish *wish)
{
    struct manager_message message = {.kind = MANAGER_INTENT_WANTED};
    struct manager_intent_wanted *wanted = &message.as.intent_wanted;
    memcpy(wanted->key, wish->is.key, sizeof wanted->key);
    memcpy(wanted->object, wish->is.object, sizeof wanted->object);
    wanted->policy = wish->is.policy;
    wanted->keep_ms = wish->is.keep_ms;
    wanted->term = self->term;
    wanted->ticket = wish->ticket;
    runtime_send(self, &message, false);
}

static void say_performed(struct runtime *self, const struct runtime_wish *wish, bool answer_lost)
{
    struct manager_message message = {.kind = MANAGER_INTENT_PERFORMED};
    struct manager_intent_performed *performed = &message.as.intent_performed;
    memcpy(performed->key, wish->is.key, sizeof performed->key);
    memcpy(performed->outcome, wish->outcome, sizeof performed->outcome);
    performed->verdict = wish->verdict;
    performed->answer_lost = answer_lost;
    performed->term = self->term;
    performed->ticket = wish->begun;
    runtime_send(self, &message, false);
}

static void on_repeat(void *context)
{
    struct runtime *self = context;
    int64_t now_ms = clock_boot_ms();
    for (size_t i = 0; i < self->wish_count; i++) {
        const struct runtime_wish *wish = &self->wishes[i];
        if (wish->phase == RUNTIME_WISH_TELLING) {
            say_performed(self, wish, false);
        } else if (wish->phase == RUNTIME_WISH_WANTED && now_ms >= wish->again_ms &&
                   runtime_may_act(self)) {
            say_wanted(self, wish);
        }
    }
}

/* ---- the table ---- */

static void follow_table(struct runtime *self)
{
    if (self->wish_count > 0 && self->wish_timer == 0) {
        int id = runtime_timer(self, RUNTIME_INTENT_REPEAT_MS, true, on_repeat, self);
        self->wish_timer = id < 0 ? 0 : id; /* without memory for it the next wish tries again */
    } else if (self->wish_count == 0 && self->wish_timer != 0) {
        runtime_timer_cancel(self, self->wish_timer);
        self->wish_timer = 0;
    }
}

static void add_wish(struct runtime *self, const struct runtime_intent *intent)
{
    struct runtime_wish *wish = &self->wishes[self->wish_count++];
    *wish = (struct runtime_wish){.is = *intent, .ticket = ++self->last_ticket};
    follow_table(self);
    say_wanted(self, wish);
}

static void remove_wish(struct runtime *self, struct runtime_wish *wish)
{
    *wish = self->wishes[--self->wish_count];
    follow_table(self);
}

/* The numbers go on: a ticket of an earlier role means nothing in a later one. */
void runtime_intents_forget(struct runtime *self)
{
    self->wish_count = 0;
    follow_table(self);
}

void runtime_take_intents(struct runtime *self, const struct runtime_intent_callbacks *callbacks)
{
    self->intent_callbacks = callbacks;
}

static bool is_own_key(const struct runtime *self, const char *key)
{
    size_t length = strlen(self->name);
    return strncmp(key, self->name, length) == 0 && key[length] == '/' && key[length + 1] != '\0';
}

int runtime_intent(struct runtime *self, const struct runtime_intent *intent, struct err *err)
{
    if (self->intent_callbacks == NULL || !is_own_key(self, intent->key) ||
        intent->object[0] == '\0' || intent->keep_ms < 0 ||
        intent->keep_ms > MANAGER_INTENT_KEEP_MS_MAX) {
        return err_set(err, ERR_INVALID, "\"%.60s\" on \"%.60s\" is no intent of %s", intent->key,
                       intent->object, self->name);
    }
    if (!runtime_may_act(self) || self->shadow) {
        return err_set(err, ERR_DENIED, "%s must not act now", self->name);
    }
    if (find_wish(self, intent->key) != NULL) {
        return 0;
    }
    if (self->wish_count == RUNTIME_INTENTS_MAX) {
        return err_set(err, ERR_FULL, "%d intents are under way", RUNTIME_INTENTS_MAX);
    }
    add_wish(self, intent);
    return 0;
}

/* ---- the node's steps ---- */

static void adopt(struct runtime *self, const struct manager_intent *intent)
{
    if (find_wish(self, intent->key) != NULL) {
        return;
    }
    struct runtime_intent left = {.policy = intent->policy};
    struct err err;
    memcpy(left.key, intent->key, sizeof left.key);
    memcpy(left.object, intent->object, sizeof left.object);
    if (runtime_intent(self, &left, &err) != 0) {
        runtime_log(MANAGER_DEBUG, "intent %s was left open: %s", left.key, err.msg);
    }
}

static void begin(struct runtime *self, struct runtime_wish *wish, enum runtime_wish_phase phase)
{
    wish->phase = phase;
    wish->begun = wish->ticket;
    wish->ticket = ++self->last_ticket;
}

static void begin_step(struct runtime *self, struct runtime_wish *wish,
                       const struct manager_intent *intent)
{
    /* The callback may change the table. */
    struct runtime_intent is = wish->is;
    if (intent->step == MANAGER_INTENT_STEP_VERIFY) {
        begin(self, wish, RUNTIME_WISH_VERIFYING);
        self->intent_callbacks->verify(self->context, &is, wish->begun);
        return;
    }
    if (intent->step == MANAGER_INTENT_STEP_PERFORM && runtime_may_act(self) && !self->shadow &&
        clock_boot_ms() < intent->deadline_ms) {
        begin(self, wish, RUNTIME_WISH_PERFORMING);
        self->intent_callbacks->perform(self->context, &is, wish->begun);
    }
}

void runtime_intents_take(struct runtime *self, const struct manager_intent *intent)
{
    if (!self->active || intent->term != self->term) {
        return;
    }
    if (intent->step == MANAGER_INTENT_STEP_LEFT_OPEN) {
        adopt(self, intent);
        return;
    }
    struct runtime_wish *wish = find_wish(self, intent->key);
    if (wish == NULL) {
        return;
    }
    if (intent->step == MANAGER_INTENT_STEP_CLOSED) {
        if (wish->phase != RUNTIME_WISH_PERFORMING) {
            remove_wish(self, wish);
            self->intent_callbacks->closed(self->context, intent);
        }
        return; /* else it is told again when the outcome is */
    }
    if (wish->phase == RUNTIME_WISH_WANTED && wish->ticket == intent->ticket) {
        begin_step(self, wish, intent);
    }
}

/* ---- the manager's answers ---- */

/* Position of the wish that was called back last under this number, or wish_count. */
static size_t find_begun(const struct runtime *self, uint64_t number)
{
    size_t position = 0;
    while (position < self->wish_count && (number == 0 || self->wishes[position].begun != number)) {
        position++;
    }
    return position;
}

/* The wish that is at it still; NULL: that is over. */
static struct runtime_wish *find_at_work(struct runtime *self, uint64_t number, bool verifying)
{
    size_t position = find_begun(self, number);
    if (position == self->wish_count) {
        return NULL;
    }
    struct runtime_wish *wish = &self->wishes[position];
    bool right = wish->phase == RUNTIME_WISH_PERFORMING ||
                 (verifying && wish->phase == RUNTIME_WISH_VERIFYING);
    return right ? wish : NULL;
}

void runtime_intent_verified(struct runtime *self, uint64_t number,
                             enum manager_intent_evidence evidence, const char *detail)
{
    struct runtime_wish *wish = find_at_work(self, number, true);
    if (wish == NULL) {
        return;
    }
    struct manager_message message = {.kind = MANAGER_INTENT_VERIFIED};
    struct manager_intent_verified *verified = &message.as.intent_verified;
    memcpy(verified->key, wish->is.key, sizeof verified->key);
    (void)snprintf(verified->detail, sizeof verified->detail, "%s", detail);
    verified->evidence = evidence;
    verified->term = self->term;
    verified->ticket = wish->begun;
    runtime_send(self, &message, false);
    wish->phase = RUNTIME_WISH_WANTED;
    wish->again_ms = 0;
    if (evidence == MANAGER_INTENT_ASK_LATER) {
        wish->again_ms = clock_boot_ms() + RUNTIME_INTENT_LATER_MS;
    } else {
        say_wanted(self, wish);
    }
}

void runtime_intent_performed(struct runtime *self, uint64_t number,
                              enum manager_intent_verdict verdict, const char *outcome)
{
    struct runtime_wish *wish = find_at_work(self, number, false);
    if (wish == NULL) {
        return;
    }
    wish->phase = RUNTIME_WISH_TELLING;
    wish->verdict = verdict;
    (void)snprintf(wish->outcome, sizeof wish->outcome, "%s", outcome);
    say_performed(self, wish, false);
}

void runtime_intent_lost(struct runtime *self, uint64_t number)
{
    struct runtime_wish *wish = find_at_work(self, number, false);
    if (wish == NULL) {
        return;
    }
    say_performed(self, wish, true);
    wish->phase = RUNTIME_WISH_WANTED;
    wish->again_ms = 0;
    say_wanted(self, wish);
}

bool runtime_intent_may(const struct runtime *self, uint64_t number)
{
    size_t position = find_begun(self, number);
    return position < self->wish_count && self->wishes[position].phase == RUNTIME_WISH_PERFORMING &&
           runtime_may_act(self) && !self->shadow;
}
