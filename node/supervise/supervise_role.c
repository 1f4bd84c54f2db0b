/* Who may act until when. The rule is the project's safety page: a manager that has not confirmed
 * the end of its role in time is dead before anybody relies on it. */
#include "node/supervise/supervise_private.h"

#include "node/base/clock.h"
#include "node/base/invariant.h"

void supervise_role_give(struct supervise *self, struct child *child)
{
    if (!self->active || child->phase != CHILD_READY || child->ack_by_ms != 0) {
        return;
    }
    if (child->role_term != 0 && child->role_term != self->term) {
        return; /* still ending an earlier one; given when that is confirmed */
    }
    struct manager_message message = {
        .kind = MANAGER_ROLE,
        .as.role = {.active = true,
                    .term = self->term,
                    .deadline_ms = self->deadline_ms - SUPERVISE_DEADLINE_MARGIN_MS},
    };
    /* Counted as given before it is sent: the other way round a lost answer could hide it. */
    child->role_term = self->term;
    (void)supervise_messages_send(self, child, &message, NULL);
}

static void tell_ended_if_none(struct supervise *self)
{
    if (!self->owes_ended) {
        return;
    }
    for (size_t i = 0; i < self->child_count; i++) {
        if (self->children[i].role_term != 0 && self->children[i].role_term <= self->ended_term) {
            return;
        }
    }
    self->owes_ended = false;
    self->callbacks->managers_ended(self->context, self->ended_term);
}

void supervise_role_over(struct supervise *self, struct child *child)
{
    uint64_t term = child->role_term;
    child->role_term = 0;
    child->ack_by_ms = 0;
    tell_ended_if_none(self);
    /* In the same term it let go by its own clock: only a renewal gives the role again. */
    if (term < self->term) {
        supervise_role_give(self, child);
    }
}

static void end_child(struct supervise *self, struct child *child, int64_t now_ms)
{
    if (child->role_term == 0 || child->ack_by_ms != 0) {
        return;
    }
    child->ack_by_ms = now_ms + SUPERVISE_ACK_MS;
    struct manager_message message = {
        .kind = MANAGER_ROLE,
        .as.role = {.active = false, .term = child->role_term},
    };
    (void)supervise_messages_send(self, child, &message, NULL);
}

static void end_all(struct supervise *self, int64_t now_ms)
{
    self->active = false;
    self->owes_ended = true;
    self->ended_term = self->term;
    for (size_t i = 0; i < self->child_count; i++) {
        end_child(self, &self->children[i], now_ms);
    }
    tell_ended_if_none(self);
}

void supervise_set_role(struct supervise *self, int64_t now_ms, bool active, uint64_t term,
                        int64_t deadline_ms)
{
    if (!active) {
        if (self->asked_active) {
            self->asked_active = false;
            end_all(self, now_ms);
        }
        supervise_rearm(self);
        return;
    }
    invariant(term > 0);
    if (self->active && self->term != term) {
        end_all(self, now_ms);
    }
    self->asked_active = true;
    self->active = now_ms < deadline_ms;
    self->term = term;
    self->deadline_ms = deadline_ms;
    for (size_t i = 0; i < self->child_count; i++) {
        supervise_role_give(self, &self->children[i]);
    }
    supervise_rearm(self);
}

bool supervise_any_active(const struct supervise *self)
{
    for (size_t i = 0; i < self->child_count; i++) {
        if (self->children[i].role_term != 0) {
            return true;
        }
    }
    return false;
}

/* The lease ended without a renewal: whoever has not stopped by its own clock is ended now. */
static void expire(struct supervise *self)
{
    self->active = false;
    self->owes_ended = true;
    self->ended_term = self->term;
    for (size_t i = 0; i < self->child_count; i++) {
        struct child *child = &self->children[i];
        if (child->role_term != 0) {
            supervise_process_kill(self, child, "it still acted at the end of the lease");
        }
    }
    tell_ended_if_none(self);
}

void supervise_role_tick(struct supervise *self, int64_t now_ms)
{
    if (self->active && now_ms >= self->deadline_ms) {
        expire(self);
    }
    for (size_t i = 0; i < self->child_count; i++) {
        struct child *child = &self->children[i];
        if (child->ack_by_ms != 0 && now_ms >= child->ack_by_ms && child->phase != CHILD_KILLED) {
            supervise_process_kill(self, child, "it did not confirm the end of its role");
        }
    }
}

int64_t supervise_role_deadline(const struct supervise *self)
{
    int64_t first_ms = self->active ? self->deadline_ms : INT64_MAX;
    for (size_t i = 0; i < self->child_count; i++) {
        const struct child *child = &self->children[i];
        if (child->ack_by_ms != 0 && child->phase != CHILD_KILLED && child->ack_by_ms < first_ms) {
            first_ms = child->ack_by_ms;
        }
    }
    return first_ms;
}
