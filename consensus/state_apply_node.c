#include "consensus/state_internal.h"

#include <string.h>

/* Another row than `mine` that is in the roster and has one of these keys. */
static const struct state_node *key_owner(const struct state *self, const struct command_node *node,
                                          const struct state_node *mine)
{
    for (size_t i = 0; i <= node->extra_key_count; i++) {
        const char *key = i == 0 ? node->public_key : node->extra_keys[i - 1];
        const struct state_node *owner = state_node_by_key(self, key);
        if (owner != NULL && owner != mine && !owner->removed) {
            return owner;
        }
    }
    return NULL;
}

static bool same_texts(const char *a, const char *b, size_t count, size_t size)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(a + i * size, b + i * size) != 0) {
            return false;
        }
    }
    return true;
}

static bool is_same(const struct command_node *a, const struct command_node *b)
{
    return strcmp(a->name, b->name) == 0 && a->raft_id == b->raft_id &&
           strcmp(a->public_key, b->public_key) == 0 && strcmp(a->address, b->address) == 0 &&
           a->wanted == b->wanted && a->extra_key_count == b->extra_key_count &&
           a->label_count == b->label_count &&
           same_texts(a->extra_keys[0], b->extra_keys[0], a->extra_key_count, PUBLIC_KEY_SIZE) &&
           same_texts(a->labels[0], b->labels[0], a->label_count, LABEL_SIZE);
}

static struct state_node *longest_removed(struct state *self)
{
    struct state_node *oldest = NULL;
    for (size_t i = 0; i < self->node_count; i++) {
        struct state_node *row = &self->nodes[i];
        if (row->removed && (oldest == NULL || row->changed_index < oldest->changed_index)) {
            oldest = row;
        }
    }
    return oldest;
}

/* A removed row of the same raft id under another name gives way: the node came back renamed. */
static void forget_former_name(struct state *self, const struct command_node *node)
{
    struct state_table table = state_table_nodes(self);
    for (size_t i = 0; i < self->node_count; i++) {
        struct state_node *row = &self->nodes[i];
        if (row->is.raft_id == node->raft_id && row->removed &&
            strcmp(row->is.name, node->name) != 0) {
            state_table_remove(&table, row);
            return;
        }
    }
}

static void add(struct state *self, struct state_change *change, struct state_node *row)
{
    const struct command_node *node = &change->command->node;
    if (row == NULL) {
        struct state_table table = state_table_nodes(self);
        row = state_table_insert(&table, node->name);
        if (row == NULL) {
            struct state_node *oldest = longest_removed(self);
            if (oldest == NULL) {
                state_refuse(change, ERR_FULL, "the roster has %d nodes already", NODES_MAX);
                return;
            }
            state_table_remove(&table, oldest);
            row = state_table_insert(&table, node->name);
        }
    }
    memcpy(&row->is, node, sizeof(row->is));
    row->draining = false;
    row->removed = false;
    row->since_wall_ms = change->command->wall_ms;
    row->changed_index = change->index;
}

static void put(struct state *self, struct state_change *change)
{
    const struct command_node *node = &change->command->node;
    struct state_table table = state_table_nodes(self);
    struct state_node *row = state_table_find(&table, node->name);
    const struct state_node *same_id = state_node_by_id(self, node->raft_id);
    if (same_id != NULL && same_id != row && !same_id->removed) {
        state_refuse(change, ERR_EXISTS, "this identity is node %s already", same_id->is.name);
        return;
    }
    const struct state_node *owner = key_owner(self, node, row);
    if (owner != NULL) {
        state_refuse(change, ERR_EXISTS, "one of its keys belongs to node %s", owner->is.name);
        return;
    }
    if (row == NULL || row->removed) {
        forget_former_name(self, node);
        add(self, change, state_table_find(&table, node->name));
        return;
    }
    if (row->is.raft_id != node->raft_id || strcmp(row->is.public_key, node->public_key) != 0) {
        state_refuse(change, ERR_EXISTS, "node %s has another founding key; remove it first",
                     node->name);
        return;
    }
    if (is_same(&row->is, node)) {
        state_unchanged(change);
        return;
    }
    memcpy(&row->is, node, sizeof(row->is));
    row->changed_index = change->index;
}

/* The row of a node that is in the roster, or NULL with the refusal written. */
static struct state_node *member(struct state *self, struct state_change *change, const char *name)
{
    struct state_table table = state_table_nodes(self);
    struct state_node *row = state_table_find(&table, name);
    if (row == NULL || row->removed) {
        state_refuse(change, ERR_NOTFOUND, "no node %s in the roster", name);
        return NULL;
    }
    return row;
}

static void drain(struct state *self, struct state_change *change, bool draining)
{
    struct state_node *row = member(self, change, change->command->node_name.name);
    if (row == NULL) {
        return;
    }
    if (row->draining == draining) {
        state_unchanged(change);
        return;
    }
    row->draining = draining;
    row->changed_index = change->index;
}

static void drop(struct state *self, struct state_change *change)
{
    struct state_node *row = member(self, change, change->command->node_name.name);
    if (row == NULL) {
        return;
    }
    row->removed = true;
    row->draining = false;
    row->since_wall_ms = change->command->wall_ms;
    row->changed_index = change->index;
}

static void set_role(struct state *self, struct state_change *change)
{
    const struct command_node_role *wish = &change->command->node_role;
    struct state_node *row = member(self, change, wish->name);
    if (row == NULL) {
        return;
    }
    if (row->is.wanted == wish->wanted) {
        state_unchanged(change);
        return;
    }
    row->is.wanted = wish->wanted;
    row->changed_index = change->index;
}

void state_apply_node(struct state *self, struct state_change *change)
{
    switch (change->command->type) {
    case COMMAND_NODE_PUT:
        put(self, change);
        return;
    case COMMAND_NODE_REMOVE:
        drop(self, change);
        return;
    case COMMAND_NODE_DRAIN:
        drain(self, change, true);
        return;
    case COMMAND_NODE_UNDRAIN:
        drain(self, change, false);
        return;
    default:
        set_role(self, change);
        return;
    }
}
