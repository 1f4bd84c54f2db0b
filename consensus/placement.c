#include "consensus/placement.h"

#include "node/base/invariant.h"

#include <stdlib.h>
#include <string.h>

const char *placement_reason_name(enum placement_reason reason)
{
    switch (reason) {
    case PLACEMENT_UNASSIGNED:
        return "unassigned";
    case PLACEMENT_NODE_RESTARTED:
        return "node_restarted";
    case PLACEMENT_NODE_GONE:
        return "node_gone";
    case PLACEMENT_NODE_DEAD:
        return "node_dead";
    case PLACEMENT_NODE_DRAINING:
        return "node_draining";
    case PLACEMENT_NODE_INCAPABLE:
        return "node_incapable";
    }
    return "unknown";
}

static bool is_capable(const struct placement_node *node, const char *manager)
{
    for (size_t i = 0; i < node->manager_count && i < MANAGERS_MAX; i++) {
        if (strcmp(node->managers[i], manager) == 0) {
            return true;
        }
    }
    return false;
}

static bool is_among(const struct placement_node *node, const uint64_t *ids, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (ids[i] == node->raft_id) {
            return true;
        }
    }
    return false;
}

static bool can_take(const struct placement_node *node, const struct placement_duty *duty)
{
    invariant(duty->only_count <= PLACEMENT_ONLY_MAX);
    return node->alive && !node->draining && !node->witness && is_capable(node, duty->manager) &&
           (duty->only_count == 0 || is_among(node, duty->only, duty->only_count));
}

enum placement_move placement_move_step(const struct placement_node *nodes, size_t node_count,
                                        const struct placement_duty *duty, const char *target,
                                        size_t *ret_node)
{
    if (target == NULL) {
        return PLACEMENT_MOVE_NONE;
    }
    for (size_t i = 0; i < node_count; i++) {
        bool there = duty->assigned && duty->raft_id == nodes[i].raft_id;
        if (strcmp(nodes[i].name, target) == 0 && can_take(&nodes[i], duty) && !there) {
            *ret_node = i;
            return PLACEMENT_MOVE_GO;
        }
    }
    return PLACEMENT_MOVE_DROP;
}

static bool is_avoided(const struct placement_node *node, const struct placement_duty *duty)
{
    invariant(duty->avoid_count <= PLACEMENT_AVOID_MAX);
    return is_among(node, duty->avoid, duty->avoid_count);
}

/* Health by state, as noise within a state must not outweigh the load. Unknown is neither healthy
 * nor dead: it ranks between warning and critical. */
static int health_class(const struct placement_node *node)
{
    if (!node->score_known) {
        return 1;
    }
    if (node->score >= 80.0) {
        return 3;
    }
    return node->score >= 50.0 ? 2 : 0;
}

struct candidate {
    const struct placement_node *node;
    bool avoided;
    size_t duties;
};

static bool is_better(const struct candidate *a, const struct candidate *b)
{
    if (a->avoided != b->avoided) {
        return !a->avoided;
    }
    int a_class = health_class(a->node);
    int b_class = health_class(b->node);
    if (a_class != b_class) {
        return a_class > b_class;
    }
    if (a->duties != b->duties) {
        return a->duties < b->duties;
    }
    return strcmp(a->node->name, b->node->name) < 0;
}

/* Does the duty have to be placed, and why? `home`: position of the node it is assigned to. */
static bool needs_place(const struct placement_node *nodes, size_t node_count,
                        const struct placement_duty *duty, size_t home, enum placement_reason *ret)
{
    if (!duty->assigned) {
        *ret = PLACEMENT_UNASSIGNED;
        return true;
    }
    if (home >= node_count) {
        *ret = PLACEMENT_NODE_GONE;
        return true;
    }
    const struct placement_node *node = &nodes[home];
    if (!node->alive) {
        *ret = PLACEMENT_NODE_DEAD;
    } else if (node->draining || node->witness) {
        *ret = PLACEMENT_NODE_DRAINING;
    } else if (!is_capable(node, duty->manager)) {
        *ret = PLACEMENT_NODE_INCAPABLE;
    } else if (node->incarnation > duty->incarnation) {
        *ret = PLACEMENT_NODE_RESTARTED;
    } else {
        return false;
    }
    return true;
}

static size_t find_home(const struct placement_node *nodes, size_t node_count,
                        const struct placement_duty *duty)
{
    for (size_t i = 0; duty->assigned && i < node_count; i++) {
        if (nodes[i].raft_id == duty->raft_id) {
            return i;
        }
    }
    return node_count;
}

static size_t choose(const struct placement_node *nodes, size_t node_count,
                     const struct placement_duty *duty, const size_t *loads)
{
    size_t found = node_count;
    struct candidate best = {0};
    for (size_t i = 0; i < node_count; i++) {
        struct candidate candidate = {&nodes[i], is_avoided(&nodes[i], duty), loads[i]};
        if (can_take(&nodes[i], duty) && (found == node_count || is_better(&candidate, &best))) {
            found = i;
            best = candidate;
        }
    }
    return found;
}

static int compare_duties(const void *a, const void *b)
{
    const struct placement_duty *left = *(const struct placement_duty *const *)a;
    const struct placement_duty *right = *(const struct placement_duty *const *)b;
    if (left->priority != right->priority) {
        return left->priority > right->priority ? -1 : 1;
    }
    return strcmp(left->id, right->id);
}

size_t placement_decide(const struct placement_node *nodes, size_t node_count,
                        const struct placement_duty *duties, size_t duty_count,
                        struct placement_target *ret)
{
    invariant(node_count <= NODES_MAX);
    invariant(duty_count <= DUTIES_MAX);
    const struct placement_duty *order[DUTIES_MAX];
    size_t loads[NODES_MAX] = {0};
    for (size_t i = 0; i < duty_count; i++) {
        order[i] = &duties[i];
        size_t home = find_home(nodes, node_count, &duties[i]);
        if (home < node_count && duties[i].wanted) {
            loads[home]++;
        }
    }
    /* NOLINTNEXTLINE(bugprone-sizeof-expression): an array of pointers, the size of one is meant */
    qsort(order, duty_count, sizeof(order[0]), compare_duties);
    size_t count = 0;
    for (size_t i = 0; i < duty_count; i++) {
        const struct placement_duty *duty = order[i];
        size_t home = find_home(nodes, node_count, duty);
        enum placement_reason reason;
        if (!duty->wanted || !needs_place(nodes, node_count, duty, home, &reason)) {
            continue;
        }
        size_t target =
            reason == PLACEMENT_NODE_RESTARTED ? home : choose(nodes, node_count, duty, loads);
        if (target < node_count) {
            loads[target] += target != home ? 1 : 0;
            ret[count++] = (struct placement_target){(size_t)(duty - duties), target, reason};
        }
    }
    return count;
}
