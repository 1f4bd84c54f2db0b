/* A table of members with the interface of gossip/members.c, for one process that simulates a large
 * cluster. All nodes start with equal rows; here these are one set of rows for all of them, and a
 * table makes its own copy of a row when somebody may write to it. What each table has of its own is
 * the order of its pass (12 bytes a member). Lists, orders and random draws are those of members.c
 * to the letter; rows never come or go. */
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

static void make_row(size_t id, const struct net_node *node, const struct health_record *record)
{
    struct member *row = shared_row(id);
    size_t length = strlen(node->name);
    invariant(sizeof *row + length + 1 <= ROW_STRIDE);
    memcpy(row->name, node->name, length + 1);
    *row = (struct member){.address = strdup(node->address),
                           .incarnation = POPULATION_INCARNATION,
                           .contact_ms = INT64_MIN,
                           .told_ms = INT64_MIN,
                           .health = shared.health,
                           .hash = gossip_members_hash(node->name),
                           .row = (uint32_t)id,
                           .live = NOT_IN_LIST,
                           .suspect = NOT_IN_LIST,
                           .state = GOSSIP_ALIVE};
    invariant(row->address != NULL && record != NULL);
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
    int rc = gossip_health_record_set_details(shared.health, record->details,
                                              record->details_length);
    invariant(rc == 0);
    for (size_t i = 0; i < shared.count; i++) {
        make_row(i, &net->nodes[i], record);
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

/* rows.items holds no rows here but each member's index in the pass. */
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
    if (self->capacity_used * 2 >= self->slot_count) {
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
    self->capacity_used++;
}
