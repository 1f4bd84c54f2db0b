/* Schedules: what the acting leader decides about slots. What its managers want is in
 * schedule_wishes.c, what becomes of runs in runs.c. */
#include "node/daemon/schedule_private.h"

#include "node/base/clock.h"
#include "node/daemon/maintenance.h"
#include "node/daemon/node.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RUNS_ROOM_RESERVE 64 /* duties that are kept free for what is no run */

/* ---- life ---- */

static const struct zone *zone_of(void *context, const char *name)
{
    struct schedules *self = context;
    return zones_get(self->zones, name, NULL);
}

/* More zones are known: schedules that waited for them can be read now. */
static int on_zones(zloop_t *loop, zmq_pollitem_t *item, void *argument)
{
    (void)loop;
    (void)item;
    struct node *self = argument;
    zones_clear(self->schedules->zones);
    self->schedules->stale = true;
    node_pump(self);
    return 0;
}

int schedule_create(struct node *self, struct err *err)
{
    struct schedules *schedules = calloc(1, sizeof *schedules);
    if (schedules == NULL) {
        return err_set(err, ERR_NOMEM, "cannot make the schedules");
    }
    self->schedules = schedules;
    struct scheduler_config config = {.zone = zone_of, .context = schedules};
    schedules->zones = zones_create();
    schedules->scheduler = scheduler_create(&config);
    schedules->stale = true;
    if (schedules->zones == NULL || schedules->scheduler == NULL) {
        return err_set(err, ERR_NOMEM, "cannot make the schedules");
    }
    zmq_pollitem_t item = {.fd = zones_fd(schedules->zones), .events = ZMQ_POLLIN};
    return zloop_poller(self->loop, &item, on_zones, self) == 0
               ? 0
               : err_set(err, ERR_NOMEM, "cannot watch the time zones");
}

void schedule_destroy(struct schedules **self_p)
{
    if (self_p == NULL || *self_p == NULL) {
        return;
    }
    struct schedules *self = *self_p;
    scheduler_destroy(&self->scheduler);
    zones_destroy(&self->zones);
    for (size_t i = 0; i < self->wish_count; i++) {
        free(self->wishes[i].places);
        free(self->wishes[i].id);
    }
    for (size_t i = 0; i < self->list_count; i++) {
        free(self->lists[i].is);
    }
    free(self->wishes);
    free(self);
    *self_p = NULL;
}

/* ---- following the replicated state ---- */

static void sync_one(struct node *self, const char *schedule)
{
    struct schedules *schedules = self->schedules;
    schedules->runs_changed = true;
    if (!schedules->stale && scheduler_sync(schedules->scheduler, self->mirror, schedule) != 0) {
        schedules->stale = true;
    }
}

void schedule_applied(struct node *self, const struct state_effect *effect)
{
    struct schedules *schedules = self->schedules;
    struct run_key key;
    uint32_t attempt;
    switch (effect->type) {
    case COMMAND_SCHEDULE_PUT:
    case COMMAND_SCHEDULE_REMOVE:
    case COMMAND_SLOTS_DECIDE:
    case COMMAND_RUN_START:
        sync_one(self, effect->target);
        break;
    case COMMAND_RUN_END:
    case COMMAND_RUN_CANCEL:
        if (run_parse(effect->target, &key, &attempt)) {
            sync_one(self, key.schedule);
        }
        break;
    case COMMAND_DUTY_ASSIGN:
    case COMMAND_DUTY_RELEASE:
        schedules->runs_changed = true;
        break;
    default:
        break;
    }
}

void schedule_restored(struct node *self)
{
    self->schedules->stale = true;
    self->schedules->runs_changed = true;
}

/* False: out of memory; tried again with the next turn. */
static bool refresh(struct node *self)
{
    struct schedules *schedules = self->schedules;
    if (schedules->stale && scheduler_sync(schedules->scheduler, self->mirror, NULL) == 0) {
        schedules->stale = false;
    }
    return !schedules->stale;
}

int schedule_preview(struct node *self, const char *id, int64_t after_s, int64_t *ret, size_t max,
                     size_t *ret_count, struct err *err)
{
    if (!refresh(self)) {
        return err_set(err, ERR_NOMEM, "out of memory");
    }
    return scheduler_preview(self->schedules->scheduler, self->mirror, id, after_s, ret, max,
                             ret_count, err);
}

/* ---- the acting leader ---- */

static enum run_reason gate(void *context, const char *manager)
{
    switch (maintenance_gate(context, manager)) {
    case GATE_OPEN:
        return RUN_DUE;
    case GATE_MAINTENANCE:
        return RUN_MAINTENANCE;
    case GATE_SHADOW:
        return RUN_SHADOW;
    case GATE_STOPPED:
    case GATE_PAUSED:
        break;
    }
    return RUN_PAUSED;
}

static size_t room(const struct node *self)
{
    size_t duties = state_duty_count(self->mirror) + RUNS_ROOM_RESERVE;
    size_t runs = state_run_count(self->mirror);
    size_t by_duties = duties < DUTIES_MAX ? DUTIES_MAX - duties : 0;
    size_t by_runs = runs < STATE_RUNS_UNDER_WAY_MAX ? STATE_RUNS_UNDER_WAY_MAX - runs : 0;
    return by_duties < by_runs ? by_duties : by_runs;
}

static void fill_who(const struct node *self, struct command *command)
{
    (void)snprintf(command->who, sizeof command->who, "%s", node_name(self));
}

static void decide(struct node *self, int64_t now_ms, int64_t wall_ms)
{
    static struct command commands[SCHEDULE_STEP_COMMANDS_MAX];
    struct scheduler_now now = {.now_ms = now_ms,
                                .wall_ms = wall_ms,
                                .wall_trusted = true,
                                .acting = true,
                                .room = room(self),
                                .gate = gate,
                                .context = self};
    size_t count = scheduler_step(self->schedules->scheduler, self->mirror, &now, commands,
                                  SCHEDULE_STEP_COMMANDS_MAX);
    for (size_t i = 0; i < count; i++) {
        fill_who(self, &commands[i]);
        (void)proposals_submit(self->proposals, &commands[i], NULL, NULL, NULL, NULL);
    }
}

static size_t count_others(const struct node *self)
{
    size_t count = 0;
    for (size_t i = 0; i < gossip_member_count(self->gossip); i++) {
        struct gossip_member member;
        gossip_member_at(self->gossip, i, &member);
        count += !member.self && member.state == GOSSIP_ALIVE ? 1 : 0;
    }
    return count;
}

static void look_at_wall(struct node *self, int64_t now_ms)
{
    struct schedules *schedules = self->schedules;
    enum wall_verdict before = schedules->wall;
    schedules->wall = wall_look(&self->wall, now_ms, clock_machine_wall_ms(), count_others(self));
    if (schedules->wall != before && schedules->wall_looked_ms != 0) {
        schedules->runs_changed = true;
        bool trusted = schedules->wall == WALL_TRUSTED;
        events_add(self->events, trusted ? LOG_LEVEL_INFO : LOG_LEVEL_WARN, self->view.term,
                   "clock.changed", json_pack("{s:s}", "state", wall_verdict_name(schedules->wall)),
                   trusted ? "the wall clock of %s is trusted again"
                           : "the wall clock of %s is not trusted: no slot is decided here",
                   node_name(self));
    }
    schedules->wall_looked_ms = now_ms;
}

void schedule_run(struct node *self, int64_t now_ms)
{
    struct schedules *schedules = self->schedules;
    int64_t wall_ms = clock_wall_ms();
    look_at_wall(self, now_ms);
    schedule_tell_reports(self, now_ms);
    if (!node_may_act(self) || !refresh(self)) {
        return;
    }
    schedule_wishes_step(self, now_ms);
    bool trusted = schedules->wall == WALL_TRUSTED;
    schedule_runs_step(self, wall_ms, trusted);
    if (trusted && wall_ms >= scheduler_next_wall_ms(schedules->scheduler)) {
        decide(self, now_ms, wall_ms);
    }
}

int64_t schedule_deadline_ms(const struct node *self, int64_t now_ms)
{
    const struct schedules *schedules = self->schedules;
    int64_t at_ms = schedules->owed_count > 0 ? schedules->owed_at_ms : INT64_MAX;
    if (!node_may_act(self)) {
        return at_ms;
    }
    int64_t wishes_ms = schedule_wishes_at_ms(schedules);
    at_ms = wishes_ms < at_ms ? wishes_ms : at_ms;
    int64_t wall_ms = scheduler_next_wall_ms(schedules->scheduler);
    wall_ms = schedules->runs_at_wall_ms < wall_ms ? schedules->runs_at_wall_ms : wall_ms;
    int64_t due_ms = wall_ms == INT64_MAX ? INT64_MAX : now_ms + clock_wall_delay_ms(wall_ms);
    /* What is due and was not done waits for something else than time. */
    due_ms = due_ms <= now_ms ? now_ms + NODE_HURRY_MS : due_ms;
    return due_ms < at_ms ? due_ms : at_ms;
}
