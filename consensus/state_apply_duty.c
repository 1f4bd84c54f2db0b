#include "consensus/grants_message.h"
#include "consensus/state_internal.h"

#include <string.h>

bool state_duty_manager(const char *id, char ret[NAME_SIZE])
{
    const char *slash = strchr(id, '/');
    if (slash == NULL || slash == id || slash[1] == '\0' || slash - id >= NAME_SIZE) {
        return false;
    }
    size_t length = (size_t)(slash - id);
    memcpy(ret, id, length);
    ret[length] = '\0';
    return true;
}

static struct state_duty *present(struct state *self, struct state_change *change, const char *id)
{
    struct state_table table = state_table_duties(self);
    struct state_duty *row = state_table_find(&table, id);
    if (row == NULL) {
        state_refuse(change, ERR_NOTFOUND, "no duty %s", id);
    }
    return row;
}

/* A held one of the group and of another side. */
static const struct state_duty *bar_of(const struct state *self, const char *id, const char *alone,
                                       uint32_t side)
{
    for (size_t i = 0; alone[0] != '\0' && i < self->duty_count; i++) {
        const struct state_duty *other = &self->duties[i];
        if (other->is.side != side && strcmp(other->is.alone, alone) == 0 &&
            state_duty_held(other) && strcmp(other->is.id, id) != 0) {
            return other;
        }
    }
    return NULL;
}

const struct state_duty *state_duty_barred_by(const struct state *self,
                                              const struct state_duty *duty)
{
    return bar_of(self, duty->is.id, duty->is.alone, duty->is.side);
}

bool state_duty_regroups(const struct state *self, const struct state_duty *duty, const char *alone,
                         uint32_t side)
{
    if (strcmp(duty->is.alone, alone) == 0 && duty->is.side == side) {
        return false;
    }
    return !state_duty_held(duty) ||
           (duty->is.alone[0] == '\0' && bar_of(self, duty->is.id, alone, side) == NULL);
}

static void put_new(struct state *self, struct state_change *change, const char *manager)
{
    const struct command_duty *duty = &change->command->duty;
    struct state_table table = state_table_duties(self);
    struct state_duty *row = state_table_insert(&table, duty->id);
    if (row == NULL) {
        state_refuse(change, ERR_FULL, "there are %d duties already", DUTIES_MAX);
        return;
    }
    memcpy(&row->is, duty, sizeof(row->is));
    memcpy(row->manager, manager, sizeof(row->manager));
    row->changed_index = change->index;
}

static void put(struct state *self, struct state_change *change)
{
    const struct command_duty *duty = &change->command->duty;
    char manager[NAME_SIZE] = {0};
    if (!state_duty_manager(duty->id, manager)) {
        state_refuse(change, ERR_INVALID, "a duty's id is MANAGER/NAME, not %s", duty->id);
        return;
    }
    if (duty->alone[0] != '\0' ? !duty->exclusive : duty->side != 0) {
        state_refuse(change, ERR_INVALID, "duty %s: only exclusive ones have a group", duty->id);
        return;
    }
    struct state_table table = state_table_duties(self);
    struct state_duty *row = state_table_find(&table, duty->id);
    if (row == NULL) {
        put_new(self, change, manager);
        return;
    }
    if (state_run_of_duty(self, duty->id) != NULL) {
        state_refuse(change, ERR_DENIED, "duty %s is a run's, which ends or is cancelled instead",
                     duty->id);
        return;
    }
    /* What runs without a grant today could not be counted on to stop tomorrow. */
    if (row->is.exclusive != duty->exclusive && state_duty_held(row)) {
        state_refuse(change, ERR_UNSAFE,
                     "duty %s is assigned to %s: release it before it becomes %s", duty->id,
                     row->assignment.node, duty->exclusive ? "exclusive" : "shared");
        return;
    }
    bool regroups = state_duty_regroups(self, row, duty->alone, duty->side);
    if (row->is.exclusive == duty->exclusive && row->is.wanted == duty->wanted &&
        row->is.priority == duty->priority && !regroups) {
        state_unchanged(change);
        return;
    }
    if (regroups) {
        memcpy(row->is.alone, duty->alone, sizeof(row->is.alone));
        row->is.side = duty->side;
    }
    row->is.exclusive = duty->exclusive;
    row->is.wanted = duty->wanted;
    row->is.priority = duty->priority;
    row->changed_index = change->index;
}

/* Forgetting a held exclusive duty would forget who may still run it: added again, it could start
 * elsewhere at once. */
static void drop(struct state *self, struct state_change *change)
{
    struct state_duty *row = present(self, change, change->command->duty_id.id);
    if (row == NULL) {
        return;
    }
    if (row->is.exclusive && state_duty_held(row)) {
        state_refuse(change, ERR_UNSAFE, "duty %s is assigned to %s and not released", row->is.id,
                     row->assignment.node);
        return;
    }
    if (state_run_of_duty(self, row->is.id) != NULL) {
        state_refuse(change, ERR_UNSAFE, "the run of duty %s is under way", row->is.id);
        return;
    }
    struct state_table table = state_table_duties(self);
    state_table_remove(&table, row);
}

static bool node_may_take(const struct state *self, struct state_change *change)
{
    const struct command_assign *assign = &change->command->assign;
    const struct state_node *node = state_node_by_name(self, assign->node);
    if (node == NULL || node->removed || node->is.raft_id != assign->raft_id) {
        state_refuse(change, ERR_NOTFOUND, "no node %s of that identity in the roster",
                     assign->node);
        return false;
    }
    if (node->draining || node->is.wanted == NODE_ROLE_WITNESS) {
        state_refuse(change, ERR_DENIED, "node %s %s", assign->node,
                     node->draining ? "is draining" : "is a witness");
        return false;
    }
    return true;
}

static bool may_replace(const struct state_duty *row, struct state_change *change)
{
    const struct command_assign *assign = &change->command->assign;
    const struct state_assignment *old = &row->assignment;
    if (row->is.once && old->number != 0) {
        state_refuse(change, ERR_EXISTS, "duty %s was assigned to %s: it is assigned only once",
                     row->is.id, old->node);
        return false;
    }
    if (old->number != assign->replaces) {
        state_refuse(change, ERR_STALE, "duty %s has assignment %llu, not %llu", row->is.id,
                     (unsigned long long)old->number, (unsigned long long)assign->replaces);
        return false;
    }
    if (old->raft_id == assign->raft_id && assign->incarnation < old->incarnation) {
        state_refuse(change, ERR_STALE, "node %s has restarted since", assign->node);
        return false;
    }
    if (state_duty_held(row) && old->raft_id == assign->raft_id &&
        old->incarnation == assign->incarnation) {
        state_refuse(change, ERR_EXISTS, "node %s holds duty %s already", assign->node, row->is.id);
        return false;
    }
    return true;
}

static void assign(struct state *self, struct state_change *change)
{
    const struct command_assign *assign = &change->command->assign;
    struct state_duty *row = present(self, change, assign->id);
    if (row == NULL || !node_may_take(self, change) || !may_replace(row, change)) {
        return;
    }
    if (!row->is.wanted) {
        state_refuse(change, ERR_DENIED, "duty %s is not wanted", assign->id);
        return;
    }
    const struct state_duty *bar = state_duty_barred_by(self, row);
    if (bar != NULL) {
        state_refuse(change, ERR_UNSAFE, "duty %.40s, which never runs beside it, is on %.32s",
                     bar->is.id, bar->assignment.node);
        return;
    }
    if (assign->grant_ttl_ms > GRANT_TTL_MS_MAX ||
        (row->is.exclusive && assign->grant_ttl_ms < 1)) {
        state_refuse(change, ERR_INVALID, "grant_ttl is 1 to %d ms", GRANT_TTL_MS_MAX);
        return;
    }
    /* A restarted node's guards may still run on a grant of its former incarnation. */
    int64_t grant_ttl_ms = assign->grant_ttl_ms;
    if (state_duty_held(row) && row->assignment.raft_id == assign->raft_id &&
        row->assignment.grant_ttl_ms > grant_ttl_ms) {
        grant_ttl_ms = row->assignment.grant_ttl_ms;
    }
    change->effect->replaced = row->assignment.number;
    change->effect->number = change->index;
    memset(&row->assignment, 0, sizeof(row->assignment));
    row->assignment.number = change->index;
    memcpy(row->assignment.node, assign->node, sizeof(row->assignment.node));
    row->assignment.raft_id = assign->raft_id;
    row->assignment.incarnation = assign->incarnation;
    row->assignment.term = change->term;
    row->assignment.wall_ms = change->command->wall_ms;
    row->assignment.grant_ttl_ms = grant_ttl_ms;
    row->released = false;
    row->proof = 0;
    row->released_wall_ms = 0;
    row->changed_index = change->index;
}

static void release(struct state *self, struct state_change *change)
{
    const struct command_release *release = &change->command->release;
    change->effect->number = release->assignment;
    struct state_duty *row = present(self, change, release->id);
    if (row == NULL) {
        return;
    }
    if (row->assignment.number != release->assignment || release->assignment == 0) {
        state_refuse(change, ERR_STALE, "duty %s has assignment %llu, not %llu", row->is.id,
                     (unsigned long long)row->assignment.number,
                     (unsigned long long)release->assignment);
        return;
    }
    if (row->released) {
        state_unchanged(change);
        return;
    }
    row->released = true;
    row->proof = release->proof;
    row->released_wall_ms = change->command->wall_ms;
    row->changed_index = change->index;
}

void state_apply_duty(struct state *self, struct state_change *change)
{
    switch (change->command->type) {
    case COMMAND_DUTY_PUT:
        put(self, change);
        return;
    case COMMAND_DUTY_REMOVE:
        drop(self, change);
        return;
    case COMMAND_DUTY_ASSIGN:
        assign(self, change);
        return;
    default:
        release(self, change);
        return;
    }
}
