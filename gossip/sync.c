#include "gossip/core.h"

#include "gossip/health.h"
#include "node/base/invariant.h"

#include <stdio.h>
#include <string.h>

/* With so few rows, versions of all cost no more than the question where the difference is. */
#define ROWS_WITHOUT_BUCKETS 8
#define ROWS_PER_BUCKET 4
#define PAGE_HEAD_BYTES 128
#define VERSION_BYTES_MAX (NAME_SIZE + 7) /* one name and one digest */
#define FIRST_PARTS 5 /* the first exchange, and one after a difference, come so much sooner */
#define SCALE_FROM 32 /* members, from which on exchanges become rarer (as the network's sum) */

static uint32_t fold(uint64_t digest)
{
    return (uint32_t)(digest ^ (digest >> 32));
}

/* ---- opening ---- */

void gossip_sync_open(struct gossip *self, struct receiver to, bool join)
{
    struct gossip_wire_message message = {
        .type = WIRE_DIGEST, .join = join, .digest = self->members.digest};
    gossip_send_message(self, &message, to);
}

static void sync_soon(struct gossip *self)
{
    int64_t soon_ms = gossip_core_jitter_ms(self, self->config.push_pull_interval_ms / FIRST_PARTS);
    gossip_core_earlier(&self->next_sync_ms, self->now_ms + soon_ms);
}

void gossip_sync_start(struct gossip *self)
{
    self->next_sync_ms = NEVER_MS;
    sync_soon(self);
}

int64_t gossip_sync_interval_ms(const struct gossip *self)
{
    int64_t scale = 1;
    for (size_t members = gossip_core_members(self); members > SCALE_FROM; members /= 2) {
        scale++;
    }
    return self->config.push_pull_interval_ms * scale;
}

void gossip_sync_tick(struct gossip *self)
{
    if (self->leaving || self->next_sync_ms > self->now_ms) {
        return;
    }
    self->next_sync_ms = self->now_ms + gossip_core_jitter_ms(self, gossip_sync_interval_ms(self));
    struct member *partner;
    if (gossip_members_pick(&self->members, &self->rng, NULL, &partner, 1) == 1) {
        gossip_sync_open(self, gossip_send_to(partner), false);
    }
}

/* ---- pages of rows ---- */

struct pages {
    struct receiver to;
    size_t item_count;
    size_t sent;
    struct gossip_wire_names wanted; /* go with the first page */
};

static void send_page(struct gossip *self, struct pages *pages)
{
    struct gossip_wire_message message = {.type = WIRE_ENTRIES};
    if (pages->sent < PAGES_MAX) {
        gossip_send_items(self, &message, &pages->wanted, pages->item_count, pages->to);
        self->counters.pages_sent++;
    }
    pages->sent++;
    pages->item_count = 0;
    pages->wanted = (struct gossip_wire_names){0};
    mp_writer_clear(&self->items);
}

static void put_item(struct gossip *self, struct pages *pages)
{
    size_t length = self->item.buffer.length;
    size_t used = PAGE_HEAD_BYTES + pages->wanted.length + self->items.buffer.length;
    if (used + length > self->config.page_bytes_max && pages->item_count > 0) {
        send_page(self, pages);
    }
    mp_put_raw(&self->items, self->item.buffer.data, length);
    pages->item_count++;
}

static void put_row(struct gossip *self, struct pages *pages, const struct member *member)
{
    mp_writer_clear(&self->item);
    gossip_send_put_member(&self->item, self, member, true);
    put_item(self, pages);
    if (member->health != NULL) {
        mp_writer_clear(&self->item);
        gossip_send_put_health(&self->item, member, true);
        put_item(self, pages);
    }
}

static void begin_pages(struct gossip *self, struct pages *pages, struct receiver to)
{
    *pages = (struct pages){.to = to};
    mp_writer_clear(&self->items);
    mp_writer_clear(&self->names);
}

static void end_pages(struct gossip *self, struct pages *pages)
{
    if (pages->item_count > 0 || pages->wanted.count > 0) {
        send_page(self, pages);
    }
}

/* All rows, from a random one on: with more than PAGES_MAX pages the rest differs each time. */
static void send_everything(struct gossip *self, struct receiver to)
{
    struct pages pages;
    begin_pages(self, &pages, to);
    size_t count = self->members.rows.count;
    size_t start = (size_t)rng_below(&self->rng, count);
    put_row(self, &pages, self->members.self);
    for (size_t i = 0; i < count && pages.sent < PAGES_MAX; i++) {
        struct member *member = gossip_members_row(&self->members, (start + i) % count);
        if (member != self->members.self) {
            put_row(self, &pages, member);
        }
    }
    end_pages(self, &pages);
}

/* ---- versions ---- */

static bool is_covered(const uint8_t *covered, unsigned bucket)
{
    return (covered[bucket / 8] >> (bucket % 8) & 1) != 0;
}

static void cover(uint8_t *covered, unsigned bucket)
{
    covered[bucket / 8] |= (uint8_t)(1u << (bucket % 8));
}

static void send_versions_page(struct gossip *self, unsigned bucket_count, const uint8_t *covered,
                               struct receiver to)
{
    struct gossip_wire_message message = {.type = WIRE_VERSIONS, .bucket_count = bucket_count};
    struct gossip_wire_names names = {0};
    memcpy(message.covered, covered, sizeof message.covered);
    mp_writer_clear(&self->names);
    mp_writer_clear(&self->items);
    for (size_t i = 0; i < self->members.rows.count; i++) {
        const struct member *member = gossip_members_row(&self->members, i);
        if (is_covered(covered, gossip_members_bucket(member, bucket_count))) {
            mp_put_text(&self->names, member->name);
            mp_put_u64(&self->names, fold(member->digest));
            names.count += 2;
        }
    }
    if (!mp_writer_ok(&self->names)) {
        self->counters.dropped_full++;
        return;
    }
    names.bytes = self->names.buffer.data;
    names.length = self->names.buffer.length;
    gossip_send_items(self, &message, &names, 0, to);
    self->counters.pages_sent++;
}

/* Versions of all rows of the wanted buckets, whole buckets to a page. */
static void send_versions(struct gossip *self, unsigned bucket_count, const uint8_t *wanted,
                          struct receiver to)
{
    size_t bytes[WIRE_BUCKETS_MAX] = {0};
    for (size_t i = 0; i < self->members.rows.count; i++) {
        const struct member *member = gossip_members_row(&self->members, i);
        bytes[gossip_members_bucket(member, bucket_count)] += strlen(member->name) + 7;
    }
    uint8_t covered[WIRE_COVERED_BYTES] = {0};
    size_t used = PAGE_HEAD_BYTES;
    bool any = false;
    for (unsigned bucket = 0; bucket < bucket_count; bucket++) {
        if (!is_covered(wanted, bucket)) {
            continue;
        }
        if (any && used + bytes[bucket] > self->config.page_bytes_max) {
            send_versions_page(self, bucket_count, covered, to);
            memset(covered, 0, sizeof covered);
            used = PAGE_HEAD_BYTES;
        }
        cover(covered, bucket);
        used += bytes[bucket];
        any = true;
    }
    if (any) {
        send_versions_page(self, bucket_count, covered, to);
    }
}

/* ---- answers ---- */

static void send_buckets(struct gossip *self, struct receiver to)
{
    struct gossip_wire_message message = {.type = WIRE_BUCKETS, .bucket_count = 1};
    while (message.bucket_count < WIRE_BUCKETS_MAX &&
           (size_t)message.bucket_count * ROWS_PER_BUCKET < self->members.rows.count) {
        message.bucket_count *= 2;
    }
    for (unsigned i = 0; i < message.bucket_count; i++) {
        message.buckets[i] = gossip_members_bucket_digest(&self->members, i, message.bucket_count);
    }
    mp_writer_clear(&self->items);
    gossip_send_items(self, &message, NULL, 0, to);
}

void gossip_sync_on_digest(struct gossip *self, const struct gossip_wire_message *message,
                           struct receiver from)
{
    if (message->digest == self->members.digest) {
        self->counters.syncs_equal++;
        return;
    }
    self->counters.syncs_different++;
    if (message->join) {
        send_everything(self, from);
        return;
    }
    if (self->members.rows.count <= ROWS_WITHOUT_BUCKETS) {
        uint8_t all[WIRE_COVERED_BYTES] = {1};
        send_versions(self, 1, all, from);
        return;
    }
    send_buckets(self, from);
}

void gossip_sync_on_buckets(struct gossip *self, const struct gossip_wire_message *message,
                            struct receiver from)
{
    uint8_t different[WIRE_COVERED_BYTES] = {0};
    sync_soon(self);
    for (unsigned i = 0; i < message->bucket_count; i++) {
        if (gossip_members_bucket_digest(&self->members, i, message->bucket_count) !=
            message->buckets[i]) {
            cover(different, i);
        }
    }
    send_versions(self, message->bucket_count, different, from);
}

static void want(struct gossip *self, struct pages *pages, const char *name)
{
    if (self->names.buffer.length + VERSION_BYTES_MAX > self->config.page_bytes_max / 2) {
        return; /* the next exchange asks for the rest */
    }
    mp_put_text(&self->names, name);
    pages->wanted.count++;
}

/* Rows that differ: we send ours and want theirs; the rules of precedence sort it out. */
void gossip_sync_on_versions(struct gossip *self, const struct gossip_wire_message *message,
                             struct receiver from)
{
    struct pages pages;
    sync_soon(self);
    begin_pages(self, &pages, from);
    uint32_t same = ++self->members.mark;
    for (size_t i = 0; i < gossip_wire_version_count(message); i++) {
        char name[NAME_SIZE];
        uint32_t digest;
        gossip_wire_version_at(message, i, name, &digest);
        struct member *member = gossip_members_find(&self->members, name);
        if (member != NULL && fold(member->digest) == digest) {
            member->mark = same;
        } else if (!gossip_join_is_forgotten(self, name)) {
            want(self, &pages, name);
        }
    }
    pages.wanted.bytes = self->names.buffer.data;
    pages.wanted.length = self->names.buffer.length;
    for (size_t i = 0; i < self->members.rows.count && pages.sent < PAGES_MAX; i++) {
        const struct member *member = gossip_members_row(&self->members, i);
        if (member->mark != same &&
            gossip_wire_covers(message, gossip_members_bucket(member, message->bucket_count))) {
            put_row(self, &pages, member);
        }
    }
    end_pages(self, &pages);
}

void gossip_sync_on_entries(struct gossip *self, const struct gossip_wire_message *message,
                            struct receiver from)
{
    struct pages pages;
    begin_pages(self, &pages, from);
    for (size_t i = 0; i < gossip_wire_wanted_count(message) && pages.sent < PAGES_MAX; i++) {
        char name[NAME_SIZE];
        gossip_wire_wanted_at(message, i, name);
        const struct member *member = gossip_members_find(&self->members, name);
        if (member != NULL) {
            put_row(self, &pages, member);
        }
    }
    end_pages(self, &pages);
}
