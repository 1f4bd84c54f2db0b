#include "consensus/placement_scene.h"

#include "node/base/invariant.h"

#include <stdlib.h>
#include <string.h>

/* What goes before counts more than all that comes after it together: groups of up to 20 for hosts
 * before zones, any for nodes before hosts and for the avoid list before all. */
#define WEIGHT_ZONE INT64_C(1000)
#define WEIGHT_HOST INT64_C(20000)
#define WEIGHT_NODE INT64_C(100000000)
#define WEIGHT_AVOID INT64_C(1000000000000)

#define POINTS_PER_DUTY 10
#define STICKY_TENTHS 200 /* of a score: what a node has it keeps unless it is worse by that */
#define POINTS_UNKNOWN_HEALTH (-305) /* between warning and critical */
#define POINTS_FULL_LOAD (-20)
#define POINTS_PER_PERCENT 2

#define NAME_SLOTS (sizeof(((struct scene_names *)NULL)->slots) / sizeof(uint16_t))

/* ---- names ---- */

static size_t slot_of(const char *text)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325); /* FNV-1a */
    for (; *text != '\0'; text++) {
        hash = (hash ^ (uint8_t)*text) * UINT64_C(0x100000001b3);
    }
    return (size_t)(hash ^ (hash >> 32)) % NAME_SLOTS;
}

static void names_clear(struct scene_names *self)
{
    self->count = 0;
    memset(self->slots, 0, sizeof(self->slots));
}

/* The text's number; DUTIES_MAX when it is new and there are as many already. */
static size_t names_number(struct scene_names *self, const char *text, bool *ret_new)
{
    *ret_new = false;
    size_t slot = slot_of(text);
    while (self->slots[slot] != 0) {
        size_t number = self->slots[slot] - 1U;
        if (strcmp(self->texts[number], text) == 0) {
            return number;
        }
        slot = (slot + 1) % NAME_SLOTS;
    }
    *ret_new = true;
    if (self->count < DUTIES_MAX) {
        self->texts[self->count] = text;
        self->slots[slot] = (uint16_t)(self->count + 1);
        return self->count++;
    }
    return DUTIES_MAX;
}

/* ---- nodes ---- */

/* Straight lines between the corners that struct placement_points names. */
static int64_t points_of_score(int64_t tenths)
{
    if (tenths >= 800) {
        return 0;
    }
    if (tenths >= 750) {
        return (tenths - 800) * 2;
    }
    return tenths >= 500 ? -100 + (tenths - 750) * 8 / 10 : -300 + (tenths - 500);
}

static int64_t tenths_of(const struct placement_node *node)
{
    return (int64_t)(node->score * 10.0 + 0.5);
}

static int64_t health_points(const struct placement_node *node)
{
    return node->score_known ? points_of_score(tenths_of(node)) : POINTS_UNKNOWN_HEALTH;
}

/* What is unknown drives nothing away. */
static int64_t health_points_at_home(const struct placement_node *node)
{
    return node->score_known ? points_of_score(tenths_of(node) + STICKY_TENTHS) : 0;
}

static int64_t load_points(const struct placement_node *node)
{
    return node->load_known ? (int64_t)(node->load * POINTS_FULL_LOAD / 100.0 - 0.5) : 0;
}

bool scene_has_label(const struct placement_node *node, const char *label)
{
    for (size_t i = 0; i < node->label_count && i < NODE_LABELS_MAX; i++) {
        if (strcmp(node->labels[i], label) == 0) {
            return true;
        }
    }
    return false;
}

/* Its label with that key, as "key=value"; NULL: it has none. */
static const char *label_of(const struct placement_node *node, const char *key)
{
    size_t length = strlen(key);
    for (size_t i = 0; i < node->label_count && i < NODE_LABELS_MAX; i++) {
        if (strncmp(node->labels[i], key, length) == 0 && node->labels[i][length] == '=') {
            return node->labels[i];
        }
    }
    return NULL;
}

/* A node without the label shares it with nobody. */
static size_t first_alike(const struct scene *self, size_t node, const char *key)
{
    const char *label = label_of(&self->nodes[node], key);
    for (size_t i = 0; label != NULL && i < node; i++) {
        if (scene_has_label(&self->nodes[i], label)) {
            return i;
        }
    }
    return node;
}

static size_t rank_of(const struct scene *self, size_t node)
{
    size_t rank = 0;
    for (size_t i = 0; i < self->node_count; i++) {
        rank += strcmp(self->nodes[i].name, self->nodes[node].name) < 0 ? 1 : 0;
    }
    return rank;
}

static void note_id(struct scene *self, size_t node)
{
    size_t slot = self->nodes[node].raft_id % SCENE_ID_SLOTS;
    while (self->ids[slot] != 0) {
        slot = (slot + 1) % SCENE_ID_SLOTS;
    }
    self->ids[slot] = (uint8_t)(node + 1);
}

static void fill_nodes(struct scene *self)
{
    self->takers = 0;
    memset(self->ids, 0, sizeof(self->ids));
    for (size_t i = 0; i < self->node_count; i++) {
        const struct placement_node *node = &self->nodes[i];
        bool takes = node->alive && !node->draining && !node->witness;
        note_id(self, i);
        self->takers |= takes ? scene_bit(i) : 0;
        self->room[i] = node->room > 0 ? node->room : PLACEMENT_ROOM_DEFAULT;
        self->used[i] = 0;
        self->freeing[i] = 0;
        self->rank[i] = rank_of(self, i);
        self->host[i] = first_alike(self, i, "host");
        self->zone[i] = first_alike(self, i, "zone");
        self->health[i] = health_points(node);
        self->health_at_home[i] = health_points_at_home(node);
        self->load[i] = load_points(node);
    }
}

/* ---- duties ---- */

static size_t position_of(const struct scene *self, uint64_t raft_id)
{
    size_t slot = raft_id % SCENE_ID_SLOTS;
    while (self->ids[slot] != 0) {
        size_t node = self->ids[slot] - 1U;
        if (self->nodes[node].raft_id == raft_id) {
            return node;
        }
        slot = (slot + 1) % SCENE_ID_SLOTS;
    }
    return PLACEMENT_NO_NODE;
}

static uint64_t set_of(const struct scene *self, const uint64_t *ids, size_t count)
{
    uint64_t set = 0;
    for (size_t i = 0; i < count; i++) {
        size_t node = position_of(self, ids[i]);
        set |= node == PLACEMENT_NO_NODE ? 0 : scene_bit(node);
    }
    return set;
}

int8_t scene_percent(const struct placement_node *node, const char *manager)
{
    for (size_t i = 0; i < node->manager_count && i < MANAGERS_MAX; i++) {
        if (strcmp(node->managers[i].name, manager) == 0) {
            int percent = node->managers[i].percent;
            return (int8_t)(percent > 100 ? 100 : percent < 0 ? -1 : percent);
        }
    }
    return -1;
}

static size_t manager_row(struct scene *self, const char *manager)
{
    bool is_new;
    size_t row = names_number(&self->managers, manager, &is_new);
    invariant(row < DUTIES_MAX);
    if (is_new) {
        self->capable[row] = 0;
        for (size_t i = 0; i < self->node_count; i++) {
            self->percents[row][i] = scene_percent(&self->nodes[i], manager);
            self->capable[row] |= self->percents[row][i] > 0 ? scene_bit(i) : 0;
        }
    }
    return row;
}

static size_t group_row(struct scene *self, const char *group)
{
    if (group[0] == '\0') {
        return SCENE_NO_GROUP;
    }
    bool is_new;
    size_t row = names_number(&self->groups, group, &is_new);
    invariant(row < DUTIES_MAX);
    if (is_new) {
        memset(&self->tallies[row], 0, sizeof(self->tallies[row]));
    }
    return row;
}

static uint64_t labelled(struct scene *self, const char *label)
{
    bool is_new;
    size_t row = names_number(&self->labels, label, &is_new);
    if (!is_new) {
        return self->labelled[row];
    }
    uint64_t set = 0;
    for (size_t i = 0; i < self->node_count; i++) {
        set |= scene_has_label(&self->nodes[i], label) ? scene_bit(i) : 0;
    }
    if (row < DUTIES_MAX) {
        self->labelled[row] = set;
    }
    return set;
}

static void fill_duty(struct scene *self, const struct placement_duty *is,
                      const struct placement_switches *off, struct scene_duty *ret)
{
    invariant(is->only_count <= PLACEMENT_ONLY_MAX);
    invariant(is->avoid_count <= PLACEMENT_AVOID_MAX);
    invariant(is->label_count <= PLACEMENT_LABELS_MAX);
    *ret = (struct scene_duty){.is = is, .home = PLACEMENT_NO_NODE, .leaving = is->leaving};
    ret->manager = manager_row(self, is->manager);
    ret->group = group_row(self, is->group);
    ret->avoid = set_of(self, is->avoid, is->avoid_count);
    ret->able = self->takers & self->capable[ret->manager];
    if (is->only_count > 0) {
        ret->able &= set_of(self, is->only, is->only_count);
    }
    for (size_t i = 0; i < is->label_count; i++) {
        ret->able &= labelled(self, is->labels[i]);
    }
    if (is->assigned && !off->held_is_not_free) {
        ret->home = position_of(self, is->raft_id);
        ret->bound = is->bound;
    }
    if (ret->home != PLACEMENT_NO_NODE && is->wanted) {
        scene_put(self, ret, ret->home);
        self->freeing[ret->home] += is->leaving ? 1 : 0;
    }
}

static int compare_duties(const void *a, const void *b)
{
    const struct placement_duty *left = (*(struct scene_duty *const *)a)->is;
    const struct placement_duty *right = (*(struct scene_duty *const *)b)->is;
    if (left->priority != right->priority) {
        return left->priority > right->priority ? -1 : 1;
    }
    return strcmp(left->id, right->id);
}

void scene_fill(struct scene *self, const struct placement_world *world, uint64_t pressed,
                const struct placement_switches *off)
{
    invariant(world->node_count <= NODES_MAX);
    invariant(world->duty_count <= DUTIES_MAX);
    self->nodes = world->nodes;
    self->node_count = world->node_count;
    self->duty_count = world->duty_count;
    self->pressed = pressed;
    names_clear(&self->managers);
    names_clear(&self->groups);
    names_clear(&self->labels);
    fill_nodes(self);
    for (size_t i = 0; i < world->duty_count; i++) {
        fill_duty(self, &world->duties[i], off, &self->duties[i]);
        self->order[i] = &self->duties[i];
    }
    /* NOLINTNEXTLINE(bugprone-sizeof-expression): an array of pointers, the size of one is meant */
    qsort(self->order, self->duty_count, sizeof(self->order[0]), compare_duties);
}

void scene_put(struct scene *self, struct scene_duty *duty, size_t node)
{
    invariant(node < self->node_count && !duty->counted);
    duty->counted = true;
    self->used[node]++;
    if (duty->group != SCENE_NO_GROUP) {
        struct scene_tally *tally = &self->tallies[duty->group];
        tally->node[node]++;
        tally->host[self->host[node]]++;
        tally->zone[self->zone[node]]++;
    }
}

void scene_take(struct scene *self, struct scene_duty *duty, size_t node)
{
    invariant(node < self->node_count && duty->counted && self->used[node] > 0);
    duty->counted = false;
    self->used[node]--;
    if (duty->group != SCENE_NO_GROUP) {
        struct scene_tally *tally = &self->tallies[duty->group];
        tally->node[node]--;
        tally->host[self->host[node]]--;
        tally->zone[self->zone[node]]--;
    }
}

uint64_t scene_open(const struct scene *self, const struct scene_duty *duty)
{
    uint64_t able = duty->able;
    if (duty->is->priority < PLACEMENT_PRIORITY_NORMAL) {
        able &= ~self->pressed;
    }
    uint64_t open = 0;
    for (size_t i = 0; i < self->node_count; i++) {
        bool fits = (able & scene_bit(i)) != 0 && self->used[i] < self->room[i];
        open |= fits ? scene_bit(i) : 0;
    }
    return open;
}

/* ---- which is better ---- */

void scene_view(const struct scene *self, const struct scene_duty *duty, size_t node,
                struct placement_view *ret)
{
    int8_t percent = self->percents[duty->manager][node];
    ret->avoided = (duty->avoid & scene_bit(node)) != 0;
    ret->same_node = 0;
    ret->same_host = 0;
    ret->same_zone = 0;
    if (duty->group != SCENE_NO_GROUP) {
        const struct scene_tally *tally = &self->tallies[duty->group];
        ret->same_node = tally->node[node];
        ret->same_host = tally->host[self->host[node]];
        ret->same_zone = tally->zone[self->zone[node]];
    }
    ret->duties = self->used[node];
    ret->points.health = self->health[node];
    ret->points.load = self->load[node];
    ret->points.capability = -POINTS_PER_PERCENT * (int64_t)(percent < 0 ? 100 : 100 - percent);
    ret->points.duties = -POINTS_PER_DUTY * (int64_t)self->used[node];
    ret->sum = ret->points.health + ret->points.load + ret->points.capability + ret->points.duties;
}

int64_t scene_score(const struct scene *self, const struct scene_duty *duty, size_t node)
{
    struct placement_view view;
    scene_view(self, duty, node, &view);
    return view.sum - (view.avoided ? WEIGHT_AVOID : 0) - WEIGHT_NODE * (int64_t)view.same_node -
           WEIGHT_HOST * (int64_t)view.same_host - WEIGHT_ZONE * (int64_t)view.same_zone;
}

size_t scene_best(const struct scene *self, const struct scene_duty *duty, uint64_t among)
{
    size_t best = PLACEMENT_NO_NODE;
    int64_t best_score = 0;
    for (size_t i = 0; i < self->node_count; i++) {
        if ((among & scene_bit(i)) == 0) {
            continue;
        }
        int64_t score = scene_score(self, duty, i);
        bool better = best == PLACEMENT_NO_NODE || score > best_score ||
                      (score == best_score && self->rank[i] < self->rank[best]);
        best = better ? i : best;
        best_score = better ? score : best_score;
    }
    return best;
}

/* ---- what must go ---- */

/* Of a duty that has a node: why may it not stay there? */
static bool must_leave(const struct scene *self, const struct scene_duty *duty,
                       enum placement_reason *ret)
{
    const struct placement_node *node = &self->nodes[duty->home];
    uint64_t home = scene_bit(duty->home);
    if (!node->alive) {
        *ret = PLACEMENT_NODE_DEAD;
    } else if (node->draining || node->witness) {
        *ret = PLACEMENT_NODE_DRAINING;
    } else if ((self->capable[duty->manager] & home) == 0) {
        *ret = PLACEMENT_NODE_INCAPABLE;
    } else if (node->incarnation > duty->is->incarnation) {
        *ret = PLACEMENT_NODE_RESTARTED;
    } else if ((duty->able & home) == 0) {
        *ret = PLACEMENT_NODE_EXCLUDED;
    } else {
        return false;
    }
    return true;
}

bool scene_needs_place(const struct scene *self, const struct scene_duty *duty,
                       enum placement_reason *ret)
{
    const struct placement_duty *is = duty->is;
    if (!is->wanted || is->rests || (is->once && (is->spent || is->assigned))) {
        return false;
    }
    if (duty->home != PLACEMENT_NO_NODE) {
        return must_leave(self, duty, ret);
    }
    *ret = is->assigned ? PLACEMENT_NODE_GONE : PLACEMENT_UNASSIGNED;
    return true;
}
