#include "tests/sim/calls.h"

#include "node/base/invariant.h"
#include "tests/sim/fiber.h"
#include "tests/sim/node.h"
#include "tests/sim/peers.h"
#include "tests/sim/shell.h"
#include "tests/sim/world.h"

#include <stdlib.h>
#include <string.h>

#define POSTPONED_MAX 16

/* The call that waits for the disk. What it borrows is copied: its maker is long gone. */
struct waiting {
    struct call call;
    struct consensus_config config;
    struct consensus_server founders[SIM_NODES_MAX];
    struct message *message;
    uint8_t *bytes;
    struct fiber *fiber;
    uint64_t ticket; /* of the wait */
    bool disk_done;  /* while the process was frozen */
    bool died;
};

struct calls {
    struct waiting *waiting;
    struct message *queue;
    struct message **queue_end;
    struct call postponed[POSTPONED_MAX];
    size_t postponed_count;
};

/* As the consensus thread does: a call that the disk held up is no silence of the leader. */
static void note_stall(struct node *node)
{
    int64_t stall_ms = disk_take_worst_ms(node);
    if (stall_ms >= node->world->options.heartbeat && node->engine != NULL) {
        consensus_note_stall(node->engine, node_now_ms(node), stall_ms);
    }
}

static void enter(struct node *node, struct call *call)
{
    int64_t now = node_now_ms(node);
    struct consensus *engine = node->engine;
    switch (call->what) {
    case CALL_CREATE:
        call->code = consensus_create(call->config, now, &node->engine, &call->err);
        break;
    case CALL_TICK:
        consensus_tick(engine, now);
        break;
    case CALL_RECEIVE:
        consensus_receive(engine, now, call->message->from, call->message->bytes,
                          call->message->length);
        break;
    case CALL_PROPOSE:
        call->code =
            consensus_propose(engine, now, call->bytes, call->length, call->token, &call->err);
        break;
    case CALL_CHANGE:
        call->code = consensus_change(engine, now, call->change, call->id, call->role, call->token,
                                      &call->err);
        break;
    case CALL_HAND_OVER:
        call->code = consensus_hand_over(engine, now, call->id, call->cause, &call->err);
        break;
    case CALL_STAND:
        call->code =
            consensus_stand(engine, now, call->id, call->term, call->proof, now, &call->err);
        break;
    case CALL_PROOF:
        consensus_proof(engine, now, call->id, call->term);
        break;
    case CALL_MANAGERS_ENDED:
        consensus_managers_ended(engine, now);
        break;
    case CALL_ELECTION_TIMEOUT:
        consensus_set_election_timeout(engine, now, call->ms);
        break;
    case CALL_COMPLETIONS:
        consensus_delayed_completions(engine, now);
        break;
    }
    note_stall(node);
}

bool calls_busy(const struct node *node)
{
    return node->calls != NULL && node->calls->waiting != NULL;
}

bool calls_starting(const struct node *node)
{
    return calls_busy(node) && node->calls->waiting->call.what == CALL_CREATE;
}

/* ---- calls that wait ---- */

static struct calls *get_calls(struct node *node)
{
    if (node->calls == NULL) {
        node->calls = calloc(1, sizeof *node->calls);
        invariant(node->calls != NULL);
        node->calls->queue_end = &node->calls->queue;
    }
    return node->calls;
}

static void copy_what_is_lent(struct waiting *self)
{
    struct call *call = &self->call;
    if (call->message != NULL) {
        size_t size = sizeof *call->message + call->message->length;
        self->message = malloc(size);
        invariant(self->message != NULL);
        memcpy(self->message, call->message, size);
        call->message = self->message;
    }
    if (call->bytes != NULL) {
        self->bytes = malloc(call->length);
        invariant(self->bytes != NULL);
        memcpy(self->bytes, call->bytes, call->length);
        call->bytes = self->bytes;
    }
    if (call->config != NULL) {
        self->config = *call->config;
        for (size_t i = 0; i < self->config.founder_count; i++) {
            self->founders[i] = self->config.founders[i];
        }
        self->config.founders = self->founders;
        call->config = &self->config;
    }
}

static void drop_waiting(struct calls *calls)
{
    struct waiting *waiting = calls->waiting;
    calls->waiting = NULL;
    fiber_destroy(&waiting->fiber);
    free(waiting->message);
    free(waiting->bytes);
    free(waiting);
}

static void run_call(void *argument)
{
    struct node *node = argument;
    enter(node, &node->calls->waiting->call);
}

/* The node dies in a call: the engine's memory is lost. */
static bool die_in_call(struct node *node)
{
    node->engine = NULL;
    node->world->verdict->stats.crash_points++;
    node_crash(node, false);
    return false;
}

/* The call is done. `late`: its maker did not see the outcome. */
static bool finish(struct node *node, const struct call *call, bool late)
{
    if (call->what == CALL_CREATE) {
        return node_created(node, call->code, call->err.msg);
    }
    if (late && call->what == CALL_PROPOSE && call->code != 0) {
        peers_outcome(node, call->token, true);
    }
    return shell_after(node);
}

/* Let the waiting call go on. `maker` learns the outcome; NULL: he has gone on long ago. */
static bool go_on(struct node *node, struct call *maker)
{
    struct waiting *waiting = node->calls->waiting;
    waiting->disk_done = false;
    bool ended = fiber_run(waiting->fiber);
    if (!ended && !waiting->died) {
        return maker == NULL || shell_after(node);
    }
    struct call call = waiting->call;
    bool died = waiting->died;
    drop_waiting(node->calls);
    if (maker != NULL) {
        maker->code = call.code;
    }
    return died ? die_in_call(node) : finish(node, &call, maker == NULL);
}

static bool begin_waiting(struct node *node, struct call *call)
{
    struct calls *self = get_calls(node);
    struct waiting *waiting = calloc(1, sizeof *waiting);
    invariant(waiting != NULL);
    waiting->call = *call;
    copy_what_is_lent(waiting);
    waiting->fiber = fiber_create(run_call, node);
    self->waiting = waiting;
    call->code = 0; /* while the outcome is not known, the call was taken */
    return go_on(node, call);
}

static void refuse_or_postpone(struct node *node, struct call *call)
{
    struct calls *self = node->calls;
    switch (call->what) {
    case CALL_STAND:
    case CALL_PROOF:
    case CALL_MANAGERS_ENDED:
    case CALL_ELECTION_TIMEOUT:
        if (self->postponed_count < POSTPONED_MAX) {
            self->postponed[self->postponed_count++] = *call;
        }
        break;
    default:
        call->code = ERR_FULL;
        break;
    }
}

bool calls_perform(struct node *node, struct call *call)
{
    if (calls_busy(node)) {
        refuse_or_postpone(node, call);
        return false;
    }
    if (disk_takes_time(node)) {
        return begin_waiting(node, call);
    }
    if (setjmp(node->crash_point) != 0) {
        return die_in_call(node);
    }
    enter(node, call);
    return finish(node, call, false);
}

/* ---- what came meanwhile ---- */

void calls_queue(struct node *node, struct message *message)
{
    struct calls *self = node->calls;
    message->next = NULL;
    *self->queue_end = message;
    self->queue_end = &message->next;
}

static struct message *take_queued(struct calls *self)
{
    struct message *message = self->queue;
    if (message != NULL) {
        self->queue = message->next;
        if (self->queue == NULL) {
            self->queue_end = &self->queue;
        }
    }
    return message;
}

static bool take_postponed(struct calls *self, struct call *ret)
{
    if (self->postponed_count == 0) {
        return false;
    }
    *ret = self->postponed[0];
    self->postponed_count--;
    memmove(self->postponed, self->postponed + 1, self->postponed_count * sizeof *ret);
    return true;
}

static void catch_up(struct node *node)
{
    uint64_t life = node->life;
    struct call call;
    while (node->life == life && node_runs(node) && !calls_busy(node) &&
           take_postponed(node->calls, &call)) {
        (void)calls_perform(node, &call);
    }
    while (node->life == life && node_runs(node) && !calls_busy(node)) {
        struct message *message = take_queued(node->calls);
        if (message == NULL) {
            return;
        }
        node_take_message(node, message);
    }
}

static void resume(struct node *node)
{
    uint64_t life = node->life;
    if (go_on(node, NULL) && node->life == life) {
        catch_up(node);
    }
}

void calls_disk_done(struct node *node, uint64_t ticket)
{
    if (!calls_busy(node) || node->calls->waiting->ticket != ticket) {
        return;
    }
    if (node->frozen_until_us != 0) {
        node->calls->waiting->disk_done = true;
    } else {
        resume(node);
    }
}

void calls_thaw(struct node *node)
{
    if (calls_busy(node) && node->calls->waiting->disk_done) {
        resume(node);
    }
}

void calls_disk_heals(struct node *node)
{
    if (calls_busy(node)) {
        world_schedule(node->world, node->world->now_us, EVENT_DISK, node->index,
                       (int64_t)node->calls->waiting->ticket);
    }
}

void calls_drop(struct node *node)
{
    struct calls *self = node->calls;
    if (self == NULL) {
        return;
    }
    if (self->waiting != NULL) {
        drop_waiting(self);
        node->engine = NULL; /* cut off in the middle: its memory is lost */
    }
    for (struct message *message = take_queued(self); message != NULL;
         message = take_queued(self)) {
        free(message);
    }
    free(self);
    node->calls = NULL;
}

/* ---- for the storage ---- */

void calls_wait(struct node *node, int64_t us)
{
    if (us <= 0 || !calls_busy(node)) {
        return;
    }
    struct waiting *waiting = node->calls->waiting;
    waiting->ticket = ++node->world->sequence;
    world_schedule(node->world, node->world->now_us + us, EVENT_DISK, node->index,
                   (int64_t)waiting->ticket);
    fiber_pause(waiting->fiber);
}

void calls_crash_point(struct node *node)
{
    TRACE(node->world, "n%d crash point", node->index);
    if (calls_busy(node)) {
        node->calls->waiting->died = true;
        fiber_pause(node->calls->waiting->fiber);
    }
    longjmp(node->crash_point, 1);
}
