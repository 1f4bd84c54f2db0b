#include "tests/sim/ticking.h"

#include "node/base/invariant.h"
#include "tests/sim/machine.h"
#include "tests/sim/node.h"
#include "tests/sim/peers.h"
#include "tests/sim/world.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LOOK_EVERY_MS 50
#define WISH_REPEAT_MS 1000
#define WISH_PATIENCE_MS 4000
#define CLOCK_APART_MS 2000
#define RUNS_LOOK_MS 2000
#define ROOM_SCARCE 10
#define ROOM_ENOUGH 48
#define RUN_COMMANDS_MAX 16

void ticking_start(struct node *node)
{
    struct ticking *self = &node->peers->ticking;
    struct world *world = node->world;
    if (world->options.schedules == 0) {
        return;
    }
    const struct scheduler_config config = {
        .zone = timetable_zone, .context = world->timetable, .off = world->options.schedule_off};
    self->scheduler = scheduler_create(&config);
    invariant(self->scheduler != NULL);
    self->stale = true;
}

void ticking_end(struct node *node)
{
    scheduler_destroy(&node->peers->ticking.scheduler);
}

bool ticking_trusts_clock(const struct node *node)
{
    int64_t apart_ms = node_wall_ms(node) - world_wall_ms(node->world);
    return apart_ms >= -CLOCK_APART_MS && apart_ms <= CLOCK_APART_MS;
}

/* ---- following the state ---- */

static void sync(struct node *node, const char *schedule)
{
    struct ticking *self = &node->peers->ticking;
    int code = scheduler_sync(self->scheduler, machine_state(node->machine), schedule);
    invariant(code == 0);
}

void ticking_applied(struct node *node, const struct state_effect *effect)
{
    struct run_key key;
    uint32_t attempt;
    if (node->peers == NULL || node->peers->ticking.scheduler == NULL) {
        return;
    }
    struct ticking *self = &node->peers->ticking;
    switch (effect->type) {
    case COMMAND_SCHEDULE_PUT:
    case COMMAND_SCHEDULE_REMOVE:
    case COMMAND_SLOTS_DECIDE:
    case COMMAND_RUN_START:
        self->runs_changed = true;
        if (!self->stale) {
            sync(node, effect->target);
        }
        break;
    case COMMAND_RUN_END:
    case COMMAND_RUN_CANCEL:
        self->runs_changed = true;
        if (!self->stale && run_parse(effect->target, &key, &attempt)) {
            sync(node, key.schedule);
        }
        break;
    case COMMAND_DUTY_ASSIGN:
    case COMMAND_DUTY_RELEASE:
        self->runs_changed = true;
        break;
    default:
        break;
    }
}

void ticking_restored(struct node *node)
{
    if (node->peers != NULL) {
        node->peers->ticking.stale = true;
        node->peers->ticking.runs_changed = true;
    }
}

/* ---- what is wanted ---- */

static bool propose(struct node *node, struct command *command)
{
    /* Each stands for itself: the state sorts repeats out. */
    return duties_propose(node, command, (int)(node->token % 1000000000));
}

static bool propose_put(struct node *node, const char *id, uint64_t replaces, int64_t decided_s,
                        const struct plan *plan)
{
    struct command command = {.type = COMMAND_SCHEDULE_PUT, .reason = REASON_CONFIGURATION};
    (void)snprintf(command.schedule.id, sizeof command.schedule.id, "%s", id);
    command.schedule.replaces = replaces;
    command.schedule.decided_s = decided_s;
    command.schedule.is = plan->is;
    TRACE(node->world, "n%d defines %s as \"%s\" from %" PRId64, node->index, id,
          plan->is.expression, decided_s);
    return propose(node, &command);
}

/* Slots up to now are the former definition's, and there is none: that is said first. */
static bool propose_up_to(struct node *node, const struct state_schedule *row, int64_t now_s)
{
    struct command command = {.type = COMMAND_SLOTS_DECIDE, .reason = REASON_CONFIGURATION};
    (void)snprintf(command.slots.schedule, sizeof command.slots.schedule, "%s", row->id);
    command.slots.revision = row->revision;
    command.slots.after_s = row->decided_s;
    command.slots.decided_s = now_s;
    return propose(node, &command);
}

/* What waits for the former definition's slots does not wait for ever: a schedule may be behind all
 * the time. */
static bool has_waited(struct node *node, const char *id)
{
    int64_t *since = &node->peers->ticking.waits_ms[timetable_number(id)];
    int64_t now = node_now_ms(node);
    *since = *since == 0 ? now : *since;
    return now >= *since + WISH_PATIENCE_MS;
}

static void change(struct node *node, const char *id, const struct plan *plan, int64_t now_s)
{
    const struct state_schedule *row = state_schedule_by_id(machine_state(node->machine), id);
    int64_t next_s = 0;
    size_t count = 0;
    struct err err = {0};
    int code = scheduler_preview(node->peers->ticking.scheduler, machine_state(node->machine), id,
                                 row->decided_s, &next_s, 1, &count, &err);
    invariant(code == 0);
    bool behind = count == 1 && next_s <= now_s;
    if (behind && !has_waited(node, id)) {
        return; /* it is decided first */
    }
    uint64_t revision = row->revision;
    int64_t decided_s = row->decided_s;
    uint64_t life = node->life;
    if (decided_s < now_s && !behind) {
        if (propose_up_to(node, row, now_s) && node->life == life) {
            (void)propose_put(node, id, revision, now_s, plan);
        }
        return;
    }
    (void)propose_put(node, id, revision, decided_s, plan);
}

static void follow_wish(struct node *node, int schedule)
{
    struct world *world = node->world;
    struct ticking *self = &node->peers->ticking;
    const struct wish *wish = &world->wishes[schedule];
    int64_t now = node_now_ms(node);
    char id[SCHEDULE_ID_SIZE];
    timetable_name(schedule, id);
    const struct state_schedule *row = state_schedule_by_id(machine_state(node->machine), id);
    bool as_wanted =
        row == NULL ? !wish->present : wish->present && (uint32_t)row->is.digest == wish->edition;
    if (as_wanted || now < self->proposed_ms[schedule] + WISH_REPEAT_MS ||
        !ticking_trusts_clock(node)) {
        self->waits_ms[schedule] = as_wanted ? 0 : self->waits_ms[schedule];
        return;
    }
    self->proposed_ms[schedule] = now;
    int64_t now_s = node_wall_ms(node) / 1000;
    struct plan plan;
    timetable_plan(world->timetable, schedule, wish->edition, &plan);
    if (!wish->present) {
        struct command command = {.type = COMMAND_SCHEDULE_REMOVE, .reason = REASON_CONFIGURATION};
        (void)snprintf(command.schedule_id.id, sizeof command.schedule_id.id, "%s", id);
        TRACE(world, "n%d removes %s", node->index, id);
        (void)propose(node, &command);
    } else if (row == NULL) {
        (void)propose_put(node, id, 0, now_s, &plan);
    } else {
        change(node, id, &plan, now_s);
    }
}

/* ---- slots and runs ---- */

static enum run_reason gate(void *context, const char *manager)
{
    const struct node *node = context;
    bool paused = state_manager_paused(machine_state(node->machine), manager, node_wall_ms(node));
    return paused ? RUN_PAUSED : RUN_DUE;
}

static size_t room(const struct node *node)
{
    size_t all = node->world->faults ? ROOM_SCARCE : ROOM_ENOUGH;
    size_t taken = state_run_count(machine_state(node->machine));
    return taken < all ? all - taken : 0;
}

static void decide(struct node *node)
{
    static struct command commands[SCHEDULE_STEP_COMMANDS_MAX];
    const struct scheduler_now now = {.now_ms = node_now_ms(node),
                                      .wall_ms = node_wall_ms(node),
                                      .wall_trusted = true,
                                      .acting = true,
                                      .room = room(node),
                                      .gate = gate,
                                      .context = node};
    size_t count = scheduler_step(node->peers->ticking.scheduler, machine_state(node->machine),
                                  &now, commands, SCHEDULE_STEP_COMMANDS_MAX);
    uint64_t life = node->life;
    for (size_t i = 0; i < count && node->life == life; i++) {
        TRACE(node->world, "n%d decides %s to %" PRId64 ": %s", node->index,
              commands[i].slots.schedule, commands[i].slots.decided_s, commands[i].why);
        (void)propose(node, &commands[i]);
    }
}

static int subject_of(const struct command *command)
{
    char id[RUN_ID_SIZE];
    run_id(command->type == COMMAND_RUN_END ? &command->run_end.run : &command->run_cancel.run, id);
    return duties_subject(id);
}

static void bring_runs_on(struct node *node)
{
    static struct command commands[RUN_COMMANDS_MAX];
    struct ticking *self = &node->peers->ticking;
    const struct state *state = machine_state(node->machine);
    int64_t wall_ms = node_wall_ms(node);
    int64_t now = node_now_ms(node);
    if (!self->runs_changed && wall_ms < self->runs_at_wall_ms && now < self->runs_at_ms) {
        return;
    }
    self->runs_at_ms = now + RUNS_LOOK_MS;
    size_t count =
        runs_step(state, wall_ms, ticking_trusts_clock(node), commands, RUN_COMMANDS_MAX);
    self->runs_changed = count == RUN_COMMANDS_MAX;
    self->runs_at_wall_ms = runs_next_wall_ms(state);
    uint64_t life = node->life;
    for (size_t i = 0; i < count && node->life == life; i++) {
        TRACE(node->world, "n%d: %s of %s (%s)", node->index, command_type_name(commands[i].type),
              commands[i].run_end.run.schedule, commands[i].why);
        bool taken = duties_propose(node, &commands[i], subject_of(&commands[i]));
        if (node->life == life && !taken) {
            self->runs_changed = true;
        }
    }
}

void ticking_take_report(struct node *node, const struct run_report *report)
{
    struct command command;
    if (!node_may_act(node) || node->peers->ticking.scheduler == NULL ||
        !runs_take_report(machine_state(node->machine), report, node_wall_ms(node),
                          ticking_trusts_clock(node), &command)) {
        return;
    }
    TRACE(node->world, "n%d is told of the end of %s", node->index, report->duty);
    (void)duties_propose(node, &command, subject_of(&command));
}

void ticking_run(struct node *node)
{
    struct ticking *self = &node->peers->ticking;
    if (self->scheduler == NULL || !node->view.acting) {
        self->acts = false;
        return;
    }
    int64_t now = node_now_ms(node);
    if (!node_may_act(node) || (self->acts && now < self->look_at_ms)) {
        return;
    }
    self->look_at_ms = now + LOOK_EVERY_MS;
    if (!self->acts || self->stale) {
        self->acts = true;
        self->stale = false;
        self->runs_changed = true;
        sync(node, NULL);
    }
    uint64_t life = node->life;
    for (int i = 0; i < node->world->options.schedules && node->life == life; i++) {
        follow_wish(node, i);
    }
    if (node->life == life && node_may_act(node)) {
        bring_runs_on(node);
    }
    bool goes_on = node->life == life && node_may_act(node) && ticking_trusts_clock(node);
    if (goes_on && node_wall_ms(node) >= scheduler_next_wall_ms(self->scheduler)) {
        decide(node);
    }
}

/* ---- what is wanted, and who meddles ---- */

void ticking_begin(struct world *world)
{
    for (int i = 0; i < world->options.schedules; i++) {
        world->wishes[i] = (struct wish){.present = true, .edition = 1};
    }
}

void ticking_redefine(struct world *world)
{
    struct wish *wish = &world->wishes[world_between(world, 0, world->options.schedules - 1)];
    if (wish->present && world_percent(world, 30)) {
        wish->present = false;
    } else {
        wish->present = true;
        wish->edition += world_percent(world, 70) ? 1 : 0;
    }
    TRACE(world, "schedule %d shall be %s, edition %u", (int)(wish - world->wishes),
          wish->present ? "there" : "gone", (unsigned)wish->edition);
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

static void pause_or_resume(struct node *leader, bool resume)
{
    struct command command = {.type = resume ? COMMAND_MANAGER_RESUME : COMMAND_MANAGER_PAUSE,
                              .reason = REASON_OPERATOR};
    (void)snprintf(command.manager.manager, sizeof command.manager.manager, TIMETABLE_MANAGER);
    command.manager.until_wall_ms = resume ? 0 : PAUSED_UNTIL_RESUMED;
    (void)propose(leader, &command);
}

static void start_run(struct node *leader, int schedule)
{
    struct command command = {.type = COMMAND_RUN_START, .reason = REASON_OPERATOR};
    timetable_name(schedule, command.run_start.schedule);
    TRACE(leader->world, "a run of %s shall start", command.run_start.schedule);
    (void)propose(leader, &command);
}

static void cancel_run(struct node *leader, int64_t which)
{
    const struct state *state = machine_state(leader->machine);
    size_t count = state_run_count(state);
    if (count == 0) {
        return;
    }
    const struct state_run *run = state_run_at(state, (size_t)which % count);
    struct command command = {.type = COMMAND_RUN_CANCEL, .reason = REASON_OPERATOR};
    command.run_cancel.run = run->key;
    command.run_cancel.reason = RUN_CANCELLED;
    TRACE(leader->world, "a run of %s is cancelled", run->key.schedule);
    (void)propose(leader, &command);
}

void ticking_meddle(struct world *world)
{
    int64_t what = world_between(world, 0, 99);
    int64_t which = world_between(world, 0, 1000);
    struct node *leader = acting_node(world);
    if (leader == NULL) {
        return;
    }
    if (what < 40) {
        start_run(leader, (int)(which % world->options.schedules));
    } else if (what < 80) {
        cancel_run(leader, which);
    } else {
        bool paused = state_manager_paused(machine_state(leader->machine), TIMETABLE_MANAGER, 0);
        pause_or_resume(leader, paused);
    }
}

void ticking_heal(struct world *world)
{
    for (int i = 0; i < world->node_count && world->options.schedules > 0; i++) {
        world->nodes[i].wall_offset_ms = 0;
    }
}
