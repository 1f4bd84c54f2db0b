#include "gossip/members.h"

#include "gossip/health.h"
#include "gossip/suspicion.h"
#include "node/base/invariant.h"

#include <stdlib.h>
#include <string.h>

#define SLOTS_MIN 64
#define PICK_BY_SCAN_MAX 32 /* up to so many live members a pick looks at each */

int gossip_members_init(struct members *self, size_t rows_max)
{
    *self = (struct members){.rows_max = rows_max, .slot_count = SLOTS_MIN};
    self->slots = calloc(self->slot_count, sizeof(struct member *));
    return self->slots == NULL ? ERR_NOMEM : 0;
}

static void free_member(struct member *member)
{
    invariant(member->pending[NEWS_MEMBER] == NULL);
    invariant(member->pending[NEWS_HEALTH] == NULL);
    free(member->address);
    free(member->suspicion);
    gossip_health_record_free(&member->health);
    free(member);
}

void gossip_members_deinit(struct members *self)
{
    for (size_t i = 0; i < self->rows.count; i++) {
        free_member(self->rows.items[i]);
    }
    free(self->rows.items);
    free(self->live.items);
    free(self->suspects.items);
    free(self->slots);
    *self = (struct members){0};
}

/* ---- lists ---- */

static bool list_reserve(struct member_list *list, size_t count)
{
    if (count <= list->capacity) {
        return true;
    }
    size_t capacity = list->capacity == 0 ? 16 : list->capacity * 2;
    struct member **items = realloc(list->items, capacity * sizeof(struct member *));
    if (items == NULL) {
        return false;
    }
    list->items = items;
    list->capacity = capacity;
    return true;
}

static void live_put(struct members *self, size_t index, struct member *member)
{
    self->live.items[index] = member;
    member->live = (uint32_t)index;
}

static void live_swap(struct members *self, size_t a, size_t b)
{
    struct member *kept = self->live.items[a];
    live_put(self, a, self->live.items[b]);
    live_put(self, b, kept);
}

void gossip_members_live_add(struct members *self, struct member *member, struct rng *rng)
{
    if (member->live != NOT_IN_LIST || member == self->self) {
        return;
    }
    invariant(self->live.count < self->live.capacity); /* reserved when the row was made */
    size_t last = self->live.count++;
    live_put(self, last, member);
    live_swap(self, last, (size_t)rng_between(rng, (int64_t)self->cursor, (int64_t)last));
}

void gossip_members_live_remove(struct members *self, struct member *member)
{
    if (member->live == NOT_IN_LIST) {
        return;
    }
    size_t hole = member->live;
    invariant(self->live.items[hole] == member);
    if (hole < self->cursor) { /* keep those before the cursor the probed ones */
        self->cursor--;
        live_put(self, hole, self->live.items[self->cursor]);
        hole = self->cursor;
    }
    self->live.count--;
    if (hole < self->live.count) { /* else nothing is behind it, and its row has moved already */
        live_put(self, hole, self->live.items[self->live.count]);
    }
    member->live = NOT_IN_LIST;
}

void gossip_members_suspect_add(struct members *self, struct member *member)
{
    if (member->suspect != NOT_IN_LIST) {
        return;
    }
    invariant(self->suspects.count < self->suspects.capacity);
    member->suspect = (uint32_t)self->suspects.count;
    self->suspects.items[self->suspects.count++] = member;
}

void gossip_members_suspect_remove(struct members *self, struct member *member)
{
    if (member->suspect == NOT_IN_LIST) {
        return;
    }
    struct member *last = self->suspects.items[--self->suspects.count];
    self->suspects.items[member->suspect] = last;
    last->suspect = member->suspect;
    member->suspect = NOT_IN_LIST;
}

struct member *gossip_members_next_probe(struct members *self, struct rng *rng)
{
    if (self->live.count == 0) {
        return NULL;
    }
    if (self->cursor >= self->live.count) {
        for (size_t i = self->live.count - 1; i > 0; i--) {
            live_swap(self, i, (size_t)rng_below(rng, i + 1));
        }
        self->cursor = 0;
    }
    return self->live.items[self->cursor++];
}

/* Reservoir sampling: every live member is looked at once. */
static size_t pick_by_scan(const struct members *self, struct rng *rng, const struct member *except,
                           struct member **ret, size_t count)
{
    size_t seen = 0;
    for (size_t i = 0; i < self->live.count; i++) {
        struct member *member = self->live.items[i];
        if (member == except) {
            continue;
        }
        seen++;
        if (seen <= count) {
            ret[seen - 1] = member;
            continue;
        }
        size_t place = (size_t)rng_below(rng, seen);
        if (place < count) {
            ret[place] = member;
        }
    }
    return seen < count ? seen : count;
}

static bool picked(struct member **ret, size_t count, const struct member *member)
{
    for (size_t i = 0; i < count; i++) {
        if (ret[i] == member) {
            return true;
        }
    }
    return false;
}

size_t gossip_members_pick(const struct members *self, struct rng *rng, const struct member *except,
                           struct member **ret, size_t count)
{
    if (count == 0) {
        return 0;
    }
    if (self->live.count <= PICK_BY_SCAN_MAX) {
        return pick_by_scan(self, rng, except, ret, count);
    }
    size_t found = 0;
    for (size_t tries = 0; found < count && tries < 8 * count; tries++) {
        struct member *member = self->live.items[rng_below(rng, self->live.count)];
        if (member != except && !picked(ret, found, member)) {
            ret[found++] = member;
        }
    }
    return found;
}

/* ---- rows by name ---- */

static size_t slot_of(struct member *const *slots, size_t slot_count, uint64_t hash,
                      const char *name)
{
    size_t slot = (size_t)hash & (slot_count - 1);
    while (slots[slot] != NULL &&
           (slots[slot]->hash != hash || strcmp(slots[slot]->name, name) != 0)) {
        slot = (slot + 1) & (slot_count - 1);
    }
    return slot;
}

struct member *gossip_members_find(const struct members *self, const char *name)
{
    return self->slots[slot_of(self->slots, self->slot_count, gossip_members_hash(name), name)];
}

struct member *gossip_members_row(const struct members *self, size_t index)
{
    invariant(index < self->rows.count);
    return self->rows.items[index];
}

static bool slots_reserve(struct members *self, size_t rows)
{
    if (rows * 2 <= self->slot_count) {
        return true;
    }
    size_t slot_count = self->slot_count * 2;
    struct member **slots = calloc(slot_count, sizeof(struct member *));
    if (slots == NULL) {
        return false;
    }
    for (size_t i = 0; i < self->rows.count; i++) {
        struct member *member = self->rows.items[i];
        slots[slot_of(slots, slot_count, member->hash, member->name)] = member;
    }
    free(self->slots);
    self->slots = slots;
    self->slot_count = slot_count;
    return true;
}

/* Open addressing without tombstones: close the gap by moving later entries up. */
static void slot_clear(struct members *self, struct member *member)
{
    size_t mask = self->slot_count - 1;
    size_t gap = slot_of(self->slots, self->slot_count, member->hash, member->name);
    invariant(self->slots[gap] == member);
    self->slots[gap] = NULL;
    for (size_t next = (gap + 1) & mask; self->slots[next] != NULL; next = (next + 1) & mask) {
        struct member *moved = self->slots[next];
        self->slots[next] = NULL;
        self->slots[slot_of(self->slots, self->slot_count, moved->hash, moved->name)] = moved;
    }
}

struct member *gossip_members_add(struct members *self, const char *name, const char *address)
{
    size_t rows = self->rows.count + 1;
    if (rows > self->rows_max || !slots_reserve(self, rows) || !list_reserve(&self->rows, rows) ||
        !list_reserve(&self->live, rows) || !list_reserve(&self->suspects, rows)) {
        return NULL;
    }
    size_t length = strlen(name);
    struct member *member = calloc(1, sizeof *member + length + 1);
    char *copy = strdup(address);
    if (member == NULL || copy == NULL) {
        free(member);
        free(copy);
        return NULL;
    }
    memcpy(member->name, name, length + 1);
    member->address = copy;
    member->hash = gossip_members_hash(name);
    member->contact_ms = INT64_MIN;
    member->told_ms = INT64_MIN;
    member->live = NOT_IN_LIST;
    member->suspect = NOT_IN_LIST;
    member->row = (uint32_t)self->rows.count;
    self->rows.items[self->rows.count++] = member;
    self->slots[slot_of(self->slots, self->slot_count, member->hash, name)] = member;
    return member;
}

void gossip_members_remove(struct members *self, struct member *member)
{
    invariant(member != self->self);
    gossip_members_live_remove(self, member);
    gossip_members_suspect_remove(self, member);
    slot_clear(self, member);
    struct member *last = self->rows.items[--self->rows.count];
    self->rows.items[member->row] = last;
    last->row = member->row;
    self->digest ^= member->digest;
    self->buckets[gossip_members_bucket(member, DIGEST_BUCKETS)] ^= member->digest;
    free_member(member);
}
