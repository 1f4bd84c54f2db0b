#include "tests/sim/world.h"

#include "node/base/invariant.h"
#include "tests/sim/calls.h"
#include "tests/sim/check.h"
#include "tests/sim/dispatch.h"
#include "tests/sim/fault_steps.h"
#include "tests/sim/faults.h"
#include "tests/sim/inside.h"
#include "tests/sim/ledger.h"
#include "tests/sim/node.h"
#include "tests/sim/running.h"
#include "tests/sim/ticking.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PARTS_PER_MILLION 1000000

void trace_line(const struct world *world, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    (void)printf("%9.3f  ", (double)world->now_us / 1000.0);
    (void)vprintf(format, arguments);
    (void)printf("\n");
    va_end(arguments);
}

/* ---- random choices ---- */

int64_t world_between(struct world *self, int64_t low, int64_t high)
{
    return low >= high ? low : schedule_draw(self, low, high);
}

bool world_percent(struct world *self, int64_t percent)
{
    return percent > 0 && schedule_percent(self, percent);
}

/* ---- clocks ---- */

static int64_t local_us(const struct node *node, int64_t true_us)
{
    int64_t passed = true_us - node->boot_true_us;
    return node->boot_local_us + passed + passed * node->rate_ppm / PARTS_PER_MILLION;
}

int64_t node_now_ms(const struct node *node)
{
    struct clock_reading *last = &node->world->readings[node->index];
    if (last->true_us != node->world->now_us || last->boot_us != node->boot_true_us) {
        *last = (struct clock_reading){.true_us = node->world->now_us,
                                       .boot_us = node->boot_true_us,
                                       .local_ms = local_us(node, node->world->now_us) / 1000};
    }
    return last->local_ms;
}

int64_t node_true_us(const struct node *node, int64_t local_ms)
{
    int64_t wanted = local_ms * 1000 - node->boot_local_us;
    int64_t guess =
        node->boot_true_us + wanted * PARTS_PER_MILLION / (PARTS_PER_MILLION + node->rate_ppm) - 2;
    while (local_us(node, guess) < local_ms * 1000) {
        guess++;
    }
    return guess;
}

int64_t node_wall_ms(const struct node *node)
{
    return world_wall_ms(node->world) + node->wall_offset_ms + node->wall_skew_ms;
}

int64_t world_wall_ms(const struct world *world)
{
    return WORLD_WALL_START_S * 1000 + world->now_us * world->options.wall_rate / 1000;
}

/* ---- the queue of events: a binary heap, equal times in the order they were made ---- */

static bool before(const struct event *a, const struct event *b)
{
    if (a->at_us != b->at_us) {
        return a->at_us < b->at_us;
    }
    /* Faults come first, by kind: so a recorded list of them replays in the same order. */
    bool a_fault = a->kind == EVENT_FAULT;
    bool b_fault = b->kind == EVENT_FAULT;
    if (a_fault != b_fault) {
        return a_fault;
    }
    if (a_fault && a->argument != b->argument) {
        return a->argument < b->argument;
    }
    return a->sequence < b->sequence;
}

static void heap_push(struct world *self, struct event event)
{
    if (self->heap_length == self->heap_capacity) {
        self->heap_capacity = self->heap_capacity == 0 ? 256 : self->heap_capacity * 2;
        self->heap = realloc(self->heap, self->heap_capacity * sizeof *self->heap);
        invariant(self->heap != NULL);
    }
    size_t at = self->heap_length++;
    while (at > 0 && before(&event, &self->heap[(at - 1) / 2])) {
        self->heap[at] = self->heap[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    self->heap[at] = event;
}

static struct event heap_pop(struct world *self)
{
    struct event top = self->heap[0];
    struct event last = self->heap[--self->heap_length];
    size_t at = 0;
    for (;;) {
        size_t child = 2 * at + 1;
        if (child >= self->heap_length) {
            break;
        }
        if (child + 1 < self->heap_length && before(&self->heap[child + 1], &self->heap[child])) {
            child++;
        }
        if (!before(&self->heap[child], &last)) {
            break;
        }
        self->heap[at] = self->heap[child];
        at = child;
    }
    self->heap[at] = last;
    return top;
}

static void push_event(struct world *self, int64_t at_us, enum event_kind kind, int node,
                       int64_t argument, struct message *message)
{
    struct event event = {
        .at_us = at_us < self->now_us ? self->now_us : at_us,
        .sequence = ++self->sequence,
        .kind = kind,
        .node = node,
        .life = node == SIM_NONE ? 0 : self->nodes[node].life,
        .argument = argument,
        .message = message,
    };
    heap_push(self, event);
}

void world_schedule(struct world *self, int64_t at_us, enum event_kind kind, int node,
                    int64_t argument)
{
    push_event(self, at_us, kind, node, argument, NULL);
}

void world_schedule_message(struct world *self, int64_t at_us, enum event_kind kind, int node,
                            struct message *message)
{
    push_event(self, at_us, kind, node, 0, message);
}

/* ---- network ---- */

struct node *world_node_of_id(struct world *self, uint64_t id)
{
    if (id == 0 || id >= SIM_IDS_MAX || self->node_of_id[id] == SIM_NONE) {
        return NULL;
    }
    struct node *node = &self->nodes[self->node_of_id[id]];
    return node->id == id ? node : NULL;
}

int world_index_of_id(const struct world *self, uint64_t id)
{
    return id == 0 || id >= SIM_IDS_MAX ? SIM_NONE : self->node_of_id[id];
}

static int64_t usual_delay_us(struct world *self, const struct message *message)
{
    const struct options *options = &self->options;
    int64_t delay = world_between(self, 200, options->delay * 1000);
    if (world_percent(self, options->tail_percent)) {
        delay += world_between(self, 0, options->tail * 1000);
    }
    bool may_be_late = message->kind >= MESSAGE_RENEW;
    if (may_be_late && world_percent(self, options->late)) {
        delay += world_between(self, 0, 5000000);
    }
    return delay;
}

static void trace_message(const struct world *self, const struct message *message, const char *what)
{
    struct inside_message inside;
    if (!self->tracing || self->options.messages == 0 || message->kind != MESSAGE_RAFT ||
        !inside_read(message->bytes, message->length, message->from, &inside)) {
        return;
    }
    char text[120];
    inside_text(&inside, text, sizeof text);
    trace_line(self, "    n%d -> n%d %s %s", world_index_of_id(self, message->from),
               world_index_of_id(self, message->to), what, text);
}

/* Hold, drop or put on its way. Takes the message. */
static void route_message(struct world *self, struct message *message)
{
    int64_t delay = ROUTE_DEFAULT;
    if (self->route != NULL) {
        delay = self->route(self, message, self->route_context);
    }
    trace_message(self, message,
                  delay == ROUTE_HOLD   ? "holds"
                  : delay == ROUTE_DROP ? "loses"
                                        : "sends");
    if (delay == ROUTE_HOLD) {
        message->next = self->held;
        self->held = message;
        return;
    }
    int to = world_index_of_id(self, message->to);
    if (delay == ROUTE_DROP || to == SIM_NONE) {
        free(message);
        return;
    }
    if (delay == ROUTE_DEFAULT) {
        delay = usual_delay_us(self, message);
    }
    push_event(self, self->now_us + delay, EVENT_DELIVER, to, 0, message);
}

void network_send(struct world *self, uint64_t from, uint64_t to, enum message_kind kind,
                  const uint8_t *bytes, size_t length)
{
    int source = world_index_of_id(self, from);
    int target = world_index_of_id(self, to);
    if (source == SIM_NONE || target == SIM_NONE) {
        return;
    }
    struct schedule_message_scope scope = schedule_enter_message(self, source, target, (int)kind);
    bool lost = !self->up[source][target];
    if (source != target) {
        lost = world_percent(self, self->options.loss) || lost;
    }
    int copies = source != target && world_percent(self, self->options.duplicate) ? 2 : 1;
    for (int i = 0; i < copies && !lost; i++) {
        struct message *message = malloc(sizeof *message + length);
        invariant(message != NULL);
        *message = (struct message){
            .kind = kind, .from = from, .to = to, .length = length, .sequence = ++self->sequence};
        if (length > 0) {
            memcpy(message->bytes, bytes, length);
        }
        route_message(self, message);
    }
    schedule_leave_message(self, &scope);
    self->verdict->stats.messages += lost ? 0 : 1;
}

static bool is_between(const struct world *self, const struct message *message, int from, int to)
{
    return (from == SIM_NONE || world_index_of_id(self, message->from) == from) &&
           (to == SIM_NONE || world_index_of_id(self, message->to) == to);
}

void network_release(struct world *self, int from, int to, int64_t delay_us)
{
    struct message *list = NULL;
    struct message **link = &self->held;
    while (*link != NULL) { /* newest first: turn round */
        struct message *message = *link;
        if (!is_between(self, message, from, to)) {
            link = &message->next;
            continue;
        }
        *link = message->next;
        message->next = list;
        list = message;
    }
    while (list != NULL) {
        struct message *message = list;
        list = message->next;
        message->next = NULL;
        push_event(self, self->now_us + delay_us, EVENT_DELIVER,
                   world_index_of_id(self, message->to), 0, message);
    }
}

size_t network_held(const struct world *self)
{
    size_t count = 0;
    for (const struct message *message = self->held; message != NULL; message = message->next) {
        count++;
    }
    return count;
}

void network_forget(struct world *self)
{
    while (self->held != NULL) {
        struct message *message = self->held;
        self->held = message->next;
        free(message);
    }
}

void network_join_all(struct world *self)
{
    for (int i = 0; i < SIM_NODES_MAX; i++) {
        for (int j = 0; j < SIM_NODES_MAX; j++) {
            self->up[i][j] = true;
        }
    }
}

void network_cut(struct world *self, int from, int to)
{
    self->up[from][to] = from == to;
}

void network_isolate(struct world *self, int node)
{
    for (int i = 0; i < self->node_count; i++) {
        network_cut(self, i, node);
        network_cut(self, node, i);
    }
}

/* ---- the loop ---- */

static void deliver(struct world *self, const struct event *event)
{
    struct message *message = event->message;
    struct node *node = world_node_of_id(self, message->to);
    int source = world_index_of_id(self, message->from);
    bool reachable = source != SIM_NONE && self->up[source][event->node];
    if (node == NULL || !node->alive || !reachable) {
        free(message);
        return;
    }
    trace_message(self, message, "delivers");
    node_take_message(node, message);
}

static void handle(struct world *self, const struct event *event)
{
    struct node *node = event->node == SIM_NONE ? NULL : &self->nodes[event->node];
    bool same_life = node != NULL && node->life == event->life;
    switch (event->kind) {
    case EVENT_DELIVER:
        deliver(self, event);
        break;
    case EVENT_TIMER:
        if (same_life && node->timer_at_us == event->at_us) {
            node_timer(node);
        }
        break;
    case EVENT_RESTART:
        if (same_life && !node->alive) {
            node_start(node);
        }
        break;
    case EVENT_THAW:
        if (same_life && node->frozen_until_us == event->argument) {
            node_thaw(node);
        }
        break;
    case EVENT_MANAGERS_STOPPED:
        node_managers_stopped(node, (uint64_t)event->argument);
        break;
    case EVENT_OBITUARY:
        node_send_obituary(node, event->message);
        free(event->message);
        break;
    case EVENT_LINK_LOST:
        node_link(node, (int)event->argument, false);
        break;
    case EVENT_LINK_UP:
        node_link(node, (int)event->argument, true);
        break;
    case EVENT_PROBED:
        if (same_life) {
            node_probed(node, (int)(event->argument % PROBE_REFUSED),
                        event->argument >= PROBE_REFUSED);
        }
        break;
    case EVENT_FAULT:
        faults_happen(self, (int)event->argument);
        break;
    case EVENT_HEAL:
        faults_heal(self);
        break;
    case EVENT_DISK:
        if (same_life) {
            calls_disk_done(node, (uint64_t)event->argument);
        }
        break;
    case EVENT_KILL:
        if (same_life && self->faults) {
            node_crash(node, false);
        }
        break;
    case EVENT_AGAIN:
        fault_steps_go_on(self, event->node, event->argument);
        break;
    case EVENT_ATTEMPT:
        running_ended(node, (uint64_t)event->argument);
        break;
    case EVENT_REQUEST:
        dispatch_request_arrives(node, event->argument);
        break;
    case EVENT_ANSWER:
        dispatch_answer_arrives(node, event->argument);
        break;
    case EVENT_SCRIPT:
        break;
    }
}

static void mix(uint64_t *digest, uint64_t value)
{
    *digest = (*digest ^ value) * 0x100000001b3ULL;
    *digest ^= *digest >> 29;
}

/* The next event, if it is due by `until_us`. */
static bool step(struct world *self, int64_t until_us)
{
    if (self->heap_length == 0 || self->heap[0].at_us > until_us) {
        return false;
    }
    struct event event = heap_pop(self);
    check_time_passes(self, event.at_us);
    self->now_us = event.at_us;
    self->verdict->stats.events++;
    mix(&self->verdict->digest, (uint64_t)event.at_us);
    mix(&self->verdict->digest, (uint64_t)event.kind << 8 | (uint64_t)(event.node + 1));
    mix(&self->verdict->digest, event.message == NULL ? 0 : event.message->length);
    schedule_enter_event(self, &event);
    handle(self, &event);
    check_step(self);
    return true;
}

bool world_run_until(struct world *self, int64_t until_us, condition_function *condition,
                     void *context)
{
    while (condition == NULL || !condition(self, context)) {
        if (!step(self, until_us)) {
            self->now_us = until_us > self->now_us ? until_us : self->now_us;
            return condition != NULL && condition(self, context);
        }
    }
    return true;
}

void world_run(struct world *self, int64_t until_us)
{
    (void)world_run_until(self, until_us, NULL, NULL);
}

static void make_node(struct world *self, int index)
{
    struct node *node = &self->nodes[index];
    node->world = self;
    node->index = index;
    node->id = self->next_id++;
    self->node_of_id[node->id] = index;
    node->inbox_end = &node->inbox;
    node->storage = storage_create(node);
    invariant(node->storage != NULL);
    /* Two thirds of the clocks are at an extreme. */
    int64_t drift = self->options.drift;
    int64_t kind = world_between(self, 0, 2);
    node->rate_ppm = kind == 0 ? -drift : kind == 1 ? drift : world_between(self, -drift, drift);
    node->boot_local_us = (100000 + world_between(self, 0, self->options.clocks)) * 1000;
    node->health = (struct wellness){.score_tenths = 1000 - 10 * index, .able = true};
}

/* What only runs with schedules or errands have; so the others draw what they always drew. */
static void make_work(struct world *self)
{
    if (self->options.schedules > 0) {
        invariant(self->options.schedules <= SIM_SCHEDULES_MAX);
        self->timetable = timetable_create(&self->options, self->seed);
        ticking_begin(self);
    }
    for (int i = 0; i < self->node_count && self->options.schedules > 0; i++) {
        self->nodes[i].wall_skew_ms = world_between(self, -900, 900);
    }
    self->ledger = ledger_create();
    if (self->options.intents == 0) {
        return;
    }
    self->outside = calloc(1, sizeof *self->outside);
    invariant(self->outside != NULL);
    for (int i = 0; i < self->node_count; i++) {
        self->nodes[i].dispatch = calloc(1, sizeof *self->nodes[i].dispatch);
        invariant(self->nodes[i].dispatch != NULL);
    }
}

struct world *world_create(const struct options *options, uint64_t seed, struct verdict *verdict,
                           bool tracing)
{
    struct world *self = calloc(1, sizeof *self);
    invariant(self != NULL);
    self->options = *options;
    self->seed = seed;
    self->verdict = verdict;
    self->chances.replay = options->replay;
    self->chances.record = options->record;
    self->tracing = tracing;
    self->faults = true;
    self->next_id = 1;
    self->node_count = (int)options->nodes;
    invariant(self->node_count >= 1 && self->node_count <= SIM_NODES_MAX);
    rng_init(&self->rng, seed);
    for (int i = 0; i < SIM_IDS_MAX; i++) {
        self->node_of_id[i] = SIM_NONE;
    }
    for (int i = 0; i < SIM_NODES_MAX; i++) {
        self->readings[i].true_us = -1;
    }
    network_join_all(self);
    self->check = check_create();
    for (int i = 0; i < self->node_count; i++) {
        make_node(self, i);
    }
    make_work(self);
    return self;
}

void world_destroy(struct world **self_p)
{
    struct world *self = *self_p;
    if (self == NULL) {
        return;
    }
    for (int i = 0; i < self->node_count; i++) {
        node_end(&self->nodes[i]);
        storage_destroy(&self->nodes[i].storage);
        free(self->nodes[i].dispatch);
    }
    while (self->heap_length > 0) {
        free(heap_pop(self).message);
    }
    network_forget(self);
    check_destroy(&self->check);
    ledger_destroy(&self->ledger);
    timetable_destroy(&self->timetable);
    free(self->outside);
    free(self->heap);
    free(self);
    *self_p = NULL;
}
