#include "managers/pm2/stand_in/tiers.h"

#include "node/base/doc.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define FAILURES_MAX 64 /* more make no difference */

const char *tier_name(enum tier tier)
{
    static const char *const names[TIER_COUNT] = {"primary", "standard", "enhanced"};
    return names[tier];
}

static int64_t retry_delay_ms(const struct tier_past *past, const struct tier_facts *facts)
{
    int64_t times = 1;
    for (uint32_t i = 1; i < past->failures && times < TIERS_RETRY_MAX; i++) {
        times *= 2;
    }
    return facts->retry_after_ms * (times < TIERS_RETRY_MAX ? times : TIERS_RETRY_MAX);
}

/* A node could run it now, and has been able to for settle if that is what was missing. */
static bool is_able(const struct tier_past *past, const struct tier_facts *facts)
{
    bool missing = past->failures > 0 && past->for_want;
    return facts->able_ms >= (missing ? facts->settle_ms : 0);
}

static bool is_due(const struct tiers *self, enum tier tier, const struct tier_facts *facts,
                   int64_t now_ms)
{
    const struct tier_past *past = &self->past[tier];
    if (facts->count == 0 || !is_able(past, facts)) {
        return false;
    }
    return past->failures == 0 || past->for_want ||
           now_ms - past->at_ms >= retry_delay_ms(past, facts);
}

int64_t tiers_retry_ms(const struct tiers *self, enum tier tier,
                       const struct tier_facts facts[TIER_COUNT], int64_t now_ms)
{
    const struct tier_past *past = &self->past[tier];
    if (past->failures == 0) {
        return INT64_MAX;
    }
    if (past->for_want) {
        return facts[tier].able_ms < 0 ? INT64_MAX : facts[tier].settle_ms - facts[tier].able_ms;
    }
    return past->at_ms + retry_delay_ms(past, &facts[tier]) - now_ms;
}

/* The best tier that is worth a try, before `end`; TIER_COUNT: none. */
static int find_due(const struct tiers *self, const struct tier_facts facts[TIER_COUNT], int end,
                    int64_t now_ms)
{
    for (int tier = 0; tier < end; tier++) {
        bool present = self->known && (enum tier)tier == self->now;
        if (!present && is_due(self, (enum tier)tier, &facts[tier], now_ms)) {
            return tier;
        }
    }
    return TIER_COUNT;
}

static void take(struct tiers *self, enum tier tier, int64_t now_ms)
{
    self->known = true;
    self->now = tier;
    self->given_up = false;
    self->since_ms = now_ms;
    self->ran_ms = now_ms;
}

static void note_failure(struct tiers *self, const struct tier_facts *facts, int64_t now_ms)
{
    struct tier_past *past = &self->past[self->now];
    past->failures += past->failures < FAILURES_MAX ? 1 : 0;
    past->for_want = facts->able_ms < 0;
    past->at_ms = now_ms;
    self->given_up = true;
}

void tiers_begin(struct tiers *self, enum tier now, const struct tier_facts facts[TIER_COUNT],
                 int64_t now_ms)
{
    for (int tier = 0; tier < (int)now; tier++) {
        if (facts[tier].count > 0 && self->past[tier].failures == 0) {
            self->past[tier] = (struct tier_past){
                .failures = 1, .for_want = facts[tier].able_ms < 0, .at_ms = now_ms};
        }
    }
    take(self, now, now_ms);
}

void tiers_rest(struct tiers *self)
{
    self->known = false;
    self->given_up = false;
}

/* ---- the rule ---- */

static bool begin_best(struct tiers *self, const struct tier_facts facts[TIER_COUNT],
                       int64_t now_ms, char ret_reason[REASON_SIZE])
{
    int best = find_due(self, facts, TIER_COUNT, now_ms);
    for (int tier = 0; best == TIER_COUNT && tier < TIER_COUNT; tier++) {
        best = facts[tier].count > 0 ? tier : best;
    }
    best = best == TIER_COUNT ? TIER_STANDARD : best;
    take(self, (enum tier)best, now_ms);
    (void)snprintf(ret_reason, REASON_SIZE, "the %s tier is the best there is",
                   tier_name(self->now));
    return true;
}

/* How long it may be silent; -1: for ever. */
static int64_t patience_ms(const struct tier_facts *facts)
{
    bool all = facts->failed > 0 && facts->failed >= facts->count;
    bool short_of = facts->start_within_ms >= 0 && facts->start_within_ms < TIERS_FAILED_MS;
    return all && !short_of ? TIERS_FAILED_MS : facts->start_within_ms;
}

static void look(struct tiers *self, const struct tier_facts *facts, int64_t now_ms,
                 char ret_reason[REASON_SIZE])
{
    if (facts->running_ms >= 0) {
        self->ran_ms = now_ms;
        self->given_up = false;
        if (facts->running_ms >= facts->settle_ms && facts->running_ms >= facts->retry_after_ms) {
            self->past[self->now] = (struct tier_past){0};
        }
        (void)snprintf(ret_reason, REASON_SIZE, "the %s tier runs", tier_name(self->now));
        return;
    }
    int64_t silent_ms = now_ms - self->ran_ms;
    int64_t most_ms = patience_ms(facts);
    if (!self->given_up && most_ms >= 0 && silent_ms >= most_ms) {
        note_failure(self, facts, now_ms);
    }
    (void)snprintf(ret_reason, REASON_SIZE, "the %s tier does not run for %" PRId64 " ms%s%.64s",
                   tier_name(self->now), silent_ms, facts->reason[0] != '\0' ? ": " : "",
                   facts->reason);
}

static bool change(struct tiers *self, int tier, int64_t now_ms, const char *why,
                   char ret_reason[REASON_SIZE])
{
    (void)snprintf(ret_reason, REASON_SIZE, "the %s tier: %.*s", tier_name((enum tier)tier),
                   REASON_SIZE - 24, why);
    take(self, (enum tier)tier, now_ms);
    return true;
}

bool tiers_step(struct tiers *self, const struct tier_facts facts[TIER_COUNT], int64_t now_ms,
                char ret_reason[REASON_SIZE])
{
    if (facts[TIER_PRIMARY].foreign && (!self->known || self->now != TIER_PRIMARY)) {
        return change(self, TIER_PRIMARY, now_ms, "a process of its name runs that is not ours",
                      ret_reason);
    }
    if (!self->known || facts[self->now].count == 0) {
        return begin_best(self, facts, now_ms, ret_reason);
    }
    if (facts[TIER_PRIMARY].foreign) {
        self->ran_ms = now_ms;
        (void)snprintf(ret_reason, REASON_SIZE, "a process of its name runs that is not ours");
        return false;
    }
    look(self, &facts[self->now], now_ms, ret_reason);
    int other = find_due(self, facts, self->given_up ? TIER_COUNT : (int)self->now, now_ms);
    if (other == TIER_COUNT) {
        return false;
    }
    if (self->given_up) {
        char why[REASON_SIZE];
        memcpy(why, ret_reason, sizeof why);
        return change(self, other, now_ms, why, ret_reason);
    }
    return change(self, other, now_ms,
                  self->past[other].for_want ? "a node can run it again" : "it is tried again",
                  ret_reason);
}

/* ---- from one leader to the next ---- */

json_t *tiers_document(const struct tiers *self, const char *primary, int64_t now_ms)
{
    json_t *past = json_array();
    for (int tier = 0; tier < TIER_COUNT; tier++) {
        const struct tier_past *row = &self->past[tier];
        (void)json_array_append_new(
            past, json_pack("{sI sb sI}", "failures", (json_int_t)row->failures, "for_want",
                            row->for_want, "ago_ms",
                            (json_int_t)(row->failures > 0 ? now_ms - row->at_ms : 0)));
    }
    return json_pack("{so ss sI so}", "primary", doc_text(primary), "tier",
                     self->known ? tier_name(self->now) : "none", "for_ms",
                     (json_int_t)(self->known ? now_ms - self->since_ms : 0), "past", past);
}

bool tiers_adopt(struct tiers *self, const json_t *document, int64_t age_ms, int64_t now_ms)
{
    const json_t *past = json_object_get(document, "past");
    struct tier_past read[TIER_COUNT] = {0};
    if (json_array_size(past) < TIER_COUNT) {
        return false;
    }
    for (size_t i = 0; i < TIER_COUNT; i++) {
        const json_t *row = json_array_get(past, i);
        int64_t failures = doc_get_integer(row, "failures", -1);
        int64_t ago_ms = doc_get_integer(row, "ago_ms", -1);
        if (failures < 0 || failures > FAILURES_MAX || ago_ms < 0 || ago_ms > now_ms) {
            return false;
        }
        read[i] = (struct tier_past){.failures = (uint32_t)failures,
                                     .for_want = doc_get_bool(row, "for_want", false),
                                     .at_ms = now_ms - ago_ms - (age_ms > 0 ? age_ms : 0)};
    }
    memcpy(self->past, read, sizeof self->past);
    return true;
}
