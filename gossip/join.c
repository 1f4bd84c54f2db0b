#include "gossip/core.h"

#include "node/base/invariant.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_SEEDS 3 /* contacted at once while this node is alone */
#define REAP_MIN_MS 1000
#define REAP_MAX_MS 60000

/* ---- seeds and dead members ---- */

static bool is_missing(const struct gossip *self, const struct gossip_seed *seed)
{
    const struct member *member = gossip_members_find(&self->members, seed->name);
    return member == NULL || member->state == GOSSIP_DEAD;
}

/* A random one of the seeds that are not here, other than those from `skip` of earlier ones. */
static size_t missing_seeds(struct gossip *self, const struct gossip_seed **ret, size_t count_max)
{
    size_t seen = 0;
    for (size_t i = 0; i < self->seed_count; i++) {
        if (!is_missing(self, &self->seeds[i])) {
            continue;
        }
        seen++;
        size_t place = seen <= count_max ? seen - 1 : (size_t)rng_below(&self->rng, seen);
        if (place < count_max) {
            ret[place] = &self->seeds[i];
        }
    }
    return seen < count_max ? seen : count_max;
}

static struct member *dead_member(struct gossip *self)
{
    size_t count = self->members.rows.count;
    if (count == self->members.live.count + 1) {
        return NULL;
    }
    size_t start = (size_t)rng_below(&self->rng, count);
    for (size_t i = 0; i < count; i++) {
        struct member *member = gossip_members_row(&self->members, (start + i) % count);
        if (member->state == GOSSIP_DEAD) {
            return member;
        }
    }
    return NULL;
}

static void contact_seed(struct gossip *self, const struct gossip_seed *seed)
{
    struct receiver to = {.member = gossip_members_find(&self->members, seed->name),
                          .name = seed->name,
                          .address = seed->address};
    gossip_sync_open(self, to, self->members.live.count == 0);
}

/* Seeds at their configured address and dead members at their last one, in turn by chance: this
 * is what joins a cluster, and what heals one that was cut in two. */
static void rejoin(struct gossip *self)
{
    bool alone = self->members.live.count == 0;
    const struct gossip_seed *missing[FIRST_SEEDS];
    size_t count = missing_seeds(self, missing, alone ? FIRST_SEEDS : 1);
    struct member *dead = dead_member(self);
    if (dead != NULL && (count == 0 || rng_below(&self->rng, 2) == 0)) {
        gossip_sync_open(self, gossip_send_to(dead), false);
        if (!alone) {
            return;
        }
    }
    for (size_t i = 0; i < count; i++) {
        contact_seed(self, missing[i]);
    }
}

static void reap(struct gossip *self)
{
    for (size_t i = self->members.rows.count; i > 0; i--) { /* backwards: the last fills a gap */
        struct member *member = gossip_members_row(&self->members, i - 1);
        bool ended = member->state == GOSSIP_DEAD || member->state == GOSSIP_LEFT;
        if (ended && member != self->members.self &&
            self->now_ms - member->since_ms >= self->config.dead_keep_ms) {
            gossip_join_drop(self, member);
        }
    }
}

void gossip_join_tick(struct gossip *self)
{
    if (!self->leaving && self->next_rejoin_ms <= self->now_ms) {
        bool alone = self->members.live.count == 0;
        self->next_rejoin_ms =
            self->now_ms + gossip_core_jitter_ms(self, alone ? self->config.probe_timeout_ms
                                                             : self->config.rejoin_interval_ms);
        rejoin(self);
    }
    if (self->next_reap_ms <= self->now_ms) {
        int64_t interval_ms = self->config.dead_keep_ms / 16;
        interval_ms = interval_ms < REAP_MIN_MS ? REAP_MIN_MS : interval_ms;
        self->next_reap_ms = self->now_ms + (interval_ms > REAP_MAX_MS ? REAP_MAX_MS : interval_ms);
        reap(self);
    }
}

int gossip_set_seeds(struct gossip *self, int64_t now_ms, const struct gossip_seed *seeds,
                     size_t count, struct err *err)
{
    if (count > NODES_MAX) {
        return err_set(err, ERR_INVALID, "%zu seeds, allowed are %d", count, NODES_MAX);
    }
    for (size_t i = 0; i < count; i++) {
        if (seeds[i].name[0] == '\0' || memchr(seeds[i].name, '\0', NAME_SIZE) == NULL ||
            memchr(seeds[i].address, '\0', ADDRESS_SIZE) == NULL) {
            return err_set(err, ERR_INVALID, "name or address of seed %zu is malformed", i);
        }
    }
    gossip_core_advance(self, now_ms);
    self->seed_count = 0;
    for (size_t i = 0; i < count; i++) {
        if (strcmp(seeds[i].name, self->config.name) != 0) {
            self->seeds[self->seed_count++] = seeds[i];
            gossip_admit(self, now_ms, seeds[i].name);
        }
    }
    return 0;
}

/* ---- removal by the operator ---- */

bool gossip_join_is_forgotten(const struct gossip *self, const char *name)
{
    for (size_t i = 0; i < FORGOTTEN_MAX; i++) {
        const struct forgotten *forgotten = &self->forgotten[i];
        if (forgotten->until_ms > self->now_ms && strcmp(forgotten->name, name) == 0) {
            return true;
        }
    }
    return false;
}

void gossip_join_drop(struct gossip *self, struct member *member)
{
    struct gossip_action action = {
        .kind = GOSSIP_ACTION_GONE, .old_state = member->state, .new_state = member->state};
    (void)snprintf(action.name, sizeof action.name, "%s", member->name);
    gossip_probe_withdraw(self, member);
    gossip_news_remove(&self->news[NEWS_MEMBER], member, NEWS_MEMBER);
    gossip_news_remove(&self->news[NEWS_HEALTH], member, NEWS_HEALTH);
    gossip_members_remove(&self->members, member);
    if (!gossip_outbox_put(&self->outbox, &action)) {
        self->counters.dropped_full++;
    }
}

void gossip_forget(struct gossip *self, int64_t now_ms, const char *name)
{
    gossip_core_advance(self, now_ms);
    struct member *member = gossip_members_find(&self->members, name);
    if (member == self->members.self) {
        return; /* the node itself learns of its removal from the roster, and ends */
    }
    struct forgotten *place = &self->forgotten[0];
    for (size_t i = 0; i < FORGOTTEN_MAX; i++) { /* the same name again, or the one to end first */
        struct forgotten *candidate = &self->forgotten[i];
        if (strcmp(candidate->name, name) == 0) {
            place = candidate;
            break;
        }
        if (candidate->until_ms < place->until_ms) {
            place = candidate;
        }
    }
    (void)snprintf(place->name, sizeof place->name, "%s", name);
    place->until_ms = self->now_ms + self->config.dead_keep_ms;
    for (size_t i = 0; i < self->seed_count; i++) {
        if (strcmp(self->seeds[i].name, name) == 0) {
            self->seeds[i] = self->seeds[--self->seed_count];
            break;
        }
    }
    if (member != NULL) {
        gossip_join_drop(self, member);
    }
}

void gossip_admit(struct gossip *self, int64_t now_ms, const char *name)
{
    gossip_core_advance(self, now_ms);
    for (size_t i = 0; i < FORGOTTEN_MAX; i++) {
        if (strcmp(self->forgotten[i].name, name) == 0) {
            self->forgotten[i] = (struct forgotten){.until_ms = INT64_MIN};
        }
    }
}

/* ---- leaving ---- */

void gossip_leave(struct gossip *self, int64_t now_ms)
{
    gossip_core_advance(self, now_ms);
    if (self->leaving) {
        return;
    }
    struct member *own = self->members.self;
    self->leaving = true;
    self->leave_until_ms = self->now_ms + self->config.leave_timeout_ms;
    own->state = GOSSIP_LEFT;
    own->since_ms = self->now_ms;
    gossip_members_update_digest(&self->members, own);
    gossip_apply_tell(self, own, NEWS_MEMBER, NEWS_EAGER);
    self->next_gossip_ms = self->now_ms;
    gossip_send_tick(self);
}

bool gossip_leave_done(const struct gossip *self)
{
    return self->leaving &&
           (self->members.live.count == 0 || self->members.self->pending[NEWS_MEMBER] == NULL ||
            self->now_ms >= self->leave_until_ms);
}
