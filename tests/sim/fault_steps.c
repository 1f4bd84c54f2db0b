#include "tests/sim/fault_steps.h"

#include "tests/sim/node.h"
#include "tests/sim/world.h"

enum step_kind { STEP_FLAP, STEP_CUT, STEP_CRASH };

/* An event's argument holds one. */
struct step {
    enum step_kind kind;
    int left; /* further steps */
    int other;
    bool both_ways;
};

static int64_t pack(struct step step)
{
    return (int64_t)step.kind | (int64_t)step.left << 8 | (int64_t)step.other << 16 |
           (int64_t)(step.both_ways ? 1 : 0) << 24;
}

static struct step unpack(int64_t argument)
{
    return (struct step){.kind = (enum step_kind)(argument & 0xff),
                         .left = (int)(argument >> 8 & 0xff),
                         .other = (int)(argument >> 16 & 0xff),
                         .both_ways = (argument >> 24 & 1) != 0};
}

static void plan(struct world *world, int node, struct step step, int64_t least_ms, int64_t most_ms)
{
    if (step.left > 0) {
        step.left--;
        world_schedule(world, world->now_us + world_between(world, least_ms, most_ms) * 1000,
                       EVENT_AGAIN, node, pack(step));
    }
}

static int any_index(struct world *world)
{
    return (int)world_between(world, 0, world->node_count - 1);
}

/* ---- a link that flaps ---- */

static void flap(struct world *world, int from, struct step step)
{
    bool up = step.left % 2 == 0;
    world->up[from][step.other] = up || from == step.other;
    if (step.both_ways) {
        world->up[step.other][from] = up || from == step.other;
    }
    TRACE(world, "link n%d -> n%d %s%s", from, step.other, up ? "up" : "down",
          step.both_ways ? " both ways" : "");
    plan(world, from, step, 20, 600);
}

void fault_steps_flap(struct world *world)
{
    world->verdict->stats.cuts++;
    int from = any_index(world);
    struct step step = {.kind = STEP_FLAP,
                        .other = any_index(world),
                        .both_ways = world_percent(world, 60),
                        .left = 1 + 2 * (int)world_between(world, 1, 8)};
    flap(world, from, step);
}

/* ---- a partition that moves ---- */

/* Cut one group off from the other, or only what it says to it. */
static void cut_group(struct world *world, int64_t group, bool both_ways)
{
    for (int from = 0; from < world->node_count; from++) {
        for (int to = 0; to < world->node_count; to++) {
            bool leaves = (group >> from & 1) != 0 && (group >> to & 1) == 0;
            if (leaves) {
                network_cut(world, from, to);
            }
            if (leaves && both_ways) {
                network_cut(world, to, from);
            }
        }
    }
}

static void move_cut(struct world *world, struct step step)
{
    network_join_all(world);
    int64_t group = 0;
    if (step.left > 0) {
        group = world_between(world, 1, ((int64_t)1 << world->node_count) - 2);
        cut_group(world, group, world_percent(world, 70));
    }
    TRACE(world, "the nodes of group %lx are cut off", (unsigned long)group);
    plan(world, SIM_NONE, step, 50, 2000);
}

void fault_steps_moving_cut(struct world *world)
{
    world->verdict->stats.cuts++;
    if (world->node_count > 1) {
        struct step step = {.kind = STEP_CUT, .left = (int)world_between(world, 2, 8)};
        move_cut(world, step);
    }
}

/* ---- a process that crashes again and again ---- */

static void crash_again(struct world *world, int node, struct step step)
{
    node_crash(&world->nodes[node], false);
    plan(world, node, step, 60, 1500);
}

void fault_steps_crash_loop(struct world *world)
{
    struct step step = {.kind = STEP_CRASH, .left = (int)world_between(world, 2, 10)};
    crash_again(world, any_index(world), step);
}

void fault_steps_go_on(struct world *world, int node, int64_t argument)
{
    struct step step = unpack(argument);
    if (!world->faults) {
        return;
    }
    switch (step.kind) {
    case STEP_FLAP:
        flap(world, node, step);
        break;
    case STEP_CUT:
        move_cut(world, step);
        break;
    case STEP_CRASH:
        crash_again(world, node, step);
        break;
    }
}
