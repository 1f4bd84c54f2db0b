#include "gossip/core.h"

#include "gossip/health.h"

#include <stdlib.h>

#define SENDS_PER_REFRESH 30 /* ten members, three sends each: from there on it is rarer */

static enum health_change short_change(const struct publication *publication)
{
    return publication->has_published
               ? gossip_health_compare_short(&publication->published, &publication->latest)
               : HEALTH_SIGNIFICANT;
}

static enum health_change details_change(const struct publication *publication)
{
    return publication->has_published
               ? gossip_health_compare_details(&publication->published, &publication->latest)
               : HEALTH_SIGNIFICANT;
}

/* Every refresh of every node passes through every node, a few times: rarer in larger clusters, so
 * that all of them together cost a node no more than in a cluster of ten. */
int64_t gossip_publish_refresh_ms(const struct gossip *self)
{
    size_t members = gossip_core_members(self);
    size_t sends = members * gossip_news_sends_limit(self->config.health_retransmit_mult, members);
    size_t scale = sends <= SENDS_PER_REFRESH ? 1 : 1 + (sends - 1) / SENDS_PER_REFRESH;
    return self->config.health_refresh_ms * (int64_t)scale;
}

static int64_t due_ms(const struct gossip *self, enum health_change brief,
                      enum health_change details)
{
    const struct publication *publication = &self->publication;
    if (!publication->has_published) {
        return self->now_ms;
    }
    if (brief == HEALTH_SIGNIFICANT || details == HEALTH_SIGNIFICANT) {
        return publication->published_ms + self->config.health_interval_ms;
    }
    int64_t due = NEVER_MS;
    if (brief == HEALTH_SMALL) {
        due = publication->published_ms + gossip_publish_refresh_ms(self);
    }
    if (details == HEALTH_SMALL) {
        gossip_core_earlier(&due, publication->details_ms +
                                      gossip_publish_refresh_ms(self) * DETAILS_REFRESHES);
    }
    return due;
}

int64_t gossip_publish_deadline_ms(const struct gossip *self)
{
    const struct publication *publication = &self->publication;
    if (!publication->has_latest || self->leaving) {
        return NEVER_MS;
    }
    return due_ms(self, short_change(publication), details_change(publication));
}

static void copy_details(struct gossip_health *to, const struct gossip_health *from)
{
    struct gossip_health copy = *from;
    copy.score_tenths = to->score_tenths;
    copy.load_hundredths = to->load_hundredths;
    copy.flags = to->flags;
    *to = copy;
}

static void copy_short(struct gossip_health *to, const struct gossip_health *from)
{
    to->score_tenths = from->score_tenths;
    to->load_hundredths = from->load_hundredths;
    to->flags = from->flags;
}

static struct health_record *own_record(struct gossip *self)
{
    struct member *own = self->members.self;
    if (own->health == NULL) {
        own->health = calloc(1, sizeof *own->health);
    }
    return own->health;
}

/* Encode the latest details into the record; gossip_set_health has seen that they fit. */
static bool renew_details(struct gossip *self, struct health_record *record)
{
    struct publication *publication = &self->publication;
    uint8_t bytes[GOSSIP_DETAILS_BYTES_MAX];
    size_t length;
    if (gossip_health_details_encode(&publication->latest, bytes, &length, NULL) != 0 ||
        gossip_health_record_set_details(record, bytes, length) != 0) {
        return false;
    }
    record->details_wanted = record->details_hash;
    copy_details(&publication->published, &publication->latest);
    publication->details_ms = self->now_ms;
    return true;
}

static void publish(struct gossip *self, bool details, bool eager)
{
    struct publication *publication = &self->publication;
    struct health_record *record = own_record(self);
    if (record == NULL || (details && !renew_details(self, record))) {
        self->counters.dropped_full++;
        return;
    }
    copy_short(&publication->published, &publication->latest);
    publication->has_published = true;
    publication->published_ms = self->now_ms;
    record->incarnation = self->members.self->incarnation;
    record->sequence = ++publication->sequence;
    record->since_ms = self->now_ms;
    record->score_tenths = publication->latest.score_tenths;
    record->load_hundredths = publication->latest.load_hundredths;
    record->flags = publication->latest.flags;
    gossip_members_update_digest(&self->members, self->members.self);
    gossip_apply_tell(self, self->members.self, NEWS_HEALTH,
                      (details ? NEWS_DETAILS : 0u) | (eager ? NEWS_EAGER : 0u));
    self->counters.health_published++;
}

void gossip_publish_tick(struct gossip *self)
{
    const struct publication *publication = &self->publication;
    if (!publication->has_latest || self->leaving) {
        return;
    }
    enum health_change brief = short_change(publication);
    enum health_change details = details_change(publication);
    if (due_ms(self, brief, details) > self->now_ms) {
        return;
    }
    bool old_details =
        details == HEALTH_SMALL && self->now_ms - publication->details_ms >=
                                       gossip_publish_refresh_ms(self) * DETAILS_REFRESHES;
    bool eager = brief == HEALTH_SIGNIFICANT || details == HEALTH_SIGNIFICANT;
    publish(self, details == HEALTH_SIGNIFICANT || old_details, eager);
}

void gossip_publish_again(struct gossip *self, uint64_t sequence)
{
    struct publication *publication = &self->publication;
    if (sequence > publication->sequence && sequence < GOSSIP_INCARNATION_MAX) {
        publication->sequence = sequence;
    }
    if (publication->has_latest) {
        publish(self, true, true);
    }
}

int gossip_set_health(struct gossip *self, int64_t now_ms, const struct gossip_health *health,
                      struct err *err)
{
    uint8_t bytes[GOSSIP_DETAILS_BYTES_MAX];
    size_t length;
    int rc = gossip_health_check(health, err);
    if (rc == 0) {
        rc = gossip_health_details_encode(health, bytes, &length, err);
    }
    if (rc != 0) {
        return rc;
    }
    gossip_core_advance(self, now_ms);
    self->publication.latest = *health;
    self->publication.has_latest = true;
    gossip_publish_tick(self);
    return 0;
}
