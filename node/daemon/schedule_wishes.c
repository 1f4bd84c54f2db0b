/* Schedules that the managers of the acting leader are configured with: into the replicated state
 * and, when they are configured no more, out of it. */
#include "node/daemon/schedule_private.h"

#include "node/base/clock.h"
#include "node/daemon/node.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WISH_REPEAT_MS 1000
#define CHANGE_WAIT_MS 10000                         /* for slots of the former definition */
#define WISHES_MAX ((size_t)2 * STATE_SCHEDULES_MAX) /* while one list takes the place of another */

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
    char *copy = strdup(id);
    if (copy == NULL) {
        return NULL;
    }
    size_t position = wish_position(self, id);
    struct schedule_wish *row = &self->wishes[position];
    memmove(row + 1, row, (self->wish_count - position) * sizeof *row);
    self->wish_count++;
    *row = (struct schedule_wish){.id = copy};
    return row;
}

static void note_places(const struct node *self, struct schedule_wish *wish,
                        const struct manager_schedule_wanted *wanted)
{
    if (wanted->on_count == 0 && wanted->avoid_count == 0 && wanted->label_count == 0) {
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
    wish->places->label_count = wanted->label_count;
    memcpy(wish->places->labels, wanted->labels, sizeof wish->places->labels);
}

static void avoid_unable(const struct schedules *self, const struct run_key *run,
                         struct placement_duty *ret)
{
    for (size_t i = 0; i < SCHEDULE_UNABLE_MAX && ret->avoid_count < PLACEMENT_AVOID_MAX; i++) {
        const struct unable_node *row = &self->unable[i];
        if (row->raft_id != 0 && row->run.slot_s == run->slot_s && row->run.number == run->number &&
            strcmp(row->run.schedule, run->schedule) == 0) {
            ret->avoid[ret->avoid_count++] = row->raft_id;
        }
    }
}

static_assert(PLACEMENT_ONLY_MAX >= MANAGER_PLACES_MAX && PLACEMENT_AVOID_MAX >= MANAGER_PLACES_MAX,
              "a schedule's places fit");

bool schedule_places(const struct node *self, struct placement_duty *ret)
{
    struct run_key key;
    uint32_t attempt;
    if (!run_parse(ret->id, &key, &attempt)) {
        return false;
    }
    const struct schedule_wish *wish = find_wish(self->schedules, key.schedule);
    if (wish == NULL || wish->term != self->view.term ||
        !runs_may_place(self->state, ret->id, clock_wall_ms())) {
        return false;
    }
    if (wish->places != NULL) {
        ret->only_count = wish->places->only_count;
        ret->avoid_count = wish->places->avoid_count;
        ret->label_count = wish->places->label_count;
        memcpy(ret->only, wish->places->only, sizeof wish->places->only);
        memcpy(ret->avoid, wish->places->avoid, sizeof wish->places->avoid);
        memcpy(ret->labels, wish->places->labels, sizeof wish->places->labels);
    }
    avoid_unable(self->schedules, &key, ret);
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

static bool propose_remove(struct node *self, const char *id)
{
    struct command command = {.type = COMMAND_SCHEDULE_REMOVE, .reason = REASON_CONFIGURATION};
    (void)snprintf(command.schedule_id.id, sizeof command.schedule_id.id, "%s", id);
    (void)snprintf(command.why, sizeof command.why, "not configured any more");
    fill_who(self, &command);
    return proposals_submit(self->proposals, &command, NULL, NULL, NULL, NULL) == 0;
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

/* The list is whole: what the state has beyond it is configured no more. True: there is some, and
 * as much as fits is proposed. */
static bool remove_unwanted(struct node *self, const char *manager,
                            const struct schedule_list *list)
{
    size_t count = 0;
    size_t all = state_schedule_count(self->mirror);
    bool goes_on = true;
    for (size_t i = 0; all > list->total && i < all; i++) {
        count += belongs_to(state_schedule_at(self->mirror, i)->id, manager) ? 1 : 0;
    }
    for (size_t i = 0; goes_on && count > list->total && i < all; i++) {
        const char *id = state_schedule_at(self->mirror, i)->id;
        if (belongs_to(id, manager) && is_unwanted(self->schedules, list, id)) {
            goes_on = propose_remove(self, id);
        }
    }
    return count > list->total;
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
            free(wish->id);
        } else {
            self->wishes[kept++] = *wish;
        }
    }
    self->wish_count = kept;
}

/* Repeated until the state shows it: more may go than can be proposed at once. */
static void clear_out(struct node *self, int64_t now_ms)
{
    struct schedules *schedules = self->schedules;
    schedules->cleared_ms = now_ms;
    schedules->clearing = false;
    for (size_t i = 0; i < schedules->list_count; i++) {
        const struct wanted_list *row = &schedules->lists[i];
        if (row->is->term == self->view.term && schedule_list_whole(row->is)) {
            schedules->clearing |= remove_unwanted(self, row->manager, row->is);
            forget_unwanted(schedules, row->manager, row->is);
        }
    }
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
    bool news = wanted->term != list->term || wanted->edition != list->edition ||
                !schedule_list_whole(list);
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
    int64_t now_ms = clock_boot_ms();
    if (schedule_list_whole(list) && (news || now_ms >= schedules->cleared_ms + WISH_REPEAT_MS)) {
        clear_out(self, now_ms);
    }
}

/* What was left when there was no more room for proposals, and what was lost of them. */
void schedule_wishes_step(struct node *self, int64_t now_ms)
{
    if (now_ms >= schedule_wishes_at_ms(self->schedules)) {
        clear_out(self, now_ms);
    }
}

int64_t schedule_wishes_at_ms(const struct schedules *self)
{
    return self->clearing ? self->cleared_ms + WISH_REPEAT_MS : INT64_MAX;
}
