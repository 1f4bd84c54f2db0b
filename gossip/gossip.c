#include "gossip/core.h"

#include "gossip/health.h"
#include "node/base/invariant.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *gossip_state_name(enum gossip_state state)
{
    static const char *const names[] = {"alive", "suspect", "dead", "left"};
    invariant((size_t)state < sizeof names / sizeof names[0]);
    return names[state];
}

const char *gossip_reason_name(enum gossip_reason reason)
{
    static const char *const names[] = {"joined",  "returned", "refuted", "moved", "probe",
                                        "refused", "told",     "timeout", "ended", "left"};
    invariant((size_t)reason < sizeof names / sizeof names[0]);
    return names[reason];
}

/* ---- shared ---- */

size_t gossip_core_members(const struct gossip *self)
{
    return self->members.live.count + 1;
}

void gossip_core_earlier(int64_t *deadline_ms, int64_t candidate_ms)
{
    if (candidate_ms < *deadline_ms) {
        *deadline_ms = candidate_ms;
    }
}

int64_t gossip_core_jitter_ms(struct gossip *self, int64_t interval_ms)
{
    return interval_ms + rng_between(&self->rng, -interval_ms / 10, interval_ms / 10);
}

static void stall(struct gossip *self, int64_t gap_ms)
{
    self->counters.stalls++;
    gossip_awareness_apply(&self->awareness, 1);
    gossip_apply_stall(self, gap_ms);
    gossip_probe_stall(self);
    /* One more than a round, so that the first probe after it does not count either. */
    self->quiet_until_ms =
        self->now_ms + gossip_awareness_scale_ms(&self->awareness, self->config.probe_interval_ms) +
        1;
}

void gossip_core_advance(struct gossip *self, int64_t now_ms)
{
    if (now_ms <= self->now_ms) {
        return;
    }
    int64_t gap_ms = now_ms - self->now_ms;
    self->now_ms = now_ms;
    if (gap_ms > GOSSIP_STALL_MS) {
        stall(self, gap_ms);
    }
}

/* ---- life ---- */

static void init_timers(struct gossip *self)
{
    self->next_probe_ms = self->now_ms + rng_between(&self->rng, 0, self->config.probe_interval_ms);
    self->next_gossip_ms = self->now_ms;
    gossip_sync_start(self);
    self->next_rejoin_ms = self->now_ms;
    self->next_reap_ms = self->now_ms + self->config.dead_keep_ms / 16;
    self->next_stranger_ms = self->now_ms;
    self->quiet_until_ms = INT64_MIN;
    for (size_t i = 0; i < RELAYS_MAX; i++) {
        self->relays[i].due_ms = NEVER_MS;
    }
    for (size_t i = 0; i < FORGOTTEN_MAX; i++) {
        self->forgotten[i].until_ms = INT64_MIN;
    }
}

static void init_writers(struct gossip *self)
{
    mp_writer_init(&self->items, GOSSIP_MESSAGE_BYTES_MAX);
    mp_writer_init(&self->item, GOSSIP_MESSAGE_BYTES_MAX);
    mp_writer_init(&self->names, GOSSIP_MESSAGE_BYTES_MAX - 512);
    mp_writer_init(&self->out, GOSSIP_MESSAGE_BYTES_MAX);
}

static int init_members(struct gossip *self)
{
    if (gossip_members_init(&self->members, self->config.members_max) != 0) {
        return ERR_NOMEM;
    }
    struct member *own =
        gossip_members_add(&self->members, self->config.name, self->config.address);
    if (own == NULL) {
        return ERR_NOMEM;
    }
    self->members.self = own;
    own->incarnation = self->config.incarnation;
    own->since_ms = self->now_ms;
    own->contact_ms = self->now_ms;
    gossip_members_update_digest(&self->members, own);
    return gossip_news_add(&self->news[NEWS_MEMBER], own, NEWS_MEMBER, NEWS_EAGER);
}

int gossip_create(const struct gossip_config *config, int64_t now_ms, struct gossip **ret,
                  struct err *err)
{
    int rc = gossip_config_check(config, err);
    if (rc != 0) {
        return rc;
    }
    struct gossip *self = calloc(1, sizeof *self);
    if (self == NULL) {
        return err_set(err, ERR_NOMEM, "no memory for gossip");
    }
    self->config = *config;
    self->config.seeds = NULL;
    self->now_ms = now_ms;
    self->start_ms = now_ms;
    rng_init(&self->rng, config->rng_seed);
    gossip_awareness_init(&self->awareness, config->off.awareness ? 1 : config->awareness_max);
    gossip_outbox_init(&self->outbox, 4 * config->members_max + 64);
    init_writers(self);
    init_timers(self);
    self->sequence = (uint32_t)rng_below(&self->rng, 65535);
    self->seeds = calloc(NODES_MAX, sizeof *self->seeds);
    if (self->seeds == NULL || init_members(self) != 0) {
        rc = err_set(err, ERR_NOMEM, "no memory for gossip");
    } else {
        rc = gossip_set_seeds(self, now_ms, config->seeds, config->seed_count, err);
    }
    if (rc != 0) {
        gossip_destroy(&self);
        return rc;
    }
    *ret = self;
    return 0;
}

void gossip_destroy(struct gossip **self_p)
{
    if (self_p == NULL || *self_p == NULL) {
        return;
    }
    struct gossip *self = *self_p;
    gossip_news_clear(&self->news[NEWS_MEMBER]);
    gossip_news_clear(&self->news[NEWS_HEALTH]);
    gossip_members_deinit(&self->members);
    gossip_outbox_deinit(&self->outbox);
    mp_writer_deinit(&self->items);
    mp_writer_deinit(&self->item);
    mp_writer_deinit(&self->names);
    mp_writer_deinit(&self->out);
    free(self->seeds);
    free(self);
    *self_p = NULL;
}

/* ---- events ---- */

void gossip_tick(struct gossip *self, int64_t now_ms)
{
    gossip_core_advance(self, now_ms);
    gossip_probe_tick(self);
    gossip_apply_tick(self);
    gossip_publish_tick(self);
    gossip_join_tick(self);
    gossip_sync_tick(self);
    gossip_send_tick(self);
}

int64_t gossip_deadline_ms(const struct gossip *self)
{
    int64_t deadline_ms = self->now_ms + GOSSIP_DEADLINE_MAX_MS;
    gossip_core_earlier(&deadline_ms, gossip_probe_deadline_ms(self));
    gossip_core_earlier(&deadline_ms, gossip_apply_deadline_ms(self));
    gossip_core_earlier(&deadline_ms, gossip_publish_deadline_ms(self));
    gossip_core_earlier(&deadline_ms, gossip_send_deadline_ms(self));
    gossip_core_earlier(&deadline_ms, self->next_reap_ms);
    if (self->leaving) {
        gossip_core_earlier(&deadline_ms, self->leave_until_ms);
    } else {
        gossip_core_earlier(&deadline_ms, self->next_sync_ms);
        gossip_core_earlier(&deadline_ms, self->next_rejoin_ms);
    }
    return deadline_ms < self->now_ms ? self->now_ms : deadline_ms;
}

static void dispatch(struct gossip *self, const struct gossip_wire_message *message,
                     struct receiver from)
{
    switch (message->type) {
    case WIRE_PING:
        gossip_send_sequence(self, WIRE_ACK, message->sequence, from);
        break;
    case WIRE_ASK:
        gossip_probe_on_ask(self, message, from);
        break;
    case WIRE_ACK:
        gossip_probe_on_ack(self, message);
        break;
    case WIRE_NACK:
        gossip_probe_on_nack(self, message);
        break;
    case WIRE_NEWS:
        break;
    case WIRE_DIGEST:
        gossip_sync_on_digest(self, message, from);
        break;
    case WIRE_BUCKETS:
        gossip_sync_on_buckets(self, message, from);
        break;
    case WIRE_VERSIONS:
        gossip_sync_on_versions(self, message, from);
        break;
    case WIRE_ENTRIES:
        gossip_sync_on_entries(self, message, from);
        break;
    }
}

/* A sender that this node holds suspect or dead is told so, if the answer has not done it. */
static void tell_accused(struct gossip *self, struct member *sender)
{
    bool quiet = sender->state == GOSSIP_LEFT &&
                 self->now_ms - sender->since_ms < self->config.leave_timeout_ms;
    bool told = sender->told_ms != INT64_MIN &&
                self->now_ms - sender->told_ms < self->config.probe_timeout_ms;
    if (sender->state != GOSSIP_ALIVE && !quiet && !told && !self->config.off.buddy) {
        gossip_send_news(self, gossip_send_to(sender));
    }
}

/* A sender that is not known even after its message: ask it who it is. */
static void meet_stranger(struct gossip *self, struct receiver from)
{
    self->counters.strangers++;
    if (self->next_stranger_ms <= self->now_ms && !self->leaving) {
        self->next_stranger_ms = self->now_ms + self->config.probe_timeout_ms;
        gossip_sync_open(self, from, false);
    }
}

static void receive(struct gossip *self, const struct gossip_wire_message *message)
{
    struct member *sender = gossip_members_find(&self->members, message->sender);
    if (sender != NULL) { /* before its news: a probe that fails now must see it */
        sender->contact_ms = self->now_ms;
    }
    bool page = message->type == WIRE_ENTRIES;
    self->behind_to = sender;
    self->behind_count = 0;
    gossip_apply_items(self, message, page ? APPLY_SYNC : APPLY_NEWS);
    sender = gossip_members_find(&self->members, message->sender);
    struct receiver from = {.name = message->sender, .address = ""};
    if (sender != NULL) {
        sender->contact_ms = self->now_ms;
        from = gossip_send_to(sender);
    }
    dispatch(self, message, from);
    if (sender != NULL) {
        if (self->behind_count > 0) { /* the answer, if there was one, has not told it */
            gossip_send_news(self, from);
        }
        tell_accused(self, sender);
    } else {
        meet_stranger(self, from);
    }
    self->behind_count = 0;
}

void gossip_receive(struct gossip *self, int64_t now_ms, const char *from, const uint8_t *bytes,
                    size_t length)
{
    struct gossip_wire_message message;
    gossip_core_advance(self, now_ms);
    self->counters.messages_received++;
    self->counters.bytes_received += length;
    if (gossip_wire_decode(bytes, length, &message, NULL) != 0) {
        self->counters.dropped_malformed++;
        return;
    }
    bool forged = strcmp(message.sender, from) != 0 || strcmp(from, self->config.name) == 0;
    if (forged) {
        self->counters.dropped_forged++;
    } else if (gossip_join_is_forgotten(self, from)) {
        self->counters.dropped_forgotten++;
    } else {
        receive(self, &message);
    }
    gossip_wire_message_deinit(&message);
}

void gossip_note_contact(struct gossip *self, int64_t now_ms, const char *name)
{
    gossip_core_advance(self, now_ms);
    struct member *member = gossip_members_find(&self->members, name);
    if (member != NULL) {
        member->contact_ms = self->now_ms;
    }
}

void gossip_note_refused(struct gossip *self, int64_t now_ms, const char *name)
{
    gossip_core_advance(self, now_ms);
    struct member *member = gossip_members_find(&self->members, name);
    if (member != NULL && member != self->members.self) {
        gossip_apply_accusation(self, member, GOSSIP_REASON_REFUSED);
    }
}

void gossip_note_ended(struct gossip *self, int64_t now_ms, const char *name, uint64_t incarnation)
{
    gossip_core_advance(self, now_ms);
    struct member *member = gossip_members_find(&self->members, name);
    if (member != NULL && member != self->members.self && incarnation <= GOSSIP_INCARNATION_MAX) {
        gossip_apply_ended(self, member, incarnation);
    }
}

bool gossip_action_next(struct gossip *self, struct gossip_action *ret)
{
    return gossip_outbox_next(&self->outbox, ret);
}

/* ---- queries ---- */

size_t gossip_member_count(const struct gossip *self)
{
    return self->members.rows.count;
}

size_t gossip_live_count(const struct gossip *self)
{
    return gossip_core_members(self);
}

static void fill_member(const struct gossip *self, const struct member *member,
                        struct gossip_member *ret)
{
    *ret = (struct gossip_member){.incarnation = member->incarnation,
                                  .state = member->state,
                                  .state_since_ms = member->since_ms,
                                  .last_contact_ms = member->contact_ms,
                                  .self = member == self->members.self,
                                  .score_tenths = GOSSIP_UNKNOWN,
                                  .load_hundredths = GOSSIP_UNKNOWN};
    (void)snprintf(ret->name, sizeof ret->name, "%s", member->name);
    (void)snprintf(ret->address, sizeof ret->address, "%s", member->address);
    const struct health_record *record = member->health;
    if (record != NULL) {
        ret->has_health = true;
        ret->score_tenths = record->score_tenths;
        ret->load_hundredths = record->load_hundredths;
        ret->flags = record->flags;
        ret->health_sequence = record->sequence;
        ret->health_age_ms = self->now_ms - record->since_ms;
    }
}

void gossip_member_at(const struct gossip *self, size_t index, struct gossip_member *ret)
{
    invariant(index < self->members.rows.count);
    fill_member(self, gossip_members_row(&self->members, index), ret);
}

bool gossip_member_find(const struct gossip *self, const char *name, struct gossip_member *ret)
{
    const struct member *member = gossip_members_find(&self->members, name);
    if (member != NULL) {
        fill_member(self, member, ret);
    }
    return member != NULL;
}

bool gossip_member_health(const struct gossip *self, const char *name, struct gossip_health *ret,
                          bool *ret_complete)
{
    const struct member *member = gossip_members_find(&self->members, name);
    if (member == NULL || member->health == NULL) {
        return false;
    }
    const struct health_record *record = member->health;
    gossip_health_init(ret);
    if (record->details != NULL) {
        int rc = gossip_health_details_decode(record->details, record->details_length, ret, NULL);
        invariant(rc == 0 || rc == ERR_NOMEM); /* checked when they came */
    }
    ret->score_tenths = record->score_tenths;
    ret->load_hundredths = record->load_hundredths;
    ret->flags = record->flags;
    *ret_complete = record->details != NULL && record->details_hash == record->details_wanted;
    return true;
}

uint64_t gossip_digest(const struct gossip *self)
{
    return self->members.digest;
}

unsigned gossip_awareness(const struct gossip *self)
{
    return self->awareness.score;
}

uint64_t gossip_incarnation(const struct gossip *self)
{
    return self->members.self->incarnation;
}

void gossip_counters(const struct gossip *self, struct gossip_counters *ret)
{
    *ret = self->counters;
}
