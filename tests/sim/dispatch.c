#include "tests/sim/dispatch.h"

#include "node/base/invariant.h"
#include "tests/sim/machine.h"
#include "tests/sim/node.h"
#include "tests/sim/peers.h"
#include "tests/sim/world.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define LOOK_EVERY_MS 30
#define REMIND_EVERY_MS 1000
#define PATIENCE_US 400000
#define KEEP_MS 86400000
#define LEFT_OPEN_AT_ONCE 4
#define ERRAND_BITS 8

void dispatch_start(struct node *node)
{
    if (node->world->options.intents != 0) {
        node->peers->dispatcher.intents = intents_create(&node->world->options.intents_off);
        invariant(node->peers->dispatcher.intents != NULL);
    }
}

void dispatch_end(struct node *node)
{
    intents_destroy(&node->peers->dispatcher.intents);
}

/* ---- requests ---- */

static void send_request(struct node *node, int errand, enum task_phase phase)
{
    struct world *world = node->world;
    struct dispatch *self = node->dispatch;
    struct task *task = &self->tasks[errand];
    struct outside_request request = outside_send(world);
    task->phase = phase;
    task->serial = ++self->serials;
    task->give_up_us = world->now_us + PATIENCE_US;
    int64_t argument = (int64_t)(task->serial << ERRAND_BITS) | errand;
    if (request.arrives_us >= 0) {
        world_schedule(world, world->now_us + request.arrives_us, EVENT_REQUEST, node->index,
                       argument);
    }
    if (request.answers_us >= 0) {
        world_schedule(world, world->now_us + request.answers_us, EVENT_ANSWER, node->index,
                       argument);
    }
}

/* The task that still waits for this request, or NULL. */
static struct task *waiting_task(struct node *node, int64_t argument, int *ret_errand)
{
    *ret_errand = (int)(argument & ((1 << ERRAND_BITS) - 1));
    struct task *task = &node->dispatch->tasks[*ret_errand];
    bool waits = task->phase == TASK_PERFORMING || task->phase == TASK_VERIFYING;
    return waits && task->serial == (uint64_t)argument >> ERRAND_BITS ? task : NULL;
}

void dispatch_request_arrives(struct node *node, int64_t argument)
{
    int errand;
    struct task *task = waiting_task(node, argument, &errand);
    if (task != NULL && !node_acts(node)) {
        task->serial = 0; /* its connection has ended: no answer comes */
        return;
    }
    if (task == NULL) {
        return;
    }
    if (task->phase == TASK_VERIFYING) {
        task->evidence = outside_verify(node->world, errand);
        return;
    }
    task->verdict = outside_perform(node, errand) ? INTENT_HAPPENED : INTENT_REFUSED;
}

void dispatch_answer_arrives(struct node *node, int64_t argument)
{
    int errand;
    struct task *task = waiting_task(node, argument, &errand);
    if (task == NULL || !node_acts(node) || node->host_frozen) {
        return;
    }
    bool verifies = task->phase == TASK_VERIFYING;
    task->phase = verifies ? TASK_TELLS_EVIDENCE : TASK_TELLS_OUTCOME;
    task->serial = 0;
}

/* ---- the manager ---- */

static void begin_again(struct node *node)
{
    struct dispatch *self = node->dispatch;
    memset(self->tasks, 0, sizeof self->tasks);
    self->active = true;
}

/* Whatever it was told under its ticket, it has begun: the next wish has another one. */
static void new_ticket(struct dispatch *self, struct task *task)
{
    task->phase = TASK_IDLE;
    task->serial = 0;
    task->ticket = ++self->tickets;
}

static bool is_lost(struct world *world)
{
    return world->faults && world_percent(world, 4);
}

static void propose(struct node *node, const char *key, struct command *command)
{
    uint64_t token = node->token + 1;
    uint64_t life = node->life;
    TRACE(node->world, "n%d: %s of %s (%s)", node->index, command_type_name(command->type), key,
          command->why);
    intents_note_proposed(node->peers->dispatcher.intents, key, token);
    bool taken = duties_propose(node, command, duties_subject(key));
    if (!taken && node->life == life) {
        intents_note_outcome(node->peers->dispatcher.intents, token);
    }
}

static void want(struct node *node, int which)
{
    struct world *world = node->world;
    struct dispatch *self = node->dispatch;
    struct task *task = &self->tasks[which];
    const struct errand *errand = &world->outside->errands[which];
    struct command_intent_open wish = {.policy = errand->policy,
                                       .keep_until_wall_ms = node_wall_ms(node) + KEEP_MS};
    (void)snprintf(wish.key, sizeof wish.key, "%s", errand->key);
    (void)snprintf(wish.manager, sizeof wish.manager, OUTSIDE_MANAGER);
    (void)snprintf(wish.object, sizeof wish.object, "%s", errand->object);
    if (task->ticket == 0) {
        new_ticket(self, task);
    }
    struct command command;
    enum intent_step step =
        intents_want(node->peers->dispatcher.intents, machine_state(node->machine), &wish,
                     task->ticket, &command);
    if (step == INTENT_STEP_PROPOSE) {
        propose(node, errand->key, &command);
    } else if (step != INTENT_STEP_WAIT && is_lost(world)) {
        return;
    } else if (step == INTENT_STEP_PERFORM && is_lost(world)) {
        task->phase = TASK_TELLS_EVIDENCE; /* it has not begun after all */
        task->evidence = INTENT_IT_DID_NOT;
    } else if (step == INTENT_STEP_PERFORM) {
        task->answer_lost = false;
        send_request(node, which, TASK_PERFORMING);
    } else if (step == INTENT_STEP_VERIFY) {
        task->evidence = INTENT_ASK_LATER;
        send_request(node, which, TASK_VERIFYING);
    } else if (step == INTENT_STEP_CLOSED) {
        task->closed = true;
    }
}

static void tell_outcome(struct node *node, int which)
{
    struct task *task = &node->dispatch->tasks[which];
    const struct errand *errand = &node->world->outside->errands[which];
    struct command command;
    enum intent_step step = intents_performed(
        node->peers->dispatcher.intents, machine_state(node->machine), errand->key, task->ticket,
        task->verdict, task->answer_lost, "the other side answered", &command);
    if (step == INTENT_STEP_PROPOSE) {
        propose(node, errand->key, &command);
    } else if (step == INTENT_STEP_CLOSED) {
        task->closed = true;
    } else if (step == INTENT_STEP_WAIT && task->answer_lost) {
        new_ticket(node->dispatch, task);
    }
}

static void tell_evidence(struct node *node, int which)
{
    struct task *task = &node->dispatch->tasks[which];
    const struct errand *errand = &node->world->outside->errands[which];
    uint64_t ticket = task->ticket;
    new_ticket(node->dispatch, task);
    if (is_lost(node->world)) {
        return;
    }
    struct command command;
    enum intent_step step =
        intents_verified(node->peers->dispatcher.intents, machine_state(node->machine), errand->key,
                         ticket, task->evidence, "the other side says so", &command);
    if (step == INTENT_STEP_PROPOSE) {
        propose(node, errand->key, &command);
    } else if (step == INTENT_STEP_CLOSED) {
        task->closed = true;
    }
}

static void wait_for_answer(struct node *node, struct task *task)
{
    if (node->world->now_us < task->give_up_us) {
        return;
    }
    bool verifies = task->phase == TASK_VERIFYING;
    task->answer_lost = true;
    task->evidence = INTENT_ASK_LATER;
    task->phase = verifies ? TASK_TELLS_EVIDENCE : TASK_TELLS_OUTCOME;
    task->serial = 0;
}

static void go_on(struct node *node, int which)
{
    struct task *task = &node->dispatch->tasks[which];
    switch (task->phase) {
    case TASK_IDLE:
        if (!is_lost(node->world)) {
            want(node, which);
        }
        break;
    case TASK_PERFORMING:
    case TASK_VERIFYING:
        wait_for_answer(node, task);
        break;
    case TASK_TELLS_OUTCOME:
        if (!is_lost(node->world)) {
            tell_outcome(node, which);
        }
        break;
    case TASK_TELLS_EVIDENCE:
        tell_evidence(node, which);
        break;
    }
}

/* ---- the leader ---- */

static int find_errand(const struct world *world, const char *key)
{
    for (int i = 0; i < world->outside->count; i++) {
        if (strcmp(world->outside->errands[i].key, key) == 0) {
            return i;
        }
    }
    return SIM_NONE;
}

/* What nobody says anything about shall be wanted by the present manager. */
static void tell_left_open(struct node *node)
{
    struct intents *intents = node->peers->dispatcher.intents;
    const struct state_intent *row = NULL;
    for (size_t i = 0; i < LEFT_OPEN_AT_ONCE; i++) {
        row = intents_left_open(intents, machine_state(node->machine), OUTSIDE_MANAGER, row);
        int errand = row == NULL ? SIM_NONE : find_errand(node->world, row->key);
        if (errand == SIM_NONE) {
            break;
        }
        node->dispatch->tasks[errand].left = true;
        node->dispatch->tasks[errand].closed = false;
    }
    intents_look_again(intents);
}

static void follow_role(struct node *node)
{
    struct dispatcher *self = &node->peers->dispatcher;
    bool acting = node->view.acting;
    if (self->acts && (!acting || self->term != node->view.term)) {
        intents_end(self->intents);
        node->dispatch->active = false;
        self->acts = false;
    }
    if (acting && !self->acts) {
        intents_begin(self->intents, node->view.term);
        self->term = node->view.term;
        self->remind_at_ms = 0;
        begin_again(node);
        self->acts = true;
    }
}

void dispatch_run(struct node *node)
{
    struct dispatcher *self = &node->peers->dispatcher;
    if (self->intents == NULL) {
        return;
    }
    follow_role(node);
    int64_t now = node_now_ms(node);
    if (!self->acts || !node_may_act(node) || now < self->look_at_ms) {
        return;
    }
    self->look_at_ms = now + LOOK_EVERY_MS;
    if (now >= self->remind_at_ms) {
        self->remind_at_ms = now + REMIND_EVERY_MS;
        tell_left_open(node);
    }
    uint64_t life = node->life;
    uint64_t term = node->view.term;
    for (int i = 0; i < node->world->outside->count && node->life == life; i++) {
        const struct errand *errand = &node->world->outside->errands[i];
        const struct task *task = &node->dispatch->tasks[i];
        bool wanted = errand->only_term == 0 || errand->only_term == term || task->left;
        if (wanted && !task->closed && node_may_act(node)) {
            go_on(node, i);
        }
    }
}

void dispatch_crash(struct world *world)
{
    for (int i = 0; i < world->node_count; i++) {
        struct node *node = &world->nodes[i];
        if (node_runs(node) && node->dispatch->active && node->peers->dispatcher.acts) {
            TRACE(world, "the manager of n%d crashes", i);
            begin_again(node);
            intents_manager_restarted(node->peers->dispatcher.intents, OUTSIDE_MANAGER);
            node->peers->dispatcher.remind_at_ms = 0;
        }
    }
}
