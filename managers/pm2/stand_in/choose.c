/* Deciding, as the active manager of the acting leader: gathers what every node says of a primary,
 * asks the pure rule, and tells the node what is wanted. Forgets all of it with the role. */
#include "managers/pm2/pm2.h"
#include "managers/pm2/stand_in/decide.h"

#include "node/base/clock.h"
#include "node/base/doc.h"

#include <string.h>

#define AVOID_FAILED_MS 300000 /* a node where it failed is not asked again for so long */

void choose_begin(struct pm2 *self, int64_t now_ms)
{
    memset(self->choices, 0, sizeof self->choices);
    memset(self->own_choices, 0, sizeof self->own_choices);
    memset(self->tiers, 0, sizeof self->tiers);
    memset(self->tier_reasons, 0, sizeof self->tier_reasons);
    self->role_since_ms = now_ms;
}

void choose_adopt(struct pm2 *self)
{
    for (size_t i = 0; i < NODES_MAX; i++) {
        struct peer *peer = &self->peers[i];
        if (peer->used && !peer->adopted) {
            shadow_adopt(&self->shadow, json_object_get(peer->document, "shadow"), peer->made_ms);
            peer->adopted = true;
        }
    }
}

static bool is_own(const struct pm2 *self, const struct peer *peer)
{
    return strcmp(peer->node, self->configure.node) == 0;
}

/* ---- what is known of a primary ---- */

static void view_own(const struct pm2 *self, const char *primary, int64_t now_ms,
                     struct decide_view *ret)
{
    ret->reachable = true;
    ret->state = DECIDE_ELSEWHERE;
    for (size_t i = 0; i < self->watch_count; i++) {
        const struct watch *watch = &self->watches[i];
        if (strcmp(watch->name, primary) == 0) {
            ret->state = watch->state;
            ret->for_ms = now_ms - watch->since_ms;
            memcpy(ret->reason, watch->reason, sizeof ret->reason);
        }
    }
}

static void view_unknown(const struct pm2 *self, const struct peer *peer, int64_t now_ms,
                         struct decide_view *ret)
{
    ret->state = DECIDE_UNKNOWN;
    if (peer->document != NULL) {
        ret->for_ms = now_ms - peer->made_ms;
    } else if (peer->state == MANAGER_DEAD) {
        ret->for_ms = now_ms - peer->state_since_ms;
    } else {
        ret->for_ms = now_ms - self->role_since_ms; /* we have not had time to hear of it */
    }
}

/* False when this node cannot have the primary and need not be asked. */
static bool view_peer(const struct pm2 *self, const struct peer *peer, const char *primary,
                      bool named, int64_t now_ms, struct decide_view *ret)
{
    const json_t *row = observe_row(peer->document, "primaries", primary);
    ret->left = peer->state == MANAGER_LEFT;
    ret->reachable = peer->state == MANAGER_ALIVE || peer->state == MANAGER_SUSPECT;
    enum decide_primary_state told = DECIDE_UNKNOWN;
    if (row != NULL) {
        (void)watch_state_read(doc_get_text(row, "state", "unknown"), &told);
    }
    bool fresh = ret->reachable && peer->document != NULL && now_ms - peer->made_ms < PM2_STALE_MS;
    if (fresh && row != NULL && told != DECIDE_UNKNOWN) {
        ret->state = told;
        ret->for_ms = doc_get_integer(row, "for_ms", 0) + now_ms - peer->made_ms;
        (void)snprintf(ret->reason, sizeof ret->reason, "%.*s", NAME_SIZE - 1,
                       doc_get_text(row, "reason", "?"));
        return true;
    }
    /* A node that is gone counts only if it may have had the primary. */
    bool may_have_it = named || (row != NULL && told != DECIDE_ELSEWHERE) ||
                       (row == NULL && peer->document == NULL && ret->reachable);
    view_unknown(self, peer, now_ms, ret);
    return may_have_it;
}

size_t choose_views(const struct pm2 *self, const char *primary, int64_t now_ms,
                    struct decide_view *ret)
{
    const struct settings_primary *settings = settings_primary(self->settings, primary);
    size_t count = 0;
    bool own_seen = false;
    for (size_t i = 0; i < NODES_MAX; i++) {
        const struct peer *peer = &self->peers[i];
        if (!peer->used || (settings != NULL && !settings_on(&settings->on, peer->node))) {
            continue;
        }
        struct decide_view *view = &ret[count];
        *view = (struct decide_view){0};
        memcpy(view->node, peer->node, sizeof view->node);
        if (is_own(self, peer)) {
            own_seen = true;
            view_own(self, primary, now_ms, view);
            count++;
        } else if (view_peer(self, peer, primary, settings != NULL && settings->on.count > 0,
                             now_ms, view)) {
            count++;
        }
    }
    /* Before the first list of members. */
    if (!own_seen && count < NODES_MAX &&
        (settings == NULL || settings_on(&settings->on, self->configure.node))) {
        ret[count] = (struct decide_view){0};
        memcpy(ret[count].node, self->configure.node, sizeof ret[count].node);
        view_own(self, primary, now_ms, &ret[count]);
        count++;
    }
    return count;
}

/* ---- where it rather not runs ---- */

static bool must_avoid(const json_t *document, const char *backup, int64_t age_ms)
{
    if (!doc_get_bool(document, "can_run", true)) {
        return true;
    }
    const json_t *row = observe_row(document, "backups", backup);
    return row != NULL && strcmp(doc_get_text(row, "state", ""), "failed") == 0 &&
           doc_get_integer(row, "for_ms", 0) + age_ms < AVOID_FAILED_MS;
}

static void add_avoid(struct manager_duty_wanted *wanted, const char *node)
{
    for (size_t i = 0; i < wanted->avoid_count; i++) {
        if (strcmp(wanted->avoid[i], node) == 0) {
            return;
        }
    }
    if (wanted->avoid_count < MANAGER_PLACES_MAX) {
        memcpy(wanted->avoid[wanted->avoid_count++], node, NAME_SIZE);
    }
}

/* What felled the primary may be its host: rather elsewhere. One that may be anywhere is where it
 * was seen. */
void choose_avoid_primary(const struct pm2 *self, const char *name, int64_t now_ms,
                          struct manager_duty_wanted *wanted)
{
    const struct settings_primary *primary = settings_primary(self->settings, name);
    for (size_t i = 0; primary != NULL && i < primary->on.count; i++) {
        add_avoid(wanted, primary->on.nodes[i]);
    }
    struct decide_view views[NODES_MAX];
    bool anywhere = name[0] != '\0' && (primary == NULL || primary->on.count == 0);
    size_t count = anywhere ? choose_views(self, name, now_ms, views) : 0;
    for (size_t i = 0; i < count; i++) {
        if (views[i].state != DECIDE_ELSEWHERE && views[i].state != DECIDE_UNKNOWN) {
            add_avoid(wanted, views[i].node);
        }
    }
}

static void find_avoided(const struct pm2 *self, const struct settings_backup *backup,
                         int64_t now_ms, struct manager_duty_wanted *wanted)
{
    json_t *own = observe_document(self, now_ms);
    if (own != NULL && must_avoid(own, backup->name, 0)) {
        add_avoid(wanted, self->configure.node);
    }
    json_decref(own);
    for (size_t i = 0; i < NODES_MAX; i++) {
        const struct peer *peer = &self->peers[i];
        if (peer->used && !is_own(self, peer) && peer->document != NULL &&
            must_avoid(peer->document, backup->name, now_ms - peer->made_ms)) {
            add_avoid(wanted, peer->node);
        }
    }
    choose_avoid_primary(self, backup->stands_in_for, now_ms, wanted);
}

/* ---- the decision ---- */

/* The tiers of one primary exclude each other. */
static void set_group(const struct pm2 *self, const struct settings_backup *duty,
                      struct manager_duty_wanted *wanted)
{
    bool has = duty->mode == SETTINGS_STANDBY && duty->primary < self->settings->primary_count &&
               self->settings->primaries[duty->primary].tiered;
    if (has) {
        bool own = duty->stands_in_for[0] == '\0';
        (void)snprintf(wanted->alone, sizeof wanted->alone, "pm2/%s",
                       self->settings->primaries[duty->primary].name);
        wanted->side = own ? TIER_PRIMARY : duty->enhanced ? TIER_ENHANCED : TIER_STANDARD;
    }
}

static void send_wish(struct pm2 *self, const struct settings_backup *backup, struct choice *choice,
                      int64_t now_ms)
{
    struct manager_duty_wanted wanted = {.exclusive = true, .wanted = choice->wanted};
    memcpy(wanted.duty, backup->duty, sizeof wanted.duty);
    memcpy(wanted.reason, choice->reason, sizeof wanted.reason);
    wanted.on_count = backup->on.count;
    memcpy(wanted.on, backup->on.nodes, sizeof wanted.on);
    find_avoided(self, backup, now_ms, &wanted);
    wanted.priority = backup->priority;
    wanted.label_count = backup->label_count;
    memcpy(wanted.labels, backup->labels, sizeof wanted.labels);
    /* The copies of one backup, or the backups of one primary, rather not together. */
    const char *apart = backup->copy_of[0] != '\0' ? backup->copy_of : backup->stands_in_for;
    if (apart[0] != '\0') {
        (void)snprintf(wanted.group, sizeof wanted.group, "pm2/%s", apart);
    }
    set_group(self, backup, &wanted);
    if (runtime_duty_wanted(self->runtime, &wanted)) {
        choice->sent_ms = now_ms;
        choice->held = false;
    }
}

static void note_decision(struct pm2 *self, const struct settings_backup *backup,
                          struct choice *choice, bool is_news, int64_t now_ms)
{
    choice->since_ms = now_ms;
    choice->held = true; /* until it is sent */
    runtime_log(MANAGER_INFO, "%s %s%s: %s", backup->duty, choice->wanted ? "wanted" : "not wanted",
                self->configure.shadow ? " (shadow: nothing is done)" : "", choice->reason);
    if (self->configure.shadow && is_news) {
        shadow_decide(&self->shadow, backup->duty, choice->wanted, choice->reason,
                      backup->settle_ms, now_ms, clock_wall_ms());
        self->observe_now = true; /* nothing else tells the next leader of it */
    }
}

/* What the cluster was told, or would have been told: where a decision starts from. */
static bool stands_as_wanted(const struct pm2 *self, const struct settings_backup *backup,
                             const struct choice *choice, int64_t now_ms)
{
    bool would;
    if (choice->known) {
        return choice->wanted;
    }
    if (self->configure.shadow && shadow_last(&self->shadow, backup->duty, &would)) {
        return would;
    }
    return facts_runs_somewhere(self, backup, now_ms);
}

static void conclude(struct pm2 *self, const struct settings_backup *backup, struct choice *choice,
                     bool wanted, const char *reason, int64_t now_ms)
{
    bool before = stands_as_wanted(self, backup, choice, now_ms);
    bool changed = !choice->known || choice->wanted != wanted;
    choice->known = true;
    choice->wanted = wanted;
    memmove(choice->reason, reason, sizeof choice->reason);
    if (changed) {
        note_decision(self, backup, choice, wanted != before, now_ms);
    }
}

static void say(struct pm2 *self, const struct settings_backup *backup, struct choice *choice,
                int64_t now_ms)
{
    bool may = runtime_may_act(self->runtime) && !self->configure.shadow;
    if (may && choice->known && (choice->held || now_ms - choice->sent_ms >= PM2_WISH_MS)) {
        send_wish(self, backup, choice, now_ms);
    }
}

static bool is_up_somewhere(const struct decide_view *views, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (views[i].reachable && !views[i].left && views[i].state == DECIDE_UP) {
            return true;
        }
    }
    return false;
}

/* A new leader's manager learns from what runs, or ran on a node that has died just now. */
static bool some_stands_in(const struct pm2 *self, const struct settings_backup *backup,
                           const struct choice *choice, int64_t now_ms)
{
    if (choice->gate_known) {
        return choice->gate;
    }
    for (size_t i = 0; i < self->settings->backup_count; i++) {
        const struct settings_backup *other = &self->settings->backups[i];
        if (strcmp(other->stands_in_for, backup->stands_in_for) == 0 &&
            other->mode == backup->mode &&
            stands_as_wanted(self, other, &self->choices[i], now_ms)) {
            return true;
        }
    }
    return false;
}

/* Shall a backup of this one's primary stand in at all? */
static void choose_gate(struct pm2 *self, const struct settings_backup *backup,
                        struct choice *choice, int64_t now_ms)
{
    struct decide_view views[NODES_MAX + 1];
    struct decide_rules rules = {.mode = backup->mode,
                                 .settle_ms = backup->settle_ms,
                                 .start_after_ms = backup->start_after_ms};
    size_t count = backup->mode == SETTINGS_STANDBY
                       ? choose_views(self, backup->stands_in_for, now_ms, views)
                       : 0;
    bool now = some_stands_in(self, backup, choice, now_ms);
    shadow_see(&self->shadow, backup->duty, is_up_somewhere(views, count), now_ms);
    enum decide_wish wish = decide_backup(&rules, views, count, now, choice->gate_reason);
    if (wish == DECIDE_KEEP && !choice->gate_known && now && backup->start_after_ms >= 0) {
        wish = DECIDE_WANT; /* to keep it means to want it, also where its node has just died */
    }
    if (wish != DECIDE_KEEP) {
        choice->gate_known = true;
        choice->gate = wish == DECIDE_WANT;
    }
}

/* What runs tells in which tier the cluster is. TIER_COUNT: nothing of it runs. */
static int tier_that_runs(const struct pm2 *self, const struct settings_primary *primary,
                          int64_t now_ms)
{
    for (size_t i = 0; i < self->settings->backup_count; i++) {
        const struct settings_backup *backup = &self->settings->backups[i];
        if (backup->mode == SETTINGS_STANDBY && strcmp(backup->stands_in_for, primary->name) == 0 &&
            stands_as_wanted(self, backup, &self->choices[i], now_ms)) {
            return backup->enhanced ? TIER_ENHANCED : TIER_STANDARD;
        }
    }
    bool own = primary->guarded && facts_runs_somewhere(self, &primary->own, now_ms);
    return own ? TIER_PRIMARY : TIER_COUNT;
}

/* What the manager of the leader before remembered of failures. */
static void adopt_past(struct pm2 *self, size_t position, int64_t now_ms)
{
    const char *name = self->settings->primaries[position].name;
    const json_t *latest = NULL;
    int64_t age_ms = 0;
    int64_t term = -1;
    for (size_t i = 0; i < NODES_MAX; i++) {
        const json_t *document = self->peers[i].document;
        const json_t *rows = json_object_get(document, "tiers");
        size_t index;
        json_t *row;
        json_array_foreach(rows, index, row)
        {
            if (strcmp(doc_get_text(row, "primary", ""), name) == 0 &&
                doc_get_integer(document, "term", 0) > term) {
                term = doc_get_integer(document, "term", 0);
                latest = row;
                age_ms = now_ms - self->peers[i].made_ms;
            }
        }
    }
    if (latest != NULL) {
        (void)tiers_adopt(&self->tiers[position], latest, age_ms, now_ms);
    }
}

/* Whose turn it is. Until this node knows enough nothing is said, and all goes on as it is. */
static void choose_tier(struct pm2 *self, size_t position, int64_t now_ms)
{
    const struct settings_primary *primary = &self->settings->primaries[position];
    struct tiers *tiers = &self->tiers[position];
    struct tier_facts facts[TIER_COUNT];
    facts_gather(self, position, now_ms, facts);
    if (!primary->guarded && facts[TIER_STANDARD].count + facts[TIER_ENHANCED].count == 0) {
        tiers_rest(tiers);
        return;
    }
    char reason[REASON_SIZE];
    if (!tiers->known) {
        if (!facts_complete(self, now_ms)) {
            return;
        }
        adopt_past(self, position, now_ms);
        int runs = tier_that_runs(self, primary, now_ms);
        if (runs != TIER_COUNT) {
            tiers_begin(tiers, (enum tier)runs, facts, now_ms);
        }
    }
    if (!runtime_may_act(self->runtime) || self->configure.shadow) {
        tiers->ran_ms = now_ms; /* what is not started has not failed */
    }
    if (tiers_step(tiers, facts, now_ms, reason) || self->tier_reasons[position][0] == '\0') {
        memcpy(self->tier_reasons[position], reason, sizeof reason);
        runtime_log(MANAGER_INFO, "%s: %s", primary->name, reason);
    }
}

/* Where there is one tier the rule alone decides. */
static void conclude_backup(struct pm2 *self, const struct settings_backup *backup,
                            struct choice *choice, int64_t now_ms)
{
    size_t position = backup->primary;
    bool has_tiers = backup->mode == SETTINGS_STANDBY && position != SETTINGS_NO_PRIMARY &&
                     self->settings->primaries[position].tiered;
    const struct tiers *tiers = &self->tiers[has_tiers ? position : 0];
    if (!choice->gate_known || (has_tiers && choice->gate && !tiers->known)) {
        memcpy(choice->reason, choice->gate_reason, sizeof choice->reason);
        return;
    }
    bool turn = !has_tiers || tiers->now == (backup->enhanced ? TIER_ENHANCED : TIER_STANDARD);
    bool by_tier = choice->gate && has_tiers &&
                   (!turn || backup->enhanced || self->settings->primaries[position].guarded);
    conclude(self, backup, choice, choice->gate && turn,
             by_tier ? self->tier_reasons[position] : choice->gate_reason, now_ms);
}

/* Of a guarded primary there is no question whether, only who. */
static void open_gate(struct choice *choice)
{
    choice->gate_known = true;
    choice->gate = true;
    (void)snprintf(choice->gate_reason, sizeof choice->gate_reason, "its primary is guarded");
}

static void choose_gates(struct pm2 *self, int64_t now_ms)
{
    for (size_t i = 0; i < self->settings->backup_count; i++) {
        const struct settings_backup *backup = &self->settings->backups[i];
        bool guarded = backup->primary != SETTINGS_NO_PRIMARY &&
                       self->settings->primaries[backup->primary].guarded;
        if (backup->mode == SETTINGS_STANDBY && guarded) {
            open_gate(&self->choices[i]);
        } else {
            choose_gate(self, backup, &self->choices[i], now_ms);
        }
    }
}

/* A primary that is guarded no more: its duty ends, and the team's own may start. */
static void let_go(struct pm2 *self, size_t position, int64_t now_ms)
{
    const struct settings_primary *primary = &self->settings->primaries[position];
    struct choice *choice = &self->own_choices[position];
    struct settings_backup own = {.primary = position};
    if (now_ms - choice->sent_ms < PM2_WISH_MS) {
        return;
    }
    memcpy(own.name, primary->name, sizeof own.name);
    (void)snprintf(own.duty, sizeof own.duty, "pm2/%s", primary->name);
    choice->sent_ms = now_ms;
    if (facts_runs_somewhere(self, &own, now_ms)) {
        (void)snprintf(choice->reason, sizeof choice->reason, "its primary is guarded no more");
        choice->wanted = false;
        send_wish(self, &own, choice, now_ms);
    }
}

void choose_step(struct pm2 *self, int64_t now_ms)
{
    if (!runtime_active(self->runtime)) {
        return; /* paused or in shadow it decides all the same, and holds back what follows */
    }
    choose_gates(self, now_ms);
    for (size_t i = 0; i < self->settings->primary_count; i++) {
        if (self->settings->primaries[i].tiered) {
            choose_tier(self, i, now_ms);
        }
    }
    for (size_t i = 0; i < self->settings->backup_count; i++) {
        conclude_backup(self, &self->settings->backups[i], &self->choices[i], now_ms);
        say(self, &self->settings->backups[i], &self->choices[i], now_ms);
    }
    for (size_t i = 0; i < self->settings->primary_count; i++) {
        const struct settings_primary *primary = &self->settings->primaries[i];
        if (primary->guarded && self->tiers[i].known) {
            conclude(self, &primary->own, &self->own_choices[i], self->tiers[i].now == TIER_PRIMARY,
                     self->tier_reasons[i], now_ms);
            say(self, &primary->own, &self->own_choices[i], now_ms);
        } else if (!primary->guarded && runtime_may_act(self->runtime)) {
            let_go(self, i, now_ms);
        }
    }
}
