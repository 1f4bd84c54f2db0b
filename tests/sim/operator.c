#include "tests/sim/operator.h"

#include "consensus/placement.h"
#include "tests/sim/leading.h"
#include "tests/sim/machine.h"
#include "tests/sim/node.h"
#include "tests/sim/peers.h"
#include "tests/sim/world.h"

#include <inttypes.h>
#include <stdio.h>

#define HOUR_MS 3600000

static struct node *any_node(struct world *world)
{
    return &world->nodes[world_between(world, 0, world->node_count - 1)];
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

void operator_swing(struct world *world)
{
    struct node *node = any_node(world);
    struct wellness *health = &node->health;
    bool ill = world_percent(world, 50);
    health->score_tenths =
        (int)(ill ? world_between(world, 0, 850) : world_between(world, 850, 1000));
    if (world_percent(world, 5)) {
        health->score_tenths = GOSSIP_UNKNOWN;
    }
    health->able = !world_percent(world, 20);
    health->changed = true;
    TRACE(world, "n%d has a score of %d and %s its work", node->index, health->score_tenths / 10,
          health->able ? "can do" : "cannot do");
}

void operator_wall(struct world *world)
{
    struct node *node = any_node(world);
    node->wall_offset_ms = world_between(world, -HOUR_MS, HOUR_MS);
    if (world->options.schedules > 0 && world_percent(world, 50)) { /* right again, or nearly so */
        node->wall_offset_ms = world_between(world, -1000, 1000);
    }
    TRACE(world, "n%d has its wall clock set by %" PRId64 " ms", node->index, node->wall_offset_ms);
}

/* The roster's row of a node that is in it. */
static const struct state_node *row_of(const struct node *leader, const struct node *node)
{
    const struct state_node *row = state_node_by_id(machine_state(leader->machine), node->id);
    return row == NULL || row->removed ? NULL : row;
}

static size_t count_drained(const struct node *leader)
{
    const struct state *state = machine_state(leader->machine);
    size_t count = 0;
    for (size_t i = 0; i < state_node_count(state); i++) {
        const struct state_node *row = state_node_at(state, i);
        count += row->draining && !row->removed ? 1 : 0;
    }
    return count;
}

void operator_drain(struct world *world)
{
    struct node *leader = acting_node(world);
    const struct node *node = any_node(world);
    const struct state_node *row = leader == NULL ? NULL : row_of(leader, node);
    if (row == NULL) {
        return;
    }
    bool may_drain = count_drained(leader) < (size_t)(world->node_count - 1) / 2;
    if (!row->draining && !may_drain) {
        return;
    }
    struct command command = {.type = row->draining ? COMMAND_NODE_UNDRAIN : COMMAND_NODE_DRAIN,
                              .reason = REASON_OPERATOR};
    (void)snprintf(command.node_name.name, sizeof command.node_name.name, "%s", row->is.name);
    TRACE(world, "n%d shall %s", node->index, row->draining ? "drain no more" : "drain");
    (void)duties_propose(leader, &command, node->index);
}

void operator_wish(struct world *world)
{
    struct node *leader = acting_node(world);
    const struct node *node = any_node(world);
    const struct state_node *row = leader == NULL ? NULL : row_of(leader, node);
    if (row == NULL) {
        return;
    }
    bool back = row->is.wanted != NODE_ROLE_AUTO;
    struct command command = {.type = COMMAND_NODE_ROLE, .reason = REASON_OPERATOR};
    command.node_role.wanted = back ? NODE_ROLE_AUTO : (enum node_role)world_between(world, 1, 4);
    (void)snprintf(command.node_role.name, sizeof command.node_role.name, "%s", row->is.name);
    TRACE(world, "n%d shall be %s", node->index, command_node_role_name(command.node_role.wanted));
    (void)duties_propose(leader, &command, node->index);
}

void operator_remove(struct world *world)
{
    struct node *leader = acting_node(world);
    const struct node *node = any_node(world);
    const struct state_node *row = leader == NULL ? NULL : row_of(leader, node);
    size_t members = 0;
    for (int i = 0; leader != NULL && i < world->node_count; i++) {
        members += row_of(leader, &world->nodes[i]) != NULL ? 1 : 0;
    }
    if (row == NULL || members <= 3 || world->next_id >= SIM_IDS_MAX) {
        return;
    }
    struct command command = {.type = COMMAND_NODE_REMOVE, .reason = REASON_NODE_LEFT};
    (void)snprintf(command.node_name.name, sizeof command.node_name.name, "%s", row->is.name);
    TRACE(world, "n%d shall leave the roster", node->index);
    (void)duties_propose(leader, &command, node->index);
}

void operator_move(struct world *world)
{
    struct node *leader = acting_node(world);
    const struct node *node = any_node(world);
    const struct state_node *row = leader == NULL ? NULL : row_of(leader, node);
    if (row == NULL || world->options.duties == 0) {
        return;
    }
    int duty = (int)world_between(world, 0, world->options.duties - 1);
    char id[DUTY_ID_SIZE];
    duties_name(duty, id);
    struct command command = {.type = COMMAND_SETTING_PUT, .reason = REASON_OPERATOR};
    placement_move_key(id, command.setting.key);
    (void)snprintf(command.setting.value, sizeof command.setting.value, "%s", row->is.name);
    TRACE(world, "duty %d shall run on n%d", duty, node->index);
    (void)duties_propose(leader, &command, duty);
}
