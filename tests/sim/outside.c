#include "tests/sim/outside.h"

#include "node/base/invariant.h"
#include "tests/sim/check.h"
#include "tests/sim/machine.h"
#include "tests/sim/node.h"
#include "tests/sim/peers.h"
#include "tests/sim/world.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* name, policy, whether it tells */
static const struct {
    const char *name;
    enum intent_policy policy;
    bool tells;
} objects[] = {
    {"tells/0", INTENT_SKIP, true},      {"tells/1", INTENT_RETRY, true},
    {"tells/2", INTENT_PARK, true},      {"mute/skip", INTENT_SKIP, false},
    {"mute/retry", INTENT_RETRY, false}, {"mute/park", INTENT_PARK, false},
};

#define OBJECT_COUNT ((int64_t)(sizeof objects / sizeof objects[0]))

static struct errand *find(struct world *world, const char *key)
{
    for (int i = 0; i < world->outside->count; i++) {
        if (strcmp(world->outside->errands[i].key, key) == 0) {
            return &world->outside->errands[i];
        }
    }
    return NULL;
}

static struct node *acting_node(struct world *world)
{
    for (int i = 0; i < world->node_count; i++) {
        if (node_runs(&world->nodes[i]) && node_may_act(&world->nodes[i])) {
            return &world->nodes[i];
        }
    }
    return NULL;
}

/* ---- faults ---- */

void outside_new_errand(struct world *world)
{
    struct outside *self = world->outside;
    int64_t object = world_between(world, 0, OBJECT_COUNT - 1);
    bool fleeting = world_percent(world, 25);
    if (self->count == OUTSIDE_ERRANDS_MAX) {
        return;
    }
    struct errand *errand = &self->errands[self->count];
    const struct node *leader = acting_node(world);
    *errand = (struct errand){.policy = objects[object].policy,
                              .tells = objects[object].tells,
                              .effects_allowed = 1,
                              .only_term = fleeting && leader != NULL ? leader->view.term : 0};
    (void)snprintf(errand->key, sizeof errand->key, OUTSIDE_MANAGER "/e%d", self->count);
    (void)snprintf(errand->object, sizeof errand->object, "%s", objects[object].name);
    self->count++;
    TRACE(world, "%s shall be done on %s", errand->key, errand->object);
}

static void take_again(struct node *leader, const char *key)
{
    struct command command = {.type = COMMAND_INTENT_TAKE, .reason = REASON_OPERATOR};
    (void)snprintf(command.intent_take.key, sizeof command.intent_take.key, "%s", key);
    (void)duties_propose(leader, &command, duties_subject(key));
}

static void drop(struct node *leader, const char *key)
{
    struct command command = {.type = COMMAND_INTENT_DONE, .reason = REASON_OPERATOR};
    (void)snprintf(command.intent_done.key, sizeof command.intent_done.key, "%s", key);
    command.intent_done.verdict = INTENT_DROPPED;
    (void)duties_propose(leader, &command, duties_subject(key));
}

void outside_decide(struct world *world)
{
    bool again = world_percent(world, 50);
    struct node *leader = acting_node(world);
    const struct state *state = leader == NULL ? NULL : machine_state(leader->machine);
    for (size_t i = 0; state != NULL && i < state_intent_count(state); i++) {
        const struct state_intent *row = state_intent_at(state, i);
        if (row->state != INTENT_PARKED) {
            continue;
        }
        char key[INTENT_KEY_SIZE];
        memcpy(key, row->key, sizeof key);
        TRACE(world, "a person decides that %s is %s", key, again ? "tried again" : "dropped");
        (again ? take_again : drop)(leader, key);
        return;
    }
}

/* ---- the other side ---- */

struct outside_request outside_send(struct world *world)
{
    struct outside_request ret = {.arrives_us = world_between(world, 1000, 120000)};
    ret.answers_us = ret.arrives_us + world_between(world, 1000, 120000);
    if (world->faults && world_percent(world, 5)) {
        ret.arrives_us = -1;
        ret.answers_us = -1;
    } else if (world->faults && world_percent(world, 12)) {
        ret.answers_us = -1;
    }
    return ret;
}

/* What was opened on the object before, and stands open or parked. */
static const struct errand *earlier_on(const struct world *world, const struct errand *errand)
{
    for (int i = 0; i < world->outside->count; i++) {
        const struct errand *other = &world->outside->errands[i];
        if (other->opened && !other->done && other->opened_index < errand->opened_index &&
            strcmp(other->object, errand->object) == 0) {
            return other;
        }
    }
    return NULL;
}

bool outside_perform(struct node *node, int which)
{
    struct world *world = node->world;
    struct errand *errand = &world->outside->errands[which];
    if (errand->refused || (errand->effects == 0 && world->faults && world_percent(world, 4))) {
        errand->refused = true;
        TRACE(world, "%s is refused on %s", errand->key, errand->object);
        return false;
    }
    errand->effects++;
    world->verdict->stats.outside_effects++;
    TRACE(world, "n%d has the effect of %s on %s (%d)", node->index, errand->key, errand->object,
          errand->effects);
    if (!errand->opened) {
        check_failed(world, "I5", "n%d performs %s without an intent", node->index, errand->key);
    }
    if (errand->done) {
        check_failed(world, "I5", "n%d performs %s, which is done", node->index, errand->key);
    }
    bool once = errand->tells || errand->policy != INTENT_RETRY;
    if (once && errand->effects > errand->effects_allowed) {
        check_failed(world, "I5", "n%d performs %s once more, as number %d", node->index,
                     errand->key, errand->effects);
    }
    const struct errand *earlier = earlier_on(world, errand);
    if (earlier != NULL) {
        check_failed(world, "I5", "n%d performs %s before %s is settled", node->index, errand->key,
                     earlier->key);
    }
    return true;
}

enum intent_evidence outside_verify(struct world *world, int which)
{
    const struct errand *errand = &world->outside->errands[which];
    if (world->faults && world_percent(world, 20)) {
        return INTENT_ASK_LATER;
    }
    if (!errand->tells) {
        return INTENT_CANNOT_TELL;
    }
    return errand->effects > 0 ? INTENT_IT_HAPPENED : INTENT_IT_DID_NOT;
}

/* ---- checks ---- */

static void take_done(struct node *node, struct errand *errand,
                      const struct command_intent_done *done)
{
    errand->done = true;
    errand->parked = false;
    if (done->verdict == INTENT_HAPPENED && errand->effects == 0) {
        check_failed(node->world, "I5", "%s is said to have happened", errand->key);
    }
    if (done->verdict == INTENT_REFUSED && (errand->effects > 0 || !errand->refused)) {
        check_failed(node->world, "I5", "%s is said to be refused", errand->key);
    }
    if (done->verdict == INTENT_SKIPPED && (errand->tells || errand->policy != INTENT_SKIP)) {
        check_failed(node->world, "I5", "%s is given up against its policy", errand->key);
    }
}

void outside_applied(struct node *node, const struct command *command,
                     const struct state_effect *effect)
{
    struct world *world = node->world;
    if (effect->outcome != STATE_APPLIED) {
        return;
    }
    struct errand *errand = NULL;
    switch (command->type) {
    case COMMAND_INTENT_OPEN:
        errand = find(world, command->intent_open.key);
        invariant(errand != NULL);
        errand->opened = true;
        errand->opened_index = effect->index;
        world->verdict->stats.intents++;
        break;
    case COMMAND_INTENT_TAKE:
        errand = find(world, command->intent_take.key);
        invariant(errand != NULL);
        errand->effects_allowed += errand->parked && !errand->tells ? 1 : 0;
        errand->parked = false;
        break;
    case COMMAND_INTENT_DONE:
        errand = find(world, command->intent_done.key);
        invariant(errand != NULL);
        take_done(node, errand, &command->intent_done);
        break;
    case COMMAND_INTENT_PARK:
        errand = find(world, command->intent_park.key);
        invariant(errand != NULL);
        errand->parked = true;
        world->verdict->stats.parked++;
        break;
    default:
        break;
    }
}

static bool waits_for_person(const struct world *world, const struct errand *errand)
{
    for (int i = 0; i < world->outside->count; i++) {
        const struct errand *other = &world->outside->errands[i];
        if (other->parked && strcmp(other->object, errand->object) == 0) {
            return true;
        }
    }
    return false;
}

void outside_check_end(struct world *world, const struct node *leader)
{
    const struct state *state = machine_state(leader->machine);
    for (int i = 0; i < world->outside->count; i++) {
        const struct errand *errand = &world->outside->errands[i];
        const struct state_intent *row = state_intent_by_key(state, errand->key);
        bool waits = waits_for_person(world, errand);
        if (row == NULL) {
            if (errand->opened || (errand->only_term == 0 && !waits)) {
                check_failed(world, "L5", "%s is %s", errand->key,
                             errand->opened ? "lost" : "still to be done");
            }
            continue;
        }
        if (row->state == INTENT_OPEN && !waits) {
            check_failed(world, "L5", "%s (%s) is open at the end, of term %" PRIu64, errand->key,
                         errand->object, row->term);
        }
    }
}
