#include "consensus/schedule_parts.h"

#include "node/base/invariant.h"

#include <stdlib.h>
#include <string.h>

/* On time before late; then by priority, slot and id. */
static bool ranks_before(const struct schedule_entry *a, const struct schedule_entry *b)
{
    if (a->behind != b->behind) {
        return b->behind;
    }
    if (a->priority != b->priority) {
        return a->priority > b->priority;
    }
    if (a->next_s != b->next_s) {
        return a->next_s < b->next_s;
    }
    return strcmp(a->id, b->id) < 0;
}

bool schedule_heap_before(enum schedule_heap_kind kind, const struct schedule_entry *a,
                          const struct schedule_entry *b)
{
    return kind == SCHEDULE_BY_TIME ? a->wake_s < b->wake_s : ranks_before(a, b);
}

int schedule_heap_reserve(struct schedule_heap *self, size_t capacity)
{
    struct schedule_entry **items =
        realloc(self->items, capacity * sizeof(struct schedule_entry *));
    if (items == NULL) {
        return ERR_NOMEM;
    }
    self->items = items;
    return 0;
}

static void put(struct schedule_heap *self, size_t at, struct schedule_entry *entry)
{
    self->items[at] = entry;
    entry->heap_at[self->kind] = (uint32_t)at + 1;
}

/* The place at `at` is free; move the free place up until `entry` may stand in it. */
static void rise(struct schedule_heap *self, size_t at, struct schedule_entry *entry)
{
    while (at > 0 && schedule_heap_before(self->kind, entry, self->items[(at - 1) / 2])) {
        put(self, at, self->items[(at - 1) / 2]);
        at = (at - 1) / 2;
    }
    put(self, at, entry);
}

/* The same, down. */
static void sink(struct schedule_heap *self, size_t at, struct schedule_entry *entry)
{
    for (size_t child = 2 * at + 1; child < self->count; child = 2 * at + 1) {
        if (child + 1 < self->count &&
            schedule_heap_before(self->kind, self->items[child + 1], self->items[child])) {
            child++;
        }
        if (!schedule_heap_before(self->kind, self->items[child], entry)) {
            break;
        }
        put(self, at, self->items[child]);
        at = child;
    }
    put(self, at, entry);
}

void schedule_heap_push(struct schedule_heap *self, struct schedule_entry *entry)
{
    invariant(entry->heap_at[self->kind] == 0);
    rise(self, self->count++, entry);
}

void schedule_heap_remove(struct schedule_heap *self, struct schedule_entry *entry)
{
    if (entry->heap_at[self->kind] == 0) {
        return;
    }
    size_t at = entry->heap_at[self->kind] - 1;
    invariant(at < self->count);
    invariant(self->items[at] == entry);
    entry->heap_at[self->kind] = 0;
    struct schedule_entry *last = self->items[--self->count];
    if (last == entry) {
        return;
    }
    if (at > 0 && schedule_heap_before(self->kind, last, self->items[(at - 1) / 2])) {
        rise(self, at, last);
    } else {
        sink(self, at, last);
    }
}

struct schedule_entry *schedule_heap_first(const struct schedule_heap *self)
{
    return self->count == 0 ? NULL : self->items[0];
}
