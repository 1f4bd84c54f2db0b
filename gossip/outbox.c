#include "gossip/outbox.h"

#include "node/base/invariant.h"

#include <stdlib.h>
#include <string.h>

struct outbox_entry {
    struct outbox_entry *next;
    struct gossip_action action;
    uint8_t bytes[];
};

void gossip_outbox_init(struct outbox *self, size_t count_max)
{
    *self = (struct outbox){.count_max = count_max};
}

void gossip_outbox_deinit(struct outbox *self)
{
    struct gossip_action action;
    while (gossip_outbox_next(self, &action)) {
    }
    invariant(self->current == NULL);
}

static bool is_send(const struct outbox_entry *entry)
{
    return entry->action.kind == GOSSIP_ACTION_SEND;
}

static void drop_oldest_send(struct outbox *self)
{
    struct outbox_entry *previous = NULL;
    struct outbox_entry *entry = self->first;
    while (entry != NULL && !is_send(entry)) {
        previous = entry;
        entry = entry->next;
    }
    invariant(entry != NULL);
    if (previous == NULL) {
        self->first = entry->next;
    } else {
        previous->next = entry->next;
    }
    if (self->last == entry) {
        self->last = previous;
    }
    self->sends--;
    free(entry);
}

static bool make_room(struct outbox *self, bool send, bool *ret_dropped)
{
    if (!send) {
        return self->count < self->count_max;
    }
    if (self->sends >= OUTBOX_SENDS_MAX) {
        drop_oldest_send(self);
        *ret_dropped = true;
    }
    return true;
}

bool gossip_outbox_put(struct outbox *self, const struct gossip_action *action)
{
    bool send = action->kind == GOSSIP_ACTION_SEND;
    bool dropped = false;
    size_t length = send ? action->length : 0;
    if (!make_room(self, send, &dropped)) {
        return false;
    }
    struct outbox_entry *entry = malloc(sizeof *entry + length);
    if (entry == NULL) {
        return false;
    }
    entry->next = NULL;
    entry->action = *action;
    entry->action.bytes = send ? entry->bytes : NULL;
    if (length > 0) {
        memcpy(entry->bytes, action->bytes, length);
    }
    if (self->last == NULL) {
        self->first = entry;
    } else {
        self->last->next = entry;
    }
    self->last = entry;
    self->sends += send;
    self->count += !send;
    return !dropped;
}

bool gossip_outbox_next(struct outbox *self, struct gossip_action *ret)
{
    free(self->current);
    self->current = self->first;
    if (self->current == NULL) {
        return false;
    }
    self->first = self->current->next;
    if (self->first == NULL) {
        self->last = NULL;
    }
    if (is_send(self->current)) {
        self->sends--;
    } else {
        self->count--;
    }
    *ret = self->current->action;
    return true;
}
