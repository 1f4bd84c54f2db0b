#include "consensus/schedule_parts.h"

#include "node/base/invariant.h"

#include <stdlib.h>
#include <string.h>

#define BUCKETS_LEAST 64

struct scheduler *scheduler_create(const struct scheduler_config *config)
{
    struct scheduler *self = calloc(1, sizeof(*self));
    if (self == NULL) {
        return NULL;
    }
    self->config = *config;
    self->bucket_count = BUCKETS_LEAST;
    self->buckets = calloc(self->bucket_count, sizeof(struct schedule_entry *));
    for (size_t i = 0; i < SCHEDULE_HEAPS; i++) {
        self->heaps[i].kind = (enum schedule_heap_kind)i;
    }
    if (self->buckets == NULL) {
        scheduler_destroy(&self);
    }
    return self;
}

void scheduler_destroy(struct scheduler **self_p)
{
    if (self_p == NULL || *self_p == NULL) {
        return;
    }
    struct scheduler *self = *self_p;
    for (size_t i = 0; self->buckets != NULL && i < self->bucket_count; i++) {
        while (self->buckets[i] != NULL) {
            struct schedule_entry *entry = self->buckets[i];
            self->buckets[i] = entry->chain;
            free(entry);
        }
    }
    for (size_t i = 0; i < SCHEDULE_HEAPS; i++) {
        free(self->heaps[i].items);
    }
    free(self->buckets);
    free(self);
    *self_p = NULL;
}

/* ---- the table of entries ---- */

/* FNV-1a. */
static uint64_t hash_of(const char *id)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (; *id != '\0'; id++) {
        hash = (hash ^ (uint8_t)*id) * UINT64_C(0x100000001b3);
    }
    return hash ^ hash >> 32;
}

static struct schedule_entry **bucket_of(const struct scheduler *self, const char *id)
{
    return &self->buckets[hash_of(id) & (self->bucket_count - 1)];
}

struct schedule_entry *schedule_entry_find(const struct scheduler *self, const char *id)
{
    struct schedule_entry *entry = *bucket_of(self, id);
    while (entry != NULL && strcmp(entry->id, id) != 0) {
        entry = entry->chain;
    }
    return entry;
}

static int grow_buckets(struct scheduler *self)
{
    struct schedule_entry **before = self->buckets;
    size_t before_count = self->bucket_count;
    struct schedule_entry **buckets = calloc(before_count * 2, sizeof(struct schedule_entry *));
    if (buckets == NULL) {
        return ERR_NOMEM;
    }
    self->buckets = buckets;
    self->bucket_count = before_count * 2;
    for (size_t i = 0; i < before_count; i++) {
        while (before[i] != NULL) {
            struct schedule_entry *entry = before[i];
            struct schedule_entry **bucket = bucket_of(self, entry->id);
            before[i] = entry->chain;
            entry->chain = *bucket;
            *bucket = entry;
        }
    }
    free(before);
    return 0;
}

/* Room for one more entry, everywhere. */
static int reserve(struct scheduler *self)
{
    int rc = self->count < self->bucket_count ? 0 : grow_buckets(self);
    if (rc != 0 || self->count < self->capacity) {
        return rc;
    }
    size_t capacity = self->capacity + self->capacity / 4 + BUCKETS_LEAST;
    for (size_t i = 0; rc == 0 && i < SCHEDULE_HEAPS; i++) {
        rc = schedule_heap_reserve(&self->heaps[i], capacity);
    }
    self->capacity = rc == 0 ? capacity : self->capacity;
    return rc;
}

static struct schedule_entry *make_entry(struct scheduler *self, const char *id)
{
    size_t size = strlen(id) + 1;
    struct schedule_entry *entry = reserve(self) == 0 ? calloc(1, sizeof(*entry) + size) : NULL;
    if (entry == NULL) {
        return NULL;
    }
    memcpy(entry->id, id, size);
    entry->next_s = INT64_MAX;
    struct schedule_entry **bucket = bucket_of(self, id);
    entry->chain = *bucket;
    *bucket = entry;
    self->count++;
    self->blind++; /* until it is read */
    schedule_entry_sleep(self, entry, INT64_MAX);
    return entry;
}

/* `link` is what points to it. */
static void remove_entry(struct scheduler *self, struct schedule_entry **link)
{
    struct schedule_entry *entry = *link;
    *link = entry->chain;
    schedule_entry_out(self, entry);
    self->blind -= entry->zone == NULL ? 1 : 0;
    self->count--;
    free(entry);
}

static void remove_by_id(struct scheduler *self, const char *id)
{
    struct schedule_entry **link = bucket_of(self, id);
    while (*link != NULL && strcmp((*link)->id, id) != 0) {
        link = &(*link)->chain;
    }
    if (*link != NULL) {
        remove_entry(self, link);
    }
}

/* ---- where an entry is ---- */

static void leave_flight(struct scheduler *self, struct schedule_entry *entry)
{
    struct schedule_entry *before = entry->flight_before;
    struct schedule_entry *after = entry->flight_after;
    *(before == NULL ? &self->flight_first : &before->flight_after) = after;
    *(after == NULL ? &self->flight_last : &after->flight_before) = before;
    invariant(self->runs_in_flight >= entry->runs);
    self->runs_in_flight -= entry->runs;
    entry->flight_before = NULL;
    entry->flight_after = NULL;
    entry->runs = 0;
    entry->in_flight = false;
    entry->proposed = false;
}

void schedule_entry_out(struct scheduler *self, struct schedule_entry *entry)
{
    for (size_t i = 0; i < SCHEDULE_HEAPS; i++) {
        schedule_heap_remove(&self->heaps[i], entry);
    }
    if (entry->in_flight) {
        leave_flight(self, entry);
    }
}

void schedule_entry_sleep(struct scheduler *self, struct schedule_entry *entry, int64_t wake_s)
{
    schedule_entry_out(self, entry);
    entry->wake_s = wake_s;
    schedule_heap_push(&self->heaps[SCHEDULE_BY_TIME], entry);
}

void schedule_entry_fly(struct scheduler *self, struct schedule_entry *entry, int64_t again_ms,
                        bool proposed, size_t runs)
{
    schedule_entry_out(self, entry);
    entry->again_ms = again_ms;
    entry->in_flight = true;
    entry->proposed = proposed;
    entry->runs = (uint32_t)runs;
    self->runs_in_flight += runs;
    entry->flight_before = self->flight_last;
    *(self->flight_last == NULL ? &self->flight_first : &self->flight_last->flight_after) = entry;
    self->flight_last = entry;
}

/* ---- reading the state ---- */

int64_t schedule_seconds(int64_t wall_ms)
{
    return (wall_ms >= 0 ? wall_ms : wall_ms - MS_PER_S + 1) / MS_PER_S;
}

int64_t schedule_limit_s(const struct schedule_definition *is)
{
    return is->start_deadline_s > SCHEDULE_GRACE_S ? is->start_deadline_s : SCHEDULE_GRACE_S;
}

int64_t schedule_entry_next(const struct schedule_entry *entry, int64_t after_s)
{
    int64_t slot_s;
    if (entry->zone == NULL ||
        !calendar_next(&entry->calendar, &entry->rules, entry->zone, after_s, &slot_s)) {
        return INT64_MAX;
    }
    invariant(slot_s > after_s);
    return slot_s;
}

static void read_definition(struct scheduler *self, struct schedule_entry *entry,
                            const struct state_schedule *row)
{
    self->blind -= entry->zone == NULL ? 1 : 0;
    if (schedule_interpret(&self->config, &row->is, &entry->calendar, &entry->rules, &entry->zone,
                           NULL) != 0) {
        entry->zone = NULL;
        self->blind++;
    }
    entry->limit_s = schedule_limit_s(&row->is);
    entry->priority = row->is.priority;
    entry->revision = row->revision;
}

void schedule_entry_follow(struct scheduler *self, struct schedule_entry *entry,
                           const struct state_schedule *row)
{
    bool defined = entry->revision != row->revision;
    bool moved = defined || entry->decided_s != row->decided_s;
    bool waits_for_turn = entry->in_flight && !entry->proposed;
    if (!moved && !waits_for_turn) {
        return;
    }
    schedule_entry_out(self, entry); /* the heaps rank by what changes now */
    if (defined) {
        read_definition(self, entry, row);
    }
    if (moved) {
        entry->decided_s = row->decided_s;
        entry->next_s = schedule_entry_next(entry, row->decided_s);
    }
    entry->behind = false;
    schedule_entry_sleep(self, entry, entry->next_s);
}

static int sync_one(struct scheduler *self, const struct state *state, const char *id)
{
    const struct state_schedule *row = state_schedule_by_id(state, id);
    if (row == NULL) {
        remove_by_id(self, id);
        return 0;
    }
    struct schedule_entry *entry = schedule_entry_find(self, id);
    entry = entry == NULL ? make_entry(self, id) : entry;
    if (entry == NULL) {
        return ERR_NOMEM;
    }
    schedule_entry_follow(self, entry, row);
    return 0;
}

/* What was proposed may never be committed, and a zone that was missing may be there now. */
static int sync_row(struct scheduler *self, const struct state_schedule *row)
{
    struct schedule_entry *entry = schedule_entry_find(self, row->id);
    entry = entry == NULL ? make_entry(self, row->id) : entry;
    if (entry == NULL) {
        return ERR_NOMEM;
    }
    schedule_entry_out(self, entry);
    entry->revision = entry->zone == NULL ? 0 : entry->revision;
    schedule_entry_follow(self, entry, row);
    entry->behind = false;
    schedule_entry_sleep(self, entry, entry->next_s);
    entry->seen = self->syncs;
    return 0;
}

/* Entries whose row is gone go. */
static void sweep(struct scheduler *self)
{
    for (size_t i = 0; i < self->bucket_count; i++) {
        struct schedule_entry **link = &self->buckets[i];
        while (*link != NULL) {
            if ((*link)->seen == self->syncs) {
                link = &(*link)->chain;
            } else {
                remove_entry(self, link);
            }
        }
    }
}

static int sync_all(struct scheduler *self, const struct state *state)
{
    int rc = 0;
    self->syncs++;
    for (size_t i = 0; rc == 0 && i < state_schedule_count(state); i++) {
        rc = sync_row(self, state_schedule_at(state, i));
    }
    if (rc == 0) {
        sweep(self);
    }
    self->forgetful = self->config.off.decided_is_replicated;
    return rc;
}

int scheduler_sync(struct scheduler *self, const struct state *state, const char *schedule)
{
    return schedule == NULL ? sync_all(self, state) : sync_one(self, state, schedule);
}

/* ---- questions ---- */

static int64_t milliseconds(int64_t instant_s)
{
    return instant_s > INT64_MAX / MS_PER_S ? INT64_MAX : instant_s * MS_PER_S;
}

static int64_t earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

int64_t scheduler_next_wall_ms(const struct scheduler *self)
{
    const struct schedule_entry *asleep = schedule_heap_first(&self->heaps[SCHEDULE_BY_TIME]);
    int64_t ret_ms = asleep == NULL ? INT64_MAX : milliseconds(asleep->wake_s);
    for (size_t i = SCHEDULE_READY; i < SCHEDULE_HEAPS; i++) {
        const struct schedule_entry *first = schedule_heap_first(&self->heaps[i]);
        ret_ms = first == NULL ? ret_ms : earlier(ret_ms, milliseconds(first->next_s));
    }
    if (self->flight_first != NULL) {
        ret_ms = earlier(ret_ms, self->flight_first->again_ms + self->wall_less_now_ms);
    }
    return ret_ms;
}

size_t scheduler_blind_count(const struct scheduler *self)
{
    return self->blind;
}

int scheduler_preview(struct scheduler *self, const struct state *state, const char *schedule,
                      int64_t after_s, int64_t *ret, size_t max, size_t *ret_count, struct err *err)
{
    const struct state_schedule *row = state_schedule_by_id(state, schedule);
    if (row == NULL) {
        return err_set(err, ERR_NOTFOUND, "no schedule %.*s; `schedule list` names them",
                       SCHEDULE_ID_SIZE, schedule);
    }
    struct calendar calendar;
    struct calendar_rules rules;
    const struct zone *zone = NULL;
    int rc = schedule_interpret(&self->config, &row->is, &calendar, &rules, &zone, err);
    if (rc != 0) {
        return rc;
    }
    size_t count = 0;
    while (count < max && calendar_next(&calendar, &rules, zone, after_s, &ret[count])) {
        after_s = ret[count++];
    }
    *ret_count = count;
    return 0;
}
