#include "tests/sim/disk.h"

#include "tests/sim/node.h"
#include "tests/sim/world.h"

#include <inttypes.h>

#define SLOW_LEAST_US 1000
#define SLOW_MOST_US 500000
#define STUCK_LEAST_MS 1000
#define STUCK_MOST_MS 12000

bool disk_takes_time(const struct node *node)
{
    return node->disk.stuck_us > 0 || node->world->now_us < node->disk.slow_until_us;
}

int64_t disk_call_us(struct node *node)
{
    struct disk *disk = &node->disk;
    int64_t us = 0;
    if (node->world->now_us < disk->slow_until_us) {
        us = world_between(node->world, SLOW_LEAST_US, disk->slow_most_us);
    }
    if (disk->stuck_us > 0) {
        us = disk->stuck_us;
        disk->stuck_us = 0;
    }
    disk->worst_us = us > disk->worst_us ? us : disk->worst_us;
    return us;
}

int64_t disk_take_worst_ms(struct node *node)
{
    int64_t worst_us = node->disk.worst_us;
    node->disk.worst_us = 0;
    return worst_us / 1000;
}

enum disk_failure disk_failure(const struct node *node, bool writes)
{
    const struct disk *disk = &node->disk;
    bool fails =
        node->world->now_us < disk->failing_until_us && (writes || disk->failure == DISK_IO_ERROR);
    return fails ? disk->failure : DISK_WELL;
}

void disk_heal(struct node *node)
{
    node->disk = (struct disk){0};
}

/* ---- faults ---- */

static struct node *some_node(struct world *world)
{
    return &world->nodes[world_between(world, 0, world->node_count - 1)];
}

void disk_fault_slow(struct world *world)
{
    struct node *node = some_node(world);
    int64_t most_us = world_percent(world, 50) ? 20000 : SLOW_MOST_US;
    int64_t lasts_ms = world_between(world, 200, 6000);
    node->disk.slow_most_us = most_us;
    node->disk.slow_until_us = world->now_us + lasts_ms * 1000;
    world->verdict->stats.slow_disks++;
    TRACE(world, "n%d disk takes up to %" PRId64 " ms a call for %" PRId64 " ms", node->index,
          most_us / 1000, lasts_ms);
}

/* The call returns in the end, or the process is killed while it waits. */
void disk_fault_stuck(struct world *world)
{
    struct node *node = some_node(world);
    int64_t ms = world_between(world, STUCK_LEAST_MS, STUCK_MOST_MS);
    bool killed = world_percent(world, 40);
    int64_t kill_ms = world_between(world, 300, ms);
    node->disk.stuck_us = ms * 1000;
    world->verdict->stats.stuck_disks++;
    TRACE(world, "n%d disk is stuck for %" PRId64 " ms", node->index, ms);
    if (killed && node->alive) {
        world_schedule(world, world->now_us + kill_ms * 1000, EVENT_KILL, node->index, 0);
    }
}

void disk_fault_fails(struct world *world)
{
    struct node *node = some_node(world);
    bool full = world_percent(world, 50);
    int64_t lasts_ms =
        world_percent(world, 60) ? world_between(world, 5, 300) : world_between(world, 300, 6000);
    node->disk.failure = full ? DISK_FULL : DISK_IO_ERROR;
    node->disk.failing_until_us = world->now_us + lasts_ms * 1000;
    world->verdict->stats.failing_disks++;
    TRACE(world, "n%d disk %s for %" PRId64 " ms", node->index, full ? "is full" : "fails",
          lasts_ms);
}
