/* A table of members with the interface of gossip/members.c, for one process that simulates a large
 * cluster. All nodes start with equal rows; here these are one set of rows for all of them, and a
 * table makes its own copy of a row when somebody may write to it. What each table has of its own
 * is the order of its pass (12 bytes a member). Lists, orders and random draws are those of
 * members.c to the letter; rows never come or go. */
#include "tests/bench/gossip_population.h"

#include "node/base/invariant.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OWN_SLOTS_MIN 64
#define ROW_STRIDE (sizeof(struct member) + 16) /* with a name of up to 15 bytes */

const bool population_is_shared = true;

static struct {
    size_t count;
    uint8_t *rows; /* struct member at each ROW_STRIDE; `row` is its index, `live` means nothing */
    uint32_t *slots;
    size_t slot_count;
    uint64_t digest;
    uint64_t buckets[DIGEST_BUCKETS];
    struct health_record *health;
} shared;

static struct member *shared_row(size_t id)
{
    invariant(id < shared.count);
    return (struct member *)(void *)(shared.rows + id * ROW_STRIDE);
}

static bool is_shared(const struct member *member)
{
    const uint8_t *at = (const uint8_t *)member;
    return at >= shared.rows && at < shared.rows + shared.count * ROW_STRIDE;
}

static size_t shared_slot(uint64_t hash, const char *name)
{
    size_t slot = (size_t)hash & (shared.slot_count - 1);
    while (shared.slots[slot] != UINT32_MAX &&
           strcmp(shared_row(shared.slots[slot])->name, name) != 0) {
        slot = (slot + 1) & (shared.slot_count - 1);
    }
    return slot;
}

static void make_row(size_t id, const struct net_node *node, int64_t now_ms)
{
    struct member *row = shared_row(id);
    size_t length = strlen(node->name);
    invariant(sizeof *row + length + 1 <= ROW_STRIDE);
    *row = (struct member){.address = strdup(node->address),
                           .incarnation = POPULATION_INCARNATION,
                           .since_ms = now_ms,
                           .contact_ms = INT64_MIN,
                           .told_ms = INT64_MIN,
                           .health = shared.health,
                           .hash = gossip_members_hash(node->name),
                           .row = (uint32_t)id,
                           .live = NOT_IN_LIST,
                           .suspect = NOT_IN_LIST,
                           .state = GOSSIP_ALIVE};
    memcpy(row->name, node->name, length + 1); /* begins within what the line above has cleared */
    invariant(row->address != NULL);
    shared.slots[shared_slot(row->hash, row->name)] = (uint32_t)id;
    struct members sum = {0};
    gossip_members_update_digest(&sum, row);
    shared.digest ^= sum.digest;
    shared.buckets[gossip_members_bucket(row, DIGEST_BUCKETS)] ^= sum.digest;
}

void population_begin(const struct net *net, const struct health_record *record)
{
    invariant(net->node_count >= POPULATION_SHARES_MIN);
    shared.count = net->node_count;
    shared.health = calloc(1, sizeof *shared.health);
    shared.rows = calloc(shared.count, ROW_STRIDE);
    shared.slot_count = 64;
    while (shared.slot_count < 2 * shared.count) {
        shared.slot_count *= 2;
    }
    shared.slots = malloc(shared.slot_count * sizeof *shared.slots);
    invariant(shared.health != NULL && shared.rows != NULL && shared.slots != NULL);
    memset(shared.slots, 0xff, shared.slot_count * sizeof *shared.slots);
    *shared.health = *record;
    shared.health->details = NULL;
    shared.health->since_ms = net->now_ms;
    int rc =
        gossip_health_record_set_details(shared.health, record->details, record->details_length);
    invariant(rc == 0);
    for (size_t i = 0; i < shared.count; i++) {
        make_row(i, &net->nodes[i], net->now_ms);
    }
}

void population_end(void)
{
    for (size_t i = 0; i < shared.count; i++) {
        free(shared_row(i)->address);
    }
    gossip_health_record_free(&shared.health);
    free(shared.rows);
    free(shared.slots);
    memset(&shared, 0, sizeof shared);
}

/* ---- one table ---- */

/* rows.items holds no rows here but each member's index in the pass; rows.capacity counts the rows
 * that this table has copies of, which are in its slots. */
static uint32_t *live_index(const struct members *self)
{
    return (uint32_t *)(void *)self->rows.items;
}

int gossip_members_init(struct members *self, size_t rows_max)
{
    *self = (struct members){.rows_max = rows_max, .slot_count = OWN_SLOTS_MIN};
    self->slots = calloc(self->slot_count, sizeof(struct member *));
    self->live.items = calloc(shared.count, sizeof(struct member *));
    self->rows.items = malloc(shared.count * sizeof(uint32_t));
    invariant(self->slots != NULL && self->live.items != NULL && self->rows.items != NULL);
    memset(self->rows.items, 0xff, shared.count * sizeof(uint32_t));
    return 0;
}

static void free_own(struct member *member)
{
    free(member->address);
    free(member->suspicion);
    gossip_health_record_free(&member->health);
    free(member);
}

void gossip_members_deinit(struct members *self)
{
    for (size_t i = 0; i < self->slot_count && self->slots != NULL; i++) {
        if (self->slots[i] != NULL) {
            free_own(self->slots[i]);
        }
    }
    free(self->slots);
    free(self->live.items);
    free(self->rows.items);
    free(self->suspects.items);
    *self = (struct members){0};
}

static size_t own_slot(struct member *const *slots, size_t slot_count, uint64_t hash,
                       const char *name)
{
    size_t slot = (size_t)hash & (slot_count - 1);
    while (slots[slot] != NULL && strcmp(slots[slot]->name, name) != 0) {
        slot = (slot + 1) & (slot_count - 1);
    }
    return slot;
}

static void own_put(struct members *self, struct member *member)
{
    if (self->rows.capacity * 2 >= self->slot_count) {
        size_t slot_count = self->slot_count * 2;
        struct member **slots = calloc(slot_count, sizeof(struct member *));
        invariant(slots != NULL);
        for (size_t i = 0; i < self->slot_count; i++) {
            if (self->slots[i] != NULL) {
                slots[own_slot(slots, slot_count, self->slots[i]->hash, self->slots[i]->name)] =
                    self->slots[i];
            }
        }
        free(self->slots);
        self->slots = slots;
        self->slot_count = slot_count;
    }
    self->slots[own_slot(self->slots, self->slot_count, member->hash, member->name)] = member;
    self->rows.capacity++;
}

/* The table's own copy of the row, made when there is none. */
static struct member *own_row(struct members *self, struct member *member)
{
    if (!is_shared(member)) {
        return member;
    }
    struct member *copy = malloc(ROW_STRIDE);
    struct health_record *health = malloc(sizeof *health);
    invariant(copy != NULL && health != NULL);
    memcpy(copy, member, ROW_STRIDE);
    *health = *member->health;
    health->details = NULL;
    int rc = gossip_health_record_set_details(health, member->health->details,
                                              member->health->details_length);
    copy->health = health;
    copy->address = strdup(member->address);
    invariant(rc == 0 && copy->address != NULL);
    copy->live = live_index(self)[member->row];
    if (copy->live != NOT_IN_LIST) {
        self->live.items[copy->live] = copy;
    }
    own_put(self, copy);
    return copy;
}

/* The functions that look are const in members.h, and copy a row all the same. */
static struct members *writable(const struct members *self)
{
    return (struct members *)(uintptr_t)self;
}

struct member *gossip_members_find(const struct members *self, const char *name)
{
    uint64_t hash = gossip_members_hash(name);
    struct member *own = self->slots[own_slot(self->slots, self->slot_count, hash, name)];
    if (own != NULL) {
        return own;
    }
    uint32_t id = shared.slots[shared_slot(hash, name)];
    return id == UINT32_MAX ? NULL : own_row(writable(self), shared_row(id));
}

/* For reading alone; own row first, then the others in order, as the real table is filled. */
struct member *gossip_members_row(const struct members *self, size_t index)
{
    invariant(index < self->rows.count);
    if (index == 0) {
        return self->self;
    }
    struct member *row = shared_row(index <= self->self->row ? index - 1 : index);
    struct member *own = self->slots[own_slot(self->slots, self->slot_count, row->hash, row->name)];
    return own == NULL ? row : own;
}

/* The node's own row, which it makes itself. */
struct member *gossip_members_add(struct members *self, const char *name, const char *address)
{
    invariant(self->rows.count == 0);
    struct member *own =
        own_row(self, shared_row(shared.slots[shared_slot(gossip_members_hash(name), name)]));
    invariant(strcmp(own->address, address) == 0);
    gossip_health_record_free(&own->health);
    own->digest = 0;
    self->rows.count = 1;
    return own;
}

void gossip_members_remove(struct members *self, struct member *member)
{
    (void)self;
    (void)member;
    invariant(false); /* nothing is kept so long that it would be dropped */
}

/* ---- lists ---- */

static void live_put(struct members *self, size_t index, struct member *member)
{
    self->live.items[index] = member;
    live_index(self)[member->row] = (uint32_t)index;
    if (!is_shared(member)) {
        member->live = (uint32_t)index;
    }
}

static void live_swap(struct members *self, size_t a, size_t b)
{
    struct member *kept = self->live.items[a];
    live_put(self, a, self->live.items[b]);
    live_put(self, b, kept);
}

static void live_append(struct members *self, struct member *member, struct rng *rng)
{
    size_t last = self->live.count++;
    live_put(self, last, member);
    live_swap(self, last, (size_t)rng_between(rng, (int64_t)self->cursor, (int64_t)last));
}

void gossip_members_live_add(struct members *self, struct member *member, struct rng *rng)
{
    if (member->live == NOT_IN_LIST && member != self->self) {
        live_append(self, member, rng);
    }
}

void gossip_members_live_remove(struct members *self, struct member *member)
{
    if (member->live == NOT_IN_LIST) {
        return;
    }
    size_t hole = member->live;
    if (hole < self->cursor) {
        self->cursor--;
        live_put(self, hole, self->live.items[self->cursor]);
        hole = self->cursor;
    }
    self->live.count--;
    if (hole < self->live.count) {
        live_put(self, hole, self->live.items[self->live.count]);
    }
    member->live = NOT_IN_LIST;
    live_index(self)[member->row] = NOT_IN_LIST;
}

void gossip_members_suspect_add(struct members *self, struct member *member)
{
    if (member->suspect != NOT_IN_LIST) {
        return;
    }
    if (self->suspects.count == self->suspects.capacity) {
        size_t capacity = self->suspects.capacity == 0 ? 8 : 2 * self->suspects.capacity;
        self->suspects.items = realloc(self->suspects.items, capacity * sizeof(struct member *));
        invariant(self->suspects.items != NULL);
        self->suspects.capacity = capacity;
    }
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
    if (self->cursor >= self->live.count) {
        for (size_t i = self->live.count - 1; i > 0; i--) {
            live_swap(self, i, (size_t)rng_below(rng, i + 1));
        }
        self->cursor = 0;
    }
    return own_row(self, self->live.items[self->cursor++]);
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
    size_t found = 0;
    invariant(self->live.count > POPULATION_SHARES_MIN / 2);
    for (size_t tries = 0; found < count && tries < 8 * count; tries++) {
        struct member *member = self->live.items[rng_below(rng, self->live.count)];
        if (member != except && !picked(ret, found, member)) {
            ret[found++] = own_row(writable(self), member);
        }
    }
    return found;
}

void population_fill(struct members *members, struct rng *rng, size_t own, int64_t now_ms)
{
    (void)now_ms;
    for (size_t i = 0; i < shared.count; i++) {
        if (i != own) {
            live_append(members, shared_row(i), rng);
        }
    }
    members->rows.count = shared.count;
    const struct member *row = shared_row(own);
    members->digest ^= shared.digest ^ row->digest;
    for (unsigned i = 0; i < DIGEST_BUCKETS; i++) {
        members->buckets[i] ^= shared.buckets[i];
    }
    members->buckets[gossip_members_bucket(row, DIGEST_BUCKETS)] ^= row->digest;
}
