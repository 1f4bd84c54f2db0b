#include "gossip/core.h"

#include "node/base/invariant.h"

#include <stdio.h>
#include <string.h>

#define SEQUENCE_MAX 65535
#define RELAY_ANSWER_PART 8 /* a nack is sent after 8/10 of the time that the asker waits */
#define DIRECT_PINGS 3      /* of one probe: at its start, and twice after its timeout */

uint32_t gossip_probe_sequence(struct gossip *self)
{
    self->sequence = self->sequence >= SEQUENCE_MAX ? 1 : self->sequence + 1;
    return self->sequence;
}

/* ---- own probes ---- */

static struct probe *free_probe(struct gossip *self)
{
    for (size_t i = 0; i < PROBES_MAX; i++) {
        if (self->probes[i].stage == PROBE_FREE) {
            return &self->probes[i];
        }
    }
    return NULL;
}

static bool is_probed(const struct gossip *self, const struct member *member)
{
    for (size_t i = 0; i < PROBES_MAX; i++) {
        if (self->probes[i].stage != PROBE_FREE && self->probes[i].member == member) {
            return true;
        }
    }
    return false;
}

static void ping(struct gossip *self, struct probe *probe)
{
    probe->pings++;
    gossip_send_sequence(self, WIRE_PING, probe->sequence, gossip_send_to(probe->member));
}

static void begin(struct gossip *self, struct probe *probe)
{
    probe->stage = PROBE_DIRECT;
    probe->sequence = gossip_probe_sequence(self);
    probe->start_ms = self->now_ms;
    probe->due_ms =
        self->now_ms + gossip_awareness_scale_ms(&self->awareness, self->config.probe_timeout_ms);
    probe->end_ms =
        self->now_ms + gossip_awareness_scale_ms(&self->awareness, self->config.probe_interval_ms);
    self->counters.probes_sent++;
    ping(self, probe);
}

/* Ask others to probe (SWIM 3.1); suspects among them would hardly answer. */
static void ask_others(struct gossip *self, struct probe *probe)
{
    struct member *helpers[8];
    size_t count = gossip_members_pick(&self->members, &self->rng, probe->member, helpers,
                                       self->config.indirect_probes);
    int64_t wait_ms = probe->end_ms - self->now_ms;
    struct gossip_wire_message message = {.type = WIRE_ASK,
                                          .sequence = probe->sequence,
                                          .wait_ms = (uint32_t)(wait_ms < 0 ? 0 : wait_ms)};
    if (message.wait_ms > 60000) {
        message.wait_ms = 60000;
    }
    (void)snprintf(message.target, sizeof message.target, "%s", probe->member->name);
    for (size_t i = 0; i < count; i++) {
        if (helpers[i]->state == GOSSIP_ALIVE) {
            probe->asked++;
            self->counters.indirect_sent++;
            gossip_send_message(self, &message, gossip_send_to(helpers[i]));
        }
    }
}

/* The time is out: ask others, and ask again directly. What is lost once by chance is hardly lost
 * three times, and a suspicion that is none costs every node some messages. */
static void try_again(struct gossip *self, struct probe *probe)
{
    if (probe->stage == PROBE_DIRECT) {
        probe->stage = PROBE_INDIRECT;
        ask_others(self, probe);
    }
    ping(self, probe);
    probe->due_ms = probe->pings < DIRECT_PINGS ? self->now_ms + (probe->end_ms - self->now_ms) / 2
                                                : probe->end_ms;
}

static void fail(struct gossip *self, struct probe *probe)
{
    struct member *member = probe->member;
    bool heard = member->contact_ms != INT64_MIN && member->contact_ms >= probe->start_ms;
    probe->stage = PROBE_FREE;
    if (heard) { /* it lives, whatever became of the ack */
        return;
    }
    self->counters.probes_failed++;
    if (!probe->confirming) {
        unsigned asked = self->config.off.nack ? 0 : probe->asked;
        gossip_awareness_apply(&self->awareness,
                               gossip_awareness_failed_probe_delta(asked, probe->nacks));
    }
    gossip_apply_accusation(self, member, GOSSIP_REASON_PROBE);
}

static void step(struct gossip *self, struct probe *probe)
{
    switch (probe->stage) {
    case PROBE_FREE:
        break;
    case PROBE_SCHEDULED:
        begin(self, probe);
        break;
    case PROBE_DIRECT:
        try_again(self, probe);
        break;
    case PROBE_INDIRECT:
        if (probe->pings < DIRECT_PINGS && self->now_ms < probe->end_ms) {
            try_again(self, probe);
        } else {
            fail(self, probe);
        }
        break;
    }
}

static void begin_round(struct gossip *self)
{
    self->next_probe_ms =
        self->now_ms + gossip_awareness_scale_ms(&self->awareness, self->config.probe_interval_ms);
    struct probe *probe = free_probe(self);
    struct member *member = gossip_members_next_probe(&self->members, &self->rng);
    if (probe == NULL || member == NULL || is_probed(self, member)) {
        return;
    }
    *probe = (struct probe){.member = member};
    begin(self, probe);
}

/* A suspicion is checked by some others at once, about twice as many as its confirmation needs:
 * that is quicker than their own rounds, and a healthy suspect hears of it and refutes. */
void gossip_probe_confirm(struct gossip *self, struct member *member)
{
    size_t others = gossip_members_alive_others(&self->members);
    struct probe *probe = free_probe(self);
    if (probe == NULL || self->leaving || self->config.off.confirmation ||
        is_probed(self, member) ||
        rng_below(&self->rng, others + 1) >= 2 * (size_t)self->config.confirmations) {
        return;
    }
    int64_t delay_ms = rng_between(&self->rng, 0, self->config.probe_timeout_ms / 4);
    *probe = (struct probe){.stage = PROBE_SCHEDULED,
                            .confirming = true,
                            .member = member,
                            .due_ms = self->now_ms + delay_ms};
}

void gossip_probe_on_ack(struct gossip *self, const struct gossip_wire_message *message)
{
    for (size_t i = 0; i < PROBES_MAX; i++) {
        struct probe *probe = &self->probes[i];
        bool waiting = probe->stage == PROBE_DIRECT || probe->stage == PROBE_INDIRECT;
        if (!waiting || probe->sequence != message->sequence) {
            continue;
        }
        bool own = strcmp(probe->member->name, message->sender) == 0;
        if (!own && probe->stage != PROBE_INDIRECT) {
            return; /* nobody else was asked */
        }
        self->counters.probes_acked++;
        self->counters.indirect_answered += !own;
        if (!probe->confirming) {
            gossip_awareness_apply(&self->awareness, -1);
        }
        probe->stage = PROBE_FREE;
        return;
    }
    for (size_t i = 0; i < RELAYS_MAX; i++) {
        struct relay *relay = &self->relays[i];
        if (relay->due_ms != NEVER_MS && relay->sequence == message->sequence &&
            strcmp(relay->target, message->sender) == 0) {
            struct member *origin = gossip_members_find(&self->members, relay->origin);
            relay->due_ms = NEVER_MS;
            if (origin != NULL) {
                gossip_send_sequence(self, WIRE_ACK, relay->origin_sequence,
                                     gossip_send_to(origin));
            }
            return;
        }
    }
}

void gossip_probe_on_nack(struct gossip *self, const struct gossip_wire_message *message)
{
    for (size_t i = 0; i < PROBES_MAX; i++) {
        struct probe *probe = &self->probes[i];
        if (probe->stage == PROBE_INDIRECT && probe->sequence == message->sequence &&
            probe->nacks < probe->asked) {
            probe->nacks++;
            self->counters.nacks_received++;
            return;
        }
    }
}

/* ---- probes for others ---- */

static struct relay *free_relay(struct gossip *self)
{
    for (size_t i = 0; i < RELAYS_MAX; i++) {
        if (self->relays[i].due_ms == NEVER_MS) {
            return &self->relays[i];
        }
    }
    return NULL;
}

static void send_nack(struct gossip *self, uint32_t sequence, struct receiver to)
{
    if (!self->config.off.nack) {
        gossip_send_sequence(self, WIRE_NACK, sequence, to);
    }
}

void gossip_probe_on_ask(struct gossip *self, const struct gossip_wire_message *message,
                         struct receiver from)
{
    struct member *target = gossip_members_find(&self->members, message->target);
    struct relay *relay = free_relay(self);
    if (target == NULL || target == self->members.self || relay == NULL) {
        send_nack(self, message->sequence, from);
        return;
    }
    *relay =
        (struct relay){.sequence = gossip_probe_sequence(self),
                       .origin_sequence = message->sequence,
                       .due_ms = self->now_ms + (int64_t)message->wait_ms * RELAY_ANSWER_PART / 10};
    (void)snprintf(relay->origin, sizeof relay->origin, "%s", message->sender);
    (void)snprintf(relay->target, sizeof relay->target, "%s", message->target);
    gossip_send_sequence(self, WIRE_PING, relay->sequence, gossip_send_to(target));
}

static void end_relays(struct gossip *self)
{
    for (size_t i = 0; i < RELAYS_MAX; i++) {
        struct relay *relay = &self->relays[i];
        if (relay->due_ms > self->now_ms) {
            continue;
        }
        struct member *origin = gossip_members_find(&self->members, relay->origin);
        relay->due_ms = NEVER_MS;
        if (origin != NULL) {
            send_nack(self, relay->origin_sequence, gossip_send_to(origin));
        }
    }
}

/* ---- doors ---- */

void gossip_probe_tick(struct gossip *self)
{
    end_relays(self);
    for (size_t i = 0; i < PROBES_MAX; i++) {
        struct probe *probe = &self->probes[i];
        while (probe->stage != PROBE_FREE && probe->due_ms <= self->now_ms) {
            step(self, probe);
        }
    }
    if (!self->leaving && self->next_probe_ms <= self->now_ms) {
        begin_round(self);
    }
}

int64_t gossip_probe_deadline_ms(const struct gossip *self)
{
    int64_t deadline_ms = self->leaving ? NEVER_MS : self->next_probe_ms;
    for (size_t i = 0; i < PROBES_MAX; i++) {
        if (self->probes[i].stage != PROBE_FREE) {
            gossip_core_earlier(&deadline_ms, self->probes[i].due_ms);
        }
    }
    for (size_t i = 0; i < RELAYS_MAX; i++) {
        gossip_core_earlier(&deadline_ms, self->relays[i].due_ms);
    }
    return deadline_ms;
}

/* What was in flight says nothing about others: this node may have slept through the answers. */
void gossip_probe_stall(struct gossip *self)
{
    for (size_t i = 0; i < PROBES_MAX; i++) {
        self->probes[i].stage = PROBE_FREE;
    }
    self->next_probe_ms = self->now_ms;
}

void gossip_probe_withdraw(struct gossip *self, const struct member *member)
{
    for (size_t i = 0; i < PROBES_MAX; i++) {
        if (self->probes[i].member == member) {
            self->probes[i] = (struct probe){.stage = PROBE_FREE};
        }
    }
}
