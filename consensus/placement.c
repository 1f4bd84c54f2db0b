#include "consensus/placement_internal.h"

#include "node/base/invariant.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const struct placement_config placement_config_default = {
    .margin = 15,
    .hold_ms = 10000,
    .dwell_ms = 600000,
    .patience_ms = 30000,
};

struct placement *placement_create(const struct placement_config *config)
{
    struct placement *self = calloc(1, sizeof(*self));
    if (self != NULL) {
        self->config = config != NULL ? *config : placement_config_default;
        invariant(self->config.margin > 0);
        placement_forget(self);
    }
    return self;
}

void placement_destroy(struct placement **self_p)
{
    if (self_p != NULL) {
        free(*self_p);
        *self_p = NULL;
    }
}

void placement_forget(struct placement *self)
{
    self->worth_since_ms = -1;
    self->sent_away_ms = -1;
    self->pressed_count = 0;
    memset(self->notes, 0, sizeof(self->notes));
}

/* ---- what is remembered ---- */

static uint64_t hash_of(const char *duty)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325); /* FNV-1a */
    for (; *duty != '\0'; duty++) {
        hash = (hash ^ (uint8_t)*duty) * UINT64_C(0x100000001b3);
    }
    return hash != 0 ? hash : 1;
}

/* The newest note about the duty; NULL: none. */
static const struct placement_noted_move *note_of(const struct placement *self, const char *duty)
{
    uint64_t hash = hash_of(duty);
    const struct placement_noted_move *found = NULL;
    for (size_t i = 0; i < PLACEMENT_NOTES_MAX; i++) {
        const struct placement_noted_move *note = &self->notes[i];
        if (note->duty == hash && (found == NULL || note->at_ms > found->at_ms)) {
            found = note;
        }
    }
    return found;
}

void placement_note(struct placement *self, int64_t now_ms, const char *duty,
                    const struct placement_target *told)
{
    self->notes[self->note_next] =
        (struct placement_noted_move){.duty = hash_of(duty),
                                      .at_ms = now_ms,
                                      .reason = told->reason,
                                      .nowhere = told->node == PLACEMENT_NO_NODE};
    self->note_next = (self->note_next + 1) % PLACEMENT_NOTES_MAX;
    self->worth_since_ms = -1; /* the next gain must last as long again */
    if (told->reason == PLACEMENT_PRESSURE) {
        self->sent_away_ms = now_ms;
    }
}

enum placement_reason placement_noted(const struct placement *self, int64_t now_ms,
                                      const char *duty)
{
    const struct placement_noted_move *note = note_of(self, duty);
    bool fresh = note != NULL && now_ms - note->at_ms < self->config.dwell_ms;
    return fresh ? note->reason : PLACEMENT_UNASSIGNED;
}

bool placement_is_away(const struct placement *self, int64_t now_ms, const struct scene_duty *duty)
{
    if (duty->home != PLACEMENT_NO_NODE) {
        return false;
    }
    const struct placement_noted_move *note = note_of(self, duty->is->id);
    return note != NULL && note->nowhere && now_ms - note->at_ms < self->config.patience_ms;
}

static const struct placement_pressed *pressed_before(const struct placement_pressed *rows,
                                                      size_t count, uint64_t raft_id)
{
    for (size_t i = 0; i < count; i++) {
        if (rows[i].raft_id == raft_id) {
            return &rows[i];
        }
    }
    return NULL;
}

uint64_t placement_look_at_loads(struct placement *self, int64_t now_ms,
                                 const struct placement_world *world)
{
    struct placement_pressed before[NODES_MAX];
    size_t count = self->pressed_count;
    memcpy(before, self->pressed, count * sizeof(before[0]));
    self->pressed_count = 0;
    uint64_t pressed = 0;
    for (size_t i = 0; i < world->node_count && i < NODES_MAX; i++) {
        const struct placement_node *node = &world->nodes[i];
        const struct placement_pressed *row = pressed_before(before, count, node->raft_id);
        double bound = row != NULL ? PLACEMENT_LOAD_LOW : PLACEMENT_LOAD_HIGH;
        if (node->load_known && node->load >= bound) {
            pressed |= scene_bit(i);
            self->pressed[self->pressed_count++] = (struct placement_pressed){
                .raft_id = node->raft_id, .since_ms = row != NULL ? row->since_ms : now_ms};
        }
    }
    return pressed;
}

/* ---- one decision ---- */

struct decision {
    struct placement *self;
    struct scene *scene;
    int64_t now_ms;
    bool busy; /* something is under way or waits for its turn: nothing moves for a gain */
    size_t count;
    struct placement_target *targets;
};

static void tell(struct decision *self, const struct scene_duty *duty, size_t node, bool leave,
                 enum placement_reason reason)
{
    self->busy = true;
    if (self->count < PLACEMENT_MOVES_MAX) {
        self->targets[self->count++] =
            (struct placement_target){.duty = (size_t)(duty - self->scene->duties),
                                      .node = node,
                                      .leave = leave,
                                      .reason = reason};
    }
}

/* Count it at its new place. */
static void settle(struct decision *self, struct scene_duty *duty, size_t node)
{
    if (duty->counted) {
        scene_take(self->scene, duty, duty->home);
    }
    scene_put(self->scene, duty, node);
    duty->leaving = true; /* on its way: nothing else is done to it */
}

/* May it be sent from where it is for the sake of others? Its holder must be well. */
static bool is_movable(const struct scene *scene, const struct scene_duty *duty)
{
    const struct placement_duty *is = duty->is;
    if (!duty->counted || duty->home == PLACEMENT_NO_NODE || is->rests || is->once ||
        duty->leaving) {
        return false;
    }
    enum placement_reason reason;
    return !scene_needs_place(scene, duty, &reason) || reason == PLACEMENT_NODE_EXCLUDED;
}

/* Tell the holder to let go: for another node that is open to the duty, else for none. */
static void send_away(struct decision *self, struct scene_duty *duty)
{
    uint64_t others = scene_open(self->scene, duty) & ~scene_bit(duty->home);
    size_t node = scene_best(self->scene, duty, others);
    duty->leaving = true;
    if (node != PLACEMENT_NO_NODE) {
        settle(self, duty, node);
        self->scene->used[duty->home]++; /* until it has let go, nobody else has its room */
    }
    tell(self, duty, node, true, PLACEMENT_PRESSURE);
}

/* The first by name. */
static size_t about_to_have_room(const struct scene *scene, uint64_t among)
{
    size_t found = PLACEMENT_NO_NODE;
    for (size_t i = 0; i < scene->node_count; i++) {
        bool frees = (among & scene_bit(i)) != 0 && scene->freeing[i] > 0;
        if (frees && (found == PLACEMENT_NO_NODE || scene->rank[i] < scene->rank[found])) {
            found = i;
        }
    }
    return found;
}

/* Of `among` the lowest under the duty gives way; where a node is about to have room, it is waited
 * for. False: neither. */
static bool find_room(struct decision *self, const struct scene_duty *duty, uint64_t among)
{
    struct scene *scene = self->scene;
    size_t freeing = about_to_have_room(scene, among);
    if (freeing != PLACEMENT_NO_NODE) {
        scene->freeing[freeing]--;
        return true;
    }
    for (size_t i = scene->duty_count; i > 0; i--) {
        struct scene_duty *lower = scene->order[i - 1];
        if (lower->is->priority >= duty->is->priority) {
            return false;
        }
        if (is_movable(scene, lower) && (among & scene_bit(lower->home)) != 0) {
            send_away(self, lower);
            return true;
        }
    }
    return false;
}

/* No node that could take the duty has room. */
static void make_room(struct decision *self, const struct scene_duty *duty)
{
    uint64_t able = duty->able;
    if (duty->is->priority < PLACEMENT_PRIORITY_NORMAL) {
        able &= ~self->scene->pressed;
    }
    if (!find_room(self, duty, able & ~duty->avoid)) {
        (void)find_room(self, duty, able);
    }
}

static void place_one(struct decision *self, struct scene_duty *duty)
{
    enum placement_reason reason;
    if (!scene_needs_place(self->scene, duty, &reason) ||
        placement_is_away(self->self, self->now_ms, duty)) {
        return;
    }
    if (reason == PLACEMENT_NODE_RESTARTED) {
        tell(self, duty, duty->home, false, reason);
        return;
    }
    bool excluded = reason == PLACEMENT_NODE_EXCLUDED;
    if (excluded && duty->leaving) {
        return;
    }
    size_t node = scene_best(self->scene, duty, scene_open(self->scene, duty));
    if (node == PLACEMENT_NO_NODE) {
        if (!excluded) {
            make_room(self, duty);
        }
        return;
    }
    settle(self, duty, node);
    if (excluded || !duty->bound) {
        tell(self, duty, node, excluded, reason);
    }
    self->busy = true;
}

/* Work of low priority leaves a node whose load has been too high for `hold`: the lowest, one at a
 * time, to another node if it can. */
static void relieve(struct decision *self)
{
    struct placement *placement = self->self;
    struct scene *scene = self->scene;
    int64_t hold_ms = placement->config.hold_ms;
    if (placement->sent_away_ms >= 0 && self->now_ms - placement->sent_away_ms < hold_ms) {
        return;
    }
    for (size_t i = scene->duty_count; i > 0; i--) {
        struct scene_duty *duty = scene->order[i - 1];
        if (duty->is->priority >= PLACEMENT_PRIORITY_NORMAL) {
            return;
        }
        if (!is_movable(scene, duty) || (scene->pressed & scene_bit(duty->home)) == 0) {
            continue;
        }
        const struct placement_pressed *row = pressed_before(
            placement->pressed, placement->pressed_count, scene->nodes[duty->home].raft_id);
        if (row != NULL && self->now_ms - row->since_ms >= hold_ms) {
            send_away(self, duty);
            return;
        }
    }
}

bool placement_gain(struct placement *self, int64_t now_ms, struct scene_duty *duty,
                    size_t *ret_node, int64_t *ret_gain)
{
    struct scene *scene = &self->scene;
    enum placement_reason reason;
    if (!is_movable(scene, duty) || scene_needs_place(scene, duty, &reason)) {
        return false;
    }
    scene_take(scene, duty, duty->home);
    uint64_t others = scene_open(scene, duty) & ~scene_bit(duty->home);
    *ret_node = scene_best(scene, duty, others);
    *ret_gain = 0;
    if (*ret_node != PLACEMENT_NO_NODE) {
        int64_t kept = scene->health_at_home[duty->home] - scene->health[duty->home];
        *ret_gain =
            scene_score(scene, duty, *ret_node) - scene_score(scene, duty, duty->home) - kept;
    }
    scene_put(scene, duty, duty->home);
    return *ret_gain >= self->config.margin &&
           placement_noted(self, now_ms, duty->is->id) == PLACEMENT_UNASSIGNED;
}

/* The move that gains most, the first in order of those that gain as much. */
static void improve(struct decision *self)
{
    struct placement *placement = self->self;
    struct scene_duty *chosen = NULL;
    size_t target = PLACEMENT_NO_NODE;
    int64_t most = 0;
    for (size_t i = 0; i < self->scene->duty_count; i++) {
        size_t node;
        int64_t gain;
        if (placement_gain(placement, self->now_ms, self->scene->order[i], &node, &gain) &&
            gain > most) {
            chosen = self->scene->order[i];
            target = node;
            most = gain;
        }
    }
    if (chosen == NULL) {
        placement->worth_since_ms = -1;
        return;
    }
    if (placement->worth_since_ms < 0) {
        placement->worth_since_ms = self->now_ms;
    }
    if (self->now_ms - placement->worth_since_ms >= placement->config.hold_ms) {
        tell(self, chosen, target, true, PLACEMENT_REBALANCE);
    }
}

size_t placement_decide(struct placement *self, int64_t now_ms, const struct placement_world *world,
                        struct placement_target *ret)
{
    struct scene *scene = &self->scene;
    uint64_t pressed = placement_look_at_loads(self, now_ms, world);
    scene_fill(scene, world, pressed, &self->config.off);
    struct decision decision = {.self = self, .scene = scene, .now_ms = now_ms, .targets = ret};
    for (size_t i = 0; i < scene->duty_count; i++) {
        decision.busy =
            decision.busy || (scene->duties[i].leaving && scene->duties[i].is->assigned);
    }
    for (size_t i = 0; i < scene->duty_count; i++) {
        place_one(&decision, scene->order[i]);
    }
    relieve(&decision);
    if (decision.busy) {
        self->worth_since_ms = -1;
    } else {
        improve(&decision);
    }
    return decision.count;
}

/* ---- a wish for a node ---- */

#define MOVE_KEY_ID_MAX 80 /* what nodes of the first version look for */

void placement_move_key(const char *duty, char ret[SETTING_KEY_SIZE])
{
    if (strlen(duty) <= MOVE_KEY_ID_MAX) {
        (void)snprintf(ret, SETTING_KEY_SIZE, "duty.move/%s", duty);
    } else {
        (void)snprintf(ret, SETTING_KEY_SIZE, "duty.move/%.60s#%016" PRIx64, duty, hash_of(duty));
    }
}

enum placement_move placement_move_step(const struct placement_node *nodes, size_t node_count,
                                        const struct placement_duty *duty, const char *target,
                                        size_t *ret_node)
{
    if (target == NULL) {
        return PLACEMENT_MOVE_NONE;
    }
    bool away = strcmp(target, PLACEMENT_NOWHERE) == 0;
    for (size_t i = 0; i < node_count; i++) {
        bool there = duty->assigned && duty->raft_id == nodes[i].raft_id;
        if (away && there && nodes[i].alive) {
            return PLACEMENT_MOVE_AWAY;
        }
        if (!there && strcmp(nodes[i].name, target) == 0 &&
            placement_refuses(&nodes[i], duty) == PLACEMENT_CAN) {
            *ret_node = i;
            return PLACEMENT_MOVE_GO;
        }
    }
    return PLACEMENT_MOVE_DROP;
}
