/* The documents that people and programs read: built from what the loop knows at this moment. */
#include "node/base/clock.h"
#include "node/base/doc.h"
#include "node/daemon/alerts.h"
#include "node/daemon/maintenance.h"
#include "node/daemon/node.h"
#include "node/daemon/observed.h"
#include "node/daemon/recoveries.h"

#include <string.h>

static void put(json_t *object, const char *key, json_t *value_take)
{
    (void)json_object_set_new(object, key, value_take);
}

static json_t *id_name(const struct node *self, uint64_t id)
{
    return id == 0 ? json_null() : doc_text(node_name_of(self, id));
}

static json_t *score_or_null(bool known, double score)
{
    return known ? doc_rounded(score, 1) : json_null();
}

static json_t *tenths_or_null(int tenths)
{
    return score_or_null(tenths != GOSSIP_UNKNOWN, tenths / 10.0);
}

/* ---- members ---- */

static const char *role_of(const struct node *self, const char *name)
{
    const struct state_node *row = state_node_by_name(self->state, name);
    if (row != NULL && row->is.wanted == NODE_ROLE_WITNESS) {
        return "witness";
    }
    uint64_t id = node_id_of(self, name);
    for (size_t i = 0; id != 0 && i < self->view.server_count; i++) {
        if (self->view.servers[i].id != id) {
            continue;
        }
        switch (self->view.servers[i].role) {
        case CONSENSUS_VOTER:
            return "voter";
        case CONSENSUS_STANDBY:
            return "standby";
        case CONSENSUS_SPARE:
            return "spare";
        }
    }
    return "spare";
}

static json_t *describe_member(const struct node *self, const char *name, const char *address)
{
    json_t *ret = json_object();
    struct gossip_member member;
    struct gossip_health health;
    bool complete;
    bool known = gossip_member_find(self->gossip, name, &member);
    bool has_health = known && gossip_member_health(self->gossip, name, &health, &complete);
    const struct state_node *row = state_node_by_name(self->state, name);
    put(ret, "name", doc_text(name));
    put(ret, "address", doc_text(known && member.address[0] != '\0' ? member.address : address));
    put(ret, "state", doc_text(known ? gossip_state_name(member.state) : "dead"));
    put(ret, "role", doc_text(role_of(self, name)));
    put(ret, "health", has_health ? tenths_or_null(health.score_tenths) : json_null());
    put(ret, "version", has_health ? doc_text(health.version) : json_null());
    put(ret, "draining",
        json_boolean((row != NULL && row->draining) ||
                     (known && (member.flags & GOSSIP_FLAG_DRAINING) != 0)));
    put(ret, "since_ms",
        known ? json_integer(clock_boot_ms() - member.state_since_ms) : json_null());
    return ret;
}

json_t *document_members(struct node *self)
{
    json_t *ret = json_array();
    for (size_t i = 0; i < state_node_count(self->state); i++) {
        const struct state_node *row = state_node_at(self->state, i);
        if (!row->removed) {
            (void)json_array_append_new(ret, describe_member(self, row->is.name, row->is.address));
        }
    }
    /* Founders that the roster does not name yet, in the first instants of a cluster. */
    const struct config_cluster *cluster = &self->config->cluster;
    for (size_t i = 0; i < cluster->peer_count; i++) {
        const struct config_peer *peer = &cluster->peers[i];
        if (state_node_by_name(self->state, peer->name) == NULL) {
            (void)json_array_append_new(ret, describe_member(self, peer->name, peer->address));
        }
    }
    return ret;
}

/* ---- managers ---- */

static json_t *describe_manager(const struct node *self, const struct report *report,
                                const struct report_manager *manager)
{
    json_t *ret = json_object();
    put(ret, "name", doc_text(manager->name));
    put(ret, "node", doc_text(report->node));
    put(ret, "role", doc_text(manager->active ? "active" : "standby"));
    put(ret, "mode", doc_text(manager->shadow ? "shadow" : "armed"));
    put(ret, "state", doc_text(manager->state));
    put(ret, "restarts", json_integer((json_int_t)manager->restarts));
    put(ret, "recovery_attempts",
        json_integer((json_int_t)recoveries_attempts(self, report->node, manager->name)));
    put(ret, "health", score_or_null(manager->score_known, manager->score));
    put(ret, "age_ms", json_integer(clock_boot_ms() - report->taken_ms));
    return ret;
}

json_t *document_managers(struct node *self)
{
    json_t *ret = json_array();
    for (size_t i = 0; i < NODES_MAX; i++) {
        const struct report *report = &self->reports[i];
        for (size_t k = 0; report->node[0] != '\0' && k < report->manager_count; k++) {
            (void)json_array_append_new(ret, describe_manager(self, report, &report->managers[k]));
        }
    }
    return ret;
}

static json_t *list_capabilities(const struct report_manager *manager)
{
    json_t *ret = json_array();
    for (size_t i = 0; i < manager->capability_count; i++) {
        (void)json_array_append_new(ret, doc_text(manager->capabilities[i]));
    }
    return ret;
}

/* What the manager itself told beside its process: decisions held back, its score in shadow. */
static void put_told(const struct node *self, const char *node, const char *manager, json_t *ret)
{
    static const char *const keys[] = {"shadow", "held", "conditions"};
    int64_t age_ms = -1;
    json_t *document = observed_document(self, node, manager, &age_ms);
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        json_t *told = json_object_get(document, keys[i]);
        put(ret, keys[i], told == NULL ? json_null() : json_incref(told));
    }
    put(ret, "observed_age_ms", doc_count_or_null(age_ms));
    json_decref(document);
}

json_t *document_manager(struct node *self, const char *name)
{
    json_t *ret = json_array();
    for (size_t i = 0; i < NODES_MAX; i++) {
        const struct report *report = &self->reports[i];
        for (size_t k = 0; report->node[0] != '\0' && k < report->manager_count; k++) {
            const struct report_manager *manager = &report->managers[k];
            if (strcmp(manager->name, name) != 0) {
                continue;
            }
            json_t *row = describe_manager(self, report, manager);
            put(row, "version", doc_text(manager->version));
            put(row, "capabilities", list_capabilities(manager));
            put_told(self, report->node, name, row);
            (void)json_array_append_new(ret, row);
        }
    }
    return ret;
}

/* ---- duties ---- */

const char *document_duty_state(const struct node *self, const struct state_duty *duty)
{
    if (!state_duty_held(duty)) {
        return duty->is.wanted ? "waiting" : "idle";
    }
    const struct report *report = reports_of(self, duty->assignment.node);
    for (size_t i = 0; report != NULL && i < report->duty_count; i++) {
        if (report->duties[i].assignment == duty->assignment.number) {
            return report->duties[i].phase;
        }
    }
    return "assigned";
}

/* What is left of the grant: exact on its holder, as last sent on the leader, unknown elsewhere. */
static json_t *grant_left(const struct node *self, const struct state_duty *duty)
{
    int64_t now_ms = clock_boot_ms();
    if (!state_duty_held(duty)) {
        return json_null();
    }
    int64_t until_ms = 0;
    const struct grants_held *held = grants_holder_by_duty(self->holding, duty->is.id);
    if (held != NULL && held->assignment == duty->assignment.number) {
        until_ms = held->deadline_ms;
    } else if (node_may_act(self)) {
        until_ms = grants_leader_sent_until_ms(self->granting, duty->is.id);
    }
    return until_ms > now_ms ? json_integer(until_ms - now_ms) : json_null();
}

static json_t *describe_duty(const struct node *self, const struct state_duty *duty)
{
    json_t *ret = json_object();
    bool held = state_duty_held(duty);
    put(ret, "id", doc_text(duty->is.id));
    put(ret, "node", held ? doc_text(duty->assignment.node) : json_null());
    put(ret, "exclusive", json_boolean(duty->is.exclusive));
    put(ret, "wanted", json_boolean(duty->is.wanted));
    put(ret, "state", doc_text(document_duty_state(self, duty)));
    put(ret, "term", held ? json_integer((json_int_t)duty->assignment.term) : json_null());
    put(ret, "assignment", held ? json_integer((json_int_t)duty->assignment.number) : json_null());
    put(ret, "grant_ms", grant_left(self, duty));
    return ret;
}

json_t *document_duties(struct node *self)
{
    json_t *ret = json_array();
    for (size_t i = 0; i < state_duty_count(self->state); i++) {
        (void)json_array_append_new(ret, describe_duty(self, state_duty_at(self->state, i)));
    }
    return ret;
}

/* ---- leader ---- */

static json_t *leader_acting(const struct node *self)
{
    if (self->view.state == CONSENSUS_LEADER) {
        return json_boolean(node_may_act(self));
    }
    int64_t told_ms = consensus_thread_leader_told_ms(self->consensus);
    bool fresh = told_ms != 0 && clock_boot_ms() - told_ms <= self->config->cluster.lease_ms;
    return fresh ? json_boolean(self->view.leader_acting) : json_null();
}

static json_t *own_lease(const struct node *self)
{
    int64_t left_ms = consensus_thread_may_act_until_ms(self->consensus) - clock_boot_ms();
    return node_may_act(self) && left_ms > 0 ? json_integer(left_ms) : json_null();
}

json_t *document_leader(struct node *self)
{
    json_t *ret = json_object();
    const struct state_leader *last = state_history_at(self->state, 0);
    put(ret, "leader", id_name(self, node_leader(self)));
    put(ret, "term", json_integer((json_int_t)self->view.term));
    put(ret, "quorum", json_boolean(node_has_quorum(self)));
    put(ret, "acting", json_boolean(node_may_act(self)));
    put(ret, "leader_acting", leader_acting(self));
    put(ret, "lease_ms", own_lease(self));
    put(ret, "handing_over", json_boolean(self->view.handing_over));
    put(ret, "cause", last == NULL ? json_null() : doc_text(consensus_cause_name(last->is.cause)));
    put(ret, "since", last == NULL ? json_null() : doc_time(last->wall_ms));
    return ret;
}

json_t *document_history(struct node *self)
{
    json_t *ret = json_array();
    for (size_t i = 0; i < state_history_count(self->state); i++) {
        const struct state_leader *row = state_history_at(self->state, i);
        json_t *entry = json_object();
        put(entry, "term", json_integer((json_int_t)row->is.term));
        put(entry, "node", doc_text(row->is.node));
        put(entry, "previous", doc_text(row->is.previous));
        put(entry, "time", doc_time(row->wall_ms));
        put(entry, "cause", doc_text(consensus_cause_name(row->is.cause)));
        put(entry, "proof", doc_text(command_leader_proof_name(row->is.proof)));
        put(entry, "detected_ms", json_integer(row->is.detected_ms));
        put(entry, "elected_ms", json_integer(row->is.elected_ms));
        put(entry, "acting_ms", json_integer(row->is.acting_ms));
        (void)json_array_append_new(ret, entry);
    }
    return ret;
}

/* ---- health ---- */

static json_t *describe_own_components(const struct node *self)
{
    json_t *ret = json_array();
    int64_t age_ms = clock_boot_ms() - self->sample.taken_ms;
    for (int i = 0; i < HEALTH_COMPONENTS; i++) {
        const struct health_component *component = &self->health.components[i];
        enum health_component_id id = (enum health_component_id)i;
        json_t *row = json_object();
        put(row, "name", doc_text(health_component_name(id)));
        put(row, "value", score_or_null(component->known, component->value));
        put(row, "weight", doc_rounded(health_component_weight(id), 2));
        put(row, "why", doc_text(component->why));
        put(row, "age_ms", self->health_known ? json_integer(age_ms) : json_null());
        (void)json_array_append_new(ret, row);
    }
    return ret;
}

static json_t *describe_told_components(const struct gossip_health *health, int64_t age_ms)
{
    json_t *ret = json_array();
    for (size_t i = 0; i < health->component_count; i++) {
        json_t *row = json_object();
        put(row, "name", doc_text(health->components[i].name));
        put(row, "value", tenths_or_null(health->components[i].score_tenths));
        put(row, "age_ms", json_integer(age_ms));
        (void)json_array_append_new(ret, row);
    }
    return ret;
}

/* NULL when the node is not known. */
static json_t *describe_health_of(const struct node *self, const char *name, bool explain,
                                  bool *ret_healthy)
{
    bool own = strcmp(name, node_name(self)) == 0;
    struct gossip_member member;
    struct gossip_health health;
    bool complete = false;
    bool known = gossip_member_find(self->gossip, name, &member);
    if (!known && !own) {
        return NULL;
    }
    bool told = gossip_member_health(self->gossip, name, &health, &complete);
    bool score_known = own ? self->health_known : told && health.score_tenths != GOSSIP_UNKNOWN;
    double score = own ? self->health.score : (score_known ? health.score_tenths / 10.0 : 0);
    bool alive = own || member.state == GOSSIP_ALIVE;
    const char *state =
        alive ? health_state_name(score_known, score, self->config->health.healthy_from)
              : gossip_state_name(member.state);
    *ret_healthy = alive && score_known && score >= self->config->health.healthy_from;
    json_t *ret = json_object();
    put(ret, "name", doc_text(name));
    put(ret, "score", score_or_null(score_known, score));
    put(ret, "state", doc_text(state));
    put(ret, "age_ms",
        json_integer(own ? clock_boot_ms() - self->sample.taken_ms : member.health_age_ms));
    if (own) {
        put(ret, "injected", doc_rounded(self->health.injected, 1));
    }
    if (explain) {
        put(ret, "components",
            own ? describe_own_components(self)
                : (told ? describe_told_components(&health, member.health_age_ms) : json_array()));
    }
    return ret;
}

json_t *document_health(struct node *self, const char *node, bool explain, int *ret_exit)
{
    bool healthy = false;
    json_t *row =
        describe_health_of(self, node == NULL ? node_name(self) : node, explain, &healthy);
    *ret_exit = row == NULL ? EXIT_NOT_FOUND : (healthy ? EXIT_DONE : EXIT_FAILED);
    if (row == NULL) {
        return NULL;
    }
    json_t *ret = json_object();
    put(ret, "node", row);
    put(ret, "system", json_null()); /* not known in this version: no manager scores a system yet */
    put(ret, "healthy", json_boolean(healthy));
    return ret;
}

/* ---- status ---- */

static json_t *describe_health(const struct node *self)
{
    json_t *ret = json_object();
    put(ret, "node", score_or_null(self->health_known, self->health.score));
    put(ret, "system", json_null());
    put(ret, "state",
        doc_text(health_state_name(self->health_known, self->health.score,
                                   self->config->health.healthy_from)));
    put(ret, "emergency", json_false());
    put(ret, "last_full_check", json_null());
    put(ret, "last_audit", json_null());
    return ret;
}

json_t *document_status(struct node *self)
{
    json_t *ret = json_object();
    put(ret, "leader", id_name(self, node_leader(self)));
    put(ret, "term", json_integer((json_int_t)self->view.term));
    put(ret, "quorum", json_boolean(node_has_quorum(self)));
    put(ret, "acting", json_boolean(node_may_act(self)));
    put(ret, "leader_acting", leader_acting(self));
    put(ret, "lease_ms", own_lease(self));
    put(ret, "health", describe_health(self));
    put(ret, "members", document_members(self));
    put(ret, "managers", document_managers(self));
    put(ret, "duties", document_duties(self));
    put(ret, "alerts", alerts_summary(self));
    put(ret, "managers_stopped", json_boolean(self->managers_stopped));
    put(ret, "maintenance", maintenance_document(self));
    put(ret, "parent_alive", json_boolean(parent_link_alive(self->parent)));
    put(ret, "applied_index", json_integer((json_int_t)self->view.applied_index));
    put(ret, "uptime_s", json_integer((clock_boot_ms() - self->started_ms) / 1000));
    return ret;
}
