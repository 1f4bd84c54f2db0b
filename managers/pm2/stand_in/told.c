/* What the leader's manager tells of its decisions: to people, to the node's alerts, and to the
 * manager of the next leader. */
#include "managers/pm2/pm2.h"
#include "managers/pm2/stand_in/decide.h"

#include "node/base/doc.h"

#include <string.h>

static void add_held(const struct pm2 *self, const struct settings_backup *duty,
                     const struct choice *choice, int64_t now_ms, json_t *ret)
{
    if (choice->known && choice->held &&
        choice->wanted != facts_runs_somewhere(self, duty, now_ms)) {
        (void)json_array_append_new(ret, json_pack("{so sb so sI}", "duty", doc_text(duty->duty),
                                                   "wanted", choice->wanted, "reason",
                                                   doc_text(choice->reason), "for_ms",
                                                   (json_int_t)(now_ms - choice->since_ms)));
    }
}

json_t *choose_held(const struct pm2 *self, int64_t now_ms)
{
    json_t *ret = json_array();
    if (!runtime_active(self->runtime)) {
        return ret;
    }
    for (size_t i = 0; i < self->settings->backup_count; i++) {
        add_held(self, &self->settings->backups[i], &self->choices[i], now_ms, ret);
    }
    for (size_t i = 0; i < self->settings->primary_count; i++) {
        if (self->settings->primaries[i].guarded) {
            add_held(self, &self->settings->primaries[i].own, &self->own_choices[i], now_ms, ret);
        }
    }
    return ret;
}

json_t *choose_tiers(const struct pm2 *self, int64_t now_ms)
{
    json_t *ret = json_array();
    for (size_t i = 0; i < self->settings->primary_count; i++) {
        bool worth_telling = self->tiers[i].known;
        for (int tier = 0; tier < TIER_COUNT; tier++) {
            worth_telling = worth_telling || self->tiers[i].past[tier].failures > 0;
        }
        if (worth_telling) {
            (void)json_array_append_new(
                ret, tiers_document(&self->tiers[i], self->settings->primaries[i].name, now_ms));
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
        bool is_own = strcmp(peer->node, self->configure.node) == 0;
        if (peer->used && !is_own && now_ms - peer->made_ms < PM2_STALE_MS) {
            add_findings(json_object_get(peer->document, "findings"), peer->node, conditions);
        }
    }
}

/* A better tier was given up; or all were. */
static void add_tier(const struct pm2 *self, size_t position, json_t *conditions)
{
    const struct settings_primary *primary = &self->settings->primaries[position];
    const struct tiers *tiers = &self->tiers[position];
    char text[REASON_SIZE] = "";
    for (int tier = 0; tiers->known && tier < (int)tiers->now; tier++) {
        if (tiers->past[tier].failures > 0) {
            (void)snprintf(text, sizeof text,
                           "%.40s: its %s tier was given up, and is tried again; the %s one does "
                           "the work",
                           primary->name, tier_name((enum tier)tier), tier_name(tiers->now));
            break;
        }
    }
    if (tiers->known && tiers->given_up) {
        (void)snprintf(text, sizeof text, "%.40s: nothing that could do its work runs: %.70s",
                       primary->name, self->tier_reasons[position]);
    }
    if (text[0] != '\0') {
        bool critical = primary->critical && tiers->given_up;
        (void)json_array_append_new(
            conditions,
            json_pack("{ss so ss so}", "kind", "pm2.tier", "object", doc_text(primary->name),
                      "severity", critical ? "critical" : "warning", "text", doc_text(text)));
    }
}

static void add_primary(const struct pm2 *self, const struct settings_primary *primary,
                        int64_t now_ms, json_t *conditions)
{
    struct decide_view views[NODES_MAX + 1];
    size_t count = choose_views(self, primary->name, now_ms, views);
    const struct decide_view *view = find_trouble(views, count);
    if (view == NULL || any_backup_runs(self, primary->name, now_ms)) {
        return;
    }
    char text[REASON_SIZE];
    bool down = view->reachable && view->state == DECIDE_DOWN;
    (void)snprintf(text, sizeof text, "%.40s %s %.32s, and no backup of it runs%s%.24s",
                   primary->name, down ? "is down on" : "cannot be asked about on", view->node,
                   down ? ": " : "", down ? view->reason : "");
    (void)json_array_append_new(conditions, json_pack("{ss so ss so}", "kind", "primary.down",
                                                      "object", doc_text(primary->name), "severity",
                                                      primary->critical ? "critical" : "warning",
                                                      "text", doc_text(text)));
}

json_t *choose_conditions(const struct pm2 *self, int64_t now_ms)
{
    json_t *ret = json_array();
    if (!runtime_active(self->runtime)) {
        return ret;
    }
    add_all_findings(self, now_ms, ret);
    for (size_t i = 0; i < self->settings->primary_count; i++) {
        add_primary(self, &self->settings->primaries[i], now_ms, ret);
        add_tier(self, i, ret);
    }
    return ret;
}
