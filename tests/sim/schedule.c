#include "tests/sim/schedule.h"

#include "node/base/invariant.h"
#include "tests/sim/world.h"

#include <string.h>

/* ---- generators by name ---- */

static uint64_t blend(uint64_t a, uint64_t b)
{
    a ^= b + 0x9e3779b97f4a7c15ULL + (a << 6) + (a >> 2);
    a = (a ^ (a >> 33)) * 0xff51afd7ed558ccdULL;
    a = (a ^ (a >> 33)) * 0xc4ceb9fe1a85ec53ULL;
    return a ^ (a >> 33);
}

static uint64_t blend_text(uint64_t a, const char *text)
{
    for (; *text != '\0'; text++) {
        a = blend(a, (uint64_t)(unsigned char)*text);
    }
    return a;
}

enum subject { OF_EVENT = 1, OF_MESSAGE, OF_PAUSE, OF_FAULT };

static uint64_t start_of(const struct world *world, enum subject subject)
{
    return blend(blend(world->seed, 0x736368656475ULL), (uint64_t)subject);
}

void schedule_enter_event(struct world *world, const struct event *event)
{
    uint64_t name = blend(start_of(world, OF_EVENT), (uint64_t)event->at_us);
    name = blend(name, (uint64_t)event->kind << 8 | (uint64_t)(event->node + 1));
    rng_init(&world->rng, name);
}

/* ---- messages ---- */

struct schedule_message_scope schedule_enter_message(struct world *world, int from, int to,
                                                     int kind)
{
    struct schedule_message_scope scope = {.rng = world->rng, .in_fault = world->chances.in_fault};
    /* A message is the n-th of its kind on its way in this millisecond. */
    struct traffic *traffic = &world->traffic[from][to][kind];
    int64_t ms = world->now_us / 1000;
    traffic->count = traffic->ms == ms ? traffic->count + 1 : 0;
    traffic->ms = ms;
    uint64_t name = blend(start_of(world, OF_MESSAGE), (uint64_t)ms);
    name = blend(name, (uint64_t)from << 16 | (uint64_t)to << 8 | (uint64_t)kind);
    rng_init(&world->rng, blend(name, traffic->count));
    world->chances.in_fault = false;
    return scope;
}

void schedule_leave_message(struct world *world, const struct schedule_message_scope *scope)
{
    world->rng = scope->rng;
    world->chances.in_fault = scope->in_fault;
}

/* ---- faults ---- */

void schedule_plan(struct world *world, int kind, const char *name, int64_t mean_ms)
{
    struct chances *self = &world->chances;
    invariant(kind >= 0 && kind < SCHEDULE_KINDS_MAX);
    if (mean_ms <= 0 || self->replay != NULL) {
        return;
    }
    struct rng rng;
    rng_init(&rng, blend(blend_text(start_of(world, OF_PAUSE), name), self->planned[kind]++));
    int64_t pause_us = rng_between(&rng, 1000, 2 * mean_ms * 1000);
    world_schedule(world, world->now_us + pause_us, EVENT_FAULT, SIM_NONE, kind);
}

bool schedule_plan_replay(struct world *world)
{
    const struct schedule *replay = world->chances.replay;
    for (size_t i = 0; replay != NULL && i < replay->count; i++) {
        world_schedule(world, replay->faults[i].at_us, EVENT_FAULT, SIM_NONE,
                       replay->faults[i].kind);
    }
    return replay != NULL;
}

void schedule_begin_fault(struct world *world, int kind, const char *name)
{
    struct chances *self = &world->chances;
    self->in_fault = true;
    self->given = NULL;
    if (self->replay != NULL) {
        invariant(self->next < self->replay->count);
        self->given = &self->replay->faults[self->next++];
        invariant(self->given->kind == kind && self->given->at_us == world->now_us);
    }
    memset(&self->fault, 0, sizeof self->fault);
    self->fault.at_us = world->now_us;
    self->fault.kind = kind;
    self->fault_name = blend(blend_text(start_of(world, OF_FAULT), name), (uint64_t)world->now_us);
    rng_init(&world->rng, self->fault_name);
}

void schedule_end_fault(struct world *world)
{
    struct chances *self = &world->chances;
    self->in_fault = false;
    if (self->record == NULL) {
        return;
    }
    if (self->record->count == SCHEDULE_FAULTS_MAX) {
        self->record->full = true;
        return;
    }
    if (self->fault.draw_count > SCHEDULE_DRAWS_MAX) {
        self->fault.draw_count = SCHEDULE_DRAWS_MAX; /* the rest is drawn again */
    }
    self->record->faults[self->record->count++] = self->fault;
}

/* What the fault drew here when it was recorded. */
static bool given_draw(struct chances *self, int64_t *ret)
{
    int at = self->fault.draw_count;
    if (!self->in_fault || self->given == NULL || at >= self->given->draw_count) {
        return false;
    }
    *ret = self->given->draws[at];
    return true;
}

static int64_t keep_draw(struct world *world, int64_t value)
{
    struct chances *self = &world->chances;
    if (!self->in_fault) {
        return value;
    }
    if (self->fault.draw_count < SCHEDULE_DRAWS_MAX) {
        self->fault.draws[self->fault.draw_count] = value;
    }
    self->fault.draw_count++;
    /* The next draw stands for itself, whether or not this one asked the generator. */
    rng_init(&world->rng, blend(self->fault_name, (uint64_t)self->fault.draw_count));
    return value;
}

int64_t schedule_draw(struct world *world, int64_t low, int64_t high)
{
    int64_t value = 0;
    if (!given_draw(&world->chances, &value)) {
        value = rng_between(&world->rng, low, high);
    }
    value = value < low ? low : value;
    return keep_draw(world, value > high ? high : value);
}

bool schedule_percent(struct world *world, int64_t percent)
{
    int64_t value = 0;
    if (!given_draw(&world->chances, &value)) {
        value = (int64_t)rng_below(&world->rng, 100) < percent ? 1 : 0;
    }
    return keep_draw(world, value) != 0;
}
