/* What the acting leader takes for trouble: a small table of rules over what this node knows. */
#include "node/base/doc.h"
#include "node/daemon/alerts.h"
#include "node/daemon/gray.h"
#include "node/daemon/maintenance.h"
#include "node/daemon/node.h"
#include "node/daemon/observed.h"
#include "node/daemon/recoveries.h"
#include "node/daemon/schedule_private.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define DISK_WARNING_BELOW 50.0 /* of the health component: about 5 % free */
#define DISK_CRITICAL_BELOW 15.0
#define PARENT_WELL 100.0
#define RESTARTS_REPEATED 3
#define SCHEDULE_FAILURES 3
#define TOLD_MS 15000 /* a manager says its conditions again within this time */

enum rule {
    MEMBER_DEAD,
    MEMBER_NO_PARENT,
    QUORUM_THIN,
    CLOCK_UNTRUSTED,
    NODE_DISK,
    NODE_GRAY,
    DUTY_UNPLACED,
    MANAGER_FAILED_RULE,
    MANAGER_RESTARTING,
    RECOVERY_ESCALATED_RULE,
    SCHEDULE_FAILING,
    INTENT_PARKED_RULE,
    RULES,
};

static const struct alert_rule rules[RULES] = {
    [MEMBER_DEAD] = {"member.dead", ALERT_WARNING, 5000, 5000},
    [MEMBER_NO_PARENT] = {"member.no_parent", ALERT_WARNING, 10000, 10000},
    [QUORUM_THIN] = {"quorum.thin", ALERT_WARNING, 5000, 5000},
    [CLOCK_UNTRUSTED] = {"clock.untrusted", ALERT_CRITICAL, 5000, 5000},
    [NODE_DISK] = {"node.disk", ALERT_WARNING, 10000, 30000},
    [NODE_GRAY] = {"node.gray", ALERT_CRITICAL, 5000, 20000},
    [DUTY_UNPLACED] = {"duty.unplaced", ALERT_CRITICAL, 30000, 2000},
    [MANAGER_FAILED_RULE] = {"manager.failed", ALERT_CRITICAL, 3000, 20000},
    [MANAGER_RESTARTING] = {"manager.restarting", ALERT_WARNING, 0, 0},
    [RECOVERY_ESCALATED_RULE] = {"recovery.escalated", ALERT_CRITICAL, 0, 0},
    [SCHEDULE_FAILING] = {"schedule.failing", ALERT_CRITICAL, 0, 0},
    [INTENT_PARKED_RULE] = {"intent.parked", ALERT_WARNING, 0, 0},
};

/* Of a kind that a manager names ("primary.down"): KIND/MANAGER/OBJECT. */
static const struct alert_rule of_managers = {"", ALERT_WARNING, 10000, 10000};

static const struct alert_rule *rule_of_kind(const char *kind, size_t length)
{
    for (size_t i = 0; i < RULES; i++) {
        if (strncmp(rules[i].kind, kind, length) == 0 && rules[i].kind[length] == '\0') {
            return &rules[i];
        }
    }
    return NULL;
}

const struct alert_rule *alerts_rule_of(const char *key)
{
    const char *slash = strchr(key, '/');
    if (slash == NULL) {
        return NULL;
    }
    const struct alert_rule *rule = rule_of_kind(key, (size_t)(slash - key));
    return rule == NULL && strchr(slash + 1, '/') != NULL ? &of_managers : rule;
}

/* ---- seeing ---- */

/* A long object is cut and told apart by a hash. */
static void make_key(const char *kind, const char *object, char ret[DUTY_ID_SIZE])
{
    int length = snprintf(ret, DUTY_ID_SIZE, "%s/%s", kind, object);
    if (length < DUTY_ID_SIZE) {
        return;
    }
    uint32_t hash = 2166136261U;
    for (const char *at = object; *at != '\0'; at++) {
        hash = (hash ^ (uint8_t)*at) * 16777619U;
    }
    (void)snprintf(ret + DUTY_ID_SIZE - 10, 10, "~%08x", hash);
}

static struct alert_sight *add(struct alert_sights *self, const struct alert_rule *rule,
                               const char *kind, const char *object)
{
    if (self->count == ALERTS_SEEN_MAX) {
        self->left_out++;
        return NULL;
    }
    struct alert_sight *sight = &self->rows[self->count++];
    *sight = (struct alert_sight){.rule = rule, .severity = rule->severity};
    make_key(kind, object, sight->key);
    return sight;
}

struct alert_sight *alerts_see(struct alert_sights *self, const struct alert_rule *rule,
                               const char *object, const char *format, ...)
{
    struct alert_sight *sight = add(self, rule, rule->kind, object);
    if (sight != NULL) {
        va_list args;
        va_start(args, format);
        (void)vsnprintf(sight->text, sizeof sight->text, format, args);
        va_end(args);
    }
    return sight;
}

static void see_unknown(struct alert_sights *self, const struct alert_rule *rule,
                        const char *object)
{
    struct alert_sight *sight = add(self, rule, rule->kind, object);
    if (sight != NULL) {
        sight->unknown = true;
    }
}

/* ---- members and their health ---- */

static bool is_voter(const struct node *self, uint64_t id)
{
    for (size_t i = 0; i < self->view.server_count; i++) {
        if (self->view.servers[i].id == id) {
            return self->view.servers[i].role == CONSENSUS_VOTER;
        }
    }
    return false;
}

static bool component(const struct gossip_health *health, enum health_component_id id, double *ret)
{
    for (size_t i = 0; i < health->component_count; i++) {
        const struct gossip_component *row = &health->components[i];
        if (strcmp(row->name, health_component_name(id)) == 0 &&
            row->score_tenths != GOSSIP_UNKNOWN) {
            *ret = row->score_tenths / 10.0;
            return true;
        }
    }
    return false;
}

static void look_at_health(const struct gossip_health *health, const char *name,
                           struct alert_sights *ret)
{
    double value;
    if (component(health, HEALTH_PARENT, &value) && value < PARENT_WELL) {
        (void)alerts_see(ret, &rules[MEMBER_NO_PARENT], name,
                         "the watching parent of %s is gone: no obituary, no restart", name);
    }
    if (component(health, HEALTH_DISK, &value) && value < DISK_WARNING_BELOW) {
        struct alert_sight *sight = alerts_see(ret, &rules[NODE_DISK], name,
                                               "the disk of %s's data folder is nearly full", name);
        if (sight != NULL && value < DISK_CRITICAL_BELOW) {
            sight->severity = ALERT_CRITICAL;
        }
    }
    uint32_t gray = gray_of_told(health) & ~(uint32_t)GRAY_MANAGERS; /* those have a rule */
    if (gray != 0) {
        char kinds[64];
        gray_text(gray, kinds, sizeof kinds);
        (void)alerts_see(ret, &rules[NODE_GRAY], name, "%s lives, but its work does not go on: %s",
                         name, kinds);
    }
}

static void look_at_members(const struct node *self, struct alert_sights *ret)
{
    for (size_t i = 0; i < state_node_count(self->state); i++) {
        const struct state_node *row = state_node_at(self->state, i);
        const char *name = row->is.name;
        struct gossip_member member;
        struct gossip_health health;
        bool complete = false;
        if (row->removed) {
            continue;
        }
        bool known = gossip_member_find(self->gossip, name, &member);
        bool gone = known && (member.state == GOSSIP_DEAD || member.state == GOSSIP_LEFT);
        if (known && member.state == GOSSIP_DEAD) {
            bool voter = is_voter(self, row->is.raft_id);
            struct alert_sight *sight = alerts_see(ret, &rules[MEMBER_DEAD], name, "%s is dead%s",
                                                   name, voter ? ", a voter" : "");
            if (sight != NULL && voter) {
                sight->severity = ALERT_CRITICAL;
            }
        }
        if (known && !gone && gossip_member_health(self->gossip, name, &health, &complete)) {
            look_at_health(&health, name, ret);
        } else {
            see_unknown(ret, &rules[MEMBER_NO_PARENT], name);
            see_unknown(ret, &rules[NODE_DISK], name);
            see_unknown(ret, &rules[NODE_GRAY], name);
        }
    }
}

static void look_at_quorum(const struct node *self, struct alert_sights *ret)
{
    size_t voters = 0;
    size_t alive = 0;
    for (size_t i = 0; i < self->view.server_count; i++) {
        const struct consensus_server *server = &self->view.servers[i];
        struct gossip_member member;
        if (server->role != CONSENSUS_VOTER) {
            continue;
        }
        voters++;
        alive += server->id == self->id ||
                 (gossip_member_find(self->gossip, node_name_of(self, server->id), &member) &&
                  (member.state == GOSSIP_ALIVE || member.state == GOSSIP_SUSPECT));
    }
    if (voters >= 3 && alive <= voters / 2 + 1) {
        (void)alerts_see(ret, &rules[QUORUM_THIN], "cluster",
                         "%zu of %zu voters live: with one less nothing can be decided", alive,
                         voters);
    }
}

static void look_at_clock(const struct node *self, struct alert_sights *ret)
{
    enum wall_verdict verdict = self->schedules->wall;
    if (verdict == WALL_UNKNOWN) {
        see_unknown(ret, &rules[CLOCK_UNTRUSTED], node_name(self));
    } else if (verdict != WALL_TRUSTED && state_schedule_count(self->state) > 0) {
        (void)alerts_see(ret, &rules[CLOCK_UNTRUSTED], node_name(self),
                         "the wall clock of %.64s %s: no slot is decided while it leads",
                         node_name(self),
                         verdict == WALL_JUMPED ? "has jumped" : "is not that of the others");
    }
}

/* ---- duties ---- */

static void look_at_duties(const struct node *self, struct alert_sights *ret)
{
    for (size_t i = 0; i < state_duty_count(self->state); i++) {
        const struct state_duty *duty = state_duty_at(self->state, i);
        if (!duty->is.wanted || duty->is.once || state_duty_held(duty)) {
            continue; /* what becomes of runs is their schedules' business */
        }
        if (maintenance_gate(self, duty->manager) != GATE_OPEN) {
            see_unknown(ret, &rules[DUTY_UNPLACED], duty->is.id);
        } else {
            (void)alerts_see(ret, &rules[DUTY_UNPLACED], duty->is.id,
                             "%.100s is wanted, and no node has it", duty->is.id);
        }
    }
}

/* ---- managers ---- */

static void look_at_report(const struct node *self, const struct report *report,
                           struct alert_sights *ret)
{
    struct gossip_member member;
    bool told = gossip_member_find(self->gossip, report->node, &member) &&
                (member.state == GOSSIP_ALIVE || member.state == GOSSIP_SUSPECT);
    for (size_t i = 0; i < report->manager_count; i++) {
        const struct report_manager *manager = &report->managers[i];
        char object[2 * NAME_SIZE];
        (void)snprintf(object, sizeof object, "%s/%s", report->node, manager->name);
        if (!told) {
            see_unknown(ret, &rules[MANAGER_FAILED_RULE], object);
        } else if (strcmp(manager->state, supervise_state_name(SUPERVISE_FAILED)) == 0) {
            (void)alerts_see(ret, &rules[MANAGER_FAILED_RULE], object,
                             "manager %.48s on %.48s does not stay alive", manager->name,
                             report->node);
        }
    }
}

/* A kind that a manager may name: no rule of ours, and nothing that would break a key. */
static bool is_kind(const char *kind)
{
    size_t length = strlen(kind);
    return length > 0 && length < NAME_SIZE / 2 && rule_of_kind(kind, length) == NULL &&
           strspn(kind, "abcdefghijklmnopqrstuvwxyz0123456789._-") == length;
}

static void see_condition(const char *manager, const json_t *row, struct alert_sights *ret)
{
    const char *kind = doc_get_text(row, "kind", "");
    const char *object = doc_get_text(row, "object", "");
    const char *severity = doc_get_text(row, "severity", "");
    if (!is_kind(kind) || object[0] == '\0') {
        return;
    }
    char whole[DUTY_ID_SIZE + NAME_SIZE];
    (void)snprintf(whole, sizeof whole, "%.63s/%.100s", manager, object);
    struct alert_sight *sight = add(ret, &of_managers, kind, whole);
    if (sight == NULL) {
        return;
    }
    if (strcmp(severity, "critical") == 0) {
        sight->severity = ALERT_CRITICAL;
    } else if (strcmp(severity, "info") == 0) {
        sight->severity = ALERT_INFO;
    }
    (void)snprintf(sight->text, sizeof sight->text, "%.*s", REASON_SIZE - 1,
                   doc_get_text(row, "text", kind));
}

/* False: what this manager decides about is not known now. */
static bool look_at_conditions(const struct node *self, const struct supervise_row *row,
                               struct alert_sights *ret)
{
    int64_t age_ms = 0;
    json_t *document = observed_document(self, node_name(self), row->name, &age_ms);
    const json_t *conditions = json_object_get(document, "conditions");
    bool known = row->active && row->pid > 0 && json_is_array(conditions) && age_ms < TOLD_MS;
    size_t index;
    json_t *condition;
    json_array_foreach(conditions, index, condition)
    {
        if (known) {
            see_condition(row->name, condition, ret);
        }
    }
    json_decref(document);
    return known;
}

/* "primary.down/pm2/worker": is it about one of these managers? */
static bool is_about(const char *key, const struct supervise_row *rows, const bool *known,
                     size_t count)
{
    const char *manager = strchr(key, '/') + 1;
    size_t length = strcspn(manager, "/");
    for (size_t i = 0; i < count; i++) {
        if (known[i] && strlen(rows[i].name) == length &&
            strncmp(rows[i].name, manager, length) == 0) {
            return true;
        }
    }
    return false;
}

static void look_at_managers(const struct node *self, int64_t now_ms, struct alert_sights *ret)
{
    for (size_t i = 0; i < NODES_MAX; i++) {
        if (self->reports[i].node[0] != '\0') {
            look_at_report(self, &self->reports[i], ret);
        }
    }
    struct supervise_row rows[MANAGERS_MAX];
    bool known[MANAGERS_MAX] = {false};
    size_t count = supervise_list(self->supervise, now_ms, rows, MANAGERS_MAX);
    for (size_t i = 0; i < count; i++) {
        known[i] = look_at_conditions(self, &rows[i], ret);
    }
    for (size_t i = 0; i < state_alert_count(self->state); i++) {
        const struct state_alert *row = state_alert_at(self->state, i);
        if (row->state != ALERT_RESOLVED && alerts_rule_of(row->key) == &of_managers &&
            !is_about(row->key, rows, known, count)) {
            const char *slash = strchr(row->key, '/');
            char kind[DUTY_ID_SIZE];
            (void)snprintf(kind, sizeof kind, "%.*s", (int)(slash - row->key), row->key);
            struct alert_sight *sight = add(ret, &of_managers, kind, slash + 1);
            if (sight != NULL) {
                sight->unknown = true;
            }
        }
    }
}

/* ---- the record ---- */

static void look_at_escalated(const struct node *self, const struct state_recovery *row,
                              struct alert_sights *ret)
{
    struct alert_sight *sight = alerts_see(ret, &rules[RECOVERY_ESCALATED_RULE], row->component,
                                           "%.80s stays ill whatever is tried", row->component);
    bool critical = true;
    if (sight == NULL) {
        return;
    }
    const struct state_alert *told = state_alert_by_key(self->state, sight->key);
    if (recoveries_is_critical(self, row->component, &critical)) {
        sight->severity = critical ? ALERT_CRITICAL : ALERT_WARNING;
    } else if (told != NULL) {
        sight->severity = told->severity; /* its node cannot be asked now */
    }
}

static void look_at_recoveries(const struct node *self, struct alert_sights *ret)
{
    for (size_t i = 0; i < state_recovery_count(self->state); i++) {
        const struct state_recovery *row = state_recovery_at(self->state, i);
        bool manager = strncmp(row->component, "manager/", 8) == 0;
        if (manager && row->attempt >= RESTARTS_REPEATED) {
            (void)alerts_see(ret, &rules[MANAGER_RESTARTING], row->component + 8,
                             "%.80s is restarted again and again", row->component);
        } else if (!manager && row->phase == RECOVERY_ESCALATED) {
            look_at_escalated(self, row, ret);
        }
    }
}

static void look_at_schedules(const struct node *self, struct alert_sights *ret)
{
    for (size_t i = 0; i < state_schedule_count(self->state); i++) {
        const struct state_schedule *row = state_schedule_at(self->state, i);
        if (row->is.critical && row->failures >= SCHEDULE_FAILURES) {
            (void)alerts_see(ret, &rules[SCHEDULE_FAILING], row->id,
                             "%.80s has not gone well %u times in a row", row->id, row->failures);
        }
    }
}

static void look_at_intents(const struct node *self, struct alert_sights *ret)
{
    for (size_t i = 0; i < state_intent_count(self->state); i++) {
        const struct state_intent *row = state_intent_at(self->state, i);
        if (row->state == INTENT_PARKED) {
            (void)alerts_see(ret, &rules[INTENT_PARKED_RULE], row->key,
                             "a person must say what became of it: %.110s", row->outcome);
        }
    }
}

void alerts_look(struct node *self, int64_t now_ms, struct alert_sights *ret)
{
    ret->count = 0;
    ret->left_out = 0;
    look_at_members(self, ret);
    look_at_quorum(self, ret);
    look_at_clock(self, ret);
    look_at_duties(self, ret);
    look_at_managers(self, now_ms, ret);
    look_at_recoveries(self, ret);
    look_at_schedules(self, ret);
    look_at_intents(self, ret);
}
