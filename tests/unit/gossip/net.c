#include "tests/unit/gossip/net.h"

#include "node/base/invariant.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum event_kind { EVENT_TICK, EVENT_MESSAGE };

struct net_event {
    int64_t due_ms;
    uint64_t number; /* breaks ties, so that a seed replays */
    enum event_kind kind;
    size_t from;
    size_t to;
    size_t length;
    uint8_t bytes[];
};

/* ---- the heap of events ---- */

static bool is_before(const struct net_event *a, const struct net_event *b)
{
    return a->due_ms != b->due_ms ? a->due_ms < b->due_ms : a->number < b->number;
}

static void heap_swap(struct net *self, size_t a, size_t b)
{
    struct net_event *kept = self->heap[a];
    self->heap[a] = self->heap[b];
    self->heap[b] = kept;
}

static void heap_push(struct net *self, struct net_event *event)
{
    if (self->heap_count == self->heap_capacity) {
        self->heap_capacity = self->heap_capacity == 0 ? 256 : self->heap_capacity * 2;
        self->heap = realloc(self->heap, self->heap_capacity * sizeof(struct net_event *));
        invariant(self->heap != NULL);
    }
    event->number = self->event_number++;
    size_t at = self->heap_count++;
    self->heap[at] = event;
    while (at > 0 && is_before(self->heap[at], self->heap[(at - 1) / 2])) {
        heap_swap(self, at, (at - 1) / 2);
        at = (at - 1) / 2;
    }
}

static struct net_event *heap_pop(struct net *self)
{
    struct net_event *event = self->heap[0];
    self->heap[0] = self->heap[--self->heap_count];
    size_t at = 0;
    for (;;) {
        size_t least = at;
        for (size_t child = 2 * at + 1; child <= 2 * at + 2; child++) {
            if (child < self->heap_count && is_before(self->heap[child], self->heap[least])) {
                least = child;
            }
        }
        if (least == at) {
            return event;
        }
        heap_swap(self, at, least);
        at = least;
    }
}

static void push_event(struct net *self, enum event_kind kind, size_t from, size_t to,
                       int64_t due_ms, const struct gossip_action *action)
{
    size_t length = action == NULL ? 0 : action->length;
    struct net_event *event = malloc(sizeof *event + length);
    invariant(event != NULL);
    *event = (struct net_event){
        .due_ms = due_ms, .kind = kind, .from = from, .to = to, .length = length};
    if (length > 0) {
        memcpy(event->bytes, action->bytes, length);
    }
    heap_push(self, event);
}

/* ---- nodes ---- */

void net_init(struct net *self, size_t node_count, const char *profile, uint64_t seed)
{
    *self = (struct net){.node_count = node_count,
                         .now_ms = 1000000,
                         .delay_min_ms = 1,
                         .delay_max_ms = 3,
                         .watched = SIZE_MAX,
                         .watched_suspect_ms = -1,
                         .excused = SIZE_MAX,
                         .seed_count = node_count < 3 ? node_count : 3};
    rng_init(&self->rng, seed);
    int rc = gossip_config_profile(&self->config, profile, NULL);
    invariant(rc == 0);
    self->config.members_max = node_count + 8;
    self->nodes = calloc(node_count, sizeof *self->nodes);
    invariant(self->nodes != NULL);
    for (size_t i = 0; i < node_count; i++) {
        struct net_node *node = &self->nodes[i];
        (void)snprintf(node->name, sizeof node->name, "n%zu", i + 1);
        (void)snprintf(node->address, sizeof node->address, "tcp://10.0.%zu.%zu:7400", i / 250,
                       i % 250 + 1);
        node->crashed = true;
        node->deaths_seen_ms = -1;
    }
}

void net_deinit(struct net *self)
{
    for (size_t i = 0; i < self->node_count; i++) {
        gossip_destroy(&self->nodes[i].gossip);
    }
    for (size_t i = 0; i < self->heap_count; i++) {
        free(self->heap[i]);
    }
    free(self->heap);
    free(self->nodes);
    *self = (struct net){0};
}

static size_t index_of(const struct net *self, const char *name)
{
    size_t index = (size_t)strtoul(name + 1, NULL, 10) - 1;
    return index < self->node_count ? index : SIZE_MAX;
}

static void schedule(struct net *self, size_t index)
{
    struct net_node *node = &self->nodes[index];
    int64_t due_ms = gossip_deadline_ms(node->gossip);
    if (due_ms < self->now_ms) {
        due_ms = self->now_ms;
    }
    if (node->tick_ms <= self->now_ms || due_ms < node->tick_ms) {
        /* A virtual millisecond may hold several ticks, but a loop of them is a defect. */
        node->tick_ms = due_ms;
        push_event(self, EVENT_TICK, index, index, due_ms, NULL);
    }
}

static void send_one(struct net *self, size_t from, const struct gossip_action *action)
{
    size_t to = index_of(self, action->name);
    self->messages++;
    if (to == SIZE_MAX || rng_below(&self->rng, 100) < self->loss_percent ||
        (action->address[0] != '\0' && strcmp(action->address, self->nodes[to].address) != 0)) {
        return;
    }
    int64_t delay_ms = rng_between(&self->rng, self->delay_min_ms, self->delay_max_ms);
    push_event(self, EVENT_MESSAGE, from, to, self->now_ms + delay_ms, action);
}

static bool runs(const struct net_node *node)
{
    return !node->crashed && !node->frozen;
}

static void note_false_death(struct net *self, struct net_node *node, uint64_t incarnation)
{
    if (node->slow) {
        self->slow_deaths++;
        return;
    }
    self->false_deaths++;
    if (node->buried != incarnation) {
        node->buried = incarnation;
        self->false_burials++;
    }
}

static void note_member(struct net *self, size_t at, const struct gossip_action *action)
{
    struct net_node *node = &self->nodes[at];
    size_t of = index_of(self, action->name);
    node->last_member = *action;
    node->member_actions++;
    if (of == self->watched && action->new_state == GOSSIP_SUSPECT &&
        self->watched_suspect_ms < 0) {
        self->watched_suspect_ms = self->now_ms;
    }
    if (of == SIZE_MAX || action->new_state != GOSSIP_DEAD || action->first) {
        return;
    }
    if (of == self->watched && node->deaths_seen_ms < 0) {
        node->deaths_seen_ms = self->now_ms;
        self->watched_deaths++;
    }
    if (at != self->excused && of != self->excused && runs(&self->nodes[of]) &&
        self->nodes[of].side == node->side) {
        note_false_death(self, &self->nodes[of], action->incarnation);
    }
}

void net_drain(struct net *self, size_t index)
{
    struct net_node *node = &self->nodes[index];
    struct gossip_action action;
    while (gossip_action_next(node->gossip, &action)) {
        switch (action.kind) {
        case GOSSIP_ACTION_SEND:
            send_one(self, index, &action);
            break;
        case GOSSIP_ACTION_MEMBER:
            note_member(self, index, &action);
            break;
        case GOSSIP_ACTION_INCARNATION:
            node->persisted_incarnation = action.incarnation;
            break;
        case GOSSIP_ACTION_HEALTH:
        case GOSSIP_ACTION_GONE:
            break;
        }
    }
    schedule(self, index);
}

void net_start(struct net *self, size_t index)
{
    struct net_node *node = &self->nodes[index];
    struct gossip_seed *seeds = calloc(self->seed_count + 1, sizeof *seeds);
    invariant(seeds != NULL && node->gossip == NULL);
    for (size_t i = 0; i < self->seed_count; i++) {
        memcpy(seeds[i].name, self->nodes[i].name, NAME_SIZE);
        memcpy(seeds[i].address, self->nodes[i].address, ADDRESS_SIZE);
    }
    struct gossip_config config = self->config;
    memcpy(config.name, node->name, NAME_SIZE);
    memcpy(config.address, node->address, ADDRESS_SIZE);
    config.incarnation = ++node->boots << GOSSIP_REFUTATION_BITS;
    config.rng_seed = rng_next(&self->rng);
    config.seeds = seeds;
    config.seed_count = self->seed_count;
    int rc = gossip_create(&config, self->now_ms, &node->gossip, NULL);
    invariant(rc == 0);
    free(seeds);
    node->crashed = false;
    node->frozen = false;
    node->tick_ms = self->now_ms - 1;
    schedule(self, index);
}

void net_start_all(struct net *self)
{
    for (size_t i = 0; i < self->node_count; i++) {
        net_start(self, i);
    }
}

void net_crash(struct net *self, size_t index)
{
    gossip_destroy(&self->nodes[index].gossip);
    self->nodes[index].crashed = true;
}

void net_freeze(struct net *self, size_t index)
{
    self->nodes[index].frozen = true;
}

void net_thaw(struct net *self, size_t index)
{
    self->nodes[index].frozen = false;
    self->nodes[index].tick_ms = self->now_ms - 1;
    schedule(self, index);
}

void net_pause(struct net *self, size_t index, int64_t duration_ms)
{
    self->nodes[index].busy_until_ms = self->now_ms + duration_ms;
    self->nodes[index].awake_ms = self->now_ms - 1;
}

/* ---- time ---- */

/* A busy node's events wait until its loop runs again; then all that wait are taken at once. */
static bool waits(struct net *self, struct net_event *event)
{
    struct net_node *node = &self->nodes[event->to];
    if (self->now_ms == node->awake_ms) {
        return false;
    }
    if (self->now_ms < node->busy_until_ms) {
        event->due_ms = node->busy_until_ms;
        if (event->kind == EVENT_TICK && node->tick_ms == self->now_ms) {
            node->tick_ms = event->due_ms;
        }
        heap_push(self, event);
        return true;
    }
    if (node->late_max_ms > 0) {
        node->awake_ms = self->now_ms;
        node->busy_until_ms = self->now_ms + 1 + rng_between(&self->rng, 0, node->late_max_ms);
    }
    return false;
}

static void perform(struct net *self, const struct net_event *event)
{
    struct net_node *node = &self->nodes[event->to];
    if (event->kind == EVENT_TICK) {
        if (event->due_ms != node->tick_ms) {
            return; /* an earlier one took its place */
        }
        if (gossip_deadline_ms(node->gossip) <= self->now_ms) {
            gossip_tick(node->gossip, self->now_ms);
        }
        node->tick_ms = self->now_ms - 1;
    } else if (self->nodes[event->from].side == node->side) {
        gossip_receive(node->gossip, self->now_ms, self->nodes[event->from].name, event->bytes,
                       event->length);
    }
    net_drain(self, event->to);
}

static void run_next(struct net *self)
{
    struct net_event *event = heap_pop(self);
    self->now_ms = event->due_ms;
    if (runs(&self->nodes[event->to])) {
        if (waits(self, event)) {
            return;
        }
        perform(self, event);
    }
    free(event);
}

void net_run(struct net *self, int64_t duration_ms)
{
    int64_t end_ms = self->now_ms + duration_ms;
    while (self->heap_count > 0 && self->heap[0]->due_ms <= end_ms) {
        run_next(self);
    }
    self->now_ms = end_ms;
}

bool net_run_until(struct net *self, bool (*condition)(const struct net *self), int64_t limit_ms)
{
    int64_t end_ms = self->now_ms + limit_ms;
    while (!condition(self)) {
        if (self->now_ms >= end_ms) {
            return false;
        }
        net_run(self, 10);
    }
    return true;
}

/* ---- views ---- */

bool net_knows(const struct net *self, size_t at, size_t of)
{
    struct gossip_member member;
    return gossip_member_find(self->nodes[at].gossip, self->nodes[of].name, &member);
}

enum gossip_state net_state(const struct net *self, size_t at, size_t of)
{
    struct gossip_member member;
    bool known = gossip_member_find(self->nodes[at].gossip, self->nodes[of].name, &member);
    invariant(known);
    return member.state;
}

bool net_all_alive(const struct net *self)
{
    for (size_t at = 0; at < self->node_count; at++) {
        if (self->nodes[at].crashed) {
            continue;
        }
        for (size_t of = 0; of < self->node_count; of++) {
            if (!net_knows(self, at, of) || net_state(self, at, of) != GOSSIP_ALIVE) {
                return false;
            }
        }
    }
    return true;
}

bool net_agrees(const struct net *self)
{
    uint64_t digest = 0;
    bool first = true;
    for (size_t at = 0; at < self->node_count; at++) {
        if (self->nodes[at].crashed) {
            continue;
        }
        if (!first && gossip_digest(self->nodes[at].gossip) != digest) {
            return false;
        }
        digest = gossip_digest(self->nodes[at].gossip);
        first = false;
        for (size_t of = 0; of < self->node_count; of++) {
            if (!self->nodes[of].crashed &&
                (!net_knows(self, at, of) || net_state(self, at, of) != GOSSIP_ALIVE)) {
                return false;
            }
        }
    }
    return true;
}

void net_watch(struct net *self, size_t index)
{
    self->watched = index;
    self->watched_deaths = 0;
    self->watched_suspect_ms = -1;
    for (size_t i = 0; i < self->node_count; i++) {
        self->nodes[i].deaths_seen_ms = -1;
    }
}

bool net_watched_is_dead(const struct net *self)
{
    for (size_t at = 0; at < self->node_count; at++) {
        if (at != self->watched && runs(&self->nodes[at]) &&
            net_state(self, at, self->watched) != GOSSIP_DEAD) {
            return false;
        }
    }
    return true;
}
