/* What `coverage` judges, gathered from what this node knows: the replicated state, gossip, and
 * what managers observed and are configured with. So any node answers, and all alike as far as the
 * others have told it. Loop thread. */
#ifndef UNDERSTUDY_NODE_DAEMON_COVERAGE_SCENE_H
#define UNDERSTUDY_NODE_DAEMON_COVERAGE_SCENE_H

#include "consensus/coverage.h"

#include <jansson.h>

struct node;

struct coverage_scene {
    const struct node *self;
    size_t node_count;
    struct placement_node nodes[NODES_MAX];
    size_t duty_count;
    struct placement_duty *duties; /* as the state has them, and room for one more */
    struct placement_explanation told;
    /* Of the manager that is looked at: */
    char manager[NAME_SIZE];
    json_t *declared;        /* of the leader when it told, as its wishes count; else of another */
    json_t *seen[NODES_MAX]; /* its observations, by node; NULL: none */
};

/* NULL when out of memory. */
struct coverage_scene *coverage_scene_create(const struct node *self);
void coverage_scene_destroy(struct coverage_scene **self_p);

/* Names of the managers that told anything, each once, sorted; returns how many are in
 * ret[MANAGERS_MAX]. */
size_t coverage_scene_managers(const struct coverage_scene *scene, char ret[][NAME_SIZE]);
/* Turn to this manager. False: no node tells what it is configured with. */
bool coverage_scene_turn(struct coverage_scene *scene, const char *manager);

/* From a row of `primaries_declared`. *ret_state: "up", "down", "between", "unreachable" or
 * "unknown"; a static text. */
void coverage_scene_primary(const struct coverage_scene *scene, const json_t *row,
                            struct coverage_primary *ret, const char **ret_state);
/* From a row of `backups_declared`; `primary` is the row of what it stands in for. */
void coverage_scene_backup(struct coverage_scene *scene, const json_t *row, const json_t *primary,
                           struct coverage_backup *ret);

#endif
