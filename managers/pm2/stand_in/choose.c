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
    self->role_since_ms = now_ms;
}

void choose_adopt(struct pm2 *self, int64_t now_ms)
{
    for (size_t i = 0; i < NODES_MAX; i++) {
        const json_t *told = json_object_get(self->peers[i].document, "shadow");
        if (self->peers[i].used && told != NULL) {
            (void)shadow_adopt(&self->shadow, told, now_ms);
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

/* A new leader's manager learns from what runs, or ran on a node that has died just now. */
static bool runs_somewhere(const struct pm2 *self, const struct settings_backup *backup,
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
    if (backup->stands_in_for[0] != '\0') { /* the backups of one primary rather not together */
        (void)snprintf(wanted.group, sizeof wanted.group, "pm2/%s", backup->stands_in_for);
    }
    if (runtime_duty_wanted(self->runtime, &wanted)) {
        choice->sent_ms = now_ms;
        choice->held = false;
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
    return runs_somewhere(self, backup, now_ms);
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

static void choose_one(struct pm2 *self, const struct settings_backup *backup,
                       struct choice *choice, int64_t now_ms)
{
    struct decide_view views[NODES_MAX + 1];
    struct decide_rules rules = {.mode = backup->mode,
                                 .settle_ms = backup->settle_ms,
                                 .start_after_ms = backup->start_after_ms};
    size_t count = backup->mode == SETTINGS_STANDBY
                       ? choose_views(self, backup->stands_in_for, now_ms, views)
                       : 0;
    bool wanted_now = stands_as_wanted(self, backup, choice, now_ms);
    bool may = runtime_may_act(self->runtime) && !self->configure.shadow;
    shadow_see(&self->shadow, backup->duty, is_up_somewhere(views, count), now_ms);
    enum decide_wish wish = decide_backup(&rules, views, count, wanted_now, choice->reason);
    if (wish == DECIDE_KEEP && !choice->known && wanted_now && backup->start_after_ms >= 0) {
        wish = DECIDE_WANT; /* to keep it means to want it, also where its node has just died */
    }
    if (wish != DECIDE_KEEP) {
        bool wanted = wish == DECIDE_WANT;
        bool changed = !choice->known || choice->wanted != wanted;
        choice->known = true;
        choice->wanted = wanted;
        if (changed) {
            note_decision(self, backup, choice, wanted != wanted_now, now_ms);
        }
    }
    if (may && choice->known && (choice->held || now_ms - choice->sent_ms >= PM2_WISH_MS)) {
        send_wish(self, backup, choice, now_ms);
    }
}

void choose_step(struct pm2 *self, int64_t now_ms)
{
    if (!runtime_active(self->runtime)) {
        return; /* paused or in shadow it decides all the same, and holds back what follows */
    }
    for (size_t i = 0; i < self->settings->backup_count; i++) {
        const struct settings_backup *backup = &self->settings->backups[i];
        /* The enhanced tier is not in this version: beside the standard one it would run twice. */
        if (!backup->enhanced) {
            choose_one(self, backup, &self->choices[i], now_ms);
        }
    }
}

/* ---- what is told of it ---- */

json_t *choose_held(const struct pm2 *self, int64_t now_ms)
{
    json_t *ret = json_array();
    for (size_t i = 0; runtime_active(self->runtime) && i < self->settings->backup_count; i++) {
        const struct settings_backup *backup = &self->settings->backups[i];
        const struct choice *choice = &self->choices[i];
        if (choice->known && choice->held &&
            choice->wanted != runs_somewhere(self, backup, now_ms)) {
            (void)json_array_append_new(
                ret, json_pack("{so sb so sI}", "duty", doc_text(backup->duty), "wanted",
                               choice->wanted, "reason", doc_text(choice->reason), "for_ms",
                               (json_int_t)(now_ms - choice->since_ms)));
        }
    }
    return ret;
}

static bool backup_runs(const struct pm2 *self, const struct settings_backup *backup,
                        int64_t now_ms)
{
    for (size_t i = 0; i < PM2_SLOTS_MAX; i++) {
        const struct slot *slot = &self->slots[i];
        if (slot->used && strcmp(slot->duty, backup->duty) == 0 && slot->told &&
            slot->phase == MANAGER_DUTY_RUNNING) {
            return true;
        }
    }
    for (size_t i = 0; i < NODES_MAX; i++) {
        const struct peer *peer = &self->peers[i];
        const json_t *row = observe_row(peer->document, "backups", backup->name);
        if (row != NULL && now_ms - peer->made_ms < PM2_STALE_MS &&
            strcmp(doc_get_text(row, "state", ""), "running") == 0) {
            return true;
        }
    }
    return false;
}

static bool any_backup_runs(const struct pm2 *self, const char *primary, int64_t now_ms)
{
    for (size_t i = 0; i < self->settings->backup_count; i++) {
        const struct settings_backup *backup = &self->settings->backups[i];
        if (strcmp(backup->stands_in_for, primary) == 0 && backup_runs(self, backup, now_ms)) {
            return true;
        }
    }
    return false;
}

/* Down as its own node says, or nobody can be asked; NULL when it runs or is between states. */
static const struct decide_view *find_trouble(const struct decide_view *views, size_t count)
{
    const struct decide_view *found = NULL;
    for (size_t i = 0; i < count; i++) {
        const struct decide_view *view = &views[i];
        bool told = view->reachable && !view->left;
        if (told && (view->state == DECIDE_UP || view->state == DECIDE_BETWEEN)) {
            return NULL;
        }
        bool down = told && view->state == DECIDE_DOWN;
        bool unknown = !view->left && (!view->reachable || view->state == DECIDE_UNKNOWN) &&
                       view->for_ms >= PM2_STALE_MS;
        if (down || (found == NULL && unknown)) {
            found = view;
        }
    }
    return found;
}

/* What a node's manager found beside its primaries (findings.h), as conditions of that node. */
static void add_findings(const json_t *findings, const char *node, json_t *conditions)
{
    size_t index;
    json_t *finding;
    json_array_foreach(findings, index, finding)
    {
        char object[2 * NAME_SIZE];
        char text[REASON_SIZE];
        const char *what = doc_get_text(finding, "object", "");
        (void)snprintf(object, sizeof object, "%.60s%s%.60s", node, what[0] != '\0' ? "/" : "",
                       what);
        (void)snprintf(text, sizeof text, "%.32s: %.*s", node, REASON_SIZE - 36,
                       doc_get_text(finding, "text", ""));
        (void)json_array_append_new(
            conditions,
            json_pack("{so so so so}", "kind", doc_text(doc_get_text(finding, "kind", "pm2")),
                      "object", doc_text(object), "severity",
                      doc_text(doc_get_text(finding, "severity", "warning")), "text",
                      doc_text(text)));
    }
}

static void add_all_findings(const struct pm2 *self, int64_t now_ms, json_t *conditions)
{
    json_t *own = findings_document(&self->findings, now_ms);
    add_findings(own, self->configure.node, conditions);
    json_decref(own);
    for (size_t i = 0; i < NODES_MAX; i++) {
        const struct peer *peer = &self->peers[i];
        if (peer->used && !is_own(self, peer) && now_ms - peer->made_ms < PM2_STALE_MS) {
            add_findings(json_object_get(peer->document, "findings"), peer->node, conditions);
        }
    }
}

json_t *choose_conditions(const struct pm2 *self, int64_t now_ms)
{
    json_t *ret = json_array();
    if (runtime_active(self->runtime)) {
        add_all_findings(self, now_ms, ret);
    }
    for (size_t i = 0; runtime_active(self->runtime) && i < self->settings->primary_count; i++) {
        const struct settings_primary *primary = &self->settings->primaries[i];
        struct decide_view views[NODES_MAX + 1];
        size_t count = choose_views(self, primary->name, now_ms, views);
        const struct decide_view *view = find_trouble(views, count);
        if (view == NULL || any_backup_runs(self, primary->name, now_ms)) {
            continue;
        }
        char text[REASON_SIZE];
        bool down = view->reachable && view->state == DECIDE_DOWN;
        (void)snprintf(text, sizeof text, "%.40s %s %.32s, and no backup of it runs%s%.24s",
                       primary->name, down ? "is down on" : "cannot be asked about on", view->node,
                       down ? ": " : "", down ? view->reason : "");
        (void)json_array_append_new(ret, json_pack("{ss so ss so}", "kind", "primary.down",
                                                   "object", doc_text(primary->name), "severity",
                                                   primary->critical ? "critical" : "warning",
                                                   "text", doc_text(text)));
    }
    return ret;
}
