#include "tests/sim/promise.h"

#include "node/base/invariant.h"
#include "tests/sim/check.h"
#include "tests/sim/node.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* A hash for each entry tells all that matters of it. */
struct contents {
    uint64_t term;
    uint64_t vote;
    uint64_t snapshot_index;
    uint64_t snapshot_hash;
    uint64_t first_index;
    size_t count;
    size_t capacity;
    uint64_t *entries;
};

struct promise {
    uint64_t id;
    uint64_t incarnation;
    struct contents kept;
    struct contents begun; /* with the write under way */
    bool under_way;
};

struct promise *promise_create(void)
{
    struct promise *self = calloc(1, sizeof *self);
    invariant(self != NULL);
    self->kept.first_index = 1;
    return self;
}

void promise_destroy(struct promise **self_p)
{
    if (*self_p != NULL) {
        free((*self_p)->kept.entries);
        free((*self_p)->begun.entries);
        free(*self_p);
        *self_p = NULL;
    }
}

static uint64_t hash_more(uint64_t hash, const uint8_t *bytes, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        hash = (hash ^ bytes[i]) * 0x100000001b3ULL;
    }
    return hash;
}

static uint64_t hash_entry(const struct consensus_entry *entry)
{
    uint64_t hash = 0xcbf29ce484222325ULL ^ entry->term * 31 ^ (uint64_t)entry->type << 56;
    return hash_more(hash, entry->bytes, entry->length);
}

static uint64_t hash_snapshot(const struct consensus_snapshot_meta *meta, const uint8_t *bytes,
                              size_t length)
{
    uint64_t hash = 0xcbf29ce484222325ULL ^ meta->index * 31 ^ meta->term * 37;
    for (size_t i = 0; i < meta->server_count; i++) {
        hash = (hash ^ meta->servers[i].id) * 31 + (uint64_t)meta->servers[i].role;
    }
    return hash_more(hash, bytes, length);
}

static void reserve(struct contents *self, size_t count)
{
    if (count > self->capacity) {
        self->capacity = count * 2;
        self->entries = realloc(self->entries, self->capacity * sizeof *self->entries);
        invariant(self->entries != NULL);
    }
}

static void copy(struct contents *self, const struct contents *from)
{
    reserve(self, from->count);
    struct contents mine = *self;
    *self = *from;
    self->entries = mine.entries;
    self->capacity = mine.capacity;
    if (from->count > 0) {
        memcpy(self->entries, from->entries, from->count * sizeof *self->entries);
    }
}

static struct contents *begin(struct promise *self)
{
    copy(&self->begun, &self->kept);
    self->under_way = true;
    return &self->begun;
}

void promise_term(struct promise *self, uint64_t term)
{
    struct contents *contents = begin(self);
    contents->term = term;
    contents->vote = 0;
}

void promise_vote(struct promise *self, uint64_t term, uint64_t vote)
{
    struct contents *contents = begin(self);
    contents->term = term;
    contents->vote = vote;
}

void promise_append(struct promise *self, uint64_t first_index,
                    const struct consensus_entry *entries, size_t count)
{
    struct contents *contents = begin(self);
    invariant(first_index == contents->first_index + contents->count);
    reserve(contents, contents->count + count);
    for (size_t i = 0; i < count; i++) {
        contents->entries[contents->count++] = hash_entry(&entries[i]);
    }
}

void promise_truncate(struct promise *self, uint64_t first_index)
{
    struct contents *contents = begin(self);
    if (first_index <= contents->first_index) {
        contents->count = 0;
    } else if (first_index < contents->first_index + contents->count) {
        contents->count = (size_t)(first_index - contents->first_index);
    }
}

void promise_snapshot(struct promise *self, const struct consensus_snapshot_meta *meta,
                      const uint8_t *bytes, size_t length, uint64_t trailing)
{
    struct contents *contents = begin(self);
    contents->snapshot_index = meta->index;
    contents->snapshot_hash = hash_snapshot(meta, bytes, length);
    uint64_t end = contents->first_index + contents->count;
    uint64_t first = meta->index > trailing ? meta->index - trailing + 1 : 1;
    if (trailing == 0 || first >= end) {
        contents->first_index = meta->index + 1;
        contents->count = 0;
    } else if (first > contents->first_index) {
        contents->count = (size_t)(end - first);
        memmove(contents->entries, contents->entries + (first - contents->first_index),
                contents->count * sizeof *contents->entries);
        contents->first_index = first;
    }
}

void promise_keep(struct promise *self)
{
    struct contents kept = self->kept;
    self->kept = self->begun;
    self->begun = kept;
    self->under_way = false;
}

/* ---- the comparison ---- */

void promise_check_start(struct promise *self, struct node *node, uint64_t id, uint64_t incarnation)
{
    if (self->id != 0 && self->id != id) {
        check_failed(node->world, "I6", "n%d was %" PRIu64 " and is %" PRIu64, node->index,
                     self->id, id);
    }
    if (incarnation <= self->incarnation) {
        check_failed(node->world, "I6",
                     "n%d begins incarnation %" PRIu64 " after incarnation %" PRIu64, node->index,
                     incarnation, self->incarnation);
    }
    self->id = id;
    self->incarnation = incarnation;
}

static void read_stored(const struct consensus_stored *stored, struct contents *ret)
{
    ret->term = stored->term;
    ret->vote = stored->vote;
    ret->first_index = stored->first_index;
    if (stored->has_snapshot) {
        ret->snapshot_index = stored->snapshot.index;
        ret->snapshot_hash =
            hash_snapshot(&stored->snapshot, stored->snapshot_bytes, stored->snapshot_length);
    }
    reserve(ret, stored->entry_count);
    for (size_t i = 0; i < stored->entry_count; i++) {
        ret->entries[ret->count++] = hash_entry(&stored->entries[i]);
    }
}

/* NULL, or what differs. */
static const char *difference(const struct contents *a, const struct contents *b)
{
    if (a->term != b->term) {
        return "the term";
    }
    if (a->vote != b->vote) {
        return "the vote";
    }
    if (a->snapshot_index != b->snapshot_index || a->snapshot_hash != b->snapshot_hash) {
        return "the snapshot";
    }
    if (a->first_index != b->first_index || a->count != b->count) {
        return "the log's bounds";
    }
    bool equal =
        a->count == 0 || memcmp(a->entries, b->entries, a->count * sizeof *a->entries) == 0;
    return equal ? NULL : "an entry";
}

void promise_check_loaded(struct promise *self, struct node *node,
                          const struct consensus_stored *stored)
{
    struct contents found = {0};
    read_stored(stored, &found);
    const char *wrong = difference(&found, &self->kept);
    if (wrong != NULL && self->under_way && difference(&found, &self->begun) == NULL) {
        wrong = NULL;
        promise_keep(self);
    }
    if (wrong != NULL) {
        check_failed(node->world, "I6",
                     "n%d has not kept %s: term %" PRIu64 " vote %" PRIu64 " entries %" PRIu64
                     " to %" PRIu64 " snapshot %" PRIu64 " instead of %" PRIu64 ", %" PRIu64
                     ", %" PRIu64 " to %" PRIu64 ", %" PRIu64,
                     node->index, wrong, found.term, found.vote, found.first_index,
                     found.first_index + found.count - 1, found.snapshot_index, self->kept.term,
                     self->kept.vote, self->kept.first_index,
                     self->kept.first_index + self->kept.count - 1, self->kept.snapshot_index);
    }
    self->under_way = false;
    free(found.entries);
}
