#include "tests/sim/machine.h"

#include "consensus/state_internal.h"
#include "node/base/invariant.h"
#include "tests/sim/check.h"
#include "tests/sim/leading.h"
#include "tests/sim/ledger.h"
#include "tests/sim/node.h"
#include "tests/sim/outside.h"
#include "tests/sim/peers.h"
#include "tests/sim/running.h"
#include "tests/sim/ticking.h"
#include "tests/sim/world.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

struct machine {
    struct node *node;
    struct state *state;
    uint64_t position; /* commands applied */
    uint64_t index;
    bool changed;
};

static uint64_t hash_bytes(const uint8_t *bytes, size_t length)
{
    uint64_t hash = 0xcbf29ce484222325ULL;
    for (size_t i = 0; i < length; i++) {
        hash = (hash ^ bytes[i]) * 0x100000001b3ULL;
    }
    return hash == 0 ? 1 : hash;
}

struct machine *machine_create(struct node *node)
{
    struct machine *self = calloc(1, sizeof *self);
    invariant(self != NULL);
    self->node = node;
    self->state = state_create();
    invariant(self->state != NULL);
    return self;
}

void machine_destroy(struct machine **self_p)
{
    if (*self_p != NULL) {
        state_destroy(&(*self_p)->state);
        free(*self_p);
        *self_p = NULL;
    }
}

/* Without the rule run_once the state lets a run's attempt be assigned again. A snapshot has it as
 * ever. */
static void put_once(struct machine *self, bool once)
{
    if (!self->node->world->options.world_off.run_once) {
        return;
    }
    for (size_t i = 0; i < self->state->duty_count; i++) {
        struct state_duty *duty = &self->state->duties[i];
        duty->is.once = once && running_is_attempt(duty->is.id);
    }
}

static struct command_duty *duty_of(struct machine *self, int duty)
{
    char id[DUTY_ID_SIZE];
    duties_name(duty, id);
    for (size_t i = 0; i < self->state->duty_count; i++) {
        if (strcmp(self->state->duties[i].is.id, id) == 0) {
            return &self->state->duties[i].is;
        }
    }
    return NULL;
}

/* Without the rule sides_apart the state knows no groups. A snapshot has them as ever. */
static void put_groups(struct machine *self, bool there)
{
    const struct options *options = &self->node->world->options;
    for (int duty = 0; options->world_off.sides_apart && duty < (int)options->duties; duty++) {
        struct command_duty *row = duty_of(self, duty);
        if (row != NULL && there) {
            duties_group(self->node->world, duty, row);
        } else if (row != NULL) {
            row->alone[0] = '\0';
            row->side = 0;
        }
    }
}

/* `first`: no node has applied the command before. */
static void note_work(struct machine *self, const uint8_t *bytes, size_t length,
                      const struct state_effect *effect, bool first)
{
    static struct command command;
    struct world *world = self->node->world;
    struct err err = {0};
    put_once(self, false);
    if (first && command_decode(bytes, length, &command, &err) == 0) {
        if (world->timetable != NULL) {
            ledger_applied(self->node, &command, effect);
        }
        if (world->outside != NULL) {
            outside_applied(self->node, &command, effect);
        }
    }
    if (world->timetable != NULL) {
        ticking_applied(self->node, effect);
    }
}

static void apply(void *context, uint64_t index, uint64_t term, const uint8_t *bytes, size_t length)
{
    struct machine *self = context;
    if (index <= self->index) {
        check_failed(self->node->world, "I2", "n%d applies entry %" PRIu64 " after entry %" PRIu64,
                     self->node->index, index, self->index);
    }
    bool first = self->position == check_committed(self->node->world);
    check_applied(self->node, (size_t)self->position, index, term, hash_bytes(bytes, length));
    struct state_effect effect;
    int code = state_apply(self->state, index, term, bytes, length, &effect);
    invariant(code == 0);
    self->position++;
    self->index = index;
    self->changed = true;
    put_groups(self, false);
    leading_applied(self->node, &effect);
    if (self->node->world->timetable != NULL || self->node->world->outside != NULL) {
        note_work(self, bytes, length, &effect, first);
    }
}

/* The number of commands travels in front of the state. */
static int snapshot(void *context, uint8_t **ret, size_t *ret_length)
{
    struct machine *self = context;
    uint8_t *bytes = NULL;
    size_t length = 0;
    put_once(self, true);
    put_groups(self, true);
    int code = state_snapshot(self->state, &bytes, &length);
    put_once(self, false);
    put_groups(self, false);
    if (code != 0) {
        return code;
    }
    check_state(self->node, (size_t)self->position, hash_bytes(bytes, length));
    uint8_t *whole = malloc(sizeof self->position + length);
    invariant(whole != NULL);
    memcpy(whole, &self->position, sizeof self->position);
    memcpy(whole + sizeof self->position, bytes, length);
    free(bytes);
    *ret = whole;
    *ret_length = sizeof self->position + length;
    self->node->world->verdict->stats.snapshots++;
    return 0;
}

static int restore(void *context, uint64_t index, const uint8_t *bytes, size_t length)
{
    struct machine *self = context;
    struct err err = {0};
    uint64_t position = 0;
    if (length < sizeof position) {
        check_failed(self->node->world, "OK", "n%d restores %zu bytes", self->node->index, length);
    }
    memcpy(&position, bytes, sizeof position);
    check_restored(self->node, (size_t)position, index);
    check_state(self->node, (size_t)position,
                hash_bytes(bytes + sizeof position, length - sizeof position));
    int code =
        state_restore(self->state, index, bytes + sizeof position, length - sizeof position, &err);
    if (code != 0) {
        check_failed(self->node->world, "OK", "n%d cannot restore its state: %s", self->node->index,
                     err.msg);
    }
    put_once(self, false);
    put_groups(self, false);
    self->position = position;
    self->index = index;
    self->changed = true;
    self->node->world->verdict->stats.restores++;
    ticking_restored(self->node);
    return 0;
}

struct consensus_machine machine_interface(struct machine *self)
{
    return (struct consensus_machine){
        .context = self, .apply = apply, .snapshot = snapshot, .restore = restore};
}

const struct state *machine_state(const struct machine *self)
{
    return self->state;
}

uint64_t machine_digest(struct machine *self)
{
    uint8_t *bytes = NULL;
    size_t length = 0;
    put_once(self, true);
    put_groups(self, true);
    int code = state_snapshot(self->state, &bytes, &length);
    put_once(self, false);
    put_groups(self, false);
    invariant(code == 0);
    uint64_t hash = hash_bytes(bytes, length);
    free(bytes);
    return hash;
}

size_t machine_position(const struct machine *self)
{
    return (size_t)self->position;
}

bool machine_take_change(struct machine *self)
{
    bool changed = self->changed;
    self->changed = false;
    return changed;
}
