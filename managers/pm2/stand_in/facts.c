/* What the leader's manager knows of our own duties, from its own eyes and the others'
 * observations: what the rule of tiers.h asks. */
#include "managers/pm2/pm2.h"

#include "node/base/doc.h"

#include <string.h>

static bool is_own(const struct pm2 *self, const struct peer *peer)
{
    return strcmp(peer->node, self->configure.node) == 0;
}

/* It is there, and what it told is of now. */
static bool is_heard(const struct peer *peer, int64_t now_ms)
{
    bool reachable = peer->state == MANAGER_ALIVE || peer->state == MANAGER_SUSPECT;
    return peer->used && reachable && peer->document != NULL &&
           now_ms - peer->made_ms < PM2_STALE_MS;
}

void facts_tick(struct pm2 *self, int64_t now_ms)
{
    if (!pm2_can_run(self)) {
        self->able_since_ms = 0;
    } else if (self->able_since_ms == 0) {
        self->able_since_ms = now_ms;
    }
    for (size_t i = 0; i < NODES_MAX; i++) {
        struct peer *peer = &self->peers[i];
        bool able = is_heard(peer, now_ms) && doc_get_bool(peer->document, "can_run", false);
        if (!able) {
            peer->able_since_ms = 0;
        } else if (peer->able_since_ms == 0) {
            peer->able_since_ms = now_ms;
        }
    }
}

bool facts_complete(const struct pm2 *self, int64_t now_ms)
{
    if (now_ms - self->role_since_ms >= PM2_STALE_MS) {
        return true;
    }
    for (size_t i = 0; i < NODES_MAX; i++) {
        const struct peer *peer = &self->peers[i];
        bool lives = peer->used && peer->member && peer->state == MANAGER_ALIVE;
        if (lives && !is_own(self, peer) && peer->document == NULL) {
            return false;
        }
    }
    return true;
}

/* ---- one duty ---- */

struct sight {
    bool any; /* some node has it */
    bool failed;
    int64_t running_ms; /* -1: it does not run */
    char reason[REASON_SIZE];
};

static void see_phase(struct sight *sight, const char *phase, int64_t for_ms, const char *node,
                      const char *reason)
{
    sight->any = true;
    if (strcmp(phase, manager_duty_phase_name(MANAGER_DUTY_RUNNING)) == 0) {
        sight->running_ms = for_ms > sight->running_ms ? for_ms : sight->running_ms;
    } else if (strcmp(phase, manager_duty_phase_name(MANAGER_DUTY_FAILED)) == 0) {
        sight->failed = true;
        (void)snprintf(sight->reason, sizeof sight->reason, "%.32s: %.100s", node, reason);
    }
}

static struct sight look_for(const struct pm2 *self, const struct settings_backup *duty,
                             int64_t now_ms)
{
    struct sight sight = {.running_ms = -1};
    for (size_t i = 0; i < PM2_SLOTS_MAX; i++) {
        const struct slot *slot = &self->slots[i];
        if (slot->used && !slot->revoking && strcmp(slot->duty, duty->duty) == 0) {
            see_phase(&sight, slot->told ? manager_duty_phase_name(slot->phase) : "starting",
                      now_ms - slot->phase_since_ms, self->configure.node, slot->detail);
        }
    }
    for (size_t i = 0; i < NODES_MAX; i++) {
        const struct peer *peer = &self->peers[i];
        const json_t *row = is_heard(peer, now_ms) && !is_own(self, peer)
                                ? observe_row(peer->document, "backups", duty->name)
                                : NULL;
        if (row != NULL && !doc_get_bool(row, "leaving", false)) {
            see_phase(&sight, doc_get_text(row, "state", ""),
                      doc_get_integer(row, "for_ms", 0) + now_ms - peer->made_ms, peer->node,
                      doc_get_text(row, "reason", ""));
        }
    }
    return sight;
}

/* Also on a node that has died a moment ago: nobody has told yet that it ended there. */
bool facts_runs_somewhere(const struct pm2 *self, const struct settings_backup *backup,
                          int64_t now_ms)
{
    for (size_t i = 0; i < PM2_SLOTS_MAX; i++) {
        if (self->slots[i].used && strcmp(self->slots[i].duty, backup->duty) == 0 &&
            !self->slots[i].revoking) {
            return true;
        }
    }
    for (size_t i = 0; i < NODES_MAX; i++) {
        const struct peer *peer = &self->peers[i];
        const json_t *row = observe_row(peer->document, "backups", backup->name);
        if (row != NULL && now_ms - peer->made_ms < PM2_STALE_MS &&
            !doc_get_bool(row, "leaving", false)) {
            return true;
        }
    }
    return false;
}

/* For how long a node that may run it could; -1: none can. */
static int64_t able_ms_of(const struct pm2 *self, const struct settings_backup *duty,
                          int64_t now_ms)
{
    int64_t longest_ms = -1;
    if (self->able_since_ms != 0 && settings_on(&duty->on, self->configure.node)) {
        longest_ms = now_ms - self->able_since_ms;
    }
    for (size_t i = 0; i < NODES_MAX; i++) {
        const struct peer *peer = &self->peers[i];
        if (peer->used && !is_own(self, peer) && peer->able_since_ms != 0 &&
            settings_on(&duty->on, peer->node) && now_ms - peer->able_since_ms > longest_ms) {
            longest_ms = now_ms - peer->able_since_ms;
        }
    }
    return longest_ms;
}

/* ---- a tier ---- */

static int64_t longer(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static void add_duty(const struct pm2 *self, const struct settings_backup *duty, int64_t now_ms,
                     struct tier_facts *ret)
{
    struct sight sight = look_for(self, duty, now_ms);
    ret->count++;
    ret->failed += sight.failed && sight.running_ms < 0 ? 1 : 0;
    ret->running_ms = longer(ret->running_ms, sight.running_ms);
    ret->able_ms = longer(ret->able_ms, able_ms_of(self, duty, now_ms));
    ret->settle_ms = longer(ret->settle_ms, duty->settle_ms);
    ret->start_within_ms = longer(ret->start_within_ms, duty->start_within_ms);
    ret->retry_after_ms = longer(ret->retry_after_ms, duty->retry_after_ms);
    if (sight.failed) {
        memcpy(ret->reason, sight.reason, sizeof ret->reason);
    } else if (ret->reason[0] == '\0' && !sight.any) {
        (void)snprintf(ret->reason, sizeof ret->reason, "no node has %.64s", duty->name);
    }
}

/* A host of it can be asked. */
static bool is_reachable(const struct pm2 *self, const struct settings_primary *primary,
                         int64_t now_ms)
{
    if (settings_on(&primary->on, self->configure.node)) {
        return true;
    }
    for (size_t i = 0; i < NODES_MAX; i++) {
        const struct peer *peer = &self->peers[i];
        if (is_heard(peer, now_ms) && settings_on(&primary->on, peer->node)) {
            return true;
        }
    }
    return false;
}

/* The first of its backups that does not wait for an unreachable host; -1: they all do. */
static int64_t start_after_ms(const struct pm2 *self, const struct settings_primary *primary)
{
    int64_t first_ms = -1;
    for (size_t i = 0; i < self->settings->backup_count; i++) {
        const struct settings_backup *backup = &self->settings->backups[i];
        if (backup->mode == SETTINGS_STANDBY && backup->start_after_ms >= 0 &&
            strcmp(backup->stands_in_for, primary->name) == 0 &&
            (first_ms < 0 || backup->start_after_ms < first_ms)) {
            first_ms = backup->start_after_ms;
        }
    }
    return first_ms;
}

/* The team's own process of that name, on a node that may have the primary. */
static bool runs_unguarded(const struct pm2 *self, const struct settings_primary *primary,
                           int64_t now_ms)
{
    for (size_t i = 0; i < self->watch_count; i++) {
        const struct watch *watch = &self->watches[i];
        if (strcmp(watch->name, primary->name) == 0 && !watch->ours &&
            settings_on(&primary->on, self->configure.node) &&
            (watch->state == DECIDE_UP || watch->state == DECIDE_BETWEEN)) {
            return true;
        }
    }
    for (size_t i = 0; i < NODES_MAX; i++) {
        const struct peer *peer = &self->peers[i];
        bool may_have_it =
            is_heard(peer, now_ms) && !is_own(self, peer) && settings_on(&primary->on, peer->node);
        const json_t *row =
            may_have_it ? observe_row(peer->document, "primaries", primary->name) : NULL;
        const char *state = doc_get_text(row, "state", "");
        if (row != NULL && !doc_get_bool(row, "ours", false) &&
            (strcmp(state, watch_state_name(DECIDE_UP)) == 0 ||
             strcmp(state, watch_state_name(DECIDE_BETWEEN)) == 0)) {
            return true;
        }
    }
    return false;
}

void facts_gather(const struct pm2 *self, size_t primary, int64_t now_ms,
                  struct tier_facts ret[TIER_COUNT])
{
    const struct settings_primary *settings = &self->settings->primaries[primary];
    for (int tier = 0; tier < TIER_COUNT; tier++) {
        ret[tier] = (struct tier_facts){.running_ms = -1, .able_ms = -1};
    }
    for (size_t i = 0; i < self->settings->backup_count; i++) {
        const struct settings_backup *backup = &self->settings->backups[i];
        if (backup->mode == SETTINGS_STANDBY && self->choices[i].gate &&
            backup->primary == primary) {
            add_duty(self, backup, now_ms, &ret[backup->enhanced ? TIER_ENHANCED : TIER_STANDARD]);
        }
    }
    if (!settings->guarded) {
        return;
    }
    struct tier_facts *own = &ret[TIER_PRIMARY];
    add_duty(self, &settings->own, now_ms, own);
    own->foreign = runs_unguarded(self, settings, now_ms);
    if (!is_reachable(self, settings, now_ms)) {
        own->start_within_ms = start_after_ms(self, settings);
        (void)snprintf(own->reason, sizeof own->reason, "its host cannot be asked");
    }
}
