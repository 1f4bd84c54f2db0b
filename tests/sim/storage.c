#include "tests/sim/storage.h"

#include "node/base/invariant.h"
#include "tests/sim/calls.h"
#include "tests/sim/check.h"
#include "tests/sim/node.h"
#include "tests/sim/promise.h"
#include "tests/sim/world.h"

#include <stdlib.h>
#include <string.h>

struct contents {
    uint64_t first_index; /* of entries[0] */
    struct consensus_entry *entries;
    size_t count;
    size_t capacity;
    bool has_snapshot;
    struct consensus_snapshot_meta meta;
    uint8_t *snapshot;
    size_t snapshot_length;
};

struct storage {
    struct node *node;
    uint64_t id; /* whose it is; 0: nobody's yet */
    uint64_t incarnation;
    struct promise *promise;
    uint64_t term;
    uint64_t vote;
    bool vote_is_fresh; /* written by the process that runs */
    struct contents now;
    bool late; /* what a crash leaves is `durable` */
    struct contents durable;
    enum storage_fault fault;
    int fault_in; /* calls until the fault, 0: none armed */
    bool failed;
    enum storage_fault striking; /* the call at hand */
    int64_t call_us;
};

struct storage *storage_create(struct node *node)
{
    struct storage *self = calloc(1, sizeof *self);
    if (self != NULL) {
        self->node = node;
        self->incarnation = node->incarnation;
        self->promise = promise_create();
        self->now.first_index = 1;
        self->durable.first_index = 1;
    }
    return self;
}

/* The bytes of a stored entry are ours, though the interface lends them as constant. */
static void drop_bytes(const uint8_t *bytes)
{
    union {
        const uint8_t *lent;
        void *owned;
    } pointer = {.lent = bytes};
    free(pointer.owned);
}

static void drop_from(struct contents *self, size_t position)
{
    while (self->count > position) {
        drop_bytes(self->entries[--self->count].bytes);
    }
}

static void drop_contents(struct contents *self)
{
    drop_from(self, 0);
    free(self->entries);
    free(self->snapshot);
    *self = (struct contents){.first_index = 1};
}

static uint8_t *copy_bytes(const uint8_t *bytes, size_t length)
{
    uint8_t *copy = malloc(length == 0 ? 1 : length);
    invariant(copy != NULL);
    if (length > 0) {
        memcpy(copy, bytes, length);
    }
    return copy;
}

static void copy_contents(struct contents *self, const struct contents *from)
{
    drop_contents(self);
    *self = *from;
    self->capacity = from->count;
    self->entries = from->count == 0 ? NULL : calloc(from->count, sizeof *self->entries);
    invariant(from->count == 0 || self->entries != NULL);
    for (size_t i = 0; i < from->count; i++) {
        self->entries[i] = from->entries[i];
        self->entries[i].bytes = copy_bytes(from->entries[i].bytes, from->entries[i].length);
    }
    self->snapshot = from->has_snapshot ? copy_bytes(from->snapshot, from->snapshot_length) : NULL;
}

void storage_destroy(struct storage **self_p)
{
    struct storage *self = *self_p;
    if (self == NULL) {
        return;
    }
    drop_contents(&self->now);
    drop_contents(&self->durable);
    promise_destroy(&self->promise);
    free(self);
    *self_p = NULL;
}

uint64_t storage_start(struct storage *self, uint64_t id)
{
    self->id = self->id == 0 ? id : self->id;
    self->incarnation++;
    promise_check_start(self->promise, self->node, self->id, self->incarnation);
    return self->incarnation;
}

void storage_be_late(struct storage *self)
{
    self->late = true;
}

void storage_flush(struct storage *self)
{
    if (self->late) {
        copy_contents(&self->durable, &self->now);
    }
}

void storage_process_ended(struct storage *self)
{
    if (self->node->world->options.world_off.vote_is_durable && self->vote_is_fresh) {
        self->vote = 0;
    }
    self->vote_is_fresh = false;
    if (self->late) {
        copy_contents(&self->now, &self->durable);
    }
}

void storage_arm(struct storage *self, enum storage_fault fault, int calls)
{
    self->fault = fault;
    self->fault_in = calls;
    self->failed = false;
}

bool storage_failed(const struct storage *self)
{
    return self->failed;
}

/* Which fault strikes this call. */
static enum storage_fault strike(struct storage *self)
{
    if (self->fault_in == 0 || --self->fault_in > 0) {
        return STORAGE_NO_FAULT;
    }
    return self->fault;
}

/* The first half of a call: time passes, and a crash finds nothing done. */
static int begin_call(struct storage *self, bool writes, struct err *err)
{
    self->striking = strike(self);
    self->call_us = disk_call_us(self->node);
    calls_wait(self->node, self->call_us / 2);
    enum disk_failure failure = disk_failure(self->node, writes);
    if (self->striking == STORAGE_CRASH_BEFORE) {
        calls_crash_point(self->node);
    }
    if (self->striking == STORAGE_ERROR || failure != DISK_WELL) {
        self->failed = true;
        return failure == DISK_FULL ? err_set(err, ERR_FULL, "simulated full disk")
                                    : err_set(err, ERR_IO, "simulated failure of the disk");
    }
    return 0;
}

/* The second half: a crash finds all done. */
static void end_call(struct storage *self)
{
    int64_t rest_us = self->call_us - self->call_us / 2;
    calls_wait(self->node, self->node->world->faults ? rest_us : 0); /* it may have healed */
    if (self->striking == STORAGE_CRASH_AFTER || self->striking == STORAGE_CRASH_WITHIN) {
        calls_crash_point(self->node);
    }
}

static int end_write(struct storage *self)
{
    end_call(self);
    promise_keep(self->promise);
    if (self->late && !world_percent(self->node->world, self->node->world->options.unsynced) &&
        !self->node->world->options.off.completions_at_once) {
        storage_flush(self);
    }
    return 0;
}

/* A store that is not atomic dies in the middle of this write. */
static bool is_torn(const struct storage *self)
{
    return self->striking == STORAGE_CRASH_WITHIN;
}

static int load(void *context, struct consensus_stored *ret, struct err *err)
{
    struct storage *self = context;
    int code = begin_call(self, false, err);
    if (code != 0) {
        return code;
    }
    memset(ret, 0, sizeof *ret);
    ret->term = self->term;
    ret->vote = self->vote;
    ret->has_snapshot = self->now.has_snapshot;
    if (self->now.has_snapshot) {
        ret->snapshot = self->now.meta;
        ret->snapshot_bytes = copy_bytes(self->now.snapshot, self->now.snapshot_length);
        ret->snapshot_length = self->now.snapshot_length;
    }
    ret->first_index = self->now.first_index;
    ret->entry_count = self->now.count;
    if (self->now.count > 0) {
        ret->entries = calloc(self->now.count, sizeof *ret->entries);
        invariant(ret->entries != NULL);
    }
    for (size_t i = 0; i < self->now.count; i++) {
        ret->entries[i] = self->now.entries[i];
        ret->entries[i].bytes = copy_bytes(self->now.entries[i].bytes, self->now.entries[i].length);
    }
    if (!self->node->world->options.off.completions_at_once) {
        promise_check_loaded(self->promise, self->node, ret);
    }
    end_call(self);
    return 0;
}

static int set_term(void *context, uint64_t term, struct err *err)
{
    struct storage *self = context;
    promise_term(self->promise, term);
    int code = begin_call(self, true, err);
    if (code != 0) {
        return code;
    }
    check_term_written(self->node, self->term, term);
    self->term = term;
    self->vote = is_torn(self) ? self->vote : 0;
    return end_write(self);
}

static int set_vote(void *context, uint64_t term, uint64_t id, struct err *err)
{
    struct storage *self = context;
    promise_vote(self->promise, term, id);
    int code = begin_call(self, true, err);
    if (code != 0) {
        return code;
    }
    check_term_written(self->node, self->term, term);
    check_vote_written(self->node, term, term == self->term ? self->vote : 0, id);
    self->term = term;
    self->vote = id;
    self->vote_is_fresh = true;
    return end_write(self);
}

static int append(void *context, uint64_t first_index, const struct consensus_entry *entries,
                  size_t count, struct err *err)
{
    struct storage *self = context;
    check_append(self->node, self->now.first_index + self->now.count, first_index);
    promise_append(self->promise, first_index, entries, count);
    int code = begin_call(self, true, err);
    if (code != 0) {
        return code;
    }
    if (self->now.count + count > self->now.capacity) {
        self->now.capacity = (self->now.count + count) * 2;
        self->now.entries =
            realloc(self->now.entries, self->now.capacity * sizeof *self->now.entries);
        invariant(self->now.entries != NULL);
    }
    for (size_t i = 0; i < count; i++) {
        struct consensus_entry *entry = &self->now.entries[self->now.count++];
        *entry = entries[i];
        entry->bytes = copy_bytes(entries[i].bytes, entries[i].length);
        if (is_torn(self) && i >= count / 2) {
            entry->length /= 2;
            break;
        }
    }
    return end_write(self);
}

static int truncate_from(void *context, uint64_t first_index, struct err *err)
{
    struct storage *self = context;
    promise_truncate(self->promise, first_index);
    int code = begin_call(self, true, err);
    if (code != 0) {
        return code;
    }
    for (uint64_t i = first_index; i < self->now.first_index + self->now.count; i++) {
        check_truncated(self->node, i, storage_term_at(self, i));
    }
    if (first_index < self->now.first_index) {
        first_index = self->now.first_index;
    }
    size_t kept = (size_t)(first_index - self->now.first_index);
    if (is_torn(self) && kept < self->now.count) {
        kept += (self->now.count - kept) / 2;
    }
    drop_from(&self->now, kept);
    return end_write(self);
}

/* Entries before `index` go. */
static void drop_until(struct storage *self, uint64_t index)
{
    size_t gone = 0;
    while (gone < self->now.count && self->now.first_index + gone < index) {
        drop_bytes(self->now.entries[gone++].bytes);
    }
    if (gone > 0) {
        self->now.count -= gone;
        self->now.first_index += gone;
        memmove(self->now.entries, self->now.entries + gone,
                self->now.count * sizeof *self->now.entries);
    }
}

static int snapshot_put(void *context, const struct consensus_snapshot_meta *meta,
                        const uint8_t *bytes, size_t length, uint64_t trailing, struct err *err)
{
    struct storage *self = context;
    check_snapshot(self->node, meta);
    promise_snapshot(self->promise, meta, bytes, length, trailing);
    int code = begin_call(self, true, err);
    if (code != 0) {
        return code;
    }
    uint8_t *copy = copy_bytes(bytes, length);
    free(self->now.snapshot);
    self->now.snapshot = copy;
    self->now.snapshot_length = length;
    self->now.meta = *meta;
    self->now.has_snapshot = true;
    if (is_torn(self)) {
        return end_write(self);
    }
    if (trailing == 0) {
        drop_from(&self->now, 0);
        self->now.first_index = meta->index + 1;
    } else if (meta->index > trailing) {
        drop_until(self, meta->index - trailing + 1);
    }
    if (self->now.count == 0) {
        self->now.first_index = meta->index + 1;
    }
    return end_write(self);
}

static int snapshot_get(void *context, struct consensus_stored *ret, struct err *err)
{
    struct storage *self = context;
    int code = begin_call(self, false, err);
    if (code != 0) {
        return code;
    }
    if (!self->now.has_snapshot) {
        return err_set(err, ERR_NOTFOUND, "no snapshot is stored");
    }
    ret->has_snapshot = true;
    ret->snapshot = self->now.meta;
    ret->snapshot_bytes = copy_bytes(self->now.snapshot, self->now.snapshot_length);
    ret->snapshot_length = self->now.snapshot_length;
    end_call(self);
    return 0;
}

struct consensus_storage storage_interface(struct storage *self)
{
    return (struct consensus_storage){
        .context = self,
        .load = load,
        .set_term = set_term,
        .set_vote = set_vote,
        .append = append,
        .truncate = truncate_from,
        .snapshot_put = snapshot_put,
        .snapshot_get = snapshot_get,
    };
}

uint64_t storage_term(const struct storage *self)
{
    return self->term;
}

uint64_t storage_vote(const struct storage *self)
{
    return self->vote;
}

uint64_t storage_last_index(const struct storage *self)
{
    return self->now.first_index + self->now.count - 1;
}

uint64_t storage_term_at(const struct storage *self, uint64_t index)
{
    if (index < self->now.first_index || index >= self->now.first_index + self->now.count) {
        return 0;
    }
    return self->now.entries[index - self->now.first_index].term;
}
