#include "gossip/core.h"

#include "gossip/claim.h"
#include "node/base/invariant.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A joining node learns of everybody: what it learns so is no news to the others. */
#define JOIN_QUIET_MS 2000

#define LAST_QUESTIONS 2    /* others that are asked before a death is declared */
#define LAST_QUESTIONERS 64 /* nodes, about, that then ask the suspect itself */

struct change {
    enum gossip_state state;
    uint64_t incarnation;
    enum gossip_reason reason;
    const char *by;
    int64_t age_ms;
    bool first;
};

void gossip_apply_tell(struct gossip *self, struct member *member, enum news_kind kind,
                       unsigned flags)
{
    if (gossip_news_add(&self->news[kind], member, kind, flags) != 0) {
        self->counters.dropped_full++;
    }
}

void gossip_apply_emit(struct gossip *self, const struct gossip_action *action)
{
    if (!gossip_outbox_put(&self->outbox, action)) {
        self->counters.dropped_full++;
    }
}

static void emit_member(struct gossip *self, const struct member *member,
                        enum gossip_state old_state, const struct change *change)
{
    struct gossip_action action = {.kind = GOSSIP_ACTION_MEMBER,
                                   .old_state = old_state,
                                   .new_state = member->state,
                                   .first = change->first,
                                   .reason = change->reason,
                                   .incarnation = member->incarnation};
    (void)snprintf(action.name, sizeof action.name, "%s", member->name);
    (void)snprintf(action.address, sizeof action.address, "%s", member->address);
    (void)snprintf(action.by, sizeof action.by, "%s", change->by == NULL ? "" : change->by);
    gossip_apply_emit(self, &action);
}

/* ---- states ---- */

static int64_t suspicion_least_ms(const struct gossip *self)
{
    return gossip_suspicion_min_ms(self->config.suspicion_mult, gossip_core_members(self),
                                   self->config.probe_interval_ms);
}

/* Only those who are alive here, and neither this node nor the suspect, can confirm. A suspect
 * that was heard meanwhile gets the least time once more to refute, up to the longest. */
static int64_t suspicion_end_ms(const struct gossip *self, const struct member *member)
{
    const struct suspicion *suspicion = member->suspicion;
    int64_t min_ms = suspicion_least_ms(self);
    int64_t max_ms = min_ms * self->config.suspicion_max_mult;
    size_t others = gossip_members_alive_others(&self->members);
    unsigned wanted = self->config.confirmations;
    if (suspicion->doubted || self->config.off.shrinking) {
        wanted = 0;
    } else if (others < wanted) {
        wanted = (unsigned)others;
    }
    int64_t timeout_ms = gossip_suspicion_timeout_ms(gossip_suspicion_confirmations(suspicion),
                                                     wanted, min_ms, max_ms);
    if (member->contact_ms > suspicion->start_ms) {
        int64_t heard_ms = member->contact_ms - suspicion->start_ms + min_ms;
        heard_ms = heard_ms > max_ms ? max_ms : heard_ms;
        timeout_ms = timeout_ms < heard_ms ? heard_ms : timeout_ms;
    }
    return suspicion->start_ms + timeout_ms;
}

static void enter_lists(struct gossip *self, struct member *member)
{
    switch (member->state) {
    case GOSSIP_ALIVE:
        gossip_members_live_add(&self->members, member, &self->rng);
        gossip_members_suspect_remove(&self->members, member);
        break;
    case GOSSIP_SUSPECT:
        gossip_members_live_add(&self->members, member, &self->rng);
        gossip_members_suspect_add(&self->members, member);
        break;
    case GOSSIP_DEAD:
    case GOSSIP_LEFT:
        gossip_members_live_remove(&self->members, member);
        gossip_members_suspect_remove(&self->members, member);
        gossip_probe_withdraw(self, member);
        break;
    }
}

static void change_state(struct gossip *self, struct member *member, const struct change *change)
{
    enum gossip_state old_state = member->state;
    member->incarnation = change->incarnation;
    member->state = change->state;
    if (change->first || old_state != change->state) {
        member->since_ms = self->now_ms - change->age_ms;
        member->told_ms = INT64_MIN;
    }
    if (change->state == GOSSIP_ALIVE || change->state == GOSSIP_LEFT) {
        free(member->suspicion);
        member->suspicion = NULL;
    }
    if (change->state != GOSSIP_DEAD) {
        member->proof = false;
    }
    enter_lists(self, member);
    gossip_members_update_digest(&self->members, member);
    self->counters.suspicions += change->state == GOSSIP_SUSPECT;
    self->counters.deaths += change->state == GOSSIP_DEAD && old_state != GOSSIP_DEAD;
    bool moved = change->reason == GOSSIP_REASON_MOVED;
    if (change->first || moved || old_state != change->state) {
        emit_member(self, member, old_state, change);
    }
}

/* A fresh suspicion of the member; false when memory ran out. */
static bool begin_suspicion(struct gossip *self, struct member *member)
{
    if (member->suspicion == NULL) {
        member->suspicion = malloc(sizeof *member->suspicion);
        if (member->suspicion == NULL) {
            self->counters.dropped_full++;
            return false;
        }
    }
    gossip_suspicion_init(member->suspicion, self->now_ms);
    return true;
}

static bool add_accusers(struct member *member, const struct gossip_wire_member *item)
{
    bool added = false;
    for (unsigned i = 0; i < item->accuser_count; i++) {
        added = gossip_suspicion_accuse(member->suspicion, item->accusers[i]) || added;
    }
    return added;
}

static const char *first_accuser(const struct gossip_wire_member *item)
{
    return item->accuser_count == 0 ? "" : item->accusers[0];
}

static bool has_accuser(const struct gossip_wire_member *item, const char *name)
{
    for (unsigned i = 0; i < item->accuser_count; i++) {
        if (strcmp(item->accusers[i], name) == 0) {
            return true;
        }
    }
    return false;
}

static void take_address(struct gossip *self, struct member *member,
                         const struct gossip_wire_member *item, struct change *change)
{
    if (item->address[0] == '\0' || strcmp(item->address, member->address) == 0) {
        return;
    }
    if (gossip_members_set_address(member, item->address) != 0) {
        self->counters.dropped_full++;
    } else if (member->state == GOSSIP_ALIVE && change->state == GOSSIP_ALIVE) {
        change->reason = GOSSIP_REASON_MOVED;
    }
}

static void become_alive(struct gossip *self, struct member *member,
                         const struct gossip_wire_member *item)
{
    struct change change = {.state = GOSSIP_ALIVE,
                            .incarnation = item->incarnation,
                            .reason = member->state == GOSSIP_SUSPECT ? GOSSIP_REASON_REFUTED
                                                                      : GOSSIP_REASON_RETURNED};
    take_address(self, member, item, &change);
    change_state(self, member, &change);
    gossip_apply_tell(self, member, NEWS_MEMBER, NEWS_EAGER);
}

static void become_suspect(struct gossip *self, struct member *member,
                           const struct gossip_wire_member *item, enum gossip_reason reason,
                           bool doubted)
{
    if (!begin_suspicion(self, member)) {
        return;
    }
    (void)add_accusers(member, item);
    member->suspicion->doubted = doubted;
    struct change change = {.state = GOSSIP_SUSPECT,
                            .incarnation = item->incarnation,
                            .reason = reason,
                            .by = first_accuser(item)};
    take_address(self, member, item, &change);
    change_state(self, member, &change);
    gossip_apply_tell(self, member, NEWS_MEMBER, NEWS_EAGER);
    if (!has_accuser(item, self->config.name)) {
        gossip_probe_confirm(self, member);
    }
}

static void become_dead(struct gossip *self, struct member *member,
                        const struct gossip_wire_member *item)
{
    if (member->suspicion != NULL) {
        (void)add_accusers(member, item);
    }
    bool proof = has_accuser(item, member->name);
    struct change change = {.state = GOSSIP_DEAD,
                            .incarnation = item->incarnation,
                            .reason = proof ? GOSSIP_REASON_ENDED : GOSSIP_REASON_TOLD,
                            .by = first_accuser(item),
                            .age_ms = (int64_t)item->age_s * 1000};
    take_address(self, member, item, &change);
    change_state(self, member, &change);
    member->proof = proof;
    gossip_apply_tell(self, member, NEWS_MEMBER, NEWS_EAGER);
}

static void become_left(struct gossip *self, struct member *member,
                        const struct gossip_wire_member *item)
{
    struct change change = {.state = GOSSIP_LEFT,
                            .incarnation = item->incarnation,
                            .reason = GOSSIP_REASON_LEFT,
                            .age_ms = (int64_t)item->age_s * 1000};
    take_address(self, member, item, &change);
    change_state(self, member, &change);
    gossip_apply_tell(self, member, NEWS_MEMBER, NEWS_EAGER);
}

static void renew(struct gossip *self, struct member *member, const struct gossip_wire_member *item)
{
    struct change change = {.state = member->state, .incarnation = item->incarnation};
    take_address(self, member, item, &change);
    change_state(self, member, &change);
    gossip_apply_tell(self, member, NEWS_MEMBER, NEWS_EAGER);
}

/* More accusers of a suspicion that is held; new ones are worth telling. */
static void confirm(struct gossip *self, struct member *member,
                    const struct gossip_wire_member *item)
{
    if (add_accusers(member, item)) {
        gossip_apply_tell(self, member, NEWS_MEMBER, NEWS_EAGER);
    }
}

static void doubt(struct gossip *self, struct member *member, const struct gossip_wire_member *item)
{
    bool held = member->state == GOSSIP_SUSPECT && item->incarnation == member->incarnation;
    if (!held) {
        become_suspect(self, member, item, GOSSIP_REASON_TOLD, true);
        return;
    }
    member->suspicion->doubted = true;
    confirm(self, member, item);
}

/* ---- claims ---- */

static struct claim_held held_of(const struct gossip *self, const struct member *member)
{
    struct claim_held held = {.state = member->state, .incarnation = member->incarnation};
    if (member->state == GOSSIP_SUSPECT) {
        int64_t age_ms = self->now_ms - member->suspicion->start_ms;
        held.suspect_for_long = age_ms >= suspicion_least_ms(self) / 2;
    }
    return held;
}

/* Whoever accuses a member that has refuted since has missed that: the answer brings it. */
static void note_behind(struct gossip *self, struct member *member,
                        const struct gossip_wire_member *item)
{
    bool accuses = item->state == GOSSIP_SUSPECT || item->state == GOSSIP_DEAD;
    if (accuses && member->state == GOSSIP_ALIVE && item->incarnation < member->incarnation &&
        self->behind_count < BEHIND_MAX) {
        self->behind[self->behind_count++] = member;
    }
}

static void apply_claim(struct gossip *self, struct member *member,
                        const struct gossip_wire_member *item, enum gossip_reason reason)
{
    struct claim_held held = held_of(self, member);
    struct claim claim = {.state = item->state,
                          .incarnation = item->incarnation,
                          .proof = has_accuser(item, member->name)};
    switch (gossip_claim_judge(&held, &claim)) {
    case CLAIM_IGNORE:
        note_behind(self, member, item);
        break;
    case CLAIM_ALIVE:
        become_alive(self, member, item);
        break;
    case CLAIM_SUSPECT:
        become_suspect(self, member, item, reason, false);
        break;
    case CLAIM_CONFIRM:
        confirm(self, member, item);
        break;
    case CLAIM_DOUBT:
        doubt(self, member, item);
        break;
    case CLAIM_DEAD:
        become_dead(self, member, item);
        break;
    case CLAIM_LEFT:
        become_left(self, member, item);
        break;
    case CLAIM_RENEW:
        renew(self, member, item);
        break;
    }
}

/* A member that is not known yet: only news with an address makes one. */
static void introduce(struct gossip *self, const struct gossip_wire_member *item,
                      const struct gossip_wire_message *message, enum apply_source source)
{
    bool ended = item->state == GOSSIP_DEAD || item->state == GOSSIP_LEFT;
    int64_t age_ms = ended ? (int64_t)item->age_s * 1000 : 0;
    if (item->address[0] == '\0' || age_ms >= self->config.dead_keep_ms) {
        return;
    }
    struct member *member = gossip_members_add(&self->members, item->name, item->address);
    if (member == NULL) {
        self->counters.dropped_full++;
        return;
    }
    struct change change = {.state = item->state,
                            .incarnation = item->incarnation,
                            .reason = GOSSIP_REASON_JOINED,
                            .age_ms = age_ms,
                            .first = true};
    if (item->state == GOSSIP_SUSPECT) {
        change.reason = GOSSIP_REASON_TOLD;
        change.by = first_accuser(item);
        if (begin_suspicion(self, member)) {
            (void)add_accusers(member, item);
        } else {
            change.state = GOSSIP_ALIVE;
        }
    }
    member->state = change.state;
    change_state(self, member, &change);
    member->proof = item->state == GOSSIP_DEAD && has_accuser(item, item->name);
    bool own_word = strcmp(item->name, message->sender) == 0;
    bool joining = self->now_ms - self->start_ms < JOIN_QUIET_MS;
    if (own_word || source == APPLY_NEWS || !joining) {
        gossip_apply_tell(self, member, NEWS_MEMBER, NEWS_EAGER);
    }
}

/* What others say about this node. A suspicion or a death is refuted by a higher incarnation; so
 * is an incarnation that this node never had (its counter was lost). */
void gossip_apply_about_self(struct gossip *self, const struct gossip_wire_member *item)
{
    struct member *own = self->members.self;
    bool accused = item->state != GOSSIP_ALIVE && item->incarnation >= own->incarnation;
    if (self->leaving || (!accused && item->incarnation <= own->incarnation) ||
        item->incarnation >= GOSSIP_INCARNATION_MAX || (accused && self->config.off.refutation)) {
        return;
    }
    own->incarnation = item->incarnation + 1;
    gossip_members_update_digest(&self->members, own);
    if (accused) {
        gossip_awareness_apply(&self->awareness, 1);
        self->counters.refutations++;
    }
    struct gossip_action action = {.kind = GOSSIP_ACTION_INCARNATION,
                                   .incarnation = own->incarnation};
    (void)snprintf(action.name, sizeof action.name, "%s", own->name);
    gossip_apply_emit(self, &action);
    gossip_apply_tell(self, own, NEWS_MEMBER, NEWS_EAGER);
}

/* ---- doors ---- */

void gossip_apply_items(struct gossip *self, const struct gossip_wire_message *message,
                        enum apply_source source)
{
    struct gossip_wire_item item;
    for (size_t i = 0; i < gossip_wire_item_count(message); i++) {
        if (!gossip_wire_item_at(message, i, &item)) {
            continue; /* a later version's */
        }
        bool health = item.kind == WIRE_ITEM_HEALTH;
        const char *name = health ? item.health.name : item.member.name;
        if (gossip_join_is_forgotten(self, name)) {
            self->counters.dropped_forgotten++;
        } else if (health) {
            gossip_apply_health(self, &item.health, source);
        } else if (strcmp(name, self->config.name) == 0) {
            gossip_apply_about_self(self, &item.member);
        } else {
            struct member *member = gossip_members_find(&self->members, name);
            if (member == NULL) {
                introduce(self, &item.member, message, source);
            } else {
                apply_claim(self, member, &item.member, GOSSIP_REASON_TOLD);
            }
        }
    }
}

void gossip_apply_accusation(struct gossip *self, struct member *member, enum gossip_reason reason)
{
    if (self->now_ms < self->quiet_until_ms || self->leaving) {
        return;
    }
    struct gossip_wire_member item = {
        .incarnation = member->incarnation, .state = GOSSIP_SUSPECT, .accuser_count = 1};
    (void)snprintf(item.accusers[0], NAME_SIZE, "%s", self->config.name);
    apply_claim(self, member, &item, reason);
    if (member->state == GOSSIP_SUSPECT && !self->config.off.buddy) {
        gossip_send_question(self, member, gossip_send_to(member)); /* so that it can refute */
    }
}

void gossip_apply_ended(struct gossip *self, struct member *member, uint64_t incarnation)
{
    struct gossip_wire_member item = {
        .incarnation = incarnation, .state = GOSSIP_DEAD, .accuser_count = 1};
    (void)snprintf(item.accusers[0], NAME_SIZE, "%s", member->name);
    apply_claim(self, member, &item, GOSSIP_REASON_ENDED);
}

/* News reaches nearly all, so a few may have missed that the suspect refuted long ago: before a
 * node declares a death on its own it asks the suspect, and some others what they know. */
static void ask_around(struct gossip *self, struct member *member)
{
    struct member *others[LAST_QUESTIONS];
    size_t count = gossip_members_pick(&self->members, &self->rng, member, others, LAST_QUESTIONS);
    member->suspicion->asked_ms = self->now_ms;
    for (size_t i = 0; i < count; i++) {
        gossip_send_question(self, member, gossip_send_to(others[i]));
    }
    if (rng_below(&self->rng, gossip_core_members(self)) < LAST_QUESTIONERS) {
        gossip_send_question(self, member, gossip_send_to(member));
    }
}

/* When the last questions are due, or, if they were asked, the death. */
static int64_t next_step_ms(const struct gossip *self, const struct member *member)
{
    int64_t end_ms = suspicion_end_ms(self, member);
    int64_t wait_ms = self->config.probe_timeout_ms;
    int64_t asked_ms = member->suspicion->asked_ms;
    if (self->config.off.last_question) {
        return end_ms;
    }
    if (asked_ms == INT64_MIN) {
        return end_ms - wait_ms;
    }
    return end_ms < asked_ms + wait_ms ? asked_ms + wait_ms : end_ms;
}

/* The suspicion ran out: SWIM 4.2. */
static void declare_dead(struct gossip *self, struct member *member)
{
    struct change change = {.state = GOSSIP_DEAD,
                            .incarnation = member->incarnation,
                            .reason = GOSSIP_REASON_TIMEOUT,
                            .by = self->config.name};
    (void)gossip_suspicion_accuse(member->suspicion, self->config.name);
    change_state(self, member, &change);
    gossip_apply_tell(self, member, NEWS_MEMBER, NEWS_EAGER);
}

void gossip_apply_tick(struct gossip *self)
{
    if (self->now_ms < self->quiet_until_ms || self->leaving) {
        return;
    }
    struct member_list *suspects = &self->members.suspects;
    for (size_t i = suspects->count; i > 0; i--) { /* backwards: the last fills a gap */
        struct member *member = suspects->items[i - 1];
        invariant(member->state == GOSSIP_SUSPECT);
        if (next_step_ms(self, member) > self->now_ms) {
            continue;
        }
        if (member->suspicion->asked_ms == INT64_MIN && !self->config.off.last_question) {
            ask_around(self, member);
        } else {
            declare_dead(self, member);
        }
    }
}

int64_t gossip_apply_deadline_ms(const struct gossip *self)
{
    int64_t deadline_ms = NEVER_MS;
    const struct member_list *suspects = &self->members.suspects;
    if (self->leaving) {
        return deadline_ms;
    }
    for (size_t i = 0; i < suspects->count; i++) {
        gossip_core_earlier(&deadline_ms, next_step_ms(self, suspects->items[i]));
    }
    if (deadline_ms < self->quiet_until_ms) {
        deadline_ms = self->quiet_until_ms;
    }
    return deadline_ms;
}

void gossip_apply_stall(struct gossip *self, int64_t gap_ms)
{
    struct member_list *suspects = &self->members.suspects;
    for (size_t i = 0; i < suspects->count; i++) {
        suspects->items[i]->suspicion->start_ms += gap_ms;
        suspects->items[i]->suspicion->asked_ms = INT64_MIN;
    }
}
