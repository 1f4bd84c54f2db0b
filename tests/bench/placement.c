/* What one decision about the place of every duty costs an acting leader.
 *
 *     bench_placement COUNT
 *
 * 64 nodes and 1,024 duties, COUNT decisions each: at rest, when a node has died, and when nothing
 * is placed yet (64 moves are decided). */
#include "consensus/placement.h"
#include "node/base/clock.h"
#include "tests/bench/timing.h"

#include <stdio.h>
#include <stdlib.h>

static struct placement_node nodes[NODES_MAX];
static struct placement_duty duties[DUTIES_MAX];

static void fill_nodes(void)
{
    for (size_t i = 0; i < NODES_MAX; i++) {
        struct placement_node *node = &nodes[i];
        *node = (struct placement_node){.raft_id = UINT64_C(0x9e3779b97f4a7c15) * (i + 1),
                                        .incarnation = 1,
                                        .alive = true,
                                        .score_known = true,
                                        .score = 90,
                                        .load_known = true,
                                        .load = (double)(i % 10),
                                        .manager_count = 6,
                                        .label_count = 2};
        (void)snprintf(node->name, sizeof node->name, "node-%02zu", i);
        for (size_t k = 0; k < node->manager_count; k++) {
            (void)snprintf(node->managers[k].name, NAME_SIZE, "manager-%zu", k);
            node->managers[k].percent = 100;
        }
        (void)snprintf(node->labels[0], LABEL_SIZE, "host=h%zu", i / 2);
        (void)snprintf(node->labels[1], LABEL_SIZE, "zone=z%zu", i / 16);
    }
}

/* Each with an avoid list, every eighth with a list of its own and a label; groups of four. */
static void fill_duties(bool assigned)
{
    for (size_t i = 0; i < DUTIES_MAX; i++) {
        struct placement_duty *duty = &duties[i];
        size_t home = i % NODES_MAX;
        *duty = (struct placement_duty){.wanted = true,
                                        .assigned = assigned,
                                        .bound = assigned,
                                        .raft_id = nodes[home].raft_id,
                                        .incarnation = 1,
                                        .avoid_count = 2};
        (void)snprintf(duty->id, sizeof duty->id, "manager-%zu/duty-%04zu", i % 6, i);
        (void)snprintf(duty->manager, sizeof duty->manager, "manager-%zu", i % 6);
        (void)snprintf(duty->group, sizeof duty->group, "group-%04zu", i / 4);
        duty->avoid[0] = nodes[(home + 1) % NODES_MAX].raft_id;
        duty->avoid[1] = nodes[(home + 2) % NODES_MAX].raft_id;
        if (i % 8 == 0) {
            for (size_t k = 0; k < PLACEMENT_ONLY_MAX; k++) {
                duty->only[duty->only_count++] = nodes[(home + 4 * k) % NODES_MAX].raft_id;
            }
            (void)snprintf(duty->labels[duty->label_count++], LABEL_SIZE, "zone=z%zu", home / 16);
        }
    }
}

static void measure(const char *what, size_t count)
{
    struct placement_target targets[PLACEMENT_MOVES_MAX];
    const struct placement_world world = {nodes, NODES_MAX, duties, DUTIES_MAX};
    struct placement *placement = placement_create(NULL);
    if (placement == NULL) {
        (void)fprintf(stderr, "out of memory\n");
        exit(1);
    }
    int64_t *durations_ns = timing_create(count);
    int64_t begin_ns = clock_boot_ns();
    size_t told = 0;
    for (size_t i = 0; i < count; i++) {
        int64_t from_ns = clock_boot_ns();
        told = placement_decide(placement, 0, &world, targets);
        durations_ns[i] = clock_boot_ns() - from_ns;
    }
    timing_print(what, durations_ns, count, clock_boot_ns() - begin_ns);
    (void)printf("%s_targets=%zu\n", what, told);
    free(durations_ns);
    placement_destroy(&placement);
}

int main(int argc, char **argv)
{
    size_t count = argc == 2 ? timing_read_count(argv[1]) : 0;
    if (count == 0) {
        (void)fprintf(stderr, "usage: bench_placement COUNT\n");
        return 2;
    }
    fill_nodes();
    fill_duties(true);
    measure("placement_at_rest", count);
    nodes[0].alive = false;
    measure("placement_node_died", count);
    nodes[0].alive = true;
    fill_duties(false);
    measure("placement_from_nothing", count);
    return 0;
}
