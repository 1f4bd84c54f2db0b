/* Schedules: wishes of the managers, and what the acting leader decides about slots. What becomes
 * of runs is in runs.c. */
#include "node/daemon/schedule_private.h"

#include "node/base/clock.h"
#include "node/daemon/maintenance.h"
#include "node/daemon/node.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WISH_REPEAT_MS 1000
#define CHANGE_WAIT_MS 10000                 /* for slots of the former definition */
#define RUNS_ROOM_RESERVE 64                 /* duties that are kept free for what is no run */
#define WISHES_MAX (2 * STATE_SCHEDULES_MAX) /* while one list takes the place of another */

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

/* ---- wishes ---- */

static size_t wish_position(const struct schedules *self, const char *id)
{
    size_t low = 0;
    size_t high = self->wish_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (strcmp(self->wishes[middle].id, id) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static struct schedule_wish *find_wish(const struct schedules *self, const char *id)
{
    size_t position = wish_position(self, id);
    bool found = position < self->wish_count && strcmp(self->wishes[position].id, id) == 0;
    return found ? &self->wishes[position] : NULL;
}

/* The row of that wish, made when there is none; NULL: no room or no memory. */
static struct schedule_wish *want_wish(struct schedules *self, const char *id)
{
    struct schedule_wish *found = find_wish(self, id);
    if (found != NULL) {
        return found;
    }
    if (self->wish_count == self->wish_room) {
        size_t room = self->wish_room == 0 ? 64 : self->wish_room * 2;
        struct schedule_wish *rows =
            room > WISHES_MAX ? NULL : realloc(self->wishes, room * sizeof *rows);
        if (rows == NULL) {
            return NULL;
        }
        self->wishes = rows;
        self->wish_room = room;
    }
    size_t position = wish_position(self, id);
    struct schedule_wish *row = &self->wishes[position];
    memmove(row + 1, row, (self->wish_count - position) * sizeof *row);
    self->wish_count++;
    *row = (struct schedule_wish){0};
    (void)snprintf(row->id, sizeof row->id, "%s", id);
    return row;
}

static void note_places(const struct node *self, struct schedule_wish *wish,
                        const struct manager_schedule_wanted *wanted)
{
    if (wanted->on_count == 0 && wanted->avoid_count == 0) {
        free(wish->places);
        wish->places = NULL;
        return;
    }
    wish->places = wish->places != NULL ? wish->places : calloc(1, sizeof *wish->places);
    if (wish->places == NULL) {
        return;
    }
    wish->places->only_count = wanted->on_count;
    wish->places->avoid_count = wanted->avoid_count;
    /* An unknown name gets an id that nobody has: a list of such is no empty list. */
    for (size_t i = 0; i < wanted->on_count; i++) {
        wish->places->only[i] = node_id_of(self, wanted->on[i]);
    }
    for (size_t i = 0; i < wanted->avoid_count; i++) {
        wish->places->avoid[i] = node_id_of(self, wanted->avoid[i]);
    }
}

bool schedule_places(const struct node *self, const char *duty, uint64_t *ret_only,
                     size_t *ret_only_count, uint64_t *ret_avoid, size_t *ret_avoid_count)
{
    struct run_key key;
    uint32_t attempt;
    *ret_only_count = 0;
    *ret_avoid_count = 0;
    if (!run_parse(duty, &key, &attempt)) {
        return false;
    }
    const struct schedule_wish *wish = find_wish(self->schedules, key.schedule);
    if (wish == NULL || wish->term != self->view.term ||
        !runs_may_place(self->state, duty, clock_wall_ms())) {
        return false;
    }
    if (wish->places != NULL) {
        *ret_only_count = wish->places->only_count;
        *ret_avoid_count = wish->places->avoid_count;
        memcpy(ret_only, wish->places->only, sizeof wish->places->only);
        memcpy(ret_avoid, wish->places->avoid, sizeof wish->places->avoid);
    }
    return true;
}

bool schedule_is_run(const char *duty)
{
    struct run_key key;
    uint32_t attempt;
    return run_parse(duty, &key, &attempt);
}

uint64_t schedule_digest(const struct node *self, const char *duty)
{
    struct run_key key;
    uint32_t attempt;
    const struct state_schedule *row =
        run_parse(duty, &key, &attempt) ? state_schedule_by_id(self->state, key.schedule) : NULL;
    return row == NULL ? 0 : row->is.digest;
}

static void fill_who(const struct node *self, struct command *command)
{
    (void)snprintf(command->who, sizeof command->who, "%s", node_name(self));
}

static void propose_put(struct node *self, const char *id, uint64_t replaces, int64_t decided_s,
                        const struct schedule_definition *is)
{
    struct command command = {.type = COMMAND_SCHEDULE_PUT, .reason = REASON_CONFIGURATION};
    (void)snprintf(command.schedule.id, sizeof command.schedule.id, "%s", id);
    command.schedule.replaces = replaces;
    command.schedule.decided_s = decided_s;
    command.schedule.is = *is;
    (void)snprintf(command.why, sizeof command.why, "%s",
                   replaces == 0 ? "configured" : "configured otherwise");
    fill_who(self, &command);
    (void)proposals_submit(self->proposals, &command, NULL, NULL, NULL, NULL);
}

/* Slots up to now belong to the former definition: there is none, and that is said first. */
static void propose_up_to(struct node *self, const struct state_schedule *row, int64_t now_s)
{
    struct command command = {.type = COMMAND_SLOTS_DECIDE, .reason = REASON_CONFIGURATION};
    (void)snprintf(command.slots.schedule, sizeof command.slots.schedule, "%s", row->id);
    command.slots.revision = row->revision;
    command.slots.after_s = row->decided_s;
    command.slots.decided_s = now_s;
    (void)snprintf(command.why, sizeof command.why, "no slot came before it changed");
    fill_who(self, &command);
    (void)proposals_submit(self->proposals, &command, NULL, NULL, NULL, NULL);
}

/* Slots of the former definition that have come are decided first; one that is always behind (each
 * slot waits for the run before it) is not waited for: then the new definition takes them over. */
static void change(struct node *self, struct schedule_wish *wish, const struct state_schedule *row,
                   const struct schedule_definition *is, int64_t now_s)
{
    int64_t now_ms = clock_boot_ms();
    int64_t next_s = 0;
    size_t count = 0;
    /* What cannot be read here (its zone is not known any more, say) has no slots to wait for. */
    int rc = schedule_preview(self, row->id, row->decided_s, &next_s, 1, &count, NULL);
    bool behind = rc == 0 && count == 1 && next_s <= now_s;
    wish->waits_since_ms = behind && wish->waits_since_ms == 0 ? now_ms : wish->waits_since_ms;
    if (behind && now_ms < wish->waits_since_ms + CHANGE_WAIT_MS) {
        return; /* the wish is said again */
    }
    wish->waits_since_ms = 0;
    if (!behind && row->decided_s < now_s) {
        propose_up_to(self, row, now_s);
        propose_put(self, row->id, row->revision, now_s, is);
    } else {
        propose_put(self, row->id, row->revision, row->decided_s, is);
    }
}

static void propose_remove(struct node *self, const char *id)
{
    struct command command = {.type = COMMAND_SCHEDULE_REMOVE, .reason = REASON_CONFIGURATION};
    (void)snprintf(command.schedule_id.id, sizeof command.schedule_id.id, "%s", id);
    (void)snprintf(command.why, sizeof command.why, "not configured any more");
    fill_who(self, &command);
    (void)proposals_submit(self->proposals, &command, NULL, NULL, NULL, NULL);
}

static bool same_definition(const struct schedule_definition *a,
                            const struct schedule_definition *b)
{
    return strcmp(a->expression, b->expression) == 0 && strcmp(a->zone, b->zone) == 0 &&
           a->digest == b->digest && a->anchor_s == b->anchor_s && a->gap == b->gap &&
           a->fold == b->fold && a->overlap == b->overlap && a->misfire == b->misfire &&
           a->misfire_cap == b->misfire_cap && a->misfire_window_s == b->misfire_window_s &&
           a->start_deadline_s == b->start_deadline_s &&
           a->progress_deadline_s == b->progress_deadline_s &&
           a->finish_deadline_s == b->finish_deadline_s && a->min_runtime_s == b->min_runtime_s &&
           a->retries == b->retries && a->backoff_s == b->backoff_s &&
           a->backoff_max_s == b->backoff_max_s && a->retry_unknown == b->retry_unknown &&
           a->critical == b->critical && a->priority == b->priority;
}

/* A schedule of that name may have been there, decided by a leader whose clock was ahead. */
static int64_t first_second(const struct node *self, const char *id, int64_t now_s)
{
    int64_t ret_s = now_s;
    for (size_t i = 0; i < state_run_count(self->mirror); i++) {
        const struct state_run *run = state_run_at(self->mirror, i);
        ret_s = strcmp(run->key.schedule, id) == 0 && run->last_s > ret_s ? run->last_s : ret_s;
    }
    for (size_t i = 0; i < state_ended_count(self->mirror); i++) {
        const struct state_run *run = state_ended_at(self->mirror, i);
        ret_s = strcmp(run->key.schedule, id) == 0 && run->last_s > ret_s ? run->last_s : ret_s;
    }
    return ret_s;
}

static void follow_wish(struct node *self, struct schedule_wish *wish,
                        const struct schedule_definition *is)
{
    int64_t now_ms = clock_boot_ms();
    const struct state_schedule *row = state_schedule_by_id(self->mirror, wish->id);
    if (self->schedules->wall != WALL_TRUSTED || now_ms < wish->proposed_ms + WISH_REPEAT_MS ||
        (row != NULL && same_definition(&row->is, is))) {
        return;
    }
    int64_t now_s = clock_wall_ms() / 1000;
    wish->proposed_ms = now_ms;
    if (row == NULL) {
        propose_put(self, wish->id, 0, first_second(self, wish->id, now_s), is);
    } else {
        change(self, wish, row, is, now_s);
    }
}

/* The list of a manager's schedules, made when there is none yet; NULL: no memory, no room. */
static struct schedule_list *list_of(struct schedules *self, const char *manager)
{
    for (size_t i = 0; i < self->list_count; i++) {
        if (strcmp(self->lists[i].manager, manager) == 0) {
            return self->lists[i].is;
        }
    }
    struct schedule_list *list = self->list_count == MANAGERS_MAX ? NULL : calloc(1, sizeof *list);
    if (list != NULL) {
        struct wanted_list *row = &self->lists[self->list_count++];
        (void)snprintf(row->manager, sizeof row->manager, "%s", manager);
        row->is = list;
    }
    return list;
}

static bool belongs_to(const char *id, const char *manager)
{
    size_t length = strlen(manager);
    return strncmp(id, manager, length) == 0 && id[length] == '/';
}

static bool is_unwanted(const struct schedules *self, const struct schedule_list *list,
                        const char *id)
{
    const struct schedule_wish *wish = find_wish(self, id);
    return wish == NULL ? schedule_list_lacks(list, 0, 0)
                        : schedule_list_lacks(list, wish->term, wish->edition);
}

/* The list is whole: what the state has beyond it is configured no more. */
static void remove_unwanted(struct node *self, const char *manager,
                            const struct schedule_list *list)
{
    size_t count = 0;
    size_t all = state_schedule_count(self->mirror);
    for (size_t i = 0; all > list->total && i < all; i++) {
        count += belongs_to(state_schedule_at(self->mirror, i)->id, manager) ? 1 : 0;
    }
    for (size_t i = 0; count > list->total && i < all; i++) {
        const char *id = state_schedule_at(self->mirror, i)->id;
        if (belongs_to(id, manager) && is_unwanted(self->schedules, list, id)) {
            propose_remove(self, id);
        }
    }
}

/* So that names which come and go do not fill the table. */
static void forget_unwanted(struct schedules *self, const char *manager,
                            const struct schedule_list *list)
{
    size_t kept = 0;
    if (self->wish_count <= list->total) {
        return;
    }
    for (size_t i = 0; i < self->wish_count; i++) {
        struct schedule_wish *wish = &self->wishes[i];
        if (belongs_to(wish->id, manager) && schedule_list_lacks(list, wish->term, wish->edition)) {
            free(wish->places);
        } else {
            self->wishes[kept++] = *wish;
        }
    }
    self->wish_count = kept;
}

/* The words of both sides have the same values (protocol_run.h). */
static struct schedule_definition definition_of(const struct manager_schedule *is)
{
    struct schedule_definition ret = {.digest = is->digest,
                                      .anchor_s = is->anchor_s,
                                      .gap = (enum calendar_gap)is->gap,
                                      .fold = (enum calendar_fold)is->fold,
                                      .overlap = (enum schedule_overlap)is->overlap,
                                      .misfire = (enum schedule_misfire)is->misfire,
                                      .misfire_cap = is->misfire_cap,
                                      .misfire_window_s = is->misfire_window_s,
                                      .start_deadline_s = is->start_deadline_s,
                                      .progress_deadline_s = is->progress_deadline_s,
                                      .finish_deadline_s = is->finish_deadline_s,
                                      .min_runtime_s = is->min_runtime_s,
                                      .retries = is->retries,
                                      .backoff_s = is->backoff_s,
                                      .backoff_max_s = is->backoff_max_s,
                                      .retry_unknown = is->retry_unknown,
                                      .critical = is->critical,
                                      .priority = is->priority};
    (void)snprintf(ret.expression, sizeof ret.expression, "%s", is->expression);
    (void)snprintf(ret.zone, sizeof ret.zone, "%s", is->zone);
    return ret;
}

void schedule_wanted(struct node *self, const char *manager,
                     const struct manager_schedule_wanted *wanted)
{
    struct schedules *schedules = self->schedules;
    struct schedule_list *list = list_of(schedules, manager);
    struct schedule_wish *wish = NULL;
    if (list == NULL || !node_may_act(self) || self->managers_stopped) {
        return;
    }
    if (wanted->total > 0 && (wish = want_wish(schedules, wanted->id)) == NULL) {
        return; /* a list with it must not become whole: it would be taken for gone */
    }
    if (!schedule_list_take(list, wanted)) {
        return;
    }
    if (wish != NULL) {
        struct schedule_definition is = definition_of(&wanted->is);
        wish->term = wanted->term;
        wish->edition = wanted->edition;
        note_places(self, wish, wanted);
        follow_wish(self, wish, &is);
    }
    if (schedule_list_whole(list) && clock_boot_ms() >= schedules->removed_ms + WISH_REPEAT_MS) {
        schedules->removed_ms = clock_boot_ms();
        remove_unwanted(self, manager, list);
        forget_unwanted(schedules, manager, list);
    }
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
    int64_t wall_ms = scheduler_next_wall_ms(schedules->scheduler);
    wall_ms = schedules->runs_at_wall_ms < wall_ms ? schedules->runs_at_wall_ms : wall_ms;
    int64_t due_ms = wall_ms == INT64_MAX ? INT64_MAX : now_ms + clock_wall_delay_ms(wall_ms);
    /* What is due and was not done waits for something else than time. */
    due_ms = due_ms <= now_ms ? now_ms + NODE_HURRY_MS : due_ms;
    return due_ms < at_ms ? due_ms : at_ms;
}
