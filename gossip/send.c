#include "gossip/core.h"

#include "gossip/health.h"
#include "node/base/invariant.h"

#include <stdio.h>
#include <string.h>

#define HEAD_BYTES_MAX 96 /* of probes, news and digests, without names */
#define MISFITS_MAX 4     /* items too large for the room left, before a message is closed */
#define LEAVE_FANOUT 16   /* members told at once when this node leaves */

struct receiver gossip_send_to(struct member *member)
{
    return (struct receiver){.member = member, .name = member->name, .address = member->address};
}

/* ---- items ---- */

static uint32_t age_s(const struct gossip *self, const struct member *member)
{
    int64_t age_ms = self->now_ms - member->since_ms;
    return age_ms <= 0 ? 0
                       : (uint32_t)(age_ms / 1000 > INT32_MAX / 2 ? INT32_MAX / 2 : age_ms / 1000);
}

void gossip_send_put_member(struct mp_writer *writer, const struct gossip *self,
                            const struct member *member, bool with_address)
{
    struct gossip_wire_member item = {.incarnation = member->incarnation, .state = member->state};
    (void)snprintf(item.name, sizeof item.name, "%s", member->name);
    if (with_address || member->state == GOSSIP_ALIVE) {
        (void)snprintf(item.address, sizeof item.address, "%s", member->address);
    }
    if (member->state == GOSSIP_DEAD || member->state == GOSSIP_LEFT) {
        item.age_s = age_s(self, member);
    }
    if (member->state == GOSSIP_DEAD && member->proof) {
        item.accuser_count = 1;
        (void)snprintf(item.accusers[0], NAME_SIZE, "%s", member->name);
    } else if (member->suspicion != NULL) {
        item.accuser_count = member->suspicion->accuser_count;
        memcpy(item.accusers, member->suspicion->accusers, sizeof item.accusers);
    }
    gossip_wire_put_member(writer, &item);
}

void gossip_send_put_health(struct mp_writer *writer, const struct member *member,
                            bool with_details)
{
    const struct health_record *record = member->health;
    invariant(record != NULL);
    struct gossip_wire_health item = {.incarnation = record->incarnation,
                                      .sequence = record->sequence,
                                      .score_tenths = record->score_tenths,
                                      .load_hundredths = record->load_hundredths,
                                      .flags = record->flags,
                                      .details_hash = record->details_wanted};
    (void)snprintf(item.name, sizeof item.name, "%s", member->name);
    if (with_details && record->details_hash == record->details_wanted) {
        item.details = record->details;
        item.details_length = record->details_length;
    }
    gossip_wire_put_health(writer, &item);
}

/* ---- the message that is being made ---- */

struct draft {
    size_t room;
    size_t item_count;
    bool counts; /* what it carries counts as sent */
};

/* What is in self->item, if there is room for it. */
static bool take_item(struct gossip *self, struct draft *draft)
{
    size_t length = self->item.buffer.length;
    if (!mp_writer_ok(&self->item) || length > draft->room) {
        return false;
    }
    mp_put_raw(&self->items, self->item.buffer.data, length);
    draft->room -= length;
    draft->item_count++;
    return true;
}

static bool take_member(struct gossip *self, struct draft *draft, const struct member *member,
                        bool with_address)
{
    mp_writer_clear(&self->item);
    gossip_send_put_member(&self->item, self, member, with_address);
    return take_item(self, draft);
}

static bool take_news(struct gossip *self, struct draft *draft, const struct news *news)
{
    if (news->kind == NEWS_MEMBER) {
        return take_member(self, draft, news->member, news->member->state == GOSSIP_ALIVE);
    }
    mp_writer_clear(&self->item);
    gossip_send_put_health(&self->item, news->member, news->details);
    if (take_item(self, draft)) {
        return true;
    }
    if (!news->details) {
        return false;
    }
    mp_writer_clear(&self->item); /* the exchange of digests will bring the details */
    gossip_send_put_health(&self->item, news->member, false);
    return take_item(self, draft);
}

/* One list of equal sends, oldest first; false when the message is as good as full. */
static bool take_list(struct gossip *self, struct draft *draft, struct news_queue *queue,
                      struct news *first, unsigned limit, const struct member *receiver)
{
    unsigned misfits = 0;
    struct news *next = NULL;
    for (struct news *news = first; news != NULL; news = next) {
        next = news->next;
        if (news->message == self->message_number) {
            continue;
        }
        /* Nobody needs news about itself; it counts as told, so that it ends. */
        if (news->member == receiver || take_news(self, draft, news)) {
            if (draft->counts) {
                gossip_news_sent(queue, news, self->message_number, limit);
            }
        } else if (++misfits >= MISFITS_MAX) {
            return false;
        }
    }
    return true;
}

static void take_queue(struct gossip *self, struct draft *draft, enum news_kind kind,
                       const struct member *receiver)
{
    struct news_queue *queue = &self->news[kind];
    unsigned mult =
        kind == NEWS_MEMBER ? self->config.retransmit_mult : self->config.health_retransmit_mult;
    unsigned limit = gossip_news_sends_limit(mult, gossip_core_members(self));
    for (unsigned sends = 0; sends < NEWS_SENDS_MAX && queue->count > 0; sends++) {
        if (!take_list(self, draft, queue, queue->by_sends[sends].first, limit, receiver)) {
            return;
        }
    }
}

/* Tell the receiver what is held against it, so that it can refute (Lifeguard, buddy system). */
static void take_accusation(struct gossip *self, struct draft *draft, struct member *receiver)
{
    if (receiver == NULL || receiver->state == GOSSIP_ALIVE || self->config.off.buddy) {
        return;
    }
    if (take_member(self, draft, receiver, false)) {
        receiver->told_ms = self->now_ms;
    }
}

/* The receiver accused on old news: what is known since then. */
static void take_behind(struct gossip *self, struct draft *draft, const struct member *receiver)
{
    if (receiver != self->behind_to) {
        return;
    }
    for (size_t i = 0; i < self->behind_count; i++) {
        if (self->behind[i] != receiver) {
            (void)take_member(self, draft, self->behind[i], true);
        }
    }
    self->behind_count = 0;
}

void gossip_send_items(struct gossip *self, struct gossip_wire_message *message,
                       const struct gossip_wire_names *names, size_t item_count, struct receiver to)
{
    (void)snprintf(message->sender, sizeof message->sender, "%s", self->config.name);
    mp_writer_clear(&self->out);
    gossip_wire_put_head(&self->out, message, names, item_count);
    mp_put_raw(&self->out, self->items.buffer.data, self->items.buffer.length);
    if (!mp_writer_ok(&self->out) || !mp_writer_ok(&self->items)) {
        self->counters.dropped_full++;
        return;
    }
    struct gossip_action action = {.kind = GOSSIP_ACTION_SEND,
                                   .bytes = self->out.buffer.data,
                                   .length = self->out.buffer.length};
    (void)snprintf(action.name, sizeof action.name, "%s", to.name);
    (void)snprintf(action.address, sizeof action.address, "%s", to.address);
    if (!gossip_outbox_put(&self->outbox, &action)) {
        self->counters.dropped_full++;
    }
    self->counters.messages_sent++;
    self->counters.bytes_sent += action.length;
}

/* News told to the dead does not spread: it counts only where there is nobody else to tell. */
static bool is_likely_heard(const struct gossip *self, const struct member *receiver)
{
    return receiver == NULL || receiver->state == GOSSIP_ALIVE ||
           gossip_members_alive_others(&self->members) == 0;
}

void gossip_send_message(struct gossip *self, struct gossip_wire_message *message,
                         struct receiver to)
{
    size_t head = HEAD_BYTES_MAX + strlen(self->config.name) + strlen(message->target);
    struct draft draft = {.room = self->config.message_bytes_max - head,
                          .counts = is_likely_heard(self, to.member)};
    self->message_number++;
    mp_writer_clear(&self->items);
    if (message->type == WIRE_DIGEST) {
        (void)take_member(self, &draft, self->members.self, true);
    }
    take_accusation(self, &draft, to.member);
    take_behind(self, &draft, to.member);
    take_queue(self, &draft, NEWS_MEMBER, to.member);
    take_queue(self, &draft, NEWS_HEALTH, to.member);
    if (message->type == WIRE_NEWS && draft.item_count == 0) {
        return;
    }
    gossip_send_items(self, message, NULL, draft.item_count, to);
    invariant(self->out.buffer.length <= self->config.message_bytes_max);
}

void gossip_send_sequence(struct gossip *self, enum gossip_wire_type type, uint32_t sequence,
                          struct receiver to)
{
    struct gossip_wire_message message = {.type = type, .sequence = sequence};
    gossip_send_message(self, &message, to);
}

void gossip_send_news(struct gossip *self, struct receiver to)
{
    struct gossip_wire_message message = {.type = WIRE_NEWS};
    gossip_send_message(self, &message, to);
}

void gossip_send_question(struct gossip *self, struct member *about, struct receiver to)
{
    self->behind_to = to.member;
    self->behind[0] = about;
    self->behind_count = 1;
    gossip_send_sequence(self, WIRE_PING, gossip_probe_sequence(self), to);
}

/* ---- messages for news alone ---- */

static size_t eager_count(const struct gossip *self)
{
    return self->news[NEWS_MEMBER].eager_count + self->news[NEWS_HEALTH].eager_count;
}

int64_t gossip_send_deadline_ms(const struct gossip *self)
{
    bool due = eager_count(self) > 0 && self->members.live.count > 0;
    return due ? self->next_gossip_ms : NEVER_MS;
}

void gossip_send_tick(struct gossip *self)
{
    if (gossip_send_deadline_ms(self) > self->now_ms) {
        return;
    }
    struct member *receivers[LEAVE_FANOUT];
    size_t fanout = self->leaving ? LEAVE_FANOUT : self->config.gossip_fanout;
    size_t count = gossip_members_pick(&self->members, &self->rng, NULL, receivers, fanout);
    for (size_t i = 0; i < count && (i == 0 || self->leaving || eager_count(self) > 0); i++) {
        gossip_send_news(self, gossip_send_to(receivers[i]));
    }
    int64_t interval_ms = self->config.gossip_interval_ms;
    self->next_gossip_ms = self->now_ms + (self->leaving ? interval_ms / 4 + 1 : interval_ms);
}
