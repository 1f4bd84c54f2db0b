/* The loop's side of gossip: performs its actions, tells of members that come and go, publishes
 * this node's health. */
#include "node/base/clock.h"
#include "node/base/rng.h"
#include "node/daemon/node.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *event_kind(enum gossip_state state)
{
    switch (state) {
    case GOSSIP_SUSPECT:
        return "member.suspect";
    case GOSSIP_DEAD:
        return "member.dead";
    case GOSSIP_LEFT:
        return "member.left";
    default:
        return "member.alive";
    }
}

static void on_member(struct node *self, const struct gossip_action *action)
{
    self->members_changed = true;
    self->publish_now = true;
    if (action->first || action->reason == GOSSIP_REASON_MOVED ||
        action->new_state == GOSSIP_ALIVE) {
        peers_sync(self); /* its address may be a new one */
        self->report_changed = true;
    }
    if (action->reason == GOSSIP_REASON_MOVED) {
        return;
    }
    enum log_level level = action->new_state == GOSSIP_DEAD || action->new_state == GOSSIP_SUSPECT
                               ? LOG_LEVEL_WARN
                               : LOG_LEVEL_INFO;
    events_add(self->events, level, self->view.term, event_kind(action->new_state),
               json_pack("{s:s, s:s, s:s}", "member", action->name, "reason",
                         gossip_reason_name(action->reason), "by", action->by),
               "%s is %s (%s)", action->name, gossip_state_name(action->new_state),
               gossip_reason_name(action->reason));
}

static void perform(struct node *self, const struct gossip_action *action)
{
    switch (action->kind) {
    case GOSSIP_ACTION_SEND:
        (void)transport_send(self->transport, action->name, TRANSPORT_GOSSIP, action->bytes,
                             action->length, false);
        break;
    case GOSSIP_ACTION_MEMBER:
        on_member(self, action);
        break;
    case GOSSIP_ACTION_HEALTH:
        self->policy_at_ms = 0;
        break;
    case GOSSIP_ACTION_INCARNATION: /* the boot counter is durable: nothing to write */
        break;
    case GOSSIP_ACTION_GONE:
        self->members_changed = true;
        self->publish_now = true;
        break;
    }
}

void membership_run(struct node *self, int64_t now_ms)
{
    gossip_tick(self->gossip, now_ms);
    struct gossip_action action;
    while (gossip_action_next(self->gossip, &action)) {
        perform(self, &action);
    }
}

/* ---- own health ---- */

static int tenths(double score)
{
    return (int)lround(score * 10.0);
}

static void describe_managers(struct node *self, int64_t now_ms, struct gossip_health *ret)
{
    struct supervise_row rows[MANAGERS_MAX];
    size_t count = supervise_list(self->supervise, now_ms, rows, MANAGERS_MAX);
    for (size_t i = 0; i < count && ret->capability_count < GOSSIP_CAPABILITIES_MAX; i++) {
        struct gossip_capability *capability = &ret->capabilities[ret->capability_count++];
        (void)snprintf(capability->manager, sizeof capability->manager, "%.23s", rows[i].name);
        capability->percent =
            rows[i].heartbeat_age_ms < 0 ? GOSSIP_UNKNOWN : (int)lround(rows[i].capability);
        if (rows[i].state == SUPERVISE_FAILED || rows[i].silent_ms >= NODE_MANAGER_SILENT_MS) {
            capability->percent = 0;
        }
    }
}

static void describe_labels(const struct node *self, struct gossip_health *ret)
{
    for (size_t i = 0; i < self->config->label_count && i < GOSSIP_LABELS_MAX; i++) {
        struct gossip_label *label = &ret->labels[ret->label_count++];
        (void)snprintf(label->name, sizeof label->name, "%.23s", self->config->labels[i].name);
        (void)snprintf(label->value, sizeof label->value, "%.39s", self->config->labels[i].value);
    }
}

void membership_publish_health(struct node *self, int64_t now_ms)
{
    struct gossip_health health;
    gossip_health_init(&health);
    health.score_tenths = self->health_known ? tenths(self->health.score) : GOSSIP_UNKNOWN;
    double load[1];
    if (getloadavg(load, 1) == 1 && load[0] < 10000) {
        health.load_hundredths = (int)lround(load[0] * 100);
    }
    health.flags = GOSSIP_FLAG_LEADER_CAPABLE;
    health.flags |= self->leaving != LEAVING_NOT ? GOSSIP_FLAG_DRAINING : 0u;
    health.flags |= parent_link_alive(self->parent) ? 0u : GOSSIP_FLAG_PARENT_DEAD;
    (void)snprintf(health.version, sizeof health.version, "%s", UNDERSTUDY_VERSION);
    for (int i = 0; i < HEALTH_COMPONENTS; i++) {
        struct gossip_component *component = &health.components[health.component_count++];
        (void)snprintf(component->name, sizeof component->name, "%s",
                       health_component_name((enum health_component_id)i));
        component->score_tenths = self->health.components[i].known
                                      ? tenths(self->health.components[i].value)
                                      : GOSSIP_UNKNOWN;
    }
    describe_managers(self, now_ms, &health);
    describe_labels(self, &health);
    struct err err = {0};
    if (gossip_set_health(self->gossip, now_ms, &health, &err) != 0) {
        log_write(self->log, LOG_LEVEL_ERROR, "health.refused", log_text("why", err.msg));
    }
}

int membership_create(struct node *self, struct err *err)
{
    static const char *const profiles[] = {"local", "lan", "wan"};
    const struct config_cluster *cluster = &self->config->cluster;
    struct gossip_config config = {0};
    int rc = gossip_config_profile(&config, profiles[cluster->profile], err);
    if (rc != 0) {
        return rc;
    }
    (void)snprintf(config.name, sizeof config.name, "%s", cluster->node);
    (void)snprintf(config.address, sizeof config.address, "%s", cluster->advertise);
    config.incarnation = self->incarnation << GOSSIP_REFUTATION_BITS;
    config.rng_seed = rng_system_seed();
    config.members_max = (size_t)NODES_MAX * 2;
    if (cluster->gossip_interval_ms > 0) {
        /* The timeout keeps its share of the interval. */
        config.probe_timeout_ms =
            config.probe_timeout_ms * cluster->gossip_interval_ms / config.probe_interval_ms;
        config.probe_interval_ms = cluster->gossip_interval_ms;
    }
    rc = gossip_create(&config, clock_boot_ms(), &self->gossip, err);
    if (rc == 0) {
        peers_sync(self);
    }
    return rc;
}
