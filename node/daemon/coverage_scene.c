#include "node/daemon/coverage_scene.h"

#include "node/base/clock.h"
#include "node/base/doc.h"
#include "node/daemon/maintenance.h"
#include "node/daemon/node.h"
#include "node/daemon/observed.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- duties, as placement wants them told ---- */

static void describe_duty(const struct state_duty *row, struct placement_duty *ret)
{
    *ret = (struct placement_duty){.wanted = row->is.wanted,
                                   .priority = row->is.priority,
                                   .once = row->is.once,
                                   .spent = row->is.once && row->assignment.number != 0,
                                   .assigned = state_duty_held(row),
                                   .raft_id = row->assignment.raft_id,
                                   .incarnation = row->assignment.incarnation};
    (void)snprintf(ret->id, sizeof ret->id, "%s", row->is.id);
    (void)snprintf(ret->manager, sizeof ret->manager, "%s", row->manager);
}

struct coverage_scene *coverage_scene_create(const struct node *self)
{
    struct coverage_scene *ret = calloc(1, sizeof *ret);
    size_t count = state_duty_count(self->state);
    if (ret == NULL || (ret->duties = calloc(count + 1, sizeof ret->duties[0])) == NULL) {
        free(ret);
        return NULL;
    }
    ret->self = self;
    ret->node_count = duties_describe_nodes(self, ret->nodes);
    for (size_t i = 0; i < count; i++) {
        describe_duty(state_duty_at(self->state, i), &ret->duties[i]);
    }
    ret->duty_count = count;
    return ret;
}

static void let_go(struct coverage_scene *scene)
{
    json_decref(scene->declared);
    scene->declared = NULL;
    for (size_t i = 0; i < NODES_MAX; i++) {
        json_decref(scene->seen[i]);
        scene->seen[i] = NULL;
    }
}

void coverage_scene_destroy(struct coverage_scene **self_p)
{
    if (self_p != NULL && *self_p != NULL) {
        let_go(*self_p);
        free((*self_p)->duties);
        free(*self_p);
        *self_p = NULL;
    }
}

/* ---- managers ---- */

static bool is_among(const char names[][NAME_SIZE], size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(names[i], name) == 0) {
            return true;
        }
    }
    return false;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(a, b);
}

size_t coverage_scene_managers(const struct coverage_scene *scene, char ret[][NAME_SIZE])
{
    const struct node *self = scene->self;
    size_t count = 0;
    for (size_t i = 0; i < sizeof self->observations / sizeof self->observations[0]; i++) {
        const struct observation *seen = &self->observations[i];
        if (seen->bytes != NULL && count < MANAGERS_MAX &&
            !is_among((const char(*)[NAME_SIZE])ret, count, seen->manager)) {
            memcpy(ret[count++], seen->manager, NAME_SIZE);
        }
    }
    qsort(ret, count, NAME_SIZE, compare_names);
    return count;
}

static json_t *declared_on(const struct coverage_scene *scene, const char *node)
{
    for (size_t i = 0; i < scene->node_count; i++) {
        if (strcmp(scene->nodes[i].name, node) == 0 &&
            json_is_array(json_object_get(scene->seen[i], "primaries_declared"))) {
            return json_incref(scene->seen[i]);
        }
    }
    return NULL;
}

/* Backups of one primary are spread: placement knows them as a group. */
static void note_groups(struct coverage_scene *scene)
{
    size_t index;
    json_t *row;
    json_array_foreach(json_object_get(scene->declared, "backups_declared"), index, row)
    {
        const char *duty = doc_get_text(row, "duty", "");
        for (size_t i = 0; i < scene->duty_count; i++) {
            if (strcmp(scene->duties[i].id, duty) == 0) {
                (void)snprintf(scene->duties[i].group, sizeof scene->duties[i].group, "%s/%s",
                               scene->manager, doc_get_text(row, "stands_in_for", ""));
            }
        }
    }
}

bool coverage_scene_turn(struct coverage_scene *scene, const char *manager)
{
    const struct node *self = scene->self;
    let_go(scene);
    (void)snprintf(scene->manager, sizeof scene->manager, "%s", manager);
    for (size_t i = 0; i < scene->node_count; i++) {
        scene->seen[i] = observed_document(self, scene->nodes[i].name, manager, NULL);
    }
    scene->declared = declared_on(scene, node_name_of(self, node_leader(self)));
    if (scene->declared == NULL) {
        scene->declared = declared_on(scene, node_name(self));
    }
    for (size_t i = 0; scene->declared == NULL && i < scene->node_count; i++) {
        scene->declared = declared_on(scene, scene->nodes[i].name);
    }
    note_groups(scene);
    return scene->declared != NULL;
}

/* ---- primaries ---- */

static uint64_t bit(size_t node)
{
    return UINT64_C(1) << node;
}

static bool names_node(const json_t *names, const char *node)
{
    size_t index;
    json_t *name;
    json_array_foreach(names, index, name)
    {
        if (json_is_string(name) && strcmp(json_string_value(name), node) == 0) {
            return true;
        }
    }
    return false;
}

/* What the node's manager says of the primary; NULL: nothing. */
static const char *state_on(const struct coverage_scene *scene, size_t node, const char *name)
{
    size_t index;
    json_t *row;
    json_array_foreach(json_object_get(scene->seen[node], "primaries"), index, row)
    {
        if (strcmp(doc_get_text(row, "name", ""), name) == 0) {
            return doc_get_text(row, "state", NULL);
        }
    }
    return NULL;
}

enum sight { SIGHT_NOTHING, SIGHT_UNREACHABLE, SIGHT_DOWN, SIGHT_BETWEEN, SIGHT_UP };

static const char *const sight_names[] = {"unknown", "unreachable", "down", "between", "up"};

static enum sight see(const struct coverage_scene *scene, size_t node, const char *name)
{
    const char *state = state_on(scene, node, name);
    for (enum sight i = SIGHT_DOWN; state != NULL && i <= SIGHT_UP; i++) {
        if (strcmp(state, sight_names[i]) == 0) {
            return scene->nodes[node].alive ? i : SIGHT_UNREACHABLE;
        }
    }
    return SIGHT_NOTHING; /* it is elsewhere, or not known */
}

void coverage_scene_primary(const struct coverage_scene *scene, const json_t *row,
                            struct coverage_primary *ret, const char **ret_state)
{
    const char *name = doc_get_text(row, "name", "");
    const json_t *on = json_object_get(row, "on");
    uint64_t up = 0;
    uint64_t here = 0;
    uint64_t listed = 0;
    enum sight best = SIGHT_NOTHING;
    for (size_t i = 0; i < scene->node_count; i++) {
        enum sight sight = see(scene, i, name);
        best = sight > best ? sight : best;
        up |= sight == SIGHT_UP ? bit(i) : 0;
        here |= sight != SIGHT_NOTHING ? bit(i) : 0;
        listed |= names_node(on, scene->nodes[i].name) ? bit(i) : 0;
    }
    ret->critical = doc_get_bool(row, "critical", false);
    ret->at = up != 0 ? up : here != 0 ? here : listed;
    *ret_state = sight_names[best];
}

/* ---- backups ---- */

/* The leader's manager decides: is it armed there? The gate tells only what the state says. */
static bool leader_in_shadow(const struct node *self, const char *manager)
{
    const struct report *report = reports_of(self, node_name_of(self, node_leader(self)));
    for (size_t i = 0; report != NULL && i < report->manager_count; i++) {
        if (strcmp(report->managers[i].name, manager) == 0) {
            return report->managers[i].shadow;
        }
    }
    return false;
}

static bool is_failed(const struct node *self, const struct state_duty *duty)
{
    return duty != NULL && state_duty_held(duty) &&
           strcmp(document_duty_state(self, duty), manager_duty_phase_name(MANAGER_DUTY_FAILED)) ==
               0;
}

/* What holds its manager's work still; false: nothing does. */
static bool find_gate(const struct coverage_scene *scene, enum coverage_reason *ret)
{
    enum gate gate = maintenance_gate(scene->self, scene->manager);
    switch (gate) {
    case GATE_STOPPED:
        *ret = COVERAGE_STOPPED;
        return true;
    case GATE_MAINTENANCE:
        *ret = COVERAGE_MAINTENANCE;
        return true;
    case GATE_PAUSED:
        *ret = COVERAGE_PAUSED;
        return true;
    case GATE_SHADOW:
    case GATE_OPEN:
        break;
    }
    *ret = COVERAGE_SHADOW;
    return gate == GATE_SHADOW || leader_in_shadow(scene->self, scene->manager);
}

/* Does anything keep it from being started at all? What runs goes on behind any gate. */
static bool find_bar(const struct coverage_scene *scene, const json_t *row,
                     const struct state_duty *duty, enum coverage_reason *ret)
{
    if (!doc_get_bool(row, "built", true)) {
        *ret = COVERAGE_NOT_BUILT;
        return true;
    }
    if (is_failed(scene->self, duty)) {
        *ret = COVERAGE_FAILED;
        return true;
    }
    return (duty == NULL || !state_duty_held(duty)) && find_gate(scene, ret);
}

static size_t ids_of(const struct node *self, const json_t *names, uint64_t *ret, size_t max)
{
    size_t count = 0;
    size_t index;
    json_t *name;
    json_array_foreach(names, index, name)
    {
        if (json_is_string(name) && count < max) {
            ret[count++] = node_id_of(self, json_string_value(name)); /* 0: a node nobody has */
        }
    }
    return count;
}

static size_t take_labels(const json_t *labels, char ret[][LABEL_SIZE])
{
    size_t count = 0;
    size_t index;
    json_t *label;
    json_array_foreach(labels, index, label)
    {
        if (json_is_string(label) && count < PLACEMENT_LABELS_MAX) {
            (void)snprintf(ret[count++], LABEL_SIZE, "%s", json_string_value(label));
        }
    }
    return count;
}

/* Its nodes; of one that may be anywhere, those where it was seen. */
static void avoid_primary(const struct coverage_scene *scene, const json_t *primary,
                          struct placement_duty *ret)
{
    const json_t *on = json_object_get(primary, "on");
    ret->avoid_count = ids_of(scene->self, on, ret->avoid, PLACEMENT_AVOID_MAX);
    bool anywhere = json_array_size(on) == 0;
    for (size_t i = 0; anywhere && i < scene->node_count; i++) {
        bool seen = see(scene, i, doc_get_text(primary, "name", "")) != SIGHT_NOTHING;
        if (seen && ret->avoid_count < PLACEMENT_AVOID_MAX) {
            ret->avoid[ret->avoid_count++] = scene->nodes[i].raft_id;
        }
    }
    duties_avoid_hosts(scene->self, ret);
}

/* As its manager would ask for it. */
static void wish_for(const struct coverage_scene *scene, const json_t *row, const json_t *primary,
                     struct placement_duty *ret)
{
    const struct node *self = scene->self;
    (void)snprintf(ret->id, sizeof ret->id, "%s", doc_get_text(row, "duty", ""));
    (void)snprintf(ret->manager, sizeof ret->manager, "%s", scene->manager);
    (void)snprintf(ret->group, sizeof ret->group, "%s/%s", scene->manager,
                   doc_get_text(row, "stands_in_for", ""));
    ret->wanted = true;
    ret->priority = doc_get_integer(row, "priority", PLACEMENT_PRIORITY_NORMAL);
    ret->only_count = ids_of(self, json_object_get(row, "on"), ret->only, PLACEMENT_ONLY_MAX);
    avoid_primary(scene, primary, ret);
    ret->label_count = take_labels(json_object_get(row, "labels"), ret->labels);
}

/* A full node has room for who goes before another that it has. */
static bool makes_room(const struct coverage_scene *scene, size_t node, int64_t priority)
{
    for (size_t i = 0; i < scene->duty_count; i++) {
        const struct placement_duty *duty = &scene->duties[i];
        if (duty->assigned && !duty->once && duty->priority < priority &&
            duty->raft_id == scene->nodes[node].raft_id) {
            return true;
        }
    }
    return false;
}

static void ask_placement(struct coverage_scene *scene, size_t position,
                          struct coverage_backup *ret)
{
    size_t count = position < scene->duty_count ? scene->duty_count : position + 1;
    struct placement_world world = {.nodes = scene->nodes,
                                    .node_count = scene->node_count,
                                    .duties = scene->duties,
                                    .duty_count = count};
    placement_explain(scene->self->placing, clock_boot_ms(), &world, position, &scene->told);
    ret->best = scene->told.best;
    for (size_t i = 0; i < scene->told.node_count; i++) {
        enum placement_refusal refusal = scene->told.nodes[i].refusal;
        bool can =
            refusal == PLACEMENT_CAN ||
            (refusal == PLACEMENT_FULL && makes_room(scene, i, scene->duties[position].priority));
        ret->able |= can ? bit(i) : 0;
    }
}

/* Its runs are its proofs. */
static void ask_schedule(const struct coverage_scene *scene, const char *id,
                         struct coverage_backup *ret)
{
    const struct state_schedule *schedule = state_schedule_by_id(scene->self->state, id);
    ret->failing = schedule != NULL && schedule->failures > 0;
    ret->proven = schedule != NULL && schedule->last_ran_wall_ms > 0 && !ret->failing;
}

void coverage_scene_backup(struct coverage_scene *scene, const json_t *row, const json_t *primary,
                           struct coverage_backup *ret)
{
    const char *id = doc_get_text(row, "duty", "");
    const struct state_duty *duty = state_duty_by_id(scene->self->state, id);
    bool held = duty != NULL && state_duty_held(duty);
    *ret = (struct coverage_backup){.home = PLACEMENT_NO_NODE,
                                    .best = PLACEMENT_NO_NODE,
                                    .proven = state_proven_of(scene->self->state, id) != NULL};
    ret->label_count = take_labels(json_object_get(row, "labels"), ret->labels);
    if (doc_get_bool(row, "cron", false)) {
        ask_schedule(scene, id, ret);
    }
    ret->barred = find_bar(scene, row, duty, &ret->bar);
    for (size_t i = 0; held && i < scene->node_count; i++) {
        ret->home = scene->nodes[i].raft_id == duty->assignment.raft_id ? i : ret->home;
    }
    size_t position = 0;
    while (position < scene->duty_count && strcmp(scene->duties[position].id, id) != 0) {
        position++;
    }
    if (position == DUTIES_MAX) {
        return; /* there is no room for one more duty in this cluster */
    }
    struct placement_duty kept = scene->duties[position];
    wish_for(scene, row, primary, &scene->duties[position]);
    ask_placement(scene, position, ret);
    scene->duties[position] = kept;
}
