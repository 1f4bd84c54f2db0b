/* The wishes of the acting leader's managers: which duties shall run, how many, and where. */
#include "node/base/clock.h"
#include "node/daemon/maintenance.h"
#include "node/daemon/node.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#define WISH_REPEAT_MS 500

static_assert(MANAGER_COPIES_MAX <= PLACEMENT_COPIES_MAX, "all copies have an id");

/* ---- the table ---- */

/* Position of the wish about the duty, or where it belongs. */
static size_t wish_position(const struct node *self, const char *id)
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

const struct wish *duties_wish(const struct node *self, const char *id)
{
    size_t position = wish_position(self, id);
    bool found = position < self->wish_count && strcmp(self->wishes[position].id, id) == 0;
    return found ? &self->wishes[position] : NULL;
}

static struct wish *keep_wish(struct node *self, const char *id)
{
    size_t position = wish_position(self, id);
    struct wish *wish = &self->wishes[position];
    if (position < self->wish_count && strcmp(wish->id, id) == 0) {
        return wish;
    }
    if (self->wish_count == DUTIES_MAX) {
        return NULL;
    }
    memmove(wish + 1, wish, (self->wish_count - position) * sizeof *wish);
    self->wish_count++;
    *wish = (struct wish){0};
    (void)snprintf(wish->id, sizeof wish->id, "%s", id);
    return wish;
}

/* ---- one duty ---- */

static void propose_wish(struct node *self, const struct manager_duty_wanted *wanted)
{
    struct command command = {.type = COMMAND_DUTY_PUT,
                              .reason =
                                  wanted->wanted ? REASON_PRIMARY_DOWN : REASON_DUTY_UNWANTED};
    (void)snprintf(command.duty.id, sizeof command.duty.id, "%s", wanted->duty);
    command.duty.exclusive = wanted->exclusive;
    command.duty.wanted = wanted->wanted;
    command.duty.priority = wanted->priority;
    memcpy(command.duty.alone, wanted->alone, sizeof command.duty.alone);
    command.duty.side = wanted->side;
    (void)snprintf(command.who, sizeof command.who, "%s", node_name(self));
    (void)snprintf(command.why, sizeof command.why, "%s", wanted->reason);
    (void)proposals_submit(self->proposals, &command, NULL, NULL, NULL, NULL);
}

static bool differs(const struct node *self, const struct manager_duty_wanted *wanted)
{
    const struct state_duty *row = state_duty_by_id(self->state, wanted->duty);
    if (row == NULL) {
        return wanted->wanted;
    }
    return row->is.wanted != wanted->wanted || row->is.exclusive != wanted->exclusive ||
           row->is.priority != wanted->priority ||
           state_duty_regroups(self->state, row, wanted->alone, wanted->side);
}

/* Kept, and said again by its manager when the gate opens. */
static bool is_held(const struct node *self, const struct manager_duty_wanted *wanted)
{
    char manager[NAME_SIZE];
    size_t length = strcspn(wanted->duty, "/");
    (void)snprintf(manager, sizeof manager, "%.*s", (int)length, wanted->duty);
    return maintenance_gate(self, manager) != GATE_OPEN;
}

static void take_wish(struct node *self, const struct manager_duty_wanted *wanted, int64_t now_ms)
{
    struct wish *wish = keep_wish(self, wanted->duty);
    if (wish == NULL) {
        return;
    }
    bool said = wish->is.wanted == wanted->wanted && wish->term == wanted->term &&
                now_ms < wish->proposed_ms + WISH_REPEAT_MS;
    if (wish->term != wanted->term) {
        self->placement_at_ms = 0; /* what ended before can be placed now */
    }
    wish->is = *wanted;
    wish->term = wanted->term;
    if (differs(self, wanted) && !said && !is_held(self, wanted)) {
        wish->proposed_ms = now_ms;
        propose_wish(self, wanted);
    }
}

/* ---- copies, and one for each node ---- */

static void take_copies(struct node *self, const struct manager_duty_wanted *wanted, int64_t now_ms)
{
    struct manager_duty_wanted copy = *wanted;
    if (copy.group[0] == '\0') {
        (void)snprintf(copy.group, sizeof copy.group, "%s", wanted->duty);
    }
    for (size_t i = 1; i <= wanted->copies; i++) {
        if (placement_copy_id(wanted->duty, i, copy.duty)) {
            take_wish(self, &copy, now_ms);
        }
    }
}

static bool is_on(const struct manager_duty_wanted *wanted, const char *node)
{
    for (size_t i = 0; i < wanted->on_count; i++) {
        if (strcmp(wanted->on[i], node) == 0) {
            return true;
        }
    }
    return wanted->on_count == 0;
}

static bool node_copy_id(const char *id, const char *node, char ret[DUTY_ID_SIZE])
{
    int length = snprintf(ret, DUTY_ID_SIZE, "%s~%s", id, node);
    return length >= 0 && length < DUTY_ID_SIZE;
}

/* Where its node cannot run it, it waits. */
static void take_per_node(struct node *self, const struct manager_duty_wanted *wanted,
                          int64_t now_ms)
{
    struct manager_duty_wanted copy = *wanted;
    for (size_t i = 0; i < state_node_count(self->state); i++) {
        const struct state_node *row = state_node_at(self->state, i);
        if (!row->removed && is_on(wanted, row->is.name) &&
            node_copy_id(wanted->duty, row->is.name, copy.duty)) {
            copy.on_count = 1;
            memcpy(copy.on[0], row->is.name, sizeof copy.on[0]);
            take_wish(self, &copy, now_ms);
        }
    }
}

/* Is the id one of those that the wish names now? */
static bool is_named(const struct node *self, const struct manager_duty_wanted *wanted,
                     const char *id)
{
    char name[DUTY_ID_SIZE];
    for (size_t i = 1; !wanted->per_node && i <= wanted->copies; i++) {
        if (placement_copy_id(wanted->duty, i, name) && strcmp(name, id) == 0) {
            return true;
        }
    }
    for (size_t i = 0; wanted->per_node && i < state_node_count(self->state); i++) {
        const struct state_node *row = state_node_at(self->state, i);
        if (!row->removed && is_on(wanted, row->is.name) &&
            node_copy_id(wanted->duty, row->is.name, name) && strcmp(name, id) == 0) {
            return true;
        }
    }
    return !wanted->per_node && wanted->copies <= 1 && strcmp(id, wanted->duty) == 0;
}

/* Copies of before, of which fewer are wanted now, or for a node that left. */
static void retire_copies(struct node *self, const struct manager_duty_wanted *wanted,
                          int64_t now_ms)
{
    size_t length = strlen(wanted->duty);
    struct manager_duty_wanted copy = *wanted;
    copy.wanted = false;
    (void)snprintf(copy.reason, sizeof copy.reason, "fewer copies are wanted");
    for (size_t i = 0; i < state_duty_count(self->state); i++) {
        const struct state_duty *row = state_duty_at(self->state, i);
        if (!row->is.wanted || row->is.once || strncmp(row->is.id, wanted->duty, length) != 0 ||
            (row->is.id[length] != '~' && row->is.id[length] != '\0') ||
            is_named(self, wanted, row->is.id)) {
            continue;
        }
        copy.exclusive = row->is.exclusive;
        memcpy(copy.alone, row->is.alone, sizeof copy.alone);
        copy.side = row->is.side;
        copy.priority = row->is.priority;
        (void)snprintf(copy.duty, sizeof copy.duty, "%s", row->is.id);
        take_wish(self, &copy, now_ms);
    }
}

void duties_leader_wanted(struct node *self, const struct manager_duty_wanted *wanted)
{
    if (!node_may_act(self) || self->managers_stopped) {
        return;
    }
    int64_t now_ms = clock_boot_ms();
    if (wanted->per_node) {
        take_per_node(self, wanted, now_ms);
    } else if (wanted->copies > 1) {
        take_copies(self, wanted, now_ms);
    } else {
        take_wish(self, wanted, now_ms);
    }
    if (!is_held(self, wanted)) {
        retire_copies(self, wanted, now_ms);
    }
}
