/* What placement computes with: the world as masks of nodes and counts, built anew for each
 * decision, so that a look at a node costs a few instructions. For placement*.c only. */
#ifndef UNDERSTUDY_CONSENSUS_PLACEMENT_SCENE_H
#define UNDERSTUDY_CONSENSUS_PLACEMENT_SCENE_H

#include "consensus/placement.h"

#include <assert.h>

static_assert(NODES_MAX <= 64, "a set of nodes is one word");

#define SCENE_NO_GROUP SIZE_MAX
#define SCENE_ID_SLOTS 256

/* Texts numbered from 0, equal ones alike; borrowed. */
struct scene_names {
    size_t count;
    const char *texts[DUTIES_MAX];
    uint16_t slots[2 * DUTIES_MAX]; /* number + 1; 0: free */
};

struct scene_tally { /* of a group: how many there are */
    uint16_t node[NODES_MAX];
    uint16_t host[NODES_MAX]; /* by the host's number */
    uint16_t zone[NODES_MAX];
};

struct scene_duty {
    const struct placement_duty *is;
    bool counted;   /* at home */
    bool bound;     /* another node may not have it yet */
    bool leaving;   /* told before, or in this decision */
    size_t home;    /* position of the node that has it; PLACEMENT_NO_NODE: none */
    size_t manager; /* row of percents */
    size_t group;   /* row of tallies, or SCENE_NO_GROUP */
    uint64_t able;  /* nodes that may take it; room and pressure left aside */
    uint64_t avoid;
};

struct scene {
    const struct placement_node *nodes;
    size_t node_count;
    size_t duty_count;
    uint8_t ids[SCENE_ID_SLOTS]; /* position + 1, by raft id; 0: free */
    uint64_t takers;             /* alive, not draining, no witness */
    uint64_t pressed;            /* closed to work of low priority */
    size_t room[NODES_MAX];
    size_t used[NODES_MAX];
    size_t freeing[NODES_MAX]; /* duties that were told to leave */
    size_t rank[NODES_MAX];    /* by name */
    size_t host[NODES_MAX];    /* position of the first node with the same label */
    size_t zone[NODES_MAX];
    int64_t health[NODES_MAX];
    int64_t health_at_home[NODES_MAX]; /* for what it has already */
    int64_t load[NODES_MAX];
    struct scene_names managers;
    struct scene_names groups;
    struct scene_names labels;
    int8_t percents[DUTIES_MAX][NODES_MAX]; /* by manager; -1: unknown */
    uint64_t capable[DUTIES_MAX];           /* by manager */
    uint64_t labelled[DUTIES_MAX];
    struct scene_tally tallies[DUTIES_MAX];
    struct scene_duty duties[DUTIES_MAX]; /* as in the input */
    struct scene_duty *order[DUTIES_MAX]; /* by priority, then id */
};

static inline uint64_t scene_bit(size_t node)
{
    return UINT64_C(1) << node;
}

/* How much of the manager's work the node can do, in percent; -1: unknown. */
int8_t scene_percent(const struct placement_node *node, const char *manager);
bool scene_has_label(const struct placement_node *node, const char *label);

/* Build it. pressed: nodes under pressure, by position. */
void scene_fill(struct scene *self, const struct placement_world *world, uint64_t pressed,
                const struct placement_switches *off);

/* Count the duty on the node, or not any more. */
void scene_put(struct scene *self, struct scene_duty *duty, size_t node);
void scene_take(struct scene *self, struct scene_duty *duty, size_t node);

/* The nodes of those that may take it which have room and, for low work, no pressure. */
uint64_t scene_open(const struct scene *self, const struct scene_duty *duty);

/* For a duty that is not counted on the node: higher is better. All of a view but `refusal` and
 * `holds`. */
void scene_view(const struct scene *self, const struct scene_duty *duty, size_t node,
                struct placement_view *ret);
int64_t scene_score(const struct scene *self, const struct scene_duty *duty, size_t node);

/* The best of `among` for a duty that is counted on none of them; PLACEMENT_NO_NODE: none. */
size_t scene_best(const struct scene *self, const struct scene_duty *duty, uint64_t among);

/* Must the duty be placed, and why? */
bool scene_needs_place(const struct scene *self, const struct scene_duty *duty,
                       enum placement_reason *ret);

#endif
