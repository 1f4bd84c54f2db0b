/* What the HTTP threads show: snapshots of the documents and figures, built on the loop: at once
 * when a request asks for one, when something changed (at most every PUBLISH_HASTE_MS), while
 * somebody looks every PUBLISH_PERIOD_MS, and seldom while nobody does. */
#include "node/base/clock.h"
#include "node/base/doc.h"
#include "node/daemon/alerts.h"
#include "node/daemon/handlers_stream.h"
#include "node/daemon/maintenance.h"
#include "node/daemon/node.h"
#include "node/http/metrics.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PUBLISH_HASTE_MS 200
#define PUBLISH_PERIOD_MS 2000
#define PUBLISH_UNSEEN_MS 60000
#define LOOKS_MS 10000 /* somebody looked so recently */

static const struct {
    const char *verb;
    const char *path;
} DOCUMENTS[] = {
    {"status", "status"},         {"members", "members"},
    {"leader", "leader"},         {"leader history", "leader/history"},
    {"duty list", "duty/list"},   {"manager list", "manager/list"},
    {"alert list", "alert/list"}, {"coverage", "coverage"},
};

/* ---- figures ---- */

static void put_raft(const struct node *self, struct metrics *metrics)
{
    const struct consensus_view *view = &self->view;
    metrics_family(metrics, METRICS_GAUGE, "raft_term", "Present Raft term.");
    metrics_value(metrics, (double)view->term);
    metrics_family(metrics, METRICS_GAUGE, "raft_is_leader", "1 on the leader.");
    metrics_value(metrics, view->state == CONSENSUS_LEADER ? 1 : 0);
    metrics_family(metrics, METRICS_GAUGE, "raft_acting", "1 where the leader's lease holds.");
    metrics_value(metrics, node_may_act(self) ? 1 : 0);
    metrics_family(metrics, METRICS_GAUGE, "raft_commit_index", "Highest committed index.");
    metrics_value(metrics, (double)view->commit_index);
    metrics_family(metrics, METRICS_GAUGE, "raft_applied_index", "Highest applied index.");
    metrics_value(metrics, (double)view->applied_index);
    metrics_family(metrics, METRICS_COUNTER, "raft_votes_silenced",
                   "Vote requests dropped because a leader may still hold its lease.");
    metrics_value(metrics, (double)self->consensus_counters.votes_silenced);
    metrics_family(metrics, METRICS_COUNTER, "raft_elections_won", "Elections that this node won.");
    metrics_value(metrics, (double)self->consensus_counters.elections_won);
    metrics_family(metrics, METRICS_COUNTER, "raft_reloads",
                   "Fresh starts of the engine from disk.");
    metrics_value(metrics, (double)self->consensus_counters.reloads);
    metrics_family(metrics, METRICS_GAUGE, "quorum", "1 while a leader with a majority is known.");
    metrics_value(metrics, node_has_quorum(self) ? 1 : 0);
    struct storage_latency latency;
    storage_latency(self->storage, false, &latency);
    metrics_family(metrics, METRICS_COUNTER, "storage_writes", "Durable writes.");
    metrics_value(metrics, (double)latency.writes);
    metrics_family(metrics, METRICS_GAUGE, "storage_sync_worst_seconds",
                   "Slowest durable write of the present ten seconds.");
    metrics_value(metrics, latency.worst_us / 1e6);
    metrics_family(metrics, METRICS_GAUGE, "storage_bytes", "Database and write-ahead log.");
    metrics_value(metrics, (double)(latency.wal_bytes + latency.database_bytes));
}

static void put_members(const struct node *self, struct metrics *metrics)
{
    static const enum gossip_state states[] = {GOSSIP_ALIVE, GOSSIP_SUSPECT, GOSSIP_DEAD,
                                               GOSSIP_LEFT};
    size_t counts[sizeof states / sizeof states[0]] = {0};
    metrics_family(metrics, METRICS_GAUGE, "health_score", "Health scores by node, 0 to 100.");
    for (size_t i = 0; i < gossip_member_count(self->gossip); i++) {
        struct gossip_member member;
        gossip_member_at(self->gossip, i, &member);
        counts[member.state]++;
        if (member.has_health && member.score_tenths != GOSSIP_UNKNOWN) {
            metrics_value1(metrics, "node", member.name, member.score_tenths / 10.0);
        }
    }
    metrics_family(metrics, METRICS_GAUGE, "members", "Members by state.");
    for (size_t i = 0; i < sizeof states / sizeof states[0]; i++) {
        metrics_value1(metrics, "state", gossip_state_name(states[i]), (double)counts[i]);
    }
}

static void put_alerts(const struct node *self, struct metrics *metrics)
{
    static const enum alert_state states[] = {ALERT_FIRING, ALERT_ACKED};
    metrics_family(metrics, METRICS_GAUGE, "alerts", "Alerts by state.");
    for (size_t i = 0; i < sizeof states / sizeof states[0]; i++) {
        size_t count = 0;
        for (size_t k = 0; k < state_alert_count(self->state); k++) {
            count += state_alert_at(self->state, k)->state == states[i] ? 1 : 0;
        }
        metrics_value1(metrics, "state", alert_state_name(states[i]), (double)count);
    }
    metrics_family(metrics, METRICS_GAUGE, "maintenance", "1 while maintenance is on.");
    metrics_value(metrics, maintenance_of(self->state, NULL) ? 1 : 0);
}

static void put_work(const struct node *self, struct metrics *metrics)
{
    metrics_family(metrics, METRICS_GAUGE, "schedules", "Schedules in the replicated state.");
    metrics_value(metrics, (double)state_schedule_count(self->state));
    metrics_family(metrics, METRICS_GAUGE, "runs_under_way", "Runs that have begun and not ended.");
    metrics_value(metrics, (double)state_run_count(self->state));
}

static void put_traffic(const struct node *self, struct metrics *metrics)
{
    struct transport_counters transport;
    struct gossip_counters gossip;
    struct zap_counters zap;
    transport_counters(self->transport, &transport);
    gossip_counters(self->gossip, &gossip);
    zap_counters(self->zap, &zap);
    metrics_family(metrics, METRICS_COUNTER, "peer_messages_sent", "Frames sent to peers.");
    metrics_value(metrics, (double)transport.sent);
    metrics_family(metrics, METRICS_COUNTER, "peer_bytes_sent", "Bytes of frames sent to peers.");
    metrics_value(metrics, (double)transport.sent_bytes);
    metrics_family(metrics, METRICS_COUNTER, "peer_messages_dropped",
                   "Frames that could not be sent.");
    metrics_value(metrics, (double)transport.dropped);
    metrics_family(metrics, METRICS_COUNTER, "peer_gaps", "Frames missing in peers' sequences.");
    metrics_value(metrics, (double)transport.gaps);
    metrics_family(metrics, METRICS_COUNTER, "peer_refused", "Frames refused, by cause.");
    for (int i = 0; i < TRANSPORT_EVENT_COUNT; i++) {
        metrics_value1(metrics, "cause", transport_event_name((enum transport_event)i),
                       (double)transport.events[i]);
    }
    metrics_value1(metrics, "cause", "peer.payload.malformed", (double)self->payloads_refused);
    metrics_value1(metrics, "cause", "gossip.malformed", (double)gossip.dropped_malformed);
    metrics_value1(metrics, "cause", "gossip.forged", (double)gossip.dropped_forged);
    metrics_value1(metrics, "cause", "raft.malformed", (double)self->consensus_counters.malformed);
    metrics_family(metrics, METRICS_COUNTER, "keys_refused", "Connections with an unknown key.");
    metrics_value(metrics, (double)zap.refused);
    int64_t now_ms = clock_boot_ms();
    metrics_family(metrics, METRICS_COUNTER, "connections_refused",
                   "Connections that never became one: no ZeroMQ, no CURVE, no admitted key.");
    metrics_value1(metrics, "port", "peers",
                   (double)transport_connections_failed(self->transport, now_ms));
    metrics_value1(metrics, "port", "control",
                   (double)control_connections_failed(self->control, now_ms));
    metrics_family(metrics, METRICS_COUNTER, "gossip_messages_sent", "Gossip messages sent.");
    metrics_value(metrics, (double)gossip.messages_sent);
    metrics_family(metrics, METRICS_COUNTER, "gossip_bytes_sent", "Gossip bytes sent.");
    metrics_value(metrics, (double)gossip.bytes_sent);
    struct control_counters control;
    control_counters(self->control, &control);
    metrics_family(metrics, METRICS_COUNTER, "control_requests", "Control requests.");
    metrics_value(metrics, (double)control.requests);
    metrics_family(metrics, METRICS_COUNTER, "control_refused",
                   "Control requests malformed, denied or over a bound.");
    metrics_value(metrics, (double)(control.malformed + control.denied + control.refused));
    struct post_counters post;
    post_counters(self->post, &post);
    metrics_family(metrics, METRICS_COUNTER, "guard_refused",
                   "Connections and messages that the guards' socket refused.");
    metrics_value(metrics, (double)(post.refused + post.malformed));
    metrics_family(metrics, METRICS_COUNTER, "http_refused", "HTTP requests refused.");
    struct http_counters http = {0};
    if (self->http != NULL) {
        http_counters(self->http, &http);
    }
    metrics_value(metrics, (double)http.refused);
}

static char *build_metrics(const struct node *self)
{
    struct metrics metrics;
    metrics_init(&metrics);
    metrics_family(&metrics, METRICS_INFO, "build", "Version of this node.");
    metrics_value1(&metrics, "version", UNDERSTUDY_VERSION, 1);
    put_raft(self, &metrics);
    put_members(self, &metrics);
    put_alerts(self, &metrics);
    put_work(self, &metrics);
    put_traffic(self, &metrics);
    char *text = metrics_finish(&metrics);
    metrics_deinit(&metrics);
    return text;
}

/* ---- snapshots ---- */

static void set_ready(const struct node *self, struct http_snapshot *snapshot)
{
    const struct state_node *row = state_node_by_name(self->state, node_name(self));
    bool draining = self->leaving != LEAVING_NOT || (row != NULL && row->draining);
    /* A node whose log is not replayed yet has not heard how far the leader's goes. */
    const char *why =
        node_leader(self) == 0 ? "no leader is known" : (draining ? "draining" : NULL);
    http_snapshot_set_ready(snapshot, why == NULL, why);
}

static struct http_snapshot *build_snapshot(struct node *self)
{
    struct http_snapshot *snapshot = http_snapshot_create();
    if (snapshot == NULL) {
        return NULL;
    }
    set_ready(self, snapshot);
    http_snapshot_set_leader(snapshot,
                             node_leader(self) == 0 ? NULL : node_name_of(self, node_leader(self)),
                             self->view.term, consensus_thread_may_act_until_ms(self->consensus));
    for (size_t i = 0; i < sizeof DOCUMENTS / sizeof DOCUMENTS[0]; i++) {
        json_t *envelope = control_render(self->control, DOCUMENTS[i].verb, NULL);
        if (envelope != NULL) {
            (void)http_snapshot_set_document(snapshot, DOCUMENTS[i].path, envelope, NULL);
            json_decref(envelope);
        }
    }
    http_snapshot_set_metrics(snapshot, build_metrics(self));
    return snapshot;
}

static void publish(struct node *self, int64_t now_ms)
{
    self->publish_at_ms = now_ms;
    self->publish_now = false;
    struct http_snapshot *snapshot = build_snapshot(self);
    if (snapshot != NULL) {
        http_publish(self->http, &snapshot);
    }
}

void publish_run(struct node *self, int64_t now_ms)
{
    handlers_stream_run(self, now_ms);
    if (self->http == NULL) {
        return;
    }
    http_heartbeat(self->http, now_ms);
    bool seen = now_ms - http_asked_ms(self->http) <= LOOKS_MS;
    int64_t period_ms = seen ? PUBLISH_PERIOD_MS : PUBLISH_UNSEEN_MS;
    period_ms = self->publish_now ? PUBLISH_HASTE_MS : period_ms;
    if (self->control != NULL && now_ms >= self->publish_at_ms + period_ms) {
        publish(self, now_ms);
    }
}

/* ---- events ---- */

static void on_event(void *context, const json_t *event)
{
    struct node *self = context;
    json_t *envelope = json_pack(
        "{s:s, s:o, s:s, s:s, s:I, s:b, s:O}", "schema", "understudy.events/1", "time",
        doc_time(clock_wall_ms()), "node", node_name(self), "cluster", self->config->cluster.name,
        "term", (json_int_t)self->view.term, "stale", !node_has_quorum(self), "data", event);
    if (self->http != NULL && envelope != NULL) {
        http_event(self->http, envelope);
    }
    json_decref(envelope);
}

/* ---- life ---- */

static int64_t may_act(void *context, uint64_t *ret_term)
{
    struct node *self = context;
    return consensus_thread_may_act(self->consensus, ret_term);
}

static int listen_at(struct node *self, const char *listen, struct err *err)
{
    char address[ADDRESS_SIZE];
    (void)snprintf(address, sizeof address, "%s", listen);
    char *colon = strrchr(address, ':');
    char *end = NULL;
    unsigned long port = colon == NULL ? 0 : strtoul(colon + 1, &end, 10);
    if (colon == NULL || end == colon + 1 || *end != '\0' || port > 65535) {
        return err_set(err, ERR_INVALID, "dashboard.listen: %s is no HOST:PORT", listen);
    }
    *colon = '\0';
    struct http_config config = {.address = address[0] == '\0' ? NULL : address,
                                 .port = (uint16_t)port,
                                 .node = node_name(self),
                                 .may_act = may_act,
                                 .context = self};
    return self->http == NULL ? http_create(&config, &self->http, err)
                              : http_listen(self->http, config.address, config.port, err);
}

/* A request waits for this. */
static int on_asked(zloop_t *loop, zmq_pollitem_t *item, void *argument)
{
    (void)loop;
    (void)item;
    publish(argument, clock_boot_ms());
    return 0;
}

int publish_create(struct node *self, struct err *err)
{
    const struct config_dashboard *config = &self->config->dashboard;
    int rc = 0;
    for (size_t i = 0; rc == 0 && config->enabled && i < config->listen_count; i++) {
        rc = listen_at(self, config->listen[i], err);
    }
    if (rc == 0 && self->http != NULL) {
        zmq_pollitem_t item = {.fd = http_asked_fd(self->http), .events = ZMQ_POLLIN};
        rc = zloop_poller(self->loop, &item, on_asked, self) == 0
                 ? 0
                 : err_set(err, ERR_NOMEM, "cannot watch the dashboard's wishes");
    }
    if (rc == 0 && !events_watch(self->events, on_event, self)) {
        return err_set(err, ERR_FULL, "too many watchers of events");
    }
    return rc;
}
