/* Nodes and duties for the tests of placement. */
#ifndef UNDERSTUDY_TESTS_UNIT_STATE_PLACEMENT_FIXTURE_H
#define UNDERSTUDY_TESTS_UNIT_STATE_PLACEMENT_FIXTURE_H

#include "consensus/placement.h"

#include <stdio.h>

/* "n1", alive and well, at incarnation 5, able to do the work of pm2. */
static inline struct placement_node node_of(uint64_t raft_id)
{
    struct placement_node node = {.raft_id = raft_id,
                                  .incarnation = 5,
                                  .alive = true,
                                  .score_known = true,
                                  .score = 90,
                                  .manager_count = 1,
                                  .managers = {{.name = "pm2", .percent = 100}}};
    (void)snprintf(node.name, sizeof(node.name), "n%u", (unsigned)raft_id);
    return node;
}

static inline void put_label(struct placement_node *node, const char *label)
{
    (void)snprintf(node->labels[node->label_count++], LABEL_SIZE, "%s", label);
}

static inline struct placement_duty duty_of(const char *name)
{
    struct placement_duty duty = {.wanted = true, .manager = "pm2"};
    (void)snprintf(duty.id, sizeof(duty.id), "pm2/%s", name);
    return duty;
}

static inline struct placement_duty held_by(const char *name, uint64_t raft_id)
{
    struct placement_duty duty = duty_of(name);
    duty.assigned = true;
    duty.raft_id = raft_id;
    duty.incarnation = 5;
    return duty;
}

static inline void ask_for_label(struct placement_duty *duty, const char *label)
{
    (void)snprintf(duty->labels[duty->label_count++], LABEL_SIZE, "%s", label);
}

#endif
